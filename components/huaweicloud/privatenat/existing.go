package privatenat

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"polynat/internal/problem"
	"polynat/internal/stackoutputs"
	"polynat/sdks/huaweicloud"
)

// A creation may be done although its answer was an error. Then the object is in the cloud and not in the state, and its like
// is refused, or made a second time. A rule of this stack's gateway and transit IP that is what the program wants can only be
// the stack's own: it is taken over. A gateway or a transit IP may be somebody else's: it is named.
//
// What a lookup is asked for, the program compares again: an API may match by a prefix, or heed no filter.

// Types of what is looked for, and the outputs that hold their ids: the bridge shows them.
const (
	gatewayToken = "huaweicloud:index/natPrivateGateway:NatPrivateGateway"
	transitToken = "huaweicloud:index/natPrivateTransitIp:NatPrivateTransitIp"
	dnatToken    = "huaweicloud:index/natPrivateDnatRule:NatPrivateDnatRule"
	snatToken    = "huaweicloud:index/natPrivateSnatRule:NatPrivateSnatRule"
)

var idOutputs = map[string]string{
	gatewayToken: "natPrivateGatewayId", transitToken: "natPrivateTransitIpId", dnatToken: "natPrivateDnatRuleId", snatToken: "natPrivateSnatRuleId",
}

// KnownBy are the outputs by which the component knows in the stack's state what is its own. A program that reads the state at its
// beginning, with [stackoutputs.Remember], reads these.
func KnownBy() []string {
	outputs := []string{"subnetId", "ipAddress"}
	for _, output := range idOutputs {
		outputs = append(outputs, output)
	}
	return slices.Sorted(slices.Values(outputs))
}

// own is what the state holds of the private NAT, by type and name; nil when that is not known, so that nothing is taken over.
type own map[[2]string]map[string]any

// readOwn reads the state. A program that embeds the component may run where it cannot be read.
func readOwn(ctx *pulumi.Context) (own, error) {
	resources, err := stackoutputs.Resources(ctx, KnownBy()...)
	if err != nil {
		return nil, ctx.Log.Warn(fmt.Sprintf("%v: what an update that failed has left behind is not looked for", err), nil)
	}
	held := own{}
	for _, r := range resources {
		if idOutputs[r.Type] != "" {
			held[[2]string{r.Type, r.Name}] = r.Outputs
		}
	}
	return held, nil
}

// id is that of a resource, empty when the state does not hold it.
func (o own) id(typ, name string) string {
	id, _ := o[[2]string{typ, name}][idOutputs[typ]].(string)
	return id
}

// text is an output of a resource.
func (o own) text(typ, name, output string) string {
	text, _ := o[[2]string{typ, name}][output].(string)
	return text
}

// has reports whether the state holds an object under any name. If it cannot be read, every object may be its own.
func (o own) has(typ, id string) bool {
	if o == nil {
		return true
	}
	for at := range o {
		if at[0] == typ && o.id(typ, at[1]) == id {
			return true
		}
	}
	return false
}

// orphan is the object, of those found, that is alike and that no state holds, "" when there is none, and when the program's own
// is still there.
func (o own) orphan(typ, name string, found map[string]bool) string {
	mine := o.id(typ, name)
	if _, there := found[mine]; there {
		return ""
	}
	for _, id := range sorted(found) {
		if found[id] && !o.has(typ, id) {
			return id
		}
	}
	return ""
}

// takeOver imports the rule that is what the program wants, if there is one. found tells by id which rules of the gateway are.
func (b *builder) takeOver(typ, name string, found pulumix.Output[map[string]bool]) pulumi.ResourceOption {
	return pulumi.Import(pulumix.Cast[pulumi.IDOutput](pulumix.Apply(found, func(found map[string]bool) pulumi.ID {
		return pulumi.ID(b.own.orphan(typ, name, found))
	})))
}

// listed are the rules of the gateway, listed once. A list that cannot be had holds none: then the cloud refuses what is there.
func listed[T any](b *builder, list func(gateway string) ([]T, error)) pulumix.Output[[]T] {
	return pulumix.Apply(b.gateway.ID(), func(gateway pulumi.ID) []T {
		rules, err := list(string(gateway))
		if err != nil {
			_ = b.ctx.Log.Debug(fmt.Sprintf("rules of private NAT gateway %s: %v", gateway, err), nil)
		}
		return rules
	})
}

func (b *builder) dnatRules(gateway string) ([]huaweicloud.GetNatPrivateDnatRulesRule, error) {
	found, err := huaweicloud.GetNatPrivateDnatRules(b.ctx, &huaweicloud.GetNatPrivateDnatRulesArgs{GatewayId: &gateway}, pulumi.Provider(b.args.Provider))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found.Rules, func(r huaweicloud.GetNatPrivateDnatRulesRule) bool { return deref(r.GatewayId) != gateway }), nil
}

