package alicloud_test

import (
	"fmt"
	"net/netip"
	"testing"

	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// served is a network in which a NAT gateway serves the first vSwitch.
func served(t testing.TB, opts alicloud.Options) (n *network, gateway alicloud.NATGateway, eip alicloud.EIP, snat string) {
	t.Helper()
	n = newNetwork(t, opts)
	id, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
	n.ok(t, err)
	address, err := n.AllocateEIP(alicloud.EIP{})
	n.ok(t, err)
	n.ok(t, n.AssociateEIP(address, id, alicloud.BindNAT))
	gateway = n.NATGateways(n.vpc)[0]
	for _, e := range n.EIPs() {
		if e.ID == address {
			eip = e
		}
	}
	snat, err = n.CreateSNATEntry(alicloud.SNATEntry{TableID: gateway.SNATTableID, VSwitchID: n.switches[0], IPs: []string{eip.Address}})
	n.ok(t, err)
	return n, gateway, eip, snat
}

func TestTheAPIRefusesWhatTheCloudRefuses(t *testing.T) {
	hop := func(n *network, cidr string) alicloud.RouteEntry {
		return alicloud.RouteEntry{CIDR: netip.MustParsePrefix(cidr), HopType: alicloud.HopInstance, HopID: n.gateway}
	}
	for name, test := range map[string]struct {
		opts alicloud.Options
		code string
		call func(t *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, snat string) error
	}{
		"a second route to a destination": {code: alicloud.CodeRouteDuplicated,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, hop(n, "0.0.0.0/0"))
			}},
		"a route equal to a vSwitch": {code: alicloud.CodeDestinationReserved,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, hop(n, "10.0.1.0/24"))
			}},
		"a route inside a vSwitch": {code: alicloud.CodeDestinationReserved,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, hop(n, "10.0.1.128/25"))
			}},
		"a route to the cloud's own services": {code: alicloud.CodeDestinationReserved,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, hop(n, "100.64.0.0/10"))
			}},
		"a route into the cloud's own services": {code: alicloud.CodeDestinationReserved,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, hop(n, "100.100.0.0/16"))
			}},
		"a next hop that does not exist": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: cidr("8.0.0.0/8"), HopType: alicloud.HopHAVIP, HopID: "havip-x"})
			}},
		"a next hop in another VPC": {code: alicloud.CodeInvalid,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				other, err := n.AddVPC(alicloud.VPC{CIDR: cidr("192.168.0.0/16")})
				n.ok(t, err)
				table := n.RouteTables(other)[0].ID
				return n.CreateRouteEntry(table, hop(n, "8.0.0.0/8"))
			}},
		"more routes than the quota": {code: alicloud.CodeQuotaExceeded, opts: alicloud.Options{RouteQuota: 3},
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				n.ok(t, n.CreateRouteEntry(n.system, hop(n, "8.0.0.0/8")))
				return n.CreateRouteEntry(n.system, hop(n, "9.0.0.0/8"))
			}},
		"deleting a system route": {code: alicloud.CodeRouteNotFound,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteRouteEntry(n.system, cidr("10.0.0.0/24"), "")
			}},
		"deleting a route by another next hop": {code: alicloud.CodeRouteNotFound,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteRouteEntry(n.system, route.Default(), "i-other")
			}},
		"a gateway of the type Normal": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0], NATType: "Normal"})
				return err
			}},
		"a gateway without a vSwitch": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc})
				return err
			}},
		"a gateway in a zone without enhanced NAT": {code: alicloud.CodeZoneNotSupported, opts: alicloud.Options{EnhancedNATZones: []string{"cn-hangzhou-i"}},
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				s, err := n.CreateVSwitch(alicloud.VSwitch{VPCID: n.vpc, ZoneID: "cn-hangzhou-k", CIDR: cidr("10.0.9.0/24")})
				n.ok(t, err)
				_, err = n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: s})
				return err
			}},
		"a sixth gateway": {code: alicloud.CodeQuotaExceeded,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				for range 4 {
					_, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
					n.ok(t, err)
				}
				_, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
				return err
			}},
		"deleting a gateway with SNAT entries": {code: alicloud.CodeSNATLeft,
			call: func(_ *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteNATGateway(g.ID, false)
			}},
		"deleting a gateway with DNAT entries": {code: alicloud.CodeDNATLeft,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, snat string) error {
				_, err := n.CreateForwardEntry(alicloud.ForwardEntry{TableID: g.ForwardTableID, ExternalIP: eip.Address, ExternalPort: "80", InternalIP: "10.0.0.9", InternalPort: "80", Protocol: "tcp"})
				n.ok(t, err)
				n.ok(t, n.DeleteSNATEntry(snat))
				return n.DeleteNATGateway(g.ID, false)
			}},
		"deleting a gateway with addresses": {code: alicloud.CodeEIPsLeft,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, snat string) error {
				n.ok(t, n.DeleteSNATEntry(snat))
				return n.DeleteNATGateway(g.ID, false)
			}},
		"deleting a gateway that a custom table points at, even with force": {code: alicloud.CodeRouteInUse,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				n.ok(t, n.CreateRouteEntry(n.custom, alicloud.RouteEntry{CIDR: cidr("8.0.0.0/8"), HopType: alicloud.HopNATGateway, HopID: g.ID}))
				return n.DeleteNATGateway(g.ID, true)
			}},
		"deleting a protected gateway": {code: alicloud.CodeDeletionProtection,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				n.ok(t, n.ModifyNATGateway(g.ID, func(g *alicloud.NATGateway) { g.DeletionProtection = true }))
				return n.DeleteNATGateway(g.ID, true)
			}},
		"SNAT with an address that is not bound": {code: alicloud.CodeEIPNotInGateway,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				id, err := n.AllocateEIP(alicloud.EIP{})
				n.ok(t, err)
				_, err = n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, VSwitchID: n.switches[1], IPs: []string{address(n, id)}})
				return err
			}},
		"SNAT without a source": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				_, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, IPs: []string{eip.Address}})
				return err
			}},
		"SNAT for a vSwitch twice": {code: alicloud.CodeSNATSourceTaken,
			call: func(_ *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				_, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, VSwitchID: n.switches[0], IPs: []string{eip.Address}})
				return err
			}},
		"SNAT for a block that holds a served vSwitch": {code: alicloud.CodeSNATSourceTaken,
			call: func(_ *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				_, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, CIDR: cidr("10.0.0.0/16"), IPs: []string{eip.Address}})
				return err
			}},
		"SNAT for a vSwitch with a HAVIP": {code: alicloud.CodeHAVIPInVSwitch,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				_, err := n.AddHAVIP(alicloud.HAVIP{VSwitchID: n.switches[1]})
				n.ok(t, err)
				_, err = n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, VSwitchID: n.switches[1], IPs: []string{eip.Address}})
				return err
			}},
		"a forty-first SNAT entry": {code: alicloud.CodeQuotaExceeded,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				add := func(i int) error {
					_, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, CIDR: cidr(fmt.Sprintf("10.1.%d.0/24", i)), IPs: []string{eip.Address}})
					return err
				}
				for i := range 39 {
					n.ok(t, add(i))
				}
				return add(39)
			}},
		"DNAT of a port twice": {code: alicloud.CodeInvalid,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				e := alicloud.ForwardEntry{TableID: g.ForwardTableID, ExternalIP: eip.Address, ExternalPort: "80", InternalIP: "10.0.0.9", InternalPort: "80", Protocol: "tcp"}
				_, err := n.CreateForwardEntry(e)
				n.ok(t, err)
				e.Protocol = "any"
				_, err = n.CreateForwardEntry(e)
				return err
			}},
		"unbinding an address that SNAT uses": {code: alicloud.CodeEIPUsedBySNAT,
			call: func(_ *testing.T, n *network, g alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				return n.UnassociateEIP(eip.ID, g.ID)
			}},
		"binding an address twice": {code: alicloud.CodeAssociated,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				return n.AssociateEIP(eip.ID, n.gateway, "")
			}},
		"a second address for an instance": {code: alicloud.CodeQuotaExceeded,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				id, err := n.AllocateEIP(alicloud.EIP{})
				n.ok(t, err)
				return n.AssociateEIP(id, n.gateway, "")
			}},
		"an EIP beside a static address": {code: alicloud.CodeAssociated,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				i, err := n.RunInstance(alicloud.Instance{VSwitchID: n.switches[1], BandwidthOut: 5})
				n.ok(t, err)
				id, err := n.AllocateEIP(alicloud.EIP{})
				n.ok(t, err)
				return n.AssociateEIP(id, i, "")
			}},
		"a twenty-first address for a gateway": {code: alicloud.CodeQuotaExceeded,
			call: func(t *testing.T, n *network, g alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				bind := func() error {
					id, err := n.AllocateEIP(alicloud.EIP{})
					n.ok(t, err)
					return n.AssociateEIP(id, g.ID, "")
				}
				for range 19 {
					n.ok(t, bind())
				}
				return bind()
			}},
		"releasing a bound address": {code: alicloud.CodeEIPStatus,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, eip alicloud.EIP, _ string) error {
				return n.ReleaseEIP(eip.ID)
			}},
		"releasing a protected address": {code: alicloud.CodeDeletionProtection,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				id, err := n.AllocateEIP(alicloud.EIP{DeletionProtection: true})
				n.ok(t, err)
				return n.ReleaseEIP(id)
			}},
		"releasing an address in a bandwidth package": {code: alicloud.CodeBandwidthLeft,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				id, _ := inPackage(t, n, alicloud.BandwidthPackage{})
				return n.ReleaseEIP(id)
			}},
		"deleting a bandwidth package with addresses": {code: alicloud.CodeDependency,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, pkg := inPackage(t, n, alicloud.BandwidthPackage{})
				return n.DeleteBandwidthPackage(pkg)
			}},
		"deleting a protected bandwidth package": {code: alicloud.CodeDeletionProtection,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, pkg := inPackage(t, n, alicloud.BandwidthPackage{DeletionProtection: true})
				return n.DeleteBandwidthPackage(pkg)
			}},
		"an address in two bandwidth packages": {code: alicloud.CodeAssociated,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				id, _ := inPackage(t, n, alicloud.BandwidthPackage{})
				pkg, err := n.CreateBandwidthPackage(alicloud.BandwidthPackage{})
				n.ok(t, err)
				return n.AddToBandwidthPackage(pkg, id)
			}},
		"a vSwitch outside the VPC": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, err := n.CreateVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("192.168.0.0/24")})
				return err
			}},
		"a vSwitch over another": {code: alicloud.CodeOverlap,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				_, err := n.CreateVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("10.0.0.0/16")})
				return err
			}},
		"a vSwitch around a route": {code: alicloud.CodeOverlap,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				n.ok(t, n.CreateRouteEntry(n.system, hop(n, "10.9.0.0/24")))
				_, err := n.CreateVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("10.9.0.0/24")})
				return err
			}},
		"deleting a vSwitch in use": {code: alicloud.CodeDependency,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteVSwitch(n.switches[0])
			}},
		"deleting a VPC in use": {code: alicloud.CodeDependency,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteVPC(n.vpc)
			}},
		"deleting a route table in use": {code: alicloud.CodeDependency,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteRouteTable(n.custom)
			}},
		"deleting the system table": {code: alicloud.CodeInvalid,
			call: func(_ *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				return n.DeleteRouteTable(n.system)
			}},
		"a second table for a vSwitch": {code: alicloud.CodeDependency,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				table, err := n.CreateRouteTable(alicloud.RouteTable{VPCID: n.vpc})
				n.ok(t, err)
				return n.AssociateRouteTable(table, n.switches[2])
			}},
		"a tenth custom table": {code: alicloud.CodeQuotaExceeded,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				for range 8 {
					_, err := n.CreateRouteTable(alicloud.RouteTable{VPCID: n.vpc})
					n.ok(t, err)
				}
				_, err := n.CreateRouteTable(alicloud.RouteTable{VPCID: n.vpc})
				return err
			}},
		"deleting a protected instance": {code: alicloud.CodeDeletionProtection,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				n.ok(t, n.ModifyInstance(n.gateway, func(i *alicloud.Instance) { i.DeletionProtection = true }))
				return n.DeleteInstance(n.gateway)
			}},
		"deleting a security group with instances": {code: alicloud.CodeDependency,
			call: func(t *testing.T, n *network, _ alicloud.NATGateway, _ alicloud.EIP, _ string) error {
				g, err := n.CreateSecurityGroup(alicloud.SecurityGroup{VPCID: n.vpc})
				n.ok(t, err)
				_, err = n.RunInstance(alicloud.Instance{VSwitchID: n.switches[1], SecurityGroups: []string{g}})
				n.ok(t, err)
				return n.DeleteSecurityGroup(g)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			n, g, eip, snat := served(t, test.opts)
			before := saved(t, n.Cloud)
			published := ""
			n.OnChange = func() { published = saved(t, n.Cloud) }
			err := test.call(t, n, g, eip, snat)
			if !alicloud.IsCode(err, test.code) {
				t.Errorf("error %v, want code %s", err, test.code)
			}
			if after := saved(t, n.Cloud); after != before && after != published {
				t.Error("the refused call has changed the state")
			}
		})
	}
}

