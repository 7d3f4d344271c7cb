package alicloud

import (
	"net/netip"
	"slices"

	"polynat/internal/route"
)

const (
	networkInternet = "internet"
	networkIntranet = "intranet"
	enhanced        = "Enhanced"
)

// CreateNATGateway makes an enhanced NAT gateway: Creating first, then
// Available, then, for an Internet gateway, the automatic 0.0.0.0/0 (see
// [Options]). A gateway needs a vSwitch of its VPC in a zone that offers
// enhanced NAT gateways; the type Normal is no longer sold.
func (c *Cloud) CreateNATGateway(g NATGateway) (string, error) {
	err := c.task("", "", func() error {
		if g.NATType == "" {
			g.NATType = enhanced
		}
		if g.NetworkType == "" {
			g.NetworkType = networkInternet
		}
		if err := c.admitGateway(g); err != nil {
			return err
		}
		c.addGateway(&g)
		g.Status = Creating
		return nil
	}, func() {
		if g, ok := c.state.NATGateways[g.ID]; ok {
			g.Status = Available
		}
	})
	if err != nil {
		return "", err
	}
	c.addAutomaticRoute(g.ID)
	return g.ID, nil
}

func (c *Cloud) admitGateway(g NATGateway) error {
	if _, err := get(c.state.VPCs, "VPC", g.VPCID); err != nil {
		return err
	}
	if g.NATType != enhanced {
		return fail(CodeInvalid, "NAT type: %q: is no longer sold (use %s)", g.NATType, enhanced)
	}
	if g.VSwitchID == "" {
		return fail(CodeInvalid, "vSwitch: missing: an enhanced NAT gateway is placed in a vSwitch (the provider sends it only when natType is %s)", enhanced)
	}
	s, err := get(c.state.VSwitches, "vSwitch", g.VSwitchID)
	if err != nil {
		return err
	}
	if s.VPCID != g.VPCID {
		return fail(CodeInvalid, "vSwitch: %q: is in %s, not in %s", s.ID, s.VPCID, g.VPCID)
	}
	if c.opts.EnhancedNATZones != nil && !slices.Contains(c.opts.EnhancedNATZones, s.ZoneID) {
		return fail(CodeZoneNotSupported, "vSwitch: %q: its zone %s has no enhanced NAT gateways (use one of %v)", s.ID, s.ZoneID, c.opts.EnhancedNATZones)
	}
	n := 0
	for _, other := range c.state.NATGateways {
		if other.VPCID == g.VPCID {
			n++
		}
	}
	if n >= natGatewaysPerVPC {
		return fail(CodeQuotaExceeded, "NAT gateway: %s has %d: the quota is %d", g.VPCID, n, natGatewaysPerVPC)
	}
	if c.opts.CreateNATWithDefault != NATRefused {
		return nil
	}
	for _, t := range c.tablesOf(g.VPCID) {
		i := t.index(route.Default())
		if i < 0 {
			continue
		}
		switch t.Entries[i].HopType {
		case HopInstance, HopNetworkInterface, HopHAVIP:
			return fail(CodeDefaultRouteInVPC, "NAT gateway: %s sends 0.0.0.0/0 to %s (delete that route first)", t.ID, t.Entries[i].Hop())
		}
	}
	return nil
}

func (c *Cloud) addGateway(g *NATGateway) {
	g.ID = c.newID(g.ID, "ngw")
	g.SNATTableID = c.newID(g.SNATTableID, "stb")
	g.ForwardTableID = c.newID(g.ForwardTableID, "ftb")
	c.state.NATGateways[g.ID] = g
}

// ModifyNATGateway lets edit change what can be changed in place: name,
// description, specification, bind mode, deletion protection.
func (c *Cloud) ModifyNATGateway(id string, edit func(*NATGateway)) error {
	return c.change(func() error {
		g, err := get(c.state.NATGateways, "NAT gateway", id)
		if err != nil {
			return err
		}
		edited := *g
		edit(&edited)
		g.Name, g.Description, g.Specification = edited.Name, edited.Description, edited.Specification
		g.EIPBindMode, g.DeletionProtection = edited.EIPBindMode, edited.DeletionProtection
		return nil
	})
}

