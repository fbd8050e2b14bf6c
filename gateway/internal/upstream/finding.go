package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/consul"
	"github.com/cardea-gateway/cardea/discovery/dns"
	"github.com/cardea-gateway/cardea/discovery/file"
	"github.com/cardea-gateway/cardea/discovery/static"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// finding is how the instances of a backend are found.
type finding struct {
	builder  resolver.Builder
	resolver *discovery.Resolver // Nil for a list that never changes.
	source   discovery.Source    // The same.
}

// Close gives up what the source holds, once the connection is closed.
func (f *finding) Close() error {
	if closer, ok := f.source.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// find returns how the instances of the target are found.
func (o Options) find() (*finding, error) {
	scheme, _, _ := strings.Cut(o.Config.GetTarget(), "://")
	f := &finding{builder: static.NewBuilder()}
	if scheme != "static" {
		source, err := o.source(scheme)
		if err != nil {
			return nil, err
		}
		f.source, f.resolver = source, discovery.NewResolver(source, o.log())
		if o.CacheDirectory != "" {
			f.resolver.Cache(o.cacheFile())
		}
		f.builder = f.resolver
	}
	if o.Config.GetTls() != nil && scheme != "dns" { // The certificates are for the name that was looked up.
		f.builder = named{f.builder}
	}
	return f, nil
}

// cacheFile is where the instances of the target are kept, as the agent knows them: another one may know others.
func (o Options) cacheFile() string {
	id := sha256.Sum256([]byte(o.Config.GetTarget() + " " + o.agent().GetAddress()))
	return filepath.Join(o.CacheDirectory, "instances-"+hex.EncodeToString(id[:6])+".json")
}

func (o Options) source(scheme string) (discovery.Source, error) {
	switch scheme {
	case "consul":
		source, err := consul.New(ConsulOptions(o.Consul))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConsul, err)
		}
		return source, nil
	case "dns":
		return dns.NewSource(), nil
	case "srv":
		return dns.NewSRVSource(), nil
	case "file":
		return file.NewSource(), nil
	}
	return nil, fmt.Errorf("target: no registry is called %q; want consul, static, dns, srv or file", scheme)
}

// ErrConsul is wrapped by errors about the agent, which are the same for all backends.
var ErrConsul = errors.New("the agent")

// CheckConsul says what is wrong with how an agent is to be reached; nil is an agent on this machine.
func CheckConsul(c *configv1.Consul) error {
	source, err := consul.New(ConsulOptions(c))
	if err != nil {
		return err
	}
	return source.Close()
}

// ConsulOptions says how an agent is reached.
func ConsulOptions(c *configv1.Consul) consul.Options {
	o := consul.Options{Address: c.GetAddress(), TokenFile: c.GetTokenFile(), MaxStale: c.GetMaxStale().AsDuration()}
	if tls := c.GetTls(); tls != nil {
		o.TLS = &consul.TLS{
			CAFile: tls.GetCaFile(), ServerName: tls.GetServerName(),
			CertificateFile: tls.GetCertificate().GetCertificateFile(), PrivateKeyFile: tls.GetCertificate().GetPrivateKeyFile(),
		}
	}
	return o
}
