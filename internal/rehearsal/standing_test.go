package rehearsal_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	simaws "polynat/internal/sim/aws"
)

var update = flag.Bool("update-exports", false, "rewrite the exports in testdata")

// asProvidersWrite makes of an export one that real providers have written: files and archives by their hashes alone, whatever the
// engine knows of them, nulls where an output is an empty map, and in subnets a default that only another version fills in. What an
// engine notes about the program's source and the time is left out, and each resource is a line.
func asProvidersWrite(t *testing.T, export []byte) []byte {
	t.Helper()
	var whole object
	if err := json.Unmarshal(export, &whole); err != nil {
		t.Fatal(err)
	}
	var write func(v any) any
	write = func(v any) any {
		switch v := v.(type) {
		case object:
			if kind, special := v["4dabf18193072939515e22adb298388d"]; special && v["hash"] != nil {
				return object{"4dabf18193072939515e22adb298388d": kind, "hash": v["hash"]}
			}
			for k, e := range v {
				v[k] = write(e)
			}
		case []any:
			for i, e := range v {
				v[i] = write(e)
			}
		}
		return v
	}
	deployment := whole["deployment"].(object)
	var lines []string
	for _, r := range deployment["resources"].([]any) {
		r := r.(object)
		for _, note := range []string{"created", "modified", "sourcePosition", "stackTrace"} {
			delete(r, note)
		}
		write(r["inputs"])
		write(r["outputs"])
		outputs, _ := r["outputs"].(object)
		for k, v := range outputs {
			if m, ok := v.(object); ok && len(m) == 0 && r["custom"] == true {
				outputs[k] = nil
			}
		}
		if inputs, _ := r["inputs"].(object); r["type"] == "aws:ec2/subnet:Subnet" {
			inputs["mapCustomerOwnedIpOnLaunch"] = false
			inputs["__defaults"] = append(inputs["__defaults"].([]any), "mapCustomerOwnedIpOnLaunch")
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	secrets, err := json.Marshal(deployment["secrets_providers"])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, "{\"version\": 3, \"deployment\": {\"secrets_providers\": %s, \"resources\": [\n%s\n]}}\n", secrets, strings.Join(lines, ",\n"))
}

// stands refreshes a stack that comes from an export, previews it, which must find nothing to do, and rehearses it.
func stands(t *testing.T, project, name string, config map[string]string, export []byte, from func(map[string]string, string, string, []byte) (rehearsal.Setup, bool, error)) {
	t.Helper()
	setup, ok, err := from(config, project, name, export)
	if err != nil || !ok {
		t.Fatalf("ok %v, error %v", ok, err)
	}
	setup.Variants = nil // those are walked by the tests of each setup
	world := setup.World.Clone()
	server := world.Provider()
	stack, err := engine.New(engine.Options{
		Project: project, Stack: name, Config: config, Program: rehearsal.Polynat(nil),
		Providers: map[string]pulumirpc.ResourceProviderServer{world.Package(): server},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if err := stack.Import(setup.State); err != nil {
		t.Fatal(err)
	}
	before := len(stack.URNs())
	if _, err := stack.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := len(stack.URNs()); after != before || before < 5 {
		t.Errorf("of %d resources the refresh leaves %d", before, after)
	}
	preview, err := stack.Preview(t.Context())
	if err != nil {
		t.Fatalf("preview after the refresh: %v", err)
	}
	for _, step := range preview.Steps {
		t.Errorf("preview after the refresh: %s %s", step.Op, step.URN)
	}
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: name, Config: config, Program: rehearsal.Polynat}, setup)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Setups[0].Steps {
		if len(s.Problems) > 0 || s.Name == "as configured" && s.Operations > 0 {
			t.Errorf("step %s: %d operations, %v", s.Name, s.Operations, s.Problems)
		}
	}
}

// A week after its deployment a stack is refreshed, previewed and rehearsed.
func TestADeployedStackStandsARefreshAPreviewAndARehearsal(t *testing.T) {
	for _, test := range []struct{ name, path, defaultTags string }{
		{"aws", "testdata/deployed-aws.json", ""},
		{"aws with default tags", "testdata/deployed-aws-tags.json", `{"tags": {"env": "dev", "cost.center": "7"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			block := object{
				"vpc": object{"cidr": "10.0.0.0/16", "zones": object{
					"eu-west-1a": object{"public": "10.0.0.0/24", "private": object{"app": "10.0.1.0/24"}},
					"eu-west-1b": object{"public": "10.0.16.0/24", "private": object{"app": "10.0.17.0/24"}},
				}},
				"nat": object{"instance": object{"types": []any{"c7gn.medium"}}, "artefacts": prebuilt(t)},
			}
			config := configured(t, block)
			wanted := []string{`"__defaults":[`, `"enableDns64":false`, `"id":"polynat-launch"`, `"tagsAll":{`}
			if test.defaultTags != "" {
				config["aws:defaultTags"] = test.defaultTags
				wanted = append(wanted, `"env":"dev"`)
			}
			if *update {
				cloud := simaws.New(simaws.Options{Region: "eu-west-1", AddressQuota: -1, NoThrottling: true})
				export := asProvidersWrite(t, deployedIn(t, config, sim.NewServer(simaws.Schema(), cloud)))
				if err := os.WriteFile(test.path, export, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			export, err := os.ReadFile(test.path)
			if err != nil {
				t.Fatalf("%v (run the test with -update-exports to write it)", err)
			}
			for _, want := range wanted {
				if !bytes.Contains(export, []byte(want)) {
					t.Errorf("%s has no %s, which real providers write", test.path, want)
				}
			}
			if bytes.Contains(export, []byte(`"tags":{}`)) {
				t.Errorf("%s has empty tags, which real providers drop", test.path)
			}
			stands(t, "polynat", "prod", config, export, rehearsal.AWSFromExport)
		})
	}
	for _, test := range []struct {
		name     string
		existing bool
		stage    migration.Stage
	}{
		{"alicloud", false, migration.Address},
		{"alicloud, a network that exists at adopt", true, migration.Adopt},
		{"alicloud, a network that exists at address", true, migration.Address},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, config, err := engine.LoadConfig(t.Context(), "../..", "dev")
			if err != nil {
				t.Fatal(err)
			}
			cloud := alicloud.New(alicloud.Options{})
			var block map[string]object
			if err := json.Unmarshal([]byte(config[key]), &block); err != nil {
				t.Fatal(err)
			}
			config = map[string]string{"alicloud:region": config["alicloud:region"]}
			if test.existing {
				block = map[string]object{"migration": handMade(t, cloud)}
				config["alicloud:region"] = "cn-hangzhou"
			}
			export := deployed(t, cloud, config, func(s migration.Stage) {
				block["migration"]["stage"] = string(s)
				text, err := json.Marshal(block)
				if err != nil {
					t.Fatal(err)
				}
				config[key] = string(text)
			}, migration.Stages()[:test.stage.Index()+1]...)
			stands(t, "polynat", "prod", config, asProvidersWrite(t, export), rehearsal.AlicloudFromExport)
		})
	}
	t.Run("huaweicloud", func(t *testing.T) {
		t.Parallel()
		project, config, export := deployedHuaweicloud(t, nil)
		stands(t, project, "dev", config, asProvidersWrite(t, export), rehearsal.HuaweicloudFromExport)
	})
}
