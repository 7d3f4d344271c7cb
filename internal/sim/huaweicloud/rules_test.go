package huaweicloud_test

import (
	"maps"
	"strings"
	"testing"

	"polynat/internal/sim"
	"polynat/internal/sim/huaweicloud"
)

// Type tokens.
const (
	vpcType       = "huaweicloud:index/vpc:Vpc"
	subnetType    = "huaweicloud:index/vpcSubnet:VpcSubnet"
	groupType     = "huaweicloud:index/networkingSecgroup:NetworkingSecgroup"
	groupRuleType = "huaweicloud:index/networkingSecgroupRule:NetworkingSecgroupRule"
	instanceType  = "huaweicloud:index/computeInstance:ComputeInstance"
	balancerType  = "huaweicloud:index/elbLoadbalancer:ElbLoadbalancer"
	listenerType  = "huaweicloud:index/elbListener:ElbListener"
	poolType      = "huaweicloud:index/elbPool:ElbPool"
	memberType    = "huaweicloud:index/elbMember:ElbMember"
	monitorType   = "huaweicloud:index/elbMonitor:ElbMonitor"
	gatewayType   = "huaweicloud:index/natPrivateGateway:NatPrivateGateway"
	transitType   = "huaweicloud:index/natPrivateTransitIp:NatPrivateTransitIp"
	dnatType      = "huaweicloud:index/natPrivateDnatRule:NatPrivateDnatRule"
	snatType      = "huaweicloud:index/natPrivateSnatRule:NatPrivateSnatRule"
)

type o = sim.Object

// region is a cloud under test with the vendor's example in it; out are the outputs of its objects by name.
type region struct {
	t     *testing.T
	cloud *huaweicloud.Cloud
	id    map[string]string
	typ   map[string]string
	in    map[string]o
	out   map[string]o
}

func newRegion(t *testing.T, options huaweicloud.Options) *region {
	return &region{t, huaweicloud.New(options), map[string]string{}, map[string]string{}, map[string]o{}, map[string]o{}}
}

func urn(name, typ string) string { return "urn:pulumi:dev::p::" + typ + "::" + name }

func (r *region) try(name, typ string, in o) error {
	id, out, err := r.cloud.Create(r.t.Context(), sim.Request{URN: urn(name, typ), Type: typ, Inputs: in})
	if err == nil {
		r.id[name], r.typ[name], r.in[name], r.out[name] = id, typ, in, out
	}
	return err
}

func (r *region) make(name, typ string, in o) {
	r.t.Helper()
	if err := r.try(name, typ, in); err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	if typ == gatewayType { // whoever looks at it finds it ACTIVE
		r.lookUp("getNatPrivateGateways", o{"gatewayId": r.id[name]})
	}
}

