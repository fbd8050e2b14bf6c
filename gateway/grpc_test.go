package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// testService is the service of the gRPC interoperability tests, with hooks.
type testService struct {
	testpb.TestServiceServer
	unary func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
}

func (s *testService) UnaryCall(ctx context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.unary != nil {
		return s.unary(ctx, r)
	}
	return s.TestServiceServer.UnaryCall(ctx, r)
}

func newTestService() *testService { return &testService{TestServiceServer: interop.NewTestServer()} }

// interopConfig puts the gateway in front of addresses that serve the interoperability test service; all its methods but
// one are public.
func interopConfig(addresses ...string) *configv1.Config {
	const service = "grpc.testing.TestService"
	var selectors []string
	for _, name := range []string{"EmptyCall", "UnaryCall", "StreamingOutputCall", "StreamingInputCall", "FullDuplexCall", "HalfDuplexCall", "UnimplementedCall"} {
		selectors = append(selectors, service+"."+name)
	}
	return &configv1.Config{
		Backends: []*configv1.Backend{{
			Name: "test", Target: "static:///" + strings.Join(addresses, ","), Services: []string{service},
		}},
		Policies: public(selectors...),
	}
}

func startInterop(t *testing.T, service *testService, opts ...grpc.ServerOption) (*running, testpb.TestServiceClient) {
	t.Helper()
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, service) }, opts...)
	gw := start(t, interopConfig(address))
	return gw, testpb.NewTestServiceClient(dial(t, gw.address()))
}

// TestInterop runs the gRPC project's own interoperability cases through the gateway.
func TestInterop(t *testing.T) {
	gw, client := startInterop(t, newTestService())
	conn := dial(t, gw.address())
	for name, run := range map[string]func(context.Context, testpb.TestServiceClient, ...grpc.CallOption){
		"empty_unary":                 interop.DoEmptyUnaryCall,
		"large_unary":                 interop.DoLargeUnaryCall,
		"client_streaming":            interop.DoClientStreaming,
		"server_streaming":            interop.DoServerStreaming,
		"ping_pong":                   interop.DoPingPong,
		"empty_stream":                interop.DoEmptyStream,
		"timeout_on_sleeping_server":  interop.DoTimeoutOnSleepingServer,
		"cancel_after_begin":          interop.DoCancelAfterBegin,
		"cancel_after_first_response": interop.DoCancelAfterFirstResponse,
		"custom_metadata":             interop.DoCustomMetadata,
		"status_code_and_message":     interop.DoStatusCodeAndMessage,
		"special_status_message":      interop.DoSpecialStatusMessage,
	} {
		// The library's functions end the whole process when a case fails, so a pass is a pass.
		t.Run(name, func(t *testing.T) { run(t.Context(), client) })
	}
	t.Run("unimplemented_method", func(t *testing.T) { interop.DoUnimplementedMethod(t.Context(), conn) })
	t.Run("unimplemented_service", func(t *testing.T) {
		interop.DoUnimplementedService(t.Context(), testpb.NewUnimplementedServiceClient(conn))
	})
}

func TestGzipFromTheClient(t *testing.T) {
	_, client := startInterop(t, newTestService())
	body := []byte(strings.Repeat("compress me ", 1000))
	answer, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{
		Payload: &testpb.Payload{Body: body}, ResponseSize: 5000,
	}, grpc.UseCompressor(gzip.Name))
	if err != nil || len(answer.GetPayload().GetBody()) != 5000 {
		t.Fatalf("got %d bytes, %v", len(answer.GetPayload().GetBody()), err)
	}
}

func TestGzipFromTheBackend(t *testing.T) {
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if err := grpc.SetSendCompressor(ctx, gzip.Name); err != nil {
			return nil, err
		}
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, 5000)}}, nil
	}
	_, client := startInterop(t, service)
	answer, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	if err != nil || len(answer.GetPayload().GetBody()) != 5000 {
		t.Fatalf("got %d bytes, %v", len(answer.GetPayload().GetBody()), err)
	}
}

