package route

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lit(s string) segment { return segment{kind: literalSegment, literal: s} }

var (
	star = segment{kind: starSegment}
	rest = segment{kind: restSegment}
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		template string
		segments []segment
		verb     string
		vars     []Variable
	}{
		{template: "/v1", segments: []segment{lit("v1")}},
		{template: "/v1/*", segments: []segment{lit("v1"), star}},
		{template: "/**", segments: []segment{rest}},
		{template: "/*/**:verb", segments: []segment{star, rest}, verb: "verb"},
		{template: "/v1:v%65rb", segments: []segment{lit("v1")}, verb: "verb"},
		{template: "/%6Frders", segments: []segment{lit("orders")}},
		{template: "/a%2Fb%3A%2a", segments: []segment{lit("a/b:*")}},
		{template: "/-._~!$&'()+,;=@", segments: []segment{lit("-._~!$&'()+,;=@")}},
		{template: "/v1/{id}", segments: []segment{lit("v1"), star}, vars: []Variable{
			{FieldPath: "id", first: 1, limit: 2},
		}},
		{template: "/v1/{order.line_2._x}", segments: []segment{lit("v1"), star}, vars: []Variable{
			{FieldPath: "order.line_2._x", first: 1, limit: 2},
		}},
		{template: "/{id=*}:get", segments: []segment{star}, verb: "get", vars: []Variable{
			{FieldPath: "id", first: 0, limit: 1},
		}},
		{template: "/{id=fixed}", segments: []segment{lit("fixed")}, vars: []Variable{
			{FieldPath: "id", first: 0, limit: 1},
		}},
		{template: "/v1/{name=shelves/*/books/*}/pages/{page}", vars: []Variable{
			{FieldPath: "name", MultiSegment: true, first: 1, limit: 5},
			{FieldPath: "page", first: 6, limit: 7},
		}, segments: []segment{lit("v1"), lit("shelves"), star, lit("books"), star, lit("pages"), star}},
		{template: "/v1/{name=**}", segments: []segment{lit("v1"), rest}, vars: []Variable{
			{FieldPath: "name", MultiSegment: true, first: 1, limit: 2, rest: true},
		}},
		{template: "/{a}/{name=files/**}:read", segments: []segment{star, lit("files"), rest}, verb: "read", vars: []Variable{
			{FieldPath: "a", first: 0, limit: 1},
			{FieldPath: "name", MultiSegment: true, first: 1, limit: 3, rest: true},
		}},
	} {
		got, err := Parse(tt.template)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.template, err)
			continue
		}
		want := &Template{source: tt.template, segments: tt.segments, verb: tt.verb, variables: tt.vars, example: got.example}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Template{}, segment{}, Variable{})); diff != "" {
			t.Errorf("Parse(%q): -want +got\n%s", tt.template, diff)
		}
		if got.String() != tt.template || got.Verb() != tt.verb {
			t.Errorf("Parse(%q): String is %q, Verb is %q", tt.template, got.String(), got.Verb())
		}
		if diff := cmp.Diff(tt.vars, got.Variables(), cmp.AllowUnexported(Variable{})); diff != "" {
			t.Errorf("Parse(%q).Variables: -want +got\n%s", tt.template, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const segmentWanted = "want a segment: a literal, '*', '**' or a {variable}"
	for _, tt := range []struct {
		template string
		column   int
		message  string
	}{
		{"", 1, "a template starts with '/'"},
		{"v1", 1, "a template starts with '/'"},
		{"/", 2, "the template ends, " + segmentWanted},
		{"//", 2, `unexpected "/", ` + segmentWanted},
		{"/v1/", 5, "the template ends, " + segmentWanted},
		{"/v1//a", 5, `unexpected "/", ` + segmentWanted},
		{"/v1 a", 4, `unexpected " ", want '/', ':' or the end`},
		{"/v1?x=1", 4, `unexpected "?", want '/', ':' or the end`},
		{"/é", 2, `unexpected "\xc3", ` + segmentWanted},
		{"/v1/%", 5, "a percent sign without two hexadecimal digits"},
		{"/v1/a%2", 6, "a percent sign without two hexadecimal digits"},
		{"/v1/a%zz", 6, "a percent sign without two hexadecimal digits"},
		{"/v1/***", 7, `unexpected "*", want '/', ':' or the end`},
		{"/v1/*a", 6, `unexpected "a", want '/', ':' or the end`},
		{"/v1/a*", 6, `unexpected "*", want '/', ':' or the end`},
		{"/v1/**/a", 8, "only a verb may follow **"},
		{"/v1/**/**", 8, "only a verb may follow **"},
		{"/v1/**/{a}", 8, "only a verb may follow **"},
		{"/v1/{a=**}/{b}", 12, "only a verb may follow **"},
		{"/v1/{a=**/b}", 11, "only a verb may follow **"},
		{"/:verb", 2, `unexpected ":", ` + segmentWanted},
		{"/v1:", 5, "the template ends, want a verb"},
		{"/v1:*", 5, `unexpected "*", want a verb`},
		{"/v1:a:b", 6, "nothing may follow the verb; write %3A for a colon that is part of a literal"},
		{"/v1:a/b", 6, "nothing may follow the verb; write %3A for a colon that is part of a literal"},
		{"/v1/{", 6, "the template ends, want a field name"},
		{"/v1/{}", 6, `unexpected "}", want a field name`},
		{"/v1/{1a}", 6, `unexpected "1", want a field name`},
		{"/v1/{a.}", 8, `unexpected "}", want a field name`},
		{"/v1/{a..b}", 8, `unexpected ".", want a field name`},
		{"/v1/{a-b}", 7, `unexpected "-", want '/' or '}'`},
		{"/v1/{a", 7, "the template ends, want '/' or '}'"},
		{"/v1/{a=", 8, "the template ends, " + segmentWanted},
		{"/v1/{a=}", 8, `unexpected "}", ` + segmentWanted},
		{"/v1/{a=/b}", 8, `unexpected "/", ` + segmentWanted},
		{"/v1/{a=b/}", 10, `unexpected "}", ` + segmentWanted},
		{"/v1/{a=b:get}", 9, "a verb stands behind the variable, at the end of the template"},
		{"/v1/{a=b/{c}}", 10, "a variable inside a variable"},
		{"/v1/{a={b}}", 8, "a variable inside a variable"},
		{"/v1/{a}b", 8, `unexpected "b", want '/', ':' or the end`},
		{"/v1/b{a}", 6, `unexpected "{", want '/', ':' or the end`},
		{"/v1/a}", 6, `unexpected "}", want '/', ':' or the end`},
		{"/v1/{a}/{a}", 10, `a second variable for the field "a"`},
		{"/v1/{a.b}/{c}/{a.b=**}", 16, `a second variable for the field "a.b"`},
	} {
		_, err := Parse(tt.template)
		var got *SyntaxError
		if !errors.As(err, &got) {
			t.Errorf("Parse(%q): got error %v, want a *SyntaxError", tt.template, err)
			continue
		}
		want := &SyntaxError{Template: tt.template, Column: tt.column, Message: tt.message}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q): -want +got\n%s", tt.template, diff)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := Parse("/v1/{id")
	want := `path template "/v1/{id", column 8: the template ends, want '/' or '}'`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestExampleMatchesItsTemplate(t *testing.T) {
	for template, want := range map[string]string{
		"/v1/orders":                             "/v1/orders",
		"/v1/{name}":                             "/v1/x",
		"/v1/{order.name=orders/*/items/*}:move": "/v1/orders/x/items/x:move",
		"/v1/*/{rest=**}":                        "/v1/x/x",
		"/v1/a=b/{n=a%20b/**}":                   "/v1/a=b/a%20b/x",
	} {
		parsed, err := Parse(template)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Example(); got != want {
			t.Errorf("%s: got %s, want %s", template, got, want)
		}
	}
}
