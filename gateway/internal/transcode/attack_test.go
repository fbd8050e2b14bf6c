package transcode

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

// TestAttackZeroInThePathOfAKnownType writes a path's zero over what the body says of a type with a JSON form of its own: a
// zero is not on the wire, so the body's word must be dropped, or the rule refused.
func TestAttackZeroInThePathOfAKnownType(t *testing.T) {
	for _, tt := range []struct {
		root     string
		rule     RequestRule
		variable string
		body     string
		want     string
	}{
		{"google.protobuf.Int32Value", RequestRule{Variables: []string{"value"}, Body: "*"}, "0", `5`, `0`},
		{"google.protobuf.Timestamp", RequestRule{Variables: []string{"seconds"}, Body: "*"}, "0", `"1970-01-01T00:00:05Z"`, `"1970-01-01T00:00:00Z"`},
		{"google.protobuf.Any", RequestRule{Variables: []string{"type_url"}, Body: "*"}, "x/p3.Odd", `{"@type":"x/p3.Small","id":7}`, `{"@type":"x/p3.Odd"}`},
		{"p3.All", RequestRule{Variables: []string{"ts.seconds"}, Body: "ts"}, "0", `"1970-01-01T00:00:05Z"`, `{"ts":"1970-01-01T00:00:00Z"}`},
		{"p3.All", RequestRule{Variables: []string{"wi32.value"}, Body: "wi32"}, "0", `5`, `{"wi32":0}`},
	} {
		p, err := rigs[0].c.Message(fixed.message(t, tt.root))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Request(tt.rule)
		if err != nil {
			continue // Refused when the configuration is loaded.
		}
		wire, err := r.AppendWire(nil, Input{Body: []byte(tt.body), Variables: inPath{tt.variable}})
		if err != nil {
			t.Errorf("%s: %v", tt.root, err)
			continue
		}
		t.Run(tt.root, func(t *testing.T) { checkWire(t, tt.root, wire, tt.want) })
	}
}

// TestAttackMaskOfThePath has a mask in the path, which the body must not widen.
func TestAttackMaskOfThePath(t *testing.T) {
	r := newRequest(t, "p3.All", RequestRule{Variables: []string{"mask"}, Body: "self", Mask: true})
	wire, err := r.AppendWire(nil, Input{Body: []byte(`{"i32":1,"str":"x"}`), Variables: inPath{"i32"}})
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, "p3.All", wire, `{"self":{"i32":1,"str":"x"},"mask":"i32"}`)
}

// TestAttackLongMask has a body of many fields deep inside one another, whose paths take many times its size.
func TestAttackLongMask(t *testing.T) {
	c := New(Options{Resolver: fixed.types, Limits: Limits{MaxOutput: 1 << 20}})
	p, err := c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Request(RequestRule{Body: "self", Mask: true})
	if err != nil {
		t.Fatal(err)
	}
	tree := `{"i32":1,"s32":1,"u32":1,"str":"","bool":true,"bin":"","i64":1,"u64":1,"f32":1}`
	for range 10 {
		tree = `{"self":` + tree + `,"optSelf":` + tree + `}`
	}
	body := strings.Repeat(`{"oneSelf":`, 80) + tree + strings.Repeat("}", 80)
	wire, err := r.AppendWire(nil, Input{Body: []byte(body)})
	if !isLimit(errors.Unwrap(err)) {
		t.Errorf("%d bytes of JSON made %d bytes: %v", len(body), len(wire), err)
	}
}

