package rehearsal

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/problem"
	"polynat/internal/sim"
)

// awsNetwork is a network that exists on AWS, as far as it is known: the configuration names it by ids, a deployed stack has
// recorded it, or it is made up.
type awsNetwork struct {
	vpc   string
	cidrs []netip.Prefix
	ipv6  string
	// subnets and private route tables, by id; of a table its zone.
	subnets  map[string]*awsSubnet
	tables   map[string]string
	problems problem.List
}

// awsSubnet is public if it follows no private table.
type awsSubnet struct {
	field, zone, table string
	cidr               netip.Prefix
}

func newAWSNetwork() *awsNetwork {
	return &awsNetwork{subnets: map[string]*awsSubnet{}, tables: map[string]string{}}
}

// read adds what a block says in the words of aws.nat. Where it says something else than one before, it holds.
func (n *awsNetwork) read(nat block) {
	if id := nat.at("vpc").text("id"); n.checked("aws.nat.vpc.id", id, "vpc") {
		if n.vpc != "" && n.vpc != id {
			n.problems.Add("aws.nat.vpc.id", id, "is another VPC than "+n.vpc+" of the deployed stack", "rehearse it without --from-export")
		}
		n.vpc = id
	}
	n.ipv6 = cmp.Or(nat.at("vpc").text("ipv6Cidr"), n.ipv6)
	for _, text := range sim.Texts(sim.Object(nat.at("vpc")), "cidrs") {
		if p, err := netip.ParsePrefix(text); err == nil && !slices.Contains(n.cidrs, p) { // a wrong one is for the program to say
			n.cidrs = append(n.cidrs, p)
		}
	}
	for _, zone := range nat.at("zones").keys() {
		z, field := nat.at("zones", zone), "aws.nat.zones."+zone
		if s := n.subnet(field+".public", z.at("public").text("id"), zone); s != nil {
			s.table = ""
			if p := given(z.at("public").text("cidr"), z.text("address")); p.IsValid() {
				s.cidr = p
			}
		}
		for _, key := range z.at("tables").keys() {
			t, field := z.at("tables", key), field+".tables."+key
			if !n.checked(field+".id", t.text("id"), "rtb") {
				continue
			}
			n.tables[t.text("id")] = zone
			for _, id := range sim.Texts(sim.Object(t), "subnets") {
				if s := n.subnet(field+".subnets", id, zone); s != nil {
					s.table = t.text("id")
				}
			}
		}
	}
}

// subnet is the one with an id, which is new when it was not named before; nil for none.
func (n *awsNetwork) subnet(field, id, zone string) *awsSubnet {
	if !n.checked(field, id, "subnet") {
		return nil
	}
	if n.subnets[id] == nil {
		n.subnets[id] = &awsSubnet{}
	}
	n.subnets[id].field, n.subnets[id].zone = field, zone
	return n.subnets[id]
}

// checked reports whether an id is given and of its kind. AWS knows no others.
func (n *awsNetwork) checked(field, id, kind string) bool {
	if id != "" && !strings.HasPrefix(id, kind+"-") {
		n.problems.Add(field, id, "is not the id of a "+map[string]string{"vpc": "VPC", "rtb": "route table", "subnet": "subnet"}[kind], "write it as "+kind+"-0123456789abcdef0")
		return false
	}
	return id != ""
}

// given is the CIDR of a public subnet, or as much of it as the zone's address tells.
func given(cidr, address string) netip.Prefix {
	if p, err := netip.ParsePrefix(cidr); err == nil {
		return p
	}
	if a, err := netip.ParseAddr(address); err == nil && a.Is4() {
		return netip.PrefixFrom(a, 24).Masked()
	}
	return netip.Prefix{}
}

