package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/reflection"
)

// turn is when to ask a backend again for its contracts.
type turn struct {
	asker

	interval time.Duration
	due      time.Time
	wait     time.Duration      // Until the next attempt, after a failure.
	news     *answer            // That is not in force yet.
	refused  *reflection.Answer // That the configuration can't be compiled with; it is not tried again.
}

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
		next := time.Now().Add(never)
		for _, t := range turns {
			if t.due.Before(next) {
				next = t.due
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.enforced: // There may be other backends.
			timer.Stop()
		case <-timer.C:
		}
	}
}

// takeTurns asks whose turn it is, all at a time, and returns the turns of the configuration in force.
func (g *Gateway) takeTurns(ctx context.Context, before map[string]*turn) map[string]*turn {
	s := g.current()
	turns := g.turns(ctx, s, before)
	var asking sync.WaitGroup
	for _, t := range turns {
		if !time.Now().Before(t.due) {
			asking.Go(func() { t.news = g.again(t) })
		}
	}
	asking.Wait()
	s.release()
	for _, t := range turns {
		if t.news != nil {
			g.adopt(t, t.news)
			t.news = nil
		}
	}
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
			t = &turn{wait: firstWait, due: time.Now().Add(jitter(firstWait))}
			if a := g.answers.get(p.key()); a != nil && !a.cached {
				t.due = a.asked.Add(jitter(b.GetReflection().GetInterval().AsDuration()))
			}
		}
		t.asker, t.interval = p, b.GetReflection().GetInterval().AsDuration()
		turns[p.key()] = t
	}
	return turns
}

// jitter spreads a time by a tenth, so that gateways don't ask in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // No secret.
}

// again asks a backend, and returns what it tells if that is new.
func (g *Gateway) again(t *turn) *answer {
	a, err := t.ask(false)
	if err != nil {
		if t.wait == firstWait {
			t.log.Warn("a backend can't be asked for its contracts", "backend", t.name, "error", err.Error())
		}
		t.due = time.Now().Add(jitter(t.wait))
		t.wait = min(2*t.wait, max(t.interval, firstWait))
		return nil
	}
	t.wait, t.due = firstWait, time.Now().Add(jitter(t.interval))
	switch before := g.answers.get(t.key()); {
	case a.said.Equal(t.refused):
		return nil
	case before == nil || before.cached || !a.said.Equal(before.said):
		return a
	}
	g.answers.set(t.key(), a)
	return nil
}

// adopt puts the configuration in force with what a backend has told. If that can't be, what was known before stays.
func (g *Gateway) adopt(t *turn, a *answer) {
	before := g.answers.get(t.key())
	g.answers.set(t.key(), a)
	err := g.attempt(TriggerDescriptors, func() error {
		running := g.running.Load()
		return g.put(running.source, running.file, false)
	})
	if err != nil {
		t.refused = a.said
		g.answers.set(t.key(), before)
		return
	}
	t.refused = nil
	t.keep(a)
}
