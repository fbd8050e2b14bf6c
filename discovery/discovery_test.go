package discovery_test

import (
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/discovery"
)

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:1": "", "orders.internal:65535": "", "[::1]:50051": "",
		"": "want host:port", "a": "want host:port", ":1": "want host:port", "::1:1": "want host:port",
		"a b:1": "want host:port", "u@a:1": "want host:port", "a/b:1": "want host:port",
		"a:": `port "" is not`, "a:0": `port "0" is not`, "a:65536": `port "65536" is not`, "a:http": `port "http" is not`, "a:-1": `port "-1" is not`,
	} {
		err := discovery.CheckAddress(address)
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
}
