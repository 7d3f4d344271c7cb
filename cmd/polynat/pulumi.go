package main

import (
	"github.com/spf13/cobra"

	"polynat/internal/attach"
	"polynat/internal/rehearsal"
)

func pulumiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pulumi [arguments of pulumi...]",
		Short: "Run the stock Pulumi CLI on the simulated clouds",
		Long: `Runs the pulumi that is on the PATH (or that POLYNAT_PULUMI_CLI names) with the given arguments, in a playground below
.polynat: a copy of Pulumi.yaml and of the stack files, a state of its own, and simulated clouds that keep what they were
told. A stack file that has changed is copied again, unless the copy has changes of its own, as by config set. Remove .polynat to begin anew. No real cloud, backend or credential is within its
reach: of the environment, only the terminal's settings are passed on.`,
		Example:            "  polynat pulumi up\n  polynat pulumi config set --path alicloud.migration.stage cover\n  polynat pulumi preview --diff",
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
				return c.Help()
			}
			return attach.Run(c.Context(), attach.Options{Dir: ".", Program: rehearsal.Polynat, Args: args})
		},
	}
}
