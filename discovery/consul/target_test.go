package consul_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/discovery/consul"
)

func TestParse(t *testing.T) {
	for _, target := range []string{
		"consul:///orders",
		"consul://10.0.0.1:8500/orders",
		"consul://[::1]:8500/orders",
		"consul://consul.internal:8501/orders",
		"consul:///my%20orders_1.v2",
		"consul:///orders?tag=v1&tag=eu&dc=dc2&near=_agent&healthy=warning&ns=team&partition=edge",
		"consul:///orders?healthy=passing",
	} {
		if err := consul.Parse(target); err != nil {
			t.Errorf("Parse(%q): %v", target, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for target, want := range map[string]string{
		"":                                 "want consul:///service",
		"dns:///orders":                    "want consul:///service",
		"consul:orders":                    "want consul:///service",
		"consul://":                        "the name is missing",
		"consul:///":                       "the name is missing",
		"consul://orders":                  `agent "orders": want host:port; want consul:///service`,
		"consul://:8500/orders":            `agent ":8500": want host:port`,
		"consul://a:0/orders":              `port "0" is not a number from 1 to 65535`,
		"consul://a:65536/orders":          `port "65536" is not a number from 1 to 65535`,
		"consul://a:http/orders":           "want consul:///service",
		"consul://user:s3cret@a:1/orders":  "a user in front of the host",
		"consul:///orders/":                "has a slash",
		"consul:///a/b":                    "has a slash",
		"consul:///a%2Fb":                  "has a slash",
		"consul:///..":                     "one or two dots",
		"consul:///a%00":                   "can't be seen",
		"consul:///a%0a":                   "can't be seen",
		"consul:///a%ff":                   "can't be seen",
		"consul:///orders#x":               "a fragment (#)",
		"consul:///orders?tags=v1":         `parameter "tags": it means nothing; allowed are tag, dc, near, healthy, ns and partition`,
		"consul:///orders?TAG=v1":          `parameter "TAG": it means nothing`,
		"consul:///orders?token=s3cret":    `parameter "token": it means nothing`,
		"consul:///orders?stale=":          `parameter "stale": it means nothing`,
		"consul:///orders?dc=a&dc=b":       `parameter "dc": it may stand only once`,
		"consul:///orders?near=a&near=a":   `parameter "near": it may stand only once`,
		"consul:///orders?ns=a&ns=b":       `parameter "ns": it may stand only once`,
		"consul:///orders?dc=":             `parameter "dc": it is empty`,
		"consul:///orders?dc":              `parameter "dc": it is empty`,
		"consul:///orders?tag=a&tag=":      `parameter "tag": it is empty`,
		"consul:///orders?healthy=any":     `"any" is no status; allowed are passing and warning`,
		"consul:///orders?healthy=Passing": `allowed are passing and warning`,
		"consul:///orders?healthy=passing&healthy=warning": `parameter "healthy": it may stand only once`,
		"consul:///orders?tag=a;dc=b":                      "parameters: ",
		"consul:///orders?tag=%zz":                         "parameters: ",
	} {
		err := consul.Parse(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "consul: target") {
			t.Errorf("Parse(%q): got error %v, want one with %q", target, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Parse(%q): the error tells the secret: %v", target, err)
		}
	}
}

// FuzzParse expects that Parse and Open agree, and that what they accept is asked of nobody but the agent.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"consul:///orders", "consul://a:1/b?tag=c&tag=d", "consul:///o?healthy=warning&near=_agent", "consul:///%2e%2e", "consul:///a?dc=%00",
		"consul:///a%2f..%2fkv", "consul://user@a:1/b", "consul:x",
	} {
		f.Add(seed)
	}
	s, err := consul.New(consul.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		wrong := consul.Parse(target)
		u, err := url.Parse(target)
		if err != nil {
			if wrong == nil {
				t.Fatal("Parse accepts what is no URL")
			}
			return
		}
		_, err = s.Open(u)
		if (wrong == nil) != (err == nil) {
			t.Fatalf("Parse says %v, Open says %v", wrong, err)
		}
		if name := strings.TrimPrefix(u.Path, "/"); wrong == nil && (name == "" || strings.Contains(name, "/") || strings.Trim(name, ".") == "" && len(name) < 3) {
			t.Fatalf("Parse accepts the name %q", name)
		}
	})
}

func TestOptionsRefused(t *testing.T) {
	for want, o := range map[string]consul.Options{
		`address "http://a:1": want host:port`:              {Address: "http://a:1"},
		`address "a": want host:port`:                       {Address: "a"},
		`address "a:0": port "0"`:                           {Address: "a:0"},
		`address "unix://x": want unix:///path`:             {Address: "unix://x"},
		"TLS is not spoken over a socket":                   {Address: "unix:///x", TLS: &consul.TLS{}},
		"wait is -1s":                                       {Wait: -1e9},
		"wait is 1h0m0s":                                    {Wait: 3600e9},
		"max stale is -1s":                                  {MaxStale: -1e9},
		"tls: CA file: open /nowhere":                       {TLS: &consul.TLS{CAFile: "/nowhere"}},
		"holds no certificate":                              {TLS: &consul.TLS{CAFile: "target_test.go"}},
		"certificate file and a private key file need each": {TLS: &consul.TLS{CertificateFile: "x"}},
		"certificate file x, private key file y":            {TLS: &consul.TLS{CertificateFile: "x", PrivateKeyFile: "y"}},
	} {
		if _, err := consul.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}
