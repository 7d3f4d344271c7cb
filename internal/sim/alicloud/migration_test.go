package alicloud_test

import (
	"testing"

	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// TestAMigrationInSixStagesLosesNothing walks the stages of a migration on
// the API; the verdict is asked for after every change, also intermediate
// ones.
func TestAMigrationInSixStagesLosesNothing(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	states := 0
	n.OnChange = func() {
		states++
		if f := n.Judge(n.vpc); f != nil {
			t.Errorf("state %d: %v", states, f)
		}
	}
	traffic := alicloud.NewTraffic(n.Cloud, n.vpc)
	tables := []string{n.system, n.custom}
	for _, table := range tables {
		for _, p := range route.Blocks() {
			n.ok(t, n.CreateRouteEntry(table, alicloud.RouteEntry{CIDR: p, HopType: alicloud.HopInstance, HopID: n.gateway}))
		}
	}
	for _, table := range tables {
		n.ok(t, n.DeleteRouteEntry(table, route.Default(), n.gateway))
	}
	gateway, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
	n.ok(t, err)
	n.ok(t, n.CreateRouteEntry(n.custom, alicloud.RouteEntry{CIDR: route.Default(), HopType: alicloud.HopNATGateway, HopID: gateway}))
	eip, err := n.AllocateEIP(alicloud.EIP{})
	n.ok(t, err)
	n.ok(t, n.AssociateEIP(eip, gateway, ""))
	g := n.NATGateways(n.vpc)[0]
	address := n.EIPs()[1].Address
	for _, s := range n.switches {
		_, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, VSwitchID: s, IPs: []string{address}})
		n.ok(t, err)
	}
	if s := traffic.Observe(); s.Cut != 0 || s.Lost != 0 {
		t.Errorf("before the switch: %v", s.Problems)
	}
	for _, table := range tables {
		for _, p := range route.Blocks() {
			n.ok(t, n.DeleteRouteEntry(table, p, n.gateway))
		}
	}
	s := traffic.Observe()
	if s.Lost != 0 || s.Hijacked != 0 || s.Holes != 0 {
		t.Errorf("after the switch: %v", s.Problems)
	}
	// The source address changes, so what was open ends; the VPN's share stays.
	if foreign := len(n.switches); s.Cut == 0 || s.Cut > traffic.Pairs()-foreign {
		t.Errorf("after the switch: %d of %d connections cut", s.Cut, traffic.Pairs())
	}
	if states < 2*2*16 {
		t.Errorf("only %d states were published", states)
	}
}
