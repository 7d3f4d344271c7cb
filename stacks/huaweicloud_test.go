package stacks_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/stacks"
	"polynat/tests/recorder"
)

const huaweicloudKey = "polynat:huaweicloud"

// hw is a configuration of the setup that a test changes, beginning as the dev environment.
type hw struct {
	t      *testing.T
	block  map[string]any
	config map[string]string
	last   map[string]any
}

func newHW(t *testing.T) *hw {
	t.Helper()
	h := &hw{t: t, config: setupConfig(t, "huaweicloud")}
	if err := json.Unmarshal([]byte(h.config[huaweicloudKey]), &h.block); err != nil {
		t.Fatal(err)
	}
	return h
}

// set changes the value at a path, "a.b.c"; nil deletes it. Blocks on the way are made.
func (h *hw) set(path string, value any) {
	keys := strings.Split(path, ".")
	parent := h.block
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

// existing makes the services ones that exist already: a load balancer with one listener.
func (h *hw) existing() {
	h.set("service", nil)
	h.set("privateNat.gateway", block{"vpcId": "vpc-b", "vpcCidr": "10.0.0.0/16", "subnetId": "net-b"})
	h.set("privateNat.targets", block{"elb01": block{"type": "load-balancer", "portId": "port-1", "listeners": block{"web": block{"protocol": "HTTP", "port": 80}}}})
}

// rule adds a rule.
func (h *hw) rule(key string, r block) {
	for k, v := range (block{"transitIp": "main", "target": "elb01", "protocol": "tcp", "port": 80, "targetPort": 80}) {
		if _, ok := r[k]; !ok {
			r[k] = v
		}
	}
	h.set("privateNat.rules."+key, r)
}

// second adds a load balancer elb02 on the same group.
func (h *hw) second() {
	h.set("service.loadBalancers.elb02", block{"zones": list("cn-north-4a"), "listeners": block{"http": block{"port": 80, "group": "group-b"}}})
}

// encoded is the configuration with the block as it is now.
func (h *hw) encoded() map[string]string {
	h.t.Helper()
	text, err := json.Marshal(h.block)
	if err != nil {
		h.t.Fatal(err)
	}
	h.config[huaweicloudKey] = string(text)
	return h.config
}

// run returns the error of the program itself.
func (h *hw) run(o recorder.Options) (made *recorder.Recording, said error) {
	h.t.Helper()
	o.Config, o.Last = h.encoded(), h.last
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		said = stacks.Program(stacks.Setups(), recorder.Keys(h.config))(ctx)
		return said
	}, o)
	if (err == nil) != (said == nil) {
		h.t.Errorf("the program returned %v, the run %v", said, err)
	}
	return made, said
}

// variants of the setup.
var huaweicloudVariants = []struct {
	name   string
	change func(*hw)
}{
	{"the vendor's example", func(*hw) {}},
	{"services alone", func(h *hw) { h.set("privateNat", nil) }},
	{"services that exist", (*hw).existing},
	{"networks that exist", func(h *hw) {
		h.set("service.vpc", block{"id": "vpc-b", "cidr": "10.0.0.0/16"})
		h.set("service.subnet", block{"id": "net-b", "ipv4SubnetId": "sub-b", "cidr": "10.0.0.0/24"})
		h.set("privateNat.networks.app", block{"vpc": block{"id": "vpc-a", "cidr": "192.168.0.0/16"}, "subnet": block{"id": "net-a", "cidr": "192.168.0.0/24"}})
	}},
	{"several of everything", func(h *hw) {
		h.second()
		h.set("service.groups.group-c", block{"protocol": "UDP", "members": block{"ecs-b": block{"instance": "ecs-b", "port": 53}, "old": block{"address": "10.0.0.20", "port": 53, "weight": 10}}})
		h.set("service.loadBalancers.elb02.listeners.dns", block{"port": 53, "group": "group-c"})
		h.set("privateNat.networks.other", block{"vpc": block{"cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.7.0/24"}})
		h.set("privateNat.transitIps.fixed", block{"network": "other", "address": "192.168.7.9"})
		h.set("privateNat.transitIps.outward", block{"network": "app"})
		h.set("privateNat.targets.vip", block{"type": "virtual-ip", "portId": "port-9"})
		h.set("privateNat.targets.printer", block{"type": "address", "address": "10.0.0.77"})
		h.rule("dns", block{"target": "elb02", "protocol": "UDP", "port": 53, "targetPort": 53})
		h.rule("ssh", block{"target": "ecs-b", "port": 2222, "targetPort": 22, "description": "to look inside"})
		h.rule("vip", block{"target": "vip", "transitIp": "fixed", "port": 8080, "targetPort": 80})
		h.rule("print", block{"target": "printer", "transitIp": "fixed", "port": 631, "targetPort": 631})
		h.set("privateNat.snatRules.reports", block{"transitIp": "outward"})
	}},
}

