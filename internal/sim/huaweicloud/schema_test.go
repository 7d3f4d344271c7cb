package huaweicloud_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"polynat/internal/sim/huaweicloud"
)

// The facts are held against the schema that the SDK is generated from.
func TestTheFactsAgreeWithTheSDK(t *testing.T) {
	text, err := os.ReadFile("../../../sdks/huaweicloud/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var sdk struct {
		Version          string
		Parameterization struct{ BaseProvider struct{ Name string } }
		Resources        map[string]struct {
			InputProperties map[string]struct {
				Type                 string
				WillReplaceOnChanges bool
			}
			RequiredInputs []string
		}
		Functions map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &sdk); err != nil {
		t.Fatal(err)
	}
	schema := huaweicloud.Schema()
	if schema.BasePlugin != sdk.Parameterization.BaseProvider.Name || !schema.CreateFirst {
		t.Errorf("base plugin %q, want %q, which leaves the order of replacements to the program", schema.BasePlugin, sdk.Parameterization.BaseProvider.Name)
	}
	for token, r := range sdk.Resources {
		facts, ok := schema.Resources[token]
		if !ok {
			t.Errorf("%s is not simulated", token)
			continue
		}
		for name, p := range r.InputProperties {
			fact, ok := facts.Inputs[name]
			if strings.HasSuffix(token, ":"+strings.ToUpper(name[:1])+strings.TrimSuffix(name, "Id")[1:]) || name == "timeouts" {
				continue // the bridge's own
			}
			if !ok || fact.ForceNew != p.WillReplaceOnChanges {
				t.Errorf("%s.%s: known %v, replaces %v, in the SDK %v", token, name, ok, fact.ForceNew, p.WillReplaceOnChanges)
			}
		}
		for _, name := range r.RequiredInputs {
			if !facts.Inputs[name].Required {
				t.Errorf("%s.%s is required", token, name)
			}
		}
	}
	for token := range sdk.Functions {
		if schema.Functions[token] == nil {
			t.Errorf("%s is not simulated", token)
		}
	}
}

func TestLookupsAnswer(t *testing.T) {
	r := example(t)
	for _, c := range []struct {
		function string
		args     o
		property string
		want     any
	}{
		{"getAvailabilityZones", o{}, "names", []any{"cn-north-4a", "cn-north-4b", "cn-north-4c", "cn-north-4g"}},
		{"getElbFlavors", o{"type": "L7_elastic_max"}, "ids", []any{"elb-l7-elastic"}},
		{"getImagesImages", o{"nameRegex": "^Ubuntu"}, "id", "huaweicloud:index/getImagesImages:getImagesImages"},
		{"getComputeFlavors", o{"cpuCoreCount": 64.0}, "ids", []any{}},
		{"getVpc", o{"name": "VPC-b"}, "id", r.id["vpc-b"]},
		{"getVpcSubnet", o{"id": r.id["subnet-b"]}, "ipv4SubnetId", r.out["subnet-b"]["ipv4SubnetId"]},
		{"getNetworkingSecgroup", o{"secgroupId": r.id["group-a"]}, "name", "a"},
		{"getComputeInstance", o{"name": "ECS-a"}, "status", "ACTIVE"},
		{"getNatPrivateGateways", o{"name": "private_nat_gateway"}, "gateways.0.status", "ACTIVE"},
		{"getNatPrivateTransitIps", o{"subnetId": r.id["subnet-a"], "ipAddress": "192.168.0.3"}, "transitIps.0.id", r.id["transit"]},
		{"getNatPrivateTransitIps", o{"subnetId": r.id["subnet-b"]}, "transitIps", []any{}},
		{"getNatPrivateDnatRules", o{"ruleId": r.id["rule"], "transitServicePort": "80"}, "rules.0.internalServicePort", "80"},
		{"getNatPrivateSnatRules", o{"gatewayId": r.id["gateway"]}, "rules", []any{}},
	} {
		got, err := r.cloud.Invoke(t.Context(), "huaweicloud:index/"+c.function+":"+c.function, c.args)
		if list, property, ok := strings.Cut(c.property, ".0."); ok {
			found, _ := got[list].([]any)
			if len(found) != 1 {
				t.Errorf("%s %v finds %v", c.function, c.args, found)
				continue
			}
			got, c.property = found[0].(o), property
		}
		if err != nil || !equal(got[c.property], c.want) {
			t.Errorf("%s %v: %s is %v (%v), want %v", c.function, c.args, c.property, got[c.property], err, c.want)
		}
	}
	if _, err := r.cloud.Invoke(t.Context(), "huaweicloud:index/getVpc:getVpc", o{"name": "nowhere"}); err == nil {
		t.Error("a VPC that is not there was found")
	}
}
