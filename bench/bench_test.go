package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/bench/internal/fixture"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestEverything runs the whole benchmark with a handful of calls: every answer is right, and the tables are complete.
// Figures of so few calls mean nothing.
func TestEverything(t *testing.T) {
	o := options{rounds: 2, calls: 40, output: filepath.Join(t.TempDir(), "table.md"), burst: burst{conns: 5, waves: 2, size: 100_000}}
	var out bytes.Buffer
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, k := range kinds() {
		for _, protocol := range k.protocols {
			for _, s := range scenarios() {
				rows = append(rows, fmt.Sprintf("| %s | %s | %s | ", s.title, protocol, k.name))
			}
			if protocol == rest {
				rows = append(rows, fmt.Sprintf("| %s | small | ", k.name), fmt.Sprintf("| %s | the same | ", k.name))
			}
		}
	}
	for _, target := range []string{"get", "create", "list", "memory, answer small", "memory, answer the same"} {
		rows = append(rows, fmt.Sprintf("\n- %s: ", target))
	}
	for _, row := range rows {
		if strings.Count(out.String(), row) != 1 {
			t.Errorf("the result does not have %q once:\n%s", row, &out)
		}
	}
	file, err := os.ReadFile(o.output)
	if err != nil || string(file) != out.String() {
		t.Errorf("file %q (%v), output %q", file, err, &out)
	}
}

func TestProfile(t *testing.T) {
	o := options{rounds: 1, calls: 100, profile: "get", protocols: rest, output: filepath.Join(t.TempDir(), "get.pprof")}
	var out bytes.Buffer
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	profile, err := os.ReadFile(o.output)
	if gzip := []byte{0x1f, 0x8b}; err != nil || !bytes.HasPrefix(profile, gzip) {
		t.Errorf("profile %.20q, %v", profile, err)
	}
	if want := "get, REST, Cardea: 100 calls"; !strings.Contains(out.String(), want) {
		t.Errorf("output %q", &out)
	}
}

func TestVerifier(t *testing.T) {
	v := newVerifier(rest, &orderv1.Order{Name: "orders/1"})
	for answer, want := range map[string]bool{
		`{"name":"orders/1"}`:                      true,
		`{"name": "orders/1"}`:                     true,
		`{"items":[],"name":"orders/1","note":""}`: true,
		`{"name":"orders/2"}`:                      false,
		`{"name":"orders/1","note":"x"}`:           false,
		`{"code":5}`:                               false,
		``:                                         false,
	} {
		for range 2 { // A wrong answer is not remembered.
			if err := v.check([]byte(answer)); (err == nil) != want {
				t.Errorf("%q: %v", answer, err)
			}
		}
	}
}

func TestVerifierRemembersFew(t *testing.T) {
	v := newVerifier(rest, &orderv1.Order{Name: "orders/1"})
	for i := range 3 * knownAnswers {
		if err := v.check([]byte(`{"name":"orders/1"}` + strings.Repeat(" ", i/2))); err != nil {
			t.Error(err)
		}
	}
	if known := len(*v.right.Load()); known != knownAnswers {
		t.Errorf("%d answers are remembered", known)
	}
}

// TestSizes keeps the titles true.
func TestSizes(t *testing.T) {
	for _, s := range scenarios() {
		size, bounds := proto.Size(s.answer), map[string][2]int{"get": {150, 250}, "create": {950, 1150}, "list": {30_000, 40_000}}[s.name]
		if size < bounds[0] || size > bounds[1] {
			t.Errorf("%s: %d bytes", s.name, size)
		}
	}
	json, err := protojson.Marshal(fixture.Big(fullBurst.size))
	if slack := fullBurst.size / 20; err != nil || len(json) < fullBurst.size-slack || len(json) > fullBurst.size+slack {
		t.Errorf("a big order has %d bytes, %v", len(json), err)
	}
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		options                    options
		scenarios, ways, protocols int
		memory                     bool
		failure                    string
	}{
		"all":              {options: options{}, scenarios: 3, ways: len(kinds()), protocols: 2, memory: true},
		"some":             {options: options{scenarios: "list,get", ways: "cardea", protocols: grpcName}, scenarios: 2, ways: 1, protocols: 1},
		"memory":           {options: options{memory: true}, ways: len(kinds()), protocols: 2, memory: true},
		"profile":          {options: options{profile: "get"}, scenarios: 1, ways: 1, protocols: 2},
		"unknown scenario": {options: options{scenarios: "get,sing"}, failure: `-scenarios: there is no "sing"; choose from get,create,list`},
		"unknown way":      {options: options{ways: "nginx"}, failure: `-ways: there is no "nginx"`},
		"unknown protocol": {options: options{protocols: "SOAP"}, failure: `-protocols: there is no "SOAP"`},
		"no rounds":        {options: options{rounds: -1}, failure: "-rounds"},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.rounds++
			test.options.calls++
			c, err := test.options.choose()
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Error(err)
				}
				return
			}
			if err != nil || len(c.scenarios) != test.scenarios || len(c.ways) != test.ways || len(c.protocols) != test.protocols ||
				c.memory != test.memory {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("17 (a name) S) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 100 1 2")
	if want := 3 * time.Second; err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := parseStat("17 (name) S 1"); err == nil {
		t.Error("a line without times was accepted")
	}
}

func TestParseStatus(t *testing.T) {
	const text = "Name:\tcardea\nVmHWM:\t   20480 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n"
	for name, want := range map[string]int{"VmHWM": 20 << 20, "VmRSS": 1 << 20} {
		if got, err := parseStatus(text, name); err != nil || got != want {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	if _, err := parseStatus(text, "VmSwap"); err == nil {
		t.Error("an amount that is not there was found")
	}
}

func TestParseListeners(t *testing.T) {
	const one = `{"name":"bench","local_address":{"socket_address":{"address":"127.0.0.1","port_value":4711}}}`
	if got, err := parseListeners([]byte(`{"listener_statuses":[` + one + `]}`)); err != nil || got != "127.0.0.1:4711" {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{`{}`, `{"listener_statuses":[` + one + "," + one + `]}`, `no JSON`} {
		if got, err := parseListeners([]byte(text)); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %v", values, got)
		}
	}
}
