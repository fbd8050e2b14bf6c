package food_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/cardea-gateway/cardea/examples/food"
	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs an instance until the test ends, and returns its address.
func serve(t *testing.T, service, storeAddress string) string {
	t.Helper()
	address, served := make(chan string, 1), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		served <- food.Serve(ctx, service, "127.0.0.1:0", storeAddress, 0, func(a net.Addr) { address <- a.String() })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", service, err)
		}
	})
	return <-address
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func TestEachServiceIsHealthyAndKnown(t *testing.T) {
	for _, service := range append(food.Names(), food.Store) {
		t.Run(service, func(t *testing.T) {
			cc := dial(t, serve(t, service, ""))
			name := "food." + service + ".v1." + strings.ToUpper(service[:1]) + service[1:] + "Service"
			resp := foodtest.Call(t, healthgrpc.NewHealthClient(cc).Check, &healthgrpc.HealthCheckRequest{Service: name})
			if resp.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
				t.Errorf("%s is %v", name, resp.GetStatus())
			}
			if !reflected(t, cc, name) {
				t.Errorf("reflection does not know %s", name)
			}
		})
	}
}

// reflected reports whether server reflection lists a service.
func reflected(t *testing.T, cc *grpc.ClientConn, service string) bool {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := reflectiongrpc.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectiongrpc.ServerReflectionRequest{
		MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range resp.GetListServicesResponse().GetService() {
		if s.GetName() == service {
			return true
		}
	}
	return false
}

func TestAnswersTellWhichInstanceGaveThem(t *testing.T) {
	for _, address := range []string{serve(t, "geo", ""), serve(t, "geo", "")} {
		var header metadata.MD
		_, err := geov1.NewGeoServiceClient(dial(t, address)).
			Geocode(t.Context(), &geov1.GeocodeRequest{}, grpc.Header(&header))
		foodtest.Violations(t, err, "address") // the contract is in force, and refusals are tagged, too
		if got := header.Get("food-instance"); len(got) != 1 || got[0] != address {
			t.Errorf("got %v, want %s", got, address)
		}
	}
}

func TestInstancesOfOneStoreKnowTheSameOrders(t *testing.T) {
	store := serve(t, food.Store, "")
	a := orderv1.NewOrderServiceClient(dial(t, serve(t, "order", store)))
	b := orderv1.NewOrderServiceClient(dial(t, serve(t, "order", store)))
	o := foodtest.Call(t, a.CreateOrder, &orderv1.CreateOrderRequest{Order: supper()})
	foodtest.Call(t, b.CancelOrder, &orderv1.CancelOrderRequest{Name: o.GetName()})
	stream, err := a.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{Name: o.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || resp.GetOrder().GetStatus() != orderv1.Order_STATUS_CANCELLED {
		t.Errorf("got %v, %v", resp, err)
	}
	header, err := stream.Header()
	if err != nil || len(header.Get("food-instance")) != 1 {
		t.Errorf("header %v, %v", header, err)
	}
	if _, err := stream.Recv(); err != io.EOF { //nolint:errorlint // io.EOF is never wrapped by grpc.
		t.Errorf("ended with %v", err)
	}
}

func supper() *orderv1.Order {
	return &orderv1.Order{
		Customer:        "customers/ann",
		Restaurant:      "restaurants/hinge-pizza",
		Items:           []*orderv1.OrderItem{{MenuItem: "margherita", Quantity: 1}},
		DeliveryAddress: "12 Hinge Street",
	}
}

func TestStoreThatIsGoneMakesTheServiceUnavailable(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close() // Nobody listens there any more.
	c := orderv1.NewOrderServiceClient(dial(t, serve(t, "order", lis.Addr().String())))
	err = foodtest.Refused(t, c.GetOrder, &orderv1.GetOrderRequest{Name: "orders/1"})
	foodtest.Code(t, err, codes.Unavailable)
	if strings.Contains(err.Error(), lis.Addr().String()) {
		t.Errorf("the client learns where the store is: %v", err)
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct{ service, address, store, want string }{
		"no such service": {"dessert", "127.0.0.1:0", "", `food: there is no service "dessert"`},
		"bad address":     {"geo", "127.0.0.1:none", "", "food: listen tcp"},
		"bad store":       {"order", "127.0.0.1:0", "\x7f", "food: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := food.Serve(t.Context(), tt.service, tt.address, tt.store, 0, func(net.Addr) { t.Error("ready") })
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestServeThatIsStoppedAtOnceIsNoError(t *testing.T) {
	for range 50 { // The end races with the beginning.
		ctx, stop := context.WithCancel(t.Context())
		if err := food.Serve(ctx, "geo", "127.0.0.1:0", "", 0, func(net.Addr) { stop() }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChildLivesUntilItsInputEnds(t *testing.T) {
	t.Cleanup(func() { signal.Reset(os.Interrupt) })
	stdin, keepAlive := io.Pipe()
	output, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- food.RunChild(t.Context(), "geo", "", time.Second, stdin, stdout) }()
	line, err := bufio.NewReader(output).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v", line, err)
	}
	foodtest.Call(t, geov1.NewGeoServiceClient(dial(t, address)).Geocode, &geov1.GeocodeRequest{Address: "12 Hinge Street"})
	keepAlive.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
