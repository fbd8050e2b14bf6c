package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cardea-gateway/cardea/policies/call"
	"github.com/cardea-gateway/cardea/policies/call/calltest"
)

// fakeStream is a backend's stream of which a test says what it answers.
type fakeStream struct {
	grpc.ClientStream
	header metadata.MD
	recv   func() error
	sent   int
}

func (s *fakeStream) Header() (metadata.MD, error) { return s.header, nil }
func (s *fakeStream) Trailer() metadata.MD         { return metadata.Pairs("t", "1") }
func (s *fakeStream) CloseSend() error             { return nil }
func (s *fakeStream) RecvMsg(any) error            { return s.recv() }

func (s *fakeStream) SendMsg(m any) error {
	m.(*call.Message).Free()
	s.sent++
	return nil
}

type fakeBackend struct {
	stream grpc.ClientStream
	err    error
	md     metadata.MD
}

func (b *fakeBackend) Stream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	b.md, _ = metadata.FromOutgoingContext(ctx)
	return b.stream, b.err
}

// run proxies one call to a backend.
func run(t *testing.T, method *call.Method, b Backend, c calltest.Call) (calltest.Result, string) {
	t.Helper()
	var log strings.Builder
	method.FullName, method.Backend = "/s/m", "shop"
	c.Method = method
	c.End = Handler(Options{
		Method: method, Backend: b, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Metadata: func(*call.Call) (metadata.MD, error) { return metadata.Pairs("k", "v"), nil },
	})
	pass := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, ss)
	}
	result := calltest.Run(pass, c)
	result.Call.Wait()
	return result, log.String()
}

func TestUnaryCallPassesBothWays(t *testing.T) {
	stream := &fakeStream{header: metadata.Pairs("h", "1"), recv: func() error { return nil }}
	b := &fakeBackend{stream: stream}
	got, _ := run(t, &call.Method{}, b, calltest.Call{Message: wrapperspb.String("q")})
	if got.Err != nil || stream.sent != 1 || len(got.Answers) != 1 || got.Header.Get("h") == nil || got.Trailer.Get("t") == nil {
		t.Errorf("sent %d, got %+v", stream.sent, got)
	}
	if v := b.md.Get("k"); len(v) != 1 || v[0] != "v" {
		t.Errorf("metadata %v", b.md)
	}
}

func TestUnaryCallWithoutMessageIsNotSent(t *testing.T) {
	got, _ := run(t, &call.Method{}, &fakeBackend{stream: &fakeStream{}}, calltest.Call{})
	if got.Status.Code() != codes.Internal {
		t.Errorf("got %v", got.Err)
	}
}

func TestStreamsArePumped(t *testing.T) {
	left := 3
	stream := &fakeStream{recv: func() error {
		if left--; left < 0 {
			return io.EOF
		}
		return nil
	}}
	requests := []proto.Message{wrapperspb.String("a"), wrapperspb.String("b")}
	got, _ := run(t, &call.Method{ClientStreams: true, ServerStreams: true}, &fakeBackend{stream: stream}, calltest.Call{Requests: requests})
	if got.Err != nil || stream.sent != 2 || len(got.Answers) != 3 {
		t.Errorf("sent %d, got %+v", stream.sent, got)
	}
}

// TestTransportErrorsAreToldToTheLog makes sure that no client reads an address.
func TestTransportErrorsAreToldToTheLog(t *testing.T) {
	for code, want := range map[codes.Code]struct {
		code   codes.Code
		reason string
	}{
		codes.Unavailable:       {codes.Unavailable, "BACKEND_UNAVAILABLE"},
		codes.ResourceExhausted: {codes.ResourceExhausted, "MESSAGE_TOO_LARGE"},
		codes.Internal:          {codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		codes.Unknown:           {codes.Internal, "BACKEND_PROTOCOL_ERROR"},
		codes.DeadlineExceeded:  {codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
	} {
		failure := status.Error(code, "dial tcp 10.0.0.1:443")
		for name, b := range map[string]*fakeBackend{
			"at once":  {err: failure},
			"after it": {stream: &fakeStream{recv: func() error { return failure }}},
		} {
			got, log := run(t, &call.Method{}, b, calltest.Call{Message: wrapperspb.String("q")})
			if got.Status.Code() != want.code || call.Reason(got.Err) != want.reason {
				t.Errorf("%v %s: got %v", code, name, got.Err)
			}
			if strings.Contains(got.Err.Error(), "10.0.0.1") || !strings.Contains(log, "10.0.0.1") {
				t.Errorf("%v %s: the client got %v, the log %q", code, name, got.Err, log)
			}
		}
	}
}

func TestClientThatBreaksOffIsTheCause(t *testing.T) {
	broken := call.Refuse(codes.Internal, "MALFORMED_FRAME", "broken")
	ended := make(chan struct{})
	stream := &fakeStream{recv: func() error {
		<-ended // Until the pump has canceled the call.
		return status.Error(codes.Canceled, "")
	}}
	cut := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(srv, &cutStream{ss, broken, ended})
	}
	method := &call.Method{FullName: "/s/m", ClientStreams: true, ServerStreams: true}
	got := calltest.Run(cut, calltest.Call{Method: method, End: Handler(Options{
		Method: method, Backend: &fakeBackend{stream: stream}, Log: slog.New(slog.DiscardHandler),
		Metadata: func(*call.Call) (metadata.MD, error) { return nil, nil },
	})})
	got.Call.Wait()
	if !errors.Is(got.Err, broken) {
		t.Errorf("got %v", got.Err)
	}
}

// cutStream is a client that breaks off.
type cutStream struct {
	grpc.ServerStream
	err   error
	ended chan struct{}
}

func (s *cutStream) RecvMsg(any) error {
	defer func() {
		go func() { // Once the pump, which calls this, has returned and canceled.
			call.FromContext(s.Context()).Wait()
			close(s.ended)
		}()
	}()
	return s.err
}
