package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
	"github.com/cardea-gateway/cardea/gateway/internal/telemetry"
	adminv1 "github.com/cardea-gateway/cardea/gen/go/cardea/admin/v1"
)

// ListBackends returns the backends with their instances.
func (o operator) ListBackends(context.Context, *adminv1.ListBackendsRequest) (*adminv1.ListBackendsResponse, error) {
	response := &adminv1.ListBackendsResponse{}
	s := o.running.Load()
	for i, cfg := range s.cfg.GetBackends() {
		st := s.backends[i].Status()
		b := &adminv1.Backend{
			Name: cfg.GetName(), Target: cfg.GetTarget(), LoadBalancing: cfg.GetLoadBalancing().String(),
			Panicking: st.Panicking, Instances: listInstances(st.Instances),
		}
		describeDiscovery(b, st.Discovery)
		if age, ok := o.contractAge(s, i); ok {
			b.ContractAge = durationpb.New(age)
		}
		response.Backends = append(response.Backends, b)
	}
	return response, nil
}

func describeDiscovery(b *adminv1.Backend, st *discovery.Status) {
	if st == nil {
		return
	}
	if !st.AsOf.IsZero() {
		b.Age, b.ChangeTime = durationpb.New(time.Since(st.AsOf).Round(time.Millisecond)), timestamppb.New(st.Changed)
	}
	if st.Err != nil {
		b.Error = st.Err.Error()
	}
}

func listInstances(all []instances.InstanceStatus) []*adminv1.Instance {
	list := make([]*adminv1.Instance, len(all))
	for i, st := range all {
		list[i] = &adminv1.Instance{
			Address: st.Address, Id: st.ID, Weight: st.Weight, Zone: st.Zone, Metadata: st.Metadata,
			Connection: st.State.String(), OutReason: st.Out, Since: timestamppb.New(st.Since), Serving: serving(st), OnTrial: st.Trial,
			Calls: uint32(max(0, st.Calls)), Connections: uint32(st.Connections), Ejections: uint32(st.Ejections),
		}
	}
	return list
}

func serving(st instances.InstanceStatus) bool { return st.Open && st.State == connectivity.Ready }

// contractAge returns how long ago a backend told its contracts, by its place in the configuration.
func (g *Gateway) contractAge(s *snapshot, i int) (time.Duration, bool) {
	b := s.source.GetBackends()[i]
	if b.GetReflection() == nil {
		return 0, false
	}
	a := g.answers.last(g.asker(s.source, b, s.backends[i]))
	if a == nil {
		return 0, false
	}
	return time.Since(a.asked).Round(time.Millisecond), true
}

// measureBackends is what metrics tell of the backends.
func (g *Gateway) measureBackends() []telemetry.Backend {
	s := g.running.Load()
	if s == nil {
		return nil
	}
	all := make([]telemetry.Backend, 0, len(s.backends))
	for i, cfg := range s.cfg.GetBackends() {
		st := s.backends[i].Status()
		b := telemetry.Backend{
			Name: cfg.GetName(), Panicking: st.Panicking,
			EjectedFailing: st.EjectedFailing, EjectedSlow: st.EjectedSlow, FailedChecks: st.FailedChecks, Queued: st.Queued,
		}
		for _, instance := range st.Instances {
			b.Calls += instance.Calls
			b.Connections += instance.Connections
			switch {
			case serving(instance):
				b.Serving++
			case instance.Lost || instance.Out == "":
				b.Unconnected++
			default:
				b.Out++
			}
		}
		if st.Discovery != nil {
			b.Discovered, b.DiscoveryFailures, b.DiscoveryHealthy = st.Discovery.AsOf, st.Discovery.Failures, st.Discovery.Err == nil
		}
		b.ContractAge, b.HasContractAge = g.contractAge(s, i)
		all = append(all, b)
	}
	return all
}
