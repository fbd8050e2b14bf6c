package listen

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-gateway/cardea/gateway/internal/pemfile"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// The protocols that ALPN offers.
const (
	http2 = "h2"
	http1 = "http/1.1"
)

// TLS holds the certificates of a listener and the authorities of its clients. It is safe for concurrent use.
type TLS struct {
	cfg     *configv1.ListenerTls
	log     *slog.Logger
	config  *tls.Config // One for all connections, since it holds the keys of session tickets.
	current atomic.Pointer[set]

	mu   sync.Mutex // Of reading.
	seen fingerprint
}

// set is what one reading of all files gave. It is immutable.
type set struct {
	first    *tls.Certificate
	byName   map[string][]*tls.Certificate // By exact name or *.parent, in lower case; the best for clients first.
	config   *tls.Config
	notAfter time.Time
}

// NewTLS reads all files. An error names the file at fault; certificates that are out of date are served all the same, with
// a warning. A nil log warns nobody.
func NewTLS(cfg *configv1.ListenerTls, log *slog.Logger) (*TLS, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &TLS{cfg: cfg, log: log}
	t.config = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current.Load().config, nil },
	}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return t, nil
}

// Config is for tls.Server. It stays the same; handshakes use the certificates that are there when they begin.
func (t *TLS) Config() *tls.Config { return t.config }

// NotAfter is when the first of the certificates that are served expires, those of intermediate authorities included.
func (t *TLS) NotAfter() time.Time { return t.current.Load().notAfter }

// Reload reads all files anew. Either all of it is used, by handshakes that begin from now on, or none.
func (t *TLS) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = t.fingerprint()
	return t.reload()
}

func (t *TLS) reload() error {
	s, err := load(t.cfg)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	s.warn(t.log, time.Now())
	t.current.Store(s)
	return nil
}

func load(cfg *configv1.ListenerTls) (*set, error) {
	s := &set{byName: make(map[string][]*tls.Certificate)}
	for _, c := range cfg.GetCertificates() {
		pair, err := pemfile.Pair(c.GetCertificateFile(), c.GetPrivateKeyFile())
		if err != nil {
			return nil, err
		}
		if err := s.add(pair); err != nil {
			return nil, fmt.Errorf("certificate file %s: %w", c.GetCertificateFile(), err)
		}
	}
	if s.first == nil {
		return nil, errors.New("no certificates")
	}
	s.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{http2, http1}, GetCertificate: s.choose}
	return s, s.askClients(cfg.GetClientCertificates())
}

func (s *set) add(pair *tls.Certificate) error {
	if s.first == nil {
		s.first = pair
	}
	for _, der := range pair.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if s.notAfter.IsZero() || certificate.NotAfter.Before(s.notAfter) {
			s.notAfter = certificate.NotAfter
		}
	}
	for _, name := range pair.Leaf.DNSNames {
		name = strings.ToLower(name)
		s.byName[name] = append(s.byName[name], pair)
		slices.SortStableFunc(s.byName[name], func(a, b *tls.Certificate) int { return cmp.Compare(rank(a), rank(b)) })
	}
	return nil
}

// rank puts keys first that are cheap to sign with.
func rank(c *tls.Certificate) int {
	switch c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey:
		return 1
	default:
		return 2
	}
}

// askClients sets what is asked of clients.
func (s *set) askClients(cfg *configv1.ClientCertificates) (err error) {
	if cfg == nil {
		return nil
	}
	s.config.ClientAuth = tls.RequireAndVerifyClientCert
	if cfg.GetMode() == configv1.ClientCertificates_MODE_OPTIONAL {
		s.config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	s.config.ClientCAs, err = pemfile.Pool(cfg.GetCaFile())
	return err
}

// choose picks the certificate for the name that a client asks for.
func (s *set) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, parent, _ := strings.Cut(name, ".")
	for _, key := range []string{name, "*." + parent} {
		candidates := s.byName[key]
		for _, candidate := range candidates {
			if hello.SupportsCertificate(candidate) == nil {
				return candidate, nil
			}
		}
		if len(candidates) > 0 {
			return candidates[0], nil // The handshake says why it fails.
		}
	}
	return s.first, nil
}

// warn tells of certificates that clients will refuse.
func (s *set) warn(log *slog.Logger, now time.Time) {
	if now.After(s.notAfter) {
		log.Warn("a certificate has expired", slog.Time("not_after", s.notAfter))
	}
}
