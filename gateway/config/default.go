package config

import (
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

const (
	defaultAdminAddress         = "127.0.0.1:9901"
	defaultMaxMessageBytes      = 4 << 20
	defaultMaxConcurrentStreams = 100
	defaultMaxHeaderBytes       = 64 << 10
	defaultMaxHeaders           = 100
	defaultMaxURLBytes          = 8 << 10
	defaultMaxConnections       = 10_000

	defaultDrainTimeout   = 30 * time.Second
	defaultRequestHeader  = 10 * time.Second
	defaultRequestBody    = time.Minute
	defaultCall           = 15 * time.Second
	defaultMaxCall        = 5 * time.Minute
	defaultStreamIdle     = 5 * time.Minute
	defaultConnectionIdle = time.Hour
	defaultConnectionAge  = time.Hour
	defaultMaxStreamAge   = time.Hour

	defaultReflectionInterval = 30 * time.Second
	defaultReflectionTimeout  = 5 * time.Second

	defaultConsulAddress  = "127.0.0.1:8500"
	defaultConsulMaxStale = 10 * time.Second
	defaultConsulService  = "cardea"
	defaultConsulTTL      = 15 * time.Second

	defaultPanicThreshold      = 50
	defaultConsecutiveFailures = 5
	defaultFailurePercent      = 50
	defaultMinCalls            = 20
	defaultSlowCall            = time.Second
	defaultEjectionTime        = 5 * time.Second
	defaultMaxEjectionTime     = 5 * time.Minute
	defaultCheckInterval       = time.Second
	defaultCheckTimeout        = time.Second
	defaultCheckFailures       = 2
	defaultMaxStreams          = 100
	defaultInstanceConnections = 4
)

// Default fills in, in place, what a configuration leaves out, with the values that the comments of the schema state.
// What is set stays as it is; a field whose absence has a meaning of its own, such as reflection, stays absent. A
// configuration that was built in code needs it before use; [Load] and [Parse] have called it. A nil configuration
// panics. Default must not run while others read cfg.
func Default(cfg *configv1.Config) {
	ensure(&cfg.Admin)
	fill(&cfg.Admin.Address, defaultAdminAddress)
	ensure(&cfg.Reload)
	fillDuration(&cfg.Reload.MaxStreamAge, defaultMaxStreamAge)
	fillDuration(&cfg.DrainTimeout, defaultDrainTimeout)
	fillDuration(&cfg.DrainDelay, 0)
	defaultLimits(cfg)
	defaultTimeouts(cfg)
	for _, b := range cfg.GetBackends() {
		defaultInstances(b)
		if r := b.GetReflection(); r != nil {
			fillDuration(&r.Interval, defaultReflectionInterval)
			fillDuration(&r.Timeout, defaultReflectionTimeout)
		}
	}
	if c := cfg.GetConsul(); c != nil {
		defaultConsul(c)
	}
	for _, l := range cfg.GetListeners() {
		if certificates := l.GetTls().GetClientCertificates(); certificates != nil {
			fill(&certificates.Mode, configv1.ClientCertificates_MODE_REQUIRED)
		}
	}
}

func defaultConsul(c *configv1.Consul) {
	fill(&c.Address, defaultConsulAddress)
	fillDuration(&c.MaxStale, defaultConsulMaxStale)
	if r := c.GetRegister(); r != nil {
		fill(&r.Service, defaultConsulService)
		fillDuration(&r.Ttl, defaultConsulTTL)
	}
}

// defaultInstances says how calls are spread over the instances of a backend.
func defaultInstances(b *configv1.Backend) {
	fill(&b.LoadBalancing, configv1.LoadBalancing_LOAD_BALANCING_ROUND_ROBIN)
	fill(&b.PanicThreshold, defaultPanicThreshold)
	ensure(&b.OutlierDetection)
	o := b.GetOutlierDetection()
	fill(&o.ConsecutiveFailures, defaultConsecutiveFailures)
	fill(&o.FailurePercent, defaultFailurePercent)
	fill(&o.MinCalls, defaultMinCalls)
	fillDuration(&o.SlowCall, defaultSlowCall)
	fillDuration(&o.EjectionTime, defaultEjectionTime)
	fillDuration(&o.MaxEjectionTime, defaultMaxEjectionTime)
	ensure(&b.HealthCheck)
	h := b.GetHealthCheck()
	fillDuration(&h.Interval, defaultCheckInterval)
	fillDuration(&h.Timeout, defaultCheckTimeout)
	fill(&h.Failures, defaultCheckFailures)
	ensure(&b.Connections)
	fill(&b.Connections.MaxStreams, defaultMaxStreams)
	fill(&b.Connections.MaxConnections, defaultInstanceConnections)
}

func defaultLimits(cfg *configv1.Config) {
	ensure(&cfg.Limits)
	l := cfg.GetLimits()
	fill(&l.MaxMessageBytes, defaultMaxMessageBytes)
	fill(&l.MaxConcurrentStreams, defaultMaxConcurrentStreams)
	fill(&l.MaxHeaderBytes, defaultMaxHeaderBytes)
	fill(&l.MaxHeaders, defaultMaxHeaders)
	fill(&l.MaxUrlBytes, defaultMaxURLBytes)
	fill(&l.MaxBodyBytes, l.GetMaxMessageBytes())
	fill(&l.MaxConnections, defaultMaxConnections)
	fill(&l.MaxConnectionsPerClient, l.GetMaxConnections())
}

func defaultTimeouts(cfg *configv1.Config) {
	ensure(&cfg.Timeouts)
	t := cfg.GetTimeouts()
	fillDuration(&t.RequestHeader, defaultRequestHeader)
	fillDuration(&t.RequestBody, defaultRequestBody)
	fillDuration(&t.Call, defaultCall)
	fillDuration(&t.MaxCall, defaultMaxCall)
	fillDuration(&t.StreamIdle, defaultStreamIdle)
	fillDuration(&t.ConnectionIdle, defaultConnectionIdle)
	fillDuration(&t.ConnectionAge, defaultConnectionAge)
}

// ensure makes a message that is absent.
func ensure[T any](field **T) {
	if *field == nil {
		*field = new(T)
	}
}

func fillDuration(field **durationpb.Duration, value time.Duration) {
	if *field == nil {
		*field = durationpb.New(value)
	}
}

// fill sets a field that has its zero value.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// resolveFiles lets relative file names start at dir.
func resolveFiles(cfg *configv1.Config, dir string) {
	for _, l := range cfg.GetListeners() {
		for _, c := range l.GetTls().GetCertificates() {
			resolveCertificate(dir, c)
		}
		if clients := l.GetTls().GetClientCertificates(); clients != nil {
			clients.CaFile = resolve(dir, clients.GetCaFile())
		}
	}
	for _, b := range cfg.GetBackends() {
		if tls := b.GetTls(); tls != nil {
			tls.CaFile = resolve(dir, tls.GetCaFile())
			resolveCertificate(dir, tls.GetCertificate())
		}
	}
	if c := cfg.GetConsul(); c != nil {
		c.TokenFile = resolve(dir, c.GetTokenFile())
		if tls := c.GetTls(); tls != nil {
			tls.CaFile = resolve(dir, tls.GetCaFile())
			resolveCertificate(dir, tls.GetCertificate())
		}
	}
	if d := cfg.GetDiscovery(); d != nil {
		d.CacheDirectory = resolve(dir, d.GetCacheDirectory())
	}
	d := cfg.GetDescriptors()
	for _, files := range [][]string{d.GetImages(), d.GetDirectories(), d.GetServiceConfigs()} {
		for i, file := range files {
			files[i] = resolve(dir, file)
		}
	}
	if d != nil {
		d.CacheDirectory = resolve(dir, d.GetCacheDirectory())
	}
}

func resolveCertificate(dir string, c *configv1.Certificate) {
	if c != nil {
		c.CertificateFile, c.PrivateKeyFile = resolve(dir, c.GetCertificateFile()), resolve(dir, c.GetPrivateKeyFile())
	}
}

func resolve(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}
