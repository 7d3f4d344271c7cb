package huaweicloud

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// lookup answers one function.
type lookup struct {
	// one is the resource type of a lookup that finds a single object, empty for a catalog.
	one string
	// all is the resource type of a lookup that finds any number of objects. An argument for their id is called key.
	all, key string
	// list is the name of what is found, id the field of a catalog's elements that the result lists as well under ids.
	list, id, ids string
	// elements are those of a catalog.
	elements func(c *Cloud) []sim.Object
}

// Invoke implements sim.Cloud: the lookups of [Schema].
func (c *Cloud) Invoke(_ context.Context, token string, args sim.Object) (sim.Object, error) {
	l, ok := lookups[token]
	if !ok {
		return nil, fmt.Errorf("function: %q: is not simulated", token)
	}
	if l.one != "" {
		return c.lookUpOne(l.one, args)
	}
	if l.all != "" {
		return c.lookUpAll(l, args), nil
	}
	elements := slices.DeleteFunc(l.elements(c), func(e sim.Object) bool {
		for name, want := range args {
			if have, ok := e[name]; ok && have != want {
				return true
			}
		}
		if expression := sim.Text(args, "nameRegex"); expression != "" {
			matched, err := regexp.MatchString(expression, sim.Text(e, "name"))
			return err != nil || !matched
		}
		return false
	})
	result := maps.Clone(args)
	result["id"] = token
	result["region"] = region
	ids := []any{}
	for _, e := range elements {
		ids = append(ids, e[l.id])
	}
	result[l.ids] = ids
	if l.list != "" {
		result[l.list] = sim.Values(elements)
	}
	return result, nil
}

// lookUpOne finds the one object that has all that the arguments say; id and the name of a type's own id are its id.
func (c *Cloud) lookUpOne(typ string, args sim.Object) (sim.Object, error) {
	k := kinds[typ]
	var found []sim.Object
	for _, id := range c.ids(typ) {
		o := c.describe(k, typ, id)
		o["id"] = id
		for _, alias := range []string{"secgroupId", "instanceId"} {
			if _, ok := args[alias]; ok {
				o[alias] = id
			}
		}
		matches := true
		for name, want := range args {
			have, shown := o[name]
			matches = matches && (name == "region" || shown && have == want)
		}
		if matches {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return nil, sim.Refuse(CodeNotFound, "%s: %v: %d objects match (name one)", typ, args, len(found))
	}
	found[0]["region"] = region
	return found[0], nil
}

// lookUpAll finds the objects that have all that the arguments say. Ports are shown as texts, as the API has them.
func (c *Cloud) lookUpAll(l lookup, args sim.Object) sim.Object {
	k := kinds[l.all]
	found := []sim.Object{}
	for _, id := range c.ids(l.all) {
		c.look(id)
		o := c.describe(k, l.all, id)
		o["id"], o[l.key] = id, id
		for name, v := range o {
			if port, ok := v.(float64); ok && strings.HasSuffix(name, "Port") {
				o[name] = strconv.Itoa(int(port))
			}
		}
		matches := true
		for name, want := range args {
			matches = matches && (name == "region" || c.opts.LooseFilters || equal(o[name], want))
		}
		if matches {
			found = append(found, o)
		}
	}
	result := maps.Clone(args)
	result["id"], result["region"], result[l.list] = l.all, region, sim.Values(found)
	return result
}

// equal reports whether an object's property is what a lookup asks for; of a map it may ask for some keys.
func equal(have, want any) bool {
	if want, ok := want.(sim.Object); ok {
		have, _ := have.(sim.Object)
		for k, v := range want {
			if have[k] != v {
				return false
			}
		}
		return true
	}
	return have == want
}

// ids are those of a type's objects, in order.
func (c *Cloud) ids(typ string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch typ {
	case "huaweicloud:index/vpc:Vpc":
		return sorted(c.state.VPCs)
	case "huaweicloud:index/vpcSubnet:VpcSubnet":
		return sorted(c.state.Subnets)
	case "huaweicloud:index/networkingSecgroup:NetworkingSecgroup":
		return sorted(c.state.SecurityGroups)
	case "huaweicloud:index/computeInstance:ComputeInstance":
		return sorted(c.state.Instances)
	case gatewayType:
		return sorted(c.state.Gateways)
	case transitType:
		return sorted(c.state.TransitIPs)
	case dnatType:
		return sorted(c.state.DNATRules)
	case snatType:
		return sorted(c.state.SNATRules)
	}
	return nil
}

// region that lookups answer for: the vendor's example is in it.
const region = "cn-north-4"

var lookups = map[string]lookup{
	"huaweicloud:index/getVpc:getVpc":                                   {one: "huaweicloud:index/vpc:Vpc"},
	"huaweicloud:index/getVpcSubnet:getVpcSubnet":                       {one: "huaweicloud:index/vpcSubnet:VpcSubnet"},
	"huaweicloud:index/getNetworkingSecgroup:getNetworkingSecgroup":     {one: "huaweicloud:index/networkingSecgroup:NetworkingSecgroup"},
	"huaweicloud:index/getComputeInstance:getComputeInstance":           {one: "huaweicloud:index/computeInstance:ComputeInstance"},
	"huaweicloud:index/getNatPrivateGateways:getNatPrivateGateways":     {all: gatewayType, key: "gatewayId", list: "gateways"},
	"huaweicloud:index/getNatPrivateTransitIps:getNatPrivateTransitIps": {all: transitType, key: "transitIpId", list: "transitIps"},
	"huaweicloud:index/getNatPrivateDnatRules:getNatPrivateDnatRules":   {all: dnatType, key: "ruleId", list: "rules"},
	"huaweicloud:index/getNatPrivateSnatRules:getNatPrivateSnatRules":   {all: snatType, key: "ruleId", list: "rules"},
	"huaweicloud:index/getAvailabilityZones:getAvailabilityZones": {
		id: "name", ids: "names",
		elements: func(c *Cloud) []sim.Object {
			var zones []sim.Object
			for _, z := range c.opts.Zones {
				zones = append(zones, sim.Object{"name": z, "state": "available"})
			}
			return zones
		},
	},
	"huaweicloud:index/getElbFlavors:getElbFlavors": {
		list: "flavors", id: "id", ids: "ids",
		elements: func(*Cloud) []sim.Object {
			return []sim.Object{
				{"id": "elb-l4-elastic", "name": "L4_flavor.elb.pro.max", "type": "L4_elastic_max"},
				{"id": "elb-l7-elastic", "name": "L7_flavor.elb.pro.max", "type": "L7_elastic_max"},
			}
		},
	},
	"huaweicloud:index/getComputeFlavors:getComputeFlavors": {
		list: "flavors", id: "id", ids: "ids",
		elements: func(*Cloud) []sim.Object {
			return []sim.Object{{"id": "s6.small.1", "performanceType": "normal", "cpuCoreCount": float64(1), "memorySize": float64(1)}}
		},
	},
	"huaweicloud:index/getImagesImages:getImagesImages": {
		list: "images", id: "id", ids: "ids",
		elements: func(*Cloud) []sim.Object {
			return []sim.Object{{"id": "image-ubuntu", "name": "Ubuntu 22.04 server 64bit", "os": "Ubuntu", "visibility": "public"}}
		},
	},
}
