package nat

import (
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/natzone"
)

// Args describe the NAT instances of one VPC. What is a plain value decides which resources exist.
type Args struct {
	// VPC whose private subnets are to reach the Internet. Required.
	VPC VPC
	// Zones by availability zone, such as "eu-west-1a". Required.
	Zones map[string]Zone
	// Instance is what NAT runs on.
	Instance Instance
	// Rotation says when instances are replaced by fresh ones.
	Rotation Rotation
	// Standby is PerZone (the default), Shared, Existing or None.
	Standby StandbyMode
	// SharedStandby describes the gateway of Standby Shared.
	SharedStandby SharedStandby
	// OnDelete says what becomes of own Elastic IPs of instances and standby gateways that are no longer wanted: Release (the
	// default), Retain or Protect.
	OnDelete OnDelete
	// Destinations beside 0.0.0.0/0 that lead to the instance, canonical CIDRs: where more specific routes would otherwise win.
	Destinations []string
	// AdoptRoutes takes over the routes to Destinations and 0.0.0.0/0 that the tables have already: they go on leading where they
	// lead, which has to be the zone's standby, such as a NAT gateway of Standby Existing, until an instance is proven and claims
	// them. Without it tables that have such routes are refused. Whoever declared them must forget them first, without deleting them.
	AdoptRoutes bool
	// NAT64 leads 64:ff9b::/96 to the instance too, and translates it. The private subnets need IPv6 with DNS64, the public one IPv6.
	NAT64 bool
	// Ingress is who may send through the instances. Default: the CIDRs of the VPC.
	Ingress *Ingress
	// Failover says how a failed instance is found, and what is done then.
	Failover Failover
	// Observability says what is watched, and who is told.
	Observability Observability
	// Artefacts are the programs, where they are not built from source.
	Artefacts Artefacts
	// PhysicalName begins the names in the cloud, and is the value of the tag polynat:nat and of the dimension Name of every
	// metric: lower-case letters, digits and hyphens, at most 28. It stays while instances are deployed. Default: project, stack and
	// component name, cut to that.
	PhysicalName string
	// Tags for everything that takes them.
	Tags map[string]string
	// Provider of the region. Required.
	Provider *aws.Provider
}

// VPC is an existing network.
type VPC struct {
	// ID of the VPC. Required.
	ID pulumi.StringInput
	// CIDRs of the VPC, canonical. Default: looked up, if ID is known before the update.
	CIDRs []string
	// IPv6CIDR of the VPC, for NAT64. Default: looked up with CIDRs.
	IPv6CIDR string
}

// Zone is one availability zone.
type Zone struct {
	// Public is the subnet of the instance and of the standby gateway, with a default route to an Internet gateway. Required.
	Public Subnet
	// Tables are the private route tables by a key of your own, which is part of the names of their routes. Required.
	Tables map[string]Table
	// AllocationID of the Elastic IP that clients are seen with. Default: one is made. One zone's is given, or all zones'.
	AllocationID string
	// Address is the secondary private address that the Elastic IP is bound to, in the public subnet. Default: the highest that
	// AWS lets be assigned. It is reserved, so that nothing else gets it.
	Address string
	// Standby is the zone's own part of [Args.Standby].
	Standby Standby
	// Slot orders the rotations of the zones: no two may have the same, 0 to 25. Default: the letter of the zone, a is 0.
	Slot *int
}

// Subnet is a public subnet.
type Subnet struct {
	// ID of the subnet. Required.
	ID pulumi.StringInput
	// CIDR of the subnet, canonical. Default: looked up, if ID is known before the update.
	CIDR string
}

// Table is a private route table.
type Table struct {
	// ID of the route table. Required.
	ID pulumi.StringInput
	// Subnets that use it, by id. Required: the prober stands in them.
	Subnets []pulumi.StringInput
}

