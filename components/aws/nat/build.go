package nat

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/access"
	"polynat/components/aws/failover"
	"polynat/components/aws/names"
	"polynat/components/aws/observability"
	"polynat/components/aws/zone"
	"polynat/internal/artefact"
	"polynat/internal/natzone"
)

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	found     *resolved
	names     names.Component
	component *NAT

	natd, functions *artefact.Artefact
	program         program
	agent           pulumi.Resource // the agent in S3
	made            map[string]*zone.Zone
	shared          *zone.Gateway
	roles           *access.Access
	watch           *failover.Failover
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

// programs builds what is deployed, or takes what is prebuilt.
func (b *builder) programs() (err error) {
	b.natd, err = artefact.Source{
		Program: artefact.Natd, Arch: goArch(b.found.architecture), Prebuilt: b.args.Artefacts.Natd, Field: "artefacts.natd",
	}.Make(b.ctx.Context())
	if err != nil {
		return err
	}
	b.functions, err = artefact.Source{
		Program: artefact.Failover, Arch: goArch(b.functionArchitecture()), Prebuilt: b.args.Artefacts.Failover, Field: "artefacts.failover",
	}.Make(b.ctx.Context())
	return err
}

func (b *builder) functionArchitecture() string { return or(b.args.Failover.Architecture, ARM64) }

// keep are the options of Elastic IPs.
func (b *builder) keep() []pulumi.ResourceOption {
	switch b.args.OnDelete {
	case Protect:
		return []pulumi.ResourceOption{pulumi.Protect(true)}
	case Retain:
		return []pulumi.ResourceOption{pulumi.RetainOnDelete(true)}
	}
	return nil
}

// zones makes what never moves. The zone of a shared gateway comes first, for that gateway is made after its reservation.
func (b *builder) zones() error {
	b.made = map[string]*zone.Zone{}
	keys := sorted(b.args.Zones)
	if at := slices.Index(keys, b.args.SharedStandby.Zone); at > 0 {
		keys[0], keys[at] = keys[at], keys[0]
	}
	for _, key := range keys {
		z := b.args.Zones[key]
		tables := map[string]pulumi.StringInput{}
		for k, t := range z.Tables {
			tables[k] = t.ID
		}
		args := &zone.Args{
			Zone: key, Name: b.names.Prefix, Names: b.names.Zone(key), VPCID: b.args.VPC.ID, PublicSubnetID: z.Public.ID, Address: b.found.addresses[key],
			Given: given(z.AllocationID, b.found.publicIPs[z.AllocationID]), Standby: b.standby(z), Tables: tables, Destinations: b.found.destinations, Adopt: b.found.adopt[key],
			Keep: b.keep(), Tags: b.args.Tags, Provider: b.args.Provider,
		}
		if i := b.args.Ingress; i != nil {
			args.IngressCIDRs, args.IngressGroups = i.CIDRs, i.SecurityGroups
		} else if args.IngressCIDRs = b.found.cidrs; b.args.NAT64 {
			args.IngressCIDRs = append(slices.Clone(b.found.cidrs), b.found.ipv6CIDR)
		}
		made, err := zone.New(b.ctx, b.name, args, pulumi.Parent(b.component))
		if err != nil {
			return err
		}
		b.made[key] = made
	}
	return nil
}

// standby is the part of a zone in the standby gateways; nil for none.
func (b *builder) standby(z Zone) *zone.Standby {
	switch b.args.standby() {
	case PerZone:
		return &zone.Standby{Given: given(z.Standby.AllocationID, b.found.publicIPs[z.Standby.AllocationID])}
	case Shared:
		return &zone.Standby{Gateway: b.sharedGateway}
	case Existing:
		return &zone.Standby{Gateway: func([]pulumi.Resource) (*zone.Gateway, error) {
			return &zone.Gateway{ID: pulumi.String(z.Standby.GatewayID), PublicIP: pulumi.String(b.found.publicIPs[z.Standby.GatewayID])}, nil
		}}
	}
	return nil
}

func (b *builder) sharedGateway(after []pulumi.Resource) (_ *zone.Gateway, err error) {
	if b.shared == nil {
		s := b.args.SharedStandby
		tags := map[string]string{"Name": b.names.Prefix + "-standby"}
		for k, v := range b.args.Tags {
			tags[k] = v
		}
		b.shared, err = zone.NewGateway(b.ctx, b.childName("standby"), b.childName("standby-address"), &zone.GatewayArgs{
			Zone: s.Zone, SubnetID: b.args.Zones[s.Zone].Public.ID, Given: given(s.AllocationID, b.found.publicIPs[s.AllocationID]), Keep: b.keep(), Tags: tags, After: after,
		}, b.childOpts()...)
	}
	return b.shared, err
}

