package migration

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/route"
)

// rich is a spec that uses everything.
func rich(stage Stage) Spec {
	spec := newSpec(stage)
	spec.Addresses = map[string]int{"main": 60, "spare": 60, "web": 10}
	spec.Package = 200
	spec.Sources = []netip.Prefix{prefix("10.0.2.0/24"), prefix("192.168.0.0/16")}
	spec.Forwards = map[string]Forward{"https": {Address: "web", ExternalPort: "443", InternalPort: "8443", InternalIP: netip.MustParseAddr("10.0.0.9"), Protocol: "tcp"}}
	return spec
}

// short writes routes the way the table of the package comment does.
func short(t TablePlan) string {
	var parts []string
	blocks := 0
	for _, r := range t.Routes {
		switch {
		case r.ToNAT:
			parts = append(parts, "0/0 to NAT")
		case r.CIDR == everyone:
			parts = append(parts, "0/0 to old")
		default:
			if blocks++; blocks == 1 {
				parts = append(parts, "")
			}
			parts[len(parts)-1] = fmt.Sprint(blocks, " to old")
		}
	}
	return t.ID + ": " + strings.Join(parts, ", ")
}

func TestEveryStageDeclaresWhatTheTableOfThePackageSays(t *testing.T) {
	const beside0, beside1, beside2, beside3 = "", "; gateway", "; gateway, 3 addresses", "; gateway, 3 addresses, 4 snat, 1 forwards"
	for stage, want := range map[Stage]string{
		Adopt:   "vtb-custom: 0/0 to old; vtb-system: 0/0 to old" + beside0,
		Cover:   "vtb-custom: 0/0 to old, 8 to old; vtb-system: 0/0 to old, 8 to old" + beside0,
		Uncover: "vtb-custom: 8 to old; vtb-system: 8 to old" + beside0,
		Gateway: "vtb-custom: 8 to old, 0/0 to NAT; vtb-system: 8 to old" + beside1,
		Address: "vtb-custom: 8 to old, 0/0 to NAT; vtb-system: 8 to old" + beside2,
		SNAT:    "vtb-custom: 8 to old, 0/0 to NAT; vtb-system: 8 to old" + beside3,
		Switch:  "vtb-custom: 0/0 to NAT; vtb-system: " + beside3,
		Retire:  "vtb-custom: 0/0 to NAT; vtb-system: " + beside3,
	} {
		plan := planAt(t, rich(stage))
		var parts []string
		for _, table := range plan.Tables {
			parts = append(parts, short(table))
		}
		got := strings.Join(parts, "; ")
		if plan.Gateway != nil {
			got += "; gateway"
		}
		for what, n := range map[string]int{"addresses": len(plan.Addresses)} {
			if n > 0 {
				got += fmt.Sprintf(", %d %s", n, what)
			}
		}
		if len(plan.SNAT) > 0 {
			got += fmt.Sprintf(", %d snat, %d forwards", len(plan.SNAT), len(plan.Forwards))
		}
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", stage, got, want)
		}
		if plan.Protected() != (stage == Switch || stage == Retire) {
			t.Errorf("%s: protected %v", stage, plan.Protected())
		}
		if plan.ProtectsDefault() != (stage == SNAT || plan.Protected()) {
			t.Errorf("%s: the routes to the gateway are protected: %v", stage, plan.ProtectsDefault())
		}
		if plan.RetainsCovers() != (stage == Uncover || stage == Gateway || stage == Address) {
			t.Errorf("%s: the blocks outlive the stack: %v", stage, plan.RetainsCovers())
		}
	}
}

