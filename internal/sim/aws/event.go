package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"polynat/internal/sim"
)

// Types of the provider that events look at.
const (
	ruleType         = "aws:cloudwatch/eventRule:EventRule"
	targetType       = "aws:cloudwatch/eventTarget:EventTarget"
	subscriptionType = "aws:sns/topicSubscription:TopicSubscription"
	topicType        = "aws:sns/topic:Topic"
	scheduleType     = "aws:scheduler/schedule:Schedule"
)

// tellEvent puts an event on the default bus.
func (c *Cloud) tellEvent(s *state, source, detailType string, resources []string, detail map[string]any) {
	s.Next["event"]++
	event := map[string]any{
		"version": "0", "id": fmt.Sprintf("%08x-0000-4000-8000-000000000000", s.Next["event"]), "detail-type": detailType, "source": source,
		"account": c.opts.Account, "time": s.Now.UTC().Format(time.RFC3339), "region": c.opts.Region, "resources": resources, "detail": detail,
	}
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings and maps of strings
	}
	var targets []string
	var plain any
	for _, id := range sorted(s.Declared[ruleType]) {
		rule := s.Declared[ruleType][id].Inputs
		pattern := sim.Text(rule, "eventPattern")
		if pattern == "" || sim.Text(rule, "state") == "DISABLED" || sim.Text(rule, "eventBusName") != "default" {
			continue
		}
		if plain == nil {
			if err := json.Unmarshal(payload, &plain); err != nil {
				panic(err) // it was just marshaled
			}
		}
		if patternOf(pattern).matches(plain) {
			for _, t := range targetsOf(s, id) {
				targets = append(targets, t.ARN)
			}
		}
	}
	c.publishEvent(s, Event{Source: FromEventBridge, Time: s.Now, DetailType: detailType, Payload: payload, Targets: targets})
}

// EndStrangers tells of instances that end and belong to somebody else in the account: n of them, with no other effect.
func (c *Cloud) EndStrangers(n int) error {
	return c.change(func(s *state) error {
		for i := range n {
			id := fmt.Sprintf("i-%017x", 0xfffff000+i)
			c.tellEvent(s, "aws.ec2", "EC2 Instance State-change Notification", []string{c.instanceARN(id)}, map[string]any{"instance-id": id, "state": StateShuttingDown})
		}
		return nil
	})
}

// healthPage is how many entities a page of an AWS Health event holds here; the real one is filled by size.
const healthPage = 2

// TellHealth tells by AWS Health that instances are affected, as of an event type such as
// "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED": in pages, and a second time as the copy that a backup Region sends. All have one
// communicationId.
func (c *Cloud) TellHealth(code, category string, instances ...string) error {
	return c.change(func(s *state) error {
		s.Next["health"]++
		when := func(t time.Time) string { return t.UTC().Format("Mon, 2 Jan 2006 15:04:05 GMT") }
		id := fmt.Sprintf("health-%d", s.Next["health"])
		pages := slices.Collect(slices.Chunk(instances, healthPage))
		for _, backup := range []string{"false", "true"} {
			for i, page := range pages {
				var entities []any
				var arns []string
				for _, instance := range page {
					entities = append(entities, map[string]any{"entityValue": instance, "status": "IMPAIRED", "lastUpdatedTime": when(s.Now)})
					arns = append(arns, c.instanceARN(instance))
				}
				c.tellEvent(s, "aws.health", "AWS Health Event", arns, map[string]any{
					"eventArn": c.arn("health", "event/EC2/"+code+"/"+id), "service": "EC2", "eventTypeCode": code, "eventTypeCategory": category, "eventScopeCode": "ACCOUNT_SPECIFIC",
					"communicationId": id, "startTime": when(s.Now), "lastUpdatedTime": when(s.Now), "statusCode": "open", "eventRegion": c.opts.Region,
					"eventDescription": []any{map[string]any{"language": "en_US", "latestDescription": code}}, "affectedEntities": entities,
					"page": fmt.Sprint(i + 1), "totalPages": fmt.Sprint(len(pages)), "backupEvent": backup, "affectedAccount": c.opts.Account,
				})
			}
		}
		return nil
	})
}

// publishEvent sends an event to the outside, and to the simulated controllers.
func (c *Cloud) publishEvent(s *state, e Event) {
	c.emit(e)
	if c.opts.Agent == AgentSimulated {
		c.controllersHear(s, e)
	}
}