// bucket puts the agent where the instances fetch it. Its key holds its hash, so that an instance which is launched while the
// agent changes gets the one that its user data expects.
func (b *builder) bucket() error {
	b.program = program{bucket: b.args.Artefacts.Bucket, key: path.Join("natd", b.natd.SHA256, "natd"), sha256: b.natd.SHA256}
	name := pulumi.String(b.program.bucket).ToStringOutput()
	if b.program.bucket == "" {
		b.program.bucket = b.names.Bucket(b.found.account.ID, b.found.account.Region)
		made, err := s3.NewBucketV2(b.ctx, b.childName("artefacts"), &s3.BucketV2Args{
			Bucket: pulumi.String(b.program.bucket), ForceDestroy: pulumi.Bool(true), Tags: pulumi.ToStringMap(b.args.Tags),
		}, b.childOpts()...)
		if err != nil {
			return err
		}
		private, err := s3.NewBucketPublicAccessBlock(b.ctx, b.childName("artefacts-private"), &s3.BucketPublicAccessBlockArgs{
			Bucket: made.Bucket, BlockPublicAcls: pulumi.Bool(true), BlockPublicPolicy: pulumi.Bool(true), IgnorePublicAcls: pulumi.Bool(true), RestrictPublicBuckets: pulumi.Bool(true),
		}, b.childOpts()...)
		if err != nil {
			return err
		}
		policy, err := b.found.account.OnlyEncrypted(b.program.bucket).JSON()
		if err != nil {
			return err
		}
		// After the other one: S3 refuses two changes of a bucket at a time.
		_, err = s3.NewBucketPolicy(b.ctx, b.childName("artefacts-policy"), &s3.BucketPolicyArgs{
			Bucket: made.Bucket, Policy: pulumi.String(policy),
		}, b.childOpts(pulumi.DependsOn([]pulumi.Resource{private}))...)
		if err != nil {
			return err
		}
		name = made.Bucket
	}
	object, err := s3.NewBucketObjectv2(b.ctx, b.childName("agent-"+b.found.architecture), &s3.BucketObjectv2Args{
		Bucket: name, Key: pulumi.String(b.program.key), Source: pulumi.NewFileAsset(b.natd.Path), SourceHash: pulumi.String(b.natd.SHA256),
		ContentType: pulumi.String("application/octet-stream"),
	}, b.childOpts()...)
	b.agent, b.component.Bucket = object, name
	return err
}

func (b *builder) alertTopic() string {
	return or(b.args.Observability.AlertTopicARN, b.found.account.ARN("sns", b.names.AlertTopic()))
}

func (b *builder) access() (err error) {
	zones := map[string]access.ZoneArgs{}
	for key, made := range b.made {
		zones[key] = access.ZoneArgs{
			RouteTables: b.tables(key), AllocationID: made.AllocationID,
			ObjectARN: pulumi.String("arn:" + b.found.account.Partition + ":s3:::" + path.Join(b.program.bucket, b.program.key)),
		}
	}
	b.roles, err = access.New(b.ctx, b.name, &access.Args{
		Account: b.found.account, Names: b.names, Zones: zones, AlertTopicARN: b.alertTopic(), SSM: !b.args.Instance.NoSSM, Policies: b.args.Instance.Policies, Rotation: b.args.Rotation.Window != nil,
		Tags: b.args.Tags, Provider: b.args.Provider,
	}, pulumi.Parent(b.component))
	return err
}

// tables of a zone, in the order of their keys.
func (b *builder) tables(key string) (ids pulumi.StringArray) {
	tables := b.args.Zones[key].Tables
	for _, k := range sorted(tables) {
		ids = append(ids, tables[k].ID)
	}
	return ids
}

