package route

import (
	"strings"
	"unicode/utf8"
)

// Hot path: this file promises no allocation while a path is split, once the buffers of a Captures have grown.

// ErrMalformedPath says that a path has a percent sign without two hexadecimal digits, or that the value of a variable
// is not valid UTF-8. The request is at fault, whatever its method.
const ErrMalformedPath = pathError("malformed path: broken percent escape or invalid UTF-8")

// pathError makes an error that is a constant.
type pathError string

func (e pathError) Error() string { return string(e) }

// Captures holds what [Router.Match] learns about a path: which template it matched, and where the values of the
// template's variables are. The zero value is ready for use. It is meant to be reused for one match after another, so
// that matching does not allocate; it must be neither copied after its first use nor used by two goroutines at a time.
type Captures struct {
	path     string
	segments []span
	text     []byte // the decoded form of the segments that hold an escape
	template *Template
	err      error
	room     [8]span // For the segments of most paths.
}

// span is where one segment is in the path. If the segment holds an escape, text[from:to] is its decoded form.
type span struct {
	start, end int
	escaped    bool
	from, to   int
}

// Template returns the template that the last match found, or nil if it found none.
func (c *Captures) Template() *Template { return c.template }

// Err says why the last path could match nothing whatever the routes are: [ErrMalformedPath], or nil.
func (c *Captures) Err() error { return c.err }

// Len returns the number of variables of the matched template; 0 without a match.
func (c *Captures) Len() int {
	if c.template == nil {
		return 0
	}
	return len(c.template.variables)
}

// Raw returns the value of variable i, in the order of [Template.Variables], as the client wrote it. It panics if i is
// out of range.
func (c *Captures) Raw(i int) string {
	v := &c.template.variables[i]
	limit := v.limit
	if v.rest {
		limit = len(c.segments)
	}
	if v.first >= limit {
		return "" // an empty ** at the end
	}
	return c.path[c.segments[v.first].start:c.segments[limit-1].end]
}

// Value returns the value of variable i decoded: whole for a variable of one segment, all but %2F and %2f for one of
// several. It fails with [ErrMalformedPath] if the result is not valid UTF-8, and panics if i is out of range.
func (c *Captures) Value(i int) (string, error) {
	raw := c.Raw(i)
	if strings.IndexByte(raw, '%') >= 0 {
		text, ok := appendDecoded(nil, raw, c.template.variables[i].MultiSegment)
		if !ok {
			return "", ErrMalformedPath
		}
		raw = string(text)
	}
	if !utf8.ValidString(raw) {
		return "", ErrMalformedPath
	}
	return raw, nil
}

// AppendValue appends what [Captures.Value] returns to dst, and allocates only to let dst grow. Where it fails it
// returns dst as it was.
func (c *Captures) AppendValue(dst []byte, i int) ([]byte, error) {
	out, ok := appendDecoded(dst, c.Raw(i), c.template.variables[i].MultiSegment)
	if !ok || !utf8.Valid(out[len(dst):]) {
		return dst, ErrMalformedPath
	}
	return out, nil
}

// split takes a new path. It returns false for one that no template can match.
func (c *Captures) split(path string) bool {
	if c.segments == nil {
		c.segments = c.room[:]
	}
	c.path, c.segments, c.text, c.template, c.err = path, c.segments[:0], c.text[:0], nil, nil
	if path == "" || path[0] != '/' {
		return false
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if !c.add(start, i) {
			c.err = ErrMalformedPath
			return false
		}
		start = i + 1
	}
	return true
}

// add appends the segment path[start:end]; it returns false if an escape in it is broken.
func (c *Captures) add(start, end int) bool {
	s := span{start: start, end: end}
	raw := c.path[start:end]
	if strings.IndexByte(raw, '%') >= 0 {
		text, ok := appendDecoded(c.text, raw, false)
		if !ok {
			return false
		}
		s.escaped, s.from, s.to = true, len(c.text), len(text)
		c.text = text
	}
	c.segments = append(c.segments, s)
	return true
}

// colon returns where the last colon of the last segment is, or -1.
func (c *Captures) colon() int {
	s := c.segments[len(c.segments)-1]
	if i := strings.LastIndexByte(c.path[s.start:s.end], ':'); i >= 0 {
		return s.start + i
	}
	return -1
}

// cut ends the last segment at the given place, and returns it as it was for restore.
func (c *Captures) cut(end int) span {
	n := len(c.segments) - 1
	whole := c.segments[n]
	c.segments = c.segments[:n]
	c.add(whole.start, end) // cannot fail: the whole segment was decoded before, and no escape contains a colon
	return whole
}

func (c *Captures) restore(whole span) { c.segments[len(c.segments)-1] = whole }

// appendDecoded appends s with its percent escapes decoded, except those of the slash if keepSlash is set. It returns
// false if an escape is broken.
func appendDecoded(dst []byte, s string, keepSlash bool) ([]byte, bool) {
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return append(dst, s...), true
		}
		if !isEscape(s[i:]) {
			return dst, false
		}
		dst = append(dst, s[:i]...)
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if c == '/' && keepSlash {
			dst = append(dst, s[i:i+3]...)
		} else {
			dst = append(dst, c)
		}
		s = s[i+3:]
	}
}

// isEscape says whether s, which starts with a percent sign, starts with a whole escape.
func isEscape(s string) bool { return len(s) >= 3 && isHex(s[1]) && isHex(s[2]) }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
