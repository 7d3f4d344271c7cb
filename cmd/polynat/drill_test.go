package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"polynat/internal/drill"
)

// keepCaches lets the Go toolchain find what it has in the home directory, which polynat takes away and checks.
func keepCaches(t *testing.T) {
	t.Helper()
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(value)))
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
}

func TestDrillPrintsOneJSONObjectForMachines(t *testing.T) {
	if err := drill.Supported(); errors.Is(err, drill.ErrUnsupported) && os.Getenv("POLYNAT_REQUIRE_ROOT") != "1" {
		t.Skipf("%v (set POLYNAT_REQUIRE_ROOT=1 to fail instead)", err)
	}
	keepCaches(t)
	status, stdout, stderr := polynat(t, "drill", "--format", "json", "--runs", "1", "NAT rule lost with agent")
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	type spread struct {
		Median *float64 `json:"median"`
		Max    *float64 `json:"max"`
	}
	var report struct {
		OK      *bool  `json:"ok"`
		Version string `json:"version"`
		Error   string `json:"error"`
		Network string `json:"networkService"`
		Drills  []struct {
			Name        string `json:"name"`
			Runs        int    `json:"runs"`
			Decide      spread `json:"decideSeconds"`
			Outage      spread `json:"outageSeconds"`
			Lost        *int   `json:"lostConnections"`
			Attempted   *int   `json:"attemptedConnections"`
			Cut         *int   `json:"cutConnections"`
			Established *int   `json:"establishedConnections"`
			Transitions *int   `json:"transitions"`
			Calls       *int   `json:"apiCalls"`

			Broken, Failed, Notes []string
		} `json:"drills"`
	}
	if err := decoder.Decode(&report); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	// Whether a bound in seconds holds is a matter of what else the machine does.
	if report.OK == nil || (status == 0) != *report.OK {
		t.Errorf("status %d with ok %v\n%s", status, report.OK, stderr)
	}
	if len(report.Drills) != 1 || report.Drills[0].Runs != 1 || report.Drills[0].Attempted == nil || *report.Drills[0].Attempted == 0 {
		t.Errorf("got %s%s, want one run with connections", stdout, stderr)
	}
}

func TestADrillThatCannotBeHeldSaysWhichThereAre(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"drill", "flood"}, "flood"},
		{[]string{"drill", "--format", "yaml"}, `--format: "yaml": is not known`},
		{[]string{"drill", "--runs", "-1"}, "--runs: -1: is less than one (leave it out for the default)"},
		{[]string{"drill", "--runs", "0"}, "--runs: 0: is less than one (leave it out for the default)"},
		{[]string{"drill", "--parallel", "0"}, "--parallel: 0: is less than one (leave it out for the default)"},
	} {
		args := c.args
		status, _, stderr := polynat(t, args...)
		if status != statusInput || !strings.Contains(stderr, "error: ") || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: status %d, %s", args, status, stderr)
		}
	}
}
