package admin

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOtherSitesCantUseABrowser(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	h := Handler(Options{Ready: func() bool { return true }, Metrics: ok, API: ok})
	for name, tc := range map[string]struct {
		method, host, path string
		header             map[string]string
		want               int
	}{
		"a tool by a name":          {"POST", "cardea.internal:9901", "/v1/config:reload", nil, 200},
		"a scrape":                  {"GET", "cardea.internal:9901", "/metrics", nil, 200},
		"a person":                  {"GET", "localhost:9901", "/v1/status", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"a person at an address":    {"GET", "[::1]:9901", "/debug/pprof/cmdline", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"a page posts":              {"POST", "localhost:9901", "/v1/config:reload", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a page posts, old browser": {"POST", "localhost:9901", "/v1/config:reload", map[string]string{"Origin": "https://evil.example"}, 403},
		"a page wants a profile":    {"GET", "localhost:9901", "/debug/pprof/cmdline", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"DNS rebinding": {
			"POST", "evil.example:9901", "/v1/config:reload",
			map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example:9901"},
			403,
		},
	} {
		r := httptest.NewRequest(tc.method, "http://"+tc.host+tc.path, nil)
		for key, value := range tc.header {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
