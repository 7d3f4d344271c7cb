package huaweicloud

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// defaultGroup is the security group of instances that are given none. Its members reach each other.
const defaultGroup = "default"

var securityGroupKind = kindOf(rules[SecurityGroup]{
	prefix: "sg",
	table:  func(s *state) map[string]*SecurityGroup { return s.SecurityGroups },
	make:   func(_ *Cloud, _ string, _ *SecurityGroup) error { return nil },
	remove: func(s *state, id string, _ *SecurityGroup) error {
		for _, i := range sorted(s.Instances) {
			if slices.Contains(s.Instances[i].SecurityGroupIDs, id) {
				return sim.Refuse(CodeInUse, "security group: %q: instance %s still uses it (delete that first)", id, i)
			}
		}
		for rule, r := range s.SecurityRules {
			if r.RemoteGroupID == id && r.GroupID != id {
				return sim.Refuse(CodeInUse, "security group: %q: rule %s still names it (delete that first)", id, rule)
			}
		}
		for rule, r := range s.SecurityRules {
			if r.GroupID == id {
				delete(s.SecurityRules, rule)
			}
		}
		return nil
	},
})

// Priorities run from 1, the first to be heeded, to 100. A rule without one has the first; the rules that come with a
// group are taken to have the last.
const (
	firstPriority = 1
	lastPriority  = 100
)

var securityRuleKind = kindOf(rules[SecurityRule]{
	prefix: "sgrule",
	table:  func(s *state) map[string]*SecurityRule { return s.SecurityRules },
	make: func(c *Cloud, id string, r *SecurityRule) error {
		s := &c.state
		if _, err := find(s.SecurityGroups, "security group", r.GroupID); err != nil {
			return err
		}
		if r.RemoteGroupID != "" {
			if _, err := find(s.SecurityGroups, "remoteGroupId", r.RemoteGroupID); err != nil {
				return err
			}
			if r.RemotePrefix.IsValid() {
				return sim.Refuse(CodeInvalid, "remoteIpPrefix: %s: stands beside remoteGroupId (leave one out)", r.RemotePrefix)
			}
		}
		if (r.Ports != "" || r.PortRangeMin != 0) && r.Protocol == "" {
			return sim.Refuse(CodeInvalid, "security group rule: ports without a protocol (set protocol)")
		}
		if _, ok := r.ranges(); !ok {
			return sim.Refuse(CodeInvalid, "ports: %q: are not ports or ranges of 1 to 65535, such as 80,443,8000-8080", r.Ports)
		}
		if r.Action == "" {
			r.Action = "allow"
		}
		if r.Priority == 0 {
			r.Priority = firstPriority
		}
		for other, o := range s.SecurityRules {
			if other != id && *o == *r {
				return sim.Refuse(CodeConflict, "security group rule: %s says the same (delete that first)", other)
			}
		}
		return nil
	},
})

type portRange struct{ from, to int }

// ranges are the ports of a rule, all of them if it names none.
func (r *SecurityRule) ranges() (ranges []portRange, ok bool) {
	switch {
	case r.Ports != "":
		for part := range strings.SplitSeq(r.Ports, ",") {
			from, to, isRange := strings.Cut(part, "-")
			if !isRange {
				to = from
			}
			a, errA := strconv.Atoi(from)
			b, errB := strconv.Atoi(to)
			if errA != nil || errB != nil || a < 1 || b < a || b > maxPort {
				return nil, false
			}
			ranges = append(ranges, portRange{a, b})
		}
	case r.PortRangeMin != 0:
		ranges = append(ranges, portRange{r.PortRangeMin, max(r.PortRangeMin, r.PortRangeMax)})
	default:
		ranges = append(ranges, portRange{1, maxPort})
	}
	return ranges, true
}

// end is one end of a connection, as security groups see it.
type end struct {
	addr   netip.Addr
	groups []string
}

