package stacks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/stacks"
	"polynat/tests/recorder"
)

const blockKey = "polynat:alicloud"

// devConfig is what the CLI hands to the program for the stack dev of this repository: the defaults of Pulumi.yaml and the
// values of Pulumi.dev.yaml, with prebuilt programs.
func devConfig(t *testing.T) map[string]string {
	t.Helper()
	project, config, err := engine.LoadConfig(t.Context(), "..", recorder.Stack)
	if err != nil {
		t.Fatal(err)
	}
	if project != recorder.Project {
		t.Fatalf("the project is %s", project)
	}
	prebuild(t, config)
	return config
}

// setupConfig is what of the dev environment belongs to one setup.
func setupConfig(t *testing.T, setup string) map[string]string {
	t.Helper()
	config := devConfig(t)
	maps.DeleteFunc(config, func(key, _ string) bool {
		return key != "polynat:"+setup && !strings.HasPrefix(key, setup+":")
	})
	return config
}

// edit changes the value at a path of the block, "a.b.c"; nil deletes it. Blocks on the way are made.
func edit(t *testing.T, config map[string]string, path string, value any) {
	t.Helper()
	var block map[string]any
	if err := json.Unmarshal([]byte(config[blockKey]), &block); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(path, ".")
	parent := block
	for _, k := range keys[:len(keys)-1] {
		below, ok := parent[k].(map[string]any)
		if !ok {
			below = map[string]any{}
			parent[k] = below
		}
		parent = below
	}
	if last := keys[len(keys)-1]; value == nil {
		delete(parent, last)
	} else {
		parent[last] = value
	}
	text, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	config[blockKey] = string(text)
}

// run runs the program under mocks; cloud answers lookups.
func run(config map[string]string, last map[string]any, cloud *alicloud.Cloud, o recorder.Options) (*recorder.Recording, error) {
	o.Config, o.Last = config, last
	if cloud != nil {
		o.Invoke = func(token string, args map[string]any) (map[string]any, error) {
			return cloud.Invoke(context.Background(), token, args)
		}
	}
	return recorder.Run(stacks.Program(stacks.Setups(), recorder.Keys(config)), o)
}

