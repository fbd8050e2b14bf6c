package gateway

import (
	"testing"

	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

func TestTheClosestHostWins(t *testing.T) {
	s := &sites{}
	tables := map[*frontend.Table]string{}
	for _, host := range []string{"", "*.example.com", "api.example.com", "*.api.example.com"} {
		table := &frontend.Table{}
		tables[table] = host
		s.add(host, table)
	}
	for authority, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM.:443": "api.example.com",
		"www.example.com": "*.example.com", "a.b.example.com": "*.example.com", "v1.api.example.com": "*.api.example.com",
		"example.com": "", ".example.com": "", "evil-example.com": "", "": "", "[::1]:80": "",
	} {
		if got := tables[s.table(authority)]; got != want {
			t.Errorf("%q: got the table of %q, want %q", authority, got, want)
		}
	}
}

func TestBoundBackendsComeBeforeOthers(t *testing.T) {
	backends := []servedBackend{
		{cfg: &configv1.Backend{Name: "everywhere"}},
		{cfg: &configv1.Backend{Name: "wild", Hosts: []string{"*.example.com"}}},
		{cfg: &configv1.Backend{Name: "exact", Hosts: []string{"API.example.com", "other.org"}}},
	}
	for host, want := range map[string][]string{
		"api.example.com": {"exact", "wild", "everywhere"}, "www.example.com": {"wild", "everywhere"},
		"other.org": {"exact", "everywhere"}, "*.example.com": {"wild", "everywhere"}, "": {"everywhere"},
	} {
		found := forHost(backends, host)
		if len(found) != len(want) {
			t.Errorf("%q: %d backends, want %v", host, len(found), want)
			continue
		}
		for i, b := range found {
			if b.cfg.GetName() != want[i] {
				t.Errorf("%q: backend %d is %s, want %s", host, i, b.cfg.GetName(), want[i])
			}
		}
	}
	if got := hostsOf(backends); len(got) != 4 || got[0] != "" {
		t.Errorf("hosts %q", got)
	}
}
