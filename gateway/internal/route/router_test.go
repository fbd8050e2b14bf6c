package route

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, template string) *Template {
	t.Helper()
	parsed, err := Parse(template)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// build makes a router of lines such as "GET /v1/{id}"; the value of a route is its line.
func build(t testing.TB, lines ...string) *Router[string] {
	t.Helper()
	b := NewBuilder[string]()
	for _, line := range lines {
		method, template, _ := strings.Cut(line, " ")
		if err := b.Add(method, mustParse(t, template), line); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

// describe says what a request matches: the route, then the raw values of its variables.
func describe(r *Router[string], c *Captures, request string) string {
	method, path, _ := strings.Cut(request, " ")
	value, ok := r.Match(method, path, c)
	if !ok {
		if c.Err() != nil {
			return "malformed"
		}
		return "-"
	}
	parts := []string{value}
	for i, v := range c.Template().Variables() {
		parts = append(parts, fmt.Sprintf("%s=%q", v.FieldPath, c.Raw(i)))
	}
	return strings.Join(parts, " ")
}

// TestMatch lists requests as pairs: the request, and what it matches.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name     string
		routes   []string
		requests []string
	}{
		{
			name:   "literals",
			routes: []string{"GET /v1", "GET /v1/orders", "GET /v1/orders/open"},
			requests: []string{
				"GET /v1", "GET /v1",
				"GET /v1/orders", "GET /v1/orders",
				"GET /v1/orders/open", "GET /v1/orders/open",
				"GET /v1/order", "-",
				"GET /V1/orders", "-",
				"GET /v1/orders/open/now", "-",
				"POST /v1", "-",
				"get /v1", "-",
			},
		}, {
			name:   "paths that no template can match",
			routes: []string{"GET /v1/*", "* /**"},
			requests: []string{
				"GET ", "-", "GET *", "-", "GET v1/a", "-",
			},
		}, {
			name:   "a trailing slash is a different path",
			routes: []string{"GET /v1/orders", "GET /v1/orders/{id}"},
			requests: []string{
				"GET /v1/orders/", "-",
				"GET /v1/orders/7", `GET /v1/orders/{id} id="7"`,
				"GET /v1/orders/7/", "-",
				"GET //v1/orders", "-",
				"GET /v1//orders", "-",
				"GET /", "-",
			},
		}, {
			name:   "literal before * before **",
			routes: []string{"GET /{a=**}", "GET /{a}/{b}", "GET /v1/{b}", "GET /{a}/x", "GET /v1/x"},
			requests: []string{
				"GET /v1/x", "GET /v1/x",
				"GET /v1/y", `GET /v1/{b} b="y"`,
				"GET /v2/x", `GET /{a}/x a="v2"`,
				"GET /v2/y", `GET /{a}/{b} a="v2" b="y"`,
				"GET /v1", `GET /{a=**} a="v1"`,
				"GET /v1/x/y", `GET /{a=**} a="v1/x/y"`,
			},
		}, {
			name:   "backtracking across branches",
			routes: []string{"GET /a/b/c", "GET /a/{x}/d", "GET /{y}/b/e", "GET /{z=**}"},
			requests: []string{
				"GET /a/b/c", "GET /a/b/c",
				"GET /a/b/d", `GET /a/{x}/d x="b"`,
				"GET /a/b/e", `GET /{y}/b/e y="a"`,
				"GET /a/b/f", `GET /{z=**} z="a/b/f"`,
			},
		}, {
			name:   "backtracking across methods",
			routes: []string{"GET /v1/{name}", "POST /v1/foo", "DELETE /v1/**", "PUT /**"},
			requests: []string{
				"GET /v1/foo", `GET /v1/{name} name="foo"`,
				"POST /v1/foo", "POST /v1/foo",
				"DELETE /v1/foo", "DELETE /v1/**",
				"PUT /v1/foo", "PUT /**",
				"POST /v1/bar", "-",
				"PATCH /v1/foo", "-",
			},
		}, {
			name:   "any method",
			routes: []string{"* /v1/{name}", "GET /v1/{id}", "GET /v1/**", "PURGE /v1/cache"},
			requests: []string{
				"GET /v1/a", `GET /v1/{id} id="a"`,
				"BREW /v1/a", `* /v1/{name} name="a"`,
				"PURGE /v1/cache", "PURGE /v1/cache",
				"PURGE /v1/other", `* /v1/{name} name="other"`,
			},
		}, {
			name:   "** takes any number of segments",
			routes: []string{"GET /v1/{name=**}", "GET /v2/{name=files/**}", "GET /v3/**", "GET /v3"},
			requests: []string{
				"GET /v1", `GET /v1/{name=**} name=""`,
				"GET /v1/", `GET /v1/{name=**} name=""`,
				"GET /v1/a", `GET /v1/{name=**} name="a"`,
				"GET /v1/a/b/c", `GET /v1/{name=**} name="a/b/c"`,
				"GET /v1/a//b/", `GET /v1/{name=**} name="a//b/"`,
				"GET /v2", "-",
				"GET /v2/files", `GET /v2/{name=files/**} name="files"`,
				"GET /v2/files/", `GET /v2/{name=files/**} name="files/"`,
				"GET /v2/files/a/b", `GET /v2/{name=files/**} name="files/a/b"`,
				"GET /v3", "GET /v3",
				"GET /v3/", "GET /v3/**",
			},
		}, {
			name:   "variables of several segments",
			routes: []string{"GET /v1/{name=shelves/*/books/*}/pages/{page}", "GET /v1/{parent=shelves/*}/books"},
			requests: []string{
				"GET /v1/shelves/1/books/2/pages/3", `GET /v1/{name=shelves/*/books/*}/pages/{page} name="shelves/1/books/2" page="3"`,
				"GET /v1/shelves/1/books", `GET /v1/{parent=shelves/*}/books parent="shelves/1"`,
				"GET /v1/shelves//books", "-",
			},
		}, {
			name:   "escapes in literals",
			routes: []string{"GET /v1/orders", "GET /v1/caf%C3%A9", "GET /v1/a%2Fb", "GET /v1/{id}/x"},
			requests: []string{
				"GET /v1/%6Frders", "GET /v1/orders",
				"GET /%76%31/orders", "GET /v1/orders",
				"GET /v1/%6frder%73", "GET /v1/orders",
				"GET /v1/%256Frders", "-",
				"GET /v1/caf%c3%a9", "GET /v1/caf%C3%A9",
				"GET /v1/café", "GET /v1/caf%C3%A9",
				"GET /v1/a%2fb", "GET /v1/a%2Fb",
				"GET /v1/a/b", "-",
				"GET /v1%2Forders", "-",
				"GET /v1/a%2Fc/x", `GET /v1/{id}/x id="a%2Fc"`,
			},
		}, {
			name:   "malformed escapes",
			routes: []string{"GET /v1/{id}", "GET /v1/{id}:get", "* /{all=**}"},
			requests: []string{
				"GET /v1/%", "malformed",
				"GET /v1/a%2", "malformed",
				"GET /v1/a%2/b", "malformed",
				"GET /v1/%zz", "malformed",
				"GET /v1/%2g:get", "malformed",
				"GET /v1/a:get%", "malformed",
				"GET /v1/%2:get", "malformed",
				"GET /x/%%41", "malformed",
				"GET /v1/%41", `GET /v1/{id} id="%41"`,
			},
		}, {
			name:   "verbs",
			routes: []string{"GET /v1/{id}", "GET /v1/{id}:watch", "POST /v1/{id}:cancel", "POST /v1/orders:import"},
			requests: []string{
				"GET /v1/7", `GET /v1/{id} id="7"`,
				"GET /v1/7:watch", `GET /v1/{id}:watch id="7"`,
				"GET /v1/7:w%61tch", `GET /v1/{id}:watch id="7"`,
				"POST /v1/7:cancel", `POST /v1/{id}:cancel id="7"`,
				"POST /v1/orders:import", "POST /v1/orders:import",
				"POST /v1/%6Frders:import", "POST /v1/orders:import",
				"POST /v1/7:import", "-",
				"POST /v1/7", "-",
				"POST /v1/:cancel", "-",
				"GET /v1/7:Watch", `GET /v1/{id} id="7:Watch"`,
			},
		}, {
			name:   "ids with colons",
			routes: []string{"GET /v1/{id}", "GET /v1/{id}:watch", "POST /v2/{id}:cancel", "GET /v3/{urn}/x"},
			requests: []string{
				"GET /v1/urn:a:b", `GET /v1/{id} id="urn:a:b"`,
				"GET /v1/urn:a:watch", `GET /v1/{id}:watch id="urn:a"`,
				"GET /v1/urn:watch:a", `GET /v1/{id} id="urn:watch:a"`,
				"GET /v1/a:cancel", `GET /v1/{id} id="a:cancel"`,
				"GET /v1/a%3Awatch", `GET /v1/{id} id="a%3Awatch"`,
				"GET /v1/a:", `GET /v1/{id} id="a:"`,
				"GET /v1/:", `GET /v1/{id} id=":"`,
				"GET /v1/:watch", `GET /v1/{id} id=":watch"`,
				"GET /v3/a:watch/x", `GET /v3/{urn}/x urn="a:watch"`,
			},
		}, {
			name:   "the verb decides before the segments",
			routes: []string{"GET /v1/foo%3Aget", "GET /{a}/{b}:get", "GET /v1/{name=**}:read", "GET /v1/{id}", "POST /v1/{id}:read"},
			requests: []string{
				"GET /v1/foo:get", `GET /{a}/{b}:get a="v1" b="foo"`,
				"GET /v1/foo%3Aget", "GET /v1/foo%3Aget",
				"GET /v1/foo:read", `GET /v1/{name=**}:read name="foo"`,
				"GET /v1/foo:write", `GET /v1/{id} id="foo:write"`,
				"POST /v1/foo:read", `POST /v1/{id}:read id="foo"`,
			},
		}, {
			name:   "the verb of another method does not hide a route",
			routes: []string{"POST /v1/{id}:cancel", "GET /v1/{id}"},
			requests: []string{
				"GET /v1/7:cancel", `GET /v1/{id} id="7:cancel"`,
				"POST /v1/7:cancel", `POST /v1/{id}:cancel id="7"`,
			},
		}, {
			name:   "** with a verb",
			routes: []string{"GET /v1/{name=**}:read", "GET /v1/{name=**}"},
			requests: []string{
				"GET /v1:read", `GET /v1/{name=**}:read name=""`,
				"GET /v1/:read", `GET /v1/{name=**}:read name=""`,
				"GET /v1/a/b:read", `GET /v1/{name=**}:read name="a/b"`,
				"GET /v1/a:read/b", `GET /v1/{name=**} name="a:read/b"`,
			},
		}, {
			name:   "dots are ordinary",
			routes: []string{"GET /v1/{id}", "GET /v1/admin/x"},
			requests: []string{
				"GET /v1/..", `GET /v1/{id} id=".."`,
				"GET /v1/./admin/x", "-",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := build(t, tt.routes...)
			var c Captures
			for i := 0; i < len(tt.requests); i += 2 {
				if got, want := describe(r, &c, tt.requests[i]), tt.requests[i+1]; got != want {
					t.Errorf("%s\ngot  %s\nwant %s", tt.requests[i], got, want)
				}
			}
		})
	}
}

func TestMethods(t *testing.T) {
	r := build(t, "GET /v1/{id}", "POST /v1/foo", "DELETE /v1/**", "GET /**", "PUT /v1/{id}:set", "GET /v1/{id}:set",
		"* /any", "BREW /any")
	for path, want := range map[string][]string{
		"/v1/foo":     {"DELETE", "GET", "POST"},
		"/v1/%66oo":   {"DELETE", "GET", "POST"},
		"/v1/bar":     {"DELETE", "GET"},
		"/v1/bar:set": {"DELETE", "GET", "PUT"},
		"/v1/foo:set": {"DELETE", "GET", "PUT"},
		"/v1":         {"DELETE", "GET"},
		"/v1/":        {"DELETE", "GET"},
		"/other":      {"GET"},
		"/any":        {"*", "BREW", "GET"},
		"/v1/%":       nil,
		"":            nil,
	} {
		if diff := cmp.Diff(want, r.Methods(path)); diff != "" {
			t.Errorf("Methods(%q): -want +got\n%s", path, diff)
		}
	}
	if got := build(t, "GET /v1").Methods("/v2"); got != nil {
		t.Errorf("Methods of an unknown path: got %q", got)
	}
}

func TestAddRefuses(t *testing.T) {
	for _, tt := range []struct{ first, method, template, want string }{
		{"GET /v1/{a}", "GET", "/v1/{b}", "route: GET /v1/{a} and GET /v1/{b} match the same paths; change one of them"},
		{"GET /v1/{a}", "GET", "/v1/*", "route: GET /v1/{a} and GET /v1/* match the same paths; change one of them"},
		{"GET /{a=b/*}", "GET", "/b/{c=*}", "route: GET /{a=b/*} and GET /b/{c=*} match the same paths; change one of them"},
		{"GET /{a=**}:x", "GET", "/**:%78", "route: GET /{a=**}:x and GET /**:%78 match the same paths; change one of them"},
		{"GET /a", "GET", "/%61", "route: GET /a and GET /%61 match the same paths; change one of them"},
		{"* /a", "*", "/a", "route: * /a and * /a match the same paths; change one of them"},
		{"GET /a", "", "/b", `route: "" for /b is not an HTTP method`},
		{"GET /a", "GET ", "/b", `route: "GET " for /b is not an HTTP method`},
		{"GET /a", "GÉT", "/b", `route: "GÉT" for /b is not an HTTP method`},
	} {
		b := NewBuilder[int]()
		method, template, _ := strings.Cut(tt.first, " ")
		if err := b.Add(method, mustParse(t, template), 1); err != nil {
			t.Fatal(err)
		}
		err := b.Add(tt.method, mustParse(t, tt.template), 2)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s %s after %s\ngot  %v\nwant %s", tt.method, tt.template, tt.first, err, tt.want)
		}
	}
}

