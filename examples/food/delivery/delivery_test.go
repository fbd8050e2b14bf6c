package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/delivery"
	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/store"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

const (
	pace      = 10 * time.Second
	requestID = "5b0b0f2e-9d0e-4f0a-8a55-3f6f0a6b7c01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, s store.Store) deliveryv1.DeliveryServiceClient {
	t.Helper()
	return deliveryv1.NewDeliveryServiceClient(foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		deliveryv1.RegisterDeliveryServiceServer(r, delivery.New(s, delivery.Options{Pace: pace}))
	}))
}

// from is a request for a driver who takes food from a restaurant to Hinge Street.
func from(restaurant string) *deliveryv1.DispatchDriverRequest {
	return &deliveryv1.DispatchDriverRequest{Delivery: &deliveryv1.Delivery{
		Order:       "orders/1",
		Restaurant:  "restaurants/" + restaurant,
		Destination: &latlng.LatLng{Latitude: 45.0030, Longitude: 13.0075},
	}}
}

// ago returns a delivery that was dispatched so many paces ago.
func ago(t *testing.T, paces int) (deliveryv1.DeliveryServiceClient, *deliveryv1.Delivery) {
	t.Helper()
	c := connect(t, store.NewMemory())
	d := foodtest.Call(t, c.DispatchDriver, from("hinge-pizza"))
	foodtest.Pass(time.Duration(paces) * pace)
	return c, d
}

func TestDispatchSendsTheNearestDriver(t *testing.T) {
	c := connect(t, store.NewMemory())
	for restaurant, want := range map[string]string{
		"hinge-pizza": "drivers/ada", "janus-noodles": "drivers/bela", "keystone-curry": "drivers/cosmo",
	} {
		got := foodtest.Call(t, c.DispatchDriver, from(restaurant))
		if got.GetDriver().GetName() != want || got.GetDriver().GetVehicle() == "" {
			t.Errorf("%s: got %v, want %s", restaurant, got.GetDriver(), want)
		}
	}
}

func TestDispatchAddsUpTheWay(t *testing.T) {
	got := foodtest.Call(t, connect(t, store.NewMemory()).DispatchDriver, from("hinge-pizza"))
	// Ada is 119 m from the pizzeria, from where it is 407 m to the door.
	if m := got.GetDistanceMeters(); m < 525 || m > 527 {
		t.Errorf("%d m", m)
	}
	if took := got.GetArrivalTime().AsTime().Sub(got.GetCreateTime().AsTime()); took != 4*pace {
		t.Errorf("arrives after %v", took)
	}
}

func TestDispatchWhereNoDriverIsNear(t *testing.T) {
	c := connect(t, store.NewMemory())
	err := foodtest.Refused(t, c.DispatchDriver, from("outpost-grill"))
	facts := foodtest.Reason(t, err, codes.FailedPrecondition, "NO_DRIVER_NEARBY")
	if facts["restaurant"] != "restaurants/outpost-grill" || facts["nearest_meters"] == "" {
		t.Errorf("facts %v", facts)
	}
}

func TestDispatchFollowsThePositionsThatPhonesSend(t *testing.T) {
	s := store.NewMemory()
	track(t, connect(t, s), at("drivers/dora", 45.2, 13.2), at("drivers/dora", 45.26, 13.21))
	got := foodtest.Call(t, connect(t, s).DispatchDriver, from("outpost-grill"))
	if got.GetDriver().GetName() != "drivers/dora" {
		t.Errorf("got %v", got.GetDriver())
	}
}

