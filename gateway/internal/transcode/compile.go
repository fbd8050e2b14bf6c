package transcode

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Compiler makes and keeps programs. It is safe for concurrent use.
type Compiler struct {
	options  Options
	limits   Limits
	resolver Resolver

	mu       sync.Mutex // Serializes compilation; readers need none.
	messages sync.Map   // protoreflect.MessageDescriptor -> *message, complete
	enums    map[protoreflect.EnumDescriptor]*enum
	// extensions and byName keep what the resolver answered, protoreflect.ExtensionDescriptor -> *field and string ->
	// *message. Only what exists is kept, so that names in the input cannot fill them.
	extensions sync.Map
	byName     sync.Map

	encoders, decoders sync.Pool
}

// New returns a compiler of programs with these options.
func New(options Options) *Compiler {
	c := &Compiler{
		options:  options,
		limits:   options.Limits.withDefaults(),
		resolver: options.Resolver,
		enums:    map[protoreflect.EnumDescriptor]*enum{},
	}
	if c.resolver == nil {
		c.resolver = noTypes{}
	}
	c.encoders.New = func() any { return &encoder{c: c} }
	c.decoders.New = func() any { return &decoder{c: c} }
	return c
}

// Program transcodes the messages of one type. It is safe for concurrent use.
type Program struct {
	c *Compiler
	m *message
}

// Message returns the program of a message type, compiling it, and all types that it needs, if it is new. It fails if
// a descriptor is incomplete.
func (c *Compiler) Message(md protoreflect.MessageDescriptor) (*Program, error) {
	m, err := c.message(md)
	if err != nil {
		return nil, fmt.Errorf("transcode: %w", err)
	}
	return &Program{c, m}, nil
}

