package drill

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/terminal"
)

func TestTheMedianIsOfTheRunsAndTheRestIsSummedOrTheWorst(t *testing.T) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	r := collect(drill{name: "silent death"}, []measure{
		{decided: true, decide: seconds(1.25), outage: seconds(1.3), lost: 60, attempted: 250, cut: 12, established: 12, transitions: 1, calls: 8},
		{outage: 0, attempted: 250, established: 12, calls: 2},
		{decided: true, decide: seconds(1), outage: seconds(1.1), lost: 50, attempted: 250, cut: 12, established: 12, transitions: 2, calls: 7, secondCalls: 3},
	})
	want := Result{
		Name: "silent death", Runs: 3, DecideSeconds: Spread{1.125, 1.25}, OutageSeconds: Spread{1.1, 1.3},
		LostConnections: 110, AttemptedConnections: 750, CutConnections: 24, EstablishedConnections: 36, Transitions: 2, APICalls: 8, secondCalls: 3,
	}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(Result{}, measure{})); diff != "" {
		t.Error(diff)
	}
}

func TestTheReportSaysWhatThePeerTakes(t *testing.T) {
	r := Report{OK: true, size: size{natd: 10 << 20, failover: 12 << 20, archive: 4 << 20}}
	r.add(Result{Name: "reboot", Runs: 1, secondCalls: 3, Notes: []string{strings.Repeat("a note that is long ", 9)}, footprint: measure{
		proberMemory: 16 << 20, controllerMemory: 17 << 20, coldStarts: []time.Duration{14 * time.Millisecond},
	}})
	var out bytes.Buffer
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(out.String(), "\n  ", " ")
	for _, want := range []string{
		"reboot: 3 API calls more for verdicts that moved nothing\n",
		"prober 16.0 MiB, controller 17.0 MiB; cold start 14 ms, at most 14 ms (alterNAT's function: 65.6 MiB, 385 ms)\n",
		"binaries: natd 10.0 MiB, failover 12.0 MiB, zipped 4.0 MiB\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimSuffix(line, "\n")) > terminal.Columns {
			t.Errorf("longer than %d columns: %s", terminal.Columns, line)
		}
	}
}

func TestTheReportForMachinesHasTheseFieldsAndNoOther(t *testing.T) {
	r := Report{Drills: []Result{{Name: "reboot", Runs: 1, Broken: []string{"a bound"}, Failed: []string{"run 1: a reason"}, Notes: []string{"a note"}}}}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	zero := map[string]any{"median": 0.0, "max": 0.0}
	want := map[string]any{"drills": []any{map[string]any{
		"name": "reboot", "runs": 1.0, "decideSeconds": zero, "outageSeconds": zero, "lostConnections": 0.0, "attemptedConnections": 0.0,
		"cutConnections": 0.0, "establishedConnections": 0.0, "transitions": 0.0, "apiCalls": 0.0,
		"broken": []any{"a bound"}, "failed": []any{"run 1: a reason"}, "notes": []any{"a note"},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABrokenBoundIsToldFromARunThatCouldNotBeHeld(t *testing.T) {
	broken := (&Report{Drills: []Result{{Name: "reboot", Broken: []string{"a bound"}}}}).Err()
	failed := (&Report{Drills: []Result{{Name: "reboot", Failed: []string{"run 1: a reason"}}}}).Err()
	if !errors.Is(broken, ErrBroken) || failed == nil || errors.Is(failed, ErrBroken) {
		t.Errorf("%v, and %v", broken, failed)
	}
	if all := (&Report{broken: []string{"the prober held 99 MiB"}}).Err(); !errors.Is(all, ErrBroken) {
		t.Errorf("a bound of all drills: %v", all)
	}
}

func TestTheReportSaysWithWhichNetworkServiceItWas(t *testing.T) {
	for want, r := range map[string]Report{
		"systemd 252, whose tool asks for addresses 3 s after the boot and every 6 s, instead of 30 s and 60 s on Amazon Linux": {NetworkService: "systemd 252"},
		"there is none here, so that the lab configured the interfaces; not held: one, another":                                 {noService: "there is none here", Skipped: []string{"one", "another"}},
	} {
		var b strings.Builder
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}
