// Package claim decides what the agent does next: a state machine over observations and the clock, without input and output.
//
//	starting ──proven──▶ claiming: check off, address, egress, routes ──▶ holding, launch hook continued
//	   │ start or claim timeout       ▲                                      │ a route points at the standby: a failover
//	   ▼                              │ proven for the dwell without a break  ▼
//	abandoned                         └──────────────────────────────────  waiting
//	any, told to go ──▶ leaving: routes to the standby unless a successor has them, termination hook completed
//
// It looks at what is, not at what it did: a step that is already done is skipped, one that failed is repeated, and an agent that
// starts again goes on where it was.
package claim
