// Package network is what the components of Huawei Cloud share: a VPC with a subnet, which they make or take as it is, and
// the rules for names and keys.
package network

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go4.org/netipx"

	"polynat/internal/problem"
	"polynat/internal/route"
	"polynat/sdks/huaweicloud"
)

// Network is a VPC and a subnet of it.
type Network struct {
	// VPC that the subnet is in. Required.
	VPC VPC
	// Subnet of the VPC. Required.
	Subnet Subnet
}

// VPC is one that is made, or one that exists.
type VPC struct {
	// ID of a VPC that exists; without it one is made.
	ID string
	// Name in the cloud of the VPC that is made.
	Name string
	// CIDR of the VPC, canonical; of one that exists too, to find addresses that do not belong there. Required.
	CIDR string
}

// Subnet is one that is made, or one that exists in a VPC that exists.
type Subnet struct {
	// ID of a subnet that exists, of its network and not of its IPv4 part; without it one is made.
	ID string
	// IPv4SubnetID of a subnet that exists: its other id, which load balancers and their members take.
	IPv4SubnetID string
	// Name in the cloud of the subnet that is made.
	Name string
	// CIDR of the subnet, canonical, within the VPC's. Required.
	CIDR string
	// Gateway is the address of the subnet's own router.
	Gateway string
}

// Made is a network as resources.
type Made struct {
	VPCID, SubnetID, IPv4SubnetID pulumi.StringOutput
	// Subnet is nil when it existed before.
	Subnet pulumi.Resource
}

// Named is the network with names for what is made and has none. suffix ends those and the child names: <name>-vpc<suffix>.
func (n Network) Named(name, suffix string) Network {
	if n.VPC.ID == "" {
		n.VPC.Name = or(n.VPC.Name, name+"-vpc"+suffix)
	}
	if n.Subnet.ID == "" {
		n.Subnet.Name = or(n.Subnet.Name, name+"-subnet"+suffix)
	}
	return n
}

// Make registers what does not exist, named.
func (n Network) Make(ctx *pulumi.Context, name, suffix string, tags map[string]string, opts ...pulumi.ResourceOption) (*Made, error) {
	made := &Made{
		VPCID:        pulumi.String(n.VPC.ID).ToStringOutput(),
		SubnetID:     pulumi.String(n.Subnet.ID).ToStringOutput(),
		IPv4SubnetID: pulumi.String(n.Subnet.IPv4SubnetID).ToStringOutput(),
	}
	if n.VPC.ID == "" {
		// The provider's own 3 minutes are short for a VPC whose last interfaces are still going.
		patient := pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: "10m"})
		vpc, err := huaweicloud.NewVpc(ctx, name+"-vpc"+suffix, &huaweicloud.VpcArgs{
			Name: pulumi.String(n.VPC.Name), Cidr: pulumi.String(n.VPC.CIDR), Tags: Tags(tags),
		}, append(slices.Clip(opts), patient)...)
		if err != nil {
			return nil, err
		}
		made.VPCID = vpc.ID().ToStringOutput()
	}
	if n.Subnet.ID == "" {
		subnet, err := huaweicloud.NewVpcSubnet(ctx, name+"-subnet"+suffix, &huaweicloud.VpcSubnetArgs{
			Name: pulumi.String(n.Subnet.Name), VpcId: made.VPCID,
			Cidr: pulumi.String(n.Subnet.CIDR), GatewayIp: pulumi.String(n.GatewayAddress().String()), Tags: Tags(tags),
			// A subnet cannot stand beside another with its CIDR.
		}, append(slices.Clip(opts), pulumi.DeleteBeforeReplace(true))...)
		if err != nil {
			return nil, err
		}
		made.SubnetID, made.IPv4SubnetID, made.Subnet = subnet.ID().ToStringOutput(), subnet.Ipv4SubnetId, subnet
	}
	return made, nil
}

