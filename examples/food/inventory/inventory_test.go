package inventory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/inventory"
	"github.com/cardea-gateway/cardea/examples/food/store"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
)

const (
	pizzeria  = "restaurants/hinge-pizza"
	requestID = "5b0b0f2e-9d0e-4f0a-8a55-3f6f0a6b7c01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, s store.Store) inventoryv1.InventoryServiceClient {
	t.Helper()
	return inventoryv1.NewInventoryServiceClient(foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		inventoryv1.RegisterInventoryServiceServer(r, inventory.New(s))
	}))
}

// want is a request for portions at the pizzeria, such as "truffle 2, lemonade 1".
func want(items string) *inventoryv1.ReserveStockRequest {
	res := &inventoryv1.Reservation{Restaurant: pizzeria}
	for item := range strings.SplitSeq(items, ", ") {
		var i inventoryv1.ReservedItem
		if _, err := fmt.Sscan(item, &i.MenuItem, &i.Quantity); err != nil {
			panic(err)
		}
		res.Items = append(res.Items, &i)
	}
	return &inventoryv1.ReserveStockRequest{Reservation: res}
}

// left returns how many portions of a dish the pizzeria has.
func left(t *testing.T, c inventoryv1.InventoryServiceClient, dish string) int32 {
	t.Helper()
	req := &inventoryv1.CheckStockRequest{Restaurant: pizzeria, MenuItems: []string{dish}}
	return foodtest.Call(t, c.CheckStock, req).GetLevels()[0].GetAvailable()
}

func TestRestaurantsComeByNameInPages(t *testing.T) {
	c := connect(t, store.NewMemory())
	for size, want := range map[int32]string{
		0: "hinge-pizza janus-noodles keystone-curry latch-bakery outpost-grill",
		2: "hinge-pizza janus-noodles/keystone-curry latch-bakery/outpost-grill",
		5: "hinge-pizza janus-noodles keystone-curry latch-bakery outpost-grill",
	} {
		var pages []string
		for token, more := "", true; more; more = token != "" {
			resp := foodtest.Call(t, c.ListRestaurants, &inventoryv1.ListRestaurantsRequest{PageSize: size, PageToken: token})
			var names []string
			for _, r := range resp.GetRestaurants() {
				names = append(names, strings.TrimPrefix(r.GetName(), "restaurants/"))
			}
			pages = append(pages, strings.Join(names, " "))
			token = resp.GetNextPageToken()
		}
		if got := strings.Join(pages, "/"); got != want {
			t.Errorf("by %d: got %q, want %q", size, got, want)
		}
	}
}

func TestRestaurantsRefuseAForeignPageToken(t *testing.T) {
	req := &inventoryv1.ListRestaurantsRequest{PageToken: "cmVzdGF1cmFudHM"}
	foodtest.Violations(t, foodtest.Refused(t, connect(t, store.NewMemory()).ListRestaurants, req), "page_token")
}

func TestMenuHasPrices(t *testing.T) {
	menu := foodtest.Call(t, connect(t, store.NewMemory()).GetMenu, &inventoryv1.GetMenuRequest{Name: pizzeria + "/menu"})
	first := menu.GetItems()[0]
	if first.GetId() != "margherita" || first.GetPrice().GetUnits() != 8 || first.GetPrice().GetNanos() != 500_000_000 {
		t.Errorf("got %v", first)
	}
}

