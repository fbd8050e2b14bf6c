package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/cardea-gateway/cardea/gateway/internal/pemfile/pemtest"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is a gRPC server that tells which client certificate and authority it was called with.
type instance struct {
	net.Listener
	mu     sync.Mutex
	config *tls.Config
	conns  []net.Conn
}

func (i *instance) Accept() (net.Conn, error) {
	c, err := i.Listener.Accept()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conns = append(i.conns, c)
	return c, err
}

// dropAll makes clients connect anew.
func (i *instance) dropAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, c := range i.conns {
		c.Close()
	}
	i.conns = nil
}

// present sets what the instance shows, and whose clients it serves, from the next connection on.
func (i *instance) present(t *testing.T, own pemtest.Pair, clients *pemtest.Authority) {
	t.Helper()
	certificate, err := tls.X509KeyPair(own.Certificate, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.config = config
}

func start(t *testing.T, host string) *instance {
	t.Helper()
	lis, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{Listener: lis}
	srv := grpc.NewServer(grpc.UnaryInterceptor(tell), grpc.Creds(credentials.NewTLS(&tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			i.mu.Lock()
			defer i.mu.Unlock()
			return i.config, nil
		},
	})))
	healthv1.RegisterHealthServer(srv, health.NewServer())
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(i) })
	t.Cleanup(func() {
		srv.Stop()
		running.Wait()
	})
	return i
}

func tell(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	p, _ := peer.FromContext(ctx)
	in, _ := metadata.FromIncomingContext(ctx)
	subject := ""
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
		subject = info.State.PeerCertificates[0].Subject.CommonName
	}
	if err := grpc.SetHeader(ctx, metadata.MD{"subject": {subject}, "seen-authority": in[":authority"]}); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// answer is what one call brings back.
type answer struct{ client, server, authority, instance string }

func ask(t *testing.T, b *Backend) (answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var header metadata.MD
	var p peer.Peer
	_, err := healthv1.NewHealthClient(b.conn).Check(ctx, new(healthv1.HealthCheckRequest),
		grpc.Header(&header), grpc.Peer(&p), grpc.ForceCodecV2(encoding.GetCodecV2("proto")))
	if err != nil {
		return answer{}, err
	}
	return answer{
		strings.Join(header["subject"], ","), p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName,
		strings.Join(header["seen-authority"], ","), p.Addr.String(),
	}, nil
}

