package weighted

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// spread says how the turns of one index lay among n turns of a schedule.
type spread struct {
	share            float64 // What its weight asks for.
	count            int
	low, high        float64 // The least and the most that it was ahead of its share, after any turn.
	shortest, widest int     // The gaps between its turns.
	last             int
}

// observe takes n turns.
func observe(s *schedule, weights []float64, n int) []spread {
	all := make([]spread, len(weights))
	total := sum(weights)
	for i, w := range weights {
		all[i] = spread{share: w / total, shortest: n, last: -1}
	}
	for turn := range n {
		i := s.next()
		all[i].take(turn)
		// Between its own turns an index only falls behind: what it is ahead by is extreme around these.
		ahead := float64(all[i].count) - all[i].share*float64(turn+1)
		all[i].low, all[i].high = min(all[i].low, ahead-1), max(all[i].high, ahead)
	}
	return all
}

func (s *spread) take(turn int) {
	s.count++
	if s.last >= 0 {
		s.shortest, s.widest = min(s.shortest, turn-s.last), max(s.widest, turn-s.last)
	}
	s.last = turn
}

func sum(weights []float64) float64 {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	return total
}

// check expects that over any window of the turns no index is ahead of its share or behind it by more than few turns, and that its
// turns lie apart.
func check(t *testing.T, weights []float64, n int) {
	t.Helper()
	for i, s := range observe(newSchedule(weights), weights, n) {
		if off := float64(s.count) - s.share*float64(n); math.Abs(off) > 8 {
			t.Errorf("weight %v, %d of %d: %d of %d turns, off by %.1f", weights[i], i, len(weights), s.count, n, off)
		}
		if s.high-s.low > 8 {
			t.Errorf("weight %v, %d of %d: a window has %.1f turns too many or too few", weights[i], i, len(weights), s.high-s.low)
		}
		if s.count > 1 && (float64(s.widest) > 2/s.share+1 || float64(s.shortest) < math.Floor(0.44/s.share)) {
			t.Errorf("weight %v, %d of %d: gaps from %d to %d, want about %.1f", weights[i], i, len(weights), s.shortest, s.widest, 1/s.share)
		}
	}
}

func TestScheduleShares(t *testing.T) {
	for name, weights := range map[string][]float64{
		"7:2:1":                   {7, 2, 1},
		"one":                     {5},
		"half and half":           {3, 3},
		"nearly equal":            {100, 99, 101},
		"one is a giant":          {1, math.MaxUint32},
		"giants":                  {math.MaxUint32, math.MaxUint32 - 1, math.MaxUint32 / 2},
		"sum to one":              {0.7, 0.2, 0.1},
		"powers of two":           {1, 2, 4, 8, 16, 32, 64, 128},
		"first without weight":    {0, 7, 2, 1},
		"last without weight":     {7, 2, 1, 0},
		"most without weight":     {0, 0, 7, 0, 0, 0, 2, 0, 1, 0, 0},
		"equal but for a zero":    {1, 0, 1},
		"hardly any, and nothing": {0, 1e-300, 0},
	} {
		t.Run(name, func(t *testing.T) { check(t, weights, 100_000) })
	}
}

func TestScheduleSharesOfManyIndices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, weigh := range map[string]func() float64{
		"equal":        func() float64 { return 3 },
		"1 to 10":      func() float64 { return 1 + float64(rng.IntN(10)) },
		"any":          func() float64 { return float64(rng.Uint32()) },
		"mostly small": func() float64 { return math.Floor(math.Exp(22 * rng.Float64())) },
		"mostly none":  func() float64 { return float64(max(0, rng.IntN(100)-90)) },
	} {
		for _, n := range []int{2, 3, 31, 32, 33, 500, 1000} {
			weights := make([]float64, n)
			for i := range weights {
				weights[i] = weigh()
			}
			weights[rng.IntN(n)] = 7
			t.Run(fmt.Sprint(name, ",", n), func(t *testing.T) { check(t, weights, 100_000) })
		}
	}
}

