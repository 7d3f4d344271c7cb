package drill

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"polynat/internal/lab"
	"polynat/internal/sim/aws"
)

// mirror makes the lab what the simulated AWS says: routes, addresses, checks, machines.
type mirror struct {
	lab   *lab.Lab
	cloud *aws.Cloud
	// booted is called for an instance that runs, when it is in the lab.
	booted func(aws.Instance, *lab.Node)
	// network is the network service of an instance, by its interface; nil for none.
	network func(aws.NetworkInterface) *lab.NetworkService
	// lag of an address that moves from one interface to another.
	lag lag

	// What has been applied. sync is never called twice at once, so that mu guards it from readers only.
	mu          sync.Mutex
	nodes       map[string]*lab.Node // by network interface, or gateway
	interfaceOf map[string]string    // instance to its network interface
	routes      map[string]map[netip.Prefix]string
	assigned    map[netip.Addr]string
	places      map[netip.Addr]place
	public      map[netip.Addr]netip.Addr
	check       map[string]bool
	moves       []move
	errs        []error
	late        []*time.Timer // of addresses that are on their way
	closed      bool
	departing   sync.WaitGroup
}

// place is where packets to an address go, by which of its moves, and how many moves have been asked for.
type place struct {
	at           string
	moved, asked int
}

// lag is how long an address that is moved is on its way, and whether it is at its old interface meanwhile, or nowhere.
type lag struct {
	time.Duration
	stays bool
}

// move is a change of a route's next hop.
type move struct {
	at       time.Time
	table    string
	from, to string
}

func newMirror(l *lab.Lab, c *aws.Cloud) *mirror {
	return &mirror{
		lab: l, cloud: c, nodes: map[string]*lab.Node{}, interfaceOf: map[string]string{}, routes: map[string]map[netip.Prefix]string{},
		assigned: map[netip.Addr]string{}, places: map[netip.Addr]place{}, public: map[netip.Addr]netip.Addr{}, check: map[string]bool{},
	}
}

// sync brings the lab up to date. Routes come first: they are what clients wait for.
func (m *mirror) sync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(m.tables(), m.machines(), m.gateways(), m.tables(), m.interfaces())
}

func (m *mirror) note(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		m.errs = append(m.errs, err)
	}
}

// close has no address arrive any more.
func (m *mirror) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, t := range m.late {
		t.Stop()
	}
}

// fail takes note of what went wrong elsewhere.
func (m *mirror) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(err)
}

// Err is everything that went wrong.
func (m *mirror) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.errs...)
}

// tables whose name is that of a table in the lab.
func (m *mirror) tables() error {
	tables, err := m.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{})
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tables {
		name := t.Tags["Name"]
		if m.lab.Host(name) == nil {
			continue
		}
		wanted := map[netip.Prefix]string{}
		for _, r := range t.Routes {
			to, err := netip.ParsePrefix(r.DestinationCidrBlock)
			if err == nil && r.GatewayID != "local" {
				wanted[to] = m.hop(r)
			}
		}
		errs = append(errs, m.table(name, wanted))
	}
	return errors.Join(errs...)
}

// hop is the lab's name of a route's target; a black hole has none.
func (m *mirror) hop(r aws.Route) string {
	switch {
	case r.State == aws.RouteBlackhole:
		return ""
	case r.NatGatewayID != "":
		return r.NatGatewayID
	case r.NetworkInterfaceID != "":
		return r.NetworkInterfaceID
	case r.GatewayID != "":
		return lab.InternetGateway
	}
	return ""
}

func (m *mirror) table(name string, wanted map[netip.Prefix]string) error {
	var errs []error
	applied := m.routes[name]
	if applied == nil {
		applied = map[netip.Prefix]string{}
		m.routes[name] = applied
	}
	for to, hop := range wanted {
		before, ok := applied[to]
		if ok && before == hop {
			continue
		}
		errs = append(errs, m.lab.SetRoute(name, to, hop))
		if to.Bits() == 0 {
			m.moves = append(m.moves, move{at: time.Now(), table: name, from: before, to: hop})
		}
		applied[to] = hop
	}
	for to := range applied {
		if _, ok := wanted[to]; !ok {
			errs = append(errs, m.lab.DeleteRoute(name, to))
			if to.Bits() == 0 {
				m.moves = append(m.moves, move{at: time.Now(), table: name, from: applied[to]})
			}
			delete(applied, to)
		}
	}
	return errors.Join(errs...)
}

