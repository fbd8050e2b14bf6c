package main

import (
	"fmt"
	"io"
	"slices"
)

// peersOf are the others that do the same work, by protocol. A ratio compares with the best of them.
var peersOf = map[string][]string{rest: {envoy, grpcGateway, vanguard}, grpcName: {grpcProxy}}

// table writes rows as Markdown.
func table(w io.Writer, rows []*row) {
	fmt.Fprintln(w, "\n| scenario | protocol | way | answer, B | µs CPU per call | min..max | of the best peer | core busy |")
	fmt.Fprintln(w, "|---|---|---|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %d | %.1f | %.1f..%.1f | %s | %.0f %% |\n", r.title, r.protocol, r.way.name, r.verifier.size(),
			median(r.perCall), slices.Min(r.perCall), slices.Max(r.perCall), ratio(rows, r), 100*median(r.busy))
	}
}

// ratio compares a row with the best peer that was measured. The backend is no gateway: its cost is in nobody's ratio.
func ratio(rows []*row, r *row) string {
	var best *row
	for _, name := range peersOf[r.protocol] {
		best = cheaper(best, find(rows, r.scenario.name, r.protocol, name))
	}
	if best == nil || r.way.name == direct {
		return "-"
	}
	return fraction(median(r.perCall), median(best.perCall))
}

// fraction prints a quotient, if there is one: a short run may have cost less than can be measured.
func fraction(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// find returns the row of a way to a scenario, or nil.
func find(rows []*row, scenario, protocol, way string) *row {
	i := slices.IndexFunc(rows, func(r *row) bool {
		return r.scenario.name == scenario && r.protocol == protocol && r.way.name == way
	})
	if i < 0 {
		return nil
	}
	return rows[i]
}

// cheaper returns one of two rows, each of which may be missing.
func cheaper(a, b *row) *row {
	if a == nil || b != nil && median(b.perCall) < median(a.perCall) {
		return b
	}
	return a
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
