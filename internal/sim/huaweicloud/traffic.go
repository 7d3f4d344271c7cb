package huaweicloud

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Traffic follows the DNAT rules of a region across changes: after each, does a new connection from the clients of the
// transit IP's VPC reach what the rule leads to, does the established one hold, and does nothing else get through. Call
// [Traffic.Observe] after each change. It is not safe for concurrent use (calls from [Cloud.OnChange] never overlap).
type Traffic struct {
	cloud *Cloud
	// paths are the established connections of the rules that are followed; a path that is zero has none.
	paths map[string]path
	ends  bool // rules that are gone are not missed
	// opened is what the program is to open; nil takes the rules' word for it.
	opened func() []Opening
}

// Opening is a port of a transit IP, or all of protocol any, behind which something is to be reached.
type Opening struct {
	// Transit is the name by which a program knows the transit IP.
	Transit  string
	Protocol string
	Port     int
}

// Opens says what is to be reached, by the configuration: whatever the rules open beyond it is a leak.
func (t *Traffic) Opens(opened func() []Opening) { t.opened = opened }

// path is what an established connection hangs on.
type path struct {
	transit      netip.Addr
	protocol     string
	port         int
	gateway      string
	loadBalancer string
	addr         netip.Addr // of the member, or of what the rule leads to
	memberPort   int
}

// Sample is what the rules saw after one change.
type Sample struct {
	// Unreached names the rules whose destination no new connection reaches, and says why.
	Unreached []string
	// Cut names the rules whose established connection ended.
	Cut []string
	// Leaks are connections that got from the consumers' VPC into another one, and not by a rule.
	Leaks []string
}

// NewTraffic follows the rules that there are and those that are made from now on.
func NewTraffic(c *Cloud) *Traffic {
	t := &Traffic{cloud: c, paths: map[string]path{}}
	t.Observe()
	return t
}

// End says that the rules are about to be taken away: one that is gone is not followed on.
func (t *Traffic) End() { t.ends = true }

// Observe tries everything once. A rule that is gone is followed on: it does not reach anything, unless [Traffic.End] was
// called.
func (t *Traffic) Observe() Sample {
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	s := &t.cloud.state
	now := map[string][]string{} // rules by their names
	for _, id := range sorted(s.DNATRules) {
		name := s.nameOf(dnatType, id)
		now[name] = append(now[name], id)
		if _, ok := t.paths[name]; !ok {
			t.paths[name] = path{}
		}
	}
	var sample Sample
	for _, name := range slices.Sorted(maps.Keys(t.paths)) {
		if len(now[name]) == 0 && t.ends {
			delete(t.paths, name)
			continue
		}
		reached, why := path{}, "the rule is gone"
		for _, id := range now[name] {
			// While a rule is replaced there may be two; one that works is enough.
			if reached, why = s.try(id); why == "" {
				break
			}
		}
		before := t.paths[name]
		if why != "" {
			sample.Unreached = append(sample.Unreached, fmt.Sprintf("rule %s: %s", name, why))
		}
		if before != (path{}) && reached != before {
			sample.Cut = append(sample.Cut, "rule "+name)
		}
		t.paths[name] = reached
	}
	sample.Leaks = s.leaks(usualPorts, t.opened)
	return sample
}

// Reached says of each rule that reaches something what that is, such as "192.168.0.3:80 -> ELB01 -> ECS-B:80".
func (t *Traffic) Reached() []string {
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(t.paths)) {
		p := t.paths[name]
		if p == (path{}) {
			continue
		}
		text := fmt.Sprintf("%s:%d -> ", p.transit, p.port)
		if b, ok := t.cloud.state.LoadBalancers[p.loadBalancer]; ok {
			text += b.Name + " -> "
		}
		to := p.addr.String()
		for _, i := range t.cloud.state.Instances {
			if i.AccessIPv4 == to {
				to = i.Name
			}
		}
		texts = append(texts, fmt.Sprintf("%s%s:%d", text, to, p.memberPort))
	}
	return texts
}

// Rules is how many rules are followed.
func (t *Traffic) Rules() int { return len(t.paths) }

// nameOf is the name by which a program knows an object, so that one that is replaced stays the same.
func (s *state) nameOf(typ, id string) string {
	if d := s.Declared[key(typ, id)]; d.URN != "" {
		return d.URN[strings.LastIndex(d.URN, "::")+2:]
	}
	return id
}

// try connects to a rule's transit IP from every client of that VPC. It returns the path, and why one does not get there.
func (s *state) try(rule string) (path, string) {
	r := s.DNATRules[rule]
	t, ok := s.TransitIPs[r.TransitIPID]
	if !ok {
		return path{}, "its transit IP is gone"
	}
	var p path
	for _, client := range s.clients(s.vpcOf(t.SubnetID)) {
		var d Delivery
		for _, probe := range s.probes(r) {
			d = s.connect(client, t.Address, probe.protocol, probe.port)
			p = path{t.Address, probe.protocol, probe.port, r.GatewayID, d.LoadBalancer, d.Addr, d.Port}
			if d.Reached() {
				break
			}
		}
		if !d.Reached() {
			return path{}, fmt.Sprintf("from %s to %s:%d/%s: %s", client.Addr, p.transit, p.port, p.protocol, d.Refused)
		}
	}
	return p, ""
}

