package frontend

import (
	"math"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/policies/call"
)

func TestParseTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "250m": 250 * time.Millisecond,
		"5u": 5 * time.Microsecond, "6n": 6, "0S": 0, "99999999H": math.MaxInt64,
	} {
		if got, ok := parseTimeout(text); !ok || got != want {
			t.Errorf("%q: got %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "S", "1", "1s", "1h", "-1S", "+1S", " 1S", "1 S", "1.5S", "999999999S", "1SS"} {
		if got, ok := parseTimeout(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func FuzzParseTimeout(f *testing.F) {
	f.Add("250m")
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := parseTimeout(text); ok && d < 0 {
			t.Errorf("%q gave %v", text, d)
		}
	})
}

// TestGRPCMessage holds the encoding against percent-decoding, which clients do.
func TestGRPCMessage(t *testing.T) {
	for _, text := range []string{"", "plain", "100%", "tab\tline\n", "grüße ☃", "\x00\xff", "%41"} {
		encoded := grpcMessage(text)
		decoded, err := url.PathUnescape(encoded)
		if err != nil || decoded != text || !printable(encoded) {
			t.Errorf("%q became %q, which is read as %q", text, encoded, decoded)
		}
	}
}

func TestEveryCodeHasAnHTTPStatus(t *testing.T) {
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		if _, ok := httpStatus[code]; !ok {
			t.Errorf("%v has none", code)
		}
	}
	if got := HTTPStatus(99); got != 500 {
		t.Errorf("an undefined code looks like %d", got)
	}
}

func TestIncoming(t *testing.T) {
	got, err := incoming(call.MapHeader{
		"x-plain": {"a", "b"}, "x-raw-bin": {"AAE=, AAE"}, "connection": {"close, X-Hop"}, "x-hop": {"1"}, "te": {"trailers"},
		"x bad": {"1"}, "x-control": {"a\x01"}, "grpc-timeout": {"1S"}, "grpc-trace-bin": {"AA"}, "cardea-subject": {"root"},
		"authorization": {"s"}, "host": {"h"},
	})
	want := metadata.MD{"x-plain": {"a", "b"}, "x-raw-bin": {"\x00\x01", "\x00\x01"}, "grpc-trace-bin": {"\x00"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := incoming(call.MapHeader{"x-raw-bin": {"!"}}); call.Reason(err) != "MALFORMED_METADATA" {
		t.Errorf("got %v", err)
	}
}

func TestEachOutgoing(t *testing.T) {
	got := metadata.MD{}
	eachOutgoing(metadata.MD{
		"x-plain": {"a"}, "x-raw-bin": {"\x00\x01"}, "x-split": {"a\r\nb: c"}, "content-type": {"application/grpc"},
		"content-length": {"1"}, "transfer-encoding": {"chunked"}, "grpc-status": {"0"}, "set-cookie": {"c"}, "cardea-origin": {"x"},
	}, func(name, value string) { got[name] = append(got[name], value) })
	want := metadata.MD{"x-plain": {"a"}, "x-raw-bin": {"AAE"}, "set-cookie": {"c"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIsGRPC(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc;x=y": true, "application/grpc+json": true,
		"application/grpc-web": false, "application/json": false, "": false,
	} {
		if got := isGRPC(contentType); got != want {
			t.Errorf("%q: got %v", contentType, got)
		}
	}
}
