package drill

import (
	"errors"
	"os"
	"testing"
	"time"

	"polynat/internal/lab"
	"polynat/internal/sim/aws/api"
)

// requireRoot is set where the tests that need root must not be skipped.
const requireRoot = "POLYNAT_REQUIRE_ROOT"

// play holds drills once each, with all bounds but those in seconds, which are for a machine that has nothing else to do.
func play(t *testing.T, names ...string) []Result {
	t.Helper()
	t.Parallel()
	if err := Supported(); errors.Is(err, ErrUnsupported) && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	logs := t.TempDir()
	report, err := Run(t.Context(), Options{Names: names, Runs: 1, Logs: logs, untimed: true})
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		files, _ := os.ReadDir(logs)
		for _, f := range files {
			text, _ := os.ReadFile(logs + "/" + f.Name())
			t.Logf("%s:\n%s", f.Name(), text)
		}
		t.Fatal(err)
	}
	for _, r := range report.Drills {
		if r.Runs != 1 || r.AttemptedConnections == 0 || r.EstablishedConnections == 0 {
			t.Errorf("counts cannot be: %+v", r)
		}
	}
	return report.Drills
}

// The longest begins first.
func TestWhatIsNoFailureOfThePathMovesNothing(t *testing.T) {
	play(t, "one lost round", "DNS down", "targets down")
}

func TestAnAPIThatIsDownCostsNothingWhileThePathWorks(t *testing.T) { play(t, "API down") }

func TestTheStandbyTakesOverFromADeadInstance(t *testing.T) {
	r := play(t, "silent death")[0]
	if r.DecideSeconds.Median == 0 || r.OutageSeconds.Max == 0 || r.LostConnections == 0 || r.LostConnections >= r.AttemptedConnections {
		t.Errorf("counts cannot be: %+v", r)
	}
}

func TestASuccessorTakesOverWithoutCuttingAConnection(t *testing.T) { play(t, "planned rotation") }

func TestAnAddressThatIsNowhereForSecondsCutsNoConnection(t *testing.T) {
	play(t, "address is nowhere for 3 s")
}

func TestTheNetworkServiceFindsTheAddressAndCutsNobodyOff(t *testing.T) {
	if _, err := lab.NetworkServiceVersion(); err != nil && os.Getenv(requireRoot) != "1" {
		t.Skipf("%v (set %s=1 to fail instead)", err, requireRoot)
	}
	play(t, "network service finds the address")
}

func TestAWayBackThatFailsCostsClientsNothing(t *testing.T) { play(t, "claim back fails") }

// What would satisfy a looser bound than the one that is promised.
func TestABoundBreaks(t *testing.T) {
	held := func(d drill) Result { // by all bounds
		r := Result{Name: d.name, Runs: d.runs}
		for len(d.broken(r, false)) > 0 && r.Transitions < 3 {
			r.Transitions++
		}
		return r
	}
	for name, breaks := range map[string]func(*Result){
		"silent death":        func(r *Result) { r.secondCalls = 9 },
		"slow drip":           func(r *Result) { r.APICalls = 9 },
		"partial loss":        func(r *Result) { r.impaired.Max = 12 },
		"API down while dead": func(r *Result) { r.OutageSeconds = Spread{1, 3.1} },
		"API throttled":       func(r *Result) { r.OutageSeconds = Spread{1, 3.1} },
		"claim back":          func(r *Result) { r.LostConnections = 1 },
		"claim back fails":    func(r *Result) { r.CutConnections = 1 },
		"planned rotation":    func(r *Result) { r.CutConnections = 1 },

		"address is nowhere for 3 s": func(r *Result) { r.CutConnections = 1 },
		"address is nowhere for 8 s": func(r *Result) { r.LostConnections = 301 },
		"address stays for 8 s":      func(r *Result) { r.CutConnections = 1 },
		"address stays for 20 s":     func(r *Result) { r.OutageSeconds = Spread{1.6, 1.6} },
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := choose([]string{name})
			if err != nil {
				t.Fatal(err)
			}
			d := chosen[0]
			r := held(d)
			if broken := d.broken(r, false); len(broken) > 0 {
				t.Fatalf("broken by nothing: %q", broken)
			}
			if breaks(&r); len(d.broken(r, false)) != 1 {
				t.Errorf("%+v breaks %q, want one bound", r, d.broken(r, false))
			}
		})
	}
}

func TestPartialLossIsHeldToTheRuleThatDecidesOnIt(t *testing.T) {
	for _, test := range []struct {
		runs              int
		decided, impaired Spread
		broken            bool
	}{
		{10, Spread{3.8, 8}, Spread{3.8, 8}, false},
		{10, Spread{7.6, 8}, Spread{3.8, 8}, true},
		{10, Spread{3.8, 8}, Spread{7.6, 8}, true},
		{10, Spread{3.8, 11.6}, Spread{3.8, 8}, true},
		{1, Spread{8, 8}, Spread{8, 8}, false}, // one run has no median
		{1, Spread{8, 8}, Spread{11.6, 11.6}, true},
	} {
		b := share()
		if broken := !b.holds(Result{Runs: test.runs, DecideSeconds: test.decided, impaired: test.impaired}); broken != test.broken {
			t.Errorf("%+v: broken %v", test, broken)
		}
	}
}

func TestCallsOfASecondVerdictAreCountedApart(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	of := func(action string, seconds int) call {
		return call{api.Call{Caller: "controller", Action: action}, at(seconds)}
	}
	runs := []run{
		{"controller", at(0), at(9), false}, {"controller", at(10), at(19), false}, {"controller", at(20), at(29), true}, {"controller", at(30), at(39), false},
	}
	calls := []call{
		of("DescribeRouteTables", 1), // before anything happens
		of("DescribeRouteTables", 11), of("ReplaceRoute", 12), of("Publish", 13),
		of("DescribeRouteTables", 21), // of each minute
		of("DescribeRouteTables", 31), of("Invoke", 32),
	}
	if made, second := tally(runs, calls, at(10)); made != 3 || second != 2 {
		t.Errorf("%d calls, %d of a second verdict; want 3 and 2", made, second)
	}
	if made, second := tally(runs[2:], calls, at(10)); made != 2 || second != 0 {
		t.Errorf("%d calls, %d of a second verdict; want 2 and none where nothing moved", made, second)
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
