package alicloud_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// walk makes random calls; most are refused. After each state it calls check.
func walk(t *rapid.T, opts alicloud.Options, check func(n *network)) *network {
	tb := &fatal{t: t}
	n := newNetwork(tb, opts)
	n.OnChange = func() { check(n) }
	prefixes := append(route.Blocks(), route.Default(), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("10.0.1.0/24"))
	hops := []alicloud.Hop{{Type: alicloud.HopInstance, ID: n.gateway}, {Type: alicloud.HopInstance, ID: "i-none"}, {Type: "VpnGateway", ID: "vpn-1"}}
	anyOf := func(label string, ids ...string) string { return rapid.SampledFrom(append(ids, "none")).Draw(t, label) }
	table := func() string { return anyOf("table", n.system, n.custom) }
	vswitch := func() string { return anyOf("vSwitch", n.switches[:]...) }
	gateway := func() (g alicloud.NATGateway) {
		if all := n.NATGateways(n.vpc); len(all) > 0 {
			g = rapid.SampledFrom(all).Draw(t, "gateway")
		}
		return g
	}
	eip := func() (e alicloud.EIP) { return rapid.SampledFrom(append(n.EIPs(), alicloud.EIP{})).Draw(t, "eip") }
	t.Repeat(map[string]func(*rapid.T){
		"create route": func(t *rapid.T) {
			h := rapid.SampledFrom(hops).Draw(t, "hop")
			if g := gateway(); g.ID != "" && rapid.Bool().Draw(t, "to the gateway") {
				h = alicloud.Hop{Type: alicloud.HopNATGateway, ID: g.ID}
			}
			_ = n.CreateRouteEntry(table(), alicloud.RouteEntry{CIDR: rapid.SampledFrom(prefixes).Draw(t, "prefix"), HopType: h.Type, HopID: h.ID})
		},
		"delete route": func(t *rapid.T) {
			rt, err := n.DescribeRouteTable(table())
			if err == nil {
				e := rapid.SampledFrom(rt.Entries).Draw(t, "entry")
				_ = n.DeleteRouteEntry(rt.ID, e.CIDR, e.HopID)
			}
		},
		"create gateway": func(*rapid.T) {
			_, _ = n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: vswitch()})
		},
		"delete gateway": func(t *rapid.T) { _ = n.DeleteNATGateway(gateway().ID, rapid.Bool().Draw(t, "force")) },
		"allocate":       func(*rapid.T) { _, _ = n.AllocateEIP(alicloud.EIP{}) },
		"release":        func(*rapid.T) { _ = n.ReleaseEIP(eip().ID) },
		"bind":           func(t *rapid.T) { _ = n.AssociateEIP(eip().ID, anyOf("instance", n.gateway, gateway().ID), "") },
		"unbind":         func(*rapid.T) { e := eip(); _ = n.UnassociateEIP(e.ID, e.InstanceID) },
		"create SNAT": func(*rapid.T) {
			_, _ = n.CreateSNATEntry(alicloud.SNATEntry{TableID: gateway().SNATTableID, VSwitchID: vswitch(), IPs: []string{eip().Address}})
		},
		"delete SNAT": func(t *rapid.T) {
			if all := n.SNATEntries(gateway().SNATTableID); len(all) > 0 {
				_ = n.DeleteSNATEntry(rapid.SampledFrom(all).Draw(t, "entry").ID)
			}
		},
		"stop":   func(*rapid.T) { _ = n.StopInstance(n.gateway) },
		"start":  func(*rapid.T) { _ = n.StartInstance(n.gateway) },
		"attach": func(*rapid.T) { _ = n.AssociateRouteTable(table(), vswitch()) },
		"detach": func(*rapid.T) { _ = n.UnassociateRouteTable(table(), vswitch()) },
	})
	return n
}

// fatal lets newNetwork report to rapid.
type fatal struct {
	testing.TB
	t *rapid.T
}

func (f *fatal) Helper()           {}
func (f *fatal) Fatal(args ...any) { f.t.Fatal(args...) }

