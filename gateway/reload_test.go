package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/gateway"
	adminv1 "github.com/cardea-gateway/cardea/gen/go/cardea/admin/v1"
	"github.com/cardea-gateway/cardea/policies/call"
)

// fileGateway is a gateway that serves a configuration file.
type fileGateway struct {
	*gateway.Gateway
	*running

	file string
	log  *lockedBuffer
}

// write replaces the file, as editors and deployments do.
func (g *fileGateway) write(t *testing.T, text string) {
	t.Helper()
	next := g.file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, g.file); err != nil {
		t.Fatal(err)
	}
}

// reload writes the file and wants it in force.
func (g *fileGateway) reload(t *testing.T, text string) {
	t.Helper()
	g.write(t, text)
	if err := g.Reload(t.Context(), gateway.TriggerAPI); err != nil {
		t.Fatal(err)
	}
}

// openFile serves a configuration file until the test ends.
func openFile(t *testing.T, text string, opts ...gateway.Option) *fileGateway {
	t.Helper()
	g := &fileGateway{file: filepath.Join(t.TempDir(), "cardea.yaml"), log: &lockedBuffer{}}
	g.write(t, text)
	ready := make(chan gateway.Addresses, 1)
	gw, err := gateway.Open(g.file, append(opts,
		gateway.WithLogger(slog.New(slog.NewTextHandler(io.MultiWriter(g.log, t.Output()), nil))),
		gateway.WithOnReady(func(a gateway.Addresses) { ready <- a }))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gw.Serve(ctx) }()
	g.Gateway, g.running = gw, &running{stop: func() error { cancel(); return <-done }}
	select {
	case g.Addresses = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return g
}

// testYAML is a configuration for the interoperability service; more goes to its end.
func testYAML(listen, backend string, public []string, more string) string {
	selectors := make([]string, len(public))
	for i, name := range public {
		selectors[i] = "grpc.testing.TestService." + name
	}
	return fmt.Sprintf(`listeners: [{address: "%s"}]
admin: {address: "127.0.0.1:0"}
backends: [{name: test, target: "static:///%s", services: [grpc.testing.TestService]}]
policies: [{selectors: [%s], policy: {auth: {public: true}}}]
access_log: {disabled: true}
reload: {ignore_file_changes: true, max_stream_age: 0s}
%s`, listen, backend, strings.Join(selectors, ", "), more)
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

// connCounter counts the connections of a server.
type connCounter struct {
	stats.Handler

	begun atomic.Int64
}

func (*connCounter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (*connCounter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (*connCounter) HandleRPC(context.Context, stats.RPCStats)                       {}

func (c *connCounter) HandleConn(_ context.Context, event stats.ConnStats) {
	if _, ok := event.(*stats.ConnBegin); ok {
		c.begun.Add(1)
	}
}

func testBackend(t *testing.T, opts ...grpc.ServerOption) string {
	t.Helper()
	return backend(t, func(s *grpc.Server) { testpb.RegisterTestServiceServer(s, newTestService()) }, opts...)
}

func TestReloadChangesPoliciesAndKeepsConnections(t *testing.T) {
	counter := &connCounter{}
	address := testBackend(t, grpc.StatsHandler(counter))
	gw := openFile(t, testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, ""))
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	for round := range 6 {
		public := []string{"EmptyCall", "UnaryCall"}[:1+round%2]
		gw.reload(t, testYAML("127.0.0.1:0", address, public, fmt.Sprintf("drain_timeout: %ds\n", 10+round)))
		if _, err := client.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
			t.Fatal(err)
		}
		want := codes.Unauthenticated
		if round%2 == 1 {
			want = codes.OK
		}
		if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); status.Code(err) != want {
			t.Errorf("round %d: %v, want %v", round, err, want)
		}
	}
	if n := counter.begun.Load(); n != 1 {
		t.Errorf("the backend saw %d connections", n)
	}
}

func TestFailedReloadChangesNothing(t *testing.T) {
	address := testBackend(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, "")
	gw := openFile(t, good)
	client := testpb.NewTestServiceClient(dial(t, gw.address()))
	for name, tc := range map[string]struct{ text, says string }{
		"broken YAML":        {"listeners: [", "cardea.yaml:"},
		"a broken rule":      {strings.Replace(good, "static:", "statik:", 1), "cardea.yaml:3:"},
		"an unknown method":  {strings.Replace(good, "EmptyCall", "EmptyCal", 1), "cardea.yaml:4:"},
		"a missing image":    {good + "descriptors: {images: [nope.binpb]}\n", "nope.binpb"},
		"an address in use":  {strings.Replace(good, `listeners: [{address: "127.0.0.1:0"}`, `listeners: [{address: "127.0.0.1:0"}, {address: "`+taken.Addr().String()+`"}`, 1), "cardea.yaml:1:"},
		"missing key files":  {strings.Replace(good, `"127.0.0.1:0"}]`, `"127.0.0.1:0", tls: {certificates: [{certificate_file: a, private_key_file: b}]}}]`, 1), "cardea.yaml:1:"},
		"nothing at all":     {"", "empty"},
		"no file any longer": {"\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			gw.write(t, tc.text)
			if tc.text == "\x00" {
				if err := os.Remove(gw.file); err != nil {
					t.Fatal(err)
				}
			}
			err := gw.Reload(t.Context(), gateway.TriggerSignal)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want %q", err, tc.says)
			}
			if _, err := client.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			st := gw.status(t)
			if st.GetConfiguration().GetGeneration() != 1 || st.GetLastReload().GetSucceeded() || st.GetLastReload().GetError() != err.Error() {
				t.Errorf("status %v", st)
			}
			if !strings.Contains(gw.log.String(), "reload failed") {
				t.Errorf("the log says nothing: %s", gw.log)
			}
		})
	}
	if _, text := get(t, "http://"+gw.Admin.String()+"/metrics"); !strings.Contains(text, "cardea_config_last_reload_successful 0") ||
		!strings.Contains(text, `cardea_config_reloads_total{success="false",trigger="signal"} 8`) {
		t.Error("the metrics say nothing of it")
	}
}

