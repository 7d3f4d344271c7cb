package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"polynat/internal/failover/event"
	"polynat/internal/natzone"
)

const (
	// Quiet is how long a prober observes before its next verdict: at most twelve chains a minute, whatever happens.
	Quiet = 5 * time.Second
	// Handover is how long a fit agent has to hand over by itself after it was told to go. Spot gives it two minutes.
	Handover = 45 * time.Second
	// Relapse is how soon after its return a second failure marks an instance as sick.
	Relapse = 30 * time.Minute
	// Confirm is how long after the first report without a ready agent a second one counts: a report may come twice.
	Confirm = 30 * time.Second
	// Stuck is after how many dwells on the standby an instance will not come back: one whose path comes and goes may look
	// ready whenever it is asked.
	Stuck = 12
	// Patience is how long a zone waits with its replacement for others that are in need too, in pauses between two. By then those
	// have had their turns more than once. How far into a pause its own come goes by its rank: no two zones' turns are one.
	Patience = 2
	// Again is how long after a refresh for a template another one is started for the same: a launch and a hand-over, twice.
	Again = 15 * time.Minute
	// known is how many instances that served the zone are remembered: two at a time, and what their predecessors may still hold.
	known = 4
	// forgotten is when a leaving instance is struck off in any case: no hook is held that long.
	forgotten = 3 * time.Hour
)

// judge is one decision in the making.
type judge struct {
	zone natzone.Controller
	o    Observation
	was  State
	Plan
}

// Decide says what to do about a message. Of messages that concern no route ([event.Ignored], [event.Unknown],
// [event.Silent]) nothing is looked up, and nothing follows.
func Decide(zone natzone.Controller, s State, m event.Message, o Observation) Plan {
	j := &judge{zone: zone, o: o, was: s, Plan: Plan{State: s}}
	j.State.Leaving = slices.Clone(s.Leaving)
	j.hold()
	switch m := m.(type) {
	case event.Observed:
		j.serves(m.Report.Agent)
		j.serves(m.Report.Holder)
		if m.Report.Cause == natzone.None {
			j.minute(m.Report)
		} else {
			j.verdict(m.Report)
		}
	case event.Instances:
		j.instances(m)
	case event.Terminating:
		j.terminating(m)
	case event.LaunchFailed:
		j.alert("no instance could be launched", "The Auto Scaling group "+m.Group+" could not launch an instance: "+m.Reason)
		j.Alerts[0].Recurs = true
		j.Note = "no instance could be launched"
	case event.Silent:
		j.Note = "the prober ended without a report: " + m.Reason
	case event.Ignored:
		j.Note = "ignored: " + m.What
	case event.Unknown:
		j.Note = "unknown: " + m.Why
	}
	j.finish()
	return j.Plan
}

// Concerns says whether the message is about this zone as far as its own words tell.
func Concerns(zone natzone.Controller, m event.Message) bool {
	switch m := m.(type) {
	case event.Observed:
		return m.Report.Zone == zone.Zone
	case event.Terminating:
		return m.Group == zone.Group && m.Hook == zone.TerminateHook
	case event.LaunchFailed:
		return m.Group == zone.Group
	case event.Instances:
		return true
	default:
		return false
	}
}

// verdict acts on a failed path.
func (j *judge) verdict(r natzone.Report) {
	j.again(r, Quiet)
	if r.Since.IsZero() { // from a prober of a release that did not say it
		r.Since = r.End
	}
	switch {
	case r.Since.Before(j.was.Moved):
		j.Note = "verdict is about the way before the move"
	case r.Cause != natzone.Egress && j.o.Control.explains(r.Failing):
		j.excuse(r)
	case r.Cause != natzone.Egress && (!j.was.Excused.IsZero() || !r.Since.After(j.was.Answering)):
		j.back(r)
	case !j.any(Route.onInstance):
		j.standbyFails(r)
	default:
		j.fail(r)
	}
	if len(j.Moves) == 0 { // no report without a verdict may come for long
		j.leaving()
	}
}

