package transcode

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hot path: values that are text, in paths and queries. Their text is that of JSON, without the quotes that strings have.

// variable appends the field that a variable of the path fills.
func (d *decoder) variable(r *Request, values Variables, i int) error {
	text, err := values.AppendValue(d.given[:0], i)
	if err != nil {
		return err
	}
	d.given = text
	p := &r.variables[i]
	return d.at(p.steps, func() error { return d.parameter(p.field, text) })
}

// parameter appends one value of a field, which for a list is one of its elements.
func (d *decoder) parameter(f *field, text []byte) error {
	if f.op == opString && f.shape != mapped {
		if !utf8.Valid(text) {
			return errNotUTF8
		}
		d.out = append(d.out, f.tag...)
		d.appendText(text)
		return nil
	}
	if f.message != nil && f.message.known == knownFieldMask {
		return d.maskText(f, text)
	}
	if err := d.textOf(f, text); err != nil {
		return err
	}
	before := len(d.out)
	tag, at := f.tag, 0
	if f.packed {
		d.out = append(d.out, tag...)
		tag, at = "", d.nest()
	}
	written, err := d.single(f, tag)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return unplaced(err)
	}
	if f.packed {
		d.close(at)
	}
	if !written {
		d.out = d.out[:before]
	}
	return nil
}

var (
	errNotUTF8 = &Error{Kind: Invalid, Offset: -1, Reason: "not UTF-8"}
	errNoForm  = &Error{Kind: Invalid, Offset: -1, Reason: "the field is a message: name one inside it, with a point between"}
)

// unplaced takes the position out of an error: nobody sees the JSON that it counts in.
func unplaced(err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // Of this package, never wrapped.
		e.Offset = -1
	}
	return err
}

// textOf makes JSON of a text that stands for a value of the field, and puts the scanner before it.
func (d *decoder) textOf(f *field, text []byte) error {
	quoted := true
	switch {
	case f.op == opBool:
		quoted = false
	case f.op == opEnum, f.op == opNull:
		quoted = len(text) == 0 || text[0] != '-' && !isDigit(text[0])
	case f.message == nil:
	case f.message.known == knownWrapper:
		return d.textOf(&f.message.fields[0], text)
	case f.message.known == none:
		return errNoForm
	default:
		quoted = f.message.isText()
	}
	d.json = append(d.json[:0], text...)
	if quoted {
		var ok bool
		if d.json, ok = appendString(d.json[:0], text); !ok {
			return errNotUTF8
		}
	}
	d.scanner = scanner{in: d.json, maxNumber: d.maxNumber, types: d.types[:0]}
	d.noted = 0
	return nil
}

// maskText appends a field mask. Its paths may be written as in the .proto file, too, as many clients do.
func (d *decoder) maskText(f *field, text []byte) error {
	d.out = append(d.out, f.tag...)
	mask := d.nest()
	for more := len(text) > 0; more; {
		var path []byte
		path, text, more = bytes.Cut(text, []byte{','})
		d.out = append(d.out, 1<<3|byte(protowire.BytesType))
		at := d.nest()
		ok := bytes.IndexByte(path, '_') >= 0 && isPath(path)
		if ok {
			d.out = append(d.out, path...)
		} else if d.out, ok = appendSnakePath(d.out, path); !ok {
			return d.fault(-1, "%q is no path of a field mask", excerpt(path))
		}
		d.close(at)
	}
	d.close(mask)
	return nil
}
