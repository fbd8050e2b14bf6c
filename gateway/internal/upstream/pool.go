package upstream

import (
	"sync"

	"github.com/cardea-gateway/cardea/discovery"
)

// Pool shares connections: backends with the same options are one, however many configurations hold them. It is how
// connections survive a reload. The zero value is ready for use, and safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	open map[string]*pooled
}

// pooled is a connection with the number of backends that hold it.
type pooled struct {
	*connection

	holders int
}

// Open returns a backend, on the connection of an earlier one with the same options if that is still open. It must be
// closed.
func (p *Pool) Open(o Options) (*Backend, error) {
	key := o.identity()
	p.mu.Lock()
	defer p.mu.Unlock()
	held, ok := p.open[key]
	if !ok {
		conn, err := dial(o, p.known(o.Config.GetTarget()))
		if err != nil {
			return nil, err
		}
		if p.open == nil {
			p.open = map[string]*pooled{}
		}
		held = &pooled{connection: conn}
		p.open[key] = held
	}
	held.holders++
	release := sync.OnceValue(func() error { return p.release(key, held) })
	return &Backend{name: o.Config.GetName(), hashKey: o.Config.GetHashKey(), connection: held.connection, release: release}, nil
}

// known returns what is known of a target, if another connection has it too: one with other ways to spread calls, which a reload
// is about to replace. The lock must be held.
func (p *Pool) known(target string) discovery.Status {
	for _, held := range p.open {
		if held.target == target && held.finding.resolver != nil {
			return held.finding.resolver.Status()
		}
	}
	return discovery.Status{}
}

// release closes a connection that nobody holds any more.
func (p *Pool) release(key string, held *pooled) error {
	p.mu.Lock()
	held.holders--
	last := held.holders == 0
	if last {
		delete(p.open, key)
	}
	p.mu.Unlock()
	if !last {
		return nil
	}
	return held.close()
}
