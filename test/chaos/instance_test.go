package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
)

// These variables make the test binary a backend instance.
const (
	journalVariable = "CARDEA_CHAOS_JOURNAL" // The path of its journal.
	portsVariable   = "CARDEA_CHAOS_PORTS"   // On how many ports it listens.
)

// How long an instance takes for a call.
const (
	quick = 20 * time.Millisecond // Unless it is told otherwise.
	slow  = 2 * time.Second
)

// What an instance notes of a call.
const (
	began    = "began"
	finished = "finished" // Or failed, with an answer of its own.
)

// kitchen is an inventory service that only has menus. It notes each event of each call at once, in a file that outlives a
// killed process.
type kitchen struct {
	inventoryv1.UnimplementedInventoryServiceServer

	journal *os.File
	delay   atomic.Int64
	missing atomic.Pointer[string] // What the names of menus hold that it does not know.
}

// note writes a line in one system call, so that lines are whole or not there.
func (k *kitchen) note(event, name string) {
	if _, err := fmt.Fprintf(k.journal, "%s %s %d\n", event, name, time.Now().UnixNano()); err != nil {
		fail(err)
	}
}

// GetMenu answers with an empty menu of the name that was asked for.
func (k *kitchen) GetMenu(ctx context.Context, request *inventoryv1.GetMenuRequest) (*inventoryv1.Menu, error) {
	k.note(began, request.GetName())
	timer := time.NewTimer(time.Duration(k.delay.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	k.note(finished, request.GetName())
	if missing := k.missing.Load(); missing != nil && strings.Contains(request.GetName(), *missing) {
		return nil, status.Error(codes.NotFound, "there is no such restaurant")
	}
	return &inventoryv1.Menu{Name: request.GetName()}, nil
}

// obey does what a line of standard input says.
func (k *kitchen) obey(line string) error {
	verb, argument, _ := strings.Cut(line, " ")
	switch verb {
	case "delay":
		delay, err := time.ParseDuration(argument)
		k.delay.Store(int64(delay))
		return err
	case "miss":
		k.missing.Store(&argument)
		return nil
	}
	return fmt.Errorf("%q is no command", line)
}

// instanceMain is an instance: it prints its addresses, does what its standard input says, and serves until that ends, with
// the test at the latest.
func instanceMain(path string) int {
	journal, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fail(err)
	}
	ports, err := strconv.Atoi(os.Getenv(portsVariable))
	if err != nil {
		fail(err)
	}
	k := &kitchen{journal: journal}
	k.delay.Store(int64(quick))
	server := grpc.NewServer()
	inventoryv1.RegisterInventoryServiceServer(server, k)
	healthpb.RegisterHealthServer(server, health.NewServer())
	for range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fail(err)
		}
		go func() { _ = server.Serve(listener) }()
		fmt.Fprintln(os.Stdout, listener.Addr())
	}
	fmt.Fprintln(os.Stdout, "ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Fprintln(os.Stdout, "done") {
		if err := k.obey(lines.Text()); err != nil {
			fail(err)
		}
	}
	server.Stop()
	return 0
}

// instance is an instance as its test sees it.
type instance struct {
	*process

	id        string
	addresses []string
	weight    int
	journal   string
	stdin     io.Writer
	told      int // How many commands it has been given.
}

// startInstance starts an instance that listens on some ports and ends with the test.
func startInstance(t *testing.T, id string, ports int) *instance {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{id: id, weight: 1, journal: filepath.Join(t.TempDir(), "journal")}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), journalVariable+"="+i.journal, portsVariable+"="+strconv.Itoa(ports))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	i.stdin, i.process = stdin, start(t, cmd)
	t.Cleanup(func() { stdin.Close() })
	i.waitFor(t, "the addresses of an instance", func() bool {
		addresses, _, ready := strings.Cut(i.stdout.String(), "ready\n")
		i.addresses = strings.Fields(addresses)
		return ready
	})
	return i
}

// registration is how an instance is registered.
func (i *instance) registration() registration {
	return registration{id: i.id, address: i.addresses[0], weight: i.weight}
}

// tell gives an instance a command, and returns once it is obeyed.
func (i *instance) tell(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintln(i.stdin, command); err != nil {
		t.Fatal(err)
	}
	i.told++
	i.waitFor(t, "obedience to "+command, func() bool { return strings.Count(i.stdout.String(), "done\n") == i.told })
}

// record is when things happened to calls, by event and name.
type record map[string]map[string]time.Time

// read reads the journal.
func (i *instance) read(t *testing.T) record {
	t.Helper()
	r := record{began: {}, finished: {}}
	text, err := os.ReadFile(i.journal)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var event, name string
		var nanos int64
		if _, err := fmt.Sscanln(line, &event, &name, &nanos); err != nil {
			t.Fatalf("journal of %s: %v in %q", i.id, err, line)
		}
		r[event][name] = time.Unix(0, nanos)
	}
	return r
}

// knows tells whether an event happened to a call.
func (r record) knows(event, name string) bool {
	_, ok := r[event][name]
	return ok
}

// first returns when the first call at or after a moment began, and last when the last of all did; zero if none did.
func (r record) first(from time.Time) (first time.Time) {
	for _, at := range r[began] {
		if !at.Before(from) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

func (r record) last() (last time.Time) {
	for _, at := range r[began] {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// count returns how many calls began after a moment.
func (r record) count(from time.Time) (count int) {
	for _, at := range r[began] {
		if at.After(from) {
			count++
		}
	}
	return count
}

// callsAfter waits until an instance gets a call that begins after a moment, and returns how long after.
func (i *instance) callsAfter(t *testing.T, from time.Time, limit time.Duration) time.Duration {
	t.Helper()
	var first time.Time
	within(t, limit, "calls to "+i.id, func() bool {
		first = i.read(t).first(from)
		return !first.IsZero()
	})
	return first.Sub(from)
}
