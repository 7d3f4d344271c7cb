package aws

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/sim"
)

// lambda is a function.
type lambda struct {
	Function
	// VPC in which its interfaces are, and when it was last invoked.
	VPC     string `json:",omitempty"`
	Invoked time.Time
}

// States of a function.
const (
	functionPending  = "Pending"
	functionActive   = "Active"
	functionInactive = "Inactive"
)

// idleTime is after how long without an invocation Lambda takes the interfaces of a function in a VPC back.
const idleTime = 14 * 24 * time.Hour

// How long Lambda takes to attach a function to a VPC, and to let go of the interfaces after it is deleted: minutes, and up to
// 20 of them.
const (
	attachTime  = 90 * time.Second
	releaseTime = 15 * time.Minute
)

// Documents that were parsed, by their text: the same ones are looked at over and over.
var documents, controllers sync.Map

// controller returns the configuration of a function that is a controller, nil for another one.
func (f *lambda) controller() *natzone.Controller {
	text, ok := f.Environment[natzone.ControllerVariable]
	if !ok {
		return nil
	}
	if doc, ok := controllers.Load(text); ok {
		return doc.(*natzone.Controller)
	}
	doc, err := natzone.ParseController(text)
	if err != nil {
		doc = nil
	}
	controllers.Store(text, doc)
	return doc
}

// heard says which instance an event is about, and what a controller does about it; what is empty for an event that it does
// not act upon.
func heard(e Event) (instance, what string) {
	var message struct {
		Detail struct {
			Instance      string `json:"instance-id"`
			State         string `json:"state"`
			EC2InstanceID string `json:"EC2InstanceId"`
		} `json:"detail"`
		Records []struct{ Sns struct{ Message string } }
	}
	if json.Unmarshal(e.Payload, &message) != nil {
		return "", ""
	}
	switch e.DetailType {
	case "EC2 Instance State-change Notification":
		if slices.Contains([]string{StateStopping, StateStopped, StateShuttingDown, StateTerminated}, message.Detail.State) {
			return message.Detail.Instance, controlGone
		}
	case "EC2 Spot Instance Interruption Warning":
		return message.Detail.Instance, controlGone
	case "EC2 Instance Terminate Successful":
		return message.Detail.EC2InstanceID, controlGone
	case "EC2 Instance-terminate Lifecycle Action":
		return message.Detail.EC2InstanceID, controlTerminate
	case terminating:
		if len(message.Records) == 1 {
			var notice struct{ EC2InstanceID string }
			if json.Unmarshal([]byte(message.Records[0].Sns.Message), &notice) == nil {
				return notice.EC2InstanceID, controlTerminate
			}
		}
	}
	return "", ""
}

// attach gives a function in a VPC its interfaces, one for each subnet and set of security groups, which functions share.
func (c *Cloud) attach(s *state, f *lambda) error {
	if len(f.SubnetIDs) == 0 {
		f.State = functionActive
		return nil
	}
	for _, id := range f.SubnetIDs {
		n, err := s.subnet(id)
		if err != nil {
			return refuse("InvalidParameterValueException", "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID '%s' does not exist", id)
		}
		f.VPC = n.VPC
	}
	if err := s.checkGroups(f.SecurityGroupIDs, f.VPC); err != nil {
		return err
	}
	made := false
	for _, id := range f.SubnetIDs {
		if s.hyperplane(id, f.SecurityGroupIDs) != "" {
			continue
		}
		e, err := c.newInterface(s, id, "", f.SecurityGroupIDs)
		if err != nil {
			return err
		}
		e.InterfaceType, e.RequesterManaged, e.Status = "lambda", true, "in-use"
		e.Description = "AWS Lambda VPC ENI-" + f.Name + "-" + e.NetworkInterfaceID
		made = true
	}
	f.State, f.Invoked = functionActive, s.Now
	s.cancel(functionDue, f.Name, "")
	if made {
		f.State = functionPending
		s.after(attachTime, functionDue, f.Name, "")
	} else {
		s.after(idleTime, functionDue, f.Name, "")
	}
	return nil
}

// hyperplane finds the interface of Lambda in a subnet with these security groups.
func (s *state) hyperplane(subnetID string, groups []string) string {
	for id, e := range s.Interfaces {
		if e.InterfaceType == "lambda" && e.SubnetID == subnetID && slices.Equal(slices.Sorted(slices.Values(e.GroupIDs)), slices.Sorted(slices.Values(groups))) {
			return id
		}
	}
	return ""
}

