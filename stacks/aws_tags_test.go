package stacks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	simulated "polynat/internal/sim/aws"
	"polynat/stacks"
	"polynat/tests/recorder"
)

// An object of S3 takes ten tags, and everything else fifty. CloudWatch takes no graph without a line, which that of the standby gateways
// has not without any.
func TestManyTagsAndNoStandbyBreakNoUpdate(t *testing.T) {
	cloud := simulated.New(simulated.Options{Region: "eu-west-1", AddressQuota: -1, NoThrottling: true})
	a := newAW(t)
	tags, defaults := block{}, block{}
	for i := range 6 {
		tags[fmt.Sprint("stack", i)], defaults[fmt.Sprint("provider", i)] = "1", "1"
	}
	text, err := json.Marshal(block{"tags": defaults})
	if err != nil {
		t.Fatal(err)
	}
	a.config["aws:defaultTags"] = string(text)
	a.set("tags", tags)
	a.set("nat.standby", "none")
	a.set("nat.sharedStandby", nil)
	up(t, newStack(t, recorder.Project, cloud, a.encoded(), stacks.Program(stacks.Setups(), recorder.Keys(a.config))))
}

func TestEverySecurityGroupRuleHasTheTagsOfTheStack(t *testing.T) {
	a := newAW(t)
	a.set("tags", block{"team": "network"})
	made, err := a.run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, o := range made.Objects {
		if strings.Contains(o.Type, ":SecurityGroup") && strings.HasSuffix(o.Type, "Rule") {
			rules++
			if tags, _ := o.Inputs["tags"].(map[string]any); tags["team"] != "network" {
				t.Errorf("%s has the tags %v", o.Name, tags)
			}
		}
	}
	if rules == 0 {
		t.Error("there is no rule")
	}
}
