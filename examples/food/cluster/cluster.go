package cluster

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/cardea-gateway/cardea/examples/food"
)

// Cluster is a running fleet.
type Cluster struct {
	processes []*process // the store first
}

// Process is one member of the fleet.
type Process struct {
	Service string
	Address string
	PID     int
}

// Start runs the program exe once for the store and instances times for each service, with the arguments that args
// returns for a service and the address of its store ("" for the store itself). The program has to call [food.RunChild]
// with them. Start returns when every process can be called; if one can't, or ctx ends before that, it stops them all.
// Later, a process that ends unasked is reported to log, and not replaced.
func Start(
	ctx context.Context,
	exe string,
	args func(service, storeAddress string) []string,
	instances int,
	log *slog.Logger,
) (*Cluster, error) {
	c := &Cluster{}
	if err := c.start(ctx, exe, args, instances, log); err != nil {
		c.Stop()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(
	ctx context.Context,
	exe string,
	args func(service, storeAddress string) []string,
	instances int,
	log *slog.Logger,
) error {
	if err := c.launch(food.Store, exe, args(food.Store, ""), log); err != nil {
		return err
	}
	store := c.processes[0]
	if err := store.await(ctx); err != nil {
		return err
	}
	for _, service := range food.Names() {
		for range instances {
			if err := c.launch(service, exe, args(service, store.address), log); err != nil {
				return err
			}
		}
	}
	// They start side by side; only the waiting is one after the other.
	for _, p := range c.processes[1:] {
		if err := p.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) launch(service, exe string, args []string, log *slog.Logger) error {
	p, err := launch(service, exe, args, log)
	if err != nil {
		return err
	}
	c.processes = append(c.processes, p)
	return nil
}

// Addresses returns where the instances of a service listen, the dead ones included: it is for health checks to find out
// which those are.
func (c *Cluster) Addresses(service string) []string {
	var addresses []string
	for _, p := range c.processes {
		if p.service == service {
			addresses = append(addresses, p.address)
		}
	}
	return addresses
}

// Processes returns every process that was started, the store first.
func (c *Cluster) Processes() []Process {
	processes := make([]Process, len(c.processes))
	for i, p := range c.processes {
		processes[i] = Process{Service: p.service, Address: p.address, PID: p.cmd.Process.Pid}
	}
	return processes
}

// Stop ends all processes and waits for them; one that takes too long is killed. The store goes last, since the calls
// that the others finish need it.
func (c *Cluster) Stop() {
	if len(c.processes) == 0 {
		return
	}
	store, others := c.processes[0], c.processes[1:]
	for _, p := range others {
		p.release()
	}
	for _, p := range others {
		p.wait()
	}
	store.release()
	store.wait()
}
