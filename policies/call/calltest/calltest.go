// Package calltest runs a policy against a call made up by a test, without a gateway, a client or a backend.
//
//	got := calltest.Run(teapot.Interceptor(opt), calltest.Call{
//		Method: &call.Method{FullName: "/tea.v1.TeaService/Brew"},
//		Header: call.MapHeader{"x-wants": {"coffee"}},
//	})
//	if got.Passed || call.Reason(got.Err) != "TEAPOT" { ... }
package calltest

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/policies/call"
)

// Call describes a call; the zero value is a call of an unnamed unary method without headers and messages.
type Call struct {
	// Context is what the call's context derives from; nil is the background.
	Context context.Context //nolint:containedctx // It is what a test says of one call.
	// Method is what is called.
	Method *call.Method
	// Header is what the client sent beside its messages.
	Header call.Header
	// Principal is who calls; nil before authentication.
	Principal *call.Principal
	// Message is the one request message of a unary method, as it is once the first message was read; nil before that.
	Message proto.Message
	// Requests are what RecvMsg returns, one after another; then io.EOF.
	Requests []proto.Message
	// End stands for the rest of the chain and the backend; nil succeeds at once.
	End grpc.StreamHandler
}

// Result is what became of a call.
type Result struct {
	// Err is what the policy returned.
	Err error
	// Status is Err as a status.
	Status *status.Status
	// Passed is true if the policy let the call pass, to the rest of the chain.
	Passed bool
	// Call is the call after the policy has seen it.
	Call *call.Call
	// Answers are the wire bytes that were sent to the client.
	Answers [][]byte
	// Header and Trailer are the metadata of the answer.
	Header, Trailer metadata.MD
}

// Run runs one interceptor on a call. It panics if a message can't be encoded.
func Run(interceptor grpc.StreamServerInterceptor, c Call) Result {
	s, result := newStream(c)
	end := func(srv any, ss grpc.ServerStream) error {
		result.Passed = true
		if c.End == nil {
			return nil
		}
		return c.End(srv, ss)
	}
	m := result.Call.Method()
	info := &grpc.StreamServerInfo{FullMethod: m.FullName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams}
	result.Err = interceptor(nil, s, info, end)
	result.Status = status.Convert(result.Err)
	result.Answers, result.Header, result.Trailer = s.answers, s.header, s.trailer
	return *result
}

func newStream(c Call) (*stream, *Result) {
	if c.Method == nil {
		c.Method = &call.Method{}
	}
	if c.Context == nil {
		c.Context = context.Background()
	}
	made := call.New(c.Method, c.Header)
	made.SetPrincipal(c.Principal)
	if c.Message != nil {
		made.SetMessage(wire(c.Message))
	}
	return &stream{ctx: call.NewContext(c.Context, made), requests: c.Requests}, &Result{Call: made}
}

func wire(m proto.Message) *call.Message {
	message, err := call.MessageOf(m)
	if err != nil {
		panic(err)
	}
	return message
}

// stream is the grpc.ServerStream of one call.
type stream struct {
	ctx             context.Context //nolint:containedctx // That is what a grpc.ServerStream is.
	requests        []proto.Message
	answers         [][]byte
	header, trailer metadata.MD
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) SetHeader(md metadata.MD) error {
	s.header = metadata.Join(s.header, md)
	return nil
}

func (s *stream) SendHeader(md metadata.MD) error { return s.SetHeader(md) }
func (s *stream) SetTrailer(md metadata.MD)       { s.trailer = metadata.Join(s.trailer, md) }

func (s *stream) RecvMsg(m any) error {
	if len(s.requests) == 0 {
		return io.EOF
	}
	m.(*call.Message).Reset(wire(s.requests[0]).Take())
	s.requests = s.requests[1:]
	return nil
}

func (s *stream) SendMsg(m any) error {
	message := m.(*call.Message)
	s.answers = append(s.answers, message.Bytes())
	message.Free()
	return nil
}
