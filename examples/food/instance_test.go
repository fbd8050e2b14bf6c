package food

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
)

// slow is a service whose one call takes a while.
func slow(takes time.Duration) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "slow", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName:    "Call",
		ServerStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			timer := time.NewTimer(takes)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-s.Context().Done():
				return s.Context().Err()
			}
		},
	}}}
}

// start runs an instance with a service, within synctest. It returns a connection to it, and what stops it.
func start(t *testing.T, service *grpc.ServiceDesc) (cc *grpc.ClientConn, stop func() error) {
	t.Helper()
	i := newInstance("here")
	i.server.RegisterService(service, i)
	lis := bufconn.Listen(1 << 10)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- i.serve(ctx, lis) }()
	cc, err := grpc.NewClient("passthrough:instance",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc, func() error {
		cancel()
		return <-served
	}
}

func TestStopLetsCallsFinish(t *testing.T) {
	for name, tt := range map[string]struct {
		takes, stopped time.Duration
		finished       bool
	}{
		"a short one":    {time.Second, time.Second, true},
		"not a long one": {time.Hour, drainTime, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cc, stop := start(t, slow(tt.takes))
				call, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/slow/Call")
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				began := time.Now()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != tt.stopped {
					t.Errorf("it took %v, want %v", took, tt.stopped)
				}
				err = call.RecvMsg(&emptypb.Empty{})
				if tt.finished && !errors.Is(err, io.EOF) || !tt.finished && status.Code(err) != codes.Unavailable {
					t.Errorf("the call ended with %v", err)
				}
			})
		})
	}
}

func TestStopTellsHealthWatchersFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc, stop := start(t, slow(0))
		ctx, leave := context.WithCancel(t.Context())
		watch, err := healthgrpc.NewHealthClient(cc).Watch(ctx, &healthgrpc.HealthCheckRequest{Service: "slow"})
		if err != nil {
			t.Fatal(err)
		}
		stopped := make(chan error)
		for _, want := range []healthgrpc.HealthCheckResponse_ServingStatus{
			healthgrpc.HealthCheckResponse_SERVING, healthgrpc.HealthCheckResponse_NOT_SERVING,
		} {
			resp, err := watch.Recv()
			if err != nil || resp.GetStatus() != want {
				t.Errorf("got %v, %v, want %v", resp, err, want)
			}
			if want == healthgrpc.HealthCheckResponse_SERVING {
				go func() { stopped <- stop() }()
			}
		}
		leave() // The watch counts as a call in flight.
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
