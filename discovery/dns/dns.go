// Package dns finds the instances of a backend by its name, and looks again and again: grpc's own resolver looks once, until a
// connection breaks.
//
//	dns:///orders.internal:50051                        each address (A, AAAA) of a name is an instance
//	srv:///_grpc._tcp.orders.internal                   each SRV record of a name leads to instances, with weights
//	srv://127.0.0.1:8600/orders.service.consul          the same, asked of a server
//	dns:///orders.internal:50051?interval=5s            looked up every five seconds instead of thirty
//
// Names are looked up as the system does it: one without a dot at its end may be completed by search domains.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-gateway/cardea/discovery"
)

const (
	defaultInterval  = 30 * time.Second
	shortestInterval = time.Second
	longestInterval  = time.Hour
	patience         = 5 * time.Second // For one look.
	crowd            = 8               // Targets of records that are looked up at a time.
)

// kind is what is looked up.
type kind string

const (
	addresses kind = "dns"
	records   kind = "srv"
)

// forms are how targets look.
var forms = map[kind]string{
	addresses: "want dns:///host:port or dns://server:port/host:port",
	records:   "want srv:///name or srv://server:port/name",
}

// source is a discovery.Source. It holds nothing.
type source kind

// NewSource returns a source for targets of the scheme dns.
func NewSource() discovery.Source { return source(addresses) }

// NewSRVSource returns a source for targets of the scheme srv.
func NewSRVSource() discovery.Source { return source(records) }

// Scheme is dns or srv.
func (s source) Scheme() string { return string(s) }

// Open returns a watch. It fails where [Parse] would.
func (s source) Open(u *url.URL) (discovery.Watch, error) {
	t, err := read(kind(s), u)
	if err != nil {
		return nil, fmt.Errorf("%s: target: %w", s, err)
	}
	return &watch{target: t, resolver: t.resolver()}, nil
}

// Parse checks a target of either scheme. It says what is wrong with it and what is wanted instead.
func Parse(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("dns: target: not a URL; %s", forms[addresses])
	}
	if forms[kind(u.Scheme)] == "" {
		return fmt.Errorf("dns: target: scheme %q; %s, or %s", u.Scheme, forms[addresses], forms[records])
	}
	_, err = source(u.Scheme).Open(u)
	return err
}

// target is what is looked up, and of whom.
type target struct {
	kind     kind
	name     string
	port     string // For addresses.
	server   string // host:port; empty is the system's.
	interval time.Duration
}

func read(k kind, u *url.URL) (target, error) {
	t := target{kind: k, server: u.Host, interval: defaultInterval}
	endpoint := strings.TrimPrefix(u.Path, "/")
	var err error
	switch {
	case u.Opaque != "" || u.User != nil || u.Fragment != "" || strings.Contains(endpoint, "/") || endpoint == "":
		return t, errors.New(forms[k])
	case k == addresses:
		t.name, t.port, err = hostPort(endpoint)
	case strings.Contains(endpoint, ":"):
		err = errors.New("SRV records hold the ports: remove the one of the target")
	default:
		t.name, err = endpoint, checkName(endpoint)
	}
	if err == nil && t.server != "" {
		t.server, err = server(t.server)
	}
	if err == nil {
		t.interval, err = interval(u.RawQuery)
	}
	if err != nil {
		return t, fmt.Errorf("%w; %s", err, forms[k])
	}
	return t, nil
}

func hostPort(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf("%q is not host:port", text)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return "", "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, port, nil
	}
	return host, port, checkName(host)
}

// server is the address of a DNS server, whose port may be left out.
func server(text string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), "53"), nil
	}
	if _, _, err := hostPort(text); err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	return text, nil
}

func checkName(name string) error {
	bad := strings.IndexFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if bad >= 0 || strings.Trim(name, ".") == "" || len(name) > 254 {
		return fmt.Errorf("%q is no name of a host", name)
	}
	return nil
}

// interval reads the only parameter.
func interval(query string) (time.Duration, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, errors.New("malformed parameters")
	}
	d := defaultInterval
	for name, all := range values {
		if name != "interval" || len(all) != 1 {
			return 0, fmt.Errorf("parameter %q is not known, or stands twice; there is interval alone", name)
		}
		if d, err = time.ParseDuration(all[0]); err != nil || d < shortestInterval || d > longestInterval {
			return 0, fmt.Errorf("interval %q is no duration from 1s to 1h, such as 30s", all[0])
		}
	}
	return d, nil
}

// resolver asks the server of the target, or those of the system.
func (t target) resolver() *net.Resolver {
	if t.server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, t.server)
	}}
}
