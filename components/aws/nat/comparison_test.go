package nat_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/nat"
	"polynat/tests/recorder"
)

// What docs/comparison.md says of inputs that no other test shows.

const a1 = "eu-west-1a"

// inputs of the one resource of that type and name.
func inputs(t *testing.T, made *recorder.Recording, typ, name string) map[string]any {
	t.Helper()
	o, ok := made.Named(typ)[name]
	if !ok {
		t.Fatalf("no %s %s is made", typ, name)
	}
	return o.Inputs
}

func TestTheNetworkIsTheOneThatIsGiven(t *testing.T) {
	made := run(t, newArgs("ab"))
	for _, zone := range "ab" {
		letter := string(zone)
		if got := inputs(t, made, "aws:ec2/securityGroup:SecurityGroup", "egress-security-group-eu-west-1"+letter)["vpcId"]; got != "vpc-1" {
			t.Errorf("%s: the security group is of %v", letter, got)
		}
		group := inputs(t, made, groupType, "egress-group-eu-west-1"+letter)
		if diff := cmp.Diff([]any{"subnet-public-" + letter}, group["vpcZoneIdentifiers"]); diff != "" {
			t.Errorf("%s: the instance stands in (-want +got):\n%s", letter, diff)
		}
		if got := inputs(t, made, gatewayType, "egress-standby-eu-west-1"+letter)["subnetId"]; got != "subnet-public-"+letter {
			t.Errorf("%s: the standby stands in %v", letter, got)
		}
		for _, table := range []string{"app", "db"} {
			route := inputs(t, made, routeType, "egress-route-eu-west-1"+letter+"-"+table+"-0.0.0.0/0")
			if route["routeTableId"] != "rtb-"+table+"-"+letter {
				t.Errorf("%s: the route of %s is in %v", letter, table, route["routeTableId"])
			}
		}
		network := inputs(t, made, functionType, "egress-prober-eu-west-1"+letter)["vpcConfig"].(map[string]any)
		if diff := cmp.Diff([]any{"subnet-app-" + letter, "subnet-db-" + letter}, network["subnetIds"]); diff != "" {
			t.Errorf("%s: the prober stands in (-want +got):\n%s", letter, diff)
		}
	}
}

func TestAnImageIsPinnedOrTheNewestOfAParameter(t *testing.T) {
	for want, i := range map[string]nat.Instance{
		"resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": {Types: []string{"c6in.large"}},
		"resolve:ssm:/my/image": {ImageParameter: "/my/image"},
		"ami-0123456789abcdef0": {ImageID: "ami-0123456789abcdef0"},
	} {
		args := newArgs("a")
		args.Instance = i
		if got := inputs(t, run(t, args), templateType, "egress-template-"+a1)["imageId"]; got != want {
			t.Errorf("image %v, want %s", got, want)
		}
	}
}

func TestWhatIsSaidOfTheInstanceReachesItsTemplate(t *testing.T) {
	args := newArgs("a")
	args.Instance = nat.Instance{
		VolumeGiB: 20, KeyName: "ops", DetailedMonitoring: true, SecurityGroups: []pulumi.StringInput{pulumi.String("sg-more")},
		Policies: []string{"arn:aws:iam::123456789012:policy/audit"}, CloudWatchAgent: true,
	}
	made := run(t, args)
	template := inputs(t, made, templateType, "egress-template-"+a1)
	if template["keyName"] != "ops" || !cmp.Equal(template["monitoring"], map[string]any{"enabled": true}) {
		t.Errorf("key %v, monitoring %v", template["keyName"], template["monitoring"])
	}
	volume := template["blockDeviceMappings"].([]any)[0].(map[string]any)["ebs"].(map[string]any)
	if volume["volumeSize"] != 20.0 || volume["encrypted"] != "true" {
		t.Errorf("volume %v", volume)
	}
	groups := template["networkInterfaces"].([]any)[0].(map[string]any)["securityGroups"]
	if !slices.Contains(groups.([]any), any("sg-more")) {
		t.Errorf("security groups %v", groups)
	}
	attached := inputs(t, made, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "egress-instance-policy-"+a1+"-audit")
	if attached["policyArn"] != "arn:aws:iam::123456789012:policy/audit" {
		t.Errorf("attached: %v", attached)
	}
}

// On the way to NAT nothing is installed. What the user asks for beside it is installed after the agent runs, in the background.
func TestTheInstanceWaitsForNoPackage(t *testing.T) {
	packages := regexp.MustCompile(`\b(dnf|yum|rpm|pip3?|apt(-get)?|snap)\b`)
	if found := packages.FindString(script(t, run(t, newArgs("a")), a1)); found != "" {
		t.Errorf("the user data calls %s", found)
	}
	args := newArgs("a")
	args.Instance.CloudWatchAgent = true
	before, after, ok := strings.Cut(script(t, run(t, args), a1), "systemctl enable --now natd.service\n")
	if !ok || packages.MatchString(before) || !packages.MatchString(after) || !strings.Contains(after, "systemd-run --no-block") {
		t.Errorf("the CloudWatch agent is not installed last and in the background:\n%s", after)
	}
}

