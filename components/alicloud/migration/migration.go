package migration

import (
	"errors"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-alicloud/sdk/v3/go/alicloud/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/internal/migration"
	"polynat/internal/stackoutputs"
)

// The type tokens of the component and of the marker that records its stage.
const (
	TypeToken      = "polynat:alicloud:Migration"
	StageTypeToken = "polynat:alicloud:MigrationStage"
)

// Migration is a VPC on its way from a self-managed SNAT instance to a NAT gateway.
type Migration struct {
	pulumi.ResourceState

	// Stage is the stage that is done. It resolves only when the gate of the stage has been passed, so a stack that exports
	// it keeps the last value when an update fails.
	Stage pulumi.StringOutput `pulumi:"stage"`
	// Tables are the ids of the migrated route tables, part of the Record of the next update.
	Tables pulumi.StringArrayOutput `pulumi:"tables"`
	// VSwitches are the ids of the vSwitches with an SNAT entry of their own, part of the Record of the next update.
	VSwitches pulumi.StringArrayOutput `pulumi:"vswitches"`
	// SystemRoute is true while the stack declares the default route to the gateway in the system table, part of the Record of
	// the next update.
	SystemRoute pulumi.BoolOutput `pulumi:"systemRoute"`
	// NATGatewayID is empty below stage gateway.
	NATGatewayID pulumi.StringOutput `pulumi:"natGatewayId"`
	// EgressAddresses are the public addresses that traffic leaves from, old and new, as far as they exist: what clients'
	// allow lists must hold from now until stage retire is done.
	EgressAddresses pulumi.StringArrayOutput `pulumi:"egressAddresses"`
	// Next is the stage after this one, NextEffect what moving there does and NextNeeds what must hold first; empty at the end.
	Next, NextEffect, NextNeeds string
	// Network is what the update has found around the migration; nil while there is no network.
	Network *Snapshot

	bandwidth *vpc.CommonBandwithPackage
}

// decision is what [Args.Check] has decided: the survey that it rests on, and the plan.
type decision struct {
	survey *migration.Survey
	plan   *migration.Plan
	// repeats is that of the marker in the state.
	repeats []string
}

// Check surveys the network and decides whether the stage may be entered. It registers nothing and changes nothing. Call
// it before you register other resources of the same program; [New] takes its decision over.
//
// Errors: a *Refusal with every problem of the move, the joined problems of Validate, or the failure of a lookup.
func (a *Args) Check(ctx *pulumi.Context, name string) error {
	if a.decided != nil {
		return nil
	}
	if a.Provider == nil {
		return errors.New("provider: is missing (make one with alicloud.NewProvider and the region of the VPC)")
	}
	spec, err := a.spec()
	if err != nil {
		return err
	}
	d := &decision{}
	var held []stackoutputs.Resource
	if a.VPCID != "" {
		if d.survey, err = a.survey(ctx, spec); err != nil {
			return err
		}
		if held, err = stackoutputs.Resources(ctx, KnownBy()...); err != nil {
			return err
		}
		mark(d.survey, held)
		if err := unnamed(ctx, name, held); err != nil { // before the first refusal, which may advise to refresh
			return err
		}
	}
	if d.plan, err = migration.Decide(spec, d.survey, a.Record.internal()); err != nil {
		return err
	}
	if d.survey != nil {
		for _, r := range held {
			if r.Type == StageTypeToken && r.Name == childName(name, "stage") {
				d.repeats = texts(r.Outputs["repeats"])
			}
		}
		if problems := a.strangers(name, d, held); len(problems) > 0 {
			return &Refusal{Stage: spec.Stage, Problems: problems}
		}
	}
	if amend != nil {
		amend(d.plan)
	}
	a.decided = d
	return nil
}

// amend is a test's way to plant a fault in the plan, to see the rehearsal catch it; nil outside tests.
var amend func(*migration.Plan)

// Refusal is the error of [Args.Check] when the stage may not be entered: every problem at once.
type Refusal = migration.Refusal

// Problem is one of them.
type Problem = migration.Problem

// New checks the stage and registers what it declares.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Migration, error) {
	if err := args.Check(ctx, name); err != nil {
		return nil, err
	}
	m := &Migration{}
	if err := ctx.RegisterComponentResourceV2(TypeToken, name, pulumi.Map{"stage": pulumi.String(args.Stage)}, m, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, plan: args.decided.plan, component: m}
	for _, step := range []func() error{b.gateway, b.routes, b.bandwidthPackage, b.addresses, b.snat, b.forwards, b.marker, b.lateRoutes} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	m.describe(b)
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{
		"stage": m.Stage, "tables": m.Tables, "vswitches": m.VSwitches, "systemRoute": m.SystemRoute, "natGatewayId": m.NATGatewayID, "egressAddresses": m.EgressAddresses,
	})
}

// describe fills the outputs.
func (m *Migration) describe(b *builder) {
	stage := b.plan.Stage
	if next, ok := stage.Next(); ok {
		m.Next, m.NextEffect, m.NextNeeds = string(next), next.Effect(), next.Needs()
	}
	m.Network = b.args.decided.snapshot()
	m.Tables = b.ids(b.plan.TableIDs())
	m.VSwitches = b.ids(b.plan.VSwitches())
	m.SystemRoute = pulumi.Bool(b.plan.SystemDefault()).ToBoolOutput()
	m.NATGatewayID = pulumi.String("").ToStringOutput()
	if b.nat != nil {
		m.NATGatewayID = b.nat.ID().ToStringOutput()
	}
	addresses := pulumi.StringArray{}
	if old := b.args.object(b.args.OldNextHop.ID); old.Address != nil && stage != migration.Retire {
		addresses = append(addresses, old.Address)
	} else if survey := b.args.decided.survey; survey != nil && stage != migration.Retire {
		for _, ip := range survey.Old.Addresses {
			addresses = append(addresses, pulumi.String(ip))
		}
	}
	for _, key := range b.plan.SNATAddresses() {
		if eip, ok := b.eips[key]; ok {
			addresses = append(addresses, eip.IpAddress)
		}
	}
	m.EgressAddresses = addresses.ToStringArrayOutput()
}

// ids turns ids of Args into live ones.
func (b *builder) ids(named []string) pulumi.StringArrayOutput {
	live := pulumi.StringArray{}
	for _, id := range slices.Sorted(slices.Values(named)) {
		live = append(live, b.args.object(id).ID)
	}
	return live.ToStringArrayOutput()
}

// addressName is the name in the cloud of the elastic IP of that key; it identifies the address.
func (a *Args) addressName(key string) string { return a.NATGateway.Name + "-" + key }

// DefaultRouteName is the child name of the default route of the table of that key.
func DefaultRouteName(name, table string) string { return name + "-default-" + table }

// slug makes a CIDR fit for a name.
func slug(cidr string) string { return strings.ReplaceAll(cidr, "/", "-") }
