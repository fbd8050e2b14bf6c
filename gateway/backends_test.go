package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/orca"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// tagged answers with the address at which it was asked, as a header. One in a hundred of its CPUs is busy for each of its load.
type tagged struct {
	orderv1.UnimplementedOrderServiceServer

	load float64
	code codes.Code
}

func (s *tagged) GetOrder(ctx context.Context, r *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	p, _ := peer.FromContext(ctx)
	if err := grpc.SetHeader(ctx, metadata.Pairs("seen-at", p.LocalAddr.String())); err != nil {
		return nil, err
	}
	if recorder := orca.CallMetricsRecorderFromContext(ctx); recorder != nil && s.load > 0 {
		recorder.SetApplicationUtilization(s.load)
		recorder.SetQPS(100)
	}
	if s.code != codes.OK {
		return nil, status.Error(s.code, "as told")
	}
	return &orderv1.Order{Name: r.GetName()}, nil
}

// startTagged starts instances, and a gateway in front of them that finds them in a file.
func startTagged(t *testing.T, instances []*tagged, lines []string, change func(*configv1.Backend)) (*running, orderv1.OrderServiceClient, []string) {
	t.Helper()
	var addresses []string
	text := strings.Builder{}
	text.WriteString("instances:\n")
	for i, s := range instances {
		address := backend(t, func(g *grpc.Server) { orderv1.RegisterOrderServiceServer(g, s) }, orca.CallMetricsServerOption(nil))
		addresses = append(addresses, address)
		fmt.Fprintf(&text, "- {address: %q, %s}\n", address, lines[i])
	}
	path := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &configv1.Backend{Name: "order", Target: "file://" + path, Services: []string{"food.order.v1.OrderService"}}
	change(b)
	gw := start(t, &configv1.Config{Backends: []*configv1.Backend{b}, Policies: public("food.order.v1.OrderService.GetOrder"), Zone: "here"})
	client := orderv1.NewOrderServiceClient(dial(t, gw.address()))
	for deadline := time.Now().Add(10 * time.Second); gw.serving(t) < len(instances) && time.Now().Before(deadline); {
		_, _ = client.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: "orders/warm"}) // Ring hash connects when it has to.
	}
	return gw, client, addresses
}

// listed is what the admin API says of backends.
type listed struct {
	Backends []struct {
		Name, Target, LoadBalancing, Age, Error string
		Panicking                               bool
		Instances                               []struct {
			Address, ID, Zone, Connection, OutReason string
			Weight                                   int
			Serving                                  bool
			Metadata                                 map[string]string
		}
	}
}

func (r *running) listed(t *testing.T) listed {
	t.Helper()
	_, body := get(t, "http://"+r.Admin.String()+"/v1/backends")
	var l listed
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return l
}

// serving counts instances that get calls, or that the registry has put out.
func (r *running) serving(t *testing.T) (n int) {
	t.Helper()
	for _, i := range r.listed(t).Backends[0].Instances {
		if i.Connection == "READY" || i.OutReason != "" {
			n++
		}
	}
	return n
}

// spread makes calls and counts them by who answered.
func spread(t *testing.T, client orderv1.OrderServiceClient, calls int, header ...string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range calls {
		var md metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), header...)
		if _, err := client.GetOrder(ctx, &orderv1.GetOrderRequest{Name: "orders/1"}, grpc.Header(&md)); err != nil {
			t.Fatal(err)
		}
		counts[strings.Join(md["seen-at"], "")]++
	}
	return counts
}

func plain(n int) (instances []*tagged, lines []string) {
	for range n {
		instances, lines = append(instances, &tagged{}), append(lines, "weight: 1")
	}
	return instances, lines
}

func TestWeights(t *testing.T) {
	instances, _ := plain(3)
	_, client, at := startTagged(t, instances, []string{"weight: 7", "weight: 2", "weight: 1"}, func(b *configv1.Backend) {
		b.LoadBalancing = configv1.LoadBalancing_LOAD_BALANCING_WEIGHTED_ROUND_ROBIN
	})
	got := spread(t, client, 1000)
	for i, want := range []int{700, 200, 100} {
		if n := got[at[i]]; n < want-10 || n > want+10 {
			t.Errorf("weights 7:2:1 gave %v", got)
		}
	}
}

