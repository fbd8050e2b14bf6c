package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// profile makes calls of one scenario in one way, and writes a CPU profile of its process meanwhile.
func profile(ctx context.Context, o options, c choice, s starter, out io.Writer) error {
	if len(c.ways) != 1 || len(c.scenarios) != 1 {
		return errors.New("-profile takes one scenario, and -ways one way")
	}
	u, err := newSetup(ctx, s, c.ways, c.protocols)
	defer u.close()
	if err != nil {
		return err
	}
	rows := u.rows(c.scenarios)
	if len(rows) == 0 || rows[0].process.admin == "" {
		return fmt.Errorf("-profile: %s has no profiler for this protocol; take cardea or embedded", c.ways[0].key)
	}
	file := o.output
	if file == "" {
		file = o.profile + ".pprof"
	}
	r := rows[0]
	calls := r.calls(r.protocol, o.calls)
	if err := u.profiled(ctx, r, calls, file); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %s, %s: %d calls, %.1f µs of CPU each with the profiler on; go tool pprof -top %s\n",
		r.scenario.name, r.protocol, r.way.name, calls, r.perCall[0], file)
	return nil
}

// profiled measures once. The profile lasts about as long as the calls, by the time that the warm-up took.
func (u *setup) profiled(ctx context.Context, r *row, calls int, file string) error {
	warm := max(1, calls/10)
	_, elapsed, err := u.counted(ctx, r, warm)
	if err != nil {
		return err
	}
	seconds := max(1, math.Floor(elapsed.Seconds()*float64(calls)/float64(warm)))
	saved := make(chan error, 1)
	go func() {
		saved <- save(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", r.process.admin, seconds), file)
	}()
	cpu, _, err := u.counted(ctx, r, calls)
	r.perCall = append(r.perCall, perCall(cpu, calls))
	return errors.Join(err, <-saved)
}

// save writes what an HTTP server answers to a file.
func save(ctx context.Context, url, file string) error {
	content, err := fetch(ctx, url)
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}
