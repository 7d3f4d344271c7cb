package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
)

// network is a random network that somebody made by hand, in a random cloud, and what its owner writes into the
// configuration of the migration.
type network struct {
	cloud   *alicloud.Cloud
	options alicloud.Options
	vpc     string
	old     migration.OldNextHop
	// tables are the ids of those that send 0.0.0.0/0 to the old next hop; system is among them or not.
	tables []string
	system string
	// named tells whether the configuration names the tables, or leaves it to the lookups.
	named     bool
	vswitches []alicloud.VSwitch
	gateway   string // vSwitch of the NAT gateway
	wishes
}

// wishes are what the owner may change at any time.
type wishes struct {
	addresses map[string]int
	pkg       int
	forwards  map[string]migration.Forward
	// snat is in force, otherSNAT another choice that covers every vSwitch.
	snat, otherSNAT snatConfig
}

// snatConfig is the block snat of the configuration.
type snatConfig struct {
	VSwitches, Sources, HAVIPs []string
}

const (
	gatewayName = "egress"
	vpcID       = "vpc-1"
	systemTable = "vtb-system"
)

// The variants of the cloud whose behavior nobody knows: the walks of eight seeds in a row see all of them.
func variant(seed uint64) alicloud.Options {
	o := alicloud.Options{
		AutomaticRoute: alicloud.RouteAppears, DeleteNAT: alicloud.DeleteRemovesRoute, CreateNATWithDefault: alicloud.NATSkipsRoute,
	}
	if seed&1 != 0 {
		o.AutomaticRoute = alicloud.RouteNever
	}
	if seed>>1&1 != 0 {
		o.DeleteNAT = alicloud.DeleteRefused
	}
	if seed>>2&1 != 0 {
		o.CreateNATWithDefault = alicloud.NATRefused
	}
	return o
}

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// newNetwork makes a network. It is small: whatever goes wrong in two tables would go wrong in nine.
func newNetwork(r *rand.Rand, o alicloud.Options, maxTables int) *network {
	o.EnhancedNATZones = []string{"cn-hangzhou-i", "cn-hangzhou-j"}
	n := &network{options: o, cloud: alicloud.New(o), vpc: vpcID, system: systemTable}
	vpc := alicloud.VPC{ID: vpcID, CIDR: netip.MustParsePrefix("172.16.0.0/16"), RouterID: "vrt-1", RouteTableID: systemTable}
	if chance(r, 40) {
		vpc.SecondaryCIDRs = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
	}
	must(n.cloud.AddVPC(vpc))
	tables := []string{systemTable}
	for i := range r.IntN(maxTables) {
		tables = append(tables, must(n.cloud.AddTable(alicloud.RouteTable{ID: fmt.Sprintf("vtb-custom-%d", i+1), VPCID: vpcID})))
	}
	for i := range 1 + r.IntN(5) {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i) * 2, 0}), 23+r.IntN(2))
		if len(vpc.SecondaryCIDRs) > 0 && chance(r, 40) {
			cidr = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(i) * 2, 0}), 24)
		}
		v := alicloud.VSwitch{ID: fmt.Sprintf("vsw-%d", i+1), VPCID: vpcID, ZoneID: pick(r, "cn-hangzhou-i", "cn-hangzhou-j"), CIDR: cidr, RouteTableID: pick(r, tables...)}
		must(n.cloud.AddVSwitch(v))
		n.vswitches = append(n.vswitches, v)
	}
	n.gateway = pick(r, n.vswitches...).ID
	bandwidth := n.addOld(r)
	n.addRoutes(r, tables)
	n.addWishes(r, bandwidth)
	return n
}

