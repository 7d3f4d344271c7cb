package loadbalancer

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/sdks/huaweicloud"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:huaweicloud:LoadBalancer"

// LoadBalancers is the service side: load balancers in a VPC, and what is behind them.
type LoadBalancers struct {
	pulumi.ResourceState

	// VPCID is the id of the VPC.
	VPCID pulumi.StringOutput `pulumi:"vpcId"`
	// SubnetID is the id of the subnet, of its network.
	SubnetID pulumi.StringOutput `pulumi:"subnetId"`
	// Addresses are the private addresses of the load balancers, by key.
	Addresses pulumi.StringMapOutput `pulumi:"addresses"`
	// PortIDs are the ids of the load balancers' IPv4 ports, by key: what a DNAT rule leads to.
	PortIDs pulumi.StringMapOutput `pulumi:"portIds"`
	// InstanceAddresses are the private addresses of the instances, by key.
	InstanceAddresses pulumi.StringMapOutput `pulumi:"instanceAddresses"`
	// InstancePortIDs are the ids of the instances' ports, by key.
	InstancePortIDs pulumi.StringMapOutput `pulumi:"instancePortIds"`

	subnet    pulumi.Resource
	balancers map[string]*balancer
	instances map[string]*instance
}

type instance struct {
	*huaweicloud.ComputeInstance
	ready []pulumi.Resource
}

type balancer struct {
	*huaweicloud.ElbLoadbalancer
	ready []pulumi.Resource
}

// Subnet that was made; nil if it existed.
func (s *LoadBalancers) Subnet() pulumi.Resource { return s.subnet }

// PortID is the id of the IPv4 port of the load balancer of that key.
func (s *LoadBalancers) PortID(key string) pulumi.StringOutput { return s.balancers[key].Ipv4PortId }

// Ready are the resources that the load balancer of that key answers with: its listeners, and the members and health checks
// of their groups.
func (s *LoadBalancers) Ready(key string) []pulumi.Resource { return s.balancers[key].ready }

// InstancePortID is the id of the port of the instance of that key.
func (s *LoadBalancers) InstancePortID(key string) pulumi.StringOutput {
	return portOf(s.instances[key])
}

// InstanceReady are the resources that the instance of that key answers with, beside the load balancers: itself, and what
// admits connections to it.
func (s *LoadBalancers) InstanceReady(key string) []pulumi.Resource { return s.instances[key].ready }

// New makes the service side, or returns the problems of the Args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*LoadBalancers, error) {
	if err := args.Validate(name); err != nil {
		return nil, err
	}
	if args.Provider == nil {
		return nil, errors.New("provider: is missing (make one with huaweicloud.NewProvider and a region)")
	}
	s := &LoadBalancers{balancers: map[string]*balancer{}, instances: map[string]*instance{}}
	if err := ctx.RegisterComponentResource(TypeToken, name, s, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: s, groups: map[string]*group{}}
	for _, step := range []func() error{b.network, b.securityGroup, b.allLoadBalancers, b.allInstances, b.allGroups, b.allListeners} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	addresses, ports := pulumi.StringMap{}, pulumi.StringMap{}
	for k, lb := range s.balancers {
		addresses[k], ports[k] = lb.Ipv4Address, lb.Ipv4PortId
	}
	instances, instancePorts := pulumi.StringMap{}, pulumi.StringMap{}
	for k, i := range s.instances {
		instances[k], instancePorts[k] = i.AccessIpV4, portOf(i)
	}
	s.Addresses, s.PortIDs = addresses.ToStringMapOutput(), ports.ToStringMapOutput()
	s.InstanceAddresses, s.InstancePortIDs = instances.ToStringMapOutput(), instancePorts.ToStringMapOutput()
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{
		"vpcId": s.VPCID, "subnetId": s.SubnetID, "addresses": s.Addresses, "portIds": s.PortIDs,
		"instanceAddresses": s.InstanceAddresses, "instancePortIds": s.InstancePortIDs,
	})
}

func portOf(i *instance) pulumi.StringOutput {
	return i.Networks.Index(pulumi.Int(0)).Port().Elem()
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *LoadBalancers

	net    *network.Made
	secure *securityGroup // of all instances; nil without any
	groups map[string]*group
	fixed  []pulumi.Resource // load balancers whose address is fixed
}

type group struct {
	*huaweicloud.ElbPool
	ready []pulumi.Resource
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}
