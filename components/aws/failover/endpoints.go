package failover

import (
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// allEndpoints are for accounts whose policy wants them; nothing here needs one. They take over the names of their services
// in the whole VPC, so that all of it may use them.
func (b *builder) allEndpoints() error {
	b.component.EndpointSecurityGroupID = pulumi.String("").ToStringOutput()
	if len(b.args.Endpoints) == 0 {
		return nil
	}
	name := b.args.Names.EndpointGroup()
	group, err := ec2.NewSecurityGroup(b.ctx, b.childName("endpoint-group"), &ec2.SecurityGroupArgs{
		Name: pulumi.String(name), Description: pulumi.String("polynat: interface endpoints of " + b.args.Name), VpcId: b.args.VPCID, Tags: b.named(name),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.EndpointSecurityGroupID = group.ID().ToStringOutput()
	for _, cidr := range b.args.CIDRs {
		if _, err := vpc.NewSecurityGroupIngressRule(b.ctx, b.childName("endpoint-ingress-"+cidr), &vpc.SecurityGroupIngressRuleArgs{
			SecurityGroupId: group.ID(), IpProtocol: pulumi.String("tcp"), FromPort: pulumi.Int(443), ToPort: pulumi.Int(443), CidrIpv4: pulumi.String(cidr), Tags: b.tags(),
		}, b.childOpts()...); err != nil {
			return err
		}
	}
	var subnets pulumi.StringArray // an endpoint takes one in a zone
	for _, zone := range sorted(b.args.Zones) {
		subnets = append(subnets, b.args.Zones[zone].Subnets.ToStringArrayOutput().Index(pulumi.Int(0)))
	}
	for _, service := range b.args.Endpoints {
		endpoint, err := ec2.NewVpcEndpoint(b.ctx, b.childName("endpoint-"+service), &ec2.VpcEndpointArgs{
			VpcId: b.args.VPCID, VpcEndpointType: pulumi.String("Interface"), ServiceName: pulumi.String(b.serviceName(service)),
			SubnetIds: subnets, SecurityGroupIds: pulumi.StringArray{group.ID()}, PrivateDnsEnabled: pulumi.Bool(true), Tags: b.named(b.childName("endpoint-" + service)),
		}, b.childOpts()...)
		if err != nil {
			return err
		}
		b.endpoints[service] = endpoint.ID().ToStringOutput()
	}
	return nil
}

// serviceName of an interface endpoint. In China the services of the partition have the reversed name of its domain; a name
// with a dot is one in full.
func (b *builder) serviceName(service string) string {
	switch {
	case strings.Contains(service, "."):
		return service
	case b.args.Account.Partition == "aws-cn":
		return "cn.com.amazonaws." + b.args.Account.Region + "." + service
	}
	return "com.amazonaws." + b.args.Account.Region + "." + service
}
