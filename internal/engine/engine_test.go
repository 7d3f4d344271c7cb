package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
)

func TestAnUpdateCreatesAndUpdatesBeforeItDeletes(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"old": 1, "keep": 1}))
	y.up(t, nil)
	y.happened()
	result := y.up(t, func(ctx *pulumi.Context) error {
		keep, err := newThing(ctx, "keep", pulumi.Map{"size": pulumi.Int(2)})
		if err != nil {
			return err
		}
		_, err = newThing(ctx, "new", pulumi.Map{}, pulumi.DependsOn([]pulumi.Resource{keep}))
		return err
	})
	if got, want := y.happened(), "update keep, create new, delete old"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want := map[string]int{"create": 1, "update": 1, "delete": 1, "same": 1}
	if diff := cmp.Diff(want, result.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	var ops []string
	for _, s := range result.Steps {
		ops = append(ops, s.Op)
	}
	if got, want := strings.Join(ops, " "), "update create delete"; got != want {
		t.Errorf("steps: got %s, want %s", got, want)
	}
}

func TestAReplacementCreatesBeforeItDeletes(t *testing.T) {
	t.Parallel()
	kind := func(k string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := newThing(ctx, "a", pulumi.Map{"kind": pulumi.String(k)})
			return err
		}
	}
	y := newToy(t, kind("x"))
	y.up(t, nil)
	y.happened()
	result := y.up(t, kind("y"))
	if got, want := y.happened(), "create a, delete a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if result.Changes["replace"] != 1 {
		t.Errorf("changes: %v, want one replacement", result.Changes)
	}
	if got := y.cloud.ids(); len(got) != 1 {
		t.Errorf("left in the cloud: %v, want one", got)
	}
}

func TestAnErrorOfTheProgramStopsEverything(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	y.happened()
	refuse := func(*pulumi.Context) error { return errors.New("stage 9: not a stage (use 0 to 7)") }

	err := y.fail(t, refuse)
	var failed *engine.Error
	if !errors.As(err, &failed) || failed.Op != "up" {
		t.Errorf("got %#v, want an *engine.Error of up", err)
	}
	if got, want := err.Error(), "up: stage 9: not a stage (use 0 to 7)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := y.happened(); got != "" {
		t.Errorf("operations: %s, want none", got)
	}
	if _, err := y.Preview(context.Background()); err == nil || !strings.Contains(err.Error(), "stage 9") {
		t.Errorf("preview: %v, want the program's error", err)
	}
	if got := y.names(); got != "a" {
		t.Errorf("state: %s, want a", got)
	}
}

func TestAPanicOfTheProgramIsAnError(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(*pulumi.Context) error { panic("out of cheese") })
	if err := y.fail(t, nil); !strings.Contains(err.Error(), "out of cheese") {
		t.Errorf("got %v, want the panic's message", err)
	}
}

func TestPreviewChangesNothingAndSaysWhatWouldChange(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		a, err := newThing(ctx, "a", pulumi.Map{})
		if err != nil {
			return err
		}
		_, err = newThing(ctx, "b", pulumi.Map{"ref": a.Address})
		return err
	})
	result, err := y.Preview(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if result.Changes["create"] != 3 { // with the stack itself
		t.Errorf("changes: %v, want 3 creations", result.Changes)
	}
	if len(y.server.Operations()) != 0 || len(y.URNs()) != 0 {
		t.Errorf("operations %v, state %v: want neither", y.server.Operations(), y.URNs())
	}
}

func TestAnInvalidInputFailsTheUpdateWithItsReason(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "a", pulumi.Map{"shade": pulumi.String("red")})
		return err
	})
	if err := y.fail(t, nil); !strings.Contains(err.Error(), `"red": not a property of toy:index:Thing`) {
		t.Errorf("got %v, want the reason", err)
	}
}

func TestTheProgramGetsItsConfiguration(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	y := newToyWith(t, engine.Options{
		Config: map[string]string{"proj:nat": `{"stage":"adopt"}`, "toy:region": "here"},
		Program: func(ctx *pulumi.Context) error {
			nat, _ := ctx.GetConfig("proj:nat")      //nolint:forbidigo // this program stands for any
			region, _ := ctx.GetConfig("toy:region") //nolint:forbidigo // this program stands for any
			got.Store(nat + " " + region)
			return nil
		},
	})
	y.up(t, nil)
	if want := `{"stage":"adopt"} here`; got.Load() != want {
		t.Errorf("got %v, want %v", got.Load(), want)
	}
	if err := y.SetConfig("nat", "x"); err == nil {
		t.Error("a key without a namespace was accepted")
	}
}

