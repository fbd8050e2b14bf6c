package route

import (
	"errors"
	"testing"
)

func TestValue(t *testing.T) {
	const single, multi, rest = "/v1/{x}", "/v1/{x=a/*}", "/v1/{x=**}"
	for _, tt := range []struct {
		template, path, want string
		malformed            bool
	}{
		{template: single, path: "/v1/plain", want: "plain"},
		{template: single, path: "/v1/a%20b", want: "a b"},
		{template: single, path: "/v1/a+b", want: "a+b"},
		{template: single, path: "/v1/a%2Fb%2fc", want: "a/b/c"},
		{template: single, path: "/v1/%25%32%46", want: "%2F"},
		{template: single, path: "/v1/caf%C3%A9", want: "café"},
		{template: single, path: "/v1/café", want: "café"},
		{template: single, path: "/v1/%00", want: "\x00"},
		{template: single, path: "/v1/%FF", malformed: true},
		{template: single, path: "/v1/%C3", malformed: true},
		{template: single, path: "/v1/\xff", malformed: true},
		{template: single, path: "/v1/%C3\xa9", want: "é"},
		{template: "/{x=v%31}", path: "/v%31", want: "v1"},
		{template: multi, path: "/v1/%61/b%20c", want: "a/b c"},
		{template: multi, path: "/v1/a/b%2Fc%2fd", want: "a/b%2Fc%2fd"},
		{template: multi, path: "/v1/a/%252F", want: "a/%2F"},
		{template: multi, path: "/v1/a/%FF", malformed: true},
		{template: rest, path: "/v1", want: ""},
		{template: rest, path: "/v1/", want: ""},
		{template: rest, path: "/v1/one%2Fsegment", want: "one%2Fsegment"},
		{template: rest, path: "/v1/a/%62//c%20/", want: "a/b//c /"},
		{template: rest, path: "/v1/a/\xff", malformed: true},
		{template: "/v1/{x}:get", path: "/v1/%41:%42:get", want: "A:B"},
		{template: "/v1/{x=**}:get", path: "/v1/a/b:get", want: "a/b"},
	} {
		r := build(t, "GET "+tt.template)
		var c Captures
		if _, ok := r.Match("GET", tt.path, &c); !ok {
			t.Errorf("%s does not match %q", tt.template, tt.path)
			continue
		}
		got, err := c.Value(0)
		if got != tt.want || errors.Is(err, ErrMalformedPath) != tt.malformed {
			t.Errorf("%s on %q: got %q, %v, want %q, malformed %v", tt.template, tt.path, got, err, tt.want, tt.malformed)
		}
		appended, err := c.AppendValue([]byte("x="), 0)
		if string(appended) != "x="+tt.want || errors.Is(err, ErrMalformedPath) != tt.malformed {
			t.Errorf("%s on %q: AppendValue got %q, %v", tt.template, tt.path, appended, err)
		}
	}
}

// TestAppendValueJudgesOnlyTheValue has a prefix that is not UTF-8, and one that a value would complete.
func TestAppendValueJudgesOnlyTheValue(t *testing.T) {
	r := build(t, "GET /{x}")
	var c Captures
	r.Match("GET", "/a", &c)
	if got, err := c.AppendValue([]byte{0xff}, 0); err != nil || string(got) != "\xffa" {
		t.Errorf("got %q, %v", got, err)
	}
	r.Match("GET", "/%A9", &c)
	if got, err := c.AppendValue([]byte{0xc3}, 0); err == nil || string(got) != "\xc3" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestValuesAfterBacktracking(t *testing.T) {
	r := build(t, "GET /{a}/{b}/end", "GET /x/{c}/{d}/{e}", "POST /{a}/{b}:stop", "GET /{f=*/*}/{g=**}")
	var c Captures
	for _, tt := range [][]string{
		{"/x/y/end", "x", "y"},
		{"/x/y/end:stop", "x/y", "end:stop"},
		{"/x/y/z/end", "y", "z", "end"},
		{"/q/y:stop", "q/y:stop", ""},
	} {
		if _, ok := r.Match("GET", tt[0], &c); !ok {
			t.Fatalf("%s: no match", tt[0])
		}
		for i, want := range tt[1:] {
			if got, err := c.Value(i); got != want || err != nil {
				t.Errorf("%s, %s: value %d is %q, %v, want %q", tt[0], c.Template(), i, got, err, want)
			}
		}
	}
}