func (b *builder) failover() (err error) {
	zones := map[string]failover.Zone{}
	for key, made := range b.made {
		roles := b.roles.Zones[key]
		zones[key] = failover.Zone{
			Names: b.names.Zone(key), Subnets: b.args.Zones[key].probed(), RouteTables: b.tables(key), Destinations: b.found.destinations, Standby: made.StandbyID,
			Egress: b.egress(key), Address: b.found.addresses[key], ProberRole: roles.Prober, ControllerRole: roles.Controller,
			// The routes come before the functions so that they go after them: it takes Lambda 20 to 45 minutes to leave a subnet.
			Ready: slices.Concat(roles.FunctionsReady, made.Routes),
		}
	}
	o, f := b.args.Observability, b.args.Failover
	b.watch, err = failover.New(b.ctx, b.name, &failover.Args{
		Name: b.names.Prefix, Names: b.names, Account: b.found.account, VPCID: b.args.VPC.ID, CIDRs: b.found.cidrs, Zones: zones,
		Targets: targets(f.targets()), Identity: f.identity(), Detection: f.detection(), Healing: f.healing(), Hold: b.args.Rotation.hold(),
		Code: b.functions, Architecture: b.functionArchitecture(), Unreserved: f.Unreserved, AlertTopicARN: o.AlertTopicARN, Subscribers: o.Subscribers,
		LogRetentionDays: or(o.LogRetentionDays, defaultRetention), LogKMSKeyARN: o.LogKMSKeyARN, Endpoints: f.Endpoints,
		Tags: b.args.Tags, Provider: b.args.Provider,
	}, pulumi.Parent(b.component))
	return err
}

// mostSubnets is how many a function may stand in, by the API reference of Lambda.
const mostSubnets = 16

// probed are the subnets that the prober stands in: in turn one of every table, until there are no more or Lambda takes no more.
func (z Zone) probed() (subnets pulumi.StringArray) {
	keys := sorted(z.Tables)
	for turn, left := 0, true; left; turn++ {
		left = false
		for _, k := range keys {
			if of := z.Tables[k].Subnets; turn < len(of) && len(subnets) < mostSubnets {
				subnets, left = append(subnets, of[turn]), true
			}
		}
	}
	return subnets
}

// egress are the addresses that the traffic of a zone may leave from.
func (b *builder) egress(key string) pulumi.StringArray {
	made := b.made[key]
	if b.args.standby() == None {
		return pulumi.StringArray{made.PublicIP}
	}
	return pulumi.StringArray{made.PublicIP, made.StandbyIP}
}

func targets(urls []string) []natzone.Target {
	list := make([]natzone.Target, len(urls))
	for i, u := range urls {
		list[i] = natzone.Target(u)
	}
	return list
}

// launch makes the groups, last.
func (b *builder) launch() error {
	i, r := b.args.Instance, b.args.Rotation
	for _, key := range sorted(b.made) {
		slot, _ := b.args.Zones[key].slot(key)
		args := &zone.LaunchArgs{
			UserData: b.userData(key), Profile: b.roles.Zones[key].Profile, ImageID: i.imageID(b.found.architecture), Types: i.types(), Spot: i.Market == Spot,
			VolumeGiB: or(i.VolumeGiB, defaultVolume), KMSKeyARN: i.KMSKeyARN, KeyName: i.KeyName, DetailedMonitoring: i.DetailedMonitoring, IPv6: b.args.NAT64,
			SecurityGroups: i.SecurityGroups, Lifetime: r.lifetime(slot), AtOnce: r.AtOnce,
			LaunchHeartbeat: or(i.LaunchHeartbeat, defaultLaunchHeartbeat), TerminateHeartbeat: or(i.TerminateHeartbeat, defaultTerminateHeartbeat),
			LifecycleTopicARN: b.watch.LifecycleTopicARN, NoticeRoleARN: b.roles.NoticeRoleARN,
			Ready: slices.Concat(b.roles.Ready, b.watch.Ready, []pulumi.Resource{b.agent}),
		}
		if b.found.nitro {
			args.Tracking = i.tracking()
		}
		if b.args.Ingress != nil {
			args.ProberSecurityGroup = b.watch.ProberSecurityGroupID
		}
		if w := r.Window; w != nil {
			expression, err := w.expression(slot)
			if err != nil {
				return fmt.Errorf("rotation.window.start: %w", err)
			}
			args.Rotation = &zone.Rotation{
				Expression: expression, TimeZone: w.timeZone(), RoleARN: b.roles.RotationRoleARN,
				Target: "arn:" + b.found.account.Partition + ":scheduler:::aws-sdk:autoscaling:startInstanceRefresh",
			}
		}
		if err := b.made[key].Launch(args); err != nil {
			return err
		}
	}
	return nil
}

