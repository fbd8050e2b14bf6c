package gateway

import (
	"net"
	"slices"
	"strings"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// sites are the tables of one listener, by the host that clients ask for. They are immutable once built.
type sites struct {
	exact     map[string]*frontend.Table
	wildcards []wildcard // The longest first.
	rest      *frontend.Table
}

type wildcard struct {
	suffix string // Such as ".example.com".
	table  *frontend.Table
}

// add adds the table of a host: a name, a wildcard, or "" for all that have none of their own.
func (s *sites) add(host string, t *frontend.Table) {
	switch suffix, ok := strings.CutPrefix(host, "*"); {
	case host == "":
		s.rest = t
	case ok:
		s.wildcards = append(s.wildcards, wildcard{suffix, t})
		slices.SortFunc(s.wildcards, func(a, b wildcard) int { return len(b.suffix) - len(a.suffix) })
	default:
		if s.exact == nil {
			s.exact = map[string]*frontend.Table{}
		}
		s.exact[host] = t
	}
}

// table returns the table for an authority as received.
func (s *sites) table(authority string) *frontend.Table {
	if s.exact == nil && s.wildcards == nil {
		return s.rest
	}
	host := canonicalHost(authority)
	if t, ok := s.exact[host]; ok {
		return t
	}
	for _, w := range s.wildcards {
		if strings.HasSuffix(host, w.suffix) && len(host) > len(w.suffix) {
			return w.table
		}
	}
	return s.rest
}

// canonicalHost drops what makes no other host: the port, case, the dot at the end, the brackets of IPv6.
func canonicalHost(authority string) string {
	host := authority
	if h, _, err := net.SplitHostPort(authority); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// servedBackend is a backend that a listener serves, and where the configuration has it.
type servedBackend struct {
	field string
	cfg   *configv1.Backend
	open  *upstream.Backend
}

// hostsOf returns all hosts that backends are bound to, and "" for the rest.
func hostsOf(backends []servedBackend) []string {
	hosts := []string{""}
	for _, b := range backends {
		for _, host := range b.cfg.GetHosts() {
			if host = canonicalHost(host); !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// forHost returns the backends that answer for a host, the closest binding first: the name itself, wildcards from the
// longest to the shortest, and those that are not bound.
func forHost(backends []servedBackend, host string) []servedBackend {
	var found []servedBackend
	for _, b := range backends {
		if closeness(b.cfg.GetHosts(), host) >= 0 {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b servedBackend) int {
		return closeness(b.cfg.GetHosts(), host) - closeness(a.cfg.GetHosts(), host)
	})
	return found
}

// closeness is 0 for a backend that is not bound, more the closer a binding is to the host, and -1 where none fits.
func closeness(bindings []string, host string) int {
	if len(bindings) == 0 {
		return 0
	}
	closest := -1
	for _, binding := range bindings {
		binding = canonicalHost(binding)
		suffix, isWildcard := strings.CutPrefix(binding, "*")
		switch {
		case binding == host && host != "":
			return 1 << 20
		case isWildcard && strings.HasSuffix(host, suffix) && len(host) > len(suffix):
			closest = max(closest, len(suffix))
		}
	}
	return closest
}
