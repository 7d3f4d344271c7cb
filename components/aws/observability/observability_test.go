package observability_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/names"
	"polynat/components/aws/observability"
	"polynat/internal/cost"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

const (
	alarmType     = "aws:cloudwatch/metricAlarm:MetricAlarm"
	dashboardType = "aws:cloudwatch/dashboard:Dashboard"
)

func newArgs(zones ...string) *observability.Args {
	component := names.Component{Prefix: "polynat-dev-egress"}
	args := &observability.Args{
		Name: "egress", Names: component, Account: access.Account{ID: "123456789012", Region: "eu-west-1", Partition: "aws"},
		Zones: map[string]observability.Zone{}, AlertTopicARN: pulumi.String("topic"), Detection: natzone.DefaultDetection(),
		Alarms: true, Dashboard: true, Tags: map[string]string{"team": "network"},
	}
	for _, zone := range zones {
		args.Zones[zone] = observability.Zone{Names: component.Zone(zone), Standby: pulumi.String("nat-" + zone), HasStandby: true}
	}
	return args
}

func program(args *observability.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		mine := *args
		var err error
		if mine.Provider, err = aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")}); err != nil {
			return err
		}
		groups, err := ec2.NewEip(ctx, "groups", nil, pulumi.Provider(mine.Provider))
		if err != nil {
			return err
		}
		mine.After = []pulumi.Resource{groups}
		_, err = observability.New(ctx, "egress", &mine)
		return err
	}
}

