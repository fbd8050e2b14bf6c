package transcode

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Response makes the body of an answer of a response message: the JSON of the message or of one of its fields, or the bytes
// of a google.api.HttpBody. It is safe for concurrent use.
type Response struct {
	p    *Program
	only *message // The message with the one field that is wanted; nil for all of it.
	raw  bool
}

// Response compiles the response_body of a rule for the program's message type: the name of a field, or "" for the message
// itself.
func (p *Program) Response(field string) (*Response, error) {
	if field == "" {
		return &Response{p: p, raw: p.m.desc.FullName() == httpBody}, nil
	}
	if strings.Contains(field, ".") {
		return nil, fmt.Errorf("response_body %q: %w", field, errors.New("it must be a field of the message itself"))
	}
	found, err := p.m.place(field)
	if err != nil {
		return nil, fmt.Errorf("response_body %q: %w", field, err)
	}
	f := found.field
	raw := f.leadsOn() && f.message.desc.FullName() == httpBody
	if raw && f.isGroup() {
		return nil, fmt.Errorf("response_body %q: %w", field, errRawGroup)
	}
	return &Response{p: p, only: p.m.only(f, p.c.options), raw: raw}, nil
}

// only returns a program that knows one field of the message, and writes its value alone.
func (m *message) only(f *field, options Options) *message {
	value := *f
	value.key, value.unset = ",", ""
	value.implicit, value.emitEmpty, value.required = false, false, false
	o := &message{desc: m.desc, bare: true, absent: f.absent(options), fields: []field{value}, slots: m.slots}
	for i := range m.fields {
		if other := &m.fields[i]; f.oneof != "" && other.oneof == f.oneof && other.number != f.number {
			o.rivals = append(o.rivals, other.number)
		}
	}
	o.index()
	return o
}

// absent returns the JSON of the field where it is not set and something must stand there.
func (f *field) absent(options Options) string {
	if f.shape != single || f.message == nil {
		return f.empty(options)
	}
	switch f.message.known {
	case none, knownEmpty, knownStruct:
		return "{}"
	case knownList:
		return "[]"
	default:
		return "null"
	}
}

// bare appends the value of the one field that the program knows.
func (e *encoder) bare(dst []byte, m *message, b []byte) ([]byte, error) {
	if !e.general && m.contested(b) {
		return dst, errGeneral // Which leaves the last member of the oneof.
	}
	start := len(dst)
	dst, err := e.fields(dst, m, b)
	if len(dst) == start {
		return append(dst, m.absent...), err
	}
	return append(dst[:start], dst[start+1:]...), err // Without the comma.
}

// contested reports whether another member of the field's oneof is there.
func (m *message) contested(b []byte) bool {
	for len(m.rivals) > 0 && len(b) > 0 {
		num, typ, n := consumeTag(b)
		if n < 0 || slices.Contains(m.rivals, num) {
			return n >= 0
		}
		b = skipField(b, num, typ, n)
	}
	return false
}

// AppendJSON appends the JSON of a response message, given as wire bytes, to dst. On failure, an *Error, it returns dst as
// it was.
func (r *Response) AppendJSON(dst, wire []byte) ([]byte, error) {
	if r.only == nil {
		return r.p.AppendJSON(dst, wire)
	}
	return (&Program{r.p.c, r.only}).AppendJSON(dst, wire)
}

// RawBody reports whether answers are bytes of any kind rather than JSON.
func (r *Response) RawBody() bool { return r.raw }

// Numbers of the fields of google.api.HttpBody.
const (
	httpBodyContentType = 1
	httpBodyData        = 2
)

// Raw takes the google.api.HttpBody out of a response message. Data is a part of the wire.
func (r *Response) Raw(wire []byte) (contentType string, data []byte, err error) {
	take := func(num protowire.Number, value []byte) {
		if num == httpBodyContentType {
			contentType = string(value)
		}
		if num == httpBodyData {
			data = value
		}
	}
	if r.only == nil {
		err = eachBytes(wire, take)
		return contentType, data, err
	}
	var inside error
	err = eachBytes(wire, func(num protowire.Number, value []byte) {
		if num == r.only.fields[0].number {
			inside = cmp.Or(inside, eachBytes(value, take))
		}
	})
	return contentType, data, cmp.Or(err, inside)
}

// eachBytes calls f with each length-delimited field.
func eachBytes(wire []byte, f func(protowire.Number, []byte)) error {
	for b := wire; len(b) > 0; {
		num, typ, n := consumeTag(b)
		if n < 0 {
			return fault(Syntax, len(wire)-len(b), "invalid protobuf wire format")
		}
		if typ != protowire.BytesType {
			if b = skipField(b, num, typ, n); b == nil {
				return fault(Syntax, -1, "invalid protobuf wire format")
			}
			continue
		}
		value, size := consumeBytes(b[n:])
		if size < 0 {
			return fault(Syntax, len(wire)-len(b), "invalid protobuf wire format")
		}
		f(num, value)
		b = b[n+size:]
	}
	return nil
}
