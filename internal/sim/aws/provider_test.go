package aws_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"

	"polynat/internal/natzone"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

// check asks the provider to check inputs, and returns what it refuses.
func check(t *testing.T, typ string, in o) string {
	t.Helper()
	news, err := structpb.NewStruct(in)
	if err != nil {
		t.Fatal(err)
	}
	server := sim.NewServer(aws.Schema(), aws.New(aws.Options{}))
	answer, err := server.Check(context.Background(), &pulumirpc.CheckRequest{Urn: "urn:pulumi:s::p::" + typ + "::name", Type: typ, News: news})
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, f := range answer.GetFailures() {
		reasons = append(reasons, f.GetProperty()+": "+f.GetReason())
	}
	return strings.Join(reasons, "\n")
}

func TestInputsAreCheckedToTheirDepth(t *testing.T) {
	for name, test := range map[string]struct {
		typ  string
		in   o
		want string
	}{
		"unknown":        {vpcType, o{"cidrBlok": "10.0.0.0/16"}, "cidrBlok"},
		"missing":        {subnetType, o{}, "vpcId: missing"},
		"wrong type":     {scalingType, o{"minSize": "1", "maxSize": 1.0}, "minSize"},
		"nested unknown": {templateType, o{"networkInterfaces": []any{o{"sourceDestCheck": false}}}, "networkInterfaces[0].sourceDestCheck"},
		"nested missing": {scalingType, o{"minSize": 1.0, "maxSize": 1.0, "initialLifecycleHooks": []any{o{"name": "x"}}}, "initialLifecycleHooks[0].lifecycleTransition: missing"},
		"nested value":   {templateType, o{"metadataOptions": o{"httpTokens": "perhaps"}}, "metadataOptions.httpTokens"},
		"deeply nested":  {scalingType, o{"minSize": 1.0, "maxSize": 1.0, "mixedInstancesPolicy": o{"launchTemplate": o{"overrides": []any{}}}}, "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification: missing"},
		"value":          {natType, o{"subnetId": "subnet-1", "connectivityType": "both"}, "connectivityType"},
		"both":           {scalingType, o{"minSize": 1.0, "maxSize": 1.0, "name": "a", "namePrefix": "b"}, "conflicts with namePrefix"},
		"runtime":        {functionType, o{"role": "r", "runtime": "go1.x"}, "runtime"},
	} {
		if got := check(t, test.typ, test.in); !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q in it", name, got, test.want)
		}
	}
	if got := check(t, natType, o{"subnetId": "subnet-1", "allocationId": "eipalloc-1"}); got != "" {
		t.Errorf("good inputs are refused: %s", got)
	}
}

