package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withStack is a folder with the project and a file of stack dev.
func withStack(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	project, err := os.ReadFile("../../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Pulumi.yaml": string(project), "Pulumi.dev.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestARefusalNamesTheLineOfTheStacksFile(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"a misspelled key": {
			"config:\n  huaweicloud:region: cn-north-4\n  polynat:huaweicloud:\n    privateNat:\n      gatway: {}\n",
			"Pulumi.dev.yaml:5: huaweicloud.privateNat.gatway: is not a known key (did you mean gateway?)",
		},
		"a block that is not indented": {
			"config:\n  huaweicloud:region: cn-north-4\n  polynat:huaweicloud:\n  privateNat:\n    rules: {}\n",
			"Pulumi.dev.yaml:4: polynat:privateNat: is not a known key (did you mean privateNat below polynat:huaweicloud?)",
		},
		"keys beside config": {
			"config:\nhuaweicloud:region: cn-north-4\npolynat:huaweicloud:\n  privateNat: {}\n",
			"Pulumi.dev.yaml:3: polynat:huaweicloud: is not below config, so that it has no effect (indent it below config)",
		},
		"no config at all": {
			"polynat:huaweicloud:\n  privateNat: {}\n",
			"Pulumi.dev.yaml:1: polynat:huaweicloud: is not below config",
		},
		"an anchor beside config": {
			"x-gateway: &gateway {spec: small}\nconfig:\n  huaweicloud:region: cn-north-4\n  polynat:huaweicloud: {privateNat: {gateway: *gateway}}\n",
			"error: Pulumi.dev.yaml:1: huaweicloud.privateNat.gateway.spec: \"small\": must be",
		},
		"a text for a block": {
			"config:\n  polynat:huaweicloud: none\n",
			"Pulumi.dev.yaml:2: huaweicloud: \"none\": must be a block of keys (see Pulumi.dev.yaml)",
		},
		"a block without a value": {
			"config:\n  polynat:huaweicloud:\n",
			"Pulumi.dev.yaml:2: huaweicloud: is empty (indent its keys below it, or leave it out)",
		},
		"no YAML": {"config: [\n", "Pulumi.dev.yaml: invalid YAML file: yaml: line 1:"},
		"a wrong value where two setups are": {
			"config:\n  alicloud:region: cn-hangzhou\n  huaweicloud:region: cn-north-4\n  polynat:alicloud: {migration: {stage: cover}}\n  polynat:huaweicloud: {privateNat: {gateway: {spec: small}}}\n",
			"Pulumi.dev.yaml:5: huaweicloud.privateNat.gateway.spec: \"small\": must be",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := polynat(t, "rehearse", "--dir", withStack(t, c.text))
			if status != statusInput || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, output %q, error %q", status, stdout, stderr)
			}
		})
	}
}
