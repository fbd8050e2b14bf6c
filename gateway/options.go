package gateway

import (
	"context"
	"log/slog"
	"net"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
)

// Option changes what New builds.
type Option func(*options)

type options struct {
	log          *slog.Logger
	accessLog    *slog.Logger
	version      string
	onReady      func(Addresses)
	listen       func(network, address string) (net.Listener, error)
	interceptors []grpc.StreamServerInterceptor
	rest         map[string]registerREST
}

type registerREST func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error

// WithREST serves REST calls to a service by the handlers that protoc-gen-grpc-gateway generated for it, instead of by
// programs that the gateway compiles from its contract. That costs more and can do less (docs/httprule.md has the
// differences); it is for teams who have changed those handlers, or who come from grpc-gateway and want to take one step at
// a time. A second call for the same service replaces the first.
//
//	gateway.WithREST("food.geo.v1.GeoService", geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient)
func WithREST[C any](
	service string, newClient func(grpc.ClientConnInterface) C, register func(context.Context, *runtime.ServeMux, C) error,
) Option {
	return func(o *options) {
		o.rest[service] = func(ctx context.Context, mux *runtime.ServeMux, cc grpc.ClientConnInterface) error {
			return register(ctx, mux, newClient(cc))
		}
	}
}

// WithInterceptors adds interceptors of your own to every routed method, behind Cardea's policies, in the given order.
// They see the client's metadata, the peer and a transport stream in the context, as in any grpc server. RecvMsg and SendMsg
// carry raw messages (*call.Message): interceptors that look into messages don't belong here.
func WithInterceptors(interceptors ...grpc.StreamServerInterceptor) Option {
	return func(o *options) { o.interceptors = append(o.interceptors, interceptors...) }
}

// WithLogger sets the logger for what the gateway does; by default it is slog's.
func WithLogger(log *slog.Logger) Option {
	return func(o *options) { o.log = log }
}

// WithAccessLogger sets the logger for requests, a line each; by default it is the other logger. The configuration can
// turn the access log off.
func WithAccessLogger(log *slog.Logger) Option {
	return func(o *options) { o.accessLog = log }
}

// WithVersion sets the version that metrics and backends see; by default it is "dev".
func WithVersion(version string) Option {
	return func(o *options) { o.version = version }
}

// WithOnReady sets a function that Serve calls once all addresses accept connections. It must not block.
func WithOnReady(f func(Addresses)) Option {
	return func(o *options) { o.onReady = f }
}

// WithListen sets the function that opens sockets; by default it is net.Listen. It lets a process serve on sockets that it
// has inherited. What it returns must have the method SetDeadline, as TCP listeners do.
func WithListen(listen func(network, address string) (net.Listener, error)) Option {
	return func(o *options) { o.listen = listen }
}

func newOptions(opts []Option) *options {
	o := &options{
		version: "dev", onReady: func(Addresses) {}, rest: map[string]registerREST{},
		listen: net.Listen,
	}
	for _, opt := range opts {
		opt(o)
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if o.accessLog == nil {
		o.accessLog = o.log
	}
	return o
}
