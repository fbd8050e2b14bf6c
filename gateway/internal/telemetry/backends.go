package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backend is what metrics tell of a backend.
type Backend struct {
	// Name is its label.
	Name string
	// Serving, Out and Unconnected count its instances: those that get calls, those that are left alone, and those that are fit but
	// can't be reached.
	Serving, Out, Unconnected int
	// Panicking is true while all are used because too few are fit.
	Panicking bool
	// Calls on their way, and connections that carry them.
	Calls, Connections int
	// Discovered is when the registry last confirmed the instances; zero where there is no registry, or no answer yet.
	Discovered time.Time
	// DiscoveryHealthy is false while the registry fails, and DiscoveryFailures counts how often it has.
	DiscoveryHealthy  bool
	DiscoveryFailures int64
	// EjectedFailing, EjectedSlow, FailedChecks and Queued count since the connections were made.
	EjectedFailing, EjectedSlow, FailedChecks, Queued int64
	// ContractAge is how long ago the backend told its contracts, if it does.
	ContractAge    time.Duration
	HasContractAge bool
}

// backends are the metrics of backends. They are read off when somebody asks, and so cost calls nothing.
type backends struct {
	read func() []Backend

	instances, panicking, calls, connections *prometheus.Desc
	age, healthy, failures, contractAge      *prometheus.Desc
	ejections, failedChecks, queued          *prometheus.Desc
}

// WatchBackends adds the metrics of backends, as read returns them.
func (m *Metrics) WatchBackends(read func() []Backend) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cardea_backend_"+name, help, append([]string{"backend"}, labels...), nil)
	}
	m.registry.MustRegister(&backends{
		read: read,
		instances: desc("instances", "Instances, by state: serving gets calls, out is left alone (the admin API says why), "+
			"unconnected can't be reached.", "state"),
		panicking:   desc("panicking", "1 while all instances are used because too few are fit."),
		calls:       desc("calls", "Calls on their way to instances."),
		connections: desc("connections", "Connections to instances."),
		age: desc("discovery_age_seconds", "How long ago the registry confirmed the set of instances. "+
			"Missing where there is no registry, and before its first answer."),
		healthy:      desc("discovery_healthy", "0 while the registry fails; the instances that were known stay."),
		failures:     desc("discovery_failures_total", "Questions to the registry that failed, or were answered with nothing."),
		contractAge:  desc("contract_age_seconds", "How long ago the backend told its contracts by server reflection."),
		ejections:    desc("ejections_total", "Instances left alone because calls fared badly, by cause (failing, slow).", "cause"),
		failedChecks: desc("failed_health_checks_total", "Health checks of instances that failed."),
		queued:       desc("queued_calls_total", "Calls that found every connection to their instance full, so that they may have waited."),
	})
}

// Describe leaves it to Collect: which of them there are depends on the configuration.
func (b *backends) Describe(chan<- *prometheus.Desc) {}

// Collect reads the backends.
func (b *backends) Collect(ch chan<- prometheus.Metric) {
	for _, s := range b.read() {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{s.Name}, labels...)...)
		}
		count := func(desc *prometheus.Desc, value int64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), append([]string{s.Name}, labels...)...)
		}
		gauge(b.instances, float64(s.Serving), "serving")
		gauge(b.instances, float64(s.Out), "out")
		gauge(b.instances, float64(s.Unconnected), "unconnected")
		gauge(b.panicking, bit(s.Panicking))
		gauge(b.calls, float64(s.Calls))
		gauge(b.connections, float64(s.Connections))
		if !s.Discovered.IsZero() {
			gauge(b.age, time.Since(s.Discovered).Seconds())
		}
		if !s.Discovered.IsZero() || s.DiscoveryFailures > 0 {
			gauge(b.healthy, bit(s.DiscoveryHealthy))
			count(b.failures, s.DiscoveryFailures)
		}
		if s.HasContractAge {
			gauge(b.contractAge, s.ContractAge.Seconds())
		}
		count(b.ejections, s.EjectedFailing, "failing")
		count(b.ejections, s.EjectedSlow, "slow")
		count(b.failedChecks, s.FailedChecks)
		count(b.queued, s.Queued)
	}
}

func bit(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
