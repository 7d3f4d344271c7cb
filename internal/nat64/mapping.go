package nat64

import (
	"container/list"
	"net/netip"
	"sync"
)

// mapping gives each IPv6 client an IPv4 address of a pool, for as long as it is among the last to be seen. It is safe for
// concurrent use.
type mapping struct {
	pool netip.Prefix

	mu     sync.Mutex
	byV6   map[netip.Addr]*list.Element
	byV4   map[netip.Addr]*list.Element
	recent list.List // of client, the one seen last in front
	next   netip.Addr
	size   int
}

type client struct{ v6, v4 netip.Addr }

func newMapping(pool netip.Prefix) *mapping {
	return &mapping{
		pool: pool,
		byV6: map[netip.Addr]*list.Element{},
		byV4: map[netip.Addr]*list.Element{},
		next: pool.Addr(),
		size: 1<<(32-pool.Bits()) - 2, // without the network's and the broadcast address
	}
}

// v4 is the address that stands for a client. When the pool is used up, the client that has been silent longest loses its own.
func (m *mapping) v4(v6 netip.Addr) netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.byV6[v6]; ok {
		m.recent.MoveToFront(e)
		return e.Value.(client).v4
	}
	var address netip.Addr
	if len(m.byV6) < m.size {
		m.next = m.next.Next()
		address = m.next
	} else {
		oldest := m.recent.Remove(m.recent.Back()).(client)
		delete(m.byV6, oldest.v6)
		address = oldest.v4
	}
	e := m.recent.PushFront(client{v6, address})
	m.byV6[v6], m.byV4[address] = e, e
	return address
}

// v6 is the client that an address stands for.
func (m *mapping) v6(v4 netip.Addr) (netip.Addr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byV4[v4]
	if !ok {
		return netip.Addr{}, false
	}
	m.recent.MoveToFront(e)
	return e.Value.(client).v6, true
}
