package migration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	component "polynat/components/alicloud/migration"
	"polynat/internal/migration"
	"polynat/tests/recorder"
)

func TestValidArgsHaveNoProblem(t *testing.T) {
	for _, stage := range migration.Stages() {
		if err := newArgs(stage).Validate(); err != nil {
			t.Errorf("%s: %v", stage, err)
		}
	}
	for name, change := range map[string]func(*component.Args){
		"port ranges":  func(a *component.Args) { a.Forwards["https"] = forward("tcp", "10/20", "10/20") },
		"every port":   func(a *component.Args) { a.Forwards["https"] = forward("any", "any", "any") },
		"charge types": func(a *component.Args) { a.BandwidthPackage.InternetChargeType = "PayBy95" },
		"by bandwidth": func(a *component.Args) {
			a.BandwidthPackage, a.Addresses["main"] = nil, component.Address{Bandwidth: 200, InternetChargeType: "PayByBandwidth"}
		},
		"a gate at once": func(a *component.Args) { a.GateTimeout = new(time.Duration) },
		"a few blocks":   func(a *component.Args) { a.Release = []string{"1.0.0.0/8", "128.0.0.0/1"} },
		"retired for good": func(a *component.Args) {
			a.Stage, a.OldNextHop = "retire", component.OldNextHop{Type: "NetworkInterface"}
		},
		"a network to be": func(a *component.Args) { a.VPCID, a.RouteTables, a.OldNextHop.ID = "", []string{"system"}, "" },
	} {
		args := newArgs(migration.Adopt)
		if change(args); args.Validate() != nil {
			t.Errorf("%s: %v", name, args.Validate())
		}
	}
}

func forward(protocol, external, internal string) component.Forward {
	return component.Forward{Address: "web", ExternalPort: external, InternalIP: "10.0.2.10", InternalPort: internal, Protocol: protocol}
}

