package transcode

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// wireOf makes canonical wire bytes of JSON, by the oracle.
func wireOf(t testing.TB, md protoreflect.MessageDescriptor, text string) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(md)
	if err := (protojson.UnmarshalOptions{Resolver: fixed.types, AllowPartial: true}).Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	wire, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// examples are messages as JSON, as it is written, one feature each. They are the corpus of tests in both directions.
var examples = []struct{ name, root, json string }{
	{"nothing", "p3.All", `{}`},
	{"integers", "p3.All", `{"i32":-1,"s32":-2,"u32":4294967295,"f32":7,"sf32":-2147483648}`},
	{"long integers are strings", "p3.All", `{"i64":"-9223372036854775808","s64":"-2","u64":"18446744073709551615","f64":"7","sf64":"-8"}`},
	{"bool", "p3.All", `{"bool":true}`},
	{"floats", "p3.All", `{"float":0.1,"double":-1.5e-7}`},
	{"floats beyond decimal notation", "p3.All", `{"float":1e+21,"double":1e-9}`},
	{"float without value", "p3.All", `{"float":"NaN","double":"-Infinity"}`},
	{"minus zero is a value", "p3.All", `{"float":-0}`},
	{"string escapes", "p3.All", `{"str":"\"\\/\b\f\n\r\t\u0001\u007f é 日本 🙂"}`},
	{"bytes", "p3.All", `{"bin":"+/8="}`},
	{"enum name", "p3.All", `{"enum":"TWO"}`},
	{"enum alias is its first name", "p3.All", `{"enum":"ONE"}`},
	{"enum number without name", "p3.All", `{"enum":99}`},
	{"enum names far apart", "p3.All", `{"enums":["BIG","SMALL","NEGATIVE","ZERO"]}`},
	{"closed enum, unknown number", "p2.All", `{"late":99,"lates":["LATE_FIVE",3]}`},
	{"message", "p3.All", `{"self":{"i32":1,"self":{}}}`},
	{"lists", "p3.All", `{"i32s":[0,1,-1],"strs":["","a"],"selfs":[{},{"i32":1}]}`},
	{"unpacked lists", "p3.All", `{"unI32":[0,1],"unDouble":[1.5,0]}`},
	{"long packed list", "p3.All", `{"i32s":[` + strings.Repeat("1000000,", 60) + `1]}`},
	{"maps", "p3.All", `{"mI32":{"a":0,"b":1},"byBool":{"false":"x","true":"y"},"byI64":{"-1":"x"},"byU64":{"18446744073709551615":""}}`},
	{"map to enum and message", "p3.All", `{"mEnum":{"1":"ONE","2":"ZERO"},"mSelf":{"1":{},"2":{"str":"x"}}}`},
	{"large map", "p3.All", `{"byI32":{` + numberedMembers(40) + `}}`},
	{"presence", "p3.All", `{"optI32":0,"optStr":"","optSelf":{},"optEnum":"ZERO","optBin":"","optDouble":0}`},
	{"oneof zero", "p3.All", `{"oneI32":0}`},
	{"oneof message", "p3.All", `{"oneSelf":{}}`},
	{"oneof null", "p3.All", `{"oneNull":null}`},
	{"oneof value", "p3.All", `{"oneValue":null}`},
	{"odd names", "p3.All", `{"odd \"näme\"\\":1,"LeadIng1":2}`},
	{"far field numbers", "p3.All", `{"far":1,"fars":[{"farthest":"x"}]}`},
	{"more than 64 fields", "wide.Wide", `{"f0":1,"f63":2,"f64":3,"f199":4,"y":{"f128":1,"x":0}}`},
	{"timestamps", "p3.All", `{"tsS":["0001-01-01T00:00:00Z","1970-01-01T00:00:00Z","2024-02-29T23:59:59.123Z","1969-12-31T23:59:59.999999999Z","9999-12-31T23:59:59.000001Z"]}`},
	{"durations", "p3.All", `{"durS":["0s","1s","-1.500s","-0.000000001s","315576000000s"]}`},
	{"field masks", "p3.All", `{"maskS":["","a","fooBar,b.cD"]}`},
	{"wrappers", "p3.All", `{"wbool":false,"wi32":0,"wi64":"0","wu32":1,"wu64":"1","wfloat":"NaN","wdouble":0.5,"wstr":"","wbin":"AA=="}`},
	{"struct", "p3.All", `{"struct":{"null":null,"n":1,"s":"x","b":true,"l":[1,[]],"o":{"p":{}}}}`},
	{"list value", "p3.All", `{"list":[null,1.5,"x",false,[],{}]}`},
	{"value null", "p3.All", `{"value":null,"valueS":[null,1],"mValue":{"a":null}}`},
	{"null value", "p3.All", `{"nullValues":[null],"optNull":null,"mNullValue":{"a":null}}`},
	{"empty", "p3.All", `{"empty":{}}`},
	{"any of nothing", "p3.All", `{"any":{}}`},
	{"any of a message", "p3.All", `{"any":{"@type":"type.googleapis.com/p3.Small","id":1}}`},
	{"any of an empty message", "p3.All", `{"any":{"@type":"type.googleapis.com/p3.Small"}}`},
	{"any of a well-known type", "p3.All", `{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`},
	{"any of an Empty", "p3.All", `{"any":{"@type":"type.googleapis.com/google.protobuf.Empty"}}`},
	{"any of any", "google.protobuf.Any", `{"@type":"a/google.protobuf.Any","value":{"@type":"b/google.protobuf.Value","value":null}}`},
	{"any may be incomplete", "p3.All", `{"any":{"@type":"x/p2.Must"}}`},
	{"value alone", "google.protobuf.Value", `[1,{"a":null}]`},
	{"timestamp alone", "google.protobuf.Timestamp", `"1970-01-01T00:00:00Z"`},
	{"required fields", "p2.All", `{"must":{"a":0,"b":"","e":"ZERO"}}`},
	{"proto2 presence", "p2.All", `{"i32":0,"str":"","withDefault":0}`},
	{"groups", "p2.All", `{"group":{"a":1,"group":[{"b":"x"},{}]},"groups":[{"c":true}]}`},
	{"extensions", "p2.All", `{"[p2.x_i32]":1,"[p2.x_str]":["a","b"],"[p2.x_all]":[{"[p2.x_packed]":["-1","2"]}]}`},
	{"extensions of well-known types", "p2.All", `{"[p2.x_ts]":"1970-01-01T00:00:01Z","[p2.x_value]":null,"[p2.x_null]":null}`},
	{"editions", "ed.All", `{"i32":0,"impI32":1,"expI32":[1,2],"delimited":{"i32":1},"delimiteds":[{},{}],"deeper":{"a":"x"},"closed":"C_TWO","must":{"a":1}}`},
}

