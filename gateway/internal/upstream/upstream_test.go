package upstream

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cardea-gateway/cardea/policies/call"
)

func TestChainKeepsTheOrder(t *testing.T) {
	var order []string
	note := func(name string) grpc.StreamClientInterceptor {
		return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			order = append(order, name)
			return next(ctx, desc, cc, method, opts...)
		}
	}
	end := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		order = append(order, "end")
		return nil, nil
	}
	if _, err := chain(end, note("a"), note("b"))(t.Context(), nil, nil, ""); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "a b end" {
		t.Errorf("got %s", got)
	}
}

func TestRawCodecMovesReferences(t *testing.T) {
	m := call.NewMessage(mem.BufferSlice{mem.SliceBuffer("abc")})
	data, err := rawCodec{}.Marshal(m)
	if err != nil || string(data.Materialize()) != "abc" || m.Len() != 0 {
		t.Errorf("Marshal: %q, %d left, %v", data.Materialize(), m.Len(), err)
	}
	back := new(call.Message)
	if err := (rawCodec{}).Unmarshal(data, back); err != nil || string(back.Bytes()) != "abc" {
		t.Errorf("Unmarshal: %q, %v", back.Bytes(), err)
	}
	if _, err := (rawCodec{}).Marshal(wrapperspb.String("x")); err == nil {
		t.Error("a message object was taken for bytes")
	}
	if err := (rawCodec{}).Unmarshal(data, wrapperspb.String("x")); err == nil {
		t.Error("a message object was filled with bytes")
	}
}
