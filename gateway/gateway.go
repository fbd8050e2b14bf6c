package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/telemetry"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Gateway is one gateway. It is safe for concurrent use.
type Gateway struct {
	path    string            // Of the configuration file; empty where the configuration was built in code.
	seen    [sha256.Size]byte // The fingerprint of the files when they were last read; for watch alone.
	options *options
	metrics *telemetry.Metrics
	health  *health.Server
	pool    upstream.Pool
	started atomic.Pointer[time.Time]
	ready   atomic.Bool
	served  atomic.Bool
	running atomic.Pointer[snapshot]
	answers answers

	attempts  atomic.Int64  // Of which each may have made room for a contract that was refused before.
	attempted chan struct{} // Has an element after one.

	handedOver chan struct{} // Closed once another process serves the addresses.
	handOver   sync.Once

	reloading    sync.Mutex // Guards what follows.
	listeners    *listeners // Nil until the gateway serves.
	draining     bool
	retired      []*snapshot
	lastReload   *reloadAttempt
	registration registration

	stopping context.Context //nolint:containedctx // Its life is the gateway's.
	stop     context.CancelCauseFunc
}

// Addresses are where a gateway listens.
type Addresses struct {
	// Listeners holds an address for each listener of the configuration, in its order.
	Listeners []net.Addr
	// Admin is the admin address.
	Admin net.Addr
}

// errStopping is what calls get that don't end by themselves when the gateway stops.
var errStopping = call.Refuse(codes.Unavailable, "GATEWAY_STOPPING", "the gateway is stopping: try again, on a new connection")

// Open is [New] for a configuration file: its errors show file, line and column, and [Gateway.Reload] reads the file again.
// While the gateway serves, it reloads when the file changes, unless the configuration says otherwise.
func Open(path string, opts ...Option) (*Gateway, error) {
	g := newGateway(opts)
	g.path = path
	g.seen = g.fingerprint() // What changes from now on is a change.
	file, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if err := g.begin(file.Config(), file); err != nil {
		return nil, file.Explain(err)
	}
	return g, nil
}

// New compiles a configuration. It opens no port, and no connection but to backends that tell their contracts by server
// reflection, for whom it waits as long as their timeout says if nothing is known of them. The error joins every mistake it
// found, a [config.FieldError] where one field is to blame.
func New(cfg *configv1.Config, opts ...Option) (*Gateway, error) {
	cfg = proto.CloneOf(cfg)
	if err := config.Complete(cfg); err != nil {
		return nil, err
	}
	g := newGateway(opts)
	if err := g.begin(cfg, nil); err != nil {
		return nil, err
	}
	return g, nil
}

func newGateway(opts []Option) *Gateway {
	o := newOptions(opts)
	g := &Gateway{
		options: o, metrics: telemetry.NewMetrics(o.version), health: health.NewServer(),
		handedOver: make(chan struct{}), attempted: make(chan struct{}, 1),
	}
	g.metrics.WatchBackends(g.measureBackends)
	g.stopping, g.stop = context.WithCancelCause(context.Background()) //nolint:forbidigo // A gateway outlives whoever makes it.
	return g
}

// begin puts the first configuration in force.
func (g *Gateway) begin(cfg *configv1.Config, file *config.File) error {
	s, err := g.compile(cfg, g.answers.of)
	_, certificates := g.wants(cfg)
	if err := errors.Join(err, certificates); err != nil {
		if s != nil {
			s.release()
		}
		return err
	}
	s.file = file
	g.enforce(s)
	return nil
}

// Serve listens on all addresses of the configuration and serves calls until the context ends. Then the gateway drains: it
// stops being ready, takes new calls for the configuration's drain_delay, lets those in flight finish for its
// drain_timeout, and tells those that have not that they have to end. Serve returns nil, or an error if calls did not
// even end then. An address that can't be used is an error at once. A Gateway serves once.
func (g *Gateway) Serve(ctx context.Context) error {
	if g.served.Swap(true) {
		return errors.New("gateway: Serve was called before")
	}
	defer g.retireAll()
	watcher := g.newWatcher() // Before anybody can know that the gateway serves.
	ls, err := g.listen()
	if err == nil {
		err = g.wait(ctx, watcher, ls.failed)
		err = errors.Join(err, g.drain(ls))
	}
	if watcher != nil {
		_ = watcher.Close()
	}
	return err
}

