package failover_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/failover"
	"polynat/components/aws/names"
	"polynat/internal/artefact"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

const (
	functionType     = "aws:lambda/function:Function"
	invocationsType  = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
	permissionType   = "aws:lambda/permission:Permission"
	ruleType         = "aws:cloudwatch/eventRule:EventRule"
	targetType       = "aws:cloudwatch/eventTarget:EventTarget"
	subscriptionType = "aws:sns/topicSubscription:TopicSubscription"
)

// newArgs describe a component with that many zones, a first.
func newArgs(t *testing.T, zones int) *failover.Args {
	t.Helper()
	code := filepath.Join(t.TempDir(), "failover.zip")
	if err := os.WriteFile(code, []byte("PK"), 0o600); err != nil {
		t.Fatal(err)
	}
	component := names.Component{Prefix: "polynat-dev-egress"}
	args := &failover.Args{
		Name: "egress", Names: component, Account: access.Account{ID: "123456789012", Region: "eu-west-1", Partition: "aws", DNSSuffix: "amazonaws.com"},
		VPCID: pulumi.String("vpc-1"), CIDRs: []string{"10.0.0.0/16"}, Zones: map[string]failover.Zone{},
		Targets: []natzone.Target{"https://one.example/", "https://192.0.2.1/", "http://three.example/"}, Identity: []string{"https://identity.example/"},
		Detection: natzone.DefaultDetection(), Healing: natzone.DefaultHealing(),
		Code: &artefact.Artefact{Path: code, Base64: "c2Ft"}, Architecture: "arm64", LogRetentionDays: 30, Tags: map[string]string{"team": "network"},
	}
	for i := range zones {
		zone := fmt.Sprintf("eu-west-1%c", 'a'+i)
		args.Zones[zone] = failover.Zone{
			Names: component.Zone(zone), Subnets: pulumi.ToStringArray([]string{"subnet-" + zone, "subnet-2-" + zone}),
			RouteTables: pulumi.ToStringArray([]string{"rtb-" + zone}), Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
			Standby: pulumi.String("nat-" + zone), Egress: pulumi.ToStringArray([]string{fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("203.0.113.%d", i)}),
			Address:    netip.AddrFrom4([4]byte{10, 0, byte(i), 250}),
			ProberRole: pulumi.String("role-prober-" + zone), ControllerRole: pulumi.String("role-controller-" + zone),
		}
	}
	return args
}

func program(args *failover.Args, then func(*failover.Failover)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		mine := *args
		var err error
		if mine.Provider, err = aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")}); err != nil {
			return err
		}
		f, err := failover.New(ctx, "egress", &mine)
		if err == nil && then != nil {
			then(f)
		}
		return err
	}
}

