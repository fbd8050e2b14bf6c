package frontend

import (
	"context"
	"io"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/cardea-gateway/cardea/policies/call"
)

// codec turns the body of a REST request into messages, and messages into the body of the answer. It belongs to the
// goroutine of the call's chain, but for requests of a client stream, which may be read beside it.
type codec interface {
	// request returns the next message of the client; nil where it has no more.
	request() (*call.Message, error)
	// answer writes a message of the backend, whose reference it takes over. The header comes with the first one. Errors are
	// messages that can't be written, and errOver where nobody wants more.
	answer(m *call.Message, header, trailer metadata.MD) error
	// last ends a stream of messages with its status.
	last(err error)
	// end gives up what the codec holds. Only last is called after it.
	end()
}

// restStream is the grpc.ServerStream of a REST call.
type restStream struct {
	answerMetadata

	rc     *restCall
	ctx    context.Context
	codec  codec         // Nil until the chain has passed the call's context.
	last   bool          // No more requests.
	answer *call.Message // Of a method without server streaming; it is written when the chain has ended well.
}

var _ grpc.ServerStream = (*restStream)(nil)

// begin takes the context that the chain runs in.
func (s *restStream) begin(ctx context.Context) grpc.ServerStream {
	s.ctx, s.codec = ctx, s.rc.newCodec()
	return s
}

func (s *restStream) Context() context.Context { return s.ctx }

// SendHeader gathers the header: over REST it goes out with the first message, so that an error before that can still be
// an HTTP status.
func (s *restStream) SendHeader(md metadata.MD) error { return s.SetHeader(md) }

func (s *restStream) RecvMsg(m any) error {
	if s.last {
		return io.EOF
	}
	request, err := s.codec.request()
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
	answer := call.NewMessage(msg.Take())
	if s.rc.binding.Plan.Method.ServerStreams {
		return s.stream(answer)
	}
	if s.answer != nil {
		answer.Free()
		return badAnswer("the backend sent more than one answer to a unary call")
	}
	s.answer = answer
	return nil
}

// stream writes one of several answers.
func (s *restStream) stream(answer *call.Message) error {
	header, _ := s.take()
	if err := s.codec.answer(answer, header, nil); err != nil {
		return err
	}
	s.rc.life.moved()
	if s.rc.x.Method() == http.MethodHead { // The client wants no more than the header.
		return errOver
	}
	return nil
}

// finish writes the answer of a method without server streaming.
func (s *restStream) finish() error {
	if s.answer == nil {
		return badAnswer("the backend sent no answer to a unary call")
	}
	answer := s.answer
	s.answer = nil
	header, trailer := s.gathered()
	return s.codec.answer(answer, header, trailer)
}

// free gives up what was not written.
func (s *restStream) free() {
	if s.answer != nil {
		s.answer.Free()
	}
}

func badAnswer(message string) error {
	return call.Refuse(codes.Internal, "BACKEND_PROTOCOL_ERROR", message)
}
