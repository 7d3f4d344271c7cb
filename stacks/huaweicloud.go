package stacks

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/loadbalancer"
	"polynat/components/huaweicloud/network"
	"polynat/components/huaweicloud/privatenat"
	"polynat/internal/problem"
	"polynat/sdks/huaweicloud"
)

// The names of the components, and so the beginning of every child name.
const (
	huaweicloudServiceName    = "huaweicloud-service"
	huaweicloudPrivateNATName = "huaweicloud-nat"
)

// huaweicloudConfig is the block polynat:huaweicloud.
type huaweicloudConfig struct {
	Service    *huaweicloudService    `config:"service"`
	PrivateNAT *huaweicloudPrivateNAT `config:"privateNat"`
	Tags       map[string]string      `config:"tags"`
}

type huaweicloudService struct {
	VPC           huaweicloudVPC                     `config:"vpc"`
	Subnet        huaweicloudSubnet                  `config:"subnet"`
	LoadBalancers map[string]huaweicloudLoadBalancer `config:"loadBalancers"`
	Groups        map[string]huaweicloudGroup        `config:"groups"`
	Instances     map[string]huaweicloudInstance     `config:"instances"`
}

type huaweicloudVPC struct {
	ID   string `config:"id"`
	Name string `config:"name"`
	CIDR string `config:"cidr"`
}

type huaweicloudSubnet struct {
	ID           string `config:"id"`
	IPv4SubnetID string `config:"ipv4SubnetId"`
	Name         string `config:"name"`
	CIDR         string `config:"cidr"`
	Gateway      string `config:"gateway"`
}

type huaweicloudLoadBalancer struct {
	Name       string                         `config:"name"`
	Zones      []string                       `config:"zones"`
	Address    string                         `config:"address"`
	L4FlavorID string                         `config:"l4FlavorId"`
	L7FlavorID string                         `config:"l7FlavorId"`
	Listeners  map[string]huaweicloudListener `config:"listeners"`
}

type huaweicloudListener struct {
	Port  int    `config:"port"`
	Group string `config:"group"`
}

type huaweicloudGroup struct {
	Name       string                       `config:"name"`
	Protocol   string                       `config:"protocol"`
	Method     string                       `config:"method"`
	HealthPath string                       `config:"healthPath"`
	Members    map[string]huaweicloudMember `config:"members"`
}

type huaweicloudMember struct {
	Instance string `config:"instance"`
	Address  string `config:"address"`
	Port     int    `config:"port"`
	Weight   *int   `config:"weight"`
}

type huaweicloudInstance struct {
	Name     string `config:"name"`
	Zone     string `config:"zone"`
	FlavorID string `config:"flavorId"`
	ImageID  string `config:"imageId"`
	Page     string `config:"page"`
}

type huaweicloudPrivateNAT struct {
	Gateway    huaweicloudGateway              `config:"gateway"`
	Networks   map[string]huaweicloudNetwork   `config:"networks"`
	TransitIPs map[string]huaweicloudTransitIP `config:"transitIps"`
	Targets    map[string]huaweicloudTarget    `config:"targets"`
	Rules      map[string]huaweicloudRule      `config:"rules"`
	SNATRules  map[string]huaweicloudSNATRule  `config:"snatRules"`
}

type huaweicloudGateway struct {
	Name     string `config:"name"`
	Spec     string `config:"spec"`
	VPCID    string `config:"vpcId"`
	VPCCIDR  string `config:"vpcCidr"`
	SubnetID string `config:"subnetId"`
}

type huaweicloudNetwork struct {
	VPC    huaweicloudVPC    `config:"vpc"`
	Subnet huaweicloudSubnet `config:"subnet"`
}

type huaweicloudTransitIP struct {
	Network string `config:"network"`
	Address string `config:"address"`
}

type huaweicloudTarget struct {
	Type      string                             `config:"type"`
	PortID    string                             `config:"portId"`
	Address   string                             `config:"address"`
	Listeners map[string]huaweicloudListenerThat `config:"listeners"`
}

// huaweicloudListenerThat exists in the cloud already.
type huaweicloudListenerThat struct {
	Protocol string `config:"protocol"`
	Port     int    `config:"port"`
}

