package snatinstance

import (
	"errors"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/tags"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:alicloud:SNATInstance"

// SNATInstance is a VPC with a self-managed SNAT instance.
type SNATInstance struct {
	pulumi.ResourceState

	// VPCID is the id of the VPC.
	VPCID pulumi.StringOutput `pulumi:"vpcId"`
	// RouteTables are ids by key; the system table has the key "system".
	RouteTables pulumi.StringMapOutput `pulumi:"routeTables"`
	// VSwitches are ids by key.
	VSwitches pulumi.StringMapOutput `pulumi:"vswitches"`
	// InstanceID is the id of the SNAT instance, empty when it is retired.
	InstanceID pulumi.StringOutput `pulumi:"instanceId"`
	// PublicIP is the address that traffic leaves from, empty when the instance is retired.
	PublicIP pulumi.StringOutput `pulumi:"publicIp"`

	tables    map[string]pulumi.StringOutput
	vswitches map[string]pulumi.StringOutput
}

// RouteTable is the id of the table of that key.
func (s *SNATInstance) RouteTable(key string) pulumi.StringOutput { return s.tables[key] }

// VSwitch is the id of the vSwitch of that key.
func (s *SNATInstance) VSwitch(key string) pulumi.StringOutput { return s.vswitches[key] }

// DefaultRouteName is the child name of the default route of the table of that key, for the alias of whoever takes it over.
func DefaultRouteName(name, table string) string { return name + "-default-" + table }

// New makes the network, or returns the problems of the Args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*SNATInstance, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with alicloud.NewProvider and a region)")
	}
	s := &SNATInstance{tables: map[string]pulumi.StringOutput{}, vswitches: map[string]pulumi.StringOutput{}}
	if err := ctx.RegisterComponentResource(TypeToken, name, s, opts...); err != nil {
		return nil, err
	}
	s.InstanceID, s.PublicIP = pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()
	b := &builder{ctx: ctx, name: name, args: args, component: s}
	steps := []func() error{b.network, b.subnets, b.routeTables}
	if !args.Retired {
		steps = append(steps, b.securityGroup, b.instance, b.address, b.defaultRoutes)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	s.RouteTables, s.VSwitches = stringMap(s.tables), stringMap(s.vswitches)
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{
		"vpcId": s.VPCID, "routeTables": s.RouteTables, "vswitches": s.VSwitches, "instanceId": s.InstanceID, "publicIp": s.PublicIP,
	})
}

