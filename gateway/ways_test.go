package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/cardea-gateway/cardea/gateway"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	deliveryv1 "github.com/cardea-gateway/cardea/gen/go/food/delivery/v1"
	geov1 "github.com/cardea-gateway/cardea/gen/go/food/geo/v1"
	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
	paymentv1 "github.com/cardea-gateway/cardea/gen/go/food/payment/v1"
)

// bytesCodec lets a server see and send the wire itself.
type bytesCodec struct{}

var _ encoding.Codec = bytesCodec{}

func (bytesCodec) Name() string                  { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}

// echoless is a server of every method: it keeps what it gets, and answers with every field set.
type echoless struct {
	mu  sync.Mutex
	got [][]byte
}

func (e *echoless) handle(_ any, ss grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(ss)
	md := methodNamed(name)
	for {
		var request []byte
		err := ss.RecvMsg(&request)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.got = append(e.got, request)
		e.mu.Unlock()
		if !md.IsStreamingClient() {
			break
		}
	}
	answer, err := proto.Marshal(filled(md.Output(), 0))
	if err != nil {
		return err
	}
	for range map[bool]int{false: 1, true: 3}[md.IsStreamingServer()] {
		if err := ss.SendMsg(&answer); err != nil {
			return err
		}
	}
	return nil
}

// take returns the requests that came since it was last asked.
func (e *echoless) take() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

func methodNamed(name string) protoreflect.MethodDescriptor {
	service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + method))
	if err != nil {
		panic(err)
	}
	return found.(protoreflect.MethodDescriptor)
}

// filled returns a message with all fields set, to some depth.
func filled(md protoreflect.MessageDescriptor, depth int) proto.Message {
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		panic(err)
	}
	m := mt.New()
	switch md.FullName() {
	case "google.protobuf.FieldMask":
		m.Mutable(md.Fields().ByName("paths")).List().Append(protoreflect.ValueOfString("note"))
		return m.Interface()
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		m.Set(md.Fields().ByName("seconds"), protoreflect.ValueOfInt64(1e9))
		return m.Interface()
	case "google.protobuf.Any":
		return m.Interface()
	}
	for i := range md.Fields().Len() {
		switch f := md.Fields().Get(i); {
		case f.Message() != nil && !f.IsMap() && depth > 3:
		case f.IsList():
			list := m.Mutable(f).List()
			for range 2 {
				list.Append(valueOf(f, depth))
			}
		case f.IsMap():
			m.Mutable(f).Map().Set(valueOf(f.MapKey(), depth).MapKey(), valueOf(f.MapValue(), depth))
		default:
			m.Set(f, valueOf(f, depth))
		}
	}
	return m.Interface()
}

func valueOf(f protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(-7)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(1 << 33)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(7)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1 << 63)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(-2.25)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 255, '?'})
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return protoreflect.ValueOfMessage(filled(f.Message(), depth+1).ProtoReflect())
	default:
		return protoreflect.ValueOfString(string(f.Name()) + ` "ü" & more`)
	}
}

// foodServices are the example services, with their generated handlers.
func foodServices() map[string]gateway.Option {
	return map[string]gateway.Option{
		"food.order.v1.OrderService":         gateway.WithREST("food.order.v1.OrderService", orderv1.NewOrderServiceClient, orderv1.RegisterOrderServiceHandlerClient),
		"food.inventory.v1.InventoryService": gateway.WithREST("food.inventory.v1.InventoryService", inventoryv1.NewInventoryServiceClient, inventoryv1.RegisterInventoryServiceHandlerClient),
		"food.payment.v1.PaymentService":     gateway.WithREST("food.payment.v1.PaymentService", paymentv1.NewPaymentServiceClient, paymentv1.RegisterPaymentServiceHandlerClient),
		"food.delivery.v1.DeliveryService":   gateway.WithREST("food.delivery.v1.DeliveryService", deliveryv1.NewDeliveryServiceClient, deliveryv1.RegisterDeliveryServiceHandlerClient),
		"food.geo.v1.GeoService":             gateway.WithREST("food.geo.v1.GeoService", geov1.NewGeoServiceClient, geov1.RegisterGeoServiceHandlerClient),
	}
}

// example is a request of the food API over REST.
type example struct{ name, method, path, body string }

// examplesOf returns requests for each way to call a method: one with every field set, and one with none but the path.
func examplesOf(t *testing.T, md protoreflect.MethodDescriptor) (all []example) {
	t.Helper()
	set, err := schema.NewSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := set.Rules(md)
	if err != nil {
		t.Fatal(err)
	}
	for i, rule := range rules {
		name := fmt.Sprintf("%s %d", md.Name(), i)
		path := rule.Template.Example()
		all = append(all, example{name + " bare", rule.HTTPMethod, path, map[bool]string{true: "{}"}[rule.Body != ""]})
		request := filled(md.Input(), 0)
		for _, v := range rule.Template.Variables() {
			clearField(request.ProtoReflect(), v.FieldPath)
		}
		e := example{name: name + " full", method: rule.HTTPMethod, path: path}
		switch rule.Body {
		case "*":
			e.body = jsonOf(t, request)
		case "":
			e.path += queryOf(request.ProtoReflect())
		default:
			f := md.Input().Fields().ByName(protoreflect.Name(rule.Body))
			e.body = jsonOf(t, request.ProtoReflect().Get(f).Message().Interface())
			request.ProtoReflect().Clear(f)
			e.path += queryOf(request.ProtoReflect())
		}
		all = append(all, e)
	}
	return all
}

