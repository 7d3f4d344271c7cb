package decide

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/failover/event"
	"polynat/internal/natzone"
)

var (
	start    = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	anywhere = netip.MustParsePrefix("0.0.0.0/0")
	targets  = []natzone.Target{"https://a.example/", "https://b.example/", "https://192.0.2.3/"}
)

func zone(name string) natzone.Controller {
	return natzone.Controller{
		Version: natzone.Version, Name: "egress", Zone: name, RouteTables: []string{"rtb-1", "rtb-2", "rtb-3"},
		Destinations: []netip.Prefix{anywhere}, Standby: "nat-1", Group: "egress-" + name, TerminateHook: natzone.TerminateHook,
		Targets: targets, Healing: natzone.DefaultHealing(),
	}
}

// routes of three tables, each described by "i-…" for an instance, "nat-…" for a gateway, "" for a missing one, and a
// leading "!" for a target that is no more.
func routes(hops ...string) []Route {
	var all []Route
	for n, hop := range hops {
		r := Route{Table: fmt.Sprintf("rtb-%d", n+1), Destination: anywhere, Missing: hop == ""}
		hop, r.Blackhole = strings.TrimPrefix(hop, "!"), strings.HasPrefix(hop, "!")
		switch {
		case strings.HasPrefix(hop, "i-"):
			r.Instance, r.Interface = hop, "eni-"+hop
		case strings.HasPrefix(hop, "nat-"):
			r.Gateway = hop
		}
		all = append(all, r)
	}
	return all
}

func every(hop string) []Route { return routes(hop, hop, hop) }

func at(d time.Duration) time.Time { return start.Add(d) }

// report that the prober of a minute gives at a moment.
func report(cause natzone.Cause, when time.Duration) event.Observed {
	r := natzone.Report{
		Version: natzone.Version, Zone: "a", Cause: cause, End: at(when),
		Since: at(when - time.Second),
		Tick:  natzone.Tick{Time: at(when).Truncate(time.Minute), Until: at(when).Truncate(time.Minute).Add(63 * time.Second)},
	}
	if cause == natzone.Streak || cause == natzone.Partial {
		r.Failing, r.Attempts, r.FailedAttempts = targets, 720, 9
	}
	return event.Observed{Report: r}
}

// failing is the report of failures of which the first began then.
func failing(o event.Observed, since time.Duration) event.Observed {
	o.Report.Since = at(since)
	return o
}

func withAgent(o event.Observed, h natzone.Health) event.Observed {
	o.Report.Agent = &h
	return o
}

// heldBy is a report of a run in which an instance said that it holds the zone since then.
func heldBy(o event.Observed, instance string, since time.Duration) event.Observed {
	o.Report.Holder = &natzone.Health{Instance: instance, Holds: true, Since: at(since)}
	return o
}

// served is a state in which the routes point at an instance since then.
func served(instance string, since time.Duration) State {
	return State{Holders: []Holder{{Instance: instance, Since: at(since)}}}
}

var (
	alive = Control{Answered: targets[:1]}
	dead  = Control{Silent: targets}
)

