// Package nat gives the private subnets of one VPC their way to the Internet: in every availability zone a NAT instance in an
// Auto Scaling group of one, with a standby NAT gateway beside it, a prober that watches and a controller that moves the
// zone's routes when the instance fails.
//
// What it is made of: package zone (address, standby, routes, group), access (roles), failover (functions, topics, events),
// observability (alarms, dashboard). It builds the programs that run there from this module's source, or takes prebuilt ones.
//
// Order, and on destroy its reverse: standby gateways, routes to them, roles and the agent in S3, functions and topics, groups.
// So there is a way out before the first instance is launched, the hand-over of the last instance still finds everything it
// needs, and the routes are the last to go. Where a route points is not Pulumi's business after it was made.
//
// It refuses, all at once and before it registers anything, what the cloud would refuse half way through an update and what
// would not work: a subnet, table or address of two zones, tables that nobody uses, addresses for some zones only, types of
// two architectures or without room for the zone's address, lifetimes below a day, windows that never open, zones that would
// rotate together.
package nat
