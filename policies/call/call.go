package call

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Method is what is known of a method when the configuration is loaded. It is shared by all calls: never change it.
type Method struct {
	// FullName is the name on the wire: "/food.order.v1.OrderService/GetOrder".
	FullName string
	// Service is the full name of the service: "food.order.v1.OrderService".
	Service string
	// Name is the short name of the method: "GetOrder". It is "*" where the contract of a service is not known and the
	// configuration does not name the method.
	Name string
	// ClientStreams and ServerStreams say which sides send more than one message. Both are true where the contract is
	// not known.
	ClientStreams, ServerStreams bool
	// Input and Output describe the messages. Both are nil where the contract is not known.
	Input, Output protoreflect.MessageDescriptor
	// Backend is the name of the backend that serves the method; empty where the gateway answers by itself.
	Backend string
}

// Header looks up what the client sent beside its messages: HTTP headers or gRPC metadata, the same thing here.
type Header interface {
	// Get returns the first value of a header, or "" where there is none. Names are lower case.
	Get(name string) string
	// Values returns all values of a header. The caller must not change them.
	Values(name string) []string
	// Range calls f for each header, name in lower case, until f returns false.
	Range(f func(name string, values []string) bool)
}

// Call is one RPC on its way through the gateway. Front ends put one into the context; policies read and complete it.
// It belongs to the goroutine that runs the call's chain: only Go is safe for concurrent use.
type Call struct {
	method    *Method
	header    Header
	principal *Principal
	message   *Message
	upstream  Upstream
	reception *Reception
	running   sync.WaitGroup
}

// Upstream is what became of a call on the far side of the gateway.
type Upstream struct {
	// Instance is the address of the instance that was asked; empty where none was.
	Instance string
	// Answered is true once the backend ended the call by itself: its trailers arrived.
	Answered bool
	// Err is the error with which the backend ended the call, as it said it; nil where it succeeded or did not answer.
	Err error
}

// New returns the call of one method. A nil header is an empty one.
func New(method *Method, header Header) *Call {
	if header == nil {
		header = MapHeader(nil)
	}
	return &Call{method: method, header: header}
}

// Method returns what is known of the method that is called.
func (c *Call) Method() *Method { return c.method }

// Header returns what the client sent beside its messages.
func (c *Call) Header() Header { return c.header }

// Principal returns who is calling; nil until a policy has found that out.
func (c *Call) Principal() *Principal { return c.principal }

// SetPrincipal records who is calling. Authentication policies use it.
func (c *Call) SetPrincipal(p *Principal) { c.principal = p }

// Message returns the one request message of a method without client streaming; nil before it was read, and always for
// client streams, whose messages pass through RecvMsg. The Call keeps it: take a reference to keep it longer.
func (c *Call) Message() *Message { return c.message }

// SetMessage gives the call its one request message, and with it the caller's reference.
func (c *Call) SetMessage(m *Message) { c.message = m }

// TakeMessage hands over the request message, if there is one: the Call has none any more.
func (c *Call) TakeMessage() *Message {
	m := c.message
	c.message = nil
	return m
}

// Upstream returns what became of the call on the far side; logs and metrics read it after the chain has run.
func (c *Call) Upstream() Upstream { return c.upstream }

// SetUpstream records what became of the call on the far side.
func (c *Call) SetUpstream(u Upstream) { c.upstream = u }

// Go runs f beside the chain; the call does not end before f has returned. When the chain returns, the context of the
// stream is canceled and the request's body closed, so an f that waits for either returns soon. A panic in f does not end
// the process: failed is called with it as an error instead.
func (c *Call) Go(f func(), failed func(error)) {
	c.running.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				failed(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		f()
	})
}

// Wait returns once all that Go started has returned. Front ends call it before they end the call.
func (c *Call) Wait() { c.running.Wait() }

type contextKey struct{}

// NewContext returns a context that carries the call.
func NewContext(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the call that the context carries. Where there is none it returns an empty call rather than nil,
// so that a policy mounted in some other server refuses instead of crashing.
func FromContext(ctx context.Context) *Call {
	if c, ok := ctx.Value(contextKey{}).(*Call); ok {
		return c
	}
	return New(&Method{}, nil)
}

// MapHeader is a [Header] made of a map; keys are lower case. The nil map is an empty header.
type MapHeader map[string][]string

// Get returns the first value of a header.
func (h MapHeader) Get(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values returns all values of a header.
func (h MapHeader) Values(name string) []string { return h[name] }

// Range calls f for each header until f returns false, in no particular order.
func (h MapHeader) Range(f func(name string, values []string) bool) {
	for name, values := range h {
		if !f(name, values) {
			return
		}
	}
}
