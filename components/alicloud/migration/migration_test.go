package migration_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	component "polynat/components/alicloud/migration"
	"polynat/internal/migration"
	"polynat/internal/sim/alicloud"
	"polynat/tests/recorder"
)

const (
	routeEntry  = "alicloud:vpc/routeEntry:RouteEntry"
	natGateway  = "alicloud:vpc/natGateway:NatGateway"
	snatEntry   = "alicloud:vpc/snatEntry:SnatEntry"
	association = "alicloud:ecs/eipAssociation:EipAssociation"
)

func TestEveryStageRegistersChildrenThatFollowTheRules(t *testing.T) {
	for _, stage := range migration.Stages() {
		t.Run(string(stage), func(t *testing.T) {
			made := newWorld(t).walk(before(stage)).move(before(stage), stage, recorder.Options{})
			made.Check(t)
			for _, o := range made.Objects {
				if o.Custom && !strings.HasPrefix(o.Type, "pulumi:providers:") {
					checkChild(t, o)
				}
			}
			if n := len(made.Named(component.StageTypeToken)); n != 1 {
				t.Errorf("%d markers of the stage, want 1", n)
			}
		})
	}
}

func checkChild(t *testing.T, o recorder.Object) {
	t.Helper()
	set := func(property string, want any) {
		t.Helper()
		if got := o.Inputs[property]; got != want {
			t.Errorf("%s: %s is %v, want %v", o.Name, property, got, want)
		}
	}
	if !strings.HasPrefix(o.Name, "egress-") {
		t.Errorf("%s: the name does not begin with the component's: two components would clash", o.Name)
	}
	switch o.Type {
	case routeEntry:
		set("name", nil)
		if o.Inputs["nexthopType"] == nil {
			t.Errorf("%s: has no nexthopType", o.Name)
		}
		if !slices.Contains(o.IgnoreChanges, "name") {
			t.Errorf("%s: does not ignore changes of the name", o.Name)
		}
	case natGateway:
		set("natType", "Enhanced")
		set("networkType", "internet")
		set("paymentType", "PayAsYouGo")
		set("internetChargeType", "PayByLcu")
	case association:
		set("instanceType", "Nat")
	}
}

