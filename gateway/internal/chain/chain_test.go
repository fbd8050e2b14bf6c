package chain

import (
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cardea-gateway/cardea/policies/call"
	"github.com/cardea-gateway/cardea/policies/call/calltest"
)

func TestFoldKeepsTheOrder(t *testing.T) {
	var order []string
	note := func(name string) grpc.StreamServerInterceptor {
		return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			order = append(order, name+info.FullMethod)
			return next(srv, ss)
		}
	}
	info := &grpc.StreamServerInfo{FullMethod: "/s/m"}
	end := func(any, grpc.ServerStream) error {
		order = append(order, "end")
		return nil
	}
	if err := Fold(info, end, note("a"), nil, note("b"))(nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "a/s/m b/s/m end" {
		t.Errorf("got %s", got)
	}
}

func TestFirstReadsTheMessageIntoTheCall(t *testing.T) {
	got := calltest.Run(First, calltest.Call{
		Requests: []proto.Message{wrapperspb.String("q")},
		End: func(_ any, ss grpc.ServerStream) error {
			return ss.SendMsg(call.FromContext(ss.Context()).TakeMessage())
		},
	})
	want, err := proto.Marshal(wrapperspb.String("q"))
	if err != nil || got.Err != nil || len(got.Answers) != 1 || string(got.Answers[0]) != string(want) {
		t.Errorf("got %+v", got)
	}
}

func TestFirstWantsOneMessage(t *testing.T) {
	for name, requests := range map[string][]proto.Message{
		"REQUEST_MISSING":  nil,
		"REQUEST_REPEATED": {wrapperspb.String("a"), wrapperspb.String("b")},
	} {
		got := calltest.Run(First, calltest.Call{Requests: requests})
		if got.Passed || got.Status.Code() != codes.Unimplemented || call.Reason(got.Err) != name {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestRecoverTellsTheLogAndNotTheClient(t *testing.T) {
	var log strings.Builder
	got := calltest.Run(Recover(slog.New(slog.NewTextHandler(&log, nil))), calltest.Call{
		Method: &call.Method{FullName: "/s/m"},
		End:    func(any, grpc.ServerStream) error { panic("secret") },
	})
	if got.Status.Code() != codes.Internal || strings.Contains(got.Status.Message(), "secret") {
		t.Errorf("the client got %v", got.Err)
	}
	if !strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "/s/m") {
		t.Errorf("the log: %s", log.String())
	}
}

func TestServeAnswersLocally(t *testing.T) {
	server := health.NewServer()
	t.Cleanup(server.Shutdown)
	locals := map[string]Local{}
	for _, local := range Serve(&healthpb.Health_ServiceDesc, server) {
		locals[local.Method.FullName] = local
	}
	check := locals["/grpc.health.v1.Health/Check"]
	run := func(c calltest.Call) calltest.Result {
		pass := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return next(srv, ss)
		}
		c.End = check.End
		return calltest.Run(pass, c)
	}
	got := run(calltest.Call{Requests: []proto.Message{&healthpb.HealthCheckRequest{}}})
	answer := &healthpb.HealthCheckResponse{}
	if got.Err != nil || len(got.Answers) != 1 || proto.Unmarshal(got.Answers[0], answer) != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("got %+v", got)
	}
	got = run(calltest.Call{Requests: []proto.Message{&healthpb.HealthCheckRequest{Service: "unknown"}}})
	if got.Status.Code() != codes.NotFound {
		t.Errorf("got %v", got.Err)
	}
	watch := locals["/grpc.health.v1.Health/Watch"].Method
	if !watch.ServerStreams || watch.ClientStreams {
		t.Errorf("Watch is described as %+v", watch)
	}
}

func TestTypedRefusesBrokenBytes(t *testing.T) {
	err := typed{brokenStream{}}.RecvMsg(&wrapperspb.StringValue{})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
}

type brokenStream struct{ grpc.ServerStream }

func (brokenStream) RecvMsg(m any) error {
	m.(*call.Message).Reset(mem.BufferSlice{mem.SliceBuffer{0xff}})
	return nil
}
