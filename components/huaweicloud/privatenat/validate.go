package privatenat

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/internal/problem"
	"polynat/internal/route"
)

var (
	gatewayNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	descriptions = regexp.MustCompile(`^[^<>]{0,255}$`)
)

// Validate returns every problem at once, or nil. The field paths are those of the stack configuration; name is that of the
// component, from which names are made that are not given.
func (a *Args) Validate(name string) error {
	c := &checks{Args: a, name: name}
	c.gateway()
	c.networks()
	c.transitIPs()
	for _, k := range sorted(a.Targets) {
		c.target(k)
	}
	for _, k := range sorted(a.Rules) {
		c.rule(k)
	}
	c.balancers()
	c.ports()
	c.overlaps()
	c.snat()
	c.List = append(c.List, a.Claims(name).Collisions(a.Held)...)
	return c.Err()
}

type checks struct {
	*Args
	problem.List
	name string
	vpc  netip.Prefix // of the services; invalid when it is not known
}

func (c *checks) gateway() {
	g := c.Gateway
	if name := c.gatewayName(c.name); !gatewayNames.MatchString(name) {
		c.Add("gateway.name", name, "must be 1 to 64 letters, digits, underscores and hyphens", "give the gateway another")
	}
	if g.VPCID == nil {
		c.Missing("gateway.vpcId", "name the VPC of the services")
	}
	if g.SubnetID == nil {
		c.Missing("gateway.subnetId", "name a subnet of the VPC of the services")
	}
	vpc, err := route.ParseCIDR(g.VPCCIDR)
	if err != nil {
		c.List = append(c.List, problem.Problem{Field: "gateway.vpcCidr", Rule: err.Error()})
	}
	c.vpc = vpc
	limit, ok := specs[g.spec()]
	if !ok {
		c.Add("gateway.spec", g.Spec, "must be Small, Medium, Large or Extra-Large", problem.Meant(g.Spec, "leave it out for Small", sorted(specs)...))
		return
	}
	if n := len(c.Rules) + len(c.SNATRules); n > limit {
		c.Add("gateway.spec", g.spec(), fmt.Sprintf("holds %d rules, there are %d", limit, n), "choose a larger one: Medium holds 50, Large 200, Extra-Large 500")
	} else if n := c.meanwhile(); n > limit {
		c.Add("gateway.spec", g.spec(), fmt.Sprintf("holds %d rules, there are %d until the update has deleted those that go", limit, n),
			"first take rules away by an update of its own, or choose a larger one for it")
	}
}

// gatewayName is that of the component unless Gateway says otherwise.
func (a *Args) gatewayName(name string) string {
	if a.Gateway.Name != "" {
		return a.Gateway.Name
	}
	return name
}

// meanwhile is how many rules there are in the middle of an update, of both kinds: the gateway gets its size first, then
// rules are made, and at last those deleted that are gone. One that is replaced is deleted before.
func (c *checks) meanwhile() int {
	rules := map[string]bool{}
	for _, claims := range []network.Claims{c.Held, c.Claims(c.name)} {
		for field := range claims {
			if strings.HasPrefix(field, "rules.") || strings.HasPrefix(field, "snatRules.") {
				rules[network.Holder(field)] = true
			}
		}
	}
	return len(rules)
}

func (g Gateway) spec() string {
	if g.Spec == "" {
		return defaultSpec
	}
	return g.Spec
}

