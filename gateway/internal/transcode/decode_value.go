package transcode

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: single values and keys of maps, JSON to wire.

// single reads one value and appends it behind a tag. It reports false if there is nothing to write: the name of an
// enum value that is unknown, and that does not matter.
func (d *decoder) single(f *field, tag string) (written bool, err error) {
	switch f.op {
	case opString:
		d.out = append(d.out, tag...)
		return true, d.string()
	case opBytes:
		d.out = append(d.out, tag...)
		return true, d.bytes()
	case opMessage:
		d.out = append(d.out, tag...)
		at := d.nest()
		err := d.message(f.message)
		d.close(at)
		return true, err
	case opGroup:
		d.out = append(d.out, tag...)
		err := d.message(f.message)
		d.out = append(d.out, f.end...)
		return true, err
	default:
		return d.numeric(f, tag)
	}
}

// numeric reads a number, bool or enum, and appends it behind a tag unless it is zero and that means not set.
func (d *decoder) numeric(f *field, tag string) (written bool, err error) {
	v, written, err := d.scalar(f)
	if err != nil || !written {
		return false, err
	}
	if f.implicit && v == 0 {
		return true, nil
	}
	d.out = appendNumber(append(d.out, tag...), f, v)
	return true, nil
}

// string appends a string with its length before it.
func (d *decoder) string() error {
	raw, escaped, err := d.str()
	if err != nil {
		return err
	}
	if escaped {
		at := d.nest()
		d.out = appendUnescaped(d.out, raw)
		d.close(at)
		return nil
	}
	d.appendText(raw)
	return nil
}

// appendText appends text with its length before it.
func (d *decoder) appendText(text []byte) {
	if len(text) < 0x80 {
		d.out = append(append(d.out, byte(len(text))), text...)
		return
	}
	d.out = protowire.AppendBytes(d.out, text)
}

