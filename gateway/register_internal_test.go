package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-gateway/cardea/discovery/consul"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// TestAdoptWithoutAGap changes what is told of a gateway, and who it is, and expects it to be taken back in the second case alone.
func TestAdoptWithoutAGap(t *testing.T) {
	asked := make(chan string, 100)
	agent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/check/") {
			asked <- r.URL.Path
		}
	}))
	defer agent.Close()
	var r registration
	adopt := func(id string, tags ...string) {
		cfg := &configv1.Consul{
			Address: agent.Listener.Addr().String(), Register: &configv1.ConsulRegistration{Service: "gateway", Id: id, Tags: tags},
		}
		registrar, err := consul.NewRegistrar(upstream.ConsulOptions(cfg), consul.Registration{Service: "gateway", ID: id, Port: 1, Tags: tags}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.adopt(cfg, registrar)
	}
	expect := func(what string, want ...string) {
		t.Helper()
		for _, path := range want {
			if got := <-asked; got != "/v1/agent/service/"+path {
				t.Errorf("%s: the agent hears %s, want %s", what, got, path)
			}
		}
	}
	adopt("one")
	expect("at first", "register")
	adopt("one", "canary")
	expect("another tag", "register")
	adopt("two", "canary")
	expect("another name", "deregister/one", "register")
	r.end(false)
	expect("at the end", "deregister/two")
}