// release lets the interfaces go, later, that no function uses any more.
func (s *state) release(f *lambda) {
	for _, id := range f.SubnetIDs {
		if e := s.hyperplane(id, f.SecurityGroupIDs); e != "" {
			s.after(releaseTime, interfaceDue, e, "")
		}
	}
}

// interfaceDue takes an interface of Lambda away, unless a function uses it again.
func (c *Cloud) interfaceDue(s *state, id string) bool {
	e, ok := s.Interfaces[id]
	if !ok {
		return false
	}
	for _, f := range s.Functions {
		if slices.Contains(f.SubnetIDs, e.SubnetID) && s.hyperplane(e.SubnetID, f.SecurityGroupIDs) == id {
			return false
		}
	}
	s.removeInterface(id)
	return true
}

// functionDue makes a pending function active, and one that was idle for too long inactive.
func (c *Cloud) functionDue(s *state, name string) bool {
	f, ok := s.Functions[name]
	if !ok || len(f.SubnetIDs) == 0 {
		return false
	}
	switch {
	case f.State == functionPending:
		f.State, f.Invoked = functionActive, s.Now
	case s.scheduled(f.ARN):
		f.Invoked = s.Now
	case s.Now.Sub(f.Invoked) >= idleTime:
		f.State = functionInactive
		return true
	}
	s.after(f.Invoked.Add(idleTime).Sub(s.Now), functionDue, name, "")
	return true
}

// scheduled reports whether a rule or a schedule invokes a function every so often.
func (s *state) scheduled(arn string) bool {
	for id, d := range s.Declared[ruleType] {
		if sim.Text(d.Inputs, "scheduleExpression") != "" && sim.Text(d.Inputs, "state") != "DISABLED" &&
			slices.ContainsFunc(targetsOf(s, id), func(t RuleTarget) bool { return t.ARN == arn }) {
			return true
		}
	}
	for _, d := range s.Declared[scheduleType] {
		if target, _ := d.Inputs["target"].(sim.Object); sim.Text(target, "arn") == arn && sim.Text(d.Inputs, "state") != "DISABLED" {
			return true
		}
	}
	return false
}

// InvokeFunction says that a function is invoked. One that is not active fails: an inactive one is then attached to its VPC
// again.
func (c *Cloud) InvokeFunction(name string) error {
	refusal := func(code, text string, status int) error { return &Error{Code: code, Message: text, Status: status} }
	var failed error
	err := c.call("", func(s *state) error {
		f, ok := s.Functions[functionName(name)]
		switch {
		case !ok:
			return refusal("ResourceNotFoundException", "Function not found: "+name, 404)
		case f.State == functionPending:
			return refusal("ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Pending", 409)
		case f.State == functionInactive:
			failed = refusal("ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Inactive", 409)
			f.State = functionPending
			s.after(attachTime, functionDue, f.Name, "")
		}
		f.Invoked = s.Now
		return nil
	})
	if err != nil {
		return err
	}
	return failed
}

// Functions returns what is declared, by name.
func (c *Cloud) Functions() []Function {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	var out []Function
	for _, name := range sorted(s.Functions) {
		f := s.Functions[name].Function
		f.MaximumRetryAttempts, f.MaximumEventAge = 2, 6*60*60
		for _, d := range s.Declared["aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"] {
			if functionName(sim.Text(d.Inputs, "functionName")) != name {
				continue
			}
			if n, set := d.Inputs["maximumRetryAttempts"].(float64); set {
				f.MaximumRetryAttempts = int(n)
			}
			if n, set := d.Inputs["maximumEventAgeInSeconds"].(float64); set {
				f.MaximumEventAge = int(n)
			}
			to, _ := d.Inputs["destinationConfig"].(sim.Object)
			success, _ := to["onSuccess"].(sim.Object)
			failure, _ := to["onFailure"].(sim.Object)
			f.OnSuccess, f.OnFailure = sim.Text(success, "destination"), sim.Text(failure, "destination")
		}
		permissions := s.Declared["aws:lambda/permission:Permission"]
		for _, id := range sorted(permissions) {
			if in := permissions[id].Inputs; functionName(sim.Text(in, "function")) == name {
				f.Permissions = append(f.Permissions, Permission{sim.Text(in, "principal"), sim.Text(in, "sourceArn"), sim.Text(in, "action")})
			}
		}
		out = append(out, f)
	}
	return out
}

// functionName is the name in a function's ARN, or the name itself.
func functionName(s string) string {
	if _, rest, ok := strings.Cut(s, ":function:"); ok {
		name, _, _ := strings.Cut(rest, ":")
		return name
	}
	return s
}
