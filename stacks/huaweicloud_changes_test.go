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

func newOnCloud(t *testing.T, h *hw, mutate pulumi.ResourceTransformation) *onCloud {
	t.Helper()
	c := &onCloud{hw: h, cloud: huaweicloud.New(huaweicloud.Options{})}
	program := func(ctx *pulumi.Context) error {
		if mutate != nil {
			if err := ctx.RegisterStackTransformation(mutate); err != nil {
				return err
			}
		}
		return stacks.Program(stacks.Setups(), recorder.Keys(h.config))(ctx)
	}
	stack, err := engine.New(engine.Options{
		Project: recorder.Project, Stack: recorder.Stack, Config: h.config, Program: program,
		Providers: map[string]pulumirpc.ResourceProviderServer{"huaweicloud": sim.NewServer(huaweicloud.Schema(), c.cloud)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	c.stack = stack
	return c
}

// up updates the stack to the configuration, and finds what is left to do then and rules that are not reached.
func (c *onCloud) up(name string) error {
	c.t.Helper()
	text, err := json.Marshal(c.block)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.stack.SetConfig(huaweicloudKey, string(text)); err != nil {
		c.t.Fatal(err)
	}
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

// address is that of the transit IP.
func (c *onCloud) address() string {
	outputs, _ := c.stack.Outputs()["huaweicloud"].(map[string]any)
	addresses, _ := outputs["transitAddresses"].(map[string]any)
	address, _ := addresses["main"].(string)
	if address == "" {
		c.t.Fatalf("no address in %v", outputs)
	}
	return address
}

// huaweicloudChanges are updates of the vendor's example that collide with what stands, if a component does not see to it.
var huaweicloudChanges = []struct {
	name   string
	change func(*onCloud)
}{
	{"the ports", func(h *onCloud) {
		h.set("service.loadBalancers.elb01.listeners.http.port", 8080)
		h.set("privateNat.rules.web.targetPort", 8080)
		h.set("privateNat.rules.web.port", 81)
	}},
	{"the protocol of the listener and its group", func(h *onCloud) { h.set("service.groups.group-b.protocol", "TCP") }},
	{"another load balancer", func(h *onCloud) {
		h.second()
		h.set("privateNat.rules.web.target", "elb02")
	}},
	{"a fixed transit address", func(h *onCloud) { h.set("privateNat.transitIps.main.address", "192.168.0.77") }},
	{"the transit address that it has", func(h *onCloud) { h.set("privateNat.transitIps.main.address", h.address()) }},
	{"another subnet for the services", func(h *onCloud) { h.set("service.subnet.gateway", "10.0.0.200") }},
	{"another subnet for the applications", func(h *onCloud) { h.set("privateNat.networks.app.subnet.gateway", "192.168.0.200") }},
	{"another instance", func(h *onCloud) { h.set("service.instances.ecs-b.zone", "cn-north-4b") }},
	{"a fixed address for the load balancer", func(h *onCloud) { h.set("service.loadBalancers.elb01.address", "10.0.0.99") }},
	{"no rule", func(h *onCloud) { h.set("privateNat.rules", nil) }},
	{"no private NAT", func(h *onCloud) { h.set("privateNat", nil) }},
	{"a larger gateway under another name", func(h *onCloud) {
		h.set("privateNat.gateway", block{"name": "larger", "spec": "Medium"})
	}},
}

func TestEveryChangeOnHuaweiCloudConvergesThereAndBack(t *testing.T) {
	for _, c := range huaweicloudChanges {
		t.Run(c.name, func(t *testing.T) {
			h := newHW(t)
			before := newHW(t)
			on := newOnCloud(t, h, nil)
			on.ok("deploy")
			c.change(on)
			on.ok("there")
			h.block = before.block
			on.ok("back")
			if result, err := on.stack.Destroy(t.Context()); err != nil {
				t.Fatalf("destroy: %v\n%s", err, strings.Join(result.Diagnostics, "\n"))
			}
		})
	}
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
