package main

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// knownAnswers is how many right answers a verifier remembers: the backend may write the entries of a map in another order
// each time, and a gateway may keep it.
const knownAnswers = 8

// verifier checks answers of one way to one scenario. It decodes an answer and compares the message, so that spaces, unset
// fields and the order of fields are the gateway's choice; the bytes of an answer that was right are right again, so that
// checking costs the load generator next to nothing.
type verifier struct {
	want   proto.Message
	decode func([]byte, proto.Message) error
	right  atomic.Pointer[[][]byte] // Replaced, never changed.
}

func newVerifier(protocol string, want proto.Message) *verifier {
	v := &verifier{want: want, decode: proto.Unmarshal}
	if protocol == rest {
		v.decode = protojson.Unmarshal
	}
	v.right.Store(new([][]byte))
	return v
}

// check returns an error for an answer that is not the expected one.
func (v *verifier) check(answer []byte) error {
	right := *v.right.Load()
	if slices.ContainsFunc(right, func(known []byte) bool { return bytes.Equal(known, answer) }) {
		return nil
	}
	got := v.want.ProtoReflect().New().Interface()
	if err := v.decode(answer, got); err != nil {
		return fmt.Errorf("answer %.200q: %w", answer, err)
	}
	if !proto.Equal(got, v.want) {
		return fmt.Errorf("unexpected answer %.200q", answer)
	}
	if len(right) < knownAnswers { // Who comes at the same time may win, and this answer is decoded once more.
		v.right.Store(new(append(slices.Clip(right), bytes.Clone(answer))))
	}
	return nil
}

// size returns the bytes of an answer.
func (v *verifier) size() int {
	for _, known := range *v.right.Load() {
		return len(known)
	}
	return 0
}
