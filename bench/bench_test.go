package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestEverything runs the whole benchmark with a handful of calls: every answer is right, and the table is complete. Figures
// of so few calls mean nothing.
func TestEverything(t *testing.T) {
	o := options{rounds: 2, calls: 40, output: filepath.Join(t.TempDir(), "table.md")}
	var out bytes.Buffer
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios() {
		for _, want := range []string{"REST | " + grpcGateway, "REST | " + cardea, "gRPC | " + direct, "gRPC | " + grpcProxy, "gRPC | " + cardea} {
			if row := fmt.Sprintf("| %s | %s | ", s.title, want); strings.Count(out.String(), row) != 1 {
				t.Errorf("the table has no row %q", row)
			}
		}
	}
	file, err := os.ReadFile(o.output)
	if err != nil || string(file) != out.String() {
		t.Errorf("file %q (%v), output %q", file, err, &out)
	}
}

func TestVerifier(t *testing.T) {
	v := newVerifier(rest, &orderv1.Order{Name: "orders/1"})
	for answer, want := range map[string]bool{
		`{"name":"orders/1"}`:            true,
		`{"name": "orders/1"}`:           true,
		`{"name":"orders/2"}`:            false,
		`{"name":"orders/1","note":"x"}`: false,
		`{"code":5}`:                     false,
		``:                               false,
	} {
		for range 2 { // A wrong answer is not remembered.
			if err := v.check([]byte(answer)); (err == nil) != want {
				t.Errorf("%q: %v", answer, err)
			}
		}
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
}

func TestChoose(t *testing.T) {
	if chosen, err := choose("list,get"); err != nil || len(chosen) != 2 || chosen[0].name != "list" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose("get,sing"); err == nil {
		t.Error("an unknown scenario was accepted")
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

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %v", values, got)
		}
	}
}
