package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
	"polynat/internal/stackoutputs"
)

// claim is an object that exists and that the plan takes over under a child name.
type claim struct {
	typ, name, field string
	// properties are those by which the state knows the object.
	properties map[string]string
}

// strangers finds objects that the plan would take over although they are not its own. One that this stack holds under
// another name, after a rename, would be taken over and then deleted with that name. A bandwidth package that an address
// has been put into from outside is somebody else's.
func (a *Args) strangers(name string, d *decision, held []stackoutputs.Resource) []migration.Problem {
	var problems []migration.Problem
	for _, c := range a.claims(name, d) {
		for _, r := range held {
			if r.Type != c.typ || r.Name == c.name || !c.is(r.Outputs) {
				continue
			}
			if slices.ContainsFunc(held, func(other stackoutputs.Resource) bool { return other.Type == c.typ && other.Name == c.name }) {
				continue // both names are held: nothing is renamed
			}
			problems = append(problems, migration.Problem{
				Field: c.field, Value: c.name, Rule: "this stack holds it under the name " + r.Name + ", with which it would be deleted",
				WayOut: "put the old name or key back",
			})
		}
	}
	return append(problems, a.foreignPackage(name, d, held)...)
}

// KnownBy are the outputs by which the component knows its own resources again in the state of the stack. A program that reads the
// state at its beginning, with [stackoutputs.Remember], reads these.
func KnownBy() []string {
	return []string{
		"routeTableId", "destinationCidrblock", "nexthopId", "natGatewayName", "vpcId", "ipAddress", "allocationId", "sourceVswitchId", "sourceCidr",
		"snatTableId", "snatTableIds", "externalIp", "externalPort", "ipProtocol", "bandwidthPackageId",
		"name", "repeats",
	}
}

func (c claim) is(outputs map[string]any) bool {
	for property, value := range c.properties {
		if text, _ := outputs[property].(string); text != value {
			return false
		}
	}
	return true
}

const (
	routeEntryType  = "alicloud:vpc/routeEntry:RouteEntry"
	natGatewayType  = "alicloud:vpc/natGateway:NatGateway"
	addressType     = "alicloud:ecs/eipAddress:EipAddress"
	associationType = "alicloud:ecs/eipAssociation:EipAssociation"
	packageType     = "alicloud:vpc/commonBandwithPackage:CommonBandwithPackage"
	membershipType  = "alicloud:vpc/commonBandwithPackageAttachment:CommonBandwithPackageAttachment"
	snatEntryType   = "alicloud:vpc/snatEntry:SnatEntry"
	forwardType     = "alicloud:vpc/forwardEntry:ForwardEntry"
)

// claims lists what the plan takes over.
func (a *Args) claims(name string, d *decision) []claim {
	var claims []claim
	add := func(importID, typ, child, field string, properties map[string]string) {
		if importID != "" {
			claims = append(claims, claim{typ, child, field, properties})
		}
	}
	plan, survey := d.plan, d.survey
	for _, t := range plan.Tables {
		table := a.object(t.ID)
		for _, r := range t.Routes {
			if !table.made || r.CIDR.Bits() > 0 { // the default routes of a network of its own have an alias
				hop := r.ImportID[strings.LastIndex(r.ImportID, ":")+1:]
				add(r.ImportID, routeEntryType, routeName(name, table, r), "routeTables."+t.ID,
					map[string]string{"routeTableId": t.ID, "destinationCidrblock": r.CIDR.String(), "nexthopId": hop})
			}
		}
	}
	if g := plan.Gateway; g != nil {
		add(g.ImportID, natGatewayType, childName(name, "nat"), "natGateway", map[string]string{"natGatewayName": g.Name, "vpcId": a.VPCID})
	}
	for _, p := range plan.Addresses {
		field := "addresses." + p.Key
		add(p.ImportID, addressType, childName(name, "address", p.Key), field, map[string]string{"ipAddress": survey.Addresses[p.Key].IP})
		add(p.AssociationID, associationType, childName(name, "association", p.Key), field, map[string]string{"allocationId": p.ImportID})
	}
	for _, p := range plan.SNAT {
		source := map[string]string{"sourceVswitchId": p.VSwitch}
		if p.VSwitch == "" {
			source = map[string]string{"sourceCidr": p.CIDR.String()}
		}
		source["snatTableId"], _, _ = strings.Cut(p.ImportID, ":")
		add(p.ImportID, snatEntryType, childName(name, "snat", a.snatKey(p.Source)), "snat."+p.String(), source)
	}
	for _, p := range plan.Forwards {
		add(p.ImportID, forwardType, childName(name, "forward", p.Key), "forwards."+p.Key, map[string]string{
			"externalIp": survey.Addresses[p.Address].IP, "externalPort": p.ExternalPort, "ipProtocol": p.Protocol,
		})
	}
	return claims
}

