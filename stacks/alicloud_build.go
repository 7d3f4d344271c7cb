package stacks

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"polynat/components/alicloud/migration"
	"polynat/components/alicloud/snatinstance"
)

// newAlicloudProvider makes the one provider of the setup from the keys of the namespace alicloud. An explicit provider
// does not read them by itself; secrets stay secrets.
func newAlicloudProvider(ctx *pulumi.Context, given map[string]string) (*alicloud.Provider, error) {
	c := config.New(ctx, "alicloud")
	args := &alicloud.ProviderArgs{Region: pulumi.String(given["region"])}
	plain, secret := alicloudProviderFields(args)
	for key, field := range plain {
		if value, ok := given[key]; ok {
			*field = pulumi.String(value)
		}
	}
	for key, field := range secret {
		if value, err := c.TrySecret(key); err == nil {
			*field = value
		}
	}
	return alicloud.NewProvider(ctx, "alicloud", args)
}

// alicloudProviderFields are the keys of the namespace alicloud, beside region, and the fields that they fill.
func alicloudProviderFields(args *alicloud.ProviderArgs) (plain, secret map[string]*pulumi.StringPtrInput) {
	plain = map[string]*pulumi.StringPtrInput{
		"profile": &args.Profile, "sharedCredentialsFile": &args.SharedCredentialsFile, "ecsRoleName": &args.EcsRoleName,
	}
	secret = map[string]*pulumi.StringPtrInput{
		"accessKey": &args.AccessKey, "secretKey": &args.SecretKey, "securityToken": &args.SecurityToken,
	}
	return plain, secret
}

func alicloudProviderKeys() []string {
	plain, secret := alicloudProviderFields(&alicloud.ProviderArgs{})
	keys := slices.Collect(maps.Keys(plain))
	keys = slices.AppendSeq(keys, maps.Keys(secret))
	return slices.Sorted(slices.Values(append(keys, "region")))
}

// The ids under which the migration knows what a network of its own has not made yet.
const (
	unbornInstance = "instance"
	oldNextHopType = "Instance"
)

// migrationArgs translates the block. In a network of its own, keys become the ids of the last update, or stand for
// themselves before the first.
func (s *alicloudSetup) migrationArgs() *migration.Args {
	m := s.config.Migration
	args := &migration.Args{
		Stage: m.Stage, VPCID: m.VPCID, RouteTables: m.RouteTables, RouteQuota: m.RouteQuota, Release: m.Release,
		NATGateway:       migration.NATGateway(m.NATGateway),
		Addresses:        map[string]migration.Address{},
		BandwidthPackage: (*migration.BandwidthPackage)(m.BandwidthPackage),
		SNAT:             migration.SNAT(m.SNAT),
		Forwards:         map[string]migration.Forward{},
		Tags:             s.config.Tags,
		Record:           s.last.Record,
	}
	if args.NATGateway.Name == "" {
		args.NATGateway.Name = Namespace + "-" + s.stack
	}
	if m.OldNextHop != nil {
		args.OldNextHop = migration.OldNextHop(*m.OldNextHop)
	}
	for k, a := range m.Addresses {
		args.Addresses[k] = migration.Address(a)
	}
	for k, f := range m.Forwards {
		args.Forwards[k] = migration.Forward{Address: f.Address, ExternalPort: f.ExternalPort, InternalPort: f.InternalPort, InternalIP: f.InternalIP, Protocol: f.Protocol}
	}
	if m.GateTimeoutSeconds != nil {
		timeout := time.Duration(*m.GateTimeoutSeconds) * time.Second
		args.GateTimeout = &timeout
	}
	if s.config.Network != nil {
		s.ownNetwork(args)
	}
	return args
}

// ownNetwork puts the network of this stack into args.
func (s *alicloudSetup) ownNetwork(args *migration.Args) {
	args.VPCID = s.last.VPCID
	args.OldNextHop = migration.OldNextHop{Type: oldNextHopType, ID: s.last.InstanceID}
	if s.last.VPCID == "" {
		args.OldNextHop.ID = unbornInstance
	}
	args.RouteTables = nil
	if r := args.Record; r == nil || r.Stage == "adopt" && args.Stage == "adopt" {
		for _, k := range s.tableKeys() {
			args.RouteTables = append(args.RouteTables, s.id(s.last.RouteTables, k))
		}
	}
	args.NATGateway.VSwitch = s.id(s.last.Subnets, args.NATGateway.VSwitch)
	args.SNAT.VSwitches = s.ids(args.SNAT.VSwitches)
	args.SNAT.HAVIPVSwitches = s.ids(args.SNAT.HAVIPVSwitches)
}

