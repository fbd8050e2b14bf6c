package transcode

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Generators of wire bytes, JSON and schemas. They draw from fuzz input as long as there is some, so that the fuzzer
// steers them, and then from a generator that the input seeds. What they make is mostly right, and wrong now and then.

type dice struct {
	data []byte
	rest *rand.Rand
	// careful dice make mistakes so rarely that most of what they make has none.
	careful bool
}

func newDice(data []byte) *dice {
	var seed uint64
	for _, c := range data {
		seed = seed*31 + uint64(c)
	}
	return &dice{data, rand.New(rand.NewPCG(seed, 0)), seed%4 != 0}
}

// wrong reports whether to make a mistake.
func (d *dice) wrong() bool {
	if d.careful {
		return d.in(100)
	}
	return d.in(3)
}

// n returns a number from 0 to n-1.
func (d *dice) n(n int) int {
	if len(d.data) > 0 && n <= 256 {
		v := int(d.data[0])
		d.data = d.data[1:]
		return v % n
	}
	return d.rest.IntN(n)
}

// in reports true once in n times.
func (d *dice) in(n int) bool { return d.n(n) == n-1 }

func pick[T any](d *dice, from ...T) T { return from[d.n(len(from))] }

// some returns how many members a message gets: few, as a rule.
func (d *dice) some() int {
	if d.in(20) {
		return d.n(60)
	}
	return d.n(6)
}

func (d *dice) bits() uint64 {
	return pick(d, 0, 1, 2, 5, 127, 128, 300, 1<<31-1, 1<<31, 1<<32-1, 1<<32, 1<<53+1, 1<<63-1, 1<<63, math.MaxUint64,
		math.MaxUint64-4, math.Float64bits(1.5), math.Float64bits(-1e-7), math.Float64bits(1e21), math.Float64bits(math.NaN()),
		math.Float64bits(math.Inf(-1)), 1<<63, uint64(math.Float32bits(0.1)), uint64(math.Float32bits(1e-9)),
		uint64(math.Float32bits(float32(math.Inf(1)))), 1<<31, d.rest.Uint64(), d.rest.Uint64()>>40)
}

func (d *dice) str() string {
	return pick(d, "", "a", "key", "plain text of some length", "quote\" and \\ slash", "\x00\x01\n\r\t\b\f\x1f\x7f", "naïve",
		"日本語のテキスト", "🙂 astral", "\u2028", "\ufffd", "bad \xff utf-8", "\xed\xa0\x80", strings.Repeat("long ", 60), "@type",
		"1", "null", "true", "1970-01-01T00:00:00Z", strings.Repeat("é", 10)+"\n", "1234567\x1f", "12345678é")
}

func (d *dice) wire(md protoreflect.MessageDescriptor, types []string, depth int) []byte {
	var b []byte
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		if !d.in(8) {
			return d.instant(md.Name() == "Duration")
		}
	case "google.protobuf.FieldMask":
		for range d.n(4) {
			path := pick(d, "foo_bar", "a.b_c.d", "x", "foo_bar.baz_qux1", "a1", "fooBar", "a__b", "_a", "a_", "", "a b", "a.", "1a", "a_1", "é")
			b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), path)
		}
		return b
	case "google.protobuf.Any":
		if !d.in(10) {
			return d.any(types, depth)
		}
	case "google.protobuf.Value":
		if !d.in(10) {
			return d.field(nil, md.Fields().Get(d.n(6)), types, depth-1)
		}
	}
	for range d.some() {
		b = d.someField(b, md, types, depth)
	}
	if d.in(60) {
		b = append(b, pick(d, "\xff", "\x08", "\x0c", "\x07", "\x00", "\x0a\x05a", "\xfa\xff\xff\xff\x7f\x00", "\x80")...)
	}
	return b
}

func (d *dice) instant(duration bool) []byte {
	seconds := pick[int64](d, 0, 1, -1, 1700000000, -62135596800, 253402300799, 951782400, 951868799, 4107542399, -2203891200, 253402300800,
		-62135596801, 315576000000, -315576000000, 315576000001, d.rest.Int64N(1<<38)-1<<37)
	nanos := pick[int64](d, 0, 0, 1, 999999999, 500000000, 1000, 123456000, 100000000, -1, -500000000, 1000000000)
	if duration && (nanos < 0) != (seconds < 0) && !d.in(5) {
		nanos = -nanos
	}
	var b []byte
	if seconds != 0 || d.in(2) {
		b = protowire.AppendVarint(append(b, 8), uint64(seconds))
	}
	if nanos != 0 || d.in(2) {
		b = protowire.AppendVarint(append(b, 16), uint64(nanos))
	}
	if d.in(20) {
		b = append(b, pick(d, "\x08\x01", "\x10\x02", "\x1a\x00", "\x0a\x00")...)
	}
	return b
}

