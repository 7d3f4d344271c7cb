package api

import (
	"maps"
	"slices"
	"strings"

	"polynat/internal/sim/aws"
)

// memberList is a list, as all services but EC2 write it.
type memberList[T any] struct {
	Members []T `xml:"member"`
}

func membersOf[In, Out any](in []In, convert func(In) Out) memberList[Out] {
	return memberList[Out]{list(in, convert).Items}
}

func same[T any](v T) T { return v }

func autoScalingService(cloud *aws.Cloud) service {
	return query{
		service: "autoscaling", namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/", cloud: cloud,
		operations: map[string]operation{
			"DescribeAutoScalingGroups": ask((*aws.Cloud).DescribeAutoScalingGroups, func(gs []aws.AutoScalingGroup) any {
				return struct {
					Groups memberList[autoScalingGroup] `xml:"AutoScalingGroups"`
				}{membersOf(gs, newAutoScalingGroup)}
			}),
			"DescribeAutoScalingInstances": ask(func(c *aws.Cloud, in instanceIDs) ([]aws.GroupInstance, error) {
				return c.DescribeAutoScalingInstances(in.InstanceIDs...)
			}, func(is []aws.GroupInstance) any {
				return struct {
					Instances memberList[groupInstance] `xml:"AutoScalingInstances"`
				}{membersOf(is, func(i aws.GroupInstance) groupInstance {
					n := newGroupInstance(i)
					n.Group, n.Health = i.AutoScalingGroupName, strings.ToUpper(i.HealthStatus)
					return n
				})}
			}),
			"CompleteLifecycleAction":        do((*aws.Cloud).CompleteLifecycleAction, struct{}{}),
			"RecordLifecycleActionHeartbeat": do((*aws.Cloud).RecordLifecycleActionHeartbeat, struct{}{}),
			"SetInstanceHealth":              do((*aws.Cloud).SetInstanceHealth, nil),
			"StartInstanceRefresh":           startInstanceRefresh,
		},
	}
}

func startInstanceRefresh(c *aws.Cloud, p *parameters) (any, error) {
	var in struct {
		AutoScalingGroupName, Strategy string
		Preferences                    struct {
			MinHealthyPercentage, MaxHealthyPercentage *int
			SkipMatching                               bool
		}
	}
	if err := p.decode(&in); err != nil {
		return nil, err
	}
	percentage := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	id, err := c.StartInstanceRefresh(aws.StartInstanceRefreshInput{
		AutoScalingGroupName: in.AutoScalingGroupName,
		MinHealthyPercentage: percentage(in.Preferences.MinHealthyPercentage),
		MaxHealthyPercentage: percentage(in.Preferences.MaxHealthyPercentage),
		SkipMatching:         in.Preferences.SkipMatching,
	})
	return struct {
		ID string `xml:"InstanceRefreshId"`
	}{id}, err
}

type autoScalingGroup struct {
	Name              string                       `xml:"AutoScalingGroupName"`
	ARN               string                       `xml:"AutoScalingGroupARN"`
	MinSize           int                          `xml:"MinSize"`
	MaxSize           int                          `xml:"MaxSize"`
	DesiredCapacity   int                          `xml:"DesiredCapacity"`
	Maintenance       *maintenancePolicy           `xml:"InstanceMaintenancePolicy"`
	HealthCheckType   string                       `xml:"HealthCheckType"`
	GracePeriod       int                          `xml:"HealthCheckGracePeriod"`
	Warmup            *int                         `xml:"DefaultInstanceWarmup"`
	MaxLifetime       int                          `xml:"MaxInstanceLifetime,omitempty"`
	CapacityRebalance bool                         `xml:"CapacityRebalance"`
	Subnets           string                       `xml:"VPCZoneIdentifier"`
	Zones             memberList[string]           `xml:"AvailabilityZones"`
	LaunchTemplate    *launchTemplate              `xml:"LaunchTemplate"`
	Mixed             *mixedPolicy                 `xml:"MixedInstancesPolicy"`
	Suspended         memberList[suspendedProcess] `xml:"SuspendedProcesses"`
	Status            string                       `xml:"Status,omitempty"`
	CreatedTime       string                       `xml:"CreatedTime"`
	Instances         memberList[groupInstance]    `xml:"Instances"`
	Tags              memberList[groupTag]         `xml:"Tags"`
}

