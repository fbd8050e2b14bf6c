package instances_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
)

// TestMadeUpKey has a client send the header in which keys are passed on.
func TestMadeUpKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults()
		o.Balancer, o.HashHeader, o.Config = "ring_hash_experimental", "cardea-hash-key", []byte(`{"requestHashHeader":"cardea-hash-key"}`)
		f := start(t, 3, o)
		defer f.stop()
		homes := map[string]bool{}
		for range 100 {
			call := &one{}
			ctx := metadata.AppendToOutgoingContext(instances.WithCall(t.Context(), call), "cardea-hash-key", "mine")
			if err := f.conn.Invoke(ctx, "/test.Service/Get", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
				t.Fatal(err)
			}
			homes[call.picked] = true
			wait(100 * time.Millisecond) // Others are connected meanwhile.
		}
		if len(homes) != 3 {
			t.Errorf("the client has chosen %v", homes)
		}
	})
}