// machines boots what runs and ends what does not.
func (m *mirror) machines() error {
	var errs []error
	interfaces, err := m.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{})
	if err != nil {
		return err
	}
	for _, i := range m.cloud.Instances() {
		known, ok := m.interfaceOf[i.InstanceID]
		switch {
		case !ok && i.State == aws.StateRunning:
			e := slices.IndexFunc(interfaces, func(e aws.NetworkInterface) bool { return e.InstanceID == i.InstanceID && e.DeviceIndex == 0 })
			if e < 0 {
				errs = append(errs, fmt.Errorf("instance %s: has no network interface", i.InstanceID))
				continue
			}
			errs = append(errs, m.launch(i, interfaces[e]))
		case ok && i.State != aws.StateRunning && i.State != aws.StatePending && m.nodes[known] != nil:
			node := m.nodes[known]
			delete(m.nodes, known)
			// The system is told first, as it is when EC2 shuts an instance down.
			m.departing.Go(func() { node.Shutdown(shutdownPatience) })
		}
	}
	return errors.Join(errs...)
}

// shutdownPatience is how long a machine's programs have when it is shut down.
const shutdownPatience = 2 * time.Second

func (m *mirror) launch(i aws.Instance, e aws.NetworkInterface) error {
	address, err := netip.ParseAddr(e.PrivateIPAddress)
	if err != nil {
		return err
	}
	hardware, err := net.ParseMAC(e.MacAddress)
	if err != nil {
		return err
	}
	node, err := m.lab.Launch(lab.NodeOptions{Name: e.NetworkInterfaceID, Zone: i.AvailabilityZone, Address: address, Hardware: hardware, Network: m.network(e)})
	if err != nil {
		return err
	}
	m.nodes[e.NetworkInterfaceID] = node
	m.interfaceOf[i.InstanceID] = e.NetworkInterfaceID
	m.booted(i, node)
	return nil
}

func (m *mirror) gateways() error {
	gateways, err := m.cloud.DescribeNatGateways(aws.DescribeNatGatewaysInput{})
	if err != nil {
		return err
	}
	interfaces, err := m.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{})
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range gateways {
		node := m.nodes[g.NatGatewayID]
		switch {
		case node == nil && g.State == aws.GatewayAvailable:
			address, err := netip.ParseAddr(g.PrivateIP)
			e := slices.IndexFunc(interfaces, func(e aws.NetworkInterface) bool { return e.NetworkInterfaceID == g.NetworkInterfaceID })
			if err != nil || e < 0 {
				errs = append(errs, fmt.Errorf("gateway %s: has no network interface", g.NatGatewayID), err)
				continue
			}
			node, err = m.lab.Standby(lab.NodeOptions{Name: g.NatGatewayID, Zone: interfaces[e].AvailabilityZone, Address: address})
			errs = append(errs, err)
			m.nodes[g.NatGatewayID] = node
		case node != nil && g.State == aws.GatewayDeleted:
			errs = append(errs, node.Terminate())
			delete(m.nodes, g.NatGatewayID)
		}
	}
	return errors.Join(errs...)
}

// interfaces mirrors addresses and checks.
func (m *mirror) interfaces() error {
	interfaces, err := m.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{})
	if err != nil {
		return err
	}
	var errs []error
	public, assigned := map[netip.Addr]netip.Addr{}, map[netip.Addr]string{}
	for _, e := range interfaces {
		for _, p := range e.PrivateIPAddresses {
			private, err := netip.ParseAddr(p.PrivateIPAddress)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if seen, err := netip.ParseAddr(p.PublicIP); err == nil {
				public[private] = seen
			}
			if !p.Primary && m.nodes[e.NetworkInterfaceID] != nil {
				assigned[private] = e.NetworkInterfaceID
			}
		}
		if node := m.nodes[e.NetworkInterfaceID]; node != nil {
			if on, ok := m.check[e.NetworkInterfaceID]; !ok || on != e.SourceDestCheck {
				errs = append(errs, node.CheckSource(e.SourceDestCheck))
				m.check[e.NetworkInterfaceID] = e.SourceDestCheck
			}
		}
	}
	for a, hop := range assigned {
		if m.assigned[a] != hop {
			errs = append(errs, m.assign(a, m.assigned[a], hop))
		}
	}
	for a, hop := range m.assigned {
		// An address that is on its way to an interface that has gone is nowhere once it has arrived.
		if _, ok := assigned[a]; !ok && m.places[a].at == hop {
			errs = append(errs, m.assign(a, "", ""))
		}
	}
	m.assigned = assigned
	if !maps.Equal(public, m.public) {
		errs = append(errs, m.lab.Translate(public))
		m.public = public
	}
	return errors.Join(errs...)
}

