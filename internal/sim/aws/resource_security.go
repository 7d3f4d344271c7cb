package aws

import (
	"net/netip"
	"slices"
	"strconv"

	"polynat/internal/sim"
)

var groupKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		vpcID := sim.Text(in, "vpcId")
		if _, err := s.vpc(vpcID); err != nil {
			return "", nil, err
		}
		name := sim.Text(in, "name", "namePrefix")
		for _, g := range s.Groups {
			if g.VPC == vpcID && g.Name == name {
				return "", nil, refuse("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpcID)
			}
		}
		id := s.newID("sg")
		g := &securityGroup{VPC: vpcID, Name: name, Description: sim.Text(in, "description"), Rules: map[string]sgRule{}, Tags: tagsOf(in)}
		if err := inlineRules(s, g, id, in); err != nil {
			return "", nil, err
		}
		s.Groups[id] = g
		return id, sim.Object{"arn": c.arn("ec2", "security-group/"+id), "ownerId": c.opts.Account, "name": name}, nil
	},
	update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
		g, ok := s.Groups[id]
		if !ok {
			return refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
		g.Tags = tagsOf(in)
		return inlineRules(s, g, id, in)
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		if _, ok := s.Groups[id]; !ok {
			return nil
		}
		return s.deleteGroup(id)
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		g, ok := s.Groups[id]
		if !ok {
			return nil, false
		}
		return sim.Object{"name": g.Name, "description": g.Description, "vpcId": g.VPC}, true
	},
}

// inlineRules makes a group's rules what the group's own properties say, where they say anything.
func inlineRules(s *state, g *securityGroup, id string, in sim.Object) error {
	for _, direction := range []string{"ingress", "egress"} {
		if _, given := in[direction]; !given {
			continue
		}
		for key, r := range g.Rules {
			if r.Egress == (direction == "egress") {
				delete(g.Rules, key)
			}
		}
		for _, o := range objects(in, direction) {
			base := sgRule{Egress: direction == "egress", Protocol: sim.Text(o, "protocol"), From: sim.Number(o, "fromPort"), To: sim.Number(o, "toPort")}
			for _, text := range append(sim.Texts(o, "cidrBlocks"), sim.Texts(o, "ipv6CidrBlocks")...) {
				p, err := block("InvalidParameterValue", text)
				if err != nil {
					return err
				}
				r := base
				r.CIDR = p
				g.Rules[s.newID("sgr")] = r
			}
			from := sim.Texts(o, "securityGroups")
			if sim.Truth(o, "self") {
				from = append(from, id)
			}
			for _, other := range from {
				r := base
				r.Group = other
				g.Rules[s.newID("sgr")] = r
			}
		}
	}
	return nil
}

// singleRule reads a rule of the provider's newer resource types.
func singleRule(s *state, in sim.Object, egress bool) (*securityGroup, sgRule, error) {
	r := sgRule{Egress: egress, Protocol: sim.Text(in, "ipProtocol"), From: sim.Number(in, "fromPort"), To: sim.Number(in, "toPort")}
	g, ok := s.Groups[sim.Text(in, "securityGroupId")]
	if !ok {
		return nil, r, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", sim.Text(in, "securityGroupId"))
	}
	sources := 0
	for _, name := range []string{"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId"} {
		if sim.Text(in, name) != "" {
			sources++
		}
	}
	if sources != 1 {
		return nil, r, refuse("InvalidParameterCombination", "Exactly one of cidrIpv4, cidrIpv6, prefixListId, referencedSecurityGroupId must be set")
	}
	if text := sim.Text(in, "cidrIpv4", "cidrIpv6"); text != "" {
		p, err := block("InvalidParameterValue", text)
		if err != nil {
			return nil, r, err
		}
		if p.Addr().Is4() != (sim.Text(in, "cidrIpv4") != "") {
			return nil, r, refuse("InvalidParameterValue", "CIDR block %s is malformed", text)
		}
		r.CIDR = p
	}
	if r.Group = sim.Text(in, "referencedSecurityGroupId"); r.Group != "" && s.Groups[r.Group] == nil {
		return nil, r, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", r.Group)
	}
	r.PrefixList = sim.Text(in, "prefixListId")
	return g, r, checkPorts(r, in)
}

// icmp says whether there can be messages of that type and code; -1 is all of them.
func icmp(kind, code int) bool {
	return kind >= -1 && kind <= 255 && code >= -1 && code <= 255 && (kind != -1 || code == -1)
}

