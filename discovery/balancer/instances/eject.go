package instances

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	// thought is how often ejection of one instance is thought of, since that looks at all others; crew is how many instances
	// there are before it becomes less often.
	thought = 100 * time.Millisecond
	crew    = 100
	// forgiven is how long after an ejection the next one begins anew with the shortest time.
	forgiven = 5 * time.Minute
	// failingStreak is how many failures in a row show that an instance may be failing, too.
	failingStreak = 3
)

// consider ejects an instance on which calls fare badly, if they fare well elsewhere. What fails everywhere is no instance's
// fault: a database behind all of them, or a client whose calls crash every one.
func (w *wrapper) consider(i *instance, cause string) {
	now := time.Now()
	verdict := i.verdict(now, w.between(), w.set.options.Ejection)
	if verdict == "" {
		return
	}
	w.mu.Lock()
	better := w.compare(i, cause, now)
	w.mu.Unlock()
	if !better {
		return
	}
	if until, ok := i.eject(now, verdict, w.set.options.Ejection); ok {
		w.set.counts.ejected(cause)
		w.set.log.Warn("an instance is ejected", "instance", i.address, "reason", verdict, "until", until)
		w.wake()
	}
}

// between is the time between two thoughts of one instance.
func (w *wrapper) between() time.Duration {
	return thought * time.Duration(max(crew, w.size.Load())) / crew
}

// verdict says what an instance is accused of; empty if it is nothing, or if it was thought of a moment ago.
func (i *instance) verdict(now time.Time, gap time.Duration, o Ejection) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ejected != "" || now.Sub(i.considered) < gap && i.record.row != o.Failures {
		return ""
	}
	i.considered = now
	failures := o.Failures
	if i.trial.Load() {
		failures = min(1, failures)
	}
	if failures > 0 && i.record.streak(now) >= failures {
		return fmt.Sprintf("%d calls in a row failed, the last one: %s", i.record.row, i.record.cause)
	}
	calls, bad := i.record.sum(now)
	if o.Percent > 0 && calls >= max(1, o.MinCalls) && 100*bad >= o.Percent*calls {
		return fmt.Sprintf("%d of %d calls failed in %d seconds, the last one: %s", bad, calls, seconds, i.record.cause)
	}
	return ""
}

// compare tells whether calls fare better on the other instances. Where these have had none, nobody knows, and only what can't be the
// application's answer is held against the accused. The wrapper's lock must be held.
func (w *wrapper) compare(accused *instance, cause string, now time.Time) (better bool) {
	others, failing, calls, bad := 0, 0, 0, 0
	for _, i := range w.instances {
		if i == accused {
			continue
		}
		i.mu.Lock()
		if i.broken == nil {
			others++
			if i.record.streak(now) >= failingStreak {
				failing++
			}
			c, b := i.record.sum(now)
			calls, bad = calls+c, bad+b
		}
		i.mu.Unlock()
	}
	accused.mu.Lock()
	own, ownBad := accused.record.sum(now)
	inRow := accused.record.streak(now) >= failingStreak
	accused.mu.Unlock()
	switch {
	case others == 0:
		return false
	case calls == 0:
		return cause == slow || cause == codes.Unavailable.String()
	case inRow: // It fails right now; so the others must not.
		return 2*failing <= others
	}
	return bad*own*2 <= ownBad*calls
}

// eject puts the instance out for a time. It returns false if it is out already.
func (i *instance) eject(now time.Time, why string, o Ejection) (until time.Time, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ejected != "" {
		return i.until, false
	}
	if now.Sub(i.back) > forgiven {
		i.times = 0
	}
	long := o.Time << min(i.times, 20)
	if o.MaxTime > 0 && (long > o.MaxTime || long <= 0) {
		long = o.MaxTime
	}
	i.ejected, i.until, i.times = why, now.Add(long), i.times+1
	i.trial.Store(false)
	return i.until, true
}

// readmit lets an instance back whose ejection is over, for one call at a time at first. One that fails its health checks is not
// let back.
func (i *instance) readmit(now time.Time, o Ejection) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.trial.Load() && now.Sub(i.back) > o.Time {
		i.trial.Store(false) // It had no calls to show, or only streams that go on.
	}
	if i.ejected == "" || now.Before(i.until) || i.unserving != "" {
		return
	}
	i.ejected, i.back, i.record, i.passed = "", now, record{}, 0
	i.trial.Store(true)
}
