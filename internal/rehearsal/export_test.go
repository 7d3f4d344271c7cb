package rehearsal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
	"polynat/internal/route"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/internal/sim/huaweicloud"
)

const key = "polynat:alicloud"

// handMade is a network as a console would have made it: two tables, routes to a transit router and a VPN, an old gateway
// behind a network interface. It returns the migration block that migrates it.
func handMade(t *testing.T, cloud *alicloud.Cloud) map[string]any {
	t.Helper()
	must := func(id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	cidr := netip.MustParsePrefix
	vpc := must(cloud.AddVPC(alicloud.VPC{ID: "vpc-live", CIDR: cidr("10.0.0.0/16"), RouteTableID: "vtb-system"}))
	custom := must(cloud.AddTable(alicloud.RouteTable{ID: "vtb-custom", VPCID: vpc}))
	a := must(cloud.AddVSwitch(alicloud.VSwitch{VPCID: vpc, ZoneID: "cn-hangzhou-i", CIDR: cidr("10.0.0.0/24")}))
	must(cloud.AddVSwitch(alicloud.VSwitch{VPCID: vpc, ZoneID: "cn-hangzhou-j", CIDR: cidr("10.0.1.0/24"), RouteTableID: custom}))
	instance := must(cloud.AddInstance(alicloud.Instance{VPCID: vpc, VSwitchID: a, Forwards: true}))
	eni := must(cloud.AddENI(alicloud.Interface{VSwitchID: a, InstanceID: instance}))
	must(cloud.AddEIP(alicloud.EIP{Bandwidth: "50", InstanceID: eni, InstanceType: "NetworkInterface"}))
	for _, table := range []string{"vtb-system", custom} {
		for _, e := range []alicloud.RouteEntry{
			{CIDR: cidr("0.0.0.0/0"), HopType: alicloud.HopNetworkInterface, HopID: eni},
			{CIDR: cidr("172.16.0.0/12"), HopType: "Attachment", HopID: "tr-attach-1"},
		} {
			if err := cloud.AddRoute(table, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return map[string]any{
		"vpcId":              vpc,
		"oldNextHop":         map[string]any{"type": "NetworkInterface", "id": eni, "instances": []any{instance}},
		"natGateway":         map[string]any{"vswitch": a},
		"addresses":          map[string]any{"main": map[string]any{"bandwidth": 50}},
		"gateTimeoutSeconds": 0,
	}
}

// deployed moves a stack through the stages and returns what `pulumi stack export` would print.
func deployed(t *testing.T, cloud *alicloud.Cloud, config map[string]string, set func(stage migration.Stage), stages ...migration.Stage) []byte {
	t.Helper()
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: "prod", Program: rehearsal.Polynat(nil),
		Providers: map[string]pulumirpc.ResourceProviderServer{
			"alicloud":    sim.NewServer(alicloud.Schema(), cloud),
			"huaweicloud": sim.NewServer(huaweicloud.Schema(), huaweicloud.New(huaweicloud.Options{})),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	for _, s := range stages {
		set(s)
		for k, v := range config {
			if err := stack.SetConfig(k, v); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := stack.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := stack.Export()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAnExportedStackIsRehearsedFromWhereItStands(t *testing.T) {
	stages := migration.Stages()
	for n := 1; n <= len(stages); n++ {
		last, steps := stages[n-1], len(stages)-n+len(stages)-1
		if n < len(stages) {
			steps++ // the last stage again
		}
		t.Run("existing network at "+string(last), func(t *testing.T) {
			cloud := alicloud.New(alicloud.Options{})
			block := map[string]any{"migration": handMade(t, cloud)}
			config := map[string]string{"alicloud:region": "cn-hangzhou"}
			export := deployed(t, cloud, config, func(s migration.Stage) {
				block["migration"].(map[string]any)["stage"] = string(s)
				text, err := json.Marshal(block)
				if err != nil {
					t.Fatal(err)
				}
				config[key] = string(text)
			}, stages[:n]...)
			rehearseExport(t, config, export, steps)
		})
		t.Run("network of its own at "+string(last), func(t *testing.T) {
			_, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
			if err != nil {
				t.Fatal(err)
			}
			delete(config, "polynat:aws") // its programs would have to be built
			export := deployed(t, alicloud.New(alicloud.Options{}), config, func(s migration.Stage) {
				var block map[string]map[string]any
				if err := json.Unmarshal([]byte(config[key]), &block); err != nil {
					t.Fatal(err)
				}
				block["migration"]["stage"] = string(s)
				text, err := json.Marshal(block)
				if err != nil {
					t.Fatal(err)
				}
				config[key] = string(text)
			}, stages[:n]...)
			rehearseExport(t, config, export, steps)
		})
	}
}

func rehearseExport(t *testing.T, config map[string]string, export []byte, steps int) {
	t.Helper()
	t.Parallel()
	setup, ok, err := rehearsal.AlicloudFromExport(config, "polynat", "prod", export)
	if err != nil || !ok {
		t.Fatalf("ok %v, error %v", ok, err)
	}
	if lost := setup.World.Losses(); lost.Holes+lost.Lost > 0 {
		t.Fatalf("the seeded network loses traffic before it begins: %v", lost)
	}
	if steps%3 > 0 {
		setup.Variants = nil // those of every third walk will do
	}
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: "polynat", Stack: "prod", Config: config, Program: rehearsal.Polynat}, setup)
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Setups[0]; !r.OK || len(r.Steps) != steps {
		t.Errorf("ok %v, %d steps, want %d: %+v", r.OK, len(r.Steps), steps, r.Steps)
	}
}

func TestBackingOutAtAdoptLeavesAnExistingNetworkAsItWasFound(t *testing.T) {
	for name, backOut := range map[string]func(*engine.Stack) error{
		"destroy": func(s *engine.Stack) error { _, err := s.Destroy(t.Context()); return err },
		"block taken out": func(s *engine.Stack) error {
			if err := s.SetConfig(key, "{}"); err != nil {
				return err
			}
			_, err := s.Up(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := alicloud.New(alicloud.Options{})
			m := handMade(t, cloud)
			server := sim.NewServer(alicloud.Schema(), cloud)
			stack, err := engine.New(engine.Options{
				Project: "polynat", Stack: "prod", Program: rehearsal.Polynat(nil), Config: map[string]string{"alicloud:region": "cn-hangzhou"},
				Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": server},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stack.Close()
			// There and back once, so that the entry is one that the stack has made itself.
			for _, stage := range []string{"adopt", "cover", "uncover", "cover", "adopt"} {
				m["stage"] = stage
				text, err := json.Marshal(map[string]any{"migration": m})
				if err != nil {
					t.Fatal(err)
				}
				if err := stack.SetConfig(key, string(text)); err != nil {
					t.Fatal(err)
				}
				if _, err := stack.Up(t.Context()); err != nil {
					t.Fatalf("stage %s: %v", stage, err)
				}
			}
			before := len(server.Operations())
			if err := backOut(stack); err != nil {
				t.Fatal(err)
			}
			for _, op := range server.Operations()[before:] {
				if op.Kind.Changes() {
					t.Errorf("%s %s", op.Kind, op.Name)
				}
			}
			if lost := cloud.Judge("vpc-live"); len(lost) > 0 {
				t.Error(lost)
			}
		})
	}
}

func TestDestroyingTheStackLeavesTheRoutesThatCarryAnExistingNetworkWhereTheNextStepDoesNotDeleteThem(t *testing.T) {
	stages := migration.Stages()
	for n, stage := range stages[:5] {
		if stage == migration.Cover {
			continue // back to adopt deletes the blocks, on to uncover the default route: both must be deletable
		}
		t.Run(string(stage), func(t *testing.T) {
			cloud := alicloud.New(alicloud.Options{})
			block := map[string]any{"migration": handMade(t, cloud)}
			config := map[string]string{"alicloud:region": "cn-hangzhou"}
			export := deployed(t, cloud, config, func(s migration.Stage) {
				block["migration"].(map[string]any)["stage"] = string(s)
				text, err := json.Marshal(block)
				if err != nil {
					t.Fatal(err)
				}
				config[key] = string(text)
			}, stages[:n+1]...)
			stack, err := engine.New(engine.Options{
				Project: "polynat", Stack: "prod", Config: config, Program: rehearsal.Polynat(nil),
				Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": sim.NewServer(alicloud.Schema(), cloud)},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stack.Close()
			if err := stack.Import(export); err != nil {
				t.Fatal(err)
			}
			traffic := alicloud.NewTraffic(cloud, "vpc-live")
			cloud.OnChange = func() { traffic.Observe() }
			if _, err := stack.Destroy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if total := traffic.Total(); total.Holes+total.Lost+total.Cut > 0 {
				t.Errorf("%d holes, %d connections lost, %d cut", total.Holes, total.Lost, total.Cut)
			}
			if left := len(stack.URNs()); left > 0 {
				t.Errorf("%d resources are left in the state", left)
			}
		})
	}
}

// live is a deployed stack over a hand-made network, with its traffic watched.
type live struct {
	t       *testing.T
	cloud   *alicloud.Cloud
	server  *sim.Server
	stack   *engine.Stack
	block   map[string]any // the migration block
	traffic *alicloud.Traffic
	said    string // by the last update
}

func newLive(t *testing.T, change func(map[string]any)) *live {
	t.Helper()
	return newLiveIn(t, alicloud.Options{}, change)
}

func newLiveIn(t *testing.T, options alicloud.Options, change func(map[string]any)) *live {
	t.Helper()
	l := &live{t: t, cloud: alicloud.New(options)}
	l.block = handMade(t, l.cloud)
	if change != nil {
		change(l.block)
	}
	l.server = sim.NewServer(alicloud.Schema(), l.cloud)
	var err error
	l.stack, err = engine.New(engine.Options{
		Project: "polynat", Stack: "prod", Program: rehearsal.Polynat(nil), Config: map[string]string{"alicloud:region": "cn-hangzhou"},
		Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": l.server},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.stack.Close)
	l.traffic = alicloud.NewTraffic(l.cloud, "vpc-live")
	l.cloud.OnChange = func() { l.traffic.Observe() }
	return l
}

// up sets the stage and updates.
func (l *live) up(stage migration.Stage) error {
	l.t.Helper()
	l.block["stage"] = string(stage)
	text, err := json.Marshal(map[string]any{"migration": l.block})
	if err == nil {
		err = l.stack.SetConfig(key, string(text))
	}
	if err != nil {
		l.t.Fatal(err)
	}
	result, err := l.stack.Up(l.t.Context())
	l.said = strings.Join(result.Diagnostics, "\n")
	return err
}

// again updates without a change, and returns what became of the resources.
func (l *live) again() map[string]int {
	l.t.Helper()
	result, err := l.stack.Up(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return result.Changes
}

// to goes forward to a stage.
func (l *live) to(stage migration.Stage) *live {
	l.t.Helper()
	for _, s := range migration.Stages()[:stage.Index()+1] {
		if err := l.up(s); err != nil {
			l.t.Fatalf("stage %s: %v", s, err)
		}
	}
	return l
}

// failAt makes the n-th operation of the given kind fail from now on.
func (l *live) failAt(kind sim.Kind, n int) {
	seen := 0
	l.server.Fault = func(op sim.Operation) sim.Verdict {
		if op.Kind == kind {
			if seen++; seen == n {
				return sim.FailBefore
			}
		}
		return sim.Proceed
	}
}

// unharmed fails the test when traffic was lost.
func (l *live) unharmed() {
	l.t.Helper()
	if total := l.traffic.Total(); total.Holes+total.Lost > 0 {
		l.t.Errorf("%d holes, %d connections lost: %v", total.Holes, total.Lost, total.Problems[0])
	}
}

func TestAfterAFailedCoverBackingOutStillLeavesTheDefaultRoutes(t *testing.T) {
	for name, backOut := range map[string]func(*live) error{
		"destroy": func(l *live) error { _, err := l.stack.Destroy(t.Context()); return err },
		"block taken out": func(l *live) error {
			if err := l.stack.SetConfig(key, "{}"); err != nil {
				return err
			}
			_, err := l.stack.Up(t.Context())
			return err
		},
		"a table left out": func(l *live) error {
			l.block["routeTables"] = []any{"vtb-system"}
			return l.up(migration.Adopt)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLive(t, nil).to(migration.Adopt)
			l.failAt(sim.Create, 12)
			if err := l.up(migration.Cover); err == nil {
				t.Fatal("the fault did not hit")
			}
			l.server.Fault = nil
			if err := backOut(l); err != nil {
				t.Fatal(err)
			}
			l.unharmed()
		})
	}
}

func TestAnUpdateThatWouldTakeItsOwnObjectsOverUnderANewNameIsRefused(t *testing.T) {
	forwards := func(name string) map[string]any {
		return map[string]any{name: map[string]any{"address": "inbound", "externalPort": "443", "internalIp": "10.0.0.9", "internalPort": "8443", "protocol": "tcp"}}
	}
	l := newLive(t, func(block map[string]any) {
		block["addresses"].(map[string]any)["inbound"] = map[string]any{"bandwidth": 10}
		block["forwards"] = forwards("web")
	}).to(migration.SNAT)
	l.block["forwards"] = forwards("https")
	err := l.up(migration.Switch)
	if err == nil || !strings.Contains(err.Error(), "forwards.https: alicloud-migration-forward-https: this stack holds it under the name alicloud-migration-forward-web") {
		t.Errorf("error %v", err)
	}
	l.block["forwards"] = forwards("web")
	if err := l.up(migration.Switch); err != nil {
		t.Error(err)
	}
	l.unharmed()
}

// The provider repeats creations that were done: the stack knows the second gateway and the second address of each name. The
// automatic route is the first gateway's.
func TestOfTwoGatewaysAndAddressesOfOneNameTheOneThatNobodyKnowsIsNamed(t *testing.T) {
	l := newLiveIn(t, alicloud.Options{MadeTwice: true}, nil).to(migration.Uncover)
	refused := func(stage migration.Stage, says ...string) {
		t.Helper()
		err := l.up(stage)
		if err == nil {
			t.Fatalf("%s is not refused", stage)
		}
		for _, text := range says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v\nlacks %s", stage, err, text)
			}
		}
		if n := strings.Count(err.Error(), "\n  - "); n > 1 || strings.Contains(err.Error(), "refresh") {
			t.Errorf("%s: %d reasons: %v", stage, n, err)
		}
	}
	console := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused(migration.Gateway, "2 NAT gateways of VPC vpc-live have this name", "ngw-000001", "ngw-000002")
	refused(migration.Gateway, "ngw-000001 (0.0.0.0/0 of vtb-system)", "ngw-000002 (in this stack's state",
		"(delete ngw-000001, with 0.0.0.0/0 of vtb-system: the blocks carry its traffic)")
	console(l.cloud.DeleteNATGateway("ngw-000001", false))
	refused(migration.Gateway, "set natGateway.declareSystemRoute to true")
	l.block["natGateway"].(map[string]any)["declareSystemRoute"] = true
	console(l.up(migration.Gateway))

	refused(migration.Address, "addresses.main", "2 elastic IPs have this name: eip-000002", "eip-000003")
	refused(migration.Address, "eip-000002 (nothing uses it), eip-000003 (in this stack's state, bound to ngw-000002)",
		"(give eip-000002 another name, or delete it if nothing uses it)")
	console(l.cloud.ModifyEIP("eip-000002", func(e *alicloud.EIP) { e.Name = "spare" }))
	for _, s := range []migration.Stage{migration.Address, migration.SNAT, migration.Switch} {
		console(l.up(s))
	}
	l.unharmed()
}

// Whoever is told to refresh is told first which routes have no name: with them, a refresh locks the stack.
func TestTheAdviceToRefreshNamesTheRoutesThatMustHaveANameBefore(t *testing.T) {
	for _, obeys := range []bool{false, true} {
		l := newLive(t, nil).to(migration.Cover)
		eni := l.block["oldNextHop"].(map[string]any)["id"].(string)
		if err := l.cloud.DeleteRouteEntry("vtb-custom", route.Blocks()[3], eni); err != nil { // in the console
			t.Fatal(err)
		}
		if err := l.up(migration.Cover); err == nil || !strings.Contains(err.Error(), "name the routes that a warning lists, run `pulumi refresh`") {
			t.Errorf("error %v", err)
		}
		if !strings.Contains(l.said, "warning: 0.0.0.0/0 of vtb-custom, 0.0.0.0/0 of vtb-system: without a name in the cloud") {
			t.Errorf("said: %s", l.said)
		}
		if err := l.up(migration.Uncover); err == nil || !strings.Contains(l.said, "without a name in the cloud") {
			t.Errorf("a refusal, error %v, said: %s", err, l.said)
		}
		for _, table := range []string{"vtb-custom", "vtb-system"} {
			if !obeys {
				break
			}
			if err := l.cloud.ModifyRouteEntry(table, netip.MustParsePrefix("0.0.0.0/0"), "by hand"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.stack.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.up(migration.Cover); (err == nil) != obeys {
			t.Errorf("obeys: %v, error %v", obeys, err)
		}
	}
}

func TestAStageThatIsRepeatedIsHeldByItsGate(t *testing.T) {
	l := newLive(t, nil).to(migration.SNAT)
	l.failAt(sim.Delete, 3)
	if err := l.up(migration.Switch); err == nil {
		t.Fatal("the fault did not hit")
	}
	l.server.Fault = nil
	gateway := l.cloud.NATGateways("vpc-live")[0]
	l.cloud.OnChange = nil // somebody deletes an entry in the console: its hosts lose what has moved already
	if err := l.cloud.DeleteSNATEntry(l.cloud.SNATEntries(gateway.SNATTableID)[0].ID); err != nil {
		t.Fatal(err)
	}
	before := len(l.server.Operations())
	if err := l.up(migration.Switch); err == nil || !strings.Contains(err.Error(), "has no SNAT entry") {
		t.Errorf("error %v", err)
	}
	for _, op := range l.server.Operations()[before:] {
		if op.Kind == sim.Delete {
			t.Errorf("%s was deleted", op.Name)
		}
	}
	if err := l.up(migration.SNAT); err != nil && !strings.Contains(err.Error(), "pulumi refresh") {
		t.Errorf("back to the old gateway: %v", err)
	}
}

func TestASecondUpdateAtAnyStageOrSliceChangesNothing(t *testing.T) {
	l := newLive(t, nil)
	step := func(name string, stage migration.Stage) {
		t.Helper()
		if err := l.up(stage); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if changes := l.again(); len(changes) != 1 || changes["same"] == 0 {
			t.Errorf("%s again: %v", name, changes)
		}
	}
	for _, s := range migration.Stages() {
		if s == migration.Switch {
			for n := range len(route.Blocks()) {
				var slice []any
				for _, block := range route.Blocks()[:n+1] {
					slice = append(slice, block.String())
				}
				l.block["release"] = slice
				step(fmt.Sprintf("slice %d", n+1), s)
			}
			delete(l.block, "release")
		}
		step(string(s), s)
	}
	for _, s := range slices.Backward(migration.Stages()[:len(migration.Stages())-1]) {
		step("back to "+string(s), s)
	}
}

// The hook of the gate runs when the marker is written.
func TestTheGateOfAStageIsAskedEachTimeAsLongAsSomethingIsUndone(t *testing.T) {
	l := newLive(t, nil).to(migration.SNAT)
	for range 2 {
		// One deletion fails: where two do at once, the engine writes one of its own fields twice without a lock.
		var failed atomic.Bool
		l.server.Fault = func(op sim.Operation) sim.Verdict {
			if op.Kind == sim.Delete && failed.CompareAndSwap(false, true) {
				return sim.FailBefore
			}
			return sim.Proceed
		}
		if err := l.up(migration.Switch); err == nil {
			t.Fatal("the fault did not hit")
		}
	}
	l.server.Fault = nil
	if changes := l.again(); changes["update"] != 1 || changes["delete"] == 0 {
		t.Errorf("the third attempt: %v, want the marker updated and routes deleted", changes)
	}
}

func TestAnAddressOfAnotherStackIsNotTakenOver(t *testing.T) {
	l := newLive(t, nil).to(migration.Gateway)
	other, err := l.cloud.AddNATGateway(alicloud.NATGateway{ID: "ngw-other", VPCID: "vpc-live", NetworkType: "intranet", VSwitchID: l.block["natGateway"].(map[string]any)["vswitch"].(string)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.cloud.AddEIP(alicloud.EIP{Name: "polynat-prod-main", Bandwidth: "50", InstanceID: other}); err != nil {
		t.Fatal(err)
	}
	if err := l.up(migration.Address); err == nil || !strings.Contains(err.Error(), "an elastic IP of the name that this one would have is bound to ngw-other") {
		t.Errorf("error %v", err)
	}
}

func TestABandwidthPackageOfSomebodyElseIsNotTakenOver(t *testing.T) {
	l := newLive(t, func(block map[string]any) { block["bandwidthPackage"] = map[string]any{"bandwidth": 100} }).to(migration.Address)
	pkg, err := l.cloud.CreateBandwidthPackage(alicloud.BandwidthPackage{Name: "company", Bandwidth: "1000"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.cloud.EIPs() {
		if e.BandwidthPackageID != "" {
			if err := l.cloud.RemoveFromBandwidthPackage(e.BandwidthPackageID, e.ID); err != nil {
				t.Fatal(err)
			}
			if err := l.cloud.AddToBandwidthPackage(pkg, e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.up(migration.Address); err == nil || !strings.Contains(err.Error(), "is in bandwidth package "+pkg+", which is not this stack's") {
		t.Errorf("error %v", err)
	}
}

func TestARehearsalThatSeesNoTrafficDoesNotSayThatNoneWasLost(t *testing.T) {
	cloud := alicloud.New(alicloud.Options{})
	block := map[string]any{"migration": handMade(t, cloud)}
	config := map[string]string{"alicloud:region": "cn-hangzhou"}
	export := deployed(t, cloud, config, func(s migration.Stage) {
		block["migration"].(map[string]any)["stage"] = string(s)
		text, err := json.Marshal(block)
		if err != nil {
			t.Fatal(err)
		}
		config[key] = string(text)
	}, migration.Adopt)
	// The old gateway's public address is what lookups missed, so nothing gets out in the simulation.
	blind := regexp.MustCompile(`"addresses":\s*\[\s*"[0-9.]+"\s*\]`).ReplaceAll(export, []byte(`"addresses": []`))
	if string(blind) == string(export) {
		t.Fatalf("the export holds no address of the old gateway:\n%s", export)
	}
	setup, _, err := rehearsal.AlicloudFromExport(config, "polynat", "prod", blind)
	if err != nil {
		t.Fatal(err)
	}
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: "polynat", Stack: "prod", Config: config, Program: rehearsal.Polynat}, setup)
	if err != nil {
		t.Fatal(err)
	}
	first := report.Setups[0].Steps[0]
	if report.OK || report.Err() == nil || !strings.Contains(strings.Join(first.Problems, "\n"), "before the first step") {
		t.Errorf("ok %v, error %v, step %+v", report.OK, report.Err(), first)
	}
}

func TestAnExportThatSaysTooLittleIsRefused(t *testing.T) {
	config := map[string]string{key: `{"migration": {"stage": "adopt"}}`}
	for name, c := range map[string]struct{ export, says string }{
		"no JSON":         {"not JSON", "read the export"},
		"another stack":   {`{"deployment": {"resources": [{"urn": "urn:pulumi:other::polynat::pulumi:pulumi:Stack::x", "type": "pulumi:pulumi:Stack"}]}}`, "--stack"},
		"nothing adopted": {`{"deployment": {"resources": []}}`, "at stage adopt first"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := rehearsal.AlicloudFromExport(config, "polynat", "prod", []byte(c.export))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}
