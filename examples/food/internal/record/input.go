package record

import (
	"slices"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Input returns a copy of a resource with only what a client may set at its creation: without the fields that
// google.api.field_behavior calls OUTPUT_ONLY or IDENTIFIER. It is what a new resource starts from, and what two
// requests are compared by.
func Input[M proto.Message](m M) M {
	input := proto.CloneOf(m)
	r := input.ProtoReflect()
	r.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if ours(field) {
			r.Clear(field)
		}
		return true
	})
	return input
}

// ours reports whether the service sets a field, and nobody else.
func ours(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY) ||
		slices.Contains(behaviors, annotations.FieldBehavior_IDENTIFIER)
}
