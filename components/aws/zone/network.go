package zone

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/natzone"
)

// securityGroup lets the clients in, and everything out.
func (z *Zone) securityGroup() (err error) {
	z.group, err = ec2.NewSecurityGroup(z.ctx, z.childName("security-group"), &ec2.SecurityGroupArgs{
		Description: pulumi.String("NAT instance: clients in, everything out"), VpcId: z.args.VPCID.ToStringOutput(),
		Tags: pulumi.ToStringMap(z.tags("instance")),
	}, z.childOpts()...)
	if err != nil {
		return err
	}
	z.SecurityGroupID = z.group.ID().ToStringOutput()
	for _, out := range []struct {
		kind       string
		ipv4, ipv6 pulumi.StringPtrInput
	}{{"egress-ipv4", pulumi.String("0.0.0.0/0"), nil}, {"egress-ipv6", nil, pulumi.String("::/0")}} {
		rule, err := vpc.NewSecurityGroupEgressRule(z.ctx, z.childName(out.kind), &vpc.SecurityGroupEgressRuleArgs{
			SecurityGroupId: z.group.ID(), IpProtocol: pulumi.String("-1"), CidrIpv4: out.ipv4, CidrIpv6: out.ipv6, Tags: z.ruleTags(),
		}, z.childOpts()...)
		if err != nil {
			return err
		}
		z.rules = append(z.rules, rule)
	}
	for _, cidr := range slices.Sorted(slices.Values(z.args.IngressCIDRs)) {
		args := &vpc.SecurityGroupIngressRuleArgs{}
		if ipv6(cidr) {
			args.CidrIpv6 = pulumi.String(cidr)
		} else {
			args.CidrIpv4 = pulumi.String(cidr)
		}
		if err := z.admit(cidr, args); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(z.args.IngressGroups)) {
		if err := z.admit("group-"+key, &vpc.SecurityGroupIngressRuleArgs{ReferencedSecurityGroupId: z.args.IngressGroups[key].ToStringOutput()}); err != nil {
			return err
		}
	}
	if err := z.admitICMP(); err != nil {
		return err
	}
	// A successor asks its predecessor for the connections, whoever else may come in.
	return z.admit("self", &vpc.SecurityGroupIngressRuleArgs{
		ReferencedSecurityGroupId: z.group.ID(), IpProtocol: pulumi.String("tcp"), FromPort: pulumi.Int(natzone.HealthPort), ToPort: pulumi.Int(natzone.HealthPort),
	})
}

// admitICMP lets in two messages of routers about a packet: it is too big, or it has passed too many of them. AWS has a
// group drop these messages without a rule, whatever connection they are about; natd passes them on to the client.
func (z *Zone) admitICMP() error {
	for _, message := range []struct {
		key, protocol string
		kind, code    int // fields of the message, by RFC 792 and RFC 4443
	}{{"too-big", "icmp", 3, 4}, {"expired", "icmp", 11, 0}, {"too-big-ipv6", "icmpv6", 2, 0}, {"expired-ipv6", "icmpv6", 3, 0}} {
		args := &vpc.SecurityGroupIngressRuleArgs{IpProtocol: pulumi.String(message.protocol), FromPort: pulumi.Int(message.kind), ToPort: pulumi.Int(message.code)}
		switch {
		case message.protocol == "icmp":
			args.CidrIpv4 = pulumi.String("0.0.0.0/0")
		case slices.ContainsFunc(z.args.IngressCIDRs, ipv6):
			args.CidrIpv6 = pulumi.String("::/0")
		default:
			continue
		}
		if err := z.admit(message.key, args); err != nil {
			return err
		}
	}
	return nil
}

func ipv6(cidr string) bool { return strings.Contains(cidr, ":") }

// admit lets in what args name, of every protocol if they name none.
func (z *Zone) admit(key string, args *vpc.SecurityGroupIngressRuleArgs) error {
	args.SecurityGroupId, args.Tags = z.group.ID(), z.ruleTags()
	if args.IpProtocol == nil {
		args.IpProtocol = pulumi.String("-1")
	}
	rule, err := vpc.NewSecurityGroupIngressRule(z.ctx, z.childName("ingress")+"-"+key, args, z.childOpts()...)
	z.rules = append(z.rules, rule)
	return err
}

