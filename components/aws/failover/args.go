package failover

import (
	"net/netip"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/names"
	"polynat/internal/artefact"
	"polynat/internal/natzone"
)

// Args are given by components/aws/nat, which has checked them.
type Args struct {
	// Name of the component: the value of natzone.TagName.
	Name string
	// Names in the cloud: everything that has a name in package names gets that and no other, for the policies of package
	// access name it. ARNs follow from Account.ARN.
	Names   names.Component
	Account access.Account
	VPCID   pulumi.StringInput
	// CIDRs of the VPC, from where the interface endpoints may be used.
	CIDRs []string
	// Zones by availability zone.
	Zones     map[string]Zone
	Targets   []natzone.Target
	Identity  []string
	Detection natzone.Detection
	Healing   natzone.Healing
	// Hold of a zone before a changed template takes the next; 0 where something else replaces the instances.
	Hold natzone.Duration
	// Code of both functions, for the architecture arm64 or x86_64.
	Code         *artefact.Artefact
	Architecture string
	// Unreserved leaves the functions without reserved concurrency.
	Unreserved bool
	// AlertTopicARN of a topic that exists; empty: one is made, with Subscribers: e-mail addresses and https URLs.
	AlertTopicARN    string
	Subscribers      []string
	LogRetentionDays int
	// LogKMSKeyARN encrypts the log groups; empty: CloudWatch's own key does.
	LogKMSKeyARN string
	// Endpoints are services that get an interface endpoint in the private subnets.
	Endpoints []string
	Tags      map[string]string
	Provider  *aws.Provider
}

// Zone is one availability zone. Outputs among the inputs come from what package zone makes before.
type Zone struct {
	Names names.Zone
	// Subnets are the zone's private subnets, for the prober.
	Subnets pulumi.StringArrayInput
	// RouteTables of the zone, in the order of their keys.
	RouteTables  pulumi.StringArrayInput
	Destinations []netip.Prefix
	// Standby is the id of the NAT gateway, "" for none.
	Standby pulumi.StringInput
	// Egress are the addresses that the zone's traffic may leave from: the instance's and the standby's.
	Egress pulumi.StringArrayInput
	// Address of the health endpoint: http://<Address>:<natzone.HealthPort>/health.
	Address netip.Addr
	// ProberRole and ControllerRole are ARNs; Ready are their policies, without which the functions are of no use.
	ProberRole, ControllerRole pulumi.StringInput
	Ready                      []pulumi.Resource
}