func (c *checks) networks() {
	if len(c.Networks) == 0 {
		c.Missing("networks", "name at least one network of applications")
	}
	names := map[string]string{}
	for _, k := range sorted(c.Networks) {
		n, field := c.network(c.name, k), "networks."+k
		network.Key(&c.List, field, k)
		for _, other := range sorted(c.Networks) {
			if other < k && n.Crowds(c.Networks[other]) {
				c.Add(field+".subnet.cidr", n.Subnet.CIDR, "overlaps that of network "+other+" in the same VPC", "choose another, or use one network")
			}
		}
		if other, ok := names[n.VPC.Name]; ok && n.VPC.Name != "" {
			c.Add(field+".vpc.name", n.VPC.Name, "is that of network "+other+", and the cloud takes each name of a VPC once", "rename one of the two")
		}
		names[n.VPC.Name] = k
		c.List = append(c.List, n.Problems(field+".", false, c.Held)...)
		if n.VPC.ID != "" && n.VPC.ID == plain(c.Gateway.VPCID) {
			c.Add(field+".vpc.id", n.VPC.ID, "is the VPC of the services: a transit IP cannot be in the VPC that its rules lead to", "name the VPC of the applications")
		}
		if n.Subnet.ID != "" && n.Subnet.ID == plain(c.Gateway.SubnetID) {
			c.Add(field+".subnet.id", n.Subnet.ID, "is a subnet of the services: a transit IP cannot be in the VPC that its rules lead to", "name a subnet of the applications")
		}
	}
}

// plain is the value of an input that is known before anything runs.
func plain(in pulumi.StringInput) string {
	if s, ok := in.(pulumi.String); ok {
		return string(s)
	}
	return ""
}

func (c *checks) transitIPs() {
	if len(c.TransitIPs) == 0 {
		c.Missing("transitIps", "name at least one address where applications reach the services")
	}
	taken := map[string]string{}
	for _, k := range sorted(c.TransitIPs) {
		t, field := c.TransitIPs[k], "transitIps."+k
		network.Key(&c.List, field, k)
		n, ok := c.Networks[t.Network]
		if !ok {
			c.Add(field+".network", t.Network, "is not one of networks", problem.MeantKey(t.Network, c.Networks))
			continue
		}
		n.Address(&c.List, field+".address", t.Address)
		place := c.place(t) + " " + t.Address
		if other, ok := taken[place]; ok && t.Address != "" {
			c.Add(field+".address", t.Address, "is that of transit IP "+other, "choose another, or use one transit IP with several rules")
		}
		taken[place] = k
	}
}

func (c *checks) target(key string) {
	t, field := c.Targets[key], "targets."+key
	network.Key(&c.List, field, key)
	switch t.Type {
	case LoadBalancer, Instance, VirtualIP, Address:
	default:
		c.Add(field+".type", t.Type, "must be load-balancer, instance, virtual-ip or address", problem.Meant(t.Type, "say what the target is", LoadBalancer, Instance, VirtualIP, Address))
		return
	}
	if address := t.Type == Address; address != (t.Address != "") {
		if address {
			c.Missing(field+".address", "give the address")
		} else {
			c.Add(field+".address", t.Address, "is for targets of type address only", "leave it out, or change the type")
		}
	} else if a, err := netip.ParseAddr(t.Address); address && (err != nil || !a.Is4()) {
		c.Add(field+".address", t.Address, "is not an IPv4 address", "write four numbers")
	} else if address && !a.IsGlobalUnicast() {
		c.Add(field+".address", t.Address, "is not an address of a host", "give the one that answers")
	}
	if port := t.PortID != nil; port == (t.Type == Address) {
		if port {
			c.List = append(c.List, problem.Problem{Field: field + ".portId", Rule: "is not for targets of type address", WayOut: "leave it out, or change the type"})
		} else {
			c.Missing(field+".portId", "give the id of the port: of a load balancer its IPv4 port")
		}
	}
	if balancer := t.Type == LoadBalancer; balancer && len(t.Listeners) == 0 {
		c.Missing(field+".listeners", "name the listeners of the load balancer")
	} else if !balancer && len(t.Listeners) > 0 {
		c.List = append(c.List, problem.Problem{Field: field + ".listeners", Rule: "are for targets of type load-balancer only", WayOut: "leave them out, or change the type"})
	}
	for _, k := range sorted(t.Listeners) {
		l, field := t.Listeners[k], field+".listeners."+k
		if l.transport() == "" {
			c.Add(field+".protocol", l.Protocol, "must be HTTP, HTTPS, TCP, TLS, UDP or QUIC", "say what the listener speaks")
		}
		c.port(field+".port", l.Port)
	}
}

