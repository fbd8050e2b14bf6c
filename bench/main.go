// Command bench compares what a call costs through Cardea with what it costs through other gateways: CPU time of the
// gateway process, per call, and memory for big bodies. See README.md.
//
// The files: options.go, what is wanted; scenario.go and verifier.go, what is called and answered; way.go, through what,
// with envoy.go and cardea.go for those that take more than a flag; build.go and process.go make and start the programs;
// load.go and its siblings make the calls; measure.go counts; memory.go and profile.go measure other things; table.go and
// target.go print.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// totalTimeout bounds everything.
const totalTimeout = time.Hour

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

// run builds the programs, and does with them what is wanted.
func run(ctx context.Context, o options, out io.Writer) error {
	c, err := o.choose()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cardea-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	elsewhere, err := build(ctx, dir, o.cardea, c.ways)
	if err != nil {
		return err
	}
	s := starter{dir: dir, pinned: canPin(ctx), elsewhere: elsewhere}
	restore, err := pinSelf(ctx, s.pinned)
	defer restore()
	if err != nil {
		return err
	}
	if o.profile != "" {
		return profile(ctx, o, c, s, out)
	}
	return report(ctx, o, c, s, out)
}

// report measures, writes tables and verdicts to where they are wanted, and returns an error if a target has to be met and
// is not.
func report(ctx context.Context, o options, c choice, s starter, out io.Writer) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s, %s/%s; %d rounds of up to %d calls; %s.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		o.rounds, o.calls, pinning(s.pinned))
	verdicts, err := c.measure(ctx, o, s, &text)
	if err != nil {
		return err
	}
	writeVerdicts(&text, verdicts)
	if o.output != "" {
		if err := os.WriteFile(o.output, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	if _, err := out.Write(text.Bytes()); err != nil {
		return err
	}
	if o.judge {
		return missed(verdicts)
	}
	return nil
}

// measure measures all that was chosen, writes the tables, and judges.
func (c choice) measure(ctx context.Context, o options, s starter, w io.Writer) ([]verdict, error) {
	var verdicts []verdict
	if len(c.scenarios) > 0 {
		rows, err := compare(ctx, o, c, s)
		if err != nil {
			return nil, err
		}
		table(w, rows)
		verdicts = judge(rows)
	}
	if c.memory {
		rows, err := measureMemory(ctx, o, c, s)
		if err != nil {
			return nil, err
		}
		memoryTable(w, o.burst, rows)
		verdicts = append(verdicts, judgeMemory(rows)...)
	}
	return slices.Clip(verdicts), nil
}

// compare measures what calls cost.
func compare(ctx context.Context, o options, c choice, s starter) ([]*row, error) {
	u, err := newSetup(ctx, s, c.ways, c.protocols)
	defer u.close()
	if err != nil {
		return nil, err
	}
	return u.measure(ctx, c.scenarios, o.rounds, o.calls)
}

func pinning(pinned bool) string {
	if pinned {
		return "gateway on core " + gatewayCore + ", backend and load on core " + otherCore
	}
	return "processes not pinned, so take the figures with care"
}