func (d *dice) any(types []string, depth int) []byte {
	name := pick(d, types...)
	var value []byte
	if md := lookupMessage(name); md != nil && depth > 0 {
		value = d.wire(md, types, depth-2)
	}
	b := protowire.AppendString([]byte{0x0a}, pick(d, "type.googleapis.com/", "", "/", "x/y/")+name)
	b = protowire.AppendBytes(append(b, 0x12), value)
	if d.in(20) {
		b = append(b, pick(d, "\x12\x00", "\x0a\x00", "\x0a\x01x")...)
	}
	return b
}

func lookupMessage(name string) protoreflect.MessageDescriptor {
	md, err := fixed.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	return md.(protoreflect.MessageDescriptor)
}

func (d *dice) someField(b []byte, md protoreflect.MessageDescriptor, types []string, depth int) []byte {
	fds := md.Fields()
	switch d.n(24) {
	case 0: // Unknown.
		return protowire.AppendVarint(protowire.AppendTag(b, 999, protowire.VarintType), d.bits())
	case 1:
		b = protowire.AppendTag(b, 998, protowire.StartGroupType)
		b = append(b, 0x08, 0x01)
		return protowire.AppendTag(b, 998, protowire.EndGroupType)
	case 2: // A known number with some type.
		if fds.Len() > 0 {
			return d.raw(b, fds.Get(d.n(fds.Len())).Number())
		}
	case 3:
		if md.ExtensionRanges().Len() > 0 {
			if x := pick(d, extensions(md.FullName())...); x != nil {
				return d.field(b, x, types, depth)
			}
		}
	}
	if fds.Len() == 0 {
		return b
	}
	fd := fds.Get(d.n(fds.Len()))
	b = d.field(b, fd, types, depth)
	if d.in(12) {
		b = d.field(b, fd, types, depth)
	}
	return b
}

func extensions(name protoreflect.FullName) []protoreflect.FieldDescriptor {
	out := []protoreflect.FieldDescriptor{nil}
	fixed.files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Extensions().Len() {
			if x := f.Extensions().Get(i); x.ContainingMessage().FullName() == name {
				out = append(out, x)
			}
		}
		return true
	})
	return out
}

func (d *dice) raw(b []byte, num protowire.Number) []byte {
	switch d.n(4) {
	case 0:
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), d.bits())
	case 1:
		return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), uint32(d.bits()))
	case 2:
		return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), d.bits())
	default:
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), d.str())
	}
}

func (d *dice) field(b []byte, fd protoreflect.FieldDescriptor, types []string, depth int) []byte {
	if fd.Message() != nil && depth <= 0 {
		return b
	}
	switch {
	case fd.IsMap():
		for range 1 + d.some() {
			b = protowire.AppendTag(b, fd.Number(), protowire.BytesType)
			b = protowire.AppendBytes(b, d.entry(fd, types, depth))
		}
	case fd.IsList():
		typ := wireType(fd.Kind())
		for range 1 + d.n(3) {
			if packable(fd.Kind()) && d.in(2) {
				var p []byte
				for range d.n(4) {
					p = d.value(p, fd, types, depth)
				}
				b = protowire.AppendBytes(protowire.AppendTag(b, fd.Number(), protowire.BytesType), p)
				continue
			}
			b = d.value(protowire.AppendTag(b, fd.Number(), typ), fd, types, depth)
		}
	default:
		b = d.value(protowire.AppendTag(b, fd.Number(), wireType(fd.Kind())), fd, types, depth)
	}
	return b
}

