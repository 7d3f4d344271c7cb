package failover

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// TypeToken is the type of the component.
const TypeToken = "polynat:aws:Failover"

// Failover is what watches the zones. Its maps are by zone.
type Failover struct {
	pulumi.ResourceState

	// LifecycleTopicARN is that of the SNS topic for notices of the Auto Scaling groups.
	LifecycleTopicARN pulumi.StringOutput `pulumi:"lifecycleTopicArn"`
	// AlertTopicARN is that of the SNS topic for people, made or given.
	AlertTopicARN pulumi.StringOutput `pulumi:"alertTopicArn"`
	// DeadLettersURL is that of the SQS queue of events that nobody could take.
	DeadLettersURL pulumi.StringOutput `pulumi:"deadLettersUrl"`
	// DeadLettersARN is that of the queue.
	DeadLettersARN pulumi.StringOutput `pulumi:"deadLettersArn"`
	// RuleARNs are those of the EventBridge rules, by zone: schedule and events.
	RuleARNs pulumi.StringMapMapOutput `pulumi:"ruleArns"`
	// ProberSecurityGroupID is the id of the security group that the probers of all zones are in.
	ProberSecurityGroupID pulumi.StringOutput `pulumi:"proberSecurityGroupId"`
	// ProberARNs are those of the functions that probe, by zone.
	ProberARNs pulumi.StringMapOutput `pulumi:"proberArns"`
	// ControllerARNs are those of the functions that move routes, by zone.
	ControllerARNs pulumi.StringMapOutput `pulumi:"controllerArns"`
	// LogGroups are the names of the log groups, by zone and function.
	LogGroups pulumi.StringMapMapOutput `pulumi:"logGroups"`
	// StateParameters are the names of the SSM parameters in which the controllers keep what they know, by zone.
	StateParameters pulumi.StringMapOutput `pulumi:"stateParameters"`
	// Endpoints are the ids of the interface endpoints, by service.
	Endpoints pulumi.StringMapOutput `pulumi:"endpoints"`
	// EndpointSecurityGroupID is of the endpoints' security group; empty without endpoints.
	EndpointSecurityGroupID pulumi.StringOutput `pulumi:"endpointSecurityGroupId"`

	// Ready is what must exist before the Auto Scaling groups, and still when they go: notices and events reach a controller.
	Ready []pulumi.Resource
}

// New makes it.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Failover, error) {
	f := &Failover{}
	if err := ctx.RegisterComponentResource(TypeToken, name, f, opts...); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, name: name, args: args, component: f, zones: map[string]*functions{}, endpoints: pulumi.StringMap{}}
	for _, step := range []func() error{b.deadLetters, b.lifecycleTopic, b.alertTopic, b.securityGroup, b.allEndpoints, b.allZones} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.outputs()
	return f, ctx.RegisterResourceOutputs(f, pulumi.Map{
		"lifecycleTopicArn": f.LifecycleTopicARN, "alertTopicArn": f.AlertTopicARN, "deadLettersUrl": f.DeadLettersURL,
		"deadLettersArn": f.DeadLettersARN, "ruleArns": f.RuleARNs, "endpointSecurityGroupId": f.EndpointSecurityGroupID,
		"proberSecurityGroupId": f.ProberSecurityGroupID, "proberArns": f.ProberARNs, "controllerArns": f.ControllerARNs,
		"logGroups": f.LogGroups, "stateParameters": f.StateParameters, "endpoints": f.Endpoints,
	})
}

type builder struct {
	ctx       *pulumi.Context
	name      string
	args      *Args
	component *Failover

	deadLettersARN pulumi.StringOutput
	group          *ec2.SecurityGroup
	zones          map[string]*functions
	endpoints      pulumi.StringMap
}

func (b *builder) childName(suffix string) string { return b.name + "-" + suffix }

func (b *builder) childOpts(extra ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.component), pulumi.Provider(b.args.Provider)}, extra...)
}

// tags are those of the arguments: nil without any, for AWS knows no empty ones, and a refresh would find them gone.
func (b *builder) tags() pulumi.StringMap {
	if len(b.args.Tags) == 0 {
		return nil
	}
	return pulumi.ToStringMap(b.args.Tags)
}

// named are the tags of what shows its name by a tag only.
func (b *builder) named(name string) pulumi.StringMap {
	tags := pulumi.StringMap{"Name": pulumi.String(name)}
	maps.Copy(tags, b.tags())
	return tags
}

// ready notes what the groups have to wait for.
func (b *builder) ready(r ...pulumi.Resource) { b.component.Ready = append(b.component.Ready, r...) }

// securityGroup of the probers: they open connections to anywhere, and nothing opens any to them. All zones share it, so
// that a zone which goes does not wait the 20 to 45 minutes in which Lambda gives its interfaces back.
func (b *builder) securityGroup() (err error) {
	name := b.args.Names.ProberGroup()
	b.group, err = ec2.NewSecurityGroup(b.ctx, b.childName("prober-group"), &ec2.SecurityGroupArgs{
		Name: pulumi.String(name), Description: pulumi.String("polynat: probers of " + b.args.Name), VpcId: b.args.VPCID, Tags: b.named(name),
	}, b.childOpts()...)
	if err != nil {
		return err
	}
	_, err = vpc.NewSecurityGroupEgressRule(b.ctx, b.childName("prober-egress"), &vpc.SecurityGroupEgressRuleArgs{
		SecurityGroupId: b.group.ID(), IpProtocol: pulumi.String("-1"), CidrIpv4: pulumi.String("0.0.0.0/0"), Tags: b.tags(),
	}, b.childOpts()...)
	return err
}

func (b *builder) outputs() {
	f := b.component
	probers, controllers, states, logs := pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMap{}, pulumi.StringMapMap{}
	rules := pulumi.StringMapMap{}
	for zone, made := range b.zones {
		probers[zone], controllers[zone], states[zone] = made.prober.Arn, made.controller.Arn, made.state.Name
		rules[zone] = made.rules
		logs[zone] = pulumi.StringMap{"prober": made.proberLogs.Name, "controller": made.controllerLogs.Name}
	}
	f.DeadLettersARN, f.RuleARNs = b.deadLettersARN, rules.ToStringMapMapOutput()
	f.ProberSecurityGroupID = b.group.ID().ToStringOutput()
	f.ProberARNs, f.ControllerARNs = probers.ToStringMapOutput(), controllers.ToStringMapOutput()
	f.LogGroups, f.StateParameters, f.Endpoints = logs.ToStringMapMapOutput(), states.ToStringMapOutput(), b.endpoints.ToStringMapOutput()
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
