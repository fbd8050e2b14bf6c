package weighted_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/weighted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// in returns an instance of a zone.
func in(zone, address string, weight uint32) discovery.Instance {
	return discovery.Instance{Address: address, Weight: weight, Zone: zone}
}

func at(address string, weight uint32) discovery.Instance { return in("", address, weight) }

func state(instances []discovery.Instance) resolver.State {
	var s resolver.State
	for _, i := range instances {
		s.Endpoints = append(s.Endpoints, discovery.Endpoint(i))
	}
	return s
}

// channel is a grpc connection as a balancer sees it, whose connections do as the test says.
type channel struct {
	balancer.ClientConn
	balancer.Balancer

	tb     testing.TB
	config serviceconfig.LoadBalancingConfig
	subs   map[string]*sub

	mu      sync.Mutex // The balancer's timer calls, too.
	state   balancer.State
	updates int
}

// sub is a connection. It tries to connect until the test lets it.
type sub struct {
	balancer.SubConn

	channel *channel
	address string
	state   func(balancer.SubConnState)
	health  func(balancer.SubConnState)
}

// build returns a channel with a balancer and its configuration, if it has any.
func build(tb testing.TB, name, config string) *channel {
	tb.Helper()
	c := &channel{tb: tb, subs: map[string]*sub{}}
	if config != "" {
		parsed, err := parse(config)
		if err != nil {
			tb.Fatal(err)
		}
		c.config = parsed
	}
	c.Balancer = balancer.Get(name).Build(c, balancer.BuildOptions{})
	return c
}

func (c *channel) NewSubConn(addresses []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	s := &sub{channel: c, address: addresses[0].Addr, state: opts.StateListener}
	c.subs[s.address] = s
	return s, nil
}

func (c *channel) UpdateState(s balancer.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
	c.updates++
}

// told returns what the balancer said last, and how often it has said anything.
func (c *channel) told() (balancer.State, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.updates
}

// pick is what a call gets.
func (c *channel) pick() (balancer.PickResult, error) {
	s, _ := c.told()
	return s.Picker.Pick(balancer.PickInfo{})
}

func (c *channel) connectivity() connectivity.State {
	s, _ := c.told()
	return s.ConnectivityState
}

func (c *channel) updated() int {
	_, n := c.told()
	return n
}

func (*channel) ResolveNow(resolver.ResolveNowOptions) {}

func (*sub) Connect() {}

func (s *sub) Shutdown() { delete(s.channel.subs, s.address) }

func (s *sub) RegisterHealthListener(health func(balancer.SubConnState)) { s.health = health }

// become takes the connections to a state, all of them if none is named.
func (c *channel) become(state connectivity.State, addresses ...string) {
	c.tb.Helper()
	if len(addresses) == 0 {
		addresses = slices.Collect(maps.Keys(c.subs))
	}
	for _, address := range addresses {
		c.subs[address].state(balancer.SubConnState{ConnectivityState: state, ConnectionError: errors.New("it said no")})
		if state == connectivity.Ready {
			c.subs[address].health(balancer.SubConnState{ConnectivityState: state})
		}
	}
}

// lose breaks connections, and waits until they are being made anew: grpc begins with that in the background.
func (c *channel) lose(addresses ...string) {
	c.tb.Helper()
	c.become(connectivity.Idle, addresses...)
	synctest.Wait()
}

// judge makes a connection healthy or not in the eyes of a balancer around.
func (c *channel) judge(address string, state connectivity.State) {
	c.subs[address].health(balancer.SubConnState{ConnectivityState: state})
}

func (c *channel) resolve(instances ...discovery.Instance) {
	c.tb.Helper()
	err := c.UpdateClientConnState(balancer.ClientConnState{ResolverState: state(instances), BalancerConfig: c.config})
	if err != nil {
		c.tb.Error(err)
	}
}

// want picks and expects parts of the picks, in percent, such as "a 70, b 20, c 10"; those that are not named get none.
func (c *channel) want(want string) {
	c.tb.Helper()
	const picks = 10_000
	got := map[string]int{}
	for range picks {
		result, err := c.pick()
		if err != nil {
			c.tb.Fatal(err)
		}
		got[result.SubConn.(*sub).address]++
	}
	compare(c.tb, got, picks, 0.2, want)
}

// compare expects parts of a total in percent, give or take some.
func compare(tb testing.TB, got map[string]int, total int, tolerance float64, want string) {
	tb.Helper()
	parts := map[string]float64{}
	for address := range got {
		parts[address] = 0
	}
	for field := range strings.SplitSeq(want, ", ") {
		var address string
		var part float64
		if _, err := fmt.Sscan(field, &address, &part); err != nil {
			tb.Fatal(err)
		}
		parts[address] = part
	}
	for address, part := range parts {
		off := 100*float64(got[address])/float64(total) - part
		if max(off, -off) > tolerance || part == 0 && got[address] > 0 {
			tb.Errorf("%s got %d calls of %d, want %s", address, got[address], total, want)
		}
	}
}

