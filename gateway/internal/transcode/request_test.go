package transcode

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"
)

// inPath are the values of a path's variables.
type inPath []string

func (p inPath) AppendValue(dst []byte, i int) ([]byte, error) { return append(dst, p[i]...), nil }

func newRequest(t testing.TB, root string, rule RequestRule) *Request {
	t.Helper()
	p, err := rigs[0].c.Message(fixed.message(t, root))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Request(rule)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// message reads wire bytes as a message, and expects it to be the one that JSON describes.
func checkWire(t *testing.T, root string, wire []byte, want string) {
	t.Helper()
	got, expected := dynamicpb.NewMessage(fixed.message(t, root)), dynamicpb.NewMessage(fixed.message(t, root))
	if err := (proto.UnmarshalOptions{Resolver: fixed.types}).Unmarshal(wire, got); err != nil {
		t.Fatalf("%v in %x", err, wire)
	}
	if err := (protojson.UnmarshalOptions{Resolver: fixed.types}).Unmarshal([]byte(want), expected); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		root string // p3.All by default.
		rule RequestRule
		in   Input
		want string
	}{
		{name: "nothing", want: `{}`},
		{name: "a body that the rule does not name", in: Input{Body: []byte(`{"i32":1}`)}, want: `{}`},
		{name: "body", rule: RequestRule{Body: "*"}, in: Input{Body: []byte(`{"i32":1,"strs":["a"]}`)}, want: `{"i32":1,"strs":["a"]}`},
		{name: "empty body", rule: RequestRule{Body: "*"}, want: `{}`},
		{name: "body of a message", rule: RequestRule{Body: "self"}, in: Input{Body: []byte(`{"i32":1}`)}, want: `{"self":{"i32":1}}`},
		{name: "empty message", rule: RequestRule{Body: "self"}, in: Input{Body: []byte(`{}`)}, want: `{"self":{}}`},
		{name: "no message", rule: RequestRule{Body: "self"}, want: `{}`},
		{name: "null", rule: RequestRule{Body: "self"}, in: Input{Body: []byte(`null`)}, want: `{}`},
		{name: "body of a nested message", rule: RequestRule{Body: "self.self.m_str"}, in: Input{Body: []byte(`{"a":"b"}`)}, want: `{"self":{"self":{"mStr":{"a":"b"}}}}`},
		{name: "body in a group", root: "p2.All", rule: RequestRule{Body: "group"}, in: Input{Body: []byte(`{"a":1}`)}, want: `{"group":{"a":1}}`},
		{name: "body below a group", root: "p2.All", rule: RequestRule{Body: "group.a"}, in: Input{Body: []byte(`1`)}, want: `{"group":{"a":1}}`},
		{name: "body of a string", rule: RequestRule{Body: "str"}, in: Input{Body: []byte(`"a"`)}, want: `{"str":"a"}`},
		{name: "body of a number", rule: RequestRule{Body: "i64"}, in: Input{Body: []byte(`"7"`)}, want: `{"i64":"7"}`},
		{name: "body of a list", rule: RequestRule{Body: "i32s"}, in: Input{Body: []byte(`[1,2]`)}, want: `{"i32s":[1,2]}`},
		{name: "body of an enum", rule: RequestRule{Body: "enum"}, in: Input{Body: []byte(`"ONE"`)}, want: `{"enum":"ONE"}`},
		{name: "body of a wrapper", rule: RequestRule{Body: "wstr"}, in: Input{Body: []byte(`"a"`)}, want: `{"wstr":"a"}`},
		{name: "body of a value", rule: RequestRule{Body: "value"}, in: Input{Body: []byte(`null`)}, want: `{"value":null}`},
		{name: "body of a member of a oneof", rule: RequestRule{Body: "one_self"}, in: Input{Body: []byte(`{}`)}, want: `{"oneSelf":{}}`},
		{
			name: "path", rule: RequestRule{Variables: []string{"str", "self.i64", "enum", "ts", "wu32", "bin", "bool", "opt_i32"}},
			in:   Input{Variables: inPath{"a/b", "-7", "TWO", "2020-01-02T03:04:05Z", "8", "_-8", "true", "0"}},
			want: `{"str":"a/b","self":{"i64":"-7"},"enum":"TWO","ts":"2020-01-02T03:04:05Z","wu32":8,"bin":"/+8=","bool":true,"optI32":0}`,
		},
		{
			name: "path over body", rule: RequestRule{Variables: []string{"str", "self.i32"}, Body: "*"},
			in:   Input{Body: []byte(`{"str":"evil","i32":1,"self":{"i32":9,"i64":"3"}}`), Variables: inPath{"good", "2"}},
			want: `{"str":"good","i32":1,"self":{"i32":2,"i64":"3"}}`,
		},
		{
			name: "path over the body of a field", rule: RequestRule{Variables: []string{"self.str", "self.self.str"}, Body: "self"},
			in:   Input{Body: []byte(`{"str":"evil","self":{"str":"evil","i32":4},"i32":3}`), Variables: inPath{"good", "better"}},
			want: `{"self":{"str":"good","i32":3,"self":{"str":"better","i32":4}}}`,
		},
		{
			name: "path over the whole of a timestamp", rule: RequestRule{Variables: []string{"ts"}, Body: "*"},
			in: Input{Body: []byte(`{"ts":"2020-01-01T00:00:00.5Z"}`), Variables: inPath{"1970-01-01T00:00:01Z"}}, want: `{"ts":"1970-01-01T00:00:01Z"}`,
		},
		{
			name: "path over a mask", rule: RequestRule{Variables: []string{"mask"}, Body: "*"},
			in: Input{Body: []byte(`{"mask":"a,b"}`), Variables: inPath{"c"}}, want: `{"mask":"c"}`,
		},
		{
			name: "a required field in the path", root: "p2.All", rule: RequestRule{Variables: []string{"must.a"}, Body: "*"},
			in: Input{Body: []byte(`{"must":{"b":"x","e":0}}`), Variables: inPath{"1"}}, want: `{"must":{"a":1,"b":"x","e":"ZERO"}}`,
		},
		{
			name: "beyond 64 fields", root: "wide.Wide", rule: RequestRule{Variables: []string{"f199"}, Body: "*"},
			in: Input{Body: []byte(`{"f0":1,"f199":2,"f198":3}`), Variables: inPath{"4"}}, want: `{"f0":1,"f199":4,"f198":3}`,
		},
		{
			name: "mask of what the body sets", rule: RequestRule{Variables: []string{"self.str"}, Body: "self", Mask: true},
			in: Input{Body: []byte(`{"self":{"i32":1,"self":{"str":"x"}},"strs":[],"str":"no","m_str":{"a":"b"},"ts":null,"struct":{"a":{"b":1}},` +
				`"optI32":0,"any":{"@type":"x/p3.Small","id":1},"selfs":[{"i32":1}],"oneSelf":{}}`), Variables: inPath{"y"}},
			want: `{"self":{"self":{"i32":1,"self":{"str":"x"}},"str":"y","mStr":{"a":"b"},"struct":{"a":{"b":1}},"optI32":0,` +
				`"any":{"@type":"x/p3.Small","id":1},"selfs":[{"i32":1}],"oneSelf":{}},` +
				`"mask":"any,mStr,oneSelf,optI32,self.i32,self.self.str,selfs,strs,struct,ts"}`,
		},
		{
			name: "the client's own mask", rule: RequestRule{Body: "self", Mask: true},
			in: Input{Body: []byte(`{"i32":1}`), Query: "mask=str,ts"}, want: `{"self":{"i32":1},"mask":"str,ts"}`,
		},
		{name: "no mask for nothing", rule: RequestRule{Body: "self", Mask: true}, want: `{}`},
		{name: "an empty mask", rule: RequestRule{Body: "self", Mask: true}, in: Input{Body: []byte(`{}`)}, want: `{"self":{},"mask":""}`},
		{name: "no mask for the whole", rule: RequestRule{Body: "*", Mask: true}, in: Input{Body: []byte(`{"i32":1}`)}, want: `{"i32":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := tt.root
			if root == "" {
				root = "p3.All"
			}
			wire, err := newRequest(t, root, tt.rule).AppendWire([]byte("before"), tt.in)
			if err != nil {
				t.Fatal(err)
			}
			checkWire(t, root, wire[len("before"):], tt.want)
		})
	}
}

func TestQuery(t *testing.T) {
	for query, want := range map[string]string{
		"i32=1&i64=-2&u32=3&u64=18446744073709551615":            `{"i32":1,"i64":"-2","u32":3,"u64":"18446744073709551615"}`,
		"s32=-1&s64=-2&f32=3&f64=4&sf32=-5&sf64=-6":              `{"s32":-1,"s64":"-2","f32":3,"f64":"4","sf32":-5,"sf64":"-6"}`,
		"float=1.5&double=-Infinity":                             `{"float":1.5,"double":"-Infinity"}`,
		"bool=true&str=a+b%26%2B&bin=AAE":                        `{"bool":true,"str":"a b&+","bin":"AAE="}`,
		"enum=ONE&enums=2&enums=-5&enums=77":                     `{"enum":"ONE","enums":[2,-5,77]}`,
		"strs=a&i32s=1&strs=&i32s=2&un_i32=3&bools=true":         `{"strs":["a",""],"i32s":[1,2],"unI32":[3],"bools":[true]}`,
		"optI32=1&opt_str=":                                      `{"optI32":1,"optStr":""}`,
		"self.i32=1&self.self.str=x&self.i32s=2":                 `{"self":{"i32":1,"self":{"str":"x"},"i32s":[2]}}`,
		"m_str[a]=1&m_str[b.c]=2&m_str%5B%5D=3&mI32[x%20y]=4":    `{"mStr":{"a":"1","b.c":"2","":"3"},"mI32":{"x y":4}}`,
		"by_i32[-1]=a&by_bool[true]=b&self.by_u64[7]=c":          `{"byI32":{"-1":"a"},"byBool":{"true":"b"},"self":{"byU64":{"7":"c"}}}`,
		"m_ts[a]=1970-01-01T00:00:00Z&m_wi32[b]=5&m_enum[1]=ONE": `{"mTs":{"a":"1970-01-01T00:00:00Z"},"mWi32":{"b":5},"mEnum":{"1":"ONE"}}`,
		"ts=2020-01-02T03:04:05.5%2B01:00&dur=-1.5s&mask=a.bC,d": `{"ts":"2020-01-02T02:04:05.500Z","dur":"-1.500s","mask":"a.bC,d"}`,
		"wbool=false&wi32=1&wi64=2&wu32=3&wu64=4&wfloat=5":       `{"wbool":false,"wi32":1,"wi64":"2","wu32":3,"wu64":"4","wfloat":5}`,
		"wdouble=6.5&wstr=%22&wbin=_w":                           `{"wdouble":6.5,"wstr":"\"","wbin":"/w=="}`,
		`value={"a":[1]}&list=[null]&struct={"b":{}}&empty={}`:   `{"value":{"a":[1]},"list":[null],"struct":{"b":{}},"empty":{}}`,
		`wi32_s=1&wi32_s=2&value_s=null`:                         `{"wi32S":[1,2],"valueS":[null]}`,
		"null_value=NULL_VALUE":                                  `{"nullValue":null}`,
		"one_str=x&other_i32=1":                                  `{"oneStr":"x","otherI32":1}`,
		"one_self.i32=1&one_self.str=x":                          `{"oneSelf":{"i32":1,"str":"x"}}`,
		"&&i32=1&":                                               `{"i32":1}`,
		"str":                                                    `{"str":""}`,
		"farthest=x&_lead__ing1=3":                               `{"farthest":"x","LeadIng1":3}`,
		"mask=a.b_c,dE&mask_s=":                                  `{"mask":"a.bC,dE","maskS":[""]}`,
		"ts.seconds=1&ts.nanos=2":                                `{"ts":"1970-01-01T00:00:01.000000002Z"}`,
	} {
		t.Run(query, func(t *testing.T) {
			wire, err := newRequest(t, "p3.All", RequestRule{}).AppendWire(nil, Input{Query: query})
			if err != nil {
				t.Fatal(err)
			}
			checkWire(t, "p3.All", wire, want)
		})
	}
}

// TestOneSource has parameters for fields that something else fills.
func TestOneSource(t *testing.T) {
	path := RequestRule{Variables: []string{"str", "self.ts"}}
	for _, tt := range []struct {
		rule        RequestRule
		query, want string
	}{
		{path, "str=evil&i32=1", `{"str":"good","self":{"ts":"1970-01-01T00:00:01Z"},"i32":1}`},
		{path, "self.ts.nanos=7&self.i32=2", `{"str":"good","self":{"ts":"1970-01-01T00:00:01Z","i32":2}}`},
		{RequestRule{Variables: []string{"str", "ts"}, IgnoreUnknown: true, Body: "*"}, "i32=1&x=y", `{"str":"good","ts":"1970-01-01T00:00:01Z"}`},
		{RequestRule{Variables: []string{"str", "ts"}, Ignored: []string{"utm_*", "i32"}}, "utm_source=1&i32=x&i64=3", `{"str":"good","ts":"1970-01-01T00:00:01Z","i64":"3"}`},
	} {
		wire, err := newRequest(t, "p3.All", tt.rule).AppendWire(nil, Input{Query: tt.query, Variables: inPath{"good", "1970-01-01T00:00:01Z"}})
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		checkWire(t, "p3.All", wire, tt.want)
	}
}

func TestEachBadRequestSaysWhichPart(t *testing.T) {
	body, field := RequestRule{Body: "*"}, RequestRule{Body: "self"}
	for _, tt := range []struct {
		rule RequestRule
		in   Input
		want string
	}{
		{body, Input{Body: []byte(`{"i32":"x"}`)}, `the body is not a valid p3.All: i32: expected int32, got string "x" (offset 7)`},
		{body, Input{Body: []byte(` `)}, `the body is not a valid p3.All: expected object, got the end of the input (offset 1)`},
		{body, Input{Body: []byte(`{}{}`)}, `the body is not a valid p3.All: expected the end, got '{' (offset 2)`},
		{body, Input{Query: "i32=1"}, `the query parameter "i32" is not allowed: the body fills all that the path does not`},
		{field, Input{Query: "self.i32=1"}, `the query parameter "self.i32" names a field that the body fills`},
		{field, Input{Body: []byte(`[]`)}, `the body is not a valid p3.All: expected object, got an array (offset 0)`},
		{RequestRule{Body: "i32s"}, Input{Body: []byte(`[1,"x"]`)}, `the body is not a valid value of i32s: [1]: expected int32, got string "x" (offset 3)`},
		{RequestRule{Body: "one_str"}, Input{Body: []byte(`"x"`), Query: "one_i32=1"}, `the query parameter "one_i32": it sets a oneof that is set already`},
		{RequestRule{Variables: []string{"one_str"}}, Input{Query: "one_i32=1", Variables: inPath{"x"}}, `the query parameter "one_i32": it sets a oneof that is set already`},
		{RequestRule{Variables: []string{"one_str"}, Body: "*"}, Input{Body: []byte(`{"oneI32":1}`), Variables: inPath{"x"}}, `the body is not a valid p3.All: oneI32: oneof choice is already set (offset 1)`},
		{RequestRule{Variables: []string{"i32"}}, Input{Variables: inPath{"x"}}, `the path variable "i32": expected int32, got string "x"`},
		{RequestRule{Variables: []string{"i32"}, Body: "*"}, Input{Body: []byte(`{"i32":"x"}`), Variables: inPath{"1"}}, `the body is not a valid p3.All: i32: expected int32, got string "x" (offset 7)`},
		{RequestRule{}, Input{Query: "i32=x"}, `the query parameter "i32": expected int32, got string "x"`},
		{RequestRule{}, Input{Query: "i32="}, `the query parameter "i32": expected int32, got string ""`},
		{RequestRule{}, Input{Query: "i32=1&i32=1"}, `the query parameter "i32": it is given more than once, or together with a field inside, and the field has one value`},
		{RequestRule{}, Input{Query: "i32=1&str=x&%693%32=2"}, `the query parameter "i32": it is given more than once, or together with a field inside, and the field has one value`},
		{RequestRule{}, Input{Query: "ts=1970-01-01T00:00:00Z&ts.nanos=1"}, `the query parameter "ts.nanos": it is given more than once, or together with a field inside, and the field has one value`},
		{RequestRule{}, Input{Query: "m_i32[a]=1&mI32[a]=2"}, `the query parameter "mI32[a]": it is given more than once, or together with a field inside, and the field has one value`},
		{RequestRule{}, Input{Query: "by_i32[1]=a&by_i32[01]=b"}, `the query parameter "by_i32[01]": it is given more than once, or together with a field inside, and the field has one value`},
		{RequestRule{}, Input{Query: "one_i32=1&one_str=x"}, `the query parameter "one_str": it sets a oneof that is set already`},
		{RequestRule{}, Input{Query: "one_self.i32=1&one_str=x"}, `the query parameter "one_str": it sets a oneof that is set already`},
		{RequestRule{}, Input{Query: "self.one_i32=1&self.one_str=x"}, `the query parameter "self.one_str": it sets a oneof that is set already`},
		{RequestRule{}, Input{Query: "self=1"}, `the query parameter "self": the field is a message: name one inside it, with a point between`},
		{RequestRule{}, Input{Query: "selfs.i32=1"}, `the query parameter "selfs.i32" names no field of the request`},
		{RequestRule{}, Input{Query: "m_i32=1"}, `the query parameter "m_i32": the field is a map: name one key, in brackets`},
		{RequestRule{}, Input{Query: "m_i32[a=1"}, `the query parameter "m_i32[a": the field is a map: name one key, in brackets`},
		{RequestRule{}, Input{Query: "m_self[1]=1"}, `the query parameter "m_self[1]": the field is a message: name one inside it, with a point between`},
		{RequestRule{}, Input{Query: "by_i32[x]=1"}, `the query parameter "by_i32[x]": expected a key of type int32, got "x"`},
		{RequestRule{}, Input{Query: "i32[a]=1"}, `the query parameter "i32[a]": it has a key in brackets, but the field is no map`},
		{RequestRule{}, Input{Query: "nope=1"}, `the query parameter "nope" names no field of the request`},
		{RequestRule{}, Input{Query: "a=1;b=2"}, `the query parameter "a": a semicolon, which some readers take for a separator, must be written as %3B`},
		{RequestRule{}, Input{Query: "str=%zz"}, `the query parameter "str": it is not correctly percent-encoded`},
		{RequestRule{}, Input{Query: "str=%ff"}, `the query parameter "str": not UTF-8`},
		{RequestRule{}, Input{Query: "m_str[%ff]=x"}, `the query parameter "m_str[\xff]": not UTF-8`},
		{RequestRule{}, Input{Query: "bool=1"}, `the query parameter "bool": expected bool, got number 1`},
		{RequestRule{}, Input{Query: "bool=yes"}, `the query parameter "bool": expected bool, got 'y'`},
		{RequestRule{}, Input{Query: "i32=1 2"}, `the query parameter "i32": expected int32, got string "1 2"`},
		{RequestRule{}, Input{Query: "enum=1 2"}, `the query parameter "enum": expected the end, got '2'`},
		{RequestRule{}, Input{Query: "value=abc"}, `the query parameter "value": expected a value, got 'a'`},
		{RequestRule{}, Input{Query: "mask=a..b_c"}, `the query parameter "mask": "a..b_c" is no path of a field mask`},
		{RequestRule{}, Input{Query: "enum=THREE"}, `the query parameter "enum": expected value of enum p3.Enum, got string "THREE"`},
		{RequestRule{}, Input{Query: strings.Repeat("self.", 40) + "i32=1"}, `the query parameter "self.self.self.self.self.self.self.self...." names no field of the request`},
	} {
		got, err := newRequest(t, "p3.All", tt.rule).AppendWire([]byte("before"), tt.in)
		var fault *RequestError
		if !errors.As(err, &fault) || err.Error() != tt.want || string(got) != "before" {
			t.Errorf("%+v\ngot  %v\nwant %s", tt.in, err, tt.want)
		}
	}
}

func TestEachBadRuleIsRefused(t *testing.T) {
	p, err := rigs[0].c.Message(fixed.message(t, "p3.All"))
	if err != nil {
		t.Fatal(err)
	}
	for want, rule := range map[string]RequestRule{
		`path variable "nope": p3.All has no field "nope"`:                                                    {Variables: []string{"nope"}},
		`path variable "self.nope": p3.All has no field "nope"`:                                               {Variables: []string{"self.nope"}},
		`path variable "str.x": the field "str" of p3.All is no single message, so nothing is below it`:       {Variables: []string{"str.x"}},
		`path variable "selfs.i32": the field "selfs" of p3.All is no single message, so nothing is below it`: {Variables: []string{"selfs.i32"}},
		`path variable "strs": a path variable can be neither a repeated field nor a map`:                     {Variables: []string{"strs"}},
		`path variable "m_str": a path variable can be neither a repeated field nor a map`:                    {Variables: []string{"m_str"}},
		`path variable "self": a path variable must be a field with one value, not a message`:                 {Variables: []string{"self"}},
		`path variable "struct": a path variable must be a field with one value, not a message`:               {Variables: []string{"struct"}},
		`body "nope": p3.All has no field "nope"`:                                                             {Body: "nope"},
		`body "str": a variable of the path fills the same field`:                                             {Body: "str", Variables: []string{"str"}},
		`body "ts.seconds": a variable of the path fills the same field`:                                      {Body: "ts.seconds", Variables: []string{"ts"}},
	} {
		if _, err := p.Request(rule); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for want, field := range map[string]string{
		`response_body "nope": p3.All has no field "nope"`:                   "nope",
		`response_body "self.i32": it must be a field of the message itself`: "self.i32",
	} {
		if _, err := p.Response(field); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestRequestDoesNotAllocate(t *testing.T) {
	r := newRequest(t, "p3.All", RequestRule{Variables: []string{"self.str", "i64"}, Body: "selfs"})
	in := Input{
		Body: []byte(`[{"i32":1}]`), Query: "str=a&strs=b&strs=c&i32=17&enum=ONE&oneStr=x&mI32[k]=4&wi32=5",
		Variables: &inPath{"name", "12"},
	}
	buf := make([]byte, 0, 1024)
	if _, err := r.AppendWire(buf, in); err != nil {
		t.Fatal(err)
	}
	if n := leastAllocs(func() { _, _ = r.AppendWire(buf, in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestManyParametersAreCheap has as many parameters as fit into a long URL.
func TestManyParametersAreCheap(t *testing.T) {
	var query strings.Builder
	for i := range 100_000 {
		query.WriteString("&m_i32[" + strings.Repeat("k", i%7) + string(rune('a'+i%26)) + "x" + itoa(i) + "]=1")
	}
	if _, err := newRequest(t, "p3.All", RequestRule{}).AppendWire(nil, Input{Query: query.String()}); err != nil {
		t.Error(err)
	}
}

func itoa(i int) string {
	return string(appendQuotedInt(nil, int64(i))[1 : len(appendQuotedInt(nil, int64(i)))-1])
}
