package transcode

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: well-known types, wire to JSON. Strings and values that come twice are for the general path: messages are
// merged, and a string that does not count must be UTF-8 nonetheless. Of numbers the last one wins.

func (e *encoder) wellKnown(dst []byte, m *message, b []byte) ([]byte, error) {
	switch m.known {
	case knownAny:
		return e.any(dst, b)
	case knownTimestamp:
		return e.timestamp(dst, b)
	case knownDuration:
		return e.duration(dst, b)
	case knownFieldMask:
		return e.fieldMask(dst, b)
	case knownStruct:
		return e.structure(dst, m, b)
	case knownList:
		return e.listValue(dst, m, b)
	case knownValue:
		return e.dynamic(dst, m, b)
	default:
		return e.wrapper(dst, m, b)
	}
}

// wrapper appends the one field of a wrapper, which is zero if it did not come.
func (e *encoder) wrapper(dst []byte, m *message, b []byte) ([]byte, error) {
	f := &m.fields[0]
	var v uint64
	raw := b[len(b):] // Which still has a place in the input.
	for found := false; len(b) > 0; {
		num, typ, n := consumeTag(b)
		switch {
		case n < 0:
			return dst, e.broken(b)
		case found:
			return dst, errGeneral
		case num != f.number || typ != f.wire:
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral
			}
			continue
		}
		b, found = b[n:], true
		if v, raw, n = f.read(b); n < 0 {
			return dst, e.broken(b)
		}
		b = b[n:]
	}
	return e.value(dst, f, v, raw)
}

// instant reads the two numbers of a Timestamp or Duration.
func (e *encoder) instant(b []byte) (seconds, nanos int64, err error) {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return 0, 0, e.broken(b)
		}
		if num > 2 || typ != protowire.VarintType {
			if b = skipField(b, num, typ, n); b == nil {
				return 0, 0, errGeneral
			}
			continue
		}
		b = b[n:]
		v, n := consumeVarint(b)
		if n < 0 {
			return 0, 0, e.broken(b)
		}
		if num == 1 {
			seconds = int64(v)
		} else {
			nanos = int64(int32(v))
		}
		b = b[n:]
	}
	return seconds, nanos, nil
}

func (e *encoder) timestamp(dst, b []byte) ([]byte, error) {
	seconds, nanos, err := e.instant(b)
	if err != nil {
		return dst, err
	}
	if seconds < minTimestamp || seconds > maxTimestamp || nanos < 0 || nanos > maxNanos {
		return dst, e.fault(b, "timestamp of %d seconds and %d nanoseconds is out of range", seconds, nanos)
	}
	return appendTimestamp(dst, seconds, nanos), nil
}

func (e *encoder) duration(dst, b []byte) ([]byte, error) {
	seconds, nanos, err := e.instant(b)
	if err != nil {
		return dst, err
	}
	if seconds < -maxDuration || seconds > maxDuration || nanos < -maxNanos || nanos > maxNanos ||
		seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return dst, e.fault(b, "duration of %d seconds and %d nanoseconds is out of range", seconds, nanos)
	}
	dst = append(dst, '"')
	if seconds < 0 || nanos < 0 {
		dst = append(dst, '-')
		seconds, nanos = -seconds, -nanos
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	dst = appendNanos(dst, nanos)
	return append(dst, 's', '"'), nil
}

// fieldMask appends the paths, in lowerCamelCase, as one string.
func (e *encoder) fieldMask(dst, b []byte) ([]byte, error) {
	dst = append(dst, '"')
	for first := true; len(b) > 0; {
		num, typ, n := consumeTag(b)
		switch {
		case n < 0:
			return dst, e.broken(b)
		case num != 1 || typ != protowire.BytesType:
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral
			}
			continue
		}
		b = b[n:]
		path, n := consumeBytes(b)
		if n < 0 {
			return dst, e.broken(b)
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var ok bool
		if dst, ok = appendCamelPath(dst, path); !ok {
			return dst, e.fault(path, "path %q of a field mask has no JSON form", excerpt(path))
		}
		b = b[n:]
	}
	return append(dst, '"'), nil
}

func (e *encoder) structure(dst []byte, m *message, b []byte) ([]byte, error) {
	f := m.field(1)
	start := len(dst)
	run := e.keys.begin()
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		switch {
		case n < 0:
			return dst, e.broken(b)
		case num != 1 || typ != protowire.BytesType:
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral
			}
			continue
		}
		b = b[n:]
		raw, n := consumeBytes(b)
		if n < 0 {
			return dst, e.broken(b)
		}
		var err error
		if dst, err = e.entry(dst, f, raw, &run); err != nil {
			return dst, err
		}
		if len(dst)-e.base > e.c.limits.MaxOutput {
			return dst, e.tooLarge(b)
		}
		b = b[n:]
	}
	e.keys.end(run)
	return closeAt(dst, start, '{', '}'), nil
}