func (d *dice) entry(fd protoreflect.FieldDescriptor, types []string, depth int) []byte {
	var b []byte
	add := func(fd protoreflect.FieldDescriptor) {
		b = d.value(protowire.AppendTag(b, fd.Number(), wireType(fd.Kind())), fd, types, depth)
	}
	switch d.n(16) {
	case 0:
		add(fd.MapKey())
	case 1:
		add(fd.MapValue())
	case 2:
		add(fd.MapValue())
		add(fd.MapKey())
	case 3:
		add(fd.MapKey())
		add(fd.MapKey())
		add(fd.MapValue())
		add(fd.MapValue())
	case 4:
		b = d.raw(b, 1)
		b = d.raw(b, 2)
		b = d.raw(b, 3)
	case 5:
	default:
		add(fd.MapKey())
		add(fd.MapValue())
	}
	return b
}

func wireType(k protoreflect.Kind) protowire.Type { return kinds[k].wire }

func packable(k protoreflect.Kind) bool {
	return wireType(k) != protowire.BytesType && wireType(k) != protowire.StartGroupType
}

func (d *dice) value(b []byte, fd protoreflect.FieldDescriptor, types []string, depth int) []byte {
	switch kind := fd.Kind(); kind {
	case protoreflect.MessageKind:
		return protowire.AppendBytes(b, d.wire(fd.Message(), types, depth-1))
	case protoreflect.GroupKind:
		b = append(b, d.wire(fd.Message(), types, depth-1)...)
		return protowire.AppendTag(b, fd.Number(), protowire.EndGroupType)
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.AppendString(b, d.str())
	default:
		switch wireType(kind) {
		case protowire.Fixed32Type:
			return protowire.AppendFixed32(b, uint32(d.bits()))
		case protowire.Fixed64Type:
			return protowire.AppendFixed64(b, d.bits())
		default:
			return protowire.AppendVarint(b, d.bits())
		}
	}
}

// json appends a value of JSON that a message may be read from.
func (d *dice) json(md protoreflect.MessageDescriptor, types []string, depth int) string {
	if d.in(20) && d.wrong() {
		return d.junk()
	}
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		if !d.wrong() {
			return `"` + pick(d, "1970-01-01T00:00:00Z", "2024-02-29T23:59:59.123456789Z", "2024-01-01T00:00:00.5+01:30", "1600-02-29T12:00:00Z", "9999-12-31T23:59:59.9Z") + `"`
		}
		return `"` + pick(d, "1970-01-01T00:00:00Z", "2024-02-29T23:59:59.123456789Z", "2023-02-29T00:00:00Z", "0001-01-01T00:00:00Z",
			"9999-12-31T23:59:59.999999999Z", "10000-01-01T00:00:00Z", "0000-12-31T23:59:59Z", "2024-01-01T00:00:00+01:30",
			"2024-01-01T00:00:00-23:59", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01t00:00:00z",
			"2024-01-01T24:00:00Z", "2024-01-01T23:60:00Z", "2024-01-01T23:59:60Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
			"2024-04-31T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00,5Z", "2024-01-01T00:00:00.Z", "",
			"2024-01-01T0:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", `2024-01-01T00:00:00\u005a`) + `"`
	case "google.protobuf.Duration":
		if !d.wrong() {
			return `"` + pick(d, "1s", "-1.5s", "0.000000001s", "-0.1s", "315576000000s") + `"`
		}
		return `"` + pick(d, "1s", "-1.5s", "0s", "0.000000001s", "315576000000s", "315576000001s", "1", "s", ".s", "1.s", ".5s", "+1s", "-s",
			"-.1s", "00s", "01s", "1.1234567890s", "99999999999999999999s", "1e3s", " 1s", "-0s", "--1s", "1.-5s", "-315576000000.999999999s") + `"`
	case "google.protobuf.FieldMask":
		if !d.wrong() {
			return `"` + pick(d, "", "fooBar", "a,b", "a.bC,d") + `"`
		}
		return `"` + pick(d, "", "fooBar", "a,b", "a.bC,d", "foo_bar", "a,,b", ",", " a ", "a b", "1a", "aB1", "A", "é", ".", "a.", `\n`) + `"`
	case "google.protobuf.Any":
		return d.anyJSON(types, depth)
	case "google.protobuf.Struct":
		return d.free(max(depth, 1), '{')
	case "google.protobuf.ListValue":
		return d.free(max(depth, 1), '[')
	case "google.protobuf.Value":
		return d.free(depth, pick(d, '{', '[', '"', '1', 'n', 't'))
	}
	if knownTypes[md.FullName()] == knownWrapper {
		return d.scalarJSON(md.Fields().Get(0))
	}
	return d.object(d.members(md, types, depth))
}

