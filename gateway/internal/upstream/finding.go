package upstream

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"

	"google.golang.org/grpc/resolver"

	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/static"
)

// finding is how the instances of a backend are found.
type finding struct {
	builder  resolver.Builder
	resolver *discovery.Resolver // Nil for a list that never changes.
	closers  []io.Closer
}

// Close gives up what finding holds, once the connection is closed.
func (f *finding) Close() error {
	var failures []error
	for _, c := range f.closers {
		failures = append(failures, c.Close())
	}
	return errors.Join(failures...)
}

// find returns how the instances of a target are found.
func (o Options) find() (*finding, error) {
	scheme, _, _ := strings.Cut(o.Config.GetTarget(), "://")
	if scheme == "static" {
		return o.named(scheme, &finding{builder: static.NewBuilder()}), nil
	}
	return nil, errors.New("scheme")
}

// named has TLS verify each instance by its own address, but for DNS, whose name the certificates are for.
func (o Options) named(scheme string, f *finding) *finding {
	if o.Config.GetTls() != nil && scheme != "dns" {
		f.builder = named{f.builder}
	}
	return f
}

var (
	_ *slog.Logger
	_ *url.URL
)
