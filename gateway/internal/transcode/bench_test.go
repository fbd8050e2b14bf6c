package transcode

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

func order(i int) *orderv1.Order {
	o := &orderv1.Order{
		Name:            fmt.Sprintf("orders/%08d", i),
		Customer:        "customers/ada-lovelace",
		Restaurant:      "restaurants/trattoria-del-cardine",
		DeliveryAddress: "12 Hinge Street, 3rd floor",
		Total:           &money.Money{CurrencyCode: "EUR", Units: int64(20 + i%50), Nanos: 500000000},
		Status:          orderv1.Order_Status(1 + i%6),
		CreateTime:      &timestamppb.Timestamp{Seconds: 1780000000 + int64(i)*61, Nanos: 123456789},
		UpdateTime:      &timestamppb.Timestamp{Seconds: 1780000300 + int64(i)*61},
		Labels:          map[string]string{"channel": "web", "campaign": "spring-2026", "priority": "normal"},
	}
	if i%7 == 0 {
		o.Note = "Ring twice, \"please\": the dog – Käthe – sleeps"
	}
	for n := range 2 + i%3 {
		o.Items = append(o.Items, &orderv1.OrderItem{MenuItem: []string{"margherita", "quattro-formaggi", "tiramisu", "acqua"}[n], Quantity: int32(1 + n)})
	}
	return o
}

// orders returns a list whose JSON has about so many bytes.
func orders(size int) *orderv1.ListOrdersResponse {
	l := &orderv1.ListOrdersResponse{NextPageToken: "eyJvZmZzZXQiOjEwMH0"}
	for i := 0; ; i++ {
		if b, _ := protojson.Marshal(l); len(b)+400 > size {
			return l
		}
		for range max(1, size/8000) {
			l.Orders = append(l.Orders, order(i))
			i++
		}
	}
}

var corpus = []struct {
	name    string
	message proto.Message
}{
	{"item-200B", &orderv1.Order{
		Name: "orders/1", Customer: "customers/ada", Restaurant: "restaurants/trattoria", Status: 2, DeliveryAddress: "12 Hinge Street",
		Items: []*orderv1.OrderItem{{MenuItem: "margherita", Quantity: 2}},
	}},
	{"orders-2KB", orders(2100)},
	{"orders-64KB", orders(65000)},
	{"orders-1MB", orders(1 << 20)},
	{"places-64KB", restaurants()},
	{"text-64KB", &orderv1.CancelOrderRequest{Reason: strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1440)}},
}

var benchCompiler = New(Options{})

func BenchmarkToJSON(b *testing.B) {
	for _, c := range corpus {
		wire, _ := proto.MarshalOptions{Deterministic: true}.Marshal(c.message)
		text, _ := protojson.Marshal(c.message)
		p, _ := benchCompiler.Message(c.message.ProtoReflect().Descriptor())
		b.Run("engine/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = p.AppendJSON(buf[:0], wire); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("protojson/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m := c.message.ProtoReflect().New().Interface()
				if err := proto.Unmarshal(wire, m); err != nil {
					b.Fatal(err)
				}
				if _, err := protojson.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkToWire(b *testing.B) {
	for _, c := range corpus {
		text, _ := protojson.Marshal(c.message)
		p, _ := benchCompiler.Message(c.message.ProtoReflect().Descriptor())
		b.Run("engine/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = p.AppendWire(buf[:0], text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("protojson/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m := c.message.ProtoReflect().New().Interface()
				if err := protojson.Unmarshal(text, m); err != nil {
					b.Fatal(err)
				}
				if _, err := proto.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// restaurants is a list of short messages with floating-point coordinates.
func restaurants() *inventoryv1.ListRestaurantsResponse {
	l := &inventoryv1.ListRestaurantsResponse{}
	for i := range 330 {
		l.Restaurants = append(l.Restaurants, &inventoryv1.Restaurant{
			Name: fmt.Sprintf("restaurants/%06d", i), DisplayName: "Trattoria del Cardine", Cuisine: "italian", Address: "12 Hinge Street",
			Location: &latlng.LatLng{Latitude: 41.9 + float64(i)/1237, Longitude: 12.5 - float64(i)/991},
		})
	}
	return l
}
