package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// complete has the shell offer the values of a flag.
func complete(c *cobra.Command, flag string, values ...string) {
	// It fails for a flag that is not declared, which the tests would see.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// others are the values that have not been named yet.
func others(values []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, named []string, _ string) (left []string, _ cobra.ShellCompDirective) {
		for _, v := range values {
			if !slices.Contains(named, v) {
				left = append(left, v)
			}
		}
		return left, cobra.ShellCompDirectiveNoFileComp
	}
}

// stacksIn are the stacks that have a file in a folder.
func stacksIn(dir string) (stacks []string) {
	files, _ := filepath.Glob(filepath.Join(dir, "Pulumi.*.yaml")) // the pattern is well formed
	for _, f := range files {
		stacks = append(stacks, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "Pulumi."), ".yaml"))
	}
	return stacks
}
