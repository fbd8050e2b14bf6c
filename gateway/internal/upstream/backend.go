package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/encoding/gzip" // Backends may compress their answers.
	"google.golang.org/protobuf/proto"

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
	*connection

	name    string
	release func() error
}

// connection is what backends with the same options share.
type connection struct {
	conn    *grpc.ClientConn
	attempt grpc.Streamer
}

// identity is the same for options that can share a connection.
func (o Options) identity() string {
	secured, _ := proto.MarshalOptions{Deterministic: true}.Marshal(o.TLS) // Of valid text, it can't fail.
	return fmt.Sprintf("%s %d %s %t %q", o.Target, o.MaxMessageBytes, o.Version, o.TLS != nil, secured)
}

// dial returns a connection without connecting. Errors are a target that can't be understood, and TLS files that can't be
// used.
func dial(o Options) (*connection, error) {
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
	c := &connection{conn: conn}
	c.attempt = chain(c.pick)
	return c, nil
}

// Name returns the backend's name in logs and metrics.
func (b *Backend) Name() string { return b.name }

// Connect connects in the background, so that the first call finds connections.
func (b *Backend) Connect() { b.conn.Connect() }

// Close gives the backend up. The last one on a connection closes it: calls under way fail.
func (b *Backend) Close() error { return b.release() }

// Stream sends a call down the attempt chain and returns the stream of raw messages that answers it. The context's end
// ends the call. Options override those of the connection.
func (c *connection) Stream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return c.attempt(ctx, desc, c.conn, method, opts...)
}

// pick is the end of the attempt chain: the balancer picks an instance, and the call is sent.
func (c *connection) pick(
	ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return c.conn.NewStream(ctx, desc, method, opts...)
}
