package alicloud

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"polynat/internal/sim"
)

// lookup is how the provider answers one function: it lists elements, which
// the arguments then filter.
type lookup struct {
	// list is the name of the elements in the result.
	list string
	// elements describes all objects, with the state locked.
	elements func(c *Cloud, args sim.Object) ([]sim.Object, error)
	// filters names for an argument the field of an element that must equal
	// it (or, if one of both is a list, hold it or be in it).
	filters map[string]string
	// id and name are the fields that ids, names and nameRegex refer to.
	id, name string
	// action is the call of the API that lists the elements, as in a policy.
	action string
	// With enableDetails, the provider calls all of details once, and each for
	// every element that is left. detailed are the fields of an element that
	// are not filled without.
	details, detailed []string
	each              string
}

// calls are those that the provider makes to answer with so many elements.
func (l lookup) calls(details bool, elements int) []string {
	calls := []string{l.action}
	if !details {
		return calls
	}
	calls = append(calls, l.details...)
	if l.each != "" {
		calls = append(calls, slices.Repeat([]string{l.each}, elements)...)
	}
	return calls
}

// Calls are the calls of the API that lookups have made so far: how many of
// each action.
func (c *Cloud) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// call counts a call of the API, and throttles it when its turn has come.
func (c *Cloud) call(action string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[action]++
	c.asked++
	if n := c.opts.ThrottleEvery; n > 0 && c.asked%n == 0 {
		return fail(CodeThrottling, "%s: Request was denied due to user flow control", action)
	}
	return nil
}

// unheeded are arguments that filter nothing: nothing is written to a file,
// and every zone offers everything.
var unheeded = []string{
	"outputFile", "enableDetails", "pageSize", "multi", "networkType", "instanceChargeType", "spotStrategy",
	"availableDiskCategory", "availableInstanceType", "availableResourceCreation", "availableSlbAddressIpVersion",
	"availableSlbAddressType", "includeReservationData",
}

// Invoke implements sim.Cloud: the lookups of [Schema], answered from the
// state as it is now.
func (c *Cloud) Invoke(_ context.Context, token string, args sim.Object) (sim.Object, error) {
	l, ok := lookups[token]
	if !ok {
		return nil, fmt.Errorf("function: %q: is not simulated", token)
	}
	c.mu.Lock()
	elements, err := l.elements(c, args)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	elements, err = l.filter(elements, args)
	if err != nil {
		return nil, err
	}
	details, given := args["enableDetails"].(bool)
	if p := Schema().Functions[token].Args["enableDetails"]; !given {
		details, _ = p.Default.(bool)
	}
	for _, action := range l.calls(details, len(elements)) {
		// The data sources of the provider v1.217.2 do not try again.
		if err := c.call(action); err != nil {
			return nil, err
		}
	}
	elements = l.shown(token, elements, details)

	all := func(field string) []any {
		out := []any{}
		for _, e := range elements {
			out = append(out, e[field])
		}
		return out
	}
	result := sim.Object{}
	for _, name := range Schema().Functions[token].Result {
		switch name {
		case l.list:
			result[name] = objects(elements)
		case "id":
			result[name] = token
		case "ids":
			result[name] = all(l.id)
		case "names":
			result[name] = all(l.name)
		case "totalCount":
			result[name] = float64(len(elements))
		case "eips": // the older form of addresses
			result[name] = objects(asEips(elements))
		default:
			if v, ok := args[name]; ok {
				result[name] = v
			}
		}
	}
	return result, nil
}

// shown is what the answer holds of the elements, with or without the details that take calls of their own.
func (l lookup) shown(token string, elements []sim.Object, details bool) []sim.Object {
	switch {
	case !details:
		for i, e := range elements {
			elements[i] = maps.Clone(e)
			for _, field := range l.detailed {
				delete(elements[i], field)
			}
		}
	case token == "alicloud:ecs/getInstances:getInstances":
		// The provider asks for the roles of the instances, and leaves out those that the answer does not name.
		return slices.DeleteFunc(elements, func(e sim.Object) bool { return e["ramRoleName"] == "" })
	}
	return elements
}

