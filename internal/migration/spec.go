package migration

import (
	"net/netip"
	"slices"
)

// The kinds of next hop that the API knows and a migration uses, in the API's spelling.
const (
	HopInstance         = "Instance"
	HopNetworkInterface = "NetworkInterface"
	HopHAVIP            = "HaVip"
	HopNATGateway       = "NatGateway"
)

// Hop is a next hop of a route: the API's type, and the id of an object of that type.
type Hop struct{ Type, ID string }

func (h Hop) String() string { return h.Type + " " + h.ID }

// Limits of the vendor's documentation; the first can be raised by the vendor on request.
const (
	// DefaultRouteQuota is how many custom entries a route table takes.
	DefaultRouteQuota = 200
	// MaxGateways is how many NAT gateways a VPC takes.
	MaxGateways = 5
	// MaxAddresses is how many elastic IPs a NAT gateway takes.
	MaxAddresses = 20
	// MaxSNATEntries is how many SNAT entries a NAT gateway takes.
	MaxSNATEntries = 40
)

// Spec is what the user wants. Ids are the cloud's; a Spec is taken as valid in itself (prefixes canonical, no
// duplicates, keys that exist), which the caller's validation has seen to.
type Spec struct {
	Stage Stage
	Old   OldNextHop
	// Tables are the ids of the route tables to migrate. None: every table of the VPC whose default route points at Old.
	Tables  []string
	Gateway GatewaySpec
	// Addresses maps the key of each elastic IP to its bandwidth in Mbit/s.
	Addresses map[string]int
	// Package is the bandwidth in Mbit/s of a common bandwidth package that all addresses join; 0 for none.
	Package int
	// VSwitches are the ids of those that get an SNAT entry of their own. None: every vSwitch of a migrated table that no
	// source CIDR covers.
	VSwitches []string
	// Sources are source CIDRs that get an SNAT entry: secondary CIDRs, sources behind CEN or VPN, HAVIP vSwitches.
	Sources []netip.Prefix
	// HAVIPVSwitches are the vSwitches that hold an HAVIP: the API takes no SNAT entry for them.
	HAVIPVSwitches []string
	Forwards       map[string]Forward
	// Release are the blocks that the switch gives to the NAT gateway. None: all eight.
	Release []netip.Prefix
	// DeclareSystemDefault declares 0.0.0.0/0 to the NAT gateway in the system table as well, from stage gateway on, for a
	// cloud that does not make it by itself or does not delete it with the gateway.
	DeclareSystemDefault bool
	// RouteQuota is how many custom entries a table takes; 0 means DefaultRouteQuota.
	RouteQuota int
}

// OldNextHop is the self-managed gateway that traffic leaves by today.
type OldNextHop struct {
	Hop
	// Instances are the ECS instances behind a network interface or an HAVIP. For an instance it is the instance itself.
	Instances []string
}

// GatewaySpec describes the NAT gateway to make. The name identifies it: a gateway of that name in the VPC is this one.
type GatewaySpec struct {
	Name    string
	VSwitch string
}

// Forward is a DNAT entry that the old gateway holds today.
type Forward struct {
	// Address is the key of an elastic IP. One address carries forward entries or SNAT, not both: the vendor's texts
	// disagree on whether the two may share one.
	Address                    string
	ExternalPort, InternalPort string
	InternalIP                 netip.Addr
	// Protocol is tcp, udp or any.
	Protocol string
}

// SNATAddresses are the keys of the elastic IPs that SNAT entries use, sorted: those without forward entries.
func (s *Spec) SNATAddresses() []string {
	var keys []string
	for key := range s.Addresses {
		forwards := false
		for _, f := range s.Forwards {
			forwards = forwards || f.Address == key
		}
		if !forwards {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// bandwidth is what leaves the VPC at the most through the addresses of the SNAT entries, in Mbit/s.
func (s *Spec) bandwidth() int {
	if s.Package > 0 {
		return s.Package
	}
	sum := 0
	for _, key := range s.SNATAddresses() {
		sum += s.Addresses[key]
	}
	return sum
}

func (s *Spec) routeQuota() int {
	if s.RouteQuota > 0 {
		return s.RouteQuota
	}
	return DefaultRouteQuota
}

// releases tells whether the switch gives block to the NAT gateway.
func (s *Spec) releases(block netip.Prefix) bool {
	return len(s.Release) == 0 || slices.Contains(s.Release, block)
}
