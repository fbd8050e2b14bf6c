package frontend

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cardea-gateway/cardea/policies/call"
)

func TestIsMethodPath(t *testing.T) {
	for path, want := range map[string]bool{
		"/s/m": true, "/a.b.v1.S_1/M2": true,
		"": false, "/": false, "//": false, "s/m": false, "/s": false, "/s/": false, "//m": false, "//s/m": false, "/s//m": false,
		"/s/m/": false, "/s/m/x": false, "/s/m?": false, "/s/m?x=1": false, "/s/m#x": false, "/s%2Fm": false, "/s/%6d": false,
		"/s/m;x": false, "/./s/m": false, "/../s/m": false, "/s/..": false, "/s./m": false, "/.s/m": false, "/a..b/m": false,
		"/s/m\x00": false, "/s/\xff": false, "/s/ m": false, "/1s/m": false, "http://h/s/m": false, "*": false, `\s\m`: false,
	} {
		if got := isMethodPath(path); got != want {
			t.Errorf("%q: got %v", path, got)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/v1/orders/1": true, "/v1/a.b/...": true, "/v1/..a": true, "/v1/a..": true, "/v1/a%2Fb": true, "/v1/%2e%2e%2e": true,
		"/v1/a:..x": true, "/v1/x:y": true, "/v1/%252e%252e/x": true, "//v1": true, "/v1/": true,
		"/.": false, "/..": false, "/../v1": false, "/v1/./x": false, "/v1/../x": false, "/v1/%2e%2e/x": false, "/v1/.%2E": false, "/v1/%2e": false,
		"/v1/..%2Fx": false, "/v1/a%2f..": false, "/v1/a%5C..%5Cb": false, `/v1/..\x`: false, "/v1/..:watch": false, "/v1/..;x=1": false,
		"/v1/%00": false, "/v1/%0a": false, "/v1/a\x01": false, "/v1/%7F": false,
	} {
		if got := isPlain(path); got != want {
			t.Errorf("%q: got %v", path, got)
		}
	}
}

// received runs reception on a request with headers.
func reception(t *testing.T, trusted []string, remote string, header ...string) call.Reception {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://gateway/", nil)
	r.RemoteAddr = remote
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	var got call.Reception
	(&Table{TrustedProxies: Networks(trusted)}).receive(newNetHTTP(nil, r), &got)
	return got
}

func TestClientBehindProxies(t *testing.T) {
	trusted := []string{"10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"}
	for name, tc := range map[string]struct {
		remote        string
		header        []string
		client, chain string
		scheme, host  string
	}{
		"nobody trusted speaks": {
			remote: "203.0.113.9:5", header: []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil", "Forwarded", "for=1.1.1.1"},
			client: "203.0.113.9:5", chain: "203.0.113.9",
		},
		"a trusted proxy says nothing": {remote: "10.0.0.1:5", client: "10.0.0.1:5", chain: "10.0.0.1"},
		"one proxy": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "HTTPS", "X-Forwarded-Host", "api.example.com:8443"},
			client: "203.0.113.9:0", chain: "203.0.113.9, 10.0.0.1", scheme: "https", host: "api.example.com:8443",
		},
		"what the client wrote is dropped": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "10.9.9.9, 1.1.1.1", "X-Forwarded-For", "203.0.113.9, 10.0.0.2"},
			client: "203.0.113.9:0", chain: "203.0.113.9, 10.0.0.2, 10.0.0.1",
		},
		"a chain of trusted proxies alone": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, client: "10.0.0.3:0", chain: "10.0.0.3, 10.0.0.2, 10.0.0.1",
		},
		"a malformed entry ends the trust": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "203.0.113.9, nonsense, 10.0.0.2"}, client: "10.0.0.2:0", chain: "10.0.0.2, 10.0.0.1",
		},
		"an empty entry ends the trust": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "203.0.113.9,"}, client: "10.0.0.1:5", chain: "10.0.0.1",
		},
		"ports, brackets and a mapped address": {
			remote: "[::ffff:10.0.0.1]:5", header: []string{"X-Forwarded-For", "[2001:db8::1]:443, 2001:db8:ffff::1, ::ffff:10.0.0.2, 10.0.0.3:80"},
			client: "[2001:db8::1]:443", chain: "2001:db8::1, 2001:db8:ffff::1, 10.0.0.2, 10.0.0.3, 10.0.0.1",
		},
		"zones are malformed": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-For", "fe80::1%eth0"}, client: "10.0.0.1:5", chain: "10.0.0.1",
		},
		"scheme and host of the hop that is the client": {
			remote: "10.0.0.1:5", header: []string{
				"X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.2", "X-Forwarded-Proto", "ftp, https, http", "X-Forwarded-Host", "evil, api.example.com, inner",
			},
			client: "203.0.113.9:0", chain: "203.0.113.9, 10.0.0.2, 10.0.0.1", scheme: "https", host: "api.example.com",
		},
		"scheme and host that make no sense": {
			remote: "10.0.0.1:5", header: []string{"X-Forwarded-Proto", "javascript", "X-Forwarded-Host", "a b"}, client: "10.0.0.1:5", chain: "10.0.0.1",
		},
		"Forwarded": {
			remote: "192.0.2.1:5", header: []string{"Forwarded", `for=1.1.1.1, For="[2001:db8::1]:4711";Proto=https;host="api.example.com";by=10.0.0.2, for=10.0.0.2;proto=http`},
			client: "[2001:db8::1]:4711", chain: "2001:db8::1, 10.0.0.2, 192.0.2.1", scheme: "https", host: "api.example.com",
		},
		"Forwarded with an obfuscated client": {
			remote: "10.0.0.1:5", header: []string{"Forwarded", "for=1.1.1.1, for=_hidden;proto=https"}, client: "10.0.0.1:5", chain: "10.0.0.1", scheme: "https",
		},
		"a quote that never ends swallows nothing": {
			remote: "10.0.0.1:5", header: []string{"Forwarded", `for="1.1.1.1, for="[2001:db8::1]"`}, client: "[2001:db8::1]:0", chain: "2001:db8::1, 10.0.0.1",
		},
		"a separator within quotes": {
			remote: "10.0.0.1:5", header: []string{"Forwarded", `for=203.0.113.9;ext="a, b;c\"d"`}, client: "203.0.113.9:0", chain: "203.0.113.9, 10.0.0.1",
		},
		"X-Forwarded-For comes before Forwarded": {
			remote: "10.0.0.1:5", header: []string{"Forwarded", "for=1.1.1.1", "X-Forwarded-For", "203.0.113.9"}, client: "203.0.113.9:0", chain: "203.0.113.9, 10.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.scheme == "" {
				tc.scheme = "http"
			}
			if tc.host == "" {
				tc.host = "gateway"
			}
			got := reception(t, trusted, tc.remote, tc.header...)
			want := call.Reception{RequestID: got.RequestID, Client: netip.MustParseAddrPort(tc.client), ForwardedFor: tc.chain, Scheme: tc.scheme, Host: tc.host}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	trusted := []string{"10.0.0.0/8"}
	for id, want := range map[string]bool{
		"a": true, "A-z_0.9:x": true, strings.Repeat("a", 128): true,
		"": false, "a b": false, "a\"b": false, "a/b": false, "ä": false, strings.Repeat("a", 129): false, "a\x7f": false, "@": false, "[": false,
	} {
		if got := reception(t, trusted, "10.0.0.1:1", "X-Request-Id", id).RequestID; (got == id) != want {
			t.Errorf("%q became %q", id, got)
		}
		if got := reception(t, trusted, "203.0.113.9:1", "X-Request-Id", id).RequestID; got == id || len(got) != 32 || !isRequestID(got) {
			t.Errorf("%q of a stranger became %q", id, got)
		}
	}
	if first, second := newRequestID(), newRequestID(); first == second {
		t.Error("two requests have one id")
	}
}

