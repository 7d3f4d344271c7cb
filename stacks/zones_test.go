package stacks_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	simulated "polynat/internal/sim/aws"
	"polynat/internal/sim/huaweicloud"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// Each configuration has a zone of the right form that its region does not have.
func TestAZoneThatDoesNotExistIsRefusedByItsKeyBeforeAnythingIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		config func(t *testing.T) map[string]string
		says   string
	}{
		"a zone of a network that is made": {func(t *testing.T) map[string]string {
			t.Helper()
			a := newAW(t)
			a.set("vpc.zones.eu-west-1z", block{"public": "10.0.200.0/24", "private": block{"app": "10.0.201.0/24"}})
			a.set("nat.zones.eu-west-1z.slot", 9)
			return a.encoded()
		}, `aws.vpc.zones.eu-west-1z: "eu-west-1z": is no zone that the account can use in eu-west-1 (use one of eu-west-1a, eu-west-1b, eu-west-1c)`},
		"a zone of a network that is named": {func(t *testing.T) map[string]string {
			t.Helper()
			a := newAW(t)
			a.existing()
			a.set("nat.zones.eu-west-1z", block{"public": block{"id": "subnet-9", "cidr": "10.0.64.0/24"}, "tables": block{"app": block{"id": "rtb-9", "subnets": list("subnet-8")}}})
			return a.encoded()
		}, `aws.nat.zones.eu-west-1z: "eu-west-1z": is no zone that the account can use in eu-west-1 (use one of `},
		"a zone of a network that is found": {func(t *testing.T) map[string]string {
			t.Helper()
			a := newAW(t)
			a.discovered()
			a.set("discovery.zones", list("eu-west-1a", "eu-west-1z"))
			return a.encoded()
		}, `aws.discovery.zones: "eu-west-1z": is no zone that the account can use in eu-west-1 (use one of `},
		"a local zone that is not there": {func(t *testing.T) map[string]string {
			t.Helper()
			a := newAW(t)
			a.set("vpc.zones.eu-west-1-nyc-1a", block{"public": "10.0.200.0/24", "private": block{"app": "10.0.201.0/24"}})
			a.set("nat.zones.eu-west-1-nyc-1a.slot", 9)
			return a.encoded()
		}, `aws.vpc.zones.eu-west-1-nyc-1a: "eu-west-1-nyc-1a": is no zone that the account can use in eu-west-1 (use one of `},
		"a zone of a vSwitch": {func(t *testing.T) map[string]string {
			t.Helper()
			config := setupConfig(t, "alicloud")
			edit(t, config, "network.vswitches.app-a.zone", "cn-hangzhou-z")
			return config
		}, `alicloud.network.vswitches.app-a.zone: "cn-hangzhou-z": is no zone that the account can use in cn-hangzhou (use one of cn-hangzhou-h, cn-hangzhou-i, `},
		"a zone of a load balancer": {func(t *testing.T) map[string]string {
			t.Helper()
			h := newHW(t)
			h.set("service.loadBalancers.elb01.zones", list("cn-north-4a", "cn-north-4z"))
			return h.encoded()
		}, `huaweicloud.service.loadBalancers.elb01.zones: "cn-north-4z": is no zone that the account can use in cn-north-4 (use one of cn-north-4a, `},
		"a zone of an instance": {func(t *testing.T) map[string]string {
			t.Helper()
			h := newHW(t)
			h.set("service.instances.ecs-b.zone", "cn-north-4z")
			return h.encoded()
		}, `huaweicloud.service.instances.ecs-b.zone: "cn-north-4z": is no zone that the account can use in cn-north-4 (use one of cn-north-4a, `},
	} {
		stack := zoned(t, test.config(t), nil)
		said := func(_ *engine.Result, err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		for what, said := range map[string]string{"preview": said(stack.Preview(t.Context())), "update": said(stack.Up(t.Context()))} {
			if !strings.Contains(said, test.says) || strings.Count(said, "is no zone") != 1 {
				t.Errorf("%s: the %s says %q\nwant %q once", name, what, said, test.says)
			}
		}
	}
}

