package stacks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/migration"
	"polynat/components/alicloud/snatinstance"
)

// The names of the components, and so the beginning of every child name.
const (
	alicloudNetworkName   = "alicloud-network"
	alicloudMigrationName = "alicloud-migration"
	routeEntryType        = "alicloud:vpc/routeEntry:RouteEntry"
)

// alicloudConfig is the block polynat:alicloud.
type alicloudConfig struct {
	Network   *alicloudNetwork   `config:"network"`
	Migration *alicloudMigration `config:"migration"`
	Tags      map[string]string  `config:"tags"`
}

type alicloudNetwork struct {
	CIDR        string                     `config:"cidr"`
	VSwitches   map[string]alicloudVSwitch `config:"vswitches"`
	RouteTables []string                   `config:"routeTables"`
	Instance    alicloudInstance           `config:"instance"`
}

type alicloudVSwitch struct {
	Zone       string `config:"zone"`
	CIDR       string `config:"cidr"`
	RouteTable string `config:"routeTable"`
}

type alicloudInstance struct {
	VSwitch   string `config:"vswitch"`
	Type      string `config:"type"`
	ImageID   string `config:"imageId"`
	Bandwidth int    `config:"bandwidth"`
}

type alicloudMigration struct {
	Stage              string                     `config:"stage"`
	VPCID              string                     `config:"vpcId"`
	OldNextHop         *alicloudOldNextHop        `config:"oldNextHop"`
	RouteTables        []string                   `config:"routeTables"`
	NATGateway         alicloudNATGateway         `config:"natGateway"`
	Addresses          map[string]alicloudAddress `config:"addresses"`
	BandwidthPackage   *alicloudBandwidthPackage  `config:"bandwidthPackage"`
	SNAT               alicloudSNAT               `config:"snat"`
	Forwards           map[string]alicloudForward `config:"forwards"`
	Release            []string                   `config:"release"`
	RouteQuota         int                        `config:"routeQuota"`
	GateTimeoutSeconds *int                       `config:"gateTimeoutSeconds"`
}

type alicloudOldNextHop struct {
	Type      string   `config:"type"`
	ID        string   `config:"id"`
	Instances []string `config:"instances"`
}

type alicloudNATGateway struct {
	Name               string `config:"name"`
	VSwitch            string `config:"vswitch"`
	DeclareSystemRoute bool   `config:"declareSystemRoute"`
}

type alicloudAddress struct {
	Bandwidth          int    `config:"bandwidth"`
	InternetChargeType string `config:"internetChargeType"`
}

type alicloudBandwidthPackage struct {
	Bandwidth          int    `config:"bandwidth"`
	InternetChargeType string `config:"internetChargeType"`
}

type alicloudSNAT struct {
	VSwitches      []string `config:"vswitches"`
	SourceCIDRs    []string `config:"sourceCidrs"`
	HAVIPVSwitches []string `config:"havipVswitches"`
}

type alicloudForward struct {
	Address      string `config:"address"`
	ExternalPort string `config:"externalPort"`
	InternalIP   string `config:"internalIp"`
	InternalPort string `config:"internalPort"`
	Protocol     string `config:"protocol"`
}

// alicloudLast is what the setup exported: the record of the migration, and the ids of a network of its own.
type alicloudLast struct {
	// Record is nil when no stage has been done.
	Record      *migration.Record
	VPCID       string
	InstanceID  string
	RouteTables map[string]string
	Subnets     map[string]string
}

// alicloudSetup is one run of the setup.
type alicloudSetup struct {
	ctx            *pulumi.Context
	project, stack string

	config   alicloudConfig
	last     alicloudLast
	provider *alicloud.Provider
	zones    *placed
	network  *snatinstance.SNATInstance
}

// readAlicloud reads and validates what is given.
func readAlicloud(given Given) (*alicloudSetup, error) {
	s := &alicloudSetup{project: given.Project, stack: given.Stack, last: readAlicloudLast(given.Last)}
	wrong := decode("alicloud", given.Block, &s.config)
	return s, wrong.and(s.validate(given))
}

