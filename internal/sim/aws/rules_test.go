package aws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/sim/aws"
)

// refused holds an answer against the code, and the text if one is given.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *aws.Error
	if !errors.As(err, &e) || e.Code != code || text != "" && e.Message != text {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

func (w *world) eniOf(instance string) aws.NetworkInterface {
	w.Helper()
	all, err := w.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{Filters: []aws.Filter{{Name: "attachment.instance-id", Values: []string{instance}}}})
	if err != nil || len(all) != 1 {
		w.Fatalf("interfaces of %s: %v, %v", instance, all, err)
	}
	return all[0]
}

// external is a world with one instance on which nothing runs.
func external(t testing.TB, change func(*aws.Options), group o) *world {
	opts := aws.Options{Agent: aws.AgentNone}
	if change != nil {
		change(&opts)
	}
	w := newWorld(t, opts).network().standby()
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("template", templateType, w.template(""))
	in := w.group()
	delete(in, "initialLifecycleHooks")
	for k, v := range group {
		in[k] = v
	}
	w.make("group", scalingType, in)
	return w
}

func TestRouteCallsAreRefusedAsEC2Does(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	table := w.id["private-table"]
	to := aws.RouteInput{RouteTableID: table, DestinationCidrBlock: "0.0.0.0/0", GatewayID: w.id["igw"]}
	refused(t, w.cloud.ReplaceRoute(to), "InvalidParameterValue", "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute instead.")
	refused(t, w.cloud.DeleteRoute(aws.DeleteRouteInput{RouteTableID: table, DestinationCidrBlock: "0.0.0.0/0"}), "InvalidRoute.NotFound",
		"no route with destination-cidr-block 0.0.0.0/0 in route table "+table)
	if err := w.cloud.CreateRoute(to); err != nil {
		t.Fatal(err)
	}
	refused(t, w.cloud.CreateRoute(to), "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.")
	if err := w.cloud.ReplaceRoute(to); err != nil {
		t.Errorf("replace by the same target: %v", err)
	}
	refused(t, w.cloud.DeleteRoute(aws.DeleteRouteInput{RouteTableID: table, DestinationCidrBlock: "10.0.0.0/16"}), "InvalidParameterValue", "")
	refused(t, w.cloud.CreateRoute(aws.RouteInput{RouteTableID: "rtb-0000000000000dead", DestinationCidrBlock: "0.0.0.0/0", GatewayID: w.id["igw"]}), "InvalidRouteTableID.NotFound",
		"The routeTable ID 'rtb-0000000000000dead' does not exist")
	refused(t, w.cloud.CreateRoute(aws.RouteInput{RouteTableID: "table", DestinationCidrBlock: "0.0.0.0/0", GatewayID: w.id["igw"]}), "InvalidRouteTableId.Malformed", "")
	refused(t, w.cloud.CreateRoute(aws.RouteInput{RouteTableID: table, DestinationCidrBlock: "1.0.0.0/8", NetworkInterfaceID: "eni-00000000000000bad"}), "InvalidNetworkInterfaceID.NotFound", "")
	refused(t, w.cloud.CreateRoute(aws.RouteInput{RouteTableID: table, DestinationCidrBlock: "1.0.0.0/8", NatGatewayID: "nat-00000000000000bad"}), "InvalidNatGatewayID.NotFound", "")
	refused(t, w.cloud.CreateRoute(aws.RouteInput{RouteTableID: table, DestinationCidrBlock: "1.0.0.0/8"}), "MissingParameter", "")
	to.DryRun = true
	refused(t, w.cloud.ReplaceRoute(to), "DryRunOperation", "")
	if err := w.cloud.CreateRoute(aws.RouteInput{RouteTableID: table, DestinationCidrBlock: "100.68.0.18/18", GatewayID: w.id["igw"]}); err != nil {
		t.Fatal(err)
	}
	if tables, err := w.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{Filters: []aws.Filter{{Name: "route.destination-cidr-block", Values: []string{"100.68.0.0/18"}}}}); err != nil || len(tables) != 1 {
		t.Errorf("host bits are not taken off: %v, %v", tables, err)
	}
	if _, err := w.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{Filters: []aws.Filter{{Name: "route.network-interface-id", Values: []string{"eni-1"}}}}); err == nil {
		t.Error("there is no filter for a route's interface")
	}
}

