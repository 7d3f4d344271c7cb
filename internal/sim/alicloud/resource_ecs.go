package alicloud

import (
	"strconv"
	"strings"

	"polynat/internal/sim"
)

// instanceKind is alicloud:ecs/instance:Instance.
var instanceKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) {
		id, err := c.RunInstance(instanceOf(in))
		if err == nil && text(in, "status") == string(Stopped) {
			err = c.StopInstance(id)
		}
		return id, err
	},
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		i, ok := c.state.Instances[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"instanceName": i.Name, "description": i.Description, "vswitchId": i.VSwitchID,
			"availabilityZone": c.zoneOf(i.VSwitchID), "networkInterfaceId": i.NetworkInterfaceID,
			"privateIp": i.PrivateIP, "primaryIpAddress": i.PrivateIP, "publicIp": i.PublicIP, "imageId": i.ImageID,
			"instanceType": i.InstanceType, "keyName": i.KeyName, "roleName": i.RoleName,
			"instanceChargeType": i.ChargeType, "internetChargeType": i.InternetChargeType,
			"internetMaxBandwidthOut": float64(i.BandwidthOut), "securityGroups": values(i.SecurityGroups),
			"systemDiskEncrypted": i.SystemDiskEncrypted, "systemDiskKmsKeyId": i.SystemDiskKMSKeyID,
			"userData": i.UserData, "deletionProtection": i.DeletionProtection, "status": string(i.Status),
			"cpu": 1.0, "memory": 1024.0, "osType": "linux", "osName": "Linux", "systemDiskId": "d-" + i.ID,
			"deploymentSetGroupNo": "",
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		n := instanceOf(in)
		c.mu.Lock()
		now, err := get(c.state.Instances, "instance", id)
		if err == nil && (n.VSwitchID != now.VSwitchID || n.PrivateIP != "" && n.PrivateIP != now.PrivateIP) {
			err = fail(CodeInvalid, "vswitchId, privateIp: moving instance %s is not simulated (replace it)", id)
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		err = c.ModifyInstance(id, func(i *Instance) {
			i.Name, i.Description, i.UserData = n.Name, n.Description, n.UserData
			i.ImageID, i.InstanceType, i.KeyName, i.RoleName = n.ImageID, n.InstanceType, n.KeyName, n.RoleName
			i.SecurityGroups, i.BandwidthOut = n.SecurityGroups, n.BandwidthOut
			i.DeletionProtection = n.DeletionProtection
		})
		if err != nil {
			return err
		}
		c.mu.Lock()
		status := now.Status
		c.mu.Unlock()
		switch want := Status(text(in, "status")); {
		case want == Stopped && status == Running:
			return c.StopInstance(id)
		case want == Running && status == Stopped:
			return c.StartInstance(id)
		}
		return nil
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteInstance(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		i := instanceOf(o)
		i.ID = id
		i.Status = Status(text(o, "status"))
		i.PublicIP = text(o, "publicIp")
		known := i.SecurityGroups[:0:0]
		c.mu.Lock()
		for _, g := range i.SecurityGroups {
			if _, ok := c.state.SecurityGroups[g]; ok {
				known = append(known, g)
			}
		}
		c.mu.Unlock()
		// Rules that the stack does not know are taken to let packets in.
		i.Forwards = len(known) < len(i.SecurityGroups) && translates(i.UserData)
		i.SecurityGroups = known
		_, err := c.AddInstance(i)
		return err
	},
}

func (c *Cloud) zoneOf(vswitch string) string {
	if s, ok := c.state.VSwitches[vswitch]; ok {
		return s.ZoneID
	}
	return ""
}

func instanceOf(o sim.Object) Instance {
	return Instance{
		Name: text(o, "instanceName"), Description: text(o, "description"), VSwitchID: text(o, "vswitchId"),
		NetworkInterfaceID: text(o, "networkInterfaceId"), PrivateIP: text(o, "privateIp"), ImageID: text(o, "imageId"),
		InstanceType: text(o, "instanceType"), KeyName: text(o, "keyName"), RoleName: text(o, "roleName"),
		ChargeType:         or(text(o, "instanceChargeType"), "PostPaid"),
		InternetChargeType: or(text(o, "internetChargeType"), "PayByTraffic"),
		BandwidthOut:       number(o, "internetMaxBandwidthOut"), SecurityGroups: texts(o, "securityGroups"),
		UserData: text(o, "userData"), DeletionProtection: truth(o, "deletionProtection"),
		SystemDiskEncrypted: truth(o, "systemDiskEncrypted"), SystemDiskKMSKeyID: text(o, "systemDiskKmsKeyId"),
	}
}

// securityGroupKind is alicloud:ecs/securityGroup:SecurityGroup.
var securityGroupKind = kind{
	create: func(c *Cloud, in sim.Object) (string, error) { return c.CreateSecurityGroup(groupOf(in)) },
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		g, ok := c.state.SecurityGroups[id]
		if !ok {
			return nil, false
		}
		return sim.Object{
			"name": g.Name, "description": g.Description, "vpcId": g.VPCID, "securityGroupType": g.Type,
		}, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		return c.ModifySecurityGroup(id, text(in, "name"), text(in, "description"))
	},
	remove: func(c *Cloud, id string, _ sim.Object) error { return c.DeleteSecurityGroup(id) },
	adopt: func(c *Cloud, id string, o sim.Object) error {
		g := groupOf(o)
		g.ID = id
		_, err := c.AddSecurityGroup(g)
		return err
	},
}

