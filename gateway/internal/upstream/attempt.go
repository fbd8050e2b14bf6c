package upstream

import (
	"context"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

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

// Attempt notes what became of a call on the far side. It is safe for concurrent use.
type Attempt struct {
	mu       sync.Mutex
	upstream call.Upstream
}

type attemptKey struct{}

// WithAttempt returns a context whose stream is noted in the attempt.
func WithAttempt(ctx context.Context, a *Attempt) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

// Upstream returns what is known so far.
func (a *Attempt) Upstream() call.Upstream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream
}

func (a *Attempt) sentTo(addr net.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upstream.Instance = addr.String()
}

func (a *Attempt) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upstream.Answered = true
}

// observer learns from grpc which instance was picked, and whether the backend's trailers arrived: that alone tells a
// backend's error from one of the way there.
type observer struct{}

var _ stats.Handler = observer{}

func (observer) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (observer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (observer) HandleConn(context.Context, stats.ConnStats)                       {}

func (observer) HandleRPC(ctx context.Context, event stats.RPCStats) {
	a, ok := ctx.Value(attemptKey{}).(*Attempt)
	if !ok {
		return
	}
	switch event := event.(type) {
	case *stats.OutHeader:
		if event.RemoteAddr != nil {
			a.sentTo(event.RemoteAddr)
		}
	case *stats.InTrailer:
		a.answered()
	}
}
