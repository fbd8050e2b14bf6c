package upstream

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

func TestPoolSharesAConnectionUntilNobodyHoldsIt(t *testing.T) {
	var pool Pool
	open := func(o Options) *Backend {
		t.Helper()
		b, err := pool.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	config := func(name string) *configv1.Backend {
		return &configv1.Backend{Name: name, Target: "static:///127.0.0.1:1", Services: []string{name}}
	}
	o := Options{Config: config("a"), MaxMessageBytes: 1, Version: "1"}
	renamed, other := o, o
	renamed.Config, other.MaxMessageBytes = config("b"), 2
	first, second, third := open(o), open(renamed), open(other)
	if first.conn != second.conn || first.conn == third.conn {
		t.Error("the options decide what is shared, and the name is none of them")
	}
	if first.Name() != "a" || second.Name() != "b" {
		t.Errorf("names %q and %q", first.Name(), second.Name())
	}
	for range 2 { // The second time changes nothing.
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if second.conn.GetState() == connectivity.Shutdown {
		t.Error("closed while somebody holds it")
	}
	if err := second.Close(); err != nil || second.conn.GetState() != connectivity.Shutdown {
		t.Errorf("still open: %v", err)
	}
	if fourth := open(o); fourth.conn == first.conn || fourth.Close() != nil {
		t.Error("a closed connection came back")
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
}

func TestPoolRefusesWhatItCantUnderstand(t *testing.T) {
	var pool Pool
	if _, err := pool.Open(Options{Config: &configv1.Backend{Name: "a", Target: "static:///%zz"}}); err == nil {
		t.Error("accepted")
	}
}

// TestPoolPassesOnWhatIsKnown has a file vanish before a reload asks for another way to spread calls.
func TestPoolPassesOnWhatIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(path, []byte("instances: [{address: '127.0.0.1:1'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	var pool Pool
	open := func(balancing configv1.LoadBalancing) *Backend {
		b, err := pool.Open(Options{Config: &configv1.Backend{Name: "a", Target: "file://" + path, LoadBalancing: balancing}})
		if err != nil {
			t.Fatal(err)
		}
		b.Connect()
		return b
	}
	known := func(b *Backend) bool { return len(b.Status().Instances) == 1 }
	await := func(b *Backend, what string) {
		for deadline := time.Now().Add(10 * time.Second); !known(b); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", what, b.Status())
			}
		}
	}
	first := open(configv1.LoadBalancing_LOAD_BALANCING_ROUND_ROBIN)
	defer first.Close()
	await(first, "the file was not read")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := open(configv1.LoadBalancing_LOAD_BALANCING_LEAST_REQUEST)
	defer second.Close()
	if second.conn == first.conn {
		t.Error("both spread calls in the same way")
	}
	await(second, "what was known is lost")
}

// TestPoolBeginsWithTheCache has a file vanish before another process starts.
func TestPoolBeginsWithTheCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(path, []byte("instances: [{address: '127.0.0.1:1'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Config: &configv1.Backend{Name: "a", Target: "file://" + path}, CacheDirectory: filepath.Join(t.TempDir(), "cache")}
	for _, when := range []string{"the file was not read", "what was kept is not used"} {
		var pool Pool
		b, err := pool.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		b.Connect()
		for deadline := time.Now().Add(10 * time.Second); len(b.Status().Instances) == 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", when, b.Status())
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(path) // It is gone the second time.
	}
}

// TestCacheFiles gives a file to each target, and to each agent that is asked for it.
func TestCacheFiles(t *testing.T) {
	seen := map[string]string{}
	for name, o := range map[string]Options{
		"orders":               {Config: &configv1.Backend{Target: "consul:///orders"}},
		"orders elsewhere":     {Config: &configv1.Backend{Target: "consul:///orders"}, Consul: &configv1.Consul{Address: "10.0.0.1:8500"}},
		"payments":             {Config: &configv1.Backend{Target: "consul:///payments"}},
		"the same name in DNS": {Config: &configv1.Backend{Target: "dns:///orders:1"}},
	} {
		o.CacheDirectory = "cache"
		if other := seen[o.cacheFile()]; other != "" {
			t.Errorf("%s and %s share a file", name, other)
		}
		seen[o.cacheFile()] = name
	}
	list := Options{Config: &configv1.Backend{Target: "dns:///orders:1"}, Consul: &configv1.Consul{Address: "10.0.0.1:8500"}, CacheDirectory: "cache"}
	if seen[list.cacheFile()] == "" {
		t.Error("an agent matters to DNS")
	}
}

// TestPoolSharesWhatIsAlike changes what some backends use and others don't.
func TestPoolSharesWhatIsAlike(t *testing.T) {
	agent := &configv1.Consul{Address: "127.0.0.1:8500"}
	other := &configv1.Consul{Address: "127.0.0.1:8501"}
	registered := &configv1.Consul{Address: "127.0.0.1:8500", Register: &configv1.ConsulRegistration{Service: "gateway"}}
	static, consul := &configv1.Backend{Target: "static:///127.0.0.1:1"}, &configv1.Backend{Target: "consul:///orders"}
	zoned := &configv1.Backend{Target: "static:///127.0.0.1:1", PreferZone: true}
	for name, tc := range map[string]struct {
		a, b   Options
		shared bool
	}{
		"a list, another agent":           {Options{Config: static, Consul: agent}, Options{Config: static, Consul: other}, true},
		"a list, no agent":                {Options{Config: static, Consul: agent}, Options{Config: static}, true},
		"Consul, another agent":           {Options{Config: consul, Consul: agent}, Options{Config: consul, Consul: other}, false},
		"Consul, another registration":    {Options{Config: consul, Consul: agent}, Options{Config: consul, Consul: registered}, true},
		"another zone, which is not used": {Options{Config: static, Zone: "a"}, Options{Config: static, Zone: "b"}, true},
		"another folder for the cache":    {Options{Config: consul, CacheDirectory: "a"}, Options{Config: consul, CacheDirectory: "b"}, false},
		"another zone":                    {Options{Config: zoned, Zone: "a"}, Options{Config: zoned, Zone: "b"}, false},
	} {
		if shared := tc.a.identity() == tc.b.identity(); shared != tc.shared {
			t.Errorf("%s: shared is %t", name, shared)
		}
	}
}