// planAt repeats a stage where it stands complete.
func planAt(t *testing.T, spec Spec) *Plan {
	t.Helper()
	net, record := newNetwork().at(spec)
	plan, err := Decide(spec, &net.Survey, record)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestTheSystemTableDeclaresItsDefaultRouteOnlyOnRequest(t *testing.T) {
	for _, declare := range []bool{false, true} {
		for _, stage := range []Stage{Uncover, Gateway, Switch} {
			spec := newSpec(stage)
			spec.DeclareSystemDefault = declare
			toNAT := 0
			for _, r := range planAt(t, spec).Tables[1].Routes {
				if r.ToNAT {
					toNAT++
				}
			}
			if want := map[bool]int{true: 1}[declare && stage != Uncover]; toNAT != want {
				t.Errorf("declareSystemRoute %v at %s: %d routes to the NAT gateway, want %d", declare, stage, toNAT, want)
			}
		}
	}
}

func TestTheSwitchKeepsTheBlocksThatAreNotReleased(t *testing.T) {
	spec := newSpec(Switch)
	for n := range len(route.Blocks()) + 1 {
		spec.Release = route.Blocks()[:n]
		kept := len(route.Blocks()) - n
		if n == 0 {
			kept = 0 // none named: all
		}
		for _, table := range planAt(t, spec).Tables {
			got := 0
			for _, r := range table.Routes {
				if !r.ToNAT {
					if got++; spec.releases(r.CIDR) {
						t.Errorf("%s is released and declared", r.CIDR)
					}
				}
			}
			if got != kept {
				t.Errorf("%d released: %s keeps %d blocks, want %d", n, table.ID, got, kept)
			}
		}
	}
}

func TestAPartlyReleasedSwitchMayGoOnOrBackButNotRetire(t *testing.T) {
	spec := newSpec(Switch)
	spec.Release = route.Blocks()[:3]
	for to, legal := range map[Stage]bool{SNAT: true, Switch: true, Retire: false} {
		for _, release := range [][]netip.Prefix{spec.Release, route.Blocks()[:5], route.Blocks()[:1], nil} {
			net, record := newNetwork().at(spec)
			next := newSpec(to)
			next.Release = release
			if _, err := Decide(next, &net.Survey, record); legal != (err == nil) {
				t.Errorf("to %s with %d blocks released: legal %v, error %v", to, len(release), legal, err)
			}
		}
	}
}

func TestWhatExistsIsTakenOverByItsImportID(t *testing.T) {
	plan := planAt(t, rich(SNAT))
	for want, got := range map[string]string{
		"vtb-custom:vrt-1:1.0.0.0/8:Instance:i-old":   plan.Tables[0].Routes[0].ImportID,
		"vtb-custom:vrt-1:128.0.0.0/1:Instance:i-old": plan.Tables[0].Routes[7].ImportID,
		"vtb-custom:vrt-1:0.0.0.0/0:NatGateway:ngw-1": plan.Tables[0].Routes[8].ImportID,
		"ngw-1":                  plan.Gateway.ImportID,
		"eip-main":               plan.Addresses[0].ImportID,
		"eip-main:ngw-1":         plan.Addresses[0].AssociationID,
		"cbwp-1:eip-main":        plan.Addresses[0].AttachmentID,
		"cbwp-1":                 plan.PackageID,
		"stb-1:snat-vsw-a":       plan.SNAT[0].ImportID,
		"stb-1:snat-vsw-b":       plan.SNAT[1].ImportID,
		"stb-1:snat-10.0.2.0/24": plan.SNAT[2].ImportID,
		"ftb-1:fwd-https":        plan.Forwards[0].ImportID,
	} {
		if got != want {
			t.Errorf("import id %q, want %q", got, want)
		}
	}
	if diff := cmp.Diff([]string{"vsw-a", "vsw-b"}, plan.VSwitches()); diff != "" {
		t.Errorf("vSwitches for the record (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"main", "spare"}, plan.SNATAddresses()); diff != "" {
		t.Errorf("addresses for SNAT (-want +got):\n%s", diff)
	}
}

func TestWhatDoesNotExistHasNoImportID(t *testing.T) {
	net, record := newNetwork().at(rich(Adopt))
	for _, stage := range []Stage{Cover, Uncover, Gateway, Address, SNAT} {
		spec := rich(stage)
		plan, err := Decide(spec, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		creates, _ := net.operations(plan)
		made := map[string]bool{}
		for _, op := range creates {
			made[op.kind+op.key+op.table+op.cidr.String()] = true
		}
		check := func(kind, key, table string, cidr netip.Prefix, importID string) {
			if made[kind+key+table+cidr.String()] != (importID == "") {
				t.Errorf("%s: %s %s%s %s: import id %q", stage, kind, key, table, cidr, importID)
			}
		}
		for _, table := range plan.Tables {
			for _, r := range table.Routes {
				check("route", "", table.ID, r.CIDR, r.ImportID)
			}
		}
		for _, a := range plan.Addresses {
			check("address", a.Key, "", netip.Prefix{}, a.ImportID)
			check("association", a.Key, "", netip.Prefix{}, a.AssociationID)
			check("membership", a.Key, "", netip.Prefix{}, a.AttachmentID)
		}
		for _, e := range plan.SNAT {
			check("snat", e.String(), "", netip.Prefix{}, e.ImportID)
		}
		for _, e := range plan.Forwards {
			check("forward", e.Key, "", netip.Prefix{}, e.ImportID)
		}
		net.carryOut(plan, spec)
		record = plan.record()
	}
}

func TestTheGateOpensWhenTheStageStandsCompleteAndNotBefore(t *testing.T) {
	for _, stage := range stages {
		spec := rich(stage)
		net, record := newNetwork().at(spec)
		plan, err := Decide(spec, &net.Survey, record)
		if err != nil {
			t.Fatal(err)
		}
		if unmet := plan.Unmet(&net.Survey); unmet != nil {
			t.Errorf("%s: the gate is shut: %v", stage, unmet)
		}
		for _, o := range plan.objects() {
			without := net.clone()
			without.do(operation{o, true}, spec)
			if len(plan.Unmet(&without.Survey)) == 0 {
				t.Errorf("%s: the gate opens without %s %s%s %s", stage, o.kind, o.key, o.table, o.cidr)
			}
		}
	}
}

func TestTheGateSaysWhatItWaitsFor(t *testing.T) {
	const again, moment = refreshAndRepeat, "run `pulumi up` again in a moment"
	for _, c := range []struct {
		name   string
		stage  Stage
		change func(*situation)
		want   Problem
	}{
		{"no default route", Adopt, func(s *situation) { s.remove(custom, everyone) },
			Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/0", Rule: "is not there by Instance i-old", WayOut: again}},
		{"a default route in the making", Adopt, func(s *situation) { s.edit(custom, everyone, func(r *Route) { r.Available = false }) },
			Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/0", Rule: "is not Available yet", WayOut: moment}},
		{"no block", Uncover, func(s *situation) { s.remove(system, prefix("16.0.0.0/4")) },
			Problem{Field: "routeTables.vtb-system", Value: "16.0.0.0/4", Rule: "is not there by Instance i-old", WayOut: again}},
		{"a block in the making", Cover, func(s *situation) { s.edit(system, prefix("16.0.0.0/4"), func(r *Route) { r.Available = false }) },
			Problem{Field: "routeTables.vtb-system", Value: "16.0.0.0/4", Rule: "is not Available yet", WayOut: moment}},
		{"an old gateway that stops while it is uncovered", Uncover, func(s *situation) { s.net.Old.Running, s.net.Old.Status = false, "Stopping" },
			Problem{Field: "oldNextHop.id", Value: "i-old", Rule: "is Stopping, not Running", WayOut: "start it: it carries the traffic of the routes that point at it"}},
		{"a gateway in the making", Gateway, func(s *situation) { s.net.Gateways[0].Available = false },
			Problem{Field: "natGateway", Value: "egress", Rule: "is not Available in the VPC", WayOut: again}},
		{"no automatic route", Gateway, func(s *situation) { s.remove(system, everyone) },
			Problem{Field: "routeTables.vtb-system", Value: "0.0.0.0/0", Rule: "is not Available by NAT gateway ngw-1", WayOut: "the cloud makes this entry by itself when the gateway is created; if it does not within minutes, set natGateway.declareSystemRoute to true at stage gateway"}},
		{"no declared route", Gateway, func(s *situation) { s.remove(custom, everyone) },
			Problem{Field: "routeTables.vtb-custom", Value: "0.0.0.0/0", Rule: "is not Available by NAT gateway ngw-1", WayOut: again}},
		{"no address", Address, func(s *situation) { delete(s.net.Addresses, "spare") },
			Problem{Field: "addresses.spare", Value: "", Rule: "does not exist", WayOut: again}},
		{"an address that is not bound", Address, func(s *situation) {
			s.net.Addresses["main"] = ElasticIP{ID: "eip-main", IP: "203.0.113.1", Package: "cbwp-1"}
		}, Problem{Field: "addresses.main", Value: "203.0.113.1", Rule: "is not in use by NAT gateway ngw-1", WayOut: again}},
		{"an address outside the package", Address, func(s *situation) {
			s.net.Addresses["main"] = ElasticIP{ID: "eip-main", IP: "203.0.113.1", Instance: nat.ID, InUse: true}
		}, Problem{Field: "addresses.main", Value: "203.0.113.1", Rule: "has not joined the bandwidth package", WayOut: again}},
		{"no SNAT entry", SNAT, func(s *situation) { s.net.SNATEntries = s.net.SNATEntries[1:] },
			Problem{Field: "snat.vsw-a", Value: "", Rule: "has no SNAT entry, its hosts would be cut off at stage switch", WayOut: again}},
		{"an SNAT entry in the making", SNAT, func(s *situation) { s.net.SNATEntries[2].Available = false },
			Problem{Field: "snat.10.0.2.0/24", Value: "snat-10.0.2.0/24", Rule: "is not Available yet", WayOut: moment}},
		{"an SNAT entry with half the addresses", SNAT, func(s *situation) { s.net.SNATEntries[0].IPs = []string{"203.0.113.main"} },
			Problem{Field: "snat.vsw-a", Value: "[203.0.113.main]", Rule: "must use exactly the addresses [203.0.113.main 203.0.113.spare]", WayOut: "go back to stage address before you change addresses"}},
		{"a vSwitch that has appeared", Switch, func(s *situation) {
			s.net.VSwitches = append(s.net.VSwitches, VSwitch{ID: "vsw-new", Table: custom, CIDR: prefix("10.0.9.0/24")})
		}, Problem{Field: "snat.vsw-new", Value: "10.0.9.0/24", Rule: "appeared since the update began and has no SNAT entry", WayOut: "run `pulumi up` again"}},
		{"no forward entry", SNAT, func(s *situation) { s.net.ForwardEntries = nil },
			Problem{Field: "forwards.https", Value: "", Rule: "is not Available in the forward table", WayOut: again}},
		{"a route to the old gateway at retire", Retire, func(s *situation) { s.add(others, "47.97.0.0/16", old) },
			Problem{Field: "routeTables.vtb-others", Value: "47.97.0.0/16", Rule: "still points at Instance i-old", WayOut: "release every block and move or delete other routes to it first"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &situation{spec: rich(c.stage)}
			s.net, s.record = newNetwork().at(s.spec)
			plan, err := s.decide()
			if err != nil {
				t.Fatal(err)
			}
			c.change(s)
			if diff := cmp.Diff([]Problem{c.want}, plan.Unmet(&s.net.Survey)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheGateOfAPartialSwitchLooksAtTheBlocksThatStay(t *testing.T) {
	spec := newSpec(Switch)
	spec.Release = []netip.Prefix{prefix("1.0.0.0/8")}
	s := &situation{spec: spec}
	s.net, s.record = newNetwork().at(spec)
	plan, err := s.decide()
	if err != nil {
		t.Fatal(err)
	}
	s.remove(custom, prefix("2.0.0.0/7"))
	if unmet := plan.Unmet(&s.net.Survey); len(unmet) != 1 || unmet[0].Value != "2.0.0.0/7" {
		t.Errorf("unmet: %v, want the block 2.0.0.0/7 only", unmet)
	}
}
