package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"polynat/internal/lambdaruntime"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// serve returns the configuration of clients of a server, as a program makes it whose access key id is caller.
func serve(t *testing.T, s *api.Server, caller string) sdk.Config {
	t.Helper()
	return serveRetrying(t, s, caller, 1)
}

func serveRetrying(t *testing.T, s *api.Server, caller string, attempts int) sdk.Config {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", caller)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithRetryMaxAttempts(attempts))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func replaceRoute() *ec2.ReplaceRouteInput {
	return &ec2.ReplaceRouteInput{
		RouteTableId: sdk.String("rtb-0123456789abcdef0"), DestinationCidrBlock: sdk.String("0.0.0.0/0"), NatGatewayId: sdk.String("nat-0123456789abcdef0"),
	}
}

func TestOneAddressServesAllServices(t *testing.T) {
	cloud := aws.New(aws.Options{})
	server := api.New(cloud, &functions{})
	cfg := serve(t, server, "i-0a")
	ctx := t.Context()
	if _, err := ec2.NewFromConfig(cfg).ReplaceRoute(ctx, replaceRoute()); code(err) != "InvalidRouteTableID.NotFound" {
		t.Errorf("EC2: %v", err)
	}
	if _, err := autoscaling.NewFromConfig(cfg).SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{
		InstanceId: sdk.String("i-0a"), HealthStatus: sdk.String("Unhealthy"),
	}); code(err) != "ValidationError" {
		t.Errorf("Auto Scaling: %v", err)
	}
	if _, err := ssm.NewFromConfig(cfg).PutParameter(ctx, &ssm.PutParameterInput{
		Name: sdk.String("/state"), Value: sdk.String("{}"), Type: ssmtypes.ParameterTypeString,
	}); err != nil {
		t.Errorf("Systems Manager: %v", err)
	}
	if _, err := cloudwatch.NewFromConfig(cfg).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
		Namespace: sdk.String("polynat"), MetricData: []cloudwatchtypes.MetricDatum{{
			MetricName: sdk.String("Ready"), Value: sdk.Float64(1), Unit: cloudwatchtypes.StandardUnitCount, Timestamp: sdk.Time(time.Unix(1_800_000_000, 0)),
			Dimensions: []cloudwatchtypes.Dimension{{Name: sdk.String("Zone"), Value: sdk.String("us-east-1a")}},
		}},
	}); err != nil {
		t.Errorf("CloudWatch: %v", err)
	}
	if _, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: sdk.String("echo")}); err != nil {
		t.Errorf("Lambda: %v", err)
	}

	want := map[api.Call]int{
		{Service: "ec2", Action: "ReplaceRoute", Caller: "i-0a"}:              1,
		{Service: "autoscaling", Action: "SetInstanceHealth", Caller: "i-0a"}: 1,
		{Service: "ssm", Action: "PutParameter", Caller: "i-0a"}:              1,
		{Service: "cloudwatch", Action: "PutMetricData", Caller: "i-0a"}:      1,
		{Service: "lambda", Action: "Invoke", Caller: "i-0a"}:                 1,
	}
	if got := server.Counts(); !maps.Equal(got, want) {
		t.Errorf("calls %v", got)
	}
	if p, err := cloud.GetParameter("/state"); err != nil || p.Value != "{}" {
		t.Errorf("parameter %+v, %v", p, err)
	}
	metrics := cloud.Metrics()
	if len(metrics) != 1 || metrics[0].Namespace != "polynat" || metrics[0].MetricName != "Ready" || metrics[0].Value != 1 ||
		metrics[0].Dimensions["Zone"] != "us-east-1a" || metrics[0].Time.Unix() != 1_800_000_000 {
		t.Errorf("metrics %+v", metrics)
	}
}

func TestWhatIsNotKnownIsRefusedAndNotIgnored(t *testing.T) {
	cfg := serve(t, api.New(aws.New(aws.Options{}), nil), "me")
	client := ec2.NewFromConfig(cfg)
	if _, err := client.DescribeKeyPairs(t.Context(), &ec2.DescribeKeyPairsInput{}); code(err) != "InvalidAction" {
		t.Errorf("an action: %v", err)
	}
	if _, err := client.CreateRoute(t.Context(), &ec2.CreateRouteInput{
		RouteTableId: sdk.String("rtb-0123456789abcdef0"), DestinationPrefixListId: sdk.String("pl-1"), NatGatewayId: sdk.String("nat-1"),
	}); code(err) != "UnknownParameter" || !strings.Contains(err.Error(), "DestinationPrefixListId") {
		t.Errorf("a parameter: %v", err)
	}
	if _, err := lambda.NewFromConfig(cfg).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: sdk.String("f")}); err == nil {
		t.Error("a server without functions invokes one")
	}
}

