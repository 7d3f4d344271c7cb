package snatinstance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/snatinstance"
	"polynat/tests/recorder"
)

const routeEntry = "alicloud:vpc/routeEntry:RouteEntry"

func newArgs() *snatinstance.Args {
	return &snatinstance.Args{
		CIDR: "10.0.0.0/16",
		VSwitches: map[string]snatinstance.VSwitch{
			"gateway": {Zone: "cn-hangzhou-h", CIDR: "10.0.0.0/24"},
			"app":     {Zone: "cn-hangzhou-h", CIDR: "10.0.1.0/24", RouteTable: "workers"},
			"data":    {Zone: "cn-hangzhou-i", CIDR: "10.0.2.0/24", RouteTable: "data"},
		},
		RouteTables: []string{"workers", "data"},
		Instance:    snatinstance.Instance{VSwitch: "gateway", Type: "ecs.c7.large", ImageID: "image", Bandwidth: 100},
		Tags:        map[string]string{"team": "network"},
	}
}

func program(args *snatinstance.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := sdk.NewProvider(ctx, "alicloud", &sdk.ProviderArgs{Region: pulumi.String("cn-hangzhou")})
		if err != nil {
			return err
		}
		mine := *args
		mine.Provider = provider
		_, err = snatinstance.New(ctx, "net", &mine)
		return err
	}
}

func run(t *testing.T, args *snatinstance.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// variants are the shapes that a network takes in its life.
var variants = map[string]func(*snatinstance.Args){
	"alone":            func(*snatinstance.Args) {},
	"under migration":  func(a *snatinstance.Args) { a.DefaultRoutesElsewhere = true },
	"retired":          func(a *snatinstance.Args) { a.DefaultRoutesElsewhere, a.Retired = true, true },
	"one system table": func(a *snatinstance.Args) { a.RouteTables, a.VSwitches = nil, only(a.VSwitches, "gateway") },
}

func only[V any](m map[string]V, key string) map[string]V { return map[string]V{key: m[key]} }

func TestEveryVariantFollowsTheRules(t *testing.T) {
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			args := newArgs()
			change(args)
			made := run(t, args, recorder.Options{})
			made.Check(t)
			for _, o := range made.Objects {
				if o.Protect || o.RetainOnDelete {
					t.Errorf("%s: is protected or stays: this network is to be thrown away", o.Name)
				}
				if o.Type == routeEntry {
					if o.Inputs["name"] != nil || !slices.Contains(o.IgnoreChanges, "name") {
						t.Errorf("%s: has a name, or changes of the name count", o.Name)
					}
					if o.Inputs["nexthopType"] != "Instance" {
						t.Errorf("%s: nexthopType is %v", o.Name, o.Inputs["nexthopType"])
					}
				}
			}
			preview := run(t, args, recorder.Options{DryRun: true})
			if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
				t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
			}
		})
	}
}

