package stacks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/discovery"
	"polynat/components/aws/nat"
	"polynat/components/aws/vpc"
	"polynat/internal/problem"
)

// The names of the components, and so the beginning of every child name.
const (
	awsVPCName = "aws-vpc"
	awsNATName = "aws-nat"
)

// awsConfig is the block polynat:aws.
type awsConfig struct {
	VPC       *awsVPC           `config:"vpc"`
	Discovery *awsDiscovery     `config:"discovery" empty:"give vpc: its id, its name or tags of it"`
	NAT       *awsNAT           `config:"nat" empty:"defaults"`
	Traffic   *awsTraffic       `config:"traffic"`
	Tags      map[string]string `config:"tags"`
}

// awsVPC is a network to try polynat in.
type awsVPC struct {
	CIDR  string                `config:"cidr"`
	Zones map[string]awsVPCZone `config:"zones"`
}

type awsVPCZone struct {
	Public  string            `config:"public"`
	Private map[string]string `config:"private"`
}

// awsDiscovery finds the zones of a network that exists.
type awsDiscovery struct {
	VPC         awsDiscoveryVPC   `config:"vpc" empty:"give its id, its name or tags of it"`
	PublicTags  map[string]string `config:"publicTags"`
	PrivateTags map[string]string `config:"privateTags"`
	Zones       []string          `config:"zones"`
}

type awsDiscoveryVPC struct {
	ID   string            `config:"id"`
	Name string            `config:"name"`
	Tags map[string]string `config:"tags"`
}

type awsNAT struct {
	VPC           awsNATVPC          `config:"vpc"`
	Zones         map[string]awsZone `config:"zones"`
	Instance      awsInstance        `config:"instance"`
	Rotation      awsRotation        `config:"rotation"`
	Standby       string             `config:"standby"`
	SharedStandby awsSharedStandby   `config:"sharedStandby"`
	OnDelete      string             `config:"onDelete"`
	Destinations  []string           `config:"destinations"`
	AdoptRoutes   bool               `config:"adoptRoutes"`
	NAT64         bool               `config:"nat64"`
	Ingress       *awsIngress        `config:"ingress"`
	Failover      awsFailover        `config:"failover"`
	Observability awsObservability   `config:"observability"`
	Artefacts     awsArtefacts       `config:"artefacts"`
	PhysicalName  string             `config:"physicalName"`
}

type awsNATVPC struct {
	ID       string   `config:"id"`
	CIDRs    []string `config:"cidrs"`
	IPv6CIDR string   `config:"ipv6Cidr"`
}

type awsZone struct {
	Public       awsSubnet           `config:"public"`
	Tables       map[string]awsTable `config:"tables"`
	AllocationID string              `config:"allocationId"`
	Address      string              `config:"address"`
	Standby      awsStandby          `config:"standby"`
	Slot         *int                `config:"slot"`
}

type awsSubnet struct {
	ID   string `config:"id"`
	CIDR string `config:"cidr"`
}

type awsTable struct {
	ID      string   `config:"id"`
	Subnets []string `config:"subnets"`
}

type awsStandby struct {
	GatewayID    string `config:"gatewayId"`
	AllocationID string `config:"allocationId"`
}

type awsInstance struct {
	Types              []string   `config:"types"`
	Architecture       string     `config:"architecture"`
	Market             string     `config:"market"`
	ImageID            string     `config:"imageId"`
	ImageParameter     string     `config:"imageParameter"`
	VolumeGiB          int        `config:"volumeGiB"`
	KMSKeyARN          string     `config:"kmsKeyArn"`
	KeyName            string     `config:"keyName"`
	NoSSM              bool       `config:"noSsm"`
	DetailedMonitoring bool       `config:"detailedMonitoring"`
	CloudWatchAgent    bool       `config:"cloudWatchAgent"`
	Before             string     `config:"before"`
	After              string     `config:"after"`
	Policies           []string   `config:"policies"`
	SecurityGroups     []string   `config:"securityGroups"`
	Tuning             *awsTuning `config:"tuning"`
	LaunchHeartbeat    string     `config:"launchHeartbeat"`
	TerminateHeartbeat string     `config:"terminateHeartbeat"`
}

type awsTuning struct {
	EstablishedTimeout string `config:"establishedTimeout"`
	MaxConnections     int    `config:"maxConnections"`
}

type awsRotation struct {
	Lifetime string     `config:"lifetime"`
	Off      bool       `config:"off"`
	Window   *awsWindow `config:"window"`
	AtOnce   bool       `config:"atOnce"`
}