func tables(p Plan) string {
	var all []string
	for _, m := range p.Moves {
		name := m.Table
		if m.Create {
			name = "+" + name
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

func subjects(p Plan) string {
	var all []string
	for _, a := range p.Alerts {
		_, subject, _ := strings.Cut(a.Subject, ": ")
		all = append(all, subject)
	}
	return strings.Join(all, "; ")
}

// What one message leads to, for every kind of message and every failure.
func TestOneDecision(t *testing.T) {
	now := 10 * time.Minute
	ready := &natzone.Health{Instance: "i-1", Ready: true, Holds: true}
	moved := State{Since: at(now - 10*time.Second), Moved: at(now - 10*time.Second), Instance: "i-1", Why: "streak"}
	for name, test := range map[string]struct {
		message  event.Message
		state    State
		o        Observation
		standby  string // "" for nat-1, "-" for none
		moves    string
		alerts   string
		complete string
		probe    string // the quiet time, "" for not started
		note     string
	}{
		"nothing wrong": {
			message: report(natzone.None, now), o: Observation{Routes: every("i-1")}, note: "nothing failed",
		},
		"the instance has died": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: alive},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s", note: "3 routes",
		},
		"partial loss": {
			message: report(natzone.Partial, now), o: Observation{Routes: every("i-1"), Control: alive},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"wrong egress address: no control probe can excuse it": {
			message: report(natzone.Egress, now), o: Observation{Routes: every("i-1"), Control: dead},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"targets dead": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: dead},
			alerts: "probe targets do not answer", probe: "5s", note: "no move",
		},
		"targets still dead: told once": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: dead}, state: State{Excused: at(0)},
			probe: "5s", note: "no move",
		},
		"the targets have just come back: what is wrong beside shows at once": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: alive}, state: State{Excused: at(now - 20*time.Second)},
			probe: "0s", note: "looking again",
		},
		"the other prober's window began before the targets were back": {
			message: failing(report(natzone.Partial, now), now-5*time.Second), o: Observation{Routes: every("i-1"), Control: alive},
			state: State{Answering: at(now - time.Second)}, probe: "0s", note: "looking again",
		},
		"what failed after the targets were back is the way's": {
			message: failing(report(natzone.Partial, now), now-time.Second), o: Observation{Routes: every("i-1"), Control: alive},
			state: State{Answering: at(now - 5*time.Second)}, moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"a route beside the default route was taken away by a change": {
			message: report(natzone.Streak, now), note: "does not work either", alerts: "standby does not work", probe: "5s",
			o: Observation{Routes: append(every("nat-1"), Route{Table: "rtb-1", Destination: netip.MustParsePrefix("198.51.100.0/24"), Missing: true}), Control: alive},
		},
		"some targets dead, one alive outside": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: Control{Silent: targets[1:], Answered: targets[:1]}},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"the control probe found no name: no excuse": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1")},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"the standby is broken too": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("nat-1"), Control: alive}, state: moved,
			alerts: "standby does not work", probe: "5s", note: "standby does not work either",
		},
		"the standby is still broken: told once": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("nat-1"), Control: alive},
			state: State{Since: at(0), Moved: at(0), Broken: at(time.Minute)}, probe: "5s",
		},
		"on the standby with targets dead": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("nat-1"), Control: dead}, state: moved,
			alerts: "probe targets do not answer", probe: "5s",
		},
		"the standby is known not to be available": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: alive, Standby: "deleted"},
			alerts: "standby does not work", probe: "5s", note: "nat-1 is deleted",
		},
		"there is no standby": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: alive}, standby: "-",
			alerts: "the zone has no way out", probe: "5s",
		},
		"a verdict that came twice": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("nat-1"), Control: alive},
			state: State{Since: at(now), Moved: at(now + 100*time.Millisecond)}, probe: "5s", note: "before the move",
		},
		"a successor took the zone just now": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-2"), Control: alive},
			state: served("i-1", 0), probe: "0s", note: "looking again",
		},
		"a successor took the zone within the failures": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-2"), Control: alive},
			state: served("i-2", now-900*time.Millisecond), probe: "0s", note: "looking again",
		},
		"a successor took the zone before the failures": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-2"), Control: alive},
			state: served("i-2", now-time.Second), moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"a successor that was not found yet says that it took the zone before the failures": {
			message: heldBy(report(natzone.Streak, now), "i-2", now-time.Second),
			o:       Observation{Routes: every("i-2"), Control: alive}, state: served("i-1", 0),
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"a successor that was not found yet says that it took the zone within the failures": {
			message: heldBy(report(natzone.Streak, now), "i-2", now-900*time.Millisecond),
			o:       Observation{Routes: every("i-2"), Control: alive}, state: served("i-1", 0), probe: "0s", note: "looking again",
		},
		"the instance claimed the zone back within the failures": {
			message: report(natzone.Streak, now), o: Observation{Routes: every("i-1"), Control: alive},
			state: State{Since: at(now - 20*time.Minute), Moved: at(now - 20*time.Minute)}, probe: "0s", note: "looking again",
		},
		"half of the routes taken by a successor": {
			message: report(natzone.Streak, now), o: Observation{Routes: routes("i-1", "i-2", "i-1"), Control: alive}, state: served("i-1", 0),
			moves: "rtb-1 rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"one route on the standby already, one missing": {
			message: report(natzone.Streak, now), o: Observation{Routes: routes("i-1", "nat-1", ""), Control: alive},
			moves: "rtb-1 +rtb-3", alerts: "moved to the standby", probe: "5s",
		},
		"a route of somebody else is left alone": {
			message: report(natzone.Streak, now), o: Observation{Routes: routes("i-1", "nat-other", "pcx"), Control: alive},
			moves: "rtb-1", alerts: "moved to the standby", probe: "5s",
		},
		"a table is gone": {
			message: report(natzone.Streak, now), o: Observation{Routes: routes("i-1", "i-1"), Lost: []string{"rtb-3"}, Control: alive},
			moves: "rtb-1 rtb-2", alerts: "moved to the standby", probe: "5s", note: "rtb-3 does not exist",
		},
		"a black hole and a missing route at the end of a minute": {
			message: report(natzone.None, now), o: Observation{Routes: routes("!i-1", "", "i-1")},
			moves: "rtb-1 +rtb-2", alerts: "moved to the standby",
		},
		"the standby gateway was deleted while the zone is on it": {
			message: report(natzone.None, now), o: Observation{Routes: every("!nat-1"), Standby: "deleted"}, state: moved,
			alerts: "standby does not work",
		},
		"the standby fails while it is not needed": {
			message: report(natzone.None, now), o: Observation{Routes: every("i-1"), Standby: "failed"},
			alerts: "standby does not work",
		},
		"the standby works again": {
			message: report(natzone.None, now), o: Observation{Routes: every("nat-1"), Standby: "available"},
			state: State{Since: at(0), Broken: at(time.Minute)}, alerts: "standby works again",
		},
		"the instance stops": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Stopping}, o: Observation{Routes: every("i-1"), Agent: ready},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby",
		},
		"the instance is terminated, and its routes are black holes": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Terminated}, o: Observation{Routes: every("!i-1")},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby",
		},
		"a former instance is terminated": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.ShuttingDown}, o: Observation{Routes: every("i-2")},
			note: "no route points at",
		},
		"Spot notice, the agent is fit": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Interruption}, o: Observation{Routes: every("i-1"), Agent: ready},
			note: "hand over by itself",
		},
		"Spot notice, nothing is known of the agent": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Interruption}, o: Observation{Routes: every("i-1")},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby",
		},
		"rebalance recommendation": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Rebalance}, o: Observation{Routes: every("i-1"), Standby: "available"},
			note: "the group is at it",
		},
		"rebalance recommendation without a standby to fall on": {
			message: event.Instances{IDs: []string{"i-1"}, Change: event.Rebalance}, o: Observation{Routes: every("i-1"), Standby: "failed"},
			alerts: "standby does not work",
		},
		"maintenance": {
			message: event.Instances{IDs: []string{"i-9", "i-1"}, Change: event.Maintenance}, o: Observation{Routes: every("i-1")},
			alerts: "maintenance of the instance",
		},
		"planned termination after the hand-over": {
			message: event.Terminating{Group: "egress-a", Hook: natzone.TerminateHook, Instance: "i-1"}, o: Observation{Routes: every("i-2")},
			complete: "i-1",
		},
		"planned termination before the hand-over": {
			message: event.Terminating{Group: "egress-a", Hook: natzone.TerminateHook, Instance: "i-1"},
			o:       Observation{Routes: every("i-1"), Agent: ready}, note: "hand over by itself",
		},
		"termination of an instance that does not answer": {
			message: event.Terminating{Group: "egress-a", Hook: natzone.TerminateHook, Instance: "i-1"}, o: Observation{Routes: every("i-1")},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", complete: "i-1",
		},
		"it has handed over since": {
			message: report(natzone.None, now), o: Observation{Routes: every("i-2")},
			state: State{Leaving: []Leaving{{Instance: "i-1", Due: at(now + time.Second), Hook: true}}}, complete: "i-1",
		},
		"it has not, and is not due": {
			message: report(natzone.None, now), o: Observation{Routes: every("i-1")},
			state: State{Leaving: []Leaving{{Instance: "i-1", Due: at(now + time.Second), Hook: true}}},
		},
		"it has not, and is due": {
			message: report(natzone.None, now), o: Observation{Routes: every("i-1")},
			state: State{Leaving: []Leaving{{Instance: "i-1", Due: at(now), Hook: true}}},
			moves: "rtb-1 rtb-2 rtb-3", alerts: "moved to the standby", complete: "i-1",
		},
		"the group cannot launch": {
			message: event.LaunchFailed{Group: "egress-a", Reason: "no capacity"}, alerts: "no instance could be launched",
		},
		"the prober crashed": {message: event.Silent{Reason: "RetriesExhausted"}, note: "RetriesExhausted"},
		"test notice":        {message: event.Ignored{What: "test notice"}, note: "test notice"},
		"unknown":            {message: event.Unknown{Why: "aws.s3: Object Created"}, note: "aws.s3"},
	} {
		t.Run(name, func(t *testing.T) {
			z := zone("a")
			if test.standby == "-" {
				z.Standby = ""
			}
			test.o.Now = at(now)
			p := Decide(z, test.state, test.message, test.o)
			probe := ""
			if p.Probe != nil {
				probe = time.Duration(p.Probe.Quiet).String()
				if !p.Probe.Until.After(test.o.Now) {
					t.Errorf("the prober is started for a slot that ended at %v", p.Probe.Until)
				}
			}
			got := []string{tables(p), subjects(p), strings.Join(p.Complete, " "), probe}
			if diff := cmp.Diff([]string{test.moves, test.alerts, test.complete, test.probe}, got); diff != "" {
				t.Errorf("moves, alerts, completed, prober: %s\nnote: %s", diff, p.Note)
			}
			if !strings.Contains(p.Note, test.note) {
				t.Errorf("note %q, want %q in it", p.Note, test.note)
			}
			if _, minute := test.message.(event.Observed); !minute && len(p.Alerts)+len(p.Moves)+len(p.Complete) == 0 && p.Note == "" {
				t.Error("nothing is done, and nothing says why")
			}
			for _, m := range p.Moves {
				if m.Table == "" || z.Standby == "" {
					t.Errorf("move %v without a table or a standby", m)
				}
			}
		})
	}
}

