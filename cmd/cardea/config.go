package main

import (
	"io"

	"github.com/cardea-gateway/cardea/gateway/config"
)

// configCommand prints the effective configuration.
type configCommand struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run prints every value, the defaults included, with a comment that says where it comes from.
func (r *configCommand) Run(c *console) error {
	file, err := config.Load(r.Config)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.out, file.YAML())
	return err
}
