package frontend

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/policies/call"
)

// chainConn is the connection of the generated clients: a call on it runs the chain of the method's plan, in process.
type chainConn struct{}

var _ grpc.ClientConnInterface = chainConn{}

// Invoke runs a unary call, on the caller's goroutine.
func (chainConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	rc := restCallFrom(ctx)
	request, err := encode(args)
	if err != nil {
		return err
	}
	s := &unaryStream{request: request}
	rc.answer = &s.answerMetadata
	err = rc.run(ctx, method, func(ctx context.Context) grpc.ServerStream {
		s.ctx = ctx
		return s
	})
	s.applyTo(opts)
	if err != nil {
		return err
	}
	return s.decode(reply)
}

// NewStream runs a streaming call on a goroutine of its own, which ends before the call does.
func (chainConn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	rc := restCallFrom(ctx)
	p := &pipe{
		rc: rc, clientCtx: ctx,
		requests: make(chan *call.Message), responses: make(chan *call.Message),
		done: make(chan struct{}),
	}
	rc.answer = &p.answerMetadata
	rc.call.Go(func() {
		p.finish(rc.run(ctx, method, func(ctx context.Context) grpc.ServerStream {
			p.serverCtx = ctx
			return (*pipeServer)(p)
		}))
	}, p.finish)
	return (*pipeClient)(p), nil
}

// run runs the chain of the call and records how it ended.
func (rc *restCall) run(ctx context.Context, method string, bind func(context.Context) grpc.ServerStream) error {
	if method != rc.binding.Plan.Method.FullName { // Overlapping templates, and the generated mux chose the other one.
		return call.Refuse(codes.NotFound, "ROUTE_NOT_FOUND", "the path is ambiguous: it matches a route of "+method+" as well")
	}
	err := rc.binding.Plan.run(ctx, rc.x.Peer(), rc.call, bind)
	rc.rec.finish(err)
	if err != nil {
		return statusOf(err).Err()
	}
	return nil
}

// encode makes wire bytes of a generated message. What can't be encoded came from the client: invalid UTF-8.
func encode(m any) (*call.Message, error) {
	message, ok := m.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "%T is no protobuf message", m)
	}
	request, err := call.MessageOf(message)
	if err != nil {
		return nil, call.Refuse(codes.InvalidArgument, "MALFORMED_REQUEST", "the request can't be encoded: "+tidy(err).Error())
	}
	return request, nil
}

// decode makes a generated message of wire bytes, and frees them.
func decode(m *call.Message, into any) error {
	defer m.Free()
	message, ok := into.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is no protobuf message", into)
	}
	if err := proto.Unmarshal(m.Bytes(), message); err != nil {
		return status.Error(codes.Internal, "the backend's answer is not a valid "+string(message.ProtoReflect().Descriptor().FullName()))
	}
	return nil
}

// textMetadata is metadata as REST clients get it: filtered, binary values in base64.
func textMetadata(md metadata.MD) metadata.MD {
	text := metadata.MD{}
	eachOutgoing(md, func(name, value string) { text[name] = append(text[name], value) })
	return text
}

// unaryStream is the grpc.ServerStream of a unary call in process: one message in, one out.
type unaryStream struct {
	answerMetadata
	ctx      context.Context
	request  *call.Message
	response *call.Message
}

func (s *unaryStream) Context() context.Context { return s.ctx }

func (s *unaryStream) SendHeader(md metadata.MD) error {
	if err := s.SetHeader(md); err != nil {
		return err
	}
	s.take()
	return nil
}

func (s *unaryStream) RecvMsg(m any) error {
	if s.request == nil {
		return io.EOF
	}
	data := s.request.Take()
	s.request = nil
	return fill(m, data)
}

func (s *unaryStream) SendMsg(m any) error {
	msg, err := raw(m)
	if err != nil {
		return err
	}
	if s.response != nil {
		msg.Free()
		return status.Error(codes.Internal, "the backend sent more than one answer to a unary call")
	}
	s.response = call.NewMessage(msg.Take())
	return nil
}

func (s *unaryStream) decode(reply any) error {
	if s.response == nil {
		return status.Error(codes.Internal, "the backend sent no answer to a unary call")
	}
	return decode(s.response, reply)
}

// applyTo honors the options with which generated handlers ask for metadata.
func (s *unaryStream) applyTo(opts []grpc.CallOption) {
	header, trailer := s.snapshot()
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			*opt.HeaderAddr = textMetadata(header)
		case grpc.TrailerCallOption:
			*opt.TrailerAddr = textMetadata(trailer)
		}
	}
}

// pipe is a streaming call in process: a client half for the generated handler, a server half for the chain.
type pipe struct {
	answerMetadata
	rc        *restCall
	clientCtx context.Context
	serverCtx context.Context
	requests  chan *call.Message
	responses chan *call.Message
	done      chan struct{} // Closed when the chain has ended, with err.
	err       error
	first     *call.Message
}

func (p *pipe) finish(err error) {
	p.err = err
	close(p.done)
}

// canceled is the error of a stream whose context ended.
func canceled(ctx context.Context) error { return statusOf(ctx.Err()).Err() }

type pipeServer pipe

var _ grpc.ServerStream = (*pipeServer)(nil)

func (s *pipeServer) Context() context.Context { return s.serverCtx }

func (s *pipeServer) SendHeader(md metadata.MD) error {
	if err := s.SetHeader(md); err != nil {
		return err
	}
	s.take()
	return nil
}

func (s *pipeServer) RecvMsg(m any) error {
	select {
	case msg, ok := <-s.requests:
		if !ok {
			return io.EOF
		}
		return fill(m, msg.Take())
	case <-s.serverCtx.Done():
		return canceled(s.serverCtx)
	}
}

func (s *pipeServer) SendMsg(m any) error {
	msg, err := raw(m)
	if err != nil {
		return err
	}
	select {
	case s.responses <- call.NewMessage(msg.Take()):
		return nil
	case <-s.serverCtx.Done():
		return canceled(s.serverCtx)
	}
}

type pipeClient pipe

var _ grpc.ClientStream = (*pipeClient)(nil)

func (c *pipeClient) Context() context.Context { return c.clientCtx }

// Header waits for the first message. A call that ends before it with an error fails here, so that its status can still
// become the HTTP status.
func (c *pipeClient) Header() (metadata.MD, error) {
	if c.first == nil {
		msg, err := c.receive()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		c.first = msg
	}
	header, _ := c.snapshot()
	return textMetadata(header), nil
}

func (c *pipeClient) Trailer() metadata.MD {
	_, trailer := c.snapshot()
	return textMetadata(trailer)
}

func (c *pipeClient) SendMsg(m any) error {
	msg, err := encode(m)
	if err != nil {
		return err
	}
	select {
	case c.requests <- msg:
		return nil
	case <-c.done:
		return io.EOF // RecvMsg tells why.
	case <-c.clientCtx.Done():
		return canceled(c.clientCtx)
	}
}

func (c *pipeClient) CloseSend() error {
	close(c.requests)
	return nil
}

func (c *pipeClient) RecvMsg(m any) error {
	msg := c.first
	c.first = nil
	if msg == nil {
		var err error
		if msg, err = c.receive(); err != nil {
			return err
		}
	}
	return decode(msg, m)
}

// receive takes the next message of the answer; io.EOF after the last.
func (c *pipeClient) receive() (*call.Message, error) {
	select {
	case msg := <-c.responses:
		return msg, nil
	case <-c.done:
		if c.err != nil {
			return nil, c.err
		}
		c.rc.ended = true
		return nil, io.EOF
	}
}
