package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/cardea-gateway/cardea/gateway/config"
	"github.com/cardea-gateway/cardea/gateway/internal/pemfile"
	"github.com/cardea-gateway/cardea/gateway/internal/schema"
	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// Trigger says what caused a reload.
type Trigger string

// What causes reloads.
const (
	// TriggerSignal is a signal to the process.
	TriggerSignal Trigger = "signal"
	// TriggerFile is a change of the configuration file, or of a file that it names.
	TriggerFile Trigger = "file"
	// TriggerAPI is a call of the admin API, or of the embedder.
	TriggerAPI Trigger = "api"
	// TriggerDescriptors is another contract that a backend has told by server reflection.
	TriggerDescriptors Trigger = "descriptors"
)

// reloadAttempt is what became of an attempt to reload.
type reloadAttempt struct {
	at      time.Time
	trigger Trigger
	err     error
}

// ErrNoFile is the error of a reload of a gateway whose configuration was built in code.
var ErrNoFile = errors.New("gateway: the configuration was built in code: there is no file to read again")

// Reload reads the configuration file again and puts it in force: it builds and checks everything first, opens new
// addresses, and swaps. Calls in flight finish under the configuration that they began with. On any error nothing
// changes, and the error, which shows file and line, is logged and counted. A configuration that has not changed is
// left alone.
func (g *Gateway) Reload(_ context.Context, trigger Trigger) error {
	if g.path == "" {
		return ErrNoFile
	}
	return g.attempt(trigger, g.reload)
}

// attempt puts a configuration in force, and notes what becomes of that.
func (g *Gateway) attempt(trigger Trigger, change func() error) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if g.draining {
		return errStopping
	}
	before := g.running.Load()
	err := change()
	after := g.running.Load()
	g.lastReload = &reloadAttempt{at: time.Now(), trigger: trigger, err: err}
	g.metrics.Reloaded(string(trigger), err == nil, after != before, after.generation)
	if after != before || trigger != TriggerDescriptors {
		g.announce()
	}
	switch {
	case err != nil:
		g.options.log.Error("reload failed: the configuration in force stays", "trigger", trigger, "error", err.Error())
	case after == before:
		g.options.log.Info("nothing to reload: the configuration is the same", "trigger", trigger)
	default:
		g.options.log.Info("reloaded", "trigger", trigger, "generation", after.generation, "configuration", after.digest[:12])
	}
	return err
}

func (g *Gateway) reload() error {
	file, err := config.Load(g.path)
	if err != nil {
		return err
	}
	return g.put(file.Config(), file, g.compileAsking)
}

// announce lets refresh look again at what has been refused.
func (g *Gateway) announce() {
	g.attempts.Add(1)
	select {
	case g.attempted <- struct{}{}:
	default: // Nobody has looked since the last time.
	}
}

// compileAsking compiles a configuration with what its backends tell now. If that can't be, it is compiled with what all of
// them have told before: a backend with a broken contract must not keep everybody from changing the configuration.
func (g *Gateway) compileAsking(cfg *configv1.Config) (*snapshot, error) {
	next, err := g.compile(cfg, g.answers.of)
	if err == nil || !g.knows(cfg) {
		return next, err
	}
	if before, failed := g.compile(cfg, g.answers.last); failed == nil {
		g.options.log.Warn("what backends tell now can't be put in force: it stays at what they have told before", "error", err.Error())
		return before, nil
	}
	return nil, err
}

// knows tells whether every backend that tells its contracts has done so before.
func (g *Gateway) knows(cfg *configv1.Config) bool {
	known, some := true, false
	for _, b := range cfg.GetBackends() {
		if b.GetReflection() != nil {
			some = true
			known = known && g.answers.last(g.asker(cfg, b, nil)) != nil
		}
	}
	return known && some
}

// put compiles a configuration and puts it in force. The file, from which it was read, is nil where it was built in code.
func (g *Gateway) put(cfg *configv1.Config, file *config.File, compile func(*configv1.Config) (*snapshot, error)) error {
	all, certificates := g.wants(cfg)
	next, err := compile(cfg)
	if err := errors.Join(err, certificates); err != nil {
		if next != nil {
			next.release()
		}
		return explain(file, err)
	}
	next.file = file
	if next.digest == g.running.Load().digest {
		g.answers.commit(next.told)
		next.release()
		return explain(file, g.rereadCertificates())
	}
	if g.listeners == nil {
		g.enforce(next)
		return nil
	}
	if err := g.listeners.prepare(all); err != nil {
		next.release()
		return explain(file, err)
	}
	next.connect()
	g.listeners.pin(g.running.Load(), all)
	g.enforce(next)
	g.listeners.apply(cfg, all)
	g.registration.adopt(next.cfg.GetConsul(), next.registrar)
	return nil
}

// rereadCertificates takes up files that have changed without anybody noticing, such as on a network file system.
func (g *Gateway) rereadCertificates() error {
	if g.listeners == nil {
		return nil
	}
	var failures []error
	for _, l := range g.listeners.open {
		if l.tls != nil {
			failures = append(failures, l.tls.Reload())
		}
	}
	return errors.Join(failures...)
}

