package transcode

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Hot path: decoder turns JSON into wire bytes in one pass, in the order in which the members come, appending to the
// caller's buffer and allocating nothing but what that needs to grow. A length is written behind what it measures: one
// byte is kept free for it, and the content moves if that is not enough.
type decoder struct {
	scanner

	c    *Compiler
	out  []byte
	base int // The length of the caller's buffer before.

	depth, anys int
	noted       int // Up to where types has the places of all "@type".

	keys    keySet
	marks   []uint64
	scratch []byte // Text of a string with escapes.

	wanted []wanted // What of the next message the path of a request fills.
	masked int      // Bytes of the paths of a mask that is made of the body.
	query  query
	given  []byte // The text of a parameter.
	json   []byte // And what that is as JSON.
}

// AppendWire appends the wire bytes of a message, given as JSON, to dst. On failure, an *Error, it returns dst as it
// was. What it appends may repeat nothing and contradict nothing, but is not deterministic in the sense of protobuf:
// fields and entries of maps stand in the order of the JSON.
func (p *Program) AppendWire(dst, json []byte) ([]byte, error) {
	if len(json) > maxSize {
		return dst, fault(Limit, maxSize, "JSON of more than %d bytes", maxSize)
	}
	d := p.c.decoders.Get().(*decoder) //nolint:forcetypeassert // Nothing else is put there.
	defer d.release()
	d.begin(dst, json)
	err := d.message(p.m)
	if err == nil {
		err = d.end()
	}
	if err == nil && len(d.out)-d.base > p.c.limits.MaxOutput {
		err = d.tooLarge()
	}
	if err != nil {
		return dst, err
	}
	return d.out, nil
}

func (d *decoder) begin(dst, json []byte) {
	d.scanner = scanner{in: json, maxNumber: d.c.limits.MaxNumberLength, types: d.types[:0]}
	d.out, d.base = slices.Grow(dst, len(json)), len(dst) // More than most messages need.
	d.depth, d.anys, d.noted = 0, 0, 0
	d.marks, d.wanted = d.marks[:0], nil
}

func (d *decoder) release() {
	d.in, d.out = nil, nil
	d.keys.reset()
	for _, buf := range []*[]byte{&d.scratch, &d.given, &d.json} {
		if cap(*buf) > maxKept {
			*buf = nil
		}
	}
	if cap(d.types) > maxKept {
		d.types = nil
	}
	d.c.decoders.Put(d)
}

func (d *decoder) fault(pos int, format string, args ...any) error {
	return fault(Invalid, pos, format, args...)
}

// nest begins content that has its length before it, and returns where.
func (d *decoder) nest() int {
	d.out = append(d.out, 0)
	return len(d.out)
}