// assign moves an address to an interface: late, if it was at another one.
func (m *mirror) assign(a netip.Addr, from, to string) error {
	p := m.places[a]
	p.asked++
	turn := p.asked
	m.places[a] = p
	if from == "" || m.lag.Duration == 0 {
		return m.arrive(a, to, turn)
	}
	m.late = append(m.late, time.AfterFunc(m.lag.Duration, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !m.closed {
			m.note(m.arrive(a, to, turn))
		}
	}))
	if m.lag.stays {
		return nil
	}
	return m.arrive(a, "", turn)
}

// arrive has packets to an address go to an interface, unless a later move has had them go elsewhere.
func (m *mirror) arrive(a netip.Addr, to string, turn int) error {
	p := m.places[a]
	if turn < p.moved {
		return nil
	}
	p.at, p.moved = to, turn
	m.places[a] = p
	return m.lab.Assign(a, to)
}

// node by its network interface or gateway.
func (m *mirror) node(id string) *lab.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes[id]
}

// instance is the network interface of an instance.
func (m *mirror) instance(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.interfaceOf[id]
}

// since returns the moves of some tables from a time on.
func (m *mirror) since(t time.Time, tables []string) []move {
	m.mu.Lock()
	defer m.mu.Unlock()
	var moves []move
	for _, v := range m.moves {
		if !v.at.Before(t) && slices.Contains(tables, v.table) {
			moves = append(moves, v)
		}
	}
	return moves
}

// holder is where the default routes of some tables point, empty if at several.
func (m *mirror) holder(tables []string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	hop := m.routes[tables[0]][everywhere]
	for _, t := range tables[1:] {
		if m.routes[t][everywhere] != hop {
			return ""
		}
	}
	return hop
}

// transitions are when all of some tables came to point at another next hop than they all did before, from a time on.
func (m *mirror) transitions(t time.Time, tables []string) []time.Time {
	moves := m.since(t, tables)
	m.mu.Lock()
	defer m.mu.Unlock()
	hops := map[string]string{}
	for _, table := range tables {
		hops[table] = m.routes[table][everywhere]
	}
	for _, v := range slices.Backward(moves) {
		hops[v.table] = v.from
	}
	holder, _ := one(hops)
	var times []time.Time
	for _, v := range moves {
		hops[v.table] = v.to
		if now, ok := one(hops); ok && now != holder {
			holder = now
			times = append(times, v.at)
		}
	}
	return times
}

// decided is how long after a time the last of some tables has come to point elsewhere for the first time.
func (m *mirror) decided(t time.Time, tables []string) (time.Duration, bool) {
	times := m.transitions(t, tables)
	if len(times) == 0 {
		return 0, false
	}
	return times[0].Sub(t), true
}

// most is how many of the times lie within one window; 0 is a window for all.
func most(times []time.Time, window time.Duration) int {
	if window == 0 {
		return len(times)
	}
	found := 0
	for i, begin := range times {
		within := slices.IndexFunc(times[i:], func(t time.Time) bool { return t.Sub(begin) > window })
		if within < 0 {
			within = len(times) - i
		}
		found = max(found, within)
	}
	return found
}

// one is the next hop of all.
func one(hops map[string]string) (hop string, ok bool) {
	values := slices.Collect(maps.Values(hops))
	if slices.ContainsFunc(values, func(h string) bool { return h != values[0] }) {
		return "", false
	}
	return values[0], true
}

var everywhere = netip.MustParsePrefix("0.0.0.0/0")