// explains says that the failing targets do not answer elsewhere either.
func (c Control) explains(failing []natzone.Target) bool {
	silent := 0
	for _, t := range failing {
		if slices.Contains(c.Answered, t) {
			return false
		}
		if slices.Contains(c.Silent, t) {
			silent++
		}
	}
	return silent > 0
}

func (j *judge) excuse(r natzone.Report) {
	j.Note = "the targets do not answer from outside of the VPC either: no move"
	if j.was.Excused.IsZero() {
		j.State.Excused = j.o.Now
		j.alert("probe targets do not answer", fmt.Sprintf(
			"Neither through the zone nor from outside of the VPC: %s. The routes stay where they are.", list(r.Failing)))
	}
}

// back is a verdict that rests on failures of the targets' own outage: the first verdict after it, and one of another prober that
// began before the outage ended. What is still wrong shows within the next rounds.
func (j *judge) back(r natzone.Report) {
	if !j.was.Excused.IsZero() {
		j.State.Excused, j.State.Answering = time.Time{}, j.o.Now
	}
	j.again(r, 0)
	j.Note = "the targets have only just come back: looking again"
}

// standbyFails is a verdict on a zone that no instance serves.
func (j *judge) standbyFails(r natzone.Report) {
	j.repair()
	if len(j.Moves) > 0 {
		j.moved("routes led nowhere", "")
		return
	}
	j.Note = "the standby does not work either"
	found := string(r.Cause) + ": " + list(r.Failing)
	if r.Cause == natzone.Egress {
		found = "traffic leaves from " + r.Egress.String() + ", which is not one of the zone's addresses"
	}
	j.broken(fmt.Sprintf("No instance serves the zone, its standby is %s, and the prober finds: %s. Nothing is left to move to.",
		j.standby(), found))
	j.track()
	j.heal(r, !ready(r))
}

// fail moves what points at the instance.
func (j *judge) fail(r natzone.Report) {
	var from []string
	waiting := false
	for _, route := range j.o.Routes {
		if !route.onInstance() || route.Blackhole {
			continue
		}
		if j.former(route, r) {
			waiting = true
			continue
		}
		j.move(route)
		from = append(from, route.Instance)
	}
	switch {
	case len(from) == 0 && waiting:
		j.Note = "another instance has taken the zone since: looking again"
		j.again(r, 0)
	case j.zone.Standby == "":
		j.Moves = nil
		j.lost(r, "there is no standby")
	case j.o.Standby != "" && j.o.Standby != available:
		j.Moves = nil
		j.lost(r, "the standby "+j.zone.Standby+" is "+j.o.Standby)
	default:
		j.repair()
		failed := ""
		if len(from) > 0 {
			failed = from[0]
		}
		why := fmt.Sprintf("%s: %d of %d attempts failed %v", r.Cause, r.FailedAttempts, r.Attempts, r.Classes)
		if j.LeftReady = failed != "" && ready(r) && r.Agent.Instance == failed; j.LeftReady {
			why += ", though " + failed + " called itself ready all along"
		}
		j.moved(why, failed)
	}
}

// hold notes which instances the routes point at, and when they were first found to.
func (j *judge) hold() {
	if len(j.o.Routes) == 0 {
		return // nothing was looked up
	}
	first := len(j.was.Holders) == 0 && j.was.Since.IsZero()
	j.State.Holders = nil
	for _, r := range j.o.Routes {
		if _, ok := holderOf(j.State.Holders, r.Instance); ok || r.Instance == "" {
			continue
		}
		h, ok := holderOf(j.was.Holders, r.Instance)
		if h.Instance = r.Instance; !ok && !first {
			h.Since = j.o.Now
		}
		j.State.Holders = append(j.State.Holders, h)
	}
}

