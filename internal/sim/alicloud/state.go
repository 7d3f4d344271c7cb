package alicloud

import (
	"maps"
	"net/netip"
	"slices"

	"polynat/internal/sim"
)

// Status is where an object stands. The API changes most objects
// asynchronously; every intermediate status is published (see
// [Cloud.OnChange]).
type Status string

// The statuses the simulation uses.
const (
	Pending       Status = "Pending"
	Available     Status = "Available"
	Deleting      Status = "Deleting"
	Creating      Status = "Creating"      // NAT gateway
	Associating   Status = "Associating"   // EIP
	InUse         Status = "InUse"         // EIP
	Unassociating Status = "Unassociating" // EIP
	Starting      Status = "Starting"      // instance
	Running       Status = "Running"       // instance
	Stopping      Status = "Stopping"      // instance
	Stopped       Status = "Stopped"       // instance
)

// EntryType tells the routes that the cloud keeps from those that a user made.
type EntryType string

// Types of a route entry and of a route table.
const (
	System EntryType = "System"
	Custom EntryType = "Custom"
)

// HopType is the kind of a route's next hop, in the spelling of the API.
type HopType string

// Next hops whose behavior is simulated. Any other type is a foreign hop: it
// exists when it was seeded (see [Cloud.AddRoute]) and then always works.
const (
	HopLocal            HopType = "local" // system entries: delivered inside the VPC, or to a cloud service
	HopInstance         HopType = "Instance"
	HopNetworkInterface HopType = "NetworkInterface"
	HopHAVIP            HopType = "HaVip"
	HopNATGateway       HopType = "NatGateway"
)

// Hop names a next hop. The zero value is none.
type Hop struct {
	Type HopType `json:"type"`
	ID   string  `json:"id,omitempty"`
}

func (h Hop) String() string {
	if h.ID == "" {
		return string(h.Type)
	}
	return string(h.Type) + " " + h.ID
}

// VPC is a virtual private cloud with its router and system route table.
type VPC struct {
	ID              string         `json:"id"`
	Name            string         `json:"name,omitempty"`
	Description     string         `json:"description,omitempty"`
	CIDR            netip.Prefix   `json:"cidr"`
	SecondaryCIDRs  []netip.Prefix `json:"secondaryCidrs,omitempty"`
	RouterID        string         `json:"routerId"`
	RouteTableID    string         `json:"routeTableId"`
	ResourceGroupID string         `json:"resourceGroupId,omitempty"`
}

// VSwitch is a subnet. It uses exactly one route table.
type VSwitch struct {
	ID           string       `json:"id"`
	Name         string       `json:"name,omitempty"`
	Description  string       `json:"description,omitempty"`
	VPCID        string       `json:"vpcId"`
	ZoneID       string       `json:"zoneId"`
	CIDR         netip.Prefix `json:"cidr"`
	RouteTableID string       `json:"routeTableId"`
}

// RouteTable holds at most one entry per destination.
type RouteTable struct {
	ID          string       `json:"id"`
	Name        string       `json:"name,omitempty"`
	Description string       `json:"description,omitempty"`
	VPCID       string       `json:"vpcId"`
	Type        EntryType    `json:"type"`
	Entries     []RouteEntry `json:"entries"`
}

// RouteEntry sends a destination to a next hop.
type RouteEntry struct {
	// Name is empty for an entry that was made without one, in the console or
	// by the NAT service.
	Name    string       `json:"name,omitempty"`
	CIDR    netip.Prefix `json:"cidr"`
	HopType HopType      `json:"hopType"`
	HopID   string       `json:"hopId,omitempty"`
	Type    EntryType    `json:"type"`
	Status  Status       `json:"status"`
	// Automatic marks the default route that the NAT service made together
	// with a gateway. Otherwise it is a custom entry like any other.
	Automatic bool `json:"automatic,omitempty"`
}

// Hop is the entry's next hop.
func (e RouteEntry) Hop() Hop { return Hop{e.HopType, e.HopID} }

// Instance is an ECS instance, possibly a self-managed SNAT gateway.
type Instance struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name,omitempty"`
	Description        string   `json:"description,omitempty"`
	VPCID              string   `json:"vpcId"`
	VSwitchID          string   `json:"vswitchId"`
	NetworkInterfaceID string   `json:"networkInterfaceId"`
	PrivateIP          string   `json:"privateIp"`
	PublicIP           string   `json:"publicIp,omitempty"` // static public address, not an EIP
	ImageID            string   `json:"imageId,omitempty"`
	InstanceType       string   `json:"instanceType,omitempty"`
	KeyName            string   `json:"keyName,omitempty"`
	RoleName           string   `json:"roleName,omitempty"`
	ChargeType         string   `json:"chargeType,omitempty"`
	InternetChargeType string   `json:"internetChargeType,omitempty"`
	BandwidthOut       int      `json:"bandwidthOut,omitempty"` // Mbit/s; more than 0 gives a static public address
	SecurityGroups     []string `json:"securityGroups,omitempty"`
	UserData           string   `json:"userData,omitempty"` // plain or base64
	DeletionProtection bool     `json:"deletionProtection,omitempty"`
	Status             Status   `json:"status"`
	// SystemDiskEncrypted gives the disk a key of the service's, if the caller
	// names none in SystemDiskKMSKeyID.
	SystemDiskEncrypted bool   `json:"systemDiskEncrypted,omitempty"`
	SystemDiskKMSKeyID  string `json:"systemDiskKmsKeyId,omitempty"`
	// Forwards says that a hand-made instance forwards and translates, and
	// that its security groups let it: what cannot be read off its user data.
	Forwards bool `json:"forwards,omitempty"`
}

