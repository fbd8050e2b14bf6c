package transcode

import (
	"strings"
	"testing"
)

// TestAcceptance lists what is read, and what is not, one rule at a time. Each is put to the oracle as well.
func TestAcceptance(t *testing.T) {
	for _, c := range []struct {
		name, root, json string
		ok               bool
	}{
		{"both names of a field", "p3.All", `{"optI32":1,"opt_i64":2}`, true},
		{"one field by both names", "p3.All", `{"optI32":1,"opt_i32":2}`, false},
		{"name with escapes", "p3.All", `{"\u0069\u00332":1}`, true},
		{"one field, once with escapes", "p3.All", `{"\u0069\u00332":1,"i32":1}`, false},
		{"null is not set", "p3.All", `{"i32":null,"i32s":null,"mI32":null,"self":null,"ts":null,"wi32":null,"enum":null,"any":null}`, true},
		{"null counts as the field", "p3.All", `{"i32":null,"i32":1}`, false},
		{"null in a list", "p3.All", `{"i32s":[null]}`, false},
		{"null in a map", "p3.All", `{"mI32":{"a":null}}`, false},
		{"null for a list of values", "p3.All", `{"valueS":null}`, false},
		{"null and a member of a oneof", "p3.All", `{"oneI32":null,"oneStr":"x"}`, true},
		{"two members of a oneof", "p3.All", `{"oneI32":1,"oneStr":"x"}`, false},
		{"null value and another member of a oneof", "p3.All", `{"oneNull":null,"oneStr":"x"}`, false},
		{"members of two oneofs", "p3.All", `{"oneI32":1,"otherI32":1}`, true},
		{"integer with exponent", "p3.All", `{"i32":1e3,"i64":1.5e1,"u32":100e-2,"u64":0e-99999999999}`, true},
		{"integer with fraction", "p3.All", `{"i32":1.5}`, false},
		{"integer with a fraction of zeros", "p3.All", `{"i32":1.000}`, true},
		{"integer as string", "p3.All", `{"i32":"-1","u64":"18446744073709551615","i64":"1e2"}`, true},
		{"integer as string with space", "p3.All", `{"i32":" 1"}`, false},
		{"integer as empty string", "p3.All", `{"i32":""}`, false},
		{"integer out of range", "p3.All", `{"i32":2147483648}`, false},
		{"negative unsigned", "p3.All", `{"u32":-1}`, false},
		{"minus zero unsigned", "p3.All", `{"u32":-0}`, true},
		{"largest integer with exponent", "p3.All", `{"u64":1.8446744073709551615e19}`, true},
		{"integer beyond 64 bits", "p3.All", `{"u64":18446744073709551616}`, false},
		{"bool as string", "p3.All", `{"bool":"true"}`, false},
		{"float as string", "p3.All", `{"float":"1.5","double":"-Infinity"}`, true},
		{"float out of range", "p3.All", `{"float":3.5e38}`, false},
		{"double out of range", "p3.All", `{"double":1e309}`, false},
		{"float that vanishes", "p3.All", `{"float":1e-50,"double":1e-400}`, true},
		{"float named otherwise", "p3.All", `{"float":"inf"}`, false},
		{"enum by number", "p3.All", `{"enum":2,"enums":[1e0,77]}`, true},
		{"enum number as string", "p3.All", `{"enum":"2"}`, false},
		{"enum alias", "p3.All", `{"enum":"UNO"}`, true},
		{"enum of unknown name", "p3.All", `{"enum":"THREE"}`, false},
		{"null value by name and number", "p3.All", `{"nullValues":["NULL_VALUE",0,null]}`, true},
		{"base64 of all kinds", "p3.All", `{"bins":["","AA==","AA","-_8","+/8=","_-8=","AAAA"]}`, true},
		{"base64 of both alphabets at once", "p3.All", `{"bin":"+_+_"}`, false},
		{"base64 cut off", "p3.All", `{"bin":"AAAAA"}`, false},
		{"keys of maps", "p3.All", `{"byI32":{"-1":"","+2":"","03":""},"byBool":{"true":""},"byU64":{"18446744073709551615":""}}`, true},
		{"key written in two ways", "p3.All", `{"byI32":{"1":"","01":""}}`, false},
		{"key with escapes twice", "p3.All", `{"mI32":{"a":1,"\u0061":2}}`, false},
		{"key out of range", "p3.All", `{"byU32":{"4294967296":""}}`, false},
		{"key with fraction", "p3.All", `{"byI32":{"1.0":""}}`, false},
		{"key of an object in a value twice", "google.protobuf.Value", `{"a":1,"a":2}`, false},
		{"half a pair of surrogates", "p3.All", `{"str":"\ud800"}`, false},
		{"timestamp with offset", "p3.All", `{"ts":"2024-02-29T23:59:59.999999999+14:00"}`, true},
		{"timestamp before year one", "p3.All", `{"ts":"0001-01-01T00:00:00+00:01"}`, false},
		{"timestamp with ten digits", "p3.All", `{"ts":"2024-01-01T00:00:00.0000000001Z"}`, false},
		{"timestamp of a day that is not", "p3.All", `{"ts":"2023-02-29T00:00:00Z"}`, false},
		{"timestamp as number", "p3.All", `{"ts":0}`, false},
		{"duration without unit", "p3.All", `{"dur":"1"}`, false},
		{"duration out of range", "p3.All", `{"dur":"315576000001s"}`, false},
		{"field mask with underscore", "p3.All", `{"mask":"foo_bar"}`, false},
		{"field mask with space", "p3.All", `{"mask":" fooBar,a.b "}`, true},
		{"type behind the content", "p3.All", `{"any":{"id":1,"@type":"x/p3.Small"}}`, true},
		{"type with escapes behind the content", "p3.All", `{"any":{"id":1,"\u0040type":"x/p3.Small"}}`, true},
		{"type twice", "p3.All", `{"any":{"@type":"x/p3.Small","id":1,"@type":"x/p3.Small"}}`, false},
		{"type twice, in a well-known type", "p3.All", `{"any":{"@type":"x/google.protobuf.Duration","value":"1s","@type":"x/google.protobuf.Duration"}}`, false},
		{"value twice", "p3.All", `{"any":{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}}`, false},
		{"no type", "p3.All", `{"any":{"id":1}}`, false},
		{"type that is not a string", "p3.All", `{"any":{"@type":1}}`, false},
		{"empty type", "p3.All", `{"any":{"@type":""}}`, false},
		{"well-known type without value", "p3.All", `{"any":{"@type":"x/google.protobuf.Duration"}}`, false},
		{"well-known type with another member", "p3.All", `{"any":{"@type":"x/google.protobuf.Duration","value":"1s","a":1}}`, false},
		{"Empty with and without value", "p3.All", `{"anyS":[{"@type":"x/google.protobuf.Empty","value":{}},{"@type":"x/google.protobuf.Empty"}]}`, true},
		{"a value in an Any that is null", "p3.All", `{"any":{"@type":"x/google.protobuf.Value","value":null}}`, true},
		{"types in several levels, all behind", "p3.All", `{"any":{"value":{"id":1,"children":[{"id":2}],"@type":"x/p3.Small"},"@type":"x/google.protobuf.Any"}}`, true},
		{"object that is no Any with a type", "p3.All", `{"any":{"mAny":{"a":{"id":1,"@type":"x/p3.Small"}},"struct":{"a":1,"@type":2},"@type":"x/p3.All"}}`, true},
		{"required fields in an Any", "p3.All", `{"any":{"@type":"x/p2.Must"}}`, true},
		{"required field that is missing", "p2.All", `{"must":{"a":1,"b":""}}`, false},
		{"required field that is null", "p2.All", `{"must":{"a":1,"b":"","e":null}}`, false},
		{"group by its name", "p2.All", `{"Group":{"a":1},"groups":[{}]}`, true},
		{"group by its lower-case name", "p2.All", `{"group":{"a":1}}`, true},
		{"extension", "p2.All", `{"[p2.x_i32]":1}`, true},
		{"extension twice", "p2.All", `{"[p2.x_i32]":1,"[p2.x_i32]":1}`, false},
		{"extension of another type", "p3.All", `{"[p2.x_i32]":1}`, false},
		{"unknown extension", "p2.All", `{"[p2.x_none]":1}`, false},
		{"a field called @type", "p3.Odd", `{"@type":1}`, true},
		{"a field called @type in an Any", "google.protobuf.Any", `{"@type":"x/p3.Odd"}`, true},
		{"a field called like an extension", "p3.Odd", `{"[p2.x_i32]":1}`, false},
		{"fields that have each other's names", "p3.Odd", `{"barBaz":1,"foo":2}`, true},
		{"fields that have each other's names, by the original ones", "p3.Odd", `{"bar_baz":1,"foo":2}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			md := fixed.message(t, c.root)
			_, err := rigs[0].program(t, md).AppendWire(nil, []byte(c.json))
			if (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
			for _, r := range rigs {
				r.checkDecode(t, md, []byte(c.json))
			}
		})
	}
}

// TestLengths crosses the sizes at which a length takes another byte, at several depths.
func TestLengths(t *testing.T) {
	md := fixed.message(t, "p3.All")
	for _, n := range []int{0, 1, 110, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 200, 16370, 16380, 16383, 16384, 16385, 70000} {
		text := strings.Repeat("x", n)
		rigs[0].checkDecode(t, md, []byte(`{"self":{"self":{"str":"`+text+`"},"mStr":{"`+text+`":"a","b":"`+text+`"}}}`))
		rigs[0].checkDecode(t, md, []byte(`{"str":"\u0078`+text+`","struct":{"\n`+text+`":{"a":"`+text+`"}},"bin":"`+strings.Repeat("AAAA", n/4)+`"}`))
		rigs[0].checkDecode(t, md, []byte(`{"mSelf":{"1":{"str":"`+text+`"},"2":{}},"i32s":[1`+strings.Repeat(",1", n)+`]}`))
	}
}

func TestManyKeys(t *testing.T) {
	md := fixed.message(t, "p3.All")
	for _, n := range []int{1, 8, 9, 10, 17, 33, 99, 1000} {
		members := numberedMembers(n)
		for _, field := range []string{"byI32", "mStr", "byU64", "byS64", "struct"} {
			if rigs[0].checkDecode(t, md, []byte(`{"`+field+`":{`+members+`}}`)) == nil {
				t.Errorf("%s of %d keys is refused", field, n)
			}
			if rigs[0].checkDecode(t, md, []byte(`{"`+field+`":{`+members+`,"10":"x"}}`)) != nil {
				t.Errorf("%s of %d keys, and one again, is accepted", field, n)
			}
		}
		inner := `{"mStr":{` + members + `}}`
		rigs[0].checkDecode(t, md, []byte(`{"mSelf":{"1":`+inner+`,"2":`+inner+`,"3":`+inner+`}}`))
		rigs[0].checkDecode(t, md, []byte(`{"mSelf":{"1":`+inner+`,"2":`+inner+`,"1":`+inner+`}}`))
	}
}
