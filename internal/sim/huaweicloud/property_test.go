package huaweicloud_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"polynat/internal/sim"
	"polynat/internal/sim/huaweicloud"
)

// Whatever is asked of the cloud, and in whatever order: a load balancer has at most one rule, a port of a transit IP too,
// what something uses stays, nothing gets across but by a rule, and a refusal changes nothing.
func TestRandomChangesBreakNoRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := example(t)
		r.second()
		r.make("transit2", transitType, o{"subnetId": r.id["subnet-a"]})
		r.make("gateway2", gatewayType, o{"name": "second", "subnetId": r.id["subnet-b"]})
		names := slices.Sorted(maps.Keys(r.id))
		templates := map[string]o{}
		for name, in := range r.in {
			templates[name] = in
		}
		for range rapid.IntRange(1, 30).Draw(rt, "changes") {
			before, err := r.cloud.Save()
			if err != nil {
				rt.Fatal(err)
			}
			change := o{
				"gatewayId":          r.id[rapid.SampledFrom([]string{"gateway", "gateway2"}).Draw(rt, "gateway")],
				"transitIpId":        r.id[rapid.SampledFrom([]string{"transit", "transit2"}).Draw(rt, "transit")],
				"backendInterfaceId": r.out[rapid.SampledFrom([]string{"elb", "elb2"}).Draw(rt, "balancer")]["ipv4PortId"],
				"transitServicePort": float64(rapid.IntRange(80, 82).Draw(rt, "port")),
				"protocol":           rapid.SampledFrom([]string{"tcp", "udp"}).Draw(rt, "protocol"), "internalServicePort": 80.0,
			}
			name := rapid.SampledFrom(names).Draw(rt, "object")
			switch rapid.SampledFrom([]string{"delete", "create", "rule", "move"}).Draw(rt, "what") {
			case "delete":
				err = r.tryDelete(name)
			case "create":
				err = r.try(name, r.typ[name], templates[name])
			case "rule":
				err = r.try("rule", dnatType, change)
			case "move":
				delete(change, "gatewayId") // a rule stays at its gateway
				err = r.tryUpdate("rule", change)
			}
			after, saveErr := r.cloud.Save()
			if saveErr != nil {
				rt.Fatal(saveErr)
			}
			if err != nil && string(after) != string(before) {
				rt.Fatalf("refused with %v, and changed something", err)
			}
			r.check(rt, after)
		}
	})
}

// check holds a saved state against the rules.
func (r *region) check(rt *rapid.T, saved []byte) {
	var state struct{ DNATRules, Gateways, TransitIPs map[string]o }
	if err := json.Unmarshal(saved, &state); err != nil {
		rt.Fatal(err)
	}
	ports, balancers := map[string]string{}, map[string]string{}
	for id, rule := range state.DNATRules {
		socket := sim.Text(rule, "transitIpId") + " " + sim.Text(rule, "protocol") + " " + strconv.Itoa(sim.Number(rule, "transitServicePort"))
		if other, taken := ports[socket]; taken {
			rt.Fatalf("rules %s and %s have one port", id, other)
		}
		if other, taken := balancers[sim.Text(rule, "backendInterfaceId")]; taken {
			rt.Fatalf("rules %s and %s lead to one load balancer", id, other)
		}
		ports[socket], balancers[sim.Text(rule, "backendInterfaceId")] = id, id
		if state.Gateways[sim.Text(rule, "gatewayId")] == nil || state.TransitIPs[sim.Text(rule, "transitIpId")] == nil {
			rt.Fatalf("rule %s refers to what is gone", id)
		}
	}
	if leaks := r.cloud.Leaks([]int{80, 81, 82}); len(leaks) > 0 {
		rt.Fatal(leaks)
	}
	clone := huaweicloud.New(huaweicloud.Options{})
	if err := clone.Load(saved); err != nil {
		rt.Fatal(err)
	}
	if again, err := clone.Save(); err != nil || string(again) != string(saved) {
		rt.Fatalf("a state that was loaded is saved otherwise (%v)", err)
	}
}
