// Package weighted is a grpc balancer that gives each instance of a backend calls in proportion to its weight, as its registry
// knows it ([discovery.Instance]). grpc has weighted_round_robin, but that one weighs instances by the load that they report
// themselves, and knows nothing of what registries say. Importing this package is enough to use it in a service configuration:
//
//	{"loadBalancingConfig":[{"cardea_weighted_round_robin":{"slowStart":"30s","preferZone":"eu-1a"}}]}
//
// # Weights
//
// Every instance has a connection, and those whose connection is ready share the calls. The calls of the instances are mixed as
// evenly as their weights allow; there are no bursts. Weights are relative: 7, 2 and 1 are the same as 70, 20 and 10. An instance
// with the weight 0 gets no calls, unless all that are ready have it: then they count the same, since some answer is better than
// none. A new weight takes effect with the next call, and costs no connection.
//
// # Slow start
//
// An instance that has become ready, whether it is new, has come back, or was ejected for its errors for a while, has empty caches
// and no connections of its own. With [Config.SlowStart] it begins with a tenth of its weight, which grows to all of it in steps.
// Where all are new, as after a start, they grow together, and nothing is different.
//
// # Zones
//
// With [Config.PreferZone], calls stay in that zone while it can take them: the instances that are ready there may be asked for
// 1.4 times of what they would get if all of the zone were ready. So nothing leaves a zone that has lost two in seven; of a zone
// that has lost half, three calls of ten leave. What leaves goes to the instances of all other zones, by their weights. An
// instance that warms up counts for what it takes. Where no other zone is ready all calls stay, and where the zone is not, all
// leave.
package weighted

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/connectivity"
)

// Name is what the balancer is called in service configurations.
const Name = "cardea_weighted_round_robin"

// steps is how many pickers there are from cold to warm, if they are not closer than shortestStart.
const steps = 20

func init() { balancer.Register(builder{}) } //nolint:gochecknoinits // grpc finds balancers only in its table, and wants them there early.

type builder struct{}

func (builder) Name() string { return Name }

// Build returns a balancer that has a child for each instance.
func (builder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	b := &weighted{ClientConn: cc}
	single := balancer.Get(pickfirst.Name)
	b.Balancer = endpointsharding.NewBalancer(b, opts, func(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
		return single.Build(&child{ClientConn: cc}, opts)
	}, endpointsharding.Options{})
	return b
}

// weighted is the balancer of one connection. It stands between the children and grpc: what they say about their states comes by.
type weighted struct {
	balancer.ClientConn // To grpc.
	balancer.Balancer   // The children.

	mu        sync.Mutex // Held while grpc is told about a picker, so that the last one is the latest one.
	config    Config
	instances []instance  // All that are listed. Nil while none of them is ready.
	timer     *time.Timer // Nil unless somebody warms up.
}

// UpdateClientConnState takes a set of instances, and a configuration.
func (b *weighted) UpdateClientConnState(s balancer.ClientConnState) error {
	config, ok := s.BalancerConfig.(*parsed)
	if !ok && s.BalancerConfig != nil {
		return fmt.Errorf("%s: got the configuration of another balancer, a %T", Name, s.BalancerConfig)
	}
	b.configure(config)
	// Children listen to what balancers around this one think of an instance's health: it is how those eject it.
	return b.Balancer.UpdateClientConnState(balancer.ClientConnState{ResolverState: pickfirst.EnableHealthListener(s.ResolverState)})
}

// configure puts a configuration in force; the children's answer to the same update makes a picker of it.
func (b *weighted) configure(config *parsed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = Config{}
	if config != nil {
		b.config = config.Config
	}
}

// UpdateState is called when anything has changed about the children. While none is ready, it is theirs to say what calls get.
func (b *weighted) UpdateState(s balancer.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest()
	if s.ConnectivityState != connectivity.Ready {
		b.ClientConn.UpdateState(s)
		return
	}
	b.instances = instances(s.Picker)
	b.publish()
}

// Close ends the children first: afterwards they don't call any more, and nothing can start the timer again.
func (b *weighted) Close() {
	b.Balancer.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest()
}

// rest forgets the instances, and stops the timer. A timer that has fired already finds nothing to do.
func (b *weighted) rest() {
	b.instances = nil
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// warmed gives those that warm up the share that they have earned since.
func (b *weighted) warmed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.instances != nil {
		b.publish()
	}
}

// publish hands grpc a picker for the instances as they are now, and makes sure that there is another one if they will be warmer.
func (b *weighted) publish() {
	all, warming := b.candidates(time.Now())
	b.ClientConn.UpdateState(balancer.State{ConnectivityState: connectivity.Ready, Picker: newPicker(b.instances, shares(all))})
	if !warming {
		return
	}
	if b.timer != nil {
		b.timer.Stop() // It may be a newer one than the one that has led here.
	}
	b.timer = time.AfterFunc(max(b.config.SlowStart/steps, shortestStart), b.warmed)
}

// candidates returns what the shares of the instances depend on, in their order, and whether any of them warms up.
func (b *weighted) candidates(now time.Time) (all []candidate, warming bool) {
	all = make([]candidate, len(b.instances))
	for i, instance := range b.instances {
		all[i].weight = float64(instance.weight)
		all[i].sick = instance.sick
		all[i].local = b.config.PreferZone != "" && instance.zone == b.config.PreferZone
		if instance.ready() {
			all[i].warmth = warmth(now.Sub(instance.since), b.config.SlowStart)
			warming = warming || all[i].warmth < 1
		}
	}
	return all, warming
}
