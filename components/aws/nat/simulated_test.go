package nat_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	pulumiaws "github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/components/aws/discovery"
	"polynat/components/aws/nat"
	"polynat/components/aws/vpc"
	"polynat/internal/engine"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// region is a simulated AWS with a stack of a VPC and the component in it.
type region struct {
	*testing.T
	cloud *aws.Cloud
	stack *engine.Stack
	// served are the subnets that have had a way out, lost what they lost.
	served map[string]bool
	lost   map[string]string
}

func newRegion(t *testing.T, unknown aws.UnknownBehaviours) *region {
	t.Helper()
	return regionWith(t, aws.Options{Unknown: unknown})
}

func regionWith(t *testing.T, options aws.Options) *region {
	t.Helper()
	options.Region, options.AddressQuota, options.NoThrottling = "eu-west-1", -1, true
	r := &region{T: t, cloud: aws.New(options), served: map[string]bool{}, lost: map[string]string{}}
	r.cloud.OnChange = r.observe
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: "dev", Config: map[string]string{"aws:region": "eu-west-1"},
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": sim.NewServer(aws.Schema(), r.cloud)},
		Program:   func(*pulumi.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	r.stack = stack
	return r
}

// observe looks at every way out after every single change: one that has worked must go on to work.
func (r *region) observe() {
	for _, id := range r.cloud.VPCs() {
		for _, way := range r.cloud.WaysOut(id) {
			key := way.Subnet + " " + way.Destination.String()
			if way.Works {
				r.served[key] = true
			} else if r.served[key] {
				r.lost[key] = way.Why
			}
		}
	}
}

// network makes a VPC, and arguments for it.
func network(ctx *pulumi.Context, letters string) (*nat.Args, error) {
	provider, err := pulumiaws.NewProvider(ctx, "aws", &pulumiaws.ProviderArgs{Region: pulumi.String("eu-west-1")})
	if err != nil {
		return nil, err
	}
	layout := map[string]vpc.Zone{}
	for _, letter := range "abc" { // the VPC stays as it is
		n := int(letter - 'a')
		layout["eu-west-1"+string(letter)] = vpc.Zone{
			Public:  fmt.Sprintf("10.0.%d.0/24", n),
			Private: map[string]string{"app": fmt.Sprintf("10.0.%d.0/24", 10+n), "db": fmt.Sprintf("10.0.%d.0/24", 20+n)},
		}
	}
	made, err := vpc.New(ctx, "vpc", &vpc.Args{CIDR: "10.0.0.0/16", Zones: layout, Provider: provider})
	if err != nil {
		return nil, err
	}
	args := &nat.Args{VPC: nat.VPC{ID: made.VPCID, CIDRs: []string{"10.0.0.0/16"}}, Zones: map[string]nat.Zone{}, Artefacts: prebuilt, Provider: provider}
	for _, letter := range letters {
		key := "eu-west-1" + string(letter)
		z := made.Zones[key]
		tables := map[string]nat.Table{}
		for k, id := range z.RouteTables {
			tables[k] = nat.Table{ID: id, Subnets: []pulumi.StringInput{z.PrivateSubnets[k]}}
		}
		args.Zones[key] = nat.Zone{Public: nat.Subnet{ID: z.PublicSubnet, CIDR: layout[key].Public}, Tables: tables}
	}
	return args, nil
}

// up deploys the component as changed, and returns what the update did.
func (r *region) up(letters string, change func(*nat.Args)) *engine.Result {
	r.Helper()
	r.stack.SetProgram(func(ctx *pulumi.Context) error {
		args, err := network(ctx, letters)
		if err != nil {
			return err
		}
		change(args)
		_, err = nat.New(ctx, "egress", args)
		return err
	})
	result, err := r.stack.Up(context.Background())
	if err != nil {
		r.Fatalf("update: %v\n%s", err, strings.Join(result.Diagnostics, "\n"))
	}
	r.cloud.Advance(10 * time.Minute)
	return result
}

// whole tells that nothing was lost, and that every table's default route leads to a hop of that kind.
func (r *region) whole(step string, hop aws.Hop, zones string) {
	r.Helper()
	for way, why := range r.lost {
		r.Errorf("%s: %s lost its way out: %s", step, way, why)
	}
	clear(r.lost)
	for _, id := range r.cloud.VPCs() {
		for _, way := range r.cloud.WaysOut(id) {
			if strings.Contains(zones, way.Zone[len(way.Zone)-1:]) && (!way.Works || way.Hop != hop) {
				r.Errorf("%s: %s of %s in %s leads to %s, works %v (%s), want %s", step, way.Destination, way.Subnet, way.Zone, way.Hop, way.Works, way.Why, hop)
			}
		}
	}
}

// instance is the id of the one that serves.
func (r *region) instance() string {
	r.Helper()
	groups, err := r.cloud.DescribeAutoScalingGroups(aws.DescribeAutoScalingGroupsInput{})
	if err != nil || len(groups) != 1 || len(groups[0].Instances) != 1 {
		r.Fatalf("groups %v, error %v: want one with one instance", groups, err)
	}
	return groups[0].Instances[0].InstanceID
}

func same(*nat.Args) {}

func TestOnTheSimulatedCloudNoSubnetLosesItsWayOut(t *testing.T) {
	r := newRegion(t, aws.UnknownBehaviours{})
	r.up("ab", same)
	r.whole("deploy", aws.HopInstance, "ab")
	if again := r.up("ab", same); len(again.Steps) > 0 {
		t.Errorf("a second update does %v", again.Steps)
	}
	for _, step := range []struct {
		name, zones string
		change      func(*nat.Args)
	}{
		{"type", "ab", func(a *nat.Args) { a.Instance.Types = []string{"c7gn.medium"} }},
		{"zone added", "abc", same},
		{"mixed types on Spot", "abc", func(a *nat.Args) {
			a.Instance = nat.Instance{Types: []string{"c7gn.medium", "c6gn.medium"}, Market: nat.Spot}
		}},
		{"shared standby", "abc", func(a *nat.Args) { a.Standby, a.SharedStandby.Zone = nat.Shared, "eu-west-1b" }},
		{"shared standby elsewhere", "abc", func(a *nat.Args) { a.Standby, a.SharedStandby.Zone = nat.Shared, "eu-west-1c" }},
		{"no standby", "abc", func(a *nat.Args) { a.Standby = nat.None }},
		{"standby per zone", "abc", same},
		{"window", "abc", func(a *nat.Args) { a.Rotation.Window = window() }},
		{"heartbeats", "abc", func(a *nat.Args) {
			a.Instance.LaunchHeartbeat, a.Instance.TerminateHeartbeat = time.Minute*9, time.Minute
		}},
	} {
		r.up(step.zones, step.change)
		r.whole(step.name, aws.HopInstance, step.zones)
	}
	// A zone that goes takes its routes with it, and no other's.
	r.served = maps.Collect(func(yield func(string, bool) bool) {
		for _, way := range r.cloud.WaysOut(r.cloud.VPCs()[0]) {
			if key := way.Subnet + " " + way.Destination.String(); !strings.HasSuffix(way.Zone, "a") && !yield(key, true) {
				return
			}
		}
	})
	r.cloud.OnChange = func() {
		served := maps.Clone(r.served)
		r.observe()
		r.served = served
	}
	r.up("bc", same)
	r.whole("first zone removed", aws.HopInstance, "bc")
}

// What somebody who deploys has to know before is among the messages of the preview.
func TestAPreviewTellsWhatWasFoundAndWhatToAskAWSFor(t *testing.T) {
	r, letters, deployed := newRegion(t, aws.UnknownBehaviours{}), "abc", false
	r.stack.SetProgram(func(ctx *pulumi.Context) error {
		args, err := network(ctx, letters)
		if err != nil || !deployed {
			return err
		}
		if _, err := discovery.Find(ctx, &discovery.Args{VPC: discovery.VPC{Name: "vpc-vpc"}, Provider: args.Provider}); err != nil {
			return err
		}
		_, err = nat.New(ctx, "egress", args)
		return err
	})
	if result, err := r.stack.Up(t.Context()); err != nil {
		t.Fatalf("the network: %v\n%s", err, strings.Join(result.Diagnostics, "\n"))
	}
	deployed = true
	for zones, warned := range map[string]bool{"ab": false, "abc": true} {
		letters = zones
		result, err := r.stack.Preview(t.Context())
		said := strings.Join(result.Diagnostics, "\n")
		if err != nil {
			t.Fatalf("%s: %v\n%s", zones, err, said)
		}
		if strings.Contains(said, "warning: 6 Elastic IPs are made") != warned || strings.Contains(said, "ask for at least 6") != warned {
			t.Errorf("%s: the preview warns of the quota: %v, want %v:\n%s", zones, !warned, warned, said)
		}
		for _, want := range []string{"vpc-vpc is " + r.cloud.VPCs()[0] + ": found 3 zones", "eu-west-1b: NAT in subnet-"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the preview does not say %q:\n%s", zones, want, said)
			}
		}
	}
}

