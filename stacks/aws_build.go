package stacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"polynat/components/aws/discovery"
	"polynat/components/aws/nat"
	"polynat/components/aws/vpc"
	"polynat/internal/cost"
	"polynat/internal/natzone"
	"polynat/internal/problem"
)

// newAWSProvider makes the one provider of the setup from the keys of the namespace aws. An explicit provider does not read
// them by itself; secrets stay secrets.
func newAWSProvider(ctx *pulumi.Context, given map[string]string) (*aws.Provider, error) {
	args, problems := awsProviderArgs(given)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	c := config.New(ctx, "aws")
	for key, field := range awsProviderFields(args).secrets {
		if value, err := c.TrySecret(key); err == nil {
			*field = value
		}
	}
	return aws.NewProvider(ctx, "aws", args)
}

// awsProviderArgs are the keys of the provider that are no secrets, and what is wrong with them.
func awsProviderArgs(given map[string]string) (*aws.ProviderArgs, problem.List) {
	args := &aws.ProviderArgs{Region: pulumi.String(given["region"])}
	fields := awsProviderFields(args)
	for key, field := range fields.texts {
		if value, ok := given[key]; ok {
			*field = pulumi.String(value)
		}
	}
	var problems problem.List
	for _, key := range slices.Sorted(maps.Keys(fields.lists)) {
		if text, ok := given[key]; ok {
			var list []string
			if json.Unmarshal([]byte(text), &list) != nil {
				problems.Add("aws:"+key, text, "is not a list of texts", "see Pulumi.dev.yaml")
			}
			*fields.lists[key] = pulumi.ToStringArray(list)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields.switches)) {
		if text, ok := given[key]; ok {
			on, err := strconv.ParseBool(text)
			if err != nil {
				problems.Add("aws:"+key, text, "is neither true nor false", "see Pulumi.dev.yaml")
			}
			*fields.switches[key] = pulumi.Bool(on)
		}
	}
	problems = append(problems, awsBlock(given, "assumeRole", func(role struct{ RoleArn, SessionName, ExternalID, Duration string }) {
		args.AssumeRole = aws.ProviderAssumeRoleArgs{
			RoleArn: optional(role.RoleArn), SessionName: optional(role.SessionName), ExternalId: optional(role.ExternalID), Duration: optional(role.Duration),
		}
	})...)
	_, wrong := awsDefaultTags(given)
	return args, append(problems, wrong...)
}

// tagsVariable is how the environment variables begin by which the provider takes default tags, too.
const tagsVariable = "TF_AWS_DEFAULT_TAGS_"

// awsDefaultTags are those of aws:defaultTags, which become tags of the components. The provider gets none: a template for instances, a
// group and a policy by tags would not have what it adds by itself. For the same reason variables of the environment are refused.
func awsDefaultTags(given map[string]string) (tags map[string]string, problems problem.List) {
	problems = awsBlock(given, "defaultTags", func(block struct{ Tags map[string]string }) { tags = block.Tags })
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, tagsVariable) {
			problems.Add(name, value, "is a tag that the provider would add behind the program's back", "put it into aws:defaultTags, and unset the variable")
		}
	}
	return tags, problems
}

// awsBlock reads a key that is a block, and hands it over if it is there and can be read.
func awsBlock[T any](given map[string]string, key string, then func(T)) (problems problem.List) {
	text, ok := given[key]
	if !ok {
		return nil
	}
	var block T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&block); err != nil {
		problems.Add("aws:"+key, text, "cannot be read: "+err.Error(), "see Pulumi.dev.yaml")
		return problems
	}
	then(block)
	return nil
}

func optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}

type awsFields struct {
	texts, secrets map[string]*pulumi.StringPtrInput
	lists          map[string]*pulumi.StringArrayInput
	switches       map[string]*pulumi.BoolPtrInput
}

