package frontend

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// timeoutUnits are those of the gRPC over HTTP/2 specification, "Timeout".
var timeoutUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second,
	'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// begin returns the context of a call: it ends with the exchange's, at the deadline that the client's grpc-timeout header
// sets (REST clients may send it, too), and for streams when the plan is over.
func (p *Plan) begin(x Exchange) (context.Context, context.CancelFunc, error) {
	timeout, err := timeoutOf(x.Header())
	if err != nil {
		return nil, nil, err
	}
	ctx, cancelCause := context.WithCancelCause(x.Context())
	cancel := func() { cancelCause(nil) }
	if p.Until != nil && (p.Method.ClientStreams || p.Method.ServerStreams) {
		stop := context.AfterFunc(p.Until, func() { cancelCause(context.Cause(p.Until)) })
		cancel = func() { stop(); cancelCause(nil) }
	}
	if timeout > 0 {
		var cancelTimeout context.CancelFunc
		ctx, cancelTimeout = context.WithTimeout(ctx, timeout)
		return ctx, func() { cancelTimeout(); cancel() }, nil
	}
	return ctx, cancel, nil
}

// reasonFor returns why a call ended, where its context knows better than the error.
func reasonFor(ctx context.Context, err error) error {
	if err == nil || statusOf(err).Code() != codes.Canceled {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) || call.Reason(cause) != "" {
		return cause
	}
	return err
}

// timeoutOf reads the header grpc-timeout; 0 is none.
func timeoutOf(header call.Header) (time.Duration, error) {
	text := header.Get("grpc-timeout")
	if text == "" {
		return 0, nil
	}
	timeout, ok := parseTimeout(text)
	if !ok {
		return 0, call.Refuse(codes.InvalidArgument, "MALFORMED_TIMEOUT",
			`the header grpc-timeout must be up to 8 digits and a unit of H, M, S, m, u or n, such as "250m"`)
	}
	return max(timeout, 1), nil // 0 is over at once.
}

func parseTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	last := len(text) - 1
	unit, ok := timeoutUnits[text[last]]
	value, err := strconv.ParseUint(text[:last], 10, 32)
	if !ok || err != nil || text[0] == '+' {
		return 0, false
	}
	if time.Duration(value) > math.MaxInt64/unit { // 99,999,999 hours do not fit.
		return math.MaxInt64, true
	}
	return time.Duration(value) * unit, true
}

// unreadGrace is how long after the end of a call's context its answer may still be written: time to tell a client that
// reads that the deadline has passed.
const unreadGrace = time.Second

// waker wakes what waits for the client when the context of a call ends: reads at once, writes after a moment.
type waker struct {
	mu    sync.Mutex
	x     Exchange // Nil once it must be left alone.
	later *time.Timer
}

func newWaker(ctx context.Context, x Exchange) *waker {
	w := &waker{x: x}
	context.AfterFunc(ctx, w.reads)
	return w
}

func (w *waker) reads() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.x != nil {
		w.x.InterruptRead()
		w.later = time.AfterFunc(unreadGrace, w.writes)
	}
}

func (w *waker) writes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.x != nil {
		w.x.InterruptWrite()
	}
}

// stop leaves the exchange alone from now on.
func (w *waker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.x = nil
	if w.later != nil {
		w.later.Stop()
	}
}
