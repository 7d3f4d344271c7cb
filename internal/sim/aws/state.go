package aws

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"polynat/internal/sim"
)

// state is the region. Objects are found by their ids.
type state struct {
	Now    time.Time
	Next   map[string]int // the last number of each kind of id
	Timers []timer        // in the order in which they are due

	VPCs         map[string]*vpc
	Subnets      map[string]*subnet
	Reservations map[string]*reservation
	Tables       map[string]*RouteTable
	Internet     map[string]*attachment // internet gateways
	EgressOnly   map[string]*attachment // egress-only internet gateways
	Gateways     map[string]*NatGateway
	Addresses    map[string]*Address
	Interfaces   map[string]*netInterface
	Groups       map[string]*securityGroup
	Templates    map[string]*launchTemplate
	Machines     map[string]*machine
	Scaling      map[string]*scalingGroup
	Parameters   map[string]*Parameter
	Functions    map[string]*lambda

	// Declared is what the provider made, by type and id.
	Declared map[string]map[string]*declaration

	// TargetsOf and SubscriptionsOf find the targets of a rule and the subscriptions of a topic.
	TargetsOf, SubscriptionsOf map[string][]string

	// Exhausted are the types of which EC2 has no capacity.
	Exhausted map[string]bool `json:",omitempty"`

	// Doom is how long after its claim the agent of an instance dies that is launched from now on; 0: it does not.
	Doom time.Duration `json:",omitempty"`

	Sent    []PublishInput
	Metrics []Datum

	// adopting is what a creation stands for, while one runs that is no creation: see [Cloud.Adopt].
	adopting *Existing
}

func newState() state {
	return state{
		Next: map[string]int{}, VPCs: map[string]*vpc{}, Subnets: map[string]*subnet{}, Reservations: map[string]*reservation{},
		Tables: map[string]*RouteTable{}, Internet: map[string]*attachment{}, EgressOnly: map[string]*attachment{},
		Gateways: map[string]*NatGateway{}, Addresses: map[string]*Address{}, Interfaces: map[string]*netInterface{},
		Groups: map[string]*securityGroup{}, Templates: map[string]*launchTemplate{}, Machines: map[string]*machine{},
		Scaling: map[string]*scalingGroup{}, Parameters: map[string]*Parameter{}, Functions: map[string]*lambda{},
		Declared: map[string]map[string]*declaration{}, TargetsOf: map[string][]string{}, SubscriptionsOf: map[string][]string{},
	}
}

// declaration is what a program gave, and what the provider returned.
type declaration struct {
	URN     string `json:",omitempty"`
	Inputs  sim.Object
	Outputs sim.Object `json:",omitempty"`
}

type vpc struct {
	CIDRs     []netip.Prefix
	IPv6      netip.Prefix
	MainTable string
	// DefaultGroup and OwnTable came with the VPC and go with it.
	DefaultGroup, OwnTable string
	DNSSupport, DNSNames   bool
	Tags                   Tags
}

type subnet struct {
	VPC, Zone       string
	CIDR, IPv6      netip.Prefix
	MapPublic, Map6 bool
	Tags            Tags
}

type reservation struct {
	Subnet, Type string
	CIDR         netip.Prefix
}

// attachment is a gateway that is attached to a VPC, or to none.
type attachment struct {
	VPC  string
	Tags Tags
}

type securityGroup struct {
	VPC, Name, Description string
	Rules                  map[string]sgRule
	Tags                   Tags
}

// sgRule admits traffic.
type sgRule struct {
	Egress     bool
	Protocol   string // "-1" for all
	From, To   int
	CIDR       netip.Prefix `json:",omitzero"`
	Group      string       `json:",omitempty"`
	PrefixList string       `json:",omitempty"`
}

// netInterface is an ENI with what its descriptions do not show.
type netInterface struct {
	NetworkInterface
	// Shown is what instance metadata shows of the addresses: later than the API.
	Shown []PrivateAddress
	// Owner is what keeps it: a NAT gateway, a function's name, an endpoint.
	Owner string `json:",omitempty"`
}

// newID returns the next id of a kind, such as "eni-0000000000000001f", or that of the object of this kind that is adopted.
func (s *state) newID(prefix string) string {
	if a := s.adopting; a != nil && strings.HasPrefix(a.ID, prefix+"-") {
		return a.ID
	}
	s.Next[prefix]++
	return fmt.Sprintf("%s-%017x", prefix, s.Next[prefix])
}

// sorted returns the ids of a table in order.
func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// Pools of public addresses: documentation and benchmark blocks. Elastic IPs come from the first, addresses that EC2 assigns
// by itself from the second; each goes on in a larger block.
var (
	elasticPool  = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.18.0.0/16")}
	assignedPool = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("198.19.0.0/16")}
)

// publicAddress returns the next address of a pool that no Elastic IP has.
func (s *state) publicAddress(name string, pool []netip.Prefix) string {
	for {
		s.Next[name]++
		address, taken := inPool(pool, s.Next[name]), false
		for _, a := range s.Addresses {
			taken = taken || a.PublicIP == address
		}
		if !taken {
			return address
		}
	}
}

// inPool is the nth address of a pool.
func inPool(pool []netip.Prefix, n int) string {
	for _, p := range pool {
		size := 1<<(32-p.Bits()) - 2
		if n <= size {
			return nth(p, n).String()
		}
		n -= size
	}
	return nth(pool[len(pool)-1], n).String()
}

// nth is the nth address of an IPv4 block; 0 is the block's own.
func nth(p netip.Prefix, n int) netip.Addr {
	b := p.Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