// awsProviderFields are the keys of the namespace aws, beside region and the blocks, and the fields that they fill.
func awsProviderFields(args *aws.ProviderArgs) awsFields {
	return awsFields{
		texts: map[string]*pulumi.StringPtrInput{
			"profile": &args.Profile, "stsRegion": &args.StsRegion, "retryMode": &args.RetryMode, "customCaBundle": &args.CustomCaBundle,
			"httpProxy": &args.HttpProxy, "httpsProxy": &args.HttpsProxy, "noProxy": &args.NoProxy,
		},
		secrets: map[string]*pulumi.StringPtrInput{"accessKey": &args.AccessKey, "secretKey": &args.SecretKey, "token": &args.Token},
		lists: map[string]*pulumi.StringArrayInput{
			"allowedAccountIds": &args.AllowedAccountIds, "forbiddenAccountIds": &args.ForbiddenAccountIds,
			"sharedConfigFiles": &args.SharedConfigFiles, "sharedCredentialsFiles": &args.SharedCredentialsFiles,
		},
		switches: map[string]*pulumi.BoolPtrInput{
			"useFipsEndpoint": &args.UseFipsEndpoint, "useDualstackEndpoint": &args.UseDualstackEndpoint,
			"skipCredentialsValidation": &args.SkipCredentialsValidation, "skipRequestingAccountId": &args.SkipRequestingAccountId,
			"skipMetadataApiCheck": &args.SkipMetadataApiCheck,
		},
	}
}

func awsProviderKeys() []string {
	fields := awsProviderFields(&aws.ProviderArgs{})
	keys := []string{"region", "assumeRole", "defaultTags"}
	keys = slices.AppendSeq(keys, maps.Keys(fields.texts))
	keys = slices.AppendSeq(keys, maps.Keys(fields.secrets))
	keys = slices.AppendSeq(keys, maps.Keys(fields.lists))
	return slices.Sorted(slices.Values(slices.AppendSeq(keys, maps.Keys(fields.switches))))
}

func (s *awsSetup) vpcArgs() *vpc.Args {
	args := &vpc.Args{CIDR: s.config.VPC.CIDR, Zones: map[string]vpc.Zone{}, Tags: s.tags}
	for zone, z := range s.config.VPC.Zones {
		args.Zones[zone] = vpc.Zone(z)
	}
	return args
}

func (s *awsSetup) discoveryArgs() *discovery.Args {
	d := s.config.Discovery
	return &discovery.Args{VPC: discovery.VPC(d.VPC), PublicTags: d.PublicTags, PrivateTags: d.PrivateTags, Zones: d.Zones}
}

// natArgs translates the block. Before the network has been registered or found, its ids are empty texts.
func (s *awsSetup) natArgs() (*nat.Args, error) {
	c, t := s.config.NAT, &times{}
	args := &nat.Args{
		VPC:   nat.VPC{ID: id(c.VPC.ID), CIDRs: c.VPC.CIDRs, IPv6CIDR: c.VPC.IPv6CIDR},
		Zones: map[string]nat.Zone{}, Instance: c.Instance.args(t), Rotation: c.Rotation.args(t),
		Standby: nat.StandbyMode(c.Standby), SharedStandby: nat.SharedStandby(c.SharedStandby), OnDelete: nat.OnDelete(c.OnDelete),
		Destinations: c.Destinations, AdoptRoutes: c.AdoptRoutes, NAT64: c.NAT64, Failover: c.Failover.args(t), Observability: c.Observability.args(t),
		Artefacts: nat.Artefacts(c.Artefacts), PhysicalName: c.PhysicalName, Tags: s.tags,
	}
	if c.Ingress != nil {
		args.Ingress = &nat.Ingress{CIDRs: c.Ingress.CIDRs, SecurityGroups: map[string]pulumi.StringInput{}}
		for k, g := range c.Ingress.SecurityGroups {
			args.Ingress.SecurityGroups[k] = pulumi.String(g)
		}
	}
	for zone, z := range c.Zones {
		args.Zones[zone] = z.args()
	}
	switch {
	case s.config.VPC != nil:
		s.ownNetwork(args)
	case s.config.Discovery != nil:
		s.foundNetwork(args)
	}
	return args, t.Err()
}

func (z awsZone) args() nat.Zone {
	zone := nat.Zone{
		Public: nat.Subnet{ID: id(z.Public.ID), CIDR: z.Public.CIDR}, Tables: map[string]nat.Table{},
		AllocationID: z.AllocationID, Address: z.Address, Standby: nat.Standby(z.Standby), Slot: z.Slot,
	}
	for k, t := range z.Tables {
		zone.Tables[k] = nat.Table{ID: id(t.ID), Subnets: ids(t.Subnets)}
	}
	return zone
}

