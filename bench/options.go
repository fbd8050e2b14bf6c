package main

import (
	"errors"
	"flag"
	"slices"
)

// options are what the command line says.
type options struct {
	rounds    int
	calls     int
	scenarios string
	ways      string
	protocols string
	memory    bool
	judge     bool
	profile   string
	output    string
	cardea    string
	burst     burst
}

func parse() options {
	o := options{burst: fullBurst}
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each measures everything once")
	flag.IntVar(&o.calls, "calls", 20_000, "calls of a measurement; scenarios with big answers make fewer")
	flag.StringVar(&o.scenarios, "scenarios", "", "comma-separated scenarios: get, create, list; all, and memory, if empty")
	flag.StringVar(&o.ways, "ways", "",
		"comma-separated ways: direct, envoy, grpc-gateway, vanguard, grpc-proxy, cardea, embedded; all if empty")
	flag.StringVar(&o.protocols, "protocols", "", "comma-separated protocols: REST, gRPC; both if empty")
	flag.BoolVar(&o.memory, "memory", false, "measure memory for big bodies, and nothing else")
	flag.BoolVar(&o.judge, "judge", false, "fail if a target is missed, or can't be judged")
	flag.StringVar(&o.profile, "profile", "", "scenario to profile in one way (cardea, unless -ways says so), instead of measuring")
	flag.StringVar(&o.output, "o", "", "file for the result, in addition to standard output; for the profile with -profile")
	flag.StringVar(&o.cardea, "cardea", "", "cardea binary to measure; if empty, one is built")
	flag.Parse()
	return o
}

// choice is what to measure.
type choice struct {
	scenarios []scenario
	ways      []kind
	protocols []string
	memory    bool
}

// choose looks up what the options name.
func (o options) choose() (choice, error) {
	if o.rounds < 1 || o.calls < 1 {
		return choice{}, errors.New("-rounds and -calls have to be at least 1")
	}
	if o.profile != "" {
		o.scenarios = o.profile
		if o.ways == "" {
			o.ways = "cardea"
		}
	}
	s, err := choose("scenarios", o.scenarios, scenarios(), func(s scenario) string { return s.name })
	if err != nil {
		return choice{}, err
	}
	ways, err := choose("ways", o.ways, kinds(), func(k kind) string { return k.key })
	if err != nil {
		return choice{}, err
	}
	protocols, err := choose("protocols", o.protocols, []string{rest, grpcName}, func(p string) string { return p })
	if err != nil {
		return choice{}, err
	}
	if o.memory {
		s = nil
	}
	return choice{s, ways, protocols, o.scenarios == "" && slices.Contains(protocols, rest)}, nil
}