// GatewayAddress is that of the subnet's router: the subnet's first unless Gateway says otherwise. It is invalid when the
// network is.
func (n Network) GatewayAddress() netip.Addr {
	if a, err := netip.ParseAddr(n.Subnet.Gateway); err == nil {
		return a
	}
	if p, err := route.ParseCIDR(n.Subnet.CIDR); err == nil {
		return p.Addr().Next()
	}
	return netip.Addr{}
}

// VPCNames is what names of VPCs are of: an account has each once.
const VPCNames = "the account's VPCs"

// Claim adds to claims what a network that is made wants for itself. field begins the paths.
func (n Network) Claim(claims Claims, field string) {
	if n.VPC.ID == "" {
		claims[field+"vpc.name"] = Claim{Value: n.VPC.Name, Of: VPCNames}
	}
	if n.Subnet.ID == "" {
		claims[field+"subnet.cidr"] = Claim{Value: n.Subnet.CIDR, Of: n.vpc(field)}
	}
}

// vpc is what claims of its addresses are of.
func (n Network) vpc(field string) string {
	if n.VPC.ID == "" {
		return field + "vpc"
	}
	return "VPC " + n.VPC.ID
}

// Problems of the network. field begins their paths; balanced says that load balancers will be in it; held is what the last
// update left behind.
func (n Network) Problems(field string, balanced bool, held Claims) problem.List {
	var l problem.List
	vpc, err := route.ParseCIDR(n.VPC.CIDR)
	if err != nil {
		l = append(l, problem.Problem{Field: field + "vpc.cidr", Rule: err.Error()})
	}
	subnet, err := route.ParseCIDR(n.Subnet.CIDR)
	switch {
	case err != nil:
		l = append(l, problem.Problem{Field: field + "subnet.cidr", Rule: err.Error()})
	case subnet.Bits() > 28:
		l.Add(field+"subnet.cidr", n.Subnet.CIDR, "is too small: the cloud makes no subnet below /28", "choose a shorter length")
	case vpc.IsValid() && (!vpc.Contains(subnet.Addr()) || subnet.Bits() < vpc.Bits()):
		l.Add(field+"subnet.cidr", n.Subnet.CIDR, "is not within the VPC's "+n.VPC.CIDR, "choose a CIDR within it")
	}
	// The cloud takes no CIDR that leaves out a subnet of the VPC, and that moves after it.
	if c := held[field+"subnet.cidr"]; n.VPC.ID == "" && c.Of == n.vpc(field) && vpc.IsValid() {
		if left, err := route.ParseCIDR(c.Value); err == nil && (!vpc.Contains(left.Addr()) || left.Bits() < vpc.Bits()) {
			l.Add(field+"vpc.cidr", n.VPC.CIDR, "leaves out "+c.Value+", where its subnet still is",
				"first choose one that holds both, and move the subnet, by an update of its own; or make another network and let this one go")
		}
	}
	l = append(l, n.idProblems(field, balanced)...)
	Name(&l, field+"vpc.name", n.VPC.Name)
	Name(&l, field+"subnet.name", n.Subnet.Name)
	if g := n.Subnet.Gateway; g != "" {
		a, err := netip.ParseAddr(g)
		switch {
		case err != nil || subnet.IsValid() && !subnet.Contains(a):
			l.Add(field+"subnet.gateway", g, "is not an address of the subnet "+n.Subnet.CIDR, "leave it out for the first")
		case subnet.IsValid() && (a == subnet.Addr() || a == netipx.PrefixLastIP(subnet)):
			l.Add(field+"subnet.gateway", g, "is that of the subnet "+n.Subnet.CIDR+" itself or its broadcast", "leave it out for the first")
		}
	}
	return l
}