// userData of a zone's instance, as soon as the ids in it are known.
func (b *builder) userData(key string) pulumi.StringOutput {
	made, n := b.made[key], b.names.Zone(key)
	f := b.args.Failover
	agent := natzone.Agent{
		Version: natzone.Version, Name: b.names.Prefix, Zone: key, Region: b.found.account.Region, Address: b.found.addresses[key],
		Destinations: b.found.destinations, NAT64: b.args.NAT64, ClientCIDRs: b.clients(), Group: n.Group(), LaunchHook: natzone.LaunchHook, TerminateHook: natzone.TerminateHook,
		Targets: targets(f.targets()), Identity: f.identity(), Tuning: b.args.Instance.tuning(), Restore: f.restore(),
		MetricNamespace: natzone.MetricNamespace, MetricInterval: natzone.Duration(or(b.args.Observability.MetricInterval, time.Minute)), HealthPort: natzone.HealthPort, SSH: b.args.Instance.KeyName != "",
	}
	known := pulumi.StringArray{made.AllocationID, made.PublicIP, made.StandbyID}.ToStringArrayOutput()
	return pulumi.StringArrayArray{known, b.tables(key)}.ToStringArrayArrayOutput().ApplyT(func(ids [][]string) (string, error) {
		return instanceScript(agent, ids, b.program, &b.args.Instance)
	}).(pulumi.StringOutput)
}

// clients are the IPv4 networks outside the VPC that may send through the instances.
func (b *builder) clients() (list []netip.Prefix) {
	if b.args.Ingress == nil {
		return nil
	}
	for _, cidr := range slices.Sorted(slices.Values(b.args.Ingress.CIDRs)) {
		p := netip.MustParsePrefix(cidr) // Validate has parsed it
		within := func(of string) bool {
			v, err := netip.ParsePrefix(of)
			return err == nil && v.Bits() <= p.Bits() && v.Contains(p.Addr())
		}
		if p.Addr().Is4() && !slices.ContainsFunc(b.found.cidrs, within) {
			list = append(list, p)
		}
	}
	return list
}

// instanceScript is the user data with the ids: allocation, public address and standby gateway, then the route tables.
func instanceScript(agent natzone.Agent, ids [][]string, from program, i *Instance) (string, error) {
	if len(ids) != 2 || len(ids[0]) != 3 {
		return "", fmt.Errorf("configuration of natd: %d lists of ids, want 2", len(ids))
	}
	public, err := netip.ParseAddr(ids[0][1])
	if err != nil {
		return "", fmt.Errorf("configuration of natd: address of %s: %w", ids[0][0], err)
	}
	agent.AllocationID, agent.PublicAddress, agent.Standby, agent.RouteTables = ids[0][0], public, ids[0][2], ids[1]
	return userData(&agent, from, i)
}

func (b *builder) observability() error {
	o := b.args.Observability
	b.component.AlarmARNs, b.component.DashboardName = pulumi.StringMap{}.ToStringMapOutput(), pulumi.String("").ToStringOutput()
	if o.NoAlarms && o.NoDashboard {
		return nil
	}
	zones, launched := map[string]observability.Zone{}, []pulumi.Resource{}
	for _, key := range sorted(b.made) {
		made := b.made[key]
		launched = append(launched, made.Group)
		zones[key] = observability.Zone{Names: b.names.Zone(key), Standby: made.StandbyID, HasStandby: b.args.standby() != None}
	}
	watched, err := observability.New(b.ctx, b.name, &observability.Args{
		Name: b.names.Prefix, Names: b.names, Account: b.found.account, Zones: zones, AlertTopicARN: b.watch.AlertTopicARN,
		Detection: b.args.Failover.detection(), After: launched, Alarms: !o.NoAlarms, Dashboard: !o.NoDashboard, Tags: b.args.Tags, Provider: b.args.Provider,
	}, pulumi.Parent(b.component))
	if err != nil {
		return err
	}
	b.component.AlarmARNs, b.component.DashboardName = watched.AlarmARNs, watched.DashboardName
	return nil
}

