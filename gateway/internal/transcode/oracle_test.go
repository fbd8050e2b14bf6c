package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The oracle: message objects, proto.Unmarshal and protojson. What it accepts and what it makes of it, the engine must.

// noLimits are limits that no test meets by accident. The oracle has none but for depth.
var noLimits = Limits{MaxDepth: 1 << 20, MaxNumberLength: 1 << 30, MaxOutput: 1 << 30, MaxAnyNesting: 1 << 20}

type rig struct {
	*schema
	c *Compiler
	Options
}

func newRig(s *schema, o Options) *rig {
	o.Resolver, o.Limits = s.types, noLimits
	return &rig{s, New(o), o}
}

func (r *rig) program(t testing.TB, md protoreflect.MessageDescriptor) *Program {
	t.Helper()
	p, err := r.c.Message(md)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// errOracle is what is left of an oracle that panicked.
var errOracle = errors.New("the oracle does not know")

func (r *rig) oracleJSON(md protoreflect.MessageDescriptor, wire []byte) (text []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errOracle
		}
	}()
	m := dynamicpb.NewMessage(md)
	if err := (proto.UnmarshalOptions{Resolver: r.types}).Unmarshal(wire, m); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{
		EmitDefaultValues: r.EmitDefaults, UseProtoNames: r.UseProtoNames, UseEnumNumbers: r.UseEnumNumbers, Resolver: r.types,
	}.Marshal(m)
}

func (r *rig) oracleMessage(md protoreflect.MessageDescriptor, in []byte) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(md)
	return m, protojson.UnmarshalOptions{DiscardUnknown: r.DiscardUnknown, Resolver: r.types}.Unmarshal(in, m)
}

// checkEncode compares wire to JSON with the oracle, and returns our JSON if there is any.
func (r *rig) checkEncode(t testing.TB, md protoreflect.MessageDescriptor, wire []byte) []byte {
	t.Helper()
	want, wantErr := r.oracleJSON(md, wire)
	p := r.program(t, md)
	prefix := []byte("prefix")
	got, general, err := p.appendJSON(prefix, wire)
	if !bytes.HasPrefix(got, prefix) {
		t.Fatalf("%s: the prefix is gone from %q", md.FullName(), got)
	}
	got = got[len(prefix):]
	switch {
	case errors.Is(wantErr, errOracle):
		return nil
	case (err == nil) != (wantErr == nil):
		t.Fatalf("%s %+v: wire %x\n got %s, error %v\nwant %s, error %v", md.FullName(), r.Options, wire, got, err, want, wantErr)
	case err != nil:
		if len(got) > 0 {
			t.Fatalf("output %q with an error", got)
		}
		checkError(t, err, len(wire))
		return nil
	}
	if !sameJSON(t, got, want) {
		t.Fatalf("%s %+v: wire %x (general path: %v)\n got %s\nwant %s", md.FullName(), r.Options, wire, general, got, want)
	}
	return got
}

// checkDecode compares JSON to wire with the oracle, and returns our wire if there is any.
func (r *rig) checkDecode(t testing.TB, md protoreflect.MessageDescriptor, in []byte) []byte {
	t.Helper()
	want, wantErr := r.oracleMessage(md, in)
	if wantErr == nil && !json.Valid(in) {
		wantErr = fmt.Errorf("no JSON, though protojson takes it") // Such as {"i32":1e}.
	}
	p := r.program(t, md)
	prefix := []byte("prefix")
	got, err := p.AppendWire(prefix, in)
	if !bytes.HasPrefix(got, prefix) {
		t.Fatalf("%s: the prefix is gone from %q", md.FullName(), got)
	}
	got = got[len(prefix):]
	switch {
	case (err == nil) != (wantErr == nil):
		t.Fatalf("%s %+v: JSON %s\n got %x, error %v\nwant %v, error %v", md.FullName(), r.Options, in, got, err, want, wantErr)
	case err != nil:
		if len(got) > 0 {
			t.Fatalf("output %q with an error", got)
		}
		checkError(t, err, len(in))
		return nil
	}
	m := dynamicpb.NewMessage(md)
	if err := (proto.UnmarshalOptions{Resolver: r.types}).Unmarshal(got, m); err != nil {
		t.Fatalf("%s: JSON %s\n got %x, which is no wire: %v", md.FullName(), in, got, err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Fatalf("%s: JSON %s\n got %x, with unknown fields", md.FullName(), in, got)
	}
	if !proto.Equal(m, want) && !sameText(t, r, m, want) {
		t.Fatalf("%s %+v: JSON %s\n got %x %v\nwant %v", md.FullName(), r.Options, in, got, m, want)
	}
	if _, general, err := p.appendJSON(nil, got); general && err == nil {
		t.Fatalf("%s: JSON %s: wire %x needs the general path", md.FullName(), in, got)
	}
	return got
}

// sameText compares messages that hold an Any, whose bytes may differ in order, as JSON.
func sameText(t testing.TB, r *rig, a, b proto.Message) bool {
	t.Helper()
	o := protojson.MarshalOptions{Resolver: r.types}
	textA, errA := o.Marshal(a)
	textB, errB := o.Marshal(b)
	return errA == nil && errB == nil && bytes.Contains(textA, []byte("@type")) && sameJSON(t, textA, textB)
}

func checkError(t testing.TB, err error, size int) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error of type %T: %v", err, err)
	}
	if e.Offset < -1 || e.Offset > size {
		t.Fatalf("offset %d in an input of %d bytes: %v", e.Offset, size, e)
	}
	if e.Reason == "" || len(e.Reason) > 400 {
		t.Fatalf("reason %q", e.Reason)
	}
}

func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	return reflect.DeepEqual(tree(t, a), tree(t, b))
}

// tree parses JSON, numbers as they are written, and insists on unique names.
func tree(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v := treeOf(t, d)
	if d.More() {
		t.Fatalf("more than one value: %s", b)
	}
	return v
}

func treeOf(t testing.TB, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatalf("no JSON: %v", err)
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			name := treeOf(t, d).(string)
			if _, ok := m[name]; ok {
				t.Fatalf("duplicate name %q", name)
			}
			m[name] = treeOf(t, d)
		}
		_, _ = d.Token()
		return m
	case json.Delim('['):
		l := []any{}
		for d.More() {
			l = append(l, treeOf(t, d))
		}
		_, _ = d.Token()
		return l
	}
	return token
}
