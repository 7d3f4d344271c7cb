package huaweicloud

import (
	"net/netip"
	"strings"

	"polynat/internal/sim"
)

var none netip.Addr

// capacity is how many rules a gateway of a specification holds, DNAT and SNAT together.
var capacity = map[string]int{"Small": 20, "Medium": 50, "Large": 200, "Extra-Large": 500}

var gatewayKind = kindOf(rules[Gateway]{
	prefix: "privatenat",
	table:  func(s *state) map[string]*Gateway { return s.Gateways },
	make: func(c *Cloud, _ string, g *Gateway) error {
		n, err := c.state.network("subnetId", g.SubnetID)
		if err != nil {
			return err
		}
		if g.VPCID = n.VPCID; g.Spec == "" {
			g.Spec = "Small"
		}
		g.Status, g.Pending = "PENDING_CREATE", c.opts.Activation+1
		g.HidesClients = c.opts.HideClients
		return checkName("private NAT gateway", gatewaySigns, g.Name)
	},
	change: func(c *Cloud, id string, _, g *Gateway) error {
		if n := c.state.rulesOf(id); n > capacity[g.Spec] {
			return sim.Refuse(CodeQuota, "spec: %q: holds %d rules, and the gateway has %d (use a larger one)", g.Spec, capacity[g.Spec], n)
		}
		return checkName("private NAT gateway", gatewaySigns, g.Name)
	},
	remove: func(s *state, id string, _ *Gateway) error {
		if n := s.rulesOf(id); n > 0 {
			return sim.Refuse(CodeInUse, "private NAT gateway: %q: still has %d rules (delete them first)", id, n)
		}
		return nil
	},
})

// rulesOf counts the rules of a gateway.
func (s *state) rulesOf(gateway string) int {
	n := 0
	for _, r := range s.DNATRules {
		if r.GatewayID == gateway {
			n++
		}
	}
	for _, r := range s.SNATRules {
		if r.GatewayID == gateway {
			n++
		}
	}
	return n
}

var transitIPKind = kindOf(rules[TransitIP]{
	prefix: "transitip",
	table:  func(s *state) map[string]*TransitIP { return s.TransitIPs },
	make: func(c *Cloud, _ string, t *TransitIP) error {
		if _, err := c.state.network("subnetId", t.SubnetID); err != nil {
			return err
		}
		var err error
		if t.Address, err = c.state.assign("ipAddress", t.SubnetID, t.Address); err != nil {
			return err
		}
		t.InterfaceID = c.state.newID(portPrefix)
		return nil
	},
	change: func(*Cloud, string, *TransitIP, *TransitIP) error { return nil },
	remove: func(s *state, id string, _ *TransitIP) error {
		if g := s.gatewayOf(id, ""); g != "" {
			return sim.Refuse(CodeInUse, "transit IP: %q: rules of gateway %s still use it (delete them first)", id, g)
		}
		return nil
	},
	show: func(s *state, id string, _ *TransitIP, out sim.Object) { out["gatewayId"] = s.gatewayOf(id, "") },
})

// gatewayOf is the gateway whose rules, other than one, use a transit IP.
func (s *state) gatewayOf(transitIP, except string) string {
	for id, r := range s.DNATRules {
		if r.TransitIPID == transitIP && id != except {
			return r.GatewayID
		}
	}
	for id, r := range s.SNATRules {
		if r.TransitIPID == transitIP && id != except {
			return r.GatewayID
		}
	}
	return ""
}

// usersOf are the kinds of the rules that use a transit IP, by their ids.
func (s *state) usersOf(transitIP string) map[string]string {
	users := map[string]string{}
	for id, r := range s.DNATRules {
		if r.TransitIPID == transitIP {
			users[id] = dnat
		}
	}
	for id, r := range s.SNATRules {
		if r.TransitIPID == transitIP {
			users[id] = snat
		}
	}
	return users
}

// Directions of rules.
const (
	dnat = "DNAT"
	snat = "SNAT"
)

// bind checks what rules of both kinds need: an ACTIVE gateway with room, and a transit IP in another VPC that serves no rule
// of the other kind.
func (c *Cloud) bind(direction, rule, gateway, transitIP string, isNew bool) (*Gateway, *TransitIP, error) {
	s := &c.state
	g, err := find(s.Gateways, "private NAT gateway", gateway)
	if err != nil {
		return nil, nil, err
	}
	t, err := find(s.TransitIPs, "transit IP", transitIP)
	if err != nil {
		return nil, nil, err
	}
	if g.Status != active {
		return nil, nil, sim.Refuse(CodeNotActive, "private NAT gateway: %q: is %s (make rules when it is %s)", gateway, g.Status, active)
	}
	if n := s.rulesOf(gateway); isNew && n >= capacity[g.Spec] {
		return nil, nil, sim.Refuse(CodeQuota, "private NAT gateway: %q: spec %s holds %d rules (use a larger spec)", gateway, g.Spec, n)
	}
	if n := s.Subnets[t.SubnetID]; n.VPCID == g.VPCID {
		return nil, nil, sim.Refuse(CodeInvalid,
			"transitIpId: %q: is in %s, and so is the destination (put the transit IP into the consumers' VPC)", transitIP, g.VPCID)
	}
	for other, kind := range s.usersOf(transitIP) {
		if other != rule && kind != direction {
			return nil, nil, sim.Refuse(CodeConflict, "transitIpId: %q: %s rule %s uses it, and it serves one direction (use another transit IP)", transitIP, kind, other)
		}
	}
	if other := s.gatewayOf(transitIP, rule); c.opts.OneGateway && other != "" && other != gateway {
		return nil, nil, sim.Refuse(CodeConflict, "transitIpId: %q: rules of gateway %s use it (use another transit IP)", transitIP, other)
	}
	return g, t, nil
}

