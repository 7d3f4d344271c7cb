package migration

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/ecs"
	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/alicloud/tags"
	"polynat/internal/migration"
)

// builder registers the children in the order of its steps.
type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	plan      *migration.Plan
	component *Migration

	nat  *vpc.NatGateway
	eips map[string]*ecs.EipAddress
	// bound are the associations (and memberships of the bandwidth package) that SNAT and forward entries need.
	bound []pulumi.Resource
	// all are the children so far; the marker depends on them.
	all []pulumi.Resource
	// done is the marker.
	done pulumi.Resource
}

// childName is the component's name, the kind, and a key that belongs to the thing.
func (b *builder) childName(parts ...string) string { return childName(b.name, parts...) }

func childName(name string, parts ...string) string {
	return strings.Join(append([]string{name}, parts...), "-")
}

// routeName is the child name of a route.
func routeName(name string, table Object, plan migration.RoutePlan) string {
	switch {
	case plan.ToNAT:
		return childName(name, "nat-default", table.Key)
	case plan.CIDR.Bits() == 0:
		return DefaultRouteName(name, table.Key)
	}
	return childName(name, "cover", table.Key, slug(plan.CIDR.String()))
}

// snatKey is the key of an SNAT entry in names.
func (a *Args) snatKey(source migration.Source) string {
	if source.VSwitch != "" {
		return a.object(source.VSwitch).Key
	}
	return slug(source.CIDR.String())
}

// childOpts are the options that every child has. importID takes an existing object over: for one that the stack manages
// already it changes nothing, and it keeps a replacement from happening unseen.
func (b *builder) childOpts(importID string, extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	opts := []pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}
	if importID != "" {
		opts = append(opts, pulumi.Import(pulumi.ID(importID)))
	}
	return append(opts, extra...)
}

// guarded adds the protection of what carries traffic.
func (b *builder) guarded(importID string, extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return b.childOpts(importID, append(extra, pulumi.Protect(b.plan.Protected()))...)
}

// keep remembers a child for the marker.
func (b *builder) keep(r pulumi.Resource, err error) error {
	if err == nil {
		b.all = append(b.all, r)
	}
	return err
}

func (b *builder) gateway() (err error) {
	plan := b.plan.Gateway
	if plan == nil {
		return nil
	}
	// NatType and VswitchId go together: without the first the provider drops the second. The charge types replace the
	// gateway when they change, so they are fixed here and not inputs.
	args := &vpc.NatGatewayArgs{
		VpcId:              b.vpcID(),
		VswitchId:          b.args.object(plan.VSwitch).ID.ToStringOutput(),
		NatGatewayName:     pulumi.String(plan.Name),
		NatType:            pulumi.String("Enhanced"),
		NetworkType:        pulumi.String("internet"),
		PaymentType:        pulumi.String("PayAsYouGo"),
		InternetChargeType: pulumi.String("PayByLcu"),
		DeletionProtection: pulumi.Bool(b.plan.Protected()),
		Tags:               tags.Of(b.args.Tags),
	}
	b.nat, err = vpc.NewNatGateway(b.ctx, b.childName("nat"), args, b.guarded(plan.ImportID)...)
	return b.keep(b.nat, err)
}

func (b *builder) vpcID() pulumi.StringOutput {
	return b.args.object(b.args.VPCID).ID.ToStringOutput()
}

// routes declares the entries of each table. The tables are chained: the cloud works on one route of a VPC at a time, and
// an entry that waits for too many others runs into the provider's deadline of ten minutes.
func (b *builder) routes() error {
	var before []pulumi.Resource
	for _, table := range b.plan.Tables {
		var made []pulumi.Resource
		for _, r := range table.Routes {
			if b.isLate(r) {
				continue
			}
			entry, err := b.route(b.args.object(table.ID), r, before)
			if err != nil {
				return err
			}
			made = append(made, entry)
		}
		if len(made) > 0 {
			before = made
		}
	}
	return nil
}

