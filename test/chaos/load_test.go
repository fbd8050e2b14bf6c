package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	rate     = 150 // Calls a second.
	deadline = 15 * time.Second
)

// outcome is what its caller knows of a call.
type outcome struct {
	name         string
	begun, ended time.Time
	err          error
}

// load is calls that begin at a constant rate, whether earlier ones have been answered or not.
type load struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup

	mu       sync.Mutex
	outcomes []outcome
}

// startLoad begins calls by all callers in turn, until it is stopped or the test ends. The names of the menus that they ask for
// tell the calls apart, by a prefix and a number, and when each began: journals can be read without the clients' notes.
func startLoad(t *testing.T, prefix string, perSecond int, callers ...caller) *load {
	t.Helper()
	l := &load{done: make(chan struct{})}
	t.Cleanup(func() { l.stop() })
	began, interval := time.Now(), time.Second/time.Duration(perSecond)
	l.running.Go(func() {
		for n := 0; l.wait(time.Until(began.Add(time.Duration(n) * interval))); n++ {
			l.running.Go(func() { l.call(callers[n%len(callers)], fmt.Sprintf("%s-%d", prefix, n)) })
		}
	})
	return l
}

// wait returns true after a time, or false once the load is stopped.
func (l *load) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

func (l *load) call(call caller, id string) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	o := outcome{begun: time.Now()}
	o.name = fmt.Sprintf("restaurants/%s-%d/menu", id, o.begun.UnixNano())
	o.err = call(ctx, o.name)
	o.ended = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, o)
}

// begunAt reads from its name when a client began a call; zero for other names.
func begunAt(name string) time.Time {
	name = strings.TrimSuffix(name, "/menu")
	nanos, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// stop ends the load, once all its calls have been answered, and returns what has become of them.
func (l *load) stop() []outcome {
	l.stopped.Do(func() { close(l.done) })
	l.running.Wait()
	return l.outcomes
}

// pause lets the world go on for a while.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// failed returns the calls that failed.
func failed(outcomes []outcome) (failures []outcome) {
	for _, o := range outcomes {
		if o.err != nil {
			failures = append(failures, o)
		}
	}
	return failures
}

// complain reports calls that are not as they should be, the first few in full, with when they began after the fault.
func complain(t *testing.T, what string, fault time.Time, outcomes []outcome) {
	t.Helper()
	const most = 5
	if len(outcomes) > 0 {
		t.Errorf("%d calls %s", len(outcomes), what)
	}
	for _, o := range outcomes[:min(most, len(outcomes))] {
		t.Errorf("%s, begun %v after the fault, ended after %v: %v", o.name,
			o.begun.Sub(fault).Round(time.Millisecond), o.ended.Sub(o.begun).Round(time.Millisecond), o.err)
	}
}

// allSucceeded wants callers not to have noticed anything.
func allSucceeded(t *testing.T, fault time.Time, outcomes []outcome) {
	t.Helper()
	complain(t, "failed, and none may", fault, failed(outcomes))
}

// hasty is a client that gives up every call after 5 ms.
func hasty(call caller) caller {
	return func(ctx context.Context, name string) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(5*time.Millisecond, cancel).Stop()
		if err := call(ctx, name); status.Code(err) != codes.Canceled {
			return fmt.Errorf("a call that was given up ended with %w", err)
		}
		return nil
	}
}
