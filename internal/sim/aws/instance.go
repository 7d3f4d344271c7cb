package aws

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"polynat/internal/sim"
)

// launchTemplate holds its versions as they were declared, the first one first.
type launchTemplate struct {
	Name     string
	Versions []sim.Object
	Default  int
}

// machine is an instance with what its descriptions do not show.
type machine struct {
	Instance
	// AutoPublic says that the primary address got a public one at launch.
	AutoPublic bool
	// Group is the Auto Scaling group, empty once it is let go; Phase is its lifecycle state there.
	Group, Phase string
	// Unhealthy was said by SetInstanceHealth, or found by the group.
	Unhealthy bool `json:",omitempty"`
	// Lost says that its group has found out that it ended by itself.
	Lost bool `json:",omitempty"`
	// InService is since when it is in service.
	InService time.Time
	// Waiting are the hooks that it waits for, by name.
	Waiting map[string]*action `json:",omitempty"`
	// Target is the target lifecycle state of instance metadata.
	Target string
	Faults []Fault
	// Notice is when Spot reclaims it, Rebalance when a rebalance was recommended.
	Notice, Rebalance time.Time
	Agent             agent
}

// action is a lifecycle action that waits.
type action struct {
	Token string
	// Latest is when it ends whatever heartbeats say.
	Latest time.Time
}

