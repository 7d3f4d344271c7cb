package rehearsal_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/rehearsal"
	"polynat/internal/sim"
	simaws "polynat/internal/sim/aws"
)

// object is a part of a configuration.
type object = map[string]any

// landed is a network that exists, with NAT gateways, as the configuration names it.
func landed() object {
	zone := func(letter, standby, address string, private ...any) object {
		return object{
			"public":       object{"id": "subnet-0aaaaaaaaaaaaaa0" + letter},
			"tables":       object{"app": object{"id": "rtb-0bbbbbbbbbbbbbb0" + letter, "subnets": private}},
			"standby":      object{"gatewayId": standby},
			"allocationId": address,
		}
	}
	return object{"nat": object{
		"vpc": object{"id": "vpc-0123456789abcdef0"},
		"zones": object{
			"eu-west-1a": zone("a", "nat-0ccccccccccccccca", "eipalloc-0dddddddddddddda", "subnet-0eeeeeeeeeeeeee1a", "subnet-0eeeeeeeeeeeeee2a"),
			"eu-west-1b": zone("b", "nat-0cccccccccccccccb", "eipalloc-0ddddddddddddddb", "subnet-0eeeeeeeeeeeeee1b"),
		},
		"standby": "existing", "adoptRoutes": true,
		"ingress":  object{"cidrs": []any{"10.0.0.0/8"}, "securityGroups": object{"app": "sg-0fffffffffffffff0"}},
		"instance": object{"types": []any{"c7gn.medium"}},
	}}
}

// found is a configuration that finds its network.
func found() object {
	return object{"discovery": object{"vpc": object{"name": "main"}}, "nat": object{"instance": object{"types": []any{"c7gn.medium"}}}}
}

func configured(t *testing.T, block object) map[string]string {
	t.Helper()
	text, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"aws:region": "eu-west-1", "polynat:aws": string(text)}
}

