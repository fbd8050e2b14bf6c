package main

import (
	"os"
	"time"

	"github.com/cardea-gateway/cardea/examples/food"
)

// childCommand runs one instance of an example service, for as long as its standard input stays open.
type childCommand struct {
	Service string        `arg:"" help:"order, inventory, payment, delivery, geo or store."`
	Store   string        `help:"Address of the store."`
	Pace    time.Duration `default:"3s" help:"Time between two states of an order."`
}

// Run serves until standard input ends.
func (r *childCommand) Run(c *console) error {
	return food.RunChild(c.ctx, r.Service, r.Store, r.Pace, os.Stdin, c.out)
}