// status asks the admin API.
func (g *fileGateway) status(t *testing.T) *adminv1.Status {
	t.Helper()
	st, err := adminv1.NewAdminServiceClient(dial(t, g.Admin.String())).GetStatus(t.Context(), &adminv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// openStream begins a stream and exchanges a message on it.
func openStream(t *testing.T, conn *grpc.ClientConn) testpb.TestService_FullDuplexCallClient {
	t.Helper()
	stream, err := testpb.NewTestServiceClient(conn).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ping(t, stream)
	return stream
}

func ping(t *testing.T, stream testpb.TestService_FullDuplexCallClient) {
	t.Helper()
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
}

func TestStreamFinishesUnderTheConfigurationItBeganWith(t *testing.T) {
	address := testBackend(t)
	gw := openFile(t, testYAML("127.0.0.1:0", address, []string{"FullDuplexCall"}, ""))
	conn := dial(t, gw.address())
	stream := openStream(t, conn)
	gw.reload(t, testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, ""))
	ping(t, stream)
	st := gw.status(t)
	if len(st.GetRetired()) != 1 || st.GetRetired()[0].GetCalls() != 1 || st.GetConfiguration().GetGeneration() != 2 {
		t.Errorf("status %v", st)
	}
	if _, err := testpb.NewTestServiceClient(conn).EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
		t.Error(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	eventually(t, "the end of the old configuration", func() bool { return len(gw.status(t).GetRetired()) == 0 })
}

func TestStreamEndsWhenItsConfigurationIsRetiredForLong(t *testing.T) {
	address := testBackend(t)
	gw := openFile(t, testYAML("127.0.0.1:0", address, []string{"FullDuplexCall"}, ""))
	stream := openStream(t, dial(t, gw.address()))
	text := testYAML("127.0.0.1:0", address, []string{"FullDuplexCall"}, "")
	gw.reload(t, strings.Replace(text, "max_stream_age: 0s", "max_stream_age: 0.1s", 1))
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || call.Reason(err) != "CONFIGURATION_RETIRED" {
		t.Error(err)
	}
}

// TestStreamOutlivesItsServer changes what needs another server; drain_timeout is for the end of the gateway.
func TestStreamOutlivesItsServer(t *testing.T) {
	address, listen := testBackend(t), freeAddress(t)
	text := func(more string) string {
		return testYAML(listen, address, []string{"FullDuplexCall"}, "drain_timeout: 0.05s\n"+more)
	}
	gw := openFile(t, text(""))
	stream := openStream(t, dial(t, listen))
	gw.reload(t, strings.Replace(text("limits: {max_header_bytes: 9999}\n"), "max_stream_age: 0s", "max_stream_age: 0.5s", 1))
	for range 20 {
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // Longer than drain_timeout, which must not matter.
		ping(t, stream)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable || call.Reason(err) != "CONFIGURATION_RETIRED" {
		t.Error(err)
	}
}

// TestWatchedHealthLetsGoOfItsConfiguration wants a stream of the gateway's own to end with its configuration's age.
func TestWatchedHealthLetsGoOfItsConfiguration(t *testing.T) {
	address := testBackend(t)
	text := testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, "")
	gw := openFile(t, text)
	watch, err := healthpb.NewHealthClient(dial(t, gw.address())).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil { // It has begun.
		t.Fatal(err)
	}
	gw.reload(t, strings.Replace(text, "max_stream_age: 0s", "max_stream_age: 0.1s", 1))
	for err == nil {
		_, err = watch.Recv()
	}
	if call.Reason(err) != "CONFIGURATION_RETIRED" {
		t.Error(err)
	}
	eventually(t, "the end of the old configuration", func() bool { return len(gw.status(t).GetRetired()) == 0 })
}

func TestAdminAddressMoves(t *testing.T) {
	address, first, second := testBackend(t), freeAddress(t), freeAddress(t)
	text := func(admin string) string {
		return strings.Replace(testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, ""), `admin: {address: "127.0.0.1:0"}`, `admin: {address: "`+admin+`"}`, 1)
	}
	gw := openFile(t, text(first))
	gw.reload(t, text(second))
	if code, _ := get(t, "http://"+second+"/readyz"); code != http.StatusOK {
		t.Errorf("the new address answers %d", code)
	}
	if c, err := net.Dial("tcp", first); err == nil {
		c.Close()
		t.Error("the old address takes connections")
	}
}

func TestHealthIsSilentAboutOtherFaces(t *testing.T) {
	address := testBackend(t)
	gw := openFile(t, fmt.Sprintf(`listeners: [{address: "127.0.0.1:0", backends: [open]}]
admin: {address: "127.0.0.1:0"}
backends:
  - {name: open, target: "static:///%s", services: [grpc.testing.TestService]}
  - {name: secret, target: "static:///%s", services: [grpc.testing.UnimplementedService]}
`, address, address))
	client := healthpb.NewHealthClient(dial(t, gw.address()))
	for service, want := range map[string]codes.Code{
		"": codes.OK, "grpc.testing.TestService": codes.OK, "grpc.testing.UnimplementedService": codes.NotFound, "no.Such": codes.NotFound,
	} {
		if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service}); status.Code(err) != want {
			t.Errorf("%q: %v, want %v", service, err, want)
		}
	}
	if all, err := client.List(t.Context(), &healthpb.HealthListRequest{}); err != nil || len(all.GetStatuses()) != 2 {
		t.Errorf("%v %v", all, err)
	}
}