// mark tells what the state of the stack holds of the gateways and addresses found. A gateway is known by its SNAT table: its id is
// no output.
func mark(found *migration.Survey, held []stackoutputs.Resource) {
	holds := func(typ, property, value string) bool {
		return value != "" && slices.ContainsFunc(held, func(r stackoutputs.Resource) bool { return r.Type == typ && r.Outputs[property] == value })
	}
	for i, g := range found.Gateways {
		found.Gateways[i].Held = holds(natGatewayType, "snatTableIds", g.SNATTable)
	}
	for _, all := range found.Namesakes {
		for i, a := range all {
			all[i].Held = holds(addressType, "ipAddress", a.IP)
		}
	}
}

// foreignPackage finds addresses in a bandwidth package that this stack has not made.
func (a *Args) foreignPackage(name string, d *decision, held []stackoutputs.Resource) []migration.Problem {
	made := slices.ContainsFunc(held, func(r stackoutputs.Resource) bool {
		return r.Type == packageType && r.Name == childName(name, "bandwidth")
	})
	var problems []migration.Problem
	for _, p := range d.plan.Addresses {
		in := d.survey.Addresses[p.Key].Package
		foreign := in != "" && !made
		for _, r := range held {
			if r.Type == membershipType && r.Name == childName(name, "membership", p.Key) && in != "" {
				id, _ := r.Outputs["bandwidthPackageId"].(string)
				foreign = foreign || id != in
			}
		}
		if foreign {
			problems = append(problems, migration.Problem{
				Field: "addresses." + p.Key, Value: d.survey.Addresses[p.Key].IP, Rule: fmt.Sprintf("is in bandwidth package %s, which is not this stack's", in),
				WayOut: "take it out of that package",
			})
		}
	}
	return problems
}

// unnamed warns of routes in the state that the cloud knows without a name, as it does those of the console. The provider 1.217.2 refuses
// the empty name, with which a refresh replaces the one that it has made up and that the program ignores. No option of Pulumi
// prevents that (decision 0003), and the program is not told: lookups show no names, and the state its outputs only.
func unnamed(ctx *pulumi.Context, name string, held []stackoutputs.Resource) error {
	var routes []string
	for _, h := range held {
		if h.Type == routeEntryType && strings.HasPrefix(h.Name, name+"-") && h.Outputs["name"] == "" {
			routes = append(routes, fmt.Sprintf("%v of %v", h.Outputs["destinationCidrblock"], h.Outputs["routeTableId"]))
		}
	}
	if len(routes) == 0 {
		return nil
	}
	warning := fmt.Sprintf("%s: without a name in the cloud, which the provider refuses after a `pulumi refresh` (\"expected length of name\"). "+
		"Before you refresh, or after it, give each a name of 2 to 128 characters in the console; then run `pulumi refresh` and `pulumi up`",
		strings.Join(routes, ", "))
	return ctx.Log.Warn(warning, nil)
}