// Instance is what NAT runs on.
type Instance struct {
	// Types in order of preference. With more than one, the next is taken where the zone is out of the one before. Default:
	// t4g.small (128 Mbit/s sustained, 5 Gbit/s for a while).
	Types []string
	// Architecture is arm64 or x86_64. Default: that of Types.
	Architecture string
	// Market is OnDemand (the default) or Spot.
	Market Market
	// ImageID of a pinned Amazon Linux 2023. Default: at each launch the newest of ImageParameter.
	ImageID string
	// ImageParameter is a public SSM parameter that holds the image. Default: the standard Amazon Linux 2023 with its default kernel.
	ImageParameter string
	// VolumeGiB of the encrypted root volume. Default 8.
	VolumeGiB int
	// KMSKeyARN that encrypts it, with a policy that lets the service-linked role of EC2 Auto Scaling use it. Default: the account's
	// own for EBS.
	KMSKeyARN string
	// KeyName of an EC2 key pair, for SSH. Default: none; SSM is the way in.
	KeyName string
	// NoSSM leaves out access by the SSM Session Manager.
	NoSSM bool
	// DetailedMonitoring has EC2 publish its metrics each minute instead of every five.
	DetailedMonitoring bool
	// CloudWatchAgent installs the agent of that name, in the background: for the metrics of memory and disk. NAT does not wait for it.
	CloudWatchAgent bool
	// Before and After are shell commands of the user data, run before the agent is fetched and after it runs. What they
	// return is logged and changes nothing.
	Before, After string
	// Policies are ARNs of further IAM policies of the instance's role.
	Policies []string
	// SecurityGroups beside its own, by id.
	SecurityGroups []pulumi.StringInput
	// Tuning of connection tracking. Default: natzone.DefaultTuning.
	Tuning *Tuning
	// LaunchHeartbeat is how long a launch may take until the instance is given up, 2 min to 2 h. Default 10 min.
	LaunchHeartbeat time.Duration
	// TerminateHeartbeat is how long a hand-over may take, 30 s to 2 h. Default 5 min.
	TerminateHeartbeat time.Duration
}

// Rotation says when instances are replaced. A change of the launch template replaces them too: one zone after the other, or with
// Window in the next window.
type Rotation struct {
	// Lifetime after which an instance is replaced, at least one day; every slot is a little shorter, so that no two zones rotate
	// together. Default 14 days.
	Lifetime time.Duration
	// Off never replaces an instance for its age. Images with fixed vulnerabilities arrive with changes only.
	Off bool
	// Window in which alone instances are replaced, by age or by a changed template, in the order of the slots. Lifetime is
	// then not used: an instance is replaced whenever the window opens. Default: none.
	Window *Window
	// AtOnce has a changed template replace the instances of all zones at the same time. Default: one zone after the other, the next
	// when the others have held for 5 minutes.
	AtOnce bool
}

// Window recurs.
type Window struct {
	// Days of the week on which it opens. Required.
	Days []time.Weekday
	// Week of the month, 1 to 4; 0 for every week. One day only goes with it.
	Week int
	// Start as "15:04", and TimeZone of the IANA database, default UTC.
	Start, TimeZone string
	// Duration in which all zones have their turn, at least 15 minutes for each slot. Required, at most 24 h.
	Duration time.Duration
}

// StandbyMode says where the traffic of a zone goes while its instance does not work.
type StandbyMode string

// Modes.
const (
	// PerZone makes a NAT gateway in every zone.
	PerZone StandbyMode = "perZone"
	// Shared makes one, for all zones: cheaper, and traffic crosses zones while it is used.
	Shared StandbyMode = "shared"
	// Existing uses the gateways named by the zones.
	Existing StandbyMode = "existing"
	// None has none: a zone without instance has no way out until the next one runs.
	None StandbyMode = "none"
)

// SharedStandby is the one gateway of mode Shared.
type SharedStandby struct {
	// Zone in whose public subnet it stands. Required.
	Zone string
	// AllocationID of its Elastic IP. Default: one is made.
	AllocationID string
}

// Standby is what a zone says of its gateway.
type Standby struct {
	// GatewayID of the gateway. Required in mode Existing, and only there.
	GatewayID string
	// AllocationID of the Elastic IP of a gateway that is made in mode PerZone. Default: one is made.
	AllocationID string
}