func TestTheProgramCanAskTheCloud(t *testing.T) {
	t.Parallel()
	var count atomic.Value
	y := newToy(t, things(map[string]int{"a": 1, "b": 1}))
	y.up(t, nil)
	y.up(t, func(ctx *pulumi.Context) error {
		var result struct {
			Count int `pulumi:"count"`
		}
		err := ctx.Invoke("toy:index:count", map[string]any{"atLeast": 0}, &result)
		count.Store(result.Count)
		return errors.Join(err, things(map[string]int{"a": 1, "b": 1})(ctx))
	})
	if count.Load() != 2 {
		t.Errorf("got %v, want 2", count.Load())
	}
}

// staged is a program with a gate: a route, and a marker component that depends on it and whose hook may refuse. The
// exports resolve with the marker.
func staged(stage int, refuse error) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		route, err := newThing(ctx, "route", pulumi.Map{"size": pulumi.Int(stage)})
		if err != nil {
			return err
		}
		if stage == 1 {
			if _, err := newThing(ctx, "old", pulumi.Map{}); err != nil {
				return err
			}
		}
		gate, err := ctx.RegisterResourceHook("gate", func(*pulumi.ResourceHookArgs) error { return refuse }, nil)
		if err != nil {
			return err
		}
		var marker pulumi.ResourceState
		err = ctx.RegisterComponentResourceV2("toy:index:Marker", "marker", pulumi.Map{"stage": pulumi.Int(stage)}, &marker,
			pulumi.DependsOn([]pulumi.Resource{route}),
			pulumi.ResourceHooks(&pulumi.ResourceHookBinding{
				BeforeCreate: []*pulumi.ResourceHook{gate},
				BeforeUpdate: []*pulumi.ResourceHook{gate},
			}))
		if err != nil {
			return err
		}
		if err := ctx.RegisterResourceOutputs(&marker, pulumi.Map{}); err != nil {
			return err
		}
		ctx.Export("stage", marker.URN().ApplyT(func(pulumi.URN) int { return stage }))
		return nil
	}
}

func TestAHookThatRefusesStopsTheDeletesAndTheExports(t *testing.T) {
	t.Parallel()
	y := newToy(t, staged(1, nil))
	y.up(t, nil)
	y.happened()
	if diff := cmp.Diff(map[string]any{"stage": 1.0}, y.Outputs()); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}

	for range 2 { // a second try is refused as well
		err := y.fail(t, staged(2, errors.New("no connection through the new gateway")))
		if !strings.Contains(err.Error(), "no connection through the new gateway") {
			t.Errorf("got %v, want the hook's error", err)
		}
		if got := y.happened(); strings.Contains(got, "delete") {
			t.Errorf("operations: %s, want no delete", got)
		}
		if got := y.Outputs()["stage"]; got != 1.0 {
			t.Errorf("stage is recorded as %v, want 1", got)
		}
	}

	y.up(t, staged(2, nil))
	if got, want := y.happened(), "delete old"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := y.Outputs()["stage"]; got != 2.0 {
		t.Errorf("stage is recorded as %v, want 2", got)
	}
}

func TestAHookThatRefusesTheFirstTimeRecordsNoOutput(t *testing.T) {
	t.Parallel()
	y := newToy(t, staged(1, errors.New("refused")))
	_ = y.fail(t, nil)
	if len(y.Outputs()) != 0 {
		t.Errorf("outputs: %v, want none", y.Outputs())
	}
}