func TestElasticIPsOfOnesOwnAreUsedAndNoneAreMade(t *testing.T) {
	args := newArgs("ab")
	for i, zone := range []string{"eu-west-1a", "eu-west-1b"} {
		z := args.Zones[zone]
		z.AllocationID, z.Standby.AllocationID = []string{"eipalloc-00000001", "eipalloc-00000002"}[i], []string{"eipalloc-00000003", "eipalloc-00000004"}[i]
		args.Zones[zone] = z
	}
	made := run(t, args)
	if n := len(made.Named(eipType)); n > 0 {
		t.Errorf("%d Elastic IPs are made", n)
	}
	for zone, want := range map[string][2]string{"eu-west-1a": {"eipalloc-00000001", "eipalloc-00000003"}, "eu-west-1b": {"eipalloc-00000002", "eipalloc-00000004"}} {
		if text := script(t, made, zone); !strings.Contains(text, `"allocationId": "`+want[0]+`"`) {
			t.Errorf("the instance of %s does not know %s:\n%s", zone, want[0], text)
		}
		if got := inputs(t, made, gatewayType, "egress-standby-"+zone)["allocationId"]; got != want[1] {
			t.Errorf("the standby of %s has %v, want %s", zone, got, want[1])
		}
	}
}

func TestHeartbeatsAndLifetimeAreAsGiven(t *testing.T) {
	args := newArgs("a")
	args.Instance.LaunchHeartbeat, args.Instance.TerminateHeartbeat = 9*time.Minute, 2*time.Minute
	args.Rotation.Lifetime = 30 * 24 * time.Hour
	made := run(t, args)
	if got := inputs(t, made, groupType, "egress-group-"+a1)["maxInstanceLifetime"]; got != 2592000.0 {
		t.Errorf("lifetime %v", got)
	}
	for name, want := range map[string]float64{"launch-hook": 540, "terminate-hook": 120} {
		if got := inputs(t, made, hookType, "egress-"+name+"-"+a1)["heartbeatTimeout"]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	args = newArgs("a")
	args.Rotation.Off = true
	if got := inputs(t, run(t, args), groupType, "egress-group-"+a1)["maxInstanceLifetime"]; got != 0.0 {
		t.Errorf("switched off: lifetime %v", got)
	}
}

func TestSessionManagerIsOnUnlessItIsTurnedOff(t *testing.T) {
	for _, off := range []bool{false, true} {
		args := newArgs("a")
		args.Instance.NoSSM = off
		if got := slices.Contains(policyOf(t, run(t, args), "instance", a1).Actions(), "ssmmessages:OpenDataChannel"); got == off {
			t.Errorf("noSsm %v: sessions allowed: %v", off, got)
		}
	}
}

func TestTheNamesInTheCloudBeginAsGiven(t *testing.T) {
	args := newArgs("a")
	args.PhysicalName = "egress-of-shop"
	made, counted := run(t, args), map[string]int{}
	for _, typ := range []string{groupType, functionType, "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile", "aws:cloudwatch/eventRule:EventRule"} {
		for name, o := range made.Named(typ) {
			counted[typ]++
			if !strings.HasPrefix(o.Inputs["name"].(string), "egress-of-shop-") {
				t.Errorf("%s is called %v", name, o.Inputs["name"])
			}
		}
		if counted[typ] == 0 {
			t.Errorf("there is no %s", typ)
		}
	}
}

func TestTheGroupPublishesItsMetrics(t *testing.T) {
	group := inputs(t, run(t, newArgs("a")), groupType, "egress-group-"+a1)
	metrics, ok := group["enabledMetrics"].([]any)
	if !ok || !slices.Contains(metrics, any("GroupInServiceInstances")) || group["metricsGranularity"] != "1Minute" {
		t.Errorf("metrics %v each %v", metrics, group["metricsGranularity"])
	}
}

func TestAPrebuiltZipAndItsArchitectureReachTheFunctions(t *testing.T) {
	args := newArgs("a")
	args.Failover.Architecture = nat.X8664
	for name, f := range run(t, args).Named(functionType) {
		if diff := cmp.Diff([]any{"x86_64"}, f.Inputs["architectures"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if f.Inputs["code"] == nil || f.Inputs["runtime"] != "provided.al2023" {
			t.Errorf("%s: code %v, runtime %v", name, f.Inputs["code"], f.Inputs["runtime"])
		}
	}
}

func TestLogsAreKeptForAMonthUnlessToldOtherwise(t *testing.T) {
	for days, want := range map[int]float64{0: 30, 90: 90} {
		args := newArgs("a")
		args.Observability.LogRetentionDays = days
		groups := run(t, args).Named("aws:cloudwatch/logGroup:LogGroup")
		if len(groups) != 2 {
			t.Errorf("%d log groups, want one for each function", len(groups))
		}
		for name, o := range groups {
			if o.Inputs["retentionInDays"] != want {
				t.Errorf("%s: kept for %v days, want %v", name, o.Inputs["retentionInDays"], want)
			}
		}
	}
}

func TestFurtherDestinationsGetRoutesOfTheirOwn(t *testing.T) {
	args := newArgs("a")
	args.Destinations, args.NAT64 = []string{"198.51.100.0/24"}, true
	got := map[string]bool{}
	for _, o := range run(t, args).Named(routeType) {
		for _, key := range []string{"destinationCidrBlock", "destinationIpv6CidrBlock"} {
			if d, ok := o.Inputs[key].(string); ok && o.Inputs["routeTableId"] == "rtb-app-a" {
				got[d] = true
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{"0.0.0.0/0": true, "198.51.100.0/24": true, "64:ff9b::/96": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