func (l lookup) filter(elements []sim.Object, args sim.Object) ([]sim.Object, error) {
	for _, arg := range slices.Sorted(maps.Keys(args)) {
		want := args[arg]
		if slices.Contains(unheeded, arg) || sim.IsZero(want) {
			continue
		}
		keep := func(e sim.Object) bool { return matches(e[l.filters[arg]], want) }
		switch _, ok := l.filters[arg]; {
		case ok:
		case arg == "routeTableId" || arg == "snatTableId" || arg == "forwardTableId":
			continue // elements were listed by it
		case arg == "ids":
			keep = func(e sim.Object) bool { return matches(e[l.id], want) }
		case arg == "tags":
			keep = func(e sim.Object) bool { return tagged(e, want) }
		case arg == "nameRegex":
			re, err := regexp.Compile(text(args, arg))
			if err != nil {
				return nil, fmt.Errorf("nameRegex: %w", err)
			}
			keep = func(e sim.Object) bool { return re.MatchString(text(e, l.name)) }
		default:
			return nil, fmt.Errorf("%s: %v: this filter is not simulated (leave it out)", arg, want)
		}
		elements = slices.DeleteFunc(elements, func(e sim.Object) bool { return !keep(e) })
	}
	return elements, nil
}

func matches(have, want any) bool {
	if l, ok := want.([]any); ok {
		return slices.Contains(l, have)
	}
	if l, ok := have.([]any); ok {
		return slices.Contains(l, want)
	}
	return have == want
}

func tagged(e sim.Object, want any) bool {
	tags, _ := e["tags"].(sim.Object)
	wanted, _ := want.(sim.Object)
	for k, v := range wanted {
		if tags[k] != v {
			return false
		}
	}
	return true
}

func objects(l []sim.Object) []any { return values(l) }

func asEips(addresses []sim.Object) []sim.Object {
	var eips []sim.Object
	for _, a := range addresses {
		eips = append(eips, sim.Object{
			"id": a["id"], "ipAddress": a["ipAddress"], "bandwidth": a["bandwidth"], "instanceId": a["instanceId"],
			"instanceType": a["instanceType"], "internetChargeType": a["internetChargeType"], "status": a["status"],
			"creationTime": a["createTime"], "deletionProtection": a["deletionProtection"],
		})
	}
	return eips
}

// tags are not interpreted: they are those that the program gave.
func (c *Cloud) tags(typ, id string) sim.Object {
	tags, _ := c.state.Declared[declaredKey(typ, id)]["tags"].(sim.Object)
	if tags == nil {
		return sim.Object{}
	}
	return tags
}

