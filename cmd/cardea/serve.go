package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cardea-gateway/cardea/gateway"
)

// serveCommand runs the gateway with a configuration of the user's own.
type serveCommand struct {
	Config  string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
	PIDFile string `name:"pid-file" placeholder:"FILE" help:"File that always holds the process id, also after an upgrade of the binary."`

	LogLevel slog.Level `default:"INFO" help:"DEBUG, INFO, WARN or ERROR. DEBUG tells of connections that were refused before a request."`
}

// Run serves until the process is told to stop, by SIGTERM or SIGINT. SIGHUP reloads the configuration; SIGUSR2 starts
// the binary anew, hands it the sockets, and stops this process once that one serves.
func (s *serveCommand) Run(c *console) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2) // From the first moment to the last: else they end the process.
	log := slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: s.LogLevel}))
	limitMemory(log)
	collectLess()
	p, err := newProcess(s.PIDFile, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	gw, err := gateway.Open(s.Config, gateway.WithVersion(version), gateway.WithLogger(log), gateway.WithListen(p.listen),
		gateway.WithOnReady(func(a gateway.Addresses) {
			announce(log, a)
			cancelIf(cancel, p.ready())
		}))
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	watching.Go(func() { s.obey(ctx, signals, gw, p) })
	watching.Go(func() { s.part(ctx, cancel, gw, p) })
	err = gw.Serve(ctx)
	failure := context.Cause(ctx)
	cancel(nil)
	watching.Wait()
	if err == nil && c.ctx.Err() == nil {
		err = failure // Nobody has asked it to stop.
	}
	if err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

func announce(log *slog.Logger, a gateway.Addresses) {
	for _, listener := range a.Listeners {
		log.Info("serving", "address", listener.String())
	}
	log.Info("admin", "address", a.Admin.String())
}

func cancelIf(cancel context.CancelCauseFunc, err error) {
	if err != nil {
		cancel(err)
	}
}

// part stops this process once another one serves, and tells the service manager when there is none.
func (s *serveCommand) part(ctx context.Context, cancel context.CancelCauseFunc, gw *gateway.Gateway, p *process) {
	select {
	case <-p.handedOver():
		gw.HandOver()
		cancel(context.Canceled)
	case <-ctx.Done():
		p.stopping()
	}
}

// obey does what signals ask for, until the context ends; from then on they are ignored.
func (s *serveCommand) obey(ctx context.Context, signals <-chan os.Signal, gw *gateway.Gateway, p *process) {
	for {
		select {
		case <-ctx.Done():
			return
		case got := <-signals:
			if got == syscall.SIGUSR2 {
				p.upgrade(ctx)
				continue
			}
			p.reloading()
			_ = gw.Reload(ctx, gateway.TriggerSignal) // It is logged.
			p.reloaded()
		}
	}
}
