package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cardea-gateway/cardea/gateway/admin"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Bounds on what a connection may do before it has said what it wants, and while it says nothing.
const (
	readHeaderTimeout = 10 * time.Second // A client that sends its header byte by byte holds a connection no longer.
	idleTimeout       = time.Hour        // gRPC clients keep connections; a vanished one is found by pings much sooner.
	pingAfter         = 30 * time.Second // Of silence on an HTTP/2 connection.
	pingTimeout       = 15 * time.Second
)

// Addresses are where a gateway listens.
type Addresses struct {
	// Listeners holds an address for each listener of the configuration, in its order.
	Listeners []net.Addr
	// Admin is the admin address.
	Admin net.Addr
}

// server is one address that is served.
type server struct {
	*http.Server
	listener net.Listener
}

// listen opens all addresses, or none.
func (g *Gateway) listen() (servers []server, err error) {
	defer func() {
		if err != nil {
			for _, s := range servers {
				_ = s.listener.Close()
			}
		}
	}()
	for _, cfg := range g.cfg.GetListeners() {
		tlsConfig, err := loadTLS(cfg.GetTls())
		if err != nil {
			return servers, fmt.Errorf("listener %s: %w", cfg.GetAddress(), err)
		}
		if servers, err = g.open(servers, cfg.GetAddress(), tlsConfig, g.front(face{g})); err != nil {
			return servers, err
		}
	}
	return g.open(servers, g.cfg.GetAdmin().GetAddress(), nil, g.adminHandler())
}

func (g *Gateway) adminHandler() http.Handler {
	return admin.Handler(admin.Options{
		Ready:   g.ready.Load,
		Metrics: g.metrics.Handler(),
		GRPC: &frontend.Front{
			Tables: adminFace{g},
			Done:   func(frontend.Exchange, *frontend.Record) {}, // Probes are no traffic.
		},
	})
}

func loadTLS(cfg *configv1.ListenerTls) (*tls.Config, error) {
	if cfg == nil {
		return nil, nil //nolint:nilnil // No TLS is no error.
	}
	var certificates []tls.Certificate
	for _, c := range cfg.GetCertificates() {
		certificate, err := tls.LoadX509KeyPair(c.GetCertificateFile(), c.GetPrivateKeyFile())
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		certificates = append(certificates, certificate)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// open adds a server for one address.
func (g *Gateway) open(servers []server, address string, tlsConfig *tls.Config, handler http.Handler) ([]server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", address) //nolint:forbidigo // Listening does not wait for anything.
	if err != nil {
		return servers, err
	}
	limits := g.cfg.GetLimits()
	s := &http.Server{
		Handler: handler, TLSConfig: tlsConfig, Protocols: new(http.Protocols),
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: int(limits.GetMaxHeaderBytes()),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: int(limits.GetMaxConcurrentStreams()),
			SendPingTimeout:      pingAfter, PingTimeout: pingTimeout,
		},
		ErrorLog: slog.NewLogLogger(g.options.log.Handler(), slog.LevelDebug),
	}
	s.Protocols.SetHTTP1(true)
	if tlsConfig == nil {
		s.Protocols.SetUnencryptedHTTP2(true)
	} else {
		s.Protocols.SetHTTP2(true)
		listener = tls.NewListener(listener, tlsConfig)
	}
	return append(servers, server{s, listener}), nil
}

// serve runs the servers until the context ends or one of them fails.
func (g *Gateway) serve(ctx context.Context, servers []server) error {
	for _, b := range g.running.Load().backends {
		b.Connect()
	}
	failed := make(chan error, len(servers))
	var running sync.WaitGroup
	for _, s := range servers {
		running.Go(func() {
			if err := s.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	g.setReady(true)
	g.options.onReady(addresses(servers))
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failed:
	}
	g.setReady(false)
	g.stop(errStopping)
	failure = errors.Join(failure, g.shutdown(servers))
	running.Wait()
	return failure
}

func addresses(servers []server) Addresses {
	last := len(servers) - 1
	a := Addresses{Admin: servers[last].listener.Addr()}
	for _, s := range servers[:last] {
		a.Listeners = append(a.Listeners, s.listener.Addr())
	}
	return a
}

func (g *Gateway) setReady(ready bool) {
	g.ready.Store(ready)
	serving := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		serving = healthpb.HealthCheckResponse_SERVING
	}
	g.health.SetServingStatus("", serving)
	for _, backend := range g.cfg.GetBackends() {
		for _, service := range backend.GetServices() {
			g.health.SetServingStatus(service, serving)
		}
	}
}

// shutdown lets calls in flight finish, on all addresses at once, the admin address last: a probe can ask until the end.
func (g *Gateway) shutdown(servers []server) error {
	over := context.Background() //nolint:forbidigo // The caller's context has ended: that is why the servers stop.
	ctx, cancel := context.WithTimeout(over, g.cfg.GetDrainTimeout().AsDuration())
	defer cancel()
	last := len(servers) - 1
	failures := make([]error, last)
	var stopping sync.WaitGroup
	for i, s := range servers[:last] {
		stopping.Go(func() { failures[i] = s.drain(ctx) })
	}
	stopping.Wait()
	// The drain may have used up its time.
	adminCtx, cancelAdmin := context.WithTimeout(over, time.Second)
	defer cancelAdmin()
	_ = servers[last].drain(adminCtx)
	return errors.Join(failures...)
}

// drain stops a server; what is still in flight when the context ends is cut off.
func (s server) drain(ctx context.Context) error {
	err := s.Shutdown(ctx)
	if err != nil {
		_ = s.Close()
		return fmt.Errorf("gateway: %s: calls were cut off: drain_timeout was over", s.listener.Addr())
	}
	return nil
}
