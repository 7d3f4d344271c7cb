package loadbalancer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/sdks/huaweicloud"
)

func (b *builder) network() (err error) {
	b.net, err = b.args.network(b.name).Make(b.ctx, b.name, "", b.args.Tags, b.childOpts()...)
	if err == nil {
		b.component.VPCID, b.component.SubnetID, b.component.subnet = b.net.VPCID, b.net.SubnetID, b.net.Subnet
	}
	return err
}

// socket is what members of instances listen on.
type socket struct {
	udp  bool
	port int
}

// sockets are those that a load balancer has to reach, of one instance or, with an empty key, of all.
func (b *builder) sockets(instance string) []socket {
	found := map[socket]bool{}
	for _, g := range b.args.Groups {
		for _, m := range g.Members {
			if m.Instance != "" && (instance == "" || m.Instance == instance) {
				found[socket{g.Speaks() == "UDP", m.Port}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b socket) int {
		if a.udp != b.udp && a.udp {
			return 1
		} else if a.udp != b.udp {
			return -1
		}
		return a.port - b.port
	})
}

// securityGroup lets in the load balancers, which reach and probe members from addresses of their subnet, and nothing else.
func (b *builder) securityGroup() (err error) {
	if len(b.args.Instances) == 0 {
		return nil
	}
	if b.secure, err = b.newGroup("group", b.name, "backends: load balancers in, everything out"); err != nil {
		return err
	}
	if err := b.admit(b.secure, "egress", "egress", "", "", "0.0.0.0/0"); err != nil {
		return err
	}
	ping := false
	for _, s := range b.sockets("") {
		protocol := "tcp"
		if s.udp {
			protocol, ping = "udp", true
		}
		if err := b.admit(b.secure, fmt.Sprintf("ingress-%s-%d", protocol, s.port), "ingress", protocol, fmt.Sprint(s.port), b.args.Subnet.CIDR); err != nil {
			return err
		}
	}
	if ping { // the health check of a UDP group begins with one
		return b.admit(b.secure, "ingress-icmp", "ingress", "icmp", "", b.args.Subnet.CIDR)
	}
	return nil
}

// securityGroup is one with its rules.
type securityGroup struct {
	*huaweicloud.NetworkingSecgroup
	rules []pulumi.Resource
}

func (b *builder) newGroup(suffix, name, description string) (*securityGroup, error) {
	group, err := huaweicloud.NewNetworkingSecgroup(b.ctx, b.childName(suffix), &huaweicloud.NetworkingSecgroupArgs{
		Name: pulumi.String(name), Description: pulumi.String(description),
		// The default rules let every member of the group in.
		DeleteDefaultRules: pulumi.Bool(true),
		Tags:               network.Tags(b.args.Tags),
	}, b.childOpts()...)
	return &securityGroup{NetworkingSecgroup: group}, err
}

func (b *builder) admit(group *securityGroup, suffix, direction, protocol, ports, prefix string) error {
	args := &huaweicloud.NetworkingSecgroupRuleArgs{
		SecurityGroupId: group.ID(), Direction: pulumi.String(direction), Ethertype: pulumi.String("IPv4"), RemoteIpPrefix: pulumi.String(prefix),
	}
	if protocol != "" {
		args.Protocol = pulumi.String(protocol)
	}
	if ports != "" {
		args.Ports = pulumi.String(ports)
	}
	rule, err := huaweicloud.NewNetworkingSecgroupRule(b.ctx, b.childName(suffix), args, b.childOpts()...)
	group.rules = append(group.rules, rule)
	return err
}

// groupsOf are the security groups of an instance: that of all, and one of its own for what it alone accepts.
func (b *builder) groupsOf(key string) (ids pulumi.StringArray, admits []pulumi.Resource, err error) {
	ids = pulumi.StringArray{b.secure.ID()}
	admitted := b.args.Instances[key].Admits
	if len(admitted) == 0 {
		return ids, nil, nil
	}
	own, err := b.newGroup("group-"+key, b.name+"-"+key, "what "+key+" accepts beside the load balancers")
	if err != nil {
		return nil, nil, err
	}
	for i, a := range admitted {
		if slices.Contains(admitted[:i], a) {
			continue
		}
		// The cloud takes no two rules that say the same, so the name is what the rule says: a new one never meets an old one.
		protocol, ports, suffix := a.Protocol, fmt.Sprint(a.Port), fmt.Sprintf("admit-%s-%s-%d-%s", key, a.Protocol, a.Port, a.CIDR)
		if a.Protocol == network.All {
			protocol, ports, suffix = "", "", fmt.Sprintf("admit-%s-%s-%s", key, a.Protocol, a.CIDR)
		}
		if err := b.admit(own, suffix, "ingress", protocol, ports, a.CIDR); err != nil {
			return nil, nil, err
		}
	}
	return append(ids, own.ID()), own.rules, nil
}

func (b *builder) allInstances() error {
	for _, k := range slices.Sorted(maps.Keys(b.args.Instances)) {
		i, name := b.args.Instances[k], b.childName("instance-"+k)
		groups, admits, err := b.groupsOf(k)
		if err != nil {
			return err
		}
		args := &huaweicloud.ComputeInstanceArgs{
			Name:             pulumi.String(i.named(b.name, k)),
			AvailabilityZone: pulumi.String(i.Zone),
			FlavorId:         pulumi.String(i.FlavorID),
			ImageId:          pulumi.String(i.ImageID),
			SecurityGroupIds: groups,
			Networks:         huaweicloud.ComputeInstanceNetworkArray{&huaweicloud.ComputeInstanceNetworkArgs{Uuid: b.net.SubnetID}},
			Tags:             network.Tags(b.args.Tags),
		}
		var ports []int
		for _, s := range b.sockets(k) {
			if !s.udp {
				ports = append(ports, s.port)
			}
		}
		if i.Page != "" && len(ports) > 0 {
			args.UserData = pulumi.String(userData(i.Page, ports))
		}
		made, err := huaweicloud.NewComputeInstance(b.ctx, name, args, b.childOpts(pulumi.DependsOn(b.fixed))...)
		if err != nil {
			return err
		}
		b.component.instances[k] = &instance{ComputeInstance: made, ready: append(admits, made)}
	}
	return nil
}

func (b *builder) allGroups() error {
	for _, k := range slices.Sorted(maps.Keys(b.args.Groups)) {
		g, name := b.args.Groups[k], b.childName("pool-"+k)
		pool, err := huaweicloud.NewElbPool(b.ctx, name, &huaweicloud.ElbPoolArgs{
			Name: pulumi.String(g.named(b.name, k)), Protocol: pulumi.String(g.Speaks()), LbMethod: pulumi.String(or(g.Method, methods[0])),
			// Of a VPC, and of no load balancer yet.
			Type: pulumi.String("instance"), VpcId: b.net.VPCID,
		}, b.childOpts()...)
		if err != nil {
			return err
		}
		made := &group{ElbPool: pool}
		b.groups[k] = made
		if err := b.monitor(k, g, made); err != nil {
			return err
		}
		for _, m := range slices.Sorted(maps.Keys(g.Members)) {
			if err := b.member(k, m, g.Members[m], made); err != nil {
				return err
			}
		}
	}
	return nil
}

// monitor is the health check: every 5 s, with 3 s to answer, out after 3 failures, the values of the vendor's console.
func (b *builder) monitor(key string, g Group, made *group) error {
	args := &huaweicloud.ElbMonitorArgs{
		PoolId: made.ID(), Protocol: pulumi.String(g.Speaks()),
		Interval: pulumi.Float64(5), Timeout: pulumi.Float64(3), MaxRetries: pulumi.Float64(3),
	}
	switch g.Speaks() {
	case "HTTP":
		// The provider refuses an HTTP check without a path, whatever its documentation says of a default.
		args.UrlPath = pulumi.String(or(g.HealthPath, "/"))
	case "UDP":
		args.Protocol = pulumi.String("UDP_CONNECT")
	}
	monitor, err := huaweicloud.NewElbMonitor(b.ctx, b.childName("monitor-"+key), args, b.childOpts()...)
	made.ready = append(made.ready, monitor)
	return err
}

func (b *builder) member(groupKey, key string, m Member, made *group) error {
	args := &huaweicloud.ElbMemberArgs{
		Name: pulumi.String(key), PoolId: made.ID(), ProtocolPort: pulumi.Float64(float64(m.Port)), SubnetId: b.net.IPv4SubnetID,
		Address: pulumi.String(m.Address),
	}
	if m.Instance != "" {
		args.Address = b.component.instances[m.Instance].AccessIpV4
	}
	if m.Weight != nil {
		args.Weight = pulumi.Float64(float64(*m.Weight))
	}
	// A group holds an address and port once, so its successor cannot come first.
	member, err := huaweicloud.NewElbMember(b.ctx, b.childName("member-"+groupKey+"."+key), args, b.childOpts(pulumi.DeleteBeforeReplace(true))...)
	made.ready = append(made.ready, member)
	return err
}

// allLoadBalancers makes those with a fixed address first: an automatic one could be just that.
func (b *builder) allLoadBalancers() error {
	keys := slices.Sorted(maps.Keys(b.args.LoadBalancers))
	for _, fixed := range []bool{true, false} {
		for _, k := range keys {
			if lb := b.args.LoadBalancers[k]; fixed == (lb.Address != "") {
				if err := b.loadBalancer(k, lb); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *builder) loadBalancer(key string, lb LoadBalancer) error {
	name := b.childName("elb-" + key)
	args := &huaweicloud.ElbLoadbalancerArgs{
		Name:              pulumi.String(lb.named(b.name, key)),
		AvailabilityZones: pulumi.ToStringArray(slices.Sorted(slices.Values(lb.Zones))),
		VpcId:             b.net.VPCID,
		Ipv4SubnetId:      b.net.IPv4SubnetID,
		// Where it reaches its members from: what their security group lets in.
		BackendSubnets: pulumi.StringArray{b.net.SubnetID},
		Tags:           network.Tags(b.args.Tags),
	}
	// The API would move it to another subnet, but not out of one that is deleted before its successor is made.
	opts := b.childOpts(pulumi.ReplaceOnChanges([]string{"ipv4SubnetId"}))
	if lb.Address != "" {
		args.Ipv4Address = pulumi.String(lb.Address)
	} else {
		opts = append(opts, pulumi.DependsOn(b.fixed))
	}
	if lb.L4FlavorID != "" {
		args.L4FlavorId = pulumi.String(lb.L4FlavorID)
	}
	if lb.L7FlavorID != "" {
		args.L7FlavorId = pulumi.String(lb.L7FlavorID)
	}
	made, err := huaweicloud.NewElbLoadbalancer(b.ctx, name, args, opts...)
	if err != nil {
		return err
	}
	if lb.Address != "" {
		b.fixed = append(b.fixed, made)
	}
	b.component.balancers[key] = &balancer{ElbLoadbalancer: made}
	return nil
}

func (b *builder) allListeners() error {
	for _, k := range slices.Sorted(maps.Keys(b.args.LoadBalancers)) {
		if err := b.listeners(k, b.args.LoadBalancers[k]); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) listeners(key string, lb LoadBalancer) error {
	made := b.component.balancers[key]
	// A member answers when its security group admits the load balancer.
	if b.secure != nil {
		made.ready = append(made.ready, b.secure.rules...)
	}
	used := map[string]bool{}
	for _, k := range slices.Sorted(maps.Keys(lb.Listeners)) {
		listener := lb.Listeners[k]
		g := b.groups[listener.Group]
		name := b.childName("listener-" + key + "." + k)
		args := &huaweicloud.ElbListenerArgs{
			Name: pulumi.String(name), LoadbalancerId: made.ID(), Protocol: pulumi.String(b.args.Groups[listener.Group].Speaks()),
			ProtocolPort: pulumi.Float64(float64(listener.Port)), DefaultPoolId: g.ID(),
		}
		if b.args.Groups[listener.Group].Speaks() == "HTTP" {
			// Left out, the provider says no to what the API does by default.
			args.EnableMemberRetry = pulumi.Bool(true)
		}
		// A load balancer has one listener on a port, so its successor cannot come first.
		l, err := huaweicloud.NewElbListener(b.ctx, name, args, b.childOpts(pulumi.DeleteBeforeReplace(true))...)
		if err != nil {
			return err
		}
		made.ready = append(made.ready, l)
		if !used[listener.Group] {
			made.ready, used[listener.Group] = append(made.ready, g.ready...), true
		}
	}
	return nil
}
