package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// Options set the scene. The zero value is the default.
type Options struct {
	// Region, default "us-east-1", which has six availability zones; it decides the partition (aws, aws-cn, aws-us-gov).
	Region string
	// Zones are the names of the availability zones; nil means the region's name with the letters a to f.
	Zones []string
	// Account is the id of the account, default "123456789012".
	Account string
	// Clock is real time, for the packet lab: [Cloud.Run] then does what is due. nil means simulated time, which starts at a
	// fixed moment and is moved by [Cloud.Advance] and by provider operations that wait.
	Clock func() time.Time
	// Agent says who acts on the instances and in the controllers' place. The default is [AgentSimulated].
	Agent   AgentMode
	Unknown UnknownBehaviours
	// Lag is how much later a describe shows what a call has changed. Default 0.
	Lag time.Duration
	// MetadataLag is how much later instance metadata shows a moved address. Default 500 ms; negative means none.
	MetadataLag time.Duration
	// BootTime is how long an instance is pending, default 5 s. AgentTime is how much later its agent is ready to claim,
	// default 10 s.
	BootTime, AgentTime time.Duration
	// GatewayTime is how long a NAT gateway is pending, default 90 s, and deleting.
	GatewayTime time.Duration
	// AddressQuota is the number of Elastic IPs of the account, default 5, AWS's own default; negative means no limit, to NAT
	// gateways in a zone neither.
	AddressQuota int
	// ConcurrencyQuota is how many functions of the account may run at once, default 1,000; new accounts have 10 or 50.
	ConcurrencyQuota int
	// NoThrottling turns the token buckets of the API off.
	NoThrottling bool
	// Copies says how often an event is delivered: AWS promises best effort only. nil means once.
	Copies func(Event) int
}

// AgentMode says who acts on the instances.
type AgentMode string

// Modes.
const (
	AgentSimulated AgentMode = "simulated"
	AgentExternal  AgentMode = "external"
	// AgentNone lets instances boot on which nothing runs.
	AgentNone AgentMode = "none"
)

// UnknownBehaviours are the questions that AWS's documents leave open. The zero value is what is thought to be true.
type UnknownBehaviours struct {
	// HealthIgnoresPolicy: an instance that SetInstanceHealth marked unhealthy is terminated at once, although the
	// maintenance policy says to launch first.
	HealthIgnoresPolicy bool
	// PolicyKeepsMaxSize: the maintenance policy does not exceed MaxSize, so that a group of one terminates first.
	PolicyKeepsMaxSize bool
	// PublicAddressReleased: an Elastic IP on a secondary private address takes the auto-assigned public address of the
	// primary one away.
	PublicAddressReleased bool
	// SameRouteAccepted: CreateRoute of a route that exists with the same target succeeds.
	SameRouteAccepted bool
	// SameReplaceRefused: ReplaceRoute to the target that the route already has fails.
	SameReplaceRefused bool
	// UnattachedActive: a route to a network interface that is attached to nothing is shown as active, not as a black hole.
	UnattachedActive bool
}

