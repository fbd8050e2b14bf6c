package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// Facts are what is known of a connection. They are immutable once a request can be read.
type Facts struct {
	// AcceptedAt is when the connection came in.
	AcceptedAt time.Time
	// Client is where the client is: as a trusted load balancer says by the PROXY protocol, else Peer. It is invalid where
	// connections have no IP addresses.
	Client netip.AddrPort
	// Peer is the other end of the socket.
	Peer netip.AddrPort
	// TLS is nil on a cleartext connection.
	TLS *tls.ConnectionState
}

type factsKey struct{}

// FromContext returns the facts of the connection that a request came over, if its server uses [Listener.ConnContext].
func FromContext(ctx context.Context) (*Facts, bool) {
	f, ok := ctx.Value(factsKey{}).(*Facts)
	return f, ok
}

// conn is a connection that counts until it is closed.
type conn struct {
	net.Conn // The socket, or what reads the PROXY protocol off it.
	socket   net.Conn
	facts    Facts

	census     *census
	identified bool
	closing    sync.Once
}

// Close closes the connection and takes it out of the count.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closing.Do(func() { c.census.leave(c.facts.Client.Addr(), c.identified) })
	return err
}

// CloseWrite tells the client that nothing more comes.
func (c *conn) CloseWrite() error {
	if half, ok := c.socket.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// readProxyHeader takes a PROXY protocol header off the connection, if it begins with one.
func (c *conn) readProxyHeader() error {
	// The deadline is the socket's own: with that of the library, a client that is silent would count as one without a header.
	proxied := proxyproto.NewConn(c.socket, proxyproto.WithPolicy(proxyproto.USE),
		proxyproto.SetReadHeaderTimeout(0), proxyproto.ValidateHeader(overTCP))
	if _, err := proxied.Read(nil); err != nil {
		return err
	}
	c.Conn = proxied
	c.facts.Client = addrPort(proxied.RemoteAddr())
	return nil
}

// overTCP refuses headers that tell of clients without a TCP connection. Those of a load balancer's own health checks
// tell of no client at all.
func overTCP(h *proxyproto.Header) error {
	if p := h.TransportProtocol; !h.Command.IsLocal() && !p.IsUnspec() && p != proxyproto.TCPv4 && p != proxyproto.TCPv6 {
		return fmt.Errorf("PROXY protocol header of protocol %#x, not TCP", byte(p))
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// factsOf finds the facts of a connection that a Listener gave away.
func factsOf(c net.Conn) *Facts {
	for {
		switch at := c.(type) {
		case *conn:
			return &at.facts
		case interface{ NetConn() net.Conn }: // A *tls.Conn, or a guarded one.
			c = at.NetConn()
		default:
			return nil
		}
	}
}
