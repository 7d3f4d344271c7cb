package huaweicloud

import (
	"net/netip"

	"polynat/internal/sim"
)

// state is the region. Objects are found by their ids.
type state struct {
	VPCs           map[string]*VPC
	Subnets        map[string]*Subnet
	SecurityGroups map[string]*SecurityGroup
	SecurityRules  map[string]*SecurityRule
	Instances      map[string]*Instance
	LoadBalancers  map[string]*LoadBalancer
	Listeners      map[string]*Listener
	Pools          map[string]*Pool
	Members        map[string]*Member
	Monitors       map[string]*Monitor
	Gateways       map[string]*Gateway
	TransitIPs     map[string]*TransitIP
	DNATRules      map[string]*DNATRule
	SNATRules      map[string]*SNATRule
	Peerings       []Peering
	Declared       map[string]declaration // by type and id: what a program gave
	Next           map[string]int         // the last number of each kind of id
}

func newState() state {
	return state{
		VPCs: map[string]*VPC{}, Subnets: map[string]*Subnet{}, SecurityGroups: map[string]*SecurityGroup{},
		SecurityRules: map[string]*SecurityRule{}, Instances: map[string]*Instance{},
		LoadBalancers: map[string]*LoadBalancer{}, Listeners: map[string]*Listener{}, Pools: map[string]*Pool{},
		Members: map[string]*Member{}, Monitors: map[string]*Monitor{}, Gateways: map[string]*Gateway{},
		TransitIPs: map[string]*TransitIP{}, DNATRules: map[string]*DNATRule{}, SNATRules: map[string]*SNATRule{},
		Declared: map[string]declaration{}, Next: map[string]int{},
	}
}

// declaration is what a program gave for an object, and by which name.
type declaration struct {
	URN    string
	Inputs sim.Object
}

// VPC is a network. Nothing leaves it but by a private NAT gateway or a peering.
type VPC struct {
	Name           string         `json:"name"`
	CIDR           netip.Prefix   `json:"cidr"`
	SecondaryCIDRs []netip.Prefix `json:"secondaryCidrs,omitempty"`
	Status         string         `json:"status"`
}

// Subnet is a network in a VPC. It has two ids: its own, which is the network's, and that of its IPv4 range.
type Subnet struct {
	VPCID        string       `json:"vpcId"`
	Name         string       `json:"name"`
	CIDR         netip.Prefix `json:"cidr"`
	GatewayIP    netip.Addr   `json:"gatewayIp"`
	Zone         string       `json:"availabilityZone,omitempty"`
	IPv4SubnetID string       `json:"ipv4SubnetId"`
	SubnetID     string       `json:"subnetId"` // the older name of the same
}

// SecurityGroup admits what its rules admit.
type SecurityGroup struct {
	Name               string `json:"name"`
	DeleteDefaultRules bool   `json:"deleteDefaultRules,omitempty"`
}

// SecurityRule is a rule of a security group.
type SecurityRule struct {
	GroupID       string       `json:"securityGroupId"`
	Direction     string       `json:"direction"`
	Ethertype     string       `json:"ethertype"`
	Protocol      string       `json:"protocol,omitempty"`
	Ports         string       `json:"ports,omitempty"`
	PortRangeMin  int          `json:"portRangeMin,omitempty"`
	PortRangeMax  int          `json:"portRangeMax,omitempty"`
	RemotePrefix  netip.Prefix `json:"remoteIpPrefix,omitzero"`
	RemoteGroupID string       `json:"remoteGroupId,omitempty"`
	Action        string       `json:"action"`
	Priority      int          `json:"priority"`
}

// Instance is an ECS instance. It answers on every port that its security groups admit.
type Instance struct {
	Name             string    `json:"name"`
	Networks         []Network `json:"networks"`
	SecurityGroupIDs []string  `json:"securityGroupIds"`
	Zone             string    `json:"availabilityZone"`
	ImageID          string    `json:"imageId,omitempty"`
	ImageName        string    `json:"imageName,omitempty"`
	FlavorID         string    `json:"flavorId,omitempty"`
	FlavorName       string    `json:"flavorName,omitempty"`
	AccessIPv4       string    `json:"accessIpV4"`
	Status           string    `json:"status"`
	SystemDiskID     string    `json:"systemDiskId"`
}

// Network is a network interface of an instance.
type Network struct {
	UUID            string     `json:"uuid"` // the subnet's id
	FixedIPv4       netip.Addr `json:"fixedIpV4"`
	Port            string     `json:"port"`
	AccessNetwork   bool       `json:"accessNetwork"`
	SourceDestCheck bool       `json:"sourceDestCheck"`
}