// Interface is a secondary elastic network interface of an instance.
type Interface struct {
	ID         string `json:"id"`
	VPCID      string `json:"vpcId"`
	VSwitchID  string `json:"vswitchId"`
	InstanceID string `json:"instanceId,omitempty"`
}

// HAVIP is a private address that moves between instances; it forwards while
// one of them does.
type HAVIP struct {
	ID        string   `json:"id"`
	VPCID     string   `json:"vpcId"`
	VSwitchID string   `json:"vswitchId"`
	IP        string   `json:"ip,omitempty"`
	Instances []string `json:"instances,omitempty"`
}

// ForeignHop is a next hop whose inside is not simulated (a VPN gateway, a
// transit router attachment, …). It always works.
type ForeignHop struct {
	ID    string  `json:"id"`
	Type  HopType `json:"type"`
	VPCID string  `json:"vpcId"`
}

// NATGateway is an enhanced Internet or VPC NAT gateway.
type NATGateway struct {
	ID                 string `json:"id"`
	Name               string `json:"name,omitempty"`
	Description        string `json:"description,omitempty"`
	VPCID              string `json:"vpcId"`
	VSwitchID          string `json:"vswitchId"`
	NATType            string `json:"natType"`                 // Enhanced
	NetworkType        string `json:"networkType"`             // internet, intranet
	PaymentType        string `json:"paymentType,omitempty"`   // PayAsYouGo, Subscription
	InternetChargeType string `json:"chargeType,omitempty"`    // PayByLcu, PayBySpec
	Specification      string `json:"specification,omitempty"` // Small, Middle, Large, XLarge.1
	EIPBindMode        string `json:"eipBindMode,omitempty"`   // MULTI_BINDED, NAT
	DeletionProtection bool   `json:"deletionProtection,omitempty"`
	SNATTableID        string `json:"snatTableId"`
	ForwardTableID     string `json:"forwardTableId"`
	Status             Status `json:"status"`
}

// SNATEntry translates the sources of one vSwitch or one CIDR block.
type SNATEntry struct {
	ID        string       `json:"id"`
	Name      string       `json:"name,omitempty"`
	TableID   string       `json:"tableId"`
	VSwitchID string       `json:"vswitchId,omitempty"`
	CIDR      netip.Prefix `json:"cidr"` // the vSwitch's when VSwitchID is set
	IPs       []string     `json:"ips"`
	Status    Status       `json:"status"`
}

// ForwardEntry is a DNAT rule.
type ForwardEntry struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	TableID      string `json:"tableId"`
	ExternalIP   string `json:"externalIp"`
	ExternalPort string `json:"externalPort"`
	InternalIP   string `json:"internalIp"`
	InternalPort string `json:"internalPort"`
	Protocol     string `json:"protocol"` // any, tcp, udp
	Status       Status `json:"status"`
}

// EIP is an Elastic IP address.
type EIP struct {
	ID                 string `json:"id"`
	Name               string `json:"name,omitempty"`
	Description        string `json:"description,omitempty"`
	Address            string `json:"address"`
	Bandwidth          string `json:"bandwidth"` // Mbit/s
	ISP                string `json:"isp,omitempty"`
	InternetChargeType string `json:"internetChargeType,omitempty"` // PayByBandwidth, PayByTraffic
	PaymentType        string `json:"paymentType,omitempty"`        // PayAsYouGo, Subscription
	ResourceGroupID    string `json:"resourceGroupId,omitempty"`
	DeletionProtection bool   `json:"deletionProtection,omitempty"`
	InstanceID         string `json:"instanceId,omitempty"`
	InstanceType       string `json:"instanceType,omitempty"` // EcsInstance, Nat, HaVip, NetworkInterface, …
	BandwidthPackageID string `json:"bandwidthPackageId,omitempty"`
	Status             Status `json:"status"`
}

// BandwidthPackage shares one bandwidth between EIPs.
type BandwidthPackage struct {
	ID                 string `json:"id"`
	Name               string `json:"name,omitempty"`
	Description        string `json:"description,omitempty"`
	Bandwidth          string `json:"bandwidth"` // Mbit/s
	ISP                string `json:"isp,omitempty"`
	InternetChargeType string `json:"internetChargeType,omitempty"`
	DeletionProtection bool   `json:"deletionProtection,omitempty"`
	Status             Status `json:"status"`
}

