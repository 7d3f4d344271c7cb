package program

import (
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

var (
	_ = vpc.RouteEntryArgs{RouterId: pulumi.String("vrt-1")}            // v3.105.0: unknown field RouterId
	_ = vpc.RouteEntryArgs{Description: pulumi.String("block")}         // v3.49.1: unknown field Description
	_ = ecs.SecurityGroupArgs{SecurityGroupName: pulumi.String("snat")} // v3.49.1: unknown field SecurityGroupName
	_ = func(id pulumi.StringPtrInput) *vpc.SwitchArgs {
		return &vpc.SwitchArgs{
			VpcId: id, // v3.49.1: cannot use id
		}
	}
	_ = func(a *ecs.EipAddress) pulumi.StringPtrOutput { return a.Description }  // v3.105.0: cannot use a.Description
	_ = func(g *ecs.SecurityGroup) pulumi.StringOutput { return g.VpcId }        // v3.49.1: cannot use g.VpcId
	_ = func(n vpc.NetworkOutput) pulumi.BoolPtrOutput { return n.EnableIpv6() } // v3.105.0: cannot use n.EnableIpv6()
	_ = func(g vpc.NatGateway) pulumi.IntOutput { return g.SnatTableIds }        // v3.49.1: cannot use g.SnatTableIds; v3.105.0: cannot use g.SnatTableIds
	_ = func(r *vpc.GetRouteTablesResult) string { return r.Tables[0].RouteTableId }
)
