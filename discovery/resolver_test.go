package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/cardea-gateway/cardea/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry is a source that answers as it is told. Where it is told nothing it blocks.
type registry struct {
	answers chan answer
	asked   int
	closed  int
}

type answer struct {
	set discovery.Set
	err error
}

func (r *registry) Scheme() string { return "test" }

func (r *registry) Open(u *url.URL) (discovery.Watch, error) {
	if u.Path == "/bad" {
		return nil, errors.New("no such target")
	}
	return r, nil
}

func (r *registry) Next(ctx context.Context) (discovery.Set, error) {
	r.asked++
	select {
	case a := <-r.answers:
		return a.set, a.err
	case <-ctx.Done():
		return discovery.Set{}, ctx.Err()
	}
}

func (r *registry) Close() error {
	r.closed++
	return nil
}

// connection is what a resolver tells grpc.
type connection struct {
	resolver.ClientConn

	states []resolver.State
	errors []error
}

func (c *connection) UpdateState(s resolver.State) error {
	c.states = append(c.states, s)
	return nil
}

func (c *connection) ReportError(err error) { c.errors = append(c.errors, err) }

func (c *connection) ParseServiceConfig(string) *serviceconfig.ParseResult { return nil }

// last returns the addresses that grpc was told last.
func (c *connection) last() string {
	if len(c.states) == 0 {
		return ""
	}
	var all []string
	for _, e := range c.states[len(c.states)-1].Endpoints {
		all = append(all, e.Addresses[0].Addr)
	}
	return strings.Join(all, " ")
}

type fixture struct {
	registry *registry
	conn     *connection
	resolver *discovery.Resolver
	running  resolver.Resolver
	log      *bytes.Buffer
}

func target(path string) resolver.Target {
	return resolver.Target{URL: url.URL{Scheme: "test", Path: path}}
}

// watch watches a target, and keeps what it learns in a file if one is named.
func watch(t *testing.T, cache ...string) *fixture {
	t.Helper()
	f := &fixture{registry: &registry{answers: make(chan answer)}, conn: &connection{}, log: &bytes.Buffer{}}
	f.resolver = discovery.NewResolver(f.registry, slog.New(slog.NewTextHandler(f.log, nil)))
	for _, path := range cache {
		f.resolver.Cache(path)
	}
	var err error
	if f.running, err = f.resolver.Build(target("/orders"), f.conn, resolver.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// says has the registry answer, as soon as it is asked.
func (f *fixture) says(a answer) {
	f.registry.answers <- a
	synctest.Wait()
}

func of(addresses ...string) answer {
	var a answer
	for _, address := range addresses {
		a.set.Instances = append(a.set.Instances, discovery.Instance{Address: address, Weight: 1})
	}
	return a
}

func wait(d time.Duration) {
	<-time.NewTimer(d).C
	synctest.Wait()
}

func TestWhatIsKnownStays(t *testing.T) {
	for name, bad := range map[string]answer{
		"an error":         {err: errors.New("no leader")},
		"an empty answer":  {},
		"an error and set": {set: of("c:1").set, err: errors.New("half an answer")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := watch(t)
				defer f.running.Close()
				f.says(of("b:1", "a:1"))
				for range 20 {
					f.says(bad)
				}
				st := f.resolver.Status()
				if f.conn.last() != "a:1 b:1" || len(f.conn.states) != 1 || len(f.conn.errors) != 0 || len(st.Instances) != 2 {
					t.Errorf("grpc was told %q, and of %d errors", f.conn.last(), len(f.conn.errors))
				}
				if st.Err == nil || st.Failures != 20 || time.Since(st.AsOf) < 20*time.Second {
					t.Errorf("it is not shown: %+v", st)
				}
				if got := strings.Count(f.log.String(), "\n"); got != 1 {
					t.Errorf("%d lines in the log, want one: %s", got, f.log)
				}
				f.says(of("c:1"))
				if st := f.resolver.Status(); f.conn.last() != "c:1" || st.Err != nil || time.Since(st.AsOf) > 0 {
					t.Errorf("it does not follow afterwards: %q, %+v", f.conn.last(), st)
				}
				if got := strings.Count(f.log.String(), "\n"); got != 2 {
					t.Errorf("%d lines in the log, want another one: %s", got, f.log)
				}
			})
		})
	}
}

func TestNothingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		defer f.running.Close()
		f.says(answer{err: errors.New("connection refused")})
		f.says(answer{})
		if len(f.conn.errors) != 2 || !strings.Contains(f.conn.errors[0].Error(), "connection refused") ||
			!strings.Contains(f.conn.errors[1].Error(), "knows no instance") {
			t.Errorf("grpc was told %v", f.conn.errors)
		}
	})
}

// TestRate expects five questions a second at most of a registry that answers at once, and few of one that fails.
func TestRate(t *testing.T) {
	for name, tc := range map[string]struct {
		answer      answer
		least, most int
	}{
		"answers at once":           {of("a:1"), 48, 51},
		"fails":                     {answer{err: errors.New("x")}, 6, 10},
		"is looked at again":        {answer{set: discovery.Set{Instances: of("a:1").set.Instances, After: 3 * time.Second}}, 4, 4},
		"is polled without a pause": {answer{set: discovery.Set{Instances: of("a:1").set.Instances, After: time.Millisecond}}, 48, 51},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := watch(t)
				defer f.running.Close()
				end := time.Now().Add(10 * time.Second)
				answered := 0
				for time.Now().Before(end) {
					timer := time.NewTimer(time.Until(end))
					select {
					case f.registry.answers <- tc.answer:
						answered++
					case <-timer.C:
					}
					timer.Stop()
				}
				if answered < tc.least || answered > tc.most {
					t.Errorf("%d questions in ten seconds, want %d to %d", answered, tc.least, tc.most)
				}
			})
		})
	}
}

func TestGRPCWantsToKnowNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		defer f.running.Close()
		poll := of("a:1")
		poll.set.After = time.Hour
		f.says(poll)
		for range 3 {
			before := time.Now()
			f.running.ResolveNow(resolver.ResolveNowOptions{})
			f.running.ResolveNow(resolver.ResolveNowOptions{})
			f.says(poll)
			if took := time.Since(before); took > time.Second {
				t.Errorf("it was asked after %s", took)
			}
		}
		wait(time.Minute)
		if f.registry.asked > 5 {
			t.Errorf("it was asked %d times", f.registry.asked)
		}
	})
}

func TestBrokenConnectionsDoNotHurryABrokenRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		defer f.running.Close()
		for range 10 {
			f.says(answer{err: errors.New("x")})
		}
		before := time.Now()
		f.running.ResolveNow(resolver.ResolveNowOptions{})
		f.says(answer{err: errors.New("x")})
		if took := time.Since(before); took < time.Second {
			t.Errorf("it was asked again after %s", took)
		}
	})
}

// TestTheSameOfTwo has a registry tell an address twice, in one order and the other.
func TestTheSameOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		defer f.running.Close()
		a := discovery.Instance{Address: "a:1", ID: "old", Weight: 9, Unhealthy: "gone"}
		b := discovery.Instance{Address: "a:1", ID: "new", Weight: 1}
		for range 3 {
			f.says(answer{set: discovery.Set{Instances: []discovery.Instance{a, b}}})
			f.says(answer{set: discovery.Set{Instances: []discovery.Instance{b, a}}})
		}
		if len(f.conn.states) != 1 || discovery.Of(f.conn.states[0].Endpoints[0]).ID != "new" {
			t.Errorf("published %d times, the first one: %+v", len(f.conn.states), f.conn.states[0])
		}
	})
}

