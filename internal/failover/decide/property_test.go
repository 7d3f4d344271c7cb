package decide

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polynat/internal/failover/event"
	"polynat/internal/natzone"
)

// Whatever comes, in whatever order, and whatever is found: what the controller may never do, it does not.
func TestWhatNeverHappens(t *testing.T) {
	hop := rapid.SampledFrom([]string{"i-1", "i-2", "!i-1", "nat-1", "!nat-1", "nat-other", "pcx", ""})
	id := rapid.SampledFrom([]string{"i-1", "i-2", "i-9"})
	control := rapid.SampledFrom([]Control{{}, alive, dead, {Answered: targets[:1], Silent: targets[1:]}})
	rapid.Check(t, func(t *rapid.T) {
		z := zone("a")
		if rapid.Bool().Draw(t, "without a standby") {
			z.Standby = ""
		}
		var s State
		var now, replaced time.Duration
		for range rapid.IntRange(1, 30).Draw(t, "messages") {
			now += time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "later"))
			o := Observation{
				Now: at(now), Routes: routes(hop.Draw(t, "1"), hop.Draw(t, "2"), hop.Draw(t, "3")), Control: control.Draw(t, "control"),
				Standby: rapid.SampledFrom([]string{"", available, "failed"}).Draw(t, "gateway"),
				Looked:  true, InService: rapid.SliceOfN(id, 0, 1).Draw(t, "in service"),
			}
			m := anyMessage(t, now, id)
			p := Decide(z, s, m, o)

			for _, move := range p.Moves {
				i := slices.IndexFunc(o.Routes, func(r Route) bool { return r.Table == move.Table })
				r := o.Routes[i]
				switch {
				case z.Standby == "":
					t.Fatalf("%v: there is no standby", move)
				case move.Create != r.Missing:
					t.Fatalf("%v of %+v", move, r)
				case !r.Missing && !r.Blackhole && r.Instance == "":
					t.Fatalf("%v: %+v points neither at an instance nor nowhere", move, r)
				case r.Gateway != "" && r.Gateway == z.Standby:
					t.Fatalf("%v: is on the standby", move)
				}
				if of, ok := m.(event.Instances); ok && !r.Missing && !r.Blackhole && !slices.Contains(of.IDs, r.Instance) && !leaves(s, r.Instance) {
					t.Fatalf("%v points at %s, and the event is of %v", move, r.Instance, of.IDs)
				}
			}
			if slices.ContainsFunc(p.Moves, func(a Move) bool {
				return 1 < len(slices.DeleteFunc(slices.Clone(p.Moves), func(b Move) bool { return a != b }))
			}) {
				t.Fatalf("a route is moved twice: %v", p.Moves)
			}
			for _, done := range p.Complete {
				moved := func(table string) bool {
					return slices.ContainsFunc(p.Moves, func(m Move) bool { return m.Table == table })
				}
				if slices.ContainsFunc(o.Routes, func(r Route) bool { return r.Instance == done && !moved(r.Table) }) {
					t.Fatalf("the termination of %s goes on, and a route points at it: %+v", done, o.Routes)
				}
			}
			if p.Replace != "" {
				if replaced > 0 && now-replaced < 30*time.Minute {
					t.Fatalf("replaced after %v", now-replaced)
				}
				if !slices.Contains(o.InService, p.Replace) {
					t.Fatalf("%s is replaced, in service is %v", p.Replace, o.InService)
				}
				replaced = now
			}
			if r, ok := verdict(m); ok && p.Probe == nil && r.Tick.Until.After(o.Now) {
				t.Fatal("the prober ended with its verdict, and nobody starts it again")
			}
			if again := Decide(z, p.State, m, o); len(again.Alerts) > len(p.Alerts) {
				t.Fatalf("the second time more is told: %v after %v", again.Alerts, p.Alerts)
			}
			text, err := p.State.JSON()
			if err != nil || len(text) > 4096 {
				t.Fatalf("state of %d bytes: %v", len(text), err)
			}
			s = p.State
		}
	})
}

func leaves(s State, id string) bool {
	return slices.ContainsFunc(s.Leaving, func(l Leaving) bool { return l.Instance == id })
}

func verdict(m event.Message) (natzone.Report, bool) {
	o, ok := m.(event.Observed)
	return o.Report, ok && o.Report.Cause != natzone.None
}

func anyMessage(t *rapid.T, now time.Duration, id *rapid.Generator[string]) event.Message {
	switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); kind {
	case 0, 1:
		cause := rapid.SampledFrom([]natzone.Cause{natzone.None, natzone.Streak, natzone.Partial, natzone.Egress}).Draw(t, "cause")
		m := report(cause, now)
		if rapid.Bool().Draw(t, "with an agent") {
			m = withAgent(m, natzone.Health{Instance: id.Draw(t, "agent"), Ready: rapid.Bool().Draw(t, "ready"), Holds: rapid.Bool().Draw(t, "holds")})
		}
		return m
	case 2:
		change := rapid.SampledFrom([]event.Change{event.Stopping, event.Terminated, event.Interruption, event.Rebalance, event.Maintenance})
		return event.Instances{IDs: []string{id.Draw(t, "instance")}, Change: change.Draw(t, "change")}
	case 3:
		return event.Terminating{Group: "egress-a", Hook: natzone.TerminateHook, Instance: id.Draw(t, "instance")}
	default:
		return event.Unknown{Why: fmt.Sprint(kind)}
	}
}
