package inventory

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/cardea-gateway/cardea/examples/food/catalog"
	"github.com/cardea-gateway/cardea/examples/food/internal/record"
	"github.com/cardea-gateway/cardea/examples/food/internal/refusal"
	"github.com/cardea-gateway/cardea/examples/food/store"
)

// ledger is who holds what of one restaurant's stock, by the name of the reservation.
type ledger map[string]hold

type hold struct {
	Portions map[string]int32 `json:"portions"` // by dish
	Expires  time.Time        `json:"expires"`
}

// available returns how many portions nobody holds.
func (l ledger) available(d catalog.Dish) int32 {
	left := d.Portions
	for _, h := range l {
		left -= h.Portions[d.ID]
	}
	return max(0, left)
}

// short returns the dishes of which there are fewer than a hold wants.
func (l ledger) short(r catalog.Restaurant, h hold) []catalog.Dish {
	var short []catalog.Dish
	for _, d := range r.Dishes {
		if h.Portions[d.ID] > l.available(d) {
			short = append(short, d)
		}
	}
	return short
}

// expire forgets the holds that have ended. That keeps the ledger small, too.
func (l ledger) expire(now time.Time) {
	maps.DeleteFunc(l, func(_ string, h hold) bool { return !now.Before(h.Expires) })
}

// ledgers are the ledgers of all restaurants.
type ledgers struct {
	store store.Store
}

func key(r catalog.Restaurant) string {
	return "stock/" + r.Name()
}

// read returns what is held now.
func (ls ledgers) read(ctx context.Context, r catalog.Restaurant, now time.Time) (ledger, error) {
	e, err := ls.store.Get(ctx, key(r))
	if err != nil && !store.NotFound(err) {
		return nil, refusal.Storage(err)
	}
	return parse(e.Value, now)
}

// change replaces a ledger by what the function makes of it, all or nothing. The function may run several times.
func (ls ledgers) change(ctx context.Context, r catalog.Restaurant, now time.Time, change func(ledger) error) error {
	return record.Swap(ctx, ls.store, key(r), func(old []byte) ([]byte, error) {
		l, err := parse(old, now)
		if err != nil {
			return nil, err
		}
		if err := change(l); err != nil {
			return nil, err
		}
		return json.Marshal(l)
	})
}

func parse(value []byte, now time.Time) (ledger, error) {
	l := make(ledger)
	if len(value) == 0 {
		return l, nil
	}
	if err := json.Unmarshal(value, &l); err != nil {
		return nil, refusal.Storage(err)
	}
	l.expire(now)
	return l, nil
}
