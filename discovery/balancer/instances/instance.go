package instances

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"

	"github.com/cardea-gateway/cardea/discovery"
)

// instance is one instance, and its fitness.
type instance struct {
	w       *wrapper
	address string

	open   atomic.Bool  // Whether calls may go there.
	flying atomic.Int32 // Calls on their way.
	trial  atomic.Bool  // It was ejected, and is back for one call at a time.
	trying atomic.Int32 // Calls on their way that began in a trial.

	mu     sync.Mutex
	known  discovery.Instance
	conns  []*conn // The first one is that of the balancer inside; it may be missing.
	broken error   // Why it could not be connected, the last time.
	oldest *flight // Calls that are no streams, and were not judged, by their beginning.
	newest *flight
	record record

	failedChecks int       // In a row.
	unserving    string    // Why checks say that it is out.
	deaf         bool      // It is out because it does not answer.
	heard        time.Time // When it last answered a call.
	ejected      string    // Why calls say that it is out.
	until        time.Time // When ejection ends.
	back         time.Time // When the last ejection ended.
	times        int       // Ejections, those long ago not counted.
	passed       int       // Calls that fared well in a trial.
	considered   time.Time // When ejection was last thought of.
	spare        time.Time // Since when it has more connections than it needs.
	lost         time.Time // When a connection that the balancer inside does not know of failed.

	out   string    // Why it is out, as it was judged.
	since time.Time // When that became so.
}

func newInstance(w *wrapper, known discovery.Instance) *instance {
	return &instance{w: w, address: known.Address, since: time.Now()}
}

// learn takes up what the registry says.
func (i *instance) learn(known discovery.Instance) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known = known
}

// reason says why the instance is out; empty if it is fit. The lock must be held.
func (i *instance) reason() string {
	switch {
	case i.known.Unhealthy != "":
		return "registry: " + i.known.Unhealthy
	case i.known.Weight == 0:
		return "registry: weight 0"
	case i.unserving != "":
		return "health check: " + i.unserving
	case i.ejected != "":
		return "ejected: " + i.ejected
	case i.broken != nil:
		return "connection: " + i.broken.Error()
	}
	return ""
}

// unwanted tells whether a call should go elsewhere, if it can.
func (i *instance) unwanted(call Call) bool {
	if call != nil && call.Avoids(i.address) {
		return true
	}
	return !i.open.Load() || (i.trial.Load() && i.trying.Load() > 0)
}

// begin notes a call.
func (i *instance) begin(f *flight) {
	i.flying.Add(1)
	f.conn.calls.Add(1)
	if f.trial = i.trial.Load(); f.trial {
		i.trying.Add(1)
	}
	if f.method == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	f.older = i.newest
	if i.newest != nil {
		i.newest.newer = f
	} else {
		i.oldest = f
	}
	i.newest = f
}

// end notes what became of a call. It tells whether ejection must be thought of.
func (i *instance) end(f *flight, answered bool, cause string, counts bool) bool {
	i.flying.Add(-1)
	f.conn.calls.Add(-1)
	i.mu.Lock()
	defer i.mu.Unlock()
	if answered {
		i.heard = time.Now()
	}
	if f.judged {
		return false
	}
	if f.trial {
		i.trying.Add(-1)
	}
	i.land(f)
	return counts && i.note(cause)
}

// land takes a call out of those that are on their way. The lock must be held.
func (i *instance) land(f *flight) {
	if f.method == nil {
		return
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		i.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		i.newest = f.older
	}
	f.older, f.newer = nil, nil
}

// trialCalls is how many calls must fare well until an instance that was ejected is trusted again.
const trialCalls = 3

// note takes up how a call fared. It tells whether ejection must be thought of. The lock must be held.
func (i *instance) note(cause string) bool {
	i.record.note(time.Now(), cause)
	if cause != "" {
		return true
	}
	if i.trial.Load() {
		if i.passed++; i.passed >= trialCalls {
			i.trial.Store(false)
		}
	}
	return false
}

// age counts calls as failed that have taken too long already. It tells whether ejection must be thought of.
func (i *instance) age(now time.Time) (think bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for f := i.oldest; f != nil; {
		next := f.newer
		if now.Sub(f.began) <= i.w.set.options.Ejection.SlowCall {
			break
		}
		if f.slow(f.took(now)) {
			i.land(f)
			f.judged = true
			if f.trial { // It may never end, and the next trial needs a call.
				i.trying.Add(-1)
			}
			think = i.note(slow) || think
		}
		f = next
	}
	return think
}

func (i *instance) add(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c.listener != nil {
		i.conns = slices.Insert(i.conns, 0, c)
		return
	}
	i.conns = append(i.conns, c)
}

// errRefused is why an instance can't be connected where grpc does not say why.
var errRefused = errors.New("it can't be connected")

// changed notes what became of a connection.
func (i *instance) changed(c *conn, s balancer.SubConnState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case s.ConnectivityState == connectivity.Shutdown:
		i.conns = slices.DeleteFunc(i.conns, func(other *conn) bool { return other == c })
	case c.listener == nil:
	case s.ConnectivityState == connectivity.TransientFailure:
		i.broken = cmp.Or(s.ConnectionError, errRefused)
	case s.ConnectivityState == connectivity.Ready:
		i.broken = nil
	}
}

// main returns the connection that the balancer inside knows of, if it is up.
func (i *instance) main() *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.conns) > 0 && i.conns[0].listener != nil && i.conns[0].ready() {
		return i.conns[0]
	}
	return nil
}
