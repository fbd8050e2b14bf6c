package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/guard"
)

// Reason is why a connection was refused, for counters.
type Reason string

// Why connections are refused.
const (
	TooManyConnections       Reason = "max_connections"
	TooManyClientConnections Reason = "max_connections_per_client"
	BadProxyHeader           Reason = "proxy_protocol"
	FailedHandshake          Reason = "tls_handshake"
	MalformedHTTP            Reason = "malformed_http"
)

// Options say what a [Listener] does with connections.
type Options struct {
	// TLS is served, if set.
	TLS *TLS
	// TrustedNetworks are those whose connections may begin with a PROXY protocol header.
	TrustedNetworks []netip.Prefix
	// MaxConnections bounds connections at a time. 0: no limit.
	MaxConnections int
	// MaxConnectionsPerClient bounds connections at a time of one client address. 0: no limit.
	MaxConnectionsPerClient int
	// HeaderTimeout bounds PROXY protocol header and TLS handshake together. 0: 10 s.
	HeaderTimeout time.Duration
	// MaxHeaderBytes and MaxHeaders bound the head of an HTTP/1 request. 0: 64 KiB and 100.
	MaxHeaderBytes, MaxHeaders int
	// Log gets refused connections, at debug. Nil: nowhere.
	Log *slog.Logger
	// OnRefused, if set, hears of each connection that is refused. It is called from many goroutines and must not block.
	OnRefused func(Reason)
}

// Networks parses networks, such as 10.0.0.0/8, and single addresses.
func Networks(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(list))
	for i, text := range list {
		if !strings.Contains(text, "/") {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("listen: %w", err)
			}
			networks[i] = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		networks[i] = network.Masked()
	}
	return networks, nil
}

