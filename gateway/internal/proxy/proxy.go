// Package proxy is the end of a chain that hands a call to one backend: messages, metadata, deadline, cancellation and
// status pass through in both directions, for all four kinds of call.
package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Backend opens raw streams on some instance; *upstream.Backend is one.
type Backend interface {
	Stream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error)
}

// Options of a proxy. All fields but HashKey are required.
type Options struct {
	// Method is what is proxied.
	Method *call.Method
	// Backend serves it.
	Backend Backend
	// Metadata returns what the backend gets besides the messages: of the client's headers, and of the gateway.
	Metadata func(*call.Call) (metadata.MD, error)
	// HashKey returns what calls have in common that should go to the same instance. Nil: nothing.
	HashKey func(*call.Call) string
	// Log gets what clients must not see: why the way to a backend failed, addresses included.
	Log *slog.Logger
}

// Handler returns the end of a chain.
func Handler(o Options) grpc.StreamHandler {
	desc := &grpc.StreamDesc{StreamName: o.Method.Name, ClientStreams: o.Method.ClientStreams, ServerStreams: o.Method.ServerStreams}
	return func(_ any, ss grpc.ServerStream) error {
		p := &proxied{Options: o, ss: ss, call: call.FromContext(ss.Context())}
		return p.serve(desc)
	}
}

// proxied is one call on its way.
type proxied struct {
	Options

	ss    grpc.ServerStream
	cs    grpc.ClientStream
	call  *call.Call
	ended bool  // By the backend or on the way there: RecvMsg has said so.
	gone  bool  // The client does not take the answer.
	said  error // The backend's own error.
}

func (p *proxied) serve(desc *grpc.StreamDesc) error {
	md, err := p.Metadata(p.call)
	if err != nil {
		return err
	}
	attempt := &upstream.Attempt{Once: !p.Method.ClientStreams && !p.Method.ServerStreams}
	if p.HashKey != nil {
		attempt.Key = p.HashKey(p.call)
	}
	defer func() {
		up := attempt.Upstream()
		up.Err = p.said
		p.call.SetUpstream(up)
	}()
	ctx, cancel := upstream.WithAttempt(metadata.NewOutgoingContext(p.ss.Context(), md), attempt), context.CancelCauseFunc(nil)
	if p.Method.ClientStreams || p.Method.ServerStreams { // The others end with the context of the call, at the latest.
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
	}
	if p.cs, err = p.Backend.Stream(ctx, desc, p.call.Method().FullName); err == nil {
		err = p.exchange(cancel)
	}
	if p.ended { // Before that grpc may still be at work on the trailer.
		p.ss.SetTrailer(p.cs.Trailer())
	}
	return p.explain(ctx, err, attempt)
}

// exchange moves messages until the backend ends the call.
func (p *proxied) exchange(cancel context.CancelCauseFunc) error {
	if !p.Method.ClientStreams {
		if err := p.sendOnly(); err != nil {
			return err
		}
		return p.receive()
	}
	p.call.Go(func() {
		if err := p.pump(); err != nil {
			cancel(err)
		}
	}, cancel)
	return p.receive()
}

// sendOnly sends the one request message, which an earlier stage has read.
func (p *proxied) sendOnly() error {
	request := p.call.TakeMessage()
	if request == nil {
		return status.Error(codes.Internal, "the request was not read before it was to be sent")
	}
	defer request.Free() // If grpc did not take it.
	return errors.Join(ignoreEOF(p.cs.SendMsg(request)), p.cs.CloseSend())
}

// ignoreEOF drops the error by which SendMsg says that the call has ended: RecvMsg will say how.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// pump moves the client's messages to the backend. An error means that the client broke off, and that the call must end.
func (p *proxied) pump() error {
	for {
		m := new(call.Message)
		switch err := p.ss.RecvMsg(m); {
		case errors.Is(err, io.EOF):
			return p.cs.CloseSend()
		case err != nil:
			return err
		}
		if err := p.cs.SendMsg(m); err != nil {
			m.Free()
			return ignoreEOF(err)
		}
	}
}

// receive moves the backend's answer to the client, and returns how the backend ended the call.
func (p *proxied) receive() error {
	if err := p.header(); err != nil {
		return err
	}
	for {
		m := new(call.Message)
		err := p.cs.RecvMsg(m)
		p.ended = err != nil || !p.Method.ServerStreams // grpc reads the status with an only message.
		if err != nil {
			m.Free()
			return ignoreEOF(err)
		}
		if err := p.deliver(p.ss.SendMsg(m)); err != nil || p.ended {
			return err
		}
	}
}

// header passes the backend's header on: at once for a stream in any direction, whose client may wait for it; with the
// first message otherwise, so that an error alone stays a header alone.
func (p *proxied) header() error {
	md, err := p.cs.Header()
	switch {
	case err != nil:
		p.ended = true
		return err
	case md == nil: // The call ended without a header: RecvMsg will say how.
		return nil
	case p.Method.ServerStreams, p.Method.ClientStreams:
		return p.deliver(p.ss.SendHeader(md))
	}
	return p.deliver(p.ss.SetHeader(md))
}

// deliver notes that something could not be sent to the client.
func (p *proxied) deliver(err error) error {
	p.gone = err != nil
	return err
}

// explain returns the error that the client gets. What the backend said passes as it is; what happened on the way there
// goes to the log, because it may hold addresses, and reaches the client as a refusal of the gateway.
func (p *proxied) explain(ctx context.Context, err error, attempt *upstream.Attempt) error {
	up := attempt.Upstream()
	switch {
	case err == nil || p.gone:
		return err
	case up.Answered && !ofGRPC(err):
		p.said = err
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	if over := p.ss.Context().Err(); over != nil {
		return over
	}
	code := status.Code(err)
	if code == codes.Canceled { // Not by the client: the instance reset the stream.
		code = codes.Unavailable
	}
	p.Log.Warn("call to backend failed", "method", p.call.Method().FullName, "backend", p.Method.Backend,
		"instance", up.Instance, "code", code.String(), "request_id", p.call.RequestID(), "error", err.Error())
	return refusal(code, p.Method.Backend)
}

// ofGRPC tells whether grpc-go made an error of its own although the backend's trailers have arrived: an answer that it
// could not read. Only the text says so.
func ofGRPC(err error) bool {
	text := status.Convert(err).Message()
	for _, prefix := range []string{
		"grpc: received message", "grpc: received unexpected payload format", "grpc: failed to decompress",
		"grpc: Decompressor is not installed", "cardinality violation", "unexpected EOF",
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

func refusal(code codes.Code, backend string) error {
	switch code {
	case codes.Unavailable:
		return call.Refuse(code, "BACKEND_UNAVAILABLE", "the backend "+backend+" can't be reached, or broke off the call")
	case codes.ResourceExhausted:
		return call.Refuse(code, "MESSAGE_TOO_LARGE", "a message from or to the backend "+backend+" is larger than the gateway's limit")
	case codes.DeadlineExceeded:
		return call.Refuse(code, "DEADLINE_EXCEEDED", "the deadline passed before the backend "+backend+" answered")
	}
	return call.Refuse(codes.Internal, "BACKEND_PROTOCOL_ERROR", "the backend "+backend+" does not follow gRPC")
}
