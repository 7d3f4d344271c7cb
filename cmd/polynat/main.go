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
	"strings"

	"github.com/spf13/cobra"

	"polynat/internal/drill"
	"polynat/internal/rehearsal"
	"polynat/internal/terminal"
)

// The exit statuses.
const (
	statusOK        = 0
	statusLost      = 1 // traffic would be lost
	statusInput     = 2 // the input is wrong: a flag, a file, the configuration
	statusNoVerdict = 3 // the rehearsal or the drill could not be carried out
)

// statuses is what the help of the commands that judge says of them.
const statuses = `The exit status is 0 when all is well, 1 when traffic would be lost%s, 2 when a flag, a
file or the configuration is wrong, and 3 when there is no verdict: %s.
` + "`go run`" + ` turns each of the last three into 1; scripts use the binary that ` + "`go build ./cmd/polynat`" + ` makes.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: one of the above, or the stock CLI's own for the command pulumi.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out, err := execute(ctx, args, stdout, stderr)
	return out.end(stdout, stderr, err)
}

// execute runs a command and returns what it found out, which is not printed yet.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) (*output, error) {
	out := &output{args: args}
	root := &cobra.Command{
		Use:           "polynat",
		Short:         "Rehearse NAT changes on simulated clouds before you make them",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(rehearseCommand(out), drillCommand(out), pulumiCommand(), costCommand(out), versionCommand(out))
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", terminal.Columns)))
	for _, c := range root.Commands() {
		c.Long = terminal.Fill(c.Long)
	}
	command, err := root.ExecuteContextC(ctx)
	var exit *exec.ExitError
	switch {
	case command.Name() == "pulumi":
		out.args = nil // which are the stock CLI's
	case errors.As(err, &exit): // of another program, such as the compiler: its status says nothing here
		err = noVerdict{errors.New(err.Error())}
	}
	return out, err
}

// end prints what a command found out, or why it could not, and returns the exit status.
func (o *output) end(stdout, stderr io.Writer, err error) int {
	if failed := o.print(stdout, err); failed != nil {
		err = noVerdict{errors.Join(err, failed)}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(stderr, terminal.Message(stderr, "error: "+err.Error()))
	}
	return status(err)
}

// noVerdict is the error of what could not be carried out.
type noVerdict struct{ error }

func (e noVerdict) Unwrap() error { return e.error }

// status of an error: whatever is nothing else is wrong input.
func status(err error) int {
	var exit *exec.ExitError
	var none noVerdict
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &exit):
		return exit.ExitCode()
	case errors.Is(err, rehearsal.ErrLost), errors.Is(err, drill.ErrBroken):
		return statusLost
	case errors.Is(err, rehearsal.ErrFailed), errors.Is(err, rehearsal.ErrCutShort), errors.As(err, &none):
		return statusNoVerdict
	}
	return statusInput
}
