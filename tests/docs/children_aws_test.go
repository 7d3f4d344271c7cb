package docs_test

import (
	"cmp"
	"regexp"
	"strings"
	"testing"
)

// awsChild is what a component on AWS and its parts make: name and type as the engine sees them, and when.
type awsChild struct{ name, typ, when string }

// each is what the component makes for every zone.
const each = "for each zone"

// awsChildren by block. They are held to the URN golden of stacks, both ways.
var awsChildren = map[string][]awsChild{
	"vpc": {
		{"vpc", "ec2/vpc:Vpc", "always"},
		{"internet", "ec2/internetGateway:InternetGateway", "always"},
		{"public", "ec2/routeTable:RouteTable", "always"},
		{"public-default", "ec2/route:Route", "always"},
		{"public-<zone>", "ec2/subnet:Subnet", each},
		{"public-<zone>-association", "ec2/routeTableAssociation:RouteTableAssociation", each},
		{"private-<zone>-<key>", "ec2/subnet:Subnet", "for each private subnet"},
		{"private-<zone>-<key>-table", "ec2/routeTable:RouteTable", "for each private subnet"},
		{"private-<zone>-<key>-association", "ec2/routeTableAssociation:RouteTableAssociation", "for each private subnet"},
	},
	"nat": {
		{"artefacts", "s3/bucketV2:BucketV2", "without `artefacts.bucket`"},
		{"artefacts-private", "s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "without `artefacts.bucket`"},
		{"artefacts-policy", "s3/bucketPolicy:BucketPolicy", "without `artefacts.bucket`"},
		{"agent-<architecture>", "s3/bucketObjectv2:BucketObjectv2", "always"},
		{"reservation-<zone>", "ec2/subnetCidrReservation:SubnetCidrReservation", each},
		{"address-<zone>", "ec2/eip:Eip", "for each zone without `allocationId`"},
		{"standby", "ec2/natGateway:NatGateway", "with standby `shared`"},
		{"standby-address", "ec2/eip:Eip", "with standby `shared`, without its `allocationId`"},
		{"standby-<zone>", "ec2/natGateway:NatGateway", "with standby `perZone`, for each zone"},
		{"standby-address-<zone>", "ec2/eip:Eip", "with standby `perZone`, for each zone without its `allocationId`"},
		{"holder-<zone>", "ec2/networkInterface:NetworkInterface", "with standby `none`, for each zone: holds the routes until an instance claims them"},
		{"route-<zone>-<table>-<destination>", "ec2/route:Route", "for each table and destination"},
		{"security-group-<zone>", "ec2/securityGroup:SecurityGroup", each},
		{"egress-ipv4-<zone>", "vpc/securityGroupEgressRule:SecurityGroupEgressRule", each},
		{"egress-ipv6-<zone>", "vpc/securityGroupEgressRule:SecurityGroupEgressRule", each},
		{"ingress-<zone>-<CIDR>", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "for each zone and CIDR of `ingress`, else of the VPC"},
		{"ingress-<zone>-group-<key>", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "for each zone and security group of `ingress`"},
		{"ingress-<zone>-prober", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "with `ingress`, for each zone"},
		{"ingress-<zone>-self", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "for each zone: a successor may ask for the connections"},
		{"ingress-<zone>-too-big", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "for each zone: ICMP messages that a packet is too big. Where IPv6 is let in, `too-big-ipv6` too"},
		{"ingress-<zone>-expired", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "for each zone: ICMP messages that a packet has passed too many routers. Where IPv6 is let in, `expired-ipv6` too"},
		{"template-<zone>", "ec2/launchTemplate:LaunchTemplate", each},
		{"group-<zone>", "autoscaling/group:Group", each},
		{"launch-hook-<zone>", "autoscaling/lifecycleHook:LifecycleHook", each},
		{"terminate-hook-<zone>", "autoscaling/lifecycleHook:LifecycleHook", each},
		{"rotation-<zone>", "scheduler/schedule:Schedule", "with `rotation.window`, for each zone"},
		{"instance-role-<zone>", "iam/role:Role", each},
		{"instance-role-policy-<zone>", "iam/rolePolicy:RolePolicy", each},
		{"instance-profile-<zone>", "iam/instanceProfile:InstanceProfile", each},
		{"instance-policy-<zone>-<name>", "iam/rolePolicyAttachment:RolePolicyAttachment", "for each zone and policy of `instance.policies`"},
		{"prober-role-<zone>", "iam/role:Role", each},
		{"prober-role-policy-<zone>", "iam/rolePolicy:RolePolicy", each},
		{"controller-role-<zone>", "iam/role:Role", each},
		{"controller-role-policy-<zone>", "iam/rolePolicy:RolePolicy", each},
		{"notice-role", "iam/role:Role", "always"},
		{"notice-role-policy", "iam/rolePolicy:RolePolicy", "always"},
		{"rotation-role", "iam/role:Role", "with `rotation.window`"},
		{"rotation-role-policy", "iam/rolePolicy:RolePolicy", "with `rotation.window`"},
		{"prober-<zone>", "lambda/function:Function", each},
		{"prober-logs-<zone>", "cloudwatch/logGroup:LogGroup", each},
		{"prober-invocations-<zone>", "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", each},
		{"prober-group", "ec2/securityGroup:SecurityGroup", "always"},
		{"prober-egress", "vpc/securityGroupEgressRule:SecurityGroupEgressRule", "always"},
		{"controller-<zone>", "lambda/function:Function", each},
		{"controller-logs-<zone>", "cloudwatch/logGroup:LogGroup", each},
		{"controller-invocations-<zone>", "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", each},
		{"state-<zone>", "ssm/parameter:Parameter", each},
		{"schedule-<zone>", "cloudwatch/eventRule:EventRule", each},
		{"schedule-target-<zone>", "cloudwatch/eventTarget:EventTarget", each},
		{"schedule-permission-<zone>", "lambda/permission:Permission", each},
		{"events-<zone>", "cloudwatch/eventRule:EventRule", each},
		{"events-target-<zone>", "cloudwatch/eventTarget:EventTarget", each},
		{"events-permission-<zone>", "lambda/permission:Permission", each},
		{"notices-<zone>", "sns/topicSubscription:TopicSubscription", each},
		{"notices-permission-<zone>", "lambda/permission:Permission", each},
		{"lifecycle", "sns/topic:Topic", "always"},
		{"lifecycle-policy", "sns/topicPolicy:TopicPolicy", "always"},
		{"alerts", "sns/topic:Topic", "without `observability.alertTopicArn`"},
		{"alerts-policy", "sns/topicPolicy:TopicPolicy", "without `observability.alertTopicArn`"},
		{"subscription-<subscriber>", "sns/topicSubscription:TopicSubscription", "for each of `observability.subscribers`"},
		{"dead-letters", "sqs/queue:Queue", "always"},
		{"dead-letters-policy", "sqs/queuePolicy:QueuePolicy", "always"},
		{"endpoint-<service>", "ec2/vpcEndpoint:VpcEndpoint", "for each of `failover.endpoints`"},
		{"endpoint-group", "ec2/securityGroup:SecurityGroup", "with `failover.endpoints`"},
		{"endpoint-ingress-<CIDR>", "vpc/securityGroupIngressRule:SecurityGroupIngressRule", "with `failover.endpoints`, for each CIDR of the VPC"},
		{"<zone>-prober-silent", "cloudwatch/metricAlarm:MetricAlarm", "for each zone, unless `noAlarms`, as all alarms"},
		{"<zone>-no-instance", "cloudwatch/metricAlarm:MetricAlarm", each},
		{"<zone>-connections", "cloudwatch/metricAlarm:MetricAlarm", each},
		{"<zone>-ports", "cloudwatch/metricAlarm:MetricAlarm", each},
		{"<zone>-allowance", "cloudwatch/metricAlarm:MetricAlarm", each},
		{"<zone>-left-ready", "cloudwatch/metricAlarm:MetricAlarm", "for each zone, unless standby `none`"},
		{"<zone>-on-standby", "cloudwatch/metricAlarm:MetricAlarm", "for each zone, unless standby `none`"},
		{"<zone>-standby-broken", "cloudwatch/metricAlarm:MetricAlarm", "for each zone, unless standby `none`"},
		{"dead-letters", "cloudwatch/metricAlarm:MetricAlarm", "always"},
		{"dashboard", "cloudwatch/dashboard:Dashboard", "unless `noDashboard`"},
	},
}

func awsChildTable(t *testing.T, c component) string {
	t.Helper()
	var made []string // <type>::<name>, of the golden's variants
	for _, m := range regexp.MustCompile(`aws:([a-z0-9]+/[^:]+:[^:]+)::aws-`+c.block+`-(.+)`).FindAllStringSubmatch(read(t, "stacks/testdata/urns-aws.golden"), -1) {
		made = append(made, m[1]+"::"+m[2])
	}
	if len(made) == 0 {
		t.Fatalf("stacks/testdata/urns-aws.golden: holds nothing of %s", c.block)
	}
	told := map[string]bool{}
	var rows [][]string
	for _, ch := range awsChildren[c.block] {
		pattern := regexp.QuoteMeta(ch.typ + "::" + ch.name)
		pattern = strings.ReplaceAll(pattern, "<zone>", `eu-west-1[a-z]`)
		pattern = "^" + regexp.MustCompile(`<\w+>`).ReplaceAllString(pattern, `.+`) + "$"
		found := false
		for _, urn := range made {
			if regexp.MustCompile(pattern).MatchString(urn) {
				told[urn], found = true, true
			}
		}
		if !found {
			t.Errorf("%s: makes no %s %s", c.dir, ch.typ, ch.name)
		}
		rows = append(rows, []string{"`<name>-" + ch.name + "`", "`aws:" + ch.typ + "`", ch.when})
	}
	for _, urn := range made {
		if !told[urn] {
			t.Errorf("%s: %s is in no row of the table of children", c.dir, urn)
		}
	}
	return table("child | type | when", rows)
}

// awsActions are what making, tagging and deleting a child takes, by its type.
var awsActions = map[string][]string{
	"autoscaling/group:Group":                                    {"autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup", "autoscaling:DeleteAutoScalingGroup", "autoscaling:CreateOrUpdateTags"},
	"autoscaling/lifecycleHook:LifecycleHook":                    {"autoscaling:PutLifecycleHook", "autoscaling:DeleteLifecycleHook"},
	"cloudwatch/dashboard:Dashboard":                             {"cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"},
	"cloudwatch/eventRule:EventRule":                             {"events:PutRule", "events:DeleteRule", "events:TagResource"},
	"cloudwatch/eventTarget:EventTarget":                         {"events:PutTargets", "events:RemoveTargets"},
	"cloudwatch/logGroup:LogGroup":                               {"logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup", "logs:TagResource", "logs:AssociateKmsKey", "logs:DisassociateKmsKey"},
	"cloudwatch/metricAlarm:MetricAlarm":                         {"cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource"},
	"ec2/eip:Eip":                                                {"ec2:AllocateAddress", "ec2:ReleaseAddress", "ec2:CreateTags"},
	"ec2/internetGateway:InternetGateway":                        {"ec2:CreateInternetGateway", "ec2:AttachInternetGateway", "ec2:DetachInternetGateway", "ec2:DeleteInternetGateway", "ec2:CreateTags"},
	"ec2/launchTemplate:LaunchTemplate":                          {"ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate", "ec2:CreateTags"},
	"ec2/natGateway:NatGateway":                                  {"ec2:CreateNatGateway", "ec2:DeleteNatGateway", "ec2:CreateTags"},
	"ec2/networkInterface:NetworkInterface":                      {"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:CreateTags"},
	"ec2/route:Route":                                            {"ec2:CreateRoute", "ec2:DeleteRoute"},
	"ec2/routeTable:RouteTable":                                  {"ec2:CreateRouteTable", "ec2:DeleteRouteTable", "ec2:CreateTags"},
	"ec2/routeTableAssociation:RouteTableAssociation":            {"ec2:AssociateRouteTable", "ec2:DisassociateRouteTable"},
	"ec2/securityGroup:SecurityGroup":                            {"ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:CreateTags"},
	"ec2/subnet:Subnet":                                          {"ec2:CreateSubnet", "ec2:DeleteSubnet", "ec2:CreateTags"},
	"ec2/subnetCidrReservation:SubnetCidrReservation":            {"ec2:CreateSubnetCidrReservation", "ec2:DeleteSubnetCidrReservation"},
	"ec2/vpc:Vpc":                                                {"ec2:CreateVpc", "ec2:ModifyVpcAttribute", "ec2:DeleteVpc", "ec2:CreateTags"},
	"ec2/vpcEndpoint:VpcEndpoint":                                {"ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints", "ec2:CreateTags"},
	"iam/instanceProfile:InstanceProfile":                        {"iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile", "iam:TagInstanceProfile"},
	"iam/role:Role":                                              {"iam:CreateRole", "iam:DeleteRole", "iam:PassRole", "iam:TagRole"},
	"iam/rolePolicy:RolePolicy":                                  {"iam:PutRolePolicy", "iam:DeleteRolePolicy"},
	"iam/rolePolicyAttachment:RolePolicyAttachment":              {"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
	"lambda/function:Function":                                   {"lambda:CreateFunction", "lambda:UpdateFunctionCode", "lambda:DeleteFunction", "lambda:TagResource"},
	"lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {"lambda:PutFunctionEventInvokeConfig", "lambda:DeleteFunctionEventInvokeConfig"},
	"lambda/permission:Permission":                               {"lambda:AddPermission", "lambda:RemovePermission"},
	// S3 asks for the same action when the block is deleted.
	"s3/bucketPublicAccessBlock:BucketPublicAccessBlock":    {"s3:PutBucketPublicAccessBlock"},
	"s3/bucketObjectv2:BucketObjectv2":                      {"s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"},
	"s3/bucketPolicy:BucketPolicy":                          {"s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"},
	"s3/bucketV2:BucketV2":                                  {"s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucketTagging"},
	"scheduler/schedule:Schedule":                           {"scheduler:CreateSchedule", "scheduler:DeleteSchedule"},
	"sns/topic:Topic":                                       {"sns:CreateTopic", "sns:DeleteTopic", "sns:TagResource"},
	"sns/topicPolicy:TopicPolicy":                           {"sns:SetTopicAttributes"},
	"sns/topicSubscription:TopicSubscription":               {"sns:Subscribe", "sns:Unsubscribe"},
	"sqs/queue:Queue":                                       {"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:TagQueue"},
	"sqs/queuePolicy:QueuePolicy":                           {"sqs:SetQueueAttributes"},
	"ssm/parameter:Parameter":                               {"ssm:PutParameter", "ssm:DeleteParameter", "ssm:AddTagsToResource"},
	"vpc/securityGroupEgressRule:SecurityGroupEgressRule":   {"ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress", "ec2:CreateTags"},
	"vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateTags"},
}

// Who is given the actions of the table, and no more, can make and delete every child.
func TestThePermissionsAreThoseOfEveryChild(t *testing.T) {
	const reference = "docs/reference/aws.md"
	_, section, found := strings.Cut(read(t, reference), "\n## Permissions\n")
	section, _, _ = strings.Cut(section, "\nAnd the matching reads")
	if !found {
		t.Fatalf("%s: the section about permissions is gone", reference)
	}
	named := map[string]bool{}
	for _, row := range strings.Split(section, "\n") {
		service := ""
		for _, m := range regexp.MustCompile("`(?:([a-z0-9]+):)?([A-Z]\\w+)`").FindAllStringSubmatch(row, -1) {
			service = cmp.Or(m[1], service)
			named[service+":"+m[2]] = true
		}
	}
	made := map[string]bool{}
	for _, children := range awsChildren {
		for _, ch := range children {
			made[ch.typ] = true
		}
	}
	for typ := range made {
		if len(awsActions[typ]) == 0 {
			t.Errorf("%s: nobody says which actions it takes", typ)
		}
	}
	for typ, actions := range awsActions {
		if !made[typ] {
			t.Errorf("%s: no component makes one", typ)
		}
		for _, action := range actions {
			if !named[action] {
				t.Errorf("%s: the permissions lack %s, which a %s takes", reference, action, typ)
			}
		}
	}
}
