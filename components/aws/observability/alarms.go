package observability

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
	"polynat/internal/natzone"
)

// alarm is one in plain values. Its periods are one after the other, and all have to be bad.
type alarm struct {
	// key ends the names of the alarm, in Pulumi and in the cloud; message says what has happened, and what to do.
	key, message string
	// namespace, metric and dimensions; or expression over metrics.
	namespace, metric string
	dimensions        map[string]string
	expression        string
	metrics           map[string]string // by the name that expression uses
	statistic         string
	comparison        string
	threshold         float64
	// period in seconds, and how many of them.
	period, periods int
	// missing says what a period without data counts as.
	missing string
}

// What is known of a period without data.
const (
	bad  = "breaching"
	good = "notBreaching"
	same = "ignore" // as the one before
)

const (
	above   = "GreaterThanThreshold"
	atLeast = "GreaterThanOrEqualToThreshold"
	below   = "LessThanThreshold"
)

const minute = 60

// searches per new connection from which the ports to one destination are short. A port that is tried at random is taken with
// the share of ports in use: 0.8 of them is 0.8/(1-0.8) = 4 taken ones for every free one.
const searches = 4

// zoneAlarms of one zone.
func zoneAlarms(z names.Zone, hasStandby bool, dimensions map[string]string) []alarm {
	own := func(a alarm) alarm {
		a.namespace, a.dimensions = natzone.MetricNamespace, dimensions
		return a
	}
	alarms := []alarm{
		own(alarm{
			key: "prober-silent", message: "The prober has not reported for more than three minutes: nobody would notice if the NAT instance failed. Look at its log group.",
			metric: natzone.MetricProbes, statistic: "Sum", comparison: below, threshold: 1, period: minute, periods: 3, missing: bad,
		}),
		{
			key: "no-instance", message: "No NAT instance has been in service for ten minutes. Look at the activities of the Auto Scaling group.",
			namespace: "AWS/AutoScaling", metric: "GroupInServiceInstances", dimensions: map[string]string{"AutoScalingGroupName": z.Group()},
			statistic: "Maximum", comparison: below, threshold: 1, period: minute, periods: 10, missing: same,
		},
		own(alarm{
			key: "connections", message: "More than 80 % of the connections that can be tracked are in use. Use a larger instance type, or a shorter timeout of idle connections.",
			metric: natzone.MetricConnectionUse, statistic: "Maximum", comparison: above, threshold: 80, period: minute, periods: 3, missing: good,
		}),
		own(alarm{
			key: "ports", message: "Ports to one destination run out, or have: new connections fail. Spread the clients over zones, or the connections over destinations.",
			expression: fmt.Sprintf("IF(FILL(failures, 0) > 0 OR FILL(searches, 0) > %d, 1, 0)", searches),
			metrics:    map[string]string{"failures": natzone.MetricInsertFailures, "searches": natzone.MetricPortSearches},
			statistic:  "Maximum", comparison: atLeast, threshold: 1, period: minute, periods: 3, missing: good,
		}),
		own(alarm{
			key: "allowance", message: "The instance type has throttled traffic for a quarter of an hour. Use a larger one.",
			metric: natzone.MetricAllowanceExceeded, statistic: "Sum", comparison: above, threshold: 0, period: 5 * minute, periods: 3, missing: good,
		}),
	}
	if hasStandby {
		alarms = append(alarms, own(alarm{
			key: "on-standby", message: "The zone has used its standby gateway for more than 15 minutes, at the gateway's price. Look at the NAT instance.",
			metric: natzone.MetricOnStandby, statistic: "Minimum", comparison: atLeast, threshold: 1, period: minute, periods: 15, missing: same,
		}), own(alarm{
			key: "left-ready", message: "The zone left an instance that called itself ready: the path failed where the instance does not see it. Look at the network ACLs, the targets and the status checks.",
			metric: natzone.MetricLeftReady, statistic: "Sum", comparison: above, threshold: 0, period: minute, periods: 1, missing: good,
		}), own(alarm{
			key: "standby-broken", message: "The standby gateway does not work: if the NAT instance fails, the zone has no way out.",
			metric: natzone.MetricStandbyBroken, statistic: "Maximum", comparison: atLeast, threshold: 1, period: minute, periods: 2, missing: same,
		}))
	}
	return alarms
}

