package rehearsal_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
)

// A simulated region has as many zones as any region of the vendor, and not every zone that is named.
func TestAZoneThatNoRegionHasIsRefusedInTheRehearsalToo(t *testing.T) {
	for name, test := range map[string]struct {
		setup     func(map[string]string) (rehearsal.Setup, bool, error)
		was, zone string
	}{
		"alicloud":    {rehearsal.AlicloudSetup, "cn-hangzhou-i", "cn-hangzhou-z"},
		"aws":         {rehearsal.AWSSetup, "eu-west-1b", "eu-west-1z"},
		"huaweicloud": {rehearsal.HuaweicloudSetup, "cn-north-4b", "cn-north-4z"},
	} {
		project, config, err := engine.LoadConfig(t.Context(), filepath.Join("..", ".."), "dev")
		if err != nil {
			t.Fatal(err)
		}
		key := project + ":" + name
		config[key] = strings.ReplaceAll(config[key], test.was, test.zone)
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
		setup.Moves, setup.Variants = setup.Moves[:1], nil
		report, err := rehearsal.Run(t.Context(), rehearsal.Options{Project: project, Stack: "dev", Config: config, Program: rehearsal.Polynat}, setup)
		var said string
		if err != nil {
			said = err.Error()
		} else {
			said = strings.Join(report.Setups[0].Steps[0].Problems, "\n")
		}
		if !strings.Contains(said, test.zone+`": is no zone that the account can use`) {
			t.Errorf("%s: the rehearsal says %q", name, said)
		}
	}
}
