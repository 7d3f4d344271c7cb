package aws_test

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

type o = map[string]any

// Types of the provider that the tests use.
const (
	vpcType         = "aws:ec2/vpc:Vpc"
	subnetType      = "aws:ec2/subnet:Subnet"
	tableType       = "aws:ec2/routeTable:RouteTable"
	routeType       = "aws:ec2/route:Route"
	associationType = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	internetType    = "aws:ec2/internetGateway:InternetGateway"
	eipType         = "aws:ec2/eip:Eip"
	natType         = "aws:ec2/natGateway:NatGateway"
	groupType       = "aws:ec2/securityGroup:SecurityGroup"
	ingressType     = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	egressType      = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	templateType    = "aws:ec2/launchTemplate:LaunchTemplate"
	scalingType     = "aws:autoscaling/group:Group"
	reservationType = "aws:ec2/subnetCidrReservation:SubnetCidrReservation"
	functionType    = "aws:lambda/function:Function"
	roleType        = "aws:iam/role:Role"
	ruleType        = "aws:cloudwatch/eventRule:EventRule"
	targetType      = "aws:cloudwatch/eventTarget:EventTarget"
	topicType       = "aws:sns/topic:Topic"
	subscribeType   = "aws:sns/topicSubscription:TopicSubscription"
)

// world is a region with what the tests have made in it, by names of their own.
type world struct {
	testing.TB
	cloud *aws.Cloud
	id    map[string]string
	typ   map[string]string
	in    map[string]o
	order []string
	// suffix of the names in the region, and the name of the Auto Scaling group.
	suffix, zoneName string
}

func newWorld(t testing.TB, opts aws.Options) *world {
	return &world{TB: t, cloud: aws.New(opts), id: map[string]string{}, typ: map[string]string{}, in: map[string]o{}, zoneName: "zone"}
}

// try makes an object as the provider does, defaults filled in.
func (w *world) try(name, typ string, in o) error {
	facts, ok := aws.Schema().Resources[typ]
	if !ok {
		w.Fatalf("%s is not simulated", typ)
	}
	full := o{}
	for property, p := range facts.Inputs {
		if p.Default != nil {
			full[property] = p.Default
		}
	}
	if facts.Autoname != "" {
		full[facts.Autoname] = name + w.suffix
	}
	for property, v := range in {
		full[property] = v
	}
	id, _, err := w.cloud.Create(context.Background(), sim.Request{URN: "urn:pulumi:s::p::" + typ + "::" + name, Type: typ, Inputs: full})
	if id != "" {
		w.id[name], w.typ[name], w.in[name] = id, typ, full
		w.order = append(w.order, name)
	}
	return err
}

func (w *world) make(name, typ string, in o) string {
	w.Helper()
	if err := w.try(name, typ, in); err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return w.id[name]
}

func (w *world) update(name string, change o) error {
	in := o{}
	for k, v := range w.in[name] {
		in[k] = v
	}
	for k, v := range change {
		in[k] = v
	}
	_, err := w.cloud.Update(context.Background(), sim.Request{Type: w.typ[name], ID: w.id[name], Inputs: in, Old: w.in[name]})
	if err == nil {
		w.in[name] = in
	}
	return err
}

func (w *world) delete(name string) error {
	return w.cloud.Delete(context.Background(), sim.Request{Type: w.typ[name], ID: w.id[name], Inputs: w.in[name]})
}

func (w *world) read(name string) o {
	w.Helper()
	_, out, ok, err := w.cloud.Read(context.Background(), w.typ[name], w.id[name])
	if err != nil || !ok {
		w.Fatalf("read %s: %v, found: %v", name, err, ok)
	}
	return out
}

// network makes a VPC with a public and a private subnet.
func (w *world) network() *world {
	w.make("vpc", vpcType, o{"cidrBlock": "10.0.0.0/16"})
	w.make("igw", internetType, o{"vpcId": w.id["vpc"]})
	w.make("public", subnetType, o{"vpcId": w.id["vpc"], "cidrBlock": "10.0.0.0/24", "availabilityZone": "us-east-1a", "mapPublicIpOnLaunch": true})
	w.make("private", subnetType, o{"vpcId": w.id["vpc"], "cidrBlock": "10.0.1.0/24", "availabilityZone": "us-east-1a"})
	for _, name := range []string{"public", "private"} {
		w.make(name+"-table", tableType, o{"vpcId": w.id["vpc"]})
		w.make(name+"-association", associationType, o{"routeTableId": w.id[name+"-table"], "subnetId": w.id[name]})
	}
	w.make("public-route", routeType, o{"routeTableId": w.id["public-table"], "destinationCidrBlock": "0.0.0.0/0", "gatewayId": w.id["igw"]})
	w.make("sg", groupType, o{"vpcId": w.id["vpc"]})
	w.make("in", ingressType, o{"securityGroupId": w.id["sg"], "ipProtocol": "-1", "cidrIpv4": "10.0.0.0/16"})
	w.make("out", egressType, o{"securityGroupId": w.id["sg"], "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"})
	return w
}

