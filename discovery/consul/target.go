package consul

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/discovery"
)

const (
	form    = "want consul:///service or consul://host:port/service"
	allowed = "allowed are tag, dc, near, healthy, ns and partition"
)

// target is what a consul target asks for.
type target struct {
	agent   string // host:port; empty is the agent of the options.
	service string
	tags    []string
	dc      string
	// near is what keeps an agent from answering out of a copy that it streams from the servers: such an answer says neither how
	// old it is nor whether there is a leader. So it is never empty.
	near      string
	namespace string
	partition string
	warning   bool // An instance with a warning is healthy.
}

// Parse checks a target. It fails, naming the part at fault, where [Source.Open] would.
func Parse(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("consul: target: %w; %s", withoutURL(err), form)
	}
	_, err = parse(u)
	return err
}

// parse does not repeat the query in its errors, nor passwords: people put tokens there.
func parse(u *url.URL) (target, error) {
	t, err := read(u)
	if err != nil {
		shown := url.URL{Scheme: u.Scheme, User: u.User, Opaque: u.Opaque, Host: u.Host, Path: u.Path}
		return target{}, fmt.Errorf("consul: target %s: %w", shown.Redacted(), err)
	}
	return t, nil
}

func read(u *url.URL) (target, error) {
	t := target{agent: u.Host, near: "_agent"}
	switch {
	case u.Scheme != scheme, u.Opaque != "":
		return t, errors.New(form)
	case u.User != nil:
		return t, errors.New("a user in front of the host means nothing to Consul; a token is read from the token file")
	case u.Fragment != "":
		return t, errors.New("a fragment (#) means nothing to Consul")
	}
	if u.Host != "" {
		if err := discovery.CheckAddress(u.Host); err != nil {
			return t, fmt.Errorf("agent %q: %w; %s", u.Host, err, form)
		}
	}
	t.service = strings.TrimPrefix(u.Path, "/")
	if err := checkName(t.service); err != nil {
		return t, fmt.Errorf("service %q: %w; %s", t.service, err, form)
	}
	return t, t.readQuery(u.RawQuery)
}

// checkName accepts what can be one segment of a path of Consul's API.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is missing")
	case name == ".", name == "..", strings.Contains(name, "/"):
		return errors.New("the name has a slash, or is one or two dots")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }):
		return errors.New("the name has characters that can't be seen")
	}
	return nil
}

func (t *target) readQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if err := t.set(name, query[name]); err != nil {
			return fmt.Errorf("parameter %q: %w", name, err)
		}
	}
	return nil
}

func (t *target) set(name string, values []string) error {
	single := map[string]*string{"dc": &t.dc, "near": &t.near, "ns": &t.namespace, "partition": &t.partition}
	place, known := single[name]
	switch {
	case !known && name != "tag" && name != "healthy":
		return errors.New("it means nothing; " + allowed)
	case slices.Contains(values, ""):
		return errors.New("it is empty; give it a value or leave it out")
	case name == "tag":
		t.tags = values
		return nil
	case len(values) > 1:
		return errors.New("it may stand only once; only tag may be repeated")
	case name == "healthy":
		return t.setHealthy(values[0])
	}
	*place = values[0]
	return nil
}

func (t *target) setHealthy(status string) error {
	if status != api.HealthPassing && status != api.HealthWarning {
		return fmt.Errorf("%q is no status; allowed are %s and %s", status, api.HealthPassing, api.HealthWarning)
	}
	t.warning = status == api.HealthWarning
	return nil
}
