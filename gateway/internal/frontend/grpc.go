package frontend

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/policies/call"
)

const contentTypeGRPC = "application/grpc"

// isGRPC tells whether a request means to be gRPC; gRPC-Web announces itself with another type.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, contentTypeGRPC)
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// isProto tells whether a gRPC content type says that the messages are protobuf, the only encoding Cardea carries.
func isProto(contentType string) bool {
	contentType, _, _ = strings.Cut(contentType, ";")
	return contentType == contentTypeGRPC || contentType == contentTypeGRPC+"+proto"
}

// serveGRPC serves a gRPC call.
func serveGRPC(x Exchange, t *Table, rec *Record) {
	switch contentType := x.Header().Get("content-type"); {
	case x.Major() < 2:
		refuseHTTP(x, t, rec, refuseAs(http.StatusBadRequest, "HTTP2_REQUIRED",
			"gRPC needs HTTP/2, and this request came over HTTP/1.1"))
	case x.Method() != http.MethodPost:
		x.AddHeader("Allow", http.MethodPost)
		refuseHTTP(x, t, rec, refuseAs(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "gRPC calls are POST requests"))
	case !isProto(contentType):
		refuseHTTP(x, t, rec, refuseAs(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE",
			"gRPC messages must be protobuf: application/grpc or application/grpc+proto"))
	default:
		s := &grpcStream{x: x, contentType: contentType}
		err := s.serve(t, rec)
		rec.finish(err)
		s.finish(statusOf(err), rec.Origin)
	}
}

// serve runs the call and returns how it ended.
func (s *grpcStream) serve(t *Table, rec *Record) error {
	if err := t.admit(s.x); err != nil {
		return err
	}
	header := s.x.Header()
	plan := t.plan(s.x.Target())
	if plan == nil {
		return call.Refuse(codes.Unimplemented, "METHOD_UNKNOWN",
			fmt.Sprintf("no backend of this gateway serves the method %q", s.x.Target()))
	}
	rec.Method = plan.Method
	encoding := header.Get("grpc-encoding")
	s.gzip = encoding == "gzip"
	if encoding != "" && encoding != "identity" && !s.gzip {
		return call.Refuse(codes.Unimplemented, "UNSUPPORTED_COMPRESSION",
			fmt.Sprintf("messages compressed with %q can't be read: use gzip or none", encoding))
	}
	l, err := t.begin(s.x, plan, !plan.Method.ClientStreams, false)
	if err != nil {
		return err
	}
	c := call.New(named(plan.Method, s.x.Path()), header)
	c.SetReception(&rec.Reception)
	rec.Call, s.life = c, l
	s.flush, s.single = plan.Method.ServerStreams, !plan.Method.ClientStreams
	s.frames = frames{body: s.x.Body(), gzip: s.gzip, limit: t.Limits.MaxMessageBytes}
	err = plan.run(l.ctx, s.x, c, func(ctx context.Context) grpc.ServerStream {
		s.ctx = ctx
		return s
	})
	err = l.reason(err)
	l.conclude(c)
	return err
}

// named returns the facts of the method that is called, where the plan is that of a service whose contract is not known.
func named(m *call.Method, path string) *call.Method {
	if m.Name != "*" {
		return m
	}
	exact := *m
	exact.FullName = path
	return &exact
}

// grpcStream is a call's grpc.ServerStream of raw messages over gRPC's framing. RecvMsg may run beside SendMsg, neither
// beside itself.
type grpcStream struct {
	answerMetadata
	x           Exchange
	ctx         context.Context
	life        *life
	contentType string
	frames      frames
	gzip        bool // A client that compresses gets compressed answers.
	flush       bool // Each message is sent on at once.
	single      bool // The client sends one message.
}

var _ grpc.ServerStream = (*grpcStream)(nil)

func (s *grpcStream) Context() context.Context { return s.ctx }

// RecvMsg reads the next message into m, a *call.Message.
func (s *grpcStream) RecvMsg(m any) error {
	if s.single {
		data, err := s.frames.only()
		if err != nil {
			return s.life.unsent(err)
		}
		return fill(m, data)
	}
	data, err := s.frames.next()
	if err != nil {
		return err
	}
	s.life.moved()
	return fill(m, data)
}

// SendMsg writes m, a *call.Message, and frees it.
func (s *grpcStream) SendMsg(m any) error {
	msg, err := raw(m)
	if err != nil {
		return err
	}
	defer msg.Free()
	s.start()
	if err := writeFrame(s.x, msg.Buffers(), s.gzip); err != nil {
		return status.Error(codes.Canceled, "the client went away")
	}
	s.life.moved()
	if s.flush {
		return s.sendOn()
	}
	return nil
}

// SendHeader sends the header now, before any message.
func (s *grpcStream) SendHeader(md metadata.MD) error {
	if err := s.SetHeader(md); err != nil {
		return err
	}
	s.start()
	return s.sendOn()
}

func (s *grpcStream) sendOn() error {
	if err := s.x.Flush(); err != nil {
		return status.Error(codes.Canceled, "the client went away")
	}
	return nil
}

// start sends the header unless it was sent before.
func (s *grpcStream) start() {
	if header, ok := s.take(); ok {
		s.addHeader(header)
		s.x.Start(http.StatusOK)
	}
}

func (s *grpcStream) addHeader(md metadata.MD) {
	s.x.AddHeader("Content-Type", s.contentType)
	s.x.AddHeader("Grpc-Accept-Encoding", "gzip")
	if s.gzip {
		s.x.AddHeader("Grpc-Encoding", "gzip")
	}
	eachOutgoing(md, s.x.AddHeader)
}

// finish ends the call: with trailers, or with a header alone if nothing was sent before ("Trailers-Only").
func (s *grpcStream) finish(st *status.Status, origin Origin) {
	add := s.x.AddTrailer
	header, alone := s.take()
	if alone {
		s.addHeader(header)
		add = s.x.AddHeader
	}
	add("Grpc-Status", strconv.Itoa(int(st.Code())))
	if st.Message() != "" {
		add("Grpc-Message", grpcMessage(st.Message()))
	}
	if details := grpcDetails(st); details != nil {
		add("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	}
	if origin == OriginGateway {
		add(originHeader, string(origin))
	}
	_, trailer := s.gathered()
	eachOutgoing(trailer, add)
	if alone {
		s.x.Start(http.StatusOK)
	}
}

// fill gives a received message its bytes; interceptors that want message objects need a typed mount.
func fill(m any, data mem.BufferSlice) error {
	msg, err := raw(m)
	if err != nil {
		data.Free()
		return err
	}
	msg.Reset(data)
	return nil
}

// raw returns the message that passes through a stream.
func raw(m any) (*call.Message, error) {
	if msg, ok := m.(*call.Message); ok {
		return msg, nil
	}
	return nil, status.Errorf(codes.Internal, "streams of the gateway carry *call.Message, not %T", m)
}