// SecurityGroup admits packets to instances.
type SecurityGroup struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	VPCID       string `json:"vpcId,omitempty"`
	Type        string `json:"type,omitempty"` // normal, enterprise
	Rules       []Rule `json:"rules,omitempty"`
}

// Rule is one rule of a security group.
type Rule struct {
	Direction   string       `json:"direction"`             // ingress, egress
	Protocol    string       `json:"protocol"`              // tcp, udp, icmp, gre, all
	PortRange   string       `json:"portRange"`             // "-1/-1" is every port
	NICType     string       `json:"nicType,omitempty"`     // internet, intranet
	Policy      string       `json:"policy"`                // accept, drop
	Priority    int          `json:"priority"`              // 1 is the strongest
	CIDR        netip.Prefix `json:"cidr"`                  // source, or destination of egress; zero when Peer is set
	Peer        string       `json:"peer,omitempty"`        // a security group or prefix list instead of CIDR
	Description string       `json:"description,omitempty"` // the only part that can change in place
}

// key is what makes a rule the same rule.
func (r Rule) key() Rule {
	r.Description = ""
	return r
}

// state is everything that Save keeps.
type state struct {
	Next              map[string]int               `json:"next"`
	VPCs              map[string]*VPC              `json:"vpcs"`
	VSwitches         map[string]*VSwitch          `json:"vswitches"`
	RouteTables       map[string]*RouteTable       `json:"routeTables"`
	Instances         map[string]*Instance         `json:"instances"`
	Interfaces        map[string]*Interface        `json:"interfaces"`
	HAVIPs            map[string]*HAVIP            `json:"havips"`
	ForeignHops       map[string]*ForeignHop       `json:"foreignHops"`
	NATGateways       map[string]*NATGateway       `json:"natGateways"`
	SNATEntries       map[string]*SNATEntry        `json:"snatEntries"`
	ForwardEntries    map[string]*ForwardEntry     `json:"forwardEntries"`
	EIPs              map[string]*EIP              `json:"eips"`
	BandwidthPackages map[string]*BandwidthPackage `json:"bandwidthPackages"`
	SecurityGroups    map[string]*SecurityGroup    `json:"securityGroups"`
	// Declared keeps, by type and id, the inputs that the provider was given:
	// those that the simulation does not interpret are read back from here.
	Declared map[string]sim.Object `json:"declared"`
}

func newState() state {
	return state{
		Next:              map[string]int{},
		VPCs:              map[string]*VPC{},
		VSwitches:         map[string]*VSwitch{},
		RouteTables:       map[string]*RouteTable{},
		Instances:         map[string]*Instance{},
		Interfaces:        map[string]*Interface{},
		HAVIPs:            map[string]*HAVIP{},
		ForeignHops:       map[string]*ForeignHop{},
		NATGateways:       map[string]*NATGateway{},
		SNATEntries:       map[string]*SNATEntry{},
		ForwardEntries:    map[string]*ForwardEntry{},
		EIPs:              map[string]*EIP{},
		BandwidthPackages: map[string]*BandwidthPackage{},
		SecurityGroups:    map[string]*SecurityGroup{},
		Declared:          map[string]sim.Object{},
	}
}

func (s *state) clone() state {
	return state{
		Next:              maps.Clone(s.Next),
		VPCs:              cloneMap(s.VPCs),
		VSwitches:         cloneMap(s.VSwitches),
		RouteTables:       cloneMap(s.RouteTables),
		Instances:         cloneMap(s.Instances),
		Interfaces:        cloneMap(s.Interfaces),
		HAVIPs:            cloneMap(s.HAVIPs),
		ForeignHops:       cloneMap(s.ForeignHops),
		NATGateways:       cloneMap(s.NATGateways),
		SNATEntries:       cloneMap(s.SNATEntries),
		ForwardEntries:    cloneMap(s.ForwardEntries),
		EIPs:              cloneMap(s.EIPs),
		BandwidthPackages: cloneMap(s.BandwidthPackages),
		SecurityGroups:    cloneMap(s.SecurityGroups),
		Declared:          maps.Clone(s.Declared), // the objects in it are never changed in place
	}
}

func cloneMap[T any](m map[string]*T) map[string]*T {
	out := make(map[string]*T, len(m))
	for id, v := range m {
		out[id] = detach(v)
	}
	return out
}

// detach copies an object so that it shares nothing that changes in place.
// The other slices (IPs, security groups, …) are replaced as a whole when
// they change.
func detach[T any](v *T) *T {
	c := *v
	switch c := any(&c).(type) {
	case *RouteTable:
		c.Entries = slices.Clone(c.Entries)
	case *SecurityGroup:
		c.Rules = slices.Clone(c.Rules)
	}
	return &c
}

// list returns copies of the objects that keep accepts (nil keeps all), in
// the order of their ids.
func list[T any](m map[string]*T, keep func(*T) bool) []T {
	var out []T
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if keep == nil || keep(m[id]) {
			out = append(out, *detach(m[id]))
		}
	}
	return out
}