func holderOf(holders []Holder, instance string) (Holder, bool) {
	i := slices.IndexFunc(holders, func(h Holder) bool { return h.Instance == instance })
	if i < 0 {
		return Holder{}, false
	}
	return holders[i], true
}

// former says that the first of the failures began before the instance claimed the route: the verdict is about the way that the zone
// had then. The instance has proved its path only just now. An agent knows when it claimed; where it does not say, the claim is as old as
// the look that found it.
func (j *judge) former(route Route, r natzone.Report) bool {
	h, _ := holderOf(j.State.Holders, route.Instance)
	since := h.Since
	if a := r.Holder; a != nil && a.Instance == route.Instance && !a.Since.IsZero() {
		since = a.Since
	}
	return r.Since.Before(since)
}

// lost is a failure without a way out.
func (j *judge) lost(r natzone.Report, why string) {
	j.Note = "the instance fails, and " + why
	if j.State.Since.IsZero() {
		j.State.Since, j.State.Why = j.o.Now, string(r.Cause)
	}
	switch text := "The instance fails (" + string(r.Cause) + "), and " + why + "."; {
	case j.zone.Standby != "":
		j.broken(text)
	case j.was.Since.IsZero():
		j.alert("the zone has no way out", text)
	}
	// It is the instance that fails here, whatever its agent says.
	j.heal(r, !ready(r) || r.Cause == natzone.Streak)
}

// minute is the report of a minute without a verdict: time to put right what nobody notices, and to heal.
func (j *judge) minute(r natzone.Report) {
	j.Note = "nothing failed"
	j.State.Excused = time.Time{}
	if j.repair(); len(j.Moves) > 0 {
		j.moved("routes led nowhere", "")
	}
	j.leaving()
	j.track()
	j.recovered()
	j.heal(r, !ready(r))
	j.roll()
}

// roll has the instance replaced for its template, when that is the zone's turn. A refresh that ended without a replacement is
// started again after a while; one for another template, at once.
func (j *judge) roll() {
	r, s := j.o.Rollout, &j.State
	if r == nil {
		s.Calm = natzone.Calm{}
		return
	}
	turn, calm, why := natzone.Turn(r.Own, r.Peers, s.Calm, j.o.Now, time.Duration(j.zone.Hold))
	s.Calm = calm
	switch {
	case !turn:
		j.Note += "; the changed template waits: " + why
	case s.Rolled.Template == r.Template && j.o.Now.Sub(s.Rolled.At) < Again:
		j.Note += "; the refresh for the changed template has been started"
	default:
		j.Refresh, s.Rolled = true, Rolled{Template: r.Template, At: j.o.Now}
		j.Note += "; the instance is replaced for its template: " + why
	}
}

// heal has the instance replaced where that is due. Sick says that this report speaks against it.
func (j *judge) heal(r natzone.Report, sick bool) {
	if j.heals(sick) {
		j.replace(r)
	}
	switch {
	case !sick || j.State.Since.IsZero():
		j.State.Unready = time.Time{}
	case j.State.Unready.IsZero():
		j.State.Unready = j.o.Now
	}
}

// ready is what the agent says of itself. One that does not answer is not.
func ready(r natzone.Report) bool { return r.Agent != nil && r.Agent.Ready }

// track notes when the zone left its instance and when it came back.
func (j *judge) track() {
	switch {
	case len(j.Moves) > 0:
	case j.any(j.onStandby) && j.State.Since.IsZero():
		j.State.Since, j.State.Why = j.o.Now, "found on the standby"
	case j.served() && !j.State.Since.IsZero():
		if j.State.Instance != "" { // claimed after a failover, not at the first deployment
			j.State.Back = Return{Instance: j.holder(), At: j.o.Now}
		}
		j.State.Since, j.State.Why, j.State.Instance = time.Time{}, "", ""
	}
}

