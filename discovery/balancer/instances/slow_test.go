package instances_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
)

// TestSlowByNature has a method that takes three seconds everywhere, but is called on one instance alone, and quick refusals of it.
func TestSlowByNature(t *testing.T) {
	for name, refusals := range map[string]bool{"always": false, "between refusals": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := defaults()
				f := start(t, 3, o)
				defer f.stop()
				wait(time.Second)
				for n := range 30 {
					f.servers["a:1"].do(takes(3 * time.Second))
					if _, err := f.call(&one{avoid: []string{"b:1", "c:1"}}, time.Minute); err != nil {
						t.Fatal(err)
					}
					if why := f.out("a:1"); why != "" {
						t.Fatalf("call %d: out: %s", n, why)
					}
					for range 30 {
						if !refusals {
							break
						}
						f.servers["b:1"].do(answers(codes.InvalidArgument))
						f.call(&one{avoid: []string{"a:1", "c:1"}}, time.Minute)
					}
				}
			})
		})
	}
}

// TestSlowClient has clients leave their answers lying, on one instance alone.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 3, defaults())
		defer f.stop()
		wait(time.Second)
		for range 30 { // It is known how long it takes.
			f.call(&one{}, time.Second)
		}
		for n := range 20 {
			ctx := instances.WithCall(t.Context(), &one{avoid: []string{"b:1", "c:1"}})
			stream, err := f.conn.NewStream(ctx, &grpc.StreamDesc{}, "/test.Service/Get")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()); err != nil {
				t.Fatal(err)
			}
			wait(2 * time.Second)
			if why := f.out("a:1"); why != "" {
				t.Fatalf("client %d: out: %s", n, why)
			}
			if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