func TestTheChildrenOfEveryVariant(t *testing.T) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		args := newArgs()
		variants[name](args)
		fmt.Fprintf(&text, "%s\n", name)
		for _, o := range run(t, args, recorder.Options{}).Objects {
			if o.Custom && o.Name != "alicloud" {
				fmt.Fprintf(&text, "  %s %s\n", o.Name, o.Type)
			}
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func TestAMigrationTakesTheDefaultRoutesAndOnlyThem(t *testing.T) {
	args := newArgs()
	whole := run(t, args, recorder.Options{})
	args.DefaultRoutesElsewhere = true
	part := run(t, args, recorder.Options{})
	if n := len(whole.Named(routeEntry)); n != 3 {
		t.Errorf("%d default routes, want one for each of 3 tables", n)
	}
	missing := slices.DeleteFunc(whole.URNs(), func(urn string) bool { return slices.Contains(part.URNs(), urn) })
	for _, urn := range missing {
		if !strings.Contains(urn, routeEntry) {
			t.Errorf("%s is gone too", urn)
		}
	}
	if len(missing) != 3 || len(part.Named(routeEntry)) != 0 {
		t.Errorf("gone: %v", missing)
	}
}

func TestTheRetiredNetworkKeepsItsVPCTablesAndVSwitches(t *testing.T) {
	args := newArgs()
	args.DefaultRoutesElsewhere, args.Retired = true, true
	for _, o := range run(t, args, recorder.Options{}).Objects {
		for _, gone := range []string{"Instance", "SecurityGroup", "Eip", "RouteEntry"} {
			if o.Custom && strings.Contains(o.Type[strings.LastIndex(o.Type, ":"):], gone) {
				t.Errorf("%s %s is still declared", o.Type, o.Name)
			}
		}
	}
}

func TestTheDefaultRoutesWaitForTheInstanceToHaveItsAddress(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	bound := made.Named("alicloud:ecs/eipAssociation:EipAssociation")["net-association"]
	for _, o := range made.Named(routeEntry) {
		if !slices.Contains(o.Dependencies, bound.URN) {
			t.Errorf("%s does not wait for %s", o.Name, bound.Name)
		}
	}
}

func TestTheDefaultRoutesTakeOverTheNamesThatTheMigrationGaveThem(t *testing.T) {
	args := newArgs()
	args.DefaultRouteAliases = map[string][]pulumi.Alias{"workers": {{URN: pulumi.URN("urn:pulumi:dev::polynat::x$y::old-workers")}}}
	for name, o := range run(t, args, recorder.Options{}).Named(routeEntry) {
		var want []string
		if name == "net-default-workers" {
			want = []string{"urn:pulumi:dev::polynat::x$y::old-workers"}
		}
		if diff := cmp.Diff(want, o.Aliases); diff != "" {
			t.Errorf("%s: aliases (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheInstanceIsEncryptedAndLetsTheVPCInAndNobodyElse(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	instance := made.Named("alicloud:ecs/instance:Instance")["net-instance"]
	for property, want := range map[string]any{"systemDiskEncrypted": true, "httpTokens": "required", "userData": snatinstance.UserData("10.0.0.0/16")} {
		if instance.Inputs[property] != want {
			t.Errorf("%s is %v, want %v", property, instance.Inputs[property], want)
		}
	}
	rules := made.Named("alicloud:ecs/securityGroupRule:SecurityGroupRule")
	if rule := rules["net-ingress-vpc"]; len(rules) != 1 || rule.Inputs["type"] != "ingress" || rule.Inputs["cidrIp"] != "10.0.0.0/16" {
		t.Errorf("rules: %+v", rules)
	}
}

func TestTheUserDataForwardsAndMasqueradesTheVPC(t *testing.T) {
	recorder.GoldenText(t, "userdata", snatinstance.UserData("10.0.0.0/16"), "a running instance keeps its script; a new one gets this")
}

func TestTheOrderOfTheRouteTablesChangesNothing(t *testing.T) {
	args := newArgs()
	want := run(t, args, recorder.Options{})
	slices.Reverse(args.RouteTables)
	recorder.SameGraph(t, want, run(t, args, recorder.Options{}))
}

func TestWithoutOneVSwitchTheOthersKeepTheirNamesAndInputs(t *testing.T) {
	args := newArgs()
	before := run(t, args, recorder.Options{})
	delete(args.VSwitches, "app")
	run(t, args, recorder.Options{}).Keeps(t, before, 2) // the vSwitch and its attachment
}

func TestAFailureAtAnyRegistrationFailsTheUpdate(t *testing.T) {
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			args := newArgs()
			change(args)
			recorder.FailsAnywhere(t, program(args), recorder.Options{})
		})
	}
}

func TestEveryProblemOfTheArgsNamesFieldValueRuleAndWayOut(t *testing.T) {
	type args = snatinstance.Args
	vswitch := func(key string, v snatinstance.VSwitch) func(*args) {
		return func(a *args) { a.VSwitches[key] = v }
	}
	for _, c := range []struct {
		change func(*args)
		want   string
	}{
		{func(a *args) { a.CIDR = "10.0.0.1/16" }, `cidr: "10.0.0.1/16": has bits set behind its length of 16 (write 10.0.0.0/16)`},
		{func(a *args) { a.VSwitches = nil }, `vswitches: is missing (name at least one vSwitch)`},
		{vswitch("App", snatinstance.VSwitch{Zone: "z", CIDR: "10.0.9.0/24"}), `vswitches.App: "App": must be lower-case letters, digits and hyphens, at most 31, beginning with a letter (rename it)`},
		{vswitch("new", snatinstance.VSwitch{CIDR: "10.0.9.0/24"}), `vswitches.new.zone: is missing (give a zone of the region)`},
		{vswitch("new", snatinstance.VSwitch{Zone: "z"}), `vswitches.new.cidr: "": is not an IPv4 prefix (write address/length, like 10.0.0.0/8)`},
		{vswitch("new", snatinstance.VSwitch{Zone: "z", CIDR: "10.0.9.1/24"}), `vswitches.new.cidr: "10.0.9.1/24": has bits set behind its length of 24 (write 10.0.9.0/24)`},
		{vswitch("new", snatinstance.VSwitch{Zone: "z", CIDR: "10.1.0.0/24"}), `vswitches.new.cidr: "10.1.0.0/24": is not within the VPC's 10.0.0.0/16 (choose a CIDR within it)`},
		{vswitch("new", snatinstance.VSwitch{Zone: "z", CIDR: "10.0.1.128/25"}), `vswitches: "10.0.1.0/24": overlaps 10.0.1.128/25 (choose CIDRs that do not overlap)`},
		{vswitch("new", snatinstance.VSwitch{Zone: "z", CIDR: "10.0.9.0/24", RouteTable: "x"}), `vswitches.new.routeTable: "x": is not one of routeTables (add it there, or leave it out for the system table)`},
		{func(a *args) { a.RouteTables = append(a.RouteTables, "system") }, `routeTables: "system": must be a new key of lower-case letters, digits and hyphens, not "system" (rename it)`},
		{func(a *args) { a.RouteTables = append(a.RouteTables, "data") }, `routeTables: "data": must be a new key of lower-case letters, digits and hyphens, not "system" (rename it)`},
		{func(a *args) { a.Instance.VSwitch = "x" }, `instance.vswitch: "x": is not one of vswitches (use one of app, data, gateway)`},
		{func(a *args) { a.Instance.Type = "" }, `instance.type: is missing (choose one that the region offers)`},
		{func(a *args) { a.Instance.ImageID = "" }, `instance.imageId: is missing (choose one that the region offers)`},
		{func(a *args) { a.Instance.Bandwidth = 201 }, `instance.bandwidth: 201: must be 1 to 200 Mbit/s (the limit of one elastic IP)`},
	} {
		args := newArgs()
		c.change(args)
		if err := args.Validate(); err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+c.want+"\n") {
			t.Errorf("want %s, got:\n%v", c.want, err)
		}
		if made, err := recorder.Run(program(args), recorder.Options{}); err == nil || len(made.Objects) > 1 {
			t.Errorf("%s: error %v, %d objects registered", c.want, err, len(made.Objects)-1)
		}
	}
}

func TestWithoutProviderNothingIsRegistered(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		_, err := snatinstance.New(ctx, "net", newArgs())
		return err
	}, recorder.Options{})
	if want := "provider: is missing (make one with alicloud.NewProvider and a region)"; err == nil || !strings.Contains(err.Error(), want) || len(made.Objects) > 0 {
		t.Errorf("error %v, %d objects; want %s", err, len(made.Objects), want)
	}
}
