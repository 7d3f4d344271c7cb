package alicloud

import (
	"strings"

	"polynat/internal/sim"
)

// natGatewayKind is alicloud:vpc/natGateway:NatGateway.
var natGatewayKind = kind{
	repeats: true,
	create: func(c *Cloud, in sim.Object) (string, error) {
		g := gatewayOf(in)
		if g.NATType != enhanced {
			// The provider suppresses vswitch_id unless nat_type is Enhanced
			// (v1.217.2, resource_alicloud_nat_gateway.go:152-158).
			g.VSwitchID = ""
		}
		return c.CreateNATGateway(g)
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		g, ok := c.state.NATGateways[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"vpcId": g.VPCID, "vswitchId": g.VSwitchID, "natGatewayName": g.Name, "name": g.Name,
			"description": g.Description, "natType": g.NATType, "networkType": g.NetworkType,
			"paymentType": g.PaymentType, "instanceChargeType": billing(g.PaymentType),
			"internetChargeType": g.InternetChargeType, "specification": g.Specification, "eipBindMode": g.EIPBindMode,
			"deletionProtection": g.DeletionProtection, "snatTableIds": g.SNATTableID,
			"forwardTableIds": g.ForwardTableID, "status": string(g.Status),
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		n := gatewayOf(in)
		if err := c.keeps(id, in); err != nil {
			return err
		}
		return c.ModifyNATGateway(id, func(g *NATGateway) {
			g.Name, g.Description, g.DeletionProtection = n.Name, n.Description, n.DeletionProtection
			g.EIPBindMode, g.Specification = n.EIPBindMode, n.Specification
		})
	},
	remove: func(c *Cloud, id string, in sim.Object) error {
		if prepaid(in) {
			return nil
		}
		return c.DeleteNATGateway(id, truth(in, "force"))
	},
	adopt: func(c *Cloud, id string, o sim.Object) error {
		g := gatewayOf(o)
		g.ID = id
		_, err := c.AddNATGateway(g)
		return err
	},
}

func gatewayOf(o sim.Object) NATGateway {
	return NATGateway{
		Name: text(o, "natGatewayName", "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		VSwitchID: text(o, "vswitchId"), NATType: text(o, "natType"), NetworkType: text(o, "networkType"),
		PaymentType: payment(o), InternetChargeType: or(text(o, "internetChargeType"), "PayByLcu"),
		Specification: text(o, "specification"), EIPBindMode: or(text(o, "eipBindMode"), "MULTI_BINDED"),
		DeletionProtection: truth(o, "deletionProtection"),
		SNATTableID:        text(o, "snatTableIds"), ForwardTableID: text(o, "forwardTableIds"),
	}
}

// keeps refuses to change in place what the provider could change only on a
// gateway of the type Normal.
func (c *Cloud) keeps(gateway string, in sim.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, err := get(c.state.NATGateways, "NAT gateway", gateway)
	if err != nil {
		return err
	}
	n := gatewayOf(in)
	for _, p := range []struct{ name, now, want string }{
		{"natType", g.NATType, n.NATType}, {"vswitchId", g.VSwitchID, n.VSwitchID}, {"networkType", g.NetworkType, n.NetworkType},
	} {
		if p.want != "" && p.want != p.now {
			return fail(CodeInvalid, "%s: %q: cannot replace %q on a gateway of the type %s (make another gateway)", p.name, p.want, p.now, enhanced)
		}
	}
	return nil
}

// snatEntryKind is alicloud:vpc/snatEntry:SnatEntry; its id is
// <SNAT table>:<SNAT entry>.
var snatEntryKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) {
		e, err := snatOf(in)
		if err != nil {
			return "", err
		}
		id, err := c.CreateSNATEntry(e)
		if err != nil {
			return "", err
		}
		return e.TableID + ":" + id, nil
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		part := ids(id, 2)
		e, ok := c.state.SNATEntries[part[1]]
		if !ok || e.TableID != part[0] {
			return nil, false
		}
		return sim.Object{
			"snatTableId": e.TableID, "snatEntryId": e.ID, "snatEntryName": e.Name, "snatIp": strings.Join(e.IPs, ","),
			"sourceVswitchId": e.VSwitchID, "sourceCidr": e.CIDR.String(), "status": string(e.Status),
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		return c.ModifySNATEntry(ids(id, 2)[1], text(in, "snatEntryName"))
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteSNATEntry(ids(id, 2)[1]) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		e, err := snatOf(o)
		if err != nil {
			return err
		}
		e.ID = ids(id, 2)[1]
		_, err = c.AddSNATEntry(e)
		return err
	},
}

func snatOf(o sim.Object) (SNATEntry, error) {
	cidr, err := prefix(o, "sourceCidr")
	e := SNATEntry{
		Name: text(o, "snatEntryName"), TableID: text(o, "snatTableId"), VSwitchID: text(o, "sourceVswitchId"),
		CIDR: cidr, IPs: split(text(o, "snatIp")),
	}
	return e, err
}

// forwardEntryKind is alicloud:vpc/forwardEntry:ForwardEntry; its id is
// <forward table>:<forward entry>.
var forwardEntryKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) {
		e := forwardOf(in)
		id, err := c.CreateForwardEntry(e)
		if err != nil {
			return "", err
		}
		return e.TableID + ":" + id, nil
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		part := ids(id, 2)
		e, ok := c.state.ForwardEntries[part[1]]
		if !ok || e.TableID != part[0] {
			return nil, false
		}
		return sim.Object{
			"forwardTableId": e.TableID, "forwardEntryId": e.ID, "forwardEntryName": e.Name, "name": e.Name,
			"externalIp": e.ExternalIP, "externalPort": e.ExternalPort, "internalIp": e.InternalIP,
			"internalPort": e.InternalPort, "ipProtocol": e.Protocol, "status": string(e.Status),
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		e := forwardOf(in)
		e.ID = ids(id, 2)[1]
		return c.ModifyForwardEntry(e)
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteForwardEntry(ids(id, 2)[1]) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		e := forwardOf(o)
		e.ID = ids(id, 2)[1]
		_, err := c.AddForwardEntry(e)
		return err
	},
}

func forwardOf(o sim.Object) ForwardEntry {
	return ForwardEntry{
		Name: text(o, "forwardEntryName", "name"), TableID: text(o, "forwardTableId"),
		ExternalIP: text(o, "externalIp"), ExternalPort: text(o, "externalPort"),
		InternalIP: text(o, "internalIp"), InternalPort: text(o, "internalPort"), Protocol: text(o, "ipProtocol"),
	}
}
