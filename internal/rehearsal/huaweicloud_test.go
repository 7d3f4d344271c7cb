package rehearsal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
	sdk "polynat/sdks/huaweicloud"
)

const huaweicloudKey = "polynat:huaweicloud"

// rehearseHuaweicloud walks the dev environment, with another program and block if they are not nil.
func rehearseHuaweicloud(t *testing.T, mutate pulumi.ResourceTransformation, change func(block map[string]any)) (*rehearsal.Report, error) {
	t.Helper()
	project, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		var block map[string]any
		if err := json.Unmarshal([]byte(config[huaweicloudKey]), &block); err != nil {
			t.Fatal(err)
		}
		change(block)
		text, err := json.Marshal(block)
		if err != nil {
			t.Fatal(err)
		}
		config[huaweicloudKey] = string(text)
	}
	setup, ok, err := rehearsal.HuaweicloudSetup(config)
	if err != nil {
		return nil, err
	}
	if !ok {
		t.Fatal("there is nothing to rehearse")
	}
	return rehearsal.Run(t.Context(), rehearsal.Options{
		Project: project, Stack: "dev", Config: config, Faults: true,
		Program: func(keys []string) pulumi.RunFunc {
			return func(ctx *pulumi.Context) error {
				if mutate != nil {
					if err := ctx.RegisterStackTransformation(mutate); err != nil {
						return err
					}
				}
				return rehearsal.Polynat(keys)(ctx)
			}
		},
	}, setup)
}

func TestPrivateNATIsRehearsedFromItsMakingToItsEnd(t *testing.T) {
	report, err := rehearseHuaweicloud(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	setup := report.Setups[0]
	var names []string
	for _, s := range setup.Steps {
		names = append(names, s.Name)
		if len(s.Problems) > 0 {
			t.Errorf("step %s: %v", s.Name, s.Problems)
		}
		if s.Faults != s.Operations || s.Operations == 0 {
			t.Errorf("step %s tried %d failures of %d operations", s.Name, s.Faults, s.Operations)
		}
		// A load balancer takes one rule, so while a rule is replaced there is none.
		if interrupted := s.LostConnections > 0; interrupted != (s.Name == "replace the gateway") {
			t.Errorf("step %s interrupts for %d operations", s.Name, s.LostConnections)
		}
		if reached := strings.HasSuffix(s.Reaches, "-> ECS-B:80"); reached != (s.Name != "destroy") {
			t.Errorf("after step %s A reaches %s", s.Name, s.Reaches)
		}
	}
	want := []string{"create", "change ports", "second load balancer", "move rule web", "replace the gateway", "fixed transit IP", "destroy"}
	if !slices.Equal(names, want) || !report.OK {
		t.Errorf("steps %v, ok %v, want %v", names, report.OK, want)
	}
	var text, machine bytes.Buffer
	if err := report.Text(&text); err != nil || !strings.Contains(text.String(), "A then reaches") || strings.Contains(text.String(), "next hop") {
		t.Errorf("table (%v):\n%s", err, text.String())
	}
	if err := report.JSON(&machine); err != nil || !strings.Contains(machine.String(), `"setup": "huaweicloud"`) {
		t.Errorf("json (%v):\n%s", err, machine.String())
	}
}

// rule changes the DNAT rules of a program.
func rule(change func(*sdk.NatPrivateDnatRuleArgs, []pulumi.ResourceOption) []pulumi.ResourceOption) pulumi.ResourceTransformation {
	return func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		props, ok := args.Props.(*sdk.NatPrivateDnatRuleArgs)
		if !ok {
			return nil
		}
		return &pulumi.ResourceTransformationResult{Props: props, Opts: change(props, args.Opts)}
	}
}

// What the component does against each hazard is taken away, and the rehearsal finds the step that needs it.
func TestWithoutARemedyTheRehearsalFails(t *testing.T) {
	for _, c := range []struct {
		name       string
		mutate     pulumi.ResourceTransformation
		step, says string
	}{
		{
			"delete before replace on the rule",
			rule(func(_ *sdk.NatPrivateDnatRuleArgs, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
				return append(opts, pulumi.DeleteBeforeReplace(false))
			}),
			"replace the gateway", "takes one rule",
		},
		{
			"dependency on the listener",
			rule(func(_ *sdk.NatPrivateDnatRuleArgs, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
				all, err := pulumi.NewResourceOptions(opts...)
				if err != nil {
					t.Fatal(err)
				}
				return []pulumi.ResourceOption{pulumi.Parent(all.Parent), pulumi.Provider(all.Provider), pulumi.DeleteBeforeReplace(true)}
			}),
			// Whichever is late, the listener or its member: the rule is there before it.
			"create", "rule huaweicloud-nat-rule-web: from ",
		},
		{
			"lower-case protocol",
			rule(func(props *sdk.NatPrivateDnatRuleArgs, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
				props.Protocol = pulumi.String("TCP")
				return opts
			}),
			"create", `"TCP": not one of the documented values (tcp, udp, any)`,
		},
		{
			"kind of subnet id",
			func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				if subnet, ok := args.Props.(*sdk.ElbLoadbalancerArgs); ok {
					subnet.Ipv4SubnetId = subnet.BackendSubnets.ToStringArrayOutput().Index(pulumi.Int(0)).ToStringPtrOutput()
				}
				return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
			},
			"create", "is the id of the network, not of the subnet's IPv4 range",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := rehearseHuaweicloud(t, c.mutate, nil)
			if err != nil {
				t.Fatal(err)
			}
			steps := report.Setups[0].Steps
			last := steps[len(steps)-1]
			if text := strings.Join(last.Problems, "\n"); report.OK || last.Name != c.step || !strings.Contains(text, c.says) {
				t.Errorf("ok %v at step %s, want it caught at %s for %q:\n%s", report.OK, last.Name, c.step, c.says, text)
			}
		})
	}
}

func TestWhatTheEmptyCloudDoesNotHoldIsNotRehearsed(t *testing.T) {
	_, err := rehearseHuaweicloud(t, nil, func(block map[string]any) {
		block["service"].(map[string]any)["vpc"].(map[string]any)["id"] = "vpc-live"
	})
	if err == nil || !strings.Contains(err.Error(), "huaweicloud.service.vpc.id: the simulated cloud does not know it") {
		t.Errorf("error %v", err)
	}
	if _, ok, err := rehearsal.HuaweicloudSetup(map[string]string{huaweicloudKey: `{"service": {}}`}); ok || err != nil {
		t.Errorf("a block without privateNat: %v, %v", ok, err)
	}
}

func TestRulesWithAllPortsAndSeveralRulesAreRehearsed(t *testing.T) {
	report, err := rehearseHuaweicloud(t, nil, func(block map[string]any) {
		nat := block["privateNat"].(map[string]any)
		nat["transitIps"].(map[string]any)["all"] = map[string]any{"network": "app"}
		nat["targets"] = map[string]any{"virtual": map[string]any{"type": "virtual-ip", "portId": "4051-vip"}}
		rules := nat["rules"].(map[string]any)
		rules["everything"] = map[string]any{"transitIp": "all", "target": "virtual", "protocol": "any"}
		rules["second"] = map[string]any{"transitIp": "main", "target": "virtual", "protocol": "udp", "port": 53, "targetPort": 53}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Setups[0].Steps {
		for _, p := range s.Problems {
			t.Errorf("step %s: %s", s.Name, p)
		}
	}
}
