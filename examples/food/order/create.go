package order

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// CreateOrder implements the service.
func (s *service) CreateOrder(ctx context.Context, req *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	o, err := s.draft(req.GetOrder())
	if err != nil {
		return nil, err
	}
	o, err = s.orders.Claim(ctx, req.GetRequestId(), o)
	if err != nil {
		return nil, err
	}
	o, err = s.orders.Create(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.now(o), nil
}

// draft returns the order to keep for what the client sent.
func (s *service) draft(sent *orderv1.Order) (*orderv1.Order, error) {
	o := record.Input(sent)
	total, err := price(o)
	if err != nil {
		return nil, err
	}
	o.Name = s.orders.NewName()
	o.Total = total
	o.Status = orderv1.Order_STATUS_PENDING
	o.CreateTime = timestamppb.New(time.Now())
	o.UpdateTime = o.GetCreateTime()
	return o, nil
}

// price adds an order up by the menu of its restaurant.
func price(o *orderv1.Order) (*money.Money, error) {
	restaurant, ok := catalog.Find(o.GetRestaurant())
	if !ok {
		return nil, refusal.Invalid(refusal.Field{
			Path:        "order.restaurant",
			Description: fmt.Sprintf("there is no %q", o.GetRestaurant()),
		})
	}
	var cents int64
	var unknown []refusal.Field
	for i, item := range o.GetItems() {
		dish, ok := restaurant.Dish(item.GetMenuItem())
		if !ok {
			unknown = append(unknown, refusal.Field{
				Path:        fmt.Sprintf("order.items[%d].menu_item", i),
				Description: fmt.Sprintf("%q is not on the menu of %s", item.GetMenuItem(), restaurant.Name()),
			})
		}
		cents += dish.Cents * int64(item.GetQuantity())
	}
	if unknown != nil {
		return nil, refusal.Invalid(unknown...)
	}
	return catalog.Money(cents), nil
}
