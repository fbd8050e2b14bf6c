package instances

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// methods are the methods of a backend, by their full names. The zero value is ready for use but for its options.
type methods struct {
	options Ejection
	known   sync.Map // Of *method. Names come from contracts, not from clients.
}

func (m *methods) of(fullName string) *method {
	if known, ok := m.known.Load(fullName); ok {
		return known.(*method) //nolint:forcetypeassert // Nothing else is in there.
	}
	known, _ := m.known.LoadOrStore(fullName, &method{options: m.options})
	return known.(*method) //nolint:forcetypeassert // Nothing else is in there.
}

// method knows how long calls of a method take where they are quick.
type method struct {
	options Ejection
	typical atomic.Uint64 // The bits of a float64, in seconds. 0: nobody knows.
}

// The estimate goes up by a step for a call that took longer, and down by three for one that took less: so it stays near the
// quickest quarter of the calls, however slow the instances are that answer the others.
const (
	stepUp   = 1.02
	stepDown = 1 / 1.06
)

// note takes up how long a call took that was answered. Slow ones count, too: there may be no others.
func (m *method) note(took time.Duration) {
	for {
		bits := m.typical.Load()
		before, next := math.Float64frombits(bits), max(took.Seconds(), 1e-6)
		switch {
		case bits == 0:
		case next > before:
			next = min(next, before*stepUp)
		default:
			next = max(next, before*stepDown)
		}
		if m.typical.CompareAndSwap(bits, math.Float64bits(next)) {
			return
		}
	}
}

// limit is how long a call may take. 0: as long as it likes, which it may until it is known how long others take.
func (m *method) limit() time.Duration {
	typical := math.Float64frombits(m.typical.Load())
	if m.options.SlowCall == 0 || typical == 0 {
		return 0
	}
	return max(m.options.SlowCall, time.Duration(m.options.SlowFactor*typical*float64(time.Second)))
}
