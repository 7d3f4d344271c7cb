package huaweicloud

import (
	"slices"

	"polynat/internal/sim"
)

// maxPort is the last port there is.
const maxPort = 65535

var loadBalancerKind = kindOf(rules[LoadBalancer]{
	prefix: "elb",
	table:  func(s *state) map[string]*LoadBalancer { return s.LoadBalancers },
	make:   func(c *Cloud, id string, b *LoadBalancer) error { return c.placeLoadBalancer(b, &LoadBalancer{}) },
	change: func(c *Cloud, id string, old, b *LoadBalancer) error {
		if old.CrossVPCBackend && !b.CrossVPCBackend {
			return sim.Refuse(CodeInvalid, "crossVpcBackend: false: once it is true it stays (set it to true)")
		}
		return c.placeLoadBalancer(b, old)
	},
	remove: func(s *state, id string, b *LoadBalancer) error {
		if b.DeletionProtection {
			return sim.Refuse(CodeProtection, "load balancer: %q: is protected (set deletionProtectionEnable to false first)", id)
		}
		for rule, r := range s.DNATRules {
			if r.InterfaceID == b.IPv4PortID {
				return sim.Refuse(CodeInUse, "load balancer: %q: DNAT rule %s still leads to its port (delete that first)", id, rule)
			}
		}
		for listener, l := range s.Listeners {
			if l.LoadBalancerID == id && !b.ForceDelete {
				return sim.Refuse(CodeInUse, "load balancer: %q: still has listener %s (delete it first)", id, listener)
			}
		}
		for pool, p := range s.Pools {
			if p.LoadBalancerID == id && !b.ForceDelete {
				return sim.Refuse(CodeInUse, "load balancer: %q: backend server group %s is still associated (delete it first)", id, pool)
			}
		}
		for listener, l := range s.Listeners {
			if l.LoadBalancerID == id {
				delete(s.Listeners, listener)
			}
		}
		return nil
	},
})

// placeLoadBalancer checks a load balancer and gives it its address and port. Moving to another address takes another
// port.
func (c *Cloud) placeLoadBalancer(b, old *LoadBalancer) error {
	s := &c.state
	for _, z := range b.Zones {
		if !slices.Contains(c.opts.Zones, z) {
			return sim.Refuse(CodeInvalid, "availabilityZones: %q: is not one of %v", z, c.opts.Zones)
		}
	}
	if len(b.Zones) == 0 {
		return sim.Refuse(CodeInvalid, "load balancer %s: has no zone (set availabilityZones)", b.Name)
	}
	if b.IPv4SubnetID == "" {
		return sim.Refuse(CodeInvalid, "load balancer %s: has no private IPv4 frontend (set ipv4SubnetId)", b.Name)
	}
	network, n, err := s.ipv4Subnet("ipv4SubnetId", b.IPv4SubnetID)
	if err != nil {
		return err
	}
	if b.VPCID == "" {
		b.VPCID = n.VPCID
	}
	if b.VPCID != n.VPCID {
		return sim.Refuse(CodeInvalid, "ipv4SubnetId: %q: is in %s, not in vpcId %s", b.IPv4SubnetID, n.VPCID, b.VPCID)
	}
	if len(b.BackendSubnets) == 0 {
		b.BackendSubnets = []string{network}
	}
	for _, id := range b.BackendSubnets {
		backend, err := s.network("backendSubnets", id)
		if err != nil {
			return err
		}
		if backend.VPCID != b.VPCID {
			return sim.Refuse(CodeInvalid, "backendSubnets: %q: is in %s, not in the load balancer's %s", id, backend.VPCID, b.VPCID)
		}
	}
	if b.IPv4SubnetID == old.IPv4SubnetID && b.IPv4Address == old.IPv4Address {
		return nil
	}
	if b.IPv4Address == old.IPv4Address && !n.CIDR.Contains(b.IPv4Address) {
		b.IPv4Address = none
	}
	if b.IPv4Address, err = s.assign("ipv4Address", network, b.IPv4Address); err != nil {
		return err
	}
	b.IPv4PortID = s.newID(portPrefix)
	return nil
}

// transports are the protocols under those that listeners speak.
var transports = map[string]string{
	"TCP": "tcp", "HTTP": "tcp", "HTTPS": "tcp", "TLS": "tcp", "UDP": "udp", "QUIC": "udp",
}

// backends are the protocols of the pools that a listener can send to.
var backends = map[string][]string{
	"TCP": {"TCP"}, "UDP": {"UDP", "QUIC"}, "HTTP": {"HTTP"}, "HTTPS": {"HTTP", "HTTPS", "GRPC"},
	"TLS": {"TLS", "TCP"}, "QUIC": {"HTTP", "HTTPS", "GRPC"}, "IP": {"IP"},
}