// isLate tells routes that are registered behind the gate: the adopted default routes on the way to stage cover. Their
// registration there clears the option by which they outlive the stack, which must not happen before the blocks stand.
func (b *builder) isLate(r migration.RoutePlan) bool {
	return b.plan.Stage == migration.Cover && b.args.Record != nil && b.args.Record.Stage == string(migration.Adopt) &&
		r.CIDR.Bits() == 0 && r.ImportID != ""
}

// lateRoutes registers them, and says that the stage is done when they and the marker are.
func (b *builder) lateRoutes() error {
	registered := pulumi.StringArray{b.done.URN().ToStringOutput()}
	for _, table := range b.plan.Tables {
		for _, r := range table.Routes {
			if !b.isLate(r) {
				continue
			}
			entry, err := b.route(b.args.object(table.ID), r, nil)
			if err != nil {
				return err
			}
			registered = append(registered, entry.URN().ToStringOutput())
		}
	}
	stage := string(b.plan.Stage)
	b.component.Stage = registered.ToStringArrayOutput().ApplyT(func([]string) string { return stage }).(pulumi.StringOutput)
	return nil
}

// route declares one entry. Whoever destroys the stack of an existing network, or takes the component out, leaves the routes
// that carry its traffic wherever the next step does not delete them: the default route at adopt, the blocks from uncover
// to address. The engine reads that option from the state, so the step before the one that deletes is what clears it.
func (b *builder) route(table Object, plan migration.RoutePlan, before []pulumi.Resource) (*vpc.RouteEntry, error) {
	args := &vpc.RouteEntryArgs{
		RouteTableId:         table.ID.ToStringOutput(),
		DestinationCidrblock: pulumi.String(plan.CIDR.String()),
		NexthopType:          pulumi.String(b.args.OldNextHop.Type),
		NexthopId:            b.args.object(b.args.OldNextHop.ID).ID.ToStringOutput(),
	}
	// The name of an entry is Pulumi's: an adopted one has none, which must not count as a change.
	opts := []pulumi.ResourceOption{pulumi.IgnoreChanges([]string{"name"}), pulumi.DependsOn(before)}
	switch {
	case plan.ToNAT:
		args.NexthopType, args.NexthopId = pulumi.String(migration.HopNATGateway), b.nat.ID().ToStringOutput()
		// A network of the program's own is there to be thrown away until traffic has moved.
		opts = append(opts, pulumi.Protect(b.plan.Protected() || b.plan.ProtectsDefault() && !table.made))
	case plan.CIDR.Bits() == 0:
		opts = append(opts, pulumi.Aliases(table.Aliases), pulumi.RetainOnDelete(b.plan.Stage == migration.Adopt && !table.made))
	default:
		opts = append(opts, pulumi.RetainOnDelete(b.plan.RetainsCovers() && !table.made))
	}
	if b.isLate(plan) {
		// An option to depend on a component waits for its children, of which the marker has none; an input does wait.
		hop := b.args.OldNextHop.Type
		args.NexthopType = b.done.URN().ApplyT(func(pulumi.URN) string { return hop }).(pulumi.StringOutput)
	}
	entry, err := vpc.NewRouteEntry(b.ctx, routeName(b.name, table, plan), args, b.childOpts(plan.ImportID, opts...)...)
	return entry, b.keep(entry, err)
}

func (b *builder) bandwidthPackage() error {
	plan := b.args.BandwidthPackage
	if plan == nil || len(b.plan.Addresses) == 0 {
		return nil
	}
	args := &vpc.CommonBandwithPackageArgs{
		BandwidthPackageName: pulumi.String(b.args.NATGateway.Name),
		Bandwidth:            pulumi.String(strconv.Itoa(plan.Bandwidth)),
		InternetChargeType:   pulumi.String(plan.chargeType()),
		DeletionProtection:   pulumi.Bool(b.plan.Protected()),
		Tags:                 tags.Of(b.args.Tags),
	}
	p, err := vpc.NewCommonBandwithPackage(b.ctx, b.childName("bandwidth"), args, b.guarded(b.plan.PackageID)...)
	b.component.bandwidth = p
	return b.keep(p, err)
}