func TestDispatchNamesTheWrongFields(t *testing.T) {
	c := connect(t, store.NewMemory())
	pole := from("hinge-pizza")
	pole.Delivery.Destination.Latitude = 91
	nowhere := from("hinge-pizza")
	nowhere.Delivery.Destination = nil
	for path, req := range map[string]*deliveryv1.DispatchDriverRequest{
		"delivery.restaurant":  from("nowhere"),
		"delivery.destination": pole,
		"delivery":             {},
	} {
		t.Run(path, func(t *testing.T) { foodtest.Violations(t, foodtest.Refused(t, c.DispatchDriver, req), path) })
	}
	foodtest.Violations(t, foodtest.Refused(t, c.DispatchDriver, nowhere), "delivery.destination")
}

func TestDispatchWithTheSameRequestIDIsOneDelivery(t *testing.T) {
	s := store.NewMemory()
	c := connect(t, s)
	req := from("hinge-pizza")
	req.RequestId = requestID
	first := foodtest.Call(t, c.DispatchDriver, req)
	// Where the drivers are by now does not matter: one was sent.
	for _, driver := range []string{"drivers/ada", "drivers/bela", "drivers/cosmo", "drivers/dora"} {
		track(t, c, at(driver, -45, 13))
	}
	second := foodtest.Call(t, connect(t, s).DispatchDriver, req)
	if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
	req.Delivery.Order = "orders/2"
	foodtest.Reason(t, foodtest.Refused(t, c.DispatchDriver, req), codes.AlreadyExists, "REQUEST_ID_REUSED")
}

func TestDispatchAgainSucceedsOnceADriverIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, store.NewMemory())
		req := from("outpost-grill")
		req.RequestId = requestID
		foodtest.Refused(t, c.DispatchDriver, req)
		foodtest.Pass(9 * pace)
		track(t, c, at("drivers/dora", 45.26, 13.21))
		got := foodtest.Call(t, c.DispatchDriver, req)
		if got.GetState() != deliveryv1.Delivery_STATE_DISPATCHED || got.GetDriver().GetName() != "drivers/dora" {
			t.Errorf("got %v", got)
		}
	})
}

func TestStateFollowsTime(t *testing.T) {
	for paces, want := range []deliveryv1.Delivery_State{
		deliveryv1.Delivery_STATE_DISPATCHED,
		deliveryv1.Delivery_STATE_DISPATCHED,
		deliveryv1.Delivery_STATE_DISPATCHED,
		deliveryv1.Delivery_STATE_PICKED_UP,
		deliveryv1.Delivery_STATE_DELIVERED,
		deliveryv1.Delivery_STATE_DELIVERED,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, d := ago(t, paces)
			got := foodtest.Call(t, c.GetDelivery, &deliveryv1.GetDeliveryRequest{Name: d.GetName()})
			if got.GetState() != want {
				t.Errorf("after %d paces: %v, want %v", paces, got.GetState(), want)
			}
		})
	}
}

func TestCancelIsPossibleUntilTheFoodIsHandedOver(t *testing.T) {
	for paces, possible := range []bool{true, true, true, true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, d := ago(t, paces)
			req := &deliveryv1.CancelDeliveryRequest{Name: d.GetName()}
			if !possible {
				err := foodtest.Refused(t, c.CancelDelivery, req)
				foodtest.Reason(t, err, codes.FailedPrecondition, "DELIVERY_NOT_CANCELABLE")
				return
			}
			for range 2 { // the second time it changes nothing, however late
				got := foodtest.Call(t, c.CancelDelivery, req)
				if got.GetState() != deliveryv1.Delivery_STATE_CANCELLED {
					t.Errorf("after %d paces: %v", paces, got)
				}
				foodtest.Pass(9 * pace)
			}
		})
	}
}

func TestUnknownDeliveryIsNotFound(t *testing.T) {
	c := connect(t, store.NewMemory())
	const name = "deliveries/none"
	foodtest.Code(t, foodtest.Refused(t, c.GetDelivery, &deliveryv1.GetDeliveryRequest{Name: name}), codes.NotFound)
	foodtest.Code(t, foodtest.Refused(t, c.CancelDelivery, &deliveryv1.CancelDeliveryRequest{Name: name}), codes.NotFound)
}
