package tests

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// machine carries out what a walk decides: the real engine with the real program, or the model of both.
type machine interface {
	// up moves to the stage of the settings, with a fault or without.
	up(s settings, f fault) error
	refresh() error
	// stage is the recorded one, empty before the first.
	stage() string
	// operations are those that changed something, ever: "create nat", "delete cover-…".
	operations() []string
}

// walker makes the moves of one walk and judges each.
type walker struct {
	*network
	machine
	settings   settings
	edited     bool // the configuration was changed
	traffic    *alicloud.Traffic
	whole      bool     // judge quickly, see newWalker
	changed    int      // changes of the cloud's state so far
	lost       []string // what the judge has found
	orphans    bool     // an object may exist that no state knows
	save       bool     // compare the whole state of the cloud around a refused move
	trace      []string
	seen       tally
	undeclared bool   // declareSystemRoute was switched off
	unruled    bool   // only what is lost counts: for tests of the walks
	tried      int    // stages that a message has named
	last       string // message
}

// tally counts what walks have come across, to show that the generator reaches it.
type tally map[string]int

func (t tally) add(other tally) {
	for k, n := range other {
		t[k] += n
	}
}

// errWalk is what is wrong with a walk; it is not an error that the machine returned.
type errWalk struct{ what string }

func (e errWalk) Error() string { return e.what }

func wrong(format string, args ...any) error { return errWalk{fmt.Sprintf(format, args...)} }

// newWalker judges every single change of the cloud. A quick one asks, where every vSwitch reaches every destination to
// begin with, only the judge of routes each time, and whether anything is hijacked after each `up`.
func newWalker(n *network, m machine, quick bool) *walker {
	w := &walker{network: n, machine: m, save: !quick, seen: tally{}, traffic: alicloud.NewTraffic(n.cloud, n.vpc)}
	w.whole = quick && len(n.cloud.Judge(n.vpc)) == 0
	n.cloud.OnChange = func() {
		w.changed++
		if !w.whole || n.cloud.Judge(n.vpc) != nil {
			w.observe()
		}
	}
	return w
}

// observe asks whether everything that had a way out at the beginning has one now, and nothing is hijacked.
func (w *walker) observe() {
	s := w.traffic.Observe()
	if s.Holes+s.Lost+s.Hijacked == 0 || len(w.lost) > 0 {
		return
	}
	for _, p := range s.Problems {
		if p.What != alicloud.ProblemCut {
			w.lost = append(w.lost, p.String())
		}
	}
}

// walk makes the moves, then goes on without faults to the end and back to the beginning.
func (w *walker) walk(moves []move) error {
	for _, m := range moves {
		var err error
		switch {
		case m.refresh:
			err = w.renew()
		case m.declare:
			w.undeclared = w.undeclared || w.settings.declare
			w.settings.declare = !w.settings.declare
			w.note("declareSystemRoute: %v", w.settings.declare)
		case m.edit != "":
			edits[m.edit](w.network)
			w.edited = true
			w.seen["edits"]++
			w.note("edit %s", m.edit)
		case m.release != nil:
			w.settings.release = m.release
			w.note("release %v", m.release)
		default:
			stage := m.stage
			if stage == "" {
				stages := migration.Stages()
				stage = string(stages[min(max(w.index()+m.by, 0), len(stages)-1)])
			}
			err = w.move(stage, m.fault)
		}
		if wrong := (errWalk{}); errors.As(err, &wrong) {
			return wrong
		}
	}
	if w.edited && w.orphans {
		// What was made, not recorded, and then left out of the configuration, only the owner can find.
		w.seen["walks that end with an orphan"]++
		return nil
	}
	return w.finish()
}

func (w *walker) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// index of the recorded stage, -1 before the first.
func (w *walker) index() int { return migration.Stage(w.stage()).Index() }

// legal tells whether the rules of the migration let the next `up` go to the stage at all. It may still be refused.
func (w *walker) legal(stage string) bool {
	to := migration.Stage(stage).Index()
	if w.index() < 0 {
		return to == 0
	}
	if n := len(w.settings.release); n > 0 && n < len(route.Blocks()) && stage == string(migration.Retire) {
		return false
	}
	return to >= max(0, w.index()-1) && to <= w.index()+1
}

