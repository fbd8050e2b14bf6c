package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/internal/pace"
)

const (
	firstWait = 100 * time.Millisecond // After a failure.
	longWait  = 2 * time.Second        // After many.
	gap       = 200 * time.Millisecond // Between two questions, whoever asks for the second.
	pollGap   = time.Second            // The same for registries that are looked at again after a time.
)

// errNone is what callers hear of a backend of which nothing is known.
var errNone = errors.New("the registry knows no instance")

// Resolver is the grpc resolver of one connection, for a source. It is safe for concurrent use.
type Resolver struct {
	source Source
	log    *slog.Logger
	cache  string // A file; empty if nothing is kept.

	mu     sync.Mutex
	status Status
}

var _ resolver.Builder = (*Resolver)(nil)

// Status is what a resolver knows, and since when.
type Status struct {
	// Instances is the set in force.
	Instances []Instance
	// AsOf is when the registry last answered with a set that is in force: the age of the set counts from here. Zero before the first.
	AsOf time.Time
	// Changed is when the set in force became so.
	Changed time.Time
	// Err is why the set is older than it should be: what went wrong since. Nil where all is well.
	Err error
	// Failures counts what has gone wrong since the resolver was made.
	Failures int64
}

// NewResolver returns a resolver for the targets of a source, to be passed to grpc.WithResolvers of one connection. The log gets
// a line when a registry begins to fail, and when it is well again; nil is nowhere.
func NewResolver(source Source, log *slog.Logger) *Resolver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Resolver{source: source, log: log}
}

// Inherit makes the resolver begin with what another one knows of the same target, so that a registry that fails just now loses
// nothing. It must be called before the resolver is used.
func (r *Resolver) Inherit(known Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = known
	r.status.Failures = 0
}

// Scheme is the scheme of the source's targets.
func (r *Resolver) Scheme() string { return r.source.Scheme() }

// OverrideAuthority is the name by which servers are asked, and verified, unless the connection has another one: what the target
// names, or what the source makes of it.
func (r *Resolver) OverrideAuthority(target resolver.Target) string {
	if named, ok := r.source.(interface{ Authority(target *url.URL) string }); ok {
		return named.Authority(&target.URL)
	}
	return target.Endpoint()
}

// Status returns what the resolver knows. Its instances are shared: do not change them.
func (r *Resolver) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Build begins to watch a target. It fails if the source does not understand it.
func (r *Resolver) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	watch, err := r.source.Open(&target.URL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // grpc builds resolvers without one.
	w := &watcher{Resolver: r, watch: watch, cc: cc, target: &target.URL, cancel: cancel, now: make(chan struct{}, 1)}
	if known := r.Status().Instances; len(known) > 0 {
		w.publish(known)
	}
	w.running.Go(func() { w.run(ctx) })
	if w.cache != "" {
		w.running.Go(func() { w.keepCache(ctx) })
	}
	return w, nil
}

// watcher keeps one watch going.
type watcher struct {
	*Resolver

	watch   Watch
	cc      resolver.ClientConn
	target  *url.URL
	cancel  context.CancelFunc
	running sync.WaitGroup
	now     chan struct{} // Has an element if grpc wants to know at once.
	wait    time.Duration // After the last failure; 0 after a success.

	publishing sync.Mutex // Held from a change of what is known until grpc knows it.
	recalled   bool       // The cache was asked.
}

// ResolveNow asks again at once where the watch waits: grpc wants to know because a connection broke.
func (w *watcher) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case w.now <- struct{}{}:
	default: // It was asked for already.
	}
}

// Close ends the watch, and returns when nothing of it is left.
func (w *watcher) Close() {
	w.cancel()
	w.running.Wait()
}

func (w *watcher) run(ctx context.Context) {
	defer w.watch.Close()
	for ctx.Err() == nil {
		began := time.Now()
		set, err := w.watch.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		rest, least, cut := set.After, max(gap, min(set.After, pollGap)), w.now
		if err == nil && len(set.Instances) == 0 {
			err = errNone
		}
		if err != nil {
			w.failed(err)
			cut = nil // Broken connections must not hurry a registry that fails as well.
			w.wait = min(max(2*w.wait, firstWait), longWait)
			rest = pace.Spread(w.wait)
		} else {
			w.succeeded(set)
			w.wait = 0
		}
		pace.Sleep(ctx, least-time.Since(began))
		w.pause(ctx, rest-time.Since(began), cut)
	}
}

// pause waits, but not longer than the context lives, or until somebody cuts it short.
func (w *watcher) pause(ctx context.Context, d time.Duration, cut <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-cut:
	case <-ctx.Done():
	}
}

// failed notes that nothing was learned. What is known stays.
func (w *watcher) failed(err error) {
	w.recall()
	w.mu.Lock()
	first := w.status.Err == nil
	w.status.Err = err
	w.status.Failures++
	known := len(w.status.Instances)
	w.mu.Unlock()
	if first {
		words := "the registry fails: the instances that are known stay"
		if known == 0 {
			words = "the registry fails: no instance is known yet"
		}
		w.log.Warn(words, "target", w.target.Redacted(), "instances", known, "error", err.Error())
	}
	if known == 0 {
		w.cc.ReportError(fmt.Errorf("%s: %w", w.target.Redacted(), err))
	}
}

// succeeded puts a set in force.
func (w *watcher) succeeded(set Set) {
	now := time.Now()
	if set.AsOf.IsZero() {
		set.AsOf = now
	}
	instances := tidy(set.Instances)
	w.publishing.Lock()
	defer w.publishing.Unlock()
	w.mu.Lock()
	changed := !same(instances, w.status.Instances)
	recovered := w.status.Err != nil
	w.status.Err, w.status.AsOf = nil, set.AsOf
	if changed {
		w.status.Instances, w.status.Changed = instances, now
	}
	w.mu.Unlock()
	if recovered {
		w.log.Info("the registry answers again", "target", w.target.Redacted(), "instances", len(instances))
	}
	if changed {
		w.publish(instances)
	}
}

// publish hands a set to grpc. What grpc answers is that a balancer does not like the set: it is asked for anew soon enough.
func (w *watcher) publish(instances []Instance) {
	endpoints := make([]resolver.Endpoint, len(instances))
	for i, instance := range instances {
		endpoints[i] = Endpoint(instance)
	}
	_ = w.cc.UpdateState(resolver.State{Endpoints: endpoints})
}