func TestNetworks(t *testing.T) {
	got := Networks([]string{"10.1.2.3/8", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2", "nonsense"})
	var text []string
	for _, p := range got {
		text = append(text, p.String())
	}
	if want := []string{"10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128", "192.0.2.2/32"}; !slices.Equal(text, want) {
		t.Errorf("got %v", text)
	}
}

// FuzzForwarded holds that whatever a header says, what the gateway makes of it is an address and a chain of addresses that
// ends with the other end of the connection, and that a stranger is never believed.
func FuzzForwarded(f *testing.F) {
	f.Add("1.1.1.1, 10.0.0.1", `for="[2001:db8::1]:1";proto=https, for=_x`, "https", "h:1")
	f.Add(",,", `for="`, "", "")
	f.Add("[::1", `for=1;for=2;="\"`, "a,b", "[")
	f.Fuzz(func(t *testing.T, list, forwarded, proto, host string) {
		for _, header := range [][]string{{"X-Forwarded-For", list}, {"Forwarded", forwarded}} {
			header = append(header, "X-Forwarded-Proto", proto, "X-Forwarded-Host", host)
			got := reception(t, []string{"0.0.0.0/0", "::/0"}, "10.0.0.1:1", header...)
			entries := strings.Split(got.ForwardedFor, ", ")
			if len(entries) > maxHops+1 || entries[len(entries)-1] != "10.0.0.1" || entries[0] != got.Client.Addr().String() {
				t.Errorf("%q: client %v, chain %q", header, got.Client, got.ForwardedFor)
			}
			for _, entry := range entries {
				if addr, err := netip.ParseAddr(entry); err != nil || addr.Zone() != "" {
					t.Errorf("%q: chain %q", header, got.ForwardedFor)
				}
			}
			if got.Scheme != "http" && got.Scheme != "https" || !isHost(got.Host) {
				t.Errorf("%q: %s %q", header, got.Scheme, got.Host)
			}
			if stranger := reception(t, []string{"10.0.0.0/8"}, "203.0.113.9:1", header...); stranger.ForwardedFor != "203.0.113.9" || stranger.Scheme != "http" {
				t.Errorf("%q: a stranger is believed: %+v", header, stranger)
			}
		}
	})
}

func TestWantsProblem(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/*": false, "application/json": false, "text/html, */*;q=0.8": false,
		"application/problem+json": true, "application/problem+json, */*": true, "Application/Problem+JSON": true,
		"application/json, application/problem+json": true, "application/json;q=0.5, application/problem+json": true,
		"application/json, application/problem+json;q=0.9": false, "application/problem+json;q=0": false,
		"application/problem+json;q=nan": false, "application/problem+json;q=2": false, "application/problem+json;q=": false,
		"application/problem+json;q": false, ";;;": false, strings.Repeat("a/b,", 200) + "application/problem+json": false,
	} {
		if got := wantsProblem([]string{accept}); got != want {
			t.Errorf("%q: got %v", accept, got)
		}
	}
	if !wantsProblem([]string{"application/json;q=0.1", "application/problem+json"}) {
		t.Error("two lines are not one list")
	}
}
