package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"polynat/internal/sim"
)

// userDataLimit is the size of user data before it is encoded.
const userDataLimit = 16 << 10

// templateData is what of a declaration belongs to a version.
func templateData(in sim.Object) sim.Object {
	data := maps.Clone(in)
	for _, name := range []string{"name", "namePrefix", "tags", "defaultVersion", "updateDefaultVersion"} {
		delete(data, name)
	}
	return data
}

func checkTemplate(s *state, data sim.Object) error {
	if typ := sim.Text(data, "instanceType"); typ != "" {
		if _, ok := instanceTypes[typ]; !ok {
			return refuse("InvalidParameterValue", "Invalid value '%s' for InstanceType.", typ)
		}
	}
	if text := sim.Text(data, "userData"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return refuse("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
		}
		if len(raw) > userDataLimit {
			return refuse("InvalidParameterValue", "User data is limited to %d bytes", userDataLimit)
		}
	}
	nics := objects(data, "networkInterfaces")
	if len(nics) > 0 && len(sim.Texts(data, "vpcSecurityGroupIds")) > 0 {
		return refuse("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	for _, nic := range nics {
		tracking, _ := nic["connectionTrackingSpecification"].(sim.Object)
		for name, bounds := range map[string][2]int{"tcpEstablishedTimeout": {60, 432000}, "udpTimeout": {30, 60}, "udpStreamTimeout": {60, 180}} {
			if _, set := tracking[name]; set && (sim.Number(tracking, name) < bounds[0] || sim.Number(tracking, name) > bounds[1]) {
				return refuse("InvalidParameterValue", "Value (%d) for parameter %s is invalid: it is from %d to %d.", sim.Number(tracking, name), name, bounds[0], bounds[1])
			}
		}
		for _, id := range sim.Texts(nic, "securityGroups") {
			if s.Groups[id] == nil {
				return refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
			}
		}
	}
	options, _ := data["metadataOptions"].(sim.Object)
	if n, set := options["httpPutResponseHopLimit"].(float64); set && (n < 1 || n > 64) {
		return refuse("InvalidParameterValue", "Value (%v) for parameter httpPutResponseHopLimit is invalid: it is from 1 to 64.", n)
	}
	return nil
}

var templateKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		name := sim.Text(in, "name", "namePrefix")
		for _, t := range s.Templates {
			if t.Name == name {
				return "", nil, refuse("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
			}
		}
		data := templateData(in)
		if err := checkTemplate(s, data); err != nil {
			return "", nil, err
		}
		id := s.newID("lt")
		t := &launchTemplate{Name: name, Versions: []sim.Object{data}, Default: max(1, sim.Number(s.known(), "defaultVersion"))}
		for len(t.Versions) < sim.Number(s.known(), "latestVersion") { // what the earlier ones of one that exists held is not known
			t.Versions = append(t.Versions, data)
		}
		s.Templates[id] = t
		return id, sim.Object{"arn": c.arn("ec2", "launch-template/"+id), "name": name}, nil
	},
	update: func(_ *Cloud, s *state, id string, old, in sim.Object) error {
		t, ok := s.Templates[id]
		if !ok {
			return refuse("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
		}
		data := templateData(in)
		if !same(data, templateData(old)) {
			if err := checkTemplate(s, data); err != nil {
				return err
			}
			t.Versions = append(t.Versions, data)
		}
		if sim.Truth(in, "updateDefaultVersion") {
			t.Default = len(t.Versions)
		} else if n := sim.Number(in, "defaultVersion"); n > 0 {
			t.Default = n
		}
		return nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { delete(s.Templates, id); return nil },
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		t, ok := s.Templates[id]
		if !ok {
			return nil, false
		}
		return sim.Object{"latestVersion": len(t.Versions), "defaultVersion": t.Default}, true
	},
}

// same compares two property bags.
func same(a, b sim.Object) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// readGroup reads the part of a group's declaration that an update changes too.
func (c *Cloud) readGroup(s *state, g *scalingGroup, in sim.Object) error {
	g.MinSize, g.MaxSize = sim.Number(in, "minSize"), sim.Number(in, "maxSize")
	if n, set := in["desiredCapacity"].(float64); set {
		g.DesiredCapacity = int(n)
	}
	g.DesiredCapacity = min(max(g.DesiredCapacity, g.MinSize), g.MaxSize)
	g.MinHealthyPercentage, g.MaxHealthyPercentage = -1, -1
	if policy, set := in["instanceMaintenancePolicy"].(sim.Object); set {
		g.MinHealthyPercentage, g.MaxHealthyPercentage = sim.Number(policy, "minHealthyPercentage"), sim.Number(policy, "maxHealthyPercentage")
	}
	g.HealthCheckType, g.HealthCheckGracePeriod = sim.Text(in, "healthCheckType"), sim.Number(in, "healthCheckGracePeriod")
	if g.HealthCheckType == "" {
		g.HealthCheckType = "EC2"
	}
	g.DefaultInstanceWarmup = -1
	if n, set := in["defaultInstanceWarmup"].(float64); set {
		g.DefaultInstanceWarmup = int(n)
	}
	g.MaxInstanceLifetime, g.CapacityRebalance = sim.Number(in, "maxInstanceLifetime"), sim.Truth(in, "capacityRebalance")
	g.Protect, g.SuspendedProcesses = sim.Truth(in, "protectFromScaleIn"), sim.Texts(in, "suspendedProcesses")
	g.VPCZoneIdentifier, g.AvailabilityZones = sim.Texts(in, "vpcZoneIdentifiers"), nil
	for _, id := range g.VPCZoneIdentifier {
		n, err := s.subnet(id)
		if err != nil {
			return refuse("ValidationError", "The subnet ID '%s' does not exist", id)
		}
		g.AvailabilityZones = append(g.AvailabilityZones, n.Zone)
	}
	g.Tags, g.InstanceTags = Tags{}, Tags{}
	for _, t := range objects(in, "tags") {
		g.Tags[sim.Text(t, "key")] = sim.Text(t, "value")
		if sim.Truth(t, "propagateAtLaunch") {
			g.InstanceTags[sim.Text(t, "key")] = sim.Text(t, "value")
		}
	}
	template, _ := in["launchTemplate"].(sim.Object)
	g.Mixed, _ = in["mixedInstancesPolicy"].(sim.Object)
	if g.Mixed != nil {
		within, _ := g.Mixed["launchTemplate"].(sim.Object)
		template, _ = within["launchTemplateSpecification"].(sim.Object)
		g.LaunchTemplateID = s.templateID(sim.Text(template, "launchTemplateId"), sim.Text(template, "launchTemplateName"))
	} else {
		g.LaunchTemplateID = s.templateID(sim.Text(template, "id"), sim.Text(template, "name"))
	}
	g.LaunchTemplateVersion = sim.Text(template, "version")
	if g.LaunchTemplateVersion == "" {
		g.LaunchTemplateVersion = "$Default"
	}
	return c.checkGroup(s, g)
}

func (c *Cloud) checkGroup(s *state, g *scalingGroup) error {
	lowest, highest := g.MinHealthyPercentage, g.MaxHealthyPercentage
	switch {
	case g.MinSize > g.MaxSize:
		return refuse("ValidationError", "Max bound, %d, must be greater than or equal to min bound, %d", g.MaxSize, g.MinSize)
	case (lowest < 0) != (highest < 0) || lowest >= 0 && (lowest > 100 || highest < 100 || highest > 200 || highest-lowest > 100):
		return refuse("ValidationError", "Invalid instance maintenance policy: minimum %d is from 0 to 100, maximum %d from 100 to 200, 100 apart at most", lowest, highest)
	case g.MaxInstanceLifetime != 0 && g.MaxInstanceLifetime < 86400:
		return refuse("ValidationError", "Maximum instance lifetime must be equal to 0 or between 86400 and 31536000 seconds")
	}
	if _, _, err := s.version(g.LaunchTemplateID, g.LaunchTemplateVersion); err != nil {
		return refuse("ValidationError", "You must use a valid fully-formed launch template. %v", err)
	}
	return nil
}

var scalingKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		name := sim.Text(in, "name", "namePrefix")
		if s.Scaling[name] != nil {
			return "", nil, refuse("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
		}
		g := &scalingGroup{AutoScalingGroup: AutoScalingGroup{
			AutoScalingGroupName: name, CreatedTime: s.Now,
			AutoScalingGroupARN: c.arn("autoscaling", fmt.Sprintf("autoScalingGroup:%08x-0000-4000-8000-000000000000:autoScalingGroupName/%s", s.Next["group"], name)),
		}}
		s.Next["group"]++
		if err := c.readGroup(s, g, in); err != nil {
			return "", nil, err
		}
		for _, o := range objects(in, "initialLifecycleHooks") { // before any instance is launched
			h := hook{
				Name: sim.Text(o, "name"), Transition: sim.Text(o, "lifecycleTransition"), Default: sim.Text(o, "defaultResult"), Heartbeat: sim.Number(o, "heartbeatTimeout"),
				TargetARN: sim.Text(o, "notificationTargetArn"), RoleARN: sim.Text(o, "roleArn"), Metadata: sim.Text(o, "notificationMetadata"),
			}
			if err := c.putHook(s, g, h); err != nil {
				return "", nil, err
			}
		}
		s.Scaling[name] = g
		s.after(0, groupDue, name, "")
		return name, sim.Object{
			"arn": g.AutoScalingGroupARN, "name": name, "defaultCooldown": 300, "serviceLinkedRoleArn": "arn:" + c.partition() + ":iam::" + c.opts.Account +
				":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", "warmPoolSize": 0, "predictedCapacity": 0,
		}, nil
	},
	ready: func(ctx context.Context, c *Cloud, id string) error { return c.waitForCapacity(ctx, id) },
	update: func(c *Cloud, s *state, id string, old, in sim.Object) error {
		g, err := s.group(id)
		if err != nil {
			return err
		}
		next := *g
		if err := c.readGroup(s, &next, in); err != nil {
			return err
		}
		*g = next
		// Initial hooks are given when a group is made: the provider does not change them afterwards.
		if refresh, set := in["instanceRefresh"].(sim.Object); set && refreshes(refresh, old, in) {
			preferences, _ := refresh["preferences"].(sim.Object)
			lowest, highest := -1, -1
			if n, set := preferences["minHealthyPercentage"].(float64); set {
				lowest = int(n)
			}
			if n, set := preferences["maxHealthyPercentage"].(float64); set {
				highest = int(n)
			}
			_, err := c.refresh(s, g, lowest, highest, sim.Truth(preferences, "skipMatching"))
			if isCode(err, "InstanceRefreshInProgress") { // the provider cancels it and begins anew
				g.Refresh, g.Replacing = "", slices.DeleteFunc(g.Replacing, func(r replacement) bool { return r.Why == whyRefresh && r.Successor == "" })
				_, err = c.refresh(s, g, lowest, highest, sim.Truth(preferences, "skipMatching"))
			}
			if err != nil {
				return err
			}
		}
		s.after(0, groupDue, id, "")
		c.controlTurns(s, id)
		return nil
	},
	updated: func(ctx context.Context, c *Cloud, id string, old, in sim.Object) error {
		if same(sim.Object{"a": old["minSize"], "b": old["desiredCapacity"]}, sim.Object{"a": in["minSize"], "b": in["desiredCapacity"]}) {
			return nil
		}
		return c.waitForCapacity(ctx, id)
	},
	removing: func(ctx context.Context, c *Cloud, id string, d *declaration) error { return c.drain(ctx, id, d) },
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		for _, m := range s.members(id) {
			if m.State != StateTerminated {
				return refuse("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
			}
		}
		delete(s.Scaling, id)
		s.cancel(groupDue, id, "")
		return nil
	},
	show: func(_ *Cloud, s *state, id string, _ *declaration) (sim.Object, bool) {
		g, ok := s.Scaling[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"desiredCapacity": g.DesiredCapacity, "healthCheckType": g.HealthCheckType, "availabilityZones": sim.Values(g.AvailabilityZones),
			"vpcZoneIdentifiers": sim.Values(g.VPCZoneIdentifier), "minSize": g.MinSize, "maxSize": g.MaxSize,
		}, true
	},
}

