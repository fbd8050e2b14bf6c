package main

import (
	"fmt"

	"github.com/cardea-gateway/cardea/gateway"
)

// checkCommand looks for mistakes in a configuration.
type checkCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run does what serve does before it listens. It connects to nothing.
func (r *checkCommand) Run(c *console) error {
	gw, err := gateway.Open(r.Config)
	if err != nil {
		return err
	}
	defer gw.Close()
	_, err = fmt.Fprintf(c.out, "%s: valid\n", r.Config)
	return err
}
