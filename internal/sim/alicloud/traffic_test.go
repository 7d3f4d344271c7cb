package alicloud_test

import (
	"encoding/base64"
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

// dead is the number of vSwitches that lose something.
func dead(n *network) int {
	lost := map[string]bool{}
	for _, f := range n.Judge(n.vpc) {
		lost[f.VSwitch] = true
	}
	return len(lost)
}

func TestANextHopForwardsOnlyWhenAllOfItWorks(t *testing.T) {
	// instance makes an SNAT gateway with these user data and rules, and
	// sends everything in the system table to it.
	instance := func(t *testing.T, n *network, data string, rules ...alicloud.Rule) {
		t.Helper()
		sg, err := n.CreateSecurityGroup(alicloud.SecurityGroup{VPCID: n.vpc})
		n.ok(t, err)
		for _, r := range rules {
			n.ok(t, n.AuthorizeSecurityGroup(sg, r))
		}
		id, err := n.RunInstance(alicloud.Instance{VSwitchID: n.switches[0], UserData: data, SecurityGroups: []string{sg}, BandwidthOut: 10})
		n.ok(t, err)
		n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
		n.ok(t, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: route.Default(), HopType: alicloud.HopInstance, HopID: id}))
	}
	accept := alicloud.Rule{Direction: "ingress", Protocol: "all", PortRange: "-1/-1", Policy: "accept", Priority: 10, CIDR: cidr("10.0.0.0/8")}
	with := func(change func(*alicloud.Rule)) alicloud.Rule {
		r := accept
		change(&r)
		return r
	}
	// repoint sends everything in the system table to another hop.
	repoint := func(t *testing.T, n *network, h alicloud.Hop) {
		t.Helper()
		n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
		n.ok(t, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: route.Default(), HopType: h.Type, HopID: h.ID}))
	}
	for name, test := range map[string]struct {
		change func(t *testing.T, n *network)
		dead   int // of the three vSwitches, two of which use the system table
	}{
		"a hand-made gateway": {func(*testing.T, *network) {}, 0},
		"a stopped instance":  {func(t *testing.T, n *network) { n.ok(t, n.StopInstance(n.gateway)) }, 3},
		"a stopped and started instance": {func(t *testing.T, n *network) {
			n.ok(t, n.StopInstance(n.gateway))
			n.ok(t, n.StartInstance(n.gateway))
		}, 0},
		"an instance that is gone":             {func(t *testing.T, n *network) { n.ok(t, n.DeleteInstance(n.gateway)) }, 3},
		"an instance without a public address": {func(t *testing.T, n *network) { n.ok(t, n.UnassociateEIP(n.eip, n.gateway)) }, 3},
		"an instance that translates":          {func(t *testing.T, n *network) { instance(t, n, userData, accept) }, 0},
		"user data in base64": {func(t *testing.T, n *network) {
			instance(t, n, base64.StdEncoding.EncodeToString([]byte(userData)), accept)
		}, 0},
		"an instance that does not translate": {func(t *testing.T, n *network) { instance(t, n, "sysctl net.ipv4.ip_forward=1", accept) }, 2},
		"an instance that does not forward":   {func(t *testing.T, n *network) { instance(t, n, "iptables -t nat -A POSTROUTING -j SNAT", accept) }, 2},
		"a security group without rules":      {func(t *testing.T, n *network) { instance(t, n, userData) }, 2},
		"a rule for one vSwitch only": {func(t *testing.T, n *network) {
			instance(t, n, userData, with(func(r *alicloud.Rule) { r.CIDR = cidr("10.0.0.0/24") }))
		}, 1},
		"a rule for one port": {func(t *testing.T, n *network) {
			instance(t, n, userData, with(func(r *alicloud.Rule) { r.PortRange = "443/443" }))
		}, 2},
		"a rule for TCP only": {func(t *testing.T, n *network) {
			instance(t, n, userData, with(func(r *alicloud.Rule) { r.Protocol = "tcp" }))
		}, 2},
		"an egress rule": {func(t *testing.T, n *network) {
			instance(t, n, userData, with(func(r *alicloud.Rule) { r.Direction = "egress" }))
		}, 2},
		"rules for TCP and UDP": {func(t *testing.T, n *network) {
			instance(t, n, userData, with(func(r *alicloud.Rule) { r.Protocol = "tcp" }), with(func(r *alicloud.Rule) { r.Protocol = "udp" }))
		}, 0},
		"a stronger rule that drops a vSwitch": {func(t *testing.T, n *network) {
			instance(t, n, userData, accept, with(func(r *alicloud.Rule) { r.Policy, r.Priority, r.CIDR = "drop", 1, cidr("10.0.1.0/24") }))
		}, 1},
		"a weaker rule that drops": {func(t *testing.T, n *network) {
			instance(t, n, userData, accept, with(func(r *alicloud.Rule) { r.Policy, r.Priority = "drop", 50 }))
		}, 0},
		"the primary interface of the gateway": {func(t *testing.T, n *network) {
			repoint(t, n, alicloud.Hop{Type: alicloud.HopNetworkInterface, ID: n.Instances(n.vpc)[0].NetworkInterfaceID})
		}, 0},
		"a second interface of the gateway": {func(t *testing.T, n *network) {
			eni, err := n.AddENI(alicloud.Interface{VSwitchID: n.switches[0], InstanceID: n.gateway})
			n.ok(t, err)
			repoint(t, n, alicloud.Hop{Type: alicloud.HopNetworkInterface, ID: eni})
		}, 0},
		"an interface that is attached to nothing": {func(t *testing.T, n *network) {
			eni, err := n.AddENI(alicloud.Interface{VSwitchID: n.switches[0]})
			n.ok(t, err)
			repoint(t, n, alicloud.Hop{Type: alicloud.HopNetworkInterface, ID: eni})
		}, 2},
		"a HAVIP of which one instance runs": {func(t *testing.T, n *network) {
			other, err := n.AddInstance(alicloud.Instance{VSwitchID: n.switches[0], Status: alicloud.Stopped, Forwards: true, PublicIP: "203.0.113.99"})
			n.ok(t, err)
			vip, err := n.AddHAVIP(alicloud.HAVIP{VSwitchID: n.switches[0], Instances: []string{other, n.gateway}})
			n.ok(t, err)
			repoint(t, n, alicloud.Hop{Type: alicloud.HopHAVIP, ID: vip})
		}, 0},
		"a HAVIP without instances": {func(t *testing.T, n *network) {
			vip, err := n.AddHAVIP(alicloud.HAVIP{VSwitchID: n.switches[0]})
			n.ok(t, err)
			repoint(t, n, alicloud.Hop{Type: alicloud.HopHAVIP, ID: vip})
		}, 2},
		"no route": {func(t *testing.T, n *network) { n.ok(t, n.DeleteRouteEntry(n.custom, route.Default(), n.gateway)) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, alicloud.Options{})
			test.change(t, n)
			if got := dead(n); got != test.dead {
				t.Errorf("%d vSwitches lose traffic, want %d: %v", got, test.dead, n.Judge(n.vpc))
			}
		})
	}
}