func TestFaultsBefallSomeCallers(t *testing.T) {
	var mu sync.Mutex
	var fault api.Fault
	var faulty string
	set := func(caller string, f api.Fault) {
		mu.Lock()
		defer mu.Unlock()
		faulty, fault = caller, f
	}
	cloud := aws.New(aws.Options{})
	server := api.New(cloud, nil)
	server.Fault = func(c api.Call) api.Fault {
		mu.Lock()
		defer mu.Unlock()
		if c.Caller == faulty && c.Action == "PutParameter" {
			return fault
		}
		return api.Fault{}
	}
	cfg := serve(t, server, "controller")
	put := func(ctx context.Context, name string) error {
		_, err := ssm.NewFromConfig(cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: &name, Value: sdk.String("x"), Type: ssmtypes.ParameterTypeString})
		return err
	}
	stored := func(name string) bool { _, err := cloud.GetParameter(name); return err == nil }

	set("another", api.Fault{Drop: true})
	if err := put(t.Context(), "/other"); err != nil || !stored("/other") {
		t.Errorf("somebody else's fault: %v", err)
	}
	set("controller", api.Fault{Error: api.Throttled()})
	if err := put(t.Context(), "/throttled"); code(err) != "RequestLimitExceeded" || stored("/throttled") {
		t.Errorf("throttled: %v", err)
	}
	set("controller", api.Fault{Drop: true})
	if err := put(t.Context(), "/dropped"); err == nil || stored("/dropped") {
		t.Errorf("dropped: %v", err)
	}
	set("controller", api.Fault{Lost: true})
	if err := put(t.Context(), "/lost"); err == nil || !stored("/lost") {
		t.Errorf("lost: %v", err)
	}
	set("controller", api.Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := put(ctx, "/late"); err == nil || stored("/late") {
		t.Errorf("late: %v", err)
	}
	calls := 0
	for _, n := range server.Counts() {
		calls += n
	}
	if calls != 5 {
		t.Errorf("%d calls counted, want 5, with those that failed", calls)
	}
}

func TestAThrottledCallIsMadeAgainByTheClient(t *testing.T) {
	server := api.New(aws.New(aws.Options{}), nil)
	refusals := 2
	server.Fault = func(api.Call) api.Fault {
		if refusals > 0 {
			refusals--
			return api.Fault{Error: api.Throttled()}
		}
		return api.Fault{}
	}
	client := ec2.NewFromConfig(serveRetrying(t, server, "me", 3))
	if _, err := client.ReplaceRoute(t.Context(), replaceRoute()); code(err) != "InvalidRouteTableID.NotFound" {
		t.Errorf("after two throttles: %v", err)
	}
}

// functions is a Lambda service that answers what it was asked.
type functions struct{ events []string }

func (f *functions) Invoke(_ context.Context, name string, payload []byte) (lambdaruntime.Response, error) {
	switch name {
	case "none":
		return lambdaruntime.Response{}, &lambdaruntime.Error{Code: "ResourceNotFoundException", Message: "Function not found", Status: http.StatusNotFound}
	case "broken":
		return lambdaruntime.Response{Payload: []byte(`{"errorMessage":"no"}`), FunctionError: "Unhandled"}, nil
	}
	answer, err := json.Marshal([]string{name, string(payload)})
	return lambdaruntime.Response{Payload: answer}, err
}

func (f *functions) InvokeAsync(name string, payload []byte) (string, error) {
	f.events = append(f.events, name+" "+string(payload))
	return "id", nil
}

func TestFunctionsAreInvoked(t *testing.T) {
	target := &functions{}
	client := lambda.NewFromConfig(serve(t, api.New(aws.New(aws.Options{}), target), "me"))
	for _, name := range []string{"echo", "arn:aws:lambda:us-east-1:123456789012:function:echo", "123456789012:function:echo", "echo:$LATEST"} {
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte("1")})
		if err != nil || string(out.Payload) != `["echo","1"]` || out.StatusCode != 200 || out.FunctionError != nil {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: sdk.String("echo"), Payload: []byte("2"), InvocationType: lambdatypes.InvocationTypeEvent})
	if err != nil || out.StatusCode != 202 || len(target.events) != 1 || target.events[0] != "echo 2" {
		t.Errorf("event: %+v, %v, %v", out, err, target.events)
	}
	if out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: sdk.String("broken")}); err != nil || sdk.ToString(out.FunctionError) != "Unhandled" {
		t.Errorf("a function that fails: %+v, %v", out, err)
	}
	var missing *lambdatypes.ResourceNotFoundException
	if _, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: sdk.String("none")}); !errors.As(err, &missing) {
		t.Errorf("no function: %v", err)
	}
}

func TestARequestOfNoServiceIsRefused(t *testing.T) {
	server := httptest.NewServer(api.New(aws.New(aws.Options{}), nil))
	defer server.Close()
	response, err := http.Post(server.URL, "application/x-www-form-urlencoded", strings.NewReader("Action=DescribeRouteTables"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotImplemented {
		t.Errorf("status %d without a signature", response.StatusCode)
	}
}
