package alicloud

import (
	"encoding/base64"
	"net/netip"
	"regexp"
	"slices"
)

// RunInstance makes an instance: Starting first, then Running. It gets a
// private address of its vSwitch, a primary network interface and, with
// BandwidthOut above 0, a static public address.
func (c *Cloud) RunInstance(i Instance) (string, error) {
	err := c.task("", "", func() (err error) {
		i.Forwards = false // user data and security groups tell
		i.PublicIP = ""
		i.Status = Starting
		if s, ok := c.state.VSwitches[i.VSwitchID]; ok && slices.Contains(c.opts.SoldOut, s.ZoneID) {
			return fail(CodeZoneNotOnSale, "instance: zone %s sells none (use a vSwitch in another)", s.ZoneID)
		}
		i.ID, err = c.addInstance(i)
		return err
	}, func() { c.settleInstance(i.ID) })
	return i.ID, err
}

func (c *Cloud) addInstance(i Instance) (string, error) {
	s, err := get(c.state.VSwitches, "vSwitch", i.VSwitchID)
	if err != nil {
		return "", err
	}
	i.ID = c.newID(i.ID, "i")
	if _, ok := c.state.Instances[i.ID]; ok {
		return "", fail(CodeInvalid, "instance: %q: exists already", i.ID)
	}
	for _, id := range i.SecurityGroups {
		if g, ok := c.state.SecurityGroups[id]; !ok || g.VPCID != s.VPCID {
			return "", notFound("security group in "+s.VPCID, id)
		}
	}
	i.VPCID = s.VPCID
	i.NetworkInterfaceID = c.newID(i.NetworkInterfaceID, "eni")
	if i.PrivateIP == "" {
		i.PrivateIP = c.freeAddress(s)
	} else if a, err := netip.ParseAddr(i.PrivateIP); err != nil || !s.CIDR.Contains(a) {
		return "", fail(CodeInvalid, "private IP: %q: is not in %s of vSwitch %s", i.PrivateIP, s.CIDR, s.ID)
	}
	if i.BandwidthOut > 0 && i.PublicIP == "" {
		i.PublicIP = c.newAddress()
	}
	if i.SystemDiskEncrypted && i.SystemDiskKMSKeyID == "" {
		i.SystemDiskKMSKeyID = "key-service-" + c.region()
	}
	c.state.Instances[i.ID] = &i
	return i.ID, nil
}

// freeAddress returns the first address of the vSwitch that no instance has;
// the cloud keeps the first and the last three for itself.
func (c *Cloud) freeAddress(s *VSwitch) string {
	taken := map[string]bool{}
	for _, i := range c.state.Instances {
		taken[i.PrivateIP] = true
	}
	for a := s.CIDR.Addr().Next(); s.CIDR.Contains(a); a = a.Next() {
		if !taken[a.String()] {
			return a.String()
		}
	}
	return ""
}

// ModifyInstance lets edit change what can be changed in place, which is all
// but the identity, the network and the addresses.
func (c *Cloud) ModifyInstance(id string, edit func(*Instance)) error {
	return c.change(func() error {
		i, err := get(c.state.Instances, "instance", id)
		if err != nil {
			return err
		}
		n := *i
		edit(&n)
		for _, g := range n.SecurityGroups {
			if sg, ok := c.state.SecurityGroups[g]; !ok || sg.VPCID != i.VPCID {
				return notFound("security group in "+i.VPCID, g)
			}
		}
		n.ID, n.VPCID, n.VSwitchID, n.NetworkInterfaceID = i.ID, i.VPCID, i.VSwitchID, i.NetworkInterfaceID
		n.PrivateIP, n.PublicIP, n.Status = i.PrivateIP, i.PublicIP, i.Status
		switch {
		case n.BandwidthOut > 0 && n.PublicIP == "":
			n.PublicIP = c.newAddress()
		case n.BandwidthOut <= 0 && i.BandwidthOut > 0:
			n.PublicIP = ""
		}
		*i = n
		return nil
	})
}

// StopInstance stops a running instance: Stopping first, then Stopped.
func (c *Cloud) StopInstance(id string) error { return c.turnInstance(id, Running, Stopping) }

// StartInstance starts a stopped instance: Starting first, then Running.
func (c *Cloud) StartInstance(id string) error { return c.turnInstance(id, Stopped, Starting) }

func (c *Cloud) turnInstance(id string, from, to Status) error {
	return c.task("", "", func() error {
		i, err := get(c.state.Instances, "instance", id)
		if err != nil {
			return err
		}
		if i.Status != from {
			return fail(CodeInvalid, "instance: %q: is %s, not %s", id, i.Status, from)
		}
		i.Status = to
		return nil
	}, func() { c.settleInstance(id) })
}

func (c *Cloud) settleInstance(id string) {
	if i, ok := c.state.Instances[id]; ok {
		switch i.Status {
		case Starting:
			i.Status = Running
		case Stopping:
			i.Status = Stopped
		}
	}
}

// DeleteInstance releases an instance: Stopping first (only when it runs),
// then gone. Routes that point at it stay, with a dead next hop; an EIP that
// is bound to it is unbound and stays.
func (c *Cloud) DeleteInstance(id string) error {
	return c.task("", "", func() error {
		i, err := get(c.state.Instances, "instance", id)
		if err != nil {
			return err
		}
		if i.DeletionProtection {
			return fail(CodeDeletionProtection, "instance: %q: deletion protection is on (switch it off first)", id)
		}
		i.Status = Stopping
		return nil
	}, func() {
		i, ok := c.state.Instances[id]
		if !ok {
			return
		}
		for _, e := range c.state.EIPs {
			if e.InstanceID == id || e.InstanceID == i.NetworkInterfaceID {
				e.InstanceID, e.InstanceType, e.Status = "", "", Available
			}
		}
		for eni, n := range c.state.Interfaces {
			if n.InstanceID == id {
				delete(c.state.Interfaces, eni)
			}
		}
		delete(c.state.Instances, id)
	})
}

