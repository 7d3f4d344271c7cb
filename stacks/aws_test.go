package stacks_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/stacks"
	"polynat/tests/recorder"
)

const awsKey = "polynat:aws"

// aw is a configuration of the setup that a test changes, beginning as the dev environment.
type aw struct {
	t      *testing.T
	block  map[string]any
	config map[string]string
	// found answers lookups of the network, beside those of the account.
	found func(token string, args map[string]any) (map[string]any, error)
}

func newAW(t *testing.T) *aw {
	t.Helper()
	a := &aw{t: t, config: setupConfig(t, "aws")}
	if err := json.Unmarshal([]byte(a.config[awsKey]), &a.block); err != nil {
		t.Fatal(err)
	}
	return a
}

// prebuild puts prebuilt programs into the block, so that no test of a stack builds any.
func prebuild(t *testing.T, config map[string]string) {
	t.Helper()
	if config[awsKey] == "" {
		return
	}
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	if _, err := archive.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	programs := block{"natd": filepath.Join(t.TempDir(), "natd"), "failover": filepath.Join(t.TempDir(), "failover.zip")}
	for path, data := range map[string][]byte{programs["natd"].(string): []byte("natd"), programs["failover"].(string): file.Bytes()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var whole map[string]any
	if err := json.Unmarshal([]byte(config[awsKey]), &whole); err != nil {
		t.Fatal(err)
	}
	if nat, ok := whole["nat"].(map[string]any); ok {
		nat["artefacts"] = programs
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	config[awsKey] = string(text)
}

// awsAccount answers what every run asks.
func awsAccount(token string, _ map[string]any) (map[string]any, error) {
	switch token {
	case "aws:index/getRegion:getRegion":
		return map[string]any{"name": "eu-west-1"}, nil
	case "aws:index/getCallerIdentity:getCallerIdentity":
		return map[string]any{"accountId": "123456789012"}, nil
	case "aws:index/getPartition:getPartition":
		return map[string]any{"partition": "aws", "dnsSuffix": "amazonaws.com"}, nil
	case "aws:index/getAvailabilityZones:getAvailabilityZones":
		return map[string]any{"names": list("eu-west-1a", "eu-west-1b", "eu-west-1c")}, nil
	case "aws:ec2/getRouteTable:getRouteTable":
		return map[string]any{"routes": list(block{"cidrBlock": "10.0.0.0/16", "gatewayId": "local"})}, nil
	}
	return nil, fmt.Errorf("%s: no lookup was expected", token)
}

// set changes the value at a path, "a.b.c"; nil deletes it. Blocks on the way are made.
func (a *aw) set(path string, value any) {
	keys := strings.Split(path, ".")
	parent := a.block
	for _, k := range keys[:len(keys)-1] {
		below, ok := parent[k].(map[string]any)
		if !ok {
			below = map[string]any{}
			parent[k] = below
		}
		parent = below
	}
	if last := keys[len(keys)-1]; value == nil {
		delete(parent, last)
	} else {
		parent[last] = value
	}
}

// existing makes the network one that exists already, in two zones.
func (a *aw) existing() {
	a.set("vpc", nil)
	a.set("nat.vpc", block{"id": "vpc-1", "cidrs": list("10.0.0.0/16")})
	for i, letter := range []string{"a", "b"} {
		a.set("nat.zones.eu-west-1"+letter, block{
			"public": block{"id": "subnet-public-" + letter, "cidr": fmt.Sprintf("10.0.%d.0/24", 16*i)},
			"tables": block{"app": block{"id": "rtb-" + letter, "subnets": list("subnet-app-" + letter)}},
		})
	}
}

// discovered has the network found: two zones as terraform-aws-vpc makes them.
func (a *aw) discovered() {
	a.set("vpc", nil)
	a.set("discovery.vpc.name", "main")
	a.found = func(token string, args map[string]any) (map[string]any, error) {
		id, _ := args["id"].(string)
		letter := id[max(0, len(id)-1):]
		switch token {
		case "aws:ec2/getVpc:getVpc":
			return block{"id": "vpc-1", "cidrBlock": "10.0.0.0/16"}, nil
		case "aws:ec2/getSubnets:getSubnets":
			return block{"ids": list("subnet-public-a", "subnet-public-b", "subnet-private-a", "subnet-private-b")}, nil
		case "aws:ec2/getSubnet:getSubnet":
			kind := strings.Split(id, "-")[1]
			return block{"id": id, "availabilityZone": "eu-west-1" + letter, "cidrBlock": fmt.Sprintf("10.0.%d.0/24", letter[0]), "tags": block{"Name": "main-" + kind + "-eu-west-1" + letter}}, nil
		case "aws:ec2/getRouteTables:getRouteTables":
			return block{"ids": list("rtb-public", "rtb-a", "rtb-b")}, nil
		case "aws:ec2/getRouteTable:getRouteTable":
			table := args["routeTableId"].(string)
			if table == "rtb-public" {
				return block{
					"associations": list(block{"subnetId": "subnet-public-a"}, block{"subnetId": "subnet-public-b"}),
					"routes":       list(block{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}),
				}, nil
			}
			return block{"associations": list(block{"subnetId": "subnet-private-" + table[len(table)-1:]})}, nil
		}
		return awsAccount(token, args)
	}
}

// run returns the error of the program itself.
func (a *aw) run(o recorder.Options) (made *recorder.Recording, said error) {
	a.t.Helper()
	text, err := json.Marshal(a.block)
	if err != nil {
		a.t.Fatal(err)
	}
	a.config[awsKey] = string(text)
	o.Config, o.Invoke = a.config, awsAccount
	if a.found != nil {
		o.Invoke = a.found
	}
	made, err = recorder.Run(func(ctx *pulumi.Context) error {
		said = stacks.Program(stacks.Setups(), recorder.Keys(a.config))(ctx)
		return said
	}, o)
	if (err == nil) != (said == nil) {
		a.t.Errorf("the program returned %v, the run %v", said, err)
	}
	return made, said
}

// awsVariants of the setup.
var awsVariants = []struct {
	name   string
	change func(*aw)
}{
	{"the dev environment", func(*aw) {}},
	{"a VPC alone", func(a *aw) {
		a.set("nat", nil)
		a.set("traffic", nil)
	}},
	{"a VPC that exists", (*aw).existing},
	{"a VPC that is found", (*aw).discovered},
	{"a standby in every zone, and everything else that can be said", func(a *aw) {
		a.set("nat.standby", nil)
		a.set("nat.sharedStandby", nil)
		a.set("nat.failover", block{"economy": true, "endpoints": list("ec2")})
		a.set("nat.observability.subscribers", list("oncall@example.com"))
		a.set("nat.rotation.window", block{"days": list("sunday"), "start": "03:00", "duration": "2h"})
		a.set("nat.destinations", list("198.51.100.0/24"))
		a.set("nat.ingress", block{"cidrs": list("10.0.0.0/16"), "securityGroups": block{"app": "sg-1"}})
		a.set("nat.instance", block{"cloudWatchAgent": true, "policies": list("arn:aws:iam::123456789012:policy/audit"), "types": list("t4g.small", "t4g.medium"), "market": "spot"})
		a.set("tags", block{"team": "network"})
	}},
	{"no standby, no alarms, no dashboard", func(a *aw) {
		a.set("nat.standby", "none")
		a.set("nat.sharedStandby", nil)
		a.set("nat.observability", block{"noAlarms": true, "noDashboard": true})
	}},
}

func TestEveryVariantOnAWSFollowsTheRules(t *testing.T) {
	var text strings.Builder
	for _, v := range awsVariants {
		a := newAW(t)
		v.change(a)
		made, err := a.run(recorder.Options{})
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		made.Check(t)
		preview, err := a.run(recorder.Options{DryRun: true})
		if err != nil {
			t.Fatalf("%s: preview: %v", v.name, err)
		}
		if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
			t.Errorf("%s: a preview registers other names (-update +preview):\n%s", v.name, diff)
		}
		fmt.Fprintf(&text, "%s\n  %s\n", v.name, strings.Join(made.URNs(), "\n  "))
	}
	recorder.GoldenText(t, "urns-aws", text.String(), "a URN that goes is a resource deleted in every stack, one that comes is created (a rename needs an alias)")
}

// badAWS are stacks that are wrong in themselves.
var badAWS = []struct {
	name   string
	change func(*aw)
}{
	{"a misspelled key of every block", func(a *aw) {
		a.set("vpc.cird", "10.0.0.0/16")
		a.set("vpc.zones.eu-west-1a.publik", "10.0.0.0/24")
		a.set("nat.zone", block{"eu-west-1a": block{}})
		a.set("nat.instance.type", "t4g.nano")
		a.set("nat.failover.detection.intervall", "1s")
		a.set("traffic.in", 5)
	}},
	{"several unknown keys of one block, and everything else that is wrong", func(a *aw) {
		a.set("nat.speed", 5)
		a.set("nat.fast", true)
		a.set("nat.onDelete", "retian")
		a.set("traffic.inGb", -5)
		a.config["polynat:awss"] = "{}"
		a.config["aws:regoin"] = "eu-west-1"
		a.config["aws:useFipsEndpoint"] = "maybe"
	}},
	{"a block that is not indented, and one that is too far", func(a *aw) {
		a.config["polynat:nat"] = "{}"
		a.set("instance", block{"types": list("t4g.small")})
		a.set("vpc.public", "10.0.0.0/24")
		a.set("nat.failover.detection.rotation", block{"off": true})
		a.set("nat.failover.standby", "none")
	}},
	{"values of the wrong type", func(a *aw) {
		a.set("nat.instance.types", "t4g.nano")
		a.set("nat.instance.volumeGiB", 8.5)
		a.set("nat.failover.detection.share", "third")
		a.set("traffic.inGb", list(1))
	}},
	{"times that are none", func(a *aw) {
		a.set("nat.rotation", block{"lifetime": "14", "window": block{"days": list("tag"), "start": "03:00", "duration": "two hours"}})
		a.set("nat.instance.launchHeartbeat", "10 m")
		a.set("nat.failover.healing.dwell", 5)
		a.set("nat.observability.metricInterval", "often")
	}},
	{"a VPC, a public and a private subnet that are none", func(a *aw) {
		a.set("vpc.cidr", "10.0.0.1/16")
		a.set("vpc.zones.eu-west-1a.public", "10.0.0.1/24")
		a.set("vpc.zones.eu-west-1b.public", nil)
		a.set("vpc.zones.eu-west-1b.private", nil)
	}},
	{"NAT64 in a VPC that is made", func(a *aw) {
		a.set("nat.nat64", true)
		a.set("nat.vpc.ipv6Cidr", "2001:db8::/56")
	}},
	{"a zone that the VPC does not have", func(a *aw) { a.set("nat.zones.eu-west-1c.slot", 3) }},
	{"the network said twice", func(a *aw) {
		a.set("nat.vpc", block{"id": "vpc-1", "cidrs": list("10.0.0.0/16")})
		a.set("nat.zones.eu-west-1a", block{"public": block{"id": "subnet-1"}, "tables": block{"app": block{"id": "rtb-1", "subnets": list("subnet-2")}}})
	}},
	{"a network made and found", func(a *aw) { a.set("discovery.vpc.id", "vpc-1") }},
	{"a network found twice", func(a *aw) {
		a.discovered()
		a.set("discovery.vpc.id", "vpc-1")
	}},
	{"a network found and named", func(a *aw) {
		a.discovered()
		a.set("nat.vpc.id", "vpc-1")
		a.set("nat.zones.eu-west-1a.public.id", "subnet-1")
	}},
	{"no network", func(a *aw) { a.set("vpc", nil) }},
	{"a network without use", func(a *aw) {
		a.discovered()
		a.set("nat", nil)
	}},
	{"subnets that cannot be", func(a *aw) {
		a.set("vpc.zones.eu-west-1a.private.app", "10.0.0.0/25")
		a.set("vpc.zones.eu-west-1b.private.app", "10.1.0.0/24")
	}},
	{"an address outside the public subnet that is made", func(a *aw) { a.set("nat.zones.eu-west-1a.address", "10.0.1.9") }},
	{"detection that rests on one round", func(a *aw) { a.set("nat.failover.detection", block{"failed": 1, "share": 1.5}) }},
	{"detection said twice", func(a *aw) { a.set("nat.failover", block{"economy": true, "detection": block{"interval": "1s"}}) }},
	{"a lifetime below a day", func(a *aw) { a.set("nat.rotation.lifetime", "12h") }},
	{"fewer addresses than zones", func(a *aw) { a.set("nat.zones.eu-west-1a.allocationId", "eipalloc-0123456789abcdef0") }},
	{"an ingress that lets nobody in", func(a *aw) { a.set("nat.ingress.securityGroups", block{}) }},
	{"tags that AWS does not take", func(a *aw) {
		a.set("tags", block{"AWS:team": "network", "cost,center": "7", "why": "R&D", "long": strings.Repeat("x", 257)})
	}},
	{"more tags than AWS takes", func(a *aw) {
		for i := range 48 {
			a.set(fmt.Sprint("tags.t", i), "1")
		}
	}},
	{"a tag that polynat sets", func(a *aw) { a.set("tags", block{"polynat:nat": "mine"}) }},
	{"keys that differ in case", func(a *aw) { a.set("tags", block{"team": "a", "Team": "b"}) }},
	{"default tags that AWS does not take", func(a *aw) {
		a.set("tags", block{"team": "network"})
		a.config["aws:defaultTags"] = `{"tags": {"aws:env": "dev", "Cost Center": "7", "team": "R&D", "polynat:zone": "mine"}}`
	}},
	{"more default tags than AWS takes", func(a *aw) {
		tags := block{}
		for i := range 48 {
			tags[fmt.Sprint("t", i)] = "1"
		}
		a.defaultTags(tags)
	}},
	{"more tags than AWS takes with the default ones", func(a *aw) {
		tags := block{}
		for i := range 40 {
			tags[fmt.Sprint("t", i)] = "1"
			a.set(fmt.Sprint("tags.s", i), "1")
		}
		a.defaultTags(tags)
	}},
	{"default tags that cannot be read", func(a *aw) { a.config["aws:defaultTags"] = `{"tags": {"env": 7}}` }},
	{"negative traffic", func(a *aw) { a.set("traffic.outGb", -1) }},
	{"no region", func(a *aw) { delete(a.config, "aws:region") }},
	{"a region that is none", func(a *aw) { a.config["aws:region"] = "eu-wset-1" }},
	{"a zone for a region", func(a *aw) { a.config["aws:region"] = "eu-west-1a" }},
	{"zones of another region", func(a *aw) {
		a.set("vpc.zones.us-east-1a", block{"public": "10.0.200.0/24", "private": block{"app": "10.0.201.0/24"}})
		a.set("nat.zones.us-east-1a.slot", 9)
		a.set("nat.standby", "shared")
		a.set("nat.sharedStandby.zone", "us-east-1a")
	}},
	{"a block nat without a network", func(a *aw) {
		a.set("vpc", nil)
		a.set("nat", block{})
	}},
	{"keys without a value, where leaving them out would be an error too", func(a *aw) {
		a.set("vpc", nil)
		a.set("discovery", block{"vpc": block{}})
		a.block["nat"] = nil
	}},
	{"a discovery of nothing", func(a *aw) {
		a.set("vpc", nil)
		a.set("discovery", block{})
	}},
	{"a provider's key that would have no effect", func(a *aw) { a.config["aws:s3UsePathStyle"] = "true" }},
	{"provider's keys that cannot be read", func(a *aw) {
		a.config["aws:allowedAccountIds"] = "123456789012"
		a.config["aws:assumeRole"] = `{"role": "x"}`
		a.config["aws:useFipsEndpoint"] = "maybe"
	}},
}

func TestBadInputForAWSIsRefusedBeforeAnythingIsRegistered(t *testing.T) {
	all := newRefusals(t, "aws")
	for _, c := range badAWS {
		var said [2]string
		var config map[string]string
		for i, preview := range []bool{false, true} {
			a := newAW(t)
			c.change(a)
			made, err := a.run(recorder.Options{DryRun: preview})
			if err == nil {
				t.Errorf("%s: is not refused", c.name)
				continue
			}
			config = a.config
			if said[i] = err.Error(); len(made.Objects) > 0 {
				t.Errorf("%s: %v are registered", c.name, made.URNs())
			}
		}
		if said[0] != said[1] {
			t.Errorf("%s: a preview says something else:\n%s\nthan the update:\n%s", c.name, said[1], said[0])
		}
		all.add(c.name, config, nil, said[0])
	}
	all.golden("refusals-aws", "mistakes-aws")
}

// What only a lookup shows is refused when there is a provider, and nothing else yet.
func TestWhatALookupShowsIsRefusedWithItsPlaceInTheBlock(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*aw)
		want   string
	}{
		"a subnet of another zone": {func(a *aw) {
			a.existing()
			a.set("nat.zones.eu-west-1a.public.cidr", nil)
			a.found = func(token string, args map[string]any) (map[string]any, error) {
				if token == "aws:ec2/getSubnet:getSubnet" {
					return block{"availabilityZone": "eu-west-1c", "vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24"}, nil
				}
				return awsAccount(token, args)
			}
		}, `aws.nat.zones.eu-west-1a.public.id: "subnet-public-a": is in eu-west-1c`},
		"a zone that is not there to be found": {func(a *aw) {
			a.discovered()
			a.set("discovery.zones", list("eu-west-1c"))
		}, `aws.discovery.zones: "eu-west-1c": holds no private subnet of main`},
		"an override for a zone that is not found": {func(a *aw) {
			a.discovered()
			a.set("nat.zones.eu-west-1c.slot", 7)
		}, `aws.nat.zones.eu-west-1c: "eu-west-1c": is not one of the zones that were found`},
	} {
		a := newAW(t)
		test.change(a)
		made, err := a.run(recorder.Options{DryRun: true})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
		if len(made.Objects) > 1 {
			t.Errorf("%s: %v are registered", name, made.URNs())
		}
	}
}

