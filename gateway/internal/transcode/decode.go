package transcode

import (
	"math"
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
}

// AppendWire appends the wire bytes of a message, given as JSON, to dst. On failure, an *Error, it returns dst as it
// was. What it appends may repeat nothing and contradict nothing, but is not deterministic in the sense of protobuf:
// fields and entries of maps stand in the order of the JSON.
func (p *Program) AppendWire(dst, json []byte) ([]byte, error) {
	d := p.c.decoders.Get().(*decoder) //nolint:forcetypeassert // Nothing else is put there.
	defer d.release()
	d.begin(dst, json)
	err := d.message(p.m)
	if err == nil {
		err = d.end()
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
	d.keys.reset()
	d.marks = d.marks[:0]
}

func (d *decoder) release() {
	d.in, d.out = nil, nil
	if cap(d.scratch) > maxKept {
		d.scratch = nil
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
		if err := d.field(f, &filled, start); err != nil {
			return within(f.label, err)
		}
	}
	d.marks = d.marks[:len(d.marks)-2*highWords(m.slots)]
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

// single reads one value and appends it behind a tag. It reports false if there is nothing to write: the name of an
// enum value that is unknown, and that does not matter.
func (d *decoder) single(f *field, tag string) (written bool, err error) {
	switch f.op {
	case opString:
		d.out = append(d.out, tag...)
		return true, d.string()
	case opBytes:
		d.out = append(d.out, tag...)
		return true, d.bytes()
	case opMessage:
		d.out = append(d.out, tag...)
		at := d.nest()
		err := d.message(f.message)
		d.close(at)
		return true, err
	case opGroup:
		d.out = append(d.out, tag...)
		err := d.message(f.message)
		d.out = append(d.out, f.end...)
		return true, err
	default:
		return d.numeric(f, tag)
	}
}

// numeric reads a number, bool or enum, and appends it behind a tag unless it is zero and that means not set.
func (d *decoder) numeric(f *field, tag string) (written bool, err error) {
	v, written, err := d.scalar(f)
	if err != nil || !written {
		return false, err
	}
	if f.implicit && v == 0 {
		return true, nil
	}
	d.out = appendNumber(append(d.out, tag...), f, v)
	return true, nil
}

// string appends a string with its length before it.
func (d *decoder) string() error {
	raw, escaped, err := d.str()
	if err != nil {
		return err
	}
	if escaped {
		at := d.nest()
		d.out = appendUnescaped(d.out, raw)
		d.close(at)
		return nil
	}
	d.appendText(raw)
	return nil
}

// appendText appends text with its length before it.
func (d *decoder) appendText(text []byte) {
	if len(text) < 0x80 {
		d.out = append(append(d.out, byte(len(text))), text...)
		return
	}
	d.out = protowire.AppendBytes(d.out, text)
}

// bytes appends the bytes of a base64 string with their length before them.
func (d *decoder) bytes() error {
	d.peek()
	pos := d.pos
	if d.peek() != '"' {
		return d.expected("bytes as base64")
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	at := d.nest()
	if d.out, err = appendUnbase64(d.out, text); err != nil {
		return d.fault(pos, "expected bytes as base64, got string %q", excerpt(text))
	}
	d.close(at)
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

// element reads one value of a repeated field.
func (d *decoder) element(f *field, tag string) error {
	before := len(d.out)
	if before-d.base > d.c.limits.MaxOutput {
		return d.tooLarge()
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
	if d.keys.has(run, d.out, key.number, text) {
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

// key appends the key of a map's entry, and returns it as keySet wants it. Text is nil if keys are numbers.
func (d *decoder) key(f *field, name []byte, pos int) (key mapKey, text []byte, err error) {
	d.out = append(d.out, f.tag...)
	if f.op == opString {
		d.appendText(name)
		key = mapKey{number: textNumber(name), off: int32(len(d.out) - len(name)), len: int32(len(name))}
		return key, d.out[key.off:], nil
	}
	v, ok := parseMapKey(f.op, name)
	if !ok {
		return key, nil, d.fault(pos, "expected a key of type %s, got %q", f.op.expectation(), excerpt(name))
	}
	d.out = appendNumber(d.out, f, v)
	return mapKey{number: v}, nil, nil
}

func parseMapKey(o op, name []byte) (uint64, bool) {
	switch o {
	case opBool:
		return boolNumber(string(name) == "true"), string(name) == "true" || string(name) == "false"
	case opUint32, opFixed32, opUint64, opFixed64:
		n, ok := parseKey(name, false)
		v, fits := n.unsigned(o.bits())
		return v, ok && fits
	default:
		n, ok := parseKey(name, true)
		v, fits := n.signed(o.bits())
		return uint64(v), ok && fits
	}
}

func boolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// scalar reads a number, bool or enum. Numbers are what encoder.read returns.
func (d *decoder) scalar(f *field) (v uint64, written bool, err error) {
	switch f.op {
	case opBool:
		v, err = d.bool()
		return v, true, err
	case opFloat, opDouble:
		v, err = d.float(f)
		return v, true, err
	case opEnum, opNull:
		return d.enum(f)
	default:
		v, err = d.integer(f)
		return v, true, err
	}
}

func (d *decoder) bool() (uint64, error) {
	switch d.peek() {
	case 't':
		return 1, d.literal("true")
	case 'f':
		return 0, d.literal("false")
	default:
		return 0, d.expected("bool")
	}
}

// integer reads a whole number, or a string that holds one.
func (d *decoder) integer(f *field) (uint64, error) {
	c := d.peek()
	if n, ok := d.shortInteger(); ok {
		return n, nil
	}
	start := d.pos
	var raw []byte
	var err error
	switch {
	case c == '"':
		if raw, err = d.text(); err != nil {
			return 0, err
		}
		if numberLength(raw) != len(raw) || len(raw) == 0 {
			return 0, d.expectedAt(start, f.op.expectation())
		}
	case c == '-' || isDigit(c):
		if raw, err = d.number(); err != nil {
			return 0, err
		}
	default:
		return 0, d.expected(f.op.expectation())
	}
	if v, ok := f.op.fit(raw); ok {
		return v, nil
	}
	return 0, d.expectedAt(start, f.op.expectation())
}

// fit returns the number that a text stands for, if the type has it.
func (o op) fit(raw []byte) (uint64, bool) {
	n, ok := parseInteger(raw)
	if !ok {
		return 0, false
	}
	switch o {
	case opUint32, opFixed32, opUint64, opFixed64:
		return n.unsigned(o.bits())
	default:
		v, ok := n.signed(o.bits())
		return uint64(v), ok
	}
}

func (o op) bits() int {
	switch o {
	case opInt64, opSint64, opSfixed64, opUint64, opFixed64, opDouble:
		return 64
	default:
		return 32
	}
}

// float reads a number, a string that holds one, or one of the strings for what has no digits.
func (d *decoder) float(f *field) (uint64, error) {
	c := d.peek()
	if n, ok := d.shortInteger(); ok {
		return floatBits(float64(n), f.op), nil
	}
	start := d.pos
	var raw []byte
	var err error
	switch {
	case c == '"':
		if raw, err = d.text(); err != nil {
			return 0, err
		}
		if n, ok := notFinite(raw); ok {
			return floatBits(n, f.op), nil
		}
		if numberLength(raw) != len(raw) || len(raw) == 0 {
			return 0, d.expectedAt(start, f.op.expectation())
		}
		if len(raw) > d.maxNumber {
			return 0, fault(Limit, start, "number of %d bytes, %d are allowed", len(raw), d.maxNumber)
		}
	case c == '-' || isDigit(c):
		if raw, err = d.number(); err != nil {
			return 0, err
		}
	default:
		return 0, d.expected(f.op.expectation())
	}
	n, ok := parseFloat(raw, f.op.bits())
	if !ok {
		return 0, d.expectedAt(start, f.op.expectation())
	}
	return floatBits(n, f.op), nil
}

func notFinite(text []byte) (float64, bool) {
	switch string(text) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	default:
		return 0, false
	}
}

func floatBits(n float64, o op) uint64 {
	if o == opFloat {
		return uint64(math.Float32bits(float32(n)))
	}
	return math.Float64bits(n)
}

// enum reads the name or number of an enum value, and null for the one type that has it.
func (d *decoder) enum(f *field) (v uint64, written bool, err error) {
	c := d.peek()
	start := d.pos
	switch {
	case c == '"':
		name, err := d.text()
		if err != nil {
			return 0, false, err
		}
		if n, ok := f.enum.names.find(name); ok {
			return signExtend(uint64(n)), true, nil
		}
		if d.c.options.DiscardUnknown {
			return 0, false, nil
		}
	case c == '-' || isDigit(c):
		raw, err := d.number()
		if err != nil {
			return 0, false, err
		}
		if v, ok := opInt32.fit(raw); ok {
			return v, true, nil
		}
	case c == 'n' && f.op == opNull:
		return 0, true, d.literal("null")
	}
	return 0, false, d.expectedAt(start, "value of enum "+f.enum.name)
}

// expectation names a type for an error.
func (o op) expectation() string {
	switch o {
	case opInt32, opSint32, opSfixed32:
		return "int32"
	case opUint32, opFixed32:
		return "uint32"
	case opInt64, opSint64, opSfixed64:
		return "int64"
	case opUint64, opFixed64:
		return "uint64"
	case opFloat:
		return "float"
	case opDouble:
		return "double"
	case opBool:
		return "bool"
	default:
		return "value"
	}
}
