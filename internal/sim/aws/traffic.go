package aws

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/natzone"
)

// VPCs returns the ids of all VPCs, sorted.
func (c *Cloud) VPCs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sorted(c.state.VPCs)
}

// WaysOut judges the traffic of a VPC: a way for each private subnet and class of destinations outside the VPC.
func (c *Cloud) WaysOut(vpcID string) []Way {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	tables := s.tables()
	var ways []Way
	for _, id := range sorted(s.Subnets) {
		if s.Subnets[id].VPC == vpcID {
			ways = append(ways, c.waysOf(s, id, tables[id])...)
		}
	}
	return ways
}

// tables finds the table of every subnet.
func (s *state) tables() map[string]*RouteTable {
	of := make(map[string]*RouteTable, len(s.Subnets))
	for _, t := range s.Tables {
		for _, a := range t.Associations {
			if a.SubnetID != "" {
				of[a.SubnetID] = t
			}
		}
	}
	for id, n := range s.Subnets {
		if of[id] == nil {
			of[id] = s.Tables[s.VPCs[n.VPC].MainTable]
		}
	}
	return of
}

// waysOf are the ways of a subnet, none if it is public.
func (c *Cloud) waysOf(s *state, subnetID string, t *RouteTable) []Way {
	n := s.Subnets[subnetID]
	if n.MapPublic || t == nil {
		return nil
	}
	ways := []Way{{Subnet: subnetID, Table: t.RouteTableID, Zone: n.Zone, Destination: anyIPv4, Hop: HopNone, Why: "no route"}}
	for _, r := range t.Routes {
		p := r.prefix()
		if r.GatewayID == local || !p.IsValid() || p.Addr().Is6() && !n.IPv6.IsValid() && p != natzone.NAT64Prefix() {
			continue
		}
		w := Way{Subnet: subnetID, Table: t.RouteTableID, Zone: n.Zone, Destination: p}
		c.follow(s, n, r, &w)
		if w.Hop == HopInternet && p.Bits() == 0 && p.Addr().Is4() {
			return nil // it is public
		}
		if p == anyIPv4 {
			ways[0] = w
		} else {
			ways = append(ways, w)
		}
	}
	return ways
}

// follow completes a way by its route.
func (c *Cloud) follow(s *state, n *subnet, r Route, w *Way) {
	dead := c.shown(s, r).State == RouteBlackhole
	switch {
	case r.NetworkInterfaceID != "":
		w.Hop = HopInstance
		e := s.Interfaces[r.NetworkInterfaceID]
		if e == nil || s.Machines[e.InstanceID] == nil {
			w.Hop, w.Target, w.Why = HopBlackhole, r.NetworkInterfaceID, "the interface is gone, or attached to no instance"
			return
		}
		w.Target = e.InstanceID
		if dead {
			w.Hop = HopBlackhole
		}
		w.Egress, w.Why = c.throughInstance(s, n, s.Machines[e.InstanceID], e, w.Destination)
	case r.NatGatewayID != "":
		w.Hop, w.Target = HopGateway, r.NatGatewayID
		if dead {
			w.Hop = HopBlackhole
		}
		w.Egress, w.Why = c.throughGateway(s, s.Gateways[r.NatGatewayID])
	case strings.HasPrefix(r.GatewayID, "igw-"):
		w.Hop, w.Target, w.Why = HopInternet, r.GatewayID, "the subnet's hosts have no public address"
	case r.EgressOnlyInternetGatewayID != "":
		w.Hop, w.Target = HopInternet, r.EgressOnlyInternetGatewayID
		if dead {
			w.Hop, w.Why = HopBlackhole, "the egress-only internet gateway is gone"
		}
	default:
		w.Hop, w.Target = HopOther, r.GatewayID+r.TransitGatewayID+r.VpcPeeringConnectionID
	}
	w.Works = w.Why == ""
}

// throughInstance follows packets through a NAT instance: from where they leave, or why they do not.
func (c *Cloud) throughInstance(s *state, n *subnet, m *machine, e *netInterface, to netip.Prefix) (netip.Addr, string) {
	doc := c.document(m)
	switch {
	case m.State != StateRunning:
		return netip.Addr{}, "the instance is " + m.State
	case e.SourceDestCheck:
		return netip.Addr{}, "the source/destination check of the instance is on"
	case !c.forwards(m):
		return netip.Addr{}, "the instance does not forward"
	case !s.admits(e, n.CIDR):
		return netip.Addr{}, "the instance's security group does not admit the subnet"
	case to == natzone.NAT64Prefix() && doc != nil && !doc.NAT64:
		return netip.Addr{}, "the instance does not translate IPv6"
	}
	if doc != nil {
		if held := e.private(doc.Address.String()); held != nil && held.PublicIP != "" {
			return c.egress(s, e, held)
		}
	} else {
		for i, a := range e.PrivateIPAddresses {
			if a.AllocationID != "" && !a.Primary {
				return c.egress(s, e, &e.PrivateIPAddresses[i])
			}
		}
	}
	return c.egress(s, e, e.private(""))
}

