package aws

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/sim"
)

var vpcKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		id, err := s.createVPC(sim.Text(in, "cidrBlock"), sim.Truth(in, "assignGeneratedIpv6CidrBlock"), tagsOf(in))
		if err != nil {
			return "", nil, err
		}
		v := s.VPCs[id]
		v.DNSNames = sim.Truth(in, "enableDnsHostnames")
		return id, sim.Object{
			"arn": c.arn("ec2", "vpc/"+id), "ownerId": c.opts.Account, "mainRouteTableId": v.MainTable, "defaultRouteTableId": v.OwnTable,
			"defaultSecurityGroupId": v.DefaultGroup, "defaultNetworkAclId": "acl-" + strings.TrimPrefix(id, "vpc-"), "dhcpOptionsId": "dopt-00000000000000001",
		}, nil
	},
	update: func(_ *Cloud, s *state, id string, old, in sim.Object) error {
		v, err := s.vpc(id)
		if err != nil {
			return err
		}
		v.Tags, v.DNSNames = tagsOf(in), sim.Truth(in, "enableDnsHostnames")
		if sim.Truth(in, "assignGeneratedIpv6CidrBlock") && !sim.Truth(old, "assignGeneratedIpv6CidrBlock") {
			v.IPv6 = s.vpcIPv6()
			for _, t := range s.Tables {
				if t.VpcID == id {
					t.Routes = append(t.Routes, Route{DestinationIpv6CidrBlock: v.IPv6.String(), GatewayID: local, Origin: "CreateRouteTable", State: RouteActive})
				}
			}
		}
		return nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { return s.deleteVPC(id) },
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		v, ok := s.VPCs[id]
		if !ok {
			return nil, false
		}
		out := sim.Object{"mainRouteTableId": v.MainTable, "cidrBlock": v.CIDRs[0].String(), "enableDnsHostnames": v.DNSNames}
		if v.IPv6.IsValid() {
			out["ipv6CidrBlock"], out["ipv6AssociationId"] = v.IPv6.String(), "vpc-cidr-assoc-"+strings.TrimPrefix(id, "vpc-")
		}
		return out, true
	},
}

var subnetKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		n := &subnet{
			VPC: sim.Text(in, "vpcId"), Zone: sim.Text(in, "availabilityZone"), MapPublic: sim.Truth(in, "mapPublicIpOnLaunch"),
			Map6: sim.Truth(in, "assignIpv6AddressOnCreation"), Tags: tagsOf(in),
		}
		if id := sim.Text(in, "availabilityZoneId"); id != "" {
			for _, z := range c.opts.Zones {
				if c.zoneID(z) == id {
					n.Zone = z
				}
			}
		}
		if n.Zone == "" {
			n.Zone = c.opts.Zones[0]
		}
		if !slices.Contains(c.opts.Zones, n.Zone) {
			return "", nil, refuse("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.",
				n.Zone, strings.Join(c.opts.Zones, ", "))
		}
		var err error
		if n.CIDR, err = block("InvalidParameterValue", sim.Text(in, "cidrBlock")); err != nil {
			return "", nil, err
		}
		if text := sim.Text(in, "ipv6CidrBlock"); text != "" {
			if n.IPv6, err = block("InvalidParameterValue", text); err != nil {
				return "", nil, err
			}
		}
		id, err := s.createSubnet(n)
		return id, sim.Object{
			"arn": c.arn("ec2", "subnet/"+id), "ownerId": c.opts.Account, "availabilityZone": n.Zone, "availabilityZoneId": c.zoneID(n.Zone),
			"privateDnsHostnameTypeOnLaunch": "ip-name",
		}, err
	},
	update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
		n, err := s.subnet(id)
		if err != nil {
			return err
		}
		n.MapPublic, n.Map6, n.Tags = sim.Truth(in, "mapPublicIpOnLaunch"), sim.Truth(in, "assignIpv6AddressOnCreation"), tagsOf(in)
		return nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { return s.deleteSubnet(id) },
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		n, ok := s.Subnets[id]
		if !ok {
			return nil, false
		}
		out := sim.Object{"mapPublicIpOnLaunch": n.MapPublic, "cidrBlock": n.CIDR.String()}
		if n.IPv6.IsValid() {
			out["ipv6CidrBlock"], out["ipv6CidrBlockAssociationId"] = n.IPv6.String(), "subnet-cidr-assoc-"+strings.TrimPrefix(id, "subnet-")
		}
		return out, true
	},
}

var reservationKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		p, err := block("InvalidParameterValue", sim.Text(in, "cidrBlock"))
		if err != nil {
			return "", nil, err
		}
		id, err := s.reserve(&reservation{Subnet: sim.Text(in, "subnetId"), Type: sim.Text(in, "reservationType"), CIDR: p})
		return id, sim.Object{"ownerId": c.opts.Account}, err
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { delete(s.Reservations, id); return nil },
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		_, ok := s.Reservations[id]
		return nil, ok
	},
}

// attachedKind is a gateway that belongs to a VPC.
func attachedKind(prefix, arn string, table func(*state) map[string]*attachment, detach func(s *state, id string) error) kind {
	attach := func(s *state, id, vpcID string) error {
		if vpcID == "" {
			return nil
		}
		if _, err := s.vpc(vpcID); err != nil {
			return err
		}
		for other, g := range table(s) {
			if g.VPC == vpcID && other != id {
				return refuse("Resource.AlreadyAssociated", "Network %s already has an internet gateway attached", vpcID)
			}
		}
		return nil
	}
	return kind{
		create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
			vpcID := sim.Text(in, "vpcId")
			if err := attach(s, "", vpcID); err != nil {
				return "", nil, err
			}
			id := s.newID(prefix)
			table(s)[id] = &attachment{VPC: vpcID, Tags: tagsOf(in)}
			return id, sim.Object{"arn": c.arn("ec2", arn+"/"+id), "ownerId": c.opts.Account}, nil
		},
		update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
			g, ok := table(s)[id]
			if !ok {
				return refuse("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
			}
			if vpcID := sim.Text(in, "vpcId"); vpcID != g.VPC {
				if err := attach(s, id, vpcID); err != nil {
					return err
				}
				if g.VPC != "" {
					if err := detach(s, id); err != nil {
						return err
					}
				}
				g.VPC = vpcID
			}
			g.Tags = tagsOf(in)
			return nil
		},
		remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
			if g, ok := table(s)[id]; ok && g.VPC != "" {
				if err := detach(s, id); err != nil {
					return err
				}
			}
			delete(table(s), id)
			return nil
		},
		show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
			g, ok := table(s)[id]
			if !ok {
				return nil, false
			}
			return sim.Object{"vpcId": g.VPC}, true
		},
	}
}

var tableKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		vpcID := sim.Text(in, "vpcId")
		if _, err := s.vpc(vpcID); err != nil {
			return "", nil, err
		}
		id := s.newTable(vpcID, tagsOf(in))
		if err := inlineRoutes(c, s, id, in); err != nil {
			delete(s.Tables, id)
			return "", nil, err
		}
		return id, sim.Object{"arn": c.arn("ec2", "route-table/"+id), "ownerId": c.opts.Account}, nil
	},
	update: func(c *Cloud, s *state, id string, _, in sim.Object) error {
		t, err := s.table(id)
		if err != nil {
			return err
		}
		t.Tags = tagsOf(in)
		return inlineRoutes(c, s, id, in)
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { return s.deleteTable(id) },
	removing: func(_ context.Context, c *Cloud, id string, _ *declaration) error {
		// The provider disassociates what is left.
		return c.change(func(s *state) error {
			if t, ok := s.Tables[id]; ok {
				t.Associations = slices.DeleteFunc(t.Associations, func(a RouteTableAssociation) bool { return !a.Main })
			}
			return nil
		})
	},
	show: func(c *Cloud, s *state, id string, d *declaration) (sim.Object, bool) {
		if _, ok := s.Tables[id]; !ok {
			return nil, false
		}
		out := sim.Object{"propagatingVgws": []any{}}
		if _, given := d.Inputs["routes"]; !given {
			var routes []any
			for _, r := range c.describeTable(s, id).Routes {
				if r.GatewayID != local {
					routes = append(routes, inlineRoute(r))
				}
			}
			out["routes"] = routes
		}
		return out, true
	},
}

