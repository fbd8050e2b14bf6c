// Package weighted spreads calls over instances by their static weights, which registries know ([discovery.Instance]): grpc-go's
// own weighted_round_robin goes by what servers report and by nothing else.
//
// An instance that has become ready can begin with a part of its share (slow start), and instances of one zone can be preferred as
// long as they have capacity.
//
//   - balancer.go: the balancer, around one pick_first for each instance
//   - share.go: weights, slow start and zones make shares
//   - schedule.go: shares make turns
//   - config.go: the configuration
package weighted

import (
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/connectivity"

	"github.com/cardea-gateway/cardea/discovery"
)

// Name is the name under which the balancer is registered with grpc.
const Name = "cardea_weighted_round_robin"

//nolint:gochecknoinits // This is how grpc gets to know of balancers; there is no other way.
func init() { balancer.Register(builder{}) }

type builder struct{}

func (builder) Name() string { return Name }

func (builder) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	b := &weighted{ClientConn: cc, ready: map[string]time.Time{}}
	b.Balancer = endpointsharding.NewBalancer(b, o, balancer.Get(pickfirst.Name).Build, endpointsharding.Options{})
	return b
}

// weighted is the balancer. To its children, it is the connection.
type weighted struct {
	balancer.ClientConn
	balancer.Balancer // Of the children.

	mu       sync.Mutex
	config   Config
	capacity map[string]float64   // Of each zone, with the instances that are not ready.
	ready    map[string]time.Time // Since when an instance is ready, by address.
	children []endpointsharding.ChildState
	ramp     *time.Timer // Runs while an instance has less than its whole share.
	closed   bool
}

// UpdateClientConnState takes up another set of instances, or weights.
func (b *weighted) UpdateClientConnState(s balancer.ClientConnState) error {
	config, ok := s.BalancerConfig.(*Config)
	if !ok {
		return balancer.ErrBadResolverState
	}
	b.mu.Lock()
	b.config = *config
	b.capacity = map[string]float64{}
	for _, e := range s.ResolverState.Endpoints {
		i := discovery.Of(e)
		b.capacity[i.Zone] += float64(i.Weight)
	}
	b.mu.Unlock()
	return b.Balancer.UpdateClientConnState(balancer.ClientConnState{
		ResolverState: pickfirst.EnableHealthListener(s.ResolverState), // Else nobody around can put an instance out.
	})
}

// UpdateState takes up what has become of the children.
func (b *weighted) UpdateState(s balancer.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.children = endpointsharding.ChildStatesFromPicker(s.Picker)
	b.note(time.Now())
	if s.ConnectivityState != connectivity.Ready {
		b.ClientConn.UpdateState(s)
		return
	}
	b.publish()
}

// note keeps since when instances are ready.
func (b *weighted) note(now time.Time) {
	before := b.ready
	b.ready = make(map[string]time.Time, len(b.children))
	for _, c := range b.children {
		if c.State.ConnectivityState != connectivity.Ready {
			continue
		}
		address := discovery.Of(c.Endpoint).Address
		if since, ok := before[address]; ok {
			b.ready[address] = since
		} else {
			b.ready[address] = now
		}
	}
}

// publish makes a picker of the instances that are ready, and comes back as long as one has less than its whole share.
func (b *weighted) publish() {
	if b.closed || len(b.ready) == 0 {
		return
	}
	var pickers []balancer.Picker
	var instances []candidate
	now, slow, ramping := time.Now(), time.Duration(b.config.SlowStart), false
	for _, c := range b.children {
		if c.State.ConnectivityState != connectivity.Ready {
			continue
		}
		i := discovery.Of(c.Endpoint)
		age := now.Sub(b.ready[i.Address])
		ramping = ramping || age < slow
		pickers = append(pickers, c.State.Picker)
		instances = append(instances, candidate{
			weight: float64(i.Weight), zone: i.Zone, sick: i.Unhealthy != "", ramp: ramp(age, slow),
		})
	}
	shares := share(instances, b.config.PreferZone, b.capacity[b.config.PreferZone])
	start := rand.Uint64N(full * uint64(len(shares))) //nolint:gosec // No secret: gateways must not all begin with the same instance.
	b.ClientConn.UpdateState(balancer.State{
		ConnectivityState: connectivity.Ready, Picker: &picker{pickers: pickers, schedule: newSchedule(shares, start)},
	})
	if ramping {
		b.comeBack(max(slow/20, 100*time.Millisecond))
	}
}

// comeBack publishes again after a time.
func (b *weighted) comeBack(after time.Duration) {
	if b.ramp != nil {
		b.ramp.Stop()
	}
	b.ramp = time.AfterFunc(after, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.publish()
	})
}

// Close ends the children.
func (b *weighted) Close() {
	b.mu.Lock()
	b.closed = true
	if b.ramp != nil {
		b.ramp.Stop()
	}
	b.mu.Unlock()
	b.Balancer.Close()
}

// picker chooses by turns.
type picker struct {
	pickers  []balancer.Picker
	schedule *schedule
}

// Pick returns the connection of the instance whose turn it is.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	return p.pickers[p.schedule.pick()].Pick(info)
}
