package auth_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	"github.com/cardea-gateway/cardea/policies/auth"
	"github.com/cardea-gateway/cardea/policies/call"
	"github.com/cardea-gateway/cardea/policies/call/calltest"
)

func TestPublicMethodCostsNothing(t *testing.T) {
	if auth.Interceptor(&policyv1.Auth{Public: true}) != nil {
		t.Error("a public method has an interceptor")
	}
}

func TestMethodThatIsNotPublicIsRefused(t *testing.T) {
	for name, policy := range map[string]*policyv1.Auth{"no policy": nil, "empty policy": {}, "public: false": {Public: false}} {
		t.Run(name, func(t *testing.T) {
			got := calltest.Run(auth.Interceptor(policy), calltest.Call{Method: &call.Method{FullName: "/pkg.v1.S/M"}})
			if got.Passed || got.Status.Code() != codes.Unauthenticated || call.Reason(got.Err) != auth.ReasonNotPublic {
				t.Errorf("got %+v", got)
			}
			for _, remedy := range []string{"pkg.v1.S.M", "auth { public: true }", "selector"} {
				if !strings.Contains(got.Status.Message(), remedy) {
					t.Errorf("%q does not name the remedy %q", got.Status.Message(), remedy)
				}
			}
		})
	}
}
