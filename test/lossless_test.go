package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	orderv1 "github.com/cardea-gateway/cardea/gen/go/food/order/v1"
)

const reloads = 20

// TestNothingIsLost reloads the configuration twenty times, changes the certificate, upgrades the binary and stops it,
// under 200 calls a second of every kind, each of which takes 100 ms or more. Every call must succeed.
func TestNothingIsLost(t *testing.T) {
	backends := []*instance{startInstance(t, callTime), startInstance(t, callTime)}
	folder, pool := t.TempDir(), x509.NewCertPool()
	writeCertificate(t, folder, pool)
	// Ports of their own: the next process finds its sockets by their addresses.
	g := &upgradable{
		file: filepath.Join(folder, "cardea.yaml"), pidFile: filepath.Join(folder, "cardea.pid"),
		plain: freeAddress(t), tls: freeAddress(t), admin: freeAddress(t),
	}
	configure := func(round int) {
		text := g.configuration(round, backends[0].address, backends[1].address)
		if err := errors.Join(os.WriteFile(g.file+".next", []byte(text), 0o600), os.Rename(g.file+".next", g.file)); err != nil {
			t.Fatal(err)
		}
	}
	configure(0)
	g.start(t)
	l := startLoad(kinds(t, g.plain, g.tls, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))

	for round := range reloads {
		configure(round + 1)
		g.signal(t, syscall.SIGHUP)
		g.waitFor(t, fmt.Sprintf("reload %d", round+1), func() bool { return strings.Count(g.stderr.String(), `"msg":"reloaded"`) == round+1 })
		l.pause(callTime) // So that calls begin under each configuration.
	}
	l.phase(t, "20 reloads")

	before := g.serial(t, pool)
	writeCertificate(t, folder, pool)
	eventually(t, "the new certificate", func() bool { return g.serial(t, pool) != before })
	l.pause(time.Second)
	l.phase(t, "a new certificate")

	old := g.pid(t)
	g.signal(t, syscall.SIGUSR2)
	eventually(t, "the end of the old process", func() bool { return !alive(old) })
	if now := g.pid(t); now == old || !alive(now) {
		t.Fatalf("process %d after %d", now, old)
	}
	l.pause(time.Second)
	l.phase(t, "an upgrade of the binary")

	last := g.pid(t)
	admin := restTo(t, g.admin)
	if err := syscall.Kill(last, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "readiness to be over", func() bool {
		return admin.do(t, http.MethodGet, "/readyz", "").StatusCode == http.StatusServiceUnavailable
	})
	l.pause(callTime) // As long as a load balancer looks away.
	l.stop()
	l.phase(t, "a stop")
	eventually(t, "the end of the last process", func() bool { return !alive(last) })
	for _, b := range backends {
		if canceled := b.read(t)[canceled]; len(canceled) > 0 {
			t.Errorf("%d calls were canceled", len(canceled))
		}
	}
}

