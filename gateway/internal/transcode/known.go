package transcode

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// knownTypes are the types with a JSON form of their own.
var knownTypes = map[protoreflect.FullName]known{
	"google.protobuf.Any":         knownAny,
	"google.protobuf.Timestamp":   knownTimestamp,
	"google.protobuf.Duration":    knownDuration,
	"google.protobuf.FieldMask":   knownFieldMask,
	"google.protobuf.Struct":      knownStruct,
	"google.protobuf.ListValue":   knownList,
	"google.protobuf.Value":       knownValue,
	"google.protobuf.BoolValue":   knownWrapper,
	"google.protobuf.Int32Value":  knownWrapper,
	"google.protobuf.Int64Value":  knownWrapper,
	"google.protobuf.UInt32Value": knownWrapper,
	"google.protobuf.UInt64Value": knownWrapper,
	"google.protobuf.FloatValue":  knownWrapper,
	"google.protobuf.DoubleValue": knownWrapper,
	"google.protobuf.StringValue": knownWrapper,
	"google.protobuf.BytesValue":  knownWrapper,
	"google.protobuf.Empty":       knownEmpty,
}

// knownShapes are the fields, by number from 1 on, that the code for a known type relies on.
var knownShapes = map[known][]struct {
	op    op
	shape shape
}{
	knownAny:       {{opString, single}, {opBytes, single}},
	knownTimestamp: {{opInt64, single}, {opInt32, single}},
	knownDuration:  {{opInt64, single}, {opInt32, single}},
	knownFieldMask: {{opString, list}},
	knownStruct:    {{opMessage, mapped}},
	knownList:      {{opMessage, list}},
	knownValue: {
		{opNull, single}, {opDouble, single}, {opString, single}, {opBool, single}, {opMessage, single}, {opMessage, single},
	},
}

// Numbers of the fields of google.protobuf.Value.
const (
	valueNull = iota + 1
	valueNumber
	valueString
	valueBool
	valueStruct
	valueList
)

// wellFormed reports whether a type with a known name has the known fields.
func (m *message) wellFormed() bool {
	if m.known == knownWrapper {
		return len(m.fields) == 1 && m.fields[0].number == 1 && m.fields[0].shape == single && m.fields[0].message == nil
	}
	for i, want := range knownShapes[m.known] {
		f := m.field(protoreflect.FieldNumber(i + 1))
		if f == nil || f.op != want.op || f.shape != want.shape {
			return false
		}
		if want.shape == mapped && (f.mapKey.op != opString || f.mapValue.message == nil || f.mapValue.message.known != knownValue) {
			return false
		}
	}
	return m.known != knownValue ||
		m.field(valueStruct).message.known == knownStruct && m.field(valueList).message.known == knownList
}
