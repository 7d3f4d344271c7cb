package privatenat

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/sdks/huaweicloud"
)

// Args describe the gateway and its rules. What is a plain value decides which resources exist.
type Args struct {
	// Gateway stands in the VPC of the services. Required.
	Gateway Gateway
	// Networks by key: those of the applications that reach the services. Required.
	Networks map[string]network.Network
	// TransitIPs by key: addresses in Networks at which the services are reached. Required.
	TransitIPs map[string]TransitIP
	// Targets by key: what rules lead to.
	Targets map[string]Target
	// Rules by key: DNAT rules, each from a port of a transit IP to a target.
	Rules map[string]Rule
	// SNATRules by key: for the opposite direction, sources in the VPC of the services that leave with the address of a transit IP.
	// The route that leads them to the gateway is not made.
	SNATRules map[string]SNATRule
	// Held is what the stack's last update left behind, its Claims, to refuse a change that the cloud would; nil if there was
	// none.
	Held network.Claims
	// Tags for everything that takes them.
	Tags map[string]string
	// Provider of the side of the services: gateway and rules. Required.
	Provider *huaweicloud.Provider
	// ConsumerProvider is that of the side of the applications: their networks and the transit IPs. None: Provider.
	ConsumerProvider *huaweicloud.Provider
}

// Gateway is the private NAT gateway.
type Gateway struct {
	// Name in the cloud.
	Name string
	// Spec is its size: Small for up to 20 rules, Medium 50, Large 200, Extra-Large 500.
	Spec string
	// VPCID of the VPC of the services. Required.
	VPCID pulumi.StringInput
	// VPCCIDR of that VPC, canonical. Required.
	VPCCIDR string
	// SubnetID of a subnet of that VPC, of its network and not of its IPv4 part. Required.
	SubnetID pulumi.StringInput
}

// TransitIP is an address at which services are reached.
type TransitIP struct {
	// Network is the key of the network that it is in. Required.
	Network string
	// Address that it is to have; without one it gets one, or keeps the one that it has.
	Address string
}

// Target is what a rule may lead to: a port or an address.
type Target struct {
	// Type is load-balancer, instance, virtual-ip or address. Required.
	Type string
	// PortID is the id of the port of a load balancer (its IPv4 port), an instance or a virtual IP. Required but for an address.
	PortID pulumi.StringInput
	// Address in the VPC of the services, or behind it, such as one on premises. Required for an address, and for nothing else.
	Address string
	// Listeners of a load balancer, by key. Required for a load balancer.
	Listeners map[string]Listener
	// Ready is what has to be there before anything answers at the target, such as listeners and members.
	Ready []pulumi.Resource
	// Subnet that the target is in, if it is made with the target: when it is replaced, so are the rules. None: it stays.
	Subnet pulumi.Resource
}

// Listener of a load balancer.
type Listener struct {
	// Protocol that it speaks: HTTP, HTTPS, TCP, TLS, UDP or QUIC. Required.
	Protocol string
	// Port that it listens on, 1 to 65535. Required.
	Port int
}

// Rule is a DNAT rule.
type Rule struct {
	// TransitIP is the key of the transit IP at which the target is reached. Required.
	TransitIP string
	// Target is the key of what is reached. Required.
	Target string
	// Protocol is tcp, udp, or any for all ports of everything. Required.
	Protocol string
	// Port of the transit IP, 1 to 65535. Required but for any, which has none.
	Port int
	// TargetPort is the port of the target, 1 to 65535. Required but for any, which has none.
	TargetPort int
	// Description in the cloud, up to 255 characters without < and >.
	Description string
}

// SNATRule gives sources in the VPC of the services the address of a transit IP.
type SNATRule struct {
	// TransitIP is the key of the transit IP; no rule of the other kind may use it. Required.
	TransitIP string
	// CIDR of the sources, within the VPC of the services.
	CIDR string
	// SubnetID of the sources, instead of CIDR; with neither it is the gateway's subnet.
	SubnetID string
}

// Claims are what the rules, transit IPs and subnets want for themselves, and so what the next update is to know as its
// Held. name is that of the component.
func (a *Args) Claims(name string) network.Claims {
	claims := network.Claims{}
	for k := range a.Networks {
		a.network(name, k).Claim(claims, "networks."+k+".")
	}
	for k, t := range a.TransitIPs {
		claims["transitIps."+k+".address"] = network.Claim{Value: t.Address, Of: a.place(t)}
	}
	for k, r := range a.Rules {
		claims["rules."+k+".port"] = network.Claim{Value: r.socket(), Of: "transit IP " + r.TransitIP}
		if id, ok := a.balancer(r.Target); ok {
			claims["rules."+k+".target"] = network.Claim{Value: id, Of: "the load balancers"}
		}
	}
	for k, r := range a.SNATRules {
		claims["snatRules."+k+".transitIp"] = network.Claim{Value: network.All, Of: "transit IP " + r.TransitIP, Sharers: "SNAT"}
		if r.CIDR != "" {
			claims["snatRules."+k+".cidr"] = network.Claim{Value: r.CIDR, Of: "the sources"}
		} else {
			claims["snatRules."+k+".subnetId"] = network.Claim{Value: a.source(r), Of: "the sources"}
		}
	}
	return claims
}

// network is the one of that key with its names.
func (a *Args) network(name, key string) network.Network {
	return a.Networks[key].Named(name, "-"+key)
}

// place is the subnet of a transit IP: two keys of networks may stand for one that exists.
func (a *Args) place(t TransitIP) string {
	if id := a.Networks[t.Network].Subnet.ID; id != "" {
		return "subnet " + id
	}
	return "network " + t.Network
}

// source is the subnet of an SNAT rule that has no CIDR.
func (a *Args) source(r SNATRule) string {
	if r.SubnetID == "" || r.SubnetID == plain(a.Gateway.SubnetID) {
		return "the gateway's subnet"
	}
	return r.SubnetID
}

// balancer identifies the load balancer that a target is, if it is one: two targets may be the same.
func (a *Args) balancer(target string) (id string, ok bool) {
	port := plain(a.Targets[target].PortID)
	if port == "" {
		return target, a.Targets[target].Type == LoadBalancer
	}
	for _, t := range a.Targets {
		if t.Type == LoadBalancer && plain(t.PortID) == port {
			return port, true
		}
	}
	return "", false
}

// Types of a target.
const (
	LoadBalancer = "load-balancer"
	Instance     = "instance"
	VirtualIP    = "virtual-ip"
	Address      = "address"
)

// Protocols of a rule, as the API echoes them: in any other case a preview would always show a difference.
const (
	tcp      = "tcp"
	udp      = "udp"
	anything = network.All
)

func (r Rule) protocol() string { return strings.ToLower(r.Protocol) }

// specs are the sizes of a gateway and how many rules, of both kinds together, each holds, by the vendor's price list.
var specs = map[string]int{"Small": 20, "Medium": 50, "Large": 200, "Extra-Large": 500}

const defaultSpec = "Small"

// transport tells what a listener's protocol runs on.
func (l Listener) transport() string {
	switch strings.ToUpper(l.Protocol) {
	case "HTTP", "HTTPS", "TCP", "TLS":
		return tcp
	case "UDP", "QUIC":
		return udp
	}
	return ""
}
