package migration

import (
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"polynat/internal/route"
)

// drawNetwork is a random network and a spec that fits it: one to three tables with one to three vSwitches each, longer
// entries of others, HAVIPs, several addresses.
func drawNetwork(t *rapid.T) (*network, Spec) {
	n, spec := newNetwork(), newSpec(Adopt)
	n.Tables, n.VSwitches = n.Tables[:1], n.VSwitches[:1]
	for i := range rapid.IntRange(0, 2).Draw(t, "custom tables") {
		id := fmt.Sprint("vtb-", i)
		n.Tables = append(n.Tables, Table{ID: id, Routes: []Route{{CIDR: everyone, Hop: old, Available: true}}})
	}
	for i, table := range n.Tables {
		for j := range rapid.IntRange(1, 3).Draw(t, "vswitches") {
			v := VSwitch{ID: fmt.Sprintf("vsw-%d-%d", i, j), Zone: "zone-2", Table: table.ID, CIDR: prefix(fmt.Sprintf("10.%d.%d.0/24", i+1, j))}
			n.VSwitches = append(n.VSwitches, v)
			if rapid.IntRange(0, 4).Draw(t, "by CIDR") == 0 {
				spec.Sources = append(spec.Sources, v.CIDR)
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "entries of others") {
			cidr, err := netip.AddrFrom4([4]byte{byte(rapid.IntRange(1, 223).Draw(t, "net")), byte(i)}).Prefix(rapid.IntRange(8, 16).Draw(t, "bits"))
			if err != nil {
				t.Fatal(err)
			}
			taken := slices.ContainsFunc(n.Tables[i].Routes, func(r Route) bool { return r.CIDR == cidr })
			if !taken && !slices.Contains(route.Blocks(), cidr) {
				n.Tables[i].Routes = append(n.Tables[i].Routes, Route{CIDR: cidr, Hop: vpn, Available: true})
			}
		}
	}
	if rapid.Bool().Draw(t, "several addresses") {
		spec.Addresses["spare"] = 10
	}
	if rapid.Bool().Draw(t, "package") {
		spec.Package = 100
	}
	if rapid.Bool().Draw(t, "forwards") {
		spec.Addresses["web"] = 10
		spec.Forwards = map[string]Forward{"https": {Address: "web", ExternalPort: "443", InternalPort: "8443", InternalIP: netip.MustParseAddr("10.0.0.9"), Protocol: "tcp"}}
	}
	spec.DeclareSystemDefault = rapid.Bool().Draw(t, "declare the system route")
	return n, spec
}

// drawMove is a legal move on a random network: a stage where it stands, and a neighbor or the same stage again. Stages
// before retire may release a part of the blocks only.
func drawMove(t *rapid.T) (n *network, record *Record, was, to Spec) {
	n, was = drawNetwork(t)
	i := rapid.IntRange(0, len(stages)-1).Draw(t, "stage")
	j := rapid.IntRange(max(i-1, 0), min(i+1, len(stages)-1)).Draw(t, "next")
	was.Stage = stages[i]
	to = was
	to.Stage = stages[j]
	if i <= Switch.Index() && j <= Switch.Index() {
		was.Release = drawRelease(t)
		to.Release = drawRelease(t)
	}
	n, record = n.at(was)
	return n, record, was, to
}

func drawRelease(t *rapid.T) []netip.Prefix {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(route.Blocks()), 0, len(route.Blocks()), rapid.ID[netip.Prefix]).Draw(t, "release")
}

// holes judges every table: the old next hop works, others do, and the NAT gateway does for a table whose every vSwitch is
// translated.
func (n *network) holes(tables []string) []string {
	var found []string
	for _, table := range n.Tables {
		if !slices.Contains(tables, table.ID) {
			continue
		}
		translated := len(n.Gateways) > 0
		for _, v := range n.VSwitches {
			translated = translated && (v.Table != table.ID || slices.ContainsFunc(n.SNATEntries, func(e SNATEntry) bool {
				return Source{e.VSwitch, e.Source}.contains(v) && len(e.IPs) > 0
			}))
		}
		var entries route.Table[Hop]
		for _, r := range table.Routes {
			entries.Insert(r.CIDR, r.Hop)
		}
		for _, f := range route.Judge(&entries, route.Destinations(), func(h Hop) bool { return h != nat || translated }) {
			found = append(found, table.ID+": "+f.String())
		}
	}
	return found
}

// jumble lets routes overtake each other, as an engine does that works on several at once; what the others need stays
// before them.
func jumble(t *rapid.T, ops []operation) []operation {
	ops = slices.Clone(ops)
	for from := 0; from < len(ops); {
		to := from
		for to < len(ops) && ops[to].kind == "route" {
			to++
		}
		copy(ops[from:to], rapid.Permutation(ops[from:to]).Draw(t, "order"))
		from = to + 1
	}
	return ops
}

// stopAnywhere carries the plan out up to a random operation, with the record that a stack then has: the stage is written
// down when the gate has opened, which is after all creations and before the first deletion.
func (n *network) stopAnywhere(t *rapid.T, plan *Plan, record *Record, after func(operation)) *Record {
	creates, deletes := n.operations(plan)
	ops := slices.Concat(jumble(t, creates), jumble(t, deletes))
	stop := rapid.IntRange(0, len(ops)).Draw(t, "stop")
	for i, op := range ops[:stop] {
		if unmet := plan.Unmet(&n.Survey); i == len(creates) && unmet != nil {
			t.Fatalf("%s: the gate is shut before the deletions: %v", plan.Stage, unmet)
		}
		n.do(op, plan.spec)
		after(op)
	}
	if stop > len(creates) || stop == len(creates) && rapid.Bool().Draw(t, "recorded") {
		return plan.record()
	}
	return record
}

