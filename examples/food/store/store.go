package store

import (
	"context"
	"errors"
)

var (
	errNotFound = errors.New("store: no such key")
	errConflict = errors.New("store: revision does not match")
)

// NotFound reports whether err says that a key does not exist.
func NotFound(err error) bool { return errors.Is(err, errNotFound) }

// Conflict reports whether err says that somebody else changed the key first.
func Conflict(err error) bool { return errors.Is(err, errConflict) }

// Revisions to expect that are not those of an entry.
const (
	// Any replaces whatever is there.
	Any int64 = -1
	// Absent expects that the key does not exist.
	Absent int64 = 0
)

// Store keeps values under keys. Every change has a revision, greater than all before it. All methods can be called from
// any goroutine, and return the context's error when it ends first. Values belong to the store once they are put, and
// to nobody once they are returned: neither side changes them.
type Store interface {
	// Get returns the entry of a key, or an error for which [NotFound] holds.
	Get(ctx context.Context, key string) (Entry, error)

	// Put sets the value of a key and returns its revision. When the revision there is not the expected one it changes
	// nothing and returns an error for which [Conflict] holds.
	Put(ctx context.Context, key string, value []byte, expected int64) (int64, error)

	// Delete removes a key and returns the revision of the removal. Its errors are those of Get and Put.
	Delete(ctx context.Context, key string, expected int64) (int64, error)

	// List returns a page of entries.
	List(ctx context.Context, page Page) ([]Entry, error)

	// Watch returns the changes of a scope from now on: what is read after it returns misses nothing. The channel is
	// closed when ctx ends, or when the watch is lost; then who still wants to know has to read and watch again.
	Watch(ctx context.Context, scope Scope) (<-chan Change, error)
}

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision int64
}

// Change is an entry that was put, or removed.
type Change struct {
	Entry
	Deleted bool
}

// Page says which entries to list, ordered by key.
type Page struct {
	Prefix     string // what the keys begin with
	After      string // the page begins behind this key; empty is the first page
	Limit      int    // at most so many; 0 is 100
	Descending bool   // from the greatest key down
}

// Scope says what to watch: one key or, if that is empty, every key that begins with a prefix.
type Scope struct {
	Key    string
	Prefix string
}
