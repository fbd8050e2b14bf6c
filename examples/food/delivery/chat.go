package delivery

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

// DriverChat implements the service. The delivery is read for each message, so that the driver's answers follow it.
func (s *service) DriverChat(
	stream grpc.BidiStreamingServer[deliveryv1.DriverChatRequest, deliveryv1.DriverChatResponse],
) error {
	var name string
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if req.GetDelivery() != "" {
			name = req.GetDelivery()
		}
		if name == "" {
			return refusal.Invalid(refusal.Field{Path: "delivery", Description: "must be set in the first message"})
		}
		d, err := s.deliveries.Get(stream.Context(), name)
		if err != nil {
			return err
		}
		if err := stream.Send(answer(s.now(d), req.GetText(), time.Now())); err != nil {
			return err
		}
	}
}

func answer(d *deliveryv1.Delivery, text string, now time.Time) *deliveryv1.DriverChatResponse {
	return &deliveryv1.DriverChatResponse{
		Driver:   d.GetDriver().GetName(),
		Text:     reply(d, text, now),
		SendTime: timestamppb.New(now),
	}
}

// reply is what a driver with little time says.
func reply(d *deliveryv1.Delivery, text string, now time.Time) string {
	switch d.GetState() {
	case deliveryv1.Delivery_STATE_DELIVERED:
		return "It is at your door. Enjoy!"
	case deliveryv1.Delivery_STATE_CANCELLED:
		return "They called me back. Sorry!"
	default:
		return onTheWay(d, text, now)
	}
}

func onTheWay(d *deliveryv1.Delivery, text string, now time.Time) string {
	if question := strings.ToLower(text); strings.Contains(question, "where") {
		return whereabouts(d)
	} else if strings.Contains(question, "when") {
		left := max(1, int(d.GetArrivalTime().AsTime().Sub(now).Seconds()))
		return fmt.Sprintf("With you in %d seconds.", left)
	}
	return "Understood: " + text
}

func whereabouts(d *deliveryv1.Delivery) string {
	if d.GetState() == deliveryv1.Delivery_STATE_PICKED_UP {
		return fmt.Sprintf("On my %s, on the way to you.", d.GetDriver().GetVehicle())
	}
	return "On the way to the restaurant."
}