// bytes appends the bytes of a base64 string with their length before them.
func (d *decoder) bytes() error {
	d.peek()
	pos := d.pos
	if d.peek() != '"' {
		return d.expected("bytes as base64")
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	at := d.nest()
	if d.out, err = appendUnbase64(d.out, text); err != nil {
		return d.fault(pos, "expected bytes as base64, got string %q", excerpt(text))
	}
	d.close(at)
	return nil
}

// key appends the key of a map's entry, and returns it as keySet wants it. Text is nil if keys are numbers.
func (d *decoder) key(f *field, name []byte, pos int) (key mapKey, text []byte, err error) {
	d.out = append(d.out, f.tag...)
	if f.op == opString {
		d.appendText(name)
		start := len(d.out) - len(name)
		key = mapKey{number: textNumber(name), off: int32(start - d.base), len: int32(len(name))}
		return key, d.out[start:], nil
	}
	v, ok := parseMapKey(f.op, name)
	if !ok {
		return key, nil, d.fault(pos, "expected a key of type %s, got %q", f.op.expectation(), excerpt(name))
	}
	d.out = appendNumber(d.out, f, v)
	return mapKey{number: v}, nil, nil
}

func parseMapKey(o op, name []byte) (uint64, bool) {
	switch o {
	case opBool:
		return boolNumber(string(name) == "true"), string(name) == "true" || string(name) == "false"
	case opUint32, opFixed32, opUint64, opFixed64:
		n, ok := parseKey(name, false)
		v, fits := n.unsigned(o.bits())
		return v, ok && fits
	default:
		n, ok := parseKey(name, true)
		v, fits := n.signed(o.bits())
		return uint64(v), ok && fits
	}
}

func boolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// scalar reads a number, bool or enum. Numbers are what encoder.read returns.
func (d *decoder) scalar(f *field) (v uint64, written bool, err error) {
	switch f.op {
	case opBool:
		v, err = d.bool()
		return v, true, err
	case opFloat, opDouble:
		v, err = d.float(f)
		return v, true, err
	case opEnum, opNull:
		return d.enum(f)
	default:
		v, err = d.integer(f)
		return v, true, err
	}
}

func (d *decoder) bool() (uint64, error) {
	switch d.peek() {
	case 't':
		return 1, d.literal("true")
	case 'f':
		return 0, d.literal("false")
	default:
		return 0, d.expected("bool")
	}
}

// integer reads a whole number, or a string that holds one.
func (d *decoder) integer(f *field) (uint64, error) {
	c := d.peek()
	if n, ok := d.shortInteger(); ok {
		return n, nil
	}
	start := d.pos
	var raw []byte
	var err error
	switch {
	case c == '"':
		if raw, err = d.text(); err != nil {
			return 0, err
		}
		if numberLength(raw) != len(raw) || len(raw) == 0 {
			return 0, d.expectedAt(start, f.op.expectation())
		}
	case c == '-' || isDigit(c):
		if raw, err = d.number(); err != nil {
			return 0, err
		}
	default:
		return 0, d.expected(f.op.expectation())
	}
	if v, ok := f.op.fit(raw); ok {
		return v, nil
	}
	return 0, d.expectedAt(start, f.op.expectation())
}

// fit returns the number that a text stands for, if the type has it.
func (o op) fit(raw []byte) (uint64, bool) {
	n, ok := parseInteger(raw)
	if !ok {
		return 0, false
	}
	switch o {
	case opUint32, opFixed32, opUint64, opFixed64:
		return n.unsigned(o.bits())
	default:
		v, ok := n.signed(o.bits())
		return uint64(v), ok
	}
}

func (o op) bits() int {
	switch o {
	case opInt64, opSint64, opSfixed64, opUint64, opFixed64, opDouble:
		return 64
	default:
		return 32
	}
}

// float reads a number, a string that holds one, or one of the strings for what has no digits.
func (d *decoder) float(f *field) (uint64, error) {
	c := d.peek()
	if n, ok := d.shortInteger(); ok {
		return floatBits(float64(n), f.op), nil
	}
	start := d.pos
	var raw []byte
	var err error
	switch {
	case c == '"':
		if raw, err = d.text(); err != nil {
			return 0, err
		}
		if n, ok := notFinite(raw); ok {
			return floatBits(n, f.op), nil
		}
		if numberLength(raw) != len(raw) || len(raw) == 0 {
			return 0, d.expectedAt(start, f.op.expectation())
		}
		if len(raw) > d.maxNumber {
			return 0, fault(Limit, start, "number of %d bytes, %d are allowed", len(raw), d.maxNumber)
		}
	case c == '-' || isDigit(c):
		if raw, err = d.number(); err != nil {
			return 0, err
		}
	default:
		return 0, d.expected(f.op.expectation())
	}
	n, ok := parseFloat(raw, f.op.bits())
	if !ok {
		return 0, d.expectedAt(start, f.op.expectation())
	}
	return floatBits(n, f.op), nil
}

func notFinite(text []byte) (float64, bool) {
	switch string(text) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	default:
		return 0, false
	}
}

func floatBits(n float64, o op) uint64 {
	if o == opFloat {
		return uint64(math.Float32bits(float32(n)))
	}
	return math.Float64bits(n)
}

// enum reads the name or number of an enum value, and null for the one type that has it.
func (d *decoder) enum(f *field) (v uint64, written bool, err error) {
	c := d.peek()
	start := d.pos
	switch {
	case c == '"':
		name, err := d.text()
		if err != nil {
			return 0, false, err
		}
		if n, ok := f.enum.names.find(name); ok {
			return signExtend(uint64(n)), true, nil
		}
		if d.c.options.DiscardUnknown {
			return 0, false, nil
		}
	case c == '-' || isDigit(c):
		raw, err := d.number()
		if err != nil {
			return 0, false, err
		}
		if v, ok := opInt32.fit(raw); ok {
			return v, true, nil
		}
	case c == 'n' && f.op == opNull:
		return 0, true, d.literal("null")
	}
	return 0, false, d.expectedAt(start, "value of enum "+f.enum.name)
}

// expectation names a type for an error.
func (o op) expectation() string {
	switch o {
	case opInt32, opSint32, opSfixed32:
		return "int32"
	case opUint32, opFixed32:
		return "uint32"
	case opInt64, opSint64, opSfixed64:
		return "int64"
	case opUint64, opFixed64:
		return "uint64"
	case opFloat:
		return "float"
	case opDouble:
		return "double"
	case opBool:
		return "bool"
	default:
		return "value"
	}
}
