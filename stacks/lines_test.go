package stacks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"polynat/stacks"
	"polynat/tests/recorder"
)

// fromFile is the configuration of the stack of the recorder in a file, and its folder.
func fromFile(t *testing.T, text string) (dir string, config map[string]string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Pulumi."+recorder.Stack+".yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var file struct{ Config map[string]any }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	config = map[string]string{}
	for key, value := range file.Config {
		if plain, ok := value.(string); ok {
			config[key] = plain
			continue
		}
		object, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		config[key] = string(object)
	}
	return dir, config
}

// Keys, values, the provider's keys and what is beside config: all are said in one run, each with its line.
func TestEveryProblemOfARunSaysWhereItIs(t *testing.T) {
	dir, config := fromFile(t, `config:
  aws:region: eu-west-1
  aws:regoin: eu-west-1
  polynat:nat: {}
  polynat:aws:
    vpc:
      cidr: 10.0.0.0/16
      zones:
        eu-west-1a: {public: 10.0.0.0/24, private: {app: 10.0.1.0/24}}
    nat:
      standyb: none
      onDelete: retian
      destinations:
        - 198.51.100.0/24
        - 198.51.100.1/24
  polynat:alicloud:
    migration: {stage: cvoer}
tags: {team: network}
x-regions: {aws: eu-west-1}
owner: {team: network}
`)
	const want = `Pulumi.dev.yaml:18: tags: is not below config, so that it has no effect (indent it below config)
Pulumi.dev.yaml:3: aws:regoin: is not a key that the provider is given (did you mean region?)
Pulumi.dev.yaml:4: polynat:nat: is not a known key (did you mean nat below polynat:aws?)
Pulumi.dev.yaml:11: aws.nat.standyb: is not a known key (did you mean standby?)
Pulumi.dev.yaml:15: aws.nat.destinations[1]: "198.51.100.1/24": has host bits (write 198.51.100.0/24)
Pulumi.dev.yaml:12: aws.nat.onDelete: "retian": must be release, retain or protect (did you mean retain?)
Pulumi.dev.yaml:17: alicloud.migration.stage: "cvoer": is not a stage (did you mean cover?)`
	program := func(root string, config map[string]string) string {
		var said error
		_, err := recorder.Run(func(ctx *pulumi.Context) error {
			said = stacks.Program(stacks.Setups(), recorder.Keys(config))(ctx)
			return said
		}, recorder.Options{Config: config, Root: root, DryRun: true})
		if err == nil || said == nil {
			t.Fatalf("is not refused: %v, %v", err, said)
		}
		return said.Error()
	}
	said := program(dir, config)
	for _, line := range strings.Split(want, "\n") {
		if !strings.Contains(said+"\n", line+"\n") {
			t.Errorf("%s\nis not in\n%s", line, said)
		}
	}
	if err := stacks.CheckFile(stacks.Setups(), dir, stacks.Stack{Project: recorder.Project, Name: recorder.Stack, Config: config}); err == nil || err.Error() != said {
		t.Errorf("checked without a program: %v\nthe program says\n%s", err, said)
	}
	if without := program("", config); strings.Contains(without, "Pulumi.dev.yaml:") || !strings.Contains(without, "aws.nat.standyb: is not a known key") {
		t.Errorf("without a file: %s", without)
	}
	config["polynat:aws"] = strings.Replace(config["polynat:aws"], "standyb", "standybe", 1) // as by pulumi up --config
	if other := program(dir, config); !strings.Contains("\n"+other, "\naws.nat.standybe: is not") || strings.Contains(other, ":18:") {
		t.Errorf("with another value: %s", other)
	}
}
