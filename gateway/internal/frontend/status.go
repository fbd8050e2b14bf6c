package frontend

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
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

// HTTPStatus returns the HTTP status of a code; codes that nobody defined look like UNKNOWN.
func HTTPStatus(code codes.Code) int {
	if s, ok := httpStatus[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

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
		return status.New(codes.DeadlineExceeded, "the deadline of the call has passed")
	}
	return status.New(codes.Unknown, "the gateway failed to handle the call")
}

// statusJSON is google.rpc.Status as JSON. It always succeeds: details whose type is not known to the gateway appear
// with their type and their bytes in base64.
type statusJSON struct {
	Code    int32             `json:"code"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

func marshalStatus(st *spb.Status, types Types) []byte {
	out := statusJSON{Code: st.GetCode(), Message: st.GetMessage(), Details: []json.RawMessage{}}
	for _, detail := range st.GetDetails() {
		out.Details = append(out.Details, marshalDetail(detail, types))
	}
	text, err := json.Marshal(out)
	if err != nil { // Only a detail that is no JSON could do that, and protojson writes JSON.
		return []byte(`{"code":13,"message":"the error can't be shown","details":[]}`)
	}
	return text
}

func marshalDetail(detail *anypb.Any, types Types) json.RawMessage {
	if text, err := (protojson.MarshalOptions{Resolver: types}).Marshal(detail); err == nil {
		return text
	}
	raw := map[string]any{"@type": detail.GetTypeUrl(), "value": detail.GetValue()} // []byte becomes base64.
	text, err := json.Marshal(raw)
	if err != nil {
		return json.RawMessage("{}")
	}
	return text
}

// writeStatus ends an exchange that speaks HTTP with an error: status and a google.rpc.Status as JSON. httpStatus 0
// follows from the code.
func writeStatus(x Exchange, st *status.Status, httpStatus int, types Types) {
	if httpStatus == 0 {
		httpStatus = HTTPStatus(st.Code())
	}
	body := append(marshalStatus(st.Proto(), types), '\n')
	x.AddHeader("Content-Type", "application/json")
	x.AddHeader("Content-Length", strconv.Itoa(len(body)))
	x.AddHeader("X-Content-Type-Options", "nosniff")
	if httpStatus == http.StatusUnauthorized {
		x.AddHeader("WWW-Authenticate", "Bearer") // RFC 9110, section 11.6.1: a 401 must name a scheme.
	}
	x.Start(httpStatus)
	_, _ = x.Write(body) // A client that has gone away can't be told.
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
