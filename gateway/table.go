package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/chain"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/nearest"
	"github.com/cardea-gateway/cardea/gateway/internal/proxy"
	"github.com/cardea-gateway/cardea/gateway/internal/route"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	adminv1 "github.com/cardea-gateway/cardea/gen/go/cardea/admin/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// tableCompiler builds one table: what a listener serves to those who ask for a host.
type tableCompiler struct {
	*compiler

	policies *schema.Policies
	listener string // Its address.
	host     string // Empty: every host that no other table is for.
	routes   *route.Builder[*frontend.Binding]
	table    *frontend.Table
	taken    map[string]bool // Services.
}

// tableFor begins a table.
func (c *compiler) tableFor(policies *schema.Policies, listener, host string) *tableCompiler {
	return &tableCompiler{
		compiler: c, policies: policies, listener: listener, host: host,
		routes: route.NewBuilder[*frontend.Binding](), table: c.newTable(), taken: map[string]bool{},
	}
}

func (c *compiler) newTable() *frontend.Table {
	limits, timeouts := c.cfg.GetLimits(), c.cfg.GetTimeouts()
	return &frontend.Table{
		Owner:   c.out,
		Methods: map[string]*frontend.Plan{}, Services: map[string]*frontend.Plan{},
		Types: c.set, Mount: frontend.NewMount(c.set, c.cfg.GetRest().GetJson()),
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

// finish adds what the gateway offers by itself to clients, health and reflection where it is on, and returns the table.
func (c *tableCompiler) finish() *frontend.Table {
	c.answer(&healthpb.Health_ServiceDesc, faceHealth{c.health, c.taken})
	if c.cfg.GetReflection().GetEnabled() {
		o := reflection.ServerOptions{Services: c, DescriptorResolver: c.set, ExtensionResolver: c.set}
		c.answer(&reflectionv1.ServerReflection_ServiceDesc, reflection.NewServerV1(o))
		c.answer(&reflectionv1alpha.ServerReflection_ServiceDesc, reflection.NewServer(o))
	}
	c.table.Routes = c.routes.Build()
	return c.table
}

// adminTable returns the table of the admin address.
func (c *compiler) adminTable() *frontend.Table {
	t := c.tableFor(c.policies, "", "")
	t.answer(&healthpb.Health_ServiceDesc, c.health)
	t.answer(&adminv1.AdminService_ServiceDesc, operator{Gateway: c.Gateway})
	t.table.Routes = t.routes.Build()
	return t.table
}

// backend compiles the services of a backend, but for those that another one serves to the same host already.
func (c *tableCompiler) backend(b servedBackend) {
	for i, name := range b.cfg.GetServices() {
		if c.taken[name] {
			continue
		}
		c.taken[name] = true
		if service := c.set.Service(name); service != nil {
			c.known(fmt.Sprintf("%s.services[%d]", b.field, i), b.open, service)
		} else {
			c.warn(name)
			c.unknown(b.open, name)
		}
	}
}

// warn tells of a service without a contract that may be a misspelled one. It is no error: it can be proxied by its name.
func (c *tableCompiler) warn(service string) {
	if hint := nearest.Hint(service, c.set.Services()); hint != "" {
		c.options.log.Warn("no contract of the service is known"+hint, "service", service)
	}
}

// known compiles a service whose contract is known.
func (c *tableCompiler) known(field string, b *upstream.Backend, service protoreflect.ServiceDescriptor) {
	register, generated := c.options.rest[string(service.FullName())]
	for i := range service.Methods().Len() {
		md := service.Methods().Get(i)
		m := describe(md, b.Name())
		policy := c.policies.For(m.Service+"."+m.Name, service, md)
		list := func(b *frontend.Binding) { c.list(m, policy, b) }
		c.fail(config.At(field, c.bind(c.plan(b, m, policy), md, generated, list)))
	}
	if generated {
		c.fail(config.At(field, c.table.Mount.Register(register)))
	}
}

// bind adds the ways to call a method over REST, and lists all ways to call it; nil is gRPC alone.
func (c *tableCompiler) bind(
	plan *frontend.Plan, md protoreflect.MethodDescriptor, generated bool, list func(*frontend.Binding),
) error {
	rules, err := c.set.Rules(md)
	failures := []error{err}
	for _, rule := range rules {
		b, err := c.binding(plan, rule)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %s: %s %s: %w", md.FullName(), rule.Origin, rule.HTTPMethod, rule.Template, err))
			continue
		}
		b.Generated = generated
		failures = append(failures, c.addRoute(b))
		list(b)
	}
	if len(rules) == 0 {
		list(nil)
	}
	return errors.Join(failures...)
}

// binding compiles a rule.
func (c *tableCompiler) binding(plan *frontend.Plan, rule schema.Rule) (*frontend.Binding, error) {
	input, err := c.programs.Message(plan.Method.Input)
	if err != nil {
		return nil, err
	}
	output, err := c.programs.Message(plan.Method.Output)
	if err != nil {
		return nil, err
	}
	request, err := input.Request(c.requestRule(rule))
	if err != nil {
		return nil, err
	}
	response, err := output.Response(rule.ResponseBody)
	return &frontend.Binding{
		Plan: plan, HTTPMethod: rule.HTTPMethod, Template: rule.Template, Body: rule.Body, Request: request, Response: response,
	}, err
}

func (c *tableCompiler) requestRule(rule schema.Rule) transcode.RequestRule {
	r := transcode.RequestRule{
		Body: rule.Body, Mask: rule.HTTPMethod == http.MethodPatch,
		IgnoreUnknown: c.cfg.GetRest().GetIgnoreUnknownQueryParameters(), Ignored: c.cfg.GetRest().GetIgnoredQueryParameters(),
	}
	for _, v := range rule.Template.Variables() {
		r.Variables = append(r.Variables, v.FieldPath)
	}
	return r
}

// addRoute adds a binding to the routes. Two that no path can tell apart are a mistake of both methods.
func (c *tableCompiler) addRoute(b *frontend.Binding) error {
	err := c.routes.Add(b.HTTPMethod, b.Template, b)
	if conflict, ok := errors.AsType[*route.ConflictError[*frontend.Binding]](err); ok {
		return fmt.Errorf("%s and %s are ambiguous: %s %s and %s %s match the same paths; change one of them",
			name(conflict.Value), name(b), conflict.Method, conflict.Other, conflict.Method, conflict.Template)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name(b), err)
	}
	return nil
}

