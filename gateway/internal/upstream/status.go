package upstream

import (
	"github.com/cardea-gateway/cardea/discovery"
	"github.com/cardea-gateway/cardea/discovery/balancer/instances"
)

// Status is what operators see of a backend's instances.
type Status struct {
	instances.Status

	// Discovery is what the registry has told; nil where there is none.
	Discovery *discovery.Status
}

// Status returns what operators see.
func (c *connection) Status() Status {
	st := Status{Status: c.set.Status()}
	if c.finding.resolver != nil {
		told := c.finding.resolver.Status()
		st.Discovery = &told
	}
	return st
}
