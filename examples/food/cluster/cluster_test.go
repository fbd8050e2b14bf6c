package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cardea-gateway/cardea/examples/food"
	"github.com/cardea-gateway/cardea/examples/food/cluster"
	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestMain is also the main function of the children: they are this program with a word of how to behave.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 {
		if child, ok := children[os.Args[1]]; ok {
			os.Exit(child(os.Args[2], os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m)
}

// children are the ways to behave. Each returns its exit code.
var children = map[string]func(service, storeAddress string) int{
	"serve": func(service, storeAddress string) int {
		err := food.RunChild(context.Background(), service, storeAddress, time.Hour, os.Stdin, os.Stdout)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	},
	// The store starts; everything else fails.
	"fail": func(service, _ string) int {
		if service == food.Store {
			return obedient()
		}
		fmt.Fprintln(os.Stderr, "no "+service+" today")
		return 3
	},
	"never ready": func(string, string) int {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	},
	"obedient": func(string, string) int { return obedient() },
}

// obedient is a child that serves nothing, but keeps to what parent and child agree on.
func obedient() int {
	fmt.Println("listening 127.0.0.1:1")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// journal is a log that a test reads line by line.
func journal(t *testing.T) (*slog.Logger, *bufio.Scanner) {
	t.Helper()
	r, w, err := os.Pipe() // It holds some lines, so that nobody has to wait for the reader.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		r.Close()
	})
	return slog.New(slog.NewTextHandler(w, nil)), bufio.NewScanner(r)
}

// start runs a fleet of children that behave in one way, until the test ends.
func start(ctx context.Context, t *testing.T, way string, instances int, log *slog.Logger) (*cluster.Cluster, error) {
	t.Helper()
	t.Setenv("GORACE", "atexit_sleep_ms=0") // Else each child takes a second longer to end under the race detector.
	args := func(service, storeAddress string) []string { return []string{way, service, storeAddress} }
	c, err := cluster.Start(ctx, os.Args[0], args, instances, log)
	if err == nil {
		t.Cleanup(c.Stop)
	}
	return c, err
}

// alive reports whether a process exists.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func TestFleetSharesOneStore(t *testing.T) {
	var log bytes.Buffer
	c, err := start(t.Context(), t, "serve", 2, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	addresses := c.Addresses("order")
	if len(addresses) != 2 || addresses[0] == addresses[1] {
		t.Fatalf("orders are at %v", addresses)
	}
	a, b := orders(t, addresses[0]), orders(t, addresses[1])
	o := foodtest.Call(t, a.CreateOrder, &orderv1.CreateOrderRequest{Order: &orderv1.Order{
		Customer:        "customers/ann",
		Restaurant:      "restaurants/hinge-pizza",
		Items:           []*orderv1.OrderItem{{MenuItem: "margherita", Quantity: 1}},
		DeliveryAddress: "12 Hinge Street",
	}})
	foodtest.Call(t, b.GetOrder, &orderv1.GetOrderRequest{Name: o.GetName()})
	c.Stop()
	for _, p := range c.Processes() {
		if alive(p.PID) {
			t.Errorf("%s is still there", p.Service)
		}
	}
	if log.Len() > 0 {
		t.Errorf("it was not quiet:\n%s", log.String())
	}
}

func orders(t *testing.T, address string) orderv1.OrderServiceClient {
	t.Helper()
	cc, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return orderv1.NewOrderServiceClient(cc)
}

func TestProcessesAreTheStoreAndEachServiceSoManyTimes(t *testing.T) {
	c, err := start(t.Context(), t, "obedient", 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var services []string
	for _, p := range c.Processes() {
		services = append(services, p.Service)
		if p.Address != "127.0.0.1:1" || !alive(p.PID) {
			t.Errorf("got %+v", p)
		}
	}
	want := []string{food.Store}
	for _, service := range food.Names() {
		want = append(want, service, service)
	}
	if diff := cmp.Diff(want, services); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestKilledProcessIsReportedAndKeepsItsPlace(t *testing.T) {
	log, lines := journal(t)
	c, err := start(t.Context(), t, "obedient", 1, log)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Processes(), func(p cluster.Process) bool { return p.Service == "payment" })
	if err := syscall.Kill(c.Processes()[i].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if lines.Scan(); !strings.Contains(lines.Text(), "service=payment") || !strings.Contains(lines.Text(), "signal: killed") {
		t.Errorf("it says %s", lines.Text())
	}
	if got := c.Addresses("payment"); len(got) != 1 {
		t.Errorf("payment is at %v", got)
	}
}

func TestFleetThatCanNotStartLeavesNothingBehind(t *testing.T) {
	log, lines := journal(t)
	_, err := start(t.Context(), t, "fail", 1, log)
	if err == nil || err.Error() != "cluster: order: ended before it could be called: exit status 3" {
		t.Errorf("got %v", err)
	}
	for lines.Scan() {
		if strings.Contains(lines.Text(), `line="no order today"`) {
			return // goleak sees to it that nobody waits for the children any more
		}
	}
	t.Error("what the child had to say is not in the log")
}

func TestStartWaitsNoLongerThanItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := start(ctx, t, "never ready", 1, slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestStartOfAProgramThatIsNotThere(t *testing.T) {
	args := func(string, string) []string { return nil }
	_, err := cluster.Start(t.Context(), t.TempDir()+"/none", args, 1, slog.New(slog.DiscardHandler))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "cluster: store: ") {
		t.Errorf("got %v", err)
	}
}
