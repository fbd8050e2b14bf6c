package consul

import (
	"io"
	"strings"
	"testing"
)

func TestBounded(t *testing.T) {
	for left, want := range map[int]bool{10: true, 9: false, 1: false} {
		got, err := io.ReadAll(&bounded{ReadCloser: io.NopCloser(strings.NewReader("123456789")), left: left})
		if (err == nil) != want || len(got) != min(left, 9) {
			t.Errorf("%d bytes are allowed: got %q and %v", left, got, err)
		}
	}
}