// version returns the data of a launch template; "$Latest", "$Default" or a number.
func (s *state) version(id, version string) (n int, data sim.Object, err error) {
	t, ok := s.Templates[id]
	if !ok {
		return 0, nil, refuse("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	switch version {
	case "", "$Default":
		n = t.Default
	case "$Latest":
		n = len(t.Versions)
	default:
		n, _ = strconv.Atoi(version)
	}
	if n < 1 || n > len(t.Versions) {
		return 0, nil, refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", version)
	}
	return n, t.Versions[n-1], nil
}

// templateID finds a launch template by its id or its name.
func (s *state) templateID(id, name string) string {
	if id != "" {
		return id
	}
	for known, t := range s.Templates {
		if t.Name == name {
			return known
		}
	}
	return name
}

// launch makes a pending instance from a launch template.
func (c *Cloud) launch(s *state, templateID, version, typ, subnetID string, spot bool, tags Tags) (*machine, error) {
	n, data, err := s.version(templateID, version)
	if err != nil {
		return nil, err
	}
	image, architecture, err := c.imageFor(data, typ)
	if err != nil {
		return nil, err
	}
	nic := sim.Object{}
	if nics := objects(data, "networkInterfaces"); len(nics) > 0 {
		nic = nics[0]
	}
	groups := append(sim.Texts(nic, "securityGroups"), sim.Texts(data, "vpcSecurityGroupIds")...)
	e, err := c.newInterface(s, subnetID, sim.Text(nic, "privateIpAddress"), groups)
	if err != nil {
		return nil, err
	}
	network := s.Subnets[subnetID]
	m := &machine{Instance: Instance{
		InstanceID: s.newID("i"), ImageID: image, InstanceType: typ, Architecture: architecture, SubnetID: subnetID, VpcID: network.VPC,
		AvailabilityZone: network.Zone, State: StatePending, PrivateIPAddress: e.PrivateIPAddress, NetworkInterfaceIDs: []string{e.NetworkInterfaceID},
		LaunchTime: s.Now, LaunchTemplateID: templateID, LaunchTemplateVersion: n, UserData: sim.Text(data, "userData"), Tags: Tags{},
	}}
	if spot {
		m.Lifecycle = "spot"
	}
	profile, _ := data["iamInstanceProfile"].(sim.Object)
	m.InstanceProfileARN = sim.Text(profile, "arn", "name")
	options, _ := data["metadataOptions"].(sim.Object)
	m.HTTPTokens, m.HopLimit = sim.Text(options, "httpTokens"), max(1, sim.Number(options, "httpPutResponseHopLimit"))
	m.MetadataTags = sim.Text(options, "instanceMetadataTags") == "enabled"
	e.Status, e.InstanceID, e.AttachmentID, e.DeleteOnTermination = "in-use", m.InstanceID, "eni-attach-"+strings.TrimPrefix(e.NetworkInterfaceID, "eni-"), true
	for _, t := range objects(data, "tagSpecifications") {
		switch sim.Text(t, "resourceType") {
		case "instance":
			m.Tags = tagsOf(t)
		case "network-interface":
			e.Tags = tagsOf(t)
		}
	}
	maps.Copy(m.Tags, tags)
	if associate := sim.Text(nic, "associatePublicIpAddress"); associate == "true" || associate == "" && network.MapPublic {
		m.AutoPublic = true
		e.private("").PublicIP = s.publicAddress("assigned", assignedPool)
		m.PublicIPAddress = e.private("").PublicIP
	}
	e.Shown = slices.Clone(e.PrivateIPAddresses)
	s.Machines[m.InstanceID] = m
	s.after(c.opts.BootTime, instanceDue, m.InstanceID, "")
	c.stateChanged(s, m)
	return m, nil
}

// imageFor resolves the image of a template for an instance type, and holds their architectures against each other.
func (c *Cloud) imageFor(data sim.Object, typ string) (image, architecture string, err error) {
	facts, ok := instanceTypes[typ]
	if !ok {
		return "", "", refuse("InvalidParameterValue", "Invalid value '%s' for InstanceType.", typ)
	}
	image = sim.Text(data, "imageId")
	if name, ok := strings.CutPrefix(image, "resolve:ssm:"); ok {
		if image, err = c.imageOf(name); err != nil {
			return "", "", err
		}
	}
	if a := imageArchitecture(image); a != "" && a != facts.Architecture {
		return "", "", refuse("Unsupported", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI.", facts.Architecture, a)
	}
	return image, facts.Architecture, nil
}

// objects returns the objects of a list.
func objects(o sim.Object, name string) []sim.Object {
	list, _ := o[name].([]any)
	var out []sim.Object
	for _, e := range list {
		if e, ok := e.(sim.Object); ok {
			out = append(out, e)
		}
	}
	return out
}

// How long an instance takes to go. Not published; of the order that is seen.
const (
	stopTime  = 20 * time.Second
	describes = time.Hour // how long a terminated instance is still described
)

// instanceDue takes an instance to the state that comes next.
func (c *Cloud) instanceDue(s *state, id string) bool {
	m, ok := s.Machines[id]
	if !ok {
		return false
	}
	switch m.State {
	case StatePending:
		m.State = StateRunning
		c.stateChanged(s, m)
		c.running(s, m)
		s.after(c.opts.AgentTime, agentDue, id, agentBoot)
	case StateShuttingDown:
		m.State = StateTerminated
		c.stateChanged(s, m)
		for _, e := range m.NetworkInterfaceIDs {
			s.removeInterface(e)
		}
		s.after(describes, instanceDue, id, "")
		c.gone(s, m)
	case StateStopping:
		m.State = StateStopped
		c.stateChanged(s, m)
		if e := s.Interfaces[m.NetworkInterfaceIDs[0]]; e != nil {
			if p := e.private(""); p.AllocationID == "" {
				p.PublicIP = ""
			}
		}
		c.gone(s, m)
	case StateTerminated:
		delete(s.Machines, id)
	default:
		return false
	}
	return true
}

// terminate begins to end an instance.
func (c *Cloud) terminate(s *state, m *machine) {
	if m.State == StateShuttingDown || m.State == StateTerminated {
		return
	}
	s.cancel(instanceDue, m.InstanceID, "")
	s.cancel(agentDue, m.InstanceID, "")
	m.State = StateShuttingDown
	c.stateChanged(s, m)
	s.after(stopTime, instanceDue, m.InstanceID, "")
	c.leftUnexpectedly(s, m)
}

// each changes the instances that a call names.
func (c *Cloud) each(api string, ids []string, f func(*state, *machine)) (changes []InstanceStateChange, err error) {
	err = c.call(api, func(s *state) error {
		for _, id := range ids {
			if _, ok := s.Machines[id]; !ok {
				return refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
			}
		}
		for _, id := range ids {
			m := s.Machines[id]
			was := m.State
			f(s, m)
			changes = append(changes, InstanceStateChange{id, was, m.State})
		}
		return nil
	})
	return changes, err
}

// TerminateInstances ends instances, whatever their groups say: no lifecycle hook holds it up. It is idempotent.
func (c *Cloud) TerminateInstances(ids ...string) ([]InstanceStateChange, error) {
	return c.each("TerminateInstances", ids, c.terminate)
}

// StopInstances stops instances.
func (c *Cloud) StopInstances(ids ...string) ([]InstanceStateChange, error) {
	return c.each("StopInstances", ids, func(s *state, m *machine) {
		if m.State != StateRunning {
			return
		}
		s.cancel(agentDue, m.InstanceID, "")
		m.State = StateStopping
		c.stateChanged(s, m)
		s.after(stopTime, instanceDue, m.InstanceID, "")
		c.leftUnexpectedly(s, m)
	})
}

// StartInstances starts instances that are stopped.
func (c *Cloud) StartInstances(ids ...string) ([]InstanceStateChange, error) {
	return c.each("StartInstances", ids, func(s *state, m *machine) {
		if m.State != StateStopped {
			return
		}
		m.State = StatePending
		if e := s.Interfaces[m.NetworkInterfaceIDs[0]]; m.AutoPublic && e != nil && e.private("").AllocationID == "" {
			e.private("").PublicIP = s.publicAddress("assigned", assignedPool)
			c.showLater(s, e)
		}
		c.stateChanged(s, m)
		s.after(c.opts.BootTime, instanceDue, m.InstanceID, "")
	})
}

// RebootInstances restarts what runs on instances; EC2 sees no change.
func (c *Cloud) RebootInstances(ids ...string) error {
	_, err := c.each("RebootInstances", ids, func(s *state, m *machine) {
		m.Agent = agent{Rebooting: true}
		s.cancel(agentDue, m.InstanceID, "")
		s.after(c.opts.BootTime+c.opts.AgentTime, agentDue, m.InstanceID, agentBoot)
	})
	return err
}

// describeInstance is an instance as a describe shows it.
func (s *state) describeInstance(m *machine) Instance {
	i := m.Instance
	i.PublicIPAddress = ""
	if m.State == StateTerminated {
		i.PrivateIPAddress, i.NetworkInterfaceIDs = "", nil
	} else if e := s.Interfaces[i.NetworkInterfaceIDs[0]]; e != nil {
		i.PublicIPAddress = e.private("").PublicIP
	}
	return i
}

// DescribeInstances returns instances; terminated ones for about an hour too.
func (c *Cloud) DescribeInstances(in DescribeInstancesInput) ([]Instance, error) {
	var out []Instance
	api := "DescribeInstances"
	if len(in.InstanceIDs)+len(in.Filters)+in.MaxResults == 0 {
		api += "*"
	}
	err := c.describe(api, func(s *state) error {
		for _, id := range in.InstanceIDs {
			if _, ok := s.Machines[id]; !ok {
				return refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
			}
		}
		for _, id := range sorted(s.Machines) {
			if len(in.InstanceIDs) > 0 && !slices.Contains(in.InstanceIDs, id) {
				continue
			}
			i := s.describeInstance(s.Machines[id])
			ok, err := matches(in.Filters, i.Tags, i.field)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, i)
			}
		}
		return nil
	})
	return out, err
}