func checkAlicloud(given Given) error {
	_, err := readAlicloud(given)
	return err
}

func runAlicloud(ctx *pulumi.Context, given Given) (pulumi.Map, error) {
	s, err := readAlicloud(given)
	if err != nil {
		return nil, err
	}
	s.ctx = ctx
	if s.config.Network == nil && s.config.Migration == nil {
		return nil, nil
	}
	if s.provider, err = newAlicloudProvider(ctx, given.Provider); err != nil {
		return nil, err
	}
	return s.run()
}

// validate finds what the components cannot see: contradictions between the two blocks, and a block that was taken out
// while the network still needs it.
func (s *alicloudSetup) validate(given Given) error {
	problems := s.places(given)
	add := func(field, value, rule, wayOut string) {
		problems = append(problems, migration.Problem{Field: "alicloud." + field, Value: value, Rule: rule, WayOut: wayOut})
	}
	network, m := s.config.Network, s.config.Migration
	if network != nil {
		if err := s.networkArgs().Validate(); err != nil {
			problems = append(problems, under("alicloud.network", err))
		}
	}
	switch {
	case m == nil:
		if r := s.last.Record; r != nil && r.Stage != "adopt" {
			add("migration", "", "is gone, but the network stands at stage "+r.Stage+" and needs it", "put it back; only at stage adopt may it be taken out")
		}
	case network != nil && s.last.Record != nil && s.last.VPCID == "":
		add("network", "", "makes a new VPC, but this stack migrates another, which stands at stage "+s.last.Record.Stage, "take the block out again, or use another stack")
		m = nil
	case network != nil:
		for _, key := range s.goneTables() {
			add("network.routeTables", fmt.Sprintf("%q", key), "is gone, but the table is migrated", "put it back; at stage adopt it may be taken out")
		}
		for field, given := range map[string]bool{"vpcId": m.VPCID != "", "oldNextHop": m.OldNextHop != nil, "routeTables": m.RouteTables != nil} {
			if given {
				add("migration."+field, "", "contradicts alicloud.network, which makes it", "leave one of the two out")
			}
		}
	case s.last.VPCID != "":
		add("network", "", "is gone, but the migration is that of its VPC "+s.last.VPCID, "put it back; take both out at stage adopt to delete the network")
	default:
		if m.VPCID == "" && len(m.RouteTables) > 0 {
			problems = append(problems, missing("alicloud.migration.vpcId", "name the VPC to migrate, or let alicloud.network make one"))
		}
	}
	if m != nil {
		for _, u := range s.unknownVSwitches() {
			add("migration."+u.field, fmt.Sprintf("%q", u.key), "is not one of alicloud.network.vswitches", "use a key of that block")
		}
		if err := s.migrationArgs().Validate(); err != nil {
			problems = append(problems, under("alicloud.migration", err))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// places finds what is wrong with the region, and zones that are not in it.
func (s *alicloudSetup) places(given Given) []error {
	if s.config.Network == nil && s.config.Migration == nil {
		return nil
	}
	if err := alicloudPlaces.check(given); err != nil {
		return []error{err}
	}
	zones := alicloudPlaces.of(given)
	s.zones = alicloudPlaces.of(given)
	if s.config.Network != nil {
		for k, v := range s.config.Network.VSwitches {
			field := "alicloud.network.vswitches." + k + ".zone"
			zones.zone(field, v.Zone)
			if s.last.Subnets[k] == "" {
				// A zone in which nothing is for sale any more is not listed: one that a vSwitch is in may be such.
				s.zones.zone(field, v.Zone)
			}
		}
	}
	return zones.problems
}

// listZones looks up the zones of the region in which an instance or a NAT gateway can be made. The provider leaves zones without
// instances for sale out of the first list, also for whoever asks it for those of vSwitches.
func (s *alicloudSetup) listZones() ([]string, error) {
	selling, err := alicloud.GetZones(s.ctx, &alicloud.GetZonesArgs{}, pulumi.Provider(s.provider))
	if err != nil {
		return nil, err
	}
	gateways, err := vpc.GetEnhancedNatAvailableZones(s.ctx, &vpc.GetEnhancedNatAvailableZonesArgs{}, pulumi.Provider(s.provider))
	if err != nil {
		return nil, err
	}
	zones := selling.Ids
	for _, z := range gateways.Zones {
		zones = append(zones, z.ZoneId)
	}
	slices.Sort(zones)
	return slices.Compact(zones), nil
}

// run decides first, for the decision may refuse, and registers then.
func (s *alicloudSetup) run() (pulumi.Map, error) {
	if err := s.zones.exist(s.ctx, s.listZones); err != nil {
		return nil, err
	}
	outputs := pulumi.Map{}
	var args *migration.Args
	if s.config.Migration != nil {
		args = s.migrationArgs()
		args.Provider, args.Objects = s.provider, s.objects()
		if err := args.Check(s.ctx, alicloudMigrationName); err != nil {
			return nil, under("alicloud.migration", err)
		}
	}
	if s.config.Network != nil {
		var err error
		if s.network, err = snatinstance.New(s.ctx, alicloudNetworkName, s.networkArgs()); err != nil {
			return nil, err
		}
		outputs["network"] = pulumi.Map{
			"vpcId": s.network.VPCID, "routeTables": s.network.RouteTables, "vswitches": s.network.VSwitches,
			"instanceId": s.network.InstanceID, "publicIp": s.network.PublicIP,
		}
	}
	if args == nil {
		return outputs, nil
	}
	args.Objects = s.objects()
	m, err := migration.New(s.ctx, alicloudMigrationName, args)
	if err != nil {
		return nil, err
	}
	maps.Copy(outputs, m.Record())
	outputs["natGatewayId"], outputs["egressAddresses"] = m.NATGatewayID, m.EgressAddresses
	if s.network == nil {
		// What the state of this stack does not hold: a rehearsal from an export needs it.
		found, err := toMap(m.Network)
		if err != nil {
			return nil, err
		}
		outputs["found"] = found
	}
	if m.Next != "" {
		outputs["next"] = pulumi.StringMap{"stage": pulumi.String(m.Next), "does": pulumi.String(m.NextEffect), "needs": pulumi.String(m.NextNeeds)}
	}
	return outputs, nil
}

func (s *alicloudSetup) networkArgs() *snatinstance.Args {
	n, m := s.config.Network, s.config.Migration
	args := &snatinstance.Args{
		CIDR: n.CIDR, RouteTables: n.RouteTables, VSwitches: map[string]snatinstance.VSwitch{}, Instance: snatinstance.Instance(n.Instance), Tags: s.config.Tags,
		DefaultRoutesElsewhere: m != nil, Retired: m != nil && m.Stage == "retire", Provider: s.provider,
	}
	for k, v := range n.VSwitches {
		args.VSwitches[k] = snatinstance.VSwitch(v)
	}
	args.DefaultRouteAliases = map[string][]pulumi.Alias{}
	for _, k := range s.tableKeys() {
		args.DefaultRouteAliases[k] = s.alias(migration.TypeToken, migration.DefaultRouteName(alicloudMigrationName, k))
	}
	return args
}

// alias names the default route of a table as a child of the other component, which declared it before: the network
// before a migration, the migration before it was taken out again.
func (s *alicloudSetup) alias(parentType, name string) []pulumi.Alias {
	old := urn.New(tokens.QName(s.stack), tokens.PackageName(s.project), tokens.Type(parentType), routeEntryType, name)
	return []pulumi.Alias{{URN: pulumi.URN(old)}}
}

func (s *alicloudSetup) tableKeys() []string {
	return append([]string{snatinstance.SystemTable}, s.config.Network.RouteTables...)
}
