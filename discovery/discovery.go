// Package discovery finds the instances of a backend, and keeps what it has found.
//
// A [Source] is a registry: Consul, DNS, a file. It knows how to ask; nothing else. [Resolver] makes a grpc resolver of it, and
// does what is the same for all of them: it asks again and again, waits longer after failures, and keeps the last set of
// instances that was good. Another registry is added by implementing Source, in a package of its own.
//
// # The contract of a watch
//
// [Source.Open] reads a target and returns a [Watch]; it does no I/O, so that a mistake in a configuration is found without a
// registry. From then on one goroutine, the resolver's, calls the watch:
//
//   - [Watch.Next] may block: until the set may have changed, until there is something to confirm, or until its context ends. It
//     must then return at once. There is one call at a time.
//   - An answer is the whole set, never a difference. It may be the same as before: the resolver compares.
//   - An error says that nothing was learned. The resolver keeps what it has, waits (a tenth of a second at first, two seconds
//     at last, spread by a tenth) and calls again. A watch need not retry, wait or limit its own rate.
//   - An answer without instances says that the registry knows none. It never replaces a set that has some: registries answer so
//     when they have lost a leader, a permission or their disk. It is shown as an error.
//   - Next is not called again once its context has ended; then [Watch.Close] is called, once, from the same goroutine.
//
// The resolver publishes a set only if it differs from the one before, at most five times a second, so that five hundred
// instances that come and go at a time cost five updates a second and no more.
package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/experimental/balancer/weight"
	"google.golang.org/grpc/resolver"
)

// Source is a registry. It is safe for concurrent use. One whose targets are no names of hosts can have a method
// Authority(target *url.URL) string, which makes the :authority of connections from them.
type Source interface {
	// Scheme is the scheme of its targets, such as consul.
	Scheme() string
	// Open returns a watch for a target, or an error that says what is wrong with the target. It does no I/O.
	Open(target *url.URL) (Watch, error)
}

// Watch finds the instances of one target. See the package's documentation for who calls it, and when.
type Watch interface {
	// Next returns the set of instances as it is now.
	Next(ctx context.Context) (Set, error)
	io.Closer
}

// Set is all instances of a backend.
type Set struct {
	// Instances, in any order. Of two with the same address, one is used.
	Instances []Instance
	// AsOf is when this was true; zero is now. A registry that answers from a copy knows how old that is.
	AsOf time.Time
	// After is when to ask again, at the latest; zero is at once, for registries that answer when something has changed.
	After time.Duration
}

// Instance is one address at which a backend is served.
type Instance struct {
	// Address is host:port.
	Address string `json:"address"`
	// ID is its name in the registry. Empty where the registry has no names.
	ID string `json:"id,omitempty"`
	// Weight is its share of the calls, relative to others, for balancers that know of weights. 0 is none: it gets no calls, as
	// if it were unhealthy. A source that knows no weights says 1.
	Weight uint32 `json:"weight"`
	// Zone is where it runs, for balancers that prefer what is near. Empty: nobody knows.
	Zone string `json:"zone,omitempty"`
	// Unhealthy says why the registry thinks that it should get no calls. Empty where it does not think so.
	Unhealthy string `json:"unhealthy,omitempty"`
	// Metadata is what else the registry knows. It is shown to operators.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// CheckAddress says what is wrong with an address: it must be host:port, with a port from 1 to 65535.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.ContainsAny(host, "/@ ") {
		return errors.New("want host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return nil
}

// Equal tells whether two instances are the same in every respect. It is what grpc asks of attributes.
func (i *Instance) Equal(other any) bool {
	o, ok := other.(*Instance)
	if !ok || i == nil || o == nil {
		return ok && i == o
	}
	return i.Address == o.Address && i.ID == o.ID && i.Weight == o.Weight && i.Zone == o.Zone && i.Unhealthy == o.Unhealthy &&
		maps.Equal(i.Metadata, o.Metadata)
}

type instanceKey struct{}

// Endpoint returns an instance as grpc's balancers see it. Its weight is also set where grpc's own balancers look for it.
func Endpoint(i Instance) resolver.Endpoint {
	e := weight.Set(resolver.Endpoint{Addresses: []resolver.Address{{Addr: i.Address}}}, weight.EndpointInfo{Weight: max(1, i.Weight)})
	e.Attributes = e.Attributes.WithValue(instanceKey{}, &i)
	return e
}

// Of returns the instance that an endpoint stands for. One that no [Source] has found has an address, the weight 1, and nothing
// else.
func Of(e resolver.Endpoint) Instance {
	if i, ok := e.Attributes.Value(instanceKey{}).(*Instance); ok {
		return *i
	}
	i := Instance{Weight: 1}
	if len(e.Addresses) > 0 {
		i.Address = e.Addresses[0].Addr
	}
	return i
}

// tidy returns the instances by address, each address once. Of two with the same address it is always the same one, in whatever order
// they come: one that is healthy, with the most weight.
func tidy(instances []Instance) []Instance {
	all := slices.Clone(instances)
	slices.SortStableFunc(all, func(a, b Instance) int {
		return cmp.Or(
			strings.Compare(a.Address, b.Address), strings.Compare(a.Unhealthy, b.Unhealthy), cmp.Compare(b.Weight, a.Weight),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Zone, b.Zone), strings.Compare(fmt.Sprint(a.Metadata), fmt.Sprint(b.Metadata)),
		)
	})
	return slices.CompactFunc(all, func(a, b Instance) bool { return a.Address == b.Address })
}

func same(a, b []Instance) bool {
	return slices.EqualFunc(a, b, func(x, y Instance) bool { return x.Equal(&y) })
}
