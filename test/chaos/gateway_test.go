package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	inventoryv1 "github.com/cardea-gateway/cardea/gen/go/food/inventory/v1"
)

// gateway is a running cardea.
type gateway struct {
	*process

	address, admin string
	client         *http.Client
}

// startGateway runs cardea serve until the end of the test, and then wants it to stop without a complaint.
func startGateway(t *testing.T, configuration string) *gateway {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cardea.yaml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	g := &gateway{process: start(t, exec.Command(cardea, "serve", "--config", path)), client: &http.Client{Transport: transport}}
	t.Cleanup(func() { g.stop(t) })
	t.Cleanup(transport.CloseIdleConnections)
	g.waitFor(t, "the addresses in the log", func() bool {
		g.address, g.admin = g.logged("serving"), g.logged("admin")
		return g.address != "" && g.admin != ""
	})
	return g
}

// stop ends the gateway as an operator does.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	_ = g.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(2 * patience):
		t.Fatal("the gateway has not ended")
	}
	if code := g.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gateway's exit code is %d", code)
	}
	if log := g.stderr.String(); strings.Contains(log, "panic") || strings.Contains(log, `"level":"ERROR"`) {
		t.Error("the gateway's log complains")
	}
}

// logged returns the address of the first line of the log with a message.
func (g *gateway) logged(message string) string {
	for line := range strings.Lines(g.stderr.String()) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
			return entry.Address
		}
	}
	return ""
}

// read returns what the admin address answers.
func (g *gateway) read(t *testing.T, path string) string {
	t.Helper()
	status, text, err := get(t.Context(), g.client, "http://"+g.admin+path)
	if err != nil || status != http.StatusOK {
		t.Fatalf("admin: %s: %d %v: %s", path, status, err, text)
	}
	return text
}

// backend is what an operator reads of a backend.
type backend struct {
	Name, Age, Error string
	Panicking        bool
	Instances        []struct {
		Address, ID, OutReason string
		Serving, OnTrial       bool
	}
}

// backend asks for the one backend that there is.
func (g *gateway) backend(t *testing.T) backend {
	t.Helper()
	var answer struct{ Backends []backend }
	text := g.read(t, "/v1/backends")
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Backends) != 1 {
		t.Fatalf("want one backend: %v: %s", err, text)
	}
	return answer.Backends[0]
}

// age is how old the set of instances is.
func (b backend) age(t *testing.T) time.Duration {
	t.Helper()
	age, err := time.ParseDuration(b.Age)
	if err != nil {
		t.Fatalf("the age of a backend: %v", err)
	}
	return age
}

// healthy counts the instances that get as many calls as they should.
func (b backend) healthy() (count int) {
	for _, i := range b.Instances {
		if i.Serving && !i.OnTrial && i.OutReason == "" {
			count++
		}
	}
	return count
}

// metric reads a metric without labels.
func (g *gateway) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(g.read(t, "/metrics")) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return value
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// caller makes one call; errors are gRPC statuses.
type caller func(ctx context.Context, name string) error

// callers returns clients of all kinds: half of them speak REST, half gRPC. There are two connections for gRPC, since one
// takes no more than 100 calls at a time.
func (g *gateway) callers(t *testing.T) []caller {
	t.Helper()
	return []caller{g.rest, g.grpc(t), g.rest, g.grpc(t)}
}

// rest asks for a menu over REST.
func (g *gateway) rest(ctx context.Context, name string) error {
	code, text, err := get(ctx, g.client, "http://"+g.address+"/v1/"+name)
	switch {
	case err != nil && ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return err
	case code == http.StatusOK:
		return nil
	}
	var failure struct {
		Code    codes.Code
		Message string
	}
	if err := json.Unmarshal([]byte(text), &failure); err != nil {
		return fmt.Errorf("HTTP %d: %w in %q", code, err, text)
	}
	return status.Errorf(failure.Code, "HTTP %d: %s", code, failure.Message)
}

// grpc returns how to ask for a menu over gRPC, on a connection of its own.
func (g *gateway) grpc(t *testing.T) caller {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+g.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := inventoryv1.NewInventoryServiceClient(conn)
	return func(ctx context.Context, name string) error {
		_, err := client.GetMenu(ctx, &inventoryv1.GetMenuRequest{Name: name})
		return err
	}
}

// get sends a request and reads the answer to its end.
func get(ctx context.Context, client *http.Client, url string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}
