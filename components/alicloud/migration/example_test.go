package migration_test

import (
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/migration"
)

// egress brings the network to a stage, and exports what the next update has to know of it.
func egress(ctx *pulumi.Context, provider *alicloud.Provider, stage string) error {
	record, err := migration.LastRecord(ctx, "egress") // what the last update exported under that name
	if err != nil {
		return err
	}
	m, err := migration.New(ctx, "egress", &migration.Args{
		Stage:      stage, // begin with adopt
		Record:     record,
		VPCID:      "vpc-bp15zckdt37pq72zvw3d1",
		OldNextHop: migration.OldNextHop{Type: "Instance", ID: "i-bp67acfmxazb4ph3aa1b"},
		NATGateway: migration.NATGateway{Name: "egress", VSwitch: "vsw-bp1nhbnpv2blyz8dl5ugu"},
		Addresses:  map[string]migration.Address{"main": {Bandwidth: 100}},
		Provider:   provider,
	})
	if err != nil {
		return err
	}
	ctx.Export("egress", m.Record())
	return nil
}

// A program of your own. It exports what the next update has to know, and reads it back from there.
func Example() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		provider, err := alicloud.NewProvider(ctx, "alicloud", &alicloud.ProviderArgs{Region: pulumi.String("cn-hangzhou")})
		if err != nil {
			return err
		}
		return egress(ctx, provider, "adopt") // then cover, uncover, gateway, address, snat, switch, retire: one step per update
	})
}