func TestWhatIsNotDocumentedAboutRoutesGoesEitherWay(t *testing.T) {
	w := newWorld(t, aws.Options{Unknown: aws.UnknownBehaviours{SameRouteAccepted: true, SameReplaceRefused: true}}).network()
	to := aws.RouteInput{RouteTableID: w.id["public-table"], DestinationCidrBlock: "0.0.0.0/0", GatewayID: w.id["igw"]}
	if err := w.cloud.CreateRoute(to); err != nil {
		t.Error(err)
	}
	refused(t, w.cloud.ReplaceRoute(to), "RouteAlreadyExists", "")
}

func TestARouteIsABlackholeOnlyWhenItsTargetIsGone(t *testing.T) {
	w := external(t, nil, nil)
	id := w.instance()
	if err := w.cloud.ReplaceRoute(aws.RouteInput{RouteTableID: w.id["private-table"], DestinationCidrBlock: "0.0.0.0/0", InstanceID: id}); err != nil {
		t.Fatal(err)
	}
	state := func() string { w.Helper(); return w.read("route")["state"].(string) }
	if out := w.read("route"); out["instanceId"] != id || out["networkInterfaceId"] == "" || out["natGatewayId"] != nil {
		t.Errorf("a route to an instance is read as %v", out)
	}
	if err := w.cloud.Break(id, aws.FaultDead); err != nil || state() != aws.RouteActive {
		t.Errorf("of a sick instance: %s, %v", state(), err)
	}
	if _, err := w.cloud.TerminateInstances(id); err != nil || state() != aws.RouteActive {
		t.Errorf("of one that shuts down: %s, %v", state(), err)
	}
	w.cloud.Advance(time.Minute)
	if state() != aws.RouteBlackhole {
		t.Errorf("of one that is terminated: %s", state())
	}
	if _, err := w.cloud.TerminateInstances(id); err != nil {
		t.Errorf("termination is not idempotent: %v", err)
	}
}

func TestARouteToADeletedGatewayStaysABlackhole(t *testing.T) {
	w := newWorld(t, aws.Options{}).network().standby()
	if err := w.delete("nat"); err != nil {
		t.Fatal(err)
	}
	if got := w.read("route")["state"]; got != aws.RouteBlackhole {
		t.Error(got)
	}
	if way := w.way(); way.Works || way.Hop != aws.HopBlackhole {
		t.Error(way)
	}
	if addresses, _ := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{}); len(addresses) != 1 || addresses[0].AssociationID != "" {
		t.Errorf("its address is freed and not released: %+v", addresses)
	}
}

func TestAnAddressMovesWithoutAWordUnlessItMayNot(t *testing.T) {
	w := external(t, nil, nil)
	eni := w.eniOf(w.instance()).NetworkInterfaceID
	in := aws.AssociateAddressInput{AllocationID: w.id["eip"], NetworkInterfaceID: eni}
	first, err := w.cloud.AssociateAddress(in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.cloud.AssociateAddress(in); err != nil || again != first {
		t.Errorf("the call is idempotent: %s, %v", again, err)
	}
	if _, err := w.cloud.AssignPrivateIPAddresses(aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: eni, PrivateIPAddresses: []string{zoneAddress}}); err != nil {
		t.Fatal(err)
	}
	no := false
	in.PrivateIPAddress, in.AllowReassociation = zoneAddress, &no
	_, err = w.cloud.AssociateAddress(in)
	refused(t, err, "Resource.AlreadyAssociated", "resource "+w.id["eip"]+" is already associated with associate-id "+first)
	in.AllowReassociation = nil
	second, err := w.cloud.AssociateAddress(in)
	if err != nil || second == first {
		t.Errorf("%s, %v", second, err)
	}
	in.PrivateIPAddress = "10.0.0.99"
	_, err = w.cloud.AssociateAddress(in)
	refused(t, err, "InvalidParameterValue", "")
	in.AllocationID = "eipalloc-00000000000000bad"
	_, err = w.cloud.AssociateAddress(in)
	refused(t, err, "InvalidAllocationID.NotFound", "")
}

func TestAnInstanceThatIsPendingTakesNoAddress(t *testing.T) {
	w := external(t, nil, o{"waitForCapacityTimeout": "0", "desiredCapacity": 1.0})
	w.cloud.Advance(time.Second)
	id := w.cloud.Instances()[0].InstanceID
	_, err := w.cloud.AssociateAddress(aws.AssociateAddressInput{AllocationID: w.id["eip"], InstanceID: id})
	refused(t, err, "IncorrectInstanceState", "")
}