// refreshes reports whether an update begins an instance refresh: the launch template, the mixed instances policy or a
// trigger has changed.
func refreshes(refresh, old, in sim.Object) bool {
	for _, name := range append([]string{"launchTemplate", "mixedInstancesPolicy", "launchConfiguration"}, sim.Texts(refresh, "triggers")...) {
		if !same(sim.Object{"v": old[name]}, sim.Object{"v": in[name]}) {
			return true
		}
	}
	return false
}

// waitForCapacity waits as the provider does until as many instances are in service as are wanted.
func (c *Cloud) waitForCapacity(ctx context.Context, name string) error {
	timeout := 10 * time.Minute
	c.mu.Lock()
	if d := c.state.Declared[scalingType][name]; d != nil {
		if given, err := time.ParseDuration(sim.Text(d.Inputs, "waitForCapacityTimeout")); err == nil {
			timeout = given
		}
	}
	c.mu.Unlock()
	if timeout == 0 {
		return nil
	}
	problem := ""
	err := c.await(ctx, timeout, func(s *state) (bool, error) {
		g, err := s.group(name)
		if err != nil {
			return false, err
		}
		in := 0
		for _, m := range s.members(name) {
			if m.Phase == phaseInService && m.State == StateRunning && !m.Unhealthy {
				in++
			}
		}
		problem = g.Problem
		if in < g.DesiredCapacity && problem == "" {
			problem = fmt.Sprintf("want at least %d healthy instance(s) in Auto Scaling Group, have %d", g.DesiredCapacity, in)
		}
		return in >= g.DesiredCapacity, nil
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("waiting for Auto Scaling Group (%s) capacity satisfied: timeout after %s: %s", name, timeout, problem)
	}
	return err
}

const scalingType = "aws:autoscaling/group:Group"

// drain takes the instances out of a group as the provider does before it deletes one: the termination hooks run. With
// forceDelete they do not.
func (c *Cloud) drain(ctx context.Context, name string, d *declaration) error {
	err := c.change(func(s *state) error {
		g, ok := s.Scaling[name]
		if !ok {
			return nil
		}
		g.MinSize, g.MaxSize, g.DesiredCapacity = 0, 0, 0
		if sim.Truth(d.Inputs, "forceDelete") {
			for _, m := range s.members(name) {
				m.Phase, m.Waiting = phaseTermProceed, nil
				c.terminate(s, m)
			}
		}
		s.after(0, groupDue, name, "")
		return nil
	})
	if err != nil {
		return err
	}
	err = c.await(ctx, deleteTimeout, func(s *state) (bool, error) { return len(s.members(name)) == 0, nil })
	if errors.Is(err, errWaited) {
		return fmt.Errorf("waiting for Auto Scaling Group (%s) drain: timeout after %s", name, deleteTimeout)
	}
	return err
}

var hookKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		g, err := s.group(sim.Text(in, "autoscalingGroupName"))
		if err != nil {
			return "", nil, err
		}
		return hookID(g, in), nil, c.putHook(s, g, hookOf(in))
	},
	// The provider puts it into the new group, where that has changed, and leaves the one of the old group there.
	update: func(c *Cloud, s *state, id string, _, in sim.Object) error {
		g, err := s.group(sim.Text(in, "autoscalingGroupName"))
		if err == nil {
			err = c.putHook(s, g, hookOf(in))
		}
		if err != nil {
			return err
		}
		d := s.Declared[hookType][id]
		delete(s.Declared[hookType], id)
		s.Declared[hookType][hookID(g, in)] = d
		return nil
	},
	remove: func(_ *Cloud, s *state, _ string, d *declaration) error {
		if g, ok := s.Scaling[sim.Text(d.Inputs, "autoscalingGroupName")]; ok {
			g.Hooks = slices.DeleteFunc(g.Hooks, func(h hook) bool { return h.Name == sim.Text(d.Inputs, "name") })
		}
		return nil
	},
	show: func(_ *Cloud, s *state, _ string, d *declaration) (sim.Object, bool) {
		g, ok := s.Scaling[sim.Text(d.Inputs, "autoscalingGroupName")]
		if !ok {
			return nil, false
		}
		i := slices.IndexFunc(g.Hooks, func(h hook) bool { return h.Name == sim.Text(d.Inputs, "name") })
		if i < 0 {
			return nil, false
		}
		return sim.Object{"defaultResult": g.Hooks[i].Default}, true
	},
}

