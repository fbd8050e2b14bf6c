package upstream

import (
	"encoding/json"
	"log/slog"

	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/ringhash"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"

	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
	"github.com/cardea-gateway/cardea/discovery/balancer/weighted"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// hashHeader is where ring_hash finds the key of a call. It is never sent.
const hashHeader = "cardea-hash-key"

// chosen are the balancers of grpc, and ours, by what the configuration calls them. grpc ignores what it does not know in their
// configurations; so these are written here, and nowhere by hand.
func (o Options) chosen() (name string, config any) {
	switch o.Config.GetLoadBalancing() {
	case configv1.LoadBalancing_LOAD_BALANCING_WEIGHTED_ROUND_ROBIN:
		c := weighted.Config{SlowStart: o.Config.GetSlowStart().AsDuration()}
		if o.Config.GetPreferZone() {
			c.PreferZone = o.Zone
		}
		return weighted.Name, c
	case configv1.LoadBalancing_LOAD_BALANCING_LEAST_REQUEST:
		return leastrequest.Name, map[string]any{"choiceCount": 2}
	case configv1.LoadBalancing_LOAD_BALANCING_RING_HASH:
		return ringhash.Name, map[string]any{"requestHashHeader": hashHeader}
	case configv1.LoadBalancing_LOAD_BALANCING_LOAD_REPORTS:
		return weightedroundrobin.Name, struct{}{}
	default:
		return roundrobin.Name, struct{}{}
	}
}

// balancing says how the instances of a backend are watched over.
func (o Options) balancing() (instances.Options, error) {
	name, config := o.chosen()
	text, err := json.Marshal(config)
	if err != nil {
		return instances.Options{}, err
	}
	all := instances.Options{
		Balancer: name, Config: text,
		Ejection:     ejection(o.Config.GetOutlierDetection()),
		Check:        check(o.Config.GetHealthCheck()),
		PanicPercent: o.Config.GetPanicThreshold(),
		MaxStreams:   int(o.Config.GetConnections().GetMaxStreams()), MaxConnections: int(o.Config.GetConnections().GetMaxConnections()),
		Log: o.log(),
	}
	if name == ringhash.Name {
		all.HashHeader, all.Ejection.Sticky = hashHeader, true
	}
	return all, nil
}

func ejection(o *configv1.OutlierDetection) instances.Ejection {
	if o.GetDisabled() {
		return instances.Ejection{}
	}
	return instances.Ejection{
		Failures: int(o.GetConsecutiveFailures()),
		Percent:  int(o.GetFailurePercent()), MinCalls: int(o.GetMinCalls()),
		SlowCall: o.GetSlowCall().AsDuration(),
		Time:     o.GetEjectionTime().AsDuration(), MaxTime: o.GetMaxEjectionTime().AsDuration(),
	}
}

func check(h *configv1.HealthCheck) instances.Check {
	if h.GetDisabled() {
		return instances.Check{}
	}
	return instances.Check{
		Interval: h.GetInterval().AsDuration(), Timeout: h.GetTimeout().AsDuration(),
		Failures: int(h.GetFailures()), Service: h.GetService(),
	}
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log.With("backend", o.Config.GetName())
}