// throughGateway follows packets through a NAT gateway.
func (c *Cloud) throughGateway(s *state, g *NatGateway) (netip.Addr, string) {
	switch {
	case g == nil:
		return netip.Addr{}, "the NAT gateway is gone"
	case g.State != GatewayAvailable:
		return netip.Addr{}, "the NAT gateway is " + g.State
	case g.ConnectivityType != "public":
		return netip.Addr{}, "the NAT gateway is private"
	}
	e := s.Interfaces[g.NetworkInterfaceID]
	if e == nil {
		return netip.Addr{}, "the NAT gateway has no interface"
	}
	return c.egress(s, e, e.private(""))
}

// egress is the public address from which packets of an interface's address reach the Internet, or why they do not.
func (c *Cloud) egress(s *state, e *netInterface, a *PrivateAddress) (netip.Addr, string) {
	if a == nil || a.PublicIP == "" {
		return netip.Addr{}, "no public address"
	}
	t := s.tableOf(e.SubnetID)
	if t == nil {
		return netip.Addr{}, "no route table"
	}
	i := t.find(anyIPv4)
	if i < 0 {
		return netip.Addr{}, fmt.Sprintf("no default route in %s of its subnet", t.RouteTableID)
	}
	if g := s.Internet[t.Routes[i].GatewayID]; g == nil || g.VPC != e.VpcID {
		return netip.Addr{}, fmt.Sprintf("%s of its subnet does not lead to the internet gateway", t.RouteTableID)
	}
	if e.InterfaceType == "interface" && !s.lets(e) {
		return netip.Addr{}, "its security group lets nothing out"
	}
	public, err := netip.ParseAddr(a.PublicIP)
	if err != nil {
		return public, err.Error()
	}
	return public, ""
}

// Traffic follows the ways out of a region across changes: which have worked and do not any more. Call [Traffic.Observe]
// after each change, as [Cloud.OnChange]. It is not safe for concurrent use (calls from [Cloud.OnChange] never overlap).
type Traffic struct {
	cloud *Cloud
	// worked holds the ways that have worked once, by subnet and destination, with where they left from then.
	worked map[wayKey]Way
}

type wayKey struct {
	subnet      string
	destination netip.Prefix
}

// NewTraffic follows the ways that there are and those that come to work from now on.
func NewTraffic(c *Cloud) *Traffic {
	t := &Traffic{cloud: c, worked: map[wayKey]Way{}}
	t.Observe()
	return t
}

// Observe returns the ways that worked before and do not now, sorted. A way whose subnet is gone is forgotten; one whose
// route is gone has no way out, unless the default route's takes its packets.
func (t *Traffic) Observe() (lost []Way) {
	now := map[wayKey]Way{}
	t.cloud.mu.Lock()
	s := &t.cloud.state
	tables := s.tables()
	for id := range s.Subnets {
		for _, w := range t.cloud.waysOf(s, id, tables[id]) {
			now[wayKey{w.Subnet, w.Destination}] = w
		}
	}
	for k := range t.worked {
		if _, ok := s.Subnets[k.subnet]; !ok {
			delete(t.worked, k)
		}
	}
	t.cloud.mu.Unlock()
	for k, w := range now {
		if w.Works {
			t.worked[k] = w
		}
	}
	for k, before := range t.worked {
		w, ok := now[k]
		if !ok {
			if w, ok = now[wayKey{k.subnet, anyIPv4}]; ok && k.destination.Addr().Is4() && w.Works {
				continue
			}
			w = before
			w.Hop, w.Works, w.Why, w.Egress = HopNone, false, "the route is gone", netip.Addr{}
		}
		if !w.Works {
			lost = append(lost, w)
		}
	}
	slices.SortFunc(lost, func(a, b Way) int {
		return strings.Compare(a.Subnet+a.Destination.String(), b.Subnet+b.Destination.String())
	})
	return lost
}

// Forget no longer follows what has worked so far: it is about to be taken away.
func (t *Traffic) Forget() { clear(t.worked) }

// Ways returns the ways that are followed as they last worked, sorted.
func (t *Traffic) Ways() []Way {
	return slices.SortedFunc(maps.Values(t.worked), func(a, b Way) int {
		return strings.Compare(a.Subnet+a.Destination.String(), b.Subnet+b.Destination.String())
	})
}

// String says what the way is, such as "subnet-1 0.0.0.0/0: nat gateway nat-1 as 203.0.113.1".
func (w Way) String() string {
	text := fmt.Sprintf("%s %s: %s %s", w.Subnet, w.Destination, w.Hop, w.Target)
	if w.Works {
		return text + " as " + w.Egress.String()
	}
	return text + ": " + w.Why
}