func (e *encoder) listValue(dst []byte, m *message, b []byte) ([]byte, error) {
	f := m.field(1)
	start := len(dst)
	for index := 0; len(b) > 0; {
		num, typ, n := consumeTag(b)
		switch {
		case n < 0:
			return dst, e.broken(b)
		case num != 1 || typ != protowire.BytesType:
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral
			}
			continue
		}
		var err error
		if dst, b, err = e.element(dst, f, b[n:], index); err != nil {
			return dst, err
		}
		index++
	}
	return closeAt(dst, start, '[', ']'), nil
}

// dynamic appends a google.protobuf.Value, which must hold something. The parts of one that comes in several are
// merged, by the general path.
func (e *encoder) dynamic(dst []byte, m *message, b []byte) ([]byte, error) {
	start := b
	var f *field
	var v uint64
	var raw []byte
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return dst, e.broken(b)
		}
		next := m.field(num)
		if next == nil || next.wire != typ {
			if b = skipField(b, num, typ, n); b == nil {
				return dst, errGeneral
			}
			continue
		}
		if f != nil {
			return dst, errGeneral
		}
		f, b = next, b[n:]
		if v, raw, n = f.read(b); n < 0 {
			return dst, e.broken(b)
		}
		b = b[n:]
	}
	if f == nil {
		return dst, e.fault(start, "google.protobuf.Value holds nothing")
	}
	switch f.number {
	case valueNumber:
		if n := math.Float64frombits(v); math.IsNaN(n) || math.IsInf(n, 0) {
			return dst, e.fault(start, "google.protobuf.Value holds %v", n)
		}
	case valueStruct:
		return e.structure(dst, f.message, raw)
	case valueList:
		return e.listValue(dst, f.message, raw)
	default: // Plain values.
	}
	return e.value(dst, f, v, raw)
}

// any appends a google.protobuf.Any: its type, and the fields or the special form of what it holds.
func (e *encoder) any(dst, b []byte) ([]byte, error) {
	typeURL, value, err := e.anyParts(b)
	if err != nil {
		return dst, err
	}
	if len(typeURL) == 0 {
		if len(value) == 0 {
			return append(dst, '{', '}'), nil
		}
		return dst, e.fault(b, "google.protobuf.Any holds a value without a type")
	}
	if e.anys >= e.c.limits.MaxAnyNesting {
		return dst, fault(Limit, e.offset(b), "google.protobuf.Any nested more than %d deep", e.c.limits.MaxAnyNesting)
	}
	m, err := e.c.content(typeURL)
	if err != nil {
		return dst, e.fault(typeURL, "type %q: %v", excerpt(typeURL), err)
	}
	start := len(dst)
	dst, ok := appendString(append(dst, `,"@type":`...), typeURL)
	if !ok {
		return dst, e.fault(typeURL, "type URL is not UTF-8")
	}
	outer := e.root
	if e.general {
		if value, err = e.normalize(m.desc, value); err != nil {
			return dst, e.fault(b, "invalid protobuf wire format of %s", m.desc.FullName())
		}
		e.root = value
	}
	e.anys++
	if m.custom() {
		dst, err = e.message(append(dst, `,"value":`...), m, value)
	} else {
		dst, err = e.contentFields(dst, m, value)
	}
	e.anys--
	e.root = outer
	return closeAt(dst, start, '{', '}'), err
}

func (e *encoder) contentFields(dst []byte, m *message, b []byte) ([]byte, error) {
	if m.refused != "" {
		return dst, e.fault(b, "%s", m.refused)
	}
	return e.fields(dst, m, b)
}

func (e *encoder) anyParts(b []byte) (typeURL, value []byte, err error) {
	for len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return nil, nil, e.broken(b)
		}
		if num > 2 || typ != protowire.BytesType {
			if b = skipField(b, num, typ, n); b == nil {
				return nil, nil, errGeneral
			}
			continue
		}
		b = b[n:]
		raw, n := consumeBytes(b)
		if n < 0 {
			return nil, nil, e.broken(b)
		}
		switch {
		case num == 1 && typeURL == nil:
			typeURL = raw
		case num == 2 && value == nil:
			value = raw
		default:
			return nil, nil, errGeneral
		}
		b = b[n:]
	}
	return typeURL, value, nil
}