// Listener is a net.Listener for [http.Server.Serve], together with its ConnContext. It is safe for concurrent use.
type Listener struct {
	inner   net.Listener
	options Options
	census  census
	total   atomic.Uint64

	ctx      context.Context
	cancel   context.CancelFunc
	ready    chan accepted
	running  sync.WaitGroup
	accepts  chan struct{} // Closed when nothing more is accepted.
	stop     chan struct{} // Closed when nothing more shall be accepted.
	stopOnce sync.Once
	detached atomic.Bool
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

var _ net.Listener = (*Listener)(nil)

// New begins to accept connections from a listener. Close ends that and closes the listener; Detach ends it and doesn't.
func New(inner net.Listener, o Options) *Listener {
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnRefused == nil {
		o.OnRefused = func(Reason) {}
	}
	l := &Listener{
		inner: inner, options: o, census: census{max: o.MaxConnections, maxPerClient: o.MaxConnectionsPerClient},
		ready: make(chan accepted), accepts: make(chan struct{}), stop: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // Close ends it.
	go l.accept()
	return l
}

// Addr returns the address of the socket.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Open returns how many connections there are, those that are still being prepared included.
func (l *Listener) Open() int { return l.census.count() }

// Total returns how many connections there have been, refused ones included.
func (l *Listener) Total() uint64 { return l.total.Load() }

// Accept returns the next connection that is ready for requests, or net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops accepting, drops connections that no Accept has returned yet, and waits until no goroutine is left. Those
// that were returned go on. Unless Detach was called before, it closes the socket.
func (l *Listener) Close() error {
	l.cancel()
	l.stopOnce.Do(func() { close(l.stop) })
	var err error
	if !l.detached.Load() {
		if err = l.inner.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	<-l.accepts
	l.running.Wait()
	return err
}

// Detach stops accepting and leaves the socket open, for whoever serves it next: connections wait there meanwhile. Those
// that have been accepted become ready and are returned by Accept, until Close. It fails if the socket has no deadlines. A
// second call does nothing: by then the socket may be somebody else's.
func (l *Listener) Detach() error {
	socket, ok := l.inner.(interface{ SetDeadline(t time.Time) error })
	if !ok {
		return fmt.Errorf("listen: a %T can't stop without being closed", l.inner)
	}
	if l.detached.Swap(true) {
		<-l.accepts
		return nil
	}
	l.stopOnce.Do(func() { close(l.stop) })
	if err := socket.SetDeadline(time.Unix(1, 0)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	<-l.accepts
	return socket.SetDeadline(time.Time{})
}

// accept takes connections off the socket. Errors go to the server, which knows when to try again.
func (l *Listener) accept() {
	defer close(l.accepts)
	for {
		socket, err := l.inner.Accept()
		if err == nil {
			l.admit(socket)
			continue
		}
		select {
		case <-l.stop:
			return
		case l.ready <- accepted{err: err}:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// admit counts a connection and prepares it in the background.
func (l *Listener) admit(socket net.Conn) {
	l.total.Add(1)
	peer := addrPort(socket.RemoteAddr())
	if !l.census.enter() {
		_ = socket.Close()
		l.refused(TooManyConnections, peer, nil)
		return
	}
	c := &conn{Conn: socket, socket: socket, census: &l.census, facts: Facts{AcceptedAt: time.Now(), Client: peer, Peer: peer}}
	l.running.Go(func() { l.prepare(c) })
}

// prepare brings a connection to where a request can be read, and hands it to Accept.
func (l *Listener) prepare(c *conn) {
	stop := context.AfterFunc(l.ctx, func() { _ = c.socket.Close() })
	defer stop()
	prepared, reason, err := l.steps(c)
	if reason != "" {
		_ = c.Close()
		l.refused(reason, c.facts.Client, err)
		return
	}
	select {
	case l.ready <- accepted{conn: prepared}:
	case <-l.ctx.Done():
		_ = c.Close()
	}
}

// steps are those of the package's comment. A connection that is not refused has no deadline.
func (l *Listener) steps(c *conn) (net.Conn, Reason, error) {
	_ = c.socket.SetDeadline(time.Now().Add(l.options.HeaderTimeout))
	if l.trusts(c.facts.Peer.Addr()) {
		if err := c.readProxyHeader(); err != nil {
			return nil, BadProxyHeader, err
		}
	}
	if c.identified = l.census.identify(c.facts.Client.Addr()); !c.identified {
		return nil, TooManyClientConnections, nil
	}
	secured, err := l.handshake(c)
	if err != nil {
		return nil, FailedHandshake, err
	}
	_ = c.socket.SetDeadline(time.Time{})
	return l.guard(c, secured), "", nil
}

func (l *Listener) trusts(peer netip.Addr) bool {
	for _, network := range l.options.TrustedNetworks {
		if network.Contains(peer) {
			return true
		}
	}
	return false
}

// handshake returns the connection that speaks TLS, or the connection itself where that is not asked for.
func (l *Listener) handshake(c *conn) (net.Conn, error) {
	if l.options.TLS == nil {
		return c, nil
	}
	secured := tls.Server(c, l.options.TLS.Config())
	if err := secured.HandshakeContext(l.ctx); err != nil {
		explain(c, err)
		return nil, err
	}
	state := secured.ConnectionState()
	c.facts.TLS = &state
	return secured, nil
}

// explain lets a client know why its handshake failed: by the alert that it was sent, or by HTTP if it speaks no TLS.
func explain(c *conn, err error) {
	notTLS, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok {
		guard.Linger(c)
		return
	}
	switch string(notTLS.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		guard.Reject(c, &guard.Violation{Status: http.StatusBadRequest, Message: "this port speaks TLS: use https"})
	}
}

// guard wraps what net/http is to speak HTTP/1 on.
func (l *Listener) guard(c *conn, secured net.Conn) net.Conn {
	if c.facts.TLS != nil && c.facts.TLS.NegotiatedProtocol == http2 {
		return secured
	}
	return guard.Wrap(secured, guard.Options{
		MaxHeaderBytes: l.options.MaxHeaderBytes,
		MaxHeaders:     l.options.MaxHeaders,
		HTTP2:          c.facts.TLS == nil,
		OnViolation:    func(v *guard.Violation) { l.refused(MalformedHTTP, c.facts.Client, v) },
	})
}

func (l *Listener) refused(reason Reason, client netip.AddrPort, err error) {
	if l.ctx.Err() != nil && reason != MalformedHTTP {
		return // It was Close that ended the connection.
	}
	l.options.OnRefused(reason)
	attributes := []any{
		slog.String("listener", l.Addr().String()), slog.String("reason", string(reason)), slog.String("client", client.String()),
	}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	l.options.Log.Debug("connection refused", attributes...)
}

// ConnContext is for [http.Server.ConnContext]: it makes the facts of a connection known to its requests.
func (l *Listener) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if facts := factsOf(c); facts != nil {
		return context.WithValue(ctx, factsKey{}, facts)
	}
	return ctx
}
