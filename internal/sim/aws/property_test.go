package aws_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polynat/internal/natzone"
	"polynat/internal/route"
	"polynat/internal/sim/aws"
)

func TestThePacketsFollowTheLongestPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, aws.Options{NoThrottling: true}).network()
		var want route.Table[string]
		want.Insert(netip.MustParsePrefix("10.0.0.0/16"), "local")
		for range rapid.IntRange(0, 20).Draw(rt, "routes") {
			bits := rapid.IntRange(0, 32).Draw(rt, "bits")
			p := netip.PrefixFrom(address(rt), bits).Masked()
			err := w.cloud.CreateRoute(aws.RouteInput{RouteTableID: w.id["private-table"], DestinationCidrBlock: p.String(), GatewayID: w.id["igw"]})
			if err == nil {
				want.Insert(p, p.String())
			}
		}
		a := address(rt)
		r, ok := w.cloud.Route(w.id["private"], a)
		p, hops := want.Lookup(a)
		if ok != (len(hops) > 0) || ok && r.Destination() != p.String() {
			rt.Errorf("%s goes by %+v (%v), want %s", a, r, ok, p)
		}
	})
}

func address(rt *rapid.T) netip.Addr {
	// A few bits that differ, so that routes overlap.
	b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 10, 128, 255}), 4, 4).Draw(rt, "address")
	return netip.AddrFrom4([4]byte(b))
}

// Whatever calls are made, and in whatever order: no address is held twice, an Elastic IP is where its interface says, a
// refusal changes nothing, and the state survives being saved.
func TestRandomCallsBreakNoRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := external(t, func(opts *aws.Options) {
			opts.NoThrottling = true
			opts.Unknown.PublicAddressReleased = rapid.Bool().Draw(rt, "released")
		}, o{"minSize": 2.0, "maxSize": 3.0, "desiredCapacity": 2.0})
		for range rapid.IntRange(1, 25).Draw(rt, "calls") {
			before := w.save(rt)
			if err := w.randomCall(rt); err != nil && w.save(rt) != before {
				rt.Fatalf("refused with %v, and changed something", err)
			}
			w.hold(rt)
		}
	})
}

func (w *world) save(rt *rapid.T) string {
	saved, err := w.cloud.Save()
	if err != nil {
		rt.Fatal(err)
	}
	return string(saved)
}

func (w *world) randomCall(rt *rapid.T) error {
	all, err := w.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{})
	if err != nil {
		rt.Fatal(err)
	}
	eni := rapid.SampledFrom(all).Draw(rt, "interface")
	host := rapid.SampledFrom([]string{"10.0.0.4", "10.0.0.5", "10.0.0.6", zoneAddress, "10.0.0.251", "10.0.9.9"}).Draw(rt, "address")
	table := w.id[rapid.SampledFrom([]string{"private-table", "public-table"}).Draw(rt, "table")]
	to := aws.RouteInput{RouteTableID: table, DestinationCidrBlock: rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/16", "1.0.0.0/8"}).Draw(rt, "to"), NetworkInterfaceID: eni.NetworkInterfaceID}
	switch rapid.SampledFrom([]string{"assign", "unassign", "associate", "disassociate", "create", "replace", "delete", "terminate", "time", "health", "refresh"}).Draw(rt, "call") {
	case "assign":
		_, err = w.cloud.AssignPrivateIPAddresses(aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: eni.NetworkInterfaceID, PrivateIPAddresses: []string{host}, AllowReassignment: rapid.Bool().Draw(rt, "again")})
	case "unassign":
		err = w.cloud.UnassignPrivateIPAddresses(aws.UnassignPrivateIPAddressesInput{NetworkInterfaceID: eni.NetworkInterfaceID, PrivateIPAddresses: []string{host}})
	case "associate":
		eip := w.id[rapid.SampledFrom([]string{"eip", "standby-eip"}).Draw(rt, "eip")]
		_, err = w.cloud.AssociateAddress(aws.AssociateAddressInput{AllocationID: eip, NetworkInterfaceID: eni.NetworkInterfaceID, PrivateIPAddress: host})
	case "disassociate":
		err = w.cloud.DisassociateAddress(aws.DisassociateAddressInput{AssociationID: eni.PrivateIPAddresses[0].AssociationID})
	case "create":
		err = w.cloud.CreateRoute(to)
	case "replace":
		err = w.cloud.ReplaceRoute(to)
	case "delete":
		err = w.cloud.DeleteRoute(aws.DeleteRouteInput{RouteTableID: to.RouteTableID, DestinationCidrBlock: to.DestinationCidrBlock})
	case "terminate":
		_, err = w.cloud.TerminateInstances(rapid.SampledFrom(w.cloud.Instances()).Draw(rt, "instance").InstanceID)
	case "health":
		err = w.cloud.SetInstanceHealth(aws.SetInstanceHealthInput{InstanceID: rapid.SampledFrom(w.cloud.Instances()).Draw(rt, "instance").InstanceID, HealthStatus: "Unhealthy"})
	case "refresh":
		_, err = w.cloud.StartInstanceRefresh(aws.StartInstanceRefreshInput{AutoScalingGroupName: "zone", MinHealthyPercentage: -1, MaxHealthyPercentage: -1})
	case "time":
		w.cloud.Advance(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second)
	}
	return err
}

