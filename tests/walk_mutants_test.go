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

// mutants are mistakes that the program or the engine might have, and what the walks then say. A property test that
// cannot fail proves nothing.
var mutants = []struct {
	name   string
	mutant mutant
	says   string
}{
	{
		"a vSwitch loses its SNAT entry at the switch",
		mutant{amend: func(p *migration.Plan) {
			if p.Stage == migration.Switch && len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"lost: ",
	},
	{
		"a vSwitch never gets an SNAT entry, and no gate asks",
		mutant{ungated: true, bypass: true, amend: func(p *migration.Plan) {
			if len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"stage snat is recorded, but there is no SNAT entry",
	},
	{
		"a vSwitch never gets an SNAT entry",
		mutant{amend: func(p *migration.Plan) {
			if len(p.SNAT) > 0 {
				p.SNAT = p.SNAT[1:]
			}
		}},
		"cannot be reached",
	},
	{
		"the default route goes before all blocks are there",
		mutant{amend: func(p *migration.Plan) {
			if p.Stage == migration.Cover || p.Stage == migration.Uncover {
				eachTable(p, func(r migration.RoutePlan) bool { return r.CIDR == route.Blocks()[3] || r.CIDR == route.Default() })
			}
		}, ungated: true},
		"lost: ",
	},
	{
		"deletions come before creations",
		mutant{deleteFirst: true},
		"is recorded, but there is no",
	},
	{
		"the switch drops the default route to the gateway, which is protected",
		mutant{amend: dropDefaultAtSwitch},
		"cannot be reached",
	},
	{
		"the switch drops the default route to the gateway, which is not protected",
		mutant{amend: dropDefaultAtSwitch, unprotected: true},
		"lost: ",
	},
	{
		"a stage is recorded although something has failed",
		mutant{careless: true, ungated: true},
		"is recorded, but there is no",
	},
	{
		"any stage may be skipped",
		mutant{bypass: true},
		"is illegal, and was done",
	},
	{
		"any stage may be skipped, and no gate asks",
		mutant{bypass: true, ungated: true, unruled: true},
		"lost: ",
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
				_, err := walkModel(m.mutant)(seed, newMoves(source(seed, forMoves)))
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
