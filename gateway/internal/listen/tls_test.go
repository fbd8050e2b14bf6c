package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/listen"
	"github.com/cardea-gateway/cardea/gateway/internal/pemfile/pemtest"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// folder holds files of certificates, each NAME.crt with NAME.key.
type folder string

func (f folder) certificate(name string) *configv1.Certificate {
	return &configv1.Certificate{CertificateFile: f.file(name + ".crt"), PrivateKeyFile: f.file(name + ".key")}
}

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

func (f folder) write(t *testing.T, name string, pair pemtest.Pair) {
	t.Helper()
	pair.Write(t, f.file(name+".crt"), f.file(name+".key"))
}

func (f folder) config(names ...string) *configv1.ListenerTls {
	cfg := new(configv1.ListenerTls)
	for _, name := range names {
		cfg.Certificates = append(cfg.Certificates, f.certificate(name))
	}
	return cfg
}

func newTLS(t *testing.T, cfg *configv1.ListenerTls) *listen.TLS {
	t.Helper()
	store, err := listen.NewTLS(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// leaf connects and returns the certificate that the server shows.
func leaf(t *testing.T, address string, config *tls.Config) *x509.Certificate {
	t.Helper()
	config = config.Clone()
	config.InsecureSkipVerify = true // Which certificate comes is the question.
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestCertificateIsChosenByName(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "first", ca.Issue("first.example"))
	f.write(t, "exact", ca.Issue("api.b.example"))
	f.write(t, "wild", ca.Issue("*.b.example", "B.Example"))
	f.write(t, "rsa", ca.IssueRSA("both.example"))
	f.write(t, "ecdsa", ca.Issue("both.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("first", "wild", "exact", "rsa", "ecdsa"))})
	for name, tc := range map[string]struct {
		server  string
		ciphers []uint16
		want    string
		key     x509.PublicKeyAlgorithm
	}{
		"no name":               {server: "", want: "first.example"},
		"exact":                 {server: "api.b.example", want: "api.b.example"},
		"exact, other case":     {server: "API.b.Example", want: "api.b.example"},
		"wildcard":              {server: "x.b.example", want: "*.b.example"},
		"above the wildcard":    {server: "b.example", want: "*.b.example"},
		"wildcard is one label": {server: "x.y.b.example", want: "first.example"},
		"unknown":               {server: "elsewhere.example", want: "first.example"},
		"ecdsa is preferred":    {server: "both.example", want: "both.example", key: x509.ECDSA},
		"rsa if need be": {
			server: "both.example", want: "both.example", key: x509.RSA,
			ciphers: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{ServerName: tc.server, CipherSuites: tc.ciphers}
			if tc.ciphers != nil {
				config.MaxVersion = tls.VersionTLS12
			}
			got := leaf(t, s.address, config)
			if got.Subject.CommonName != tc.want || tc.key != 0 && got.PublicKeyAlgorithm != tc.key {
				t.Errorf("%s with %s", got.Subject.CommonName, got.PublicKeyAlgorithm)
			}
		})
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a"))})
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", s.address, config); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	s.wantRefused(t, listen.FailedHandshake)
}

func TestSessionsAreResumed(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	store := newTLS(t, f.config("a"))
	s := serve(t, listen.Options{TLS: store})
	client := s.client(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	client.Transport.(*http.Transport).DisableKeepAlives = true
	for i, want := range []bool{false, true, true} {
		res := s.get(t, client)
		if res.TLS.DidResume != want {
			t.Errorf("connection %d: resumed %v", i, res.TLS.DidResume)
		}
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadingSaysWhatIsWrong(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	good := ca.Issue("a.example")
	f.write(t, "good", good)
	f.write(t, "mixed", pemtest.Pair{Certificate: good.Certificate, Key: ca.Issue("a.example").Key})
	for name, tc := range map[string]struct {
		cfg  *configv1.ListenerTls
		want string
	}{
		"none":    {f.config(), "no certificates"},
		"missing": {f.config("good", "missing"), "missing.crt: no such file"},
		"mixed":   {f.config("good", "mixed"), "mixed.key, for certificate file " + f.file("mixed.crt") + ": tls: private key does not match"},
		"no ca": {&configv1.ListenerTls{
			Certificates:       f.config("good").GetCertificates(),
			ClientCertificates: &configv1.ClientCertificates{CaFile: f.file("ca.crt")},
		}, "ca.crt: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := listen.NewTLS(tc.cfg, nil); err == nil || !strings.HasPrefix(err.Error(), "tls: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestExpiryIsKnownAndWarnedOf(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "good", ca.Issue("a.example"))
	f.write(t, "old", ca.IssueExpired("b.example"))
	var log bytes.Buffer
	for _, tc := range []struct {
		cfg     *configv1.ListenerTls
		expired bool
	}{{f.config("good"), false}, {f.config("good", "old"), true}} {
		log.Reset()
		store, err := listen.NewTLS(tc.cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if store.NotAfter().IsZero() || time.Now().After(store.NotAfter()) != tc.expired || strings.Contains(log.String(), "expired") != tc.expired {
			t.Errorf("%v: %v %s", tc.cfg, store.NotAfter(), &log)
		}
	}
}

// TestClientCertificates has clients with no certificate, one of another authority, and a right one.
func TestClientCertificates(t *testing.T) {
	f, ca, clients, strangers := folder(t.TempDir()), pemtest.NewAuthority(t, "servers"), pemtest.NewAuthority(t, "clients"), pemtest.NewAuthority(t, "strangers")
	f.write(t, "a", ca.Issue("a.example"))
	pemtest.Write(t, f.file("ca.crt"), clients.PEM())
	certificates := map[string]*pemtest.Pair{"none": nil, "right": new(clients.Issue("alice")), "wrong": new(strangers.Issue("mallory")), "expired": new(clients.IssueExpired("bob"))}
	for mode, served := range map[configv1.ClientCertificates_Mode][]string{
		configv1.ClientCertificates_MODE_UNSPECIFIED: {"right"},
		configv1.ClientCertificates_MODE_REQUIRED:    {"right"},
		configv1.ClientCertificates_MODE_OPTIONAL:    {"right", "none"},
	} {
		cfg := f.config("a")
		cfg.ClientCertificates = &configv1.ClientCertificates{Mode: mode, CaFile: f.file("ca.crt")}
		s := serve(t, listen.Options{TLS: newTLS(t, cfg)})
		for name, pair := range certificates {
			for _, h2 := range []bool{false, true} {
				config := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"}
				if pair != nil {
					certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
					if err != nil {
						t.Fatal(err)
					}
					// Sent whatever the server asks for.
					config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
				}
				client := s.client(config)
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = h2
				res, err := client.Get("https://" + s.address + "/")
				want := false
				for _, n := range served {
					want = want || n == name
				}
				if (err == nil) != want {
					t.Errorf("%s, %s: %v", mode, name, err)
				}
				if err != nil && !h2 && !strings.Contains(err.Error(), "remote error: tls") { // Go's HTTP/2 client keeps it to itself.
					t.Errorf("%s, %s: clients are not told why: %v", mode, name, err)
				}
				if err != nil {
					continue
				}
				res.Body.Close()
				if subject := res.Header.Get("Subject"); (subject == "alice") != (name == "right") {
					t.Errorf("%s, %s, %s: handlers see %q", mode, name, res.Proto, subject)
				}
			}
		}
	}
}

// watch watches and returns the results of reloads.
func watch(t *testing.T, store *listen.TLS) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 100)
	var running sync.WaitGroup
	running.Go(func() {
		if err := store.Watch(ctx, func(err error) { results <- err }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return results
}

func result(t *testing.T, results <-chan error) error {
	t.Helper()
	select {
	case err := <-results:
		return err
	case <-soon(t):
		t.Fatal("the change was not noticed")
		return nil
	}
}

// wantReload waits for a reload that goes well. One that does not has read files that were half written.
func wantReload(t *testing.T, results <-chan error) {
	t.Helper()
	for err := result(t, results); err != nil; err = result(t, results) {
		continue
	}
}

// TestReloadUnderConnections changes the certificate under a connection that goes on.
func TestReloadUnderConnections(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("one", "a.example"))
	store := newTLS(t, f.config("a"))
	results := watch(t, store)
	s := serve(t, listen.Options{TLS: store})
	for _, h2 := range []bool{false, true} {
		f.write(t, "a", ca.Issue("one", "a.example"))
		wantReload(t, results)
		before := s.client(&tls.Config{RootCAs: ca.Pool(), ServerName: "a.example"})
		before.Transport.(*http.Transport).ForceAttemptHTTP2 = h2
		s.get(t, before)
		f.write(t, "a", ca.Issue("two", "a.example"))
		wantReload(t, results)
		if got := s.get(t, before).TLS.PeerCertificates[0].Subject.CommonName; got != "one" {
			t.Errorf("the connection was not kept: %s", got)
		}
		if got := leaf(t, s.address, &tls.Config{ServerName: "a.example"}).Subject.CommonName; got != "two" {
			t.Errorf("a new connection has %s", got)
		}
	}
}

// TestHalfWrittenPair has the certificate of one pair and the key of another for a while.
func TestHalfWrittenPair(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("one", "a.example"))
	store := newTLS(t, f.config("a"))
	results := watch(t, store)
	s := serve(t, listen.Options{TLS: store})
	two := ca.Issue("two", "a.example")
	pemtest.Write(t, f.file("a.crt"), two.Certificate)
	for err := result(t, results); err == nil || !strings.Contains(err.Error(), "does not match"); err = result(t, results) {
		if err == nil {
			t.Fatal("half a pair is used")
		}
	}
	if got := leaf(t, s.address, &tls.Config{ServerName: "a.example"}).Subject.CommonName; got != "one" {
		t.Errorf("half a pair: %s", got)
	}
	pemtest.Write(t, f.file("a.key"), two.Key)
	wantReload(t, results)
	if got := leaf(t, s.address, &tls.Config{ServerName: "a.example"}).Subject.CommonName; got != "two" {
		t.Errorf("the whole pair: %s", got)
	}
}

// TestReplacedFiles changes files in the ways in which programs do, twice.
func TestReplacedFiles(t *testing.T) {
	ca := pemtest.NewAuthority(t, "authority")
	for name, replace := range map[string]func(t *testing.T, f folder, pair pemtest.Pair){
		"write": func(t *testing.T, f folder, pair pemtest.Pair) { f.write(t, "a", pair) },
		"rename over": func(t *testing.T, f folder, pair pemtest.Pair) {
			f.write(t, "new", pair)
			rename(t, f.file("new.key"), f.file("a.key"))
			rename(t, f.file("new.crt"), f.file("a.crt"))
		},
		"remove and create": func(t *testing.T, f folder, pair pemtest.Pair) {
			_, _ = os.Remove(f.file("a.crt")), os.Remove(f.file("a.key"))
			f.write(t, "a", pair)
		},
		"Kubernetes": func(t *testing.T, f folder, pair pemtest.Pair) { // tls.crt -> ..data/tls.crt, ..data -> a folder with a date.
			before, _ := os.Readlink(f.file("..data"))
			after := before + "."
			if err := os.Mkdir(f.file("..date"+after), 0o700); err != nil {
				t.Fatal(err)
			}
			folder(f.file("..date"+after)).write(t, "a", pair)
			symlink(t, "..date"+after, f.file("..tmp"))
			rename(t, f.file("..tmp"), f.file("..data"))
			if before != "" {
				os.RemoveAll(f.file(before))
				return
			}
			symlink(t, "..data/a.crt", f.file("a.crt"))
			symlink(t, "..data/a.key", f.file("a.key"))
		},
		"write behind links": func(t *testing.T, f folder, pair pemtest.Pair) {
			if _, err := os.Lstat(f.file("a.crt")); err == nil {
				f.write(t, "a", pair)
				return
			}
			elsewhere := folder(t.TempDir())
			elsewhere.write(t, "x", pair)
			symlink(t, elsewhere.file("x.crt"), f.file("a.crt"))
			symlink(t, elsewhere.file("x.key"), f.file("a.key"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := folder(t.TempDir())
			replace(t, f, ca.Issue("one", "a.example"))
			store := newTLS(t, f.config("a"))
			results := watch(t, store)
			s := serve(t, listen.Options{TLS: store})
			for _, next := range []string{"two", "three"} { // At the second time, watching has begun for sure.
				replace(t, f, ca.Issue(next, "a.example"))
				wantReload(t, results)
				if got := leaf(t, s.address, &tls.Config{ServerName: "a.example"}).Subject.CommonName; got != next {
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

func TestFolderThatIsAwayForAWhile(t *testing.T) {
	f, ca := folder(filepath.Join(t.TempDir(), "certs")), pemtest.NewAuthority(t, "authority")
	if err := os.Mkdir(string(f), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write(t, "a", ca.Issue("one", "a.example"))
	store := newTLS(t, f.config("a"))
	results := watch(t, store)
	s := serve(t, listen.Options{TLS: store})
	f.write(t, "a", ca.Issue("two", "a.example"))
	wantReload(t, results)
	rename(t, string(f), string(f)+".old")
	if err := result(t, results); err == nil {
		t.Error("files that are away were read")
	}
	if err := os.Mkdir(string(f), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write(t, "a", ca.Issue("three", "a.example"))
	wantReload(t, results)
	if got := leaf(t, s.address, &tls.Config{ServerName: "a.example"}).Subject.CommonName; got != "three" {
		t.Errorf("got %s", got)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}

// TestChangedAuthorityIsEffectiveAtOnce takes away the authority of a client that might resume its session.
func TestChangedAuthorityIsEffectiveAtOnce(t *testing.T) {
	f, ca, clients := folder(t.TempDir()), pemtest.NewAuthority(t, "servers"), pemtest.NewAuthority(t, "clients")
	f.write(t, "a", ca.Issue("a.example"))
	pemtest.Write(t, f.file("ca.crt"), clients.PEM())
	cfg := f.config("a")
	cfg.ClientCertificates = &configv1.ClientCertificates{CaFile: f.file("ca.crt")}
	store := newTLS(t, cfg)
	s := serve(t, listen.Options{TLS: store})
	pair := clients.Issue("alice")
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	client := s.client(&tls.Config{
		RootCAs: ca.Pool(), ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
	})
	client.Transport.(*http.Transport).DisableKeepAlives = true
	s.get(t, client)
	if res := s.get(t, client); !res.TLS.DidResume {
		t.Error("the session is not resumed")
	}
	pemtest.Write(t, f.file("ca.crt"), pemtest.NewAuthority(t, "others").PEM())
	if err := store.Reload(); err != nil {
		t.Fatal(err)
	}
	if res, err := client.Get("https://" + s.address); err == nil {
		res.Body.Close()
		t.Error("still served")
	}
}

func TestHTTPOnAnHTTPSPort(t *testing.T) {
	f, ca := folder(t.TempDir()), pemtest.NewAuthority(t, "authority")
	f.write(t, "a", ca.Issue("a.example"))
	s := serve(t, listen.Options{TLS: newTLS(t, f.config("a"))})
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), "use https") {
		t.Errorf("%s %v", got, err)
	}
}
