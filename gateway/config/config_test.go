package config_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/cardea-gateway/cardea/gateway/config"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
	policyv1 "github.com/cardea-gateway/cardea/gen/go/cardea/policy/v1"
)

const (
	listeners = "listeners:\n  - address: 127.0.0.1:8080\n"
	backends  = `backends:
  - name: orders
    target: static:///127.0.0.1:50051
    services: [food.order.v1.OrderService]
`
	minimal = listeners + backends
)

// update rewrites the expected errors: go test ./gateway/config -update.
var update = flag.Bool("update", false, "rewrite the expected errors in testdata")

// refused is a malformed configuration out of testdata/refused, whose archives hold several: NAME/gateway.yaml, the
// NAME/error that it must give, and in some cases a NAME/env with a NAME=value in each line.
type refused struct {
	name, yaml, want string
	env              []string
}

func readRefused(archive *txtar.Archive) []*refused {
	var all []*refused
	byName := map[string]*refused{}
	for _, file := range archive.Files {
		name, part := path.Split(file.Name)
		r := byName[name]
		if r == nil {
			r = &refused{name: strings.TrimSuffix(name, "/")}
			byName[name] = r
			all = append(all, r)
		}
		switch part {
		case "gateway.yaml":
			r.yaml = string(file.Data)
		case "error":
			r.want = string(file.Data)
		case "env":
			r.env = strings.Fields(string(file.Data))
		}
	}
	return all
}

func writeRefused(archive *txtar.Archive, all []*refused) {
	archive.Files = nil
	for _, r := range all {
		if len(r.env) > 0 {
			archive.Files = append(archive.Files, txtar.File{Name: r.name + "/env", Data: []byte(strings.Join(r.env, "\n"))})
		}
		archive.Files = append(archive.Files,
			txtar.File{Name: r.name + "/gateway.yaml", Data: []byte(r.yaml)},
			txtar.File{Name: r.name + "/error", Data: []byte(r.want)})
	}
}

func TestRefused(t *testing.T) {
	count := 0
	for _, file := range refusedFiles(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := readRefused(archive)
		count += len(all)
		for _, r := range all {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+r.name, r.check)
		}
		if *update {
			writeRefused(archive, all)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d malformed configurations", count)
	}
}