func TestALookupAnswersWithWhatIsThere(t *testing.T) {
	w := newWorld(t, aws.Options{Region: "eu-west-1", Zones: []string{"us-east-1a", "us-east-1b"}}).network().standby()
	if err := w.update("private", o{"tags": o{"Name": "app", "tier": "private"}}); err != nil {
		t.Fatal(err)
	}
	filter := func(name string, values ...any) []any { return []any{o{"name": name, "values": values}} }
	for _, test := range []struct {
		token    string
		args     o
		property string
		want     any
	}{
		{"index/getRegion:getRegion", o{}, "name", "eu-west-1"},
		{"index/getPartition:getPartition", o{}, "partition", "aws"},
		{"index/getPartition:getPartition", o{}, "reverseDnsPrefix", "com.amazonaws"},
		{"index/getCallerIdentity:getCallerIdentity", o{}, "accountId", "123456789012"},
		{"index/getAvailabilityZones:getAvailabilityZones", o{"state": "available"}, "names", []any{"us-east-1a", "us-east-1b"}},
		{"ec2/getVpc:getVpc", o{"id": w.id["vpc"]}, "cidrBlock", "10.0.0.0/16"},
		{"ec2/getVpc:getVpc", o{"filters": filter("cidr-block", "10.0.0.0/16")}, "id", w.id["vpc"]},
		{"ec2/getSubnet:getSubnet", o{"tags": o{"Name": "app"}}, "id", w.id["private"]},
		{"ec2/getSubnet:getSubnet", o{"id": w.id["public"]}, "mapPublicIpOnLaunch", true},
		{"ec2/getSubnets:getSubnets", o{"filters": filter("vpc-id", w.id["vpc"])}, "ids", []any{w.id["public"], w.id["private"]}},
		{"ec2/getSubnets:getSubnets", o{"filters": filter("tag:tier", "priv*")}, "ids", []any{w.id["private"]}},
		{"ec2/getRouteTable:getRouteTable", o{"subnetId": w.id["private"]}, "id", w.id["private-table"]},
		{"ec2/getRouteTables:getRouteTables", o{"vpcId": w.id["vpc"], "filters": filter("association.main", "true")}, "ids", []any{w.read("vpc")["mainRouteTableId"]}},
		{"ec2/getNatGateway:getNatGateway", o{"subnetId": w.id["public"]}, "state", "available"},
		{"ec2/getElasticIp:getElasticIp", o{"id": w.id["standby-eip"]}, "publicIp", w.read("standby-eip")["publicIp"]},
		{"ec2/getEips:getEips", o{}, "allocationIds", []any{w.id["standby-eip"]}},
		{"ec2/getInstanceType:getInstanceType", o{"instanceType": "t4g.nano"}, "maximumIpv4AddressesPerInterface", 2.0},
		{"ec2/getInstanceType:getInstanceType", o{"instanceType": "c6gn.large"}, "supportedArchitectures", []any{"arm64"}},
		{"ec2/getAmi:getAmi", o{"filters": filter("architecture", "arm64")}, "architecture", "arm64"},
		{"ssm/getParameter:getParameter", o{"name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"}, "type", "String"},
		{"iam/getPolicyDocument:getPolicyDocument", o{"statements": []any{o{"actions": []any{"ec2:DescribeRouteTables"}, "resources": []any{"*"}}}}, "minifiedJson",
			`{"Statement":[{"Effect":"Allow","Action":"ec2:DescribeRouteTables","Resource":"*"}],"Version":"2012-10-17"}`},
	} {
		got, err := w.cloud.Invoke(context.Background(), "aws:"+test.token, test.args)
		if err != nil || !reflect.DeepEqual(got[test.property], test.want) {
			t.Errorf("%s %v: %s is %v (%v), want %v", test.token, test.args, test.property, got[test.property], err, test.want)
		}
		for _, name := range aws.Schema().Functions["aws:"+test.token].Result {
			if _, ok := got[name]; !ok && !slices.Contains([]string{"filters", "tags"}, name) && aws.Schema().Functions["aws:"+test.token].Args[name].Type == "" {
				t.Errorf("%s: the result has no %s", test.token, name)
			}
		}
	}
	for token, args := range map[string]o{
		"ec2/getVpc:getVpc": {"id": "vpc-none"}, "ec2/getSubnet:getSubnet": {"filters": filter("vpc-id", w.id["vpc"])},
		"ec2/getInstanceType:getInstanceType": {"instanceType": "c99.large"}, "ssm/getParameter:getParameter": {"name": "none"},
		"ec2/getRouteTable:getRouteTable": {"subnetId": "subnet-none"},
	} {
		if got, err := w.cloud.Invoke(context.Background(), "aws:"+token, args); err == nil {
			t.Errorf("%s %v: got %v", token, args, got)
		}
	}
}

