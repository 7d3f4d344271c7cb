package huaweicloud

import (
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/sim"
)

// nameLimit is the longest name of a gateway or an instance. It is made of letters, digits and, of a gateway and an instance,
// these signs.
const (
	nameLimit     = 64
	gatewaySigns  = "_-"
	instanceSigns = "_-."
)

func checkName(what, signs, name string) error {
	ok := name != "" && len(name) <= nameLimit
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r))
	}
	if !ok {
		return sim.Refuse(CodeInvalid, "%s name: %q: is not 1 to %d letters, digits, %s", what, name, nameLimit, signs)
	}
	return nil
}

var vpcKind = kindOf(rules[VPC]{
	prefix: "vpc",
	table:  func(s *state) map[string]*VPC { return s.VPCs },
	make: func(c *Cloud, id string, v *VPC) error {
		v.Status = "OK"
		return c.state.checkVPC(id, v)
	},
	change: func(c *Cloud, id string, _, v *VPC) error {
		for _, subnet := range sorted(c.state.Subnets) {
			if n := c.state.Subnets[subnet]; n.VPCID == id && !v.holds(n.CIDR) {
				return sim.Refuse(CodeInvalid, "VPC cidr: %s: does not hold %s of subnet %s (delete that first)", v.CIDR, n.CIDR, subnet)
			}
		}
		return c.state.checkVPC(id, v)
	},
	remove: func(s *state, id string, _ *VPC) error {
		for _, subnet := range sorted(s.Subnets) {
			if s.Subnets[subnet].VPCID == id {
				return sim.Refuse(CodeInUse, "VPC: %q: still has subnet %s (delete it first)", id, subnet)
			}
		}
		for _, pool := range sorted(s.Pools) {
			if s.Pools[pool].VPCID == id {
				return sim.Refuse(CodeInUse, "VPC: %q: still has backend server group %s (delete it first)", id, pool)
			}
		}
		return nil
	},
})

func (s *state) checkVPC(id string, v *VPC) error {
	for other, o := range s.VPCs {
		if other != id && v.Name != "" && o.Name == v.Name {
			return sim.Refuse(CodeConflict, "VPC name: %q: %s has it (use another name)", v.Name, other)
		}
	}
	for _, p := range v.blocks() {
		if !p.Addr().Is4() || p != p.Masked() {
			return sim.Refuse(CodeInvalid, "VPC cidr: %s: is not an IPv4 block without host bits", p)
		}
	}
	return nil
}

// blocks are those of the VPC.
func (v *VPC) blocks() []netip.Prefix { return append([]netip.Prefix{v.CIDR}, v.SecondaryCIDRs...) }

// holds reports whether a block is within one of the VPC's.
func (v *VPC) holds(block netip.Prefix) bool {
	return slices.ContainsFunc(v.blocks(), func(p netip.Prefix) bool { return p.Contains(block.Addr()) && p.Bits() <= block.Bits() })
}

var subnetKind = kindOf(rules[Subnet]{
	prefix: "network",
	table:  func(s *state) map[string]*Subnet { return s.Subnets },
	make: func(c *Cloud, id string, n *Subnet) error {
		s := &c.state
		v, err := find(s.VPCs, "VPC", n.VPCID)
		if err != nil {
			return err
		}
		if n.CIDR != n.CIDR.Masked() || !v.holds(n.CIDR) {
			return sim.Refuse(CodeInvalid, "subnet cidr: %s: is not a block within the VPC's %s", n.CIDR, v.CIDR)
		}
		for other, o := range s.Subnets {
			if other != id && o.VPCID == n.VPCID && o.CIDR.Overlaps(n.CIDR) {
				return sim.Refuse(CodeConflict, "subnet cidr: %s: overlaps %s of %s (delete that first)", n.CIDR, o.CIDR, other)
			}
		}
		if !n.CIDR.Contains(n.GatewayIP) || n.GatewayIP == n.CIDR.Addr() {
			return sim.Refuse(CodeInvalid, "subnet gatewayIp: %s: is not an address of hosts in %s", n.GatewayIP, n.CIDR)
		}
		if n.Zone != "" && !slices.Contains(c.opts.Zones, n.Zone) {
			return sim.Refuse(CodeInvalid, "subnet availabilityZone: %q: is not one of %v", n.Zone, c.opts.Zones)
		}
		if n.IPv4SubnetID == "" {
			n.IPv4SubnetID = s.newID("subnet")
			n.SubnetID = n.IPv4SubnetID
		}
		return nil
	},
	change: func(_ *Cloud, _ string, _, _ *Subnet) error { return nil },
	remove: func(s *state, id string, _ *Subnet) error {
		for a, owner := range s.addresses(id) {
			return sim.Refuse(CodeInUse, "subnet: %q: %s still has its address %s (delete it first)", id, owner, a)
		}
		for _, g := range sorted(s.Gateways) {
			if s.Gateways[g].SubnetID == id {
				return sim.Refuse(CodeInUse, "subnet: %q: still holds private NAT gateway %s (delete it first)", id, g)
			}
		}
		for _, b := range sorted(s.LoadBalancers) {
			if slices.Contains(s.LoadBalancers[b].BackendSubnets, id) {
				return sim.Refuse(CodeInUse, "subnet: %q: is a backend subnet of load balancer %s (delete it first)", id, b)
			}
		}
		return nil
	},
})

