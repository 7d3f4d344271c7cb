package nat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:NAT"

// NAT is what the private subnets of a VPC reach the Internet through. Its maps are by availability zone.
type NAT struct {
	pulumi.ResourceState

	// EgressAddresses are all public addresses that traffic may leave from, of instances and standby gateways, for allow lists.
	EgressAddresses pulumi.StringArrayOutput `pulumi:"egressAddresses"`
	// Name in the cloud: the tag polynat:nat, and the dimension Name of every metric.
	Name pulumi.StringOutput `pulumi:"name"`
	// InstanceAddresses are the public addresses of the instances, StandbyAddresses those of the gateways (no entry without one).
	InstanceAddresses pulumi.StringMapOutput `pulumi:"instanceAddresses"`
	StandbyAddresses  pulumi.StringMapOutput `pulumi:"standbyAddresses"`
	// AllocationIDs are those of the Elastic IPs of the instances, PrivateAddresses what these are bound to.
	AllocationIDs    pulumi.StringMapOutput `pulumi:"allocationIds"`
	PrivateAddresses pulumi.StringMapOutput `pulumi:"privateAddresses"`
	// StandbyGatewayIDs are those of the gateways; no entry without one.
	StandbyGatewayIDs pulumi.StringMapOutput `pulumi:"standbyGatewayIds"`
	// StandbyAllocationIDs are those of the Elastic IPs of gateways that are made; ReservationIDs are of the private addresses.
	StandbyAllocationIDs pulumi.StringMapOutput `pulumi:"standbyAllocationIds"`
	ReservationIDs       pulumi.StringMapOutput `pulumi:"reservationIds"`
	// HolderInterfaceIDs are those that the routes begin with; no entry with a standby gateway.
	HolderInterfaceIDs pulumi.StringMapOutput `pulumi:"holderInterfaceIds"`
	// RotationScheduleARNs are of the schedules of maintenance windows; no entry without one.
	RotationScheduleARNs pulumi.StringMapOutput `pulumi:"rotationScheduleArns"`
	// GroupNames, GroupARNs, LaunchTemplateIDs and SecurityGroupIDs are of the instances.
	GroupNames        pulumi.StringMapOutput `pulumi:"groupNames"`
	GroupARNs         pulumi.StringMapOutput `pulumi:"groupArns"`
	LaunchTemplateIDs pulumi.StringMapOutput `pulumi:"launchTemplateIds"`
	SecurityGroupIDs  pulumi.StringMapOutput `pulumi:"securityGroupIds"`
	// InstanceRoleARNs, ProberRoleARNs and ControllerRoleARNs are of the IAM roles.
	InstanceRoleARNs   pulumi.StringMapOutput `pulumi:"instanceRoleArns"`
	ProberRoleARNs     pulumi.StringMapOutput `pulumi:"proberRoleArns"`
	ControllerRoleARNs pulumi.StringMapOutput `pulumi:"controllerRoleArns"`
	// InstanceProfiles are the names of the profiles with the instance's role.
	InstanceProfiles pulumi.StringMapOutput `pulumi:"instanceProfiles"`
	// NoticeRoleARN is of the role that publishes lifecycle notices, RotationRoleARN of that which rotates in windows, empty without.
	NoticeRoleARN   pulumi.StringOutput `pulumi:"noticeRoleArn"`
	RotationRoleARN pulumi.StringOutput `pulumi:"rotationRoleArn"`
	// RuleARNs are of the EventBridge rules: schedule and events.
	RuleARNs pulumi.StringMapMapOutput `pulumi:"ruleArns"`
	// ProberARNs and ControllerARNs are of the functions, LogGroups the names of their log groups by function.
	ProberARNs     pulumi.StringMapOutput    `pulumi:"proberArns"`
	ControllerARNs pulumi.StringMapOutput    `pulumi:"controllerArns"`
	LogGroups      pulumi.StringMapMapOutput `pulumi:"logGroups"`
	// StateParameters are the names of the SSM parameters in which the controllers keep what they know.
	StateParameters pulumi.StringMapOutput `pulumi:"stateParameters"`
	// ProberSecurityGroupID is of the probers of all zones.
	ProberSecurityGroupID pulumi.StringOutput `pulumi:"proberSecurityGroupId"`
	// AlertTopicARN is of the SNS topic for people, LifecycleTopicARN of that for lifecycle notices.
	AlertTopicARN     pulumi.StringOutput `pulumi:"alertTopicArn"`
	LifecycleTopicARN pulumi.StringOutput `pulumi:"lifecycleTopicArn"`
	// DeadLettersURL and DeadLettersARN are of the SQS queue of events that nobody could take.
	DeadLettersURL pulumi.StringOutput `pulumi:"deadLettersUrl"`
	DeadLettersARN pulumi.StringOutput `pulumi:"deadLettersArn"`
	// Endpoints are the ids of the interface endpoints, by service; EndpointSecurityGroupID is of theirs, empty without any.
	Endpoints               pulumi.StringMapOutput `pulumi:"endpoints"`
	EndpointSecurityGroupID pulumi.StringOutput    `pulumi:"endpointSecurityGroupId"`
	// AlarmARNs are of the alarms, by zone and what they watch; DashboardName is of the dashboard, empty without one.
	AlarmARNs     pulumi.StringMapOutput `pulumi:"alarmArns"`
	DashboardName pulumi.StringOutput    `pulumi:"dashboardName"`
	// Bucket holds the agent.
	Bucket pulumi.StringOutput `pulumi:"bucket"`

	// Network is what was given or looked up of the network, for what wants to know it without a lookup.
	Network Network
}

