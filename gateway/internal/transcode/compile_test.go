package transcode

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func TestProgramsAreMadeOnce(t *testing.T) {
	c := New(Options{})
	md := fixed.message(t, "p3.All")
	first, err := c.Message(md)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Message(md)
	if err != nil || first.m != second.m {
		t.Errorf("compiled again, error %v", err)
	}
	self := first.m.desc.Fields().ByName("self")
	if inner, err := c.Message(self.Message()); err != nil || inner.m != first.m {
		t.Errorf("the type within itself is another one, error %v", err)
	}
}

// foreign is a file that claims names of google.protobuf for types of its own.
func foreign(t *testing.T, messages ...*draft) protoreflect.FileDescriptor {
	t.Helper()
	f := &descriptorpb.FileDescriptorProto{Name: new("foreign.proto"), Package: new("google.protobuf"), Syntax: new("proto3")}
	for _, m := range messages {
		f.MessageType = append(f.MessageType, m.DescriptorProto)
	}
	file, err := protodesc.NewFile(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestForeignWellKnownTypesAreRefused(t *testing.T) {
	for name, fields := range map[string]func(*draft){
		"Timestamp":   func(d *draft) { d.one("seconds", tString, "") },
		"Duration":    func(d *draft) { d.one("seconds", tInt64, "") },
		"FieldMask":   func(d *draft) { d.one("paths", tString, "") },
		"Any":         func(*draft) {},
		"Int32Value":  func(d *draft) { d.many("value", tInt32, "") },
		"StringValue": func(*draft) {},
		"Struct":      func(d *draft) { d.mapOf("fields", tString, tString, "") },
		"ListValue":   func(d *draft) { d.many("values", tString, "") },
		"Value":       func(d *draft) { d.one("null_value", tInt32, "") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDraft("google.protobuf", name)
			fields(d)
			_, err := New(Options{}).Message(foreign(t, d).Messages().Get(0))
			if err == nil || !strings.Contains(err.Error(), "google.protobuf."+name) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMissingTypesAreRefused(t *testing.T) {
	for name, build := range map[string]func(*draft){
		"nowhere.Message": func(d *draft) { d.one("m", tMessage, ".nowhere.Message") },
		"nowhere.Enum":    func(d *draft) { d.many("e", tEnum, ".nowhere.Enum") },
		"nowhere.Value":   func(d *draft) { d.mapOf("m", tString, tMessage, ".nowhere.Value") },
	} {
		d := newDraft("half", "Half")
		build(d)
		f := &descriptorpb.FileDescriptorProto{
			Name: new("half.proto"), Package: new("half"), MessageType: []*descriptorpb.DescriptorProto{d.DescriptorProto},
		}
		file, err := protodesc.FileOptions{AllowUnresolvable: true}.New(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := New(Options{})
		for range 2 { // A failure leaves nothing behind.
			if _, err := c.Message(file.Messages().Get(0)); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v", err)
			}
		}
	}
}

// messageSet is a descriptor as generated code of old may bring it; protodesc refuses to make one.
type messageSet struct{ protoreflect.MessageDescriptor }

func (messageSet) IsMessageSet() bool { return true }

func TestMessageSetsAreRefused(t *testing.T) {
	p, err := New(Options{}).Message(messageSet{fixed.message(t, "p3.Small")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AppendJSON(nil, nil); err == nil {
		t.Error("to JSON: no error")
	}
	if _, err := p.AppendWire(nil, []byte("{}")); err == nil {
		t.Error("to wire: no error")
	}
}

func TestWithoutResolver(t *testing.T) {
	c := New(Options{})
	all, err := c.Message(fixed.message(t, "p2.All"))
	if err != nil {
		t.Fatal(err)
	}
	wire := wireOf(t, fixed.message(t, "p2.All"), `{"i32":1,"[p2.x_i32]":2}`)
	if got, err := all.AppendJSON(nil, wire); err != nil || string(got) != `{"i32":1}` {
		t.Errorf("got %s, %v", got, err)
	}
	for _, in := range []string{`{"[p2.x_i32]":2}`, `{"any":{"@type":"x/p2.All"}}`} {
		if _, err := all.AppendWire(nil, []byte(in)); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

// TestEnumLookups tries every number around those that have names.
func TestEnumLookups(t *testing.T) {
	for _, name := range []string{"p3.Enum", "p2.Enum", "p2.Late", "ed.Enum"} {
		d, err := fixed.files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		ed := d.(protoreflect.EnumDescriptor)
		b := &build{c: New(Options{})}
		e, err := b.enum(ed)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ed.Values().Len() {
			number := ed.Values().Get(i).Number()
			for n := number - 3; n != number+4; n++ { // Over the ends, too.
				want := ""
				if v := ed.Values().ByNumber(n); v != nil {
					want = `"` + string(v.Name()) + `"`
				}
				if got := e.quotedName(int32(n)); got != want {
					t.Errorf("%s %d: got %s, want %s", name, n, got, want)
				}
			}
		}
	}
}
