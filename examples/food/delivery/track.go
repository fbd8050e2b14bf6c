package delivery

import (
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

// TrackDriver implements the service.
func (s *service) TrackDriver(
	stream grpc.ClientStreamingServer[deliveryv1.TrackDriverRequest, deliveryv1.TrackDriverResponse],
) error {
	var last *deliveryv1.DriverPosition
	var positions int32
	var way float64
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&deliveryv1.TrackDriverResponse{Positions: positions, DistanceMeters: int32(way)})
		}
		if err != nil {
			return err
		}
		p := req.GetPosition()
		if err := admit(p, last); err != nil {
			return err
		}
		if err := s.fleet.move(stream.Context(), p); err != nil {
			return err
		}
		if last != nil {
			way += distance(last.GetLocation(), p.GetLocation())
		}
		last = p
		positions++
	}
}

// admit checks that a position is of a known driver, the same as the one before it.
func admit(p, last *deliveryv1.DriverPosition) error {
	if _, ok := find(p.GetDriver()); !ok {
		return refusal.NotFound("food.example/Driver", p.GetDriver())
	}
	if last != nil && last.GetDriver() != p.GetDriver() {
		return refusal.Invalid(refusal.Field{Path: "position.driver", Description: "must be the same in the whole stream"})
	}
	return nil
}
