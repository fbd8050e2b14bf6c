package instances

import (
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// flight is a call on its way.
type flight struct {
	conn   *conn
	call   Call    // May be nil.
	method *method // Nil for a stream, whose duration says nothing.
	began  time.Time
	inside func(balancer.DoneInfo) // Of the balancer inside; may be nil.

	older, newer *flight // Calls of the instance; the lock of the instance guards them.
	judged       bool    // It took too long, and has been counted as failed.
	trial        bool    // The instance was on trial when it began.
}

// done is told by grpc, once, what became of the call.
func (f *flight) done(info balancer.DoneInfo) {
	if f.inside != nil {
		f.inside(info)
	}
	i := f.conn.instance
	cause, counts := f.verdict(info, f.took(time.Now()))
	if i.end(f, info.BytesReceived, cause, counts) {
		i.w.consider(i, cause)
	}
}

// took is how long the instance has taken. A client that is slow to take the answer is not the instance's fault.
func (f *flight) took(now time.Time) time.Duration {
	if f.call != nil {
		if answered := f.call.Answered(); !answered.IsZero() {
			now = answered
		}
	}
	return now.Sub(f.began)
}

// verdict says what a call that has ended tells of its instance: a cause if it fared badly. One that was canceled, or was cut off
// by its deadline before it took too long, tells nothing; nor does one that was never sent.
func (f *flight) verdict(info balancer.DoneInfo, took time.Duration) (cause string, counts bool) {
	if !info.BytesSent {
		return "", false
	}
	switch code := status.Code(info.Err); code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		if f.conn.w.set.options.Ejection.Sticky {
			return "", true
		}
		return code.String(), true
	case codes.Unavailable:
		return code.String(), true
	case codes.Canceled, codes.DeadlineExceeded:
		if f.slow(took) {
			return slow, true
		}
		return "", false
	}
	bad := f.slow(took)
	if f.method != nil && info.Err == nil { // Refusals are quick, and say nothing of those that are served.
		f.method.note(took)
	}
	if bad {
		return slow, true
	}
	return "", true
}

// slow is the cause of calls that took too long.
const slow = "slow"

func (f *flight) slow(took time.Duration) bool {
	if f.method == nil {
		return false
	}
	limit := f.method.limit()
	return limit > 0 && took > limit
}