func (b *builder) snatRulesOf(gateway string) ([]huaweicloud.GetNatPrivateSnatRulesRule, error) {
	found, err := huaweicloud.GetNatPrivateSnatRules(b.ctx, &huaweicloud.GetNatPrivateSnatRulesArgs{GatewayId: &gateway}, pulumi.Provider(b.args.Provider))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found.Rules, func(r huaweicloud.GetNatPrivateSnatRulesRule) bool { return deref(r.GatewayId) != gateway }), nil
}

// serves tells whether a gateway has rules, as far as they can be listed.
func (b *builder) serves(gateway string) bool {
	dnat, _ := b.dnatRules(gateway)
	snat, _ := b.snatRulesOf(gateway)
	return len(dnat)+len(snat) > 0
}

// alikeDNAT tells which rules are r to a port or an address.
func alikeDNAT(r Rule, transit, port, address string, rules []huaweicloud.GetNatPrivateDnatRulesRule) map[string]bool {
	found := map[string]bool{}
	for _, f := range rules {
		found[deref(f.Id)] = deref(f.TransitIpId) == transit && deref(f.Protocol) == r.protocol() && deref(f.Description) == r.Description &&
			number(f.TransitServicePort) == r.Port && number(f.InternalServicePort) == r.TargetPort &&
			(port != "" && deref(f.BackendInterfaceId) == port || port == "" && deref(f.BackendPrivateIp) == address)
	}
	return found
}

// alikeSNAT tells which rules are those of a source and a transit IP.
func alikeSNAT(cidr, subnet, transit string, rules []huaweicloud.GetNatPrivateSnatRulesRule) map[string]bool {
	found := map[string]bool{}
	for _, f := range rules {
		found[deref(f.Id)] = deref(f.TransitIpId) == transit && deref(f.Cidr) == cidr && deref(f.SubnetId) == subnet
	}
	return found
}

// number is a port as the API shows it; all ports are 0.
func number(text *string) int {
	n, err := strconv.Atoi(cmp.Or(deref(text), "0"))
	if err != nil {
		return -1
	}
	return n
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// gatewaySubnet is the subnet of the gateway, unless a gateway of that name is there which is not this stack's.
func (b *builder) gatewaySubnet(child string) pulumi.StringInput {
	name, here := b.args.gatewayName(b.name), b.own.text(gatewayToken, child, "subnetId")
	return b.args.Gateway.SubnetID.ToStringOutput().ApplyT(func(subnet string) (string, error) {
		found, err := huaweicloud.GetNatPrivateGateways(b.ctx, &huaweicloud.GetNatPrivateGatewaysArgs{Name: &name, SubnetId: &subnet}, pulumi.Provider(b.args.Provider))
		if err != nil {
			return subnet, nil //nolint:nilerr // the update is none the worse for not knowing
		}
		for _, g := range found.Gateways {
			if b.own.has(gatewayToken, deref(g.Id)) || deref(g.Name) != name || deref(g.SubnetId) != subnet {
				continue
			}
			p := problem.Problem{
				Field: "gateway.name", Value: strconv.Quote(name),
				Rule:   "private NAT gateway " + deref(g.Id) + " in subnet " + subnet + " has it and is not in the state of this stack",
				WayOut: "delete it if an update of this stack that failed has made it, else choose another name",
			}
			// Another stack's may have stood here for long. What a failed update has left behind has no rules.
			if here != subnet && !b.serves(deref(g.Id)) {
				return "", p
			}
			_ = b.ctx.Log.Warn(p.Error(), nil)
		}
		return subnet, nil
	}).(pulumi.StringOutput)
}

// transitAddress is a fixed address, unless a transit IP has it which is not this stack's: the cloud would refuse it.
func (b *builder) transitAddress(child, key string) pulumi.StringPtrInput {
	address, mine := b.args.TransitIPs[key].Address, b.own.text(transitToken, child, "ipAddress")
	if address == mine {
		return pulumi.String(address)
	}
	provider := b.args.ConsumerProvider
	if provider == nil {
		provider = b.args.Provider
	}
	return b.networks[b.args.TransitIPs[key].Network].SubnetID.ApplyT(func(subnet string) (*string, error) {
		found, err := huaweicloud.GetNatPrivateTransitIps(b.ctx, &huaweicloud.GetNatPrivateTransitIpsArgs{SubnetId: &subnet, IpAddress: &address}, pulumi.Provider(provider))
		if err != nil {
			return &address, nil //nolint:nilerr // the cloud says the same, later
		}
		for _, t := range found.TransitIps {
			if !b.own.has(transitToken, deref(t.Id)) && deref(t.IpAddress) == address && deref(t.SubnetId) == subnet {
				return nil, problem.Problem{
					Field: "transitIps." + key + ".address", Value: strconv.Quote(address),
					Rule:   "transit IP " + deref(t.Id) + " in subnet " + subnet + " has it and is not in the state of this stack",
					WayOut: "delete it if an update of this stack that failed has made it, else choose another address",
				}
			}
		}
		return &address, nil
	}).(pulumi.StringPtrOutput)
}
