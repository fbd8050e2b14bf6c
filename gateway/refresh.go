package gateway

import (
	"context"
	"sync"
	"time"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	"github.com/cardea-gateway/cardea/internal/pace"
)

// turn is when to ask a backend again for its contracts, and what it tells that is not in force.
type turn struct {
	asker

	interval time.Duration
	due      time.Time
	wait     time.Duration // Until the next attempt, after a failure.
	offer    *answer       // Nil where the backend tells what is in force.
	tried    int64         // The number of attempts after which the offer was tried, or untried.
}

// untried is when an offer was tried that is new.
const untried = -1

// never is when nobody has to be asked.
const never = 24 * time.Hour

// firstWait is how long a backend that can't be asked is left alone, at first.
const firstWait = time.Second

// refresh asks the backends of the configuration in force again and again, and puts what has changed in force, until the
// context ends.
func (g *Gateway) refresh(ctx context.Context) {
	turns := map[string]*turn{}
	for {
		turns = g.takeTurns(ctx, turns)
		timer := time.NewTimer(time.Until(nextOf(turns)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.attempted: // There may be other backends.
			timer.Stop()
		case <-timer.C:
		}
	}
}

func nextOf(turns map[string]*turn) time.Time {
	next := time.Now().Add(never)
	for _, t := range turns {
		if t.due.Before(next) {
			next = t.due
		}
	}
	return next
}

// takeTurns asks whose turn it is, all at a time, puts in force what is new, and returns the turns of the configuration that
// was in force.
func (g *Gateway) takeTurns(ctx context.Context, before map[string]*turn) map[string]*turn {
	s := g.current()
	turns := g.turns(ctx, s, before)
	var asking sync.WaitGroup
	for _, t := range turns {
		if !time.Now().Before(t.due) {
			asking.Go(func() { g.again(t) })
		}
	}
	asking.Wait()
	s.release()
	g.adopt(turns)
	return turns
}

// turns returns the turns of a configuration: those from before, and one for each backend that is new.
func (g *Gateway) turns(ctx context.Context, s *snapshot, before map[string]*turn) map[string]*turn {
	turns := map[string]*turn{}
	for i, b := range s.source.GetBackends() {
		if b.GetReflection() == nil {
			continue
		}
		p := g.asker(s.source, b, s.backends[i])
		p.ctx = ctx
		t := before[p.key()]
		if t == nil {
			t = &turn{wait: firstWait, due: time.Now().Add(pace.Spread(firstWait))}
			if a := g.answers.last(p); a != nil && !a.cached {
				t.due = a.asked.Add(pace.Spread(b.GetReflection().GetInterval().AsDuration()))
			}
		}
		t.asker, t.interval = p, b.GetReflection().GetInterval().AsDuration()
		turns[p.key()] = t
	}
	return turns
}

// again asks a backend, and notes what it tells.
func (g *Gateway) again(t *turn) {
	a, err := t.ask(false)
	if err != nil {
		if t.wait == firstWait {
			t.log.Warn("a backend can't be asked for its contracts", "backend", t.name, "error", err.Error())
		}
		t.due = time.Now().Add(pace.Spread(t.wait))
		t.wait = min(2*t.wait, max(t.interval, firstWait))
		return
	}
	t.wait, t.due = firstWait, time.Now().Add(pace.Spread(t.interval))
	if t.offer == nil || !a.said.Equal(t.offer.said) {
		t.offer, t.tried = a, untried
	}
}

// settled tells whether there is nothing to put in force: what the backend tells is in force already.
func (g *Gateway) settled(t *turn) bool {
	if t.offer == nil {
		return true
	}
	if in := g.answers.last(t.asker); in != nil && !in.cached && t.offer.said.Equal(in.said) {
		g.answers.set(t.asker, t.offer) // It was asked later.
		t.offer = nil
		return true
	}
	return false
}

// adopt puts in force what backends tell: everything at once, since contracts that two of them share change in both; or, if
// that can't be, what can by itself, so that one backend does not hold up the others. What was refused is tried again only
// after something else has changed.
func (g *Gateway) adopt(turns map[string]*turn) {
	var offers []*turn
	fresh := false
	attempts := g.attempts.Load()
	for _, t := range turns {
		if !g.settled(t) {
			offers = append(offers, t)
			fresh = fresh || t.tried != attempts
		}
	}
	switch {
	case !fresh:
		return
	case len(offers) == 1 || g.fits(offers):
		g.enact(offers)
	default:
		for _, t := range offers {
			if t.tried != attempts {
				g.enact([]*turn{t})
			}
		}
	}
	for _, t := range offers {
		t.tried = attempts
	}
}

// with compiles a configuration with what backends offer, and what the others have told before.
func (g *Gateway) with(offers []*turn) func(*configv1.Config) (*snapshot, error) {
	return func(cfg *configv1.Config) (*snapshot, error) {
		return g.compile(cfg, func(p asker) *answer {
			for _, t := range offers {
				if t.key() == p.key() {
					return t.offer
				}
			}
			return g.answers.last(p)
		})
	}
}

// fits tells whether the configuration in force can be compiled with what backends offer.
func (g *Gateway) fits(offers []*turn) bool {
	g.reloading.Lock() // Connections that come and go are no business of two at a time.
	defer g.reloading.Unlock()
	s, err := g.with(offers)(g.running.Load().source)
	if err == nil {
		s.release()
	}
	return err == nil
}

// enact puts the configuration in force with what backends offer. Errors are logged and counted as those of a reload.
func (g *Gateway) enact(offers []*turn) {
	_ = g.attempt(TriggerDescriptors, func() error {
		running := g.running.Load()
		return g.put(running.source, running.file, g.with(offers))
	})
}
