package instances

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/discovery"
)

// published is a connection that counts what is published.
type published struct {
	balancer.ClientConn

	times int
}

func (p *published) UpdateState(balancer.State) { p.times++ }

// always is a balancer's picker that knows one connection.
type always struct{ conn *conn }

func (a always) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{SubConn: a.conn}, nil
}

// crowded returns a wrapper of n instances that are connected, without a keeper.
func crowded(n int) (*wrapper, *published) {
	p := &published{}
	w := &wrapper{ClientConn: p, instances: map[string]*instance{}, poke: make(chan struct{}, 1)}
	w.set = &Set{log: slog.New(slog.DiscardHandler), options: Options{
		MaxStreams: 100, MaxConnections: 1, Ejection: Ejection{Failures: 5, Time: time.Second},
	}}
	w.learn(endpoints(n))
	for _, i := range w.instances {
		i.conns = []*conn{{w: w, instance: i, state: connectivity.Ready, listener: func(balancer.SubConnState) {}}}
	}
	return w, p
}

func endpoints(n int) (all []resolver.Endpoint) {
	for i := range n {
		all = append(all, discovery.Endpoint(discovery.Instance{Address: fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), Weight: 1}))
	}
	return all
}

// TestBackBeforeAnybodyHeard has an instance be out and back before the balancer inside has heard: it publishes nothing by itself.
func TestBackBeforeAnybodyHeard(t *testing.T) {
	w, p := crowded(1)
	i := w.all()[0]
	pick := func() error {
		_, err := (&picker{w, always{i.conns[0]}}).Pick(balancer.PickInfo{Ctx: t.Context()})
		return err
	}
	i.learn(discovery.Instance{Address: i.address, Weight: 1, Unhealthy: "x"})
	w.mu.Lock()
	w.judge()
	w.mu.Unlock()
	if err := pick(); !errors.Is(err, balancer.ErrNoSubConnAvailable) {
		t.Fatalf("the call does not wait: %v", err)
	}
	i.learn(discovery.Instance{Address: i.address, Weight: 1})
	w.round(time.Now())
	if err := pick(); err != nil || p.times != 1 {
		t.Errorf("published %d times, want 1; %v", p.times, err)
	}
	if w.round(time.Now()); p.times != 1 {
		t.Errorf("published %d times though nobody waits", p.times)
	}
}

// TestThoughtsOfMany expects ejection, which looks at all others, to be thought of less often where there are many.
func TestThoughtsOfMany(t *testing.T) {
	for n, want := range map[int]int{10: 100, 1000: 10} {
		w, _ := crowded(n)
		i, thoughts, now := w.all()[0], 0, time.Now()
		i.record.note(now, "x")
		for range 1000 {
			before := i.considered
			i.verdict(now, w.between(), w.set.options.Ejection)
			if i.considered != before {
				thoughts++
			}
			now = now.Add(10 * time.Millisecond)
		}
		if thoughts != want {
			t.Errorf("%d instances: thought of %d times in ten seconds, want %d", n, thoughts, want)
		}
	}
}