func saved(t testing.TB, c *alicloud.Cloud) string {
	t.Helper()
	b, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func address(n *network, eip string) string {
	for _, e := range n.EIPs() {
		if e.ID == eip {
			return e.Address
		}
	}
	return ""
}

func inPackage(t *testing.T, n *network, p alicloud.BandwidthPackage) (eip, pkg string) {
	t.Helper()
	eip, err := n.AllocateEIP(alicloud.EIP{})
	n.ok(t, err)
	pkg, err = n.CreateBandwidthPackage(p)
	n.ok(t, err)
	n.ok(t, n.AddToBandwidthPackage(pkg, eip))
	return eip, pkg
}

func defaultOf(t *testing.T, n *network, table string) (alicloud.RouteEntry, bool) {
	t.Helper()
	rt, err := n.DescribeRouteTable(table)
	n.ok(t, err)
	for _, e := range rt.Entries {
		if e.CIDR == route.Default() {
			return e, true
		}
	}
	return alicloud.RouteEntry{}, false
}

func TestTheAutomaticRouteFollowsTheOptions(t *testing.T) {
	for name, test := range map[string]struct {
		opts              alicloud.Options
		keepDefault       bool
		network           string
		create, del       string // codes
		appears, goesAway bool
	}{
		"it appears and goes":            {appears: true, goesAway: true},
		"it never appears":               {opts: alicloud.Options{AutomaticRoute: alicloud.RouteNever}, goesAway: true},
		"a VPC NAT gateway has none":     {network: "intranet", goesAway: true},
		"a taken destination is kept":    {keepDefault: true},
		"a taken destination refuses":    {keepDefault: true, opts: alicloud.Options{CreateNATWithDefault: alicloud.NATRefused}, create: alicloud.CodeDefaultRouteInVPC},
		"it keeps the gateway in place":  {opts: alicloud.Options{DeleteNAT: alicloud.DeleteRefused}, appears: true, del: alicloud.CodeRouteInUse},
		"no route, nothing to refuse by": {opts: alicloud.Options{DeleteNAT: alicloud.DeleteRefused, AutomaticRoute: alicloud.RouteNever}, goesAway: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, test.opts)
			if !test.keepDefault {
				for _, table := range []string{n.system, n.custom} {
					n.ok(t, n.DeleteRouteEntry(table, route.Default(), n.gateway))
				}
			}
			id, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0], NetworkType: test.network})
			if test.create != "" {
				if !alicloud.IsCode(err, test.create) {
					t.Fatalf("create: %v, want %s", err, test.create)
				}
				return
			}
			n.ok(t, err)
			e, there := defaultOf(t, n, n.system)
			if there != (test.appears || test.keepDefault) || e.Automatic != test.appears {
				t.Errorf("0.0.0.0/0 in the system table: %+v", e)
			}
			if test.appears && (e.HopID != id || e.Status != alicloud.Available || e.Type != alicloud.Custom) {
				t.Errorf("automatic route: %+v", e)
			}
			if e, there := defaultOf(t, n, n.custom); there != test.keepDefault || e.Automatic {
				t.Errorf("0.0.0.0/0 in the custom table: %+v", e)
			}
			err = n.DeleteNATGateway(id, false)
			if test.del != "" {
				if !alicloud.IsCode(err, test.del) {
					t.Errorf("delete: %v, want %s", err, test.del)
				}
				return
			}
			n.ok(t, err)
			if _, there := defaultOf(t, n, n.system); there == test.goesAway {
				t.Error("0.0.0.0/0 after the gateway is gone: wrong")
			}
		})
	}
}

