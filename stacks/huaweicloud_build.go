package stacks

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"polynat/components/huaweicloud/loadbalancer"
	"polynat/components/huaweicloud/network"
	"polynat/components/huaweicloud/privatenat"
	"polynat/sdks/huaweicloud"
)

// newHuaweicloudProvider makes the one provider of the setup from the keys of the namespace huaweicloud. An explicit
// provider does not read them by itself; secrets stay secrets, which the provider's own schema does not say of keys.
func newHuaweicloudProvider(ctx *pulumi.Context, given map[string]string) (*huaweicloud.Provider, error) {
	c := config.New(ctx, "huaweicloud")
	args := &huaweicloud.ProviderArgs{Region: pulumi.String(given["region"])}
	plain, secret := huaweicloudProviderFields(args)
	for key, field := range plain {
		if value, ok := given[key]; ok {
			*field = pulumi.String(value)
		}
	}
	for key, field := range secret {
		if value, err := c.TrySecret(key); err == nil {
			*field = value
		}
	}
	return huaweicloud.NewProvider(ctx, "huaweicloud", args)
}

// huaweicloudProviderFields are the keys of the namespace huaweicloud, beside region, and the fields that they fill.
func huaweicloudProviderFields(args *huaweicloud.ProviderArgs) (plain, secret map[string]*pulumi.StringPtrInput) {
	plain = map[string]*pulumi.StringPtrInput{
		"projectId": &args.ProjectId, "domainId": &args.DomainId, "enterpriseProjectId": &args.EnterpriseProjectId,
		"profile": &args.Profile, "sharedConfigFile": &args.SharedConfigFile,
	}
	secret = map[string]*pulumi.StringPtrInput{
		"accessKey": &args.AccessKey, "secretKey": &args.SecretKey, "securityToken": &args.SecurityToken,
	}
	return plain, secret
}

func huaweicloudProviderKeys() []string {
	plain, secret := huaweicloudProviderFields(&huaweicloud.ProviderArgs{})
	keys := slices.Collect(maps.Keys(plain))
	keys = slices.AppendSeq(keys, maps.Keys(secret))
	return slices.Sorted(slices.Values(append(keys, "region")))
}

func (s *huaweicloudSetup) serviceArgs() *loadbalancer.Args {
	c := s.config.Service
	args := &loadbalancer.Args{
		VPC: c.VPC.args(), Subnet: c.Subnet.args(), Held: s.last.Service, Tags: s.config.Tags,
		LoadBalancers: map[string]loadbalancer.LoadBalancer{}, Groups: map[string]loadbalancer.Group{}, Instances: map[string]loadbalancer.Instance{},
	}
	for k, b := range c.LoadBalancers {
		listeners := map[string]loadbalancer.Listener{}
		for k, l := range b.Listeners {
			listeners[k] = loadbalancer.Listener(l)
		}
		args.LoadBalancers[k] = loadbalancer.LoadBalancer{Name: b.Name, Zones: b.Zones, Address: b.Address, L4FlavorID: b.L4FlavorID, L7FlavorID: b.L7FlavorID, Listeners: listeners}
	}
	for k, g := range c.Groups {
		members := map[string]loadbalancer.Member{}
		for k, m := range g.Members {
			members[k] = loadbalancer.Member(m)
		}
		args.Groups[k] = loadbalancer.Group{Name: g.Name, Protocol: g.Protocol, Method: g.Method, HealthPath: g.HealthPath, Members: members}
	}
	for k, i := range c.Instances {
		args.Instances[k] = loadbalancer.Instance{
			Name: i.Name, Zone: i.Zone, FlavorID: i.FlavorID, ImageID: i.ImageID, Page: i.Page, Admits: s.admits(k),
		}
	}
	return args
}