// wait returns when the context ends, or a server fails.
func (g *Gateway) wait(ctx context.Context, watcher *fsnotify.Watcher, failed <-chan error) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if watcher != nil {
		watching.Go(func() { g.watch(ctx, watcher) })
	}
	watching.Go(func() { g.refresh(ctx) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// HandOver tells the gateway that another process has taken over its sockets: when Serve's context ends, the gateway
// stops taking connections at once, without the configuration's drain_delay.
func (g *Gateway) HandOver() { g.handOver.Do(func() { close(g.handedOver) }) }

// Close gives up a gateway that never served.
func (g *Gateway) Close() {
	if !g.served.Swap(true) {
		g.stop(errStopping)
		g.retireAll()
	}
}

// listen opens the addresses and begins to serve them.
func (g *Gateway) listen() (*listeners, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	s := g.running.Load()
	all, err := g.wants(s.cfg)
	if err != nil {
		return nil, s.explain(err)
	}
	ls := g.newListeners()
	if err := ls.prepare(all); err != nil {
		return nil, s.explain(err)
	}
	s.connect()
	ls.apply(s.cfg, all)
	g.listeners = ls
	now := time.Now()
	g.started.Store(&now)
	g.setReady(true)
	a := ls.addresses(s.cfg)
	g.registration.adopt(s.cfg.GetConsul(), s.registrar)
	g.options.log.Info("ready", "version", g.options.version, "configuration", s.digest[:12],
		"addresses", text(a.Listeners), "admin", a.Admin.String())
	g.options.onReady(a)
	return ls, nil
}

func text(addresses []net.Addr) []string {
	all := make([]string, len(addresses))
	for i, address := range addresses {
		all[i] = address.String()
	}
	return all
}

// drain stops a gateway that serves.
func (g *Gateway) drain(ls *listeners) error {
	g.reloading.Lock()
	g.draining = true // No more reloads.
	cfg := g.running.Load().cfg
	g.reloading.Unlock()
	g.setReady(false)
	g.options.log.Info("stopping", "drain_delay", cfg.GetDrainDelay().AsDuration().String(),
		"drain_timeout", cfg.GetDrainTimeout().AsDuration().String())
	g.registration.end(g.isHandedOver()) // Others look away the sooner.
	g.delay(cfg.GetDrainDelay().AsDuration())
	g.stop(errStopping)
	over := context.Background() //nolint:forbidigo // The caller's context has ended: that is why the gateway stops.
	ctx, cancel := context.WithTimeout(over, cfg.GetDrainTimeout().AsDuration())
	defer cancel()
	return ls.shutdown(ctx)
}

// delay waits for load balancers to notice that the gateway is not ready, unless another process has the sockets already.
func (g *Gateway) delay(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.handedOver:
	}
}

func (g *Gateway) setReady(ready bool) {
	g.ready.Store(ready)
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	g.health.SetServingStatus("", serving)
	for _, backend := range g.running.Load().cfg.GetBackends() {
		for _, service := range backend.GetServices() {
			g.health.SetServingStatus(service, serving)
		}
	}
}

// front returns the front ends over tables.
func (g *Gateway) front(tables frontend.Tables) *frontend.Front {
	return &frontend.Front{Tables: tables, Retire: retire, Done: func(x frontend.Exchange, rec *frontend.Record) {
		g.metrics.Observe(rec)
		if !g.running.Load().cfg.GetAccessLog().GetDisabled() {
			telemetry.LogAccess(x.Context(), g.options.accessLog, x, rec)
		}
	}}
}