func TestListenersComeAndGo(t *testing.T) {
	address, first, second := testBackend(t), freeAddress(t), freeAddress(t)
	gw := openFile(t, testYAML(first, address, []string{"FullDuplexCall", "EmptyCall"}, ""))
	conn := dial(t, first)
	stream := openStream(t, conn)
	gw.reload(t, testYAML(second, address, []string{"FullDuplexCall", "EmptyCall"}, ""))
	ping(t, stream)
	if _, err := testpb.NewTestServiceClient(dial(t, second)).EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
		t.Error(err)
	}
	eventually(t, "the first listener to be closed", func() bool {
		c, err := net.Dial("tcp", first)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	ping(t, stream)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestServerSettingsChangeWithoutARefusedConnection reloads what needs another server on the same socket, while clients
// open a connection for each call.
func TestServerSettingsChangeWithoutARefusedConnection(t *testing.T) {
	address, listen := testBackend(t), freeAddress(t)
	text := func(round int) string {
		return testYAML(listen, address, []string{"EmptyCall"}, fmt.Sprintf("limits: {max_header_bytes: %d}\n", 5000+round))
	}
	gw := openFile(t, text(0))
	stop, failures := make(chan struct{}), make(chan error, 1000)
	var calls atomic.Int64
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for ; ; calls.Add(1) {
			select {
			case <-stop:
				return
			default:
			}
			conn, err := grpc.NewClient("passthrough:///"+listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err == nil {
				_, err = testpb.NewTestServiceClient(conn).EmptyCall(t.Context(), &testpb.Empty{})
				conn.Close()
			}
			if err != nil {
				failures <- err
			}
		}
	}()
	for round := range 10 {
		before := calls.Load()
		gw.reload(t, text(round+1))
		eventually(t, "calls over the new server", func() bool { return calls.Load() > before+2 })
	}
	close(stop)
	<-finished
	close(failures)
	for err := range failures {
		t.Error(err)
	}
}

func TestChangedFileIsTakenUp(t *testing.T) {
	address := testBackend(t)
	text := func(seconds int) string {
		return strings.Replace(testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, fmt.Sprintf("drain_timeout: %ds\n", seconds)),
			"ignore_file_changes: true, ", "", 1)
	}
	gw := openFile(t, text(10))
	generation := func(n int64) func() bool {
		return func() bool { return gw.status(t).GetConfiguration().GetGeneration() == n }
	}
	gw.write(t, text(11))
	eventually(t, "the renamed file in force", generation(2))
	if err := os.WriteFile(gw.file, []byte(text(12)), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the overwritten file in force", generation(3))
	if err := os.WriteFile(gw.file, []byte("nonsense: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a failed reload", func() bool { return !gw.status(t).GetLastReload().GetSucceeded() })
	if err := os.WriteFile(gw.file, []byte(text(13)), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mended file in force", generation(4))
	if last := gw.status(t).GetLastReload(); last.GetTrigger() != "file" || !last.GetSucceeded() {
		t.Errorf("last reload %v", last)
	}
}

// TestConfigMapIsTakenUp swaps a symbolic link to a folder, as Kubernetes does.
func TestConfigMapIsTakenUp(t *testing.T) {
	address, mount := testBackend(t), t.TempDir()
	text := strings.Replace(testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, ""), "ignore_file_changes: true, ", "", 1)
	publish := func(version, text string) {
		t.Helper()
		folder := filepath.Join(mount, version)
		if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "cardea.yaml"), []byte(text), 0o600),
			os.Symlink(version, filepath.Join(mount, "..next")), os.Rename(filepath.Join(mount, "..next"), filepath.Join(mount, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", text)
	if err := os.Symlink("..data/cardea.yaml", filepath.Join(mount, "cardea.yaml")); err != nil {
		t.Fatal(err)
	}
	ready := make(chan gateway.Addresses, 1)
	gw, err := gateway.Open(filepath.Join(mount, "cardea.yaml"), gateway.WithOnReady(func(a gateway.Addresses) { ready <- a }),
		gateway.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gw.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	g := &fileGateway{running: &running{Addresses: await(t, ready, "not ready")}}
	publish("..2", text+"drain_timeout: 11s\n")
	eventually(t, "the new version in force", func() bool { return g.status(t).GetConfiguration().GetGeneration() == 2 })
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestHostsLeadToTheirBackends(t *testing.T) {
	named := func(name string) string {
		return backend(t, func(s *grpc.Server) {
			service := newTestService()
			service.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				return &testpb.SimpleResponse{Username: name}, nil
			}
			testpb.RegisterTestServiceServer(s, service)
		})
	}
	gw := openFile(t, fmt.Sprintf(`listeners: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
backends:
  - {name: exact, target: "static:///%s", services: [grpc.testing.TestService], hosts: [api.example.com]}
  - {name: wild, target: "static:///%s", services: [grpc.testing.TestService], hosts: ["*.Example.com"]}
  - {name: ip, target: "static:///%s", services: [grpc.testing.TestService], hosts: ["::1"]}
policies: [{selectors: [grpc.testing.TestService.UnaryCall], policy: {auth: {public: true}}}]
`, named("exact"), named("wild"), named("ip")))
	for authority, want := range map[string]string{
		"api.example.com": "exact", "API.example.com:8443": "exact", "api.example.com.": "exact",
		"other.example.com": "wild", "a.b.example.com": "wild", "[::1]:80": "ip",
		"example.com": "", "evil-example.com": "", "api.example.com.evil.org": "", "": "",
	} {
		var opts []grpc.DialOption
		if authority != "" {
			opts = append(opts, grpc.WithAuthority(authority))
		}
		got, err := testpb.NewTestServiceClient(dial(t, gw.address(), opts...)).UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if got.GetUsername() != want || (want == "") != (status.Code(err) == codes.Unimplemented) {
			t.Errorf("%q: got %q, %v; want %q", authority, got.GetUsername(), err, want)
		}
	}
}

func TestListenersHaveFacesOfTheirOwn(t *testing.T) {
	address := testBackend(t)
	gw := openFile(t, fmt.Sprintf(`listeners:
  - address: "127.0.0.1:0"
    policies: [{selectors: [grpc.testing.TestService.UnaryCall], policy: {auth: {public: true}}}]
  - address: "127.0.0.1:0"
    policies: [{selectors: [grpc.testing.TestService.*], policy: {auth: {public: false}}}]
  - address: "127.0.0.1:0"
    backends: [other]
admin: {address: "127.0.0.1:0"}
backends:
  - {name: test, target: "static:///%s", services: [grpc.testing.TestService]}
  - {name: other, target: "static:///%s", services: [grpc.testing.UnimplementedService]}
policies: [{selectors: [grpc.testing.TestService.EmptyCall], policy: {auth: {public: true}}}]
`, address, address))
	for i, want := range [][2]codes.Code{
		{codes.OK, codes.OK}, {codes.Unauthenticated, codes.Unauthenticated}, {codes.Unimplemented, codes.Unimplemented},
	} {
		client := testpb.NewTestServiceClient(dial(t, gw.Listeners[i].String()))
		_, empty := client.EmptyCall(t.Context(), &testpb.Empty{})
		_, unary := client.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		if got := [2]codes.Code{status.Code(empty), status.Code(unary)}; got != want {
			t.Errorf("listener %d: %v, want %v", i, got, want)
		}
	}
}

func TestAdminAPIOverREST(t *testing.T) {
	address := testBackend(t)
	text := testYAML("127.0.0.1:0", address, []string{"EmptyCall"}, "")
	gw := openFile(t, text)
	admin := "http://" + gw.Admin.String()
	if code, body := get(t, admin+"/v1/status"); code != http.StatusOK || !strings.Contains(body, `"ready":true`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, admin+"/v1/routes"); code != http.StatusOK || !strings.Contains(body, "grpc.testing.TestService/EmptyCall") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, admin+"/debug/pprof/cmdline"); code != http.StatusOK || body == "" {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get(t, admin+"/v1/config"); code != http.StatusOK || !strings.Contains(strings.ReplaceAll(body, `", "`, `","`),
		`{"path":"backends[0].name","value":"test","origin":"cardea.yaml:3"}`) || !strings.Contains(body, `"default"`) {
		t.Errorf("%d %s", code, body)
	}
	post := func(header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, admin+"/v1/config:reload", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	gw.write(t, text+"drain_timeout: 12s\n")
	if code, body := post("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("another site's page: %d %s", code, body)
	}
	if code, body := post(); code != http.StatusOK || !strings.Contains(body, `"generation":"2"`) {
		t.Errorf("%d %s", code, body)
	}
	gw.write(t, "listeners: 7\n")
	if code, body := post(); code != http.StatusBadRequest || !strings.Contains(body, "RELOAD_FAILED") || !strings.Contains(body, "cardea.yaml:1:12") {
		t.Errorf("%d %s", code, body)
	}
}