// Every problem that Args can have without a look at the cloud, with its whole text.
func TestEveryProblemOfTheArgsNamesFieldValueRuleAndWayOut(t *testing.T) {
	type args = component.Args
	for _, c := range []struct {
		change func(*args)
		want   string
	}{
		{func(a *args) { a.Stage = "Adopt" }, `stage: "Adopt": is not a stage (did you mean adopt?)`},
		{func(a *args) { a.Stage = "" }, `stage: is missing (begin with adopt)`},
		{func(a *args) { a.VPCID = "" }, `vpcId: is missing (name the VPC to migrate)`},
		{func(a *args) { a.OldNextHop.Type = "VpnGateway" }, `oldNextHop.type: "VpnGateway": is not a next hop that can be migrated from (use Instance, NetworkInterface or HaVip)`},
		{func(a *args) { a.OldNextHop.ID = "" }, `oldNextHop.id: is missing (name what the 0.0.0.0/0 entries point at)`},
		{func(a *args) { a.OldNextHop.Type = "NetworkInterface" }, `oldNextHop.instances: is missing (list the ECS instances behind the NetworkInterface, they must run)`},
		{func(a *args) {
			a.OldNextHop = component.OldNextHop{Type: "HaVip", ID: "havip-1", Instances: []string{"i-old"}}
		}, `snat.havipVswitches: is missing (name the vSwitch of the HAVIP: the API takes no SNAT entry for it)`},
		{func(a *args) { a.NATGateway.Name = "" }, `natGateway.name: is missing (it identifies the gateway within the VPC)`},
		{func(a *args) { a.NATGateway.VSwitch = "" }, `natGateway.vswitch: is missing (name the vSwitch that holds the gateway)`},
		{func(a *args) { a.RouteQuota = -1 }, `routeQuota: -1: must not be negative (leave it out for the vendor's default of 200)`},
		{func(a *args) { d := -time.Second; a.GateTimeout = &d }, `gateTimeoutSeconds: -1s: must not be negative (0 looks once)`},
		{func(a *args) { a.Addresses, a.Forwards = nil, nil }, `addresses: is missing (name at least one elastic IP and its bandwidth)`},
		{func(a *args) { a.Addresses["Main"] = component.Address{Bandwidth: 1} }, `addresses.Main: "Main": must be lower-case letters, digits and hyphens, at most 31, beginning with a letter (rename it)`},
		{func(a *args) { a.Addresses["main"] = component.Address{Bandwidth: 201} }, `addresses.main.bandwidth: 201: must be 1 to 200 Mbit/s (use several addresses or a bandwidth package for more)`},
		{func(a *args) { a.Addresses["main"] = component.Address{} }, `addresses.main.bandwidth: 0: must be 1 to 200 Mbit/s (use several addresses or a bandwidth package for more)`},
		{func(a *args) {
			a.BandwidthPackage, a.Addresses["main"] = nil, component.Address{Bandwidth: 1, InternetChargeType: "free"}
		}, `addresses.main.internetChargeType: "free": is not known (use one of PayByTraffic, PayByBandwidth)`},
		{func(a *args) {
			a.Addresses["main"] = component.Address{Bandwidth: 1, InternetChargeType: "PayByBandwidth"}
		}, `addresses.main.internetChargeType: "PayByBandwidth": an address in a bandwidth package must be PayByTraffic (leave it out)`},
		{func(a *args) {
			for i := range 18 {
				a.Addresses[fmt.Sprint("more-", i)] = component.Address{Bandwidth: 1}
			}
		}, `addresses: 21: a NAT gateway takes 20 (use fewer with more bandwidth)`},
		{func(a *args) { a.BandwidthPackage.Bandwidth = 0 }, `bandwidthPackage.bandwidth: 0: must be at least 1 Mbit/s (give what the addresses share)`},
		{func(a *args) { a.BandwidthPackage.InternetChargeType = "PayByDay" }, `bandwidthPackage.internetChargeType: "PayByDay": is not known (use one of PayByTraffic, PayByBandwidth, PayBy95, PayByDominantTraffic)`},
		{func(a *args) { a.SNAT.SourceCIDRs = []string{"10.1.0.5/16"} }, `snat.sourceCidrs: "10.1.0.5/16": has bits set behind its length of 16 (write 10.1.0.0/16)`},
		{func(a *args) { a.SNAT.SourceCIDRs = []string{"10.1.0.0"} }, `snat.sourceCidrs: "10.1.0.0": has no prefix length (write 10.1.0.0/32 for the one address)`},
		{func(a *args) { a.SNAT.SourceCIDRs = []string{"10.1.0.0/16", "10.1.128.0/17"} }, `snat.sourceCidrs: 10.1.0.0/16: overlaps 10.1.128.0/17 (keep one of the two)`},
		{func(a *args) { a.Release = []string{"8.0.0.0/5", "8.0.0.0/5"} }, `release: 8.0.0.0/5: is listed twice (list it once)`},
		{func(a *args) { a.OldNextHop.Type = "" }, `oldNextHop.type: is missing (use Instance, NetworkInterface or HaVip, as the 0.0.0.0/0 entries say)`},
		{func(a *args) { a.SNAT.VSwitches = []string{"vsw-a", "vsw-a"} }, `snat.vswitches: "vsw-a": is listed twice (list it once)`},
		{func(a *args) { a.RouteTables = []string{"vtb-1", "vtb-1"} }, `routeTables: "vtb-1": is listed twice (list it once)`},
		{func(a *args) { a.Release = []string{"8.0.0.0/8"} }, `release: 8.0.0.0/8: is not one of the eight blocks (use 1.0.0.0/8, 2.0.0.0/7, 4.0.0.0/6, 8.0.0.0/5, 16.0.0.0/4, 32.0.0.0/3, 64.0.0.0/2, 128.0.0.0/1)`},
		{func(a *args) { a.Stage, a.Release = "retire", []string{"8.0.0.0/5"} }, `release: "8.0.0.0/5": must hold all eight blocks at stage retire (release the rest at stage switch first)`},
		{func(a *args) { a.Forwards["Web"] = forward("tcp", "80", "80") }, `forwards.Web: "Web": must be lower-case letters, digits and hyphens, at most 31, beginning with a letter (rename it)`},
		{func(a *args) {
			f := forward("tcp", "80", "80")
			f.Address = "none"
			a.Forwards["more"] = f
		}, `forwards.more.address: "none": is not one of addresses (use one of main, spare, web)`},
		{func(a *args) {
			f := forward("tcp", "80", "80")
			f.InternalIP = "2001:db8::1"
			a.Forwards["more"] = f
		}, `forwards.more.internalIp: "2001:db8::1": is not an IPv4 address (give the private address that serves)`},
		{func(a *args) { a.Forwards["more"] = forward("tcp", "0", "80") }, `forwards.more.externalPort: "0": must be a port of 1 to 65535, a range of them, or any (write 443, 10/20 or any)`},
		{func(a *args) { a.Forwards["more"] = forward("tcp", "80", "20/10") }, `forwards.more.internalPort: "20/10": must be a port of 1 to 65535, a range of them, or any (write 443, 10/20 or any)`},
		{func(a *args) { a.Forwards["more"] = forward("tcp", "1/2/3", "80") }, `forwards.more.externalPort: "1/2/3": must be a port of 1 to 65535, a range of them, or any (write 443, 10/20 or any)`},
		{func(a *args) { a.Forwards["more"] = forward("icmp", "80", "80") }, `forwards.more.protocol: "icmp": is not known (use one of tcp, udp, any)`},
		{func(a *args) { a.Forwards["more"] = forward("any", "80", "80") }, `forwards.more: "any 80 to 80": protocol any goes with ports any, and only with them (give tcp or udp and ports, or any three times)`},
		{func(a *args) { a.Forwards["more"] = forward("tcp", "443", "80") }, `forwards.more: "web tcp 443": is forwarded by https already (one entry per address, protocol and port)`},
		{func(a *args) { a.Addresses = map[string]component.Address{"web": {Bandwidth: 100}} }, `addresses: "web": all are used by forwards, none is left for SNAT (add an address: the vendor's texts forbid SNAT and DNAT on one)`},
	} {
		args := newArgs(migration.Adopt)
		c.change(args)
		if err := args.Validate(); err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+c.want) {
			t.Errorf("want %s, got:\n%v", c.want, err)
		}
	}
}

func TestTheProblemsOfTheArgsAreNamedAllAtOnce(t *testing.T) {
	err := (&component.Args{}).Validate()
	for _, field := range []string{"stage", "vpcId", "oldNextHop.type", "natGateway.name", "natGateway.vswitch", "addresses"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+field+": ") {
			t.Errorf("no problem of %s in:\n%v", field, err)
		}
	}
}

func TestInvalidArgsRegisterAndLookUpNothing(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		args := newArgs(migration.Adopt)
		_, err := component.New(ctx, "egress", args)
		if want := "provider: is missing (make one with alicloud.NewProvider and the region of the VPC)"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		return nil
	}, recorder.Options{})
	if err != nil || len(made.Objects)+len(made.Invokes) > 0 {
		t.Errorf("error %v, %d objects, %d lookups", err, len(made.Objects), len(made.Invokes))
	}
	args := newArgs("x")
	made, err = newWorld(t).run(args, recorder.Options{})
	if err == nil || len(made.Objects) > 1 || len(made.Invokes) > 0 {
		t.Errorf("error %v, %d objects, %d lookups", err, len(made.Objects)-1, len(made.Invokes))
	}
}
