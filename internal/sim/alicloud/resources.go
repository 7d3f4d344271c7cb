package alicloud

import (
	"fmt"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// creationTime of everything: the simulation has no clock.
const creationTime = "2024-01-01T00:00:00Z"

const available = string(Available)

// kinds are the resource types; composite ids are those that the provider
// v1.217.2 documents for import.
var kinds = map[string]kind{
	"alicloud:vpc/network:Network": {
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
	},

	"alicloud:vpc/switch:Switch": {
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
	},

	"alicloud:vpc/routeTable:RouteTable": {
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
	},

	// <route table>:<vSwitch>
	"alicloud:vpc/routeTableAttachment:RouteTableAttachment": {
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
	},

	// <route table>:<router>:<destination>:<next hop type>:<next hop>
	"alicloud:vpc/routeEntry:RouteEntry": {
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
		adopt: func(c *Cloud, id string, _ sim.Object) error {
			part := ids(id, 5)
			cidr, err := prefix(sim.Object{"destinationCidrblock": part[2]}, "destinationCidrblock")
			if err != nil {
				return err
			}
			return c.AddRoute(part[0], RouteEntry{CIDR: cidr, HopType: HopType(part[3]), HopID: part[4]})
		},
	},

	"alicloud:vpc/natGateway:NatGateway": {
		create: func(c *Cloud, in sim.Object) (string, error) {
			g := gatewayOf(in)
			if g.NATType != enhanced {
				// The provider suppresses vswitch_id unless nat_type is Enhanced
				// (v1.217.2, resource_alicloud_nat_gateway.go:152-158).
				g.VSwitchID = ""
			}
			return c.CreateNATGateway(g)
		},
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			g, ok := c.state.NATGateways[id]
			if !ok {
				return nil, false
			}
			return sim.Object{
				"vpcId": g.VPCID, "vswitchId": g.VSwitchID, "natGatewayName": g.Name, "name": g.Name,
				"description": g.Description, "natType": g.NATType, "networkType": g.NetworkType,
				"paymentType": g.PaymentType, "instanceChargeType": billing(g.PaymentType),
				"internetChargeType": g.InternetChargeType, "specification": g.Specification, "eipBindMode": g.EIPBindMode,
				"deletionProtection": g.DeletionProtection, "snatTableIds": g.SNATTableID,
				"forwardTableIds": g.ForwardTableID, "status": string(g.Status),
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			n := gatewayOf(in)
			if err := c.keeps(id, in); err != nil {
				return err
			}
			return c.ModifyNATGateway(id, func(g *NATGateway) {
				g.Name, g.Description, g.DeletionProtection = n.Name, n.Description, n.DeletionProtection
				g.EIPBindMode, g.Specification = n.EIPBindMode, n.Specification
			})
		},
		remove: func(c *Cloud, id string, in sim.Object) error {
			if prepaid(in) {
				return nil
			}
			return c.DeleteNATGateway(id, truth(in, "force"))
		},
		adopt: func(c *Cloud, id string, o sim.Object) error {
			g := gatewayOf(o)
			g.ID = id
			_, err := c.AddNATGateway(g)
			return err
		},
	},

	// <SNAT table>:<SNAT entry>
	"alicloud:vpc/snatEntry:SnatEntry": {
		create: func(c *Cloud, in sim.Object) (string, error) {
			e, err := snatOf(in)
			if err != nil {
				return "", err
			}
			id, err := c.CreateSNATEntry(e)
			if err != nil {
				return "", err
			}
			return e.TableID + ":" + id, nil
		},
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			part := ids(id, 2)
			e, ok := c.state.SNATEntries[part[1]]
			if !ok || e.TableID != part[0] {
				return nil, false
			}
			return sim.Object{
				"snatTableId": e.TableID, "snatEntryId": e.ID, "snatEntryName": e.Name, "snatIp": strings.Join(e.IPs, ","),
				"sourceVswitchId": e.VSwitchID, "sourceCidr": e.CIDR.String(), "status": string(e.Status),
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			return c.ModifySNATEntry(ids(id, 2)[1], text(in, "snatEntryName"))
		},
		remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteSNATEntry(ids(id, 2)[1]) },
		adopt: func(c *Cloud, id string, o sim.Object) error {
			e, err := snatOf(o)
			if err != nil {
				return err
			}
			e.ID = ids(id, 2)[1]
			_, err = c.AddSNATEntry(e)
			return err
		},
	},

	// <forward table>:<forward entry>
	"alicloud:vpc/forwardEntry:ForwardEntry": {
		create: func(c *Cloud, in sim.Object) (string, error) {
			e := forwardOf(in)
			id, err := c.CreateForwardEntry(e)
			if err != nil {
				return "", err
			}
			return e.TableID + ":" + id, nil
		},
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			part := ids(id, 2)
			e, ok := c.state.ForwardEntries[part[1]]
			if !ok || e.TableID != part[0] {
				return nil, false
			}
			return sim.Object{
				"forwardTableId": e.TableID, "forwardEntryId": e.ID, "forwardEntryName": e.Name, "name": e.Name,
				"externalIp": e.ExternalIP, "externalPort": e.ExternalPort, "internalIp": e.InternalIP,
				"internalPort": e.InternalPort, "ipProtocol": e.Protocol, "status": string(e.Status),
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			e := forwardOf(in)
			e.ID = ids(id, 2)[1]
			return c.ModifyForwardEntry(e)
		},
		remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteForwardEntry(ids(id, 2)[1]) },
		adopt: func(c *Cloud, id string, o sim.Object) error {
			e := forwardOf(o)
			e.ID = ids(id, 2)[1]
			_, err := c.AddForwardEntry(e)
			return err
		},
	},

	"alicloud:ecs/eipAddress:EipAddress": {
		create: func(c *Cloud, in sim.Object) (string, error) { return c.AllocateEIP(eipOf(in)) },
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			e, ok := c.state.EIPs[id]
			if !ok {
				return nil, false
			}
			return sim.Object{
				"addressName": e.Name, "name": e.Name, "description": e.Description, "ipAddress": e.Address,
				"bandwidth": e.Bandwidth, "isp": e.ISP, "internetChargeType": e.InternetChargeType,
				"paymentType": e.PaymentType, "instanceChargeType": billing(e.PaymentType),
				"resourceGroupId": e.ResourceGroupID, "deletionProtection": e.DeletionProtection,
				"status": string(e.Status), "createTime": creationTime,
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			n := eipOf(in)
			return c.ModifyEIP(id, func(e *EIP) {
				e.Name, e.Description, e.DeletionProtection = n.Name, n.Description, n.DeletionProtection
				e.ResourceGroupID = n.ResourceGroupID
				if n.Bandwidth != "" {
					e.Bandwidth = n.Bandwidth
				}
			})
		},
		remove: func(c *Cloud, id string, in sim.Object) error {
			if prepaid(in) {
				return nil
			}
			return c.ReleaseEIP(id)
		},
		adopt: func(c *Cloud, id string, o sim.Object) error {
			e := eipOf(o)
			e.ID = id
			_, err := c.AddEIP(e)
			return err
		},
	},

	// <EIP>:<instance>
	"alicloud:ecs/eipAssociation:EipAssociation": {
		create: associate,
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			part := ids(id, 2)
			e, ok := c.state.EIPs[part[0]]
			if !ok || e.InstanceID != part[1] || e.InstanceID == "" {
				return nil, false
			}
			return sim.Object{"allocationId": e.ID, "instanceId": e.InstanceID, "instanceType": e.InstanceType, "mode": "NAT"}, true
		},
		remove: func(c *Cloud, id string, _ sim.Object) error {
			part := ids(id, 2)
			return c.UnassociateEIP(part[0], part[1])
		},
		adopt: func(c *Cloud, _ string, o sim.Object) error {
			_, err := associate(c, o)
			return err
		},
	},

	"alicloud:vpc/commonBandwithPackage:CommonBandwithPackage": {
		create: func(c *Cloud, in sim.Object) (string, error) { return c.CreateBandwidthPackage(packageOf(in)) },
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			p, ok := c.state.BandwidthPackages[id]
			if !ok {
				return nil, false
			}
			return sim.Object{
				"bandwidth": p.Bandwidth, "bandwidthPackageName": p.Name, "name": p.Name, "description": p.Description,
				"isp": p.ISP, "internetChargeType": p.InternetChargeType, "deletionProtection": p.DeletionProtection,
				"paymentType": "PayAsYouGo", "status": string(p.Status), "createTime": creationTime,
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			n := packageOf(in)
			return c.ModifyBandwidthPackage(id, func(p *BandwidthPackage) {
				p.Name, p.Description = n.Name, n.Description
				p.Bandwidth, p.DeletionProtection = n.Bandwidth, n.DeletionProtection
			})
		},
		remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteBandwidthPackage(id) },
		adopt: func(c *Cloud, id string, o sim.Object) error {
			p := packageOf(o)
			p.ID = id
			_, err := c.CreateBandwidthPackage(p)
			return err
		},
	},

	// <bandwidth package>:<EIP>
	"alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment": {
		create: joinPackage,
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			part := ids(id, 2)
			e, ok := c.state.EIPs[part[1]]
			if !ok || e.BandwidthPackageID != part[0] || part[0] == "" {
				return nil, false
			}
			return sim.Object{"bandwidthPackageId": part[0], "instanceId": part[1], "status": available}, true
		},
		remove: func(c *Cloud, id string, _ sim.Object) error {
			part := ids(id, 2)
			return c.RemoveFromBandwidthPackage(part[0], part[1])
		},
		adopt: func(c *Cloud, _ string, o sim.Object) error {
			_, err := joinPackage(c, o)
			return err
		},
	},

	"alicloud:ecs/instance:Instance": {
		create: func(c *Cloud, in sim.Object) (string, error) {
			id, err := c.RunInstance(instanceOf(in))
			if err == nil && text(in, "status") == string(Stopped) {
				err = c.StopInstance(id)
			}
			return id, err
		},
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			i, ok := c.state.Instances[id]
			if !ok {
				return nil, false
			}
			return sim.Object{
				"instanceName": i.Name, "description": i.Description, "vswitchId": i.VSwitchID,
				"availabilityZone": c.zoneOf(i.VSwitchID), "networkInterfaceId": i.NetworkInterfaceID,
				"privateIp": i.PrivateIP, "primaryIpAddress": i.PrivateIP, "publicIp": i.PublicIP, "imageId": i.ImageID,
				"instanceType": i.InstanceType, "keyName": i.KeyName, "roleName": i.RoleName,
				"instanceChargeType": i.ChargeType, "internetChargeType": i.InternetChargeType,
				"internetMaxBandwidthOut": float64(i.BandwidthOut), "securityGroups": values(i.SecurityGroups),
				"userData": i.UserData, "deletionProtection": i.DeletionProtection, "status": string(i.Status),
				"cpu": 1.0, "memory": 1024.0, "osType": "linux", "osName": "Linux", "systemDiskId": "d-" + i.ID,
				"deploymentSetGroupNo": "",
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			n := instanceOf(in)
			c.mu.Lock()
			now, err := get(c.state.Instances, "instance", id)
			if err == nil && (n.VSwitchID != now.VSwitchID || n.PrivateIP != "" && n.PrivateIP != now.PrivateIP) {
				err = fail(CodeInvalid, "vswitchId, privateIp: moving instance %s is not simulated (replace it)", id)
			}
			c.mu.Unlock()
			if err != nil {
				return err
			}
			err = c.ModifyInstance(id, func(i *Instance) {
				i.Name, i.Description, i.UserData = n.Name, n.Description, n.UserData
				i.ImageID, i.InstanceType, i.KeyName, i.RoleName = n.ImageID, n.InstanceType, n.KeyName, n.RoleName
				i.SecurityGroups, i.BandwidthOut = n.SecurityGroups, n.BandwidthOut
				i.DeletionProtection = n.DeletionProtection
			})
			if err != nil {
				return err
			}
			c.mu.Lock()
			status := now.Status
			c.mu.Unlock()
			switch want := Status(text(in, "status")); {
			case want == Stopped && status == Running:
				return c.StopInstance(id)
			case want == Running && status == Stopped:
				return c.StartInstance(id)
			}
			return nil
		},
		remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteInstance(id) },
		adopt: func(c *Cloud, id string, o sim.Object) error {
			i := instanceOf(o)
			i.ID = id
			i.Status = Status(text(o, "status"))
			i.PublicIP = text(o, "publicIp")
			known := i.SecurityGroups[:0:0]
			c.mu.Lock()
			for _, g := range i.SecurityGroups {
				if _, ok := c.state.SecurityGroups[g]; ok {
					known = append(known, g)
				}
			}
			c.mu.Unlock()
			// Rules that the stack does not know are taken to let packets in.
			i.Forwards = len(known) < len(i.SecurityGroups) && translates(i.UserData)
			i.SecurityGroups = known
			_, err := c.AddInstance(i)
			return err
		},
	},

	"alicloud:ecs/securityGroup:SecurityGroup": {
		create: func(c *Cloud, in sim.Object) (string, error) { return c.CreateSecurityGroup(groupOf(in)) },
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			g, ok := c.state.SecurityGroups[id]
			if !ok {
				return nil, false
			}
			return sim.Object{
				"name": g.Name, "description": g.Description, "vpcId": g.VPCID, "securityGroupType": g.Type,
			}, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			return c.ModifySecurityGroup(id, text(in, "name"), text(in, "description"))
		},
		remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteSecurityGroup(id) },
		adopt: func(c *Cloud, id string, o sim.Object) error {
			g := groupOf(o)
			g.ID = id
			_, err := c.AddSecurityGroup(g)
			return err
		},
	},

	// <group>:<type>:<protocol>:<ports>:<nic type>:<CIDR or group>:<policy>:<priority>
	"alicloud:ecs/securityGroupRule:SecurityGroupRule": {
		create: authorize,
		outputs: func(c *Cloud, id string) (sim.Object, bool) {
			g, r, ok := ruleAt(c, id)
			if !ok {
				return nil, false
			}
			o := sim.Object{
				"securityGroupId": g, "type": r.Direction, "ipProtocol": r.Protocol, "portRange": r.PortRange,
				"nicType": r.NICType, "policy": r.Policy, "priority": float64(r.Priority), "description": r.Description,
			}
			if r.CIDR.IsValid() {
				o["cidrIp"] = r.CIDR.String()
			} else if strings.HasPrefix(r.Peer, "pl-") {
				o["prefixListId"] = r.Peer
			} else {
				o["sourceSecurityGroupId"] = r.Peer
			}
			return o, true
		},
		update: func(c *Cloud, id string, in sim.Object) error {
			_, err := authorize(c, in)
			return err
		},
		remove: func(c *Cloud, id string, _ sim.Object) error {
			c.mu.Lock()
			g, r, ok := ruleAt(c, id)
			c.mu.Unlock()
			if !ok {
				return nil
			}
			return c.RevokeSecurityGroup(g, r)
		},
		adopt: func(c *Cloud, _ string, o sim.Object) error {
			_, err := authorize(c, o)
			return err
		},
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

func vswitchOf(o sim.Object) (VSwitch, error) {
	cidr, err := prefix(o, "cidrBlock")
	return VSwitch{
		Name: text(o, "vswitchName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		ZoneID: text(o, "zoneId", "availabilityZone"), CIDR: cidr,
	}, err
}

func tableOf(o sim.Object) RouteTable {
	return RouteTable{Name: text(o, "routeTableName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId")}
}

func attach(c *Cloud, o sim.Object) (string, error) {
	table, vswitch := text(o, "routeTableId"), text(o, "vswitchId")
	if err := c.AssociateRouteTable(table, vswitch); err != nil {
		return "", err
	}
	return table + ":" + vswitch, nil
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
	err = c.CreateRouteEntry(table, RouteEntry{CIDR: p, HopType: hop.Type, HopID: hop.ID})
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
				"nexthopType": part[3], "nexthopId": part[4],
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

func (c *Cloud) zoneOf(vswitch string) string {
	if s, ok := c.state.VSwitches[vswitch]; ok {
		return s.ZoneID
	}
	return ""
}

// payment reads the two spellings of how a resource is paid for.
func payment(o sim.Object) string {
	if prepaid(o) {
		return "Subscription"
	}
	return "PayAsYouGo"
}

func prepaid(o sim.Object) bool {
	switch text(o, "paymentType", "instanceChargeType") {
	case "Subscription", "PrePaid":
		return true
	}
	return false
}

// billing is the older spelling of a payment type.
func billing(payment string) string {
	if payment == "Subscription" {
		return "PrePaid"
	}
	return "PostPaid"
}

// or returns s, or what the cloud chooses if it is empty.
func or(s, chosen string) string {
	if s == "" {
		return chosen
	}
	return s
}

func gatewayOf(o sim.Object) NATGateway {
	return NATGateway{
		Name: text(o, "natGatewayName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		VSwitchID: text(o, "vswitchId"), NATType: text(o, "natType"), NetworkType: text(o, "networkType"),
		PaymentType: payment(o), InternetChargeType: or(text(o, "internetChargeType"), "PayByLcu"),
		Specification: text(o, "specification"), EIPBindMode: or(text(o, "eipBindMode"), "MULTI_BINDED"),
		DeletionProtection: truth(o, "deletionProtection"),
		SNATTableID:        text(o, "snatTableIds"), ForwardTableID: text(o, "forwardTableIds"),
	}
}

// keeps refuses to change in place what the provider could change only on a
// gateway of the type Normal.
func (c *Cloud) keeps(gateway string, in sim.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := get(c.state.NATGateways, "NAT gateway", gateway)
	if err != nil {
		return err
	}
	n := gatewayOf(in)
	for _, p := range []struct{ name, now, want string }{
		{"natType", g.NATType, n.NATType}, {"vswitchId", g.VSwitchID, n.VSwitchID}, {"networkType", g.NetworkType, n.NetworkType},
	} {
		if p.want != "" && p.want != p.now {
			return fail(CodeInvalid, "%s: %q: cannot replace %q on a gateway of the type %s (make another gateway)", p.name, p.want, p.now, enhanced)
		}
	}
	return nil
}

func snatOf(o sim.Object) (SNATEntry, error) {
	cidr, err := prefix(o, "sourceCidr")
	e := SNATEntry{
		Name: text(o, "snatEntryName"), TableID: text(o, "snatTableId"), VSwitchID: text(o, "sourceVswitchId"),
		CIDR: cidr, IPs: split(text(o, "snatIp")),
	}
	return e, err
}

func forwardOf(o sim.Object) ForwardEntry {
	return ForwardEntry{
		Name: text(o, "forwardEntryName", "name"), TableID: text(o, "forwardTableId"),
		ExternalIP: text(o, "externalIp"), ExternalPort: text(o, "externalPort"),
		InternalIP: text(o, "internalIp"), InternalPort: text(o, "internalPort"), Protocol: text(o, "ipProtocol"),
	}
}

func eipOf(o sim.Object) EIP {
	return EIP{
		Name: text(o, "addressName", "name"), Description: text(o, "description"), Address: text(o, "ipAddress"),
		Bandwidth: text(o, "bandwidth"), ISP: or(text(o, "isp"), "BGP"),
		InternetChargeType: or(text(o, "internetChargeType"), "PayByBandwidth"), PaymentType: payment(o),
		ResourceGroupID: text(o, "resourceGroupId"), DeletionProtection: truth(o, "deletionProtection"),
	}
}

func associate(c *Cloud, o sim.Object) (string, error) {
	eip, instance := text(o, "allocationId"), text(o, "instanceId")
	if err := c.AssociateEIP(eip, instance, text(o, "instanceType")); err != nil {
		return "", err
	}
	return eip + ":" + instance, nil
}

func packageOf(o sim.Object) BandwidthPackage {
	return BandwidthPackage{
		Name: text(o, "bandwidthPackageName", "name"), Description: text(o, "description"), Bandwidth: text(o, "bandwidth"),
		ISP: or(text(o, "isp"), "BGP"), InternetChargeType: text(o, "internetChargeType"),
		DeletionProtection: truth(o, "deletionProtection"),
	}
}

func joinPackage(c *Cloud, o sim.Object) (string, error) {
	pkg, eip := text(o, "bandwidthPackageId"), text(o, "instanceId")
	if err := c.AddToBandwidthPackage(pkg, eip); err != nil {
		return "", err
	}
	return pkg + ":" + eip, nil
}

func instanceOf(o sim.Object) Instance {
	return Instance{
		Name: text(o, "instanceName"), Description: text(o, "description"), VSwitchID: text(o, "vswitchId"),
		NetworkInterfaceID: text(o, "networkInterfaceId"), PrivateIP: text(o, "privateIp"), ImageID: text(o, "imageId"),
		InstanceType: text(o, "instanceType"), KeyName: text(o, "keyName"), RoleName: text(o, "roleName"),
		ChargeType:         or(text(o, "instanceChargeType"), "PostPaid"),
		InternetChargeType: or(text(o, "internetChargeType"), "PayByTraffic"),
		BandwidthOut:       number(o, "internetMaxBandwidthOut"), SecurityGroups: texts(o, "securityGroups"),
		UserData: text(o, "userData"), DeletionProtection: truth(o, "deletionProtection"),
	}
}

func groupOf(o sim.Object) SecurityGroup {
	return SecurityGroup{
		Name: text(o, "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		Type: or(text(o, "securityGroupType"), "normal"),
	}
}

func authorize(c *Cloud, o sim.Object) (string, error) {
	cidr, err := prefix(o, "cidrIp")
	if err != nil {
		return "", err
	}
	r := Rule{
		Direction: text(o, "type"), Protocol: text(o, "ipProtocol"), PortRange: or(text(o, "portRange"), "-1/-1"),
		NICType: or(text(o, "nicType"), "intranet"), Policy: or(text(o, "policy"), "accept"),
		Priority: max(number(o, "priority"), 1), CIDR: cidr, Description: text(o, "description"),
		Peer: text(o, "sourceSecurityGroupId", "prefixListId"),
	}
	if !cidr.IsValid() && r.Peer == "" {
		return "", fail(CodeInvalid, "security group rule: has no source (give cidrIp, sourceSecurityGroupId or prefixListId)")
	}
	group := text(o, "securityGroupId")
	if err := c.AuthorizeSecurityGroup(group, r); err != nil {
		return "", err
	}
	return r.id(group), nil
}

func (r Rule) id(group string) string {
	peer := r.Peer
	if r.CIDR.IsValid() {
		peer = r.CIDR.String()
	}
	return strings.Join([]string{
		group, r.Direction, r.Protocol, r.PortRange, r.NICType, peer, r.Policy, strconv.Itoa(r.Priority),
	}, ":")
}

// ruleAt finds the rule with an id of the provider.
func ruleAt(c *Cloud, id string) (group string, r Rule, ok bool) {
	group = ids(id, 2)[0]
	if g, ok := c.state.SecurityGroups[group]; ok {
		for _, r := range g.Rules {
			if r.id(group) == id {
				return group, r, true
			}
		}
	}
	return "", Rule{}, false
}
