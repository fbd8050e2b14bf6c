package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// compiler builds a snapshot.
type compiler struct {
	*Gateway

	source   *configv1.Config // As it was given.
	cfg      *configv1.Config // With what backends tell.
	set      *schema.Set
	programs *transcode.Compiler
	policies *schema.Policies
	backends []*upstream.Backend // As in the configuration; nil where one could not be opened.
	out      *snapshot
	consult  consult
	rules    []*annotations.Http // Of service configurations.
	silent   []string            // Backends that tell their contracts, of whom none is known.
	failures []error
}

// consult returns what a backend tells, or nil if that is not known. It is called for all backends at a time.
type consult func(asker) *answer

// compile builds the snapshot of a configuration. All mistakes are found before it gives up; on failure nothing is left
// open.
func (g *Gateway) compile(source *configv1.Config, consult consult) (*snapshot, error) {
	cfg := proto.CloneOf(source)
	c := &compiler{
		Gateway: g, source: source, cfg: cfg, consult: consult,
		policies: schema.NewPolicies(cfg.GetPolicies()), out: newSnapshot(source, cfg, g.stopping),
	}
	c.fail(config.At("consul", upstream.CheckConsul(cfg.GetConsul())))
	for i, backend := range cfg.GetBackends() {
		c.open(fmt.Sprintf("backends[%d]", i), backend)
	}
	c.gather()
	for i, key := range listenerKeys(cfg) {
		c.listener(fmt.Sprintf("listeners[%d]", i), key, cfg.GetListeners()[i])
	}
	c.out.admin = c.adminTable()
	c.out.registrar = c.register()
	c.unused("", c.policies)
	c.origins()
	for service := range c.options.rest {
		if c.set.Service(service) == nil {
			c.fail(fmt.Errorf("handlers are linked for the service %s, whose contract is not known", service))
		}
	}
	c.out.digest = c.fingerprintOf()
	if err := errors.Join(c.failures...); err != nil {
		c.out.close()
		return nil, err
	}
	return c.out, nil
}

// fail notes a mistake, once.
func (c *compiler) fail(err error) {
	same := func(other error) bool { return err.Error() == other.Error() }
	if err != nil && !slices.ContainsFunc(c.failures, same) {
		c.failures = append(c.failures, err)
	}
}

// programs returns a compiler of what turns messages into JSON and back.
func programs(cfg *configv1.Config, set *schema.Set) *transcode.Compiler {
	json := cfg.GetRest().GetJson()
	return transcode.New(transcode.Options{
		Resolver: set, EmitDefaults: json.GetEmitDefaults(), UseProtoNames: json.GetUseProtoNames(),
		UseEnumNumbers: json.GetUseEnumNumbers(), Int64AsNumbers: json.GetInt64AsNumbers(),
	})
}

// open opens a backend. The field is where the configuration has it.
func (c *compiler) open(field string, cfg *configv1.Backend) {
	b, err := c.pool.Open(upstream.Options{
		Config: cfg, Consul: c.cfg.GetConsul(), CacheDirectory: c.cfg.GetDiscovery().GetCacheDirectory(), Zone: c.cfg.GetZone(),
		Version: c.options.version, MaxMessageBytes: int(c.cfg.GetLimits().GetMaxMessageBytes()), Log: c.options.log,
	})
	c.backends = append(c.backends, b)
	if errors.Is(err, upstream.ErrConsul) {
		return // It was found before.
	}
	if err != nil {
		blamed := ".target"
		if cfg.GetTls() != nil {
			blamed = ".tls"
		}
		c.fail(config.At(field+blamed, err))
		return
	}
	c.out.backends = append(c.out.backends, b)
}

// listener compiles what one listener serves: a table for each host that its backends are bound to, and one for the rest.
func (c *compiler) listener(field, key string, cfg *configv1.Listener) {
	policies := c.policies.With(cfg.GetPolicies())
	served := c.served(cfg)
	sites := &sites{}
	for _, host := range hostsOf(served) {
		t := c.tableFor(policies, cfg.GetAddress(), host)
		for _, b := range forHost(served, host) {
			t.backend(b)
		}
		sites.add(host, t.finish())
	}
	c.out.faces[key] = sites
	c.unused(field+".", policies)
}

// served returns the backends of a listener.
func (c *compiler) served(cfg *configv1.Listener) []servedBackend {
	var served []servedBackend
	for i, b := range c.cfg.GetBackends() {
		if c.backends[i] != nil && (len(cfg.GetBackends()) == 0 || slices.Contains(cfg.GetBackends(), b.GetName())) {
			served = append(served, servedBackend{field: fmt.Sprintf("backends[%d]", i), cfg: b, open: c.backends[i]})
		}
	}
	return served
}

// unused refuses selectors that selected nothing, unless that may be because a backend has not told its services yet.
func (c *compiler) unused(field string, policies *schema.Policies) {
	for _, selector := range policies.Unused() {
		if len(c.silent) > 0 {
			c.options.log.Warn("a selector matches no method of the services that are known so far",
				"selector", selector.Text, "unknown_backends", strings.Join(c.silent, ", "))
			continue
		}
		c.fail(config.At(fmt.Sprintf("%spolicies[%d].selectors[%d]", field, selector.Rule, selector.Index),
			fmt.Errorf("%s matches no method of a backend's services%s", selector.Text, nearest.Hint(selector.Text, c.selectable()))))
	}
}

// selectable returns the selectors that select something, for a guess at what a misspelled one means.
func (c *compiler) selectable() []string {
	var all []string
	for _, r := range c.out.routes {
		name := strings.Replace(r.Method, "/", ".", 1)
		all = append(all, name)
		for dot := strings.LastIndex(name, "."); dot > 0; dot = strings.LastIndex(name[:dot], ".") {
			all = append(all, name[:dot]+".*")
		}
	}
	return all
}