// DeleteNATGateway removes a gateway: Deleting first, then gone. Without
// force it refuses while SNAT entries, DNAT entries or addresses are left;
// with force it removes those. Route entries that point at the gateway make
// it fail with [CodeRouteInUse] in any case, but for the automatic one, which
// goes with the gateway or not (see [Options]).
func (c *Cloud) DeleteNATGateway(id string, force bool) error {
	return c.task("", "", func() error {
		g, err := get(c.state.NATGateways, "NAT gateway", id)
		if err != nil {
			return err
		}
		if err := c.admitRemoval(g, force); err != nil {
			return err
		}
		if force {
			c.empty(g)
		}
		g.Status = Deleting
		if table, ok := c.state.VPCs[g.VPCID]; ok {
			t := c.state.RouteTables[table.RouteTableID]
			if i := t.index(route.Default()); i >= 0 && t.Entries[i].Hop() == (Hop{HopNATGateway, id}) {
				c.setStatus(t, i, Deleting)
			}
		}
		return nil
	}, func() {
		g, ok := c.state.NATGateways[id]
		if !ok {
			return
		}
		if v, ok := c.state.VPCs[g.VPCID]; ok {
			t := c.state.RouteTables[v.RouteTableID]
			if i := t.index(route.Default()); i >= 0 && t.Entries[i].Hop() == (Hop{HopNATGateway, id}) {
				c.leave(t, route.Default())
			}
		}
		delete(c.state.NATGateways, id)
	})
}

func (c *Cloud) admitRemoval(g *NATGateway, force bool) error {
	if g.Status != Available {
		return fail(CodeNATGatewayGone, "NAT gateway: %q: is %s", g.ID, g.Status)
	}
	if g.DeletionProtection {
		return fail(CodeDeletionProtection, "NAT gateway: %q: deletion protection is on (switch it off first)", g.ID)
	}
	t, e, found := c.pointsAt(g.VPCID, Hop{HopNATGateway, g.ID}, func(e RouteEntry) bool {
		return e.Automatic && c.opts.DeleteNAT == DeleteRemovesRoute
	})
	if found {
		return fail(CodeRouteInUse, "NAT gateway: %q: is associated with the route %s of %s (delete it first)", g.ID, e.CIDR, t.ID)
	}
	if force {
		return nil
	}
	for _, e := range c.state.SNATEntries {
		if e.TableID == g.SNATTableID {
			return fail(CodeSNATLeft, "NAT gateway: %q: still has SNAT entry %s (delete it first)", g.ID, e.ID)
		}
	}
	for _, e := range c.state.ForwardEntries {
		if e.TableID == g.ForwardTableID {
			return fail(CodeDNATLeft, "NAT gateway: %q: still has DNAT entry %s (delete it first)", g.ID, e.ID)
		}
	}
	for _, e := range c.state.EIPs {
		if e.InstanceID == g.ID {
			return fail(CodeEIPsLeft, "NAT gateway: %q: still has EIP %s (unbind it first)", g.ID, e.ID)
		}
	}
	return nil
}

// empty removes what DeleteNatGateway removes when it is forced.
func (c *Cloud) empty(g *NATGateway) {
	for id, e := range c.state.SNATEntries {
		if e.TableID == g.SNATTableID {
			delete(c.state.SNATEntries, id)
		}
	}
	for id, e := range c.state.ForwardEntries {
		if e.TableID == g.ForwardTableID {
			delete(c.state.ForwardEntries, id)
		}
	}
	for _, e := range c.state.EIPs {
		if e.InstanceID == g.ID {
			e.InstanceID, e.InstanceType, e.Status = "", "", Available
		}
	}
}

