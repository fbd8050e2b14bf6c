package weighted

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// shares counts whose turn it is, over whole turns.
func shares(weights []float64, turns int) []float64 {
	s, counts := newSchedule(weights, 12345), make([]float64, len(weights))
	for range turns {
		counts[s.pick()]++
	}
	for i := range counts {
		counts[i] /= float64(turns)
	}
	return counts
}

func TestSharesAreThoseOfTheWeights(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	many := make([]float64, 1000)
	for i := range many {
		many[i] = float64(random.IntN(100))
	}
	for name, weights := range map[string][]float64{
		"7:2:1":          {7, 2, 1},
		"one":            {5},
		"equal":          {3, 3, 3, 3},
		"one has none":   {1, 0, 2},
		"nobody has any": {0, 0},
		"a canary":       {99, 1},
		"the largest":    {math.MaxUint32, 1 << 31, 1 << 30},
		"parts":          {0.1, 0.25, 0.0125},
		"a thousand":     many,
	} {
		sum := 0.0
		for _, w := range weights {
			sum += w
		}
		for i, got := range shares(weights, 200_000) {
			want := weights[i] / sum
			if sum == 0 {
				want = 1 / float64(len(weights))
			}
			if math.Abs(got-want) > 0.02*want && math.Abs(got-want) > 0.001 {
				t.Errorf("%s: number %d has %.4f, want %.4f", name, i, got, want)
			}
		}
	}
}

// TestTurnsAreSpread expects no long runs: with 7:2:1 nobody but the heaviest may come twice in a row.
func TestTurnsAreSpread(t *testing.T) {
	s, last, run := newSchedule([]float64{7, 2, 1}, 0), -1, 0
	for range 10_000 {
		i := s.pick()
		if i != last {
			last, run = i, 0
		}
		if run++; i != 0 && run > 1 || run > 8 {
			t.Fatalf("number %d came %d times in a row", i, run)
		}
	}
}

// FuzzSchedule expects that nobody without weight has a turn, that everybody with weight has some, and that the shares are right.
func FuzzSchedule(f *testing.F) {
	f.Add(uint32(7), uint32(2), uint32(1), uint64(0))
	f.Add(uint32(0), uint32(0), uint32(0), uint64(1))
	f.Add(uint32(1<<32-1), uint32(0), uint32(1<<16), uint64(1<<63))
	f.Fuzz(func(t *testing.T, a, b, c uint32, start uint64) {
		weights := []float64{float64(a), float64(b), float64(c)}
		s, counts := newSchedule(weights, start), [3]float64{}
		const turns = 30_000
		for range turns {
			counts[s.pick()]++
		}
		sum := weights[0] + weights[1] + weights[2]
		for i, w := range weights {
			if sum > 0 && w == 0 && counts[i] > 0 {
				t.Errorf("number %d has no weight and %v turns", i, counts[i])
			}
			if sum > 0 && math.Abs(counts[i]/turns-w/sum) > 0.005 {
				t.Errorf("%v: number %d has %v of %v turns", weights, i, counts[i], turns)
			}
		}
	})
}

func TestRamp(t *testing.T) {
	for age, want := range map[time.Duration]float64{
		0: 0.1, time.Second: 0.1, 2 * time.Second: 0.2, 5 * time.Second: 0.5, 10 * time.Second: 1, time.Hour: 1,
	} {
		if got := ramp(age, 10*time.Second); math.Abs(got-want) > 1e-9 {
			t.Errorf("after %s of 10s: %v, want %v", age, got, want)
		}
	}
	if ramp(0, 0) != 1 {
		t.Error("without slow start, an instance begins with a part of its share")
	}
}

func TestZones(t *testing.T) {
	full := func(weight float64, zone string) candidate { return candidate{weight: weight, zone: zone, ramp: 1} }
	sick := candidate{weight: 1, zone: "a", ramp: 1, sick: true}
	for name, tc := range map[string]struct {
		ready    []candidate
		capacity float64 // Of a.
		near     float64 // The part of the calls that stays in a.
	}{
		"all are there":                                 {[]candidate{full(1, "a"), full(1, "a"), full(1, "b")}, 2, 1},
		"a quarter of the zone is gone":                 {[]candidate{full(1, "a"), full(1, "a"), full(1, "a"), full(1, "b")}, 4, 1},
		"half of the zone is gone":                      {[]candidate{full(1, "a"), full(1, "b"), full(1, "b")}, 2, 0.7},
		"three quarters are gone":                       {[]candidate{full(1, "a"), full(1, "b")}, 4, 0.35},
		"weights count, not instances":                  {[]candidate{full(1, "a"), full(1, "b")}, 10, 0.14},
		"nobody is left in the zone":                    {[]candidate{full(1, "b"), full(1, "c")}, 2, 0},
		"nobody is left elsewhere":                      {[]candidate{full(1, "a")}, 10, 1},
		"the zone has no weight":                        {[]candidate{full(0, "a"), full(1, "b")}, 0, 0},
		"slow start is no lack of a zone":               {[]candidate{{weight: 1, zone: "a", ramp: 0.1}, full(1, "a"), full(1, "b")}, 2, 1},
		"all of the zone are sick, and used in a panic": {[]candidate{sick, sick, full(1, "b")}, 2, 0},
		"half of the zone is sick, and used in a panic": {[]candidate{sick, full(1, "a"), full(1, "b")}, 2, 0.7},
	} {
		near, all := 0.0, 0.0
		for i, s := range share(tc.ready, "a", tc.capacity) {
			all += s
			if tc.ready[i].zone == "a" {
				near += s
			}
		}
		if math.Abs(near/all-tc.near) > 1e-9 {
			t.Errorf("%s: %.3f of the calls stay, want %.3f", name, near/all, tc.near)
		}
	}
}

func TestConfig(t *testing.T) {
	for text, want := range map[string]Config{
		`{}`:                  {},
		`{"slowStart":"30s"}`: {SlowStart: Duration(30 * time.Second)},
		`{"slowStart":"1m30s","preferZone":"eu-1a"}`: {SlowStart: Duration(90 * time.Second), PreferZone: "eu-1a"},
	} {
		got, err := builder{}.ParseConfig([]byte(text))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(&want) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `[]`, `{"slowstart_":"1s"}`, `{"slowStart":1}`, `{"slowStart":"-1s"}`, `{"slowStart":"soon"}`, `{} {}`, `{"preferZone":1}`} {
		if got, err := (builder{}).ParseConfig([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", text, got)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			weights := make([]float64, n)
			for i := range weights {
				weights[i] = float64(i%10 + 1)
			}
			s := newSchedule(weights, 0)
			b.ReportAllocs()
			for b.Loop() {
				s.pick()
			}
		})
	}
}
