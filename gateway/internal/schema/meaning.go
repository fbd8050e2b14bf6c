package schema

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What follows returns definitions in a form that is the same for those that mean the same. Compilers and servers leave out
// what can be inferred, each something else: JSON names, what an edition implies, the oneof of an optional field.

func serviceMeaning(sd protoreflect.ServiceDescriptor) *descriptorpb.ServiceDescriptorProto {
	s := protodesc.ToServiceDescriptorProto(sd)
	if o := s.GetOptions(); o != nil {
		o.Features = nil
	}
	for _, m := range s.GetMethod() {
		if o := m.GetOptions(); o != nil {
			o.Features = nil
		}
	}
	slices.SortFunc(s.GetMethod(), func(a, b *descriptorpb.MethodDescriptorProto) int {
		return strings.Compare(a.GetName(), b.GetName())
	})
	return s
}

// messageMeaning leaves out nested types, which count where they are needed, and what is reserved.
func messageMeaning(md protoreflect.MessageDescriptor) *descriptorpb.DescriptorProto {
	m := &descriptorpb.DescriptorProto{Name: new(string(md.Name()))}
	m.Options, _ = proto.Clone(md.Options()).(*descriptorpb.MessageOptions)
	if o := m.GetOptions(); o != nil {
		o.Features = nil
	}
	for i := range md.Fields().Len() {
		m.Field = append(m.Field, fieldMeaning(md.Fields().Get(i)))
	}
	slices.SortFunc(m.GetField(), func(a, b *descriptorpb.FieldDescriptorProto) int {
		return cmp.Compare(a.GetNumber(), b.GetNumber())
	})
	for i := range md.Oneofs().Len() {
		if oneof := md.Oneofs().Get(i); !oneof.IsSynthetic() {
			m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new(string(oneof.Name()))})
		}
	}
	return m
}

func fieldMeaning(fd protoreflect.FieldDescriptor) *descriptorpb.FieldDescriptorProto {
	f := protodesc.ToFieldDescriptorProto(fd)
	f.JsonName = new(fd.JSONName())
	if oneof := fd.ContainingOneof(); oneof != nil && oneof.IsSynthetic() {
		f.OneofIndex = nil
	}
	f.Proto3Optional = nil
	f.Type = descriptorpb.FieldDescriptorProto_Type(fd.Kind()).Enum()
	if f.GetOptions() == nil {
		f.Options = &descriptorpb.FieldOptions{}
	}
	f.Options.Packed = new(fd.IsPacked())
	f.Options.Features = &descriptorpb.FeatureSet{FieldPresence: presence(fd).Enum()}
	return f
}

func presence(fd protoreflect.FieldDescriptor) descriptorpb.FeatureSet_FieldPresence {
	if fd.HasPresence() {
		return descriptorpb.FeatureSet_EXPLICIT
	}
	return descriptorpb.FeatureSet_IMPLICIT
}

// enumMeaning keeps the order of values with one number: the first is the one that JSON shows.
func enumMeaning(ed protoreflect.EnumDescriptor) *descriptorpb.EnumDescriptorProto {
	e := protodesc.ToEnumDescriptorProto(ed)
	e.ReservedName, e.ReservedRange, e.Visibility = nil, nil, nil
	slices.SortStableFunc(e.GetValue(), func(a, b *descriptorpb.EnumValueDescriptorProto) int {
		return cmp.Compare(a.GetNumber(), b.GetNumber())
	})
	if e.GetOptions() == nil {
		e.Options = &descriptorpb.EnumOptions{}
	}
	e.Options.Features = &descriptorpb.FeatureSet{EnumType: openness(ed).Enum()}
	return e
}

func openness(ed protoreflect.EnumDescriptor) descriptorpb.FeatureSet_EnumType {
	if ed.IsClosed() {
		return descriptorpb.FeatureSet_CLOSED
	}
	return descriptorpb.FeatureSet_OPEN
}
