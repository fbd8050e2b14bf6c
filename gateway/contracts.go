package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/reflection"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Contract is where the contract of a service comes from.
type Contract struct {
	// Service is the full name of the service. It is empty for a backend that has not told its services yet.
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
	sources := append(c.images(), c.reflected()...)
	var served []string
	for _, b := range c.cfg.GetBackends() {
		served = append(served, b.GetServices()...)
	}
	set, err := schema.NewSet(served, sources...)
	c.fail(config.At("descriptors", err))
	c.set = set
	for i, file := range c.cfg.GetDescriptors().GetServiceConfigs() {
		c.fail(c.setRules(fmt.Sprintf("descriptors.service_configs[%d]", i), file))
	}
	c.programs = programs(c.cfg, c.set)
}

// images reads the descriptor images, and those in folders.
func (c *compiler) images() []*schema.Source {
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
	return sources
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
	c.rules = append(c.rules, file.HTTP())
	var failures []error
	for i, rule := range file.HTTP().GetRules() {
		if c.awaits(rule.GetSelector()) {
			c.options.log.Warn("a rule waits for a backend's contract", "selector", rule.GetSelector(), "rule", file.Origin(ruleAt(i)))
			continue
		}
		method, err := c.set.Selected(rule)
		if err != nil {
			failures = append(failures, config.At(ruleAt(i)+".selector", err))
			continue
		}
		failures = append(failures, config.At(ruleAt(i), c.set.SetRule(method, rule, file.Origin(ruleAt(i)))))
	}
	return config.At(field, file.Explain(errors.Join(failures...)))
}

func ruleAt(i int) string { return fmt.Sprintf("http.rules[%d]", i) }

// awaits tells whether a selector may name a method of a backend that has not told its contract yet: that is no mistake.
func (c *compiler) awaits(selector string) bool {
	return len(c.silent) > 0 && c.set.Service(string(protoreflect.FullName(selector).Parent())) == nil
}

// reflected returns the contracts that backends tell by server reflection.
func (c *compiler) reflected() []*schema.Source {
	told := make([]*answer, len(c.cfg.GetBackends()))
	var asking sync.WaitGroup
	for i, b := range c.cfg.GetBackends() {
		if b.GetReflection() != nil && c.backends[i] != nil {
			asking.Go(func() { told[i] = c.consult(c.askerAt(i)) })
		}
	}
	asking.Wait()
	var sources []*schema.Source
	for i, a := range told {
		switch b := c.cfg.GetBackends()[i]; {
		case a != nil:
			c.out.told = append(c.out.told, inForce{c.askerAt(i), a})
			sources = append(sources, a.source)
			if len(b.GetServices()) == 0 {
				b.Services = slices.Clone(a.said.Services)
			}
		case b.GetReflection() != nil:
			c.silent = append(c.silent, b.GetName())
		}
	}
	if len(sources) > 0 {
		c.fail(config.Complete(c.cfg)) // What backends tell must pass where it would have to in the file.
	}
	return sources
}

func (c *compiler) askerAt(i int) asker {
	return c.asker(c.source, c.source.GetBackends()[i], c.backends[i])
}

// asker returns who asks a backend.
func (g *Gateway) asker(cfg *configv1.Config, b *configv1.Backend, backend reflection.Backend) asker {
	return asker{
		ctx: g.stopping, log: g.options.log, backend: backend, name: b.GetName(), target: b.GetTarget(),
		services: b.GetServices(), timeout: b.GetReflection().GetTimeout().AsDuration(),
		cache: cacheFile(cfg.GetDescriptors().GetCacheDirectory(), b.GetName(), b.GetTarget()),
	}
}

// origins notes where the contracts of the backends' services come from.
func (c *compiler) origins() {
	for _, b := range c.cfg.GetBackends() {
		for _, service := range b.GetServices() {
			found := c.set.Contract(service)
			c.out.contracts = append(c.out.contracts, Contract{
				Service: service, Backend: b.GetName(), Source: found.Source, Digest: found.Digest,
			})
		}
		if len(b.GetServices()) == 0 {
			c.out.contracts = append(c.out.contracts, Contract{Backend: b.GetName()})
		}
	}
}

// fingerprintOf hashes what makes the configuration: the message, and what the files hold that it names, as they were read.
func (c *compiler) fingerprintOf() string {
	h := sha256.New()
	add := func(m proto.Message) {
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		c.fail(err)
		fmt.Fprintf(h, "%d\n", len(wire))
		h.Write(wire)
	}
	add(c.cfg)
	for _, digest := range c.set.Digests() {
		fmt.Fprintln(h, digest)
	}
	for _, rules := range c.rules {
		add(rules)
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
