package test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestStopLetsCallsFinish stops a gateway with calls in flight over both protocols.
func TestStopLetsCallsFinish(t *testing.T) {
	const callsEach = 10
	backend := startInstance(t, 2*time.Second)
	gw := serve(t, orderConfig("", backend.address))
	admin, probe := restTo(t, gw.admin), dial(t, gw.admin)
	for _, conn := range []string{gw.address, gw.admin} {
		for _, service := range []string{"", "food.order.v1.OrderService"} {
			if got := health(t, dial(t, conn), service); got != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("before: health of %q: %v", service, got)
			}
		}
	}
	checkProbes(t, admin, http.StatusOK)

	results := make(chan error, 2*callsEach)
	for protocol, call := range protocols(t, gw.address) {
		for n := range callsEach {
			go func() { results <- call(t.Context(), fmt.Sprintf("orders/%s-%d", protocol, n)) }()
		}
	}
	backend.waitFor(t, "all calls", func() bool { return len(backend.read(t)[began]) == 2*callsEach })
	gw.signal(t, syscall.SIGTERM)
	eventually(t, "/readyz to say so", func() bool { return admin.do(t, http.MethodGet, "/readyz", "").StatusCode != http.StatusOK })
	checkProbes(t, admin, http.StatusServiceUnavailable)
	if got := health(t, probe, ""); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("while stopping: %v", got)
	}
	if len(backend.read(t)[finished]) == 2*callsEach {
		t.Error("all calls were over before the gateway was looked at")
	}

	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("a call in flight: %v", err)
		}
	}
	if code := gw.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := len(backend.read(t)[canceled]); got > 0 {
		t.Errorf("%d calls were canceled", got)
	}
}

// checkProbes wants the process to live, and to be ready or not.
func checkProbes(t *testing.T, admin *restClient, ready int) {
	t.Helper()
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": ready} {
		if a := admin.do(t, http.MethodGet, path, ""); a.StatusCode != want {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

// TestStopEndsWhatTakesTooLong wants drain_timeout to be kept, and clients to be told.
func TestStopEndsWhatTakesTooLong(t *testing.T) {
	backend := startInstance(t, time.Minute)
	gw := start(t, cardeaServe(t, orderConfig("drain_timeout: 0.2s", backend.address)))
	address := waitForAddresses(t, gw).address
	result := make(chan error, 1)
	go func() { result <- protocols(t, address)["REST"](t.Context(), "orders/1") }()
	backend.waitFor(t, "the call", func() bool { return backend.read(t).knows(began, "orders/1") })
	gw.signal(t, syscall.SIGTERM)
	if code := gw.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := <-result; status.Code(err) != codes.Unavailable {
		t.Errorf("the call: %v", err)
	}
	backend.waitFor(t, "the end of the backend's call", func() bool { return backend.read(t).knows(canceled, "orders/1") })
}
