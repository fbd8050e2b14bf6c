package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	crowdSize = 497 // Besides the three that stay.
	perCrowd  = 124 // Ports of each of two processes; nobody listens on the others.
	writers   = 8   // That register and deregister at a time.
)

// flapping has most of a large backend come and go, at once and again and again. What listens gets calls and may lose none when
// it goes; what does not listen may cost no call. Afterwards the gateway must be as it was before.
func flapping(t *testing.T) result {
	f := threeEqual(t)
	crowd := newCrowd(t)
	before := f.resources(t)
	l := f.load(t)
	at := time.Now()
	var took time.Duration
	waves := 0
	for length := shorter(time.Minute, 10*time.Second); time.Since(at) < length; waves++ {
		each(t, crowd.all, f.agent.tryRegister)
		took = max(took, f.counts(t, crowdSize+len(f.instances)))
		pause(time.Second)
		each(t, crowd.all, func(r registration) error { return f.agent.tryDeregister(r.id) })
		took = max(took, f.counts(t, len(f.instances)))
		pause(time.Second)
	}
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	for _, i := range crowd.instances {
		if i.read(t).last().Before(at) {
			t.Errorf("%s got no call: nothing was tested", i.id)
		}
	}
	after := f.settled(t, before)
	return resultOf(outcomes, fmt.Sprintf(
		"%s at most in %d waves; goroutines %.0f, then %.0f; open files %d, then %d; heap %.1f MiB, then %.1f MiB",
		rounded(took), waves, before.goroutines, after.goroutines, before.files, after.files, before.heap/mebi, after.heap/mebi))
}

// counts waits until the gateway knows so many instances, and returns how long that took.
func (f *fleet) counts(t *testing.T, want int) time.Duration {
	t.Helper()
	return within(t, heard, fmt.Sprintf("%d instances", want), func() bool { return len(f.backend(t).Instances) == want })
}

// crowd is the instances that come and go.
type crowd struct {
	instances []*instance
	all       []registration
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{}
	for n := range 2 {
		i := startInstance(t, fmt.Sprintf("crowd-%d", n+1), perCrowd)
		c.instances = append(c.instances, i)
		c.add(i.addresses)
	}
	c.add(deafAddresses(t, crowdSize-len(c.all)))
	return c
}

// add adds registrations. They have no checks, as many services have none.
func (c *crowd) add(addresses []string) {
	for _, address := range addresses {
		c.all = append(c.all, registration{id: fmt.Sprintf("crowd-%03d", len(c.all)), address: address, weight: 1, unchecked: true})
	}
}

// deafAddresses returns addresses that nobody listens on. They are below those that systems give to clients, so that nobody
// will for a while.
func deafAddresses(t *testing.T, count int) (addresses []string) {
	t.Helper()
	for port := 20_000; len(addresses) < count; port++ {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// each does something with all registrations, some at a time.
func each(t *testing.T, all []registration, do func(registration) error) {
	t.Helper()
	next := make(chan registration)
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for r := range next {
				if err := do(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, r := range all {
		next <- r
	}
	close(next)
	running.Wait()
}

const mebi = 1 << 20

// resources is what a gateway holds.
type resources struct {
	goroutines, heap float64
	files            int
}

// resources looks at a gateway whose clients are quiet, after a collection of garbage.
func (g *gateway) resources(t *testing.T) resources {
	t.Helper()
	g.client.CloseIdleConnections()
	g.read(t, "/debug/pprof/heap?gc=1&debug=1")
	files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(g.Process.Pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return resources{
		goroutines: g.metric(t, "go_goroutines"), heap: g.metric(t, "go_memstats_heap_alloc_bytes"), files: len(files),
	}
}

// settled waits until a gateway holds about what it held before: connections of clients that came since, and nothing else.
func (g *gateway) settled(t *testing.T, before resources) (now resources) {
	t.Helper()
	const goroutines, files, heap = 30, 10, 8 * mebi
	ok := func() bool {
		now = g.resources(t)
		return now.goroutines <= before.goroutines+goroutines && now.files <= before.files+files && now.heap <= before.heap+heap
	}
	for deadline := time.Now().Add(patience); !ok(); pause(time.Second / 2) {
		if time.Now().After(deadline) {
			t.Fatalf("the gateway holds %+v, and before the crowd it held %+v", now, before)
		}
	}
	return now
}
