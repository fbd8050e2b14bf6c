package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// testee answers the runner. The messages between them are dynamic, as are those of the cases: all come from one image.
type testee struct {
	files    *protoregistry.Files
	types    *dynamicpb.Types
	request  protoreflect.MessageDescriptor
	response protoreflect.MessageDescriptor

	subject transcoder
}

// newTestee makes the transcoder of a name a testee.
func newTestee(name string) (*testee, error) {
	files, err := suite()
	if err != nil {
		return nil, err
	}
	t := &testee{files: files, types: dynamicpb.NewTypes(files)}
	switch newSubject := transcoders[name]; {
	case newSubject != nil:
		t.subject = newSubject(t.types)
	case name == silent:
		t.subject = nothing{}
	default:
		return nil, fmt.Errorf("no transcoder %q", name)
	}
	if t.request, err = t.message("conformance.ConformanceRequest"); err != nil {
		return nil, err
	}
	t.response, err = t.message("conformance.ConformanceResponse")
	return t, err
}

// suite returns the messages of the suite.
func suite() (*protoregistry.Files, error) {
	image, err := os.ReadFile("../testdata/conformance/conformance.binpb")
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(image, &set); err != nil {
		return nil, err
	}
	for _, file := range set.GetFile() {
		dropMessageSets(file.GetMessageType())
	}
	return protodesc.NewFiles(&set)
}

// dropMessageSets makes message sets ordinary messages. Go refuses descriptors with them, and no case with JSON has one.
func dropMessageSets(messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		dropMessageSets(m.GetNestedType())
		if !m.GetOptions().GetMessageSetWireFormat() {
			continue
		}
		m.Options.MessageSetWireFormat = nil
		for _, numbers := range m.GetExtensionRange() {
			numbers.End = new(min(numbers.GetEnd(), int32(protowire.MaxValidNumber)+1))
		}
	}
}

func (t *testee) message(name protoreflect.FullName) (protoreflect.MessageDescriptor, error) {
	d, err := t.files.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	md, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message", name)
	}
	return md, nil
}

// serve answers requests until there are no more. Each message has its length before it, in four bytes, little-endian.
func (t *testee) serve(in io.Reader, out io.Writer) error {
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		data := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, data); err != nil {
			return err
		}
		request := dynamicpb.NewMessage(t.request)
		if err := proto.Unmarshal(data, request); err != nil {
			return err
		}
		answer, err := proto.Marshal(t.answer(request))
		if err != nil {
			return err
		}
		answer = append(binary.LittleEndian.AppendUint32(nil, uint32(len(answer))), answer...)
		if _, err := out.Write(answer); err != nil {
			return err
		}
	}
}

// result is a member of the oneof of that name in ConformanceResponse.
type result struct {
	member protoreflect.Name
	value  protoreflect.Value
}

func text(member protoreflect.Name, value string) result {
	return result{member, protoreflect.ValueOfString(value)}
}

func (t *testee) answer(request protoreflect.Message) proto.Message {
	r := t.judge(request)
	response := dynamicpb.NewMessage(t.response)
	response.Set(t.response.Fields().ByName(r.member), r.value)
	return response
}

// judge does what a request asks for, unless there is no JSON in it: then it is not about transcoding.
func (t *testee) judge(request protoreflect.Message) result {
	fields := t.request.Fields()
	get := func(name protoreflect.Name) protoreflect.Value { return request.Get(fields.ByName(name)) }
	enum := func(name protoreflect.Name) protoreflect.Name {
		return fields.ByName(name).Enum().Values().ByNumber(get(name).Enum()).Name()
	}
	md, err := t.message(protoreflect.FullName(get("message_type").String()))
	if err != nil {
		return text("runtime_error", err.Error())
	}
	var input protoreflect.Name
	if member := request.WhichOneof(t.request.Oneofs().ByName("payload")); member != nil {
		input = member.Name()
	}
	output := enum("requested_output_format")

	switch {
	case input == "json_payload" && (output == "JSON" || output == "PROTOBUF"):
		discard := enum("test_category") == "JSON_IGNORE_UNKNOWN_PARSING_TEST"
		wire, err := t.subject.JSONToWire(md, []byte(get(input).String()), discard)
		switch {
		case err != nil:
			return text("parse_error", err.Error())
		case output == "JSON":
			return t.json(md, wire)
		}
		return result{"protobuf_payload", protoreflect.ValueOfBytes(wire)}
	case input == "protobuf_payload" && output == "JSON":
		return t.json(md, get(input).Bytes())
	}
	return text("skipped", "no JSON, or a format that is none of ours")
}

// json answers with JSON. A transcoder reads and writes in one go; whose fault a refusal is, proto.Unmarshal knows.
func (t *testee) json(md protoreflect.MessageDescriptor, wire []byte) result {
	out, err := t.subject.WireToJSON(md, wire)
	switch {
	case err == nil:
		return text("json_payload", string(out))
	case (proto.UnmarshalOptions{Resolver: t.types}).Unmarshal(wire, dynamicpb.NewMessage(md)) != nil:
		return text("parse_error", err.Error())
	}
	return text("serialize_error", err.Error())
}
