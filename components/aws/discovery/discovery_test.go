package discovery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/discovery"
	"polynat/tests/recorder"
)

// answer is the cloud's side of the lookups.
func (n *network) answer(token string, args map[string]any) (map[string]any, error) {
	switch token {
	case "aws:ec2/getVpc:getVpc":
		if tags, _ := args["tags"].(map[string]any); tags["Name"] != "main" {
			return nil, fmt.Errorf("no VPC has %v", args)
		}
		return map[string]any{"id": "vpc-1", "cidrBlock": "10.0.0.0/16", "cidrBlockAssociations": []any{
			map[string]any{"cidrBlock": "10.0.0.0/16"}, map[string]any{"cidrBlock": "100.64.0.0/16", "state": "associated"},
			map[string]any{"cidrBlock": "10.99.0.0/16", "state": "disassociated"},
		}}, nil
	case "aws:ec2/getSubnets:getSubnets":
		var ids []any
		for _, s := range n.subnets {
			ids = append(ids, s.ID)
		}
		return map[string]any{"ids": ids}, nil
	case "aws:ec2/getSubnet:getSubnet":
		s, tags := n.subnet(args["id"].(string)), map[string]any{}
		for k, v := range s.Tags {
			tags[k] = v
		}
		return map[string]any{"id": s.ID, "availabilityZone": s.Zone, "cidrBlock": s.CIDR.String(), "tags": tags}, nil
	case "aws:ec2/getRouteTables:getRouteTables":
		var ids []any
		for _, t := range n.tables {
			ids = append(ids, t.ID)
		}
		return map[string]any{"ids": ids}, nil
	case "aws:ec2/getRouteTable:getRouteTable":
		t := n.table(args["routeTableId"].(string))
		associations := []any{map[string]any{"main": t.Main, "gatewayId": ""}}
		for _, id := range t.Subnets {
			associations = append(associations, map[string]any{"subnetId": id, "main": false})
		}
		routes := []any{map[string]any{"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}}
		if t.Default != "" {
			key := "gatewayId"
			if strings.HasPrefix(t.Default, "nat-") {
				key = "natGatewayId"
			}
			routes = append(routes, map[string]any{"cidrBlock": "0.0.0.0/0", key: t.Default})
		}
		return map[string]any{"routeTableId": t.ID, "associations": associations, "routes": routes}, nil
	}
	return nil, fmt.Errorf("%s: not expected", token)
}

func TestAVPCIsLookedUpWithTheGivenProvider(t *testing.T) {
	n := terraform()
	var found *discovery.Found
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		args := n.args
		var err error
		if args.Provider, err = aws.NewProvider(ctx, "aws", nil); err != nil {
			return err
		}
		found, err = discovery.Find(ctx, &args)
		return err
	}, recorder.Options{Invoke: n.answer, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	made.Check(t)
	if found.VPCID != "vpc-1" || !slices.Equal(found.CIDRs, []string{"10.0.0.0/16", "100.64.0.0/16"}) {
		t.Errorf("found %v", found)
	}
	if got := found.Zones["eu-west-1b"].Defaults["rtb-private-b"]; got != "nat-b" || len(found.Zones) != 2 {
		t.Errorf("zones %v", found.Zones)
	}
}

func TestALookupThatFailsSaysWhatWasLookedFor(t *testing.T) {
	n := terraform()
	n.args.VPC = discovery.VPC{Tags: map[string]string{"env": "prod", "app": "shop"}}
	_, err := recorder.Run(func(ctx *pulumi.Context) error {
		args := n.args
		var err error
		if args.Provider, err = aws.NewProvider(ctx, "aws", nil); err != nil {
			return err
		}
		_, err = discovery.Find(ctx, &args)
		return err
	}, recorder.Options{Invoke: n.answer})
	if err == nil || !strings.Contains(err.Error(), `vpc: "app=shop, env=prod": `) {
		t.Errorf("error %v", err)
	}
}
