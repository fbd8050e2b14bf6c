package consul_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/consul/api"
)

// agent is a Consul agent of a test.
type agent struct {
	http, rpc, serf int // Ports.
	args            []string
	token           string // Of the operator.
	log             string
	program         string
	command         *exec.Cmd
}

func (a *agent) address() string { return "127.0.0.1:" + strconv.Itoa(a.http) }

// program finds Consul. A test that needs it and does not find it has not passed.
func program(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("consul"); err == nil {
		return path
	}
	cache := os.Getenv("CARDEA_CACHE")
	if cache == "" {
		cache = filepath.Join("..", "..", ".cache")
	}
	path, err := filepath.Abs(filepath.Join(cache, "bin", "consul"))
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("there is no consul: run tools/install consul (%v)", err)
	}
	return path
}

// ports returns some that are free.
func ports(t *testing.T, n int) []int {
	t.Helper()
	var free []int
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer lis.Close()
		free = append(free, lis.Addr().(*net.TCPAddr).Port)
	}
	return free
}

// newAgent prepares a server that keeps its state in memory. Config is HCL.
func newAgent(t *testing.T, config string, args ...string) *agent {
	t.Helper()
	p := ports(t, 3)
	a := &agent{http: p[0], rpc: p[1], serf: p[2], args: append([]string{"-dev"}, args...)}
	a.configure(t, config)
	return a
}

func (a *agent) configure(t *testing.T, config string) {
	t.Helper()
	a.program = program(t)
	dir, err := os.MkdirTemp("", "consul-test") //nolint:usetesting // The shared agent outlives the test that starts it.
	must(t, err)
	a.log = filepath.Join(dir, "log")
	must(t, os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(config), 0o600))
	a.args = append(
		a.args, "-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn", "-config-file", filepath.Join(dir, "config.hcl"),
		"-http-port", strconv.Itoa(a.http), "-server-port", strconv.Itoa(a.rpc), "-serf-lan-port", strconv.Itoa(a.serf),
		"-grpc-port", "-1", "-grpc-tls-port", "-1", "-dns-port", "-1", "-serf-wan-port", "-1",
	)
}

// start runs the agent, and returns when it can answer.
func (a *agent) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close()
	a.command = exec.Command(a.program, append([]string{"agent"}, a.args...)...)
	a.command.Stdout, a.command.Stderr = log, log
	must(t, a.command.Start())
	client := operator(t, a.address(), a.token)
	defer func() {
		if t.Failed() {
			said, _ := os.ReadFile(a.log)
			t.Logf("the agent said:\n%s", said)
			a.remove()
		}
	}()
	eventually(t, "an agent with a leader that knows itself", func() bool {
		nodes, _, err := client.Catalog().Nodes(nil)
		return err == nil && len(nodes) > 0
	})
}

// run starts an agent for one test.
func (a *agent) run(t *testing.T) *agent {
	t.Helper()
	a.start(t)
	t.Cleanup(a.remove)
	return a
}

// stop kills the agent: it says goodbye to nobody.
func (a *agent) stop() {
	_ = a.command.Process.Kill()
	_ = a.command.Wait()
}

// remove kills the agent, and what it has written.
func (a *agent) remove() {
	a.stop()
	_ = os.RemoveAll(filepath.Dir(a.log))
}

func (a *agent) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	must(t, a.command.Process.Signal(s))
	if s != syscall.SIGSTOP {
		return
	}
	stat := filepath.Join("/proc", strconv.Itoa(a.command.Process.Pid), "stat")
	eventually(t, "it stands still, which takes the system a moment", func() bool {
		text, err := os.ReadFile(stat)
		return err != nil || strings.Contains(string(text), ") T ") // Elsewhere than on Linux, nobody can tell.
	})
}

var (
	shared     *agent
	sharedOnce sync.Once
)

// server returns the agent that all tests share which do not harm it.
func server(t *testing.T) *agent {
	t.Helper()
	sharedOnce.Do(func() {
		a := newAgent(t, "")
		a.start(t)
		shared = a
	})
	if shared == nil {
		t.Fatal("the agent did not start")
	}
	return shared
}

func stopShared() {
	if shared != nil {
		shared.remove()
	}
}

// put registers an instance with a TTL check that passes, and returns when the servers know it.
func put(t *testing.T, client *api.Client, r api.AgentServiceRegistration) {
	t.Helper()
	if r.Port == 0 {
		r.Port = 50051
	}
	r.Check = &api.AgentServiceCheck{CheckID: "service:" + r.ID, TTL: "10m", Status: api.HealthPassing}
	must(t, client.Agent().ServiceRegister(&r))
	t.Cleanup(func() { _ = client.Agent().ServiceDeregister(r.ID) })
	eventually(t, "the servers know "+r.ID, func() bool {
		known, _, err := client.Catalog().Service(r.Name, "", nil)
		return err == nil && slices.ContainsFunc(known, func(s *api.CatalogService) bool { return s.ServiceID == r.ID })
	})
}

func say(t *testing.T, client *api.Client, id, status string) {
	t.Helper()
	must(t, client.Agent().UpdateTTL("service:"+id, "a long output with secrets", status))
}

// grow makes the index of an agent large.
func grow(t *testing.T, client *api.Client) {
	t.Helper()
	for i := range 60 {
		_, err := client.KV().Put(&api.KVPair{Key: strconv.Itoa(i)}, nil)
		must(t, err)
	}
}