// field returns the values that a filter of instances looks at.
func (i Instance) field(name string) ([]string, bool) {
	if name == "network-interface.network-interface-id" {
		return i.NetworkInterfaceIDs, true
	}
	return oneOf(map[string]string{
		"instance-id": i.InstanceID, "instance-state-name": i.State, "subnet-id": i.SubnetID, "vpc-id": i.VpcID, "instance-type": i.InstanceType,
		"availability-zone": i.AvailabilityZone, "private-ip-address": i.PrivateIPAddress, "ip-address": i.PublicIPAddress, "instance-lifecycle": i.Lifecycle,
	}, name)
}

// Instances returns all instances that are not terminated.
func (c *Cloud) Instances() []Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Instance
	for _, id := range sorted(c.state.Machines) {
		if m := c.state.Machines[id]; m.State != StateTerminated {
			out = append(out, c.state.describeInstance(m))
		}
	}
	return out
}

// fault changes the faults of an instance.
func (c *Cloud) fault(id string, f func(s *state, m *machine)) error {
	return c.change(func(s *state) error {
		m, ok := s.Machines[id]
		if !ok || m.State == StateTerminated {
			return refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
		f(s, m)
		return nil
	})
}

// Break lets a fault befall an instance. EC2 and its group see nothing of it.
func (c *Cloud) Break(id string, fault Fault) error {
	return c.fault(id, func(s *state, m *machine) {
		if !slices.Contains(m.Faults, fault) {
			m.Faults = append(m.Faults, fault)
		}
		c.broken(s, m)
	})
}

// Repair takes a fault away.
func (c *Cloud) Repair(id string, fault Fault) error {
	return c.fault(id, func(s *state, m *machine) {
		m.Faults = slices.DeleteFunc(m.Faults, func(f Fault) bool { return f == fault })
		c.repaired(s, m)
	})
}

// InterruptSpot warns of a reclaim, by event and instance metadata: two minutes later the instance is terminated, and no hook
// stops it.
func (c *Cloud) InterruptSpot(id string) error {
	return c.fault(id, func(s *state, m *machine) {
		m.Notice = s.Now.Add(2 * time.Minute)
		s.after(2*time.Minute, spotDue, id, "")
		// The ARN is odd: the zone in the region's place, and no account.
		arn := "arn:" + c.partition() + ":ec2:" + m.AvailabilityZone + ":instance/" + id
		c.tellEvent(s, "aws.ec2", "EC2 Spot Instance Interruption Warning", []string{arn}, map[string]any{"instance-id": id, "instance-action": "terminate"})
		c.agentNotice(s, m)
	})
}

// RecommendRebalance tells, by event and instance metadata, that a Spot instance is at risk.
func (c *Cloud) RecommendRebalance(id string) error {
	return c.fault(id, func(s *state, m *machine) {
		m.Rebalance = s.Now
		c.tellEvent(s, "aws.ec2", "EC2 Instance Rebalance Recommendation", []string{c.instanceARN(id)}, map[string]any{"instance-id": id})
		if g := s.Scaling[m.Group]; g != nil && g.CapacityRebalance {
			g.replace(id, whyRebalance)
			s.after(0, groupDue, m.Group, "")
		}
	})
}

func (c *Cloud) instanceARN(id string) string { return c.arn("ec2", "instance/"+id) }

func (c *Cloud) spotDue(s *state, id string) bool {
	m, ok := s.Machines[id]
	if ok {
		c.terminate(s, m)
	}
	return ok
}

// stateChanged tells of an instance's new state.
func (c *Cloud) stateChanged(s *state, m *machine) {
	c.tellEvent(s, "aws.ec2", "EC2 Instance State-change Notification", []string{c.instanceARN(m.InstanceID)},
		map[string]any{"instance-id": m.InstanceID, "state": m.State})
}

// showLater lets instance metadata follow what an interface's addresses are.
func (c *Cloud) showLater(s *state, e *netInterface) {
	if c.opts.MetadataLag == 0 {
		e.Shown = slices.Clone(e.PrivateIPAddresses)
		return
	}
	s.after(c.opts.MetadataLag, metadataDue, e.NetworkInterfaceID, "")
}

func (c *Cloud) metadataDue(s *state, id string) bool {
	e, ok := s.Interfaces[id]
	if !ok {
		return false
	}
	e.Shown = slices.Clone(e.PrivateIPAddresses)
	return false // nothing that traffic or a describe can see
}

// Metadata answers a path under /latest of instance metadata, such as "meta-data/instance-id", "user-data" or
// "dynamic/instance-identity/document", as the instance sees it; ok is false for 404.
func (c *Cloud) Metadata(instanceID, path string) (text string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	m, ok := c.state.Machines[instanceID]
	if !ok || m.State != StateRunning && m.State != StatePending && m.State != StateShuttingDown && m.State != StateStopping {
		return "", false
	}
	path = strings.Trim(path, "/")
	switch path {
	case "user-data":
		data, err := base64.StdEncoding.DecodeString(m.UserData)
		return string(data), err == nil && len(data) > 0
	case "dynamic/instance-identity/document":
		data, err := json.MarshalIndent(map[string]any{
			"accountId": c.opts.Account, "architecture": m.Architecture, "availabilityZone": m.AvailabilityZone, "imageId": m.ImageID,
			"instanceId": instanceID, "instanceType": m.InstanceType, "pendingTime": m.LaunchTime.UTC().Format(time.RFC3339),
			"privateIp": m.PrivateIPAddress, "region": c.opts.Region, "version": "2017-09-30",
		}, "", "  ")
		return string(data), err == nil
	}
	path, ok = strings.CutPrefix(path, "meta-data")
	if !ok {
		return "", false
	}
	return c.metadata(&c.state, m)(strings.Trim(path, "/"))
}

// metadata returns the tree of an instance's metadata: leaves, and listings of directories.
func (c *Cloud) metadata(s *state, m *machine) func(path string) (string, bool) {
	tree := map[string]string{
		"ami-id": m.ImageID, "instance-id": m.InstanceID, "instance-type": m.InstanceType, "instance-life-cycle": "on-demand",
		"local-ipv4": m.PrivateIPAddress, "placement/availability-zone": m.AvailabilityZone, "placement/availability-zone-id": c.zoneID(m.AvailabilityZone),
		"placement/region": c.opts.Region, "services/domain": "amazonaws.com", "services/partition": c.partition(),
	}
	if m.Lifecycle != "" {
		tree["instance-life-cycle"] = m.Lifecycle
	}
	if m.Target != "" {
		tree["autoscaling/target-lifecycle-state"] = m.Target
	}
	if !m.Notice.IsZero() {
		at := m.Notice.UTC().Format(time.RFC3339)
		tree["spot/instance-action"] = `{"action": "terminate", "time": "` + at + `"}`
		tree["spot/termination-time"] = at
	}
	if !m.Rebalance.IsZero() {
		tree["events/recommendations/rebalance"] = `{"noticeTime": "` + m.Rebalance.UTC().Format(time.RFC3339) + `"}`
	}
	if m.MetadataTags {
		for k, v := range m.Tags {
			tree["tags/instance/"+k] = v
		}
	}
	if profile := m.InstanceProfileARN; profile != "" {
		tree["iam/info"] = `{"Code": "Success", "InstanceProfileArn": "` + profile + `"}`
	}
	for i, id := range m.NetworkInterfaceIDs {
		if e := s.Interfaces[id]; e != nil {
			c.interfaceMetadata(s, tree, e, i)
		}
	}
	return func(path string) (string, bool) {
		if v, ok := tree[path]; ok {
			return v, true
		}
		return listing(tree, path)
	}
}

// listing names what is under a directory.
func listing(tree map[string]string, path string) (string, bool) {
	prefix := path
	if prefix != "" {
		prefix += "/"
	}
	var names []string
	for _, p := range sorted(tree) {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			name, _, dir := strings.Cut(rest, "/")
			if dir {
				name += "/"
			}
			names = append(names, name)
		}
	}
	return strings.Join(slices.Compact(names), "\n"), len(names) > 0
}

