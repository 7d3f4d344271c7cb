package rehearsal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
	sdk "polynat/sdks/huaweicloud"
)

const huaweicloudKey = "polynat:huaweicloud"

// huaweicloudConfig is that of the dev environment, with another block if change is not nil.
func huaweicloudConfig(t *testing.T, change func(block map[string]any)) (project string, config map[string]string) {
	t.Helper()
	project, config, err := engine.LoadConfig(context.Background(), "../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(config, func(key, _ string) bool { return strings.HasPrefix(key, "polynat:") && key != huaweicloudKey })
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
	return project, config
}

// few failures of a step are tried where something else is tested: TestPrivateNATIsRehearsedFromItsMakingToItsEnd tries all.
const few = 4

// rehearseHuaweicloud walks the dev environment, with another program and block if they are not nil, and with at most so many
// failures of a step; 0 is any number.
func rehearseHuaweicloud(t *testing.T, maxFaults int, mutate pulumi.ResourceTransformation, change func(block map[string]any)) (*rehearsal.Report, error) {
	t.Helper()
	project, config := huaweicloudConfig(t, change)
	setup, ok, err := rehearsal.HuaweicloudSetup(config)
	if err != nil {
		return nil, err
	}
	if !ok {
		t.Fatal("there is nothing to rehearse")
	}
	return rehearsal.Run(t.Context(), rehearsal.Options{
		Project: project, Stack: "dev", Config: config, Faults: true, MaxFaults: maxFaults,
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
	report, err := rehearseHuaweicloud(t, 0, nil, nil)
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
		if s.Faults != 2*s.Operations || (s.Operations == 0) != (s.Name == "the same again") {
			t.Errorf("step %s tried %d failures of %d operations", s.Name, s.Faults, s.Operations)
		}
		// A load balancer takes one rule, so while a rule is replaced there is none.
		if interrupted := s.LostConnections > 0; interrupted != (s.Name == "replace the gateway") {
			t.Errorf("step %s interrupts for %d operations", s.Name, s.LostConnections)
		}
		if reached := strings.HasSuffix(s.Reaches, "-> ECS-B:80"); reached != (s.Name != "destroy") {
			t.Errorf("after step %s applications reach %s", s.Name, s.Reaches)
		}
	}
	want := []string{"create", "the same again", "change ports", "second load balancer", "move rule web", "replace the gateway", "fixed transit IP", "destroy"}
	if !slices.Equal(names, want) || !report.OK {
		t.Errorf("steps %v, ok %v, want %v", names, report.OK, want)
	}
	var text bytes.Buffer
	if err := report.Text(&text); err != nil || !strings.Contains(text.String(), "applications reach: 192.168") || strings.Contains(text.String(), "next hop") {
		t.Errorf("table (%v):\n%s", err, text.String())
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
			"the port of the rule",
			rule(func(props *sdk.NatPrivateDnatRuleArgs, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
				props.Protocol, props.TransitServicePort, props.InternalServicePort = pulumi.String("any"), nil, nil
				return opts
			}),
			"create", ":8080/tcp: reaches ",
		},
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
			report, err := rehearseHuaweicloud(t, 0, c.mutate, func(block m) { // a listener that no rule leads to
				block["service"].(m)["loadBalancers"].(m)["elb01"].(m)["listeners"].(m)["more"] = m{"port": 8080, "group": "group-b"}
			})
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

func TestABlockWithoutPrivateNATIsNotRehearsed(t *testing.T) {
	if _, ok, err := rehearsal.HuaweicloudSetup(map[string]string{huaweicloudKey: `{"service": {}}`}); ok || err != nil {
		t.Errorf("a block without privateNat: %v, %v", ok, err)
	}
}

// m is a block of the configuration.
type m = map[string]any

// existing makes networks and services ones that exist.
func existing(block m) {
	nat := block["privateNat"].(m)
	delete(block, "service")
	nat["gateway"] = m{"vpcId": "7c1d-vpc", "vpcCidr": "10.0.0.0/16", "subnetId": "1d2e-net"}
	nat["networks"] = m{"app": m{"vpc": m{"id": "8d2e-vpc", "cidr": "192.168.0.0/16"}, "subnet": m{"id": "2e3f-net", "cidr": "192.168.0.0/24"}}}
	nat["targets"] = m{
		"elb01": m{"type": "load-balancer", "portId": "4051-port", "listeners": m{"http": m{"protocol": "HTTP", "port": 80}}},
		"vip":   m{"type": "virtual-ip", "portId": "5162-port"},
		"bare":  m{"type": "address", "address": "172.16.0.9"},
	}
	nat["rules"].(m)["vip"] = m{"transitIp": "main", "target": "vip", "protocol": "tcp", "port": 81, "targetPort": 80}
	nat["rules"].(m)["bare"] = m{"transitIp": "main", "target": "bare", "protocol": "udp", "port": 81, "targetPort": 80}
}

func TestWhatExistsIsRehearsedToo(t *testing.T) {
	for name, change := range map[string]func(m){
		"all of it": existing,
		"the network of the services": func(block m) {
			block["service"].(m)["vpc"] = m{"id": "7c1d-vpc", "cidr": "10.0.0.0/16"}
			block["service"].(m)["subnet"] = m{"id": "1d2e-net", "ipv4SubnetId": "1d2e-ipv4", "cidr": "10.0.0.0/24"}
		},
		"their VPC, with another subnet for the gateway": func(block m) {
			block["service"].(m)["vpc"] = m{"id": "7c1d-vpc", "cidr": "10.0.0.0/16"}
			block["privateNat"].(m)["gateway"].(m)["subnetId"] = "3f40-net"
		},
	} {
		report, err := rehearseHuaweicloud(t, few, nil, change)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		steps := report.Setups[0].Steps
		for _, s := range steps {
			for _, p := range s.Problems {
				t.Errorf("%s: step %s: %s", name, s.Name, p)
			}
		}
		if first := steps[0].Reaches; !strings.Contains(first, ":80 -> ") || steps[len(steps)-1].Name != "destroy" {
			t.Errorf("%s: applications reach %s, the last step is %s", name, first, steps[len(steps)-1].Name)
		}
	}
}

func TestASubnetThatIsNotThereYetIsSaidToBeUnknown(t *testing.T) {
	_, err := rehearseHuaweicloud(t, few, nil, func(block m) { block["privateNat"].(m)["gateway"].(m)["subnetId"] = "3f40-net" })
	if want := `huaweicloud.privateNat.gateway.subnetId: "3f40-net": the simulated cloud does not know it`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Nobody documents which source a destination sees: an instance that admits only one of the two is found out.
func TestAnInstanceIsReachedWhicheverSourceItSees(t *testing.T) {
	toInstance := func(block m) {
		block["privateNat"].(m)["rules"].(m)["ssh"] = m{"transitIp": "main", "target": "ecs-b", "protocol": "tcp", "port": 2222, "targetPort": 22}
	}
	for _, c := range []struct {
		without string // the sources that the program forgets to admit
		says    string // empty if nothing is missing
	}{
		{"", ""},
		{"192.168.0.0/16", "do not admit 192.168.0.254 to port 22"},
		{"10.0.0.0/24", "if the cloud shows a destination the gateway's address instead of the client's: "},
	} {
		report, err := rehearseHuaweicloud(t, few, func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if rule, ok := args.Props.(*sdk.NetworkingSecgroupRuleArgs); ok && rule.Ports == pulumi.String("22") && rule.RemoteIpPrefix == pulumi.String(c.without) {
				rule.RemoteIpPrefix = pulumi.String("10.255.0.0/16")
			}
			return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
		}, toInstance)
		if err != nil {
			t.Fatal(err)
		}
		var problems []string
		for _, s := range report.Setups[0].Steps {
			problems = append(problems, s.Problems...)
		}
		if text := strings.Join(problems, "\n"); (c.says == "") != report.OK || !strings.Contains(text, c.says) {
			t.Errorf("without %q: ok %v, want %q:\n%s", c.without, report.OK, c.says, text)
		}
	}
}

// deployedHuaweicloud is the export of a stack with the dev environment.
func deployedHuaweicloud(t *testing.T, change func(m)) (project string, config map[string]string, export []byte) {
	t.Helper()
	project, config = huaweicloudConfig(t, change)
	setup, _, err := rehearsal.HuaweicloudSetup(config)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := engine.New(engine.Options{
		Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat(slices.Collect(maps.Keys(config))),
		Providers: map[string]pulumirpc.ResourceProviderServer{setup.World.Package(): setup.World.Provider()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if result, err := stack.Up(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(result.Diagnostics, "\n"))
	}
	if export, err = stack.Export(); err != nil {
		t.Fatal(err)
	}
	return project, config, export
}

func TestADeployedStackIsRehearsedFromWhereItStands(t *testing.T) {
	for name, change := range map[string]func(m){"all of its own": nil, "with what exists": existing} {
		project, config, export := deployedHuaweicloud(t, change)
		setup, ok, err := rehearsal.HuaweicloudFromExport(config, project, "dev", export)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat, Faults: true, MaxFaults: few}, setup)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range report.Setups[0].Steps {
			if len(s.Problems) > 0 || s.Name == "as configured" && s.Operations > 0 {
				t.Errorf("%s: step %s: %d operations, %v", name, s.Name, s.Operations, s.Problems)
			}
		}
	}
}

func TestAnExportOfAnotherStackIsRefused(t *testing.T) {
	project, config, export := deployedHuaweicloud(t, nil)
	if _, _, err := rehearsal.HuaweicloudFromExport(config, project, "prod", export); err == nil || !strings.Contains(err.Error(), "is not of stack prod") {
		t.Errorf("error %v", err)
	}
	if _, _, err := rehearsal.HuaweicloudFromExport(config, project, "dev", []byte("{")); err == nil || !strings.Contains(err.Error(), "read the export") {
		t.Errorf("error %v", err)
	}
}

func TestRulesWithAllPortsAndSeveralRulesAreRehearsed(t *testing.T) {
	report, err := rehearseHuaweicloud(t, few, nil, func(block map[string]any) {
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

// What a step makes up, a key, a name or an address, may be there already.
func TestWhatAStepMakesUpMeetsNothingOfTheConfiguration(t *testing.T) {
	const longKey = "elb-with-a-key-of-thirty-letter"
	for name, change := range map[string]func(nat, balancers m){
		"a router where addresses would begin": func(nat, _ m) {
			nat["networks"].(m)["app"].(m)["subnet"].(m)["gateway"] = "192.168.0.10"
		},
		"fixed addresses there": func(nat, _ m) {
			nat["transitIps"] = m{"main": m{"network": "app", "address": "192.168.0.11"}, "a": m{"network": "app", "address": "192.168.0.12"}, "b": m{"network": "app", "address": "192.168.0.10"}}
		},
		"automatic addresses up to there": func(nat, _ m) {
			for _, key := range strings.Split("abcdefghij", "") {
				nat["transitIps"].(m)[key] = m{"network": "app"}
			}
		},
		"a subnet that is almost full": func(nat, _ m) {
			nat["networks"].(m)["app"].(m)["subnet"].(m)["cidr"] = "192.168.0.0/28"
			for _, key := range strings.Split("abcd", "") {
				nat["transitIps"].(m)[key] = m{"network": "app"}
			}
		},
		"a long key and a long name": func(nat, balancers m) {
			balancers[longKey] = balancers["elb01"]
			balancers[longKey].(m)["name"] = strings.Repeat("E", 64)
			delete(balancers, "elb01")
			nat["rules"].(m)["web"].(m)["target"] = longKey
		},
		"the key of the other load balancer": func(nat, balancers m) {
			balancers["elb01-other"] = m{"zones": []any{"cn-north-4a"}, "listeners": m{"http": m{"port": 80, "group": "group-b"}}}
			nat["rules"].(m)["second"] = m{"transitIp": "main", "target": "elb01-other", "protocol": "tcp", "port": 81, "targetPort": 80}
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := rehearseHuaweicloud(t, few, nil, func(block m) {
				change(block["privateNat"].(m), block["service"].(m)["loadBalancers"].(m))
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range report.Setups[0].Steps {
				for _, p := range s.Problems {
					t.Errorf("step %s: %s", s.Name, p)
				}
			}
		})
	}
}