// A new account of AWS has ten concurrent executions of Lambda.
func TestANewAccountIsRefusedBeforeTheUpdateAndDeploysWithoutReservation(t *testing.T) {
	r := regionWith(t, aws.Options{ConcurrencyQuota: 10})
	unreserved := false
	r.stack.SetProgram(func(ctx *pulumi.Context) error {
		args, err := network(ctx, "a")
		if err != nil {
			return err
		}
		args.Failover.Unreserved = unreserved
		_, err = nat.New(ctx, "egress", args)
		return err
	})
	result, err := r.stack.Up(t.Context())
	if said := strings.Join(result.Diagnostics, "\n"); err == nil || !strings.Contains(said, "ask AWS for at least 103") {
		t.Errorf("an account with 10 concurrent executions: %v\n%s", err, said)
	}
	if made := r.cloud.Functions(); len(made) > 0 {
		t.Errorf("%d functions were made", len(made))
	}
	unreserved = true
	if result, err := r.stack.Up(t.Context()); err != nil {
		t.Fatalf("without reservation: %v\n%s", err, strings.Join(result.Diagnostics, "\n"))
	}
	r.whole("without reservation", aws.HopInstance, "a")
	for _, f := range r.cloud.Functions() {
		if f.ReservedConcurrency >= 0 {
			t.Errorf("%s reserves %d", f.Name, f.ReservedConcurrency)
		}
	}
}