type awsWindow struct {
	Days     []string `config:"days"`
	Week     int      `config:"week"`
	Start    string   `config:"start"`
	TimeZone string   `config:"timeZone"`
	Duration string   `config:"duration"`
}

type awsSharedStandby struct {
	Zone         string `config:"zone"`
	AllocationID string `config:"allocationId"`
}

type awsIngress struct {
	CIDRs          []string          `config:"cidrs"`
	SecurityGroups map[string]string `config:"securityGroups"`
}

type awsFailover struct {
	Targets      []string      `config:"targets"`
	Identity     []string      `config:"identity"`
	Economy      bool          `config:"economy"`
	Detection    *awsDetection `config:"detection"`
	Healing      *awsHealing   `config:"healing"`
	Restore      *awsRestore   `config:"restore"`
	Architecture string        `config:"architecture"`
	Unreserved   bool          `config:"unreserved"`
	Endpoints    []string      `config:"endpoints"`
}

type awsDetection struct {
	Interval string   `config:"interval"`
	Timeout  string   `config:"timeout"`
	Failed   *int     `config:"failed"`
	Of       *int     `config:"of"`
	Share    *float64 `config:"share"`
	Window   string   `config:"window"`
	Active   string   `config:"active"`
}

type awsHealing struct {
	Dwell string `config:"dwell"`
	Pause string `config:"pause"`
}

type awsRestore struct {
	Dwell    string `config:"dwell"`
	MaxDwell string `config:"maxDwell"`
}

type awsObservability struct {
	AlertTopicARN    string   `config:"alertTopicArn"`
	Subscribers      []string `config:"subscribers"`
	LogRetentionDays int      `config:"logRetentionDays"`
	LogKMSKeyARN     string   `config:"logKmsKeyArn"`
	NoAlarms         bool     `config:"noAlarms"`
	NoDashboard      bool     `config:"noDashboard"`
	MetricInterval   string   `config:"metricInterval"`
}

type awsArtefacts struct {
	Natd     string `config:"natd"`
	Failover string `config:"failover"`
	Bucket   string `config:"bucket"`
}

// awsTraffic is what passes the NAT in a month, to price it.
type awsTraffic struct {
	InGB            float64 `config:"inGb"`
	OutGB           float64 `config:"outGb"`
	InstanceHourUSD float64 `config:"instanceHourUsd"`
}

// awsSetup is one run of the setup.
type awsSetup struct {
	ctx    *pulumi.Context
	config awsConfig
	region string
	// tags of the block over those of aws:defaultTags; nil for none.
	tags     map[string]string
	provider *aws.Provider
	zones    *placed
	vpc      *vpc.VPC
	found    *discovery.Found
}

// readAWS reads and validates what is given.
func readAWS(given Given) (*awsSetup, error) {
	s := &awsSetup{region: given.Provider["region"]}
	wrong := decode("aws", given.Block, &s.config)
	if s.tags, _ = awsDefaultTags(given.Provider); s.tags == nil {
		s.tags = s.config.Tags
	}
	maps.Copy(s.tags, s.config.Tags)
	return s, wrong.and(s.validate(given))
}

func checkAWS(given Given) error {
	_, err := readAWS(given)
	return err
}

func runAWS(ctx *pulumi.Context, given Given) (pulumi.Map, error) {
	s, err := readAWS(given)
	if err != nil {
		return nil, err
	}
	s.ctx = ctx
	if s.config.VPC == nil && s.config.NAT == nil {
		return nil, nil
	}
	if s.provider, err = newAWSProvider(ctx, given.Provider); err != nil {
		return nil, err
	}
	return s.run()
}

// validate finds what shows without a lookup. The zones that discovery will find are unknown here.
func (s *awsSetup) validate(given Given) error {
	problems, wrong := s.places(given)
	c := s.config
	if c.VPC != nil {
		if err := s.vpcArgs().Validate(); err != nil {
			problems = append(problems, problem.Leaves(under("aws.vpc", err))...)
		}
	}
	if c.Discovery != nil {
		if err := s.discoveryArgs().Validate(); err != nil {
			problems = append(problems, problem.Leaves(under("aws.discovery", err))...)
		}
	}
	switch {
	case c.NAT == nil && c.Discovery != nil:
		problems.Missing("aws.nat", "say what is to be made in the zones that discovery finds, or leave discovery out")
	case c.NAT == nil && c.Traffic != nil:
		problems.Missing("aws.nat", "say what the traffic passes, or leave traffic out")
	case c.NAT != nil:
		problems = append(problems, s.networks()...)
		args, err := s.natArgs()
		if err == nil {
			err = args.Validate()
		}
		problems = append(problems, s.natProblems(err, problems, wrong)...)
	}
	if t := c.Traffic; t != nil {
		for _, amount := range []struct {
			key    string
			value  float64
			wayOut string
		}{{"inGb", t.InGB, "give GB in a month, 0 or more"}, {"outGb", t.OutGB, "give GB in a month, 0 or more"}, {"instanceHourUsd", t.InstanceHourUSD, "give USD for an hour, or leave it out"}} {
			if amount.value < 0 {
				problems = append(problems, problem.Problem{Field: "aws.traffic." + amount.key, Value: fmt.Sprint(amount.value), Rule: "is negative", WayOut: amount.wayOut})
			}
		}
	}
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	slices.SortStableFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems.Err()
}

