package huaweicloud

import (
	"fmt"
	"net/netip"
)

// Client is where connections come from: an instance, or some host of a VPC.
type Client struct {
	VPC  string
	Addr netip.Addr
	// Instance is its id; empty for a host that no security group holds back.
	Instance string
	groups   []string
}

// Delivery is what becomes of a connection.
type Delivery struct {
	// Refused says why nobody answers; empty when somebody does.
	Refused string
	// Rule is the DNAT rule that it took, LoadBalancer and Listener what passed it on, empty where there was none.
	Rule, LoadBalancer, Listener string
	// VPC and Addr are where it arrived.
	VPC  string
	Addr netip.Addr
	Port int
}

// Reached reports whether somebody answers.
func (d Delivery) Reached() bool { return d.Refused == "" }

func (d Delivery) refuse(format string, args ...any) Delivery {
	d.Refused = fmt.Sprintf(format, args...)
	return d
}

// Connect tries a new connection of protocol tcp or udp.
func (c *Cloud) Connect(from Client, to netip.Addr, protocol string, port int) Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.connect(from, to, protocol, port)
}

// Clients are the instances of a VPC, or if it has none, a host of it that no security group holds back.
func (c *Cloud) Clients(vpc string) []Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.clients(vpc)
}

func (s *state) clients(vpc string) []Client {
	var clients []Client
	for _, id := range sorted(s.Instances) {
		i := s.Instances[id]
		if n, ok := s.Subnets[i.Networks[0].UUID]; ok && n.VPCID == vpc {
			clients = append(clients, Client{vpc, i.Networks[0].FixedIPv4, id, i.SecurityGroupIDs})
		}
	}
	if len(clients) == 0 {
		for _, id := range sorted(s.Subnets) {
			if n := s.Subnets[id]; n.VPCID == vpc {
				return []Client{{VPC: vpc, Addr: last(n.CIDR)}}
			}
		}
	}
	return clients
}

func (s *state) connect(from Client, to netip.Addr, protocol string, port int) Delivery {
	if from.Instance != "" && !s.admits(from.groups, "egress", end{addr: to}, protocol, port) {
		return Delivery{}.refuse("the client's security groups let nothing out to %s:%d", to, port)
	}
	source := end{from.Addr, from.groups}
	if s.inVPC(from.VPC, to) {
		return s.deliver(Delivery{VPC: from.VPC, Addr: to, Port: port}, source, protocol)
	}
	for _, p := range s.Peerings {
		for _, side := range []Peering{p, {p.B, p.A}} {
			if side.A == from.VPC && s.inVPC(side.B, to) {
				return s.deliver(Delivery{VPC: side.B, Addr: to, Port: port}, source, protocol)
			}
		}
	}
	return Delivery{}.refuse("%s has no route to %s", from.VPC, to)
}

// deliver hands a packet that has come as far as d to whoever has the address.
func (s *state) deliver(d Delivery, source end, protocol string) Delivery {
	for id, t := range s.TransitIPs {
		if t.Address == d.Addr && s.vpcOf(t.SubnetID) == d.VPC {
			if d.Rule != "" {
				return d.refuse("transit IP %s is not led on by another rule", t.Address)
			}
			return s.translate(d, id, source, protocol)
		}
	}
	for id, b := range s.LoadBalancers {
		if b.IPv4Address == d.Addr && b.VPCID == d.VPC {
			return s.balance(d, id, protocol)
		}
	}
	for id, i := range s.Instances {
		for _, n := range i.Networks {
			if n.FixedIPv4 == d.Addr && s.vpcOf(n.UUID) == d.VPC {
				if !s.admits(i.SecurityGroupIDs, "ingress", source, protocol, d.Port) {
					return d.refuse("the security groups of instance %s do not admit %s to port %d", id, source.addr, d.Port)
				}
				return d
			}
		}
	}
	return d.refuse("nobody has address %s", d.Addr)
}

func (s *state) vpcOf(subnet string) string {
	if n, ok := s.Subnets[subnet]; ok {
		return n.VPCID
	}
	return ""
}

