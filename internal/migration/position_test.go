package migration

import (
	"fmt"
	"slices"
	"testing"

	"polynat/internal/route"
)

// position is where the lookups show the network, by the rules of a spec whose tables are both.
func (n *network) position() standing {
	spec := newSpec(Adopt)
	s := scope{spec: spec, tables: []string{custom, system}, sources: []Source{{VSwitch: "vsw-a"}, {VSwitch: "vsw-b"}, {VSwitch: "vsw-c"}}}
	return s.standing(&n.Survey)
}

func TestEveryStageAndEveryHalfStepIsFoundByLookupsAlone(t *testing.T) {
	for i, stage := range stages[:len(stages)-1] {
		net, record := newNetwork().at(newSpec(stage))
		if got, want := net.position(), (standing{half: 2 * i, carried: stage.covers() && stage != Cover}); got != want {
			t.Errorf("%s: %+v, want %+v", stage, got, want)
		}
		if got, want := net.position().String(), "at "+string(stage); got != want {
			t.Errorf("%s: %q, want %q", stage, got, want)
		}
		next := newSpec(stages[i+1])
		plan, err := Decide(next, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		creates, deletes := net.operations(plan)
		ops := append(creates, deletes...)
		if len(ops) < 2 {
			continue // retire
		}
		want := fmt.Sprintf("between %s and %s", stage, next.Stage)
		for done := range ops[:len(ops)-1] {
			net.do(ops[done], next)
			if got := net.position(); got.half != 2*i+1 || got.broken || got.String() != want {
				t.Errorf("after %d of %d operations: %+v (%s), want %s", done+1, len(ops), got, got, want)
			}
		}
	}
	net, _ := newNetwork().at(newSpec(Retire))
	if got := net.position().String(); got != "at switch" {
		t.Errorf("retire is %q in the cloud, want at switch: nothing but the old gateway tells them apart", got)
	}
}

func TestWhatIsNotDoneYetIsNotDone(t *testing.T) {
	for _, c := range []struct {
		name   string
		stage  Stage
		change func(*network)
		want   string
	}{
		{"a gateway in the making", Gateway, func(n *network) { n.Gateways[0].Available = false }, "between uncover and gateway"},
		{"an automatic route that has not come", Gateway, func(n *network) { n.remove(system, nat) }, "between uncover and gateway"},
		{"an address that is being bound", Address, func(n *network) {
			n.Addresses["main"] = ElasticIP{ID: "eip-main", IP: "203.0.113.main", Instance: nat.ID}
		}, "between gateway and address"},
		{"an SNAT entry in the making", SNAT, func(n *network) { n.SNATEntries[0].Available = false }, "between address and snat"},
	} {
		net, _ := newNetwork().at(newSpec(c.stage))
		c.change(net)
		if got := net.position().String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// remove takes the routes of a table to a next hop away.
func (n *network) remove(table string, hop Hop) {
	t := n.table(table)
	t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool { return r.Hop == hop })
}

func TestWhatNoStageLeavesBehindIsOutsideEveryStage(t *testing.T) {
	for _, c := range []struct {
		name   string
		stage  Stage
		change func(*network)
	}{
		{"a block and the default route missing", Adopt, func(n *network) { n.remove(custom, old) }},
		{"a block missing after uncover", Uncover, func(n *network) {
			n.do(operation{object{kind: "route", table: custom, cidr: route.Blocks()[3], hop: old}, true}, Spec{})
		}},
		{"blocks released before SNAT", Address, func(n *network) { n.remove(custom, old) }},
		{"SNAT taken away after the switch", Switch, func(n *network) { n.SNATEntries = nil }},
		{"a default route to the old next hop beside the gateway", Gateway, func(n *network) {
			n.remove(custom, nat)
			n.do(operation{object: object{kind: "route", table: custom, cidr: everyone, hop: old}}, Spec{})
		}},
	} {
		net, _ := newNetwork().at(newSpec(c.stage))
		c.change(net)
		if got := net.position(); !got.broken || got.String() != "outside every stage" {
			t.Errorf("%s: %+v (%s)", c.name, got, got)
		}
	}
}

func TestOutsideEveryStageOnlyRepairAndOneStepBackAreOpen(t *testing.T) {
	for _, c := range []struct {
		was, to Stage
		carried bool // the eight blocks still carry everything
		want    bool
	}{
		{Uncover, Uncover, false, true},  // puts the missing block back
		{Uncover, Cover, false, false},   // a second stage would begin before the first is mended
		{Uncover, Gateway, false, false}, // forward never
		{SNAT, SNAT, true, true},
		{SNAT, Address, true, true},
		{SNAT, Switch, true, false},
		{Switch, Switch, false, true},
		{Switch, SNAT, false, true}, // the way to the old gateway
		{Switch, Retire, false, false},
	} {
		s := from(c.was, c.to)
		switch c.was {
		case Uncover:
			s.remove(custom, route.Blocks()[5])
		case SNAT:
			s.net.remove(system, nat) // somebody deleted the automatic route: the gateway is not ready
			s.spec.DeclareSystemDefault = true
		default:
			s.net.SNATEntries = s.net.SNATEntries[:1]
		}
		if _, err := s.decide(); c.want != (err == nil) {
			t.Errorf("%s to %s: accepted %v, error %v", c.was, c.to, c.want, err)
		}
	}
}

// The gateway's side carries nothing while the eight blocks stand, so it may be made again where it was, or taken back.
func TestWhileTheBlocksCarryEverythingTheGatewayMayBeRepaired(t *testing.T) {
	for _, was := range []Stage{Gateway, Address, SNAT} {
		for _, to := range stages {
			s := from(was, to)
			for id := range s.net.Tables {
				s.net.remove(s.net.Tables[id].ID, nat)
			}
			s.net.Gateways, s.net.SNATEntries, s.net.Addresses = nil, nil, map[string]ElasticIP{}
			want := to == was || to.Index() == was.Index()-1
			if _, err := s.decide(); want != (err == nil) {
				t.Errorf("%s to %s with everything gone but the routes: accepted %v, error %v", was, to, want, err)
			}
		}
	}
}

func TestStagesKnowTheirOrder(t *testing.T) {
	for i, s := range Stages() {
		if parsed, err := ParseStage(string(s)); err != nil || parsed != s {
			t.Errorf("ParseStage(%q): %q, %v", s, parsed, err)
		}
		next, ok := s.Next()
		if last := i == len(stages)-1; ok == last || ok && next.Index() != i+1 {
			t.Errorf("%s: next is %q, %v", s, next, ok)
		}
		if s.Effect() == "" || s.Needs() == "" {
			t.Errorf("%s: does not say what it does and needs", s)
		}
	}
	_, err := ParseStage("Cover")
	if want := `"Cover" is not a stage (use one of adopt, cover, uncover, gateway, address, snat, switch, retire)`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	unknown := Stage("x")
	if _, ok := unknown.Next(); ok || unknown.Index() != -1 || unknown.Effect()+unknown.Needs() != "" {
		t.Error("a text that is no stage has a place, a successor or a meaning")
	}
}
