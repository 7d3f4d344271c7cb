package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"github.com/google/nftables"
)

// Options of a lab. See [Default].
type Options struct {
	// VPC is its range of addresses.
	VPC   netip.Prefix
	Zones []Zone
	// Servers on the Internet. Each has an address of its own.
	Servers int
}

// Zone is an availability zone of the VPC.
type Zone struct {
	Name string
	// Public is the subnet of the NAT instances and the standby.
	Public  netip.Prefix
	Private []Subnet
}

// Subnet is a private subnet with one host in it.
type Subnet struct {
	CIDR netip.Prefix
	// Table is the id of its route table.
	Table string
}

// Default is a VPC with three private subnets in every zone, each with a route table of its own, and eight servers.
// The tables are called rtb-<zone>-1 to -3.
func Default(zones ...string) Options {
	o := Options{VPC: netip.MustParsePrefix("10.0.0.0/16"), Servers: 8}
	for i, name := range zones {
		z := Zone{Name: name, Public: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i * 16), 0}), 24)}
		for j := 1; j <= 3; j++ {
			z.Private = append(z.Private, Subnet{
				CIDR:  netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i*16 + j), 0}), 24),
				Table: fmt.Sprintf("rtb-%s-%d", name, j),
			})
		}
		o.Zones = append(o.Zones, z)
	}
	return o
}

// Fixed addresses of the lab.
var (
	// Services is where the region answers: API, instance metadata, names. It is reached by the management links.
	Services = netip.MustParseAddr("172.31.0.1")
	// Outside is the region's own address on the Internet, which does not pass the VPC.
	Outside = netip.MustParseAddr("192.0.2.10")
	// FirstServer on the Internet; the others follow.
	FirstServer = netip.MustParseAddr("192.0.2.101")
	// publicRanges are those that a VPC's public addresses may come from: the blocks for documentation and benchmarks.
	publicRanges = []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	}
	// transit addresses, seen by nobody.
	routerOut, gatewayIn  = netip.MustParseAddr("169.254.1.1"), netip.MustParseAddr("169.254.1.2")
	gatewayOut, backboneA = netip.MustParseAddr("169.254.2.1"), netip.MustParseAddr("169.254.2.2")
	backboneB             = netip.MustParseAddr("169.254.3.1")
)

// InternetGateway is the hop of that name.
const InternetGateway = "igw"

// Lab is the network. Its methods may be called from several goroutines.
type Lab struct {
	options Options
	router  *router
	// gateway is the VPC's Internet gateway, wide its interface on the Internet's side.
	gateway  *Namespace
	wide     end
	internet *Namespace
	// Region holds what stands outside of the VPC: the API, instance metadata, the controller.
	Region   *Namespace
	Internet *Internet
	// Names answers queries in the VPC and in the region.
	Names *Names
	hosts map[string]*Host // by route table

	mu         sync.Mutex
	nodes      map[string]*Node
	management int
	closers    []func()
}

// ErrPrivilege says that the process may not make network namespaces.
var ErrPrivilege = errors.New("no right to make network namespaces")

