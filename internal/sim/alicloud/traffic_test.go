package alicloud_test

import (
	"net/netip"
	"testing"

	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// network is a VPC made by hand: an SNAT gateway in the first vSwitch, hosts
// in the others, one of which uses a custom table.
type network struct {
	*alicloud.Cloud
	vpc, system, custom string
	switches            [3]string
	gateway             string // the instance
	eip                 string // its address
}

func cidr(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newNetwork(t testing.TB, opts alicloud.Options) *network {
	t.Helper()
	n := &network{Cloud: alicloud.New(opts)}
	must := func(id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	n.vpc = must(n.AddVPC(alicloud.VPC{CIDR: cidr("10.0.0.0/8")}))
	n.system = n.VPCs()[0].RouteTableID
	n.custom = must(n.AddTable(alicloud.RouteTable{VPCID: n.vpc}))
	n.switches[0] = must(n.AddVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("10.0.0.0/24")}))
	n.switches[1] = must(n.AddVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("10.0.1.0/24")}))
	n.switches[2] = must(n.AddVSwitch(alicloud.VSwitch{VPCID: n.vpc, CIDR: cidr("10.0.2.0/24"), RouteTableID: n.custom}))
	n.gateway = must(n.AddInstance(alicloud.Instance{VSwitchID: n.switches[0], Forwards: true}))
	n.eip = must(n.AddEIP(alicloud.EIP{InstanceID: n.gateway}))
	for _, table := range []string{n.system, n.custom} {
		must("", n.AddRoute(table, alicloud.RouteEntry{CIDR: route.Default(), HopType: alicloud.HopInstance, HopID: n.gateway}))
		must("", n.AddRoute(table, alicloud.RouteEntry{CIDR: cidr("172.16.0.0/12"), HopType: "VpnGateway", HopID: "vpn-1"}))
	}
	return n
}

func (n *network) ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkJudge(b *testing.B) {
	n := newNetwork(b, alicloud.Options{})
	for _, p := range route.Blocks() {
		n.ok(b, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: p, HopID: n.gateway}))
	}
	b.ReportAllocs()
	for b.Loop() {
		if n.Judge(n.vpc) != nil {
			b.Fatal("lost")
		}
	}
}

func BenchmarkCreateRouteEntry(b *testing.B) {
	n := newNetwork(b, alicloud.Options{})
	for _, p := range route.Blocks()[1:] {
		n.ok(b, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: p, HopID: n.gateway}))
	}
	n.OnChange = func() {
		if n.Judge(n.vpc) != nil {
			b.Fatal("lost")
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n.ok(b, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: cidr("1.0.0.0/8"), HopID: n.gateway}))
		n.ok(b, n.DeleteRouteEntry(n.system, cidr("1.0.0.0/8"), n.gateway))
	}
}

func BenchmarkClone(b *testing.B) {
	n := newNetwork(b, alicloud.Options{})
	n.Judge(n.vpc)
	for b.Loop() {
		n.Clone()
	}
}
