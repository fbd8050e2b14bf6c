// Package static resolves grpc targets that list their addresses themselves:
//
//	static:///127.0.0.1:50051,127.0.0.1:50052
//
// Each address is one endpoint for the balancer, and the list never changes. A host may be a name; it is then looked
// up when a connection is made, and its first working address is used. The resolver is handed to each connection, so
// that nothing global is touched:
//
//	grpc.NewClient("static:///10.0.0.1:50051,10.0.0.2:50051", grpc.WithResolvers(static.NewBuilder()), ...)
package static

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

const (
	scheme = "static"
	prefix = scheme + ":///"
	form   = "want static:///host:port[,host:port...]"
)

// Parse returns the addresses that a static target lists, as they are written and in their order; there is at least
// one. It fails, naming the entry at fault, where an address is empty, is not host:port, has a port outside 1 to 65535,
// or stands twice.
func Parse(target string) ([]string, error) {
	list, ok := strings.CutPrefix(target, prefix)
	if !ok {
		return nil, fmt.Errorf("static: target %q: %s", target, form)
	}
	addresses, err := split(list)
	if err != nil {
		return nil, fmt.Errorf("static: target %q: %w", target, err)
	}
	return addresses, nil
}

// split checks a comma-separated list of addresses.
func split(list string) ([]string, error) {
	addresses := strings.Split(list, ",")
	seen := make(map[string]int, len(addresses))
	for i, address := range addresses {
		key, err := canonical(address)
		if err != nil {
			return nil, fmt.Errorf("entry %d, %q: %w; %s", i+1, address, err, form)
		}
		if first, ok := seen[key]; ok {
			return nil, fmt.Errorf("entry %d, %q: the same address as entry %d; remove one", i+1, address, first)
		}
		seen[key] = i + 1
	}
	return addresses, nil
}

// canonical gives two spellings of one address the same form.
func canonical(address string) (string, error) {
	if address == "" {
		return "", errors.New("empty address")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", errors.New(reason(err))
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	host, err = canonicalHost(host)
	return net.JoinHostPort(host, strconv.FormatUint(number, 10)), err
}

// canonicalHost accepts IP addresses without a zone, since grpc parses the target as a URL, and host names.
func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return ip.String(), nil
	}
	if host == "" {
		return "", errors.New("missing host")
	}
	if i := strings.IndexFunc(host, notInName); i >= 0 {
		return "", fmt.Errorf("host %q is neither a name nor an IP address", host)
	}
	return strings.ToLower(host), nil
}

func notInName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		return false
	}
	return true
}

// reason drops the address that net repeats in its message.
func reason(err error) string {
	if bad, ok := errors.AsType[*net.AddrError](err); ok {
		return bad.Err
	}
	return err.Error()
}

// NewBuilder returns a resolver for the scheme static, to be passed to grpc.WithResolvers. It holds no state and may
// be shared by any number of connections and goroutines. Its Build fails where Parse would; grpc then reports that
// error from the first call or Connect.
func NewBuilder() resolver.Builder { return builder{} }

type builder struct{}

func (builder) Scheme() string { return scheme }

// Build publishes the addresses at once. What UpdateState answers is ignored: asking again would change nothing.
func (builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	addresses, err := Parse(target.URL.String())
	if err != nil {
		return nil, err
	}
	endpoints := make([]resolver.Endpoint, len(addresses))
	for i, address := range addresses {
		endpoints[i] = resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}}
	}
	_ = cc.UpdateState(resolver.State{Endpoints: endpoints})
	return fixed{}, nil
}

// OverrideAuthority makes the first address the default :authority and TLS name of the connection. grpc would take the
// whole list, which servers refuse.
func (builder) OverrideAuthority(target resolver.Target) string {
	first, _, _ := strings.Cut(target.Endpoint(), ",")
	return first
}

// fixed is the resolver of a list that never changes.
type fixed struct{}

func (fixed) ResolveNow(resolver.ResolveNowOptions) {}

func (fixed) Close() {}
