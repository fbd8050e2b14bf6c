package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cardea-gateway/cardea/bench/internal/fixture"
	"github.com/cardea-gateway/cardea/bench/internal/gate"
)

// memoryTarget is by how many bytes a body of 1 MB may raise the peak of Cardea's resident memory.
const memoryTarget = 4_000_000

// memoryRounds bounds how often memory is measured: the figures hardly vary, and each takes a process of its own.
const memoryRounds = 3

// burst is a number of connections that send big bodies at the same time.
type burst struct {
	conns int
	waves int // Calls of each connection.
	size  int // Of a body, in bytes.
}

var fullBurst = burst{conns: 50, waves: 4, size: 1_000_000}

// memoryRow is what was measured of one gateway and one kind of answer.
type memoryRow struct {
	way    string
	small  bool      // The answer.
	before []float64 // Resident bytes, one for each round.
	growth []float64 // By how many bytes each of the calls raised the peak, one for each round.
}

// measureMemory measures all gateways for REST.
func measureMemory(ctx context.Context, o options, c choice, s starter) ([]*memoryRow, error) {
	var rows []*memoryRow
	for _, k := range c.ways {
		if !slices.Contains(k.protocols, rest) {
			continue
		}
		for _, small := range []bool{true, false} {
			r := &memoryRow{way: k.name, small: small}
			for range min(o.rounds, memoryRounds) {
				if err := r.round(ctx, k, o.burst, s); err != nil {
					return nil, fmt.Errorf("memory, %s: %w", k.name, err)
				}
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// round measures a gateway that was just started.
func (r *memoryRow) round(ctx context.Context, k kind, b burst, s starter) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	u := &setup{starter: s}
	defer u.close()
	if err := u.startBackend(ctx, "-hold", strconv.Itoa(b.conns), "-small="+strconv.FormatBool(r.small)); err != nil {
		return err
	}
	p, address, err := k.start(u, ctx)
	if err != nil {
		return err
	}
	before, peak, err := b.peak(ctx, p, address, r.scenario(b))
	if err != nil {
		return err
	}
	if count, err := u.answered(ctx); err != nil || count != b.calls()+1 {
		return fmt.Errorf("the backend answered %d of %d calls (%w)", count, b.calls()+1, err)
	}
	r.before = append(r.before, float64(before))
	r.growth = append(r.growth, float64(peak-before)/float64(b.conns))
	return nil
}

// scenario returns the call to make.
func (r *memoryRow) scenario(b burst) scenario {
	order := fixture.Big(b.size)
	s := scenario{http: "POST /v1/orders", body: order, answer: order}
	if r.small {
		s.answer = fixture.Get()
	}
	return s
}

func (b burst) calls() int { return b.conns * b.waves }

// peak makes one small call, which is not measured, and then the others. It returns how much memory was resident in
// between, and at most.
func (b burst) peak(ctx context.Context, p *process, address string, s scenario) (before, peak int, err error) {
	l, err := dialREST(ctx, address, b.conns)
	if err != nil {
		return 0, 0, err
	}
	defer l.close()
	get := scenarios()[0]
	workers, err := l.workers(get, newVerifier(rest, get.answer))
	if err != nil {
		return 0, 0, err
	}
	if err := spread(ctx, 1, workers); err != nil {
		return 0, 0, err
	}
	if workers, err = b.workers(l, s); err != nil {
		return 0, 0, err
	}
	if before, err = p.resetPeak(); err != nil {
		return 0, 0, err
	}
	if err := spread(ctx, b.calls(), workers); err != nil {
		return 0, 0, err
	}
	peak, err = p.status("VmHWM")
	return before, peak, err
}

// workers returns a worker for each connection, which go in step: nobody sends the end of a body before all have sent
// the rest, so that the gateway has to keep all of them.
func (b burst) workers(l *restLoad, s scenario) ([]worker, error) {
	request, err := l.request(s)
	if err != nil {
		return nil, err
	}
	v, together := newVerifier(rest, s.answer), gate.New(b.conns)
	workers := make([]worker, len(l.conns))
	for i, conn := range l.conns {
		workers[i] = func(ctx context.Context, _ func() bool) error {
			defer bound(ctx, conn)()
			for range b.waves {
				if err := conn.callTogether(ctx, request, together, v); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return workers, nil
}

// callTogether makes a call, in step with the other connections.
func (c restConn) callTogether(ctx context.Context, request []byte, together *gate.Gate, v *verifier) error {
	end := len(request) - 1<<10
	if _, err := c.Write(request[:end]); err != nil {
		return err
	}
	if err := together.Wait(ctx); err != nil {
		return err
	}
	if _, err := c.Write(request[end:]); err != nil {
		return err
	}
	answer, err := c.answer()
	if err != nil {
		return err
	}
	return v.check(answer)
}

// memoryTable writes rows as Markdown.
func memoryTable(w io.Writer, b burst, rows []*memoryRow) {
	const mb = 1e6
	fmt.Fprintf(w, "\nMemory: %d bodies of %.1f MB at the same time, %d times.\n\n", b.conns, float64(b.size)/mb, b.waves)
	fmt.Fprintln(w, "| way | answer | resident before, MB | MB more at the peak, per body | min..max |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %.1f | %.2f | %.2f..%.2f |\n", r.way, r.answer(), median(r.before)/mb, median(r.growth)/mb,
			slices.Min(r.growth)/mb, slices.Max(r.growth)/mb)
	}
}

func (r *memoryRow) answer() string {
	if r.small {
		return "small"
	}
	return "the same"
}

// judgeMemory judges Cardea by its worst round.
func judgeMemory(rows []*memoryRow) []verdict {
	var verdicts []verdict
	for _, r := range rows {
		if r.way == cardea {
			worst := slices.Max(r.growth)
			verdicts = append(verdicts, newVerdict(worst <= memoryTarget,
				"memory, answer %s: %.2f MB at most for each body; the target is %.0f MB", r.answer(), worst/1e6, memoryTarget/1e6))
		}
	}
	return verdicts
}