func clearField(m protoreflect.Message, path string) {
	name, rest, more := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if more {
		clearField(m.Mutable(f).Message(), rest)
		return
	}
	m.Clear(f)
}

func jsonOf(t *testing.T, m proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// queryOf returns the fields that are set and have a form in a query.
func queryOf(m protoreflect.Message) string {
	values := url.Values{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() == nil:
			for i := range v.List().Len() {
				values.Add(string(f.Name()), text(f, v.List().Get(i)))
			}
		case f.Message() == nil:
			values.Set(f.JSONName(), text(f, v))
		case f.Message().FullName() == "google.protobuf.FieldMask":
			values.Set(string(f.Name()), "note,items")
		}
		return true
	})
	return "?" + values.Encode()
}

func text(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.Enum() != nil {
		return string(f.Enum().Values().ByNumber(v.Enum()).Name())
	}
	return v.String()
}

// TestBothWaysAgree sends requests for every method of the food API through compiled programs and through generated
// handlers: the backend must get the same, and the client, too.
func TestBothWaysAgree(t *testing.T) {
	server := &echoless{}
	address := backend(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(server.handle), grpc.ForceServerCodec(bytesCodec{}))
	services := foodServices()
	config := func() *configv1.Config {
		cfg := &configv1.Config{Backends: []*configv1.Backend{{
			Name: "food", Target: "static:///" + address, HealthCheck: &configv1.HealthCheck{Disabled: true}, // It would be counted.
		}}}
		var selectors []string
		for name := range services {
			cfg.Backends[0].Services = append(cfg.Backends[0].Services, name)
			methods := serviceNamed(t, name).Methods()
			for i := range methods.Len() {
				selectors = append(selectors, string(methods.Get(i).FullName()))
			}
		}
		cfg.Policies = public(selectors...)
		return cfg
	}
	var options []gateway.Option
	for _, option := range services {
		options = append(options, option)
	}
	compiled, generated := start(t, config()), start(t, config(), options...)
	for name := range services {
		methods := serviceNamed(t, name).Methods()
		for i := range methods.Len() {
			md := methods.Get(i)
			for _, e := range examplesOf(t, md) {
				t.Run(e.name, func(t *testing.T) { checkBothWays(t, md, e, server, compiled, generated) })
			}
		}
	}
}

func serviceNamed(t *testing.T, name string) protoreflect.ServiceDescriptor {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	return found.(protoreflect.ServiceDescriptor)
}

func checkBothWays(t *testing.T, md protoreflect.MethodDescriptor, e example, server *echoless, compiled, generated *running) {
	t.Helper()
	var header []string
	if e.body != "" {
		header = []string{"Content-Type", "application/json"}
	}
	one := send(t, compiled, e.method, e.path, e.body, header...)
	oneGot := requestsOf(t, md, server.take())
	other := send(t, generated, e.method, e.path, e.body, header...)
	otherGot := requestsOf(t, md, server.take())
	if one.StatusCode != http.StatusOK || len(oneGot) != 1 {
		t.Errorf("%s %s %s: got %d %s, and the backend %d messages", e.method, e.path, e.body, one.StatusCode, one.body, len(oneGot))
	}
	if diff := cmp.Diff(otherGot, oneGot, protocmp.Transform()); diff != "" {
		t.Errorf("what the backend got: -generated +compiled\n%s", diff)
	}
	if one.StatusCode != other.StatusCode || one.Header.Get("Content-Type") != other.Header.Get("Content-Type") {
		t.Errorf("answers: %d %v, generated %d %v", one.StatusCode, one.Header, other.StatusCode, other.Header)
	}
	if diff := cmp.Diff(canonical(t, other.body), canonical(t, one.body)); diff != "" {
		t.Errorf("the answer: -generated +compiled\n%s", diff)
	}
}

func requestsOf(t *testing.T, md protoreflect.MethodDescriptor, wires [][]byte) (all []proto.Message) {
	t.Helper()
	for _, wire := range wires {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(md.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		m := mt.New().Interface()
		if err := proto.Unmarshal(wire, m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// canonical reads JSON, or lines of it.
func canonical(t *testing.T, body string) (all []any) {
	t.Helper()
	for decoder := json.NewDecoder(strings.NewReader(body)); ; {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		all = append(all, value)
	}
}
