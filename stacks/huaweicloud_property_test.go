package stacks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"polynat/internal/sim/huaweicloud"
)

// drawn draws configurations of few keys, ports and addresses, so that those of two updates meet. Most contradict nothing.
type drawn struct{ *rapid.T }

// keys are some of those there are.
func (d drawn) keys(name string, least int, of ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(of), least, len(of), rapid.ID[string]).Draw(d.T, name)
}

func (d drawn) one(name string, of ...string) string { return rapid.SampledFrom(of).Draw(d.T, name) }

// pool hands its values out in a drawn order, each once.
func pool[V any](d drawn, name string, values ...V) func() V {
	left := rapid.Permutation(values).Draw(d.T, name)
	return func() V {
		v := left[0]
		left = left[1:]
		return v
	}
}

// fixed gives a block the next address of a pool, or none.
func fixed(b block, addresses func() string) block {
	if a := addresses(); a != "" {
		b["address"] = a
	}
	return b
}

func (d drawn) groups() block {
	groups := block{}
	for _, k := range []string{"g", "h"} {
		servers := pool(d, "servers", [2]any{"i", 80}, [2]any{"i", 81}, [2]any{"j", 80})
		members := block{}
		for _, m := range d.keys("members", 1, "m", "n") {
			server := servers()
			members[m] = block{"instance": server[0], "port": server[1]}
		}
		groups[k] = block{"protocol": d.one("protocol", "HTTP", "HTTP", "TCP"), "members": members}
	}
	return groups
}

// service returns the block, and the ports of its load balancers.
func (d drawn) service() (block, map[string]int) {
	served, balancers := map[string]int{}, block{}
	addresses := pool(d, "addresses", "", "", "10.0.0.4", "10.0.0.5", "10.0.0.90", "10.0.0.91")
	for _, k := range d.keys("balancers", 1, "a", "b", "c") {
		ports := pool(d, "listener ports", 80, 81, 82)
		listeners := block{}
		for _, l := range d.keys("listeners", 1, "x", "y") {
			served[k] = ports()
			listeners[l] = block{"port": served[k], "group": d.one("group", "g", "h")}
		}
		balancers[k] = fixed(block{"zones": list("cn-north-4a"), "listeners": listeners}, addresses)
		for _, flavor := range d.keys("flavors", 0, "l4FlavorId", "l7FlavorId") {
			balancers[k].(block)[flavor] = "f"
		}
	}
	instance := block{"zone": d.one("zone", "cn-north-4a", "cn-north-4a", "cn-north-4b"), "flavorId": "f", "imageId": "i"}
	return block{
		"vpc": block{"cidr": "10.0.0.0/16"}, "subnet": block{"cidr": "10.0.0.0/24"}, "loadBalancers": balancers, "groups": d.groups(),
		"instances": block{"i": instance, "j": block{"zone": "cn-north-4a", "flavorId": "f", "imageId": "i"}},
	}, served
}

func (d drawn) setup() block {
	service, served := d.service()
	transits, outward := block{}, d.one("outward", "t", "t", "t", "u")
	addresses := pool(d, "transit addresses", "", "", "192.168.0.2", "192.168.0.3", "192.168.0.90")
	for _, k := range []string{"t", "u", d.one("third transit", "v", "w")} {
		transits[k] = fixed(block{"network": "app"}, addresses)
	}
	sources, snatRules := pool(d, "sources", "", "10.0.8.0/24", "10.0.9.0/24"), block{}
	for _, k := range d.keys("source rules", 0, "o", "p") {
		snatRules[k] = block{"transitIp": outward}
		if cidr := sources(); cidr != "" {
			snatRules[k].(block)["cidr"] = cidr
		}
	}
	rules, ports := block{}, pool(d, "ports", 80, 81, 82)
	targets := pool(d, "targets", slices.Concat(slices.Sorted(maps.Keys(served)), []string{"i", "j"})...)
	for _, k := range d.keys("rules", 0, "r", "s", "w") {
		target := targets()
		rule := block{"transitIp": d.one("transit", slices.Sorted(maps.Keys(transits))[1:]...), "target": target, "protocol": "tcp", "port": ports(), "targetPort": 22}
		if port := served[target]; port != 0 {
			rule["targetPort"] = port
		}
		if d.one("every port", "no", "no", "no", "no", "no", "yes") == "yes" {
			rule = block{"transitIp": rule["transitIp"], "target": target, "protocol": "any"}
		}
		rules[k] = rule
	}
	return block{"service": service, "privateNat": block{
		"gateway":    block{"spec": d.one("spec", "Small", "Medium")},
		"networks":   block{"app": block{"vpc": block{"cidr": "192.168.0.0/16"}, "subnet": block{"cidr": "192.168.0.0/24"}}},
		"transitIps": transits, "snatRules": snatRules, "rules": rules,
	}}
}

// changed is the configuration with some of its parts drawn anew.
func (d drawn) changed(before block) block {
	after, drawn := block{}, d.setup()
	for name, part := range before {
		after[name] = maps.Clone(part.(block))
	}
	for _, path := range d.keys("parts", 1, "service.loadBalancers", "service.groups", "service.instances", "privateNat.transitIps", "privateNat.rules", "privateNat.snatRules", "privateNat.gateway") {
		name, part, _ := strings.Cut(path, ".")
		after[name].(block)[part] = drawn[name].(block)[part]
	}
	return after
}

// Whatever a stack is changed to: it is refused before anything happens, or done in one update, after which every rule is
// reached and nothing else.
func TestAnUpdateIsRefusedAtPreviewOrDone(t *testing.T) {
	deployed, refused, done := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		d := drawn{rt}
		on := newOnCloud(t, newHW(t), nil, huaweicloud.Options{HideClients: rapid.Bool().Draw(rt, "clients are hidden")})
		defer on.stack.Close()
		on.block = d.setup()
		on.configure()
		if _, err := on.stack.Preview(t.Context()); err != nil {
			return // it contradicts itself
		}
		if err := on.up("deploy"); err != nil {
			rt.Fatal(err)
		}
		deployed++
		for range 6 {
			before := on.block
			on.block = d.changed(before)
			on.configure()
			if _, err := on.stack.Preview(t.Context()); err != nil {
				if !strings.Contains(err.Error(), "huaweicloud.") {
					rt.Fatalf("the preview fails without a reason: %v", err)
				}
				on.block, refused = before, refused+1
				continue
			}
			if err := on.up("change"); err != nil {
				rt.Fatal(err)
			}
			done++
		}
	})
	t.Logf("%d stacks, %d updates refused, %d done", deployed, refused, done)
}