// translate follows the DNAT rule of a transit IP.
func (s *state) translate(d Delivery, transitIP string, source end, protocol string) Delivery {
	for id, r := range s.DNATRules {
		if r.TransitIPID != transitIP || r.Protocol != "any" && (r.Protocol != protocol || r.TransitPort != d.Port) {
			continue
		}
		d.Rule = id
		g, ok := s.Gateways[r.GatewayID]
		if !ok || g.Status != active {
			return d.refuse("private NAT gateway %s is not %s", r.GatewayID, active)
		}
		if d.VPC = g.VPCID; r.Protocol != "any" {
			d.Port = r.InternalPort
		}
		if n, ok := s.Subnets[g.SubnetID]; ok && g.HidesClients {
			source = end{addr: last(n.CIDR)} // any of them may be the gateway's
		}
		if r.InterfaceID != "" && s.foreign(r.InterfaceID) {
			d.Addr = none
			return d
		}
		if d.Addr, ok = s.backendOf(r); !ok {
			return d.refuse("rule %s leads to port %s, which nobody has", id, r.InterfaceID)
		}
		if r.PrivateIP != "" && !s.taken(d.VPC, d.Addr) {
			// A bare address that the cloud did not make, such as a virtual IP or a host on premises, is taken to answer.
			return d
		}
		return s.deliver(d, source, protocol)
	}
	return d.refuse("no rule for port %d/%s of transit IP %s", d.Port, protocol, d.Addr)
}

// backendOf is the address that a rule leads to.
func (s *state) backendOf(r *DNATRule) (netip.Addr, bool) {
	if r.PrivateIP != "" {
		a, err := netip.ParseAddr(r.PrivateIP)
		return a, err == nil
	}
	if b := s.balancerOf(r); b != "" {
		return s.LoadBalancers[b].IPv4Address, true
	}
	i, a := s.instanceAt(r.InterfaceID)
	return a, i != nil
}

// taken reports whether an object of the cloud has an address of a VPC.
func (s *state) taken(vpc string, a netip.Addr) bool {
	for id, n := range s.Subnets {
		if n.VPCID == vpc && n.CIDR.Contains(a) {
			if _, ok := s.addresses(id)[a]; ok {
				return true
			}
		}
	}
	return false
}

// balance passes a connection on to a member that is healthy.
func (s *state) balance(d Delivery, balancer, protocol string) Delivery {
	d.LoadBalancer = balancer
	for id, l := range s.Listeners {
		if l.LoadBalancerID != balancer || l.Port != d.Port || transports[l.Protocol] != protocol {
			continue
		}
		d.Listener = id
		if l.DefaultPoolID == "" {
			return d.refuse("listener %s has no backend server group", id)
		}
		why := "backend server group " + l.DefaultPoolID + " has no member"
		for _, m := range sorted(s.Members) {
			member := s.Members[m]
			if member.PoolID != l.DefaultPoolID {
				continue
			}
			if why = s.health(balancer, m, protocol); why == "" {
				d.Addr, d.Port = member.Address, member.Port
				return d
			}
		}
		return d.refuse("%s", why)
	}
	return d.refuse("load balancer %s has no listener on port %d/%s", balancer, d.Port, protocol)
}

// health says why a member takes no connection, "" if it does. Load balancers reach and probe members from their backend
// subnets.
func (s *state) health(balancer, member, protocol string) string {
	m, b := s.Members[member], s.LoadBalancers[balancer]
	if m.Weight != nil && *m.Weight == 0 {
		return "member " + member + " has weight 0"
	}
	var i *Instance
	for _, candidate := range s.Instances {
		for _, n := range candidate.Networks {
			if n.FixedIPv4 == m.Address && (s.vpcOf(n.UUID) == b.VPCID || b.CrossVPCBackend) {
				i = candidate
			}
		}
	}
	if i == nil {
		return fmt.Sprintf("member %s is %s, which no instance has", member, m.Address)
	}
	probe := m.Port
	if monitor, ok := s.Monitors[s.Pools[m.PoolID].MonitorID]; ok && monitor.Enabled && monitor.Port != 0 {
		probe = monitor.Port
	}
	for _, id := range b.BackendSubnets {
		n, ok := s.Subnets[id]
		if !ok {
			continue
		}
		// Any address of the subnet may be the load balancer's; the ends stand for all of them.
		for _, from := range []netip.Addr{n.CIDR.Addr().Next(), last(n.CIDR)} {
			for _, port := range []int{m.Port, probe} {
				if !s.admits(i.SecurityGroupIDs, "ingress", end{addr: from}, protocol, port) {
					return fmt.Sprintf("member %s:%d does not admit the load balancer's backend subnet %s to port %d", m.Address, m.Port, n.CIDR, port)
				}
			}
		}
	}
	return ""
}

// last is the last address of hosts of a block.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	hosts := uint32(1)<<(32-p.Bits()) - 1
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += hosts
	a := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return a.Prev()
}
