package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/cardea-gateway/cardea/discovery/consul"
	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/upstream"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// snapshot is one configuration, compiled: immutable, and replaced whole. Calls in flight hold the one they began with.
type snapshot struct {
	source    *configv1.Config // As it was given.
	cfg       *configv1.Config // With the services that backends have told.
	contracts []Contract
	told      []inForce    // The answers of backends that it was compiled with.
	file      *config.File // Nil where the configuration was built in code.
	digest    string
	faces     map[string]*sites // By the listener's key.
	admin     *frontend.Table
	backends  []*upstream.Backend
	routes    []Route
	registrar *consul.Registrar // Nil where the gateway is not to be registered.

	generation int64
	loaded     time.Time
	retired    time.Time // Written before the snapshot can be found among the retired.

	holders atomic.Int64    // Calls, and one for being in force.
	over    context.Context //nolint:containedctx // Ends streams that have run under it for too long.
	end     context.CancelCauseFunc
	ownOver context.Context //nolint:containedctx // The same for the gateway's own services, which end when it stops, too.
	unused  chan struct{}   // Closed when nobody holds it any more.
}

// errRetired is what streams get that outlive their configuration by too much.
var errRetired = call.Refuse(codes.Unavailable, "CONFIGURATION_RETIRED",
	"the configuration that this stream began under is out of force: begin it again")

func newSnapshot(source, cfg *configv1.Config, stopping context.Context) *snapshot { //nolint:revive // It is not the snapshot's context.
	s := &snapshot{source: source, cfg: cfg, faces: map[string]*sites{}, unused: make(chan struct{})}
	s.over, s.end = context.WithCancelCause(context.Background()) //nolint:forbidigo // It belongs to no call.
	own, endOwn := context.WithCancelCause(s.over)
	unlink := context.AfterFunc(stopping, func() { endOwn(context.Cause(stopping)) })
	context.AfterFunc(own, func() { unlink() })
	s.ownOver = own
	s.holders.Store(1)
	return s
}

// acquire holds the snapshot for one more; false where nobody has held it any more.
func (s *snapshot) acquire() bool {
	for {
		n := s.holders.Load()
		if n == 0 {
			return false
		}
		if s.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives it up for one. The last one gives up what it holds.
func (s *snapshot) release() {
	if s.holders.Add(-1) == 0 {
		s.close()
	}
}

// close gives up what the snapshot holds.
func (s *snapshot) close() {
	s.end(errRetired)
	for _, b := range s.backends {
		_ = b.Close() // The connection is not used any more.
	}
	close(s.unused)
}

// calls returns how many calls run under the snapshot.
func (s *snapshot) calls(inForce bool) int64 {
	n := s.holders.Load()
	if inForce {
		n--
	}
	return max(n, 0)
}

// current returns the snapshot in force, held for the caller.
func (g *Gateway) current() *snapshot {
	for {
		if s := g.running.Load(); s.acquire() {
			return s
		}
	}
}

// face hands out the tables of one listener.
type face struct {
	*Gateway

	key    string
	pinned atomic.Pointer[snapshot] // The last one that had the listener, once it is going.
	gone   atomic.Bool              // And given up again.
}

var _ frontend.Tables = (*face)(nil)

// Enter returns the table for an authority.
func (f *face) Enter(authority string) *frontend.Table {
	for {
		s := f.pinned.Load()
		if s == nil || !s.acquire() {
			s = f.current()
		}
		if sites, ok := s.faces[f.key]; ok {
			return sites.table(authority)
		}
		s.release()
		if f.gone.Load() { // A call on a connection that is over.
			return &frontend.Table{}
		}
	}
}

// Leave gives a table back.
func (f *face) Leave(t *frontend.Table) {
	if s, ok := t.Owner.(*snapshot); ok {
		s.release()
	}
}

// adminFace hands out the table of the admin address.
type adminFace struct{ *Gateway }

func (f adminFace) Enter(string) *frontend.Table { return f.current().admin }
func (f adminFace) Leave(t *frontend.Table)      { t.Owner.(*snapshot).release() } //nolint:forcetypeassert // As above.
