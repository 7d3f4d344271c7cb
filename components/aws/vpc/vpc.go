package vpc

import (
	"errors"
	"maps"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:VPC"

// VPC is the network with its subnets.
type VPC struct {
	pulumi.ResourceState

	// VPCID is the id of the VPC.
	VPCID pulumi.StringOutput `pulumi:"vpcId"`
	// PublicSubnets are the ids of the public subnets, by zone.
	PublicSubnets pulumi.StringMapOutput `pulumi:"publicSubnets"`
	// PrivateSubnets are the ids of the private subnets, by zone and key.
	PrivateSubnets pulumi.StringMapMapOutput `pulumi:"privateSubnets"`
	// RouteTables are the ids of the tables of the private subnets, by zone and key.
	RouteTables pulumi.StringMapMapOutput `pulumi:"routeTables"`

	// Zones hold the same ids, for what is built in the VPC. An id is there when what it names can be used: a public subnet
	// reaches the Internet, a private one follows its table.
	Zones map[string]Made
}

// Made is a zone as resources; the maps have the keys of the private subnets.
type Made struct {
	PublicSubnet                pulumi.StringOutput
	PrivateSubnets, RouteTables map[string]pulumi.StringOutput
}

// New makes the VPC, or returns the problems of the Args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*VPC, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with aws.NewProvider and a region)")
	}
	v := &VPC{Zones: map[string]Made{}}
	if err := ctx.RegisterComponentResource(TypeToken, name, v, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: v}
	for _, step := range []func() error{b.network, b.internet, b.zones} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.outputs()
	return v, ctx.RegisterResourceOutputs(v, pulumi.Map{
		"vpcId": v.VPCID, "publicSubnets": v.PublicSubnets, "privateSubnets": v.PrivateSubnets, "routeTables": v.RouteTables,
	})
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *VPC

	vpc    *ec2.Vpc
	public *ec2.Route
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

// tags name what is made as the child is named, which is also the convention that package discovery reads.
func (b *builder) tags(child string) pulumi.StringMap {
	tags := pulumi.StringMap{"Name": pulumi.String(child)}
	maps.Copy(tags, pulumi.ToStringMap(b.args.Tags))
	return tags
}

func (b *builder) network() (err error) {
	name := b.childName("vpc")
	b.vpc, err = ec2.NewVpc(b.ctx, name, &ec2.VpcArgs{
		CidrBlock: pulumi.String(b.args.CIDR), EnableDnsSupport: pulumi.Bool(true), EnableDnsHostnames: pulumi.Bool(true), Tags: b.tags(name),
	}, b.childOpts()...)
	return err
}

// internet makes the way out of the public subnets.
func (b *builder) internet() error {
	gatewayName, tableName := b.childName("internet"), b.childName("public")
	gateway, err := ec2.NewInternetGateway(b.ctx, gatewayName, &ec2.InternetGatewayArgs{VpcId: b.vpc.ID(), Tags: b.tags(gatewayName)}, b.childOpts()...)
	if err != nil {
		return err
	}
	table, err := ec2.NewRouteTable(b.ctx, tableName, &ec2.RouteTableArgs{VpcId: b.vpc.ID(), Tags: b.tags(tableName)}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.public, err = ec2.NewRoute(b.ctx, b.childName("public-default"), &ec2.RouteArgs{
		RouteTableId: table.ID(), DestinationCidrBlock: pulumi.String("0.0.0.0/0"), GatewayId: gateway.ID(),
	}, b.childOpts()...)
	return err
}

func (b *builder) zones() error {
	for _, zone := range sorted(b.args.Zones) {
		made := Made{PrivateSubnets: map[string]pulumi.StringOutput{}, RouteTables: map[string]pulumi.StringOutput{}}
		var err error
		// The table by its route: what asks for the subnet gets it once the Internet gateway is behind it.
		if made.PublicSubnet, _, err = b.subnet("public-"+zone, zone, b.args.Zones[zone].Public, b.public.RouteTableId); err != nil {
			return err
		}
		for _, key := range sorted(b.args.Zones[zone].Private) {
			name := "private-" + zone + "-" + key
			tableName := b.childName(name + "-table")
			table, err := ec2.NewRouteTable(b.ctx, tableName, &ec2.RouteTableArgs{VpcId: b.vpc.ID(), Tags: b.tags(tableName)}, b.childOpts()...)
			if err != nil {
				return err
			}
			made.PrivateSubnets[key], made.RouteTables[key], err = b.subnet(name, zone, b.args.Zones[zone].Private[key], table.ID().ToStringOutput())
			if err != nil {
				return err
			}
		}
		b.component.Zones[zone] = made
	}
	return nil
}

// subnet makes a subnet that follows a table, and returns the ids of both as they are once it does.
func (b *builder) subnet(suffix, zone, cidr string, table pulumi.StringOutput) (subnet, followed pulumi.StringOutput, err error) {
	name := b.childName(suffix)
	made, err := ec2.NewSubnet(b.ctx, name, &ec2.SubnetArgs{
		VpcId: b.vpc.ID(), AvailabilityZone: pulumi.String(zone), CidrBlock: pulumi.String(cidr), Tags: b.tags(name),
	}, b.childOpts()...)
	if err != nil {
		return subnet, followed, err
	}
	association, err := ec2.NewRouteTableAssociation(b.ctx, b.childName(suffix+"-association"), &ec2.RouteTableAssociationArgs{
		SubnetId: made.ID(), RouteTableId: table,
	}, b.childOpts()...)
	if err != nil {
		return subnet, followed, err
	}
	return association.SubnetId.Elem(), association.RouteTableId, nil
}

func (b *builder) outputs() {
	public, private, tables := pulumi.StringMap{}, pulumi.StringMapMap{}, pulumi.StringMapMap{}
	for zone, made := range b.component.Zones {
		public[zone], private[zone], tables[zone] = made.PublicSubnet, inputs(made.PrivateSubnets), inputs(made.RouteTables)
	}
	v := b.component
	v.VPCID = b.vpc.ID().ToStringOutput()
	v.PublicSubnets, v.PrivateSubnets, v.RouteTables = public.ToStringMapOutput(), private.ToStringMapMapOutput(), tables.ToStringMapMapOutput()
}

func inputs(outputs map[string]pulumi.StringOutput) pulumi.StringMap {
	m := pulumi.StringMap{}
	for k, v := range outputs {
		m[k] = v
	}
	return m
}
