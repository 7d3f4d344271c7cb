package engine_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"pgregory.net/rapid"

	"polynat/internal/engine"
	"polynat/internal/sim"
)

// wanted is one thing of a drawn program.
type wanted struct {
	size  int
	kind  string // a change replaces
	after string // the thing that it refers to, if that one is in the program
	first bool   // a replacement deletes before it creates
}

// drawn is a program drawn at random: things by name, which refer to things of smaller names only.
type drawn map[string]wanted

func drawProgram() *rapid.Generator[drawn] {
	names := []string{"a", "b", "c", "d", "e"}
	return rapid.Custom(func(t *rapid.T) drawn {
		d := drawn{}
		for i, name := range names {
			if !rapid.Bool().Draw(t, name) {
				continue
			}
			d[name] = wanted{
				size:  rapid.IntRange(1, 2).Draw(t, name+" size"),
				kind:  rapid.SampledFrom([]string{"x", "y"}).Draw(t, name+" kind"),
				after: rapid.SampledFrom(append([]string{""}, names[:i]...)).Draw(t, name+" after"),
				first: rapid.Bool().Draw(t, name+" deletes first"),
			}
		}
		return d
	})
}

func (d drawn) program(ctx *pulumi.Context) error {
	made := map[string]*thing{}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		w := d[name]
		props := pulumi.Map{"size": pulumi.Int(w.size), "kind": pulumi.String(w.kind)}
		if before, ok := made[w.after]; ok {
			props["ref"] = before.Address
		}
		r, err := newThing(ctx, name, props, pulumi.DeleteBeforeReplace(w.first))
		if err != nil {
			return err
		}
		made[name] = r
	}
	return nil
}

func TestWhateverGoesWrongTheStateStaysSoundAndTheNextUpdatesConverge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		y := newToy(t, nil)
		defer y.Close()
		ctx := context.Background()
		for range rapid.IntRange(1, 4).Draw(rt, "updates") {
			program := drawProgram().Draw(rt, "program")
			at := rapid.IntRange(1, 6).Draw(rt, "fault at")
			verdict := rapid.SampledFrom([]sim.Verdict{sim.Proceed, sim.FailBefore, sim.FailAfter, sim.Crash}).Draw(rt, "verdict")
			n := 0
			y.server.Fault = func(sim.Operation) sim.Verdict {
				if n++; n == at {
					return verdict
				}
				return sim.Proceed
			}
			y.SetProgram(program.program)
			_, err := y.Up(ctx)
			if crashed := verdict == sim.Crash && n >= at; crashed != errors.Is(err, engine.ErrCrashed) {
				rt.Fatalf("verdict %s at %d of %d: %v", verdict, at, n, err)
			}
			sound(rt, y)
		}

		y.server.Fault = nil
		y.ClearPendingCreates()
		for _, run := range []func(context.Context) (*engine.Result, error){y.Refresh, y.Up} {
			if _, err := run(ctx); err != nil {
				rt.Fatal(err)
			}
			sound(rt, y)
		}
		y.happened()
		if _, err := y.Up(ctx); err != nil {
			rt.Fatal(err)
		}
		if got := y.happened(); got != "" {
			rt.Errorf("the last update is not the last: %s", got)
		}
		if _, err := y.Destroy(ctx); err != nil {
			rt.Fatal(err)
		}
		if len(y.URNs()) != 0 {
			rt.Errorf("left in the state: %v", y.URNs())
		}
	})
}

// sound checks that the state is one that the CLI would load: every reference resolves, and order is that of dependencies.
func sound(t *rapid.T, y *toy) {
	t.Helper()
	exported, err := y.Export()
	if err != nil {
		t.Fatal(err)
	}
	copied := y.Clone()
	defer copied.Close()
	if err := copied.Import(exported); err != nil {
		t.Fatalf("%v in\n%s", err, exported)
	}
	seen := map[string]bool{}
	for _, urn := range y.URNs() {
		if seen[urn] {
			t.Fatalf("%s is in the state twice: %s", urn, strings.Join(y.URNs(), ", "))
		}
		seen[urn] = true
	}
}
