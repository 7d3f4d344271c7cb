package kernel

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	switch changed, err := k.applyRuleset(c); {
	case err != nil:
		failures = append(failures, fmt.Errorf("nftables: %w", err))
	case changed != "":
		r.Changed = append(r.Changed, changed)
		k.sweeps = 2
	}
	if err := k.applySettings(c, &r); err != nil {
		failures = append(failures, err)
	}
	switch changed, err := k.applyAddress(c); {
	case err != nil:
		failures = append(failures, err)
	case changed != "":
		r.Changed = append(r.Changed, changed)
	}
	if k.sweeps > 0 && len(failures) == 0 {
		n, err := Sweep(c.Clients, c.Networks, c.Primary, c.Address)
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
