package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"polynat/internal/engine"
	"polynat/internal/migration"
)

// polynat runs the command in the root of the repository, with an environment that names a cloud, a backend and
// credentials, none of which it may touch.
func polynat(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	untouched := inRepository(t)
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	untouched()
	return status, out.String(), err.String()
}

// inRepository is where, and with what environment, the command runs for the rest of the test. untouched checks that it
// let the environment be.
func inRepository(t *testing.T) (untouched func()) {
	t.Helper()
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "PULUMI_HOME": filepath.Join(home, ".pulumi"), "PULUMI_BACKEND_URL": "file://" + filepath.Join(home, "backend"),
		"PULUMI_ACCESS_TOKEN": "pul-secret", "ALICLOUD_ACCESS_KEY": "key", "ALICLOUD_SECRET_KEY": "secret", "ALICLOUD_REGION": "cn-beijing",
	} {
		t.Setenv(name, value)
	}
	t.Chdir(repository)
	return func() {
		if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
			t.Errorf("the home directory was touched: %v %v", left, err)
		}
	}
}

var repository = func() string {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return root
}()

// wholeWalk is what the README's first command prints.
type wholeWalk struct {
	status       int
	text, object string // for people and for machines
	screen       recording
}

var (
	rehearsed  wholeWalk
	rehearsing sync.Once
)

// rehearseAll walks all setups with failures, which takes some two minutes of CPU: once for all tests that look at what comes of it.
func rehearseAll(t *testing.T) wholeWalk {
	t.Helper()
	rehearsing.Do(func() {
		untouched := inRepository(t)
		var out *output
		var err error
		var object bytes.Buffer
		rehearsed.status, rehearsed.text, rehearsed.screen = onScreen(t, 80, func(stdout, stderr io.Writer) int {
			out, err = execute(t.Context(), append([]string{"rehearse"}, walked()...), stdout, stderr)
			return out.end(stdout, stderr, err)
		})
		out.format = "json"
		if status := out.end(&object, io.Discard, err); status != rehearsed.status {
			t.Errorf("status %d as JSON, %d as text", status, rehearsed.status)
		}
		rehearsed.object = object.String()
		untouched()
	})
	if rehearsed.status != 0 {
		t.Fatalf("status %d\n%s", rehearsed.status, strings.Join(rehearsed.screen.lines, "\n"))
	}
	return rehearsed
}

