package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		set, err := NewSet([]string{"shop.Shop"}, first, sourceOf(t, "b", shop(change)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		contract := set.Contract("shop.Shop")
		if contract.Source != "a" || len(contract.Digest) != 64 {
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
		_, err := NewSet([]string{"shop.Shop"}, first, sourceOf(t, "image b", shop(change)))
		says := "image a and image b have different contracts for the service shop.Shop: they differ in " + want + ";"
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got  %v\nwant %s", err, says)
		}
	}
}

func TestContractOfWhatIsLinked(t *testing.T) {
	set, err := NewSet([]string{"food.order.v1.OrderService", "no.Such"})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Contract("food.order.v1.OrderService"); got.Source != "linked" || len(got.Digest) != 64 {
		t.Errorf("%+v", got)
	}
	if got := set.Contract("no.Such"); got != (Contract{}) {
		t.Errorf("%+v", got)
	}
}

// TestCompilersAgree compares what buf wrote into an image with what protoc-gen-go linked into this binary.
func TestCompilersAgree(t *testing.T) {
	image, err := ReadImage("../../../gen/image/food.binpb")
	if err != nil {
		t.Fatal(err)
	}
	set, here := mustSet(t, image), mustSet(t)
	compared := 0
	for name := range image.services {
		if here.Service(string(name)) == nil {
			continue
		}
		compared++
		if diff := contractOf(set.Service(string(name))).difference(contractOf(here.Service(string(name)))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if compared == 0 {
		t.Error("there was nothing to compare")
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
	set, err := NewSet(nil, sourceOf(t, "a", file))
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

func setRule(set *Set, rule *annotations.HttpRule, origin string) error {
	method, err := set.Selected(rule)
	if err != nil {
		return err
	}
	return set.SetRule(method, rule, origin)
}

func TestRuleOfAServiceConfiguration(t *testing.T) {
	set, err := NewSet(nil, sourceOf(t, "a", shop(nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v2/{name}", "/v3/{name}"} { // The last one wins.
		rule := &annotations.HttpRule{Selector: "shop.Shop.Get", Pattern: &annotations.HttpRule_Post{Post: path}, Body: "*"}
		if err := setRule(set, rule, "service.yaml:3"); err != nil {
			t.Fatal(err)
		}
	}
	rules, err := set.Rules(set.Service("shop.Shop").Methods().Get(0))
	if err != nil || len(rules) != 1 || rules[0].HTTPMethod != "POST" || rules[0].Template.String() != "/v3/{name}" || rules[0].Body != "*" ||
		rules[0].Origin != "service.yaml:3" {
		t.Errorf("%+v %v", rules, err)
	}
	for selector, want := range map[string]string{
		"":               "needs a selector",
		"shop.*":         "can't be a wildcard",
		"shop.Shop.Got":  "names no method of a known contract; did you mean shop.Shop.Get?",
		"shop.Request":   "names no method of a known contract",
		"not a selector": "names no method of a known contract",
		"shop.Shop.Get":  "a rule needs an HTTP method and a path",
	} {
		if err := setRule(set, &annotations.HttpRule{Selector: selector}, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", selector, err)
		}
	}
}

func TestNestedAdditionalBindingsAreRefused(t *testing.T) {
	binding := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/a"}}
	nested := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/b"}, AdditionalBindings: []*annotations.HttpRule{binding}}
	set, err := NewSet(nil, sourceOf(t, "a", shop(nil)))
	if err != nil {
		t.Fatal(err)
	}
	rule := &annotations.HttpRule{Selector: "shop.Shop.Get", Pattern: &annotations.HttpRule_Get{Get: "/c"}, AdditionalBindings: []*annotations.HttpRule{nested}}
	if err := setRule(set, rule, ""); err == nil || !strings.Contains(err.Error(), "of its own") {
		t.Error(err)
	}
}

// optional makes a field one of proto3 that tells whether it is set.
func optional(f *descriptorpb.FileDescriptorProto) {
	m := f.GetMessageType()[0]
	m.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: new("_name")}}
	m.Field[0].Proto3Optional, m.Field[0].OneofIndex = new(true), new(int32(0))
}

// TestWaysToWriteTheSame has what compilers and servers write otherwise, each in its own way.
func TestWaysToWriteTheSame(t *testing.T) {
	edition := func(f *descriptorpb.FileDescriptorProto) {
		f.Syntax, f.Edition = new("editions"), descriptorpb.Edition_EDITION_2023.Enum()
	}
	implicit := func(f *descriptorpb.FileDescriptorProto) {
		f.Options = &descriptorpb.FileOptions{Features: &descriptorpb.FeatureSet{FieldPresence: descriptorpb.FeatureSet_IMPLICIT.Enum()}}
	}
	for name, tt := range map[string]struct {
		changes []func(*descriptorpb.FileDescriptorProto)
		same    bool
	}{
		"JSON names that are left out": {[]func(*descriptorpb.FileDescriptorProto){
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].JsonName = new("name") },
		}, true},
		"another JSON name": {[]func(*descriptorpb.FileDescriptorProto){
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].JsonName = new("Name") },
		}, false},
		"proto3, and an edition with the same features": {[]func(*descriptorpb.FileDescriptorProto){edition, implicit}, true},
		"proto3, and an edition with its own features":  {[]func(*descriptorpb.FileDescriptorProto){edition}, false},
		"a field that tells whether it is set":          {[]func(*descriptorpb.FileDescriptorProto){optional}, false},
		"the order of fields": {[]func(*descriptorpb.FileDescriptorProto){
			func(f *descriptorpb.FileDescriptorProto) {
				slices.Reverse(f.GetMessageType()[0].GetField())
			},
		}, true},
		"what is reserved": {[]func(*descriptorpb.FileDescriptorProto){
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].ReservedName = []string{"old"} },
		}, true},
	} {
		other := sourceOf(t, "b", shop(func(f *descriptorpb.FileDescriptorProto) {
			for _, change := range tt.changes {
				change(f)
			}
		}))
		set, err := NewSet([]string{"shop.Shop"}, sourceOf(t, "a", shop(nil)), other)
		if (err == nil) != tt.same {
			t.Errorf("%s: %v", name, err)
		}
		alone, _ := NewSet([]string{"shop.Shop"}, other)
		if tt.same && alone.Contract("shop.Shop").Digest != set.Contract("shop.Shop").Digest {
			t.Errorf("%s: the digests differ", name)
		}
	}
}