// enforce puts a snapshot in force and retires the one before.
func (g *Gateway) enforce(next *snapshot) {
	next.loaded, next.generation = time.Now(), 1
	before := g.running.Load()
	if before != nil {
		next.generation = before.generation + 1
	}
	g.running.Store(next)
	g.answers.commit(next.told)
	if before == nil {
		return
	}
	g.setReady(g.ready.Load()) // For the services that are new.
	g.forget(before, next)
	before.retired = next.loaded
	g.retired = append(slices.DeleteFunc(g.retired, func(s *snapshot) bool { return s.holders.Load() == 0 }), before)
	if age := next.cfg.GetReload().GetMaxStreamAge().AsDuration(); age > 0 {
		timer := time.AfterFunc(age, func() { before.end(errRetired) })
		context.AfterFunc(before.over, func() { timer.Stop() })
	}
	before.release()
}

// forget takes services that are gone out of the answers about health.
func (g *Gateway) forget(before, next *snapshot) {
	served := map[string]bool{}
	for _, b := range next.cfg.GetBackends() {
		for _, service := range b.GetServices() {
			served[service] = true
		}
	}
	for _, b := range before.cfg.GetBackends() {
		for _, service := range b.GetServices() {
			if !served[service] {
				g.health.SetServingStatus(service, healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
			}
		}
	}
}

// retireAll gives up the snapshot in force, and waits until nothing is held any more, but not for a call whose
// interceptor does not notice that its client was cut off.
func (g *Gateway) retireAll() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	last := g.running.Load()
	last.release()
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	for _, s := range append(g.retired, last) {
		s.end(errStopping)
		select {
		case <-s.unused:
		case <-patience.C:
			return
		}
	}
}

// settle is how long files must have been left alone before they are read: editors and deployments write in steps.
const settle = 200 * time.Millisecond

// again is when folders are looked for again that are not there.
const again = time.Second

// newWatcher watches the folders of the files that make the configuration, since files are often replaced, by renaming or
// through a symbolic link. It returns nil where nothing is to be watched.
func (g *Gateway) newWatcher() *fsnotify.Watcher {
	if g.path == "" {
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		g.options.log.Warn("changes of the configuration file can't be noticed: reload by signal", "error", err)
		return nil
	}
	_ = g.watchFolders(watcher) // It is tried again with every change.
	return watcher
}

// watch reloads when one of the files has another content. Their folders may be busy: logs can lie there.
func (g *Gateway) watch(ctx context.Context, watcher *fsnotify.Watcher) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Events:
			if !waiting { // A busy folder must not put it off for ever.
				waiting = true
				timer.Reset(settle)
			}
		case err := <-watcher.Errors:
			g.options.log.Warn("changes of the configuration file may go unnoticed", "error", err)
		case <-timer.C:
			if now := g.fingerprint(); now != g.seen && !g.running.Load().cfg.GetReload().GetIgnoreFileChanges() {
				g.seen = now
				_ = g.Reload(ctx, TriggerFile) // It is logged.
			}
			if waiting = !g.watchFolders(watcher); waiting {
				timer.Reset(again)
			}
		}
	}
}

// files returns the files that make the configuration, each once: in force, and as it lies there now. Certificates are among
// them because one that is not there yet makes a reload fail.
func (g *Gateway) files() []string {
	files := []string{g.path}
	if s := g.running.Load(); s != nil {
		files = append(files, filesOf(s.cfg)...)
	}
	if next, err := config.Load(g.path); err == nil {
		files = append(files, filesOf(next.Config())...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// filesOf returns the files that a configuration names.
func filesOf(cfg *configv1.Config) []string {
	files := append(slices.Clone(cfg.GetDescriptors().GetImages()), cfg.GetDescriptors().GetServiceConfigs()...)
	for _, folder := range cfg.GetDescriptors().GetDirectories() {
		images, _ := schema.Images(folder) // A folder that is not there makes a reload fail.
		files = append(append(files, images...), filepath.Join(folder, "*"))
	}
	add := func(c *configv1.Certificate, ca string) {
		for _, file := range []string{c.GetCertificateFile(), c.GetPrivateKeyFile(), ca} {
			if file != "" {
				files = append(files, file)
			}
		}
	}
	for _, l := range cfg.GetListeners() {
		for _, c := range l.GetTls().GetCertificates() {
			add(c, l.GetTls().GetClientCertificates().GetCaFile())
		}
	}
	for _, b := range cfg.GetBackends() {
		add(b.GetTls().GetCertificate(), b.GetTls().GetCaFile())
	}
	return files
}

// fingerprint hashes the content of the files.
func (g *Gateway) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	for _, file := range g.files() {
		data, err := os.ReadFile(file)
		fmt.Fprintf(h, "%q %d %v\n", file, len(data), err)
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// watchFolders adds the folders of the files; those that are watched already stay. It tells whether all of them are.
func (g *Gateway) watchFolders(watcher *fsnotify.Watcher) (all bool) {
	all = true
	for _, file := range g.files() {
		for _, folder := range pemfile.Folders(file) {
			all = watcher.Add(folder) == nil && all
		}
	}
	return all
}

// explain shows the place of an error in the file that the snapshot was made from.
func (s *snapshot) explain(err error) error { return explain(s.file, err) }

func explain(file *config.File, err error) error {
	switch {
	case err == nil:
		return nil
	case file == nil:
		return fmt.Errorf("gateway: %w", err)
	}
	return file.Explain(err)
}

// connect makes the backends connect, so that the first calls find connections.
func (s *snapshot) connect() {
	for _, b := range s.backends {
		b.Connect()
	}
}
