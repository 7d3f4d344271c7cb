package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/artefact"
	"polynat/internal/engine"
	"polynat/internal/rehearsal"
	"polynat/internal/sim"
)

// ends is a Progress that ends the rehearsal within a step, or when one of a variant begins.
type ends struct {
	step, setup string
	at          string
	cancel      func()
}

func (e *ends) Step(setup, step string, _, _ int) {
	if e.at = step; e.setup != "" && strings.HasPrefix(setup, e.setup) {
		e.cancel()
	}
}
func (e *ends) Operation(sim.Operation) {}
func (e *ends) Fault(int, int) {
	if e.at == e.step {
		e.cancel()
	}
}

func beginHuaweicloud(ctx context.Context, t *testing.T, o rehearsal.Options) (*rehearsal.Report, error) {
	t.Helper()
	project, config, err := engine.LoadConfig(t.Context(), "../..", "dev")
	if err != nil {
		t.Fatal(err)
	}
	setup, ok, err := rehearsal.HuaweicloudSetup(config)
	if err != nil || !ok {
		t.Fatalf("there is nothing to rehearse: %v", err)
	}
	setup.Moves = setup.Moves[:3]
	setup.Variants = setup.Variants[:1]
	setup.Variants[0].Moves = setup.Variants[0].Moves[:3]
	o.Project, o.Stack, o.Config = project, "dev", config
	return rehearsal.Run(ctx, o, setup)
}

func TestARehearsalThatIsInterruptedSaysWhatWasFinished(t *testing.T) {
	for says, e := range map[string]*ends{
		"cut short after step the same again; nothing was lost up to there":    {step: "change ports"},
		"cut short while it was rehearsed once more, with a cloud that shows ": {setup: "huaweicloud, variant"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.cancel = cancel
		report, err := beginHuaweicloud(ctx, t, rehearsal.Options{Program: rehearsal.Polynat, Faults: true, Progress: e})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := report.Text(&out); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, says) || e.step != "" && strings.Contains(text, e.step) {
			t.Errorf("%q is not in\n%s", says, &out)
		}
	}
}

// Then it is the machine that is not right, and not the configuration.
func TestARehearsalWhoseProgramsCannotBeBuiltIsNotHeld(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, unbuilt := artefact.Source{Program: artefact.Natd, Arch: artefact.ARM64, Field: "a program that nobody builds again"}.Make(t.Context())
	if unbuilt == nil {
		t.Fatal("it is built without a toolchain")
	}
	report, err := beginHuaweicloud(t.Context(), t, rehearsal.Options{Program: func([]string) pulumi.RunFunc {
		return func(*pulumi.Context) error { return errors.Join(fmt.Errorf("aws.nat: %w", unbuilt)) }
	}})
	if err == nil || !strings.Contains(err.Error(), "there is no Go toolchain") {
		t.Errorf("report %v, error %v", report, err)
	}
}
