// Package event reads what the controller is invoked with: the record of a prober's report, EventBridge events, and SNS
// notices of Auto Scaling. What it does not know is a message too, so that it is logged and nothing fails for it.
package event

import (
	"encoding/json"
	"strings"

	"polynat/internal/natzone"
)

// Message is one of the types below.
type Message interface{ message() }

// Observed is the prober's report, as Lambda's asynchronous destination carries it.
type Observed struct{ Report natzone.Report }

// Silent is the record of a prober that ended without a report.
type Silent struct{ Reason string }

// Change of an instance.
type Change string

// Changes, by what they mean for the routes. The values of the first four are the states that EC2 names.
const (
	Stopping     Change = "stopping"
	Stopped      Change = "stopped"
	ShuttingDown Change = "shutting-down"
	Terminated   Change = "terminated"
	// Interruption is Spot's notice, two minutes ahead. Rebalance is its advice, earlier than that or never.
	Interruption Change = "spot interruption"
	Rebalance    Change = "rebalance recommendation"
	// Maintenance is an event of AWS Health that affects the instance.
	Maintenance Change = "scheduled maintenance"
)

// Gone says that the instance forwards nothing any more, or is about to cease this moment.
func (c Change) Gone() bool {
	return c == Stopping || c == Stopped || c == ShuttingDown || c == Terminated
}

// Instances says that something happens to instances, of the zone or any other of the account.
type Instances struct {
	IDs    []string
	Change Change
}

// Terminating is the termination hook of a group's instance, which waits for its completion.
type Terminating struct{ Group, Hook, Instance string }

// LaunchFailed says that a group could not launch an instance.
type LaunchFailed struct{ Group, Reason string }

// Ignored is known and needs nothing done: test notices, launches, other states.
type Ignored struct{ What string }

// Unknown is what nobody expected here.
type Unknown struct{ Why string }

func (Observed) message()     {}
func (Silent) message()       {}
func (Instances) message()    {}
func (Terminating) message()  {}
func (LaunchFailed) message() {}
func (Ignored) message()      {}
func (Unknown) message()      {}

// envelope has the members by which the forms are told apart.
type envelope struct {
	// the record of an asynchronous destination
	RequestContext *struct {
		Condition string `json:"condition"`
	} `json:"requestContext"`
	ResponseContext struct {
		FunctionError string `json:"functionError"`
	} `json:"responseContext"`
	ResponsePayload json.RawMessage `json:"responsePayload"`
	// EventBridge
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
	// SNS
	Records []struct {
		SNS *struct {
			Message string `json:"Message"`
		} `json:"Sns"`
	} `json:"Records"`
}

// Parse reads a payload. SNS may deliver several records; every other form is one message.
func Parse(payload []byte) []Message {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return []Message{Unknown{Why: "not a JSON object: " + err.Error()}}
	}
	switch {
	case e.RequestContext != nil:
		return []Message{destination(e)}
	case e.Source != "":
		return []Message{bridge(e)}
	case len(e.Records) > 0:
		var all []Message
		for _, r := range e.Records {
			if r.SNS == nil {
				all = append(all, Unknown{Why: "record is not of SNS"})
				continue
			}
			all = append(all, notice([]byte(r.SNS.Message)))
		}
		return all
	default:
		return []Message{Unknown{Why: "neither the record of a destination nor an event of EventBridge or SNS"}}
	}
}

func destination(e envelope) Message {
	if e.RequestContext.Condition != "Success" || e.ResponseContext.FunctionError != "" {
		return Silent{Reason: strings.TrimSpace(e.RequestContext.Condition + " " + e.ResponseContext.FunctionError)}
	}
	var r natzone.Report
	if err := json.Unmarshal(e.ResponsePayload, &r); err != nil {
		return Unknown{Why: "report of the prober: " + err.Error()}
	}
	if r.Version != natzone.Version {
		return Unknown{Why: "report of the prober: of another version"}
	}
	return Observed{Report: r}
}

