package instances

import (
	"slices"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
)

// spareTime is how long an instance has had connections to spare before one is closed.
const spareTime = 30 * time.Second

// extraPause is how long after the loss of another connection none is made: an instance may refuse it each time.
const extraPause = time.Second

// spread returns the connection that a call should take to the instance that was chosen: another one if the first is full.
func (w *wrapper) spread(c *conn) *conn {
	most := int32(w.set.options.MaxStreams)
	if c.calls.Load() < most {
		return c
	}
	i := c.instance
	i.mu.Lock()
	for _, other := range i.conns {
		if other.calls.Load() < c.calls.Load() && other.ready() {
			c = other
		}
	}
	more := len(i.conns) < w.set.options.MaxConnections && time.Since(i.lost) >= extraPause
	i.mu.Unlock()
	if c.calls.Load() >= most {
		w.set.counts.queued.Add(1)
		if more {
			w.wake()
		}
	}
	return c
}

// moreConnections opens a connection to an instance whose connections are all full.
func (w *wrapper) moreConnections(i *instance) {
	i.mu.Lock()
	full := time.Since(i.lost) >= extraPause && len(i.conns) > 0 && len(i.conns) < w.set.options.MaxConnections &&
		!slices.ContainsFunc(i.conns, func(c *conn) bool { return int(c.calls.Load()) < w.set.options.MaxStreams })
	i.mu.Unlock()
	if !full {
		return
	}
	first := i.main()
	if first == nil {
		return
	}
	c := &conn{w: w, instance: i, address: first.address}
	o := balancer.NewSubConnOptions{StateListener: c.extraChanged}
	raw, err := w.ClientConn.NewSubConn(c.address, o) //nolint:staticcheck // There is no other way yet.
	if err != nil {                                   // The balancer ends.
		return
	}
	c.SubConn = raw
	i.add(c)
	if i.main() == nil { // It went in between, and looked for others before this one was there.
		c.Shutdown()
		return
	}
	c.Connect()
}

// extraChanged notes what became of a connection that the balancer inside does not know of. One that is lost is not made again
// unless it is needed again.
func (c *conn) extraChanged(s balancer.SubConnState) {
	c.mu.Lock()
	c.state = s.ConnectivityState
	c.mu.Unlock()
	c.instance.changed(c, s)
	if s.ConnectivityState == connectivity.TransientFailure || s.ConnectivityState == connectivity.Idle {
		c.instance.loseExtra()
		c.Shutdown()
	}
}

func (i *instance) loseExtra() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lost = time.Now()
}

// extra returns the connections that the balancer inside does not know of.
func (i *instance) extra() []*conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	var extra []*conn
	for _, c := range i.conns {
		if c.listener == nil {
			extra = append(extra, c)
		}
	}
	return extra
}

// spareConnections closes a connection that has not been needed for some time. Its calls finish.
func (i *instance) spareConnections(now time.Time) {
	extra := i.extra()
	enough := len(extra) > 0 && int(i.flying.Load()) < len(extra)*i.w.set.options.MaxStreams/2
	i.mu.Lock()
	over := enough && !i.spare.IsZero() && now.Sub(i.spare) >= spareTime
	switch {
	case !enough || over:
		i.spare = time.Time{}
	case i.spare.IsZero():
		i.spare = now
	}
	i.mu.Unlock()
	if over {
		extra[len(extra)-1].Shutdown()
	}
}
