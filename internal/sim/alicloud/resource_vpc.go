package alicloud

import (
	"fmt"

	"polynat/internal/sim"
)

// networkKind is alicloud:vpc/network:Network.
var networkKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) {
		v, err := vpcOf(in)
		if err != nil {
			return "", err
		}
		return c.CreateVPC(v)
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		v, ok := c.state.VPCs[id]
		if !ok {
			return nil, false
		}
		var secondary []any
		for _, p := range v.SecondaryCIDRs {
			secondary = append(secondary, p.String())
		}
		return sim.Object{
			"cidrBlock": v.CIDR.String(), "secondaryCidrBlocks": secondary, "vpcName": v.Name, "name": v.Name,
			"description": v.Description, "resourceGroupId": v.ResourceGroupID, "routeTableId": v.RouteTableID,
			"routerTableId": v.RouteTableID, "routerId": v.RouterID, "status": available, "createTime": creationTime,
			"ipv6CidrBlock": "", "ipv6CidrBlocks": []any{},
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		return c.ModifyVPC(id, text(in, "vpcName", "name"), text(in, "description"), text(in, "resourceGroupId"))
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteVPC(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		v, err := vpcOf(o)
		if err != nil {
			return err
		}
		v.ID = id
		_, err = c.AddVPC(v)
		return err
	},
}

func vpcOf(o sim.Object) (VPC, error) {
	cidr, err := prefix(o, "cidrBlock")
	if err != nil {
		return VPC{}, err
	}
	v := VPC{
		Name: text(o, "vpcName", "name"), Description: text(o, "description"), CIDR: cidr,
		ResourceGroupID: text(o, "resourceGroupId"), RouterID: text(o, "routerId"), RouteTableID: text(o, "routeTableId"),
	}
	for _, s := range texts(o, "secondaryCidrBlocks") {
		p, err := prefix(sim.Object{"secondaryCidrBlocks": s}, "secondaryCidrBlocks")
		if err != nil {
			return VPC{}, err
		}
		v.SecondaryCIDRs = append(v.SecondaryCIDRs, p)
	}
	return v, nil
}

// vswitchKind is alicloud:vpc/switch:Switch.
var vswitchKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) {
		s, err := vswitchOf(in)
		if err != nil {
			return "", err
		}
		return c.CreateVSwitch(s)
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		s, ok := c.state.VSwitches[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"cidrBlock": s.CIDR.String(), "vpcId": s.VPCID, "zoneId": s.ZoneID, "availabilityZone": s.ZoneID,
			"vswitchName": s.Name, "name": s.Name, "description": s.Description, "status": available,
			"createTime": creationTime, "ipv6CidrBlock": "",
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		return c.ModifyVSwitch(id, text(in, "vswitchName", "name"), text(in, "description"))
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteVSwitch(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		s, err := vswitchOf(o)
		if err != nil {
			return err
		}
		s.ID = id
		_, err = c.AddVSwitch(s)
		return err
	},
}

func vswitchOf(o sim.Object) (VSwitch, error) {
	cidr, err := prefix(o, "cidrBlock")
	return VSwitch{
		Name: text(o, "vswitchName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		ZoneID: text(o, "zoneId", "availabilityZone"), CIDR: cidr,
	}, err
}

// routeTableKind is alicloud:vpc/routeTable:RouteTable.
var routeTableKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) { return c.CreateRouteTable(tableOf(in)) },
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		t, ok := c.state.RouteTables[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"vpcId": t.VPCID, "routeTableName": t.Name, "name": t.Name, "description": t.Description,
			"associateType": "VSwitch", "resourceGroupId": "", "status": available, "createTime": creationTime,
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		return c.ModifyRouteTable(id, text(in, "routeTableName", "name"), text(in, "description"))
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteRouteTable(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		t := tableOf(o)
		t.ID = id
		_, err := c.AddTable(t)
		return err
	},
}

func tableOf(o sim.Object) RouteTable {
	return RouteTable{Name: text(o, "routeTableName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId")}
}

// routeTableAttachmentKind is alicloud:vpc/routeTableAttachment:RouteTableAttachment; its id is
// <route table>:<vSwitch>.
var routeTableAttachmentKind = kind{
	create: attach,
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		part := ids(id, 2)
		s, ok := c.state.VSwitches[part[1]]
		if !ok || s.RouteTableID != part[0] || c.state.RouteTables[part[0]].Type == System {
			return nil, false
		}
		return sim.Object{"routeTableId": part[0], "vswitchId": part[1], "status": available}, true
	},
	remove: func(c *Cloud, id string, _ sim.Object) error {
		part := ids(id, 2)
		return c.UnassociateRouteTable(part[0], part[1])
	},
	adopt: func(c *Cloud, _ string, o sim.Object) error {
		_, err := attach(c, o)
		return err
	},
}