func (d *dice) members(md protoreflect.MessageDescriptor, types []string, depth int) []string {
	var members []string
	fds := md.Fields()
	for range d.some() {
		if fds.Len() == 0 {
			break
		}
		fd := fds.Get(d.n(fds.Len()))
		if md.ExtensionRanges().Len() > 0 && d.in(8) {
			if x := pick(d, extensions(md.FullName())...); x != nil {
				fd = x
			}
		}
		if fd.Message() != nil && depth <= 0 {
			continue
		}
		name := pick(d, fd.JSONName(), fd.JSONName(), fd.JSONName(), fd.TextName(), fd.TextName(), string(fd.Name()), strings.ToLower(fd.TextName()))
		members = append(members, d.quote(name)+d.space()+":"+d.space()+d.fieldJSON(fd, types, depth))
	}
	for _, fd := range protoreflectRequired(md) {
		if !d.wrong() && (depth > 0 || fd.Message() == nil) {
			members = append(members, d.quote(fd.JSONName())+":"+d.fieldJSON(fd, types, depth))
		}
	}
	if d.in(10) && d.wrong() {
		members = append(members, pick(d, `"unknown":1`, `"[p2.x_i32]":7`, `"[no.such]":[1,{"a":null}]`, `"[p3.All]":1`, `"@type":"x"`, `"":null`,
			`"unknown":{"a":1,"a":2}`, `"unknown":"\ud800"`, `"[]":1`))
	}
	return members
}

func protoreflectRequired(md protoreflect.MessageDescriptor) (out []protoreflect.FieldDescriptor) {
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); fd.Cardinality() == protoreflect.Required {
			out = append(out, fd)
		}
	}
	return out
}

func (d *dice) object(members []string) string {
	s := "{" + d.space() + strings.Join(members, d.space()+","+d.space()) + d.space() + "}"
	if d.in(20) && d.wrong() {
		s = strings.Replace(s, pick(d, ",", ":", "}", `"`, "{"), pick(d, "", ",", ":", "}"), 1)
	}
	return s
}

func (d *dice) space() string {
	if d.in(200) && d.wrong() {
		return "\v"
	}
	return pick(d, "", "", "", "", "", "", " ", "\n\t", "\r  ")
}

func (d *dice) quote(s string) string {
	q := quote(s)
	if d.in(10) && len(s) > 0 && s[0] < 0x80 {
		q = fmt.Sprintf(`"\u%04x`, s[0]) + quote(s[1:])[1:]
	}
	return q
}

func (d *dice) anyJSON(types []string, depth int) string {
	name := pick(d, types...)
	md := lookupMessage(name)
	if md == nil || depth <= 0 {
		if !d.wrong() {
			return pick(d, "{}", `{"@type":"x/google.protobuf.Empty"}`)
		}
		return pick(d, `{"@type":"no/such.Type"}`, `{"a":1}`, `{"@type":""}`, `{"@type":1}`, `{"@type":"x/google.protobuf.Empty"}`)
	}
	var members []string
	if known := knownTypes[md.FullName()]; known != none && !d.in(10) {
		if known != knownEmpty || d.in(2) {
			members = append(members, `"value":`+d.json(md, types, depth-2))
		}
	} else {
		members = d.members(md, types, depth-2)
	}
	typ := `"@type"` + d.space() + ":" + quote(pick(d, "type.googleapis.com/", "", "x/y/")+name)
	for range 1 + boolInt(d.in(20) && d.wrong()) {
		i := pick(d, 0, 0, d.n(len(members)+1))
		i = min(i, len(members))
		members = append(members[:i:i], append([]string{typ}, members[i:]...)...)
	}
	return d.object(members)
}

func boolInt(b bool) int { return int(boolNumber(b)) }

// free makes any JSON.
func (d *dice) free(depth int, first rune) string {
	switch {
	case first == '{' && depth > 0:
		var members []string
		for range d.n(4) {
			members = append(members, d.quote(pick(d, "a", "b", "c", "é", "@type", ""))+":"+d.free(depth-1, pick(d, '{', '[', '"', '1', 'n', 't')))
		}
		return d.object(members)
	case first == '[' && depth > 0:
		var values []string
		for range d.n(4) {
			values = append(values, d.free(depth-1, pick(d, '{', '[', '"', '1', 'n', 't')))
		}
		return "[" + strings.Join(values, ",") + "]"
	case first == '1' && !d.wrong():
		return pick(d, "0", "-1.5e3", "1e-7")
	case first == '1':
		return d.numberJSON()
	case first == 'n':
		return "null"
	case first == 't':
		return pick(d, "true", "false")
	default:
		return d.quote(d.str())
	}
}

