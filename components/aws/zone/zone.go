package zone

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/natzone"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:Zone"

// Zone is one availability zone.
type Zone struct {
	pulumi.ResourceState

	// AllocationID and PublicIP of the address that clients are seen with.
	AllocationID, PublicIP pulumi.StringOutput
	// StandbyID and StandbyIP of the gateway; empty for none.
	StandbyID, StandbyIP pulumi.StringOutput
	// StandbyAllocationID is the Elastic IP of a standby that is made; empty without one.
	StandbyAllocationID pulumi.StringOutput
	// ReservationID is of the private address, HolderID of the interface that the routes begin with; empty with a standby.
	ReservationID, HolderID pulumi.StringOutput
	// SecurityGroupID of the instance.
	SecurityGroupID pulumi.StringOutput
	// Routes are those of the zone's tables, and what else has to be there for as long as anything uses the zone.
	Routes []pulumi.Resource
	// LaunchTemplateID, GroupName, GroupARN and RotationARN (empty without a schedule) are there after Launch.
	LaunchTemplateID, GroupName, GroupARN, RotationARN pulumi.StringOutput
	// Group is the Auto Scaling group, for who waits until an instance serves. It is there after Launch.
	Group pulumi.Resource

	ctx   *pulumi.Context
	name  string
	args  *Args
	group *ec2.SecurityGroup
	rules []pulumi.Resource
}

// New makes what never moves. The component is complete when Launch has been called, too.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Zone, error) {
	z := &Zone{ctx: ctx, name: name, args: args}
	if err := ctx.RegisterComponentResource(TypeToken, z.childName("zone"), z, opts...); err != nil {
		return nil, err
	}
	for _, step := range []func() error{z.securityGroup, z.address, z.standby, z.routes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// Launch makes the group.
func (z *Zone) Launch(args *LaunchArgs) error {
	template, err := z.template(args)
	if err != nil {
		return err
	}
	if err := z.admitProber(args); err != nil {
		return err
	}
	group, err := z.autoScaling(args, template)
	if err != nil {
		return err
	}
	if err := z.hooks(args, group); err != nil {
		return err
	}
	if err := z.rotation(args, group); err != nil {
		return err
	}
	z.LaunchTemplateID, z.GroupName, z.GroupARN, z.Group = template.ID().ToStringOutput(), group.Name, group.Arn, group
	return z.ctx.RegisterResourceOutputs(z, pulumi.Map{
		"allocationId": z.AllocationID, "publicIp": z.PublicIP, "address": pulumi.String(z.args.Address.String()),
		"standbyId": z.StandbyID, "standbyIp": z.StandbyIP, "standbyAllocationId": z.StandbyAllocationID,
		"reservationId": z.ReservationID, "holderId": z.HolderID, "rotationArn": z.RotationARN, "securityGroupId": z.SecurityGroupID,
		"launchTemplateId": z.LaunchTemplateID, "groupName": z.GroupName, "groupArn": z.GroupARN,
	})
}

// childName is the name of a child: component, kind, zone.
func (z *Zone) childName(kind string) string { return z.name + "-" + kind + "-" + z.args.Zone }

func (z *Zone) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(z), pulumi.Provider(z.args.Provider)}, extra...)
}

// ruleTags are the user's: nil without any, for AWS knows no empty ones, and a refresh would find them gone.
func (z *Zone) ruleTags() pulumi.StringMapInput {
	if len(z.args.Tags) == 0 {
		return nil
	}
	return pulumi.ToStringMap(z.args.Tags)
}

// tags are the user's and a name.
func (z *Zone) tags(kind string) map[string]string {
	tags := map[string]string{"Name": z.args.Names.Prefix + "-" + kind}
	for k, v := range z.args.Tags {
		tags[k] = v
	}
	return tags
}

// owned are tags by which the programs know what is the zone's.
func (z *Zone) owned(kind string) map[string]string {
	tags := z.tags(kind)
	tags[natzone.TagName], tags[natzone.TagZone] = z.args.Name, z.args.Zone
	return tags
}
