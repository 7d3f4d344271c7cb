package docs_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// child is what a component makes, and when: of a migration, at which stages.
type child struct{ kind, key, constructor, when string }

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
	"service": {
		{"vpc", "", "huaweicloud.NewVpc", "without `vpc.id`"},
		{"subnet", "", "huaweicloud.NewVpcSubnet", "without `subnet.id`"},
		{"group", "", "huaweicloud.NewNetworkingSecgroup", "with `instances`"},
		{"group", "<instance>", "huaweicloud.NewNetworkingSecgroup", "for each of `instances` that rules lead to"},
		{"admit", "<instance>-<protocol>-<port>-<CIDR>", "huaweicloud.NewNetworkingSecgroupRule", "for each source of these rules; without a port for `any`"},
		{"egress", "", "huaweicloud.NewNetworkingSecgroupRule", "with `instances`"},
		{"ingress", "<protocol>-<port>", "huaweicloud.NewNetworkingSecgroupRule", "for each port of a member of `instances`"},
		{"ingress-icmp", "", "huaweicloud.NewNetworkingSecgroupRule", "with a UDP group of `instances`"},
		{"instance", "<key>", "huaweicloud.NewComputeInstance", "always"},
		{"pool", "<group>", "huaweicloud.NewElbPool", "always"},
		{"monitor", "<group>", "huaweicloud.NewElbMonitor", "always"},
		{"member", "<group>.<key>", "huaweicloud.NewElbMember", "always"},
		{"elb", "<key>", "huaweicloud.NewElbLoadbalancer", "always"},
		{"listener", "<load balancer>.<key>", "huaweicloud.NewElbListener", "always"},
	},
	"privateNat": {
		{"vpc", "<network>", "huaweicloud.NewVpc", "without its `vpc.id`"},
		{"subnet", "<network>", "huaweicloud.NewVpcSubnet", "without its `subnet.id`"},
		{"gateway", "", "huaweicloud.NewNatPrivateGateway", "always"},
		{"transit", "<key>", "huaweicloud.NewNatPrivateTransitIp", "always"},
		{"rule", "<key>", "huaweicloud.NewNatPrivateDnatRule", "always"},
		{"snat", "<key>", "huaweicloud.NewNatPrivateSnatRule", "always"},
	},
}

func childTable(t *testing.T, c component) string {
	t.Helper()
	if c.setup == "aws" {
		return awsChildTable(t, c)
	}
	made, words := calls(t, c.dir)
	if c.shared != "" {
		more, others := calls(t, c.shared)
		maps.Copy(made, more)
		words = append(words, others...)
	}
	var rows [][]string
	for _, ch := range children[c.block] {
		if !made[ch.constructor] || !slices.ContainsFunc(words, func(w string) bool { return strings.Trim(w, "-") == ch.kind || strings.HasPrefix(w, ch.kind+"-%") }) {
			t.Errorf("%s: makes no %q by %s", c.dir, ch.kind, ch.constructor)
		}
		name := strings.TrimSuffix("<name>-"+ch.kind+"-"+ch.key, "-")
		rows = append(rows, []string{"`" + name + "`", "`" + typeToken(ch.constructor) + "`", ch.when})
	}
	for constructor := range made {
		if !slices.ContainsFunc(children[c.block], func(ch child) bool { return ch.constructor == constructor }) {
			t.Errorf("%s: %s is in no row of the table of children", c.dir, constructor)
		}
	}
	if c.block == "migration" {
		rows = append(rows, []string{"`<name>-stage`", "`polynat:alicloud:MigrationStage`", "all: records the stage when its work is done"})
	}
	if c.setup == "alicloud" {
		return table("child | type | stages", rows)
	}
	return table("child | type | when", rows)
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
				if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains([]string{"vpc", "ecs", "huaweicloud"}, pkg.Name) && strings.HasPrefix(n.Sel.Name, "New") {
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
