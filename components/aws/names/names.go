// Package names knows what the things of one component are called in the cloud. The names are set and not left to Pulumi, for
// policies and configuration documents name what is made after them, or what they in turn are needed for.
package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Longest prefix: what is left of the 64 characters of a role's or a function's name beside the longest zone and kind.
const Longest = 28

// Prefix of a component's names: project, stack and component, so that two stacks share an account and region, in what every
// service takes: lower-case letters, digits and hyphens. What had to be changed for that, or is too long, is told apart by
// eight digits of its hash.
func Prefix(project, stack, component string) string {
	name := strings.Join([]string{project, stack, component}, "-")
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	if plain == name && len(name) <= Longest {
		return name
	}
	return cut(plain, name, Longest)
}

// Cut shortens a name to at most that many characters.
func Cut(name string, most int) string {
	if len(name) <= most {
		return name
	}
	return cut(name, name, most)
}

// cut ends the beginning of a name with the hash of the whole one.
func cut(name, whole string, most int) string {
	sum := sha256.Sum256([]byte(whole))
	return strings.TrimRight(name[:min(len(name), most-9)], "-") + "-" + hex.EncodeToString(sum[:4])
}

// Component is what belongs to no zone.
type Component struct{ Prefix string }

// LifecycleTopic is the SNS topic for notices of the Auto Scaling groups.
func (c Component) LifecycleTopic() string { return c.Prefix + "-lifecycle" }

// AlertTopic is the SNS topic for people.
func (c Component) AlertTopic() string { return c.Prefix + "-alerts" }

// DeadLetters is the SQS queue of events that could not be delivered.
func (c Component) DeadLetters() string { return c.Prefix + "-dead-letters" }

// ProberGroup is the security group of the probers, EndpointGroup that of the interface endpoints.
func (c Component) ProberGroup() string   { return c.Prefix + "-prober" }
func (c Component) EndpointGroup() string { return c.Prefix + "-endpoints" } //nolint:revive // see ProberGroup

// Dashboard of CloudWatch.
func (c Component) Dashboard(region string) string { return c.Prefix + "-" + region }

// Bucket holds the agent. Bucket names are the world's, so that this one has account and region.
func (c Component) Bucket(account, region string) string {
	return Cut(c.Prefix+"-"+account+"-"+region, 63)
}

// NoticeRole publishes lifecycle notices. IAM has no regions, so that its names have.
func (c Component) NoticeRole(region string) string { return Cut(c.Prefix+"-notices-"+region, 64) }

// RotationRole starts rotations in maintenance windows.
func (c Component) RotationRole(region string) string { return Cut(c.Prefix+"-rotation-"+region, 64) }

// Zone is what belongs to one zone.
func (c Component) Zone(zone string) Zone { return Zone{Prefix: Cut(c.Prefix+"-"+zone, 48)} }

// Zone of a component.
type Zone struct{ Prefix string }

// Group is the Auto Scaling group.
func (z Zone) Group() string { return z.Prefix }

// Prober is the function, and its role.
func (z Zone) Prober() string { return z.Prefix + "-prober" }

// Controller is the function, and its role.
func (z Zone) Controller() string { return z.Prefix + "-controller" }

// Schedule and Events are the EventBridge rules that start the two.
func (z Zone) Schedule() string { return z.Prefix + "-schedule" }
func (z Zone) Events() string   { return z.Prefix + "-events" } //nolint:revive // see Schedule

// InstanceRole is the role of the instance, and its profile.
func (z Zone) InstanceRole() string { return z.Prefix + "-instance" }

// StateParameter of the controller, in the SSM Parameter Store.
func (z Zone) StateParameter() string { return "/polynat/" + z.Prefix + "/state" }

// Logs is the log group of a function, by Lambda's own rule.
func Logs(function string) string { return "/aws/lambda/" + function }
