package docs_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// child is what a component makes, and at which stages of a migration.
type child struct{ kind, key, constructor, stages string }

const (
	protected = ", protected from `switch` on"
	outlives  = " the cloud keeps it when the stack of an existing network is destroyed"
)

// children of each component. That the kinds and types are those of the source is tested below; that the names are those
// that the engine sees, by the URN golden of stacks.
var children = map[string][]child{
	"network": {
		{"vpc", "", "vpc.NewNetwork", "all"},
		{"vswitch", "<key>", "vpc.NewSwitch", "all"},
		{"table", "<key>", "vpc.NewRouteTable", "all"},
		{"attachment", "<vswitch>", "vpc.NewRouteTableAttachment", "all"},
		{"group", "", "ecs.NewSecurityGroup", "all but `retire`"},
		{"ingress-vpc", "", "ecs.NewSecurityGroupRule", "all but `retire`"},
		{"instance", "", "ecs.NewInstance", "all but `retire`"},
		{"address", "", "ecs.NewEipAddress", "all but `retire`"},
		{"association", "", "ecs.NewEipAssociation", "all but `retire`"},
		{"default", "<table>", "vpc.NewRouteEntry", "only without `migration`"},
	},
	"migration": {
		{"default", "<table>", "vpc.NewRouteEntry", "`adopt`, `cover`; at `adopt`" + outlives},
		{"cover", "<table>-<block>", "vpc.NewRouteEntry", "`cover` to `snat`; at `switch` those not in `release`; from `uncover` to `address`" + outlives},
		{"nat", "", "vpc.NewNatGateway", "from `gateway` on" + protected},
		{"nat-default", "<table>", "vpc.NewRouteEntry", "from `gateway` on; in the system table only with `declareSystemRoute`; protected from `snat` on, in a network of the stack's own from `switch` on"},
		{"bandwidth", "", "vpc.NewCommonBandwithPackage", "from `address` on, with `bandwidthPackage`" + protected},
		{"address", "<key>", "ecs.NewEipAddress", "from `address` on" + protected},
		{"association", "<key>", "ecs.NewEipAssociation", "from `address` on" + protected},
		{"membership", "<key>", "vpc.NewCommonBandwithPackageAttachment", "from `address` on, with `bandwidthPackage`" + protected},
		{"snat", "<vswitch or CIDR>", "vpc.NewSnatEntry", "from `snat` on" + protected},
		{"forward", "<key>", "vpc.NewForwardEntry", "from `snat` on" + protected},
	},
}

func childTable(t *testing.T, block, dir string) string {
	t.Helper()
	made, words := calls(t, dir)
	var rows [][]string
	for _, c := range children[block] {
		if !made[c.constructor] || !slices.ContainsFunc(words, func(w string) bool { return strings.Trim(w, "-") == c.kind }) {
			t.Errorf("%s: makes no %q by %s", dir, c.kind, c.constructor)
		}
		name := strings.TrimSuffix("<name>-"+c.kind+"-"+c.key, "-")
		rows = append(rows, []string{"`" + name + "`", "`" + typeToken(c.constructor) + "`", c.stages})
	}
	for constructor := range made {
		if !slices.ContainsFunc(children[block], func(c child) bool { return c.constructor == constructor }) {
			t.Errorf("%s: %s is in no row of the table of children", dir, constructor)
		}
	}
	if block == "migration" {
		rows = append(rows, []string{"`<name>-stage`", "`polynat:alicloud:MigrationStage`", "all: records the stage when its work is done"})
	}
	return table("child | type | stages", rows)
}

// calls returns the constructors of resources that a component calls, and the texts in its source, cut at hyphens that a
// key follows.
func calls(t *testing.T, dir string) (map[string]bool, []string) {
	t.Helper()
	constructors, words := map[string]bool{}, map[string]bool{}
	for _, file := range parsePackage(t, dir) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && (pkg.Name == "vpc" || pkg.Name == "ecs") && strings.HasPrefix(n.Sel.Name, "New") {
					constructors[pkg.Name+"."+n.Sel.Name] = true
				}
			case *ast.BasicLit:
				words[strings.Trim(n.Value, `"`)] = true
			}
			return true
		})
	}
	return constructors, slices.Collect(maps.Keys(words))
}
