package kernel

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	nl "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernel of the network namespace in which it was opened.
type Kernel struct {
	links *netlink.Handle
	guard guard
	// sweeps left to do: flows that were tracked before the rules are looked for after every change of the rules, and once more,
	// for a packet that was on its way between the two hooks.
	sweeps int
}

// answerTime is the patience with an answer of the kernel. It answers within milliseconds, or within a second or two where it lists a full table.
const answerTime = 10 * time.Second

// Open connects to the kernel. The calling thread's network namespace is the one that is meant, also later: the methods have to be
// called from a thread in the same one.
func Open() (*Kernel, error) {
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink to interfaces: %w", err)
	}
	if err := links.SetSocketTimeout(answerTime); err != nil {
		links.Close()
		return nil, fmt.Errorf("netlink to interfaces: %w", err)
	}
	return &Kernel{links: links, sweeps: 1}, nil
}

// Close leaves everything as it is but the guard: forwarding goes on without natd.
func (k *Kernel) Close() {
	k.guard.close()
	k.links.Close()
}

// newTransaction talks to nftables by a new socket for each request: one that lasted would, after a single answer that was not
// read to its end, take it for that of the next request, and of all that follow.
func newTransaction() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(limit))
}

func limit(c *nl.Conn) error { return c.SetDeadline(time.Now().Add(answerTime)) }

// dial is a socket for one request to connection tracking.
func dial() (*nl.Conn, error) {
	c, err := nl.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	if err := limit(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Converge compares the kernel with c and changes what differs. An error says that clients are not served as c wants it.
func (k *Kernel) Converge(c Config) (Report, error) {
	var r Report
	var failures []error
	if err := k.guard.apply(c); err != nil { // clients are served without
		r.Tolerated = append(r.Tolerated, err.Error())
	}
	// The rules come first: they make the kernel load connection tracking, whose settings exist only then.
	switch changed, err := applyRuleset(c); {
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
	if err := k.leaves(c); err != nil {
		failures = append(failures, err)
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

// leaves says why nothing leaves the instance: the way out is the network service's, which may lose it, and natd says so at once
// instead of waiting for a path that fails.
func (k *Kernel) leaves(c Config) error {
	link, err := k.links.LinkByName(c.Outside)
	if err != nil {
		return fmt.Errorf("interface %s: %w", c.Outside, err)
	}
	routes, err := k.links.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_MAIN, LinkIndex: link.Attrs().Index}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			return nil
		}
		if length, _ := r.Dst.Mask.Size(); length <= 1 { // or one half of the Internet, and the other
			return nil
		}
	}
	return fmt.Errorf("no default route by %s", c.Outside)
}
