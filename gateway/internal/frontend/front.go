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
	// Table returns the table of the running configuration.
	Table func() *Table
	// Done is told of each exchange after it was served. It must not keep the exchange.
	Done func(Exchange, *Record)
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
	if isGRPC(x.Header().Get("content-type")) {
		rec.Protocol = "grpc"
		serveGRPC(x, f.Table(), rec)
		return
	}
	rec.Protocol = "rest"
	serveREST(x, f.Table(), rec)
}

// refuseHTTP ends an exchange that became no call.
func refuseHTTP(x Exchange, t *Table, rec *Record, httpStatus int, err error) {
	rec.finish(err)
	writeStatus(x, statusOf(err), httpStatus, t.Types)
}
