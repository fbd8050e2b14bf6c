package instances

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // The codec of questions and answers.
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/internal/pace"
)

// crowd is how many instances are asked in one interval at most.
const crowd = 200

// check begins or ends asking an instance for its health, as its connection comes up or goes down.
func (w *wrapper) check(c *conn, up bool) {
	if w.set.options.Check.Interval == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	stop := w.checking[c]
	switch {
	case up && stop == nil && !w.closed:
		ctx, cancel := context.WithCancel(w.ctx)
		w.checking[c] = cancel
		w.running.Go(func() { w.checkUntil(ctx, c) })
	case !up && stop != nil:
		stop()
		delete(w.checking, c)
		c.instance.checked(nil, time.Now(), 0) // The connection says it all.
	}
}

// checkUntil asks again and again.
func (w *wrapper) checkUntil(ctx context.Context, c *conn) {
	producer, release := c.GetOrBuildProducer(direct{})
	defer release()
	to := producer.(grpc.ClientConnInterface) //nolint:forcetypeassert // It is direct's.
	for ctx.Err() == nil {
		began := time.Now()
		if asked, err := ask(ctx, to, w.set.options.Check); asked {
			w.noteCheck(ctx, c, began, err)
		}
		pace.Sleep(ctx, w.untilNext()-time.Since(began))
	}
}

// noteCheck takes up what an instance has answered, unless that is of no interest any more.
func (w *wrapper) noteCheck(ctx context.Context, c *conn, began time.Time, err error) {
	if ctx.Err() != nil {
		return
	}
	if c.instance.checked(err, began, w.set.options.Check.Failures) {
		w.wake()
	}
	if err != nil {
		w.set.counts.checks.Add(1)
	}
}

// untilNext is the time between two questions, spread by a tenth.
func (w *wrapper) untilNext() time.Duration {
	w.mu.Lock()
	n := len(w.instances)
	w.mu.Unlock()
	interval := w.set.options.Check.Interval * time.Duration(max(n, crowd)) / crowd
	return pace.Spread(interval)
}

// direct gives access to one connection, without a choice.
type direct struct{}

// Build is called by grpc with the connection.
func (direct) Build(conn any) (balancer.Producer, func()) { return conn, func() {} }

// notServing is an instance's own word that it does not serve.
type notServing struct{ error }

// ask asks once. An error says that the instance is not well. It is not asked if the connection carries as many calls as the
// server allows all the while: that says nothing.
func ask(ctx context.Context, to grpc.ClientConnInterface, o Check) (asked bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	codec := grpc.ForceCodecV2(encoding.GetCodecV2("proto"))
	stream, err := to.NewStream(ctx, &grpc.StreamDesc{}, healthpb.Health_Check_FullMethodName, codec) // It waits for a free one.
	if status.Code(err) == codes.DeadlineExceeded {
		return false, nil
	}
	answer := &healthpb.HealthCheckResponse{}
	if err == nil {
		if err = stream.SendMsg(&healthpb.HealthCheckRequest{Service: o.Service}); err == nil || errors.Is(err, io.EOF) {
			err = stream.RecvMsg(answer)
		}
	}
	return true, judgeCheck(answer, err, o)
}

// judgeCheck says what is wrong. Any answer shows that the instance is alive; most servers that don't know of health checks answer
// UNIMPLEMENTED.
func judgeCheck(answer *healthpb.HealthCheckResponse, err error, o Check) error {
	switch code := status.Code(err); {
	case err == nil && (answer.GetStatus() == healthpb.HealthCheckResponse_NOT_SERVING ||
		o.Service != "" && answer.GetStatus() != healthpb.HealthCheckResponse_SERVING):
		return notServing{fmt.Errorf("it answers %s", answer.GetStatus())}
	case code == codes.DeadlineExceeded:
		return fmt.Errorf("no answer within %s", o.Timeout)
	case code == codes.Unavailable:
		return fmt.Errorf("%s", code)
	case code == codes.NotFound && o.Service != "":
		return notServing{fmt.Errorf("it does not know the service %s", o.Service)}
	}
	return nil
}

// checked notes what a check has found. It tells whether that changes anything. An error that is no word of the instance counts
// only after some in a row, and not if the instance has answered calls in the meantime: then the gateway was too slow to notice.
func (i *instance) checked(err error, began time.Time, failures int) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.unserving
	_, own := err.(notServing) //nolint:errorlint // It is ask's, and not wrapped.
	if err == nil || !own && i.heard.After(began) {
		i.failedChecks, i.unserving, i.deaf = 0, "", false
	} else if i.failedChecks++; own || i.failedChecks >= failures {
		i.unserving, i.deaf = err.Error(), !own
	}
	return before != i.unserving
}