var listenerKind = kindOf(rules[Listener]{
	prefix: "listener",
	table:  func(s *state) map[string]*Listener { return s.Listeners },
	make: func(c *Cloud, id string, l *Listener) error {
		s := &c.state
		b, err := find(s.LoadBalancers, "load balancer", l.LoadBalancerID)
		if err != nil {
			return err
		}
		if l.Protocol != "IP" && (l.Port < 1 || l.Port > maxPort) {
			return sim.Refuse(CodeInvalid, "protocolPort: %d: is not a port (use 1 to %d)", l.Port, maxPort)
		}
		network := l.Protocol == "TCP" || l.Protocol == "UDP" || l.Protocol == "TLS" || l.Protocol == "IP"
		if network && b.L4FlavorID == "" && b.L7FlavorID != "" || !network && b.L7FlavorID == "" && b.L4FlavorID != "" {
			return sim.Refuse(CodeInvalid,
				"protocol: %q: load balancer %s has no flavor for it (set l4FlavorId for TCP, UDP and TLS, l7FlavorId for HTTP, HTTPS and QUIC)",
				l.Protocol, l.LoadBalancerID)
		}
		for other, o := range s.Listeners {
			if other != id && o.LoadBalancerID == l.LoadBalancerID && o.Port == l.Port && transports[o.Protocol] == transports[l.Protocol] {
				return sim.Refuse(CodeConflict, "protocolPort: %d: listener %s of the load balancer has it (delete that first)", l.Port, other)
			}
		}
		if (l.AccessPolicy == "") != (l.IPGroup == "") {
			return sim.Refuse(CodeInvalid, "listener: accessPolicy and ipGroup go together (set both or neither)")
		}
		return s.checkPool(l, b)
	},
	remove: func(s *state, id string, _ *Listener) error {
		for _, p := range s.Pools {
			if p.ListenerID == id {
				p.ListenerID = ""
			}
		}
		return nil
	},
})

// checkPool checks that the listener's pool fits it.
func (s *state) checkPool(l *Listener, b *LoadBalancer) error {
	if l.DefaultPoolID == "" {
		return nil
	}
	p, err := find(s.Pools, "backend server group", l.DefaultPoolID)
	if err != nil {
		return err
	}
	if !slices.Contains(backends[l.Protocol], p.Protocol) {
		return sim.Refuse(CodeInvalid, "defaultPoolId: %q: speaks %s, and a listener of %s needs %v", l.DefaultPoolID, p.Protocol, l.Protocol, backends[l.Protocol])
	}
	if p.VPCID != "" && p.VPCID != b.VPCID {
		return sim.Refuse(CodeInvalid, "defaultPoolId: %q: is in %s, not in the load balancer's %s", l.DefaultPoolID, p.VPCID, b.VPCID)
	}
	if p.LoadBalancerID != "" && p.LoadBalancerID != l.LoadBalancerID {
		return sim.Refuse(CodeConflict, "defaultPoolId: %q: belongs to load balancer %s", l.DefaultPoolID, p.LoadBalancerID)
	}
	return nil
}

