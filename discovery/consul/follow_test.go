package consul_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/consul"
)

func TestInstance(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{
		ID: "full-1", Name: "full", Address: "::1", Port: 7, Tags: []string{"v1", "eu"}, Meta: map[string]string{"zone": "b", "team": "x"},
		Weights: &api.AgentWeights{Passing: 7, Warning: 2},
	})
	before := time.Now().Add(-time.Second)
	set := next(t, open(t, source(t, consul.Options{Address: a.address()}), "consul:///full"))
	node, err := client.Agent().NodeName()
	must(t, err)
	want := []discovery.Instance{{Address: "[::1]:7", ID: "full-1", Weight: 7, Zone: "b", Metadata: map[string]string{
		"zone": "b", "team": "x", consul.MetadataNode: node, consul.MetadataDatacenter: "dc1", consul.MetadataTags: "v1,eu",
	}}}
	if diff := cmp.Diff(want, set.Instances); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if set.AsOf.Before(before) || set.AsOf.After(time.Now()) {
		t.Errorf("the answer is as of %v, which is not now", set.AsOf)
	}
}

func TestZoneAndAddressOfNode(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	register := func(node, ip string, meta map[string]string, service *api.AgentService, locality *api.Locality) {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: node, Address: ip, NodeMeta: meta, Service: service, Locality: locality,
		}, nil)
		must(t, err)
		t.Cleanup(func() { _, _ = client.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil) })
	}
	register("ext-1", "10.0.0.1", map[string]string{"zone": "of-node"}, &api.AgentService{ID: "1", Service: "external", Port: 1}, nil)
	register("ext-2", "10.0.0.2", nil, &api.AgentService{ID: "2", Service: "external"}, nil) // No port.
	register("ext-3", "10.0.0.3", nil, &api.AgentService{ID: "3", Service: "external", Port: 3}, &api.Locality{Region: "r", Zone: "of-locality"})
	set := next(t, open(t, source(t, consul.Options{Address: a.address()}), "consul:///external"))
	got := map[string]string{}
	for _, i := range set.Instances {
		got[i.Address] = i.Zone
		if i.Weight != 1 {
			t.Errorf("the weight of %s is %d; nobody said one", i.ID, i.Weight)
		}
	}
	if diff := cmp.Diff(map[string]string{"10.0.0.1:1": "of-node", "10.0.0.3:3": "of-locality"}, got); diff != "" {
		t.Errorf("zones by address: -want +got\n%s", diff)
	}
}

func TestInstancesWithoutPortAreNoSet(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "portless-1", Name: "portless"}))
	t.Cleanup(func() { _ = client.Agent().ServiceDeregister("portless-1") })
	got := refused(t, open(t, source(t, consul.Options{Address: a.address()}), "consul:///portless"))
	if !strings.Contains(got, "none of the 1 instances has both an address and a port") {
		t.Error(got)
	}
}

// TestChangeWakes registers, fails and deregisters while a query waits, and expects each to be known within a second.
func TestChangeWakes(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "wake-1", Name: "wake"})
	w := open(t, source(t, consul.Options{Address: a.address()}), "consul:///wake")
	next(t, w)
	for _, step := range []struct {
		what string
		do   func()
		is   func(discovery.Set) bool
	}{
		{"registered", func() { put(t, client, api.AgentServiceRegistration{ID: "wake-2", Name: "wake", Port: 2}) }, has("wake-2")},
		{"failed", func() { say(t, client, "wake-1", api.HealthCritical) }, unhealthy("wake-1", "check service:wake-1 is critical")},
		{"recovered", func() { say(t, client, "wake-1", api.HealthPassing) }, unhealthy("wake-1", "")},
		{"deregistered", func() { must(t, client.Agent().ServiceDeregister("wake-2")) }, func(s discovery.Set) bool { return !has("wake-2")(s) }},
	} {
		var done time.Time
		var changing sync.WaitGroup
		timer := time.NewTimer(300 * time.Millisecond) // The query waits by then.
		changing.Go(func() {
			<-timer.C
			step.do()
			done = time.Now()
		})
		follow(t, w, step.what, step.is)
		known := time.Now()
		changing.Wait()
		if late := known.Sub(done); late > time.Second {
			t.Errorf("%s: known after %v", step.what, late)
		}
	}
}