func TestAPrivateAddressMovesWithItsElasticIP(t *testing.T) {
	w := external(t, nil, o{"minSize": 2.0, "maxSize": 2.0, "desiredCapacity": 2.0})
	instances := w.cloud.Instances()
	from, to := w.eniOf(instances[0].InstanceID), w.eniOf(instances[1].InstanceID)
	assign := aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: from.NetworkInterfaceID, PrivateIPAddresses: []string{zoneAddress}}
	if _, err := w.cloud.AssignPrivateIPAddresses(assign); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cloud.AssociateAddress(aws.AssociateAddressInput{AllocationID: w.id["eip"], NetworkInterfaceID: from.NetworkInterfaceID, PrivateIPAddress: zoneAddress}); err != nil {
		t.Fatal(err)
	}
	assign.NetworkInterfaceID = to.NetworkInterfaceID
	_, err := w.cloud.AssignPrivateIPAddresses(assign)
	refused(t, err, "InvalidParameterValue", "["+zoneAddress+"] assigned, but move is not allowed.")
	assign.AllowReassignment = true
	w.cloud.Advance(time.Minute)
	if _, err := w.cloud.AssignPrivateIPAddresses(assign); err != nil {
		t.Fatal(err)
	}
	addresses, err := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{AllocationIDs: []string{w.id["eip"]}})
	if err != nil || addresses[0].InstanceID != instances[1].InstanceID || addresses[0].PrivateIPAddress != zoneAddress {
		t.Errorf("the Elastic IP is at %+v, %v", addresses, err)
	}
	list := "meta-data/network/interfaces/macs/" + to.MacAddress + "/local-ipv4s"
	if text, _ := w.cloud.Metadata(instances[1].InstanceID, list); strings.Contains(text, zoneAddress) {
		t.Error("instance metadata shows it at once")
	}
	w.cloud.Advance(time.Second)
	if text, _ := w.cloud.Metadata(instances[1].InstanceID, list); !strings.Contains(text, zoneAddress) {
		t.Errorf("instance metadata does not show it later: %s", text)
	}
	if text, _ := w.cloud.Metadata(instances[0].InstanceID, "meta-data/network/interfaces/macs/"+from.MacAddress+"/local-ipv4s"); strings.Contains(text, zoneAddress) {
		t.Errorf("the one that it was taken from still shows it: %s", text)
	}
	assign.PrivateIPAddresses = []string{from.PrivateIPAddress}
	_, err = w.cloud.AssignPrivateIPAddresses(assign)
	refused(t, err, "InvalidParameterValue", "")
	if err := w.cloud.UnassignPrivateIPAddresses(aws.UnassignPrivateIPAddressesInput{NetworkInterfaceID: to.NetworkInterfaceID, PrivateIPAddresses: []string{zoneAddress}}); err != nil {
		t.Fatal(err)
	}
	if addresses, _ := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{AllocationIDs: []string{w.id["eip"]}}); addresses[0].AssociationID != "" {
		t.Errorf("it is still bound: %+v", addresses[0])
	}
}

func TestTheTypeHasRoomForSoManyAddresses(t *testing.T) {
	w := external(t, nil, nil)
	eni := w.eniOf(w.instance()).NetworkInterfaceID
	_, err := w.cloud.AssignPrivateIPAddresses(aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: eni, SecondaryPrivateIPAddressCount: 4})
	refused(t, err, "PrivateIpAddressLimitExceeded", "")
	out, err := w.cloud.AssignPrivateIPAddresses(aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: eni, SecondaryPrivateIPAddressCount: 3})
	if err != nil || len(out.PrivateIPAddresses) != 3 {
		t.Errorf("a c6gn.medium has four addresses: %v, %v", out, err)
	}
}

