// Command natd is the agent on a NAT instance. What it does, and its flags, are in package natd.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"polynat/internal/natd"
	"polynat/internal/natzone"
)

const usage = `natd: the agent on a NAT instance

  natd run --config FILE [flags]   forward, translate, claim and hand over (natd run --help lists the flags)
  natd check-config --config FILE  read the configuration and say what is wrong with it
  natd version                     print the version
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is main without the process. 2 is the status of a call that cannot succeed as it is, 1 of one that failed.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch args[0] {
	case "run", "check-config":
		return withConfig(ctx, args[0], args[1:], stdout, stderr)
	case "version":
		fmt.Fprintln(stdout, version())
		return 0
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "natd: %s: is not a command\n\n%s", args[0], usage)
	return 2
}

func withConfig(ctx context.Context, name string, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("natd "+name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "/etc/polynat/natd.json", "the configuration document")
	var o natd.Options
	level := slog.LevelInfo
	if name == "run" {
		runFlags(flags, &o, &level)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "natd %s: %s: is not a flag\n", name, flags.Arg(0))
		return 2
	}
	data, err := os.ReadFile(*config)
	if err == nil {
		o.Config, err = natzone.ParseAgent(data)
	}
	if err != nil {
		fmt.Fprintf(stderr, "natd: %v\n", err)
		return 2
	}
	if name == "check-config" {
		fmt.Fprintf(stdout, "%s: ok\n", *config)
		return 0
	}
	o.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})).With("version", version(), "zone", o.Config.Zone, "name", o.Config.Name)
	if err := natd.Run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		o.Log.Error("ended", "error", err.Error())
		return 1
	}
	return 0
}

func runFlags(flags *flag.FlagSet, o *natd.Options, level *slog.Level) {
	state := os.Getenv("STATE_DIRECTORY")
	if state == "" {
		state = "/var/lib/natd"
	}
	usual := natd.Options{}.Defaults()
	flags.StringVar(&o.StateDir, "state", state, "the directory of what a reboot must not forget")
	for _, f := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
		about string
	}{
		{"interval", &o.Interval, usual.Interval, "between two comparisons of the kernel with what it should be"},
		{"metadata-interval", &o.Metadata, usual.Metadata, "between two looks at instance metadata"},
		{"proof-interval", &o.Proof, usual.Proof, "between two proofs of the path while it is proven"},
		{"look-interval", &o.Look, usual.Look, "between two looks at routes and addresses by API"},
		{"start-timeout", &o.StartTimeout, usual.StartTimeout, "after which a start without success is abandoned"},
	} {
		flags.DurationVar(f.value, f.name, f.usual, f.about)
	}
	flags.TextVar(level, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

// version is that of the module, or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		return "(devel)"
	}
	return v
}
