// Command backend is the service behind every gateway of the benchmark. Its answers are canned; it counts the calls that
// it answered well, and says how many over HTTP. With -hold it answers CreateOrder only when so many calls of it are
// under way, with -small not with the order that was sent.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/bench/internal/announce"
	"github.com/cardea-gateway/cardea/bench/internal/fixture"
	"github.com/cardea-gateway/cardea/bench/internal/gate"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// holdTimeout is how long a call waits for the others.
const holdTimeout = 30 * time.Second

func main() {
	hold := flag.Int("hold", 1, "answer CreateOrder when so many calls are under way")
	small := flag.Bool("small", false, "answer CreateOrder with a small order")
	flag.Parse()
	announce.Exit(run(*hold, *small))
}

func run(hold int, small bool) error {
	calls, err := announce.Listen(announce.Serving)
	if err != nil {
		return err
	}
	counts, err := announce.Listen(announce.Counting)
	if err != nil {
		return err
	}
	o := &orders{get: fixture.Get(), list: fixture.List(), gate: gate.New(hold), small: small}
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
	gate  *gate.Gate
	small bool
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

// CreateOrder echoes the order, unless answers have to be small.
func (o *orders) CreateOrder(ctx context.Context, request *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	if err := o.gate.Wait(ctx); err != nil {
		return nil, status.Error(codes.DeadlineExceeded, err.Error())
	}
	o.count.Add(1)
	if o.small {
		return o.get, nil
	}
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
