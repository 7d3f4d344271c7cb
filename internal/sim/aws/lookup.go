package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// lookup answers one function, with the state locked.
type lookup func(c *Cloud, s *state, args sim.Object) (sim.Object, error)

// Invoke implements [sim.Cloud]: the lookups of [Schema].
func (c *Cloud) Invoke(_ context.Context, token string, args sim.Object) (sim.Object, error) {
	l, ok := lookups[token]
	if !ok {
		return nil, fmt.Errorf("function: %q: is not simulated", token)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := l(c, &c.state, args)
	if err != nil {
		return nil, err
	}
	result := maps.Clone(args)
	if result == nil {
		result = sim.Object{}
	}
	maps.Copy(result, out)
	if result["id"] == nil {
		result["id"] = c.opts.Region
	}
	return plain(result), nil
}

var lookups = map[string]lookup{
	"aws:index/getRegion:getRegion": func(c *Cloud, _ *state, args sim.Object) (sim.Object, error) {
		name := sim.Text(args, "name")
		if name == "" {
			name = c.opts.Region
		}
		return sim.Object{"id": name, "name": name, "description": name, "endpoint": "ec2." + name + "." + c.suffix()}, nil
	},
	"aws:index/getPartition:getPartition": func(c *Cloud, _ *state, _ sim.Object) (sim.Object, error) {
		reverse := strings.Split(c.suffix(), ".")
		slices.Reverse(reverse)
		return sim.Object{"id": c.partition(), "partition": c.partition(), "dnsSuffix": c.suffix(), "reverseDnsPrefix": strings.Join(reverse, ".")}, nil
	},
	"aws:index/getCallerIdentity:getCallerIdentity": func(c *Cloud, _ *state, _ sim.Object) (sim.Object, error) {
		return sim.Object{"id": c.opts.Account, "accountId": c.opts.Account, "arn": "arn:" + c.partition() + ":iam::" + c.opts.Account + ":user/rehearsal", "userId": "AIDAREHEARSAL"}, nil
	},
	"aws:index/getAvailabilityZones:getAvailabilityZones": lookUpZones,
	"aws:ec2/getVpc:getVpc":                               one("VPC", vpcsOf),
	"aws:ec2/getSubnet:getSubnet":                         one("subnet", subnetsOf),
	"aws:ec2/getSubnets:getSubnets":                       many(subnetsOf),
	"aws:ec2/getRouteTable:getRouteTable":                 one("route table", tablesOf),
	"aws:ec2/getRouteTables:getRouteTables":               many(tablesOf),
	"aws:ec2/getNatGateway:getNatGateway":                 one("NAT gateway", gatewaysOf),
	"aws:ec2/getNatGateways:getNatGateways":               many(gatewaysOf),
	"aws:ec2/getElasticIp:getElasticIp":                   one("Elastic IP", addressesOf),
	"aws:ec2/getEips:getEips": func(c *Cloud, s *state, args sim.Object) (sim.Object, error) {
		found, err := find(c, s, args, addressesOf)
		ids, ips := []any{}, []any{}
		for _, f := range found {
			ids, ips = append(ids, f.out["id"]), append(ips, f.out["publicIp"])
		}
		return sim.Object{"allocationIds": ids, "publicIps": ips}, err
	},
	"aws:ec2/getAmi:getAmi":                   lookUpImage,
	"aws:ec2/getInstanceType:getInstanceType": lookUpType,
	"aws:ssm/getParameter:getParameter":       lookUpParameter,
	"aws:servicequotas/getServiceQuota:getServiceQuota": func(c *Cloud, _ *state, args sim.Object) (sim.Object, error) {
		service, code := sim.Text(args, "serviceCode"), sim.Text(args, "quotaCode")
		if service != "lambda" || code != "L-B99A9384" {
			return nil, fmt.Errorf("reading Service Quotas Service Quota (%s/%s): couldn't find resource", service, code)
		}
		return sim.Object{
			"id": service + "/" + code, "arn": c.arn("servicequotas", service+"/"+code), "adjustable": true, "defaultValue": 1000, "globalQuota": false, "quotaName": "Concurrent executions",
			"serviceName": "AWS Lambda", "usageMetrics": []any{}, "value": c.opts.ConcurrencyQuota,
		}, nil
	},
	"aws:iam/getPolicyDocument:getPolicyDocument": lookUpPolicy,
}

// suffix of the partition's domain names.
func (c *Cloud) suffix() string {
	if c.partition() == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// found is an object that a lookup may answer with.
type found struct {
	out   sim.Object
	tags  Tags
	field func(name string) ([]string, bool)
}

// find returns the objects that arguments, tags and filters select.
func find(c *Cloud, s *state, args sim.Object, list func(*Cloud, *state) []found) ([]found, error) {
	var filters []Filter
	for _, f := range objects(args, "filters") {
		filters = append(filters, Filter{sim.Text(f, "name"), sim.Texts(f, "values")})
	}
	for k, v := range tagsOf(args) {
		filters = append(filters, Filter{"tag:" + k, []string{v}})
	}
	var all []found
	for _, f := range list(c, s) {
		ok, err := matches(filters, f.tags, f.field)
		if err != nil {
			return nil, err
		}
		for name, want := range args {
			switch have, shown := f.out[name]; {
			case name == "filters" || name == "tags":
			case shown:
				ok = ok && fmt.Sprint(have) == fmt.Sprint(want)
			case name == "subnetId" || name == "gatewayId": // of a route table: only an explicit association counts
				values, _ := f.field("association." + map[string]string{"subnetId": "subnet-id", "gatewayId": "gateway-id"}[name])
				ok = ok && slices.Contains(values, fmt.Sprint(want))
			}
		}
		if ok {
			f.out["tags"] = f.tags
			all = append(all, f)
		}
	}
	return all, nil
}

// one answers with the one object that is found.
func one(what string, list func(*Cloud, *state) []found) lookup {
	return func(c *Cloud, s *state, args sim.Object) (sim.Object, error) {
		all, err := find(c, s, args, list)
		if err != nil {
			return nil, err
		}
		switch len(all) {
		case 0:
			return nil, fmt.Errorf("no matching %s found: %v", what, plain(args))
		case 1:
			return all[0].out, nil
		}
		return nil, fmt.Errorf("multiple matching %ss found: %v: use additional constraints to reduce matches to a single one", what, plain(args))
	}
}

// many answers with the ids of all objects that are found.
func many(list func(*Cloud, *state) []found) lookup {
	return func(c *Cloud, s *state, args sim.Object) (sim.Object, error) {
		all, err := find(c, s, args, list)
		ids := []any{}
		for _, f := range all {
			ids = append(ids, f.out["id"])
		}
		return sim.Object{"ids": ids}, err
	}
}

func vpcsOf(c *Cloud, s *state) (all []found) {
	for _, id := range sorted(s.VPCs) {
		v := s.VPCs[id]
		var blocks []any
		var texts []string
		for i, p := range v.CIDRs {
			blocks = append(blocks, sim.Object{"associationId": fmt.Sprintf("vpc-cidr-assoc-%s%d", strings.TrimPrefix(id, "vpc-"), i), "cidrBlock": p.String(), "state": "associated"})
			texts = append(texts, p.String())
		}
		out := sim.Object{
			"id": id, "arn": c.arn("ec2", "vpc/"+id), "cidrBlock": v.CIDRs[0].String(), "cidrBlockAssociations": blocks, "default": false, "dhcpOptionsId": "dopt-00000000000000001",
			"enableDnsHostnames": v.DNSNames, "enableDnsSupport": v.DNSSupport, "enableNetworkAddressUsageMetrics": false, "instanceTenancy": "default",
			"mainRouteTableId": v.MainTable, "ownerId": c.opts.Account, "state": "available", "ipv6CidrBlock": "", "ipv6AssociationId": "",
		}
		if v.IPv6.IsValid() {
			out["ipv6CidrBlock"], out["ipv6AssociationId"] = v.IPv6.String(), "vpc-cidr-assoc-"+strings.TrimPrefix(id, "vpc-")
		}
		all = append(all, found{out, v.Tags, func(name string) ([]string, bool) {
			if name == "cidr-block-association.cidr-block" {
				return texts, true
			}
			return oneOf(map[string]string{"vpc-id": id, "cidr": texts[0], "cidr-block": texts[0], "state": "available", "is-default": "false", "owner-id": c.opts.Account}, name)
		}})
	}
	return all
}

func subnetsOf(c *Cloud, s *state) (all []found) {
	for _, id := range sorted(s.Subnets) {
		n := s.Subnets[id]
		out := sim.Object{
			"id": id, "arn": c.arn("ec2", "subnet/"+id), "assignIpv6AddressOnCreation": n.Map6, "availabilityZone": n.Zone, "availabilityZoneId": c.zoneID(n.Zone),
			"availableIpAddressCount": 1<<(32-n.CIDR.Bits()) - reservedHosts - 1 - len(s.taken(id)), "cidrBlock": n.CIDR.String(), "customerOwnedIpv4Pool": "", "defaultForAz": false,
			"enableDns64": false, "enableLniAtDeviceIndex": 0, "enableResourceNameDnsARecordOnLaunch": false, "enableResourceNameDnsAaaaRecordOnLaunch": false,
			"ipv6CidrBlock": "", "ipv6CidrBlockAssociationId": "", "ipv6Native": false, "mapCustomerOwnedIpOnLaunch": false, "mapPublicIpOnLaunch": n.MapPublic, "outpostArn": "",
			"ownerId": c.opts.Account, "privateDnsHostnameTypeOnLaunch": "ip-name", "state": "available", "vpcId": n.VPC,
		}
		if n.IPv6.IsValid() {
			out["ipv6CidrBlock"] = n.IPv6.String()
		}
		all = append(all, found{out, n.Tags, func(name string) ([]string, bool) {
			return oneOf(map[string]string{
				"subnet-id": id, "vpc-id": n.VPC, "availability-zone": n.Zone, "availabilityZone": n.Zone, "availability-zone-id": c.zoneID(n.Zone), "cidr-block": n.CIDR.String(), "cidr": n.CIDR.String(),
				"state": "available", "map-public-ip-on-launch": truth(n.MapPublic), "owner-id": c.opts.Account,
			}, name)
		}})
	}
	return all
}

func tablesOf(c *Cloud, s *state) (all []found) {
	for _, id := range sorted(s.Tables) {
		t := c.describeTable(s, id)
		var routes, associations []any
		out := sim.Object{"id": id, "routeTableId": id, "arn": c.arn("ec2", "route-table/"+id), "vpcId": t.VpcID, "ownerId": c.opts.Account}
		for _, r := range t.Routes {
			o := sim.Object{
				"carrierGatewayId": "", "cidrBlock": r.DestinationCidrBlock, "coreNetworkArn": "", "destinationPrefixListId": "", "egressOnlyGatewayId": r.EgressOnlyInternetGatewayID, "gatewayId": r.GatewayID,
				"instanceId": r.InstanceID, "ipv6CidrBlock": r.DestinationIpv6CidrBlock, "localGatewayId": "", "natGatewayId": r.NatGatewayID, "networkInterfaceId": r.NetworkInterfaceID,
				"transitGatewayId": r.TransitGatewayID, "vpcEndpointId": "", "vpcPeeringConnectionId": r.VpcPeeringConnectionID,
			}
			routes = append(routes, o)
		}
		for _, a := range t.Associations {
			associations = append(associations, sim.Object{"gatewayId": a.GatewayID, "main": a.Main, "routeTableAssociationId": a.AssociationID, "routeTableId": id, "subnetId": a.SubnetID})
		}
		out["routes"], out["associations"] = routes, associations
		f := found{out, t.Tags, t.field}
		all = append(all, f)
	}
	return all
}

func gatewaysOf(_ *Cloud, s *state) (all []found) {
	for _, id := range sorted(s.Gateways) {
		g := s.Gateways[id]
		if g.State == GatewayDeleted {
			continue
		}
		association := ""
		if a, ok := s.Addresses[g.AllocationID]; ok {
			association = a.AssociationID
		}
		all = append(all, found{sim.Object{
			"id": id, "allocationId": g.AllocationID, "associationId": association, "connectivityType": g.ConnectivityType, "networkInterfaceId": g.NetworkInterfaceID, "privateIp": g.PrivateIP,
			"publicIp": g.PublicIP, "secondaryAllocationIds": []any{}, "secondaryPrivateIpAddressCount": 0, "secondaryPrivateIpAddresses": []any{}, "state": g.State, "subnetId": g.SubnetID, "vpcId": g.VpcID,
		}, g.Tags, func(name string) ([]string, bool) {
			return oneOf(map[string]string{"nat-gateway-id": id, "state": g.State, "subnet-id": g.SubnetID, "vpc-id": g.VpcID}, name)
		}})
	}
	return all
}

func addressesOf(c *Cloud, s *state) (all []found) {
	for _, id := range sorted(s.Addresses) {
		a := s.Addresses[id]
		all = append(all, found{sim.Object{
			"id": id, "arn": c.arn("ec2", "elastic-ip/"+id), "associationId": a.AssociationID, "carrierIp": "", "customerOwnedIp": "", "customerOwnedIpv4Pool": "", "domain": "vpc", "instanceId": a.InstanceID,
			"ipamPoolId": "", "networkInterfaceId": a.NetworkInterfaceID, "networkInterfaceOwnerId": a.NetworkInterfaceOwnerID, "privateDns": "", "privateIp": a.PrivateIPAddress, "ptrRecord": "",
			"publicDns": "", "publicIp": a.PublicIP, "publicIpv4Pool": "amazon",
		}, a.Tags, func(name string) ([]string, bool) {
			return oneOf(map[string]string{"allocation-id": id, "public-ip": a.PublicIP, "association-id": a.AssociationID, "domain": "vpc", "instance-id": a.InstanceID, "network-interface-id": a.NetworkInterfaceID}, name)
		}})
	}
	return all
}

func lookUpZones(c *Cloud, _ *state, args sim.Object) (sim.Object, error) {
	names, ids := []any{}, []any{}
	for _, z := range c.opts.Zones {
		if !slices.Contains(sim.Texts(args, "excludeNames"), z) && !slices.Contains(sim.Texts(args, "excludeZoneIds"), c.zoneID(z)) {
			names, ids = append(names, z), append(ids, c.zoneID(z))
		}
	}
	return sim.Object{"names": names, "zoneIds": ids, "groupNames": []any{c.opts.Region}}, nil
}

// imageParameters is where Systems Manager keeps the ids of Amazon Linux images.
const imageParameters = "/aws/service/ami-amazon-linux-latest/al2023-ami-"

// architectures by the end of their parameters' names; the image's id tells them apart.
var imageIDs = map[string]string{"arm64": "ami-0000000000000a64", "x86_64": "ami-0000000000000x86"}

// imageOf is the id of the image that a parameter names.
func (c *Cloud) imageOf(name string) (string, error) {
	for architecture, id := range imageIDs {
		if strings.HasPrefix(name, imageParameters) && strings.HasSuffix(name, "-"+architecture) {
			return id, nil
		}
	}
	return "", &Error{Code: "ParameterNotFound", Message: "Parameter " + name + " not found.", Status: 400}
}

// imageArchitecture is the architecture of a known image.
func imageArchitecture(id string) string {
	for architecture, known := range imageIDs {
		if id == known {
			return architecture
		}
	}
	return ""
}

func lookUpImage(c *Cloud, _ *state, args sim.Object) (sim.Object, error) {
	architecture := "x86_64"
	for _, f := range objects(args, "filters") {
		values := strings.Join(sim.Texts(f, "values"), " ")
		if strings.Contains(values, "arm64") {
			architecture = "arm64"
		}
	}
	id := imageIDs[architecture]
	for _, f := range objects(args, "filters") {
		if values := sim.Texts(f, "values"); sim.Text(f, "name") == "image-id" && len(values) == 1 {
			if id = values[0]; imageArchitecture(id) != "" {
				architecture = imageArchitecture(id)
			}
		}
	}
	return sim.Object{
		"id": id, "imageId": id, "architecture": architecture, "arn": "arn:" + c.partition() + ":ec2:" + c.opts.Region + "::image/" + id, "blockDeviceMappings": []any{}, "bootMode": "uefi",
		"creationDate": "2026-01-01T00:00:00.000Z", "deprecationTime": "2026-04-01T00:00:00.000Z", "description": "Amazon Linux 2023", "enaSupport": true, "hypervisor": "xen",
		"imageLocation": "amazon/al2023-ami-" + architecture, "imageOwnerAlias": "amazon", "imageType": "machine", "imdsSupport": "v2.0", "kernelId": "", "lastLaunchedTime": "",
		"name": "al2023-ami-2023-kernel-default-" + architecture, "ownerId": "137112412989", "platform": "", "platformDetails": "Linux/UNIX", "productCodes": []any{}, "public": true, "ramdiskId": "",
		"rootDeviceName": "/dev/xvda", "rootDeviceType": "ebs", "rootSnapshotId": "snap-00000000000000001", "sriovNetSupport": "simple", "state": "available", "stateReason": sim.Object{}, "tags": sim.Object{},
		"tpmSupport": "", "usageOperation": "RunInstances", "virtualizationType": "hvm",
	}, nil
}

func lookUpType(_ *Cloud, _ *state, args sim.Object) (sim.Object, error) {
	name := sim.Text(args, "instanceType")
	t, ok := instanceTypes[name]
	if !ok {
		return nil, fmt.Errorf("reading EC2 Instance Type (%s): operation error EC2: DescribeInstanceTypes, https response error StatusCode: 400, "+
			"RequestID: 00000000-0000-0000-0000-000000000000, api error InvalidInstanceType: The following supplied instance types do not exist: [%s]", name, name)
	}
	out := sim.Object{}
	for _, property := range Schema().Functions["aws:ec2/getInstanceType:getInstanceType"].Result {
		out[property] = zeroOf(property)
	}
	maps.Copy(out, sim.Object{
		"id": name, "instanceType": name, "supportedArchitectures": []any{t.Architecture}, "defaultVcpus": t.VCPUs, "defaultCores": t.VCPUs, "defaultThreadsPerCore": 1, "memorySize": t.Memory,
		"maximumNetworkInterfaces": t.Interfaces, "maximumIpv4AddressesPerInterface": t.Addresses, "maximumIpv6AddressesPerInterface": t.Addresses, "maximumNetworkCards": 1,
		"ipv6Supported": true, "currentGeneration": true, "burstablePerformanceSupported": t.Burstable, "networkPerformance": t.Performance, "enaSupport": "required", "hypervisor": "nitro",
		"supportedUsagesClasses": []any{"on-demand", "spot"}, "ebsEncryptionSupport": "supported", "encryptionInTransitSupported": !t.Burstable,
	})
	return out, nil
}

// zeroOf is a value of a property's kind that says nothing, told by its name: numbers, lists, truths.
func zeroOf(property string) any {
	for _, list := range []string{"fpgas", "gpuses", "inferenceAccelerators", "instanceDisks", "mediaAccelerators", "networkCards", "neuronDevices", "supported", "valid", "bandwidthWeightings", "bootModes", "nitroTpmSupportedVersions"} {
		if strings.HasPrefix(property, list) {
			return []any{}
		}
	}
	for _, number := range []string{"total", "default", "maximum", "memory", "sustained", "ebsPerformance", "efaMaximum"} {
		if strings.HasPrefix(property, number) {
			return 0
		}
	}
	for _, text := range []string{"ebs", "enaSupport", "hypervisor", "id", "instanceType", "networkPerformance", "nitro", "phcSupport"} {
		if strings.HasPrefix(property, text) {
			return ""
		}
	}
	return false
}

func lookUpParameter(c *Cloud, s *state, args sim.Object) (sim.Object, error) {
	name := sim.Text(args, "name")
	p, ok := s.Parameters[name]
	if !ok {
		image, err := c.imageOf(name)
		if err != nil {
			return nil, err
		}
		p = &Parameter{Name: name, Value: image, Type: "String", Version: 1, ARN: "arn:" + c.partition() + ":ssm:" + c.opts.Region + "::parameter" + name}
	}
	return sim.Object{"id": name, "arn": p.ARN, "type": p.Type, "value": p.Value, "insecureValue": p.Value, "version": p.Version}, nil
}

// lookUpPolicy writes a policy document as the provider does: fields in their order, a single action or resource as text.
func lookUpPolicy(_ *Cloud, _ *state, args sim.Object) (sim.Object, error) {
	type statement struct {
		Sid         string         `json:"Sid,omitempty"`
		Effect      string         `json:"Effect,omitempty"`
		Action      any            `json:"Action,omitempty"`
		NotAction   any            `json:"NotAction,omitempty"`
		Resource    any            `json:"Resource,omitempty"`
		NotResource any            `json:"NotResource,omitempty"`
		Principal   any            `json:"Principal,omitempty"`
		Condition   map[string]any `json:"Condition,omitempty"`
	}
	single := func(l []string) any {
		slices.Sort(l)
		switch len(l) {
		case 0:
			return nil
		case 1:
			return l[0]
		}
		return l
	}
	var statements []statement
	for _, o := range objects(args, "statements") {
		st := statement{
			Sid: sim.Text(o, "sid"), Effect: sim.Text(o, "effect"), Action: single(sim.Texts(o, "actions")), NotAction: single(sim.Texts(o, "notActions")),
			Resource: single(sim.Texts(o, "resources")), NotResource: single(sim.Texts(o, "notResources")),
		}
		if st.Effect == "" {
			st.Effect = "Allow"
		}
		for _, p := range objects(o, "principals") {
			principals, _ := st.Principal.(map[string]any)
			if principals == nil {
				principals = map[string]any{}
			}
			principals[sim.Text(p, "type")] = single(sim.Texts(p, "identifiers"))
			st.Principal = principals
			if sim.Text(p, "type") == "*" {
				st.Principal = "*"
			}
		}
		for _, p := range objects(o, "conditions") {
			if st.Condition == nil {
				st.Condition = map[string]any{}
			}
			test, _ := st.Condition[sim.Text(p, "test")].(map[string]any)
			if test == nil {
				test = map[string]any{}
			}
			test[sim.Text(p, "variable")] = single(sim.Texts(p, "values"))
			st.Condition[sim.Text(p, "test")] = test
		}
		statements = append(statements, st)
	}
	document := map[string]any{"Version": "2012-10-17", "Statement": statements}
	minified, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(document, "", "  ")
	return sim.Object{"json": string(text), "minifiedJson": string(minified), "id": strconv.Itoa(len(minified))}, err
}
