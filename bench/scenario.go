package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/bench/internal/fixture"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// scenario is one call, in both protocols.
type scenario struct {
	name    string
	title   string
	http    string         // Method and path.
	body    proto.Message  // Of the HTTP request; nil for none.
	grpc    string         // Full method.
	request proto.Message  // Of the gRPC call.
	answer  proto.Message  // Of both.
	share   map[string]int // By protocol: one in so many of the calls that the user asked for, as big answers take longer.
}

// scenarios returns all scenarios, in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{
			name: "get", title: "get, a small order",
			http: "GET /v1/" + fixture.Name,
			grpc: orderv1.OrderService_GetOrder_FullMethodName, request: &orderv1.GetOrderRequest{Name: fixture.Name},
			answer: fixture.Get(), share: map[string]int{rest: 1, grpcName: 1},
		},
		{
			name: "create", title: "create, 1 KB each way",
			http: "POST /v1/orders", body: fixture.Create(),
			grpc: orderv1.OrderService_CreateOrder_FullMethodName, request: &orderv1.CreateOrderRequest{Order: fixture.Create()},
			answer: fixture.Create(), share: map[string]int{rest: 2, grpcName: 1},
		},
		{
			name: "list", title: "list, 100 orders",
			http: fmt.Sprintf("GET /v1/orders?page_size=%d", fixture.PageSize),
			grpc: orderv1.OrderService_ListOrders_FullMethodName, request: &orderv1.ListOrdersRequest{PageSize: fixture.PageSize},
			answer: fixture.List(), share: map[string]int{rest: 20, grpcName: 1},
		},
	}
}

// choose returns those of a comma-separated list of names, in its order, or all.
func choose[T any](what, names string, all []T, name func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	known := make([]string, len(all))
	for i, each := range all {
		known[i] = name(each)
	}
	var chosen []T
	for wanted := range strings.SplitSeq(names, ",") {
		i := slices.Index(known, wanted)
		if i < 0 {
			return nil, fmt.Errorf("-%s: there is no %q; choose from %s", what, wanted, strings.Join(known, ","))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// calls returns how many calls a measurement of the scenario makes.
func (s scenario) calls(protocol string, asked int) int {
	return max(1, asked/s.share[protocol])
}