func groupOf(o sim.Object) SecurityGroup {
	return SecurityGroup{
		Name: text(o, "name"), Description: text(o, "description"), VPCID: text(o, "vpcId"),
		Type: or(text(o, "securityGroupType"), "normal"),
	}
}

// securityGroupRuleKind is alicloud:ecs/securityGroupRule:SecurityGroupRule; its id is
// <group>:<type>:<protocol>:<ports>:<nic type>:<CIDR or group>:<policy>:<priority>.
var securityGroupRuleKind = kind{
	create: authorize,
	outputs: func(c *Cloud, id string) (sim.Object, bool) {
		g, r, ok := ruleAt(c, id)
		if !ok {
			return nil, false
		}
		o := sim.Object{
			"securityGroupId": g, "type": r.Direction, "ipProtocol": r.Protocol, "portRange": r.PortRange,
			"nicType": r.NICType, "policy": r.Policy, "priority": float64(r.Priority), "description": r.Description,
		}
		if r.CIDR.IsValid() {
			o["cidrIp"] = r.CIDR.String()
		} else if strings.HasPrefix(r.Peer, "pl-") {
			o["prefixListId"] = r.Peer
		} else {
			o["sourceSecurityGroupId"] = r.Peer
		}
		return o, true
	},
	update: func(c *Cloud, id string, in sim.Object) error {
		_, err := authorize(c, in)
		return err
	},
	remove: func(c *Cloud, id string, _ sim.Object) error {
		c.mu.Lock()
		g, r, ok := ruleAt(c, id)
		c.mu.Unlock()
		if !ok {
			return nil
		}
		return c.RevokeSecurityGroup(g, r)
	},
	adopt: func(c *Cloud, _ string, o sim.Object) error {
		_, err := authorize(c, o)
		return err
	},
}

func authorize(c *Cloud, o sim.Object) (string, error) {
	cidr, err := prefix(o, "cidrIp")
	if err != nil {
		return "", err
	}
	r := Rule{
		Direction: text(o, "type"), Protocol: text(o, "ipProtocol"), PortRange: or(text(o, "portRange"), "-1/-1"),
		NICType: or(text(o, "nicType"), "intranet"), Policy: or(text(o, "policy"), "accept"),
		Priority: max(number(o, "priority"), 1), CIDR: cidr, Description: text(o, "description"),
		Peer: text(o, "sourceSecurityGroupId", "prefixListId"),
	}
	if !cidr.IsValid() && r.Peer == "" {
		return "", fail(CodeInvalid, "security group rule: has no source (give cidrIp, sourceSecurityGroupId or prefixListId)")
	}
	group := text(o, "securityGroupId")
	if err := c.AuthorizeSecurityGroup(group, r); err != nil {
		return "", err
	}
	return r.id(group), nil
}

func (r Rule) id(group string) string {
	peer := r.Peer
	if r.CIDR.IsValid() {
		peer = r.CIDR.String()
	}
	return strings.Join([]string{
		group, r.Direction, r.Protocol, r.PortRange, r.NICType, peer, r.Policy, strconv.Itoa(r.Priority),
	}, ":")
}

// ruleAt finds the rule with an id of the provider.
func ruleAt(c *Cloud, id string) (group string, r Rule, ok bool) {
	group = ids(id, 2)[0]
	if g, ok := c.state.SecurityGroups[group]; ok {
		for _, r := range g.Rules {
			if r.id(group) == id {
				return group, r, true
			}
		}
	}
	return "", Rule{}, false
}
