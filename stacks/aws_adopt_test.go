package stacks_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/components/aws/vpc"
	"polynat/internal/engine"
	"polynat/internal/sim"
	simulated "polynat/internal/sim/aws"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// landingZone is how most networks stand before: a VPC of somebody else's stack, with a NAT gateway in every zone.
func landingZone(ctx *pulumi.Context) error {
	provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")})
	if err != nil {
		return err
	}
	v, err := vpc.New(ctx, "main", &vpc.Args{CIDR: "10.0.0.0/16", Provider: provider, Zones: map[string]vpc.Zone{
		"eu-west-1a": {Public: "10.0.0.0/24", Private: map[string]string{"app": "10.0.1.0/24", "data": "10.0.2.0/24"}},
		"eu-west-1b": {Public: "10.0.16.0/24", Private: map[string]string{"app": "10.0.17.0/24"}},
	}})
	if err != nil {
		return err
	}
	gateways := pulumi.StringMap{}
	for zone, z := range v.Zones {
		address, err := ec2.NewEip(ctx, "address-"+zone, &ec2.EipArgs{Domain: pulumi.String("vpc")}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		gateway, err := ec2.NewNatGateway(ctx, "gateway-"+zone, &ec2.NatGatewayArgs{SubnetId: z.PublicSubnet, AllocationId: address.AllocationId}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		gateways[zone] = gateway.ID()
		for key, table := range z.RouteTables {
			if _, err := ec2.NewRoute(ctx, "route-"+zone+"-"+key, &ec2.RouteArgs{
				RouteTableId: table, DestinationCidrBlock: pulumi.String("0.0.0.0/0"), NatGatewayId: gateway.ID(),
			}, pulumi.Provider(provider)); err != nil {
				return err
			}
		}
	}
	ctx.Export("gateways", gateways)
	return nil
}

func up(t *testing.T, s *engine.Stack) *engine.Result {
	t.Helper()
	result, err := s.Up(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(result.Diagnostics, "\n"))
	}
	return result
}

func newStack(t *testing.T, project string, cloud *simulated.Cloud, config map[string]string, program pulumi.RunFunc) *engine.Stack {
	t.Helper()
	stack, err := engine.New(engine.Options{
		Project: project, Stack: recorder.Stack, Config: config, Program: program,
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": sim.NewServer(simulated.Schema(), cloud)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	return stack
}

func TestANetworkWithNATGatewaysIsTakenOverWithoutASubnetLosingItsWayOut(t *testing.T) {
	cloud := simulated.New(simulated.Options{Region: "eu-west-1", AddressQuota: -1, NoThrottling: true})
	before := newStack(t, "landing", cloud, nil, landingZone)
	up(t, before)

	a := newAW(t)
	a.set("vpc", nil)
	a.set("nat.sharedStandby", nil)
	a.set("discovery.vpc.name", "main-vpc")
	a.set("nat.standby", "existing")
	for zone, gateway := range before.Outputs()["gateways"].(map[string]any) {
		a.set("nat.zones."+zone+".standby.gatewayId", gateway)
	}
	stack := newStack(t, recorder.Project, cloud, a.encoded(), stacks.Program(stacks.Setups(), recorder.Keys(a.config)))
	if _, err := stack.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "has a route to 0.0.0.0/0 that the stack did not make, to nat-") {
		t.Fatalf("without adoptRoutes: error %v", err)
	}

	a.set("nat.adoptRoutes", true)
	a.set("nat.standby", "shared")
	a.set("nat.sharedStandby.zone", "eu-west-1a")
	a.set("nat.zones", nil)
	if err := stack.SetConfig(awsKey, a.encoded()[awsKey]); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), "which no instance would take over: it is not the standby of the zone") {
		t.Fatalf("with another standby: error %v", err)
	}
	a.set("nat.standby", "existing")
	a.set("nat.sharedStandby", nil)
	for zone, gateway := range before.Outputs()["gateways"].(map[string]any) {
		a.set("nat.zones."+zone+".standby.gatewayId", gateway)
	}

	var lost []string
	hops := map[string]bool{}
	cloud.OnChange = func() {
		for _, vpc := range cloud.VPCs() {
			for _, way := range cloud.WaysOut(vpc) {
				if hops[string(way.Hop)] = true; !way.Works {
					lost = append(lost, way.Subnet+": "+way.Why)
				}
			}
		}
	}
	if err := stack.SetConfig(awsKey, a.encoded()[awsKey]); err != nil {
		t.Fatal(err)
	}
	result := up(t, stack)
	if result.Changes["import"] != 3 {
		t.Errorf("changes %v, want the three routes imported", result.Changes)
	}
	cloud.Advance(10 * time.Minute)
	for _, vpc := range cloud.VPCs() {
		for _, way := range cloud.WaysOut(vpc) {
			if way.Hop != simulated.HopInstance {
				t.Errorf("%s: leaves by %s, want the instance", way.Subnet, way.Hop)
			}
		}
	}
	price, _ := stack.Outputs()["aws"].(map[string]any)["cost"].(map[string]any)
	for _, key := range []string{"gatewayMonthlyUSD", "natInstanceMonthlyUSD", "savingUSD", "breakEvenGB", "pricesOf"} {
		if price[key] == nil {
			t.Errorf("the output cost has no %s: %v", key, price)
		}
	}
	found, _ := stack.Outputs()["aws"].(map[string]any)["network"].(map[string]any)
	text, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"cidrs":["10.0.0.0/16"]`, `"id":"` + cloud.VPCs()[0] + `"`, `"eu-west-1b":{"public":{"cidr":"10.0.16.0/24"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the output network does not say %s, with which a rehearsal of the stack begins: %s", want, text)
		}
	}
	if again := up(t, stack); len(again.Steps) > 0 {
		t.Errorf("a second update does %v", again.Steps)
	}
	a.set("nat.physicalName", "another")
	if err := stack.SetConfig(awsKey, a.encoded()[awsKey]); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), `aws.nat.physicalName: "another": is another name than `) {
		t.Errorf("with another name: error %v", err)
	}
	if lost = slices.Compact(lost); len(lost) > 0 || !hops[string(simulated.HopGateway)] || !hops[string(simulated.HopInstance)] {
		t.Errorf("hops %v; lost: %v", hops, lost)
	}
}

// encoded is the configuration with the block as it is now.
func (a *aw) encoded() map[string]string {
	text, err := json.Marshal(a.block)
	if err != nil {
		a.t.Fatal(err)
	}
	a.config[awsKey] = string(text)
	return a.config
}