func TestEveryVariantOnHuaweiCloudFollowsTheRules(t *testing.T) {
	var text strings.Builder
	for _, v := range huaweicloudVariants {
		h := newHW(t)
		v.change(h)
		made, err := h.run(recorder.Options{})
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		made.Check(t)
		preview, err := h.run(recorder.Options{DryRun: true})
		if err != nil {
			t.Fatalf("%s: preview: %v", v.name, err)
		}
		if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
			t.Errorf("%s: a preview registers other names (-update +preview):\n%s", v.name, diff)
		}
		fmt.Fprintf(&text, "%s\n  %s\n", v.name, strings.Join(made.URNs(), "\n  "))
	}
	recorder.GoldenText(t, "urns-huaweicloud", text.String(), "a URN that goes is a resource deleted in every stack, one that comes is created (a rename needs an alias)")
}

// The tables of the vendor's best practice, one value after the other.
func TestTheDevEnvironmentIsTheVendorsExample(t *testing.T) {
	made, err := newHW(t).run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, o := range made.Objects {
		for property, value := range o.Inputs {
			got[strings.TrimPrefix(o.Name, "huaweicloud-")+"."+property] = value
		}
	}
	for property, want := range map[string]any{
		"region":           nil,
		"nat-vpc-app.name": "VPC-A", "nat-vpc-app.cidr": "192.168.0.0/16",
		"nat-subnet-app.name": "subnet-A01", "nat-subnet-app.cidr": "192.168.0.0/24", "nat-subnet-app.gatewayIp": "192.168.0.1",
		"service-vpc.name": "VPC-B", "service-vpc.cidr": "10.0.0.0/16",
		"service-subnet.name": "subnet-B01", "service-subnet.cidr": "10.0.0.0/24", "service-subnet.gatewayIp": "10.0.0.1",
		"service-instance-ecs-b.name": "ECS-B", "service-pool-group-b.name": "group-B", "service-pool-group-b.protocol": "HTTP",
		"service-pool-group-b.type": "instance", "service-pool-group-b.loadbalancerId": nil,
		"service-elb-elb01.name": "ELB01", "service-elb-elb01.availabilityZones": []any{"cn-north-4a", "cn-north-4b"},
		"service-elb-elb01.ipv4SubnetId": "huaweicloud-service-subnet.ipv4SubnetId", "service-elb-elb01.backendSubnets": []any{"huaweicloud-service-subnet.id"},
		"service-elb-elb01.ipv4Address": nil, "service-elb-elb01.l4FlavorId": nil,
		"service-listener-elb01.http.protocol": "HTTP", "service-listener-elb01.http.protocolPort": 80.0,
		"service-listener-elb01.http.defaultPoolId": "huaweicloud-service-pool-group-b.id",
		"service-listener-elb01.http.accessPolicy":  nil, "service-listener-elb01.http.ipGroup": nil,
		"nat-gateway.name": "private_nat_gateway", "nat-gateway.spec": "Small", "nat-gateway.subnetId": "huaweicloud-service-subnet.id",
		"nat-transit-main.subnetId": "huaweicloud-nat-subnet-app.id", "nat-transit-main.ipAddress": nil,
		"nat-rule-web.protocol": "tcp", "nat-rule-web.transitServicePort": 80.0, "nat-rule-web.internalServicePort": 80.0,
		"nat-rule-web.backendInterfaceId": "huaweicloud-service-elb-elb01.ipv4PortId", "nat-rule-web.backendPrivateIp": nil,
		"nat-rule-web.gatewayId": "huaweicloud-nat-gateway.id", "nat-rule-web.transitIpId": "huaweicloud-nat-transit-main.id",
	} {
		if diff := cmp.Diff(want, got[property]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", property, diff)
		}
	}
}

