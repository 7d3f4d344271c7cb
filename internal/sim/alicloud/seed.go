package alicloud

import "slices"

// The Add methods put into the cloud what was there before anything was
// simulated: a network made by hand. They publish no intermediate status and
// apply fewer rules than the API methods; an ID is made up where none is
// given. They return the id.

// AddVPC adds a VPC with its system table (of id v.RouteTableID).
func (c *Cloud) AddVPC(v VPC) (string, error) { return c.CreateVPC(v) }

// AddVSwitch adds a vSwitch that uses v.RouteTableID, or the system table. Its
// zone is one of the region from then on.
func (c *Cloud) AddVSwitch(s VSwitch) (string, error) {
	return c.add(func() (string, error) { return c.addVSwitch(s) })
}

// AddTable adds a custom route table with its custom entries.
func (c *Cloud) AddTable(t RouteTable) (string, error) {
	entries := t.Entries
	t.Type, t.Entries = Custom, nil
	id, err := c.add(func() (string, error) {
		if _, err := get(c.state.VPCs, "VPC", t.VPCID); err != nil {
			return "", err
		}
		return c.addTable(t)
	})
	for _, e := range entries {
		if err == nil && e.Type != System {
			err = c.AddRoute(id, e)
		}
	}
	return id, err
}

// AddRoute adds an Available custom entry with any next hop. One that the
// simulation has no inside of (a VPN gateway, a transit router attachment, …)
// is thereby known in the VPC and always works; an instance, interface, HAVIP
// or NAT gateway that does not exist is a dead next hop.
func (c *Cloud) AddRoute(table string, e RouteEntry) error {
	return c.change(func() error {
		t, err := get(c.state.RouteTables, "route table", table)
		if err != nil {
			return err
		}
		if e.HopType == "" {
			e.HopType = HopInstance
		}
		if !e.CIDR.IsValid() || e.CIDR != e.CIDR.Masked() {
			return fail(CodeInvalid, "destination: %q: is not a CIDR block without host bits", e.CIDR)
		}
		if i := t.index(e.CIDR); i >= 0 {
			return fail(CodeRouteDuplicated, "%s: %s has an entry for it, to %s", e.CIDR, table, t.Entries[i].Hop())
		}
		switch e.HopType {
		case HopInstance, HopNetworkInterface, HopHAVIP, HopNATGateway, HopLocal:
		default:
			c.state.ForeignHops[e.HopID] = &ForeignHop{ID: e.HopID, Type: e.HopType, VPCID: t.VPCID}
		}
		e.Type, e.Status = Custom, Available
		c.enter(t, e)
		return nil
	})
}

// AddInstance adds an instance, Running unless i.Status says otherwise. Set
// i.Forwards for a hand-made SNAT gateway, and give it a public address:
// i.PublicIP, or an EIP by [Cloud.AddEIP].
func (c *Cloud) AddInstance(i Instance) (string, error) {
	return c.add(func() (string, error) {
		if i.Status == "" {
			i.Status = Running
		}
		return c.addInstance(i)
	})
}

// AddENI adds a secondary network interface of an instance.
func (c *Cloud) AddENI(n Interface) (string, error) {
	return c.add(func() (string, error) {
		s, err := get(c.state.VSwitches, "vSwitch", n.VSwitchID)
		if err != nil {
			return "", err
		}
		n.ID, n.VPCID = c.newID(n.ID, "eni"), s.VPCID
		c.state.Interfaces[n.ID] = &n
		return n.ID, nil
	})
}

// AddHAVIP adds a HAVIP that moves between h.Instances.
func (c *Cloud) AddHAVIP(h HAVIP) (string, error) {
	return c.add(func() (string, error) {
		s, err := get(c.state.VSwitches, "vSwitch", h.VSwitchID)
		if err != nil {
			return "", err
		}
		h.ID, h.VPCID = c.newID(h.ID, "havip"), s.VPCID
		h.Instances = slices.Clone(h.Instances)
		c.state.HAVIPs[h.ID] = &h
		return h.ID, nil
	})
}