// steps is how many steps each setup has.
func (r wholeWalk) steps(t *testing.T) map[string]int {
	t.Helper()
	var report struct {
		Setups []struct {
			Setup string
			Steps []json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(r.object), &report); err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, setup := range report.Setups {
		n[setup.Setup] = len(setup.Steps)
	}
	return n
}

func TestRehearsePrintsOneJSONObjectForMachines(t *testing.T) {
	stdout := rehearseAll(t).object
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	var report struct {
		OK      *bool  `json:"ok"`
		Version string `json:"version"`
		Stack   string `json:"stack"`
		Setups  []struct {
			Setup    string   `json:"setup"`
			OK       *bool    `json:"ok"`
			Variants []string `json:"variants"`
			Notes    []string `json:"notes"`
			Steps    []struct {
				Name            string   `json:"name"`
				Operations      *int     `json:"operations"`
				Holes           *int     `json:"holes"`
				LostConnections *int     `json:"lostConnections"`
				CutConnections  *int     `json:"cutConnections"`
				Seconds         *float64 `json:"seconds"`
				FailuresTried   *int     `json:"failuresTried"`
				Reaches         string   `json:"reaches"`
			} `json:"steps"`
		} `json:"setups"`
	}
	if err := decoder.Decode(&report); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if decoder.More() {
		t.Error("there is more than one object on standard output")
	}
	if report.Version == "" || report.Stack != "dev" || len(report.Setups) == 0 || len(report.Setups[0].Variants) != 2 {
		t.Fatalf("version, stack and variants are not there:\n%s", stdout)
	}
	if report.OK == nil || !*report.OK || len(report.Setups) != len(walked()) || report.Setups[0].Setup != "alicloud" || report.Setups[1].Setup != "huaweicloud" || !race && report.Setups[2].Setup != "aws" {
		t.Fatalf("%s", stdout)
	}
	if first := report.Setups[1].Steps[0]; first.Reaches != "192.168.0.2:80 -> ELB01 -> ECS-B:80" {
		t.Errorf("after step %s applications reach %q", first.Name, first.Reaches)
	}
	var names []string
	for i, setup := range report.Setups {
		if !*setup.OK {
			t.Errorf("%s is not ok", setup.Setup)
		}
		for _, s := range setup.Steps {
			if i == 0 {
				names = append(names, s.Name)
			}
			if s.Operations == nil || s.Holes == nil || s.LostConnections == nil || s.CutConnections == nil || s.Seconds == nil || s.FailuresTried == nil {
				t.Errorf("step %s lacks a number", s.Name)
			} else if *s.Holes+*s.LostConnections != 0 && s.Name != "replace the gateway" {
				t.Errorf("step %s lost something", s.Name)
			}
		}
	}
	want := []string{"deploy"}
	for _, s := range migration.Stages() {
		want = append(want, string(s))
		if s == migration.Adopt || s == migration.Retire {
			want = append(want, string(s)+" again")
		}
	}
	for _, s := range slices.Backward(migration.Stages()[:len(migration.Stages())-1]) {
		want = append(want, "back to "+string(s))
	}
	if !slices.Equal(names, want) {
		t.Errorf("steps %v, want %v", names, want)
	}
}

func TestRehearseShowsPeopleATable(t *testing.T) {
	stdout := rehearseAll(t).text
	if !strings.Contains(stdout, "no next hop: destinations") || !strings.Contains(stdout, "\nalicloud (stack dev): ok: nothing was lost\n\n") || !strings.Contains(stdout, "\nhuaweicloud (stack dev): ok, except that step replace the gateway interrupts\n  traffic\n") || !race && !strings.HasSuffix(stdout, "\naws (stack dev): ok: nothing was lost\n") {
		t.Error(stdout)
	}
}

func TestASetupIsRehearsedAloneWhenItIsNamed(t *testing.T) {
	status, stdout, stderr := polynat(t, "rehearse", "huaweicloud", "--format", "json", "--faults=false")
	if status != 0 || strings.Count(stdout, `"setup"`) != 1 || !strings.Contains(stdout, `"setup": "huaweicloud"`) {
		t.Errorf("status %d\n%s\n%s", status, stdout, stderr)
	}
	n := rehearseAll(t).steps(t)["huaweicloud"]
	for i := 1; i <= n; i++ {
		if !strings.Contains(stderr, fmt.Sprintf("huaweicloud %d/%d: ", i, n)) {
			t.Errorf("no step %d of %d in the progress:\n%s", i, n, stderr)
		}
	}
	project, config, err := engine.LoadConfig(t.Context(), repository, "dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range setupNames() {
		if setups, err := chooseSetups(rehearseFlags{stack: "dev"}, project, config, nil, []string{name}); err != nil || len(setups) != 1 || setups[0].Name != name {
			t.Errorf("%s: %d setups, error %v", name, len(setups), err)
		}
	}
}

// race is whether the race detector is on, with which the walk of AWS takes minutes: it is walked once with it, in
// internal/rehearsal.
var race bool

// walked are the setups to rehearse.
func walked() []string {
	setups := []string{"alicloud", "huaweicloud", "aws"}
	if race {
		setups = setups[:2]
	}
	return setups
}

func TestTheREADMEShowsWhatTheRehearsalPrints(t *testing.T) {
	stdout := rehearseAll(t).text
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "<!-- output: rehearse -->\n```console\n$ go run ./cmd/polynat rehearse\n")
	block, _, _ = strings.Cut(block, "```")
	if race {
		before, _, _ := strings.Cut(block, "no way\n")
		block = before[:strings.LastIndex(before, "\n\n")+1]
	}
	// Seconds differ from run to run.
	seconds := regexp.MustCompile(` +\d+\.\d\b`)
	if want, got := seconds.ReplaceAllString(block, " 0.0"), seconds.ReplaceAllString(stdout, " 0.0"); want != got {
		t.Errorf("README.md shows\n%s\nbut the rehearsal prints\n%s", block, stdout)
	}
}

func TestWhatCannotBeRehearsedIsSaidInOneLine(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"rehearse", "--format", "xml"}, `--format: "xml": is not known (use text or json)`},
		{[]string{"rehearse", "gcp"}, `"gcp": is not a setup that can be rehearsed`},
		{[]string{"rehearse", "huaweicloud", "--from-export", "no-such-file.json"}, "no-such-file.json"},
		{[]string{"rehearse", "--stack", "nowhere"}, `stack "nowhere"`},
		{[]string{"rehearse", "--dir", empty}, "Pulumi.yaml"},
		{[]string{"rehearse", "--from-export", "no-such-file.json"}, "no-such-file.json"},
		{[]string{"rehearse", "--fast"}, "unknown flag"},
		{[]string{"pulumi", "login", "s3://state"}, "the playground has a backend of its own"},
		{[]string{"pulumi", "up", "--cwd=/elsewhere"}, "pulumi runs in the playground"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			status, stdout, stderr := polynat(t, c.args...)
			if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "error: ") || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, output %q, error %q; want one line that says %q", status, stdout, stderr, c.says)
			}
		})
	}
}