func TestAddAcceptsWhatDiffers(t *testing.T) {
	build(t, "GET /v1/{a}", "POST /v1/{a}", "* /v1/{a}", "GET /v1/{a}:x", "GET /v1/{a}:y", "GET /v1/{a=**}",
		"GET /v1/a", "GET /v1", "GET /v1/a%3Ax", "M-SEARCH /v1/a")
}

func TestBuilderIsSpent(t *testing.T) {
	b := NewBuilder[int]()
	if b.Build() == nil {
		t.Fatal("Build returned nil")
	}
	if err := b.Add("GET", mustParse(t, "/v1"), 1); err == nil || err.Error() != "route: Add after Build" {
		t.Errorf("Add after Build: got %v", err)
	}
	if b.Build() != nil {
		t.Error("a second Build returned a router")
	}
}

func TestZeroRouter(t *testing.T) {
	var r Router[string]
	if got := describe(&r, new(Captures), "GET /v1:a"); got != "-" {
		t.Errorf("got %s", got)
	}
}

// TestDeepPathIsCheap matches a path with branches at each segment; a match that walked nodes twice would not end.
func TestDeepPathIsCheap(t *testing.T) {
	lines := []string{"GET /" + strings.Repeat("a/", 39) + "b"}
	for i := range 40 {
		lines = append(lines, "GET /"+strings.Repeat("a/", i)+"*/"+strings.Repeat("a/", 39-i)+"c")
	}
	r := build(t, lines...)
	var c Captures
	if got := describe(r, &c, "GET /"+strings.Repeat("a/", 100_000)); got != "-" {
		t.Errorf("got %s", got)
	}
	if got := describe(r, &c, "GET /"+strings.Repeat("a/", 39)+"b"); got != lines[0] {
		t.Errorf("got %s", got)
	}
}

