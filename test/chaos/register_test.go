package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

// TestGatewayIsFoundInConsul has the gateway register itself: it is passing while it serves, critical while it is frozen, there
// again after the agent has forgotten everything, and gone as soon as it is told to stop.
func TestGatewayIsFoundInConsul(t *testing.T) {
	a := startAgent(t)
	g := startGateway(t, fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
consul:
  address: %q
  register: {service: edge, id: edge-1, address: "10.0.0.5:8080", tags: [public], ttl: 1s}
backends: [{name: inventory, target: "consul:///inventory", services: [food.inventory.v1.InventoryService]}]
drain_delay: 3s
`, a.address))
	known := func(want string) func() bool {
		return func() bool { return a.statusOf(t, "edge") == want }
	}
	const passing = "10.0.0.5:8080 [public] passing"
	within(t, patience, "the gateway to be registered", known(passing))
	g.signal(t, syscall.SIGSTOP)
	within(t, patience, "a frozen gateway to be critical", known("10.0.0.5:8080 [public] critical"))
	g.signal(t, syscall.SIGCONT)
	within(t, patience, "it to be passing once it thaws", known(passing))
	a.kill()
	a.begin(t)
	within(t, patience, "it to be registered with the agent that forgot it", known(passing))
	g.signal(t, syscall.SIGTERM)
	within(t, patience, "it to be gone while it still drains", func() bool { return known("")() && !ended(g.process) })
}

func ended(p *process) bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// statusOf returns what the agent knows of the one instance of a service: its address, tags and the status of its check.
func (a *agent) statusOf(t *testing.T, service string) string {
	t.Helper()
	text, err := a.ask(http.MethodGet, "/v1/health/service/"+service, nil)
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct {
		Service struct {
			Address string
			Port    int
			Tags    []string
		}
		Checks []struct{ CheckID, Status string }
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, e := range entries {
		for _, c := range e.Checks {
			if c.CheckID == "service:edge-1" {
				return fmt.Sprintf("%s:%d %v %s", e.Service.Address, e.Service.Port, e.Service.Tags, c.Status)
			}
		}
	}
	return ""
}
