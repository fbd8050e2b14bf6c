package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
)

// tracker is a delivery service that takes positions.
type tracker struct {
	deliveryv1.UnimplementedDeliveryServiceServer
	refuse  string      // The driver who ends the call.
	drivers chan string // Of each position.
	ended   chan error  // How each stream ended that its client ended.
}

func (s *tracker) TrackDriver(
	stream grpc.ClientStreamingServer[deliveryv1.TrackDriverRequest, deliveryv1.TrackDriverResponse],
) error {
	for n := int32(0); ; n++ {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&deliveryv1.TrackDriverResponse{Positions: n})
		}
		if err != nil {
			s.ended <- err
			return err
		}
		driver := request.GetPosition().GetDriver()
		s.drivers <- driver
		if s.refuse != "" && driver == s.refuse {
			return status.Error(codes.FailedPrecondition, "not this one")
		}
	}
}

func startTracker(t *testing.T, s *tracker, limit uint32) *running {
	t.Helper()
	s.drivers, s.ended = make(chan string, 1000), make(chan error, 10)
	return start(t, &configv1.Config{
		Backends: []*configv1.Backend{{
			Name: "delivery", Services: []string{"food.delivery.v1.DeliveryService"},
			Target: "static:///" + backend(t, func(g *grpc.Server) { deliveryv1.RegisterDeliveryServiceServer(g, s) }),
		}},
		Policies: public("food.delivery.v1.DeliveryService.TrackDriver"),
		Limits:   &configv1.Limits{MaxMessageBytes: limit},
	})
}

func position(driver string) string { return fmt.Sprintf(`{"position":{"driver":%q}}`, driver) }

func TestClientStreamOverREST(t *testing.T) {
	s := &tracker{}
	gw := startTracker(t, s, 100)
	one, two := position("drivers/1"), position("drivers/2")
	long := position("drivers/" + strings.Repeat("x", 100))
	for name, tc := range map[string]struct {
		body    string
		want    int
		says    string
		drivers []string
	}{
		"lines":                         {one + "\n" + two + "\n", 200, `{"positions":2}`, []string{"drivers/1", "drivers/2"}},
		"values":                        {one + two, 200, `{"positions":2}`, []string{"drivers/1", "drivers/2"}},
		"array":                         {"[" + one + "," + two + "]", 200, `{"positions":2}`, []string{"drivers/1", "drivers/2"}},
		"empty array":                   {"[]", 200, `{}`, nil},
		"nothing":                       {"", 200, `{}`, nil},
		"more than one message's limit": {strings.Repeat(one+"\n", 50), 200, `{"positions":50}`, nil},
		"a bad message":                 {one + "\n" + `{"nope":1}`, 400, `unknown field \"nope\"`, nil},
		"a bad array":                   {"[" + one + " " + two + "]", 400, "comma", nil},
		"an array cut off":              {"[" + one, 400, "ends inside", nil},
		"a message cut off":             {one + `{"position"`, 400, "ends inside", nil},
		"a message over the limit":      {one + long, 413, "larger than the limit of 100 bytes", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, gw, http.MethodPost, "/v1/drivers:track", tc.body, "Content-Type", "application/x-ndjson")
			if a.StatusCode != tc.want || !strings.Contains(a.body, tc.says) {
				t.Errorf("got %d %s", a.StatusCode, a.body)
			}
			var drivers []string
			for len(s.drivers) > 0 {
				drivers = append(drivers, <-s.drivers)
			}
			if diff := cmp.Diff(tc.drivers, drivers); tc.drivers != nil && diff != "" {
				t.Error(diff)
			}
			if tc.want != 200 {
				await(t, s.ended, "the backend's call goes on")
			}
		})
	}
}

// TestBackendEndsAClientStreamEarly answers while the client still sends, and leaves it a connection to go on with, or none.
func TestBackendEndsAClientStreamEarly(t *testing.T) {
	s := &tracker{refuse: "drivers/2"}
	gw := startTracker(t, s, 0)
	body, feed := io.Pipe()
	go func() {
		_, _ = io.WriteString(feed, position("drivers/1")+position("drivers/2")) // And no end.
	}()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gw.address()+"/v1/drivers:track", body)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "not this one") {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	feed.Close()
}

func TestDisconnectEndsAClientStream(t *testing.T) {
	s := &tracker{}
	gw := startTracker(t, s, 0)
	conn, err := net.Dial("tcp", gw.address())
	if err != nil {
		t.Fatal(err)
	}
	one := position("drivers/1")
	fmt.Fprintf(conn, "POST /v1/drivers:track HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(one), one)
	await(t, s.drivers, "the message waits for the rest of the body")
	conn.Close()
	await(t, s.ended, "the backend's call goes on")
}
