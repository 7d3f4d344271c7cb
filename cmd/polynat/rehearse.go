package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"polynat/internal/engine"
	"polynat/internal/migration"
	"polynat/internal/rehearsal"
	"polynat/internal/terminal"
	"polynat/stacks"
)

type rehearseFlags struct {
	dir, stack, export   string
	faults, everyFailure bool
}

// triedFailures is how many failures of a step are tried unless all are to be: of most steps of a migration each,
// while the steps of NAT instances, which have up to a hundred, do not make the rehearsal a matter of minutes.
const triedFailures = 20

func rehearseCommand(out *output) *cobra.Command {
	var flags rehearseFlags
	c := &cobra.Command{
		Use:   "rehearse [setup...]",
		Short: "Walk a stack through its steps on simulated clouds",
		Long: `Runs the Pulumi program with the configuration of a stack on the real engine, in this process, against simulated
clouds. Walks every setup of the stack, or those that are named, through all its steps, asks after every single change
what can be reached and what must not be. Tries operations that fail once before they are done, and once after: done,
although the answer is an error. These are up to ` + fmt.Sprint(triedFailures) + ` of a step, spread over it;
with --every-failure all. Touches no real cloud, backend or credential.

` + fmt.Sprintf(statuses, "", "a step failed without a\nloss, or the rehearsal was cut short"),
		RunE: func(c *cobra.Command, setups []string) error { return rehearse(c, out, flags, setups) },
	}
	f := c.Flags()
	f.StringVarP(&flags.stack, "stack", "s", "dev", "stack whose Pulumi.<stack>.yaml is rehearsed")
	f.StringVar(&flags.dir, "dir", ".", "folder that holds Pulumi.yaml")
	f.StringVar(&flags.export, "from-export", "", "begin from this `file`, a `pulumi stack export` of the deployed stack")
	out.flag(c)
	c.ValidArgsFunction = others(setupNames())
	_ = c.RegisterFlagCompletionFunc("stack", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return stacksIn(flags.dir), cobra.ShellCompDirectiveNoFileComp
	})
	f.BoolVar(&flags.everyFailure, "every-failure", false, fmt.Sprintf("try every failure, where a step has more than %d operations too", triedFailures))
	f.BoolVar(&flags.faults, "faults", true, "also try operations of each step failing once before they are done, and once after")
	return c
}

func rehearse(c *cobra.Command, out *output, flags rehearseFlags, names []string) error {
	ctx := c.Context()
	progress := progress{terminal.NewStatus(c.ErrOrStderr())}
	defer progress.Close()
	project, config, err := engine.LoadConfig(ctx, flags.dir, flags.stack)
	if err != nil {
		return stacks.Explain(stacks.Setups(), flags.dir, flags.stack, err)
	}
	if project != stacks.Namespace {
		return fmt.Errorf("project %q: is not the program that polynat rehearses, which is project %s (run it in a checkout of polynat)", project, stacks.Namespace)
	}
	var export []byte
	if flags.export != "" {
		if export, err = os.ReadFile(flags.export); err != nil {
			return err
		}
		progress.Status.Step("stack " + flags.stack + ": makes its clouds from the export (AWS: compiles the programs that are deployed)")
	}
	if err := refuse(flags.dir, project, flags.stack, config, export); err != nil {
		return err
	}
	setups, err := chooseSetups(flags, project, config, export, names)
	if err != nil {
		return err
	}
	maxFaults := triedFailures
	if flags.everyFailure {
		maxFaults = 0
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	report, err := rehearsal.Run(ctx, rehearsal.Options{
		Project: project, Stack: flags.stack, Config: config, Program: rehearsal.Polynat, Faults: flags.faults, MaxFaults: maxFaults, Progress: progress,
		Locate: func(err error) error { return stacks.Locate(flags.dir, project, flags.stack, config, err) },
	}, setups...)
	if err != nil {
		return noVerdict{err}
	}
	out.report = report
	return report.Err()
}

// refuse says what a preview says before it has looked anything up, in the same words. Without an export, the stack is a new one.
func refuse(dir, project, stack string, config map[string]string, export []byte) error {
	last, err := rehearsal.LastOutputs(project, stack, export)
	if err != nil {
		return err
	}
	err = stacks.CheckFile(stacks.Setups(), dir, stacks.Stack{Project: project, Name: stack, Config: config, Last: last})
	var refusal *migration.Refusal
	if export == nil && errors.As(err, &refusal) {
		return fmt.Errorf("%w\nThis is the rehearsal of a new stack: give what a deployed one has with --from-export", err)
	}
	return err
}

// rehearsable is a setup that can be rehearsed.
type rehearsable struct {
	name string
	// block is the one that it rehearses.
	block string
	// fresh begins with what the configuration names as existing, deployed with what a stack deployed.
	fresh    func(config map[string]string) (rehearsal.Setup, bool, error)
	deployed func(config map[string]string, project, stack string, export []byte) (rehearsal.Setup, bool, error)
}

var rehearsables = []rehearsable{
	{"alicloud", "alicloud.migration", rehearsal.AlicloudSetup, rehearsal.AlicloudFromExport},
	{"huaweicloud", "huaweicloud.privateNat", rehearsal.HuaweicloudSetup, rehearsal.HuaweicloudFromExport},
	{"aws", "aws.nat", rehearsal.AWSSetup, rehearsal.AWSFromExport},
}

// chooseSetups returns the setups of the configuration, or those of them that were named.
func chooseSetups(flags rehearseFlags, project string, config map[string]string, export []byte, names []string) (setups []rehearsal.Setup, err error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	for _, r := range rehearsables {
		if len(names) > 0 && !slices.Contains(names, r.name) {
			continue
		}
		var setup rehearsal.Setup
		var ok bool
		if export == nil {
			setup, ok, err = r.fresh(config)
		} else {
			setup, ok, err = r.deployed(config, project, flags.stack, export)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case ok:
			setups = append(setups, setup)
		case len(names) > 0:
			return nil, fmt.Errorf("%s: is not in stack %s (fill %s, as Pulumi.dev.yaml does, or do not name it)", r.name, flags.stack, r.block)
		}
	}
	if len(setups) == 0 {
		return nil, fmt.Errorf("stack %s: has nothing to rehearse (fill aws.nat, alicloud.migration or huaweicloud.privateNat, as Pulumi.dev.yaml does)", flags.stack)
	}
	return setups, nil
}

func setupNames() (names []string) {
	for _, r := range rehearsables {
		names = append(names, r.name)
	}
	return names
}

func checkNames(names []string) error {
	for _, name := range names {
		if !slices.Contains(setupNames(), name) {
			return fmt.Errorf("%q: is not a setup that can be rehearsed (use %s)", name, strings.Join(setupNames(), " or "))
		}
	}
	return nil
}