// CreateSNATEntry adds an SNAT entry: Pending first, then Available. Exactly
// one of VSwitchID and CIDR is the source, every address must be bound to the
// gateway, no other entry of the VPC may have the source or part of it, and
// no HAVIP may be in the vSwitch. One entry of a gateway is made at a time:
// [CodeOperationConflict].
func (c *Cloud) CreateSNATEntry(e SNATEntry) (string, error) {
	err := c.task(e.TableID, CodeOperationConflict, func() error {
		if err := c.admitSNAT(&e); err != nil {
			return err
		}
		e.ID = c.newID(e.ID, "snat")
		e.Status = Pending
		c.state.SNATEntries[e.ID] = &e
		return nil
	}, func() {
		if e, ok := c.state.SNATEntries[e.ID]; ok {
			e.Status = Available
		}
	})
	return e.ID, err
}

func (c *Cloud) admitSNAT(e *SNATEntry) error {
	g := c.gatewayOfTable(e.TableID)
	switch {
	case g == nil:
		return notFound("SNAT table", e.TableID)
	case g.Status != Available:
		return fail(CodeNATGatewayNotReady, "NAT gateway: %q: is %s", g.ID, g.Status)
	case (e.VSwitchID != "") == e.CIDR.IsValid():
		return fail(CodeInvalid, "SNAT source: give either a vSwitch or a CIDR block")
	}
	if err := c.admitSource(g, e); err != nil {
		return err
	}
	n := 0
	for _, other := range c.state.SNATEntries {
		owner := c.gatewayOfTable(other.TableID)
		if owner == nil || owner.VPCID != g.VPCID {
			continue
		}
		if other.CIDR.Overlaps(e.CIDR) {
			return fail(CodeSNATSourceTaken, "SNAT source: %s: is already specified in %s of %s", e.CIDR, other.ID, owner.ID)
		}
		if owner == g {
			n++
		}
	}
	if n >= snatEntriesPerNAT {
		return fail(CodeQuotaExceeded, "SNAT entry: %s has %d: the quota is %d", g.ID, n, snatEntriesPerNAT)
	}
	if len(e.IPs) == 0 {
		return fail(CodeInvalid, "SNAT address: missing")
	}
	for _, ip := range e.IPs {
		if err := c.addressOf(g, ip); err != nil {
			return err
		}
	}
	return nil
}

// admitSource checks the source of an entry, and fills in the block of a
// vSwitch.
func (c *Cloud) admitSource(g *NATGateway, e *SNATEntry) error {
	if e.VSwitchID != "" {
		s, err := get(c.state.VSwitches, "vSwitch", e.VSwitchID)
		if err != nil {
			return err
		}
		if s.VPCID != g.VPCID {
			return fail(CodeInvalid, "SNAT source: vSwitch %s is not in %s", s.ID, g.VPCID)
		}
		e.CIDR = s.CIDR
	}
	if e.CIDR != e.CIDR.Masked() {
		return fail(CodeInvalid, "SNAT source: %s: has host bits (write %s)", e.CIDR, e.CIDR.Masked())
	}
	for _, h := range c.state.HAVIPs {
		if s, ok := c.state.VSwitches[h.VSwitchID]; ok && h.VPCID == g.VPCID && within(e.CIDR, s.CIDR) {
			return fail(CodeHAVIPInVSwitch, "SNAT source: %s: HAVIP %s is in vSwitch %s, which therefore takes no SNAT entry", e.CIDR, h.ID, s.ID)
		}
	}
	return nil
}

// addressOf checks that an address is bound to the gateway.
func (c *Cloud) addressOf(g *NATGateway, ip string) error {
	if eip := c.eipAt(ip); eip == nil || eip.InstanceID != g.ID || eip.Status != InUse {
		return fail(CodeEIPNotInGateway, "%s: is not bound to %s (associate the EIP first)", ip, g.ID)
	}
	return nil
}