func (d *dice) junk() string {
	return pick(d, "null", "1", `"x"`, "{}", "[]", "true", "", "nul", `{"a":}`, "[1,]", "1e", "01", "+1", `"\x"`, `"`, "[null]", `{"":null}`, "1e400", "\x00")
}

func (d *dice) fieldJSON(fd protoreflect.FieldDescriptor, types []string, depth int) string {
	if d.in(10) && d.wrong() {
		return d.junk()
	}
	switch {
	case fd.IsMap():
		var members []string
		for range d.some() {
			members = append(members, d.quote(d.keyJSON(fd.MapKey()))+":"+d.valueJSON(fd.MapValue(), types, depth))
		}
		return d.object(members)
	case fd.IsList():
		var values []string
		for range d.n(4) {
			values = append(values, d.valueJSON(fd, types, depth))
		}
		return "[" + d.space() + strings.Join(values, ",") + d.space() + "]"
	default:
		return d.valueJSON(fd, types, depth)
	}
}

func (d *dice) keyJSON(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return d.str()
	case protoreflect.BoolKind:
		if !d.wrong() {
			return pick(d, "true", "false")
		}
		return pick(d, "True", "1")
	default:
		if !d.wrong() {
			return strconv.Itoa(d.n(100000))
		}
		return pick(d, "0", "1", "-1", "+1", "01", "2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "-0",
			"9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "", " 1", "1.0", "1e1", "1_0", "0x1",
			"00000000000000000000000000000001", "-")
	}
}

func (d *dice) valueJSON(fd protoreflect.FieldDescriptor, types []string, depth int) string {
	if fd.Message() != nil {
		return d.json(fd.Message(), types, depth-1)
	}
	return d.scalarJSON(fd)
}

func (d *dice) numberJSON() string {
	return pick(d, "0", "1", "-1", "-0", "1.0", "1.5", "1e3", "1E+2", "1e-2", "100e-2", "0.5e1", "1.20e1", "2147483647", "2147483648", "-2147483648",
		"-2147483649", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "1e19", "1e20", "1e400", "-1e400", "1e-400", "3.4028235e38", "3.5e38", "1e99999999999", "0e99999999999",
		"0.0", "-0.0", "123456789012345678901234567890", "0.1", "1.0000000000000000000000000000000000001", "00", "1.", ".5", "-", "1e", "1e+",
		"1844674407370955161.5e1", "10000000000000000000000e-3", strconv.FormatUint(d.rest.Uint64(), 10),
		strconv.FormatFloat(math.Float64frombits(d.rest.Uint64()), 'g', -1, 64))
}

// rightJSON makes a value that every field of the kind takes.
func (d *dice) rightJSON(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return pick(d, "true", "false")
	case protoreflect.StringKind:
		return pick(d, quote(d.str()), `"\ud83d\ude42"`, `"\/\b\u00e9"`, `""`)
	case protoreflect.BytesKind:
		return `"` + base64.StdEncoding.EncodeToString([]byte(d.str())) + `"`
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return pick(d, quote(string(values.Get(d.n(values.Len())).Name())), "0", "77")
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return pick(d, "1.5", "-1e-7", `"NaN"`, `"-Infinity"`, "0", "-0.0", "1e30", "12345678901234567890123", `"2.5"`, "1e-40", strconv.FormatFloat(d.rest.NormFloat64(), 'g', -1, 64))
	default:
		return pick(d, "0", "1", `"1"`, "1.0", "1e2", "2147483647", "100e-2", `"12"`, strconv.Itoa(d.n(1<<20)))
	}
}

