package claim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Holder is what a route of the zone points at.
type Holder string

// Holders.
const (
	Self    Holder = "self"
	Standby Holder = "standby"
	Peer    Holder = "peer"    // an interface with the zone's tags: the predecessor, or a successor
	Vacant  Holder = "vacant"  // no route, or a black hole
	Foreign Holder = "foreign" // anything else: a person's decision, which is left alone
)

// Place is where the zone's address is.
type Place string

// Places.
const (
	Here     Place = "here"    // on the own interface, with the Elastic IP bound to it
	Unbound  Place = "unbound" // on the own interface, and the Elastic IP is not bound to it
	WithPeer Place = "peer"
	Nowhere  Place = "nowhere"
	Strange  Place = "strange" // on an interface that does not carry the zone's tags
)

// Zone is what the API says.
type Zone struct {
	// At is when it was asked for.
	At time.Time
	// CheckOff says that the interface takes packets that are not addressed to it.
	CheckOff bool
	Address  Place
	// Routes, one per table and destination.
	Routes []Holder
}

func (z *Zone) any(h Holder) bool { return slices.Contains(z.Routes, h) }

// all says that there is no route that the instance ought to have and does not.
func (z *Zone) all() bool { return z.any(Self) && !z.any(Standby) && !z.any(Peer) && !z.any(Vacant) }

// Observation is what is known at a moment.
type Observation struct {
	Now time.Time
	// Forwarding says why the kernel does not forward as it should; empty if it does.
	Forwarding string
	// Path says why the own path is not proven; empty if it is. Through the zone's address while that is Here.
	Path string
	// Egress says that the path through the zone's address is proven: from the zone's public address.
	Egress bool
	// Zone is nil until the API has answered once. An older answer stays when the API is down.
	Zone *Zone
	// Leaving says why the instance is about to go; empty if it is not. Terminating says that Auto Scaling waits for it.
	Leaving     string
	Terminating bool
	// Rebalance says that the instance may be taken away before long: it keeps what it has and claims nothing back.
	Rebalance bool
}

// Action is what to do next.
type Action string

// Actions.
const (
	Nothing      Action = ""
	Heartbeat    Action = "keep the launch hook waiting"
	Abandon      Action = "abandon the launch"
	TurnCheckOff Action = "turn the source/destination check off"
	TakeAddress  Action = "take the zone's address"
	ProveEgress  Action = "prove the way out through the zone's address"
	TakeRoutes   Action = "take the routes"
	Continue     Action = "complete the launch"
	HandOver     Action = "point the routes at the standby"
	Depart       Action = "complete the termination"
)

// Config of the machine.
type Config struct {
	// Dwell and MaxDwell are natzone.Restore. No MaxDwell is no limit.
	Dwell, MaxDwell time.Duration
	// StartTimeout after which a start without success is abandoned, and HeartbeatEvery while it goes on.
	StartTimeout, HeartbeatEvery time.Duration
	// Settle is how long after a claim the API may still show the routes as they were: describes lag behind.
	Settle time.Duration
	// HookPatience is how long after the start Auto Scaling may still be on its way to the wait that the launch hook is.
	HookPatience time.Duration
	// ClaimTimeout is how long a successor may have the address without the routes, which it takes once its way out is proven:
	// meanwhile the clients of its predecessor have none. Then it gives the claim up, and after Reclaim, which is longer, the
	// predecessor takes its address back.
	ClaimTimeout, Reclaim time.Duration
	// Standby says that there is one to leave the routes to.
	Standby bool
	// Backoff of an action that failed: the first pause and the longest. Jitter spreads a pause; nil leaves it as it is.
	Backoff, MaxBackoff time.Duration
	Jitter              func(time.Duration) time.Duration
}

