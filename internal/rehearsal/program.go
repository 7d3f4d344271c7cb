package rehearsal

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/stacks"
)

// Program makes a program for a stack with these configuration keys.
type Program func(keys []string) pulumi.RunFunc

// Polynat is the program of main.go.
func Polynat(keys []string) pulumi.RunFunc { return stacks.Program(stacks.Setups(), keys) }

func keys(config map[string]string) []string { return slices.Sorted(maps.Keys(config)) }
