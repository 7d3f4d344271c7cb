package alicloud

import (
	"net/netip"
	"slices"

	"polynat/internal/route"
)

// serviceCIDR is where the cloud's own services live; each table has a system
// entry for it, and no custom entry may equal it or lie in it
// (CreateRouteEntry, Alibaba Cloud documentation).
var serviceCIDR = netip.MustParsePrefix("100.64.0.0/10")

func isCustom(e RouteEntry) bool { return e.Type == Custom }

func (t *RouteTable) index(cidr netip.Prefix) int {
	return slices.IndexFunc(t.Entries, func(e RouteEntry) bool { return e.CIDR == cidr })
}

// CreateRouteEntry adds a custom entry: Pending first, then Available. Of e
// only Name, CIDR (host bits are dropped), HopType (default Instance) and HopID
// count. While another route task of the VPC is under way it fails with
// [CodeTaskConflict], if the destination has an entry already with
// [CodeRouteDuplicated].
func (c *Cloud) CreateRouteEntry(table string, e RouteEntry) error {
	if e.HopType == "" {
		e.HopType = HopInstance
	}
	if !e.CIDR.IsValid() || !e.CIDR.Addr().Is4() {
		return fail(CodeInvalid, "destination: %q: is not an IPv4 prefix", e.CIDR)
	}
	e = RouteEntry{Name: e.Name, CIDR: e.CIDR.Masked(), HopType: e.HopType, HopID: e.HopID, Type: Custom, Status: Pending}
	return c.task(c.routerOf(table), CodeTaskConflict, func() error {
		t, err := get(c.state.RouteTables, "route table", table)
		if err != nil {
			return err
		}
		if err := c.admit(t, e); err != nil {
			return err
		}
		c.enter(t, e)
		return nil
	}, func() { c.settleEntry(table, e.CIDR) })
}

// routerOf is the key under which route tasks exclude each other: the VPC.
func (c *Cloud) routerOf(table string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.state.RouteTables[table]; ok {
		return t.VPCID
	}
	return ""
}

// admit applies the rules for a new custom entry.
func (c *Cloud) admit(t *RouteTable, e RouteEntry) error {
	if i := t.index(e.CIDR); i >= 0 && isCustom(t.Entries[i]) {
		return fail(CodeRouteDuplicated, "%s: %s has an entry for it, to %s", e.CIDR, t.ID, t.Entries[i].Hop())
	}
	if within(e.CIDR, serviceCIDR) {
		return fail(CodeDestinationReserved, "%s: lies in %s, which belongs to the cloud", e.CIDR, serviceCIDR)
	}
	for _, s := range c.state.VSwitches {
		if s.VPCID == t.VPCID && within(e.CIDR, s.CIDR) {
			return fail(CodeDestinationReserved, "%s: lies in %s of vSwitch %s (a destination may contain a vSwitch, not equal it or lie in it)", e.CIDR, s.CIDR, s.ID)
		}
	}
	n := 0
	for _, other := range t.Entries {
		if isCustom(other) {
			n++
		}
	}
	if n >= c.opts.RouteQuota {
		return fail(CodeQuotaExceeded, "%s: %s has %d custom entries: the quota is %d", e.CIDR, t.ID, n, c.opts.RouteQuota)
	}
	if vpc, ok := c.vpcOfHop(e.Hop()); !ok || vpc != t.VPCID {
		return fail(CodeInvalid, "next hop: %s: does not exist in %s", e.Hop(), t.VPCID)
	}
	return nil
}

// vpcOfHop finds the VPC in which a next hop is; ok is false if there is no
// such next hop.
func (c *Cloud) vpcOfHop(h Hop) (vpc string, ok bool) {
	switch h.Type {
	case HopInstance:
		if i, ok := c.state.Instances[h.ID]; ok {
			return i.VPCID, true
		}
	case HopNetworkInterface:
		if i, ok := c.state.Interfaces[h.ID]; ok {
			return i.VPCID, true
		}
		if i := c.ownerOf(h.ID); i != nil {
			return i.VPCID, true
		}
	case HopHAVIP:
		if v, ok := c.state.HAVIPs[h.ID]; ok {
			return v.VPCID, true
		}
	case HopNATGateway:
		if g, ok := c.state.NATGateways[h.ID]; ok && g.Status == Available {
			return g.VPCID, true
		}
	default:
		if f, ok := c.state.ForeignHops[h.ID]; ok && f.Type == h.Type {
			return f.VPCID, true
		}
	}
	return "", false
}

