package chaos

import (
	"testing"
	"time"
)

// scenario is a fault, and what becomes of the calls.
type scenario struct {
	fault string
	run   func(t *testing.T) result
}

// result is what a fault has cost.
type result struct {
	calls, errors int
	slowest       time.Duration // That any caller waited for an answer.
	recovery      string        // How long it took until all was well.
}

var scenarios = []scenario{
	{"an instance is registered", registered},
	{"an instance is deregistered", deregistered},
	{"the check of an instance turns critical", critical},
	{"an instance is killed (SIGKILL)", killed},
	{"an instance freezes (SIGSTOP), and thaws", frozen},
	{"an instance takes 2 s instead of 20 ms, and recovers", slowed},
	{"clients give up calls, and an instance answers NOT_FOUND", blameless},
	{"the Consul agent is killed, and comes back empty", agentLost},
	{"the gateway is started anew while the agent is away", startedAlone},
	{"Consul denies the gateway's token, then filters its answers", tokenLost},
	{"497 of 500 instances come and go", flapping},
	{"none: weights 7:2:1, and 32 clients without a pause", weighted},
}

// TestCallersDoNotNotice brings about one fault after the other, each on a fleet of its own.
func TestCallersDoNotNotice(t *testing.T) {
	var table table
	for _, s := range scenarios {
		t.Run(s.fault, func(t *testing.T) {
			r := s.run(t)
			table = append(table, row{s.fault, r})
		})
	}
	table.report(t)
}

// resultOf sums up a load.
func resultOf(outcomes []outcome, recovery string) result {
	r := result{calls: len(outcomes), errors: len(failed(outcomes)), recovery: recovery}
	for _, o := range outcomes {
		r.slowest = max(r.slowest, o.ended.Sub(o.begun))
	}
	return r
}

// rounded is how the table shows a time.
func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// shorter returns the shorter of two lengths for go test -short.
func shorter[T any](long, short T) T {
	if testing.Short() {
		return short
	}
	return long
}
