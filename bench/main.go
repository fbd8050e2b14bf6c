// Command bench compares what a call costs through Cardea with what it costs through the plain gateways that Cardea is
// built like: CPU time of the gateway process, per call. See README.md.
//
// The files: scenario.go, what is called; way.go, through what; process.go starts and ends it; load.go and its siblings
// make the calls; measure.go counts; table.go prints.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// totalTimeout bounds everything.
const totalTimeout = time.Hour

// options are what the command line says.
type options struct {
	rounds    int
	calls     int
	scenarios string
	output    string
	cardea    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	if err := run(ctx, parse(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // What is deferred is done.
	}
}

func parse() options {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each measures everything once")
	flag.IntVar(&o.calls, "calls", 20_000, "calls of a measurement; scenarios with big answers make fewer")
	flag.StringVar(&o.scenarios, "scenarios", "", "comma-separated scenarios: get, create, list; all if empty")
	flag.StringVar(&o.output, "o", "", "file for the table, in addition to standard output")
	flag.StringVar(&o.cardea, "cardea", "", "cardea binary to measure; if empty, one is built from peer/cardea")
	flag.Parse()
	return o
}

// run builds, measures and reports.
func run(ctx context.Context, o options, out io.Writer) error {
	chosen, err := choose(o.scenarios)
	if err != nil {
		return err
	}
	if o.rounds < 1 || o.calls < 1 {
		return errors.New("-rounds and -calls have to be at least 1")
	}
	dir, err := os.MkdirTemp("", "cardea-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := build(ctx, dir); err != nil {
		return err
	}
	return compare(ctx, o, chosen, starter{dir: dir, pinned: canPin(ctx), cardea: o.cardea}, out)
}

// compare measures with binaries that are built.
func compare(ctx context.Context, o options, chosen []scenario, s starter, out io.Writer) error {
	u, err := newSetup(ctx, s)
	defer u.close()
	if err != nil {
		return err
	}
	restore, err := pinSelf(ctx, s.pinned)
	defer restore()
	if err != nil {
		return err
	}
	rows, err := u.measure(ctx, chosen, o.rounds, o.calls)
	if err != nil {
		return err
	}
	return report(o, s.pinned, rows, out)
}

// report writes the result to where it is wanted.
func report(o options, pinned bool, rows []*row, out io.Writer) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s, %s/%s; %d rounds of up to %d calls; %s.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		o.rounds, o.calls, pinning(pinned))
	table(&text, rows)
	if o.output != "" {
		if err := os.WriteFile(o.output, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	_, err := out.Write(text.Bytes())
	return err
}

func pinning(pinned bool) string {
	if pinned {
		return "gateway on core " + gatewayCore + ", backend and load on core " + otherCore
	}
	return "processes not pinned, so take the figures with care"
}
