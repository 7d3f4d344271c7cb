package aws_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

func TestWhatIsAdoptedIsThereUnderItsOwnIdsAndWorks(t *testing.T) {
	cloud := aws.New(aws.Options{Region: "eu-west-1"})
	const vpc, subnet, table, internet = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "rtb-0123456789abcdef0", "igw-0123456789abcdef0"
	all := []aws.Existing{
		{Type: "aws:ec2/vpc:Vpc", ID: vpc, Inputs: sim.Object{"cidrBlock": "10.0.0.0/16"}, Outputs: sim.Object{
			"cidrBlockAssociations": []any{sim.Object{"cidrBlock": "10.0.0.0/16"}, sim.Object{"cidrBlock": "100.64.0.0/16"}}, "ipv6CidrBlock": "2001:db8:1:100::/56",
		}},
		{Type: "aws:ec2/internetGateway:InternetGateway", ID: internet, Inputs: sim.Object{"vpcId": vpc}},
		{Type: "aws:ec2/subnet:Subnet", ID: subnet, Inputs: sim.Object{"vpcId": vpc, "cidrBlock": "100.64.0.0/24", "availabilityZone": "eu-west-1a"}},
		{Type: "aws:ec2/subnet:Subnet", ID: "subnet-00000000000000002", Inputs: sim.Object{"vpcId": vpc, "cidrBlock": "10.0.1.0/24", "availabilityZone": "eu-west-1a"}},
		{Type: "aws:ec2/routeTable:RouteTable", ID: table, Inputs: sim.Object{"vpcId": vpc}},
		{Type: "aws:ec2/route:Route", ID: table + "_0.0.0.0/0", Inputs: sim.Object{"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": internet}},
		{Type: "aws:ec2/routeTableAssociation:RouteTableAssociation", ID: "rtbassoc-0123456789abcdef0", Inputs: sim.Object{"routeTableId": table, "subnetId": subnet}},
		{Type: "aws:ec2/eip:Eip", ID: "eipalloc-0123456789abcdef0", Inputs: sim.Object{"domain": "vpc"}, Outputs: sim.Object{"publicIp": "192.0.2.7"}},
		{Type: "aws:ec2/natGateway:NatGateway", ID: "nat-0123456789abcdef0", Inputs: sim.Object{
			"subnetId": subnet, "allocationId": "eipalloc-0123456789abcdef0", "connectivityType": "public",
		}},
		{Type: "aws:iam/role:Role", ID: "role", Inputs: sim.Object{"name": "role", "assumeRolePolicy": "{}"}},
		{Type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment", ID: "role-20261122", Inputs: sim.Object{"role": "role", "policyArn": "arn:aws:iam::aws:policy/A"}},
		{Type: "aws:ec2/launchTemplate:LaunchTemplate", ID: "lt-0123456789abcdef0", Inputs: sim.Object{"name": "lt"}, Outputs: sim.Object{"latestVersion": 7.0, "defaultVersion": 7.0}},
	}
	if err := cloud.Adopt(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	show := func(typ, id string) sim.Object {
		t.Helper()
		_, out, ok, err := cloud.Read(t.Context(), typ, id)
		if err != nil || !ok {
			t.Errorf("%s: there %v, error %v", id, ok, err)
		}
		return out
	}
	for _, e := range all {
		show(e.Type, e.ID)
	}
	if got := show("aws:ec2/natGateway:NatGateway", "nat-0123456789abcdef0")["publicIp"]; got != "192.0.2.7" {
		t.Errorf("the gateway has the address %v", got)
	}
	if got := show("aws:ec2/launchTemplate:LaunchTemplate", "lt-0123456789abcdef0")["latestVersion"]; got != 7.0 {
		t.Errorf("the launch template has version %v", got)
	}
	found, err := cloud.Invoke(t.Context(), "aws:ec2/getVpc:getVpc", sim.Object{"id": vpc})
	if err != nil {
		t.Fatal(err)
	}
	var blocks []any
	for _, b := range found["cidrBlockAssociations"].([]any) {
		blocks = append(blocks, b.(sim.Object)["cidrBlock"])
	}
	if diff := cmp.Diff([]any{"10.0.0.0/16", "100.64.0.0/16"}, blocks); diff != "" || found["ipv6CidrBlock"] != "2001:db8:1:100::/56" {
		t.Errorf("blocks of the VPC: %s, IPv6 %v", diff, found["ipv6CidrBlock"])
	}
	if ways := cloud.WaysOut(vpc); len(ways) != 1 || ways[0].Subnet != "subnet-00000000000000002" || ways[0].Works {
		t.Errorf("ways out %v, want none of the private subnet", ways)
	}

	create := func(typ string, in sim.Object) string {
		t.Helper()
		id, _, err := cloud.Create(t.Context(), sim.Request{URN: "urn", Type: typ, Inputs: in})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if id := create("aws:ec2/subnet:Subnet", sim.Object{"vpcId": vpc, "cidrBlock": "10.0.2.0/24"}); id != "subnet-00000000000000003" {
		t.Errorf("a subnet that is made next is %s", id)
	}
	if err := cloud.Delete(t.Context(), sim.Request{Type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment", ID: "role-20261122"}); err != nil {
		t.Error(err)
	}
	if err := cloud.Adopt(t.Context(), aws.Existing{Type: "aws:ec2/eip:Eip", ID: "eipalloc-0123456789abcdef1", Outputs: sim.Object{"publicIp": "203.0.113.1"}}); err != nil {
		t.Fatal(err)
	}
	if out := show("aws:ec2/eip:Eip", create("aws:ec2/eip:Eip", sim.Object{})); out["publicIp"] == "203.0.113.1" {
		t.Error("two Elastic IPs have the same address")
	}
}

func TestWhatCannotBeAdoptedIsNamed(t *testing.T) {
	for _, test := range []struct {
		existing aws.Existing
		want     string
	}{
		{aws.Existing{Type: "aws:ec2/subnet:Subnet", ID: "subnet-1", Inputs: sim.Object{"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"}}, "subnet-1: creating aws_subnet: InvalidVpcID.NotFound: The vpc ID 'vpc-1' does not exist"},
		{aws.Existing{Type: "aws:rds/instance:Instance", ID: "db"}, `db: type: "aws:rds/instance:Instance": is not simulated`},
	} {
		err := aws.New(aws.Options{}).Adopt(t.Context(), test.existing)
		if err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
