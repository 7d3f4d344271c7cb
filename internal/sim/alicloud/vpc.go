package alicloud

import (
	"net/netip"
	"slices"
)

// CreateVPC makes a VPC with its router and system route table. The CIDR
// block defaults to 172.16.0.0/12, as the provider's documentation has it.
func (c *Cloud) CreateVPC(v VPC) (string, error) {
	var id string
	err := c.change(func() (err error) {
		id, err = c.addVPC(v)
		return err
	})
	return id, err
}

func (c *Cloud) addVPC(v VPC) (string, error) {
	if !v.CIDR.IsValid() {
		v.CIDR = netip.MustParsePrefix("172.16.0.0/12")
	}
	v.ID = c.newID(v.ID, "vpc")
	if _, ok := c.state.VPCs[v.ID]; ok {
		return "", fail(CodeInvalid, "VPC: %q: exists already", v.ID)
	}
	v.RouterID = c.newID(v.RouterID, "vrt")
	v.RouteTableID = c.newID(v.RouteTableID, "vtb")
	c.state.VPCs[v.ID] = &v
	_, err := c.addTable(RouteTable{ID: v.RouteTableID, VPCID: v.ID, Type: System})
	return v.ID, err
}

// ModifyVPC changes name, description and resource group.
func (c *Cloud) ModifyVPC(id, name, description, resourceGroup string) error {
	return c.change(func() error {
		v, err := get(c.state.VPCs, "VPC", id)
		if err == nil {
			v.Name, v.Description, v.ResourceGroupID = name, description, resourceGroup
		}
		return err
	})
}

// DeleteVPC removes an empty VPC and its system table.
func (c *Cloud) DeleteVPC(id string) error {
	return c.change(func() error {
		v, err := get(c.state.VPCs, "VPC", id)
		if err != nil {
			return err
		}
		for _, s := range c.state.VSwitches {
			if s.VPCID == id {
				return fail(CodeDependency, "VPC: %q: still has vSwitch %s (delete it first)", id, s.ID)
			}
		}
		for _, t := range c.state.RouteTables {
			if t.VPCID == id && t.ID != v.RouteTableID {
				return fail(CodeDependency, "VPC: %q: still has route table %s (delete it first)", id, t.ID)
			}
		}
		for _, g := range c.state.SecurityGroups {
			if g.VPCID == id {
				return fail(CodeDependency, "VPC: %q: still has security group %s (delete it first)", id, g.ID)
			}
		}
		if slices.ContainsFunc(c.state.RouteTables[v.RouteTableID].Entries, isCustom) {
			return fail(CodeDependency, "VPC: %q: its system table still has custom entries (delete them first)", id)
		}
		delete(c.state.RouteTables, v.RouteTableID)
		delete(c.live, v.RouteTableID)
		delete(c.state.VPCs, id)
		return nil
	})
}

// CreateVSwitch makes a vSwitch that uses the system table. Its block must
// lie in the VPC's and overlap neither another vSwitch nor lie around a
// custom route (a route may contain a vSwitch, not equal it or lie in it), and
// its zone must be one of the region.
func (c *Cloud) CreateVSwitch(s VSwitch) (string, error) {
	var id string
	err := c.change(func() (err error) {
		if s.ZoneID != "" && !slices.Contains(c.zones(), s.ZoneID) {
			return fail(CodeInvalid, "vSwitch zone: %q: is not one of %v", s.ZoneID, c.zones())
		}
		id, err = c.addVSwitch(s)
		return err
	})
	return id, err
}

