package frontend

import (
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxAccepted is how many entries of a line of Accept are looked at.
const maxAccepted = 64

const (
	contentTypeProblem = "application/problem+json"
	originHeader       = "Cardea-Origin"
)

// statusJSON is google.rpc.Status as JSON.
type statusJSON struct {
	Code    int32             `json:"code"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

// problemJSON is an error as RFC 9457 writes it; code, reason and details are extensions.
type problemJSON struct {
	Type     string            `json:"type"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Detail   string            `json:"detail"`
	Instance string            `json:"instance,omitempty"`
	Code     int32             `json:"code"`
	Reason   string            `json:"reason,omitempty"`
	Details  []json.RawMessage `json:"details"`
}

func marshalStatus(st *spb.Status, types Types) []byte {
	return marshalError(statusJSON{st.GetCode(), st.GetMessage(), marshalDetails(st, types)})
}

// marshalProblem writes an error as a problem. Its type is about:blank: the reason says what it means.
func marshalProblem(st *status.Status, httpStatus int, instance string, types Types) []byte {
	return marshalError(problemJSON{
		Type: "about:blank", Title: http.StatusText(httpStatus), Status: httpStatus, Detail: st.Message(), Instance: instance,
		Code: int32(st.Code()), Reason: reasonOf(st), Details: marshalDetails(st.Proto(), types),
	})
}

func marshalError(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // Only a detail that is no JSON could do that, and protojson writes JSON.
		return []byte(`{"code":13,"message":"the error can't be shown","details":[]}`)
	}
	return text
}

// marshalDetails always succeeds: details whose type is not known to the gateway, or that break their reader, appear with
// their type and their bytes in base64.
func marshalDetails(st *spb.Status, types Types) []json.RawMessage {
	details := []json.RawMessage{}
	for _, detail := range st.GetDetails() {
		details = append(details, marshalDetail(detail, types))
	}
	return details
}

func marshalDetail(detail *anypb.Any, types Types) json.RawMessage {
	var text []byte
	err := protect(func() (err error) { // Messages without generated code panic on some that are malformed.
		text, err = protojson.MarshalOptions{Resolver: types}.Marshal(detail)
		return err
	})
	if err == nil {
		return text
	}
	raw := map[string]any{"@type": detail.GetTypeUrl(), "value": detail.GetValue()} // []byte becomes base64.
	if text, err = json.Marshal(raw); err != nil {
		return json.RawMessage("{}")
	}
	return text
}

// reasonOf returns the reason that an error carries, whoever gave it.
func reasonOf(st *status.Status) string {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// writeError ends an exchange that speaks HTTP with an error: a status, and a google.rpc.Status as JSON or a problem,
// whichever the client prefers.
func writeError(x Exchange, err error, rec *Record, types Types) {
	st := statusOf(err)
	httpStatus := httpStatusOf(err, st.Code())
	contentType, body := errorBody(x, st, httpStatus, rec, types)
	x.AddHeader("Content-Type", contentType)
	x.AddHeader("Content-Length", strconv.Itoa(len(body)))
	x.AddHeader("X-Content-Type-Options", "nosniff")
	x.AddHeader("Vary", "Accept")
	addErrorHeaders(x, st, httpStatus, rec.Origin)
	x.Start(httpStatus)
	_, _ = x.Write(body) // A client that has gone away can't be told.
}

// errorBody returns an error as the client prefers it.
func errorBody(x Exchange, st *status.Status, httpStatus int, rec *Record, types Types) (contentType string, body []byte) {
	if wantsProblem(x.Header().Values("accept")) {
		return contentTypeProblem, append(marshalProblem(st, httpStatus, rec.Reception.RequestID, types), '\n')
	}
	return contentTypeJSON, append(marshalStatus(st.Proto(), types), '\n')
}

// addErrorHeaders adds what HTTP clients look for in headers.
func addErrorHeaders(x Exchange, st *status.Status, httpStatus int, origin Origin) {
	if origin == OriginGateway {
		x.AddHeader(originHeader, string(origin))
	}
	switch {
	case httpStatus == http.StatusUnauthorized:
		x.AddHeader("WWW-Authenticate", "Bearer") // RFC 9110, section 11.6.1: a 401 must name a scheme.
	case httpStatus == http.StatusRequestTimeout && x.Major() < 2:
		x.AddHeader("Connection", "close") // Where the next request would begin, nobody can tell.
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() {
			seconds := math.Ceil(max(info.GetRetryDelay().AsDuration().Seconds(), 0))
			x.AddHeader("Retry-After", strconv.FormatInt(int64(seconds), 10))
			return
		}
	}
}

// wantsProblem tells whether an Accept header asks for problems: by name, and no less than for plain JSON. Wildcards ask for
// a google.rpc.Status.
func wantsProblem(accept []string) bool {
	problem := accepted(accept, contentTypeProblem)
	return problem > 0 && problem >= accepted(accept, contentTypeJSON)
}

// wantsArray tells whether an Accept header asks for a stream as one JSON array: by name, and more than for lines. Wildcards
// ask for lines.
func wantsArray(accept []string) bool {
	array := accepted(accept, contentTypeJSON)
	return array > 0 && array > accepted(accept, contentTypeNDJSON)
}

// accepted returns the weight that an Accept header gives to a type that it names; 0 where it does not.
func accepted(accept []string, wanted string) float64 {
	weight := 0.0
	for _, line := range accept {
		for _, entry := range strings.SplitN(line, ",", maxAccepted) {
			if media, params, err := mime.ParseMediaType(entry); err == nil && media == wanted {
				weight = max(weight, quality(params))
			}
		}
	}
	return weight
}

// quality returns the weight that the parameter q gives (RFC 9110, section 12.4.2); what is malformed weighs nothing.
func quality(params map[string]string) float64 {
	q, ok := params["q"]
	if !ok {
		return 1
	}
	value, err := strconv.ParseFloat(q, 64)
	if err != nil || math.IsNaN(value) || value < 0 || value > 1 {
		return 0
	}
	return value
}
