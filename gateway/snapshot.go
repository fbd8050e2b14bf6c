package gateway

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/chain"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/proxy"
	"github.com/cardea-gateway/cardea/gateway/internal/route"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// snapshot is one configuration, compiled: immutable, and replaced whole.
type snapshot struct {
	table    *frontend.Table
	admin    *frontend.Table
	backends []*upstream.Backend
	routes   []Route
}

func (s *snapshot) close() error {
	var failures []error
	for _, b := range s.backends {
		failures = append(failures, b.Close())
	}
	return errors.Join(failures...)
}

// compiler builds a snapshot.
type compiler struct {
	*Gateway
	cfg      *configv1.Config
	set      *schema.Set
	policies *schema.Policies
	routes   *route.Builder[*frontend.Binding]
	out      *snapshot
	failures []error
}

// compile builds the snapshot of a configuration. All mistakes are found before it gives up; on failure nothing is left
// open.
func (g *Gateway) compile(cfg *configv1.Config) (*snapshot, error) {
	c := &compiler{
		Gateway: g, cfg: cfg, set: schema.NewSet(), policies: schema.NewPolicies(cfg.GetPolicies()),
		routes: route.NewBuilder[*frontend.Binding](),
	}
	for i, image := range cfg.GetDescriptors().GetImages() {
		c.fail(config.At(fmt.Sprintf("descriptors.images[%d]", i), c.set.Add(image)))
	}
	c.out = &snapshot{table: c.newTable(), admin: c.newTable()}
	for i, backend := range cfg.GetBackends() {
		c.backend(fmt.Sprintf("backends[%d]", i), backend)
	}
	c.own()
	c.finish()
	if err := errors.Join(c.failures...); err != nil {
		_ = c.out.close()
		return nil, err
	}
	return c.out, nil
}

func (c *compiler) newTable() *frontend.Table {
	limits, timeouts := c.cfg.GetLimits(), c.cfg.GetTimeouts()
	return &frontend.Table{
		Methods: map[string]*frontend.Plan{}, Services: map[string]*frontend.Plan{},
		Types: c.set, Mount: frontend.NewMount(c.set),
		Limits: frontend.Limits{
			MaxMessageBytes: int(limits.GetMaxMessageBytes()), MaxBodyBytes: int(limits.GetMaxBodyBytes()),
			MaxHeaders: int(limits.GetMaxHeaders()), MaxURLBytes: int(limits.GetMaxUrlBytes()),
		},
		Timeouts: frontend.Timeouts{
			RequestBody: timeouts.GetRequestBody().AsDuration(), Call: timeouts.GetCall().AsDuration(),
			MaxCall: timeouts.GetMaxCall().AsDuration(), StreamIdle: timeouts.GetStreamIdle().AsDuration(),
		},
		TrustedProxies: frontend.Networks(c.cfg.GetTrustedProxies()),
	}
}

func (c *compiler) fail(err error) {
	if err != nil {
		c.failures = append(c.failures, err)
	}
}

// finish closes what is open to the end: routes, and selectors that selected nothing.
func (c *compiler) finish() {
	c.out.table.Routes = c.routes.Build()
	for _, selector := range c.policies.Unused() {
		c.fail(config.At(fmt.Sprintf("policies[%d].selectors[%d]", selector.Rule, selector.Index),
			fmt.Errorf("%s matches no method of a backend's services", selector.Text)))
	}
	for service := range c.options.rest {
		if c.set.Service(service) == nil {
			c.fail(fmt.Errorf("handlers are linked for the service %s, whose contract is not known", service))
		}
	}
}

// backend opens a backend and compiles the methods of its services. The field is where the configuration has it.
func (c *compiler) backend(field string, cfg *configv1.Backend) {
	b, err := upstream.Open(upstream.Options{
		Name: cfg.GetName(), Target: cfg.GetTarget(), Version: c.options.version,
		MaxMessageBytes: int(c.cfg.GetLimits().GetMaxMessageBytes()),
	})
	if err != nil {
		c.fail(config.At(field+".target", err))
		return
	}
	c.out.backends = append(c.out.backends, b)
	for i, name := range cfg.GetServices() {
		if service := c.set.Service(name); service != nil {
			c.known(fmt.Sprintf("%s.services[%d]", field, i), b, service)
		} else {
			c.unknown(b, name)
		}
	}
}

// known compiles a service whose contract is known.
func (c *compiler) known(field string, b *upstream.Backend, service protoreflect.ServiceDescriptor) {
	register, linked := c.options.rest[string(service.FullName())]
	for i := range service.Methods().Len() {
		md := service.Methods().Get(i)
		m := describe(md, b.Name())
		policy := c.policies.For(m.Service+"."+m.Name, service, md)
		c.fail(config.At(field, c.bind(c.plan(b, m, policy), policy, md, linked)))
	}
	if linked {
		c.fail(config.At(field, c.out.table.Mount.Register(register)))
	}
}

