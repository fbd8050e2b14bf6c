package transcode

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The schemas of the tests: every kind, cardinality, syntax and well-known type, built here so that each can be seen in
// one place. Names say what a field is: `i32`, `i32s` repeated, `opt_i32` with presence, `m_i32` a map to it, `by_i32` a
// map from it, `one_i32` in a oneof.

type fieldType = descriptorpb.FieldDescriptorProto_Type

const (
	tDouble   = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
	tFloat    = descriptorpb.FieldDescriptorProto_TYPE_FLOAT
	tInt64    = descriptorpb.FieldDescriptorProto_TYPE_INT64
	tUint64   = descriptorpb.FieldDescriptorProto_TYPE_UINT64
	tInt32    = descriptorpb.FieldDescriptorProto_TYPE_INT32
	tFixed64  = descriptorpb.FieldDescriptorProto_TYPE_FIXED64
	tFixed32  = descriptorpb.FieldDescriptorProto_TYPE_FIXED32
	tBool     = descriptorpb.FieldDescriptorProto_TYPE_BOOL
	tString   = descriptorpb.FieldDescriptorProto_TYPE_STRING
	tGroup    = descriptorpb.FieldDescriptorProto_TYPE_GROUP
	tMessage  = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	tBytes    = descriptorpb.FieldDescriptorProto_TYPE_BYTES
	tUint32   = descriptorpb.FieldDescriptorProto_TYPE_UINT32
	tEnum     = descriptorpb.FieldDescriptorProto_TYPE_ENUM
	tSfixed32 = descriptorpb.FieldDescriptorProto_TYPE_SFIXED32
	tSfixed64 = descriptorpb.FieldDescriptorProto_TYPE_SFIXED64
	tSint32   = descriptorpb.FieldDescriptorProto_TYPE_SINT32
	tSint64   = descriptorpb.FieldDescriptorProto_TYPE_SINT64
)

var scalars = []struct {
	name string
	typ  fieldType
}{
	{"bool", tBool},
	{"i32", tInt32},
	{"s32", tSint32},
	{"u32", tUint32},
	{"i64", tInt64},
	{"s64", tSint64},
	{"u64", tUint64},
	{"f32", tFixed32},
	{"f64", tFixed64},
	{"sf32", tSfixed32},
	{"sf64", tSfixed64},
	{"float", tFloat},
	{"double", tDouble},
	{"str", tString},
	{"bin", tBytes},
}

func canBeKey(t fieldType) bool { return t != tFloat && t != tDouble && t != tBytes }

// draft is a message in the making.
type draft struct {
	*descriptorpb.DescriptorProto
	full string
	next int32
}

func newDraft(pkg, name string) *draft {
	return &draft{&descriptorpb.DescriptorProto{Name: new(name)}, "." + pkg + "." + name, 1}
}

func (d *draft) add(name string, label descriptorpb.FieldDescriptorProto_Label, typ fieldType, typeName string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: new(name), Number: new(d.next), Label: label.Enum(), Type: typ.Enum(),
		JsonName: new(jsonName(name)),
	}
	if typeName != "" {
		f.TypeName = new(typeName)
	}
	d.next++
	d.Field = append(d.Field, f)
	return f
}

const (
	optional = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
	required = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED
	repeated = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
)

func (d *draft) one(name string, typ fieldType, typeName string) *descriptorpb.FieldDescriptorProto {
	return d.add(name, optional, typ, typeName)
}

func (d *draft) many(name string, typ fieldType, typeName string) *descriptorpb.FieldDescriptorProto {
	return d.add(name, repeated, typ, typeName)
}

// oneof begins a oneof; what member adds belongs to it.
func (d *draft) oneof(name string) int32 {
	d.OneofDecl = append(d.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new(name)})
	return int32(len(d.OneofDecl) - 1)
}

func (d *draft) member(index int32, name string, typ fieldType, typeName string) {
	d.one(name, typ, typeName).OneofIndex = new(index)
}

// presence adds a proto3 optional field. Synthetic oneofs must come last.
func (d *draft) presence(name string, typ fieldType, typeName string) {
	f := d.one(name, typ, typeName)
	f.Proto3Optional = new(true)
	f.OneofIndex = new(d.oneof("_" + name))
}

func (d *draft) mapOf(name string, key, value fieldType, typeName string) {
	entry := newDraft("", entryName(name))
	entry.one("key", key, "")
	entry.one("value", value, typeName)
	entry.Options = &descriptorpb.MessageOptions{MapEntry: new(true)}
	d.NestedType = append(d.NestedType, entry.DescriptorProto)
	d.many(name, tMessage, d.full+"."+entryName(name))
}