func run(t *testing.T, args *failover.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args, nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheComponentFollowsTheRules(t *testing.T) {
	args := newArgs(t, 2)
	args.Endpoints, args.Subscribers = []string{"ec2", "autoscaling"}, []string{"oncall@example.com", "https://pager.example/hook"}
	made := run(t, args, recorder.Options{})
	made.Check(t)
	preview := run(t, args, recorder.Options{DryRun: true})
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
	var text strings.Builder
	for _, o := range made.Objects {
		if strings.HasPrefix(o.Type, "aws:") {
			fmt.Fprintf(&text, "%s %s\n", o.Name, o.Type)
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func TestTheFunctionsAreSetAsTheirProgramReliesOn(t *testing.T) {
	made := run(t, newArgs(t, 1), recorder.Options{})
	for name, want := range map[string]map[string]any{
		"egress-prober-eu-west-1a": {
			"memorySize": 128.0, "timeout": 90.0, "reservedConcurrentExecutions": 2.0, "role": "role-prober-eu-west-1a",
			"vpcConfig": map[string]any{"subnetIds": []any{"subnet-eu-west-1a", "subnet-2-eu-west-1a"}, "securityGroupIds": []any{"egress-prober-group.id"}},
		},
		"egress-controller-eu-west-1a": {
			"memorySize": 512.0, "timeout": 120.0, "reservedConcurrentExecutions": 1.0, "role": "role-controller-eu-west-1a", "vpcConfig": nil,
		},
	} {
		got := made.Named(functionType)[name].Inputs
		want["runtime"], want["handler"], want["sourceCodeHash"], want["architectures"] = "provided.al2023", "bootstrap", "c2Ft", []any{"arm64"}
		for property, value := range want {
			if diff := cmp.Diff(value, got[property]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, property, diff)
			}
		}
	}
	deadLetters := map[string]any{"destination": "egress-dead-letters.arn"}
	for name, want := range map[string]map[string]any{
		"egress-prober-invocations-eu-west-1a": {
			"functionName": "polynat-dev-egress-eu-west-1a-prober", "maximumRetryAttempts": 0.0, "maximumEventAgeInSeconds": 60.0,
			"destinationConfig": map[string]any{"onSuccess": map[string]any{"destination": "egress-controller-eu-west-1a.arn"}, "onFailure": deadLetters},
		},
		"egress-controller-invocations-eu-west-1a": {
			"functionName": "polynat-dev-egress-eu-west-1a-controller", "maximumRetryAttempts": 2.0, "maximumEventAgeInSeconds": 300.0,
			"destinationConfig": map[string]any{"onFailure": deadLetters},
		},
	} {
		if diff := cmp.Diff(want, made.Named(invocationsType)[name].Inputs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// document reads the configuration of a function as the function does.
func document[T any](t *testing.T, made *recorder.Recording, function, variable string, parse func(string) (*T, error)) *T {
	t.Helper()
	environment := made.Named(functionType)[function].Inputs["environment"].(map[string]any)
	value := environment["variables"].(map[string]any)[variable].(string)
	d, err := parse(value)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheFunctionsReadTheirConfiguration(t *testing.T) {
	made := run(t, newArgs(t, 1), recorder.Options{})
	same := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	targets := []natzone.Target{"https://one.example/", "https://192.0.2.1/", "http://three.example/"}
	prober := document(t, made, "egress-prober-eu-west-1a", natzone.ProberVariable, natzone.ParseProber)
	if diff := cmp.Diff(&natzone.Prober{
		Version: natzone.Version, Name: "egress", Zone: "eu-west-1a", Targets: targets, Identity: []string{"https://identity.example/"},
		Egress:    []netip.Addr{netip.MustParseAddr("198.51.100.0"), netip.MustParseAddr("203.0.113.0")},
		Detection: natzone.DefaultDetection(), Health: "http://10.0.0.250:9465/health", MetricNamespace: "polynat",
	}, prober, same); diff != "" {
		t.Errorf("prober (-want +got):\n%s", diff)
	}
	controller := document(t, made, "egress-controller-eu-west-1a", natzone.ControllerVariable, natzone.ParseController)
	if diff := cmp.Diff(&natzone.Controller{
		Version: natzone.Version, Name: "egress", Zone: "eu-west-1a", Region: "eu-west-1", RouteTables: []string{"rtb-eu-west-1a"},
		Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Standby: "nat-eu-west-1a", Group: "polynat-dev-egress-eu-west-1a",
		TerminateHook: natzone.TerminateHook, Targets: targets, ProberFunction: "polynat-dev-egress-eu-west-1a-prober",
		StateParameter: "/polynat/polynat-dev-egress-eu-west-1a/state", AlertTopic: "egress-alerts.arn", MetricNamespace: "polynat", Healing: natzone.DefaultHealing(),
	}, controller, same); diff != "" {
		t.Errorf("controller (-want +got):\n%s", diff)
	}
}

// EventBridge takes five targets for a rule: six zones must not share one.
func TestSixZonesHaveRulesWithOneTargetEach(t *testing.T) {
	made := run(t, newArgs(t, 6), recorder.Options{})
	made.Check(t)
	targets := map[string][]string{}
	for _, o := range made.Named(targetType) {
		rule := o.Inputs["rule"].(string)
		targets[rule] = append(targets[rule], o.Inputs["arn"].(string))
	}
	if len(targets) != 12 || len(made.Named(ruleType)) != 12 {
		t.Errorf("%d rules, %d with targets; want 12", len(made.Named(ruleType)), len(targets))
	}
	for rule, arns := range targets {
		kind := "controller"
		if strings.HasSuffix(rule, "-schedule") {
			kind = "prober"
		}
		zone := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(rule, "polynat-dev-egress-"), "-schedule"), "-events")
		if want := "egress-" + kind + "-" + zone + ".arn"; !slices.Equal(arns, []string{want}) {
			t.Errorf("%s: targets %v, want %s", rule, arns, want)
		}
	}
}

// Probers hand over by the clock. A rate's minutes begin whenever the rule was made.
func TestAProberIsStartedAtTheBeginningOfEveryMinute(t *testing.T) {
	for name, o := range run(t, newArgs(t, 2), recorder.Options{}).Named(ruleType) {
		want := any(nil)
		if strings.Contains(name, "-schedule-") {
			want = "cron(* * * * ? *)"
		}
		if got := o.Inputs["scheduleExpression"]; got != want {
			t.Errorf("%s: schedule %v, want %v", name, got, want)
		}
	}
}

func TestEverythingThatStartsAFunctionIsAllowedToAndNothingElse(t *testing.T) {
	made := run(t, newArgs(t, 1), recorder.Options{})
	got := map[string]string{}
	for _, o := range made.Named(permissionType) {
		got[fmt.Sprint(o.Inputs["sourceArn"])] = fmt.Sprint(o.Inputs["principal"], " ", o.Inputs["function"])
	}
	if diff := cmp.Diff(map[string]string{
		"egress-schedule-eu-west-1a.arn": "events.amazonaws.com polynat-dev-egress-eu-west-1a-prober",
		"egress-events-eu-west-1a.arn":   "events.amazonaws.com polynat-dev-egress-eu-west-1a-controller",
		"egress-lifecycle.arn":           "sns.amazonaws.com polynat-dev-egress-eu-west-1a-controller",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeDeliveredIsKept(t *testing.T) {
	made := run(t, newArgs(t, 1), recorder.Options{})
	want := map[string]any{"arn": "egress-dead-letters.arn"}
	for name, o := range made.Named(targetType) {
		if diff := cmp.Diff(want, o.Inputs["deadLetterConfig"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, o := range made.Named(subscriptionType) {
		if got := o.Inputs["redrivePolicy"]; got != `{"deadLetterTargetArn":"egress-dead-letters.arn"}` {
			t.Errorf("%s: redrive policy %v", name, got)
		}
	}
	var text strings.Builder
	for _, typ := range []string{"aws:sqs/queuePolicy:QueuePolicy", "aws:sns/topicPolicy:TopicPolicy"} {
		for _, o := range made.Objects {
			if o.Type == typ {
				fmt.Fprintf(&text, "# %s\n%s\n", o.Name, indent(t, o.Inputs["policy"].(string)))
			}
		}
	}
	recorder.GoldenText(t, "policies", text.String(), "who may send to the queue and the topics")
}

func indent(t *testing.T, document string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestThePatternOfTheEvents(t *testing.T) {
	pattern, err := failover.Pattern(strings.Repeat("g", 255))
	if err != nil {
		t.Fatal(err)
	}
	if len(pattern) > 2048 {
		t.Errorf("%d characters, EventBridge takes 2048", len(pattern))
	}
	pattern, err = failover.Pattern("polynat-dev-egress-eu-west-1a")
	if err != nil {
		t.Fatal(err)
	}
	recorder.GoldenText(t, "pattern", indent(t, pattern)+"\n", "what the controller learns of")
}

func TestTheStateBelongsToTheController(t *testing.T) {
	state := run(t, newArgs(t, 1), recorder.Options{}).Named("aws:ssm/parameter:Parameter")["egress-state-eu-west-1a"]
	if !slices.Equal(state.IgnoreChanges, []string{"value"}) || state.Inputs["type"] != "String" || state.Inputs["value"] != "{}" {
		t.Errorf("ignores changes of %v, inputs %v", state.IgnoreChanges, state.Inputs)
	}
}

func TestWithoutEndpointsThereAreNoneAndTheirGroupNeither(t *testing.T) {
	args := newArgs(t, 2)
	const endpoint, group, ingress = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/securityGroup:SecurityGroup", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	made := run(t, args, recorder.Options{})
	if len(made.Named(endpoint)) != 0 || len(made.Named(group)) != 1 || len(made.Named(ingress)) != 0 {
		t.Errorf("%d endpoints, %d groups, %d ingress rules", len(made.Named(endpoint)), len(made.Named(group)), len(made.Named(ingress)))
	}
	args.Endpoints = []string{"ec2", "com.example.service"}
	for partition, want := range map[string][]string{
		"aws":        {"com.amazonaws.eu-west-1.ec2", "com.example.service"},
		"aws-cn":     {"cn.com.amazonaws.eu-west-1.ec2", "com.example.service"},
		"aws-us-gov": {"com.amazonaws.eu-west-1.ec2", "com.example.service"},
	} {
		args.Account.Partition = partition
		made := run(t, args, recorder.Options{})
		for i, service := range args.Endpoints {
			got := made.Named(endpoint)["egress-endpoint-"+service].Inputs
			if got["serviceName"] != want[i] || !cmp.Equal(got["subnetIds"], []any{"subnet-eu-west-1a", "subnet-eu-west-1b"}) {
				t.Errorf("%s: %s: %v, want %s in one subnet of each zone", partition, service, got, want[i])
			}
		}
	}
}

func TestAGivenTopicIsUsedAndNoneIsMade(t *testing.T) {
	args := newArgs(t, 1)
	args.AlertTopicARN = "arn:aws:sns:eu-west-1:123456789012:people"
	made := run(t, args, recorder.Options{})
	if _, ok := made.Named("aws:sns/topic:Topic")["egress-alerts"]; ok {
		t.Error("a topic is made")
	}
	if got := document(t, made, "egress-controller-eu-west-1a", natzone.ControllerVariable, natzone.ParseController).AlertTopic; got != args.AlertTopicARN {
		t.Errorf("the controller alerts %s", got)
	}
}

func TestSubscribersAreToldByTheirKind(t *testing.T) {
	args := newArgs(t, 1)
	args.Subscribers = []string{"oncall@example.com", "https://pager.example/hook"}
	subscriptions := run(t, args, recorder.Options{}).Named(subscriptionType)
	for to, want := range map[string]string{"oncall@example.com": "email", "https://pager.example/hook": "https"} {
		if got := subscriptions["egress-subscription-"+to].Inputs; got["protocol"] != want || got["endpoint"] != to {
			t.Errorf("%s: %v, want %s", to, got, want)
		}
	}
}

func TestRemovingTheFirstZoneTouchesOnlyIt(t *testing.T) {
	args := newArgs(t, 3)
	inputs := map[string]map[string]any{}
	for _, o := range run(t, args, recorder.Options{}).Objects {
		inputs[o.URN] = o.Inputs
	}
	delete(args.Zones, "eu-west-1a")
	for _, o := range run(t, args, recorder.Options{}).Objects {
		if diff := cmp.Diff(inputs[o.URN], o.Inputs); diff != "" {
			t.Errorf("%s changes:\n%s", o.URN, diff)
		}
		delete(inputs, o.URN)
	}
	for urn := range inputs {
		if !strings.Contains(urn, "eu-west-1a") {
			t.Errorf("%s goes too", urn)
		}
	}
}

func TestTheGraphIsTheSameAtEveryRun(t *testing.T) {
	args := newArgs(t, 3)
	want := run(t, args, recorder.Options{}).URNs()
	for range 5 {
		if diff := cmp.Diff(want, run(t, args, recorder.Options{}).URNs()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTooManyRouteTablesForTheEnvironmentAreRefusedWithTheZone(t *testing.T) {
	args := newArgs(t, 1)
	zone := args.Zones["eu-west-1a"]
	var tables []string
	for i := range 150 {
		tables = append(tables, fmt.Sprintf("rtb-%017d", i))
	}
	zone.RouteTables = pulumi.ToStringArray(tables)
	args.Zones["eu-west-1a"] = zone
	_, err := recorder.Run(program(args, nil), recorder.Options{})
	if err == nil || !strings.Contains(err.Error(), "zone eu-west-1a: its route tables and targets make") {
		t.Errorf("error %v", err)
	}
}

func TestAFailureAtAnyRegistrationFailsTheUpdate(t *testing.T) {
	recorder.FailsAnywhere(t, program(newArgs(t, 1), nil), recorder.Options{})
}

func TestTheGroupsWaitForWhatTellsTheController(t *testing.T) {
	var ready []pulumi.Resource
	made, err := recorder.Run(program(newArgs(t, 2), func(f *failover.Failover) { ready = f.Ready }), recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, typ := range []string{functionType, invocationsType, permissionType, ruleType, targetType, subscriptionType, "aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy", "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy", "aws:ssm/parameter:Parameter"} {
		want += len(made.Named(typ))
	}
	if len(ready) != want {
		t.Errorf("%d resources, want %d", len(ready), want)
	}
}
