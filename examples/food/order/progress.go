package order

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// advance sets the status that an order has at a time, and the time of its last change.
func advance(o *orderv1.Order, now time.Time, pace time.Duration) *orderv1.Order {
	if o.GetStatus() == orderv1.Order_STATUS_CANCELLED {
		return o
	}
	o.Status = statusAt(now.Sub(o.GetCreateTime().AsTime()), pace)
	if entered := entry(o, o.GetStatus(), pace); entered.After(o.GetUpdateTime().AsTime()) {
		o.UpdateTime = timestamppb.New(entered)
	}
	return o
}

// statusAt returns the status of an order of an age.
func statusAt(age, pace time.Duration) orderv1.Order_Status {
	steps := max(0, int64(age/pace))
	return min(orderv1.Order_STATUS_DELIVERED, orderv1.Order_STATUS_PENDING+orderv1.Order_Status(min(steps, 4)))
}

// entry returns when an order enters a status, or entered it.
func entry(o *orderv1.Order, status orderv1.Order_Status, pace time.Duration) time.Time {
	steps := status - orderv1.Order_STATUS_PENDING
	return o.GetCreateTime().AsTime().Add(time.Duration(steps) * pace)
}

// final reports whether a status is never left.
func final(status orderv1.Order_Status) bool {
	return status >= orderv1.Order_STATUS_DELIVERED
}