// New builds the network, with no NAT instance and no standby in it yet. Close ends it.
func New(o Options) (lab *Lab, err error) {
	l := &Lab{options: o, hosts: map[string]*Host{}, nodes: map[string]*Node{}}
	defer func() {
		if err == nil {
			return
		}
		l.Close()
		if errors.Is(err, syscall.EPERM) {
			err = fmt.Errorf("%w: %w", ErrPrivilege, err)
		}
	}()
	for _, step := range []func() error{l.core, l.subnets, l.servers} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Close ends everything in the lab, programs first.
func (l *Lab) Close() {
	l.mu.Lock()
	nodes := l.nodes
	l.nodes = map[string]*Node{}
	l.mu.Unlock()
	for _, n := range nodes {
		n.halt()
	}
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.closers = nil
}

func (l *Lab) namespace(name string) (*Namespace, error) {
	n, err := newNamespace(name)
	if err == nil {
		l.closers = append(l.closers, n.close)
	}
	return n, err
}

// core makes router, Internet gateway, Internet and region, and the links between them.
func (l *Lab) core() error {
	var spaces [4]*Namespace
	for i, name := range []string{"router", "gateway", "internet", "region"} {
		n, err := l.namespace(name)
		if err != nil {
			return err
		}
		if err := n.sysctl(map[string]string{"net/ipv4/ip_forward": "1"}); err != nil {
			return err
		}
		spaces[i] = n
	}
	rt, gateway, internet, region := spaces[0], spaces[1], spaces[2], spaces[3]
	l.gateway, l.internet, l.Region = gateway, internet, region
	var err error
	if l.router, err = newRouter(rt, l.options.VPC); err != nil {
		return err
	}
	out, in, err := connect(jumbo, rt, "igw", gateway, "vpc", nil)
	if err != nil {
		return err
	}
	wan, backbone, err := connect(usual, gateway, "wan", internet, "vpc", nil)
	if err != nil {
		return err
	}
	edge, home, err := connect(usual, internet, "region", region, "wan", nil)
	if err != nil {
		return err
	}
	l.wide = wan
	lo, err := loopback(region)
	if err != nil {
		return err
	}
	for _, p := range publicRanges {
		if err := backbone.route(0, p, gatewayOut); err != nil {
			return err
		}
	}
	return errors.Join(
		out.address(host(routerOut)), out.neighbor(gatewayIn, in),
		in.address(host(gatewayIn)), in.neighbor(routerOut, out), in.route(0, l.options.VPC, routerOut),
		wan.address(host(gatewayOut)), wan.neighbor(backboneA, backbone), wan.route(0, everywhere, backboneA),
		backbone.address(host(backboneA)), backbone.neighbor(gatewayOut, wan),
		edge.address(host(backboneB)), edge.neighbor(Outside, home), edge.route(0, host(Outside), Outside),
		home.address(host(Outside)), home.neighbor(backboneB, edge), home.route(0, everywhere, backboneB),
		lo.address(host(Services)),
		l.router.know(InternetGateway, out, gatewayIn),
		// What is too large for the Internet is dropped there, and nobody is told.
		gateway.replace("silence", chain{nftables.ChainHookOutput, *nftables.ChainPriorityFilter, nftables.ChainTypeFilter, []rule{drop()}}),
		l.Translate(nil),
	)
}

func loopback(n *Namespace) (end, error) {
	lo, err := n.links.LinkByName("lo")
	return end{n, lo}, err
}

// subnets makes one host in each private subnet.
func (l *Lab) subnets() error {
	for _, z := range l.options.Zones {
		for _, s := range z.Private {
			n, err := l.namespace("host of " + s.Table)
			if err != nil {
				return err
			}
			h := &Host{Namespace: n, Address: nth(s.CIDR, 10)}
			port, eth, err := connect(jumbo, l.router.Namespace, l.router.port(), n, "eth0", nil)
			if err != nil {
				return err
			}
			if err := errors.Join(l.router.attach(port, eth, s.CIDR, h.Address), settle(port, eth, s.CIDR, h.Address), l.router.from(port, s.Table)); err != nil {
				return err
			}
			l.hosts[s.Table] = h
		}
	}
	return nil
}

// servers starts the Internet, and what answers queries for names.
func (l *Lab) servers() error {
	var err error
	if l.Internet, err = newInternet(l.internet, l.options.Servers); err != nil {
		return err
	}
	l.closers = append(l.closers, l.Internet.close)
	if l.Names, err = newNames(l); err != nil {
		return err
	}
	l.closers = append(l.closers, l.Names.close)
	return nil
}

// nth address of a subnet.
func nth(p netip.Prefix, n byte) netip.Addr {
	a := p.Masked().Addr().As4()
	a[3] += n
	return netip.AddrFrom4(a)
}

// Host is a machine in a private subnet. Its way to the Internet is its route table's.
type Host struct {
	*Namespace
	Address netip.Addr
}

// Host of the private subnet with that route table.
func (l *Lab) Host(table string) *Host { return l.hosts[table] }

// SetRoute points a destination of a route table at a hop: the name of a [Node], or [InternetGateway]. An empty hop, or
// one that does not exist, is a black hole: the packet is dropped and nobody is told.
func (l *Lab) SetRoute(table string, to netip.Prefix, hop string) error {
	return l.router.set(table, to, hop)
}

// DeleteRoute removes a destination from a route table.
func (l *Lab) DeleteRoute(table string, to netip.Prefix) error { return l.router.remove(table, to) }

// Assign gives a private address to the network interface of a node, and takes it from any other. The node's own system
// is not told. An empty hop takes it from all.
func (l *Lab) Assign(a netip.Addr, hop string) error { return l.router.assign(a, hop) }

// Translate sets which private address is seen as which public one at the Internet gateway. What has none does not pass.
func (l *Lab) Translate(public map[netip.Addr]netip.Addr) error {
	var in, out []rule
	for private, public := range public {
		in = append(in, join(iface(metaIn, l.wide.index()), is(destination, public), set(destination, private), accept()))
		out = append(out, join(iface(metaOut, l.wide.index()), is(source, private), set(source, public), accept()))
	}
	in = append(in, join(iface(metaIn, l.wide.index()), drop()))
	out = append(out, join(iface(metaOut, l.wide.index()), drop()))
	return l.gateway.replace("translation", incoming(*nftables.ChainPriorityMangle, in...), outgoing(*nftables.ChainPriorityMangle, out...))
}

// Dump is the state of every namespace.
func (l *Lab) Dump() string {
	s := l.router.Dump() + l.gateway.Dump() + l.Internet.Dump() + l.Region.Dump()
	for _, h := range l.hosts {
		s += h.Dump()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.nodes {
		s += n.Dump()
	}
	return s
}

func (l *Lab) zone(name string) (Zone, error) {
	for _, z := range l.options.Zones {
		if z.Name == name {
			return z, nil
		}
	}
	return Zone{}, fmt.Errorf("zone %q: is not in the lab", name)
}
