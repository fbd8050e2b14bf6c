// Package auth is the policy that says who may call a method. A method without it is refused: nothing is public by
// accident.
package auth

import (
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// ReasonNotPublic is the reason of the refusal of a method that nobody declared public.
const ReasonNotPublic = "METHOD_NOT_PUBLIC"

// Interceptor compiles the policy of one method; nil stands for a method without one. A public method needs no
// interceptor, and gets nil.
func Interceptor(policy *policyv1.Auth) grpc.StreamServerInterceptor {
	if policy.GetPublic() {
		return nil
	}
	return refuse
}

func refuse(_ any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
	name := strings.Replace(strings.TrimPrefix(call.FromContext(ss.Context()).Method().FullName, "/"), "/", ".", 1)
	return call.Refuse(codes.Unauthenticated, ReasonNotPublic, fmt.Sprintf(
		"%s is not declared public; if anybody may call it, give the method the option "+
			"(cardea.policy.v1.method) = { auth { public: true } }, or the gateway's configuration a policy with the selector %s",
		name, name))
}
