package weighted

import (
	"math"
	"sync/atomic"
)

// full is the weight of the heaviest in a schedule.
const full = math.MaxUint16

// schedule says whose turn it is, by weights. It goes round and round; the heaviest gets a turn in each round, and one with a
// third of its weight in each third round: the turns of each are spread as evenly as whole numbers can be, as the pixels of a line
// are. It is safe for concurrent use, and takes no lock.
type schedule struct {
	weights []uint64 // At most full; one at least has it.
	next    atomic.Uint64
}

// newSchedule returns a schedule for weights of any size. Those that are 0 have no turns, unless all are.
func newSchedule(weights []float64, start uint64) *schedule {
	heaviest := 0.0
	for _, w := range weights {
		heaviest = max(heaviest, w)
	}
	s := &schedule{weights: make([]uint64, len(weights))}
	for i, w := range weights {
		switch {
		case heaviest == 0:
			s.weights[i] = full
		case w > 0:
			s.weights[i] = max(1, uint64(math.Round(w/heaviest*full)))
		}
	}
	s.next.Store(start)
	return s
}

// pick returns whose turn it is.
func (s *schedule) pick() int {
	n := uint64(len(s.weights))
	for {
		turn := s.next.Add(1) - 1
		i, round := turn%n, turn/n%full
		if w := s.weights[i]; w == full || (w*round+i*phase)%full+w >= full && w > 0 {
			return int(i)
		}
	}
}

// phase keeps those of the same weight from having their turns in the same rounds: it is the golden section of full, whose
// multiples never come close to one another.
const phase = 40503
