package migration

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/route"
)

// situation is what Decide is asked about.
type situation struct {
	spec   Spec
	net    *network
	record *Record
}

// from is a network that stands complete at a stage, and a spec that wants to go to another.
func from(stage, to Stage) *situation {
	s := &situation{spec: newSpec(to), net: newNetwork()}
	if stage != "" {
		s.net, s.record = s.net.at(newSpec(stage))
	}
	return s
}

func (s *situation) decide() (*Plan, error) { return Decide(s.spec, &s.net.Survey, s.record) }

// edit changes the first entry of a table for a destination.
func (s *situation) edit(table string, cidr netip.Prefix, change func(*Route)) {
	t := s.net.table(table)
	change(&t.Routes[slices.IndexFunc(t.Routes, func(r Route) bool { return r.CIDR == cidr })])
}

func (s *situation) add(table, cidr string, hop Hop) {
	t := s.net.table(table)
	t.Routes = append(t.Routes, Route{CIDR: prefix(cidr), Hop: hop, Available: true})
}

func (s *situation) remove(table string, cidr netip.Prefix) {
	t := s.net.table(table)
	t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool { return r.CIDR == cidr })
}

// second puts another gateway of the name there. Which of the two the state holds is said of each.
func second(first, other bool) func(*situation) {
	return func(s *situation) {
		g := &s.net.Gateways[0]
		g.Held, g.Entries = first, len(s.net.SNATEntries)
		s.net.Gateways = append(s.net.Gateways, NATGateway{ID: "ngw-2", Name: g.Name, Held: other})
	}
}

