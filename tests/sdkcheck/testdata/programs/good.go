// Package program uses the SDK as components do.
package program

import (
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func program(ctx *pulumi.Context) error {
	network, err := vpc.NewNetwork(ctx, "network", &vpc.NetworkArgs{CidrBlock: pulumi.String("10.0.0.0/8")})
	if err != nil {
		return err
	}
	if _, err := vpc.NewSwitch(ctx, "switch", &vpc.SwitchArgs{VpcId: network.ID(), CidrBlock: pulumi.String("10.0.0.0/24")}); err != nil {
		return err
	}
	if _, err := vpc.NewRouteEntry(ctx, "block", &vpc.RouteEntryArgs{
		RouteTableId:         network.RouteTableId,
		DestinationCidrblock: pulumi.String("1.0.0.0/8"),
		NexthopType:          pulumi.String("Instance"),
		NexthopId:            pulumi.String("i-snat"),
	}); err != nil {
		return err
	}
	if _, err := ecs.NewInstance(ctx, "instance", &ecs.InstanceArgs{Tags: pulumi.StringMap{"app": pulumi.String("polynat")}}); err != nil {
		return err
	}
	tables, err := vpc.GetRouteTables(ctx, &vpc.GetRouteTablesArgs{Ids: []string{"vtb-1"}})
	if err != nil {
		return err
	}
	ctx.Export("switches", pulumi.ToStringArray(tables.Tables[0].VswitchIds))
	return nil
}
