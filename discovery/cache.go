package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cardea-gateway/cardea/internal/atomicfile"
	"github.com/cardea-gateway/cardea/internal/pace"
)

const (
	cacheInterval = time.Second // How long a registry may take before the cache is used, and between two looks for news to keep.
	cacheAge      = time.Minute // How much older than confirmed the cache may call a set that has not changed.
)

// cached is what a file of the cache holds.
type cached struct {
	Target    string     `json:"target"`
	AsOf      time.Time  `json:"as_of"`
	Changed   time.Time  `json:"changed"`
	Instances []Instance `json:"instances"`
}

// Cache makes the resolver keep what it knows in a file, and begin with what that holds if the registry fails, or has not
// answered after a second. A file that is not there yet is made; its folder as well. It must be called before the resolver is
// used. Each target needs a file of its own.
func (r *Resolver) Cache(path string) { r.cache = path }

// keepCache follows what is known until the context ends. It is apart from the questions to the registry, so that a slow disk
// delays no news.
func (w *watcher) keepCache(ctx context.Context) {
	var kept Status
	for more := true; more; {
		more = pace.Sleep(ctx, cacheInterval)
		known := w.Status()
		switch {
		case len(known.Instances) > 0:
			kept = w.keep(kept, known)
		case more:
			w.recall()
		}
	}
}

// keep writes what is known, if there is news, and returns what has been kept.
func (w *watcher) keep(kept, known Status) Status {
	if known.Changed.Equal(kept.Changed) && known.AsOf.Sub(kept.AsOf) < cacheAge {
		return kept
	}
	data, err := json.Marshal(cached{w.target.Redacted(), known.AsOf, known.Changed, known.Instances})
	if err == nil {
		err = atomicfile.Write(w.cache, data)
	}
	if err != nil {
		w.log.Warn("instances can't be kept", "target", w.target.Redacted(), "error", err.Error())
	}
	return known // If it failed, another attempt is made when there is news.
}

// recall begins with what the cache holds. It does so once, and only while nothing is known.
func (w *watcher) recall() {
	w.publishing.Lock()
	defer w.publishing.Unlock()
	if w.recalled || w.cache == "" || len(w.Status().Instances) > 0 {
		return
	}
	w.recalled = true
	c, err := readCache(w.cache, w.target.Redacted())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		w.log.Warn("the cache of instances is of no use", "target", w.target.Redacted(), "error", err.Error())
		return
	}
	w.mu.Lock()
	w.status.Instances, w.status.AsOf, w.status.Changed = c.Instances, c.AsOf, c.Changed
	w.mu.Unlock()
	w.log.Warn("no word from the registry: the instances of the cache are used", "target", w.target.Redacted(),
		"instances", len(c.Instances), "as_of", c.AsOf)
	w.publish(c.Instances)
}

// readCache returns what a file holds about a target.
func readCache(path, target string) (c cached, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil || c.Target != target || len(c.Instances) == 0 {
		return c, fmt.Errorf("%s is not what the gateway wrote about %s; delete it", path, target)
	}
	for _, i := range c.Instances {
		if err := CheckAddress(i.Address); err != nil {
			return c, fmt.Errorf("%s: address %q: %w; delete the file", path, i.Address, err)
		}
	}
	c.Instances = tidy(c.Instances)
	return c, nil
}
