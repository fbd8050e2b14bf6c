package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// gateway is a running cardea.
type gateway struct {
	*process
	address, admin string
}

// serve runs cardea serve with a configuration until the end of the test, and then wants it to stop without a complaint.
func serve(t *testing.T, configuration string) *gateway {
	t.Helper()
	g := waitForAddresses(t, start(t, cardeaServe(t, configuration)))
	t.Cleanup(func() { g.stop(t) })
	return g
}

// cardeaServe returns the command that serves a configuration.
func cardeaServe(t *testing.T, configuration string) *exec.Cmd {
	t.Helper()
	return exec.Command(cardea, "serve", "--config", writeConfig(t, configuration))
}

// waitForAddresses waits until a gateway serves.
func waitForAddresses(t *testing.T, p *process) *gateway {
	t.Helper()
	g := &gateway{process: p}
	g.waitFor(t, "the addresses in the log", func() bool {
		g.address, g.admin = g.logged("serving"), g.logged("admin")
		return g.address != "" && g.admin != ""
	})
	return g
}

// stop ends the gateway as an operator does, and wants success.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	_ = g.Process.Signal(syscall.SIGTERM) // A test may have ended it already.
	if code := g.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := g.stderr.String(); strings.Contains(log, "panic") || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log complains: %s", log)
	}
}

// logged returns the address of the first line of the log with a message.
func (g *gateway) logged(message string) string {
	for line := range strings.Lines(g.stderr.String()) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
			return entry.Address
		}
	}
	return ""
}

// writeConfig writes a configuration file and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cardea.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// orderConfig returns the configuration of a gateway in front of instances of the order service. Reading an order is open
// to everybody, canceling one to nobody. More goes to the end.
func orderConfig(more string, instances ...string) string {
	return fmt.Sprintf(`listeners:
  - address: 127.0.0.1:0
admin:
  address: 127.0.0.1:0
backends:
  - name: order
    target: static:///%s
    services:
      - food.order.v1.OrderService
policies:
  - selectors:
      - food.order.v1.OrderService.GetOrder
    policy:
      auth:
        public: true
%s`, strings.Join(instances, ","), more)
}
