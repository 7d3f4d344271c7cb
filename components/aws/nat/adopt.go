package nat

import (
	"net/netip"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/zone"
	"polynat/internal/natzone"
	"polynat/internal/problem"
	"polynat/internal/stackoutputs"
)

// strangers finds the routes that the tables have and the stack did not make. AWS would refuse to make them a second time, half
// way through the update: they are taken over, or refused here. Tables that the stack makes itself have none.
func (r *resolved) strangers(ctx *pulumi.Context, a *Args, name string, held []stackoutputs.Resource, list *problem.List, opts ...pulumi.InvokeOption) {
	ours := map[string]bool{}
	for _, resource := range held {
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
				unfound(list, field+".id", id, "a route table", err, "name a route table of the VPC")
				continue
			}
			for _, route := range table.Routes {
				d, err := netip.ParsePrefix(route.CidrBlock + route.Ipv6CidrBlock)
				if err != nil || !missing[d] { // to a prefix list, elsewhere, or ours
					continue
				}
				there := "has a route to " + d.String() + " that the stack did not make, to " + target(route)
				if !a.AdoptRoutes {
					list.Add(field+".id", id, there, "set adoptRoutes to take it over as it is, when whoever declared it has forgotten it; or delete it there")
				} else if why := r.kept(ctx, a, name, key, route, opts...); why != "" {
					list.Add(field+".id", id, there+", "+why, "set standby to existing and zones."+key+
						".standby.gatewayId to the gateway that the route leads to; or point the route at the one that is named there before")
				} else {
					r.adopt[key][zone.Route{Table: k, Destination: d}] = id + "_" + d.String()
				}
			}
		}
	}
}

// kept says why no agent would ever take a route, if that is so: it takes those that lead to its standby, to an instance of its
// zone or nowhere, and leaves alone what leads elsewhere, for it takes that for a person's decision. The launch would be given up.
func (r *resolved) kept(ctx *pulumi.Context, a *Args, name, key string, route ec2.GetRouteTableRoute, opts ...pulumi.InvokeOption) string {
	const elsewhere = "which no instance would take over"
	switch id := route.NatGatewayId; {
	case id != "" && id == a.Zones[key].Standby.GatewayID:
		return ""
	case id != "":
		found, err := ec2.LookupNatGateway(ctx, &ec2.LookupNatGatewayArgs{Id: &id}, opts...)
		switch {
		case problem.Nothing(err), err == nil && (found.State == "deleted" || found.State == "deleting" || found.State == "failed"):
			return ""
		case err != nil:
			return "which cannot be looked up: " + problem.Answer(err)
		}
		return elsewhere + ": it is not the standby of the zone"
	}
	if id := route.NetworkInterfaceId; id != "" {
		found, err := ec2.LookupNetworkInterface(ctx, &ec2.LookupNetworkInterfaceArgs{Id: &id}, opts...)
		switch {
		case problem.Nothing(err):
			return ""
		case err != nil:
			return "which cannot be looked up: " + problem.Answer(err)
		case found.Tags[natzone.TagName] == physicalName(ctx, name, a) && found.Tags[natzone.TagZone] == key:
			return ""
		}
	}
	return elsewhere
}

// renamed refuses another name for what is deployed. Instances know what is their zone's by that name: new ones would take neither
// the address nor the routes from those that run. It changes by itself when the project or the stack is renamed.
func (r *resolved) renamed(ctx *pulumi.Context, a *Args, name string, held []stackoutputs.Resource, list *problem.List) {
	now, told := physicalName(ctx, name, a), map[string]bool{}
	for _, resource := range held {
		if resource.Type != "aws:autoscaling/group:Group" || !strings.HasPrefix(resource.Name, name+"-group-") {
			continue
		}
		tags, _ := resource.Outputs["tags"].([]any)
		for _, tag := range tags {
			t, _ := tag.(map[string]any)
			if was, _ := t["value"].(string); t["key"] == natzone.TagName && was != now && !told[was] {
				told[was] = true
				list.Add("physicalName", now, "is another name than "+was+", with which the instances are deployed: new ones could not take the zones over from them",
					"set physicalName to "+was+", or make a second stack and move")
			}
		}
	}
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
