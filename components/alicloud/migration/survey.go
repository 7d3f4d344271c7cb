package migration

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
)

const (
	available = "Available"
	inUse     = "InUse"
	running   = "Running"
)

// surveyor looks a VPC up. Lookups run in preview as well, so that a preview refuses what an update would refuse.
type surveyor struct {
	ctx  *pulumi.Context
	args *Args
	spec migration.Spec
	opt  pulumi.InvokeOption
}

// The provider does not try a lookup again that the API throttles. The pauses outlast a limit by the minute.
var pauses = []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second}

// throttled is what the codes of a refusal for too many calls have in common (alibaba-cloud-sdk-go, and NeedRetry of the provider).
var throttled = regexp.MustCompile("Throttling|ServiceUnavailable")

// ask makes one lookup, and makes it again after each of the pauses while the API throttles it.
func ask[A, R any](s surveyor, lookup func(*pulumi.Context, *A, ...pulumi.InvokeOption) (*R, error), args *A) (*R, error) {
	for _, pause := range pauses {
		result, err := lookup(s.ctx, args, s.opt)
		if err == nil || !throttled.MatchString(err.Error()) {
			return result, err
		}
		select {
		case <-s.ctx.Context().Done():
			return nil, errors.Join(err, s.ctx.Context().Err())
		case <-time.After(pause):
		}
	}
	return lookup(s.ctx, args, s.opt)
}

// noDetails spares the calls and the permissions of what a survey does not use: route table of the VPC, tags, disks and roles. With
// details, an instance without a role may be left out of the answer.
var noDetails = false

// survey asks the cloud for everything that the decision rests on.
func (a *Args) survey(ctx *pulumi.Context, spec migration.Spec) (*migration.Survey, error) {
	s := surveyor{ctx, a, spec, pulumi.Provider(a.Provider)}
	found := &migration.Survey{Addresses: map[string]migration.ElasticIP{}, Namesakes: map[string][]migration.ElasticIP{}}
	for _, step := range []struct {
		what string
		look func(*migration.Survey) error
	}{
		{"the VPC", s.network},
		{"its vSwitches", s.vswitches},
		{"its route tables", s.tables},
		{"the old next hop", s.old},
		{"its NAT gateways", s.gateways},
		{"the elastic IPs", s.addresses},
		{"the zones with enhanced NAT", s.zones},
	} {
		if err := step.look(found); err != nil {
			return nil, fmt.Errorf("look up %s of %s: %w", step.what, a.VPCID, err)
		}
		if found.VPC.ID == "" {
			break
		}
	}
	return found, nil
}

func (s surveyor) network(found *migration.Survey) error {
	result, err := ask(s, vpc.GetNetworks, &vpc.GetNetworksArgs{EnableDetails: &noDetails, Ids: []string{s.args.VPCID}})
	if err != nil {
		return err
	}
	for _, v := range result.Vpcs {
		if v.Id != s.args.VPCID {
			continue
		}
		found.VPC = migration.VPC{ID: v.Id, RouterID: orDefault(v.RouterId, v.VrouterId)}
		for _, text := range append([]string{v.CidrBlock}, v.SecondaryCidrBlocks...) {
			cidr, err := netip.ParsePrefix(text)
			if err != nil {
				return err
			}
			found.VPC.CIDRs = append(found.VPC.CIDRs, cidr)
		}
	}
	return nil
}

func (s surveyor) vswitches(found *migration.Survey) error {
	result, err := ask(s, vpc.GetSwitches, &vpc.GetSwitchesArgs{VpcId: &s.args.VPCID})
	if err != nil {
		return err
	}
	for _, v := range result.Vswitches {
		cidr, err := netip.ParsePrefix(v.CidrBlock)
		if err != nil {
			return fmt.Errorf("vSwitch %s: %w", v.Id, err)
		}
		found.VSwitches = append(found.VSwitches, migration.VSwitch{ID: v.Id, Zone: v.ZoneId, Table: v.RouteTableId, CIDR: cidr})
	}
	return nil
}

