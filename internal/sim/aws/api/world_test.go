package api_test

import (
	"testing"
	"time"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// instance declares a VPC with one instance that is running, and has a role.
func instance(t *testing.T) (*aws.Cloud, string) {
	t.Helper()
	cloud := aws.New(aws.Options{Agent: aws.AgentNone})
	declare := func(typ string, inputs sim.Object) string {
		t.Helper()
		id, _, err := cloud.Create(t.Context(), sim.Request{URN: "urn:pulumi:s::p::" + typ + "::x", Type: typ, Inputs: inputs})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	vpc := declare("aws:ec2/vpc:Vpc", sim.Object{"cidrBlock": "10.0.0.0/16"})
	subnet := declare("aws:ec2/subnet:Subnet", sim.Object{"vpcId": vpc, "cidrBlock": "10.0.1.0/24", "availabilityZone": "us-east-1a"})
	role := declare("aws:iam/role:Role", sim.Object{"name": "nat", "assumeRolePolicy": `{"Version":"2012-10-17","Statement":[]}`})
	profile := declare("aws:iam/instanceProfile:InstanceProfile", sim.Object{"name": "nat", "role": role})
	template := declare("aws:ec2/launchTemplate:LaunchTemplate", sim.Object{
		"name": "nat", "imageId": "ami-0123456789abcdef0", "instanceType": "t4g.small", "iamInstanceProfile": sim.Object{"name": profile},
	})
	declare("aws:autoscaling/group:Group", sim.Object{
		"name": "nat", "minSize": 1.0, "maxSize": 1.0, "desiredCapacity": 1.0, "vpcZoneIdentifiers": []any{subnet},
		"launchTemplate": sim.Object{"id": template, "version": "$Latest"},
	})
	cloud.Advance(10 * time.Minute)
	instances := cloud.Instances()
	if len(instances) != 1 {
		t.Fatalf("instances %+v", instances)
	}
	return cloud, instances[0].InstanceID
}
