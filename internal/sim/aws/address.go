package aws

import (
	"slices"

	"polynat/internal/sim"
)

// free forgets what an Elastic IP is bound to.
func (a *Address) free() {
	a.AssociationID, a.NetworkInterfaceID, a.NetworkInterfaceOwnerID, a.InstanceID, a.PrivateIPAddress = "", "", "", "", ""
}

func (s *state) address(id string) (*Address, error) {
	if a, ok := s.Addresses[id]; ok {
		return a, nil
	}
	return nil, refuse("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
}

func (c *Cloud) allocateAddress(s *state, tags Tags) (*Address, error) {
	if c.opts.AddressQuota >= 0 && len(s.Addresses) >= c.opts.AddressQuota {
		return nil, refuse("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := &Address{AllocationID: s.newID("eipalloc"), PublicIP: sim.Text(s.known(), "publicIp"), Domain: "vpc", Tags: tags}
	if a.PublicIP == "" {
		a.PublicIP = s.publicAddress("elastic", elasticPool)
	}
	s.Addresses[a.AllocationID] = a
	return a, nil
}

func (s *state) releaseAddress(id string) error {
	a, err := s.address(id)
	if err != nil {
		return err
	}
	if a.AssociationID != "" {
		return refuse("InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIP)
	}
	delete(s.Addresses, id)
	return nil
}

// private finds a private address of an interface, nil if it has none such; empty means the primary one.
func (e *netInterface) private(address string) *PrivateAddress {
	for i, a := range e.PrivateIPAddresses {
		if a.PrivateIPAddress == address || address == "" && a.Primary {
			return &e.PrivateIPAddresses[i]
		}
	}
	return nil
}

// bind binds an Elastic IP to an address of an interface, on which there is none, and which then has no other public one.
func (c *Cloud) bind(s *state, a *Address, e *netInterface, to *PrivateAddress) {
	*to = PrivateAddress{
		PrivateIPAddress: to.PrivateIPAddress, Primary: to.Primary,
		PublicIP: a.PublicIP, AllocationID: a.AllocationID, AssociationID: a.AssociationID,
	}
	a.NetworkInterfaceID, a.NetworkInterfaceOwnerID = e.NetworkInterfaceID, c.opts.Account
	a.InstanceID, a.PrivateIPAddress = e.InstanceID, to.PrivateIPAddress
	if primary := e.private(""); !to.Primary && primary.AllocationID == "" && c.opts.Unknown.PublicAddressReleased {
		primary.PublicIP = ""
	}
}

// unbind takes an Elastic IP from where it is.
func (c *Cloud) unbind(s *state, a *Address) {
	e, ok := s.Interfaces[a.NetworkInterfaceID]
	if ok {
		if p := e.private(a.PrivateIPAddress); p != nil {
			*p = PrivateAddress{PrivateIPAddress: p.PrivateIPAddress, Primary: p.Primary}
		}
		s.assignAgain(e)
		c.showLater(s, e)
	}
	a.free()
}

// assignAgain gives an instance's primary address a public one again after an Elastic IP has left the interface, if the
// instance got one at launch and no other Elastic IP is on the interface.
func (s *state) assignAgain(e *netInterface) {
	m, primary := s.Machines[e.InstanceID], e.private("")
	if m == nil || !m.AutoPublic || primary.PublicIP != "" || slices.ContainsFunc(e.PrivateIPAddresses, func(o PrivateAddress) bool { return o.AllocationID != "" }) {
		return
	}
	primary.PublicIP = s.publicAddress("assigned", assignedPool)
}

// addressTarget finds the interface and the private address that an Elastic IP is to be bound to.
func (s *state) addressTarget(in AssociateAddressInput) (*netInterface, *PrivateAddress, error) {
	if (in.InstanceID == "") == (in.NetworkInterfaceID == "") {
		return nil, nil, refuse("InvalidParameterCombination", "You must specify either instance ID or network interface ID, not both")
	}
	eni := in.NetworkInterfaceID
	if in.InstanceID != "" {
		m, ok := s.Machines[in.InstanceID]
		if !ok || m.State == StateTerminated {
			return nil, nil, refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", in.InstanceID)
		}
		if len(m.NetworkInterfaceIDs) != 1 {
			return nil, nil, severalInterfaces(in.InstanceID)
		}
		eni = m.NetworkInterfaceIDs[0]
	}
	e, err := s.netInterface(eni)
	if err != nil {
		return nil, nil, err
	}
	if m := s.Machines[e.InstanceID]; m != nil && m.State == StatePending {
		return nil, nil, refuse("IncorrectInstanceState", "The pending-instance-creation instance to which '%s' is attached is not in a valid state for this operation", eni)
	}
	to := e.private(in.PrivateIPAddress)
	if to == nil {
		return nil, nil, refuse("InvalidParameterValue", "The private IP address '%s' is not assigned to interface '%s'", in.PrivateIPAddress, eni)
	}
	if s.internetOf(e.VpcID) == "" {
		return nil, nil, refuse("Gateway.NotAttached", "Network %s is not attached to any internet gateway", e.VpcID)
	}
	return e, to, nil
}

func severalInterfaces(instance string) error {
	return refuse("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", instance)
}

// associateAddress binds an Elastic IP and returns the association's id.
func (c *Cloud) associateAddress(s *state, in AssociateAddressInput) (string, error) {
	a, err := s.address(in.AllocationID)
	if err != nil {
		return "", err
	}
	e, to, err := s.addressTarget(in)
	if err != nil {
		return "", err
	}
	if a.AssociationID != "" && a.NetworkInterfaceID == e.NetworkInterfaceID && a.PrivateIPAddress == to.PrivateIPAddress {
		return a.AssociationID, nil
	}
	if a.AssociationID != "" && in.AllowReassociation != nil && !*in.AllowReassociation {
		return "", refuse("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.AllocationID, a.AssociationID)
	}
	if from, ok := s.Interfaces[a.NetworkInterfaceID]; ok && from.InterfaceType == "nat_gateway" {
		return "", refuse("OperationNotPermitted", "You do not have permission to access the specified resource.")
	}
	if in.DryRun {
		return "", errDryRun()
	}
	if a.AssociationID != "" {
		c.unbind(s, a)
	}
	if other, ok := s.Addresses[to.AllocationID]; ok {
		other.free() // it stays allocated, and is billed
	}
	a.AssociationID = s.newID("eipassoc")
	c.bind(s, a, e, to)
	c.showLater(s, e)
	return a.AssociationID, nil
}

// AssociateAddress binds an Elastic IP and returns the id of the association. It moves without a word unless
// AllowReassociation is false, and is idempotent.
func (c *Cloud) AssociateAddress(in AssociateAddressInput) (id string, err error) {
	err = c.call("AssociateAddress", func(s *state) error {
		id, err = c.associateAddress(s, in)
		return err
	})
	return id, err
}

func (c *Cloud) disassociateAddress(s *state, id string) error {
	for _, a := range s.Addresses {
		if a.AssociationID != id {
			continue
		}
		if e, ok := s.Interfaces[a.NetworkInterfaceID]; ok && e.InterfaceType == "nat_gateway" {
			return refuse("AuthFailure", "You do not have permission to access the specified resource.")
		}
		c.unbind(s, a)
		return nil
	}
	return refuse("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

// DisassociateAddress takes an Elastic IP from where it is.
func (c *Cloud) DisassociateAddress(in DisassociateAddressInput) error {
	return c.call("DisassociateAddress", func(s *state) error {
		if in.DryRun {
			return errDryRun()
		}
		return c.disassociateAddress(s, in.AssociationID)
	})
}

// DescribeAddresses returns Elastic IPs.
func (c *Cloud) DescribeAddresses(in DescribeAddressesInput) ([]Address, error) {
	var out []Address
	err := c.describe("DescribeAddresses", func(s *state) error {
		for _, id := range in.AllocationIDs {
			if _, err := s.address(id); err != nil {
				return err
			}
		}
		for _, id := range sorted(s.Addresses) {
			a := *s.Addresses[id]
			if len(in.AllocationIDs) > 0 && !slices.Contains(in.AllocationIDs, id) || len(in.PublicIPs) > 0 && !slices.Contains(in.PublicIPs, a.PublicIP) {
				continue
			}
			ok, err := matches(in.Filters, a.Tags, func(name string) ([]string, bool) {
				return oneOf(map[string]string{
					"allocation-id": a.AllocationID, "public-ip": a.PublicIP, "association-id": a.AssociationID, "domain": a.Domain,
					"network-interface-id": a.NetworkInterfaceID, "instance-id": a.InstanceID, "private-ip-address": a.PrivateIPAddress,
				}, name)
			})
			if err != nil {
				return err
			}
			if ok {
				out = append(out, a)
			}
		}
		if len(in.PublicIPs) > 0 && len(out) == 0 && len(in.Filters) == 0 {
			return refuse("InvalidAddress.NotFound", "Address '%s' not found.", in.PublicIPs[0])
		}
		return nil
	})
	return out, err
}

// room refuses more addresses than the instance's type has room for on an interface.
func (s *state) room(e *netInterface, more int) error {
	m := s.Machines[e.InstanceID]
	if m == nil {
		return nil
	}
	if t, ok := instanceTypes[m.InstanceType]; ok && len(e.PrivateIPAddresses)+more > t.Addresses {
		return refuse("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
	}
	return nil
}

func (c *Cloud) assignPrivate(s *state, in AssignPrivateIPAddressesInput) (AssignPrivateIPAddressesOutput, error) {
	out := AssignPrivateIPAddressesOutput{NetworkInterfaceID: in.NetworkInterfaceID}
	e, err := s.netInterface(in.NetworkInterfaceID)
	if err != nil {
		return out, err
	}
	if (len(in.PrivateIPAddresses) > 0) == (in.SecondaryPrivateIPAddressCount > 0) {
		return out, refuse("InvalidParameterCombination", "You must specify either the private IP addresses or their number, not both")
	}
	wanted := in.PrivateIPAddresses
	if len(wanted) == 0 {
		if wanted, err = s.freeAddresses(e.SubnetID, in.SecondaryPrivateIPAddressCount); err != nil {
			return out, err
		}
	}
	taken := s.taken(e.SubnetID)
	more := 0
	for _, a := range wanted {
		if err := s.movable(in, e, a, taken[a]); err != nil {
			return out, err
		}
		if taken[a] != e.NetworkInterfaceID {
			more++
		}
	}
	if err := s.room(e, more); err != nil {
		return out, err
	}
	for _, a := range wanted {
		if taken[a] != e.NetworkInterfaceID {
			c.moveAddress(s, s.Interfaces[taken[a]], e, a)
		}
	}
	out.PrivateIPAddresses = wanted
	return out, nil
}

// movable refuses an address that is not the subnet's, or another interface's that is not to be moved, or cannot be.
func (s *state) movable(in AssignPrivateIPAddressesInput, e *netInterface, address, owner string) error {
	if owner == "" {
		return s.claimable(e.SubnetID, address)
	}
	if owner == e.NetworkInterfaceID {
		return nil
	}
	if !in.AllowReassignment {
		return refuse("InvalidParameterValue", "[%s] assigned, but move is not allowed.", address)
	}
	if from := s.Interfaces[owner]; from.private(address).Primary || from.InterfaceType != "interface" {
		return refuse("InvalidParameterValue", "[%s] is the primary address of an interface and cannot be moved.", address)
	}
	return nil
}

// moveAddress gives an interface a secondary address. It is taken from another one, if that has it, with its Elastic IP.
func (c *Cloud) moveAddress(s *state, from, to *netInterface, address string) {
	moved := PrivateAddress{PrivateIPAddress: address}
	if from != nil {
		moved = *from.private(address)
		from.PrivateIPAddresses = slices.DeleteFunc(from.PrivateIPAddresses, func(a PrivateAddress) bool { return a.PrivateIPAddress == address })
		s.assignAgain(from)
		c.showLater(s, from)
	}
	to.PrivateIPAddresses = append(to.PrivateIPAddresses, moved)
	if a, ok := s.Addresses[moved.AllocationID]; ok {
		c.bind(s, a, to, &to.PrivateIPAddresses[len(to.PrivateIPAddresses)-1])
	}
	c.showLater(s, to)
}

// AssignPrivateIPAddresses gives an interface secondary addresses. With AllowReassignment they are taken from other
// interfaces, and Elastic IPs move with them. Instance metadata shows it later.
func (c *Cloud) AssignPrivateIPAddresses(in AssignPrivateIPAddressesInput) (out AssignPrivateIPAddressesOutput, err error) {
	err = c.call("AssignPrivateIpAddresses", func(s *state) error {
		out, err = c.assignPrivate(s, in)
		return err
	})
	return out, err
}

// UnassignPrivateIPAddresses gives secondary addresses back; their Elastic IPs become free.
func (c *Cloud) UnassignPrivateIPAddresses(in UnassignPrivateIPAddressesInput) error {
	return c.call("UnassignPrivateIpAddresses", func(s *state) error {
		e, err := s.netInterface(in.NetworkInterfaceID)
		if err != nil {
			return err
		}
		for _, address := range in.PrivateIPAddresses {
			if a := e.private(address); a == nil || a.Primary {
				return refuse("InvalidParameterValue", "Some of the addresses are not assigned to interface %s as secondary ones", in.NetworkInterfaceID)
			}
		}
		for _, address := range in.PrivateIPAddresses {
			if a, ok := s.Addresses[e.private(address).AllocationID]; ok {
				a.free()
			}
			e.PrivateIPAddresses = slices.DeleteFunc(e.PrivateIPAddresses, func(a PrivateAddress) bool { return a.PrivateIPAddress == address })
		}
		s.assignAgain(e)
		c.showLater(s, e)
		return nil
	})
}

// ModifyNetworkInterfaceAttribute changes one attribute.
func (c *Cloud) ModifyNetworkInterfaceAttribute(in ModifyNetworkInterfaceAttributeInput) error {
	return c.call("ModifyNetworkInterfaceAttribute", func(s *state) error {
		e, err := s.netInterface(in.NetworkInterfaceID)
		if err != nil {
			return err
		}
		if (in.SourceDestCheck != nil) == (len(in.GroupIDs) > 0) {
			return refuse("InvalidParameterCombination", "Fields for multiple attribute types specified, or none")
		}
		if err := s.checkGroups(in.GroupIDs, e.VpcID); err != nil {
			return err
		}
		if in.DryRun {
			return errDryRun()
		}
		if in.SourceDestCheck != nil {
			e.SourceDestCheck = *in.SourceDestCheck
		} else {
			e.GroupIDs = in.GroupIDs
		}
		return nil
	})
}

// DescribeNetworkInterfaceAttribute returns one attribute.
func (c *Cloud) DescribeNetworkInterfaceAttribute(in DescribeNetworkInterfaceAttributeInput) (out NetworkInterfaceAttribute, err error) {
	err = c.describe("DescribeNetworkInterfaceAttribute", func(s *state) error {
		e, err := s.netInterface(in.NetworkInterfaceID)
		if err != nil {
			return err
		}
		out.NetworkInterfaceID = in.NetworkInterfaceID
		check, description := e.SourceDestCheck, e.Description
		switch in.Attribute {
		case "sourceDestCheck":
			out.SourceDestCheck = &check
		case "description":
			out.Description = &description
		case "groupSet":
			out.GroupIDs = slices.Clone(e.GroupIDs)
		default:
			return refuse("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
		}
		return nil
	})
	return out, err
}

// DescribeNetworkInterfaces returns ENIs.
func (c *Cloud) DescribeNetworkInterfaces(in DescribeNetworkInterfacesInput) ([]NetworkInterface, error) {
	var out []NetworkInterface
	api := "DescribeNetworkInterfaces"
	if len(in.NetworkInterfaceIDs)+len(in.Filters)+in.MaxResults == 0 {
		api += "*"
	}
	err := c.describe(api, func(s *state) error {
		for _, id := range in.NetworkInterfaceIDs {
			if _, err := s.netInterface(id); err != nil {
				return err
			}
		}
		for _, id := range sorted(s.Interfaces) {
			if len(in.NetworkInterfaceIDs) > 0 && !slices.Contains(in.NetworkInterfaceIDs, id) {
				continue
			}
			e := s.Interfaces[id].NetworkInterface
			e.PrivateIPAddresses = slices.Clone(e.PrivateIPAddresses)
			ok, err := matches(in.Filters, e.Tags, e.field)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, e)
			}
		}
		return nil
	})
	return out, err
}

// field returns the values that a filter of interfaces looks at.
func (e NetworkInterface) field(name string) ([]string, bool) {
	switch name {
	case "addresses.private-ip-address", "association.allocation-id", "addresses.association.public-ip", "association.public-ip":
		var values []string
		for _, a := range e.PrivateIPAddresses {
			values = append(values, map[string]string{
				"addresses.private-ip-address": a.PrivateIPAddress, "association.allocation-id": a.AllocationID,
				"addresses.association.public-ip": a.PublicIP, "association.public-ip": a.PublicIP,
			}[name])
		}
		return values, true
	case "group-id":
		return e.GroupIDs, true
	}
	return oneOf(map[string]string{
		"network-interface-id": e.NetworkInterfaceID, "attachment.instance-id": e.InstanceID, "subnet-id": e.SubnetID, "vpc-id": e.VpcID,
		"availability-zone": e.AvailabilityZone, "private-ip-address": e.PrivateIPAddress, "interface-type": e.InterfaceType,
		"status": e.Status, "description": e.Description, "mac-address": e.MacAddress, "owner-id": e.OwnerID,
	}, name)
}

// tagsOf reads the tags of a declaration.
func tagsOf(in sim.Object) Tags {
	tags := Tags{}
	given, _ := in["tags"].(sim.Object)
	for k := range given {
		tags[k] = sim.Text(given, k)
	}
	return tags
}
