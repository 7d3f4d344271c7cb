package vpc

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"

	"polynat/internal/problem"
	"polynat/internal/route"
)

// Args describe the VPC.
type Args struct {
	// CIDR of the VPC, canonical, /16 to /28. Required.
	CIDR string
	// Zones by the names of their availability zones, such as eu-west-1a. Required.
	Zones map[string]Zone
	// Tags for everything that is made.
	Tags map[string]string
	// Provider of the region. Required.
	Provider *aws.Provider
}

// Zone holds the subnets of an availability zone.
type Zone struct {
	// Public is the CIDR of the subnet whose route table leads to the Internet gateway, /16 to /28. Required.
	Public string
	// Private are the CIDRs of the other subnets, by a key of your choice, /16 to /28. Required.
	Private map[string]string
}

// Sizes of a VPC and of a subnet that AWS takes, as prefix lengths.
const largest, smallest = 16, 28

// keys are also parts of names and tags.
var keys = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// Validate returns every problem at once, or nil. The field paths are those of the stack configuration.
func (a *Args) Validate() error {
	var problems problem.List
	cidr, ok := size(&problems, "cidr", a.CIDR)
	if len(a.Zones) == 0 {
		problems.Missing("zones", "name the zones, and their subnets")
	}
	var fields []string
	var subnets []netip.Prefix
	subnet := func(field, text string) {
		if p, valid := size(&problems, field, text); valid {
			fields, subnets = append(fields, field), append(subnets, p)
			if ok && (!cidr.Contains(p.Addr()) || p.Bits() < cidr.Bits()) {
				problems.Add(field, text, "is not within "+cidr.String()+" of the VPC", "choose a part of it")
			}
		}
	}
	for _, name := range sorted(a.Zones) {
		field, zone := "zones."+name, a.Zones[name]
		subnet(field+".public", zone.Public)
		if len(zone.Private) == 0 {
			problems.Missing(field+".private", "give at least one subnet, or leave the zone out")
		}
		for _, key := range sorted(zone.Private) {
			if !keys.MatchString(key) {
				problems.Add(field+".private."+key, key, "cannot be part of a name", "use lower case letters, digits and hyphens")
			}
			subnet(field+".private."+key, zone.Private[key])
		}
	}
	for i, p := range subnets {
		for j, other := range subnets[:i] {
			if p.Overlaps(other) {
				problems.Add(fields[i], p.String(), "overlaps "+other.String()+" of "+fields[j], "choose a free part of the VPC's CIDR")
			}
		}
	}
	return problems.Err()
}

// size parses a CIDR and adds what is wrong with it.
func size(problems *problem.List, field, text string) (netip.Prefix, bool) {
	if text == "" {
		problems.Missing(field, "give it as in 10.0.0.0/16")
		return netip.Prefix{}, false
	}
	p, err := route.ParseCIDR(text)
	switch {
	case err != nil:
		*problems = append(*problems, problem.Problem{Field: field, Rule: err.Error()})
	case p.Bits() < largest || p.Bits() > smallest:
		problems.Add(field, text, fmt.Sprintf("is not a size between /%d and /%d", largest, smallest), "AWS takes no other")
	default:
		return p, true
	}
	return p, false
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