func TestStatusDetailsAndMetadataPassBothWays(t *testing.T) {
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		in, _ := metadata.FromIncomingContext(ctx)
		header := metadata.MD{"got-text": in.Get("x-text"), "got-raw-bin": in.Get("x-raw-bin")}
		header.Append("got-secret", append(in.Get("authorization"), in.Get("cookie")...)...)
		header.Append("got-principal", in.Get("cardea-subject")...)
		_ = grpc.SetHeader(ctx, header)
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t", "x-trailer-bin", "\x00\xff"))
		st, err := status.New(codes.FailedPrecondition, "nö 100%\n").WithDetails(&errdetails.ErrorInfo{Reason: "SOLD_OUT", Domain: "food"})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	_, client := startInterop(t, service)
	var header, trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-text", "a", "x-text", "b", "x-raw-bin", "\x00\x01", "authorization", "Bearer s", "cookie", "s", "cardea-subject", "root")
	_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	st := status.Convert(err)
	if st.Code() != codes.FailedPrecondition || st.Message() != "nö 100%\n" || len(st.Details()) != 1 {
		t.Errorf("status: %v %q %v", st.Code(), st.Message(), st.Details())
	}
	all := metadata.Join(header, trailer)
	for name, want := range map[string][]string{
		"got-text": {"a", "b"}, "got-raw-bin": {"\x00\x01"}, "got-secret": nil, "got-principal": nil,
		"x-trailer": {"t"}, "x-trailer-bin": {"\x00\xff"},
	} {
		if diff := cmp.Diff(want, all[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMetadataReachesBackend(t *testing.T) {
	got := make(chan metadata.MD, 1)
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got <- md
		return &testpb.SimpleResponse{}, nil
	}
	_, client := startInterop(t, service)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-text", "a", "x-text", "b", "x-raw-bin", "\x00\x01", "authorization", "Bearer s", "cookie", "s",
		"cardea-subject", "root", "cardea-subject-bin", "root", "x-forwarded-for", "1.2.3.4")
	if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	md := <-got
	for name, want := range map[string][]string{
		"x-text": {"a", "b"}, "x-raw-bin": {"\x00\x01"},
		"authorization": nil, "cookie": nil, "cardea-subject": nil, "cardea-subject-bin": nil, "x-forwarded-for": {"127.0.0.1"},
	} {
		if diff := cmp.Diff(want, md[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUndeclaredMethodIsRefused(t *testing.T) {
	service := newTestService()
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, service) })
	cfg := interopConfig(address)
	cfg.Policies = public("grpc.testing.TestService.EmptyCall")
	gw := start(t, cfg)
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	if _, err := client.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
		t.Errorf("the public method: %v", err)
	}
	_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	if status.Code(err) != codes.Unauthenticated || call.Reason(err) != "METHOD_NOT_PUBLIC" {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), "grpc.testing.TestService.UnaryCall") || !strings.Contains(err.Error(), "public: true") {
		t.Errorf("the refusal does not name the remedy: %v", err)
	}
}

func TestNothingOfAnUnroutedMethodReachesABackend(t *testing.T) {
	gw, _ := startInterop(t, newTestService())
	conn := dial(t, gw.address())
	for _, method := range []string{
		"/grpc.testing.TestService/", "/grpc.testing.TestService/a/b", "/other.Service/UnaryCall",
		"//grpc.testing.TestService/UnaryCall", "/grpc.testing.TestService/%55naryCall",
	} {
		err := conn.Invoke(t.Context(), method, &testpb.SimpleRequest{}, &testpb.SimpleResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: got %v", method, err)
		}
	}
}

// TestServiceWithoutContract proxies a service of which the gateway knows no more than the name.
func TestServiceWithoutContract(t *testing.T) {
	echo := func(_ any, ss grpc.ServerStream) error {
		for {
			var m testpb.SimpleRequest
			if err := ss.RecvMsg(&m); err != nil {
				return nil //nolint:nilerr // The end of the requests is the end of the call.
			}
			if err := ss.SendMsg(&testpb.SimpleResponse{Payload: m.GetPayload()}); err != nil {
				return err
			}
		}
	}
	address := backend(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(echo))
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{Name: "mystery", Target: "static:///" + address, Services: []string{"mystery.v1.Mystery"}}},
		Policies: public("mystery.v1.Mystery.Open"),
	})
	conn := dial(t, gw.address())
	request := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("x")}}
	answer := &testpb.SimpleResponse{}
	if err := conn.Invoke(t.Context(), "/mystery.v1.Mystery/Open", request, answer); err != nil || string(answer.GetPayload().GetBody()) != "x" {
		t.Errorf("the method that the configuration names: %v, %v", answer, err)
	}
	if err := conn.Invoke(t.Context(), "/mystery.v1.Mystery/Closed", request, answer); call.Reason(err) != "METHOD_NOT_PUBLIC" {
		t.Errorf("a method that it does not name: %v", err)
	}
}

func TestDisconnectCancelsBackendCall(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	gw, _ := startInterop(t, service)
	conn := dial(t, gw.address())
	result := make(chan error, 1)
	go func() {
		_, err := testpb.NewTestServiceClient(conn).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		result <- err
	}()
	<-began
	conn.Close() // The connection goes, not just the call.
	await(t, ended, "the backend's call was not canceled")
	<-result
}

func TestDeadlineReachesBackend(t *testing.T) {
	left := make(chan time.Duration, 1)
	service := newTestService()
	service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, client := startInterop(t, service)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if d := <-left; d <= 0 || d > 300*time.Millisecond {
		t.Errorf("the backend had %v left", d)
	}
}

