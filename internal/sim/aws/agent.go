package aws

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"polynat/internal/natzone"
)

// agent is what the simulated agent of an instance knows.
type agent struct {
	// Step is the next one of its claim; Tried is how often it was tried.
	Step  agentStep `json:",omitempty"`
	Tried int       `json:",omitempty"`
	// Holds says that address and routes are its own, as far as it knows. Leaving says that it is to go, and Left that it has
	// handed over.
	Holds, Leaving, Left bool `json:",omitempty"`
	// Doomed is how long after its claim the agent dies; 0: it does not.
	Doomed time.Duration `json:",omitempty"`
	// Rebooting says that nothing runs.
	Rebooting bool `json:",omitempty"`
}

type agentStep string

// Steps of a claim, in their order: what natd does on an instance.
const (
	stepProve     agentStep = ""
	stepCheck     agentStep = "source/destination check"
	stepAddress   agentStep = "address"
	stepConfirm   agentStep = "confirm"
	stepAssociate agentStep = "associate"
	stepRoutes    agentStep = "routes"
	stepComplete  agentStep = "complete"
	stepDone      agentStep = "done"
)

// Arguments of the agent's timer.
const (
	agentBoot  = "boot"
	agentClaim = "claim"
	agentLeave = "leave"
	agentDies  = "dies"
)

// Timing of the simulated agent: an API call, the wait before the next try, how many tries before it gives the launch up, and
// how often it looks at instance metadata.
const (
	callTime   = 100 * time.Millisecond
	retryTime  = time.Second
	agentTries = 20
	lookTime   = time.Second
)

// document returns the configuration document in an instance's user data, nil if there is none.
func (c *Cloud) document(m *machine) *natzone.Agent {
	if c.opts.Agent != AgentSimulated || m.UserData == "" {
		return nil
	}
	if a, ok := documents.Load(m.UserData); ok {
		return a.(*natzone.Agent)
	}
	a, err := natzone.AgentOf(script(m.UserData))
	if err != nil {
		a = nil
	}
	documents.Store(m.UserData, a)
	return a
}

// script decodes user data: base64, perhaps of gzip.
func script(userData string) string {
	data, err := base64.StdEncoding.DecodeString(userData)
	if err != nil {
		return userData
	}
	if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		if plain, err := io.ReadAll(r); err == nil {
			data = plain
		}
	}
	return string(data)
}

// alive reports whether the agent of an instance can do anything.
func (m *machine) alive() bool {
	return m.State == StateRunning && !m.Agent.Rebooting && !slices.Contains(m.Faults, FaultDead)
}

// agentDue lets the simulated agent do one thing. It returns whether anything has changed.
func (c *Cloud) agentDue(s *state, id, what string) bool {
	m, ok := s.Machines[id]
	if !ok {
		return false
	}
	if what == agentBoot {
		m.Agent.Rebooting = false
	}
	doc := c.document(m)
	if doc == nil || !m.alive() {
		return what == agentBoot
	}
	if what == agentDies {
		m.Faults = append(m.Faults, FaultDead)
		c.broken(s, m)
		return true
	}
	if what == agentLeave {
		return c.leave(s, m, doc)
	}
	if m.Agent.Left || m.Agent.Step == stepDone {
		return false
	}
	changed, next, err := c.claim(s, m, doc)
	switch {
	case err == nil && next == stepDone:
		m.Agent.Step, m.Agent.Holds, m.Agent.Tried = stepDone, true, 0
		if m.Agent.Doomed > 0 {
			s.after(m.Agent.Doomed, agentDue, id, agentDies)
		}
	case err == nil:
		m.Agent.Step = next
		s.after(callTime, agentDue, id, agentClaim)
	default:
		m.Agent.Tried++
		if a := m.Waiting[doc.LaunchHook]; a != nil && m.Phase == phasePendingWait && m.Agent.Tried >= agentTries {
			if g := s.Scaling[m.Group]; g != nil {
				c.completeAction(s, g, m, doc.LaunchHook, ResultAbandon)
				g.Problem += ": " + err.Error()
				return true
			}
		}
		s.after(retryTime, agentDue, id, agentClaim)
	}
	return changed
}

