package zone

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/autoscaling"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/natzone"
)

// MostUserData is how many bytes EC2 takes as user data, before they are encoded.
const MostUserData = 16 << 10

// encode makes user data what a launch template takes.
func encode(script string) (string, error) {
	if n := len(script); n > MostUserData {
		return "", fmt.Errorf("user data: %d bytes: EC2 takes %d (shorten instance.before and instance.after)", n, MostUserData)
	}
	return base64.StdEncoding.EncodeToString([]byte(script)), nil
}

func (z *Zone) template(args *LaunchArgs) (*ec2.LaunchTemplate, error) {
	nic := &ec2.LaunchTemplateNetworkInterfaceArgs{
		// The primary address is the agent's way to AWS before it holds the zone's, and after. Whether it keeps it is AWS's secret.
		AssociatePublicIpAddress: pulumi.String("true"),
		DeleteOnTermination:      pulumi.String("true"),
		DeviceIndex:              pulumi.Int(0),
		SecurityGroups:           append(pulumi.StringArray{z.group.ID()}, args.SecurityGroups...),
	}
	if t := args.Tracking; t != nil {
		nic.ConnectionTrackingSpecification = &ec2.LaunchTemplateNetworkInterfaceConnectionTrackingSpecificationArgs{
			TcpEstablishedTimeout: pulumi.Int(t.TCPEstablished), UdpTimeout: pulumi.Int(t.UDP), UdpStreamTimeout: pulumi.Int(t.UDPStream),
		}
	}
	if args.IPv6 {
		nic.Ipv6AddressCount = pulumi.Int(1)
	}
	volume := &ec2.LaunchTemplateBlockDeviceMappingEbsArgs{
		Encrypted: pulumi.String("true"), VolumeType: pulumi.String("gp3"), VolumeSize: pulumi.Int(args.VolumeGiB), DeleteOnTermination: pulumi.String("true"),
	}
	if args.KMSKeyARN != "" {
		volume.KmsKeyId = pulumi.String(args.KMSKeyARN)
	}
	var tagged ec2.LaunchTemplateTagSpecificationArray
	for _, kind := range []string{"instance", "network-interface", "volume"} {
		tagged = append(tagged, &ec2.LaunchTemplateTagSpecificationArgs{ResourceType: pulumi.String(kind), Tags: pulumi.ToStringMap(z.owned("instance"))})
	}
	// An instance is known to be outdated by the version of its template, which has to change with the market, too.
	description := "NAT instance of " + z.args.Zone
	if args.Spot {
		description += ", Spot"
	}
	template := &ec2.LaunchTemplateArgs{
		Description:          pulumi.String(description),
		ImageId:              pulumi.String(args.ImageID),
		InstanceType:         pulumi.String(args.Types[0]),
		IamInstanceProfile:   &ec2.LaunchTemplateIamInstanceProfileArgs{Name: args.Profile.ToStringOutput()},
		NetworkInterfaces:    ec2.LaunchTemplateNetworkInterfaceArray{nic},
		BlockDeviceMappings:  ec2.LaunchTemplateBlockDeviceMappingArray{&ec2.LaunchTemplateBlockDeviceMappingArgs{DeviceName: pulumi.String("/dev/xvda"), Ebs: volume}},
		MetadataOptions:      metadataOptions(),
		Monitoring:           &ec2.LaunchTemplateMonitoringArgs{Enabled: pulumi.Bool(args.DetailedMonitoring)},
		TagSpecifications:    tagged,
		UpdateDefaultVersion: pulumi.Bool(true),
		UserData:             args.UserData.ToStringOutput().ApplyT(encode).(pulumi.StringOutput),
		Tags:                 pulumi.ToStringMap(z.tags("instance")),
		// An instance that powers itself off is replaced, not kept.
		InstanceInitiatedShutdownBehavior: pulumi.String("terminate"),
	}
	if args.KeyName != "" {
		template.KeyName = pulumi.String(args.KeyName)
	}
	return ec2.NewLaunchTemplate(z.ctx, z.childName("template"), template, z.childOpts()...)
}

