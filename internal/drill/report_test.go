package drill

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestTheReportForMachinesHasTheseFieldsAndNoOther(t *testing.T) {
	r := Report{Drills: []Result{{Name: "reboot", Runs: 1, problems: []string{"a bound"}, notes: []string{"a note"}}}}
	var out bytes.Buffer
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	zero := map[string]any{"median": 0.0, "max": 0.0}
	want := map[string]any{"ok": false, "drills": []any{map[string]any{
		"name": "reboot", "runs": 1.0, "decideSeconds": zero, "outageSeconds": zero, "lostConnections": 0.0, "attemptedConnections": 0.0,
		"cutConnections": 0.0, "establishedConnections": 0.0, "transitions": 0.0, "apiCalls": 0.0,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Err() == nil {
		t.Error("a broken bound is no error")
	}
}
