package order

import (
	"context"
	"time"

	"github.com/cardea-gateway/cardea/examples/food/internal/page"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/store"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// DefaultPace is how long an order stays in each status.
const DefaultPace = 3 * time.Second

// Options are the choices that a service leaves open; the zero value takes the defaults.
type Options struct {
	// Pace is how long an order stays in each status, [DefaultPace] if zero. All instances need the same.
	Pace time.Duration
}

type service struct {
	orderv1.UnimplementedOrderServiceServer
	orders record.Table[orderv1.Order, *orderv1.Order]
	pace   time.Duration
}

// New returns the service on the orders of a store.
func New(s store.Store, o Options) orderv1.OrderServiceServer {
	if o.Pace == 0 {
		o.Pace = DefaultPace
	}
	return &service{
		orders: record.NewTable[orderv1.Order](s, "food.example/Order", "orders"),
		pace:   o.Pace,
	}
}

// GetOrder implements the service.
func (s *service) GetOrder(ctx context.Context, req *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	o, err := s.orders.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return s.now(o), nil
}

// ListOrders implements the service.
func (s *service) ListOrders(
	ctx context.Context, req *orderv1.ListOrdersRequest,
) (*orderv1.ListOrdersResponse, error) {
	customer := req.GetCustomer()
	wanted := func(o *orderv1.Order) bool { return customer == "" || o.GetCustomer() == customer }
	orders, next, err := s.orders.List(ctx, customer, req.GetPageToken(), page.Size(req.GetPageSize()), wanted)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		s.now(o)
	}
	return &orderv1.ListOrdersResponse{Orders: orders, NextPageToken: next}, nil
}

// now brings a stored order up to the present, and returns it.
func (s *service) now(o *orderv1.Order) *orderv1.Order {
	return advance(o, time.Now(), s.pace)
}
