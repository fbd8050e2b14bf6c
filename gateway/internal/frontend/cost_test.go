package frontend

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/policies/call"
)

// BenchmarkReception is what reception adds to each request before its method is looked up, with ten headers.
func BenchmarkReception(b *testing.B) {
	r := httptest.NewRequest(http.MethodPost, "/v1/orders/1", nil)
	for _, name := range []string{"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"} {
		r.Header.Set(name, "x")
	}
	for name, table := range map[string]*Table{
		"direct":  {Limits: Limits{MaxHeaders: 100, MaxURLBytes: 8192}},
		"proxied": {Limits: Limits{MaxHeaders: 100, MaxURLBytes: 8192}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	} {
		b.Run(name, func(b *testing.B) {
			if name == "proxied" {
				r.Header.Set("X-Forwarded-For", "203.0.113.7, 192.0.2.9")
				r.Header.Set("X-Forwarded-Proto", "https")
				r.Header.Set("X-Request-Id", "0123456789abcdef")
			}
			b.ReportAllocs()
			for b.Loop() {
				x := newNetHTTP(nil, r)
				var reception call.Reception
				table.receive(x, &reception)
				if table.admit(x) != nil || !isPlain(x.Path()) {
					b.Fatal("refused")
				}
				addReception(metadata.MD{}, &reception)
			}
		})
	}
}

func BenchmarkRequestID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newRequestID()
	}
}

// BenchmarkLife is what the bounds of a call cost.
func BenchmarkLife(b *testing.B) {
	table := &Table{Timeouts: Timeouts{RequestBody: 60e9, Call: 15e9, MaxCall: 300e9, StreamIdle: 300e9}}
	for name, method := range map[string]*call.Method{
		"unary": {Backend: "b"}, "stream": {Backend: "b", ClientStreams: true, ServerStreams: true},
	} {
		b.Run(name, func(b *testing.B) {
			plan := &Plan{Method: method}
			c := call.New(method, nil)
			x := newNetHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil))
			b.ReportAllocs()
			for b.Loop() {
				l, err := table.begin(x, plan, true, false)
				if err != nil {
					b.Fatal(err)
				}
				l.conclude(c)
			}
		})
	}
	b.Run("message", func(b *testing.B) {
		i := newIdle(300e9, func() {})
		defer i.stop()
		b.ReportAllocs()
		for b.Loop() {
			i.moved()
		}
	})
}
