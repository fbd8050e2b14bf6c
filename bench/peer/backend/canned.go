package main

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // The codec to fall back on.
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// canned is the usual codec, except that some answers are encoded once: the backend has to be much cheaper than the gateway
// under test, which would be waiting for it otherwise.
type canned struct {
	encoding.CodecV2

	answers map[any][]byte
}

func newCanned(answers ...proto.Message) (canned, error) {
	c := canned{CodecV2: encoding.GetCodecV2("proto"), answers: map[any][]byte{}}
	for _, answer := range answers {
		data, err := proto.Marshal(answer)
		if err != nil {
			return c, err
		}
		c.answers[answer] = data
	}
	return c, nil
}

// Marshal knows canned answers by their address.
func (c canned) Marshal(v any) (mem.BufferSlice, error) {
	if data, ok := c.answers[v]; ok {
		return mem.BufferSlice{mem.SliceBuffer(data)}, nil
	}
	return c.CodecV2.Marshal(v)
}