// targetsOf are the targets of a rule.
func targetsOf(s *state, rule string) []RuleTarget {
	var out []RuleTarget
	for _, id := range s.TargetsOf[rule] {
		if d := s.Declared[targetType][id]; d != nil {
			out = append(out, RuleTarget{ID: sim.Text(d.Outputs, "targetId"), ARN: sim.Text(d.Inputs, "arn"), Input: sim.Text(d.Inputs, "input")})
		}
	}
	return out
}

// tellGroup tells of a group.
func (c *Cloud) tellGroup(s *state, g *scalingGroup, detailType string, detail map[string]any) {
	resources := []string{g.AutoScalingGroupARN}
	full := map[string]any{"AutoScalingGroupName": g.AutoScalingGroupName}
	for k, v := range detail {
		full[k] = v
		if k == "EC2InstanceId" {
			resources = append(resources, c.instanceARN(fmt.Sprint(v)))
		}
	}
	c.tellEvent(s, "aws.autoscaling", detailType, resources, full)
}

// tellHook tells that an instance waits for a hook, by EventBridge and to the hook's target.
func (c *Cloud) tellHook(s *state, g *scalingGroup, h hook, m *machine, token string) {
	detailType, origin, to := "EC2 Instance-launch Lifecycle Action", "EC2", "AutoScalingGroup"
	if h.Transition == terminating {
		detailType, origin, to = "EC2 Instance-terminate Lifecycle Action", to, origin
	}
	detail := map[string]any{
		"LifecycleActionToken": token, "AutoScalingGroupName": g.AutoScalingGroupName, "LifecycleHookName": h.Name, "EC2InstanceId": m.InstanceID,
		"LifecycleTransition": h.Transition, "Origin": origin, "Destination": to,
	}
	if h.Metadata != "" {
		detail["NotificationMetadata"] = h.Metadata
	}
	c.tellEvent(s, "aws.autoscaling", detailType, []string{g.AutoScalingGroupARN}, detail)
	if h.TargetARN == "" {
		return
	}
	detail["Service"], detail["Time"], detail["AccountId"], detail["RequestId"] = "AWS Auto Scaling", s.Now.UTC().Format(time.RFC3339Nano), c.opts.Account, token
	c.notify(s, h.TargetARN, h.Transition, detail)
}

// testHook is the notice that a new hook's target gets: without transition, instance and token.
func (c *Cloud) testHook(s *state, g *scalingGroup, h hook) {
	c.notify(s, h.TargetARN, "autoscaling:TEST_NOTIFICATION", map[string]any{
		"AccountId": c.opts.Account, "RequestId": g.AutoScalingGroupName, "AutoScalingGroupARN": g.AutoScalingGroupARN,
		"AutoScalingGroupName": g.AutoScalingGroupName, "Service": "AWS Auto Scaling", "Event": "autoscaling:TEST_NOTIFICATION",
		"Time": s.Now.UTC().Format(time.RFC3339Nano),
	})
}

// notify publishes a notice of Auto Scaling to a topic.
func (c *Cloud) notify(s *state, topic, name string, message map[string]any) {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // strings
	}
	c.send(s, topic, "Auto Scaling: "+name, string(text), name)
}

// send publishes a message to a topic, which wraps it for its subscribers.
func (c *Cloud) send(s *state, topic, subject, message, name string) string {
	s.Next["message"]++
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", s.Next["message"])
	payload, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": topic + ":" + id,
		"Sns": map[string]any{
			"Type": "Notification", "MessageId": id, "TopicArn": topic, "Subject": subject, "Message": message,
			"Timestamp": s.Now.UTC().Format("2006-01-02T15:04:05.000Z"), "MessageAttributes": map[string]any{},
		},
	}}})
	if err != nil {
		panic(err) // strings
	}
	var targets []string
	for _, sub := range s.SubscriptionsOf[topic] {
		if d := s.Declared[subscriptionType][sub]; d != nil {
			targets = append(targets, sim.Text(d.Inputs, "endpoint"))
		}
	}
	c.publishEvent(s, Event{Source: FromSNS, Time: s.Now, DetailType: name, Payload: payload, Targets: targets})
	return id
}

// Publish sends a message to a topic and returns its id.
func (c *Cloud) Publish(in PublishInput) (id string, err error) {
	err = c.call("", func(s *state) error {
		if _, ok := s.Declared[topicType][in.TopicARN]; !ok {
			return &Error{Code: "NotFound", Message: "Topic does not exist", Status: 404}
		}
		s.Sent = append(s.Sent, in)
		id = c.send(s, in.TopicARN, in.Subject, in.Message, in.Subject)
		return nil
	})
	return id, err
}

