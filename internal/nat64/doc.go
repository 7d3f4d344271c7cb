// Package nat64 lets IPv6-only clients reach the IPv4 Internet through a NAT instance. The kernel of Amazon Linux has no
// NAT64, so the stateless half is done here, as RFC 7915 describes it: packets to 64:ff9b::/96 come in through a TUN device, leave
// it as IPv4 packets from an address of a pool that stands for the client, and the kernel's source NAT does the rest.
//
// The translation runs in user space: it is for clients that have no IPv4, not for the bulk of the traffic.
package nat64
