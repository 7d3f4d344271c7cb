package migration

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/migration"
	"polynat/internal/problem"
	"polynat/internal/route"
)

// maxBandwidth of one elastic IP in Mbit/s, by the provider's validation.
const maxBandwidth = 200

// key is what may become part of a name in the cloud.
var key = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Validate returns every problem that can be seen without looking at the cloud, or nil. The field paths are those of the
// stack configuration.
func (a *Args) Validate() error {
	spec, err := a.spec()
	if err == nil && a.VPCID == "" { // a network that has still to be made holds nothing to look at
		_, err = migration.Decide(spec, nil, a.Record.internal())
	}
	return err
}

// checks collects problems.
type checks []error

func (c *checks) add(field string, value any, rule, wayOut string) {
	text := fmt.Sprint(value)
	if _, ok := value.(string); ok {
		text = strconv.Quote(text)
	}
	*c = append(*c, migration.Problem{Field: field, Value: text, Rule: rule, WayOut: wayOut})
}

func (c *checks) required(field, value, wayOut string) bool {
	if value == "" {
		*c = append(*c, migration.Problem{Field: field, Rule: "is missing", WayOut: wayOut})
	}
	return value != ""
}

// spec turns the Args into what package migration decides on, or returns every problem.
func (a *Args) spec() (migration.Spec, error) {
	var c checks
	stage := a.validateStage(&c)
	s := migration.Spec{
		Stage:                stage,
		Old:                  a.validateOld(&c),
		Tables:               a.RouteTables,
		Gateway:              migration.GatewaySpec{Name: a.NATGateway.Name, VSwitch: a.NATGateway.VSwitch},
		DeclareSystemDefault: a.NATGateway.DeclareSystemRoute,
		VSwitches:            a.SNAT.VSwitches,
		HAVIPVSwitches:       a.SNAT.HAVIPVSwitches,
		RouteQuota:           a.RouteQuota,
	}
	c.required("natGateway.name", s.Gateway.Name, "it identifies the gateway within the VPC")
	c.required("natGateway.vswitch", s.Gateway.VSwitch, "name the vSwitch that holds the gateway")
	if a.VPCID == "" && len(a.RouteTables) == 0 {
		c.required("vpcId", "", "name the VPC to migrate")
	}
	if a.RouteQuota < 0 {
		c.add("routeQuota", a.RouteQuota, "must not be negative", "leave it out for the vendor's default of 200")
	}
	if a.GateTimeout != nil && *a.GateTimeout < 0 {
		c.add("gateTimeoutSeconds", *a.GateTimeout, "must not be negative", "0 looks once")
	}
	a.validateAddresses(&c, &s)
	a.validateForwards(&c, &s)
	s.Sources = validateCIDRs(&c, "snat.sourceCidrs", a.SNAT.SourceCIDRs)
	s.Release = a.validateRelease(&c)
	unique(&c, "routeTables", a.RouteTables)
	unique(&c, "snat.vswitches", a.SNAT.VSwitches)
	if stage == migration.Retire && len(s.Release) > 0 && len(s.Release) < len(route.Blocks()) {
		c.add("release", strings.Join(a.Release, ","), "must hold all eight blocks at stage retire", "release the rest at stage switch first")
	}
	return s, errors.Join(c...)
}

func (a *Args) validateStage(c *checks) migration.Stage {
	stage, err := migration.ParseStage(a.Stage)
	if c.required("stage", a.Stage, "begin with adopt") && err != nil {
		known := migration.StageNames()
		c.add("stage", a.Stage, "is not a stage", problem.Meant(a.Stage, "use one of "+strings.Join(known, ", "), known...))
	}
	return stage
}

func (a *Args) validateOld(c *checks) migration.OldNextHop {
	old := a.OldNextHop
	hop := migration.OldNextHop{Hop: migration.Hop{Type: old.Type, ID: old.ID}, Instances: old.Instances}
	retired := a.Stage == string(migration.Retire)
	switch old.Type {
	case migration.HopInstance:
		if old.ID != "" && len(old.Instances) == 0 {
			hop.Instances = []string{old.ID}
		}
	case migration.HopNetworkInterface, migration.HopHAVIP:
		if len(old.Instances) == 0 && !retired {
			c.required("oldNextHop.instances", "", "list the ECS instances behind the "+old.Type+", they must run")
		}
	case "":
		c.required("oldNextHop.type", "", "use Instance, NetworkInterface or HaVip, as the 0.0.0.0/0 entries say")
	default:
		c.add("oldNextHop.type", old.Type, "is not a next hop that can be migrated from", problem.Meant(old.Type, "use Instance, NetworkInterface or HaVip", migration.HopInstance, migration.HopNetworkInterface, migration.HopHAVIP))
	}
	if old.Type == migration.HopHAVIP && len(a.SNAT.HAVIPVSwitches) == 0 {
		c.required("snat.havipVswitches", "", "name the vSwitch of the HAVIP: the API takes no SNAT entry for it")
	}
	// At stage switch and after, the routes need it no more; coming back from retire, it may have still to be made.
	if (a.VPCID != "" || len(a.RouteTables) == 0) && !retired && a.Stage != string(migration.Switch) {
		c.required("oldNextHop.id", old.ID, "name what the 0.0.0.0/0 entries point at")
	}
	return hop
}