// Published returns what [Cloud.Publish] was given.
func (c *Cloud) Published() []PublishInput {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.Sent)
}

// PutMetricData keeps metrics.
func (c *Cloud) PutMetricData(data ...Datum) error {
	return c.call("", func(s *state) error {
		for _, d := range data {
			if strings.HasPrefix(d.Namespace, "AWS/") || d.Namespace == "" || d.MetricName == "" {
				return refuse("InvalidParameterValue", "The value %s for parameter Namespace or MetricName is invalid.", d.Namespace)
			}
		}
		s.Metrics = append(s.Metrics, data...)
		return nil
	})
}

// Metrics returns what [Cloud.PutMetricData] was given.
func (c *Cloud) Metrics() []Datum {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.Metrics)
}

// GetParameter returns a parameter; those of Amazon Linux images are there.
func (c *Cloud) GetParameter(name string) (Parameter, error) {
	var out Parameter
	err := c.describe("", func(s *state) error {
		name, version, old := strings.Cut(name, ":")
		p, ok := s.Parameters[name]
		if ok && old {
			n, err := strconv.Atoi(version)
			at := n - p.Version + len(p.Past)
			if err != nil || at < 0 || at > len(p.Past) {
				return &Error{Code: "ParameterVersionNotFound", Message: "Systems Manager could not find version " + version + " of " + name, Status: 400}
			}
			shown := *p
			shown.Value, shown.Version = append(slices.Clone(p.Past), p.Value)[at], n
			p = &shown
		}
		if !ok {
			image, err := c.imageOf(name)
			if err != nil {
				return err
			}
			p = &Parameter{Name: name, Value: image, Type: "String", Version: 1, ARN: c.arn("ssm", "parameter"+name), LastModified: epoch}
		}
		out = *p
		return nil
	})
	return out, err
}

// PutParameter writes a parameter and returns its version.
func (c *Cloud) PutParameter(in PutParameterInput) (version int, err error) {
	err = c.call("", func(s *state) error {
		p, err := c.putParameter(s, in)
		if err == nil {
			version = p.Version
		}
		return err
	})
	return version, err
}

// parameterLimit is the size of a standard parameter's value, and parameterVersions is how many versions of it are kept.
const (
	parameterLimit    = 4096
	parameterVersions = 100
)

func (c *Cloud) putParameter(s *state, in PutParameterInput) (*Parameter, error) {
	old, exists := s.Parameters[in.Name]
	if exists && !in.Overwrite {
		return nil, refuse("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	}
	if len(in.Value) > parameterLimit || in.Value == "" {
		return nil, refuse("ValidationException", "1 validation error detected: Value at 'value' failed to satisfy constraint: its length is 1 to %d", parameterLimit)
	}
	p := &Parameter{Name: in.Name, Value: in.Value, Type: in.Type, Version: 1, ARN: c.arn("ssm", "parameter/"+strings.TrimPrefix(in.Name, "/")), LastModified: s.Now}
	if exists {
		p.Version = old.Version + 1
		p.Past = append(slices.Clone(old.Past), old.Value)
		p.Past = p.Past[max(0, len(p.Past)-parameterVersions+1):]
		if p.Type == "" {
			p.Type = old.Type
		}
	}
	s.Parameters[in.Name] = p
	return p, nil
}

// Rules returns the rules and schedules that are declared, by name.
func (c *Cloud) Rules() []Rule {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	var out []Rule
	for _, id := range sorted(s.Declared[ruleType]) {
		d := s.Declared[ruleType][id]
		out = append(out, Rule{
			Name: id, ARN: sim.Text(d.Outputs, "arn"), Pattern: sim.Text(d.Inputs, "eventPattern"), Schedule: sim.Text(d.Inputs, "scheduleExpression"),
			Enabled: sim.Text(d.Inputs, "state") != "DISABLED", Targets: targetsOf(s, id),
		})
	}
	for _, id := range sorted(s.Declared[scheduleType]) {
		d := s.Declared[scheduleType][id]
		target, _ := d.Inputs["target"].(sim.Object)
		out = append(out, Rule{
			Name: id, ARN: sim.Text(d.Outputs, "arn"), Schedule: sim.Text(d.Inputs, "scheduleExpression"), Enabled: sim.Text(d.Inputs, "state") != "DISABLED",
			Targets: []RuleTarget{{ID: "target", ARN: sim.Text(target, "arn"), Input: sim.Text(target, "input")}},
		})
	}
	return out
}
