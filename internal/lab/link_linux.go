package lab

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// end is one end of a link: an interface in a namespace.
type end struct {
	in   *Namespace
	link netlink.Link
}

// Sizes of packets, in bytes: in a VPC, and beyond it.
const (
	jumbo = 9001
	usual = 1500
)

// connect joins two namespaces by a pair of interfaces, both up, for packets of that size. The address of the hardware at b is chosen
// by the kernel when it is nil.
func connect(size int, a *Namespace, nameA string, b *Namespace, nameB string, hardwareB net.HardwareAddr) (endA, endB end, err error) {
	wrap := func(err error) error {
		return fmt.Errorf("link %s/%s to %s/%s: %w", a.name, nameA, b.name, nameB, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = nameA, size
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(int(b.ns)), PeerHardwareAddr: hardwareB}
	if err := a.links.LinkAdd(pair); err != nil {
		return endA, endB, wrap(err)
	}
	for _, e := range []struct {
		end  *end
		in   *Namespace
		name string
	}{{&endA, a, nameA}, {&endB, b, nameB}} {
		link, err := e.in.links.LinkByName(e.name)
		if err == nil {
			err = e.in.links.LinkSetUp(link)
		}
		if err != nil {
			return endA, endB, wrap(err)
		}
		*e.end = end{e.in, link}
	}
	return endA, endB, nil
}

// linkPatience is how long the kernel may take to notice that the other end of a link is up: it looks once a second.
const linkPatience = 3 * time.Second

// up waits until the interface can send.
func (e end) up() error {
	for begin := time.Now(); ; {
		link, err := e.in.links.LinkByIndex(e.index())
		if err != nil || link.Attrs().OperState == netlink.OperUp {
			return err
		}
		if time.Since(begin) > linkPatience {
			return fmt.Errorf("%s/%s: is %s, and not up", e.in.name, e.link.Attrs().Name, link.Attrs().OperState)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (e end) index() int { return e.link.Attrs().Index }

// address adds an address to the interface.
func (e end) address(p netip.Prefix) error {
	if err := e.in.links.AddrAdd(e.link, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
		return fmt.Errorf("address %s on %s/%s: %w", p, e.in.name, e.link.Attrs().Name, err)
	}
	return nil
}

// neighbor says for good where the host is that has the address. A neighbor that has to be asked for fails with host
// unreachable where a cloud drops silently.
func (e end) neighbor(a netip.Addr, at end) error {
	err := e.in.links.NeighSet(&netlink.Neigh{
		LinkIndex: e.index(), Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: at.link.Attrs().HardwareAddr,
	})
	if err != nil {
		return fmt.Errorf("neighbor %s on %s/%s: %w", a, e.in.name, e.link.Attrs().Name, err)
	}
	return nil
}

// route sends a destination to the neighbor at via.
func (e end) route(table int, to netip.Prefix, via netip.Addr) error {
	r := &netlink.Route{LinkIndex: e.index(), Table: table, Dst: ipNet(to), Gw: via.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
	if err := e.in.links.RouteReplace(r); err != nil {
		return fmt.Errorf("route %s via %s on %s/%s: %w", to, via, e.in.name, e.link.Attrs().Name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

var everywhere = netip.MustParsePrefix("0.0.0.0/0")
