package transcode

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: encoder turns wire bytes into JSON in one pass, in the order in which the fields come, appending to the
// caller's buffer and allocating nothing. It notices whatever one pass cannot answer, such as a field that comes
// twice, and gives up with errGeneral; general.go takes over from there.
//
// Every value is written as `,value` and every field as `,"name":value`: what opens an object or array overwrites the
// first comma.
type encoder struct {
	c *Compiler
	// root is what offsets count from: the whole input, or the content of an Any that was normalized.
	root []byte
	base int // The length of the caller's buffer before.

	depth, anys int
	// general is set when the input has been normalized; the contents of Any are normalized then, too.
	general bool

	keys  keySet
	marks []uint64
}

// AppendJSON appends the JSON of a message, given as wire bytes, to dst. On failure, an *Error, it returns dst as it
// was. JSON is compact, and its fields stand in the order in which they came.
func (p *Program) AppendJSON(dst, wire []byte) ([]byte, error) {
	out, _, err := p.appendJSON(dst, wire)
	return out, err
}

// appendJSON also tells whether the answer took the general path.
func (p *Program) appendJSON(dst, wire []byte) (out []byte, general bool, err error) {
	if len(wire) > maxSize {
		return dst, false, fault(Limit, maxSize, "message of more than %d bytes", maxSize)
	}
	e := p.c.encoders.Get().(*encoder) //nolint:forcetypeassert // Nothing else is put there.
	defer e.release()
	e.begin(dst, wire)
	out, err = e.whole(slices.Grow(dst, len(wire)), p.m, wire) // JSON is hardly ever shorter.
	if err == nil {
		return out, false, nil
	}
	if isLimit(err) {
		return dst, false, err
	}
	out, err = e.generally(dst, p.m, wire, err)
	if err != nil {
		return dst, true, err
	}
	return out, true, nil
}

// whole appends the message that is the input.
func (e *encoder) whole(dst []byte, m *message, wire []byte) ([]byte, error) {
	out, err := e.message(dst, m, wire)
	if err == nil && len(out)-e.base > e.c.limits.MaxOutput {
		err = e.tooLarge(wire)
	}
	return out, err
}

func (e *encoder) begin(dst, root []byte) {
	e.root, e.base = root, len(dst)
	e.depth, e.anys, e.general = 0, 0, false
	e.marks = e.marks[:0]
	e.keys.reset()
}

func (e *encoder) release() {
	e.root = nil
	e.keys.reset()
	e.c.encoders.Put(e)
}

// offset returns the position of a part of the input. Parts are never cut off in their capacity, which makes it the
// distance from the end.
func (e *encoder) offset(b []byte) int { return cap(e.root) - cap(b) }

func (e *encoder) fault(b []byte, format string, args ...any) error {
	return fault(Invalid, e.offset(b), format, args...)
}

func (e *encoder) broken(b []byte) error {
	return fault(Syntax, e.offset(b), "invalid protobuf wire format")
}

// message appends a message in whichever form its type has.
func (e *encoder) message(dst []byte, m *message, b []byte) ([]byte, error) {
	if m.refused != "" {
		return dst, e.fault(b, "%s", m.refused)
	}
	if e.depth >= e.c.limits.MaxDepth {
		return dst, fault(Limit, e.offset(b), "nested more than %d deep", e.c.limits.MaxDepth)
	}
	e.depth++
	var err error
	switch {
	case m.custom():
		dst, err = e.wellKnown(dst, m, b)
	case m.bare:
		dst, err = e.bare(dst, m, b)
	default:
		start := len(dst)
		dst, err = e.fields(dst, m, b)
		dst = closeAt(dst, start, '{', '}')
	}
	e.depth--
	return dst, err
}

// closeAt makes an object or array of the members since start.
func closeAt(dst []byte, start int, opening, closing byte) []byte {
	if len(dst) == start {
		return append(dst, opening, closing)
	}
	dst[start] = opening
	return append(dst, closing)
}