func TestTheProgramReadsItsLastOutputs(t *testing.T) {
	t.Parallel()
	var before atomic.Value
	program := func(stage int) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			var answer struct {
				Outputs map[string]any `pulumi:"outputs"`
			}
			read := func() error {
				return ctx.Invoke("pulumi:pulumi:readStackOutputs", map[string]any{"name": engine.Organization + "/proj/dev"}, &answer)
			}
			err := read()
			for range 3 { // the engine may be writing that the registration of the stack itself begins, and that it has ended
				if err != nil {
					err = read()
				}
			}
			before.Store(fmt.Sprint(answer.Outputs))
			return errors.Join(err, staged(stage, nil)(ctx))
		}
	}
	y := newToy(t, program(1))
	y.up(t, nil)
	if got := before.Load(); got != "map[]" {
		t.Errorf("at the first deployment: %v, want an empty map", got)
	}
	y.SetProgram(program(2))
	for _, run := range []func(context.Context) (*engine.Result, error){y.Preview, y.Up} {
		if _, err := run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := before.Load(); got != "map[stage:1]" {
			t.Errorf("at the second deployment: %v, want stage 1", got)
		}
	}
}

func TestAProgramThatReadsWhatTheEngineWritesFindsItEmptyOnce(t *testing.T) {
	t.Parallel()
	var answers atomic.Value
	y := newToy(t, func(ctx *pulumi.Context) error {
		r, err := newThing(ctx, "a", pulumi.Map{})
		if err != nil {
			return err
		}
		read := make(chan string, 2)
		ctx.Export("id", r.ID().ApplyT(func(id pulumi.ID) pulumi.ID { // a has been recorded
			for range cap(read) {
				var answer struct{}
				err := ctx.Invoke("pulumi:pulumi:readStackResourceOutputs", map[string]any{"stackName": "dev"}, &answer)
				read <- fmt.Sprint(err)
			}
			answers.Store(<-read + ", " + <-read)
			return id
		}))
		return nil
	})
	y.up(t, nil)
	if got, _ := answers.Load().(string); !strings.HasSuffix(got, "failed to load checkpoint: EOF, <nil>") {
		t.Errorf("answers %q, want one that the checkpoint is empty, then one without an error", got)
	}
}

func TestAnImportTakesOverWhatIsThereWithoutChangingIt(t *testing.T) {
	t.Parallel()
	adopt := func(id string, size int) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := newThing(ctx, "a", pulumi.Map{"size": pulumi.Int(size)}, pulumi.Import(pulumi.ID(id)))
			return err
		}
	}
	y := newToy(t, nil)
	y.cloud.things["t-live"] = sim.Object{"size": 7.0}
	result := y.up(t, adopt("t-live", 7))
	if got := y.happened(); got != "" || result.Changes["import"] != 1 {
		t.Errorf("operations %q, changes %v: want an import and no change", got, result.Changes)
	}
	y.up(t, things(map[string]int{"a": 7})) // without the option: nothing either
	if got := y.happened(); got != "" || y.names() != "a" {
		t.Errorf("operations %q, state %s: want none and a", got, y.names())
	}
}

func TestAnImportOfWhatIsNotThereFails(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "a", pulumi.Map{}, pulumi.Import(pulumi.ID("t-none")))
		return err
	})
	if err := y.fail(t, nil); !strings.Contains(err.Error(), "t-none") {
		t.Errorf("got %v, want the missing id", err)
	}
	if got := y.happened(); got != "" {
		t.Errorf("operations: %s, want none", got)
	}
}

func TestWhatIsProtectedIsNotDeleted(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "a", pulumi.Map{}, pulumi.Protect(true))
		return err
	})
	y.up(t, nil)
	y.happened()
	_ = y.fail(t, things(nil))
	if _, err := y.Destroy(context.Background()); err == nil {
		t.Error("destroy: succeeded")
	}
	if got := y.happened(); got != "" || y.names() != "a" {
		t.Errorf("operations %q, state %s: want none and a", got, y.names())
	}
}

func TestAnAliasMovesAResourceWithoutAnOperation(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	y.happened()
	y.up(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "b", pulumi.Map{}, pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("a")}}))
		return err
	})
	if got := y.happened(); got != "" || y.names() != "b" {
		t.Errorf("operations %q, state %s: want none and b", got, y.names())
	}
}

func TestSecretsStayRecordedAsSecrets(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "a", pulumi.Map{"secret": pulumi.ToSecret(pulumi.String("hush"))})
		ctx.Export("secret", pulumi.ToSecret(pulumi.String("hush")))
		return err
	})
	y.up(t, nil)
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(exported), "hush") {
		t.Error("the exported state holds the secret in plain text")
	}
	if got := y.Outputs()["secret"]; got != "hush" {
		t.Errorf("output: %v, want the secret", got)
	}
}