// hookID is where a hook is kept: its name alone is the same in other groups.
func hookID(g *scalingGroup, in sim.Object) string {
	return Schema().Resources[hookType].CloudID(sim.Text(in, "name"), sim.Object{"autoscalingGroupName": g.AutoScalingGroupName})
}

func hookOf(in sim.Object) hook {
	return hook{
		Name: sim.Text(in, "name"), Transition: sim.Text(in, "lifecycleTransition"), Default: sim.Text(in, "defaultResult"), Heartbeat: sim.Number(in, "heartbeatTimeout"),
		TargetARN: sim.Text(in, "notificationTargetArn"), RoleARN: sim.Text(in, "roleArn"), Metadata: sim.Text(in, "notificationMetadata"),
	}
}

// functionKind is a Lambda function.
var functionKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		f := &lambda{}
		name := sim.Text(in, "name")
		if s.Functions[name] != nil {
			return "", nil, &Error{Code: "ResourceConflictException", Message: "Function already exist: " + name, Status: 409}
		}
		if err := c.readFunction(s, f, name, in); err != nil {
			return "", nil, err
		}
		if err := c.attach(s, f); err != nil {
			return "", nil, err
		}
		s.Functions[name] = f
		return name, sim.Object{
			"arn": f.ARN, "invokeArn": "arn:" + c.partition() + ":apigateway:" + c.opts.Region + ":lambda:path/2015-03-31/functions/" + f.ARN + "/invocations",
			"qualifiedArn": f.ARN + ":$LATEST", "qualifiedInvokeArn": f.ARN, "version": "$LATEST", "lastModified": s.Now.Format(time.RFC3339), "sourceCodeSize": 1 << 20, "codeSha256": sim.Text(in, "sourceCodeHash"),
		}, nil
	},
	ready: func(ctx context.Context, c *Cloud, id string) error {
		return c.await(ctx, 10*time.Minute, func(s *state) (bool, error) {
			f, ok := s.Functions[id]
			return !ok || f.State == functionActive, nil
		})
	},
	update: func(c *Cloud, s *state, id string, _, in sim.Object) error {
		old, ok := s.Functions[id]
		if !ok {
			return &Error{Code: "ResourceNotFoundException", Message: "Function not found: " + id, Status: 404}
		}
		f := &lambda{}
		if err := c.readFunction(s, f, id, in); err != nil {
			return err
		}
		if err := c.attach(s, f); err != nil {
			return err
		}
		s.Functions[id] = f
		s.release(&lambda{Function: Function{SubnetIDs: old.SubnetIDs, SecurityGroupIDs: old.SecurityGroupIDs}})
		return nil
	},
	updated: func(ctx context.Context, c *Cloud, id string, _, _ sim.Object) error {
		return c.await(ctx, 10*time.Minute, func(s *state) (bool, error) {
			f, ok := s.Functions[id]
			return !ok || f.State == functionActive, nil
		})
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		if f, ok := s.Functions[id]; ok {
			delete(s.Functions, id)
			s.cancel(functionDue, id, "")
			s.release(f)
		}
		return nil
	},
	show: func(_ *Cloud, s *state, id string, d *declaration) (sim.Object, bool) {
		f, ok := s.Functions[id]
		out := sim.Object{}
		if network, given := d.Inputs["vpcConfig"].(sim.Object); given && ok {
			network = maps.Clone(network)
			network["vpcId"] = f.VPC
			out["vpcConfig"] = network
		}
		return out, ok
	},
}