// natProblems are those of the component, at the fields that the user wrote. They leave out what is said already, what follows from the
// name of a zone that is wrong, and what is known only when the network has been found.
func (s *awsSetup) natProblems(err error, said problem.List, wrong map[string]bool) (problems problem.List) {
	c, told := s.config, map[string]bool{}
	for _, e := range said {
		var p problem.Problem
		if errors.As(e, &p) {
			told[p.Field] = true
		}
	}
	for _, e := range problem.Leaves(under("aws.nat", err)) {
		var p problem.Problem
		errors.As(e, &p)
		zone := zoneOf(p.Field)
		_, made := s.vpcZones()[zone]
		switch {
		case wrong[zone], zone != "" && c.VPC != nil && !made:
		case c.Discovery != nil && slices.Contains([]string{"aws.nat.zones", "aws.nat.sharedStandby.zone"}, p.Field):
		case told[s.written(p).Field]:
		default:
			problems = append(problems, s.asWritten(e))
		}
	}
	return problems
}

// places finds what is wrong with the provider's keys, of which the region is one, and the zones that are not in the region.
func (s *awsSetup) places(given Given) (problems problem.List, wrong map[string]bool) {
	c := s.config
	if c.VPC == nil && c.NAT == nil {
		return nil, nil
	}
	_, problems = awsProviderArgs(given.Provider)
	if err := awsPlaces.check(given); err != nil {
		return append(problems, err), nil
	}
	zones := awsPlaces.of(given)
	s.zones = zones
	for zone := range s.vpcZones() {
		zones.zone("aws.vpc.zones."+zone, zone)
	}
	if c.Discovery != nil {
		for _, zone := range c.Discovery.Zones {
			zones.zone("aws.discovery.zones", zone)
		}
	}
	if c.NAT != nil {
		for zone := range c.NAT.Zones {
			if _, said := s.vpcZones()[zone]; !said {
				zones.zone("aws.nat.zones."+zone, zone)
			}
		}
		zones.zone("aws.nat.sharedStandby.zone", c.NAT.SharedStandby.Zone)
	}
	return append(problems, zones.problems...), zones.wrong
}

// zoneOf is the zone of a field of aws.nat.zones, empty for another.
func zoneOf(field string) string {
	rest, ok := strings.CutPrefix(field, "aws.nat.zones.")
	if !ok {
		return ""
	}
	zone, _, _ := strings.Cut(rest, ".")
	return zone
}