// ready returns a channel whose instances are ready.
func ready(tb testing.TB, config string, instances ...discovery.Instance) *channel {
	tb.Helper()
	c := build(tb, weighted.Name, config)
	c.resolve(instances...)
	c.become(connectivity.Ready)
	return c
}

// pass lets time go by, which takes none where it is fake.
func pass(d time.Duration) {
	<-time.NewTimer(d).C
	synctest.Wait()
}

func TestWeights(t *testing.T) {
	for name, test := range map[string]struct {
		instances []discovery.Instance
		want      string
	}{
		"7:2:1":               {[]discovery.Instance{at("a", 7), at("b", 2), at("c", 1)}, "a 70, b 20, c 10"},
		"equal":               {[]discovery.Instance{at("a", 5), at("b", 5), at("c", 5), at("d", 5)}, "a 25, b 25, c 25, d 25"},
		"giants":              {[]discovery.Instance{at("a", 1<<32-1), at("b", 1<<32-1), at("c", 1<<31)}, "a 40, b 40, c 20"},
		"one has none":        {[]discovery.Instance{at("a", 0), at("b", 1), at("c", 1)}, "b 50, c 50"},
		"all have none":       {[]discovery.Instance{at("a", 0), at("b", 0)}, "a 50, b 50"},
		"the only one":        {[]discovery.Instance{at("a", 3)}, "a 100"},
		"the only one, of 0":  {[]discovery.Instance{at("a", 0)}, "a 100"},
		"zones do not matter": {[]discovery.Instance{in("x", "a", 7), in("y", "b", 2), in("", "c", 1)}, "a 70, b 20, c 10"},
	} {
		t.Run(name, func(t *testing.T) {
			c := ready(t, "{}", test.instances...)
			defer c.Close()
			c.want(test.want)
		})
	}
}

// TestZeroIsNotInTheWay expects that the others still take turns.
func TestZeroIsNotInTheWay(t *testing.T) {
	c := ready(t, "{}", at("a", 0), at("b", 1), at("c", 1), at("d", 0))
	defer c.Close()
	last := ""
	for range 100 {
		result, err := c.pick()
		if err != nil || result.SubConn.(*sub).address == last {
			t.Fatalf("%s was called twice in a row: %v", last, err)
		}
		last = result.SubConn.(*sub).address
	}
}

// TestEndpointsOfOthers expects that instances that no registry has found count the same.
func TestEndpointsOfOthers(t *testing.T) {
	c := build(t, weighted.Name, "")
	defer c.Close()
	err := c.UpdateClientConnState(balancer.ClientConnState{ResolverState: resolver.State{Endpoints: []resolver.Endpoint{
		{Addresses: []resolver.Address{{Addr: "a"}}}, {Addresses: []resolver.Address{{Addr: "b"}}},
	}}})
	if err != nil {
		t.Error(err)
	}
	c.become(connectivity.Ready)
	c.want("a 50, b 50")
}

func TestOnlyReadyInstancesArePicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := build(t, weighted.Name, "{}")
		defer c.Close()
		c.resolve(at("a", 7), at("b", 2), at("c", 1))
		if c.connectivity() != connectivity.Connecting {
			t.Errorf("at first: %v", c.connectivity())
		}
		if _, err := c.pick(); !errors.Is(err, balancer.ErrNoSubConnAvailable) {
			t.Errorf("while connecting, a call gets %v", err)
		}
		c.become(connectivity.Ready, "c")
		c.want("c 100")
		c.become(connectivity.Ready, "b")
		c.want("b 66.7, c 33.3")
		c.become(connectivity.TransientFailure, "a")
		c.want("b 66.7, c 33.3")
		c.become(connectivity.Ready, "a")
		c.want("a 70, b 20, c 10")
		c.lose("b")
		c.want("a 87.5, c 12.5")
		if c.connectivity() != connectivity.Ready {
			t.Errorf("with ready instances: %v", c.connectivity())
		}
	})
}

func TestNobodyReady(t *testing.T) {
	c := build(t, weighted.Name, "{}")
	defer c.Close()
	c.resolve(at("a", 7), at("b", 0))
	c.become(connectivity.TransientFailure)
	_, err := c.pick()
	if c.connectivity() != connectivity.TransientFailure || err == nil || !strings.Contains(err.Error(), "it said no") {
		t.Errorf("%v, a call gets %v", c.connectivity(), err)
	}
}

