// Package pipetest has servers listen in memory, for tests of many servers inside a testing/synctest bubble.
//
// It stands in for grpc's bufconn, whose every new connection starts timers that have expired already. The caller runs those
// at once, and in a bubble with the race detector that is not safe beside any other timer: the program is killed now and
// then (https://go.dev/issue/78156). Pipes start a timer only for a deadline that lies ahead.
package pipetest

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener whose connections are pipes without a buffer. Its methods are safe for concurrent use.
type Listener struct {
	accept chan net.Conn
	closed chan struct{}
	close  func()
}

// Listen returns a listener, which its owner closes.
func Listen() *Listener {
	closed := make(chan struct{})
	return &Listener{make(chan net.Conn), closed, sync.OnceFunc(func() { close(closed) })}
}

// DialContext returns a connection once it is accepted. It fails with net.ErrClosed when the listener is closed, and with
// the context's error when that ends first.
func (l *Listener) DialContext(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.accept <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that are there already stay.
func (l *Listener) Close() error {
	l.close()
	return nil
}

// Addr implements net.Listener.
func (*Listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "pipe" }