// once returns a Fault that gives the verdict to the first operation of that kind on that name.
func once(kind sim.Kind, name string, verdict sim.Verdict) func(sim.Operation) sim.Verdict {
	done := false
	return func(op sim.Operation) sim.Verdict {
		if done || op.Kind != kind || op.Name != name {
			return sim.Proceed
		}
		done = true
		return verdict
	}
}

func TestAFailedCreationIsTriedAgain(t *testing.T) {
	t.Parallel()
	for verdict, left := range map[sim.Verdict]int{
		sim.FailBefore: 1,
		sim.FailAfter:  2, // one of them belongs to nobody
	} {
		y := newToy(t, things(map[string]int{"a": 1}))
		y.server.Fault = once(sim.Create, "a", verdict)
		_ = y.fail(t, nil)
		if y.names() != "" || len(y.Pending()) != 0 {
			t.Errorf("%s: state %q, pending %v: want neither", verdict, y.names(), y.Pending())
		}
		y.up(t, nil)
		if got := len(y.cloud.ids()); got != left || y.names() != "a" {
			t.Errorf("%s: %d in the cloud, %q in the state: want %d and a", verdict, got, y.names(), left)
		}
	}
}

func TestAnObjectThatWasMadeAndIsNotRightIsRecordedAndUpdated(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, "a", pulumi.Map{"kind": pulumi.String("sluggish")})
		return err
	})
	if err := y.fail(t, nil); !strings.Contains(err.Error(), "never available") || y.names() != "a" {
		t.Errorf("error %v, state %s: want the reason and a", err, y.names())
	}
	y.happened()
	y.up(t, nil)
	if got, want := y.happened(), "update a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAfterACrashInACreationTheStateHoldsThePendingOperationAndNoResource(t *testing.T) {
	t.Parallel()
	y := newToy(t, chain("a", "b", "c"))
	y.server.Fault = once(sim.Create, "b", sim.Crash)
	if err := y.fail(t, nil); !errors.Is(err, engine.ErrCrashed) || err.Error() != "up: the process died" {
		t.Errorf("got %v, want ErrCrashed alone", err)
	}
	if got := y.names(); got != "a" {
		t.Errorf("state: %s, want a", got)
	}
	if got := len(y.cloud.ids()); got != 2 {
		t.Errorf("in the cloud: %d, want 2", got)
	}
	want := []string{"creating urn:pulumi:dev::proj::toy:index:Thing::b"}
	if diff := cmp.Diff(want, y.Pending()); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}

	result := y.up(t, nil)
	if !strings.Contains(strings.Join(result.Diagnostics, "\n"), "pending operations") {
		t.Errorf("diagnostics: %v, want a warning of pending operations", result.Diagnostics)
	}
	if got := y.names(); got != "a b c" {
		t.Errorf("state: %s, want a b c", got)
	}
	if diff := cmp.Diff(want, y.Pending()); diff != "" {
		t.Errorf("pending after the next update (-want +got):\n%s", diff)
	}
	y.ClearPendingCreates()
	result = y.up(t, nil)
	if len(y.Pending()) != 0 || len(result.Diagnostics) != 0 {
		t.Errorf("pending %v, diagnostics %v after clearing: want neither", y.Pending(), result.Diagnostics)
	}
}

func TestAfterACrashInADeletionARefreshRepairsTheState(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1, "b": 1}))
	y.up(t, nil)
	y.server.Fault = once(sim.Delete, "b", sim.Crash)
	if err := y.fail(t, things(map[string]int{"a": 1})); !errors.Is(err, engine.ErrCrashed) {
		t.Errorf("got %v, want ErrCrashed", err)
	}
	if got := y.names(); got != "a b" {
		t.Errorf("state after the crash: %s, want a b", got)
	}
	result, err := y.Refresh(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := y.names(); got != "a" || result.Changes["delete"] != 1 {
		t.Errorf("state %s, changes %v after the refresh: want a and one delete", got, result.Changes)
	}
	y.happened()
	y.up(t, nil)
	if got := y.happened(); got != "" || len(y.Pending()) != 0 {
		t.Errorf("operations %q, pending %v: want neither", got, y.Pending())
	}
}

func TestACrashInADeletionEndsTheRun(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1, "b": 1}))
	y.up(t, nil)
	y.server.Fault = once(sim.Delete, "b", sim.Crash)
	if err := y.fail(t, things(map[string]int{"a": 1})); !errors.Is(err, engine.ErrCrashed) {
		t.Errorf("got %v, want ErrCrashed", err)
	}
}

