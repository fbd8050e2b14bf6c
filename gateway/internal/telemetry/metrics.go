package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
)

// Metrics counts requests. Labels never hold what a client chose: methods that are not known have empty names.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	reloads  reloads

	listeners *listeners
}

// NewMetrics returns metrics in a registry of their own, with those of the Go runtime and of the process.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_requests_total",
			Help: "Requests served, by protocol (grpc, rest), service, method and gRPC status code. " +
				"Service and method are empty where no method was found.",
		}, []string{"protocol", "service", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cardea_request_duration_seconds",
			Help:    "Time from the request's header to the end of the answer, by protocol, service and method.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
			// Prometheus servers that can, read a native histogram; the bounds keep its cost in check.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"protocol", "service", "method"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cardea_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.reloads, m.listeners = newReloads(m.registry), newListeners(m.registry)
	m.registry.MustRegister(m.requests, m.duration, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe counts one request.
func (m *Metrics) Observe(rec *frontend.Record) {
	var service, method string
	if rec.Method != nil {
		service, method = rec.Method.Service, rec.Method.Name
	}
	code := rec.Code
	if code > codes.Unauthenticated { // Backends can make up any number.
		code = codes.Unknown
	}
	m.requests.WithLabelValues(rec.Protocol, service, method, code.String()).Inc()
	m.duration.WithLabelValues(rec.Protocol, service, method).Observe(time.Since(rec.Start).Seconds())
}

// Handler serves the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