func (b *builder) addresses() error {
	b.eips = map[string]*ecs.EipAddress{}
	for _, plan := range b.plan.Addresses {
		eip, err := b.address(plan)
		if err != nil {
			return err
		}
		association, err := ecs.NewEipAssociation(b.ctx, b.childName("association", plan.Key), &ecs.EipAssociationArgs{
			AllocationId: eip.ID(),
			InstanceId:   b.nat.ID(),
			InstanceType: pulumi.String("Nat"),
			// The API may show these of the other side; the provider would take them for something that the program has removed.
		}, b.guarded(plan.AssociationID, pulumi.IgnoreChanges([]string{"vpcId", "privateIpAddress"}))...)
		if err := b.keep(association, err); err != nil {
			return err
		}
		b.bound = append(b.bound, association)
		if b.component.bandwidth == nil {
			continue
		}
		membership, err := vpc.NewCommonBandwithPackageAttachment(b.ctx, b.childName("membership", plan.Key), &vpc.CommonBandwithPackageAttachmentArgs{
			BandwidthPackageId: b.component.bandwidth.ID(),
			InstanceId:         eip.ID(),
		}, b.guarded(plan.AttachmentID, pulumi.DependsOn([]pulumi.Resource{association}))...)
		if err := b.keep(membership, err); err != nil {
			return err
		}
		b.bound = append(b.bound, membership)
	}
	return nil
}

func (b *builder) address(plan migration.AddressPlan) (*ecs.EipAddress, error) {
	args := &ecs.EipAddressArgs{
		AddressName:        pulumi.String(b.args.addressName(plan.Key)),
		Bandwidth:          pulumi.String(strconv.Itoa(plan.Bandwidth)),
		InternetChargeType: pulumi.String(b.args.Addresses[plan.Key].chargeType()),
		PaymentType:        pulumi.String("PayAsYouGo"),
		DeletionProtection: pulumi.Bool(b.plan.Protected()),
		Tags:               tags.Of(b.args.Tags),
	}
	eip, err := ecs.NewEipAddress(b.ctx, b.childName("address", plan.Key), args, b.guarded(plan.ImportID)...)
	b.eips[plan.Key] = eip
	return eip, b.keep(eip, err)
}

// entryTimeout replaces the provider's two minutes: the cloud makes one SNAT entry of a gateway at a time.
var entryTimeout = pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "10m", Delete: "10m"})

// snat declares the entries one after the other. They depend on the associations: an address that an entry uses cannot be
// unbound, so the entries must go first on the way back.
func (b *builder) snat() error {
	ips := b.snatIPs()
	before := slices.Clone(b.bound)
	for _, plan := range b.plan.SNAT {
		args := &vpc.SnatEntryArgs{SnatTableId: b.nat.SnatTableIds, SnatIp: ips}
		k := b.args.snatKey(plan.Source)
		if plan.VSwitch != "" {
			args.SourceVswitchId = b.args.object(plan.VSwitch).ID.ToStringOutput()
		} else {
			args.SourceCidr = pulumi.String(plan.CIDR.String())
		}
		args.SnatEntryName = pulumi.String(b.args.NATGateway.Name + "-" + k)
		entry, err := vpc.NewSnatEntry(b.ctx, b.childName("snat", k), args, b.guarded(plan.ImportID, entryTimeout, pulumi.DependsOn(before),
			// The cloud may list several addresses in another order, which must not look like a change: one would replace the entry.
			pulumi.IgnoreChanges([]string{"snatIp"}))...)
		if err := b.keep(entry, err); err != nil {
			return err
		}
		before = append(slices.Clone(b.bound), entry)
	}
	return nil
}

// snatIPs are the addresses of the SNAT entries in the form that the API wants, sorted by their keys.
func (b *builder) snatIPs() pulumi.StringOutput {
	ips := pulumi.StringArray{}
	for _, key := range b.plan.SNATAddresses() {
		if eip, ok := b.eips[key]; ok {
			ips = append(ips, eip.IpAddress)
		}
	}
	return ips.ToStringArrayOutput().ApplyT(func(ips []string) string { return strings.Join(ips, ",") }).(pulumi.StringOutput)
}

