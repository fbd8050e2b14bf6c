package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/cardea-gateway/cardea/gateway"
)

// serveCommand runs the gateway with a configuration of the user's own.
type serveCommand struct {
	Config  string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
	PIDFile string `name:"pid-file" placeholder:"FILE" help:"File that always holds the process id, also after an upgrade of the binary."`
}

// Run serves until the process is told to stop, by SIGTERM or SIGINT. SIGHUP reloads the configuration; SIGUSR2 starts
// the binary anew, hands it the sockets, and stops this process once that one serves.
func (s *serveCommand) Run(c *console) error {
	log := slog.New(slog.NewJSONHandler(c.err, nil))
	limitMemory(log)
	p, err := newProcess(s.PIDFile, log)
	if err != nil {
		return err
	}
	defer p.stop()
	gw, err := gateway.Open(s.Config, append(linked(), gateway.WithLogger(log), gateway.WithListen(p.listen),
		gateway.WithOnReady(func(a gateway.Addresses) {
			for _, listener := range a.Listeners {
				log.Info("serving", "address", listener.String())
			}
			log.Info("admin", "address", a.Admin.String())
			p.ready()
		}))...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	go func() {
		select {
		case <-p.handedOver():
			gw.HandOver()
			cancel()
		case <-ctx.Done():
			p.stopping()
		}
	}()
	go s.listenToSignals(ctx, gw, p)
	if err := gw.Serve(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// listenToSignals does what signals ask for, until the context ends.
func (s *serveCommand) listenToSignals(ctx context.Context, gw *gateway.Gateway, p *process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case got := <-signals:
			if got == syscall.SIGUSR2 {
				p.upgrade()
				continue
			}
			p.reloading()
			_ = gw.Reload(ctx, gateway.TriggerSignal) // It is logged.
			p.reloaded()
		}
	}
}
