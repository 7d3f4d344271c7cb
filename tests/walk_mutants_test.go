package tests

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// withoutUncover skips the stage that makes room for the default route to the gateway.
var withoutUncover = []move{
	{stage: "adopt"}, {stage: "cover"}, {stage: "gateway"}, {stage: "address"}, {stage: "snat"}, {stage: "switch"},
}

// mutants are mistakes that the program or the engine might have, and what the walks then say. A property test that
// cannot fail proves nothing.
var mutants = []struct {
	name   string
	mutant mutant
	says   string
	moves  []move // random ones when there are none
}{
	{
		"a vSwitch loses its SNAT entry at the switch",
		mutant{amend: func(p *migration.Plan) {
			if p.Stage == migration.Switch && len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"lost: ", nil,
	},
	{
		"a vSwitch never gets an SNAT entry, and no gate asks",
		mutant{ungated: true, bypass: true, amend: func(p *migration.Plan) {
			if len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"stage snat is recorded, but there is no SNAT entry", nil,
	},
	{
		"a vSwitch never gets an SNAT entry",
		mutant{amend: func(p *migration.Plan) {
			if len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"cannot be reached", nil,
	},
	{
		"the default route goes before all blocks are there",
		mutant{amend: func(p *migration.Plan) {
			if p.Stage == migration.Cover || p.Stage == migration.Uncover {
				eachTable(p, func(r migration.RoutePlan) bool { return r.CIDR == route.Blocks()[3] || r.CIDR == route.Default() })
			}
		}, ungated: true},
		"lost: ", nil,
	},
	{
		"deletions come before creations",
		mutant{deleteFirst: true},
		"is recorded, but there is no", nil,
	},
	{
		"the switch drops the default route to the gateway, which is protected",
		mutant{amend: dropDefaultAtSwitch},
		"cannot be reached", nil,
	},
	{
		"the switch drops the default route to the gateway, which is not protected",
		mutant{amend: dropDefaultAtSwitch, unprotected: true},
		"lost: ", nil,
	},
	{
		"a stage is recorded although something has failed",
		mutant{careless: true, ungated: true},
		"is recorded, but there is no", nil,
	},
	{
		"any stage may be skipped",
		mutant{bypass: true},
		"was refused, and changed something", withoutUncover,
	},
	{
		"any stage may be skipped, and no gate asks",
		mutant{bypass: true, ungated: true, unruled: true},
		"lost: ", withoutUncover,
	},
}

func dropDefaultAtSwitch(p *migration.Plan) {
	if p.Stage == migration.Switch {
		eachTable(p, func(r migration.RoutePlan) bool { return r.ToNAT })
	}
}

// eachTable takes routes out of the plan.
func eachTable(p *migration.Plan, drop func(migration.RoutePlan) bool) {
	for i := range p.Tables {
		p.Tables[i].Routes = slices.DeleteFunc(p.Tables[i].Routes, drop)
	}
}

func TestWalksFindEveryMistakeThatIsPlanted(t *testing.T) {
	const walks = 300
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			var found []string
			for seed := *walkSeed; seed < *walkSeed+walks; seed++ {
				moves := m.moves
				if moves == nil {
					moves = newMoves(source(seed, forMoves))
				}
				_, err := walkModel(m.mutant)(seed, moves)
				if err == nil {
					continue
				}
				if strings.Contains(err.Error(), m.says) {
					t.Logf("found by walk %d: %v", seed-*walkSeed+1, err)
					return
				}
				found = append(found, err.Error())
			}
			t.Errorf("%d walks have not found it; they have found %q, want %q", walks, found[:min(len(found), 5)], m.says)
		})
	}
}

// The walks switch declareSystemRoute off at random; this is the moment in which that would be fatal.
func TestADeclaredDefaultRouteToTheGatewayMustStayDeclaredAtTheSwitch(t *testing.T) {
	options := alicloud.Options{AutomaticRoute: alicloud.RouteNever}
	seed := uint64(1)
	for !slices.Contains(newNetwork(source(seed, forNetwork), options, 1).tables, systemTable) {
		seed++
	}
	n := newNetwork(source(seed, forNetwork), options, 1)
	p := newPulumi(n, source(seed, forOrder))
	defer p.stack.Close()
	w := newWalker(n, p, false)
	w.settings.declare = true
	for _, stage := range migration.Stages()[:migration.Switch.Index()] {
		if err := w.move(string(stage), fault{}); err != nil {
			t.Fatal(err)
		}
	}
	w.settings.declare = false
	err := w.move(string(migration.Switch), fault{})
	if err == nil || errors.As(err, &errWalk{}) || !strings.Contains(err.Error(), "leave it true while the gateway is there") {
		t.Errorf("got %v, want a refusal that says to leave it true", err)
	}
}
