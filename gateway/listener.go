package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cardea-gateway/cardea/gateway/admin"
	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/frontend"
	"github.com/cardea-gateway/cardea/gateway/internal/listen"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// adminKey begins the key of the admin address. No listener of the configuration has such a key.
const adminKey = "admin "

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
	address string
	socket  net.Listener
	face    *face // Nil for the admin address.
	handler http.Handler

	settings *configv1.Config // Of the server.
	tls      *listen.TLS      // Of the server; nil is cleartext.
	server   *server
	unwatch  context.CancelFunc
}

// settingsOf returns what of a configuration a server can't change while it serves.
func settingsOf(cfg *configv1.Config, l *configv1.Listener) *configv1.Config {
	limits, timeouts := cfg.GetLimits(), cfg.GetTimeouts()
	return &configv1.Config{
		Listeners: []*configv1.Listener{{Tls: l.GetTls(), ProxyProtocol: l.GetProxyProtocol()}},
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
	key, field string
	address    string
	cfg        *configv1.Listener
	tls        *listen.TLS
	trusted    []netip.Prefix // For the PROXY protocol.
	opened     *listener      // Where there was none.
}

// wants returns the listeners of a configuration, the admin address last, with their certificates.
func (g *Gateway) wants(cfg *configv1.Config) ([]*wanted, error) {
	var all []*wanted
	var failures []error
	for i, key := range listenerKeys(cfg) {
		l, field := cfg.GetListeners()[i], fmt.Sprintf("listeners[%d]", i)
		w := &wanted{key: key, field: field + ".address", address: l.GetAddress(), cfg: l}
		var err error
		if l.GetTls() != nil {
			w.tls, err = listen.NewTLS(l.GetTls(), g.options.log)
			failures = append(failures, config.At(field+".tls", err))
		}
		w.trusted, err = listen.Networks(l.GetProxyProtocol().GetTrustedNetworks())
		failures = append(failures, config.At(field+".proxy_protocol", err))
		all = append(all, w)
	}
	address := cfg.GetAdmin().GetAddress()
	all = append(all, &wanted{key: adminKey + address, field: "admin.address", address: address, cfg: &configv1.Listener{}})
	return all, errors.Join(failures...)
}

// listeners are the addresses of a gateway that serves. Reloads and the end of Serve are its only users, one at a time.
type listeners struct {
	*Gateway

	open   map[string]*listener
	failed chan error
	going  sync.WaitGroup     // Servers and listeners on their way out, and those who watch certificates.
	life   context.Context    //nolint:containedctx // Until when they may take their time.
	end    context.CancelFunc // Ends it.
}

func (g *Gateway) newListeners() *listeners {
	ls := &listeners{Gateway: g, open: map[string]*listener{}, failed: make(chan error, 1)}
	ls.life, ls.end = context.WithCancel(context.Background()) //nolint:forbidigo // Shutdown ends it.
	return ls
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
	if _, ok := socket.(interface{ SetDeadline(at time.Time) error }); !ok {
		return nil, errors.Join(fmt.Errorf("a listener of type %T can't be handed on", socket), socket.Close())
	}
	l := &listener{key: w.key, address: w.address, socket: socket}
	if strings.HasPrefix(w.key, adminKey) {
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
	settings := settingsOf(cfg, w.cfg)
	if l.server != nil && proto.Equal(l.settings, settings) {
		if l.tls != nil {
			ls.refreshed(l.tls.Reload()) // The files may have changed without an event.
		}
		return
	}
	if old := l.server; old != nil {
		l.unwatch()
		old.detach()
		ls.drainLater(old, func() {})
	}
	limits := cfg.GetLimits()
	accepting := listen.New(l.socket, listen.Options{
		TLS: w.tls, TrustedNetworks: w.trusted,
		MaxConnections: int(limits.GetMaxConnections()), MaxConnectionsPerClient: int(limits.GetMaxConnectionsPerClient()),
		HeaderTimeout:  cfg.GetTimeouts().GetRequestHeader().AsDuration(),
		MaxHeaderBytes: int(limits.GetMaxHeaderBytes()), MaxHeaders: int(limits.GetMaxHeaders()),
		Log: ls.options.log, OnRefused: func(r listen.Reason) { ls.metrics.ConnectionRefused(w.address, string(r)) },
	})
	l.settings, l.tls, l.server = settings, w.tls, ls.newServer(cfg, l.handler, accepting)
	ls.metrics.Listening(w.address, accepting.Open, func() time.Time { return notAfter(w.tls) })
	l.unwatch = ls.watchCertificates(w.tls)
	l.server.start(ls.fail)
}

// notAfter is when certificates expire; zero without TLS.
func notAfter(store *listen.TLS) time.Time {
	if store == nil {
		return time.Time{}
	}
	return store.NotAfter()
}

// watchCertificates takes up certificates that change, until the result is called.
func (ls *listeners) watchCertificates(store *listen.TLS) context.CancelFunc {
	if store == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // The listener ends it.
	ls.going.Go(func() {
		if err := store.Watch(ctx, ls.refreshed); err != nil {
			ls.options.log.Warn("changes of certificates go unnoticed: reload to take them up", "error", err)
		}
	})
	return cancel
}

// refreshed reports that certificates were read again.
func (ls *listeners) refreshed(err error) {
	ls.metrics.CertificatesRead(err == nil)
	if err != nil {
		ls.options.log.Error("certificates can't be used: those before them still are", "error", err)
		return
	}
	ls.options.log.Info("certificates read")
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
	l.unwatch()
	l.server.detach()
	_ = l.socket.Close()
	ls.metrics.NotListening(l.address)
	ls.drainLater(l.server, func() {
		if l.face != nil {
			l.face.gone.Store(true)
			if s := l.face.pinned.Load(); s != nil {
				s.release()
			}
		}
	})
}

// drainLater drains a server that has no successor or has one already. Its calls have as long as those of a configuration
// that is out of force.
func (ls *listeners) drainLater(s *server, then func()) {
	age := ls.running.Load().cfg.GetReload().GetMaxStreamAge().AsDuration()
	ls.going.Go(func() {
		defer then()
		ctx, cancel := context.WithCancel(ls.life)
		if age > 0 {
			ctx, cancel = context.WithTimeout(ls.life, age)
		}
		defer cancel()
		if err := s.drain(ctx, errRetired); err != nil {
			ls.options.log.Warn("a listener that was reconfigured cut calls off", "error", err)
		}
	})
}

// shutdown drains all servers, the admin address last, so that operators can ask until the end; but at once if another
// process answers them already.
func (ls *listeners) shutdown(ctx context.Context) error {
	defer ls.end()
	defer context.AfterFunc(ctx, ls.end)() // Those that were on their way out before have no more time than the others.
	var draining sync.WaitGroup
	failures := make(chan error, len(ls.open))
	drain := func(ctx context.Context, l *listener) {
		l.server.detach()
		_ = l.socket.Close()
		draining.Go(func() { failures <- l.server.drain(ctx, errStopping) })
	}
	admin := ls.admin()
	for _, l := range ls.open {
		l.unwatch()
		if l != admin || ls.isHandedOver() {
			drain(ctx, l)
		}
	}
	draining.Wait()
	ls.going.Wait()
	if !ls.isHandedOver() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		drain(last, admin)
		draining.Wait()
	}
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (g *Gateway) isHandedOver() bool {
	select {
	case <-g.handedOver:
		return true
	default:
		return false
	}
}

// admin returns the listener of the admin address.
func (ls *listeners) admin() *listener {
	for _, l := range ls.open {
		if l.face == nil {
			return l
		}
	}
	return nil
}

// addresses returns where the gateway listens, in the order of the configuration.
func (ls *listeners) addresses(cfg *configv1.Config) Addresses {
	a := Addresses{Admin: ls.admin().socket.Addr()}
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