func TestTheAutoAssignedAddressGoesWithAnElasticIPOnThePrimary(t *testing.T) {
	for _, released := range []bool{false, true} {
		w := external(t, func(opts *aws.Options) { opts.Unknown.PublicAddressReleased = released }, nil)
		id := w.instance()
		e := w.eniOf(id)
		if e.PrivateIPAddresses[0].PublicIP == "" {
			t.Fatal("no public address was assigned")
		}
		if _, err := w.cloud.AssignPrivateIPAddresses(aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: e.NetworkInterfaceID, PrivateIPAddresses: []string{zoneAddress}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.cloud.AssociateAddress(aws.AssociateAddressInput{AllocationID: w.id["eip"], NetworkInterfaceID: e.NetworkInterfaceID, PrivateIPAddress: zoneAddress}); err != nil {
			t.Fatal(err)
		}
		if has := w.eniOf(id).PrivateIPAddresses[0].PublicIP != ""; has == released {
			t.Errorf("released %v: the primary address still has a public one: %v", released, has)
		}
		if _, err := w.cloud.AssociateAddress(aws.AssociateAddressInput{AllocationID: w.id["eip"], NetworkInterfaceID: e.NetworkInterfaceID}); err != nil {
			t.Fatal(err)
		}
		primary := w.eniOf(id).PrivateIPAddresses[0]
		if primary.AllocationID != w.id["eip"] {
			t.Errorf("it is not on the primary address: %+v", primary)
		}
		if err := w.cloud.DisassociateAddress(aws.DisassociateAddressInput{AssociationID: primary.AssociationID}); err != nil {
			t.Fatal(err)
		}
		if again := w.eniOf(id).PrivateIPAddresses[0]; again.PublicIP == "" || again.AllocationID != "" {
			t.Errorf("no new one was assigned: %+v", again)
		}
	}
}

func TestCallsAreThrottledByTheirOwnBuckets(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	to := aws.RouteInput{RouteTableID: w.id["public-table"], DestinationCidrBlock: "0.0.0.0/0", GatewayID: w.id["igw"]}
	made := 0
	var err error
	for ; err == nil; made++ {
		err = w.cloud.ReplaceRoute(to)
	}
	refused(t, err, "RequestLimitExceeded", "")
	var e *aws.Error
	if made-1 != 50 || !errors.As(err, &e) || e.Status != 503 {
		t.Errorf("%d calls were let in, then %v", made-1, err)
	}
	if _, err := w.cloud.DescribeRouteTables(aws.DescribeRouteTablesInput{}); err != nil {
		t.Errorf("another call has a bucket of its own: %v", err)
	}
	w.cloud.Advance(time.Second)
	for i := range 5 {
		if err := w.cloud.ReplaceRoute(to); err != nil {
			t.Errorf("call %d after a second: %v", i, err)
		}
	}
	refused(t, w.cloud.ReplaceRoute(to), "RequestLimitExceeded", "")
}

func TestDescribesLagBehind(t *testing.T) {
	w := newWorld(t, aws.Options{Lag: 2 * time.Second}).network()
	w.cloud.Advance(time.Minute)
	eip := w.make("eip", eipType, o{"domain": "vpc"})
	_, err := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{AllocationIDs: []string{eip}})
	refused(t, err, "InvalidAllocationID.NotFound", "")
	w.cloud.Advance(3 * time.Second)
	if _, err := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{AllocationIDs: []string{eip}}); err != nil {
		t.Error(err)
	}
}

// events collects what happens.
func (w *world) events() *[]aws.Event {
	var all []aws.Event
	w.cloud.OnEvent = func(e aws.Event) { all = append(all, e) }
	return &all
}

