package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

const (
	soon   = 3 * time.Second // For what takes milliseconds on a quiet machine.
	prompt = "200m"          // A grpc-timeout.
)

func deadlineExceeded() string { return strconv.Itoa(int(codes.DeadlineExceeded)) }

func TestDeadlineEndsACallWhoseMessageDoesNotCome(t *testing.T) {
	gw, _ := startInterop(t, newTestService())
	h := dialHTTP2(t, gw.address())
	h.call(1, "/grpc.testing.TestService/EmptyCall", "grpc-timeout", prompt)
	if got := h.answer(t, soon)["grpc-status"]; got != deadlineExceeded() {
		t.Errorf("grpc-status %q", got)
	}
}

func TestDeadlineEndsACallWhoseBodyStalls(t *testing.T) {
	gw := startOrders(t, newOrders())
	conn, err := net.Dial("tcp", gw.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/orders HTTP/1.1\r\nHost: gateway\r\nGrpc-Timeout: "+prompt+"\r\nContent-Length: 10\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 504" {
		t.Errorf("%q %v", answer, err)
	}
}

func TestDeadlineEndsACallThatNobodyReads(t *testing.T) {
	ended := make(chan struct{}, 1)
	gw, _ := startInterop(t, newTestService(), grpc.StreamInterceptor(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			defer func() { ended <- struct{}{} }()
			return next(srv, ss)
		}))
	h := dialHTTP2(t, gw.address(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	h.call(1, "/grpc.testing.TestService/StreamingOutputCall", "grpc-timeout", prompt)
	request := &testpb.StreamingOutputCallRequest{}
	for range 50 {
		request.ResponseParameters = append(request.ResponseParameters, &testpb.ResponseParameters{Size: 100_000})
	}
	wire, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.WriteData(1, true, grpcFrame(0, wire)); err != nil {
		t.Fatal(err)
	}
	await(t, ended, "the backend's call goes on")
	for h.answer(t, soon) != nil { // The header, then the reset.
		continue
	}
}

// TestSmallGzipMessageHoldsNoMemory leaves calls open behind messages that are a thousand times larger once inflated.
func TestSmallGzipMessageHoldsNoMemory(t *testing.T) {
	const calls, size = 100, 4 << 20
	gw, _ := startInterop(t, newTestService())
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(make([]byte, size)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	h := dialHTTP2(t, gw.address())
	for i := range uint32(calls) {
		h.call(2*i+1, "/grpc.testing.TestService/UnaryCall", "grpc-encoding", "gzip")
		if err := h.WriteData(2*i+1, false, grpcFrame(1, zipped.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	_ = h.WritePing(false, [8]byte{1})
	for { // The ping's answer says that all has been read.
		frame, err := h.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() {
			break
		}
	}
	if grown := int64(heap()) - int64(before); grown > calls*size/10 {
		t.Errorf("%d bytes sent hold %d bytes", calls*zipped.Len(), grown)
	}
}

func TestRefusedStreamIsNoServerError(t *testing.T) {
	gw := startOrders(t, newOrders(), func(c *configv1.Config) { c.Policies = public("food.order.v1.OrderService.GetOrder") })
	for range 20 {
		if a := send(t, gw, "GET", "/v1/orders/1:watch", ""); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
}

// TestRefusedBodyIsNotRead sends a body that would be an error, had anybody looked at it.
func TestRefusedBodyIsNotRead(t *testing.T) {
	gw := startOrders(t, newOrders())
	if a := send(t, gw, "POST", "/v1/orders/1:cancel", "{{{", "Content-Type", "application/json"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestDisconnectIsNoticedBehindABodyThatNobodyWants(t *testing.T) {
	o := newOrders()
	begun, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
		begun <- struct{}{}
		<-ss.Context().Done()
		ended <- struct{}{}
		return nil
	}
	gw := startOrders(t, o)
	conn, err := net.Dial("tcp", gw.address())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /v1/orders/1:watch HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\nhello")
	await(t, begun, "the call does not begin")
	conn.Close()
	await(t, ended, "the backend's call goes on")
}

func TestHeadOfAStreamEndsAfterTheHeader(t *testing.T) {
	o := newOrders()
	o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
		for {
			if err := ss.Send(&orderv1.WatchOrderResponse{}); err != nil {
				return err
			}
		}
	}
	gw := startOrders(t, o)
	if a := send(t, gw, "HEAD", "/v1/orders/1:watch", ""); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

func TestForgedHeadersStayAtTheGateway(t *testing.T) {
	o := newOrders()
	gw := startOrders(t, o)
	var header []string
	names := []string{
		"X-Forwarded-Client-Cert", "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-For-Bin",
		"X-Envoy-External-Address", "True-Client-Ip", "X.Forwarded.User", "X-Original-Forwarded-For", "Remote-User", "X-Azure-Clientip",
		"X-Amzn-Mtls-Clientcert", "Client-Ip", "X-Client-Ip", "X-Original-Url", "Cardea-Subject", "Cardea_subject", "Cardea-Subject-Bin",
		"Authorization", "Cookie", "X-Api-Key", "Grpc-Status", "Te",
	}
	for _, name := range names {
		header = append(header, name, "AAAA")
	}
	send(t, gw, "GET", "/v1/orders/1", "", append(header, "X-Mine", "yes")...)
	md := <-o.header
	for _, name := range names {
		if got := md.Get(name); slices.Contains(got, "AAAA") {
			t.Errorf("%s reached the backend: %q", name, got)
		}
	}
	if got := md.Get("x-mine"); len(got) != 1 {
		t.Errorf("x-mine: %q", got)
	}
}

func TestInterceptorsSeeWhatTheClientSent(t *testing.T) {
	got := make(chan metadata.MD, 1)
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) })
	gw := start(t, interopConfig(address), gateway.WithInterceptors(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			md, _ := metadata.FromIncomingContext(ss.Context())
			got <- md
			return next(srv, ss)
		}))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer x", "data-bin", "\x00\xff")
	if _, err := testpb.NewTestServiceClient(dial(t, gw.address())).EmptyCall(ctx, &testpb.Empty{}); err != nil {
		t.Fatal(err)
	}
	md := <-got
	for name, want := range map[string]string{
		"authorization": "Bearer x", "data-bin": "\x00\xff", "content-type": "application/grpc", ":authority": gw.address(),
	} {
		if values := md.Get(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q", name, values)
		}
	}
}

func TestEarlyHeaderReachesAClientThatStreams(t *testing.T) {
	gw, _ := startInterop(t, newTestService(), grpc.StreamInterceptor(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := ss.SendHeader(metadata.Pairs("x-early", "1")); err != nil {
				return err
			}
			return next(srv, ss)
		}))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	stream, err := testpb.NewTestServiceClient(dial(t, gw.address())).StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if md, err := stream.Header(); err != nil || md.Get("x-early") == nil {
		t.Errorf("%v %v", md, err)
	}
}

func TestTrailersOverREST(t *testing.T) {
	o := newOrders()
	o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
		return &orderv1.Order{Name: "orders/1"}, grpc.SetTrailer(ctx, metadata.Pairs("x-after", "1"))
	}
	gw := startOrders(t, o)
	if a := send(t, gw, "GET", "/v1/orders/1", "", "Te", "trailers"); a.Trailer.Get("X-After") != "1" {
		t.Errorf("trailer %v", a.Trailer)
	}
	if a := send(t, gw, "GET", "/v1/orders/1", ""); a.Trailer.Get("X-After") != "" {
		t.Errorf("nobody asked for trailer %v", a.Trailer)
	}
}

func TestWatchedHealthDoesNotHoldTheStop(t *testing.T) {
	address := backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) })
	cfg := interopConfig(address)
	cfg.DrainTimeout = durationpb.New(time.Minute)
	gw := start(t, cfg)
	var watches []healthpb.Health_WatchClient
	for _, address := range []string{gw.address(), gw.Admin.String()} {
		watch, err := healthpb.NewHealthClient(dial(t, address)).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Fatalf("%v %v", got, err)
		}
		watches = append(watches, watch)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- gw.stop() }()
	if err := await(t, stopped, "the gateway does not stop"); err != nil {
		t.Error(err)
	}
	for _, watch := range watches {
		var err error
		for err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unavailable || call.Reason(err) != "GATEWAY_STOPPING" {
			t.Error(err)
		}
	}
}

