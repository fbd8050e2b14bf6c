package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/gateway/internal/pemfile"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// secure returns how instances are spoken to.
func secure(cfg *configv1.BackendTls, log *slog.Logger) ([]grpc.DialOption, error) {
	if cfg == nil {
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	files, err := newCredentials(cfg, log)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(files)}
	if name := cfg.GetServerName(); name != "" {
		options = append(options, grpc.WithAuthority(name)) // It goes before any other name.
	}
	return options, nil
}

// fileCredentials are TLS towards instances, with files that are read anew when they have changed: each new connection uses
// what is there. Files that can't be used are logged, and those before them go on being used.
type fileCredentials struct {
	cfg *configv1.BackendTls
	log *slog.Logger

	mu      sync.Mutex
	current credentials.TransportCredentials
	seen    []stamp
}

var _ credentials.TransportCredentials = (*fileCredentials)(nil)

// stamp tells one state of a file from another; that of a file that can't be found is zero.
type stamp struct {
	modified time.Time
	size     int64
}

func newCredentials(cfg *configv1.BackendTls, log *slog.Logger) (*fileCredentials, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &fileCredentials{cfg: cfg, log: log}
	c.seen = c.stamps() // Before the files are read: a change in between is noticed later.
	var err error
	if c.current, err = loadCredentials(cfg); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

func loadCredentials(cfg *configv1.BackendTls) (credentials.TransportCredentials, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12} // grpc adds ALPN and the name.
	var err error
	if file := cfg.GetCaFile(); file != "" {
		if config.RootCAs, err = pemfile.Pool(file); err != nil {
			return nil, err
		}
	}
	if own := cfg.GetCertificate(); own != nil {
		pair, err := pemfile.Pair(own.GetCertificateFile(), own.GetPrivateKeyFile())
		if err != nil {
			return nil, err
		}
		// Not among Certificates: then it would be held back from instances that ask for one of another authority, and
		// their refusal would not say why.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	return credentials.NewTLS(config), nil
}

func (c *fileCredentials) stamps() []stamp {
	own := c.cfg.GetCertificate()
	var list []stamp
	for _, file := range []string{c.cfg.GetCaFile(), own.GetCertificateFile(), own.GetPrivateKeyFile()} {
		var s stamp
		if info, err := os.Stat(file); err == nil {
			s = stamp{info.ModTime(), info.Size()}
		}
		list = append(list, s)
	}
	return list
}

// latest returns what the next connection is to use.
func (c *fileCredentials) latest() credentials.TransportCredentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.stamps()
	if same(now, c.seen) {
		return c.current
	}
	c.seen = now
	loaded, err := loadCredentials(c.cfg)
	if err != nil {
		c.log.Error("changed TLS files can't be used; the former ones still are", slog.Any("error", err))
		return c.current
	}
	c.current = loaded
	return loaded
}

func same(a, b []stamp) bool {
	for i := range a {
		if a[i].size != b[i].size || !a[i].modified.Equal(b[i].modified) {
			return false
		}
	}
	return true
}

// ClientHandshake verifies the instance against the name that grpc has for it.
func (c *fileCredentials) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return c.latest().ClientHandshake(ctx, authority, conn)
}

// ServerHandshake is not for clients.
func (c *fileCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("upstream: credentials of a client")
}

// Info is what grpc says of TLS.
func (c *fileCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone returns the same: all connections of a backend share what was read.
func (c *fileCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName is deprecated by grpc: the configuration names the server.
func (c *fileCredentials) OverrideServerName(string) error {
	return errors.New("upstream: the server name is configured")
}

// named makes a resolver name each address by itself. Else grpc verifies all instances of a backend against one name, the
// target's; of a list, that is its first entry.
type named struct{ resolver.Builder }

func (n named) Build(target resolver.Target, cc resolver.ClientConn, o resolver.BuildOptions) (resolver.Resolver, error) {
	return n.Builder.Build(target, naming{cc}, o)
}

// OverrideAuthority passes on what embedding hides.
func (n named) OverrideAuthority(target resolver.Target) string {
	if o, ok := n.Builder.(resolver.AuthorityOverrider); ok {
		return o.OverrideAuthority(target)
	}
	return target.Endpoint()
}

type naming struct{ resolver.ClientConn }

func (n naming) UpdateState(s resolver.State) error {
	for i := range s.Endpoints {
		for j := range s.Endpoints[i].Addresses {
			address := &s.Endpoints[i].Addresses[j]
			address.ServerName = address.Addr
		}
	}
	return n.ClientConn.UpdateState(s)
}
