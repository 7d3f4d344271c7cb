// Package lab builds the network of one VPC with two kinds of way out of it, from network namespaces, so that the
// programs that run there are tried with real packets:
//
//	clients, prober ── private subnets ──┐                       ┌── NAT instance, its successor, …
//	   (one host per subnet)             router (route tables) ──┤── standby NAT gateway
//	                                     │                       └── …
//	                                     Internet gateway (1:1 translation of addresses)
//	                                     │
//	                                     Internet: servers ── region: controller, API and instance metadata
//
// The region is joined to every instance by a link of its own, which is not on the data path. What the cloud's API decides
// is set from outside: [Lab.SetRoute], [Lab.Assign], [Lab.Translate], [Node.CheckSource].
//
// Everything is set by netlink; no program is called, but by a node with a [NetworkService], whose interface is configured by the
// system's own systemd-networkd as on Amazon Linux. A namespace has no name: it is held by this process only, so that
// nothing is left of a lab whose process is gone, however it went. The programs in it are killed with it.
//
// Linux, and root (or CAP_NET_ADMIN and CAP_SYS_ADMIN).
//
// What it is not: there is no distance between the hosts (a round trip takes less than a millisecond), no other
// traffic, and no law that the real cloud keeps to what its documents say.
package lab
