package transcode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: well-known types, JSON to wire.

func (d *decoder) wellKnown(m *message) error {
	switch m.known {
	case knownAny:
		return d.any()
	case knownTimestamp:
		return d.instant("timestamp as RFC 3339", parseTimestamp)
	case knownDuration:
		return d.instant("duration in seconds", parseDuration)
	case knownFieldMask:
		return d.fieldMask()
	case knownStruct:
		return d.entries(m.field(1))
	case knownList:
		return d.list(m.field(1))
	case knownValue:
		return d.dynamic(m)
	default:
		_, err := d.single(&m.fields[0], m.fields[0].tag)
		return err
	}
}

// instant reads a Timestamp or Duration.
func (d *decoder) instant(what string, parse func([]byte) (seconds, nanos int64, ok bool)) error {
	if d.peek() != '"' {
		return d.expected(what)
	}
	start := d.pos
	text, err := d.text()
	if err != nil {
		return err
	}
	seconds, nanos, ok := parse(text)
	if !ok {
		return d.expectedAt(start, what)
	}
	if seconds != 0 {
		d.out = protowire.AppendVarint(append(d.out, 1<<3), uint64(seconds))
	}
	if nanos != 0 {
		d.out = protowire.AppendVarint(append(d.out, 2<<3), uint64(nanos))
	}
	return nil
}

// fieldMask reads paths with commas between them.
func (d *decoder) fieldMask() error {
	if d.peek() != '"' {
		return d.expected("field mask as a string")
	}
	pos := d.pos
	text, err := d.text()
	if err != nil {
		return err
	}
	text = bytes.TrimSpace(text)
	for more := len(text) > 0; more; {
		var path []byte
		path, text, more = bytes.Cut(text, []byte{','})
		d.out = append(d.out, 1<<3|byte(protowire.BytesType))
		at := d.nest()
		var ok bool
		if d.out, ok = appendSnakePath(d.out, path); !ok {
			return d.fault(pos, "%q is no path of a field mask", excerpt(path))
		}
		d.close(at)
	}
	return nil
}

// dynamic reads a google.protobuf.Value: any JSON.
func (d *decoder) dynamic(m *message) error {
	switch c := d.peek(); {
	case c == '{':
		return d.dynamicContent(m.field(valueStruct))
	case c == '[':
		return d.dynamicContent(m.field(valueList))
	case c == '"':
		d.out = append(d.out, valueString<<3|byte(protowire.BytesType))
		return d.string()
	case c == 't' || c == 'f':
		v, err := d.bool()
		d.out = append(d.out, valueBool<<3, byte(v))
		return err
	case c == 'n':
		d.out = append(d.out, valueNull<<3, 0)
		return d.literal("null")
	case c == '-' || isDigit(c):
		return d.dynamicNumber(m.field(valueNumber))
	default:
		return d.syntax("expected a value")
	}
}

func (d *decoder) dynamicNumber(f *field) error {
	v, err := d.float(f)
	if err != nil {
		return err
	}
	d.out = append(d.out, valueNumber<<3|byte(protowire.Fixed64Type))
	d.out = binary.LittleEndian.AppendUint64(d.out, v)
	return nil
}

// dynamicContent reads the object or array of a Value, which counts as one level with it.
func (d *decoder) dynamicContent(f *field) error {
	d.out = append(d.out, f.tag...)
	at := d.nest()
	err := d.wellKnown(f.message)
	d.close(at)
	return err
}

