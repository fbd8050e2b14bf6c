package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/listen"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/internal/pace"
)

// Bounds that no configuration changes.
const (
	pingAfter   = 30 * time.Second // Of silence on an HTTP/2 connection: a vanished client is found by a ping.
	pingTimeout = 15 * time.Second
	politeness  = time.Second // For idle HTTP/1.1 connections to be closed by an answer rather than in a client's face.
	lastWords   = time.Second // For calls that have to end to tell their clients.
)

// server serves one address with one set of settings.
type server struct {
	*http.Server

	accepting *listen.Listener
	done      chan struct{}
	retiring  atomic.Bool
	cut       context.CancelCauseFunc // Ends all calls.

	connections sync.Map     // net.Conn to *connection.
	known       atomic.Int64 // Connections that net/http has.
	http1       atomic.Int64 // Of them, those that do not speak HTTP/2, as far as is known.
}

// connection is what a server knows of one of its connections.
type connection struct {
	server   *server
	retireAt time.Time // Zero is never.
	http2    atomic.Bool
}

type connectionKey struct{}

// newServer returns a server that does not serve yet.
func (g *Gateway) newServer(cfg *configv1.Config, handler http.Handler, accepting *listen.Listener) *server {
	limits, timeouts := cfg.GetLimits(), cfg.GetTimeouts()
	base, cut := context.WithCancelCause(context.Background()) //nolint:forbidigo // Its calls end with their connections.
	s := &server{accepting: accepting, done: make(chan struct{}), cut: cut}
	age := timeouts.GetConnectionAge().AsDuration()
	s.Server = &http.Server{
		Handler: handler, Protocols: new(http.Protocols),
		ReadHeaderTimeout: timeouts.GetRequestHeader().AsDuration(), IdleTimeout: timeouts.GetConnectionIdle().AsDuration(),
		MaxHeaderBytes: int(limits.GetMaxHeaderBytes()),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: int(limits.GetMaxConcurrentStreams()), SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		},
		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like any other.

		ErrorLog:    slog.NewLogLogger(g.options.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context { return s.connected(ctx, conn, age) },
		ConnState:   s.changed,
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// connected notes a new connection.
func (s *server) connected(ctx context.Context, conn net.Conn, age time.Duration) context.Context {
	ctx = s.accepting.ConnContext(ctx, conn)
	if facts, ok := listen.FromContext(ctx); ok && facts.TLS != nil {
		ctx = frontend.WithTLS(ctx, facts.TLS)
	}
	c := &connection{server: s}
	if age > 0 { // Spread by a tenth: connections that were opened together shall not be closed together.
		c.retireAt = time.Now().Add(pace.Spread(age))
	}
	s.connections.Store(conn, c)
	s.known.Add(1)
	s.http1.Add(1)
	return context.WithValue(ctx, connectionKey{}, c)
}

// changed follows the end of connections.
func (s *server) changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c, ok := s.connections.LoadAndDelete(conn)
	if !ok {
		return
	}
	s.known.Add(-1)
	if c.(*connection).http2.CompareAndSwap(false, true) { //nolint:forcetypeassert // Of connected's making.
		s.http1.Add(-1)
	}
}

// retire tells whether the connection of an exchange shall take no more calls: it is old, or its server is on its way out.
func retire(x frontend.Exchange) bool {
	c, ok := x.Context().Value(connectionKey{}).(*connection)
	if !ok {
		return false
	}
	if x.Major() == 2 && c.http2.CompareAndSwap(false, true) {
		c.server.http1.Add(-1)
	}
	return c.server.retiring.Load() || (!c.retireAt.IsZero() && time.Now().After(c.retireAt))
}

// start serves until drain; failed is told if that ends by itself.
func (s *server) start(failed func(error)) {
	go func() {
		defer close(s.done)
		if err := s.Serve(s.accepting); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			failed(err)
		}
	}()
}

// detach stops taking connections off the socket, which stays open for whoever serves it next.
func (s *server) detach() {
	_ = s.accepting.Detach() // Sockets of another kind have been refused when they were opened.
}

// drain stops taking connections and calls, without closing the socket. Calls in flight finish; those that have not when
// the context ends are told the reason, UNAVAILABLE, and what does not even end then is cut off, which is an error.
func (s *server) drain(ctx context.Context, reason error) error {
	s.retiring.Store(true)
	s.detach()
	s.await(ctx, s.ReadHeaderTimeout, func() bool { return int64(s.accepting.Open()) <= s.known.Load() })
	s.await(ctx, politeness, func() bool { return s.http1.Load() <= 0 })
	defer func() { <-s.done }()
	defer s.cut(reason)
	if s.Shutdown(ctx) == nil {
		return nil
	}
	s.cut(reason)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if s.Shutdown(last) == nil {
		return nil
	}
	_ = s.Close()
	return fmt.Errorf("gateway: %s: calls were cut off: drain_timeout was over", s.accepting.Addr())
}

// await waits until a condition holds, but not for long. Drain waits for two: connections that were accepted and have not
// come to net/http yet, and HTTP/1.1 connections, each of which the next answer closes. Closing one that is idle would hit
// the request that its client may be sending at this moment; over HTTP/2, GOAWAY does no such harm.
func (s *server) await(ctx context.Context, most time.Duration, condition func() bool) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
