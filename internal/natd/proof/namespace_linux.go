package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Device is the end of the pair that is in the instance's own network.
const Device = "polynat0"

// Namespace stands for a client.
type Namespace struct {
	links *netlink.Handle
	// mu is held for reading while a thread enters ns: a dial may go on when nobody waits for it any more.
	mu sync.RWMutex
	ns netns.NsHandle
}

// Open makes the namespace and connects it. What another process has left behind is removed before.
func Open(network netip.Prefix) (*Namespace, error) {
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	n := &Namespace{ns: -1, links: links}
	if err := n.open(network); err != nil {
		return nil, errors.Join(fmt.Errorf("network namespace of the proof: %w", err), n.Close())
	}
	return n, nil
}

func (n *Namespace) open(network netip.Prefix) error {
	if err := n.remove(); err != nil {
		return err
	}
	made := make(chan error, 1)
	go func() {
		// The thread is never unlocked: it ends with the goroutine, so that no other code ever runs in the namespace.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.ns, err = netns.Get()
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: Device}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(n.ns))}
	if err := n.links.LinkAdd(pair); err != nil {
		return fmt.Errorf("add %s: %w", Device, err)
	}
	gateway, client, canary := Addresses(network)
	if err := bringUp(n.links, Device, network.Bits(), gateway); err != nil {
		return err
	}
	inside, err := netlink.NewHandleAt(n.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer inside.Close()
	if err := bringUp(inside, "eth0", network.Bits(), client, canary); err != nil {
		return err
	}
	return inside.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()})
}

func bringUp(h *netlink.Handle, name string, bits int, addresses ...netip.Addr) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		ip := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}
		if err := h.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
			return fmt.Errorf("add %s to %s: %w", a, name, err)
		}
	}
	return h.LinkSetUp(link)
}

// remove takes the pair down, if there is one.
func (n *Namespace) remove() error {
	link, err := n.links.LinkByName(Device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.links.LinkDel(link)
}

// Works says that the pair is still there: somebody may have deleted it.
func (n *Namespace) Works() bool {
	link, err := n.links.LinkByName(Device)
	return err == nil && link.Attrs().Flags&net.FlagUp != 0
}

// Close takes everything down.
func (n *Namespace) Close() error {
	err := n.remove()
	n.links.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ns.IsOpen() {
		err = errors.Join(err, n.ns.Close())
	}
	return err
}

// enter moves the calling thread into the namespace.
func (n *Namespace) enter() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if !n.ns.IsOpen() {
		return net.ErrClosed
	}
	return netns.Set(n.ns)
}

// Dialer opens connections inside the namespace, from an address of it.
func (n *Namespace) Dialer(from netip.Addr) Dialer {
	return func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		type answer struct {
			conn net.Conn
			err  error
		}
		done := make(chan answer, 1)
		go func() {
			// As in open: the thread ends with the goroutine, and the socket stays in the namespace.
			runtime.LockOSThread()
			if err := n.enter(); err != nil {
				done <- answer{nil, fmt.Errorf("enter the network namespace of the proof: %w", err)}
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
			conn, err := d.DialContext(ctx, "tcp4", to.String())
			done <- answer{conn, err}
		}()
		a := <-done
		return a.conn, a.err
	}
}