// environmentLimit is the size of a function's environment.
const environmentLimit = 4 << 10

// readFunction reads and checks a declaration.
func (c *Cloud) readFunction(s *state, f *lambda, name string, in sim.Object) error {
	network, _ := in["vpcConfig"].(sim.Object)
	environment, _ := in["environment"].(sim.Object)
	variables, _ := environment["variables"].(sim.Object)
	dead, _ := in["deadLetterConfig"].(sim.Object)
	f.Function = Function{
		Name: name, ARN: c.arn("lambda", "function:"+name), Role: sim.Text(in, "role"), Handler: sim.Text(in, "handler"), Runtime: sim.Text(in, "runtime"),
		Architecture: "x86_64", MemorySize: sim.Number(in, "memorySize"), Timeout: sim.Number(in, "timeout"), ReservedConcurrency: -1, Environment: map[string]string{},
		SubnetIDs: sim.Texts(network, "subnetIds"), SecurityGroupIDs: sim.Texts(network, "securityGroupIds"), DeadLetter: sim.Text(dead, "targetArn"),
	}
	if list := sim.Texts(in, "architectures"); len(list) > 0 {
		f.Architecture = list[0]
	}
	if n, set := in["reservedConcurrentExecutions"].(float64); set {
		f.ReservedConcurrency = int(n)
	}
	size := 0
	for k := range variables {
		f.Environment[k] = sim.Text(variables, k)
		size += len(k) + len(f.Environment[k])
	}
	invalid := func(format string, args ...any) error {
		return refuse("InvalidParameterValueException", format, args...)
	}
	switch {
	case size > environmentLimit:
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	case f.MemorySize < 128 || f.MemorySize > 10240:
		return invalid("Value %d at 'memorySize' failed to satisfy constraint: it is from 128 to 10240", f.MemorySize)
	case f.Timeout < 1 || f.Timeout > 900:
		return invalid("Value %d at 'timeout' failed to satisfy constraint: it is from 1 to 900", f.Timeout)
	case f.Runtime == "" && sim.Text(in, "packageType") != "Image":
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	case strings.HasPrefix(f.Role, "arn:") && s.Declared[roleType][f.Role[strings.LastIndex(f.Role, "/")+1:]] == nil:
		return invalid("The role defined for the function cannot be assumed by Lambda.")
	}
	return c.checkConcurrency(s, f)
}

// unreserved is how many concurrent runs of an account cannot be reserved: 100, by the documentation, and all where there are fewer, as
// accounts with 10 and with 50 report.
const unreserved = 100

func (c *Cloud) checkConcurrency(s *state, f *lambda) error {
	reserved := max(0, f.ReservedConcurrency)
	for name, o := range s.Functions {
		if name != f.Name {
			reserved += max(0, o.ReservedConcurrency)
		}
	}
	if least := min(unreserved, c.opts.ConcurrencyQuota); f.ReservedConcurrency > 0 && reserved > c.opts.ConcurrencyQuota-least {
		return refuse("InvalidParameterValueException", "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", least)
	}
	return nil
}
