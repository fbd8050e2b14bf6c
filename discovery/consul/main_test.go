package consul_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/consul"
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopShared()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

// patience is for what should happen soon, on a machine that is busy.
const patience = 15 * time.Second

// eventually asks again and again until it is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !is(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// rest waits for a while in which nothing must happen.
func rest(d time.Duration) { <-time.NewTimer(d).C }

func source(t *testing.T, o consul.Options) *consul.Source {
	t.Helper()
	s, err := consul.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T, s *consul.Source, target string) discovery.Watch {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Open(u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// next asks once, and expects an answer.
func next(t *testing.T, w discovery.Watch) discovery.Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	set, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// follow asks until the set is as wanted.
func follow(t *testing.T, w discovery.Watch, what string, is func(discovery.Set) bool) discovery.Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		set, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if is(set) {
			return set
		}
	}
}

// refused asks once, and expects an error.
func refused(t *testing.T, w discovery.Watch) string {
	t.Helper()
	set, err := w.Next(t.Context())
	if err == nil {
		t.Fatalf("got %v, want an error", set)
	}
	return err.Error()
}

// byID finds an instance in a set.
func byID(set discovery.Set, id string) (discovery.Instance, bool) {
	for _, i := range set.Instances {
		if i.ID == id {
			return i, true
		}
	}
	return discovery.Instance{}, false
}

func has(id string) func(discovery.Set) bool {
	return func(set discovery.Set) bool { _, ok := byID(set, id); return ok }
}

// unhealthy waits for an instance to be so, for this reason.
func unhealthy(id, why string) func(discovery.Set) bool {
	return func(set discovery.Set) bool { i, ok := byID(set, id); return ok && i.Unhealthy == why }
}

// operator returns a client for what the tests do to agents. It keeps no connections.
func operator(t *testing.T, address, token string) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: address, Token: token, HttpClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
