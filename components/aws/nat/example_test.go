package nat_test

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/nat"
	"polynat/tests/recorder"
)

// One zone of a VPC that exists gets its NAT instance and its standby gateway. In a program of its own, pulumi.Run runs this.
func Example() {
	program := func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")})
		if err != nil {
			return err
		}
		egress, err := nat.New(ctx, "egress", &nat.Args{
			VPC: nat.VPC{ID: pulumi.String("vpc-1")},
			Zones: map[string]nat.Zone{"eu-west-1a": {
				Public: nat.Subnet{ID: pulumi.String("subnet-public-a")},
				Tables: map[string]nat.Table{"app": {
					ID: pulumi.String("rtb-app-a"), Subnets: []pulumi.StringInput{pulumi.String("subnet-app-a")},
				}},
			}},
			Instance:  nat.Instance{Types: []string{"c7gn.medium", "c6gn.medium"}},
			Artefacts: prebuilt, // leave this out to have the programs built
			Provider:  provider,
		})
		if err != nil {
			return err
		}
		ctx.Export("allowlist", egress.EgressAddresses)
		return nil
	}
	made, err := recorder.Run(program, options(ireland))
	fmt.Println(len(made.Named(groupType)), "group,", len(made.Named(gatewayType)), "standby gateway,", err)
	// Output: 1 group, 1 standby gateway, <nil>
}
