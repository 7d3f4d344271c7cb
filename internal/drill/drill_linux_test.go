package drill

import (
	"errors"
	"os"
	"testing"
)

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

// The bounds in seconds are for a machine that has nothing else to do; here a drill has to do what it is for.
func TestTheStandbyTakesOverFromADeadInstance(t *testing.T) {
	if err := Supported(); errors.Is(err, ErrUnsupported) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	logs := t.TempDir()
	report, err := Run(t.Context(), Options{Names: []string{"silent death"}, Runs: 1, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	r := report.Drills[0]
	if r.Runs != 1 {
		files, _ := os.ReadDir(logs)
		for _, f := range files {
			text, _ := os.ReadFile(logs + "/" + f.Name())
			t.Logf("%s", text)
		}
		t.Fatal(report.Err())
	}
	if r.Transitions != 1 || r.DecideSeconds.Median == 0 {
		t.Errorf("the zone did not move to its standby once: %+v", r)
	}
	if r.APICalls > maxCalls {
		t.Errorf("%d calls, want at most %d", r.APICalls, maxCalls)
	}
	// Detection alone takes one second; ten is what the peer needs at best.
	if r.OutageSeconds.Max < 0.5 || r.OutageSeconds.Max > 10 {
		t.Errorf("outage of %.2f s", r.OutageSeconds.Max)
	}
	if r.LostConnections == 0 || r.LostConnections >= r.AttemptedConnections || r.EstablishedConnections == 0 {
		t.Errorf("counts cannot be: %+v", r)
	}
}

func TestADrillThatIsNotKnownIsRefusedByName(t *testing.T) {
	if _, err := choose([]string{"silent death", "flood"}); err == nil {
		t.Error("accepted")
	}
}

func TestEveryDrillHasANameAScriptAndABound(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range drills() {
		if seen[d.name] || d.play == nil || len(d.bounds) == 0 || d.runs < 1 {
			t.Errorf("drill %q: is not complete, or there twice", d.name)
		}
		seen[d.name] = true
	}
}