// name returns the name of a binding's method, and of the backend that serves it.
func name(b *frontend.Binding) string {
	m := b.Plan.Method
	if m.Backend == "" {
		return m.Service + "." + m.Name
	}
	return m.Service + "." + m.Name + " of backend " + m.Backend
}

func (c *tableCompiler) list(m *call.Method, policy *policyv1.Policy, b *frontend.Binding) {
	r := newRoute(m, policy, b)
	r.Listener, r.Host = c.listener, c.host
	c.out.routes = append(c.out.routes, r)
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
func (c *tableCompiler) unknown(b *upstream.Backend, service string) {
	for _, name := range append(c.policies.Exact(service), "*") {
		method := &call.Method{
			FullName: "/" + service + "/" + name, Service: service, Name: name,
			ClientStreams: true, ServerStreams: true, Backend: b.Name(),
		}
		policy := c.policies.For(service+"."+name, nil, nil)
		plan := c.plan(b, method, policy)
		c.list(method, policy, nil)
		if name == "*" {
			c.table.Services[service] = plan
		}
	}
}

// plan compiles one method of a backend and adds it to the table.
func (c *tableCompiler) plan(b *upstream.Backend, m *call.Method, policy *policyv1.Policy) *frontend.Plan {
	end := proxy.Handler(proxy.Options{
		Method: m, Backend: b, Metadata: frontend.Incoming, HashKey: hashKey(b.HashKey()), Log: c.options.log,
	})
	plan := &frontend.Plan{
		Method:        m,
		Handler:       chain.Fold(info(m), end, c.pipeline(m, policy)...),
		Until:         c.out.over,
		WantsMetadata: len(c.options.interceptors) > 0,
	}
	c.table.Methods[m.FullName] = plan
	return plan
}

func info(m *call.Method) *grpc.StreamServerInfo {
	return &grpc.StreamServerInfo{FullMethod: m.FullName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams}
}

// answer adds a service that the gateway itself implements.
func (c *tableCompiler) answer(desc *grpc.ServiceDesc, impl any) {
	methods := c.set.Service(desc.ServiceName).Methods()
	for _, local := range chain.Serve(desc, impl) {
		md := methods.ByName(protoreflect.Name(local.Method.Name))
		plan := &frontend.Plan{
			Method:  describe(md, ""),
			Handler: chain.Fold(info(local.Method), local.End, chain.Recover(c.options.log)),
			Until:   c.out.ownOver, // Clients watch health for as long as they live; that must not keep the gateway from stopping.
		}
		c.table.Methods[plan.Method.FullName] = plan
		c.fail(c.bind(plan, md, false, func(*frontend.Binding) {}))
	}
}

// GetServiceInfo tells reflection which services there are: those whose contract is known, and the gateway's own.
func (c *tableCompiler) GetServiceInfo() map[string]grpc.ServiceInfo {
	services := map[string]grpc.ServiceInfo{}
	for _, plan := range c.table.Methods {
		if c.set.Service(plan.Method.Service) != nil {
			services[plan.Method.Service] = grpc.ServiceInfo{}
		}
	}
	return services
}