func TestStatus(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "status-1", Name: "status", Weights: &api.AgentWeights{Passing: 10, Warning: 3}})
	put(t, client, api.AgentServiceRegistration{ID: "status-2", Name: "status", Port: 2, Weights: &api.AgentWeights{Passing: 10, Warning: 0}})
	s := source(t, consul.Options{Address: a.address()})
	strict, lenient := open(t, s, "consul:///status"), open(t, s, "consul:///status?healthy=warning")
	for _, step := range []struct {
		status          string
		strict, lenient string
		one, two        uint32
	}{
		{api.HealthPassing, "", "", 10, 10},
		{api.HealthWarning, "check service:status-1 is warning", "", 3, 0},
		{api.HealthCritical, "check service:status-1 is critical", "check service:status-1 is critical", 10, 10},
	} {
		say(t, client, "status-1", step.status)
		say(t, client, "status-2", step.status)
		weights := func(set discovery.Set) bool {
			one, _ := byID(set, "status-1")
			two, _ := byID(set, "status-2")
			return one.Weight == step.one && two.Weight == step.two
		}
		follow(t, strict, step.status, func(s discovery.Set) bool { return unhealthy("status-1", step.strict)(s) && weights(s) })
		follow(t, lenient, step.status, func(s discovery.Set) bool { return unhealthy("status-1", step.lenient)(s) && weights(s) })
	}
}

func TestHealthyComesFirst(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "first-1", Name: "first"})
	put(t, client, api.AgentServiceRegistration{ID: "first-2", Name: "first"}) // Of the same address.
	say(t, client, "first-1", api.HealthCritical)
	w := open(t, source(t, consul.Options{Address: a.address()}), "consul:///first")
	set := follow(t, w, "critical", unhealthy("first-1", "check service:first-1 is critical"))
	if set.Instances[0].ID != "first-2" {
		t.Errorf("the first is %s", set.Instances[0].ID)
	}
}

func TestMaintenance(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "maint-1", Name: "maint"})
	w := open(t, source(t, consul.Options{Address: a.address()}), "consul:///maint?healthy=warning")
	must(t, client.Agent().EnableServiceMaintenance("maint-1", "why"))
	follow(t, w, "the service in maintenance", unhealthy("maint-1", "the service is in maintenance"))
	must(t, client.Agent().DisableServiceMaintenance("maint-1"))
	follow(t, w, "no longer", unhealthy("maint-1", ""))
	must(t, client.Agent().EnableNodeMaintenance("why"))
	follow(t, w, "the node in maintenance", unhealthy("maint-1", "the node is in maintenance"))
	must(t, client.Agent().DisableNodeMaintenance())
	follow(t, w, "no longer", unhealthy("maint-1", ""))
}

func TestTagsAndNear(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "tag-1", Name: "tag", Tags: []string{"v1", "eu"}})
	put(t, client, api.AgentServiceRegistration{ID: "tag-2", Name: "tag", Port: 2, Tags: []string{"v1"}})
	s := source(t, consul.Options{Address: a.address()})
	for target, want := range map[string]int{
		"consul:///tag":                          2,
		"consul:///tag?tag=v1":                   2,
		"consul:///tag?tag=v1&tag=eu":            1,
		"consul:///tag?tag=v2":                   0,
		"consul:///tag?near=_agent&dc=dc1":       2,
		"consul://" + a.address() + "/tag":       2,
		"consul:///no-such-service":              0,
		"consul:///tag?near=no-such-node&tag=v1": 2,
	} {
		if got := next(t, open(t, s, target)); len(got.Instances) != want {
			t.Errorf("%s: %d instances, want %d", target, len(got.Instances), want)
		}
	}
	if got := refused(t, open(t, s, "consul:///tag?dc=nowhere")); !strings.Contains(got, "No path to datacenter") {
		t.Error(got)
	}
	if got := refused(t, open(t, s, "consul:///tag?ns=team")); !strings.Contains(got, "Enterprise") {
		t.Error(got)
	}
}

