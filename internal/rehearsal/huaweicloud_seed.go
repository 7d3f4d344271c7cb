package rehearsal

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"

	"polynat/internal/sim"
	"polynat/internal/sim/huaweicloud"
)

// existing puts what the block names by an id into the cloud: networks, and load balancers with a server that answers. Ports
// of instances and virtual IPs, and bare addresses, are taken to be there anyway.
func existing(b block, cloud *huaweicloud.Cloud) error {
	s := seed{cloud: cloud}
	service, gateway := b.at("service"), b.at("privateNat", "gateway")
	s.network(service)
	for _, key := range b.at("privateNat", "networks").keys() {
		s.network(b.at("privateNat", "networks", key))
	}
	vpc, cidr := gateway.text("vpcId"), gateway.text("vpcCidr")
	if service != nil {
		vpc, cidr = service.at("vpc").text("id"), service.at("vpc").text("cidr")
	} else {
		s.add("vpc:Vpc", vpc, sim.Object{"cidr": cidr})
	}
	if subnet := gateway.text("subnetId"); subnet != "" && vpc == "" {
		s.errs = append(s.errs, fmt.Errorf("huaweicloud.privateNat.gateway.subnetId: %q: the simulated cloud does not know it (rehearse without it, or with a VPC of the services that exists)", subnet))
	} else if subnet != "" {
		s.subnet(subnet, vpc, spare(cidr, service.at("subnet").text("cidr")), "")
	}
	for _, key := range b.at("privateNat", "targets").keys() {
		if t := b.at("privateNat", "targets", key); t.text("type") == "load-balancer" && vpc != "" {
			s.balancer(key, t, vpc)
		}
	}
	return errors.Join(s.errs...)
}

// seed makes what exists before the stack does.
type seed struct {
	cloud *huaweicloud.Cloud
	hosts byte // addresses given so far
	errs  []error
}

func (s *seed) add(typ, id string, described sim.Object) {
	if id == "" {
		return
	}
	if err := s.cloud.Adopt("", "huaweicloud:index/"+typ, id, nil, described); err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", id, err))
	}
}

// network adds the VPC and the subnet of a block if they exist.
func (s *seed) network(b block) {
	vpc, subnet := b.at("vpc"), b.at("subnet")
	s.add("vpc:Vpc", vpc.text("id"), sim.Object{"cidr": vpc.text("cidr")})
	s.subnet(subnet.text("id"), vpc.text("id"), subnet.text("cidr"), subnet.text("ipv4SubnetId"))
}

func (s *seed) subnet(id, vpc, cidr, ipv4 string) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || id == "" {
		return // a wrong CIDR is for the program to say
	}
	if ipv4 == "" {
		ipv4 = id + "-ipv4"
	}
	s.add("vpcSubnet:VpcSubnet", id, sim.Object{"vpcId": vpc, "cidr": cidr, "gatewayIp": p.Addr().Next().String(), "ipv4SubnetId": ipv4})
}

// spare is a block of the VPC that is none of the subnet's: of the gateway's subnet only the id is known.
func spare(vpc, subnet string) string {
	v, err := netip.ParsePrefix(vpc)
	if err != nil || v.Bits() > 28 {
		return vpc
	}
	last := netip.PrefixFrom(netipx.PrefixLastIP(v), 28).Masked()
	if n, err := netip.ParsePrefix(subnet); err == nil && n.Overlaps(last) {
		return netip.PrefixFrom(v.Addr(), 28).String()
	}
	return last.String()
}

