package delivery

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

// DefaultPace is the pace of the orders.
const DefaultPace = 3 * time.Second

// Options are the choices that a service leaves open; the zero value takes the defaults.
type Options struct {
	// Pace is how long an order stays in each status, [DefaultPace] if zero. All instances need the same.
	Pace time.Duration
}

type service struct {
	deliveryv1.UnimplementedDeliveryServiceServer
	deliveries record.Table[deliveryv1.Delivery, *deliveryv1.Delivery]
	fleet      fleet
	pace       time.Duration
}

// New returns the service on the deliveries of a store.
func New(s store.Store, o Options) deliveryv1.DeliveryServiceServer {
	if o.Pace == 0 {
		o.Pace = DefaultPace
	}
	return &service{
		deliveries: record.NewTable[deliveryv1.Delivery](s, "food.example/Delivery", "deliveries"),
		fleet:      fleet{store: s},
		pace:       o.Pace,
	}
}

// GetDelivery implements the service.
func (s *service) GetDelivery(
	ctx context.Context, req *deliveryv1.GetDeliveryRequest,
) (*deliveryv1.Delivery, error) {
	d, err := s.deliveries.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return s.now(d), nil
}

// CancelDelivery implements the service.
func (s *service) CancelDelivery(
	ctx context.Context, req *deliveryv1.CancelDeliveryRequest,
) (*deliveryv1.Delivery, error) {
	return s.deliveries.Update(ctx, req.GetName(), func(d *deliveryv1.Delivery) error {
		if s.now(d).GetState() == deliveryv1.Delivery_STATE_DELIVERED {
			return refusal.Precondition("DELIVERY_NOT_CANCELABLE", "the food was handed over already",
				map[string]string{"delivery": d.GetName(), "state": d.GetState().String()})
		}
		d.State = deliveryv1.Delivery_STATE_CANCELLED
		return nil
	})
}

// now sets the state that a stored delivery has at present, and returns the delivery.
func (s *service) now(d *deliveryv1.Delivery) *deliveryv1.Delivery {
	if d.GetState() != deliveryv1.Delivery_STATE_CANCELLED {
		d.State = stateAt(time.Since(d.GetCreateTime().AsTime()), s.pace)
	}
	return d
}

// An order leaves the restaurant in its fourth status and arrives in its fifth.
const (
	pickUpSteps  = 3
	arrivalSteps = 4
)

func stateAt(age, pace time.Duration) deliveryv1.Delivery_State {
	switch {
	case age >= arrivalSteps*pace:
		return deliveryv1.Delivery_STATE_DELIVERED
	case age >= pickUpSteps*pace:
		return deliveryv1.Delivery_STATE_PICKED_UP
	default:
		return deliveryv1.Delivery_STATE_DISPATCHED
	}
}

func (s *service) arrival(dispatched time.Time) *timestamppb.Timestamp {
	return timestamppb.New(dispatched.Add(arrivalSteps * s.pace))
}
