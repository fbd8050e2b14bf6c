package frontend

import (
	"context"
	"errors"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/policies/call"
)

// handler is a generated handler at work on one REST call. It is a coroutine of the chain: it runs when the chain wants a
// request message, until it has decoded one, and when the chain has an answer, until that is encoded and written. So the
// body is read no sooner than the policies have let the call's headers pass, and a slow reader holds the backend back.
type handler struct {
	rc     *restCall
	next   func() (*call.Message, bool)
	cancel func()
	yield  func(*call.Message) bool

	answered *call.Message // Next to be encoded.
	header   metadata.MD
	trailer  metadata.MD
	returned bool
}

var _ codec = (*handler)(nil)

func newHandler(rc *restCall) codec {
	h := &handler{rc: rc}
	h.next, h.cancel = iter.Pull(func(yield func(*call.Message) bool) {
		h.yield = yield
		rc.table.Mount.serve(h)
	})
	return h
}

// request runs the handler until it has decoded a message. It fails with the handler's error where that gave up. Generated
// code drops query parameters that name no field, so they are looked at before.
func (h *handler) request() (*call.Message, error) {
	if err := h.rc.checkQuery(); err != nil {
		return nil, err
	}
	m, ok := h.next()
	if !ok {
		h.returned = true
		return nil, h.rc.failure()
	}
	return m, nil
}

// answer runs the handler until it has written an answer.
func (h *handler) answer(m *call.Message, header, trailer metadata.MD) error {
	if h.returned { // The client has gone.
		m.Free()
		return errOver
	}
	h.answered = m
	if header != nil {
		h.header = header
	}
	h.trailer = trailer
	request, ok := h.next()
	if request != nil { // A client stream whose answer comes before its end.
		request.Free()
	}
	if h.answered != nil {
		h.answered.Free()
		return status.Error(codes.Internal, "the generated handler did not take the answer")
	}
	if h.returned = !ok; h.returned && h.rc.binding.Plan.Method.ServerStreams && h.rc.failed == nil {
		return errOver
	}
	return h.rc.failed
}

// last ends a stream as the handlers write one.
func (h *handler) last(err error) { h.rc.lastLine(err, false) }

// end ends the handler, wherever it is. What it still writes is dropped.
func (h *handler) end() {
	h.returned = true
	h.cancel()
}

// errOver is what the handler's client gets once the call is over.
var errOver = status.Error(codes.Canceled, "the call is over")

// chainConn is the connection of the generated clients. A call on it hands its messages to the chain that runs already.
type chainConn struct{}

var _ grpc.ClientConnInterface = chainConn{}

// Invoke makes a unary call.
func (chainConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	h := handlerFrom(ctx)
	if err := h.send(method, args); err != nil {
		return err
	}
	h.applyTo(opts)
	return h.receive(reply)
}

// NewStream begins a streaming call.
func (chainConn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &clientStream{handler: handlerFrom(ctx), ctx: ctx, method: method}, nil
}

// send hands a request to the chain and returns when the chain wants something again.
func (h *handler) send(method string, request any) error {
	if want := h.rc.binding.Plan.Method.FullName; method != want { // Overlapping templates, and the mux chose the other one.
		return call.Refuse(codes.NotFound, "ROUTE_NOT_FOUND", "the path is ambiguous: it matches a route of "+method+" as well")
	}
	m, err := encode(request)
	if err != nil {
		return err
	}
	if !h.yield(m) {
		return errOver
	}
	return nil
}

// receive decodes the next answer, for which it waits if need be.
func (h *handler) receive(into any) error {
	if h.answered == nil && !h.yield(nil) {
		return errOver
	}
	m := h.answered
	h.answered = nil
	if m == nil {
		return errOver
	}
	return decode(m, into)
}

// applyTo honors the options with which generated handlers ask for metadata.
func (h *handler) applyTo(opts []grpc.CallOption) {
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			*opt.HeaderAddr = textMetadata(h.header)
		case grpc.TrailerCallOption:
			*opt.TrailerAddr = textMetadata(h.trailer)
		}
	}
}

// clientStream is what generated code sees of a streaming call.
type clientStream struct {
	*handler

	ctx    context.Context
	method string
}

var _ grpc.ClientStream = (*clientStream)(nil)

func (s *clientStream) Context() context.Context     { return s.ctx }
func (s *clientStream) Header() (metadata.MD, error) { return textMetadata(s.header), nil }
func (s *clientStream) Trailer() metadata.MD         { return textMetadata(s.trailer) }
func (s *clientStream) CloseSend() error             { return nil } // Asking for an answer says as much.
func (s *clientStream) SendMsg(m any) error          { return s.send(s.method, m) }
func (s *clientStream) RecvMsg(m any) error          { return s.receive(m) }

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
		return badAnswer("the backend's answer is not a valid " + string(message.ProtoReflect().Descriptor().FullName()))
	}
	return nil
}

// textMetadata is metadata as REST clients get it: filtered, binary values in base64.
func textMetadata(md metadata.MD) metadata.MD {
	text := metadata.MD{}
	eachOutgoing(md, func(name, value string) { text[name] = append(text[name], value) })
	return text
}

var errNoCall = errors.New("the generated handler made no call")