func TestNoMoveLosesADestinationWhereverItStopsAndItCanGoOnOrBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net, record, was, to := drawMove(t)
		plan, err := Decide(to, &net.Survey, record)
		if err != nil {
			t.Fatalf("%s to %s: %v", was.Stage, to.Stage, err)
		}
		judge := func(n *network, plan *Plan) func(operation) {
			return func(op operation) {
				if holes := n.holes(plan.tables); holes != nil {
					t.Fatalf("%s to %s, now to %s: after %+v: %v", was.Stage, to.Stage, plan.Stage, op, holes)
				}
			}
		}
		record = net.stopAnywhere(t, plan, record, judge(net, plan))
		for _, spec := range []Spec{to, was} {
			again := net.clone()
			plan, err := Decide(spec, &again.Survey, record)
			if err != nil {
				t.Fatalf("%s to %s stopped with record %s; %s is refused: %v", was.Stage, to.Stage, record.Stage, spec.Stage, err)
			}
			creates, deletes := again.operations(plan)
			for _, op := range append(creates, deletes...) {
				again.do(op, spec)
				judge(again, plan)(op)
			}
			if unmet := plan.Unmet(&again.Survey); unmet != nil {
				t.Fatalf("%s is not complete in the end: %v", spec.Stage, unmet)
			}
		}
	})
}

func TestFromAHalfDoneMoveNoStageFartherThanANeighborIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net, record, was, to := drawMove(t)
		plan, err := Decide(to, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		record = net.stopAnywhere(t, plan, record, func(operation) {})
		for _, far := range stages {
			if d := far.Index() - record.Stage.Index(); -1 <= d && d <= 1 {
				continue
			}
			spec := to
			spec.Stage = far
			if _, err := Decide(spec, &net.Survey, record); err == nil {
				t.Fatalf("%s to %s stopped with record %s: %s is accepted", was.Stage, to.Stage, record.Stage, far)
			}
		}
	})
}

// One move either adds routes to a table or takes some away. Only a change of Release at stage switch does both, to
// different blocks, each of which has a working next hop before and after.
func TestNoMoveBothAddsAndRemovesRoutesOfATable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net, record, was, to := drawMove(t)
		plan, err := Decide(to, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		creates, deletes := net.operations(plan)
		tables := func(ops []operation) map[string]bool {
			m := map[string]bool{}
			for _, op := range ops {
				if op.kind == "route" {
					m[op.table] = true
				}
			}
			return m
		}
		removed := tables(deletes)
		for table := range tables(creates) {
			if removed[table] && (was.Stage != Switch || to.Stage != Switch) {
				t.Fatalf("%s to %s: table %s gets routes and loses some", was.Stage, to.Stage, table)
			}
		}
	})
}

func TestWhereAStageStandsItsPlanChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net, spec := drawNetwork(t)
		spec.Stage = rapid.SampledFrom(stages).Draw(t, "stage")
		net, record := net.at(spec)
		plan, err := Decide(spec, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		if creates, deletes := net.operations(plan); len(creates)+len(deletes) > 0 {
			t.Fatalf("%s again: creates %v, deletes %v", spec.Stage, creates, deletes)
		}
	})
}

func TestTheOrderOfLookupsAndOfConfigurationChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net, record, _, to := drawMove(t)
		if rapid.Bool().Draw(t, "named tables") {
			to.Tables = slices.Clone(record.Tables)
		}
		if rapid.Bool().Draw(t, "with a problem") {
			to.Stage, net.Old.Running = Adopt, false
			net.table(system).Routes = append(net.table(system).Routes, Route{CIDR: prefix("64.0.0.0/1"), Hop: vpn}, Route{CIDR: prefix("0.0.0.0/3"), Hop: vpn})
		}
		plan, err := Decide(to, &net.Survey, record)

		random := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		mixed, moved := net.clone(), *record
		for _, table := range mixed.Tables {
			mix(random, table.Routes)
		}
		mix(random, mixed.Tables)
		mix(random, mixed.VSwitches)
		mix(random, mixed.SNATEntries)
		mix(random, mixed.ForwardEntries)
		moved.Tables, moved.VSwitches = slices.Clone(record.Tables), slices.Clone(record.VSwitches)
		mix(random, moved.Tables)
		mix(random, moved.VSwitches)
		to.Tables, to.Sources, to.Release = slices.Clone(to.Tables), slices.Clone(to.Sources), slices.Clone(to.Release)
		mix(random, to.Tables)
		mix(random, to.Sources)
		mix(random, to.Release)
		again, errAgain := Decide(to, &mixed.Survey, &moved)
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("one of the two is refused: %v, %v", err, errAgain)
		}
		if err != nil {
			if diff := cmp.Diff(lines(err), lines(errAgain)); diff != "" {
				t.Fatalf("the order decides what is named (-as found +mixed):\n%s", diff)
			}
			return
		}
		plan.scope, again.scope = scope{}, scope{}
		if diff := cmp.Diff(plan, again, cmp.AllowUnexported(Plan{}, scope{}), byValue); diff != "" {
			t.Fatalf("the order decides (-as found +mixed):\n%s", diff)
		}
	})
}

// lines are those of a text, sorted.
func lines(err error) []string { return slices.Sorted(strings.SplitSeq(err.Error(), "\n")) }

func mix[T any](random *rand.Rand, values []T) {
	random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
}
