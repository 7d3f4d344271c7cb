package nat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	made, err = recorder.Run(program(args, nil), recorder.Options{Invoke: gateways})
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
