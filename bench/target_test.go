package main

import (
	"strings"
	"testing"
)

// measured makes rows of one REST scenario, from costs by way.
func measured(scenarioName string, costs map[string]float64) []*row {
	var rows []*row
	for name, cost := range costs {
		rows = append(rows, &row{
			way: way{name: name, protocol: rest}, scenario: scenario{name: scenarioName}, perCall: []float64{cost},
		})
	}
	return rows
}

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		scenario string
		costs    map[string]float64
		want     string
		met      bool
	}{
		"met":          {"list", map[string]float64{cardea: 25, envoy: 100, grpcGateway: 120, vanguard: 150}, "list: 0.25 of Envoy; the target is 0.25", true},
		"missed":       {"create", map[string]float64{cardea: 60, envoy: 120, grpcGateway: 150, vanguard: 100}, "create: 0.60 of Vanguard", false},
		"one peer":     {"get", map[string]float64{cardea: 95, envoy: 50, grpcGateway: 100}, "get: 0.95 of grpc-gateway", true},
		"peer missing": {"list", map[string]float64{cardea: 1, envoy: 100}, "list: not judged", false},
		"way missing":  {"get", map[string]float64{embedded: 1, grpcGateway: 100}, "get: not judged", false},
	} {
		t.Run(name, func(t *testing.T) {
			verdicts := judge(measured(test.scenario, test.costs))
			if len(verdicts) != 1 || !strings.HasPrefix(verdicts[0].text, test.want) || verdicts[0].met != test.met {
				t.Errorf("%+v", verdicts)
			}
			if err := missed(verdicts); (err == nil) != test.met {
				t.Error(err)
			}
		})
	}
}

func TestJudgeMemory(t *testing.T) {
	rows := []*memoryRow{
		{way: cardea, small: true, growth: []float64{3e6, 4e6}},
		{way: cardea, growth: []float64{3e6, 4.1e6, 3e6}},
		{way: envoy, growth: []float64{9e6}},
	}
	verdicts := judgeMemory(rows)
	if len(verdicts) != 2 || !verdicts[0].met || verdicts[1].met {
		t.Errorf("%+v", verdicts)
	}
}

func TestRatio(t *testing.T) {
	rows := measured("get", map[string]float64{cardea: 50, envoy: 100, vanguard: 200, direct: 10})
	for name, want := range map[string]string{cardea: "0.50", envoy: "1.00", vanguard: "2.00", direct: "-"} {
		if got := ratio(rows, find(rows, "get", rest, name)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := ratio(measured("get", map[string]float64{cardea: 50}), &row{way: way{protocol: rest}}); got != "-" {
		t.Errorf("without a peer: %s", got)
	}
	if got := fraction(1, 0); got != "-" {
		t.Errorf("nothing can't be a measure, but is: %s", got)
	}
}
