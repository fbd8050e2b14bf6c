package frontend

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

func framed(flag byte, payload string) string {
	n := len(payload)
	return string([]byte{flag, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
}

func gzipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

func TestFrames(t *testing.T) {
	const limit = 100_000
	large := strings.Repeat("x", limit)
	for name, tc := range map[string]struct {
		body string
		gzip bool
		want []string
		code codes.Code // Of the error after the messages; OK stands for io.EOF.
	}{
		"nothing":               {body: ""},
		"empty message":         {body: framed(0, ""), want: []string{""}},
		"two messages":          {body: framed(0, "a") + framed(0, "bc"), want: []string{"a", "bc"}},
		"at the limit":          {body: framed(0, large), want: []string{large}},
		"above the limit":       {body: framed(0, large+"x"), code: codes.ResourceExhausted},
		"half a prefix":         {body: "\x00\x00", code: codes.Internal},
		"half a message":        {body: framed(0, "abc")[:7], code: codes.Internal},
		"prefix alone":          {body: framed(0, "abc")[:5], code: codes.Internal},
		"unknown flag":          {body: framed(2, "a"), code: codes.Internal},
		"gzip":                  {body: framed(1, gzipped("hello")), gzip: true, want: []string{"hello"}},
		"gzip bomb":             {body: framed(1, gzipped(large+"x")), gzip: true, code: codes.ResourceExhausted},
		"gzip not announced":    {body: framed(1, gzipped("hello")), code: codes.Internal},
		"gzip cut off":          {body: framed(1, gzipped("hello")[:12]), gzip: true, code: codes.Internal},
		"gzip announced, plain": {body: framed(0, "hello"), gzip: true, want: []string{"hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &frames{body: iotest.OneByteReader(strings.NewReader(tc.body)), gzip: tc.gzip, limit: limit}
			for _, want := range tc.want {
				data, err := f.next()
				if err != nil || string(data.Materialize()) != want {
					t.Fatalf("got %d bytes, %v; want %d bytes", data.Len(), err, len(want))
				}
				data.Free()
			}
			_, err := f.next()
			if tc.code == codes.OK && !errors.Is(err, io.EOF) || tc.code != codes.OK && status.Code(err) != tc.code {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestAnnouncedMessageReservesLittle makes sure that announcing a large message costs a client more than the gateway.
func TestAnnouncedMessageReservesLittle(t *testing.T) {
	prefix := framed(0, strings.Repeat("x", 4<<20))[:prefixLength+1]
	f := &frames{limit: 4 << 20}
	perRead := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.body = strings.NewReader(prefix)
			if _, err := f.next(); err == nil {
				b.Fatal("half a message was taken for a whole one")
			}
		}
	}).AllocedBytesPerOp()
	if perRead > 2*chunk {
		t.Errorf("announcing 4 MiB reserves %d bytes", perRead)
	}
}

func TestWriteFrameRoundTrip(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("long ", 1000)} {
		for _, zip := range []bool{false, true} {
			var wire bytes.Buffer
			if err := writeFrame(&wire, mem.BufferSlice{mem.SliceBuffer(text)}, zip); err != nil {
				t.Fatal(err)
			}
			f := &frames{body: &wire, gzip: zip, limit: 1 << 20}
			if data, err := f.next(); err != nil || string(data.Materialize()) != text {
				t.Errorf("zip %v: %d bytes came back as %d, %v", zip, len(text), data.Len(), err)
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(framed(0, "a")+framed(1, gzipped("b"))), true)
	f.Add([]byte(framed(1, "a")), true)
	f.Add([]byte("\x00\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, body []byte, zip bool) {
		const limit = 1 << 16
		frames := &frames{body: bytes.NewReader(body), gzip: zip, limit: limit}
		for {
			data, err := frames.next()
			if err != nil {
				return
			}
			if data.Len() > limit {
				t.Fatalf("a message of %d bytes", data.Len())
			}
			data.Free()
		}
	})
}