// Error is an API's answer that refuses a call. Nothing has changed.
type Error struct {
	Code, Message string
	// Status of HTTP.
	Status int
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// refuse returns an [Error] with the status of a client's mistake.
func refuse(code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// Filter selects what a describe shows: any of the values, which may hold * and ?.
type Filter struct {
	Name   string
	Values []string
}

// Tags of a resource.
type Tags map[string]string

// RouteTable is one route table.
type RouteTable struct {
	RouteTableID, VpcID, OwnerID string
	Routes                       []Route
	Associations                 []RouteTableAssociation
	Tags                         Tags
}

// RouteTableAssociation binds a subnet to a table, or makes the table the main one of its VPC.
type RouteTableAssociation struct {
	AssociationID, RouteTableID string
	SubnetID                    string `json:",omitempty"`
	GatewayID                   string `json:",omitempty"`
	Main                        bool   `json:",omitempty"`
}

// States of a route.
const (
	RouteActive    = "active"
	RouteBlackhole = "blackhole"
)

// Route is one route. One of the destinations and one of the targets is set; a route to an interface shows the instance
// that it is attached to as well.
type Route struct {
	DestinationCidrBlock        string `json:",omitempty"`
	DestinationIpv6CidrBlock    string `json:",omitempty"`
	GatewayID                   string `json:",omitempty"` // "local", igw-, or vpce- of a gateway endpoint
	NatGatewayID                string `json:",omitempty"`
	NetworkInterfaceID          string `json:",omitempty"`
	InstanceID                  string `json:",omitempty"`
	InstanceOwnerID             string `json:",omitempty"`
	EgressOnlyInternetGatewayID string `json:",omitempty"`
	VpcPeeringConnectionID      string `json:",omitempty"`
	TransitGatewayID            string `json:",omitempty"`
	Origin                      string // CreateRouteTable or CreateRoute
	State                       string
}

// Destination is the destination that is set.
func (r Route) Destination() string {
	if r.DestinationCidrBlock != "" {
		return r.DestinationCidrBlock
	}
	return r.DestinationIpv6CidrBlock
}

// DescribeRouteTablesInput selects tables; filters: association.route-table-association-id, association.subnet-id,
// association.main, route.*, route-table-id, owner-id, vpc-id, tag:*, tag-key. There is none for a route's interface.
type DescribeRouteTablesInput struct {
	RouteTableIDs []string
	Filters       []Filter
}

// RouteInput is what CreateRoute and ReplaceRoute take: one destination, one target.
type RouteInput struct {
	RouteTableID                string
	DestinationCidrBlock        string
	DestinationIpv6CidrBlock    string
	GatewayID                   string
	NatGatewayID                string
	NetworkInterfaceID          string
	InstanceID                  string
	EgressOnlyInternetGatewayID string
	VpcPeeringConnectionID      string
	TransitGatewayID            string
	DryRun                      bool
}

// DeleteRouteInput names a route by its exact destination.
type DeleteRouteInput struct {
	RouteTableID             string
	DestinationCidrBlock     string
	DestinationIpv6CidrBlock string
	DryRun                   bool
}

// PrivateAddress is one private IPv4 address of an interface.
type PrivateAddress struct {
	PrivateIPAddress string
	Primary          bool `json:",omitempty"`
	// PublicIP, AllocationID and AssociationID of the Elastic IP; an auto-assigned public address has no ids.
	PublicIP      string `json:",omitempty"`
	AllocationID  string `json:",omitempty"`
	AssociationID string `json:",omitempty"`
}

// NetworkInterface is an ENI.
type NetworkInterface struct {
	NetworkInterfaceID, SubnetID, VpcID, AvailabilityZone, OwnerID string
	Description                                                    string
	// InterfaceType is "interface", "nat_gateway", "lambda" or "vpc_endpoint".
	InterfaceType    string
	MacAddress       string
	RequesterManaged bool
	// Status is "available" or "in-use".
	Status              string
	SourceDestCheck     bool
	PrivateIPAddress    string
	PrivateIPAddresses  []PrivateAddress
	Ipv6Addresses       []string `json:",omitempty"`
	GroupIDs            []string
	InstanceID          string `json:",omitempty"`
	AttachmentID        string `json:",omitempty"`
	DeviceIndex         int
	DeleteOnTermination bool
	Tags                Tags
}

// DescribeNetworkInterfacesInput selects interfaces; filters: network-interface-id, attachment.instance-id, subnet-id,
// vpc-id, availability-zone, addresses.private-ip-address, private-ip-address, group-id, interface-type, status,
// association.allocation-id, description, tag:*, tag-key.
type DescribeNetworkInterfacesInput struct {
	NetworkInterfaceIDs []string
	Filters             []Filter
	MaxResults          int
}

// AssignPrivateIPAddressesInput asks for these addresses, or for a number of free ones.
type AssignPrivateIPAddressesInput struct {
	NetworkInterfaceID             string
	PrivateIPAddresses             []string
	SecondaryPrivateIPAddressCount int
	AllowReassignment              bool
}

// AssignPrivateIPAddressesOutput says what was assigned.
type AssignPrivateIPAddressesOutput struct {
	NetworkInterfaceID string
	PrivateIPAddresses []string
}

// UnassignPrivateIPAddressesInput gives secondary addresses back.
type UnassignPrivateIPAddressesInput struct {
	NetworkInterfaceID string
	PrivateIPAddresses []string
}

// Address is an Elastic IP.
type Address struct {
	AllocationID, PublicIP  string
	AssociationID           string `json:",omitempty"`
	NetworkInterfaceID      string `json:",omitempty"`
	NetworkInterfaceOwnerID string `json:",omitempty"`
	InstanceID              string `json:",omitempty"`
	PrivateIPAddress        string `json:",omitempty"`
	Domain                  string
	Tags                    Tags
}

// DescribeAddressesInput selects Elastic IPs; filters: allocation-id, public-ip, association-id, network-interface-id,
// instance-id, private-ip-address, tag:*, tag-key.
type DescribeAddressesInput struct {
	AllocationIDs []string
	PublicIPs     []string
	Filters       []Filter
}

// AssociateAddressInput binds an Elastic IP to an instance, or to an address of an interface.
type AssociateAddressInput struct {
	AllocationID, InstanceID, NetworkInterfaceID, PrivateIPAddress string
	// AllowReassociation nil is true: the address moves without a word.
	AllowReassociation *bool
	DryRun             bool
}

// DisassociateAddressInput names the association.
type DisassociateAddressInput struct {
	AssociationID string
	DryRun        bool
}

// ModifyNetworkInterfaceAttributeInput changes one attribute.
type ModifyNetworkInterfaceAttributeInput struct {
	NetworkInterfaceID string
	SourceDestCheck    *bool
	GroupIDs           []string
	DryRun             bool
}

// DescribeNetworkInterfaceAttributeInput asks for "sourceDestCheck", "description" or "groupSet".
type DescribeNetworkInterfaceAttributeInput struct {
	NetworkInterfaceID string
	Attribute          string
}

// NetworkInterfaceAttribute is the answer: what was asked for is set.
type NetworkInterfaceAttribute struct {
	NetworkInterfaceID string
	SourceDestCheck    *bool
	Description        *string
	GroupIDs           []string
}

// States of an instance.
const (
	StatePending      = "pending"
	StateRunning      = "running"
	StateShuttingDown = "shutting-down"
	StateTerminated   = "terminated"
	StateStopping     = "stopping"
	StateStopped      = "stopped"
)

// Instance is an EC2 instance.
type Instance struct {
	InstanceID, ImageID, InstanceType, Architecture string
	SubnetID, VpcID, AvailabilityZone               string
	State                                           string
	// Lifecycle is "spot", or empty.
	Lifecycle                         string `json:",omitempty"`
	PrivateIPAddress, PublicIPAddress string
	// NetworkInterfaceIDs in the order of their devices.
	NetworkInterfaceIDs   []string
	LaunchTime            time.Time
	LaunchTemplateID      string
	LaunchTemplateVersion int
	UserData              string // as declared: base64
	InstanceProfileARN    string
	HTTPTokens            string
	HopLimit              int
	MetadataTags          bool // whether instance metadata shows the tags
	Tags                  Tags
}

// DescribeInstancesInput selects instances; filters: instance-id, instance-state-name, subnet-id, vpc-id,
// availability-zone, network-interface.network-interface-id, private-ip-address, tag:*, tag-key.
type DescribeInstancesInput struct {
	InstanceIDs []string
	Filters     []Filter
	MaxResults  int
}

// InstanceStateChange is what TerminateInstances, StopInstances and StartInstances answer, for each instance.
type InstanceStateChange struct{ InstanceID, PreviousState, CurrentState string }

// States of a NAT gateway.
const (
	GatewayPending   = "pending"
	GatewayFailed    = "failed"
	GatewayAvailable = "available"
	GatewayDeleting  = "deleting"
	GatewayDeleted   = "deleted"
)

// NatGateway is a NAT gateway.
type NatGateway struct {
	NatGatewayID, SubnetID, VpcID string
	State                         string
	FailureCode, FailureMessage   string `json:",omitempty"`
	// ConnectivityType is "public" or "private".
	ConnectivityType   string
	AllocationID       string `json:",omitempty"`
	PublicIP           string `json:",omitempty"`
	PrivateIP          string
	NetworkInterfaceID string
	CreateTime         time.Time
	Tags               Tags
}

// DescribeNatGatewaysInput selects gateways; filters: nat-gateway-id, state, subnet-id, vpc-id, tag:*, tag-key.
type DescribeNatGatewaysInput struct {
	NatGatewayIDs []string
	Filters       []Filter
}

// AutoScalingGroup is a group as Auto Scaling describes it.
type AutoScalingGroup struct {
	AutoScalingGroupName, AutoScalingGroupARN string
	MinSize, MaxSize, DesiredCapacity         int
	// MinHealthyPercentage and MaxHealthyPercentage of the maintenance policy; -1 if there is none.
	MinHealthyPercentage, MaxHealthyPercentage int
	HealthCheckType                            string
	HealthCheckGracePeriod                     int // seconds
	DefaultInstanceWarmup                      int // seconds; -1 if not set
	MaxInstanceLifetime                        int // seconds; 0 for none
	CapacityRebalance                          bool
	VPCZoneIdentifier                          []string
	AvailabilityZones                          []string
	LaunchTemplateID, LaunchTemplateVersion    string
	// HasPolicy says that the template stands in a mixed instances policy, and Overrides are the types in it.
	HasPolicy          bool     `json:"-"`
	Overrides          []string `json:"-"`
	SuspendedProcesses []string
	Status             string `json:",omitempty"` // "Delete in progress", or empty
	CreatedTime        time.Time
	Instances          []GroupInstance
	Tags               Tags
}

// GroupInstance is an instance of a group.
type GroupInstance struct {
	InstanceID, InstanceType, AvailabilityZone, AutoScalingGroupName string
	LifecycleState                                                   string
	// HealthStatus is "Healthy" or "Unhealthy" (DescribeAutoScalingInstances spells it in capitals).
	HealthStatus          string
	LaunchTemplateID      string
	LaunchTemplateVersion string
	ProtectedFromScaleIn  bool
}

// DescribeAutoScalingGroupsInput selects groups; filters: tag:<key>, tag-key, tag-value.
type DescribeAutoScalingGroupsInput struct {
	AutoScalingGroupNames []string
	Filters               []Filter
}

// Results of a lifecycle action.
const (
	ResultContinue = "CONTINUE"
	ResultAbandon  = "ABANDON"
)

// CompleteLifecycleActionInput ends the wait of an instance, named by the token or by its id.
type CompleteLifecycleActionInput struct {
	AutoScalingGroupName, LifecycleHookName, LifecycleActionToken, InstanceID, LifecycleActionResult string
}

// RecordLifecycleActionHeartbeatInput restarts the hook's timeout.
type RecordLifecycleActionHeartbeatInput struct {
	AutoScalingGroupName, LifecycleHookName, LifecycleActionToken, InstanceID string
}

// SetInstanceHealthInput marks an instance "Healthy" or "Unhealthy".
type SetInstanceHealthInput struct {
	InstanceID, HealthStatus string
	// ShouldRespectGracePeriod nil is true.
	ShouldRespectGracePeriod *bool
}

// StartInstanceRefreshInput replaces the instances of a group.
type StartInstanceRefreshInput struct {
	AutoScalingGroupName string
	// MinHealthyPercentage and MaxHealthyPercentage; -1 for those of the group's policy.
	MinHealthyPercentage, MaxHealthyPercentage int
	SkipMatching                               bool
}

// Parameter of Systems Manager.
type Parameter struct {
	Name, Value, Type, ARN string
	Version                int
	LastModified           time.Time
	// Past are the values of the versions before, the oldest first.
	Past []string `json:",omitempty"`
}

// PutParameterInput writes a parameter.
type PutParameterInput struct {
	Name, Value, Type string
	Overwrite         bool
}

// PublishInput is a message to a topic.
type PublishInput struct{ TopicARN, Subject, Message string }

// Datum is one metric datum, as PutMetricData takes it.
type Datum struct {
	Namespace, MetricName, Unit string
	Dimensions                  map[string]string
	Value                       float64
	Time                        time.Time
}

// EventSource is the service that delivers an event.
type EventSource string

// Sources.
const (
	FromEventBridge EventSource = "events"
	FromSNS         EventSource = "sns"
)

// Event is something that AWS tells.
type Event struct {
	Source EventSource
	Time   time.Time
	// DetailType of EventBridge, or the notice's LifecycleTransition or Event; for messages.
	DetailType string
	// Payload is what a Lambda target gets: the event of EventBridge, or the record of SNS that wraps the message.
	Payload json.RawMessage
	// Targets are the ARNs that rules or subscriptions send it to.
	Targets []string
}

// Function is a Lambda function as declared.
type Function struct {
	Name, ARN, Role, Handler, Runtime, Architecture string
	State                                           string // Pending, Active, Inactive
	MemorySize, Timeout                             int
	// ReservedConcurrency is -1 for none.
	ReservedConcurrency int
	Environment         map[string]string
	SubnetIDs           []string
	SecurityGroupIDs    []string
	// OnSuccess and OnFailure are the destinations of asynchronous invocations; DeadLetter is the dead-letter target.
	OnSuccess, OnFailure, DeadLetter string
	MaximumRetryAttempts             int // default 2
	MaximumEventAge                  int // seconds, default 21600
	// Invokers are the principals that have a permission, and SourceARNs what they are limited to.
	Permissions []Permission
}

// Permission lets a service invoke a function.
type Permission struct{ Principal, SourceARN, Action string }

// Rule is an EventBridge rule as declared, or a schedule of EventBridge Scheduler.
type Rule struct {
	Name, ARN string
	// Pattern is the event pattern, Schedule the schedule expression; one is set.
	Pattern, Schedule string
	Enabled           bool
	Targets           []RuleTarget
}

// RuleTarget is a target of a rule.
type RuleTarget struct{ ID, ARN, Input string }

// Fault is what may be wrong with an instance that EC2 takes for healthy.
type Fault string

// Faults.
const (
	// FaultDead: the machine has stopped to work, agent and all.
	FaultDead Fault = "dead"
	// FaultForwarding: the machine works and does not forward; its agent knows.
	FaultForwarding Fault = "not forwarding"
)

// Hop is what a subnet's packets meet next.
type Hop string

// Hops.
const (
	HopInstance  Hop = "instance"
	HopGateway   Hop = "nat gateway"
	HopInternet  Hop = "internet gateway"
	HopNone      Hop = "none"
	HopBlackhole Hop = "blackhole"
	HopOther     Hop = "other"
)

// Way is where the packets of one private subnet to one class of destinations go. A private subnet is one that does not
// route to an internet gateway and is not tagged as public.
type Way struct {
	Subnet, Table, Zone string
	// Destination is the route's, or the default where no route matches.
	Destination netip.Prefix
	Hop         Hop
	// Target is the id of the instance or the gateway.
	Target string
	Works  bool
	// Egress is the public address that the packets leave from.
	Egress netip.Addr
	// Why it does not work.
	Why string
}