// AddEIP adds an address, bound to e.InstanceID if that is set.
func (c *Cloud) AddEIP(e EIP) (string, error) {
	return c.add(func() (string, error) {
		e.Status = Available
		if e.InstanceID != "" {
			e.Status = InUse
			if e.InstanceType == "" {
				e.InstanceType = kindOf(e.InstanceID)
			}
		}
		return c.addEIP(e)
	})
}

// AddNATGateway adds an Available gateway, without an automatic route: that
// is an entry of its table ([Cloud.AddRoute] with Automatic).
func (c *Cloud) AddNATGateway(g NATGateway) (string, error) {
	return c.add(func() (string, error) {
		if _, err := get(c.state.VPCs, "VPC", g.VPCID); err != nil {
			return "", err
		}
		if _, ok := c.state.NATGateways[g.ID]; ok {
			return "", fail(CodeInvalid, "NAT gateway: %q: exists already", g.ID)
		}
		if g.NATType == "" {
			g.NATType = enhanced
		}
		if g.NetworkType == "" {
			g.NetworkType = networkInternet
		}
		g.Status = Available
		c.addGateway(&g)
		return g.ID, nil
	})
}

// AddSNATEntry adds an Available SNAT entry.
func (c *Cloud) AddSNATEntry(e SNATEntry) (string, error) {
	return c.add(func() (string, error) {
		if c.gatewayOfTable(e.TableID) == nil {
			return "", notFound("SNAT table", e.TableID)
		}
		if s, ok := c.state.VSwitches[e.VSwitchID]; ok {
			e.CIDR = s.CIDR
		}
		e.ID, e.Status = c.newID(e.ID, "snat"), Available
		c.state.SNATEntries[e.ID] = &e
		return e.ID, nil
	})
}

// AddForwardEntry adds an Available DNAT entry.
func (c *Cloud) AddForwardEntry(e ForwardEntry) (string, error) {
	return c.add(func() (string, error) {
		if c.gatewayOfTable(e.TableID) == nil {
			return "", notFound("forward table", e.TableID)
		}
		e.ID, e.Status = c.newID(e.ID, "fwd"), Available
		c.state.ForwardEntries[e.ID] = &e
		return e.ID, nil
	})
}

// AddSecurityGroup adds a security group with its rules.
func (c *Cloud) AddSecurityGroup(g SecurityGroup) (string, error) {
	return c.add(func() (string, error) {
		g.ID = c.newID(g.ID, "sg")
		g.Rules = slices.Clone(g.Rules)
		c.state.SecurityGroups[g.ID] = &g
		return g.ID, nil
	})
}

func (c *Cloud) add(f func() (string, error)) (string, error) {
	var id string
	err := c.change(func() (err error) {
		id, err = f()
		return err
	})
	return id, err
}

// Settle completes every transition that is under way, as the cloud does by
// itself. A clone, or a state that was saved in the middle of an operation,
// needs it: the operation that would have completed it is not there.
func (c *Cloud) Settle() {
	_ = c.change(func() error {
		for _, t := range c.state.RouteTables {
			for _, e := range slices.Clone(t.Entries) {
				c.settleEntry(t.ID, e.CIDR)
			}
		}
		for id, g := range c.state.NATGateways {
			switch g.Status {
			case Creating:
				g.Status = Available
			case Deleting:
				delete(c.state.NATGateways, id)
			}
		}
		for id, e := range c.state.SNATEntries {
			switch e.Status {
			case Pending:
				e.Status = Available
			case Deleting:
				delete(c.state.SNATEntries, id)
			}
		}
		for _, e := range c.state.EIPs {
			switch e.Status {
			case Associating:
				e.Status = InUse
			case Unassociating:
				e.InstanceID, e.InstanceType, e.Status = "", "", Available
			}
		}
		for id := range c.state.Instances {
			c.settleInstance(id)
		}
		return nil
	})
}
