package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:Access"

// Args are given by components/aws/nat, which has checked them.
type Args struct {
	Account Account
	Names   names.Component
	Zones   map[string]ZoneArgs
	// AlertTopicARN of the topic for people.
	AlertTopicARN string
	// SSM gives the instances access by Session Manager.
	SSM bool
	// Policies are ARNs of further policies of the instances.
	Policies []string
	// Rotation makes the role that rotates in maintenance windows.
	Rotation bool
	Tags     map[string]string
	Provider *aws.Provider
}

// ZoneArgs are of one zone.
type ZoneArgs struct {
	RouteTables  pulumi.StringArrayInput
	AllocationID pulumi.StringInput
	// ObjectARN of the agent in S3.
	ObjectARN pulumi.StringInput
}

// Access are the roles of a component.
type Access struct {
	pulumi.ResourceState

	// Zones by availability zone.
	Zones map[string]*Roles
	// NoticeRoleARN is of the role with which EC2 Auto Scaling publishes lifecycle notices.
	NoticeRoleARN pulumi.StringOutput `pulumi:"noticeRoleArn"`
	// RotationRoleARN is of the role that starts rotations; empty without maintenance windows.
	RotationRoleARN pulumi.StringOutput `pulumi:"rotationRoleArn"`
	// Ready are the policies that the groups need as long as they stand.
	Ready []pulumi.Resource
}

// Roles of one zone.
type Roles struct {
	// Profile is the name of the instance's profile.
	Profile pulumi.StringOutput
	// Instance, Prober and Controller are ARNs.
	Instance, Prober, Controller pulumi.StringOutput
	// InstanceReady are the policies of the instance, FunctionsReady those of the functions.
	InstanceReady, FunctionsReady []pulumi.Resource
}

// New makes the roles.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Access, error) {
	a := &Access{Zones: map[string]*Roles{}}
	if err := ctx.RegisterComponentResource(TypeToken, name, a, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: a}
	for _, zone := range slices.Sorted(maps.Keys(args.Zones)) {
		if err := b.zone(zone); err != nil {
			return nil, err
		}
	}
	if err := b.shared(); err != nil {
		return nil, err
	}
	instances, probers, controllers := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	for zone, r := range a.Zones {
		instances[zone], probers[zone], controllers[zone] = r.Instance, r.Prober, r.Controller
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{
		"instanceRoleArns": instances, "proberRoleArns": probers, "controllerRoleArns": controllers,
		"noticeRoleArn": a.NoticeRoleARN, "rotationRoleArn": a.RotationRoleARN,
	})
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *Access
}

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

// zone makes the three roles of a zone.
func (b *builder) zone(key string) error {
	args, n := b.args.Zones[key], b.args.Names.Zone(key)
	r := &Roles{}
	b.component.Zones[key] = r
	facts := Zone{
		Account: b.args.Account, Component: b.args.Names, Names: n, Name: b.args.Names.Prefix, Zone: key,
		AlertTopic: b.args.AlertTopicARN, SSM: b.args.SSM,
	}
	for _, role := range []struct {
		kind, physical, service string
		policy                  func(Zone) Document
		arn                     *pulumi.StringOutput
		ready                   *[]pulumi.Resource
	}{
		{"instance", n.InstanceRole(), "ec2." + b.args.Account.DNSSuffix, Zone.Instance, &r.Instance, &r.InstanceReady},
		{"prober", n.Prober(), "lambda.amazonaws.com", Zone.Prober, &r.Prober, &r.FunctionsReady},
		{"controller", n.Controller(), "lambda.amazonaws.com", Zone.Controller, &r.Controller, &r.FunctionsReady},
	} {
		made, err := b.role(role.kind, key, role.physical, role.service, false, facts.resolve(args, role.policy), role.ready)
		if err != nil {
			return err
		}
		*role.arn = made.Arn
		if role.kind != "instance" {
			continue
		}
		if err := b.profile(key, made, r); err != nil {
			return err
		}
	}
	b.component.Ready = append(b.component.Ready, r.InstanceReady...)
	return nil
}

