package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Names of the protocols.
const (
	rest     = "REST"
	grpcName = "gRPC"
)

// load is a load generator with open connections to one address.
type load interface {
	// workers returns what makes calls of a scenario, a worker for each connection.
	workers(s scenario, v *verifier) ([]worker, error)
	close()
}

// worker makes calls over its connection and verifies the answers, for as long as there is a call to claim.
type worker func(ctx context.Context, claim func() bool) error

// spread makes a number of calls and returns the first error.
func spread(ctx context.Context, calls int, workers []worker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var claimed atomic.Int64
	claim := func() bool { return ctx.Err() == nil && claimed.Add(1) <= int64(calls) }
	var running sync.WaitGroup
	for _, work := range workers {
		running.Go(func() {
			if err := work(ctx, claim); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// bound interrupts reads and writes of a connection when the context ends, until it is released.
func bound(ctx context.Context, conn net.Conn) (release func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
}
