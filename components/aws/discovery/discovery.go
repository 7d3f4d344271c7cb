package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/problem"
)

// Found is a VPC with its zones.
type Found struct {
	// VPCID is the id of the VPC, CIDRs its IPv4 blocks.
	VPCID string
	CIDRs []string
	// Zones by the names of their availability zones.
	Zones map[string]Zone
}

// Find looks the VPC up and takes its zones, or returns why it cannot. It runs while the program runs, not when its
// resources are made: which zones there are decides which resources there are.
func Find(ctx *pulumi.Context, args *Args) (*Found, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with aws.NewProvider and a region)")
	}
	l := &lookup{ctx: ctx, by: pulumi.Provider(args.Provider)}
	vpc, err := l.vpc(args.VPC)
	if err != nil {
		return nil, args.VPC.unfound(err)
	}
	found := &Found{VPCID: vpc.Id, CIDRs: []string{vpc.CidrBlock}}
	for _, a := range vpc.CidrBlockAssociations {
		if a.CidrBlock != vpc.CidrBlock && (a.State == "" || a.State == "associated") {
			found.CIDRs = append(found.CIDRs, a.CidrBlock)
		}
	}
	subnets, err := l.subnets(vpc.Id)
	if err != nil {
		return nil, fmt.Errorf("subnets of %s: %w", vpc.Id, err)
	}
	tables, err := l.tables(vpc.Id)
	if err != nil {
		return nil, fmt.Errorf("route tables of %s: %w", vpc.Id, err)
	}
	if found.Zones, err = args.Choose(subnets, tables); err != nil {
		return nil, err
	}
	return found, ctx.Log.Info(Describe(args.VPC.String()+" is "+vpc.Id, found.Zones), nil)
}

// unfound says why a VPC was not found.
func (v VPC) unfound(err error) error {
	p := problem.Problem{Field: "vpc", Value: strconv.Quote(v.String()), WayOut: "look it up in the console of the region that the provider has"}
	switch {
	case problem.Nothing(err):
		p.Rule = "is no VPC of the account in this region: the lookup found none"
	case strings.Contains(err.Error(), "multiple"):
		p.Rule, p.WayOut = "are several VPCs of the region", "give its id"
	default:
		p.Rule, p.WayOut = "cannot be looked up: "+problem.Answer(err), "the provider needs ec2:DescribeVpcs in the region"
	}
	return p
}

type lookup struct {
	ctx *pulumi.Context
	by  pulumi.InvokeOption
}

func (l *lookup) vpc(v VPC) (*ec2.LookupVpcResult, error) {
	args := &ec2.LookupVpcArgs{Tags: v.Tags}
	switch {
	case v.ID != "":
		args.Id = &v.ID
	case v.Name != "":
		args.Tags = map[string]string{"Name": v.Name}
	}
	return ec2.LookupVpc(l.ctx, args, l.by)
}

func (l *lookup) subnets(vpc string) ([]Subnet, error) {
	list, err := ec2.GetSubnets(l.ctx, &ec2.GetSubnetsArgs{Filters: []ec2.GetSubnetsFilter{{Name: "vpc-id", Values: []string{vpc}}}}, l.by)
	if err != nil {
		return nil, err
	}
	var subnets []Subnet
	for _, id := range list.Ids {
		s, err := ec2.LookupSubnet(l.ctx, &ec2.LookupSubnetArgs{Id: &id}, l.by)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		cidr, _ := netip.ParsePrefix(s.CidrBlock) // one without IPv4 has none
		subnets = append(subnets, Subnet{ID: id, Zone: s.AvailabilityZone, CIDR: cidr, Tags: s.Tags})
	}
	return subnets, nil
}

func (l *lookup) tables(vpc string) ([]Table, error) {
	list, err := ec2.GetRouteTables(l.ctx, &ec2.GetRouteTablesArgs{VpcId: &vpc}, l.by)
	if err != nil {
		return nil, err
	}
	var tables []Table
	for _, id := range list.Ids {
		t, err := ec2.LookupRouteTable(l.ctx, &ec2.LookupRouteTableArgs{RouteTableId: &id}, l.by)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		table := Table{ID: id}
		for _, a := range t.Associations {
			if a.SubnetId != "" {
				table.Subnets = append(table.Subnets, a.SubnetId)
			}
			table.Main = table.Main || a.Main
		}
		for _, r := range t.Routes {
			if r.CidrBlock == "0.0.0.0/0" {
				table.Default = target(r)
			}
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// target of a route, whichever kind it has.
func target(r ec2.GetRouteTableRoute) string {
	for _, id := range []string{
		r.GatewayId, r.NatGatewayId, r.NetworkInterfaceId, r.InstanceId, r.TransitGatewayId, r.VpcPeeringConnectionId, r.VpcEndpointId,
		r.CarrierGatewayId, r.LocalGatewayId, r.CoreNetworkArn, r.EgressOnlyGatewayId,
	} {
		if id != "" {
			return id
		}
	}
	return "something unknown"
}