func TestNoInstance(t *testing.T) {
	c := build(t, weighted.Name, "{}")
	defer c.Close()
	err := c.UpdateClientConnState(balancer.ClientConnState{BalancerConfig: c.config})
	if !errors.Is(err, balancer.ErrBadResolverState) || c.connectivity() != connectivity.TransientFailure {
		t.Errorf("got %v, %v", err, c.connectivity())
	}
	c.ResolverError(errors.New("the registry is down"))
	if _, err := c.pick(); err == nil {
		t.Error("a call without instances succeeds")
	}
}

func TestConfigurationOfAnother(t *testing.T) {
	c := build(t, weighted.Name, "")
	defer c.Close()
	err := c.UpdateClientConnState(balancer.ClientConnState{
		ResolverState: state([]discovery.Instance{at("a", 1)}),
		BalancerConfig: struct {
			serviceconfig.LoadBalancingConfig
		}{},
	})
	if err == nil || !strings.Contains(err.Error(), "got the configuration of another balancer") {
		t.Errorf("got %v", err)
	}
}

func TestResolverChangesTheSet(t *testing.T) {
	c := ready(t, "{}", at("a", 7), at("b", 2), at("c", 1))
	defer c.Close()
	subs := maps.Clone(c.subs)
	c.resolve(at("a", 1), at("b", 1), at("c", 2))
	c.want("a 25, b 25, c 50")
	if !maps.Equal(subs, c.subs) {
		t.Error("new weights made new connections")
	}
	c.resolve(at("a", 1), at("d", 9))
	c.want("a 100")
	c.become(connectivity.Ready, "d")
	c.want("a 10, d 90")
}

// TestSlowStart goes through all ways to become ready.
func TestSlowStart(t *testing.T) {
	const window = 20 * time.Second
	for name, test := range map[string]func(c *channel){
		"new": func(c *channel) {
			c.resolve(at("a", 1))
			c.resolve(at("a", 1), at("b", 1))
			c.become(connectivity.Ready, "b")
		},
		"connection lost": func(c *channel) {
			c.lose("b")
			c.want("a 100")
			c.become(connectivity.Ready, "b")
		},
		"ejected": func(c *channel) {
			c.judge("b", connectivity.TransientFailure)
			c.want("a 100")
			c.judge("b", connectivity.Ready)
		},
		"gone in the registry for a moment": func(c *channel) {
			c.resolve(at("a", 1))
			c.resolve(at("a", 1), at("b", 1))
			c.become(connectivity.Ready, "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := ready(t, `{"slowStart":"20s"}`, at("a", 1), at("b", 1))
				defer c.Close()
				pass(window)
				test(c)
				c.want("a 90.91, b 9.09")
				for i := range 20 {
					pass(window / 20)
					b := 100 * (0.1 + 0.9*float64(i+1)/20)
					c.want(fmt.Sprintf("a %v, b %v", 100*100/(100+b), 100*b/(100+b)))
				}
			})
		})
	}
}

// TestSlowStartOfAll expects that after a start nobody is at an advantage, and that one that comes later is.
func TestSlowStartOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"slowStart":"10s"}`, at("a", 7), at("b", 2), at("c", 1))
		defer c.Close()
		for range 12 {
			c.want("a 70, b 20, c 10")
			pass(time.Second)
		}
	})
}

func TestSlowStartOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := build(t, weighted.Name, `{"slowStart":"10s"}`)
		defer c.Close()
		c.resolve(at("a", 1), at("b", 1))
		c.become(connectivity.Ready, "a")
		c.want("a 100")
		pass(time.Millisecond)
		c.become(connectivity.Ready, "b")
		c.want("a 50, b 50")
	})
}

// TestNewWeightIsNoNewStart expects that an instance that is ready stays warm whatever the registry says.
func TestNewWeightIsNoNewStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"slowStart":"10s"}`, at("a", 1), at("b", 1))
		defer c.Close()
		pass(10 * time.Second)
		c.resolve(in("x", "a", 3), at("b", 1))
		c.want("a 75, b 25")
	})
}

func TestConfigurationChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, "{}", at("a", 1), in("x", "b", 1))
		defer c.Close()
		c.want("a 50, b 50")
		change := func(config string) {
			c.config, _ = parse(config)
			c.resolve(at("a", 1), in("x", "b", 1))
		}
		change(`{"preferZone":"x"}`)
		c.want("b 100")
		change(`{"slowStart":"10s"}`)
		c.want("a 50, b 50")
		pass(10 * time.Second)
		c.lose("b")
		c.become(connectivity.Ready, "b")
		c.want("a 90.91, b 9.09")
		change(`{}`)
		c.want("a 50, b 50")
		change(`{"preferZone":"x"}`)
		c.config = nil
		c.resolve(at("a", 1), in("x", "b", 1))
		c.want("a 50, b 50")
	})
}

