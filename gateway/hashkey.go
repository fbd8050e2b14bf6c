package gateway

import (
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// hashKey returns what calls have in common that go to the same instance; nil for nothing.
func hashKey(cfg *configv1.HashKey) func(*call.Call) string {
	switch {
	case cfg.GetHeader() != "":
		return func(c *call.Call) string { return c.Header().Get(cfg.GetHeader()) }
	case cfg.GetClientAddress():
		return func(c *call.Call) string { return c.Reception().Client.Addr().String() }
	}
	return nil
}
