package route

import (
	"fmt"
	"testing"
	"time"
)

// benchRouter has n routes in groups of five: those of a resource with a verb.
func benchRouter(b *testing.B, n int) *Router[string] {
	b.Helper()
	var lines []string
	for i := range n / 5 {
		base := fmt.Sprintf("/v1/resource%03d", i)
		lines = append(lines, "GET "+base, "POST "+base, "GET "+base+"/{id}", "POST "+base+"/{id}:cancel",
			"GET "+base+"/{id}/lines/{line}")
	}
	return build(b, lines...)
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		r := benchRouter(b, n)
		for _, request := range []struct{ name, method, path string }{
			{"literal", "GET", "/v1/resource001"},
			{"variables", "GET", "/v1/resource001/5f2a/lines/17"},
			{"verb", "POST", "/v1/resource001/5f2a:cancel"},
			{"escaped", "GET", "/v1/resource001/5f%2A"},
			{"miss", "GET", "/v2/resource001/5f2a/lines/17"},
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

// BenchmarkWorstPosition compares the route that was added last to a thousand with the one that was added last to ten, in
// turns. The metric "x" is the ratio of their times.
func BenchmarkWorstPosition(b *testing.B) {
	few, many := benchRouter(b, 10), benchRouter(b, 1000)
	for name, suffix := range map[string]string{"literal": "", "variables": "/5f2a/lines/17", "verb": "/5f2a:cancel"} {
		b.Run(name, func(b *testing.B) {
			var c Captures
			method := map[bool]string{true: "POST", false: "GET"}[name == "verb"]
			took := map[*Router[string]]time.Duration{}
			for b.Loop() {
				for r, path := range map[*Router[string]]string{few: "/v1/resource001" + suffix, many: "/v1/resource199" + suffix} {
					start := time.Now()
					for range 1000 {
						if _, ok := r.Match(method, path, &c); !ok {
							b.Fatal(path)
						}
					}
					took[r] += time.Since(start)
				}
			}
			b.ReportMetric(float64(took[many])/float64(took[few]), "x")
		})
	}
}
