package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Refresh is how often names are looked up again, whatever their time to live: answers of targets worth probing do not
// change faster, and an address that has gone out of use shows as one target of several that fails.
const Refresh = 30 * time.Second

// Lookup finds the IPv4 addresses of a name; net.Resolver's LookupNetIP with the network "ip4" does.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// System is the resolver of the host.
func System(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
}

// Names finds addresses without waiting for the resolver: an attempt takes what the last look-up found, even long after
// the resolver has ceased to answer, so that an outage of DNS does not look like one of the path. Only the very first
// attempts at a name wait.
type Names struct {
	lookup Lookup
	mu     sync.Mutex
	hosts  map[string]*host
}

type host struct {
	addresses []netip.Addr
	turn      int
	looked    time.Time     // when the last look-up ended
	looking   chan struct{} // closed when the one that is under way ends; nil if none is
	err       error
}

// NewNames makes an empty cache.
func NewNames(lookup Lookup) *Names { return &Names{lookup: lookup, hosts: map[string]*host{}} }

// NameError says that a name has no address that is known.
type NameError struct {
	Host string
	Err  error
}

func (e *NameError) Error() string { return fmt.Sprintf("dns: %s: %v", e.Host, e.Err) }
func (e *NameError) Unwrap() error { return e.Err }

// Address is an address of the name: each in turn, so that a dead one of several does not make the target look dead. It
// starts a look-up where the last one is older than [Refresh], and waits for it only if it knows no address at all.
func (n *Names) Address(ctx context.Context, name string) (netip.Addr, error) {
	n.mu.Lock()
	h := n.hosts[name]
	if h == nil {
		h = &host{}
		n.hosts[name] = h
	}
	if h.looking == nil && time.Since(h.looked) >= h.patience() {
		h.looking = make(chan struct{})
		go n.look(name, h)
	}
	if a, ok := h.next(); ok {
		n.mu.Unlock()
		return a, nil
	}
	looking, err := h.looking, h.err
	n.mu.Unlock()

	if looking == nil {
		return netip.Addr{}, &NameError{Host: name, Err: err}
	}
	select {
	case <-looking:
	case <-ctx.Done():
		return netip.Addr{}, &NameError{Host: name, Err: ctx.Err()}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a, ok := h.next(); ok {
		return a, nil
	}
	return netip.Addr{}, &NameError{Host: name, Err: h.err}
}

// patience until the next look-up: soon again where the last one found nothing.
func (h *host) patience() time.Duration {
	if h.err != nil || len(h.addresses) == 0 {
		return time.Second
	}
	return Refresh
}

func (h *host) next() (netip.Addr, bool) {
	if len(h.addresses) == 0 {
		return netip.Addr{}, false
	}
	h.turn++
	return h.addresses[h.turn%len(h.addresses)], true
}

// look runs one look-up. It is not bound to the attempt that started it: what it finds is for all that follow.
func (n *Names) look(name string, h *host) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found, err := n.lookup(ctx, name)
	if err == nil && len(found) == 0 {
		err = errors.New("no IPv4 address")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h.looked, h.err = time.Now(), err
	if err == nil {
		h.addresses = found[:0]
		for _, a := range found {
			h.addresses = append(h.addresses, a.Unmap())
		}
	}
	close(h.looking)
	h.looking = nil
}