// eventually asks until a call goes well: reconnecting takes a moment.
func eventually(t *testing.T, b *Backend) answer {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		a, err := ask(t, b)
		if err == nil {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// files are those of a BackendTls.
type files string

func (f files) file(name string) string { return filepath.Join(string(f), name) }

func (f files) config(mutual bool) *configv1.BackendTls {
	cfg := &configv1.BackendTls{CaFile: f.file("ca.crt")}
	if mutual {
		cfg.Certificate = &configv1.Certificate{CertificateFile: f.file("tls.crt"), PrivateKeyFile: f.file("tls.key")}
	}
	return cfg
}

func open(t *testing.T, target string, cfg *configv1.BackendTls, log *slog.Logger) *Backend {
	t.Helper()
	b, err := new(Pool).Open(Options{Config: &configv1.Backend{Name: "b", Target: target, Tls: cfg}, Log: log, MaxMessageBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestNameThatIsVerified(t *testing.T) {
	ca := pemtest.NewAuthority(t, "servers")
	f := files(t.TempDir())
	pemtest.Write(t, f.file("ca.crt"), ca.PEM())
	i := start(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(i.Addr().String())
	for name, tc := range map[string]struct {
		target, serverName string
		names              []string
		authority          string // "" is a refusal.
	}{
		"address":                 {"static:///127.0.0.1:" + port, "", []string{"127.0.0.1"}, "127.0.0.1:" + port},
		"name":                    {"static:///localhost:" + port, "", []string{"localhost"}, "localhost:" + port},
		"name of dns":             {"dns:///localhost:" + port, "", []string{"localhost"}, "localhost:" + port},
		"other address":           {"static:///127.0.0.1:" + port, "", []string{"127.0.0.2", "localhost"}, ""},
		"other name":              {"dns:///localhost:" + port, "", []string{"example.com", "127.0.0.1"}, ""},
		"configured":              {"static:///127.0.0.1:" + port, "api.example", []string{"api.example"}, "api.example"},
		"configured for dns":      {"dns:///localhost:" + port, "api.example", []string{"api.example"}, "api.example"},
		"configured, and another": {"static:///127.0.0.1:" + port, "api.example", []string{"127.0.0.1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i.present(t, ca.Issue(tc.names...), nil)
			cfg := f.config(false)
			cfg.ServerName = tc.serverName
			got, err := ask(t, open(t, tc.target, cfg, nil))
			if (err != nil) != (tc.authority == "") || got.authority != tc.authority {
				t.Errorf("authority %q, %v", got.authority, err)
			}
		})
	}
}

// TestEachInstanceHasItsOwnName has two instances that must not take each other's place.
func TestEachInstanceHasItsOwnName(t *testing.T) {
	ca := pemtest.NewAuthority(t, "servers")
	f := files(t.TempDir())
	pemtest.Write(t, f.file("ca.crt"), ca.PEM())
	one, two := start(t, "127.0.0.1"), start(t, "127.0.0.2")
	one.present(t, ca.Issue("127.0.0.1"), nil)
	two.present(t, ca.Issue("127.0.0.2"), nil)
	target := "static:///" + one.Addr().String() + "," + two.Addr().String()
	b := open(t, target, f.config(false), nil)
	seen := map[string]bool{}
	for deadline := time.Now().Add(10 * time.Second); len(seen) < 2; {
		a := eventually(t, b)
		if a.authority != a.instance || time.Now().After(deadline) {
			t.Fatalf("%+v; seen %v", a, seen)
		}
		seen[a.instance] = true
	}
	one.present(t, ca.Issue("127.0.0.2"), nil)
	one.dropAll()
	only := open(t, "static:///"+one.Addr().String(), f.config(false), nil)
	if a, err := ask(t, only); err == nil {
		t.Errorf("one with the name of two is called: %+v", a)
	}
}

func TestAuthorityOfInstances(t *testing.T) {
	ca, other := pemtest.NewAuthority(t, "servers"), pemtest.NewAuthority(t, "others")
	f := files(t.TempDir())
	pemtest.Write(t, f.file("ca.crt"), ca.PEM())
	i := start(t, "127.0.0.1")
	for name, tc := range map[string]struct {
		pair pemtest.Pair
		cfg  *configv1.BackendTls
		ok   bool
	}{
		"right":            {ca.Issue("127.0.0.1"), f.config(false), true},
		"other":            {other.Issue("127.0.0.1"), f.config(false), false},
		"expired":          {ca.IssueExpired("127.0.0.1"), f.config(false), false},
		"those of systems": {ca.Issue("127.0.0.1"), new(configv1.BackendTls), false},
	} {
		i.present(t, tc.pair, nil)
		if _, err := ask(t, open(t, "static:///"+i.Addr().String(), tc.cfg, nil)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotation exchanges, under a backend that stays open, first the client's certificate, then all authorities.
func TestRotation(t *testing.T) {
	servers, clients := pemtest.NewAuthority(t, "servers"), pemtest.NewAuthority(t, "clients")
	f := files(t.TempDir())
	pemtest.Write(t, f.file("ca.crt"), servers.PEM())
	clients.Issue("one").Write(t, f.file("tls.crt"), f.file("tls.key"))
	i := start(t, "127.0.0.1")
	i.present(t, servers.Issue("server one", "127.0.0.1"), clients)
	b := open(t, "static:///"+i.Addr().String(), f.config(true), nil)
	if a, err := ask(t, b); err != nil || a.client != "one" || a.server != "server one" {
		t.Fatalf("%+v %v", a, err)
	}
	clients.Issue("two").Write(t, f.file("tls.crt"), f.file("tls.key"))
	if a, err := ask(t, b); err != nil || a.client != "one" {
		t.Errorf("the connection has not been kept: %+v %v", a, err)
	}
	i.dropAll()
	if a := eventually(t, b); a.client != "two" {
		t.Errorf("the new certificate is not used: %+v", a)
	}
	servers, clients = pemtest.NewAuthority(t, "new servers"), pemtest.NewAuthority(t, "new clients")
	i.present(t, servers.Issue("server two", "127.0.0.1"), clients)
	pemtest.Write(t, f.file("ca.crt"), servers.PEM())
	clients.Issue("three").Write(t, f.file("tls.crt"), f.file("tls.key"))
	i.dropAll()
	if a := eventually(t, b); a.client != "three" || a.server != "server two" {
		t.Errorf("%+v", a)
	}
}

// TestBrokenRotation writes half a pair, then the other half.
func TestBrokenRotation(t *testing.T) {
	servers, clients := pemtest.NewAuthority(t, "servers"), pemtest.NewAuthority(t, "clients")
	f := files(t.TempDir())
	pemtest.Write(t, f.file("ca.crt"), servers.PEM())
	clients.Issue("one").Write(t, f.file("tls.crt"), f.file("tls.key"))
	i := start(t, "127.0.0.1")
	i.present(t, servers.Issue("127.0.0.1"), clients)
	var log bytes.Buffer // Written under the lock of the credentials, read when all is done.
	b := open(t, "static:///"+i.Addr().String(), f.config(true), slog.New(slog.NewTextHandler(&log, nil)))
	eventually(t, b)
	two := clients.Issue("two")
	pemtest.Write(t, f.file("tls.crt"), two.Certificate)
	for range 3 {
		i.dropAll()
		if a := eventually(t, b); a.client != "one" {
			t.Errorf("half a pair: %+v", a)
		}
	}
	pemtest.Write(t, f.file("tls.key"), two.Key)
	i.dropAll()
	if a := eventually(t, b); a.client != "two" {
		t.Errorf("the whole pair: %+v", a)
	}
	if n := strings.Count(log.String(), "does not match"); n != 1 {
		t.Errorf("logged %d times: %s", n, &log)
	}
}

func TestOpenSaysWhichFileIsWrong(t *testing.T) {
	f := files(t.TempDir())
	if _, err := new(Pool).Open(Options{Config: &configv1.Backend{Name: "orders", Target: "static:///127.0.0.1:1", Tls: f.config(false)}}); err == nil ||
		!strings.HasPrefix(err.Error(), `backend "orders": tls: ca file: open `+f.file("ca.crt")) {
		t.Errorf("%v", err)
	}
	pemtest.Write(t, f.file("ca.crt"), pemtest.NewAuthority(t, "servers").PEM())
	if _, err := new(Pool).Open(Options{Config: &configv1.Backend{Name: "orders", Target: "static:///127.0.0.1:1", Tls: f.config(true)}}); err == nil ||
		!strings.Contains(err.Error(), f.file("tls.crt")) {
		t.Errorf("%v", err)
	}
}

// TestInstanceWithoutTLS must not be spoken to in cleartext.
func TestInstanceWithoutTLS(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	healthv1.RegisterHealthServer(srv, health.NewServer())
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(lis) })
	defer running.Wait()
	defer srv.Stop()
	b := open(t, "static:///"+lis.Addr().String(), new(configv1.BackendTls), nil)
	if _, err := ask(t, b); status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestCredentialsAreOfClientsOnly(t *testing.T) {
	c, err := newCredentials(new(configv1.BackendTls), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ServerHandshake(nil); err == nil {
		t.Error("serves")
	}
	if err := c.OverrideServerName("x"); err == nil {
		t.Error("takes a name")
	}
	if c.Clone() != credentials.TransportCredentials(c) {
		t.Error("a clone reads files by itself")
	}
}