func stringMap(m map[string]pulumi.StringOutput) pulumi.StringMapOutput {
	out := pulumi.StringMap{}
	for k, v := range m {
		out[k] = v
	}
	return out.ToStringMapOutput()
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *SNATInstance

	group     *ecs.SecurityGroup
	gateway   *ecs.Instance
	addressed pulumi.Resource
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

func (b *builder) network() error {
	args := &vpc.NetworkArgs{VpcName: pulumi.String(b.name), CidrBlock: pulumi.String(b.args.CIDR), Tags: tags.Of(b.args.Tags)}
	v, err := vpc.NewNetwork(b.ctx, b.childName("vpc"), args, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.VPCID = v.ID().ToStringOutput()
	b.component.tables[SystemTable] = v.RouteTableId
	return nil
}

func (b *builder) subnets() error {
	for _, k := range slices.Sorted(maps.Keys(b.args.VSwitches)) {
		v := b.args.VSwitches[k]
		args := &vpc.SwitchArgs{
			VswitchName: pulumi.String(b.childName(k)),
			VpcId:       b.component.VPCID,
			CidrBlock:   pulumi.String(v.CIDR),
			ZoneId:      pulumi.String(v.Zone),
			Tags:        tags.Of(b.args.Tags),
		}
		vswitch, err := vpc.NewSwitch(b.ctx, b.childName("vswitch-"+k), args, b.childOpts()...)
		if err != nil {
			return err
		}
		b.component.vswitches[k] = vswitch.ID().ToStringOutput()
	}
	return nil
}

func (b *builder) routeTables() error {
	for _, k := range b.args.RouteTables {
		args := &vpc.RouteTableArgs{
			RouteTableName: pulumi.String(b.childName(k)),
			VpcId:          b.component.VPCID,
			AssociateType:  pulumi.String("VSwitch"),
			Tags:           tags.Of(b.args.Tags),
		}
		table, err := vpc.NewRouteTable(b.ctx, b.childName("table-"+k), args, b.childOpts()...)
		if err != nil {
			return err
		}
		b.component.tables[k] = table.ID().ToStringOutput()
	}
	for _, k := range slices.Sorted(maps.Keys(b.args.VSwitches)) {
		table := b.args.VSwitches[k].RouteTable
		if table == "" {
			continue
		}
		if _, err := vpc.NewRouteTableAttachment(b.ctx, b.childName("attachment-"+k), &vpc.RouteTableAttachmentArgs{
			RouteTableId: b.component.tables[table],
			VswitchId:    b.component.vswitches[k],
		}, b.childOpts()...); err != nil {
			return err
		}
	}
	return nil
}

// securityGroup lets in what comes from the VPC and nothing else.
func (b *builder) securityGroup() (err error) {
	args := &ecs.SecurityGroupArgs{
		VpcId:       b.component.VPCID,
		Description: pulumi.String("SNAT instance: sources of the VPC in, everything out"),
		Tags:        tags.Of(b.args.Tags),
	}
	b.group, err = ecs.NewSecurityGroup(b.ctx, b.childName("group"), args, b.childOpts()...)
	if err != nil {
		return err
	}
	_, err = ecs.NewSecurityGroupRule(b.ctx, b.childName("ingress-vpc"), &ecs.SecurityGroupRuleArgs{
		SecurityGroupId: b.group.ID(),
		Type:            pulumi.String("ingress"),
		IpProtocol:      pulumi.String("all"),
		PortRange:       pulumi.String("-1/-1"),
		NicType:         pulumi.String("intranet"),
		Policy:          pulumi.String("accept"),
		Priority:        pulumi.Int(1),
		CidrIp:          pulumi.String(b.args.CIDR),
	}, b.childOpts()...)
	return err
}

func (b *builder) instance() (err error) {
	i := b.args.Instance
	args := &ecs.InstanceArgs{
		InstanceName:        pulumi.String(b.name),
		InstanceType:        pulumi.String(i.Type),
		ImageId:             pulumi.String(i.ImageID),
		VswitchId:           b.component.vswitches[i.VSwitch],
		SecurityGroups:      pulumi.StringArray{b.group.ID()},
		SystemDiskCategory:  pulumi.String("cloud_essd"),
		SystemDiskEncrypted: pulumi.Bool(true),
		HttpEndpoint:        pulumi.String("enabled"),
		HttpTokens:          pulumi.String("required"),
		UserData:            pulumi.String(userData(b.args.CIDR)),
		Tags:                tags.Of(b.args.Tags),
	}
	// The API shows the key that the service has chosen for the disk; the provider would take it for one that the program has
	// removed, and replace the instance.
	b.gateway, err = ecs.NewInstance(b.ctx, b.childName("instance"), args, b.childOpts(pulumi.IgnoreChanges([]string{"systemDiskKmsKeyId"}))...)
	if err == nil {
		b.component.InstanceID = b.gateway.ID().ToStringOutput()
	}
	return err
}

func (b *builder) address() error {
	args := &ecs.EipAddressArgs{
		AddressName:        pulumi.String(b.name),
		Bandwidth:          pulumi.Sprintf("%d", b.args.Instance.Bandwidth),
		InternetChargeType: pulumi.String("PayByTraffic"),
		PaymentType:        pulumi.String("PayAsYouGo"),
		Tags:               tags.Of(b.args.Tags),
	}
	eip, err := ecs.NewEipAddress(b.ctx, b.childName("address"), args, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.PublicIP = eip.IpAddress
	b.addressed, err = ecs.NewEipAssociation(b.ctx, b.childName("association"), &ecs.EipAssociationArgs{
		AllocationId: eip.ID(),
		InstanceId:   b.gateway.ID(),
		InstanceType: pulumi.String("EcsInstance"),
		// As with the key of the disk: the API may show these, and each change of them replaces.
	}, b.childOpts(pulumi.IgnoreChanges([]string{"vpcId", "privateIpAddress"}))...)
	return err
}

// defaultRoutes sends every table's traffic to the instance, once it has an address to send it on from.
func (b *builder) defaultRoutes() error {
	if b.args.DefaultRoutesElsewhere {
		return nil
	}
	for _, k := range b.args.tables() {
		if _, err := vpc.NewRouteEntry(b.ctx, DefaultRouteName(b.name, k), &vpc.RouteEntryArgs{
			RouteTableId:         b.component.tables[k],
			DestinationCidrblock: pulumi.String("0.0.0.0/0"),
			NexthopType:          pulumi.String("Instance"),
			NexthopId:            b.component.InstanceID,
		}, b.childOpts(pulumi.DependsOn([]pulumi.Resource{b.addressed}),
			pulumi.IgnoreChanges([]string{"name"}), pulumi.Aliases(b.args.DefaultRouteAliases[k]))...); err != nil {
			return err
		}
	}
	return nil
}
