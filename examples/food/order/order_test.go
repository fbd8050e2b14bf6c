package order_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/order"
	"github.com/cardea-gateway/cardea/examples/food/store"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

const (
	pace      = 10 * time.Second
	requestID = "5b0b0f2e-9d0e-4f0a-8a55-3f6f0a6b7c01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect returns a client of an instance of the service.
func connect(t *testing.T, s store.Store) orderv1.OrderServiceClient {
	t.Helper()
	return orderv1.NewOrderServiceClient(foodtest.Connect(t, func(r grpc.ServiceRegistrar) {
		orderv1.RegisterOrderServiceServer(r, order.New(s, order.Options{Pace: pace}))
	}))
}

// supper is an order that a customer could send.
func supper() *orderv1.Order {
	return &orderv1.Order{
		Customer:   "customers/ann",
		Restaurant: "restaurants/hinge-pizza",
		Items: []*orderv1.OrderItem{
			{MenuItem: "margherita", Quantity: 2},
			{MenuItem: "lemonade", Quantity: 1},
		},
		DeliveryAddress: "12 Hinge Street",
		Note:            "ring twice",
	}
}

// ago returns an order that was placed so many paces, and a moment, ago.
func ago(t *testing.T, paces int) (orderv1.OrderServiceClient, *orderv1.Order) {
	t.Helper()
	c := connect(t, store.NewMemory())
	o := foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: supper()})
	foodtest.Pass(time.Duration(paces)*pace + time.Millisecond)
	return c, o
}

func get(t *testing.T, c orderv1.OrderServiceClient, name string) *orderv1.Order {
	t.Helper()
	return foodtest.Call(t, c.GetOrder, &orderv1.GetOrderRequest{Name: name})
}

func TestCreateAddsUpTheMenuPrices(t *testing.T) {
	c := connect(t, store.NewMemory())
	o := foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: supper()})
	want := &money.Money{CurrencyCode: "EUR", Units: 20, Nanos: 900_000_000}
	if diff := cmp.Diff(want, o.GetTotal(), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCreateIgnoresWhatOnlyTheServiceSets(t *testing.T) {
	c := connect(t, store.NewMemory())
	sent := supper()
	sent.Name = "orders/mine"
	sent.Status = orderv1.Order_STATUS_DELIVERED
	sent.Total = &money.Money{CurrencyCode: "EUR"}
	sent.CancelReason = "none"
	o := foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: sent})
	if o.GetName() == sent.GetName() || !strings.HasPrefix(o.GetName(), "orders/") {
		t.Errorf("name %q", o.GetName())
	}
	if o.GetStatus() != orderv1.Order_STATUS_PENDING || o.GetTotal().GetUnits() != 20 || o.GetCancelReason() != "" {
		t.Errorf("got %v", o)
	}
	if diff := cmp.Diff(o, get(t, c, o.GetName()), protocmp.Transform()); diff != "" {
		t.Errorf("kept differently, -want +got:\n%s", diff)
	}
}

func TestCreateNamesTheWrongFields(t *testing.T) {
	c := connect(t, store.NewMemory())
	for name, tt := range map[string]struct {
		spoil func(*orderv1.Order)
		want  []string
	}{
		"no such restaurant": {
			func(o *orderv1.Order) { o.Restaurant = "restaurants/nowhere" },
			[]string{"order.restaurant"},
		},
		"not on the menu": {
			func(o *orderv1.Order) { o.Items[0].MenuItem, o.Items[1].MenuItem = "ramen", "dal" },
			[]string{"order.items[0].menu_item", "order.items[1].menu_item"},
		},
		"no items":     {func(o *orderv1.Order) { o.Items = nil }, []string{"order.items"}},
		"too many":     {func(o *orderv1.Order) { o.Items[1].Quantity = 101 }, []string{"order.items[1].quantity"}},
		"bad label":    {func(o *orderv1.Order) { o.Labels = map[string]string{"A": "b"} }, []string{`order.labels["A"]`}},
		"who and what": {func(o *orderv1.Order) { o.Customer, o.DeliveryAddress = "ann", "" }, []string{"order.customer", "order.delivery_address"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := supper()
			tt.spoil(o)
			foodtest.Violations(t, foodtest.Refused(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: o}), tt.want...)
		})
	}
}

func TestCreateWithTheSameRequestIDIsTheSameOrderOnAnyInstance(t *testing.T) {
	s := store.NewMemory()
	first := foodtest.Call(t, connect(t, s).CreateOrder, &orderv1.CreateOrderRequest{Order: supper(), RequestId: requestID})
	again := supper()
	again.Status = orderv1.Order_STATUS_DELIVERED // not part of what the client says
	second := foodtest.Call(t, connect(t, s).CreateOrder,
		&orderv1.CreateOrderRequest{Order: again, RequestId: strings.ToUpper(requestID)})
	if diff := cmp.Diff(first, second, protocmp.Transform()); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
}

func TestCreateAgainShowsHowFarTheOrderIs(t *testing.T) {
	c := connect(t, store.NewMemory())
	req := &orderv1.CreateOrderRequest{Order: supper(), RequestId: requestID}
	o := foodtest.Call(t, c.CreateOrder, req)
	foodtest.Call(t, c.CancelOrder, &orderv1.CancelOrderRequest{Name: o.GetName()})
	if got := foodtest.Call(t, c.CreateOrder, req); got.GetStatus() != orderv1.Order_STATUS_CANCELLED {
		t.Errorf("got %v", got)
	}
}

