package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/reflection"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	"github.com/cardea-gateway/cardea/internal/pace"
)

// answers are what backends have told by server reflection. They outlive configurations: a backend that can't be asked just
// now has not lost its contract. The zero value is ready for use, and safe for concurrent use.
type answers struct {
	mu    sync.Mutex
	known map[string]*answer // By asker's key.
}

// answer is what one backend has told.
type answer struct {
	said   *reflection.Answer
	source *schema.Source
	asked  time.Time // When the backend was asked last; when the cache was written, if that is where it comes from.
	cached bool
}

// asker asks one backend.
type asker struct {
	ctx      context.Context //nolint:containedctx // Its life is the gateway's.
	log      *slog.Logger
	backend  reflection.Backend
	name     string
	target   string
	services []string
	timeout  time.Duration
	cache    string // A file; empty if there is none.
}

// key is the same for those who ask the same backend. A backend that serves more than it was asked for has told at least that.
func (p asker) key() string { return p.name + " " + p.target }

// understand makes an answer of what was said.
func (p asker) understand(said *reflection.Answer, asked time.Time, cached bool) (*answer, error) {
	name := fmt.Sprintf("reflection of backend %s (%s)", p.name, said.Version)
	if cached {
		name = fmt.Sprintf("cache of backend %s (of %s)", p.name, asked.Format("2006-01-02 15:04"))
	}
	source, err := schema.NewSource(name, said.Files, said.Services...)
	if err != nil {
		return nil, err
	}
	return &answer{said: said, source: source, asked: asked, cached: cached}, nil
}

// of returns what the backend tells, or has told, or nil if nothing is known of it. It waits for a backend only if nothing
// is known. Nobody else knows of a new answer before it is in force.
func (as *answers) of(p asker) *answer {
	before := as.last(p)
	if before == nil {
		before = p.remember()
	}
	a, err := p.ask(before == nil)
	if err == nil {
		return a
	}
	p.log.Warn("a backend can't be asked for its contracts", "backend", p.name, "known", before != nil, "error", err.Error())
	return before
}

// last returns what the backend has told this process; nil if that is nothing.
func (as *answers) last(p asker) *answer {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.known[p.key()]
}

// set notes an answer.
func (as *answers) set(p asker, a *answer) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.known == nil {
		as.known = map[string]*answer{}
	}
	as.known[p.key()] = a
}

// inForce is an answer that a configuration was compiled with.
type inForce struct {
	asker

	answer *answer
}

// commit notes the answers of a configuration that is in force, and keeps what is new for a start without the backends.
func (as *answers) commit(all []inForce) {
	for _, f := range all {
		before := as.last(f.asker)
		as.set(f.asker, f.answer)
		if !f.answer.cached && (before == nil || before.cached || !f.answer.said.Equal(before.said)) {
			f.keep(f.answer)
		}
	}
}

// ask asks the backend: once, or again and again for as long as that may take.
func (p asker) ask(patient bool) (*answer, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.timeout)
	defer cancel()
	wait := firstRetry
	for {
		said, err := reflection.Ask(ctx, p.backend, p.services)
		if err == nil {
			return p.understand(said, time.Now(), false)
		}
		if !patient || !pace.Sleep(ctx, wait) {
			return nil, err
		}
		wait = min(2*wait, time.Second)
	}
}

// firstRetry is how long a start waits before it asks again.
const firstRetry = 50 * time.Millisecond

// remember returns what the cache has; nil if it has nothing of use.
func (p asker) remember() *answer {
	if p.cache == "" {
		return nil
	}
	said, written, err := reflection.Kept(p.cache)
	if err == nil {
		var a *answer
		if a, err = p.understand(said, written, true); err == nil {
			return a
		}
	}
	if !errors.Is(err, os.ErrNotExist) {
		p.log.Warn("the cache of a backend's contracts is of no use", "backend", p.name, "error", err.Error())
	}
	return nil
}

// keep writes an answer to the cache.
func (p asker) keep(a *answer) {
	if p.cache == "" {
		return
	}
	if err := reflection.Keep(p.cache, a.said); err != nil {
		p.log.Warn("a backend's contracts can't be kept for a start without it", "backend", p.name, "error", err.Error())
	}
}
