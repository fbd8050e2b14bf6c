package transcode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Hot path: query strings. Nothing is allocated but for parameters with escapes.

// query is what the parameters of a query string fill.
type query struct {
	fillings []filling
	keys     []byte
	path     []*field // Of the parameter at hand.
	name     []byte   // One of its names.
}

// filling is a place that a parameter fills, or a oneof in which it fills a member.
type filling struct {
	key    []byte // Part of query.keys.
	name   string // The parameter; empty for what the path or the body fills.
	member int32  // Of a oneof: the number of the field. 0 for a place.
	list   bool   // The place may be filled again.
}

func (q *query) reset() {
	q.fillings, q.keys, q.path = q.fillings[:0], q.keys[:0], q.path[:0]
}

// has reports whether a field of the message itself was filled, as a whole or in part.
func (q *query) has(f *field) bool {
	return slices.ContainsFunc(q.fillings, func(s filling) bool { return bytes.HasPrefix(s.key, []byte(f.tag)) })
}

var (
	errSemicolon = errors.New("a semicolon, which some readers take for a separator, must be written as %3B")
	errEscape    = errors.New("it is not correctly percent-encoded")
	errUnknown   = errors.New("names no field of the request")
	errOfBody    = errors.New("names a field that the body fills")
	errAllOfBody = errors.New("is not allowed: the body fills all that the path does not")
	errRepeated  = errors.New("it is given more than once, or together with a field inside, and the field has one value")
	errOneof     = errors.New("it sets a oneof that is set already")
	errNoMap     = errors.New("it has a key in brackets, but the field is no map")
	errNoKey     = errors.New("the field is a map: name one key, in brackets")
)

func strangeParameter(name string, err error) error {
	return &RequestError{Part: InQuery, Name: name, Fault: UnknownParameter, Err: err}
}

func brokenParameter(name string, err error) error {
	return &RequestError{Part: InQuery, Name: name, Fault: BadQuery, Err: err}
}

func badParameter(name string, err error) error {
	return &RequestError{Part: InQuery, Name: name, Err: err}
}

// queried appends the fields that a query string names. Filled says whether there was a body.
func (d *decoder) queried(r *Request, text string, filled bool) error {
	d.query.reset()
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		if err := d.pair(r, pair); err != nil {
			return err
		}
	}
	if len(d.query.fillings) == 0 {
		return nil
	}
	d.query.fillings = append(d.query.fillings, r.oneofs...)
	if filled {
		d.query.fillings = append(d.query.fillings, r.bodyOneofs...)
	}
	return d.query.conflict()
}

// pair appends the field that one parameter names.
func (d *decoder) pair(r *Request, pair string) error {
	name, value, _ := strings.Cut(pair, "=")
	if strings.IndexByte(pair, ';') >= 0 {
		return brokenParameter(name, errSemicolon)
	}
	plain, err := unescape(name)
	if err != nil {
		return brokenParameter(name, errEscape)
	}
	if value, err = unescape(value); err != nil {
		return brokenParameter(name, errEscape)
	}
	switch {
	case r.ignores(plain):
		return nil
	case r.rule.Body == "*":
		return r.stray(plain, errAllOfBody)
	}
	return d.fill(r, plain, value)
}

// unescape decodes text of a query, in which a plus is a space.
func unescape(text string) (string, error) {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text, nil
	}
	return url.QueryUnescape(text)
}

