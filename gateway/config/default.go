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
	defaultMaxConcurrentStreams = 250
	defaultMaxHeaderBytes       = 64 << 10
	defaultDrainTimeout         = 30 * time.Second
)

// Default fills in, in place, what a configuration leaves out:
//
//	admin.address                   127.0.0.1:9901
//	backends[].load_balancing       LOAD_BALANCING_ROUND_ROBIN
//	drain_timeout                   30s; an explicit 0s stays, and stops at once
//	limits.max_concurrent_streams   250
//	limits.max_header_bytes         64 KiB
//	limits.max_message_bytes        4 MiB
//
// What is set stays as it is; a field whose absence has a meaning of its own, such as reflection, stays absent. A
// configuration that was built in code needs it before use; [Load] and [Parse] have called it. A nil configuration
// panics. Default must not run while others read cfg.
func Default(cfg *configv1.Config) {
	if cfg.GetAdmin() == nil {
		cfg.Admin = &configv1.Admin{}
	}
	fill(&cfg.Admin.Address, defaultAdminAddress)
	if cfg.GetLimits() == nil {
		cfg.Limits = &configv1.Limits{}
	}
	fill(&cfg.Limits.MaxMessageBytes, defaultMaxMessageBytes)
	fill(&cfg.Limits.MaxConcurrentStreams, defaultMaxConcurrentStreams)
	fill(&cfg.Limits.MaxHeaderBytes, defaultMaxHeaderBytes)
	if cfg.GetDrainTimeout() == nil {
		cfg.DrainTimeout = durationpb.New(defaultDrainTimeout)
	}
	for _, b := range cfg.GetBackends() {
		fill(&b.LoadBalancing, configv1.LoadBalancing_LOAD_BALANCING_ROUND_ROBIN)
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
		if tls := l.GetTls(); tls != nil {
			tls.CertificateFile = resolve(dir, tls.GetCertificateFile())
			tls.PrivateKeyFile = resolve(dir, tls.GetPrivateKeyFile())
		}
	}
	images := cfg.GetDescriptors().GetImages()
	for i, image := range images {
		images[i] = resolve(dir, image)
	}
}

func resolve(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}
