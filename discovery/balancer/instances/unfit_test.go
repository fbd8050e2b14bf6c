package instances_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
)

// TestTrialAfterHangingTrial has calls hang that nobody ends, and expects each trial to get a call, and no more than one.
func TestTrialAfterHangingTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.Check = instances.Check{}
		f := start(t, 3, o)
		defer f.stop()
		for _, s := range f.servers {
			s.do(takes(quick))
		}
		l := f.load(10*time.Millisecond, time.Hour)
		b := f.servers["b:1"]
		wait(5 * time.Second)
		b.freeze()
		wait(3 * time.Second)
		if got := b.spent(50 * time.Second); got > 5 {
			t.Errorf("%d calls went to an instance that hangs, want one for each trial", got)
		}
		b.thaw()
		l.stop()
	})
}

// TestDrainMost takes the weight of most instances away.
func TestDrainMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 5, defaults())
		defer f.stop()
		l := f.load(10*time.Millisecond, time.Second)
		defer l.stop()
		wait(time.Second)
		all := f.all()
		for i := range 3 {
			all[i].Weight = 0
		}
		f.tell(all...)
		wait(time.Second)
		calls := func() (calls int64) {
			before := f.servers["a:1"].calls.Load() + f.servers["b:1"].calls.Load() + f.servers["c:1"].calls.Load()
			wait(time.Second)
			return f.servers["a:1"].calls.Load() + f.servers["b:1"].calls.Load() + f.servers["c:1"].calls.Load() - before
		}
		if got := calls(); got > 0 || f.set.Status().Panicking {
			t.Errorf("%d calls to those without weight", got)
		}
		all[3].Unhealthy, all[4].Unhealthy = "x", "x"
		f.tell(all...)
		wait(time.Second)
		if got := calls(); got > 0 || !f.set.Status().Panicking {
			t.Errorf("%d calls to those without weight while the others panic", got)
		}
		all[3].Weight, all[4].Weight = 0, 0
		f.tell(all...)
		wait(time.Second)
		if got := calls(); got < 40 {
			t.Errorf("%d calls where nothing else is left", got)
		}
	})
}
