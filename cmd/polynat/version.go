package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version of this program, as its build recorded it: a tag, a commit, or (devel) where the build knew neither.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// build is what this program was made from.
type build struct {
	Go string `json:"go"`
	// Engine is the Pulumi engine that rehearsals run on.
	Engine string `json:"engine"`
}

func (b build) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "polynat %s, %s, Pulumi engine %s\n", version(), b.Go, b.Engine)
	return err
}

func versionCommand(out *output) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which polynat this is, and its Pulumi engine",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build{}
			if info, ok := debug.ReadBuildInfo(); ok {
				b.Go = info.GoVersion
				for _, module := range info.Deps {
					if module.Path == "github.com/pulumi/pulumi/pkg/v3" {
						b.Engine = module.Version
					}
				}
			}
			out.report = b
			return nil
		},
	}
	out.flag(c)
	return c
}