// TestTimerRuns only while somebody warms up: grpc hears nothing more afterwards.
func TestTimerRuns(t *testing.T) {
	for _, config := range []string{"{}", `{"slowStart":"100ms"}`, `{"slowStart":"1s"}`, `{"slowStart":"30s"}`, `{"slowStart":"1h"}`} {
		synctest.Test(t, func(t *testing.T) {
			c := ready(t, config, at("a", 1), at("b", 1))
			defer c.Close()
			before := c.updated()
			pass(time.Hour)
			if steps := c.updated() - before; steps > 20 {
				t.Errorf("%s: %d updates in the window", config, steps)
			}
			before = c.updated()
			pass(time.Hour)
			if c.updated() != before {
				t.Errorf("%s: %d updates when all are warm", config, c.updated()-before)
			}
		})
	}
}

func TestTimerEndsWithTheLastInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"slowStart":"30s"}`, at("a", 1))
		defer c.Close()
		c.lose()
		before := c.updated()
		pass(time.Hour)
		if c.updated() != before || c.connectivity() == connectivity.Ready {
			t.Errorf("%d updates, %v", c.updated()-before, c.connectivity())
		}
	})
}

func TestTimerEndsWithTheBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"slowStart":"30s"}`, at("a", 1), at("b", 1))
		c.Close()
		before := c.updated()
		pass(time.Hour)
		if c.updated() != before {
			t.Errorf("%d updates after the end", c.updated()-before)
		}
	})
}

func TestZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"preferZone":"x"}`, in("x", "a", 1), in("x", "b", 1), in("x", "c", 1), in("x", "d", 1), in("y", "e", 3), at("f", 1))
		defer c.Close()
		c.want("a 25, b 25, c 25, d 25")
		c.lose("a")
		c.want("b 33.3, c 33.3, d 33.3")
		c.judge("b", connectivity.TransientFailure)
		c.want("c 35, d 35, e 22.5, f 7.5")
		c.lose("e", "f")
		c.want("c 50, d 50")
		c.become(connectivity.Ready, "e")
		c.lose("c", "d")
		c.want("e 100")
	})
}

// TestZonesAndSlowStart expects that an instance that comes back alone in its zone gets calls as it warms up.
func TestZonesAndSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ready(t, `{"preferZone":"x","slowStart":"9s"}`, in("x", "a", 1), in("y", "b", 1))
		defer c.Close()
		c.want("a 100")
		pass(9 * time.Second)
		c.lose("a")
		c.want("b 100")
		c.become(connectivity.Ready, "a")
		c.want("a 14, b 86")
		pass(9 * time.Second / 2)
		c.want("a 77, b 23")
		pass(9 * time.Second / 2)
		c.want("a 100")
	})
}

func TestPickDoesNotAllocate(t *testing.T) {
	c := ready(t, "{}", at("a", 7), at("b", 2), at("c", 1))
	defer c.Close()
	told, _ := c.told()
	if n := testing.AllocsPerRun(1000, func() { told.Picker.Pick(balancer.PickInfo{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkPick compares with what grpc has for equal weights.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		equal, mixed := make([]discovery.Instance, n), make([]discovery.Instance, n)
		for i := range n {
			equal[i] = at(fmt.Sprint("host:", i), 1)
			mixed[i] = at(fmt.Sprint("host:", i), 1+uint32(i*7919%100))
		}
		for _, bench := range []struct {
			name, balancer string
			instances      []discovery.Instance
		}{
			{"round_robin", roundrobin.Name, equal},
			{"equal", weighted.Name, equal},
			{"mixed", weighted.Name, mixed},
		} {
			c := build(b, bench.balancer, "")
			c.resolve(bench.instances...)
			c.become(connectivity.Ready)
			told, _ := c.told()
			b.Run(fmt.Sprint(bench.name, "/", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					told.Picker.Pick(balancer.PickInfo{})
				}
			})
			b.Run(fmt.Sprint(bench.name, "/", n, "/parallel"), func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						told.Picker.Pick(balancer.PickInfo{})
					}
				})
			})
			c.Close()
		}
	}
}

// BenchmarkUpdate is what the change of one instance's state costs, with what grpc's part of it takes.
func BenchmarkUpdate(b *testing.B) {
	for _, name := range []string{roundrobin.Name, weighted.Name} {
		c := build(b, name, "")
		var instances []discovery.Instance
		for i := range 1000 {
			instances = append(instances, at(fmt.Sprint("host:", i), 1+uint32(i*7919%100)))
		}
		c.resolve(instances...)
		c.become(connectivity.Ready)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.judge("host:1", connectivity.TransientFailure)
				c.judge("host:1", connectivity.Ready)
			}
		})
		c.Close()
	}
}