// recovered follows what is known of the standby.
func (j *judge) recovered() {
	switch {
	case j.zone.Standby == "":
	case j.o.Standby != "" && j.o.Standby != available:
		j.broken("The NAT gateway " + j.zone.Standby + " is " + j.o.Standby + ": a failover would lead nowhere.")
	case !j.was.Broken.IsZero() && j.o.Standby == available:
		j.State.Broken = time.Time{}
		j.alert("standby works again", "The standby "+j.zone.Standby+" was broken since "+stamp(j.was.Broken)+".")
	}
}

// Due says whether a replacement comes into question, so that the groups have to be looked up.
func Due(zone natzone.Controller, s State, m event.Message, now time.Time) bool {
	o, ok := m.(event.Observed)
	if !ok {
		return false
	}
	j := judge{zone: zone, o: Observation{Now: now}, was: s, Plan: Plan{State: s}}
	return j.heals(!ready(o.Report) || o.Report.Cause == natzone.Streak)
}

// heals says whether the instance is to be replaced, the other zones aside: after the dwell, if two reports running speak
// against it, for one answer of its agent may be lost; and after [Stuck] dwells, whatever they say.
func (j *judge) heals(sick bool) bool {
	dwell, pause := time.Duration(j.zone.Healing.Dwell), time.Duration(j.zone.Healing.Pause)
	s, now := j.State, j.o.Now
	if dwell <= 0 || !s.Replaced.IsZero() && now.Sub(s.Replaced) < pause {
		return false
	}
	if s.Sick != "" {
		return true
	}
	if s.Since.IsZero() || now.Sub(s.Since) < dwell {
		return false
	}
	unready := sick && !s.Unready.IsZero() && now.Sub(s.Unready) >= Confirm
	return unready || now.Sub(s.Since) >= Stuck*dwell
}

// replace has the instance replaced, unless another zone is in need too. A zone that its instance serves waits for those that are
// not served, and of these the first by name goes first: if each waited for the other, neither would ever heal. One that cannot be
// healed is not waited for without end.
func (j *judge) replace(r natzone.Report) {
	if !j.o.Looked {
		return
	}
	for _, p := range j.o.Peers {
		first := !p.Healthy || !p.Holds && (j.served() || p.Zone < j.zone.Zone)
		if first && !j.waitedLong() {
			j.Note = "the instance is to be replaced once zone " + p.Zone + " is well"
			return
		}
	}
	if j.State.Sick != "" && !slices.Contains(j.o.InService, j.State.Sick) {
		j.State.Sick = "" // gone already
		return
	}
	sick := j.sick(r)
	if sick == "" {
		j.Note = "no instance is in service: the group is at it"
		return
	}
	j.Replace = sick
	j.State.Replaced, j.State.Sick = j.o.Now, ""
	j.Note = "the instance is replaced"
	j.alert("instance is replaced", fmt.Sprintf("%s is marked unhealthy. The zone is without its instance since %s (%s).",
		sick, stamp(j.State.Since), j.State.Why))
}

// waitedLong says that the zone is not served for so long that it does not wait for another one any more.
func (j *judge) waitedLong() bool {
	rank, zones := 0, len(j.o.Peers)+1
	for _, p := range j.o.Peers {
		if p.Zone < j.zone.Zone {
			rank++
		}
	}
	pause := time.Duration(j.zone.Healing.Pause)
	wait := time.Duration(j.zone.Healing.Dwell) + Patience*pause + pause*time.Duration(rank)/time.Duration(zones)
	return !j.State.Since.IsZero() && j.o.Now.Sub(j.State.Since) >= wait
}

// sick is which of the instances in service is replaced: the one that failed, rather than its successor.
func (j *judge) sick(r natzone.Report) string {
	suspects := []string{j.State.Sick, j.State.Instance}
	if r.Agent != nil && !r.Agent.Ready {
		suspects = append(suspects, r.Agent.Instance)
	}
	for _, id := range suspects {
		if slices.Contains(j.o.InService, id) {
			return id
		}
	}
	for _, id := range j.o.InService {
		if r.Agent == nil || r.Agent.Instance != id {
			return id
		}
	}
	if len(j.o.InService) > 0 {
		return j.o.InService[0]
	}
	return ""
}