type probe struct {
	protocol string
	port     int
}

// probes are what to try on a rule: its port, or where it takes all of them, those that the destination listens on.
func (s *state) probes(r *DNATRule) []probe {
	if r.Protocol != "any" {
		return []probe{{r.Protocol, r.TransitPort}}
	}
	var probes []probe
	if b := s.balancerOf(r); b != "" {
		for _, id := range sorted(s.Listeners) {
			if l := s.Listeners[id]; l.LoadBalancerID == b {
				probes = append(probes, probe{transports[l.Protocol], l.Port})
			}
		}
	}
	if i, _ := s.instanceAt(r.InterfaceID); i != nil {
		for _, id := range sorted(s.SecurityRules) {
			if rule := s.SecurityRules[id]; slices.Contains(i.SecurityGroupIDs, rule.GroupID) && rule.Direction == "ingress" {
				protocol := rule.Protocol
				if protocol == "" {
					protocol = "tcp"
				}
				ranges, _ := rule.ranges()
				probes = append(probes, probe{protocol, ranges[0].from})
			}
		}
	}
	if len(probes) == 0 {
		probes = []probe{{"tcp", 80}}
	}
	return probes
}

// usualPorts are swept beside those that rules and listeners name and their neighbors.
var usualPorts = []int{1, 22, 80, 443, 3389, 8080, maxPort}

// Leaks sweeps what the clients of each transit IP's VPC can reach in other VPCs: every address that somebody has there,
// and the ends of every subnet, at these ports, those of rules and listeners, and their neighbors. It returns what
// answered although no rule leads there.
func (c *Cloud) Leaks(ports []int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.leaks(ports, nil)
}

func (s *state) leaks(ports []int, opened func() []Opening) []string {
	declared := s.declared
	if opened != nil {
		openings := opened()
		declared = func(rule string, a netip.Addr, protocol string, port int) bool {
			return s.declared(rule, a, protocol, port) && slices.ContainsFunc(openings, func(o Opening) bool {
				return o.Transit == s.nameOf(transitType, s.DNATRules[rule].TransitIPID) &&
					(o.Protocol == "any" || o.Protocol == protocol && o.Port == port)
			})
		}
	}
	ports = s.sweptPorts(ports)
	vpcs := map[string]bool{}
	for _, t := range s.TransitIPs {
		vpcs[s.vpcOf(t.SubnetID)] = true
	}
	found := map[string]bool{}
	for vpc := range vpcs {
		targets := s.sweptAddresses(vpc)
		for _, client := range s.clients(vpc) {
			for _, a := range targets {
				for _, protocol := range []string{"tcp", "udp"} {
					for _, port := range ports {
						d := s.connect(client, a, protocol, port)
						if d.Reached() && d.VPC != vpc && !declared(d.Rule, a, protocol, port) {
							found[fmt.Sprintf("from %s of %s to %s:%d/%s: reaches %s:%d in %s, and no rule is to lead there",
								client.Addr, vpc, a, port, protocol, d.Addr, d.Port, d.VPC)] = true
						}
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// declared reports whether the rule is for this address and port.
func (s *state) declared(rule string, a netip.Addr, protocol string, port int) bool {
	r, ok := s.DNATRules[rule]
	if !ok {
		return false
	}
	t, ok := s.TransitIPs[r.TransitIPID]
	return ok && t.Address == a && (r.Protocol == "any" || r.Protocol == protocol && r.TransitPort == port)
}

func (s *state) sweptPorts(ports []int) []int {
	ports = slices.Clone(ports)
	add := func(port int) {
		if port > 0 {
			ports = append(ports, port, max(1, port-1), min(maxPort, port+1))
		}
	}
	for _, r := range s.DNATRules {
		add(r.TransitPort)
		add(r.InternalPort)
	}
	for _, l := range s.Listeners {
		add(l.Port)
	}
	for _, m := range s.Members {
		add(m.Port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// sweptAddresses are those of all transit IPs of the VPC and all that mean anything in other VPCs.
func (s *state) sweptAddresses(vpc string) []netip.Addr {
	var all []netip.Addr
	for id, n := range s.Subnets {
		if n.VPCID != vpc {
			all = append(all, n.GatewayIP, n.CIDR.Addr().Next(), last(n.CIDR))
			all = slices.AppendSeq(all, maps.Keys(s.addresses(id)))
			continue
		}
		for _, t := range s.TransitIPs {
			if t.SubnetID == id {
				all = append(all, t.Address)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
