package privatenat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"polynat/components/huaweicloud/network"
	"polynat/sdks/huaweicloud"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:huaweicloud:PrivateNAT"

// PrivateNAT is a private NAT gateway with its transit IPs and rules.
type PrivateNAT struct {
	pulumi.ResourceState

	// GatewayID is the id of the private NAT gateway.
	GatewayID pulumi.StringOutput `pulumi:"gatewayId"`
	// Addresses are those of the transit IPs, by key.
	Addresses pulumi.StringMapOutput `pulumi:"addresses"`
	// URLs are where the applications reach the targets, by the keys of the rules.
	URLs pulumi.StringMapOutput `pulumi:"urls"`
	// Checks are commands, to run in the network of the applications, that try the targets, by the keys of the rules. That of an
	// HTTP listener succeeds when the application serves /, whatever its health check asks for; that of udp fails only when
	// somebody says that nobody listens.
	Checks pulumi.StringMapOutput `pulumi:"checks"`
	// Subnets are the ids of the applications' subnets, by the keys of the networks.
	Subnets pulumi.StringMapOutput `pulumi:"subnets"`
}

// New makes the gateway, or returns the problems of the Args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*PrivateNAT, error) {
	if err := args.Validate(name); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with huaweicloud.NewProvider and a region)")
	}
	held, err := readOwn(ctx)
	if err != nil {
		return nil, err
	}
	n := &PrivateNAT{}
	if err := ctx.RegisterComponentResource(TypeToken, name, n, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: n, own: held, networks: map[string]*network.Made{}, transits: map[string]*huaweicloud.NatPrivateTransitIp{}}
	for _, step := range []func() error{b.allNetworks, b.privateGateway, b.transitIPs, b.rules, b.snatRules} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.outputs()
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{
		"gatewayId": n.GatewayID, "addresses": n.Addresses, "urls": n.URLs, "checks": n.Checks, "subnets": n.Subnets,
	})
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *PrivateNAT
	own       own

	gateway  *huaweicloud.NatPrivateGateway
	networks map[string]*network.Made
	transits map[string]*huaweicloud.NatPrivateTransitIp
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

// serviceOpts are for what is on the side of the services, consumerOpts for what is on that of the applications.
func (b *builder) serviceOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

func (b *builder) consumerOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	provider := b.args.ConsumerProvider
	if provider == nil {
		provider = b.args.Provider
	}
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(provider)}, extra...)
}

func (b *builder) allNetworks() error {
	for _, k := range sorted(b.args.Networks) {
		made, err := b.args.network(b.name, k).Make(b.ctx, b.name, "-"+k, b.args.Tags, b.consumerOpts()...)
		if err != nil {
			return err
		}
		b.networks[k] = made
	}
	return nil
}

// privateGateway comes after the subnets of targets: it may have been in one that is replaced, which then takes it along.
func (b *builder) privateGateway() error {
	// Rules that are replaced with it go only when it is ready for their successors.
	ready, err := b.ctx.RegisterResourceHook(b.childName("gateway-active"), func(made *pulumi.ResourceHookArgs) error {
		return b.activated(string(made.ID))
	}, nil)
	if err != nil {
		return err
	}
	name := b.childName("gateway")
	b.gateway, err = huaweicloud.NewNatPrivateGateway(b.ctx, name, &huaweicloud.NatPrivateGatewayArgs{
		Name: pulumi.String(b.args.gatewayName(b.name)), Spec: pulumi.String(b.args.Gateway.spec()), SubnetId: b.gatewaySubnet(name), Tags: network.Tags(b.args.Tags),
	}, b.serviceOpts(
		pulumi.DependsOn(b.targetSubnets()), pulumi.ResourceHooks(&pulumi.ResourceHookBinding{AfterCreate: []*pulumi.ResourceHook{ready}}),
	)...)
	return err
}

