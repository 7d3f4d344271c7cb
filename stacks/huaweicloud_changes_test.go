package stacks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"polynat/internal/engine"
	"polynat/internal/sim"
	"polynat/internal/sim/huaweicloud"
	sdk "polynat/sdks/huaweicloud"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// onCloud runs the setup on the engine against the simulated cloud.
type onCloud struct {
	*hw
	cloud *huaweicloud.Cloud
	stack *engine.Stack
}

func newOnCloud(t *testing.T, h *hw, mutate pulumi.ResourceTransformation, options ...huaweicloud.Options) *onCloud {
	t.Helper()
	return newOnCloudParallel(t, 0, h, mutate, options...)
}

// newOnCloudParallel runs so many operations at once: what is left to chance with several, is not with one.
func newOnCloudParallel(t *testing.T, parallel int, h *hw, mutate pulumi.ResourceTransformation, options ...huaweicloud.Options) *onCloud {
	t.Helper()
	c := &onCloud{hw: h, cloud: huaweicloud.New(append(options, huaweicloud.Options{})[0])}
	program := func(ctx *pulumi.Context) error {
		if mutate != nil {
			if err := ctx.RegisterStackTransformation(mutate); err != nil {
				return err
			}
		}
		return stacks.Program(stacks.Setups(), recorder.Keys(h.config))(ctx)
	}
	stack, err := engine.New(engine.Options{
		Project: recorder.Project, Stack: recorder.Stack, Config: h.config, Program: program, Parallel: parallel,
		Providers: map[string]pulumirpc.ResourceProviderServer{"huaweicloud": sim.NewServer(huaweicloud.Schema(), c.cloud)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	c.stack = stack
	return c
}

// configure gives the stack the configuration.
func (c *onCloud) configure() {
	c.t.Helper()
	text, err := json.Marshal(c.block)
	if err == nil {
		c.config[huaweicloudKey] = string(text)
		err = c.stack.SetConfig(huaweicloudKey, string(text))
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// up updates the stack to the configuration, and finds what is left to do then and rules that are not reached.
func (c *onCloud) up(name string) error {
	c.t.Helper()
	c.configure()
	if result, err := c.stack.Up(c.t.Context()); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, strings.Join(result.Diagnostics, "\n"))
	}
	again, err := c.stack.Preview(c.t.Context())
	if err != nil {
		return fmt.Errorf("%s: preview: %w", name, err)
	}
	for _, step := range again.Steps {
		if step.Op != "same" {
			return fmt.Errorf("%s: is not done: %s %s", name, step.Op, step.URN)
		}
	}
	if sample := huaweicloud.NewTraffic(c.cloud).Observe(); len(sample.Unreached)+len(sample.Leaks) > 0 {
		return fmt.Errorf("%s: %+v", name, sample)
	}
	return nil
}

// ok is up without an error.
func (c *onCloud) ok(name string) {
	c.t.Helper()
	if err := c.up(name); err != nil {
		c.t.Fatal(err)
	}
}

func (c *onCloud) outputs() map[string]any {
	outputs, _ := c.stack.Outputs()["huaweicloud"].(map[string]any)
	return outputs
}

// instanceAddress is the one of ECS-B.
func (c *onCloud) instanceAddress() string {
	held, _ := c.outputs()["held"].(map[string]any)
	service, _ := held["service"].(map[string]any)
	claim, _ := service["instances.ecs-b.address"].(map[string]any)
	address, _ := claim["value"].(string)
	if address == "" {
		c.t.Fatalf("no address in %v", held)
	}
	return address
}

// address is that of the transit IP.
func (c *onCloud) address() string {
	outputs := c.outputs()
	addresses, _ := outputs["transitAddresses"].(map[string]any)
	address, _ := addresses["main"].(string)
	if address == "" {
		c.t.Fatalf("no address in %v", outputs)
	}
	return address
}

// huaweicloudChanges are updates of the vendor's example that collide with what stands, if a component does not see to it.
var huaweicloudChanges = []struct {
	name           string
	before, change func(*onCloud)
}{
	{"the ports", nil, func(h *onCloud) {
		h.set("service.loadBalancers.elb01.listeners.http.port", 8080)
		h.set("privateNat.rules.web.targetPort", 8080)
		h.set("privateNat.rules.web.port", 81)
	}},
	{"the protocol of the listener and its group", nil, func(h *onCloud) { h.set("service.groups.group-b.protocol", "TCP") }},
	{"another load balancer", nil, func(h *onCloud) {
		h.second()
		h.set("privateNat.rules.web.target", "elb02")
	}},
	{"a fixed transit address", nil, func(h *onCloud) { h.set("privateNat.transitIps.main.address", "192.168.0.77") }},
	{"the transit address that it has", nil, func(h *onCloud) { h.set("privateNat.transitIps.main.address", h.address()) }},
	{"another subnet for the services", nil, func(h *onCloud) { h.set("service.subnet.gateway", "10.0.0.200") }},
	{"another subnet for the applications", nil, func(h *onCloud) { h.set("privateNat.networks.app.subnet.gateway", "192.168.0.200") }},
	{"another instance", nil, func(h *onCloud) { h.set("service.instances.ecs-b.zone", "cn-north-4b") }},
	{"a fixed address for the load balancer", nil, func(h *onCloud) { h.set("service.loadBalancers.elb01.address", "10.0.0.99") }},
	{"a rule to an instance", nil, func(h *onCloud) { h.rule("ssh", block{"target": "ecs-b", "port": 2222, "targetPort": 22}) }},
	{"everything of an instance", nil, func(h *onCloud) {
		h.rule("web", block{"target": "ecs-b", "protocol": "any", "port": 0, "targetPort": 0})
	}},
	{"a host on premises", nil, func(h *onCloud) {
		h.set("privateNat.targets.onsite", block{"type": "address", "address": "172.16.0.9"})
		h.rule("onsite", block{"target": "onsite", "port": 81})
	}},
	{"the opposite direction", nil, func(h *onCloud) {
		h.set("privateNat.transitIps.outward", block{"network": "app"})
		h.set("privateNat.snatRules", block{"reports": block{"transitIp": "outward"}, "batch": block{"transitIp": "outward", "cidr": "10.0.9.0/24"}})
	}},
	{"no rule", nil, func(h *onCloud) { h.set("privateNat.rules", nil) }},
	{"no private NAT", nil, func(h *onCloud) { h.set("privateNat", nil) }},
	{"a larger gateway under another name", nil, func(h *onCloud) {
		h.set("privateNat.gateway", block{"name": "larger", "spec": "Medium"})
	}},
	{"names with dots", nil, func(h *onCloud) {
		h.set("service.instances.ecs-b.name", "ecs.b")
		h.set("service.loadBalancers.elb01.name", "elb.01")
		h.set("service.vpc.name", "vpc.b")
	}},
	{"a wider VPC", nil, func(h *onCloud) {
		h.set("service.vpc.cidr", "10.0.0.0/8")
		h.set("service.subnet.cidr", "10.0.7.0/24")
	}},
	{"another network for the applications", nil, func(h *onCloud) {
		h.set("privateNat.networks", block{"web": block{"vpc": block{"cidr": "172.16.0.0/16"}, "subnet": block{"cidr": "172.16.0.0/24"}}})
		h.set("privateNat.transitIps", block{"web": block{"network": "web"}})
		h.set("privateNat.rules.web.transitIp", "web")
	}},
	{"another router for the services, with the gateway elsewhere", (*onCloud).gatewayElsewhere, func(h *onCloud) {
		h.set("service.subnet.gateway", "10.0.0.200")
	}},
	{"another subnet for an instance, with the gateway elsewhere", func(h *onCloud) {
		h.gatewayElsewhere()
		h.rule("web", block{"target": "ecs-b", "targetPort": 22})
	}, func(h *onCloud) { h.set("service.subnet.cidr", "10.0.7.0/24") }},
	{"another subnet that exists, with the same addresses", func(h *onCloud) {
		for _, vpc := range []string{"vpc-b", "vpc-c"} {
			h.exists(vpc, "10.0.0.0/16")
			h.existsIn(vpc, vpc+"-net", "10.0.0.0/24")
		}
		h.servicesIn("vpc-b")
	}, func(h *onCloud) {
		h.servicesIn("vpc-c")
		h.set("service.loadBalancers.elb01.address", h.instanceAddress())
	}},
	{"the address of an instance in another subnet", nil, func(h *onCloud) {
		h.set("service.subnet.gateway", "10.0.0.200")
		h.set("service.loadBalancers.elb01.address", h.instanceAddress())
	}},
	{"another router for the services, that the rule leaves", func(h *onCloud) {
		h.gatewayElsewhere()
		h.set("privateNat.targets.onsite", block{"type": "address", "address": "172.16.0.9"})
	}, func(h *onCloud) {
		h.set("service.subnet.gateway", "10.0.0.200")
		h.set("privateNat.rules.web.target", "onsite")
	}},
	{"another subnet for the services, and the gateway moves there", (*onCloud).gatewayElsewhere, func(h *onCloud) {
		h.set("privateNat.gateway.subnetId", nil)
		h.set("service.subnet.gateway", "10.0.0.200")
	}},
}

// gatewayElsewhere makes the VPC of the services one that exists, with a subnet for the gateway alone.
func (c *onCloud) gatewayElsewhere() {
	c.exists("vpc-b", "10.0.0.0/16")
	c.existsIn("vpc-b", "gateways", "10.0.200.0/24")
	c.set("service.vpc", block{"id": "vpc-b", "cidr": "10.0.0.0/16"})
	c.set("privateNat.gateway.subnetId", "gateways")
}

// servicesIn has the services in the VPC that exists, in its only subnet.
func (c *onCloud) servicesIn(vpc string) {
	c.set("service.vpc", block{"id": vpc, "cidr": "10.0.0.0/16"})
	c.set("service.subnet", block{"id": vpc + "-net", "ipv4SubnetId": vpc + "-net-ipv4", "cidr": "10.0.0.0/24"})
}

// exists puts a VPC into the cloud.
func (c *onCloud) exists(vpc, cidr string) {
	c.t.Helper()
	if err := c.cloud.Adopt("", "huaweicloud:index/vpc:Vpc", vpc, nil, block{"cidr": cidr}); err != nil {
		c.t.Fatal(err)
	}
}

// existsIn puts a subnet into a VPC of the cloud.
func (c *onCloud) existsIn(vpc, subnet, cidr string) {
	c.t.Helper()
	first := prefix(cidr).Addr().Next().String()
	described := block{"vpcId": vpc, "cidr": cidr, "gatewayIp": first, "ipv4SubnetId": subnet + "-ipv4"}
	if err := c.cloud.Adopt("", "huaweicloud:index/vpcSubnet:VpcSubnet", subnet, nil, described); err != nil {
		c.t.Fatal(err)
	}
}

func TestEveryChangeOnHuaweiCloudConvergesThereAndBack(t *testing.T) {
	for _, c := range huaweicloudChanges {
		for name, options := range map[string]huaweicloud.Options{
			c.name:                                {},
			c.name + ", where clients are hidden": {HideClients: true},
			c.name + ", where a transit IP serves one gateway": {OneGateway: true},
		} {
			t.Run(name, func(t *testing.T) {
				on := newOnCloud(t, newHW(t), nil, options)
				if c.before != nil {
					c.before(on)
				}
				on.ok("deploy")
				back := on.config[huaweicloudKey]
				c.change(on)
				on.ok("there")
				on.block = nil
				if err := json.Unmarshal([]byte(back), &on.block); err != nil {
					t.Fatal(err)
				}
				on.ok("back")
				if result, err := on.stack.Destroy(t.Context()); err != nil {
					t.Fatalf("destroy: %v\n%s", err, strings.Join(result.Diagnostics, "\n"))
				}
			})
		}
	}
}

// huaweicloudCollisions are updates in which something new would meet what the old state still holds. Each begins with a
// deployed stack.
var huaweicloudCollisions = []struct {
	name           string
	before, change func(*onCloud)
}{
	{"a rule under another key", nil, func(h *onCloud) {
		h.set("privateNat.rules", nil)
		h.rule("www", block{})
	}},
	{"two rules that change load balancers", func(h *onCloud) {
		h.second()
		h.rule("other", block{"target": "elb02", "port": 81})
	}, func(h *onCloud) {
		h.set("privateNat.rules.web.target", "elb02")
		h.set("privateNat.rules.other.target", "elb01")
	}},
	{"two rules that change ports", func(h *onCloud) { h.rule("ssh", block{"target": "ecs-b", "port": 22, "targetPort": 22}) }, func(h *onCloud) {
		h.set("privateNat.rules.web.port", 22)
		h.set("privateNat.rules.ssh.port", 80)
	}},
	{"a port that another rule still has", func(h *onCloud) { h.rule("ssh", block{"target": "ecs-b", "port": 22, "targetPort": 22}) }, func(h *onCloud) {
		h.set("privateNat.rules.ssh", nil)
		h.rule("all", block{"target": "ecs-b", "protocol": "any", "port": 0, "targetPort": 0})
		h.set("privateNat.rules.web", nil)
	}},
	{"a listener under another key", nil, func(h *onCloud) {
		h.set("service.loadBalancers.elb01.listeners", block{"www": block{"port": 80, "group": "group-b"}})
	}},
	{"two listeners that change ports", func(h *onCloud) {
		h.set("service.loadBalancers.elb01.listeners.more", block{"port": 81, "group": "group-b"})
	}, func(h *onCloud) {
		h.set("service.loadBalancers.elb01.listeners.more.port", 80)
		h.set("service.loadBalancers.elb01.listeners.http.port", 81)
	}},
	{"a member under another key", nil, func(h *onCloud) {
		h.set("service.groups.group-b.members", block{"www": block{"instance": "ecs-b", "port": 80}})
	}},
	{"a member with an address under another key", func(h *onCloud) {
		h.set("service.groups.group-b.members.old", block{"address": "10.0.0.77", "port": 80})
	}, func(h *onCloud) {
		h.set("service.groups.group-b.members.old", nil)
		h.set("service.groups.group-b.members.older", block{"address": "10.0.0.77", "port": 80})
	}},
	{"a load balancer with a fixed address under another key", func(h *onCloud) {
		h.second()
		h.set("service.loadBalancers.elb02.address", "10.0.0.99")
	}, func(h *onCloud) {
		h.set("service.loadBalancers.elb02", nil)
		h.set("service.loadBalancers.elb03", block{"zones": list("cn-north-4a"), "address": "10.0.0.99", "listeners": block{"http": block{"port": 80, "group": "group-b"}}})
	}},
	{"a load balancer with the automatic address of another", nil, func(h *onCloud) {
		h.second()
		service, _ := h.outputs()["service"].(map[string]any)
		addresses, _ := service["addresses"].(map[string]any)
		h.set("service.loadBalancers.elb02.address", addresses["elb01"])
	}},
	{"a load balancer with the automatic address of an instance", nil, func(h *onCloud) {
		h.set("service.loadBalancers.elb01.address", h.instanceAddress())
	}},
	{"two load balancers that change addresses", func(h *onCloud) {
		h.second()
		h.set("service.loadBalancers.elb01.address", "10.0.0.98")
		h.set("service.loadBalancers.elb02.address", "10.0.0.99")
	}, func(h *onCloud) {
		h.set("service.loadBalancers.elb01.address", "10.0.0.99")
		h.set("service.loadBalancers.elb02.address", "10.0.0.98")
	}},
	{"a transit IP with a fixed address under another key", func(h *onCloud) { h.set("privateNat.transitIps.main.address", "192.168.0.9") }, func(h *onCloud) {
		h.set("privateNat.transitIps", block{"new": block{"network": "app", "address": "192.168.0.9"}})
		h.set("privateNat.rules.web.transitIp", "new")
	}},
	{"two transit IPs that change addresses", func(h *onCloud) {
		h.set("privateNat.transitIps.main.address", "192.168.0.9")
		h.set("privateNat.transitIps.more", block{"network": "app", "address": "192.168.0.10"})
	}, func(h *onCloud) {
		h.set("privateNat.transitIps.main.address", "192.168.0.10")
		h.set("privateNat.transitIps.more.address", "192.168.0.9")
	}},
	{"an SNAT rule under another key", (*onCloud).outward, func(h *onCloud) {
		h.set("privateNat.snatRules", block{"other": block{"transitIp": "outward"}, "cidr": block{"transitIp": "outward", "cidr": "10.0.9.0/24"}})
	}},
	{"an SNAT rule with a CIDR under another key", (*onCloud).outward, func(h *onCloud) {
		h.set("privateNat.snatRules.batch", nil)
		h.set("privateNat.snatRules.night", block{"transitIp": "outward", "cidr": "10.0.9.0/24"})
	}},
	{"a transit IP for the other direction", (*onCloud).outward, func(h *onCloud) {
		h.set("privateNat.snatRules", nil)
		h.set("privateNat.rules.web.transitIp", "outward")
	}},
	{"a smaller gateway for fewer rules", func(h *onCloud) {
		h.rules(20)
		h.set("privateNat.gateway.spec", "Medium")
	}, func(h *onCloud) {
		h.set("privateNat.rules.r19", nil)
		h.set("privateNat.gateway.spec", "Small")
	}},
	{"a full gateway, and one rule for another", func(h *onCloud) { h.rules(19) }, func(h *onCloud) {
		h.set("privateNat.rules.r18", nil)
		h.rule("new", block{"target": "ecs-b", "port": 2000, "targetPort": 22})
	}},
	{"a VPC of the services that leaves its subnet out", nil, func(h *onCloud) {
		h.set("service.vpc.cidr", "10.1.0.0/16")
		h.set("service.subnet.cidr", "10.1.0.0/24")
	}},
	{"a VPC of the applications that leaves its subnet out", nil, func(h *onCloud) {
		h.set("privateNat.networks.app.vpc.cidr", "172.16.0.0/16")
		h.set("privateNat.networks.app.subnet.cidr", "172.16.0.0/24")
	}},
	{"a network with its VPC's name under another key", nil, func(h *onCloud) {
		h.set("privateNat.networks", block{"web": h.block["privateNat"].(block)["networks"].(block)["app"]})
		h.set("privateNat.transitIps.main.network", "web")
	}},
	{"the name of a VPC that goes", nil, func(h *onCloud) {
		h.set("service.vpc.name", "VPC-A")
		h.set("privateNat", nil)
	}},
	{"two VPCs that change names", nil, func(h *onCloud) {
		h.set("service.vpc.name", "VPC-A")
		h.set("privateNat.networks.app.vpc.name", "VPC-B")
	}},
	{"a full gateway, and a rule for another of the other kind", func(h *onCloud) {
		h.outward()
		h.rules(17)
	}, func(h *onCloud) {
		h.set("privateNat.snatRules.batch", nil)
		h.rule("new", block{"target": "ecs-b", "port": 2000, "targetPort": 22})
	}},
}

// outward adds the opposite direction: two SNAT rules.
func (c *onCloud) outward() {
	c.set("privateNat.transitIps.outward", block{"network": "app"})
	c.set("privateNat.snatRules", block{"reports": block{"transitIp": "outward"}, "batch": block{"transitIp": "outward", "cidr": "10.0.9.0/24"}})
}

// rules adds n rules to the one there is.
func (c *onCloud) rules(n int) {
	for i := range n {
		c.rule(fmt.Sprintf("r%d", i), block{"target": "ecs-b", "port": 1000 + i, "targetPort": 22})
	}
}

// forget takes the outputs away, by which an update knows what the last one left.
func (c *onCloud) forget() {
	c.t.Helper()
	text, err := c.stack.Export()
	if err != nil {
		c.t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range whole["deployment"].(map[string]any)["resources"].([]any) {
		if r := r.(map[string]any); r["type"] == "pulumi:pulumi:Stack" {
			delete(r, "outputs")
		}
	}
	if text, err = json.Marshal(whole); err == nil {
		err = c.stack.Import(text)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// What is refused before anything happens is what the cloud would refuse in the middle of the update.
func TestAnUpdateThatWouldGetStuckIsRefusedAtPreview(t *testing.T) {
	var text strings.Builder
	for _, c := range huaweicloudCollisions {
		on := newOnCloudParallel(t, 1, newHW(t), nil)
		if c.before != nil {
			c.before(on)
		}
		on.ok(c.name + ": deploy")
		on.ok(c.name + ": the same again")
		c.change(on)
		on.configure()
		_, refused := on.stack.Preview(t.Context())
		if refused == nil {
			t.Errorf("%s: is not refused", c.name)
			continue
		}
		fmt.Fprintf(&text, "# %s\n", c.name)
		for line := range strings.Lines(refused.Error()) {
			if _, said, ok := strings.Cut(line, "huaweicloud."); ok {
				// Which of the first addresses is whose is left to chance.
				said = strings.NewReplacer("10.0.0.2", "10.0.0.x", "10.0.0.3", "10.0.0.x").Replace(strings.TrimSpace(said))
				fmt.Fprintf(&text, "huaweicloud.%s\n", said)
			}
		}
		fmt.Fprintln(&text)
		for _, again := range []string{"at the update", "and again, for a refusal forgets nothing"} {
			if err := on.up(again); err == nil || !strings.Contains(err.Error(), "by an update of its own") {
				t.Errorf("%s: %s: %v", c.name, again, err)
			}
		}
		on.forget()
		if err := on.up("without what the last update left"); err == nil || strings.Contains(err.Error(), "still held by") {
			t.Errorf("%s: without the check it ends with %v", c.name, err)
		}
	}
	recorder.GoldenText(t, "collisions-huaweicloud", text.String(), "read the messages as somebody who has just made the mistake")
}

// What a component does against a hazard is taken away from it, and the change that it is for fails.
func TestWithoutItsRemedyAHazardShows(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutate pulumi.ResourceTransformation
		change func(*onCloud)
		want   string
	}{
		{"rules are deleted before they are replaced", func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if gateway, ok := args.Props.(*sdk.NatPrivateGatewayArgs); ok {
				gateway.EnterpriseProjectId = gateway.Spec // replaces it when the spec changes
			}
			return option("natPrivateDnatRule", pulumi.DeleteBeforeReplace(false))(args)
		}, func(h *onCloud) { h.set("privateNat.gateway.spec", "Medium") }, "rule"},
		{"listeners are deleted before they are replaced", option("elbListener", pulumi.DeleteBeforeReplace(false)), func(h *onCloud) {
			h.set("service.groups.group-b.protocol", "TCP")
		}, "listener"},
		{"subnets are deleted before they are replaced", option("vpcSubnet", pulumi.DeleteBeforeReplace(false)), func(h *onCloud) {
			h.set("privateNat.networks.app.subnet.gateway", "192.168.0.200")
		}, "overlap"},
		{"protocols are in lower case", func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if rule, ok := args.Props.(*sdk.NatPrivateDnatRuleArgs); ok {
				rule.Protocol = pulumi.String("TCP")
			}
			return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
		}, nil, `"TCP": not one of`},
		{"gateways get the id of the subnet's network", func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if gateway, ok := args.Props.(*sdk.NatPrivateGatewayArgs); ok {
				gateway.SubnetId = pulumi.Sprintf("sub%.0s-000001", gateway.SubnetId)
			}
			return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
		}, nil, "subnet"},
	} {
		on := newOnCloud(t, newHW(t), c.mutate)
		err := on.up("deploy")
		if c.change != nil {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			c.change(on)
			err = on.up("change")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: without it: error %v, want %q", c.name, err, c.want)
		}
	}
}

// option adds an option to every resource of a type.
func option(typ string, o pulumi.ResourceOption) pulumi.ResourceTransformation {
	return func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if strings.HasPrefix(args.Type, "huaweicloud:index/"+typ+":") {
			args.Opts = append(args.Opts, o)
		}
		return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
	}
}

// replaced replaces the gateway, as `pulumi up --replace` does.
func (c *onCloud) replaced() error {
	for _, urn := range c.stack.URNs() {
		if strings.Contains(urn, "natPrivateGateway") {
			c.stack.SetReplace(urn)
		}
	}
	_, err := c.stack.Up(c.t.Context())
	c.stack.SetReplace()
	return err
}

// Nobody documents whether a transit IP serves two gateways at once. Where it does not, a gateway can be replaced all the same
// if no two rules share a transit IP.
func TestAGatewayIsReplacedWhereATransitIPServesOneOnly(t *testing.T) {
	on := newOnCloud(t, newHW(t), nil, huaweicloud.Options{OneGateway: true})
	on.set("privateNat.transitIps.more", block{"network": "app"})
	on.rule("ssh", block{"transitIp": "more", "target": "ecs-b", "port": 22, "targetPort": 22})
	on.ok("deploy")
	if err := on.replaced(); err != nil {
		t.Error(err)
	}
	on.ok("nothing is left to do")
}

// A stack that is given the ids of its own networks would delete what it stands on.
func TestWhatTheStackMadeIsNotTakenForWhatExists(t *testing.T) {
	on := newOnCloud(t, newHW(t), nil)
	on.ok("deploy")
	service, _ := on.outputs()["service"].(map[string]any)
	subnets, _ := on.outputs()["subnets"].(map[string]any)
	on.set("service.vpc", block{"id": service["vpcId"], "cidr": "10.0.0.0/16"})
	on.set("service.subnet", block{"id": service["subnetId"], "ipv4SubnetId": "sub-1", "cidr": "10.0.0.0/24"})
	on.set("privateNat.networks.app", block{"vpc": block{"id": "vpc-000001", "cidr": "192.168.0.0/16"}, "subnet": block{"id": subnets["app"], "cidr": "192.168.0.0/24"}})
	on.configure()
	_, err := on.stack.Preview(t.Context())
	for _, field := range []string{"service.vpc.id", "service.subnet.id", "privateNat.networks.app.subnet.id"} {
		if want := "huaweicloud." + field + ": "; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "was made by this stack, which would delete it (leave the id out to keep it)") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// What is left out of the flavors stays as it is in the cloud, and so does what it cannot serve.
func TestAFlavorThatIsTakenOutStillServesNothingElse(t *testing.T) {
	on := newOnCloud(t, newHW(t), nil)
	on.set("service.loadBalancers.elb01.l7FlavorId", "seven")
	on.ok("deploy")
	on.set("service.loadBalancers.elb01.l7FlavorId", nil)
	on.ok("without it")
	on.ok("the same again")
	on.set("service.groups.ssh", block{"protocol": "TCP", "members": block{"ecs-b": block{"instance": "ecs-b", "port": 22}}})
	on.set("service.loadBalancers.elb01.listeners.ssh", block{"port": 22, "group": "ssh"})
	on.configure()
	want := `huaweicloud.service.loadBalancers.elb01.listeners.ssh.group: "ssh": speaks TCP, for which the load balancer has no flavor: it has l7FlavorId seven, and one that is taken out of the configuration stays (set l4FlavorId too)`
	if _, err := on.stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	on.set("service.loadBalancers.elb01.l4FlavorId", "four")
	on.ok("with the other")
}

// What is not in the state may be another stack's, or what a failed update of this one made: only the user knows.
func TestWhatIsThereAlreadyIsNamedWithItsID(t *testing.T) {
	for name, options := range map[string]huaweicloud.Options{"lookups that heed filters": {}, "lookups that show everything": {LooseFilters: true}} {
		t.Run(name, func(t *testing.T) { whatIsThere(t, options) })
	}
}

func whatIsThere(t *testing.T, options huaweicloud.Options) {
	t.Helper()
	on := newOnCloud(t, newHW(t), nil, options)
	on.exists("vpc-b", "10.0.0.0/16")
	on.existsIn("vpc-b", "net-b", "10.0.0.0/24")
	on.existing()
	on.set("privateNat.targets", block{"elb01": block{"type": "virtual-ip", "portId": "vip-1"}})
	on.exists("vpc-a", "192.168.0.0/16")
	on.existsIn("vpc-a", "net-a", "192.168.0.0/24")
	on.set("privateNat.networks.app", block{"vpc": block{"id": "vpc-a", "cidr": "192.168.0.0/16"}, "subnet": block{"id": "net-a", "cidr": "192.168.0.0/24"}})
	on.set("privateNat.gateway.name", "mine")
	on.set("privateNat.transitIps.main.address", "192.168.0.9")
	for _, c := range []struct{ typ, id, says, change, value string }{
		{
			"natPrivateGateway:NatPrivateGateway", "gateway-9",
			`gateway.name: "mine": private NAT gateway gateway-9 in subnet net-b has it and is not in the state of this stack (delete it if an update of this stack that failed has made it, else choose another name)`,
			"privateNat.gateway.name", "ours",
		},
		{
			"natPrivateTransitIp:NatPrivateTransitIp", "transit-9",
			`transitIps.main.address: "192.168.0.9": transit IP transit-9 in subnet net-a has it and is not in the state of this stack (delete it if an update of this stack that failed has made it, else choose another address)`,
			"privateNat.transitIps.main.address", "192.168.0.10",
		},
	} {
		described := block{"name": "mine", "subnetId": "net-b", "spec": "Small", "status": "ACTIVE"}
		if strings.HasPrefix(c.typ, "natPrivateTransitIp") {
			described = block{"subnetId": "net-a", "ipAddress": "192.168.0.9"}
		}
		if err := on.cloud.Adopt("", "huaweicloud:index/"+c.typ, c.id, nil, described); err != nil {
			t.Fatal(err)
		}
		on.configure()
		if _, err := on.stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want %s", err, c.says)
		}
		on.set(c.change, c.value)
	}
	on.ok("with another name and another address")
}

// Two stacks may give their gateways the default name. What a failed update has left behind has no rules.
func TestAGatewayOfTheNameThatServesIsAnotherStacks(t *testing.T) {
	for name, options := range map[string]huaweicloud.Options{"lookups that heed filters": {}, "lookups that show everything": {LooseFilters: true}} {
		t.Run(name, func(t *testing.T) {
			on := newOnCloud(t, newHW(t), nil, options)
			on.exists("vpc-b", "10.0.0.0/16")
			on.existsIn("vpc-b", "net-b", "10.0.0.0/24")
			on.existing()
			on.set("privateNat.targets", block{"elb01": block{"type": "virtual-ip", "portId": "vip-1"}})
			on.set("privateNat.gateway.name", "mine")
			on.exists("vpc-c", "172.16.0.0/16")
			on.existsIn("vpc-c", "net-c", "172.16.0.0/24")
			for _, o := range []struct {
				typ, id   string
				described block
			}{
				{"natPrivateGateway:NatPrivateGateway", "gateway-9", block{"name": "mine", "subnetId": "net-b", "spec": "Small", "status": "ACTIVE"}},
				{"natPrivateTransitIp:NatPrivateTransitIp", "transit-9", block{"subnetId": "net-c", "ipAddress": "172.16.0.9"}},
				{"natPrivateSnatRule:NatPrivateSnatRule", "rule-9", block{"gatewayId": "gateway-9", "transitIpId": "transit-9", "cidr": "10.0.0.0/25"}},
			} {
				if err := on.cloud.Adopt("", "huaweicloud:index/"+o.typ, o.id, nil, o.described); err != nil {
					t.Fatal(err)
				}
			}
			on.configure()
			result, err := on.stack.Up(t.Context())
			if said := strings.Join(result.Diagnostics, "\n"); err != nil || !strings.Contains(said, `gateway.name: "mine": private NAT gateway gateway-9 in subnet net-b has it`) {
				t.Errorf("error %v, said %s", err, said)
			}
		})
	}
}

// The provider does not wait for a gateway to become ACTIVE, and a rule to what exists follows at once.
func TestARuleToWhatExistsWaitsForItsGateway(t *testing.T) {
	on := newOnCloud(t, newHW(t), nil, huaweicloud.Options{Activation: 1})
	on.exists("vpc-b", "10.0.0.0/16")
	on.existsIn("vpc-b", "net-b", "10.0.0.0/24")
	on.existing()
	on.set("privateNat.targets", block{"elb01": block{"type": "virtual-ip", "portId": "vip-1"}})
	on.ok("the first run")
}
