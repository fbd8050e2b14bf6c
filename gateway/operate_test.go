package gateway_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

// get reads a page of the admin address.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestHealthOnBothAddresses(t *testing.T) {
	gw := startOrders(t, newOrders())
	for _, address := range []string{gw.address(), gw.Admin.String()} {
		client := healthpb.NewHealthClient(dial(t, address))
		for service, want := range map[string]codes.Code{"": codes.OK, "food.order.v1.OrderService": codes.OK, "unknown": codes.NotFound} {
			answer, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if status.Code(err) != want || want == codes.OK && answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("%s %q: got %v, %v", address, service, answer, err)
			}
		}
	}
	for page, want := range map[string]int{"/livez": 200, "/readyz": 200, "/nope": 404} {
		if got, body := get(t, "http://"+gw.Admin.String()+page); got != want {
			t.Errorf("%s: got %d %s", page, got, body)
		}
	}
	if _, err := orderv1.NewOrderServiceClient(dial(t, gw.Admin.String())).GetOrder(t.Context(), &orderv1.GetOrderRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("the admin address serves clients: %v", err)
	}
}

func TestMetricsHaveNoLabelThatAClientChose(t *testing.T) {
	gw := startOrders(t, newOrders())
	send(t, gw, "GET", "/v1/orders/7", "")
	send(t, gw, "GET", "/secret-path", "")
	_ = dial(t, gw.address()).Invoke(t.Context(), "/evil.v1.Evil/Do", &orderv1.GetOrderRequest{}, &orderv1.Order{})
	_, body := get(t, "http://"+gw.Admin.String()+"/metrics")
	for _, want := range []string{
		`cardea_requests_total{code="OK",method="GetOrder",protocol="rest",service="food.order.v1.OrderService"} 1`,
		`cardea_requests_total{code="NotFound",method="",protocol="rest",service=""} 1`,
		`cardea_requests_total{code="Unimplemented",method="",protocol="grpc",service=""} 1`,
		`cardea_build_info{version="dev"} 1`, "cardea_request_duration_seconds_bucket", "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, never := range []string{"secret-path", "evil"} {
		if strings.Contains(body, never) {
			t.Errorf("the metrics hold %q", never)
		}
	}
}

// lockedBuffer is a buffer that servers may write to at once.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestAccessLogHasNoSecrets(t *testing.T) {
	o := newOrders()
	log := &lockedBuffer{}
	address := backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, o) })
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{Name: "order", Target: "static:///" + address, Services: []string{"food.order.v1.OrderService"}}},
		Policies: public("food.order.v1.OrderService.ListOrders"),
	}, gateway.WithAccessLogger(slog.New(slog.NewJSONHandler(log, nil))),
		gateway.WithREST("food.order.v1.OrderService", orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient))
	send(t, gw, "GET", "/v1/orders?customer=s3cret", "", "Authorization", "Bearer s3cret", "Cookie", "s3cret")
	if err := gw.stop(); err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatalf("%v in %s", err, log)
	}
	got := map[string]any{}
	for _, name := range []string{"protocol", "http_method", "path", "http_status", "code", "method", "backend", "instance"} {
		got[name] = line[name]
	}
	want := map[string]any{
		"protocol": "rest", "http_method": "GET", "path": "/v1/orders", "http_status": 200.0, "code": "OK",
		"method": "/food.order.v1.OrderService/ListOrders", "backend": "order", "instance": address,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(log.String(), "s3cret") {
		t.Errorf("a secret in the log: %s", log)
	}
}

func TestReflectionIsOffUnlessEnabled(t *testing.T) {
	for _, enabled := range []bool{false, true} {
		gw := startOrders(t, newOrders(), func(c *configv1.Config) { c.Reflection = &configv1.Reflection{Enabled: enabled} })
		stream, err := reflectionv1.NewServerReflectionClient(dial(t, gw.address())).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		answer, err := stream.Recv()
		if !enabled {
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("off: got %v, %v", answer, err)
			}
			continue
		}
		var names []string
		for _, s := range answer.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		want := []string{
			"food.geo.v1.GeoService", "food.order.v1.OrderService", "grpc.health.v1.Health",
			"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		}
		if diff := cmp.Diff(want, names); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "food.order.v1.OrderService"},
		})
		if answer, err := stream.Recv(); err != nil || len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("describe: %v, %v", answer, err)
		}
		_ = stream.CloseSend()
		if _, err := stream.Recv(); err != io.EOF { //nolint:errorlint // io.EOF is never wrapped here.
			t.Errorf("the end: %v", err)
		}
	}
}

// certificate writes a certificate for 127.0.0.1 and its key, and returns their files and a pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, data := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, pool
}

func listenerTLS(certFile, keyFile string) *configv1.ListenerTls {
	return &configv1.ListenerTls{Certificates: []*configv1.Certificate{{CertificateFile: certFile, PrivateKeyFile: keyFile}}}
}

