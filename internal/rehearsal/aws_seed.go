package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/natzone"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// awsSeed collects what exists on AWS before the stack does anything more.
type awsSeed struct {
	network *awsNetwork
	// held are the ids of what was collected, or comes from the state of the stack.
	held map[string]bool
	// ips are the public addresses, by the id of an Elastic IP or of a gateway; made is the last one that was made up.
	ips  map[string]string
	made netip.Addr
	all  []aws.Existing
	// notes say what was made up.
	notes []string
}

// existingOnAWS collects it: the network, whoever made it, then what is named in it, then what a deployed stack has made there.
func existingOnAWS(b block, region string, from awsDeployed) (*awsSeed, error) {
	s := &awsSeed{network: newAWSNetwork(), held: map[string]bool{}, ips: map[string]string{}}
	from.hold(s)
	s.network.read(from.nat)
	if b.at("discovery") != nil && from.nat == nil {
		made := toBeFound(b, region)
		s.network.read(made)
		s.notes = append(s.notes, "discovery looks nothing up in a rehearsal: the VPC that it finds is made up, with a public and a private subnet in "+strings.Join(made.at("zones").keys(), ", "))
	}
	s.network.read(b.at("nat"))
	if err := s.network.complete(); err != nil {
		return nil, err
	}
	s.all = slices.Clone(from.network)
	s.put(marksOf(b.at("discovery")), sim.Truth(sim.Object(b.at("nat")), "nat64"))
	s.named(from.nat)
	from.referred(s)
	s.named(b.at("nat"))
	s.defaults(b.at("nat"))
	s.all = append(s.all, from.others...)
	return s, nil
}

// madeUp is an id of something whose own is not known. It is always the same for the same name.
func madeUp(prefix, name string) string {
	h := fnv.New64a()
	h.Write([]byte(prefix + " " + name))
	return fmt.Sprintf("%s-0%016x", prefix, h.Sum64())
}

func (s *awsSeed) add(typ, id string, inputs, outputs sim.Object) {
	if id == "" || s.held[id] {
		return
	}
	s.held[id] = true
	s.all = append(s.all, aws.Existing{Type: "aws:" + typ, ID: id, Inputs: inputs, Outputs: outputs})
}

// awsMarks are the tags of a network: what discovery looks for, beside the names that terraform-aws-vpc gives.
type awsMarks struct {
	name                 string
	vpc, public, private block
}

func marksOf(discovery block) awsMarks {
	return awsMarks{
		name: cmp.Or(discovery.at("vpc").text("name"), "main"), vpc: discovery.at("vpc", "tags"),
		public: discovery.at("publicTags"), private: discovery.at("privateTags"),
	}
}

// tags are those of something with a name, and what is looked for.
func (m awsMarks) tags(suffix string, marks block) sim.Object {
	tags := sim.Object{"Name": m.name + suffix}
	maps.Copy(tags, marks)
	return tags
}

// put adds the network: the VPC, its Internet gateway with the table of the public subnets, and private tables that lead
// nowhere. One that the stack has made is there already.
func (s *awsSeed) put(m awsMarks, nat64 bool) {
	n := s.network
	if n.vpc == "" || s.held[n.vpc] {
		return
	}
	if n.ipv6 == "" && nat64 {
		n.ipv6 = "2001:db8:ff00::/56" // RFC 3849
	}
	var blocks []any
	for _, p := range n.cidrs {
		blocks = append(blocks, sim.Object{"cidrBlock": p.String()})
	}
	s.add("ec2/vpc:Vpc", n.vpc, sim.Object{"cidrBlock": n.cidrs[0].String(), "tags": m.tags("", m.vpc)}, sim.Object{"cidrBlockAssociations": blocks, "ipv6CidrBlock": n.ipv6})
	internet, public := madeUp("igw", n.vpc), madeUp("rtb", "public "+n.vpc)
	s.add("ec2/internetGateway:InternetGateway", internet, sim.Object{"vpcId": n.vpc}, nil)
	s.add("ec2/routeTable:RouteTable", public, sim.Object{"vpcId": n.vpc, "tags": m.tags("-public", nil)}, nil)
	s.route(public, "0.0.0.0/0", "gatewayId", internet)
	for _, id := range slices.Sorted(maps.Keys(n.tables)) {
		s.add("ec2/routeTable:RouteTable", id, sim.Object{"vpcId": n.vpc, "tags": m.tags("-private-"+n.tables[id], nil)}, nil)
	}
	for i, id := range slices.Sorted(maps.Keys(n.subnets)) {
		subnet := n.subnets[id]
		tags := m.tags("-private-"+subnet.zone, m.private)
		if subnet.table == "" {
			tags = m.tags("-public-"+subnet.zone, m.public)
		}
		in := sim.Object{"vpcId": n.vpc, "availabilityZone": subnet.zone, "cidrBlock": subnet.cidr.String(), "tags": tags}
		if p, err := netip.ParsePrefix(n.ipv6); err == nil {
			in["ipv6CidrBlock"], in["assignIpv6AddressOnCreation"] = ipv6Part(p, byte(i)).String(), true
		}
		s.add("ec2/subnet:Subnet", id, in, nil)
		s.add("ec2/routeTableAssociation:RouteTableAssociation", madeUp("rtbassoc", id), sim.Object{"subnetId": id, "routeTableId": cmp.Or(subnet.table, public)}, nil)
	}
}