func TestACrashInAnUpdateKeepsTheOldValueInTheState(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	y.server.Fault = once(sim.Update, "a", sim.Crash)
	_ = y.fail(t, things(map[string]int{"a": 2}))
	y.happened()
	y.up(t, nil) // the state says 1, so it is updated again
	if got, want := y.happened(), "update a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARefreshSeesADriftAndTheNextUpdateUndoesIt(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	y.happened()
	for _, thing := range y.cloud.things {
		thing["size"] = 9.0
	}
	result, err := y.Refresh(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if result.Changes["update"] != 1 || len(result.Steps) != 1 {
		t.Errorf("changes %v, steps %v: want one update", result.Changes, result.Steps)
	}
	y.up(t, nil)
	if got, want := y.happened(), "update a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARefreshDropsReferencesToWhatIsGone(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		a, err := newThing(ctx, "a", pulumi.Map{})
		if err != nil {
			return err
		}
		_, err = newThing(ctx, "b", pulumi.Map{"ref": a.Address}, pulumi.Parent(a), pulumi.DeletedWith(a))
		return err
	})
	y.up(t, nil)
	for id, thing := range y.cloud.things {
		if thing["ref"] == nil {
			delete(y.cloud.things, id) // a, behind the program's back
		}
	}
	if _, err := y.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := y.names(); got != "b" {
		t.Errorf("state: %s, want b", got)
	}
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	if err := y.Import(exported); err != nil {
		t.Errorf("the state is not sound: %v", err)
	}
	y.happened()
	y.up(t, nil)
	if got, want := y.happened(), "create a, update b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAReplacementThatDeletesFirstIsTakenUpAfterACrash(t *testing.T) {
	t.Parallel()
	kind := func(k string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := newThing(ctx, "a", pulumi.Map{"kind": pulumi.String(k)}, pulumi.DeleteBeforeReplace(true))
			return err
		}
	}
	y := newToy(t, kind("x"))
	y.up(t, nil)
	y.server.Fault = once(sim.Create, "a", sim.FailBefore)
	_ = y.fail(t, kind("y"))
	if len(y.cloud.ids()) != 0 {
		t.Errorf("in the cloud: %v, want nothing", y.cloud.ids())
	}
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(exported), `"pendingReplacement": true`) {
		t.Error("the state does not say that the replacement is pending")
	}
	y.happened()
	y.up(t, nil)
	if got, want := y.happened(), "create a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestACloneLivesItsOwnLife(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	y.happened()

	other := newToy(t, nil)
	other.cloud.things = map[string]sim.Object{"t-1": {"size": 1.0}}
	clone := y.Clone()
	defer clone.Close()
	clone.SetProviders(map[string]pulumirpc.ResourceProviderServer{"toy": other.server})
	clone.SetProgram(things(nil))
	if _, err := clone.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, want := other.happened(), "delete a"; got != want {
		t.Errorf("clone: got %s, want %s", got, want)
	}
	if got := y.happened(); got != "" || y.names() != "a" {
		t.Errorf("original: operations %q, state %s: want none and a", got, y.names())
	}
	y.up(t, nil)
	if got := y.happened(); got != "" {
		t.Errorf("original afterwards: operations %q, want none", got)
	}
}

func TestAnExportedStateGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	y := newToy(t, staged(1, nil))
	y.up(t, nil)
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	other := newToy(t, staged(1, nil))
	other.cloud.things = y.cloud.things
	if err := other.Import(exported); err != nil {
		t.Fatal(err)
	}
	again, err := other.Export()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(exported), string(again)); diff != "" {
		t.Errorf("export after import (-want +got):\n%s", diff)
	}
	other.up(t, nil)
	if got := other.happened(); got != "" {
		t.Errorf("operations: %s, want none", got)
	}
	if got := other.Outputs()["stage"]; got != 1.0 {
		t.Errorf("stage: %v, want 1", got)
	}
}