func (b *builder) profile(key string, role *iam.Role, r *Roles) error {
	for _, arn := range b.args.Policies {
		attached, err := iam.NewRolePolicyAttachment(b.ctx, b.name+"-instance-policy-"+key+"-"+arn[strings.LastIndex(arn, "/")+1:], &iam.RolePolicyAttachmentArgs{
			Role: role.Name, PolicyArn: pulumi.String(arn),
		}, b.childOpts()...)
		if err != nil {
			return err
		}
		r.InstanceReady = append(r.InstanceReady, attached)
	}
	profile, err := iam.NewInstanceProfile(b.ctx, b.name+"-instance-profile-"+key, &iam.InstanceProfileArgs{
		Name: pulumi.String(b.args.Names.Zone(key).InstanceRole()), Role: role.Name, Tags: pulumi.ToStringMap(b.args.Tags),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	r.Profile = profile.Name
	return nil
}

// shared makes the roles that services of AWS act with.
func (b *builder) shared() error {
	account, region := b.args.Account, b.args.Account.Region
	policy, err := account.notices(b.args.Names).JSON()
	if err != nil {
		return err
	}
	notices, err := b.role("notice", "", b.args.Names.NoticeRole(region), "autoscaling.amazonaws.com", true, pulumi.String(policy), &b.component.Ready)
	if err != nil {
		return err
	}
	b.component.NoticeRoleARN = notices.Arn
	b.component.RotationRoleARN = pulumi.String("").ToStringOutput()
	if !b.args.Rotation {
		return nil
	}
	var groups []string
	for _, zone := range slices.Sorted(maps.Keys(b.args.Zones)) {
		groups = append(groups, b.args.Names.Zone(zone).Group())
	}
	if policy, err = account.rotation(groups).JSON(); err != nil {
		return err
	}
	rotation, err := b.role("rotation", "", b.args.Names.RotationRole(region), "scheduler.amazonaws.com", true, pulumi.String(policy), &b.component.Ready)
	if err != nil {
		return err
	}
	b.component.RotationRoleARN = rotation.Arn
	return nil
}

// role makes a role and its policy.
func (b *builder) role(kind, key, physical, service string, ownAccount bool, policy pulumi.StringInput, ready *[]pulumi.Resource) (*iam.Role, error) {
	suffix := ""
	if key != "" {
		suffix = "-" + key
	}
	trust, err := b.args.Account.trust(service, ownAccount).JSON()
	if err != nil {
		return nil, err
	}
	role, err := iam.NewRole(b.ctx, b.name+"-"+kind+"-role"+suffix, &iam.RoleArgs{
		Name: pulumi.String(physical), AssumeRolePolicy: pulumi.String(trust), Tags: pulumi.ToStringMap(b.args.Tags),
	}, b.childOpts()...)
	if err != nil {
		return nil, err
	}
	made, err := iam.NewRolePolicy(b.ctx, b.name+"-"+kind+"-role-policy"+suffix, &iam.RolePolicyArgs{
		Name: pulumi.String("polynat"), Role: role.ID(), Policy: policy,
	}, b.childOpts()...)
	*ready = append(*ready, made)
	return role, err
}

// resolve is a policy as soon as the ids in it are known.
func (z Zone) resolve(args ZoneArgs, policy func(Zone) Document) pulumi.StringOutput {
	single := pulumi.StringArray{args.AllocationID, args.ObjectARN}.ToStringArrayOutput()
	return pulumi.StringArrayArray{single, args.RouteTables}.ToStringArrayArrayOutput().ApplyT(func(values [][]string) (string, error) {
		if len(values) != 2 || len(values[0]) != 2 {
			return "", fmt.Errorf("policy of %s: %d lists of ids, want 2", z.Zone, len(values))
		}
		z.AllocationID, z.Object, z.RouteTables = values[0][0], values[0][1], values[1]
		return policy(z).JSON()
	}).(pulumi.StringOutput)
}
