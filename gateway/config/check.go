package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-gateway/cardea/discovery/consul"
	"github.com/cardea-gateway/cardea/discovery/dns"
	"github.com/cardea-gateway/cardea/discovery/file"
	"github.com/cardea-gateway/cardea/discovery/static"
	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// check applies the rules between fields. It leaves alone what a rule of the schema has refused already.
func check(cfg *configv1.Config, doc *document) {
	checkAddresses(cfg, doc)
	checkTargets(cfg, doc)
	checkBalancing(cfg, doc)
	checkRegistration(cfg, doc)
	checkBackendNames(cfg, doc)
	checkServices(cfg, doc)
	checkPolicies("policies", cfg.GetPolicies(), doc)
	for i, l := range cfg.GetListeners() {
		path := fmt.Sprintf("listeners[%d]", i)
		checkFace(path+".backends", l.GetBackends(), cfg, doc)
		checkPolicies(path+".policies", l.GetPolicies(), doc)
		checkNetworks(path+".proxy_protocol.trusted_networks", l.GetProxyProtocol().GetTrustedNetworks(), doc)
	}
	checkNetworks("trusted_proxies", cfg.GetTrustedProxies(), doc)
	checkBounds(cfg, doc)
}

// listen is an address to listen on. An empty host stands for every interface.
type listen struct {
	path, text string
	host       string
	port       uint16
}

// checkAddresses wants every listener and the admin to have an address of its own.
func checkAddresses(cfg *configv1.Config, doc *document) {
	var taken []listen
	place := func(path, text string) {
		l, err := parseListen(path, text)
		if err != nil {
			doc.refuse(path, "%v", err)
			return
		}
		for _, other := range taken {
			if l.overlaps(other) {
				doc.refuse(path, "%s is taken by %s, %s%s; use another port",
					l.text, other.path, other.text, doc.where(other.path))
				return
			}
		}
		taken = append(taken, l)
	}
	place("admin.address", cfg.GetAdmin().GetAddress())
	for i, l := range cfg.GetListeners() {
		place(fmt.Sprintf("listeners[%d].address", i), l.GetAddress())
	}
}

// parseListen returns an address without a port for one that the schema refuses.
func parseListen(path, text string) (listen, error) {
	l := listen{path: path, text: text}
	host, port, err := net.SplitHostPort(text)
	if bad := err != nil || port == "" || strings.Trim(port, "0123456789") != ""; bad {
		return l, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return l, fmt.Errorf("port %s is not between 0 and 65535", port)
	}
	l.port, l.host = uint16(number), host
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && ip.IsUnspecified():
		l.host = "" // a socket on 0.0.0.0 or :: takes both families
	case err == nil:
		l.host = ip.String()
	case strings.HasPrefix(text, "["):
		return l, fmt.Errorf("%q is not an IPv6 address", host)
	}
	return l, nil
}

func (l listen) overlaps(other listen) bool {
	return l.port != 0 && l.port == other.port && (l.host == other.host || l.host == "" || other.host == "")
}

// checkTargets looks into the part of a target that the schema leaves open.
func checkTargets(cfg *configv1.Config, doc *document) {
	for i, b := range cfg.GetBackends() {
		if err := checkTarget(b.GetTarget()); err != nil {
			doc.refuse(fmt.Sprintf("backends[%d].target", i), "%v", err)
		}
	}
}

func checkTarget(target string) error {
	scheme, rest, _ := strings.Cut(target, "://")
	_, endpoint, _ := strings.Cut(rest, "/")
	switch {
	case endpoint == "":
		return nil // for the schema to refuse
	case scheme == "static":
		_, err := static.Parse(target)
		return err
	case scheme == "dns", scheme == "srv":
		return dns.Parse(target)
	case scheme == "file":
		return file.Parse(target)
	case scheme == "consul":
		return consul.Parse(target)
	}
	return nil // for the schema to refuse
}

func checkBackendNames(cfg *configv1.Config, doc *document) {
	first := map[string]string{}
	for i, b := range cfg.GetBackends() {
		path := fmt.Sprintf("backends[%d].name", i)
		if before, ok := first[b.GetName()]; ok {
			doc.refuse(path, "%q is also the name of another backend%s; rename one", b.GetName(), doc.where(before))
			continue
		}
		first[b.GetName()] = path
	}
}

