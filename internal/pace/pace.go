// Package pace spaces out what is done again and again.
package pace

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits, and reports false if the context ends first. It does not wait if d is not positive.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Spread returns a duration that differs from d by a tenth at most, at random, so that what many do at the same pace does
// not fall on the same moment.
func Spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // No secret.
}
