package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"polynat/internal/natzone"
)

// account is a fake of what the controller sees of AWS. It records every attempt at a call and may fail any.
type account struct {
	mu        sync.Mutex
	calls     []string // "ReplaceRoute rtb-1"
	took      time.Duration
	fault     func(call string) error // nil: none
	hang      func() bool             // calls get no answer while it says so
	tables    map[string]string       // table -> hop: "i-…", "eni-…", "nat-…", "" for no default route
	groups    []autoscalingtypes.AutoScalingGroup
	state     string // of the parameter; "" for none
	past      []string
	echo      bool // every write arrives twice, as when a call without an answer is repeated
	nat       ec2types.NatGatewayState
	told      []string
	marked    []string
	refreshed []autoscaling.StartInstanceRefreshInput
	freed     []string
	invoke    func(payload []byte) // what an invocation of the prober does
	moved     []time.Time
}

func newAccount(hops ...string) *account {
	a := &account{took: 20 * time.Millisecond, tables: map[string]string{}, nat: ec2types.NatGatewayStateAvailable}
	for i, hop := range hops {
		a.tables[fmt.Sprintf("rtb-%d", i+1)] = hop
	}
	return a
}

func (a *account) api() API { return API{EC2: a, AutoScaling: a, SSM: a, SNS: a, Lambda: a} }

// begin records a call, lets its time pass, and says how it fails.
func (a *account) begin(ctx context.Context, call ...string) error {
	name := strings.Join(call, " ")
	a.mu.Lock()
	a.calls = append(a.calls, name)
	a.mu.Unlock()
	takes := a.took
	if a.hang != nil && a.hang() {
		takes = time.Hour
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	if a.fault != nil {
		return a.fault(name)
	}
	return nil
}

// made says how often each kind of call was made, such as "DescribeRouteTables 1".
func (a *account) made() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := map[string]int{}
	for _, c := range a.calls {
		name, _, _ := strings.Cut(c, " ")
		count[name]++
	}
	var all []string
	for name, n := range count {
		all = append(all, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = nil
}

func (a *account) hops() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for i := range 10 {
		if hop, ok := a.tables[fmt.Sprintf("rtb-%d", i)]; ok {
			all = append(all, hop)
		}
	}
	return strings.Join(all, " ")
}

// refusal is an error that the service answers for good; trouble, one that may go by itself.
func refusal(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

func trouble(status int, code string) error {
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err:      &smithy.GenericAPIError{Code: code, Message: "try again"},
	}
}

func (a *account) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	if err := a.begin(ctx, "DescribeRouteTables"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &ec2.DescribeRouteTablesOutput{}
	for id, hop := range a.tables {
		filter := in.Filters[0]
		switch {
		case aws.ToString(filter.Name) == "route-table-id" && !slices.Contains(filter.Values, id):
			continue
		case aws.ToString(filter.Name) == "route.instance-id" && !slices.Contains(filter.Values, hop):
			continue
		}
		t := ec2types.RouteTable{RouteTableId: aws.String(id), Routes: []ec2types.Route{
			{DestinationCidrBlock: aws.String("10.0.0.0/16"), GatewayId: aws.String("local"), State: ec2types.RouteStateActive},
		}}
		r := ec2types.Route{DestinationCidrBlock: aws.String("0.0.0.0/0"), State: ec2types.RouteStateActive}
		switch {
		case strings.HasPrefix(hop, "i-"):
			r.InstanceId, r.NetworkInterfaceId = aws.String(hop), aws.String("eni-"+hop)
		case strings.HasPrefix(hop, "eni-"):
			r.NetworkInterfaceId = aws.String(hop)
		case strings.HasPrefix(hop, "nat-"):
			r.NatGatewayId = aws.String(hop)
		}
		if hop != "" {
			t.Routes = append(t.Routes, r)
		}
		out.RouteTables = append(out.RouteTables, t)
	}
	return out, nil
}

func (a *account) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	if err := a.begin(ctx, "DescribeNatGateways"); err != nil {
		return nil, err
	}
	return &ec2.DescribeNatGatewaysOutput{NatGateways: []ec2types.NatGateway{
		{NatGatewayId: aws.String(in.Filter[0].Values[0]), State: a.nat},
	}}, nil
}

func (a *account) ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput, _ ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error) {
	table := aws.ToString(in.RouteTableId)
	if err := a.begin(ctx, "ReplaceRoute", table); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	hop, ok := a.tables[table]
	switch {
	case !ok:
		return nil, refusal("InvalidRouteTableID.NotFound", "The routeTable ID '"+table+"' does not exist")
	case hop == "":
		return nil, refusal("InvalidParameterValue", "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute instead.")
	}
	a.tables[table] = aws.ToString(in.NatGatewayId)
	a.moved = append(a.moved, time.Now())
	return &ec2.ReplaceRouteOutput{}, nil
}

