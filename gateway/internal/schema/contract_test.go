package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	tString = descriptorpb.FieldDescriptorProto_TYPE_STRING
	tInt32  = descriptorpb.FieldDescriptorProto_TYPE_INT32
)

// shop is a file with a service; change makes another version of it.
func shop(change func(*descriptorpb.FileDescriptorProto)) *descriptorpb.FileDescriptorProto {
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/v1/{name}"}})
	file := &descriptorpb.FileDescriptorProto{
		Name: new("shop.proto"), Package: new("shop"), Syntax: new("proto3"), Dependency: []string{"google/api/annotations.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("Request"), Field: []*descriptorpb.FieldDescriptorProto{field("name", 1, tString, "")}},
			{Name: new("Unused")},
		},
		EnumType: []*descriptorpb.EnumDescriptorProto{{Name: new("Size"), Value: []*descriptorpb.EnumValueDescriptorProto{
			{Name: new("SIZE_UNSPECIFIED"), Number: new(int32(0))},
		}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Shop"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: new("Get"), InputType: new(".shop.Request"), OutputType: new(".shop.Request"), Options: options},
		}}},
	}
	file.MessageType[0].Field = append(file.MessageType[0].Field, field("size", 2, descriptorpb.FieldDescriptorProto_TYPE_ENUM, ".shop.Size"))
	if change != nil {
		change(file)
	}
	return file
}

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, typeName string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{
		Name: new(name), Number: new(number), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if typeName != "" {
		f.TypeName = new(typeName)
	}
	return f
}

// sourceOf makes a source of a file and its imports.
func sourceOf(t *testing.T, name string, file *descriptorpb.FileDescriptorProto) *Source {
	t.Helper()
	source, err := NewSource(name, &descriptorpb.FileDescriptorSet{File: append(annotationFiles(), file)})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func annotationFiles() []*descriptorpb.FileDescriptorProto {
	return []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
		protodesc.ToFileDescriptorProto(annotations.File_google_api_http_proto),
		protodesc.ToFileDescriptorProto(annotations.File_google_api_annotations_proto),
	}
}

func TestSourcesMaySayTheSame(t *testing.T) {
	first := sourceOf(t, "a", shop(nil))
	for name, change := range map[string]func(*descriptorpb.FileDescriptorProto){
		"nothing differs": nil,
		"another file":    func(f *descriptorpb.FileDescriptorProto) { f.Name = new("other.proto") },
		"a message that nobody uses": func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[1].Field = append(f.MessageType[1].Field, field("x", 1, tInt32, ""))
		},
		"comments": func(f *descriptorpb.FileDescriptorProto) {
			f.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{LeadingComments: new("x"), Path: []int32{4, 0}, Span: []int32{1, 1, 1}}}}
		},
	} {
		set, err := NewSet(first, sourceOf(t, "b", shop(change)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		contract, ok := set.Contract("shop.Shop")
		if !ok || contract.Source != "a" || len(contract.Digest) != 64 {
			t.Errorf("%s: %+v", name, contract)
		}
	}
}

func TestSourcesThatDifferAreRefused(t *testing.T) {
	first := sourceOf(t, "image a", shop(nil))
	for want, change := range map[string]func(*descriptorpb.FileDescriptorProto){
		"the field name of shop.Request": func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Type = tInt32.Enum() },
		"the field more of shop.Request": func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field = append(f.MessageType[0].Field, field("more", 3, tInt32, ""))
		},
		"the method Get of shop.Shop": func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method[0].Options = nil },
		"the value LARGE of shop.Size": func(f *descriptorpb.FileDescriptorProto) {
			f.EnumType[0].Value = append(f.EnumType[0].Value, &descriptorpb.EnumValueDescriptorProto{Name: new("LARGE"), Number: new(int32(1))})
		},
	} {
		_, err := NewSet(first, sourceOf(t, "image b", shop(change)))
		says := "image a and image b have different contracts for the service shop.Shop: they differ in " + want + ";"
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got  %v\nwant %s", err, says)
		}
	}
}

func TestContractOfWhatIsLinked(t *testing.T) {
	set := newSet(t)
	if got, ok := set.Contract("food.order.v1.OrderService"); !ok || got.Source != "linked" || len(got.Digest) != 64 {
		t.Errorf("%+v %v", got, ok)
	}
	if got, ok := set.Contract("no.Such"); ok {
		t.Errorf("%+v", got)
	}
}

func TestExtensionsOfImagesAreKnown(t *testing.T) {
	file := shop(func(f *descriptorpb.FileDescriptorProto) {
		f.Syntax = new("proto2")
		f.MessageType[1].ExtensionRange = []*descriptorpb.DescriptorProto_ExtensionRange{{Start: new(int32(100)), End: new(int32(200))}}
		extension := field("note", 100, tString, "")
		extension.Extendee = new(".shop.Unused")
		f.Extension = append(f.Extension, extension)
	})
	set, err := NewSet(sourceOf(t, "a", file))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := set.FindExtensionByName("shop.note"); err != nil || x.TypeDescriptor().Number() != 100 {
		t.Error(x, err)
	}
	if x, err := set.FindExtensionByNumber("shop.Unused", 100); err != nil || x.TypeDescriptor().FullName() != "shop.note" {
		t.Error(x, err)
	}
}

func TestImagesOfAFolder(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b.binpb", "a.pb", "c.desc", "d.protoset", ".hidden.pb", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Images(folder)
	var names []string
	for _, path := range got {
		names = append(names, filepath.Base(path))
	}
	if diff := cmp.Diff([]string{"a.pb", "b.binpb", "c.desc", "d.protoset"}, names); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := Images(filepath.Join(folder, "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

func TestRuleOfAServiceConfiguration(t *testing.T) {
	set, err := NewSet(sourceOf(t, "a", shop(nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v2/{name}", "/v3/{name}"} { // The last one wins.
		if err := set.SetRule(&annotations.HttpRule{Selector: "shop.Shop.Get", Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := set.Rules(set.Service("shop.Shop").Methods().Get(0))
	if err != nil || len(rules) != 1 || rules[0].HTTPMethod != "POST" || rules[0].Template.String() != "/v3/{name}" || rules[0].Body != "*" {
		t.Errorf("%+v %v", rules, err)
	}
	for selector, want := range map[string]string{
		"":               "needs a selector",
		"shop.*":         "can't be a wildcard",
		"shop.Shop.Got":  "names no method of a known contract; did you mean shop.Shop.Get?",
		"shop.Request":   "names no method of a known contract",
		"not a selector": "names no method of a known contract",
	} {
		if err := set.SetRule(&annotations.HttpRule{Selector: selector}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", selector, err)
		}
	}
}

func TestNestedAdditionalBindingsAreRefused(t *testing.T) {
	binding := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/a"}}
	nested := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/b"}, AdditionalBindings: []*annotations.HttpRule{binding}}
	set, err := NewSet(sourceOf(t, "a", shop(nil)))
	if err != nil {
		t.Fatal(err)
	}
	rule := &annotations.HttpRule{Selector: "shop.Shop.Get", Pattern: &annotations.HttpRule_Get{Get: "/c"}, AdditionalBindings: []*annotations.HttpRule{nested}}
	if err := set.SetRule(rule); err != nil {
		t.Fatal(err)
	}
	if _, err := set.Rules(set.Service("shop.Shop").Methods().Get(0)); err == nil || !strings.Contains(err.Error(), "of its own") {
		t.Error(err)
	}
}