// walkAWS rehearses a configuration, with as many failures in each step.
func walkAWS(t *testing.T, config map[string]string, faults int, setup rehearsal.Setup) *rehearsal.Report {
	t.Helper()
	report, err := rehearsal.Run(t.Context(), rehearsal.Options{
		Project: "polynat", Stack: "prod", Config: config, Program: rehearsal.Polynat, Faults: faults > 0 && !race, MaxFaults: faults,
	}, setup)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func freshAWS(t *testing.T, config map[string]string) rehearsal.Setup {
	t.Helper()
	setup, ok, err := rehearsal.AWSSetup(config)
	if err != nil || !ok {
		t.Fatalf("there is nothing to rehearse: %v", err)
	}
	return setup
}

// well fails the test unless nothing was lost, and returns what is reached after each step.
func well(t *testing.T, report *rehearsal.Report) map[string]string {
	t.Helper()
	reached := map[string]string{}
	for _, s := range report.Setups[0].Steps {
		reached[s.Name] = s.Reaches
		if len(s.Problems) > 0 || s.Holes > 0 {
			t.Errorf("%s: %d subnets without a way out: %s", s.Name, s.Holes, strings.Join(s.Problems, "\n"))
		}
	}
	return reached
}

// printed is a report for people.
func printed(t *testing.T, report *rehearsal.Report) string {
	t.Helper()
	var text bytes.Buffer
	if err := report.Text(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// look runs lookups in the cloud of a setup and returns what they find.
func look(t *testing.T, setup rehearsal.Setup, program func(ctx *pulumi.Context, find func(name string, value any, err error))) map[string]any {
	t.Helper()
	stack, err := engine.New(engine.Options{
		Project: "look", Stack: "prod", Config: map[string]string{"aws:region": "eu-west-1"},
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": setup.World.Provider()},
		Program: func(ctx *pulumi.Context) error {
			program(ctx, func(name string, value any, err error) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				ctx.Export(name, pulumi.ToOutput(value))
			})
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if _, err := stack.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return stack.Outputs()
}

func TestANetworkWithNATGatewaysIsRehearsedFromTheTakeOverOn(t *testing.T) {
	config := configured(t, landed())
	setup := freshAWS(t, config)
	if got := setup.World.Losses().Reaches; got != "3 by nat gateway" {
		t.Errorf("before the stack subnets leave %q, want all by their gateways", got)
	}
	report := walkAWS(t, config, 3, setup)
	reached := well(t, report)
	for name, want := range map[string]string{"deploy": "3 by instance", "an instance dies": "by nat gateway", "destroy": "3 without a way out"} {
		if !strings.Contains(reached[name], want) {
			t.Errorf("%s: subnets leave %q, want %s", name, reached[name], want)
		}
	}
	if deploy := report.Setups[0].Steps[0]; deploy.Faults != 3 && !race {
		t.Errorf("%d operations of the take-over were made to fail, want 3", deploy.Faults)
	}
	for _, name := range []string{"add a zone", "remove zone eu-west-1a", "share the standby"} {
		if _, ok := reached[name]; ok {
			t.Errorf("%s: a network that exists keeps its zones and its gateways", name)
		}
	}
	text := printed(t, report)
	if want := " aws (stack prod): ok, except that step destroy takes the routes with it, and leaves 3 subnets without a way out"; !strings.HasSuffix(strings.Join(strings.Fields(text), " "), want) {
		t.Errorf("the report does not end with %q:\n%s", want, text)
	}
}

// The simulated cloud must not be kinder than AWS: what is wrong with the configuration of a network shows before it is deployed.
func TestATakeOverThatTheProgramRefusesIsRefusedInTheRehearsal(t *testing.T) {
	for name, test := range map[string]struct {
		change func(nat object)
		want   string
	}{
		"another standby": {func(nat object) {
			nat["standby"] = "perZone"
			for _, z := range nat["zones"].(object) {
				delete(z.(object), "standby")
			}
		}, "which no instance would take over: it is not the standby of the zone"},
		"one public subnet for two zones": {func(nat object) {
			nat["zones"].(object)["eu-west-1b"].(object)["public"].(object)["id"] = "subnet-0aaaaaaaaaaaaaa0a"
		}, "is the subnet of"},
	} {
		block := landed()
		test.change(block["nat"].(object))
		config := configured(t, block)
		report := walkAWS(t, config, 0, freshAWS(t, config))
		if steps := report.Setups[0].Steps; report.OK || len(steps) != 1 || !strings.Contains(strings.Join(steps[0].Problems, "\n"), test.want) {
			t.Errorf("%s: %+v, want %s", name, steps, test.want)
		}
		// A table of a step that did nothing would only say that nothing is reached.
		if text := printed(t, report); !strings.HasPrefix(text, "step deploy: ") || strings.Contains(text, "without a way out") || !strings.HasSuffix(text, "\n\naws (stack prod): FAILED: see above\n") {
			t.Errorf("%s: the report is\n%s", name, text)
		}
	}
}

func TestWhatTheConfigurationNamesIsInTheSimulatedAWS(t *testing.T) {
	block := landed()
	nat := block["nat"].(object)
	nat["zones"].(object)["eu-west-1a"].(object)["public"].(object)["cidr"] = "172.20.5.0/26"
	nat["zones"].(object)["eu-west-1b"].(object)["address"] = "172.20.9.77"
	got := look(t, freshAWS(t, configured(t, block)), func(ctx *pulumi.Context, find func(string, any, error)) {
		id := func(s string) *string { return &s }
		v, err := ec2.LookupVpc(ctx, &ec2.LookupVpcArgs{Id: id("vpc-0123456789abcdef0")})
		find("vpc", v.CidrBlock, err)
		for _, s := range []string{"subnet-0aaaaaaaaaaaaaa0a", "subnet-0aaaaaaaaaaaaaa0b", "subnet-0eeeeeeeeeeeeee1a", "subnet-0eeeeeeeeeeeeee2a", "subnet-0eeeeeeeeeeeeee1b"} {
			found, err := ec2.LookupSubnet(ctx, &ec2.LookupSubnetArgs{Id: &s})
			find(s, found.AvailabilityZone+" "+found.VpcId+" "+found.CidrBlock, err)
			table, err := ec2.LookupRouteTable(ctx, &ec2.LookupRouteTableArgs{SubnetId: &s})
			var routes []string
			for _, r := range table.Routes {
				routes = append(routes, r.CidrBlock+" "+strings.SplitN(r.GatewayId+r.NatGatewayId, "-", 2)[0])
			}
			find(s+" routes", strings.Join(routes, ", "), err)
		}
		for _, g := range []string{"nat-0ccccccccccccccca", "nat-0cccccccccccccccb"} {
			found, err := ec2.LookupNatGateway(ctx, &ec2.LookupNatGatewayArgs{Id: &g})
			find(g, found.SubnetId+" "+found.State, err)
		}
		for _, a := range []string{"eipalloc-0dddddddddddddda", "eipalloc-0ddddddddddddddb"} {
			_, err := ec2.GetElasticIp(ctx, &ec2.GetElasticIpArgs{Id: &a})
			find(a, true, err)
		}
	})
	const vpc, private = " vpc-0123456789abcdef0 ", "172.20.0.0/16 local, 0.0.0.0/0 nat"
	for name, want := range map[string]string{
		"vpc":                             "172.20.0.0/16",
		"subnet-0aaaaaaaaaaaaaa0a":        "eu-west-1a" + vpc + "172.20.5.0/26",
		"subnet-0aaaaaaaaaaaaaa0b":        "eu-west-1b" + vpc + "172.20.9.0/24",
		"subnet-0eeeeeeeeeeeeee1b":        "eu-west-1b" + vpc + "172.20.1.0/24",
		"subnet-0aaaaaaaaaaaaaa0a routes": "172.20.0.0/16 local, 0.0.0.0/0 igw",
		"subnet-0eeeeeeeeeeeeee2a routes": private,
		"subnet-0eeeeeeeeeeeeee1b routes": private,
		"nat-0cccccccccccccccb":           "subnet-0aaaaaaaaaaaaaa0b available",
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %s", name, got[name], want)
		}
	}
}

func TestEveryAddressThatIsMadeUpIsAnotherOne(t *testing.T) {
	for name, change := range map[string]func(zones object){
		"of gateways": func(object) {},
		"of more zones than a /24 has": func(zones object) {
			for n := range 150 {
				zones[fmt.Sprintf("zone-%03d", n)] = object{
					"allocationId": fmt.Sprintf("eipalloc-1%016x", n), "standby": object{"allocationId": fmt.Sprintf("eipalloc-2%016x", n)},
				}
			}
		},
	} {
		block := landed()
		zones := block["nat"].(object)["zones"].(object)
		change(zones)
		got := look(t, freshAWS(t, configured(t, block)), func(ctx *pulumi.Context, find func(string, any, error)) {
			for _, z := range zones {
				z, standby := z.(object), z.(object)["standby"].(object)
				for _, id := range []any{z["allocationId"], standby["allocationId"]} {
					if id, ok := id.(string); ok {
						found, err := ec2.GetElasticIp(ctx, &ec2.GetElasticIpArgs{Id: &id})
						find(id, found.PublicIp, err)
					}
				}
				if id, ok := standby["gatewayId"].(string); ok {
					found, err := ec2.LookupNatGateway(ctx, &ec2.LookupNatGatewayArgs{Id: &id})
					find(id, found.PublicIp, err)
				}
			}
		})
		holders := map[string]string{}
		for id, address := range got {
			address := fmt.Sprint(address)
			if a, err := netip.ParseAddr(address); err != nil || !netip.MustParsePrefix("198.18.0.0/15").Contains(a) {
				t.Errorf("%s: the address of %s is %q", name, id, address)
			}
			if other, ok := holders[address]; ok {
				t.Errorf("%s: %s and %s have %s", name, id, other, address)
			}
			holders[address] = id
		}
	}
}

func TestANetworkOfIdsIsRehearsedWithNAT64(t *testing.T) {
	block := landed()
	nat := block["nat"].(object)
	for _, key := range []string{"adoptRoutes", "standby", "ingress"} {
		delete(nat, key)
	}
	for _, z := range nat["zones"].(object) {
		delete(z.(object), "standby")
	}
	nat["nat64"] = true
	config := configured(t, block)
	setup := freshAWS(t, config)
	if got := setup.World.Losses().Reaches; got != "3 without a way out" {
		t.Errorf("before the stack subnets leave %q, want none to", got)
	}
	if got := well(t, walkAWS(t, config, 2, setup))["deploy"]; got != "3 by instance" {
		t.Errorf("deployed, subnets leave %q", got)
	}
}

func TestADiscoveredNetworkIsMadeUpAndTheReportSaysSo(t *testing.T) {
	for name, test := range map[string]struct {
		change func(block object)
		zones  string
		leave  string
	}{
		"by its name": {func(object) {}, "eu-west-1a, eu-west-1b, eu-west-1c", "3 by instance"},
		"by tags, in zones that are named": {func(b object) {
			b["discovery"] = object{
				"vpc": object{"tags": object{"stage": "prod"}}, "zones": []any{"eu-west-1b", "eu-west-1d"},
				"publicTags": object{"tier": "edge"}, "privateTags": object{"tier": "inner", "egress": ""},
			}
		}, "eu-west-1b, eu-west-1d", "2 by instance"},
		"with gateways to take over": {func(b object) {
			b["nat"].(object)["standby"], b["nat"].(object)["adoptRoutes"] = "existing", true
			b["nat"].(object)["zones"] = object{
				"eu-west-1a": object{"standby": object{"gatewayId": "nat-0ccccccccccccccca"}}, "eu-west-1b": object{"standby": object{"gatewayId": "nat-0cccccccccccccccb"}},
			}
		}, "eu-west-1a, eu-west-1b", "2 by instance"},
	} {
		t.Run(name, func(t *testing.T) {
			block := found()
			test.change(block)
			config := configured(t, block)
			setup := freshAWS(t, config)
			if name != "by its name" { // the rest of the walk is the same
				setup.Moves, setup.Variants = setup.Moves[:2], nil
			}
			report := walkAWS(t, config, 0, setup)
			if got := well(t, report)["deploy"]; got != test.leave {
				t.Errorf("subnets leave %q, want %s", got, test.leave)
			}
			text := printed(t, report)
			want := "discovery looks nothing up in a rehearsal: the VPC that it finds is made up, with a public and a private subnet in " + test.zones + " "
			if strings.Count(strings.Join(strings.Fields(text), " "), want) != 1 {
				t.Errorf("the report does not say %q:\n%s", want, text)
			}
		})
	}
}

func TestNamesThatAWSDoesNotKnowAreRefused(t *testing.T) {
	for _, test := range []struct {
		change func(nat object)
		want   string
	}{
		{func(nat object) { nat["vpc"].(object)["id"] = "main" }, `aws.nat.vpc.id: "main": is not the id of a VPC (write it as vpc-0123456789abcdef0)`},
		{func(nat object) { nat["zones"].(object)["eu-west-1a"].(object)["public"].(object)["id"] = "public-a" }, `aws.nat.zones.eu-west-1a.public: "public-a": is not the id of a subnet`},
		{func(nat object) {
			for _, z := range nat["zones"].(object) {
				z.(object)["public"].(object)["cidr"] = "10.0.0.0/24"
			}
		}, `aws.nat.zones.eu-west-1b.public.cidr: "10.0.0.0/24": overlaps 10.0.0.0/24 of aws.nat.zones.eu-west-1a.public`},
		{func(nat object) { nat["vpc"].(object)["cidrs"] = []any{"10.0.0.0/27"} }, `aws.nat.vpc.cidrs: "10.0.0.0/27": has no room for all subnets that are named`},
	} {
		block := landed()
		test.change(block["nat"].(object))
		if _, _, err := rehearsal.AWSSetup(configured(t, block)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// prebuilt are programs to deploy, of the configuration.
func prebuilt(t *testing.T) object {
	t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if _, err := z.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	programs := object{"natd": filepath.Join(t.TempDir(), "natd"), "failover": filepath.Join(t.TempDir(), "failover.zip")}
	for name, data := range map[string][]byte{"natd": []byte("natd"), "failover": archive.Bytes()} {
		if err := os.WriteFile(programs[name].(string), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return programs
}

// deployedAWS deploys a configuration in a cloud that holds what it names, and returns what `pulumi stack export` would print.
func deployedAWS(t *testing.T, config map[string]string) []byte {
	t.Helper()
	setup := freshAWS(t, config)
	defer setup.Close()
	return deployedIn(t, config, setup.World.Provider())
}

// deployedIn is what deployedAWS returns of a deployment in a cloud.
func deployedIn(t *testing.T, config map[string]string, cloud pulumirpc.ResourceProviderServer) []byte {
	t.Helper()
	stack, err := engine.New(engine.Options{
		Project: "polynat", Stack: "prod", Config: config, Program: rehearsal.Polynat(slices.Collect(maps.Keys(config))),
		Providers: map[string]pulumirpc.ResourceProviderServer{"aws": cloud},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if _, err := stack.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := stack.Export()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestADeployedStackOnAWSIsRehearsedFromWhereItStands(t *testing.T) {
	gatewayToOwn := func(b object) {
		b["nat"].(object)["standby"] = "perZone"
		for _, z := range b["nat"].(object)["zones"].(object) {
			delete(z.(object), "standby")
		}
	}
	withNAT64 := landed()
	withNAT64["nat"].(object)["nat64"] = true
	given := landed() // what is given by its id leaves the configuration then
	delete(given["nat"].(object), "adoptRoutes")
	delete(given["nat"].(object), "standby")
	given["nat"].(object)["instance"].(object)["securityGroups"] = []any{"sg-0fffffffffffffff1"}
	for zone, id := range map[string]string{"eu-west-1a": "eipalloc-0ddddddddddddd1a", "eu-west-1b": "eipalloc-0ddddddddddddd1b"} {
		given["nat"].(object)["zones"].(object)[zone].(object)["standby"] = object{"allocationId": id}
	}
	for name, test := range map[string]struct {
		block   object
		change  func(block object)
		deploys string // where subnets leave, before the change and after it
	}{
		"ids, with NAT64": {withNAT64, func(b object) { b["nat"].(object)["instance"].(object)["before"] = "true" }, "3 by instance"},
		"addresses and security groups that are given": {given, func(b object) {
			delete(b["nat"].(object), "ingress")
			delete(b["nat"].(object)["instance"].(object), "securityGroups")
			for _, z := range b["nat"].(object)["zones"].(object) {
				delete(z.(object), "standby")
				delete(z.(object), "allocationId")
			}
		}, "3 by instance"},
		"ids, with routes taken over": {landed(), gatewayToOwn, "3 by instance"},
		"discovery":                   {found(), func(b object) { b["nat"].(object)["instance"].(object)["types"] = []any{"c6gn.medium"} }, "3 by instance"},
		"a VPC of its own": {object{
			"vpc": object{"cidr": "10.0.0.0/16", "zones": object{"eu-west-1a": object{"public": "10.0.0.0/24", "private": object{"app": "10.0.1.0/24"}}}},
			"nat": object{"instance": object{"types": []any{"c7gn.medium"}}},
		}, func(b object) { b["nat"].(object)["instance"].(object)["before"] = "true" }, "1 by instance"},
	} {
		t.Run(name, func(t *testing.T) {
			programs := prebuilt(t)
			if test.block["nat"].(object)["artefacts"] = programs; name == "discovery" {
				programs["bucket"] = "agents-of-the-company"
			}
			export := deployedAWS(t, configured(t, test.block))
			for _, changed := range []bool{false, true} {
				if changed {
					test.change(test.block)
				}
				config := configured(t, test.block)
				setup, ok, err := rehearsal.AWSFromExport(config, "polynat", "prod", export)
				if err != nil || !ok {
					t.Fatalf("ok %v, error %v", ok, err)
				}
				if got := setup.World.Losses().Reaches; got != test.deploys {
					t.Errorf("the rehearsal begins with subnets that leave %q, want %s", got, test.deploys)
				}
				if !changed || name != "discovery" { // the rest of one walk is that of the others
					setup.Moves, setup.Variants = setup.Moves[:2], nil
				}
				report := walkAWS(t, config, 1, setup)
				reached := well(t, report)
				if first := report.Setups[0].Steps[0]; first.Name != "as configured" || (first.Operations > 0) != changed || !strings.HasSuffix(reached[first.Name], test.deploys) {
					t.Errorf("changed %v: %s did %d operations, then %s", changed, first.Name, first.Operations, first.Reaches)
				}
			}
		})
	}
}

// The provider's ids of some things are others than those that the simulated cloud makes up, accounts differ, and template versions
// grow. A rehearsal that took any of it for a change would tell of rotations that do not come.
func TestAnExportWithIdsAccountAndVersionsOfItsOwnChangesNothing(t *testing.T) {
	block := object{
		"vpc": object{"cidr": "10.0.0.0/16", "zones": object{"eu-west-1a": object{"public": "10.0.0.0/24", "private": object{"app": "10.0.1.0/24"}}}},
		"nat": object{"instance": object{"types": []any{"c7gn.medium"}}, "artefacts": prebuilt(t)},
	}
	config := configured(t, block)
	cloud := simaws.New(simaws.Options{Region: "eu-west-1", Account: "210987654321", AddressQuota: -1, NoThrottling: true})
	var export map[string]any
	if err := json.Unmarshal(deployedIn(t, config, sim.NewServer(simaws.Schema(), cloud)), &export); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, r := range export["deployment"].(object)["resources"].([]any) {
		r := r.(object)
		switch r["type"] {
		case "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/rolePolicy:RolePolicy", "aws:s3/bucketObjectv2:BucketObjectv2", "aws:lambda/permission:Permission":
			r["id"] = "other-" + r["id"].(string)
			changed++
		case "aws:ec2/launchTemplate:LaunchTemplate":
			r["outputs"].(object)["latestVersion"], r["outputs"].(object)["defaultVersion"] = 7, 7
			changed++
		case "aws:autoscaling/group:Group":
			for _, part := range []string{"inputs", "outputs"} {
				text, err := json.Marshal(r[part])
				if err != nil {
					t.Fatal(err)
				}
				var group object
				if err := json.Unmarshal(bytes.ReplaceAll(text, []byte(`"version":"1"`), []byte(`"version":"7"`)), &group); err != nil {
					t.Fatal(err)
				}
				r[part] = group
			}
			changed++
		}
	}
	if changed < 6 {
		t.Fatalf("only %d resources of the export were changed", changed)
	}
	text, err := json.Marshal(export)
	if err != nil {
		t.Fatal(err)
	}
	setup, ok, err := rehearsal.AWSFromExport(config, "polynat", "prod", text)
	if err != nil || !ok {
		t.Fatalf("ok %v, error %v", ok, err)
	}
	setup.Moves, setup.Variants = append(setup.Moves[:2], setup.Moves[len(setup.Moves)-1]), nil
	report := walkAWS(t, config, 0, setup)
	well(t, report)
	if first := report.Setups[0].Steps[0]; first.Operations > 0 {
		t.Errorf("%d operations, want none", first.Operations)
	}
}

func TestAnExportThatDoesNotSayWhereTheNATInstancesStandIsRefused(t *testing.T) {
	block := landed()
	block["nat"].(object)["artefacts"] = prebuilt(t)
	config := configured(t, block)
	export := deployedAWS(t, config)
	for _, test := range []struct{ old, changed, stack, want string }{
		{`"network":`, `"nothing":`, "prod", "does not say in which network the NAT instances stand (run `pulumi up` first, which records it)"},
		{"", "", "dev", "the export is not of stack dev"},
	} {
		_, _, err := rehearsal.AWSFromExport(config, "polynat", test.stack, bytes.ReplaceAll(export, []byte(test.old), []byte(test.changed)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
