package main

import (
	"fmt"
	"io"
	"slices"
)

// baseline is the way that a protocol's ratios are about.
var baseline = map[string]string{rest: grpcGateway, grpcName: grpcProxy}

// table writes rows as Markdown.
func table(w io.Writer, rows []*row) {
	fmt.Fprintln(w, "| scenario | protocol | way | answer, B | µs CPU per call | min..max | ratio | core busy |")
	fmt.Fprintln(w, "|---|---|---|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %s | %s | %d | %.1f | %.1f..%.1f | %s | %.0f %% |\n", r.title, r.protocol, r.way.name, r.verifier.size(),
			median(r.perCall), slices.Min(r.perCall), slices.Max(r.perCall), ratio(rows, r), 100*median(r.busy))
	}
}

// ratio compares a row with its baseline. The backend is no gateway: its cost is in nobody's ratio.
func ratio(rows []*row, r *row) string {
	i := slices.IndexFunc(rows, func(b *row) bool {
		return b.scenario.name == r.scenario.name && b.protocol == r.protocol && b.way.name == baseline[r.protocol]
	})
	if i < 0 || r.way.name == direct || median(rows[i].perCall) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", median(r.perCall)/median(rows[i].perCall))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