// The golden file is the reference of what each stage declares on the way forward: names, what is taken over by which
// import id, what is protected, and what stays in the cloud when it is no longer declared.
func TestTheChildrenOfEveryStage(t *testing.T) {
	var text strings.Builder
	for _, stage := range migration.Stages() {
		fmt.Fprintf(&text, "%s\n", stage)
		for _, o := range newWorld(t).walk(before(stage)).move(before(stage), stage, recorder.Options{}).Objects {
			if o.Custom && o.Name != "alicloud" {
				text.WriteString("  " + describe(o) + "\n")
			}
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func describe(o recorder.Object) string {
	text := o.Name
	if o.ImportID != "" {
		text += " = " + o.ImportID
	}
	if o.Protect {
		text += ", protected"
	}
	if o.RetainOnDelete {
		text += ", stays"
	}
	return text
}

func TestAStageAgainTakesOverEverythingAndMakesNothing(t *testing.T) {
	for _, stage := range migration.Stages() {
		forward := newWorld(t).walk(before(stage)).move(before(stage), stage, recorder.Options{})
		again := newWorld(t).walk(stage).move(stage, stage, recorder.Options{})
		if diff := cmp.Diff(forward.URNs(), again.URNs()); diff != "" {
			t.Errorf("%s again (-first +again):\n%s", stage, diff)
		}
		for _, o := range again.Objects {
			if o.Custom && o.ImportID == "" && o.Name != "alicloud" {
				t.Errorf("%s again: %s exists and is not taken over", stage, o.Name)
			}
		}
	}
}

func TestExactlyWhatCarriesTrafficIsProtected(t *testing.T) {
	for _, from := range migration.Stages() {
		for _, to := range []migration.Stage{before(from), from} {
			if to == "" {
				continue
			}
			for _, o := range newWorld(t).walk(from).move(from, to, recorder.Options{}).Objects {
				first := migration.Switch
				switch {
				case strings.Contains(o.Name, "-nat-default-"):
					first = migration.SNAT // an update to switch must not be able to delete it
				case !o.Custom || o.Type == routeEntry || o.Name == "alicloud":
					first = "never"
				}
				if want := first != "never" && to.Index() >= first.Index(); o.Protect != want {
					t.Errorf("%s to %s: %s: protected %v, want %v", from, to, o.Name, o.Protect, want)
				}
				if flag, ok := o.Inputs["deletionProtection"]; ok && flag != o.Protect {
					t.Errorf("%s to %s: %s: deletion protection of the cloud is %v, that of the state %v", from, to, o.Name, flag, o.Protect)
				}
			}
		}
	}
}

func TestTheRoutesOfAnExistingNetworkOutliveTheStackWhereTheNextStepDoesNotDeleteThem(t *testing.T) {
	for _, stage := range migration.Stages() {
		for _, o := range newWorld(t).walk(before(stage)).move(before(stage), stage, recorder.Options{}).Objects {
			cover := strings.Contains(o.Name, "-cover-") && stage.Index() >= migration.Uncover.Index() && stage.Index() <= migration.Address.Index()
			if want := stage == migration.Adopt && o.Type == routeEntry || cover; o.RetainOnDelete != want {
				t.Errorf("%s: %s: stays when no longer declared: %v, want %v", stage, o.Name, o.RetainOnDelete, want)
			}
		}
	}
}

func TestSNATAndForwardsWaitForEveryAddressToBeBound(t *testing.T) {
	made := newWorld(t).walk(migration.Address).move(migration.Address, migration.SNAT, recorder.Options{})
	var bound []string
	for _, o := range made.Objects {
		if strings.Contains(o.Name, "-association-") || strings.Contains(o.Name, "-membership-") {
			bound = append(bound, o.URN)
		}
	}
	entries := 0
	for _, o := range made.Objects {
		if !strings.Contains(o.Name, "-snat-") && !strings.Contains(o.Name, "-forward-") {
			continue
		}
		entries++
		for _, urn := range bound {
			if !slices.Contains(o.Dependencies, urn) {
				t.Errorf("%s does not depend on %s: an address in use cannot be unbound, so the entry must go first", o.Name, urn)
			}
		}
	}
	if len(bound) != 6 || entries != 5 {
		t.Errorf("%d associations and memberships, %d entries; want 6 and 5", len(bound), entries)
	}
}

// One entry at a time is what the API takes.
func TestSNATEntriesAreMadeOneAfterTheOther(t *testing.T) {
	made := newWorld(t).walk(migration.Address).move(migration.Address, migration.SNAT, recorder.Options{}).Named(snatEntry)
	previous := ""
	for _, name := range []string{"egress-snat-vsw-a", "egress-snat-vsw-b", "egress-snat-vsw-c", "egress-snat-192.168.0.0-16"} {
		if previous != "" && !slices.Contains(made[name].Dependencies, made[previous].URN) {
			t.Errorf("%s does not wait for %s", name, previous)
		}
		previous = name
	}
}

func TestTheRoutesOfOneTableWaitForThoseOfTheTableBefore(t *testing.T) {
	made := newWorld(t).walk(migration.Adopt).move(migration.Adopt, migration.Cover, recorder.Options{}).Named(routeEntry)
	first, second := 0, 0
	isDefault := func(o recorder.Object) bool { return o.Inputs["destinationCidrblock"] == "0.0.0.0/0" }
	for _, o := range made {
		if o.Inputs["routeTableId"] != "vtb-workers" {
			first++
			continue
		}
		second++
		for _, other := range made {
			if other.Inputs["routeTableId"] == "vtb-system" && !isDefault(o) && !isDefault(other) && !slices.Contains(o.Dependencies, other.URN) {
				t.Errorf("%s does not wait for %s", o.Name, other.Name)
			}
		}
	}
	if first != 9 || second != 9 {
		t.Errorf("%d and %d routes, want 9 and 9", first, second)
	}
}

func TestTheMarkerDependsOnEverythingTheStageDeclares(t *testing.T) {
	for _, stage := range migration.Stages() {
		made := newWorld(t).walk(before(stage)).move(before(stage), stage, recorder.Options{})
		marker := made.Named(component.StageTypeToken)["egress-stage"]
		if marker.Inputs["stage"] != string(stage) {
			t.Errorf("%s: the marker says %v", stage, marker.Inputs["stage"])
		}
		for _, o := range made.Objects {
			if o.Custom && o.Name != "alicloud" && !slices.Contains(marker.Dependencies, o.URN) {
				// What outlives the stack at adopt may stop to only behind the gate of cover.
				if late := stage == migration.Cover && strings.Contains(o.Name, "-default-"); !late {
					t.Errorf("%s: the marker does not depend on %s", stage, o.Name)
				}
			}
		}
	}
}

func TestAPreviewRegistersTheSameNames(t *testing.T) {
	for _, stage := range migration.Stages() {
		w := newWorld(t).walk(before(stage))
		want, got := w.move(before(stage), stage, recorder.Options{}), w.move(before(stage), stage, recorder.Options{DryRun: true})
		if diff := cmp.Diff(want.URNs(), got.URNs()); diff != "" {
			t.Errorf("%s (-update +preview):\n%s", stage, diff)
		}
	}
}

func TestTheOrderOfTheArgsChangesNothing(t *testing.T) {
	for _, stage := range migration.Stages() {
		w := newWorld(t).walk(before(stage))
		args := newArgs(stage)
		args.Record = recordOf(before(stage))
		args.RouteTables = slices.Clone(tables)
		args.SNAT = component.SNAT{VSwitches: []string{"vsw-a", "vsw-b", "vsw-c"}, SourceCIDRs: []string{"192.168.0.0/16", "192.0.2.0/24"}}
		if stage == migration.Switch {
			args.Release = []string{"1.0.0.0/8", "2.0.0.0/7", "128.0.0.0/1"}
		}
		// The entry of the second CIDR is made late: that is no reason to refuse, but the gate of snat would have been shut.
		if stage.Index() > migration.SNAT.Index() {
			w.id(w.CreateSNATEntry(alicloud.SNATEntry{ID: "snat-doc", TableID: "stb-1", CIDR: prefix("192.0.2.0/24"), IPs: []string{w.ips["main"], w.ips["spare"]}}))
		}
		want, err := w.run(args, recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]string{args.RouteTables, args.SNAT.VSwitches, args.SNAT.SourceCIDRs, args.Release} {
			slices.Reverse(list)
		}
		args.Addresses, args.Forwards = maps.Clone(args.Addresses), maps.Clone(args.Forwards)
		got, err := w.run(args, recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		recorder.SameGraph(t, want, got)
	}
}

// A name made of an index would move to another thing when one goes: two replacements instead of one deletion.
func TestWithoutOneThingTheOthersKeepTheirNamesAndInputs(t *testing.T) {
	inputs := func(made *recorder.Recording) map[string]map[string]any {
		m := map[string]map[string]any{}
		for _, o := range made.Objects {
			m[o.URN] = o.Inputs
		}
		return m
	}
	whole := inputs(newWorld(t).walk(migration.Address).move(migration.Address, migration.SNAT, recorder.Options{}))
	for key, drop := range map[string]func(*component.Args){
		"egress-snat-192.168.0.0-16": func(a *component.Args) { a.SNAT.SourceCIDRs = nil },
		"-web|-forward-https":        func(a *component.Args) { a.Forwards, a.Addresses = nil, without(a.Addresses, "web") },
		"-membership-|-bandwidth":    func(a *component.Args) { a.BandwidthPackage = nil },
	} {
		w := newWorld(t).walk(migration.Address)
		args := newArgs(migration.SNAT)
		args.Record = recordOf(migration.Address)
		drop(args)
		made, err := w.run(args, recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		part, gone := inputs(made), regexp.MustCompile(key)
		for urn, in := range whole {
			if got, ok := part[urn]; ok {
				if diff := cmp.Diff(in, got); diff != "" {
					t.Errorf("without %s: %s changes:\n%s", key, urn, diff)
				}
			} else if !gone.MatchString(urn) {
				t.Errorf("without %s: %s is gone too", key, urn)
			}
		}
		if len(part) >= len(whole) {
			t.Errorf("without %s: nothing is gone", key)
		}
	}
}

func without[V any](m map[string]V, key string) map[string]V {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

func TestAFailureAtAnyRegistrationFailsTheUpdateAndLeavesTheStageUnrecorded(t *testing.T) {
	for _, stage := range migration.Stages() {
		w := newWorld(t).walk(before(stage))
		total := len(w.move(before(stage), stage, recorder.Options{}).Objects)
		args := newArgs(stage)
		args.Record = recordOf(before(stage))
		for n := 1; n <= total; n++ {
			made, err := w.run(args, recorder.Options{FailAt: n})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("registration %d ", n)) {
				t.Errorf("%s: registration %d of %d failed, error %v", stage, n, total, err)
			}
			last := total - 1
			if stage == migration.Cover {
				last -= 2 // the default routes come behind the marker; the stage resolves with them
			}
			if markers := len(made.Named(component.StageTypeToken)); n <= last && markers > 0 {
				t.Errorf("%s: registration %d of %d failed, but the stage was recorded", stage, n, total)
			}
		}
	}
}

func TestTheNextHopOfTheBlocksIsThatOfTheDefaultRoutes(t *testing.T) {
	for hop, prepare := range map[[2]string]func(*world){
		{"NetworkInterface", "eni-old"}: func(w *world) {
			w.id(w.AddENI(alicloud.Interface{ID: "eni-old", VPCID: "vpc-1", VSwitchID: "vsw-a", InstanceID: "i-old"}))
		},
		{"HaVip", "havip-old"}: func(w *world) {
			w.id(w.AddHAVIP(alicloud.HAVIP{ID: "havip-old", VPCID: "vpc-1", VSwitchID: "vsw-a", Instances: []string{"i-old"}}))
		},
	} {
		w := newWorld(t)
		prepare(w)
		for _, table := range tables {
			w.ok(w.DeleteRouteEntry(table, prefix("0.0.0.0/0"), "i-old"))
			w.ok(w.AddRoute(table, alicloud.RouteEntry{CIDR: prefix("0.0.0.0/0"), HopType: alicloud.HopType(hop[0]), HopID: hop[1]}))
		}
		args := newArgs(migration.Cover)
		args.Record = recordOf(migration.Adopt)
		args.OldNextHop = component.OldNextHop{Type: hop[0], ID: hop[1], Instances: []string{"i-old"}}
		if hop[0] == "HaVip" {
			args.SNAT = component.SNAT{HAVIPVSwitches: []string{"vsw-a"}, SourceCIDRs: []string{"10.0.0.0/16"}}
		}
		made, err := w.run(args, recorder.Options{})
		if err != nil {
			t.Fatalf("%v: %v", hop, err)
		}
		for _, o := range made.Named(routeEntry) {
			if o.Inputs["nexthopType"] != hop[0] || o.Inputs["nexthopId"] != hop[1] {
				t.Errorf("%v: %s goes to %v %v", hop, o.Name, o.Inputs["nexthopType"], o.Inputs["nexthopId"])
			}
		}
	}
}

func TestTheRouteOfTheSystemTableIsDeclaredOnlyOnRequest(t *testing.T) {
	for _, declare := range []bool{false, true} {
		args := newArgs(migration.Address)
		args.NATGateway.DeclareSystemRoute, args.Record = declare, recordOf(migration.Gateway)
		made, err := newWorld(t).walk(migration.Gateway).run(args, recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		o, ok := made.Named(routeEntry)["egress-nat-default-vtb-system"]
		if ok != declare {
			t.Errorf("requested %v, declared %v", declare, ok)
		}
		if want := "vtb-system:vrt-1:0.0.0.0/0:NatGateway:ngw-1"; ok && o.ImportID != want {
			t.Errorf("the automatic route is taken over by %q, want %q", o.ImportID, want)
		}
	}
}

func TestSeveralObjectsOfOneNameAreRefusedBeforeTheFirstRegistration(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"eip-1", "eip-2"} {
		w.id(w.AllocateEIP(alicloud.EIP{ID: id, Name: "egress-main"}))
	}
	for _, id := range []string{"ngw-1", "ngw-2"} {
		w.id(w.AddNATGateway(alicloud.NATGateway{ID: id, Name: "egress", VPCID: "vpc-1", VSwitchID: "vsw-a", SNATTableID: "stb-" + id}))
	}
	made, err := w.run(newArgs(migration.Adopt), recorder.Options{Held: map[string]any{
		"urn:pulumi:dev::polynat::alicloud:vpc/natGateway:NatGateway::mine": map[string]any{"outputs": map[string]any{"snatTableIds": "stb-ngw-2"}},
	}})
	want := `stage adopt is refused, nothing has been changed:
  - natGateway.name: egress: 2 NAT gateways of VPC vpc-1 have this name: ngw-1 (nothing uses it), ngw-2 (in this stack's state) (give ngw-1 another name, or delete it if nothing uses it)
  - addresses.main: egress-main: 2 elastic IPs have this name: eip-1 (nothing uses it), eip-2 (nothing uses it) (give all but one another name, or delete them; the next update takes over the one that is left)`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if len(made.Objects) > 1 {
		t.Errorf("%d objects are registered", len(made.Objects)-1)
	}
}

func TestALookupThatFailsIsNamed(t *testing.T) {
	w := newWorld(t)
	total := 0
	count := func(string, map[string]any) error { total++; return nil }
	if _, err := w.runWith(newArgs(migration.Adopt), count); err != nil {
		t.Fatal(err)
	}
	for n := range total {
		i := 0
		made, err := w.runWith(newArgs(migration.Adopt), func(string, map[string]any) error {
			if i++; i == n+1 {
				return fmt.Errorf("lookup %d fails", n)
			}
			return nil
		})
		if want := fmt.Sprintf("lookup %d fails", n); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "look up ") {
			t.Errorf("error %v, want one that names what was looked up and %q", err, want)
		}
		if len(made.Objects) > 1 {
			t.Errorf("lookup %d failed, but %d objects are registered", n, len(made.Objects)-1)
		}
	}
}
