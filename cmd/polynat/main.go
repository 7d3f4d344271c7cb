// Command polynat rehearses network changes: it runs the Pulumi program on the real engine against simulated clouds, with
// no account and nothing else installed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/spf13/cobra"

	"polynat/internal/drill"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0 when all is well, 1 when a rehearsal or a drill lost something or could not be held, 2 where
// no drill can be held, and the stock CLI's own for the command pulumi.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "polynat",
		Short:         "Rehearse NAT changes on simulated clouds before you make them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(rehearseCommand(), drillCommand(), pulumiCommand(), costCommand())
	err := root.ExecuteContext(ctx)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(stderr, "error:", err)
	if errors.Is(err, drill.ErrUnsupported) {
		return 2
	}
	return 1
}