func (s surveyor) tables(found *migration.Survey) error {
	result, err := ask(s, vpc.GetRouteTables, &vpc.GetRouteTablesArgs{VpcId: &s.args.VPCID})
	if err != nil {
		return err
	}
	for _, t := range result.Tables {
		table := migration.Table{ID: orDefault(t.RouteTableId, t.Id), System: t.RouteTableType == "System"}
		entries, err := ask(s, vpc.GetRouteEntries, &vpc.GetRouteEntriesArgs{RouteTableId: table.ID})
		if err != nil {
			return fmt.Errorf("route table %s: %w", table.ID, err)
		}
		for _, e := range entries.Entries {
			// A destination may be a prefix list, by its id. Such an entry keeps an invalid prefix: it counts against the quota,
			// and nothing is known of what it covers.
			cidr, err := netip.ParsePrefix(e.CidrBlock)
			if err == nil && !cidr.Addr().Is4() {
				continue
			}
			table.Routes = append(table.Routes, migration.Route{
				CIDR: cidr, Hop: migration.Hop{Type: e.NextHopType, ID: e.InstanceId}, Available: e.Status == available, System: e.Type == "System",
			})
		}
		found.Tables = append(found.Tables, table)
		// Some answers name the vSwitches at the table only.
		for i, v := range found.VSwitches {
			if v.Table == "" && slices.Contains(t.VswitchIds, v.ID) {
				found.VSwitches[i].Table = table.ID
			}
		}
	}
	return nil
}

func (s surveyor) old(found *migration.Survey) error {
	hop := s.spec.Old
	if hop.ID == "" {
		return nil
	}
	old := &found.Old
	if len(hop.Instances) > 0 {
		result, err := ask(s, ecs.GetInstances, &ecs.GetInstancesArgs{EnableDetails: &noDetails, Ids: hop.Instances})
		if err != nil {
			return err
		}
		old.Found, old.InVPC = len(result.Instances) > 0, true
		var states []string
		for _, i := range result.Instances {
			old.InVPC = old.InVPC && i.VpcId == s.args.VPCID
			old.Running = old.Running || i.Status == running
			states = append(states, i.Status)
			if i.PublicIp != "" && i.Eip == "" {
				old.Bandwidth = max(old.Bandwidth, i.InternetMaxBandwidthOut)
				old.Addresses = append(old.Addresses, i.PublicIp)
			}
		}
		old.Status = strings.Join(states, ", ")
	}
	if err := s.publicAddresses(old, hop.ID, boundAs[hop.Type]); err != nil {
		return err
	}
	for _, instance := range hop.Instances {
		if instance == hop.ID {
			continue
		}
		if err := s.publicAddresses(old, instance, boundAs[migration.HopInstance]); err != nil {
			return err
		}
	}
	slices.Sort(old.Addresses)
	return nil
}

// boundAs is the API's type of what an elastic IP is bound to, by the type of a next hop.
var boundAs = map[string]string{migration.HopInstance: "EcsInstance", migration.HopNetworkInterface: "NetworkInterface", migration.HopHAVIP: "HaVip"}

// publicAddresses adds the elastic IPs of one part of the old gateway. Parts stand in for each other, so their bandwidths
// do not add up; those of several addresses of one part do.
func (s surveyor) publicAddresses(old *migration.OldState, id, kind string) error {
	result, err := ask(s, ecs.GetEipAddresses, &ecs.GetEipAddressesArgs{EnableDetails: &noDetails, AssociatedInstanceId: &id, AssociatedInstanceType: &kind})
	if err != nil {
		return err
	}
	sum := 0
	counted := map[string]bool{"": false}
	for _, a := range result.Addresses {
		old.Addresses = append(old.Addresses, a.IpAddress)
		if counted[a.BandwidthPackageId] {
			continue // the members of a package share the bandwidth that each of them shows
		}
		counted[a.BandwidthPackageId] = a.BandwidthPackageId != ""
		bandwidth, err := strconv.Atoi(a.Bandwidth)
		if err != nil {
			return fmt.Errorf("bandwidth of elastic IP %s: %w", a.AllocationId, err)
		}
		sum += bandwidth
	}
	old.Bandwidth = max(old.Bandwidth, sum)
	return nil
}