// claim makes one step of the claim and returns the next one.
func (c *Cloud) claim(s *state, m *machine, doc *natzone.Agent) (changed bool, next agentStep, err error) {
	e := s.Interfaces[m.NetworkInterfaceIDs[0]]
	address := doc.Address.String()
	switch m.Agent.Step {
	case stepProve:
		if slices.Contains(m.Faults, FaultForwarding) {
			return false, "", errNotReady("it does not forward")
		}
		if _, why := c.egress(s, e, e.private("")); why != "" {
			if _, zone := c.egress(s, e, e.private(address)); zone != "" {
				return false, "", errNotReady("it has no way to the Internet: " + why)
			}
		}
		return false, stepCheck, nil
	case stepCheck:
		changed, e.SourceDestCheck = e.SourceDestCheck, false
		return changed, stepAddress, nil
	case stepAddress:
		if e.private(address) != nil {
			return false, stepConfirm, nil
		}
		_, err := c.assignPrivate(s, AssignPrivateIPAddressesInput{NetworkInterfaceID: e.NetworkInterfaceID, PrivateIPAddresses: []string{address}, AllowReassignment: true})
		return err == nil, stepConfirm, err
	case stepConfirm:
		if !slices.ContainsFunc(e.Shown, func(a PrivateAddress) bool { return a.PrivateIPAddress == address }) {
			return false, stepConfirm, nil
		}
		return false, stepAssociate, nil
	case stepAssociate:
		if held := e.private(address); held == nil {
			return false, stepAddress, nil // a successor took it
		} else if held.AllocationID == doc.AllocationID {
			return false, stepRoutes, nil
		}
		_, err := c.associateAddress(s, AssociateAddressInput{AllocationID: doc.AllocationID, NetworkInterfaceID: e.NetworkInterfaceID, PrivateIPAddress: address})
		return err == nil, stepRoutes, err
	case stepRoutes:
		return c.claimRoute(s, e, doc)
	case stepComplete:
		if a := m.Waiting[doc.LaunchHook]; a != nil && m.Phase == phasePendingWait {
			if g := s.Scaling[m.Group]; g != nil {
				c.completeAction(s, g, m, doc.LaunchHook, ResultContinue)
				return true, stepDone, nil
			}
		}
		return false, stepDone, nil
	}
	return false, stepDone, nil
}

// errNotReady is why an agent does not claim.
type errNotReady string

func (e errNotReady) Error() string { return string(e) }

