package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protojson"
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

// choose returns the scenarios of a comma-separated list of names, or all.
func choose(names string) ([]scenario, error) {
	all := scenarios()
	if names == "" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// calls returns how many calls a measurement of the scenario makes.
func (s scenario) calls(protocol string, asked int) int {
	return max(1, asked/s.share[protocol])
}

// verifier checks answers of one way to one scenario. It decodes and compares an answer; the bytes of one that was right
// are right again, so that checking costs the load generator next to nothing.
type verifier struct {
	want   proto.Message
	decode func([]byte, proto.Message) error
	right  atomic.Pointer[[]byte]
}

func newVerifier(protocol string, want proto.Message) *verifier {
	if protocol == rest {
		return &verifier{want: want, decode: protojson.Unmarshal}
	}
	return &verifier{want: want, decode: proto.Unmarshal}
}

// check returns an error for an answer that is not the expected one.
func (v *verifier) check(answer []byte) error {
	if right := v.right.Load(); right != nil && bytes.Equal(*right, answer) {
		return nil
	}
	got := v.want.ProtoReflect().New().Interface()
	if err := v.decode(answer, got); err != nil {
		return fmt.Errorf("answer %.200q: %w", answer, err)
	}
	if !proto.Equal(got, v.want) {
		return fmt.Errorf("unexpected answer %.200q", answer)
	}
	right := bytes.Clone(answer)
	v.right.Store(&right)
	return nil
}

// size returns the bytes of an answer.
func (v *verifier) size() int {
	if right := v.right.Load(); right != nil {
		return len(*right)
	}
	return 0
}