func (z *Zone) admitProber(args *LaunchArgs) error {
	if args.ProberSecurityGroup == nil {
		return nil
	}
	return z.admit("prober", &vpc.SecurityGroupIngressRuleArgs{ReferencedSecurityGroupId: args.ProberSecurityGroup.ToStringOutput()})
}

// address makes the zone's address, or takes the one that is given, and reserves the private one that it is bound to.
func (z *Zone) address() error {
	reserved, err := ec2.NewSubnetCidrReservation(z.ctx, z.childName("reservation"), &ec2.SubnetCidrReservationArgs{
		SubnetId: z.args.PublicSubnetID, CidrBlock: pulumi.String(netip.PrefixFrom(z.args.Address, z.args.Address.BitLen()).String()),
		ReservationType: pulumi.String("explicit"), Description: pulumi.String("NAT of " + z.args.Zone + ": " + z.args.Name),
	}, z.childOpts()...)
	if err != nil {
		return err
	}
	z.Routes, z.ReservationID = append(z.Routes, reserved), reserved.ID().ToStringOutput()
	if given := z.args.Given; given != nil {
		z.AllocationID, z.PublicIP = pulumi.String(given.AllocationID).ToStringOutput(), pulumi.String(given.PublicIP).ToStringOutput()
		return nil
	}
	own, err := NewAddress(z.ctx, z.childName("address"), z.args.Zone, z.owned("instance"), z.childOpts(z.args.Keep...))
	if err != nil {
		return err
	}
	z.AllocationID, z.PublicIP = own.AllocationId, own.PublicIp
	return nil
}

// NewAddress makes an Elastic IP for a zone. Who it is associated with is decided by whoever uses it.
func NewAddress(ctx *pulumi.Context, name, zone string, tags map[string]string, opts []pulumi.ResourceOption) (*ec2.Eip, error) {
	args := &ec2.EipArgs{Domain: pulumi.String("vpc"), Tags: pulumi.ToStringMap(tags)}
	if !regional.MatchString(zone) { // a local zone has addresses of its own, which are called after it without its letter
		args.NetworkBorderGroup = pulumi.String(zone[:len(zone)-1])
	}
	return ec2.NewEip(ctx, name, args, opts...)
}