// world runs the controller's decisions against a model of a zone with a simulated clock: an agent that claims its routes
// back as natd does, and a group that replaces what is marked unhealthy.
type world struct {
	t     *testing.T
	zone  natzone.Controller
	state State
	now   time.Duration

	instance string        // in service
	holder   string        // what the routes point at
	proven   time.Duration // since when the agent of the instance has been proving its path without a break
	lost     time.Duration // when it lost the routes
	dwell    time.Duration
	failures map[string]int

	transitions []time.Duration
	replaced    []time.Duration
	alerts      []string
	peers       []Peer
}

func newWorld(t *testing.T) *world {
	return &world{t: t, zone: zone("a"), instance: "i-1", holder: "i-1", failures: map[string]int{}}
}

// step lets a moment pass in which the path of the instance and that of the standby work or do not.
func (w *world) step(d time.Duration, instance, standby, targetsAlive bool) {
	w.now += d
	w.agent(instance)
	works := standby
	if strings.HasPrefix(w.holder, "i-") {
		works = instance && w.holder == w.instance
	}
	control := alive
	if !targetsAlive {
		control = dead
	}
	health := natzone.Health{Instance: w.instance, Ready: instance, Holds: w.holder == w.instance}
	switch {
	case !works || !targetsAlive:
		w.tell(withAgent(report(natzone.Streak, w.now), health), control)
	case w.now%time.Minute == 0:
		w.tell(withAgent(report(natzone.None, w.now), health), control)
	}
}