// hold checks what must always be true.
func (w *world) hold(rt *rapid.T) {
	enis, err := w.cloud.DescribeNetworkInterfaces(aws.DescribeNetworkInterfacesInput{})
	if err != nil {
		rt.Fatal(err)
	}
	private, public := map[string]string{}, map[string]string{}
	bound := map[string]string{}
	for _, e := range enis {
		for _, a := range e.PrivateIPAddresses {
			if other, ok := private[e.SubnetID+a.PrivateIPAddress]; ok {
				rt.Fatalf("%s is on %s and %s", a.PrivateIPAddress, other, e.NetworkInterfaceID)
			}
			private[e.SubnetID+a.PrivateIPAddress] = e.NetworkInterfaceID
			if other, ok := public[a.PublicIP]; ok && a.PublicIP != "" {
				rt.Fatalf("%s is on %s and %s", a.PublicIP, other, e.NetworkInterfaceID)
			}
			public[a.PublicIP] = e.NetworkInterfaceID
			if a.AllocationID != "" {
				bound[a.AllocationID] = e.NetworkInterfaceID + a.PrivateIPAddress
			}
		}
	}
	addresses, err := w.cloud.DescribeAddresses(aws.DescribeAddressesInput{})
	if err != nil {
		rt.Fatal(err)
	}
	for _, a := range addresses {
		if bound[a.AllocationID] != a.NetworkInterfaceID+a.PrivateIPAddress || (a.AssociationID == "") != (a.NetworkInterfaceID == "") {
			rt.Fatalf("%+v, and the interfaces say %q", a, bound[a.AllocationID])
		}
	}
	for _, way := range w.cloud.WaysOut(w.id["vpc"]) {
		if way.Works != (way.Why == "") || way.Works && !way.Egress.IsValid() || way.Works && public[way.Egress.String()] == "" {
			rt.Fatalf("a way that is not what it says: %+v", way)
		}
	}
	if saved := w.save(rt); saved != "" {
		again := w.cloud.Clone()
		if text, err := again.Save(); err != nil || string(text) != saved {
			rt.Fatalf("a clone is saved otherwise (%v)", err)
		}
	}
}

// A zone whose instance claims, whatever befalls its instances: after the time that a replacement takes, its subnet has a way
// out through an instance that holds the zone's address, and while nothing but planned changes happen, it always has one.
func TestAZoneAlwaysComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, aws.Options{NoThrottling: true, Unknown: aws.UnknownBehaviours{
			HealthIgnoresPolicy: rapid.Bool().Draw(rt, "health"), PolicyKeepsMaxSize: rapid.Bool().Draw(rt, "size"), PublicAddressReleased: rapid.Bool().Draw(rt, "released"),
			SameRouteAccepted: rapid.Bool().Draw(rt, "route"), SameReplaceRefused: rapid.Bool().Draw(rt, "replace"),
		}}).zone()
		version := 1
		for range rapid.IntRange(1, 6).Draw(rt, "events") {
			traffic := aws.NewTraffic(w.cloud)
			var lost []string
			w.cloud.OnChange = func() {
				for _, way := range traffic.Observe() {
					lost = append(lost, way.String())
				}
			}
			what := rapid.SampledFrom([]string{"rotate", "lifetime", "template", "dead", "spot", "terminate", "unhealthy"}).Draw(rt, "what")
			planned := slices.Contains([]string{"rotate", "lifetime", "template", "unhealthy"}, what)
			w.befall(rt, what, &version)
			w.cloud.Advance(time.Hour)
			w.cloud.OnChange = nil
			if planned && len(lost) > 0 {
				rt.Fatalf("%s: %s", what, strings.Join(lost, "; "))
			}
			if way := w.way(); way.Hop != aws.HopInstance || !way.Works || way.Egress.String() != w.read("eip")["publicIp"] {
				rt.Fatalf("an hour after %s: %s", what, way)
			}
		}
	})
}

func (w *world) befall(rt *rapid.T, what string, version *int) {
	var err error
	id := w.instance()
	switch what {
	case "rotate":
		_, err = w.cloud.StartInstanceRefresh(aws.StartInstanceRefreshInput{AutoScalingGroupName: "zone", MinHealthyPercentage: -1, MaxHealthyPercentage: -1})
	case "lifetime":
		w.cloud.Advance(24 * time.Hour)
	case "template":
		*version++
		err = w.update("template", w.template(w.userData(func(a *natzone.Agent) { a.MetricNamespace = fmt.Sprint(*version) })))
		if err == nil {
			err = w.update("group", o{"launchTemplate": o{"id": w.id["template"], "version": fmt.Sprint(*version)}})
		}
	case "dead":
		err = w.cloud.Break(id, aws.FaultDead)
	case "spot":
		err = w.cloud.InterruptSpot(id)
	case "terminate":
		_, err = w.cloud.TerminateInstances(id)
	case "unhealthy":
		err = w.cloud.SetInstanceHealth(aws.SetInstanceHealthInput{InstanceID: id, HealthStatus: "Unhealthy"})
	}
	if err != nil {
		rt.Fatalf("%s: %v", what, err)
	}
}
