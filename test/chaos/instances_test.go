package chaos

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	told      = time.Second     // Until what the registry says is done, at most.
	noticed   = 3 * time.Second // Until a fault that no registry tells of is noticed, at most.
	recovered = time.Minute     // Until an instance that is well again gets calls, at most.
	brisk     = time.Second     // What a call takes at most where all is well.
)

func registered(t *testing.T) result {
	f := threeEqual(t)
	l := f.load(t)
	at := time.Now()
	took := f.registerOneMore(t, told)
	pause(time.Second)
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, rounded(took)+" to the first call")
}

func deregistered(t *testing.T) result {
	return left(t, func(f *fleet, i *instance) { f.agent.deregister(t, i.id) })
}

func critical(t *testing.T) result {
	return left(t, func(f *fleet, i *instance) { f.agent.turnCritical(t, i.id) })
}

// left has the registry take an instance away, one way or another.
func left(t *testing.T, leave func(*fleet, *instance)) result {
	t.Helper()
	f := threeEqual(t)
	l := f.load(t)
	leave(f, f.instances[0])
	at := time.Now()
	pause(3 * time.Second)
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, rounded(silence(t, f.instances[0], at, told))+" to the last call")
}

// killed kills an instance that has calls in flight, and stays registered. Nobody else's calls may fail.
func killed(t *testing.T) result {
	f := threeEqual(t)
	for _, i := range f.instances {
		i.tell(t, "delay 200ms") // So that many are in flight.
	}
	l := f.load(t)
	doomed := f.instances[0]
	doomed.kill()
	at := time.Now()
	pause(5 * time.Second)
	outcomes := l.stop()
	return resultOf(outcomes, rounded(judge(t, f, outcomes, at))+" to the last error")
}

const (
	wireTime = 50 * time.Millisecond // More than a message ever spends between two processes.
	wireMost = 10                    // Messages that one moment can find there, on a busy machine.
)

// judge compares what the callers saw with what the instances noted, and returns when the last call began that failed. A call
// may have failed that the first instance was busy with when it was killed. Besides, a few that no journal can know of: their
// request had been sent and not yet noted, or their answer was noted and not yet sent.
func judge(t *testing.T, f *fleet, outcomes []outcome, at time.Time) (last time.Duration) {
	t.Helper()
	doomed := f.instances[0].read(t)
	others := []record{f.instances[1].read(t), f.instances[2].read(t)}
	inFlight := len(doomed[began]) - len(doomed[finished])
	var onTheWire int
	var wrong []outcome
	for _, o := range failed(outcomes) {
		last = max(last, o.begun.Sub(at))
		unknown := !doomed.knows(began, o.name) && !others[0].knows(began, o.name) && !others[1].knows(began, o.name)
		switch {
		case doomed.knows(began, o.name) && !doomed.knows(finished, o.name):
		case unknown && at.Sub(o.begun).Abs() < wireTime, doomed.knows(finished, o.name) && at.Sub(doomed[finished][o.name]) < wireTime:
			onTheWire++
		default:
			wrong = append(wrong, o)
		}
	}
	complain(t, "failed that the killed instance was not busy with", at, wrong)
	t.Logf("%d calls in flight, %d failed, %d of them on the wire", inFlight, len(failed(outcomes)), onTheWire)
	if inFlight == 0 {
		t.Error("no call was in flight: nothing was tested")
	}
	if onTheWire > wireMost {
		t.Errorf("%d calls were lost on the wire, want at most %d", onTheWire, wireMost)
	}
	if last > told {
		t.Errorf("a call that began %v after the kill failed, want none later than %v", last, told)
	}
	return last
}

// frozen stops an instance with all its connections open. Once it is noticed, no call may be sent there, and none be late.
func frozen(t *testing.T) result {
	f := threeEqual(t)
	l := f.load(t)
	ice := f.instances[0]
	ice.signal(t, syscall.SIGSTOP)
	froze := time.Now()
	pause(8 * time.Second)
	ice.signal(t, syscall.SIGCONT)
	thawed := time.Now()
	back := backFrom(t, f, ice, thawed)
	outcomes := l.stop()

	journal := ice.read(t)
	if journal.first(froze.Add(-time.Second)).IsZero() {
		t.Error("the instance had no calls before: nothing was tested")
	}
	var last time.Duration // To the last call that was sent there. The journal was frozen, too: it tells of them after the thaw.
	var late, lost []outcome
	for _, o := range outcomes {
		after := o.begun.Sub(froze)
		hit := o.begun.After(froze) && o.begun.Before(thawed) && journal.knows(began, o.name)
		if hit || o.err != nil {
			last = max(last, after)
		}
		switch {
		case o.err != nil && (after < -time.Second || after > noticed):
			lost = append(lost, o)
		case after > noticed && o.begun.Before(thawed) && (hit || o.ended.Sub(o.begun) > brisk):
			late = append(late, o)
		}
	}
	complain(t, fmt.Sprintf("failed though they began before the freeze or later than %v after", noticed), froze, lost)
	complain(t, fmt.Sprintf("began later than %v after the freeze, and went there or took longer than %v", noticed, brisk), froze, late)
	return resultOf(outcomes, rounded(last)+" to the last call; back "+rounded(back)+" after it thawed")
}

