package nat

import (
	"net/netip"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/zone"
	"polynat/internal/problem"
	"polynat/internal/stackoutputs"
)

// strangers finds the routes that the tables have and the stack did not make. AWS would refuse to make them a second time, half
// way through the update: they are taken over, or refused here. Tables that the stack makes itself have none.
func (r *resolved) strangers(ctx *pulumi.Context, a *Args, name string, list *problem.List, opts ...pulumi.InvokeOption) error {
	resources, err := stackoutputs.Resources(ctx)
	if err != nil {
		return err
	}
	ours := map[string]bool{}
	for _, resource := range resources {
		ours[resource.Type+" "+resource.Name] = true
	}
	r.adopt = map[string]map[zone.Route]string{}
	for _, key := range sorted(a.Zones) {
		r.adopt[key] = map[zone.Route]string{}
		for _, k := range sorted(a.Zones[key].Tables) {
			id, field := plain(a.Zones[key].Tables[k].ID), "zones."+key+".tables."+k
			if id == "" {
				continue
			}
			missing := map[netip.Prefix]bool{}
			for _, d := range r.destinations {
				missing[d] = !ours["aws:ec2/route:Route "+zone.RouteName(name, key, k, d)]
			}
			table, err := ec2.LookupRouteTable(ctx, &ec2.LookupRouteTableArgs{RouteTableId: &id}, opts...)
			if err != nil {
				list.Add(field+".id", id, "cannot be looked up: "+err.Error(), "name a route table of the VPC")
				continue
			}
			for _, route := range table.Routes {
				d, err := netip.ParsePrefix(route.CidrBlock + route.Ipv6CidrBlock)
				switch {
				case err != nil || !missing[d]: // to a prefix list, elsewhere, or ours
				case a.AdoptRoutes:
					r.adopt[key][zone.Route{Table: k, Destination: d}] = id + "_" + d.String()
				default:
					list.Add(field+".id", id, "has a route to "+d.String()+" that the stack did not make, to "+target(route),
						"set adoptRoutes to take it over as it is, when whoever declared it has forgotten it; or delete it there")
				}
			}
		}
	}
	return nil
}

// target of a route, whichever kind it has.
func target(r ec2.GetRouteTableRoute) string {
	var ids []string
	for _, id := range []string{
		r.NetworkInterfaceId, r.InstanceId, r.NatGatewayId, r.GatewayId, r.TransitGatewayId, r.VpcPeeringConnectionId, r.VpcEndpointId,
		r.CarrierGatewayId, r.LocalGatewayId, r.CoreNetworkArn, r.EgressOnlyGatewayId,
	} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, ", ")
}
