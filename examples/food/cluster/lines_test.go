package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinesAreLoggedOneByOne(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, tt := range map[string]struct{ writes, want []string }{
		"in pieces":      {[]string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		"two at once":    {[]string{"a\nb\n"}, []string{"a", "b"}},
		"empty":          {[]string{"\n"}, []string{""}},
		"without an end": {[]string{long, "y\n"}, []string{long, "y"}},
		"not yet":        {[]string{"a"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var got []string
			l := &lines{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == "line" {
						got = append(got, a.Value.String())
					}
					return a
				},
			}))}
			for _, w := range tt.writes {
				if n, err := l.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("wrote %d of %d, %v", n, len(w), err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