func (a *account) CreateRoute(ctx context.Context, in *ec2.CreateRouteInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error) {
	table := aws.ToString(in.RouteTableId)
	if err := a.begin(ctx, "CreateRoute", table); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tables[table] != "" {
		return nil, refusal("RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.")
	}
	a.tables[table] = aws.ToString(in.NatGatewayId)
	return &ec2.CreateRouteOutput{Return: aws.Bool(true)}, nil
}

func (a *account) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	what := in.AutoScalingGroupNames
	for _, f := range in.Filters {
		what = append(what, aws.ToString(f.Name), f.Values[0])
	}
	if err := a.begin(ctx, append([]string{"DescribeAutoScalingGroups"}, what...)...); err != nil {
		return nil, err
	}
	groups := slices.DeleteFunc(slices.Clone(a.groups), func(g autoscalingtypes.AutoScalingGroup) bool {
		return len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, aws.ToString(g.AutoScalingGroupName))
	})
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: groups}, nil
}

func (a *account) SetInstanceHealth(ctx context.Context, in *autoscaling.SetInstanceHealthInput, _ ...func(*autoscaling.Options)) (*autoscaling.SetInstanceHealthOutput, error) {
	if err := a.begin(ctx, "SetInstanceHealth"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marked = append(a.marked, aws.ToString(in.InstanceId)+" "+aws.ToString(in.HealthStatus))
	return &autoscaling.SetInstanceHealthOutput{}, nil
}

func (a *account) StartInstanceRefresh(ctx context.Context, in *autoscaling.StartInstanceRefreshInput, _ ...func(*autoscaling.Options)) (*autoscaling.StartInstanceRefreshOutput, error) {
	if err := a.begin(ctx, "StartInstanceRefresh", aws.ToString(in.AutoScalingGroupName)); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refreshed = append(a.refreshed, *in)
	return &autoscaling.StartInstanceRefreshOutput{}, nil
}

func (a *account) CompleteLifecycleAction(ctx context.Context, in *autoscaling.CompleteLifecycleActionInput, _ ...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error) {
	if err := a.begin(ctx, "CompleteLifecycleAction"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Contains(a.freed, aws.ToString(in.InstanceId)) {
		return nil, refusal("ValidationError", "No active Lifecycle Action found with instance ID "+aws.ToString(in.InstanceId))
	}
	a.freed = append(a.freed, aws.ToString(in.InstanceId))
	return &autoscaling.CompleteLifecycleActionOutput{}, nil
}

func (a *account) GetParameter(ctx context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	if err := a.begin(ctx, "GetParameter", aws.ToString(in.Name)); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == "" {
		return nil, &ssmtypes.ParameterNotFound{}
	}
	value, version := a.state, int64(len(a.past)+1)
	if _, selected, ok := strings.Cut(aws.ToString(in.Name), ":"); ok {
		n, err := strconv.ParseInt(selected, 10, 64)
		if err != nil || n < 1 || n > version {
			return nil, &ssmtypes.ParameterVersionNotFound{}
		}
		value, version = append(slices.Clone(a.past), a.state)[n-1], n
	}
	return &ssm.GetParameterOutput{Parameter: &ssmtypes.Parameter{Value: aws.String(value), Version: version}}, nil
}

func (a *account) PutParameter(ctx context.Context, in *ssm.PutParameterInput, _ ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	if err := a.begin(ctx, "PutParameter", aws.ToString(in.Name)); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.put(aws.ToString(in.Value))
	if a.echo {
		a.put(aws.ToString(in.Value))
	}
	return &ssm.PutParameterOutput{Version: int64(len(a.past) + 1)}, nil
}

// put writes the parameter, whose versions begin with 1.
func (a *account) put(value string) {
	if a.state != "" {
		a.past = append(a.past, a.state)
	}
	a.state = value
}

func (a *account) Publish(ctx context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	if err := a.begin(ctx, "Publish"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, aws.ToString(in.Subject))
	return &sns.PublishOutput{}, nil
}

func (a *account) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	if err := a.begin(ctx, "Invoke", aws.ToString(in.FunctionName), string(in.InvocationType)); err != nil {
		return nil, err
	}
	if a.invoke != nil {
		a.invoke(in.Payload)
	}
	return &lambda.InvokeOutput{StatusCode: http.StatusAccepted}, nil
}

// group of a zone with one instance in service.
func group(zone, instance, health string) autoscalingtypes.AutoScalingGroup {
	return autoscalingtypes.AutoScalingGroup{
		AutoScalingGroupName: aws.String("egress-" + zone),
		Tags:                 []autoscalingtypes.TagDescription{{Key: aws.String(natzone.TagZone), Value: aws.String(zone)}},
		Instances: []autoscalingtypes.Instance{{
			InstanceId: aws.String(instance), HealthStatus: aws.String(health), LifecycleState: autoscalingtypes.LifecycleStateInService,
		}},
	}
}