// agent is natd's rule: it claims after a dwell during which it has proved its path without a break, and the dwell
// doubles with every failover.
func (w *world) agent(works bool) {
	if w.holder == w.instance {
		return
	}
	if !works {
		w.proven = w.now
		return
	}
	if w.now-max(w.proven, w.lost) >= w.dwell {
		w.holder = w.instance
		w.transitions = append(w.transitions, w.now)
	}
}

func (w *world) tell(m event.Message, control Control) {
	w.t.Helper()
	o := Observation{Now: at(w.now), Routes: every(w.holder), Control: control, Standby: available}
	if Due(w.zone, w.state, m, o.Now) {
		o.Looked, o.InService, o.Peers = true, []string{w.instance}, w.peers
	}
	p := Decide(w.zone, w.state, m, o)
	w.state = p.State
	for _, a := range p.Alerts {
		w.alerts = append(w.alerts, a.Subject)
	}
	if len(p.Moves) > 0 {
		if len(p.Moves) != 3 {
			w.t.Fatalf("%v: %d routes move", w.now, len(p.Moves))
		}
		w.failures[w.instance]++
		w.dwell = min(10*time.Minute<<(w.failures[w.instance]-1), 4*time.Hour)
		w.holder, w.lost = w.zone.Standby, w.now
		w.transitions = append(w.transitions, w.now)
	}
	if p.Replace != "" {
		w.replaced = append(w.replaced, w.now)
		w.instance = fmt.Sprintf("i-%d", len(w.replaced)+1)
		w.dwell, w.proven = 0, w.now
	}
}

