package frontend

import (
	"context"
	"net/http"
	"net/url"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Mount holds the handlers that protoc-gen-grpc-gateway generates. They decode path, query and body into a message and
// call a client whose connection is the chain, in process. It is immutable once its handlers are registered.
type Mount struct {
	mux *runtime.ServeMux
}

// NewMount returns a mount without handlers. Types resolve what Any fields hold; JSON looks as the format says, but for
// integers.
func NewMount(types Types, format *configv1.JsonFormat) *Mount {
	same := func(name string) (string, bool) { return name, true }
	none := func(string) (string, bool) { return "", false }
	m := &Mount{}
	m.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler(types, format)),
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

type handlerKey struct{}

// handlerFrom returns the handler that generated code runs in.
func handlerFrom(ctx context.Context) *handler {
	h, _ := ctx.Value(handlerKey{}).(*handler)
	return h
}

// serve runs the generated handler of a call. The request that the handler sees is made up: it holds what the rule
// binds, a path that only has to lead to the handler, and no header that could make it do something else.
func (m *Mount) serve(h *handler) {
	rc := h.rc
	r := &http.Request{
		Method: rc.binding.HTTPMethod,
		URL:    &url.URL{Path: rc.binding.muxPath(), RawQuery: rc.x.Query()},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{},
		Body:          &rc.body,
		ContentLength: -1,
	}
	if te := rc.x.Header().Get("te"); te != "" {
		r.Header.Set("Te", te)
	}
	w := &answerWriter{rc: rc, header: http.Header{}}
	m.mux.ServeHTTP(w, r.WithContext(context.WithValue(rc.stream.ctx, handlerKey{}, h)))
	w.addTrailers()
}

// useCaptures replaces the path parameters that the generated mux found by those of the route, which are decoded as the
// google.api.http specification says: %2F is a slash in a variable of one segment, and stays %2F in a longer one.
func useCaptures(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		rc := handlerFrom(r.Context()).rc
		for i, variable := range rc.binding.Template.Variables() {
			value, err := rc.captures.Value(i)
			if err != nil {
				rc.failed = malformedPath()
				return
			}
			params[variable.FieldPath] = value
		}
		next(w, r, params)
	}
}

// handleError notes why a generated handler gave up: it could not decode the request, or not encode the answer.
func handleError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error) {
	if st := statusOf(err); st.Code() == codes.InvalidArgument && call.Reason(err) == "" {
		err = call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST", st.Message())
	}
	handlerFrom(ctx).rc.failed = err
}

func handleRoutingError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, _ int) {
	rc := handlerFrom(ctx).rc
	rc.failed = notFound(rc.x.Path())
}

// answerWriter is an http.ResponseWriter over an [Exchange].
type answerWriter struct {
	rc      *restCall
	header  http.Header
	started bool
}

func (w *answerWriter) Header() http.Header { return w.header }

func (w *answerWriter) WriteHeader(status int) {
	if w.started || w.rc.over {
		return
	}
	w.started = true
	for name, values := range w.header {
		for _, value := range values {
			w.rc.x.AddHeader(name, value)
		}
	}
	clear(w.header)
	w.rc.x.Start(status)
}

func (w *answerWriter) Write(p []byte) (int, error) {
	if w.rc.over {
		return len(p), nil
	}
	w.WriteHeader(http.StatusOK)
	return w.rc.x.Write(p)
}

// FlushError lets http.ResponseController flush.
func (w *answerWriter) FlushError() error {
	if w.rc.over {
		return nil
	}
	return w.rc.x.Flush()
}

// addTrailers sends what was set after the header had gone out.
func (w *answerWriter) addTrailers() {
	if !w.started || w.rc.over {
		return
	}
	for name, values := range w.header {
		for _, value := range values {
			w.rc.x.AddTrailer(name, value)
		}
	}
}
