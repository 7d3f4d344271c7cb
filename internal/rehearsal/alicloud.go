package rehearsal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"polynat/internal/migration"
	"polynat/internal/route"
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
	// blind says why nothing can be said about the traffic, empty when it can; the next Losses report it.
	blind string
}

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
	w.blind = ""
	if w.traffic.Pairs() == 0 {
		w.blind = "nothing reaches the Internet before the first step, so there is nothing to lose"
	}
	for _, f := range w.cloud.Judge(w.vpc()) {
		// A vSwitch without a route may be meant to have none; one whose route leads nowhere is not.
		if f.Kind != route.NoNextHop {
			w.blind = "before the first step, traffic is lost already: " + f.String()
		}
	}
}

// nameRoutes is the way out where a refresh has found that an adopted route has no name, which the provider refuses (decision 0003):
// their owner names all that have none, in the console.
func nameRoutes(w World, refused error) string {
	if !strings.Contains(refused.Error(), "expected length of name") {
		return ""
	}
	cloud := w.(*alicloudWorld).cloud
	for _, v := range cloud.VPCs() {
		for _, t := range cloud.RouteTables(v.ID) {
			for _, e := range t.Entries {
				if e.Type == alicloud.Custom && e.Name == "" {
					// It exists, and the name is one.
					_ = cloud.ModifyRouteEntry(t.ID, e.CIDR, "egress")
				}
			}
		}
	}
	return "routes without a name were named in the console (docs/migration-alicloud.md#refresh)"
}

// End stops watching: a whole network that goes takes its hosts along.
func (w *alicloudWorld) End() { w.cloud.OnChange = nil }

