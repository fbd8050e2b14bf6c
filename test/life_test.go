package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

// orderAPI is the order service by one protocol. Each method fails the test unless the call succeeds.
type orderAPI interface {
	create(*testing.T, *orderv1.CreateOrderRequest) *orderv1.Order
	get(*testing.T, string) *orderv1.Order
	list(*testing.T, *orderv1.ListOrdersRequest) *orderv1.ListOrdersResponse
	update(t *testing.T, name, note string) *orderv1.Order
	cancel(t *testing.T, name, reason string) *orderv1.Order
	watch(*testing.T, string) []*orderv1.WatchOrderResponse
}

// restOrders is the order service over REST.
type restOrders struct{ *restClient }

func (r restOrders) create(t *testing.T, request *orderv1.CreateOrderRequest) *orderv1.Order {
	t.Helper()
	order := &orderv1.Order{}
	r.call(t, http.MethodPost, "/v1/orders?request_id="+request.GetRequestId(), request.GetOrder(), order)
	return order
}

func (r restOrders) get(t *testing.T, name string) *orderv1.Order {
	t.Helper()
	order := &orderv1.Order{}
	r.call(t, http.MethodGet, "/v1/"+name, nil, order)
	return order
}

func (r restOrders) list(t *testing.T, request *orderv1.ListOrdersRequest) *orderv1.ListOrdersResponse {
	t.Helper()
	page := &orderv1.ListOrdersResponse{}
	r.call(t, http.MethodGet, fmt.Sprintf("/v1/orders?page_size=%d&page_token=%s&customer=%s",
		request.GetPageSize(), request.GetPageToken(), request.GetCustomer()), nil, page)
	return page
}

// update leaves the update mask to the gateway, which makes it from the fields of the body.
func (r restOrders) update(t *testing.T, name, note string) *orderv1.Order {
	t.Helper()
	order := &orderv1.Order{}
	r.call(t, http.MethodPatch, "/v1/"+name, &orderv1.Order{Note: note}, order)
	return order
}

func (r restOrders) cancel(t *testing.T, name, reason string) *orderv1.Order {
	t.Helper()
	order := &orderv1.Order{}
	r.call(t, http.MethodPost, "/v1/"+name+":cancel", &orderv1.CancelOrderRequest{Reason: reason}, order)
	return order
}

// watch reads a line for each message, and the status at the end.
func (r restOrders) watch(t *testing.T, name string) []*orderv1.WatchOrderResponse {
	t.Helper()
	a := r.do(t, http.MethodGet, "/v1/"+name+":watch", "")
	if got := a.Header.Get("Content-Type"); a.StatusCode != http.StatusOK || got != "application/x-ndjson" {
		t.Fatalf("%s %s: %s", a.Status, got, a.body)
	}
	var messages []*orderv1.WatchOrderResponse
	var last struct {
		Status *restStatus `json:"@status"`
	}
	for scanner := bufio.NewScanner(strings.NewReader(a.body)); scanner.Scan(); {
		if last.Status != nil {
			t.Fatalf("%s comes after the status", scanner.Text())
		}
		if err := json.Unmarshal(scanner.Bytes(), &last); err != nil {
			t.Fatalf("%v in %s", err, scanner.Text())
		}
		if last.Status != nil {
			continue
		}
		message := &orderv1.WatchOrderResponse{}
		if err := protojson.Unmarshal(scanner.Bytes(), message); err != nil {
			t.Fatalf("%v in %s", err, scanner.Text())
		}
		messages = append(messages, message)
	}
	if last.Status == nil || last.Status.Code != codes.OK {
		t.Errorf("the last line holds no status, or a bad one: %s", a.body)
	}
	return messages
}

// grpcOrders is the order service over gRPC.
type grpcOrders struct{ orderv1.OrderServiceClient }

// must fails the test if a call has failed.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(answer T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func (g grpcOrders) create(t *testing.T, request *orderv1.CreateOrderRequest) *orderv1.Order {
	t.Helper()
	return must[*orderv1.Order](t)(g.CreateOrder(t.Context(), request))
}

