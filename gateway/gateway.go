package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/telemetry"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Gateway is one gateway. It is safe for concurrent use.
type Gateway struct {
	cfg     *configv1.Config
	options *options
	metrics *telemetry.Metrics
	health  *health.Server
	ready   atomic.Bool
	served  atomic.Bool
	running atomic.Pointer[snapshot]

	stopping context.Context //nolint:containedctx // Its life is the gateway's.
	stop     context.CancelCauseFunc
}

// errStopping is what calls get that don't end by themselves when the gateway stops.
var errStopping = call.Refuse(codes.Unavailable, "GATEWAY_STOPPING", "the gateway is stopping: try again, on a new connection")

// Open is [New] for a configuration file: its errors show file, line and column.
func Open(path string, opts ...Option) (*Gateway, error) {
	file, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	g, err := New(file.Config(), opts...)
	return g, file.Explain(err)
}

// New compiles a configuration. It opens no connection and no port. The error joins every mistake it found, a
// [config.FieldError] where one field is to blame.
func New(cfg *configv1.Config, opts ...Option) (*Gateway, error) {
	cfg = proto.CloneOf(cfg)
	if err := config.Complete(cfg); err != nil {
		return nil, err
	}
	o := newOptions(opts)
	g := &Gateway{cfg: cfg, options: o, metrics: telemetry.NewMetrics(o.version), health: health.NewServer()}
	g.stopping, g.stop = context.WithCancelCause(context.Background()) //nolint:forbidigo // A gateway outlives whoever makes it.
	s, err := g.compile(cfg)
	if err != nil {
		return nil, err
	}
	g.running.Store(s)
	return g, nil
}

// Serve listens on all addresses of the configuration and serves calls until the context ends; then it stops taking new
// calls, lets those in flight finish for as long as the configuration allows, and returns nil, or an error if it had to cut
// some off. An address that can't be used is an error at once. A Gateway serves once.
func (g *Gateway) Serve(ctx context.Context) error {
	if g.served.Swap(true) {
		return errors.New("gateway: Serve was called before")
	}
	defer func() { _ = g.running.Load().close() }() // Connections of a gateway that is over.
	servers, err := g.listen()
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return g.serve(ctx, servers)
}

// Close gives up a gateway that never served.
func (g *Gateway) Close() error {
	g.served.Store(true)
	g.stop(errStopping)
	return g.running.Load().close()
}

// front returns the front ends over a table.
func (g *Gateway) front(tables frontend.Tables) *frontend.Front {
	f := &frontend.Front{Tables: tables, Done: func(x frontend.Exchange, rec *frontend.Record) {
		g.metrics.Observe(rec)
		if !g.cfg.GetAccessLog().GetDisabled() {
			telemetry.LogAccess(x.Context(), g.options.accessLog, x, rec)
		}
	}}
	return f
}