func (a *Args) validateAddresses(c *checks, s *migration.Spec) {
	s.Addresses = map[string]int{}
	if len(a.Addresses) == 0 {
		c.required("addresses", "", "name at least one elastic IP and its bandwidth")
	}
	for _, k := range slices.Sorted(maps.Keys(a.Addresses)) {
		address, field := a.Addresses[k], "addresses."+k
		if !key.MatchString(k) {
			c.add(field, k, "must be lower-case letters, digits and hyphens, at most 31, beginning with a letter", "rename it")
		}
		if address.Bandwidth < 1 || address.Bandwidth > maxBandwidth {
			c.add(field+".bandwidth", address.Bandwidth, fmt.Sprintf("must be 1 to %d Mbit/s", maxBandwidth), "use several addresses or a bandwidth package for more")
		}
		oneOf(c, field+".internetChargeType", address.chargeType(), "PayByTraffic", "PayByBandwidth")
		if a.BandwidthPackage != nil && address.chargeType() != "PayByTraffic" {
			c.add(field+".internetChargeType", address.InternetChargeType, "an address in a bandwidth package must be PayByTraffic", "leave it out")
		}
		s.Addresses[k] = address.Bandwidth
	}
	if n := len(a.Addresses); n > migration.MaxAddresses {
		c.add("addresses", n, fmt.Sprintf("a NAT gateway takes %d", migration.MaxAddresses), "use fewer with more bandwidth")
	}
	if p := a.BandwidthPackage; p != nil {
		if s.Package = p.Bandwidth; p.Bandwidth < 1 {
			c.add("bandwidthPackage.bandwidth", p.Bandwidth, "must be at least 1 Mbit/s", "give what the addresses share")
		}
		oneOf(c, "bandwidthPackage.internetChargeType", p.chargeType(), "PayByTraffic", "PayByBandwidth", "PayBy95", "PayByDominantTraffic")
	}
}

func (a *Args) validateForwards(c *checks, s *migration.Spec) {
	s.Forwards = map[string]migration.Forward{}
	taken := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(a.Forwards)) {
		f, field := a.Forwards[k], "forwards."+k
		if !key.MatchString(k) {
			c.add(field, k, "must be lower-case letters, digits and hyphens, at most 31, beginning with a letter", "rename it")
		}
		if _, ok := a.Addresses[f.Address]; !ok {
			c.add(field+".address", f.Address, "is not one of addresses", problem.MeantKey(f.Address, a.Addresses))
		}
		ip, err := netip.ParseAddr(f.InternalIP)
		if err != nil || !ip.Is4() {
			c.add(field+".internalIp", f.InternalIP, "is not an IPv4 address", "give the private address that serves")
		}
		port(c, field+".externalPort", f.ExternalPort)
		port(c, field+".internalPort", f.InternalPort)
		oneOf(c, field+".protocol", f.Protocol, "tcp", "udp", "any")
		if (f.Protocol == "any") != (f.ExternalPort == "any") || (f.ExternalPort == "any") != (f.InternalPort == "any") {
			c.add(field, f.Protocol+" "+f.ExternalPort+" to "+f.InternalPort, "protocol any goes with ports any, and only with them", "give tcp or udp and ports, or any three times")
		}
		target := f.Address + " " + f.Protocol + " " + f.ExternalPort
		if other, ok := taken[target]; ok {
			c.add(field, target, "is forwarded by "+other+" already", "one entry per address, protocol and port")
		}
		taken[target] = k
		s.Forwards[k] = migration.Forward{Address: f.Address, ExternalPort: f.ExternalPort, InternalPort: f.InternalPort, InternalIP: ip, Protocol: f.Protocol}
	}
	if len(s.Addresses) > 0 && len(s.SNATAddresses()) == 0 {
		c.add("addresses", strings.Join(slices.Sorted(maps.Keys(a.Addresses)), ","), "all are used by forwards, none is left for SNAT", "add an address: the vendor's texts forbid SNAT and DNAT on one")
	}
}

func (a *Args) validateRelease(c *checks) []netip.Prefix {
	blocks := validateCIDRs(c, "release", a.Release)
	var known []string
	for _, b := range route.Blocks() {
		known = append(known, b.String())
	}
	for _, b := range blocks {
		if !slices.Contains(route.Blocks(), b) {
			c.add("release", b, "is not one of the eight blocks", "use "+strings.Join(known, ", "))
		}
	}
	return blocks
}

func validateCIDRs(c *checks, field string, values []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, v := range values {
		p, err := route.ParseCIDR(v)
		if err != nil {
			*c = append(*c, migration.Problem{Field: field, Rule: err.Error()})
			continue
		}
		prefixes = append(prefixes, p)
	}
	if x, y, ok := route.FirstOverlap(prefixes); ok && x == y {
		c.add(field, x, "is listed twice", "list it once")
	} else if ok {
		c.add(field, x, "overlaps "+y.String(), "keep one of the two")
	}
	return prefixes
}

func port(c *checks, field, value string) {
	if value == "any" {
		return
	}
	numbers := strings.Split(value, "/")
	last := 0
	for _, n := range numbers {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 || v > 65535 || v < last || len(numbers) > 2 {
			c.add(field, value, "must be a port of 1 to 65535, a range of them, or any", "write 443, 10/20 or any")
			return
		}
		last = v
	}
}

func oneOf(c *checks, field, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.add(field, value, "is not known", problem.Meant(value, "use one of "+strings.Join(allowed, ", "), allowed...))
	}
}

func unique(c *checks, field string, values []string) {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			c.add(field, v, "is listed twice", "list it once")
		}
		seen[v] = true
	}
}
