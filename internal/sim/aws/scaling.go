package aws

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/sim"
)

// Lifecycle states of an instance in a group.
const (
	phasePending     = "Pending"
	phasePendingWait = "Pending:Wait"
	phaseInService   = "InService"
	phaseTerminating = "Terminating"
	phaseTermWait    = "Terminating:Wait"
	phaseTermProceed = "Terminating:Proceed"
	phaseTerminated  = "Terminated"
)

// Lifecycle transitions.
const (
	launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Figures of lifecycle hooks: the API's bounds of a heartbeat in seconds, its default, and the cap on a wait.
const (
	heartbeatMin, heartbeatMax, heartbeatDefault = 30, 7200, 3600

	heartbeats = 100
	hookCap    = 48 * time.Hour
)

// detection is after what time a group finds an instance gone that it did not end. AWS calls it immediate, and checks every
// so often.
const detection = 10 * time.Second

// scalingGroup is a group with what its descriptions do not show.
type scalingGroup struct {
	AutoScalingGroup
	Hooks []hook
	// Mixed is the mixed instances policy as it was declared.
	Mixed sim.Object `json:",omitempty"`
	// InstanceTags are those that are propagated at launch.
	InstanceTags Tags
	Protect      bool
	// Replacing are the replacements to come, the first of which may have begun.
	Replacing []replacement
	// Refresh is the id of the instance refresh that goes on, and its bounds.
	Refresh                string
	RefreshMin, RefreshMax int
	// Failures are the launches that failed in a row, Problem why the last did, and HoldOff until when none is tried.
	Failures int
	Problem  string
	HoldOff  time.Time
	// Calm is what the simulated controller remembers of the other zones while a changed template waits for its turn.
	Calm natzone.Calm `json:",omitzero"`
}

type hook struct {
	Name, Transition, Default, TargetARN, RoleARN, Metadata string
	Heartbeat                                               int // seconds
}

// replacement of an instance: why, and the instance that was launched for it.
type replacement struct{ Instance, Why, Successor string }

// Reasons of a replacement that has rules of its own.
const (
	whyHealth    = "health"
	whyRefresh   = "instance refresh"
	whyRebalance = "capacity rebalance"
	whyLifetime  = "maximum lifetime"
)

// replace puts an instance on the list, once.
func (g *scalingGroup) replace(id, why string) {
	if !slices.ContainsFunc(g.Replacing, func(r replacement) bool { return r.Instance == id }) {
		g.Replacing = append(g.Replacing, replacement{Instance: id, Why: why})
	}
}

// members are the instances of a group, in the order in which they were launched.
func (s *state) members(group string) []*machine {
	var all []*machine
	for _, m := range s.Machines {
		if m.Group == group {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *machine) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	return all
}

// activeOf are the members that count.
func (s *state) activeOf(group string) []*machine {
	return slices.DeleteFunc(s.members(group), func(m *machine) bool { return !m.active() })
}

// active reports whether an instance counts for its group's capacity: one that has ended does until the group finds out.
func (m *machine) active() bool {
	return (strings.HasPrefix(m.Phase, phasePending) || m.Phase == phaseInService) && !m.Lost
}

// launchesFirst reports whether a replacement begins with the new instance.
func (c *Cloud) launchesFirst(g *scalingGroup, r replacement) bool {
	highest := g.MaxHealthyPercentage
	switch r.Why {
	case whyRebalance:
		return true
	case whyRefresh:
		if highest = g.RefreshMax; g.RefreshMin == 100 {
			return true // also with a highest of 100: nothing else could be done
		}
	case whyHealth:
		if c.opts.Unknown.HealthIgnoresPolicy {
			return false
		}
	}
	if c.opts.Unknown.PolicyKeepsMaxSize && g.DesiredCapacity >= g.MaxSize {
		return false
	}
	return int(math.Ceil(float64(g.DesiredCapacity)*float64(highest)/100)) > g.DesiredCapacity
}

// warm reports whether an instance counts as ready, and if not yet, when.
func (g *scalingGroup) warm(s *state, m *machine) (bool, time.Duration) {
	if m.Phase != phaseInService {
		return false, 0
	}
	left := m.InService.Add(time.Duration(max(0, g.DefaultInstanceWarmup)) * time.Second).Sub(s.Now)
	return left <= 0, left
}

// groupDue reconciles a group, which may have found an instance gone.
func (c *Cloud) groupDue(s *state, name, lost string) bool {
	if m, ok := s.Machines[lost]; ok {
		m.Lost = m.State != StatePending && m.State != StateRunning
	}
	return c.reconcile(s, name)
}

// reconcile brings a group nearer to what it should be. It returns whether anything has changed.
func (c *Cloud) reconcile(s *state, name string) bool {
	g, ok := s.Scaling[name]
	if !ok {
		return false
	}
	changed := c.sweep(s, g)
	g.Replacing = slices.DeleteFunc(g.Replacing, func(r replacement) bool {
		m, ok := s.Machines[r.Instance]
		return !ok || !m.active() || m.Group != name || g.DesiredCapacity == 0
	})
	wanted := g.DesiredCapacity
	if len(g.Replacing) > 0 {
		more, did := c.replaceOne(s, g, len(s.activeOf(name)))
		wanted += more
		changed = changed || did
	} else if g.Refresh != "" {
		c.tellGroup(s, g, "EC2 Auto Scaling Instance Refresh Succeeded", nil)
		g.Refresh = ""
		changed = true
	}
	active := s.activeOf(name)
	if len(active) < wanted {
		changed = c.tryLaunch(s, g) || changed
		return changed
	}
	for len(active) > wanted {
		victim := c.victim(g, active)
		active = slices.DeleteFunc(active, func(m *machine) bool { return m == victim })
		c.beginTermination(s, g, victim)
		changed = true
	}
	return changed
}

// sweep lets go of instances that have ended by themselves.
func (c *Cloud) sweep(s *state, g *scalingGroup) (changed bool) {
	for _, m := range s.members(g.AutoScalingGroupName) {
		if m.active() || strings.HasPrefix(m.Phase, phaseTerminating) {
			continue
		}
		m.Unhealthy, changed = true, true
		m.Phase = phaseTerminating
		if m.State == StateStopped || m.State == StateStopping {
			c.terminate(s, m)
		}
	}
	return changed
}

// replaceOne moves the first replacement on. It returns by how many instances the group may exceed its capacity meanwhile.
func (c *Cloud) replaceOne(s *state, g *scalingGroup, active int) (more int, changed bool) {
	r := &g.Replacing[0]
	old := s.Machines[r.Instance]
	if !c.launchesFirst(g, *r) {
		g.Replacing = g.Replacing[1:]
		c.beginTermination(s, g, old)
		return 0, true
	}
	if next, ok := s.Machines[r.Successor]; ok && next.active() {
		warm, left := g.warm(s, next)
		if !warm {
			if left > 0 {
				s.after(left, groupDue, g.AutoScalingGroupName, "")
			}
			return 1, false
		}
		g.Replacing = g.Replacing[1:]
		c.beginTermination(s, g, old)
		return 0, true
	}
	r.Successor = ""
	if active > g.DesiredCapacity {
		return 1, false
	}
	if c.tryLaunch(s, g) {
		all := s.members(g.AutoScalingGroupName)
		if last := all[len(all)-1]; last.active() && last.LaunchTime.Equal(s.Now) {
			r.Successor = last.InstanceID
		}
		return 1, true
	}
	return 0, false
}

// victim is the instance to end when there are too many: of the oldest version of the template, the oldest.
func (c *Cloud) victim(_ *scalingGroup, active []*machine) *machine {
	return slices.MinFunc(active, func(a, b *machine) int {
		if a.LaunchTemplateVersion != b.LaunchTemplateVersion {
			return a.LaunchTemplateVersion - b.LaunchTemplateVersion
		}
		return strings.Compare(a.InstanceID, b.InstanceID)
	})
}

// tryLaunch launches one instance, unless launches have failed and it is too early.
func (c *Cloud) tryLaunch(s *state, g *scalingGroup) bool {
	if slices.Contains(g.SuspendedProcesses, "Launch") {
		return false
	}
	if wait := g.HoldOff.Sub(s.Now); wait > 0 {
		s.cancel(groupDue, g.AutoScalingGroupName, holdOff)
		s.after(wait, groupDue, g.AutoScalingGroupName, holdOff)
		return false
	}
	m, err := c.launchMember(s, g)
	if err != nil {
		c.launchFailed(s, g, err.Error())
		return false
	}
	m.Group, m.Phase, m.Agent.Doomed = g.AutoScalingGroupName, phasePending, s.Doom
	if g.MaxInstanceLifetime > 0 {
		s.after(time.Duration(g.MaxInstanceLifetime)*time.Second, lifetimeDue, m.InstanceID, "")
	}
	s.after(0, groupDue, g.AutoScalingGroupName, "")
	return true
}

const holdOff = "hold off"

// launchFailed lets the group wait longer after each failure in a row.
func (c *Cloud) launchFailed(s *state, g *scalingGroup, why string) {
	wait := min(5*time.Minute, 10*time.Second<<min(g.Failures, 8))
	g.Failures++
	g.Problem, g.HoldOff = why, s.Now.Add(wait)
	s.after(wait, groupDue, g.AutoScalingGroupName, holdOff)
	c.tellGroup(s, g, "EC2 Instance Launch Unsuccessful", map[string]any{"StatusCode": "Failed", "StatusMessage": why})
}

// launchMember launches an instance as the group's template or its mixed instances policy says.
func (c *Cloud) launchMember(s *state, g *scalingGroup) (*machine, error) {
	if len(g.VPCZoneIdentifier) == 0 {
		return nil, refuse("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
	}
	subnetID := g.VPCZoneIdentifier[s.Next["placement"]%len(g.VPCZoneIdentifier)]
	s.Next["placement"]++
	tags := Tags{"aws:autoscaling:groupName": g.AutoScalingGroupName}
	for k, v := range g.InstanceTags {
		tags[k] = v
	}
	distribution, _ := g.Mixed["instancesDistribution"].(sim.Object)
	template, _ := g.Mixed["launchTemplate"].(sim.Object)
	spot := g.Mixed != nil && c.spot(s, g, distribution)
	_, data, err := s.version(g.LaunchTemplateID, g.LaunchTemplateVersion)
	if err != nil {
		return nil, err
	}
	if market, _ := data["instanceMarketOptions"].(sim.Object); sim.Text(market, "marketType") == "spot" {
		spot = true
	}
	types := []string{sim.Text(data, "instanceType")}
	if overrides := objects(template, "overrides"); len(overrides) > 0 {
		types = nil
		for _, o := range overrides {
			types = append(types, sim.Text(o, "instanceType"))
		}
	}
	for _, typ := range types {
		if s.Exhausted[exhausted(typ, spot)] {
			err = refuse("InsufficientInstanceCapacity", "There is no capacity of type %s in the zone that you requested.", typ)
			continue
		}
		return c.launch(s, g.LaunchTemplateID, g.LaunchTemplateVersion, typ, subnetID, spot, tags)
	}
	return nil, err
}

// spot reports whether the next instance is a Spot one.
func (c *Cloud) spot(s *state, g *scalingGroup, distribution sim.Object) bool {
	base, percentage := sim.Number(distribution, "onDemandBaseCapacity"), 100
	if _, set := distribution["onDemandPercentageAboveBaseCapacity"]; set {
		percentage = sim.Number(distribution, "onDemandPercentageAboveBaseCapacity")
	}
	onDemand := 0
	for _, m := range s.members(g.AutoScalingGroupName) {
		if m.active() && m.Lifecycle == "" {
			onDemand++
		}
	}
	above := max(0, g.DesiredCapacity-base)
	return onDemand >= base+int(math.Ceil(float64(above)*float64(percentage)/100))
}

func exhausted(typ string, spot bool) string {
	if spot {
		return typ + " spot"
	}
	return typ
}

// Doom has every instance that is launched from now on forward at first and die some time after it has claimed its zone, as one does
// whose agent leaks memory; 0 ends that.
func (c *Cloud) Doom(after time.Duration) {
	_ = c.change(func(s *state) error { s.Doom = after; return nil })
}

// SetCapacity says whether EC2 has capacity of a type, on demand or as Spot.
func (c *Cloud) SetCapacity(typ string, spot, available bool) error {
	return c.change(func(s *state) error {
		if s.Exhausted == nil {
			s.Exhausted = map[string]bool{}
		}
		delete(s.Exhausted, exhausted(typ, spot))
		if !available {
			s.Exhausted[exhausted(typ, spot)] = true
		}
		return nil
	})
}

// running is called when an instance runs: its launch hooks begin.
func (c *Cloud) running(s *state, m *machine) {
	g, ok := s.Scaling[m.Group]
	if !ok || m.Phase != phasePending {
		return
	}
	m.Target = phaseInService
	if !c.beginHooks(s, g, m, launching, phasePendingWait) {
		c.inService(s, g, m)
	}
}

// beginHooks lets an instance wait for the hooks of a transition; false if there are none.
func (c *Cloud) beginHooks(s *state, g *scalingGroup, m *machine, transition, phase string) bool {
	m.Waiting = map[string]*action{}
	for _, h := range g.Hooks {
		if h.Transition != transition {
			continue
		}
		s.Next["token"]++
		a := &action{
			Token:  fmt.Sprintf("%08x-0000-4000-8000-%012x", s.Next["token"], s.Next["token"]),
			Latest: s.Now.Add(min(hookCap, heartbeats*time.Duration(h.Heartbeat)*time.Second)),
		}
		m.Waiting[h.Name], m.Phase = a, phase
		s.after(time.Duration(h.Heartbeat)*time.Second, hookDue, m.InstanceID, h.Name)
		c.tellHook(s, g, h, m, a.Token)
	}
	return len(m.Waiting) > 0
}

// hookDue ends a wait for which nobody has said the result.
func (c *Cloud) hookDue(s *state, id, name string) bool {
	m, ok := s.Machines[id]
	if !ok || m.Waiting[name] == nil {
		return false
	}
	g := s.Scaling[m.Group]
	if g == nil {
		return false
	}
	for _, h := range g.Hooks {
		if h.Name == name {
			g.Problem = fmt.Sprintf("lifecycle hook %s of instance %s timed out", name, id)
			c.completeAction(s, g, m, name, h.Default)
			return true
		}
	}
	return false
}

// completeAction ends the wait for one hook.
func (c *Cloud) completeAction(s *state, g *scalingGroup, m *machine, name, result string) {
	delete(m.Waiting, name)
	s.cancel(hookDue, m.InstanceID, name)
	isLaunch := m.Phase == phasePendingWait
	if result == ResultAbandon {
		s.cancel(hookDue, m.InstanceID, "")
		m.Waiting = nil
	}
	switch {
	case isLaunch && result == ResultAbandon:
		c.launchFailed(s, g, fmt.Sprintf("instance %s failed its launch: hook %s was abandoned or timed out", m.InstanceID, name))
		m.Phase = phaseTermProceed
		c.terminate(s, m)
	case len(m.Waiting) > 0:
	case isLaunch:
		c.inService(s, g, m)
	default:
		m.Phase = phaseTermProceed
		c.terminate(s, m)
	}
}

func (c *Cloud) inService(s *state, g *scalingGroup, m *machine) {
	m.Phase, m.InService = phaseInService, s.Now
	g.Failures, g.Problem = 0, ""
	c.tellGroup(s, g, "EC2 Instance Launch Successful", map[string]any{"EC2InstanceId": m.InstanceID, "StatusCode": "InProgress"})
	s.after(0, groupDue, g.AutoScalingGroupName, "")
}

// beginTermination ends an instance as a group does, hooks first. One that never was in service has nothing to hand over:
// no hook is run for it.
func (c *Cloud) beginTermination(s *state, g *scalingGroup, m *machine) {
	if strings.HasPrefix(m.Phase, phaseTerminating) {
		return
	}
	served := m.Phase == phaseInService
	s.cancel(hookDue, m.InstanceID, "")
	m.Phase, m.Target = phaseTerminating, phaseTerminated
	if served && c.beginHooks(s, g, m, terminating, phaseTermWait) {
		c.agentNotice(s, m)
		return
	}
	m.Phase = phaseTermProceed
	c.terminate(s, m)
}

// leftUnexpectedly is called when an instance begins to end. If its group has not ended it, the group finds out: whatever
// its maintenance policy says, the capacity is below the floor now.
func (c *Cloud) leftUnexpectedly(s *state, m *machine) {
	if m.Group == "" || m.Phase == phaseTermProceed || m.Lost {
		return
	}
	s.cancel(hookDue, m.InstanceID, "")
	m.Waiting = nil
	if strings.HasPrefix(m.Phase, phaseTerminating) {
		m.Phase = phaseTermProceed
	}
	s.after(detection, groupDue, m.Group, m.InstanceID)
}

// gone is called when an instance has ended.
func (c *Cloud) gone(s *state, m *machine) {
	g, ok := s.Scaling[m.Group]
	if !ok || m.State != StateTerminated {
		return
	}
	s.cancel(lifetimeDue, m.InstanceID, "")
	s.cancel(spotDue, m.InstanceID, "")
	m.Group, m.Phase = "", phaseTerminated
	c.tellGroup(s, g, "EC2 Instance Terminate Successful", map[string]any{"EC2InstanceId": m.InstanceID, "StatusCode": "InProgress"})
	s.after(0, groupDue, g.AutoScalingGroupName, "")
}

// lifetimeDue replaces an instance that has reached its maximum lifetime. Scale-in protection blocks it.
func (c *Cloud) lifetimeDue(s *state, id string) bool {
	m, ok := s.Machines[id]
	if !ok || !m.active() {
		return false
	}
	g := s.Scaling[m.Group]
	if g == nil || g.Protect {
		return false
	}
	g.replace(id, whyLifetime)
	return c.reconcile(s, m.Group)
}

// group finds a group by its name.
func (s *state) group(name string) (*scalingGroup, error) {
	if g, ok := s.Scaling[name]; ok {
		return g, nil
	}
	return nil, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup %s not found", name)
}

// putHook makes a lifecycle hook, and tests its target with a notice.
func (c *Cloud) putHook(s *state, g *scalingGroup, h hook) error {
	if h.Heartbeat == 0 {
		h.Heartbeat = heartbeatDefault
	}
	if h.Heartbeat < heartbeatMin || h.Heartbeat > heartbeatMax {
		return refuse("ValidationError", "Heartbeat timeout must be between %d and %d seconds", heartbeatMin, heartbeatMax)
	}
	if h.Default == "" {
		h.Default = ResultAbandon
	}
	if h.TargetARN != "" && h.RoleARN == "" {
		return refuse("ValidationError", "A role ARN must be specified with a notification target ARN")
	}
	g.Hooks = slices.DeleteFunc(g.Hooks, func(o hook) bool { return o.Name == h.Name })
	g.Hooks = append(g.Hooks, h)
	if h.TargetARN != "" {
		c.testHook(s, g, h)
	}
	return nil
}

// CompleteLifecycleAction ends the wait of an instance. Without an active action it is a ValidationError.
func (c *Cloud) CompleteLifecycleAction(in CompleteLifecycleActionInput) error {
	return c.call("", func(s *state) error {
		if in.LifecycleActionResult != ResultContinue && in.LifecycleActionResult != ResultAbandon {
			return refuse("ValidationError", "The lifecycle action result must be CONTINUE or ABANDON")
		}
		g, m, err := s.action(in.AutoScalingGroupName, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceID)
		if err != nil {
			return err
		}
		c.completeAction(s, g, m, in.LifecycleHookName, in.LifecycleActionResult)
		return nil
	})
}

// action finds the instance that waits for a hook.
func (s *state) action(group, name, token, id string) (*scalingGroup, *machine, error) {
	g, err := s.group(group)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range s.members(group) {
		if a := m.Waiting[name]; a != nil && (token != "" && a.Token == token || token == "" && m.InstanceID == id) {
			return g, m, nil
		}
	}
	if token != "" {
		return nil, nil, refuse("ValidationError", "No active Lifecycle Action found with token %s", token)
	}
	return nil, nil, refuse("ValidationError", "No active Lifecycle Action found with instance ID %s", id)
}

// RecordLifecycleActionHeartbeat restarts a hook's timeout, up to its cap.
func (c *Cloud) RecordLifecycleActionHeartbeat(in RecordLifecycleActionHeartbeatInput) error {
	return c.call("", func(s *state) error {
		g, m, err := s.action(in.AutoScalingGroupName, in.LifecycleHookName, in.LifecycleActionToken, in.InstanceID)
		if err != nil {
			return err
		}
		for _, h := range g.Hooks {
			if h.Name == in.LifecycleHookName {
				s.cancel(hookDue, m.InstanceID, h.Name)
				s.after(min(time.Duration(h.Heartbeat)*time.Second, m.Waiting[h.Name].Latest.Sub(s.Now)), hookDue, m.InstanceID, h.Name)
			}
		}
		return nil
	})
}

// SetInstanceHealth marks an instance; one that is unhealthy is replaced, under the maintenance policy
// ([UnknownBehaviours].HealthIgnoresPolicy).
func (c *Cloud) SetInstanceHealth(in SetInstanceHealthInput) error {
	return c.call("", func(s *state) error {
		m, ok := s.Machines[in.InstanceID]
		if !ok || m.Group == "" {
			return refuse("ValidationError", "Instance Id not found - No managed instance found for instance ID: %s", in.InstanceID)
		}
		g := s.Scaling[m.Group]
		switch in.HealthStatus {
		case "Healthy":
			m.Unhealthy = false
			g.Replacing = slices.DeleteFunc(g.Replacing, func(r replacement) bool {
				return r.Instance == m.InstanceID && r.Why == whyHealth && r.Successor == ""
			})
			return nil
		case "Unhealthy":
		default:
			return refuse("ValidationError", "Health status must be Healthy or Unhealthy")
		}
		grace := in.ShouldRespectGracePeriod == nil || *in.ShouldRespectGracePeriod
		if grace && (m.Phase != phaseInService || s.Now.Before(m.InService.Add(time.Duration(g.HealthCheckGracePeriod)*time.Second))) {
			return nil // it is taken, and does nothing
		}
		m.Unhealthy = true
		if !slices.Contains(g.SuspendedProcesses, "ReplaceUnhealthy") {
			g.replace(m.InstanceID, whyHealth)
			s.after(0, groupDue, m.Group, "")
		}
		return nil
	})
}

// refresh begins an instance refresh.
func (c *Cloud) refresh(s *state, g *scalingGroup, lowest, highest int, skipMatching bool) (string, error) {
	if g.Refresh != "" {
		return "", &Error{Code: "InstanceRefreshInProgress", Message: "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.", Status: 400}
	}
	if lowest < 0 {
		lowest = g.MinHealthyPercentage
	}
	if highest < 0 {
		highest = g.MaxHealthyPercentage
	}
	if lowest < 0 {
		lowest = 90
	}
	if highest < 0 {
		highest = 100
	}
	s.Next["refresh"]++
	g.Refresh, g.RefreshMin, g.RefreshMax = fmt.Sprintf("%08x-0000-4000-8000-000000000000", s.Next["refresh"]), lowest, highest
	n, _, err := s.version(g.LaunchTemplateID, g.LaunchTemplateVersion)
	if err != nil {
		return "", err
	}
	for _, m := range s.members(g.AutoScalingGroupName) {
		if m.active() && (!skipMatching || m.LaunchTemplateVersion != n || m.LaunchTemplateID != g.LaunchTemplateID) {
			g.replace(m.InstanceID, whyRefresh)
		}
	}
	c.tellGroup(s, g, "EC2 Auto Scaling Instance Refresh Started", nil)
	s.after(0, groupDue, g.AutoScalingGroupName, "")
	return g.Refresh, nil
}

// StartInstanceRefresh replaces the instances of a group one by one. It returns the id of the refresh.
func (c *Cloud) StartInstanceRefresh(in StartInstanceRefreshInput) (id string, err error) {
	err = c.call("", func(s *state) error {
		g, err := s.group(in.AutoScalingGroupName)
		if err != nil {
			return err
		}
		id, err = c.refresh(s, g, in.MinHealthyPercentage, in.MaxHealthyPercentage, in.SkipMatching)
		return err
	})
	return id, err
}

// describeGroup is a group as a describe shows it.
func (s *state) describeGroup(g *scalingGroup) AutoScalingGroup {
	out := g.AutoScalingGroup
	out.HasPolicy = g.Mixed != nil
	template, _ := g.Mixed["launchTemplate"].(sim.Object)
	for _, o := range objects(template, "overrides") {
		out.Overrides = append(out.Overrides, sim.Text(o, "instanceType"))
	}
	for _, m := range s.members(g.AutoScalingGroupName) {
		out.Instances = append(out.Instances, m.inGroup())
	}
	return out
}

func (m *machine) inGroup() GroupInstance {
	health := "Healthy"
	if m.Unhealthy {
		health = "Unhealthy"
	}
	return GroupInstance{
		InstanceID: m.InstanceID, InstanceType: m.InstanceType, AvailabilityZone: m.AvailabilityZone, AutoScalingGroupName: m.Group,
		LifecycleState: m.Phase, HealthStatus: health, LaunchTemplateID: m.LaunchTemplateID, LaunchTemplateVersion: fmt.Sprint(m.LaunchTemplateVersion),
	}
}

// DescribeAutoScalingGroups returns groups; a name that is none's is not missed.
func (c *Cloud) DescribeAutoScalingGroups(in DescribeAutoScalingGroupsInput) ([]AutoScalingGroup, error) {
	var out []AutoScalingGroup
	err := c.describe("", func(s *state) error {
		for _, name := range sorted(s.Scaling) {
			if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, name) {
				continue
			}
			g := s.describeGroup(s.Scaling[name])
			ok, err := matches(in.Filters, g.Tags, func(filter string) ([]string, bool) {
				if filter != "tag-value" {
					return nil, false
				}
				var values []string
				for _, k := range sorted(g.Tags) {
					values = append(values, g.Tags[k])
				}
				return values, true
			})
			if err != nil {
				return err
			}
			if ok {
				out = append(out, g)
			}
		}
		return nil
	})
	return out, err
}

// DescribeAutoScalingInstances returns the instances of groups, all of them if none is named.
func (c *Cloud) DescribeAutoScalingInstances(ids ...string) ([]GroupInstance, error) {
	var out []GroupInstance
	err := c.describe("", func(s *state) error {
		for _, id := range sorted(s.Machines) {
			if m := s.Machines[id]; m.Group != "" && (len(ids) == 0 || slices.Contains(ids, id)) {
				i := m.inGroup()
				i.HealthStatus = strings.ToUpper(i.HealthStatus)
				out = append(out, i)
			}
		}
		return nil
	})
	return out, err
}