func TestConcurrentMatch(t *testing.T) {
	r := build(t, "GET /v1/{id}", "GET /v1/{id}:watch", "POST /v1/fo%6F")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var c Captures
			want := fmt.Sprintf(`GET /v1/{id}:watch id="%%41%d"`, i)
			for range 1000 {
				if got := describe(r, &c, fmt.Sprintf("GET /v1/%%41%d:watch", i)); got != want {
					t.Errorf("got %s, want %s", got, want)
					return
				}
				r.Methods("/v1/foo")
			}
		})
	}
	wg.Wait()
}

func TestMatchDoesNotAllocate(t *testing.T) {
	r := build(t, "GET /v1/{id}", "GET /v1/{id}:watch", "POST /v1/{id}:w%61tch", "GET /v1/orders/{order.id}/lines/{line}",
		"GET /v1/{name=**}", "PUT /v1/**")
	for _, request := range []string{
		"GET /v1/7", "GET /v1/7:watch", "POST /v1/7%41:w%61%74ch", "GET /v1/orders/7/lines/8", "GET /v1/%6Frders/%41/lines/%42",
		"GET /v1/a/b/c/d/e/f", "PUT /v1/orders/7/lines/8", "DELETE /v1/7:watch", "GET /v2", "GET /v1/%zz",
	} {
		method, path, _ := strings.Cut(request, " ")
		var c Captures
		r.Match(method, path, &c)
		if n := testing.AllocsPerRun(100, func() { r.Match(method, path, &c) }); n != 0 {
			t.Errorf("%s: %v allocations", request, n)
		}
	}
}

func TestAppendValueDoesNotAllocate(t *testing.T) {
	r := build(t, "GET /v1/{id}")
	var c Captures
	if _, ok := r.Match("GET", "/v1/a%41b", &c); !ok {
		t.Fatal("no match")
	}
	buf := make([]byte, 0, 64)
	n := testing.AllocsPerRun(100, func() {
		if out, err := c.AppendValue(buf, 0); err != nil || string(out) != "aAb" {
			t.Errorf("got %q, %v", out, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrMalformedPathIsDistinguished(t *testing.T) {
	r := build(t, "GET /v1/{id}")
	var c Captures
	r.Match("GET", "/v1/%", &c)
	if !errors.Is(c.Err(), ErrMalformedPath) || c.Template() != nil || c.Len() != 0 {
		t.Errorf("got error %v, template %v", c.Err(), c.Template())
	}
	if _, ok := r.Match("GET", "/v1/a", &c); !ok || c.Err() != nil || c.Len() != 1 {
		t.Errorf("a later match: %v, error %v", ok, c.Err())
	}
}
