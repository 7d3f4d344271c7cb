package alicloud

import (
	"net/netip"
	"strings"
)

// Kinds of instances that an EIP is bound to, in the spelling of
// AssociateEipAddress. Other documented kinds (SlbInstance, IpAddress) are
// not simulated.
const (
	BindECS       = "EcsInstance"
	BindNAT       = "Nat"
	BindHAVIP     = "HaVip"
	BindInterface = "NetworkInterface"
)

// Public addresses come from the ranges that RFC 5737 sets aside for
// documentation: .1 to .254 of each, one after the other.
var publicRanges = [...]string{"203.0.113.0", "198.51.100.0", "192.0.2.0"}

// newAddress returns the next public address that nothing has.
func (c *Cloud) newAddress() string {
	for {
		n := c.state.Next["address"]
		c.state.Next["address"]++
		// More than 762 addresses go on in 198.18.0.0/15 (RFC 2544).
		base := netip.MustParseAddr("198.18.0.0").As4()
		if n < len(publicRanges)*254 {
			base = netip.MustParseAddr(publicRanges[n/254]).As4()
			base[3] = byte(n%254 + 1)
		} else {
			n -= len(publicRanges) * 254
			base[1] += byte(n >> 16 & 1)
			base[2], base[3] = byte(n>>8), byte(n)
		}
		address := netip.AddrFrom4(base).String()
		if c.eipAt(address) == nil && !c.staticAddress(address) {
			return address
		}
	}
}

func (c *Cloud) staticAddress(ip string) bool {
	for _, i := range c.state.Instances {
		if i.PublicIP == ip {
			return true
		}
	}
	return false
}

func (c *Cloud) eipAt(ip string) *EIP {
	for _, e := range c.state.EIPs {
		if e.Address == ip {
			return e
		}
	}
	return nil
}

// AllocateEIP reserves an address: e.Address if it is given and free, else
// the next one. The bandwidth defaults to 5 Mbit/s.
func (c *Cloud) AllocateEIP(e EIP) (string, error) {
	var id string
	err := c.change(func() (err error) {
		e.InstanceID, e.InstanceType, e.BandwidthPackageID, e.Status = "", "", "", Available
		id, err = c.addEIP(e)
		return err
	})
	return id, err
}

func (c *Cloud) addEIP(e EIP) (string, error) {
	e.ID = c.newID(e.ID, "eip")
	if _, ok := c.state.EIPs[e.ID]; ok {
		return "", fail(CodeInvalid, "EIP: %q: exists already", e.ID)
	}
	if e.Address == "" {
		e.Address = c.newAddress()
	} else if c.eipAt(e.Address) != nil || c.staticAddress(e.Address) {
		return "", fail(CodeInvalid, "EIP: %s: the address is in use", e.Address)
	}
	if e.Bandwidth == "" {
		e.Bandwidth = defaultEIPBandwidth
	}
	c.state.EIPs[e.ID] = &e
	return e.ID, nil
}

// ModifyEIP lets edit change what can be changed in place: name, description,
// bandwidth, resource group, deletion protection.
func (c *Cloud) ModifyEIP(id string, edit func(*EIP)) error {
	return c.change(func() error {
		e, err := get(c.state.EIPs, "EIP", id)
		if err != nil {
			return err
		}
		n := *e
		edit(&n)
		e.Name, e.Description, e.Bandwidth = n.Name, n.Description, n.Bandwidth
		e.ResourceGroupID, e.DeletionProtection = n.ResourceGroupID, n.DeletionProtection
		return nil
	})
}