// refusals has a row for every way that Decide can refuse.
var refusals = []struct {
	name     string
	from, to Stage
	change   func(*situation)
	want     Problem
}{
	{
		"a VPC that is not there", "", Adopt, func(s *situation) { s.net.VPC.ID = "" },
		Problem{Field: "vpcId", Value: "", Rule: "no VPC of that id was found in the region", WayOut: "check the id, the region and the account"},
	},
	{
		"a declared route to the gateway that is declared no more", SNAT, Switch, func(s *situation) { s.record.SystemDefault = true },
		Problem{Field: "natGateway.declareSystemRoute", Value: "false", Rule: "this stack declares the route, and would delete it", WayOut: "leave it true while the gateway is there"},
	},
	// What the record says.
	{
		"a record of a stage that does not exist", Cover, Cover, func(s *situation) { s.record.Stage = "covered" },
		Problem{Field: "record.stage", Value: "covered", Rule: "is not a stage", WayOut: "restore the stack's outputs from a backup of its state"},
	},
	{
		"a record without tables", Cover, Cover, func(s *situation) { s.record.Tables = nil },
		Problem{Field: "record.tables", Value: "", Rule: "the record of stage cover names no route table, all their routes would be deleted", WayOut: "restore the stack's outputs from a backup of its state"},
	},
	// What must stay what it was.
	{
		"another old next hop than the routes lead to", Uncover, Gateway, func(s *situation) { s.spec.Old.ID = "i-other" },
		Problem{Field: "oldNextHop", Value: "Instance i-other", Rule: "this stack's routes lead to Instance i-old", WayOut: "put that back: they carry the traffic"},
	},
	{
		"another name of the gateway", Address, SNAT, func(s *situation) { s.spec.Gateway.Name = "other" },
		Problem{Field: "natGateway.name", Value: "other", Rule: "no NAT gateway of this name is in the VPC, but stage address has been done with one", WayOut: "put its name back: it identifies the gateway"},
	},
	{
		"another vSwitch of the gateway", Address, SNAT, func(s *situation) {
			for i := range s.net.Gateways {
				s.net.Gateways[i].VSwitch = "vsw-b"
			}
		},
		Problem{Field: "natGateway.vswitch", Value: "vsw-a", Rule: "NAT gateway ngw-1 is in vSwitch vsw-b and cannot move", WayOut: "put that vSwitch back"},
	},
	// Which tables.
	{
		"tables that differ from the adopted ones", Cover, Uncover, func(s *situation) { s.spec.Tables = []string{system} },
		Problem{Field: "routeTables", Value: "[vtb-system]", Rule: "must stay the adopted [vtb-custom vtb-system]", WayOut: "go back to stage adopt to change them"},
	},
	{
		"no table with a default route to the old next hop", "", Adopt, func(s *situation) { s.spec.Old.ID = "i-other" },
		Problem{Field: "routeTables", Value: "", Rule: "no table of VPC vpc-1 has a 0.0.0.0/0 to Instance i-other", WayOut: "check oldNextHop, its type and id must be those of the entry"},
	},
	{
		"a table of another VPC", "", Adopt, func(s *situation) { s.spec.Tables = []string{"vtb-far"} },
		Problem{Field: "routeTables.vtb-far", Value: "", Rule: "is not a route table of VPC vpc-1", WayOut: "check the id; a table that has gone cannot be migrated"},
	},
	{
		"a table that has appeared since the adoption", Adopt, Cover, func(s *situation) { s.add(others, "0.0.0.0/0", old) },
		Problem{Field: "routeTables.vtb-others", Value: "", Rule: "also has a 0.0.0.0/0 to the old next hop, but was not adopted", WayOut: "run `pulumi up` at stage adopt again, or name the tables that move"},
	},
	// Which sources.
	{
		"a vSwitch of a migrated table that is not listed", "", Adopt, func(s *situation) { s.spec.VSwitches = []string{"vsw-a", "vsw-c"} },
		Problem{Field: "snat.vswitches", Value: "vsw-b", Rule: "uses a migrated table but has no SNAT entry, its hosts would be cut off at stage switch", WayOut: "list it, or a source CIDR that contains 10.0.1.0/24"},
	},
	{
		"a vSwitch with an HAVIP", "", Adopt, func(s *situation) { s.spec.HAVIPVSwitches = []string{"vsw-b"} },
		Problem{Field: "snat.vswitches", Value: "vsw-b", Rule: "holds an HAVIP, the API takes no SNAT entry for its vSwitch", WayOut: "put a CIDR that contains 10.0.1.0/24 and more into snat.sourceCidrs, such as the VPC's"},
	},
	{
		"a source CIDR that is just the vSwitch with an HAVIP", "", Adopt, func(s *situation) {
			s.spec.HAVIPVSwitches, s.spec.Sources = []string{"vsw-b"}, []netip.Prefix{prefix("10.0.1.0/24")}
		},
		Problem{Field: "snat.sourceCidrs", Value: "10.0.1.0/24", Rule: "is no more than vSwitch vsw-b (10.0.1.0/24), which holds an HAVIP: the API takes no SNAT entry for it", WayOut: "use a CIDR that contains it and more, such as the VPC's"},
	},
	{
		"a vSwitch of another VPC", "", Adopt, func(s *situation) { s.spec.VSwitches = []string{"vsw-a", "vsw-b", "vsw-c", "vsw-far"} },
		Problem{Field: "snat.vswitches", Value: "vsw-far", Rule: "is not a vSwitch of VPC vpc-1", WayOut: "remove it from the list"},
	},
	{
		"a vSwitch with an HAVIP of another VPC", "", Adopt, func(s *situation) { s.spec.HAVIPVSwitches = []string{"vsw-far"} },
		Problem{Field: "snat.havipVswitches", Value: "vsw-far", Rule: "is not a vSwitch of VPC vpc-1", WayOut: "remove it from the list"},
	},
	{
		"a source CIDR that overlaps a listed vSwitch", "", Adopt, func(s *situation) {
			s.spec.VSwitches, s.spec.Sources = []string{"vsw-a", "vsw-b", "vsw-c"}, []netip.Prefix{prefix("10.0.1.128/25")}
		},
		Problem{Field: "snat.sourceCidrs", Value: "10.0.1.128/25", Rule: "overlaps vSwitch vsw-b (10.0.1.0/24), which has an SNAT entry of its own", WayOut: "keep one of the two"},
	},
	{
		"a source CIDR that overlaps a vSwitch without covering it", "", Adopt, func(s *situation) { s.spec.Sources = []netip.Prefix{prefix("10.0.1.128/25")} },
		Problem{Field: "snat.sourceCidrs", Value: "10.0.1.128/25", Rule: "overlaps vSwitch vsw-b (10.0.1.0/24), which has an SNAT entry of its own", WayOut: "keep one of the two"},
	},
	{
		"a vSwitch with an SNAT entry that the lookup misses", SNAT, Switch, func(s *situation) { s.net.VSwitches = slices.Delete(s.net.VSwitches, 1, 2) },
		Problem{Field: "snat.vswitches", Value: "vsw-b", Rule: "has an SNAT entry, but the lookup does not find the vSwitch", WayOut: "if it is really gone, list the remaining ones in snat.vswitches"},
	},
	// What stands in the tables.
	{
		"two default routes", "", Adopt, func(s *situation) { s.add(custom, "0.0.0.0/0", old) },
		Problem{Field: "routeTables.vtb-custom", Value: "2 entries for 0.0.0.0/0", Rule: "there must be one default route", WayOut: "delete the others"},
	},
	{
		"a named table without default route", "", Adopt, func(s *situation) { s.spec.Tables = []string{system, others} },
		Problem{Field: "routeTables.vtb-others", Value: "", Rule: "has no 0.0.0.0/0 entry to adopt", WayOut: "leave the table out: it does not use the old gateway"},
	},
	{
		"a default route to somebody else", Cover, Uncover, func(s *situation) { s.edit(custom, everyone, func(r *Route) { r.Hop = vpn }) },
		Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/0 to VpnGateway vpn-1", Rule: "is neither the old next hop Instance i-old nor this stack's NAT gateway", WayOut: "correct oldNextHop, or leave the table out"},
	},
	{
		"an entry where a block must stand", "", Adopt, func(s *situation) { s.add(custom, "128.0.0.0/1", vpn) },
		Problem{Field: "routeTables.vtb-custom", Value: "128.0.0.0/1 to VpnGateway vpn-1", Rule: "stands where the block to the old next hop must be", WayOut: "split or delete it first"},
	},
	{
		"an entry that a block would hijack", "", Adopt, func(s *situation) { s.add(custom, "0.0.0.0/4", vpn) },
		Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/4 to VpnGateway vpn-1", Rule: "is shorter than 1.0.0.0/8, 2.0.0.0/7, 4.0.0.0/6, 8.0.0.0/5 to the old next hop, which would hijack its traffic", WayOut: "split it into entries of at least that length first"},
	},
	{
		"an entry that a block would hijack on the way back", Switch, SNAT, func(s *situation) { s.add(custom, "0.0.0.0/1", vpn) },
		Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/1 to VpnGateway vpn-1", Rule: "is shorter than 1.0.0.0/8, 2.0.0.0/7, 4.0.0.0/6, 8.0.0.0/5, 16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2 to the old next hop, which would hijack its traffic", WayOut: "split it into entries of at least that length first"},
	},
	{
		"a table without room for eight blocks, already at adopt", "", Adopt, func(s *situation) { s.spec.RouteQuota = 8 },
		Problem{Field: "routeTables.vtb-custom", Value: "1 of 8 entries are taken", Rule: "8 more do not fit", WayOut: "raise the quota with the vendor, then set routeQuota"},
	},
	{
		"a table without room for eight blocks on the way back", Switch, SNAT, func(s *situation) { s.spec.RouteQuota = 9 },
		Problem{Field: "routeTables.vtb-system", Value: "2 of 9 entries are taken", Rule: "8 more do not fit", WayOut: "raise the quota with the vendor, then set routeQuota"},
	},
	// The old next hop.
	{
		"an old next hop that is not found", "", Adopt, func(s *situation) { s.net.Old = OldState{} },
		Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "no instance behind the old next hop was found", WayOut: "name the one that the routes point at"},
	},
	{
		"an old next hop in another VPC", "", Adopt, func(s *situation) { s.net.Old.InVPC = false },
		Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "is not in VPC vpc-1", WayOut: "a route's next hop must be in the VPC of its table"},
	},
	{
		"an old next hop that does not run", Adopt, Cover, func(s *situation) { s.net.Old.Running, s.net.Old.Status = false, "Stopped" },
		Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "is Stopped, not Running", WayOut: "start it: it carries the traffic of the routes that point at it"},
	},
	{
		"an old next hop that does not run when it is to carry traffic again", Switch, SNAT, func(s *situation) { s.net.Old.Running, s.net.Old.Status = false, "Stopped" },
		Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "is Stopped, not Running", WayOut: "start it: it carries the traffic of the routes that point at it"},
	},
	{
		"an old next hop that does not run when a slice is taken back", Switch, Switch, func(s *situation) {
			s.net.Old.Running, s.net.Old.Status = false, "Stopped"
			s.spec.Release = route.Blocks()[:7]
		},
		Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "is Stopped, not Running", WayOut: "start it: it carries the traffic of the routes that point at it"},
	},
	// The gateway and its addresses.
	{
		"less bandwidth than the old gateway has", "", Adopt, func(s *situation) { s.net.Old.Bandwidth = 101 },
		Problem{Field: "addresses", Value: "100 Mbit/s", Rule: "is less than the 101 Mbit/s of the old gateway's address", WayOut: "raise the bandwidth of the addresses or of the bandwidth package"},
	},
	{
		"a bandwidth package with less than the old gateway has", "", Adopt, func(s *situation) { s.spec.Package = 99 },
		Problem{Field: "addresses", Value: "99 Mbit/s", Rule: "is less than the 100 Mbit/s of the old gateway's address", WayOut: "raise the bandwidth of the addresses or of the bandwidth package"},
	},
	{
		"a gateway of the name that another stack or nobody made", Gateway, Gateway, second(true, false),
		Problem{Field: "natGateway.name", Value: "egress", Rule: "2 NAT gateways of VPC vpc-1 have this name: ngw-1 (in this stack's state, 0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom), ngw-2 (nothing uses it)", WayOut: "give ngw-2 another name, or delete it if nothing uses it"},
	},
	{
		"two gateways of the name, the state lost", SNAT, SNAT, second(false, false),
		Problem{Field: "natGateway.name", Value: "egress", Rule: "2 NAT gateways of VPC vpc-1 have this name: ngw-1 (0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom, address main, 3 entries), ngw-2 (nothing uses it)", WayOut: "give ngw-2 another name, or delete it if nothing uses it; the next update takes over ngw-1"},
	},
	{
		"a gateway of the name that has the routes, under the blocks", Gateway, Gateway, second(false, true),
		Problem{Field: "natGateway.name", Value: "egress", Rule: "2 NAT gateways of VPC vpc-1 have this name: ngw-1 (0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom), ngw-2 (in this stack's state)", WayOut: "delete ngw-1, with 0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom: the blocks carry its traffic"},
	},
	{
		"a gateway of the name that has the traffic", Switch, Switch, second(false, true),
		Problem{Field: "natGateway.name", Value: "egress", Rule: "2 NAT gateways of VPC vpc-1 have this name: ngw-1 (0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom, address main, 3 entries), ngw-2 (in this stack's state)", WayOut: "lead 0.0.0.0/0 of vtb-system, 0.0.0.0/0 of vtb-custom to ngw-2, then give ngw-1 another name"},
	},
	{
		"two gateways of the name that nobody knows", Uncover, Gateway, func(s *situation) {
			s.net.Gateways = []NATGateway{{ID: "ngw-1", Name: "egress"}, {ID: "ngw-2", Name: "egress"}}
		},
		Problem{Field: "natGateway.name", Value: "egress", Rule: "2 NAT gateways of VPC vpc-1 have this name: ngw-1 (nothing uses it), ngw-2 (nothing uses it)", WayOut: "give all but one another name, or delete them; the next update takes over the one that is left"},
	},
	{
		"two addresses of a name", Address, SNAT, func(s *situation) {
			s.net.Namesakes = map[string][]ElasticIP{"main": {{ID: "eip-1", Name: "egress-main"}, {ID: "eip-2", Name: "egress-main", Instance: "ngw-1"}}}
		},
		Problem{Field: "addresses.main", Value: "egress-main", Rule: "2 elastic IPs have this name: eip-1 (nothing uses it), eip-2 (bound to ngw-1)", WayOut: "give eip-1 another name, or delete it if nothing uses it; the next update takes over eip-2"},
	},
	{
		"a gateway in a vSwitch of another VPC", "", Adopt, func(s *situation) { s.spec.Gateway.VSwitch = "vsw-far" },
		Problem{Field: "natGateway.vswitch", Value: "vsw-far", Rule: "is not a vSwitch of VPC vpc-1", WayOut: "choose one of the VPC"},
	},
	{
		"a gateway in a zone without enhanced NAT", "", Adopt, func(s *situation) { s.spec.Gateway.VSwitch = "vsw-b" },
		Problem{Field: "natGateway.vswitch", Value: "vsw-b", Rule: "is in zone zone-2, which has no enhanced NAT gateways", WayOut: "choose a vSwitch in one of zone-1, zone-3"},
	},
	{
		"a VPC that holds all the gateways that it may", "", Adopt, func(s *situation) { s.net.Gateways = make([]NATGateway, MaxGateways) },
		Problem{Field: "natGateway", Value: "5", Rule: "VPC vpc-1 holds the 5 NAT gateways that it may", WayOut: "delete one or raise the quota"},
	},
	{
		"another Internet NAT gateway in the VPC", "", Adopt, func(s *situation) {
			s.net.Gateways = []NATGateway{{ID: "ngw-9", Name: "other", Internet: true}}
		},
		Problem{Field: "natGateway", Value: "ngw-9", Rule: "another Internet NAT gateway is in the VPC; the cloud makes the automatic default route only for the first", WayOut: "set natGateway.declareSystemRoute to true"},
	},
	// SNAT.
	{
		"more sources than a gateway takes entries", "", Adopt, func(s *situation) {
			for i := range MaxSNATEntries - 2 {
				s.net.VSwitches = append(s.net.VSwitches, VSwitch{ID: fmt.Sprint("vsw-", i), Table: custom, CIDR: prefix(fmt.Sprintf("10.0.%d.0/24", 100+i))})
			}
		},
		Problem{Field: "snat", Value: "41 entries", Rule: "a NAT gateway takes 40", WayOut: "use source CIDRs that contain several vSwitches"},
	},
	{
		"an SNAT entry with other addresses", Switch, Switch, func(s *situation) { s.net.SNATEntries[1].IPs = []string{"203.0.113.9"} },
		Problem{Field: "addresses", Value: "[203.0.113.main]", Rule: "SNAT entry snat-vsw-b of vsw-b uses [203.0.113.9]; entries cannot change without a gap", WayOut: "go back to stage address to change addresses"},
	},
	{
		"an address more while SNAT entries carry traffic", Switch, Switch, func(s *situation) { s.spec.Addresses = map[string]int{"main": 100, "more": 50} },
		Problem{Field: "addresses.more", Value: "", Rule: "does not exist, but SNAT entry snat-vsw-a of vsw-a stands without it; entries cannot change without a gap", WayOut: "go back to stage address to change addresses"},
	},
	{
		"other sources while entries stand", Switch, Switch, func(s *situation) { s.spec.Sources = []netip.Prefix{prefix("10.0.2.0/24")} },
		Problem{Field: "snat", Value: "10.0.2.0/24", Rule: "overlaps 10.0.2.0/24 of SNAT entry snat-vsw-c; entries cannot change without a gap", WayOut: "put the sources back; to change them, go back to stage address first"},
	},
	// The move.
	{
		"a first stage other than adopt", "", Gateway, nil,
		Problem{Field: "stage", Value: "gateway", Rule: "this stack has not adopted the network yet", WayOut: "set stage to adopt first"},
	},
	{
		"a migration that another stack has begun", Cover, Adopt, func(s *situation) { s.record = nil },
		Problem{Field: "stage", Value: "adopt", Rule: "the network stands at cover, but this stack has no record of a migration", WayOut: "use the stack that began it, or restore its state; delete blocks to the old next hop that are your own, 0.0.0.0/0 carries their traffic"},
	},
	{
		"a block of somebody's own to the old next hop", "", Adopt, func(s *situation) { s.add(custom, "128.0.0.0/1", old) },
		Problem{Field: "stage", Value: "adopt", Rule: "the network stands between adopt and cover, but this stack has no record of a migration", WayOut: "use the stack that began it, or restore its state; delete blocks to the old next hop that are your own, 0.0.0.0/0 carries their traffic"},
	},
	{
		"a skipped stage", Adopt, Uncover, nil,
		Problem{Field: "stage", Value: "uncover", Rule: "a stage moves by one at a time and the last one done is adopt", WayOut: "set stage to adopt or cover"},
	},
	{
		"a skipped stage on the way back", Switch, Address, nil,
		Problem{Field: "stage", Value: "address", Rule: "a stage moves by one at a time and the last one done is switch", WayOut: "set stage to snat or switch or retire"},
	},
	{
		"lookups that contradict the record", Switch, Retire, func(s *situation) {
			for _, table := range []string{system, custom} {
				for _, b := range route.Blocks() {
					s.add(table, b.String(), old)
				}
			}
			s.net.SNATEntries = nil
		},
		Problem{Field: "stage", Value: "retire", Rule: "the last stage done is switch, but lookups show the network at address", WayOut: "undo what was changed outside this stack, or set stage to snat or switch or retire where that repairs it"},
	},
	{
		"lookups that show no stage at all", Uncover, Gateway, func(s *situation) { s.remove(custom, route.Blocks()[0]) },
		Problem{Field: "stage", Value: "gateway", Rule: "the last stage done is uncover, but lookups show the network outside every stage", WayOut: "undo what was changed outside this stack, or set stage to cover or uncover or gateway where that repairs it"},
	},
	{
		"a stage that is not complete", Cover, Uncover, func(s *situation) {
			s.edit(custom, prefix("4.0.0.0/6"), func(r *Route) { r.Available = false })
		},
		Problem{Field: "routeTables.vtb-custom", Value: "4.0.0.0/6", Rule: "is not Available yet, so stage cover is not complete", WayOut: "run `pulumi up` again in a moment"},
	},
	{
		"routes to the old gateway in another table at retire", Switch, Retire, func(s *situation) { s.add(others, "47.97.0.0/16", old) },
		Problem{Field: "routeTables.vtb-others", Value: "47.97.0.0/16", Rule: "still points at Instance i-old", WayOut: "release every block and move or delete other routes to it first"},
	},
	{
		"adopt again before the default routes are back", Cover, Adopt, func(s *situation) {
			s.edit(custom, everyone, func(r *Route) { r.Available = false })
		},
		Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/0", Rule: "is not Available yet", WayOut: "run `pulumi up` again in a moment"},
	},
	{
		"the gateway taken away before the blocks are back", SNAT, Address, func(s *situation) {
			s.edit(custom, prefix("128.0.0.0/1"), func(r *Route) { r.Available = false })
		},
		Problem{Field: "routeTables.vtb-custom", Value: "128.0.0.0/1", Rule: "is not Available yet", WayOut: "run `pulumi up` again in a moment"},
	},
}

