// Package engine is the Pulumi engine as a library: a [Stack] runs a program against providers in the same process, with
// no CLI, no plugin, no file and no network but the loopback interface.
//
// It is the engine that the CLI runs (github.com/pulumi/pulumi/pkg/v3), so order, dependencies, replacements, hooks,
// protection, aliases, imports and errors are the real ones. What is added is what a rehearsal wants of it: state in
// memory that is recorded write by write as a state file would be, a way to stop recording at one point as if the process
// had died there ([Stack.Crash]), and copies of a stack for what-if runs ([Stack.Clone]).
//
// pkg/v3 promises no stable interface. It is imported by this package alone, and its version is pinned in go.mod.
package engine
