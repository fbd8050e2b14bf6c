package transcode

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The general path: what one pass over the wire cannot answer is first brought into the form that it can, by way of a
// message object. There every field stands once, repeated ones in one piece, messages merged, the last value and the
// last entry of a map winning, and nothing is unknown. Canonical encoders never need it.

// generally transcodes a message on which the single pass failed, for a reason that may go away.
func (e *encoder) generally(dst []byte, m *message, wire []byte, first error) ([]byte, error) {
	normal, err := e.normalize(m.desc, wire)
	if err != nil {
		return dst, firstOf(first, &Error{Kind: Syntax, Offset: -1, Reason: "invalid protobuf wire format"})
	}
	e.begin(dst, normal)
	e.general = true
	out, err := e.whole(dst, m, normal)
	if err != nil {
		return dst, firstOf(first, err)
	}
	return out, nil
}

// firstOf returns the first error if it is one that people can read, and otherwise the second, whose offsets mean
// nothing to them.
func firstOf(first, second error) error {
	if first != errGeneral { //nolint:errorlint // A sentinel of this package, never wrapped.
		return first
	}
	e, ok := errors.AsType[*Error](second)
	if !ok {
		e = &Error{Reason: "the message cannot be brought into canonical form"}
	}
	e.Offset = -1
	return e
}

// normalize brings wire into canonical form.
func (e *encoder) normalize(md protoreflect.MessageDescriptor, wire []byte) (normal []byte, err error) {
	// Messages without generated code panic on an entry of a map whose key comes again with another wire type (protobuf
	// 1.36.12): that must not be the end of the process.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("normalize: %v", cause)
		}
	}()
	m := dynamicpb.NewMessage(md)
	unmarshal := proto.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, Resolver: e.c.resolver}
	if err := unmarshal.Unmarshal(wire, m); err != nil {
		return nil, fmt.Errorf("normalize: %w", err)
	}
	normal, err = proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("normalize: %w", err)
	}
	return normal, nil
}

// resolvedExtension returns the program of an extension that a resolver found, nil if it found none.
func (c *Compiler) resolvedExtension(xt protoreflect.ExtensionType, err error, wrap func(error) error) (*field, error) {
	if err != nil && !errors.Is(err, protoregistry.NotFound) {
		return nil, wrap(err)
	}
	if xt == nil {
		return nil, nil //nolint:nilnil // An unknown field is no error.
	}
	f, err := c.extension(xt.TypeDescriptor().Descriptor())
	if err != nil {
		return nil, wrap(err)
	}
	return f, nil
}

// content returns the program of what an Any holds.
func (c *Compiler) content(typeURL []byte) (*message, error) {
	name := typeURL[bytes.LastIndexByte(typeURL, '/')+1:]
	if m, ok := c.byName.Load(string(name)); ok {
		return m.(*message), nil //nolint:forcetypeassert // Nothing else is stored.
	}
	mt, err := c.resolver.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("unknown type: %w", err)
	}
	m, err := c.message(mt.Descriptor())
	if err != nil {
		return nil, err
	}
	c.byName.Store(string(name), m)
	return m, nil
}