func (r *region) lookUp(function string, args o) o {
	r.t.Helper()
	found, err := r.cloud.Invoke(r.t.Context(), "huaweicloud:index/"+function+":"+function, args)
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

func (r *region) tryUpdate(name string, change o) error {
	in := maps.Clone(r.in[name])
	for k, v := range change {
		if v == nil {
			delete(in, k)
		} else {
			in[k] = v
		}
	}
	out, err := r.cloud.Update(r.t.Context(), sim.Request{
		URN: urn(name, r.typ[name]), Type: r.typ[name], ID: r.id[name], Old: r.out[name], Inputs: in,
	})
	if err == nil {
		r.in[name], r.out[name] = in, out
	}
	return err
}

func (r *region) update(name string, change o) {
	r.t.Helper()
	if err := r.tryUpdate(name, change); err != nil {
		r.t.Fatalf("update %s: %v", name, err)
	}
}

func (r *region) tryDelete(name string) error {
	return r.cloud.Delete(r.t.Context(), sim.Request{Type: r.typ[name], ID: r.id[name]})
}

func (r *region) delete(names ...string) {
	r.t.Helper()
	for _, name := range names {
		if err := r.tryDelete(name); err != nil {
			r.t.Fatalf("delete %s: %v", name, err)
		}
	}
}

// example is the vendor's: ECS-A in VPC-A, and ELB01 with group-B and ECS-B in VPC-B, behind a rule.
func example(t *testing.T) *region {
	t.Helper()
	return exampleIn(t, huaweicloud.Options{})
}

func exampleIn(t *testing.T, options huaweicloud.Options) *region {
	t.Helper()
	r := newRegion(t, options)
	network := func(side, cidr, subnet, gateway string) {
		r.make("vpc-"+side, vpcType, o{"name": "VPC-" + side, "cidr": cidr})
		r.make("subnet-"+side, subnetType, o{"name": "subnet-" + side, "vpcId": r.id["vpc-"+side], "cidr": subnet, "gatewayIp": gateway})
	}
	network("a", "192.168.0.0/16", "192.168.0.0/24", "192.168.0.1")
	network("b", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.1")
	r.make("group-a", groupType, o{"name": "a"})
	r.make("group-b", groupType, o{"name": "b"})
	r.make("admit", groupRuleType, o{
		"securityGroupId": r.id["group-b"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "ports": "80",
		"remoteIpPrefix": "10.0.0.0/24",
	})
	for _, side := range []string{"a", "b"} {
		r.make("ecs-"+side, instanceType, o{
			"name": "ECS-" + side, "imageId": "image", "flavorId": "flavor", "securityGroupIds": []any{r.id["group-"+side]},
			"networks": []any{o{"uuid": r.id["subnet-"+side]}},
		})
	}
	r.make("elb", balancerType, o{
		"name": "ELB01", "availabilityZones": []any{"cn-north-4a", "cn-north-4b"}, "vpcId": r.id["vpc-b"],
		"ipv4SubnetId": r.out["subnet-b"]["ipv4SubnetId"], "l7FlavorId": "elb-l7-elastic",
	})
	r.make("pool", poolType, o{"protocol": "HTTP", "lbMethod": "ROUND_ROBIN", "type": "instance", "vpcId": r.id["vpc-b"]})
	r.make("monitor", monitorType, o{
		"poolId": r.id["pool"], "protocol": "HTTP", "interval": 5.0, "timeout": 3.0, "maxRetries": 3.0, "urlPath": "/", "enabled": true,
	})
	r.make("member", memberType, o{
		"poolId": r.id["pool"], "address": r.out["ecs-b"]["accessIpV4"], "protocolPort": 80.0, "subnetId": r.out["subnet-b"]["ipv4SubnetId"],
	})
	r.make("listener", listenerType, o{
		"loadbalancerId": r.id["elb"], "protocol": "HTTP", "protocolPort": 80.0, "defaultPoolId": r.id["pool"],
	})
	r.make("gateway", gatewayType, o{"name": "private_nat_gateway", "subnetId": r.id["subnet-b"], "spec": "Small"})
	r.make("transit", transitType, o{"subnetId": r.id["subnet-a"]})
	r.make("rule", dnatType, o{
		"gatewayId": r.id["gateway"], "transitIpId": r.id["transit"], "protocol": "tcp", "transitServicePort": 80.0,
		"internalServicePort": 80.0, "backendInterfaceId": r.out["elb"]["ipv4PortId"],
	})
	return r
}

// second adds another load balancer to the example, with the same backends.
func (r *region) second() {
	r.make("elb2", balancerType, o{
		"name": "ELB02", "availabilityZones": []any{"cn-north-4a"}, "ipv4SubnetId": r.out["subnet-b"]["ipv4SubnetId"],
	})
	r.make("listener2", listenerType, o{
		"loadbalancerId": r.id["elb2"], "protocol": "HTTP", "protocolPort": 80.0, "defaultPoolId": r.id["pool"],
	})
}

func TestTheVendorsExampleIsAcceptedAndTakenDownInReverse(t *testing.T) {
	r := example(t)
	for name, want := range map[string]map[string]string{
		"rule":    {"backendType": "ELBv3"},
		"gateway": {"status": "PENDING_CREATE", "vpcId": r.id["vpc-b"]},
		"transit": {"ipAddress": "192.168.0.3"},
		"elb":     {"ipv4Address": "10.0.0.3"},
		"ecs-a":   {"accessIpV4": "192.168.0.2"},
	} {
		for property, value := range want {
			if got := r.out[name][property]; got != value {
				t.Errorf("%s.%s is %v, want %s", name, property, got, value)
			}
		}
	}
	if _, out, _, err := r.cloud.Read(t.Context(), transitType, r.id["transit"]); err != nil || out["gatewayId"] != r.id["gateway"] {
		t.Errorf("the transit IP shows gateway %v (%v), want %s", out["gatewayId"], err, r.id["gateway"])
	}
	r.delete("rule", "listener", "member", "monitor", "pool", "elb", "gateway", "transit", "ecs-a", "ecs-b", "admit",
		"group-a", "group-b", "subnet-a", "subnet-b", "vpc-a", "vpc-b")
	r.delete("rule") // what is gone is gone
}

func TestWhatTheCloudRefuses(t *testing.T) {
	neutron := func(r *region, subnet string) any { return r.out[subnet]["ipv4SubnetId"] }
	rule := func(r *region, change o) error {
		in := o{
			"gatewayId": r.id["gateway"], "transitIpId": r.id["transit"], "protocol": "tcp", "transitServicePort": 81.0,
			"internalServicePort": 80.0, "backendInterfaceId": r.out["elb2"]["ipv4PortId"],
		}
		for k, v := range change {
			if in[k] = v; v == nil {
				delete(in, k)
			}
		}
		return r.try("another rule", dnatType, in)
	}
	source := func(r *region, in o) error {
		r.make("outward", transitType, o{"subnetId": r.id["subnet-a"]})
		for k, v := range (o{"gatewayId": r.id["gateway"], "transitIpId": r.id["outward"]}) {
			if _, ok := in[k]; !ok {
				in[k] = v
			}
		}
		return r.try("source", snatType, in)
	}
	for _, c := range []struct {
		name string
		try  func(r *region) error
		says string // empty if it is not refused
	}{
		{"a VPC that leaves its subnet out", func(r *region) error { return r.tryUpdate("vpc-a", o{"cidr": "192.168.128.0/17"}) }, "does not hold 192.168.0.0/24"},
		{"a VPC with the name of another", func(r *region) error { return r.try("vpc", vpcType, o{"name": "VPC-a", "cidr": "10.9.0.0/16"}) }, `"VPC-a": vpc-000001 has it`},
		{"the name of another VPC", func(r *region) error { return r.tryUpdate("vpc-b", o{"name": "VPC-a"}) }, `"VPC-a": vpc-000001 has it`},
		{"a wider VPC", func(r *region) error { return r.tryUpdate("vpc-b", o{"cidr": "10.0.0.0/8"}) }, ""},
		{"a second rule for another load balancer", func(r *region) error { return rule(r, o{}) }, ""},
		{"a second rule for one load balancer", func(r *region) error {
			return rule(r, o{"backendInterfaceId": r.out["elb"]["ipv4PortId"]})
		}, "takes one rule"},
		{"a second rule for one load balancer by its address", func(r *region) error {
			return rule(r, o{"backendInterfaceId": nil, "backendPrivateIp": r.out["elb"]["ipv4Address"]})
		}, "takes one rule"},
		{"moving a rule to a load balancer that has one", func(r *region) error {
			if err := rule(r, o{}); err != nil {
				return err
			}
			return r.tryUpdate("rule", o{"backendInterfaceId": r.out["elb2"]["ipv4PortId"]})
		}, "takes one rule"},
		{"moving a rule to another load balancer", func(r *region) error {
			return r.tryUpdate("rule", o{"backendInterfaceId": r.out["elb2"]["ipv4PortId"]})
		}, ""},
		{"a transit IP in the destination's VPC", func(r *region) error {
			r.make("near", transitType, o{"subnetId": r.id["subnet-b"]})
			return rule(r, o{"transitIpId": r.id["near"]})
		}, "put the transit IP into the consumers' VPC"},
		{"a port that is taken", func(r *region) error { return rule(r, o{"transitServicePort": 80.0}) }, "use another port"},
		{"the port with the other protocol", func(r *region) error {
			return rule(r, o{"transitServicePort": 80.0, "protocol": "udp"})
		}, ""},
		{"all ports beside one", func(r *region) error {
			return rule(r, o{"protocol": "any", "transitServicePort": nil, "internalServicePort": nil})
		}, "use another port"},
		{"a port with any", func(r *region) error { return rule(r, o{"protocol": "any", "internalServicePort": nil}) }, "leave it out"},
		{"no port with tcp", func(r *region) error { return rule(r, o{"transitServicePort": nil}) }, "transitServicePort: 0: is not a port"},
		{"a port out of range", func(r *region) error { return rule(r, o{"internalServicePort": 65536.0}) }, "internalServicePort: 65536"},
		{"no backend", func(r *region) error { return rule(r, o{"backendInterfaceId": nil}) }, "set one of them"},
		{"two backends", func(r *region) error { return rule(r, o{"backendPrivateIp": "10.0.0.9"}) }, "set one of them"},
		{"a backend in the transit IP's VPC", func(r *region) error {
			return rule(r, o{"backendInterfaceId": nil, "backendPrivateIp": "192.168.0.2"})
		}, "and so is the transit IP"},
		{"a backend on premises", func(r *region) error {
			return rule(r, o{"backendInterfaceId": nil, "backendPrivateIp": "172.16.0.2"})
		}, ""},
		{"a backend that is no address", func(r *region) error {
			return rule(r, o{"backendInterfaceId": nil, "backendPrivateIp": "printer"})
		}, "is not an IPv4 address"},
		{"an instance outside the gateway's VPC", func(r *region) error {
			port := r.out["ecs-a"]["networks"].([]any)[0].(o)["port"]
			return rule(r, o{"backendInterfaceId": port})
		}, "not in the gateway's VPC"},
		{"a port that nobody has", func(r *region) error { return rule(r, o{"backendInterfaceId": "port-x"}) }, "is no port"},
		{"a transit IP of another gateway", func(r *region) error {
			r.make("gateway2", gatewayType, o{"name": "second", "subnetId": r.id["subnet-b"]})
			return rule(r, o{"gatewayId": r.id["gateway2"]})
		}, ""},
		{"a gateway in the IPv4 subnet's id", func(r *region) error {
			return r.try("g", gatewayType, o{"name": "g", "subnetId": neutron(r, "subnet-b")})
		}, "is the id of the subnet's IPv4 range, not of the network"},
		{"a transit IP in the IPv4 subnet's id", func(r *region) error {
			return r.try("t", transitType, o{"subnetId": neutron(r, "subnet-a")})
		}, "is the id of the subnet's IPv4 range, not of the network"},
		{"a load balancer in the network's id", func(r *region) error {
			return r.try("b", balancerType, o{"availabilityZones": []any{"cn-north-4a"}, "ipv4SubnetId": r.id["subnet-b"]})
		}, "is the id of the network, not of the subnet's IPv4 range"},
		{"backend subnets by the IPv4 subnet's id", func(r *region) error {
			return r.try("b", balancerType, o{
				"availabilityZones": []any{"cn-north-4a"}, "ipv4SubnetId": neutron(r, "subnet-b"), "backendSubnets": []any{neutron(r, "subnet-b")},
			})
		}, "not of the network"},
		{"a member in the network's id", func(r *region) error {
			return r.try("m", memberType, o{"poolId": r.id["pool"], "address": "10.0.0.9", "protocolPort": 80.0, "subnetId": r.id["subnet-b"]})
		}, "not of the subnet's IPv4 range"},
		{"an instance in the IPv4 subnet's id", func(r *region) error {
			return r.try("i", instanceType, o{"name": "i", "imageId": "i", "flavorId": "f", "networks": []any{o{"uuid": neutron(r, "subnet-b")}}})
		}, "not of the network"},
		{"a transit address that is taken", func(r *region) error {
			return r.try("t", transitType, o{"subnetId": r.id["subnet-a"], "ipAddress": r.out["transit"]["ipAddress"]})
		}, "is taken by transit IP"},
		{"the gateway's address", func(r *region) error {
			return r.try("t", transitType, o{"subnetId": r.id["subnet-a"], "ipAddress": "192.168.0.1"})
		}, "belongs to the cloud"},
		{"an address outside the subnet", func(r *region) error {
			return r.try("t", transitType, o{"subnetId": r.id["subnet-a"], "ipAddress": "192.168.1.9"})
		}, "is not in 192.168.0.0/24"},
		{"a name that the API refuses", func(r *region) error {
			return r.try("g", gatewayType, o{"name": "private nat", "subnetId": r.id["subnet-b"]})
		}, "letters, digits, _-"},
		{"a long name", func(r *region) error {
			return r.try("g", gatewayType, o{"name": strings.Repeat("n", 65), "subnetId": r.id["subnet-b"]})
		}, "letters, digits, _-"},
		{"a listener on a port that is taken", func(r *region) error {
			return r.try("l", listenerType, o{"loadbalancerId": r.id["elb"], "protocol": "HTTP", "protocolPort": 80.0})
		}, "delete that first"},
		{"a listener that the flavor does not serve", func(r *region) error {
			return r.try("l", listenerType, o{"loadbalancerId": r.id["elb"], "protocol": "TCP", "protocolPort": 81.0})
		}, "has no flavor for it"},
		{"a pool of another protocol", func(r *region) error {
			return r.try("l", listenerType, o{"loadbalancerId": r.id["elb2"], "protocol": "TCP", "protocolPort": 81.0, "defaultPoolId": r.id["pool"]})
		}, "a listener of TCP needs [TCP]"},
		{"a pool of another VPC", func(r *region) error {
			r.make("p", poolType, o{"protocol": "HTTP", "lbMethod": "ROUND_ROBIN", "type": "instance", "vpcId": r.id["vpc-a"]})
			return r.tryUpdate("listener", o{"defaultPoolId": r.id["p"]})
		}, "not in the load balancer's"},
		{"a pool for a listener that has none", func(r *region) error {
			r.make("bare", listenerType, o{"loadbalancerId": r.id["elb2"], "protocol": "HTTP", "protocolPort": 81.0})
			if err := r.try("p", poolType, o{"protocol": "HTTP", "lbMethod": "ROUND_ROBIN", "listenerId": r.id["bare"]}); err != nil {
				return err
			}
			return r.tryDelete("p")
		}, "still sends to it"},
		{"a pool for a listener that has one", func(r *region) error {
			return r.try("p", poolType, o{"protocol": "HTTP", "lbMethod": "ROUND_ROBIN", "listenerId": r.id["listener"]})
		}, "has default backend server group"},
		{"a pool for nothing", func(r *region) error {
			return r.try("p", poolType, o{"protocol": "HTTP", "lbMethod": "ROUND_ROBIN"})
		}, "needs loadbalancerId, listenerId or type"},
		{"a protected load balancer", func(r *region) error {
			r.update("elb2", o{"deletionProtectionEnable": true})
			r.delete("listener2")
			return r.tryDelete("elb2")
		}, "is protected"},
		{"a load balancer that takes its listeners along", func(r *region) error {
			r.update("elb2", o{"forceDelete": true})
			return r.tryDelete("elb2")
		}, ""},
		{"a member without a subnet", func(r *region) error {
			return r.try("m", memberType, o{"poolId": r.id["pool"], "address": "10.0.0.9", "protocolPort": 80.0})
		}, "set subnetId"},
		{"a zone that is not there", func(r *region) error {
			return r.tryUpdate("elb", o{"availabilityZones": []any{"cn-north-1a"}})
		}, `"cn-north-1a": is not one of`},
		{"a member twice", func(r *region) error { return r.try("m", memberType, r.in["member"]) }, "delete that first"},
		{"a member outside its subnet", func(r *region) error {
			return r.try("m", memberType, o{"poolId": r.id["pool"], "address": "10.0.1.9", "protocolPort": 80.0, "subnetId": neutron(r, "subnet-b")})
		}, "is not in 10.0.0.0/24"},
		{"a second health check", func(r *region) error { return r.try("m", monitorType, r.in["monitor"]) }, "delete that first"},
		{"a health check without a path", func(r *region) error { return r.tryUpdate("monitor", o{"urlPath": ""}) }, "urlPath: missing"},
		{"an overlapping subnet", func(r *region) error {
			return r.try("s", subnetType, o{"vpcId": r.id["vpc-b"], "cidr": "10.0.0.128/25", "gatewayIp": "10.0.0.129"})
		}, "overlaps"},
		{"a rule of a security group twice", func(r *region) error { return r.try("g", groupRuleType, r.in["admit"]) }, "says the same"},
		{"an SNAT rule", func(r *region) error { return source(r, o{"subnetId": r.id["subnet-b"]}) }, ""},
		{"an SNAT rule with two sources", func(r *region) error {
			return source(r, o{"subnetId": r.id["subnet-b"], "cidr": "10.0.0.0/24"})
		}, "set one of them"},
		{"an SNAT rule with a source that has one", func(r *region) error {
			if err := source(r, o{"subnetId": r.id["subnet-b"]}); err != nil {
				return err
			}
			return r.try("again", snatType, r.in["source"])
		}, "has the same source"},
		{"an SNAT rule on the transit IP of a DNAT rule", func(r *region) error {
			return source(r, o{"subnetId": r.id["subnet-b"], "transitIpId": r.id["transit"]})
		}, "it serves one direction"},
		{"a DNAT rule on the transit IP of an SNAT rule", func(r *region) error {
			if err := source(r, o{"subnetId": r.id["subnet-b"]}); err != nil {
				return err
			}
			return rule(r, o{"transitIpId": r.id["outward"]})
		}, "it serves one direction"},
		{"deleting a gateway with rules", func(r *region) error { return r.tryDelete("gateway") }, "still has 1 rules"},
		{"deleting a transit IP in use", func(r *region) error { return r.tryDelete("transit") }, "still use it"},
		{"deleting a load balancer in use", func(r *region) error { return r.tryDelete("elb") }, "still leads to its port"},
		{"deleting a load balancer with listeners", func(r *region) error { r.delete("rule"); return r.tryDelete("elb") }, "still has listener"},
		{"deleting a pool of a listener", func(r *region) error { return r.tryDelete("pool") }, "still sends to it"},
		{"deleting a pool with members", func(r *region) error { r.delete("rule", "listener", "listener2"); return r.tryDelete("pool") }, "still has member"},
		{"deleting a subnet in use", func(r *region) error { return r.tryDelete("subnet-a") }, "delete it first"},
		{"deleting a VPC with subnets", func(r *region) error { return r.tryDelete("vpc-a") }, "still has subnet"},
		{"deleting a security group in use", func(r *region) error { return r.tryDelete("group-b") }, "still uses it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := example(t)
			r.second()
			before, _ := r.cloud.Save()
			clone := r.cloud.Clone()
			if same, _ := clone.Save(); string(same) != string(before) {
				t.Fatal("a clone differs")
			}
			err := c.try(r)
			if c.says == "" && err != nil {
				t.Fatal(err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Fatalf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestInAStricterCloudATransitIPServesOneGateway(t *testing.T) {
	r := exampleIn(t, huaweicloud.Options{OneGateway: true})
	r.make("gateway2", gatewayType, o{"name": "second", "subnetId": r.id["subnet-b"]})
	second := maps.Clone(r.in["rule"])
	second["gatewayId"], second["transitServicePort"] = r.id["gateway2"], 81.0
	delete(second, "backendInterfaceId")
	second["backendPrivateIp"] = "10.0.0.77"
	if err := r.try("second", dnatType, second); !sim.IsCode(err, huaweicloud.CodeConflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	r.delete("rule")
	r.make("second", dnatType, second)
}

func TestASpecificationHoldsSoManyRules(t *testing.T) {
	r := example(t)
	rule := func(name string, port int) error {
		return r.try(name, dnatType, o{
			"gatewayId": r.id["gateway"], "transitIpId": r.id["transit"], "protocol": "tcp", "transitServicePort": float64(port),
			"internalServicePort": 80.0, "backendPrivateIp": "10.0.0.77",
		})
	}
	for i := range 19 {
		if err := rule("r", 1000+i); err != nil {
			t.Fatal(err)
		}
	}
	if err := rule("r", 2000); !sim.IsCode(err, huaweicloud.CodeQuota) {
		t.Fatalf("the 21st rule of a Small gateway: %v", err)
	}
	r.update("gateway", o{"spec": "Medium"})
	if err := rule("r", 2000); err != nil {
		t.Fatal(err)
	}
	if err := r.tryUpdate("gateway", o{"spec": "Small"}); !sim.IsCode(err, huaweicloud.CodeQuota) {
		t.Fatalf("21 rules on a Small gateway: %v", err)
	}
}

func TestARuleNeedsAnActiveGateway(t *testing.T) {
	r := newRegion(t, huaweicloud.Options{Activation: 1})
	for _, side := range []string{"a", "b"} {
		r.make("vpc-"+side, vpcType, o{"name": side, "cidr": "10.0.0.0/16"}) // both may have the same block
		r.make("subnet-"+side, subnetType, o{"vpcId": r.id["vpc-"+side], "cidr": "10.0.0.0/24", "gatewayIp": "10.0.0.1"})
	}
	if err := r.try("gateway", gatewayType, o{"name": "g", "subnetId": r.id["subnet-b"]}); err != nil {
		t.Fatal(err)
	}
	if r.out["gateway"]["spec"] != "Small" {
		t.Errorf("spec is %v, want Small when none is given", r.out["gateway"]["spec"])
	}
	r.make("transit", transitType, o{"subnetId": r.id["subnet-a"]})
	rule := o{"gatewayId": r.id["gateway"], "transitIpId": r.id["transit"], "backendPrivateIp": "10.0.0.9"}
	if err := r.try("rule", dnatType, rule); !sim.IsCode(err, huaweicloud.CodeNotActive) {
		t.Fatalf("error %v, want that the gateway is not ACTIVE", err)
	}
	for _, want := range []string{"PENDING_CREATE", "ACTIVE"} {
		if err := r.try("rule", dnatType, rule); !sim.IsCode(err, huaweicloud.CodeNotActive) {
			t.Fatalf("tried again at once: error %v, want that the gateway is not ACTIVE", err)
		}
		found := r.lookUp("getNatPrivateGateways", o{"gatewayId": r.id["gateway"]})["gateways"].([]any)
		if len(found) != 1 || found[0].(o)["status"] != want {
			t.Errorf("a lookup finds %v, want one that is %s", found, want)
		}
	}
	r.make("rule", dnatType, rule)
	if r.out["rule"]["protocol"] != "any" || r.out["rule"]["backendType"] != "CUSTOMIZE" {
		t.Errorf("the rule is %v, want protocol any and type CUSTOMIZE", r.out["rule"])
	}
}

func TestAMovedLoadBalancerGetsAnotherPortAndTheRuleFollowsInPlace(t *testing.T) {
	r := example(t)
	port := r.out["elb"]["ipv4PortId"]
	r.update("elb", o{"ipv4Address": "10.0.0.100"})
	if r.out["elb"]["ipv4PortId"] == port {
		t.Fatal("the port is the old one")
	}
	r.update("rule", o{"backendInterfaceId": r.out["elb"]["ipv4PortId"]})
	r.update("rule", o{"backendInterfaceId": nil, "backendPrivateIp": "10.0.0.100"})
	if r.out["rule"]["backendType"] != "CUSTOMIZE" {
		t.Errorf("the rule is %v, want one to the address", r.out["rule"])
	}
}

func TestAReadShowsWhatTheProgramGave(t *testing.T) {
	r := example(t)
	for name, id := range r.id {
		inputs, _, ok, err := r.cloud.Read(t.Context(), r.typ[name], id)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		for property, want := range r.in[name] {
			if property == "networks" {
				continue // the cloud completes them
			}
			if got := inputs[property]; !equal(got, want) {
				t.Errorf("%s.%s is %v, want %v", name, property, got, want)
			}
		}
		if len(inputs) > len(r.in[name]) {
			t.Errorf("%s: inputs %v, the program gave %v", name, inputs, r.in[name])
		}
	}
	if _, _, ok, err := r.cloud.Read(t.Context(), vpcType, "vpc-9"); ok || err != nil {
		t.Errorf("a VPC that is not there: %v, %v", ok, err)
	}
}
