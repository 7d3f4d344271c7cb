package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"polynat/internal/migration"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// alicloudKey is the configuration key of the setup.
const alicloudKey = "polynat:alicloud"

// alicloudWorld is the simulated Alibaba Cloud with the traffic of its VPC.
type alicloudWorld struct {
	cloud   *alicloud.Cloud
	traffic *alicloud.Traffic
	seen    alicloud.Sample
}

// NewAlicloudWorld puts traffic through a simulated cloud, which must not change until it is watched.
func NewAlicloudWorld(cloud *alicloud.Cloud) World { return &alicloudWorld{cloud: cloud} }

func (w *alicloudWorld) Package() string { return "alicloud" }

func (w *alicloudWorld) Provider() *sim.Server { return sim.NewServer(alicloud.Schema(), w.cloud) }

func (w *alicloudWorld) Clone() World {
	c := &alicloudWorld{cloud: w.cloud.Clone()}
	if w.traffic != nil {
		c.Watch()
	}
	return c
}

func (w *alicloudWorld) vpc() string {
	if vpcs := w.cloud.VPCs(); len(vpcs) > 0 {
		return vpcs[0].ID
	}
	return ""
}

func (w *alicloudWorld) Watch() {
	w.traffic = alicloud.NewTraffic(w.cloud, w.vpc())
	w.cloud.OnChange = func() { w.traffic.Observe() }
	w.seen = alicloud.Sample{}
}

func (w *alicloudWorld) Losses() Losses {
	total := w.traffic.Total()
	l := Losses{Holes: total.Holes - w.seen.Holes, Lost: total.Lost - w.seen.Lost, Cut: total.Cut - w.seen.Cut}
	l.Problems = name(total.Problems[len(w.seen.Problems):])
	w.seen = total
	return l
}

// maxProblems is how many places a report names; the others are counted.
const maxProblems = 8

// name says where things went wrong, the worst kind first and each place once.
func name(problems []alicloud.Problem) []string {
	var texts []string
	for _, what := range []string{alicloud.ProblemHole, alicloud.ProblemHijacked, alicloud.ProblemLost, alicloud.ProblemCut} {
		for _, p := range problems {
			if text := p.String(); p.What == what && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	if more := len(texts) - maxProblems; more > 0 {
		texts = append(texts[:maxProblems], fmt.Sprintf("and %d more places", more))
	}
	return texts
}

// Deprive deletes what the operations delete, on the cloud as it was before them.
func (w *alicloudWorld) Deprive(ops []sim.Operation) Losses {
	w.cloud.OnChange = nil
	deleted := false
	for _, op := range ops {
		if op.Kind == sim.Delete {
			// A deletion that is refused without its creations deletes nothing, which is as safe as it gets.
			err := w.cloud.Delete(context.Background(), sim.Request{URN: op.URN, Type: op.Type, ID: op.ID, Old: op.Inputs, Inputs: op.Inputs})
			deleted = deleted || err == nil
		}
	}
	if !deleted || w.traffic == nil {
		return Losses{}
	}
	sample := w.traffic.Observe()
	l := Losses{Holes: sample.Holes, Lost: sample.Lost}
	// A connection that is cut when it moves is no loss of this question.
	l.Problems = name(slices.DeleteFunc(sample.Problems, func(p alicloud.Problem) bool { return p.What == alicloud.ProblemCut }))
	return l
}

// alicloudConfig is as much of the block as a walk needs.
type alicloudConfig map[string]any

func readAlicloud(config map[string]string) (alicloudConfig, error) {
	var block alicloudConfig
	text, ok := config[alicloudKey]
	if !ok {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &block); err != nil {
		return nil, fmt.Errorf("%s: %w", alicloudKey, err)
	}
	return block, nil
}

// AlicloudSetup is the walk of the setup polynat:alicloud: from nothing through all stages and back. ok is false when the
// configuration has no migration to rehearse.
func AlicloudSetup(config map[string]string, world World) (setup Setup, ok bool, err error) {
	block, err := readAlicloud(config)
	if err != nil || block["migration"] == nil {
		return Setup{}, false, err
	}
	if block["network"] == nil {
		return Setup{}, false, errors.New("alicloud.migration.vpcId: the simulated cloud does not know this network (deploy stage adopt, which changes nothing, then give `pulumi stack export` with --from-export)")
	}
	moves := []Move{{Name: "deploy", Begins: true, Configure: func(c map[string]string) error {
		return edit(c, func(b alicloudConfig) { delete(b, "migration") })
	}}}
	moves = append(moves, alicloudMoves(block["migration"], -1)...)
	return Setup{Name: "alicloud", World: world, Moves: moves}, true, nil
}

// alicloudMoves leads from the stage of index from (-1 for none) forward to the last, and back to the first.
func alicloudMoves(block any, from int) []Move {
	stages := migration.Stages()
	var moves []Move
	to := func(name string, stage migration.Stage, cuts bool) {
		moves = append(moves, Move{Name: name, Cuts: cuts, Configure: func(c map[string]string) error {
			return edit(c, func(b alicloudConfig) {
				if b["migration"] == nil {
					b["migration"] = block
				}
				m := b["migration"].(map[string]any)
				m["stage"] = string(stage)
				// The simulated cloud changes when it is told to, so a gate that is shut stays shut: waiting would only hold up.
				m["gateTimeoutSeconds"] = 0
			})
		}})
	}
	for _, s := range stages[from+1:] {
		to(string(s), s, s == migration.Switch)
	}
	for i := len(stages) - 2; i >= 0; i-- {
		to("back to "+string(stages[i]), stages[i], stages[i] == migration.SNAT)
	}
	return moves
}

func edit(config map[string]string, change func(alicloudConfig)) error {
	block, err := readAlicloud(config)
	if err != nil {
		return err
	}
	change(block)
	text, err := json.Marshal(block)
	config[alicloudKey] = string(text)
	return err
}
