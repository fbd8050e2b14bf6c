package weighted_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/weighted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server counts its calls. It is started and stopped as it is told.
type server struct {
	calls atomic.Int64
	lis   *bufconn.Listener
	grpc  *grpc.Server
	done  chan struct{}
}

func (s *server) start() {
	s.lis, s.done = bufconn.Listen(1<<16), make(chan struct{})
	s.grpc = grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		s.calls.Add(1)
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		return stream.SendMsg(&emptypb.Empty{})
	}))
	g, lis, done := s.grpc, s.lis, s.done
	go func() {
		defer close(done)
		_ = g.Serve(lis)
	}()
}

func (s *server) stop() {
	s.grpc.Stop()
	<-s.done
}

type fleet struct {
	t       *testing.T
	servers []*server
	found   *manual.Resolver
	conn    *grpc.ClientConn
}

func start(t *testing.T, config string, instances ...discovery.Instance) *fleet {
	t.Helper()
	f := &fleet{t: t, found: manual.NewBuilderWithScheme("test")}
	for range instances {
		s := &server{}
		s.start()
		f.servers = append(f.servers, s)
	}
	f.found.InitialState(state(instances))
	var err error
	f.conn, err = grpc.NewClient("test:///fleet", grpc.WithResolvers(f.found), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), grpc.WithIdleTimeout(0),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:%s}]}`, weighted.Name, config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			var n int
			if _, err := fmt.Sscanf(address, "s%d:1", &n); err != nil || n >= len(f.servers) {
				return nil, fmt.Errorf("nobody is at %s", address)
			}
			return f.servers[n].lis.DialContext(ctx)
		}))
	if err != nil {
		t.Fatal(err)
	}
	f.conn.Connect()
	return f
}

// stop ends everything but those servers that have ended.
func (f *fleet) stop() {
	f.conn.Close()
	for _, s := range f.servers {
		s.stop()
	}
}

func state(instances []discovery.Instance) resolver.State {
	var s resolver.State
	for n, i := range instances {
		if i.Address == "" {
			i.Address = fmt.Sprintf("s%d:1", n)
		}
		s.Endpoints = append(s.Endpoints, discovery.Endpoint(i))
	}
	return s
}

// spread makes calls, one after the other, and returns how many each server got.
func (f *fleet) spread(calls int) []int64 {
	f.t.Helper()
	before := make([]int64, len(f.servers))
	for i, s := range f.servers {
		before[i] = s.calls.Load()
	}
	for range calls {
		if err := f.conn.Invoke(f.t.Context(), "/test.Service/Get", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(true)); err != nil {
			f.t.Fatal(err)
		}
	}
	counts := make([]int64, len(f.servers))
	for i, s := range f.servers {
		counts[i] = s.calls.Load() - before[i]
	}
	return counts
}

func wait(d time.Duration) { <-time.NewTimer(d).C }

func near(got, want, off int64) bool { return got >= want-off && got <= want+off }

func weights(all ...uint32) []discovery.Instance {
	instances := make([]discovery.Instance, len(all))
	for i, w := range all {
		instances[i].Weight = w
	}
	return instances
}

func TestServersGetTheirShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, `{}`, weights(7, 2, 1)...)
		defer f.stop()
		wait(time.Second)
		if got := f.spread(1000); !near(got[0], 700, 3) || !near(got[1], 200, 3) || !near(got[2], 100, 3) {
			t.Errorf("7:2:1 gave %v", got)
		}
		f.found.UpdateState(state(weights(1, 0, 1)))
		wait(time.Second)
		if got := f.spread(1000); !near(got[0], 500, 3) || got[1] != 0 {
			t.Errorf("1:0:1 gave %v", got)
		}
		f.found.UpdateState(state(weights(0, 0, 0)))
		wait(time.Second)
		if got := f.spread(999); !near(got[0], 333, 3) || !near(got[1], 333, 3) {
			t.Errorf("no weights at all gave %v", got)
		}
	})
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, `{"slowStart":"100s"}`, weights(1, 1, 1)...)
		defer f.stop()
		wait(time.Second)
		if got := f.spread(999); !near(got[0], 333, 3) || !near(got[1], 333, 3) {
			t.Errorf("a fleet that is new as a whole: %v", got)
		}
		wait(200 * time.Second)
		f.servers[2].stop()
		wait(time.Second)
		if got := f.spread(1000); !near(got[0], 500, 3) || got[2] != 0 {
			t.Errorf("one is gone: %v", got)
		}
		f.servers[2].start()
		wait(200 * time.Millisecond)
		for f.conn.Connect(); f.spread(100)[2] == 0; { // It is connected again after a second or so.
			wait(200 * time.Millisecond)
		}
		if got := f.spread(2100); !near(got[2], 100, 40) {
			t.Errorf("it begins with %d of 2100 calls, want about a twentieth", got[2])
		}
		wait(50 * time.Second)
		if got := f.spread(2500); !near(got[2], 500, 60) {
			t.Errorf("half way it gets %d of 2500 calls, want about a fifth", got[2])
		}
		wait(60 * time.Second)
		if got := f.spread(999); !near(got[2], 333, 5) {
			t.Errorf("in the end it gets %d of 999 calls", got[2])
		}
	})
}

func TestZoneSpillsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, `{"preferZone":"a"}`,
			discovery.Instance{Weight: 1, Zone: "a"}, discovery.Instance{Weight: 1, Zone: "a"}, discovery.Instance{Weight: 1, Zone: "b"})
		defer f.stop()
		wait(time.Second)
		if got := f.spread(1000); !near(got[0], 500, 3) || got[2] != 0 {
			t.Errorf("all are there: %v", got)
		}
		f.servers[0].stop()
		wait(time.Second)
		if got := f.spread(1000); !near(got[1], 700, 5) || !near(got[2], 300, 5) {
			t.Errorf("half of the zone is gone: %v", got)
		}
		f.servers[1].stop()
		wait(time.Second)
		if got := f.spread(100); got[2] != 100 {
			t.Errorf("the zone is gone: %v", got)
		}
	})
}

// TestFlapping has five hundred instances come and go; of one it is certain that it is there.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, `{"slowStart":"1s"}`, weights(1)...)
		defer f.stop()
		wait(time.Second)
		random := rand.New(rand.NewPCG(3, 4))
		for range 50 {
			instances := weights(1)
			for n := range 500 {
				if random.IntN(2) == 0 {
					instances = append(instances, discovery.Instance{Address: fmt.Sprintf("gone%d:1", n), Weight: 1})
				}
			}
			f.found.UpdateState(state(instances))
			wait(10 * time.Millisecond)
			if got := f.spread(5); got[0] != 5 {
				t.Fatalf("the one that is there got %d of 5 calls", got[0])
			}
		}
	})
}
