package weighted_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver/manual"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/internal/pipetest"
	"github.com/cardea-gateway/cardea/discovery/balancer/weighted"
)

// fleet is servers that count their calls, and a client that calls them.
type fleet struct {
	t        *testing.T
	resolver *manual.Resolver
	client   healthv1.HealthClient
	conn     *grpc.ClientConn

	mu      sync.Mutex
	servers map[string]*server
	dials   map[string]int
	served  map[string]int
}

// server is one that runs.
type server struct {
	dial func(context.Context) (net.Conn, error)
	stop func()
}

// newFleet returns a client of servers that are not there yet, and that no registry lists.
func newFleet(t *testing.T, config string) *fleet {
	t.Helper()
	f := &fleet{
		t: t, resolver: manual.NewBuilderWithScheme("fleet"),
		servers: map[string]*server{}, dials: map[string]int{}, served: map[string]int{},
	}
	conn, err := grpc.NewClient("fleet:///", grpc.WithResolvers(f.resolver), grpc.WithContextDialer(f.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:%s}]}`, weighted.Name, config)))
	if err != nil {
		t.Fatal(err)
	}
	f.conn, f.client = conn, healthv1.NewHealthClient(conn)
	t.Cleanup(func() {
		conn.Close()
		for _, name := range slices.Collect(maps.Keys(f.servers)) {
			f.stop(name)
		}
	})
	return f
}

// start starts servers in memory, each on an address that is its name.
func (f *fleet) start(names ...string) {
	for _, name := range names {
		lis := pipetest.Listen()
		f.serve(name, name, lis, lis.DialContext)
	}
}

// startTCP starts a server on loopback and returns its address.
func (f *fleet) startTCP(name string) string {
	f.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	address := lis.Addr().String()
	f.serve(address, name, lis, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	})
	return address
}

func (f *fleet) serve(address, name string, lis net.Listener, dial func(context.Context) (net.Conn, error)) {
	srv := grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			f.mu.Lock()
			f.served[name]++
			f.mu.Unlock()
			return next(ctx, req)
		}))
	healthv1.RegisterHealthServer(srv, health.NewServer())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[address] = &server{dial, func() {
		srv.Stop()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	}}
}

// stop ends servers, with their connections.
func (f *fleet) stop(addresses ...string) {
	for _, address := range addresses {
		f.mu.Lock()
		gone := f.servers[address]
		delete(f.servers, address)
		f.mu.Unlock()
		gone.stop()
	}
}

func (f *fleet) dial(ctx context.Context, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dials[address]++
	there := f.servers[address]
	f.mu.Unlock()
	if there == nil {
		return nil, fmt.Errorf("nobody listens on %s", address)
	}
	return there.dial(ctx)
}

func (f *fleet) resolve(instances ...discovery.Instance) { f.resolver.UpdateState(state(instances)) }

// call makes calls, some of them at a time, and returns who served them.
func (f *fleet) call(calls int) map[string]int {
	f.t.Helper()
	f.mu.Lock()
	clear(f.served)
	f.mu.Unlock()
	var running sync.WaitGroup
	var begun atomic.Int64
	for range 4 {
		running.Go(func() {
			for begun.Add(1) <= int64(calls) {
				if _, err := f.client.Check(f.t.Context(), &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
					f.t.Errorf("a call failed: %v", err)
				}
			}
		})
	}
	running.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.served)
}

// await calls until all of the servers have answered.
func (f *fleet) await(names ...string) {
	f.t.Helper()
	for got := map[string]int{}; f.t.Context().Err() == nil; {
		maps.Copy(got, f.call(10))
		if !slices.ContainsFunc(names, func(name string) bool { return got[name] == 0 }) {
			return
		}
	}
	f.t.Fatal("not all answer")
}

func TestServersCountTheirShares(t *testing.T) {
	f := newFleet(t, "{}")
	f.resolve(at(f.startTCP("a"), 7), at(f.startTCP("b"), 2), at(f.startTCP("c"), 1), at(f.startTCP("d"), 0))
	f.await("a", "b", "c")
	compare(t, f.call(10_000), 10_000, 0.2, "a 70, b 20, c 10")
}

func TestServersTakeTurns(t *testing.T) {
	f := newFleet(t, "{}")
	f.resolve(at(f.startTCP("a"), 3), at(f.startTCP("b"), 3), at(f.startTCP("c"), 3), at(f.startTCP("d"), 3))
	f.await("a", "b", "c", "d")
	compare(t, f.call(10_000), 10_000, 0.02, "a 25, b 25, c 25, d 25")
}

// TestServerIsLostAndComesBack goes through grpc's own pauses between connections.
func TestServerIsLostAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, `{"slowStart":"20s"}`)
		f.start("a", "b", "c")
		f.resolve(at("a", 7), at("b", 2), at("c", 1))
		f.await("a", "b", "c")
		compare(t, f.call(1000), 1000, 1, "a 70, b 20, c 10")
		pass(time.Minute)

		f.stop("a")
		synctest.Wait()
		compare(t, f.call(1000), 1000, 1, "b 66.7, c 33.3")
		pass(30 * time.Second)
		compare(t, f.call(1000), 1000, 1, "b 66.7, c 33.3")

		f.start("a")
		for f.call(20)["a"] == 0 {
			pass(100 * time.Millisecond)
		}
		compare(t, f.call(1000), 1000, 1, "a 18.9, b 54.1, c 27")
		pass(10 * time.Second)
		compare(t, f.call(1000), 1000, 1, "a 56.2, b 29.2, c 14.6")
		pass(10 * time.Second)
		compare(t, f.call(1000), 1000, 1, "a 70, b 20, c 10")
	})
}

func TestServersOfZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, `{"preferZone":"x"}`)
		f.start("a", "b", "c", "d", "e")
		f.resolve(in("x", "a", 1), in("x", "b", 1), in("x", "c", 2), in("y", "d", 3), in("z", "e", 1))
		f.await("a", "b", "c")
		synctest.Wait()
		compare(t, f.call(1000), 1000, 1, "a 25, b 25, c 50")
		f.stop("a")
		synctest.Wait()
		compare(t, f.call(1000), 1000, 1, "b 33.3, c 66.7")
		f.stop("c")
		synctest.Wait()
		compare(t, f.call(1000), 1000, 1, "b 35, d 48.75, e 16.25")
		f.stop("b")
		synctest.Wait()
		compare(t, f.call(1000), 1000, 1, "d 75, e 25")
		f.start("b")
		f.stop("d", "e")
		synctest.Wait()
		f.await("b")
		compare(t, f.call(1000), 1000, 0, "b 100")
	})
}

func TestNewWeightsKeepConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "{}")
		f.start("a", "b", "c")
		f.resolve(at("a", 7), at("b", 2), at("c", 1))
		f.await("a", "b", "c")
		for weights, want := range map[[3]uint32]string{
			{1, 2, 7}: "a 10, b 20, c 70",
			{0, 1, 1}: "b 50, c 50",
			{4, 4, 4}: "a 33.3, b 33.3, c 33.3",
		} {
			f.resolve(in("new", "a", weights[0]), at("b", weights[1]), at("c", weights[2]))
			compare(t, f.call(1000), 1000, 1, want)
		}
		if want := map[string]int{"a": 1, "b": 1, "c": 1}; !maps.Equal(f.dials, want) {
			t.Errorf("connections: %v", f.dials)
		}
	})
}

// TestFlapping has 500 instances come and go in the registry while calls are under way; some of them refuse connections for long.
// It must cost no call and leave nothing behind.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const instances = 500
		f := newFleet(t, `{"slowStart":"1s","preferZone":"zone 1"}`)
		f.start("stays")
		rng := rand.New(rand.NewPCG(5, 6))
		var callers sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 4 {
			callers.Go(func() { callUntil(ctx, f) })
		}
		for range 10 {
			set := []discovery.Instance{in("zone 0", "stays", 1)}
			for i := range instances {
				name := fmt.Sprint("flaps ", i)
				f.mu.Lock()
				_, runs := f.servers[name]
				f.mu.Unlock()
				if !runs && rng.IntN(5) == 0 {
					f.start(name)
				}
				if rng.IntN(2) == 0 {
					set = append(set, in(fmt.Sprint("zone ", i%3), name, rng.Uint32N(4)))
				}
			}
			f.resolve(set...)
			pass(time.Duration(rng.IntN(400)) * time.Millisecond)
		}
		cancel()
		callers.Wait()
		f.resolve(at("stays", 1))
		f.await("stays")
		compare(t, f.call(100), 100, 0, "stays 100")
		if got := f.conn.GetState(); got != connectivity.Ready {
			t.Errorf("in the end: %v", got)
		}
	})
}

// callUntil calls all the time, a little apart.
func callUntil(ctx context.Context, f *fleet) {
	for ctx.Err() == nil {
		_, err := f.client.Check(ctx, &healthv1.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err != nil && ctx.Err() == nil {
			f.t.Errorf("a call failed: %v", err)
		}
		<-time.NewTimer(time.Millisecond).C
	}
}
