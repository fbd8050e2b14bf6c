package conformance

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cardea-gateway/cardea/gateway/internal/transcode"
)

// transcoder is what the suite judges. Extensions and what an Any holds are looked up among the types that it was made with.
type transcoder interface {
	JSONToWire(md protoreflect.MessageDescriptor, json []byte, discardUnknown bool) ([]byte, error)
	WireToJSON(md protoreflect.MessageDescriptor, wire []byte) ([]byte, error)
}

// transcoders have to pass, each under its name.
var transcoders = map[string]func(*dynamicpb.Types) transcoder{
	"cardea":    newEngine,
	"protojson": func(types *dynamicpb.Types) transcoder { return reference{types} },
}

// engine is what the suite is here for.
type engine struct{ strict, lenient *transcode.Compiler }

func newEngine(types *dynamicpb.Types) transcoder {
	return engine{
		strict:  transcode.New(transcode.Options{Resolver: types}),
		lenient: transcode.New(transcode.Options{Resolver: types, DiscardUnknown: true}),
	}
}

func (e engine) JSONToWire(md protoreflect.MessageDescriptor, json []byte, discardUnknown bool) ([]byte, error) {
	compiler := e.strict
	if discardUnknown {
		compiler = e.lenient
	}
	p, err := compiler.Message(md)
	if err != nil {
		return nil, err
	}
	return p.AppendWire(nil, json)
}

func (e engine) WireToJSON(md protoreflect.MessageDescriptor, wire []byte) ([]byte, error) {
	p, err := e.strict.Message(md)
	if err != nil {
		return nil, err
	}
	return p.AppendJSON(nil, wire)
}

// reference goes through message objects. That it passes says that the rest of the harness is right.
type reference struct{ types *dynamicpb.Types }

func (r reference) JSONToWire(md protoreflect.MessageDescriptor, json []byte, discardUnknown bool) ([]byte, error) {
	m := dynamicpb.NewMessage(md)
	options := protojson.UnmarshalOptions{DiscardUnknown: discardUnknown, Resolver: r.types}
	if err := options.Unmarshal(json, m); err != nil {
		return nil, err
	}
	return proto.Marshal(m)
}

func (r reference) WireToJSON(md protoreflect.MessageDescriptor, wire []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(md)
	if err := (proto.UnmarshalOptions{Resolver: r.types}).Unmarshal(wire, m); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{Resolver: r.types}.Marshal(m)
}

// silent names a transcoder that says nothing, whatever it is asked.
const silent = "silent"

type nothing struct{}

func (nothing) JSONToWire(protoreflect.MessageDescriptor, []byte, bool) ([]byte, error) {
	return nil, nil
}

func (nothing) WireToJSON(protoreflect.MessageDescriptor, []byte) ([]byte, error) { return nil, nil }
