package frontend

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/policies/call"
)

// statusClientClosed is the status that logs show for a client that went away; nobody receives it.
const statusClientClosed = 499

// httpStatus is how codes look over REST (google.rpc.Code).
var httpStatus = map[codes.Code]int{
	codes.OK:                 http.StatusOK,
	codes.Canceled:           statusClientClosed,
	codes.Unknown:            http.StatusInternalServerError,
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.Unauthenticated:    http.StatusUnauthorized,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.Aborted:            http.StatusConflict,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Internal:           http.StatusInternalServerError,
	codes.Unavailable:        http.StatusServiceUnavailable,
	codes.DataLoss:           http.StatusInternalServerError,
}

// codeOf is how the HTTP statuses of refusals look over gRPC, where the status says more than the code.
var codeOf = map[int]codes.Code{
	http.StatusBadRequest:                  codes.InvalidArgument,
	http.StatusMethodNotAllowed:            codes.Unimplemented,
	http.StatusRequestTimeout:              codes.DeadlineExceeded,
	http.StatusRequestEntityTooLarge:       codes.ResourceExhausted,
	http.StatusRequestURITooLong:           codes.ResourceExhausted,
	http.StatusUnsupportedMediaType:        codes.InvalidArgument,
	http.StatusRequestHeaderFieldsTooLarge: codes.ResourceExhausted,
}

// httpRefusal is a refusal whose HTTP status says more than its code.
type httpRefusal struct {
	error
	status int
}

func (r httpRefusal) Unwrap() error { return r.error }

// refuseAs returns a refusal with an HTTP status, from which the code follows.
func refuseAs(httpStatus int, reason, message string) error {
	return httpRefusal{call.Refuse(codeOf[httpStatus], reason, message), httpStatus}
}

// HTTPStatus returns the HTTP status of a code; codes that nobody defined look like UNKNOWN.
func HTTPStatus(code codes.Code) int {
	if s, ok := httpStatus[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// httpStatusOf returns the HTTP status of an error: its own, or that of its code.
func httpStatusOf(err error, code codes.Code) int {
	if refusal := (httpRefusal{}); errors.As(err, &refusal) {
		return refusal.status
	}
	return HTTPStatus(code)
}

// Refusals that stand for errors which are no status.
var (
	errDeadline = call.Refuse(codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline of the call has passed")
	errFailure  = call.Refuse(codes.Unknown, "GATEWAY_FAILURE", "the gateway failed to handle the call")
)

// statusOf makes a status of whatever a chain returned. Errors that are no status never reach the client as they are, nor
// does what is wrapped around one: their text may hold addresses.
func statusOf(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	if st := (interface{ GRPCStatus() *status.Status })(nil); errors.As(err, &st) && st.GRPCStatus() != nil {
		return st.GRPCStatus()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the client canceled the call")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Convert(errDeadline)
	}
	return status.Convert(errFailure)
}

// grpcMessage encodes a status message as the header grpc-message carries it: percent-encoded UTF-8.
func grpcMessage(text string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// grpcDetails encodes a status for the header grpc-status-details-bin; empty where the status has no details.
func grpcDetails(st *status.Status) []byte {
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if wire, err := proto.Marshal(p); err == nil {
			return wire
		}
	}
	return nil
}