func (b *builder) forwards() error {
	for _, plan := range b.plan.Forwards {
		entry, err := vpc.NewForwardEntry(b.ctx, b.childName("forward", plan.Key), &vpc.ForwardEntryArgs{
			ForwardTableId:   b.nat.ForwardTableIds,
			ForwardEntryName: pulumi.String(b.args.NATGateway.Name + "-" + plan.Key),
			ExternalIp:       b.eips[plan.Address].IpAddress,
			ExternalPort:     pulumi.String(plan.ExternalPort),
			InternalIp:       pulumi.String(plan.InternalIP.String()),
			InternalPort:     pulumi.String(plan.InternalPort),
			IpProtocol:       pulumi.String(plan.Protocol),
		}, b.guarded(plan.ImportID, pulumi.DependsOn(b.bound))...)
		if err := b.keep(entry, err); err != nil {
			return err
		}
	}
	return nil
}

// marker records the stage. It depends on everything that the stage declares, and a hook looks at the cloud before it is
// written: when the gate does not open, the update fails here, the recorded stage stays what it was, and the engine
// deletes nothing. A hook before the marker is a gate where hooks after the routes are none: those do not run when a
// route has not changed since the attempt before.
func (b *builder) marker() error {
	hook, err := b.ctx.RegisterResourceHook(b.childName("gate"), func(*pulumi.ResourceHookArgs) error { return b.gate() }, nil)
	if err != nil {
		return err
	}
	hooks := []*pulumi.ResourceHook{hook}
	marker, repeats := &stageMarker{}, b.repeats()
	err = b.ctx.RegisterComponentResourceV2(StageTypeToken, b.childName("stage"), pulumi.Map{
		"stage":   pulumi.String(b.plan.Stage),
		"release": pulumi.ToStringArray(slices.Sorted(slices.Values(b.args.Release))),
		"repeats": pulumi.ToStringArray(repeats),
	}, marker, pulumi.Parent(b.component), pulumi.DependsOn(b.all), pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeCreate: hooks, BeforeUpdate: hooks}))
	if err != nil {
		return err
	}
	b.done = marker
	return b.ctx.RegisterResourceOutputs(marker, pulumi.Map{"stage": pulumi.String(b.plan.Stage), "repeats": pulumi.ToStringArray(repeats)})
}

// repeats is what a stage that is done again has still to do, or finds undone. It is part of the marker, so that the gate
// is asked again although the stage is the same: an update whose deletions failed has the marker written already. So it
// differs from the last one while anything is open, and stays what it was when nothing is: that is no change.
func (b *builder) repeats() []string {
	survey, record := b.args.decided.survey, b.args.Record
	if survey == nil || record == nil || record.Stage != string(b.plan.Stage) {
		return nil
	}
	open := b.plan.Leftovers(survey)
	for _, p := range b.plan.Unmet(survey) {
		open = append(open, p.Error())
	}
	held := b.args.decided.repeats
	switch {
	case len(open) == 0:
		return held
	case slices.Equal(open, held):
		return append(open, "again")
	}
	return open
}

type stageMarker struct{ pulumi.ResourceState }

// gateInterval is how often the gate looks again; a survey is a dozen API calls.
const gateInterval = 5 * time.Second

// gate waits until the cloud shows what the stage must hold. A lookup that fails shows nothing: it is made again like one that
// shows too little, until the time is up.
func (b *builder) gate() error {
	if b.args.VPCID == "" {
		// The network was made in this very update; the next one looks at it.
		return nil
	}
	if err := await(b.args.gateTimeout(), b.unmet); err != nil {
		return fmt.Errorf("stage %s is not complete, nothing has been deleted:\n%w", b.plan.Stage, err)
	}
	return nil
}

// await looks until nothing is missing or the time is up, and returns what was missing at last.
func await(timeout time.Duration, look func() error) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(gateInterval) {
		if err := look(); err == nil || !time.Now().Before(deadline) {
			return err
		}
	}
}

// unmet is what the cloud does not show of what the stage must hold, or why that cannot be told; nil when nothing is missing.
func (b *builder) unmet() error {
	survey, err := b.args.survey(b.ctx, b.plan.Spec())
	if err != nil {
		return err
	}
	var missing []error
	for _, p := range b.plan.Unmet(survey) {
		missing = append(missing, p)
	}
	return errors.Join(missing...)
}
