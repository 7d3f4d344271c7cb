// Package decide is the controller's judgement: a message, what was looked up, the state and the clock in; what to do and
// the next state out. It is pure, so that every failure can be tested with a simulated clock.
//
// Two rules hold throughout. A route is only ever pointed at the standby, never at an instance: claiming is the agent's.
// And only a route that points at the instance in question, leads nowhere or is missing is touched.
package decide

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"polynat/internal/natzone"
)

// Version of the state.
const Version = 1

// State is what a zone's controller remembers between invocations. There is one writer per zone.
type State struct {
	Version int `json:"version"`
	// Since when the zone is not served by its instance; zero while it is.
	Since time.Time `json:"since,omitzero"`
	// Why, for people, and which instance it was; both empty where the controller found the routes so.
	Why      string `json:"why,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Moved is when the controller last moved routes. What a prober saw before is no judgement of the new way.
	Moved time.Time `json:"moved,omitzero"`
	// Back is the instance that claimed the zone back after a failover, and since when.
	Back Return `json:"back,omitzero"`
	// Sick is the instance to be replaced whatever it says of itself: it failed again soon after it came back.
	Sick string `json:"sick,omitempty"`
	// Unready is since when the agent has not called itself ready while its zone was on the standby.
	Unready time.Time `json:"unready,omitzero"`
	// Replaced is when an instance was last marked unhealthy.
	Replaced time.Time `json:"replaced,omitzero"`
	// Broken is since when the standby is known not to work, and Excused, since when failures are the targets' own.
	// Each is told once.
	Broken  time.Time `json:"broken,omitzero"`
	Excused time.Time `json:"excused,omitzero"`
	// Answering is when the targets were found to answer again: verdicts of before are about their outage.
	Answering time.Time `json:"answering,omitzero"`
	// Served are the instances that said that they hold the zone, the newest first.
	Served []string `json:"served,omitempty"`
	// Holders are the instances that the routes pointed at when they were last looked up.
	Holders []Holder `json:"holders,omitempty"`
	// Calm is since when the other zones hold, while this one waits for its turn with a changed template; zero while it waits for none.
	Calm natzone.Calm `json:"calm,omitzero"`
	// Rolled is the template that the last refresh was started for, and when that was.
	Rolled Rolled `json:"rolled,omitzero"`
	// Leaving are instances that are about to go and were fit to hand over by themselves.
	Leaving []Leaving `json:"leaving,omitempty"`
}

// Return of an instance after a failover.
type Return struct {
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
}

// Rolled is a refresh that was started.
type Rolled struct {
	Template string    `json:"template"`
	At       time.Time `json:"at"`
}

// Holder is an instance that routes of the zone point at.
type Holder struct {
	Instance string `json:"instance"`
	// Since is when the routes were first found to point at it: they did so some time before. Zero where they did at the first look of
	// all.
	Since time.Time `json:"since,omitzero"`
}

// Leaving is an instance that was told to go.
type Leaving struct {
	Instance string `json:"instance"`
	// Due is when the controller moves what still points at the instance.
	Due time.Time `json:"due"`
	// Hook says that the termination hook waits for its completion.
	Hook bool `json:"hook,omitempty"`
}

// Waits is the state in which the termination of an instance waits for its routes to be moved, which is due.
func (s State) Waits(instance string, due time.Time) State {
	rest := slices.DeleteFunc(slices.Clone(s.Leaving), func(l Leaving) bool { return l.Instance == instance })
	s.Leaving = append(rest, Leaving{Instance: instance, Due: due, Hook: true})
	return s
}

// JSON of the state, on one line.
func (s State) JSON() (string, error) {
	s.Version = Version
	data, err := json.Marshal(s)
	return string(data), err
}

// ParseState reads what [State.JSON] wrote. Of a state that another release wrote, only what both know is kept.
func ParseState(text string) (State, error) {
	var s State
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return State{}, fmt.Errorf("state of the zone: %w", err)
	}
	return s, nil
}

// Route is one (table, destination) of the zone as it was found.
type Route struct {
	Table       string
	Destination netip.Prefix
	// Instance of the zone's group and Interface that it points at, or Gateway, a NAT gateway; all empty for another target, such
	// as an appliance: that is a person's decision.
	Instance, Interface, Gateway string
	// Blackhole says that the target is no more; Missing, that there is no such route.
	Blackhole, Missing bool
}

// onInstance says that the route points at an instance.
func (r Route) onInstance() bool { return r.Instance != "" || r.Interface != "" }

// nowhere says that the route leads nowhere. One of IPv4 that is missing beside the default route was taken away by a change.
func (r Route) nowhere() bool {
	return r.Blackhole || r.Missing && (r.Destination.Bits() == 0 || r.Destination.Addr().Is6())
}

// Control is how the same targets answered from outside of the VPC.
type Control struct {
	Answered []natzone.Target
	// Silent are targets that were tried and did not answer. A target whose name was not found is in neither list.
	Silent []natzone.Target
}

// Rollout is how the zones stand with a changed template.
type Rollout struct {
	// Template and its version, as the zone's own group names them.
	Template string
	Own      natzone.Standing
	Peers    []natzone.Standing
}

// Peer is another zone of the same component.
type Peer struct {
	Zone string
	// Healthy says that its group has a healthy instance in service, and Holds, that a route points at it.
	Healthy, Holds bool
}

// Observation is what was looked up for a message.
type Observation struct {
	Now    time.Time
	Routes []Route
	// Lost are tables of the zone that do not exist any more.
	Lost []string
	// Agent is what the agent last said, if that is recent; nil otherwise.
	Agent   *natzone.Health
	Control Control
	// Standby is the state of the gateway as EC2 names it; empty if not looked up.
	Standby string
	// InService are the healthy instances in service of the zone's own group, and Peers the other zones, if Looked: where a
	// replacement is [Due].
	Looked    bool
	InService []string
	Peers     []Peer
	// Rollout is nil if not looked up, or where the zone's own instance is of the group's template.
	Rollout *Rollout
}

// Move points a route at the standby; Create where there is none.
type Move struct {
	Table       string
	Destination netip.Prefix
	Create      bool
}

// Alert goes to people.
type Alert struct {
	Subject, Text string
	// Recurs says that the same is found again and again until somebody acts: it is told once an hour.
	Recurs bool
}

// Plan is what is to be done, in this order: Moves, then everything else. State is the state once Moves have succeeded.
type Plan struct {
	Moves []Move
	// Complete are instances whose termination hook is completed, and Replace the one that is marked unhealthy.
	Complete []string
	Replace  string
	// Refresh has the instance replaced by one of the group's changed template, the successor first.
	Refresh bool
	Alerts  []Alert
	// Probe starts the prober again, which ended with its verdict.
	Probe *natzone.Tick
	State State
	// Changed says that State is to be saved.
	Changed bool
	// OnStandby and Broken are what the metrics say. LeftReady says that Moves leave an instance that calls itself ready.
	OnStandby, Broken, LeftReady bool
	// Note says for the log what was decided and why.
	Note string
}