func entryName(name string) string {
	var s strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		s.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return s.String() + "Entry"
}

func jsonName(name string) string {
	var b []byte
	up := false
	for _, c := range []byte(name) {
		if c == '_' {
			up = true
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b = append(b, c)
	}
	return string(b)
}

func newEnum(name string, values ...any) *descriptorpb.EnumDescriptorProto {
	e := &descriptorpb.EnumDescriptorProto{Name: new(name)}
	for i := 0; i < len(values); i += 2 {
		e.Value = append(e.Value, &descriptorpb.EnumValueDescriptorProto{
			Name: new(values[i].(string)), Number: new(int32(values[i+1].(int))),
		})
	}
	return e
}

// knownNames are the well-known types, by the name of a field.
var knownNames = []struct{ name, typ string }{
	{"any", "Any"},
	{"ts", "Timestamp"},
	{"dur", "Duration"},
	{"mask", "FieldMask"},
	{"struct", "Struct"},
	{"list", "ListValue"},
	{"value", "Value"},
	{"wbool", "BoolValue"},
	{"wi32", "Int32Value"},
	{"wi64", "Int64Value"},
	{"wu32", "UInt32Value"},
	{"wu64", "UInt64Value"},
	{"wfloat", "FloatValue"},
	{"wdouble", "DoubleValue"},
	{"wstr", "StringValue"},
	{"wbin", "BytesValue"},
	{"empty", "Empty"},
}

const knownPrefix = ".google.protobuf."

// fill adds every kind in every form that all syntaxes have.
func (d *draft) fill(enum string) {
	for _, s := range scalars {
		d.one(s.name, s.typ, "")
		d.many(s.name+"s", s.typ, "")
		d.mapOf("m_"+s.name, tString, s.typ, "")
		if canBeKey(s.typ) {
			d.mapOf("by_"+s.name, s.typ, tString, "")
		}
	}
	d.one("enum", tEnum, enum)
	d.many("enums", tEnum, enum)
	d.mapOf("m_enum", tInt32, tEnum, enum)
	d.one("self", tMessage, d.full)
	d.many("selfs", tMessage, d.full)
	d.mapOf("m_self", tUint32, tMessage, d.full)
	for _, k := range knownNames {
		d.one(k.name, tMessage, knownPrefix+k.typ)
		d.many(k.name+"_s", tMessage, knownPrefix+k.typ)
		d.mapOf("m_"+k.name, tString, tMessage, knownPrefix+k.typ)
	}
	d.one("null_value", tEnum, knownPrefix+"NullValue")
	d.many("null_values", tEnum, knownPrefix+"NullValue")
	d.mapOf("m_null_value", tString, tEnum, knownPrefix+"NullValue")
	choice := d.oneof("choice")
	for _, s := range scalars {
		d.member(choice, "one_"+s.name, s.typ, "")
	}
	d.member(choice, "one_enum", tEnum, enum)
	d.member(choice, "one_self", tMessage, d.full)
	d.member(choice, "one_null", tEnum, knownPrefix+"NullValue")
	d.member(choice, "one_value", tMessage, knownPrefix+"Value")
	d.member(choice, "one_ts", tMessage, knownPrefix+"Timestamp")
	other := d.oneof("other_choice")
	d.member(other, "other_i32", tInt32, "")
	d.member(other, "other_wi32", tMessage, knownPrefix+"Int32Value")
	odd := d.one("odd_name", tInt32, "")
	odd.JsonName = new("odd \"näme\"\\")
	d.one("_lead__ing1", tInt32, "")
	d.next = 1000
	d.one("far", tInt32, "")
	d.many("fars", tMessage, d.full)
	d.next = 536870911
	d.one("farthest", tString, "")
}

func options(t interface{ ProtoReflect() protoreflect.Message }) *descriptorpb.FileDescriptorProto {
	return protodesc.ToFileDescriptorProto(t.ProtoReflect().Descriptor().ParentFile())
}

// imports are the files of the well-known types.
var imports = []*descriptorpb.FileDescriptorProto{
	options(&anypb.Any{}), options(&timestamppb.Timestamp{}), options(&durationpb.Duration{}),
	options(&fieldmaskpb.FieldMask{}), options(&structpb.Struct{}), options(&wrapperspb.BoolValue{}), options(&emptypb.Empty{}),
}

func newFile(name, pkg string, types ...*descriptorpb.DescriptorProto) *descriptorpb.FileDescriptorProto {
	f := &descriptorpb.FileDescriptorProto{Name: new(name), Package: new(pkg), MessageType: types}
	for _, i := range imports {
		f.Dependency = append(f.Dependency, i.GetName())
	}
	return f
}

func proto3File() *descriptorpb.FileDescriptorProto {
	d := newDraft("p3", "All")
	d.fill(".p3.Enum")
	for _, s := range scalars {
		d.many("un_"+s.name, s.typ, "").Options = &descriptorpb.FieldOptions{Packed: new(false)}
	}
	for _, s := range scalars {
		d.next = 2000 + d.next%536870912
		d.presence("opt_"+s.name, s.typ, "")
	}
	d.presence("opt_enum", tEnum, ".p3.Enum")
	d.presence("opt_self", tMessage, ".p3.All")
	d.presence("opt_null", tEnum, knownPrefix+"NullValue")
	renumber(d)
	small := newDraft("p3", "Small")
	small.one("id", tInt32, "")
	small.one("name", tString, "")
	small.mapOf("labels", tString, tString, "")
	small.many("children", tMessage, ".p3.Small")
	odd := newDraft("p3", "Odd")
	odd.one("type_url", tInt32, "").JsonName = new("@type")
	odd.one("bracket", tInt32, "").JsonName = new("[p2.x_i32]")
	odd.one("foo", tInt32, "").JsonName = new("barBaz")
	odd.one("bar_baz", tInt32, "").JsonName = new("foo")
	f := newFile("p3.proto", "p3", d.DescriptorProto, small.DescriptorProto, odd.DescriptorProto)
	f.Syntax = new("proto3")
	e := newEnum("Enum", "ZERO", 0, "ONE", 1, "UNO", 1, "TWO", 2, "NEGATIVE", -5, "BIG", 2147483647, "SMALL", -2147483648)
	e.Options = &descriptorpb.EnumOptions{AllowAlias: new(true)}
	f.EnumType = append(f.EnumType, e)
	return f
}

// renumber gives consecutive numbers to the fields behind the far ones.
func renumber(d *draft) {
	n := int32(3000)
	for _, f := range d.Field {
		if strings.HasPrefix(f.GetName(), "un_") || strings.HasPrefix(f.GetName(), "opt_") {
			f.Number = new(n)
			n++
		}
	}
}

func proto2File() *descriptorpb.FileDescriptorProto {
	d := newDraft("p2", "All")
	d.fill(".p2.Enum")
	for _, f := range d.Field {
		if f.GetLabel() == repeated && f.GetType() == tInt32 {
			f.Options = &descriptorpb.FieldOptions{Packed: new(true)}
		}
	}
	d.next = 4000
	group := newDraft("p2", "Group")
	group.full = ".p2.All.Group"
	group.one("a", tInt32, "")
	group.many("group", tGroup, ".p2.All.Group.Group")
	inner := newDraft("p2", "Group")
	inner.one("b", tString, "")
	group.NestedType = append(group.NestedType, inner.DescriptorProto)
	d.NestedType = append(d.NestedType, group.DescriptorProto)
	d.one("group", tGroup, ".p2.All.Group")
	groups := newDraft("p2", "Groups")
	groups.one("c", tBool, "")
	d.NestedType = append(d.NestedType, groups.DescriptorProto)
	d.many("groups", tGroup, ".p2.All.Groups")
	d.one("late", tEnum, ".p2.Late")
	d.many("lates", tEnum, ".p2.Late")
	d.one("with_default", tInt32, "").DefaultValue = new("42")
	d.one("must", tMessage, ".p2.Must")
	d.many("musts", tMessage, ".p2.Must")
	d.ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: new(int32(5000)), End: new(int32(6000))}}
	must := newDraft("p2", "Must")
	must.add("a", required, tInt32, "")
	must.add("b", required, tString, "")
	must.add("e", required, tEnum, ".p2.Enum")
	must.one("c", tInt32, "")
	must.ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: new(int32(100)), End: new(int32(200))}}
	f := newFile("p2.proto", "p2", d.DescriptorProto, must.DescriptorProto)
	f.Syntax = new("proto2")
	f.EnumType = append(f.EnumType, newEnum("Enum", "ZERO", 0, "FIVE", 5, "SIX", 6),
		newEnum("Late", "LATE_FIVE", 5, "LATE_ZERO", 0))
	for i, x := range []struct {
		name, typeName string
		typ            fieldType
		label          descriptorpb.FieldDescriptorProto_Label
	}{
		{"x_i32", "", tInt32, optional},
		{"x_str", "", tString, repeated},
		{"x_msg", ".p2.Must", tMessage, optional},
		{"x_all", ".p2.All", tMessage, repeated},
		{"x_enum", ".p2.Enum", tEnum, optional},
		{"x_ts", knownPrefix + "Timestamp", tMessage, optional},
		{"x_value", knownPrefix + "Value", tMessage, optional},
		{"x_null", knownPrefix + "NullValue", tEnum, optional},
		{"x_packed", "", tSint64, repeated},
	} {
		ext := newDraft("", "").add(x.name, x.label, x.typ, x.typeName)
		ext.Number, ext.Extendee = new(int32(5000+i)), new(".p2.All")
		if x.name == "x_packed" {
			ext.Options = &descriptorpb.FieldOptions{Packed: new(true)}
		}
		f.Extension = append(f.Extension, ext)
	}
	return f
}

