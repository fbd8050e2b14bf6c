package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
	"github.com/cardea-gateway/cardea/policies/call"
)

// chain folds the attempt chain of a backend: interceptors in the order in which a call meets them, then the end.
func chain(end grpc.Streamer, interceptors ...grpc.StreamClientInterceptor) grpc.Streamer {
	for _, interceptor := range slices.Backward(interceptors) {
		next := end
		end = func(
			ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			return interceptor(ctx, desc, cc, method, next, opts...)
		}
	}
	return end
}

// Attempt says what a call asks of the balancer, and notes what became of it on the far side. It is safe for concurrent use.
type Attempt struct {
	// Once is true for a call that takes one message and answers with one: only then does its duration say something.
	Once bool
	// Key is what calls have in common that should go to the same instance; empty for nothing.
	Key string
	// Avoid holds addresses of instances that the call should keep away from, as long as another one is fit.
	Avoid []string

	mu       sync.Mutex
	upstream call.Upstream
	at       time.Time // When it was answered.
}

var _ instances.Call = (*Attempt)(nil)

// WithAttempt returns a context whose stream is noted in the attempt.
func WithAttempt(ctx context.Context, a *Attempt) context.Context {
	return instances.WithCall(ctx, a)
}

// Unary is what the balancer asks.
func (a *Attempt) Unary() bool { return a.Once }

// HashKey is what the balancer asks.
func (a *Attempt) HashKey() string { return a.Key }

// Avoids is what the balancer asks.
func (a *Attempt) Avoids(address string) bool { return slices.Contains(a.Avoid, address) }

// Picked notes which instance the balancer has chosen.
func (a *Attempt) Picked(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upstream.Instance = address
}

// Answered is what the balancer asks.
func (a *Attempt) Answered() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// Upstream returns what is known so far.
func (a *Attempt) Upstream() call.Upstream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream
}

func (a *Attempt) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upstream.Answered, a.at = true, time.Now()
}

// observer learns from grpc whether the backend's trailers arrived: that alone tells a backend's error from one of the way there.
type observer struct{}

var _ stats.Handler = observer{}

func (observer) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (observer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (observer) HandleConn(context.Context, stats.ConnStats)                       {}

func (observer) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, ok := event.(*stats.InTrailer); !ok {
		return
	}
	if a, ok := instances.CallOf(ctx).(*Attempt); ok {
		a.answered()
	}
}
