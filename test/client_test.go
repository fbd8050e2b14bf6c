package test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// restClient speaks HTTP with one address.
type restClient struct {
	http.Client
	base string
}

// newREST returns a client for an address such as http://127.0.0.1:8080. It speaks HTTP/1.1 unless protocols say more.
func newREST(t *testing.T, base string, tlsConfig *tls.Config, protocols ...func(*http.Protocols, bool)) *restClient {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: tlsConfig.Clone(), MaxIdleConnsPerHost: 100, Protocols: new(http.Protocols)}
	if len(protocols) == 0 {
		transport.Protocols.SetHTTP1(true)
	}
	for _, set := range protocols {
		set(transport.Protocols, true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &restClient{http.Client{Transport: transport}, base}
}

// restTo returns a client for the plain address of a gateway.
func restTo(t *testing.T, address string) *restClient {
	t.Helper()
	return newREST(t, "http://"+address, nil)
}

// answer is an HTTP answer, read to its end.
type answer struct {
	*http.Response
	body string
}

// send sends a request and reads the answer. A body is JSON.
func (c *restClient) send(ctx context.Context, method, path, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response, string(text)}, err
}

// do is send for requests that must be answered.
func (c *restClient) do(t *testing.T, method, path, body string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := c.send(ctx, method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// call is do for requests that must succeed; into takes the answer. The body, if there is one, is a message.
func (c *restClient) call(t *testing.T, method, path string, body, into proto.Message) {
	t.Helper()
	var text []byte
	if body != nil {
		text = []byte(protojson.Format(body))
	}
	a := c.do(t, method, path, string(text))
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s", method, path, a.Status, a.body)
	}
	if err := protojson.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
}

// restStatus is google.rpc.Status as REST clients read it.
type restStatus struct {
	Code    codes.Code
	Message string
	Details []struct {
		Type           string `json:"@type"`
		Reason, Domain string
	}
}

// failure returns the status that an answer holds.
func (a answer) failure() (restStatus, error) {
	var s restStatus
	err := json.Unmarshal([]byte(a.body), &s)
	return s, err
}

// dial connects a gRPC client, without TLS unless a configuration says otherwise.
func dial(t *testing.T, address string, tlsConfig ...*tls.Config) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if len(tlsConfig) > 0 {
		creds = credentials.NewTLS(tlsConfig[0])
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// getOrder asks for an order by one protocol; errors are gRPC statuses.
type getOrder func(ctx context.Context, name string) error

// protocols returns how to ask a gateway for an order.
func protocols(t *testing.T, address string) map[string]getOrder {
	t.Helper()
	client, orders := restTo(t, address), orderv1.NewOrderServiceClient(dial(t, address))
	return map[string]getOrder{
		"REST": func(ctx context.Context, name string) error {
			a, err := client.send(ctx, http.MethodGet, "/v1/"+name, "")
			switch {
			case err != nil:
				return status.FromContextError(err).Err()
			case a.StatusCode == http.StatusOK:
				return nil
			}
			s, err := a.failure()
			if err != nil {
				return fmt.Errorf("%w in %q", err, a.body)
			}
			return status.Errorf(s.Code, "HTTP %d: %s", a.StatusCode, s.Message)
		},
		"gRPC": func(ctx context.Context, name string) error {
			_, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{Name: name})
			return err
		},
	}
}

// health asks grpc.health.v1 how a server is.
func health(t *testing.T, conn *grpc.ClientConn, service string) healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		t.Errorf("health of %q at %s: %v", service, conn.Target(), err)
	}
	return answer.GetStatus()
}
