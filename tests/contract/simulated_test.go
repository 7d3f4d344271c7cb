package contract

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// simulatedWorld declares the world, as Pulumi's provider would, and serves it.
func simulatedWorld(t *testing.T) *world {
	t.Helper()
	cloud := aws.New(aws.Options{Region: region, Agent: aws.AgentNone})
	server := httptest.NewServer(api.New(cloud, nil))
	t.Cleanup(server.Close)
	w := connect(t, server.URL)
	w.settle = func() { cloud.Advance(10 * time.Minute) }

	declare := func(typ, name string, inputs sim.Object) string {
		t.Helper()
		for property, facts := range aws.Schema().Resources[typ].Inputs { // which the provider's check would fill in
			if _, given := inputs[property]; !given && facts.Default != nil {
				inputs[property] = facts.Default
			}
		}
		id, _, err := cloud.Create(context.Background(), sim.Request{URN: "urn:pulumi:s::p::" + typ + "::" + name, Type: typ, Inputs: inputs})
		if err != nil {
			t.Fatalf("declare %s: %v", name, err)
		}
		return id
	}
	w.vpc = declare("aws:ec2/vpc:Vpc", "vpc", sim.Object{"cidrBlock": "10.0.0.0/16"})
	internet := declare("aws:ec2/internetGateway:InternetGateway", "internet", sim.Object{"vpcId": w.vpc})
	w.publicSubnet = declare("aws:ec2/subnet:Subnet", "public", sim.Object{
		"vpcId": w.vpc, "cidrBlock": "10.0.1.0/24", "availabilityZone": zone, "mapPublicIpOnLaunch": true,
	})
	w.privateSubnet = declare("aws:ec2/subnet:Subnet", "private", sim.Object{"vpcId": w.vpc, "cidrBlock": "10.0.2.0/24", "availabilityZone": zone})
	public := declare("aws:ec2/routeTable:RouteTable", "public", sim.Object{"vpcId": w.vpc})
	declare("aws:ec2/route:Route", "public", sim.Object{"routeTableId": public, "destinationCidrBlock": everywhere, "gatewayId": internet})
	declare("aws:ec2/routeTableAssociation:RouteTableAssociation", "public", sim.Object{"routeTableId": public, "subnetId": w.publicSubnet})
	w.tables[0] = declare("aws:ec2/routeTable:RouteTable", "first", sim.Object{"vpcId": w.vpc})
	w.tables[1] = declare("aws:ec2/routeTable:RouteTable", "second", sim.Object{"vpcId": w.vpc})
	declare("aws:ec2/routeTableAssociation:RouteTableAssociation", "private", sim.Object{"routeTableId": w.tables[0], "subnetId": w.privateSubnet})

	w.allocation = declare("aws:ec2/eip:Eip", "zone", sim.Object{"domain": "vpc"})
	gateway := declare("aws:ec2/eip:Eip", "gateway", sim.Object{"domain": "vpc"})
	w.gateway = declare("aws:ec2/natGateway:NatGateway", "gateway", sim.Object{"subnetId": w.publicSubnet, "allocationId": gateway})
	w.topic = declare("aws:sns/topic:Topic", "topic", sim.Object{"name": "contract"})

	template := declare("aws:ec2/launchTemplate:LaunchTemplate", "template", sim.Object{
		"name": "contract", "imageId": "ami-0123456789abcdef0", "instanceType": "t4g.small",
	})
	for at, name := range []string{"contract-0", "contract-1"} {
		w.groups[at] = declare("aws:autoscaling/group:Group", name, sim.Object{
			"name": name, "minSize": 1.0, "maxSize": 1.0, "desiredCapacity": 1.0, "vpcZoneIdentifiers": []any{w.publicSubnet},
			"launchTemplate": sim.Object{"id": template, "version": "$Latest"},
			"tags":           []any{sim.Object{"key": tagName, "value": tagValue, "propagateAtLaunch": true}},
		})
	}
	w.putHook = func(name, transition string) error {
		declare("aws:autoscaling/lifecycleHook:LifecycleHook", name, sim.Object{
			"name": name, "autoscalingGroupName": w.groups[0], "lifecycleTransition": transition,
		})
		return nil
	}
	w.settle()
	if err := w.find(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}