func TestLifecycleHooksTellAndWait(t *testing.T) {
	w := newWorld(t, aws.Options{Agent: aws.AgentNone}).network().standby()
	topic := w.make("topic", topicType, o{})
	w.make("subscription", subscribeType, o{"topic": topic, "protocol": "lambda", "endpoint": "arn:aws:lambda:us-east-1:123456789012:function:controller"})
	w.make("template", templateType, w.template(""))
	in := w.group()
	for _, h := range in["initialLifecycleHooks"].([]any) {
		h.(o)["notificationTargetArn"], h.(o)["roleArn"] = topic, "arn:aws:iam::123456789012:role/notices"
	}
	in["waitForCapacityTimeout"] = "0"
	events := w.events()
	w.make("group", scalingType, in)
	if len(*events) != 2 {
		t.Fatalf("two hooks, two test notices: %+v", *events)
	}
	var record struct {
		Records []struct {
			Sns struct{ Message, TopicArn string }
		}
	}
	var notice map[string]string
	if err := json.Unmarshal((*events)[0].Payload, &record); err != nil || json.Unmarshal([]byte(record.Records[0].Sns.Message), &notice) != nil {
		t.Fatal(err)
	}
	if notice["Event"] != "autoscaling:TEST_NOTIFICATION" || notice["LifecycleTransition"] != "" || notice["EC2InstanceId"] != "" {
		t.Errorf("the test notice is %v", notice)
	}
	if targets := (*events)[0].Targets; len(targets) != 1 || !strings.HasSuffix(targets[0], ":controller") {
		t.Errorf("it went to %v", targets)
	}
	w.cloud.Advance(6 * time.Second)
	id := w.cloud.Instances()[0].InstanceID
	states, _ := w.cloud.DescribeAutoScalingInstances(id)
	if states[0].LifecycleState != "Pending:Wait" {
		t.Fatalf("the first instance is %+v", states)
	}
	if text, ok := w.cloud.Metadata(id, "meta-data/autoscaling/target-lifecycle-state"); !ok || text != "InService" {
		t.Errorf("the target lifecycle state is %q", text)
	}
	types := map[string]int{}
	for _, e := range *events {
		types[e.DetailType]++
	}
	if types["EC2 Instance-launch Lifecycle Action"] != 1 || types["autoscaling:EC2_INSTANCE_LAUNCHING"] != 1 {
		t.Errorf("events: %v", types)
	}
	refused(t, w.cloud.CompleteLifecycleAction(aws.CompleteLifecycleActionInput{
		AutoScalingGroupName: "zone", LifecycleHookName: natzone.LaunchHook, InstanceID: "i-none", LifecycleActionResult: aws.ResultContinue,
	}), "ValidationError", "No active Lifecycle Action found with instance ID i-none")
	w.cloud.Advance(280 * time.Second)
	if err := w.cloud.RecordLifecycleActionHeartbeat(aws.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: "zone", LifecycleHookName: natzone.LaunchHook, InstanceID: id}); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(280 * time.Second)
	if states, _ := w.cloud.DescribeAutoScalingInstances(id); len(states) != 1 || states[0].LifecycleState != "Pending:Wait" {
		t.Fatalf("the heartbeat did not restart the timeout: %+v", states)
	}
	w.cloud.Advance(25 * time.Second)
	if states, _ := w.cloud.DescribeAutoScalingInstances(id); len(states) == 1 && !strings.HasPrefix(states[0].LifecycleState, "Terminating") {
		t.Errorf("the default result ABANDON did not end it: %+v", states)
	}
}

func TestTargetLifecycleStateIsNotThereBeforeItIsSet(t *testing.T) {
	w := external(t, nil, o{"waitForCapacityTimeout": "0"})
	w.cloud.Advance(time.Second)
	if text, ok := w.cloud.Metadata(w.cloud.Instances()[0].InstanceID, "meta-data/autoscaling/target-lifecycle-state"); ok {
		t.Errorf("a pending instance has %q", text)
	}
}

func TestEventsAreBestEffort(t *testing.T) {
	copies := map[string]int{"EC2 Instance Launch Successful": 0, "EC2 Instance State-change Notification": 2}
	w := newWorld(t, aws.Options{Agent: aws.AgentNone, Copies: func(e aws.Event) int { return copies[e.DetailType] }}).network()
	events := w.events()
	w.make("template", templateType, w.template(""))
	in := w.group()
	delete(in, "initialLifecycleHooks")
	w.make("group", scalingType, in)
	types := map[string]int{}
	for _, e := range *events {
		types[e.DetailType]++
	}
	if types["EC2 Instance State-change Notification"] != 4 || types["EC2 Instance Launch Successful"] != 0 {
		t.Errorf("pending and running, twice each, and nothing else: %v", types)
	}
}

func TestADeathBypassesTheMaintenancePolicy(t *testing.T) {
	w := external(t, nil, nil)
	first := w.instance()
	if _, err := w.cloud.TerminateInstances(first); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(9 * time.Second)
	if n := len(w.cloud.Instances()); n != 1 {
		t.Errorf("%d instances before the group has found out", n)
	}
	w.cloud.Advance(2 * time.Minute)
	if second := w.instance(); second == first {
		t.Error("it was not replaced")
	}
}

func TestAnUnhealthyInstanceIsReplacedUnderThePolicyOrNot(t *testing.T) {
	for _, test := range []struct {
		name    string
		unknown aws.UnknownBehaviours
		first   bool // the new one is launched first
	}{
		{"by the policy", aws.UnknownBehaviours{}, true},
		{"at once", aws.UnknownBehaviours{HealthIgnoresPolicy: true}, false},
		{"within the maximum size", aws.UnknownBehaviours{PolicyKeepsMaxSize: true}, false},
	} {
		w := external(t, func(opts *aws.Options) { opts.Unknown = test.unknown }, nil)
		first := w.instance()
		if err := w.cloud.SetInstanceHealth(aws.SetInstanceHealthInput{InstanceID: first, HealthStatus: "Unhealthy"}); err != nil {
			t.Fatal(err)
		}
		w.cloud.Advance(time.Second)
		running := 0
		for _, i := range w.cloud.Instances() {
			if i.State == aws.StateRunning || i.State == aws.StatePending {
				running++
			}
		}
		if (running == 2) != test.first {
			t.Errorf("%s: %d instances run", test.name, running)
		}
		w.cloud.Advance(2 * time.Minute)
		if second := w.instance(); second == first || len(w.cloud.Instances()) != 1 {
			t.Errorf("%s: %s of %d is in service", test.name, second, len(w.cloud.Instances()))
		}
	}
}

