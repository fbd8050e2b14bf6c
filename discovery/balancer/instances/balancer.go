package instances

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/discovery"
)

const name = "cardea_instances"

//nolint:gochecknoinits // This is how grpc gets to know of balancers; there is no other way.
func init() { balancer.Register(builder{}) }

type builder struct{}

func (builder) Name() string { return name }

func (builder) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	w := &wrapper{
		ClientConn: cc, build: o, instances: map[string]*instance{},
		poke: make(chan struct{}, 1), checking: map[*conn]context.CancelFunc{},
	}
	w.ctx, w.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // grpc builds balancers without one.
	return w
}

// wrapper is the balancer of a set. To the balancer inside, it is the connection.
//
// grpc calls it from one goroutine at a time; the keeper and calls come from others. Three locks keep that apart, taken in this
// order: inside, then mu, then the one of an instance. Whoever the balancer inside calls back does not take inside.
type wrapper struct {
	balancer.ClientConn

	build balancer.BuildOptions
	set   *Set              // Nil until the first update.
	child balancer.Balancer // The same.

	inside sync.Mutex // Held while the balancer inside is told something: it must be told one thing at a time.

	mu        sync.Mutex
	instances map[string]*instance // By address.
	panicking bool
	checking  map[*conn]context.CancelFunc // Whose health is being asked for.
	state     balancer.State               // Of the balancer inside.
	closed    bool

	open    atomic.Pointer[[]*instance] // Those that calls may go to, for calls that keep away from what was picked for them.
	waiting atomic.Bool                 // Calls wait, since the balancer inside has not heard yet of what is out.
	size    atomic.Int64                // The number of instances.
	methods methods

	ctx     context.Context // Ends with the balancer.
	cancel  context.CancelFunc
	poke    chan struct{} // Has an element if the keeper has something to do.
	running sync.WaitGroup
}

// UpdateClientConnState takes up another set of instances.
func (w *wrapper) UpdateClientConnState(s balancer.ClientConnState) error {
	if w.set == nil && !w.begin(s.ResolverState) {
		return errNoSet
	}
	w.learn(s.ResolverState.Endpoints)
	w.inside.Lock()
	err := w.child.UpdateClientConnState(balancer.ClientConnState{ResolverState: s.ResolverState, BalancerConfig: w.set.config})
	w.inside.Unlock()
	w.wake()
	return err
}

// begin builds the balancer inside.
func (w *wrapper) begin(s resolver.State) bool {
	set, ok := s.Attributes.Value(setKey{}).(*Set)
	if !ok {
		return false
	}
	w.set = set
	w.methods.options = set.options.Ejection
	w.child = set.builder.Build(w, w.build)
	set.balancer.Store(w)
	w.running.Go(w.keep)
	return true
}

// learn takes up what the registry says, before the balancer inside makes connections of it.
func (w *wrapper) learn(endpoints []resolver.Endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.instances
	w.instances = make(map[string]*instance, len(endpoints))
	for _, e := range endpoints {
		known := discovery.Of(e)
		i := before[known.Address]
		if i == nil {
			i = newInstance(w, known)
		}
		i.learn(known)
		w.instances[known.Address] = i
	}
	w.size.Store(int64(len(w.instances)))
	w.judge()
}

// ResolverError passes on that nothing is known.
func (w *wrapper) ResolverError(err error) {
	if w.child == nil {
		w.ClientConn.UpdateState(balancer.State{ConnectivityState: connectivity.TransientFailure, Picker: failing{err}})
		return
	}
	w.inside.Lock()
	defer w.inside.Unlock()
	w.child.ResolverError(err)
}

// failing is the picker of a connection of which nothing is known.
type failing struct{ err error }

func (f failing) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	return balancer.PickResult{}, f.err
}

// UpdateSubConnState is not called: each connection has a listener.
func (w *wrapper) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle makes the balancer inside connect.
func (w *wrapper) ExitIdle() {
	if w.child == nil {
		return
	}
	w.inside.Lock()
	defer w.inside.Unlock()
	w.child.ExitIdle()
}

// Close ends the balancer inside, and all that was begun for it.
func (w *wrapper) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.running.Wait()
	if w.child == nil {
		return
	}
	w.inside.Lock()
	defer w.inside.Unlock()
	w.child.Close()
	w.closeExtra()
}

// UpdateState publishes what the balancer inside has decided.
func (w *wrapper) UpdateState(s balancer.State) {
	w.mu.Lock()
	defer w.mu.Unlock() // Held, so that two do not overtake one another.
	w.state = s
	w.publish()
}

// publish publishes the state. The lock must be held.
func (w *wrapper) publish() {
	w.ClientConn.UpdateState(balancer.State{ConnectivityState: w.state.ConnectivityState, Picker: &picker{w, w.state.Picker}})
}

// retry makes calls choose again that wait for the balancer inside. It says nothing to them if what was out is back before it heard.
func (w *wrapper) retry() {
	if !w.waiting.Swap(false) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publish()
}

// wake makes the keeper look.
func (w *wrapper) wake() {
	select {
	case w.poke <- struct{}{}:
	default: // It will look anyway.
	}
}
