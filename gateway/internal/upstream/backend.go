package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/encoding/gzip" // Backends may compress their answers.

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Options describe a backend.
type Options struct {
	// Name is its name in logs and metrics.
	Name string
	// Target is a grpc target such as static:///host:port or dns:///host:port.
	Target string
	// MaxMessageBytes bounds a message in either direction, after decompression.
	MaxMessageBytes int
	// TLS is spoken to instances, if set. Its files are read anew for new connections when they have changed.
	TLS *configv1.BackendTls
	// Log gets what is wrong with changed files. Nil: nowhere.
	Log *slog.Logger
	// Version of the gateway, for the user agent that instances see.
	Version string
}

// reconnect is grpc's own schedule with a lower ceiling: an instance that comes back should get calls within seconds,
// not minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// roundRobin is the service config of a backend. Nothing else comes from it: retries are Cardea's own.
const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// Backend is a set of instances that serve the same services. It is safe for concurrent use.
type Backend struct {
	name    string
	conn    *grpc.ClientConn
	attempt grpc.Streamer
}

// Open returns a backend without connecting. Errors are a target that can't be understood, and TLS files that can't be used.
func Open(o Options) (*Backend, error) {
	secured, err := secure(o)
	if err != nil {
		return nil, fmt.Errorf("backend %q: %w", o.Name, err)
	}
	conn, err := grpc.NewClient(o.Target, append(secured,
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(roundRobin),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0), // An idle channel closes its balancer.
		grpc.WithNoProxy(),
		grpc.WithConnectParams(reconnect),
		grpc.WithUserAgent("cardea/"+o.Version),
		grpc.WithStatsHandler(observer{}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(rawCodec{}),
			grpc.MaxCallRecvMsgSize(o.MaxMessageBytes),
			grpc.MaxCallSendMsgSize(o.MaxMessageBytes),
		),
	)...)
	if err != nil {
		return nil, fmt.Errorf("backend %q: %w", o.Name, err)
	}
	b := &Backend{name: o.Name, conn: conn}
	b.attempt = chain(b.pick)
	return b, nil
}

// Name returns the backend's name in logs and metrics.
func (b *Backend) Name() string { return b.name }

// Connect connects in the background, so that the first call finds connections.
func (b *Backend) Connect() { b.conn.Connect() }

// Stream sends a call down the attempt chain and returns the stream of raw messages that answers it. The context's end
// ends the call.
func (b *Backend) Stream(ctx context.Context, desc *grpc.StreamDesc, method string) (grpc.ClientStream, error) {
	return b.attempt(ctx, desc, b.conn, method)
}

// pick is the end of the attempt chain: the balancer picks an instance, and the call is sent.
func (b *Backend) pick(
	ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return b.conn.NewStream(ctx, desc, method, opts...)
}

// Close ends all connections; calls under way fail.
func (b *Backend) Close() error { return b.conn.Close() }
