package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contract is a service with all messages and enums that its methods need, by full name: what they mean, not how they are
// written. What protobuf itself defines is no part of it.
type contract map[protoreflect.FullName]proto.Message

// contractOf goes through the types one after another: a backend can tell a chain of them that is too long for recursion.
func contractOf(service protoreflect.ServiceDescriptor) contract {
	c := contract{service.FullName(): serviceMeaning(service)}
	var next []protoreflect.MessageDescriptor
	for i := range service.Methods().Len() {
		next = append(next, service.Methods().Get(i).Input(), service.Methods().Get(i).Output())
	}
	for len(next) > 0 {
		md := next[len(next)-1]
		next = next[:len(next)-1]
		if c.lacks(md) {
			c[md.FullName()] = messageMeaning(md)
			next = append(next, c.addFields(md)...)
		}
	}
	return c
}

// lacks tells whether a type belongs to the contract and is not there yet.
func (c contract) lacks(d protoreflect.Descriptor) bool {
	return c[d.FullName()] == nil && !strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// addFields adds the enums of a message, and returns the messages that it holds.
func (c contract) addFields(md protoreflect.MessageDescriptor) []protoreflect.MessageDescriptor {
	var messages []protoreflect.MessageDescriptor
	for i := range md.Fields().Len() {
		field := md.Fields().Get(i)
		if field.Message() != nil {
			messages = append(messages, field.Message())
		}
		if enum := field.Enum(); enum != nil && c.lacks(enum) {
			c[enum.FullName()] = enumMeaning(enum)
		}
	}
	return messages
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

// difference names the first part in which two contracts of a service differ; empty if they don't. A type that only one of
// them needs always comes with a member that only one of them has.
func (c contract) difference(other contract) string {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if theirs := other[name]; theirs != nil && !proto.Equal(c[name], theirs) {
			return partOf(string(name), c[name], theirs)
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
