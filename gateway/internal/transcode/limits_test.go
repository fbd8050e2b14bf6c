package transcode

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func TestLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"self":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	nestedAny := func(n int) string {
		return strings.Repeat(`{"@type":"x/google.protobuf.Any","value":`, n) + "{}" + strings.Repeat("}", n)
	}
	for _, c := range []struct {
		name, root string
		limits     Limits
		fits, not  string
	}{
		{"depth", "p3.All", Limits{MaxDepth: 5}, nested(5), nested(6)},
		{"default depth", "p3.All", Limits{}, nested(100), nested(101)},
		{"depth of values", "google.protobuf.Value", Limits{MaxDepth: 5}, "[[[[1]]]]", "[[[[[1]]]]]"},
		{"nesting of Any", "google.protobuf.Any", Limits{MaxAnyNesting: 3}, nestedAny(3), nestedAny(4)},
		{"default nesting of Any", "google.protobuf.Any", Limits{}, nestedAny(8), nestedAny(9)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{fixed, New(Options{Resolver: fixed.types, Limits: c.limits}), Options{}}
			p := r.program(t, fixed.message(t, c.root))
			wire, err := p.AppendWire(nil, []byte(c.fits))
			if err != nil {
				t.Fatalf("%s: %v", c.fits, err)
			}
			if _, err := p.AppendJSON(nil, wire); err != nil {
				t.Errorf("%x: %v", wire, err)
			}
			if _, err := p.AppendWire(nil, []byte(c.not)); !isLimit(err) {
				t.Errorf("%s: %v", c.not, err)
			}
			wire = wireOf(t, fixed.message(t, c.root), c.not)
			if _, general, err := p.appendJSON(nil, wire); !isLimit(err) || general {
				t.Errorf("%x: %v, general path %v", wire, err, general)
			}
		})
	}
}

