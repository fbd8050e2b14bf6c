package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/cardea-gateway/cardea/discovery/static"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// check applies the rules between fields. It leaves alone what a rule of the schema has refused already.
func check(cfg *configv1.Config, doc *document) {
	checkAddresses(cfg, doc)
	checkTargets(cfg, doc)
	checkBackendNames(cfg, doc)
	checkServices(cfg, doc)
	checkSelectors(cfg, doc)
	checkWildcards(cfg, doc)
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
				doc.refuse(path, "%s is taken by %s, %s (%s); use another port",
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
	case scheme == "dns" && !isHostPort(endpoint):
		// Without a port grpc would dial 443, and without a host this machine.
		return fmt.Errorf("%q needs a host and a port from 1 to 65535, such as dns:///orders.internal:50051", target)
	}
	return nil
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

func checkBackendNames(cfg *configv1.Config, doc *document) {
	first := map[string]string{}
	for i, b := range cfg.GetBackends() {
		path := fmt.Sprintf("backends[%d].name", i)
		if before, ok := first[b.GetName()]; ok {
			doc.refuse(path, "%q is also the name of another backend (%s); rename one", b.GetName(), doc.where(before))
			continue
		}
		first[b.GetName()] = path
	}
}

// checkServices wants a service to live in one backend. Twice in one backend is for the schema to refuse.
func checkServices(cfg *configv1.Config, doc *document) {
	type home struct {
		backend int
		path    string
	}
	first := map[string]home{}
	for i, b := range cfg.GetBackends() {
		for j, service := range b.GetServices() {
			path := fmt.Sprintf("backends[%d].services[%d]", i, j)
			before, ok := first[service]
			if ok && before.backend != i {
				doc.refuse(path, "%s is also in backend %q (%s); remove it from one of them",
					service, cfg.GetBackends()[before.backend].GetName(), doc.where(before.path))
			}
			if !ok {
				first[service] = home{i, path}
			}
		}
	}
}

func checkSelectors(cfg *configv1.Config, doc *document) {
	first := map[string]string{}
	for i, rule := range cfg.GetPolicies() {
		for j, selector := range rule.GetSelectors() {
			path := fmt.Sprintf("policies[%d].selectors[%d]", i, j)
			if before, ok := first[selector]; ok {
				doc.refuse(path, "%s stands twice, the first time in %s (%s); remove one", selector, before, doc.where(before))
				continue
			}
			first[selector] = path
		}
	}
}

// checkWildcards keeps methods that somebody adds later from being public without anybody saying so.
func checkWildcards(cfg *configv1.Config, doc *document) {
	for i, rule := range cfg.GetPolicies() {
		if !rule.GetPolicy().GetAuth().GetPublic() {
			continue
		}
		for j, selector := range rule.GetSelectors() {
			if strings.HasSuffix(selector, "*") {
				doc.refuse(fmt.Sprintf("policies[%d].selectors[%d]", i, j),
					"a wildcard cannot make a method public; name the methods")
			}
		}
	}
}
