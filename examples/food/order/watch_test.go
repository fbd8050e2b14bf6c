package order_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/store"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// watch follows an order, and returns the whole order that comes first.
func watch(t *testing.T, c orderv1.OrderServiceClient, name string) (orderv1.OrderService_WatchOrderClient, *orderv1.Order) {
	t.Helper()
	stream, err := c.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return stream, resp.GetOrder()
}

// rest returns the changes of status until the stream ends, and how it ended.
func rest(stream orderv1.OrderService_WatchOrderClient) (changes []*orderv1.StatusChange, err error) {
	for {
		resp, err := stream.Recv()
		if err != nil {
			return changes, err
		}
		changes = append(changes, resp.GetStatusChange())
	}
}

func TestWatchSendsTheOrderThenEachStatusThenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 1)
		began := time.Now()
		stream, first := watch(t, c, o.GetName())
		if diff := cmp.Diff(get(t, c, o.GetName()), first, protocmp.Transform()); diff != "" {
			t.Errorf("the first message is not the order, -want +got:\n%s", diff)
		}
		changes, err := rest(stream)
		if !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		want := orderv1.Order_STATUS_PREPARING
		for _, change := range changes {
			at := o.GetCreateTime().AsTime().Add(time.Duration(want-orderv1.Order_STATUS_PENDING) * pace)
			if change.GetStatus() != want || !change.GetChangeTime().AsTime().Equal(at) {
				t.Errorf("got %v, want %v at %v", change, want, at)
			}
			want++
		}
		if last := want - 1; last != orderv1.Order_STATUS_DELIVERED {
			t.Errorf("the last status is %v", last)
		}
		if took := time.Since(began); took != 3*pace-time.Millisecond {
			t.Errorf("the changes took %v", took)
		}
	})
}

func TestWatchOfAFinalOrderEndsAfterTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 4)
		stream, first := watch(t, c, o.GetName())
		if first.GetStatus() != orderv1.Order_STATUS_DELIVERED {
			t.Errorf("status %v", first.GetStatus())
		}
		if changes, err := rest(stream); len(changes) > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("then %v, %v", changes, err)
		}
	})
}

func TestWatchEndsWithTheCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := ago(t, 0)
		stream, _ := watch(t, c, o.GetName())
		foodtest.Pass(pace)
		// A change that is none of the status is none of the watcher's business.
		o.Note = "ring once"
		foodtest.Call(t, c.UpdateOrder, &orderv1.UpdateOrderRequest{Order: &orderv1.Order{Name: o.GetName(), Note: "ring once"}})
		canceled := foodtest.Call(t, c.CancelOrder, &orderv1.CancelOrderRequest{Name: o.GetName()})
		changes, err := rest(stream)
		if !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		want := []*orderv1.StatusChange{
			{Status: orderv1.Order_STATUS_CONFIRMED, ChangeTime: changes[0].GetChangeTime()},
			{Status: orderv1.Order_STATUS_CANCELLED, ChangeTime: canceled.GetUpdateTime()},
		}
		if diff := cmp.Diff(want, changes, protocmp.Transform()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestWatchOfAnUnknownOrderIsNotFound(t *testing.T) {
	stream, err := connect(t, store.NewMemory()).WatchOrder(t.Context(), &orderv1.WatchOrderRequest{Name: "orders/none"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	foodtest.Code(t, err, codes.NotFound)
}

// forgetful loses its watches when told to.
type forgetful struct {
	store.Store
	forget chan struct{}
}

func (f forgetful) Watch(context.Context, store.Scope) (<-chan store.Change, error) {
	changes := make(chan store.Change)
	go func() {
		defer close(changes)
		<-f.forget
	}()
	return changes, nil
}

func TestWatchThatIsLostSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := forgetful{Store: store.NewMemory(), forget: make(chan struct{})}
		c := connect(t, s)
		o := foodtest.Call(t, c.CreateOrder, &orderv1.CreateOrderRequest{Order: supper()})
		stream, _ := watch(t, c, o.GetName())
		close(s.forget)
		_, err := rest(stream)
		foodtest.Code(t, err, codes.Unavailable)
	})
}
