package frontend

import (
	"context"
	"io"
	"net/netip"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Exchange is one HTTP request and its answer. It belongs to the goroutine that serves it, with these exceptions:
// reading the body may run beside writing the answer, and interrupting beside both.
type Exchange interface { //nolint:interfacebloat // A request and its answer, each of whose parts some front end needs.
	// Context ends when the client goes away, and when the exchange was served.
	Context() context.Context
	// Method is the HTTP method as received.
	Method() string
	// Target is path and query as received: not decoded, not cleaned. Over HTTP/2 it is :path, whatever that holds.
	Target() string
	// Path is the path as received: not decoded, without the query.
	Path() string
	// Query is the query string as received: not decoded, without the question mark.
	Query() string
	// Authority is the host that the client asked for, port included.
	Authority() string
	// Major is the major version of HTTP.
	Major() int
	// Remote is the other end of the connection; the zero AddrPort where it has no IP address.
	Remote() netip.AddrPort
	// Secure tells whether the connection is TLS.
	Secure() bool
	// Peer is who sits at the other end of the connection.
	Peer() *peer.Peer
	// HeaderFields counts the header fields of the request.
	HeaderFields() int
	// Header looks up the headers of the request, names in lower case. It is valid until the exchange ends.
	Header() call.Header
	// Body reads the request's body.
	Body() io.ReadCloser
	// BodyEnded tells whether there is no more of the body to read.
	BodyEnded() bool
	// LimitRead makes reads of the body fail, with an error that is a refusal, if it has not ended after d.
	LimitRead(d time.Duration)
	// InterruptRead makes a read of the body under way fail, and each that comes. It may be called from any goroutine.
	InterruptRead()
	// InterruptWrite does the same for writes of the answer.
	InterruptWrite()

	// LimitWrite breaks the answer off if the client has not taken it after d. It costs more than a map lookup: it is for
	// answers that are complete.
	LimitWrite(d time.Duration)

	// AddHeader adds a header to the answer; it has no effect once the answer has started.
	AddHeader(name, value string)
	// Start sends status and headers, at the latest with the first bytes of the body. Only the first call counts.
	Start(status int)
	// Write sends bytes of the body; it starts the answer with 200 if need be.
	Write(p []byte) (int, error)
	// Flush sends on what Write has buffered.
	Flush() error
	// AddTrailer adds a trailer; the answer must have started.
	AddTrailer(name, value string)
	// Abort breaks the answer off, so that the client can't take it for complete.
	Abort()
	// Status is the status that was sent; 0 before the answer started.
	Status() int
	// Bytes tells how many bytes of body were read and written.
	Bytes() (read, written int64)
}
