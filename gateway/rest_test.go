package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/cardea-gateway/cardea/gateway"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// orders is an order service that does what a test says, and remembers what reached it.
type orders struct {
	orderv1.UnimplementedOrderServiceServer
	calls  chan proto.Message
	header chan metadata.MD
	answer func(context.Context, proto.Message) (*orderv1.Order, error)
	watch  func(*orderv1.WatchOrderRequest, grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error
}

func newOrders() *orders {
	return &orders{calls: make(chan proto.Message, 10), header: make(chan metadata.MD, 10)}
}

func (o *orders) handle(ctx context.Context, request proto.Message) (*orderv1.Order, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	o.calls <- request
	o.header <- md
	if o.answer != nil {
		return o.answer(ctx, request)
	}
	return &orderv1.Order{Name: "orders/1"}, nil
}

func (o *orders) CreateOrder(ctx context.Context, r *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	return o.handle(ctx, r)
}

func (o *orders) GetOrder(ctx context.Context, r *orderv1.GetOrderRequest) (*orderv1.Order, error) {
	return o.handle(ctx, r)
}

func (o *orders) UpdateOrder(ctx context.Context, r *orderv1.UpdateOrderRequest) (*orderv1.Order, error) {
	return o.handle(ctx, r)
}

func (o *orders) CancelOrder(ctx context.Context, r *orderv1.CancelOrderRequest) (*orderv1.Order, error) {
	return o.handle(ctx, r)
}

func (o *orders) ListOrders(ctx context.Context, r *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	_, err := o.handle(ctx, r)
	return &orderv1.ListOrdersResponse{}, err
}

func (o *orders) WatchOrder(r *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
	return o.watch(r, ss)
}

// ordersStarter puts a gateway in front of an order service.
type ordersStarter func(*testing.T, *orders, ...func(*configv1.Config)) *running

// eachWay runs a test by both ways from REST to messages: compiled programs, and generated handlers.
func eachWay(t *testing.T, test func(t *testing.T, startOrders ordersStarter)) {
	t.Helper()
	t.Run("compiled", func(t *testing.T) { test(t, startOrders) })
	t.Run("generated", func(t *testing.T) {
		test(t, func(t *testing.T, o *orders, change ...func(*configv1.Config)) *running {
			t.Helper()
			return start(t, ordersConfig(t, o, change), gateway.WithREST(orderv1.OrderService_ServiceDesc.ServiceName,
				orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient))
		})
	})
}

// startOrders puts a gateway in front of o.
func startOrders(t *testing.T, o *orders, change ...func(*configv1.Config)) *running {
	t.Helper()
	return start(t, ordersConfig(t, o, change))
}

func ordersConfig(t *testing.T, o *orders, change []func(*configv1.Config)) *configv1.Config {
	t.Helper()
	const service = "food.order.v1.OrderService."
	cfg := &configv1.Config{
		Backends: []*configv1.Backend{
			{Name: "order", Target: "static:///" + backend(t, func(s *grpc.Server) { orderv1.RegisterOrderServiceServer(s, o) }), Services: []string{"food.order.v1.OrderService"}},
			{Name: "geo", Target: "static:///127.0.0.1:1", Services: []string{geov1.GeoService_ServiceDesc.ServiceName}},
		},
		Policies: public(service+"CreateOrder", service+"GetOrder", service+"ListOrders", service+"UpdateOrder", service+"WatchOrder"),
	}
	for _, f := range change {
		f(cfg)
	}
	return cfg
}

// answered is an HTTP answer, read to its end.
type answered struct {
	*http.Response
	body string
}

func send(t *testing.T, gw *running, method, path, body string, header ...string) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+gw.address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + gw.address() + path // As written: net/url would normalize the path.
	if i := strings.IndexByte(r.URL.Opaque, '?'); i >= 0 {
		r.URL.Opaque, r.URL.RawQuery = r.URL.Opaque[:i], r.URL.Opaque[i+1:]
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response, string(text)}
}

// statusBody is google.rpc.Status as clients read it.
type statusBody struct {
	Code    int
	Message string
	Details []map[string]any
}

func (a answered) status(t *testing.T) statusBody {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content-type %q", got)
	}
	var s statusBody
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return s
}

func TestRESTBindsPathQueryAndBody(t *testing.T) { eachWay(t, checkRESTBindsPathQueryAndBody) }

