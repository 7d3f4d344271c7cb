package migration_test

import (
	"strings"
	"testing"

	sdk "github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// The README shows the function: a reader who copies it gets from the first stage to the last and back.
func TestTheExampleReadsBackWhatItHasExportedAtEveryStage(t *testing.T) {
	w := &world{t: t, Cloud: alicloud.New(alicloud.Options{})}
	const vpc, vswitch, old = "vpc-bp15zckdt37pq72zvw3d1", "vsw-bp1nhbnpv2blyz8dl5ugu", "i-bp67acfmxazb4ph3aa1b"
	w.id(w.AddVPC(alicloud.VPC{ID: vpc, CIDR: prefix("10.0.0.0/16"), RouterID: "vrt-1", RouteTableID: "vtb-system"}))
	w.id(w.AddVSwitch(alicloud.VSwitch{ID: vswitch, VPCID: vpc, ZoneID: "cn-hangzhou-i", CIDR: prefix("10.0.0.0/24"), RouteTableID: "vtb-system"}))
	w.id(w.AddInstance(alicloud.Instance{ID: old, VPCID: vpc, VSwitchID: vswitch, Forwards: true}))
	w.id(w.AddEIP(alicloud.EIP{ID: "eip-old", Address: "198.51.100.1", Bandwidth: "100", InstanceID: old}))
	w.ok(w.AddRoute("vtb-system", alicloud.RouteEntry{CIDR: route.Default(), HopType: alicloud.HopInstance, HopID: old}))

	stage := migration.Adopt
	stack, err := engine.New(engine.Options{
		Project: "mine", Stack: "prod",
		Program: func(ctx *pulumi.Context) error {
			provider, err := sdk.NewProvider(ctx, "alicloud", &sdk.ProviderArgs{Region: pulumi.String("cn-hangzhou")})
			if err != nil {
				return err
			}
			return egress(ctx, provider, string(stage))
		},
		Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": sim.NewServer(alicloud.Schema(), w.Cloud)},
	})
	w.ok(err)
	t.Cleanup(stack.Close)

	walk := migration.Stages()
	for i := len(walk) - 2; i >= 0; i-- {
		walk = append(walk, walk[i])
	}
	for _, stage = range walk {
		if result, err := stack.Up(t.Context()); err != nil {
			t.Fatalf("%s: %v\n%s", stage, err, strings.Join(result.Diagnostics, "\n"))
		}
		if record, _ := stack.Outputs()["egress"].(map[string]any); record["stage"] != string(stage) {
			t.Fatalf("%s: exported is %v", stage, record)
		}
	}
}
