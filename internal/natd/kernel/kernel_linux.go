package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config is the state that [Kernel.Converge] brings about.
type Config struct {
	// Outside is the name of the interface towards the VPC and the Internet: an instance has one for both.
	Outside string
	// Address is what new connections of clients get as their source: the zone's secondary address, to which the Elastic IP is bound.
	Address netip.Addr
	// Primary is the instance's own address. What the instance itself sends is left alone, unless Self is set.
	Primary netip.Addr
	// Self gives the instance's own connections to the Internet Address as well: for an instance whose primary address has no public one.
	Self bool
	// Clients are the sources that are translated.
	Clients []netip.Prefix
	// Canary is a source that is forwarded as a client's and gets Primary: it proves the path before Address is there. May be zero.
	Canary netip.Addr
	// MidStream says what happens to a client's TCP connection that the kernel does not know.
	MidStream MidStream
	// HealthPort is closed to all but clients.
	HealthPort uint16
	// IPv6 turns the forwarding of IPv6 on too, for NAT64.
	IPv6 bool
	// EstablishedTimeout of an idle TCP connection; MaxConnections tracked, 0 for [ConnectionLimit] of the memory.
	EstablishedTimeout time.Duration
	MaxConnections     int
}

// MidStream is the treatment of TCP packets that belong to no known connection and do not begin one: after a failover, a reboot, or
// more idle time than EstablishedTimeout.
type MidStream string

const (
	// Reset answers the client with a TCP reset, so that it connects anew at once instead of hanging. This is the default.
	Reset MidStream = "reset"
	// PickUp lets the packet through with its source port kept. That continues a connection which had the same port at its
	// former translator too, under the same public address. One that fully random ports were chosen for did not.
	PickUp MidStream = "pick up"
)

// Kernel of the network namespace in which it was opened.
type Kernel struct {
	nft   *nftables.Conn
	ct    *conntrack.Conn
	links *netlink.Handle
	// sweeps left to do: flows that were tracked before the rules are looked for after every change of the rules, and once more,
	// for a packet that was on its way between the two hooks.
	sweeps int
}

// Report of one convergence. All empty means that nothing was to do.
type Report struct {
	// Changed says what was not as it should be, and now is.
	Changed []string
	// Tolerated says what could not be set and need not be, such as a limit that belongs to the host.
	Tolerated []string
}

// Open connects to the kernel. The calling thread's network namespace is the one that is meant, also later: for /proc/sys
// [Kernel.Converge] has to be called from a thread in the same one.
func Open() (*Kernel, error) {
	nft, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("netlink to nftables: %w", err)
	}
	ct, err := conntrack.Dial(nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netlink to connection tracking: %w", err), nft.CloseLasting())
	}
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netlink to interfaces: %w", err), nft.CloseLasting(), ct.Close())
	}
	return &Kernel{nft: nft, ct: ct, links: links, sweeps: 1}, nil
}

// Close leaves everything as it is: forwarding goes on without natd.
func (k *Kernel) Close() error {
	k.links.Close()
	return errors.Join(k.nft.CloseLasting(), k.ct.Close())
}

// Converge compares the kernel with c and changes what differs. An error says that clients are not served as c wants it.
func (k *Kernel) Converge(c Config) (Report, error) {
	var r Report
	var failures []error
	// The rules come first: they make the kernel load connection tracking, whose settings exist only then.
	changed, err := k.applyRuleset(c)
	if err != nil {
		failures = append(failures, fmt.Errorf("nftables: %w", err))
	}
	if changed != "" {
		r.Changed = append(r.Changed, changed)
		k.sweeps = 2
	}
	if err := k.applySettings(c, &r); err != nil {
		failures = append(failures, err)
	}
	if k.sweeps > 0 && len(failures) == 0 {
		n, err := k.Sweep(c.Clients, c.Primary, c.Address)
		if err != nil {
			failures = append(failures, fmt.Errorf("flows tracked before the rules: %w", err))
		} else {
			k.sweeps--
		}
		if n > 0 {
			r.Changed = append(r.Changed, fmt.Sprintf("%d flows tracked before the rules: deleted", n))
		}
	}
	return r, errors.Join(failures...)
}
