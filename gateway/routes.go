package gateway

import (
	"strings"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Route is one way to call a method.
type Route struct {
	// Listener is the address of the listener, as in the configuration.
	Listener string
	// Host is the host that has to be asked for, such as api.example.com or *.example.com; empty for every other.
	Host string
	// HTTPMethod and Template are the REST binding; both are empty where the method answers over gRPC alone.
	HTTPMethod, Template string
	// Method is the full name of the gRPC method, such as food.order.v1.OrderService/GetOrder. It ends in /* where the
	// contract of a service is not known.
	Method string
	// Backend is the name of the backend that serves it.
	Backend string
	// Public is true if anybody may call the method; otherwise it is refused.
	Public bool
	// Policy is what the method asks of the gateway, merged from contract and configuration. It is shared: do not change it.
	Policy *policyv1.Policy
	// Generated is true if a handler that protoc-gen-grpc-gateway generated serves the REST binding (see [WithREST]), rather
	// than programs compiled from the contract.
	Generated bool
}

// Routes returns all ways to call the methods of the backends, in the order of the configuration and of the contracts.
func (g *Gateway) Routes() []Route {
	return append([]Route(nil), g.running.Load().routes...)
}

func newRoute(m *call.Method, policy *policyv1.Policy, binding *frontend.Binding) Route {
	r := Route{Method: strings.TrimPrefix(m.FullName, "/"), Backend: m.Backend, Public: policy.GetAuth().GetPublic(), Policy: policy}
	if binding != nil {
		r.HTTPMethod, r.Template, r.Generated = binding.HTTPMethod, binding.Template.String(), binding.Generated
	}
	return r
}