// transitIPs makes those with a fixed address first: an automatic one could be just that.
func (b *builder) transitIPs() error {
	var made []pulumi.Resource
	for _, fixed := range []bool{true, false} {
		opts := b.consumerOpts(pulumi.DependsOn(made))
		for _, k := range sorted(b.args.TransitIPs) {
			t := b.args.TransitIPs[k]
			if fixed != (t.Address != "") {
				continue
			}
			name := b.childName("transit-" + k)
			args := &huaweicloud.NatPrivateTransitIpArgs{SubnetId: b.networks[t.Network].SubnetID, Tags: network.Tags(b.args.Tags)}
			if fixed {
				args.IpAddress = b.transitAddress(name, k)
			}
			transit, err := huaweicloud.NewNatPrivateTransitIp(b.ctx, name, args, opts...)
			if err != nil {
				return err
			}
			b.transits[k], made = transit, append(made, transit)
		}
	}
	return nil
}

func (b *builder) rules() error {
	if len(b.args.Rules) == 0 {
		return nil
	}
	there := listed(b, b.dnatRules)
	for _, k := range sorted(b.args.Rules) {
		r := b.args.Rules[k]
		target := b.args.Targets[r.Target]
		args := &huaweicloud.NatPrivateDnatRuleArgs{
			GatewayId: b.gateway.ID(), TransitIpId: b.transits[r.TransitIP].ID(), Protocol: pulumi.String(r.protocol()),
		}
		if r.protocol() != anything { // a port left out is all ports
			args.TransitServicePort, args.InternalServicePort = pulumi.Float64(float64(r.Port)), pulumi.Float64(float64(r.TargetPort))
		}
		if r.Description != "" {
			args.Description = pulumi.String(r.Description)
		}
		if target.Type == Address {
			args.BackendPrivateIp = pulumi.String(target.Address)
		} else {
			args.BackendInterfaceId = target.PortID
		}
		name := b.childName("rule-" + k)
		opts, err := b.ruleOpts(name, r.TransitIP, target.Ready...)
		if err != nil {
			return err
		}
		port := pulumi.StringInput(pulumi.String(""))
		if target.PortID != nil {
			port = target.PortID
		}
		alike := pulumix.Apply3(there, b.transits[r.TransitIP].ID(), port.ToStringOutput(),
			func(rules []huaweicloud.GetNatPrivateDnatRulesRule, transit pulumi.ID, port string) map[string]bool {
				return alikeDNAT(r, string(transit), port, target.Address, rules)
			})
		if _, err := huaweicloud.NewNatPrivateDnatRule(b.ctx, name, args, append(opts, b.takeOver(dnatToken, name, alike))...); err != nil {
			return err
		}
	}
	return nil
}

// ruleOpts: the cloud takes one rule for a load balancer, so a successor comes when the rule has gone. It deletes no transit
// IP that a rule uses. One that is replaced alone comes first, and the rule is led to it; one that goes with its subnet,
// which cannot have its successor beside it, takes the rule along. So do the subnets of targets, which the gateway need not be
// in: of any, for the rule may have led there until now.
func (b *builder) ruleOpts(name, transit string, ready ...pulumi.Resource) ([]pulumi.ResourceOption, error) {
	subnets := b.targetSubnets()
	if subnet := b.networks[b.args.TransitIPs[transit].Network].Subnet; subnet != nil {
		subnets = append(subnets, subnet)
	}
	// The gateway may be that of an update which ended while it was not ACTIVE. Each rule has a hook of its own, as the engine
	// runs one hook for one resource at a time.
	active, err := b.ctx.RegisterResourceHook(name+"-active", func(rule *pulumi.ResourceHookArgs) error {
		return b.activated(rule.NewInputs["gatewayId"].StringValue())
	}, nil)
	before := []*pulumi.ResourceHook{active}
	return b.serviceOpts(
		pulumi.DeleteBeforeReplace(true), pulumi.DependsOn(ready), pulumi.ReplaceWith(subnets),
		pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeCreate: before, BeforeUpdate: before}),
	), err
}

