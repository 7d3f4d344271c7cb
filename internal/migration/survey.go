package migration

import (
	"net/netip"
	"slices"

	"polynat/internal/route"
)

// Survey is what lookups have found in one VPC.
type Survey struct {
	VPC       VPC
	Tables    []Table
	VSwitches []VSwitch
	Old       OldState
	// Gateways are all NAT gateways of the VPC, ours or not.
	Gateways []NATGateway
	// Addresses holds the elastic IPs that exist, by the key of Spec.Addresses.
	Addresses map[string]ElasticIP
	// Namesakes holds, by the same keys, all elastic IPs of a name that several have.
	Namesakes map[string][]ElasticIP
	// SNATEntries and ForwardEntries are those of our gateway.
	SNATEntries    []SNATEntry
	ForwardEntries []ForwardEntry
	// Zones are those that offer enhanced NAT gateways.
	Zones []string
}

// VPC is the network itself; an empty ID means that the lookup found none.
type VPC struct {
	ID, RouterID string
	CIDRs        []netip.Prefix
}

// Table is a route table with all its entries.
type Table struct {
	ID     string
	System bool
	Routes []Route
}

// Route is an entry of a route table.
type Route struct {
	CIDR netip.Prefix
	Hop  Hop
	// Available is false while the cloud is still working on the entry.
	Available bool
	// System entries belong to the cloud: vSwitch CIDRs and 100.64.0.0/10.
	System bool
}

// VSwitch is a subnet and the table that routes it.
type VSwitch struct {
	ID, Zone, Table string
	CIDR            netip.Prefix
}

// OldState is how the old next hop is doing.
type OldState struct {
	// Found is false when no instance behind the next hop was found; InVPC when all of them are in the VPC.
	Found, InVPC bool
	// Running is true when at least one instance behind the next hop runs; Status says it in the cloud's words.
	Running bool
	Status  string
	// Bandwidth in Mbit/s of its public address, 0 when it is not known.
	Bandwidth int
	// Addresses are its public IP addresses.
	Addresses []string
}

// NATGateway is a NAT gateway of the VPC.
type NATGateway struct {
	ID, Name, VSwitch       string
	Available, Internet     bool
	SNATTable, ForwardTable string
	// Entries counts those of both tables, if the gateway is ours.
	Entries int
	// Held is true when the stack's state holds it.
	Held bool
}

// ElasticIP is one of the addresses of Spec.Addresses.
type ElasticIP struct {
	ID, Name, IP string
	// Instance is what it is bound to, and InUse whether that is done.
	Instance string
	InUse    bool
	// Package is the common bandwidth package it has joined.
	Package string
	// Held is true when the stack's state holds it.
	Held bool
}

// SNATEntry is a rule of the gateway's SNAT table; VSwitch or Source is set.
type SNATEntry struct {
	ID, VSwitch string
	Source      netip.Prefix
	IPs         []string
	Available   bool
}

// ForwardEntry is a rule of the gateway's forward table.
type ForwardEntry struct {
	ID, ExternalIP, ExternalPort, Protocol string
	InternalIP, InternalPort               string
	Available                              bool
}

// Record is what the stack wrote down when its last stage was done.
type Record struct {
	Stage     Stage
	Tables    []string
	VSwitches []string
	// SystemDefault is true when the stack declares 0.0.0.0/0 to the NAT gateway in the system table.
	SystemDefault bool
}

// table returns the table of that id.
func (s *Survey) table(id string) (Table, bool) {
	i := slices.IndexFunc(s.Tables, func(t Table) bool { return t.ID == id })
	if i < 0 {
		return Table{}, false
	}
	return s.Tables[i], true
}

// gateways returns the gateways of that name.
func (s *Survey) gateways(name string) []NATGateway {
	var found []NATGateway
	for _, g := range s.Gateways {
		if g.Name == name {
			found = append(found, g)
		}
	}
	return found
}

// find returns the custom entries of the table for exactly that destination.
func (t Table) find(cidr netip.Prefix) []Route {
	var found []Route
	for _, r := range t.Routes {
		if !r.System && r.CIDR == cidr {
			found = append(found, r)
		}
	}
	return found
}

// to returns the custom entry for that destination by that hop.
func (t Table) to(cidr netip.Prefix, hop Hop) (Route, bool) {
	for _, r := range t.Routes {
		if !r.System && r.CIDR == cidr && r.Hop == hop {
			return r, true
		}
	}
	return Route{}, false
}

// custom counts the entries that count against the quota.
func (t Table) custom() int {
	n := 0
	for _, r := range t.Routes {
		if !r.System {
			n++
		}
	}
	return n
}

// tablesByDefault returns the ids of the tables whose default route points at hop, sorted.
func (s *Survey) tablesByDefault(hop Hop) []string {
	var ids []string
	for _, t := range s.Tables {
		if _, ok := t.to(route.Default(), hop); ok {
			ids = append(ids, t.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