var dnatRuleKind = kindOf(rules[DNATRule]{
	prefix: "dnat",
	table:  func(s *state) map[string]*DNATRule { return s.DNATRules },
	make:   func(c *Cloud, id string, r *DNATRule) error { return c.checkDNAT(id, r, true) },
	change: func(c *Cloud, id string, old, r *DNATRule) error {
		if r.InterfaceID != "" && r.PrivateIP != "" {
			// What is not given keeps its value, so the one that changed is the one that was given.
			if r.PrivateIP != old.PrivateIP {
				r.InterfaceID = ""
			} else {
				r.PrivateIP = ""
			}
		}
		return c.checkDNAT(id, r, false)
	},
})

func (c *Cloud) checkDNAT(id string, r *DNATRule, isNew bool) error {
	s := &c.state
	g, t, err := c.bind(dnat, id, r.GatewayID, r.TransitIPID, isNew)
	if err != nil {
		return err
	}
	if r.Protocol == "" {
		r.Protocol = "any"
	}
	for _, p := range []struct {
		name string
		port int
	}{{"transitServicePort", r.TransitPort}, {"internalServicePort", r.InternalPort}} {
		switch {
		case r.Protocol == "any" && p.port != 0:
			return sim.Refuse(CodeInvalid, "%s: %d: protocol any takes all ports (leave it out)", p.name, p.port)
		case r.Protocol != "any" && (p.port < 1 || p.port > maxPort):
			return sim.Refuse(CodeInvalid, "%s: %d: is not a port of %s (use 1 to %d)", p.name, p.port, r.Protocol, maxPort)
		}
	}
	if err := s.checkBackend(id, r, g, t); err != nil {
		return err
	}
	for other, o := range s.DNATRules {
		if other == id || o.TransitIPID != r.TransitIPID {
			continue
		}
		if o.Protocol == "any" || r.Protocol == "any" || o.Protocol == r.Protocol && o.TransitPort == r.TransitPort {
			return sim.Refuse(CodeConflict, "transitServicePort: %d/%s: rule %s has it on this transit IP (use another port)", r.TransitPort, r.Protocol, other)
		}
	}
	return nil
}

// checkBackend finds out what a rule leads to. A load balancer takes one rule.
func (s *state) checkBackend(id string, r *DNATRule, g *Gateway, t *TransitIP) error {
	if (r.InterfaceID == "") == (r.PrivateIP == "") {
		return sim.Refuse(CodeInvalid, "DNAT rule: needs either backendInterfaceId or backendPrivateIp (set one of them)")
	}
	if r.PrivateIP != "" {
		a, err := netip.ParseAddr(r.PrivateIP)
		if err != nil || !a.Is4() {
			return sim.Refuse(CodeInvalid, "backendPrivateIp: %q: is not an IPv4 address", r.PrivateIP)
		}
		// It may be outside of the gateway's VPC, such as on premises, but not where the transit IP is.
		if vpc := s.vpcOf(t.SubnetID); !s.inVPC(g.VPCID, a) && s.inVPC(vpc, a) {
			return sim.Refuse(CodeInvalid, "backendPrivateIp: %q: is in %s, and so is the transit IP (lead the rule to another VPC)", r.PrivateIP, vpc)
		}
		r.BackendType = "CUSTOMIZE"
	}
	balancer := s.balancerOf(r)
	for other, o := range s.DNATRules {
		if other != id && balancer != "" && s.balancerOf(o) == balancer {
			return sim.Refuse(CodeConflict,
				"DNAT rule: %s leads to load balancer %s, which takes one rule (delete that rule first)", other, balancer)
		}
	}
	if r.PrivateIP != "" {
		return nil
	}
	var vpc string
	if balancer != "" {
		vpc, r.BackendType = s.LoadBalancers[balancer].VPCID, "ELBv3"
	} else if i, _ := s.instanceAt(r.InterfaceID); i != nil {
		vpc, r.BackendType = s.Subnets[i.Networks[0].UUID].VPCID, "COMPUTE"
	} else if s.foreign(r.InterfaceID) {
		vpc, r.BackendType = g.VPCID, "VIP"
	} else {
		return sim.Refuse(CodeNotFound, "backendInterfaceId: %q: is no port of a load balancer or an instance", r.InterfaceID)
	}
	if vpc != g.VPCID {
		return sim.Refuse(CodeInvalid, "backendInterfaceId: %q: is in %s, not in the gateway's VPC %s", r.InterfaceID, vpc, g.VPCID)
	}
	return nil
}

