package instances

import (
	"errors"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// errOut is what the balancer inside hears of an instance that is out.
var errOut = errors.New("the instance is out")

// conn is a sub-connection, as the balancer inside sees it: behind a gate. A closed gate makes a connection that is up look
// failed, by the way in which grpc tells balancers of health, so that the connection itself stays as it is.
type conn struct {
	balancer.SubConn

	w        *wrapper
	instance *instance
	address  []resolver.Address
	listener func(balancer.SubConnState) // Of the balancer inside. Nil for connections that it does not know of.
	calls    atomic.Int32

	mu     sync.Mutex
	state  connectivity.State
	health func(balancer.SubConnState) // Of the balancer inside, while the connection is up.
	last   *balancer.SubConnState      // What grpc last said of its health; nil for nothing yet.
	closed bool                        // The gate.
}

// NewSubConn makes a connection to an instance, behind its gate.
func (w *wrapper) NewSubConn(addresses []resolver.Address, o balancer.NewSubConnOptions) (balancer.SubConn, error) {
	w.mu.Lock()
	i := w.instances[addresses[0].Addr]
	w.mu.Unlock()
	if i == nil { // The registry has forgotten it while the balancer inside was at work.
		return nil, errors.New("instances: no instance has the address " + addresses[0].Addr)
	}
	c := &conn{w: w, instance: i, address: addresses, listener: o.StateListener, closed: !i.open.Load()}
	o.StateListener = c.changed
	raw, err := w.ClientConn.NewSubConn(addresses, o) //nolint:staticcheck // There is no other way yet.
	if err != nil {
		return nil, err
	}
	c.SubConn = raw
	i.add(c)
	return c, nil
}

// changed passes on what became of the connection.
func (c *conn) changed(s balancer.SubConnState) {
	c.mu.Lock()
	c.state = s.ConnectivityState
	if s.ConnectivityState != connectivity.Ready {
		c.health, c.last = nil, nil
	}
	c.mu.Unlock()
	c.instance.changed(c, s)
	c.w.check(c, s.ConnectivityState == connectivity.Ready)
	c.w.inside.Lock()
	c.listener(s)
	c.w.inside.Unlock()
	if s.ConnectivityState == connectivity.Shutdown { // The instance is gone.
		for _, extra := range c.instance.extra() {
			extra.Shutdown()
		}
	}
	c.w.wake()
}

// RegisterHealthListener is how the balancer inside asks for the health of a connection that has come up.
func (c *conn) RegisterHealthListener(listener func(balancer.SubConnState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != connectivity.Ready {
		return
	}
	c.health = listener
	if listener == nil {
		c.SubConn.RegisterHealthListener(nil)
		return
	}
	c.SubConn.RegisterHealthListener(c.healthChanged)
}

// healthChanged passes on what grpc says of the connection's health, unless the gate is closed.
func (c *conn) healthChanged(s balancer.SubConnState) {
	c.w.inside.Lock()
	defer c.w.inside.Unlock()
	c.mu.Lock()
	c.last = &s
	c.mu.Unlock()
	c.tell()
}

// gate opens or closes the gate.
func (c *conn) gate(open bool) {
	c.mu.Lock()
	same := c.closed == !open
	c.closed = !open
	c.mu.Unlock()
	if same {
		return
	}
	c.w.inside.Lock()
	defer c.w.inside.Unlock()
	c.tell()
}

// tell tells the balancer inside how the connection is. The wrapper's inside must be held.
func (c *conn) tell() {
	c.mu.Lock()
	health, last, closed := c.health, c.last, c.closed
	c.mu.Unlock()
	switch {
	case health == nil || last == nil: // It will be told once it asks, or once grpc knows.
	case closed:
		health(balancer.SubConnState{ConnectivityState: connectivity.TransientFailure, ConnectionError: errOut})
	default:
		health(*last)
	}
}

func (c *conn) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == connectivity.Ready
}
