package main

import (
	"log/slog"

	"github.com/cardea-gateway/cardea/gateway"
)

// serveCommand runs the gateway with a configuration of the user's own.
type serveCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run serves until the process is told to stop.
func (s *serveCommand) Run(c *console) error {
	log := slog.New(slog.NewJSONHandler(c.err, nil))
	gw, err := gateway.Open(s.Config, append(linked(), gateway.WithLogger(log), gateway.WithOnReady(func(a gateway.Addresses) {
		for _, listener := range a.Listeners {
			log.Info("serving", "address", listener.String())
		}
		log.Info("admin", "address", a.Admin.String())
	}))...)
	if err != nil {
		return err
	}
	if err := gw.Serve(c.ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}
