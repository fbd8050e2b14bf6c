package order

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/store"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// WatchOrder implements the service.
func (s *service) WatchOrder(
	req *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse],
) error {
	ctx, stop := context.WithCancel(stream.Context())
	defer stop()
	// The watch comes before the read, so that no cancellation falls between the two.
	changes, err := s.orders.Watch(ctx, req.GetName())
	if err != nil {
		return err
	}
	o, err := s.orders.Get(ctx, req.GetName())
	if err != nil {
		return err
	}
	s.now(o)
	if err := stream.Send(&orderv1.WatchOrderResponse{Update: &orderv1.WatchOrderResponse_Order{Order: o}}); err != nil {
		return err
	}
	for !final(o.GetStatus()) {
		if o, err = s.next(ctx, o, changes); err != nil {
			return err
		}
		if err := stream.Send(statusChange(o)); err != nil {
			return err
		}
	}
	return nil
}

// next waits for the next status of an order, and returns the order as it is then. It skips no status, even if it runs
// late.
func (s *service) next(ctx context.Context, o *orderv1.Order, changes <-chan store.Change) (*orderv1.Order, error) {
	due := entry(o, o.GetStatus()+1, s.pace)
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-timer.C:
			o.Status++
			o.UpdateTime = timestamppb.New(due)
			return o, nil
		case c, ok := <-changes:
			if !ok {
				return nil, lost(ctx)
			}
			changed, err := s.orders.Decode(c)
			if err != nil {
				return nil, err
			}
			if changed.GetStatus() == orderv1.Order_STATUS_CANCELLED {
				return changed, nil
			}
		}
	}
}

// lost says why there are no more changes: the client left, or the store did.
func lost(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unavailable, "the order can't be followed any longer; watch it again")
}

func statusChange(o *orderv1.Order) *orderv1.WatchOrderResponse {
	return &orderv1.WatchOrderResponse{Update: &orderv1.WatchOrderResponse_StatusChange{
		StatusChange: &orderv1.StatusChange{Status: o.GetStatus(), ChangeTime: o.GetUpdateTime()},
	}}
}
