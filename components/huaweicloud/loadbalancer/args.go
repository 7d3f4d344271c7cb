package loadbalancer

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"polynat/components/huaweicloud/network"
	"polynat/internal/problem"
	"polynat/internal/route"
	"polynat/sdks/huaweicloud"
)

// Args describe the service side. All fields are plain values: they decide which resources exist.
type Args struct {
	// VPC of the service. Required.
	VPC network.VPC
	// Subnet of the load balancers and of everything behind them. Required.
	Subnet network.Subnet
	// LoadBalancers by a key that becomes part of their names. Required.
	LoadBalancers map[string]LoadBalancer
	// Groups of backend servers by key: what listeners forward to. Required.
	Groups map[string]Group
	// Instances by key: ECS instances for groups to use.
	Instances map[string]Instance
	// Held is what the stack's last update left behind, its Claims, to refuse a change that the cloud would; nil if there was
	// none.
	Held network.Claims
	// Tags for everything that takes them.
	Tags map[string]string
	// Provider of the service side. Required.
	Provider *huaweicloud.Provider
}

// LoadBalancer is a dedicated load balancer with a private IPv4 address.
type LoadBalancer struct {
	// Name in the cloud.
	Name string
	// Zones that it runs in. Required.
	Zones []string
	// Address within the subnet.
	Address string
	// L4FlavorID is the flavor for listeners of TCP and UDP groups; without it and L7FlavorID the site chooses, elastic ones
	// where it can. Taken out again it stays.
	L4FlavorID string
	// L7FlavorID is the flavor for listeners of HTTP groups; without it and L4FlavorID the site chooses, elastic ones where it
	// can. Taken out again it stays.
	L7FlavorID string
	// Listeners by key. Required.
	Listeners map[string]Listener
}

// Listener accepts connections from any address, in the protocol of its group.
type Listener struct {
	// Port that it listens on, 1 to 65535. Required.
	Port int
	// Group is the key of the group that it forwards to. Required.
	Group string
}

// Group is a backend server group with its health check.
type Group struct {
	// Name in the cloud.
	Name string
	// Protocol between client, load balancer and members: HTTP, TCP or UDP.
	Protocol string
	// Method is how a member is chosen: ROUND_ROBIN, LEAST_CONNECTIONS or SOURCE_IP.
	Method string
	// HealthPath is the path that the health check of an HTTP group asks for.
	HealthPath string
	// Members by key. Required.
	Members map[string]Member
}

// Member is a server of a group.
type Member struct {
	// Instance is the key of one of Instances.
	Instance string
	// Address within the subnet, of a server that exists, instead of Instance.
	Address string
	// Port that the server listens on, 1 to 65535. Required.
	Port int
	// Weight of its share, 0 to 100.
	Weight *int
}

// Instance is an ECS instance.
type Instance struct {
	// Name in the cloud.
	Name string
	// Zone such as cn-north-4a. Required.
	Zone string
	// FlavorID such as s6.small.1. Required.
	FlavorID string
	// ImageID of a Linux image with systemd and Python 3. Required.
	ImageID string
	// Page is HTML that it serves on the ports of its members; without it nothing is installed.
	Page string
	// Admits are connections that it accepts beside those of the load balancers, such as through a DNAT rule.
	Admits []Admission
}

// Admission is a kind of connection that an instance accepts.
type Admission struct {
	// Protocol is tcp, udp, or any for all ports of everything. Required.
	Protocol string
	// Port, 1 to 65535. Required but for any, which has none.
	Port int
	// CIDR of the sources, canonical. Required.
	CIDR string
}

// What a group takes, first the default.
var (
	protocols = []string{"HTTP", "TCP", "UDP"}
	methods   = []string{"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"}
)

// Claims are what load balancers, listeners and members want for themselves, and so what the next update is to know as its
// Held. name is that of the component.
func (a *Args) Claims(name string) network.Claims {
	claims := network.Claims{}
	a.network(name).Claim(claims, "")
	for k, b := range a.LoadBalancers {
		claims["loadBalancers."+k+".address"] = network.Claim{Value: b.Address, Of: a.place()}
		for field, flavor := range a.flavors(k) {
			claims["loadBalancers."+k+"."+field] = network.Claim{Value: flavor, Of: "the flavors of load balancer " + k}
		}
		for key, l := range b.Listeners {
			value := transport(a.Groups[l.Group].Speaks()) + " " + strconv.Itoa(l.Port)
			claims["loadBalancers."+k+".listeners."+key+".port"] = network.Claim{Value: value, Of: "load balancer " + k}
		}
	}
	for k := range a.Instances {
		claims["instances."+k+".address"] = network.Claim{Of: a.place()}
	}
	for k, g := range a.Groups {
		for key, m := range g.Members {
			field := "instance"
			if m.Instance == "" {
				field = "address"
			}
			claims["groups."+k+".members."+key+"."+field] = network.Claim{Value: m.server(), Of: "group " + k}
		}
	}
	return claims
}