// claimRoute points one route of the zone at an interface; when all do, the next step is to complete the launch.
func (c *Cloud) claimRoute(s *state, e *netInterface, doc *natzone.Agent) (changed bool, next agentStep, err error) {
	var failed error
	for _, id := range doc.RouteTables {
		t, ok := s.Tables[id]
		if !ok {
			failed = refuse("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
			continue // one table's failure does not stop the next
		}
		for _, p := range doc.Destinations {
			i := t.find(p)
			if i >= 0 && t.Routes[i].NetworkInterfaceID == e.NetworkInterfaceID || i < 0 && p.Bits() != 0 {
				continue
			}
			if i >= 0 && c.strange(s, t.Routes[i], doc) {
				failed = errNotReady(p.String() + " in " + id + " leads to what is not the zone's")
				continue
			}
			if err := c.setRoute(s, t, p, RouteInput{NetworkInterfaceID: e.NetworkInterfaceID}); err != nil {
				failed = err
				continue
			}
			return true, stepRoutes, nil
		}
	}
	return false, stepComplete, failed
}

// strange says that a route works, as far as EC2 shows, and leads to an interface on no instance without the zone's tags: natd
// leaves that alone.
func (c *Cloud) strange(s *state, r Route, doc *natzone.Agent) bool {
	e := s.Interfaces[r.NetworkInterfaceID]
	return e != nil && e.InstanceID == "" && c.shown(s, r).State != RouteBlackhole &&
		(e.Tags[natzone.TagName] != doc.Name || e.Tags[natzone.TagZone] != doc.Zone)
}

// setRoute replaces a route, or creates it when there is none.
func (c *Cloud) setRoute(s *state, t *RouteTable, p netip.Prefix, in RouteInput) error {
	in.RouteTableID = t.RouteTableID
	if p.Addr().Is4() {
		in.DestinationCidrBlock = p.String()
	} else {
		in.DestinationIpv6CidrBlock = p.String()
	}
	if t.find(p) < 0 {
		return c.createRoute(s, in)
	}
	return c.replaceRoute(s, in)
}

// agentNotice tells the agent that its instance is to go; it looks for that in instance metadata.
func (c *Cloud) agentNotice(s *state, m *machine) {
	if !m.Agent.Leaving && c.document(m) != nil {
		m.Agent.Leaving = true
		s.after(lookTime, agentDue, m.InstanceID, agentLeave)
	}
}

// leave points one of the routes that still lead to the instance at the standby; when none does, it has left.
func (c *Cloud) leave(s *state, m *machine, doc *natzone.Agent) bool {
	m.Agent.Step = stepDone
	moved, more := c.toStandby(s, doc.RouteTables, doc.Destinations, doc.Standby, func(r Route) bool {
		return r.NetworkInterfaceID == m.NetworkInterfaceIDs[0]
	})
	if more {
		s.after(callTime, agentDue, m.InstanceID, agentLeave)
	} else {
		m.Agent.Left, m.Agent.Holds = true, false
	}
	return moved
}

// toStandby points the first route that is to be moved at a standby gateway. more is false when there is none left.
func (c *Cloud) toStandby(s *state, tables []string, destinations []netip.Prefix, standby string, move func(Route) bool) (moved, more bool) {
	if standby == "" {
		return false, false
	}
	for _, id := range tables {
		t, ok := s.Tables[id]
		if !ok {
			continue
		}
		for _, p := range destinations {
			i := t.find(p)
			if i >= 0 && !move(t.Routes[i]) || i < 0 && p.Bits() != 0 {
				continue
			}
			if c.setRoute(s, t, p, RouteInput{NatGatewayID: standby}) == nil {
				return true, true
			}
		}
	}
	return false, false
}

// broken is called when a fault has befallen an instance: the zone's prober sees it.
func (c *Cloud) broken(s *state, m *machine) {
	if c.opts.Agent != AgentSimulated {
		return
	}
	m.Agent.Holds = false
	if name := c.controllerOf(s, m.Group); name != "" {
		s.after(verdictTime, controlDue, name, controlFailed+m.InstanceID)
	}
}

// repaired is called when a fault is gone: the agent claims back when it has been proven for long enough.
func (c *Cloud) repaired(s *state, m *machine) {
	doc := c.document(m)
	if doc == nil || len(m.Faults) > 0 || m.Agent.Leaving {
		return
	}
	m.Agent.Step, m.Agent.Tried = stepProve, 0
	s.cancel(agentDue, m.InstanceID, "")
	s.after(time.Duration(doc.Restore.Dwell), agentDue, m.InstanceID, agentClaim)
}

// The simulated controller: the function of a group that was declared with a controller's configuration.

// Arguments of the controller's timer; what follows is the instance.
const (
	controlFailed    = "failed " // the prober's verdict
	controlSick      = "sick "   // is the instance still sick?
	controlGone      = "gone "   // an event says that it goes
	controlTerminate = "hook "   // a lifecycle notice
	controlTurn      = "turn"    // a minute's report, while the group's template is not its instance's
)

// Timing of the simulated functions: from a silent death to the prober's verdict (natzone.DefaultDetection), and the start of
// the controller.
const (
	verdictTime = 1250 * time.Millisecond
	startTime   = 300 * time.Millisecond
)

// controllerOf returns the name of the function that is a group's controller, empty if none is declared.
func (c *Cloud) controllerOf(s *state, group string) string {
	if group == "" {
		return ""
	}
	for _, name := range sorted(s.Functions) {
		if doc := s.Functions[name].controller(); doc != nil && doc.Group == group {
			return name
		}
	}
	return ""
}

// controllersHear starts the controllers among an event's targets.
func (c *Cloud) controllersHear(s *state, e Event) {
	if len(e.Targets) == 0 {
		return
	}
	id, what := heard(e)
	if what == "" {
		return
	}
	m := s.Machines[id]
	if m == nil {
		return
	}
	for _, arn := range e.Targets {
		name := arn[strings.LastIndex(arn, ":")+1:]
		f, ok := s.Functions[name]
		if !ok {
			continue
		}
		if doc := f.controller(); doc != nil && (doc.Group == m.Group || m.Group == "") {
			s.cancel(controlDue, name, what+id)
			s.after(startTime, controlDue, name, what+id)
		}
	}
}

// controlDue lets a controller do one thing.
func (c *Cloud) controlDue(s *state, name, arg string) bool {
	f, ok := s.Functions[name]
	if !ok {
		return false
	}
	doc := f.controller()
	if arg == controlTurn {
		return doc != nil && c.takeTurn(s, name, doc)
	}
	what, id, _ := strings.Cut(arg, " ")
	m := s.Machines[id]
	if doc == nil || m == nil {
		return false
	}
	eni := ""
	if len(m.NetworkInterfaceIDs) > 0 {
		eni = m.NetworkInterfaceIDs[0]
	}
	again := func(d time.Duration, arg string) { s.after(d, controlDue, name, arg+id) }
	ofInstance := func(r Route) bool {
		return r.NetworkInterfaceID == eni || c.shown(s, r).State == RouteBlackhole
	}
	switch what += " "; what {
	case controlFailed, controlGone:
		if what == controlFailed && c.forwards(m) {
			return false
		}
		moved, more := c.toStandby(s, doc.RouteTables, doc.Destinations, doc.Standby, ofInstance)
		if more {
			again(callTime, what)
		} else if dwell := time.Duration(doc.Healing.Dwell); what == controlFailed && dwell > 0 {
			again(dwell, controlSick)
		}
		return moved
	case controlSick:
		if !c.forwards(m) && m.active() {
			m.Unhealthy = true
			s.Scaling[m.Group].replace(id, whyHealth)
			return c.reconcile(s, m.Group)
		}
	case controlTerminate:
		return c.completeTermination(s, m, doc, ofInstance, again)
	}
	return false
}

// controlTurns has a group's controller look at the templates with its next report.
func (c *Cloud) controlTurns(s *state, group string) {
	if name := c.controllerOf(s, group); name != "" {
		s.cancel(controlDue, name, controlTurn)
		s.after(time.Minute, controlDue, name, controlTurn)
	}
}

// takeTurn has a group's instance replaced by one of its changed template when that is the zone's turn, by the rule of the real controller.
func (c *Cloud) takeTurn(s *state, name string, doc *natzone.Controller) bool {
	g := s.Scaling[doc.Group]
	if g == nil || doc.Hold <= 0 {
		return false
	}
	own := c.standing(s, g)
	var peers []natzone.Standing
	for _, group := range sorted(s.Scaling) {
		if p := s.Scaling[group]; p != g && p.Tags[natzone.TagName] == doc.Name {
			peers = append(peers, c.standing(s, p))
		}
	}
	var turn bool
	turn, g.Calm, _ = natzone.Turn(own, peers, g.Calm, s.Now, time.Duration(doc.Hold))
	if own.Outdated {
		s.after(time.Minute, controlDue, name, controlTurn)
	}
	if !turn || g.Refresh != "" {
		return false
	}
	_, err := c.refresh(s, g, 100, 200, true)
	return err == nil
}

// standing is how a group's zone stands.
func (c *Cloud) standing(s *state, g *scalingGroup) natzone.Standing {
	shown := s.describeGroup(g)
	z := natzone.Standing{Zone: g.Tags[natzone.TagZone]}
	healthy := ""
	for _, i := range shown.Instances {
		for _, t := range s.Tables {
			for _, r := range t.Routes {
				if e := s.Interfaces[r.NetworkInterfaceID]; e != nil && e.InstanceID == i.InstanceID {
					z.Instance = i.InstanceID
				}
			}
		}
		if i.LifecycleState == phaseInService && i.HealthStatus == "Healthy" {
			healthy = i.InstanceID
		}
		version, _, err := s.version(g.LaunchTemplateID, g.LaunchTemplateVersion)
		z.Outdated = z.Outdated || i.LifecycleState == phaseInService && err == nil && i.LaunchTemplateVersion != fmt.Sprint(version)
	}
	z.Settled = len(shown.Instances) == 1 && healthy != "" && z.Instance == healthy
	return z
}

// completeTermination ends the termination hook when no route of the zone points at the instance. An agent that cannot hand
// over any more is helped.
func (c *Cloud) completeTermination(s *state, m *machine, doc *natzone.Controller, ofInstance func(Route) bool, again func(time.Duration, string)) bool {
	g := s.Scaling[m.Group]
	if g == nil || m.Waiting[doc.TerminateHook] == nil {
		return false
	}
	if m.alive() && c.document(m) != nil && !m.Agent.Left {
		again(lookTime, controlTerminate)
		return false
	}
	if moved, more := c.toStandby(s, doc.RouteTables, doc.Destinations, doc.Standby, ofInstance); more {
		again(callTime, controlTerminate)
		return moved
	}
	for _, id := range doc.RouteTables {
		if t, ok := s.Tables[id]; ok && slices.ContainsFunc(t.Routes, func(r Route) bool { return r.NetworkInterfaceID == m.NetworkInterfaceIDs[0] }) {
			again(lookTime, controlTerminate) // no standby: until the hook's timeout
			return false
		}
	}
	c.completeAction(s, g, m, doc.TerminateHook, ResultContinue)
	return true
}

// forwards reports whether what runs on an instance forwards and translates. With real agents, faults are what the lab does.
func (c *Cloud) forwards(m *machine) bool {
	return m.State == StateRunning && len(m.Faults) == 0 && !m.Agent.Rebooting && (c.opts.Agent != AgentSimulated || c.document(m) != nil)
}
