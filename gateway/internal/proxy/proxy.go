// Package proxy is the end of a chain that hands a call to one backend: messages, metadata, deadline, cancellation and
// status pass through in both directions, for all four kinds of call.
package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	"github.com/cardea-gateway/cardea/policies/call"
)

// Backend opens raw streams on some instance; *upstream.Backend is one.
type Backend interface {
	Stream(ctx context.Context, desc *grpc.StreamDesc, method string) (grpc.ClientStream, error)
}

// Options of a proxy. All fields are required.
type Options struct {
	// Method is what is proxied.
	Method *call.Method
	// Backend serves it.
	Backend Backend
	// Metadata returns what of the client's headers the backend gets.
	Metadata func(call.Header) (metadata.MD, error)
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
	ss   grpc.ServerStream
	cs   grpc.ClientStream
	call *call.Call
}

func (p *proxied) serve(desc *grpc.StreamDesc) error {
	md, err := p.Metadata(p.call.Header())
	if err != nil {
		return err
	}
	attempt := &upstream.Attempt{}
	defer func() { p.call.SetUpstream(attempt.Upstream()) }()
	ctx, cancel := context.WithCancelCause(upstream.WithAttempt(metadata.NewOutgoingContext(p.ss.Context(), md), attempt))
	defer cancel(nil)
	if p.cs, err = p.Backend.Stream(ctx, desc, p.call.Method().FullName); err == nil {
		err = p.exchange(cancel)
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
		switch err := p.cs.RecvMsg(m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := p.ss.SendMsg(m); err != nil {
			return err
		}
		if !p.Method.ServerStreams {
			return nil // grpc has read the status with the only message.
		}
	}
}

// header passes the backend's header on: at once for a stream, whose client may wait for it; with the first message
// otherwise, so that an error alone stays a header alone.
func (p *proxied) header() error {
	md, err := p.cs.Header()
	switch {
	case err != nil:
		return err
	case md == nil: // The call ended without a header: RecvMsg will say how.
		return nil
	case p.Method.ServerStreams:
		return p.ss.SendHeader(md)
	}
	return p.ss.SetHeader(md)
}

// explain returns the error that the client gets. What the backend said passes as it is; what happened on the way there
// goes to the log, because it may hold addresses, and reaches the client as a refusal of the gateway.
func (p *proxied) explain(ctx context.Context, err error, attempt *upstream.Attempt) error {
	up := attempt.Upstream()
	if err == nil || up.Answered || call.Reason(err) != "" {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	if over := p.ss.Context().Err(); over != nil {
		return over
	}
	code := status.Code(err)
	p.Log.Warn("call to backend failed", "method", p.call.Method().FullName, "backend", p.Method.Backend,
		"instance", up.Instance, "code", code.String(), "error", err.Error())
	return refusal(code, p.Method.Backend)
}

func refusal(code codes.Code, backend string) error {
	switch code {
	case codes.Unavailable:
		return call.Refuse(code, "BACKEND_UNAVAILABLE", "the backend "+backend+" can't be reached, or broke off the call")
	case codes.ResourceExhausted:
		return call.Refuse(code, "MESSAGE_TOO_LARGE", "a message from or to the backend "+backend+" is larger than the gateway's limit")
	case codes.Canceled, codes.DeadlineExceeded:
		return status.Error(code, "the call ended before the backend "+backend+" answered")
	}
	return call.Refuse(codes.Internal, "BACKEND_PROTOCOL_ERROR", "the backend "+backend+" does not follow gRPC")
}