func TestARuleComesAfterEverythingThatAnswersAtItsLoadBalancer(t *testing.T) {
	made, err := newHW(t).run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rule := made.Named("huaweicloud:index/natPrivateDnatRule:NatPrivateDnatRule")["huaweicloud-nat-rule-web"]
	for _, o := range made.Objects {
		for _, kind := range []string{"elbListener", "elbMember", "elbMonitor"} {
			if strings.HasPrefix(o.Type, "huaweicloud:index/"+kind) && !slices.Contains(rule.Dependencies, o.URN) {
				t.Errorf("the rule does not wait for %s", o.Name)
			}
		}
	}
}

// badHuaweicloud are stacks that are wrong in themselves.
var badHuaweicloud = []struct {
	name   string
	change func(*hw)
}{
	{"a transit IP in the VPC of the services", func(h *hw) {
		h.existing()
		h.set("privateNat.networks.app.vpc", block{"id": "vpc-b", "cidr": "192.168.0.0/16"})
	}},
	{"a transit IP in the subnet of the services", func(h *hw) {
		h.existing()
		h.set("privateNat.networks.app.vpc", block{"id": "vpc-c", "cidr": "192.168.0.0/16"})
		h.set("privateNat.networks.app.subnet", block{"id": "net-b", "cidr": "192.168.0.0/24"})
	}},
	{"a transit IP in the VPC that this stack made for the services", func(h *hw) {
		h.last = map[string]any{"huaweicloud": map[string]any{"service": map[string]any{"vpcId": "vpc-made"}}}
		h.set("privateNat.networks.app.vpc", block{"id": "vpc-made", "cidr": "192.168.0.0/16"})
	}},
	{"a target in the VPC of its transit IP", func(h *hw) {
		h.set("privateNat.targets.near", block{"type": "address", "address": "192.168.0.8"})
		h.rule("near", block{"target": "near", "port": 81})
	}},
	{"two rules for one load balancer", func(h *hw) { h.rule("again", block{"port": 81}) }},
	{"two rules for one load balancer under two keys", func(h *hw) {
		h.existing()
		h.set("privateNat.targets.other", block{"type": "load-balancer", "portId": "port-1", "listeners": block{"web": block{"protocol": "HTTP", "port": 80}}})
		h.rule("again", block{"target": "other", "port": 81})
	}},
	{"one port of a transit IP twice", func(h *hw) { h.rule("again", block{"target": "ecs-b"}) }},
	{"all ports of a transit IP and one", func(h *hw) {
		h.rule("all", block{"target": "ecs-b", "protocol": "any", "port": 0, "targetPort": 0})
	}},
	{"no ports", func(h *hw) {
		h.set("privateNat.rules.web.port", nil)
		h.set("privateNat.rules.web.targetPort", nil)
	}},
	{"ports out of range", func(h *hw) { h.rule("web", block{"port": 65536, "targetPort": -1}) }},
	{"ports with any", func(h *hw) { h.set("privateNat.rules.web.protocol", "any") }},
	{"a protocol that there is not", func(h *hw) { h.set("privateNat.rules.web.protocol", "http") }},
	{"a port that no listener serves", func(h *hw) { h.set("privateNat.rules.web.targetPort", 8080) }},
	{"a protocol that the listener does not speak", func(h *hw) { h.set("privateNat.rules.web.protocol", "udp") }},
	{"a fixed address outside its subnet", func(h *hw) { h.set("privateNat.transitIps.main.address", "192.168.1.9") }},
	{"a fixed address that is the gateway's", func(h *hw) { h.set("privateNat.transitIps.main.address", "192.168.0.1") }},
	{"a fixed address that is a chosen gateway's", func(h *hw) {
		h.set("privateNat.networks.app.subnet.gateway", "192.168.0.254")
		h.set("privateNat.transitIps.main.address", "192.168.0.254")
	}},
	{"a fixed address that the cloud keeps", func(h *hw) { h.set("privateNat.transitIps.main.address", "192.168.0.253") }},
	{"a fixed address that is none", func(h *hw) { h.set("privateNat.transitIps.main.address", "192.168.0") }},
	{"one fixed address twice", func(h *hw) {
		h.set("privateNat.transitIps.main.address", "192.168.0.9")
		h.set("privateNat.transitIps.more", block{"network": "app", "address": "192.168.0.9"})
	}},
	{"more rules than the gateway holds", func(h *hw) {
		for i := range 20 {
			h.rule(fmt.Sprintf("r%d", i), block{"target": "ecs-b", "port": 1000 + i})
		}
	}},
	{"a gateway of a size that there is not", func(h *hw) { h.set("privateNat.gateway.spec", "small") }},
	{"names that the API refuses", func(h *hw) {
		h.set("privateNat.gateway.name", "private.nat")
		h.set("service.vpc.name", "VPC B")
		h.set("service.subnet.name", strings.Repeat("x", 65))
		h.set("service.loadBalancers.elb01.name", "ELB<01>")
		h.set("service.groups.group-b.name", "a/b")
		h.set("service.instances.ecs-b.name", "ECS B")
		h.set("privateNat.rules.web.description", "a < b")
	}},
	{"names that two VPCs have", func(h *hw) {
		h.set("privateNat.networks.app.vpc.name", "VPC-B")
		h.set("privateNat.networks.other", block{"vpc": block{"name": "VPC-B", "cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.7.0/24"}})
		h.set("privateNat.networks.own", block{"vpc": block{"cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.7.0/24"}})
		h.set("privateNat.networks.same", block{"vpc": block{"name": "huaweicloud-nat-vpc-own", "cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.7.0/24"}})
	}},
	{"keys that cannot be names", func(h *hw) {
		h.set("privateNat.transitIps.Main", block{"network": "app"})
		h.rule("Web", block{"target": "ecs-b", "port": 81})
	}},
	{"VPCs that overlap, with a rule between them", func(h *hw) {
		h.set("privateNat.networks.app", block{"vpc": block{"cidr": "10.0.0.0/8"}, "subnet": block{"cidr": "10.9.0.0/24"}})
	}},
	{"VPCs that overlap, with an SNAT rule between them", func(h *hw) {
		h.set("privateNat.networks.far", block{"vpc": block{"cidr": "10.0.0.0/16"}, "subnet": block{"cidr": "10.0.5.0/24"}})
		h.set("privateNat.transitIps.out", block{"network": "far"})
		h.set("privateNat.snatRules", block{"o": block{"transitIp": "out"}})
	}},
	{"a subnet outside its VPC", func(h *hw) { h.set("service.subnet.cidr", "10.1.0.0/24") }},
	{"CIDRs that are none", func(h *hw) {
		h.set("service.vpc.cidr", "10.0.0.0")
		h.set("privateNat.networks.app.subnet.cidr", "192.168.0.1/24")
	}},
	{"a subnet that is too small", func(h *hw) { h.set("service.subnet.cidr", "10.0.0.0/29") }},
	{"ids without what belongs to them", func(h *hw) {
		h.set("service.subnet", block{"id": "net-b", "name": "subnet-B01", "cidr": "10.0.0.0/24"})
		h.set("privateNat.networks.app.vpc", block{"id": "vpc-a", "name": "VPC-A", "cidr": "192.168.0.0/16"})
		h.set("privateNat.networks.app.subnet.ipv4SubnetId", "sub-a")
	}},
	{"the two ids of a subnet mixed up", func(h *hw) {
		h.set("service.vpc", block{"id": "vpc-b", "cidr": "10.0.0.0/16"})
		h.set("service.subnet", block{"id": "net-b", "ipv4SubnetId": "net-b", "cidr": "10.0.0.0/24"})
	}},
	{"references to nothing", func(h *hw) {
		h.set("service.loadBalancers.elb01.listeners.http.group", "none")
		h.set("service.groups.group-b.members.ecs-b.instance", "none")
		h.set("privateNat.transitIps.main.network", "none")
		h.rule("web", block{"transitIp": "none", "target": "none"})
		h.set("privateNat.snatRules.x", block{"transitIp": "none"})
	}},
	{"targets of every wrong kind", func(h *hw) {
		h.set("privateNat.targets", block{
			"none":    block{"type": "alb", "portId": "p"},
			"bare":    block{"type": "address"},
			"far":     block{"type": "address", "address": "printer.local"},
			"both":    block{"type": "instance", "portId": "p", "address": "10.0.0.9"},
			"nowhere": block{"type": "virtual-ip"},
			"dumb":    block{"type": "load-balancer", "portId": "p"},
			"odd":     block{"type": "load-balancer", "portId": "p", "listeners": block{"x": block{"protocol": "SCTP", "port": 0}}},
			"vm":      block{"type": "instance", "portId": "p", "listeners": block{"x": block{"protocol": "TCP", "port": 1}}},
			"port":    block{"type": "address", "address": "10.0.0.9", "portId": "p"},
			"group":   block{"type": "address", "address": "224.0.0.1"},
		})
	}},
	{"no applications", func(h *hw) {
		for _, key := range []string{"networks", "transitIps", "rules"} {
			h.set("privateNat."+key, nil)
		}
	}},
	{"a listener's port out of range", func(h *hw) {
		h.set("service.loadBalancers.elb01.listeners.http.port", 70000)
		h.set("privateNat.rules.web.targetPort", 70000)
	}},
	{"routers where none can be", func(h *hw) {
		h.set("service.subnet.gateway", "10.0.0.0")
		h.set("privateNat.networks.app.subnet.gateway", "192.168.0.255")
	}},
	{"targets that the services have already", func(h *hw) {
		h.set("privateNat.targets.elb01", block{"type": "instance", "portId": "p"})
		h.set("service.instances.elb01", block{"zone": "cn-north-4a", "flavorId": "f", "imageId": "i"})
	}},
	{"the services said twice", func(h *hw) {
		h.set("privateNat.gateway", block{"vpcId": "vpc-b", "vpcCidr": "10.0.0.0/16", "subnetId": "net-b"})
	}},
	{"no services", func(h *hw) {
		h.set("service", nil)
	}},
	{"an empty service", func(h *hw) { h.set("service", block{"tags": block{}}) }},
	{"missing values of the services", func(h *hw) {
		h.set("service", block{"loadBalancers": block{"x": block{}}, "groups": block{"y": block{}}, "instances": block{"z": block{}}})
	}},
	{"load balancers and members that cannot be", func(h *hw) {
		h.set("service.loadBalancers.elb01.zones", list("cn-north-4a", "cn-north-4a"))
		h.set("service.loadBalancers.elb01.address", "10.0.0.255")
		h.set("service.loadBalancers.elb01.listeners.more", block{"port": 80, "group": "group-b"})
		h.set("service.groups.group-b.method", "RANDOM")
		h.set("service.groups.group-b.healthPath", "health")
		h.set("service.groups.group-b.members", block{
			"a": block{"instance": "ecs-b", "address": "10.0.0.9", "port": 80}, "b": block{"port": 0}, "c": block{"address": "10.1.0.9", "port": 80, "weight": 101},
			"d": block{"instance": "ecs-b", "port": 80}, "e": block{"instance": "ecs-b", "port": 80},
		})
		h.set("service.groups.other", block{"protocol": "HTTPS", "members": block{"a": block{"address": "10.0.0.9", "port": 443}}})
		h.set("service.instances.ecs-b.page", strings.Repeat("x", 16<<10+1))
	}},
	{"SNAT rules that cannot be", func(h *hw) {
		h.set("privateNat.transitIps.out", block{"network": "app"})
		h.set("privateNat.snatRules", block{
			"shared": block{"transitIp": "main"}, "again": block{"transitIp": "out"},
			"both": block{"transitIp": "out", "cidr": "10.0.0.0/25", "subnetId": "net-b"}, "far": block{"transitIp": "out", "cidr": "192.168.0.0/24"},
			"none": block{"transitIp": "out", "cidr": "10.0.0.1/24"}, "a": block{"transitIp": "out", "cidr": "10.0.1.0/24"}, "b": block{"transitIp": "out", "cidr": "10.0.0.0/23"},
		})
	}},
	{"a load balancer in disguise", func(h *hw) {
		h.last = map[string]any{"huaweicloud": map[string]any{"service": map[string]any{
			"addresses": map[string]any{"elb01": "10.0.0.3", "elb02": "10.0.0.4"}, "portIds": map[string]any{"elb01": "port-1"},
		}}}
		h.second()
		h.set("service.loadBalancers.elb02.address", "10.0.0.99")
		h.set("privateNat.targets", block{
			"automatic": block{"type": "address", "address": "10.0.0.3"}, "fixed": block{"type": "address", "address": "10.0.0.99"},
			"port": block{"type": "virtual-ip", "portId": "port-1"},
		})
		h.rule("again", block{"target": "automatic", "port": 81})
	}},
	{"two rules for one load balancer, of which one says that it is something else", func(h *hw) {
		h.existing()
		h.set("privateNat.targets.other", block{"type": "instance", "portId": "port-1"})
		h.rule("again", block{"target": "other", "port": 81})
	}},
	{"fixed addresses that load balancers and members would share", func(h *hw) {
		h.second()
		h.set("service.loadBalancers.elb01.address", "10.0.0.99")
		h.set("service.loadBalancers.elb02.address", "10.0.0.99")
		h.set("service.loadBalancers.elb03", block{"zones": list("cn-north-4a"), "address": "10.0.0.20", "listeners": block{"x": block{"port": 1, "group": "group-b"}}})
		h.set("service.groups.group-b.members.old", block{"address": "10.0.0.20", "port": 80})
	}},
	{"listeners that the flavors of their load balancers do not serve", func(h *hw) {
		h.second()
		h.set("service.groups.dns", block{"protocol": "UDP", "members": block{"ecs-b": block{"instance": "ecs-b", "port": 53}}})
		h.set("service.loadBalancers.elb01.l7FlavorId", "seven")
		h.set("service.loadBalancers.elb01.listeners.dns", block{"port": 53, "group": "dns"})
		h.set("service.loadBalancers.elb02.l4FlavorId", "four")
	}},
	{"two networks in one place", func(h *hw) {
		h.set("privateNat.networks", block{
			"app": block{"vpc": block{"id": "vpc-a", "cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.0.0/24"}},
			"new": block{"vpc": block{"id": "vpc-a", "cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.0.128/25"}},
			"one": block{"vpc": block{"id": "vpc-c", "cidr": "192.168.0.0/16"}, "subnet": block{"id": "net-c", "cidr": "192.168.7.0/24"}},
			"two": block{"vpc": block{"id": "vpc-c", "cidr": "192.168.0.0/16"}, "subnet": block{"id": "net-c", "cidr": "192.168.7.0/24"}},
		})
		h.set("privateNat.transitIps.one", block{"network": "one", "address": "192.168.7.9"})
		h.set("privateNat.transitIps.two", block{"network": "two", "address": "192.168.7.9"})
	}},
	{"an unknown key and a wrong type", func(h *hw) {
		h.set("privateNat.rules.web.ports", 80)
		h.set("privateNat.rules.web.port", "eighty")
	}},
	{"no region", func(h *hw) { delete(h.config, "huaweicloud:region") }},
	{"a region that is none", func(h *hw) { h.config["huaweicloud:region"] = "cn-north4" }},
	{"a zone for a region", func(h *hw) { h.config["huaweicloud:region"] = "cn-north-4a" }},
	{"zones of another region", func(h *hw) {
		h.set("service.loadBalancers.elb01.zones", list("cn-north-4a", "cn-south-1a"))
		h.set("service.instances.ecs-b.zone", "b")
	}},
	{"a provider's key that would have no effect", func(h *hw) { h.config["huaweicloud:insecure"] = "true" }},
}

