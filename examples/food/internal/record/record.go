// Package record keeps protobuf resources in a store: under their names, safe against concurrent change, and created
// once however often the request is sent.
package record

import (
	"bytes"
	"context"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/examples/food/internal/page"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
)

// Resource is a protobuf message with a resource name.
type Resource[T any] interface {
	*T
	proto.Message
	GetName() string
}

// Table holds the resources of one collection. Its errors are statuses.
type Table[T any, R Resource[T]] struct {
	store      store.Store
	kind       string // the resource type, for errors
	collection string // what the names begin with, up to and with the slash
}

// NewTable returns the table of a collection, such as "orders", of resources of a type, such as "food.example/Order".
func NewTable[T any, R Resource[T]](s store.Store, kind, collection string) Table[T, R] {
	return Table[T, R]{store: s, kind: kind, collection: collection + "/"}
}

// NewName returns a name that no other resource has. Later names sort behind earlier ones, so that the order of keys is
// the order of creation.
func (t Table[T, R]) NewName() string {
	return t.collection + uuid.Must(uuid.NewV7()).String()
}

// Get returns the resource of a name.
func (t Table[T, R]) Get(ctx context.Context, name string) (R, error) {
	e, err := t.store.Get(ctx, name)
	if err != nil {
		return nil, t.refuse(name, err)
	}
	return t.decode(e.Value)
}

// Find returns the resource of a name, nil if there is none.
func (t Table[T, R]) Find(ctx context.Context, name string) (R, error) {
	e, err := t.store.Get(ctx, name)
	switch {
	case store.NotFound(err):
		return nil, nil
	case err != nil:
		return nil, refusal.Storage(err)
	}
	return t.decode(e.Value)
}

// Create keeps a resource. If there is one of its name already it returns that one instead.
func (t Table[T, R]) Create(ctx context.Context, r R) (R, error) {
	created, err := t.putAbsent(ctx, r.GetName(), r)
	if err != nil || created {
		return r, err
	}
	return t.Get(ctx, r.GetName())
}

// Claim makes creation safe to repeat: the first resource that claims a request id is the one to create, now and at
// every later attempt, by whichever instance. Claim returns it, or ALREADY_EXISTS if its content differs from r's.
// Without a request id it returns r.
func (t Table[T, R]) Claim(ctx context.Context, requestID string, r R) (R, error) {
	if requestID == "" {
		return r, nil
	}
	key := "requests/" + t.collection + strings.ToLower(requestID)
	claimed, err := t.putAbsent(ctx, key, r)
	if err != nil || claimed {
		return r, err
	}
	first, err := t.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if !proto.Equal(Input(first), Input(r)) {
		return nil, refusal.Reused(requestID)
	}
	return first, nil
}

// Update changes a resource. The function may run several times, each time on what is there then; its error ends the
// update and is returned as it is.
func (t Table[T, R]) Update(ctx context.Context, name string, change func(R) error) (R, error) {
	var result R
	err := Swap(ctx, t.store, name, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, refusal.NotFound(t.kind, name)
		}
		var err error
		if result, err = t.decode(old); err != nil {
			return nil, err
		}
		if err := change(result); err != nil {
			return nil, err
		}
		return encode(result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// List returns up to size of the resources for which keep holds, newest first, and the token of the next page. The query
// is what else the caller asked for (see [page.Token]).
func (t Table[T, R]) List(
	ctx context.Context, query, token string, size int, keep func(R) bool,
) (found []R, next string, err error) {
	after, err := page.After(query, token)
	if err != nil {
		return nil, "", err
	}
	for {
		entries, err := t.store.List(ctx, store.Page{Prefix: t.collection, After: after, Descending: true})
		if err != nil {
			return nil, "", refusal.Storage(err)
		}
		if len(entries) == 0 {
			return found, "", nil
		}
		for _, e := range entries {
			after = e.Key
			r, err := t.decode(e.Value)
			if err != nil {
				return nil, "", err
			}
			if !keep(r) {
				continue
			}
			if len(found) == size {
				return found, page.Token(query, found[size-1].GetName()), nil
			}
			found = append(found, r)
		}
	}
}

// Watch returns each later state of a resource. The channel is closed when ctx ends or the watch is lost.
func (t Table[T, R]) Watch(ctx context.Context, name string) (<-chan store.Change, error) {
	changes, err := t.store.Watch(ctx, store.Scope{Key: name})
	if err != nil {
		return nil, refusal.Storage(err)
	}
	return changes, nil
}

// Decode returns the resource of a change.
func (t Table[T, R]) Decode(c store.Change) (R, error) {
	return t.decode(c.Value)
}

func (t Table[T, R]) decode(value []byte) (R, error) {
	r := R(new(T))
	if err := proto.Unmarshal(value, r); err != nil {
		return nil, refusal.Storage(err)
	}
	return r, nil
}

// encode is deterministic, so that an update that changes nothing is seen to change nothing.
func encode(m proto.Message) ([]byte, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, refusal.Storage(err)
	}
	return value, nil
}

// putAbsent reports whether r is now, and was not before, under the key.
func (t Table[T, R]) putAbsent(ctx context.Context, key string, r R) (bool, error) {
	value, err := encode(r)
	if err != nil {
		return false, err
	}
	_, err = t.store.Put(ctx, key, value, store.Absent)
	switch {
	case err == nil:
		return true, nil
	case store.Conflict(err):
		return false, nil
	default:
		return false, refusal.Storage(err)
	}
}

func (t Table[T, R]) refuse(name string, err error) error {
	if store.NotFound(err) {
		return refusal.NotFound(t.kind, name)
	}
	return refusal.Storage(err)
}

// Swap replaces the value of a key by what change makes of it, which is nil if there is none; again if somebody else was
// faster, until it succeeds or ctx ends. A result that equals the old value is not written.
func Swap(ctx context.Context, s store.Store, key string, change func(old []byte) ([]byte, error)) error {
	for {
		e, err := s.Get(ctx, key)
		if err != nil && !store.NotFound(err) {
			return refusal.Storage(err)
		}
		value, err := change(e.Value)
		if err != nil {
			return err
		}
		if e.Revision != store.Absent && bytes.Equal(value, e.Value) {
			return nil
		}
		// A key that is not there has revision 0, and that is what Absent is.
		_, err = s.Put(ctx, key, value, e.Revision)
		if err == nil || !store.Conflict(err) {
			return storage(err)
		}
	}
}

func storage(err error) error {
	if err == nil {
		return nil
	}
	return refusal.Storage(err)
}
