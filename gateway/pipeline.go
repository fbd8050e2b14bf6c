package gateway

import (
	"google.golang.org/grpc"

	"github.com/cardea-gateway/cardea/gateway/internal/chain"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/auth"
	"github.com/cardea-gateway/cardea/policies/call"
)

// pipeline returns what the calls of one method meet, in order. A policy that the method does not ask for is nil, and
// costs nothing. Cheap and safe comes first; the client's message is read no sooner than a policy has let its headers pass.
func (g *Gateway) pipeline(method *call.Method, policy *policyv1.Policy) []grpc.StreamServerInterceptor {
	list := []grpc.StreamServerInterceptor{
		chain.Recover(g.options.log),
		auth.Interceptor(policy.GetAuth()),
	}
	list = append(list, g.options.interceptors...)
	if !method.ClientStreams {
		list = append(list, chain.First)
	}
	return list
}
