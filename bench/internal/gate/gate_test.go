package gate_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-gateway/cardea/bench/internal/gate"
)

func TestAllGoOnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(3)
		passed := make(chan error, 6)
		for round := range 2 {
			for range 2 {
				go func() { passed <- g.Wait(t.Context()) }()
			}
			synctest.Wait()
			if len(passed) != 3*round {
				t.Fatalf("%d passed before the third had come", len(passed))
			}
			passed <- g.Wait(t.Context())
			synctest.Wait()
			if len(passed) != 3*(round+1) {
				t.Fatalf("%d passed", len(passed))
			}
		}
		for range 6 {
			if err := <-passed; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestNobodyWaitsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := gate.New(3).Wait(ctx); err == nil || !strings.Contains(err.Error(), "1 of 3") {
			t.Error(err)
		}
	})
}
