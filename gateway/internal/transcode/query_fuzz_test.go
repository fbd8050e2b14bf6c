package transcode

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"
)

// registerEnums lets grpc-gateway find the enums of the test's schema, which it looks for where generated code is.
var registerEnums = sync.OnceFunc(func() {
	found, err := fixed.files.FindDescriptorByName("p3.Enum")
	if err == nil {
		err = protoregistry.GlobalTypes.RegisterEnum(dynamicpb.NewEnumType(found.(protoreflect.EnumDescriptor)))
	}
	if err != nil {
		panic(err)
	}
})

// checkQuery compares what a query makes of a message with what the generated code of grpc-gateway makes of it. Either may
// refuse what the other takes; what both take must be the same.
func checkQuery(t *testing.T, query string) (both bool) {
	t.Helper()
	registerEnums()
	md := fixed.message(t, "p3.All")
	if deviates(query) {
		return false
	}
	wire, err := newRequest(t, "p3.All", RequestRule{}).AppendWire(nil, Input{Query: query})
	if err != nil {
		return false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatalf("%q is no query: %v", query, err)
	}
	want := dynamicpb.NewMessage(md)
	if err := runtime.PopulateQueryParameters(want, values, &utilities.DoubleArray{}); err != nil {
		return false
	}
	got := dynamicpb.NewMessage(md)
	if err := proto.Unmarshal(wire, got); err != nil {
		t.Fatalf("%q: %v in %x", query, err, wire)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform(), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("%q: -grpc-gateway +engine\n%s", query, diff)
	}
	return true
}

// deviates reports whether grpc-gateway reads a query otherwise on purpose, or by mistake: it takes paths of a field mask as
// they are, where JSON has them in lowerCamelCase, and drops what has brackets in brackets.
func deviates(query string) bool {
	values, err := url.ParseQuery(query)
	for name := range values {
		if strings.Contains(strings.ToLower(name), "mask") || strings.Count(name, "[") > 1 {
			return true
		}
	}
	return err != nil && !strings.Contains(query, ";")
}

// queryOf rolls a query whose names exist and whose values fit, as often as not.
func queryOf(t testing.TB, d *dice) string {
	t.Helper()
	fields := fixed.message(t, "p3.All").Fields()
	var parts []string
	for range 1 + d.n(4) {
		path := strings.Repeat("self.", max(0, d.n(8)-5))
		f := fields.Get(d.n(fields.Len()))
		name := path + string(f.Name())
		if d.n(3) == 0 {
			name = path + f.JSONName()
		}
		if f.IsMap() {
			name += fmt.Sprintf("[%s]", texts[d.n(len(texts))])
		}
		parts = append(parts, url.QueryEscape(name)+"="+url.QueryEscape(texts[d.n(len(texts))]))
	}
	return strings.Join(parts, "&")
}

// texts are values of parameters.
var texts = []string{
	"", "0", "1", "-1", "7", "2147483648", "18446744073709551615", "1.5", "-0", "1e3", "0x10", "010", "+1", "1_0", "NaN", "Infinity", "-Infinity",
	"true", "false", "True", "t", "ONE", "UNO", "TWO", "THREE", "a", "a b", "%", "é", "\"", "AAE=", "_-8", "a.b", "a_b,c", "2020-01-02T03:04:05Z",
	"2020-01-02T03:04:05.123456789+01:00", "0000-00-00T00:00:00Z", "1.5s", "-1s", "1h", "0.1234567890s", "null", "{}", "[]", `{"a":1}`, "[1,null]", `"x"`, "NULL_VALUE",
}

func TestQueryLikeGRPCGateway(t *testing.T) {
	both := 0
	for i := range 20_000 {
		if checkQuery(t, queryOf(t, newDice(seed(i)))) {
			both++
		}
	}
	if both < 1000 {
		t.Errorf("only %d queries were taken by both: they say little", both)
	}
}

func FuzzQuery(f *testing.F) {
	for i := range 40 {
		f.Add(queryOf(f, newDice(seed(i))))
	}
	f.Fuzz(func(t *testing.T, query string) { checkQuery(t, query) })
}