func TestEveryRefusalNamesFieldValueRuleAndWayOut(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			s := from(r.from, r.to)
			if r.change != nil {
				if _, err := s.decide(); r.to.Index() <= r.from.Index()+1 && err != nil {
					t.Fatalf("is refused before the change already: %v", err)
				}
				r.change(s)
			}
			plan, err := s.decide()
			var refusal *Refusal
			if !errors.As(err, &refusal) || plan != nil {
				t.Fatalf("plan %v, error %v, want a refusal", plan, err)
			}
			if refusal.Stage != r.to || !slices.Contains(refusal.Problems, r.want) {
				t.Errorf("stage %s; problems lack the wanted one (-want +got):\n%s", refusal.Stage, cmp.Diff([]Problem{r.want}, refusal.Problems))
			}
			for _, part := range []string{"stage " + string(r.to) + " is refused, nothing has been changed", r.want.Field, r.want.Value, r.want.Rule, r.want.WayOut} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the text lacks %q:\n%v", part, err)
				}
			}
		})
	}
}

func TestARefusalNamesAllProblemsAtOnce(t *testing.T) {
	s := from("", Adopt)
	s.net.Old.Running, s.net.Old.Bandwidth = false, 500
	s.spec.Gateway.VSwitch = "vsw-b"
	s.add(system, "0.0.0.0/4", vpn)
	_, err := s.decide()
	for _, field := range []string{"oldNextHop.id", "addresses", "natGateway.vswitch", "routeTables.vtb-system"} {
		if err == nil || !strings.Contains(err.Error(), "\n  - "+field+": ") {
			t.Errorf("no problem of %s in:\n%v", field, err)
		}
	}
}

