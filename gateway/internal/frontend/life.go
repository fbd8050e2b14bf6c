package frontend

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/policies/call"
)

// unreadGrace is how long after the end of a call's context its answer may still be written, so that a client that reads
// learns that the deadline has passed. It is also how long a refused client may go on to send a body that nobody wants.
const unreadGrace = time.Second

// answerTimeout is how long a client may take to read the rest of an answer that is complete.
const answerTimeout = time.Minute

// errBodyTimeout is what a client gets whose message did not come.
var errBodyTimeout = refuseAs(http.StatusRequestTimeout, "REQUEST_BODY_TIMEOUT",
	"the request did not arrive in full within the time allowed: send it faster, or set a longer deadline")

// errStreamIdle ends a stream on which nothing moves. It is no UNAVAILABLE: a limit in time was exceeded, nothing is down,
// and what was asked for may have been done.
var errStreamIdle = call.Refuse(codes.DeadlineExceeded, "STREAM_IDLE",
	"no message passed in either direction for as long as the gateway allows: open a new stream when there is something to say")

// life is how long a call may last. It ends with the exchange, at the deadline, for streams when their plan is over or
// nothing moves, and at the latest when it is concluded.
type life struct {
	ctx    context.Context
	cancel func()
	wished bool // The client set the deadline.
	idle   *idle
	waker  waker
	unwake func() bool
}

// begin begins a call's life. Whole says that the request's body has to arrive in the time for one message; rest that it
// came over REST.
func (t *Table) begin(x Exchange, p *Plan, whole, rest bool) (*life, error) {
	timeout, wished, err := t.deadlineOf(x, p.Method, rest)
	if err != nil {
		return nil, err
	}
	l := &life{ctx: x.Context(), wished: wished, cancel: func() {}}
	streams := p.Method.ClientStreams || p.Method.ServerStreams
	if streams {
		l.bound(t, p)
	}
	if timeout > 0 || !streams {
		l.limit(timeout)
	}
	if body := t.Timeouts.RequestBody; body > 0 && (timeout == 0 || timeout > body) && whole {
		x.LimitRead(body)
	}
	if streams || !x.BodyEnded() { // Else nothing waits for the client before the call has ended.
		l.waker.x = x
		l.unwake = context.AfterFunc(l.ctx, l.waker.reads)
	}
	return l, nil
}

// limit sets the deadline; 0 is none.
func (l *life) limit(timeout time.Duration) {
	before := l.cancel
	var cancel context.CancelFunc
	if timeout > 0 {
		l.ctx, cancel = context.WithTimeout(l.ctx, timeout)
	} else {
		l.ctx, cancel = context.WithCancel(l.ctx)
	}
	l.cancel = func() { cancel(); before() }
}

// bound ends a stream when its plan is over, or when nothing moves. The gateway's own streams may be quiet: clients watch
// health for as long as they live.
func (l *life) bound(t *Table, p *Plan) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	stop := func() bool { return true }
	if p.Until != nil {
		stop = context.AfterFunc(p.Until, func() { cancel(context.Cause(p.Until)) })
	}
	if t.Timeouts.StreamIdle > 0 && p.Method.Backend != "" {
		l.idle = newIdle(t.Timeouts.StreamIdle, func() { cancel(errStreamIdle) })
	}
	l.ctx, l.cancel = ctx, func() { stop(); l.idle.stop(); cancel(nil) }
}

// moved notes that a message has passed.
func (l *life) moved() { l.idle.moved() }

// unsent returns why a client's only message did not come. Where the time was not the client's to choose, it was its
// sending that took too long, and not the call.
func (l *life) unsent(err error) error {
	late := errors.Is(context.Cause(l.ctx), context.DeadlineExceeded)
	switch {
	case late && l.wished:
		return context.DeadlineExceeded
	case late:
		return errBodyTimeout
	}
	return err
}

// reason returns why the call ended, where its context knows better than the error.
func (l *life) reason(err error) error {
	if err == nil || statusOf(err).Code() != codes.Canceled {
		return err
	}
	if cause := context.Cause(l.ctx); errors.Is(cause, context.DeadlineExceeded) || call.Reason(cause) != "" {
		return cause
	}
	return err
}

// conclude ends what still works for a call whose chain has returned.
func (l *life) conclude(c *call.Call) {
	if !c.Method().ClientStreams { // No pump waits for the client's next message.
		if l.unwake != nil {
			l.unwake()
		}
		l.waker.stop()
	}
	l.cancel()
	c.Wait()
	l.waker.stop()
}

// waker wakes what waits for the client when the context of a call ends: reads at once, writes after a moment.
type waker struct {
	mu    sync.Mutex
	x     Exchange // Nil once it must be left alone.
	later *time.Timer
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

// idle ends a stream on which nothing moves. A message costs it a look at the clock and a store: the timer is set again
// only when it fires. Nil has no limit.
type idle struct {
	limit time.Duration
	start time.Time
	last  atomic.Int64 // When the last message passed, in nanoseconds since the start.
	timer *time.Timer
	over  atomic.Bool
	end   func()
}

func newIdle(limit time.Duration, end func()) *idle {
	i := &idle{limit: limit, start: time.Now(), end: end}
	i.timer = time.AfterFunc(math.MaxInt64, i.check)
	i.timer.Reset(limit) // The check must find the timer.
	return i
}

func (i *idle) moved() {
	if i != nil {
		i.last.Store(int64(time.Since(i.start)))
	}
}

func (i *idle) check() {
	quiet := time.Since(i.start) - time.Duration(i.last.Load())
	switch {
	case i.over.Load():
	case quiet >= i.limit:
		i.end()
	default:
		i.timer.Reset(i.limit - quiet)
	}
}

func (i *idle) stop() {
	if i != nil {
		i.over.Store(true)
		i.timer.Stop()
	}
}