func TestAStateWithSecretsOfAnotherKeyIsImportedBlinded(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error {
		ctx.Export("password", pulumi.ToSecret(pulumi.String("hush")))
		_, err := newThing(ctx, "a", pulumi.Map{})
		return err
	})
	y.up(t, nil)
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	foreign := strings.Replace(string(exported), `"type": "b64"`,
		`"type": "passphrase", "state": {"salt": "v1:unknown"}`, 1)
	if foreign == string(exported) {
		t.Fatal("the exported state names no secrets provider")
	}
	if err := y.Import([]byte(foreign)); err != nil {
		t.Fatal(err)
	}
	if got := y.Outputs()["password"]; got != engine.Blind {
		t.Errorf("got %v, want %s", got, engine.Blind)
	}
	y.happened()
	y.up(t, nil)
	if got := y.happened(); got != "" {
		t.Errorf("operations: %s, want none", got)
	}
}

func TestAnImportRefusesAStateThatIsNotTheStacksOwn(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]string{
		"other stack": strings.ReplaceAll(string(exported), "dev::", "prod::"),
		"no JSON":     "{",
		"no state":    "{}",
		"newer":       `{"version": 99, "deployment": {}}`,
		"broken": strings.Replace(string(exported),
			`"parent": "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"`,
			`"parent": "urn:pulumi:dev::proj::toy:index:Thing::gone"`, 1),
	} {
		if err := y.Import([]byte(state)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := y.names(); got != "a" {
		t.Errorf("state: %s, want a", got)
	}
}

func TestAnExportIsWhatTheCLIReads(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.up(t, nil)
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Version    int
		Deployment struct {
			Manifest  struct{ Time string }
			Resources []struct{ URN string }
		}
	}
	if err := json.Unmarshal(exported, &state); err != nil {
		t.Fatal(err)
	}
	if state.Version != 3 || len(state.Deployment.Resources) != 3 { // stack, default provider, a
		t.Errorf("got version %d and %d resources, want 3 and 3", state.Version, len(state.Deployment.Resources))
	}
}

func TestDestroyEmptiesCloudAndState(t *testing.T) {
	t.Parallel()
	y := newToy(t, staged(1, nil))
	y.up(t, nil)
	if _, err := y.Destroy(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(y.cloud.ids()) != 0 || len(y.URNs()) != 0 || len(y.Outputs()) != 0 {
		t.Errorf("left: cloud %v, state %v, outputs %v", y.cloud.ids(), y.URNs(), y.Outputs())
	}
}

func TestEventsTellWhatBeginsEndsAndFails(t *testing.T) {
	t.Parallel()
	var events []string
	y := newToyWith(t, engine.Options{
		Events: func(e engine.Event) {
			if e.Kind == engine.EventDiag {
				events = append(events, fmt.Sprintf("%s: %s", e.Op, e.Message))
			} else if e.Type == thingType {
				events = append(events, fmt.Sprintf("%s %s %s", e.Kind, e.Op, e.URN[strings.LastIndex(e.URN, ":")+1:]))
			}
		},
		Program: func(ctx *pulumi.Context) error {
			if err := ctx.Log.Warn("mind the gap", nil); err != nil {
				return err
			}
			return chain("a", "b")(ctx)
		},
	})
	y.server.Fault = once(sim.Create, "b", sim.FailBefore)
	_ = y.fail(t, nil)
	all := strings.Join(events, "\n")
	for _, want := range []string{
		"warning: mind the gap", "start create a", "done create a", "start create b", "failed create b",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no event %q in:\n%s", want, all)
		}
	}
}

func TestAProgramMayLogAnErrorAndGoOn(t *testing.T) {
	t.Parallel()
	y := newToy(t, func(ctx *pulumi.Context) error { return ctx.Log.Error("the old gateway is slow", nil) })
	result := y.up(t, nil)
	if diff := cmp.Diff([]string{"error: the old gateway is slow"}, result.Diagnostics); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
}

func TestACancelledContextEndsTheRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	y := newToy(t, chain("a", "b"))
	y.server.Observe = func(sim.Operation) { cancel() }
	if _, err := y.Up(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := y.happened(); got != "create a" || y.names() != "a" {
		t.Errorf("operations %q, state %q: want a in both", got, y.names())
	}
}