func (c *Cloud) addVSwitch(s VSwitch) (string, error) {
	v, err := get(c.state.VPCs, "VPC", s.VPCID)
	if err != nil {
		return "", err
	}
	if !s.CIDR.IsValid() || s.CIDR != s.CIDR.Masked() {
		return "", fail(CodeInvalid, "vSwitch CIDR: %q: is not a CIDR block without host bits", s.CIDR)
	}
	if !slices.ContainsFunc(append([]netip.Prefix{v.CIDR}, v.SecondaryCIDRs...), func(p netip.Prefix) bool { return within(s.CIDR, p) }) {
		return "", fail(CodeInvalid, "vSwitch CIDR: %s: lies outside the VPC's %s", s.CIDR, v.CIDR)
	}
	for _, other := range c.state.VSwitches {
		if other.VPCID == s.VPCID && other.CIDR.Overlaps(s.CIDR) {
			return "", fail(CodeOverlap, "vSwitch CIDR: %s: overlaps %s of %s", s.CIDR, other.CIDR, other.ID)
		}
	}
	tables := c.tablesOf(s.VPCID)
	for _, t := range tables {
		for _, e := range t.Entries {
			if isCustom(e) && within(e.CIDR, s.CIDR) {
				return "", fail(CodeOverlap, "vSwitch CIDR: %s: contains the route %s of %s (delete the route first)", s.CIDR, e.CIDR, t.ID)
			}
		}
	}
	s.ID = c.newID(s.ID, "vsw")
	if _, ok := c.state.VSwitches[s.ID]; ok {
		return "", fail(CodeInvalid, "vSwitch: %q: exists already", s.ID)
	}
	if s.RouteTableID == "" {
		s.RouteTableID = v.RouteTableID
	}
	if t, ok := c.state.RouteTables[s.RouteTableID]; !ok || t.VPCID != s.VPCID {
		return "", notFound("route table", s.RouteTableID)
	}
	if s.ZoneID == "" {
		s.ZoneID = c.opts.Zones[0]
	}
	c.state.VSwitches[s.ID] = &s
	for _, t := range tables {
		c.enter(t, RouteEntry{CIDR: s.CIDR, HopType: HopLocal, Type: System, Status: Available})
	}
	return s.ID, nil
}

// ModifyVSwitch changes name and description.
func (c *Cloud) ModifyVSwitch(id, name, description string) error {
	return c.change(func() error {
		s, err := get(c.state.VSwitches, "vSwitch", id)
		if err == nil {
			s.Name, s.Description = name, description
		}
		return err
	})
}

// DeleteVSwitch removes a vSwitch in which nothing is left and that uses the
// system table.
func (c *Cloud) DeleteVSwitch(id string) error {
	return c.change(func() error {
		s, err := get(c.state.VSwitches, "vSwitch", id)
		if err != nil {
			return err
		}
		if user := c.userOf(s); user != "" {
			return fail(CodeDependency, "vSwitch: %q: still in use by %s (remove it first)", id, user)
		}
		delete(c.state.VSwitches, id)
		for _, t := range c.tablesOf(s.VPCID) {
			c.leave(t, s.CIDR)
		}
		return nil
	})
}

// userOf names something that keeps the vSwitch from being deleted.
func (c *Cloud) userOf(s *VSwitch) string {
	if s.RouteTableID != c.state.VPCs[s.VPCID].RouteTableID {
		return "route table " + s.RouteTableID
	}
	for _, i := range c.state.Instances {
		if i.VSwitchID == s.ID {
			return "instance " + i.ID
		}
	}
	for _, i := range c.state.Interfaces {
		if i.VSwitchID == s.ID {
			return "network interface " + i.ID
		}
	}
	for _, h := range c.state.HAVIPs {
		if h.VSwitchID == s.ID {
			return "HAVIP " + h.ID
		}
	}
	for _, g := range c.state.NATGateways {
		if g.VSwitchID == s.ID {
			return "NAT gateway " + g.ID
		}
	}
	for _, e := range c.state.SNATEntries {
		if e.VSwitchID == s.ID {
			return "SNAT entry " + e.ID
		}
	}
	return ""
}

// CreateRouteTable makes a custom table that no vSwitch uses yet. A VPC takes
// nine.
func (c *Cloud) CreateRouteTable(t RouteTable) (string, error) {
	t.Type, t.Entries = Custom, nil
	var id string
	err := c.change(func() (err error) {
		if _, err := get(c.state.VPCs, "VPC", t.VPCID); err != nil {
			return err
		}
		if n := len(c.tablesOf(t.VPCID)) - 1; n >= customTablesPerVPC {
			return fail(CodeQuotaExceeded, "route table: %s has %d custom tables: the quota is %d", t.VPCID, n, customTablesPerVPC)
		}
		id, err = c.addTable(t)
		return err
	})
	return id, err
}

// addTable fills in the system entries.
func (c *Cloud) addTable(t RouteTable) (string, error) {
	t.ID = c.newID(t.ID, "vtb")
	if _, ok := c.state.RouteTables[t.ID]; ok {
		return "", fail(CodeInvalid, "route table: %q: exists already", t.ID)
	}
	c.state.RouteTables[t.ID] = &t
	c.enter(&t, RouteEntry{CIDR: serviceCIDR, HopType: HopLocal, Type: System, Status: Available})
	for _, s := range list(c.state.VSwitches, func(s *VSwitch) bool { return s.VPCID == t.VPCID }) {
		c.enter(&t, RouteEntry{CIDR: s.CIDR, HopType: HopLocal, Type: System, Status: Available})
	}
	return t.ID, nil
}

