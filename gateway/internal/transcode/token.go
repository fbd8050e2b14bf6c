package transcode

import (
	"unicode/utf8"
)

// Hot path: scanner reads JSON as RFC 8259 defines it, nothing more lenient, and without allocating: strings and
// numbers are parts of the input. Strings must be UTF-8 and may not contain half a pair of surrogates. Names that
// appear twice in an object are the caller's affair.
type scanner struct {
	in        []byte
	pos       int
	maxNumber int
	// noteTypes makes skip keep the places of "@type" in the objects it passes.
	noteTypes bool
	types     []typePlace
}

// typePlace is where an object begins, and where the value of its first "@type" does.
type typePlace struct{ object, value int }

// peek skips white space and returns the byte behind it, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.in) && s.in[s.pos] > ' ' {
		return s.in[s.pos]
	}
	return s.skipSpace()
}

func (s *scanner) skipSpace() byte {
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// open consumes the beginning of an object or array.
func (s *scanner) open(bracket byte, what string) error {
	if s.peek() != bracket {
		return s.expected(what)
	}
	s.pos++
	return nil
}

// next moves to the next member of an object or array, of which n were read. It reports false at its end, having
// consumed that.
func (s *scanner) next(n int, bracket byte) (bool, error) {
	c := s.peek()
	if c == bracket {
		s.pos++
		return false, nil
	}
	if n == 0 {
		return true, nil
	}
	if c != ',' {
		return false, s.syntax("expected ',' or '%c'", bracket)
	}
	s.pos++
	if s.peek() == bracket {
		return false, s.syntax("expected another value behind ','")
	}
	return true, nil
}

// colon consumes what stands between a name and its value.
func (s *scanner) colon() error {
	if s.pos < len(s.in) && s.in[s.pos] == ':' || s.peek() == ':' {
		s.pos++
		return nil
	}
	return s.syntax("expected ':'")
}

// literal consumes true, false or null.
func (s *scanner) literal(word string) error {
	if end := s.pos + len(word); end <= len(s.in) && string(s.in[s.pos:end]) == word {
		s.pos = end
		return nil
	}
	return s.syntax("expected a value")
}

// end makes sure that nothing stands behind the value.
func (s *scanner) end() error {
	if s.peek(); s.pos < len(s.in) {
		return s.syntax("expected the end")
	}
	return nil
}

// str consumes a string and returns what is between the quotes, and whether there are escapes in it.
func (s *scanner) str() (raw []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, s.expected("string")
	}
	start := s.pos + 1
	i, nonASCII := start, uint64(0)
	for {
		i += plain(s.in[i:], &nonASCII)
		if i >= len(s.in) {
			s.pos = i
			return nil, false, s.syntax("expected '\"'")
		}
		c := s.in[i]
		if c == '"' {
			break
		}
		if c < ' ' {
			s.pos = i
			return nil, false, s.syntax("control character in a string")
		}
		n := s.escape(i)
		if n == 0 {
			s.pos = i
			return nil, false, s.syntax("invalid escape in a string")
		}
		i += n
		escaped = true
	}
	raw = s.in[start:i]
	if nonASCII != 0 && !utf8.Valid(raw) {
		return nil, false, s.syntax("invalid UTF-8 in a string")
	}
	s.pos = i + 1
	return raw, escaped, nil
}

// escape returns the length of the escape at a backslash, 0 if it is not valid.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.in) {
		return 0
	}
	c := s.in[i+1]
	if c == 'u' {
		if _, n := escapedRune(s.in[i+2:]); n > 0 {
			return n + 2
		}
		return 0
	}
	if unescaped[c] == 0 {
		return 0
	}
	return 2
}

// number consumes a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	n := numberLength(s.in[s.pos:])
	if n == 0 {
		return nil, s.syntax("invalid number")
	}
	if n > s.maxNumber {
		return nil, fault(Limit, s.pos, "number of %d bytes, %d are allowed", n, s.maxNumber)
	}
	raw := s.in[s.pos : s.pos+n]
	s.pos += n
	return raw, nil
}

