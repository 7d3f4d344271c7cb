package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"polynat/internal/cost"
	"polynat/internal/drill"
	"polynat/internal/rehearsal"
)

func TestEveryOutcomeHasItsExitStatus(t *testing.T) {
	exited := exec.Command("sh", "-c", "exit 7").Run()
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{rehearsal.ErrLost, 1},
		{noVerdict{errors.Join(errors.New("run 1: a reason"), fmt.Errorf("drill reboot: %w", drill.ErrBroken))}, 1},
		{errors.New("a wrong flag"), 2},
		{rehearsal.ErrRefused, 2},
		{rehearsal.ErrFailed, 3},
		{noVerdict{drill.ErrUnsupported}, 3},
		{exited, 7},
	} {
		if got := status(test.err); got != test.want {
			t.Errorf("%v: status %d, want %d", test.err, got, test.want)
		}
	}
}

// What goes wrong before there is a report.
func TestMachinesGetAnObjectForWhatIsRefusedToo(t *testing.T) {
	for _, test := range []struct {
		args, field, value string
	}{
		{"rehearse --format json gcp", "", ""},
		{"rehearse --format=json --stack nowhere", "", ""},
		{"rehearse --fast --format json", "", ""},
		{"drill --format json flood", "", ""},
		{"drill --format json --runs -1", "", ""},
		{"cost --region mars-1 --format json", "region", `"mars-1"`},
		{"walk --format json", "", ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := polynat(t, strings.Fields(test.args)...)
			var got head
			decoder := json.NewDecoder(strings.NewReader(stdout))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&got); err != nil || decoder.More() {
				t.Fatalf("%v: standard output is %q", err, stdout)
			}
			if status != 2 || got.OK || got.Version == "" || stderr != "error: "+got.Error+"\n" || len(got.Problems) != 1 ||
				got.Problems[0].Message == "" || got.Problems[0].Field != test.field || got.Problems[0].Value != test.value {
				t.Errorf("status %d, %s\n%s", status, stdout, stderr)
			}
		})
	}
}

func TestEachProblemOfAnInputIsAnObject(t *testing.T) {
	dir := devWith(t, "  main:\n", "  main:\n          speed: 5\n          size: 6\n")
	status, stdout, _ := polynat(t, "rehearse", "--format", "json", "--dir", dir)
	var got head
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 2 || len(got.Problems) != 2 {
		t.Fatalf("%v, status %d\n%s", err, status, stdout)
	}
}

func TestTheVersionNamesTheEngine(t *testing.T) {
	status, stdout, _ := polynat(t, "version", "--format", "json")
	var got struct {
		OK                  bool
		Version, Go, Engine string
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 || !got.OK || got.Version == "" || !strings.HasPrefix(got.Go, "go1.") {
		t.Errorf("%v, status %d\n%s", err, status, stdout)
	}
	if _, text, _ := polynat(t, "version"); !strings.HasPrefix(text, "polynat "+got.Version+", go1.") {
		t.Errorf("for people: %s", text)
	}
	if _, text, _ := polynat(t, "--version"); !strings.Contains(text, got.Version) {
		t.Errorf("--version: %s", text)
	}
}

func TestTheShellIsOfferedWhatThereIs(t *testing.T) {
	for args, want := range map[string][]string{
		"rehearse ":          {"alicloud", "huaweicloud", "aws"},
		"rehearse aws ":      {"alicloud", "huaweicloud"},
		"rehearse --format ": {"text", "json"},
		"cost --region ":     cost.Regions(),
		"cost --standby ":    {"perZone", "shared", "none"},
		"rehearse --stack ":  {"dev"},
		"drill ":             drill.Names(),
		"drill --format ":    {"text", "json"},
		"version --format ":  {"text", "json"},
	} {
		t.Run(args, func(t *testing.T) {
			status, stdout, _ := polynat(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
			offered, directive, _ := strings.Cut(stdout, ":")
			got := strings.Split(strings.TrimSpace(offered), "\n")
			if status != 0 || !slices.Equal(got, want) || strings.TrimSpace(directive) != "4" { // no files
				t.Errorf("status %d, %q, want %q\n%s", status, got, want, stdout)
			}
		})
	}
}

func TestAmountsAreWrittenInFull(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 24: "24", 0.2628: "0.26", 999.994: "999.99", 2190: "2,190", 1054483.2: "1,054,483", 1e9: "1,000,000,000"} {
		if got := quantity(n); got != want {
			t.Errorf("%g is written %s, want %s", n, got, want)
		}
	}
}

func TestHelpFitsEightyColumns(t *testing.T) {
	for _, command := range []string{"", "rehearse", "drill", "cost", "pulumi", "version"} {
		args := append(strings.Fields(command), "--help")
		status, stdout, _ := polynat(t, args...)
		if status != statusOK || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%v: status %d\n%s", args, status, stdout)
		}
		for line := range strings.Lines(stdout) {
			if len([]rune(strings.TrimSuffix(line, "\n"))) > 80 {
				t.Errorf("%v: %s", args, line)
			}
		}
	}
}

// The help explains the headings of the table, by the same words.
func TestTheHelpOfDrillExplainsItsColumns(t *testing.T) {
	_, stdout, _ := polynat(t, "drill", "--help")
	for _, heading := range []string{"decided", "no answer", "lost", "cut", "moves", "API calls"} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), heading) {
			t.Errorf("%q is not in the help:\n%s", heading, stdout)
		}
	}
}
