package lab

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// router is the VPC's: it knows on which interface each address is, and asks the route table of the subnet that a packet
// comes from where to send what goes out of the VPC.
type router struct {
	*Namespace
	vpc   netip.Prefix
	ports int

	mu       sync.Mutex
	tables   map[string]int
	hops     map[string]hop
	routes   map[string]map[netip.Prefix]string
	assigned map[netip.Addr]string
}

// hop is where a route may point.
type hop struct {
	end
	via netip.Addr
	// check drops what neither comes from nor goes to an address of the interface.
	check bool
}

// Priorities of the router's policy.
const (
	local   = 100  // inside of the VPC, no route table is asked
	subnets = 1000 // a packet's interface chooses its table
)

// firstTable of the kernel's numbers for route tables; any that the system does not use.
const firstTable = 1000

// broadcast is how a host is spoken to that has no address.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// publicTable is the route table of the public subnets.
const publicTable = "public"

func newRouter(n *Namespace, vpc netip.Prefix) (*router, error) {
	r := &router{
		Namespace: n, vpc: vpc, tables: map[string]int{}, hops: map[string]hop{},
		routes: map[string]map[netip.Prefix]string{}, assigned: map[netip.Addr]string{},
	}
	lo, err := loopback(n)
	if err != nil {
		return nil, err
	}
	inside := netlink.NewRule()
	inside.Priority, inside.Dst, inside.Table = local, ipNet(vpc), unix.RT_TABLE_MAIN
	return r, errors.Join(
		n.links.RuleAdd(inside),
		r.blackhole(unix.RT_TABLE_MAIN), // an address that no interface has
		lo.address(host(nth(vpc, 2))),   // where a VPC answers for names
		r.set(publicTable, everywhere, InternetGateway),
	)
}

// blackhole is the last route of a table. Without it, the kernel would answer that there is no route.
func (r *router) blackhole(table int) error {
	err := r.links.RouteReplace(&netlink.Route{Table: table, Dst: ipNet(everywhere), Type: unix.RTN_BLACKHOLE, Priority: 1 << 30})
	if err != nil {
		return fmt.Errorf("route table %d: %w", table, err)
	}
	return nil
}

// port names the next interface.
func (r *router) port() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ports++
	return fmt.Sprintf("port%d", r.ports)
}

// attach gives the router the way to a host of a subnet.
func (r *router) attach(port, eth end, subnet netip.Prefix, a netip.Addr) error {
	gateway := nth(subnet, 1)
	return errors.Join(
		// The host takes its whole subnet for its neighbors; the router answers for them.
		r.sysctl(map[string]string{
			"net/ipv4/conf/" + port.link.Attrs().Name + "/proxy_arp":    "1",
			"net/ipv4/neigh/" + port.link.Attrs().Name + "/proxy_delay": "0",
		}),
		port.address(host(gateway)), port.neighbor(a, eth), port.route(0, host(a), a),
	)
}

// settle gives a host its address in a subnet, and the way out.
func settle(port, eth end, subnet netip.Prefix, a netip.Addr) error {
	return errors.Join(eth.address(netip.PrefixFrom(a, subnet.Bits())), gatewayOf(eth, port, nth(subnet, 1)))
}

// gatewayOf is what a host loses when its link goes down.
func gatewayOf(eth, port end, gateway netip.Addr) error {
	return errors.Join(eth.neighbor(gateway, port), eth.route(0, everywhere, gateway))
}

// from asks a route table for what comes in by the port.
func (r *router) from(port end, table string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := r.table(table)
	if err != nil {
		return err
	}
	rule := netlink.NewRule()
	rule.Priority, rule.IifName, rule.Table = subnets, port.link.Attrs().Name, id
	if err := r.links.RuleAdd(rule); err != nil {
		return fmt.Errorf("route table %s for %s: %w", table, rule.IifName, err)
	}
	return nil
}

// table is the kernel's number of a route table, which is made if there is none. mu is held.
func (r *router) table(name string) (int, error) {
	id, ok := r.tables[name]
	if !ok {
		id = firstTable + len(r.tables)
		if err := r.blackhole(id); err != nil {
			return 0, err
		}
		r.tables[name] = id
		r.routes[name] = map[netip.Prefix]string{}
	}
	return id, nil
}