func TestTheGracePeriodIsRespectedUnlessAskedNotTo(t *testing.T) {
	w := external(t, nil, o{"healthCheckGracePeriod": 3600.0})
	first, no := w.instance(), false
	in := aws.SetInstanceHealthInput{InstanceID: first, HealthStatus: "Unhealthy"}
	if err := w.cloud.SetInstanceHealth(in); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(5 * time.Minute)
	if w.instance() != first {
		t.Error("it was replaced within the grace period")
	}
	in.ShouldRespectGracePeriod = &no
	if err := w.cloud.SetInstanceHealth(in); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(5 * time.Minute)
	if w.instance() == first {
		t.Error("it was not replaced")
	}
}

func TestSpotIsReclaimedAfterTwoMinutes(t *testing.T) {
	w := external(t, nil, o{"capacityRebalance": true})
	events, id := w.events(), w.instance()
	if _, ok := w.cloud.Metadata(id, "meta-data/spot/instance-action"); ok {
		t.Error("there is a notice before there is one")
	}
	if err := w.cloud.InterruptSpot(id); err != nil {
		t.Fatal(err)
	}
	text, ok := w.cloud.Metadata(id, "meta-data/spot/instance-action")
	var notice struct {
		Action string
		Time   time.Time
	}
	if !ok || json.Unmarshal([]byte(text), &notice) != nil || notice.Action != "terminate" || notice.Time.IsZero() {
		t.Errorf("the notice is %q", text)
	}
	var event struct{ Resources []string }
	if err := json.Unmarshal((*events)[0].Payload, &event); err != nil || event.Resources[0] != "arn:aws:ec2:us-east-1a:instance/"+id {
		t.Errorf("the warning is about %v", event.Resources)
	}
	w.cloud.Advance(119 * time.Second)
	if w.instance() != id {
		t.Error("it went early")
	}
	w.cloud.Advance(3 * time.Minute)
	if second := w.instance(); second == id {
		t.Error("it did not go")
	} else if err := w.cloud.RecommendRebalance(second); err != nil {
		t.Fatal(err)
	}
	w.cloud.Advance(time.Second)
	if n := len(w.cloud.Instances()); n != 2 {
		t.Errorf("capacity rebalancing launches first: %d instances", n)
	}
}

func TestAFunctionInAVPCIsPendingFirstAndHoldsItsSubnetLast(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	w.make("role", roleType, o{"assumeRolePolicy": "{}"})
	in := o{"role": w.read("role")["arn"], "runtime": "provided.al2023", "handler": "bootstrap", "vpcConfig": o{"subnetIds": []any{w.id["private"]}, "securityGroupIds": []any{w.id["sg"]}}}
	began := w.cloud.Now()
	w.make("prober", functionType, in)
	if w.cloud.Now().Sub(began) < time.Minute {
		t.Error("the first one was active at once")
	}
	began = w.cloud.Now()
	w.make("second", functionType, in)
	if w.cloud.Now() != began {
		t.Error("the second one shares the interface, and waited")
	}
	enis, err := w.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{Filters: []aws.Filter{{Name: "interface-type", Values: []string{"lambda"}}}})
	if err != nil || len(enis) != 1 || enis[0].PrivateIPAddresses[0].PublicIP != "" {
		t.Errorf("interfaces: %+v, %v", enis, err)
	}
	for _, name := range []string{"prober", "second"} {
		if err := w.delete(name); err != nil {
			t.Fatal(err)
		}
	}
	began = w.cloud.Now()
	if err := w.delete("private"); err != nil {
		t.Fatal(err)
	}
	if took := w.cloud.Now().Sub(began); took < time.Minute || took > 20*time.Minute {
		t.Errorf("the subnet was deleted after %s", took)
	}
}