// DeleteRouteEntry removes the custom entry with this destination and next
// hop: Deleting first, then gone. It fails with [CodeRouteNotFound] if there
// is none, with [CodeTaskConflict] while a route task is under way.
func (c *Cloud) DeleteRouteEntry(table string, cidr netip.Prefix, hopID string) error {
	return c.task(c.routerOf(table), CodeTaskConflict, func() error {
		t, err := get(c.state.RouteTables, "route table", table)
		if err != nil {
			return err
		}
		i := t.index(cidr)
		if i < 0 || !isCustom(t.Entries[i]) || t.Entries[i].HopID != hopID {
			return fail(CodeRouteNotFound, "%s: %s has no custom entry for it to %q", cidr, table, hopID)
		}
		c.setStatus(t, i, Deleting)
		return nil
	}, func() { c.settleEntry(table, cidr) })
}

// ModifyRouteEntry names the custom entry of a destination, as somebody does in
// the console: no resource of the provider v1.217.2 calls it.
func (c *Cloud) ModifyRouteEntry(table string, cidr netip.Prefix, name string) error {
	return c.change(func() error {
		t, err := get(c.state.RouteTables, "route table", table)
		if err != nil {
			return err
		}
		i := t.index(cidr)
		if i < 0 || !isCustom(t.Entries[i]) {
			return fail(CodeRouteNotFound, "%s: %s has no custom entry for it", cidr, table)
		}
		t.Entries[i].Name = name
		return nil
	})
}

// settleEntry completes what is under way on an entry.
func (c *Cloud) settleEntry(table string, cidr netip.Prefix) {
	t, ok := c.state.RouteTables[table]
	if !ok {
		return
	}
	i := t.index(cidr)
	if i < 0 {
		return
	}
	switch t.Entries[i].Status {
	case Pending:
		c.setStatus(t, i, Available)
	case Deleting:
		c.leave(t, cidr)
	}
}

// enter adds an entry of whatever status.
func (c *Cloud) enter(t *RouteTable, e RouteEntry) {
	t.Entries = append(t.Entries, e)
	if e.Status == Available {
		c.live[t.ID].insert(e)
	}
}

// leave removes the entry of a destination, if there is one.
func (c *Cloud) leave(t *RouteTable, cidr netip.Prefix) {
	if i := t.index(cidr); i >= 0 {
		if t.Entries[i].Status == Available {
			c.live[t.ID].remove(t.Entries[i])
		}
		t.Entries = slices.Delete(t.Entries, i, i+1)
	}
}

// setStatus moves the i-th entry to Available, or from it.
func (c *Cloud) setStatus(t *RouteTable, i int, to Status) {
	e := &t.Entries[i]
	switch {
	case to == Available && e.Status != Available:
		c.live[t.ID].insert(*e)
	case to != Available && e.Status == Available:
		c.live[t.ID].remove(*e)
	}
	e.Status = to
}

// pointsAt finds an entry of the VPC that leads to the hop, except those that
// skip accepts.
func (c *Cloud) pointsAt(vpc string, h Hop, skip func(RouteEntry) bool) (RouteTable, RouteEntry, bool) {
	for _, t := range c.state.RouteTables {
		if t.VPCID != vpc {
			continue
		}
		for _, e := range t.Entries {
			if e.Hop() == h && !skip(e) {
				return *t, e, true
			}
		}
	}
	return RouteTable{}, RouteEntry{}, false
}

// addAutomaticRoute does what the NAT service does by itself after an
// Internet NAT gateway was made: if 0.0.0.0/0 is free in the system table, it
// gets an entry to the gateway. Custom tables get none. (Alibaba Cloud
// documentation of CreateNatGateway: "a route entry is automatically added to
// the route table of the VPC".)
func (c *Cloud) addAutomaticRoute(gateway string) {
	c.mu.Lock()
	g, ok := c.state.NATGateways[gateway]
	if !ok || g.NetworkType != networkInternet || c.opts.AutomaticRoute != RouteAppears {
		c.mu.Unlock()
		return
	}
	vpc := g.VPCID
	c.mu.Unlock()

	// The service waits for its turn where a caller would be refused.
	for {
		err := c.task(vpc, CodeTaskConflict, func() error {
			v, err := get(c.state.VPCs, "VPC", vpc)
			if err != nil {
				return err
			}
			t := c.state.RouteTables[v.RouteTableID]
			if t.index(route.Default()) >= 0 {
				return fail(CodeRouteDuplicated, "%s: taken", route.Default())
			}
			c.enter(t, RouteEntry{CIDR: route.Default(), HopType: HopNATGateway, HopID: gateway, Type: Custom, Status: Pending, Automatic: true})
			return nil
		}, func() {
			if v, ok := c.state.VPCs[vpc]; ok {
				c.settleEntry(v.RouteTableID, route.Default())
			}
		})
		if !IsCode(err, CodeTaskConflict) {
			return // done, or the destination is taken: the gateway stays without
		}
		c.awaitIdle(vpc)
	}
}

// awaitIdle returns when no task with the key is under way.
func (c *Cloud) awaitIdle(key string) {
	c.turn.Lock()
	defer c.turn.Unlock()
	for c.busy[key] {
		c.idle.Wait()
	}
}