// network finds a subnet by its own id. The id of its IPv4 range is the commonest mistake, so it is told apart.
func (s *state) network(property, id string) (*Subnet, error) {
	if n, ok := s.Subnets[id]; ok {
		return n, nil
	}
	for own, n := range s.Subnets {
		if n.IPv4SubnetID == id {
			return nil, sim.Refuse(CodeNotFound,
				"%s: %q: is the id of the subnet's IPv4 range, not of the network (use the subnet's own id, %s)", property, id, own)
		}
	}
	return nil, sim.Refuse(CodeNotFound, "%s: %q: network does not exist", property, id)
}

// ipv4Subnet finds a subnet by the id of its IPv4 range.
func (s *state) ipv4Subnet(property, id string) (own string, n *Subnet, err error) {
	for own, n := range s.Subnets {
		if n.IPv4SubnetID == id {
			return own, n, nil
		}
	}
	if n, ok := s.Subnets[id]; ok {
		return "", nil, sim.Refuse(CodeNotFound,
			"%s: %q: is the id of the network, not of the subnet's IPv4 range (use ipv4SubnetId, %s)", property, id, n.IPv4SubnetID)
	}
	return "", nil, sim.Refuse(CodeNotFound, "%s: %q: IPv4 subnet does not exist", property, id)
}

// addresses are those in use in a subnet, and by whom.
func (s *state) addresses(subnet string) map[netip.Addr]string {
	used := map[netip.Addr]string{}
	for id, i := range s.Instances {
		for _, n := range i.Networks {
			if n.UUID == subnet {
				used[n.FixedIPv4] = "instance " + id
			}
		}
	}
	n := s.Subnets[subnet]
	for id, b := range s.LoadBalancers {
		if n != nil && b.IPv4SubnetID == n.IPv4SubnetID {
			used[b.IPv4Address] = "load balancer " + id
		}
	}
	for id, t := range s.TransitIPs {
		if t.SubnetID == subnet {
			used[t.Address] = "transit IP " + id
		}
	}
	return used
}

// reserved is how many addresses at the end of a subnet the cloud keeps: two for its interfaces, and the broadcast.
const reserved = 3

// assign returns the wanted address of a subnet if it is free, or a free one if none is wanted.
func (s *state) assign(property, subnet string, wanted netip.Addr) (netip.Addr, error) {
	n, used := s.Subnets[subnet], s.addresses(subnet)
	hosts := 1 << (32 - n.CIDR.Bits())
	a := n.CIDR.Addr()
	for i := range hosts {
		usable := i > 0 && i < hosts-reserved && a != n.GatewayIP
		switch owner, taken := used[a]; {
		case a == wanted && !usable:
			return a, sim.Refuse(CodeInvalid, "%s: %s: belongs to the cloud in %s (use another address)", property, a, n.CIDR)
		case a == wanted && taken:
			return a, sim.Refuse(CodeConflict, "%s: %s: is taken by %s (use another address, or delete that first)", property, a, owner)
		case a == wanted, !wanted.IsValid() && usable && !taken:
			return a, nil
		}
		a = a.Next()
	}
	if wanted.IsValid() {
		return wanted, sim.Refuse(CodeInvalid, "%s: %s: is not in %s of subnet %s", property, wanted, n.CIDR, subnet)
	}
	return wanted, sim.Refuse(CodeQuota, "%s: no address is left in %s of subnet %s", property, n.CIDR, subnet)
}
