// Package rehearsal walks a Pulumi program through the steps of a setup, on the real engine and a simulated cloud, and
// reports what would have been lost on the way.
//
// After every single change of the simulated cloud, every destination is asked for its next hop, a new connection is
// tried and the established ones are looked after. Beside what happened, each step is held against what might have
// happened: its deletions alone, as if its creations had failed or come late, and each of its operations failing once.
//
// Nothing here knows a backend, a credential or a network: the engine runs in this process, the provider is the
// simulation.
package rehearsal
