package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// reloads are the metrics of configurations.
type reloads struct {
	attempts   *prometheus.CounterVec
	generation prometheus.Gauge
	healthy    prometheus.Gauge
	loaded     prometheus.Gauge
}

func newReloads(registry *prometheus.Registry) reloads {
	r := reloads{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_config_reloads_total",
			Help: "Attempts to reload the configuration, by trigger (signal, file, api, descriptors) and success.",
		}, []string{"trigger", "success"}),
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_config_generation", Help: "1 for the configuration that the process began with, one more for each since.",
		}),
		healthy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_config_last_reload_successful", Help: "1 unless the last attempt to reload has failed.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_config_loaded_timestamp_seconds", Help: "When the configuration in force was loaded.",
		}),
	}
	r.generation.Set(1)
	r.healthy.Set(1)
	r.loaded.SetToCurrentTime()
	registry.MustRegister(r.attempts, r.generation, r.healthy, r.loaded)
	return r
}

// Reloaded counts an attempt to reload; changed says whether it put another configuration in force.
func (m *Metrics) Reloaded(trigger string, success, changed bool, generation int64) {
	m.reloads.attempts.WithLabelValues(trigger, strconv.FormatBool(success)).Inc()
	m.reloads.healthy.Set(0)
	if success {
		m.reloads.healthy.Set(1)
	}
	if changed {
		m.reloads.generation.Set(float64(generation))
		m.reloads.loaded.SetToCurrentTime()
	}
}