// close writes the length of the content since start before it.
func (d *decoder) close(start int) {
	n := len(d.out) - start
	if n < 0x80 {
		d.out[start-1] = byte(n)
		return
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	d.out = append(d.out, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"[:more]...)
	copy(d.out[start+more:], d.out[start:start+n])
	protowire.AppendVarint(d.out[:start-1], uint64(n))
}

// message reads a message in whichever form its type has.
func (d *decoder) message(m *message) error {
	if m.refused != "" {
		return d.fault(d.pos, "%s", m.refused)
	}
	if d.depth >= d.c.limits.MaxDepth {
		return fault(Limit, d.pos, "nested more than %d deep", d.c.limits.MaxDepth)
	}
	d.depth++
	var err error
	if m.custom() {
		err = d.wellKnown(m)
	} else {
		err = d.object(m, false)
	}
	d.depth--
	return err
}

// object reads the fields of a message. Inside an Any, whose type was read before, "@type" is none of them.
func (d *decoder) object(m *message, inAny bool) error {
	if err := d.open('{', "object"); err != nil {
		return err
	}
	var seen, filled marks
	seen.high, d.marks = highMarks(d.marks, m.slots)
	filled.high, d.marks = highMarks(d.marks, m.slots)
	tree := d.wanted
	d.wanted = nil
	filled.claim(tree)
	guess, typed := 0, false
	for n := 0; ; n++ {
		more, err := d.next(n, '}')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		start := d.pos
		f := d.guess(m, guess)
		if f == nil {
			if f, err = d.named(m, inAny, &typed); err != nil {
				return err
			}
		}
		if f == nil {
			if err := d.skipMember(); err != nil {
				return err
			}
			continue
		}
		guess = f.index + 1
		if seen.addSlot(f.index, f.number) {
			return d.fault(start, "duplicate field %q", f.label)
		}
		if tree == nil {
			err = d.field(f, &filled, start)
		} else {
			err = d.claimed(tree, f, &filled, start)
		}
		if err != nil {
			return within(f.label, err)
		}
	}
	d.marks = d.marks[:len(d.marks)-2*highWords(m.slots)]
	filled.claimInside(tree)
	return d.complete(m, &filled)
}

// named consumes a name and finds its field, nil if the member does not matter.
func (d *decoder) named(m *message, inAny bool, typed *bool) (*field, error) {
	start := d.pos
	name, err := d.name()
	if err != nil {
		return nil, err
	}
	if !inAny || string(name) != "@type" {
		return d.lookup(m, name, start)
	}
	if *typed {
		return nil, d.fault(start, `duplicate field "@type"`)
	}
	*typed = true
	return nil, nil //nolint:nilnil // Read before.
}

// skipMember consumes the colon and the value of a member that nobody wants.
func (d *decoder) skipMember() error {
	if err := d.colon(); err != nil {
		return err
	}
	return d.skip(d.c.limits.MaxDepth)
}

// guess returns the field with an index if the name at the position is its JSON name, written plainly, and consumes
// it. Clients that write fields in the order of their declaration need no look-up.
func (d *decoder) guess(m *message, index int) *field {
	if index >= len(m.fields) {
		return nil
	}
	f := &m.fields[index]
	end := d.pos + len(f.quoted)
	if f.quoted == "" || end > len(d.in) || string(d.in[d.pos:end]) != f.quoted {
		return nil
	}
	d.pos = end
	return f
}

// name consumes the name of a member. It is valid until the next string.
func (d *decoder) name() ([]byte, error) {
	if d.peek() != '"' {
		return nil, d.syntax("expected a name")
	}
	return d.text()
}

// text consumes a string and returns what it means. It is valid until the next one.
func (d *decoder) text() ([]byte, error) {
	raw, escaped, err := d.str()
	if err != nil || !escaped {
		return raw, err
	}
	d.scratch = appendUnescaped(d.scratch[:0], raw)
	return d.scratch, nil
}

// lookup finds a field by name, nil if it is unknown and that does not matter.
func (d *decoder) lookup(m *message, name []byte, pos int) (*field, error) {
	if i, ok := m.names.find(name); ok {
		return &m.fields[i], nil
	}
	if isExtensionName(name) && m.known != knownEmpty { // Which has fields of no kind, and does not ask for any.
		f, err := d.extension(m, name[1:len(name)-1], pos)
		if f != nil || err != nil {
			return f, err
		}
	}
	if d.c.options.DiscardUnknown {
		return nil, nil //nolint:nilnil // Unknown and of no interest.
	}
	return nil, d.fault(pos, "unknown field %q", excerpt(name))
}

func (d *decoder) extension(m *message, name []byte, pos int) (*field, error) {
	xt, err := d.c.resolver.FindExtensionByName(protoreflect.FullName(name))
	wrap := func(err error) error { return d.fault(pos, "extension %q: %v", excerpt(name), err) }
	if xt != nil && err == nil {
		xd := xt.TypeDescriptor()
		if !m.desc.ExtensionRanges().Has(xd.Number()) || xd.ContainingMessage().FullName() != m.desc.FullName() {
			return nil, d.fault(pos, "%s is no extension of %s", xd.FullName(), m.desc.FullName())
		}
	}
	return d.c.resolvedExtension(xt, err, wrap)
}

// field reads the value of a field, the colon before it included, and marks what it fills.
func (d *decoder) field(f *field, filled *marks, start int) error {
	if err := d.colon(); err != nil {
		return err
	}
	c := d.peek()
	if c == 'n' && !f.nullable {
		return d.literal("null")
	}
	if len(d.out)-d.base > d.c.limits.MaxOutput {
		return d.tooLarge()
	}
	switch f.shape {
	case mapped:
		return d.entries(f)
	case list:
		return d.list(f)
	default:
		return d.member(f, filled, start)
	}
}

// member reads a field that has one value.
func (d *decoder) member(f *field, filled *marks, start int) error {
	if filled.addSlot(f.slot, f.number) {
		return d.fault(start, "oneof %s is already set", f.oneof)
	}
	before := len(d.out)
	written, err := d.single(f, f.tag)
	if err == nil && !written {
		d.out = d.out[:before]
		filled.drop(f)
	}
	return err
}

func (d *decoder) tooLarge() error {
	return fault(Limit, d.pos, "message of more than %d bytes", d.c.limits.MaxOutput)
}

// complete makes sure that all required fields are there. Whoever holds an Any may be happy with less.
func (d *decoder) complete(m *message, filled *marks) error {
	if d.anys > 0 {
		return nil
	}
	for _, f := range m.required {
		if !filled.has(f.slot) {
			return d.fault(d.pos-1, "required field %q is not set", f.label)
		}
	}
	return nil
}

// list reads a repeated field.
func (d *decoder) list(f *field) error {
	if err := d.open('[', "array"); err != nil {
		return err
	}
	if f.packed {
		return d.packed(f)
	}
	for index := 0; ; index++ {
		more, err := d.next(index, ']')
		if !more || err != nil {
			return err
		}
		if err := d.element(f, f.tag); err != nil {
			return withinElement(index, err)
		}
	}
}

// room is what most elements of a list fit into. Where there is less, the buffer doubles: lists are what makes messages
// large, and append alone would copy them many times.
const room = 64

// element reads one value of a repeated field.
func (d *decoder) element(f *field, tag string) error {
	before := len(d.out)
	if before-d.base > d.c.limits.MaxOutput {
		return d.tooLarge()
	}
	if cap(d.out)-before < room {
		d.out = slices.Grow(d.out, before+room)
	}
	written, err := d.single(f, tag)
	if !written {
		d.out = d.out[:before]
	}
	return err
}

func (d *decoder) packed(f *field) error {
	before := len(d.out)
	d.out = append(d.out, f.tag...)
	at := d.nest()
	for index := 0; ; index++ {
		more, err := d.next(index, ']')
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := d.element(f, ""); err != nil {
			return withinElement(index, err)
		}
	}
	if len(d.out) == at {
		d.out = d.out[:before]
		return nil
	}
	d.close(at)
	return nil
}

// entries reads a map.
func (d *decoder) entries(f *field) error {
	if err := d.open('{', "object"); err != nil {
		return err
	}
	run := d.keys.begin()
	for n := 0; ; n++ {
		more, err := d.next(n, '}')
		if err != nil {
			return err
		}
		if !more {
			d.keys.end(run)
			return nil
		}
		if err := d.entry(f, &run); err != nil {
			return err
		}
	}
}

// entry reads one entry of a map.
func (d *decoder) entry(f *field, run *keyRun) error {
	before := len(d.out)
	if before-d.base > d.c.limits.MaxOutput {
		return d.tooLarge()
	}
	d.out = append(d.out, f.tag...)
	at := d.nest()
	start := d.pos
	name, err := d.name()
	if err != nil {
		return err
	}
	key, text, err := d.key(f.mapKey, name, start)
	if err != nil {
		return err
	}
	if d.keys.has(run, d.out[d.base:], key.number, text) {
		return d.fault(start, "duplicate key %q", excerpt(name))
	}
	if err := d.colon(); err != nil {
		return err
	}
	written, err := d.single(f.mapValue, f.mapValue.tag)
	if err != nil {
		return withinEntry(d.keyText(start), err)
	}
	if !written {
		d.out = d.out[:before]
		return nil
	}
	size := len(d.out)
	d.close(at)
	key.off += int32(len(d.out) - size) // The key has moved with the content.
	d.keys.add(run, key)
	return nil
}

// keyText returns the key that stands at a position, for an error.
func (d *decoder) keyText(pos int) []byte {
	s := scanner{in: d.in, pos: pos}
	raw, _, _ := s.str()
	return raw
}
