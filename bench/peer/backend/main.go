// Command backend is the service behind every gateway of the benchmark. Its answers are canned; it counts the calls that
// it answered well, and says how many over HTTP.
package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	"github.com/cardea-gateway/cardea/bench/internal/fixture"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func main() {
	announce.Exit(run())
}

func run() error {
	calls, err := announce.Listen(announce.Serving)
	if err != nil {
		return err
	}
	counts, err := announce.Listen(announce.Counting)
	if err != nil {
		return err
	}
	o := &orders{get: fixture.Get(), list: fixture.List()}
	codec, err := newCanned(o.get, o.list)
	if err != nil {
		return err
	}
	go func() { announce.Exit(http.Serve(counts, o)) }()
	server := grpc.NewServer(grpc.ForceServerCodecV2(codec))
	orderv1.RegisterOrderServiceServer(server, o)
	return server.Serve(calls)
}

// orders answers calls, and the question how many there were.
type orders struct {
	orderv1.UnimplementedOrderServiceServer

	get   *orderv1.Order
	list  *orderv1.ListOrdersResponse
	count atomic.Int64
}

// ServeHTTP says how many calls were answered.
func (o *orders) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, o.count.Load())
}

// GetOrder answers the one question that the benchmark asks.
func (o *orders) GetOrder(_ context.Context, request *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	if request.GetName() != fixture.Name {
		return nil, status.Errorf(codes.NotFound, "no order %q", request.GetName())
	}
	o.count.Add(1)
	return o.get, nil
}

// CreateOrder echoes the order.
func (o *orders) CreateOrder(_ context.Context, request *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	o.count.Add(1)
	return request.GetOrder(), nil
}

// ListOrders answers with one full page.
func (o *orders) ListOrders(_ context.Context, request *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	if request.GetPageSize() != fixture.PageSize {
		return nil, status.Errorf(codes.InvalidArgument, "page size %d", request.GetPageSize())
	}
	o.count.Add(1)
	return o.list, nil
}
