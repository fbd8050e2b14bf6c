package route

import (
	"fmt"
	"slices"
	"strings"
)

// Template is a parsed path template. It is immutable and safe for concurrent use. Its zero value is of no use: get one
// from [Parse].
type Template struct {
	source    string
	segments  []segment
	verb      string // decoded; empty if there is none
	variables []Variable
	example   string
}

// Variable is a part of a path that is bound to a field of the request.
type Variable struct {
	// FieldPath names the field, with dots, such as "order.name".
	FieldPath string

	// MultiSegment says that the variable may span several segments, such as {name=shelves/*} or {name=**}. Its value
	// then keeps the escapes %2F and %2f, so that an escaped slash and a separator stay different. A variable of
	// exactly one segment is decoded whole.
	MultiSegment bool

	// The segments it covers, as indexes: first to limit, limit excluded. If rest is set, it goes on to the path's end.
	first, limit int
	rest         bool
}

type segmentKind uint8

const (
	literalSegment segmentKind = iota
	starSegment                // *
	restSegment                // **
)

type segment struct {
	kind    segmentKind
	literal string // decoded
}

// SyntaxError says where a path template breaks the grammar.
type SyntaxError struct {
	// Template is the text as it was given to [Parse].
	Template string
	// Column counts bytes from 1; it is one more than the length of Template where the text ends too early.
	Column int
	// Message says what is wrong there.
	Message string
}

// Error returns the template, the column and the message in one line.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("path template %q, column %d: %s", e.Template, e.Column, e.Message)
}