func (c *Compiler) message(md protoreflect.MessageDescriptor) (*message, error) {
	if m, ok := c.messages.Load(md); ok {
		return m.(*message), nil //nolint:forcetypeassert // Nothing else is stored.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &build{c: c, fresh: map[protoreflect.MessageDescriptor]*message{}}
	m, err := b.message(md)
	if err != nil {
		return nil, err
	}
	b.publish()
	return m, nil
}

// extension returns the program of an extension field.
func (c *Compiler) extension(xd protoreflect.ExtensionDescriptor) (*field, error) {
	if f, ok := c.extensions.Load(xd); ok {
		return f.(*field), nil //nolint:forcetypeassert // Nothing else is stored.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &build{c: c, fresh: map[protoreflect.MessageDescriptor]*message{}}
	f := &field{}
	if err := b.field(f, xd); err != nil {
		return nil, err
	}
	f.index, f.slot = -1, -1
	f.emitEmpty = false
	b.publish()
	c.extensions.Store(xd, f)
	return f, nil
}

// build is one compilation. Its messages become visible together, when the last of them is complete.
type build struct {
	c     *Compiler
	fresh map[protoreflect.MessageDescriptor]*message
}

func (b *build) publish() {
	for md, m := range b.fresh {
		b.c.messages.Store(md, m)
	}
}

func (b *build) message(md protoreflect.MessageDescriptor) (*message, error) {
	if m, ok := b.c.messages.Load(md); ok {
		return m.(*message), nil //nolint:forcetypeassert // Nothing else is stored.
	}
	if m, ok := b.fresh[md]; ok {
		return m, nil
	}
	if md.IsPlaceholder() {
		return nil, fmt.Errorf("message %s is not defined", md.FullName())
	}
	m := &message{desc: md, known: knownTypes[md.FullName()], extensible: md.ExtensionRanges().Len() > 0}
	b.fresh[md] = m // Before its fields, which may be of its own type.
	if x, ok := md.(interface{ IsMessageSet() bool }); ok && x.IsMessageSet() {
		m.refused = "message sets have no JSON"
		return m, nil
	}
	fds := md.Fields()
	m.fields = make([]field, fds.Len())
	m.slots = fds.Len() + md.Oneofs().Len()
	for i := range m.fields {
		if err := b.field(&m.fields[i], fds.Get(i)); err != nil {
			return nil, err
		}
	}
	m.index()
	m.names = fieldNames(fds)
	if !m.wellFormed() {
		return nil, fmt.Errorf("%s is not what protobuf defines under this name", md.FullName())
	}
	return m, nil
}

// index sorts the fields into what a pass looks up.
func (m *message) index() {
	limit := protowire.Number(2*len(m.fields) + 16)
	for i := range m.fields {
		f := &m.fields[i]
		if f.number >= limit {
			m.far = append(m.far, f)
			continue
		}
		for len(m.near) <= int(f.number) {
			m.near = append(m.near, nil)
		}
		m.near[f.number] = f
	}
	slices.SortFunc(m.far, func(a, b *field) int { return cmp.Compare(a.number, b.number) })
	for i := range m.fields {
		f := &m.fields[i]
		if f.required {
			m.required = append(m.required, f)
		}
		if f.unset != "" {
			m.defaults = append(m.defaults, f)
		}
	}
}

// fieldNames lets the descriptor itself decide which name means which field; here we only know the candidates.
func fieldNames(fds protoreflect.FieldDescriptors) table {
	names := map[string]int32{}
	for i := range fds.Len() {
		fd := fds.Get(i)
		for _, name := range []string{
			fd.JSONName(), fd.TextName(), string(fd.Name()), strings.ToLower(fd.JSONName()), strings.ToLower(fd.TextName()),
		} {
			if isExtensionName(name) {
				continue
			}
			if found := byName(fds, name); found != nil {
				names[name] = int32(found.Index())
			}
		}
	}
	return newTable(names)
}

func byName(fds protoreflect.FieldDescriptors, name string) protoreflect.FieldDescriptor {
	if fd := fds.ByJSONName(name); fd != nil {
		return fd
	}
	return fds.ByTextName(name)
}

func isExtensionName[T string | []byte](name T) bool {
	return len(name) >= 2 && name[0] == '[' && name[len(name)-1] == ']'
}

func (b *build) field(f *field, fd protoreflect.FieldDescriptor) error {
	options := b.c.options
	*f = field{
		label:    fd.JSONName(),
		number:   fd.Number(),
		index:    fd.Index(),
		slot:     fd.Index(),
		implicit: !fd.HasPresence() && !options.EmitDefaults,
		required: fd.Cardinality() == protoreflect.Required,
	}
	name := fd.JSONName()
	if options.UseProtoNames {
		name = fd.TextName()
	}
	f.key = "," + quote(name) + ":"
	if canGuess(fd) {
		f.quoted = quote(fd.JSONName())
	}
	if od := fd.ContainingOneof(); od != nil {
		f.slot = fd.ContainingMessage().Fields().Len() + od.Index()
		f.oneof = string(od.Name())
	}
	if err := b.value(f, fd); err != nil {
		return fmt.Errorf("%s: %w", fd.FullName(), err)
	}
	switch {
	case fd.IsMap():
		f.shape, f.implicit = mapped, false
	case fd.IsList():
		f.shape, f.implicit = list, false
		f.packable = f.wire != protowire.BytesType && f.wire != protowire.StartGroupType
		f.packed = fd.IsPacked()
		f.emitEmpty = options.EmitDefaults
	}
	f.setTags()
	if options.EmitDefaults && !fd.HasPresence() && fd.ContainingOneof() == nil {
		f.unset = f.key + f.empty(options)
	}
	return nil
}

// canGuess reports whether the JSON name of a field means that field wherever it stands.
func canGuess(fd protoreflect.FieldDescriptor) bool {
	name := fd.JSONName()
	return !fd.IsExtension() && !isExtensionName(name) && name != "@type" && byName(fd.ContainingMessage().Fields(), name) == fd
}

// value fills in what depends on the type of one value.
func (b *build) value(f *field, fd protoreflect.FieldDescriptor) error {
	kind := fd.Kind()
	known, ok := kinds[kind]
	if !ok {
		return fmt.Errorf("unknown kind %v", kind)
	}
	f.op, f.wire = known.op, known.wire
	f.textNumber = known.text && !b.c.options.Int64AsNumbers
	var err error
	switch {
	case fd.IsMap():
		return b.entry(f, fd)
	case fd.Enum() != nil:
		if f.enum, err = b.enum(fd.Enum()); err != nil {
			return err
		}
		f.zero = signExtend(uint64(fd.Enum().Values().Get(0).Number()))
		if fd.Enum().FullName() == "google.protobuf.NullValue" {
			f.op, f.nullable = opNull, true
		}
	case fd.Message() != nil:
		f.message, err = b.message(fd.Message())
		f.nullable = fd.Message().FullName() == "google.protobuf.Value"
	}
	return err
}

// entry fills in the fields of a map's entry.
func (b *build) entry(f *field, fd protoreflect.FieldDescriptor) error {
	f.mapKey, f.mapValue = &field{}, &field{}
	if err := b.field(f.mapKey, fd.MapKey()); err != nil {
		return err
	}
	f.mapKey.implicit = false
	f.mapKey.textNumber = true
	if err := b.field(f.mapValue, fd.MapValue()); err != nil {
		return err
	}
	f.mapValue.implicit = false
	return nil
}

func (f *field) setTags() {
	wire := f.wire
	if f.packed {
		wire = protowire.BytesType
	}
	f.tag = string(protowire.AppendTag(nil, f.number, wire))
	if f.op == opGroup {
		f.end = string(protowire.AppendTag(nil, f.number, protowire.EndGroupType))
	}
}

// empty returns the JSON of a field without presence that is not set.
func (f *field) empty(options Options) string {
	switch {
	case f.shape == mapped:
		return "{}"
	case f.shape == list:
		return "[]"
	case f.op == opString, f.op == opBytes:
		return `""`
	}
	e := encoder{c: &Compiler{options: options}}
	return string(e.scalar(nil, f, 0))
}

func (b *build) enum(ed protoreflect.EnumDescriptor) (*enum, error) {
	if e, ok := b.c.enums[ed]; ok {
		return e, nil
	}
	values := ed.Values()
	if ed.IsPlaceholder() || values.Len() == 0 {
		return nil, fmt.Errorf("enum %s is not defined", ed.FullName())
	}
	e := &enum{name: string(ed.FullName())}
	names, numbers := map[string]int32{}, []int32{}
	for i := range values.Len() {
		v := values.Get(i)
		names[string(v.Name())] = int32(v.Number())
		numbers = append(numbers, int32(v.Number()))
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	e.names, e.lowest = newTable(names), numbers[0]
	for _, n := range numbers {
		e.addName(n, quote(string(values.ByNumber(protoreflect.EnumNumber(n)).Name())), int64(2*len(numbers)+16))
	}
	b.c.enums[ed] = e
	return e, nil
}

func (e *enum) addName(n int32, quoted string, limit int64) {
	i := int64(n) - int64(e.lowest)
	if i >= limit {
		e.far = append(e.far, enumName{n, quoted})
		return
	}
	for int64(len(e.near)) <= i {
		e.near = append(e.near, "")
	}
	e.near[i] = quoted
}

func quote(s string) string {
	q, _ := appendString(nil, []byte(strings.ToValidUTF8(s, "\uFFFD")))
	return string(q)
}

// kinds says for each kind of protobuf how it is on the wire, and whether its JSON is a string of digits.
var kinds = map[protoreflect.Kind]struct {
	op   op
	wire protowire.Type
	text bool
}{
	protoreflect.BoolKind:     {opBool, protowire.VarintType, false},
	protoreflect.EnumKind:     {opEnum, protowire.VarintType, false},
	protoreflect.Int32Kind:    {opInt32, protowire.VarintType, false},
	protoreflect.Sint32Kind:   {opSint32, protowire.VarintType, false},
	protoreflect.Uint32Kind:   {opUint32, protowire.VarintType, false},
	protoreflect.Int64Kind:    {opInt64, protowire.VarintType, true},
	protoreflect.Sint64Kind:   {opSint64, protowire.VarintType, true},
	protoreflect.Uint64Kind:   {opUint64, protowire.VarintType, true},
	protoreflect.Sfixed32Kind: {opSfixed32, protowire.Fixed32Type, false},
	protoreflect.Fixed32Kind:  {opFixed32, protowire.Fixed32Type, false},
	protoreflect.FloatKind:    {opFloat, protowire.Fixed32Type, false},
	protoreflect.Sfixed64Kind: {opSfixed64, protowire.Fixed64Type, true},
	protoreflect.Fixed64Kind:  {opFixed64, protowire.Fixed64Type, true},
	protoreflect.DoubleKind:   {opDouble, protowire.Fixed64Type, false},
	protoreflect.StringKind:   {opString, protowire.BytesType, false},
	protoreflect.BytesKind:    {opBytes, protowire.BytesType, false},
	protoreflect.MessageKind:  {opMessage, protowire.BytesType, false},
	protoreflect.GroupKind:    {opGroup, protowire.StartGroupType, false},
}