// deadLetters of all zones.
func deadLetters(n names.Component) alarm {
	return alarm{
		key: "dead-letters", message: "Events for the prober or the controller could not be delivered, or made them fail. Read the queue, and the log groups.",
		namespace: "AWS/SQS", metric: "ApproximateNumberOfMessagesVisible", dimensions: map[string]string{"QueueName": n.DeadLetters()},
		statistic: "Maximum", comparison: above, threshold: 0, period: minute, periods: 1, missing: good,
	}
}

func (b *builder) allAlarms() error {
	for _, zone := range sorted(b.args.Zones) {
		z := b.args.Zones[zone]
		for _, a := range zoneAlarms(z.Names, z.HasStandby, b.args.dimensions(zone)) {
			if err := b.alarm(zone+"-"+a.key, z.Names.Prefix+"-"+a.key, zone+": "+a.message, a); err != nil {
				return err
			}
		}
	}
	a := deadLetters(b.args.Names)
	return b.alarm(a.key, b.args.Names.Prefix+"-"+a.key, a.message, a)
}

// dimensions of a zone's metrics.
func (a *Args) dimensions(zone string) map[string]string {
	return map[string]string{natzone.DimensionName: a.Name, natzone.DimensionZone: zone}
}

func (b *builder) alarm(key, name, message string, a alarm) error {
	args := &cloudwatch.MetricAlarmArgs{
		Name: pulumi.String(name), AlarmDescription: pulumi.String(message), ComparisonOperator: pulumi.String(a.comparison),
		Threshold: pulumi.Float64(a.threshold), EvaluationPeriods: pulumi.Int(a.periods), TreatMissingData: pulumi.String(a.missing),
		AlarmActions: pulumi.Array{b.args.AlertTopicARN}, OkActions: pulumi.Array{b.args.AlertTopicARN}, Tags: pulumi.ToStringMap(b.args.Tags),
	}
	if a.expression == "" {
		args.Namespace, args.MetricName, args.Dimensions = pulumi.String(a.namespace), pulumi.String(a.metric), pulumi.ToStringMap(a.dimensions)
		args.Statistic, args.Period = pulumi.String(a.statistic), pulumi.Int(a.period)
	} else {
		args.MetricQueries = a.queries()
	}
	// An alarm that is there before its metric tells people of silence, and a minute later that all is well.
	made, err := cloudwatch.NewMetricAlarm(b.ctx, b.childName(key), args, b.childOpts(pulumi.DependsOn(b.args.After))...)
	if err != nil {
		return err
	}
	b.alarms[key] = made.Arn
	return nil
}

// queries of an alarm on an expression.
func (a alarm) queries() cloudwatch.MetricAlarmMetricQueryArray {
	queries := cloudwatch.MetricAlarmMetricQueryArray{cloudwatch.MetricAlarmMetricQueryArgs{
		Id: pulumi.String("alarm"), Expression: pulumi.String(a.expression), Label: pulumi.String(a.key), ReturnData: pulumi.Bool(true),
	}}
	for _, id := range sorted(a.metrics) {
		queries = append(queries, cloudwatch.MetricAlarmMetricQueryArgs{Id: pulumi.String(id), Metric: cloudwatch.MetricAlarmMetricQueryMetricArgs{
			Namespace: pulumi.String(a.namespace), MetricName: pulumi.String(a.metrics[id]), Dimensions: pulumi.ToStringMap(a.dimensions),
			Period: pulumi.Int(a.period), Stat: pulumi.String(a.statistic),
		}})
	}
	return queries
}
