package weighted

import (
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/connectivity"

	"github.com/cardea-gateway/cardea/discovery"
)

// child is what the child of an instance takes for grpc. It notes since when the instance has been ready. A child calls it under a
// lock of its own.
type child struct {
	balancer.ClientConn

	since time.Time // Zero while it is not ready.
}

// UpdateState passes on what the child says.
func (c *child) UpdateState(s balancer.State) {
	switch {
	case s.ConnectivityState != connectivity.Ready:
		c.since = time.Time{}
	case c.since.IsZero():
		c.since = time.Now()
	}
	if !c.since.IsZero() {
		s.Picker = readyPicker{s.Picker, c.since}
	}
	c.ClientConn.UpdateState(s)
}

// readyPicker is the picker of an instance that has been ready for some time.
type readyPicker struct {
	balancer.Picker

	since time.Time
}

func (p readyPicker) ready() bool { return p.Picker != nil }

// instance is one that is listed, with its picker if it is ready.
type instance struct {
	readyPicker

	weight uint32
	zone   string
	sick   bool // The registry calls it unhealthy.
}

// instances returns all of which the children's picker knows.
func instances(picker balancer.Picker) []instance {
	states := endpointsharding.ChildStatesFromPicker(picker)
	all := make([]instance, len(states))
	for i, s := range states {
		known := discovery.Of(s.Endpoint)
		all[i].weight, all[i].zone, all[i].sick = known.Weight, known.Zone, known.Unhealthy != ""
		all[i].readyPicker, _ = s.State.Picker.(readyPicker)
	}
	return all
}

// picker spreads calls over instances.
type picker struct {
	turns     *schedule
	instances []balancer.Picker
}

// newPicker returns a picker for the instances that have a share.
func newPicker(all []instance, shares []float64) *picker {
	weights, pickers := make([]float64, 0, len(all)), make([]balancer.Picker, 0, len(all))
	for i, share := range shares {
		if share > 0 {
			weights = append(weights, share)
			pickers = append(pickers, all[i].Picker)
		}
	}
	return &picker{newSchedule(weights), pickers}
}

// Pick costs the same for any number of instances.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	return p.instances[p.turns.next()].Pick(info)
}
