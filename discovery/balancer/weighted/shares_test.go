package weighted

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func warm(weight float64) candidate { return candidate{weight: weight, warmth: 1} }

func lost(weight float64) candidate { return candidate{weight: weight} }

func cold(weight float64) candidate { return candidate{weight: weight, warmth: coldest} }

func local(c candidate) candidate {
	c.local = true
	return c
}

func sick(c candidate) candidate {
	c.sick = true
	return c
}

func TestShares(t *testing.T) {
	for name, test := range map[string]struct {
		all  []candidate
		want []float64
	}{
		"none":                {nil, []float64{}},
		"nobody ready":        {[]candidate{lost(1), lost(2)}, []float64{0, 0}},
		"by weight":           {[]candidate{warm(7), warm(2), warm(1)}, []float64{.7, .2, .1}},
		"largest weights":     {[]candidate{warm(math.MaxUint32), warm(math.MaxUint32)}, []float64{.5, .5}},
		"lost gets none":      {[]candidate{lost(7), warm(2), warm(1)}, []float64{0, 2. / 3, 1. / 3}},
		"zero gets none":      {[]candidate{warm(0), warm(3)}, []float64{0, 1}},
		"all ready have zero": {[]candidate{warm(0), warm(0), lost(9)}, []float64{.5, .5, 0}},
		"all zero, all zones": {[]candidate{local(warm(0)), warm(0), lost(0), local(lost(3))}, []float64{.5, .5, 0, 0}},
		"cold gets a tenth":   {[]candidate{cold(10), warm(1)}, []float64{.5, .5}},
		"all are cold":        {[]candidate{cold(7), cold(2), cold(1)}, []float64{.7, .2, .1}},

		"the zone has all":              {[]candidate{local(warm(3)), local(warm(1)), warm(100)}, []float64{.75, .25, 0}},
		"the zone can spare some":       {[]candidate{local(warm(5)), local(lost(2)), warm(1)}, []float64{1, 0, 0}},
		"half of the zone":              {[]candidate{local(warm(1)), local(lost(1)), warm(2), warm(1)}, []float64{.7, 0, .2, .1}},
		"a tenth of the zone":           {[]candidate{local(warm(1)), local(lost(9)), warm(1)}, []float64{.14, 0, .86}},
		"the zone is gone":              {[]candidate{local(lost(1)), warm(3), warm(1)}, []float64{0, .75, .25}},
		"the zone has no weight":        {[]candidate{local(warm(0)), warm(3), warm(1)}, []float64{0, .75, .25}},
		"all of the zone are sick":      {[]candidate{local(sick(warm(1))), local(sick(warm(1))), warm(1)}, []float64{0, 0, 1}},
		"half of the zone is sick":      {[]candidate{local(sick(warm(1))), local(warm(1)), warm(1)}, []float64{.35, .35, .3}},
		"all are sick, and nobody else": {[]candidate{local(sick(warm(3))), local(sick(warm(1)))}, []float64{.75, .25}},
		"nobody is in the zone":         {[]candidate{warm(3), warm(1)}, []float64{.75, .25}},
		"all are in the zone":           {[]candidate{local(warm(3)), local(warm(1))}, []float64{.75, .25}},
		"the others are gone":           {[]candidate{local(warm(1)), local(lost(9)), lost(1)}, []float64{1, 0, 0}},
		"the others have no weight":     {[]candidate{local(warm(1)), local(lost(9)), warm(0)}, []float64{1, 0, 0}},
		"weightless do not count":       {[]candidate{local(warm(1)), local(lost(0)), local(warm(0)), warm(1)}, []float64{1, 0, 0, 0}},
		"the zone is cold":              {[]candidate{local(cold(1)), warm(1)}, []float64{.14, .86}},
		"the others are cold":           {[]candidate{local(warm(1)), local(lost(1)), cold(1)}, []float64{.7, 0, .3}},
		"everybody is cold":             {[]candidate{local(cold(1)), local(cold(1)), cold(1)}, []float64{.5, .5, 0}},
		"all cold, half lost":           {[]candidate{local(cold(1)), local(lost(1)), cold(1)}, []float64{.7, 0, .3}},
		"a cold one among the zone's":   {[]candidate{local(cold(10)), local(warm(10)), warm(1)}, []float64{.07, .7, .23}},
		"one without weight is warm":    {[]candidate{local(cold(1)), cold(1), warm(0)}, []float64{1, 0, 0}},
		"the zone warms on its own":     {[]candidate{local(cold(1)), lost(1)}, []float64{1, 0}},
		"the last of a zone came back":  {[]candidate{local(cold(1)), local(lost(1)), warm(1)}, []float64{.07, 0, .93}},
	} {
		if diff := cmp.Diff(test.want, shares(test.all), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// TestSharesOfAnything checks what holds for any set.
func TestSharesOfAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		all := make([]candidate, 1+rng.IntN(30))
		ready, weight := 0, 0.0
		for i := range all {
			all[i] = candidate{weight: float64(rng.Uint32() >> rng.IntN(33)), local: rng.IntN(3) == 0}
			if rng.IntN(4) > 0 {
				all[i].warmth = warmth(time.Duration(rng.IntN(15)), 10)
				ready++
			}
			weight += all[i].counts()
		}
		got := shares(all)
		if total := sum(got); ready > 0 && math.Abs(total-1) > 1e-9 || ready == 0 && total != 0 {
			t.Fatalf("%+v: the shares %v add up to %v", all, got, total)
		}
		for i, c := range all {
			if got[i] < 0 || got[i] > 0 && (c.warmth == 0 || c.weight == 0 && weight > 0) {
				t.Fatalf("%+v: candidate %d has the share %v", all, i, got[i])
			}
		}
	}
}

// TestSharesOfNeighbours expects that two of one zone differ by their weights only, down to the last bit: equal weights take turns.
func TestSharesOfNeighbours(t *testing.T) {
	got := shares([]candidate{local(warm(3)), local(warm(3)), local(lost(13)), warm(9), warm(9), warm(9)})
	if got[0] != got[1] || got[3] != got[4] || got[4] != got[5] {
		t.Errorf("got %v", got)
	}
}

func TestWarmth(t *testing.T) {
	for _, test := range []struct {
		ready, window time.Duration
		want          float64
	}{
		{0, 0, 1},
		{time.Hour, 0, 1},
		{0, time.Second, .1},
		{500 * time.Millisecond, time.Second, .55},
		{time.Second, time.Second, 1},
		{time.Hour, time.Second, 1},
	} {
		if got := warmth(test.ready, test.window); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("ready for %v of %v: got %v, want %v", test.ready, test.window, got, test.want)
		}
	}
}
