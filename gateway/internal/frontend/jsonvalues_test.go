package frontend

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/cardea-gateway/cardea/policies/call"
)

// valuesOf reads all values of a body.
func valuesOf(body io.Reader, limit int, arrays bool) (all []string, err error) {
	v := newJSONValues(body, limit, arrays)
	for {
		value, err := v.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, string(value))
	}
}

func TestJSONValues(t *testing.T) {
	for _, tt := range []struct {
		body string
		want []string
		err  error
	}{
		{body: ""},
		{body: " \r\n\t"},
		{body: `{}`, want: []string{"{}"}},
		{body: "{\"a\":1}\n{\"a\":2}\n", want: []string{`{"a":1}`, `{"a":2}`}},
		{body: `{"a":"}\"{"}{"b":[{}]}`, want: []string{`{"a":"}\"{"}`, `{"b":[{}]}`}},
		{body: `{"a":"\\"}{}`, want: []string{`{"a":"\\"}`, `{}`}},
		{body: `1 -2.5e3 true null "x y"`, want: []string{"1", "-2.5e3", "true", "null", `"x y"`}},
		{body: `1{}"a"2`, want: []string{"1", "{}", `"a"`, "2"}},
		{body: `[]`},
		{body: ` [ ] `},
		{body: `[{}, {"a":1} ,[1,2],3]`, want: []string{"{}", `{"a":1}`, "[1,2]", "3"}},
		{body: "[1\n,\n2\n]\n", want: []string{"1", "2"}},
		{body: `{} [1]`, want: []string{"{}", "[1]"}},
		{body: `nonsense {}`, want: []string{"nonsense", "{}"}},
		{body: "\x00", want: []string{"\x00"}},
		{body: `}`, want: []string{"}"}},
		{body: `,`, want: []string{","}},
		{body: `{`, err: errUnclosed},
		{body: `{} "a`, want: []string{"{}"}, err: errUnclosed},
		{body: `[`, err: errUnclosed},
		{body: `[{}`, want: []string{"{}"}, err: errUnclosed},
		{body: `[1 2]`, want: []string{"1"}, err: errNoComma},
		{body: `[1,]`, want: []string{"1"}, err: errLastComma},
		{body: `[1,,2]`, want: []string{"1"}, err: errLastComma},
		{body: `[] {}`, err: errTrailing},
		{body: `[1]]`, want: []string{"1"}, err: errTrailing},
	} {
		for name, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			got, err := valuesOf(reader(strings.NewReader(tt.body)), 100, true)
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("%q %s: %v, want %v\n%s", tt.body, name, err, tt.err, diff)
			}
		}
	}
	if got, err := valuesOf(strings.NewReader("[1] [2]"), 100, false); err != nil || len(got) != 2 {
		t.Errorf("values that are arrays: %q %v", got, err)
	}
}

func TestJSONValuesHaveALimit(t *testing.T) {
	for _, body := range []string{`{"a":"` + strings.Repeat("x", 200), strings.Repeat("1", 200), `{"a":"` + strings.Repeat("x", 200) + `"}`} {
		if _, err := valuesOf(strings.NewReader(body), 100, true); call.Reason(err) != reasonTooLarge {
			t.Errorf("%.20s...: %v", body, err)
		}
	}
	if got, err := valuesOf(strings.NewReader(strings.Repeat("{} ", 100_000)), 100, true); err != nil || len(got) != 100_000 {
		t.Errorf("many small ones: %d %v", len(got), err)
	}
}

func TestJSONValuesReportABrokenBody(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(`{} {`), iotest.ErrReader(io.ErrClosedPipe))
	if got, err := valuesOf(broken, 100, true); !errors.Is(err, io.ErrClosedPipe) || len(got) != 1 {
		t.Errorf("%q %v", got, err)
	}
}

// FuzzJSONValues holds the splitting against encoding/json, where that takes the whole body.
func FuzzJSONValues(f *testing.F) {
	for _, body := range []string{`{} {"a":[1]}`, `[1,{"a":"]"}]`, `"\"" 1 true`, "[", "{}\n[]"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := valuesOf(iotest.HalfReader(strings.NewReader(body)), 1<<20, true)
		var want []string
		decoder := json.NewDecoder(strings.NewReader(body))
		for {
			var value json.RawMessage
			if bad := decoder.Decode(&value); bad != nil {
				if !errors.Is(bad, io.EOF) {
					return // No JSON: only the reader of the values has to notice.
				}
				break
			}
			want = append(want, string(value))
		}
		var elements []json.RawMessage
		switch whole := json.Unmarshal([]byte(body), &elements); {
		case whole == nil && len(want) == 1 && want[0][0] == '[':
			want = nil
			for _, element := range elements {
				want = append(want, string(element))
			}
		case len(want) > 0 && want[0][0] == '[':
			return // An array, and something behind it, which is refused.
		}
		if slices.ContainsFunc(want, func(value string) bool { return !strings.ContainsAny(value[:1], `{["`) }) {
			want, got = []string{strings.Join(want, "")}, []string{strings.Join(got, "")} // Nobody has to tell 00 from 0 and 0.
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", body, err, diff)
		}
	})
}