// ownNetwork puts the network of this stack into args: all of its zones, each with its tables by the keys of their subnets.
func (s *awsSetup) ownNetwork(args *nat.Args) {
	var vpcID pulumi.StringInput = pulumi.String("")
	if s.vpc != nil {
		vpcID = s.vpc.VPCID
	}
	args.VPC = nat.VPC{ID: vpcID, CIDRs: []string{s.config.VPC.CIDR}}
	for zone, v := range s.config.VPC.Zones {
		z := args.Zones[zone]
		z.Public, z.Tables = nat.Subnet{ID: pulumi.String(""), CIDR: v.Public}, map[string]nat.Table{}
		for key := range v.Private {
			z.Tables[key] = nat.Table{ID: pulumi.String(""), Subnets: []pulumi.StringInput{pulumi.String("")}}
		}
		if s.vpc != nil {
			made := s.vpc.Zones[zone]
			z.Public.ID = made.PublicSubnet
			for key := range v.Private {
				z.Tables[key] = nat.Table{ID: made.RouteTables[key], Subnets: []pulumi.StringInput{made.PrivateSubnets[key]}}
			}
		}
		args.Zones[zone] = z
	}
}

// foundNetwork puts the network that was found into args: its zones, each with its tables by their ids.
func (s *awsSetup) foundNetwork(args *nat.Args) {
	if s.found == nil {
		args.VPC.ID = pulumi.String("vpc-to-be-found")
		for zone, z := range args.Zones {
			z.Public.ID, z.Tables = pulumi.String("subnet-"+zone), map[string]nat.Table{"found": {ID: pulumi.String("rtb-" + zone), Subnets: ids([]string{"subnet-private-" + zone})}}
			args.Zones[zone] = z
		}
		return
	}
	args.VPC.ID, args.VPC.CIDRs = pulumi.String(s.found.VPCID), s.found.CIDRs
	for zone, f := range s.found.Zones {
		z := args.Zones[zone]
		z.Public, z.Tables = nat.Subnet{ID: pulumi.String(f.PublicSubnet), CIDR: f.PublicCIDR.String()}, map[string]nat.Table{}
		for table, subnets := range f.Tables {
			z.Tables[table] = nat.Table{ID: pulumi.String(table), Subnets: ids(subnets)}
		}
		args.Zones[zone] = z
	}
}

func ids(texts []string) (inputs []pulumi.StringInput) {
	for _, text := range texts {
		inputs = append(inputs, pulumi.String(text))
	}
	return inputs
}

func (i awsInstance) args(t *times) nat.Instance {
	instance := nat.Instance{
		Types: i.Types, Architecture: i.Architecture, Market: nat.Market(i.Market), ImageID: i.ImageID, ImageParameter: i.ImageParameter,
		VolumeGiB: i.VolumeGiB, KMSKeyARN: i.KMSKeyARN, KeyName: i.KeyName, NoSSM: i.NoSSM, DetailedMonitoring: i.DetailedMonitoring,
		CloudWatchAgent: i.CloudWatchAgent, Before: i.Before, After: i.After, Policies: i.Policies, SecurityGroups: ids(i.SecurityGroups),
		LaunchHeartbeat:    t.read("instance.launchHeartbeat", i.LaunchHeartbeat, 0),
		TerminateHeartbeat: t.read("instance.terminateHeartbeat", i.TerminateHeartbeat, 0),
	}
	if i.Tuning != nil {
		tuning := natzone.DefaultTuning()
		t.set("instance.tuning.establishedTimeout", i.Tuning.EstablishedTimeout, &tuning.EstablishedTimeout)
		tuning.MaxConnections = i.Tuning.MaxConnections
		instance.Tuning = &tuning
	}
	return instance
}

func (r awsRotation) args(t *times) nat.Rotation {
	rotation := nat.Rotation{Lifetime: t.read("rotation.lifetime", r.Lifetime, 0), Off: r.Off, AtOnce: r.AtOnce}
	if w := r.Window; w != nil {
		rotation.Window = &nat.Window{
			Week: w.Week, Start: w.Start, TimeZone: w.TimeZone, Duration: t.read("rotation.window.duration", w.Duration, 0),
		}
		for i, day := range w.Days {
			rotation.Window.Days = append(rotation.Window.Days, t.day(fmt.Sprintf("rotation.window.days[%d]", i), day))
		}
	}
	return rotation
}