// fields appends the fields of a message, each with a comma before it.
func (e *encoder) fields(dst []byte, m *message, b []byte) ([]byte, error) {
	seen := e.mark(m)
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return dst, e.broken(b)
		}
		f := m.field(num)
		if f == nil && m.extensible {
			var err error
			if f, err = e.extension(m, num, b); err != nil {
				return dst, err
			}
		}
		if f == nil || !f.accepts(typ) {
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral // Which refuses it, with the same words for all broken input.
			}
			continue
		}
		if seen.add(f) {
			return dst, errGeneral
		}
		var err error
		start := len(dst)
		switch f.shape {
		case single:
			dst, b, err = e.single(dst, f, b[n:])
		case list:
			dst, b, err = e.list(dst, f, typ, b[n:])
		default:
			dst, b, err = e.entries(append(dst, f.key...), f, b[n:])
			dst = closeAt(dst, start+len(f.key), '{', '}')
		}
		if err != nil {
			return dst, within(f.label, err)
		}
		if len(dst)-e.base > e.c.limits.MaxOutput {
			return dst, e.tooLarge(b)
		}
	}
	dst, err := e.unset(dst, m, &seen, b)
	e.unmark(m)
	return dst, err
}

func (e *encoder) tooLarge(b []byte) error {
	return fault(Limit, e.offset(b), "JSON of more than %d bytes", e.c.limits.MaxOutput)
}

// unset deals with the fields that did not come.
func (e *encoder) unset(dst []byte, m *message, seen *marks, b []byte) ([]byte, error) {
	if e.anys == 0 {
		for _, f := range m.required {
			if !seen.has(f.slot) {
				return dst, e.fault(b, "required field %s is not set", f.label)
			}
		}
	}
	for _, f := range m.defaults {
		if !seen.has(f.slot) {
			dst = append(dst, f.unset...)
		}
	}
	return dst, nil
}

// single appends a field that has one value, and returns what stands behind it.
func (e *encoder) single(dst []byte, f *field, b []byte) (out, rest []byte, err error) {
	v, raw, n := f.read(b)
	if n < 0 {
		return dst, b, e.broken(b)
	}
	if f.implicit && v == 0 && len(raw) == 0 {
		return dst, b[n:], nil
	}
	dst, err = e.value(append(dst, f.key...), f, v, raw)
	return dst, b[n:], err
}

// list appends a repeated field, and returns what stands behind its last value that comes in one go.
func (e *encoder) list(dst []byte, f *field, typ protowire.Type, b []byte) (out, rest []byte, err error) {
	start := len(dst)
	dst = append(dst, f.key...)
	values := len(dst)
	for index := 0; ; index++ {
		if typ == f.wire {
			dst, b, err = e.element(dst, f, b, index)
		} else {
			dst, b, err = e.packed(dst, f, b)
		}
		if err != nil {
			return dst, b, err
		}
		num, next, n := consumeTag(b)
		if n < 0 || num != f.number || !f.accepts(next) {
			break
		}
		typ, b = next, b[n:]
	}
	if len(dst) == values && !f.emitEmpty {
		return dst[:start], b, nil
	}
	return closeAt(dst, values, '[', ']'), b, nil
}

func (e *encoder) element(dst []byte, f *field, b []byte, index int) (out, rest []byte, err error) {
	v, raw, n := f.read(b)
	if n < 0 {
		return dst, b, e.broken(b)
	}
	dst, err = e.value(append(dst, ','), f, v, raw)
	if err != nil {
		return dst, b, withinElement(index, err)
	}
	if len(dst)-e.base > e.c.limits.MaxOutput {
		return dst, b, e.tooLarge(b)
	}
	return dst, b[n:], nil
}

// packed appends the numbers of a packed list, each with a comma before it.
func (e *encoder) packed(dst []byte, f *field, b []byte) (out, rest []byte, err error) {
	raw, n := consumeBytes(b)
	if n < 0 {
		return dst, b, e.broken(b)
	}
	for len(raw) > 0 {
		v, _, n := f.read(raw)
		if n < 0 {
			return dst, b, e.broken(raw)
		}
		dst = e.scalar(append(dst, ','), f, v)
		raw = raw[n:]
	}
	return dst, b[n:], nil
}