// outputs fills the component, and returns what it registers.
func (b *builder) outputs() pulumi.Map {
	n := b.component
	n.Name = pulumi.String(b.names.Prefix).ToStringOutput()
	public, standby, allocations, private, gateways := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	groups, arns, templates, security := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	instances, probers, controllers, profiles := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	standbyAllocations, reservations, holders, rotations := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}
	var egress pulumi.StringArray
	for _, key := range sorted(b.made) {
		z, r := b.made[key], b.roles.Zones[key]
		public[key], allocations[key], private[key] = z.PublicIP, z.AllocationID, pulumi.String(b.found.addresses[key].String())
		if b.args.standby() != None {
			standby[key], gateways[key] = z.StandbyIP, z.StandbyID
		} else {
			holders[key] = z.HolderID
		}
		if s := b.args.standby(); s == PerZone || s == Shared {
			standbyAllocations[key] = z.StandbyAllocationID
		}
		if b.args.Rotation.Window != nil {
			rotations[key] = z.RotationARN
		}
		reservations[key], profiles[key] = z.ReservationID, r.Profile
		groups[key], arns[key], templates[key], security[key] = z.GroupName, z.GroupARN, z.LaunchTemplateID, z.SecurityGroupID
		instances[key], probers[key], controllers[key] = r.Instance, r.Prober, r.Controller
		egress = append(egress, b.egress(key)...)
	}
	n.EgressAddresses = egress.ToStringArrayOutput().ApplyT(distinct).(pulumi.StringArrayOutput)
	n.InstanceAddresses, n.StandbyAddresses, n.AllocationIDs = public.ToStringMapOutput(), standby.ToStringMapOutput(), allocations.ToStringMapOutput()
	n.PrivateAddresses, n.StandbyGatewayIDs = private.ToStringMapOutput(), gateways.ToStringMapOutput()
	n.GroupNames, n.GroupARNs, n.LaunchTemplateIDs, n.SecurityGroupIDs = groups.ToStringMapOutput(), arns.ToStringMapOutput(), templates.ToStringMapOutput(), security.ToStringMapOutput()
	n.InstanceRoleARNs, n.ProberRoleARNs, n.ControllerRoleARNs = instances.ToStringMapOutput(), probers.ToStringMapOutput(), controllers.ToStringMapOutput()
	n.StandbyAllocationIDs, n.ReservationIDs, n.HolderInterfaceIDs = standbyAllocations.ToStringMapOutput(), reservations.ToStringMapOutput(), holders.ToStringMapOutput()
	n.RotationScheduleARNs, n.InstanceProfiles = rotations.ToStringMapOutput(), profiles.ToStringMapOutput()
	n.NoticeRoleARN, n.RotationRoleARN = b.roles.NoticeRoleARN, b.roles.RotationRoleARN
	w := b.watch
	n.RuleARNs, n.DeadLettersARN, n.EndpointSecurityGroupID = w.RuleARNs, w.DeadLettersARN, w.EndpointSecurityGroupID
	n.ProberARNs, n.ControllerARNs, n.LogGroups, n.StateParameters = w.ProberARNs, w.ControllerARNs, w.LogGroups, w.StateParameters
	n.ProberSecurityGroupID, n.AlertTopicARN, n.LifecycleTopicARN, n.DeadLettersURL, n.Endpoints = w.ProberSecurityGroupID, w.AlertTopicARN, w.LifecycleTopicARN, w.DeadLettersURL, w.Endpoints
	return pulumi.Map{
		"standbyAllocationIds": n.StandbyAllocationIDs, "reservationIds": n.ReservationIDs, "holderInterfaceIds": n.HolderInterfaceIDs,
		"rotationScheduleArns": n.RotationScheduleARNs, "instanceProfiles": n.InstanceProfiles, "noticeRoleArn": n.NoticeRoleARN, "rotationRoleArn": n.RotationRoleARN,
		"ruleArns": n.RuleARNs, "deadLettersArn": n.DeadLettersARN, "endpointSecurityGroupId": n.EndpointSecurityGroupID,
		"egressAddresses": n.EgressAddresses, "name": n.Name, "instanceAddresses": n.InstanceAddresses, "standbyAddresses": n.StandbyAddresses,
		"allocationIds": n.AllocationIDs, "privateAddresses": n.PrivateAddresses, "standbyGatewayIds": n.StandbyGatewayIDs, "groupNames": n.GroupNames,
		"groupArns": n.GroupARNs, "launchTemplateIds": n.LaunchTemplateIDs, "securityGroupIds": n.SecurityGroupIDs, "instanceRoleArns": n.InstanceRoleARNs,
		"proberRoleArns": n.ProberRoleARNs, "controllerRoleArns": n.ControllerRoleARNs, "proberArns": n.ProberARNs, "controllerArns": n.ControllerARNs,
		"logGroups": n.LogGroups, "stateParameters": n.StateParameters, "proberSecurityGroupId": n.ProberSecurityGroupID, "alertTopicArn": n.AlertTopicARN,
		"lifecycleTopicArn": n.LifecycleTopicARN, "deadLettersUrl": n.DeadLettersURL, "endpoints": n.Endpoints, "alarmArns": n.AlarmARNs, "dashboardName": n.DashboardName, "bucket": n.Bucket,
	}
}

// distinct are the addresses without repetition, in order: zones may share a gateway.
func distinct(addresses []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(addresses)))
}
