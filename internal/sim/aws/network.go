package aws

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"polynat/internal/sim"
)

// Addresses at the beginning of a subnet that AWS keeps for itself, besides the last one.
const reservedHosts = 4

func (s *state) vpc(id string) (*vpc, error) {
	if v, ok := s.VPCs[id]; ok {
		return v, nil
	}
	return nil, refuse("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func (s *state) subnet(id string) (*subnet, error) {
	if n, ok := s.Subnets[id]; ok {
		return n, nil
	}
	return nil, refuse("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func (s *state) netInterface(id string) (*netInterface, error) {
	if e, ok := s.Interfaces[id]; ok {
		return e, nil
	}
	return nil, refuse("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

// block parses a block without host bits.
func block(code, text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() {
		return p, refuse(code, "The CIDR '%s' is invalid.", text)
	}
	return p, nil
}

// createVPC makes a VPC with its main table and its default security group.
func (s *state) createVPC(cidr string, ipv6 bool, tags Tags) (string, error) {
	p, err := block("InvalidVpc.Range", cidr)
	if err != nil {
		return "", err
	}
	if !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 28 {
		return "", refuse("InvalidVpc.Range", "The CIDR '%s' is invalid.", cidr)
	}
	id := s.newID("vpc")
	v := &vpc{CIDRs: []netip.Prefix{p}, DNSSupport: true, Tags: tags}
	if ipv6 {
		v.IPv6 = s.vpcIPv6()
	}
	for _, b := range objects(s.known(), "cidrBlockAssociations") { // of one that exists: its further blocks
		if p, err := block("InvalidVpc.Range", sim.Text(b, "cidrBlock")); err == nil && !slices.Contains(v.CIDRs, p) {
			v.CIDRs = append(v.CIDRs, p)
		}
	}
	if p, err := netip.ParsePrefix(sim.Text(s.known(), "ipv6CidrBlock")); err == nil {
		v.IPv6 = p
	}
	s.VPCs[id] = v
	v.MainTable = s.newTable(id, nil)
	v.OwnTable = v.MainTable
	association := RouteTableAssociation{AssociationID: s.newID("rtbassoc"), RouteTableID: v.MainTable, Main: true}
	s.Tables[v.MainTable].Associations = []RouteTableAssociation{association}
	v.DefaultGroup = s.newID("sg")
	s.Groups[v.DefaultGroup] = &securityGroup{VPC: id, Name: "default", Description: "default VPC security group", Rules: map[string]sgRule{
		s.newID("sgr"): {Protocol: "-1", Group: v.DefaultGroup},
		s.newID("sgr"): {Egress: true, Protocol: "-1", CIDR: anyIPv4},
	}}
	return id, nil
}

// vpcIPv6 is a /56 of the documentation's block.
func (s *state) vpcIPv6() netip.Prefix {
	s.Next["ipv6"]++
	n := s.Next["ipv6"]
	return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x:%x00::/56", n>>8, n&0xff))
}

func (s *state) deleteVPC(id string) error {
	v, err := s.vpc(id)
	if err != nil {
		return err
	}
	var in string
	for _, g := range s.Internet {
		if g.VPC == id {
			in = "internet gateway"
		}
	}
	for _, n := range s.Subnets {
		if n.VPC == id {
			in = "subnet"
		}
	}
	for t, table := range s.Tables {
		if table.VpcID == id && t != v.OwnTable {
			in = "route table"
		}
	}
	for g, group := range s.Groups {
		if group.VPC == id && g != v.DefaultGroup {
			in = "security group"
		}
	}
	for _, g := range s.EgressOnly {
		if g.VPC == id {
			in = "egress-only internet gateway"
		}
	}
	if in != "" {
		return refuse("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted. (%s)", id, in)
	}
	delete(s.Tables, v.OwnTable)
	delete(s.Groups, v.DefaultGroup)
	delete(s.VPCs, id)
	return nil
}

func (s *state) createSubnet(n *subnet) (string, error) {
	v, err := s.vpc(n.VPC)
	if err != nil {
		return "", err
	}
	inside := func(p, of netip.Prefix) bool { return of.Contains(p.Addr()) && of.Bits() <= p.Bits() }
	if n.CIDR.Bits() < 16 || n.CIDR.Bits() > 28 || !slices.ContainsFunc(v.CIDRs, func(p netip.Prefix) bool { return inside(n.CIDR, p) }) {
		return "", refuse("InvalidSubnet.Range", "The CIDR '%s' is invalid.", n.CIDR)
	}
	if n.IPv6.IsValid() && (n.IPv6.Bits() != 64 || !v.IPv6.IsValid() || !inside(n.IPv6, v.IPv6)) {
		return "", refuse("InvalidSubnet.Range", "The CIDR '%s' is invalid.", n.IPv6)
	}
	for _, o := range s.Subnets {
		if o.VPC == n.VPC && (o.CIDR.Overlaps(n.CIDR) || n.IPv6.IsValid() && o.IPv6.IsValid() && o.IPv6.Overlaps(n.IPv6)) {
			return "", refuse("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", n.CIDR)
		}
	}
	id := s.newID("subnet")
	s.Subnets[id] = n
	return id, nil
}

func (s *state) deleteSubnet(id string) error {
	if _, err := s.subnet(id); err != nil {
		return err
	}
	for _, e := range s.Interfaces {
		if e.SubnetID == id {
			return refuse("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
		}
	}
	for _, g := range s.Gateways {
		if g.SubnetID == id && g.State != GatewayDeleted && g.State != GatewayFailed {
			return refuse("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", id)
		}
	}
	for _, t := range s.Tables {
		t.Associations = slices.DeleteFunc(t.Associations, func(a RouteTableAssociation) bool { return a.SubnetID == id })
	}
	for r, reserved := range s.Reservations {
		if reserved.Subnet == id {
			delete(s.Reservations, r)
		}
	}
	delete(s.Subnets, id)
	return nil
}

// reserve keeps a block of a subnet from being handed out: "explicit" for addresses that are asked for by name, "prefix" for
// prefixes. What refuses a block is documented, the codes are not.
func (s *state) reserve(r *reservation) (string, error) {
	n, err := s.subnet(r.Subnet)
	if err != nil {
		return "", err
	}
	if !n.CIDR.Contains(r.CIDR.Addr()) || r.CIDR.Bits() < n.CIDR.Bits() {
		return "", refuse("InvalidParameterValue", "The CIDR '%s' is not within the subnet's %s", r.CIDR, n.CIDR)
	}
	for _, o := range s.Reservations {
		if o.Subnet == r.Subnet && o.CIDR.Overlaps(r.CIDR) {
			return "", refuse("InvalidParameterValue", "The CIDR '%s' overlaps the reservation of %s", r.CIDR, o.CIDR)
		}
	}
	id := s.newID("scr")
	s.Reservations[id] = r
	return id, nil
}

// taken are the private addresses in use in a subnet.
func (s *state) taken(subnet string) map[string]string {
	used := map[string]string{}
	for id, e := range s.Interfaces {
		if e.SubnetID == subnet {
			for _, a := range e.PrivateIPAddresses {
				used[a.PrivateIPAddress] = id
			}
		}
	}
	return used
}

// usable reports whether hosts may have the address: it is in the subnet, and not one of those that AWS keeps.
func (n *subnet) usable(a netip.Addr) bool {
	hosts := 1 << (32 - n.CIDR.Bits())
	if !n.CIDR.Contains(a) || a == nth(n.CIDR, hosts-1) {
		return false
	}
	for i := range reservedHosts {
		if a == nth(n.CIDR, i) {
			return false
		}
	}
	return true
}

// freeAddresses returns count addresses that are neither in use nor reserved. AWS takes any; the lowest are as good.
func (s *state) freeAddresses(subnetID string, count int) ([]string, error) {
	n, used := s.Subnets[subnetID], s.taken(subnetID)
	var reserved []netip.Prefix
	for _, r := range s.Reservations {
		if r.Subnet == subnetID {
			reserved = append(reserved, r.CIDR)
		}
	}
	var free []string
	for i := reservedHosts; i < 1<<(32-n.CIDR.Bits())-1 && len(free) < count; i++ {
		a := nth(n.CIDR, i)
		if _, taken := used[a.String()]; !taken && !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) }) {
			free = append(free, a.String())
		}
	}
	if len(free) < count {
		return nil, refuse("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of interfaces or addresses.", subnetID)
	}
	return free, nil
}

// checkGroups holds security groups against an interface's VPC.
func (s *state) checkGroups(ids []string, vpcID string) error {
	for _, id := range ids {
		g, ok := s.Groups[id]
		if !ok {
			return refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
		if g.VPC != vpcID {
			return refuse("InvalidParameter", "Security group %s and subnet belong to different networks.", id)
		}
	}
	return nil
}

// newInterface makes an ENI in a subnet, with the wanted primary address or any.
func (c *Cloud) newInterface(s *state, subnetID, wanted string, groups []string) (*netInterface, error) {
	n, err := s.subnet(subnetID)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		groups = []string{s.VPCs[n.VPC].DefaultGroup}
	}
	if err := s.checkGroups(groups, n.VPC); err != nil {
		return nil, err
	}
	if wanted == "" {
		free, err := s.freeAddresses(subnetID, 1)
		if err != nil {
			return nil, err
		}
		wanted = free[0]
	} else if err := s.claimable(subnetID, wanted); err != nil {
		return nil, err
	}
	e := &netInterface{NetworkInterface: NetworkInterface{
		NetworkInterfaceID: s.newID("eni"), SubnetID: subnetID, VpcID: n.VPC, AvailabilityZone: n.Zone, OwnerID: c.opts.Account,
		InterfaceType: "interface", Status: "available", SourceDestCheck: true, PrivateIPAddress: wanted,
		PrivateIPAddresses: []PrivateAddress{{PrivateIPAddress: wanted, Primary: true}}, GroupIDs: groups,
	}}
	s.Next["mac"]++
	m := s.Next["mac"]
	e.MacAddress = fmt.Sprintf("02:00:00:%02x:%02x:%02x", m>>16&0xff, m>>8&0xff, m&0xff)
	if n.IPv6.IsValid() && n.Map6 {
		e.Ipv6Addresses = []string{n.IPv6.Addr().Next().String()}
		for range m {
			a, _ := netip.ParseAddr(e.Ipv6Addresses[0])
			e.Ipv6Addresses[0] = a.Next().String()
		}
	}
	s.Interfaces[e.NetworkInterfaceID] = e
	return e, nil
}

// claimable refuses an address that an interface of the subnet cannot have.
func (s *state) claimable(subnetID, address string) error {
	a, err := netip.ParseAddr(address)
	if err != nil || !s.Subnets[subnetID].usable(a) {
		return refuse("InvalidParameterValue", "Address %s does not fall within the subnet's address range", address)
	}
	if _, taken := s.taken(subnetID)[address]; taken {
		return refuse("InvalidIPAddress.InUse", "Address %s is in use.", address)
	}
	return nil
}

// removeInterface takes an ENI away, and gives its Elastic IPs free.
func (s *state) removeInterface(id string) {
	e, ok := s.Interfaces[id]
	if !ok {
		return
	}
	for _, a := range e.PrivateIPAddresses {
		if address, ok := s.Addresses[a.AllocationID]; ok {
			address.free()
		}
	}
	delete(s.Interfaces, id)
	s.cancel(metadataDue, id, "")
}

// deleteGroup refuses a security group that is in use.
func (s *state) deleteGroup(id string) error {
	g, ok := s.Groups[id]
	if !ok {
		return refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	used := false
	for _, e := range s.Interfaces {
		used = used || slices.Contains(e.GroupIDs, id)
	}
	for other, o := range s.Groups {
		for _, r := range o.Rules {
			used = used || other != id && r.Group == id
		}
	}
	if used {
		return refuse("DependencyViolation", "resource %s has a dependent object", id)
	}
	if g.Name == "default" {
		return refuse("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", id)
	}
	delete(s.Groups, id)
	return nil
}

// admits reports whether the security groups of an interface let a client's new connections in.
func (s *state) admits(e *netInterface, from netip.Prefix) bool {
	for _, id := range e.GroupIDs {
		for _, r := range s.Groups[id].Rules {
			if !r.Egress && (r.CIDR.IsValid() && r.CIDR.Bits() <= from.Bits() && r.CIDR.Contains(from.Addr()) || r.Group != "") {
				return true
			}
		}
	}
	return false
}

// lets reports whether they let something out to the Internet.
func (s *state) lets(e *netInterface) bool {
	for _, id := range e.GroupIDs {
		for _, r := range s.Groups[id].Rules {
			if r.Egress && (r.CIDR == anyIPv4 || r.Protocol == "-1" && r.CIDR.IsValid() && r.CIDR.Addr().Is4() && r.CIDR.Bits() == 0) {
				return true
			}
		}
	}
	return false
}

// anyIPv4 is every destination.
var anyIPv4 = netip.MustParsePrefix("0.0.0.0/0")

// detach takes an internet gateway off its VPC.
func (s *state) detachInternet(id string) error {
	g, ok := s.Internet[id]
	if !ok {
		return refuse("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
	}
	for _, e := range s.Interfaces {
		if e.VpcID != g.VPC {
			continue
		}
		for _, a := range e.PrivateIPAddresses {
			if a.PublicIP != "" {
				return refuse("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", g.VPC)
			}
		}
	}
	g.VPC = ""
	return nil
}

// internetOf returns the internet gateway of a VPC, empty if there is none.
func (s *state) internetOf(vpcID string) string {
	for _, id := range sorted(s.Internet) {
		if s.Internet[id].VPC == vpcID {
			return id
		}
	}
	return ""
}

// malformed reports whether an id is not of the kind at all.
func malformed(id, prefix string) bool {
	return !strings.HasPrefix(id, prefix+"-") || len(id) < len(prefix)+9
}
