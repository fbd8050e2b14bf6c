package call

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Message is one message of a call as protobuf wire bytes, uncompressed. The zero value is an empty message.
//
// It has one owner. RecvMsg(m) fills m and makes the caller its owner; SendMsg(m) takes the bytes over, and m is empty
// afterwards, whether it succeeds or not. Whoever keeps the bytes longer takes a reference with Ref first. A Message is
// not safe for concurrent use; its bytes, which nobody may change, are.
type Message struct {
	data    mem.BufferSlice
	decoded proto.Message
}

// NewMessage returns a message made of wire bytes, whose reference it takes over.
func NewMessage(data mem.BufferSlice) *Message { return &Message{data: data} }

// MessageOf returns the wire bytes of a message object. It fails where the object can't be encoded, such as on invalid
// UTF-8 in a string field.
func MessageOf(m proto.Message) (*Message, error) {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m) // So that two answers can be compared.
	if err != nil {
		return nil, err
	}
	return NewMessage(mem.BufferSlice{mem.SliceBuffer(wire)}), nil
}

// Len returns the size of the message on the wire, in bytes.
func (m *Message) Len() int { return m.data.Len() }

// Buffers returns the bytes without a reference of their own: they are valid as long as the message is.
func (m *Message) Buffers() mem.BufferSlice { return m.data }

// Bytes returns a copy of the bytes in one piece.
func (m *Message) Bytes() []byte { return m.data.Materialize() }

// Reset replaces the bytes, freeing the old ones and taking over the reference to the new ones.
func (m *Message) Reset(data mem.BufferSlice) {
	m.Free()
	m.data = data
}

// Take hands over the bytes with their reference: the message is empty afterwards.
func (m *Message) Take() mem.BufferSlice {
	data := m.data
	m.data, m.decoded = nil, nil
	return data
}

// Ref returns a second message of the same bytes, with a reference of its own.
func (m *Message) Ref() *Message {
	m.data.Ref()
	return &Message{data: append(mem.BufferSlice(nil), m.data...)}
}

// Free gives up the reference to the bytes; the message is empty afterwards.
func (m *Message) Free() {
	m.Take().Free()
}

// Decode returns the message as an object of the given type. It is decoded once, at the first call, and shared between
// policies: do not change it. Bytes that are no such message are an error.
func (m *Message) Decode(t protoreflect.MessageType) (proto.Message, error) {
	if m.decoded != nil && m.decoded.ProtoReflect().Type() == t {
		return m.decoded, nil
	}
	object := t.New().Interface()
	buf := m.data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	if err := proto.Unmarshal(buf.ReadOnlyData(), object); err != nil {
		return nil, fmt.Errorf("the message is not a valid %s: %w", t.Descriptor().FullName(), err)
	}
	m.decoded = object
	return object, nil
}
