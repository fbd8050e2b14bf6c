package transcode

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Kind tells what is wrong with a message.
type Kind uint8

const (
	// Syntax means that the input is no JSON, or no protobuf wire format.
	Syntax Kind = iota
	// Invalid means that the input does not fit the message's type.
	Invalid
	// Limit means that the input breaks one of the Limits.
	Limit
)

// Error says what is wrong with a message, and where.
type Error struct {
	// Kind is the class of the fault.
	Kind Kind
	// Path leads from the message to the faulty field, as in `order.items[3].quantity` or `labels["color"]`. It is
	// empty if the message as a whole is at fault.
	Path string
	// Offset is the position in the input, in bytes, or -1 if it is not known.
	Offset int
	// Reason is the fault in words, with at most a short excerpt of the input.
	Reason string
}

// Error returns path, reason and offset in one line.
func (e *Error) Error() string {
	s := e.Reason
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Offset >= 0 {
		s += " (offset " + strconv.Itoa(e.Offset) + ")"
	}
	return s
}

// errGeneral is how the single pass over the wire gives up: the answer needs more than one look. It never leaves the
// package.
var errGeneral = errors.New("transcode: the wire needs the general path")

func fault(kind Kind, offset int, format string, args ...any) error {
	return &Error{Kind: kind, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// within puts a step in front of the path of an error on its way out.
func within(step string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch {
	case e.Path == "" || e.Path[0] == '[':
		e.Path = step + e.Path
	default:
		e.Path = step + "." + e.Path
	}
	return e
}

func withinElement(index int, err error) error {
	return within("["+strconv.Itoa(index)+"]", err)
}

func withinEntry(key []byte, err error) error {
	return within("["+strconv.Quote(excerpt(key))+"]", err)
}

// isLimit reports whether an error is about cost, which a second look would only raise.
func isLimit(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Limit
}

// maxExcerpt bounds what an error repeats of the input.
const maxExcerpt = 40

// excerpt returns the beginning of an input as text that can be shown.
func excerpt(b []byte) string {
	if len(b) <= maxExcerpt {
		return string(b)
	}
	n := maxExcerpt
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return string(b[:n]) + "..."
}

// quoteRune returns a character as an error shows it.
func quoteRune(r rune) string { return strconv.QuoteRune(r) }