// standby gives the network a standby gateway, to which the private subnet's route leads.
func (w *world) standby() *world {
	w.make("standby-eip", eipType, o{"domain": "vpc"})
	w.make("nat", natType, o{"subnetId": w.id["public"], "allocationId": w.id["standby-eip"]})
	w.make("route", routeType, o{"routeTableId": w.id["private-table"], "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": w.id["nat"]})
	return w
}

const zoneAddress = "10.0.0.250"

// userData is that of an instance of the zone.
func (w *world) userData(change func(*natzone.Agent)) string {
	a := natzone.Agent{
		Version: natzone.Version, Name: "egress", Zone: "us-east-1a", Region: "us-east-1", AllocationID: w.id["eip"], Address: netip.MustParseAddr(zoneAddress),
		PublicAddress: netip.MustParseAddr("203.0.113.7"), Targets: []natzone.Target{"http://198.51.100.1/"}, MetricNamespace: natzone.MetricNamespace,
		RouteTables: []string{w.id["private-table"]}, Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Standby: w.id["nat"], Group: w.zoneName,
		LaunchHook: natzone.LaunchHook, TerminateHook: natzone.TerminateHook, Tuning: natzone.DefaultTuning(), Restore: natzone.DefaultRestore(), HealthPort: natzone.HealthPort,
	}
	if change != nil {
		change(&a)
	}
	doc, err := a.JSON()
	if err != nil {
		w.Fatal(err)
	}
	script := "#!/bin/bash\ncat >" + natzone.AgentFile + " <<'" + natzone.AgentMarker + "'\n" + string(doc) + "\n" + natzone.AgentMarker + "\n"
	return base64.StdEncoding.EncodeToString([]byte(script))
}

// template is that of the zone's instances.
func (w *world) template(userData string) o {
	return o{
		"imageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "instanceType": "c6gn.medium", "userData": userData,
		"networkInterfaces": []any{o{"associatePublicIpAddress": "true", "securityGroups": []any{w.id["sg"]}}},
		"metadataOptions":   o{"httpTokens": "required", "httpPutResponseHopLimit": 1.0, "instanceMetadataTags": "enabled"},
	}
}