func TestZone(t *testing.T) {
	instances, _ := plain(3)
	_, client, at := startTagged(t, instances, []string{"zone: here", "zone: here", "zone: there"}, func(b *configv1.Backend) {
		b.LoadBalancing, b.PreferZone = configv1.LoadBalancing_LOAD_BALANCING_WEIGHTED_ROUND_ROBIN, true
	})
	if got := spread(t, client, 200); got[at[0]] < 90 || got[at[1]] < 90 || got[at[2]] != 0 {
		t.Errorf("calls left the zone: %v", got)
	}
}

func TestRingHash(t *testing.T) {
	instances, lines := plain(3)
	_, client, _ := startTagged(t, instances, lines, func(b *configv1.Backend) {
		b.LoadBalancing, b.HashKey = configv1.LoadBalancing_LOAD_BALANCING_RING_HASH, &configv1.HashKey{Header: "x-tenant"}
	})
	homes := map[string]bool{}
	for n := range 20 {
		got := spread(t, client, 5, "x-tenant", strconv.Itoa(n))
		if len(got) != 1 {
			t.Errorf("tenant %d went to %v", n, got)
		}
		for home := range got {
			homes[home] = true
		}
	}
	if got := spread(t, client, 100); len(homes) != 3 || len(got) != 3 {
		t.Errorf("tenants live on %v, and calls of nobody go to %v", homes, got)
	}
}

func TestLeastRequest(t *testing.T) {
	instances, lines := plain(3)
	_, client, _ := startTagged(t, instances, lines, func(b *configv1.Backend) {
		b.LoadBalancing = configv1.LoadBalancing_LOAD_BALANCING_LEAST_REQUEST
	})
	if got := spread(t, client, 300); len(got) != 3 {
		t.Errorf("calls went to %v", got)
	}
}

// TestLoadReports expects an instance that reports twice the load to get about half of the calls, once reports are believed.
func TestLoadReports(t *testing.T) {
	instances, lines := plain(2)
	instances[0].load, instances[1].load = 0.2, 0.8
	_, client, at := startTagged(t, instances, lines, func(b *configv1.Backend) {
		b.LoadBalancing = configv1.LoadBalancing_LOAD_BALANCING_LOAD_REPORTS
	})
	var got map[string]int
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); { // The first ten seconds are not believed.
		if got = spread(t, client, 200); got[at[0]] > 2*got[at[1]] {
			return
		}
	}
	t.Errorf("loads of 0.2 and 0.8 gave %v", got)
}

