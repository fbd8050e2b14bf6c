package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/cardea-gateway/cardea/policies/call"
)

// netHTTP is an [Exchange] on net/http.
type netHTTP struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	body    countingBody
	remote  netip.AddrPort
	target  string
	path    string
	status  int
	written int64
	limited bool  // The client must take the answer in time.
	limit   waker // Ends that time over HTTP/2.
	aborted atomic.Bool
}

var _ Exchange = (*netHTTP)(nil)

func newNetHTTP(w http.ResponseWriter, r *http.Request) *netHTTP {
	x := &netHTTP{w: w, r: r, control: http.NewResponseController(w), body: countingBody{ReadCloser: r.Body}}
	x.body.ended.Store(r.Body == http.NoBody)
	x.target = targetOf(r)
	x.path, _, _ = strings.Cut(x.target, "?")
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.remote = netip.AddrPortFrom(remote.Addr().Unmap().WithZone(""), remote.Port())
	}
	return x
}

// targetOf reads the request line rather than the URL, which net/http has decoded already. Over HTTP/1.1 a target may be
// absolute, as for a proxy (RFC 9112, section 3.2.2): its scheme and authority are cut off. Over HTTP/2 it may not.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if r.ProtoMajor >= 2 || strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return target
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}

func (x *netHTTP) Context() context.Context { return x.r.Context() }
func (x *netHTTP) Method() string           { return x.r.Method }
func (x *netHTTP) Target() string           { return x.target }
func (x *netHTTP) Path() string             { return x.path }
func (x *netHTTP) Query() string            { return x.r.URL.RawQuery }
func (x *netHTTP) Authority() string        { return x.r.Host }
func (x *netHTTP) Major() int               { return x.r.ProtoMajor }
func (x *netHTTP) Header() call.Header      { return requestHeader(x.r.Header) }
func (x *netHTTP) Body() io.ReadCloser      { return &x.body }
func (x *netHTTP) Remote() netip.AddrPort   { return x.remote }
func (x *netHTTP) Secure() bool             { return x.tls() != nil }

type tlsKey struct{}

// WithTLS makes the TLS state of a connection known to the exchanges on it, where net/http sees another connection than the
// one that speaks TLS.
func WithTLS(ctx context.Context, state *tls.ConnectionState) context.Context {
	return context.WithValue(ctx, tlsKey{}, state)
}

// tls returns the TLS state of the connection; nil is cleartext.
func (x *netHTTP) tls() *tls.ConnectionState {
	if x.r.TLS != nil {
		return x.r.TLS
	}
	state, _ := x.r.Context().Value(tlsKey{}).(*tls.ConnectionState)
	return state
}

func (x *netHTTP) HeaderFields() int {
	n := 0
	for _, values := range x.r.Header {
		n += len(values)
	}
	return n
}

