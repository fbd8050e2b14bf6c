package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/encoding/gzip" // Backends may compress their answers.
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Options describe a backend.
type Options struct {
	// Config says where its instances are, how calls are spread over them, and how they are spoken to. Its files are read anew when
	// they have changed. What is not about instances is ignored.
	Config *configv1.Backend
	// Consul is the agent for targets of that kind. Nil: the one on this machine.
	Consul *configv1.Consul
	// CacheDirectory is where sets of instances are kept, for a start while a registry fails. Empty: nowhere.
	CacheDirectory string
	// Zone is where the gateway runs. Empty: nobody knows.
	Zone string
	// MaxMessageBytes bounds a message in either direction, after decompression.
	MaxMessageBytes int
	// Log gets what becomes of instances, and what is wrong with changed files. Nil: nowhere.
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

// alive ends connections whose other end is gone without a word, and with them the streams that would wait for ever: one that is
// frozen, or behind a network that drops everything. It only asks where nothing has come for much longer than health checks are
// apart, because servers refuse clients that ask more often than they like. So without checks, it does not ask at all.
func (o Options) alive() []grpc.DialOption {
	h := o.Config.GetHealthCheck()
	if h.GetDisabled() || h.GetInterval() == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithKeepaliveParams(keepalive.ClientParameters{
		Time: max(20*time.Second, 5*h.GetInterval().AsDuration()), Timeout: 10 * time.Second, PermitWithoutStream: true,
	})}
}

// Backend is a set of instances that serve the same services. It is safe for concurrent use.
type Backend struct {
	*connection

	name    string
	hashKey *configv1.HashKey
	release func() error
}

// connection is what backends with the same options share.
type connection struct {
	target  string
	conn    *grpc.ClientConn
	attempt grpc.Streamer
	finding *finding
	set     *instances.Set
}

// identity is the same for options that can share a connection.
func (o Options) identity() string {
	about := proto.CloneOf(o.Config)
	about.Name, about.Services, about.Hosts, about.Reflection, about.HashKey = "", nil, nil, nil, nil
	agent := proto.CloneOf(o.agent())
	if agent != nil {
		agent.Register = nil
	}
	zone := ""
	if o.Config.GetPreferZone() {
		zone = o.Zone
	}
	deterministic := proto.MarshalOptions{Deterministic: true}
	instances, _ := deterministic.Marshal(about) // Of valid text, it can't fail.
	consul, _ := deterministic.Marshal(agent)
	return fmt.Sprintf("%q %q %q %q %d %s", instances, consul, o.CacheDirectory, zone, o.MaxMessageBytes, o.Version)
}

// agent is the agent of the options if it is of use to the target.
func (o Options) agent() *configv1.Consul {
	if strings.HasPrefix(o.Config.GetTarget(), "consul:") {
		return o.Consul
	}
	return nil
}

// dial returns a connection without connecting. It begins with the instances that are known. Errors are a target that can't be
// understood, and TLS files that can't be used.
func dial(o Options, known discovery.Status) (*connection, error) {
	c, err := connect(o, known)
	if err != nil {
		return nil, fmt.Errorf("backend %q: %w", o.Config.GetName(), err)
	}
	return c, nil
}

func connect(o Options, known discovery.Status) (*connection, error) {
	secured, err := secure(o.Config.GetTls(), o.Log)
	if err != nil {
		return nil, err
	}
	balancing, err := o.balancing()
	if err != nil {
		return nil, err
	}
	set, err := instances.New(balancing)
	if err != nil {
		return nil, err
	}
	found, err := o.find()
	if err != nil {
		return nil, err
	}
	if found.resolver != nil && len(known.Instances) > 0 {
		found.resolver.Inherit(known)
	}
	conn, err := grpc.NewClient(o.Config.GetTarget(), append(slices.Concat(secured, set.DialOptions(found.builder), o.alive()),
		grpc.WithDisableRetry(),
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
		return nil, errors.Join(err, found.Close())
	}
	c := &connection{target: o.Config.GetTarget(), conn: conn, finding: found, set: set}
	c.attempt = chain(c.pick)
	return c, nil
}

// Name returns the backend's name in logs and metrics.
func (b *Backend) Name() string { return b.name }

// HashKey says what calls have in common that should go to the same instance; nil for nothing.
func (b *Backend) HashKey() *configv1.HashKey { return b.hashKey }

// Connect connects in the background, so that the first call finds connections.
func (b *Backend) Connect() { b.conn.Connect() }

// Close gives the backend up. The last one on a connection closes it: calls under way fail.
func (b *Backend) Close() error { return b.release() }

// close ends the connection, and all that was begun for it.
func (c *connection) close() error { return errors.Join(c.conn.Close(), c.finding.Close()) }

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