// TestRemovedListenerIsGone takes a listener out of the configuration and puts it back, which only works if nothing holds its
// socket.
func TestRemovedListenerIsGone(t *testing.T) {
	folder, pool := t.TempDir(), x509.NewCertPool()
	writeCertificate(t, folder, pool)
	g := &upgradable{
		file: filepath.Join(folder, "cardea.yaml"), pidFile: filepath.Join(folder, "cardea.pid"),
		plain: freeAddress(t), tls: freeAddress(t), admin: freeAddress(t),
	}
	both := g.configuration(0, "127.0.0.1:1", "127.0.0.1:2")
	tlsLines := "  - address: " + g.tls + "\n    tls: {certificates: [{certificate_file: certificate.pem, private_key_file: key.pem}]}\n"
	for round, text := range []string{both, strings.Replace(both, tlsLines, "", 1), both} {
		if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			g.start(t)
			continue
		}
		g.signal(t, syscall.SIGHUP)
		g.waitFor(t, "the reload", func() bool { return strings.Count(g.stderr.String(), `"msg":"reloaded"`) == round })
		conn, err := net.Dial("tcp", g.tls)
		if (err == nil) != (round == 2) {
			t.Errorf("round %d: %v", round, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	g.signal(t, syscall.SIGTERM)
	if code := g.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// configuration differs from round to round in what all kinds of reload are about.
func (g *upgradable) configuration(round int, first, second string) string {
	targets := []string{first + "," + second, second + "," + first, first, second}
	return fmt.Sprintf(`listeners:
  - address: %s
  - address: %s
    tls: {certificates: [{certificate_file: certificate.pem, private_key_file: key.pem}]}
admin: {address: "%s"}
backends:
  - name: order
    target: static:///%s
    services: [food.order.v1.OrderService]
policies:
  - selectors: [food.order.v1.OrderService.GetOrder, food.order.v1.OrderService.CreateOrder, food.order.v1.OrderService.WatchOrder]
    policy: {auth: {public: true}}
limits: {max_header_bytes: %d}
reload: {ignore_file_changes: true}
drain_delay: 0.5s
access_log: {disabled: true}
`, g.plain, g.tls, g.admin, targets[round%len(targets)], 10_000+round/5)
}

// upgradable is a gateway whose process changes.
type upgradable struct {
	*process

	file, pidFile     string
	plain, tls, admin string
}

func (g *upgradable) start(t *testing.T) {
	t.Helper()
	g.process = start(t, exec.Command(cardea, "serve", "--config", g.file, "--pid-file", g.pidFile))
	t.Cleanup(func() {
		if pid, err := os.ReadFile(g.pidFile); err == nil {
			if n, err := strconv.Atoi(strings.TrimSpace(string(pid))); err == nil {
				_ = syscall.Kill(n, syscall.SIGKILL) // It has ended, unless the test failed.
			}
		}
	})
	g.waitFor(t, "the gateway to be ready", func() bool { return strings.Contains(g.stderr.String(), `"msg":"ready"`) })
	eventually(t, "the process id in its file", func() bool {
		_, err := os.Stat(g.pidFile)
		return err == nil
	})
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// pid reads the file with the process id.
func (g *upgradable) pid(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(g.pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// serial returns the serial number of the certificate that a new connection gets.
func (g *upgradable) serial(t *testing.T, pool *x509.CertPool) string {
	t.Helper()
	conn, err := tls.Dial("tcp", g.tls, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return string(conn.ConnectionState().PeerCertificates[0].Signature)
}

// kinds returns a call of each kind: REST and gRPC, one answer and a stream, with TLS and without.
func kinds(t *testing.T, plain, secure string, trust *tls.Config) map[string]getOrder {
	t.Helper()
	all := map[string]getOrder{}
	for name, address := range map[string]struct {
		base string
		tls  []*tls.Config
	}{plain: {"http://" + plain, nil}, secure: {"https://" + secure, []*tls.Config{trust}}} {
		var config *tls.Config
		if len(address.tls) > 0 {
			config = address.tls[0]
		}
		rest := newREST(t, address.base, config)
		orders := orderv1.NewOrderServiceClient(dial(t, name, address.tls...))
		scheme, _, _ := strings.Cut(address.base, ":")
		all["REST GET, "+scheme] = func(ctx context.Context, name string) error { return rest.wants(ctx, http.MethodGet, "/v1/"+name, "") }
		all["REST POST, "+scheme] = func(ctx context.Context, name string) error {
			return rest.wants(ctx, http.MethodPost, "/v1/orders", `{"name":"`+name+`"}`)
		}
		all["REST stream, "+scheme] = func(ctx context.Context, name string) error {
			return rest.wants(ctx, http.MethodGet, "/v1/"+name+":watch", "")
		}
		all["gRPC unary, "+scheme] = func(ctx context.Context, name string) error {
			_, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{Name: name})
			return err
		}
		all["gRPC stream, "+scheme] = func(ctx context.Context, name string) error { return watchToItsEnd(ctx, orders, name) }
	}
	return all
}

// wants sends a request that must succeed; a stream must end with its status.
func (c *restClient) wants(ctx context.Context, method, path, body string) error {
	a, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || (strings.HasSuffix(path, ":watch") && !strings.Contains(a.body, `{"@status":{"code":0,`)) {
		return fmt.Errorf("%s: %s", a.Status, a.body)
	}
	return nil
}

func watchToItsEnd(ctx context.Context, orders orderv1.OrderServiceClient, name string) error {
	stream, err := orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{Name: name})
	for n := 0; err == nil; n++ {
		if _, err = stream.Recv(); errors.Is(err, io.EOF) && n == 2 {
			return nil
		}
	}
	return err
}

// load is calls that begin at a constant rate, whether earlier ones have been answered or not.
type load struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup

	mu       sync.Mutex
	begun    int
	counted  int // At the end of the last phase.
	failures []string
}

// startLoad begins calls of all kinds in turn.
func startLoad(kinds map[string]getOrder) *load {
	l := &load{done: make(chan struct{})}
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	l.running.Go(func() {
		ticker := time.NewTicker(callInterval)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ticker.C:
				kind := names[n%len(names)]
				l.running.Go(func() { l.call(kind, kinds[kind], n) })
			case <-l.done:
				return
			}
		}
	})
	return l
}

func (l *load) call(kind string, call getOrder, n int) {
	l.mu.Lock()
	l.begun++
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := call(ctx, fmt.Sprintf("orders/%d", n)); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failures = append(l.failures, fmt.Sprintf("%s: %v", kind, err))
	}
}

// pause lets the load go on for a while.
func (l *load) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// stop ends the load, once all its calls have been answered.
func (l *load) stop() {
	l.stopped.Do(func() { close(l.done) })
	l.running.Wait()
}

// phase reports what has become of the calls since the last one.
func (l *load) phase(t *testing.T, what string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %d calls, %d failed", what, l.begun-l.counted, len(l.failures))
	for _, failure := range l.failures {
		t.Errorf("%s: %s", what, failure)
	}
	l.counted, l.failures = l.begun, nil
}
