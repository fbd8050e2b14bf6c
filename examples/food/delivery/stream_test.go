package delivery_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/examples/food/internal/foodtest"
	"github.com/cardea-gateway/cardea/examples/food/store"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

func at(driver string, latitude, longitude float64) *deliveryv1.DriverPosition {
	return &deliveryv1.DriverPosition{
		Driver: driver, Location: &latlng.LatLng{Latitude: latitude, Longitude: longitude},
	}
}

// trip sends positions and returns what comes of them.
func trip(
	t *testing.T, c deliveryv1.DeliveryServiceClient, positions ...*deliveryv1.DriverPosition,
) (*deliveryv1.TrackDriverResponse, error) {
	t.Helper()
	stream, err := c.TrackDriver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		// EOF says that the server has ended the stream; the answer says why.
		if err := stream.Send(&deliveryv1.TrackDriverRequest{Position: p}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return stream.CloseAndRecv()
}

// track sends positions that are to be accepted.
func track(t *testing.T, c deliveryv1.DeliveryServiceClient, positions ...*deliveryv1.DriverPosition) {
	t.Helper()
	if _, err := trip(t, c, positions...); err != nil {
		t.Fatal(err)
	}
}

func TestTrackSumsTheTripUp(t *testing.T) {
	c := connect(t, store.NewMemory())
	for name, tt := range map[string]struct {
		positions []*deliveryv1.DriverPosition
		meters    int32
	}{
		"none":         {nil, 0},
		"one":          {[]*deliveryv1.DriverPosition{at("drivers/ada", 45, 13)}, 0},
		"there, back":  {[]*deliveryv1.DriverPosition{at("drivers/ada", 45, 13), at("drivers/ada", 45.01, 13), at("drivers/ada", 45, 13)}, 2223},
		"date line":    {[]*deliveryv1.DriverPosition{at("drivers/ada", 0, 179.99), at("drivers/ada", 0, -179.99)}, 2223},
		"half a world": {[]*deliveryv1.DriverPosition{at("drivers/ada", 90, 0), at("drivers/ada", -90, 0)}, 20_015_086},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := trip(t, c, tt.positions...)
			if err != nil {
				t.Fatal(err)
			}
			if int(got.GetPositions()) != len(tt.positions) || got.GetDistanceMeters() != tt.meters {
				t.Errorf("got %v, want %d m", got, tt.meters)
			}
		})
	}
}

func TestTrackRefusesWrongPositions(t *testing.T) {
	c := connect(t, store.NewMemory())
	_, err := trip(t, c, at("drivers/ada", 45, 13), at("drivers/bela", 45, 13))
	foodtest.Violations(t, err, "position.driver")
	_, err = trip(t, c, at("drivers/ada", 45, 13), at("drivers/ada", 45, 181))
	foodtest.Violations(t, err, "position.location")
	_, err = trip(t, c, at("drivers/zoe", 45, 13))
	foodtest.Code(t, err, codes.NotFound)
}

// chat is a conversation: ask sends a message and returns the answer.
type chat struct {
	stream deliveryv1.DeliveryService_DriverChatClient
}

func talk(t *testing.T, c deliveryv1.DeliveryServiceClient) chat {
	t.Helper()
	stream, err := c.DriverChat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return chat{stream: stream}
}

func (c chat) ask(delivery, text string) (*deliveryv1.DriverChatResponse, error) {
	if err := c.stream.Send(&deliveryv1.DriverChatRequest{Delivery: delivery, Text: text}); err != nil {
		return nil, err
	}
	return c.stream.Recv()
}

func TestDriverAnswersEachMessageAsThingsStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := ago(t, 0)
		conversation := talk(t, c)
		name := d.GetName()
		for _, tt := range []struct {
			wait       time.Duration
			text, want string
		}{
			{0, "Where are you?", "On the way to the restaurant."},
			{0, "when?", "With you in 40 seconds."},
			{0, "no onions", "Understood: no onions"},
			{3 * pace, "where now", "On my cargo bike, on the way to you."},
			{pace - time.Millisecond, "and when", "With you in 1 seconds."},
			{time.Millisecond, "where?", "It is at your door. Enjoy!"},
		} {
			foodtest.Pass(tt.wait)
			got, err := conversation.ask(name, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got.GetText() != tt.want || got.GetDriver() != "drivers/ada" || !got.GetSendTime().AsTime().Equal(time.Now()) {
				t.Errorf("%q: got %v, want %q", tt.text, got, tt.want)
			}
			name = "" // later messages may leave it out
		}
		conversation.stream.CloseSend()
		if _, err := conversation.stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDriverKnowsOfTheCancellation(t *testing.T) {
	c := connect(t, store.NewMemory())
	d := foodtest.Call(t, c.DispatchDriver, from("hinge-pizza"))
	foodtest.Call(t, c.CancelDelivery, &deliveryv1.CancelDeliveryRequest{Name: d.GetName()})
	got, err := talk(t, c).ask(d.GetName(), "where?")
	if err != nil || got.GetText() != "They called me back. Sorry!" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestChatRefusesWrongMessages(t *testing.T) {
	c := connect(t, store.NewMemory())
	_, err := talk(t, c).ask("", "hello?")
	foodtest.Violations(t, err, "delivery")
	_, err = talk(t, c).ask("deliveries/1", "")
	foodtest.Violations(t, err, "text")
	_, err = talk(t, c).ask("deliveries/none", "hello?")
	foodtest.Code(t, err, codes.NotFound)
}