func (w *alicloudWorld) Losses() Losses {
	total := w.traffic.Total()
	hijacked := total.Hijacked - w.seen.Hijacked
	l := Losses{Holes: total.Holes - w.seen.Holes, Lost: total.Lost - w.seen.Lost + hijacked, Cut: total.Cut - w.seen.Cut}
	l.Problems = name(total.Problems[len(w.seen.Problems):])
	w.seen = total
	if w.blind != "" {
		l.Lost++
		l.Problems = append([]string{w.blind}, l.Problems...)
		w.blind = ""
	}
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
	l := Losses{Holes: sample.Holes, Lost: sample.Lost + sample.Hijacked}
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

// AlicloudSetup is the walk of the setup polynat:alicloud in an empty simulated cloud: from nothing through all stages and
// back. ok is false when the configuration has no migration to rehearse.
func AlicloudSetup(config map[string]string) (setup Setup, ok bool, err error) {
	block, err := readAlicloud(config)
	if err != nil || block["migration"] == nil {
		return Setup{}, false, err
	}
	if block["network"] == nil {
		return Setup{}, false, errors.New("alicloud.migration.vpcId: the simulated cloud does not know this network (deploy stage adopt, which changes nothing, then give `pulumi stack export` with --from-export)")
	}
	deploy := Move{Name: "deploy", Begins: true, Configure: func(c map[string]string) error {
		return edit(c, func(b alicloudConfig) { delete(b, "migration") })
	}}
	return alicloudWalks(config, block["migration"], -1, []Move{deploy}, nil, nil), true, nil
}

// alicloudWalks are the walk in the cloud that the vendor describes, and those in clouds that behave otherwise where its
// documentation is silent. saved is the state of the cloud to begin in, nil for an empty one; zones are those with enhanced NAT, nil for all.
func alicloudWalks(config map[string]string, migrationBlock any, from int, first []Move, saved []byte, zones []string) Setup {
	declares := declaresSystemRoute(migrationBlock)
	walk := func(o alicloud.Options, declare func(migration.Stage) bool) (World, []Move) {
		o.Zones, o.EnhancedNATZones = zonesOf(cmp.Or(config["alicloud:region"], "cn-hangzhou"), nil), zones
		cloud := alicloud.New(o)
		world := &alicloudWorld{cloud: cloud}
		if saved != nil {
			// What Save has written, Load reads.
			_ = cloud.Load(saved)
			cloud.Settle()
			world.Watch()
		}
		return world, append(slices.Clone(first), alicloudMoves(migrationBlock, from, declare)...)
	}
	setup := Setup{Name: "alicloud", Key: alicloudKey, Terms: Terms{
		Step: "stage", Holes: Term{"no next\nhop", "destinations of a vSwitch without a next hop, looked for after every operation"},
		Lost: Term{"lost", "new connections that did not get out"}, Cut: established,
	}}
	described := alicloud.Options{}
	if declares {
		// Whoever declares the route says that the cloud does not make it.
		described.AutomaticRoute = alicloud.RouteNever
	}
	setup.World, setup.Moves = walk(described, func(migration.Stage) bool { return declares })
	for _, v := range []struct {
		name    string
		options alicloud.Options
		declare func(migration.Stage) bool
	}{
		{
			"makes no default route with a gateway (declareSystemRoute is set)",
			alicloud.Options{AutomaticRoute: alicloud.RouteNever, CreateNATWithDefault: alicloud.NATRefused},
			func(migration.Stage) bool { return true },
		},
		{
			"keeps a gateway that a route leads to (declareSystemRoute is set from stage address on)",
			alicloud.Options{DeleteNAT: alicloud.DeleteRefused, AutomaticRoute: described.AutomaticRoute},
			func(s migration.Stage) bool { return s != migration.Gateway || declares },
		},
	} {
		variant := Variant{Name: v.name}
		variant.World, variant.Moves = walk(v.options, v.declare)
		setup.Variants = append(setup.Variants, variant)
	}
	return setup
}

func declaresSystemRoute(migrationBlock any) bool {
	m, _ := migrationBlock.(map[string]any)
	gateway, _ := m["natGateway"].(map[string]any)
	declares, _ := gateway["declareSystemRoute"].(bool)
	return declares
}

// alicloudMoves leads from the stage of index from (-1 for none) forward to the last, and back to the first.
func alicloudMoves(block any, from int, declare func(migration.Stage) bool) []Move {
	stages := migration.Stages()
	var moves []Move
	back := false
	to := func(name string, stage migration.Stage, cuts, slice bool) {
		declared := declare(stage) || back && declare(migration.Address)
		moves = append(moves, Move{Name: name, Cuts: cuts, Configure: func(c map[string]string) error {
			var m map[string]any
			if err := remarshal(block, &m); err != nil {
				return err
			}
			return edit(c, func(b alicloudConfig) {
				b["migration"] = m
				m["stage"] = string(stage)
				if !slice {
					delete(m, "release")
				}
				// The simulated cloud changes when it is told to, so a gate that is shut stays shut: waiting would only hold up.
				m["gateTimeoutSeconds"] = 0
				if gateway, ok := m["natGateway"].(map[string]any); ok {
					gateway["declareSystemRoute"] = declared
				}
			})
		}})
	}
	m, _ := block.(map[string]any)
	sliced := m["release"] != nil
	for _, s := range stages[from+1:] {
		if s == migration.Switch && sliced {
			to("switch, the slices of release", s, true, true)
		}
		to(string(s), s, s == migration.Switch, false)
		if s == stages[0] || s == stages[len(stages)-1] {
			moves = append(moves, Move{Name: string(s) + " again", Still: true, WayOut: nameRoutes})
		}
	}
	if sliced && from == migration.Switch.Index() {
		// The deployed stack may stand between the slices: first the rest, then on.
		rest := moves
		moves = nil
		to("switch, the rest", migration.Switch, true, false)
		moves = append(moves, rest...)
	}
	back = true
	for i := len(stages) - 2; i >= 0; i-- {
		to("back to "+string(stages[i]), stages[i], stages[i] == migration.SNAT, false)
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