// ModifyRouteTable changes name and description.
func (c *Cloud) ModifyRouteTable(id, name, description string) error {
	return c.change(func() error {
		t, err := get(c.state.RouteTables, "route table", id)
		if err == nil {
			t.Name, t.Description = name, description
		}
		return err
	})
}

// DeleteRouteTable removes a custom table that no vSwitch uses and that has
// no custom entries.
func (c *Cloud) DeleteRouteTable(id string) error {
	return c.change(func() error {
		t, err := get(c.state.RouteTables, "route table", id)
		if err != nil {
			return err
		}
		if t.Type == System {
			return fail(CodeInvalid, "route table: %q: is the system table (it goes with the VPC)", id)
		}
		for _, s := range c.state.VSwitches {
			if s.RouteTableID == id {
				return fail(CodeDependency, "route table: %q: vSwitch %s uses it (detach it first)", id, s.ID)
			}
		}
		if slices.ContainsFunc(t.Entries, isCustom) {
			return fail(CodeDependency, "route table: %q: still has custom entries (delete them first)", id)
		}
		delete(c.state.RouteTables, id)
		delete(c.live, id)
		return nil
	})
}

// AssociateRouteTable makes a vSwitch use a custom table instead of the
// system table. A vSwitch that uses a custom table has to be detached first.
func (c *Cloud) AssociateRouteTable(table, vswitch string) error {
	return c.change(func() error {
		t, err := get(c.state.RouteTables, "route table", table)
		if err != nil {
			return err
		}
		s, err := get(c.state.VSwitches, "vSwitch", vswitch)
		if err != nil {
			return err
		}
		if t.VPCID != s.VPCID {
			return fail(CodeInvalid, "route table: %q: is in %s, vSwitch %s in %s", table, t.VPCID, vswitch, s.VPCID)
		}
		if t.Type == System {
			return fail(CodeInvalid, "route table: %q: is the system table, which a vSwitch uses when no other is attached", table)
		}
		if system := c.state.VPCs[s.VPCID].RouteTableID; s.RouteTableID != system {
			return fail(CodeDependency, "vSwitch: %q: uses %s (detach it first)", vswitch, s.RouteTableID)
		}
		s.RouteTableID = table
		return nil
	})
}

// UnassociateRouteTable makes a vSwitch use the system table again.
func (c *Cloud) UnassociateRouteTable(table, vswitch string) error {
	return c.change(func() error {
		s, err := get(c.state.VSwitches, "vSwitch", vswitch)
		if err != nil {
			return err
		}
		system := c.state.VPCs[s.VPCID].RouteTableID
		if s.RouteTableID != table || table == system {
			return fail(CodeNotFound, "route table: %q: is not attached to vSwitch %s", table, vswitch)
		}
		s.RouteTableID = system
		return nil
	})
}

// VPCs returns all VPCs by id.
func (c *Cloud) VPCs() []VPC {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.VPCs, nil)
}

// VSwitches returns the vSwitches of a VPC by id.
func (c *Cloud) VSwitches(vpc string) []VSwitch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.VSwitches, func(s *VSwitch) bool { return s.VPCID == vpc })
}

// RouteTables returns the route tables of a VPC by id.
func (c *Cloud) RouteTables(vpc string) []RouteTable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.RouteTables, func(t *RouteTable) bool { return t.VPCID == vpc })
}

// DescribeRouteTable returns a table with its entries in the order in which
// they were made.
func (c *Cloud) DescribeRouteTable(id string) (RouteTable, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return describe(c.state.RouteTables, "route table", id)
}

// tablesOf returns the tables of a VPC, in no particular order.
func (c *Cloud) tablesOf(vpc string) []*RouteTable {
	var out []*RouteTable
	for _, t := range c.state.RouteTables {
		if t.VPCID == vpc {
			out = append(out, t)
		}
	}
	return out
}

// within reports whether inner lies in outer or is outer.
func within(inner, outer netip.Prefix) bool {
	return inner.Bits() >= outer.Bits() && outer.Contains(inner.Addr())
}
