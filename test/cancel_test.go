package test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestClientThatLeavesCancelsItsBackendCall also wants the calls of other clients to go on.
func TestClientThatLeavesCancelsItsBackendCall(t *testing.T) {
	backend := startInstance(t, time.Minute)
	gw := serve(t, orderConfig("drain_timeout: 1s", backend.address))
	for protocol, call := range protocols(t, gw.address) {
		t.Run(protocol, func(t *testing.T) {
			leaving, staying := "orders/leaving-"+protocol, "orders/staying-"+protocol
			leave := begin(t, call, leaving)
			stop := begin(t, call, staying)
			backend.waitFor(t, "both calls", func() bool {
				r := backend.read(t)
				return r.knows(began, leaving) && r.knows(began, staying)
			})
			if err := leave(); status.Code(err) != codes.Canceled {
				t.Errorf("the client's own view: %v", err)
			}
			backend.waitFor(t, "the end of the backend's call", func() bool { return backend.read(t).knows(canceled, leaving) })
			if backend.read(t).knows(canceled, staying) {
				t.Error("the other client's call ended, too")
			}
			stop()
			backend.waitFor(t, "the end of the other call", func() bool { return backend.read(t).knows(canceled, staying) })
		})
	}
}

// begin begins a call and returns a function that goes away from it.
func begin(t *testing.T, call getOrder, name string) (leave func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- call(ctx, name) }()
	return func() error {
		cancel()
		return <-done
	}
}
