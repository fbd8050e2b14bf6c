package frontend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// jsonValues takes JSON values off a body, one at a time and as they arrive: values with white space between them, such as a
// line each, or the elements of one array. It finds where a value ends; whether it is JSON, its reader finds out.
type jsonValues struct {
	body  io.Reader
	limit int // Largest value, in bytes.

	buf   []byte // buf[pos:] was read and not used yet.
	pos   int
	eof   bool
	state valuesState
}

type valuesState uint8

const (
	valuesBegin    valuesState = iota // It may still be an array.
	valuesSequence                    // Values with white space between them.
	valuesFirst                       // Behind the bracket of an array.
	valuesMore                        // Behind an element.
	valuesEnd                         // Behind the array.
)

// newJSONValues reads values from a body. Only where a value itself can't be an array, an array is one of values.
func newJSONValues(body io.Reader, limit int, arrays bool) *jsonValues {
	v := &jsonValues{body: body, limit: limit}
	if !arrays {
		v.state = valuesSequence
	}
	return v
}

// valueError says what is wrong between the values.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }

var (
	errNoComma   = &valueError{"the elements of the body's array have no comma between them"}
	errLastComma = &valueError{"a value is missing behind a comma in the body"}
	errUnclosed  = &valueError{"the body ends inside a value or array"}
	errTrailing  = &valueError{"something stands behind the body's array"}
)

// next returns the next value, which is valid until the one after it is asked for, or io.EOF.
func (v *jsonValues) next() ([]byte, error) {
	more, err := v.begin()
	if err != nil {
		return nil, err
	}
	if !more {
		return nil, io.EOF
	}
	return v.value()
}

// begin moves to the first byte of the next value, and reports false where there is none.
func (v *jsonValues) begin() (bool, error) {
	c, err := v.peek()
	if err != nil {
		return false, err
	}
	if v.state == valuesBegin {
		v.state = valuesSequence
		if c == '[' {
			v.state = valuesFirst
			v.pos++
			return v.begin()
		}
	}
	switch v.state {
	case valuesSequence:
		return c != 0, nil
	case valuesEnd:
		if c != 0 {
			return false, errTrailing
		}
		return false, nil
	default:
		return v.element(c)
	}
}

// element moves to the first byte of the next element of an array.
func (v *jsonValues) element(c byte) (bool, error) {
	switch {
	case c == 0:
		return false, errUnclosed
	case c == ']':
		v.pos++
		v.state = valuesEnd
		return v.begin()
	case v.state == valuesFirst:
		v.state = valuesMore
		return true, nil
	case c != ',':
		return false, errNoComma
	}
	v.pos++
	c, err := v.peek()
	if err == nil && (c == 0 || c == ',' || c == ']') {
		err = errLastComma
	}
	return err == nil, err
}

// peek skips white space and returns the byte behind it; 0 at the end.
func (v *jsonValues) peek() (byte, error) {
	for {
		for ; v.pos < len(v.buf); v.pos++ {
			if c := v.buf[v.pos]; !isSpace(c) {
				return max(c, 1), nil // A zero byte is no JSON, and no end.
			}
		}
		if v.eof {
			return 0, nil
		}
		if err := v.read(); err != nil {
			return 0, err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// value takes the value at the position.
func (v *jsonValues) value() ([]byte, error) {
	end := scan{scalar: v.buf[v.pos] != '{' && v.buf[v.pos] != '[' && v.buf[v.pos] != '"'}
	for {
		if n, ok := end.find(v.buf[v.pos:]); ok {
			value := v.buf[v.pos : v.pos+n]
			v.pos += n
			return value, v.tooLong(n)
		}
		if err := v.tooLong(len(v.buf) - v.pos); err != nil {
			return nil, err
		}
		if v.eof {
			return v.rest(end.scalar)
		}
		if err := v.read(); err != nil {
			return nil, err
		}
	}
}

// rest takes what is left, which is a value only if that has no end of its own.
func (v *jsonValues) rest(scalar bool) ([]byte, error) {
	if !scalar {
		return nil, errUnclosed
	}
	value := v.buf[v.pos:]
	v.pos = len(v.buf)
	return value, nil
}

func errTooLong(limit int) error {
	return refuseAs(http.StatusRequestEntityTooLarge, reasonTooLarge,
		fmt.Sprintf("a message of the body is larger than the limit of %d bytes", limit))
}

func (v *jsonValues) tooLong(n int) error {
	if n > v.limit {
		return errTooLong(v.limit)
	}
	return nil
}

// read reads some more, behind what is not used yet.
func (v *jsonValues) read() error {
	v.buf = slices.Delete(v.buf, 0, v.pos)
	v.pos = 0
	v.buf = slices.Grow(v.buf, max(4<<10, len(v.buf)))
	n, err := v.body.Read(v.buf[len(v.buf):cap(v.buf)])
	v.buf = v.buf[:len(v.buf)+n]
	if errors.Is(err, io.EOF) {
		v.eof = true
		return nil
	}
	return err
}

// scan looks for the end of a value, of which more and more arrives.
type scan struct {
	scalar  bool
	done    int // Bytes that were looked at.
	depth   int
	quoted  bool
	escaped bool
}

// find returns the length of the value at the beginning of b, if it ends there.
func (s *scan) find(b []byte) (int, bool) {
	for ; s.done < len(b); s.done++ {
		c := b[s.done]
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped = c == '\\'
			s.quoted = c != '"'
		case s.scalar:
			if isSpace(c) || strings.IndexByte(`,[]{}"`, c) >= 0 {
				return max(s.done, 1), true
			}
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			s.depth--
		}
		if !s.scalar && !s.quoted && s.depth <= 0 {
			s.done++
			return s.done, true
		}
	}
	return 0, false
}