func editionFile() *descriptorpb.FileDescriptorProto {
	d := newDraft("ed", "All")
	d.fill(".ed.Enum")
	d.next = 4000
	feature := func(f *descriptorpb.FieldDescriptorProto, set *descriptorpb.FeatureSet) {
		f.Options = &descriptorpb.FieldOptions{Features: set}
	}
	for _, s := range scalars {
		feature(d.one("imp_"+s.name, s.typ, ""), &descriptorpb.FeatureSet{
			FieldPresence: descriptorpb.FeatureSet_IMPLICIT.Enum(),
		})
		if s.typ != tString && s.typ != tBytes {
			feature(d.many("exp_"+s.name, s.typ, ""), &descriptorpb.FeatureSet{
				RepeatedFieldEncoding: descriptorpb.FeatureSet_EXPANDED.Enum(),
			})
		}
	}
	feature(d.one("imp_enum", tEnum, ".ed.Enum"), &descriptorpb.FeatureSet{
		FieldPresence: descriptorpb.FeatureSet_IMPLICIT.Enum(),
	})
	delimited := &descriptorpb.FeatureSet{MessageEncoding: descriptorpb.FeatureSet_DELIMITED.Enum()}
	feature(d.one("delimited", tMessage, ".ed.All"), delimited)
	feature(d.many("delimiteds", tMessage, ".ed.All"), delimited)
	feature(d.one("deeper", tMessage, ".ed.Deeper"), delimited)
	feature(d.one("unchecked", tString, ""), &descriptorpb.FeatureSet{
		Utf8Validation: descriptorpb.FeatureSet_NONE.Enum(),
	})
	legacy := &descriptorpb.FeatureSet{FieldPresence: descriptorpb.FeatureSet_LEGACY_REQUIRED.Enum()}
	must := newDraft("ed", "Must")
	feature(must.one("a", tInt32, ""), legacy)
	d.one("must", tMessage, ".ed.Must")
	d.one("closed", tEnum, ".ed.Closed")
	d.many("closeds", tEnum, ".ed.Closed")
	deeper := newDraft("ed", "Deeper")
	deeper.one("a", tString, "")
	f := newFile("ed.proto", "ed", d.DescriptorProto, must.DescriptorProto, deeper.DescriptorProto)
	f.Syntax, f.Edition = new("editions"), descriptorpb.Edition_EDITION_2023.Enum()
	closed := newEnum("Closed", "C_ONE", 1, "C_TWO", 2)
	closed.Options = &descriptorpb.EnumOptions{Features: &descriptorpb.FeatureSet{EnumType: descriptorpb.FeatureSet_CLOSED.Enum()}}
	f.EnumType = append(f.EnumType, newEnum("Enum", "ZERO", 0, "ONE", 1, "MANY", 1000), closed)
	return f
}

