package consul_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/discovery/consul"
)

// logger returns a log, and what was written there.
func logger() (*slog.Logger, func() string) {
	var mu sync.Mutex
	var text bytes.Buffer
	write := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	})
	return slog.New(slog.NewTextHandler(write, nil)), func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// running runs a registrar, until the function that it returns is called or the test ends.
func running(t *testing.T, r *consul.Registrar) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func registrar(t *testing.T, a *agent, g consul.Registration, log *slog.Logger) *consul.Registrar {
	t.Helper()
	r, err := consul.NewRegistrar(consul.Options{Address: a.address()}, g, log)
	must(t, err)
	return r
}

// statusOf is how an instance is at its agent: empty if there is none.
func statusOf(client *api.Client, id string) string {
	_, info, err := client.Agent().AgentHealthServiceByID(id)
	if err != nil || info == nil {
		return ""
	}
	return info.AggregatedStatus
}

func TestRegistration(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	var ready atomic.Bool
	log, text := logger()
	r := registrar(t, a, consul.Registration{
		Service: "gateway", ID: "gateway-1", Address: "10.0.0.9", Port: 443, Tags: []string{"v1"}, Meta: map[string]string{"zone": "a"},
		Ready: ready.Load, TTL: time.Second,
	}, log)
	stop := running(t, r)
	is := func(status, note string) func() bool {
		return func() bool {
			_, info, err := client.Agent().AgentHealthServiceByID("gateway-1")
			return err == nil && info != nil && info.AggregatedStatus == status && info.Checks[0].Output == note
		}
	}
	eventually(t, "it is there, and not ready", is(api.HealthCritical, "not ready"))
	ready.Store(true)
	eventually(t, "it is ready", is(api.HealthPassing, "ready"))
	rest(1500 * time.Millisecond) // Longer than the TTL.
	if !is(api.HealthPassing, "ready")() {
		t.Error("it does not stay ready")
	}
	got, _, err := client.Agent().Service("gateway-1", nil)
	must(t, err)
	if diff := cmp.Diff([]any{"gateway", "10.0.0.9", 443, []string{"v1"}, map[string]string{"zone": "a"}},
		[]any{got.Service, got.Address, got.Port, got.Tags, got.Meta}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	ready.Store(false)
	eventually(t, "it is no longer ready", is(api.HealthCritical, "not ready"))
	stop()
	if got := statusOf(client, "gateway-1"); got != "" {
		t.Errorf("after the end it is %s", got)
	}
	if got := strings.Count(text(), "\n"); got != 1 {
		t.Errorf("all was well, and the log has %d lines:\n%s", got, text())
	}
}

func TestHandoverLeavesTheRegistration(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	t.Cleanup(func() { _ = client.Agent().ServiceDeregister("handover-1") })
	r := registrar(t, a, consul.Registration{Service: "handover", ID: "handover-1", Port: 1}, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(t.Context())
	}()
	eventually(t, "it is there", func() bool { return statusOf(client, "handover-1") == api.HealthPassing })
	r.Handover()
	r.Handover()
	select {
	case <-ended: // Though its context has not ended.
	case <-time.NewTimer(patience).C:
		t.Fatal("Run goes on")
	}
	if got := statusOf(client, "handover-1"); got != api.HealthPassing {
		t.Errorf("after the handover it is %q", got)
	}
	r.Run(t.Context()) // A handover before Run counts, too.
	if got := statusOf(client, "handover-1"); got != api.HealthPassing {
		t.Errorf("after a handover before Run it is %q", got)
	}
}

// TestMaintenanceOutlivesAnotherRegistration takes over an instance that an operator has put into maintenance.
func TestMaintenanceOutlivesAnotherRegistration(t *testing.T) {
	a := server(t)
	client := operator(t, a.address(), "")
	put(t, client, api.AgentServiceRegistration{ID: "taken-1", Name: "taken"})
	must(t, client.Agent().EnableServiceMaintenance("taken-1", "why"))
	running(t, registrar(t, a, consul.Registration{Service: "taken", ID: "taken-1", Port: 7}, nil))
	eventually(t, "it is taken over", func() bool {
		service, _, err := client.Agent().Service("taken-1", nil)
		return err == nil && service.Port == 7
	})
	if got := statusOf(client, "taken-1"); got != api.HealthMaint {
		t.Errorf("it is %s", got)
	}
}

// TestRegistrationSurvivesTheAgent starts before the agent does, and goes on when it comes back without a memory.
func TestRegistrationSurvivesTheAgent(t *testing.T) {
	a := newAgent(t, "")
	client := operator(t, a.address(), "")
	log, text := logger()
	r := registrar(t, a, consul.Registration{Service: "survivor", ID: "survivor-1", Port: 1, TTL: time.Second}, log)
	stop := running(t, r)
	eventually(t, "it fails", func() bool { return strings.Contains(text(), "the registration fails") })
	a.run(t)
	fails := func() int { return strings.Count(text(), "the registration fails") }
	well := func() int { return strings.Count(text(), "msg=registered") }
	there := func() bool { return fails() == well() && statusOf(client, "survivor-1") == api.HealthPassing }
	eventually(t, "it is there", there)
	before := fails()
	a.stop()
	eventually(t, "it fails again", func() bool { return fails() > before })
	rest(time.Second) // Some more attempts.
	if got := fails(); got != before+1 {
		t.Errorf("one change has %d lines", got-before)
	}
	a.start(t)
	eventually(t, "it is there again", there)

	before = fails()
	must(t, client.Agent().ServiceDeregister("survivor-1")) // An agent that forgets, and is there all the time.
	eventually(t, "it is there once more", func() bool { return fails() > before && there() })
	stop()
	if got := statusOf(client, "survivor-1"); got != "" {
		t.Errorf("after the end it is %s", got)
	}
	if well() != fails() || well() < 3 {
		t.Errorf("%d failures, %d recoveries:\n%s", fails(), well(), text())
	}
}

// TestEndIsBounded ends while the agent hangs.
func TestEndIsBounded(t *testing.T) {
	a := newAgent(t, "").run(t)
	client := operator(t, a.address(), "")
	log, text := logger()
	stop := running(t, registrar(t, a, consul.Registration{Service: "bounded", ID: "bounded-1", Port: 1, TTL: time.Second}, log))
	eventually(t, "it is there", func() bool { return statusOf(client, "bounded-1") == api.HealthPassing })
	a.signal(t, syscall.SIGSTOP)
	began := time.Now()
	stop()
	took := time.Since(began)
	a.signal(t, syscall.SIGCONT)
	if took > 4*time.Second || !strings.Contains(text(), "the registration stays") {
		t.Errorf("it ended after %v:\n%s", took, text())
	}
}

func TestRegistrationRefused(t *testing.T) {
	good := consul.Registration{Service: "gw", ID: "gw-1", Port: 1}
	with := func(change func(*consul.Registration)) consul.Registration {
		changed := good
		change(&changed)
		return changed
	}
	for want, g := range map[string]consul.Registration{
		`service "": the name is missing`:      with(func(r *consul.Registration) { r.Service = "" }),
		`ID "": the name is missing`:           with(func(r *consul.Registration) { r.ID = "" }),
		`ID "a/b": the name has a slash`:       with(func(r *consul.Registration) { r.ID = "a/b" }),
		"port 0 is not from 1 to 65535":        with(func(r *consul.Registration) { r.Port = 0 }),
		"port 65536 is not from 1 to 65535":    with(func(r *consul.Registration) { r.Port = 65536 }),
		"TTL is 1ms; want 1s or more":          with(func(r *consul.Registration) { r.TTL = time.Millisecond }),
		"deregister after is 1s; want 1m0s or": with(func(r *consul.Registration) { r.DeregisterAfter = time.Second }),
	} {
		if _, err := consul.NewRegistrar(consul.Options{}, g, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if _, err := consul.NewRegistrar(consul.Options{Address: "x"}, good, nil); err == nil || !strings.Contains(err.Error(), "want host:port") {
		t.Errorf("a bad address: %v", err)
	}
}