type maintenancePolicy struct {
	Min int `xml:"MinHealthyPercentage"`
	Max int `xml:"MaxHealthyPercentage"`
}

type launchTemplate struct {
	ID      string `xml:"LaunchTemplateId"`
	Version string `xml:"Version,omitempty"`
}

// mixedPolicy takes the template's place in a group that has one.
type mixedPolicy struct {
	Template  *launchTemplate          `xml:"LaunchTemplate>LaunchTemplateSpecification"`
	Overrides memberList[overrideType] `xml:"LaunchTemplate>Overrides"`
}

type overrideType struct {
	Type string `xml:"InstanceType"`
}

type suspendedProcess struct {
	Name string `xml:"ProcessName"`
}

type groupTag struct {
	Resource string `xml:"ResourceId"`
	Type     string `xml:"ResourceType"`
	Key      string `xml:"Key"`
	Value    string `xml:"Value"`
}

// groupInstance is an instance of a group, or what DescribeAutoScalingInstances says of it.
type groupInstance struct {
	ID             string          `xml:"InstanceId"`
	Group          string          `xml:"AutoScalingGroupName,omitempty"`
	Type           string          `xml:"InstanceType"`
	Zone           string          `xml:"AvailabilityZone"`
	LifecycleState string          `xml:"LifecycleState"`
	Health         string          `xml:"HealthStatus"`
	LaunchTemplate *launchTemplate `xml:"LaunchTemplate"`
	Protected      bool            `xml:"ProtectedFromScaleIn"`
}

func newLaunchTemplate(id, version string) *launchTemplate {
	if id == "" {
		return nil
	}
	return &launchTemplate{id, version}
}

func newGroupInstance(i aws.GroupInstance) groupInstance {
	return groupInstance{
		ID: i.InstanceID, Type: i.InstanceType, Zone: i.AvailabilityZone, LifecycleState: i.LifecycleState, Health: i.HealthStatus,
		LaunchTemplate: newLaunchTemplate(i.LaunchTemplateID, i.LaunchTemplateVersion), Protected: i.ProtectedFromScaleIn,
	}
}

func newAutoScalingGroup(g aws.AutoScalingGroup) autoScalingGroup {
	n := autoScalingGroup{
		Name: g.AutoScalingGroupName, ARN: g.AutoScalingGroupARN, MinSize: g.MinSize, MaxSize: g.MaxSize, DesiredCapacity: g.DesiredCapacity,
		HealthCheckType: g.HealthCheckType, GracePeriod: g.HealthCheckGracePeriod, MaxLifetime: g.MaxInstanceLifetime,
		CapacityRebalance: g.CapacityRebalance, Subnets: strings.Join(g.VPCZoneIdentifier, ","), Zones: membersOf(g.AvailabilityZones, same),
		LaunchTemplate: newLaunchTemplate(g.LaunchTemplateID, g.LaunchTemplateVersion),
		Suspended:      membersOf(g.SuspendedProcesses, func(name string) suspendedProcess { return suspendedProcess{name} }),
		Status:         g.Status, CreatedTime: stamp(g.CreatedTime), Instances: membersOf(g.Instances, newGroupInstance),
		Tags: membersOf(slices.Sorted(maps.Keys(g.Tags)), func(key string) groupTag {
			return groupTag{g.AutoScalingGroupName, "auto-scaling-group", key, g.Tags[key]}
		}),
	}
	if g.HasPolicy {
		n.LaunchTemplate, n.Mixed = nil, &mixedPolicy{n.LaunchTemplate, membersOf(g.Overrides, func(name string) overrideType { return overrideType{name} })}
	}
	if g.MinHealthyPercentage >= 0 && g.MaxHealthyPercentage >= 0 {
		n.Maintenance = &maintenancePolicy{g.MinHealthyPercentage, g.MaxHealthyPercentage}
	}
	if g.DefaultInstanceWarmup >= 0 {
		n.Warmup = &g.DefaultInstanceWarmup
	}
	return n
}