// instances acts on events of EC2, Spot and Health. Those of other instances find no route that points at them.
func (j *judge) instances(m event.Instances) {
	for _, id := range m.IDs {
		if !j.points(id) && !m.Change.Gone() {
			continue
		}
		switch {
		case m.Change.Gone():
			j.gone(id, string(m.Change))
		case m.Change == event.Interruption:
			j.told(id, string(m.Change), false)
		case m.Change == event.Maintenance:
			j.Note = "maintenance of " + id
			j.alert("maintenance of the instance", "AWS Health announces an event that affects "+id+
				". It is replaced or moved to the standby when it stops; replacing it beforehand costs no connection.")
		default:
			j.Note = string(m.Change) + " of " + id + ": the group is at it"
			j.recovered()
		}
	}
	if j.Note == "" {
		j.Note = "no route points at the instance"
	}
}

// gone moves what points at an instance that forwards nothing any more.
func (j *judge) gone(id, why string) {
	if j.points(id) {
		j.away(id)
	}
	if j.repair(); len(j.Moves) > 0 {
		j.moved(id+" is "+why, id)
	}
	j.leaving()
}

// told is notice ahead. An agent that is fit hands over by itself, to its successor if there is one, which costs no
// connection; it is given time. Otherwise the routes are moved at once.
func (j *judge) told(id, why string, hook bool) {
	fit := j.o.Agent != nil && j.o.Agent.Instance == id && j.o.Agent.Ready
	switch {
	case !j.points(id):
		if hook {
			j.Complete = append(j.Complete, id)
		}
		j.Note = "no route points at " + id
	case fit || j.zone.Standby == "":
		j.Note = id + " is left to hand over by itself"
		j.leave(Leaving{Instance: id, Due: j.o.Now.Add(Handover), Hook: hook})
	default:
		j.away(id)
		j.moved(id+": "+why, id)
		if hook {
			j.Complete = append(j.Complete, id)
		}
	}
}

func (j *judge) terminating(m event.Terminating) { j.told(m.Instance, "termination", true) }

func (j *judge) leave(l Leaving) {
	if i := slices.IndexFunc(j.State.Leaving, func(k Leaving) bool { return k.Instance == l.Instance }); i >= 0 {
		j.State.Leaving[i].Hook = j.State.Leaving[i].Hook || l.Hook
		return
	}
	j.State.Leaving = append(j.State.Leaving, l)
}

// leaving looks after those that were left to hand over by themselves.
func (j *judge) leaving() {
	var rest []Leaving
	for _, l := range j.State.Leaving {
		switch {
		case !j.points(l.Instance):
			if l.Hook {
				j.Complete = append(j.Complete, l.Instance)
			}
		case j.zone.Standby != "" && !j.o.Now.Before(l.Due):
			j.away(l.Instance)
			j.moved(l.Instance+" did not hand over", l.Instance)
			if l.Hook {
				j.Complete = append(j.Complete, l.Instance)
			}
		case j.o.Now.Sub(l.Due) < forgotten:
			rest = append(rest, l)
		}
	}
	j.State.Leaving = rest
}

// away moves every route that points at the instance.
func (j *judge) away(id string) {
	for _, r := range j.o.Routes {
		if r.Instance == id {
			j.move(r)
		}
	}
}

// repair moves routes that lead nowhere.
func (j *judge) repair() {
	for _, r := range j.o.Routes {
		if r.nowhere() && (!r.Blackhole || r.Gateway != j.zone.Standby) {
			j.move(r)
		}
	}
}