type huaweicloudRule struct {
	TransitIP   string `config:"transitIp"`
	Target      string `config:"target"`
	Protocol    string `config:"protocol"`
	Port        int    `config:"port"`
	TargetPort  int    `config:"targetPort"`
	Description string `config:"description"`
}

type huaweicloudSNATRule struct {
	TransitIP string `config:"transitIp"`
	CIDR      string `config:"cidr"`
	SubnetID  string `config:"subnetId"`
}

// huaweicloudLast is what the setup exported.
type huaweicloudLast struct {
	VPCID, SubnetID string
	// Subnets of the applications, by the keys of their networks.
	Subnets map[string]string
	// Addresses and PortIDs of the load balancers, by key.
	Addresses, PortIDs map[string]string
	// Service and NAT are what the two components held.
	Service, NAT network.Claims
}

func readHuaweicloudLast(outputs map[string]any) huaweicloudLast {
	service, _ := outputs["service"].(map[string]any)
	held, _ := outputs["held"].(map[string]any)
	last := huaweicloudLast{
		Addresses: outputTexts(service["addresses"]), PortIDs: outputTexts(service["portIds"]),
		Service: readClaims(held["service"]), NAT: readClaims(held["privateNat"]), Subnets: outputTexts(outputs["subnets"]),
	}
	last.VPCID, _ = service["vpcId"].(string)
	last.SubnetID, _ = service["subnetId"].(string)
	return last
}

// outputTexts are the texts of an output.
func outputTexts(output any) map[string]string {
	texts := map[string]string{}
	m, _ := output.(map[string]any)
	for k, v := range m {
		if text, ok := v.(string); ok {
			texts[k] = text
		}
	}
	return texts
}

func readClaims(output any) network.Claims {
	claims := network.Claims{}
	m, _ := output.(map[string]any)
	for field, v := range m {
		c := outputTexts(v)
		claims[field] = network.Claim{Value: c["value"], Of: c["of"], Sharers: c["sharers"]}
	}
	return claims
}

// record makes claims an output. Addresses that the cloud chooses are known by then, by section and key.
func record(claims network.Claims, addresses map[string]pulumi.StringMapOutput) pulumi.Map {
	output := pulumi.Map{}
	for field, c := range claims {
		var value pulumi.StringInput = pulumi.String(c.Value)
		if section, key, ok := strings.Cut(network.Holder(field), "."); ok && c.Value == "" {
			value = addresses[section].MapIndex(pulumi.String(key))
		}
		output[field] = pulumi.StringMap{"value": value, "of": pulumi.String(c.Of), "sharers": pulumi.String(c.Sharers)}
	}
	return output
}

// huaweicloudSetup is one run of the setup.
type huaweicloudSetup struct {
	ctx      *pulumi.Context
	config   huaweicloudConfig
	last     huaweicloudLast
	provider *huaweicloud.Provider
	zones    *placed
	service  *loadbalancer.LoadBalancers
}

// readHuaweicloud reads and validates what is given.
func readHuaweicloud(given Given) (*huaweicloudSetup, error) {
	s := &huaweicloudSetup{last: readHuaweicloudLast(given.Last)}
	wrong := decode("huaweicloud", given.Block, &s.config)
	return s, wrong.and(s.validate(given))
}

func checkHuaweicloud(given Given) error {
	_, err := readHuaweicloud(given)
	return err
}

func runHuaweicloud(ctx *pulumi.Context, given Given) (pulumi.Map, error) {
	s, err := readHuaweicloud(given)
	if err != nil {
		return nil, err
	}
	s.ctx = ctx
	if s.config.Service == nil && s.config.PrivateNAT == nil {
		return nil, nil
	}
	if s.provider, err = newHuaweicloudProvider(ctx, given.Provider); err != nil {
		return nil, err
	}
	return s.run()
}

// places finds what is wrong with the region, and zones that are not in it.
func (s *huaweicloudSetup) places(given Given) problem.List {
	service := s.config.Service
	if service == nil && s.config.PrivateNAT == nil {
		return nil
	}
	if err := huaweicloudPlaces.check(given); err != nil {
		return problem.List{err}
	}
	zones := huaweicloudPlaces.of(given)
	s.zones = zones
	if service != nil {
		for k, b := range service.LoadBalancers {
			for _, zone := range b.Zones {
				zones.zone("huaweicloud.service.loadBalancers."+k+".zones", zone)
			}
		}
		for k, i := range service.Instances {
			zones.zone("huaweicloud.service.instances."+k+".zone", i.Zone)
		}
	}
	return zones.problems
}