// A role that may not ask could deploy before anybody asked; a local zone is one where the account has it; a vSwitch may be where nothing
// is sold any more.
func TestTheLookupOfZonesIsInNobodysWay(t *testing.T) {
	near := newAW(t)
	near.set("vpc.zones.eu-west-1-nyc-1a", block{"public": "10.0.200.0/24", "private": block{"app": "10.0.201.0/24"}})
	near.set("nat.zones.eu-west-1-nyc-1a.slot", 9)
	for name, test := range map[string]struct {
		config map[string]string
		deny   string
		warns  string
	}{
		"a local zone of the account": {config: near.encoded()},
		"AWS denies it": {newAW(t).encoded(), "fetching Availability Zones: operation error EC2: DescribeAvailabilityZones, https response error StatusCode: 403, RequestID: 1b2c, api error UnauthorizedOperation: You are not authorized to perform this operation.",
			"the zones of eu-west-1 cannot be looked up, so that nobody sees whether those of the stack are there: UnauthorizedOperation: You are not"},
		"Alibaba Cloud denies it": {setupConfig(t, "alicloud"), "Forbidden.RAM", "the zones of cn-hangzhou cannot be looked up"},
		"Huawei Cloud denies it":  {newHW(t).encoded(), "Policy doesn't allow it", "the zones of cn-north-4 cannot be looked up"},
	} {
		var denied error
		if test.deny != "" {
			denied = errors.New(test.deny)
		}
		result, err := zoned(t, test.config, denied, "eu-west-1-nyc-1a").Preview(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said := strings.Join(result.Diagnostics, "\n")
		if warned := strings.Contains(said, "cannot be looked up"); warned != (test.warns != "") || !strings.Contains(said, test.warns) {
			t.Errorf("%s: says %q, want %q", name, said, test.warns)
		}
	}
}

func TestAVSwitchStaysInAZoneThatIsSoldOut(t *testing.T) {
	config := setupConfig(t, "alicloud")
	edit(t, config, "network.vswitches.app-a.zone", "cn-hangzhou-b") // no zone for anything any more
	last := map[string]any{"alicloud": map[string]any{"network": map[string]any{"vpcId": "vpc-1", "vswitches": map[string]any{"app-a": "vsw-1"}}}}
	edit(t, config, "migration", nil)
	if _, err := run(config, last, alicloud.New(alicloud.Options{}), recorder.Options{DryRun: true}); err != nil {
		t.Error(err)
	}
	if _, err := run(config, nil, alicloud.New(alicloud.Options{}), recorder.Options{DryRun: true}); err == nil {
		t.Error("a new vSwitch may be there as well")
	}
}

// The vendor's list of zones is that of those where instances are for sale.
func TestANewVSwitchMayBeWhereNoInstanceIsForSale(t *testing.T) {
	config := setupConfig(t, "alicloud")
	edit(t, config, "network.vswitches.app-a.zone", "cn-hangzhou-k")
	edit(t, config, "migration", nil)
	cloud := alicloud.New(alicloud.Options{SoldOut: []string{"cn-hangzhou-k"}})
	if _, err := run(config, nil, cloud, recorder.Options{DryRun: true}); err != nil {
		t.Error(err)
	}
}

// zoned is a stack of the program on clouds of their usual regions, with local zones on AWS if any are named. They answer the lookup of zones by an error
// if one is given.
func zoned(t *testing.T, config map[string]string, denied error, local ...string) *engine.Stack {
	t.Helper()
	stack, err := engine.New(engine.Options{
		Project: recorder.Project, Stack: recorder.Stack, Config: config, Program: stacks.Program(stacks.Setups(), recorder.Keys(config)),
		Providers: map[string]pulumirpc.ResourceProviderServer{
			"aws":         sim.NewServer(simulated.Schema(), deaf{simulated.New(simulated.Options{Region: "eu-west-1", Zones: append([]string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}, local...)}), denied}),
			"alicloud":    sim.NewServer(alicloud.Schema(), deaf{alicloud.New(alicloud.Options{}), denied}),
			"huaweicloud": sim.NewServer(huaweicloud.Schema(), deaf{huaweicloud.New(huaweicloud.Options{}), denied}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	return stack
}

// deaf is a cloud that answers the lookup of its zones by an error, if there is one.
type deaf struct {
	sim.Cloud
	denied error
}

func (d deaf) Invoke(ctx context.Context, token string, args sim.Object) (sim.Object, error) {
	if d.denied != nil && strings.HasSuffix(token, "Zones") && !strings.Contains(token, "Enhanced") {
		return nil, d.denied
	}
	return d.Cloud.Invoke(ctx, token, args)
}
