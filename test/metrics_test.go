package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestMetricsCountCalls counts calls of each kind, and wants nothing that a client made up to become a label.
func TestMetricsCountCalls(t *testing.T) {
	backend := startInstance(t, 0)
	gw := serve(t, orderConfig("", backend.address))
	client, admin, conn := restTo(t, gw.address), restTo(t, gw.admin), dial(t, gw.address)
	orders := orderv1.NewOrderServiceClient(conn)
	for range 3 {
		client.do(t, http.MethodGet, "/v1/orders/1", "")
	}
	for range 2 {
		if _, err := orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: "orders/1"}); err != nil {
			t.Error(err)
		}
	}
	if a := client.do(t, http.MethodPost, "/v1/orders/1:cancel", "{}"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if _, err := orders.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{Name: "orders/1"}); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	for n := range 4 {
		if a := client.do(t, http.MethodGet, fmt.Sprintf("/made-up/%d", n), ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	if err := conn.Invoke(t.Context(), "/made.up.Service/Method", &orderv1.Order{}, &orderv1.Order{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if err := conn.Invoke(t.Context(), "/food.order.v1.OrderService/MadeUp", &orderv1.Order{}, &orderv1.Order{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}

	const service = "food.order.v1.OrderService"
	want := []string{
		requests("rest", service, "GetOrder", "OK", 3),
		requests("grpc", service, "GetOrder", "OK", 2),
		requests("rest", service, "CancelOrder", "Unauthenticated", 1),
		requests("grpc", service, "CancelOrder", "Unauthenticated", 1),
		requests("rest", "", "", "NotFound", 4),
		requests("grpc", "", "", "Unimplemented", 2),
		fmt.Sprintf("cardea_request_duration_seconds_count{method=%q,protocol=%q,service=%q} %d\n", "GetOrder", "rest", service, 3),
		"cardea_build_info{version=",
		"go_goroutines ",
		"process_open_fds ",
	}
	for _, line := range want {
		eventually(t, line, func() bool { return strings.Contains(admin.do(t, http.MethodGet, "/metrics", "").body, line) })
	}
	a := admin.do(t, http.MethodGet, "/metrics", "")
	for _, chosen := range []string{"made-up", "made.up", "MadeUp", "orders/1"} {
		if strings.Contains(a.body, chosen) {
			t.Errorf("the metrics hold %q, which a client chose", chosen)
		}
	}
	if got := strings.Count(a.body, "\ncardea_requests_total{"); got != 6 {
		t.Errorf("%d series of requests", got)
	}
	if got := a.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content-type %q", got)
	}
	if a := client.do(t, http.MethodGet, "/metrics", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("clients can read metrics: %s", a.Status)
	}
}

// requests is a line of /metrics.
func requests(protocol, service, method, code string, count int) string {
	return fmt.Sprintf("cardea_requests_total{code=%q,method=%q,protocol=%q,service=%q} %d\n", code, method, protocol, service, count)
}