// inlineRoute is a route as the table's own property holds it.
func inlineRoute(r Route) sim.Object {
	o := sim.Object{}
	for name, v := range map[string]string{
		"cidrBlock": r.DestinationCidrBlock, "ipv6CidrBlock": r.DestinationIpv6CidrBlock, "gatewayId": r.GatewayID, "natGatewayId": r.NatGatewayID,
		"networkInterfaceId": r.NetworkInterfaceID, "egressOnlyGatewayId": r.EgressOnlyInternetGatewayID,
	} {
		if v != "" {
			o[name] = v
		}
	}
	return o
}

// inlineRoutes makes a table's routes what the table's own property says, if it says anything: others are removed.
func inlineRoutes(c *Cloud, s *state, id string, in sim.Object) error {
	if _, given := in["routes"]; !given {
		return nil
	}
	t := s.Tables[id]
	kept := slices.DeleteFunc(slices.Clone(t.Routes), func(r Route) bool { return r.GatewayID != local })
	before := t.Routes
	t.Routes = kept
	for _, o := range objects(in, "routes") {
		err := c.createRoute(s, RouteInput{
			RouteTableID: id, DestinationCidrBlock: sim.Text(o, "cidrBlock"), DestinationIpv6CidrBlock: sim.Text(o, "ipv6CidrBlock"),
			GatewayID: sim.Text(o, "gatewayId"), NatGatewayID: sim.Text(o, "natGatewayId"), NetworkInterfaceID: sim.Text(o, "networkInterfaceId"),
			EgressOnlyInternetGatewayID: sim.Text(o, "egressOnlyGatewayId"),
		})
		if err != nil {
			t.Routes = before
			return err
		}
	}
	return nil
}

// routeInput is what the provider calls CreateRoute or ReplaceRoute with.
func routeInput(in sim.Object) RouteInput {
	return RouteInput{
		RouteTableID: sim.Text(in, "routeTableId"), DestinationCidrBlock: sim.Text(in, "destinationCidrBlock"),
		DestinationIpv6CidrBlock: sim.Text(in, "destinationIpv6CidrBlock"), GatewayID: sim.Text(in, "gatewayId"), NatGatewayID: sim.Text(in, "natGatewayId"),
		NetworkInterfaceID: sim.Text(in, "networkInterfaceId"), EgressOnlyInternetGatewayID: sim.Text(in, "egressOnlyGatewayId"),
		VpcPeeringConnectionID: sim.Text(in, "vpcPeeringConnectionId"), TransitGatewayID: sim.Text(in, "transitGatewayId"),
	}
}

// routeOf finds the route of a declaration.
func routeOf(s *state, in sim.Object) (t *RouteTable, i int) {
	r := routeInput(in)
	t, ok := s.Tables[r.RouteTableID]
	if !ok {
		return nil, -1
	}
	p, err := destination(r.DestinationCidrBlock, r.DestinationIpv6CidrBlock)
	if err != nil {
		return nil, -1
	}
	return t, t.find(p)
}

// targets are the properties of a route that say where it leads.
var targets = []string{
	"carrierGatewayId", "coreNetworkArn", "egressOnlyGatewayId", "gatewayId", "localGatewayId", "natGatewayId", "networkInterfaceId",
	"transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId",
}

var routeKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		r := routeInput(in)
		if err := c.createRoute(s, r); err != nil {
			return "", nil, err
		}
		to := r.DestinationCidrBlock + r.DestinationIpv6CidrBlock
		return fmt.Sprintf("r-%s%d", r.RouteTableID, crc32.ChecksumIEEE([]byte(to))), nil, nil
	},
	update: func(c *Cloud, s *state, _ string, old, in sim.Object) error {
		for _, name := range targets {
			if old[name] != in[name] {
				return c.replaceRoute(s, routeInput(in))
			}
		}
		return nil
	},
	remove: func(_ *Cloud, s *state, _ string, d *declaration) error {
		r := routeInput(d.Inputs)
		err := s.deleteRoute(DeleteRouteInput{RouteTableID: r.RouteTableID, DestinationCidrBlock: r.DestinationCidrBlock, DestinationIpv6CidrBlock: r.DestinationIpv6CidrBlock})
		if isCode(err, "InvalidRoute.NotFound", "InvalidRouteTableID.NotFound") {
			return nil
		}
		return err
	},
	show: func(c *Cloud, s *state, _ string, d *declaration) (sim.Object, bool) {
		t, i := routeOf(s, d.Inputs)
		if i < 0 {
			return nil, false
		}
		r := c.shown(s, t.Routes[i])
		out := sim.Object{"state": r.State, "origin": r.Origin, "instanceId": r.InstanceID, "instanceOwnerId": r.InstanceOwnerID, "networkInterfaceId": r.NetworkInterfaceID}
		for _, name := range targets {
			if name != "networkInterfaceId" {
				out[name] = nil
			}
		}
		for name, v := range map[string]string{
			"gatewayId": r.GatewayID, "natGatewayId": r.NatGatewayID, "egressOnlyGatewayId": r.EgressOnlyInternetGatewayID,
			"vpcPeeringConnectionId": r.VpcPeeringConnectionID, "transitGatewayId": r.TransitGatewayID,
		} {
			if v != "" {
				out[name] = v
			}
		}
		return out, true
	},
}

var associationKind = kind{
	create: func(_ *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		id, err := s.associate(sim.Text(in, "routeTableId"), sim.Text(in, "subnetId"))
		return id, nil, err
	},
	update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
		from, i, ok := s.association(id)
		if !ok {
			return refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
		}
		to, err := s.table(sim.Text(in, "routeTableId"))
		if err != nil {
			return err
		}
		a := from.Associations[i]
		from.Associations = slices.Delete(from.Associations, i, i+1)
		a.RouteTableID = to.RouteTableID
		to.Associations = append(to.Associations, a)
		return nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		if t, i, ok := s.association(id); ok {
			t.Associations = slices.Delete(t.Associations, i, i+1)
		}
		return nil
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		t, _, ok := s.association(id)
		if !ok {
			return nil, false
		}
		return sim.Object{"routeTableId": t.RouteTableID}, true
	},
}

var gatewayKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		g := &NatGateway{
			SubnetID: sim.Text(in, "subnetId"), ConnectivityType: sim.Text(in, "connectivityType"), AllocationID: sim.Text(in, "allocationId"),
			PrivateIP: sim.Text(in, "privateIp"), Tags: tagsOf(in),
		}
		err := c.createGateway(s, g)
		return g.NatGatewayID, nil, err
	},
	ready: func(ctx context.Context, c *Cloud, id string) error {
		return c.await(ctx, 10*c.opts.GatewayTime, func(s *state) (bool, error) {
			g, ok := s.Gateways[id]
			if !ok || g.State == GatewayFailed {
				why := "it is gone"
				if ok {
					why = g.FailureCode + ": " + g.FailureMessage
				}
				return false, fmt.Errorf("waiting for NAT gateway %s to become available: unexpected state 'failed', wanted target 'available': %s", id, why)
			}
			return g.State == GatewayAvailable, nil
		})
	},
	update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
		g, ok := s.Gateways[id]
		if !ok {
			return refuse("NatGatewayNotFound", "NAT gateway %s was not found", id)
		}
		g.Tags = tagsOf(in)
		return nil
	},
	remove: func(c *Cloud, s *state, id string, _ *declaration) error {
		if _, ok := s.Gateways[id]; !ok {
			return nil
		}
		return s.deleteGateway(c, id)
	},
	removed: func(ctx context.Context, c *Cloud, id string, _ *declaration) error {
		return c.await(ctx, 30*c.opts.GatewayTime, func(s *state) (bool, error) {
			g, ok := s.Gateways[id]
			return !ok || g.State == GatewayDeleted || g.State == GatewayFailed, nil
		})
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		g, ok := s.Gateways[id]
		if !ok || g.State == GatewayDeleted || g.State == GatewayDeleting {
			return nil, false
		}
		out := sim.Object{
			"networkInterfaceId": g.NetworkInterfaceID, "privateIp": g.PrivateIP, "publicIp": g.PublicIP, "secondaryPrivateIpAddresses": []any{},
			"secondaryPrivateIpAddressCount": 0, "associationId": "",
		}
		if a, ok := s.Addresses[g.AllocationID]; ok {
			out["associationId"] = a.AssociationID
		}
		return out, true
	},
}

var eipKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		a, err := c.allocateAddress(s, tagsOf(in))
		if err != nil {
			return "", nil, err
		}
		if instance, eni := sim.Text(in, "instance"), sim.Text(in, "networkInterface"); instance+eni != "" {
			if _, err := c.associateAddress(s, AssociateAddressInput{AllocationID: a.AllocationID, InstanceID: instance, NetworkInterfaceID: eni, PrivateIPAddress: sim.Text(in, "associateWithPrivateIp")}); err != nil {
				delete(s.Addresses, a.AllocationID)
				return "", nil, err
			}
		}
		return a.AllocationID, sim.Object{
			"allocationId": a.AllocationID, "arn": c.arn("ec2", "elastic-ip/"+a.AllocationID), "publicIp": a.PublicIP, "domain": "vpc",
			"publicDns": "ec2-" + strings.ReplaceAll(a.PublicIP, ".", "-") + ".compute.amazonaws.com", "publicIpv4Pool": "amazon", "networkBorderGroup": cmp.Or(sim.Text(in, "networkBorderGroup"), c.opts.Region),
			"ptrRecord": "", "carrierIp": "", "customerOwnedIp": "", "vpc": true,
		}, nil
	},
	update: func(c *Cloud, s *state, id string, old, in sim.Object) error {
		a, err := s.address(id)
		if err != nil {
			return err
		}
		a.Tags = tagsOf(in)
		instance, eni, private := sim.Text(in, "instance"), sim.Text(in, "networkInterface"), sim.Text(in, "associateWithPrivateIp")
		if instance == sim.Text(old, "instance") && eni == sim.Text(old, "networkInterface") && private == sim.Text(old, "associateWithPrivateIp") || instance+eni == "" {
			return nil
		}
		_, err = c.associateAddress(s, AssociateAddressInput{AllocationID: id, InstanceID: instance, NetworkInterfaceID: eni, PrivateIPAddress: private})
		return err
	},
	remove: func(c *Cloud, s *state, id string, _ *declaration) error {
		a, ok := s.Addresses[id]
		if !ok {
			return nil
		}
		if a.AssociationID != "" { // the provider takes it away from where it is
			if err := c.disassociateAddress(s, a.AssociationID); err != nil {
				return err
			}
		}
		return s.releaseAddress(id)
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		a, ok := s.Addresses[id]
		if !ok {
			return nil, false
		}
		private := ""
		if p, err := netip.ParseAddr(a.PrivateIPAddress); err == nil {
			private = "ip-" + strings.ReplaceAll(p.String(), ".", "-") + ".ec2.internal"
		}
		return sim.Object{"associationId": a.AssociationID, "instance": a.InstanceID, "networkInterface": a.NetworkInterfaceID, "privateIp": a.PrivateIPAddress, "privateDns": private}, true
	},
}

var eipAssociationKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		allocation := sim.Text(in, "allocationId")
		for id, a := range s.Addresses {
			if allocation == "" && a.PublicIP == sim.Text(in, "publicIp") {
				allocation = id
			}
		}
		again := sim.Truth(in, "allowReassociation")
		id, err := c.associateAddress(s, AssociateAddressInput{
			AllocationID: allocation, InstanceID: sim.Text(in, "instanceId"), NetworkInterfaceID: sim.Text(in, "networkInterfaceId"),
			PrivateIPAddress: sim.Text(in, "privateIpAddress"), AllowReassociation: &again,
		})
		return id, nil, err
	},
	remove: func(c *Cloud, s *state, id string, _ *declaration) error {
		err := c.disassociateAddress(s, id)
		if isCode(err, "InvalidAssociationID.NotFound") {
			return nil
		}
		return err
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		for _, a := range s.Addresses {
			if a.AssociationID == id {
				return sim.Object{
					"allocationId": a.AllocationID, "publicIp": a.PublicIP, "instanceId": a.InstanceID,
					"networkInterfaceId": a.NetworkInterfaceID, "privateIpAddress": a.PrivateIPAddress,
				}, true
			}
		}
		return nil, false
	},
}

var interfaceKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		wanted := append([]string{sim.Text(in, "privateIp")}, sim.Texts(in, "privateIps")...)
		wanted = slices.DeleteFunc(wanted, func(a string) bool { return a == "" })
		first := ""
		if len(wanted) > 0 {
			first = wanted[0]
		}
		e, err := c.newInterface(s, sim.Text(in, "subnetId"), first, sim.Texts(in, "securityGroups"))
		if err != nil {
			return "", nil, err
		}
		for _, a := range wanted[min(1, len(wanted)):] {
			if a == first {
				continue
			}
			if err := s.claimable(e.SubnetID, a); err != nil {
				s.removeInterface(e.NetworkInterfaceID)
				return "", nil, err
			}
			e.PrivateIPAddresses = append(e.PrivateIPAddresses, PrivateAddress{PrivateIPAddress: a})
		}
		e.Description, e.Tags, e.Shown = sim.Text(in, "description"), tagsOf(in), slices.Clone(e.PrivateIPAddresses)
		if check, given := in["sourceDestCheck"].(bool); given {
			e.SourceDestCheck = check
		}
		return e.NetworkInterfaceID, sim.Object{
			"arn": c.arn("ec2", "network-interface/"+e.NetworkInterfaceID), "ownerId": c.opts.Account, "macAddress": e.MacAddress, "privateIp": e.PrivateIPAddress,
			"interfaceType": "interface", "privateDnsName": "", "outpostArn": "",
		}, nil
	},
	update: func(_ *Cloud, s *state, id string, _, in sim.Object) error {
		e, err := s.netInterface(id)
		if err != nil {
			return err
		}
		if groups := sim.Texts(in, "securityGroups"); len(groups) > 0 {
			if err := s.checkGroups(groups, e.VpcID); err != nil {
				return err
			}
			e.GroupIDs = groups
		}
		if check, given := in["sourceDestCheck"].(bool); given {
			e.SourceDestCheck = check
		}
		e.Description, e.Tags = sim.Text(in, "description"), tagsOf(in)
		return nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		e, ok := s.Interfaces[id]
		if ok && e.InstanceID != "" {
			return refuse("InvalidParameterValue", "Network interface '%s' is currently in use.", id)
		}
		s.removeInterface(id)
		return nil
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		e, ok := s.Interfaces[id]
		if !ok {
			return nil, false
		}
		var private []any
		for _, a := range e.PrivateIPAddresses {
			private = append(private, a.PrivateIPAddress)
		}
		return sim.Object{"privateIps": private, "securityGroups": sim.Values(e.GroupIDs), "sourceDestCheck": e.SourceDestCheck}, true
	},
}