func TestCreateWithAUsedRequestIDAndOtherContentIsRefused(t *testing.T) {
	c := connect(t, store.NewMemory())
	foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: supper(), RequestId: requestID})
	other := supper()
	other.Note = "ring once"
	err := foodtest.Refused(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: other, RequestId: requestID})
	facts := foodtest.Reason(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	if facts["request_id"] != requestID {
		t.Errorf("facts %v", facts)
	}
}

func TestCreateWithoutRequestIDIsANewOrder(t *testing.T) {
	c := connect(t, store.NewMemory())
	req := &orderv1.CreateOrderRequest{Order: supper()}
	if a, b := foodtest.Call(t, c.CreateOrder, req), foodtest.Call(t, c.CreateOrder, req); a.GetName() == b.GetName() {
		t.Errorf("both are %s", a.GetName())
	}
}

func TestUnknownOrderIsNotFound(t *testing.T) {
	c := connect(t, store.NewMemory())
	const name = "orders/none"
	for method, err := range map[string]error{
		"get":    foodtest.Refused(t, c.GetOrder, &orderv1.GetOrderRequest{Name: name}),
		"cancel": foodtest.Refused(t, c.CancelOrder, &orderv1.CancelOrderRequest{Name: name}),
		"update": foodtest.Refused(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{Order: &orderv1.Order{Name: name}}),
	} {
		t.Run(method, func(t *testing.T) { foodtest.Code(t, err, codes.NotFound) })
	}
}

func TestStatusFollowsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 0)
		for paces := range 7 {
			steps := min(paces, 4)
			got := get(t, c, o.GetName())
			if want := orderv1.Order_STATUS_PENDING + orderv1.Order_Status(steps); got.GetStatus() != want {
				t.Errorf("after %d paces: %v, want %v", paces, got.GetStatus(), want)
			}
			entered := got.GetUpdateTime().AsTime().Sub(o.GetCreateTime().AsTime())
			if want := time.Duration(steps) * pace; entered != want {
				t.Errorf("after %d paces: last changed at %v, want %v", paces, entered, want)
			}
			foodtest.Pass(pace)
		}
	})
}

// list returns the notes of all pages, with a slash where a page ends.
func list(t *testing.T, c orderv1.OrderServiceClient, req *orderv1.ListOrdersRequest) string {
	t.Helper()
	var pages []string
	for {
		resp := foodtest.Call(t, c.ListOrders, req)
		var notes []string
		for _, o := range resp.GetOrders() {
			notes = append(notes, o.GetNote())
		}
		pages = append(pages, strings.Join(notes, " "))
		if resp.GetNextPageToken() == "" {
			return strings.Join(pages, "/")
		}
		req = proto.CloneOf(req)
		req.PageToken = resp.GetNextPageToken()
	}
}

// fill places an order for each note; the notes that begin with b are Bob's, all others Ann's.
func fill(t *testing.T, c orderv1.OrderServiceClient, notes ...string) {
	t.Helper()
	for _, note := range notes {
		o := supper()
		o.Note = note
		if strings.HasPrefix(note, "b") {
			o.Customer = "customers/bob"
		}
		foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: o})
	}
}

func TestListHasNewestFirstInPages(t *testing.T) {
	c := connect(t, store.NewMemory())
	fill(t, c, "a1", "b1", "a2", "b2", "a3")
	for name, tt := range map[string]struct {
		req  *orderv1.ListOrdersRequest
		want string
	}{
		"default size":      {&orderv1.ListOrdersRequest{}, "a3 b2 a2 b1 a1"},
		"by two":            {&orderv1.ListOrdersRequest{PageSize: 2}, "a3 b2/a2 b1/a1"},
		"no empty last one": {&orderv1.ListOrdersRequest{PageSize: 5}, "a3 b2 a2 b1 a1"},
		"of a customer":     {&orderv1.ListOrdersRequest{PageSize: 2, Customer: "customers/ann"}, "a3 a2/a1"},
		"of nobody":         {&orderv1.ListOrdersRequest{Customer: "customers/zoe"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := list(t, c, tt.req); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestListReachesBeyondOnePageOfTheStore(t *testing.T) {
	c := connect(t, store.NewMemory())
	fill(t, c, "b1")
	fill(t, c, slices.Repeat([]string{"a"}, 120)...)
	if got := list(t, c, &orderv1.ListOrdersRequest{Customer: "customers/bob"}); got != "b1" {
		t.Errorf("got %q", got)
	}
}

func TestNewOrdersDoNotShiftLaterPages(t *testing.T) {
	c := connect(t, store.NewMemory())
	fill(t, c, "a1", "a2", "a3")
	first := foodtest.Call(t, c.ListOrders, &orderv1.ListOrdersRequest{PageSize: 2})
	fill(t, c, "a4", "a5")
	got := list(t, c, &orderv1.ListOrdersRequest{PageSize: 2, PageToken: first.GetNextPageToken()})
	if got != "a1" {
		t.Errorf("got %q, want a1 only", got)
	}
}

func TestPageTokenIsGoodForItsQuestionOnly(t *testing.T) {
	c := connect(t, store.NewMemory())
	fill(t, c, "a1", "a2", "a3")
	token := foodtest.Call(t, c.ListOrders, &orderv1.ListOrdersRequest{PageSize: 1}).GetNextPageToken()
	for name, req := range map[string]*orderv1.ListOrdersRequest{
		"other filter": {PageToken: token, Customer: "customers/ann"},
		"tampered":     {PageToken: "A" + token[1:]},
		"cut":          {PageToken: token[:len(token)/2]},
		"made up":      {PageToken: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			foodtest.Violations(t, foodtest.Refused(t, c.ListOrders, req), "page_token")
		})
	}
}
