package stacks_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/vpc"
	simulated "polynat/internal/sim/aws"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// twoWays is a network of somebody else's stack: a zone whose subnets leave by a NAT gateway, and a small one beside them with
// a route table that leads nowhere yet. The subnets in moved follow that table.
func twoWays(moved map[string]bool) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")})
		if err != nil {
			return err
		}
		made, err := vpc.New(ctx, "main", &vpc.Args{CIDR: "10.0.0.0/16", Provider: provider, Zones: map[string]vpc.Zone{
			"eu-west-1a": {Public: "10.0.0.0/24", Private: map[string]string{"small": "10.0.9.0/28"}},
		}})
		if err != nil {
			return err
		}
		zone := made.Zones["eu-west-1a"]
		table, err := ec2.NewRouteTable(ctx, "old", &ec2.RouteTableArgs{VpcId: made.VPCID}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		address, err := ec2.NewEip(ctx, "address", &ec2.EipArgs{Domain: pulumi.String("vpc")}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		gateway, err := ec2.NewNatGateway(ctx, "gateway", &ec2.NatGatewayArgs{SubnetId: zone.PublicSubnet, AllocationId: address.AllocationId}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		_, err = ec2.NewRoute(ctx, "route", &ec2.RouteArgs{
			RouteTableId: table.ID(), DestinationCidrBlock: pulumi.String("0.0.0.0/0"), NatGatewayId: gateway.ID(),
		}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		for name, cidr := range map[string]string{"app": "10.0.1.0/24", "data": "10.0.2.0/24"} {
			subnet, err := ec2.NewSubnet(ctx, name, &ec2.SubnetArgs{VpcId: made.VPCID, CidrBlock: pulumi.String(cidr), AvailabilityZone: pulumi.String("eu-west-1a")}, pulumi.Provider(provider))
			if err != nil {
				return err
			}
			follows := table.ID().ToStringOutput()
			if moved[name] {
				follows = zone.RouteTables["small"]
			}
			if _, err := ec2.NewRouteTableAssociation(ctx, name, &ec2.RouteTableAssociationArgs{SubnetId: subnet.ID(), RouteTableId: follows}, pulumi.Provider(provider)); err != nil {
				return err
			}
			ctx.Export(name, subnet.ID())
		}
		ctx.Export("vpc", made.VPCID)
		ctx.Export("public", zone.PublicSubnet)
		ctx.Export("small", zone.PrivateSubnets["small"])
		ctx.Export("table", zone.RouteTables["small"])
		return nil
	}
}

// What docs/nat-instances-aws.md tells to do where old routes cannot be adopted, there and back.
func TestSubnetsMoveToTheInstanceAndBackOneByOneByTheirRouteTables(t *testing.T) {
	cloud := simulated.New(simulated.Options{Region: "eu-west-1", AddressQuota: -1, NoThrottling: true})
	moved := map[string]bool{}
	landing := newStack(t, "landing", cloud, nil, twoWays(moved))
	up(t, landing)
	names := landing.Outputs()

	a := newAW(t)
	a.set("vpc", nil)
	a.set("nat.sharedStandby", nil)
	a.set("nat.standby", "perZone")
	a.set("nat.vpc.id", names["vpc"])
	tables := func(subnets ...any) {
		a.set("nat.zones", block{"eu-west-1a": block{
			"public": block{"id": names["public"]}, "tables": block{"new": block{"id": names["table"], "subnets": subnets}},
		}})
	}
	tables(names["small"])
	var lost []string
	cloud.OnChange = func() {
		for _, way := range cloud.WaysOut(names["vpc"].(string)) {
			if (way.Subnet == names["app"] || way.Subnet == names["data"]) && !way.Works {
				lost = append(lost, way.Subnet+": "+way.Why)
			}
		}
	}
	stack := newStack(t, recorder.Project, cloud, a.encoded(), stacks.Program(stacks.Setups(), recorder.Keys(a.config)))
	up(t, stack)
	cloud.Advance(10 * time.Minute)

	hops := func(step string, want map[string]simulated.Hop) {
		t.Helper()
		seen := map[string]bool{}
		for _, way := range cloud.WaysOut(names["vpc"].(string)) {
			for subnet, hop := range want {
				if way.Subnet != names[subnet] {
					continue
				}
				if seen[subnet] = true; way.Hop != hop || !way.Works {
					t.Errorf("%s: %s leaves by %s (%s), want %s", step, subnet, way.Hop, way.Why, hop)
				}
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%s: only %v were looked at", step, seen)
		}
	}
	const gateway, instance = simulated.HopGateway, simulated.HopInstance
	hops("deployed", map[string]simulated.Hop{"small": instance, "app": gateway, "data": gateway})
	for _, step := range []struct {
		subnet string
		there  bool
		want   map[string]simulated.Hop
	}{
		{"app", true, map[string]simulated.Hop{"app": instance, "data": gateway}},
		{"data", true, map[string]simulated.Hop{"app": instance, "data": instance}},
		{"app", false, map[string]simulated.Hop{"app": gateway, "data": instance}},
	} {
		moved[step.subnet] = step.there
		up(t, landing)
		hops(step.subnet, step.want)
	}

	tables(names["small"], names["data"])
	if err := stack.SetConfig(awsKey, a.encoded()[awsKey]); err != nil {
		t.Fatal(err)
	}
	if result := up(t, stack); result.Changes["update"] != 1 || result.Changes["replace"] != 0 {
		t.Errorf("a subnet more for the prober changes %v", result.Changes)
	}
	moved["data"] = false
	up(t, landing)
	hops("back", map[string]simulated.Hop{"app": gateway, "data": gateway})
	if _, err := stack.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	hops("destroyed", map[string]simulated.Hop{"app": gateway, "data": gateway})
	if len(lost) > 0 {
		t.Error(strings.Join(lost, "\n"))
	}
}