func TestStockIsInTheOrderAskedFor(t *testing.T) {
	got := foodtest.Call(t, connect(t, store.NewMemory()).CheckStock,
		&inventoryv1.CheckStockRequest{Restaurant: pizzeria, MenuItems: []string{"truffle", "margherita"}})
	want := &inventoryv1.CheckStockResponse{Levels: []*inventoryv1.StockLevel{
		{MenuItem: "truffle", Available: 3}, {MenuItem: "margherita", Available: 60},
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStockOfTheWholeMenu(t *testing.T) {
	got := foodtest.Call(t, connect(t, store.NewMemory()).CheckStock, &inventoryv1.CheckStockRequest{Restaurant: pizzeria})
	if len(got.GetLevels()) != 5 {
		t.Errorf("got %v", got)
	}
}

func TestUnknownNamesAreNotFound(t *testing.T) {
	c := connect(t, store.NewMemory())
	for method, err := range map[string]error{
		"menu":    foodtest.Refused(t, c.GetMenu, &inventoryv1.GetMenuRequest{Name: "restaurants/nowhere/menu"}),
		"stock":   foodtest.Refused(t, c.CheckStock, &inventoryv1.CheckStockRequest{Restaurant: "restaurants/nowhere"}),
		"release": foodtest.Refused(t, c.ReleaseReservation, &inventoryv1.ReleaseReservationRequest{Name: "reservations/none"}),
	} {
		t.Run(method, func(t *testing.T) { foodtest.Code(t, err, codes.NotFound) })
	}
}

func TestWrongFieldsAreNamed(t *testing.T) {
	c := connect(t, store.NewMemory())
	nowhere := want("truffle 1")
	nowhere.Reservation.Restaurant = "restaurants/nowhere"
	for path, err := range map[string]error{
		"reservation.restaurant":         foodtest.Refused(t, c.ReserveStock, nowhere),
		"reservation.items[1].menu_item": foodtest.Refused(t, c.ReserveStock, want("truffle 1, ramen 1")),
		"reservation.items[0].quantity":  foodtest.Refused(t, c.ReserveStock, want("truffle 0")),
		"menu_items[1]": foodtest.Refused(t, c.CheckStock,
			&inventoryv1.CheckStockRequest{Restaurant: pizzeria, MenuItems: []string{"truffle", "ramen"}}),
	} {
		t.Run(path, func(t *testing.T) { foodtest.Violations(t, err, path) })
	}
}

func TestReservationHoldsStockOnAllInstances(t *testing.T) {
	s := store.NewMemory()
	res := foodtest.Call(t, connect(t, s).ReserveStock, want("truffle 2, lemonade 1"))
	if res.GetState() != inventoryv1.Reservation_STATE_HELD {
		t.Errorf("got %v", res)
	}
	if c := connect(t, s); left(t, c, "truffle") != 1 || left(t, c, "lemonade") != 99 {
		t.Errorf("%d and %d left", left(t, c, "truffle"), left(t, c, "lemonade"))
	}
}

func TestStockRunsOut(t *testing.T) {
	c := connect(t, store.NewMemory())
	foodtest.Call(t, c.ReserveStock, want("truffle 2"))
	err := foodtest.Refused(t, c.ReserveStock, want("truffle 2"))
	got := foodtest.Reason(t, err, codes.FailedPrecondition, "OUT_OF_STOCK")
	want := map[string]string{"restaurant": pizzeria, "menu_item": "truffle", "available": "1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReservationIsAllOrNone(t *testing.T) {
	c := connect(t, store.NewMemory())
	foodtest.Refused(t, c.ReserveStock, want("lemonade 5, truffle 4"))
	if got := left(t, c, "lemonade"); got != 100 {
		t.Errorf("%d lemonades left after a refusal", got)
	}
}

func TestReservationCountsADishThatIsListedTwice(t *testing.T) {
	c := connect(t, store.NewMemory())
	foodtest.Refused(t, c.ReserveStock, want("truffle 2, truffle 2"))
	foodtest.Call(t, c.ReserveStock, want("truffle 1, truffle 2"))
	if got := left(t, c, "truffle"); got != 0 {
		t.Errorf("%d left", got)
	}
}

// TestReservationsSideBySideNeverPromiseTheSamePortion uses two instances, whose only common ground is the store.
func TestReservationsSideBySideNeverPromiseTheSamePortion(t *testing.T) {
	s := store.NewMemory()
	a, b := connect(t, s), connect(t, s)
	held := make(chan *inventoryv1.Reservation, 20)
	var group sync.WaitGroup
	for i := range cap(held) {
		c := []inventoryv1.InventoryServiceClient{a, b}[i%2]
		group.Go(func() {
			if res, err := c.ReserveStock(context.WithoutCancel(t.Context()), want("truffle 1")); err == nil {
				held <- res
			} else {
				foodtest.Reason(t, err, codes.FailedPrecondition, "OUT_OF_STOCK")
			}
		})
	}
	group.Wait()
	if len(held) != 3 || left(t, a, "truffle") != 0 {
		t.Errorf("%d reservations of 3 portions, %d left", len(held), left(t, a, "truffle"))
	}
}

func TestReserveWithTheSameRequestIDHoldsOnce(t *testing.T) {
	c := connect(t, store.NewMemory())
	req := want("truffle 2")
	req.RequestId = requestID
	first, second := foodtest.Call(t, c.ReserveStock, req), foodtest.Call(t, c.ReserveStock, req)
	if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
	if got := left(t, c, "truffle"); got != 1 {
		t.Errorf("%d left", got)
	}
	req.Reservation.Items[0].Quantity = 1
	foodtest.Reason(t, foodtest.Refused(t, c.ReserveStock, req), codes.AlreadyExists, "REQUEST_ID_REUSED")
}

func TestReserveAgainSucceedsOnceThereIsStock(t *testing.T) {
	c := connect(t, store.NewMemory())
	all := foodtest.Call(t, c.ReserveStock, want("truffle 3"))
	req := want("truffle 1")
	req.RequestId = requestID
	foodtest.Refused(t, c.ReserveStock, req)
	foodtest.Call(t, c.ReleaseReservation, &inventoryv1.ReleaseReservationRequest{Name: all.GetName()})
	foodtest.Call(t, c.ReserveStock, req)
	if got := left(t, c, "truffle"); got != 2 {
		t.Errorf("%d left", got)
	}
}

func TestReservationLastsFromWhenItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, store.NewMemory())
		all := foodtest.Call(t, c.ReserveStock, want("truffle 3"))
		req := want("truffle 1")
		req.RequestId = requestID
		foodtest.Refused(t, c.ReserveStock, req)
		foodtest.Pass(time.Until(all.GetExpireTime().AsTime()))
		res := foodtest.Call(t, c.ReserveStock, req)
		if lasts := time.Until(res.GetExpireTime().AsTime()); lasts != 30*time.Minute || left(t, c, "truffle") != 2 {
			t.Errorf("lasts %v, %v, %d left", lasts, res.GetState(), left(t, c, "truffle"))
		}
	})
}

