package failover

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sns"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ssm"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/aws/names"
	"polynat/internal/natzone"
)

// settings of a function, as the program in internal/failover relies on them.
type settings struct {
	// kind is part of the name of what is made for the function.
	kind, name string
	// memory in MB, timeout and eventAge in seconds.
	memory, timeout, eventAge int
	// concurrency that is reserved, unless nothing is: the function gets it, and no more. retries of an event that it failed on.
	concurrency, retries int
}

// proberSettings: two at once, for the next one starts before the slot of this one ends. What Lambda cannot start within a
// minute, the shortest age that it takes, is for the next minute; nothing is tried again.
func proberSettings(z names.Zone) settings {
	return settings{kind: "prober", name: z.Prober(), memory: natzone.FunctionMemory, timeout: 90, eventAge: 60, concurrency: 2, retries: 0}
}

// Reserved is the concurrency that the functions of a zone reserve together.
func Reserved() int {
	return proberSettings(names.Zone{}).concurrency + controllerSettings(names.Zone{}).concurrency
}

// controllerSettings: one at a time, so that no two do the same. Events wait for it, up to five minutes. Two at once, where nothing is
// reserved, do no harm: they point routes at the standby only, and notice who else has written the state.
func controllerSettings(z names.Zone) settings {
	return settings{kind: "controller", name: z.Controller(), memory: natzone.ControllerMemory, timeout: 120, eventAge: 300, concurrency: 1, retries: 2}
}

// functions are what one zone gets.
type functions struct {
	prober, controller         *lambda.Function
	proberLogs, controllerLogs *cloudwatch.LogGroup
	state                      *ssm.Parameter
	rules                      pulumi.StringMap // ARNs, by kind
}