// metadataOptions: sessions only (IMDSv2), no farther than the instance itself, with its tags.
func metadataOptions() *ec2.LaunchTemplateMetadataOptionsArgs {
	return &ec2.LaunchTemplateMetadataOptionsArgs{
		HttpEndpoint: pulumi.String("enabled"), HttpTokens: pulumi.String("required"), HttpPutResponseHopLimit: pulumi.Int(1),
		InstanceMetadataTags: pulumi.String("enabled"),
	}
}

// groupMetrics are those that say something of a group of one; they cost nothing.
var groupMetrics = []string{
	"GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize", "GroupPendingInstances", "GroupStandbyInstances",
	"GroupTerminatingInstances", "GroupTotalInstances",
}

// autoScaling makes the group of one.
func (z *Zone) autoScaling(args *LaunchArgs, template *ec2.LaunchTemplate) (*autoscaling.Group, error) {
	group := &autoscaling.GroupArgs{
		Name:    pulumi.String(z.args.Names.Group()),
		MinSize: pulumi.Int(1), DesiredCapacity: pulumi.Int(1),
		// The successor is launched first. Whether the maintenance policy may exceed the maximum is not documented; at 2 it need not,
		// and nothing asks for a second instance otherwise.
		MaxSize: pulumi.Int(2),
		InstanceMaintenancePolicy: &autoscaling.GroupInstanceMaintenancePolicyArgs{
			MinHealthyPercentage: pulumi.Int(100), MaxHealthyPercentage: pulumi.Int(200),
		},
		VpcZoneIdentifiers: pulumi.StringArray{z.args.PublicSubnetID},
		// The launch hook says when an instance serves, so that nothing needs to be waited for after it.
		DefaultInstanceWarmup: pulumi.Int(0), HealthCheckGracePeriod: pulumi.Int(0), HealthCheckType: pulumi.String("EC2"),
		MixedInstancesPolicy:   mixed(args, template),
		InitialLifecycleHooks:  z.initialHooks(args),
		CapacityRebalance:      pulumi.Bool(args.Spot),
		MaxInstanceLifetime:    pulumi.Int(int(args.Lifetime.Seconds())),
		EnabledMetrics:         pulumi.ToStringArray(groupMetrics),
		MetricsGranularity:     pulumi.String("1Minute"),
		Tags:                   groupTags(z.owned("instance")),
		WaitForCapacityTimeout: pulumi.String((args.LaunchHeartbeat + 5*time.Minute).String()),
	}
	if args.AtOnce {
		group.InstanceRefresh = &autoscaling.GroupInstanceRefreshArgs{
			Strategy: pulumi.String("Rolling"),
			Preferences: &autoscaling.GroupInstanceRefreshPreferencesArgs{
				MinHealthyPercentage: pulumi.Int(100), MaxHealthyPercentage: pulumi.Int(200), InstanceWarmup: pulumi.String("0"),
			},
		}
	}
	// What the group needs while it terminates its instance outlives it, and the routes outlive them all.
	ready := slices.Concat(z.Routes, z.rules, args.Ready)
	return autoscaling.NewGroup(z.ctx, z.childName("group"), group, z.childOpts(
		pulumi.DependsOn(ready), pulumi.IgnoreChanges([]string{"initialLifecycleHooks"}), pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: (args.TerminateHeartbeat + 15*time.Minute).String()}))...)
}

// mixed takes the types in their order, or where Spot has most of them to give. It is used for a single type on demand, too:
// the provider does not notice when a group that once had a policy has none.
func mixed(args *LaunchArgs, template *ec2.LaunchTemplate) *autoscaling.GroupMixedInstancesPolicyArgs {
	var overrides autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArray
	for _, t := range args.Types {
		overrides = append(overrides, &autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs{InstanceType: pulumi.String(t)})
	}
	onDemand := 100
	if args.Spot {
		onDemand = 0
	}
	return &autoscaling.GroupMixedInstancesPolicyArgs{
		InstancesDistribution: &autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs{
			OnDemandAllocationStrategy: pulumi.String("prioritized"), OnDemandBaseCapacity: pulumi.Int(0),
			OnDemandPercentageAboveBaseCapacity: pulumi.Int(onDemand), SpotAllocationStrategy: pulumi.String("capacity-optimized-prioritized"),
		},
		LaunchTemplate: &autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs{
			LaunchTemplateSpecification: &autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs{
				LaunchTemplateId: template.ID(), Version: pulumi.Sprintf("%d", template.LatestVersion),
			},
			Overrides: overrides,
		},
	}
}