func (g grpcOrders) get(t *testing.T, name string) *orderv1.Order {
	t.Helper()
	return must[*orderv1.Order](t)(g.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: name}))
}

func (g grpcOrders) list(t *testing.T, request *orderv1.ListOrdersRequest) *orderv1.ListOrdersResponse {
	t.Helper()
	return must[*orderv1.ListOrdersResponse](t)(g.ListOrders(t.Context(), request))
}

func (g grpcOrders) update(t *testing.T, name, note string) *orderv1.Order {
	t.Helper()
	return must[*orderv1.Order](t)(g.UpdateOrder(t.Context(), &orderv1.UpdateOrderRequest{
		Order: &orderv1.Order{Name: name, Note: note}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"note"}},
	}))
}

func (g grpcOrders) cancel(t *testing.T, name, reason string) *orderv1.Order {
	t.Helper()
	return must[*orderv1.Order](t)(g.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{Name: name, Reason: reason}))
}

func (g grpcOrders) watch(t *testing.T, name string) []*orderv1.WatchOrderResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := must[grpc.ServerStreamingClient[orderv1.WatchOrderResponse]](t)(g.WatchOrder(ctx, &orderv1.WatchOrderRequest{Name: name}))
	var messages []*orderv1.WatchOrderResponse
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return messages
		}
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
}

// livesOrders follows an order from its first item to the door, over each protocol; what one writes the other reads.
func (d *demo) livesOrders(t *testing.T) {
	overREST, overGRPC := restOrders{restTo(t, d.address)}, grpcOrders{orderv1.NewOrderServiceClient(dial(t, d.address))}
	for protocol, tc := range map[string]struct{ api, other orderAPI }{
		"REST": {overREST, overGRPC},
		"gRPC": {overGRPC, overREST},
	} {
		t.Run(protocol, func(t *testing.T) {
			customer := "customers/" + random(t)
			order := placeTwice(t, tc.api, customer)
			const note = "second door — ring twice"
			if got := tc.api.update(t, order.GetName(), note).GetNote(); got != note {
				t.Errorf("note %q", got)
			}
			if got := tc.other.get(t, order.GetName()); got.GetNote() != note || got.GetDeliveryAddress() != order.GetDeliveryAddress() {
				t.Errorf("after the update: %v", got)
			}
			checkWatch(t, order.GetName(), tc.api.watch(t, order.GetName()))
			if got := tc.other.get(t, order.GetName()).GetStatus(); got != orderv1.Order_STATUS_DELIVERED {
				t.Errorf("at the end: %v", got)
			}
			called := tc.api.create(t, newOrder(t, customer))
			const final = orderv1.Order_STATUS_CANCELLED
			if got := tc.api.cancel(t, called.GetName(), "not hungry"); got.GetStatus() != final || got.GetCancelReason() != "not hungry" {
				t.Errorf("canceled: %v", got)
			}
			third := tc.other.create(t, newOrder(t, customer))
			checkPages(t, tc.api, customer, []string{third.GetName(), called.GetName(), order.GetName()})
		})
	}
}

