// Package consul finds the instances of a backend in Consul, and tells Consul of the gateway itself.
//
// [Source] is a discovery.Source for targets of the form
//
//	consul:///service?tag=v1&tag=eu&dc=dc2&near=_agent&healthy=warning&ns=team&partition=edge
//
// The agent is that of the [Options], or another one that the target names: consul://host:port/service. It gets the same token,
// and is spoken to with the same TLS. Of the parameters, only tag may be repeated; an instance must then have all of the tags.
//
//   - dc is the datacenter; the agent's own if there is none.
//   - near is the node to which Consul sorts the instances by distance; see [discovery.Resolver], which sorts them anew.
//   - healthy is the worst status of a check that an instance may have to be healthy: passing, if nothing is said, or warning.
//   - ns and partition are for Consul Enterprise.
//
// # What an answer is
//
// All instances that Consul knows, also those that fail their checks: these have Unhealthy set. Checks of the node count. The
// weight is that which the service has for its status, passing or warning. The zone is "zone" of the service's metadata, or of
// the node's, or of the locality that Consul knows. The metadata is the service's, with the keys [MetadataNode],
// [MetadataDatacenter] and [MetadataTags] added. Instances without an address or a port are left out: nothing can be called
// there, and a set of such must not replace one that works.
//
// # How old an answer is
//
// A watch blocks until something changes, or for Options.Wait: then Consul confirms what it said. Any server may answer. If it
// has not heard of its leader for longer than Options.MaxStale, or knows of none, the leader is asked; an answer that can't be
// confirmed so is used only if nothing else is known. Everything else that is odd is an error: discovery.Resolver keeps what it
// has.
package consul

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cardea-gateway/cardea/discovery"
)

const (
	scheme = "consul"

	defaultAddress  = "127.0.0.1:8500"
	defaultWait     = 15 * time.Second
	defaultMaxStale = 10 * time.Second
	longestWait     = 10 * time.Minute // Consul's own limit.
)

// Options say how to reach Consul. The zero value is an agent on this machine, without a token and without TLS. Environment
// variables such as CONSUL_HTTP_ADDR and HTTP_PROXY mean nothing here.
type Options struct {
	// Address is host:port of the agent, or unix:///path of its socket. Empty is 127.0.0.1:8500.
	Address string
	// TokenFile holds the ACL token, and nothing else but spaces around it. It is read for every request, so that a token may be
	// changed at any time. Empty: no token.
	TokenFile string
	// TLS is how to speak to the agent. Nil is plain HTTP.
	TLS *TLS
	// Wait is how long a query may wait for a change, at most ten minutes. Consul adds up to a sixteenth. What is known is never
	// older than this while all is well, and an agent that hangs is noticed five seconds later. Zero is 15 seconds.
	Wait time.Duration
	// MaxStale is how long ago the server that answers may have heard of its leader. Zero is ten seconds.
	MaxStale time.Duration
}

// Source finds instances in Consul. All its watches share connections. It is safe for concurrent use.
type Source struct {
	agents *agents
}

var _ discovery.Source = (*Source)(nil)

// New returns a source. It fails where the options make no sense, or TLS files can't be used; it does not ask Consul.
func New(o Options) (*Source, error) {
	a, err := newAgents(o)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &Source{agents: a}, nil
}

// Scheme is consul.
func (*Source) Scheme() string { return scheme }

// Open returns a watch for a target. It fails where [Parse] would.
func (s *Source) Open(u *url.URL) (discovery.Watch, error) {
	t, err := parse(u)
	if err != nil {
		return nil, err
	}
	o := s.agents.options
	if t.agent == "" {
		t.agent = o.Address
	}
	client, err := s.agents.client(t.agent, t.namespace, t.partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &watch{target: t, client: client, wait: o.Wait, maxStale: o.MaxStale, token: o.TokenFile != ""}, nil
}

// Close drops the connections that nobody uses. Call it when the last watch is closed.
func (s *Source) Close() error {
	s.agents.transport.CloseIdleConnections()
	return nil
}

// complete checks the options and fills in what was left open.
func (o Options) complete() (Options, error) {
	if o.Address == "" {
		o.Address = defaultAddress
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.MaxStale == 0 {
		o.MaxStale = defaultMaxStale
	}
	switch {
	case o.Wait < time.Millisecond || o.Wait > longestWait:
		return o, fmt.Errorf("wait is %v; want a millisecond to %v", o.Wait, longestWait)
	case o.MaxStale < 0:
		return o, fmt.Errorf("max stale is %v; want more than 0", o.MaxStale)
	}
	return o, o.checkAddress()
}

func (o Options) checkAddress() error {
	path, ok := strings.CutPrefix(o.Address, unixPrefix)
	switch {
	case ok && !strings.HasPrefix(path, "/"):
		return fmt.Errorf("address %q: want unix:///path", o.Address)
	case ok && o.TLS != nil:
		return fmt.Errorf("address %q: TLS is not spoken over a socket of this machine; leave it out", o.Address)
	case ok:
		return nil
	}
	if err := discovery.CheckAddress(o.Address); err != nil {
		return fmt.Errorf("address %q: %w", o.Address, err)
	}
	return nil
}
