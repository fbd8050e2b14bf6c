package call

import "net/netip"

// Reception is what the gateway knew of a request before it looked for the method that is meant.
type Reception struct {
	// RequestID names the request in logs, answers and on its way to backends: 1 to 128 characters of [A-Za-z0-9._:-].
	RequestID string
	// Client is who sent the request: the other end of the connection, or whom trusted proxies name. Its port is 0 where
	// a proxy did not tell one.
	Client netip.AddrPort
	// ForwardedFor lists the addresses from the client to the other end of the connection, as X-Forwarded-For does.
	ForwardedFor string
	// Scheme is "http" or "https", as the client used it.
	Scheme string
	// Host is the host that the client asked for, port included.
	Host string
}

// Reception returns what was known of the request before its method. It is never nil; nobody may change it.
func (c *Call) Reception() *Reception {
	if c.reception == nil {
		return &Reception{}
	}
	return c.reception
}

// SetReception records what was known of the request before its method. Front ends use it.
func (c *Call) SetReception(r *Reception) { c.reception = r }

// RequestID returns the name of the request in logs; empty for a call that no front end made.
func (c *Call) RequestID() string { return c.Reception().RequestID }

// ClientAddr returns the address of the client, as far as trusted proxies tell; the zero AddrPort where it is not known.
// Limits by address go by it.
func (c *Call) ClientAddr() netip.AddrPort { return c.Reception().Client }
