package transcode

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Options say how messages look as JSON. The zero value is the proto3 JSON mapping with its defaults, and strict.
type Options struct {
	// EmitDefaults writes fields without presence, lists and maps also when they are zero or empty. Fields with
	// presence that are not set stay out, so that the reader can still tell them from zero.
	EmitDefaults bool
	// UseProtoNames writes fields by their names in the .proto file instead of lowerCamelCase. Both are always read.
	UseProtoNames bool
	// UseEnumNumbers writes enum values as numbers. Names and numbers are always read.
	UseEnumNumbers bool
	// Int64AsNumbers writes 64-bit integers as JSON numbers instead of strings. Readers that keep numbers as doubles,
	// such as JavaScript, lose what is beyond 2^53. Keys of maps stay strings, as JSON demands.
	Int64AsNumbers bool
	// DiscardUnknown skips unknown fields and unknown names of enum values in JSON, which are refused otherwise. What
	// is skipped must still be JSON.
	DiscardUnknown bool
	// Limits bound what one message may cost.
	Limits Limits
	// Resolver finds the types of google.protobuf.Any and of extensions. Without one, both are unknown: an Any that
	// holds something is refused, extensions are unknown fields. It is asked concurrently, and what it answers for a
	// name must not change during the life of the compiler.
	Resolver Resolver
}

// Limits bound what one message may cost. A zero field stands for its default. What breaks a limit is refused with an
// *Error of kind Limit.
type Limits struct {
	// MaxDepth is how deeply messages, and values of a google.protobuf.Value, may nest; default 100, as in other
	// implementations of protobuf. Each level is a few stack frames here and in every later reader.
	MaxDepth int
	// MaxNumberLength is how many bytes a JSON number may have; default 512, twice of what any finite double needs in
	// a sensible notation. Conversion of long decimals is the one step whose cost per byte grows with their length.
	MaxNumberLength int
	// MaxOutput is how many bytes a transcoded message may have; default 64 MiB, at most 1 GiB. Names of fields and
	// defaults make JSON several times as large as the wire, and the factor is in the hands of who sends. Input of more
	// than 1 GiB is refused as well.
	MaxOutput int
	// MaxAnyNesting is how deeply google.protobuf.Any may hold one another; default 8. The type of an Any may stand
	// behind its content, which is then read twice, and so again in each Any inside.
	MaxAnyNesting int
}

// Resolver finds types by name. *protoregistry.Types and *dynamicpb.Types are resolvers.
type Resolver interface {
	// FindMessageByName finds the type of an Any by what stands behind the last slash of its type URL.
	FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error)
	protoregistry.ExtensionTypeResolver
}

// maxSize is how large a message may be at most, so that positions in it fit into 32 bits.
const maxSize = 1 << 30

func (l Limits) withDefaults() Limits {
	setDefault(&l.MaxDepth, 100)
	setDefault(&l.MaxNumberLength, 512)
	setDefault(&l.MaxOutput, 64<<20)
	l.MaxOutput = min(l.MaxOutput, maxSize)
	setDefault(&l.MaxAnyNesting, 8)
	return l
}

func setDefault(limit *int, value int) {
	if *limit == 0 {
		*limit = value
	}
}

// noTypes is the resolver of those who have none.
type noTypes struct{}

func (noTypes) FindMessageByName(protoreflect.FullName) (protoreflect.MessageType, error) {
	return nil, protoregistry.NotFound
}

func (noTypes) FindExtensionByName(protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return nil, protoregistry.NotFound
}

func (noTypes) FindExtensionByNumber(protoreflect.FullName, protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return nil, protoregistry.NotFound
}
