package delivery

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

// reach is how far a driver goes to a restaurant, in meters.
const reach = 10_000

// DispatchDriver implements the service. A request that is sent again finds its delivery before anybody looks for a
// driver: those may all be elsewhere by now.
func (s *service) DispatchDriver(
	ctx context.Context, req *deliveryv1.DispatchDriverRequest,
) (*deliveryv1.Delivery, error) {
	r, ok := catalog.Find(req.GetDelivery().GetRestaurant())
	if !ok {
		return nil, refusal.Invalid(refusal.Field{
			Path:        "delivery.restaurant",
			Description: fmt.Sprintf("there is no %q", req.GetDelivery().GetRestaurant()),
		})
	}
	d, err := s.deliveries.Claim(ctx, req.GetRequestId(), s.draft(req.GetDelivery()))
	if err != nil {
		return nil, err
	}
	kept, err := s.deliveries.Find(ctx, d.GetName())
	if err != nil {
		return nil, err
	}
	if kept != nil {
		return s.now(kept), nil
	}
	if err := s.assign(ctx, d, r); err != nil {
		return nil, err
	}
	if d, err = s.deliveries.Create(ctx, d); err != nil {
		return nil, err
	}
	return s.now(d), nil
}

// draft returns a delivery that nobody is sent out for yet.
func (s *service) draft(sent *deliveryv1.Delivery) *deliveryv1.Delivery {
	d := record.Input(sent)
	d.Name = s.deliveries.NewName()
	return d
}

// assign gives a delivery its driver, who leaves now.
func (s *service) assign(ctx context.Context, d *deliveryv1.Delivery, r catalog.Restaurant) error {
	driver, way, err := s.fleet.nearest(ctx, r.Location())
	if err != nil {
		return err
	}
	if way > reach {
		return refusal.Precondition("NO_DRIVER_NEARBY", "no driver is within 10 km of "+r.Title,
			map[string]string{"restaurant": r.Name(), "nearest_meters": strconv.Itoa(int(way))})
	}
	now := time.Now()
	d.Driver = driver
	d.DistanceMeters = int32(way + distance(r.Location(), d.GetDestination()))
	d.CreateTime = timestamppb.New(now)
	d.ArrivalTime = s.arrival(now)
	return nil
}
