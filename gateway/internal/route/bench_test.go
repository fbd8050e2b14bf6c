package route

import (
	"fmt"
	"testing"
)

// benchRouter has n routes in groups of five: those of a resource with a verb.
func benchRouter(b *testing.B, n int) *Router[string] {
	b.Helper()
	var lines []string
	for i := range n / 5 {
		base := fmt.Sprintf("/v1/resource%d", i)
		lines = append(lines, "GET "+base, "POST "+base, "GET "+base+"/{id}", "POST "+base+"/{id}:cancel",
			"GET "+base+"/{id}/lines/{line}")
	}
	return build(b, lines...)
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		r := benchRouter(b, n)
		for _, request := range []struct{ name, method, path string }{
			{"literal", "GET", "/v1/resource1"},
			{"variables", "GET", "/v1/resource1/5f2a/lines/17"},
			{"verb", "POST", "/v1/resource1/5f2a:cancel"},
			{"escaped", "GET", "/v1/resource1/5f%2A"},
			{"miss", "GET", "/v2/resource1/5f2a/lines/17"},
		} {
			b.Run(fmt.Sprintf("routes=%d/%s", n, request.name), func(b *testing.B) {
				var c Captures
				b.ReportAllocs()
				for b.Loop() {
					r.Match(request.method, request.path, &c)
				}
			})
		}
	}
}