// move is one `up` and everything that must hold after it. The error is an errWalk, or that of the `up`.
func (w *walker) move(stage string, f fault) error {
	was, legal := w.stage(), w.legal(stage)
	changed, ops := w.changed, len(w.operations())
	var before []byte
	if w.save {
		before = must(w.cloud.Save())
	}
	w.settings.stage = stage
	err := w.up(w.settings, f)
	w.observe()
	now := w.stage()
	done := w.operations()[ops:]
	w.log(was, now, f, done, err)
	refused := err != nil && strings.Contains(err.Error(), "is refused, nothing has been changed")
	switch {
	case len(w.lost) > 0:
		return wrong("lost: %s", strings.Join(w.lost, "; "))
	case w.unruled:
		return err
	case !legal && err == nil:
		return wrong("from %q to %q is illegal, and was done", was, stage)
	case (!legal || refused) && (w.changed != changed || len(done) > 0 || now != was):
		return wrong("from %q to %q was refused, and changed something: %v", was, stage, done)
	case (!legal || refused) && w.save && string(before) != string(must(w.cloud.Save())):
		return wrong("from %q to %q was refused, and the cloud is not what it was", was, stage)
	case err == nil && now != stage:
		return wrong("the up to %s succeeded, and the recorded stage is %q", stage, now)
	case err != nil && now != was && now != stage:
		return wrong("the up from %q to %q failed, and the recorded stage is %q", was, stage, now)
	}
	w.orphans = w.orphans || f.at > 0 && len(done) >= f.at && f.verdict != sim.FailBefore
	if err != nil && now == was {
		return err
	}
	is := w.reality()
	if missing := w.made(now, is); len(missing) > 0 {
		return wrong("stage %s is recorded, but %s", now, strings.Join(missing, "; "))
	}
	if left := w.left(now, is); err == nil && !w.orphans && len(left) > 0 {
		return wrong("stage %s is done, but %s", now, strings.Join(left, "; "))
	}
	return err
}

// log writes the trace and counts what has been met.
func (w *walker) log(was, now string, f fault, done []string, err error) {
	what := "done"
	if err != nil {
		what = "failed: " + strings.ReplaceAll(err.Error(), "\n", " / ")
	}
	from := ""
	if f.at > 0 {
		from = fmt.Sprintf(" with operation %d: %s", f.at, f.verdict)
	}
	w.note("up from %q to %q%s: %d operations %v, recorded %q, %s", was, w.settings.stage, from, len(done), done, now, what)
	w.seen["ups"]++
	switch {
	case err == nil:
		w.seen["ups done"]++
	case strings.Contains(err.Error(), "is refused"):
		w.seen["ups refused"]++
	case strings.Contains(err.Error(), "is not complete"):
		w.seen["gates closed"]++
	}
	if f.at > 0 && len(done) >= f.at {
		w.seen["fault: "+f.verdict.String()]++
	}
	if err != nil && strings.Contains(err.Error(), alicloud.CodeRouteInUse) {
		w.seen["gateway deletion refused"]++
	}
}

func (w *walker) renew() error {
	err := w.refresh()
	w.note("refresh: %v", err)
	w.seen["refreshes"]++
	return err
}

// count says what kind of network has been walked from end to end.
func (w *walker) count() {
	w.seen["walks"]++
	w.seen["cloud: automatic route "+string(w.options.AutomaticRoute)]++
	w.seen["cloud: deletion of a gateway "+map[alicloud.DeleteNAT]string{alicloud.DeleteRemovesRoute: "removes it", alicloud.DeleteRefused: "refuses"}[w.options.DeleteNAT]]++
	w.seen["cloud: gateway beside a default route "+string(w.options.CreateNATWithDefault)]++
	w.seen["old: "+w.old.Type]++
	for what, is := range map[string]bool{
		"bandwidth package": w.pkg > 0, "forwards": len(w.forwards) > 0, "several tables": len(w.tables) > 1,
		"several addresses": len(w.addresses) > 1, "source CIDRs": len(w.snat.Sources) > 0,
	} {
		if is {
			w.seen[what]++
		}
	}
}

