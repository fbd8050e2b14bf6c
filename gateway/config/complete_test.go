package config_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway/config"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

// built is a configuration as code would build it.
func built() *configv1.Config {
	return &configv1.Config{
		Listeners: []*configv1.Listener{{Address: "127.0.0.1:0"}},
		Backends:  []*configv1.Backend{{Name: "a", Target: "static:///127.0.0.1:1", Services: []string{"a.B"}}},
	}
}

func TestCompleteFillsInDefaults(t *testing.T) {
	got, want := built(), built()
	config.Default(want)
	if err := config.Complete(got); err != nil || !proto.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestCompleteAppliesEveryRule(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*configv1.Config)
		want   string
	}{
		"a rule of the schema":       {func(c *configv1.Config) { c.Listeners[0].Address = "8080" }, "host:port"},
		"a rule between fields":      {func(c *configv1.Config) { c.Backends = append(c.Backends, c.GetBackends()[0]) }, "backends[1].name"},
		"a target":                   {func(c *configv1.Config) { c.Backends[0].Target = "static:///nowhere" }, "backends[0].target"},
		"a face without its backend": {func(c *configv1.Config) { c.Listeners[0].Backends = []string{"b"} }, `listeners[0].backends[0]: no backend is named "b"`},
		"a call that takes too long": {func(c *configv1.Config) {
			c.Timeouts = &configv1.Timeouts{MaxCall: durationpb.New(time.Second)}
		}, "timeouts.call: 15s is more than timeouts.max_call, 1s; lower"},
		"a wildcard made public": {func(c *configv1.Config) {
			c.Policies = []*configv1.PolicyRule{{Selectors: []string{"a.*"}, Policy: &policyv1.Policy{Auth: &policyv1.Auth{Public: true}}}}
		}, "a wildcard cannot make a method public"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := built()
			tc.change(cfg)
			if err := config.Complete(cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if err := config.Complete(nil); err == nil {
		t.Error("no configuration is accepted")
	}
}