// TestServicesThatNobodyServesMayDiffer has two images that carry different versions of a third one's service.
func TestServicesThatNobodyServesMayDiffer(t *testing.T) {
	other := sourceOf(t, "b", shop(func(f *descriptorpb.FileDescriptorProto) { f.Service[0].Method[0].Options = nil }))
	if _, err := NewSet([]string{"other.Service"}, sourceOf(t, "a", shop(nil)), other); err != nil {
		t.Error(err)
	}
}

// TestSourceSpeaksForItsServices has a set that happens to hold a service of another backend.
func TestSourceSpeaksForItsServices(t *testing.T) {
	old := shop(func(f *descriptorpb.FileDescriptorProto) {
		f.Service[0].Method[0].Options = nil
		f.Service = append(f.Service, &descriptorpb.ServiceDescriptorProto{Name: new("Own")})
	})
	client, err := NewSource("client", &descriptorpb.FileDescriptorSet{File: append(annotationFiles(), old)}, "shop.Own", "no.Such")
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet([]string{"shop.Shop", "shop.Own"}, client, sourceOf(t, "owner", shop(nil)))
	if err != nil || set.Contract("shop.Shop").Source != "owner" || set.Contract("shop.Own").Source != "client" {
		t.Errorf("%+v %v", set.contracts, err)
	}
	if rules, err := set.Rules(set.Service("shop.Shop").Methods().Get(0)); err != nil || len(rules) != 1 {
		t.Errorf("the contract is not the owner's: %v %v", rules, err)
	}
}

// TestChainOfManyTypes has a contract that is no match for recursion.
func TestChainOfManyTypes(t *testing.T) {
	const length = 20000
	chain := shop(func(f *descriptorpb.FileDescriptorProto) {
		message := descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		for i := range length {
			f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{
				Name: new(fmt.Sprint("M", i)), Field: []*descriptorpb.FieldDescriptorProto{field("next", 1, message, fmt.Sprint(".shop.M", min(i+1, length-1)))},
			})
		}
		f.MessageType[0].Field = append(f.MessageType[0].Field, field("chain", 9, message, ".shop.M0"))
	})
	if c := contractOf(mustSet(t, sourceOf(t, "a", chain)).Service("shop.Shop")); len(c) != length+3 {
		t.Errorf("%d types", len(c))
	}
}

func mustSet(t *testing.T, sources ...*Source) *Set {
	t.Helper()
	set, err := NewSet(nil, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
