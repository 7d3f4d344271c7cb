package stackfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polynat/internal/migration"
	"polynat/internal/problem"
	"polynat/internal/stackfile"
)

const text = `# of somebody
config:
  aws:region: eu-west-1a
  aws:secretKey:
    secure: AAAB
  polynat:aws:
    nat:
      types: [a, b]
      destinations:
        - 10.0.0.0/8
        - 10.0.0.0/33
    tags:
      a.b/c: x
      a: y
    password: {secure: AAAC}
  alicloud: {migration: {stage: adopt}}
polynat:huaweicloud:
  privateNat: {}
encryptionsalt: v1
`

var seen = map[string]string{
	"aws:region": "eu-west-1a", "aws:secretKey": "secret", "polynat:alicloud": `{"migration":{"stage":"adopt"}}`,
	"polynat:aws": `{"nat":{"destinations":["10.0.0.0/8","10.0.0.0/33"],"types":["a","b"]},"password":"p","tags":{"a.b/c":"x","a":"y"}}`,
}

func open(t *testing.T, text string) *stackfile.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Pulumi.prod.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return stackfile.Read(dir, "polynat", "prod")
}

func config(values map[string]string) stackfile.Config {
	return func(key string) (string, bool) {
		value, ok := values[key]
		return value, ok
	}
}

// ours are the keys that the program knows.
func ours(key string) bool { return strings.Contains(key, ":") || key == "aws" }

func TestAProblemIsFoundInTheFile(t *testing.T) {
	f := open(t, text)
	for field, want := range map[string]string{
		"aws:region":               "Pulumi.prod.yaml:3: ",
		"aws:secretKey":            "Pulumi.prod.yaml:4: ",
		"polynat:aws":              "Pulumi.prod.yaml:6: ",
		"aws":                      "Pulumi.prod.yaml:6: ",
		"aws.nat.types[1]":         "Pulumi.prod.yaml:8: ",
		"aws.nat.destinations[1]":  "Pulumi.prod.yaml:11: ",
		"aws.nat.zones":            "Pulumi.prod.yaml:7: ", // is not there: the block above
		"aws.tags.a.b/c":           "Pulumi.prod.yaml:13: ",
		"aws.tags.a":               "Pulumi.prod.yaml:14: ",
		"alicloud.migration.stage": "Pulumi.prod.yaml:16: ",
		"alicloud:region":          "",
		"huaweicloud.privateNat":   "",
		"i-0123456789abcdef0":      "",
	} {
		p := problem.Problem{Field: field, Rule: "is wrong"}
		if got := f.Locate(errors.Join(p), config(seen)).Error(); got != want+p.Error() {
			t.Errorf("%s: got %q, want it at %q", field, got, want)
		}
	}
	refusal := &migration.Refusal{Stage: "cover", Problems: []problem.Problem{{Field: "alicloud.migration.stage", Rule: "is wrong"}}}
	const want = "stage cover is refused, nothing has been changed:\n  - Pulumi.prod.yaml:16: alicloud.migration.stage: is wrong"
	if got := f.Locate(refusal, config(seen)).Error(); got != want {
		t.Errorf("a refusal: got %q, want %q", got, want)
	}
}

func TestAValueThatIsNotFromTheFileHasNoLine(t *testing.T) {
	f := open(t, text)
	p := problem.Problem{Field: "aws.nat.types[0]", Rule: "is wrong"}
	for name, values := range map[string]map[string]string{
		"another value": {"polynat:aws": `{"nat":{"types":["c"]}}`},
		"no value":      {},
		"a text":        {"polynat:aws": "x"},
	} {
		if got := f.Locate(p, config(values)).Error(); got != p.Error() {
			t.Errorf("%s: %q", name, got)
		}
		if got := f.Misplaced(config(values), ours); len(got) > 0 {
			t.Errorf("%s: misplaced keys of another file: %v", name, got)
		}
	}
	for name, f := range map[string]*stackfile.File{
		"no file": stackfile.Read(t.TempDir(), "polynat", "prod"), "no folder": stackfile.Read("", "polynat", "prod"),
		"no YAML": open(t, "a: [\n"), "nothing": open(t, ""), "a list": open(t, "[]"),
	} {
		if got := f.Locate(p, config(seen)); got.Error() != p.Error() || len(f.Misplaced(config(seen), ours)) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestKeysBesideConfigAreSaidToHaveNoEffect(t *testing.T) {
	for text, want := range map[string]string{
		text:                                "Pulumi.prod.yaml:17: polynat:huaweicloud: is not below config, so that it has no effect (indent it below config)",
		"config:\naws:region: eu-west-1\n":  "Pulumi.prod.yaml:2: aws:region: is not below config, so that it has no effect (indent it below config)",
		"confg:\n  aws:region: eu-west-1\n": "Pulumi.prod.yaml:1: confg: is not below config, so that it has no effect (did you mean config?)",
		"config: {}\naws: {}\n":             "Pulumi.prod.yaml:2: aws: is not below config, so that it has no effect (indent it below config)",
		// Pulumi does not look at these either, and whoever wrote them knows that.
		"x-tags: &tags {team: network}\nx-confg: {}\nanchors: {}\nconfig: {}\n": "",
		"config: {}\nencryptedkey: x\nenvironment: [dev]\nsecretsprovider: x\n": "",
	} {
		got := ""
		if err := open(t, text).Misplaced(config(seen), ours).Err(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\ngot %q, want %q", text, got, want)
		}
	}
}