// networks finds what is said of the network more than once. It comes from one of three: vpc, discovery or nat itself.
func (s *awsSetup) networks() (problems problem.List) {
	c := s.config
	source := "aws.vpc, which makes it"
	switch {
	case c.VPC != nil && c.Discovery != nil:
		problems = append(problems, problem.Problem{Field: "aws.discovery", Rule: "contradicts aws.vpc", WayOut: "leave one of the two out: a network is made or found"})
		return problems
	case c.Discovery != nil:
		source = "aws.discovery, which finds it"
	case c.VPC == nil:
		return nil
	}
	given := func(field string, is bool) {
		if is {
			problems = append(problems, problem.Problem{Field: field, Rule: "contradicts " + source, WayOut: "leave one of the two out"})
		}
	}
	given("aws.nat.vpc.id", c.NAT.VPC.ID != "")
	given("aws.nat.vpc.cidrs", len(c.NAT.VPC.CIDRs) > 0)
	if c.VPC != nil {
		given("aws.nat.vpc.ipv6Cidr", c.NAT.VPC.IPv6CIDR != "")
		if c.NAT.NAT64 {
			problems = append(problems, problem.Problem{Field: "aws.nat.nat64", Value: "true", Rule: "needs IPv6, which aws.vpc does not make", WayOut: "set it to false, or name a VPC that exists and has IPv6"})
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(c.NAT.Zones)) {
		z, field := c.NAT.Zones[zone], "aws.nat.zones."+zone
		given(field+".public", z.Public != awsSubnet{})
		given(field+".tables", len(z.Tables) > 0)
		if _, ok := s.vpcZones()[zone]; !ok && c.VPC != nil {
			problems.Add(field, zone, "is not one of aws.vpc.zones", "make it there, or leave it out here")
		}
	}
	return problems
}

// overrides refuses what is said of zones that were not found.
func (s *awsSetup) overrides() error {
	var problems problem.List
	for _, zone := range slices.Sorted(maps.Keys(s.config.NAT.Zones)) {
		if _, ok := s.found.Zones[zone]; !ok {
			problems.Add("aws.nat.zones."+zone, zone, "is not one of the zones that were found", "name one of "+strings.Join(slices.Sorted(maps.Keys(s.found.Zones)), ", "))
		}
	}
	return problems.Err()
}

func (s *awsSetup) vpcZones() map[string]awsVPCZone {
	if s.config.VPC == nil {
		return nil
	}
	return s.config.VPC.Zones
}

// underNAT moves the problems of the component to the fields that the user wrote.
func (s *awsSetup) underNAT(err error) error { return s.asWritten(under("aws.nat", err)) }

func (s *awsSetup) asWritten(err error) error { return problem.Map(err, s.written, nil) }

// written is a problem of the block nat at the field that the user wrote: the tags are those of the setup, and the network may be that of
// another block.
func (s *awsSetup) written(p problem.Problem) problem.Problem {
	if tag, ok := strings.CutPrefix(p.Field, "aws.nat.tags"); ok {
		p.Field = s.tagField(tag)
	}
	switch {
	case s.config.VPC != nil:
		p.Field = s.inVPC(p.Field)
	case s.config.Discovery != nil:
		p.Field = s.inDiscovery(p.Field)
	}
	return p
}

// tagField is where the user wrote a tag, whose key follows a dot; empty are all of them.
func (s *awsSetup) tagField(tag string) string {
	_, own := s.config.Tags[strings.TrimPrefix(tag, ".")]
	if own || tag == "" && len(s.config.Tags) == len(s.tags) {
		return "aws.tags" + tag
	}
	if tag == "" && len(s.config.Tags) > 0 {
		return "aws.tags and aws:defaultTags.tags"
	}
	return "aws:defaultTags.tags" + tag
}

// inVPC is the field of the block vpc that a field of nat comes from, or the field itself.
func (s *awsSetup) inVPC(field string) string {
	if within(field, "aws.nat.vpc.cidrs") {
		return "aws.vpc.cidr"
	}
	if field == "aws.nat.zones" {
		return "aws.vpc.zones"
	}
	zone := zoneOf(field)
	made, ok := s.vpcZones()[zone]
	if !ok {
		return field
	}
	theirs, ours := "aws.nat.zones."+zone, "aws.vpc.zones."+zone
	switch {
	case field == theirs:
		return ours
	case within(field, theirs+".public"):
		return ours + ".public"
	case within(field, theirs+".tables"):
		ours += ".private"
		longest := ""
		for key := range made.Private { // a key may hold dots
			if within(field, theirs+".tables."+key) && len(key) > len(longest) {
				longest = key
			}
		}
		if longest == "" {
			return ours
		}
		return ours + "." + longest
	}
	return field
}

// inDiscovery is the field of the block discovery that a field of nat was found by, or the field itself. Subnets and route tables are those
// of its VPC: it has no other field for them.
func (s *awsSetup) inDiscovery(field string) string {
	zone := zoneOf(field)
	at := "aws.nat.zones." + zone
	_, said := s.config.NAT.Zones[zone]
	switch {
	case field == "aws.nat.vpc.id", within(field, "aws.nat.vpc.cidrs"):
		return "aws.discovery.vpc"
	case zone == "":
		return field
	case within(field, at+".public"), within(field, at+".tables"):
		return "aws.discovery.vpc"
	case field == at && !said:
		return "aws.discovery.zones"
	}
	return field
}

// listZones looks up the zones that the account can use in the region, whatever their state: the local ones that it has opted in to as well.
func (s *awsSetup) listZones() ([]string, error) {
	found, err := aws.GetAvailabilityZones(s.ctx, &aws.GetAvailabilityZonesArgs{}, pulumi.Provider(s.provider))
	if err != nil {
		return nil, err
	}
	return found.Names, nil
}

func (s *awsSetup) run() (pulumi.Map, error) {
	if err := s.zones.exist(s.ctx, s.listZones); err != nil {
		return nil, err
	}
	outputs := pulumi.Map{}
	if s.config.VPC != nil {
		args := s.vpcArgs()
		args.Provider = s.provider
		var err error
		if s.vpc, err = vpc.New(s.ctx, awsVPCName, args); err != nil {
			return nil, err
		}
		outputs["vpc"] = pulumi.Map{
			"vpcId": s.vpc.VPCID, "publicSubnets": s.vpc.PublicSubnets, "privateSubnets": s.vpc.PrivateSubnets, "routeTables": s.vpc.RouteTables,
		}
	}
	if s.config.NAT == nil {
		return outputs, nil
	}
	if s.config.Discovery != nil {
		args := s.discoveryArgs()
		args.Provider = s.provider
		var err error
		if s.found, err = discovery.Find(s.ctx, args); err != nil {
			return nil, under("aws.discovery", err)
		}
		if err := s.overrides(); err != nil {
			return nil, err
		}
	}
	args, err := s.natArgs()
	if err != nil {
		return nil, s.underNAT(err)
	}
	args.Provider = s.provider
	made, err := nat.New(s.ctx, awsNATName, args)
	if err != nil {
		return nil, s.underNAT(err)
	}
	s.export(outputs, made)
	if s.config.VPC == nil {
		outputs["network"] = natNetwork(args, made.Network)
	}
	price, err := s.price(args)
	if err != nil {
		return nil, err
	}
	if price != nil {
		outputs["cost"] = price
	}
	return outputs, nil
}

// natNetwork says where the NAT instances stand, in the words of the configuration: a rehearsal from an export of the stack begins with it.
func natNetwork(args *nat.Args, found nat.Network) pulumi.Map {
	zones := pulumi.Map{}
	for zone, z := range args.Zones {
		tables := pulumi.Map{}
		for key, t := range z.Tables {
			tables[key] = pulumi.Map{"id": t.ID, "subnets": pulumi.StringArray(t.Subnets)}
		}
		zones[zone] = pulumi.Map{"public": pulumi.Map{"id": z.Public.ID, "cidr": pulumi.String(found.PublicCIDRs[zone])}, "tables": tables}
	}
	return pulumi.Map{
		"vpc":   pulumi.Map{"id": args.VPC.ID, "cidrs": pulumi.ToStringArray(found.CIDRs), "ipv6Cidr": pulumi.String(found.IPv6CIDR)},
		"zones": zones,
	}
}

// export keys by zone what was made; for all of it together there are the outputs of the component.
func (s *awsSetup) export(outputs pulumi.Map, n *nat.NAT) {
	outputs["name"], outputs["egressAddresses"] = n.Name, n.EgressAddresses
	outputs["instanceAddresses"], outputs["standbyAddresses"] = n.InstanceAddresses, n.StandbyAddresses
	outputs["allocationIds"], outputs["privateAddresses"] = n.AllocationIDs, n.PrivateAddresses
	outputs["standbyGatewayIds"] = n.StandbyGatewayIDs
	outputs["groupNames"], outputs["groupArns"] = n.GroupNames, n.GroupARNs
	outputs["launchTemplateIds"], outputs["securityGroupIds"] = n.LaunchTemplateIDs, n.SecurityGroupIDs
	outputs["instanceRoleArns"] = n.InstanceRoleARNs
	outputs["proberRoleArns"], outputs["controllerRoleArns"] = n.ProberRoleARNs, n.ControllerRoleARNs
	outputs["proberArns"], outputs["controllerArns"] = n.ProberARNs, n.ControllerARNs
	outputs["logGroups"], outputs["stateParameters"] = n.LogGroups, n.StateParameters
	outputs["proberSecurityGroupId"] = n.ProberSecurityGroupID
	outputs["alertTopicArn"], outputs["lifecycleTopicArn"] = n.AlertTopicARN, n.LifecycleTopicARN
	outputs["deadLettersUrl"], outputs["endpoints"], outputs["bucket"] = n.DeadLettersURL, n.Endpoints, n.Bucket
	outputs["alarmArns"], outputs["dashboardName"] = n.AlarmARNs, n.DashboardName
	outputs["standbyAllocationIds"], outputs["reservationIds"] = n.StandbyAllocationIDs, n.ReservationIDs
	outputs["holderInterfaceIds"], outputs["rotationScheduleArns"] = n.HolderInterfaceIDs, n.RotationScheduleARNs
	outputs["instanceProfiles"], outputs["ruleArns"] = n.InstanceProfiles, n.RuleARNs
	outputs["noticeRoleArn"], outputs["rotationRoleArn"] = n.NoticeRoleARN, n.RotationRoleARN
	outputs["deadLettersArn"], outputs["endpointSecurityGroupId"] = n.DeadLettersARN, n.EndpointSecurityGroupID
}
