package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // It complains of clients that leave.
	goleak.VerifyTestMain(m)
}

// public returns the policy that opens methods to everybody.
func public(selectors ...string) []*configv1.PolicyRule {
	return []*configv1.PolicyRule{{
		Selectors: selectors,
		Policy:    &policyv1.Policy{Auth: &policyv1.Auth{Public: true}},
	}}
}

// running is a gateway that serves on loopback.
type running struct {
	gateway.Addresses
	stop func() error // Ends it, and returns what Serve returned.
}

func (r *running) address() string { return r.Listeners[0].String() }

// start serves a configuration until the test ends. Missing addresses are filled in.
func start(t *testing.T, cfg *configv1.Config, opts ...gateway.Option) *running {
	t.Helper()
	if len(cfg.GetListeners()) == 0 {
		cfg.Listeners = []*configv1.Listener{{Address: "127.0.0.1:0"}}
	}
	cfg.Admin = &configv1.Admin{Address: "127.0.0.1:0"}
	if cfg.GetDrainTimeout() == nil {
		cfg.DrainTimeout = durationpb.New(10e9)
	}
	ready := make(chan gateway.Addresses, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	gw, err := gateway.New(cfg, append(opts, gateway.WithLogger(log), gateway.WithOnReady(func(a gateway.Addresses) { ready <- a }))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gw.Serve(ctx) }()
	r := &running{}
	select {
	case r.Addresses = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	stopped := false
	r.stop = func() error {
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if stopped {
			return
		}
		if err := r.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

// await receives from a channel, and fails the test where nothing comes for long.
func await[T any](t *testing.T, c <-chan T, failure string) T {
	t.Helper()
	timer := time.NewTimer(5 * time.Second)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatal(failure)
		panic("unreachable")
	}
}

// dial connects a gRPC client to the gateway.
func dial(t *testing.T, address string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// backend runs a gRPC server until the test ends and returns its address.
func backend(t *testing.T, register func(*grpc.Server), opts ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}