// finish goes to the last stage, and back to the first, without faults and by the advice of the messages.
func (w *walker) finish() error {
	w.note("now without faults to retire and back")
	w.settings.release = nil
	last := len(migration.Stages()) - 1
	for _, goal := range []int{last, 0} {
		for tries := 0; w.index() != goal; tries++ {
			if tries > 40 {
				return wrong("stage %s cannot be reached", migration.Stages()[goal])
			}
			to := w.index() + 1
			if goal < w.index() {
				to = w.index() - 1
			}
			err := w.move(string(migration.Stages()[to]), fault{})
			if err == nil {
				continue
			}
			if err := w.follow(err); err != nil {
				return err
			}
		}
	}
	// Once more at the end: nothing may be left to do, and nothing of ours be there.
	if err := w.move(string(migration.Adopt), fault{}); err != nil {
		return wrong("back at adopt, the stage cannot be repeated: %v", err)
	}
	if left := w.left(string(migration.Adopt), w.reality()); len(left) > 0 {
		return wrong("back at adopt, but %s", strings.Join(left, "; "))
	}
	w.count()
	return nil
}

// follow does what a message advises, and what the messages advise that come of it. It returns an errWalk only.
func (w *walker) follow(err error) error {
	for range 3 {
		if err == nil || errors.As(err, &errWalk{}) {
			return err
		}
		err = w.advised(err)
	}
	if errors.As(err, &errWalk{}) {
		return err
	}
	return nil
}

// advised does what a message advises, and returns the error that comes of it.
func (w *walker) advised(err error) error {
	var steps []func() error
	try := func(index int) func() error {
		return func() error {
			if index < 0 || index >= len(migration.Stages()) {
				return errors.New("no such stage")
			}
			return w.move(string(migration.Stages()[index]), fault{})
		}
	}
	text, was := err.Error(), w.index()
	says := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case says(alicloud.CodeRouteInUse) && !slices.Contains(w.tables, w.system):
		// The cloud has put its route into a table that does not move: declareSystemRoute does not reach it.
		w.seen["automatic route deleted by hand"]++
		steps = append(steps, w.deleteAutomatic, try(was))
	case says("expected length of name"):
		steps = append(steps, w.nameRoutes, w.renew, try(was))
	case says("set natGateway.declareSystemRoute"), says(alicloud.CodeRouteInUse):
		w.settings.declare = true
		w.seen["declareSystemRoute by advice"]++
		steps = append(steps, try(migration.Gateway.Index()))
	case says("put the sources back"):
		edits[editSources](w.network)
	case says("to change addresses"):
		edits[editAddresses](w.network)
	case says("leave it true"), says("it is protected"), says("is protected"):
		w.settings.declare = true
	case says("pulumi refresh"):
		steps = append(steps, w.nameRoutes, w.renew, try(was))
	case says("still points at"):
		steps = append(steps, w.deleteLeftovers)
	case says("is not complete"):
		steps = append(steps, try(was))
	case says("lookups show the network"):
		// The message names several stages: one after the other, as often as it comes.
		_, list, _ := strings.Cut(text, "set stage to ")
		list, _, _ = strings.Cut(list, " where")
		names := strings.Split(list, " or ")
		steps = append(steps, try(migration.Stage(names[w.tried%len(names)]).Index()))
		w.tried++
	case text == w.last:
		// What every operator does when a message comes twice.
		steps = append(steps, w.renew)
	}
	w.last = text
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// deleteLeftovers deletes, as the owner would by hand, the routes to the old next hop that the migration does not know.
func (w *walker) deleteLeftovers() error {
	for _, t := range w.cloud.RouteTables(w.vpc) {
		for _, e := range t.Entries {
			if e.HopID != w.old.ID || slices.Contains(route.Blocks(), e.CIDR) {
				continue
			}
			if err := w.cloud.DeleteRouteEntry(t.ID, e.CIDR, e.HopID); err != nil {
				return err
			}
		}
	}
	if len(w.lost) > 0 {
		return wrong("lost, when the owner deleted what was left: %s", strings.Join(w.lost, "; "))
	}
	return nil
}

// nameRoutes names, as the owner does in the console, the routes that have no name.
func (w *walker) nameRoutes() error {
	w.seen["routes named by hand"]++
	for _, t := range w.cloud.RouteTables(w.vpc) {
		for _, e := range t.Entries {
			if e.Type == alicloud.Custom && e.Name == "" {
				check(w.cloud.ModifyRouteEntry(t.ID, e.CIDR, "egress"))
			}
		}
	}
	return nil
}

// deleteAutomatic deletes, by hand, the default route that the cloud has made with the gateway.
func (w *walker) deleteAutomatic() error {
	for _, e := range must(w.cloud.DescribeRouteTable(w.system)).Entries {
		if e.Automatic {
			check(w.cloud.DeleteRouteEntry(w.system, e.CIDR, e.HopID))
		}
	}
	return nil
}
