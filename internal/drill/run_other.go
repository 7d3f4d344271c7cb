//go:build !linux

package drill

import (
	"context"
	"fmt"
	"runtime"
)

// Options of a drill; see the Linux build.
type Options struct {
	Names    []string
	Runs     int
	Parallel int
	Logs     string
	Begins   func(step string)
	Progress func(drill string, run, runs int, err error)
}

// drill is a script.
type drill struct {
	name  string
	notes []string
}

// Names of all drills: none here.
func Names() []string { return nil }

// Supported says why no drill can be held here.
func Supported() error { return fmt.Errorf("%w: this is %s", ErrUnsupported, runtime.GOOS) }

// Check refuses no name: there are none.
func Check([]string) error { return nil }

// Run says why no drill can be held here.
func Run(context.Context, Options) (*Report, error) { return nil, Supported() }