func TestCodesThatNobodyDefinedAreOneLabel(t *testing.T) {
	gw, client := startInterop(t, newTestService())
	for i := range int32(5) {
		request := &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 1000 + i}}
		if _, err := client.UnaryCall(t.Context(), request); status.Code(err) != codes.Code(1000+i) {
			t.Error(err)
		}
	}
	if _, text := get(t, "http://"+gw.Admin.String()+"/metrics"); strings.Count(text, "cardea_requests_total{") != 1 {
		t.Error(text)
	}
}

// TestBackendsThatBreakTheProtocol wants every failure explained as the gateway's, in words of its own.
func TestBackendsThatBreakTheProtocol(t *testing.T) {
	header := func(h *rawHTTP2, id uint32, more ...string) {
		h.headers(id, false, append([]string{":status", "200", "content-type", "application/grpc"}, more...)...)
	}
	message := func(data []byte, more ...string) func(*rawHTTP2, uint32) {
		return func(h *rawHTTP2, id uint32) {
			header(h, id, more...)
			_ = h.WriteData(id, false, data)
			h.headers(id, true, "grpc-status", "0")
		}
	}
	for name, tc := range map[string]struct {
		answer func(*rawHTTP2, uint32)
		code   codes.Code
		reason string
	}{
		"unknown compression": {message(grpcFrame(1, []byte("xx")), "grpc-encoding", "zstd"), codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"broken gzip":         {message(grpcFrame(1, []byte("xx")), "grpc-encoding", "gzip"), codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"unknown flag":        {message(grpcFrame(7, nil)), codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"half a message":      {message([]byte{0, 0, 0, 0, 9, 1}), codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"two messages":        {message(append(grpcFrame(0, nil), grpcFrame(0, nil)...)), codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"no message":          {func(h *rawHTTP2, id uint32) { header(h, id); h.headers(id, true, "grpc-status", "0") }, codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		"announced four GiB":  {message([]byte{0, 255, 255, 255, 255}), codes.ResourceExhausted, "MESSAGE_TOO_LARGE"},
		"reset with CANCEL":   {func(h *rawHTTP2, id uint32) { _ = h.WriteRSTStream(id, http2.ErrCodeCancel) }, codes.Unavailable, "BACKEND_UNAVAILABLE"},
		"its own error passes": {func(h *rawHTTP2, id uint32) {
			header(h, id)
			h.headers(id, true, "grpc-status", "5", "grpc-message", "grpc: no")
		}, codes.NotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			gw := start(t, interopConfig(rawBackend(t, tc.answer)))
			client := testpb.NewTestServiceClient(dial(t, gw.address()))
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), soon)
				_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
				cancel()
				if status.Code(err) != tc.code || call.Reason(err) != tc.reason || (tc.reason != "" && strings.Contains(err.Error(), "grpc:")) {
					t.Fatalf("got %v, reason %q", err, call.Reason(err))
				}
			}
		})
	}
}

// TestCallsThatBreakOff is for the race detector: clients leave, and deadlines pass, at every moment of a stream.
func TestCallsThatBreakOff(t *testing.T) {
	const workers, rounds = 8, 60
	o := newOrders()
	o.calls, o.header = make(chan proto.Message, workers*rounds), make(chan metadata.MD, workers*rounds)
	o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
		ss.SetTrailer(metadata.Pairs("x-after", "1"))
		for range 4 {
			message := &orderv1.WatchOrderResponse{Update: &orderv1.WatchOrderResponse_Order{Order: &orderv1.Order{Note: strings.Repeat("x", 2000)}}}
			if err := ss.Send(message); err != nil {
				return err
			}
		}
		return status.Error(codes.Aborted, "over")
	}
	gw := startOrders(t, o)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var running sync.WaitGroup
	for worker := range workers {
		client := orderv1.NewOrderServiceClient(dial(t, gw.address()))
		running.Go(func() {
			for round := range rounds {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(round%7+1)*300*time.Microsecond)
				if worker%2 == 0 {
					watchABit(ctx, client, round%6)
				} else {
					readABit(ctx, transport, "http://"+gw.address()+"/v1/orders/1:watch", int64(round%6*1000))
				}
				cancel()
			}
		})
	}
	running.Wait()
}

func watchABit(ctx context.Context, client orderv1.OrderServiceClient, messages int) {
	stream, err := client.WatchOrder(ctx, &orderv1.WatchOrderRequest{Name: "orders/1"})
	for range messages {
		if err != nil {
			return
		}
		_, err = stream.Recv()
	}
}

func readABit(ctx context.Context, transport *http.Transport, url string, n int64) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	r.Header.Set("Grpc-Timeout", fmt.Sprintf("%dn", n*300))
	response, err := transport.RoundTrip(r)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, n)
}