func (r *refused) check(t *testing.T) {
	for _, variable := range r.env {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	read, err := config.Parse("gateway.yaml", []byte(r.yaml))
	if err == nil || read != nil {
		t.Fatalf("accepted: %v", read.Config())
	}
	got := err.Error() + "\n"
	if strings.Contains(got, "hunter2") {
		t.Errorf("what came from the environment shows: %s", got)
	}
	if *update {
		r.want = got
	}
	if diff := cmp.Diff(r.want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func refusedFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/refused/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return files
}

// TestRefusedText has what would not survive in a text file.
func TestRefusedText(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"not UTF-8", minimal + "# \xff\n", "c.yaml:7: not valid UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfea\x00:\x00", "c.yaml:1: not valid UTF-8; save the file as UTF-8"},
		{
			"line separator", listeners + "# a\u2028b\n",
			"c.yaml:3: an invisible Unicode line separator (U+0085, U+2028 or U+2029); remove it",
		},
		{"control character", "a: \x01", "c.yaml: not valid YAML: control characters are not allowed"},
		{"CR line ends", "\rfoo: 1\r" + minimal, "c.yaml:2:1 unknown field \"foo\", expected one of listeners, admin, backends, " +
			"policies, descriptors, reflection, limits, drain_timeout, access_log, timeouts, trusted_proxies, reload, drain_delay, rest, consul, zone, discovery\n   2 | foo: 1\n   2 | ^"},
		{
			"CRLF line ends", strings.ReplaceAll(minimal, "\n", "\r\n") + "limits: 7\r\n",
			"c.yaml:7:9 limits: must be a mapping with some of the fields max_message_bytes, max_concurrent_streams, max_header_bytes, " +
				"max_headers, max_url_bytes, max_body_bytes, max_connections, max_connections_per_client, not a single value\n   7 | limits: 7\n   7 | ........^",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse("c.yaml", []byte(tt.yaml))
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestAccepted has what the rules must let through.
func TestAccepted(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:8080", ":8080", "[::1]:8080", "[::]:8080", "localhost:8080", "127.0.0.1:0", "gateway.internal:65535",
		"[::ffff:127.0.0.1]:80",
	} {
		accept(t, "listeners: [{address: '"+address+"'}]\n"+backends)
		accept(t, listeners+backends+"admin: {address: '"+strings.Replace(address, "8080", "8081", 1)+"'}\n")
	}
	for _, target := range []string{
		"static:///127.0.0.1:50051", "static:///a:1,b:2,[::1]:3", "dns:///orders.internal:50051", "dns://10.0.0.53/orders:1",
		"dns:///[::1]:50051", "dns://10.0.0.53:5353/orders:1",
	} {
		accept(t, listeners+"backends: [{name: a, target: '"+target+"', services: [a.A]}]\n")
	}
	for _, selector := range []string{
		"food.order.v1.OrderService.GetOrder", "food.order.v1.OrderService.*", "food.*", "_a.B_1", "Service.Method",
	} {
		accept(t, minimal+"policies: [{selectors: ['"+selector+"'], policy: {}}]\n")
	}
	accept(t, listeners+"backends:\n"+
		"- {name: a, target: 'static:///a:1', services: [a.A], hosts: [a.example.com, '*.example.com', '::1']}\n"+
		"- {name: b, target: 'static:///b:1', services: [a.A], hosts: [b.example.com]}\n"+
		"- {name: c, target: 'static:///c:1', services: [a.A]}\n")
	accept(t, "\ufeff"+minimal)
	accept(t, strings.ReplaceAll(minimal, "\n", "\r\n"))
	accept(t, "---\n"+minimal+"...\n")
	accept(t, "listeners: [{address: ':0'}, {address: ':0'}, {address: 127.0.0.1:1}, {address: 127.0.0.2:1}]\n"+backends)
	accept(t, minimal+"policies:\n- selectors: [a.b]\n  policy: {auth: {public: true}}\n"+
		"- selectors: [a.*]\n  policy: {auth: {public: false}}\n")
}

func accept(t *testing.T, yaml string) *configv1.Config {
	t.Helper()
	read, err := config.Parse("gateway.yaml", []byte(yaml))
	if err != nil {
		t.Fatalf("%s\n%v", yaml, err)
	}
	return read.Config()
}

func TestDefaults(t *testing.T) {
	want := &configv1.Config{
		Listeners: []*configv1.Listener{{Address: "127.0.0.1:8080"}},
		Admin:     &configv1.Admin{Address: "127.0.0.1:9901"},
		Backends: []*configv1.Backend{{
			Name:          "orders",
			Target:        "static:///127.0.0.1:50051",
			Services:      []string{"food.order.v1.OrderService"},
			LoadBalancing: configv1.LoadBalancing_LOAD_BALANCING_ROUND_ROBIN,
		}},
		Limits: &configv1.Limits{
			MaxMessageBytes:         4 << 20,
			MaxConcurrentStreams:    100,
			MaxHeaderBytes:          64 << 10,
			MaxHeaders:              100,
			MaxUrlBytes:             8 << 10,
			MaxBodyBytes:            4 << 20,
			MaxConnections:          10_000,
			MaxConnectionsPerClient: 10_000,
		},
		DrainTimeout: durationpb.New(30 * time.Second),
		DrainDelay:   durationpb.New(0),
		Timeouts:     defaultTimeouts(),
		Reload:       &configv1.Reload{MaxStreamAge: durationpb.New(time.Hour)},
	}
	withDefaults(want.GetBackends()[0])
	if diff := cmp.Diff(want, accept(t, minimal), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// withDefaults adds what a backend has that says nothing of its instances.
func withDefaults(b *configv1.Backend) {
	b.PanicThreshold = 50
	b.OutlierDetection = &configv1.OutlierDetection{
		ConsecutiveFailures: 5, FailurePercent: 50, MinCalls: 20, SlowCall: durationpb.New(time.Second),
		EjectionTime: durationpb.New(5 * time.Second), MaxEjectionTime: durationpb.New(5 * time.Minute),
	}
	b.HealthCheck = &configv1.HealthCheck{Interval: durationpb.New(time.Second), Timeout: durationpb.New(time.Second), Failures: 2}
	b.Connections = &configv1.Connections{MaxStreams: 100, MaxConnections: 4}
}

func defaultTimeouts() *configv1.Timeouts {
	return &configv1.Timeouts{
		RequestHeader:  durationpb.New(10 * time.Second),
		RequestBody:    durationpb.New(time.Minute),
		Call:           durationpb.New(15 * time.Second),
		MaxCall:        durationpb.New(5 * time.Minute),
		StreamIdle:     durationpb.New(5 * time.Minute),
		ConnectionIdle: durationpb.New(time.Hour),
		ConnectionAge:  durationpb.New(time.Hour),
	}
}

func TestFull(t *testing.T) {
	got := accept(t, `
listeners:
  - address: ":8443"
    tls: {certificates: [{certificate_file: certs/a.pem, private_key_file: /etc/a.key}]}
admin: {address: "127.0.0.1:9000"}
backends:
  - name: orders
    target: dns:///orders:50051
    services: [food.order.v1.OrderService]
    loadBalancing: LOAD_BALANCING_ROUND_ROBIN
policies:
  - selectors: [food.order.v1.OrderService.GetOrder]
    policy: {auth: {public: true}}
descriptors: {images: [image.binpb, ../x.binpb, /abs.binpb]}
reflection: {enabled: true}
limits: {max_message_bytes: 8Mi, max_concurrent_streams: 10, maxHeaderBytes: 1000}
drain_timeout: 0s
drain_delay: 5000ms
reload: {ignore_file_changes: true}
access_log: {disabled: true}
`)
	want := &configv1.Config{
		Listeners: []*configv1.Listener{{
			Address: ":8443",
			Tls:     &configv1.ListenerTls{Certificates: []*configv1.Certificate{{CertificateFile: "certs/a.pem", PrivateKeyFile: "/etc/a.key"}}},
		}},
		Admin: &configv1.Admin{Address: "127.0.0.1:9000"},
		Backends: []*configv1.Backend{{
			Name:          "orders",
			Target:        "dns:///orders:50051",
			Services:      []string{"food.order.v1.OrderService"},
			LoadBalancing: configv1.LoadBalancing_LOAD_BALANCING_ROUND_ROBIN,
		}},
		Policies: []*configv1.PolicyRule{{
			Selectors: []string{"food.order.v1.OrderService.GetOrder"},
			Policy:    &policyv1.Policy{Auth: &policyv1.Auth{Public: true}},
		}},
		Descriptors: &configv1.Descriptors{Images: []string{"image.binpb", "../x.binpb", "/abs.binpb"}},
		Reflection:  &configv1.Reflection{Enabled: true},
		Limits: &configv1.Limits{
			MaxMessageBytes: 8 << 20, MaxConcurrentStreams: 10, MaxHeaderBytes: 1000, MaxHeaders: 100, MaxUrlBytes: 8 << 10,
			MaxBodyBytes: 8 << 20, MaxConnections: 10_000, MaxConnectionsPerClient: 10_000,
		},
		DrainTimeout: durationpb.New(0),
		DrainDelay:   durationpb.New(5 * time.Second),
		Timeouts:     defaultTimeouts(),
		Reload:       &configv1.Reload{IgnoreFileChanges: true, MaxStreamAge: durationpb.New(time.Hour)},
		AccessLog:    &configv1.AccessLog{Disabled: true},
	}
	withDefaults(want.GetBackends()[0])
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestDefaultKeepsWhatIsSet(t *testing.T) {
	cfg := accept(t, minimal)
	before := cmp.Diff(nil, cfg, protocmp.Transform())
	config.Default(cfg)
	if diff := cmp.Diff(before, cmp.Diff(nil, cfg, protocmp.Transform())); diff != "" {
		t.Errorf("a second Default changed:\n%s", diff)
	}
}

func TestLoadResolvesFilesAgainstItsFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	const yaml = "listeners:\n- address: :1\n  tls: {certificates: [{certificate_file: tls/a.pem, private_key_file: ./a.key}]}\n" + backends +
		"descriptors: {images: [image.binpb, /abs.binpb], cache_directory: cache}\ndiscovery: {cache_directory: cache}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cfg := read.Config()
	tls := cfg.GetListeners()[0].GetTls().GetCertificates()[0]
	got := append([]string{
		tls.GetCertificateFile(), tls.GetPrivateKeyFile(), cfg.GetDescriptors().GetCacheDirectory(), cfg.GetDiscovery().GetCacheDirectory(),
	}, cfg.GetDescriptors().GetImages()...)
	want := []string{
		filepath.Join(dir, "tls/a.pem"), filepath.Join(dir, "a.key"), filepath.Join(dir, "cache"), filepath.Join(dir, "cache"),
		filepath.Join(dir, "image.binpb"), "/abs.binpb",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "gateway.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "config: open ") {
		t.Errorf("got %v", err)
	}
}

func TestParseConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := config.Parse("gateway.yaml", []byte(minimal)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// FuzzParse wants no panic, and either a configuration or an error that names the file. A configuration
// reads back from what it prints.
func FuzzParse(f *testing.F) {
	for _, file := range refusedFiles(f) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range readRefused(archive) {
			f.Add(r.yaml, strings.Join(r.env, ","))
		}
	}
	f.Add(minimal, "")
	f.Add("a: \u2028\u0085 \r\r\n- [", "")
	f.Add(strings.ReplaceAll(minimal, "orders", "${FUZZED}"), "or: {}\n- ders")
	f.Fuzz(func(t *testing.T, yaml, variable string) {
		if os.Setenv("FUZZED", variable) != nil { //nolint:usetesting // A fuzz target runs too often for a clean-up each time.
			t.Skip("no value for a variable")
		}
		read, err := config.Parse("gateway.yaml", []byte(yaml))
		if (read == nil) == (err == nil) {
			t.Fatalf("got %v and %v", read, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gateway.yaml:") {
				t.Errorf("the error does not start with its place: %v", err)
			}
			return
		}
		again, err := config.Parse("gateway.yaml", []byte(read.YAML()))
		if err != nil {
			t.Fatalf("what it prints is refused: %v\n%s", err, read.YAML())
		}
		if diff := cmp.Diff(read.Config(), again.Config(), protocmp.Transform()); diff != "" {
			t.Errorf("what it prints is something else: %s", diff)
		}
	})
}
