package transcode

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message is the program of one message type. It is complete before anyone runs it, and then never changes.
type message struct {
	desc protoreflect.MessageDescriptor
	// known is the special JSON form of the type, if it has one.
	known known
	// refused says why messages of the type cannot be transcoded; empty if they can.
	refused string

	fields []field // In the order of declaration.
	// near finds fields by number; far, sorted, holds those whose numbers are too high for it.
	near []*field
	far  []*field
	// names finds fields by JSON name and by the name in the .proto file.
	names table
	// slots is how many marks a pass needs to know what it has seen: one per field, then one per oneof.
	slots int
	// required are the fields that must be set, defaults those that are written when they are not.
	required []*field
	defaults []*field
	// extensible messages may have fields beyond these.
	extensible bool
	// bare programs write the value of the only field they know, or absent where it is not set.
	bare   bool
	rivals []protowire.Number // Other members of the field's oneof.
	absent string
}

// shape is how many values a field has.
type shape uint8

const (
	single shape = iota
	list
	mapped
)

// op is what to do with a value: the kinds of protobuf, told apart by their JSON as well as by their wire.
type op uint8

const (
	opBool op = iota
	opInt32
	opSint32
	opSfixed32
	opUint32
	opFixed32
	opInt64
	opSint64
	opSfixed64
	opUint64
	opFixed64
	opFloat
	opDouble
	opEnum
	opNull // The enum google.protobuf.NullValue.
	opString
	opBytes
	opMessage
	opGroup
)

// field is the program of one field.
type field struct {
	// label is the field's name in paths of errors: the JSON name.
	label string
	// key is `,"name":`, as output has it; quoted is `"jsonName"`, as input most likely has it.
	key    string
	quoted string

	number protowire.Number
	// wire is the wire type of one value.
	wire  protowire.Type
	op    op
	shape shape

	// tag begins a value on the wire; end closes one that is a group. A packed list has one tag for all values.
	tag    string
	end    string
	packed bool
	// packable lists are read in both forms.
	packable bool

	// implicit fields have no presence: zero is the same as not set, and not written.
	implicit bool
	// unset is key and value of a field that is written though it is not set; empty if it is not.
	unset string
	// emitEmpty makes a list that turns out to be empty appear nonetheless.
	emitEmpty bool
	// nullable fields do not take null for not set: it is a value of theirs, or refused if they are lists.
	nullable bool
	required bool
	// textNumber puts quotes around a number in JSON.
	textNumber bool

	// index is the field's slot as a name in JSON, slot what it fills on the wire: itself, or its oneof, which it
	// shares. Extensions have neither, -1.
	index, slot int
	// oneof is the name of the oneof that the field belongs to.
	oneof string

	message *message
	enum    *enum
	// mapKey and mapValue are the fields of a map's entry.
	mapKey, mapValue *field
	// zero is what a value is that is missing where there must be one.
	zero uint64
}

// enum is the program of one enum type.
type enum struct {
	name string
	// near holds `"NAME"` by number, from the lowest on; far, sorted, what is too scattered for that.
	lowest int32
	near   []string
	far    []enumName
	names  table
}

type enumName struct {
	number int32
	quoted string
}

// known is the special JSON form of a well-known type.
type known uint8

const (
	none known = iota
	knownAny
	knownTimestamp
	knownDuration
	knownFieldMask
	knownStruct
	knownList
	knownValue
	knownWrapper
	// knownEmpty has no special form, except that inside an Any it may stand in "value".
	knownEmpty
)

// custom reports whether the JSON of the type is not the object of its fields.
func (m *message) custom() bool { return m.known != none && m.known != knownEmpty }

// Hot path: field lookup by number does not allocate.
func (m *message) field(n protowire.Number) *field {
	if int(n) < len(m.near) {
		return m.near[n]
	}
	if len(m.far) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(m.far, n, func(f *field, n protowire.Number) int { return cmp.Compare(f.number, n) })
	if !ok {
		return nil
	}
	return m.far[i]
}

// accepts reports whether values of the field come in a wire type. A known number with another type is an unknown
// field.
func (f *field) accepts(t protowire.Type) bool {
	return t == f.wire || f.packable && t == protowire.BytesType
}

// quotedName returns `"NAME"`, or nothing for a number without a name.
func (e *enum) quotedName(n int32) string {
	if i := int64(n) - int64(e.lowest); i >= 0 && i < int64(len(e.near)) {
		return e.near[i]
	}
	i, ok := slices.BinarySearchFunc(e.far, n, func(v enumName, n int32) int { return cmp.Compare(v.number, n) })
	if !ok {
		return ""
	}
	return e.far[i].quoted
}
