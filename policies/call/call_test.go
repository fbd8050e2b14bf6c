package call_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/cardea-gateway/cardea/policies/call"
	"github.com/cardea-gateway/cardea/policies/call/calltest"
)

func TestFromContextWithoutCallRefusesRatherThanCrashes(t *testing.T) {
	c := call.FromContext(t.Context())
	if c.Method().FullName != "" || c.Header().Get("x") != "" || c.Principal().HasScope("any") {
		t.Errorf("got %+v", c)
	}
}

func TestRefuse(t *testing.T) {
	err := call.Refuse(codes.ResourceExhausted, "TOO_FAST", "slow down", &errdetails.RetryInfo{RetryDelay: durationpb.New(1e9)})
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || st.Message() != "slow down" || len(st.Details()) != 2 {
		t.Errorf("got %v", st.Proto())
	}
	if got := call.Reason(err); got != "TOO_FAST" {
		t.Errorf("reason %q", got)
	}
	if got := status.Code(call.Refuse(codes.OK, "NO", "")); got != codes.Internal {
		t.Errorf("a refusal with OK has code %v", got)
	}
}

func TestReasonOfABackendsErrorIsNone(t *testing.T) {
	st, err := status.New(codes.NotFound, "").WithDetails(&errdetails.ErrorInfo{Reason: "R", Domain: "food"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, io.EOF, st.Err(), status.Error(codes.Internal, "")} {
		if got := call.Reason(err); got != "" {
			t.Errorf("%v has reason %q", err, got)
		}
	}
}

// counted is a buffer that counts its references.
func counted(data []byte) (mem.BufferSlice, *int) {
	freed := 0
	buf := make([]byte, 2<<10) // Small buffers are not pooled.
	copy(buf, data)
	pool := poolFunc(func(*[]byte) { freed++ })
	return mem.BufferSlice{mem.NewBuffer(&buf, pool)}, &freed
}

type poolFunc func(*[]byte)

func (f poolFunc) Get(n int) *[]byte { b := make([]byte, n); return &b }
func (f poolFunc) Put(b *[]byte)     { f(b) }

func TestMessageHasOneOwner(t *testing.T) {
	data, freed := counted(nil)
	m := call.NewMessage(data)
	second := m.Ref()
	m.Free()
	if *freed != 0 || m.Len() != 0 || second.Len() != 2<<10 {
		t.Errorf("after the first Free: freed %d times, %d and %d bytes", *freed, m.Len(), second.Len())
	}
	taken := second.Take()
	second.Free()
	if *freed != 0 || second.Len() != 0 {
		t.Error("Free after Take has freed what was handed over")
	}
	taken.Free()
	if *freed != 1 {
		t.Errorf("freed %d times", *freed)
	}
}

func TestMessageIsDecodedOnce(t *testing.T) {
	m, err := call.MessageOf(wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	stringType := (&wrapperspb.StringValue{}).ProtoReflect().Type()
	first, err := m.Decode(stringType)
	second, err2 := m.Decode(stringType)
	if err := errors.Join(err, err2); err != nil || first != second || !proto.Equal(first, wrapperspb.String("x")) {
		t.Errorf("got %v and %v, %v", first, second, err)
	}
	m.Reset(nil)
	if again, err := m.Decode(stringType); err != nil || !proto.Equal(again, wrapperspb.String("")) {
		t.Errorf("after Reset: %v, %v", again, err)
	}
	broken := call.NewMessage(mem.BufferSlice{mem.SliceBuffer{0xff}})
	if _, err := broken.Decode(stringType); err == nil {
		t.Error("broken bytes were decoded")
	}
}

func TestGoEndsBeforeTheCall(t *testing.T) {
	c := call.New(&call.Method{}, nil)
	var failure error
	c.Go(func() { panic("oh") }, func(err error) { failure = err })
	c.Wait()
	if failure == nil {
		t.Error("the panic was lost")
	}
}

// TestCalltest shows the test double at work on an interceptor that does a bit of everything.
func TestCalltest(t *testing.T) {
	policy := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		c := call.FromContext(ss.Context())
		c.SetPrincipal(&call.Principal{Subject: c.Header().Get("x-user"), Scopes: []string{"read"}})
		return next(srv, ss)
	}
	got := calltest.Run(policy, calltest.Call{
		Header:   call.MapHeader{"x-user": {"ada"}},
		Requests: []proto.Message{wrapperspb.String("q")},
		End: func(_ any, ss grpc.ServerStream) error {
			m := new(call.Message)
			if err := ss.RecvMsg(m); err != nil {
				return err
			}
			return ss.SendMsg(m)
		},
	})
	if !got.Passed || got.Err != nil || len(got.Answers) != 1 || got.Call.Principal().Subject != "ada" || !got.Call.Principal().HasScope("read") {
		t.Errorf("got %+v", got)
	}
}
