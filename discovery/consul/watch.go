package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/discovery"
)

// grace is how long an agent may take for an answer that it does not hold back. Longer, and it hangs.
const grace = 5 * time.Second

// watch follows one target.
type watch struct {
	target   target
	client   *api.Client
	wait     time.Duration
	maxStale time.Duration
	token    bool // There is a token file.

	// index is that of the last answer: a query waits until Consul's is higher. At 0 it does not wait.
	//
	// It is 0 after every error. An agent that fails may come back with another state and a lower index, or have its index
	// changed for another reason; waiting for the old one would miss all changes until it is reached again, or for the whole wait.
	// The whole set is cheap, and the resolver waits after an error: nothing spins. Likewise after an index that went backwards:
	// the next answer comes at once, and says from where to wait. Two servers that are apart may cause this again and again; then
	// the resolver's own rate is the limit.
	index uint64
	known bool // There was a set with instances.
}

// answer is what an agent said, and when.
type answer struct {
	entries []*api.ServiceEntry
	meta    *api.QueryMeta
	at      time.Time
}

// Next waits until something has changed since the last answer, or for the wait of the options.
func (w *watch) Next(ctx context.Context) (discovery.Set, error) {
	set, err := w.next(ctx)
	if err != nil {
		w.index = 0
		return discovery.Set{}, fmt.Errorf("consul: agent %s: %w", w.target.agent, err)
	}
	w.known = w.known || len(set.Instances) > 0
	return set, nil
}

// Close does nothing: connections belong to the source.
func (*watch) Close() error { return nil }

func (w *watch) next(ctx context.Context) (discovery.Set, error) {
	a, err := w.ask(ctx)
	if err != nil {
		return discovery.Set{}, err
	}
	if err := w.hidden(a); err != nil {
		return discovery.Set{}, err
	}
	instances, err := w.target.instances(a.entries)
	if err != nil {
		return discovery.Set{}, err
	}
	if a.meta.LastIndex < w.index {
		a.meta.LastIndex = 0
	}
	w.index = a.meta.LastIndex
	if len(instances) == 0 && w.known {
		w.index = 0 // To the resolver that is an error; a token that may not read looks so, and may change without a change of the index.
	}
	return discovery.Set{Instances: instances, AsOf: a.at.Add(-a.meta.LastContact)}, nil
}

// hidden says whether an empty answer may be so because the token may not see what there is. Being an error, it is asked for
// again soon: that a token may do more wakes no query. To those without a token Consul does not say that it hides something.
func (w *watch) hidden(a answer) error {
	switch {
	case len(a.entries) > 0:
		return nil
	case a.meta.ResultsFilteredByACLs:
		return errors.New("it knows instances that the token may not see: the token needs " + w.need())
	case a.meta.DefaultACLPolicy == "deny" && !w.token:
		return errors.New("it shows no instance, and what no token allows is denied there: if there are instances, set a token file; " +
			"the token needs " + w.need())
	}
	return nil
}

// ask returns an answer that is not too old, if there is one.
func (w *watch) ask(ctx context.Context) (answer, error) {
	a, err := w.query(ctx, w.index, true)
	if err != nil {
		return answer{}, err
	}
	doubt := w.doubt(a.meta)
	if doubt == "" {
		return a, nil
	}
	confirmed, err := w.query(ctx, 0, false)
	switch {
	case err == nil:
		return confirmed, nil
	case w.known || len(a.entries) == 0 || ctx.Err() != nil:
		return answer{}, fmt.Errorf("%s, and the leader can't be asked: %w", doubt, err)
	}
	// Better than nothing. The next question does not wait, and says what is wrong.
	a.meta.LastIndex = 0
	return a, nil
}

// doubt says why an answer may be too old.
func (w *watch) doubt(meta *api.QueryMeta) string {
	switch {
	case !meta.KnownLeader:
		return "no leader is known to the server that answered"
	case meta.LastContact > w.maxStale:
		return fmt.Sprintf("the server that answered has not heard of its leader for %v", meta.LastContact)
	}
	return ""
}

// query asks once: any server, or the leader.
func (w *watch) query(ctx context.Context, index uint64, stale bool) (answer, error) {
	patience := grace
	if index > 0 {
		patience += w.wait + w.wait/16 // Consul spreads the ends of waits by a sixteenth.
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := &api.QueryOptions{Datacenter: w.target.dc, Near: w.target.near, AllowStale: stale, WaitIndex: index, WaitTime: w.wait}
	entries, meta, err := w.client.Health().ServiceMultipleTags(w.target.service, w.target.tags, false, o.WithContext(limited))
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return answer{}, fmt.Errorf("no answer within %v: it hangs, or is cut off", patience)
	case err != nil:
		return answer{}, explain(err, w.need())
	case meta.LastIndex == 0:
		return answer{}, errors.New("its answer has no index (X-Consul-Index)")
	}
	return answer{entries: entries, meta: meta, at: time.Now()}, nil
}

// need is what a token must be allowed to do for this watch.
func (w *watch) need() string {
	return fmt.Sprintf("service:read for %q and node:read for its nodes", w.target.service)
}