// wideFile has a message with more fields than fit into one word of marks.
func wideFile() *descriptorpb.FileDescriptorProto {
	d := newDraft("wide", "Wide")
	for i := range 200 {
		d.one(fmt.Sprintf("f%d", i), tInt32, "")
	}
	choice := d.oneof("choice")
	d.member(choice, "x", tInt32, "")
	d.member(choice, "y", tMessage, ".wide.Wide")
	f := newFile("wide.proto", "wide", d.DescriptorProto)
	f.Syntax = new("proto3")
	return f
}

// schema is a set of files, with a resolver for all that is in them.
type schema struct {
	files *protoregistry.Files
	types *dynamicpb.Types
}

func newSchema(files ...*descriptorpb.FileDescriptorProto) (*schema, error) {
	set := &descriptorpb.FileDescriptorSet{File: append(append([]*descriptorpb.FileDescriptorProto{}, imports...), files...)}
	all, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	return &schema{all, dynamicpb.NewTypes(all)}, nil
}

var fixed = func() *schema {
	s, err := newSchema(proto3File(), proto2File(), editionFile(), wideFile())
	if err != nil {
		panic(err)
	}
	return s
}()

func (s *schema) message(t testing.TB, name string) protoreflect.MessageDescriptor {
	t.Helper()
	d, err := s.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MessageDescriptor)
}