func TestBackendsAreShown(t *testing.T) {
	instances, _ := plain(3)
	gw, client, at := startTagged(t, instances, []string{
		"id: first, zone: z, metadata: {version: '2'}", "weight: 0", "unhealthy: being repaired",
	}, func(b *configv1.Backend) { b.PanicThreshold = 1 })
	if got := spread(t, client, 10); got[at[0]] != 10 {
		t.Errorf("calls went to those that are out: %v", got)
	}
	b := gw.listed(t).Backends[0]
	if b.Name != "order" || !strings.HasPrefix(b.Target, "file:///") || b.LoadBalancing != "LOAD_BALANCING_ROUND_ROBIN" || b.Error != "" || b.Age == "" {
		t.Errorf("the backend is shown as %+v", b)
	}
	reasons := map[string]string{at[0]: "", at[1]: "registry: weight 0", at[2]: "registry: being repaired"}
	for _, i := range b.Instances {
		if want, ok := reasons[i.Address]; !ok || i.OutReason != want || i.Serving != (want == "") {
			t.Errorf("%+v, want the reason %q", i, want)
		}
		if i.Address == at[0] && (i.ID != "first" || i.Zone != "z" || i.Metadata["version"] != "2" || i.Weight != 1) {
			t.Errorf("what the registry knows is shown as %+v", i)
		}
	}
	_, metrics := get(t, "http://"+gw.Admin.String()+"/metrics")
	for _, line := range []string{
		`cardea_backend_instances{backend="order",state="serving"} 1`,
		`cardea_backend_instances{backend="order",state="out"} 2`,
		`cardea_backend_panicking{backend="order"} 0`,
		`cardea_backend_discovery_healthy{backend="order"} 1`,
		`cardea_backend_discovery_failures_total{backend="order"} 0`,
		`cardea_backend_ejections_total{backend="order",cause="failing"} 0`,
		`cardea_backend_queued_calls_total{backend="order"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, at[0]) {
		t.Error("addresses are labels of metrics")
	}
}

// TestUnreachableInstance expects an instance that nobody listens for to be shown as such, and to cost no call.
func TestUnreachableInstance(t *testing.T) {
	address := backend(t, func(g *grpc.Server) { orderv1.RegisterOrderServiceServer(g, &tagged{}) })
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{
			Name: "order", Target: "static:///127.0.0.1:1," + address, Services: []string{"food.order.v1.OrderService"},
		}},
		Policies: public("food.order.v1.OrderService.GetOrder"),
	})
	gw.eventually(t, func(l listed) bool {
		all := l.Backends[0].Instances
		return len(all) == 2 && strings.HasPrefix(all[0].OutReason, "connection: ") && all[1].Serving
	}, "one that can't be connected")
	if got := spread(t, orderv1.NewOrderServiceClient(dial(t, gw.address())), 10); got[address] != 10 {
		t.Errorf("calls went to %v", got)
	}
	_, metrics := get(t, "http://"+gw.Admin.String()+"/metrics")
	if line := `cardea_backend_instances{backend="order",state="unconnected"} 1`; !strings.Contains(metrics, line+"\n") {
		t.Errorf("metrics lack %s", line)
	}
}

// TestFileIsFollowed changes the file under calls: with a mistake nothing changes, without one everything.
func TestFileIsFollowed(t *testing.T) {
	instances, lines := plain(2)
	gw, client, at := startTagged(t, instances, lines, func(*configv1.Backend) {})
	path := strings.TrimPrefix(gw.listed(t).Backends[0].Target, "file://")
	for text, check := range map[string]func(listed) bool{
		"instances: [{adr": func(l listed) bool { return l.Backends[0].Error != "" && len(l.Backends[0].Instances) == 2 },
		"instances: []":    func(l listed) bool { return l.Backends[0].Error != "" && len(l.Backends[0].Instances) == 2 },
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		gw.eventually(t, check, text)
		if got := spread(t, client, 10); len(got) != 2 {
			t.Errorf("%q: calls go to %v", text, slices.Collect(maps.Keys(got)))
		}
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "instances: [{address: %q}]", at[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	gw.eventually(t, func(l listed) bool { // A call that has chosen already goes where it wanted to.
		return l.Backends[0].Error == "" && len(l.Backends[0].Instances) == 1 && spread(t, client, 10)[at[1]] == 10
	}, "all calls to go to the one that is left")
}

func (r *running) eventually(t *testing.T, check func(listed) bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if check(r.listed(t)) {
			return
		}
	}
	t.Fatalf("waited in vain: %s: %+v", what, r.listed(t))
}

// TestEjection has one instance fail: callers see few errors, and then none.
func TestEjection(t *testing.T) {
	instances, lines := plain(3)
	instances[1].code = codes.Internal
	gw, client, at := startTagged(t, instances, lines, func(*configv1.Backend) {})
	failed := 0
	for range 300 {
		if _, err := client.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: "orders/1"}); err != nil {
			failed++
		}
	}
	if failed > 20 { // Five in a row, some before that at the start, and one now and then.
		t.Errorf("%d of 300 calls failed", failed)
	}
	for _, i := range gw.listed(t).Backends[0].Instances {
		if want := i.Address == at[1]; strings.HasPrefix(i.OutReason, "ejected: ") != want {
			t.Errorf("%s is out because of %q", i.Address, i.OutReason)
		}
	}
}