// admits are the connections that rules lead to an instance. Nobody documents whether a client's address arrives as it is,
// or one of the gateway, so both are let in: the VPC of the clients, and the gateway's subnet. Rules that are wrong are left to
// the other component.
func (s *huaweicloudSetup) admits(instance string) []loadbalancer.Admission {
	nat := s.config.PrivateNAT
	if nat == nil {
		return nil
	}
	gateway := s.config.Service.Subnet.CIDR
	if nat.Gateway.SubnetID != "" { // another subnet, whose CIDR is not known
		gateway = s.config.Service.VPC.CIDR
	}
	var admits []loadbalancer.Admission
	for _, k := range slices.Sorted(maps.Keys(nat.Rules)) {
		r := nat.Rules[k]
		clients := nat.Networks[nat.TransitIPs[r.TransitIP].Network].VPC.CIDR
		for _, cidr := range []string{clients, gateway} {
			a := loadbalancer.Admission{Protocol: strings.ToLower(r.Protocol), Port: r.TargetPort, CIDR: cidr}
			if r.Target == instance && a.Validate() == nil && !slices.Contains(admits, a) {
				admits = append(admits, a)
			}
		}
	}
	return admits
}

// privateNATArgs translates the block. What the service side makes is, before it has been registered, known by the ids of the
// last update, if at all.
func (s *huaweicloudSetup) privateNATArgs() *privatenat.Args {
	c := s.config.PrivateNAT
	g := c.Gateway
	args := &privatenat.Args{
		Gateway:  privatenat.Gateway{Name: g.Name, Spec: g.Spec, VPCID: id(g.VPCID), VPCCIDR: g.VPCCIDR, SubnetID: id(g.SubnetID)},
		Networks: map[string]network.Network{}, TransitIPs: map[string]privatenat.TransitIP{}, Targets: map[string]privatenat.Target{},
		Rules: map[string]privatenat.Rule{}, SNATRules: map[string]privatenat.SNATRule{}, Held: s.last.NAT, Tags: s.config.Tags,
	}
	for k, n := range c.Networks {
		args.Networks[k] = network.Network{VPC: n.VPC.args(), Subnet: n.Subnet.args()}
	}
	for k, t := range c.TransitIPs {
		args.TransitIPs[k] = privatenat.TransitIP(t)
	}
	for k, t := range c.Targets {
		target := privatenat.Target{Type: t.Type, PortID: id(t.PortID), Address: t.Address, Listeners: map[string]privatenat.Listener{}}
		for k, l := range t.Listeners {
			target.Listeners[k] = privatenat.Listener(l)
		}
		args.Targets[k] = target
	}
	for k, r := range c.Rules {
		args.Rules[k] = privatenat.Rule(r)
	}
	for k, r := range c.SNATRules {
		args.SNATRules[k] = privatenat.SNATRule(r)
	}
	if s.config.Service != nil {
		s.ownService(args)
	}
	return args
}

// ownService puts the service side of this stack into args: the gateway stands beside its load balancers, and these and the
// instances are targets under their own keys.
func (s *huaweicloudSetup) ownService(args *privatenat.Args) {
	c := s.config.Service
	gateway := &args.Gateway
	gateway.VPCCIDR = c.VPC.CIDR
	gateway.VPCID = pulumi.String(c.VPC.ID)
	if s.service != nil && c.VPC.ID == "" {
		gateway.VPCID = s.service.VPCID
	} else if c.VPC.ID == "" {
		gateway.VPCID = pulumi.String(s.last.VPCID)
	}
	switch {
	case gateway.SubnetID != nil: // another subnet of the same VPC
	case c.Subnet.ID != "":
		gateway.SubnetID = pulumi.String(c.Subnet.ID)
	case s.service != nil:
		gateway.SubnetID = s.service.SubnetID
	default:
		gateway.SubnetID = pulumi.String(s.last.SubnetID)
	}
	for k, b := range c.LoadBalancers {
		target := privatenat.Target{Type: privatenat.LoadBalancer, PortID: pulumi.String(""), Listeners: map[string]privatenat.Listener{}}
		for k, l := range b.Listeners {
			target.Listeners[k] = privatenat.Listener{Protocol: s.serviceArgs().Groups[l.Group].Speaks(), Port: l.Port}
		}
		if s.service != nil {
			target.PortID, target.Ready, target.Subnet = s.service.PortID(k), s.service.Ready(k), s.service.Subnet()
		}
		args.Targets[k] = target
	}
	for k := range c.Instances {
		target := privatenat.Target{Type: privatenat.Instance, PortID: pulumi.String("")}
		if s.service != nil {
			target.PortID, target.Ready, target.Subnet = s.service.InstancePortID(k), s.service.InstanceReady(k), s.service.Subnet()
		}
		args.Targets[k] = target
	}
}

// id is no input for an id that is not given.
func id(text string) pulumi.StringInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}