// most is the largest number of events within any window of a length.
func most(events []time.Duration, window time.Duration) int {
	most := 0
	for i := range events {
		n := 0
		for _, e := range events[i:] {
			if e-events[i] < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestAFlappingInstanceMakesAtMostTwoTransitionsInTenMinutes(t *testing.T) {
	for _, period := range []time.Duration{2 * time.Second, 30 * time.Second, time.Minute, 7 * time.Minute, 11 * time.Minute, 25 * time.Minute} {
		for _, healing := range []natzone.Healing{{}, natzone.DefaultHealing()} {
			w := newWorld(t)
			w.zone.Healing = healing
			for w.now < 8*time.Hour {
				w.step(time.Second, int(w.now/period)%2 == 0 || w.instance != "i-1", true, true)
			}
			if n := most(w.transitions, 10*time.Minute); n > 2 {
				t.Errorf("period %v, healing %v: %d transitions in ten minutes: %v", period, healing, n, w.transitions)
			}
			if healing.Dwell > 0 && (len(w.replaced) != 1 || w.holder != "i-2") {
				t.Errorf("period %v: replaced at %v, held by %s", period, w.replaced, w.holder)
			}
			if len(w.transitions) == 0 {
				t.Errorf("period %v, healing %v: the zone was never moved", period, healing)
			}
		}
	}
}

func TestAnInstanceThatStaysSickIsReplacedAfterTheDwellAndAtMostTwiceAnHour(t *testing.T) {
	w := newWorld(t)
	for w.now < 3*time.Hour {
		w.step(10*time.Second, w.now < time.Minute, true, true) // every new one is as sick
	}
	if len(w.replaced) != 6 {
		t.Fatalf("replaced at %v", w.replaced)
	}
	if first := w.replaced[0]; first < 6*time.Minute || first > 7*time.Minute {
		t.Errorf("first replaced at %v, want with the first report five minutes after the failure", first)
	}
	if n := most(w.replaced, 30*time.Minute); n > 1 {
		t.Errorf("%d replacements in half an hour: %v", n, w.replaced)
	}
	if len(w.transitions) != 1 {
		t.Errorf("transitions %v, want the failover only", w.transitions)
	}
}

func TestAnInstanceThatFailsAgainSoonAfterItsReturnIsReplacedThoughItCallsItselfReady(t *testing.T) {
	w := newWorld(t)
	broken := func(now time.Duration) bool { // its agent sees nothing of it
		return now > time.Minute && now < 2*time.Minute || now > 15*time.Minute && now < 15*time.Minute+20*time.Second
	}
	for w.now < 40*time.Minute {
		w.step(10*time.Second, !broken(w.now+10*time.Second), true, true)
	}
	if len(w.replaced) != 1 || w.replaced[0] < 15*time.Minute || w.replaced[0] > 17*time.Minute {
		t.Fatalf("replaced at %v; transitions %v", w.replaced, w.transitions)
	}
}

func TestOneAnswerOfTheAgentThatIsLostReplacesNothing(t *testing.T) {
	s := State{Since: at(0), Instance: "i-1"}
	for minute := time.Minute; minute < time.Hour; minute += time.Minute {
		m := withAgent(report(natzone.None, minute), natzone.Health{Instance: "i-1", Ready: true})
		if minute%(2*time.Minute) == 0 {
			m = report(natzone.None, minute)
		}
		o := Observation{Now: at(minute), Routes: every("nat-1"), Looked: true, InService: []string{"i-1"}}
		p := Decide(zone("a"), s, m, o)
		if p.Replace != "" {
			t.Fatalf("replaced after %v", minute)
		}
		s = p.State
	}
}

func TestAReadyInstanceOnTheStandbyIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	for w.now < time.Hour {
		w.step(10*time.Second, w.now < time.Minute || w.now > 90*time.Second, true, true)
	}
	if len(w.replaced) != 0 || len(w.transitions) != 2 {
		t.Errorf("replaced %v, transitions %v", w.replaced, w.transitions)
	}
	if back := w.transitions[1] - w.transitions[0]; back < 10*time.Minute {
		t.Errorf("back after %v", back)
	}
}

func TestAnHourWithoutTargetsMovesNothing(t *testing.T) {
	w := newWorld(t)
	for w.now < time.Hour {
		w.step(6*time.Second, true, true, w.now < time.Minute)
	}
	if len(w.transitions)+len(w.replaced) != 0 {
		t.Errorf("transitions %v, replaced %v", w.transitions, w.replaced)
	}
	if len(w.alerts) != 1 {
		t.Errorf("alerts %v, want one", w.alerts)
	}
}

func TestAnHourWithBothWaysBrokenTellsItOnceAndMovesOnce(t *testing.T) {
	w := newWorld(t)
	w.zone.Healing.Dwell = 0
	for w.now < time.Hour {
		w.step(6*time.Second, w.now < time.Minute, false, true)
	}
	if len(w.transitions) != 1 || len(w.alerts) != 2 {
		t.Errorf("transitions %v, alerts %v", w.transitions, w.alerts)
	}
}

// While no way works, no report without a verdict comes: the verdicts have to do.
func TestAnInstanceIsReplacedThoughNothingElseWorksEither(t *testing.T) {
	for _, standby := range []string{"nat-1", ""} {
		w := newWorld(t)
		w.zone.Standby = standby
		for w.now < 70*time.Minute {
			w.step(6*time.Second, w.now < time.Minute, false, true)
		}
		if len(w.replaced) != 3 || w.replaced[0] < 6*time.Minute || w.replaced[0] > 7*time.Minute || w.replaced[1]-w.replaced[0] < 30*time.Minute {
			t.Errorf("standby %q: replaced at %v, want after the dwell and every half hour from then on", standby, w.replaced)
		}
	}
}

func TestATargetsOutageReplacesNothing(t *testing.T) {
	w := newWorld(t)
	w.zone.Standby = ""
	for w.now < 2*time.Hour {
		w.step(6*time.Second, w.now < time.Minute, false, w.now < time.Minute)
	}
	if len(w.replaced) > 0 {
		t.Errorf("replaced at %v", w.replaced)
	}
}

func TestATerminationGoesOnThoughNoWayWorks(t *testing.T) {
	s := State{Leaving: []Leaving{{Instance: "i-1", Due: at(time.Hour), Hook: true}}, Since: at(0), Moved: at(0)}
	p := Decide(zone("a"), s, report(natzone.Streak, time.Minute), Observation{Now: at(time.Minute), Routes: every("nat-1"), Control: alive})
	if diff := cmp.Diff([]string{"i-1"}, p.Complete); diff != "" || len(p.State.Leaving) > 0 {
		t.Errorf("leaving %v, completed %s", p.State.Leaving, diff)
	}
}

// What a person has set beside is no reason to think that the zone is not served.
func TestAZoneIsServedAgainWhateverAPersonHasSet(t *testing.T) {
	s := State{Since: at(0), Why: "streak", Instance: "i-1", Moved: at(0)}
	p := Decide(zone("a"), s, report(natzone.None, 20*time.Minute), Observation{Now: at(20 * time.Minute), Routes: routes("i-1", "pcx", "i-1")})
	if !p.State.Since.IsZero() {
		t.Errorf("not served since %v", p.State.Since)
	}
}

func TestTheInstanceThatFailedIsReplacedAndNotItsSuccessor(t *testing.T) {
	now := 20 * time.Minute
	unready := func(s State) State {
		s.Since, s.Why, s.Unready = at(0), "streak", at(10*time.Minute)
		return s
	}
	for name, test := range map[string]struct {
		state   State
		agent   *natzone.Health
		serving []string
		want    string
	}{
		"the one that failed":                        {State{Instance: "i-2"}, nil, []string{"i-1", "i-2"}, "i-2"},
		"the one whose agent is not ready":           {State{Instance: "i-0"}, &natzone.Health{Instance: "i-2"}, []string{"i-1", "i-2"}, "i-2"},
		"nothing is known of them":                   {State{}, nil, []string{"i-1", "i-2"}, "i-1"},
		"the one that failed again after its return": {State{Sick: "i-2"}, &natzone.Health{Instance: "i-1", Ready: true}, []string{"i-1", "i-2"}, "i-2"},
	} {
		m := report(natzone.None, now)
		m.Report.Agent = test.agent
		p := Decide(zone("a"), unready(test.state), m, Observation{Now: at(now), Routes: every("nat-1"), Looked: true, InService: test.serving, Standby: available})
		if p.Replace != test.want {
			t.Errorf("%s: %q is replaced, want %q", name, p.Replace, test.want)
		}
	}
}

func TestAZoneThatIsServedWaitsForOneThatIsNot(t *testing.T) {
	now := 20 * time.Minute
	p := Decide(zone("a"), State{Sick: "i-a"}, report(natzone.None, now), Observation{Now: at(now), Routes: every("i-a"), Looked: true,
		InService: []string{"i-a"}, Peers: []Peer{{Zone: "b", Healthy: true}}})
	if p.Replace != "" {
		t.Errorf("%s is replaced beside the instance of b", p.Replace)
	}
}

func TestAZoneThatCannotBeHealedIsNotWaitedForWithoutEnd(t *testing.T) {
	for name, peer := range map[string]Peer{"on its standby": {Zone: "0", Healthy: true}, "without an instance": {Zone: "b"}} {
		w := newWorld(t)
		w.peers = []Peer{peer}
		for w.now < 3*time.Hour {
			w.step(10*time.Second, w.now < time.Minute, true, true)
		}
		if len(w.replaced) == 0 || w.replaced[0] < 65*time.Minute || w.replaced[0] > 85*time.Minute {
			t.Errorf("%s: replaced at %v", name, w.replaced)
		}
	}
}

// Zones that all fail at once and cannot be healed take turns: no two are ever replaced together.
func TestZonesThatCannotBeHealedTakeTurns(t *testing.T) {
	for count := 2; count <= 6; count++ {
		var zones []*world
		for i := range count {
			w := newWorld(t)
			w.zone.Zone = string(rune('a' + i))
			zones = append(zones, w)
		}
		var turns []time.Duration
		for zones[0].now < 6*time.Hour {
			for i, w := range zones {
				w.peers = nil
				for j, other := range zones {
					if j != i {
						w.peers = append(w.peers, Peer{Zone: other.zone.Zone, Healthy: true, Holds: other.holder == other.instance})
					}
				}
				before := len(w.replaced)
				w.step(10*time.Second, w.now < time.Minute, true, true)
				if len(w.replaced) > before {
					turns = append(turns, w.now)
				}
			}
		}
		for i := 1; i < len(turns); i++ {
			if turns[i]-turns[i-1] < 4*time.Minute {
				t.Errorf("%d zones: replaced at %v and %v", count, turns[i-1], turns[i])
			}
		}
		for _, w := range zones {
			if len(w.replaced) < 5 {
				t.Errorf("%d zones: %s is replaced %d times", count, w.zone.Zone, len(w.replaced))
			}
		}
	}
}

func TestAnInstanceIsNotReplacedWhileAnotherZoneIsInNeed(t *testing.T) {
	for name, test := range map[string]struct {
		peers    []Peer
		replaced int
	}{
		"the others are well":                        {[]Peer{{"b", true, true}, {"c", true, true}}, 1},
		"one has no instance in service":             {[]Peer{{"b", true, true}, {"c", false, false}}, 0},
		"an earlier one is on its standby":           {[]Peer{{"0", true, false}}, 0},
		"a later one is on its standby, and waits":   {[]Peer{{"b", true, false}}, 1},
		"a later one is being replaced":              {[]Peer{{"b", false, true}}, 0},
		"an earlier one was replaced and is back on": {[]Peer{{"0", true, true}}, 1},
	} {
		w := newWorld(t)
		w.peers = test.peers
		for w.now < 20*time.Minute {
			w.step(10*time.Second, w.now < time.Minute, true, true)
		}
		if len(w.replaced) != test.replaced {
			t.Errorf("%s: replaced %v", name, w.replaced)
		}
	}
}

// Two zones fail at once. Both are moved; one instance is replaced at a time.
func TestTwoZonesAtOnceAreMovedTogetherAndHealedOneAfterTheOther(t *testing.T) {
	a, b := newWorld(t), newWorld(t)
	b.zone = zone("b")
	var both int
	for a.now < 2*time.Hour {
		healthy := func(w *world) bool {
			return w.now < time.Minute || w.instance != "i-1" && w.now > w.replaced[0]+2*time.Minute
		}
		view := func(w *world, name string) []Peer {
			return []Peer{{Zone: name, Healthy: healthy(w) || len(w.replaced) == 0, Holds: w.holder == w.instance}}
		}
		a.peers, b.peers = view(b, "b"), view(a, "a")
		a.step(10*time.Second, healthy(a), true, true)
		b.peers = view(a, "a")
		b.stepZone(10*time.Second, healthy(b))
		if len(a.replaced) > 0 && len(b.replaced) > 0 && a.replaced[0] == b.replaced[0] {
			both++
		}
	}
	if both > 0 {
		t.Errorf("replaced together at %v", a.replaced)
	}
	for _, w := range []*world{a, b} {
		if len(w.replaced) != 1 || w.holder != "i-2" || w.transitions[0] > 80*time.Second {
			t.Errorf("zone %s: replaced %v, transitions %v, held by %s", w.zone.Zone, w.replaced, w.transitions, w.holder)
		}
	}
	if b.replaced[0] < a.replaced[0]+2*time.Minute {
		t.Errorf("b is replaced at %v, a at %v: not before a is well", b.replaced[0], a.replaced[0])
	}
}

// stepZone is step for a world of another zone than the reports' own.
func (w *world) stepZone(d time.Duration, works bool) { w.step(d, works, true, true) }

func TestMessagesOfOtherZonesConcernNobody(t *testing.T) {
	for name, test := range map[string]struct {
		m    event.Message
		want bool
	}{
		"own report":        {report(natzone.None, 0), true},
		"another's report":  {event.Observed{Report: natzone.Report{Zone: "b"}}, false},
		"own hook":          {event.Terminating{Group: "egress-a", Hook: natzone.TerminateHook}, true},
		"another's hook":    {event.Terminating{Group: "egress-b", Hook: natzone.TerminateHook}, false},
		"another hook":      {event.Terminating{Group: "egress-a", Hook: "drain"}, false},
		"another's launch":  {event.LaunchFailed{Group: "web"}, false},
		"an instance":       {event.Instances{IDs: []string{"i-9"}, Change: event.Stopped}, true},
		"a test notice":     {event.Ignored{}, false},
		"something unknown": {event.Unknown{}, false},
	} {
		if got := Concerns(zone("a"), test.m); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheStateIsReadAsItWasWritten(t *testing.T) {
	s := State{
		Version: Version, Since: at(0), Why: "streak", Instance: "i-1", Moved: at(1), Back: Return{"i-1", at(2)}, Sick: "i-1",
		Replaced: at(3), Broken: at(4), Excused: at(5), Answering: at(7), Leaving: []Leaving{{"i-1", at(6), true}},
	}
	text, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseState(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
	if len(text) > 4096 {
		t.Errorf("%d bytes do not go into a standard parameter", len(text))
	}
	empty, err := State{}.JSON()
	if err != nil || empty != `{"version":1}` {
		t.Errorf("%s %v", empty, err)
	}
}

// A rotation: the predecessor is terminated within milliseconds of its successor's claim, and the look that this notice causes must not
// make an old verdict one about the successor.
func TestAVerdictOfBeforeTheClaimDoesNotTakeTheZoneFromTheSuccessor(t *testing.T) {
	z, s := zone("a"), State{}
	told := func(m event.Message, when time.Duration, holder string) Plan {
		p := Decide(z, s, m, Observation{Now: at(when), Routes: every(holder), Control: alive, Standby: available})
		s = p.State
		return p
	}
	minute := 10 * time.Minute
	told(report(natzone.None, minute), minute, "i-1")
	claim := minute + 20*time.Second // of i-2, in the middle of three failed rounds
	told(event.Terminating{Group: z.Group, Hook: z.TerminateHook, Instance: "i-1"}, claim+2*time.Millisecond, "i-2")
	old := report(natzone.Streak, claim+50*time.Millisecond)
	p := told(old, claim+86*time.Millisecond, "i-2")
	if tables(p) != "" || p.Probe == nil || p.Probe.Quiet != 0 {
		t.Fatalf("moves %q, and the prober looks again with %+v: %s", tables(p), p.Probe, p.Note)
	}
	fresh := report(natzone.Streak, claim+3*time.Second)
	if p := told(fresh, claim+3*time.Second, "i-2"); tables(p) != "rtb-1 rtb-2 rtb-3" {
		t.Fatalf("the successor fails too: moves %q: %s", tables(p), p.Note)
	}
}
