package instances_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
)

// TestCheckOfFullConnection has streams take all that a server allows, so that no check can be sent.
func TestCheckOfFullConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, 2, defaults(), grpc.MaxConcurrentStreams(3))
		defer f.stop()
		for _, s := range f.servers {
			s.do(takes(time.Minute))
		}
		l := f.load(100*time.Millisecond, 20*time.Second)
		defer l.stop()
		for range 80 {
			wait(100 * time.Millisecond)
			for name := range f.servers {
				if why := f.out(name); strings.HasPrefix(why, "health check") {
					t.Fatalf("%s is out: %s", name, why)
				}
			}
		}
	})
}

// TestRefusedConnections has an instance that takes one connection and no more.
func TestRefusedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.MaxStreams, o.MaxConnections, o.Ejection.SlowCall = 1, 4, 0
		var dials atomic.Int64
		f := start(t, 1, o)
		defer f.stop()
		f.servers["a:1"].do(takes(5 * time.Second))
		f.through(func(dial dialer) dialer {
			return func(ctx context.Context, address string) (net.Conn, error) {
				if dials.Add(1) > 1 {
					return nil, errors.New("too many")
				}
				return dial(ctx, address)
			}
		})
		l := f.load(10*time.Millisecond, time.Minute)
		wait(10 * time.Second)
		if got := dials.Load(); got < 5 || got > 15 {
			t.Errorf("%d attempts to connect in ten seconds, want one in a second", got)
		}
		l.stop()
	})
}