func groupTags(tags map[string]string) (list autoscaling.GroupTagArray) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, &autoscaling.GroupTagArgs{Key: pulumi.String(k), Value: pulumi.String(tags[k]), PropagateAtLaunch: pulumi.Bool(true)})
	}
	return list
}

// hook is a lifecycle hook of the group.
type hook struct {
	name, kind, transition, result string
	heartbeat                      time.Duration
}

func lifecycle(args *LaunchArgs) []hook {
	return []hook{
		{natzone.LaunchHook, "launch-hook", "autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON", args.LaunchHeartbeat},
		{natzone.TerminateHook, "terminate-hook", "autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE", args.TerminateHeartbeat},
	}
}

// initialHooks are there before the first instance is launched.
func (z *Zone) initialHooks(args *LaunchArgs) (list autoscaling.GroupInitialLifecycleHookArray) {
	for _, h := range lifecycle(args) {
		list = append(list, &autoscaling.GroupInitialLifecycleHookArgs{
			Name: pulumi.String(h.name), LifecycleTransition: pulumi.String(h.transition), DefaultResult: pulumi.String(h.result),
			HeartbeatTimeout: pulumi.Int(int(h.heartbeat.Seconds())), NotificationTargetArn: args.LifecycleTopicARN.ToStringOutput(), RoleArn: args.NoticeRoleARN.ToStringOutput(),
		})
	}
	return list
}

// hooks are the same once more: those that a group is created with cannot be changed, and putting one of the same name changes
// it. They go with the group, and no sooner: the instance that the group terminates with itself needs them.
func (z *Zone) hooks(args *LaunchArgs, group *autoscaling.Group) error {
	for _, h := range lifecycle(args) {
		_, err := autoscaling.NewLifecycleHook(z.ctx, z.childName(h.kind), &autoscaling.LifecycleHookArgs{
			Name: pulumi.String(h.name), AutoscalingGroupName: group.Name, LifecycleTransition: pulumi.String(h.transition), DefaultResult: pulumi.String(h.result),
			HeartbeatTimeout: pulumi.Int(int(h.heartbeat.Seconds())), NotificationTargetArn: args.LifecycleTopicARN.ToStringOutput(), RoleArn: args.NoticeRoleARN.ToStringOutput(),
		}, z.childOpts(pulumi.RetainOnDelete(true))...)
		if err != nil {
			return err
		}
	}
	return nil
}

// rotation has the instance replaced when the schedule says so. The group's own maintenance policy has the successor launched
// first; an instance that matches the template is replaced too, for its image may be old.
func (z *Zone) rotation(args *LaunchArgs, group *autoscaling.Group) error {
	z.RotationARN = pulumi.String("").ToStringOutput()
	if args.Rotation == nil {
		return nil
	}
	input, err := json.Marshal(map[string]any{
		"AutoScalingGroupName": z.args.Names.Group(),
		"Preferences":          map[string]any{"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 0, "SkipMatching": false},
	})
	if err != nil {
		return err
	}
	made, err := scheduler.NewSchedule(z.ctx, z.childName("rotation"), &scheduler.ScheduleArgs{
		Name:        pulumi.String(z.args.Names.Group()),
		Description: pulumi.String("replaces the NAT instance of " + z.args.Zone), ScheduleExpression: pulumi.String(args.Rotation.Expression),
		ScheduleExpressionTimezone: pulumi.String(args.Rotation.TimeZone),
		FlexibleTimeWindow:         &scheduler.ScheduleFlexibleTimeWindowArgs{Mode: pulumi.String("OFF")},
		Target: &scheduler.ScheduleTargetArgs{
			Arn: pulumi.String(args.Rotation.Target), RoleArn: args.Rotation.RoleARN.ToStringOutput(), Input: pulumi.String(string(input)),
			// A rotation that could not start within minutes would start outside its turn.
			RetryPolicy: &scheduler.ScheduleTargetRetryPolicyArgs{MaximumEventAgeInSeconds: pulumi.Int(300), MaximumRetryAttempts: pulumi.Int(3)},
		},
	}, z.childOpts(pulumi.DependsOn([]pulumi.Resource{group}))...)
	if err == nil {
		z.RotationARN = made.Arn
	}
	return err
}