// Network is a network as it was found.
type Network struct {
	// CIDRs of the VPC, and IPv6CIDR; empty if nothing asked for it.
	CIDRs    []string
	IPv6CIDR string
	// PublicCIDRs are those of the public subnets, by zone.
	PublicCIDRs map[string]string
}

// New makes it, or returns the problems of the Args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*NAT, error) {
	if err := args.Validate(); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with aws.NewProvider and a region)")
	}
	found, err := args.resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, found: found, names: names.Component{Prefix: physicalName(ctx, name, args)}}
	if err := b.programs(); err != nil {
		return nil, err
	}
	b.component = &NAT{Network: Network{CIDRs: found.cidrs, IPv6CIDR: found.ipv6CIDR, PublicCIDRs: found.publicCIDRs}}
	if err := ctx.RegisterComponentResource(TypeToken, name, b.component, opts...); err != nil {
		return nil, err
	}
	if err := b.quota(); err != nil {
		return nil, err
	}
	for _, step := range []func() error{b.zones, b.bucket, b.access, b.failover, b.launch, b.observability} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.component, ctx.RegisterResourceOutputs(b.component, b.outputs())
}

// physicalName is the prefix of the names in the cloud.
func physicalName(ctx *pulumi.Context, name string, args *Args) string {
	if args.PhysicalName != "" {
		return args.PhysicalName
	}
	return names.Prefix(ctx.Project(), ctx.Stack(), name)
}

// defaultQuota is how many Elastic IPs an account may have in a region unless AWS was asked for more.
const defaultQuota = 5

func (b *builder) quota() error {
	warning := quotaWarning(b.args.ownAddresses())
	if warning == "" {
		return nil
	}
	return b.ctx.Log.Warn(warning, &pulumi.LogArgs{Resource: b.component})
}

// quotaWarning says what to ask AWS for, where that many Elastic IPs need it.
func quotaWarning(own int) string {
	if own <= defaultQuota {
		return ""
	}
	return fmt.Sprintf("%d Elastic IPs are made, and the default quota of an account and region is %d: "+
		"ask for at least %d, beside what else uses Elastic IPs there (Service Quotas, ec2, L-0263D0A3)", own, defaultQuota, own)
}

// goArch is the Go name of an architecture.
func goArch(architecture string) string { return strings.Replace(architecture, X8664, "amd64", 1) }