// TestDestroyKeepsTheWayOutUntilNothingElseIsLeft: the routes are the last of what a subnet's traffic needs.
func TestDestroyKeepsTheWayOutUntilNothingElseIsLeft(t *testing.T) {
	for _, standby := range []nat.StandbyMode{nat.PerZone, nat.None} {
		r := newRegion(t, aws.UnknownBehaviours{})
		r.up("a", func(a *nat.Args) { a.Standby = standby })
		r.whole("deploy", aws.HopInstance, "a")
		result, err := r.stack.Destroy(context.Background())
		if err != nil {
			t.Fatalf("%s: %v\n%s", standby, err, strings.Join(result.Diagnostics, "\n"))
		}
		var order []string
		for _, s := range result.Steps {
			if s.Op == "delete" {
				order = append(order, s.Type)
			}
		}
		first := slices.Index(order, routeType)
		for _, typ := range []string{groupType, functionType} {
			for i, other := range order {
				if other == typ && i > first {
					t.Errorf("%s: a %s goes after the first route", standby, typ)
				}
			}
		}
		for way, why := range r.lost {
			if standby != nat.None && !strings.Contains(why, "no route") {
				t.Errorf("%s: %s: %s", standby, way, why)
			}
		}
	}
}

// TestWhatIsNotDocumentedMayBeEitherWay: the answers of AWS that nobody has in writing change nothing.
func TestWhatIsNotDocumentedMayBeEitherWay(t *testing.T) {
	for name, unknown := range map[string]aws.UnknownBehaviours{
		"the maintenance policy keeps to the maximum":  {PolicyKeepsMaxSize: true},
		"an Elastic IP takes the public address away":  {PublicAddressReleased: true},
		"a route may be made twice":                    {SameRouteAccepted: true},
		"a route may not be replaced by itself":        {SameReplaceRefused: true},
		"an unhealthy instance is terminated at once":  {HealthIgnoresPolicy: true},
		"an interface on no instance is no black hole": {UnattachedActive: true},
		"all of them": {UnattachedActive: true, PolicyKeepsMaxSize: true, PublicAddressReleased: true, SameRouteAccepted: true, SameReplaceRefused: true, HealthIgnoresPolicy: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegion(t, unknown)
			r.up("a", func(a *nat.Args) { a.Standby = nat.None })
			r.whole("deploy without standby", aws.HopInstance, "a")
			r.up("a", same)
			r.whole("standby", aws.HopInstance, "a")
			r.up("a", func(a *nat.Args) { a.Instance.Types = []string{"c7gn.medium"} })
			r.whole("rotation", aws.HopInstance, "a")
			young := r.instance()
			r.cloud.Advance(15 * 24 * time.Hour)
			r.whole("lifetime", aws.HopInstance, "a")
			if r.instance() == young {
				t.Errorf("%s is older than 14 days", young)
			}
		})
	}
}