func (c *checks) port(field string, value int) bool {
	switch {
	case value == 0:
		c.Missing(field, "give a port, 1 to 65535")
	case value < 1 || value > 65535:
		c.Number(field, value, "must be 1 to 65535", "give a port")
	default:
		return true
	}
	return false
}

func (c *checks) rule(key string) {
	r, field := c.Rules[key], "rules."+key
	network.Key(&c.List, field, key)
	if !descriptions.MatchString(r.Description) {
		c.Add(field+".description", r.Description, "must be at most 255 characters without < and >", "shorten it")
	}
	if _, ok := c.TransitIPs[r.TransitIP]; !ok {
		c.Add(field+".transitIp", r.TransitIP, "is not one of transitIps", problem.MeantKey(r.TransitIP, c.TransitIPs))
	}
	target, ok := c.Targets[r.Target]
	if !ok {
		c.Add(field+".target", r.Target, "is not one of targets", problem.MeantKey(r.Target, c.Targets))
	}
	switch r.protocol() {
	case anything:
		for _, p := range []struct {
			name  string
			value int
		}{{"port", r.Port}, {"targetPort", r.TargetPort}} {
			if p.value != 0 {
				c.Number(field+"."+p.name, p.value, "is given, but protocol any is for all ports", "leave it out, or choose tcp or udp")
			}
		}
	case tcp, udp:
		c.port(field+".port", r.Port)
		if c.port(field+".targetPort", r.TargetPort) && ok && target.Type == LoadBalancer && len(target.Listeners) > 0 {
			c.listened(field, r, target)
		}
	default:
		c.Add(field+".protocol", r.Protocol, "must be tcp, udp or any", "HTTP runs on tcp")
	}
}

// listened finds a rule that leads to a load balancer and nothing there listens.
func (c *checks) listened(field string, r Rule, target Target) {
	var known []string
	spoken := ""
	for _, k := range sorted(target.Listeners) {
		l := target.Listeners[k]
		if l.Port == r.TargetPort && l.transport() == r.protocol() {
			return
		}
		if l.Port == r.TargetPort {
			spoken = l.Protocol
		}
		known = append(known, l.Protocol+" "+strconv.Itoa(l.Port))
	}
	if spoken != "" {
		c.Add(field+".protocol", r.Protocol, fmt.Sprintf("is not what the listener on port %d of %s speaks: %s", r.TargetPort, r.Target, spoken), "choose the other protocol")
		return
	}
	c.Number(field+".targetPort", r.TargetPort, "is served by no listener of "+r.Target, "use one of "+strings.Join(known, ", "))
}

// balancers finds load balancers with two rules: the cloud takes one.
func (c *checks) balancers() {
	taken := map[string]string{}
	for _, k := range sorted(c.Rules) {
		r := c.Rules[k]
		id, ok := c.balancer(r.Target)
		if !ok {
			continue
		}
		if other, ok := taken[id]; ok {
			c.Add("rules."+k+".target", r.Target, "has rule "+other+" already: the cloud takes one rule for a load balancer", "use another load balancer, or protocol any for all its ports")
		}
		taken[id] = k
	}
}

// ports finds rules that share a port of a transit IP.
func (c *checks) ports() {
	keys := sorted(c.Rules)
	for i, k := range keys {
		r := c.Rules[k]
		for _, other := range keys[:i] {
			if o := c.Rules[other]; r.meets(o) {
				c.Add("rules."+k+".port", r.socket(), fmt.Sprintf("of transit IP %s is taken by rule %s (%s)", r.TransitIP, other, o.socket()), "choose another port, or another transit IP")
			}
		}
	}
}

