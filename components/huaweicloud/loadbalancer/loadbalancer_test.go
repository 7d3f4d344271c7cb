package loadbalancer_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/loadbalancer"
	"polynat/components/huaweicloud/network"
	"polynat/sdks/huaweicloud"
	"polynat/tests/recorder"
)

const prefix = "huaweicloud:index/"

func newArgs() *loadbalancer.Args {
	weight := 10
	return &loadbalancer.Args{
		VPC:    network.VPC{Name: "VPC-B", CIDR: "10.0.0.0/16"},
		Subnet: network.Subnet{Name: "subnet-B01", CIDR: "10.0.0.0/24"},
		LoadBalancers: map[string]loadbalancer.LoadBalancer{
			"one": {Name: "ELB01", Zones: []string{"cn-north-4b", "cn-north-4a"}, Listeners: map[string]loadbalancer.Listener{
				"http": {Port: 80, Group: "web"}, "more": {Port: 8080, Group: "web"},
			}},
			"two": {Zones: []string{"cn-north-4a"}, Address: "10.0.0.99", L4FlavorID: "flavor-4", L7FlavorID: "flavor", Listeners: map[string]loadbalancer.Listener{
				"http": {Port: 80, Group: "web"}, "dns": {Port: 53, Group: "dns"}, "ssh": {Port: 22, Group: "ssh"},
			}},
		},
		Groups: map[string]loadbalancer.Group{
			"web": {Name: "group-B", HealthPath: "/health", Members: map[string]loadbalancer.Member{
				"a": {Instance: "a", Port: 80}, "b": {Instance: "b", Port: 8080, Weight: &weight}, "old": {Address: "10.0.0.20", Port: 80},
			}},
			"dns": {Protocol: "UDP", Method: "SOURCE_IP", Members: map[string]loadbalancer.Member{"a": {Instance: "a", Port: 53}}},
			"ssh": {Protocol: "TCP", Members: map[string]loadbalancer.Member{"old": {Address: "10.0.0.20", Port: 22}}},
		},
		Instances: map[string]loadbalancer.Instance{
			"a": {Name: "ECS-A", Zone: "cn-north-4a", FlavorID: "s6.small.1", ImageID: "image", Page: "<p>a</p>"},
			"b": {Zone: "cn-north-4b", FlavorID: "s6.small.1", ImageID: "image", Admits: []loadbalancer.Admission{
				{Protocol: "tcp", Port: 22, CIDR: "192.168.0.0/16"}, {Protocol: "tcp", Port: 22, CIDR: "192.168.0.0/16"},
				{Protocol: "any", CIDR: "10.9.0.0/24"},
			}},
		},
		Tags: map[string]string{"team": "network"},
	}
}

func program(args *loadbalancer.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := huaweicloud.NewProvider(ctx, "service", &huaweicloud.ProviderArgs{Region: pulumi.String("cn-north-4")})
		if err != nil {
			return err
		}
		mine := *args
		mine.Provider = provider
		_, err = loadbalancer.New(ctx, "svc", &mine)
		return err
	}
}

