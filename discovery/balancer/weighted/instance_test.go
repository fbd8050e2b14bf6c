package weighted

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
)

// listener is grpc for what calls it with states.
type listener struct {
	balancer.ClientConn

	states []balancer.State
}

func (l *listener) UpdateState(s balancer.State) { l.states = append(l.states, s) }

// TestReadyAgain expects that one that says so again has been ready since it said so first, and no longer than it was ready.
func TestReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		c := &child{ClientConn: l}
		start := time.Now()
		for _, s := range []connectivity.State{connectivity.Ready, connectivity.Ready, connectivity.Idle, connectivity.Ready} {
			c.UpdateState(balancer.State{ConnectivityState: s, Picker: &picker{}})
			<-time.NewTimer(time.Second).C
		}
		for i, want := range map[int]time.Duration{0: 0, 1: 0, 3: 3 * time.Second} {
			if got := l.states[i].Picker.(readyPicker).since.Sub(start); got != want {
				t.Errorf("state %d: ready since %v, want %v", i, got, want)
			}
		}
		if p, ok := l.states[2].Picker.(readyPicker); ok {
			t.Errorf("an instance that is idle has been ready since %v", p.since)
		}
	})
}

// TestLateTimer has the timer fire while the last instance goes: it must not bring it back.
func TestLateTimer(t *testing.T) {
	l := &listener{}
	b := builder{}.Build(l, balancer.BuildOptions{}).(*weighted)
	b.instances = []instance{{readyPicker: readyPicker{&picker{}, time.Now()}, weight: 1}}
	b.UpdateState(balancer.State{ConnectivityState: connectivity.Connecting})
	b.warmed()
	if len(l.states) != 1 {
		t.Errorf("grpc heard of %v", l.states[1:])
	}
}