// newOrder returns a request for two pizzas.
func newOrder(t *testing.T, customer string) *orderv1.CreateOrderRequest {
	t.Helper()
	id := random(t)
	return &orderv1.CreateOrderRequest{
		RequestId: fmt.Sprintf("%s-0000-4000-8000-%s", id[:8], id[:12]),
		Order: &orderv1.Order{
			Customer: customer, Restaurant: "restaurants/hinge-pizza", DeliveryAddress: "12 Hinge Street",
			Items: []*orderv1.OrderItem{{MenuItem: "margherita", Quantity: 2}},
		},
	}
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// placeTwice places an order, sends the same again, and wants one order.
func placeTwice(t *testing.T, api orderAPI, customer string) *orderv1.Order {
	t.Helper()
	request := newOrder(t, customer)
	order := api.create(t, request)
	if order.GetName() == "" || order.GetCustomer() != customer || len(order.GetItems()) != 1 || !order.GetCreateTime().IsValid() ||
		order.GetTotal().GetCurrencyCode() == "" {
		t.Errorf("created %v", order)
	}
	if again := api.create(t, request); again.GetName() != order.GetName() {
		t.Errorf("the same request made %s and %s", order.GetName(), again.GetName())
	}
	if got := api.get(t, order.GetName()); got.GetName() != order.GetName() || !proto.Equal(got.GetTotal(), order.GetTotal()) {
		t.Errorf("read %v", got)
	}
	return order
}

// checkWatch wants the order first, then each later status once and in order.
func checkWatch(t *testing.T, name string, messages []*orderv1.WatchOrderResponse) {
	t.Helper()
	if len(messages) < 2 || messages[0].GetOrder().GetName() != name {
		t.Fatalf("watched %v", messages)
	}
	at := messages[0].GetOrder().GetStatus()
	for _, message := range messages[1:] {
		change := message.GetStatusChange()
		if change.GetStatus() != at+1 || !change.GetChangeTime().IsValid() {
			t.Errorf("after %v: %v", at, message)
		}
		at = change.GetStatus()
	}
	if at != orderv1.Order_STATUS_DELIVERED {
		t.Errorf("the last status is %v", at)
	}
}

// checkPages reads a customer's orders, newest first, two at a time.
func checkPages(t *testing.T, api orderAPI, customer string, want []string) {
	t.Helper()
	var got []string
	request := &orderv1.ListOrdersRequest{PageSize: 2, Customer: customer}
	for range 1 + len(want)/2 {
		page := api.list(t, request)
		if len(page.GetOrders()) > 2 {
			t.Errorf("%d orders on a page", len(page.GetOrders()))
		}
		for _, order := range page.GetOrders() {
			got = append(got, order.GetName())
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	if request.GetPageToken() != "" || !slices.Equal(got, want) {
		t.Errorf("got %v and then %q, want %v", got, request.GetPageToken(), want)
	}
}

// showsMenuAndStock compares what both protocols say of a restaurant, and the price of an order with its menu.
func (d *demo) showsMenuAndStock(t *testing.T) {
	client, inventory := restTo(t, d.address), inventoryv1.NewInventoryServiceClient(dial(t, d.address))
	restaurants, menu, stock := &inventoryv1.ListRestaurantsResponse{}, &inventoryv1.Menu{}, &inventoryv1.CheckStockResponse{}
	client.call(t, http.MethodGet, "/v1/restaurants", nil, restaurants)
	client.call(t, http.MethodGet, "/v1/restaurants/hinge-pizza/menu", nil, menu)
	client.call(t, http.MethodGet, "/v1/restaurants/hinge-pizza/stock?menu_items=margherita", nil, stock)
	for _, tc := range []struct{ rest, grpc proto.Message }{
		{restaurants, must[*inventoryv1.ListRestaurantsResponse](t)(inventory.ListRestaurants(t.Context(), &inventoryv1.ListRestaurantsRequest{}))},
		{menu, must[*inventoryv1.Menu](t)(inventory.GetMenu(t.Context(), &inventoryv1.GetMenuRequest{Name: "restaurants/hinge-pizza/menu"}))},
		{stock, must[*inventoryv1.CheckStockResponse](t)(inventory.CheckStock(t.Context(),
			&inventoryv1.CheckStockRequest{Restaurant: "restaurants/hinge-pizza", MenuItems: []string{"margherita"}}))},
	} {
		if !proto.Equal(tc.rest, tc.grpc) {
			t.Errorf("over REST %v, over gRPC %v", tc.rest, tc.grpc)
		}
	}
	if len(stock.GetLevels()) != 1 || stock.GetLevels()[0].GetMenuItem() != "margherita" {
		t.Errorf("stock %v", stock)
	}
	isMargherita := func(item *inventoryv1.MenuItem) bool { return item.GetId() == "margherita" }
	at := slices.IndexFunc(menu.GetItems(), isMargherita)
	if at < 0 {
		t.Fatalf("menu %v", menu)
	}
	price := menu.GetItems()[at].GetPrice()
	total := restOrders{client}.create(t, newOrder(t, "customers/"+random(t))).GetTotal()
	if total.GetCurrencyCode() != price.GetCurrencyCode() || nanos(total) != 2*nanos(price) || nanos(total) == 0 {
		t.Errorf("two of %v cost %v", price, total)
	}
}

func nanos(m *money.Money) int64 { return m.GetUnits()*1e9 + int64(m.GetNanos()) }

// refusesWhatIsClosed calls what nobody has declared public.
func (d *demo) refusesWhatIsClosed(t *testing.T) {
	a := restTo(t, d.address).do(t, http.MethodGet, "/v1/charges/1", "")
	if s, err := a.failure(); a.StatusCode != http.StatusUnauthorized || err != nil || s.Code != codes.Unauthenticated {
		t.Errorf("%s %s", a.Status, a.body)
	}
	_, err := paymentv1.NewPaymentServiceClient(dial(t, d.address)).GetCharge(t.Context(), &paymentv1.GetChargeRequest{Name: "charges/1"})
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

// mixesProtocols sends REST and gRPC, in turn, on one HTTP/2 connection.
func (d *demo) mixesProtocols(t *testing.T) {
	order := restOrders{restTo(t, d.address)}.create(t, newOrder(t, "customers/"+random(t)))
	client := newREST(t, "http://"+d.address, nil, (*http.Protocols).SetUnencryptedHTTP2)
	wire, err := proto.Marshal(&orderv1.GetOrderRequest{Name: order.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{0, 0, 0, 0, byte(len(wire))}, wire...) // Length-Prefixed-Message, not compressed.
	connections := map[string]int{}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { connections[info.Conn.LocalAddr().String()]++ },
	})
	for range 3 {
		a, err := client.send(ctx, http.MethodGet, "/v1/"+order.GetName(), "")
		if err != nil || a.StatusCode != http.StatusOK || a.ProtoMajor != 2 || !strings.Contains(a.body, order.GetName()) {
			t.Fatalf("REST: %v %+v", err, a)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, client.base+orderv1.OrderService_GetOrder_FullMethodName, bytes.NewReader(frame))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.Trailer.Get("Grpc-Status") != "0" || !bytes.Contains(body, []byte(order.GetName())) {
			t.Errorf("gRPC: %v %v %v %q", err, response.Header, response.Trailer, body)
		}
	}
	if len(connections) != 1 {
		t.Errorf("connections %v", connections)
	}
}

// reflects asks the demo for its contracts, with grpcurl and by itself.
func (d *demo) reflects(t *testing.T) {
	conn := dial(t, d.address)
	services := listServices(t, conn)
	for _, want := range []string{"food.order.v1.OrderService", "food.inventory.v1.InventoryService", "grpc.health.v1.Health"} {
		if !slices.Contains(services, want) {
			t.Errorf("%s is not among %v", want, services)
		}
	}
	if slices.Contains(services, "food.store.v1.StoreService") {
		t.Error("the store stands behind no gateway")
	}
	if got := fileOf(t, conn, "food.order.v1.OrderService").GetName(); got != "food/order/v1/order.proto" {
		t.Errorf("the order service is in %s", got)
	}
	command := grpcurl(t) + " -plaintext " + d.address
	if got := strings.Fields(bash(t, command+" list")); !slices.Equal(got, services) {
		t.Errorf("grpcurl lists %v", got)
	}
	if got := bash(t, command+" describe food.order.v1.OrderService"); !strings.Contains(got, "rpc WatchOrder ( .food.order.v1.WatchOrderRequest ) returns ( stream ") {
		t.Errorf("grpcurl describes %s", got)
	}
}
