// Package privatenat lets applications in one VPC of Huawei Cloud reach chosen services in another, with no peering and no
// route: a private NAT gateway in the VPC of the services, transit IP addresses in the VPCs of the applications, and a DNAT
// rule for each service. Nothing else of the services' VPC can be reached.
//
// A rule leads to a target: a load balancer, an instance or a virtual IP by the id of its port, or a bare address. It comes
// after what answers behind it (Target.Ready), so that its URL answers when the update ends, and its successor comes after
// it has gone, for the cloud takes one rule for a load balancer. A new gateway is waited for until it is ACTIVE.
//
// It refuses what the cloud would refuse half way through an update, and what would never answer: two rules for one load
// balancer, one port of a transit IP for two rules, ports and protocols that no listener serves, a transit IP in the VPC of
// the services, more rules than the gateway holds. All problems at once, before it registers anything.
package privatenat
