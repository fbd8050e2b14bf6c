package main

import (
	"context"
	"fmt"
	"time"
)

// runTimeout bounds one warm-up and one measurement.
const runTimeout = 2 * time.Minute

// row is what was measured of one way to one scenario.
type row struct {
	way
	scenario

	verifier *verifier
	perCall  []float64 // Microseconds of CPU time, one for each round.
	busy     []float64 // CPU time by elapsed time, one for each round.
}

// measure measures every way to every scenario, round by round, so that a noisy minute hits all of them.
func (u *setup) measure(ctx context.Context, chosen []scenario, rounds, calls int) ([]*row, error) {
	rows := u.rows(chosen)
	for round := range rounds {
		for i := range rows {
			r := rows[(i+round)%len(rows)] // No way always runs first.
			if err := u.round(ctx, r, r.calls(r.protocol, calls)); err != nil {
				return nil, fmt.Errorf("%s, %s, %s: %w", r.scenario.name, r.protocol, r.way.name, err)
			}
		}
	}
	return rows, nil
}

// rows returns the empty rows of the table, in its order.
func (u *setup) rows(chosen []scenario) []*row {
	var rows []*row
	for _, s := range chosen {
		for _, protocol := range []string{rest, grpcName} {
			for _, w := range u.ways {
				if w.protocol == protocol {
					rows = append(rows, &row{way: w, scenario: s, verifier: newVerifier(protocol, s.answer)})
				}
			}
		}
	}
	return rows
}

// round warms one way up and measures it.
func (u *setup) round(ctx context.Context, r *row, calls int) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if _, _, err := u.counted(ctx, r, max(1, calls/10)); err != nil {
		return err
	}
	cpu, elapsed, err := u.counted(ctx, r, calls)
	if err != nil {
		return err
	}
	r.perCall = append(r.perCall, perCall(cpu, calls))
	r.busy = append(r.busy, cpu.Seconds()/elapsed.Seconds())
	return nil
}

// perCall returns microseconds.
func perCall(cpu time.Duration, calls int) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(calls)
}

// counted makes a number of calls. The backend has to agree that there were so many.
func (u *setup) counted(ctx context.Context, r *row, calls int) (cpu, elapsed time.Duration, err error) {
	before, err := u.answered(ctx)
	if err != nil {
		return 0, 0, err
	}
	if cpu, elapsed, err = r.timed(ctx, calls); err != nil {
		return 0, 0, err
	}
	after, err := u.answered(ctx)
	if err == nil && after-before != calls {
		err = fmt.Errorf("the backend answered %d of %d calls", after-before, calls)
	}
	return cpu, elapsed, err
}

// timed makes a number of calls and returns what they cost.
func (r *row) timed(ctx context.Context, calls int) (cpu, elapsed time.Duration, err error) {
	workers, err := r.load.workers(r.scenario, r.verifier)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	before, err := r.process.cpu()
	if err != nil {
		return 0, 0, err
	}
	if err := spread(ctx, calls, workers); err != nil {
		return 0, 0, err
	}
	after, err := r.process.cpu()
	return after - before, time.Since(start), err
}
