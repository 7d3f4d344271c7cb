package alicloud

import (
	"polynat/internal/sim"
)

// eipAddressKind is alicloud:ecs/eipAddress:EipAddress.
var eipAddressKind = kind{
	repeats: true,
	create:  func(c *Cloud, in sim.Object) (string, error) { return c.AllocateEIP(eipOf(in)) },
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		e, ok := c.state.EIPs[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"addressName": e.Name, "name": e.Name, "description": e.Description, "ipAddress": e.Address,
			"bandwidth": e.Bandwidth, "isp": e.ISP, "internetChargeType": e.InternetChargeType,
			"paymentType": e.PaymentType, "instanceChargeType": billing(e.PaymentType),
			"resourceGroupId": e.ResourceGroupID, "deletionProtection": e.DeletionProtection,
			"status": string(e.Status), "createTime": creationTime,
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		n := eipOf(in)
		return c.ModifyEIP(id, func(e *EIP) {
			e.Name, e.Description, e.DeletionProtection = n.Name, n.Description, n.DeletionProtection
			e.ResourceGroupID = n.ResourceGroupID
			if n.Bandwidth != "" {
				e.Bandwidth = n.Bandwidth
			}
		})
	},
	remove: func(c *Cloud, id string, in sim.Object) error {
		if prepaid(in) {
			return nil
		}
		return c.ReleaseEIP(id)
	},
	adopt: func(c *Cloud, id string, o sim.Object) error {
		e := eipOf(o)
		e.ID = id
		_, err := c.AddEIP(e)
		return err
	},
}

func eipOf(o sim.Object) EIP {
	return EIP{
		Name: text(o, "addressName", "name"), Description: text(o, "description"), Address: text(o, "ipAddress"),
		Bandwidth: text(o, "bandwidth"), ISP: or(text(o, "isp"), "BGP"),
		InternetChargeType: or(text(o, "internetChargeType"), "PayByBandwidth"), PaymentType: payment(o),
		ResourceGroupID: text(o, "resourceGroupId"), DeletionProtection: truth(o, "deletionProtection"),
	}
}

// eipAssociationKind is alicloud:ecs/eipAssociation:EipAssociation; its id is
// <EIP>:<instance>.
var eipAssociationKind = kind{
	create: associate,
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		part := ids(id, 2)
		e, ok := c.state.EIPs[part[0]]
		if !ok || e.InstanceID != part[1] || e.InstanceID == "" {
			return nil, false
		}
		vpc, private := c.insideOf(e.InstanceID)
		return sim.Object{
			"allocationId": e.ID, "instanceId": e.InstanceID, "instanceType": e.InstanceType, "mode": "NAT",
			"vpcId": vpc, "privateIpAddress": private,
		}, true
	},
	remove: func(c *Cloud, id string, _ sim.Object) error {
		part := ids(id, 2)
		return c.UnassociateEIP(part[0], part[1])
	},
	adopt: func(c *Cloud, _ string, o sim.Object) error {
		_, err := associate(c, o)
		return err
	},
}

// insideOf is what DescribeEipAddresses may show of the other side of an
// association: the VPC, and the private address, of a gateway or an instance.
// (Whether it shows them for every kind is not documented.)
func (c *Cloud) insideOf(id string) (vpc, private string) {
	if g, ok := c.state.NATGateways[id]; ok {
		return g.VPCID, natPrivateIP
	}
	if i, ok := c.state.Instances[id]; ok {
		return i.VPCID, i.PrivateIP
	}
	return "", ""
}

// natPrivateIP stands for the address that a NAT gateway has in its vSwitch,
// which nothing here routes to.
const natPrivateIP = "192.0.2.1"

func associate(c *Cloud, o sim.Object) (string, error) {
	eip, instance := text(o, "allocationId"), text(o, "instanceId")
	if err := c.AssociateEIP(eip, instance, text(o, "instanceType")); err != nil {
		return "", err
	}
	return eip + ":" + instance, nil
}

// bandwidthPackageKind is alicloud:vpc/commonBandwithPackage:CommonBandwithPackage.
var bandwidthPackageKind = kind{
	repeats: true,
	create:  func(c *Cloud, in sim.Object) (string, error) { return c.CreateBandwidthPackage(packageOf(in)) },
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		p, ok := c.state.BandwidthPackages[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"bandwidth": p.Bandwidth, "bandwidthPackageName": p.Name, "name": p.Name, "description": p.Description,
			"isp": p.ISP, "internetChargeType": p.InternetChargeType, "deletionProtection": p.DeletionProtection,
			"paymentType": "PayAsYouGo", "status": string(p.Status), "createTime": creationTime,
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		n := packageOf(in)
		return c.ModifyBandwidthPackage(id, func(p *BandwidthPackage) {
			p.Name, p.Description = n.Name, n.Description
			p.Bandwidth, p.DeletionProtection = n.Bandwidth, n.DeletionProtection
		})
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteBandwidthPackage(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		p := packageOf(o)
		p.ID = id
		_, err := c.CreateBandwidthPackage(p)
		return err
	},
}

func packageOf(o sim.Object) BandwidthPackage {
	return BandwidthPackage{
		Name: text(o, "bandwidthPackageName", "name"), Description: text(o, "description"), Bandwidth: text(o, "bandwidth"),
		ISP: or(text(o, "isp"), "BGP"), InternetChargeType: text(o, "internetChargeType"),
		DeletionProtection: truth(o, "deletionProtection"),
	}
}

// bandwidthPackageAttachmentKind is alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment; its id is
// <bandwidth package>:<EIP>.
var bandwidthPackageAttachmentKind = kind{
	create: joinPackage,
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		part := ids(id, 2)
		e, ok := c.state.EIPs[part[1]]
		if !ok || e.BandwidthPackageID != part[0] || part[0] == "" {
			return nil, false
		}
		return sim.Object{"bandwidthPackageId": part[0], "instanceId": part[1], "status": available}, true
	},
	remove: func(c *Cloud, id string, _ sim.Object) error {
		part := ids(id, 2)
		return c.RemoveFromBandwidthPackage(part[0], part[1])
	},
	adopt: func(c *Cloud, _ string, o sim.Object) error {
		_, err := joinPackage(c, o)
		return err
	},
}

func joinPackage(c *Cloud, o sim.Object) (string, error) {
	pkg, eip := text(o, "bandwidthPackageId"), text(o, "instanceId")
	if err := c.AddToBandwidthPackage(pkg, eip); err != nil {
		return "", err
	}
	return pkg + ":" + eip, nil
}
