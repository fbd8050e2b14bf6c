package transcode

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Strings are looked at in blocks, words and bytes: what is not plain must be seen wherever it stands, and whatever
// stands behind it.
func TestOddBytesAreSeenAtEveryPosition(t *testing.T) {
	p, err := New(Options{}).Message((&wrapperspb.StringValue{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	for _, odd := range []string{`"`, `\`, `\n`, `\u0041`, "\x00", "\x1f", "\x7f", "\x80", "é", "€", "\xe2\x82", "😀"} {
		for before := range 150 {
			for _, after := range []int{0, 1, 9, 40, 100} {
				text := strings.Repeat("a", before) + odd + strings.Repeat("b", after)
				sameToWire(t, p, []byte(`"`+text+`"`))
				sameToJSON(t, p, text)
			}
		}
	}
}

func sameToWire(t *testing.T, p *Program, body []byte) {
	t.Helper()
	var want wrapperspb.StringValue
	refused := protojson.Unmarshal(body, &want)
	wire, err := p.AppendWire(nil, body)
	if (err == nil) != (refused == nil) {
		t.Fatalf("%q: engine says %v, protojson %v", body, err, refused)
	}
	if expected := stringValue(want.GetValue()); err == nil && !bytes.Equal(wire, expected) {
		t.Fatalf("%q became %x, want %x", body, wire, expected)
	}
}

func sameToJSON(t *testing.T, p *Program, text string) {
	t.Helper()
	got, err := p.AppendJSON(nil, stringValue(text))
	var back wrapperspb.StringValue
	if err == nil {
		err = protojson.Unmarshal(got, &back)
	}
	if valid := strings.ToValidUTF8(text, "") == text; valid != (err == nil) {
		t.Fatalf("%q became %q, %v", text, got, err)
	}
	if err == nil && back.GetValue() != text {
		t.Fatalf("%q became %q", text, got)
	}
}

// stringValue is the wire form, also of text that is no UTF-8.
func stringValue(text string) []byte {
	if text == "" {
		return nil
	}
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), text)
}
