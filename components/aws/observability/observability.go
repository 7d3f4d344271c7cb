package observability

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:Observability"

// Observability is what was made.
type Observability struct {
	pulumi.ResourceState

	// AlarmARNs are those of the alarms, by their keys: <zone>-<kind>, and dead-letters.
	AlarmARNs pulumi.StringMapOutput `pulumi:"alarmArns"`
	// DashboardName is that of the CloudWatch dashboard; empty without one.
	DashboardName pulumi.StringOutput `pulumi:"dashboardName"`
}

// New makes it.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Observability, error) {
	o := &Observability{DashboardName: pulumi.String("").ToStringOutput()}
	if err := ctx.RegisterComponentResource(TypeToken, name, o, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: o, alarms: pulumi.StringMap{}}
	if args.Alarms {
		if err := b.allAlarms(); err != nil {
			return nil, err
		}
	}
	if args.Dashboard {
		if err := b.dashboard(); err != nil {
			return nil, err
		}
	}
	o.AlarmARNs = b.alarms.ToStringMapOutput()
	return o, ctx.RegisterResourceOutputs(o, pulumi.Map{"alarmArns": o.AlarmARNs, "dashboardName": o.DashboardName})
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *Observability
	alarms    pulumi.StringMap
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

// dashboard waits for the ids of the standby gateways, which its metrics name.
func (b *builder) dashboard() error {
	ids := pulumi.StringArray{}
	for _, zone := range sorted(b.args.Zones) {
		ids = append(ids, b.args.Zones[zone].Standby)
	}
	body := pulumix.ApplyErr(ids.ToStringArrayOutput(), b.args.dashboardBody)
	dashboard, err := cloudwatch.NewDashboard(b.ctx, b.childName("dashboard"), &cloudwatch.DashboardArgs{
		DashboardName: pulumi.String(b.args.Names.Dashboard(b.args.Account.Region)), DashboardBody: pulumix.Cast[pulumi.StringOutput](body),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	b.component.DashboardName = dashboard.DashboardName
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