func TestMessageLargerThanLimitIsRefused(t *testing.T) {
	service := newTestService()
	reached := false
	service.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		reached = true
		return &testpb.SimpleResponse{}, nil
	}
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, service) })
	cfg := interopConfig(address)
	cfg.Limits = &configv1.Limits{MaxMessageBytes: 1000}
	gw := start(t, cfg)
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	large := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 2000)}}
	for name, opts := range map[string][]grpc.CallOption{"plain": nil, "inflated": {grpc.UseCompressor(gzip.Name)}} {
		if _, err := client.UnaryCall(t.Context(), large, opts...); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if reached {
		t.Error("the backend was called")
	}
}

func TestBackendDownIsUnavailableWithoutItsAddress(t *testing.T) {
	gw := start(t, interopConfig("127.0.0.1:1"))
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	_, err := client.EmptyCall(t.Context(), &testpb.Empty{})
	if call.Reason(err) != "BACKEND_UNAVAILABLE" || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestInstancesTakeTurns(t *testing.T) {
	counts := make([]int, 2)
	var addresses []string
	for i := range counts {
		service := newTestService()
		service.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			counts[i]++ // Calls come one after another.
			return &testpb.SimpleResponse{}, nil
		}
		addresses = append(addresses, backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, service) }))
	}
	gw := start(t, interopConfig(addresses...))
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	for counts[0] == 0 || counts[1] == 0 { // Until both are connected.
		if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	before := counts[0] - counts[1]
	for range 20 {
		if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if after := counts[0] - counts[1]; after != before {
		t.Errorf("calls: %v; the difference was %d before", counts, before)
	}
}

func TestEachBadGRPCRequest(t *testing.T) {
	gw, _ := startInterop(t, newTestService())
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	defer h2.CloseIdleConnections()
	for name, tc := range map[string]struct {
		method, contentType, encoding, timeout, body string
		http                                         int
		grpc                                         codes.Code
	}{
		"method GET":            {method: "GET", http: 405},
		"JSON messages":         {contentType: "application/grpc+json", http: 415},
		"unknown compression":   {encoding: "snappy", http: 200, grpc: codes.Unimplemented},
		"malformed timeout":     {timeout: "soon", http: 200, grpc: codes.InvalidArgument},
		"no message":            {http: 200, grpc: codes.Unimplemented},
		"half a prefix":         {body: "\x00\x00", http: 200, grpc: codes.Internal},
		"half a message":        {body: "\x00\x00\x00\x00\x05ab", http: 200, grpc: codes.Internal},
		"announced, not sent":   {body: "\x00\x00\x3f\x00\x00", http: 200, grpc: codes.Internal},
		"larger than the limit": {body: "\x00\xff\xff\xff\xff", http: 200, grpc: codes.ResourceExhausted},
		"strange flag":          {body: "\x07\x00\x00\x00\x00", http: 200, grpc: codes.Internal},
		"compressed, no name":   {body: "\x01\x00\x00\x00\x01a", http: 200, grpc: codes.Internal},
		"no gzip":               {encoding: "gzip", body: "\x01\x00\x00\x00\x01a", http: 200, grpc: codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			method, contentType := "POST", "application/grpc"
			if tc.method != "" {
				method = tc.method
			}
			if tc.contentType != "" {
				contentType = tc.contentType
			}
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+gw.address()+"/grpc.testing.TestService/UnaryCall", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Te", "trailers")
			for header, value := range map[string]string{"Grpc-Encoding": tc.encoding, "Grpc-Timeout": tc.timeout} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			answer, err := h2.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Fatal(err)
			}
			got := answer.Header.Get("Grpc-Status") + answer.Trailer.Get("Grpc-Status")
			want := ""
			if tc.http == 200 {
				want = strconv.FormatUint(uint64(uint32(tc.grpc)), 10)
			}
			if answer.StatusCode != tc.http || got != want {
				t.Errorf("got HTTP %d, gRPC status %q (%s); want %d, %q", answer.StatusCode, got,
					answer.Header.Get("Grpc-Message")+answer.Trailer.Get("Grpc-Message"), tc.http, want)
			}
		})
	}
}

func TestGRPCOverHTTP1IsExplained(t *testing.T) {
	gw, _ := startInterop(t, newTestService())
	answer, err := http.Post("http://"+gw.address()+"/grpc.testing.TestService/UnaryCall", "application/grpc", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTP/2") {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
}

func TestGracefulStopLetsCallsFinish(t *testing.T) {
	began, proceed := make(chan struct{}), make(chan struct{})
	service := newTestService()
	service.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		close(began)
		<-proceed
		return &testpb.SimpleResponse{Username: "done"}, nil
	}
	gw, client := startInterop(t, service)
	result := make(chan error, 1)
	go func() {
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		result <- err
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- gw.stop() }()
	for { // The listener closes at once.
		conn, err := net.Dial("tcp", gw.address())
		if err != nil {
			break
		}
		conn.Close()
	}
	if answer, err := http.Get("http://" + gw.Admin.String() + "/readyz"); err != nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz while draining: %v %v", answer, err)
	} else {
		answer.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	close(proceed)
	if err := errors.Join(<-result, <-stopped); err != nil {
		t.Error(err)
	}
}
