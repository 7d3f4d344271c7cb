package stacks_test

import (
	"maps"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
	"polynat/internal/route"
	"polynat/internal/sim/alicloud"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// input is what the program gets to see.
type input struct {
	t      *testing.T
	config map[string]string
	last   map[string]any
	cloud  *alicloud.Cloud
}

func (in *input) set(path string, value any) { edit(in.t, in.config, path, value) }

func (in *input) ok(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

// from says which stage the stack has done, and brings the cloud to cover if that is the one.
func (in *input) from(done, to migration.Stage) {
	in.last = adopted(done)
	in.set("migration.stage", string(to))
	if done != migration.Adopt {
		in.each(func(table string) {
			for _, block := range route.Blocks() {
				in.ok(in.cloud.AddRoute(table, alicloud.RouteEntry{CIDR: block, HopID: "i-old"}))
			}
		})
	}
}

func (in *input) each(do func(table string)) {
	do("vtb-system")
	do("vtb-workers")
}

// list is a YAML list.
func list(values ...any) []any { return values }

type block = map[string]any

// badConfigs are stacks that are wrong in themselves; each begins as the dev environment.
var badConfigs = []struct {
	name   string
	change func(*input)
}{
	// Keys that do not exist.
	{"a misspelled setup", func(in *input) { in.config["polynat:alicluod"] = "{}" }},
	{"a provider's key that would have no effect", func(in *input) { in.config["alicloud:assumeRole"] = "{}" }},
	{"no region", func(in *input) { delete(in.config, "alicloud:region") }},
	{"a region that is none", func(in *input) { in.config["alicloud:region"] = "hangzhou" }},
	{"a zone for a region", func(in *input) { in.config["alicloud:region"] = "cn-hangzhou-i" }},
	{"vSwitches in no zone of the region", func(in *input) {
		in.set("network.vswitches.app-a.zone", "cn-beijing-h")
		in.set("network.vswitches.app-b.zone", "h")
	}},
	{"a misspelled block", func(in *input) { in.set("networks", block{"cidr": "10.0.0.0/8"}) }},
	{"a misspelled key of every block", func(in *input) {
		in.set("network.cdir", "10.0.0.0/8")
		in.set("network.vswitches.app-a.Zone", "cn-hangzhou-h")
		in.set("network.instance.image", "x")
		in.set("migration.stgae", "cover")
		in.set("migration.oldNextHop.kind", "Instance")
		in.set("migration.natGateway.vSwitch", "gateway")
		in.set("migration.addresses.main.bandwith", 5)
		in.set("migration.bandwidthPackage.size", 5)
		in.set("migration.snat.sourceCIDRs", list("10.0.0.0/8"))
		in.set("migration.forwards.web.port", "443")
	}},
	// Values of the wrong type.
	{"a text for the setup", func(in *input) { in.config[blockKey] = "adopt" }},
	{"a list for the setup", func(in *input) { in.config[blockKey] = "[1]" }},
	{"a wrong type of every kind", func(in *input) {
		in.set("network.instance.bandwidth", 1.5)
		in.set("network.routeTables", "workers")
		in.set("network.vswitches.app-a", "172.16.1.0/24")
		in.set("migration.stage", list("adopt"))
		in.set("migration.natGateway.declareSystemRoute", "yes")
		in.set("migration.addresses.main.bandwidth", "much")
		in.set("migration.routeQuota", true)
		in.set("migration.snat", list("app-a"))
		in.set("migration.release", list(block{"cidr": "1.0.0.0/8"}))
		in.set("tags", block{"team": list("network")})
	}},
	// Nothing where something should be.
	{"empty lists and blocks", func(in *input) {
		in.set("network.routeTables", list())
		in.set("migration.release", list())
		in.set("migration.snat", block{})
		in.set("migration.forwards", block{"web": nil})
		in.set("tags", block{})
	}},
	{"empty network and migration", func(in *input) { in.config[blockKey] = `{"network": {}, "migration": {}}` }},
	{"blocks without a value", func(in *input) { in.config[blockKey] = `{"network": null, "migration": null}` }},
	{"missing values", func(in *input) {
		in.set("network.vswitches.app-a", block{"cidr": "172.16.1.0/24"})
		in.set("network.instance", block{"vswitch": "gateway"})
		in.set("migration", block{"gateTimeoutSeconds": 1})
	}},
	{"missing values of an existing network", func(in *input) { in.config[blockKey] = `{"migration": {"stage": "adopt"}}` }},
	// Contradictions.
	{"a network to make and one to find", func(in *input) {
		in.set("migration.vpcId", "vpc-1")
		in.set("migration.oldNextHop", block{"type": "Instance", "id": "i-1"})
		in.set("migration.routeTables", list("vtb-1"))
	}},
	{"vSwitches that the network does not have", func(in *input) {
		in.set("migration.natGateway.vswitch", "app-c")
		in.set("migration.snat.vswitches", list("app-a", "app-d"))
		in.set("migration.snat.havipVswitches", list("app-e"))
	}},
	{"the migration is gone", func(in *input) {
		in.set("migration", nil)
		in.last = adopted(migration.Gateway)
	}},
	{"everything is gone", func(in *input) {
		delete(in.config, blockKey)
		in.last = adopted(migration.Switch)
	}},
	{"the network is gone", func(in *input) {
		in.config[blockKey] = `{"migration": {"stage": "cover", "vpcId": "vpc-7", "oldNextHop": {"type": "Instance", "id": "i-7"},
			"natGateway": {"vswitch": "vsw-7"}, "addresses": {"main": {"bandwidth": 100}}}}`
		in.last = adopted(migration.Adopt)
		in.last["alicloud"].(map[string]any)["network"] = map[string]any{"vpcId": "vpc-7"}
	}},
	{"a migrated table is gone", func(in *input) {
		in.set("network.routeTables", list("spare"))
		in.set("network.vswitches.app-b.routeTable", "spare")
		in.last = adopted(migration.Cover)
		last := in.last["alicloud"].(map[string]any)
		last["network"] = map[string]any{"vpcId": "vpc-7", "instanceId": "i-7", "routeTables": map[string]any{"workers": last["tables"].([]any)[0]}}
	}},
	{"a network to make while another is migrated", func(in *input) { in.last = adopted(migration.SNAT) }},
	// Values that break a rule.
	{"an unknown stage", func(in *input) { in.set("migration.stage", "covered") }},
	{"a first stage other than adopt", func(in *input) { in.set("migration.stage", "cover") }},
	{"CIDRs that are not canonical", func(in *input) {
		in.set("network.cidr", "172.16.0.1/16")
		in.set("network.vswitches.app-a.cidr", "172.16.1.7/24")
		in.set("migration.snat.sourceCidrs", list("10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "10.0.0.0/33"))
		in.set("migration.release", list("1.0.0.1/8"))
	}},
	{"CIDRs that overlap", func(in *input) {
		in.set("network.vswitches.app-a.cidr", "172.16.2.128/25")
		in.set("migration.snat.sourceCidrs", list("10.0.0.0/8", "10.1.0.0/16"))
		in.set("migration.release", list("1.0.0.0/8", "1.0.0.0/8"))
	}},
	{"a block that is none of the eight", func(in *input) { in.set("migration.release", list("0.0.0.0/8")) }},
	{"several problems of both blocks", func(in *input) {
		in.set("network.instance.vswitch", "none")
		in.set("network.vswitches.app-b.routeTable", "none")
		in.set("migration.stage", "begin")
		in.set("migration.addresses", block{"Main": block{"bandwidth": 0}})
	}},
}

// badMoves are moves that the lookups forbid; each begins as an existing network, adopted for the first time.
var badMoves = []struct {
	name   string
	change func(*input)
}{
	{"a VPC that is not there", func(in *input) { in.set("migration.vpcId", "vpc-2") }},
	{"a skipped stage", func(in *input) { in.from(migration.Adopt, migration.Uncover) }},
	{"a skipped stage on the way back", func(in *input) { in.from(migration.Uncover, migration.Adopt) }},
	{"a first stage other than adopt", func(in *input) { in.set("migration.stage", "cover") }},
	{"a stage that somebody has undone", func(in *input) {
		in.from(migration.Cover, migration.Uncover)
		in.ok(in.cloud.DeleteRouteEntry("vtb-workers", prefix("128.0.0.0/1"), "i-old"))
	}},
	{"an old next hop in another VPC", func(in *input) {
		id, err := in.cloud.AddVPC(alicloud.VPC{ID: "vpc-far", CIDR: prefix("10.9.0.0/16")})
		in.ok(err)
		_, err = in.cloud.AddVSwitch(alicloud.VSwitch{ID: "vsw-far", VPCID: id, ZoneID: "cn-hangzhou-i", CIDR: prefix("10.9.0.0/24")})
		in.ok(err)
		_, err = in.cloud.AddInstance(alicloud.Instance{ID: "i-far", VPCID: id, VSwitchID: "vsw-far"})
		in.ok(err)
		in.each(func(table string) {
			in.ok(in.cloud.DeleteRouteEntry(table, prefix("0.0.0.0/0"), "i-old"))
			in.ok(in.cloud.AddRoute(table, alicloud.RouteEntry{CIDR: prefix("0.0.0.0/0"), HopID: "i-far"}))
		})
		in.set("migration.oldNextHop.id", "i-far")
	}},
	{"an old next hop that does not exist", func(in *input) {
		in.set("migration.oldNextHop.id", "i-none")
		in.set("migration.routeTables", list("vtb-workers"))
	}},
	{"an old next hop that does not run", func(in *input) { in.ok(in.cloud.StopInstance("i-old")) }},
	{"an old next hop of another type", func(in *input) {
		in.set("migration.oldNextHop", block{"type": "NetworkInterface", "id": "i-old", "instances": list("i-old")})
	}},
	{"a table without default route", func(in *input) { in.set("migration.routeTables", list("vtb-workers", "vtb-empty")) }},
	{"a table of another VPC", func(in *input) { in.set("migration.routeTables", list("vtb-workers", "vtb-far")) }},
	{"a route that a block would hijack", func(in *input) {
		in.ok(in.cloud.AddRoute("vtb-workers", alicloud.RouteEntry{CIDR: prefix("0.0.0.0/2"), HopType: "VpnGateway", HopID: "vpn-1"}))
	}},
	{"a route where a block must stand", func(in *input) {
		in.ok(in.cloud.AddRoute("vtb-workers", alicloud.RouteEntry{CIDR: prefix("8.0.0.0/5"), HopType: "VpnGateway", HopID: "vpn-1"}))
	}},
	{"a table without room", func(in *input) { in.set("migration.routeQuota", 8) }},
	{"a vSwitch without SNAT", func(in *input) { in.set("migration.snat", block{"vswitches": list("vsw-a")}) }},
	{"a vSwitch with an HAVIP", func(in *input) { in.set("migration.snat", block{"havipVswitches": list("vsw-b")}) }},
	{"a vSwitch with an HAVIP, and just its CIDR", func(in *input) {
		in.set("migration.snat", block{"havipVswitches": list("vsw-b"), "sourceCidrs": list("10.0.1.0/24")})
	}},
	{"a source CIDR that overlaps a vSwitch", func(in *input) { in.set("migration.snat", block{"sourceCidrs": list("10.0.1.128/25")}) }},
	{"less bandwidth than the old gateway has", func(in *input) { in.set("migration.addresses.main.bandwidth", 99) }},
	{"less bandwidth in the package than the old gateway has", func(in *input) { in.set("migration.bandwidthPackage", block{"bandwidth": 50}) }},
	{"a zone without enhanced NAT", func(in *input) { in.set("migration.natGateway.vswitch", "vsw-b") }},
	{"a gateway in a vSwitch of nowhere", func(in *input) { in.set("migration.natGateway.vswitch", "vsw-c") }},
	{"another Internet NAT gateway", func(in *input) {
		_, err := in.cloud.AddNATGateway(alicloud.NATGateway{ID: "ngw-other", Name: "other", VPCID: "vpc-1", VSwitchID: "vsw-a"})
		in.ok(err)
	}},
	{"several problems at once", func(in *input) {
		in.ok(in.cloud.StopInstance("i-old"))
		in.set("migration.addresses.main.bandwidth", 10)
		in.set("migration.natGateway.vswitch", "vsw-b")
		in.ok(in.cloud.AddRoute("vtb-system", alicloud.RouteEntry{CIDR: prefix("0.0.0.0/2"), HopType: "VpnGateway", HopID: "vpn-1"}))
	}},
}

// The golden file holds every message in one place, to be read: field, value, rule, way out.
func TestBadInputIsRefusedBeforeAnythingIsRegistered(t *testing.T) {
	all := newRefusals(t, "alicloud")
	for _, c := range badConfigs {
		in := &input{t: t, config: maps.Clone(all.dev)}
		c.change(in)
		all.add(c.name, in.config, in.last, in.refused(c.name))
	}
	for _, c := range badMoves {
		in := &input{t: t}
		in.config, in.cloud = existing(t)
		c.change(in)
		all.add(c.name, in.config, in.last, in.refused(c.name))
	}
	all.golden("refusals", "mistakes")
}

// refused runs the program and returns what it says, the same in a preview.
func (in *input) refused(name string) string {
	in.t.Helper()
	var said [2]string
	for i, preview := range []bool{false, true} {
		made, err := in.run(preview)
		if err == nil {
			in.t.Errorf("%s: is not refused", name)
			continue
		}
		said[i] = err.Error()
		for _, o := range made.Objects {
			if o.Type != "pulumi:providers:alicloud" {
				in.t.Errorf("%s: %s is registered", name, o.URN)
			}
		}
	}
	if said[0] != said[1] {
		in.t.Errorf("%s: a preview says something else:\n%s\nthan the update:\n%s", name, said[1], said[0])
	}
	return said[0]
}

// run returns the error of the program itself, without what the SDK puts around it.
func (in *input) run(preview bool) (made *recorder.Recording, said error) {
	o := recorder.Options{Config: in.config, Last: in.last, DryRun: preview}
	if in.cloud != nil {
		o.Invoke = func(token string, args map[string]any) (map[string]any, error) {
			return in.cloud.Invoke(in.t.Context(), token, args)
		}
	}
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		said = stacks.Program(stacks.Setups(), recorder.Keys(in.config))(ctx)
		return said
	}, o)
	if (err == nil) != (said == nil) {
		in.t.Errorf("the program returned %v, the run %v", said, err)
	}
	return made, said
}
