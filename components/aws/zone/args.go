package zone

import (
	"net/netip"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
)

// Args are given by components/aws/nat, which has checked them.
type Args struct {
	// Zone is the availability zone, Name the value of natzone.TagName.
	Zone, Name string
	Names      names.Zone
	VPCID      pulumi.StringInput
	// PublicSubnetID of the instance and the standby gateway; Address is the zone's, in it.
	PublicSubnetID pulumi.StringInput
	Address        netip.Addr
	// Given is the zone's Elastic IP; nil: one is made.
	Given *GivenAddress
	// Standby is the gateway of the zone; nil: none.
	Standby *Standby
	// Tables are the ids of the private route tables, by key.
	Tables map[string]pulumi.StringInput
	// Destinations that lead to the instance, in order.
	Destinations []netip.Prefix
	// Adopt are the routes that exist already, by table key and destination: the ids to import them by.
	Adopt map[Route]string
	// Ingress of the instances.
	IngressCIDRs  []string
	IngressGroups map[string]pulumi.StringInput
	// Keep are the options of Elastic IPs: whether they are protected or retained.
	Keep     []pulumi.ResourceOption
	Tags     map[string]string
	Provider *aws.Provider
}

// Route of a zone.
type Route struct {
	// Table is the key of its table.
	Table       string
	Destination netip.Prefix
}

// GivenAddress is an Elastic IP that exists.
type GivenAddress struct{ AllocationID, PublicIP string }

// Standby is made in the zone, or given.
type Standby struct {
	// Gateway returns one that exists, or that zones share, and which is made after the given resources; nil: one is made.
	Gateway func(after []pulumi.Resource) (*Gateway, error)
	// Given is the Elastic IP of the gateway that is made; nil: one is made too.
	Given *GivenAddress
}

// Tracking says when a security group forgets what is idle, in seconds: a TCP connection after 60 to 432000, a UDP flow of one question
// and its answer after 30 to 60, and of more after 60 to 180.
type Tracking struct{ TCPEstablished, UDP, UDPStream int }

// LaunchArgs describe the group.
type LaunchArgs struct {
	// UserData of the launch template, not encoded.
	UserData pulumi.StringInput
	// Profile of the instance, by name.
	Profile pulumi.StringInput
	// ImageID, or "resolve:ssm:" and a parameter.
	ImageID string
	// Types in order of preference, at least one.
	Types []string
	Spot  bool
	// Tracking of the security group; nil leaves it to the type, for those that cannot set it.
	Tracking           *Tracking
	VolumeGiB          int
	KMSKeyARN, KeyName string
	DetailedMonitoring bool
	IPv6               bool
	// SecurityGroups beside the zone's own.
	SecurityGroups []pulumi.StringInput
	// ProberSecurityGroup is let in; nil where Ingress admits its subnets anyway.
	ProberSecurityGroup pulumi.StringInput
	// Lifetime of an instance; 0 for no end.
	Lifetime time.Duration
	// AtOnce has the update of a changed template start the replacement. Otherwise the zones' controllers do, or Rotation.
	AtOnce bool
	// Rotation schedules replacements instead of Lifetime and of those that a changed template starts; nil for none.
	Rotation                            *Rotation
	LaunchHeartbeat, TerminateHeartbeat time.Duration
	// LifecycleTopicARN gets the notices of the hooks, published with NoticeRoleARN.
	LifecycleTopicARN, NoticeRoleARN pulumi.StringInput
	// Ready has to exist before the group, and as long as it does.
	Ready []pulumi.Resource
}

// Rotation is a schedule of replacements.
type Rotation struct {
	// Expression as EventBridge Scheduler has it, and its time zone.
	Expression, TimeZone string
	// Target is the ARN of the API call, RoleARN the role that may make it.
	Target  string
	RoleARN pulumi.StringInput
}
