// Package natzone is the interface between what Pulumi declares for one zone and the programs that run there: natd on the
// NAT instance, the prober and the controller in Lambda. Both sides import it, so that neither can drift.
//
// One zone, one agent, one prober, one controller:
//
//	schedule, each minute ─▶ prober (in the private subnets; calls no AWS API)
//	                            │ asynchronous destination: a Report, at once when it has a verdict, else at the end of its minute
//	                            ▼
//	events, notices ────────▶ controller (outside the VPC) ──▶ routes to the standby, instance unhealthy, hook completed
//
//	natd (on the instance) ──▶ address and routes to itself, once proven; hands over when told to go
package natzone