func TestQuotasAreThoseOfAWS(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		w.make(name, eipType, o{"domain": "vpc"})
	}
	refused(t, w.try("6", eipType, o{"domain": "vpc"}), "AddressLimitExceeded", "")
	for quota, least := range map[int]int{10: 10, 50: 50, 102: 100} {
		w := newWorld(t, aws.Options{ConcurrencyQuota: quota})
		function := o{"name": "f", "role": "r", "runtime": "provided.al2023", "handler": "bootstrap", "memorySize": 128.0, "timeout": 3.0}
		w.make("without", functionType, function)
		function["name"], function["reservedConcurrentExecutions"] = "g", 3.0
		refused(t, w.try("with", functionType, function), "InvalidParameterValueException",
			fmt.Sprintf("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", least))
		found, err := w.cloud.Invoke(t.Context(), "aws:servicequotas/getServiceQuota:getServiceQuota", o{"serviceCode": "lambda", "quotaCode": "L-B99A9384"})
		if err != nil || found["value"] != float64(quota) {
			t.Errorf("quota %v, %v, want %d", found["value"], err, quota)
		}
	}
	rule := w.make("rule", ruleType, o{"scheduleExpression": "rate(1 minute)"})
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		w.make("target-"+id, targetType, o{"rule": rule, "targetId": id, "arn": "arn:aws:lambda:us-east-1:123456789012:function:f" + id})
	}
	refused(t, w.try("target-6", targetType, o{"rule": rule, "targetId": "6", "arn": "arn:aws:sqs:us-east-1:123456789012:q"}), "LimitExceededException", "")
	refused(t, w.delete("rule"), "ValidationException", "Rule can't be deleted since it has targets.")
}

func TestWhatIsInUseIsNotDeleted(t *testing.T) {
	w := external(t, nil, nil)
	for name, code := range map[string]string{"vpc": "DependencyViolation", "public": "DependencyViolation", "sg": "DependencyViolation", "igw": "DependencyViolation"} {
		refused(t, w.delete(name), code, "")
	}
	if err := w.delete("standby-eip"); err == nil {
		t.Error("the address of a NAT gateway was released")
	}
}

func TestAGatewayThatCannotWorkFails(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("nat", natType, o{"subnetId": w.id["public"], "allocationId": w.id["eip"]})
	err := w.try("second", natType, o{"subnetId": w.id["public"], "allocationId": w.id["eip"]})
	if err == nil || !strings.Contains(err.Error(), "Resource.AlreadyAssociated") {
		t.Errorf("two gateways on one address: %v", err)
	}
	w.make("lonely", vpcType, o{"cidrBlock": "10.1.0.0/16"})
	w.make("subnet", subnetType, o{"vpcId": w.id["lonely"], "cidrBlock": "10.1.0.0/24"})
	w.make("eip2", eipType, o{"domain": "vpc"})
	if err := w.try("third", natType, o{"subnetId": w.id["subnet"], "allocationId": w.id["eip2"]}); err == nil || !strings.Contains(err.Error(), "Gateway.NotAttached") {
		t.Errorf("one without an internet gateway: %v", err)
	}
}

func TestReservedAddressesAreNotHandedOut(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	w.make("reservation", reservationType, o{"subnetId": w.id["public"], "cidrBlock": "10.0.0.4/30", "reservationType": "explicit"})
	w.make("eni", "aws:ec2/networkInterface:NetworkInterface", o{"subnetId": w.id["public"]})
	if got := w.read("eni")["privateIp"]; got != "10.0.0.8" {
		t.Errorf("got %v, want the first that is neither AWS's nor reserved", got)
	}
	w.make("by name", "aws:ec2/networkInterface:NetworkInterface", o{"subnetId": w.id["public"], "privateIps": []any{"10.0.0.5"}})
	refused(t, w.try("twice", "aws:ec2/networkInterface:NetworkInterface", o{"subnetId": w.id["public"], "privateIps": []any{"10.0.0.5"}}), "InvalidIPAddress.InUse", "")
	refused(t, w.try("the last", "aws:ec2/networkInterface:NetworkInterface", o{"subnetId": w.id["public"], "privateIps": []any{"10.0.0.255"}}), "InvalidParameterValue", "")
	refused(t, w.try("overlap", reservationType, o{"subnetId": w.id["public"], "cidrBlock": "10.0.0.6/32", "reservationType": "explicit"}), "InvalidParameterValue", "")
}

