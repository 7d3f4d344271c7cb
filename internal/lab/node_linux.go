package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/nftables"
)

// Node is a machine in a public subnet that forwards: a NAT instance, or the standby.
type Node struct {
	lab  *Lab
	name string
	zone Zone
	// Address is the primary private one.
	Address netip.Addr
	// Management is the address by which the region knows the node.
	Management netip.Addr
	hardware   net.HardwareAddr

	mu sync.Mutex
	*Namespace
	// eth leads to port of the router, manage to here in the region.
	eth, port, manage, here end
	programs                []*Program
	faults                  map[Fault]bool
	// network is how its interface is configured, nil by the lab; service is what does so since the last boot.
	network *NetworkService
	service *service
}

// NodeOptions of a machine in a public subnet.
type NodeOptions struct {
	// Name by which routes point at it; unique.
	Name, Zone string
	Address    netip.Addr
	// Hardware address of its interface; nil for any.
	Hardware net.HardwareAddr
	// Network is the service that configures its interface; nil: the lab does, at once and for good.
	Network *NetworkService
}

// Launch puts a machine into a public subnet: an interface with its primary address, a default route to the Internet,
// and nothing that would forward. Its source/destination check is on. With a network service, it is [Node.Online] a little later.
func (l *Lab) Launch(o NodeOptions) (*Node, error) {
	z, err := l.zone(o.Zone)
	if err != nil {
		return nil, err
	}
	if !z.Public.Contains(o.Address) {
		return nil, fmt.Errorf("node %s: %s: is not in %s", o.Name, o.Address, z.Public)
	}
	l.mu.Lock()
	if _, ok := l.nodes[o.Name]; ok {
		l.mu.Unlock()
		return nil, fmt.Errorf("node %s: is in the lab already", o.Name)
	}
	l.management++
	n := &Node{
		lab: l, name: o.Name, zone: z, Address: o.Address, hardware: o.Hardware, network: o.Network, faults: map[Fault]bool{},
		Management: netip.AddrFrom4([4]byte{172, 31, byte(1 + l.management/250), byte(1 + l.management%250)}),
	}
	l.nodes[o.Name] = n
	l.mu.Unlock()
	if err := n.boot(); err != nil {
		return nil, errors.Join(fmt.Errorf("node %s: %w", o.Name, err), n.Terminate())
	}
	return n, errors.Join(l.router.know(n.name, n.port, n.Address), n.CheckSource(true))
}

// Standby puts a managed NAT gateway into a public subnet: it translates to its own address what is sent to it, and
// resets connections that it does not know, as the managed gateway does.
func (l *Lab) Standby(o NodeOptions) (*Node, error) {
	n, err := l.Launch(o)
	if err != nil {
		return nil, err
	}
	return n, errors.Join(n.CheckSource(false), n.forward(), n.replace("gateway",
		forwarded(*nftables.ChainPriorityFilter, join(unknown(), flags(syn, false), reset())),
		n.translation(n.Address),
	))
}

// Translate makes the node forward and translate to an address, with the plainest rule that does. It stands in for an
// agent where there is none.
func (n *Node) Translate(to netip.Addr) error {
	return errors.Join(n.forward(), n.replace("plain", n.translation(to)))
}

func (n *Node) forward() error { return n.sysctl(map[string]string{"net/ipv4/ip_forward": "1"}) }

func (n *Node) translation(to netip.Addr) chain {
	return chain{nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource, nftables.ChainTypeNAT, []rule{
		join(iface(metaOut, n.eth.index()), within(source, n.lab.options.VPC), isNoneOf(source, []netip.Addr{n.Address}), translate(to)),
	}}
}

// boot makes the node's namespace and links.
func (n *Node) boot() error {
	space, err := newNamespace(n.name)
	if err != nil {
		return err
	}
	n.Namespace = space
	// A port of the router is never used twice: the kernel takes an old one away when it likes.
	if n.port, n.eth, err = connect(jumbo, n.lab.router.Namespace, n.lab.router.port(), space, "eth0", n.hardware); err != nil {
		return err
	}
	if n.here, n.manage, err = connect(usual, n.lab.Region, n.lab.router.port(), space, "manage", nil); err != nil {
		return err
	}
	err = errors.Join(
		n.lab.router.attach(n.port, n.eth, n.zone.Public, n.Address),
		n.lab.router.from(n.port, publicTable),
		n.here.neighbor(n.Management, n.manage), n.here.route(0, host(n.Management), n.Management),
		n.manage.address(host(n.Management)), n.manage.neighbor(Services, n.here), n.manage.route(0, host(Services), Services),
	)
	if err != nil {
		return err
	}
	if n.network != nil {
		return n.startService(n.network)
	}
	return settle(n.port, n.eth, n.zone.Public, n.Address)
}

// CheckSource turns the source/destination check of the node's interface on or off.
func (n *Node) CheckSource(on bool) error { return n.lab.router.check(n.name, on) }

// halt kills the node's programs and takes its namespace away.
func (n *Node) halt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.programs {
		p.Kill()
	}
	n.programs = nil
	if n.service != nil {
		n.service.stop()
		n.service = nil
	}
	if n.Namespace == nil {
		return
	}
	// The kernel frees a namespace later; the links are to be gone now.
	_ = n.links.LinkDel(n.eth.link)
	_ = n.links.LinkDel(n.manage.link)
	n.close()
	n.Namespace = nil
	n.faults = map[Fault]bool{}
}

// Terminate takes the node away. Routes that point at it are black holes.
func (n *Node) Terminate() error {
	n.halt()
	n.lab.mu.Lock()
	delete(n.lab.nodes, n.name)
	n.lab.mu.Unlock()
	return n.lab.router.forget(n.name)
}

// Shutdown tells the programs to end, gives them time for it, and takes the node away. A frozen program hears nothing.
func (n *Node) Shutdown(within time.Duration) {
	n.mu.Lock()
	programs := n.programs
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	// The last that was started is the first that is told: the agent before the network service, which takes the addresses away.
	for _, p := range slices.Backward(programs) {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range programs {
		select {
		case <-p.Done():
		case <-ctx.Done():
		}
	}
	_ = n.Terminate()
}

// Stop is a reboot's first half: the node's system is gone, with all that it had set.
func (n *Node) Stop() error {
	n.halt()
	return n.lab.router.forget(n.name)
}

// Boot is a reboot's second half: a fresh system with the same interface.
func (n *Node) Boot(check bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.boot(); err != nil {
		return err
	}
	return errors.Join(n.lab.router.know(n.name, n.port, n.Address), n.CheckSource(check))
}

// Start runs a program on the node. It is killed with the node.
func (n *Node) Start(o ProgramOptions) (*Program, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Namespace == nil {
		return nil, fmt.Errorf("node %s: %w", n.name, ErrStopped)
	}
	p, err := n.Namespace.Start(o)
	if err == nil {
		n.programs = append(n.programs, p)
	}
	return p, err
}

// Freeze stops the node's programs where they are.
func (n *Node) Freeze() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.freeze()
}

func (n *Node) freeze() error {
	var errs []error
	for _, p := range n.programs {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// Thaw lets the programs of a frozen node go on.
func (n *Node) Thaw() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.thaw()
}

func (n *Node) thaw() {
	for _, p := range n.programs {
		p.Signal(syscall.SIGCONT)
	}
}
