// Package raw passes gRPC messages on as the bytes that came.
package raw

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// Frame is one message. Marshaling gives its buffers away: a frame is sent once.
type Frame struct{ Data mem.BufferSlice }

// Codec moves frames without a look inside.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// Name makes the content type the usual one.
func (Codec) Name() string { return "proto" }

// Marshal takes the buffers of a frame.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	frame, ok := v.(*Frame)
	if !ok {
		return nil, fmt.Errorf("raw: %T is not a frame", v)
	}
	return frame.Data, nil
}

// Unmarshal keeps the buffers for the frame.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	frame, ok := v.(*Frame)
	if !ok {
		return fmt.Errorf("raw: %T is not a frame", v)
	}
	data.Ref()
	frame.Data = data
	return nil
}
