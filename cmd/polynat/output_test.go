package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

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