// ownerOf finds the instance whose primary network interface this is.
func (c *Cloud) ownerOf(eni string) *Instance {
	for _, i := range c.state.Instances {
		if i.NetworkInterfaceID == eni {
			return i
		}
	}
	return nil
}

// Instances returns the instances of a VPC by id.
func (c *Cloud) Instances(vpc string) []Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.Instances, func(i *Instance) bool { return i.VPCID == vpc })
}

// What user data must say to make an SNAT gateway: that the kernel forwards, and a rule that translates.
var (
	forwarding  = regexp.MustCompile(`ip_forward\s*=\s*1\b`)
	translation = regexp.MustCompile(`(?i)-j\s+(masquerade|snat)\b|\bmasquerade\b.*;|\bsnat\s+to\b`)
)

// translates reports whether user data turns the instance into an SNAT
// gateway. User data may be base64, as the API has it.
func translates(userData string) bool {
	if plain, err := base64.StdEncoding.DecodeString(userData); err == nil {
		userData = string(plain)
	}
	return forwarding.MatchString(userData) && translation.MatchString(userData)
}

// CreateSecurityGroup makes a security group without rules.
func (c *Cloud) CreateSecurityGroup(g SecurityGroup) (string, error) {
	g.Rules = nil
	err := c.change(func() error {
		if g.VPCID != "" {
			if _, err := get(c.state.VPCs, "VPC", g.VPCID); err != nil {
				return err
			}
		}
		g.ID = c.newID(g.ID, "sg")
		c.state.SecurityGroups[g.ID] = &g
		return nil
	})
	return g.ID, err
}

// ModifySecurityGroup changes name and description.
func (c *Cloud) ModifySecurityGroup(id, name, description string) error {
	return c.change(func() error {
		g, err := get(c.state.SecurityGroups, "security group", id)
		if err == nil {
			g.Name, g.Description = name, description
		}
		return err
	})
}

// DeleteSecurityGroup removes a group that no instance is in.
func (c *Cloud) DeleteSecurityGroup(id string) error {
	return c.change(func() error {
		if _, err := get(c.state.SecurityGroups, "security group", id); err != nil {
			return err
		}
		for _, i := range c.state.Instances {
			if slices.Contains(i.SecurityGroups, id) {
				return fail(CodeDependency, "security group: %q: instance %s is in it (delete the instance first)", id, i.ID)
			}
		}
		delete(c.state.SecurityGroups, id)
		return nil
	})
}

// AuthorizeSecurityGroup adds a rule. The API takes a rule twice without an
// error and without an effect.
func (c *Cloud) AuthorizeSecurityGroup(id string, r Rule) error {
	return c.change(func() error {
		g, err := get(c.state.SecurityGroups, "security group", id)
		if err != nil {
			return err
		}
		if i := g.rule(r); i >= 0 {
			g.Rules[i] = r
		} else {
			g.Rules = append(g.Rules, r)
		}
		return nil
	})
}

// RevokeSecurityGroup removes a rule.
func (c *Cloud) RevokeSecurityGroup(id string, r Rule) error {
	return c.change(func() error {
		g, err := get(c.state.SecurityGroups, "security group", id)
		if err != nil {
			return err
		}
		i := g.rule(r)
		if i < 0 {
			return fail(CodeNotFound, "security group: %q: has no such rule", id)
		}
		g.Rules = slices.Delete(g.Rules, i, i+1)
		return nil
	})
}

func (g *SecurityGroup) rule(r Rule) int {
	return slices.IndexFunc(g.Rules, func(o Rule) bool { return o.key() == r.key() })
}

// SecurityGroups returns the security groups of a VPC by id.
func (c *Cloud) SecurityGroups(vpc string) []SecurityGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.SecurityGroups, func(g *SecurityGroup) bool { return g.VPCID == vpc })
}

// admits reports whether the security groups let every TCP and UDP packet
// from the source in: an instance that forwards for others sees their
// packets as incoming ones.
func (c *Cloud) admits(groups []string, source netip.Prefix) bool {
	for _, protocol := range []string{"tcp", "udp"} {
		accept, drop := 0, 0 // priority of the strongest rule, 0 for none
		for _, id := range groups {
			g, ok := c.state.SecurityGroups[id]
			if !ok {
				continue
			}
			for _, r := range g.Rules {
				if r.Direction != "ingress" || r.Protocol != "all" && r.Protocol != protocol || !r.CIDR.IsValid() {
					continue
				}
				every := r.PortRange == "-1/-1" || r.PortRange == "1/65535"
				switch {
				case r.Policy == "drop" && r.CIDR.Overlaps(source):
					drop = strongest(drop, r.Priority)
				case r.Policy == "accept" && every && within(source, r.CIDR):
					accept = strongest(accept, r.Priority)
				}
			}
		}
		// Of two rules with one priority, drop wins.
		if accept == 0 || drop != 0 && drop <= accept {
			return false
		}
	}
	return true
}

func strongest(a, b int) int {
	if a == 0 {
		return b
	}
	return min(a, b)
}