// slowed makes an instance slow, not deaf. Its calls succeed, late. Once it is noticed there are none for as long as an ejection
// lasts; then there is a try now and then, one call at a time.
func slowed(t *testing.T) result {
	f := threeEqual(t)
	l := f.load(t)
	lame := f.instances[0]
	lame.tell(t, "delay "+slow.String())
	at := time.Now()
	pause(5 * time.Second)
	last := silence(t, lame, at, noticed)
	pause(7 * time.Second)
	tries := lame.read(t).count(at.Add(noticed))
	if most := 3; tries > most {
		t.Errorf("%d calls began on a slow instance later than %v after, want at most %d", tries, noticed, most)
	}
	lame.tell(t, "delay "+quick.String())
	back := backFrom(t, f, lame, time.Now())
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, fmt.Sprintf("%s to the last call, %d tried after that; back %s after it was quick again",
		rounded(last), tries, rounded(back)))
}

// backFrom waits until an instance that is well again has got some calls and is healthy, and returns how long the calls took.
// Those that were sent to it while it was not well do not count, nor does a single one, which may be a probe.
func backFrom(t *testing.T, f *fleet, i *instance, well time.Time) (took time.Duration) {
	t.Helper()
	const enough = 10
	within(t, recovered, "calls to an instance that is well again", func() bool {
		var calls []time.Time
		for name, at := range i.read(t)[began] {
			if begunAt(name).After(well) {
				calls = append(calls, at)
			}
		}
		if len(calls) < enough {
			return false
		}
		slices.SortFunc(calls, time.Time.Compare)
		took = calls[enough-1].Sub(well)
		return true
	})
	within(t, recovered, "all instances to be healthy", func() bool { return f.backend(t).healthy() == len(f.instances) })
	pause(time.Second)
	return took
}

// blameless has clients give up calls, and one instance answer NOT_FOUND to what others answer: neither is a fault.
func blameless(t *testing.T) result {
	f := threeEqual(t)
	f.instances[0].tell(t, "miss lost-")
	callers := f.callers(t)
	at := time.Now()
	menu := startLoad(t, "menu", rate, callers...)
	given := startLoad(t, "given-up", 43, hasty(callers[0]), hasty(callers[1]))
	lost := startLoad(t, "lost", 59, callers...)
	for range 16 {
		pause(time.Second / 2)
		if b := f.backend(t); b.healthy() != len(f.instances) || len(b.Instances) != len(f.instances) || b.Panicking {
			t.Errorf("%v after the start an instance is not healthy: %+v", time.Since(at), b)
		}
	}
	outcomes, found := menu.stop(), lost.stop()
	allSucceeded(t, at, outcomes)
	complain(t, "that were given up ended otherwise", at, failed(given.stop()))
	unfound := failed(found)
	for _, o := range unfound {
		if status.Code(o.err) != codes.NotFound {
			complain(t, "failed otherwise than with NOT_FOUND", at, []outcome{o})
		}
	}
	if len(unfound) < len(found)/10 {
		t.Errorf("only %d of %d calls were answered with NOT_FOUND: nothing was tested", len(unfound), len(found))
	}
	fairShares(t, f)
	return resultOf(outcomes, "nobody was ejected")
}

// fairShares wants each instance to have got as many calls as the others, of all kinds together.
func fairShares(t *testing.T, f *fleet) {
	t.Helper()
	counts, total := make([]int, len(f.instances)), 0
	for n, i := range f.instances {
		for name := range i.read(t)[began] {
			if !strings.Contains(name, "warm-up") {
				counts[n]++
			}
		}
		total += counts[n]
	}
	for n, count := range counts {
		if share := float64(count) / float64(total) * float64(len(counts)); share < 0.9 || share > 1.1 {
			t.Errorf("%s got %d of %d calls, want its fair share, give or take a tenth", f.instances[n].id, count, total)
		}
	}
}