func TestALaunchThatIsAbandonedFailsTheDeployment(t *testing.T) {
	w := newWorld(t, aws.Options{}).network().standby()
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("template", templateType, w.template(w.userData(func(a *natzone.Agent) { a.AllocationID = "eipalloc-00000000000000bad" })))
	err := w.try("group", scalingType, w.group())
	if err == nil || !strings.Contains(err.Error(), "InvalidAllocationID.NotFound") || w.id["group"] == "" {
		t.Errorf("got %v, want the group, and why it has no instance", err)
	}
	if way := w.way(); way.Hop != aws.HopGateway || !way.Works {
		t.Errorf("the routes are %s", way)
	}
}

func TestHealthEventsComeInPagesAndTwice(t *testing.T) {
	w := newWorld(t, aws.Options{})
	events := w.events()
	if err := w.cloud.TellHealth("AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "scheduledChange", "i-1", "i-2", "i-3"); err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, e := range *events {
		var event struct {
			Detail struct{ CommunicationID, TotalPages string }
		}
		if err := json.Unmarshal(e.Payload, &event); err != nil || event.Detail.TotalPages != "2" {
			t.Errorf("%s: %v", e.Payload, err)
		}
		ids[event.Detail.CommunicationID]++
	}
	if len(*events) != 4 || len(ids) != 1 {
		t.Errorf("%d events of %v", len(*events), ids)
	}
}

func TestMixedInstancesFallBackToWhatThereIs(t *testing.T) {
	policy := o{
		"launchTemplate":        o{"launchTemplateSpecification": o{"launchTemplateId": "", "version": "$Latest"}, "overrides": []any{o{"instanceType": "t4g.small"}, o{"instanceType": "c6gn.medium"}}},
		"instancesDistribution": o{"onDemandBaseCapacity": 0.0, "onDemandPercentageAboveBaseCapacity": 0.0},
	}
	w := newWorld(t, aws.Options{Agent: aws.AgentNone}).network()
	policy["launchTemplate"].(o)["launchTemplateSpecification"].(o)["launchTemplateId"] = w.make("template", templateType, w.template(""))
	if err := w.cloud.SetCapacity("t4g.small", true, false); err != nil {
		t.Fatal(err)
	}
	in := w.group()
	delete(in, "launchTemplate")
	delete(in, "initialLifecycleHooks")
	in["mixedInstancesPolicy"] = policy
	w.make("group", scalingType, in)
	if i := w.cloud.Instances()[0]; i.InstanceType != "c6gn.medium" || i.Lifecycle != "spot" {
		t.Errorf("launched %+v", i)
	}
}

// natd would not start on it, so that the launch is given up when its time is over.
func TestAnInstanceWithADocumentThatNatdRefusesDoesNotServe(t *testing.T) {
	w := newWorld(t, aws.Options{}).network().standby()
	w.make("eip", eipType, o{"domain": "vpc"})
	w.make("template", templateType, w.template(w.userData(func(a *natzone.Agent) { a.Targets = nil })))
	if err := w.try("group", scalingType, w.group()); err == nil {
		t.Error("the group has an instance in service")
	}
	if way := w.way(); way.Hop != aws.HopGateway || !way.Works {
		t.Errorf("the routes are %s", way)
	}
}

func TestRulesNameTypesAndCodesOfICMP(t *testing.T) {
	w := newWorld(t, aws.Options{}).network()
	for name, in := range map[string]o{
		"too big": {"fromPort": 3.0, "toPort": 4.0}, "all": {"fromPort": -1.0, "toPort": -1.0}, "all codes": {"fromPort": 11.0, "toPort": -1.0},
		"all of version 6": {"ipProtocol": "icmpv6", "cidrIpv6": "::/0"},
	} {
		w.make(name, ingressType, icmp(w, in))
	}
	for name, in := range map[string]o{
		"nothing": {}, "no code": {"fromPort": 3.0}, "no such type": {"fromPort": 256.0, "toPort": 0.0}, "one code of all types": {"fromPort": -1.0, "toPort": 4.0},
	} {
		refused(t, w.try(name, ingressType, icmp(w, in)), "InvalidParameterValue", "")
	}
}

// icmp is a rule of the world's group, with what in says.
func icmp(w *world, in o) o {
	rule := o{"securityGroupId": w.id["sg"], "ipProtocol": "icmp"}
	maps.Copy(rule, in)
	if rule["cidrIpv6"] == nil {
		rule["cidrIpv4"] = "0.0.0.0/0"
	}
	return rule
}
