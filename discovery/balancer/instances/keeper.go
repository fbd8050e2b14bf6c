package instances

import (
	"log/slog"
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
	w.retry()
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

// standing is what judge makes of an instance.
type standing int

const (
	lost  standing = iota // It can't be connected: no call can go there, whatever else is said of it.
	aside                 // Calls go there only if nobody else is left: it has no weight, or answers nothing at all.
	doubt                 // It is out, and calls go there if too few are fit.
	fit                   // Calls go there.
)

// judge says which instances are open to calls: those that are fit, or those in doubt as well, where too few are. Those that are
// aside or lost don't count: to take an instance's weight away is to drain it, and may be done to most of them; and no call is
// answered by one that does not answer. The lock must be held.
func (w *wrapper) judge() {
	if w.closed {
		return
	}
	now, counts := time.Now(), [fit + 1]int{}
	standings := make(map[*instance]standing, len(w.instances))
	for _, i := range w.instances {
		st := i.judge(now, w.set.log)
		standings[i] = st
		counts[st]++
	}
	least := doubt // Of those that are used in a panic.
	if counts[doubt]+counts[fit] == 0 {
		least = aside
	}
	total := counts[doubt] + counts[fit]
	if least == aside {
		total = counts[aside]
	}
	w.panic(counts[fit]*100 < int(w.set.options.PanicPercent)*total, counts[fit], total)
	open := make([]*instance, 0, total)
	for i, st := range standings {
		i.open.Store(st == fit || w.panicking && st >= least)
		if i.open.Load() {
			open = append(open, i)
		}
	}
	w.open.Store(&open)
}

// panic begins or ends that all are used.
func (w *wrapper) panic(panicking bool, fit, total int) {
	if panicking == w.panicking {
		return
	}
	w.panicking = panicking
	if panicking {
		w.set.log.Warn("too few instances are fit: the others are used as well", "fit", fit, "instances", total)
		return
	}
	w.set.log.Info("enough instances are fit again", "fit", fit, "instances", total)
}

// judge notes whether the instance is fit, and since when.
func (i *instance) judge(now time.Time, log *slog.Logger) standing {
	i.mu.Lock()
	defer i.mu.Unlock()
	if reason := i.reason(); reason != i.out {
		switch {
		case reason == "":
			i.since = now
			log.Info("an instance is back", "instance", i.address, "was_out_because", i.out)
		case i.out == "":
			i.since = now
			log.Info("an instance is out", "instance", i.address, "reason", reason)
		}
		i.out = reason
	}
	switch {
	case i.broken != nil:
		return lost
	case i.known.Weight == 0, i.deaf:
		return aside
	case i.out != "":
		return doubt
	}
	return fit
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