// foreign reports whether a port is none that this cloud has made or knows, such as that of a virtual IP. It is taken to be
// in the gateway's VPC and to answer.
func (s *state) foreign(port string) bool {
	for _, b := range s.LoadBalancers {
		if b.IPv4PortID == port {
			return false
		}
	}
	i, _ := s.instanceAt(port)
	return i == nil && !strings.HasPrefix(port, portPrefix+"-")
}

func (s *state) inVPC(vpc string, a netip.Addr) bool {
	v, ok := s.VPCs[vpc]
	if !ok {
		return false
	}
	return v.holds(netip.PrefixFrom(a, a.BitLen()))
}

// balancerOf is the load balancer that a rule leads to, by its port or its address, "" if it leads to none.
func (s *state) balancerOf(r *DNATRule) string {
	for id, b := range s.LoadBalancers {
		g, ok := s.Gateways[r.GatewayID]
		if r.InterfaceID != "" && b.IPv4PortID == r.InterfaceID ||
			r.PrivateIP != "" && b.IPv4Address.String() == r.PrivateIP && ok && b.VPCID == g.VPCID {
			return id
		}
	}
	return ""
}

// instanceAt is the instance whose port it is, and the port's address.
func (s *state) instanceAt(port string) (*Instance, netip.Addr) {
	for _, i := range s.Instances {
		for _, n := range i.Networks {
			if n.Port == port {
				return i, n.FixedIPv4
			}
		}
	}
	return nil, none
}

var snatRuleKind = kindOf(rules[SNATRule]{
	prefix: "snat",
	table:  func(s *state) map[string]*SNATRule { return s.SNATRules },
	make:   func(c *Cloud, id string, r *SNATRule) error { return c.checkSNAT(id, r, true) },
	change: func(c *Cloud, id string, _, r *SNATRule) error { return c.checkSNAT(id, r, false) },
})

func (c *Cloud) checkSNAT(id string, r *SNATRule, isNew bool) error {
	s := &c.state
	g, t, err := c.bind(snat, id, r.GatewayID, r.TransitIPID, isNew)
	if err != nil {
		return err
	}
	if (r.SubnetID == "") == !r.CIDR.IsValid() {
		return sim.Refuse(CodeInvalid, "SNAT rule: needs either subnetId or cidr (set one of them)")
	}
	if r.SubnetID != "" {
		n, err := s.network("subnetId", r.SubnetID)
		if err != nil {
			return err
		}
		if n.VPCID != g.VPCID {
			return sim.Refuse(CodeInvalid, "subnetId: %q: is in %s, not in the gateway's VPC %s", r.SubnetID, n.VPCID, g.VPCID)
		}
	}
	for other, o := range s.SNATRules {
		if other != id && o.GatewayID == r.GatewayID && o.SubnetID == r.SubnetID && o.CIDR == r.CIDR {
			return sim.Refuse(CodeConflict, "SNAT rule: %s has the same source (delete that first)", other)
		}
	}
	r.TransitIPAddress = t.Address
	return nil
}

// kinds are the resource types.
var kinds = map[string]kind{
	"huaweicloud:index/vpc:Vpc":                                       vpcKind,
	"huaweicloud:index/vpcSubnet:VpcSubnet":                           subnetKind,
	"huaweicloud:index/networkingSecgroup:NetworkingSecgroup":         securityGroupKind,
	"huaweicloud:index/networkingSecgroupRule:NetworkingSecgroupRule": securityRuleKind,
	"huaweicloud:index/computeInstance:ComputeInstance":               instanceKind,
	"huaweicloud:index/elbLoadbalancer:ElbLoadbalancer":               loadBalancerKind,
	"huaweicloud:index/elbListener:ElbListener":                       listenerKind,
	"huaweicloud:index/elbPool:ElbPool":                               poolKind,
	"huaweicloud:index/elbMember:ElbMember":                           memberKind,
	"huaweicloud:index/elbMonitor:ElbMonitor":                         monitorKind,
	gatewayType: gatewayKind,
	transitType: transitIPKind,
	dnatType:    dnatRuleKind,
	snatType:    snatRuleKind,
}

// Types that lookups name too.
const (
	gatewayType = "huaweicloud:index/natPrivateGateway:NatPrivateGateway"
	transitType = "huaweicloud:index/natPrivateTransitIp:NatPrivateTransitIp"
	dnatType    = "huaweicloud:index/natPrivateDnatRule:NatPrivateDnatRule"
	snatType    = "huaweicloud:index/natPrivateSnatRule:NatPrivateSnatRule"
)