var poolKind = kindOf(rules[Pool]{
	prefix: "pool",
	table:  func(s *state) map[string]*Pool { return s.Pools },
	make: func(c *Cloud, id string, p *Pool) error {
		s := &c.state
		if p.LoadBalancerID == "" && p.ListenerID == "" && p.Type == "" {
			return sim.Refuse(CodeInvalid, "backend server group: needs loadbalancerId, listenerId or type (set one)")
		}
		if p.ListenerID != "" {
			l, err := find(s.Listeners, "listener", p.ListenerID)
			if err != nil {
				return err
			}
			if p.LoadBalancerID == "" {
				p.LoadBalancerID = l.LoadBalancerID
			}
			if l.DefaultPoolID != "" && l.DefaultPoolID != id {
				return sim.Refuse(CodeConflict, "listenerId: %q: has default backend server group %s already", p.ListenerID, l.DefaultPoolID)
			}
			if !slices.Contains(backends[l.Protocol], p.Protocol) {
				return sim.Refuse(CodeInvalid, "protocol: %q: a listener of %s needs %v", p.Protocol, l.Protocol, backends[l.Protocol])
			}
		}
		if p.LoadBalancerID != "" {
			b, err := find(s.LoadBalancers, "load balancer", p.LoadBalancerID)
			if err != nil {
				return err
			}
			if p.VPCID == "" {
				p.VPCID = b.VPCID
			}
			if p.VPCID != b.VPCID {
				return sim.Refuse(CodeInvalid, "vpcId: %q: is not the load balancer's %s", p.VPCID, b.VPCID)
			}
		} else if p.VPCID != "" {
			if _, err := find(s.VPCs, "VPC", p.VPCID); err != nil {
				return err
			}
		}
		if l, ok := s.Listeners[p.ListenerID]; ok {
			l.DefaultPoolID = id
		}
		return nil
	},
	remove: func(s *state, id string, p *Pool) error {
		if p.DeletionProtection {
			return sim.Refuse(CodeProtection, "backend server group: %q: is protected (set deletionProtectionEnable to false first)", id)
		}
		for listener, l := range s.Listeners {
			if l.DefaultPoolID == id {
				return sim.Refuse(CodeInUse, "backend server group: %q: listener %s still sends to it (delete that first)", id, listener)
			}
		}
		for member, m := range s.Members {
			if m.PoolID == id {
				return sim.Refuse(CodeInUse, "backend server group: %q: still has member %s (delete it first)", id, member)
			}
		}
		for monitor, m := range s.Monitors {
			if m.PoolID == id {
				return sim.Refuse(CodeInUse, "backend server group: %q: still has health check %s (delete it first)", id, monitor)
			}
		}
		return nil
	},
})

var memberKind = kindOf(rules[Member]{
	prefix: "member",
	table:  func(s *state) map[string]*Member { return s.Members },
	make: func(c *Cloud, id string, m *Member) error {
		s := &c.state
		p, err := find(s.Pools, "backend server group", m.PoolID)
		if err != nil {
			return err
		}
		if m.Port == 0 && !p.AnyPort || m.Port < 0 || m.Port > maxPort {
			return sim.Refuse(CodeInvalid, "protocolPort: %d: is not a port (use 1 to %d)", m.Port, maxPort)
		}
		if m.SubnetID == "" {
			if b, ok := s.LoadBalancers[p.LoadBalancerID]; !ok || !b.CrossVPCBackend {
				return sim.Refuse(CodeInvalid, "member %s: has no subnetId, and its load balancer no crossVpcBackend (set subnetId)", m.Address)
			}
		} else {
			_, n, err := s.ipv4Subnet("subnetId", m.SubnetID)
			if err != nil {
				return err
			}
			if p.VPCID != "" && n.VPCID != p.VPCID {
				return sim.Refuse(CodeInvalid, "subnetId: %q: is in %s, not in the group's %s", m.SubnetID, n.VPCID, p.VPCID)
			}
			if !n.CIDR.Contains(m.Address) {
				return sim.Refuse(CodeInvalid, "address: %s: is not in %s of the subnet", m.Address, n.CIDR)
			}
		}
		for other, o := range s.Members {
			if other != id && o.PoolID == m.PoolID && o.Address == m.Address && o.Port == m.Port {
				return sim.Refuse(CodeConflict, "member %s:%d: %s is the same (delete that first)", m.Address, m.Port, other)
			}
		}
		if m.Weight == nil {
			weight := 1
			m.Weight = &weight
		}
		return nil
	},
})

var monitorKind = kindOf(rules[Monitor]{
	prefix: "monitor",
	table:  func(s *state) map[string]*Monitor { return s.Monitors },
	make: func(c *Cloud, id string, m *Monitor) error {
		p, err := find(c.state.Pools, "backend server group", m.PoolID)
		if err != nil {
			return err
		}
		if p.MonitorID != "" && p.MonitorID != id {
			return sim.Refuse(CodeConflict, "health check: the backend server group has %s (delete that first)", p.MonitorID)
		}
		for _, limit := range []struct {
			name       string
			value, max int
		}{{"interval", m.Interval, 50}, {"timeout", m.Timeout, 50}, {"maxRetries", m.MaxRetries, 10}} {
			if limit.value < 1 || limit.value > limit.max {
				return sim.Refuse(CodeInvalid, "%s: %d: is not 1 to %d", limit.name, limit.value, limit.max)
			}
		}
		if (m.Protocol == "HTTP" || m.Protocol == "HTTPS") && m.URLPath == "" {
			return sim.Refuse(CodeInvalid, "urlPath: missing: a health check by %s needs one (set it, such as /)", m.Protocol)
		}
		p.MonitorID = id
		return nil
	},
	remove: func(s *state, _ string, m *Monitor) error {
		if p, ok := s.Pools[m.PoolID]; ok {
			p.MonitorID = ""
		}
		return nil
	},
})