func checkRESTBindsPathQueryAndBody(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	gw := startOrders(t, o)
	const jsonType = "application/json"
	for name, tc := range map[string]struct {
		method, path, body, contentType string
		want                            proto.Message
	}{
		"path":                {"GET", "/v1/orders/7", "", "", &orderv1.GetOrderRequest{Name: "orders/7"}},
		"head":                {"HEAD", "/v1/orders/7", "", "", &orderv1.GetOrderRequest{Name: "orders/7"}},
		"path with escapes":   {"GET", "/v1/orders/a%20b%2Fc", "", "", &orderv1.GetOrderRequest{Name: "orders/a b%2Fc"}},
		"literal in disguise": {"GET", "/v1/%6Frders/7", "", "", &orderv1.GetOrderRequest{Name: "orders/7"}},
		"path with a colon":   {"GET", "/v1/orders/a:b", "", "", &orderv1.GetOrderRequest{Name: "orders/a:b"}},
		"query":               {"GET", "/v1/orders?page_size=5&customer=customers%2F9", "", "", &orderv1.ListOrdersRequest{PageSize: 5, Customer: "customers/9"}},
		"query by JSON name":  {"GET", "/v1/orders?pageSize=5", "", "", &orderv1.ListOrdersRequest{PageSize: 5}},
		"body and query":      {"POST", "/v1/orders?request_id=r", `{"note":"x"}`, jsonType, &orderv1.CreateOrderRequest{RequestId: "r", Order: &orderv1.Order{Note: "x"}}},
		"body with charset":   {"POST", "/v1/orders", `{"note":"ü"}`, "application/json; charset=UTF-8", &orderv1.CreateOrderRequest{Order: &orderv1.Order{Note: "ü"}}},
		"body without a type": {"POST", "/v1/orders", `{"note":"x"}`, "", &orderv1.CreateOrderRequest{Order: &orderv1.Order{Note: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			if tc.contentType != "" {
				header = []string{"Content-Type", tc.contentType}
			}
			if a := send(t, gw, tc.method, tc.path, tc.body, header...); a.StatusCode != http.StatusOK {
				t.Fatalf("got %d %s", a.StatusCode, a.body)
			}
			if got := <-o.calls; !proto.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			<-o.header
		})
	}
	a := send(t, gw, "PATCH", "/v1/orders/7", `{"note":"x","items":[]}`, "Content-Type", jsonType)
	got, ok := (<-o.calls).(*orderv1.UpdateOrderRequest)
	if !ok || a.StatusCode != http.StatusOK || got.GetOrder().GetName() != "orders/7" {
		t.Fatalf("PATCH: %d %v", a.StatusCode, got)
	}
	if diff := cmp.Diff(map[string]bool{"note": true, "items": true}, set(got.GetUpdateMask().GetPaths())); diff != "" {
		t.Errorf("the mask made from the body: %s", diff)
	}
}

func set(names []string) map[string]bool {
	s := map[string]bool{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

// TestEachBadRequestIsExplained also makes sure that nothing of a bad request reaches the backend.
func TestEachBadRequestIsExplained(t *testing.T) { eachWay(t, checkEachBadRequestIsExplained) }

func checkEachBadRequestIsExplained(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	gw := startOrders(t, o, func(c *configv1.Config) { c.Limits = &configv1.Limits{MaxMessageBytes: 1000} })
	jsonType := []string{"Content-Type", "application/json"}
	for name, tc := range map[string]struct {
		method, path, body string
		header             []string
		want               int
		says               string
	}{
		"unknown path":                 {"GET", "/v2/orders", "", nil, 404, "no route"},
		"root":                         {"GET", "/", "", nil, 404, "no route"},
		"trailing slash":               {"GET", "/v1/orders/", "", nil, 404, "no route"},
		"wrong method":                 {"DELETE", "/v1/orders/7", "", nil, 405, "allowed: GET, HEAD, PATCH"},
		"wrong method at a verb":       {"PUT", "/v1/orders/7:cancel", "", nil, 405, "allowed: GET, HEAD, PATCH, POST"},
		"not declared public":          {"POST", "/v1/orders/7:cancel", "{}", jsonType, 401, "not declared public"},
		"form instead of JSON":         {"POST", "/v1/orders", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json"},
		"latin-1":                      {"POST", "/v1/orders", "{}", []string{"Content-Type", "application/json; charset=latin1"}, 415, "application/json"},
		"compressed body":              {"POST", "/v1/orders", "{}", append([]string{"Content-Encoding", "gzip"}, jsonType...), 415, "uncompressed"},
		"no JSON":                      {"POST", "/v1/orders", "{", jsonType, 400, "end of the input|unexpected EOF"},
		"unknown field":                {"POST", "/v1/orders", `{"nope":1}`, jsonType, 400, `unknown field "nope"`},
		"wrong type":                   {"POST", "/v1/orders", `{"note":1}`, jsonType, 400, "note"},
		"unknown enum name":            {"POST", "/v1/orders", `{"status":"LOST"}`, jsonType, 400, "LOST"},
		"more after the JSON":          {"POST", "/v1/orders", `{} {}`, jsonType, 400, "expected the end|unexpected token"},
		"duplicate field":              {"POST", "/v1/orders", `{"note":"a","note":"b"}`, jsonType, 400, "duplicate"},
		"invalid UTF-8 in the body":    {"POST", "/v1/orders", "{\"note\":\"\xff\"}", jsonType, 400, "UTF-8"},
		"body too large":               {"POST", "/v1/orders", `{"note":"` + strings.Repeat("x", 1000) + `"}`, jsonType, 413, "1000 bytes"},
		"unknown query parameter":      {"GET", "/v1/orders?custoner=x", "", nil, 400, "custoner"},
		"query below a scalar":         {"GET", "/v1/orders?customer.x=x", "", nil, 400, "customer.x"},
		"query of the wrong type":      {"GET", "/v1/orders?page_size=ten", "", nil, 400, "page_size"},
		"query with a broken escape":   {"GET", "/v1/orders?customer=%zz", "", nil, 400, "percent-encoded"},
		"invalid UTF-8 in the query":   {"GET", "/v1/orders?customer=%ff", "", nil, 400, "UTF-8"},
		"invalid UTF-8 in the path":    {"GET", "/v1/orders/%ff", "", nil, 400, "UTF-8"},
		"malformed timeout":            {"GET", "/v1/orders/7", "", []string{"Grpc-Timeout", "1 minute"}, 400, "grpc-timeout"},
		"malformed binary metadata":    {"GET", "/v1/orders/7", "", []string{"X-Raw-Bin", "***"}, 400, "base64"},
		"mask field that is not there": {"PATCH", "/v1/orders/7", `{"nope":1}`, jsonType, 400, "nope"},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, gw, tc.method, tc.path, tc.body, tc.header...)
			if a.StatusCode != tc.want {
				t.Errorf("got %d %s, want %d", a.StatusCode, a.body, tc.want)
			}
			s := a.status(t)
			if s.Code == 0 || !regexp.MustCompile(tc.says).MatchString(s.Message) || strings.Contains(s.Message, "rpc error") {
				t.Errorf("%+v does not say %q, or too much", s, tc.says)
			}
			if len(s.Details) == 0 || s.Details[0]["domain"] != call.Domain || s.Details[0]["reason"] == "" {
				t.Errorf("details %v", s.Details)
			}
			if allow := a.Header.Get("Allow"); (allow != "") != (tc.want == 405) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
	if len(o.calls) > 0 {
		t.Errorf("the backend got %v", <-o.calls)
	}
}

func TestMethodOverrideHeaderIsIgnored(t *testing.T) { eachWay(t, checkMethodOverrideHeaderIsIgnored) }

func checkMethodOverrideHeaderIsIgnored(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	gw := startOrders(t, newOrders())
	a := send(t, gw, "POST", "/v1/orders/7", "", "X-HTTP-Method-Override", "GET", "Content-Type", "application/x-www-form-urlencoded")
	if a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got %d", a.StatusCode)
	}
}

func TestBackendErrorsOverREST(t *testing.T) { eachWay(t, checkBackendErrorsOverREST) }

func checkBackendErrorsOverREST(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	gw := startOrders(t, o)
	strange := &anypb.Any{TypeUrl: "type.googleapis.com/unknown.v1.Detail", Value: []byte{1, 2}}
	for code, want := range map[codes.Code]int{
		codes.InvalidArgument: 400, codes.NotFound: 404, codes.AlreadyExists: 409, codes.ResourceExhausted: 429,
		codes.Unimplemented: 501, codes.Unavailable: 503, codes.DeadlineExceeded: 504, codes.Internal: 500, codes.Code(77): 500,
	} {
		o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("x-hint", "h", "connection", "close"))
			st, err := status.New(code, "why").WithDetails(&errdetails.ErrorInfo{Reason: "R", Domain: "food"})
			if err != nil {
				return nil, err
			}
			p := st.Proto()
			p.Details = append(p.Details, strange)
			return nil, status.ErrorProto(p)
		}
		a := send(t, gw, "GET", "/v1/orders/7", "")
		<-o.calls
		<-o.header
		s := a.status(t)
		if a.StatusCode != want || s.Code != int(code) || s.Message != "why" {
			t.Errorf("%v: got %d %s", code, a.StatusCode, a.body)
		}
		wantDetails := []map[string]any{
			{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R", "domain": "food"},
			{"@type": strange.GetTypeUrl(), "value": "AQI="},
		}
		if diff := cmp.Diff(wantDetails, s.Details); diff != "" {
			t.Errorf("%v: details: %s", code, diff)
		}
		if got := a.Header.Get("X-Hint"); got != "h" {
			t.Errorf("%v: x-hint: %q", code, got)
		}
	}
}

func TestMetadataOverREST(t *testing.T) { eachWay(t, checkMetadataOverREST) }

func checkMetadataOverREST(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-plain", "p", "x-raw-bin", "\x00\x01"))
		return &orderv1.Order{}, nil
	}
	gw := startOrders(t, o)
	a := send(t, gw, "GET", "/v1/orders/7", "", "X-Tenant", "t", "X-Raw-Bin", "AAE", "Authorization", "Bearer s", "Cookie", "s",
		"Cardea-Subject", "root", "Grpc-Metadata-Cardea-Subject", "root", "X-Forwarded-For", "1.2.3.4", "X-Hop", "h", "Connection", "x-hop")
	<-o.calls
	md := <-o.header
	for name, want := range map[string][]string{
		"x-tenant": {"t"}, "x-raw-bin": {"\x00\x01"},
		"authorization": nil, "cookie": nil, "cardea-subject": nil, "x-forwarded-for": {"127.0.0.1"}, "x-hop": nil, "grpcgateway-authorization": nil,
	} {
		if diff := cmp.Diff(want, md[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if a.Header.Get("X-Plain") != "p" || a.Header.Get("X-Raw-Bin") != "AAE" {
		t.Errorf("answer: %v", a.Header)
	}
}

// lines reads an NDJSON answer.
func lines(t *testing.T, body string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for scanner := bufio.NewScanner(strings.NewReader(body)); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("%v in %q", err, scanner.Text())
		}
		all = append(all, line)
	}
	return all
}

func TestStreamOverREST(t *testing.T) { eachWay(t, checkStreamOverREST) }

func checkStreamOverREST(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	gw := startOrders(t, o)
	message := &orderv1.WatchOrderResponse{}
	send1 := func(ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error { return ss.Send(message) }
	ok := map[string]any{"@status": map[string]any{"code": 0.0, "message": "", "details": []any{}}}
	lost := map[string]any{"@status": map[string]any{"code": 15.0, "message": "lost", "details": []any{}}}
	for name, tc := range map[string]struct {
		watch func(*orderv1.WatchOrderRequest, grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error
		want  int
		lines []map[string]any
	}{
		"two messages": {func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			_ = send1(ss)
			return send1(ss)
		}, 200, []map[string]any{{}, {}, ok}},
		"none": {func(*orderv1.WatchOrderRequest, grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			return nil
		}, 200, []map[string]any{ok}},
		"error after the first": {func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			_ = send1(ss)
			return status.Error(codes.DataLoss, "lost")
		}, 200, []map[string]any{{}, lost}},
		"error at once": {func(*orderv1.WatchOrderRequest, grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			return status.Error(codes.NotFound, "no such order")
		}, 404, []map[string]any{{"code": 5.0, "message": "no such order", "details": []any{}}}},
		"error after the header": {func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
			_ = ss.SendHeader(nil)
			return status.Error(codes.NotFound, "no such order")
		}, 404, []map[string]any{{"code": 5.0, "message": "no such order", "details": []any{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			o.watch = tc.watch
			a := send(t, gw, "GET", "/v1/orders/7:watch", "")
			if a.StatusCode != tc.want {
				t.Errorf("got %d", a.StatusCode)
			}
			if diff := cmp.Diff(tc.lines, lines(t, a.body)); diff != "" {
				t.Error(diff)
			}
			if want := "application/x-ndjson"; tc.want == 200 && a.Header.Get("Content-Type") != want {
				t.Errorf("content-type %q", a.Header.Get("Content-Type"))
			}
		})
	}
}

func TestStreamOverRESTArrivesMessageByMessage(t *testing.T) {
	eachWay(t, checkStreamOverRESTArrivesMessageByMessage)
}

func checkStreamOverRESTArrivesMessageByMessage(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	proceed := make(chan struct{})
	o := newOrders()
	o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
		if err := ss.Send(&orderv1.WatchOrderResponse{}); err != nil {
			return err
		}
		<-proceed
		return nil
	}
	gw := startOrders(t, o)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+gw.address()+"/v1/orders/7:watch", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	reader := bufio.NewReader(answer.Body)
	if line, err := reader.ReadBytes('\n'); err != nil || !bytes.HasPrefix(line, []byte("{")) {
		t.Fatalf("%q %v", line, err) // While the backend still waits.
	}
	close(proceed)
	if rest, err := io.ReadAll(reader); err != nil || !strings.Contains(string(rest), "@status") {
		t.Errorf("%q %v", rest, err)
	}
}

func TestDisconnectOverRESTCancelsBackendCall(t *testing.T) {
	eachWay(t, checkDisconnectOverRESTCancelsBackendCall)
}

func checkDisconnectOverRESTCancelsBackendCall(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	for name, version := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2":   func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan struct{}, 2), make(chan struct{}, 2)
			o := newOrders()
			o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
				began <- struct{}{}
				<-ctx.Done()
				ended <- struct{}{}
				return nil, ctx.Err()
			}
			o.watch = func(_ *orderv1.WatchOrderRequest, ss grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
				began <- struct{}{}
				<-ss.Context().Done()
				ended <- struct{}{}
				return ss.Context().Err()
			}
			gw := startOrders(t, o)
			transport := &http.Transport{Protocols: new(http.Protocols)}
			version(transport.Protocols)
			defer transport.CloseIdleConnections()
			for _, path := range []string{"/v1/orders/7", "/v1/orders/7:watch"} {
				ctx, cancel := context.WithCancel(t.Context())
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+gw.address()+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					<-began
					cancel()
				}()
				if answer, err := transport.RoundTrip(r); err == nil {
					answer.Body.Close()
				}
				await(t, ended, path+": the backend's call was not canceled")
			}
		})
	}
}

