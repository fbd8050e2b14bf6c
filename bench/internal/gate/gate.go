// Package gate makes goroutines wait for each other.
package gate

import (
	"context"
	"fmt"
	"sync"
)

// Gate opens when a number of goroutines wait, and closes behind them. It is safe for concurrent use.
type Gate struct {
	size int

	mu      sync.Mutex
	waiting int
	open    chan struct{}
}

// New returns a gate for so many goroutines at a time.
func New(size int) *Gate {
	return &Gate{size: size, open: make(chan struct{})}
}

// Wait returns when as many wait as the gate is for, or an error when the context ends before. A gate at which somebody
// gave up is of no use any more.
func (g *Gate) Wait(ctx context.Context) error {
	select {
	case <-g.arrive():
		return nil
	case <-ctx.Done():
		return g.leave(ctx.Err())
	}
}

// arrive counts somebody, and opens the gate if all are there.
func (g *Gate) arrive() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	open := g.open
	if g.waiting++; g.waiting == g.size {
		close(open)
		g.waiting, g.open = 0, make(chan struct{})
	}
	return open
}

func (g *Gate) leave(why error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Errorf("%d of %d arrived at the same time: %w", g.waiting, g.size, why)
}
