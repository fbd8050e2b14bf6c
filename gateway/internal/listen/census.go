package listen

import (
	"net/netip"
	"sync"
)

// census counts connections. It is safe for concurrent use.
type census struct {
	max, maxPerClient int // 0 is no limit.

	mu       sync.Mutex
	open     int
	byClient map[netip.Addr]int
}

// enter counts a connection, unless there are too many.
func (c *census) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max > 0 && c.open >= c.max {
		return false
	}
	c.open++
	return true
}

// identify counts a connection that has entered for its client, unless that client has too many.
func (c *census) identify(client netip.Addr) bool {
	if c.maxPerClient == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byClient[client] >= c.maxPerClient {
		return false
	}
	if c.byClient == nil {
		c.byClient = make(map[netip.Addr]int)
	}
	c.byClient[client]++
	return true
}

// leave takes a connection out; identified says whether it was counted for the client.
func (c *census) leave(client netip.Addr, identified bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if !identified || c.maxPerClient == 0 {
		return
	}
	if c.byClient[client]--; c.byClient[client] == 0 {
		delete(c.byClient, client)
	}
}

func (c *census) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}