// TestEqualWeightsTakeTurns expects plain round robin.
func TestEqualWeightsTakeTurns(t *testing.T) {
	for _, n := range []int{1, 2, 3, 1000} {
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = 0.1
		}
		s := newSchedule(weights)
		first := s.next()
		for turn := range 3 * n {
			if got, want := s.next(), (first+1+turn)%n; got != want {
				t.Fatalf("%d indices, turn %d: got %d, want %d", n, turn, got, want)
			}
		}
	}
}

// TestScheduleBeginsAnywhere expects that not all gateways call the same instance first.
func TestScheduleBeginsAnywhere(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1, 1}, {7, 2, 1}} {
		counts := make([]float64, len(weights))
		for range 10_000 {
			counts[newSchedule(weights).next()]++
		}
		for i, w := range weights {
			if want := 10_000 * w / sum(weights); math.Abs(counts[i]-want) > 300 {
				t.Errorf("%v: index %d was first %v times of 10000, want about %v", weights, i, counts[i], want)
			}
		}
	}
}

func TestScheduleIsShared(t *testing.T) {
	const callers, turns = 8, 10_000
	weights := []float64{7, 2, 1}
	s := newSchedule(weights)
	var counts [callers][3]int
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for range turns {
				counts[caller][s.next()]++
			}
		})
	}
	running.Wait()
	for i, w := range weights {
		got := 0
		for _, c := range counts {
			got += c[i]
		}
		if want := callers * turns * int(w) / 10; got < want-8 || got > want+8 {
			t.Errorf("index %d: %d turns, want %d", i, got, want)
		}
	}
}

func TestScheduleSurvivesItsCounter(t *testing.T) {
	weights := []float64{7, 2, 1}
	s := newSchedule(weights)
	s.turn.Store(math.MaxUint64 - 500)
	for i, got := range observe(s, weights, 1000) {
		if want := 100 * weights[i]; math.Abs(float64(got.count)-want) > 8 {
			t.Errorf("index %d: %d turns, want %v", i, got.count, want)
		}
	}
}

// TestScheduleAtABorder expects that the point at which an arc ends is on the next one.
func TestScheduleAtABorder(t *testing.T) {
	s := newSchedule([]float64{3, 0, 5})
	inverse := uint64(1)
	for range 6 {
		inverse *= 2 - golden*inverse // Doubles the bits that are right.
	}
	for point, want := range map[uint64]int{s.ends[0] - 1: 0, s.ends[0]: 2, circle - 1: 2, 0: 0} {
		s.turn.Store(point<<1*inverse - 1)
		if got := s.next(); got != want {
			t.Errorf("point %x: got %d, want %d", point, got, want)
		}
	}
}

func FuzzSchedule(f *testing.F) {
	f.Add([]byte{7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0}, uint64(0))
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0}, uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, raw []byte, start uint64) {
		var weights []float64
		for ; len(raw) >= 4 && len(weights) < 1000; raw = raw[4:] {
			weights = append(weights, float64(binary.LittleEndian.Uint32(raw)))
		}
		if sum(weights) == 0 {
			return
		}
		s := newSchedule(weights)
		s.turn.Store(min(start, math.MaxUint64-10_000)) // Plain turns stumble once in 2^64.
		for i, got := range observe(s, weights, 5000) {
			if weights[i] == 0 && got.count > 0 {
				t.Errorf("%v: index %d without weight had a turn", weights, i)
			}
			if math.Abs(float64(got.count)-5000*got.share) > 8 {
				t.Errorf("%v: index %d had %d turns of 5000, want %v", weights, i, got.count, 5000*got.share)
			}
		}
	})
}

func BenchmarkSchedule(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{3, 100, 1000} {
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = float64(1 + rng.IntN(100))
		}
		b.Run(fmt.Sprint("new/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newSchedule(weights)
			}
		})
		s := newSchedule(weights)
		b.Run(fmt.Sprint("next/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.next()
			}
		})
	}
	b.Run("next/1 giant of 1000", func(b *testing.B) {
		weights := make([]float64, 1000)
		for i := range weights {
			weights[i] = 1
		}
		weights[500] = math.MaxUint32
		s := newSchedule(weights)
		for b.Loop() {
			s.next()
		}
	})
}
