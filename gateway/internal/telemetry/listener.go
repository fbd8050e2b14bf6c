package telemetry

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// listeners are the metrics of what stands before requests: connections and certificates.
type listeners struct {
	refused      *prometheus.CounterVec
	certificates *prometheus.CounterVec

	open     *prometheus.Desc
	notAfter *prometheus.Desc
	mu       sync.Mutex
	current  map[string]listening
}

// listening is where the numbers of one listener come from.
type listening struct {
	open     func() int
	notAfter func() time.Time
}

func newListeners(registry *prometheus.Registry) *listeners {
	l := &listeners{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_connections_refused_total",
			Help: "Connections that were refused before a request, by listener and reason (max_connections, " +
				"max_connections_per_client, proxy_protocol, tls_handshake, malformed_http).",
		}, []string{"listener", "reason"}),
		certificates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_certificates_read_total", Help: "Readings of changed certificates, by success.",
		}, []string{"success"}),
		open: prometheus.NewDesc("cardea_connections", "Open connections of a listener.", []string{"listener"}, nil),
		notAfter: prometheus.NewDesc("cardea_certificate_not_after_timestamp_seconds",
			"When the first certificate of a listener expires.", []string{"listener"}, nil),
		current: map[string]listening{},
	}
	registry.MustRegister(l.refused, l.certificates, l)
	return l
}

// Describe makes it a prometheus.Collector.
func (l *listeners) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- l.open
	descriptions <- l.notAfter
}

// Collect reads the numbers.
func (l *listeners) Collect(metrics chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for address, from := range l.current {
		metrics <- prometheus.MustNewConstMetric(l.open, prometheus.GaugeValue, float64(from.open()), address)
		if at := from.notAfter(); !at.IsZero() {
			metrics <- prometheus.MustNewConstMetric(l.notAfter, prometheus.GaugeValue, float64(at.Unix()), address)
		}
	}
}

// Listening says where the numbers of a listener come from, until NotListening.
func (m *Metrics) Listening(address string, open func() int, notAfter func() time.Time) {
	m.listeners.mu.Lock()
	defer m.listeners.mu.Unlock()
	m.listeners.current[address] = listening{open, notAfter}
}

// NotListening forgets a listener.
func (m *Metrics) NotListening(address string) {
	m.listeners.mu.Lock()
	defer m.listeners.mu.Unlock()
	delete(m.listeners.current, address)
}

// ConnectionRefused counts a connection that became no request.
func (m *Metrics) ConnectionRefused(address, reason string) {
	m.listeners.refused.WithLabelValues(address, reason).Inc()
}

// CertificatesRead counts a reading of changed certificates.
func (m *Metrics) CertificatesRead(success bool) {
	m.listeners.certificates.WithLabelValues(strconv.FormatBool(success)).Inc()
}