func TestAProblemNamesWhatItHas(t *testing.T) {
	for want, p := range map[string]Problem{
		"stage: is missing":                    {Field: "stage", Rule: "is missing"},
		"stage: x: is not a stage":             {Field: "stage", Value: "x", Rule: "is not a stage"},
		"stage: x: is not a stage (use adopt)": {Field: "stage", Value: "x", Rule: "is not a stage", WayOut: "use adopt"},
	} {
		if got := p.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestANetworkThatIsStillToBeMadeCanOnlyBeAdopted(t *testing.T) {
	spec := newSpec(Cover)
	_, err := Decide(spec, nil, nil)
	if want := "stage cover is refused, nothing has been changed:\n  - stage: cover: the network does not exist yet (deploy it with stage adopt first)"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	spec.Stage, spec.Tables = Adopt, []string{"workers", "system"}
	_, err = Decide(spec, nil, &Record{Stage: Uncover, Tables: []string{system}})
	if want := "stage adopt is refused, nothing has been changed:\n  - vpcId: is missing, but stage uncover of a network has been done (name that network: what the stack holds of it would be deleted)"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	plan, err := Decide(spec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []TablePlan{{"system", []RoutePlan{{CIDR: everyone}}}, {"workers", []RoutePlan{{CIDR: everyone}}}}
	if diff := cmp.Diff(want, plan.Tables, byValue); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Longer entries and those of the same block to the old next hop are no reason to refuse.
func TestEntriesThatKeepTheirTrafficAreLeftAlone(t *testing.T) {
	s := from("", Adopt)
	for _, cidr := range []string{"8.0.0.0/6", "47.0.0.0/8", "0.0.0.0/8"} {
		s.add(custom, cidr, vpn)
	}
	if _, err := s.decide(); err != nil {
		t.Fatal(err)
	}
	s.net, s.record = s.net.at(newSpec(SNAT))
	s.spec.Stage = Switch
	if _, err := s.decide(); err != nil {
		t.Error(err)
	}
	// Nothing is created at switch, so nothing is hijacked by it.
	s = from(SNAT, Switch)
	s.add(custom, "0.0.0.0/4", vpn)
	if _, err := s.decide(); err != nil {
		t.Error(err)
	}
}

func TestTheOldGatewayMayBeGoneOnceNothingDependsOnIt(t *testing.T) {
	for _, move := range [][2]Stage{{Gateway, Gateway}, {Gateway, Address}, {SNAT, Switch}, {Switch, Switch}, {Switch, Retire}, {Retire, Retire}, {Retire, Switch}} {
		s := from(move[0], move[1])
		s.net.Old = OldState{}
		if _, err := s.decide(); err != nil {
			t.Errorf("%s to %s: %v", move[0], move[1], err)
		}
	}
}

func TestARouteToTheGatewayIsMadeWithoutTheOldOne(t *testing.T) {
	s := from(Gateway, Gateway)
	s.remove(custom, everyone)
	s.net.Old = OldState{}
	if _, err := s.decide(); err != nil {
		t.Error(err)
	}
}

func TestAfterTheSwitchTheBandwidthMayBeLessThanTheOldGatewayHad(t *testing.T) {
	s := from(Switch, Switch)
	s.net.Old.Bandwidth = 500
	if _, err := s.decide(); err != nil {
		t.Error(err)
	}
}

func TestTheAdoptedTablesAreKept(t *testing.T) {
	both := []string{custom, system}
	for _, c := range []struct {
		name     string
		from, to Stage
		named    []string
		lose     bool // the lookup no longer shows a default route in the custom table
		want     []string
	}{
		{"found at adopt", "", Adopt, nil, false, both},
		{"named at adopt", "", Adopt, []string{custom}, false, []string{custom}},
		{"chosen anew at adopt", Adopt, Adopt, []string{custom}, false, []string{custom}},
		{"found anew at adopt", Adopt, Adopt, nil, true, []string{system}},
		{"kept at cover", Cover, Cover, nil, false, both},
		{"kept in the order of their ids", Cover, Cover, []string{system, custom}, false, both},
		{"kept on the way back to adopt", Cover, Adopt, nil, false, both},
		{"kept when lookups find no default route any more", Uncover, Uncover, nil, true, both},
		{"kept at retire", Retire, Retire, nil, false, both},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := from(c.from, c.to)
			if s.spec.Tables = c.named; c.lose {
				s.remove(custom, everyone)
			}
			plan, err := s.decide()
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.TableIDs(); !slices.Equal(got, c.want) {
				t.Errorf("tables %v, want %v", got, c.want)
			}
		})
	}
}

func TestNoAdoptedTableIsLostWithItsDefaultRoute(t *testing.T) {
	// At stage cover a missing default route is repaired and not a reason to forget the table.
	s := from(Cover, Cover)
	s.remove(custom, everyone)
	plan, err := s.decide()
	if err != nil {
		t.Fatal(err)
	}
	if r := plan.Tables[0]; r.ID != custom || r.Routes[0] != (RoutePlan{CIDR: everyone}) {
		t.Errorf("%+v", r)
	}
}

func TestSourcesAreVSwitchesOfMigratedTablesAndCIDRs(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Spec)
		want   []string
	}{
		{"every vSwitch of a migrated table", func(*Spec) {}, []string{"vsw-a", "vsw-b", "vsw-c"}},
		{"only of named tables", func(s *Spec) { s.Tables = []string{custom} }, []string{"vsw-c"}},
		{"a CIDR stands for the vSwitches that it contains", func(s *Spec) { s.Sources = []netip.Prefix{prefix("10.0.0.0/23")} }, []string{"vsw-c", "10.0.0.0/23"}},
		{"CIDRs outside every vSwitch come last, by their text", func(s *Spec) { s.Sources = []netip.Prefix{prefix("192.168.0.0/16"), prefix("10.9.0.0/16")} }, []string{"vsw-a", "vsw-b", "vsw-c", "10.9.0.0/16", "192.168.0.0/16"}},
		{"a vSwitch with an HAVIP by a CIDR that contains more", func(s *Spec) {
			s.HAVIPVSwitches, s.Sources = []string{"vsw-a"}, []netip.Prefix{prefix("10.0.0.0/23")}
		}, []string{"vsw-c", "10.0.0.0/23"}},
		{"a listed vSwitch of a table that stays", func(s *Spec) { s.VSwitches = []string{"vsw-a", "vsw-b", "vsw-c", "vsw-o"} }, []string{"vsw-a", "vsw-b", "vsw-c", "vsw-o"}},
		{"a listed vSwitch, and the others by CIDR", func(s *Spec) {
			s.VSwitches, s.Sources = []string{"vsw-c"}, []netip.Prefix{prefix("10.0.0.0/23")}
		}, []string{"vsw-c", "10.0.0.0/23"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := from("", Adopt)
			c.change(&s.spec)
			plan, err := s.decide()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, source := range plan.sources {
				got = append(got, source.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromEveryStageOnlyItsNeighborsAndItselfAreAccepted(t *testing.T) {
	for _, was := range append([]Stage{""}, stages...) {
		for _, to := range stages {
			s := from(was, to)
			_, err := s.decide()
			legal := to.Index() >= was.Index()-1 && to.Index() <= was.Index()+1
			if was == "" {
				legal = to == Adopt
			}
			if legal != (err == nil) {
				t.Errorf("%q to %s: legal %v, error %v", was, to, legal, err)
			}
		}
	}
}
