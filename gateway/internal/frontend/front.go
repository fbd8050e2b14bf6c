package frontend

import (
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
}

// finish records how a call ended.
func (r *Record) finish(err error) {
	r.Code, r.Err = status.Code(statusOf(err).Err()), err
}

// Front serves exchanges. It is safe for concurrent use.
type Front struct {
	// Tables are those of the running configuration.
	Tables Tables
	// Done is told of each exchange after it was served. It must not keep the exchange.
	Done func(Exchange, *Record)
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
	f.Serve(x)
	if x.aborted {
		panic(http.ErrAbortHandler) //nolint:forbidigo // The way to say so to net/http, which logs nothing.
	}
}

// Serve serves one exchange by the front end it belongs to.
func (f *Front) Serve(x Exchange) {
	rec := &Record{Start: time.Now()}
	defer func() { f.Done(x, rec) }()
	t := f.Tables.Enter(x.Authority())
	defer f.Tables.Leave(t)
	if isGRPC(x.Header().Get("content-type")) {
		rec.Protocol = "grpc"
		serveGRPC(x, t, rec)
		return
	}
	rec.Protocol = "rest"
	serveREST(x, t, rec)
}

// refuseHTTP ends an exchange that became no call.
func refuseHTTP(x Exchange, t *Table, rec *Record, httpStatus int, err error) {
	rec.finish(err)
	writeStatus(x, statusOf(err), httpStatus, t.Types)
}
