package failover

import (
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// policy is a resource policy; its statements and their parts are in the order in which they are written.
type policy struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Sid       string                       `json:"Sid"`
	Effect    string                       `json:"Effect"`
	Principal any                          `json:"Principal"`
	Action    string                       `json:"Action"`
	Resource  string                       `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition"`
}

func (b *builder) policy(statements ...statement) pulumi.StringOutput {
	return pulumi.JSONMarshal(policy{Version: "2012-10-17", Statement: statements})
}

// encrypted denies what does not come over TLS.
func encrypted(action, resource string) statement {
	return statement{
		Sid: "OnlyEncrypted", Effect: "Deny", Principal: "*", Action: action, Resource: resource,
		Condition: map[string]map[string]string{"Bool": {"aws:SecureTransport": "false"}},
	}
}

// service allows an AWS service to act for the sources of this component alone.
func service(sid, name, action, resource, source string) statement {
	return statement{
		Sid: sid, Effect: "Allow", Principal: map[string]string{"Service": name}, Action: action, Resource: resource,
		Condition: map[string]map[string]string{"ArnLike": {"aws:SourceArn": source}},
	}
}

const (
	sendMessage = "sqs:SendMessage"
	publish     = "sns:Publish"
	// twoWeeks is the longest that SQS keeps a message.
	twoWeeks = 14 * 24 * 60 * 60
)

// deadLetters is the queue of what could not be delivered: by the rules and the topic, whom its policy lets in, and by the
// Lambda service, which uses the roles of the functions.
func (b *builder) deadLetters() error {
	a, name := b.args, b.args.Names.DeadLetters()
	queue, err := sqs.NewQueue(b.ctx, b.childName("dead-letters"), &sqs.QueueArgs{
		Name: pulumi.String(name), MessageRetentionSeconds: pulumi.Int(twoWeeks), SqsManagedSseEnabled: pulumi.Bool(true), Tags: b.tags(),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	arn := a.Account.ARN("sqs", name)
	allowed, err := sqs.NewQueuePolicy(b.ctx, b.childName("dead-letters-policy"), &sqs.QueuePolicyArgs{
		QueueUrl: queue.Url, Policy: b.policy(
			service("Rules", "events.amazonaws.com", sendMessage, arn, a.Account.ARN("events", "rule/"+a.Names.Prefix+"-*")),
			service("Topic", "sns.amazonaws.com", sendMessage, arn, a.Account.ARN("sns", a.Names.LifecycleTopic())),
			encrypted("sqs:*", arn),
		),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.DeadLettersURL, b.deadLettersARN = queue.Url, queue.Arn
	b.ready(queue, allowed)
	return nil
}

// lifecycleTopic takes the notices of the groups, from the role that they publish with.
func (b *builder) lifecycleTopic() error {
	a, name := b.args, b.args.Names.LifecycleTopic()
	topic, err := sns.NewTopic(b.ctx, b.childName("lifecycle"), &sns.TopicArgs{Name: pulumi.String(name), Tags: b.tags()}, b.childOpts()...)
	if err != nil {
		return err
	}
	arn := a.Account.ARN("sns", name)
	account := "arn:" + a.Account.Partition + ":iam::" + a.Account.ID
	allowed, err := sns.NewTopicPolicy(b.ctx, b.childName("lifecycle-policy"), &sns.TopicPolicyArgs{
		Arn: topic.Arn, Policy: b.policy(
			// The account as principal, not the role: a policy that names a role which is not there yet is refused.
			statement{
				Sid: "Groups", Effect: "Allow", Principal: map[string]string{"AWS": account + ":root"}, Action: publish, Resource: arn,
				Condition: map[string]map[string]string{"ArnEquals": {"aws:PrincipalArn": account + ":role/" + a.Names.NoticeRole(a.Account.Region)}},
			},
			encrypted(publish, arn),
		),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.LifecycleTopicARN = topic.Arn
	b.ready(topic, allowed)
	return nil
}

// alertTopic is for people: alarms of CloudWatch, and what the controllers have to say.
func (b *builder) alertTopic() error {
	a, name := b.args, b.args.Names.AlertTopic()
	if a.AlertTopicARN != "" {
		b.component.AlertTopicARN = pulumi.String(a.AlertTopicARN).ToStringOutput()
		return nil
	}
	topic, err := sns.NewTopic(b.ctx, b.childName("alerts"), &sns.TopicArgs{Name: pulumi.String(name), Tags: b.tags()}, b.childOpts()...)
	if err != nil {
		return err
	}
	arn := a.Account.ARN("sns", name)
	allowed, err := sns.NewTopicPolicy(b.ctx, b.childName("alerts-policy"), &sns.TopicPolicyArgs{
		Arn: topic.Arn, Policy: b.policy(
			service("Alarms", "cloudwatch.amazonaws.com", publish, arn, a.Account.ARN("cloudwatch", "alarm:"+a.Names.Prefix+"-*")),
			encrypted(publish, arn),
		),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.AlertTopicARN = topic.Arn
	b.ready(topic, allowed)
	for _, to := range a.Subscribers {
		protocol := "email"
		if strings.HasPrefix(to, "https://") {
			protocol = "https"
		}
		if _, err := sns.NewTopicSubscription(b.ctx, b.childName("subscription-"+to), &sns.TopicSubscriptionArgs{
			Topic: topic.Arn, Protocol: pulumi.String(protocol), Endpoint: pulumi.String(to),
		}, b.childOpts()...); err != nil {
			return err
		}
	}
	return nil
}