// entries appends the entries of a map that come in one go, each with a comma before it.
func (e *encoder) entries(dst []byte, f *field, b []byte) (out, rest []byte, err error) {
	run := e.keys.begin()
	for {
		raw, n := consumeBytes(b)
		if n < 0 {
			return dst, b, e.broken(b)
		}
		if dst, err = e.entry(dst, f, raw, &run); err != nil {
			return dst, b, err
		}
		if len(dst)-e.base > e.c.limits.MaxOutput {
			return dst, b, e.tooLarge(b)
		}
		b = b[n:]
		num, typ, n := consumeTag(b)
		if n < 0 || num != f.number || typ != protowire.BytesType {
			break
		}
		b = b[n:]
	}
	e.keys.end(run)
	return dst, b, nil
}

// entry appends one entry of a map. A key that came before needs the general path, since the last one wins.
func (e *encoder) entry(dst []byte, f *field, b []byte, run *keyRun) ([]byte, error) {
	none := b[len(b):] // Which still has a place in the input.
	p := pair{value: f.mapValue.zero, keyText: none, valueText: none}
	if err := p.read(f, b); err != nil {
		if err != errGeneral { //nolint:errorlint // A sentinel of this package, never wrapped.
			err = e.broken(b)
		}
		return dst, err
	}
	key := mapKey{number: p.key}
	if f.mapKey.op == opString {
		key.number = textNumber(p.keyText)
		if len(p.keyText) > 0 {
			key.off, key.len = int32(e.offset(p.keyText)), int32(len(p.keyText))
		}
	}
	if e.keys.has(run, e.root, key.number, p.keyText) {
		return dst, errGeneral
	}
	e.keys.add(run, key)
	dst, err := e.key(append(dst, ','), f.mapKey, p.key, p.keyText)
	if err != nil {
		return dst, e.fault(p.keyText, "key is not UTF-8")
	}
	dst, err = e.value(append(dst, ':'), f.mapValue, p.value, p.valueText)
	if err != nil {
		text, _ := e.key(nil, f.mapKey, p.key, p.keyText)
		return dst, withinEntry(text[1:len(text)-1], err)
	}
	return dst, nil
}

// pair is an entry of a map. What is missing is zero.
type pair struct {
	key, value         uint64
	keyText, valueText []byte
}

// read takes an entry apart. What comes twice needs the general path: messages are merged, and a string that does not
// count must be UTF-8 nonetheless.
func (p *pair) read(f *field, b []byte) error {
	for hasKey, hasValue := false, false; len(b) > 0; {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return errBroken
		}
		isKey, isValue := num == 1 && typ == f.mapKey.wire, num == 2 && typ == f.mapValue.wire
		switch {
		case isKey && hasKey || isValue && hasValue:
			return errGeneral
		case isKey:
			hasKey = true
			b = b[n:]
			p.key, p.keyText, n = f.mapKey.read(b)
		case isValue:
			hasValue = true
			b = b[n:]
			p.value, p.valueText, n = f.mapValue.read(b)
		default:
			if b = skipField(b, num, typ, n); b == nil {
				return errBroken
			}
			n = 0
		}
		if n < 0 {
			return errBroken
		}
		b = b[n:]
	}
	return nil
}

// key appends the key of a map, which is always a string.
func (e *encoder) key(dst []byte, f *field, v uint64, text []byte) ([]byte, error) {
	switch f.op {
	case opString:
		dst, ok := appendString(dst, text)
		if !ok {
			return dst, errBroken
		}
		return dst, nil
	case opUint32, opFixed32, opUint64, opFixed64:
		return appendQuotedUint(dst, v), nil
	case opBool:
		dst = append(dst, '"')
		dst = strconv.AppendBool(dst, v != 0)
		return append(dst, '"'), nil
	default:
		return appendQuotedInt(dst, int64(v)), nil
	}
}

