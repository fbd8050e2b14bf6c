package inventory

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
)

// holdTime is how long a reservation lasts.
const holdTime = 30 * time.Minute

// ReserveStock implements the service. It claims, then holds, then keeps the reservation; each step can be repeated, so
// that a request that is sent again after a failure anywhere completes what the first one began.
func (s *service) ReserveStock(
	ctx context.Context, req *inventoryv1.ReserveStockRequest,
) (*inventoryv1.Reservation, error) {
	r, err := orderable(req.GetReservation())
	if err != nil {
		return nil, err
	}
	res, err := s.reservations.Claim(ctx, req.GetRequestId(), s.draft(req.GetReservation()))
	if err != nil {
		return nil, err
	}
	if kept, err := s.reservations.Find(ctx, res.GetName()); kept != nil || err != nil {
		return current(kept), err
	}
	begin(res, time.Now())
	if err := s.hold(ctx, r, res); err != nil {
		return nil, err
	}
	res, err = s.reservations.Create(ctx, res)
	return current(res), err
}

// orderable returns the restaurant of a reservation, if it has all the dishes on its menu.
func orderable(res *inventoryv1.Reservation) (catalog.Restaurant, error) {
	r, ok := catalog.Find(res.GetRestaurant())
	if !ok {
		return r, refusal.Invalid(refusal.Field{
			Path:        "reservation.restaurant",
			Description: fmt.Sprintf("there is no %q", res.GetRestaurant()),
		})
	}
	var unknown []refusal.Field
	for i, item := range res.GetItems() {
		if _, ok := r.Dish(item.GetMenuItem()); !ok {
			unknown = append(unknown, notOnMenu(fmt.Sprintf("reservation.items[%d].menu_item", i), item.GetMenuItem(), r))
		}
	}
	if unknown != nil {
		return r, refusal.Invalid(unknown...)
	}
	return r, nil
}

func (s *service) draft(sent *inventoryv1.Reservation) *inventoryv1.Reservation {
	res := record.Input(sent)
	res.Name = s.reservations.NewName()
	return res
}

// begin lets the time of a reservation run. The claim has none: stock may have been short when it was made.
func begin(res *inventoryv1.Reservation, now time.Time) {
	res.State = inventoryv1.Reservation_STATE_HELD
	res.CreateTime = timestamppb.New(now)
	res.ExpireTime = timestamppb.New(now.Add(holdTime))
}

// hold enters a reservation in the ledger, or says what there is too little of.
func (s *service) hold(ctx context.Context, r catalog.Restaurant, res *inventoryv1.Reservation) error {
	wanted := hold{Portions: make(map[string]int32), Expires: res.GetExpireTime().AsTime()}
	for _, item := range res.GetItems() {
		wanted.Portions[item.GetMenuItem()] += item.GetQuantity()
	}
	return s.ledgers.change(ctx, r, time.Now(), func(l ledger) error {
		delete(l, res.GetName()) // What an attempt that was cut short has entered makes room for this one.
		if short := l.short(r, wanted); short != nil {
			return soldOut(r, short[0], l)
		}
		l[res.GetName()] = wanted
		return nil
	})
}

func soldOut(r catalog.Restaurant, d catalog.Dish, l ledger) error {
	left := l.available(d)
	return refusal.Precondition("OUT_OF_STOCK", fmt.Sprintf("%s has %d of %s left", r.Title, left, d.Title),
		map[string]string{
			"restaurant": r.Name(),
			"menu_item":  d.ID,
			"available":  strconv.Itoa(int(left)),
		})
}

// ReleaseReservation implements the service.
func (s *service) ReleaseReservation(
	ctx context.Context, req *inventoryv1.ReleaseReservationRequest,
) (*inventoryv1.Reservation, error) {
	res, err := s.reservations.Update(ctx, req.GetName(), func(res *inventoryv1.Reservation) error {
		if current(res).GetState() == inventoryv1.Reservation_STATE_HELD {
			res.State = inventoryv1.Reservation_STATE_RELEASED
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r, _ := catalog.Find(res.GetRestaurant())
	// Also when it was released before: that attempt may have ended between the two steps.
	err = s.ledgers.change(ctx, r, time.Now(), func(l ledger) error {
		delete(l, res.GetName())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// current brings a stored reservation up to the present, and returns it.
func current(res *inventoryv1.Reservation) *inventoryv1.Reservation {
	held := res.GetState() == inventoryv1.Reservation_STATE_HELD
	if held && !time.Now().Before(res.GetExpireTime().AsTime()) {
		res.State = inventoryv1.Reservation_STATE_EXPIRED
	}
	return res
}