// ModifySNATEntry renames an entry; nothing else can change in place with the
// provider v1.217.2.
func (c *Cloud) ModifySNATEntry(id, name string) error {
	return c.change(func() error {
		e, err := get(c.state.SNATEntries, "SNAT entry", id)
		if err == nil {
			e.Name = name
		}
		return err
	})
}

// DeleteSNATEntry removes an entry: Deleting first, then gone.
func (c *Cloud) DeleteSNATEntry(id string) error {
	return c.task(c.snatTableOf(id), CodeOperationConflict, func() error {
		e, err := get(c.state.SNATEntries, "SNAT entry", id)
		if err != nil {
			return err
		}
		e.Status = Deleting
		return nil
	}, func() {
		delete(c.state.SNATEntries, id)
	})
}

func (c *Cloud) snatTableOf(entry string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.state.SNATEntries[entry]; ok {
		return e.TableID
	}
	return ""
}

// CreateForwardEntry adds a DNAT entry. Its address must be bound to the
// gateway; one (address, port, protocol) leads to one target.
func (c *Cloud) CreateForwardEntry(e ForwardEntry) (string, error) {
	err := c.change(func() error {
		if err := c.admitForward(e); err != nil {
			return err
		}
		e.ID, e.Status = c.newID(e.ID, "fwd"), Available
		c.state.ForwardEntries[e.ID] = &e
		return nil
	})
	return e.ID, err
}

func (c *Cloud) admitForward(e ForwardEntry) error {
	g := c.gatewayOfTable(e.TableID)
	if g == nil {
		return notFound("forward table", e.TableID)
	}
	if err := c.addressOf(g, e.ExternalIP); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(e.InternalIP); err != nil {
		return fail(CodeInvalid, "internal IP: %q: is not an address", e.InternalIP)
	}
	for _, o := range c.state.ForwardEntries {
		overlap := o.Protocol == e.Protocol || o.Protocol == "any" || e.Protocol == "any"
		if o.ID != e.ID && o.ExternalIP == e.ExternalIP && o.ExternalPort == e.ExternalPort && overlap {
			return fail(CodeInvalid, "DNAT: %s port %s: is already forwarded by %s", e.ExternalIP, e.ExternalPort, o.ID)
		}
	}
	return nil
}

// ModifyForwardEntry replaces everything but id and table.
func (c *Cloud) ModifyForwardEntry(e ForwardEntry) error {
	return c.change(func() error {
		old, err := get(c.state.ForwardEntries, "forward entry", e.ID)
		if err != nil {
			return err
		}
		e.TableID, e.Status = old.TableID, old.Status
		if err := c.admitForward(e); err != nil {
			return err
		}
		*old = e
		return nil
	})
}

// DeleteForwardEntry removes a DNAT entry.
func (c *Cloud) DeleteForwardEntry(id string) error {
	return c.change(func() error {
		_, err := get(c.state.ForwardEntries, "forward entry", id)
		delete(c.state.ForwardEntries, id)
		return err
	})
}

// gatewayOfTable finds the gateway that owns an SNAT or forward table.
func (c *Cloud) gatewayOfTable(table string) *NATGateway {
	for _, g := range c.state.NATGateways {
		if table != "" && (g.SNATTableID == table || g.ForwardTableID == table) {
			return g
		}
	}
	return nil
}

// NATGateways returns the NAT gateways of a VPC by id.
func (c *Cloud) NATGateways(vpc string) []NATGateway {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.NATGateways, func(g *NATGateway) bool { return g.VPCID == vpc })
}

// SNATEntries returns the entries of an SNAT table by id.
func (c *Cloud) SNATEntries(table string) []SNATEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.SNATEntries, func(e *SNATEntry) bool { return e.TableID == table })
}

// ForwardEntries returns the entries of a forward table by id.
func (c *Cloud) ForwardEntries(table string) []ForwardEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.ForwardEntries, func(e *ForwardEntry) bool { return e.TableID == table })
}
