package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/admin"
	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// adminKey is the key of the admin address. No listener of the configuration has it.
const adminKey = "admin"

// listenerKeys returns what a listener is known by over reloads: its address, and a number where an address stands
// several times (port 0 may).
func listenerKeys(cfg *configv1.Config) []string {
	keys := make([]string, len(cfg.GetListeners()))
	seen := map[string]int{}
	for i, l := range cfg.GetListeners() {
		keys[i] = fmt.Sprintf("%s#%d", l.GetAddress(), seen[l.GetAddress()])
		seen[l.GetAddress()]++
	}
	return keys
}

// listener is one address for as long as it is in the configuration: one socket, and the server that serves it now.
type listener struct {
	key     string
	socket  net.Listener
	face    *face // Nil for the admin address.
	handler http.Handler
	tls     atomic.Pointer[tls.Config] // In force for new connections.

	settings *configv1.Config // Of the server.
	server   *server
}

// settingsOf returns what of a configuration a server can't change while it serves.
func settingsOf(cfg *configv1.Config, l *configv1.Listener) *configv1.Config {
	limits, timeouts := cfg.GetLimits(), cfg.GetTimeouts()
	own := &configv1.Listener{ProxyProtocol: l.GetProxyProtocol()}
	if l.GetTls() != nil {
		own.Tls = &configv1.ListenerTls{}
	}
	return &configv1.Config{
		Listeners: []*configv1.Listener{own},
		Limits: &configv1.Limits{
			MaxHeaderBytes: limits.GetMaxHeaderBytes(), MaxHeaders: limits.GetMaxHeaders(),
			MaxConcurrentStreams: limits.GetMaxConcurrentStreams(),
			MaxConnections:       limits.GetMaxConnections(), MaxConnectionsPerClient: limits.GetMaxConnectionsPerClient(),
		},
		Timeouts: &configv1.Timeouts{
			RequestHeader: timeouts.GetRequestHeader(), ConnectionIdle: timeouts.GetConnectionIdle(),
			ConnectionAge: timeouts.GetConnectionAge(),
		},
	}
}

// wanted is a listener as a configuration wants it.
type wanted struct {
	key, field, address string
	cfg                 *configv1.Listener
	tls                 *tls.Config
	opened              *listener // Where there was none.
}

// wants returns the listeners of a configuration, the admin address last, with their certificates.
func wants(cfg *configv1.Config) ([]*wanted, error) {
	var all []*wanted
	var failures []error
	for i, key := range listenerKeys(cfg) {
		l, field := cfg.GetListeners()[i], fmt.Sprintf("listeners[%d]", i)
		tlsConfig, err := loadTLS(l.GetTls())
		failures = append(failures, config.At(field+".tls", err))
		all = append(all, &wanted{key: key, field: field + ".address", address: l.GetAddress(), cfg: l, tls: tlsConfig})
	}
	all = append(all, &wanted{key: adminKey, field: "admin.address", address: cfg.GetAdmin().GetAddress(), cfg: &configv1.Listener{}})
	return all, errors.Join(failures...)
}

