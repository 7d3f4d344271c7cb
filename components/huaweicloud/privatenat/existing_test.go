package privatenat_test

import (
	"testing"

	"polynat/components/huaweicloud/privatenat"
	"polynat/sdks/huaweicloud"
)

func TestARuleIsTakenOverOnlyIfItIsTheProgramsOwn(t *testing.T) {
	web := privatenat.Rule{Protocol: "TCP", Port: 80, TargetPort: 8080}
	wanted := func() huaweicloud.GetNatPrivateDnatRulesRule {
		return huaweicloud.GetNatPrivateDnatRulesRule{
			Id: text("found"), TransitIpId: text("transit"), Protocol: text("tcp"), TransitServicePort: text("80"), InternalServicePort: text("8080"),
			BackendInterfaceId: text("port"), BackendPrivateIp: text("10.0.0.9"),
		}
	}
	for _, c := range []struct {
		name   string
		held   map[string]string
		change func(*huaweicloud.GetNatPrivateDnatRulesRule)
		want   string
	}{
		{"what is wanted, and in no state", nil, func(*huaweicloud.GetNatPrivateDnatRulesRule) {}, "found"},
		{"the rule of before has gone", map[string]string{"nat-rule-web": "gone"}, func(*huaweicloud.GetNatPrivateDnatRulesRule) {}, "found"},
		{"the program's already", map[string]string{"nat-rule-web": "found"}, func(*huaweicloud.GetNatPrivateDnatRulesRule) {}, ""},
		{"that of another key", map[string]string{"nat-rule-www": "found"}, func(*huaweicloud.GetNatPrivateDnatRulesRule) {}, ""},
		{"the program's own is there too", map[string]string{"nat-rule-web": "other"}, func(*huaweicloud.GetNatPrivateDnatRulesRule) {}, ""},
		{"another transit IP", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.TransitIpId = text("second") }, ""},
		{"another port", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.TransitServicePort = text("81") }, ""},
		{"another port of the target", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.InternalServicePort = nil }, ""},
		{"another protocol", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.Protocol = text("udp") }, ""},
		{"another target", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.BackendInterfaceId = text("else") }, ""},
		{"a description", nil, func(r *huaweicloud.GetNatPrivateDnatRulesRule) { r.Description = text("by hand") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule, other := wanted(), wanted()
			c.change(&rule)
			other.Id, other.TransitServicePort = text("other"), text("8443")
			found := privatenat.AlikeDNAT(web, "transit", "port", "", []huaweicloud.GetNatPrivateDnatRulesRule{other, rule})
			if got := privatenat.Orphan(c.held, "nat-rule-web", found); got != c.want {
				t.Errorf("takes over %q, want %q", got, c.want)
			}
		})
	}
	if found := privatenat.AlikeDNAT(web, "transit", "", "10.0.0.9", []huaweicloud.GetNatPrivateDnatRulesRule{wanted()}); !found["found"] {
		t.Error("a rule to an address is not known again")
	}
	snat := []huaweicloud.GetNatPrivateSnatRulesRule{
		{Id: text("cidr"), TransitIpId: text("transit"), Cidr: text("10.0.0.0/24")}, {Id: text("subnet"), TransitIpId: text("transit"), SubnetId: text("net")},
	}
	if found := privatenat.AlikeSNAT("10.0.0.0/24", "", "transit", snat); !found["cidr"] || found["subnet"] {
		t.Errorf("rules of a CIDR: %v", found)
	}
	if found := privatenat.AlikeSNAT("", "net", "transit", snat); found["cidr"] || !found["subnet"] {
		t.Errorf("rules of a subnet: %v", found)
	}
}

func text(s string) *string { return &s }