func (s surveyor) gateways(found *migration.Survey) error {
	result, err := ask(s, vpc.GetNatGateways, &vpc.GetNatGatewaysArgs{VpcId: &s.args.VPCID, EnableDetails: &noDetails})
	if err != nil {
		return err
	}
	for _, g := range result.Gateways {
		gateway := migration.NATGateway{
			ID: g.NatGatewayId, Name: g.NatGatewayName, Available: g.Status == available, Internet: g.NetworkType != "intranet", VSwitch: g.VswitchId,
			SNATTable: first(g.SnatTableIds), ForwardTable: first(g.ForwardTableIds),
		}
		if gateway.Name == s.spec.Gateway.Name {
			before := len(found.SNATEntries) + len(found.ForwardEntries)
			if err := s.entries(found, gateway); err != nil {
				return err
			}
			gateway.Entries = len(found.SNATEntries) + len(found.ForwardEntries) - before
		}
		found.Gateways = append(found.Gateways, gateway)
	}
	return nil
}

func first(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

func (s surveyor) entries(found *migration.Survey, gateway migration.NATGateway) error {
	if gateway.SNATTable != "" {
		result, err := ask(s, vpc.GetSnatEntries, &vpc.GetSnatEntriesArgs{SnatTableId: gateway.SNATTable})
		if err != nil {
			return err
		}
		for _, e := range result.Entries {
			entry := migration.SNATEntry{ID: e.SnatEntryId, VSwitch: e.SourceVswitchId, IPs: strings.Split(e.SnatIp, ","), Available: e.Status == available}
			if e.SourceVswitchId == "" {
				if entry.Source, err = netip.ParsePrefix(e.SourceCidr); err != nil {
					return fmt.Errorf("SNAT entry %s: %w", e.SnatEntryId, err)
				}
			}
			found.SNATEntries = append(found.SNATEntries, entry)
		}
	}
	if gateway.ForwardTable == "" {
		return nil
	}
	result, err := ask(s, vpc.GetForwardEntries, &vpc.GetForwardEntriesArgs{ForwardTableId: gateway.ForwardTable})
	if err != nil {
		return err
	}
	for _, e := range result.Entries {
		found.ForwardEntries = append(found.ForwardEntries, migration.ForwardEntry{
			ID: e.ForwardEntryId, ExternalIP: e.ExternalIp, ExternalPort: e.ExternalPort, Protocol: e.IpProtocol,
			InternalIP: e.InternalIp, InternalPort: e.InternalPort, Available: e.Status == available,
		})
	}
	return nil
}

func (s surveyor) addresses(found *migration.Survey) error {
	for _, key := range slices.Sorted(maps.Keys(s.args.Addresses)) {
		name := s.args.addressName(key)
		result, err := ask(s, ecs.GetEipAddresses, &ecs.GetEipAddressesArgs{EnableDetails: &noDetails, AddressName: &name})
		if err != nil {
			return err
		}
		var all []migration.ElasticIP
		for _, a := range result.Addresses {
			if a.AddressName == name {
				all = append(all, migration.ElasticIP{
					ID: a.AllocationId, Name: name, IP: a.IpAddress, Instance: a.InstanceId, InUse: a.Status == inUse, Package: a.BandwidthPackageId,
				})
			}
		}
		if len(all) > 0 {
			found.Addresses[key] = all[0]
		}
		if len(all) > 1 {
			found.Namesakes[key] = all
		}
	}
	return nil
}

func (s surveyor) zones(found *migration.Survey) error {
	result, err := ask(s, vpc.GetEnhancedNatAvailableZones, &vpc.GetEnhancedNatAvailableZonesArgs{})
	if err != nil {
		return err
	}
	for _, z := range result.Zones {
		found.Zones = append(found.Zones, z.ZoneId)
	}
	return nil
}