// id is the id that the last update gave to key, or key itself.
func (s *alicloudSetup) id(known map[string]string, key string) string {
	if id := known[key]; id != "" {
		return id
	}
	return key
}

func (s *alicloudSetup) ids(keys []string) []string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, s.id(s.last.Subnets, k))
	}
	return ids
}

// objects names what this stack makes itself: the keys before the network is registered, the live ids after.
func (s *alicloudSetup) objects() map[string]migration.Object {
	if s.config.Network == nil {
		return nil
	}
	live := func(id func() pulumi.StringOutput) pulumi.StringInput {
		if s.network == nil {
			return nil
		}
		return id()
	}
	instance := s.last.InstanceID
	if s.last.VPCID == "" {
		instance = unbornInstance
	}
	objects := map[string]migration.Object{
		s.last.VPCID: {Key: "vpc", ID: live(func() pulumi.StringOutput { return s.network.VPCID })},
		// Empty when the instance has been retired: coming back, it is made anew in this update.
		instance: {
			Key: "instance", ID: live(func() pulumi.StringOutput { return s.network.InstanceID }),
			Address: live(func() pulumi.StringOutput { return s.network.PublicIP }),
		},
	}
	for _, k := range s.tableKeys() {
		objects[s.id(s.last.RouteTables, k)] = migration.Object{
			Key: k, ID: live(func() pulumi.StringOutput { return s.network.RouteTable(k) }),
			Aliases: s.alias(snatinstance.TypeToken, snatinstance.DefaultRouteName(alicloudNetworkName, k)),
		}
	}
	for k := range s.config.Network.VSwitches {
		objects[s.id(s.last.Subnets, k)] = migration.Object{Key: k, ID: live(func() pulumi.StringOutput { return s.network.VSwitch(k) })}
	}
	return objects
}

// unknownVSwitch is a key of the migration block that the network block does not have.
type unknownVSwitch struct{ field, key string }

// goneTables are the keys of tables that the last update made and migrated, and that the configuration no longer has.
func (s *alicloudSetup) goneTables() []string {
	r := s.last.Record
	if r == nil || r.Stage == "adopt" {
		return nil
	}
	var gone []string
	for _, key := range slices.Sorted(maps.Keys(s.last.RouteTables)) {
		if !slices.Contains(s.tableKeys(), key) && slices.Contains(r.Tables, s.last.RouteTables[key]) {
			gone = append(gone, key)
		}
	}
	return gone
}

func (s *alicloudSetup) unknownVSwitches() []unknownVSwitch {
	if s.config.Network == nil {
		return nil
	}
	m := s.config.Migration
	var unknown []unknownVSwitch
	for field, keys := range map[string][]string{
		"natGateway.vswitch": {m.NATGateway.VSwitch}, "snat.vswitches": m.SNAT.VSwitches, "snat.havipVswitches": m.SNAT.HAVIPVSwitches,
	} {
		for _, k := range keys {
			if _, ok := s.config.Network.VSwitches[k]; !ok && k != "" {
				unknown = append(unknown, unknownVSwitch{field, k})
			}
		}
	}
	return unknown
}

// readAlicloudLast reads the outputs of the last update. What is not there stays empty: an update before this version, or
// one that has failed, has not written it.
func readAlicloudLast(outputs map[string]any) alicloudLast {
	network, _ := outputs["network"].(map[string]any)
	last := alicloudLast{Record: migration.ReadRecord(outputs), RouteTables: texts(network["routeTables"]), Subnets: texts(network["vswitches"])}
	last.VPCID, _ = network["vpcId"].(string)
	last.InstanceID, _ = network["instanceId"].(string)
	return last
}

// toMap turns a plain value into an output, by its JSON form.
func toMap(value any) (pulumi.Map, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	err = json.Unmarshal(text, &plain)
	return pulumi.ToMap(plain), err
}

func texts(value any) map[string]string {
	m, _ := value.(map[string]any)
	out := map[string]string{}
	for k, v := range m {
		out[k], _ = v.(string)
	}
	return out
}
