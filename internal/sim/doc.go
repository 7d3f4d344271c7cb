// Package sim is a simulated Pulumi provider: the provider's half of a cloud, without a cloud.
//
// A [Server] speaks the protocol of a Pulumi resource provider. What it knows about resource types comes from a
// [Schema]: which properties exist, which are required, which one forces a replacement, what the provider names by
// itself. What happens when an operation is carried out is up to a [Cloud], the simulated control plane. The Server
// checks, plans and records; the Cloud holds state and enforces the rules of its API. Neither knows of the other's
// vendor, so one Server serves every package: one Server, one package.
//
// Two things make it an instrument rather than a stub. Every operation outside preview is recorded
// ([Server.Operations]), and each operation that changes something can be made to go wrong ([Server.Fault]) in the
// three ways a real one does: it fails and nothing was done, it was done and reported as failed, or the process that
// asked for it died before it heard the answer.
//
// The Server checks its inputs more strictly than most providers: an unknown property, a missing one, a wrong type,
// a value outside a documented enumeration or a conflict is a failure of the check, never silently ignored.
package sim