// must is for what the generator itself would have got wrong.

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// addOld adds the self-managed gateway, and returns its bandwidth.
func (n *network) addOld(r *rand.Rand) int {
	home, bandwidth := pick(r, n.vswitches...).ID, pick(r, 5, 100)
	instance := must(n.cloud.AddInstance(alicloud.Instance{ID: "i-old", VPCID: vpcID, VSwitchID: home, Forwards: true}))
	n.old = migration.OldNextHop{Hop: migration.Hop{Type: migration.HopInstance, ID: instance}, Instances: []string{instance}}
	eip := alicloud.EIP{ID: "eip-old", Name: "old", Bandwidth: fmt.Sprint(bandwidth)}
	switch r.IntN(4) {
	case 0:
		n.old.Hop = migration.Hop{Type: migration.HopNetworkInterface, ID: must(n.cloud.AddENI(alicloud.Interface{ID: "eni-old", VSwitchID: home, InstanceID: instance}))}
		eip.InstanceType = alicloud.BindInterface
	case 1:
		standby := must(n.cloud.AddInstance(alicloud.Instance{
			ID: "i-standby", VPCID: vpcID, VSwitchID: home, Forwards: true, Status: pick(r, alicloud.Running, alicloud.Stopped),
		}))
		n.old.Instances = append(n.old.Instances, standby)
		n.old.Hop = migration.Hop{Type: migration.HopHAVIP, ID: must(n.cloud.AddHAVIP(alicloud.HAVIP{ID: "havip-old", VSwitchID: home, Instances: n.old.Instances}))}
		eip.InstanceType = alicloud.BindHAVIP
		n.snat.HAVIPs = []string{home}
	default:
		eip.InstanceType = alicloud.BindECS
	}
	eip.InstanceID = n.old.ID
	must(n.cloud.AddEIP(eip))
	return bandwidth
}

// addRoutes fills the tables: some go by the old gateway, at least one that a vSwitch uses, and some hold longer routes to
// elsewhere.
func (n *network) addRoutes(r *rand.Rand, tables []string) {
	used := pick(r, n.vswitches...).RouteTableID
	toOld := func(cidr string) alicloud.RouteEntry {
		return alicloud.RouteEntry{CIDR: netip.MustParsePrefix(cidr), HopType: alicloud.HopType(n.old.Type), HopID: n.old.ID}
	}
	for _, t := range tables {
		switch {
		case t == used || chance(r, 80):
			check(n.cloud.AddRoute(t, toOld("0.0.0.0/0")))
			n.tables = append(n.tables, t)
		case chance(r, 50):
			check(n.cloud.AddRoute(t, alicloud.RouteEntry{CIDR: route.Default(), HopType: "VpnGateway", HopID: "vpn-default"}))
		}
		for _, e := range []struct{ cidr, hop, id string }{
			{"10.0.0.0/8", "Attachment", "tr-1"}, {"172.16.0.0/12", "Attachment", "tr-1"}, {"47.96.0.0/16", "VpnGateway", "vpn-1"},
			{"224.0.0.0/4", "Attachment", "tr-2"}, {"128.0.0.0/2", "RouterInterface", "ri-1"}, {"1.0.0.0/9", "VpnGateway", "vpn-1"},
		} {
			if chance(r, 25) {
				check(n.cloud.AddRoute(t, alicloud.RouteEntry{CIDR: netip.MustParsePrefix(e.cidr), HopType: alicloud.HopType(e.hop), HopID: e.id}))
			}
		}
		if chance(r, 10) && slices.Contains(n.tables, t) {
			check(n.cloud.AddRoute(t, toOld("203.0.112.0/20")))
		}
	}
	slices.Sort(n.tables)
	n.named = chance(r, 30)
}

// addWishes says what the gateway shall look like.
func (n *network) addWishes(r *rand.Rand, bandwidth int) {
	n.addresses = map[string]int{"main": bandwidth}
	for _, k := range []string{"second", "third"} {
		if chance(r, 30) {
			n.addresses[k] = 5
		}
	}
	if chance(r, 30) {
		n.pkg = bandwidth + 10
	}
	n.forwards = map[string]migration.Forward{}
	if chance(r, 30) {
		n.addresses["inbound"] = 5
		inside := netip.MustParseAddr("172.16.0.77")
		n.forwards["web"] = migration.Forward{Address: "inbound", ExternalPort: "443", InternalPort: "8443", InternalIP: inside, Protocol: "tcp"}
		if chance(r, 50) {
			n.forwards["dns"] = migration.Forward{Address: "inbound", ExternalPort: "53", InternalPort: "53", InternalIP: inside, Protocol: "udp"}
		}
	}
	n.snat.VSwitches, n.snat.Sources = nil, n.sources(r)
	if len(n.snat.HAVIPs) == 0 && len(n.snat.Sources) == 0 && chance(r, 30) {
		for _, v := range n.moved() {
			n.snat.VSwitches = append(n.snat.VSwitches, v.ID)
		}
	}
	switch {
	case len(n.snat.HAVIPs) > 0:
		n.otherSNAT = n.snat
	case len(n.snat.Sources) == 0:
		n.otherSNAT.Sources = allSources
	}
}