// args: what a block of times leaves out keeps its default.
func (f awsFailover) args(t *times) nat.Failover {
	failover := nat.Failover{Targets: f.Targets, Identity: f.Identity, Economy: f.Economy, Architecture: f.Architecture, Unreserved: f.Unreserved, Endpoints: f.Endpoints}
	if d := f.Detection; d != nil {
		detection := natzone.DefaultDetection()
		for _, field := range []struct {
			key, text string
			into      *natzone.Duration
		}{
			{"interval", d.Interval, &detection.Interval}, {"timeout", d.Timeout, &detection.Timeout},
			{"window", d.Window, &detection.Window}, {"active", d.Active, &detection.Active},
		} {
			t.set("failover.detection."+field.key, field.text, field.into)
		}
		set(d.Failed, &detection.Failed)
		set(d.Of, &detection.Of)
		set(d.Share, &detection.Share)
		failover.Detection = &detection
	}
	if h := f.Healing; h != nil {
		healing := natzone.DefaultHealing()
		t.set("failover.healing.dwell", h.Dwell, &healing.Dwell)
		t.set("failover.healing.pause", h.Pause, &healing.Pause)
		failover.Healing = &healing
	}
	if r := f.Restore; r != nil {
		restore := natzone.DefaultRestore()
		t.set("failover.restore.dwell", r.Dwell, &restore.Dwell)
		t.set("failover.restore.maxDwell", r.MaxDwell, &restore.MaxDwell)
		failover.Restore = &restore
	}
	return failover
}

func set[T any](given, into *T) {
	if given != nil {
		*into = *given
	}
}

func (o awsObservability) args(t *times) nat.Observability {
	return nat.Observability{
		AlertTopicARN: o.AlertTopicARN, Subscribers: o.Subscribers, LogRetentionDays: o.LogRetentionDays, LogKMSKeyARN: o.LogKMSKeyARN,
		NoAlarms: o.NoAlarms, NoDashboard: o.NoDashboard, MetricInterval: t.read("observability.metricInterval", o.MetricInterval, 0),
	}
}

// times reads durations and days, and collects what is wrong with them.
type times struct{ problem.List }

// read reads a duration as Go writes it, such as 90s or 1h30m, or in days, such as 14d.
func (t *times) read(field, text string, otherwise time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return time.Duration(n) * 24 * time.Hour
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Add(field, text, "is no duration", "write it as 14d, 12h, 5m, 90s or 250ms")
		return otherwise
	}
	return d
}

// set changes a duration that has a default.
func (t *times) set(field, text string, into *natzone.Duration) {
	*into = natzone.Duration(t.read(field, text, time.Duration(*into)))
}

// day reads the name of a day of the week.
func (t *times) day(field, text string) time.Weekday {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()) || strings.EqualFold(text, d.String()[:3]) {
			return d
		}
	}
	t.Add(field, text, "is no day of the week", "write it as sunday")
	return time.Sunday
}

// price compares with NAT gateways, for the traffic that the block names; nil without one, and where the table of prices lacks
// the region or the type.
func (s *awsSetup) price(args *nat.Args) (pulumi.Input, error) {
	t := s.config.Traffic
	if t == nil {
		return nil, nil
	}
	q := args.Question()
	q.Region, q.InGB, q.OutGB, q.InstanceHourUSD = s.region, t.InGB, t.OutGB, t.InstanceHourUSD
	answer, err := cost.Ask(q)
	if err != nil {
		return nil, s.ctx.Log.Info("the output cost is left out: "+strings.Join(messages(err), "; "), nil)
	}
	return pulumi.Map{
		"gatewayMonthlyUSD": pulumi.Float64(cents(answer.Gateway.MonthlyUSD)), "natInstanceMonthlyUSD": pulumi.Float64(cents(answer.NATInstance.MonthlyUSD)),
		"savingUSD": pulumi.Float64(cents(answer.SavingUSD)), "breakEvenGB": pulumi.Float64(cents(answer.BreakEvenGB)), "pricesOf": pulumi.String(cost.AsOf()),
	}, nil
}

func cents(usd float64) float64 { return math.Round(usd*100) / 100 }

func messages(err error) (all []string) {
	for _, e := range problem.Leaves(err) {
		all = append(all, e.Error())
	}
	return all
}
