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

// defaultTags sets those of the provider.
func (a *aw) defaultTags(tags block) {
	text, err := json.Marshal(block{"tags": tags})
	if err != nil {
		panic(err) // texts
	}
	a.config["aws:defaultTags"] = string(text)
}

// An object of S3 takes ten tags, and everything else fifty. CloudWatch takes no graph without a line, which that of the standby gateways
// has not without any.
func TestManyTagsAndNoStandbyBreakNoUpdate(t *testing.T) {
	cloud := simulated.New(simulated.Options{Region: "eu-west-1", AddressQuota: -1, NoThrottling: true})
	a := newAW(t)
	tags, defaults := block{}, block{}
	for i := range 11 {
		tags[fmt.Sprint("stack", i)], defaults[fmt.Sprint("provider", i)] = "1", "1"
	}
	a.defaultTags(defaults)
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

// What the provider would add by itself, neither the instances, which their template and group tag, nor a preview would show.
func TestDefaultTagsAreTagsOfEverything(t *testing.T) {
	a := newAW(t)
	a.set("tags", block{"team": "network"})
	a.defaultTags(block{"env": "dev", "team": "none"})
	made, err := a.run(recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	has := func(what string, tags map[string]any) {
		if tags["env"] != "dev" || tags["team"] != "network" {
			t.Errorf("%s has the tags %v", what, tags)
		}
	}
	seen := map[string]bool{}
	for _, o := range made.Objects {
		seen[o.Type] = true
		switch tags := o.Inputs["tags"].(type) {
		case map[string]any:
			has(o.Name, tags)
		case []any:
			all := map[string]any{}
			for _, tag := range tags {
				tag := tag.(map[string]any)
				all[tag["key"].(string)] = tag["value"]
			}
			has(o.Name, all)
		}
		specifications, _ := o.Inputs["tagSpecifications"].([]any)
		for _, s := range specifications {
			s := s.(map[string]any)
			has(o.Name+" "+s["resourceType"].(string), s["tags"].(map[string]any))
		}
		if o.Type == "pulumi:providers:aws" && o.Inputs["defaultTags"] != nil {
			t.Errorf("the provider has %v", o.Inputs["defaultTags"])
		}
	}
	for _, typ := range []string{"aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group", "aws:iam/role:Role", "aws:ec2/vpc:Vpc", "pulumi:providers:aws"} {
		if !seen[typ] {
			t.Errorf("there is no %s", typ)
		}
	}
}

func TestDefaultTagsOfTheEnvironmentAreRefused(t *testing.T) {
	t.Setenv("TF_AWS_DEFAULT_TAGS_team", "network")
	a := newAW(t)
	_, err := a.run(recorder.Options{})
	const want = `TF_AWS_DEFAULT_TAGS_team: "network": is a tag that the provider would add behind the program's back (put it into aws:defaultTags, and unset the variable)`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
