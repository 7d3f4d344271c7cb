package stacks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"polynat/tests/recorder"
)

// What the component finds wrong with its network is said of the field that the user wrote. Where its field is given for no block, that
// block refuses it in other words or rules it out.
func TestAProblemOfTheNetworkNamesTheFieldThatTheUserWrote(t *testing.T) {
	const zone, longest = "eu-west-1a", "a123456789012345678901234567890123456789012345678901234567890123"
	at, made := "aws.nat.zones."+zone, "aws.vpc.zones."+zone
	// set is what is wrong in each of the three, by the block that says where the network is: a path and its value.
	type set map[string][2]any
	everywhere := func(path string, value any) set {
		return set{"vpc": {path, value}, "discovery": {path, value}, "nat": {path, value}}
	}
	same := func(field string) map[string]string {
		return map[string]string{"vpc": field, "discovery": field, "nat": field}
	}
	for name, test := range map[string]struct {
		set     set
		standby any // of the block, nil for its default
		lookup  func(token string, args, answer map[string]any)
		rule    string
		fields  map[string]string
	}{
		"no CIDR": {
			set:  set{"vpc": {"vpc.cidr", nil}},
			rule: "is missing", fields: map[string]string{"vpc": "aws.vpc.cidr"},
		},
		"a CIDR with host bits": {
			set:  set{"vpc": {"vpc.cidr", "10.0.0.1/16"}, "nat": {"nat.vpc.cidrs", list("10.0.0.1/16")}},
			rule: " bits", fields: map[string]string{"vpc": "aws.vpc.cidr", "nat": "aws.nat.vpc.cidrs[0]"},
		},
		"a CIDR of a VPC that is found and has host bits": {
			lookup: func(token string, _, answer map[string]any) {
				if strings.HasSuffix(token, ":getVpc") {
					answer["cidrBlock"] = "10.0.0.1/16"
				}
			},
			set:  set{"discovery": {"tags", block{"a": "b"}}},
			rule: " bits", fields: map[string]string{"discovery": "aws.discovery.vpc"},
		},
		"no zone": {
			set:  set{"vpc": {"vpc.zones", nil}, "nat": {"nat.zones", nil}},
			rule: "is missing", fields: map[string]string{"vpc": "aws.vpc.zones", "nat": "aws.nat.zones"},
		},
		"a public subnet with host bits": {
			set:  set{"vpc": {"vpc.zones." + zone + ".public", "10.0.0.1/24"}, "nat": {"nat.zones." + zone + ".public.cidr", "10.0.0.1/24"}},
			rule: " bits", fields: map[string]string{"vpc": made + ".public", "nat": at + ".public.cidr"},
		},
		"no public subnet": {
			set:  set{"vpc": {"vpc.zones." + zone + ".public", nil}, "nat": {"nat.zones." + zone + ".public", nil}},
			rule: "is missing", fields: map[string]string{"vpc": made + ".public", "nat": at + ".public.id"},
		},
		"no private subnet": {
			set:  set{"vpc": {"vpc.zones." + zone + ".private", nil}, "nat": {"nat.zones." + zone + ".tables", nil}},
			rule: "is missing", fields: map[string]string{"vpc": made + ".private", "nat": at + ".tables"},
		},
		"a key that is too long": {
			set: set{
				"vpc": {"vpc.zones." + zone + ".private", block{longest: "10.0.250.0/24"}},
				"nat": {"nat.zones." + zone + ".tables", block{longest: block{"id": "rtb-9", "subnets": list("subnet-9")}}},
			},
			rule: "must be 1 to 63 letters", fields: map[string]string{"vpc": made + ".private." + longest, "nat": at + ".tables." + longest},
		},
		"a zone that is in no network": {
			set:  set{"vpc": {"nat.zones.eu-west-1c.slot", 9}, "discovery": {"nat.zones.eu-west-1c.slot", 9}, "nat": {"nat.zones.eu-west-1c.slot", 9}},
			rule: "is ", fields: map[string]string{
				"vpc": "aws.nat.zones.eu-west-1c", "discovery": "aws.nat.zones.eu-west-1c",
				"nat": "aws.nat.zones.eu-west-1c.public.id aws.nat.zones.eu-west-1c.tables",
			},
		},
		"a provider of another region": {
			set: everywhere("tags", block{"a": "b"}),
			lookup: func(token string, _, answer map[string]any) {
				if strings.HasSuffix(token, ":getRegion") {
					answer["name"] = "eu-west-2"
				}
			},
			rule: "is not in eu-west-2", fields: map[string]string{"vpc": made + " aws.vpc.zones.eu-west-1b", "discovery": "aws.discovery.zones aws.discovery.zones", "nat": at + " aws.nat.zones.eu-west-1b"},
		},
		"a route that somebody else made": {
			set: set{"discovery": {"tags", block{"a": "b"}}, "nat": {"tags", block{"a": "b"}}},
			lookup: func(token string, args, answer map[string]any) {
				if strings.HasSuffix(token, ":getRouteTable") && args["routeTableId"] == "rtb-a" {
					answer["routes"] = list(block{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"})
				}
			},
			rule: "the stack did not make", fields: map[string]string{"discovery": "aws.discovery.vpc", "nat": at + ".tables.app.id"},
		},
		"NAT64 without IPv6": {
			set: everywhere("nat.nat64", true), rule: "IPv6",
			fields: map[string]string{"vpc": "aws.nat.nat64", "discovery": "aws.nat.vpc.ipv6Cidr", "nat": "aws.nat.vpc.ipv6Cidr"},
		},
		"an IPv6 CIDR that is none": {
			set: everywhere("nat.vpc.ipv6Cidr", "fd00"), rule: "is ", // one that the network of the stack cannot have
			fields: map[string]string{"discovery": "aws.nat.vpc.ipv6Cidr", "nat": "aws.nat.vpc.ipv6Cidr"},
		},
		"an IPv6 CIDR for a network that has none": {
			set: set{"vpc": {"nat.vpc.ipv6Cidr", "fd00::/56"}}, rule: "contradicts aws.vpc", fields: map[string]string{"vpc": "aws.nat.vpc.ipv6Cidr"},
		},
		// What the user writes below nat stays there.
		"an address that is none":          {set: everywhere("nat.zones."+zone+".address", "10.300.0.1"), rule: "is not an IPv4 address", fields: same(at + ".address")},
		"a slot that is none":              {set: everywhere("nat.zones."+zone+".slot", 26), rule: "must be 0 to 25", fields: same(at + ".slot")},
		"an Elastic IP that is none":       {set: everywhere("nat.zones."+zone+".allocationId", "eip-1"), rule: "is not the id of an Elastic IP", fields: same(at + ".allocationId")},
		"a standby that is none":           {set: everywhere("nat.zones."+zone+".standby.gatewayId", "igw-1"), rule: "is not the id of a NAT gateway", fields: same(at + ".standby.gatewayId")},
		"a standby's address that is none": {set: everywhere("nat.zones."+zone+".standby.allocationId", "eip-1"), rule: "is not the id of an Elastic IP", fields: same(at + ".standby.allocationId")},
		"no gateway of a standby": {
			set: everywhere("nat.standby", "existing"), rule: "is missing",
			fields: same(at + ".standby.gatewayId aws.nat.zones.eu-west-1b.standby.gatewayId"),
		},
		"an address that somebody has": {
			set: set{"discovery": {"nat.zones." + zone + ".address", "10.0.97.9"}, "nat": {"nat.zones." + zone + ".address", "10.0.0.9"}},
			lookup: func(token string, args, answer map[string]any) {
				if filters, _ := args["filters"].([]any); strings.HasSuffix(token, ":getNetworkInterfaces") && len(filters) == 2 && strings.HasSuffix(filters[1].(map[string]any)["values"].([]any)[0].(string), ".9") {
					answer["ids"] = list("eni-1")
				}
			},
			rule: "is on eni-1 already", fields: map[string]string{"discovery": at + ".address", "nat": at + ".address"},
		},
		"a shared standby in no zone": {
			set: everywhere("nat.sharedStandby.zone", "eu-west-1c"), standby: "shared", rule: "is not one of the zones", fields: same("aws.nat.sharedStandby.zone"),
		},
	} {
		for from, network := range map[string]func(*aw){"vpc": func(*aw) {}, "discovery": (*aw).discovered, "nat": (*aw).existing} {
			change, ok := test.set[from]
			if !ok {
				continue
			}
			a := newAW(t)
			network(a)
			a.set("nat.sharedStandby", nil)
			a.set("nat.standby", test.standby)
			a.set(change[0].(string), change[1])
			answered := a.found
			if answered == nil {
				answered = awsAccount
			}
			a.found = func(token string, args map[string]any) (map[string]any, error) {
				answer := map[string]any{"ids": list()} // no interface, and a VPC without IPv6
				if !strings.HasSuffix(token, ":getNetworkInterfaces") && (from != "nat" || !strings.HasSuffix(token, ":getVpc")) {
					known, err := answered(token, args)
					if err != nil {
						return nil, err
					}
					answer = maps.Clone(known)
				}
				if test.lookup != nil {
					test.lookup(token, args, answer)
				}
				return answer, nil
			}
			_, err := a.run(recorder.Options{DryRun: true})
			if err == nil {
				t.Errorf("%s, with %s: is not refused", name, from)
				continue
			}
			var fields []string
			for _, line := range strings.Split(err.Error(), "\n") {
				if strings.Contains(line, test.rule) {
					field, _, _ := strings.Cut(line, ": ")
					fields = append(fields, field)
				}
			}
			slices.Sort(fields)
			if want := test.fields[from]; want != "" && strings.Join(fields, " ") != want {
				t.Errorf("%s, with %s: fields %v, want %s, of\n%v", name, from, fields, want, err)
			}
			if from != "nat" && (strings.Contains(err.Error(), ".public.cidr:") || strings.Contains(err.Error(), ".tables")) {
				t.Errorf("%s, with %s: a field that nobody wrote:\n%v", name, from, err)
			}
		}
	}
}
