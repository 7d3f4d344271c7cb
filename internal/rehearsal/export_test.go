package rehearsal_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
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
		last := stages[n-1]
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
			rehearseExport(t, config, export, len(stages)-n+len(stages)-1)
		})
		t.Run("network of its own at "+string(last), func(t *testing.T) {
			_, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
			if err != nil {
				t.Fatal(err)
			}
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
			rehearseExport(t, config, export, len(stages)-n+len(stages)-1)
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
