// Package migration moves a VPC of Alibaba Cloud from a self-managed SNAT instance to a NAT gateway, stage by stage,
// one `pulumi up` each, without a moment in which a destination has no working next hop.
//
// It makes, by stage: the adopted default route and eight routes that cover it (to the old next hop), an enhanced
// Internet NAT gateway, elastic IPs with their associations, an optional common bandwidth package, SNAT entries for every
// vSwitch and source CIDR, forward entries, and a default route to the gateway in custom tables.
//
// It refuses, before it registers anything, every move that could leave a destination without exactly one working next
// hop: see [Check]. A marker resource that depends on all of the above is written only when lookups show that the
// stage's work is done; when they do not, the update fails there and nothing is deleted.
//
// It owns what it makes. The automatic default route that the cloud adds to the system table belongs to the gateway and
// is left unmanaged unless NATGateway.DeclareSystemRoute says otherwise. From stage switch on, the gateway, its
// addresses, its entries and the default routes to it carry traffic: they are protected, in the state and, where the
// cloud can, in the cloud. At stage adopt, backing out leaves the default routes of an existing network where they are.
//
// It never sets the name of a route entry: an explicit name makes Pulumi delete a route before it creates its
// replacement.
package migration
