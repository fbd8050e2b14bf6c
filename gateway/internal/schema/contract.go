package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contract is a service with all messages and enums that its methods need, by full name. Comments, the layout of files, and
// what protobuf itself defines are no part of it.
type contract map[protoreflect.FullName]proto.Message

func contractOf(service protoreflect.ServiceDescriptor) contract {
	c := contract{service.FullName(): protodesc.ToServiceDescriptorProto(service)}
	for i := range service.Methods().Len() {
		c.addMessage(service.Methods().Get(i).Input())
		c.addMessage(service.Methods().Get(i).Output())
	}
	return c
}

func (c contract) addMessage(md protoreflect.MessageDescriptor) {
	if c[md.FullName()] != nil || strings.HasPrefix(string(md.FullName()), "google.protobuf.") {
		return
	}
	message := protodesc.ToDescriptorProto(md)
	message.NestedType, message.EnumType = nil, nil // Those that are needed are added by themselves.
	c[md.FullName()] = message
	for i := range md.Fields().Len() {
		field := md.Fields().Get(i)
		if field.Message() != nil {
			c.addMessage(field.Message())
		}
		if enum := field.Enum(); enum != nil && !strings.HasPrefix(string(enum.FullName()), "google.protobuf.") {
			c[enum.FullName()] = protodesc.ToEnumDescriptorProto(enum)
		}
	}
}

// digest returns the SHA-256 of the contract.
func (c contract) digest() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(c)) {
		wire, _ := proto.MarshalOptions{Deterministic: true}.Marshal(c[name]) // Of a descriptor, it can't fail.
		fmt.Fprintf(h, "%s %d\n", name, len(wire))
		h.Write(wire)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// difference names the first part in which two contracts differ; empty if they don't.
func (c contract) difference(other contract) string {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		mine, theirs := c[name], other[name]
		switch {
		case theirs == nil:
			return fmt.Sprintf("%s, which only one needs", name)
		case !proto.Equal(mine, theirs):
			return partOf(string(name), mine, theirs)
		}
	}
	return ""
}

// partOf names what differs inside two definitions of one name.
func partOf(name string, a, b proto.Message) string {
	switch a := a.(type) {
	case *descriptorpb.ServiceDescriptorProto:
		if b, ok := b.(*descriptorpb.ServiceDescriptorProto); ok {
			return member("the method", name, a.GetMethod(), b.GetMethod())
		}
	case *descriptorpb.DescriptorProto:
		if b, ok := b.(*descriptorpb.DescriptorProto); ok {
			return member("the field", name, a.GetField(), b.GetField())
		}
	case *descriptorpb.EnumDescriptorProto:
		if b, ok := b.(*descriptorpb.EnumDescriptorProto); ok {
			return member("the value", name, a.GetValue(), b.GetValue())
		}
	}
	return name
}

// named is a part of a definition.
type named interface {
	proto.Message
	GetName() string
}

// member names the first member that one of two definitions lacks or has otherwise.
func member[T named](kind, of string, a, b []T) string {
	for _, lists := range [][2][]T{{a, b}, {b, a}} {
		for _, m := range lists[0] {
			i := slices.IndexFunc(lists[1], func(other T) bool { return other.GetName() == m.GetName() })
			if i < 0 || !proto.Equal(m, lists[1][i]) {
				return fmt.Sprintf("%s %s of %s", kind, m.GetName(), of)
			}
		}
	}
	return of
}