func (r *SecurityRule) matches(remote end, protocol string, port int) bool {
	if r.Ethertype != "IPv4" || r.Protocol != "" && r.Protocol != protocol ||
		r.RemotePrefix.IsValid() && !r.RemotePrefix.Contains(remote.addr) ||
		r.RemoteGroupID != "" && !slices.Contains(remote.groups, r.RemoteGroupID) {
		return false
	}
	ranges, _ := r.ranges()
	return slices.ContainsFunc(ranges, func(p portRange) bool { return p.from <= port && port <= p.to })
}

// admits reports whether the groups of one end let packets of the direction from or to the other end through. The rule of
// the least priority decides; of two that are alike the one that denies.
func (s *state) admits(groups []string, direction string, remote end, protocol string, port int) bool {
	best, allowed := lastPriority+1, false
	heed := func(priority int, allow bool) {
		if priority < best {
			best, allowed = priority, allow
		} else if priority == best {
			allowed = allowed && allow
		}
	}
	for _, r := range s.SecurityRules {
		if slices.Contains(groups, r.GroupID) && r.Direction == direction && r.matches(remote, protocol, port) {
			heed(r.Priority, r.Action == "allow")
		}
	}
	for _, id := range groups {
		if g, ok := s.SecurityGroups[id]; ok && g.DeleteDefaultRules {
			continue
		}
		if direction == "egress" || slices.Contains(remote.groups, id) {
			heed(lastPriority, true)
		}
	}
	return allowed
}

var instanceKind = kindOf(rules[Instance]{
	prefix: "ecs",
	table:  func(s *state) map[string]*Instance { return s.Instances },
	make: func(c *Cloud, _ string, i *Instance) error {
		s := &c.state
		if err := c.checkInstance(i); err != nil {
			return err
		}
		for n := range i.Networks {
			network := &i.Networks[n]
			if _, err := s.network("networks.uuid", network.UUID); err != nil {
				return err
			}
			var err error
			if network.FixedIPv4, err = s.assign("networks.fixedIpV4", network.UUID, network.FixedIPv4); err != nil {
				return err
			}
			network.Port = s.newID(portPrefix)
		}
		i.AccessIPv4 = i.Networks[0].FixedIPv4.String()
		if i.Zone == "" {
			i.Zone = c.opts.Zones[0]
		}
		i.Status, i.SystemDiskID = active, s.newID("volume")
		return nil
	},
	change: func(c *Cloud, _ string, old, i *Instance) error {
		i.Networks = old.Networks // any change of them replaces the instance
		return c.checkInstance(i)
	},
	remove: func(s *state, id string, i *Instance) error {
		for rule, r := range s.DNATRules {
			for _, n := range i.Networks {
				if r.InterfaceID == n.Port {
					return sim.Refuse(CodeInUse, "instance: %q: DNAT rule %s still leads to its port (delete that first)", id, rule)
				}
			}
		}
		return nil
	},
})

func (c *Cloud) checkInstance(i *Instance) error {
	if err := checkName("instance", instanceSigns, i.Name); err != nil {
		return err
	}
	if i.ImageID == "" && i.ImageName == "" {
		return sim.Refuse(CodeInvalid, "instance %s: has no image (set imageId or imageName)", i.Name)
	}
	if i.FlavorID == "" && i.FlavorName == "" {
		return sim.Refuse(CodeInvalid, "instance %s: has no flavor (set flavorId or flavorName)", i.Name)
	}
	if i.Zone != "" && !slices.Contains(c.opts.Zones, i.Zone) {
		return sim.Refuse(CodeInvalid, "availabilityZone: %q: is not one of %v", i.Zone, c.opts.Zones)
	}
	if len(i.Networks) == 0 {
		return sim.Refuse(CodeInvalid, "instance %s: has no network (set networks)", i.Name)
	}
	if len(i.SecurityGroupIDs) == 0 {
		i.SecurityGroupIDs = []string{defaultGroup}
	}
	for _, g := range i.SecurityGroupIDs {
		if g != defaultGroup {
			if _, err := find(c.state.SecurityGroups, "securityGroupIds", g); err != nil {
				return err
			}
		}
	}
	return nil
}
