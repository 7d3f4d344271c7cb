package observability

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/names"
	"polynat/internal/natzone"
)

// Args are given by components/aws/nat, which has checked them.
type Args struct {
	// Name of the component: the dimension natzone.DimensionName.
	Name    string
	Names   names.Component
	Account access.Account
	// Zones by availability zone: the dimension natzone.DimensionZone.
	Zones map[string]Zone
	// AlertTopicARN is where alarms go.
	AlertTopicARN pulumi.StringInput
	Detection     natzone.Detection
	// After are resources that the alarms wait for: what publishes the metrics.
	After []pulumi.Resource
	// Alarms and Dashboard: which of the two to make.
	Alarms, Dashboard bool
	Tags              map[string]string
	Provider          *aws.Provider
}

// Zone is one availability zone: its group and functions by Names.
type Zone struct {
	Names names.Zone
	// Standby is the id of the NAT gateway, "" for none: for what the dashboard shows of it.
	Standby pulumi.StringInput
	// HasStandby is known before the update.
	HasStandby bool
}
