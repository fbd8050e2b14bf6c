package contract_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/examples/food/internal/contract"
	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// order keeps all rules.
func order() *orderv1.Order {
	return &orderv1.Order{
		Customer:        "customers/ann",
		Restaurant:      "restaurants/hinge-pizza",
		Items:           []*orderv1.OrderItem{{MenuItem: "margherita", Quantity: 1}},
		DeliveryAddress: "12 Hinge Street",
	}
}

func TestCheckNamesEachWrongFieldBehindThePrefix(t *testing.T) {
	o := order()
	if err := contract.Check(o, "order."); err != nil {
		t.Error(err)
	}
	o.Customer = "ann"
	o.Items = append(o.Items, &orderv1.OrderItem{MenuItem: "Margherita", Quantity: 101})
	o.Note = strings.Repeat("x", 501)
	foodtest.Violations(t, contract.Check(o, "order."),
		"order.customer", "order.items[1].menu_item", "order.items[1].quantity", "order.note")
}

// counter counts what gets through to the service.
type counter struct {
	orderv1.UnimplementedOrderServiceServer
	deliveryv1.UnimplementedDeliveryServiceServer
	orders, positions int
}

func (c *counter) CreateOrder(context.Context, *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	c.orders++
	return &orderv1.Order{}, nil
}

func (c *counter) TrackDriver(s grpc.ClientStreamingServer[deliveryv1.TrackDriverRequest, deliveryv1.TrackDriverResponse]) error {
	for {
		_, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&deliveryv1.TrackDriverResponse{Positions: int32(c.positions)})
		}
		if err != nil {
			return err
		}
		c.positions++
	}
}

func connect(t *testing.T) (*grpc.ClientConn, *counter) {
	t.Helper()
	c := &counter{}
	return foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		orderv1.RegisterOrderServiceServer(r, c)
		deliveryv1.RegisterDeliveryServiceServer(r, c)
	}), c
}

func TestUnaryStopsAWrongRequestBeforeTheService(t *testing.T) {
	cc, got := connect(t)
	c := orderv1.NewOrderServiceClient(cc)
	foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: order()})
	err := foodtest.Refused(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: order(), RequestId: "1"})
	foodtest.Violations(t, err, "request_id")
	if got.orders != 1 {
		t.Errorf("%d orders got through", got.orders)
	}
}

func TestStreamChecksEachMessage(t *testing.T) {
	cc, got := connect(t)
	stream, err := deliveryv1.NewDeliveryServiceClient(cc).TrackDriver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, longitude := range []float64{13, 14, 200} {
		err := stream.Send(&deliveryv1.TrackDriverRequest{Position: &deliveryv1.DriverPosition{
			Driver: "drivers/ada", Location: &latlng.LatLng{Longitude: longitude},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	foodtest.Violations(t, err, "position.location")
	if got.positions != 2 {
		t.Errorf("%d positions got through", got.positions)
	}
}

func TestStreamThatEndsIsNoViolation(t *testing.T) {
	cc, _ := connect(t)
	stream, err := deliveryv1.NewDeliveryServiceClient(cc).TrackDriver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Error(err)
	}
}

func TestRefusalListsNoMoreThanAHeaderCanHold(t *testing.T) {
	big := order()
	for range 1000 {
		big.Items = append(big.Items, &orderv1.OrderItem{})
	}
	details := status.Convert(contract.Check(big, "")).Details()
	if violations, ok := details[0].(*errdetails.BadRequest); !ok || len(violations.GetFieldViolations()) != 20 {
		t.Errorf("%v", details)
	}
}
