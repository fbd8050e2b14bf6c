package test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// TestStreamOnFrozenInstanceEnds freezes the one instance that there is, with its connections open. A stream that would go on for
// an hour must end with UNAVAILABLE long before, and the instance be called again once it thaws.
func TestStreamOnFrozenInstanceEnds(t *testing.T) {
	i := startInstance(t, time.Millisecond)
	config := strings.Replace(orderConfig("timeouts: {max_call: 3600s}", i.address), "OrderService.GetOrder",
		"OrderService.GetOrder\n      - food.order.v1.OrderService.WatchOrder", 1)
	gw := serve(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	conn := dial(t, gw.address)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, orderv1.OrderService_WatchOrder_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	frozen := time.Now()
	if err := stream.SendMsg(&orderv1.WatchOrderRequest{Name: "orders/1"}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	err = stream.RecvMsg(&orderv1.WatchOrderResponse{})
	if took := time.Since(frozen); status.Code(err) != codes.Unavailable || took > time.Minute {
		t.Errorf("%v after %s, want UNAVAILABLE within a minute", err, took)
	}
	if err := i.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	orders := orderv1.NewOrderServiceClient(conn)
	eventually(t, "calls to succeed again", func() bool {
		_, err := orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{Name: "orders/1"})
		return err == nil
	})
}
