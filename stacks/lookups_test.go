package stacks_test

import (
	"strings"
	"testing"

	simulated "polynat/internal/sim/aws"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// The simulated AWS answers in the words of the real provider, and the engine writes its own around them.
func TestALookupThatFailsIsSaidWithoutItsLayers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*aw)
		says   string
	}{
		"a misspelled instance type": {
			func(a *aw) { a.set("nat.instance.types", list("t4g.smal")) },
			`aws.nat.instance.types[0]: "t4g.smal": is not an instance type (did you mean t4g.small?)`,
		},
		"an instance type that is none": {
			func(a *aw) { a.set("nat.instance.types", list("z0.huge")) },
			`aws.nat.instance.types[0]: "z0.huge": is not an instance type (choose another, such as t4g.small or c7gn.medium)`,
		},
		"a VPC that discovery does not find": {
			func(a *aw) {
				a.set("vpc", nil)
				a.set("nat.sharedStandby", nil)
				a.set("nat.standby", nil)
				a.set("discovery.vpc.name", "mian")
			},
			`aws.discovery.vpc: "mian": is no VPC of the account in this region: the lookup found none (look it up in the console of the region that the provider has)`,
		},
		"a VPC that is not there": {
			func(a *aw) {
				a.existing()
				a.set("nat.vpc.cidrs", nil)
			},
			`aws.nat.vpc.id: "vpc-1": is not a VPC of the account in this region: the lookup found none (name a VPC of the region, or give vpc.cidrs)`,
		},
	} {
		a := newAW(t)
		c.change(a)
		cloud := simulated.New(simulated.Options{Region: "eu-west-1"})
		_, err := newStack(t, recorder.Project, cloud, a.encoded(), stacks.Program(stacks.Setups(), recorder.Keys(a.config))).Preview(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "rpc error") || strings.Contains(err.Error(), "invoking") {
			t.Errorf("%s: error %v\nwant %s", name, err, c.says)
		}
	}
}
