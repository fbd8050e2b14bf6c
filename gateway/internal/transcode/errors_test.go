package transcode

import (
	"errors"
	"strings"
	"testing"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func TestErrorsOfJSON(t *testing.T) {
	p, err := New(Options{}).Message((&orderv1.CreateOrderRequest{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, in, want string }{
		{"wrong type deep inside", `{"order":{"items":[{},{"quantity":"two"}]}}`, `order.items[1].quantity: expected int32, got string "two" (offset 34)`},
		{"out of range", `{"order":{"items":[{"quantity":2147483648}]}}`, `order.items[0].quantity: expected int32, got number 2147483648 (offset 31)`},
		{"not whole", `{"order":{"items":[{"quantity":1.5}]}}`, `order.items[0].quantity: expected int32, got number 1.5 (offset 31)`},
		{"map value", `{"order":{"labels":{"color":7}}}`, `order.labels["color"]: expected string, got number 7 (offset 28)`},
		{"unknown field", `{"order":{"itms":[]}}`, `order: unknown field "itms" (offset 10)`},
		{"unknown field at the top", `{"ordr":{}}`, `unknown field "ordr" (offset 1)`},
		{"duplicate field", `{"requestId":"a","requestId":"b"}`, `duplicate field "requestId" (offset 17)`},
		{"duplicate field by its other name", `{"requestId":"a","request_id":"b"}`, `duplicate field "requestId" (offset 17)`},
		{"duplicate key", `{"order":{"labels":{"a":"1","a":"2"}}}`, `order.labels: duplicate key "a" (offset 28)`},
		{"enum", `{"order":{"status":"STATUS_LOST"}}`, `order.status: expected value of enum food.order.v1.Order.Status, got string "STATUS_LOST" (offset 19)`},
		{"timestamp", `{"order":{"createTime":"yesterday"}}`, `order.createTime: expected timestamp as RFC 3339, got string "yesterday" (offset 23)`},
		{"array for object", `{"order":[]}`, `order: expected object, got an array (offset 9)`},
		{"object for array", `{"order":{"items":{}}}`, `order.items: expected array, got an object (offset 18)`},
		{"null in a list", `{"order":{"items":[null]}}`, `order.items[0]: expected object, got null (offset 19)`},
		{"null for all", `null`, `expected object, got null (offset 0)`},
		{"nothing", ``, `expected object, got the end of the input (offset 0)`},
		{"cut off", `{"order":{"name":"a`, `order.name: expected '"', got the end of the input (offset 19)`},
		{"garbage", `{"order":!}`, `order: expected object, got '!' (offset 9)`},
		{"trailing comma", `{"requestId":"a",}`, `expected another value behind ',', got '}' (offset 17)`},
		{"more behind", `{} {}`, `expected the end, got '{' (offset 3)`},
		{
			"long excerpt", `{"order":{"items":[{"quantity":"` + strings.Repeat("é", 100) + `"}]}}`,
			`order.items[0].quantity: expected int32, got string "éééééééééééééééééééé..." (offset 31)`,
		},
		{"invalid UTF-8", "{\"requestId\":\"\xff\"}", `requestId: invalid UTF-8 in a string, got '"' (offset 13)`},
		{"control character", "{\"requestId\":\"a\nb\"}", `requestId: control character in a string, got '\n' (offset 15)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := p.AppendWire([]byte("before"), []byte(c.in))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if string(out) != "before" {
				t.Errorf("buffer is %q", out)
			}
		})
	}
}

func TestErrorsOfWire(t *testing.T) {
	md := fixed.message(t, "p3.All")
	p := rigs[0].program(t, md)
	from := func() *wire { return &wire{t: t, md: md} }
	for _, c := range []struct {
		name string
		wire []byte
		want string
	}{
		{"text that is not UTF-8", from().bytes("self", string(from().bytes("str", "\xff").b)).b, `self.str: string is not UTF-8 (offset 6)`},
		{"timestamp out of range", from().bytes("ts_s", "").bytes("ts_s", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").b, `tsS[1]: timestamp of 0 seconds and -1 nanoseconds is out of range (offset 6)`},
		{"value of nothing", from().bytes("m_value", "\x0a\x01a\x12\x00").b, `mValue["a"]: google.protobuf.Value holds nothing (offset 8)`},
		{"path that cannot come back", from().bytes("mask", "\x0a\x06fooBar").b, `mask: path "fooBar" of a field mask has no JSON form (offset 5)`},
		{"unknown type", from().bytes("any", "\x0a\x03a/b").b, `any: type "a/b": unknown type: proto: not found (offset 5)`},
		{"broken", []byte{0x08}, `bool: invalid protobuf wire format (offset 1)`},
		{"broken unknown field", []byte("\xba\x3e\x05"), `invalid protobuf wire format`},
		{"behind the general path", from().varint("i32", 1).varint("i32", 1).bytes("str", "\xff").b, `invalid protobuf wire format`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.AppendJSON(nil, c.wire)
			if err == nil || strings.ReplaceAll(err.Error(), "\u00a0", " ") != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestErrorKinds(t *testing.T) {
	p := New(Options{Limits: Limits{MaxDepth: 2, MaxNumberLength: 5, MaxOutput: 60}})
	small, err := p.Message(fixed.message(t, "p3.Small"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   string
		want Kind
	}{
		{`{`, Syntax},
		{`{"id":"x"}`, Invalid},
		{`{"id":123456}`, Limit},
		{`{"children":[{"children":[{}]}]}`, Limit},
		{`{"labels":{"a":"` + strings.Repeat("x", 80) + `","b":""}}`, Limit},
	} {
		_, err := small.AppendWire(nil, []byte(c.in))
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != c.want {
			t.Errorf("%s: %v", c.in, err)
		}
	}
}