func TestANATGatewayServesTheSourcesItsEntriesCover(t *testing.T) {
	n, g, eip, snat := served(t, alicloud.Options{})
	hop := alicloud.Hop{Type: alicloud.HopNATGateway, ID: g.ID}
	for _, table := range []string{n.system, n.custom} {
		n.ok(t, n.DeleteRouteEntry(table, route.Default(), n.gateway))
		n.ok(t, n.CreateRouteEntry(table, alicloud.RouteEntry{CIDR: route.Default(), HopType: hop.Type, HopID: hop.ID}))
	}
	if got := dead(n); got != 2 {
		t.Errorf("one vSwitch covered: %d lose traffic, want 2", got)
	}
	f := n.Judge(n.vpc)[0]
	if f.Kind != route.DeadNextHop || len(f.Hops) != 1 || f.Hops[0] != hop || f.VSwitch != n.switches[1] || f.Table != n.system {
		t.Errorf("finding %v", f)
	}
	// A block that covers half a vSwitch does not serve it; one that covers both does.
	half, err := n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, CIDR: cidr("10.0.2.0/25"), IPs: []string{eip.Address}})
	n.ok(t, err)
	if got := dead(n); got != 2 {
		t.Errorf("half a vSwitch covered: %d lose traffic, want 2", got)
	}
	n.ok(t, n.DeleteSNATEntry(half))
	n.ok(t, n.DeleteSNATEntry(snat))
	_, err = n.CreateSNATEntry(alicloud.SNATEntry{TableID: g.SNATTableID, CIDR: cidr("10.0.0.0/8"), IPs: []string{eip.Address}})
	n.ok(t, err)
	if got := dead(n); got != 0 {
		t.Errorf("everything covered: %d lose traffic: %v", got, n.Judge(n.vpc))
	}
	// The old next hop is not needed any more.
	n.ok(t, n.DeleteInstance(n.gateway))
	if got := dead(n); got != 0 {
		t.Errorf("after the old gateway is gone: %d lose traffic", got)
	}
}

