// Package foodtest lets tests meet a food service the way its clients do: over a gRPC connection, with the rules of its
// contract in force. The connection is in memory, so it also works where time is fake (testing/synctest).
package foodtest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/cardea-gateway/cardea/examples/food/internal/contract"
)

// Connect returns a connection to a server that has what register puts on it. Both end with the test.
func Connect(t *testing.T, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(64 << 10)
	server := grpc.NewServer(grpc.UnaryInterceptor(contract.Unary), grpc.StreamInterceptor(contract.Stream))
	register(server)
	served := make(chan error)
	go func() { served <- server.Serve(lis) }()
	cc, err := grpc.NewClient("passthrough:food",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// method is a unary method of a generated client.
type method[Req, Resp any] = func(context.Context, Req, ...grpc.CallOption) (Resp, error)

// Call returns the answer to a call, and ends the test if there is none.
func Call[Req, Resp any](t *testing.T, call method[Req, Resp], req Req) Resp {
	t.Helper()
	resp, err := call(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Refused returns the error of a call, and ends the test if there is none.
func Refused[Req, Resp any](t *testing.T, call method[Req, Resp], req Req) error {
	t.Helper()
	resp, err := call(t.Context(), req)
	if err == nil {
		t.Fatalf("want an error, got %v", resp)
	}
	return err
}

// Pass lets time go by, which takes none where it is fake.
func Pass(d time.Duration) {
	<-time.NewTimer(d).C
}

// Code checks the code of a refusal.
func Code(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
}

// Reason checks the code and the reason of a refusal, and returns its facts.
func Reason(t *testing.T, err error, code codes.Code, want string) map[string]string {
	t.Helper()
	Code(t, err, code)
	info := detail[*errdetails.ErrorInfo](err)
	if info.GetReason() != want || info.GetDomain() != "food.example" {
		t.Errorf("got reason %q of domain %q, want %q of food.example", info.GetReason(), info.GetDomain(), want)
	}
	return info.GetMetadata()
}

// Violations checks that a refusal names the wrong fields of the request: these, in this order.
func Violations(t *testing.T, err error, want ...string) {
	t.Helper()
	Code(t, err, codes.InvalidArgument)
	var got []string
	for _, v := range detail[*errdetails.BadRequest](err).GetFieldViolations() {
		got = append(got, v.GetField())
		if v.GetDescription() == "" {
			t.Errorf("the violation of %q has no description", v.GetField())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wrong fields, -want +got:\n%s", diff)
	}
}

func detail[D any](err error) D {
	var found D
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(D); ok {
			found = d
		}
	}
	return found
}