// regional zones share the addresses of their region.
var regional = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d[a-z]$`)

// Gateway is a standby NAT gateway.
type Gateway struct {
	ID, PublicIP pulumi.StringInput
	// AllocationID of its Elastic IP; nil where the gateway is given.
	AllocationID pulumi.StringInput
}

// GatewayArgs describe a gateway.
type GatewayArgs struct {
	Zone     string
	SubnetID pulumi.StringInput
	// Given is its Elastic IP; nil: one is made, with Keep.
	Given *GivenAddress
	Keep  []pulumi.ResourceOption
	Tags  map[string]string
	// After exists before the gateway takes an address of the subnet.
	After []pulumi.Resource
}

// NewGateway makes a standby NAT gateway, and its address.
func NewGateway(ctx *pulumi.Context, name, addressName string, args *GatewayArgs, opts ...pulumi.ResourceOption) (*Gateway, error) {
	var allocation pulumi.StringOutput
	if args.Given != nil {
		allocation = pulumi.String(args.Given.AllocationID).ToStringOutput()
	} else {
		own, err := NewAddress(ctx, addressName, args.Zone, args.Tags, slices.Concat(opts, args.Keep))
		if err != nil {
			return nil, err
		}
		allocation = own.AllocationId
	}
	// Its address cannot be on two gateways, so that a successor comes after it has gone.
	made, err := ec2.NewNatGateway(ctx, name, &ec2.NatGatewayArgs{
		SubnetId: args.SubnetID, AllocationId: allocation.ToStringPtrOutput(), Tags: pulumi.ToStringMap(args.Tags),
	}, slices.Concat(opts, []pulumi.ResourceOption{pulumi.DependsOn(args.After), pulumi.DeleteBeforeReplace(true)})...)
	if err != nil {
		return nil, err
	}
	return &Gateway{ID: made.ID().ToStringOutput(), PublicIP: made.PublicIp, AllocationID: allocation}, nil
}

// standby makes the zone's gateway, or takes the one that is given.
func (z *Zone) standby() error {
	none := pulumi.String("").ToStringOutput()
	z.StandbyID, z.StandbyIP, z.StandbyAllocationID = none, none, none
	if z.args.Standby == nil {
		return nil
	}
	gatewayOf := z.args.Standby.Gateway
	if gatewayOf == nil {
		gatewayOf = func(after []pulumi.Resource) (*Gateway, error) {
			return NewGateway(z.ctx, z.childName("standby"), z.childName("standby-address"), &GatewayArgs{
				Zone: z.args.Zone, SubnetID: z.args.PublicSubnetID, Given: z.args.Standby.Given, Keep: z.args.Keep, Tags: z.tags("standby"), After: after,
			}, z.childOpts()...)
		}
	}
	gateway, err := gatewayOf(slices.Clone(z.Routes))
	if err != nil {
		return err
	}
	z.StandbyID, z.StandbyIP = gateway.ID.ToStringOutput(), gateway.PublicIP.ToStringOutput()
	if gateway.AllocationID != nil {
		z.StandbyAllocationID = gateway.AllocationID.ToStringOutput()
	}
	return nil
}

// holders are the properties that say where a route points. They change hands while the zone runs.
var holders = []string{
	"carrierGatewayId", "coreNetworkArn", "egressOnlyGatewayId", "gatewayId", "localGatewayId", "natGatewayId", "networkInterfaceId",
	"transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId",
}

// RouteName is the name of the child that is a route.
func RouteName(component, zone, table string, destination netip.Prefix) string {
	return component + "-route-" + zone + "-" + table + "-" + destination.String()
}

// routes makes the routes of all tables to the standby gateway or, without one, to an interface that nothing is attached to.
func (z *Zone) routes() error {
	var natGateway, networkInterface pulumi.StringPtrInput = z.StandbyID.ToStringPtrOutput(), nil
	z.HolderID = pulumi.String("").ToStringOutput()
	if z.args.Standby == nil {
		holder, err := ec2.NewNetworkInterface(z.ctx, z.childName("holder"), &ec2.NetworkInterfaceArgs{
			SubnetId: z.args.PublicSubnetID, Description: pulumi.String("holds the routes of " + z.args.Zone + " until an instance claims them"),
			SecurityGroups: pulumi.StringArray{z.group.ID()}, Tags: pulumi.ToStringMap(z.owned("holder")),
		}, z.childOpts(pulumi.DependsOn(slices.Clone(z.Routes)))...)
		if err != nil {
			return err
		}
		z.HolderID = holder.ID().ToStringOutput()
		natGateway, networkInterface = nil, z.HolderID.ToStringPtrOutput()
	}
	for _, key := range slices.Sorted(maps.Keys(z.args.Tables)) {
		for _, destination := range z.args.Destinations {
			args := &ec2.RouteArgs{RouteTableId: z.args.Tables[key], NatGatewayId: natGateway, NetworkInterfaceId: networkInterface}
			if destination.Addr().Is4() {
				args.DestinationCidrBlock = pulumi.String(destination.String())
			} else {
				args.DestinationIpv6CidrBlock = pulumi.String(destination.String())
			}
			opts := z.childOpts(pulumi.IgnoreChanges(holders))
			if id, ok := z.args.Adopt[Route{key, destination}]; ok {
				opts = append(opts, pulumi.Import(pulumi.ID(id)))
			}
			route, err := ec2.NewRoute(z.ctx, RouteName(z.name, z.args.Zone, key, destination), args, opts...)
			if err != nil {
				return err
			}
			z.Routes = append(z.Routes, route)
		}
	}
	return nil
}
