package frontend

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"

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

	answer   *call.Message // Next to be encoded.
	header   metadata.MD   // Of the answer, set before the first message is encoded.
	trailer  metadata.MD   // Of the answer, set before the only message of a unary call is encoded.
	returned bool
}

func newHandler(rc *restCall) *handler {
	h := &handler{rc: rc}
	h.next, h.cancel = iter.Pull(func(yield func(*call.Message) bool) {
		h.yield = yield
		rc.table.Mount.serve(h)
	})
	return h
}

// request runs the handler until it has decoded a message. It returns nil where the client has no more, and the handler's
// error where it gave up.
func (h *handler) request() (*call.Message, error) {
	m, ok := h.next()
	if !ok {
		h.returned = true
		return nil, h.rc.failure()
	}
	return m, nil
}

// encode runs the handler until it has written an answer, whose reference it takes over.
func (h *handler) encode(answer *call.Message) error {
	h.answer = answer
	m, ok := h.next()
	if m != nil { // A client stream whose answer comes before its end.
		m.Free()
	}
	if h.answer != nil {
		h.answer.Free()
		return status.Error(codes.Internal, "the generated handler did not take the answer")
	}
	h.returned = !ok
	return h.rc.failed
}

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
	if h.answer == nil && !h.yield(nil) {
		return errOver
	}
	m := h.answer
	h.answer = nil
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

// restStream is the grpc.ServerStream of a REST call, made of its generated handler.
type restStream struct {
	answerMetadata

	rc      *restCall
	ctx     context.Context
	handler *handler
	last    bool          // No more requests.
	answer  *call.Message // Of a method without server streaming; it is written when the chain has ended well.
}

var _ grpc.ServerStream = (*restStream)(nil)

func (s *restStream) Context() context.Context { return s.ctx }

// SendHeader gathers the header: over REST it goes out with the first message, so that an error before that can still be
// an HTTP status.
func (s *restStream) SendHeader(md metadata.MD) error { return s.SetHeader(md) }

func (s *restStream) RecvMsg(m any) error {
	if s.last {
		return io.EOF
	}
	request, err := s.handler.request()
	if err != nil {
		return err
	}
	s.rc.life.moved()
	s.last = request == nil || !s.rc.binding.Plan.Method.ClientStreams
	if request == nil {
		return io.EOF
	}
	return fill(m, request.Take())
}

func (s *restStream) SendMsg(m any) error {
	msg, err := raw(m)
	if err != nil {
		return err
	}
	if s.rc.binding.Plan.Method.ServerStreams {
		return s.stream(call.NewMessage(msg.Take()))
	}
	if s.answer != nil {
		msg.Free()
		return badAnswer("the backend sent more than one answer to a unary call")
	}
	s.answer = call.NewMessage(msg.Take())
	return nil
}

// stream writes one of several answers.
func (s *restStream) stream(answer *call.Message) error {
	if s.handler.returned {
		answer.Free()
		return errOver
	}
	if header, ok := s.take(); ok {
		s.handler.header = header
	}
	if err := s.handler.encode(answer); err != nil {
		return err
	}
	s.rc.life.moved()
	if s.handler.returned || s.rc.x.Method() == http.MethodHead { // The client has gone, or wants no more than the header.
		return errOver
	}
	return nil
}

// finish writes the answer of a method without server streaming.
func (s *restStream) finish() error {
	if s.answer == nil {
		return badAnswer("the backend sent no answer to a unary call")
	}
	s.handler.header, s.handler.trailer = s.snapshot()
	return s.handler.encode(s.answer)
}

// free gives up what was not written.
func (s *restStream) free() {
	if s.answer != nil {
		s.answer.Free()
	}
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
		return badAnswer("the backend's answer is not a valid " + string(message.ProtoReflect().Descriptor().FullName()))
	}
	return nil
}

func badAnswer(message string) error {
	return call.Refuse(codes.Internal, "BACKEND_PROTOCOL_ERROR", message)
}

// textMetadata is metadata as REST clients get it: filtered, binary values in base64.
func textMetadata(md metadata.MD) metadata.MD {
	text := metadata.MD{}
	eachOutgoing(md, func(name, value string) { text[name] = append(text[name], value) })
	return text
}

var errNoCall = errors.New("the generated handler made no call")
