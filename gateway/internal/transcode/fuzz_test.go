package transcode

import (
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Differential tests against the oracle. The same three are fuzz targets and, over a range of seeds, tests.

var roots = []string{"p3.All", "p2.All", "ed.All", "p3.Small", "wide.Wide", "p2.Must", "google.protobuf.Value", "google.protobuf.Any", "google.protobuf.Struct"}

// contents are what an Any may hold.
var contents = []string{
	"p3.Small", "p2.Must", "p3.All", "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.Any", "google.protobuf.Value",
	"google.protobuf.Struct", "google.protobuf.Empty", "google.protobuf.Int64Value", "google.protobuf.FieldMask", "no.such.Type", "ed.All",
}

var variants = []Options{
	{}, {EmitDefaults: true}, {UseProtoNames: true, UseEnumNumbers: true}, {DiscardUnknown: true}, {EmitDefaults: true, DiscardUnknown: true, UseProtoNames: true},
}

var rigs = func() (out []*rig) {
	for _, o := range variants {
		out = append(out, newRig(fixed, o))
	}
	return out
}()

func seed(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)*0x9e3779b97f4a7c15) }

func encodeOnce(t testing.TB, r *rig, md protoreflect.MessageDescriptor, d *dice) {
	t.Helper()
	r.checkEncode(t, md, d.wire(md, contents, 4))
}

func decodeOnce(t testing.TB, r *rig, md protoreflect.MessageDescriptor, d *dice) {
	t.Helper()
	r.checkDecode(t, md, []byte(d.json(md, contents, 4)))
}

// roundTripOnce goes from wire to JSON and back, and there again.
func roundTripOnce(t testing.TB, r *rig, md protoreflect.MessageDescriptor, d *dice) {
	t.Helper()
	text := r.checkEncode(t, md, d.wire(md, contents, 4))
	if text == nil {
		return
	}
	wire := r.checkDecode(t, md, text)
	if wire == nil {
		return // A null in a list, for example, cannot come back.
	}
	r.checkEncode(t, md, wire)
}

func randomRig(t testing.TB, d *dice) (*rig, protoreflect.MessageDescriptor) {
	t.Helper()
	s, err := newSchema(randomFile(d))
	if err != nil {
		t.Fatal(err)
	}
	return newRig(s, variants[d.n(len(variants))]), s.message(t, "rnd.A")
}

func TestDifferential(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	for name, once := range map[string]func(testing.TB, *rig, protoreflect.MessageDescriptor, *dice){
		"Encode": encodeOnce, "Decode": decodeOnce, "RoundTrip": roundTripOnce,
	} {
		for _, root := range roots {
			t.Run(name+"/"+root, func(t *testing.T) {
				md := fixed.message(t, root)
				for i := range n {
					once(t, rigs[i%len(rigs)], md, newDice(seed(i)))
				}
			})
		}
		t.Run(name+"/RandomSchema", func(t *testing.T) {
			for i := range n / 10 {
				d := newDice(seed(i))
				r, md := randomRig(t, d)
				for range 5 {
					once(t, r, md, d)
				}
			}
		})
	}
}

func addSeeds(f *testing.F) {
	for i := range 40 {
		f.Add(seed(i), byte(i))
	}
}

// target returns what the second fuzz argument selects: a schema, a root, options.
func target(t testing.TB, d *dice, which byte) (*rig, protoreflect.MessageDescriptor) {
	t.Helper()
	if which%4 == 3 {
		return randomRig(t, d)
	}
	i := int(which / 4)
	return rigs[i%len(rigs)], fixed.message(t, roots[i%len(roots)])
}

func FuzzEncode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		d := newDice(data)
		r, md := target(t, d, which)
		encodeOnce(t, r, md, d)
	})
}

func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		d := newDice(data)
		r, md := target(t, d, which)
		decodeOnce(t, r, md, d)
	})
}

func FuzzRoundTrip(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		d := newDice(data)
		r, md := target(t, d, which)
		roundTripOnce(t, r, md, d)
	})
}

// FuzzEncodeRaw gives the fuzzer the wire itself.
func FuzzEncodeRaw(f *testing.F) {
	for i := range 40 {
		f.Add(newDice(seed(i)).wire(fixed.message(f, roots[i%len(roots)]), contents, 4), byte(i))
	}
	f.Fuzz(func(t *testing.T, wire []byte, which byte) {
		i := int(which)
		rigs[i%len(rigs)].checkEncode(t, fixed.message(t, roots[i%len(roots)]), wire)
	})
}

// FuzzDecodeRaw gives the fuzzer the JSON itself.
func FuzzDecodeRaw(f *testing.F) {
	for i := range 40 {
		f.Add(newDice(seed(i)).json(fixed.message(f, roots[i%len(roots)]), contents, 4), byte(i))
	}
	f.Fuzz(func(t *testing.T, text string, which byte) {
		i := int(which)
		rigs[i%len(rigs)].checkDecode(t, fixed.message(t, roots[i%len(roots)]), []byte(text))
	})
}
