package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	roundRobin         = "LOAD_BALANCING_ROUND_ROBIN"
	weightedRoundRobin = "LOAD_BALANCING_WEIGHTED_ROUND_ROBIN"
)

// fleet is a gateway, the agent that it asks, and the instances that it finds there.
type fleet struct {
	*gateway

	agent         *agent
	instances     []*instance
	token         string // The path of the gateway's token file.
	configuration string
}

// startFleet starts a fleet with one instance for each weight, all of them registered, and returns once each has answered.
func startFleet(t *testing.T, a *agent, balancing string, weights ...int) *fleet {
	t.Helper()
	f := &fleet{agent: a, token: filepath.Join(t.TempDir(), "token")}
	f.permit(t, gatewayToken)
	for n, weight := range weights {
		f.instances = append(f.instances, startInstance(t, fmt.Sprintf("%s-%d", serviceName, n+1), 1))
		f.instances[n].weight = weight
	}
	f.registerAll(t)
	f.configuration = fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
consul: {address: %q%s}
discovery: {cache_directory: %q}
backends:
  - name: inventory
    target: consul:///%s
    services: [food.inventory.v1.InventoryService]
    load_balancing: %s
policies:
  - selectors: [food.inventory.v1.InventoryService.GetMenu]
    policy: {auth: {public: true}}
access_log: {disabled: true}
`, a.address, f.tokenFile(), filepath.Join(t.TempDir(), "cache"), serviceName, balancing)
	f.gateway = startGateway(t, f.configuration)
	f.warmUp(t)
	return f
}

// threeEqual starts a fleet of three instances with the same weight.
func threeEqual(t *testing.T) *fleet {
	t.Helper()
	return startFleet(t, startAgent(t), roundRobin, 1, 1, 1)
}

// registerAll registers all instances, one after the other.
func (f *fleet) registerAll(t *testing.T) {
	t.Helper()
	for _, i := range f.instances {
		f.agent.register(t, i.registration())
	}
}

// tokenFile is the line of the configuration about the token; agents without ACLs need none.
func (f *fleet) tokenFile() string {
	if !f.agent.acl {
		return ""
	}
	return fmt.Sprintf(", token_file: %q", f.token)
}

// permit gives the gateway another token, in the way of programs that do: a whole file takes the place of the one before.
func (f *fleet) permit(t *testing.T, token string) {
	t.Helper()
	if err := os.WriteFile(f.token+".next", []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.token+".next", f.token); err != nil {
		t.Fatal(err)
	}
}

// warmUp calls until each instance has been called. Until a connection stands, calls may fail.
func (f *fleet) warmUp(t *testing.T) {
	t.Helper()
	started := time.Now()
	for n, i := range f.instances {
		within(t, patience, "a connection to each instance", func() bool {
			_ = f.rest(t.Context(), fmt.Sprintf("restaurants/warm-up-%d/menu", n))
			return !i.read(t).first(started).IsZero()
		})
	}
}

// load begins the load that everything here has to stand.
func (f *fleet) load(t *testing.T) *load {
	t.Helper()
	l := startLoad(t, "menu", rate, f.callers(t)...)
	pause(time.Second)
	return l
}

// registerOneMore starts an instance, registers it, and returns how long after that it got its first call.
func (f *fleet) registerOneMore(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	i := startInstance(t, serviceName+"-more", 1)
	f.agent.register(t, i.registration())
	registered := time.Now()
	took := i.callsAfter(t, registered, patience)
	if took > limit {
		t.Errorf("the first call to a registered instance came after %v, want at most %v", took, limit)
	}
	return took
}

// silence wants no call to begin on an instance later than a limit after a moment, and returns when the last one did.
func silence(t *testing.T, i *instance, from time.Time, limit time.Duration) time.Duration {
	t.Helper()
	r := i.read(t)
	if r.first(from.Add(-time.Second)).IsZero() {
		t.Errorf("%s had no calls before: nothing was tested", i.id)
	}
	last := max(0, r.last().Sub(from))
	if last > limit {
		t.Errorf("%s got a call %v after the fault, want none later than %v", i.id, last, limit)
	}
	return last
}