// numberedMembers returns members whose names are numbers from 10 on.
func numberedMembers(n int) string {
	var members []string
	for i := range n {
		members = append(members, fmt.Sprintf(`"%d":"x"`, 10+i))
	}
	return strings.Join(members, ",")
}

func TestExamples(t *testing.T) {
	for _, x := range examples {
		t.Run(x.name, func(t *testing.T) {
			md := fixed.message(t, x.root)
			wire := wireOf(t, md, x.json)
			for _, r := range rigs {
				r.checkEncode(t, md, wire)
				r.checkDecode(t, md, []byte(x.json))
			}
			text, general, err := rigs[0].program(t, md).appendJSON(nil, wire)
			if err != nil || general {
				t.Fatalf("general path: %v, error: %v", general, err)
			}
			if !sameJSON(t, text, []byte(x.json)) {
				t.Errorf("got %s, want %s", text, x.json)
			}
			back, err := rigs[0].program(t, md).AppendWire(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			rigs[0].checkEncode(t, md, back)
		})
	}
}

func TestOptions(t *testing.T) {
	md := fixed.message(t, "p3.All")
	wire := wireOf(t, md, `{"i64":"7","enum":"TWO","byI64":{"1":"x"},"wu64":"3","unI32":[1],"u64s":["1"]}`)
	for _, c := range []struct {
		name    string
		options Options
		want    string
	}{
		{"default", Options{}, `{"i64":"7","enum":"TWO","byI64":{"1":"x"},"wu64":"3","unI32":[1],"u64s":["1"]}`},
		{"int64 as numbers", Options{Int64AsNumbers: true}, `{"i64":7,"enum":"TWO","byI64":{"1":"x"},"wu64":3,"unI32":[1],"u64s":[1]}`},
		{"enum numbers", Options{UseEnumNumbers: true}, `{"i64":"7","enum":2,"byI64":{"1":"x"},"wu64":"3","unI32":[1],"u64s":["1"]}`},
		{"proto names", Options{UseProtoNames: true}, `{"i64":"7","enum":"TWO","by_i64":{"1":"x"},"wu64":"3","un_i32":[1],"u64s":["1"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newRig(fixed, c.options).program(t, md)
			got, err := p.AppendJSON(nil, wire)
			if err != nil || !sameJSON(t, got, []byte(c.want)) {
				t.Errorf("got %s, %v", got, err)
			}
			if back, err := p.AppendWire(nil, got); err != nil {
				t.Errorf("cannot be read back: %x, %v", back, err)
			}
		})
	}
}

// wire builds wire bytes by hand: fields of p3.All by name.
type wire struct {
	t  testing.TB
	md protoreflect.MessageDescriptor
	b  []byte
}

func (w *wire) tag(name string, typ protowire.Type) *wire {
	fd := w.md.Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		w.t.Fatalf("no field %s", name)
	}
	w.b = protowire.AppendTag(w.b, fd.Number(), typ)
	return w
}

func (w *wire) varint(name string, v uint64) *wire {
	w.tag(name, protowire.VarintType)
	w.b = protowire.AppendVarint(w.b, v)
	return w
}

func (w *wire) bytes(name, v string) *wire {
	w.tag(name, protowire.BytesType)
	w.b = protowire.AppendString(w.b, v)
	return w
}

func TestPathTaken(t *testing.T) {
	md := fixed.message(t, "p3.All")
	from := func() *wire { return &wire{t: t, md: md} }
	for _, c := range []struct {
		name    string
		wire    []byte
		general bool
		want    string
	}{
		{"fields in reverse order", from().varint("i64", 2).varint("i32", 1).b, false, `{"i64":"2","i32":1}`},
		{"unknown field", append(from().varint("i32", 1).b, "\xc8\x3e\x05"...), false, `{"i32":1}`},
		{"wrong wire type is an unknown field", from().bytes("i32", "x").varint("i32", 1).b, false, `{"i32":1}`},
		{"explicit zero without presence", from().varint("i32", 0).b, false, `{}`},
		{"number wider than the field", from().varint("i32", 1<<32).varint("u32", 1<<32+5).varint("bool", 2).b, false, `{"u32":5,"bool":true}`},
		{"packed where unpacked is declared", from().bytes("un_i32", "\x01\x02").b, false, `{"unI32":[1,2]}`},
		{"unpacked where packed is declared", from().varint("i32s", 1).varint("i32s", 2).b, false, `{"i32s":[1,2]}`},
		{"packed and unpacked in one go", from().varint("i32s", 1).bytes("i32s", "\x02\x03").varint("i32s", 4).b, false, `{"i32s":[1,2,3,4]}`},
		{"empty packed list", from().bytes("i32s", "").b, false, `{}`},
		{"map entry without key", from().bytes("by_i32", "\x12\x01x").b, false, `{"byI32":{"0":"x"}}`},
		{"map entry without value", from().bytes("m_str", "\x0a\x01k").b, false, `{"mStr":{"k":""}}`},
		{"map entry of nothing", from().bytes("m_self", "").b, false, `{"mSelf":{"0":{}}}`},
		{"map entry, value first", from().bytes("m_str", "\x12\x01v\x0a\x01k").b, false, `{"mStr":{"k":"v"}}`},
		{"map entry with unknown field", from().bytes("m_str", "\x0a\x01k\x18\x01\x12\x01v").b, false, `{"mStr":{"k":"v"}}`},
		{"timestamp with seconds twice", from().bytes("ts", "\x08\x01\x08\x02").b, false, `{"ts":"1970-01-01T00:00:02Z"}`},
		{"tag longer than needed", []byte("\x88\x00\x07"), false, `{"bool":true}`},

		{"scalar twice", from().varint("i32", 1).varint("i32", 2).b, true, `{"i32":2}`},
		{"zero wins over one", from().varint("i32", 1).varint("i32", 0).b, true, `{}`},
		{"split message", from().bytes("self", string(from().varint("i32", 1).b)).bytes("self", string(from().varint("i64", 2).b)).b, true, `{"self":{"i32":1,"i64":"2"}}`},
		{"split timestamp", from().bytes("ts", "\x08\x01").bytes("ts", "\x10\x01").b, true, `{"ts":"1970-01-01T00:00:01.000000001Z"}`},
		{"scattered list", from().varint("i32s", 1).varint("i32", 1).varint("i32s", 2).b, true, `{"i32s":[1,2],"i32":1}`},
		{"scattered map", from().bytes("m_str", "\x0a\x01a").varint("i32", 1).bytes("m_str", "\x0a\x01b").b, true, `{"mStr":{"a":"","b":""},"i32":1}`},
		{"two members of a oneof", from().varint("one_i32", 1).bytes("one_str", "x").b, true, `{"oneStr":"x"}`},
		{"oneof member twice", from().bytes("one_self", "").bytes("one_self", string(from().varint("i32", 1).b)).b, true, `{"oneSelf":{"i32":1}}`},
		{"map key twice", from().bytes("m_i32", "\x0a\x01a\x10\x01").bytes("m_i32", "\x0a\x01a\x10\x02").b, true, `{"mI32":{"a":2}}`},
		{"map key twice, once by default", from().bytes("by_i32", "").bytes("by_i32", "\x08\x00\x12\x01x").b, true, `{"byI32":{"0":"x"}}`},
		{"map entry with value twice", from().bytes("m_i32", "\x0a\x01a\x10\x01\x10\x02").b, true, `{"mI32":{"a":2}}`},
		{"error that is overridden", from().bytes("ts", "\x08\x80\x80\x80\x80\x80\x80\x80\x7f").bytes("ts", "\x08\x01").b, true, `{"ts":"1970-01-01T00:00:01Z"}`},
		{"repeated content of an any", from().bytes("any", "\x0a\x0ax/p3.Small\x12\x04\x08\x01\x08\x02").b, true, `{"any":{"@type":"x/p3.Small","id":2}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range rigs {
				r.checkEncode(t, md, c.wire)
			}
			got, general, err := rigs[0].program(t, md).appendJSON(nil, c.wire)
			if err != nil || general != c.general {
				t.Fatalf("general path: %v, error %v", general, err)
			}
			if !sameJSON(t, got, []byte(c.want)) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestLargeMapWithAKeyTwice(t *testing.T) {
	md := fixed.message(t, "p3.All")
	for _, n := range []int{1, 7, 8, 9, 16, 17, 100, 5000} {
		w := &wire{t: t, md: md}
		for i := range n {
			entry := protowire.AppendVarint([]byte{8}, uint64(i))
			w.bytes("by_i32", string(append(entry, "\x12\x01x"...)))
		}
		p := rigs[0].program(t, md)
		if _, general, err := p.appendJSON(nil, w.b); general || err != nil {
			t.Errorf("%d keys: general path %v, error %v", n, general, err)
		}
		w.bytes("by_i32", "\x08\x00\x12\x01y")
		if _, general, err := p.appendJSON(nil, w.b); !general || err != nil {
			t.Errorf("%d keys and one twice: general path %v, error %v", n, general, err)
		}
	}
}