// devWith returns a folder with the dev environment, changed.
func devWith(t *testing.T, old, changed string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Replace(text, []byte(old), []byte(changed), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAWrongConfigurationIsRefusedBeforeAnythingIsRehearsed(t *testing.T) {
	for _, c := range []struct{ old, changed, says string }{
		{"  main:\n", "  main:\n          speed: 5\n", "alicloud.migration.addresses.main.speed: is not a known key (use one of bandwidth, internetChargeType)"},
		{"stage: adopt", "stage: Adopt", `alicloud.migration.stage: "Adopt": is not a stage (did you mean adopt?)`},
		{"polynat:alicloud:", "polynat:alicluod:", "polynat:alicluod: is not a known key (did you mean alicloud?)"},
		{"stage: adopt", "stage: switch", "This is the rehearsal of a new stack: give what a deployed one has with --from-export"},
		{"alicloud:region: cn-hangzhou", "alicloud:region: hangzhou", `alicloud:region: "hangzhou": is no region of Alibaba Cloud (set the region of the VPC, such as: `},
		{"huaweicloud:region: cn-north-4", "", "huaweicloud:region: is missing (set the region of the VPC: pulumi config set huaweicloud:region cn-north-4)"},
		{"name: polynat\n", "name: egress\n", `project "egress": is not the program that polynat rehearses`},
	} {
		t.Run(c.changed, func(t *testing.T) {
			status, stdout, stderr := polynat(t, "rehearse", "--dir", devWith(t, c.old, c.changed))
			if status != 2 || stdout != "" || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, output %q, error %q", status, stdout, stderr)
			}
		})
	}
}

func TestSlicesAreRehearsedBeforeTheWholeSwitch(t *testing.T) {
	dir := devWith(t, "      #release: [1.0.0.0/8, 2.0.0.0/7]", "      release: [1.0.0.0/8, 2.0.0.0/7]")
	status, stdout, stderr := polynat(t, "rehearse", "alicloud", "--faults=false", "--dir", dir)
	if status != 0 || !regexp.MustCompile(`switch, the slices of release +6`).MatchString(stdout) {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}

func TestAStepThatIsRefusedSaysWhyInTextAndJSON(t *testing.T) {
	dir := devWith(t, "bandwidth: 100 # number, required: 1 to 200 Mbit/s", "bandwidth: 50 # number, required: 1 to 200 Mbit/s")
	const reason = "50 Mbit/s: is less than the 100 Mbit/s of the old gateway's address"
	for _, format := range formats {
		status, stdout, stderr := polynat(t, "rehearse", "alicloud", "--format", format, "--dir", dir)
		if status != statusInput || !strings.Contains(stdout, reason) || !strings.HasSuffix(stderr, "error: a step was refused; nothing was lost\n") {
			t.Errorf("%s: status %d\n%s%s", format, status, stdout, stderr)
		}
	}
}

func TestASetupThatTheStackDoesNotHaveIsRefusedByItsName(t *testing.T) {
	dir := withStack(t, "config:\n  huaweicloud:region: cn-north-4\n")
	for _, names := range [][]string{{"huaweicloud"}, {"aws", "huaweicloud"}} {
		status, stdout, stderr := polynat(t, append([]string{"rehearse", "--dir", dir}, names...)...)
		if want := "error: huaweicloud: is not in stack dev (fill huaweicloud.privateNat, as Pulumi.dev.yaml does, or do not name it)\n"; status != statusInput || stdout != "" || stderr != want {
			t.Errorf("%v: status %d, output %q, error %q, want %q", names, status, stdout, stderr, want)
		}
	}
}

// What the program finds by a lookup of the simulated cloud has its line too.
func TestAnInstanceTypeThatIsNoneIsRefusedWithItsLine(t *testing.T) {
	dir := devWith(t, "types: [t4g.small]", "types: [t4g.smal]")
	status, stdout, stderr := polynat(t, "rehearse", "aws", "--dir", dir)
	said := regexp.MustCompile(`Pulumi\.dev\.yaml:\d+: aws\.nat\.instance\.types\[0\]: "t4g\.smal": is not an instance type`)
	if status != statusInput || !said.MatchString(stdout) || strings.Count(stdout, "is not an instance type") != 1 || !strings.Contains(stderr, "a step was refused") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}
