package failover

import (
	"encoding/json"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// schedule starts the prober each minute, at its beginning: probers hand over by the clock, and a rate would have its minutes
// begin whenever the rule was made. What cannot be delivered in that minute is for the next.
func (b *builder) schedule(zone string, z Zone, made *functions) error {
	return b.rule("schedule", zone, &cloudwatch.EventRuleArgs{
		Name: pulumi.String(z.Names.Schedule()), Description: pulumi.String("polynat: starts the prober of " + zone),
		ScheduleExpression: pulumi.String("cron(* * * * ? *)"), Tags: b.tags(),
	}, made.prober, retries{attempts: 0, age: 60})
}

// events tell the controller what happens to the instances of its group.
func (b *builder) events(zone string, z Zone, made *functions) error {
	pattern, err := Pattern(z.Names.Group())
	if err != nil {
		return err
	}
	return b.rule("events", zone, &cloudwatch.EventRuleArgs{
		Name: pulumi.String(z.Names.Events()), Description: pulumi.String("polynat: tells the controller of " + zone + " what happens to instances"),
		EventPattern: pulumi.String(pattern), Tags: b.tags(),
	}, made.controller, retries{attempts: 10, age: 300})
}

// retries of a delivery: attempts, and the age in seconds after which it is a dead letter.
type retries struct{ attempts, age int }

// rule makes a rule with its one target.
func (b *builder) rule(kind, zone string, args *cloudwatch.EventRuleArgs, f *lambda.Function, again retries) error {
	rule, err := cloudwatch.NewEventRule(b.ctx, b.childName(kind+"-"+zone), args, b.childOpts()...)
	if err != nil {
		return err
	}
	b.zones[zone].rules[kind] = rule.Arn
	allowed, err := b.permission(kind+"-permission-"+zone, f, "events.amazonaws.com", rule.Arn)
	if err != nil {
		return err
	}
	target, err := cloudwatch.NewEventTarget(b.ctx, b.childName(kind+"-target-"+zone), &cloudwatch.EventTargetArgs{
		Rule: rule.Name, TargetId: pulumi.String("function"), Arn: f.Arn,
		RetryPolicy: &cloudwatch.EventTargetRetryPolicyArgs{
			MaximumRetryAttempts: pulumi.Int(again.attempts), MaximumEventAgeInSeconds: pulumi.Int(again.age),
		},
		DeadLetterConfig: &cloudwatch.EventTargetDeadLetterConfigArgs{Arn: b.deadLettersARN},
	}, b.childOpts(pulumi.DependsOn([]pulumi.Resource{allowed}))...)
	b.ready(rule, target)
	return err
}

// Pattern of the events that concern a group. Those of EC2 name an instance and not its group: all instances of the region would be in
// the queue before a verdict. What they tell, the agent on the instance and the prober find out as soon.
func Pattern(group string) (string, error) {
	type pattern = map[string]any
	text, err := json.Marshal(pattern{"$or": []pattern{
		{
			"source": []string{"aws.autoscaling"},
			"detail-type": []string{
				"EC2 Instance-launch Lifecycle Action", "EC2 Instance-terminate Lifecycle Action", "EC2 Instance Launch Unsuccessful", "EC2 Instance Terminate Successful",
			},
			"detail": pattern{"AutoScalingGroupName": []string{group}},
		},
		{
			"source": []string{"aws.health"}, "detail-type": []string{"AWS Health Event"},
			"detail": pattern{"service": []string{"EC2"}, "eventTypeCategory": []string{"issue", "scheduledChange"}},
		},
	}})
	return string(text), err
}