func TestTheNetworkOfTheStackIsTheOneThatGetsNAT(t *testing.T) {
	made, err := newAW(t).run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]any{}
	for _, o := range made.Named("aws:ec2/route:Route") {
		routes[o.Inputs["routeTableId"].(string)] = o.Inputs["destinationCidrBlock"]
	}
	want := map[string]any{"aws-vpc-public.id": "0.0.0.0/0"}
	for _, subnet := range []string{"eu-west-1a-app", "eu-west-1a-data", "eu-west-1b-app"} {
		want["aws-vpc-private-"+subnet+"-table.id"] = "0.0.0.0/0"
	}
	if diff := cmp.Diff(want, routes); diff != "" {
		t.Errorf("default routes (-want +got):\n%s", diff)
	}
	for name, want := range map[string][]any{
		"aws-nat-prober-eu-west-1a": {"aws-vpc-private-eu-west-1a-app.id", "aws-vpc-private-eu-west-1a-data.id"}, "aws-nat-prober-eu-west-1b": {"aws-vpc-private-eu-west-1b-app.id"},
	} {
		network := made.Named("aws:lambda/function:Function")[name].Inputs["vpcConfig"].(map[string]any)
		if diff := cmp.Diff(want, network["subnetIds"]); diff != "" {
			t.Errorf("%s stands in (-want +got):\n%s", name, diff)
		}
	}
}

