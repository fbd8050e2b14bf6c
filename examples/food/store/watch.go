package store

import "strings"

// backlog is how many changes a watcher may be behind. Whoever is slower is dropped, so that a stuck watcher costs a
// bounded amount of memory and never blocks a writer.
const backlog = 64

type watcher struct {
	scope   Scope
	changes chan Change
}

// watchers are guarded by the store's lock: a send and a close never meet.
type watchers map[*watcher]struct{}

func (ws watchers) add(scope Scope) *watcher {
	w := &watcher{scope: scope, changes: make(chan Change, backlog)}
	ws[w] = struct{}{}
	return w
}

// drop is safe to call twice: the first call closes the channel.
func (ws watchers) drop(w *watcher) {
	if _, ok := ws[w]; ok {
		delete(ws, w)
		close(w.changes)
	}
}

func (ws watchers) tell(c Change) {
	for w := range ws {
		if !w.scope.covers(c.Key) {
			continue
		}
		select {
		case w.changes <- c:
		default:
			ws.drop(w)
		}
	}
}

func (s Scope) covers(key string) bool {
	if s.Key != "" {
		return s.Key == key
	}
	return strings.HasPrefix(key, s.Prefix)
}
