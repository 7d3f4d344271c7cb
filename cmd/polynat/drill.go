package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"polynat/internal/drill"
	"polynat/internal/terminal"
)

type drillFlags struct {
	logs           string
	runs, parallel int
}

func drillCommand(out *output) *cobra.Command {
	var flags drillFlags
	c := &cobra.Command{
		Use:   "drill [name...]",
		Short: "Break NAT instances in a packet lab, and report what clients lost",
		Long: `Deploys NAT instances with a standby to a simulated AWS, runs the programs that are deployed, natd and both Lambda
functions, in network namespaces of this machine whose routes are those of the simulated AWS, breaks what can break, and
counts what clients see: 50 new connections a second from three subnets, each given 900 ms, and twelve that were
established before. All drills, or those that are named.

decided is the time from the fault until the routes of all tables have moved; no answer, the longest time in which no client
of one of the subnets had an answer on a new connection. lost and cut are counted over all runs. moves are those of a zone from
instance to standby or back. API calls are those to the AWS API in the runs of the controller that moved a route (where none did,
in all but those of each minute). Both are the most in one run. The API of the lab answers within milliseconds: what the real one
takes has to be added.

Needs Linux, root, and the Go toolchain, which builds the programs. Touches no network but its own; nothing is left of it,
even when it is killed.

` + fmt.Sprintf(statuses, " for longer than a bound allows", "drills need\nLinux and root, a run could not be held, or the drill was cut short") + `

Drills: ` + strings.Join(drill.Names(), ", ") + `.`,
		RunE: func(c *cobra.Command, names []string) error { return runDrills(c, out, flags, names) },
	}
	f := c.Flags()
	out.flag(c)
	c.ValidArgsFunction = others(drill.Names())
	f.IntVar(&flags.runs, "runs", 0, "runs of each drill (default 10 of those with a bound in seconds, fewer of the others)")
	f.IntVar(&flags.parallel, "parallel", 0, "runs at once, each in a lab of its own (default one for every processor)")
	f.StringVar(&flags.logs, "logs", "", "`folder` for what the programs wrote, a file for each run")
	return c
}

func runDrills(c *cobra.Command, out *output, flags drillFlags, names []string) error {
	if err := drill.Check(names); err != nil {
		return err
	}
	for name, n := range map[string]int{"runs": flags.runs, "parallel": flags.parallel} {
		if c.Flags().Changed(name) && n < 1 {
			return fmt.Errorf("--%s: %d: is less than one (leave it out for the default)", name, n)
		}
	}
	if flags.logs != "" {
		giveBack, err := makeFolder(flags.logs)
		if err != nil {
			return err
		}
		defer giveBack()
	}
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM)
	defer stop()
	progress := terminal.NewStatus(c.ErrOrStderr())
	report, err := drill.Run(ctx, drill.Options{
		Names: names, Runs: flags.runs, Parallel: flags.parallel, Logs: flags.logs,
		Begins: progress.Step,
		Progress: func(name string, run, runs int, failed error) {
			progress.Detail(fmt.Sprintf("%d of %d runs", run, runs))
			if failed != nil {
				progress.Print(terminal.Message(c.ErrOrStderr(), fmt.Sprintf("%s: %v", name, failed)))
			}
		},
	})
	progress.Close()
	if err != nil {
		return noVerdict{err}
	}
	out.report = report
	if err := report.Err(); err != nil {
		return noVerdict{err}
	}
	return nil
}

// makeFolder makes a folder, and returns what gives all that was made since to the user who called sudo: the folder, those above it that were
// not there, and the files in it. .polynat holds the playground too, which needs no root. What was there before stays whose it is.
func makeFolder(dir string) (giveBack func(), err error) {
	before, err := os.ReadDir(dir)
	there := err == nil
	first := filepath.Clean(dir) // that is not there yet
	for !there {
		above := filepath.Dir(first)
		if _, err := os.Stat(above); err == nil || above == first {
			break
		}
		first = above
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	uid, errUser := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, errGroup := strconv.Atoi(os.Getenv("SUDO_GID"))
	if errUser != nil || errGroup != nil {
		return func() {}, nil
	}
	give := func(path string, _ os.DirEntry, err error) error { return errors.Join(err, os.Lchown(path, uid, gid)) }
	return func() {
		// What cannot be given back stays root's, which is no reason to fail.
		if !there {
			_ = filepath.WalkDir(first, give)
			return
		}
		after, _ := os.ReadDir(dir)
		for _, e := range after {
			if !slices.ContainsFunc(before, func(b os.DirEntry) bool { return b.Name() == e.Name() }) {
				_ = filepath.WalkDir(filepath.Join(dir, e.Name()), give)
			}
		}
	}, nil
}