// allSources hold every vSwitch, and an HAVIP's with room around it: the cloud takes no entry for just that one.
var allSources = []string{"172.16.0.0/16", "192.168.0.0/16"}

// sources are source CIDRs: required around an HAVIP, otherwise now and then.
func (n *network) sources(r *rand.Rand) []string {
	switch {
	case len(n.snat.HAVIPs) > 0:
		return allSources
	case chance(r, 15):
		return allSources[:1]
	case chance(r, 15):
		return []string{"10.20.0.0/16"} // behind CEN
	}
	return nil
}

// moved are the vSwitches of the tables that move.
func (n *network) moved() []alicloud.VSwitch {
	var moved []alicloud.VSwitch
	for _, v := range n.vswitches {
		if slices.Contains(n.tables, v.RouteTableID) {
			moved = append(moved, v)
		}
	}
	return moved
}

// settings are what the owner changes in the configuration while the migration is under way.
type settings struct {
	stage   string
	declare bool // natGateway.declareSystemRoute
	release []netip.Prefix
}

// spec is what package migration makes of the configuration.
func (n *network) spec(s settings) migration.Spec {
	spec := migration.Spec{
		Stage: migration.Stage(s.stage), Old: n.old, Gateway: migration.GatewaySpec{Name: gatewayName, VSwitch: n.gateway},
		Addresses: n.addresses, Package: n.pkg, VSwitches: n.snat.VSwitches, HAVIPVSwitches: n.snat.HAVIPs, Forwards: n.forwards,
		Release: s.release, DeclareSystemDefault: s.declare,
	}
	for _, cidr := range n.snat.Sources {
		spec.Sources = append(spec.Sources, netip.MustParsePrefix(cidr))
	}
	if n.named {
		spec.Tables = n.tables
	}
	return spec
}

// block is the configuration key polynat:alicloud.
func (n *network) block(s settings) string {
	type object = map[string]any
	m := object{
		"stage": s.stage, "vpcId": n.vpc, "gateTimeoutSeconds": 0,
		"oldNextHop": object{"type": n.old.Type, "id": n.old.ID, "instances": n.old.Instances},
	}
	nat := object{"name": gatewayName, "vswitch": n.gateway}
	if s.declare {
		nat["declareSystemRoute"] = true
	}
	m["natGateway"] = nat
	addresses, forwards, snat := object{}, object{}, object{}
	for k, bandwidth := range n.addresses {
		addresses[k] = object{"bandwidth": bandwidth}
	}
	for k, f := range n.forwards {
		forwards[k] = object{
			"address": f.Address, "externalPort": f.ExternalPort, "internalPort": f.InternalPort,
			"internalIp": f.InternalIP.String(), "protocol": f.Protocol,
		}
	}
	m["addresses"] = addresses
	if n.pkg > 0 {
		m["bandwidthPackage"] = object{"bandwidth": n.pkg}
	}
	for key, list := range map[string][]string{"vswitches": n.snat.VSwitches, "sourceCidrs": n.snat.Sources, "havipVswitches": n.snat.HAVIPs} {
		if len(list) > 0 {
			snat[key] = list
		}
	}
	if len(snat) > 0 {
		m["snat"] = snat
	}
	if len(forwards) > 0 {
		m["forwards"] = forwards
	}
	if n.named {
		m["routeTables"] = n.tables
	}
	if len(s.release) > 0 {
		m["release"] = s.release
	}
	return string(must(json.Marshal(object{"migration": m})))
}

// String describes the network in one line.
func (n *network) String() string {
	return fmt.Sprintf("cloud %s/%s/%s, tables %v of %d, %d vSwitches, old %s, addresses %v, package %d, forwards %d, snat %+v, named %v",
		n.options.AutomaticRoute, n.options.DeleteNAT, n.options.CreateNATWithDefault, n.tables, len(n.cloud.RouteTables(n.vpc)),
		len(n.vswitches), n.old, n.addresses, n.pkg, len(n.forwards), n.snat, n.named)
}