func TestCancelledQueryEndsAtOnce(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "cancel-1", Name: "cancel"})
	w := open(t, source(t, consul.Options{Address: a.address()}), "consul:///cancel")
	next(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := w.Next(ctx)
	if took := time.Since(began); took > 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended after %v with %v", took, err)
	}
}

func TestWaitBoundsAge(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "bound-1", Name: "bound"})
	w := open(t, source(t, consul.Options{Address: a.address(), Wait: 300 * time.Millisecond}), "consul:///bound")
	first := next(t, w)
	second := next(t, w)
	if later := second.AsOf.Sub(first.AsOf); later < 200*time.Millisecond || later > 5*time.Second {
		t.Errorf("nothing changed, and the second answer came after %v", later)
	}
}

func TestFrozenAgentIsAnError(t *testing.T) {
	a := newAgent(t, "").run(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "frozen-1", Name: "frozen"})
	w := open(t, source(t, consul.Options{Address: a.address(), Wait: 200 * time.Millisecond}), "consul:///frozen")
	next(t, w)
	a.signal(t, syscall.SIGSTOP)
	began := time.Now()
	got := refused(t, w)
	a.signal(t, syscall.SIGCONT)
	if !strings.Contains(got, "no answer within 5.2125s: it hangs, or is cut off") {
		t.Error(got)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("noticed after %v", took)
	}
	eventually(t, "an answer", func() bool {
		set, err := w.Next(t.Context())
		return err == nil && len(set.Instances) == 1
	})
}

// conn is what grpc's side of a resolver sees.
type conn struct {
	resolver.ClientConn

	mu     sync.Mutex
	states []resolver.State
}

func (c *conn) UpdateState(s resolver.State) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = append(c.states, s)
	return nil
}

func (*conn) ReportError(error) {}

func (*conn) ParseServiceConfig(string) *serviceconfig.ParseResult { return nil }

// addresses are those of the last state.
func (c *conn) addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.states) == 0 {
		return nil
	}
	var all []string
	for _, e := range c.states[len(c.states)-1].Endpoints {
		all = append(all, e.Addresses[0].Addr)
	}
	return all
}

// TestRestartedAgentKeepsTheSet lets an agent lose its state: its index falls, and it knows no instances.
func TestRestartedAgentKeepsTheSet(t *testing.T) {
	a := newAgent(t, "").run(t)
	client := operator(t, a.address(), "")
	grow(t, client)
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "r-1", Name: "restart", Address: "10.0.0.1", Port: 1}))

	// A wait that is longer than the test: only changes wake.
	r := discovery.NewResolver(source(t, consul.Options{Address: a.address(), Wait: time.Minute}), nil)
	u, err := url.Parse("consul:///restart")
	must(t, err)
	seen := &conn{}
	running, err := r.Build(resolver.Target{URL: *u}, seen, resolver.BuildOptions{})
	must(t, err)
	defer running.Close()
	is := func(want ...string) func() bool { return func() bool { return cmp.Equal(seen.addresses(), want) } }
	eventually(t, "the first set", is("10.0.0.1:1"))

	a.stop()
	eventually(t, "an error", func() bool { return r.Status().Err != nil })
	a.start(t)
	eventually(t, "an empty answer", func() bool {
		err := r.Status().Err
		return err != nil && strings.Contains(err.Error(), "knows no instance")
	})
	if got := seen.addresses(); !cmp.Equal(got, []string{"10.0.0.1:1"}) || len(seen.states) != 1 {
		t.Errorf("an agent that lost its state made it %v", got)
	}
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "r-2", Name: "restart", Address: "10.0.0.2", Port: 2}))
	eventually(t, "the new set", is("10.0.0.2:2"))
	if err := r.Status().Err; err != nil {
		t.Errorf("all is well, but: %v", err)
	}
}