var lookups = map[string]lookup{
	"alicloud:vpc/getNetworks:getNetworks": {
		action: "vpc:DescribeVpcs", each: "vpc:DescribeRouteTableList", detailed: []string{"routeTableId"},
		list: "vpcs", id: "id", name: "vpcName",
		filters: map[string]string{
			"cidrBlock": "cidrBlock", "status": "status", "vpcName": "vpcName", "vswitchId": "vswitchIds",
			"resourceGroupId": "resourceGroupId", "isDefault": "isDefault",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, v := range list(c.state.VPCs, nil) {
				switches, secondary := []any{}, []any{}
				for _, s := range list(c.state.VSwitches, func(s *VSwitch) bool { return s.VPCID == v.ID }) {
					switches = append(switches, s.ID)
				}
				for _, p := range v.SecondaryCIDRs {
					secondary = append(secondary, p.String())
				}
				out = append(out, sim.Object{
					"id": v.ID, "vpcId": v.ID, "vpcName": v.Name, "description": v.Description, "cidrBlock": v.CIDR.String(),
					"secondaryCidrBlocks": secondary, "userCidrs": []any{}, "ipv6CidrBlock": "", "isDefault": false,
					"regionId": c.region(), "resourceGroupId": v.ResourceGroupID, "routeTableId": v.RouteTableID,
					"routerId": v.RouterID, "vrouterId": v.RouterID, "vswitchIds": switches, "status": available,
					"creationTime": creationTime, "tags": c.tags("alicloud:vpc/network:Network", v.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getSwitches:getSwitches": {
		action: "vpc:DescribeVSwitches",
		list:   "vswitches", id: "id", name: "vswitchName",
		filters: map[string]string{
			"cidrBlock": "cidrBlock", "status": "status", "vpcId": "vpcId", "vswitchName": "vswitchName", "zoneId": "zoneId",
			"resourceGroupId": "resourceGroupId", "isDefault": "isDefault", "routeTableId": "routeTableId",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, s := range list(c.state.VSwitches, nil) {
				free := 1<<(32-s.CIDR.Bits()) - 4 // the first and the last three belong to the cloud
				for _, i := range c.state.Instances {
					if i.VSwitchID == s.ID {
						free--
					}
				}
				out = append(out, sim.Object{
					"id": s.ID, "vswitchId": s.ID, "vswitchName": s.Name, "name": s.Name, "description": s.Description,
					"cidrBlock": s.CIDR.String(), "ipv6CidrBlock": "", "isDefault": false, "vpcId": s.VPCID, "zoneId": s.ZoneID,
					"routeTableId": s.RouteTableID, "resourceGroupId": "", "availableIpAddressCount": float64(max(free, 0)),
					"status": available, "creationTime": creationTime, "tags": c.tags("alicloud:vpc/switch:Switch", s.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getRouteTables:getRouteTables": {
		action: "vpc:DescribeRouteTableList",
		list:   "tables", id: "id", name: "routeTableName",
		filters: map[string]string{
			"resourceGroupId": "resourceGroupId", "routeTableName": "routeTableName", "routerId": "routerId",
			"routerType": "routerType", "status": "status", "vpcId": "vpcId",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, t := range list(c.state.RouteTables, nil) {
				switches := []any{}
				for _, s := range list(c.state.VSwitches, func(s *VSwitch) bool { return s.RouteTableID == t.ID }) {
					switches = append(switches, s.ID)
				}
				out = append(out, sim.Object{
					"id": t.ID, "routeTableId": t.ID, "routeTableName": t.Name, "name": t.Name, "description": t.Description,
					"resourceGroupId": "", "routeTableType": string(t.Type), "routerId": c.state.VPCs[t.VPCID].RouterID,
					"routerType": "VRouter", "vpcId": t.VPCID, "vswitchIds": switches, "status": available,
					"tags": c.tags("alicloud:vpc/routeTable:RouteTable", t.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getRouteEntries:getRouteEntries": {
		action:  "vpc:DescribeRouteTables",
		list:    "entries",
		filters: map[string]string{"cidrBlock": "cidrBlock", "instanceId": "instanceId", "type": "type"},
		elements: func(c *Cloud, args sim.Object) ([]sim.Object, error) {
			t, err := get(c.state.RouteTables, "route table", text(args, "routeTableId"))
			if err != nil {
				return nil, err
			}
			var out []sim.Object
			for _, e := range t.Entries {
				out = append(out, sim.Object{
					"cidrBlock": e.CIDR.String(), "instanceId": e.HopID, "nextHopType": string(e.HopType),
					"routeTableId": t.ID, "status": string(e.Status), "type": string(e.Type),
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getNatGateways:getNatGateways": {
		action: "vpc:DescribeNatGateways", each: "vpc:ListTagResources", detailed: []string{"tags"},
		list: "gateways", id: "id", name: "natGatewayName",
		filters: map[string]string{
			"natGatewayName": "natGatewayName", "natType": "natType", "paymentType": "paymentType",
			"resourceGroupId": "resourceGroupId", "specification": "specification", "status": "status", "vpcId": "vpcId",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, g := range list(c.state.NATGateways, nil) {
				addresses := []any{}
				for _, e := range list(c.state.EIPs, func(e *EIP) bool { return e.InstanceID == g.ID }) {
					addresses = append(addresses, e.Address)
				}
				out = append(out, sim.Object{
					"id": g.ID, "natGatewayId": g.ID, "natGatewayName": g.Name, "name": g.Name, "description": g.Description,
					"vpcId": g.VPCID, "vswitchId": g.VSwitchID, "natType": g.NATType, "networkType": g.NetworkType,
					"paymentType": g.PaymentType, "internetChargeType": g.InternetChargeType, "spec": g.Specification,
					"specification": g.Specification, "deletionProtection": g.DeletionProtection, "ecsMetricEnabled": false,
					"businessStatus": "Normal", "expiredTime": "", "resourceGroupId": "", "ipLists": addresses,
					"snatTableIds": []any{g.SNATTableID}, "forwardTableIds": []any{g.ForwardTableID}, "status": string(g.Status),
					"tags": c.tags("alicloud:vpc/natGateway:NatGateway", g.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getSnatEntries:getSnatEntries": {
		action: "vpc:DescribeSnatTableEntries",
		list:   "entries", id: "snatEntryId", name: "snatEntryName",
		filters: map[string]string{
			"snatEntryName": "snatEntryName", "snatIp": "snatIp", "sourceCidr": "sourceCidr",
			"sourceVswitchId": "sourceVswitchId", "status": "status",
		},
		elements: func(c *Cloud, args sim.Object) ([]sim.Object, error) {
			table := text(args, "snatTableId")
			if c.gatewayOfTable(table) == nil {
				return nil, notFound("SNAT table", table)
			}
			var out []sim.Object
			for _, e := range list(c.state.SNATEntries, func(e *SNATEntry) bool { return e.TableID == table }) {
				o, _ := snatEntryKind.outputs(c, table+":"+e.ID)
				o["id"] = table + ":" + e.ID
				delete(o, "snatTableId")
				out = append(out, o)
			}
			return out, nil
		},
	},

	"alicloud:vpc/getForwardEntries:getForwardEntries": {
		action: "vpc:DescribeForwardTableEntries",
		list:   "entries", id: "forwardEntryId", name: "forwardEntryName",
		filters: map[string]string{
			"externalIp": "externalIp", "externalPort": "externalPort", "forwardEntryName": "forwardEntryName",
			"internalIp": "internalIp", "internalPort": "internalPort", "ipProtocol": "ipProtocol", "status": "status",
		},
		elements: func(c *Cloud, args sim.Object) ([]sim.Object, error) {
			table := text(args, "forwardTableId")
			if c.gatewayOfTable(table) == nil {
				return nil, notFound("forward table", table)
			}
			var out []sim.Object
			for _, e := range list(c.state.ForwardEntries, func(e *ForwardEntry) bool { return e.TableID == table }) {
				o, _ := forwardEntryKind.outputs(c, table+":"+e.ID)
				o["id"] = table + ":" + e.ID
				delete(o, "forwardTableId")
				out = append(out, o)
			}
			return out, nil
		},
	},

	"alicloud:ecs/getEipAddresses:getEipAddresses": {
		action: "vpc:DescribeEipAddresses", each: "vpc:ListTagResources", detailed: []string{"tags"},
		list: "addresses", id: "id", name: "addressName",
		filters: map[string]string{
			"addressName": "addressName", "associatedInstanceId": "instanceId", "associatedInstanceType": "instanceType",
			"ipAddress": "ipAddress", "ipAddresses": "ipAddress", "isp": "isp", "paymentType": "paymentType",
			"resourceGroupId": "resourceGroupId", "status": "status",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, e := range list(c.state.EIPs, nil) {
				bandwidth, kind := "", ""
				if p, ok := c.state.BandwidthPackages[e.BandwidthPackageID]; ok {
					bandwidth, kind = p.Bandwidth, "CommonBandwidthPackage"
				}
				out = append(out, sim.Object{
					"id": e.ID, "allocationId": e.ID, "addressName": e.Name, "description": e.Description,
					"ipAddress": e.Address, "bandwidth": e.Bandwidth, "isp": e.ISP, "internetChargeType": e.InternetChargeType,
					"paymentType": e.PaymentType, "instanceId": e.InstanceID, "instanceType": e.InstanceType,
					"instanceRegionId": c.region(), "bandwidthPackageId": e.BandwidthPackageID,
					"bandwidthPackageBandwidth": bandwidth, "bandwidthPackageType": kind, "availableRegions": []any{c.region()},
					"deletionProtection": e.DeletionProtection, "resourceGroupId": e.ResourceGroupID, "expiredTime": "",
					"hasReservationData": "", "hdMonitorStatus": "OFF", "operationLocks": []any{}, "reservationActiveTime": "",
					"reservationBandwidth": "", "reservationInternetChargeType": "", "reservationOrderType": "",
					"secondLimited": false, "segmentInstanceId": "", "status": string(e.Status), "createTime": creationTime,
					"tags": c.tags("alicloud:ecs/eipAddress:EipAddress", e.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:ecs/getInstances:getInstances": {
		action: "ecs:DescribeInstances", details: []string{"ecs:DescribeInstanceRamRole", "ecs:DescribeDisks"}, detailed: []string{"ramRoleName", "diskDeviceMappings"},
		list: "instances", id: "id", name: "name",
		filters: map[string]string{
			"availabilityZone": "availabilityZone", "imageId": "imageId", "instanceName": "name", "ramRoleName": "ramRoleName",
			"resourceGroupId": "resourceGroupId", "status": "status", "vpcId": "vpcId", "vswitchId": "vswitchId",
		},
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, i := range list(c.state.Instances, nil) {
				eip := ""
				for _, e := range c.state.EIPs {
					if e.InstanceID == i.ID {
						eip = e.Address
					}
				}
				out = append(out, sim.Object{
					"id": i.ID, "name": i.Name, "description": i.Description, "availabilityZone": c.zoneOf(i.VSwitchID),
					"vpcId": i.VPCID, "vswitchId": i.VSwitchID, "privateIp": i.PrivateIP, "publicIp": i.PublicIP, "eip": eip,
					"imageId": i.ImageID, "instanceType": i.InstanceType, "keyName": i.KeyName, "ramRoleName": i.RoleName,
					"instanceChargeType": i.ChargeType, "internetChargeType": i.InternetChargeType,
					"internetMaxBandwidthOut": float64(i.BandwidthOut), "securityGroups": values(i.SecurityGroups),
					"spotStrategy": "NoSpot", "regionId": c.region(), "resourceGroupId": "", "diskDeviceMappings": []any{},
					"status": string(i.Status), "creationTime": creationTime, "tags": c.tags("alicloud:ecs/instance:Instance", i.ID),
				})
			}
			return out, nil
		},
	},

	"alicloud:index/getZones:getZones": {
		action: "ecs:DescribeZones",
		list:   "zones", id: "id",
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			var out []sim.Object
			for _, zone := range c.zones() {
				if slices.Contains(c.opts.SoldOut, zone) {
					continue
				}
				out = append(out, sim.Object{
					"id": zone, "localName": zone, "availableInstanceTypes": []any{}, "availableDiskCategories": []any{},
					"availableResourceCreations": []any{"VSwitch", "Instance", "Disk"}, "multiZoneIds": []any{}, "slbSlaveZoneIds": []any{},
				})
			}
			return out, nil
		},
	},

	"alicloud:vpc/getEnhancedNatAvailableZones:getEnhancedNatAvailableZones": {
		action: "vpc:ListEnhanhcedNatGatewayAvailableZones",
		list:   "zones", id: "zoneId",
		elements: func(c *Cloud, _ sim.Object) ([]sim.Object, error) {
			zones := c.opts.EnhancedNATZones
			if zones == nil {
				zones = c.zones()
			}
			var out []sim.Object
			for _, zone := range zones {
				out = append(out, sim.Object{"zoneId": zone, "localName": zone})
			}
			return out, nil
		},
	},
}

// zones are those of the options and those in use, sorted.
func (c *Cloud) zones() []string {
	zones := slices.Clone(c.opts.Zones)
	for _, s := range c.state.VSwitches {
		zones = append(zones, s.ZoneID)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// region is the first zone's name without its letter: cn-hangzhou of
// cn-hangzhou-i, ap-southeast-1 of ap-southeast-1a.
func (c *Cloud) region() string {
	zone := c.zones()[0]
	return strings.TrimSuffix(zone[:len(zone)-1], "-")
}