// bind adds the ways to call a method over REST.
func (c *compiler) bind(plan *frontend.Plan, policy *policyv1.Policy, md protoreflect.MethodDescriptor, linked bool) error {
	rules, err := schema.Rules(md)
	failures := []error{err}
	for _, rule := range rules {
		b := &frontend.Binding{Plan: plan, HTTPMethod: rule.HTTPMethod, Template: rule.Template, Body: rule.Body, Linked: linked}
		if err := c.routes.Add(rule.HTTPMethod, rule.Template, b); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", md.FullName(), err))
		}
		c.list(plan.Method, policy, b)
	}
	if len(rules) == 0 {
		c.list(plan.Method, policy, nil)
	}
	return errors.Join(failures...)
}

func (c *compiler) list(m *call.Method, policy *policyv1.Policy, b *frontend.Binding) {
	c.out.routes = append(c.out.routes, newRoute(m, policy, b))
}

func describe(md protoreflect.MethodDescriptor, backend string) *call.Method {
	service := string(md.Parent().FullName())
	return &call.Method{
		FullName: "/" + service + "/" + string(md.Name()), Service: service, Name: string(md.Name()),
		ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
		Input: md.Input(), Output: md.Output(), Backend: backend,
	}
}

// unknown compiles a service whose contract is not known: the methods that the configuration names, and one plan for the
// rest.
func (c *compiler) unknown(b *upstream.Backend, service string) {
	for _, name := range append(c.policies.Exact(service), "*") {
		method := &call.Method{
			FullName: "/" + service + "/" + name, Service: service, Name: name,
			ClientStreams: true, ServerStreams: true, Backend: b.Name(),
		}
		policy := c.policies.For(service+"."+name, nil, nil)
		plan := c.plan(b, method, policy)
		c.list(method, policy, nil)
		if name == "*" {
			c.out.table.Services[service] = plan
		}
	}
}

// plan compiles one method of a backend and adds it to the table.
func (c *compiler) plan(b *upstream.Backend, m *call.Method, policy *policyv1.Policy) *frontend.Plan {
	end := proxy.Handler(proxy.Options{Method: m, Backend: b, Metadata: frontend.Incoming, Log: c.options.log})
	plan := &frontend.Plan{
		Method:        m,
		Handler:       chain.Fold(info(m), end, c.pipeline(m, policy)...),
		WantsMetadata: len(c.options.interceptors) > 0,
	}
	c.out.table.Methods[m.FullName] = plan
	return plan
}

func info(m *call.Method) *grpc.StreamServerInfo {
	return &grpc.StreamServerInfo{FullMethod: m.FullName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams}
}

// own adds the services that the gateway itself offers: health on both faces, reflection where it is on.
func (c *compiler) own() {
	for _, local := range chain.Serve(&healthpb.Health_ServiceDesc, c.health) {
		c.answer(c.out.table, local)
		c.answer(c.out.admin, local)
	}
	if !c.cfg.GetReflection().GetEnabled() {
		return
	}
	o := reflection.ServerOptions{Services: c, DescriptorResolver: c.set, ExtensionResolver: c.set}
	for _, local := range chain.Serve(&reflectionv1.ServerReflection_ServiceDesc, reflection.NewServerV1(o)) {
		c.answer(c.out.table, local)
	}
	for _, local := range chain.Serve(&reflectionv1alpha.ServerReflection_ServiceDesc, reflection.NewServer(o)) {
		c.answer(c.out.table, local)
	}
}

func (c *compiler) answer(table *frontend.Table, local chain.Local) {
	table.Methods[local.Method.FullName] = &frontend.Plan{
		Method:  local.Method,
		Handler: chain.Fold(info(local.Method), local.End, chain.Recover(c.options.log)),
		Until:   c.stopping, // Clients watch health for as long as they live; that must not keep the gateway from stopping.
	}
}

// GetServiceInfo tells reflection which services there are: those whose contract is known, and the gateway's own.
func (c *compiler) GetServiceInfo() map[string]grpc.ServiceInfo {
	services := map[string]grpc.ServiceInfo{}
	for _, plan := range c.out.table.Methods {
		if c.set.Service(plan.Method.Service) != nil {
			services[plan.Method.Service] = grpc.ServiceInfo{}
		}
	}
	return services
}

// face hands out the tables of one listener.
type face struct{ *Gateway }

func (f face) Enter(string) *frontend.Table { return f.running.Load().table }
func (f face) Leave(*frontend.Table)        {}

// adminFace hands out the table of the admin address.
type adminFace struct{ *Gateway }

func (f adminFace) Enter(string) *frontend.Table { return f.running.Load().admin }
func (f adminFace) Leave(*frontend.Table)        {}