func TestAPackageOfABasePluginIsServedWhenItIsParameterized(t *testing.T) {
	schema, err := sim.ParseSchema([]byte(strings.Replace(toySchema, `"version": "1.0.0",`, `"version": "1.0.0", "basePlugin": "bridge",`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	program := func(ctx *pulumi.Context) error {
		ref, err := ctx.RegisterPackage(&pulumirpc.RegisterPackageRequest{
			Name: "bridge", Version: "9.9.9",
			Parameterization: &pulumirpc.Parameterization{Name: "toy", Version: "1.0.0", Value: []byte("upstream")},
		})
		if err != nil {
			return err
		}
		var r thing
		return ctx.RegisterPackageResource(thingType, "a", pulumi.Map{"size": pulumi.Int(1)}, &r, ref.GetRef())
	}
	y := newToy(t, program)
	y.SetProviders(map[string]pulumirpc.ResourceProviderServer{"toy": sim.NewServer(schema, y.cloud)})
	y.up(t, nil)
	y.up(t, nil) // the provider is loaded from the state as well
	if got := y.cloud.ids(); len(got) != 1 {
		t.Errorf("things %v, want one", got)
	}
	y.SetProviders(map[string]pulumirpc.ResourceProviderServer{"toy": y.server})
	if err := y.fail(t, nil); !strings.Contains(err.Error(), "plugin toy takes no parameters") {
		t.Errorf("error of a package with a plugin of its own: %v", err)
	}
	y.SetProviders(nil)
	if err := y.fail(t, nil); !strings.Contains(err.Error(), `provider "bridge": not simulated`) {
		t.Errorf("error without a provider: %v", err)
	}
}

func TestReplacementsMayBeAskedFor(t *testing.T) {
	y := newToy(t, things(map[string]int{"a": 1, "b": 1}))
	y.up(t, nil)
	y.happened()
	for _, urn := range y.URNs() {
		if strings.HasSuffix(urn, "::a") {
			y.SetReplace(urn)
		}
	}
	y.up(t, nil)
	if got := y.happened(); got != "create a, delete a" {
		t.Errorf("operations %q", got)
	}
	y.SetReplace()
	y.up(t, nil)
	if got := y.happened(); got != "" {
		t.Errorf("operations %q when nothing is asked for", got)
	}
}

func TestAPackageWithoutAProviderIsAnError(t *testing.T) {
	t.Parallel()
	y := newToy(t, things(map[string]int{"a": 1}))
	y.SetProviders(nil)
	if err := y.fail(t, nil); !strings.Contains(err.Error(), `provider "toy": not simulated`) {
		t.Errorf("got %v, want the missing provider", err)
	}
}

func TestAStackThatCannotBeNamedIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]engine.Options{
		"no project": {Stack: "dev"},
		"no stack":   {Project: "proj"},
		"bad stack":  {Project: "proj", Stack: "a b"},
		"bad key":    {Project: "proj", Stack: "dev", Config: map[string]string{"stage": "1"}},
	} {
		if _, err := engine.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Not parallel: it counts the goroutines of the process.
func TestRunsLeaveNoGoroutinesBehind(t *testing.T) {
	const runs = 20
	y := newToy(t, staged(0, nil))
	y.up(t, nil)
	before := runtime.NumGoroutine()
	for i := range runs {
		y.up(t, staged(i, nil))
	}
	y.Close()
	// What a run has stopped ends in its own time.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after %d runs:\n%s", before, runtime.NumGoroutine(), runs, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// Not parallel: it looks at all goroutines of the process. An engine that gives up answers the program's questions no more.
func TestARunThatFailsLeavesNoProgramBehind(t *testing.T) {
	y := newToy(t, nil)
	_ = y.fail(t, func(ctx *pulumi.Context) error {
		broken, err := newThing(ctx, "broken", pulumi.Map{"kind": pulumi.String("sluggish")})
		if err != nil {
			return err
		}
		_, err = newThing(ctx, "after", pulumi.Map{"note": broken.Address})
		return err
	})
	stacks := make([]byte, 4<<20)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		all := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(all, "pulumi.RunWithContext(") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the program still runs:\n%s", all)
		}
	}
}

func BenchmarkUp(b *testing.B) {
	sizes := func(n int) map[string]int {
		m := map[string]int{}
		for i := range 20 {
			m[fmt.Sprintf("thing-%02d", i)] = n
		}
		return m
	}
	y := newToy(b, things(sizes(0)))
	y.up(b, nil)
	n := 0
	for b.Loop() {
		n++
		y.up(b, things(sizes(n)))
	}
}
