// Package alicloud simulates the part of Alibaba Cloud that decides where a
// packet leaves a VPC: VPCs, vSwitches, route tables, ECS instances that do
// SNAT, NAT gateways with their SNAT and DNAT entries, Elastic IP addresses,
// bandwidth packages and security groups.
//
// There are two doors to one state. The methods named after API actions
// ([Cloud.CreateRouteEntry], [Cloud.CreateNATGateway], …) follow the rules and
// error codes of the API; they neither sleep nor touch JSON, so a model can
// make millions of calls. On top of them [Cloud] implements sim.Cloud and
// behaves like the Terraform provider: it retries a TaskConflict, waits until
// an object is Available, and reads and imports by the provider's ids.
//
// [Cloud.Judge] asks after any change, for each vSwitch and each IPv4
// destination, where a packet would go; [Traffic] follows connections across
// changes.
//
// What the simulation takes from documentation and from the source of the
// Terraform provider v1.217.2 (Pulumi package v3.49.1) is said where it is
// used. Three things no document settles, so [Options] offers each outcome:
// what CreateNatGateway does while a VPC has a default route to an instance,
// whether the automatic default route appears, and whether it goes with the
// gateway. In doubt the simulation is stricter than the cloud: it fails at
// once where the provider would retry for minutes in the hope that another
// operation, on which nothing depends, gets done in time.
package alicloud