// Defaults fills what is left out. A day of failovers counts against an instance, as natzone.Restore says.
func (c Config) Defaults() Config {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.StartTimeout, 5 * time.Minute}, {&c.HeartbeatEvery, 15 * time.Second}, {&c.Settle, 10 * time.Second},
		{&c.HookPatience, 3 * time.Minute}, {&c.ClaimTimeout, 15 * time.Second}, {&c.Reclaim, 20 * time.Second},
		{&c.Backoff, 250 * time.Millisecond}, {&c.MaxBackoff, 2 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.Jitter == nil {
		c.Jitter = func(d time.Duration) time.Duration { return d }
	}
	return c
}

// memory of failovers.
const memory = 24 * time.Hour

// State is what the machine has to remember, over a reboot too.
type State struct {
	// Started is when the agent first ran on this instance.
	Started time.Time `json:"started"`
	// Launched says that the launch hook has its answer, or that there is none.
	Launched bool `json:"launched,omitempty"`
	// Abandoned says that the launch was given up: the instance is about to be terminated.
	Abandoned bool `json:"abandoned,omitempty"`
	// Attempt is when the address was taken for a claim that is not complete yet.
	Attempt time.Time `json:"attempt,omitzero"`
	// Holding says that the instance holds the zone, and that it was not taken from it since Since.
	Holding bool      `json:"holding,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Lost is when the routes were seen to point elsewhere, or a claim was given up, and Failovers when the routes were at the
	// standby or a claim was given up, in the last day.
	Lost      time.Time   `json:"lost,omitzero"`
	Failovers []time.Time `json:"failovers,omitempty"`
	// Departed says that the termination hook has its answer.
	Departed bool `json:"departed,omitempty"`
}

// Status is what the agent says of itself.
type Status struct {
	Ready, Holds, Leaving bool
	// Claims says that it has taken the zone's address from another instance, and not its routes yet.
	Claims bool
	// Since when it holds; zero if it does not.
	Since time.Time
	// Reason why it is not ready or does not hold.
	Reason string
}

// Machine decides. It is not safe for concurrent use.
type Machine struct {
	config Config
	state  State
	// proven since when without a break, robbed since when of the address alone; zero if it is not.
	proven, robbed time.Time
	beat           time.Time
	tries          map[Action]int
	next           map[Action]time.Time
}

// New goes on from a state.
func New(c Config, s State) *Machine {
	return &Machine{config: c.Defaults(), state: s, tries: map[Action]int{}, next: map[Action]time.Time{}}
}

// State to remember. It changes in Step and Done.
func (m *Machine) State() State {
	s := m.state
	s.Failovers = slices.Clone(s.Failovers)
	return s
}

// Step takes note of an observation and says what to do next.
func (m *Machine) Step(o Observation) (Action, Status) {
	if m.state.Started.IsZero() {
		m.state.Started = o.Now
	}
	m.track(o)
	action, reason := m.decide(o)
	if action != Nothing && o.Now.Before(m.next[action]) {
		action = Nothing
	}
	if action == Nothing && m.beatDue(o) {
		action = Heartbeat
	}
	ready := o.Forwarding == "" && o.Path == ""
	holds := m.state.Holding && o.Zone != nil && o.Zone.all() && o.Zone.Address == Here
	if ready && holds && o.Leaving == "" {
		reason = ""
	}
	claims := !m.state.Holding && !m.state.Attempt.IsZero() && !m.state.Abandoned && o.Zone != nil && o.Zone.any(Peer)
	status := Status{Ready: ready, Holds: holds, Claims: claims, Leaving: o.Leaving != "", Reason: reason}
	if holds {
		status.Since = m.state.Since
	}
	return action, status
}

// ErrNoHook is the outcome of an answer to a lifecycle hook that does not wait: it has its answer, has run out, or there is none.
var ErrNoHook = errors.New("no lifecycle hook waits for the instance")

// again is the least pause before an action that succeeded is repeated: the API may show for a moment that it was not done.
const again = time.Second

// Done tells what became of an action.
func (m *Machine) Done(a Action, err error, now time.Time) {
	if errors.Is(err, ErrNoHook) && m.noHook(a, now) {
		err = nil
	}
	if err != nil {
		pause := min(m.config.Backoff<<min(m.tries[a], 16), m.config.MaxBackoff)
		if errors.Is(err, ErrNoHook) {
			pause = m.config.HeartbeatEvery // it will not begin to wait any sooner
		}
		m.tries[a]++
		m.next[a] = now.Add(m.config.Jitter(pause))
		return
	}
	delete(m.tries, a)
	m.next[a] = now.Add(again)
	switch a {
	case Heartbeat:
		m.beat = now
	case Abandon:
		m.state.Abandoned = !m.state.Launched
	case Continue:
		m.state.Launched = true
	case Depart:
		m.state.Departed = true
	case TakeAddress:
		m.robbed = time.Time{}
		if !m.state.Holding && m.state.Attempt.IsZero() {
			m.state.Attempt = now
		}
	case TakeRoutes:
		m.state.Since = now // the API may show the old routes until it has settled
		m.hold(now)
	}
}

// noHook says whether there is nothing more to try. A launch hook may begin to wait only after the agent is ready: an answer that came
// too early would leave it waiting, and the instance be terminated when it runs out.
func (m *Machine) noHook(a Action, now time.Time) bool {
	switch a {
	case Continue:
		return now.Sub(m.state.Started) > m.config.HookPatience
	case Abandon:
		m.state.Launched = true // goes on as an instance that nobody waits for
		return true
	}
	return true
}

// track follows who has the zone, and since when the path is proven.
func (m *Machine) track(o Observation) {
	switch {
	case o.Forwarding != "" || o.Path != "":
		m.proven = time.Time{}
	case m.proven.IsZero():
		m.proven = o.Now
	}
	m.state.Failovers = slices.DeleteFunc(m.state.Failovers, func(t time.Time) bool { return o.Now.Sub(t) > memory })
	z := o.Zone
	switch {
	case z == nil || !m.state.Holding || z.Address == Here || z.Address == Strange || !z.any(Self):
		m.robbed = time.Time{}
	case m.robbed.IsZero():
		m.robbed = o.Now
	}
	if z == nil || !m.state.Holding || z.At.Before(m.state.Since.Add(m.config.Settle)) {
		return
	}
	switch {
	case z.any(Standby):
		m.fail(o.Now)
	case z.any(Peer), !z.any(Self) && !z.any(Vacant):
		m.lose(o.Now)
	}
}

func (m *Machine) lose(now time.Time) { m.state.Holding, m.state.Lost = false, now }

// fail counts against the instance: it waits the longer for its next claim.
func (m *Machine) fail(now time.Time) {
	m.state.Failovers = append(m.state.Failovers, now)
	m.lose(now)
}

func (m *Machine) hold(now time.Time) {
	if !m.state.Holding {
		m.state.Since = now
	}
	m.state.Holding, m.state.Attempt = true, time.Time{}
}

// decide is the order of things. The reason says what is waited for.
func (m *Machine) decide(o Observation) (Action, string) {
	if o.Leaving != "" {
		return m.leave(o)
	}
	if m.state.Abandoned {
		return Nothing, "the launch was abandoned"
	}
	if !m.state.Launched && !m.state.Holding && o.Now.Sub(m.state.Started) > m.config.StartTimeout {
		return Abandon, fmt.Sprintf("not ready %s after the start", m.config.StartTimeout)
	}
	if m.stuck(o) {
		reason := fmt.Sprintf("took the zone's address from an instance that works, and cannot complete the claim within %s", m.config.ClaimTimeout)
		if !m.state.Launched {
			return Abandon, reason
		}
		m.state.Attempt = time.Time{}
		m.fail(o.Now)
	}
	switch {
	case o.Forwarding != "":
		return Nothing, o.Forwarding
	case m.reclaims(o):
		// The own path may well be broken without the address: it proves nothing here.
		return TakeAddress, "the zone's address was taken, and the routes were left here"
	case o.Path != "":
		return Nothing, o.Path
	case o.Zone == nil:
		return Nothing, "the API has not answered yet"
	}
	if reason := m.wait(o); reason != "" {
		return Nothing, reason
	}
	return m.take(o)
}

// stuck says that the instance has the address for too long while another one still has the routes. Where the routes are at the
// standby, or nowhere, nobody is worse off for a claim that takes its time; nor where some are here and work, and others cannot be
// moved yet.
func (m *Machine) stuck(o Observation) bool {
	a := m.state.Attempt
	if m.state.Holding || a.IsZero() || o.Now.Sub(a) <= m.config.ClaimTimeout || o.Zone == nil {
		return false
	}
	return o.Zone.any(Peer) && (!o.Egress || !o.Zone.any(Self))
}

// reclaims says that the address is to be taken back from one who leaves the routes here, or has gone with it, by what the API says
// now.
func (m *Machine) reclaims(o Observation) bool {
	if m.robbed.IsZero() || o.Now.Sub(o.Zone.At) >= m.config.Settle {
		return false
	}
	return o.Zone.Address != WithPeer || o.Now.Sub(m.robbed) > m.config.Reclaim
}

// wait says why the zone may not be claimed yet; empty if it may, as the first time, or is held.
func (m *Machine) wait(o Observation) string {
	if m.state.Holding || m.state.Lost.IsZero() {
		return ""
	}
	switch {
	case o.Zone.any(Peer):
		return "another instance holds the routes"
	case o.Rebalance:
		return "lost the routes, and EC2 recommends to replace the instance"
	}
	begin := m.proven
	if m.state.Lost.After(begin) {
		begin = m.state.Lost
	}
	if left := m.dwell() - o.Now.Sub(begin); left > 0 {
		return fmt.Sprintf("lost the routes; claims them back when proven for %s more", left.Round(time.Second))
	}
	return ""
}

// dwell doubles with every failover of the last day but the first.
func (m *Machine) dwell() time.Duration {
	const most = 20 // doublings, after which it is longer than any day
	d := m.config.Dwell << min(max(len(m.state.Failovers)-1, 0), most)
	if m.config.MaxDwell > 0 {
		d = min(d, m.config.MaxDwell)
	}
	return d
}

// take does what is missing, in the order in which nothing is claimed that does not work yet.
func (m *Machine) take(o Observation) (Action, string) {
	z := o.Zone
	switch {
	case !z.CheckOff:
		return TurnCheckOff, "source/destination check is on"
	case z.Address == Strange:
		return Nothing, "the zone's address is on an interface without the zone's tags"
	case z.Address == WithPeer && m.state.Holding:
		return Nothing, "another instance has the zone's address" // a successor, which takes the routes next
	case z.Address != Here:
		return TakeAddress, "does not have the zone's address"
	case !o.Egress:
		return ProveEgress, "the way out through the zone's address is not proven"
	case m.state.Holding && z.At.Before(m.state.Since.Add(m.config.Settle)):
		// What was just written may not be shown yet.
	case !z.all() && slices.ContainsFunc(z.Routes, func(h Holder) bool { return h == Standby || h == Peer || h == Vacant }):
		return TakeRoutes, "routes do not point here"
	case !z.any(Self):
		return Nothing, "all routes point at what is not the zone's"
	default:
		m.hold(o.Now)
	}
	if !m.state.Launched && m.state.Holding {
		return Continue, "the launch is not completed"
	}
	return Nothing, ""
}

// leave points what points here elsewhere.
func (m *Machine) leave(o Observation) (Action, string) {
	switch {
	case o.Zone == nil:
		return Nothing, o.Leaving + "; the API has not answered yet"
	case o.Zone.any(Self) && m.config.Standby:
		return HandOver, o.Leaving
	case o.Zone.any(Self):
		return Nothing, o.Leaving + "; there is no standby, so it forwards to the end"
	case o.Terminating && !m.state.Departed:
		return Depart, o.Leaving
	}
	return Nothing, o.Leaving
}

// beatDue says that the launch hook has to be kept waiting.
func (m *Machine) beatDue(o Observation) bool {
	return !m.state.Launched && !m.state.Abandoned && o.Leaving == "" && !o.Now.Before(m.next[Heartbeat]) &&
		(m.beat.IsZero() || o.Now.Sub(m.beat) >= m.config.HeartbeatEvery)
}