// meets tells whether a packet to the transit IP could be for both rules.
func (r Rule) meets(o Rule) bool {
	return r.TransitIP == o.TransitIP &&
		(r.protocol() == anything || o.protocol() == anything || r.protocol() == o.protocol() && r.Port == o.Port)
}

func (r Rule) socket() string {
	if r.protocol() == anything {
		return anything
	}
	return r.protocol() + " " + strconv.Itoa(r.Port)
}

// overlaps finds networks that a rule is reached from and whose addresses are also those of the services: nobody documents
// whether a client's address arrives as it is, and then its answer would stay in the VPC of the services. To one that an SNAT
// rule leads to, no route could. Networks without a rule, and networks among each other, may overlap.
func (c *checks) overlaps() {
	for _, k := range sorted(c.Networks) {
		vpc, err := route.ParseCIDR(c.Networks[k].VPC.CIDR)
		if err != nil {
			continue
		}
		for _, rule := range sorted(c.SNATRules) {
			if c.TransitIPs[c.SNATRules[rule].TransitIP].Network == k && c.vpc.IsValid() && c.vpc.Overlaps(vpc) {
				c.Add("networks."+k+".vpc.cidr", vpc.String(), "overlaps "+c.vpc.String()+" of the services, and SNAT rule "+rule+" leads there", "choose VPCs that do not overlap")
				break
			}
		}
		for _, rule := range sorted(c.Rules) {
			r := c.Rules[rule]
			if c.TransitIPs[r.TransitIP].Network != k {
				continue
			}
			if c.vpc.IsValid() && c.vpc.Overlaps(vpc) {
				c.Add("networks."+k+".vpc.cidr", vpc.String(), "overlaps "+c.vpc.String()+" of the services, and rule "+rule+" is reached from it", "choose VPCs that do not overlap")
				break
			}
			if a, err := netip.ParseAddr(c.Targets[r.Target].Address); err == nil && vpc.Contains(a) {
				c.Add("rules."+rule+".target", r.Target, "is "+a.String()+", in the VPC of its transit IP, network "+k, "choose a target in the VPC of the services")
			}
		}
	}
}

func (c *checks) snat() {
	var cidrs []netip.Prefix
	subnets := map[string]string{}
	for _, k := range sorted(c.SNATRules) {
		r, field := c.SNATRules[k], "snatRules."+k
		network.Key(&c.List, field, k)
		if _, ok := c.TransitIPs[r.TransitIP]; !ok {
			c.Add(field+".transitIp", r.TransitIP, "is not one of transitIps", problem.MeantKey(r.TransitIP, c.TransitIPs))
			continue
		}
		for _, other := range sorted(c.Rules) {
			if c.Rules[other].TransitIP == r.TransitIP {
				c.Add(field+".transitIp", r.TransitIP, "is used by rule "+other+": a transit IP serves one direction", "give the rule a transit IP of its own")
				break
			}
		}
		if r.CIDR != "" && r.SubnetID != "" {
			c.Add(field+".cidr", r.CIDR, "contradicts subnetId", "leave one of the two out")
			continue
		}
		if r.CIDR == "" {
			source := c.source(r)
			if other, ok := subnets[source]; ok {
				c.Add(field+".subnetId", source, "has rule "+other+" already: the cloud takes one rule for a subnet", "leave one of the two out")
			}
			subnets[source] = k
			continue
		}
		cidr, err := route.ParseCIDR(r.CIDR)
		switch {
		case err != nil:
			c.List = append(c.List, problem.Problem{Field: field + ".cidr", Rule: err.Error()})
		case c.vpc.IsValid() && (!c.vpc.Contains(cidr.Addr()) || cidr.Bits() < c.vpc.Bits()):
			c.Add(field+".cidr", r.CIDR, "is not within "+c.vpc.String()+" of the services", "choose sources there")
		default:
			cidrs = append(cidrs, cidr)
		}
	}
	if x, y, ok := route.FirstOverlap(cidrs); ok {
		c.Add("snatRules", x.String(), "overlaps "+y.String(), "choose sources that do not overlap")
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
