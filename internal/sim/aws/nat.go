package aws

import (
	"slices"
	"time"
)

// createGateway makes a NAT gateway, which is pending. What is wrong with its subnet or its address shows when it fails.
func (c *Cloud) createGateway(s *state, g *NatGateway) error {
	n, err := s.subnet(g.SubnetID)
	if err != nil {
		return err
	}
	if g.ConnectivityType == "public" {
		if g.AllocationID == "" {
			return refuse("MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request.")
		}
		if _, err := s.address(g.AllocationID); err != nil {
			return err
		}
	}
	perZone := 0
	for _, o := range s.Gateways {
		if o.State != GatewayDeleted && o.State != GatewayFailed && s.Subnets[o.SubnetID] != nil && s.Subnets[o.SubnetID].Zone == n.Zone && o.ConnectivityType == g.ConnectivityType {
			perZone++
		}
	}
	// A quota of 5 for each zone (Amazon VPC quotas) is for the account; several VPCs share it. It is raised on request, and
	// a rehearsal of many VPCs takes it as raised.
	if c.opts.AddressQuota >= 0 && perZone >= gatewayQuota {
		return refuse("NatGatewayLimitExceeded", "The maximum number of NAT Gateways has been reached.")
	}
	g.NatGatewayID, g.VpcID, g.State, g.CreateTime = s.newID("nat"), n.VPC, GatewayPending, s.Now
	s.Gateways[g.NatGatewayID] = g
	s.after(c.opts.GatewayTime, gatewayDue, g.NatGatewayID, "")
	return nil
}

// gatewayQuota is the default number of NAT gateways in a zone.
const gatewayQuota = 5

func (s *state) deleteGateway(c *Cloud, id string) error {
	g, ok := s.Gateways[id]
	if !ok {
		return refuse("NatGatewayNotFound", "NAT gateway %s was not found", id)
	}
	if g.State == GatewayDeleting || g.State == GatewayDeleted {
		return nil
	}
	g.State = GatewayDeleting
	s.cancel(gatewayDue, id, "")
	s.after(c.opts.GatewayTime, gatewayDue, id, "")
	return nil
}

// gatewayDue ends what a gateway was waiting for.
func (c *Cloud) gatewayDue(s *state, id string) bool {
	g, ok := s.Gateways[id]
	if !ok {
		return false
	}
	switch g.State {
	case GatewayPending:
		c.gatewayReady(s, g)
	case GatewayDeleting:
		g.State = GatewayDeleted
		s.removeInterface(g.NetworkInterfaceID)
		s.after(vanish, gatewayDue, id, "")
	case GatewayFailed, GatewayDeleted:
		delete(s.Gateways, id)
	}
	return true
}

// vanish is how long a gateway that failed or is deleted is still described.
const vanish = time.Hour

// gatewayReady makes a pending gateway available, or failed.
func (c *Cloud) gatewayReady(s *state, g *NatGateway) {
	fail := func(code, message string) {
		g.State, g.FailureCode, g.FailureMessage = GatewayFailed, code, message
		s.after(vanish, gatewayDue, g.NatGatewayID, "")
	}
	if g.ConnectivityType == "public" && s.internetOf(g.VpcID) == "" {
		fail("Gateway.NotAttached", "Network "+g.VpcID+" has no Internet gateway attached")
		return
	}
	a, ok := s.Addresses[g.AllocationID]
	if g.ConnectivityType == "public" {
		if !ok {
			fail("InvalidAllocationID.NotFound", "Elastic IP address "+g.AllocationID+" could not be associated with this NAT gateway")
			return
		}
		if a.AssociationID != "" {
			fail("Resource.AlreadyAssociated", "Elastic IP address "+g.AllocationID+" is already associated")
			return
		}
	}
	e, err := c.newInterface(s, g.SubnetID, g.PrivateIP, nil)
	if err != nil {
		fail("InsufficientFreeAddressesInSubnet", "Subnet "+g.SubnetID+" has insufficient free addresses to create this NAT gateway")
		return
	}
	e.InterfaceType, e.RequesterManaged, e.Status, e.SourceDestCheck = "nat_gateway", true, "in-use", false
	e.Owner, e.Description, e.GroupIDs = g.NatGatewayID, "Interface for NAT Gateway "+g.NatGatewayID, nil
	g.State, g.NetworkInterfaceID, g.PrivateIP = GatewayAvailable, e.NetworkInterfaceID, e.PrivateIPAddress
	if g.ConnectivityType == "public" {
		a.AssociationID = s.newID("eipassoc")
		c.bind(s, a, e, e.private(""))
		g.PublicIP = a.PublicIP
	}
}

// DescribeNatGateways returns gateways; deleted ones for about an hour too.
func (c *Cloud) DescribeNatGateways(in DescribeNatGatewaysInput) ([]NatGateway, error) {
	var out []NatGateway
	err := c.describe("DescribeNatGateways", func(s *state) error {
		for _, id := range in.NatGatewayIDs {
			if _, ok := s.Gateways[id]; !ok {
				return refuse("NatGatewayNotFound", "NAT gateway %s was not found", id)
			}
		}
		for _, id := range sorted(s.Gateways) {
			if len(in.NatGatewayIDs) > 0 && !slices.Contains(in.NatGatewayIDs, id) {
				continue
			}
			g := *s.Gateways[id]
			ok, err := matches(in.Filters, g.Tags, func(name string) ([]string, bool) {
				return oneOf(map[string]string{"nat-gateway-id": id, "state": g.State, "subnet-id": g.SubnetID, "vpc-id": g.VpcID}, name)
			})
			if err != nil {
				return err
			}
			if ok {
				out = append(out, g)
			}
		}
		return nil
	})
	return out, err
}