func TestOnlyChangesArePublished(t *testing.T) {
	full := discovery.Instance{Address: "a:1", ID: "1", Weight: 2, Zone: "z", Unhealthy: "x", Metadata: map[string]string{"k": "v"}}
	for name, tc := range map[string]struct {
		change func(*discovery.Instance)
		want   int
	}{
		"nothing":   {func(*discovery.Instance) {}, 1},
		"address":   {func(i *discovery.Instance) { i.Address = "b:1" }, 2},
		"id":        {func(i *discovery.Instance) { i.ID = "2" }, 2},
		"weight":    {func(i *discovery.Instance) { i.Weight = 3 }, 2},
		"zone":      {func(i *discovery.Instance) { i.Zone = "y" }, 2},
		"unhealthy": {func(i *discovery.Instance) { i.Unhealthy = "" }, 2},
		"metadata":  {func(i *discovery.Instance) { i.Metadata = map[string]string{"k": "w"} }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := watch(t)
				defer f.running.Close()
				other := discovery.Instance{Address: "z:1", Weight: 1}
				f.says(answer{set: discovery.Set{Instances: []discovery.Instance{full, other}}})
				changed := full
				tc.change(&changed)
				f.says(answer{set: discovery.Set{Instances: []discovery.Instance{other, changed, other}}}) // Another order, one twice.
				if len(f.conn.states) != tc.want {
					t.Errorf("published %d times, want %d", len(f.conn.states), tc.want)
				}
			})
		})
	}
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		defer f.running.Close()
		old := of("a:1")
		old.set.AsOf = time.Now().Add(-time.Minute)
		f.says(old)
		if st := f.resolver.Status(); time.Since(st.AsOf) != time.Minute {
			t.Errorf("a registry that answers from a copy of a minute ago: %s", time.Since(st.AsOf))
		}
		changed := f.resolver.Status().Changed
		f.says(of("a:1"))
		if st := f.resolver.Status(); time.Since(st.AsOf) != 0 || !st.Changed.Equal(changed) {
			t.Errorf("confirmed: %s, changed %s", time.Since(st.AsOf), st.Changed)
		}
	})
}

func TestInherit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := watch(t)
		first.says(of("a:1"))
		first.says(answer{err: errors.New("no leader")})
		second := &fixture{registry: &registry{answers: make(chan answer)}, conn: &connection{}}
		second.resolver = discovery.NewResolver(second.registry, nil)
		second.resolver.Inherit(first.resolver.Status())
		first.running.Close()
		wait(time.Minute)
		var err error
		if second.running, err = second.resolver.Build(target("/orders"), second.conn, resolver.BuildOptions{}); err != nil {
			t.Fatal(err)
		}
		defer second.running.Close()
		second.says(answer{})
		if st := second.resolver.Status(); second.conn.last() != "a:1" || st.Err == nil || time.Since(st.AsOf) < time.Minute {
			t.Errorf("grpc was told %q: %+v", second.conn.last(), st)
		}
		second.says(of("b:1"))
		if second.conn.last() != "b:1" {
			t.Errorf("it does not follow: %q", second.conn.last())
		}
	})
}

func TestCloseEndsAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := watch(t)
		synctest.Wait()
		f.running.Close()
		if f.registry.closed != 1 || f.registry.asked != 1 {
			t.Errorf("asked %d times, closed %d times", f.registry.asked, f.registry.closed)
		}
	})
}

func TestBadTarget(t *testing.T) {
	r := discovery.NewResolver(&registry{}, nil)
	if _, err := r.Build(target("/bad"), &connection{}, resolver.BuildOptions{}); err == nil {
		t.Error("accepted")
	}
	if got := r.OverrideAuthority(target("/orders")); got != "orders" {
		t.Errorf("authority %q", got)
	}
}

func TestEndpoints(t *testing.T) {
	i := discovery.Instance{Address: "a:1", ID: "1", Weight: 7, Zone: "z", Metadata: map[string]string{"k": "v"}}
	e := discovery.Endpoint(i)
	if diff := cmp.Diff(i, discovery.Of(e)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := weight.FromEndpoint(e).Weight; got != 7 {
		t.Errorf("grpc sees the weight %d", got)
	}
	foreign := resolver.Endpoint{Addresses: []resolver.Address{{Addr: "b:1"}}}
	if diff := cmp.Diff(discovery.Instance{Address: "b:1", Weight: 1}, discovery.Of(foreign)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := discovery.Of(resolver.Endpoint{}); got.Address != "" {
		t.Errorf("an endpoint without an address: %+v", got)
	}
}
