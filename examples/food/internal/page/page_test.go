package page_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/internal/page"
)

func TestSize(t *testing.T) {
	for requested, want := range map[int32]int{0: 20, 1: 1, 100: 100} {
		if got := page.Size(requested); got != want {
			t.Errorf("Size(%d) is %d, want %d", requested, got, want)
		}
	}
}

func TestTokenLeadsBehindItsKey(t *testing.T) {
	for _, key := range []string{"a", "orders/0195", "\x00\xff"} {
		if got, err := page.After("query", page.Token("query", key)); got != key || err != nil {
			t.Errorf("%q: got %q, %v", key, got, err)
		}
	}
	if got, err := page.After("query", ""); got != "" || err != nil {
		t.Errorf("no token: got %q, %v", got, err)
	}
}

func TestTokenIsRefused(t *testing.T) {
	token := page.Token("query", "orders/1")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	moved := base64.RawURLEncoding.EncodeToString(append(raw[:len(raw)-1:len(raw)-1], '2'))
	for name, wrong := range map[string]string{
		"of another query":     page.Token("other", "orders/1"),
		"of a shifted query":   page.Token("queryo", "rders/1"),
		"with another key":     moved,
		"without a key":        base64.RawURLEncoding.EncodeToString(raw[:8]),
		"cut":                  token[:5],
		"not base64":           "!" + token,
		"of the other base 64": strings.Repeat("+/", 10),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := page.After("query", wrong)
			foodtest.Violations(t, err, "page_token")
		})
	}
}