// targetSubnets are those that are made with targets, each once.
func (b *builder) targetSubnets() []pulumi.Resource {
	var subnets []pulumi.Resource
	for _, k := range sorted(b.args.Targets) {
		if subnet := b.args.Targets[k].Subnet; subnet != nil && !slices.Contains(subnets, subnet) {
			subnets = append(subnets, subnet)
		}
	}
	return subnets
}

func (b *builder) snatRules() error {
	if len(b.args.SNATRules) == 0 {
		return nil
	}
	there := listed(b, b.snatRulesOf)
	for _, k := range sorted(b.args.SNATRules) {
		r := b.args.SNATRules[k]
		args := &huaweicloud.NatPrivateSnatRuleArgs{GatewayId: b.gateway.ID(), TransitIpId: b.transits[r.TransitIP].ID()}
		source := pulumi.StringInput(pulumi.String(r.SubnetID))
		if r.SubnetID == "" && r.CIDR == "" {
			source = b.args.Gateway.SubnetID
		}
		if r.CIDR != "" {
			args.Cidr = pulumi.String(r.CIDR)
		} else {
			args.SubnetId = source
		}
		name := b.childName("snat-" + k)
		opts, err := b.ruleOpts(name, r.TransitIP)
		if err != nil {
			return err
		}
		alike := pulumix.Apply3(there, b.transits[r.TransitIP].ID(), source.ToStringOutput(),
			func(rules []huaweicloud.GetNatPrivateSnatRulesRule, transit pulumi.ID, source string) map[string]bool {
				return alikeSNAT(r.CIDR, source, string(transit), rules)
			})
		if _, err := huaweicloud.NewNatPrivateSnatRule(b.ctx, name, args, append(opts, b.takeOver(snatToken, name, alike))...); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) outputs() {
	addresses, subnets, urls, checks := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	for k, t := range b.transits {
		addresses[k] = t.IpAddress
	}
	for k, n := range b.networks {
		subnets[k] = n.SubnetID
	}
	for k, r := range b.args.Rules {
		url, check := r.reached(b.args.Targets[r.Target])
		address := b.transits[r.TransitIP].IpAddress
		urls[k], checks[k] = pulumi.Sprintf(url, address), pulumi.Sprintf(check, address)
	}
	n := b.component
	n.GatewayID, n.Addresses, n.Subnets = b.gateway.ID().ToStringOutput(), addresses.ToStringMapOutput(), subnets.ToStringMapOutput()
	n.URLs, n.Checks = urls.ToStringMapOutput(), checks.ToStringMapOutput()
}

// reached tells how a target is reached and how that is tried, with %s for the address.
func (r Rule) reached(t Target) (url, check string) {
	protocol, port, targetPort := r.protocol(), r.Port, r.TargetPort
	keys := sorted(t.Listeners)
	if protocol == anything && len(keys) > 0 { // any of them tells whether the load balancer answers
		l := t.Listeners[keys[0]]
		protocol, port, targetPort = l.transport(), l.Port, l.Port
	}
	if protocol == anything {
		return "any://%s", "ping -c 1 -W 5 %s"
	}
	for _, k := range keys {
		l := t.Listeners[k]
		if l.Port != targetPort || l.transport() != protocol {
			continue
		}
		const curl = "curl --fail --silent --show-error --max-time 5 "
		switch url := fmt.Sprintf("%s://%%s:%d/", strings.ToLower(l.Protocol), port); strings.ToUpper(l.Protocol) {
		case "HTTP":
			return url, curl + url
		case "HTTPS": // no certificate is for the address of a transit IP
			return url, curl + "--insecure " + url
		}
	}
	flags := "-z -w 5"
	if protocol == udp {
		flags = "-z -u -w 5"
	}
	return fmt.Sprintf("%s://%%s:%d", protocol, port), fmt.Sprintf("nc %s %%s %d", flags, port)
}