// listZones looks up the zones of the region, with those that are out of order: a stack may be in one.
func (s *huaweicloudSetup) listZones() (names []string, err error) {
	for _, state := range []string{"available", "unavailable"} {
		found, err := huaweicloud.GetAvailabilityZones(s.ctx, &huaweicloud.GetAvailabilityZonesArgs{State: &state}, pulumi.Provider(s.provider))
		if err != nil {
			return nil, err
		}
		names = append(names, found.Names...)
	}
	return names, nil
}

// validate finds what the components cannot see: contradictions between the two blocks.
func (s *huaweicloudSetup) validate(given Given) error {
	problems := s.places(given)
	service, nat := s.config.Service, s.config.PrivateNAT
	if service != nil {
		if err := s.serviceArgs().Validate(huaweicloudServiceName); err != nil {
			problems = append(problems, under("huaweicloud.service", err))
		}
	}
	if nat != nil {
		if service != nil {
			g := nat.Gateway
			for _, f := range []struct{ name, value string }{{"vpcId", g.VPCID}, {"vpcCidr", g.VPCCIDR}} {
				if f.value != "" {
					problems.Add("huaweicloud.privateNat.gateway."+f.name, f.value, "contradicts huaweicloud.service, which says it", "leave one of the two out")
				}
			}
			for _, k := range slices.Sorted(maps.Keys(nat.Targets)) {
				_, balancer := service.LoadBalancers[k]
				if _, instance := service.Instances[k]; balancer || instance {
					problems.Add("huaweicloud.privateNat.targets."+k, k, "is a load balancer or an instance of huaweicloud.service", "rename one of the two")
				}
				s.disguised(&problems, k)
			}
		}
		if err := s.privateNATArgs().Validate(huaweicloudPrivateNATName); err != nil {
			for _, e := range problem.Leaves(under("huaweicloud.privateNat", err)) {
				var p problem.Problem
				if errors.As(e, &p); service == nil || !s.saidByService(p.Field) {
					problems = append(problems, e) // what service says wrong is said once
				}
			}
		}
	}
	s.between(&problems)
	s.adopted(&problems)
	if service != nil {
		for _, k := range slices.Sorted(maps.Keys(service.Instances)) {
			if _, ok := service.LoadBalancers[k]; ok {
				problems.Add("huaweicloud.service.instances."+k, k, "is a load balancer too, and both are targets of rules", "rename one of the two")
			}
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems.Err()
}

// adopted finds ids of networks that this stack made itself: it would delete what it is to take as it is.
func (s *huaweicloudSetup) adopted(problems *problem.List) {
	made := map[string]bool{}
	add := func(claims network.Claims, field, id string) {
		if _, ok := claims[field]; ok && id != "" {
			made[id] = true
		}
	}
	add(s.last.Service, "vpc.name", s.last.VPCID)
	add(s.last.Service, "subnet.cidr", s.last.SubnetID)
	for k, id := range s.last.Subnets {
		add(s.last.NAT, "networks."+k+".subnet.cidr", id)
	}
	given := map[string]string{}
	if service := s.config.Service; service != nil {
		given["service.vpc.id"], given["service.subnet.id"] = service.VPC.ID, service.Subnet.ID
	}
	if nat := s.config.PrivateNAT; nat != nil {
		for k, n := range nat.Networks {
			given["privateNat.networks."+k+".subnet.id"] = n.Subnet.ID
		}
	}
	for _, field := range slices.Sorted(maps.Keys(given)) {
		if made[given[field]] {
			problems.Add("huaweicloud."+field, given[field], "was made by this stack, which would delete it", "leave the id out to keep it")
		}
	}
}

// between finds what one block claims and the other has, or had when the last update ended.
func (s *huaweicloudSetup) between(problems *problem.List) {
	var service, nat network.Claims
	if s.config.Service != nil {
		service = s.serviceArgs().Claims(huaweicloudServiceName).Under("huaweicloud.service.")
	}
	if s.config.PrivateNAT != nil {
		nat = s.privateNATArgs().Claims(huaweicloudPrivateNATName).Under("huaweicloud.privateNat.")
	}
	for _, field := range slices.Sorted(maps.Keys(nat)) {
		if c := nat[field]; c.Of == network.VPCNames && c == service["huaweicloud.service.vpc.name"] {
			problems.Add(field, c.Value, "is that of the VPC of huaweicloud.service, and the cloud takes each name of a VPC once", "rename one of the two")
		}
	}
	all := network.Claims{}
	maps.Copy(all, service)
	maps.Copy(all, nat)
	for _, side := range []struct{ mine, held network.Claims }{
		{service, s.last.NAT.Under("huaweicloud.privateNat.")}, {nat, s.last.Service.Under("huaweicloud.service.")},
	} {
		for _, err := range all.Collisions(side.held) {
			var p problem.Problem
			if errors.As(err, &p); side.mine[p.Field] != (network.Claim{}) {
				*problems = append(*problems, p)
			}
		}
	}
}

// saidByService reports whether a field of privateNat is none that the configuration has: service says what stands there.
func (s *huaweicloudSetup) saidByService(field string) bool {
	rest, ok := strings.CutPrefix(field, "huaweicloud.privateNat.targets.")
	target, _, _ := strings.Cut(rest, ".")
	_, balancer := s.config.Service.LoadBalancers[target]
	_, instance := s.config.Service.Instances[target]
	return field == "huaweicloud.privateNat.gateway.vpcCidr" || ok && (balancer || instance)
}

// disguised finds a target that is a load balancer of service by its port or its address: the cloud counts it as that, and
// takes one rule for it.
func (s *huaweicloudSetup) disguised(problems *problem.List, target string) {
	t := s.config.PrivateNAT.Targets[target]
	for _, k := range slices.Sorted(maps.Keys(s.config.Service.LoadBalancers)) {
		address := s.config.Service.LoadBalancers[k].Address
		if address == "" {
			address = s.last.Addresses[k]
		}
		for _, f := range []struct{ name, value, of string }{{"address", t.Address, address}, {"portId", t.PortID, s.last.PortIDs[k]}} {
			if f.value != "" && f.value == f.of {
				problems.Add("huaweicloud.privateNat.targets."+target+"."+f.name, f.value, "is load balancer "+k+" of huaweicloud.service", "let rules lead to "+k+" itself")
			}
		}
	}
}

func (s *huaweicloudSetup) run() (pulumi.Map, error) {
	if err := s.zones.exist(s.ctx, s.listZones); err != nil {
		return nil, err
	}
	outputs, held := pulumi.Map{}, pulumi.Map{}
	outputs["held"] = held
	if s.config.Service != nil {
		args := s.serviceArgs()
		args.Provider = s.provider
		var err error
		if s.service, err = loadbalancer.New(s.ctx, huaweicloudServiceName, args); err != nil {
			return nil, err
		}
		outputs["service"] = pulumi.Map{
			"vpcId": s.service.VPCID, "subnetId": s.service.SubnetID, "addresses": s.service.Addresses, "portIds": s.service.PortIDs,
		}
		held["service"] = record(args.Claims(huaweicloudServiceName), map[string]pulumi.StringMapOutput{
			"loadBalancers": s.service.Addresses, "instances": s.service.InstanceAddresses,
		})
	}
	if s.config.PrivateNAT == nil {
		return outputs, nil
	}
	args := s.privateNATArgs()
	args.Provider = s.provider
	nat, err := privatenat.New(s.ctx, huaweicloudPrivateNATName, args)
	if err != nil {
		return nil, err
	}
	outputs["gatewayId"], outputs["transitAddresses"] = nat.GatewayID, nat.Addresses
	outputs["urls"], outputs["checks"], outputs["subnets"] = nat.URLs, nat.Checks, nat.Subnets
	held["privateNat"] = record(args.Claims(huaweicloudPrivateNATName), map[string]pulumi.StringMapOutput{"transitIps": nat.Addresses})
	return outputs, nil
}

func (v huaweicloudVPC) args() network.VPC       { return network.VPC(v) }
func (n huaweicloudSubnet) args() network.Subnet { return network.Subnet(n) }