func TestTrafficCountsWhatEachChangeCosts(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	traffic := alicloud.NewTraffic(n.Cloud, n.vpc)
	if s := traffic.Observe(); s.Attempted != traffic.Pairs() || s.Lost+s.Cut+s.Holes+s.Hijacked != 0 {
		t.Fatalf("nothing has changed, yet %+v", s)
	}

	n.ok(t, n.DeleteRouteEntry(n.custom, route.Default(), n.gateway))
	hole := traffic.Observe()
	if hole.Holes == 0 || hole.Lost != hole.Holes || hole.Cut != hole.Holes || hole.Holes >= traffic.Pairs()/2 {
		t.Errorf("a hole in one of three vSwitches: %+v", hole)
	}
	if again := traffic.Observe(); again.Holes != hole.Holes || again.Cut != 0 {
		t.Errorf("the same hole once more: %+v", again)
	}
	n.ok(t, n.CreateRouteEntry(n.custom, alicloud.RouteEntry{CIDR: route.Default(), HopID: n.gateway}))
	if s := traffic.Observe(); s.Lost != 0 || s.Cut != 0 {
		t.Errorf("after the repair: %+v", s)
	}

	// Another address for the same next hop cuts what is open.
	n.ok(t, n.UnassociateEIP(n.eip, n.gateway))
	other, err := n.AllocateEIP(alicloud.EIP{})
	n.ok(t, err)
	n.ok(t, n.AssociateEIP(other, n.gateway, ""))
	if s := traffic.Observe(); s.Cut == 0 || s.Lost != 0 {
		t.Errorf("after a new source address: %+v", s)
	}

	// A block that is longer than the VPN's route takes its traffic.
	n.ok(t, n.CreateRouteEntry(n.system, alicloud.RouteEntry{CIDR: cidr("172.16.0.0/13"), HopID: n.gateway}))
	if s := traffic.Observe(); s.Hijacked != 2 || s.Lost != 0 {
		t.Errorf("after the hijack, want 2 pairs: %+v", s)
	}
	if total := traffic.Total(); total.Attempted != 6*traffic.Pairs() || total.Hijacked != 2 || total.Holes != 2*hole.Holes {
		t.Errorf("total %+v", total)
	}
}

func TestDestinationsThatNeverHadARouteAreNotTraffic(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	n.ok(t, n.DeleteRouteEntry(n.system, route.Default(), n.gateway))
	n.ok(t, n.DeleteRouteEntry(n.custom, route.Default(), n.gateway))
	traffic := alicloud.NewTraffic(n.Cloud, n.vpc)
	if s := traffic.Observe(); traffic.Pairs() != 3 || s.Lost != 0 {
		t.Errorf("%d pairs, want the VPN's of 3 vSwitches: %+v", traffic.Pairs(), s)
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
