package snatinstance

import (
	"errors"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
	"polynat/internal/problem"
	"polynat/internal/route"
)

// SystemTable is the key of the VPC's own route table.
const SystemTable = "system"

// Args describe the network. All fields are plain values: they decide which resources exist.
type Args struct {
	// CIDR of the VPC, canonical. Required.
	CIDR string
	// VSwitches by a key that becomes part of their name. Required.
	VSwitches map[string]VSwitch
	// RouteTables are the keys of custom tables, beside the system table.
	RouteTables []string
	// Instance is the SNAT instance. Required.
	Instance Instance
	// Tags for everything that takes them.
	Tags map[string]string
	// DefaultRoutesElsewhere leaves the default routes to another component of the program, which takes them over.
	DefaultRoutesElsewhere bool
	// DefaultRouteAliases are, by table, names under which another component declared the default route before.
	DefaultRouteAliases map[string][]pulumi.Alias
	// Retired removes the instance with its address and default routes and keeps the network.
	Retired bool
	// Provider is the provider for all resources. Required.
	Provider *alicloud.Provider
}

// VSwitch is a subnet.
type VSwitch struct {
	// Zone such as cn-hangzhou-h. Required.
	Zone string
	// CIDR within the VPC's. Required.
	CIDR string
	// RouteTable is the key of a custom table; empty means the system table.
	RouteTable string
}

// Instance is the self-managed gateway.
type Instance struct {
	// VSwitch is the key of the vSwitch that holds it. Required.
	VSwitch string
	// Type is the ECS instance type. Required.
	Type string
	// ImageID is a Linux image with systemd and iptables. Required.
	ImageID string
	// Bandwidth of its elastic IP in Mbit/s, 1 to 200. Required.
	Bandwidth int
}

var key = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// Validate returns every problem at once, or nil. The field paths are those of the stack configuration.
func (a *Args) Validate() error {
	var problems []error
	add := func(field, value, rule, wayOut string) {
		problems = append(problems, migration.Problem{Field: field, Value: strconv.Quote(value), Rule: rule, WayOut: wayOut})
	}
	vpc, err := route.ParseCIDR(a.CIDR)
	if err != nil {
		problems = append(problems, migration.Problem{Field: "cidr", Rule: err.Error()})
	}
	for i, t := range a.RouteTables {
		if !key.MatchString(t) || t == SystemTable || slices.Contains(a.RouteTables[:i], t) {
			add("routeTables", t, "must be a new key of lower-case letters, digits and hyphens, not \"system\"", "rename it")
		}
	}
	if len(a.VSwitches) == 0 {
		problems = append(problems, migration.Problem{Field: "vswitches", Rule: "is missing", WayOut: "name at least one vSwitch"})
	}
	var cidrs []netip.Prefix
	for _, k := range slices.Sorted(maps.Keys(a.VSwitches)) {
		v, field := a.VSwitches[k], "vswitches."+k
		if !key.MatchString(k) {
			add(field, k, "must be lower-case letters, digits and hyphens, at most 31, beginning with a letter", "rename it")
		}
		if v.Zone == "" {
			problems = append(problems, migration.Problem{Field: field + ".zone", Rule: "is missing", WayOut: "give a zone of the region"})
		}
		if v.RouteTable != "" && !slices.Contains(a.RouteTables, v.RouteTable) {
			add(field+".routeTable", v.RouteTable, "is not one of routeTables", problem.Meant(v.RouteTable, "add it there, or leave it out for the system table", a.RouteTables...))
		}
		cidr, err := route.ParseCIDR(v.CIDR)
		switch {
		case err != nil:
			problems = append(problems, migration.Problem{Field: field + ".cidr", Rule: err.Error()})
		case vpc.IsValid() && (!vpc.Contains(cidr.Addr()) || cidr.Bits() < vpc.Bits()):
			add(field+".cidr", v.CIDR, "is not within the VPC's "+a.CIDR, "choose a CIDR within it")
		default:
			cidrs = append(cidrs, cidr)
		}
	}
	if x, y, ok := route.FirstOverlap(cidrs); ok {
		add("vswitches", x.String(), "overlaps "+y.String(), "choose CIDRs that do not overlap")
	}
	problems = append(problems, a.Instance.problems(a.VSwitches)...)
	return errors.Join(problems...)
}

func (i Instance) problems(vswitches map[string]VSwitch) []error {
	var problems []error
	if _, ok := vswitches[i.VSwitch]; !ok {
		problems = append(problems, migration.Problem{Field: "instance.vswitch", Value: strconv.Quote(i.VSwitch), Rule: "is not one of vswitches", WayOut: problem.MeantKey(i.VSwitch, vswitches)})
	}
	for _, f := range []struct{ field, value string }{{"instance.imageId", i.ImageID}, {"instance.type", i.Type}} {
		if f.value == "" {
			problems = append(problems, migration.Problem{Field: f.field, Rule: "is missing", WayOut: "choose one that the region offers"})
		}
	}
	if i.Bandwidth < 1 || i.Bandwidth > 200 {
		problems = append(problems, migration.Problem{Field: "instance.bandwidth", Value: strconv.Itoa(i.Bandwidth), Rule: "must be 1 to 200 Mbit/s", WayOut: "the limit of one elastic IP"})
	}
	return problems
}

// tables are the keys of all route tables, sorted.
func (a *Args) tables() []string {
	return slices.Sorted(slices.Values(append([]string{SystemTable}, a.RouteTables...)))
}