func TestASecondGatewayGetsNoAutomaticRoute(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
	first, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
	n.ok(t, err)
	_, err = n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
	n.ok(t, err)
	if e, _ := defaultOf(t, n, n.system); e.HopID != first {
		t.Errorf("0.0.0.0/0 leads to %s, not to the first gateway %s", e.Hop(), first)
	}
}

func TestForceEmptiesAGateway(t *testing.T) {
	n, g, eip, _ := served(t, alicloud.Options{})
	n.ok(t, n.DeleteNATGateway(g.ID, true))
	if left := n.SNATEntries(g.SNATTableID); left != nil {
		t.Errorf("SNAT entries left: %v", left)
	}
	n.ok(t, n.ReleaseEIP(eip.ID))
}

func TestEachIntermediateStatusIsPublished(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	var seen []alicloud.Status
	n.OnChange = func() {
		if e, ok := defaultOf(t, n, n.system); ok {
			seen = append(seen, e.Status)
		} else {
			seen = append(seen, "")
		}
	}
	n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
	n.ok(t, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: route.Default(), HopID: n.gateway}))
	want := []alicloud.Status{alicloud.Deleting, "", alicloud.Pending, alicloud.Available}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("statuses %v, want %v", seen, want)
	}
}

func TestEachTableHasSystemEntriesForTheVSwitchesAndTheCloud(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	want := map[string]bool{"100.64.0.0/10": true, "10.0.0.0/24": true, "10.0.1.0/24": true, "10.0.2.0/24": true}
	for _, table := range n.RouteTables(n.vpc) {
		got := map[string]bool{}
		for _, e := range table.Entries {
			if e.Type == alicloud.System {
				got[e.CIDR.String()] = true
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", table.ID, got, want)
		}
	}
}
