package weighted

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

const (
	// circle is the circumference of the circle that the indices divide among them.
	circle = 1 << 63
	// golden is the golden section of 2^64. Points that are this far apart, one after the other, spread over a circle of 2^64 more
	// evenly than with any other stride, however many they are.
	golden = 0x9E3779B97F4A7C15
)

// schedule hands out indices, each in proportion to its weight, and mixed: one that has every tenth turn on average never waits for
// less than five turns or more than twenty. It is safe for concurrent use, never blocks and does not allocate.
//
// Each index owns an arc of a circle, as long as its weight. Every turn moves a point along the circle by the golden section, and
// whoever owns the arc on which it falls is next. Equal weights just take turns.
type schedule struct {
	turn atomic.Uint64

	n     uint64
	ends  []uint64 // Where the arc of each index ends. Nil if all weights are equal.
	guide []uint32 // By the first bits of a point: the index on whose arc the points with these bits begin.
	shift int      // To get at these bits.
}

// newSchedule returns a schedule for the indices of the weights, which begins anywhere. The weights must not be negative, and their
// sum must be positive and finite. An index with the weight 0 is never handed out.
func newSchedule(weights []float64) *schedule {
	s := &schedule{n: uint64(len(weights))}
	s.turn.Store(rand.Uint64()) //nolint:gosec // No secret.
	if slices.Min(weights) != slices.Max(weights) {
		s.ends = arcs(weights)
		s.shift = 63 - bits.Len(uint(len(weights)))
		s.guide = guide(s.ends, s.shift)
	}
	return s
}

// arcs returns where the arc of each weight ends. The last one ends where the first begins.
func arcs(weights []float64) []uint64 {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	ends := make([]uint64, len(weights))
	sum := 0.0
	for i, w := range weights {
		sum += w
		ends[i] = uint64(sum / total * circle)
	}
	return ends
}

// guide divides the circle into equal parts, more of them than arcs, and returns on which arc each begins.
func guide(ends []uint64, shift int) []uint32 {
	first := make([]uint32, uint64(circle)>>shift)
	i := uint32(0)
	for part := range first {
		for ends[i] <= uint64(part)<<shift {
			i++
		}
		first[part] = i
	}
	return first
}

// next returns the index whose turn it is. Since there are more parts than arcs, it takes less than one step from where the guide
// points to, on average.
func (s *schedule) next() int {
	turn := s.turn.Add(1)
	if s.ends == nil {
		return int(turn % s.n)
	}
	point := turn * golden >> 1
	i := s.guide[point>>s.shift]
	for s.ends[i] <= point {
		i++
	}
	return int(i)
}