// OnDelete says what becomes of an Elastic IP that is no longer wanted.
type OnDelete string

// What becomes of an Elastic IP.
const (
	Release OnDelete = "release"
	// Retain leaves it in the account, no longer managed.
	Retain OnDelete = "retain"
	// Protect refuses every update that would delete it.
	Protect OnDelete = "protect"
)

// Market is where the instances are bought.
type Market string

// Markets.
const (
	OnDemand Market = "onDemand"
	// Spot is cheaper, and AWS takes the instance back with two minutes' notice: the zone is on its standby until the next one
	// runs, which EC2 Auto Scaling launches as soon as it expects it. While Spot has none of the types, the zone stays there.
	Spot Market = "spot"
)

// Ingress is who may send through the instances.
type Ingress struct {
	// CIDRs, canonical, IPv4 or IPv6. What comes from them is translated even from outside the VPC, such as from a peered network.
	CIDRs []string
	// SecurityGroups of clients in the VPC, by a key of your own, which is part of the names of their rules.
	SecurityGroups map[string]pulumi.StringInput
}

// Failover says how a failed instance is found, and what is done then.
type Failover struct {
	// Targets that the prober, the controller and the agent connect to: at least three, http or https. Default: see DefaultTargets.
	Targets []string
	// Identity are URLs that answer with the caller's address. Default: see DefaultIdentity.
	Identity []string
	// Economy probes for 24 s of every minute only: half the price, and up to 37 s until a silent death is found.
	Economy bool
	// Detection in place of the two presets.
	Detection *Detection
	// Healing says when a sick instance is replaced. Default: natzone.DefaultHealing.
	Healing *Healing
	// Restore says when an instance may claim back what a failover took. Default: natzone.DefaultRestore.
	Restore *Restore
	// Architecture of the functions, arm64 or x86_64. Default arm64.
	Architecture string
	// Unreserved leaves the functions without reserved concurrency, for accounts that have none to reserve: other functions of the
	// account may then take what the zone's need.
	Unreserved bool
	// Endpoints are the AWS services, such as "autoscaling", "ec2" and "sns", that get an interface endpoint in the private
	// subnets, for accounts whose policy wants them. Default: none; nothing needs one.
	Endpoints []string
}

// Observability says what is watched, and who is told.
type Observability struct {
	// AlertTopicARN of an SNS topic for alerts and alarms. Default: one is made.
	AlertTopicARN string
	// Subscribers of the topic that is made: e-mail addresses, which have to confirm, and https URLs.
	Subscribers []string
	// LogRetentionDays of the log groups, one of those that CloudWatch knows. Default 30.
	LogRetentionDays int
	// LogKMSKeyARN of a key that encrypts the log groups; its policy has to let CloudWatch Logs use it. Default: CloudWatch's own.
	LogKMSKeyARN string
	// NoAlarms leaves the alarms out, NoDashboard the dashboard.
	NoAlarms, NoDashboard bool
	// MetricInterval of the agent, at least 10 s. Default 1 min.
	MetricInterval time.Duration
}

// Artefacts are the programs that are deployed. Without a path they are built from source by the Go toolchain.
type Artefacts struct {
	// Natd is the path of the agent's binary, for the architecture of the instances.
	Natd string
	// Failover is the path of the functions' binary, or of a zip with it as bootstrap, for the architecture of the functions.
	Failover string
	// Bucket that is to hold the agent. Default: one is made.
	Bucket string
}

// What the running programs know too. The aliases are for callers outside this module.
type (
	// Duration is a time.Duration.
	Duration = natzone.Duration
	// Tuning of connection tracking.
	Tuning = natzone.Tuning
	// Detection says what counts as a failure of the path.
	Detection = natzone.Detection
	// Healing says when a sick instance is replaced.
	Healing = natzone.Healing
	// Restore says when an instance may claim its routes back.
	Restore = natzone.Restore
)
