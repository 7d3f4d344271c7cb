package nat_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/nat"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

const (
	groupType    = "aws:autoscaling/group:Group"
	hookType     = "aws:autoscaling/lifecycleHook:LifecycleHook"
	templateType = "aws:ec2/launchTemplate:LaunchTemplate"
	routeType    = "aws:ec2/route:Route"
	eipType      = "aws:ec2/eip:Eip"
	gatewayType  = "aws:ec2/natGateway:NatGateway"
	policyType   = "aws:iam/rolePolicy:RolePolicy"
	scheduleType = "aws:scheduler/schedule:Schedule"
	functionType = "aws:lambda/function:Function"
)

// prebuilt stand in for the programs, which are not built here: what they do is tested where they are.
var prebuilt nat.Artefacts

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "nat")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		if _, err := w.Create("bootstrap"); err != nil {
			panic(err)
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		prebuilt = nat.Artefacts{Natd: filepath.Join(dir, "natd"), Failover: filepath.Join(dir, "failover.zip")}
		for path, data := range map[string][]byte{prebuilt.Natd: []byte("natd"), prebuilt.Failover: archive.Bytes()} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				panic(err)
			}
		}
		return m.Run()
	}())
}

// world is what lookups find.
type world struct{ region, partition, suffix string }

var ireland = world{"eu-west-1", "aws", "amazonaws.com"}

func (w world) lookup(token string, args map[string]any) (map[string]any, error) {
	switch token {
	case "aws:index/getRegion:getRegion":
		return map[string]any{"name": w.region, "id": w.region}, nil
	case "aws:index/getPartition:getPartition":
		return map[string]any{"partition": w.partition, "dnsSuffix": w.suffix}, nil
	case "aws:index/getCallerIdentity:getCallerIdentity":
		return map[string]any{"accountId": "123456789012"}, nil
	case "aws:servicequotas/getServiceQuota:getServiceQuota":
		return map[string]any{"value": 1000}, nil
	case "aws:ec2/getVpc:getVpc":
		return map[string]any{"cidrBlock": "10.0.0.0/16", "ipv6CidrBlock": "2001:db8::/56", "cidrBlockAssociations": []any{
			map[string]any{"cidrBlock": "10.0.0.0/16", "state": "associated"}, map[string]any{"cidrBlock": "100.64.0.0/16", "state": "associated"},
		}}, nil
	case "aws:ec2/getSubnet:getSubnet":
		id := args["id"].(string)
		letter := id[len(id)-1]
		return map[string]any{"availabilityZone": w.region + string(letter), "vpcId": "vpc-1", "cidrBlock": fmt.Sprintf("10.0.%d.0/24", letter-'a')}, nil
	case "aws:ec2/getRouteTable:getRouteTable":
		return map[string]any{"routeTableId": args["routeTableId"], "routes": []any{map[string]any{"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}}}, nil
	case "aws:ec2/getElasticIp:getElasticIp":
		return map[string]any{"publicIp": "203.0.113." + fmt.Sprint(int(args["id"].(string)[len("eipalloc-0000000")])-'0'+100)}, nil
	case "aws:ec2/getNatGateway:getNatGateway":
		return map[string]any{"publicIp": "192.0.2.1", "vpcId": "vpc-1"}, nil
	case "aws:ec2/getInstanceType:getInstanceType":
		switch args["instanceType"] {
		case "m7g.large":
			return map[string]any{"supportedArchitectures": []any{"arm64"}, "maximumIpv4AddressesPerInterface": 10, "hypervisor": "nitro"}, nil
		case "x9.tiny":
			return map[string]any{"supportedArchitectures": []any{"x86_64"}, "maximumIpv4AddressesPerInterface": 1, "hypervisor": "xen"}, nil
		}
		return nil, errors.New("InvalidInstanceType")
	}
	return nil, fmt.Errorf("%s: no lookup was expected", token)
}

// assigned is the address that the recorder gives a thing of that name.
func assigned(name string) string {
	sum := crc32.ChecksumIEEE([]byte(name))
	return netip.AddrFrom4([4]byte{198, 18, byte(sum >> 8), byte(sum)}).String()
}

func newZone(letter string) nat.Zone {
	return nat.Zone{
		Public: nat.Subnet{ID: pulumi.String("subnet-public-" + letter)},
		Tables: map[string]nat.Table{
			"app": {ID: pulumi.String("rtb-app-" + letter), Subnets: []pulumi.StringInput{pulumi.String("subnet-app-" + letter)}},
			"db":  {ID: pulumi.String("rtb-db-" + letter), Subnets: []pulumi.StringInput{pulumi.String("subnet-db-" + letter)}},
		},
	}
}

func zones(region, letters string) map[string]nat.Zone {
	zones := map[string]nat.Zone{}
	for _, letter := range letters {
		zones[region+string(letter)] = newZone(string(letter))
	}
	return zones
}

func newArgs(letters string) *nat.Args {
	return &nat.Args{
		VPC: nat.VPC{ID: pulumi.String("vpc-1")}, Zones: zones("eu-west-1", letters),
		Artefacts: prebuilt,
		Tags:      map[string]string{"team": "network"},
	}
}

// program makes the component with a provider of its own; see may look at it.
func program(args *nat.Args, see func(*nat.NAT)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		mine := *args
		var err error
		if mine.Provider, err = aws.NewProvider(ctx, "aws", nil); err != nil {
			return err
		}
		made, err := nat.New(ctx, "egress", &mine)
		if err == nil && see != nil {
			see(made)
		}
		return err
	}
}

func options(w world) recorder.Options {
	return recorder.Options{Invoke: w.lookup}
}

func run(t *testing.T, args *nat.Args) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args, nil), options(ireland))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// decode is an object of JSON in an input.
func decode(t *testing.T, text any) (into map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text.(string)), &into); err != nil {
		t.Fatal(err)
	}
	return into
}

