package nat_test

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/failover/control"
	"polynat/internal/natd"
	"polynat/internal/natzone"
	"polynat/tests/iam"
	"polynat/tests/recorder"
)

// operations are the calls that an interface of a program declares, as IAM names them: the interface is named after the
// service, its methods after the operations.
func operations(apis ...reflect.Type) (list []string) {
	for _, api := range apis {
		service := strings.ToLower(api.Name())
		for i := range api.NumMethod() {
			operation := api.Method(i).Name
			if service == "lambda" {
				operation = strings.Replace(operation, "Invoke", "InvokeFunction", 1)
			}
			list = append(list, service+":"+operation)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

var (
	instanceCalls   = operations(reflect.TypeFor[natd.EC2](), reflect.TypeFor[natd.AutoScaling](), reflect.TypeFor[natd.CloudWatch]())
	controllerCalls = operations(
		reflect.TypeFor[control.EC2](), reflect.TypeFor[control.AutoScaling](), reflect.TypeFor[control.SSM](), reflect.TypeFor[control.SNS](), reflect.TypeFor[control.Lambda](),
	)
)

// touched are the checks that AWS makes when a program of a zone, of the component egress, calls an operation.
func touched(t *testing.T, operation, zone string) []iam.Request {
	t.Helper()
	const account = ":eu-west-1:123456789012:"
	letter, prefix := zone[len(zone)-1:], "polynat-dev-egress-"+zone
	tags := map[string]string{"aws:ResourceTag/" + natzone.TagName: "polynat-dev-egress", "aws:ResourceTag/" + natzone.TagZone: zone}
	nic := iam.Request{Action: operation, Resource: "arn:aws:ec2" + account + "network-interface/eni-1", Context: tags}
	group := iam.Request{Action: operation, Resource: "arn:aws:autoscaling" + account + "autoScalingGroup:12ab:autoScalingGroupName/" + prefix}
	switch _, name, _ := strings.Cut(operation, ":"); {
	case strings.HasPrefix(name, "Describe"):
		return []iam.Request{{Action: operation, Resource: "*"}}
	case slices.Contains([]string{"CreateRoute", "ReplaceRoute"}, name):
		return []iam.Request{
			{Action: operation, Resource: "arn:aws:ec2" + account + "route-table/rtb-app-" + letter}, {Action: operation, Resource: "arn:aws:ec2" + account + "route-table/rtb-db-" + letter},
		}
	case name == "AssignPrivateIpAddresses":
		return []iam.Request{nic}
	case name == "ModifyNetworkInterfaceAttribute": // natd changes this one
		nic.Context = maps.Clone(tags)
		nic.Context["ec2:Attribute/SourceDestCheck"] = "false"
		return []iam.Request{nic}
	case name == "AssociateAddress":
		return []iam.Request{nic, {Action: operation, Resource: "arn:aws:ec2" + account + "elastic-ip/egress-address-" + zone + ".allocationId"}}
	case slices.Contains([]string{"CompleteLifecycleAction", "RecordLifecycleActionHeartbeat", "SetInstanceHealth", "StartInstanceRefresh"}, name):
		return []iam.Request{group}
	case name == "PutMetricData":
		return []iam.Request{{Action: operation, Resource: "*", Context: map[string]string{"cloudwatch:namespace": natzone.MetricNamespace}}}
	case slices.Contains([]string{"GetParameter", "PutParameter"}, name):
		return []iam.Request{{Action: operation, Resource: "arn:aws:ssm" + account + "parameter/polynat/" + prefix + "/state"}}
	case name == "Publish":
		return []iam.Request{{Action: operation, Resource: "arn:aws:sns" + account + "polynat-dev-egress-alerts"}}
	case name == "InvokeFunction":
		return []iam.Request{{Action: operation, Resource: "arn:aws:lambda" + account + "function:" + prefix + "-prober"}}
	}
	t.Errorf("%s: say here what it touches", operation)
	return nil
}

// ofAll touch nothing that is one zone's.
func ofAll(operation string) bool {
	return strings.Contains(operation, ":Describe") || operation == "cloudwatch:PutMetricData" || operation == "sns:Publish"
}

func policyOf(t *testing.T, made *recorder.Recording, role, zone string) *iam.Policy {
	t.Helper()
	policy, err := iam.Parse(made.Named(policyType)["egress-"+role+"-role-policy-"+zone].Inputs["policy"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestEveryCallIsAllowedInTheZoneAndDeniedInAnother(t *testing.T) {
	made := run(t, newArgs("ab"))
	const own, other = "eu-west-1a", "eu-west-1b"
	for role, calls := range map[string][]string{"instance": instanceCalls, "controller": controllerCalls} {
		if len(calls) < 8 {
			t.Fatalf("%s: only %d calls were found: %v", role, len(calls), calls)
		}
		policy := policyOf(t, made, role, own)
		for _, call := range calls {
			for _, request := range touched(t, call, own) {
				if !policy.Allows(request) {
					t.Errorf("the %s may not %s %s", role, request.Action, request.Resource)
				}
			}
			if ofAll(call) {
				continue
			}
			for _, request := range touched(t, call, other) {
				if policy.Allows(request) {
					t.Errorf("the %s of %s may %s %s, which is of %s", role, own, request.Action, request.Resource, other)
				}
			}
		}
	}
}

var (
	command = regexp.MustCompile(`(?:\\\n|[^\n])*\baws (\w+) ([a-z-]+)((?:\\\n|[^\n])*)`)
	option  = regexp.MustCompile(`--([a-z-]+) '([^']*)'`)
)

// bootCalls are the calls of AWS that a boot script makes, with what they touch.
func bootCalls(t *testing.T, script string) (requests []iam.Request) {
	t.Helper()
	for _, m := range command.FindAllStringSubmatch(script, -1) {
		values := map[string]string{}
		for _, o := range option.FindAllStringSubmatch(m[3], -1) {
			values[o[1]] = o[2]
		}
		operation := ""
		for _, word := range strings.Split(m[2], "-") {
			operation += strings.ToUpper(word[:1]) + word[1:]
		}
		r := iam.Request{Action: strings.TrimSuffix(m[1], "api") + ":" + operation}
		switch m[1] {
		case "s3api":
			r.Resource = "arn:aws:s3:::" + values["bucket"] + "/" + values["key"]
		case "autoscaling":
			r.Resource = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:12ab:autoScalingGroupName/" + values["auto-scaling-group-name"]
		default:
			t.Errorf("aws %s %s: say here what it touches", m[1], m[2])
		}
		requests = append(requests, r)
	}
	return requests
}

func TestTheBootScriptMayDoWhatItDoesAndNothingOfAnotherZone(t *testing.T) {
	for _, bucket := range []string{"", "programs-of-ours"} {
		args := newArgs("ab")
		args.Artefacts.Bucket = bucket
		made := run(t, args)
		calls := bootCalls(t, script(t, made, "eu-west-1a"))
		if len(calls) != 2 || bucket != "" && !strings.Contains(fmt.Sprint(calls), ":::"+bucket+"/natd/") {
			t.Fatalf("bucket %q: calls %v, want one of S3 and one of Auto Scaling", bucket, calls)
		}
		for _, call := range calls {
			if !policyOf(t, made, "instance", "eu-west-1a").Allows(call) {
				t.Errorf("bucket %q: the instance may not %s %s", bucket, call.Action, call.Resource)
			}
			if call.Action != "s3:GetObject" && policyOf(t, made, "instance", "eu-west-1b").Allows(call) { // the program is the same
				t.Errorf("bucket %q: the instance of another zone may %s %s", bucket, call.Action, call.Resource)
			}
		}
	}
}

func TestTheInstanceChangesNoOtherAttributeOfItsInterface(t *testing.T) {
	policy := policyOf(t, run(t, newArgs("a")), "instance", "eu-west-1a")
	request := touched(t, "ec2:ModifyNetworkInterfaceAttribute", "eu-west-1a")[0]
	delete(request.Context, "ec2:Attribute/SourceDestCheck")
	request.Context["ec2:Attribute/Description"] = "changed"
	if policy.Allows(request) {
		t.Error("the instance may change the description and the security groups of its interface")
	}
}

func TestAnotherComponentsInterfacesAndMetricsAreDenied(t *testing.T) {
	policy := policyOf(t, run(t, newArgs("a")), "instance", "eu-west-1a")
	for _, request := range []iam.Request{
		{Action: "ec2:ModifyNetworkInterfaceAttribute", Resource: "arn:aws:ec2:eu-west-1:123456789012:network-interface/eni-1", Context: map[string]string{
			"aws:ResourceTag/" + natzone.TagName: "polynat-prod-egress", "aws:ResourceTag/" + natzone.TagZone: "eu-west-1a", "ec2:Attribute/SourceDestCheck": "false",
		}},
		{Action: "ec2:ModifyNetworkInterfaceAttribute", Resource: "arn:aws:ec2:eu-west-1:123456789012:network-interface/eni-1", Context: map[string]string{"ec2:Attribute/SourceDestCheck": "false"}},
		{Action: "cloudwatch:PutMetricData", Resource: "*", Context: map[string]string{"cloudwatch:namespace": "AWS/EC2"}},
		{Action: "ec2:DeleteRoute", Resource: "arn:aws:ec2:eu-west-1:123456789012:route-table/rtb-app-a"},
		{Action: "s3:GetObject", Resource: "arn:aws:s3:::polynat-dev-egress-123456789012-eu-west-1/other"},
	} {
		if policy.Allows(request) {
			t.Errorf("may %s %s with %v", request.Action, request.Resource, request.Context)
		}
	}
}

// TestNoPolicyAllowsWhatNobodyCalls: beside what the programs call, a policy allows what services of AWS do in their name.
func TestNoPolicyAllowsWhatNobodyCalls(t *testing.T) {
	made := run(t, newArgs("a"))
	var booted []string
	for _, call := range bootCalls(t, script(t, made, "eu-west-1a")) {
		booted = append(booted, call.Action)
	}
	attach := []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
		"ec2:UnassignPrivateIpAddresses",
	}
	function := []string{"lambda:InvokeFunction", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
	for role, test := range map[string]struct{ calls, services, everywhere []string }{
		"instance": {slices.Concat(instanceCalls, booted), []string{
			"ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
		}, []string{
			"cloudwatch:PutMetricData", "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
			"ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
		}},
		"controller": {controllerCalls, function, nil},
		"prober":     {nil, slices.Concat(attach, function), attach},
	} {
		policy := policyOf(t, made, role, "eu-west-1a")
		known := slices.Concat(test.calls, test.services)
		for _, action := range policy.Actions() {
			if !slices.Contains(known, action) {
				t.Errorf("the %s may %s, and does not", role, action)
			}
		}
		for _, action := range policy.Everywhere() {
			if !strings.Contains(action, ":Describe") && !slices.Contains(test.everywhere, action) {
				t.Errorf("the %s may %s everywhere", role, action)
			}
		}
	}
}

func TestTheBucketThatIsMadeIsReadOverTLSOnly(t *testing.T) {
	const bucket = "polynat-dev-egress-123456789012-eu-west-1"
	policy := decode(t, run(t, newArgs("a")).Named("aws:s3/bucketPolicy:BucketPolicy")["egress-artefacts-policy"].Inputs["policy"])
	want := []any{map[string]any{
		"Sid": "OnlyEncrypted", "Effect": "Deny", "Principal": map[string]any{"AWS": "*"}, "Action": []any{"s3:*"},
		"Resource":  []any{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"},
		"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": []any{"false"}}},
	}}
	if diff := cmp.Diff(want, policy["Statement"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	args := newArgs("a")
	args.Artefacts.Bucket = "programs-of-ours"
	if n := len(run(t, args).Named("aws:s3/bucketPolicy:BucketPolicy")); n > 0 {
		t.Error("the policy of a bucket that is given is replaced")
	}
}

func TestTheProbersCodeCallsNoAPI(t *testing.T) {
	policy := policyOf(t, run(t, newArgs("a")), "prober", "eu-west-1a")
	request := iam.Request{Action: "ec2:CreateNetworkInterface", Resource: "*"}
	if !policy.Allows(request) {
		t.Error("Lambda cannot attach the function to the VPC")
	}
	request.Context = map[string]string{"lambda:SourceFunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:polynat-dev-egress-eu-west-1a-prober"}
	if policy.Allows(request) {
		t.Error("the function's own code may make network interfaces")
	}
}

func TestTheRolesOfServicesMayDoOneThing(t *testing.T) {
	args := newArgs("ab")
	args.Rotation.Window = window()
	made := run(t, args).Named(policyType)
	want := map[string][]string{"egress-notice-role-policy": {"sns:Publish"}, "egress-rotation-role-policy": {"autoscaling:StartInstanceRefresh"}}
	got := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		policy, err := iam.Parse(made[name].Inputs["policy"].(string))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = policy.Actions()
		if everywhere := policy.Everywhere(); len(everywhere) > 0 {
			t.Errorf("%s: everywhere %v", name, everywhere)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
