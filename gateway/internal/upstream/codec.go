package upstream

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"github.com/cardea-gateway/cardea/policies/call"
)

// rawCodec moves messages between grpc and the gateway without looking into them. It is named after the encoding that
// the bytes have, so that the content type stays the usual one.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

// Marshal hands the bytes, with their reference, to grpc.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*call.Message)
	if !ok {
		return nil, fmt.Errorf("upstream: %T is no *call.Message", v)
	}
	return m.Take(), nil
}

// Unmarshal takes a reference: grpc frees its own when it returns.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*call.Message)
	if !ok {
		return fmt.Errorf("upstream: %T is no *call.Message", v)
	}
	data.Ref()
	m.Reset(data)
	return nil
}