func (r *router) set(table string, to netip.Prefix, hop string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.table(table); err != nil {
		return err
	}
	r.routes[table][to] = hop
	return r.apply(table, to)
}

// apply writes a route into the kernel, in one step. mu is held.
func (r *router) apply(table string, to netip.Prefix) error {
	route := &netlink.Route{Table: r.tables[table], Dst: ipNet(to), Type: unix.RTN_BLACKHOLE}
	if h, ok := r.hops[r.routes[table][to]]; ok {
		route.Type, route.LinkIndex, route.Gw, route.Flags = unix.RTN_UNICAST, h.index(), h.via.AsSlice(), int(netlink.FLAG_ONLINK)
	}
	if err := r.links.RouteReplace(route); err != nil {
		return fmt.Errorf("route table %s: %s to %q: %w", table, to, r.routes[table][to], err)
	}
	return nil
}

func (r *router) remove(table string, to netip.Prefix) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.routes[table][to]; !ok {
		return nil
	}
	delete(r.routes[table], to)
	// By metric 0, so that the last route of the table is not taken for it.
	routes, err := r.links.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: r.tables[table], Dst: ipNet(to)}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
	for _, route := range routes {
		if route.Priority == 0 {
			err = errors.Join(err, r.links.RouteDel(&route))
		}
	}
	return err
}

func (r *router) assign(a netip.Addr, hop string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if hop == "" {
		delete(r.assigned, a)
	} else {
		r.assigned[a] = hop
	}
	return errors.Join(r.deliver(a), r.checks())
}

// deliver writes the way to an assigned address. mu is held.
func (r *router) deliver(a netip.Addr) error {
	route := &netlink.Route{Table: unix.RT_TABLE_MAIN, Dst: ipNet(host(a)), Type: unix.RTN_BLACKHOLE}
	if h, ok := r.hops[r.assigned[a]]; ok {
		route.Type, route.LinkIndex, route.Gw, route.Flags = unix.RTN_UNICAST, h.index(), h.via.AsSlice(), int(netlink.FLAG_ONLINK)
	}
	if err := r.links.RouteReplace(route); err != nil {
		return fmt.Errorf("address %s to %q: %w", a, r.assigned[a], err)
	}
	return nil
}

// know makes a next hop known, or known anew, and writes all that points at it.
func (r *router) know(name string, e end, via netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops[name] = hop{end: e, via: via, check: r.hops[name].check}
	return r.rewrite(name)
}

// forget makes a next hop unknown. What points at it is a black hole.
func (r *router) forget(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hops, name)
	return r.rewrite(name)
}

func (r *router) rewrite(name string) error {
	var errs []error
	for table, routes := range r.routes {
		for to, hop := range routes {
			if hop == name {
				errs = append(errs, r.apply(table, to))
			}
		}
	}
	for a, hop := range r.assigned {
		if hop == name {
			errs = append(errs, r.deliver(a))
		}
	}
	return errors.Join(append(errs, r.checks())...)
}

// check turns the source/destination check of a hop on or off.
func (r *router) check(name string, on bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.hops[name]
	if !ok {
		return fmt.Errorf("node %q: is not in the lab", name)
	}
	h.check = on
	r.hops[name] = h
	return r.checks()
}

// checks writes the source/destination checks. mu is held.
func (r *router) checks() error {
	var from, to []rule
	for _, name := range slices.Sorted(maps.Keys(r.hops)) {
		h := r.hops[name]
		if !h.check {
			continue
		}
		own := []netip.Addr{h.via}
		for a, holder := range r.assigned {
			if holder == name {
				own = append(own, a)
			}
		}
		// Who has no address yet asks for it all the same.
		from = append(from, join(iface(metaIn, h.index()), isNoneOf(source, append(own, netip.IPv4Unspecified())), drop()))
		to = append(to, join(iface(metaOut, h.index()), isNoneOf(destination, append(own, broadcast)), drop()))
	}
	return r.replace("check", incoming(*nftables.ChainPriorityRaw, from...), outgoing(*nftables.ChainPriorityMangle, to...))
}
