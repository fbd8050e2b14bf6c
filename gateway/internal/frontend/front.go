package frontend

import (
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Record is what became of one exchange, for logs and metrics.
type Record struct {
	// Protocol is "grpc" or "rest".
	Protocol string
	// Start is when the exchange began.
	Start time.Time
	// Method is what was called; nil where nothing was found.
	Method *call.Method
	// Call is the call; nil where none was made.
	Call *call.Call
	// Code is how the call ended.
	Code codes.Code
	// Err is the error it ended with, in full: for the log, not for clients.
	Err error
	// Origin is whose error that is; empty where there is none.
	Origin Origin
	// Reception is what was known before the method.
	Reception call.Reception
}

// Origin is whose error an error is.
type Origin string

// The origins of errors.
const (
	// OriginGateway marks refusals of the gateway, and failures on its way to a backend.
	OriginGateway Origin = "gateway"
	// OriginBackend marks what a backend said.
	OriginBackend Origin = "backend"
)

// finish records how a call ended. Whether the error is the backend's follows from what the proxy has noted, not from what
// the error says of itself: a backend can say anything.
func (r *Record) finish(err error) {
	r.Code, r.Err, r.Origin = statusOf(err).Code(), err, ""
	if err == nil {
		return
	}
	r.Origin = OriginGateway
	if r.Call == nil {
		return
	}
	if said := r.Call.Upstream().Err; said != nil && errors.Is(err, said) { // Statuses are equal by their content, too.
		r.Origin = OriginBackend
	}
}

// Front serves exchanges. It is safe for concurrent use.
type Front struct {
	// Tables are those of the running configuration.
	Tables Tables
	// Done is told of each exchange after it was served. It must not keep the exchange.
	Done func(Exchange, *Record)
	// Retire tells whether the connection of an exchange should end once what is under way on it is done. It is asked at the
	// start of each exchange, by many at a time. Nil never retires one.
	Retire func(Exchange) bool
}

// Tables hands out tables. It is safe for concurrent use.
type Tables interface {
	// Enter returns the table for calls to a host, the authority as received, and keeps it in use until Leave.
	Enter(authority string) *Table
	// Leave gives a table back.
	Leave(t *Table)
}

// ServeHTTP makes a Front a handler of net/http.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newNetHTTP(w, r)
	defer x.limit.stop() // However it ends: after that there is nothing to write to.
	f.Serve(x)
	x.leave()
	if x.aborted.Load() {
		panic(http.ErrAbortHandler) //nolint:forbidigo // The way to say so to net/http, which logs nothing.
	}
}

// Serve serves one exchange by the front end it belongs to.
func (f *Front) Serve(x Exchange) {
	rec := &Record{Start: time.Now()}
	defer func() { f.Done(x, rec) }()
	t := f.Tables.Enter(x.Authority())
	defer f.Tables.Leave(t)
	t.receive(x, &rec.Reception)
	x.AddHeader("X-Request-Id", rec.Reception.RequestID)
	if f.Retire != nil && f.Retire(x) {
		x.AddHeader("Connection", "close") // Over HTTP/2 net/http makes a GOAWAY of it.
	}
	if isGRPC(x.Header().Get("content-type")) {
		rec.Protocol = "grpc"
		serveGRPC(x, t, rec)
		return
	}
	rec.Protocol = "rest"
	serveREST(x, t, rec)
}

// refuseHTTP ends an exchange that became no call.
func refuseHTTP(x Exchange, t *Table, rec *Record, err error) {
	rec.finish(err)
	writeError(x, err, rec, t.Types)
}
