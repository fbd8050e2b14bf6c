package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/reflection"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Contract is where the contract of a service comes from.
type Contract struct {
	// Service is the full name of the service.
	Service string
	// Backend is the name of the backend that serves it.
	Backend string
	// Source says where the contract comes from: "image food.binpb", "reflection of backend order (v1)", "cache of backend
	// order (of 2026-01-02 15:04)" or "linked". It is empty where no contract is known, and calls are proxied by name.
	Source string
	// Digest is the SHA-256 of the service with all messages and enums that it needs, in hexadecimal.
	Digest string
}

// Contracts returns where the contracts of the backends' services come from, in the order of the configuration.
func (g *Gateway) Contracts() []Contract {
	return append([]Contract(nil), g.running.Load().contracts...)
}

// gather collects the contracts of the configuration, and fills in the services of backends that tell them.
func (c *compiler) gather() {
	var sources []*schema.Source
	descriptors := c.cfg.GetDescriptors()
	for i, image := range descriptors.GetImages() {
		sources = c.addImage(sources, fmt.Sprintf("descriptors.images[%d]", i), image)
	}
	for i, folder := range descriptors.GetDirectories() {
		field := fmt.Sprintf("descriptors.directories[%d]", i)
		images, err := schema.Images(folder)
		c.fail(config.At(field, err))
		for _, image := range images {
			sources = c.addImage(sources, field, image)
		}
	}
	set, err := schema.NewSet(append(sources, c.reflected()...)...)
	c.fail(config.At("descriptors", err))
	c.set = set
	for i, file := range descriptors.GetServiceConfigs() {
		c.fail(c.setRules(fmt.Sprintf("descriptors.service_configs[%d]", i), file))
	}
	c.programs = programs(c.cfg, c.set)
}

func (c *compiler) addImage(sources []*schema.Source, field, image string) []*schema.Source {
	source, err := schema.ReadImage(image)
	if err != nil {
		c.fail(config.At(field, err))
		return sources
	}
	return append(sources, source)
}

// setRules takes the rules of a service configuration.
func (c *compiler) setRules(field, path string) error {
	file, err := config.LoadService(path)
	if err != nil {
		return config.At(field, err)
	}
	var failures []error
	for i, rule := range file.HTTP().GetRules() {
		failures = append(failures, config.At(fmt.Sprintf("http.rules[%d].selector", i), c.set.SetRule(rule)))
	}
	return config.At(field, file.Explain(errors.Join(failures...)))
}

// reflected returns the contracts that backends tell by server reflection.
func (c *compiler) reflected() []*schema.Source {
	told := make([]*answer, len(c.cfg.GetBackends()))
	var asking sync.WaitGroup
	for i, b := range c.cfg.GetBackends() {
		if b.GetReflection() != nil && c.backends[i] != nil {
			asking.Go(func() { told[i] = c.answerOf(c.asker(c.source, c.source.GetBackends()[i], c.backends[i])) })
		}
	}
	asking.Wait()
	var sources []*schema.Source
	for i, a := range told {
		if a == nil {
			continue
		}
		c.told = append(c.told, inForce{c.asker(c.source, c.source.GetBackends()[i], c.backends[i]), a})
		source, err := a.source()
		if err != nil {
			c.fail(config.At(fmt.Sprintf("backends[%d].reflection", i), err))
			continue
		}
		sources = append(sources, source)
		if b := c.cfg.GetBackends()[i]; len(b.GetServices()) == 0 {
			b.Services = a.said.Services
		}
	}
	return sources
}

// answerOf returns what a backend tells, or has told; nil if nothing is known of it.
func (c *compiler) answerOf(p asker) *answer {
	if !c.asks {
		return c.answers.get(p.key())
	}
	return c.answers.of(p)
}

// asker returns who asks a backend.
func (g *Gateway) asker(cfg *configv1.Config, b *configv1.Backend, backend reflection.Backend) asker {
	return asker{
		ctx: g.stopping, log: g.options.log, backend: backend, name: b.GetName(), target: b.GetTarget(),
		services: slices.Clone(b.GetServices()), timeout: b.GetReflection().GetTimeout().AsDuration(),
		cache: cacheFile(cfg.GetDescriptors().GetCacheDirectory(), b.GetName(), b.GetTarget()),
	}
}

// origins notes where the contracts of the backends' services come from.
func (c *compiler) origins() {
	for _, b := range c.cfg.GetBackends() {
		for _, service := range b.GetServices() {
			found, _ := c.set.Contract(service)
			c.out.contracts = append(c.out.contracts, Contract{
				Service: service, Backend: b.GetName(), Source: found.Source, Digest: found.Digest,
			})
		}
	}
}

// fingerprintOf hashes what makes the configuration: the message, and what the files say that it names.
func (c *compiler) fingerprintOf() string {
	h := sha256.New()
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.cfg)
	c.fail(err)
	h.Write(wire)
	fmt.Fprintf(h, "%s\n", strings.Join(c.set.Digests(), "\n"))
	for _, file := range c.cfg.GetDescriptors().GetServiceConfigs() {
		if data, err := os.ReadFile(file); err == nil { // Whoever loads it explains the error.
			h.Write(data)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// cacheFile returns where the answer of a backend is kept; empty if it is not.
func cacheFile(folder, name, target string) string {
	if folder == "" {
		return ""
	}
	id := sha256.Sum256([]byte(target))
	return filepath.Join(folder, name+"-"+hex.EncodeToString(id[:6])+".json")
}