func run(t *testing.T, args *loadbalancer.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// variants are the shapes that the service side may have.
var variants = map[string]func(*loadbalancer.Args){
	"whole": func(*loadbalancer.Args) {},
	"in a network that exists": func(a *loadbalancer.Args) {
		a.VPC = network.VPC{ID: "vpc-b", CIDR: "10.0.0.0/16"}
		a.Subnet = network.Subnet{ID: "net-b", IPv4SubnetID: "sub-b", CIDR: "10.0.0.0/24"}
	},
	"for servers that exist": func(a *loadbalancer.Args) {
		a.Instances = nil
		a.Groups = map[string]loadbalancer.Group{"ssh": a.Groups["ssh"]}
		a.LoadBalancers = map[string]loadbalancer.LoadBalancer{"two": {Zones: []string{"cn-north-4a"}, Listeners: map[string]loadbalancer.Listener{"ssh": {Port: 22, Group: "ssh"}}}}
	},
}

func TestEveryVariantFollowsTheRules(t *testing.T) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		args := newArgs()
		variants[name](args)
		made := run(t, args, recorder.Options{})
		made.Check(t)
		preview := run(t, args, recorder.Options{DryRun: true})
		if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
			t.Errorf("%s: a preview registers other names (-update +preview):\n%s", name, diff)
		}
		fmt.Fprintf(&text, "%s\n", name)
		for _, o := range made.Objects {
			if o.Custom && o.Name != "service" {
				fmt.Fprintf(&text, "  %s %s\n", o.Name, o.Type)
			}
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func TestTheTwoIdsOfASubnetAreGivenToThoseThatTakeThem(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	const net, ipv4 = "svc-subnet.id", "svc-subnet.ipv4SubnetId"
	for name, o := range made.Named(prefix + "elbLoadbalancer:ElbLoadbalancer") {
		if diff := cmp.Diff([]any{net}, o.Inputs["backendSubnets"]); o.Inputs["ipv4SubnetId"] != ipv4 || diff != "" {
			t.Errorf("%s: ipv4SubnetId %v, backendSubnets %v", name, o.Inputs["ipv4SubnetId"], o.Inputs["backendSubnets"])
		}
	}
	for name, o := range made.Named(prefix + "elbMember:ElbMember") {
		if o.Inputs["subnetId"] != ipv4 {
			t.Errorf("%s: subnetId %v", name, o.Inputs["subnetId"])
		}
	}
	for name, o := range made.Named(prefix + "computeInstance:ComputeInstance") {
		if diff := cmp.Diff([]any{map[string]any{"uuid": net}}, o.Inputs["networks"]); diff != "" {
			t.Errorf("%s: networks (-want +got):\n%s", name, diff)
		}
	}
}

func TestAGroupIsMadeWithoutALoadBalancerAndItsHealthCheckIsWhole(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	for name, o := range made.Named(prefix + "elbPool:ElbPool") {
		if o.Inputs["type"] != "instance" || o.Inputs["vpcId"] != "svc-vpc.id" || o.Inputs["loadbalancerId"] != nil || o.Inputs["listenerId"] != nil {
			t.Errorf("%s: %v", name, o.Inputs)
		}
	}
	for name, want := range map[string]map[string]any{
		"svc-monitor-web": {"protocol": "HTTP", "urlPath": "/health"}, "svc-monitor-ssh": {"protocol": "TCP"}, "svc-monitor-dns": {"protocol": "UDP_CONNECT"},
	} {
		got := made.Named(prefix + "elbMonitor:ElbMonitor")[name].Inputs
		if got["protocol"] != want["protocol"] || got["urlPath"] != want["urlPath"] {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Of the rules that let something in, each has the subnet of the load balancers as its only source, but for what one
// instance is to admit: that is let in there only.
func TestInstancesLetTheSubnetOfTheLoadBalancersInAndWhatTheyAreToldTo(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	for name, group := range made.Named(prefix + "networkingSecgroup:NetworkingSecgroup") {
		if group.Inputs["deleteDefaultRules"] != true {
			t.Errorf("%s: the default rules, by which members of the group let each other in, stay", name)
		}
	}
	got := map[string]string{}
	for _, o := range made.Named(prefix + "networkingSecgroupRule:NetworkingSecgroupRule") {
		rule := fmt.Sprint(o.Inputs["securityGroupId"], " ", o.Inputs["direction"], " ", o.Inputs["protocol"], " ", o.Inputs["ports"])
		got[rule] = fmt.Sprint(o.Inputs["remoteIpPrefix"])
	}
	want := map[string]string{
		"svc-group.id ingress tcp 80": "10.0.0.0/24", "svc-group.id ingress tcp 8080": "10.0.0.0/24", "svc-group.id ingress udp 53": "10.0.0.0/24",
		"svc-group.id ingress icmp <nil>": "10.0.0.0/24", "svc-group.id egress <nil> <nil>": "0.0.0.0/0",
		"svc-group-b.id ingress tcp 22": "192.168.0.0/16", "svc-group-b.id ingress <nil> <nil>": "10.9.0.0/24",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for name, want := range map[string][]any{"svc-instance-a": {"svc-group.id"}, "svc-instance-b": {"svc-group.id", "svc-group-b.id"}} {
		if diff := cmp.Diff(want, made.Named(prefix + "computeInstance:ComputeInstance")[name].Inputs["securityGroupIds"]); diff != "" {
			t.Errorf("%s: security groups (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatAnInstanceAdmitsIsChecked(t *testing.T) {
	args := newArgs()
	b := args.Instances["b"]
	b.Admits = []loadbalancer.Admission{{Protocol: "http", CIDR: "192.168.0.1/16"}, {Protocol: "tcp", Port: 0, CIDR: "10.0.0.0/8"}, {Protocol: "any", Port: 1, CIDR: "10.0.0.0/8"}}
	args.Instances["b"] = b
	err := args.Validate("x")
	for _, want := range []string{
		`instances.b.admits.0.protocol: "http": must be`, "instances.b.admits.0.cidr: ", "instances.b.admits.1.port: 0: must be", "instances.b.admits.2.port: 1: is given",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Left out, the provider would turn off what the API does by default; and only listeners of HTTP have it.
func TestListenersOfHTTPRetryAnotherMember(t *testing.T) {
	for name, o := range run(t, newArgs(), recorder.Options{}).Named(prefix + "elbListener:ElbListener") {
		want := any(nil)
		if o.Inputs["protocol"] == "HTTP" {
			want = true
		}
		if got := o.Inputs["enableMemberRetry"]; got != want {
			t.Errorf("%s: enableMemberRetry is %v, want %v", name, got, want)
		}
	}
}

// A load balancer whose subnet is another one is replaced, and its successor has the flavors of the configuration only.
func TestAFlavorStaysForAsLongAsItsLoadBalancer(t *testing.T) {
	const field = "loadBalancers.two.l4FlavorId"
	for name, test := range map[string]struct {
		change func(*loadbalancer.Args)
		stays  bool
	}{
		"the same subnet":      {func(*loadbalancer.Args) {}, true},
		"a larger VPC":         {func(a *loadbalancer.Args) { a.VPC.CIDR = "10.0.0.0/15" }, true},
		"another CIDR":         {func(a *loadbalancer.Args) { a.Subnet.CIDR = "10.0.1.0/24" }, false},
		"another router":       {func(a *loadbalancer.Args) { a.Subnet.Gateway = "10.0.0.3" }, false},
		"a VPC that exists":    {func(a *loadbalancer.Args) { a.VPC = network.VPC{ID: "vpc-b", CIDR: "10.0.0.0/16"} }, false},
		"a subnet that exists": {variants["in a network that exists"], false},
	} {
		before, after := newArgs(), newArgs()
		after.Held = before.Claims("svc")
		two := after.LoadBalancers["two"]
		two.Address, two.L4FlavorID = "", ""
		after.LoadBalancers["two"] = two
		delete(after.Groups["web"].Members, "old")
		test.change(after)
		after.Groups["ssh"] = loadbalancer.Group{Protocol: "TCP", Members: map[string]loadbalancer.Member{"a": {Instance: "a", Port: 22}}}
		if _, recorded := after.Claims("svc")[field]; recorded != test.stays {
			t.Errorf("%s: recorded again: %v", name, recorded)
		}
		err := after.Validate("svc")
		refused := err != nil && strings.Contains(err.Error(), "loadBalancers.two.listeners.ssh.group: ")
		if refused == test.stays || !test.stays && !strings.Contains(err.Error(), "(set l4FlavorId too, or leave both flavors out)") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The provider's own 3 minutes are short for a VPC whose last interfaces are still going.
func TestAVPCHasTenMinutesToGo(t *testing.T) {
	got := map[string]string{}
	_, err := recorder.Run(func(ctx *pulumi.Context) error {
		err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			options, err := pulumi.NewResourceOptions(args.Opts...)
			if err != nil {
				t.Error(err)
			} else if options.CustomTimeouts != nil {
				got[args.Name] = options.CustomTimeouts.Delete
			}
			return nil
		})
		if err != nil {
			return err
		}
		return program(newArgs())(ctx)
	}, recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"svc-vpc": "10m"}, got); diff != "" {
		t.Errorf("timeouts of deletions (-want +got):\n%s", diff)
	}
}

func TestWhatCannotStandBesideItsSuccessorIsDeletedFirst(t *testing.T) {
	first := map[string]bool{"vpcSubnet": true, "elbListener": true, "elbMember": true}
	for _, o := range run(t, newArgs(), recorder.Options{}).Objects {
		kind, _, _ := strings.Cut(strings.TrimPrefix(o.Type, prefix), ":")
		if o.Custom && o.DeleteBeforeReplace != first[kind] {
			t.Errorf("%s: deleteBeforeReplace is %v", o.Name, o.DeleteBeforeReplace)
		}
	}
}

func TestOnlyInstancesWithAPageAreGivenAScript(t *testing.T) {
	instances := run(t, newArgs(), recorder.Options{}).Named(prefix + "computeInstance:ComputeInstance")
	if want, got := loadbalancer.UserData("<p>a</p>", []int{80}), instances["svc-instance-a"].Inputs["userData"]; got != want {
		t.Errorf("a: %v, want %s", got, want)
	}
	if got := instances["svc-instance-b"].Inputs["userData"]; got != nil {
		t.Errorf("b: %v", got)
	}
}

func TestTheUserDataServesThePage(t *testing.T) {
	recorder.GoldenText(t, "userdata", loadbalancer.UserData("<h1>it's $HOME</h1>", []int{8080, 80}), "a running instance keeps its script; a new one gets this")
}

func TestTheOrderOfTheZonesChangesNothing(t *testing.T) {
	args := newArgs()
	want := run(t, args, recorder.Options{})
	slices.Reverse(args.LoadBalancers["one"].Zones)
	recorder.SameGraph(t, want, run(t, args, recorder.Options{}))
}

func TestWithoutOneLoadBalancerTheOthersKeepTheirNamesAndInputs(t *testing.T) {
	args := newArgs()
	before := run(t, args, recorder.Options{})
	delete(args.LoadBalancers, "two")
	run(t, args, recorder.Options{}).Keeps(t, before, 4) // the load balancer and its three listeners
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

func TestWithoutProviderNothingIsRegistered(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		_, err := loadbalancer.New(ctx, "svc", newArgs())
		return err
	}, recorder.Options{})
	if want := "provider: is missing (make one with huaweicloud.NewProvider and a region)"; err == nil || !strings.Contains(err.Error(), want) || len(made.Objects) > 0 {
		t.Errorf("error %v, %d objects; want %s", err, len(made.Objects), want)
	}
}

// A listener of one load balancer and key must not meet that of another.
func TestKeysWithHyphensDoNotMakeTwoNamesOne(t *testing.T) {
	args := newArgs()
	args.LoadBalancers["one-http"] = loadbalancer.LoadBalancer{Zones: []string{"z"}, Listeners: map[string]loadbalancer.Listener{"x": {Port: 1, Group: "web"}}}
	args.LoadBalancers["one"].Listeners["http-x"] = loadbalancer.Listener{Port: 2, Group: "web"}
	run(t, args, recorder.Options{}).Check(t)
}

// An automatic address could be the one that another is to have.
func TestWhatHasAFixedAddressComesFirst(t *testing.T) {
	made := run(t, newArgs(), recorder.Options{})
	balancers := made.Named(prefix + "elbLoadbalancer:ElbLoadbalancer")
	instances := made.Named(prefix + "computeInstance:ComputeInstance")
	fixed := balancers["svc-elb-two"].URN
	for name, o := range map[string]recorder.Object{"the load balancer": balancers["svc-elb-one"], "an instance": instances["svc-instance-a"]} {
		if !slices.Contains(o.Dependencies, fixed) {
			t.Errorf("%s does not wait for the load balancer with a fixed address", name)
		}
	}
}

func TestNamesThatTheCloudRefusesAreRefusedAsTheyWouldBe(t *testing.T) {
	name := strings.Repeat("n", 63)
	args := newArgs()
	args.VPC.Name, args.Subnet.Name = "", ""
	err := args.Validate(name)
	for _, want := range []string{"vpc.name", "subnet.name", "loadBalancers.two.name", "groups.dns.name", "instances.b.name", "instances.b"} {
		if err == nil || !strings.Contains(err.Error(), want+`: "`+name+"-") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