// While the engine writes the state, a reader may find it empty.
func TestTheStateIsReadOnceBeforeAnythingIsRegistered(t *testing.T) {
	for name, change := range map[string]func(*aw){"a network of the stack": func(*aw) {}, "one that exists": (*aw).existing} {
		a := newAW(t)
		change(a)
		made, err := a.run(recorder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(made.Readings, []int{0}) {
			t.Errorf("%s: the state is read when %v resources are registered, want once before the first", name, made.Readings)
		}
	}
}

func TestWhatIsFoundGetsNATAndIsShown(t *testing.T) {
	a := newAW(t)
	a.discovered()
	made, err := a.run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, o := range made.Named("aws:ec2/route:Route") {
		tables = append(tables, o.Inputs["routeTableId"].(string))
	}
	if slices.Sort(tables); !slices.Equal(tables, []string{"rtb-a", "rtb-b"}) {
		t.Errorf("routes in %v", tables)
	}
}

func TestTheKeysOfAWSsProviderArePassedOnAndSecretsStaySecret(t *testing.T) {
	secrets := []string{"accessKey", "secretKey", "token"}
	a := newAW(t)
	var keys []string
	for _, s := range stacks.Setups() {
		if s.Name == "aws" {
			keys = s.ProviderKeys
		}
	}
	o := recorder.Options{}
	special := map[string]struct{ config, want any }{
		"region":      {"eu-west-1", "eu-west-1"},
		"assumeRole":  {`{"roleArn": "arn:role", "sessionName": "s", "externalId": "e", "duration": "1h"}`, "map[duration:1h externalId:e roleArn:arn:role sessionName:s]"},
		"defaultTags": {`{"tags": {"env": "dev"}}`, nil}, // merged by the program
	}
	for _, k := range []string{"allowedAccountIds", "forbiddenAccountIds", "sharedConfigFiles", "sharedCredentialsFiles"} {
		special[k] = struct{ config, want any }{`["` + k + `"]`, "[" + k + "]"}
	}
	for _, k := range []string{"useFipsEndpoint", "useDualstackEndpoint", "skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"} {
		special[k] = struct{ config, want any }{"true", "true"}
	}
	for _, k := range keys {
		a.config["aws:"+k] = "value of " + k
		if s, ok := special[k]; ok {
			a.config["aws:"+k] = s.config.(string)
		}
		if slices.Contains(secrets, k) {
			o.Secrets = append(o.Secrets, "aws:"+k)
		}
	}
	made, err := a.run(o)
	if err != nil {
		t.Fatal(err)
	}
	providers := made.Named("pulumi:providers:aws")
	provider, ok := providers["aws"]
	if !ok || len(providers) != 1 {
		t.Fatalf("providers: %v", slices.Collect(maps.Keys(providers)))
	}
	for _, k := range keys {
		want := any("value of " + k)
		if s, ok := special[k]; ok {
			want = s.want
		}
		if got := fmt.Sprint(provider.Inputs[k]); got != fmt.Sprint(want) {
			t.Errorf("%s: the provider gets %v, want %v", k, got, want)
		}
	}
	if diff := cmp.Diff(secrets, provider.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// What leaves every default stands, and needs nothing more than a network and a region.
func TestABlockNATMayBeEmpty(t *testing.T) {
	for _, network := range []string{
		`"discovery": {"vpc": {"name": "main"}}`,
		`"vpc": {"cidr": "10.0.0.0/16", "zones": {"eu-west-1a": {"public": "10.0.0.0/24", "private": {"app": "10.0.1.0/24"}}}}`,
	} {
		config := map[string]string{"aws:region": "eu-west-1", awsKey: "{" + network + `, "nat": {}}`}
		if err := stacks.Check(stacks.Setups(), stacks.Stack{Project: "polynat", Name: "prod", Config: config}); err != nil {
			t.Errorf("%s: %v", network, err)
		}
	}
}

// Whatever has the vendor's form is a region, so that one that opens tomorrow is.
func TestRegionsHaveTheFormOfTheirVendor(t *testing.T) {
	for setup, regions := range map[string]map[string]bool{
		"aws": {
			"eu-west-1": true, "us-east-2": true, "ap-southeast-7": true, "ca-west-1": true, "il-central-1": true, "mx-central-1": true, "cn-northwest-1": true,
			"us-gov-west-1": true, "us-iso-east-1": true, "eusc-de-east-1": true,
			"eu-wset-1": false, "ue-west-1": false, "eu-west": false, "eu-west-1a": false, "EU-WEST-1": false, "eu west 1": false, "Ireland": false, "": false,
		},
		"alicloud": {
			"cn-hangzhou": true, "ap-southeast-1": true, "cn-shanghai-finance-1": true, "cn-north-2-gov-1": true, "cn-zhengzhou-jva": true, "cn-heyuan-acdr-1": true, "na-south-1": true,
			"cn-hangzhou-i": false, "ap-southeast-1a": false, "hangzhou": false, "cn_hangzhou": false, "CN-HANGZHOU": false, "cn-hangzhou-": false, "Hangzhou": false, "": false,
		},
		"huaweicloud": {
			"cn-north-4": true, "ap-southeast-3": true, "eu-west-101": true, "my-kualalumpur-1": true, "sa-brazil-1": true, "ru-northwest-2": true, "ae-ad-1": true,
			"cn-north-4a": false, "cn-north": false, "cn-north4": false, "north-4": false, "CN-North-4": false, "Beijing4": false, "": false,
		},
	} {
		block := map[string]string{
			"aws":         `{"discovery": {"vpc": {"name": "main"}}, "nat": {}}`,
			"alicloud":    `{"migration": {"stage": "adopt", "vpcId": "vpc-1", "oldNextHop": {"type": "Instance", "id": "i-1"}, "natGateway": {"vswitch": "vsw-1"}, "addresses": {"main": {"bandwidth": 100}}}}`,
			"huaweicloud": `{"privateNat": {"gateway": {"vpcId": "vpc-1", "vpcCidr": "10.0.0.0/16", "subnetId": "net-1"}, "networks": {"app": {"vpc": {"cidr": "192.168.0.0/16"}, "subnet": {"cidr": "192.168.0.0/24"}}}, "transitIps": {"main": {"network": "app"}}}}`,
		}[setup]
		for region, is := range regions {
			config := map[string]string{setup + ":region": region, "polynat:" + setup: block}
			if err := stacks.Check(stacks.Setups(), stacks.Stack{Project: "polynat", Name: "prod", Config: config}); (err == nil) != is {
				t.Errorf("%s %q: %v", setup, region, err)
			}
			// A stack without the setup needs none.
			delete(config, "polynat:"+setup)
			if err := stacks.Check(stacks.Setups(), stacks.Stack{Project: "polynat", Name: "prod", Config: config}); err != nil {
				t.Error(err)
			}
		}
	}
}

// Zones of another region are found wherever the configuration names any; so are those that are none.
func TestZonesAreOfTheRegion(t *testing.T) {
	for field, test := range map[string]struct {
		right []string
		wrong []string
		set   func(t *testing.T, zone string) map[string]string
	}{
		"aws.vpc.zones": {
			[]string{"eu-west-1c", "eu-west-1-dub-1a"}, []string{"us-east-1a", "eu-west-1", "c", "euw1-az1", "eu-west-1C"},
			func(t *testing.T, zone string) map[string]string {
				a := newAW(t)
				a.set("vpc.zones."+zone, block{"public": "10.0.200.0/24", "private": block{"app": "10.0.201.0/24"}})
				a.set("nat.zones."+zone+".slot", 9)
				return a.encoded()
			},
		},
		"aws.discovery.zones": {[]string{"eu-west-1a"}, []string{"us-east-1a"}, func(t *testing.T, zone string) map[string]string {
			a := newAW(t)
			a.discovered()
			a.set("discovery.zones", list(zone))
			return a.encoded()
		}},
		"aws.nat.zones": {[]string{"eu-west-1c"}, []string{"us-east-1a", "c"}, func(t *testing.T, zone string) map[string]string {
			a := newAW(t)
			a.existing()
			a.set("nat.zones."+zone, block{"public": block{"id": "subnet-9"}, "tables": block{"app": block{"id": "rtb-9", "subnets": list("subnet-8")}}})
			return a.encoded()
		}},
		"aws.nat.sharedStandby.zone": {[]string{"eu-west-1a"}, []string{"us-east-1a"}, func(t *testing.T, zone string) map[string]string {
			a := newAW(t)
			a.discovered()
			a.set("nat.standby", "shared")
			a.set("nat.sharedStandby.zone", zone)
			return a.encoded()
		}},
		"alicloud.network.vswitches.app-a.zone": {
			[]string{"cn-hangzhou-h"}, []string{"cn-beijing-h", "cn-hangzhouh", "h", "cn-hangzhou", "ap-southeast-1a", "cn-hangzhou-1"},
			func(t *testing.T, zone string) map[string]string {
				config := setupConfig(t, "alicloud")
				edit(t, config, "network.vswitches.app-a.zone", zone)
				return config
			},
		},
		"huaweicloud.service.loadBalancers.elb01.zones": {[]string{"cn-north-4b"}, []string{"cn-south-1a", "b"}, func(t *testing.T, zone string) map[string]string {
			h := newHW(t)
			h.set("service.loadBalancers.elb01.zones", list(zone))
			return h.encoded()
		}},
		"huaweicloud.service.instances.ecs-b.zone": {[]string{"cn-north-4b"}, []string{"cn-south-1a", "cn-north-4"}, func(t *testing.T, zone string) map[string]string {
			h := newHW(t)
			h.set("service.instances.ecs-b.zone", zone)
			return h.encoded()
		}},
	} {
		check := func(zone string) error {
			return stacks.Check(stacks.Setups(), stacks.Stack{Project: recorder.Project, Name: recorder.Stack, Config: test.set(t, zone)})
		}
		for _, zone := range test.right {
			if err := check(zone); err != nil {
				t.Errorf("%s: %s: %v", field, zone, err)
			}
		}
		for _, zone := range test.wrong {
			if err := check(zone); err == nil || !strings.HasPrefix(err.Error(), field) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %s: %v", field, zone, err)
			}
		}
	}
}