// balancer adds a load balancer with its listeners and one server that lets everybody in. They get addresses for tests, which
// meet none of the configuration.
func (s *seed) balancer(key string, target block, vpc string) {
	const subnet, cidr = "existing", "198.18.0.0/24" // RFC 2544
	s.subnet(subnet, vpc, cidr, "")
	s.hosts += 2
	front, back := netip.AddrFrom4([4]byte{198, 18, 0, s.hosts}).String(), netip.AddrFrom4([4]byte{198, 18, 0, s.hosts + 1}).String()
	id := "existing-" + key
	s.add("networkingSecgroup:NetworkingSecgroup", id, sim.Object{"name": id})
	s.add("networkingSecgroupRule:NetworkingSecgroupRule", id, sim.Object{
		"securityGroupId": id, "direction": "ingress", "ethertype": "IPv4", "action": "allow", "priority": 1,
	})
	s.add("computeInstance:ComputeInstance", id, sim.Object{
		"name": "server of " + key, "securityGroupIds": []any{id}, "accessIpV4": back,
		"networks": []any{sim.Object{"uuid": subnet, "fixedIpV4": back, "port": id}},
	})
	s.add("elbLoadbalancer:ElbLoadbalancer", id, sim.Object{
		"name": key, "vpcId": vpc, "ipv4SubnetId": subnet + "-ipv4", "ipv4Address": front, "ipv4PortId": target.text("portId"), "backendSubnets": []any{subnet},
	})
	for _, name := range target.at("listeners").keys() {
		listener, own := target.at("listeners", name), id+"-"+name
		protocol := strings.ToUpper(listener.text("protocol"))
		s.add("elbPool:ElbPool", own, sim.Object{"protocol": protocol, "vpcId": vpc})
		s.add("elbMember:ElbMember", own, sim.Object{"poolId": own, "address": back, "protocolPort": listener["port"]})
		s.add("elbListener:ElbListener", own, sim.Object{
			"loadbalancerId": id, "protocol": protocol, "protocolPort": listener["port"], "defaultPoolId": own,
		})
	}
}

// HuaweicloudFromExport is the walk of [HuaweicloudSetup] from where a deployed stack stands, in a cloud that holds what the
// state and the configuration name. Its first step makes what the configuration wants and the stack does not have yet.
func HuaweicloudFromExport(config map[string]string, project, stack string, text []byte) (Setup, bool, error) {
	setup, ok, err := HuaweicloudSetup(config)
	if err != nil || !ok {
		return Setup{}, false, err
	}
	e, err := readExport(project, stack, text)
	if err != nil {
		return Setup{}, false, err
	}
	world := setup.World.(*huaweicloudWorld)
	for _, r := range e.Deployment.Resources {
		if !r.Custom || r.Delete || !strings.HasPrefix(r.Type, "huaweicloud:") {
			continue
		}
		inputs, outputs := plain(r.Inputs), plain(r.Outputs)
		oneOf(inputs, outputs, "backendInterfaceId", "backendPrivateIp")
		oneOf(inputs, outputs, "subnetId", "cidr")
		if err := world.cloud.Adopt(r.URN, r.Type, r.ID, inputs, outputs); err != nil {
			return Setup{}, false, fmt.Errorf("%s: %w", r.URN, err)
		}
	}
	if setup.State, err = ownPart(text, setup.Name); err != nil {
		return Setup{}, false, err
	}
	world.Watch()
	// Where clients are hidden, what stands may have been made for it or not: that is no question of the steps.
	setup.Variants = nil
	world.opened.after = stood(e)
	setup.Moves[0] = Move{Name: "as configured", Cuts: true, Configure: setup.Moves[0].Configure}
	return setup, true, nil
}

// stood are the openings of a state.
func stood(e *export) []huaweicloud.Opening {
	transits, all := map[string]string{}, []huaweicloud.Opening(nil)
	for _, r := range e.Deployment.Resources {
		transits[r.ID] = r.URN[strings.LastIndex(r.URN, "::")+2:]
	}
	for _, r := range e.Deployment.Resources {
		if strings.HasSuffix(r.Type, ":NatPrivateDnatRule") {
			rule := block(plain(r.Inputs))
			port, _ := rule["transitServicePort"].(float64)
			all = append(all, huaweicloud.Opening{Transit: transits[rule.text("transitIpId")], Protocol: rule.text("protocol"), Port: int(port)})
		}
	}
	return all
}

// oneOf leaves out the one of two outputs that was not given: the API shows both.
func oneOf(inputs, outputs sim.Object, a, b string) {
	_, hasA := inputs[a]
	_, hasB := inputs[b]
	switch {
	case hasA && !hasB:
		delete(outputs, b)
	case hasB && !hasA:
		delete(outputs, a)
	}
}