func TestPartitionsHaveTheirOwnNames(t *testing.T) {
	for region, want := range map[string]string{"cn-north-1": "arn:aws-cn:", "us-gov-west-1": "arn:aws-us-gov:", "eu-west-1": "arn:aws:"} {
		w := newWorld(t, aws.Options{Region: region})
		w.make("topic", topicType, o{})
		if got := w.id["topic"]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestAGroupsInitialHooksAreNotChangedAfterwards(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	in := w.group()
	in["initialLifecycleHooks"] = []any{}
	if err := w.update("group", in); err != nil {
		t.Fatal(err)
	}
	events := w.events()
	if _, err := w.cloud.StartInstanceRefresh(aws.StartInstanceRefreshInput{AutoScalingGroupName: "zone", MinHealthyPercentage: -1, MaxHealthyPercentage: -1}); err != nil {
		t.Fatal(err)
	}
	_, err := w.cloud.StartInstanceRefresh(aws.StartInstanceRefreshInput{AutoScalingGroupName: "zone"})
	refused(t, err, "InstanceRefreshInProgress", "")
	w.cloud.Advance(10 * time.Minute)
	if !slices.ContainsFunc(*events, func(e aws.Event) bool { return e.DetailType == "EC2 Instance-launch Lifecycle Action" }) {
		t.Error("the hooks are gone")
	}
	if !slices.ContainsFunc(*events, func(e aws.Event) bool { return e.DetailType == "EC2 Auto Scaling Instance Refresh Succeeded" }) {
		t.Error("the refresh did not end")
	}
}

func TestWrongGroupsAndTemplatesAreRefused(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	w.make("template", templateType, w.template(""))
	for name, change := range map[string]o{
		"lifetime":  {"maxInstanceLifetime": 3600.0},
		"policy":    {"instanceMaintenancePolicy": o{"minHealthyPercentage": 50.0, "maxHealthyPercentage": 200.0}},
		"size":      {"minSize": 2.0},
		"subnet":    {"vpcZoneIdentifiers": []any{"subnet-none"}},
		"version":   {"launchTemplate": o{"id": w.id["template"], "version": "7"}},
		"heartbeat": {"initialLifecycleHooks": []any{o{"name": "x", "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "heartbeatTimeout": 29.0}}},
	} {
		in := w.group()
		for k, v := range change {
			in[k] = v
		}
		if err := w.try(name, scalingType, in); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	for name, change := range map[string]o{
		"type": {"instanceType": "c99.large"}, "user data": {"userData": "not base64!"}, "long": {"userData": strings.Repeat("AAAA", 6000)},
		"group": {"networkInterfaces": []any{o{"securityGroups": []any{"sg-none"}}}}, "both": {"vpcSecurityGroupIds": []any{w.id["sg"]}},
		"timeout":    {"networkInterfaces": []any{o{"connectionTrackingSpecification": o{"tcpEstablishedTimeout": 59.0}}}},
		"UDP":        {"networkInterfaces": []any{o{"connectionTrackingSpecification": o{"udpTimeout": 61.0}}}},
		"UDP stream": {"networkInterfaces": []any{o{"connectionTrackingSpecification": o{"udpStreamTimeout": 181.0}}}},
	} {
		in := w.template("")
		for k, v := range change {
			in[k] = v
		}
		if err := w.try(name, templateType, in); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	w.make("amd64", templateType, func() o { in := w.template(""); in["instanceType"] = "t3.micro"; return in }())
	in := w.group()
	in["launchTemplate"], in["waitForCapacityTimeout"] = o{"id": w.id["amd64"], "version": "1"}, "1m"
	if err := w.try("architectures", scalingType, in); err == nil || !strings.Contains(err.Error(), "architecture") {
		t.Errorf("an arm64 image on a t3.micro: %v", err)
	}
}

func TestIPv6GoesOutThroughNAT64(t *testing.T) {
	w := newWorld(t, aws.Options{}).network().standby()
	if err := w.update("vpc", o{"assignGeneratedIpv6CidrBlock": true}); err != nil {
		t.Fatal(err)
	}
	block := strings.TrimSuffix(w.read("vpc")["ipv6CidrBlock"].(string), "00::/56")
	w.make("six", subnetType, o{"vpcId": w.id["vpc"], "cidrBlock": "10.0.2.0/24", "ipv6CidrBlock": block + "01::/64", "availabilityZone": "us-east-1a"})
	w.make("six-association", associationType, o{"routeTableId": w.id["private-table"], "subnetId": w.id["six"]})
	w.make("route64", routeType, o{"routeTableId": w.id["private-table"], "destinationIpv6CidrBlock": "64:ff9b::/96", "natGatewayId": w.id["nat"]})
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("template", templateType, w.template(w.userData(func(a *natzone.Agent) {
		a.NAT64, a.Destinations = true, append(a.Destinations, natzone.NAT64Prefix())
	})))
	w.make("group", scalingType, w.group())
	hops := map[string]aws.Hop{}
	for _, way := range w.cloud.WaysOut(w.id["vpc"]) {
		if !way.Works {
			t.Errorf("%s", way)
		}
		if way.Subnet == w.id["six"] {
			hops[way.Destination.String()] = way.Hop
		}
	}
	if hops["64:ff9b::/96"] != aws.HopInstance || hops["0.0.0.0/0"] != aws.HopInstance {
		t.Errorf("the ways are %v", hops)
	}
}

func TestAnIdleFunctionInAVPCBecomesInactive(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	w.make("role", roleType, o{"assumeRolePolicy": "{}"})
	in := o{"role": w.read("role")["arn"], "runtime": "provided.al2023", "handler": "bootstrap", "vpcConfig": o{"subnetIds": []any{w.id["private"]}, "securityGroupIds": []any{w.id["sg"]}}}
	w.make("idle", functionType, in)
	w.make("busy", functionType, in)
	w.make("schedule", ruleType, o{"scheduleExpression": "rate(1 minute)"})
	w.make("target", targetType, o{"rule": w.id["schedule"], "arn": w.read("busy")["arn"]})
	w.cloud.Advance(15 * 24 * time.Hour)
	states := map[string]string{}
	for _, f := range w.cloud.Functions() {
		states[f.Name] = f.State
	}
	if states["idle"] != "Inactive" || states["busy"] != "Active" {
		t.Errorf("states: %v", states)
	}
	refused(t, w.cloud.InvokeFunction("idle"), "ResourceConflictException", "")
	w.cloud.Advance(5 * time.Minute)
	if err := w.cloud.InvokeFunction(w.read("idle")["arn"].(string)); err != nil {
		t.Errorf("after it was attached again: %v", err)
	}
}

func TestARebootedInstanceComesBack(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	id := w.instance()
	if err := w.cloud.RebootInstances(id); err != nil {
		t.Fatal(err)
	}
	if way := w.way(); way.Works {
		t.Error("nothing runs, and it forwards")
	}
	w.cloud.Advance(time.Minute)
	if way := w.way(); !way.Works || way.Target != id || w.instance() != id {
		t.Errorf("after the reboot: %s", way)
	}
}

func TestARepairedInstanceClaimsBackAfterItsDwell(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	id := w.instance()
	if err := w.cloud.Break(id, aws.FaultForwarding); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(10 * time.Second)
	if err := w.cloud.Repair(id, aws.FaultForwarding); err != nil {
		t.Fatal(err)
	}
	w.watch()
	w.cloud.Advance(time.Minute)
	if way := w.way(); way.Hop != aws.HopGateway {
		t.Errorf("before the dwell: %s", way)
	}
	w.cloud.Advance(15 * time.Minute)
	if way := w.way(); way.Target != id || !way.Works {
		t.Errorf("after it: %s", way)
	}
}

func TestManyMayCallAtOnce(t *testing.T) {
	w := newWorld(t, aws.Options{NoThrottling: true}).zone()
	w.cloud.OnChange = func() { w.cloud.WaysOut(w.id["vpc"]) }
	w.cloud.OnEvent = func(aws.Event) { w.cloud.Now() }
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				tables, err := w.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{})
				if err != nil || len(tables) == 0 {
					t.Error(err)
				}
				for _, i := range w.cloud.Instances() {
					w.cloud.Metadata(i.InstanceID, "meta-data/")
				}
				if _, err := w.cloud.Save(); err != nil {
					t.Error(err)
				}
				w.cloud.Advance(30 * time.Minute)
			}
		})
	}
	all.Wait()
	if way := w.way(); !way.Works {
		t.Error(way)
	}
}

func TestARealClockNeedsNobodyToMoveIt(t *testing.T) {
	began := time.Now()
	w := newWorld(t, aws.Options{
		Clock: time.Now, Agent: aws.AgentSimulated, BootTime: time.Millisecond, AgentTime: time.Millisecond, GatewayTime: time.Millisecond, MetadataLag: -1,
	}).zone()
	if way := w.way(); !way.Works || way.Hop != aws.HopInstance {
		t.Errorf("%s", way)
	}
	if now := w.cloud.Now(); now.Before(began) || now.After(time.Now()) {
		t.Errorf("its time is %s", now)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	claimed := make(chan bool, 1)
	first := w.instance()
	w.cloud.OnChange = func() {
		for _, way := range w.cloud.WaysOut(w.id["vpc"]) {
			if way.Works && way.Hop == aws.HopInstance && way.Target != first {
				select {
				case claimed <- true:
				default:
				}
			}
		}
	}
	go func() { w.cloud.Run(ctx); close(ended) }()
	if _, err := w.cloud.StartInstanceRefresh(aws.StartInstanceRefreshInput{AutoScalingGroupName: "zone", MinHealthyPercentage: -1, MaxHealthyPercentage: -1}); err != nil {
		t.Fatal(err)
	}
	<-claimed
	cancel()
	<-ended
}

// A machine that has much else to do looks at its clock late: here an hour later each time, of which a NAT gateway is given a quarter.
func TestWhatIsDueBeforeADeadlineIsDoneHoweverLateTheClockIsLookedAt(t *testing.T) {
	var looks atomic.Int64
	began := time.Now()
	w := newWorld(t, aws.Options{Clock: func() time.Time { return began.Add(time.Duration(looks.Add(1)) * time.Hour) }}).network().standby()
	if way := w.way(); !way.Works || way.Hop != aws.HopGateway {
		t.Errorf("%s", way)
	}
}

func TestTheMetadataTreeIsListed(t *testing.T) {
	w := external(t, nil, nil)
	id := w.instance()
	for path, want := range map[string]string{
		"meta-data/placement/": "availability-zone\navailability-zone-id\nregion", "meta-data/placement/region": "us-east-1",
		"meta-data/tags/instance": "aws:autoscaling:groupName", "meta-data/instance-type": "c6gn.medium", "meta-data/placement/availability-zone-id": "use1-az1",
		"meta-data/network/interfaces/macs/": w.eniOf(id).MacAddress + "/",
	} {
		if got, ok := w.cloud.Metadata(id, path); !ok || got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	for _, path := range []string{"meta-data/spot/instance-action", "meta-data/none", "user-data", "other"} {
		if got, ok := w.cloud.Metadata(id, path); ok {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestParametersAndMetricsAreKept(t *testing.T) {
	w := newWorld(t, aws.Options{})
	w.make("state", "aws:ssm/parameter:Parameter", o{"name": "/polynat/state", "type": "String", "value": "{}"})
	if n, err := w.cloud.PutParameter(aws.PutParameterInput{Name: "/polynat/state", Value: `{"a": 1}`, Overwrite: true}); err != nil || n != 2 {
		t.Errorf("version %d, %v", n, err)
	}
	for range 99 {
		if _, err := w.cloud.PutParameter(aws.PutParameterInput{Name: "/polynat/state", Value: `{"a": 1}`, Overwrite: true}); err != nil {
			t.Error(err)
		}
	}
	if p, err := w.cloud.GetParameter("/polynat/state:2"); err != nil || p.Value != `{"a": 1}` || p.Version != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	_, err := w.cloud.GetParameter("/polynat/state:1") // the hundred and first from the end
	refused(t, err, "ParameterVersionNotFound", "")
	_, err = w.cloud.PutParameter(aws.PutParameterInput{Name: "/polynat/state", Value: "x"})
	refused(t, err, "ParameterAlreadyExists", "")
	if p, err := w.cloud.GetParameter("/polynat/state"); err != nil || p.Value != `{"a": 1}` || w.read("state")["value"] != p.Value {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = w.cloud.GetParameter("/none")
	refused(t, err, "ParameterNotFound", "")
	if err := w.cloud.PutMetricData(aws.Datum{Namespace: "polynat", MetricName: "Ready", Value: 1}); err != nil || len(w.cloud.Metrics()) != 1 {
		t.Error(err, w.cloud.Metrics())
	}
	w.make("topic", topicType, o{})
	if _, err := w.cloud.Publish(aws.PublishInput{TopicARN: w.id["topic"], Message: "m"}); err != nil || len(w.cloud.Published()) != 1 {
		t.Error(err, w.cloud.Published())
	}
}

func TestPatternsMatchAsEventBridgesDo(t *testing.T) {
	for pattern, want := range map[string]bool{
		`{"source": ["aws.ec2"]}`:                                                                 true,
		`{"source": ["aws.autoscaling"]}`:                                                         false,
		`{"source": ["aws.ec2"], "detail": {"state": ["running", "pending"]}}`:                    true,
		`{"detail": {"state": [{"anything-but": ["pending", "running"]}]}}`:                       false,
		`{"detail-type": [{"prefix": "EC2 Instance State"}]}`:                                     true,
		`{"resources": [{"wildcard": "arn:aws:ec2:*:instance/*"}]}`:                               true,
		`{"detail": {"nothing": [{"exists": false}]}}`:                                            true,
		`{"detail": {"nothing": ["x"]}}`:                                                          false,
		`{"$or": [{"source": ["aws.health"]}, {"source": ["aws.ec2"], "region": ["us-east-1"]}]}`: true,
		`{"$or": [{"source": ["aws.health"]}, {"region": ["eu-west-1"]}]}`:                        false,
	} {
		w := newWorld(t, aws.Options{Agent: aws.AgentNone}).network()
		w.make("rule", ruleType, o{"eventPattern": pattern})
		w.make("target", targetType, o{"rule": w.id["rule"], "arn": "arn:aws:sqs:us-east-1:123456789012:q"})
		events := w.events()
		w.make("template", templateType, w.template(""))
		w.make("group", scalingType, func() o { in := w.group(); delete(in, "initialLifecycleHooks"); return in }())
		i := slices.IndexFunc(*events, func(e aws.Event) bool { return e.DetailType == "EC2 Instance State-change Notification" })
		if got := len((*events)[i].Targets) == 1; got != want {
			t.Errorf("%s: matches %v", pattern, got)
		}
	}
	w := newWorld(t, aws.Options{})
	for _, pattern := range []string{`{"source": "aws.ec2"}`, `[]`, `{`, `{"$or": ["x"]}`} {
		refused(t, w.try("rule", ruleType, o{"eventPattern": pattern}), "InvalidEventPatternException", "")
	}
}