// value appends one value, as read returned it.
func (e *encoder) value(dst []byte, f *field, v uint64, raw []byte) ([]byte, error) {
	switch f.op {
	case opString:
		dst, ok := appendString(dst, raw)
		if !ok {
			return dst, e.fault(raw, "string is not UTF-8")
		}
		return dst, nil
	case opBytes:
		return appendBase64(dst, raw), nil
	case opMessage, opGroup:
		return e.message(dst, f.message, raw)
	default:
		return e.scalar(dst, f, v), nil
	}
}

// scalar appends a number, bool or enum.
func (e *encoder) scalar(dst []byte, f *field, v uint64) []byte {
	switch f.op {
	case opBool:
		return strconv.AppendBool(dst, v != 0)
	case opUint32, opFixed32:
		return strconv.AppendUint(dst, v, 10)
	case opInt64, opSint64, opSfixed64:
		if f.textNumber {
			return appendQuotedInt(dst, int64(v))
		}
		return strconv.AppendInt(dst, int64(v), 10)
	case opUint64, opFixed64:
		if f.textNumber {
			return appendQuotedUint(dst, v)
		}
		return strconv.AppendUint(dst, v, 10)
	case opFloat:
		return appendFloat(dst, float64(math.Float32frombits(uint32(v))), 32)
	case opDouble:
		return appendFloat(dst, math.Float64frombits(v), 64)
	case opEnum:
		if name := f.enum.quotedName(int32(v)); name != "" && !e.c.options.UseEnumNumbers {
			return append(dst, name...)
		}
		return strconv.AppendInt(dst, int64(v), 10)
	case opNull:
		return append(dst, "null"...)
	default:
		return strconv.AppendInt(dst, int64(v), 10)
	}
}

// read takes one value off b: its number, or its bytes. Numbers are what they are in JSON: of the right width, with
// the sign extended. The length is negative if there is no such value.
func (f *field) read(b []byte) (v uint64, raw []byte, n int) {
	switch f.wire {
	case protowire.VarintType:
		v, n = consumeVarint(b)
		return f.widen(v), nil, n
	case protowire.BytesType:
		raw, n = consumeBytes(b)
		return 0, raw, n
	case protowire.Fixed32Type:
		if len(b) < 4 {
			return 0, nil, -1
		}
		return f.widen(uint64(binary.LittleEndian.Uint32(b))), nil, 4
	case protowire.Fixed64Type:
		if len(b) < 8 {
			return 0, nil, -1
		}
		return binary.LittleEndian.Uint64(b), nil, 8
	default:
		raw, n = protowire.ConsumeGroup(f.number, b)
		return 0, raw, n
	}
}

// widen makes a number of the bits on the wire.
func (f *field) widen(v uint64) uint64 {
	switch f.op {
	case opBool:
		if v != 0 {
			return 1
		}
		return 0
	case opInt32, opSfixed32, opEnum, opNull:
		return signExtend(v)
	case opSint32:
		return signExtend(uint64(protowire.DecodeZigZag(v & math.MaxUint32)))
	case opSint64:
		return uint64(protowire.DecodeZigZag(v))
	case opUint32:
		return uint64(uint32(v))
	default:
		return v
	}
}

func signExtend(v uint64) uint64 { return uint64(int64(int32(v))) }

// extension finds the program of a field that an extension adds.
func (e *encoder) extension(m *message, num protowire.Number, b []byte) (*field, error) {
	if !m.desc.ExtensionRanges().Has(num) {
		return nil, nil //nolint:nilnil // An unknown field is no error.
	}
	xt, err := e.c.resolver.FindExtensionByNumber(m.desc.FullName(), num)
	return e.c.resolvedExtension(xt, err, func(err error) error {
		return e.fault(b, "extension %d of %s: %v", num, m.desc.FullName(), err)
	})
}
