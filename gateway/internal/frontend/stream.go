package frontend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/cardea-gateway/cardea/policies/call"
)

// run runs a call's chain on a stream, in a context with all that a grpc.StreamServerInterceptor may ask for.
func (p *Plan) run(ctx context.Context, x Exchange, c *call.Call, bind func(context.Context) grpc.ServerStream) error {
	return protect(func() error {
		ctx := call.NewContext(peer.NewContext(ctx, peerOf(x, c.Reception())), c)
		if p.WantsMetadata {
			md, err := received(x, c.Reception())
			if err != nil {
				return err
			}
			ctx = metadata.NewIncomingContext(ctx, md)
		}
		ts := &transportStream{method: c.Method().FullName}
		ts.ss = bind(grpc.NewContextWithServerTransportStream(ctx, ts))
		return p.Handler(nil, ts.ss)
	})
}

// protect turns a panic outside the chain's own recovery into an error, so that one call can't end the process.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// transportStream lets grpc.SetHeader and its kin work in interceptors.
type transportStream struct {
	method string
	ss     grpc.ServerStream
}

func (t *transportStream) Method() string                  { return t.method }
func (t *transportStream) SetHeader(md metadata.MD) error  { return t.ss.SetHeader(md) }
func (t *transportStream) SendHeader(md metadata.MD) error { return t.ss.SendHeader(md) }

func (t *transportStream) SetTrailer(md metadata.MD) error {
	t.ss.SetTrailer(md)
	return nil
}

// errHeaderSent is what a policy gets that sets a header too late.
var errHeaderSent = errors.New("the header of the answer was sent already")

// answerMetadata gathers the metadata of an answer. It is safe for concurrent use, as interceptors expect of a stream.
type answerMetadata struct {
	mu      sync.Mutex
	header  metadata.MD
	trailer metadata.MD
	sent    bool
}

func (a *answerMetadata) SetHeader(md metadata.MD) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent {
		return errHeaderSent
	}
	a.header = join(a.header, md)
	return nil
}

func (a *answerMetadata) SetTrailer(md metadata.MD) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trailer = join(a.trailer, md)
}

// take marks the header as sent and returns it; ok is false if it was sent before.
func (a *answerMetadata) take() (header metadata.MD, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent {
		return nil, false
	}
	a.sent = true
	return a.header, true
}

// gathered returns all of it, once the chain has ended and nobody adds any more.
func (a *answerMetadata) gathered() (header, trailer metadata.MD) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header, a.trailer
}

func join(to, from metadata.MD) metadata.MD {
	if len(from) == 0 {
		return to
	}
	if to == nil {
		return maps.Clone(from)
	}
	for name, values := range from {
		to[name] = append(slices.Clip(to[name]), values...)
	}
	return to
}