func TestTheDevEnvironmentIsValidAndFollowsTheRules(t *testing.T) {
	config := devConfig(t)
	made, err := run(config, nil, nil, recorder.Options{Invoke: awsAccount})
	if err != nil {
		t.Fatal(err)
	}
	made.Check(t)
	preview, err := run(config, nil, nil, recorder.Options{Invoke: awsAccount, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
}

func TestTheDefaultsOfTheProjectDeployNothing(t *testing.T) {
	for name, config := range map[string]map[string]string{"absent": {}, "empty": {blockKey: "{}"}, "blank": {blockKey: " "}, "null": {blockKey: "null"}} {
		made, err := run(config, nil, nil, recorder.Options{})
		if err != nil || len(made.Objects) > 0 {
			t.Errorf("%s: error %v, objects %v", name, err, made.URNs())
		}
	}
}

// The golden file says what each stage adds and removes, so that a review sees what a change does to a stack that exists.
func TestTheURNsOfTheDevStackAtEveryStage(t *testing.T) {
	config := setupConfig(t, "alicloud")
	stack, err := engine.New(engine.Options{
		Project: recorder.Project, Stack: recorder.Stack, Program: stacks.Program(stacks.Setups(), recorder.Keys(config)), Config: config,
		Providers: map[string]pulumirpc.ResourceProviderServer{"alicloud": sim.NewServer(alicloud.Schema(), alicloud.New(alicloud.Options{}))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	var text strings.Builder
	at := map[string][]string{}
	up := func(name string, change func()) []string {
		change()
		if err := stack.SetConfig(blockKey, config[blockKey]); err != nil {
			t.Fatal(err)
		}
		if result, err := stack.Up(t.Context()); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, strings.Join(result.Diagnostics, "\n"))
		}
		return slices.Sorted(slices.Values(stack.URNs()))
	}
	block := config[blockKey]
	before := up("deploy", func() { edit(t, config, "migration", nil) })
	fmt.Fprintf(&text, "network alone\n+ %s\n", strings.Join(before, "\n+ "))
	config[blockKey] = block
	for _, stage := range migration.Stages() {
		urns := up(string(stage), func() { edit(t, config, "migration.stage", string(stage)) })
		fmt.Fprintf(&text, "%s\n", stage)
		for _, urn := range before {
			if !slices.Contains(urns, urn) {
				fmt.Fprintf(&text, "- %s\n", urn)
			}
		}
		for _, urn := range urns {
			if !slices.Contains(before, urn) {
				fmt.Fprintf(&text, "+ %s\n", urn)
			}
		}
		before, at[string(stage)] = urns, urns
		checkOutputs(t, stage, stack.Outputs()["alicloud"])
	}
	recorder.GoldenText(t, "urns", text.String(), "a URN that goes is a resource deleted in every stack, one that comes is created (a rename needs an alias)")
	for _, stage := range slices.Backward(migration.Stages()) {
		urns := up("back to "+string(stage), func() { edit(t, config, "migration.stage", string(stage)) })
		if diff := cmp.Diff(at[string(stage)], urns); diff != "" {
			t.Errorf("the way back leaves another stage %s (-forward +back):\n%s", stage, diff)
		}
	}
}

// checkOutputs holds what the stack says of itself to what a person needs at that stage.
func checkOutputs(t *testing.T, stage migration.Stage, exported any) {
	t.Helper()
	outputs, _ := exported.(map[string]any)
	length := func(key string) int {
		values, _ := outputs[key].([]any)
		return len(values)
	}
	old, made := 1, 0 // addresses that traffic may leave from: clients' allow lists need all of them
	if stage == migration.Retire {
		old = 0
	}
	if stage.Index() >= migration.Address.Index() {
		made = 1
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"stage", outputs["stage"], string(stage)},
		{"tables", length("tables"), 2},
		{"vswitches", length("vswitches"), 3},
		{"egress addresses", length("egressAddresses"), old + made},
		{"has a gateway", outputs["natGatewayId"] != "", stage.Index() >= migration.Gateway.Index()},
		{"declares the system route", outputs["systemRoute"], false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s: %v, want %v; outputs: %v", stage, c.what, c.got, c.want, outputs)
		}
	}
	next, _ := outputs["next"].(map[string]any)
	want, _ := stage.Next()
	if got, _ := next["stage"].(string); got != string(want) || got != "" && (next["does"] == "" || next["needs"] == "") {
		t.Errorf("%s: next: %v, want stage %q, what it does and what it needs", stage, next, want)
	}
}

func TestCredentialsReachTheProviderAsSecrets(t *testing.T) {
	config := setupConfig(t, "alicloud")
	maps.Copy(config, map[string]string{
		"alicloud:accessKey": "key", "alicloud:secretKey": "hidden", "alicloud:securityToken": "token",
		"alicloud:profile": "dev", "alicloud:sharedCredentialsFile": "file", "alicloud:ecsRoleName": "role",
	})
	made, err := run(config, nil, nil, recorder.Options{Secrets: []string{"alicloud:accessKey", "alicloud:secretKey", "alicloud:securityToken"}})
	if err != nil {
		t.Fatal(err)
	}
	providers := made.Named("pulumi:providers:alicloud")
	provider := providers["alicloud"]
	if len(providers) != 1 {
		t.Errorf("%d providers, want 1", len(providers))
	}
	for key, value := range config {
		if name, ok := strings.CutPrefix(key, "alicloud:"); ok && provider.Inputs[name] != value {
			t.Errorf("%s is %v in the provider, want %s", key, provider.Inputs[name], value)
		}
	}
	if diff := cmp.Diff([]string{"accessKey", "secretKey", "securityToken"}, provider.Secrets); diff != "" {
		t.Errorf("secrets of the provider (-want +got):\n%s", diff)
	}
	for _, o := range made.Objects {
		if strings.Contains(fmt.Sprint(o.Inputs), "hidden") && o.Name != "alicloud" {
			t.Errorf("%s holds the secret key", o.Name)
		}
	}
}

func TestAFailureAtAnyRegistrationFailsTheProgram(t *testing.T) {
	config := setupConfig(t, "alicloud")
	whole, err := run(config, nil, nil, recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole.Objects {
		if _, err := run(config, nil, nil, recorder.Options{FailAt: n + 1}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("registration %d ", n+1)) {
			t.Errorf("registration %d failed, error %v", n+1, err)
		}
	}
}

// existing is a network that was there before: a VPC with a system table and a custom one, and the stack that migrates it.
func existing(t *testing.T) (map[string]string, *alicloud.Cloud) {
	t.Helper()
	cloud := alicloud.New(alicloud.Options{EnhancedNATZones: []string{"cn-hangzhou-i"}})
	ok := func(_ string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(cloud.AddVPC(alicloud.VPC{ID: "vpc-1", CIDR: prefix("10.0.0.0/16"), RouterID: "vrt-1", RouteTableID: "vtb-system"}))
	ok(cloud.AddTable(alicloud.RouteTable{ID: "vtb-workers", VPCID: "vpc-1"}))
	ok(cloud.AddTable(alicloud.RouteTable{ID: "vtb-empty", VPCID: "vpc-1"}))
	ok(cloud.AddVSwitch(alicloud.VSwitch{ID: "vsw-a", VPCID: "vpc-1", ZoneID: "cn-hangzhou-i", CIDR: prefix("10.0.0.0/24")}))
	ok(cloud.AddVSwitch(alicloud.VSwitch{ID: "vsw-b", VPCID: "vpc-1", ZoneID: "cn-hangzhou-j", CIDR: prefix("10.0.1.0/24"), RouteTableID: "vtb-workers"}))
	ok(cloud.AddInstance(alicloud.Instance{ID: "i-old", VPCID: "vpc-1", VSwitchID: "vsw-a", Forwards: true}))
	ok(cloud.AddEIP(alicloud.EIP{Address: "198.51.100.1", Bandwidth: "100", InstanceID: "i-old"}))
	for _, table := range []string{"vtb-system", "vtb-workers"} {
		ok("", cloud.AddRoute(table, alicloud.RouteEntry{CIDR: prefix("0.0.0.0/0"), HopID: "i-old"}))
	}
	return map[string]string{"alicloud:region": "cn-hangzhou", blockKey: `{"migration": {
		"stage": "adopt", "vpcId": "vpc-1", "oldNextHop": {"type": "Instance", "id": "i-old"},
		"natGateway": {"vswitch": "vsw-a"}, "addresses": {"main": {"bandwidth": 100}}
	}}`}, cloud
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// adopted is what the stack of existing has exported after stage adopt.
func adopted(stage migration.Stage) map[string]any {
	return map[string]any{"alicloud": map[string]any{
		"stage": string(stage), "tables": []any{"vtb-system", "vtb-workers"}, "vswitches": []any{"vsw-a", "vsw-b"},
	}}
}

func TestAnExistingNetworkIsAdoptedAndCovered(t *testing.T) {
	config, cloud := existing(t)
	for stage, want := range map[migration.Stage]int{migration.Adopt: 2, migration.Cover: 18} {
		var last map[string]any
		if edit(t, config, "migration.stage", string(stage)); stage != migration.Adopt {
			last = adopted(migration.Adopt)
		}
		made, err := run(config, last, cloud, recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		made.Check(t)
		if n := len(made.Named("alicloud:vpc/routeEntry:RouteEntry")); n != want {
			t.Errorf("%s: %d routes, want %d", stage, n, want)
		}
	}
}

func TestTheProgramReadsEachSetupOfTheTable(t *testing.T) {
	var seen []string
	setup := func(name string) stacks.Setup {
		return stacks.Setup{Name: name, Run: func(_ *pulumi.Context, given stacks.Given) (pulumi.Map, error) {
			seen = append(seen, fmt.Sprint(name, " ", given.Block, " ", given.Last))
			return pulumi.Map{"ran": pulumi.Bool(true)}, nil
		}}
	}
	program := stacks.Program([]stacks.Setup{setup("one"), setup("two")}, nil)
	_, err := recorder.Run(program, recorder.Options{
		Config: map[string]string{"polynat:one": `{"a": 1}`}, Last: map[string]any{"two": map[string]any{"b": "2"}},
	})
	if diff := cmp.Diff([]string{"one map[a:1] map[]", "two map[] map[b:2]"}, seen); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