// ReleaseEIP gives an address back. It must be unbound and in no bandwidth
// package.
func (c *Cloud) ReleaseEIP(id string) error {
	return c.change(func() error {
		e, err := get(c.state.EIPs, "EIP", id)
		switch {
		case err != nil:
			return err
		case e.DeletionProtection:
			return fail(CodeDeletionProtection, "EIP: %q: deletion protection is on (switch it off first)", id)
		case e.Status != Available:
			return fail(CodeEIPStatus, "EIP: %q: is %s on %s (unbind it first)", id, e.Status, e.InstanceID)
		case e.BandwidthPackageID != "":
			return fail(CodeBandwidthLeft, "EIP: %q: is in bandwidth package %s (take it out first)", id, e.BandwidthPackageID)
		}
		delete(c.state.EIPs, id)
		return nil
	})
}

// kindOf is what the provider takes for the kind of an instance when the
// program does not say (Terraform provider v1.217.2,
// resource_alicloud_eip_association.go:90-101).
func kindOf(instance string) string {
	switch {
	case strings.HasPrefix(instance, "ngw-"):
		return BindNAT
	case strings.HasPrefix(instance, "lb-"):
		return "SlbInstance"
	}
	return BindECS
}

// AssociateEIP binds an address: Associating first, then InUse. An instance
// takes one, and none beside a static public address; a NAT gateway takes 20.
// An empty kind is guessed from the id.
func (c *Cloud) AssociateEIP(id, instance, kind string) error {
	if kind == "" {
		kind = kindOf(instance)
	}
	return c.task("", "", func() error {
		e, err := get(c.state.EIPs, "EIP", id)
		if err != nil {
			return err
		}
		if e.InstanceID != "" {
			return fail(CodeAssociated, "EIP: %q: is %s on %s (unbind it first)", id, e.Status, e.InstanceID)
		}
		if err := c.admitBinding(instance, kind); err != nil {
			return err
		}
		e.InstanceID, e.InstanceType, e.Status = instance, kind, Associating
		return nil
	}, func() {
		if e, ok := c.state.EIPs[id]; ok && e.InstanceID == instance {
			e.Status = InUse
		}
	})
}

func (c *Cloud) admitBinding(instance, kind string) error {
	limit := 1
	switch kind {
	case BindECS:
		i, err := get(c.state.Instances, "instance", instance)
		if err != nil {
			return err
		}
		if i.PublicIP != "" {
			return fail(CodeAssociated, "instance: %q: has the static public address %s (an EIP cannot be bound beside it)", instance, i.PublicIP)
		}
	case BindInterface:
		if _, ok := c.state.Interfaces[instance]; !ok && c.ownerOf(instance) == nil {
			return notFound("network interface", instance)
		}
	case BindHAVIP:
		if _, err := get(c.state.HAVIPs, "HAVIP", instance); err != nil {
			return err
		}
	case BindNAT:
		g, err := get(c.state.NATGateways, "NAT gateway", instance)
		if err != nil {
			return err
		}
		if g.NetworkType == networkIntranet {
			return fail(CodeInvalid, "NAT gateway: %q: is a VPC NAT gateway, which takes no EIP", instance)
		}
		if g.Status != Available {
			return fail(CodeNATGatewayNotReady, "NAT gateway: %q: is %s", instance, g.Status)
		}
		limit = eipsPerNATGateway
	default:
		return fail(CodeInvalid, "instance type: %q: is not simulated (use %s, %s, %s or %s)", kind, BindECS, BindNAT, BindHAVIP, BindInterface)
	}
	n := 0
	for _, e := range c.state.EIPs {
		if e.InstanceID == instance {
			n++
		}
	}
	if n >= limit {
		return fail(CodeQuotaExceeded, "%s: %q: has %d EIPs: the quota is %d", kind, instance, n, limit)
	}
	return nil
}