// bridge reads an event of EventBridge. Of Spot's interruption warning only the detail is used: its ARN has another form
// than all others.
func bridge(e envelope) Message {
	switch e.Source + "/" + e.DetailType {
	case "aws.ec2/EC2 Instance State-change Notification":
		var d struct {
			ID    string `json:"instance-id"`
			State Change `json:"state"`
		}
		if err := json.Unmarshal(e.Detail, &d); err != nil || d.ID == "" {
			return Unknown{Why: e.DetailType + " without an instance"}
		}
		if !d.State.Gone() {
			return Ignored{What: "instance is " + string(d.State)}
		}
		return Instances{IDs: []string{d.ID}, Change: d.State}
	case "aws.ec2/EC2 Spot Instance Interruption Warning":
		return single(e, Interruption)
	case "aws.ec2/EC2 Instance Rebalance Recommendation":
		return single(e, Rebalance)
	case "aws.autoscaling/EC2 Instance-terminate Lifecycle Action", "aws.autoscaling/EC2 Instance-launch Lifecycle Action":
		return notice(e.Detail)
	case "aws.autoscaling/EC2 Instance Launch Unsuccessful":
		var d struct{ AutoScalingGroupName, StatusMessage, Cause string }
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			return Unknown{Why: e.DetailType + ": " + err.Error()}
		}
		if d.StatusMessage == "" {
			d.StatusMessage = d.Cause
		}
		return LaunchFailed{Group: d.AutoScalingGroupName, Reason: d.StatusMessage}
	case "aws.autoscaling/EC2 Instance Terminate Successful":
		var d struct {
			ID string `json:"EC2InstanceId"`
		}
		if err := json.Unmarshal(e.Detail, &d); err != nil || d.ID == "" {
			return Unknown{Why: e.DetailType + " without an instance"}
		}
		return Instances{IDs: []string{d.ID}, Change: Terminated}
	case "aws.autoscaling/EC2 Instance Launch Successful", "aws.autoscaling/EC2 Instance Terminate Unsuccessful":
		return Ignored{What: e.DetailType}
	case "aws.health/AWS Health Event":
		return health(e)
	}
	if e.Source == "aws.autoscaling" && strings.HasPrefix(e.DetailType, "EC2 Auto Scaling Instance Refresh") {
		return Ignored{What: e.DetailType}
	}
	return Unknown{Why: e.Source + ": " + e.DetailType}
}

func single(e envelope, c Change) Message {
	var d struct {
		ID string `json:"instance-id"`
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil || d.ID == "" {
		return Unknown{Why: e.DetailType + " without an instance"}
	}
	return Instances{IDs: []string{d.ID}, Change: c}
}

func health(e envelope) Message {
	var d struct {
		AffectedEntities []struct {
			EntityValue string `json:"entityValue"`
		} `json:"affectedEntities"`
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return Unknown{Why: e.DetailType + ": " + err.Error()}
	}
	var ids []string
	for _, a := range d.AffectedEntities {
		if strings.HasPrefix(a.EntityValue, "i-") {
			ids = append(ids, a.EntityValue)
		}
	}
	if len(ids) == 0 {
		return Ignored{What: "health event without instances"}
	}
	return Instances{IDs: ids, Change: Maintenance}
}

// notice reads the message of a lifecycle hook, which is the same in EventBridge's detail and in SNS.
func notice(data []byte) Message {
	var n struct {
		Event                string
		LifecycleTransition  string
		AutoScalingGroupName string
		LifecycleHookName    string
		EC2InstanceID        string `json:"EC2InstanceId"`
	}
	if err := json.Unmarshal(data, &n); err != nil {
		return Unknown{Why: "notice of Auto Scaling: " + err.Error()}
	}
	switch {
	case n.Event == "autoscaling:TEST_NOTIFICATION":
		return Ignored{What: "test notice"}
	case n.LifecycleTransition == "autoscaling:EC2_INSTANCE_LAUNCHING":
		return Ignored{What: "launch of " + n.EC2InstanceID}
	case n.LifecycleTransition == "autoscaling:EC2_INSTANCE_TERMINATING" && n.EC2InstanceID != "":
		return Terminating{Group: n.AutoScalingGroupName, Hook: n.LifecycleHookName, Instance: n.EC2InstanceID}
	default:
		return Unknown{Why: "notice of Auto Scaling: neither a launch nor a termination"}
	}
}
