package weighted_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/serviceconfig"

	"github.com/cardea-gateway/cardea/discovery/balancer/weighted"
)

// parse reads a configuration as grpc does.
func parse(text string) (serviceconfig.LoadBalancingConfig, error) {
	return balancer.Get(weighted.Name).(balancer.ConfigParser).ParseConfig(json.RawMessage(text))
}

func marshal(t *testing.T, config any) string {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParseConfig(t *testing.T) {
	for text, want := range map[string]weighted.Config{
		`{}`:                                   {},
		` { "slowStart" : "0s" } `:             {},
		`{"slowStart":"1m30s"}`:                {SlowStart: 90 * time.Second},
		`{"slowStart":"100ms"}`:                {SlowStart: 100 * time.Millisecond},
		`{"slowStart":"1h"}`:                   {SlowStart: time.Hour},
		`{"preferZone":""}`:                    {},
		`{"preferZone":"eu west 1"}`:           {PreferZone: "eu west 1"},
		`{"slowStart":"30s","preferZone":"a"}`: {SlowStart: 30 * time.Second, PreferZone: "a"},
	} {
		got, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if marshal(t, got) != marshal(t, want) {
			t.Errorf("%s: got %s, want %s", text, marshal(t, got), marshal(t, want))
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                              `the configuration "" is not a JSON object: want one such as {"slowStart":"30s","preferZone":"eu-1a"}, or {}`,
		`null`:                          `the configuration "null" is not a JSON object`,
		`[]`:                            `is not a JSON object`,
		`"30s"`:                         `is not a JSON object`,
		`{"slowStart":"30s"`:            `is not a JSON object`,
		`{} {}`:                         `is not a JSON object`,
		`{"slowStrat":"30s"}`:           `field "slowStrat": there is none of that name: want slowStart or preferZone`,
		`{"slowstart":"30s"}`:           `field "slowstart": there is none of that name`,
		`{"slow_start":"30s"}`:          `field "slow_start": there is none of that name`,
		`{"slowStart":30}`:              `field "slowStart": 30 is no text: put it in quotes, or leave the field out`,
		`{"slowStart":null}`:            `field "slowStart": <nil> is no text`,
		`{"slowStart":{"seconds":30}}`:  `field "slowStart": map[seconds:30] is no text`,
		`{"slowStart":""}`:              `field "slowStart": "": want a duration in h, m, s or ms, such as 30s: from 100ms to 1h0m0s, or 0s for none`,
		`{"slowStart":"30"}`:            `field "slowStart": "30": want a duration`,
		`{"slowStart":"soon"}`:          `field "slowStart": "soon": want a duration`,
		`{"slowStart":"-30s"}`:          `field "slowStart": "-30s": want a duration`,
		`{"slowStart":"30ns"}`:          `field "slowStart": "30ns": want a duration`,
		`{"slowStart":"3600.001s"}`:     `field "slowStart": "3600.001s": want a duration`,
		`{"slowStart":"9999999h"}`:      `field "slowStart": "9999999h": want a duration`,
		`{"preferZone":1}`:              `field "preferZone": 1 is no text`,
		`{"preferZone":["a"]}`:          `field "preferZone": [a] is no text`,
		`{"preferZone":" eu-1a"}`:       `field "preferZone": blanks around a name`,
		`{"preferZone":"eu\n1a"}`:       `field "preferZone": blanks around a name, or control characters in it`,
		`{"preferZone":"` + long + `"}`: `field "preferZone": 257 bytes are too long for the name of a zone: want at most 256`,
	} {
		_, err := parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), weighted.Name+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50s: got error %v, want one with %q", text, err, want)
		}
	}
}

var long = strings.Repeat("z", 257)

// TestConfigLeavesOutZero expects that what is not set is not written.
func TestConfigLeavesOutZero(t *testing.T) {
	for want, config := range map[string]weighted.Config{
		`{}`:                     {},
		`{"preferZone":"eu-1a"}`: {PreferZone: "eu-1a"},
		`{"preferZone":"eu-1a","slowStart":"1m30s"}`: {PreferZone: "eu-1a", SlowStart: 90 * time.Second},
	} {
		if got := marshal(t, config); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzParseConfig expects that a configuration that is accepted means the same when it is written and read again.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{`{}`, `null`, `{"slowStart":"1m0.5s","preferZone":"eu-1a"}`, `{"slowStart":"-1s"}`, `{"slowStart":3}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		config, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(marshal(t, config))
		if err != nil || marshal(t, again) != marshal(t, config) {
			t.Errorf("%s: became %s, %v", marshal(t, config), marshal(t, again), err)
		}
	})
}