func TestDeadlineOverREST(t *testing.T) { eachWay(t, checkDeadlineOverREST) }

func checkDeadlineOverREST(t *testing.T, startOrders ordersStarter) {
	t.Helper()
	o := newOrders()
	o.answer = func(ctx context.Context, _ proto.Message) (*orderv1.Order, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	gw := startOrders(t, o)
	if a := send(t, gw, "GET", "/v1/orders/7", "", "Grpc-Timeout", "100m"); a.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

// TestRESTAndGRPCOnOneConnection mixes both on one HTTP/2 connection.
func TestRESTAndGRPCOnOneConnection(t *testing.T) {
	o := newOrders()
	gw := startOrders(t, o)
	transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	wire, err := proto.Marshal(&orderv1.GetOrderRequest{Name: "orders/7"})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{0, 0, 0, 0, byte(len(wire))}, wire...)
	for range 3 {
		for contentType, request := range map[string]func() (*http.Request, error){
			"application/json": func() (*http.Request, error) {
				return http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+gw.address()+"/v1/orders/7", http.NoBody)
			},
			"application/grpc": func() (*http.Request, error) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gw.address()+"/food.order.v1.OrderService/GetOrder", bytes.NewReader(frame))
				if err == nil {
					r.Header.Set("Content-Type", "application/grpc")
				}
				return r, err
			},
		} {
			r, err := request()
			if err != nil {
				t.Fatal(err)
			}
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != contentType || len(body) == 0 {
				t.Errorf("%s: %d %v %q", contentType, answer.StatusCode, answer.Header, body)
			}
			if contentType == "application/grpc" && answer.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("trailers %v", answer.Trailer)
			}
		}
	}
}