// shortInteger consumes a number that is nothing but a few digits, few enough for an int32 and for any kind of float. It
// reports false, having consumed nothing, if there is no such number.
func (s *scanner) shortInteger() (n uint64, ok bool) {
	const maxDigits = 7
	i := s.pos
	for ; i < len(s.in) && isDigit(s.in[i]); i++ {
		n = n*10 + uint64(s.in[i]-'0')
	}
	size := i - s.pos
	if size == 0 || size > maxDigits || i < len(s.in) && (s.in[i] == '.' || s.in[i]|0x20 == 'e') || size > 1 && s.in[s.pos] == '0' ||
		size > s.maxNumber {
		return 0, false
	}
	s.pos = i
	return n, true
}

// skip consumes a value of any kind; objects and arrays may be nested so many times.
func (s *scanner) skip(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		_, _, err := s.str()
		return err
	case c == '{' || c == '[':
		if depth <= 0 {
			return fault(Limit, s.pos, "nested too deeply")
		}
		return s.skipMembers(c, depth-1)
	case c == '-' || isDigit(c):
		if _, ok := s.shortInteger(); ok {
			return nil
		}
		_, err := s.number()
		return err
	default:
		return s.literal(literalOf(c))
	}
}

func (s *scanner) skipMembers(bracket byte, depth int) error {
	start, typed := s.pos, false
	s.pos++
	closing := bracket + 2 // As ASCII has it: [ ] and { }.
	for n := 0; ; n++ {
		more, err := s.next(n, closing)
		if !more || err != nil {
			return err
		}
		if bracket == '{' {
			name, escaped, err := s.str()
			if err != nil {
				return err
			}
			if err := s.colon(); err != nil {
				return err
			}
			if s.noteTypes && !typed && isTypeName(name, escaped) {
				typed = true
				s.types = append(s.types, typePlace{start, s.pos})
			}
		}
		if err := s.skip(depth); err != nil {
			return err
		}
	}
}

func isTypeName(name []byte, escaped bool) bool {
	if escaped {
		var buf [len("@type") + 1]byte
		return len(name) <= 6*len("@type") && string(appendUnescaped(buf[:0], name)) == "@type"
	}
	return string(name) == "@type"
}

// literalOf returns the literal that begins with a letter.
func literalOf(c byte) string {
	switch c {
	case 't':
		return "true"
	case 'f':
		return "false"
	default:
		return "null"
	}
}

// expected says what should stand at the position, and what stands there instead. If that is no JSON, it says so.
func (s *scanner) expected(what string) error {
	s.peek()
	return s.expectedAt(s.pos, what)
}

// expectedAt is expected for a value that was read already.
func (s *scanner) expectedAt(pos int, what string) error {
	end := scanner{in: s.in, pos: pos, maxNumber: len(s.in)}
	switch c := end.peek(); {
	case c == '{' || c == '[':
		end.pos++ // The rest does not matter.
	case c == 't' || c == 'f' || c == 'n' || c == '"' || c == '-' || isDigit(c):
		if err := end.skip(0); err != nil {
			return err
		}
	default:
		return end.syntax("expected %s", what)
	}
	return fault(Invalid, pos, "expected %s, got %s", what, describe(s.in[pos:end.pos]))
}

// describe names a JSON value for an error.
func describe(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return `string "` + excerpt(raw[1:len(raw)-1]) + `"`
	case 't', 'f', 'n':
		return string(raw)
	default:
		return "number " + excerpt(raw)
	}
}

// syntax returns an error about what stands at the position.
func (s *scanner) syntax(format string, args ...any) error {
	e := fault(Syntax, s.pos, format, args...).(*Error) //nolint:errorlint,forcetypeassert // Made here.
	switch r, _ := utf8.DecodeRune(s.in[min(s.pos, len(s.in)):]); {
	case s.pos >= len(s.in):
		e.Reason += ", got the end of the input"
	default:
		e.Reason += ", got " + quoteRune(r)
	}
	return e
}