func (d *dice) scalarJSON(fd protoreflect.FieldDescriptor) string {
	if !d.wrong() {
		return d.rightJSON(fd)
	}
	if d.in(10) {
		return d.junk()
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return pick(d, "true", "false", "true", "false", `"true"`, "1", "null")
	case protoreflect.StringKind:
		return pick(d, d.quote(d.str()), d.quote(d.str()), d.quote(d.str()), `"\ud83d\ude42"`, `"\ud83d"`, `"\ude42\ud83d"`, `"\/\b\f\n\r\t\"\\"`, "\"\x01\"", "\"\xff\"",
			`"\u00e9\u65e5"`, `"\uD83D\uDE42!"`, `"\ud83dx\ude42"`, `"\ud83d\u0041"`, `"\u12"`, `"\u12G4"`, `"\`)
	case protoreflect.BytesKind:
		s := base64.StdEncoding.EncodeToString([]byte(d.str()))
		return `"` + pick(d, s, strings.TrimRight(s, "="), base64.URLEncoding.EncodeToString([]byte("\xfb\xff\xfe")), "-_-_", "+/+/", "+_+_", "A", "AA", "AAA", "AAA=", "AA==", "AA=",
			"A===", "A A=", `AA\n==`, `\u0041A==`, "é", "AB==", `A\nAA`, "_w", "_w==", "/w", "AAAAA") + `"`
	case protoreflect.EnumKind:
		names := []string{"0", "1", "5", "-5", "999", "2147483648", "1.0", "1e0", `"NO_SUCH"`, `"0"`, "null"}
		for i := range fd.Enum().Values().Len() {
			names = append(names, quote(string(fd.Enum().Values().Get(i).Name())))
		}
		return pick(d, names...)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if d.in(4) {
			return pick(d, `"NaN"`, `"Infinity"`, `"-Infinity"`, `"nan"`, `"1.5"`, `" 1"`, `"1 "`, `""`, `"+1"`, `"1e3"`, `"inf"`, `"0x1p1"`, `"1_0"`, `"\u0031"`)
		}
		return d.numberJSON()
	default:
		n := d.numberJSON()
		if d.in(4) {
			return pick(d, `"`+n+`"`, `"`+n+`"`, `" 1"`, `"1 "`, `""`, `"0x1"`, `"\u0031"`, "\"1\u00a0\"")
		}
		return n
	}
}

// randomFile makes a schema.
func randomFile(d *dice) *descriptorpb.FileDescriptorProto {
	names := []string{"A", "B", "C"}
	var types []*descriptorpb.DescriptorProto
	syntax := pick(d, "proto3", "proto2", "editions")
	for _, name := range names {
		types = append(types, randomMessage(d, syntax, name).DescriptorProto)
	}
	f := newFile("random.proto", "rnd", types...)
	f.Syntax = new(syntax)
	if syntax == "editions" {
		f.Edition = descriptorpb.Edition_EDITION_2023.Enum()
	}
	f.EnumType = append(f.EnumType, newEnum("E", "E_ZERO", 0, "E_ONE", 1, "E_FAR", 1+d.n(250)*97+1))
	return f
}

func randomMessage(d *dice, syntax, name string) *draft {
	m := newDraft("rnd", name)
	for i := range 1 + d.n(90) {
		m.next += int32(pick(d, 0, 0, 0, 1, 10, 200, 20000))
		if m.next >= 19000 && m.next < 20000 {
			m.next = 20000 // Reserved.
		}
		s := scalars[d.n(len(scalars))]
		typ, typeName := s.typ, ""
		switch d.n(4) {
		case 0:
			typ, typeName = tMessage, pick(d, ".rnd.A", ".rnd.B", ".rnd.C", knownPrefix+knownNames[d.n(len(knownNames))].typ)
		case 1:
			typ, typeName = tEnum, pick(d, ".rnd.E", knownPrefix+"NullValue")
		}
		field := fmt.Sprintf("f%d_x", i)
		switch d.n(6) {
		case 0:
			m.many(field, typ, typeName)
		case 1:
			key := pick(d, tInt32, tString, tBool, tUint64, tSint64, tFixed32)
			m.mapOf(field, key, typ, typeName)
		case 2:
			if i == 0 {
				m.one(field, typ, typeName)
			}
		case 3:
			if syntax == "proto2" && d.in(4) {
				m.add(field, required, typ, typeName)
				continue
			}
			fallthrough
		default:
			m.one(field, typ, typeName)
		}
	}
	if d.in(2) {
		choice := m.oneof("choice")
		m.member(choice, "one_a", tInt32, "")
		m.member(choice, "one_b", tMessage, ".rnd.B")
		m.member(choice, "one_c", tString, "")
	}
	return m
}
