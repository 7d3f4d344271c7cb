package program

import (
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

var (
	_ = vpc.NatGatewayArgs{Tags: pulumi.Map{}}                             // v3.105.0: cannot use pulumi.Map{}
	_ = vpc.NatGatewayArgs{Tags: pulumi.StringMap{}}                       // v3.49.1: cannot use pulumi.StringMap{}
	_ = ecs.EipAddressArgs{Tags: pulumi.Map{}}                             // v3.105.0: cannot use pulumi.Map{}
	_ = vpc.GetNetworksArgs{Tags: map[string]any{}}                        // v3.105.0: cannot use map[string]any{}
	_ = vpc.GetNetworksArgs{Tags: map[string]string{}}                     // v3.49.1: cannot use map[string]string{}
	_ = func(n *vpc.Network) pulumi.MapOutput { return n.Tags }            // v3.105.0: cannot use n.Tags
	_ = func(n vpc.NetworkOutput) pulumi.MapOutput { return n.Tags() }     // v3.105.0: cannot use n.Tags()
	_ = func(n *vpc.Network) pulumi.StringMapOutput { return n.Tags }      // v3.49.1: cannot use n.Tags
	_ = func(r *vpc.GetNetworksResult) map[string]any { return r.Tags }    // v3.105.0: cannot use r.Tags
	_ = func(r *vpc.GetNetworksResult) map[string]string { return r.Tags } // v3.49.1: cannot use r.Tags
)