// Names in the cloud, made from that of the component where none is given.
func (b LoadBalancer) named(name, key string) string { return or(b.Name, name+"-elb-"+key) }
func (g Group) named(name, key string) string        { return or(g.Name, name+"-pool-"+key) }
func (i Instance) named(name, key string) string     { return or(i.Name, name+"-instance-"+key) }

// The fields of flavors.
const (
	l4Flavor = "l4FlavorId"
	l7Flavor = "l7FlavorId"
)

// place is what addresses are of: the subnet that it is now, for whoever leaves one lets its address go.
func (a *Args) place() string {
	if a.Subnet.ID != "" {
		return "subnet " + a.Subnet.ID
	}
	return "subnet " + a.Subnet.CIDR + " of router " + a.network("").GatewayAddress().String()
}

// stays says whether the last update made the load balancer where it is now: one that is elsewhere is replaced.
func (a *Args) stays(balancer string) bool {
	now := network.Claims{}
	a.network("").Claim(now, "")
	address, made := a.Held["loadBalancers."+balancer+".address"]
	return made && address.Of == a.place() && a.Held["subnet.cidr"] == now["subnet.cidr"]
}

// flavors are those of a load balancer by their fields: one that is taken out of the configuration stays in the cloud for as
// long as the load balancer does.
func (a *Args) flavors(balancer string) map[string]string {
	b, flavors, stays := a.LoadBalancers[balancer], map[string]string{}, a.stays(balancer)
	for field, flavor := range map[string]string{l4Flavor: b.L4FlavorID, l7Flavor: b.L7FlavorID} {
		if flavor == "" && stays {
			flavor = a.Held["loadBalancers."+balancer+"."+field].Value
		}
		if flavor != "" {
			flavors[field] = flavor
		}
	}
	return flavors
}

// flavor finds a listener that no flavor of its load balancer is for.
func (a *Args) flavor(l *problem.List, field, balancer string, listener Listener) {
	needed, other := l4Flavor, l7Flavor
	if a.Groups[listener.Group].Speaks() == protocols[0] {
		needed, other = other, needed
	}
	flavors := a.flavors(balancer)
	if flavors[needed] != "" || flavors[other] == "" {
		return
	}
	rule, wayOut := "speaks "+a.Groups[listener.Group].Speaks()+", for which the load balancer has no flavor", "set "+needed+" too"
	if a.stays(balancer) {
		rule += ": it has " + other + " " + flavors[other] + ", and one that is taken out of the configuration stays"
	} else {
		wayOut += ", or leave both flavors out"
	}
	l.Add(field+".group", listener.Group, rule, wayOut)
}

func (m Member) server() string { return m.Instance + m.Address + ":" + strconv.Itoa(m.Port) }

// transport is what a protocol of groups runs on.
func transport(protocol string) string {
	if protocol == "UDP" {
		return "udp"
	}
	return "tcp"
}

// Speaks is the protocol of the listeners that forward to the group.
func (g Group) Speaks() string { return strings.ToUpper(or(g.Protocol, protocols[0])) }

// network is that of the service with its names.
func (a *Args) network(name string) network.Network {
	return network.Network{VPC: a.VPC, Subnet: a.Subnet}.Named(name, "")
}

// Validate returns every problem at once, or nil. The field paths are those of the stack configuration; name is that of the
// component, from which names are made that are not given.
func (a *Args) Validate(name string) error {
	l := a.network(name).Problems("", true, a.Held)
	if len(a.LoadBalancers) == 0 {
		l.Missing("loadBalancers", "name at least one load balancer")
	}
	for _, k := range slices.Sorted(maps.Keys(a.LoadBalancers)) {
		a.loadBalancer(&l, name, k)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Groups)) {
		a.group(&l, name, k)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Instances)) {
		i, field := a.Instances[k], "instances."+k
		network.Key(&l, field, k)
		network.Name(&l, field+".name", i.named(name, k))
		network.Name(&l, field, name+"-"+k) // of its security group
		for _, f := range []struct{ name, value string }{{"zone", i.Zone}, {"flavorId", i.FlavorID}, {"imageId", i.ImageID}} {
			if f.value == "" {
				l.Missing(field+"."+f.name, "choose one that the region offers")
			}
		}
		for n, admission := range i.Admits {
			l = append(l, admission.problems(field+".admits."+strconv.Itoa(n)+".")...)
		}
		if len(i.Page) > maxPage {
			l.Number(field+".page", len(i.Page), "is more than "+strconv.Itoa(maxPage)+" bytes, which user data does not hold", "shorten it")
		}
	}
	a.addresses(&l)
	return append(l, a.Claims(name).Collisions(a.Held)...).Err()
}

// Validate returns every problem at once, or nil.
func (a Admission) Validate() error { return a.problems("").Err() }