// LoadBalancer is a dedicated load balancer.
type LoadBalancer struct {
	Name               string     `json:"name"`
	Zones              []string   `json:"availabilityZones"`
	VPCID              string     `json:"vpcId"`
	IPv4SubnetID       string     `json:"ipv4SubnetId,omitempty"`
	IPv4Address        netip.Addr `json:"ipv4Address"`
	IPv4PortID         string     `json:"ipv4PortId"`
	BackendSubnets     []string   `json:"backendSubnets"`
	L4FlavorID         string     `json:"l4FlavorId,omitempty"`
	L7FlavorID         string     `json:"l7FlavorId,omitempty"`
	CrossVPCBackend    bool       `json:"crossVpcBackend"`
	ForceDelete        bool       `json:"forceDelete,omitempty"`
	DeletionProtection bool       `json:"deletionProtectionEnable,omitempty"`
}

// Listener is a listener of a load balancer.
type Listener struct {
	Name           string `json:"name"`
	LoadBalancerID string `json:"loadbalancerId"`
	Protocol       string `json:"protocol"`
	Port           int    `json:"protocolPort"`
	DefaultPoolID  string `json:"defaultPoolId,omitempty"`
	AccessPolicy   string `json:"accessPolicy,omitempty"`
	IPGroup        string `json:"ipGroup,omitempty"`
	ForceDelete    bool   `json:"forceDelete,omitempty"`
}

// Pool is a backend server group.
type Pool struct {
	Name               string `json:"name,omitempty"`
	Protocol           string `json:"protocol"`
	Method             string `json:"lbMethod"`
	Type               string `json:"type,omitempty"`
	VPCID              string `json:"vpcId,omitempty"`
	LoadBalancerID     string `json:"loadbalancerId,omitempty"`
	ListenerID         string `json:"listenerId,omitempty"`
	MonitorID          string `json:"monitorId,omitempty"`
	AnyPort            bool   `json:"anyPortEnable"`
	DeletionProtection bool   `json:"deletionProtectionEnable,omitempty"`
}

// Member is a backend server of a pool.
type Member struct {
	Name     string     `json:"name,omitempty"`
	PoolID   string     `json:"poolId"`
	Address  netip.Addr `json:"address"`
	Port     int        `json:"protocolPort,omitempty"`
	SubnetID string     `json:"subnetId,omitempty"` // of the IPv4 range
	Weight   *int       `json:"weight,omitempty"`
}

// Monitor is the health check of a pool.
type Monitor struct {
	PoolID     string `json:"poolId"`
	Protocol   string `json:"protocol"`
	Interval   int    `json:"interval"`
	Timeout    int    `json:"timeout"`
	MaxRetries int    `json:"maxRetries"`
	Port       int    `json:"port,omitempty"`
	URLPath    string `json:"urlPath,omitempty"`
	Enabled    bool   `json:"enabled"`
}

// Gateway is a private NAT gateway.
type Gateway struct {
	Name     string `json:"name"`
	SubnetID string `json:"subnetId"`
	VPCID    string `json:"vpcId"`
	Spec     string `json:"spec"`
	Status   string `json:"status"`
	Pending  int    `json:"pending,omitempty"` // looks until one finds it ACTIVE
	// HidesClients gives connections through its rules an address of its subnet as their source.
	HidesClients bool `json:"hidesClients,omitempty"`
}

// TransitIP is an address in the consuming VPC.
type TransitIP struct {
	SubnetID    string     `json:"subnetId"`
	Address     netip.Addr `json:"ipAddress"`
	InterfaceID string     `json:"networkInterfaceId"`
}

// DNATRule leads a port of a transit IP, or all of them, to a destination in the gateway's VPC.
type DNATRule struct {
	GatewayID    string `json:"gatewayId"`
	TransitIPID  string `json:"transitIpId"`
	Protocol     string `json:"protocol"`
	TransitPort  int    `json:"transitServicePort,omitempty"`
	InternalPort int    `json:"internalServicePort,omitempty"`
	InterfaceID  string `json:"backendInterfaceId,omitempty"`
	PrivateIP    string `json:"backendPrivateIp,omitempty"`
	BackendType  string `json:"backendType"`
}

// SNATRule lets a subnet or a range of the gateway's VPC out by a transit IP.
type SNATRule struct {
	GatewayID        string       `json:"gatewayId"`
	TransitIPID      string       `json:"transitIpId"`
	SubnetID         string       `json:"subnetId,omitempty"`
	CIDR             netip.Prefix `json:"cidr,omitzero"`
	TransitIPAddress netip.Addr   `json:"transitIpAddress"`
}

// Peering is a connection between two VPCs that lets every packet through, as a console would make one with its routes. No
// resource makes it: it is there to be found out by the isolation check.
type Peering struct{ A, B string }

// AddPeering connects two VPCs.
func (c *Cloud) AddPeering(p Peering) error {
	return c.change(func() error { c.state.Peerings = append(c.state.Peerings, p); return nil })
}

// active is the status of what is ready.
const active = "ACTIVE"

// look is what somebody who asks for a gateway makes happen: time has passed.
func (c *Cloud) look(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g, ok := c.state.Gateways[id]; ok && g.Status != active {
		if g.Pending--; g.Pending <= 0 { // one that was adopted as it was when it was made has none
			g.Status, g.Pending = active, 0
		}
	}
}
