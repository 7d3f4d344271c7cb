// Package aws is a simulated AWS region: as much of EC2, Auto Scaling, Systems Manager, SNS, EventBridge, Lambda and what
// surrounds them as NAT instances with a standby gateway need, with the rules, the errors and the timing of the real ones.
//
// One [Cloud] is used from three sides. As a [sim.Cloud] it is what the Pulumi provider of AWS talks to, and behaves as that
// provider does: it waits until a gateway is available and until a group's instances are in service. As a Go API, one
// method per operation, it is what stands behind the HTTP endpoints of the packet lab. As a judge of traffic it says after
// every change of which private subnet the packets have a way out ([Cloud.WaysOut]).
//
// Instances boot. In the mode [AgentSimulated] what runs on them and in the zone's controller is part of the model: it reads
// the configuration documents that were really declared (user data, environment of the function) and claims, hands over and
// fails over as natd and the controller do. In the mode [AgentExternal] the real programs do that, through the API.
//
// Time is simulated, and moved by [Cloud.Advance], unless [Options.Clock] gives a real one.
//
// It is a model. Where AWS does not document what happens, [UnknownBehaviours] has a switch.
package aws