func (a Admission) problems(field string) problem.List {
	var l problem.List
	switch a.Protocol {
	case "tcp", "udp":
		port(&l, field+"port", a.Port)
	case network.All:
		if a.Port != 0 {
			l.Number(field+"port", a.Port, "is given, but protocol any is for all ports", "leave it out, or choose tcp or udp")
		}
	default:
		l.Add(field+"protocol", a.Protocol, "must be tcp, udp or any", "HTTP runs on tcp")
	}
	if _, err := route.ParseCIDR(a.CIDR); err != nil {
		l = append(l, problem.Problem{Field: field + "cidr", Rule: err.Error()})
	}
	return l
}

// addresses finds fixed addresses that two load balancers, or a load balancer and a member, would share.
func (a *Args) addresses(l *problem.List) {
	taken := map[string]string{}
	for _, g := range slices.Sorted(maps.Keys(a.Groups)) {
		for _, m := range slices.Sorted(maps.Keys(a.Groups[g].Members)) {
			taken[a.Groups[g].Members[m].Address] = "member " + m + " of group " + g
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.LoadBalancers)) {
		address := a.LoadBalancers[k].Address
		if other, ok := taken[address]; ok && address != "" {
			l.Add("loadBalancers."+k+".address", address, "is that of "+other, "choose another, or leave it out for an automatic one")
		}
		taken[address] = "load balancer " + k
	}
}

func (a *Args) loadBalancer(l *problem.List, name, key string) {
	b, field := a.LoadBalancers[key], "loadBalancers."+key
	network.Key(l, field, key)
	network.Name(l, field+".name", b.named(name, key))
	a.network("").Address(l, field+".address", b.Address)
	if len(b.Zones) == 0 {
		l.Missing(field+".zones", "name the zones of the region that it runs in")
	}
	for i, z := range b.Zones {
		if z == "" || slices.Contains(b.Zones[:i], z) {
			l.Add(field+".zones", z, "is empty or there twice", "name each zone once")
		}
	}
	if len(b.Listeners) == 0 {
		l.Missing(field+".listeners", "name at least one listener")
	}
	taken := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(b.Listeners)) {
		listener, field := b.Listeners[k], field+".listeners."+k
		network.Key(l, field, k)
		port(l, field+".port", listener.Port)
		group, ok := a.Groups[listener.Group]
		if !ok {
			l.Add(field+".group", listener.Group, "is not one of groups", problem.MeantKey(listener.Group, a.Groups))
			continue
		}
		a.flavor(l, field, key, listener)
		s := transport(group.Speaks()) + " " + strconv.Itoa(listener.Port)
		if other, ok := taken[s]; ok {
			l.Number(field+".port", listener.Port, "is that of listener "+other, "choose another port")
		}
		taken[s] = k
	}
}

func (a *Args) group(l *problem.List, name, key string) {
	g, field := a.Groups[key], "groups."+key
	network.Key(l, field, key)
	network.Name(l, field+".name", g.named(name, key))
	if !slices.Contains(protocols, g.Speaks()) {
		l.Add(field+".protocol", g.Protocol, "must be HTTP, TCP or UDP", problem.Meant(g.Protocol, "leave it out for HTTP", protocols...))
	}
	if g.Method != "" && !slices.Contains(methods, g.Method) {
		l.Add(field+".method", g.Method, "must be "+strings.Join(methods, ", "), problem.Meant(g.Method, "leave it out for "+methods[0], methods...))
	}
	if g.HealthPath != "" && (g.Speaks() != "HTTP" || !strings.HasPrefix(g.HealthPath, "/")) {
		l.Add(field+".healthPath", g.HealthPath, "must begin with / and is for HTTP groups only", "leave it out for /")
	}
	if len(g.Members) == 0 {
		l.Missing(field+".members", "name at least one server")
	}
	taken := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(g.Members)) {
		m, field := g.Members[k], field+".members."+k
		network.Key(l, field, k)
		port(l, field+".port", m.Port)
		if m.Weight != nil && (*m.Weight < 0 || *m.Weight > 100) {
			l.Number(field+".weight", *m.Weight, "must be 0 to 100", "leave it out for the same share for all")
		}
		switch _, known := a.Instances[m.Instance]; {
		case m.Instance == "" && m.Address == "":
			l.Missing(field+".instance", "name one of instances, or give an address")
		case m.Instance != "" && m.Address != "":
			l.Add(field+".address", m.Address, "contradicts instance", "leave one of the two out")
		case m.Instance != "" && !known:
			l.Add(field+".instance", m.Instance, "is not one of instances", problem.MeantKey(m.Instance, a.Instances))
		default:
			a.network("").Address(l, field+".address", m.Address)
		}
		server := m.server()
		if other, ok := taken[server]; ok {
			l.Add(field, server, "is member "+other+" already", "leave one of the two out")
		}
		taken[server] = k
	}
}

func port(l *problem.List, field string, value int) {
	if value < 1 || value > 65535 {
		l.Number(field, value, "must be 1 to 65535", "give the port")
	}
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
