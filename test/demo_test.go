package test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// pace is the time between two states of an order in the demo.
const pace = 300 * time.Millisecond

// demo is a running cardea demo, as its welcome text describes it.
type demo struct {
	*gateway
	services map[string][]service
}

// service is a process of an example service.
type service struct {
	address string
	pid     int
}

var (
	welcomeAddresses = regexp.MustCompile(`REST and gRPC on (\S+), metrics and health on (\S+)\. `)
	welcomeProcess   = regexp.MustCompile(`(?m)^  (\w+) +(\S+:\d+) +kill -9 (\d+)$`)
)

// startDemo starts the demo in a process group of its own, as a shell does, and reads what it prints.
func startDemo(t *testing.T) *demo {
	t.Helper()
	cmd := exec.Command(cardea, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--pace", pace.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d := &demo{gateway: &gateway{process: start(t, cmd)}, services: map[string][]service{}}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // Whatever a failed test leaves behind.
	d.waitFor(t, "the end of the welcome text", func() bool { return strings.Contains(d.stdout.String(), "Ctrl-C ends all of it.\n") })
	text := d.stdout.String()
	addresses := welcomeAddresses.FindStringSubmatch(text)
	if addresses == nil {
		t.Fatalf("no addresses in %s", text)
	}
	d.address, d.admin = addresses[1], addresses[2]
	for _, line := range welcomeProcess.FindAllStringSubmatch(text, -1) {
		pid, err := strconv.Atoi(line[3])
		if err != nil {
			t.Fatal(err)
		}
		d.services[line[1]] = append(d.services[line[1]], service{line[2], pid})
	}
	return d
}

// pids returns the processes below the demo: those that it prints, and any other.
func (d *demo) pids() []int {
	all := childrenOf(d.Process.Pid)
	for _, services := range d.services {
		for _, s := range services {
			all = append(all, s.pid)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestDemo starts the demo once and does with it what people do, down to Ctrl-C.
func TestDemo(t *testing.T) {
	d := startDemo(t)
	t.Run("processes", d.hasProcesses)
	t.Run("balance", d.balances)
	t.Run("printed commands", d.printsCommandsThatWork)
	t.Run("life of an order", d.livesOrders)
	t.Run("menu and stock", d.showsMenuAndStock)
	t.Run("REST and gRPC on one connection", d.mixesProtocols)
	t.Run("closed methods", d.refusesWhatIsClosed)
	t.Run("reflection", d.reflects)
	t.Run("Ctrl-C", func(t *testing.T) {
		pids := d.pids()
		if err := syscall.Kill(-d.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := d.exitCode(t); code != 0 {
			t.Errorf("exit code %d: %s", code, &d.stderr)
		}
		areGone(t, pids)
	})
}

// TestKilledDemoTakesItsServicesAlong kills the demo so that it can't clean up.
func TestKilledDemoTakesItsServicesAlong(t *testing.T) {
	d := startDemo(t)
	pids := d.pids()
	d.signal(t, syscall.SIGKILL)
	if code := d.exitCode(t); code != -1 {
		t.Errorf("exit code %d", code)
	}
	areGone(t, pids)
}

// TestDemoGoesOnWithoutOneInstance kills, as the welcome text invites to, one process of each service that has two.
func TestDemoGoesOnWithoutOneInstance(t *testing.T) {
	d := startDemo(t)
	for _, services := range d.services {
		if len(services) > 1 {
			if err := syscall.Kill(services[0].pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			areGone(t, []int{services[0].pid})
		}
	}
	for n := range 20 {
		for _, path := range []string{"/v1/restaurants", "/v1/orders"} {
			if a := restTo(t, d.address).do(t, http.MethodGet, path, ""); a.StatusCode != http.StatusOK {
				t.Errorf("call %d: %s %s", n, a.Status, a.body)
			}
		}
	}
	d.stop(t)
}

// areGone waits until none of some processes runs.
func areGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("the end of process %d of %v", pid, pids), func() bool { return !alive(pid) })
	}
}

// hasProcesses wants what is printed of each service to be true.
func (d *demo) hasProcesses(t *testing.T) {
	for _, name := range []string{"order", "inventory", "payment", "delivery", "geo"} {
		if got := len(d.services[name]); got != 2 {
			t.Errorf("%s has %d instances", name, got)
		}
	}
	if got := len(d.services["store"]); got > 1 {
		t.Errorf("%d stores", got)
	}
	own := childrenOf(d.Process.Pid)
	for name, services := range d.services {
		for _, s := range services {
			if !alive(s.pid) || (own != nil && !slices.Contains(own, s.pid)) {
				t.Errorf("%s: process %d is no child of the demo", name, s.pid)
			}
			if got := health(t, dial(t, s.address), ""); got != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("%s at %s: %v", name, s.address, got)
			}
		}
	}
}

// balances wants calls to reach both instances of a service. The example services say in a header which one answers.
func (d *demo) balances(t *testing.T) {
	got := map[string]int{}
	for range 10 {
		got[restTo(t, d.address).do(t, http.MethodGet, "/v1/restaurants", "").Header.Get("Food-Instance")]++
	}
	for _, s := range d.services["inventory"] {
		if got[s.address] != 5 {
			t.Errorf("%s got %d of 10 calls: %v", s.address, got[s.address], got)
		}
	}
}

const goRunGRPCurl = "go run github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 "

// printsCommandsThatWork runs every command of the welcome text as a reader would, in its order.
func (d *demo) printsCommandsThatWork(t *testing.T) {
	var heading string
	var curls, grpcurls int
	order := regexp.MustCompile(`"name": ?"(orders/[^"]+)"`)
	placed := ""
	for line := range strings.Lines(d.stdout.String()) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading = line
			continue
		case strings.HasPrefix(line, "curl "):
			curls++
		case strings.HasPrefix(line, goRunGRPCurl):
			grpcurls++
			line = grpcurl(t) + " " + strings.TrimPrefix(line, goRunGRPCurl)
		default:
			continue
		}
		line = strings.ReplaceAll(line, "orders/ORDER", placed)
		if strings.Contains(heading, "refused") {
			if out := bash(t, line); !strings.Contains(out, fmt.Sprintf(`"code":%d,`, codes.Unauthenticated)) {
				t.Errorf("%s was not refused: %s", line, out)
			}
			continue
		}
		if options, ok := strings.CutPrefix(line, "curl "); ok {
			line = "curl --fail-with-body " + options
		}
		out := bash(t, line)
		if name := order.FindStringSubmatch(out); name != nil && placed == "" {
			placed = name[1]
		}
	}
	if curls < 3 || grpcurls < 2 || placed == "" {
		t.Errorf("%d commands with curl, %d with grpcurl, order %q", curls, grpcurls, placed)
	}
}

// bash runs a command line, which must succeed and print something.
func bash(t *testing.T, line string) string {
	t.Helper()
	p := start(t, exec.Command("bash", "-c", "set -o pipefail; "+line))
	if code := p.exitCode(t); code != 0 || p.stdout.String() == "" {
		t.Errorf("exit code %d of %s: %s%s", code, line, &p.stdout, &p.stderr)
	}
	return p.stdout.String()
}

// grpcurl returns the path of the pinned grpcurl.
func grpcurl(t *testing.T) string {
	t.Helper()
	return tool(t, "grpcurl")
}

// tool returns the path of a pinned tool, which is built if it is not there yet.
func tool(t *testing.T, name string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", ". tools/env.sh && tools/install "+name+" >&2 && command -v "+name)
	cmd.Dir = root
	// env.sh finds its folder by the name under which it is sourced.
	p := start(t, cmd)
	<-p.exited // A first build takes longer than anything else here.
	if !p.ProcessState.Success() {
		t.Fatalf("no %s: %s", name, &p.stderr)
	}
	return strings.TrimSpace(p.stdout.String())
}