// Parse reads a path template in the grammar of google.api.http:
//
//	Template  = "/" Segments [ Verb ] ;
//	Segments  = Segment { "/" Segment } ;
//	Segment   = "*" | "**" | LITERAL | Variable ;
//	Variable  = "{" FieldPath [ "=" Segments ] "}" ;
//	FieldPath = IDENT { "." IDENT } ;
//	Verb      = ":" LITERAL ;
//
// {name} is short for {name=*}. A LITERAL consists of the characters that RFC 3986 allows in a segment, except the colon
// and the star; write any other one as a percent escape, such as %3A. The ** stands last. Variables are not nested, and
// no two have the same field path. The error is a *[SyntaxError].
func Parse(template string) (*Template, error) {
	p := parser{t: Template{source: template}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	p.t.example = example(template)
	return &p.t, nil
}

// example replaces each variable of a valid template by its segments, and each star by a letter.
func example(template string) string {
	var b strings.Builder
	inField := false
	for i := range len(template) {
		switch c := template[i]; {
		case c == '{':
			inField = true
		case c == '=' && inField:
			inField = false
		case c == '}' && inField:
			inField = false
			b.WriteByte('x')
		case c == '}' || inField || (c == '*' && template[i-1] == '*'):
		case c == '*':
			b.WriteByte('x')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// String returns the template as it was given to [Parse].
func (t *Template) String() string { return t.source }

// Example returns a path that matches the template, its literals as the template spells them.
func (t *Template) Example() string { return t.example }

// Verb returns the verb, decoded and without its colon, or "" if the template has none.
func (t *Template) Verb() string { return t.verb }

// Variables returns the variables from left to right. The caller must not change the slice; nil means none.
func (t *Template) Variables() []Variable { return t.variables }

// parser holds a template that is being read. Each method reads one rule of the grammar and leaves pos behind it.
type parser struct {
	t   Template
	pos int
}

func (p *parser) parse() error {
	if !p.accept('/') {
		return p.errorf("a template starts with '/'")
	}
	if err := p.parseSegments(false); err != nil {
		return err
	}
	if p.accept(':') {
		if err := p.parseVerb(); err != nil {
			return err
		}
	}
	if !p.done() {
		return p.unexpected("'/', ':' or the end")
	}
	return nil
}

func (p *parser) parseSegments(inVariable bool) error {
	for {
		if err := p.parseSegment(inVariable); err != nil {
			return err
		}
		if !p.accept('/') {
			return nil
		}
	}
}

func (p *parser) parseSegment(inVariable bool) error {
	if p.afterRest() {
		return p.errorf("only a verb may follow **")
	}
	switch {
	case p.at('{') && inVariable:
		return p.errorf("a variable inside a variable")
	case p.at('{'):
		return p.parseVariable()
	case p.at('*'):
		p.parseStar()
		return nil
	}
	text, err := p.parseLiteral("a segment: a literal, '*', '**' or a {variable}")
	p.add(segment{kind: literalSegment, literal: text})
	return err
}

func (p *parser) parseStar() {
	p.pos++
	if p.accept('*') {
		p.add(segment{kind: restSegment})
		return
	}
	p.add(segment{kind: starSegment})
}

func (p *parser) parseVariable() error {
	p.pos++ // {
	start := p.pos
	name, err := p.parseFieldPath()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.t.variables, func(v Variable) bool { return v.FieldPath == name }) {
		p.pos = start
		return p.errorf("a second variable for the field %q", name)
	}
	v := Variable{FieldPath: name, first: len(p.t.segments)}
	if p.accept('=') {
		err = p.parseSegments(true)
	} else {
		p.add(segment{kind: starSegment})
	}
	if err != nil {
		return err
	}
	p.bind(v)
	return p.closeVariable()
}

// bind completes a variable whose segments were read.
func (p *parser) bind(v Variable) {
	v.limit = len(p.t.segments)
	v.rest = p.afterRest()
	v.MultiSegment = v.rest || v.limit-v.first > 1
	p.t.variables = append(p.t.variables, v)
}

func (p *parser) closeVariable() error {
	switch {
	case p.accept('}'):
		return nil
	case p.at(':'):
		return p.errorf("a verb stands behind the variable, at the end of the template")
	}
	return p.unexpected("'/' or '}'")
}

func (p *parser) parseFieldPath() (string, error) {
	start := p.pos
	for {
		if p.done() || !isIdentStart(p.t.source[p.pos]) {
			return "", p.unexpected("a field name")
		}
		for !p.done() && isIdent(p.t.source[p.pos]) {
			p.pos++
		}
		if !p.accept('.') {
			return p.t.source[start:p.pos], nil
		}
	}
}

func (p *parser) parseVerb() error {
	verb, err := p.parseLiteral("a verb")
	if err != nil {
		return err
	}
	if !p.done() {
		return p.errorf("nothing may follow the verb; write %%3A for a colon that is part of a literal")
	}
	p.t.verb = verb
	return nil
}

// parseLiteral reads and decodes a literal; want says what stands there instead of nothing.
func (p *parser) parseLiteral(want string) (string, error) {
	start := p.pos
	for !p.done() && isLiteral(p.t.source[p.pos]) {
		if p.at('%') && !isEscape(p.t.source[p.pos:]) {
			return "", p.errorf("a percent sign without two hexadecimal digits")
		}
		p.pos++
	}
	if p.pos == start {
		return "", p.unexpected(want)
	}
	text, _ := appendDecoded(nil, p.t.source[start:p.pos], false) // cannot fail: every escape was looked at
	return string(text), nil
}

func (p *parser) add(s segment) { p.t.segments = append(p.t.segments, s) }

func (p *parser) afterRest() bool {
	n := len(p.t.segments)
	return n > 0 && p.t.segments[n-1].kind == restSegment
}

func (p *parser) done() bool { return p.pos == len(p.t.source) }

func (p *parser) at(c byte) bool { return !p.done() && p.t.source[p.pos] == c }

func (p *parser) accept(c byte) bool {
	if !p.at(c) {
		return false
	}
	p.pos++
	return true
}

func (p *parser) errorf(format string, args ...any) error {
	return &SyntaxError{Template: p.t.source, Column: p.pos + 1, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) unexpected(want string) error {
	if p.done() {
		return p.errorf("the template ends, want %s", want)
	}
	return p.errorf("unexpected %q, want %s", p.t.source[p.pos:p.pos+1], want)
}

func isIdentStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isIdent(c byte) bool { return isIdentStart(c) || isDigit(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isLiteral accepts the pchar of RFC 3986 without ':' and '*', which have a meaning of their own.
func isLiteral(c byte) bool {
	return isIdent(c) || strings.IndexByte("-.~!$&'()+,;=@%", c) >= 0
}