// ipv6Part is the nth /64 of a VPC's block, which has 256 of them.
func ipv6Part(p netip.Prefix, n byte) netip.Prefix {
	a := p.Addr().As16()
	a[7] += n
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// route adds a route under the id by which the provider imports it.
func (s *awsSeed) route(table, destination, property, to string) {
	in := sim.Object{"routeTableId": table, property: to}
	if strings.Contains(destination, ":") {
		in["destinationIpv6CidrBlock"] = destination
	} else {
		in["destinationCidrBlock"] = destination
	}
	s.add("ec2/route:Route", table+"_"+destination, in, nil)
}

// named adds what a block in the words of aws.nat names beside the network.
func (s *awsSeed) named(nat block) {
	for _, zone := range nat.at("zones").keys() {
		z := nat.at("zones", zone)
		s.address(z.text("allocationId"))
		s.address(z.at("standby").text("allocationId"))
		s.gateway(z.at("standby").text("gatewayId"), zone)
	}
	s.address(nat.at("sharedStandby").text("allocationId"))
	groups := nat.at("ingress", "securityGroups")
	for _, key := range groups.keys() {
		s.group(groups.text(key))
	}
	for _, id := range sim.Texts(sim.Object(nat.at("instance")), "securityGroups") {
		s.group(id)
	}
	s.bucket(nat.at("artefacts").text("bucket"))
}

// address adds an Elastic IP. Its address is made up if it is not known.
func (s *awsSeed) address(id string) {
	if id != "" && s.ips[id] == "" {
		s.ips[id] = s.free()
	}
	s.add("ec2/eip:Eip", id, sim.Object{"domain": "vpc"}, sim.Object{"publicIp": s.ips[id]})
}

// free makes up a public address that nothing has, for tests of networks (198.18.0.0/15, RFC 2544). The cloud itself gives none
// that something has already.
func (s *awsSeed) free() string {
	if !s.made.IsValid() {
		s.made = netip.MustParseAddr("198.18.0.0")
	}
	for {
		s.made = s.made.Next()
		if address := s.made.String(); !slices.Contains(slices.Collect(maps.Values(s.ips)), address) {
			return address
		}
	}
}

// gateway adds a NAT gateway in the public subnet of a zone, with an address of its own.
func (s *awsSeed) gateway(id, zone string) {
	subnet := s.network.public(zone)
	if id == "" || s.held[id] || subnet == "" {
		return
	}
	allocation := madeUp("eipalloc", id)
	if known := s.ips[id]; known != "" {
		s.ips[allocation] = known
	}
	s.address(allocation)
	s.add("ec2/natGateway:NatGateway", id, sim.Object{
		"subnetId": subnet, "allocationId": allocation, "connectivityType": "public", "tags": sim.Object{"Name": "main-" + zone},
	}, nil)
}

func (s *awsSeed) group(id string) {
	if s.network.vpc != "" {
		s.add("ec2/securityGroup:SecurityGroup", id, sim.Object{"vpcId": s.network.vpc, "name": id, "description": "exists"}, nil)
	}
}

func (s *awsSeed) bucket(name string) {
	s.add("s3/bucketV2:BucketV2", name, sim.Object{"bucket": name}, nil)
}

// defaults adds the routes that adoptRoutes takes over. They lead to the gateway that the zone names, or else to one that it does not
// name: what is then refused would be so on AWS.
func (s *awsSeed) defaults(nat block) {
	if !sim.Truth(sim.Object(nat), "adoptRoutes") {
		return
	}
	destinations := []string{"0.0.0.0/0"}
	if sim.Truth(sim.Object(nat), "nat64") {
		destinations = append(destinations, natzone.NAT64Prefix().String())
	}
	for _, table := range slices.Sorted(maps.Keys(s.network.tables)) {
		zone := s.network.tables[table]
		for _, to := range destinations {
			if s.held[table+"_"+to] {
				continue
			}
			gateway := cmp.Or(nat.at("zones", zone, "standby").text("gatewayId"), madeUp("nat", zone))
			if s.gateway(gateway, zone); s.held[gateway] {
				s.route(table, to, "natGatewayId", gateway)
			}
		}
	}
}

// world is a simulated AWS in which everything that was collected works.
func (s *awsSeed) world(o aws.Options) (*awsWorld, error) {
	cloud := aws.New(o)
	if err := cloud.Adopt(context.Background(), s.all...); err != nil {
		return nil, fmt.Errorf("aws: put what exists into the simulated cloud: %w", err)
	}
	return newAWSWorld(cloud), nil
}
