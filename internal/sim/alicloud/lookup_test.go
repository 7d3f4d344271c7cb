package alicloud_test

import (
	"slices"
	"strings"
	"testing"

	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

// elementTypes names the type of the elements of each list in a result.
var elementTypes = map[string]string{
	"alicloud:index/getZones:getZones zones":                                       "GetZonesZone",
	"alicloud:vpc/getRouteTables:getRouteTables tables":                            "GetRouteTablesTable",
	"alicloud:vpc/getRouteEntries:getRouteEntries entries":                         "GetRouteEntriesEntry",
	"alicloud:vpc/getNatGateways:getNatGateways gateways":                          "GetNatGatewaysGateway",
	"alicloud:ecs/getInstances:getInstances instances":                             "GetInstancesInstance",
	"alicloud:vpc/getNetworks:getNetworks vpcs":                                    "GetNetworksVpc",
	"alicloud:vpc/getSwitches:getSwitches vswitches":                               "GetSwitchesVswitch",
	"alicloud:vpc/getSnatEntries:getSnatEntries entries":                           "GetSnatEntriesEntry",
	"alicloud:vpc/getForwardEntries:getForwardEntries entries":                     "GetForwardEntriesEntry",
	"alicloud:ecs/getEipAddresses:getEipAddresses addresses":                       "GetEipAddressesAddress",
	"alicloud:ecs/getEipAddresses:getEipAddresses eips":                            "GetEipAddressesEip",
	"alicloud:vpc/getEnhancedNatAvailableZones:getEnhancedNatAvailableZones zones": "GetEnhancedNatAvailableZonesZone",
}

func invoke(t *testing.T, c *alicloud.Cloud, token string, args sim.Object) sim.Object {
	t.Helper()
	result, err := c.Invoke(background, token, args)
	if err != nil {
		t.Fatalf("%s: %v", token, err)
	}
	return result
}

func TestLookupsAnswerInTheShapeOfTheSDK(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	tables := sim.Object{}
	for _, r := range s.resources {
		switch r.typ {
		case typeGateway:
			tables["snatTableId"], tables["forwardTableId"] = r.outputs["snatTableIds"], r.outputs["forwardTableIds"]
		case typeVPC:
			tables["routeTableId"] = r.outputs["routeTableId"]
		}
	}
	for key, element := range elementTypes {
		token, list, _ := strings.Cut(key, " ")
		args := sim.Object{}
		for name, p := range alicloud.Schema().Functions[token].Args {
			if p.Required {
				args[name] = tables[name]
			}
		}
		if _, ok := alicloud.Schema().Functions[token].Args["enableDetails"]; ok {
			args["enableDetails"] = true
		}
		result := invoke(t, s.cloud, token, args)
		for name := range result {
			if !slices.Contains(alicloud.Schema().Functions[token].Result, name) {
				t.Errorf("%s: %s is not in the result", token, name)
			}
		}
		elements, _ := result[list].([]any)
		if len(elements) == 0 {
			t.Errorf("%s: %s is empty", token, list)
			continue
		}
		fields := alicloud.Schema().Types[element]
		e, _ := elements[0].(sim.Object)
		for name, p := range fields {
			v, ok := e[name]
			if !ok {
				t.Errorf("%s: field %s of %s is missing", token, name, list)
			} else if !hasType(v, p.Type) {
				t.Errorf("%s: field %s of %s is %T, not %s", token, name, list, v, p.Type)
			}
		}
		for name := range e {
			if _, ok := fields[name]; !ok {
				t.Errorf("%s: %s has no field %s", token, element, name)
			}
		}
	}
}

func hasType(v any, typ string) bool {
	ok := false
	switch kind, _, _ := strings.Cut(typ, ":"); kind {
	case "string":
		_, ok = v.(string)
	case "bool":
		_, ok = v.(bool)
	case "int", "float":
		_, ok = v.(float64)
	case "list":
		_, ok = v.([]any)
	case "map":
		_, ok = v.(sim.Object)
	}
	return ok
}

func TestLookupsFilter(t *testing.T) {
	n, g, eip, _ := served(t, alicloud.Options{EnhancedNATZones: []string{"cn-hangzhou-i"}})
	for _, test := range []struct {
		token string
		args  sim.Object
		list  string
		want  int
	}{
		{"alicloud:vpc/getRouteEntries:getRouteEntries", sim.Object{"routeTableId": n.system}, "entries", 6},
		{"alicloud:vpc/getRouteEntries:getRouteEntries", sim.Object{"routeTableId": n.system, "type": "Custom"}, "entries", 2},
		{"alicloud:vpc/getRouteEntries:getRouteEntries", sim.Object{"routeTableId": n.system, "instanceId": n.gateway}, "entries", 1},
		{"alicloud:vpc/getRouteEntries:getRouteEntries", sim.Object{"routeTableId": n.system, "cidrBlock": "172.16.0.0/12"}, "entries", 1},
		{"alicloud:vpc/getRouteTables:getRouteTables", sim.Object{"vpcId": n.vpc}, "tables", 2},
		{"alicloud:vpc/getRouteTables:getRouteTables", sim.Object{"vpcId": "vpc-other"}, "tables", 0},
		{"alicloud:vpc/getRouteTables:getRouteTables", sim.Object{"ids": []any{n.custom}}, "tables", 1},
		{"alicloud:vpc/getNetworks:getNetworks", sim.Object{"vswitchId": n.switches[1]}, "vpcs", 1},
		{"alicloud:vpc/getSwitches:getSwitches", sim.Object{"routeTableId": n.custom}, "vswitches", 1},
		{"alicloud:vpc/getNatGateways:getNatGateways", sim.Object{"vpcId": n.vpc, "pageSize": 50.0}, "gateways", 1},
		{"alicloud:vpc/getNatGateways:getNatGateways", sim.Object{"nameRegex": "^no$"}, "gateways", 0},
		{"alicloud:ecs/getInstances:getInstances", sim.Object{"ids": []any{n.gateway}, "enableDetails": false}, "instances", 1},
		{"alicloud:ecs/getInstances:getInstances", sim.Object{"ids": []any{n.gateway}}, "instances", 0}, // has no RAM role
		{"alicloud:ecs/getEipAddresses:getEipAddresses", sim.Object{"associatedInstanceId": g.ID, "associatedInstanceType": "Nat"}, "addresses", 1},
		{"alicloud:ecs/getEipAddresses:getEipAddresses", sim.Object{"ipAddresses": []any{eip.Address}}, "addresses", 1},
		{"alicloud:vpc/getSnatEntries:getSnatEntries", sim.Object{"snatTableId": g.SNATTableID, "sourceVswitchId": n.switches[0]}, "entries", 1},
		{"alicloud:vpc/getEnhancedNatAvailableZones:getEnhancedNatAvailableZones", sim.Object{}, "zones", 1},
		{"alicloud:index/getZones:getZones", sim.Object{"availableResourceCreation": "VSwitch"}, "zones", 4},
	} {
		got, _ := invoke(t, n.Cloud, test.token, test.args)[test.list].([]any)
		if len(got) != test.want {
			t.Errorf("%s %v: %d elements, want %d: %v", test.token, test.args, len(got), test.want, got)
		}
	}
}

func TestZonesWithoutInstancesForSaleAreNotListedButTakeVSwitches(t *testing.T) {
	n := newNetwork(t, alicloud.Options{SoldOut: []string{"cn-hangzhou-k"}})
	if got := invoke(t, n.Cloud, "alicloud:index/getZones:getZones", sim.Object{"availableResourceCreation": "VSwitch"})["ids"].([]any); len(got) != 3 {
		t.Errorf("zones %v", got)
	}
	id, err := n.CreateVSwitch(alicloud.VSwitch{VPCID: n.vpc, ZoneID: "cn-hangzhou-k", CIDR: cidr("10.0.250.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.RunInstance(alicloud.Instance{VPCID: n.vpc, VSwitchID: id}); !alicloud.IsCode(err, alicloud.CodeZoneNotOnSale) {
		t.Errorf("error %v", err)
	}
}

func TestLookupsKnowTheTagsThatAProgramGave(t *testing.T) {
	s := everything(t, alicloud.New(alicloud.Options{}))
	for tags, want := range map[string]int{"net": 1, "other": 0} {
		got, _ := invoke(t, s.cloud, "alicloud:vpc/getNetworks:getNetworks", sim.Object{"tags": sim.Object{"team": tags}})["vpcs"].([]any)
		if len(got) != want {
			t.Errorf("team %s: %d VPCs, want %d", tags, len(got), want)
		}
	}
}

func TestAFilterThatIsNotSimulatedIsAnError(t *testing.T) {
	n := newNetwork(t, alicloud.Options{})
	if _, err := n.Invoke(background, "alicloud:vpc/getNetworks:getNetworks", sim.Object{"vpcOwnerId": 7.0}); err == nil {
		t.Error("no error")
	}
}
