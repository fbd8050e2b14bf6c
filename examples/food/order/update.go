package order

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/internal/contract"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// deadlines says which fields can be changed, and the last status in which each can.
var deadlines = map[string]orderv1.Order_Status{
	"items":            orderv1.Order_STATUS_PENDING,
	"delivery_address": orderv1.Order_STATUS_PREPARING,
	"note":             orderv1.Order_STATUS_PREPARING,
}

// UpdateOrder implements the service.
func (s *service) UpdateOrder(ctx context.Context, req *orderv1.UpdateOrderRequest) (*orderv1.Order, error) {
	paths, err := paths(req)
	if err != nil {
		return nil, err
	}
	return s.orders.Update(ctx, req.GetOrder().GetName(), func(o *orderv1.Order) error {
		s.now(o)
		if len(paths) == 0 {
			return nil
		}
		for _, path := range paths {
			if err := change(o, req.GetOrder(), path); err != nil {
				return err
			}
		}
		return revise(o)
	})
}

// paths returns the fields to change, without repetition.
func paths(req *orderv1.UpdateOrderRequest) ([]string, error) {
	mask := req.GetUpdateMask().GetPaths()
	switch {
	case len(mask) == 0:
		return populated(req.GetOrder()), nil
	case slices.Equal(mask, []string{"*"}):
		return []string{"delivery_address", "items", "note"}, nil
	}
	var paths []string
	for _, path := range mask {
		if _, ok := deadlines[path]; !ok && path != "name" {
			return nil, refusal.Invalid(refusal.Field{
				Path:        "update_mask",
				Description: fmt.Sprintf("%q can't be changed; delivery_address, items and note can", path),
			})
		}
		// A gateway that makes the mask from the body names the name too. It is the one of the order, so it changes nothing.
		if path != "name" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func populated(o *orderv1.Order) []string {
	var paths []string
	if o.GetDeliveryAddress() != "" {
		paths = append(paths, "delivery_address")
	}
	if len(o.GetItems()) > 0 {
		paths = append(paths, "items")
	}
	if o.GetNote() != "" {
		paths = append(paths, "note")
	}
	return paths
}

// change takes one field over from what was sent, if it is not too late.
func change(o, sent *orderv1.Order, path string) error {
	if o.GetStatus() > deadlines[path] {
		return tooLate(o, "ORDER_NOT_CHANGEABLE", fmt.Sprintf("it is too late to change %s", path))
	}
	switch path {
	case "items":
		o.Items = sent.GetItems()
	case "delivery_address":
		o.DeliveryAddress = sent.GetDeliveryAddress()
	case "note":
		o.Note = sent.GetNote()
	}
	return nil
}

// revise holds a changed order to the rules of a new one, and adds it up again.
func revise(o *orderv1.Order) error {
	if err := contract.Check(o, "order."); err != nil {
		return err
	}
	total, err := price(o)
	if err != nil {
		return err
	}
	o.Total = total
	o.UpdateTime = timestamppb.New(time.Now())
	return nil
}

// CancelOrder implements the service.
func (s *service) CancelOrder(ctx context.Context, req *orderv1.CancelOrderRequest) (*orderv1.Order, error) {
	return s.orders.Update(ctx, req.GetName(), func(o *orderv1.Order) error {
		switch status := s.now(o).GetStatus(); {
		case status == orderv1.Order_STATUS_CANCELLED:
			return nil
		case status >= orderv1.Order_STATUS_OUT_FOR_DELIVERY:
			return tooLate(o, "ORDER_NOT_CANCELABLE", "the order has left the restaurant")
		}
		o.Status = orderv1.Order_STATUS_CANCELLED
		o.CancelReason = req.GetReason()
		o.UpdateTime = timestamppb.New(time.Now())
		return nil
	})
}

func tooLate(o *orderv1.Order, reason, message string) error {
	return refusal.Precondition(reason, message, map[string]string{
		"order":  o.GetName(),
		"status": o.GetStatus().String(),
	})
}
