package dns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cardea-gateway/cardea/discovery"
)

// watch looks up one name.
type watch struct {
	target

	resolver *net.Resolver
	hosts    map[string][]string // Of targets of records, as they were found last.
}

// Close does nothing: a look leaves nothing behind.
func (*watch) Close() error { return nil }

// Next looks once.
func (w *watch) Next(ctx context.Context) (discovery.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := w.addresses
	if w.kind == records {
		look = w.records
	}
	instances, err := look(ctx)
	if bad, ok := errors.AsType[*net.DNSError](err); ok && w.server != "" {
		bad.Server = w.server // Go names the one that it would have asked.
	}
	if err != nil {
		return discovery.Set{}, fmt.Errorf("%s: %w", w.kind, err)
	}
	return discovery.Set{Instances: instances, After: w.interval}, nil
}

func (w *watch) addresses(ctx context.Context) ([]discovery.Instance, error) {
	hosts, err := w.resolver.LookupHost(ctx, w.name)
	if err != nil {
		return nil, err
	}
	instances := make([]discovery.Instance, len(hosts))
	for i, host := range hosts {
		instances[i] = discovery.Instance{Address: net.JoinHostPort(host, w.port), Weight: 1}
	}
	return instances, nil
}

// records follows the SRV records that are preferred, those of the lowest priority (RFC 2782): the others are for when these can't
// be reached, and whoever wants that keeps them out of the answer until then. A target that does not exist does not lose the others;
// one that can't be looked up just now has the hosts that it had.
func (w *watch) records(ctx context.Context) ([]discovery.Instance, error) {
	_, all, err := w.resolver.LookupSRV(ctx, "", "", w.name)
	if err != nil {
		return nil, err
	}
	preferred := all
	for i, record := range all {
		if record.Priority != all[0].Priority { // They are sorted by it.
			preferred = all[:i]
			break
		}
	}
	found, err := w.lookAll(ctx, preferred)
	var instances []discovery.Instance
	for _, record := range preferred {
		for _, host := range found[record.Target] {
			instances = append(instances, discovery.Instance{
				Address: net.JoinHostPort(host, strconv.Itoa(int(record.Port))), ID: strings.TrimSuffix(record.Target, "."),
				Weight: max(1, uint32(record.Weight)), // 0 is "a very small chance", or that weights don't matter.
			})
		}
	}
	if len(instances) == 0 {
		return nil, err
	}
	w.hosts = found
	return instances, nil
}

// lookAll returns the hosts of the records' targets, and what went wrong.
func (w *watch) lookAll(ctx context.Context, records []*net.SRV) (map[string][]string, error) {
	found := map[string][]string{}
	for _, record := range records {
		found[record.Target] = nil
	}
	var mu sync.Mutex
	var failures []error
	var looking sync.WaitGroup
	turns := make(chan struct{}, crowd)
	for _, target := range slices.Collect(maps.Keys(found)) {
		turns <- struct{}{}
		looking.Go(func() {
			hosts, err := w.look(ctx, target)
			mu.Lock()
			found[target], failures = hosts, append(failures, err)
			mu.Unlock()
			<-turns
		})
	}
	looking.Wait()
	return found, errors.Join(failures...)
}

// look returns the hosts of a record's target.
func (w *watch) look(ctx context.Context, target string) ([]string, error) {
	hosts, err := w.resolver.LookupHost(ctx, target)
	if said, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !said.IsNotFound) && len(w.hosts[target]) > 0 {
		return w.hosts[target], nil
	}
	return hosts, err
}