func drawOptions(t *rapid.T) alicloud.Options {
	return alicloud.Options{
		AutomaticRoute:       rapid.SampledFrom([]alicloud.AutomaticRoute{alicloud.RouteAppears, alicloud.RouteNever}).Draw(t, "automatic route"),
		CreateNATWithDefault: rapid.SampledFrom([]alicloud.NATWithDefault{alicloud.NATSkipsRoute, alicloud.NATRefused}).Draw(t, "create"),
		DeleteNAT:            rapid.SampledFrom([]alicloud.DeleteNAT{alicloud.DeleteRemovesRoute, alicloud.DeleteRefused}).Draw(t, "delete"),
	}
}

func TestNoTableEverHasTwoEntriesForADestination(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, drawOptions(t), func(n *network) {
			for _, table := range n.RouteTables(n.vpc) {
				seen := map[netip.Prefix]bool{}
				for _, e := range table.Entries {
					if seen[e.CIDR] {
						t.Fatalf("%s has two entries for %s", table.ID, e.CIDR)
					}
					seen[e.CIDR] = true
				}
			}
		})
	})
}

func TestASavedStateLoadsAsTheSameState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := drawOptions(t)
		walk(t, opts, func(n *network) {
			before, err := n.Save()
			if err != nil {
				t.Fatal(err)
			}
			loaded := alicloud.New(opts)
			if err := loaded.Load(before); err != nil {
				t.Fatal(err)
			}
			after, err := loaded.Save()
			if err != nil || string(after) != string(before) {
				t.Fatalf("%v: saved\n%s\nloaded\n%s", err, before, after)
			}
		})
	})
}

// The judge keeps what it has worked out from one call to the next; a cloud
// that was just loaded has to work out everything anew.
func TestTheJudgeRemembersNothingThatIsNotTrueAnyMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, drawOptions(t), func(n *network) {
			saved, err := n.Save()
			if err != nil {
				t.Fatal(err)
			}
			fresh := alicloud.New(alicloud.Options{})
			if err := fresh.Load(saved); err != nil {
				t.Fatal(err)
			}
			want, got := verdict(fresh, n.vpc), verdict(n.Cloud, n.vpc)
			if want != got {
				t.Fatalf("judged\n%s\nafresh\n%s", got, want)
			}
			if clone := verdict(n.Clone(), n.vpc); clone != want {
				t.Fatalf("clone judged\n%s\nafresh\n%s", clone, want)
			}
		})
	})
}

func verdict(c *alicloud.Cloud, vpc string) string {
	s := ""
	for _, f := range c.Judge(vpc) {
		s += f.String() + "\n"
	}
	return s
}

func TestACloneHasALifeOfItsOwn(t *testing.T) {
	n, _, _, _ := served(t, alicloud.Options{})
	before := saved(t, n.Cloud)
	clone := n.Clone()
	if saved(t, clone) != before {
		t.Error("the clone differs")
	}
	n.ok(t, clone.DeleteRouteEntry(n.system, route.Default(), n.gateway))
	n.ok(t, clone.StopInstance(n.gateway))
	n.ok(t, clone.AssociateRouteTable(n.custom, n.switches[1]))
	if saved(t, n.Cloud) != before {
		t.Error("what happens to the clone happens to the original")
	}
	if f := n.Judge(n.vpc); f != nil {
		t.Errorf("the original loses traffic: %v", f)
	}
}

func TestAStateSavedInTheMiddleOfAnOperationSettles(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	var states []string
	n.OnChange = func() { states = append(states, saved(t, n.Cloud)) }
	n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
	gateway, err := n.CreateNATGateway(alicloud.NATGateway{VPCID: n.vpc, VSwitchID: n.switches[0]})
	n.ok(t, err)
	n.ok(t, n.DeleteNATGateway(gateway, false))
	n.ok(t, n.StopInstance(n.gateway))
	n.ok(t, n.UnassociateEIP(n.eip, n.gateway))
	settled := 0
	for _, s := range states {
		c := alicloud.New(alicloud.Options{})
		n.ok(t, c.Load([]byte(s)))
		c.Settle()
		if saved(t, c) != s {
			settled++
		}
		now := saved(t, c)
		if c.Settle(); saved(t, c) != now {
			t.Error("settled twice, changed twice")
		}
	}
	// Each operation has one state in transition; a gateway has one more, while its route is Pending.
	if settled != 6 {
		t.Errorf("%d of %d states were in transition, want 6", settled, len(states))
	}
}