// group is the zone's Auto Scaling group.
func (w *world) group() o {
	return o{
		"name": w.zoneName, "minSize": 1.0, "maxSize": 1.0, "desiredCapacity": 1.0, "vpcZoneIdentifiers": []any{w.id["public"]},
		"launchTemplate": o{"id": w.id["template"], "version": "1"}, "healthCheckGracePeriod": 0.0, "defaultInstanceWarmup": 0.0, "maxInstanceLifetime": 86400.0,
		"instanceMaintenancePolicy": o{"minHealthyPercentage": 100.0, "maxHealthyPercentage": 200.0},
		"instanceRefresh":           o{"strategy": "Rolling"},
		"initialLifecycleHooks": []any{
			o{"name": natzone.LaunchHook, "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "defaultResult": "ABANDON", "heartbeatTimeout": 300.0},
			o{"name": natzone.TerminateHook, "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "defaultResult": "CONTINUE", "heartbeatTimeout": 300.0},
		},
	}
}

// zone makes a whole zone: standby, address, instance and controller.
func (w *world) zone() *world {
	w.network().standby().controller()
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("reservation", reservationType, o{"subnetId": w.id["public"], "cidrBlock": zoneAddress + "/32", "reservationType": "explicit"})
	w.make("template", templateType, w.template(w.userData(nil)))
	w.make("group", scalingType, w.group())
	return w
}

// controller makes the zone's controller and the rule that starts it.
func (w *world) controller() {
	w.make("role", roleType, o{"assumeRolePolicy": "{}"})
	doc := `{"version": 1, "name": "egress", "zone": "us-east-1a", "region": "us-east-1", "routeTables": ["` + w.id["private-table"] + `"], "destinations": ["0.0.0.0/0"], "standby": "` +
		w.id["nat"] + `", "group": "` + w.zoneName + `", "terminateHook": "` + natzone.TerminateHook + `", "targets": [], "proberFunction": "p", "stateParameter": "s", "metricNamespace": "polynat", "healing": {"dwell": "5m", "pause": "30m"}}`
	w.make("controller", functionType, o{
		"role": w.read("role")["arn"], "runtime": "provided.al2023", "handler": "bootstrap", "environment": o{"variables": o{natzone.ControllerVariable: doc}},
	})
	w.make("rule", ruleType, o{"eventPattern": `{"source": ["aws.ec2", "aws.autoscaling"]}`})
	w.make("target", targetType, o{"rule": w.id["rule"], "arn": w.read("controller")["arn"]})
}

// way is the way out of the private subnet.
func (w *world) way() aws.Way {
	w.Helper()
	for _, way := range w.cloud.WaysOut(w.id["vpc"]) {
		if way.Subnet == w.id["private"] && way.Destination.Bits() == 0 {
			return way
		}
	}
	w.Fatal("the private subnet has no way at all")
	return aws.Way{}
}

// instance is the one that is in service.
func (w *world) instance() string {
	w.Helper()
	all, err := w.cloud.DescribeAutoScalingInstances()
	if err != nil {
		w.Fatal(err)
	}
	for _, i := range all {
		if i.LifecycleState == "InService" {
			return i.InstanceID
		}
	}
	w.Fatalf("none is in service: %+v", all)
	return ""
}

// watch fails the test when a way out is lost.
func (w *world) watch() *world {
	traffic := aws.NewTraffic(w.cloud)
	w.cloud.OnChange = func() {
		for _, lost := range traffic.Observe() {
			w.Errorf("lost: %s", lost)
		}
	}
	return w
}

func TestAZoneClaimsAndRotatesWithoutLoss(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	first, way := w.instance(), w.way()
	if way.Hop != aws.HopInstance || way.Target != first || !way.Works || way.Egress.String() != w.read("eip")["publicIp"] {
		t.Fatalf("after the deployment: %s", way)
	}
	w.watch()
	if err := w.update("template", w.template(w.userData(func(a *natzone.Agent) { a.MetricNamespace = "other" }))); err != nil {
		t.Fatal(err)
	}
	if got := w.read("template")["latestVersion"]; got != 2.0 {
		t.Fatalf("latest version is %v", got)
	}
	if err := w.update("group", o{"launchTemplate": o{"id": w.id["template"], "version": "2"}}); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(10 * time.Minute)
	second := w.instance()
	if way := w.way(); second == first || way.Target != second || !way.Works || way.Egress.String() != w.read("eip")["publicIp"] {
		t.Errorf("after the refresh: %s (was %s)", way, first)
	}
	w.cloud.Advance(25 * time.Hour)
	if third := w.instance(); third == second {
		t.Error("the maximum lifetime did not replace the instance")
	}
}

func TestDestroyLeavesNothing(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	for i := len(w.order) - 1; i >= 0; i-- {
		if err := w.delete(w.order[i]); err != nil {
			t.Fatalf("%s: %v", w.order[i], err)
		}
	}
	if vpcs := w.cloud.VPCs(); len(vpcs) > 0 {
		t.Error(vpcs)
	}
	if addresses, _ := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{}); len(addresses) > 0 {
		t.Error(addresses)
	}
}

func TestASilentDeathFailsOverAndIsHealed(t *testing.T) {
	w := newWorld(t, aws.Options{}).zone()
	first := w.instance()
	if err := w.cloud.Break(first, aws.FaultDead); err != nil {
		t.Fatal(err)
	}
	if way := w.way(); way.Works {
		t.Errorf("a dead instance works: %s", way)
	}
	w.cloud.Advance(2 * time.Second)
	if way := w.way(); way.Hop != aws.HopGateway || !way.Works {
		t.Errorf("2 s later: %s", way)
	}
	out := w.read("route")
	if out["natGatewayId"] != w.id["nat"] {
		t.Errorf("the route is read as %v", out)
	}
	w.cloud.Advance(10 * time.Minute)
	if way := w.way(); way.Hop != aws.HopInstance || !way.Works || way.Target == first || strings.Contains(way.Why, "no") {
		t.Errorf("10 minutes later: %s", way)
	}
}