// complete makes up what cannot be known: blocks of the VPC around what is known, and subnets in what is free of them.
func (n *awsNetwork) complete() error {
	known, named := n.known(), len(n.cidrs) > 0
	for i, s := range known {
		for _, other := range known[:i] {
			if s.cidr.Overlaps(other.cidr) {
				n.problems.Add(s.field+".cidr", s.cidr.String(), "overlaps "+other.cidr.String()+" of "+other.field, "give each subnet the CIDR that it has")
			}
		}
		within := s.cidr
		if !named && s.cidr.Bits() > 16 { // as large as a VPC may be
			within = netip.PrefixFrom(s.cidr.Addr(), 16).Masked()
		}
		if !slices.ContainsFunc(n.cidrs, func(p netip.Prefix) bool { return p.Overlaps(within) }) {
			n.cidrs = append(n.cidrs, within)
		}
	}
	if len(n.cidrs) == 0 {
		n.cidrs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}
	}
	for bits := 24; !n.assign(bits); bits++ {
		if bits == 28 { // the smallest that AWS has
			n.problems.Add("aws.nat.vpc.cidrs", n.cidrs[0].String(), "has no room for all subnets that are named", "give the CIDRs that the VPC has, or leave them out")
			break
		}
	}
	return n.problems.Err()
}

// known are the subnets whose CIDR is known, in the order of their ids.
func (n *awsNetwork) known() (known []*awsSubnet) {
	for _, id := range slices.Sorted(maps.Keys(n.subnets)) {
		if s := n.subnets[id]; s.cidr.IsValid() {
			known = append(known, s)
		}
	}
	return known
}

// assign gives every subnet that has no CIDR a free one of a length, or none of them.
func (n *awsNetwork) assign(bits int) bool {
	var taken []netip.Prefix
	for _, s := range n.known() {
		taken = append(taken, s.cidr)
	}
	chosen := map[*awsSubnet]netip.Prefix{}
	for _, id := range slices.Sorted(maps.Keys(n.subnets)) {
		s := n.subnets[id]
		if s.cidr.IsValid() {
			continue
		}
		for _, within := range n.cidrs {
			if p, ok := free(within, bits, &taken); ok {
				chosen[s] = p
				break
			}
		}
		if !chosen[s].IsValid() {
			return false
		}
	}
	for s, p := range chosen {
		s.cidr = p
	}
	return true
}

// zones are the names of the network's zones.
func (n *awsNetwork) zones() []string {
	zones := map[string]bool{}
	for _, s := range n.subnets {
		zones[s.zone] = true
	}
	return slices.Sorted(maps.Keys(zones))
}

// public is the public subnet of a zone; empty for none.
func (n *awsNetwork) public(zone string) string {
	for _, id := range slices.Sorted(maps.Keys(n.subnets)) {
		if s := n.subnets[id]; s.zone == zone && s.table == "" {
			return id
		}
	}
	return ""
}

// toBeFound makes up a network that discovery finds: in the zones that the configuration names, or else in three of the region, each
// with a public and a private subnet, as terraform-aws-vpc makes it.
func toBeFound(b block, region string) block {
	zones := sim.Texts(sim.Object(b.at("discovery")), "zones")
	if len(zones) == 0 {
		zones = b.at("nat", "zones").keys()
	}
	if len(zones) == 0 {
		zones = []string{region + "a", region + "b", region + "c"}
		if shared := b.at("nat", "sharedStandby").text("zone"); shared != "" && !slices.Contains(zones, shared) {
			zones[2] = shared
		}
	}
	vpc := cmp.Or(b.at("discovery", "vpc").text("id"), madeUp("vpc", ""))
	made := block{"vpc": map[string]any{"id": vpc}}
	for _, zone := range zones {
		z := made.make("zones", zone)
		z["public"] = map[string]any{"id": madeUp("subnet", "public "+zone)}
		z["tables"] = map[string]any{"private": map[string]any{"id": madeUp("rtb", zone), "subnets": []any{madeUp("subnet", "private "+zone)}}}
	}
	return made
}
