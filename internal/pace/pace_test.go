package pace_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-gateway/cardea/internal/pace"
)

func TestSleep(t *testing.T) {
	for name, test := range map[string]struct {
		rest, life, takes time.Duration
		whole             bool
	}{
		"the whole time":            {rest: time.Second, life: time.Minute, takes: time.Second, whole: true},
		"until the context ends":    {rest: time.Minute, life: time.Second, takes: time.Second},
		"nothing":                   {life: time.Second, whole: true},
		"nothing, and the end came": {},
		"less than nothing":         {rest: -time.Second, life: time.Second, whole: true},
		"after the end":             {rest: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.life)
				defer cancel()
				began := time.Now()
				if whole := pace.Sleep(ctx, test.rest); whole != test.whole {
					t.Errorf("got %v", whole)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestSpread(t *testing.T) {
	var got []time.Duration
	for range 1000 {
		got = append(got, pace.Spread(time.Minute))
	}
	if least, most := slices.Min(got), slices.Max(got); least < 54*time.Second || least > 55*time.Second ||
		most > 66*time.Second || most < 65*time.Second {
		t.Errorf("between %v and %v", least, most)
	}
}