// UnassociateEIP unbinds an address: Unassociating first, then Available. An
// address that an SNAT or DNAT entry uses stays: [CodeEIPUsedBySNAT].
func (c *Cloud) UnassociateEIP(id, instance string) error {
	return c.task("", "", func() error {
		e, err := get(c.state.EIPs, "EIP", id)
		if err != nil {
			return err
		}
		if e.InstanceID != instance || instance == "" {
			return fail(CodeNotFound, "EIP: %q: is not bound to %q", id, instance)
		}
		for _, s := range c.state.SNATEntries {
			for _, ip := range s.IPs {
				if ip == e.Address {
					return fail(CodeEIPUsedBySNAT, "EIP: %q: SNAT entry %s uses it (delete the entry first)", id, s.ID)
				}
			}
		}
		for _, f := range c.state.ForwardEntries {
			if f.ExternalIP == e.Address {
				return fail(CodeEIPUsedByDNAT, "EIP: %q: DNAT entry %s uses it (delete the entry first)", id, f.ID)
			}
		}
		e.Status = Unassociating
		return nil
	}, func() {
		if e, ok := c.state.EIPs[id]; ok && e.Status == Unassociating {
			e.InstanceID, e.InstanceType, e.Status = "", "", Available
		}
	})
}

// EIPs returns all addresses by id.
func (c *Cloud) EIPs() []EIP {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.EIPs, nil)
}

// CreateBandwidthPackage makes an empty bandwidth package.
func (c *Cloud) CreateBandwidthPackage(p BandwidthPackage) (string, error) {
	err := c.change(func() error {
		p.ID, p.Status = c.newID(p.ID, "cbwp"), Available
		c.state.BandwidthPackages[p.ID] = &p
		return nil
	})
	return p.ID, err
}

// ModifyBandwidthPackage lets edit change what can be changed in place: name,
// description, bandwidth, deletion protection.
func (c *Cloud) ModifyBandwidthPackage(id string, edit func(*BandwidthPackage)) error {
	return c.change(func() error {
		p, err := get(c.state.BandwidthPackages, "bandwidth package", id)
		if err != nil {
			return err
		}
		n := *p
		edit(&n)
		p.Name, p.Description, p.Bandwidth, p.DeletionProtection = n.Name, n.Description, n.Bandwidth, n.DeletionProtection
		return nil
	})
}

// DeleteBandwidthPackage removes a package that no address is in.
func (c *Cloud) DeleteBandwidthPackage(id string) error {
	return c.change(func() error {
		p, err := get(c.state.BandwidthPackages, "bandwidth package", id)
		if err != nil {
			return err
		}
		if p.DeletionProtection {
			return fail(CodeDeletionProtection, "bandwidth package: %q: deletion protection is on (switch it off first)", id)
		}
		for _, e := range c.state.EIPs {
			if e.BandwidthPackageID == id {
				return fail(CodeDependency, "bandwidth package: %q: EIP %s is in it (take it out first)", id, e.ID)
			}
		}
		delete(c.state.BandwidthPackages, id)
		return nil
	})
}

// AddToBandwidthPackage puts an address into a package; it can be in one.
func (c *Cloud) AddToBandwidthPackage(pkg, eip string) error {
	return c.change(func() error {
		if _, err := get(c.state.BandwidthPackages, "bandwidth package", pkg); err != nil {
			return err
		}
		e, err := get(c.state.EIPs, "EIP", eip)
		if err != nil {
			return err
		}
		if e.BandwidthPackageID != "" {
			return fail(CodeAssociated, "EIP: %q: is in bandwidth package %s (take it out first)", eip, e.BandwidthPackageID)
		}
		e.BandwidthPackageID = pkg
		return nil
	})
}

// RemoveFromBandwidthPackage takes an address out of a package.
func (c *Cloud) RemoveFromBandwidthPackage(pkg, eip string) error {
	return c.change(func() error {
		e, err := get(c.state.EIPs, "EIP", eip)
		if err != nil {
			return err
		}
		if e.BandwidthPackageID != pkg {
			return fail(CodeNotFound, "EIP: %q: is not in bandwidth package %q", eip, pkg)
		}
		e.BandwidthPackageID = ""
		return nil
	})
}

// BandwidthPackages returns all bandwidth packages by id.
func (c *Cloud) BandwidthPackages() []BandwidthPackage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return list(c.state.BandwidthPackages, nil)
}