// any reads a google.protobuf.Any. Its type may stand behind its content, so it is looked for first.
func (d *decoder) any() error {
	if d.peek() != '{' {
		return d.expected("object")
	}
	start := d.pos
	pos, empty, err := d.findType()
	if err != nil {
		return err
	}
	if pos < 0 {
		if empty || d.c.options.DiscardUnknown {
			d.pos = start
			return d.skip(d.c.limits.MaxDepth) // Everything in it is unknown.
		}
		return d.fault(start, `google.protobuf.Any without "@type"`)
	}
	if d.anys >= d.c.limits.MaxAnyNesting {
		return fault(Limit, start, "google.protobuf.Any nested more than %d deep", d.c.limits.MaxAnyNesting)
	}
	d.pos = pos
	m, err := d.typeURL()
	if err != nil {
		return err
	}
	d.pos = start
	d.anys++
	d.out = append(d.out, 2<<3|byte(protowire.BytesType))
	at := d.nest()
	if m.known != none {
		err = d.anyValue(m)
	} else if err = d.refuse(m); err == nil {
		err = d.object(m, true)
	}
	d.close(at)
	d.anys--
	return err
}

func (d *decoder) refuse(m *message) error {
	if m.refused != "" {
		return d.fault(d.pos, "%s", m.refused)
	}
	return nil
}

// typeURL appends the type URL at the position to the wire and returns the program of the type.
func (d *decoder) typeURL() (*message, error) {
	if d.peek() != '"' {
		return nil, d.expected("type URL as a string")
	}
	pos := d.pos
	text, err := d.text()
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, d.fault(pos, `"@type" is empty`)
	}
	m, err := d.c.content(text)
	if err != nil {
		return nil, d.fault(pos, "type %q: %v", excerpt(text), err)
	}
	d.out = append(d.out, 1<<3|byte(protowire.BytesType))
	d.appendText(text)
	return m, nil
}

// findType returns the position of the value of "@type" in the object at the position, -1 if it has none. Whoever reads
// the object then notices a second one.
func (d *decoder) findType() (pos int, empty bool, err error) {
	start := d.pos
	if start < d.noted {
		return d.notedType(start)
	}
	d.pos++
	more, err := d.next(0, '}')
	if !more || err != nil {
		return -1, true, err
	}
	name, escaped, err := d.str()
	if err != nil {
		return 0, false, err
	}
	if isTypeName(name, escaped) {
		err := d.colon()
		d.peek()
		return d.pos, false, err
	}
	// It stands further behind, or nowhere. The same may be true of objects inside, which should not all be read once
	// for each that is around them.
	d.pos = start
	d.types, d.noteTypes = d.types[:0], true
	err = d.skip(2*d.c.limits.MaxDepth + 2) // A message may stand in a list or map, which is another level of JSON.
	d.noteTypes = false
	if err != nil {
		return 0, false, err
	}
	slices.SortFunc(d.types, func(a, b typePlace) int { return cmp.Compare(a.object, b.object) })
	d.noted = d.pos
	return d.notedType(start)
}

// notedType is findType for an object that has been skipped.
func (d *decoder) notedType(start int) (pos int, empty bool, err error) {
	i, ok := slices.BinarySearchFunc(d.types, start, func(p typePlace, start int) int { return cmp.Compare(p.object, start) })
	if ok {
		return d.types[i].value, false, nil
	}
	d.pos = start + 1
	return -1, d.peek() == '}', nil
}

// anyValue reads an Any whose content has a special form, and stands in "value". An Empty may be missing.
func (d *decoder) anyValue(m *message) error {
	d.peek()
	d.pos++
	typed, found := false, false
	for n := 0; ; n++ {
		more, err := d.next(n, '}')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		start := d.pos
		name, err := d.name()
		if err != nil {
			return err
		}
		isType, isValue := string(name) == "@type", string(name) == "value"
		switch {
		case isType && typed || isValue && found:
			return d.fault(start, "duplicate field %q", name)
		case !isType && !isValue && !d.c.options.DiscardUnknown:
			return d.fault(start, "unknown field %q", excerpt(name))
		case !isValue:
			typed = typed || isType
			err = d.skipMember()
		default:
			found = true
			if err = d.colon(); err == nil {
				err = within("value", d.message(m))
			}
		}
		if err != nil {
			return err
		}
	}
	if !found && m.known != knownEmpty {
		return d.fault(d.pos-1, `google.protobuf.Any without "value"`)
	}
	return nil
}
