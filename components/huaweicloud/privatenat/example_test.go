package privatenat_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/components/huaweicloud/privatenat"
	"polynat/sdks/huaweicloud"
	"polynat/tests/recorder"
)

// A load balancer that exists becomes reachable from a network that exists. In a program of its own, pulumi.Run runs this.
func Example() {
	program := func(ctx *pulumi.Context) error {
		provider, err := huaweicloud.NewProvider(ctx, "huaweicloud", &huaweicloud.ProviderArgs{Region: pulumi.String("cn-north-4")})
		if err != nil {
			return err
		}
		nat, err := privatenat.New(ctx, "shop", &privatenat.Args{
			Gateway: privatenat.Gateway{
				VPCID:    pulumi.String("7c1d0f2e-4b5a-4f6e-8d9c-0a1b2c3d4e5f"),
				VPCCIDR:  "10.0.0.0/16",
				SubnetID: pulumi.String("1d2e3f40-5162-4738-89ab-cdef01234567"),
			},
			Networks: map[string]network.Network{"app": {
				VPC:    network.VPC{ID: "8d2e1f3f-5c6b-4a7f-9ead-1b2c3d4e5f60", CIDR: "192.168.0.0/16"},
				Subnet: network.Subnet{ID: "2e3f4051-6273-4849-9abc-def012345678", CIDR: "192.168.0.0/24"},
			}},
			TransitIPs: map[string]privatenat.TransitIP{"main": {Network: "app"}},
			Targets: map[string]privatenat.Target{"elb": {
				Type:      privatenat.LoadBalancer,
				PortID:    pulumi.String("40516273-8495-4a6b-bcde-f01234567890"), // of its IPv4 port
				Listeners: map[string]privatenat.Listener{"web": {Protocol: "HTTP", Port: 80}},
			}},
			Rules:    map[string]privatenat.Rule{"web": {TransitIP: "main", Target: "elb", Protocol: "tcp", Port: 80, TargetPort: 80}},
			Provider: provider,
		})
		if err != nil {
			return err
		}
		ctx.Export("urls", nat.URLs)
		return nil
	}
	made, err := recorder.Run(program, recorder.Options{})
	fmt.Println(len(made.Named(dnatRule)), "rule,", err)
	// Output: 1 rule, <nil>
}