// idProblems are contradictions between what exists and what is to be made.
func (n Network) idProblems(field string, balanced bool) problem.List {
	var l problem.List
	if n.VPC.ID != "" && n.VPC.Name != "" {
		l.Add(field+"vpc.name", n.VPC.Name, "names a VPC that exists already", "leave it out, or leave id out to make a VPC")
	}
	if n.Subnet.ID != "" && n.Subnet.Name != "" {
		l.Add(field+"subnet.name", n.Subnet.Name, "names a subnet that exists already", "leave it out, or leave id out to make a subnet")
	}
	if n.Subnet.ID != "" && n.VPC.ID == "" {
		l.Missing(field+"vpc.id", "name the VPC that the subnet "+n.Subnet.ID+" is in")
	}
	switch given := n.Subnet.IPv4SubnetID != ""; {
	case balanced && n.Subnet.ID != "" && !given:
		l.Missing(field+"subnet.ipv4SubnetId", "load balancers take this id of a subnet; the console shows it as IPv4 subnet ID")
	case given && (!balanced || n.Subnet.ID == ""):
		l.Add(field+"subnet.ipv4SubnetId", n.Subnet.IPv4SubnetID, "is only for a subnet that exists and gets load balancers", "leave it out")
	case given && n.Subnet.IPv4SubnetID == n.Subnet.ID:
		l.Add(field+"subnet.ipv4SubnetId", n.Subnet.IPv4SubnetID, "is the same as id, but a subnet has two", "the console shows them as network ID and IPv4 subnet ID")
	}
	return l
}

// Crowds reports whether the subnets of both networks cannot stand in their VPC, one that exists, side by side.
func (n Network) Crowds(o Network) bool {
	a, errA := route.ParseCIDR(n.Subnet.CIDR)
	b, errB := route.ParseCIDR(o.Subnet.CIDR)
	same := n.Subnet.ID != "" && n.Subnet.ID == o.Subnet.ID
	return n.VPC.ID != "" && n.VPC.ID == o.VPC.ID && !same && errA == nil && errB == nil && a.Overlaps(b)
}

// Address adds the problem of an address that nothing in the subnet can be given: the cloud keeps the first of a subnet,
// its router's and the last three, for its own interface, DHCP and broadcast.
func (n Network) Address(l *problem.List, field, address string) {
	if address == "" {
		return
	}
	subnet, err := route.ParseCIDR(n.Subnet.CIDR)
	if err != nil {
		return // reported with the network
	}
	a, err := netip.ParseAddr(address)
	last := netipx.PrefixLastIP(subnet)
	switch {
	case err != nil || !a.Is4():
		l.Add(field, address, "is not an IPv4 address", "write four numbers, or leave it out for an automatic one")
	case !subnet.Contains(a):
		l.Add(field, address, "is not in its subnet "+n.Subnet.CIDR, "choose an address of the subnet, or leave it out for an automatic one")
	case a == n.GatewayAddress():
		l.Add(field, address, "is the gateway of its subnet", "choose another, or leave it out for an automatic one")
	case a == subnet.Addr(), a == last, a == last.Prev(), a == last.Prev().Prev():
		l.Add(field, address, "is one that the cloud keeps for itself: the first and the last three of a subnet", "choose another, or leave it out for an automatic one")
	}
}

var (
	keys  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	names = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
)

// Key adds the problem of a key that cannot become part of a name.
func Key(l *problem.List, field, key string) {
	if !keys.MatchString(key) {
		l.Add(field, key, "must be lower-case letters, digits and hyphens, at most 31, beginning with a letter", "rename it")
	}
}

// Name adds the problem of a name that the API refuses; an empty one stands for a default.
func Name(l *problem.List, field, name string) {
	if name != "" && !names.MatchString(name) {
		l.Add(field, name, "must be 1 to 64 letters, digits, underscores, hyphens and dots", "rename it")
	}
}

// Tags as an input; none is no input, lest the provider see a difference.
func Tags(tags map[string]string) pulumi.StringMapInput {
	if len(tags) == 0 {
		return nil
	}
	return pulumi.ToStringMap(tags)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
