package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	serviceName = "inventory"

	// Tokens of an agent that has ACLs. The gateway's may read and nothing else; the wrong one exists nowhere; the anonymous
	// one is known to every agent, and may do nothing.
	managementToken = "11111111-1111-1111-1111-111111111111"
	gatewayToken    = "22222222-2222-2222-2222-222222222222"
	wrongToken      = "33333333-3333-3333-3333-333333333333"
	anonymousToken  = "anonymous"
)

// agent is a Consul agent in development mode: a server of its own, with its state in memory.
type agent struct {
	*process

	address   string
	arguments []string
	acl       bool
	client    *http.Client
}

// startAgent starts an agent that lets everybody do everything. It ends with the test.
func startAgent(t *testing.T) *agent {
	t.Helper()
	a := newAgent(t)
	a.begin(t)
	return a
}

// startAgentWithACL starts an agent that denies what it does not allow.
func startAgentWithACL(t *testing.T) *agent {
	t.Helper()
	a := newAgent(t)
	a.acl = true
	a.arguments = append(a.arguments, fmt.Sprintf(
		`-hcl=acl { enabled = true default_policy = "deny" tokens { initial_management = %q agent = %[1]q } }`, managementToken))
	a.begin(t)
	return a
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	ports := freePorts(t, 4)
	transport := &http.Transport{MaxIdleConnsPerHost: writers}
	t.Cleanup(transport.CloseIdleConnections)
	a := &agent{address: fmt.Sprintf("127.0.0.1:%d", ports[0]), client: &http.Client{Transport: transport, Timeout: patience}}
	a.arguments = []string{"agent", "-dev", "-node=chaos", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=warn"}
	for i, name := range []string{"http", "server", "serf-lan", "serf-wan"} {
		a.arguments = append(a.arguments, fmt.Sprintf("-%s-port=%d", name, ports[i]))
	}
	for _, name := range []string{"dns", "grpc", "grpc-tls"} {
		a.arguments = append(a.arguments, fmt.Sprintf("-%s-port=-1", name))
	}
	return a
}

// begin starts the agent, for the first time or once more; what it knew before is lost. With ACLs it makes the gateway's token.
func (a *agent) begin(t *testing.T) {
	t.Helper()
	a.process = start(t, exec.Command(findConsul(t), a.arguments...))
	a.waitFor(t, "a leader", func() bool {
		leader, err := a.ask(http.MethodGet, "/v1/status/leader", nil)
		return err == nil && len(bytes.Trim(leader, "\"\n")) > 0
	})
	if a.acl {
		a.must(t, "/v1/acl/policy", map[string]any{
			"Name": "gateway", "Rules": `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`,
		})
		a.must(t, "/v1/acl/token", map[string]any{"SecretID": gatewayToken, "Policies": []any{map[string]any{"Name": "gateway"}}})
	}
}

// findConsul looks on the PATH, and where tools/install puts it. Nothing is proved without it.
func findConsul(t *testing.T) string {
	t.Helper()
	for _, path := range []string{
		"consul", filepath.Join(os.Getenv("CARDEA_CACHE"), "bin", "consul"), filepath.Join("..", "..", ".cache", "bin", "consul"),
	} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatal("there is no consul on the PATH or in .cache/bin: run tools/install consul")
	return ""
}

// ask sends a request to the agent. Other answers than 200 are errors.
func (a *agent) ask(method, path string, body any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, "http://"+a.address+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Consul-Token", managementToken) // Without ACLs nobody looks.
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return text, err
}

// must is a PUT that must succeed.
func (a *agent) must(t *testing.T, path string, body any) {
	t.Helper()
	if _, err := a.ask(http.MethodPut, path, body); err != nil {
		t.Fatal(err)
	}
}

// registration is an instance as it is registered. Its id is that of its check, too.
type registration struct {
	id, address string
	weight      int
	unchecked   bool
	version     int // Of its metadata: what differs is a change.
}

func (a *agent) register(t *testing.T, r registration) {
	t.Helper()
	if err := a.tryRegister(r); err != nil {
		t.Fatal(err)
	}
}

// tryRegister registers an instance with a check that passes until somebody turns it, or without a check.
func (a *agent) tryRegister(r registration) error {
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	body := map[string]any{
		"ID": r.id, "Name": serviceName, "Address": host, "Port": number,
		"Weights": map[string]any{"Passing": r.weight, "Warning": 1},
		"Meta":    map[string]any{"version": strconv.Itoa(r.version)},
	}
	if !r.unchecked {
		body["Check"] = map[string]any{"CheckID": r.id, "TTL": "1h", "Status": "passing"}
	}
	_, err = a.ask(http.MethodPut, "/v1/agent/service/register", body)
	return err
}

func (a *agent) deregister(t *testing.T, id string) {
	t.Helper()
	if err := a.tryDeregister(id); err != nil {
		t.Fatal(err)
	}
}

func (a *agent) tryDeregister(id string) error {
	_, err := a.ask(http.MethodPut, "/v1/agent/service/deregister/"+id, nil)
	return err
}

// turnCritical fails the check of an instance.
func (a *agent) turnCritical(t *testing.T, id string) {
	t.Helper()
	a.must(t, "/v1/agent/check/fail/"+id, nil)
}

// freePorts returns ports that nobody listens on.
func freePorts(t *testing.T, count int) []int {
	t.Helper()
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // All at the end, so that each is another one.
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports
}