func attach(c *Cloud, o sim.Object) (string, error) {
	table, vswitch := text(o, "routeTableId"), text(o, "vswitchId")
	if err := c.AssociateRouteTable(table, vswitch); err != nil {
		return "", err
	}
	return table + ":" + vswitch, nil
}

// routeEntryKind is alicloud:vpc/routeEntry:RouteEntry; its id is
// <route table>:<router>:<destination>:<next hop type>:<next hop>.
var routeEntryKind = kind{
	create:  createRoute,
	outputs: routeAt,
	remove: func(c *Cloud, id string, in sim.Object) error {
		part := ids(id, 5)
		cidr, err := prefix(sim.Object{"destinationCidrblock": part[2]}, "destinationCidrblock")
		if err != nil {
			return err
		}
		return c.DeleteRouteEntry(part[0], cidr.Masked(), part[4])
	},
	adopt: func(c *Cloud, id string, o sim.Object) error {
		part := ids(id, 5)
		cidr, err := prefix(sim.Object{"destinationCidrblock": part[2]}, "destinationCidrblock")
		if err != nil {
			return err
		}
		return c.AddRoute(part[0], RouteEntry{Name: text(o, "name"), CIDR: cidr, HopType: HopType(part[3]), HopID: part[4]})
	},
}

// createRoute does what the provider v1.217.2 does: it makes the entry, takes
// its id from what was asked for, and then looks for exactly that in the
// table. If the cloud has understood something else (the default next hop
// type, a destination without its host bits), it looks in vain for two
// minutes and fails, with the route in place.
func createRoute(c *Cloud, in sim.Object) (string, error) {
	table, cidr := text(in, "routeTableId"), text(in, "destinationCidrblock")
	hop := Hop{HopType(text(in, "nexthopType")), text(in, "nexthopId")}
	p, err := prefix(in, "destinationCidrblock")
	if err != nil {
		return "", err
	}
	id := fmt.Sprintf("%s:%s:%s:%s:%s", table, c.routerID(table), cidr, hop.Type, hop.ID)
	find := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := routeAt(c, id)
		return ok
	}
	err = c.CreateRouteEntry(table, RouteEntry{Name: text(in, "name"), CIDR: p, HopType: hop.Type, HopID: hop.ID})
	switch {
	case IsCode(err, CodeRouteDuplicated) && find():
		return "", fmt.Errorf("%w: the route entry already existed, please import it using ID %q", err, id)
	case IsCode(err, CodeRouteDuplicated):
		return "", fmt.Errorf("%w: the route entry %q is not found", err, id)
	case err != nil:
		return "", err
	case !find():
		return id, fmt.Errorf("nexthopType, destinationCidrblock: %q, %q: the route was made, but waiting 120 s for %q "+
			"was in vain (set nexthopType, and write the destination without host bits)", hop.Type, cidr, id)
	}
	return id, nil
}

// routeAt finds the custom entry with an id of the provider, which compares
// destination, next hop type and next hop as strings: the same destination
// with another next hop is another entry.
func routeAt(c *Cloud, id string) (sim.Object, bool) {
	part := ids(id, 5)
	t, ok := c.state.RouteTables[part[0]]
	if !ok {
		return nil, false
	}
	for _, e := range t.Entries {
		if isCustom(e) && e.CIDR.String() == part[2] && string(e.HopType) == part[3] && e.HopID == part[4] {
			return sim.Object{
				"routeTableId": t.ID, "routerId": c.state.VPCs[t.VPCID].RouterID, "destinationCidrblock": part[2],
				"nexthopType": part[3], "nexthopId": part[4], "name": e.Name,
			}, true
		}
	}
	return nil, false
}

func (c *Cloud) routerID(table string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.state.RouteTables[table]; ok {
		return c.state.VPCs[t.VPCID].RouterID
	}
	return ""
}
