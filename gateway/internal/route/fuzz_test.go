package route

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"/v1/*", "/**:x", "/v1/{name=shelves/*/books/**}:read", "/{a.b}/{c}", "/%6F%2F", "/v1/{", "//", "/a:b:c", "/{a={b}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		parsed, err := Parse(source)
		if err != nil {
			checkSyntaxError(t, source, err)
			return
		}
		if parsed.String() != source {
			t.Errorf("String: got %q", parsed.String())
		}
		path := samplePath(parsed)
		var c Captures
		if _, ok := build(t, "GET "+source).Match("GET", path, &c); !ok || c.Template() == nil {
			t.Fatalf("%q does not match its own %q", source, path)
		}
		for i, v := range parsed.Variables() {
			if v.FieldPath == "" || strings.Count(c.Raw(i), "/") > 0 && !v.MultiSegment {
				t.Errorf("variable %+v has the value %q", v, c.Raw(i))
			}
		}
	})
}

func checkSyntaxError(t *testing.T, source string, err error) {
	t.Helper()
	var bad *SyntaxError
	if !errors.As(err, &bad) || bad.Template != source || bad.Column < 1 || bad.Column > len(source)+1 || bad.Message == "" {
		t.Errorf("got error %#v", err)
	}
}

// samplePath makes a path that a template must match.
func samplePath(t *Template) string {
	var path strings.Builder
	for _, s := range t.segments {
		switch s.kind {
		case literalSegment:
			path.WriteString("/" + url.PathEscape(s.literal))
		case starSegment:
			path.WriteString("/x")
		case restSegment:
			path.WriteString("/y/z")
		}
	}
	if t.verb != "" {
		path.WriteString(":" + strings.ReplaceAll(url.PathEscape(t.verb), ":", "%3A"))
	}
	return path.String()
}

// FuzzMatch compares the router with a matcher that tries every template by itself. The routes are lines.
func FuzzMatch(f *testing.F) {
	const routes = "GET /v1/{a}\nPOST /v1/foo\nGET /v1/{a}:get\n* /v1/{n=**}:get\nGET /{a}/{b=**}\nGET /v1/a%2Fb\nPUT /{x}/foo/{y}"
	for _, path := range []string{"/v1/foo", "/v1/a%2Fb", "/v1/x:get", "/v1:get", "/v1/", "/", "/v1/%zz", "/a/foo/%FF", "/a//b:get"} {
		f.Add(routes, "GET", path)
		f.Add(routes, "PUT", path)
	}
	f.Fuzz(func(t *testing.T, lines, method, path string) {
		templates, r := buildFrom(lines)
		var c Captures
		got, ok := r.Match(method, path, &c)
		want, found := naiveMatch(templates, method, path)
		if ok != found || got != want {
			t.Fatalf("%s %s: got %q, %v, want %q, %v", method, path, got, ok, want, found)
		}
		if ok {
			checkValues(t, &c)
		}
		if diff := gocmp.Diff(naiveMethods(templates, path), r.Methods(path)); diff != "" {
			t.Errorf("Methods(%q): -want +got\n%s", path, diff)
		}
	})
}

// checkValues expects the values to be what net/url decodes, where that is defined alike.
func checkValues(t *testing.T, c *Captures) {
	t.Helper()
	for i, v := range c.Template().Variables() {
		raw := c.Raw(i)
		if v.MultiSegment {
			raw = strings.NewReplacer("%2F", "%252F", "%2f", "%252f").Replace(raw)
		}
		want, err := url.PathUnescape(raw)
		got, gotErr := c.Value(i)
		if bad := err != nil || !utf8.ValidString(want); bad != (gotErr != nil) || !bad && got != want {
			t.Errorf("%s: value %q of %q, %v, want %q", c.Template(), got, raw, gotErr, want)
		}
	}
}

// buildFrom keeps the lines that make a route.
func buildFrom(lines string) (map[string]*Template, *Router[string]) {
	templates := map[string]*Template{}
	b := NewBuilder[string]()
	for line := range strings.SplitSeq(lines, "\n") {
		method, source, _ := strings.Cut(line, " ")
		t, err := Parse(source)
		if err != nil {
			continue
		}
		if b.Add(method, t, line) == nil {
			templates[line] = t
		}
	}
	return templates, b.Build()
}

// candidate is a route that matches, with what decides between it and others: smaller comes first.
type candidate struct {
	line string
	rank []int
}

func naiveMatch(templates map[string]*Template, method, path string) (string, bool) {
	candidates := naiveCandidates(templates, path)
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool {
		m, _, _ := strings.Cut(c.line, " ")
		return m != method && m != AnyMethod
	})
	if len(candidates) == 0 {
		return "", false
	}
	return slices.MinFunc(candidates, func(a, b candidate) int {
		return cmp.Or(slices.Compare(a.rank, b.rank), cmp.Compare(naiveAny(a), naiveAny(b)))
	}).line, true
}

// naiveAny ranks the method itself before any method.
func naiveAny(c candidate) int {
	if strings.HasPrefix(c.line, AnyMethod+" ") {
		return 1
	}
	return 0
}

func naiveMethods(templates map[string]*Template, path string) []string {
	var methods []string
	for _, c := range naiveCandidates(templates, path) {
		m, _, _ := strings.Cut(c.line, " ")
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

func naiveCandidates(templates map[string]*Template, path string) []candidate {
	var candidates []candidate
	if _, err := url.PathUnescape(path); err != nil || !strings.HasPrefix(path, "/") {
		return nil
	}
	for line, t := range templates {
		if rank, ok := naiveRank(t, path); ok {
			candidates = append(candidates, candidate{line, rank})
		}
	}
	return candidates
}

// naiveRank matches one template: the verb first, then kind by kind. The end ranks before a **.
func naiveRank(t *Template, path string) ([]int, bool) {
	rank := []int{1}
	if t.verb != "" {
		colon := strings.LastIndexByte(path, ':')
		if colon < strings.LastIndexByte(path, '/') {
			return nil, false
		}
		if verb, _ := url.PathUnescape(path[colon+1:]); verb != t.verb {
			return nil, false
		}
		path = path[:colon]
		rank[0] = 0
	}
	parts := strings.Split(path[1:], "/")
	for i, s := range t.segments {
		if s.kind == restSegment {
			return append(rank, int(restSegment)), true
		}
		if i >= len(parts) || !naiveSegment(s, parts[i]) {
			return nil, false
		}
		rank = append(rank, int(s.kind))
	}
	return rank, len(parts) == len(t.segments)
}

func naiveSegment(s segment, raw string) bool {
	if s.kind == starSegment {
		return raw != ""
	}
	text, _ := url.PathUnescape(raw)
	return text == s.literal
}