// ignores reports whether a parameter is to be skipped whatever it means.
func (r *Request) ignores(name string) bool {
	for _, pattern := range r.rule.Ignored {
		prefix, open := strings.CutSuffix(pattern, "*")
		if name == pattern || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// stray refuses a parameter that is none of the method's, unless such are ignored.
func (r *Request) stray(name string, err error) error {
	if r.rule.IgnoreUnknown {
		return nil
	}
	return strangeParameter(name, err)
}

// fill appends the field that a parameter names: a path with points, and for a map a key in brackets.
func (d *decoder) fill(r *Request, name, value string) error {
	path, key, keyed := strings.Cut(name, "[")
	key, closed := strings.CutSuffix(key, "]")
	q := &d.query
	if !q.find(r.p.m, path) {
		return r.stray(name, errUnknown)
	}
	last := len(q.path) - 1
	f := q.path[last]
	place := q.addKey(q.path, f.shape == mapped, keyID(f, key))
	taken := r.isTaken(place)
	switch {
	case !taken && r.bodyKey != nil && bytes.HasPrefix(place, r.bodyKey):
		return r.stray(name, errOfBody)
	case keyed && f.shape != mapped:
		return badParameter(name, errNoMap)
	case f.shape == mapped && !closed:
		return badParameter(name, errNoKey)
	}
	if !taken {
		q.fillings = append(q.fillings, filling{key: place, name: name, list: f.shape == list})
		q.fillOneofs(q.path, name)
	}
	before := len(d.out)
	d.given = append(d.given[:0], value...)
	err := d.at(q.path[:last], func() error {
		if f.shape == mapped {
			return d.entryOf(f, key)
		}
		return d.parameter(f, d.given)
	})
	if err != nil {
		return badParameter(name, err)
	}
	if taken { // It was worth a check.
		d.out = d.out[:before]
	}
	return nil
}

// keyID returns the same for all ways to write a key of a map.
func keyID(f *field, key string) string {
	if f.shape != mapped || f.mapKey.op == opString {
		return key
	}
	if n, ok := parseMapKey(f.mapKey.op, []byte(key)); ok {
		return strconv.FormatUint(n, 10)
	}
	return key // Which is refused.
}

// find looks a parameter's path up, and reports whether it leads to a field.
func (q *query) find(m *message, path string) bool {
	q.path = q.path[:0]
	for len(q.path) < maxPath {
		name, rest, more := strings.Cut(path, ".")
		q.name = append(q.name[:0], name...)
		i, ok := m.names.find(q.name)
		if !ok {
			return false
		}
		f := &m.fields[i]
		q.path = append(q.path, f)
		if !more {
			return true
		}
		if !f.leadsOn() {
			return false
		}
		m, path = f.message, rest
	}
	return false
}

// maxPath is how many fields the path of a parameter may have. Each may take a step into a message of its own.
const maxPath = 32

// addKey returns what identifies a place, as place.key does; for an entry of a map it ends in the key of that.
func (q *query) addKey(path []*field, entry bool, key string) []byte {
	start := len(q.keys)
	for _, f := range path {
		q.keys = append(q.keys, f.tag...)
	}
	if entry {
		q.keys = append(binary.AppendUvarint(q.keys, uint64(len(key))), key...)
	}
	return q.keys[start:len(q.keys):len(q.keys)]
}

// fillOneofs notes the oneofs that are set on a path. No place has a key like theirs: tags do not begin with 0.
func (q *query) fillOneofs(path []*field, name string) {
	for i, f := range path {
		if f.oneof == "" {
			continue
		}
		start := len(q.keys)
		for _, before := range path[:i] {
			q.keys = append(q.keys, before.tag...)
		}
		q.keys = binary.BigEndian.AppendUint32(append(q.keys, 0), uint32(f.slot))
		q.fillings = append(q.fillings, filling{key: q.keys[start:len(q.keys):len(q.keys)], name: name, member: int32(f.number)})
	}
}

// isTaken reports whether a variable of the path fills a place, something inside it, or what it is inside of.
func (r *Request) isTaken(place []byte) bool {
	for _, key := range r.taken {
		if bytes.HasPrefix(place, key) || bytes.HasPrefix(key, place) {
			return true
		}
	}
	return false
}

// conflict refuses what is filled twice.
func (q *query) conflict() error {
	if len(q.fillings) == 1 {
		return nil
	}
	slices.SortFunc(q.fillings, func(a, b filling) int { return bytes.Compare(a.key, b.key) })
	for i := range q.fillings[1:] {
		a, b := &q.fillings[i], &q.fillings[i+1]
		switch {
		case !bytes.HasPrefix(b.key, a.key), a.list && len(a.key) == len(b.key), a.member != 0 && a.member == b.member:
		case a.member != 0:
			return badParameter(cmp.Or(b.name, a.name), errOneof)
		default:
			return badParameter(b.name, errRepeated)
		}
	}
	return nil
}

// entryOf appends one entry of a map, whose value is in d.given.
func (d *decoder) entryOf(f *field, key string) error {
	d.out = append(d.out, f.tag...)
	at := d.nest()
	if !utf8.ValidString(key) {
		return errNotUTF8
	}
	d.query.name = append(d.query.name[:0], key...)
	if _, _, err := d.key(f.mapKey, d.query.name, -1); err != nil {
		return err
	}
	err := d.parameter(f.mapValue, d.given)
	d.close(at)
	return err
}
