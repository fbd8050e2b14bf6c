package chaos

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// weighted calls as fast as it can, and has the backends count: the shares must be those that the registry says.
func weighted(t *testing.T) result {
	const clients = 32
	weights := []int{7, 2, 1}
	f := startFleet(t, startAgent(t), weightedRoundRobin, weights...)
	for _, i := range f.instances {
		i.tell(t, "delay 0s")
	}
	calls := shorter(100_000, 20_000)
	callers := f.callers(t)
	callers = []caller{callers[1], callers[3]} // Those that speak gRPC.
	var next atomic.Int64
	l := &load{}
	at := time.Now()
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() {
			for number := next.Add(1); number <= int64(calls); number = next.Add(1) {
				l.call(callers[n%len(callers)], fmt.Sprintf("weighed-%d", number))
			}
		})
	}
	running.Wait()
	perSecond := float64(calls) / time.Since(at).Seconds()
	allSucceeded(t, at, l.outcomes)
	return resultOf(l.outcomes, fmt.Sprintf("shares %s at %.0f calls/s", shares(t, f, weights, calls), perSecond))
}

// shares compares what the backends counted with their weights: two in a hundred may be off.
func shares(t *testing.T, f *fleet, weights []int, calls int) string {
	t.Helper()
	const tolerance = 0.02
	var sum, total int
	for _, weight := range weights {
		sum += weight
	}
	var text []string
	for n, i := range f.instances {
		count := 0
		for name := range i.read(t)[began] {
			if strings.Contains(name, "weighed-") {
				count++
			}
		}
		total += count
		want := float64(calls) * float64(weights[n]) / float64(sum)
		if off := math.Abs(float64(count)-want) / want; off > tolerance {
			t.Errorf("%s with the weight %d got %d calls, want %.0f: off by %.1f %%", i.id, weights[n], count, want, 100*off)
		}
		text = append(text, fmt.Sprintf("%.2f %%", 100*float64(count)/float64(calls)))
	}
	if total != calls {
		t.Errorf("the backends counted %d calls, and the clients %d", total, calls)
	}
	return strings.Join(text, ", ")
}