// checkPorts refuses ports without a protocol that has them, and the other way round.
func checkPorts(r sgRule, in sim.Object) error {
	_, from := in["fromPort"]
	_, to := in["toPort"]
	n, err := strconv.Atoi(r.Protocol)
	switch {
	case r.Protocol == "-1":
		if from || to {
			return refuse("InvalidParameterValue", "You may not specify all protocols and specific ports. Please specify each protocol and port range combination individually, or all protocols and no port range.")
		}
	case slices.Contains([]string{"tcp", "udp", "6", "17"}, r.Protocol):
		if !from || !to || r.From < 0 || r.To > 65535 || r.From > r.To {
			return refuse("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
		}
	case r.Protocol == "icmpv6" && !from && !to: // all of it
	case slices.Contains([]string{"icmp", "icmpv6"}, r.Protocol):
		if !from || !to || !icmp(r.From, r.To) {
			return refuse("InvalidParameterValue", "ICMP code (%d) or type (%d) is out of range", r.To, r.From)
		}
	case err != nil || n < 0 || n > 255:
		return refuse("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", r.Protocol)
	}
	return nil
}

func ruleKind(egress bool) kind {
	same := func(g *securityGroup, r sgRule, except string) error {
		for id, o := range g.Rules {
			if o == r && id != except {
				return refuse("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", peer(r), r.Protocol, r.From, r.To)
			}
		}
		return nil
	}
	return kind{
		create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
			g, r, err := singleRule(s, in, egress)
			if err != nil {
				return "", nil, err
			}
			if err := same(g, r, ""); err != nil {
				return "", nil, err
			}
			id := s.newID("sgr")
			g.Rules[id] = r
			return id, sim.Object{"arn": c.arn("ec2", "security-group-rule/"+id), "securityGroupRuleId": id}, nil
		},
		update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
			g, r, err := singleRule(s, in, egress)
			if err != nil {
				return err
			}
			if err := same(g, r, id); err != nil {
				return err
			}
			g.Rules[id] = r
			return nil
		},
		remove: func(_ *Cloud, s *state, id string, d *declaration) error {
			if g, ok := s.Groups[sim.Text(d.Inputs, "securityGroupId")]; ok {
				delete(g.Rules, id)
			}
			return nil
		},
		show: func(_ *Cloud, s *state, id string, d *declaration) (sim.Object, bool) {
			g, ok := s.Groups[sim.Text(d.Inputs, "securityGroupId")]
			if !ok {
				return nil, false
			}
			_, ok = g.Rules[id]
			return nil, ok
		},
	}
}

func peer(r sgRule) string {
	if r.CIDR != (netip.Prefix{}) {
		return r.CIDR.String()
	}
	return r.Group + r.PrefixList
}

// oldRuleKind is a rule of the older resource type, which may hold several at once.
var oldRuleKind = kind{
	create: func(_ *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		g, ok := s.Groups[sim.Text(in, "securityGroupId")]
		if !ok {
			return "", nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", sim.Text(in, "securityGroupId"))
		}
		id := s.newID("sgrule")
		base := sgRule{Egress: sim.Text(in, "type") == "egress", Protocol: sim.Text(in, "protocol"), From: sim.Number(in, "fromPort"), To: sim.Number(in, "toPort")}
		if base.Protocol == "all" {
			base.Protocol = "-1"
		}
		var rules []sgRule
		for _, text := range append(sim.Texts(in, "cidrBlocks"), sim.Texts(in, "ipv6CidrBlocks")...) {
			p, err := block("InvalidParameterValue", text)
			if err != nil {
				return "", nil, err
			}
			r := base
			r.CIDR = p
			rules = append(rules, r)
		}
		if other := sim.Text(in, "sourceSecurityGroupId"); other != "" {
			r := base
			r.Group = other
			rules = append(rules, r)
		}
		if sim.Truth(in, "self") {
			r := base
			r.Group = sim.Text(in, "securityGroupId")
			rules = append(rules, r)
		}
		for i, r := range rules {
			g.Rules[id+"-"+strconv.Itoa(i)] = r
		}
		return id, sim.Object{"securityGroupRuleId": id}, nil
	},
	remove: func(_ *Cloud, s *state, id string, d *declaration) error {
		if g, ok := s.Groups[sim.Text(d.Inputs, "securityGroupId")]; ok {
			for i := range len(g.Rules) {
				delete(g.Rules, id+"-"+strconv.Itoa(i))
			}
		}
		return nil
	},
}