func (j *judge) move(r Route) {
	m := Move{Table: r.Table, Destination: r.Destination, Create: r.Missing}
	if j.zone.Standby != "" && !slices.Contains(j.Moves, m) {
		j.Moves = append(j.Moves, m)
	}
}

// moves says that the route is among those that move.
func (j *judge) moves(r Route) bool {
	return slices.ContainsFunc(j.Moves, func(m Move) bool { return m.Table == r.Table && m.Destination == r.Destination })
}

// moved notes the moves of the plan.
func (j *judge) moved(why, failed string) {
	if len(j.Moves) == 0 {
		return
	}
	j.Note = fmt.Sprintf("%d routes to the standby: %s", len(j.Moves), why)
	s := &j.State
	s.Moved, s.Excused = j.o.Now, time.Time{}
	if s.Since.IsZero() {
		s.Since, s.Why, s.Instance = j.o.Now, why, failed
	}
	if failed != "" && s.Back.Instance == failed && j.o.Now.Sub(s.Back.At) < Relapse {
		s.Sick = failed
	}
	s.Back = Return{}
	j.alert("moved to the standby", fmt.Sprintf("%d routes point at %s now. Why: %s.", len(j.Moves), j.zone.Standby, why))
}

// broken tells once that the standby does not work.
func (j *judge) broken(text string) {
	if j.was.Broken.IsZero() {
		j.State.Broken = j.o.Now
		j.alert("standby does not work", text)
	}
}

// again starts the prober anew for the rest of its slot.
func (j *judge) again(r natzone.Report, quiet time.Duration) {
	if until := r.Tick.Until; until.After(j.o.Now) {
		j.Probe = &natzone.Tick{Time: r.Tick.Time, Until: until, Quiet: natzone.Duration(quiet)}
	}
}

func (j *judge) alert(subject, text string) {
	j.Alerts = append(j.Alerts, Alert{
		Subject: fmt.Sprintf("%s %s: %s", j.zone.Name, j.zone.Zone, subject),
		Text:    text,
	})
}

// serves notes which instance says that it holds the zone.
func (j *judge) serves(h *natzone.Health) {
	if h == nil || !h.Holds || slices.Contains(j.State.Served, h.Instance) {
		return
	}
	served := append([]string{h.Instance}, j.State.Served...)
	j.State.Served = served[:min(len(served), known)]
}

func (j *judge) finish() {
	for _, t := range j.o.Lost {
		j.Note += "; table " + t + " does not exist"
	}
	j.State.Holders = slices.DeleteFunc(j.State.Holders, func(h Holder) bool {
		return !j.any(func(r Route) bool { return r.Instance == h.Instance && !j.moves(r) })
	})
	j.OnStandby = len(j.Moves) > 0 || j.any(j.onStandby)
	j.Broken = !j.State.Broken.IsZero()
	j.Changed = !same(j.State, j.was)
}

func same(a, b State) bool {
	x, errX := a.JSON()
	y, errY := b.JSON()
	return errX == nil && errY == nil && x == y
}

// available is the state of a NAT gateway that can be used.
const available = "available"

func (j *judge) onStandby(r Route) bool { return r.Gateway != "" && r.Gateway == j.zone.Standby }

func (j *judge) points(id string) bool {
	return j.any(func(r Route) bool { return r.Instance == id })
}

func (j *judge) any(is func(Route) bool) bool { return slices.ContainsFunc(j.o.Routes, is) }

// served says that instances hold every route that is the zone's: what somebody else has set says nothing.
func (j *judge) served() bool {
	return j.any(Route.onInstance) && !j.any(func(r Route) bool { return j.onStandby(r) || r.nowhere() })
}

// holder is the instance that the first route points at.
func (j *judge) holder() string {
	for _, r := range j.o.Routes {
		if r.Instance != "" {
			return r.Instance
		}
	}
	return ""
}

func (j *judge) standby() string {
	if j.zone.Standby == "" {
		return "(none)"
	}
	return j.zone.Standby
}

func list(targets []natzone.Target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