func TestTLSWithBothVersionsOfHTTP(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	o := newOrders()
	gw := startOrders(t, o, func(c *configv1.Config) {
		c.Listeners = []*configv1.Listener{
			{Address: "127.0.0.1:0", Tls: listenerTLS(certFile, keyFile)},
			{Address: "127.0.0.1:0"},
		}
	})
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: h2}
		answer, err := (&http.Client{Transport: transport}).Get("https://" + gw.address() + "/v1/orders/7")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		transport.CloseIdleConnections()
		if answer.StatusCode != http.StatusOK || (answer.ProtoMajor == 2) != h2 {
			t.Errorf("got %d over %s", answer.StatusCode, answer.Proto)
		}
	}
	conn, err := grpc.NewClient("passthrough:///"+gw.address(), grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := orderv1.NewOrderServiceClient(conn).GetOrder(t.Context(), &orderv1.GetOrderRequest{}); err != nil {
		t.Errorf("gRPC over TLS: %v", err)
	}
	plain := dial(t, gw.Listeners[1].String())
	if _, err := orderv1.NewOrderServiceClient(plain).GetOrder(t.Context(), &orderv1.GetOrderRequest{}); err != nil {
		t.Errorf("the second listener: %v", err)
	}
}

func TestInterceptorsOfTheEmbedder(t *testing.T) {
	o := newOrders()
	address := backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, o) })
	var seen metadata.MD
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{Name: "order", Target: "static:///" + address, Services: []string{"food.order.v1.OrderService"}}},
		Policies: public("food.order.v1.OrderService.GetOrder"),
	}, gateway.WithREST("food.order.v1.OrderService", orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient),
		gateway.WithInterceptors(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			seen, _ = metadata.FromIncomingContext(ss.Context())
			if err := grpc.SetHeader(ss.Context(), metadata.Pairs("x-mark", "m")); err != nil {
				return err
			}
			return next(srv, ss)
		}))
	a := send(t, gw, "GET", "/v1/orders/7", "", "X-Tenant", "t")
	if a.Header.Get("X-Mark") != "m" || seen.Get("x-tenant") == nil {
		t.Errorf("REST: got %v, the interceptor saw %v", a.Header, seen)
	}
	var header metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-tenant", "u")
	_, err := orderv1.NewOrderServiceClient(dial(t, gw.address())).GetOrder(ctx, &orderv1.GetOrderRequest{}, grpc.Header(&header))
	if err != nil || header.Get("x-mark") == nil || seen.Get("x-tenant")[0] != "u" {
		t.Errorf("gRPC: got %v, %v, the interceptor saw %v", header, err, seen)
	}
}

func TestPanicOfAnInterceptorIsOneFailedCall(t *testing.T) {
	address := backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, newOrders()) })
	gw := start(t, &configv1.Config{
		Backends: []*configv1.Backend{{Name: "order", Target: "static:///" + address, Services: []string{"food.order.v1.OrderService"}}},
		Policies: public("food.order.v1.OrderService.GetOrder"),
	}, gateway.WithInterceptors(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { panic("oh") }))
	client := orderv1.NewOrderServiceClient(dial(t, gw.address()))
	for range 2 {
		if _, err := client.GetOrder(t.Context(), &orderv1.GetOrderRequest{}); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "oh") {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	one := func() *configv1.Config {
		return &configv1.Config{
			Listeners: []*configv1.Listener{{Address: "127.0.0.1:0"}},
			Backends:  []*configv1.Backend{{Name: "a", Target: "static:///127.0.0.1:1", Services: []string{"food.order.v1.OrderService"}}},
		}
	}
	for want, change := range map[string]func(*configv1.Config){
		"descriptor image /nowhere": func(c *configv1.Config) { c.Descriptors = &configv1.Descriptors{Images: []string{"/nowhere"}} },
		`policies[0].selectors[0]: food.order.v1.OrderService.GetOder matches no method`: func(c *configv1.Config) {
			c.Policies = public("food.order.v1.OrderService.GetOder")
		},
		"listeners[0].address": func(c *configv1.Config) { c.Listeners[0].Address = "x" },
	} {
		cfg := one()
		change(cfg)
		if _, err := gateway.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	_, err := gateway.New(one(), gateway.WithREST("no.Such", orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient))
	if err == nil || !strings.Contains(err.Error(), "no.Such") {
		t.Errorf("got %v", err)
	}
}

func TestServeExplainsWhatItCantOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	gw, err := gateway.New(&configv1.Config{
		Listeners: []*configv1.Listener{{Address: "127.0.0.1:0"}, {Address: taken.Addr().String()}},
		Backends:  []*configv1.Backend{{Name: "a", Target: "static:///127.0.0.1:1", Services: []string{"a.B"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "listeners[1].address") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	if err := gw.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("the second time: got %v", err)
	}
}

func TestRoutesListsEveryWay(t *testing.T) {
	gw, err := gateway.New(&configv1.Config{
		Listeners: []*configv1.Listener{{Address: "127.0.0.1:0"}},
		Backends: []*configv1.Backend{
			{Name: "geo", Target: "static:///127.0.0.1:1", Services: []string{"food.geo.v1.GeoService"}},
			{Name: "mystery", Target: "static:///127.0.0.1:1", Services: []string{"mystery.v1.Mystery"}},
		},
		Policies: public("mystery.v1.Mystery.Open"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer gw.Close()
	const listener = "127.0.0.1:0"
	open := &policyv1.Policy{Auth: &policyv1.Auth{Public: true}}
	want := []gateway.Route{
		{
			Listener: listener, HTTPMethod: "GET", Template: "/v1/geocode", Method: "food.geo.v1.GeoService/Geocode", Backend: "geo",
			Public: true, Policy: open,
		},
		{Listener: listener, Method: "mystery.v1.Mystery/Open", Backend: "mystery", Public: true, Policy: open},
		{Listener: listener, Method: "mystery.v1.Mystery/*", Backend: "mystery", Policy: &policyv1.Policy{}},
	}
	if diff := cmp.Diff(want, gw.Routes(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
