package vpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/vpc"
	"polynat/tests/recorder"
)

func newArgs() *vpc.Args {
	return &vpc.Args{
		CIDR: "10.0.0.0/16",
		Zones: map[string]vpc.Zone{
			"eu-west-1a": {Public: "10.0.0.0/24", Private: map[string]string{"app": "10.0.1.0/24", "data": "10.0.2.0/24"}},
			"eu-west-1b": {Public: "10.0.10.0/24", Private: map[string]string{"app": "10.0.11.0/24"}},
		},
		Tags: map[string]string{"team": "network"},
	}
}

func program(args *vpc.Args, then func(*vpc.VPC)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		mine := *args
		var err error
		if mine.Provider, err = aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")}); err != nil {
			return err
		}
		v, err := vpc.New(ctx, "dev", &mine)
		if err == nil && then != nil {
			then(v)
		}
		return err
	}
}

func run(t *testing.T, args *vpc.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args, nil), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheComponentFollowsTheRules(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	made.Check(t)
	preview := run(t, newArgs(), recorder.Options{DryRun: true})
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
	var text strings.Builder
	for _, o := range made.Objects {
		if strings.HasPrefix(o.Type, "aws:") {
			fmt.Fprintf(&text, "%s %s\n", o.Name, o.Type)
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func TestPrivateSubnetsHaveATableOfTheirOwnAndPublicOnesLeadToTheInternet(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	for name, want := range map[string]map[string]any{
		"dev-public-eu-west-1a-association":       {"subnetId": "dev-public-eu-west-1a.id", "routeTableId": "dev-public.id"},
		"dev-public-eu-west-1b-association":       {"subnetId": "dev-public-eu-west-1b.id", "routeTableId": "dev-public.id"},
		"dev-private-eu-west-1a-app-association":  {"subnetId": "dev-private-eu-west-1a-app.id", "routeTableId": "dev-private-eu-west-1a-app-table.id"},
		"dev-private-eu-west-1a-data-association": {"subnetId": "dev-private-eu-west-1a-data.id", "routeTableId": "dev-private-eu-west-1a-data-table.id"},
		"dev-private-eu-west-1b-app-association":  {"subnetId": "dev-private-eu-west-1b-app.id", "routeTableId": "dev-private-eu-west-1b-app-table.id"},
	} {
		if diff := cmp.Diff(want, made.Named("aws:ec2/routeTableAssociation:RouteTableAssociation")[name].Inputs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	routes := made.Named("aws:ec2/route:Route")
	want := map[string]any{"routeTableId": "dev-public.id", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "dev-internet.id"}
	if diff := cmp.Diff(want, routes["dev-public-default"].Inputs); diff != "" || len(routes) != 1 {
		t.Errorf("%d routes (-want +got):\n%s", len(routes), diff)
	}
}

func TestTheOutputsAreKeyedByZone(t *testing.T) {
	var public map[string]string
	var private, tables map[string]map[string]string
	_, err := recorder.Run(program(newArgs(), func(v *vpc.VPC) {
		v.PublicSubnets.ApplyT(func(m map[string]string) string { public = m; return "" })
		v.PrivateSubnets.ApplyT(func(m map[string]map[string]string) string { private = m; return "" })
		v.RouteTables.ApplyT(func(m map[string]map[string]string) string { tables = m; return "" })
	}), recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]string
	if diff := cmp.Diff([]any{
		m{"eu-west-1a": "dev-public-eu-west-1a.id", "eu-west-1b": "dev-public-eu-west-1b.id"},
		map[string]m{"eu-west-1a": {"app": "dev-private-eu-west-1a-app.id", "data": "dev-private-eu-west-1a-data.id"}, "eu-west-1b": {"app": "dev-private-eu-west-1b-app.id"}},
		map[string]m{"eu-west-1a": {"app": "dev-private-eu-west-1a-app-table.id", "data": "dev-private-eu-west-1a-data-table.id"}, "eu-west-1b": {"app": "dev-private-eu-west-1b-app-table.id"}},
	}, []any{public, private, tables}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRemovingTheFirstZoneTouchesOnlyIt(t *testing.T) {
	args := newArgs()
	before := run(t, args, recorder.Options{})
	delete(args.Zones, "eu-west-1a")
	run(t, args, recorder.Options{}).Keeps(t, before, 8) // three subnets, three associations, two tables
}

func TestAFailureAtAnyRegistrationFailsTheUpdate(t *testing.T) {
	recorder.FailsAnywhere(t, program(newArgs(), nil), recorder.Options{})
}

func TestWhatTheCloudWouldRefuseIsRefusedBefore(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*vpc.Args)
		want   string
	}{
		"no CIDR":     {func(a *vpc.Args) { a.CIDR = "" }, "cidr: is missing"},
		"host bits":   {func(a *vpc.Args) { a.CIDR = "10.0.0.1/16" }, "cidr: "},
		"a large VPC": {func(a *vpc.Args) { a.CIDR = "10.0.0.0/8" }, `cidr: "10.0.0.0/8": is not a size between /16 and /28`},
		"no zones":    {func(a *vpc.Args) { a.Zones = nil }, "zones: is missing"},
		"no subnets":  {func(a *vpc.Args) { a.Zones["eu-west-1b"] = vpc.Zone{} }, "zones.eu-west-1b.private: is missing"},
		"elsewhere":   {func(a *vpc.Args) { a.Zones["eu-west-1b"].Private["app"] = "10.1.0.0/24" }, "zones.eu-west-1b.private.app: \"10.1.0.0/24\": is not within 10.0.0.0/16"},
		"overlap":     {func(a *vpc.Args) { a.Zones["eu-west-1b"].Private["app"] = "10.0.0.0/20" }, "overlaps 10.0.0.0/24 of zones.eu-west-1a.public"},
		"a small one": {func(a *vpc.Args) { a.Zones["eu-west-1b"].Private["app"] = "10.0.99.0/29" }, "is not a size between /16 and /28"},
		"a bad key":   {func(a *vpc.Args) { a.Zones["eu-west-1b"].Private["App 1"] = "10.0.99.0/24" }, "cannot be part of a name"},
	} {
		args := newArgs()
		test.change(args)
		made, err := recorder.Run(program(args, nil), recorder.Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || len(made.Objects) > 1 {
			t.Errorf("%s: error %v, want %q; %d objects", name, err, test.want, len(made.Objects))
		}
	}
}
