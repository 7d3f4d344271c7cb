package api

import "polynat/internal/sim/aws"

// instanceIDs is what the operations on instances take.
type instanceIDs struct{ InstanceIDs []string }

func ec2Service(cloud *aws.Cloud) service {
	done := member{"return", true}
	return query{
		service: "ec2", namespace: "http://ec2.amazonaws.com/doc/2016-11-15/", cloud: cloud, flat: true,
		operations: map[string]operation{
			"DescribeRouteTables": ask((*aws.Cloud).DescribeRouteTables, func(ts []aws.RouteTable) any {
				return set("routeTableSet", ts, newRouteTable)
			}),
			"CreateRoute":  do((*aws.Cloud).CreateRoute, done),
			"ReplaceRoute": do((*aws.Cloud).ReplaceRoute, done),
			"DeleteRoute":  do((*aws.Cloud).DeleteRoute, done),

			"DescribeNetworkInterfaces": ask((*aws.Cloud).DescribeNetworkInterfaces, func(is []aws.NetworkInterface) any {
				return set("networkInterfaceSet", is, newNetworkInterface)
			}),
			"DescribeNetworkInterfaceAttribute": ask((*aws.Cloud).DescribeNetworkInterfaceAttribute, newAttribute),
			"ModifyNetworkInterfaceAttribute":   modifyNetworkInterfaceAttribute,
			"AssignPrivateIpAddresses": ask((*aws.Cloud).AssignPrivateIPAddresses, func(a aws.AssignPrivateIPAddressesOutput) any {
				return []member{
					{"networkInterfaceId", a.NetworkInterfaceID},
					set("assignedPrivateIpAddressesSet", a.PrivateIPAddresses, newAssigned),
					done,
				}
			}),
			"UnassignPrivateIpAddresses": do((*aws.Cloud).UnassignPrivateIPAddresses, done),

			"DescribeAddresses": ask((*aws.Cloud).DescribeAddresses, func(as []aws.Address) any {
				return set("addressesSet", as, newAddress)
			}),
			"AssociateAddress": ask((*aws.Cloud).AssociateAddress, func(id string) any {
				return []member{{"associationId", id}, done}
			}),
			"DisassociateAddress": do((*aws.Cloud).DisassociateAddress, done),

			"DescribeInstances":  describeInstances,
			"TerminateInstances": changeInstances((*aws.Cloud).TerminateInstances),
			"StopInstances":      changeInstances((*aws.Cloud).StopInstances),
			"StartInstances":     changeInstances((*aws.Cloud).StartInstances),
			"RebootInstances": do(func(c *aws.Cloud, in instanceIDs) error {
				return c.RebootInstances(in.InstanceIDs...)
			}, done),

			"DescribeNatGateways": ask((*aws.Cloud).DescribeNatGateways, func(gs []aws.NatGateway) any {
				return set("natGatewaySet", gs, newNatGateway)
			}),
		},
	}
}

func modifyNetworkInterfaceAttribute(c *aws.Cloud, p *parameters) (any, error) {
	p.rename("SecurityGroupId", "GroupId")
	return do((*aws.Cloud).ModifyNetworkInterfaceAttribute, member{"return", true})(c, p)
}

func changeInstances(call func(*aws.Cloud, ...string) ([]aws.InstanceStateChange, error)) operation {
	return ask(func(c *aws.Cloud, in instanceIDs) ([]aws.InstanceStateChange, error) {
		return call(c, in.InstanceIDs...)
	}, func(changes []aws.InstanceStateChange) any {
		return set("instancesSet", changes, newStateChange)
	})
}

// describeInstances shows the interfaces of the instances too, which the simulation keeps apart. Each instance is a
// reservation of its own, as Auto Scaling launches them.
func describeInstances(c *aws.Cloud, p *parameters) (any, error) {
	var in aws.DescribeInstancesInput
	if err := p.decode(&in); err != nil {
		return nil, err
	}
	instances, err := c.DescribeInstances(in)
	if err != nil {
		return nil, err
	}
	interfaces := map[string]aws.NetworkInterface{}
	for _, i := range instances {
		for _, id := range i.NetworkInterfaceIDs {
			found, err := c.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{NetworkInterfaceIDs: []string{id}})
			if err == nil && len(found) == 1 { // else it has gone meanwhile
				interfaces[id] = found[0]
			}
		}
	}
	return set("reservationSet", instances, func(i aws.Instance) reservation { return newReservation(i, interfaces) }), nil
}
