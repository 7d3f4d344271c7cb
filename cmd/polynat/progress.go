package main

import (
	"fmt"

	"polynat/internal/sim"
	"polynat/internal/terminal"
)

// progress shows how a rehearsal goes on.
type progress struct{ *terminal.Status }

// Step implements rehearsal.Progress.
func (p progress) Step(setup, step string, i, n int) {
	p.Status.Step(fmt.Sprintf("%s %d/%d: %s", setup, i, n, step))
}

// Operation implements rehearsal.Progress.
func (p progress) Operation(op sim.Operation) { p.Detail(fmt.Sprintf("%s %s", op.Kind, op.Name)) }

// Fault implements rehearsal.Progress.
func (p progress) Fault(k, n int) { p.Detail(fmt.Sprintf("failure %d of %d", k, n)) }
