package store

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Memory is a [Store] that forgets everything with its process.
type Memory struct {
	mu       sync.Mutex
	entries  []Entry // ordered by key
	revision int64
	watchers watchers
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{watchers: make(watchers)}
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, found := m.find(key)
	if !found {
		return Entry{}, errNotFound
	}
	return m.entries[i], nil
}

// Put implements [Store].
func (m *Memory) Put(ctx context.Context, key string, value []byte, expected int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, found := m.find(key)
	if !m.matches(i, found, expected) {
		return 0, errConflict
	}
	if !found {
		m.entries = slices.Insert(m.entries, i, Entry{})
	}
	m.revision++
	m.entries[i] = Entry{Key: key, Value: value, Revision: m.revision}
	m.watchers.tell(Change{Entry: m.entries[i]})
	return m.revision, nil
}

// Delete implements [Store].
func (m *Memory) Delete(ctx context.Context, key string, expected int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, found := m.find(key)
	if !found {
		return 0, errNotFound
	}
	if !m.matches(i, found, expected) {
		return 0, errConflict
	}
	m.entries = slices.Delete(m.entries, i, i+1)
	m.revision++
	m.watchers.tell(Change{Entry: Entry{Key: key, Revision: m.revision}, Deleted: true})
	return m.revision, nil
}

// List implements [Store].
func (m *Memory) List(ctx context.Context, page Page) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := slices.Clone(m.page(page))
	if page.Descending {
		slices.Reverse(found)
	}
	return found, nil
}

// Watch implements [Store].
func (m *Memory) Watch(ctx context.Context, scope Scope) (<-chan Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := m.watchers.add(scope)
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers.drop(w)
	})
	return w.changes, nil
}

func (m *Memory) find(key string) (int, bool) {
	return slices.BinarySearchFunc(m.entries, key, func(e Entry, key string) int {
		return strings.Compare(e.Key, key)
	})
}

func (m *Memory) matches(i int, found bool, expected int64) bool {
	switch {
	case expected == Any:
		return true
	case !found:
		return expected == Absent
	default:
		return m.entries[i].Revision == expected
	}
}

// page returns the part of the entries that a page covers, in ascending order.
func (m *Memory) page(page Page) []Entry {
	first, end := m.bounds(page.Prefix)
	limit := page.Limit
	if limit == 0 {
		limit = 100
	}
	if page.After != "" {
		at, found := m.find(page.After)
		switch {
		case page.Descending:
			end = min(end, at)
		case found:
			first = max(first, at+1)
		default:
			first = max(first, at)
		}
	}
	if first >= end {
		return nil
	}
	if page.Descending {
		return m.entries[max(first, end-limit):end]
	}
	return m.entries[first:min(end, first+limit)]
}

// bounds returns where the keys with a prefix begin and end.
func (m *Memory) bounds(prefix string) (first, end int) {
	first, _ = m.find(prefix)
	end, _ = slices.BinarySearchFunc(m.entries[first:], prefix, func(e Entry, prefix string) int {
		if strings.HasPrefix(e.Key, prefix) {
			return -1
		}
		return 1
	})
	return first, first + end
}
