package frontend

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Mount holds the handlers that protoc-gen-grpc-gateway generates. They decode path, query and body into a message and
// call a client whose connection is the chain, in process. It is immutable once its handlers are registered.
type Mount struct {
	mux *runtime.ServeMux
}

// NewMount returns a mount without handlers. Types resolve what Any fields hold.
func NewMount(types Types) *Mount {
	same := func(name string) (string, bool) { return name, true }
	none := func(string) (string, bool) { return "", false }
	m := &Mount{}
	m.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler(types)),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithMiddlewares(useCaptures),
		runtime.WithIncomingHeaderMatcher(none), // Headers reach the chain as they are, not through the handlers.
		runtime.WithOutgoingHeaderMatcher(same),
		runtime.WithOutgoingTrailerMatcher(same),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableChunkedEncoding(),
		runtime.WithErrorHandler(handleError),
		runtime.WithRoutingErrorHandler(handleRoutingError),
	)
	return m
}

// Register adds the handlers of one service.
func (m *Mount) Register(register func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error) error {
	return register(context.Background(), m.mux, chainConn{}) //nolint:forbidigo // Generated code takes one and does not use it.
}

type restCallKey struct{}

// restCallFrom returns the call that a generated handler works for.
func restCallFrom(ctx context.Context) *restCall {
	rc, _ := ctx.Value(restCallKey{}).(*restCall)
	return rc
}

// serve runs the generated handler of a call. The request that the handler sees is made up: it holds what the rule
// binds, and no header that could make the handler do something else.
func (m *Mount) serve(ctx context.Context, rc *restCall) {
	r := &http.Request{
		Method: rc.binding.HTTPMethod,
		URL:    &url.URL{Path: "/", RawPath: rc.x.Path(), RawQuery: rc.x.Query()},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{},
		Body:          http.NoBody,
		ContentLength: -1,
	}
	if rc.binding.Body != "" {
		r.Body = &rc.body
	}
	if te := rc.x.Header().Get("te"); te != "" {
		r.Header.Set("Te", te)
	}
	m.mux.ServeHTTP(&answerWriter{x: rc.x, header: http.Header{}}, r.WithContext(context.WithValue(ctx, restCallKey{}, rc)))
	if rc.ended && !isHTTPBody(rc.binding.Plan.Method.Output) {
		rc.end()
	}
}

// isHTTPBody tells whether answers are bytes of any kind, which have no line for a status.
func isHTTPBody(message protoreflect.MessageDescriptor) bool {
	return message != nil && message.FullName() == "google.api.HttpBody"
}

// useCaptures replaces the path parameters that the generated mux found by those of the route, which are decoded as the
// google.api.http specification says: %2F is a slash in a variable of one segment, and stays %2F in a longer one.
func useCaptures(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		rc := restCallFrom(r.Context())
		for i, variable := range rc.binding.Template.Variables() {
			value, err := rc.captures.Value(i)
			if err != nil {
				rc.fail(malformedPath())
				return
			}
			params[variable.FieldPath] = value
		}
		next(w, r, params)
	}
}

func handleError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error) {
	rc := restCallFrom(ctx)
	if st, ok := status.FromError(err); ok && rc.answer == nil && st.Code() == codes.InvalidArgument && len(st.Details()) == 0 {
		err = call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST", st.Message()) // The handler's own, before it made the call.
	}
	if withStatus, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		err = httpRefusal{malformedPath(), withStatus.HTTPStatus}
	}
	rc.fail(err)
}

func handleRoutingError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, _ int) {
	rc := restCallFrom(ctx)
	rc.fail(notFound(rc.x.Path()))
}

// answerWriter is an http.ResponseWriter over an [Exchange].
type answerWriter struct {
	x       Exchange
	header  http.Header
	started bool
}

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) WriteHeader(status int) {
	if w.started {
		return
	}
	w.started = true
	for name, values := range w.header {
		for _, value := range values {
			w.x.AddHeader(name, value)
		}
	}
	clear(w.header)
	w.x.Start(status)
}

func (w *answerWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.x.Write(p)
}

// FlushError lets http.ResponseController flush.
func (w *answerWriter) FlushError() error { return w.x.Flush() }