func run(t *testing.T, args *observability.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheComponentFollowsTheRules(t *testing.T) {
	args := newArgs("eu-west-1a", "eu-west-1b")
	made := run(t, args, recorder.Options{})
	made.Check(t)
	preview := run(t, args, recorder.Options{DryRun: true})
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
	for range 5 {
		recorder.SameGraph(t, made, run(t, args, recorder.Options{}))
	}
}

// The golden file says when each alarm goes off.
func TestTheAlarms(t *testing.T) {
	var text strings.Builder
	for _, o := range run(t, newArgs("eu-west-1a"), recorder.Options{}).Objects {
		if o.Type != alarmType {
			continue
		}
		in := o.Inputs
		if !cmp.Equal(in["alarmActions"], []any{"topic"}) || !cmp.Equal(in["okActions"], []any{"topic"}) {
			t.Errorf("%s: tells %v, and of its end %v", o.Name, in["alarmActions"], in["okActions"])
		}
		if !slices.ContainsFunc(o.Dependencies, func(urn string) bool { return strings.HasSuffix(urn, "::groups") }) {
			t.Errorf("%s: is there before its metrics: waits for %v", o.Name, o.Dependencies)
		}
		if !strings.HasPrefix(in["name"].(string), "polynat-dev-egress-") {
			t.Errorf("%s: the policy of the topic does not let %s in", o.Name, in["name"])
		}
		fmt.Fprintf(&text, "%s: %s\n", o.Name, in["alarmDescription"])
		what := fmt.Sprintf("%v %v%v of %v", in["statistic"], in["namespace"], in["dimensions"], in["metricName"])
		period := in["period"]
		if queries, ok := in["metricQueries"].([]any); ok {
			what = fmt.Sprint(queries[0].(map[string]any)["expression"])
			for _, q := range queries[1:] {
				m := q.(map[string]any)["metric"].(map[string]any)
				what += fmt.Sprintf("\n    %v: %v %v%v of %v", q.(map[string]any)["id"], m["stat"], m["namespace"], m["dimensions"], m["metricName"])
				period = m["period"]
			}
		}
		fmt.Fprintf(&text, "  %s\n  %v %v, %v times %v s; without data: %v\n", what, in["comparisonOperator"], in["threshold"], in["evaluationPeriods"], period, in["treatMissingData"])
	}
	recorder.GoldenText(t, "alarms", text.String(), "when people are told, and what")
}

func TestTheDashboard(t *testing.T) {
	body := run(t, newArgs("eu-west-1a", "eu-west-1b"), recorder.Options{}).Named(dashboardType)["egress-dashboard"].Inputs["dashboardBody"].(string)
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	recorder.GoldenText(t, "dashboard", string(text)+"\n", "what people see")
	for _, metric := range natzone.Metrics() {
		if !strings.Contains(body, `"`+metric+`"`) {
			t.Errorf("%s is on no graph", metric)
		}
	}
}

func TestZonesThatShareAGatewayShowItOnceAndThoseWithoutShowNone(t *testing.T) {
	args := newArgs("eu-west-1a", "eu-west-1b", "eu-west-1c")
	for zone, standby := range map[string]string{"eu-west-1a": "nat-shared", "eu-west-1b": "nat-shared", "eu-west-1c": ""} {
		z := args.Zones[zone]
		z.Standby, z.HasStandby = pulumi.String(standby), standby != ""
		args.Zones[zone] = z
	}
	made := run(t, args, recorder.Options{})
	body := made.Named(dashboardType)["egress-dashboard"].Inputs["dashboardBody"].(string)
	if got := strings.Count(body, `"NatGatewayId"`); got != 1 {
		t.Errorf("%d lines of gateways, want 1", got)
	}
	for _, kind := range []string{"on-standby", "left-ready", "standby-broken"} {
		if _, ok := made.Named(alarmType)["egress-eu-west-1c-"+kind]; ok {
			t.Errorf("there is an alarm %s for a zone without standby", kind)
		}
	}
}

func TestAlarmsAndDashboardCanBeLeftOut(t *testing.T) {
	for _, test := range []struct{ alarms, dashboard bool }{{false, true}, {true, false}, {false, false}} {
		args := newArgs("eu-west-1a")
		args.Alarms, args.Dashboard = test.alarms, test.dashboard
		made := run(t, args, recorder.Options{})
		made.Check(t)
		if got := len(made.Named(alarmType)) > 0; got != test.alarms {
			t.Errorf("%v: alarms: %v", test, got)
		}
		if got := len(made.Named(dashboardType)) > 0; got != test.dashboard {
			t.Errorf("%v: dashboard: %v", test, got)
		}
		if test.dashboard {
			if body := made.Named(dashboardType)["egress-dashboard"].Inputs["dashboardBody"].(string); strings.Contains(body, ":alarm:") {
				t.Errorf("%v: the dashboard shows alarms that are not there", test)
			}
		}
	}
}

func TestTheDashboardShowsTheAlarmsThatThereAre(t *testing.T) {
	args := newArgs("eu-west-1a", "eu-west-1b")
	made := run(t, args, recorder.Options{})
	body := made.Named(dashboardType)["egress-dashboard"].Inputs["dashboardBody"].(string)
	var want []string
	for _, o := range made.Named(alarmType) {
		arn := args.Account.ARN("cloudwatch", "alarm:"+o.Inputs["name"].(string))
		want = append(want, arn)
		if !strings.Contains(body, `"`+arn+`"`) {
			t.Errorf("%s is not shown", arn)
		}
	}
	if got := strings.Count(body, ":alarm:"); got != len(want) {
		slices.Sort(want)
		t.Errorf("%d alarms are shown, there are %v", got, want)
	}
}

func TestThePriceCountsNoFewerAlarmsThanThereAre(t *testing.T) {
	for _, zones := range [][]string{{"eu-west-1a"}, {"eu-west-1a", "eu-west-1b", "eu-west-1c"}} {
		alarms := len(run(t, newArgs(zones...), recorder.Options{}).Named(alarmType))
		if counted := cost.Alarms * len(zones); counted < alarms || counted >= alarms+len(zones) {
			t.Errorf("%d zones have %d alarms, the price counts %d", len(zones), alarms, counted)
		}
	}
}
