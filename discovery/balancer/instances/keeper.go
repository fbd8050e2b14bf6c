package instances

import (
	"slices"
	"time"

	"google.golang.org/grpc/balancer"
)

// tick is how often the keeper looks without being asked to.
const tick = 200 * time.Millisecond

// keep looks after the instances until the balancer ends.
func (w *wrapper) keep() {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.poke:
		case <-timer.C:
			w.round(time.Now())
			timer.Reset(tick)
			continue
		}
		w.settle()
	}
}

// round does what time brings about.
func (w *wrapper) round(now time.Time) {
	var accused []*instance
	for _, i := range w.all() {
		if i.age(now) {
			accused = append(accused, i)
		}
		i.readmit(now, w.set.options.Ejection)
		i.spareConnections(now)
	}
	for _, i := range accused { // Now that it is known how all others fare.
		w.consider(i, slow)
	}
	w.settle()
}

// all returns the instances.
func (w *wrapper) all() []*instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*instance, 0, len(w.instances))
	for _, i := range w.instances {
		all = append(all, i)
	}
	return all
}

// settle judges, and opens and closes gates by that.
func (w *wrapper) settle() {
	w.mu.Lock()
	w.judge()
	w.mu.Unlock()
	for _, i := range w.all() {
		i.mu.Lock()
		conns := slices.Clone(i.conns)
		i.mu.Unlock()
		for _, c := range conns {
			if c.listener != nil {
				c.gate(i.open.Load())
			}
		}
		w.moreConnections(i)
	}
}

// judge says which instances are open to calls: those that are fit, or all where too few are. Those that can't be connected don't
// count: no call can go there, whatever is said of them. Nor do those that have no weight, as long as there are others: to take
// an instance's weight away is to drain it, and may be done to most of them. The lock must be held.
func (w *wrapper) judge() {
	if w.closed {
		return
	}
	now := time.Now()
	total, fit, drained := 0, 0, 0
	for _, i := range w.instances {
		switch broken, healthy, weight := i.judge(now, w); {
		case broken:
		case weight == 0:
			drained++
		default:
			total++
			if healthy {
				fit++
			}
		}
	}
	spared := total > 0
	if !spared {
		total = drained
	}
	panicking := fit*100 < int(w.set.options.PanicPercent)*total
	if panicking != w.panicking {
		w.panicking = panicking
		w.set.counts.panicked(panicking)
		w.set.log.Warn("the instances that are fit are too few, or enough again", "all_are_used", panicking, "fit", fit, "instances", total)
	}
	open := make([]*instance, 0, total)
	for _, i := range w.instances {
		i.mu.Lock()
		i.open.Store(i.out == "" || panicking && (i.known.Weight > 0 || !spared))
		broken := i.broken
		i.mu.Unlock()
		if i.open.Load() && !broken {
			open = append(open, i)
		}
	}
	w.fit.Store(&open)
}

// judge notes whether the instance is fit, and since when.
func (i *instance) judge(now time.Time, w *wrapper) (broken, healthy bool, weight uint32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if reason := i.reason(); reason != i.out {
		if (reason == "") != (i.out == "") {
			i.since = now
			if i.known.Unhealthy == "" {
				w.set.log.Info("an instance is out, or back", "instance", i.address, "fit", reason == "", "reason", reason+i.out)
			}
		}
		i.out = reason
	}
	return i.broken, i.out == "", i.known.Weight
}

// closeExtra ends connections that the balancer inside does not know of.
func (w *wrapper) closeExtra() {
	for _, i := range w.all() {
		for _, c := range i.extra() {
			c.Shutdown()
		}
	}
}

var _ balancer.Balancer = (*wrapper)(nil)