func TestBadInputForHuaweiCloudIsRefusedBeforeAnythingIsRegistered(t *testing.T) {
	all := newRefusals(t, "huaweicloud")
	for _, c := range badHuaweicloud {
		var said [2]string
		var config map[string]string
		var last map[string]any
		for i, preview := range []bool{false, true} {
			h := newHW(t)
			c.change(h)
			made, err := h.run(recorder.Options{DryRun: preview})
			if err == nil {
				t.Errorf("%s: is not refused", c.name)
				continue
			}
			config, last = h.config, h.last
			if said[i] = err.Error(); len(made.Objects) > 0 {
				t.Errorf("%s: %v are registered", c.name, made.URNs())
			}
		}
		if said[0] != said[1] {
			t.Errorf("%s: a preview says something else:\n%s\nthan the update:\n%s", c.name, said[1], said[0])
		}
		all.add(c.name, config, last, said[0])
	}
	all.golden("refusals-huaweicloud", "mistakes-huaweicloud")
}

func TestWhatDoesNotMatterOnHuaweiCloudIsNotRefused(t *testing.T) {
	for name, change := range map[string]func(*hw){
		"applications' VPCs that overlap each other": func(h *hw) {
			h.set("privateNat.networks.twin", block{"vpc": block{"cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.0.0/24"}})
			h.set("privateNat.transitIps.twin", block{"network": "twin"})
			h.rule("twin", block{"transitIp": "twin", "target": "ecs-b"})
		},
		"a VPC that overlaps that of the services, and no rule": func(h *hw) {
			h.set("privateNat.networks.twin", block{"vpc": block{"cidr": "10.0.0.0/16"}, "subnet": block{"cidr": "10.0.0.0/24"}})
			h.set("privateNat.transitIps.twin", block{"network": "twin"})
		},
		"one port for two protocols": func(h *hw) { h.rule("udp", block{"target": "ecs-b", "protocol": "udp"}) },
		"upper case":                 func(h *hw) { h.set("privateNat.rules.web.protocol", "TCP") },
		"as many rules as the gateway holds": func(h *hw) {
			for i := range 19 {
				h.rule(fmt.Sprintf("r%d", i), block{"target": "ecs-b", "port": 1000 + i})
			}
		},
		"flavors for all that listeners speak": func(h *hw) {
			h.set("service.groups.dns", block{"protocol": "UDP", "members": block{"ecs-b": block{"instance": "ecs-b", "port": 53}}})
			h.set("service.loadBalancers.elb01.l4FlavorId", "four")
			h.set("service.loadBalancers.elb01.l7FlavorId", "seven")
			h.set("service.loadBalancers.elb01.listeners.dns", block{"port": 53, "group": "dns"})
		},
		"an address behind the VPC of the services": func(h *hw) {
			h.set("privateNat.targets.onsite", block{"type": "address", "address": "172.16.0.9"})
			h.rule("onsite", block{"target": "onsite", "port": 81})
		},
	} {
		h := newHW(t)
		change(h)
		if _, err := h.run(recorder.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheKeysOfHuaweiCloudsProviderArePassedOnAndSecretsStaySecret(t *testing.T) {
	secrets := []string{"accessKey", "secretKey", "securityToken"}
	h := newHW(t)
	var keys []string
	for _, s := range stacks.Setups() {
		if s.Name == "huaweicloud" {
			keys = s.ProviderKeys
		}
	}
	o, value := recorder.Options{}, map[string]string{}
	for _, k := range keys {
		value[k] = "value of " + k
		if k == "region" {
			value[k] = "cn-north-4" // its zones are of it
		}
		h.config["huaweicloud:"+k] = value[k]
		if slices.Contains(secrets, k) {
			o.Secrets = append(o.Secrets, "huaweicloud:"+k)
		}
	}
	made, err := h.run(o)
	if err != nil {
		t.Fatal(err)
	}
	providers := made.Named("pulumi:providers:huaweicloud")
	provider, ok := providers["huaweicloud"]
	if !ok || len(providers) != 1 {
		t.Fatalf("providers: %v", slices.Collect(maps.Keys(providers)))
	}
	for _, k := range keys {
		if provider.Inputs[k] != value[k] {
			t.Errorf("%s: the provider gets %v", k, provider.Inputs[k])
		}
	}
	if diff := cmp.Diff(secrets, provider.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}