func (x *netHTTP) Peer() *peer.Peer {
	p := &peer.Peer{Addr: remoteAddr(x.r.RemoteAddr)}
	if local, ok := x.r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		p.LocalAddr = local
	}
	if state := x.tls(); state != nil {
		p.AuthInfo = credentials.TLSInfo{
			State:          *state,
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	return p
}

func (x *netHTTP) AddHeader(name, value string) { x.w.Header().Add(name, value) }

func (x *netHTTP) Start(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	x.w.WriteHeader(status)
}

func (x *netHTTP) Write(p []byte) (int, error) {
	x.Start(http.StatusOK)
	n, err := x.w.Write(p) //nolint:gosec // Front ends write JSON and gRPC, never HTML; errors carry nosniff.
	x.written += int64(n)
	return n, err
}

// leave bounds what net/http does once the exchange was served: it waits for the rest of a body that nobody has read, and
// for a client to take what is buffered of the answer.
func (x *netHTTP) leave() {
	http1 := x.r.ProtoMajor < 2
	if http1 && !x.body.ended.Load() && !x.body.broken.Load() {
		_ = x.control.SetReadDeadline(time.Now().Add(unreadGrace))
	}
	over := x.aborted.Load() || x.r.Context().Err() != nil
	if over || !http1 && x.written == 0 { // Headers alone wait for nobody.
		return
	}
	if !x.limited {
		x.LimitWrite(answerTimeout)
	}
	if !http1 {
		_ = x.Flush()
	}
}

func (x *netHTTP) Flush() error { return x.control.Flush() }
func (x *netHTTP) Abort()       { x.aborted.Store(true) }

// BodyEnded is true from the beginning for requests without a body.
func (x *netHTTP) BodyEnded() bool { return x.body.ended.Load() }

// LimitRead is lifted at the end of the body: over HTTP/1.1 the connection must go on.
func (x *netHTTP) LimitRead(d time.Duration) {
	if !x.BodyEnded() {
		x.body.lift, x.body.until = x.lift, time.Now().Add(d)
		_ = x.control.SetReadDeadline(x.body.until)
	}
}

func (x *netHTTP) lift() {
	if x.r.ProtoMajor < 2 {
		_ = x.control.SetReadDeadline(time.Time{})
	}
}

// LimitWrite keeps the time itself over HTTP/2: a deadline may reach net/http's connection after the end of the stream, and
// would then keep all that belongs to it until it is over, and reset it.
func (x *netHTTP) LimitWrite(d time.Duration) {
	x.limited = true
	if x.r.ProtoMajor < 2 {
		_ = x.control.SetWriteDeadline(time.Now().Add(d))
		return
	}
	x.limit.x = x
	x.limit.later = time.AfterFunc(d, x.limit.writes)
}

// past is a time that is over.
var past = time.Unix(1, 0)

// InterruptRead leaves a body alone that was read to its end: over HTTP/1.1 it would cost the connection.
func (x *netHTTP) InterruptRead() {
	if !x.BodyEnded() {
		_ = x.control.SetReadDeadline(past) // Every server of ours can.
	}
}

// InterruptWrite gives the answer up with it.
func (x *netHTTP) InterruptWrite() {
	x.aborted.Store(true)
	_ = x.control.SetWriteDeadline(past)
}

func (x *netHTTP) AddTrailer(name, value string) { x.w.Header().Add(http.TrailerPrefix+name, value) }
func (x *netHTTP) Status() int                   { return x.status }
func (x *netHTTP) Bytes() (read, written int64)  { return x.body.read.Load(), x.written }

// countingBody counts what is read of a body, and notes its end; that is atomic because a pump may read beside the server.
type countingBody struct {
	io.ReadCloser

	read   atomic.Int64
	ended  atomic.Bool
	broken atomic.Bool // There is no more to wait for.
	until  time.Time   // It must end by then.
	lift   func()      // Lifts that limit; nil without one.
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	if err == nil {
		return n, nil
	}
	b.ended.Store(errors.Is(err, io.EOF))
	b.broken.Store(!errors.Is(err, io.EOF))
	switch {
	case b.lift == nil:
	case errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(b.until): // Rather than by an interruption.
		return n, errBodyTimeout
	case errors.Is(err, io.EOF):
		b.lift()
	}
	return n, err
}

// remoteAddr is an address that net/http gives as text.
type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

// requestHeader looks up http.Header by lower-case names.
type requestHeader http.Header

func (h requestHeader) Get(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h requestHeader) Values(name string) []string {
	if canonical, ok := canonicalNames[name]; ok {
		return h[canonical]
	}
	return h[http.CanonicalHeaderKey(name)]
}

func (h requestHeader) Range(f func(name string, values []string) bool) {
	for name, values := range h {
		lower, ok := lowerNames[name]
		if !ok {
			lower = strings.ToLower(name)
		}
		if !f(lower, values) {
			return
		}
	}
}

// canonicalNames and lowerNames turn the names of headers that most requests have, or that the gateway looks for, without
// allocating.
var canonicalNames, lowerNames = headerNames(
	"accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection", "content-encoding", "content-length",
	"content-type", "cookie", "forwarded", "grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "host", "if-match", "if-none-match",
	"origin", "referer", "te", "traceparent", "tracestate", "user-agent", "x-api-key", "x-forwarded-for", "x-forwarded-host",
	"x-forwarded-proto", "x-real-ip", "x-request-id", "x-server-timeout",
)

func headerNames(names ...string) (canonical, lower map[string]string) {
	canonical, lower = map[string]string{}, map[string]string{}
	for _, name := range names {
		canonical[name] = http.CanonicalHeaderKey(name)
		lower[canonical[name]] = name
	}
	return canonical, lower
}
