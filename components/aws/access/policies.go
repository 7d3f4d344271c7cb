package access

import (
	"polynat/components/aws/names"
	"polynat/internal/natzone"
)

// Zone is what the programs of one zone may touch, as plain values.
type Zone struct {
	Account
	Component names.Component
	Names     names.Zone
	// Name and Zone are the values of natzone.TagName and natzone.TagZone.
	Name, Zone string
	// RouteTables and AllocationID are ids; Object is the ARN of the agent in S3.
	RouteTables          []string
	AllocationID, Object string
	// AlertTopic is an ARN.
	AlertTopic string
	// SSM gives the instance access by Session Manager.
	SSM bool
}

func (z Zone) tables() []string {
	arns := make([]string, len(z.RouteTables))
	for i, id := range z.RouteTables {
		arns[i] = z.ARN("ec2", "route-table/"+id)
	}
	return arns
}

// group is the ARN of a group: the part of it that AWS makes up is not known before.
func (a Account) group(name string) string {
	return a.ARN("autoscaling", "autoScalingGroup:*:autoScalingGroupName/"+name)
}

// own holds a statement to what carries the tags of the component and the zone.
func (z Zone) own(s Statement) Statement {
	return s.when("StringEquals", "aws:ResourceTag/"+natzone.TagName, z.Name).when("StringEquals", "aws:ResourceTag/"+natzone.TagZone, z.Zone)
}

// Instance is the policy of natd. It changes network interfaces of the zone only, whose tags the launch template sets: AWS
// has no key by which an instance could be held to its own interface.
func (z Zone) Instance() Document {
	interfaces := z.ARN("ec2", "network-interface/*")
	statements := []Statement{
		allow("Describe", []string{"ec2:DescribeAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables"}, "*"),
		allow("Routes", []string{"ec2:CreateRoute", "ec2:ReplaceRoute"}, z.tables()...),
		z.own(allow("Interface", []string{
			"ec2:AssignPrivateIpAddresses", "ec2:AssociateAddress",
		}, interfaces)),
		// Without the condition it might change the security groups of the interface, too. A request changes one attribute.
		z.own(allow("Check", []string{"ec2:ModifyNetworkInterfaceAttribute"}, interfaces)).when("Null", "ec2:Attribute/SourceDestCheck", "false"),
		allow("Address", []string{"ec2:AssociateAddress"}, z.ARN("ec2", "elastic-ip/"+z.AllocationID)),
		allow("Hooks", []string{"autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"}, z.group(z.Names.Group())),
		allow("Metrics", []string{"cloudwatch:PutMetricData"}, "*").when("StringEquals", "cloudwatch:namespace", natzone.MetricNamespace),
		allow("Program", []string{"s3:GetObject"}, z.Object),
	}
	if z.SSM {
		// What Session Manager documents as its minimum; the managed policy would let it read every parameter of the account.
		statements = append(statements, allow("Sessions", []string{
			"ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
		}, "*"))
	}
	return document(statements...)
}

// Prober is the policy of the prober, which calls no API of AWS itself: its answer is carried by the Lambda service, under
// this role.
func (z Zone) Prober() Document {
	attach := []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
		"ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	}
	deny := allow("NotByItsCode", attach, "*").when("ArnEquals", "lambda:SourceFunctionArn", z.ARN("lambda", "function:"+z.Names.Prober()))
	deny.Effect = "Deny"
	return document(
		z.logs(z.Names.Prober()),
		allow("Attach", attach, "*"),
		deny,
		allow("Report", []string{"lambda:InvokeFunction"}, z.ARN("lambda", "function:"+z.Names.Controller())),
		z.deadLetters(),
	)
}

// Controller is the policy of the controller.
func (z Zone) Controller() Document {
	return document(
		z.logs(z.Names.Controller()),
		allow("Describe", []string{"autoscaling:DescribeAutoScalingGroups", "ec2:DescribeNatGateways", "ec2:DescribeRouteTables"}, "*"),
		allow("Routes", []string{"ec2:CreateRoute", "ec2:ReplaceRoute"}, z.tables()...),
		allow("Group", []string{"autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth", "autoscaling:StartInstanceRefresh"}, z.group(z.Names.Group())),
		allow("State", []string{"ssm:GetParameter", "ssm:PutParameter"}, z.ARN("ssm", "parameter"+z.Names.StateParameter())),
		allow("Alert", []string{"sns:Publish"}, z.AlertTopic),
		allow("GoOn", []string{"lambda:InvokeFunction"}, z.ARN("lambda", "function:"+z.Names.Prober())),
		z.deadLetters(),
	)
}

func (z Zone) logs(function string) Statement {
	return allow("Logs", []string{"logs:CreateLogStream", "logs:PutLogEvents"}, z.ARN("logs", "log-group:"+names.Logs(function)+":*"))
}

func (z Zone) deadLetters() Statement {
	return allow("DeadLetters", []string{"sqs:SendMessage"}, z.ARN("sqs", z.Component.DeadLetters()))
}

// notices is the policy with which EC2 Auto Scaling publishes lifecycle notices.
func (a Account) notices(n names.Component) Document {
	return document(allow("Publish", []string{"sns:Publish"}, a.ARN("sns", n.LifecycleTopic())))
}

// rotation is the policy with which EventBridge Scheduler has the instances of groups replaced.
func (a Account) rotation(groups []string) Document {
	arns := make([]string, len(groups))
	for i, g := range groups {
		arns[i] = a.group(g)
	}
	return document(allow("Rotate", []string{"autoscaling:StartInstanceRefresh"}, arns...))
}