func loadTLS(cfg *configv1.ListenerTls) (*tls.Config, error) {
	if cfg == nil {
		return nil, nil //nolint:nilnil // No TLS is no error.
	}
	var certificates []tls.Certificate
	for _, c := range cfg.GetCertificates() {
		certificate, err := tls.LoadX509KeyPair(c.GetCertificateFile(), c.GetPrivateKeyFile())
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// listeners are the addresses of a gateway that serves. Reloads and the end of Serve are its only users, one at a time.
type listeners struct {
	*Gateway

	open   map[string]*listener
	failed chan error
	going  sync.WaitGroup // Servers and listeners on their way out.
}

// prepare opens the sockets that are wanted and not open. On failure none of them stays open.
func (ls *listeners) prepare(all []*wanted) error {
	var failures []error
	for _, w := range all {
		if ls.open[w.key] == nil {
			var err error
			w.opened, err = ls.openListener(w)
			failures = append(failures, config.At(w.field, err))
		}
	}
	err := errors.Join(failures...)
	if err != nil {
		abandon(all)
	}
	return err
}

// abandon closes what prepare has opened.
func abandon(all []*wanted) {
	for _, w := range all {
		if w.opened != nil {
			_ = w.opened.socket.Close()
		}
	}
}

func (ls *listeners) openListener(w *wanted) (*listener, error) {
	socket, err := ls.options.listen("tcp", w.address)
	if err != nil {
		return nil, err
	}
	l := &listener{key: w.key, socket: socket}
	if w.key == adminKey {
		l.handler = ls.adminHandler()
		return l, nil
	}
	l.face = &face{Gateway: ls.Gateway, key: w.key}
	l.handler = ls.front(l.face)
	return l, nil
}

// apply puts what was prepared in force for a configuration that is in force already.
func (ls *listeners) apply(cfg *configv1.Config, all []*wanted) {
	keep := map[string]bool{}
	for _, w := range all {
		keep[w.key] = true
		if w.opened != nil {
			ls.open[w.key] = w.opened
		}
		ls.serve(ls.open[w.key], cfg, w)
	}
	for key, l := range ls.open {
		if !keep[key] {
			delete(ls.open, key)
			ls.remove(l)
		}
	}
}

// pin makes listeners that are going serve what they did serve, to those that are still connected.
func (ls *listeners) pin(s *snapshot, all []*wanted) {
	keep := map[string]bool{}
	for _, w := range all {
		keep[w.key] = true
	}
	for key, l := range ls.open {
		if !keep[key] && l.face != nil && s.acquire() {
			l.face.pinned.Store(s)
		}
	}
}

// serve makes a listener serve as a configuration says: with the server it has, if that can go on, or with another one on
// the same socket.
func (ls *listeners) serve(l *listener, cfg *configv1.Config, w *wanted) {
	l.tls.Store(w.tls)
	settings := settingsOf(cfg, w.cfg)
	if l.server != nil && proto.Equal(l.settings, settings) {
		return
	}
	if old := l.server; old != nil {
		_ = old.turn.Close()
		<-old.done
		ls.drainLater(old, func() {})
	}
	t, err := newTurn(l.socket)
	if err != nil {
		ls.fail(err)
		return
	}
	var tlsConfig *tls.Config
	if w.tls != nil {
		tlsConfig = &tls.Config{
			NextProtos:         w.tls.NextProtos,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.tls.Load(), nil },
		}
	}
	l.settings, l.server = settings, ls.newServer(cfg, l.handler, tlsConfig, t)
	l.server.start(ls.fail)
}

// fail ends Serve with an error; the first one counts.
func (ls *listeners) fail(err error) {
	select {
	case ls.failed <- err:
	default:
	}
}

// remove closes a listener, letting its calls finish.
func (ls *listeners) remove(l *listener) {
	ls.drainLater(l.server, func() {
		if l.face != nil {
			if s := l.face.pinned.Load(); s != nil {
				s.release()
			}
		}
	})
	<-l.server.done
	_ = l.socket.Close()
}

// drainLater drains a server that has no successor or has one already.
func (ls *listeners) drainLater(s *server, then func()) {
	timeout := ls.running.Load().cfg.GetDrainTimeout().AsDuration()
	_ = s.turn.Close()
	ls.going.Go(func() {
		defer then()
		ctx, cancel := context.WithTimeout(context.Background(), timeout) //nolint:forbidigo // Whoever reloads does not wait.
		defer cancel()
		if err := s.drain(ctx); err != nil {
			ls.options.log.Warn("a listener that was reconfigured cut calls off", "error", err)
		}
	})
}

// shutdown drains all servers, the admin address last, so that probes can ask until the end.
func (ls *listeners) shutdown(ctx context.Context) error {
	var draining sync.WaitGroup
	failures := make(chan error, len(ls.open))
	for key, l := range ls.open {
		if key == adminKey {
			continue
		}
		_ = l.server.turn.Close()
		<-l.server.done
		_ = l.socket.Close()
		draining.Go(func() { failures <- l.server.drain(ctx) })
	}
	draining.Wait()
	ls.going.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	admin := ls.open[adminKey]
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	_ = admin.server.drain(last)
	_ = admin.socket.Close()
	return errors.Join(all...)
}

// addresses returns where the gateway listens, in the order of the configuration.
func (ls *listeners) addresses(cfg *configv1.Config) Addresses {
	a := Addresses{Admin: ls.open[adminKey].socket.Addr()}
	for _, key := range listenerKeys(cfg) {
		a.Listeners = append(a.Listeners, ls.open[key].socket.Addr())
	}
	return a
}

func (g *Gateway) adminHandler() http.Handler {
	return admin.Handler(admin.Options{
		Ready:   g.ready.Load,
		Metrics: g.metrics.Handler(),
		API: &frontend.Front{
			Tables: adminFace{g}, Retire: retire,
			Done: func(frontend.Exchange, *frontend.Record) {}, // Probes are no traffic.
		},
	})
}