// checkServices wants a service to live in one backend, or in several that are each bound to hosts of their own. Twice in
// one backend is for the schema to refuse.
func checkServices(cfg *configv1.Config, doc *document) {
	type home struct {
		backend *configv1.Backend
		path    string
	}
	homes := map[string][]home{}
	for i, b := range cfg.GetBackends() {
		if len(b.GetServices()) == 0 && b.GetReflection() == nil {
			doc.refuse(fmt.Sprintf("backends[%d].services", i), "needs at least one entry, or the backend reflection, which tells them")
		}
		for j, service := range b.GetServices() {
			path := fmt.Sprintf("backends[%d].services[%d]", i, j)
			for _, before := range homes[service] {
				if before.backend != b && !apart(before.backend, b) {
					doc.refuse(path, "%s is also in backend %q%s; %s",
						service, before.backend.GetName(), doc.where(before.path), remedyForTwo(before.backend, b))
				}
			}
			homes[service] = append(homes[service], home{b, path})
		}
	}
}

// remedyForTwo says how two backends can be told apart that have the same service.
func remedyForTwo(a, b *configv1.Backend) string {
	if a.GetReflection() != nil || b.GetReflection() != nil {
		return "name the services of both, it in one of them, or bind one to hosts"
	}
	return "remove it from one of them, or bind one to hosts"
}

// apart tells whether it is clear which of two backends a host leads to: a bound one wins over one that is not bound.
func apart(a, b *configv1.Backend) bool {
	for _, host := range a.GetHosts() {
		if slices.ContainsFunc(b.GetHosts(), func(other string) bool { return strings.EqualFold(host, other) }) {
			return false
		}
	}
	return len(a.GetHosts())+len(b.GetHosts()) > 0
}

// checkFace wants the backends of a listener to exist.
func checkFace(path string, names []string, cfg *configv1.Config, doc *document) {
	var known []string
	for _, b := range cfg.GetBackends() {
		known = append(known, b.GetName())
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			doc.refuse(fmt.Sprintf("%s[%d]", path, i), "no backend is named %q, expected one of %s%s",
				name, strings.Join(known, ", "), nearest.Hint(name, known))
		}
	}
}

// checkPolicies wants each selector to stand once, and no wildcard to make methods public: one that somebody adds later
// would be so without anybody saying it.
func checkPolicies(path string, rules []*configv1.PolicyRule, doc *document) {
	first := map[string]string{}
	for i, rule := range rules {
		for j, selector := range rule.GetSelectors() {
			place := fmt.Sprintf("%s[%d].selectors[%d]", path, i, j)
			if before, ok := first[selector]; ok {
				doc.refuse(place, "%s stands twice, the first time in %s%s; remove one", selector, before, doc.where(before))
				continue
			}
			first[selector] = place
			if rule.GetPolicy().GetAuth().GetPublic() && strings.HasSuffix(selector, "*") {
				doc.refuse(place, "a wildcard cannot make a method public; name the methods")
			}
		}
	}
}

// checkNetworks refuses what the schema's idea of a network lets through: zones, and addresses that are more than a
// network.
func checkNetworks(path string, networks []string, doc *document) {
	for i, text := range networks {
		place := fmt.Sprintf("%s[%d]", path, i)
		if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() != "" {
			doc.refuse(place, "%s has a zone; remove it", text)
		}
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix != prefix.Masked() {
			doc.refuse(place, "%s is an address within a network; write %s for the network, or %s for the address",
				text, prefix.Masked().String(), prefix.Addr().String())
		}
	}
}

// checkBounds refuses bounds that another bound makes void.
func checkBounds(cfg *configv1.Config, doc *document) {
	call, longest := cfg.GetTimeouts().GetCall().AsDuration(), cfg.GetTimeouts().GetMaxCall().AsDuration()
	if call > longest && longest > 0 {
		doc.refuse("timeouts.call", "%s%s is more than timeouts.max_call, %s%s; lower the one or raise the other",
			FormatDuration(call), doc.where("timeouts.call"), FormatDuration(longest), doc.where("timeouts.max_call"))
	}
	limits := cfg.GetLimits()
	if one, all := limits.GetMaxConnectionsPerClient(), limits.GetMaxConnections(); one > all {
		doc.refuse("limits.max_connections_per_client", "%d is more than limits.max_connections, %d%s; lower the one or raise the other",
			one, all, doc.where("limits.max_connections"))
	}
}
