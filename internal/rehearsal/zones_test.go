package rehearsal_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
)

// Which zones a region has, only its vendor knows: letters that no region had yesterday, and places far from it, are rehearsed.
func TestAZoneOfTheRightFormIsRehearsed(t *testing.T) {
	for name, test := range map[string]struct {
		setup     func(map[string]string) (rehearsal.Setup, bool, error)
		was, zone string
		steps     int
	}{
		"alicloud":                   {rehearsal.AlicloudSetup, "cn-hangzhou-i", "cn-hangzhou-z", 1},
		"aws":                        {rehearsal.AWSSetup, "eu-west-1b", "eu-west-1z", 4},
		"aws, a local zone":          {rehearsal.AWSSetup, "eu-west-1b", "eu-west-1-dub-1b", 4},
		"huaweicloud":                {rehearsal.HuaweicloudSetup, "cn-north-4b", "cn-north-4z", 1},
		"huaweicloud, an edge of it": {rehearsal.HuaweicloudSetup, "cn-north-4b", "cn-north-4-tianjin-1b", 1},
	} {
		project, config, err := engine.LoadConfig(t.Context(), filepath.Join("..", ".."), "dev")
		if err != nil {
			t.Fatal(err)
		}
		cloud, _, _ := strings.Cut(name, ",")
		key := project + ":" + cloud
		config[key] = strings.ReplaceAll(config[key], test.was, test.zone)
		if strings.HasSuffix(name, "a local zone") { // the dev environment says nothing of its zones
			config[key] = strings.Replace(config[key], `"nat":{`, `"nat":{"zones":{"`+test.zone+`":{"slot":7}},`, 1)
		}
		if !json.Valid([]byte(config[key])) || !strings.Contains(config[key], test.zone) {
			t.Fatalf("%s: %s", name, config[key])
		}
		setup, ok, err := test.setup(config)
		if err != nil || !ok {
			t.Fatalf("%s: %v, error %v", name, ok, err)
		}
		t.Cleanup(func() {
			if setup.Close != nil {
				setup.Close()
			}
		})
		setup.Moves, setup.Variants = setup.Moves[:test.steps], nil
		report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat}, setup)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		steps := report.Setups[0].Steps
		if last := steps[len(steps)-1]; !report.OK || len(steps) != test.steps {
			t.Errorf("%s: step %s: %s", name, last.Name, strings.Join(last.Problems, "\n"))
		}
	}
}
