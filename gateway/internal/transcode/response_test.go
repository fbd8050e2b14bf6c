package transcode

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

func TestResponseBody(t *testing.T) {
	for _, tt := range []struct{ field, message, want string }{
		{"", `{"i32":1}`, `{"i32":1}`},
		{"i32", `{"i32":1,"str":"x"}`, `1`},
		{"i32", `{"str":"x"}`, `0`},
		{"i64", `{"i64":"1"}`, `"1"`},
		{"i64", `{}`, `"0"`},
		{"str", `{"str":"x"}`, `"x"`},
		{"str", `{}`, `""`},
		{"bool", `{}`, `false`},
		{"bin", `{"bin":"AA=="}`, `"AA=="`},
		{"double", `{"double":"NaN"}`, `"NaN"`},
		{"enum", `{"enum":"ONE"}`, `"ONE"`},
		{"enum", `{}`, `"ZERO"`},
		{"opt_i32", `{"optI32":0}`, `0`},
		{"opt_i32", `{}`, `0`},
		{"strs", `{"strs":["a","b"],"str":"x"}`, `["a","b"]`},
		{"strs", `{}`, `[]`},
		{"i32s", `{"i32s":[1,2]}`, `[1,2]`},
		{"selfs", `{"selfs":[{"i32":1},{}]}`, `[{"i32":1},{}]`},
		{"m_i32", `{"mI32":{"a":1}}`, `{"a":1}`},
		{"m_i32", `{}`, `{}`},
		{"self", `{"self":{"i32":1}}`, `{"i32":1}`},
		{"self", `{"i32":1}`, `{}`},
		{"one_self", `{"oneSelf":{}}`, `{}`},
		{"one_self", `{"oneI32":1}`, `{}`},
		{"ts", `{"ts":"1970-01-01T00:00:00Z"}`, `"1970-01-01T00:00:00Z"`},
		{"ts", `{}`, `null`},
		{"wi32", `{"wi32":0}`, `0`},
		{"wi32", `{}`, `null`},
		{"struct", `{"struct":{"a":1}}`, `{"a":1}`},
		{"struct", `{}`, `{}`},
		{"list", `{"list":[1]}`, `[1]`},
		{"list", `{}`, `[]`},
		{"value", `{"value":"x"}`, `"x"`},
		{"value", `{}`, `null`},
		{"any", `{"any":{"@type":"x/p3.Small","id":1}}`, `{"@type":"x/p3.Small","id":1}`},
		{"farthest", `{"farthest":"x"}`, `"x"`},
	} {
		p, err := rigs[0].c.Message(fixed.message(t, "p3.All"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Response(tt.field)
		if err != nil {
			t.Fatal(err)
		}
		m := dynamicpb.NewMessage(fixed.message(t, "p3.All"))
		if err := (protojson.UnmarshalOptions{Resolver: fixed.types}).Unmarshal([]byte(tt.message), m); err != nil {
			t.Fatal(err)
		}
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.AppendJSON([]byte("before "), wire); err != nil || string(got) != "before "+tt.want {
			t.Errorf("%q of %s: got %s, %v", tt.field, tt.message, got, err)
		}
	}
}

// TestResponseBodyInPieces has a field that is split on the wire, which takes the general path.
func TestResponseBodyInPieces(t *testing.T) {
	p, err := rigs[0].c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	for field, tt := range map[string]struct{ first, second, want string }{
		"self": {`{"self":{"i32":1}}`, `{"self":{"str":"x"}}`, `{"i32":1,"str":"x"}`},
		"str":  {`{"str":"a"}`, `{"i32":1,"str":"b"}`, `"b"`},
		"strs": {`{"strs":["a"]}`, `{"i32":1,"strs":["b"]}`, `["a","b"]`},
	} {
		r, err := p.Response(field)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := p.AppendWire(nil, []byte(tt.first))
		if err == nil {
			wire, err = p.AppendWire(wire, []byte(tt.second))
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.AppendJSON(nil, wire); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v", field, got, err)
		}
	}
	r, err := p.Response("str")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.AppendJSON(nil, []byte{0xff}); err == nil || len(got) > 0 {
		t.Errorf("broken wire: got %s", got)
	}
}

// rawFile has requests and responses with a google.api.HttpBody.
func rawSchema(t *testing.T) *schema {
	t.Helper()
	body := newDraft("google.api", "HttpBody")
	body.one("content_type", tString, "")
	body.one("data", tBytes, "")
	holder := newDraft("raw", "Holder")
	holder.one("name", tString, "")
	holder.one("file", tMessage, ".google.api.HttpBody")
	bodyFile, holderFile := newFile("google/api/httpbody.proto", "google.api", body.DescriptorProto), newFile("raw.proto", "raw", holder.DescriptorProto)
	holderFile.Dependency = append(holderFile.Dependency, "google/api/httpbody.proto")
	bodyFile.Syntax, holderFile.Syntax = new("proto3"), new("proto3")
	s, err := newSchema(bodyFile, holderFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRawBodies(t *testing.T) {
	s := rawSchema(t)
	c := New(Options{})
	for _, tt := range []struct{ root, body, want string }{
		{"raw.Holder", "file", `{"name":"n","file":{"contentType":"image/png","data":"aGVsbG8="}}`},
		{"google.api.HttpBody", "*", `{"contentType":"image/png","data":"aGVsbG8="}`},
	} {
		p, err := c.Message(s.message(t, tt.root))
		if err != nil {
			t.Fatal(err)
		}
		rule := RequestRule{Body: tt.body}
		if tt.body != "*" {
			rule.Variables = []string{"name"}
		}
		r, err := p.Request(rule)
		if err != nil || !r.RawBody() {
			t.Fatal(err, r)
		}
		wire, err := r.AppendWire(nil, Input{Variables: inPath{"n"}})
		if err != nil {
			t.Fatal(err)
		}
		wire = append(r.AppendRaw(wire, "image/png", 5), "hello"...)
		if got, err := p.AppendJSON(nil, wire); err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v", got, err)
		}
		field := tt.body
		if field == "*" {
			field = ""
		}
		response, err := p.Response(field)
		if err != nil || !response.RawBody() {
			t.Fatal(err, response)
		}
		contentType, data, err := response.Raw(protowire.AppendVarint(protowire.AppendTag(wire, 99, protowire.VarintType), 7))
		if contentType != "image/png" || string(data) != "hello" || err != nil {
			t.Errorf("got %q, %q, %v", contentType, data, err)
		}
		if _, _, err := response.Raw([]byte{0x12, 5, 'x'}); err == nil {
			t.Error("a message that is cut off is taken")
		}
	}
}
