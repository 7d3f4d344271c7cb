package nat_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/components/aws/nat"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

// gateways is a network whose tables lead to NAT gateways already.
func gateways(token string, args map[string]any) (map[string]any, error) {
	if token != "aws:ec2/getRouteTable:getRouteTable" {
		return ireland.lookup(token, args)
	}
	return map[string]any{"routes": []any{
		map[string]any{"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}, map[string]any{"destinationPrefixListId": "pl-1", "vpcEndpointId": "vpce-1"},
		map[string]any{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-" + fmt.Sprint(args["routeTableId"])},
	}}, nil
}

// leading is a network whose tables have default routes of which to says where they lead.
func leading(to func(table string) map[string]any) func(string, map[string]any) (map[string]any, error) {
	return func(token string, args map[string]any) (map[string]any, error) {
		switch token {
		case "aws:ec2/getRouteTable:getRouteTable":
			route := to(fmt.Sprint(args["routeTableId"]))
			route["cidrBlock"] = "0.0.0.0/0"
			return map[string]any{"routes": []any{route}}, nil
		case "aws:ec2/getNatGateway:getNatGateway":
			switch args["id"] {
			case "nat-gone":
				return nil, errors.New("no matching EC2 NAT Gateway found")
			case "nat-deleted":
				return map[string]any{"state": "deleted"}, nil
			case "nat-secret":
				return nil, errors.New("UnauthorizedOperation")
			}
		case "aws:ec2/getNetworkInterface:getNetworkInterface":
			switch args["id"] {
			case "eni-gone":
				return nil, errors.New("no matching EC2 Network Interface found")
			case "eni-ours":
				return map[string]any{"tags": map[string]any{natzone.TagName: "mine", natzone.TagZone: a}}, nil
			}
			return map[string]any{"tags": map[string]any{natzone.TagName: "mine", natzone.TagZone: b}}, nil
		}
		return ireland.lookup(token, args)
	}
}

func TestOnlyRoutesThatAnInstanceWouldTakeAreTakenOver(t *testing.T) {
	for name, test := range map[string]struct {
		leads map[string]any
		want  string
	}{
		"the gateway is gone":         {map[string]any{"natGatewayId": "nat-gone"}, ""},
		"the gateway is deleted":      {map[string]any{"natGatewayId": "nat-deleted"}, ""},
		"the gateway is another":      {map[string]any{"natGatewayId": "nat-0123456789abcdef0"}, "which no instance would take over: it is not the standby"},
		"the gateway cannot be seen":  {map[string]any{"natGatewayId": "nat-secret"}, "which cannot be looked up: "},
		"an instance of the zone":     {map[string]any{"networkInterfaceId": "eni-ours", "instanceId": "i-1"}, ""},
		"the interface is gone":       {map[string]any{"networkInterfaceId": "eni-gone"}, ""},
		"an instance of another zone": {map[string]any{"networkInterfaceId": "eni-other", "instanceId": "i-1"}, "to eni-other, i-1, which no instance would take over"},
		"a transit gateway":           {map[string]any{"transitGatewayId": "tgw-1"}, "to tgw-1, which no instance would take over"},
	} {
		t.Run(name, func(t *testing.T) {
			args := newArgs("a")
			args.AdoptRoutes, args.PhysicalName = true, "mine"
			_, err := recorder.Run(program(args, nil), recorder.Options{Invoke: leading(func(string) map[string]any { return maps.Clone(test.leads) }), DryRun: true})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestTheNameOfWhatIsDeployedStays(t *testing.T) {
	args := newArgs("a")
	args.PhysicalName = "old"
	made, err := recorder.Run(program(args, nil), recorder.Options{Invoke: ireland.lookup})
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]any{}
	for _, o := range made.Objects {
		held[o.URN] = map[string]any{"outputs": o.Inputs}
	}
	for physical, want := range map[string]string{
		"old": "",
		"new": `physicalName: "new": is another name than old, with which the instances are deployed`,
		"":    "set physicalName to old",
	} {
		args.PhysicalName = physical
		_, err := recorder.Run(program(args, nil), recorder.Options{Invoke: ireland.lookup, Held: held, DryRun: true})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("physicalName %q: error %v, want %q", physical, err, want)
		}
	}
}

func TestRoutesThatTheStackDidNotMakeAreRefusedUnlessTheyAreToBeTakenOver(t *testing.T) {
	args := newArgs("ab")
	made, err := recorder.Run(program(args, nil), recorder.Options{Invoke: gateways, DryRun: true})
	for _, table := range []string{"app", "db"} {
		want := fmt.Sprintf(`zones.eu-west-1a.tables.%s.id: "rtb-%s-a": has a route to 0.0.0.0/0 that the stack did not make, to nat-rtb-%s-a`, table, table, table)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if len(made.Objects) > 1 {
		t.Errorf("%v are registered", made.URNs())
	}

	args.AdoptRoutes = true
	made, err = recorder.Run(program(args, nil), recorder.Options{Invoke: leading(func(string) map[string]any {
		return map[string]any{"natGatewayId": "nat-0123456789abcdef0"}
	}), DryRun: true})
	for _, want := range []string{
		`zones.eu-west-1b.tables.db.id: "rtb-db-b": has a route to 0.0.0.0/0 that the stack did not make, to nat-0123456789abcdef0, which no instance would take over`,
		"set standby to existing and zones.eu-west-1b.standby.gatewayId to",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a gateway that is not the standby: error %v, want %s", err, want)
		}
	}
	if len(made.Objects) > 1 {
		t.Errorf("%v are registered", made.URNs())
	}

	args.Standby = nat.Existing
	for _, key := range []string{a, b} {
		with(key, func(z *nat.Zone) { z.Standby.GatewayID = "nat-0123456789abcdef" + key[len(key)-1:] })(args)
	}
	made, err = recorder.Run(program(args, nil), recorder.Options{Invoke: leading(func(table string) map[string]any {
		return map[string]any{"natGatewayId": "nat-0123456789abcdef" + table[len(table)-1:]}
	})})
	if err != nil {
		t.Fatal(err)
	}
	routes := made.Named(routeType)
	for _, table := range []string{"app", "db"} {
		for _, letter := range []string{"a", "b"} {
			o := routes["egress-route-eu-west-1"+letter+"-"+table+"-0.0.0.0/0"]
			if want := "rtb-" + table + "-" + letter + "_0.0.0.0/0"; o.ImportID != want || !slices.Contains(o.IgnoreChanges, "natGatewayId") {
				t.Errorf("%s: is imported by %q, want %q, and ignores changes of %v", o.Name, o.ImportID, want, o.IgnoreChanges)
			}
		}
	}
}

func TestRoutesOfTheStackAreNeitherRefusedNorTakenOver(t *testing.T) {
	args := newArgs("ab")
	made, err := recorder.Run(program(args, nil), recorder.Options{Invoke: ireland.lookup})
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]any{}
	for _, o := range made.Objects {
		held[o.URN] = map[string]any{"outputs": map[string]any{}}
	}
	for _, adopt := range []bool{false, true} {
		args.AdoptRoutes = adopt
		again, err := recorder.Run(program(args, nil), recorder.Options{Invoke: gateways, Held: held})
		if err != nil {
			t.Errorf("adoptRoutes %v: %v", adopt, err)
		}
		if diff := cmp.Diff(made.Named(routeType), again.Named(routeType)); diff != "" {
			t.Errorf("adoptRoutes %v: routes change:\n%s", adopt, diff)
		}
	}
}

func TestAnAddressThatIsTakenIsRefusedUntilItIsReserved(t *testing.T) {
	args := newArgs("a")
	reserved := map[string]any{}
	made, err := recorder.Run(program(args, nil), recorder.Options{Invoke: ireland.lookup})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range made.Objects {
		reserved[o.URN] = map[string]any{"outputs": o.Inputs}
	}
	ours := false
	taken := func(token string, in map[string]any) (map[string]any, error) {
		if token != "aws:ec2/getNetworkInterfaces:getNetworkInterfaces" {
			return ireland.lookup(token, in)
		}
		if filters := in["filters"].([]any); len(filters) > 2 && !ours {
			return map[string]any{"ids": []any{}}, nil
		}
		return map[string]any{"ids": []any{"eni-other"}}, nil
	}
	want := `zones.eu-west-1a.address: "10.0.0.254": is on eni-other already (name one that is free in subnet-public-a)`
	if _, err := recorder.Run(program(args, nil), recorder.Options{Invoke: taken, DryRun: true}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := recorder.Run(program(args, nil), recorder.Options{Invoke: taken, Held: reserved, DryRun: true}); err != nil {
		t.Errorf("reserved: %v", err)
	}
	ours = true
	if _, err := recorder.Run(program(args, nil), recorder.Options{Invoke: taken, DryRun: true}); err != nil {
		t.Errorf("its own: %v", err)
	}
}
