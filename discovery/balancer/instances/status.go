package instances

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/cardea-gateway/cardea/discovery"
)

// counts count what has happened since the set was made.
type counts struct {
	failures, slow atomic.Int64 // Ejections.
	checks         atomic.Int64
	queued         atomic.Int64
}

func (c *counts) ejected(cause string) {
	if cause == slow {
		c.slow.Add(1)
		return
	}
	c.failures.Add(1)
}

// Status is what operators see of a set.
type Status struct {
	// Instances by address.
	Instances []InstanceStatus
	// Panicking is true while all instances are used because too few are fit.
	Panicking bool
	// EjectedFailing and EjectedSlow count ejections, by what they were for.
	EjectedFailing, EjectedSlow int64
	// FailedChecks counts health checks that failed.
	FailedChecks int64
	// Queued counts calls for which every connection to their instance was full.
	Queued int64
}

// InstanceStatus is what operators see of an instance.
type InstanceStatus struct {
	discovery.Instance

	// State is the state of its connection.
	State connectivity.State
	// Out says why it is out; empty if it is fit. Since is when that began, or when it became fit.
	Out   string
	Since time.Time
	// Lost is true if it could not be connected, the last time.
	Lost bool
	// Open is true if calls may go there: it is fit, or all are used.
	Open bool
	// Trial is true while it gets one call at a time, after an ejection.
	Trial bool
	// Calls on their way, and Connections that carry them.
	Calls, Connections int
	// Ejections of late.
	Ejections int
}

// Status returns what operators see. It is empty before grpc has begun to connect.
func (s *Set) Status() Status {
	st := Status{
		EjectedFailing: s.counts.failures.Load(), EjectedSlow: s.counts.slow.Load(),
		FailedChecks: s.counts.checks.Load(), Queued: s.counts.queued.Load(),
	}
	w := s.balancer.Load()
	if w == nil {
		return st
	}
	for _, i := range w.all() {
		st.Instances = append(st.Instances, i.status())
	}
	slices.SortFunc(st.Instances, func(a, b InstanceStatus) int { return strings.Compare(a.Address, b.Address) })
	w.mu.Lock()
	defer w.mu.Unlock()
	st.Panicking = w.panicking
	return st
}

func (i *instance) status() InstanceStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	st := InstanceStatus{
		Instance: i.known, Out: i.out, Since: i.since, Lost: i.broken != nil, Open: i.open.Load(), Trial: i.trial.Load(),
		Calls: int(i.flying.Load()), Ejections: i.times, State: connectivity.Idle,
	}
	for _, c := range i.conns {
		if c.ready() {
			st.Connections++
		}
	}
	if len(i.conns) > 0 {
		c := i.conns[0]
		c.mu.Lock()
		st.State = c.state
		c.mu.Unlock()
	}
	return st
}