// TestAttackRequiredMessageOfThePath has a required message of which the path fills all that is required.
func TestAttackRequiredMessageOfThePath(t *testing.T) {
	outer, inner := newDraft("req", "Outer"), newDraft("req", "Inner")
	outer.add("inner", required, tMessage, ".req.Inner")
	outer.one("note", tString, "")
	inner.add("id", required, tInt32, "")
	f := newFile("req.proto", "req", outer.DescriptorProto, inner.DescriptorProto)
	f.Syntax = new("proto2")
	s, err := newSchema(f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Resolver: s.types}).Message(s.message(t, "req.Outer"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Request(RequestRule{Variables: []string{"inner.id"}, Body: "*"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AppendWire(nil, Input{Body: []byte(`{"note":"x"}`), Variables: inPath{"3"}}); err != nil {
		t.Error(err)
	}
}

// TestAttackRawBodyInAGroup has an HttpBody where the wire has no length before it.
func TestAttackRawBodyInAGroup(t *testing.T) {
	body := newDraft("google.api", "HttpBody")
	body.one("content_type", tString, "")
	body.one("data", tBytes, "")
	rawBody := newFile("google/api/httpbody.proto", "google.api", body.DescriptorProto)
	rawBody.Syntax = new("proto3")
	m := newDraft("raw", "Request")
	delimited := &descriptorpb.FieldOptions{Features: &descriptorpb.FeatureSet{MessageEncoding: descriptorpb.FeatureSet_DELIMITED.Enum()}}
	m.one("file", tMessage, ".google.api.HttpBody").Options = delimited
	m.one("inner", tMessage, ".raw.Inner").Options = delimited
	in := newDraft("raw", "Inner")
	in.one("file", tMessage, ".google.api.HttpBody")
	f := newFile("raw.proto", "raw", m.DescriptorProto, in.DescriptorProto)
	f.Dependency = append(f.Dependency, "google/api/httpbody.proto")
	f.Syntax, f.Edition = new("editions"), descriptorpb.Edition_EDITION_2023.Enum()
	s, err := newSchema(rawBody, f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Resolver: s.types}).Message(s.message(t, "raw.Request"))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"file", "inner.file"} {
		r, err := p.Request(RequestRule{Body: field})
		if err != nil {
			continue // Refused when the configuration is loaded.
		}
		wire := append(r.AppendRaw(nil, "a/b", 5), "hello"...)
		if _, err := p.AppendJSON(nil, wire); err != nil {
			t.Errorf("body %q makes %x: %v", field, wire, err)
		}
	}
	if response, err := p.Response("file"); err == nil {
		wire, err := p.AppendWire(nil, []byte(`{"file":{"contentType":"a/b","data":"aGVsbG8="}}`))
		if err != nil {
			t.Fatal(err)
		}
		contentType, data, err := response.Raw(wire)
		if contentType != "a/b" || string(data) != "hello" || err != nil {
			t.Errorf("%q %q %v", contentType, data, err)
		}
	}
}

// TestAttackKeysThatMeanTheSame writes one key of a map in two ways.
func TestAttackKeysThatMeanTheSame(t *testing.T) {
	r := newRequest(t, "p3.All", RequestRule{})
	for _, query := range []string{
		"by_i32[1]=a&by_i32[01]=b", "by_i32[1]=a&byI32[1]=b", "by_i32[0]=a&by_i32[-0]=b", "by_i32[1]=a&by_i32[1.0]=b",
		"by_i32[1]=a&by_i32[+1]=b", "by_i32[1]=a&by_i32[%201]=b", "by_i32[100]=a&by_i32[1e2]=b", "by_str[a]=a&by_str[%61]=b",
	} {
		if wire, err := r.AppendWire(nil, Input{Query: query}); err == nil {
			t.Errorf("%s makes %x", query, wire)
		}
	}
}

// TestAttackTextWithSpace has white space in values that aren't text.
func TestAttackTextWithSpace(t *testing.T) {
	r := newRequest(t, "p3.All", RequestRule{})
	for _, query := range []string{"i32=+1", "double=1+", "i32=1%00", "i32=", "bool=null", "wbool=null", "wi32=null", "ts=null", "bool=\"true\"", "i32=\"1\""} {
		if wire, err := r.AppendWire(nil, Input{Query: query}); err == nil {
			t.Errorf("%s makes %x", query, wire)
		}
	}
}

// TestAttackTakenByTheQuery says of what the path fills what is no value of it.
func TestAttackTakenByTheQuery(t *testing.T) {
	r := newRequest(t, "p3.All", RequestRule{Variables: []string{"i32", "self.str"}})
	for _, query := range []string{"i32=x", "i32[a]=1", "self.str=%FF", "self=1"} {
		if _, err := r.AppendWire(nil, Input{Query: query, Variables: inPath{"1", "a"}}); err == nil {
			t.Errorf("%s is not checked", query)
		}
	}
}

// TestAttackRulesThatContradictThemselves must be refused when they are compiled.
func TestAttackRulesThatContradictThemselves(t *testing.T) {
	p, err := rigs[0].c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []RequestRule{
		{Variables: []string{"opt_i32", "optI32"}},
		{Variables: []string{"ts", "ts.seconds"}},
		{Variables: []string{"ts.seconds", "ts"}},
		{Variables: []string{"one_i32", "one_str"}},
		{Variables: []string{"one_self.i32", "one_str"}},
		{Variables: []string{"one_i32"}, Body: "one_self"},
		{Variables: []string{"strs"}},
		{Variables: []string{"m_str"}},
		{Variables: []string{"self"}},
		{Variables: []string{"selfs.i32"}},
		{Variables: []string{"any"}},
		{Variables: []string{""}},
		{Variables: []string{"self."}},
		{Variables: []string{".self"}},
		{Body: "**"},
		{Body: "self.nope"},
		{Body: "m_str.a"},
	} {
		if _, err := p.Request(rule); err == nil {
			t.Errorf("%+v is accepted", rule)
		}
	}
	for _, field := range []string{"nope", "self.i32", "*"} {
		if _, err := p.Response(field); err == nil {
			t.Errorf("response_body %q is accepted", field)
		}
	}
}

// TestAttackResponseBodyOfAnotherMember has the field on the wire, and another one of its oneof behind it.
func TestAttackResponseBodyOfAnotherMember(t *testing.T) {
	p, err := rigs[0].c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Response("one_str")
	if err != nil {
		t.Fatal(err)
	}
	wire := append(wireOf(t, fixed.message(t, "p3.All"), `{"oneStr":"stale"}`), wireOf(t, fixed.message(t, "p3.All"), `{"oneI32":1}`)...)
	if json, err := r.AppendJSON(nil, wire); err != nil || string(json) != `""` {
		t.Errorf("%s %v", json, err)
	}
}