// TestTypeBehindDeepContent makes sure that looking for the type does not refuse what reading it first would not.
func TestTypeBehindDeepContent(t *testing.T) {
	deep := strings.Repeat(`{"selfs":[`, 98) + strings.Repeat(`]}`, 98)
	p, err := New(Options{Resolver: fixed.types}).Message(fixed.message(t, "google.protobuf.Any"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{`{"@type":"x/p3.All","self":` + deep + `}`, `{"self":` + deep + `,"@type":"x/p3.All"}`} {
		if _, err := p.AppendWire(nil, []byte(in)); err != nil {
			t.Error(err)
		}
	}
}

func TestSkippedJSONIsLimited(t *testing.T) {
	p, err := New(Options{DiscardUnknown: true}).Message(fixed.message(t, "p3.Small"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{
		`{"unknown":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + "}",
		`{"unknown":1` + strings.Repeat("0", 600) + "}",
	} {
		if _, err := p.AppendWire(nil, []byte(in)); !isLimit(err) {
			t.Errorf("%.30s: %v", in, err)
		}
	}
}

func TestMaxOutputOfJSON(t *testing.T) {
	c := New(Options{EmitDefaults: true, Limits: Limits{MaxOutput: 1 << 16}})
	p, err := c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, md: fixed.message(t, "p3.All")}
	for range 1000 {
		w.bytes("selfs", "") // Two bytes become thousands.
	}
	out, err := p.AppendJSON(nil, w.b)
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Limit || out != nil {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// bombs are bodies of about a megabyte that try to cost more than their size.
func bombs() map[string]struct{ root, body string } {
	const size = 1 << 20
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	list := func(element string) string { return "[" + strings.TrimSuffix(fill(element+","), ",") + "]" }
	keys := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format+",", i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	anys := `"x"`
	for range 7 {
		anys = `{"value":` + anys + `,"@type":"x/google.protobuf.Any"}`
	}
	return map[string]struct{ root, body string }{
		"arrays without end":          {"google.protobuf.Value", fill("[")},
		"objects without end":         {"p3.All", fill(`{"self":`)},
		"keys":                        {"p3.All", `{"mStr":` + keys(`"%d":""`) + "}"},
		"keys that are numbers":       {"p3.All", `{"byI64":` + keys(`"%d":""`) + "}"},
		"keys of a struct":            {"google.protobuf.Struct", keys(`"%d":0`)},
		"unknown members":             {"p3.All", keys(`"%d":0`)},
		"members of one name":         {"p3.All", "{" + fill(`"i32":0,`)},
		"a long number":               {"p3.All", `{"double":1` + fill("0") + "}"},
		"long numbers":                {"p3.All", `{"doubles":` + list("0.3"+strings.Repeat("123456789", 56)) + "}"},
		"numbers with exponents":      {"p3.All", `{"doubles":` + list("1.7976931348623157e308") + "}"},
		"tiny numbers":                {"p3.All", `{"doubles":` + list("4.9406564584124654e-324") + "}"},
		"numbers between floats":      {"p3.All", `{"doubles":` + list(between()) + "}"},
		"long numbers between floats": {"p3.All", `{"doubles":` + list(longBetween()) + "}"},
		"numbers for integers":        {"p3.All", `{"i64s":` + list("9000000000000000000e-9") + "}"},
		"escapes":                     {"p3.All", `{"str":"` + fill(`\u0001`) + `"}`},
		"pairs of surrogates":         {"p3.All", `{"str":"` + fill(`\ud83d\ude42`) + `"}`},
		"escapes for base64":          {"p3.All", `{"bin":"` + fill(`\u0041\u0041`) + `"}`},
		"text of other scripts":       {"p3.All", `{"str":"` + fill("日") + `"}`},
		"empty messages":              {"p3.All", `{"selfs":` + list("{}") + "}"},
		"empty wide messages":         {"p3.All", `{"fars":` + list("{}") + "}"},
		"short strings":               {"p3.All", `{"strs":` + list(`""`) + "}"},
		"values":                      {"google.protobuf.Value", list("0")},
		"maps of one":                 {"google.protobuf.Value", list(`{"":0}`)},
		"types behind contents":       {"google.protobuf.Any", strings.Replace(anys, `"x"`, `{"value":`+list("0")+`,"@type":"x/google.protobuf.ListValue"}`, 1)},
		"many small Any":              {"p3.All", `{"anyS":` + list(`{"id":1,"@type":"x/p3.Small"}`) + "}"},
		"a path of many steps":        {"p3.All", `{"mask":"` + fill("aB,") + `a"}`},
		"white space":                 {"p3.All", "{" + fill(" ") + "}"},
		"deep and large":              {"p3.All", strings.Repeat(`{"self":`, 98) + `{"str":"` + fill("x") + `"}` + strings.Repeat("}", 98)},
	}
}

// between returns a number that one has to look at closely: the middle between two large floats, as short as it can be.
func between() string { return middle(1e300).Text('e', 20) }

func longBetween() string { return middle(1e300).Text('f', 0) }

func middle(f float64) *big.Float {
	sum := new(big.Float).SetPrec(2000).SetFloat64(f)
	sum.Add(sum, big.NewFloat(math.Nextafter(f, math.Inf(1))))
	return sum.Quo(sum, big.NewFloat(2))
}

// body is something to read, and what reads it.
type body struct {
	p    *Program
	text []byte
	buf  []byte
}

func newBody(t *testing.T, root protoreflect.MessageDescriptor, text []byte) *body {
	t.Helper()
	p, err := New(Options{Resolver: fixed.types}).Message(root)
	if err != nil {
		t.Fatal(err)
	}
	return &body{p: p, text: text}
}

// memory returns what reading the body leaves in memory: the message, and what the compiler keeps for the next.
func (b *body) memory() (int64, error) {
	before := heap(3)
	var err error
	b.buf, err = b.p.AppendWire(nil, b.text)
	return heap(1) - before, err // A second collection would empty the pools.
}

func (b *body) time() time.Duration {
	start := time.Now()
	if out, err := b.p.AppendWire(b.buf[:0], b.text); err == nil {
		b.buf = out
	}
	return time.Since(start)
}

// ratio returns how many times longer one body takes than another: the shortest times of several runs, and of some more
// while it is above the limit, since the machine may have other things to do.
func ratio(one, other *body, limit float64) float64 {
	a, b := time.Hour, time.Hour
	for n := range 40 {
		a, b = min(a, one.time()), min(b, other.time())
		if n >= 4 && float64(a) <= limit*float64(b) {
			break
		}
	}
	return float64(a) / float64(b)
}

func heap(collections int) int64 {
	var s runtime.MemStats
	for range collections {
		runtime.GC()
	}
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestBombs makes sure that no body costs more than ten times what an ordinary one of its size does.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	ordinary, err := protojson.Marshal(orders(1 << 20))
	if err != nil {
		t.Fatal(err)
	}
	usual := newBody(t, orders(0).ProtoReflect().Descriptor(), ordinary)
	memory, err := usual.memory()
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range bombs() {
		t.Run(name, func(t *testing.T) {
			const limit = 10
			bomb := newBody(t, fixed.message(t, x.root), []byte(x.body))
			kept, refused := bomb.memory()
			times, memories := ratio(bomb, usual, limit), float64(kept)/float64(memory)
			t.Logf("%.1f times the time, %.1f times the memory, %.80v", times, memories, refused)
			if times > limit || memories > limit {
				t.Error("that is too much")
			}
		})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for _, x := range examples {
		if strings.Contains(x.name, "extension") {
			continue // Remembering which have been seen takes memory, and resolvers make their answers.
		}
		p := rigs[0].program(t, fixed.message(t, x.root))
		wire := wireOf(t, fixed.message(t, x.root), x.json)
		buf := make([]byte, 0, 4096)
		if n := leastAllocs(func() { p.AppendJSON(buf, wire) }); n > 0 {
			t.Errorf("%s: %v allocations on the way to JSON", x.name, n)
		}
		if n := leastAllocs(func() { p.AppendWire(buf, []byte(x.json)) }); n > 2 {
			t.Errorf("%s: %v allocations on the way to the wire", x.name, n)
		}
	}
}

// leastAllocs is what f allocates once the pools are warm. The least of many
// tries, because the race detector makes a pool lose things at random.
func leastAllocs(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 30 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

func TestConcurrentUse(t *testing.T) {
	c := New(Options{Resolver: fixed.types})
	done := make(chan error)
	for i := range 8 {
		go func() {
			for n := range examples {
				x := examples[(n+i*7)%len(examples)]
				p, err := c.Message(fixed.message(t, x.root))
				if err != nil {
					done <- err
					return
				}
				wire, err := p.AppendWire(nil, []byte(x.json))
				if err == nil {
					_, err = p.AppendJSON(nil, wire)
				}
				if err != nil {
					done <- fmt.Errorf("%s: %w", x.name, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
