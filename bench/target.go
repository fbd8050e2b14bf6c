package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// target is what Cardea has promised to cost over REST, compared with the best of some others.
type target struct {
	scenario string
	limit    float64
	peers    []string
}

var targets = []target{
	{"get", 0.95, []string{grpcGateway}},
	{"create", 0.5, peersOf[rest]},
	{"list", 0.25, peersOf[rest]},
}

// verdict says how a target was met.
type verdict struct {
	text string
	met  bool
}

func newVerdict(met bool, format string, args ...any) verdict {
	return verdict{fmt.Sprintf(format, args...) + map[bool]string{true: ": met", false: ": MISSED"}[met], met}
}

// judge judges the scenarios that were measured.
func judge(rows []*row) []verdict {
	var verdicts []verdict
	for _, t := range targets {
		measured := slices.ContainsFunc(rows, func(r *row) bool { return r.scenario.name == t.scenario && r.protocol == rest })
		if measured {
			verdicts = append(verdicts, t.judge(rows))
		}
	}
	return verdicts
}

func (t target) judge(rows []*row) verdict {
	own, best := find(rows, t.scenario, rest, cardea), (*row)(nil)
	for _, name := range t.peers {
		peer := find(rows, t.scenario, rest, name)
		if peer == nil || own == nil {
			return verdict{text: fmt.Sprintf("%s: not judged, for that takes %q and each of %q", t.scenario, cardea, t.peers)}
		}
		best = cheaper(best, peer)
	}
	cost, of := median(own.perCall), median(best.perCall)
	return newVerdict(cost <= t.limit*of, "%s: %s of %s; the target is %.2f of the best of %q",
		t.scenario, fraction(cost, of), best.way.name, t.limit, t.peers)
}

// missed returns an error if any target is not met.
func missed(verdicts []verdict) error {
	if slices.ContainsFunc(verdicts, func(v verdict) bool { return !v.met }) {
		return errors.New("a target is missed, see the result")
	}
	return nil
}

func writeVerdicts(w io.Writer, verdicts []verdict) {
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprint(w, "\nTargets:\n\n")
	for _, v := range verdicts {
		fmt.Fprintf(w, "- %s\n", v.text)
	}
}