func (b *builder) allZones() error {
	for _, zone := range sorted(b.args.Zones) {
		made, z := &functions{rules: pulumi.StringMap{}}, b.args.Zones[zone]
		b.zones[zone] = made
		for _, step := range []func(string, Zone, *functions) error{b.stateParameter, b.controller, b.prober, b.notices, b.events, b.schedule} {
			if err := step(zone, z, made); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateParameter holds what the controller knows from one run to the next. Its value belongs to the controller.
func (b *builder) stateParameter(zone string, z Zone, made *functions) (err error) {
	made.state, err = ssm.NewParameter(b.ctx, b.childName("state-"+zone), &ssm.ParameterArgs{
		Name: pulumi.String(z.Names.StateParameter()), Type: pulumi.String("String"), Value: pulumi.String("{}"),
		Description: pulumi.String("polynat: what the controller of " + zone + " knows; it writes this itself"), Tags: b.tags(),
	}, b.childOpts(pulumi.IgnoreChanges([]string{"value"}))...)
	b.ready(made.state)
	return err
}

func (b *builder) controller(zone string, z Zone, made *functions) (err error) {
	document := b.controllerDocument(zone, z)
	s := controllerSettings(z.Names)
	made.controllerLogs, made.controller, err = b.function(zone, z, s, z.ControllerRole, natzone.ControllerVariable, document, nil)
	if err != nil {
		return err
	}
	return b.invocations(zone, s, made.controller, nil)
}

func (b *builder) prober(zone string, z Zone, made *functions) (err error) {
	document := b.proberDocument(zone, z)
	s := proberSettings(z.Names)
	made.proberLogs, made.prober, err = b.function(zone, z, s, z.ProberRole, natzone.ProberVariable, document, &lambda.FunctionVpcConfigArgs{
		SubnetIds: z.Subnets, SecurityGroupIds: pulumi.StringArray{b.group.ID()},
	})
	if err != nil {
		return err
	}
	return b.invocations(zone, s, made.prober, made.controller)
}

// function makes one with its log group.
func (b *builder) function(zone string, z Zone, s settings, role pulumi.StringInput, variable string, document pulumi.StringOutput, network lambda.FunctionVpcConfigPtrInput) (*cloudwatch.LogGroup, *lambda.Function, error) {
	logsArgs := &cloudwatch.LogGroupArgs{
		Name: pulumi.String(names.Logs(s.name)), RetentionInDays: pulumi.Int(b.args.LogRetentionDays), Tags: b.tags(),
	}
	if b.args.LogKMSKeyARN != "" {
		logsArgs.KmsKeyId = pulumi.String(b.args.LogKMSKeyARN)
	}
	logs, err := cloudwatch.NewLogGroup(b.ctx, b.childName(s.kind+"-logs-"+zone), logsArgs, b.childOpts()...)
	if err != nil {
		return nil, nil, err
	}
	args := &lambda.FunctionArgs{
		Name: pulumi.String(s.name), Description: pulumi.String("polynat: " + s.kind + " of " + b.args.Name + " in " + zone), Role: role,
		Runtime: pulumi.String("provided.al2023"), Handler: pulumi.String("bootstrap"), Architectures: pulumi.StringArray{pulumi.String(b.args.Architecture)},
		Code: pulumi.NewFileArchive(b.args.Code.Path), SourceCodeHash: pulumi.String(b.args.Code.Base64),
		MemorySize: pulumi.Int(s.memory), Timeout: pulumi.Int(s.timeout),
		Environment:   &lambda.FunctionEnvironmentArgs{Variables: pulumi.StringMap{variable: document}},
		LoggingConfig: &lambda.FunctionLoggingConfigArgs{LogFormat: pulumi.String("JSON"), LogGroup: logs.Name},
		VpcConfig:     network, Tags: b.tags(),
	}
	if !b.args.Unreserved {
		args.ReservedConcurrentExecutions = pulumi.Int(s.concurrency)
	}
	function, err := lambda.NewFunction(b.ctx, b.childName(s.kind+"-"+zone), args, b.childOpts(pulumi.DependsOn(z.Ready))...)
	b.ready(function)
	return logs, function, err
}

// invocations says what becomes of an event that starts the function: of its answer, which Lambda carries to next, and of one
// that failed.
func (b *builder) invocations(zone string, s settings, f, next *lambda.Function) error {
	to := &lambda.FunctionEventInvokeConfigDestinationConfigArgs{
		OnFailure: &lambda.FunctionEventInvokeConfigDestinationConfigOnFailureArgs{Destination: b.deadLettersARN},
	}
	if next != nil {
		to.OnSuccess = &lambda.FunctionEventInvokeConfigDestinationConfigOnSuccessArgs{Destination: next.Arn}
	}
	config, err := lambda.NewFunctionEventInvokeConfig(b.ctx, b.childName(s.kind+"-invocations-"+zone), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: f.Name, MaximumEventAgeInSeconds: pulumi.Int(s.eventAge), MaximumRetryAttempts: pulumi.Int(s.retries), DestinationConfig: to,
	}, b.childOpts()...)
	b.ready(config)
	return err
}

// notices of the groups reach every controller, which knows its own. A filter would rest on the form of the notice, which
// AWS does not promise: what the filter cannot read it drops.
func (b *builder) notices(zone string, _ Zone, made *functions) error {
	topic := b.component.LifecycleTopicARN
	allowed, err := b.permission("notices-permission-"+zone, made.controller, "sns.amazonaws.com", topic)
	if err != nil {
		return err
	}
	subscription, err := sns.NewTopicSubscription(b.ctx, b.childName("notices-"+zone), &sns.TopicSubscriptionArgs{
		Topic: topic, Protocol: pulumi.String("lambda"), Endpoint: made.controller.Arn,
		RedrivePolicy: pulumi.JSONMarshal(pulumi.StringMap{"deadLetterTargetArn": b.deadLettersARN}),
	}, b.childOpts(pulumi.DependsOn([]pulumi.Resource{allowed}))...)
	b.ready(subscription)
	return err
}

// permission lets a service start a function for one source.
func (b *builder) permission(child string, f *lambda.Function, service string, source pulumi.StringInput) (*lambda.Permission, error) {
	allowed, err := lambda.NewPermission(b.ctx, b.childName(child), &lambda.PermissionArgs{
		Action: pulumi.String("lambda:InvokeFunction"), Function: f.Name, Principal: pulumi.String(service), SourceArn: source.ToStringOutput().ToStringPtrOutput(),
	}, b.childOpts()...)
	b.ready(allowed)
	return allowed, err
}
