package frontend

import (
	"context"
	"io"
	"net"
	"net/http"
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
	status  int
	written int64
	aborted bool
}

var _ Exchange = (*netHTTP)(nil)

func newNetHTTP(w http.ResponseWriter, r *http.Request) *netHTTP {
	x := &netHTTP{w: w, r: r, control: http.NewResponseController(w), body: countingBody{ReadCloser: r.Body}}
	x.body.ended.Store(r.Body == http.NoBody)
	return x
}

func (x *netHTTP) Context() context.Context { return x.r.Context() }
func (x *netHTTP) Method() string           { return x.r.Method }
func (x *netHTTP) Query() string            { return x.r.URL.RawQuery }
func (x *netHTTP) Authority() string        { return x.r.Host }
func (x *netHTTP) Major() int               { return x.r.ProtoMajor }
func (x *netHTTP) Header() call.Header      { return requestHeader(x.r.Header) }
func (x *netHTTP) Body() io.ReadCloser      { return &x.body }

// Path reads the request line rather than the URL, which net/http has decoded already.
func (x *netHTTP) Path() string {
	target := x.r.RequestURI
	if !strings.HasPrefix(target, "/") { // Absolute form, or the asterisk of OPTIONS.
		return x.r.URL.EscapedPath()
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}

func (x *netHTTP) Peer() *peer.Peer {
	p := &peer.Peer{Addr: remoteAddr(x.r.RemoteAddr)}
	if local, ok := x.r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		p.LocalAddr = local
	}
	if x.r.TLS != nil {
		p.AuthInfo = credentials.TLSInfo{
			State:          *x.r.TLS,
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
	n, err := x.w.Write(p)
	x.written += int64(n)
	return n, err
}

func (x *netHTTP) Flush() error { return x.control.Flush() }
func (x *netHTTP) Abort()       { x.aborted = true }

// past is a time that is over.
var past = time.Unix(1, 0)

// InterruptRead leaves a body alone that was read to its end: over HTTP/1.1 it would cost the connection.
func (x *netHTTP) InterruptRead() {
	if !x.body.ended.Load() {
		_ = x.control.SetReadDeadline(past) // Every server of ours can.
	}
}

// InterruptWrite gives the answer up with it.
func (x *netHTTP) InterruptWrite() {
	x.aborted = true
	_ = x.control.SetWriteDeadline(past)
}

func (x *netHTTP) AddTrailer(name, value string) { x.w.Header().Add(http.TrailerPrefix+name, value) }
func (x *netHTTP) Status() int                   { return x.status }
func (x *netHTTP) Bytes() (read, written int64)  { return x.body.read.Load(), x.written }

// countingBody counts what is read of a body, and notes its end; both are atomic because a pump may read beside the server.
type countingBody struct {
	io.ReadCloser

	read  atomic.Int64
	ended atomic.Bool
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// remoteAddr is an address that net/http gives as text.
type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

// requestHeader looks up http.Header by lower-case names.
type requestHeader http.Header

func (h requestHeader) Get(name string) string      { return http.Header(h).Get(name) }
func (h requestHeader) Values(name string) []string { return http.Header(h).Values(name) }

func (h requestHeader) Range(f func(name string, values []string) bool) {
	for name, values := range h {
		if !f(strings.ToLower(name), values) {
			return
		}
	}
}