func TestReserveCompletesWhatAFailureInterrupted(t *testing.T) {
	s := &faulty{Store: store.NewMemory()}
	c := connect(t, s)
	req := want("truffle 2")
	req.RequestId = requestID
	for _, prefix := range []string{"requests/", "stock/", "reservations/"} {
		s.failing = prefix
		foodtest.Code(t, foodtest.Refused(t, c.ReserveStock, req), codes.Internal)
	}
	s.failing = "none"
	res := foodtest.Call(t, c.ReserveStock, req)
	if got := left(t, c, "truffle"); got != 1 || res.GetState() != inventoryv1.Reservation_STATE_HELD {
		t.Errorf("%d left, %v", got, res)
	}
}

// faulty is a store that can't keep the keys with a prefix.
type faulty struct {
	store.Store
	failing string
}

func (f *faulty) Put(ctx context.Context, key string, value []byte, expected int64) (int64, error) {
	if strings.HasPrefix(key, f.failing) {
		return 0, fmt.Errorf("the disk is full")
	}
	return f.Store.Put(ctx, key, value, expected)
}

func TestReleaseGivesBackOnce(t *testing.T) {
	c := connect(t, store.NewMemory())
	mine := foodtest.Call(t, c.ReserveStock, want("truffle 1"))
	foodtest.Call(t, c.ReserveStock, want("truffle 1"))
	req := &inventoryv1.ReleaseReservationRequest{Name: mine.GetName()}
	for range 2 {
		if got := foodtest.Call(t, c.ReleaseReservation, req); got.GetState() != inventoryv1.Reservation_STATE_RELEASED {
			t.Errorf("got %v", got)
		}
		if got := left(t, c, "truffle"); got != 2 {
			t.Errorf("%d left", got)
		}
	}
}

func TestReservationExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, store.NewMemory())
		req := want("truffle 3")
		req.RequestId = requestID
		res := foodtest.Call(t, c.ReserveStock, req)
		foodtest.Pass(time.Until(res.GetExpireTime().AsTime()) - time.Nanosecond)
		if got := left(t, c, "truffle"); got != 0 {
			t.Errorf("%d left just before", got)
		}
		foodtest.Pass(time.Nanosecond)
		if got := left(t, c, "truffle"); got != 3 {
			t.Errorf("%d left then", got)
		}
		if got := foodtest.Call(t, c.ReserveStock, req); got.GetState() != inventoryv1.Reservation_STATE_EXPIRED {
			t.Errorf("sent again: %v", got)
		}
		// What has expired can't be released any more, and releasing it takes nothing from anybody.
		foodtest.Call(t, c.ReserveStock, want("truffle 2"))
		got := foodtest.Call(t, c.ReleaseReservation, &inventoryv1.ReleaseReservationRequest{Name: res.GetName()})
		if got.GetState() != inventoryv1.Reservation_STATE_EXPIRED || left(t, c, "truffle") != 1 {
			t.Errorf("released: %v, %d left", got, left(t, c, "truffle"))
		}
	})
}