func (c *Cloud) interfaceMetadata(s *state, tree map[string]string, e *netInterface, device int) {
	if device == 0 {
		tree["mac"] = e.MacAddress
	}
	under := "network/interfaces/macs/" + e.MacAddress + "/"
	var private, public []string
	for _, a := range e.Shown {
		private = append(private, a.PrivateIPAddress)
		if a.PublicIP != "" {
			public = append(public, a.PublicIP)
			tree[under+"ipv4-associations/"+a.PublicIP] = a.PrivateIPAddress
		}
		if a.Primary && a.PublicIP != "" && device == 0 {
			tree["public-ipv4"] = a.PublicIP
		}
	}
	v, n := s.VPCs[e.VpcID], s.Subnets[e.SubnetID]
	var blocks []string
	for _, p := range v.CIDRs {
		blocks = append(blocks, p.String())
	}
	for name, value := range map[string]string{
		"device-number": strconv.Itoa(device), "interface-id": e.NetworkInterfaceID, "local-ipv4s": strings.Join(private, "\n"), "mac": e.MacAddress,
		"public-ipv4s": strings.Join(public, "\n"), "subnet-id": e.SubnetID, "subnet-ipv4-cidr-block": n.CIDR.String(), "vpc-id": e.VpcID,
		"vpc-ipv4-cidr-block": blocks[0], "vpc-ipv4-cidr-blocks": strings.Join(blocks, "\n"), "security-group-ids": strings.Join(e.GroupIDs, "\n"),
		"owner-id": e.OwnerID, "network-card": "0", "ipv6s": strings.Join(e.Ipv6Addresses, "\n"),
	} {
		if value != "" {
			tree[under+name] = value
		}
	}
	if v.IPv6.IsValid() {
		tree[under+"vpc-ipv6-cidr-blocks"] = v.IPv6.String()
	}
	if n.IPv6.IsValid() {
		tree[under+"subnet-ipv6-cidr-blocks"] = n.IPv6.String()
	}
}

// zoneID is the id of a zone: "use1-az1" of us-east-1a, if the account's zones are in order.
func (c *Cloud) zoneID(zone string) string {
	parts := strings.Split(c.opts.Region, "-")
	short := parts[0]
	for _, p := range parts[1:] {
		short += p[:1]
	}
	return short + "-az" + strconv.Itoa(slices.Index(c.opts.Zones, zone)+1)
}