// script is the user data of a zone.
func script(t *testing.T, made *recorder.Recording, zone string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(made.Named(templateType)["egress-template-"+zone].Inputs["userData"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheComponentFollowsTheRules(t *testing.T) {
	args := newArgs("abc")
	made := run(t, args)
	made.Check(t)
	made.Golden(t, "urns")
	dry := options(ireland)
	dry.DryRun = true
	preview, err := recorder.Run(program(args, nil), dry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
}

func TestTheGraphIsTheSameAtEveryRun(t *testing.T) {
	want := run(t, newArgs("abc"))
	for range 5 {
		recorder.SameGraph(t, want, run(t, newArgs("cab")))
	}
}

func TestRemovingTheFirstZoneTouchesOnlyIt(t *testing.T) {
	for name, change := range map[string]func(*nat.Args){
		"gateways": func(*nat.Args) {},
		"none":     func(a *nat.Args) { a.Standby = nat.None },
		"window": func(a *nat.Args) {
			a.Rotation.Window = window()
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := newArgs("abc"), newArgs("bc")
			change(before)
			change(after)
			stays := map[string]recorder.Object{}
			for _, o := range run(t, before).Objects {
				stays[o.URN] = o
			}
			for _, o := range run(t, after).Objects {
				old, ok := stays[o.URN]
				if !ok {
					t.Errorf("%s is new", o.URN)
				}
				delete(stays, o.URN)
				// The dashboard shows the zones that there are, and the role that rotates names their groups.
				if shared := strings.Contains(o.Name, "dashboard") || o.Name == "egress-rotation-role-policy"; shared {
					continue
				}
				if diff := cmp.Diff(old.Inputs, o.Inputs); diff != "" {
					t.Errorf("%s changes:\n%s", o.URN, diff)
				}
			}
			for _, o := range stays {
				if !strings.Contains(o.Name, "eu-west-1a") {
					t.Errorf("%s goes, and is not of the zone", o.URN)
				}
			}
		})
	}
}

func TestTheUserDataIsAsReviewed(t *testing.T) {
	for name, change := range map[string]func(*nat.Args){
		"default": func(*nat.Args) {},
		"full": func(a *nat.Args) {
			a.NAT64, a.Standby = true, nat.None
			a.Destinations = []string{"198.51.100.0/24"}
			a.Instance = nat.Instance{Types: []string{"c6in.large"}, Before: "echo before", After: "echo after\necho again\n", CloudWatchAgent: true}
		},
	} {
		args := newArgs("a")
		change(args)
		text := script(t, run(t, args), "eu-west-1a")
		recorder.GoldenText(t, "userdata-"+name, text, "the next instances boot with it")
		if len(text) > 16<<10 {
			t.Errorf("%s: %d bytes: EC2 takes 16 KiB", name, len(text))
		}
		agent, err := natzone.AgentOf(text)
		if err != nil {
			t.Fatal(err)
		}
		if agent.Zone != "eu-west-1a" || agent.Address.String() != "10.0.0.254" {
			t.Errorf("%s: the document in the user data is of %s, %s", name, agent.Zone, agent.Address)
		}
	}
}

func TestUserDataThatEC2WouldRefuseIsRefusedBefore(t *testing.T) {
	args := newArgs("a")
	args.Instance.Before = strings.Repeat("x", 9000)
	if err := args.Validate(); err == nil || !strings.Contains(err.Error(), "instance.before: 9000") {
		t.Errorf("error %v", err)
	}
}

func TestThePoliciesAreAsReviewed(t *testing.T) {
	made := run(t, newArgs("a")).Named(policyType)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(made)) {
		data, err := json.MarshalIndent(decode(t, made[name].Inputs["policy"]), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n%s\n", name, data)
	}
	recorder.GoldenText(t, "policies", text.String(), "what the programs may do changes")
}

func TestARouteIsThereBeforeTheGroupAndAfterIt(t *testing.T) {
	for _, standby := range []nat.StandbyMode{nat.PerZone, nat.Shared, nat.Existing, nat.None} {
		args := newArgs("ab")
		args.Standby = standby
		if standby == nat.Shared {
			args.SharedStandby.Zone = "eu-west-1b"
		}
		if standby == nat.Existing {
			for key, z := range args.Zones {
				z.Standby.GatewayID = "nat-0123456789abcdef0"
				args.Zones[key] = z
			}
		}
		made := run(t, args)
		routes := made.Named(routeType)
		if len(routes) != 4 {
			t.Errorf("%s: %d routes, want one for each of four tables", standby, len(routes))
		}
		for name, r := range routes {
			if !slices.Contains(r.IgnoreChanges, "natGatewayId") || !slices.Contains(r.IgnoreChanges, "networkInterfaceId") {
				t.Errorf("%s: %s: an update would take the route from whoever holds it", standby, name)
			}
			if target := r.Inputs["natGatewayId"]; (target == nil) != (standby == nat.None) {
				t.Errorf("%s: %s: leads to the gateway %v", standby, name, target)
			}
			if target := r.Inputs["networkInterfaceId"]; (target == nil) == (standby == nat.None) {
				t.Errorf("%s: %s: leads to the interface %v", standby, name, target)
			}
			zone := name[len("egress-route-"):len("egress-route-eu-west-1a")]
			if group := made.Named(groupType)["egress-group-"+zone]; !slices.Contains(group.Dependencies, r.URN) {
				t.Errorf("%s: the group of %s does not wait for %s", standby, zone, name)
			}
			for function, f := range made.Named(functionType) {
				if strings.Contains(function, zone) && !slices.Contains(f.Dependencies, r.URN) {
					t.Errorf("%s: %s could go after %s", standby, function, name)
				}
			}
		}
	}
}

func TestAGroupHasWhatItNeedsForAsLongAsItStands(t *testing.T) {
	made := run(t, newArgs("a"))
	group := made.Named(groupType)["egress-group-eu-west-1a"]
	needs := map[string]bool{}
	for _, o := range made.Objects {
		switch o.Type {
		case policyType:
			needs[o.Name] = strings.Contains(o.Name, "instance") || strings.Contains(o.Name, "notice")
		case "aws:s3/bucketObjectv2:BucketObjectv2", "aws:sns/topicPolicy:TopicPolicy", "aws:ec2/subnetCidrReservation:SubnetCidrReservation", routeType,
			"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", functionType:
			needs[o.Name] = !strings.Contains(o.Name, "egress-prober-egress")
		}
		if needs[o.Name] && !slices.Contains(group.Dependencies, o.URN) {
			t.Errorf("the group does not wait for %s", o.Name)
		}
	}
	if len(needs) < 10 {
		t.Errorf("only %d resources were looked at", len(needs))
	}
}

func TestAGroupReplacesItsInstanceWithoutAGap(t *testing.T) {
	group := run(t, newArgs("a")).Named(groupType)["egress-group-eu-west-1a"].Inputs
	want := map[string]any{
		"minSize": 1.0, "desiredCapacity": 1.0, "maxSize": 2.0, "defaultInstanceWarmup": 0.0, "healthCheckGracePeriod": 0.0, "maxInstanceLifetime": 1209600.0,
		"capacityRebalance":         false,
		"instanceMaintenancePolicy": map[string]any{"minHealthyPercentage": 100.0, "maxHealthyPercentage": 200.0},
		"mixedInstancesPolicy": map[string]any{
			"instancesDistribution": map[string]any{
				"onDemandAllocationStrategy": "prioritized", "onDemandBaseCapacity": 0.0, "onDemandPercentageAboveBaseCapacity": 100.0,
				"spotAllocationStrategy": "capacity-optimized-prioritized",
			},
			"launchTemplate": map[string]any{
				"launchTemplateSpecification": map[string]any{"launchTemplateId": "egress-template-eu-west-1a.id", "version": "1"},
				"overrides":                   []any{map[string]any{"instanceType": "t4g.small"}},
			},
		},
		"initialLifecycleHooks": []any{
			map[string]any{
				"name": natzone.LaunchHook, "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "defaultResult": "ABANDON", "heartbeatTimeout": 600.0,
				"notificationTargetArn": "egress-lifecycle.arn", "roleArn": "egress-notice-role.arn",
			},
			map[string]any{
				"name": natzone.TerminateHook, "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "defaultResult": "CONTINUE", "heartbeatTimeout": 300.0,
				"notificationTargetArn": "egress-lifecycle.arn", "roleArn": "egress-notice-role.arn",
			},
		},
	}
	for key, value := range want {
		got := group[key]
		if hooks, ok := got.([]any); ok {
			for _, h := range hooks {
				h.(map[string]any)["notificationTargetArn"] = "egress-lifecycle.arn"
			}
		}
		if diff := cmp.Diff(value, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

// Either the controllers have the instances of a changed template replaced, or the update does.
func TestAChangedTemplateIsTheControllersUnlessAllGoAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		rotation nat.Rotation
		refresh  any
		hold     any
	}{
		"one after the other": {nat.Rotation{}, nil, "5m0s"},
		"in a window":         {nat.Rotation{Window: window()}, nil, nil},
		"at once": {nat.Rotation{AtOnce: true}, map[string]any{"strategy": "Rolling", "preferences": map[string]any{
			"minHealthyPercentage": 100.0, "maxHealthyPercentage": 200.0, "instanceWarmup": "0",
		}}, nil},
	} {
		args := newArgs("a")
		args.Rotation = test.rotation
		made := run(t, args)
		if diff := cmp.Diff(test.refresh, made.Named(groupType)["egress-group-eu-west-1a"].Inputs["instanceRefresh"]); diff != "" {
			t.Errorf("%s: instanceRefresh (-want +got):\n%s", name, diff)
		}
		variables := made.Named(functionType)["egress-controller-eu-west-1a"].Inputs["environment"].(map[string]any)["variables"].(map[string]any)
		if got := decode(t, variables[natzone.ControllerVariable])["hold"]; got != test.hold {
			t.Errorf("%s: the controller's hold is %v, want %v", name, got, test.hold)
		}
	}
}

func TestAHookStaysAsLongAsItsGroup(t *testing.T) {
	made := run(t, newArgs("a"))
	if n := len(made.Named(hookType)); n != 2 {
		t.Fatalf("%d hooks, want 2", n)
	}
	for _, o := range made.Objects {
		if o.RetainOnDelete != (o.Type == hookType) {
			t.Errorf("%s: retainOnDelete is %v", o.Name, o.RetainOnDelete)
		}
		if o.Protect {
			t.Errorf("%s is protected", o.Name)
		}
	}
}

func TestElasticIPsAreKeptAsAskedAndNothingElseIs(t *testing.T) {
	for _, keep := range []nat.OnDelete{nat.Release, nat.Retain, nat.Protect} {
		args := newArgs("ab")
		args.OnDelete = keep
		for _, o := range run(t, args).Objects {
			address := o.Type == eipType
			if o.Protect != (address && keep == nat.Protect) || o.RetainOnDelete != (address && keep == nat.Retain || o.Type == hookType) {
				t.Errorf("%s: %s: protect %v, retain %v", keep, o.Name, o.Protect, o.RetainOnDelete)
			}
		}
	}
}

func TestALaunchTemplateIsHardened(t *testing.T) {
	args := newArgs("a")
	args.Instance = nat.Instance{Types: []string{"c8gn.large"}, KMSKeyARN: "arn:aws:kms:eu-west-1:123456789012:key/1"}
	template := run(t, args).Named(templateType)["egress-template-eu-west-1a"].Inputs
	want := map[string]any{
		"imageId":      "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
		"instanceType": "c8gn.large",
		"metadataOptions": map[string]any{
			"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1.0, "instanceMetadataTags": "enabled",
		},
		"blockDeviceMappings": []any{map[string]any{"deviceName": "/dev/xvda", "ebs": map[string]any{
			"encrypted": "true", "volumeType": "gp3", "volumeSize": 8.0, "deleteOnTermination": "true", "kmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
		}}},
		"networkInterfaces": []any{map[string]any{
			"associatePublicIpAddress": "true", "deleteOnTermination": "true", "deviceIndex": 0.0,
			"securityGroups":                  []any{"egress-security-group-eu-west-1a.id"},
			"connectionTrackingSpecification": map[string]any{"tcpEstablishedTimeout": 360.0, "udpTimeout": 60.0, "udpStreamTimeout": 180.0},
		}},
	}
	for key, value := range want {
		if diff := cmp.Diff(value, template[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	kinds := map[string]bool{}
	for _, s := range template["tagSpecifications"].([]any) {
		tags := s.(map[string]any)["tags"].(map[string]any)
		kinds[s.(map[string]any)["resourceType"].(string)] = tags[natzone.TagName] == "polynat-dev-egress" && tags[natzone.TagZone] == "eu-west-1a" && tags["team"] == "network"
	}
	if diff := cmp.Diff(map[string]bool{"instance": true, "volume": true, "network-interface": true}, kinds); diff != "" {
		t.Errorf("what has the tags (-want +got):\n%s", diff)
	}
}

func TestSpotAndSeveralTypesFallBackToTheNext(t *testing.T) {
	for _, market := range []nat.Market{nat.OnDemand, nat.Spot} {
		args := newArgs("a")
		args.Instance = nat.Instance{Types: []string{"c7gn.medium", "m7g.large"}, Market: market}
		group := run(t, args).Named(groupType)["egress-group-eu-west-1a"].Inputs
		distribution := group["mixedInstancesPolicy"].(map[string]any)["instancesDistribution"].(map[string]any)
		if got, want := distribution["onDemandPercentageAboveBaseCapacity"], map[nat.Market]float64{nat.OnDemand: 100, nat.Spot: 0}[market]; got != want {
			t.Errorf("%s: %v %% on demand, want %v", market, got, want)
		}
		if group["capacityRebalance"] != (market == nat.Spot) {
			t.Errorf("%s: capacity rebalance %v", market, group["capacityRebalance"])
		}
		overrides := group["mixedInstancesPolicy"].(map[string]any)["launchTemplate"].(map[string]any)["overrides"].([]any)
		if want := []any{map[string]any{"instanceType": "c7gn.medium"}, map[string]any{"instanceType": "m7g.large"}}; !cmp.Equal(want, overrides) {
			t.Errorf("%s: types %v", market, overrides)
		}
	}
}

func TestInAWindowInstancesAreReplacedByTheScheduleOnly(t *testing.T) {
	args := newArgs("abc")
	args.Rotation.Window = &nat.Window{Days: []time.Weekday{time.Sunday}, Week: 2, Start: "23:00", TimeZone: "Europe/Berlin", Duration: time.Hour}
	made := run(t, args)
	for name, g := range made.Named(groupType) {
		if g.Inputs["maxInstanceLifetime"] != 0.0 || g.Inputs["instanceRefresh"] != nil {
			t.Errorf("%s is replaced outside its window: %v, %v", name, g.Inputs["maxInstanceLifetime"], g.Inputs["instanceRefresh"])
		}
	}
	got := map[string]any{}
	for name, s := range made.Named(scheduleType) {
		if !strings.HasPrefix(name, "egress-rotation-") {
			continue
		}
		got[name] = s.Inputs["scheduleExpression"]
		target := s.Inputs["target"].(map[string]any)
		if target["arn"] != "arn:aws:scheduler:::aws-sdk:autoscaling:startInstanceRefresh" || decode(t, target["input"])["AutoScalingGroupName"] != s.Inputs["name"] {
			t.Errorf("%s: calls %v with %v", name, target["arn"], target["input"])
		}
	}
	want := map[string]any{
		"egress-rotation-eu-west-1a": "cron(0 23 ? * 1#2 *)", "egress-rotation-eu-west-1b": "cron(15 23 ? * 1#2 *)", "egress-rotation-eu-west-1c": "cron(30 23 ? * 1#2 *)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
}

// The instances of six zones are launched together and then replaced for their age only.
func TestNoTwoZonesRotateTogether(t *testing.T) {
	for _, lifetime := range []time.Duration{0, 2 * 24 * time.Hour, 30 * 24 * time.Hour} {
		args := newArgs("abcdef")
		args.Rotation.Lifetime = lifetime
		groups := run(t, args).Named(groupType)
		const year = 365 * 24 * time.Hour
		horizon := 2 * year
		if lifetime == 2*24*time.Hour {
			horizon = year / 5
		}
		var times []time.Duration
		for _, g := range groups {
			life := time.Duration(g.Inputs["maxInstanceLifetime"].(float64)) * time.Second
			if life < 24*time.Hour {
				t.Errorf("lifetime %s: AWS takes a day at least", life)
			}
			for at := life; at < horizon; at += life {
				times = append(times, at)
			}
		}
		slices.Sort(times)
		for i := range times[1:] {
			if gap := times[i+1] - times[i]; gap < 10*time.Minute {
				t.Fatalf("lifetime %s: two zones rotate within %s after %s", lifetime, gap, times[i])
			}
		}
	}
}

func TestStandbyNoneMakesNoGateway(t *testing.T) {
	args := newArgs("ab")
	args.Standby = nat.None
	var addresses []string
	made, err := recorder.Run(program(args, func(n *nat.NAT) {
		n.EgressAddresses.ApplyT(func(a []string) int { addresses = a; return 0 })
	}), options(ireland))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(made.Named(gatewayType)); n != 0 {
		t.Errorf("%d gateways", n)
	}
	if len(addresses) != 2 {
		t.Errorf("egress addresses %v, want those of two instances", addresses)
	}
}

func TestTheEgressAddressesAreAllThatTrafficMayLeaveFrom(t *testing.T) {
	args := newArgs("ab")
	args.Standby, args.SharedStandby = nat.Shared, nat.SharedStandby{Zone: "eu-west-1a"}
	var addresses []string
	made, err := recorder.Run(program(args, func(n *nat.NAT) {
		n.EgressAddresses.ApplyT(func(a []string) int { addresses = a; return 0 })
	}), options(ireland))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, typ := range []string{eipType, gatewayType} {
		for name := range made.Named(typ) {
			if name != "egress-standby-address" { // the gateway shows it
				want[assigned(name)] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(made.Named(gatewayType)); n != 1 {
		t.Errorf("%d gateways, want a shared one", n)
	}
}

func TestSixZonesInEveryPartition(t *testing.T) {
	for _, w := range []world{{"us-east-1", "aws", "amazonaws.com"}, {"cn-north-1", "aws-cn", "amazonaws.com.cn"}, {"us-gov-west-1", "aws-us-gov", "amazonaws.com"}} {
		t.Run(w.partition, func(t *testing.T) {
			args := newArgs("")
			args.Zones = zones(w.region, "abcdef")
			args.Rotation.Window = window()
			args.Failover.Targets = []string{"http://one.example/", "http://two.example/", "http://192.0.2.3/"}
			args.Failover.Identity = []string{"http://identity.example/"}
			made, err := recorder.Run(program(args, nil), options(w))
			if err != nil {
				t.Fatal(err)
			}
			made.Check(t)
			for _, o := range made.Objects {
				data, err := json.Marshal(o.Inputs)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range strings.Split(string(data), "arn:")[1:] {
					if !strings.HasPrefix(part, w.partition+":") {
						t.Errorf("%s names arn:%.40s", o.Name, part)
					}
				}
			}
			if n := len(made.Named(groupType)); n != 6 {
				t.Errorf("%d groups", n)
			}
			trust := decode(t, made.Named("aws:iam/role:Role")["egress-instance-role-"+w.region+"a"].Inputs["assumeRolePolicy"])
			if got := trust["Statement"].([]any)[0].(map[string]any)["Principal"].(map[string]any)["Service"]; got != "ec2."+w.suffix {
				t.Errorf("the instance's role trusts %v", got)
			}
		})
	}
}

// named are the inputs that name a thing in the cloud.
var named = []string{"name", "functionName", "bucket", "dashboardName", "alarmName"}

func TestTwoComponentsShareAnAccountAndRegion(t *testing.T) {
	owner := map[string]string{}
	for _, name := range []string{"polynat-dev-egress", "polynat-prod-egress"} {
		args := newArgs("abc")
		args.PhysicalName = name
		for _, o := range run(t, args).Objects {
			for _, key := range named {
				value, ok := o.Inputs[key].(string)
				if !ok || strings.HasSuffix(value, ".id") || strings.HasSuffix(value, ".arn") || strings.HasPrefix(o.Type, "aws:iam/rolePolicy:") || o.Type == hookType {
					continue
				}
				if other, taken := owner[o.Type+value]; taken && other != name {
					t.Errorf("%s %s is of both", o.Type, value)
				}
				owner[o.Type+value] = name
			}
		}
	}
	if len(owner) < 40 {
		t.Errorf("only %d names were compared", len(owner))
	}
}

func TestMoreElasticIPsThanTheQuotaAreAWarningThatNamesTheNumber(t *testing.T) {
	if made := run(t, newArgs("abc")); len(made.Named(eipType)) != 6 {
		t.Errorf("%d Elastic IPs", len(made.Named(eipType)))
	}
	for own, want := range map[int]string{5: "", 6: "ask for at least 6", 12: "ask for at least 12"} {
		if got := nat.QuotaWarning(own); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%d Elastic IPs: %q, want %q", own, got, want)
		}
	}
}

func TestFunctionsThatReserveMoreThanTheAccountHasAreRefusedWithTheNumber(t *testing.T) {
	small := options(ireland)
	quota, failed := 0, error(nil)
	small.Invoke = func(token string, args map[string]any) (map[string]any, error) {
		if token == "aws:servicequotas/getServiceQuota:getServiceQuota" {
			if args["serviceCode"] != "lambda" || args["quotaCode"] != "L-B99A9384" {
				t.Errorf("looked up %v", args)
			}
			return map[string]any{"value": quota}, failed
		}
		return ireland.lookup(token, args)
	}
	args := newArgs("abc")
	for _, quota = range []int{10, 50, 108} {
		made, err := recorder.Run(program(args, nil), small)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("failover.unreserved: the functions of 3 zones reserve 9 concurrent executions of Lambda, and the account has %d in the region", quota)) ||
			!strings.Contains(err.Error(), "ask AWS for at least 109") || !strings.Contains(err.Error(), "set it to true") {
			t.Errorf("quota %d: %v", quota, err)
		}
		if made != nil && len(made.Named("aws:lambda/function:Function")) > 0 {
			t.Errorf("quota %d: functions were registered", quota)
		}
	}
	for _, quota = range []int{109, 0} {
		failed = map[bool]error{true: errors.New("AccessDeniedException")}[quota == 0] // nobody may look: the update goes on
		if _, err := recorder.Run(program(args, nil), small); err != nil {
			t.Errorf("quota %d, lookup %v: %v", quota, failed, err)
		}
	}
	quota, failed, args.Failover.Unreserved = 10, nil, true
	made, err := recorder.Run(program(args, nil), small)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range made.Named("aws:lambda/function:Function") {
		if n, ok := f.Inputs["reservedConcurrentExecutions"]; ok {
			t.Errorf("%s reserves %v", name, n)
		}
	}
}

func TestAFailureAtAnyRegistrationFailsTheUpdate(t *testing.T) {
	recorder.FailsAnywhere(t, program(newArgs("a"), nil), options(ireland))
}

func TestIngressThatIsGivenLetsTheProberIn(t *testing.T) {
	args := newArgs("a")
	args.Ingress = &nat.Ingress{CIDRs: []string{"10.9.0.0/16", "2001:db8::/56"}, SecurityGroups: map[string]pulumi.StringInput{"app": pulumi.String("sg-app")}}
	got := map[string]any{}
	for name, r := range run(t, args).Named("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") {
		if key, ok := strings.CutPrefix(name, "egress-ingress-eu-west-1a-"); ok {
			for _, property := range []string{"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId"} {
				if r.Inputs[property] != nil {
					got[key] = r.Inputs[property]
				}
			}
		}
	}
	want := map[string]any{"10.9.0.0/16": "10.9.0.0/16", "2001:db8::/56": "2001:db8::/56", "group-app": "sg-app", "prober": "egress-prober-group.id",
		"self": "egress-security-group-eu-west-1a.id", "too-big": "0.0.0.0/0", "expired": "0.0.0.0/0", "too-big-ipv6": "::/0", "expired-ipv6": "::/0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The agent translates what comes from the VPC by itself; of what is let in beside that, it has to be told.
func TestClientsThatAreLetInFromOutsideTheVPCAreTranslated(t *testing.T) {
	for _, test := range []struct{ cidrs, want []string }{
		{nil, nil},
		{[]string{"10.0.7.0/24", "100.64.0.0/16"}, nil},
		{[]string{"2001:db8::/56"}, nil},
		{[]string{"192.168.0.0/16", "10.0.7.0/24", "10.9.0.0/16"}, []string{"10.9.0.0/16", "192.168.0.0/16"}},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.0/8"}},
	} {
		args := newArgs("a")
		if test.cidrs != nil {
			args.Ingress = &nat.Ingress{CIDRs: test.cidrs}
		}
		document, err := natzone.AgentOf(script(t, run(t, args), "eu-west-1a"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range document.ClientCIDRs {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.cidrs, diff)
		}
	}
}

func TestASuccessorMayAskItsPredecessorForTheConnectionsAndNothingElse(t *testing.T) {
	given := newArgs("a")
	given.Ingress = &nat.Ingress{SecurityGroups: map[string]pulumi.StringInput{"app": pulumi.String("sg-app")}}
	for _, args := range []*nat.Args{newArgs("a"), given} {
		got := run(t, args).Named("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")["egress-ingress-eu-west-1a-self"].Inputs
		want := map[string]any{
			"securityGroupId": "egress-security-group-eu-west-1a.id", "referencedSecurityGroupId": "egress-security-group-eu-west-1a.id",
			"ipProtocol": "tcp", "fromPort": 9465.0, "toPort": 9465.0, "tags": map[string]any{"team": "network"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// What a router of the Internet says of a packet reaches the instance, and through it the client.
func TestRoutersMaySayWhatBecameOfAPacket(t *testing.T) {
	for ipv6, want := range map[bool]map[string]any{
		false: {"too-big": []any{"icmp", 3.0, 4.0, "0.0.0.0/0", nil}, "expired": []any{"icmp", 11.0, 0.0, "0.0.0.0/0", nil}},
		true: {
			"too-big": []any{"icmp", 3.0, 4.0, "0.0.0.0/0", nil}, "expired": []any{"icmp", 11.0, 0.0, "0.0.0.0/0", nil},
			"too-big-ipv6": []any{"icmpv6", 2.0, 0.0, nil, "::/0"}, "expired-ipv6": []any{"icmpv6", 3.0, 0.0, nil, "::/0"},
		},
	} {
		args := newArgs("a")
		args.NAT64 = ipv6
		got := map[string]any{}
		for name, r := range run(t, args).Named("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") {
			if key, ok := strings.CutPrefix(name, "egress-ingress-eu-west-1a-"); ok && strings.HasPrefix(fmt.Sprint(r.Inputs["ipProtocol"]), "icmp") {
				got[key] = []any{r.Inputs["ipProtocol"], r.Inputs["fromPort"], r.Inputs["toPort"], r.Inputs["cidrIpv4"], r.Inputs["cidrIpv6"]}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("IPv6 %v (-want +got):\n%s", ipv6, diff)
		}
	}
}

func TestTheProberStandsInAsManySubnetsAsLambdaTakesOfEveryTable(t *testing.T) {
	args := newArgs("a")
	z := args.Zones["eu-west-1a"]
	z.Tables = map[string]nat.Table{}
	for _, key := range []string{"x", "y", "z"} {
		table := nat.Table{ID: pulumi.String("rtb-" + key)}
		for n := range map[string]int{"x": 20, "y": 20, "z": 1}[key] {
			table.Subnets = append(table.Subnets, pulumi.String(fmt.Sprintf("subnet-%s-%02d", key, n)))
		}
		z.Tables[key] = table
	}
	args.Zones["eu-west-1a"] = z
	subnets := run(t, args).Named(functionType)["egress-prober-eu-west-1a"].Inputs["vpcConfig"].(map[string]any)["subnetIds"].([]any)
	of := map[byte]int{}
	for _, s := range subnets {
		of[s.(string)[len("subnet-")]]++
	}
	if diff := cmp.Diff(map[byte]int{'x': 8, 'y': 7, 'z': 1}, of); diff != "" {
		t.Errorf("%d subnets (-want +got):\n%s", len(subnets), diff)
	}
}

// An Elastic IP goes no farther than its network border group, which for a local zone is not the region.
func TestTheElasticIPsOfALocalZoneAreOfThere(t *testing.T) {
	for _, mode := range []nat.StandbyMode{nat.PerZone, nat.Shared} {
		args := newArgs("a")
		slot := 7
		z := newZone("q")
		z.Slot, z.Public.CIDR = &slot, "10.0.99.0/24"
		args.Zones["eu-west-1-dub-1a"] = z
		if args.Standby = mode; mode == nat.Shared {
			args.SharedStandby.Zone = "eu-west-1-dub-1a"
		}
		for name, o := range run(t, args).Named(eipType) {
			want := any(nil)
			if strings.Contains(name, "-dub-") || name == "egress-standby-address" {
				want = "eu-west-1-dub-1"
			}
			if got := o.Inputs["networkBorderGroup"]; got != want {
				t.Errorf("%s, %s: network border group %v, want %v", mode, name, got, want)
			}
		}
	}
}

func window() *nat.Window {
	return &nat.Window{Days: []time.Weekday{time.Sunday}, Start: "02:00", Duration: 2 * time.Hour}
}

func TestTheUserDataIsAShellScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash is installed to check the script with")
	}
	for _, market := range []nat.Market{nat.OnDemand, nat.Spot} {
		args := newArgs("a")
		args.Instance = nat.Instance{Before: "echo 'before'", After: "if true; then echo; fi", CloudWatchAgent: true, Market: market}
		check := exec.Command(bash, "-n")
		check.Stdin = strings.NewReader(script(t, run(t, args), "eu-west-1a"))
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
