package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"polynat/internal/failover/decide"
	"polynat/internal/natzone"
)

// afterwards is how long everything that is not a move is tried, each for itself.
const afterwards = 20 * time.Second

// move carries out all moves in parallel and returns the errors of those that failed.
func (c *Controller) move(ctx context.Context, moves []decide.Move) []error {
	errs := make([]error, len(moves))
	var wg sync.WaitGroup
	for i, m := range moves {
		wg.Go(func() { errs[i] = c.route(ctx, m) })
	}
	wg.Wait()
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, fmt.Errorf("route %s of %s: %w", moves[i].Destination, moves[i].Table, err))
		}
	}
	return failed
}

// route points one route at the standby. The route may have come or gone since it was looked up: one that has gone is
// created; one that has come was made by the agent, and stays.
func (c *Controller) route(ctx context.Context, m decide.Move) error {
	if !m.Create {
		err := c.replace(ctx, m)
		if code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "no route defined") {
			return err
		}
	}
	if err := c.create(ctx, m); err != nil && code(err) != "RouteAlreadyExists" {
		return err
	}
	return nil
}

func (c *Controller) replace(ctx context.Context, m decide.Move) error {
	in := &ec2.ReplaceRouteInput{RouteTableId: aws.String(m.Table), NatGatewayId: aws.String(c.zone.Standby)}
	in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = destination(m)
	_, err := call(ctx, func(ctx context.Context) (*ec2.ReplaceRouteOutput, error) { return c.api.EC2.ReplaceRoute(ctx, in) })
	return err
}

func (c *Controller) create(ctx context.Context, m decide.Move) error {
	in := &ec2.CreateRouteInput{RouteTableId: aws.String(m.Table), NatGatewayId: aws.String(c.zone.Standby)}
	in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = destination(m)
	_, err := call(ctx, func(ctx context.Context) (*ec2.CreateRouteOutput, error) { return c.api.EC2.CreateRoute(ctx, in) })
	return err
}

// destination as the API wants it: by address family.
func destination(m decide.Move) (v4, v6 *string) {
	if m.Destination.Addr().Is4() {
		return aws.String(m.Destination.String()), nil
	}
	return nil, aws.String(m.Destination.String())
}

// perform does everything else of a plan, all at once; settle has the state saved. What fails is logged, and does not stop the
// rest: the routes are where they should be.
func (c *Controller) perform(ctx context.Context, plan decide.Plan, settle func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, afterwards)
	defer cancel()
	var wg sync.WaitGroup
	do := func(what string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				c.log.Error(what, "error", err)
			}
		})
	}
	if plan.Probe != nil {
		do("prober", func() error { return c.again(ctx, *plan.Probe) })
	}
	do("state", func() error { return settle(ctx) })
	for _, id := range plan.Complete {
		do("lifecycle action", func() error { return c.complete(ctx, id) })
	}
	if plan.Replace != "" {
		do("instance health", func() error { return c.unhealthy(ctx, plan.Replace) })
	}
	if plan.Refresh {
		do("instance refresh", func() error { return c.refresh(ctx) })
	}
	for _, a := range plan.Alerts {
		c.log.Warn("alert", "subject", a.Subject, "text", a.Text)
		if c.zone.AlertTopic != "" && c.news(a) {
			do("alert", func() error { return c.tell(ctx, a) })
		}
	}
	wg.Wait()
}

// news says that an alert has not been told lately.
func (c *Controller) news(a decide.Alert) bool {
	if a.Recurs && time.Since(c.told[a.Subject]) < time.Hour {
		return false
	}
	c.told[a.Subject] = wall()
	return true
}

// settle saves the state. One that was read only after the decision was made may know of replacements and terminations that the
// decision did not: what is saved is what would have been decided by it. One that cannot be read is not written over either;
// where the zone is, the next minute finds out by itself.
func (c *Controller) settle(ctx context.Context, plan decide.Plan, f found, decided func(decide.State) decide.Plan) error {
	if f.late != nil {
		var err error
		select {
		case err = <-f.late:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			if f.known && plan.Changed {
				c.remember(plan.State)
			}
			return err
		}
		plan = decided(c.remembered())
	}
	c.mu.Lock()
	unsaved := c.known && (plan.Changed || c.dirty)
	c.mu.Unlock()
	if !unsaved {
		return nil
	}
	state := plan.State
	for range contenders {
		other, err := c.save(ctx, state)
		if err != nil || other == nil {
			return err
		}
		c.log.Warn("state", "error", "another controller has written it meanwhile: decided again by that")
		state = decided(*other).State
	}
	return nil
}

// contenders are how often a state is saved that another controller writes, too.
const contenders = 3

// save writes the state. Systems Manager writes without a condition, and tells the version that it has written: other is the state of
// another controller that was written over, if there is one. It has all that was known before, and the caller decides again by it.
func (c *Controller) save(ctx context.Context, s decide.State) (other *decide.State, err error) {
	c.remember(s)
	text, err := s.JSON()
	if err != nil {
		return nil, err
	}
	out, err := call(ctx, func(ctx context.Context) (*ssm.PutParameterOutput, error) {
		return c.api.SSM.PutParameter(ctx, &ssm.PutParameterInput{
			Name: aws.String(c.zone.StateParameter), Value: aws.String(text),
			Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
		})
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	from := c.version
	c.version, c.dirty = out.Version, false
	c.mu.Unlock()
	for v := out.Version - 1; v > from; v-- {
		found, _, err := c.parameter(ctx, fmt.Sprintf("%s:%d", c.zone.StateParameter, v))
		if err != nil {
			return nil, err
		}
		if found != text { // else a call that was repeated wrote it
			s := c.parsed(found)
			return &s, nil
		}
	}
	return nil, nil
}

// again starts the prober.
func (c *Controller) again(ctx context.Context, t natzone.Tick) error {
	payload, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = call(ctx, func(ctx context.Context) (*lambda.InvokeOutput, error) {
		return c.api.Lambda.Invoke(ctx, &lambda.InvokeInput{
			FunctionName: aws.String(c.zone.ProberFunction), InvocationType: lambdatypes.InvocationTypeEvent, Payload: payload,
		})
	})
	return err
}

// complete lets a termination go on. There may be nothing to complete: the hook has timed out, or a notice came twice.
func (c *Controller) complete(ctx context.Context, instance string) error {
	_, err := call(ctx, func(ctx context.Context) (*autoscaling.CompleteLifecycleActionOutput, error) {
		return c.api.AutoScaling.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: aws.String(c.zone.Group), LifecycleHookName: aws.String(c.zone.TerminateHook),
			InstanceId: aws.String(instance), LifecycleActionResult: aws.String("CONTINUE"),
		})
	})
	if code(err) == "ValidationError" {
		c.log.Info("no lifecycle action to complete", "instance", instance, "answer", err.Error())
		return nil
	}
	return err
}

func (c *Controller) unhealthy(ctx context.Context, instance string) error {
	_, err := call(ctx, func(ctx context.Context) (*autoscaling.SetInstanceHealthOutput, error) {
		return c.api.AutoScaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{
			InstanceId: aws.String(instance), HealthStatus: aws.String("Unhealthy"), ShouldRespectGracePeriod: aws.Bool(false),
		})
	})
	return err
}

// refresh has the group replace its instance, unless it is at that already: then its next launch is of the changed template anyway.
func (c *Controller) refresh(ctx context.Context) error {
	_, err := call(ctx, func(ctx context.Context) (*autoscaling.StartInstanceRefreshOutput, error) {
		return c.api.AutoScaling.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{
			AutoScalingGroupName: aws.String(c.zone.Group),
			Preferences: &autoscalingtypes.RefreshPreferences{
				MinHealthyPercentage: aws.Int32(100), MaxHealthyPercentage: aws.Int32(200), InstanceWarmup: aws.Int32(0), SkipMatching: aws.Bool(true),
			},
		})
	})
	if code(err) == "InstanceRefreshInProgress" {
		c.log.Info("an instance refresh is under way", "answer", err.Error())
		return nil
	}
	return err
}

// tell publishes an alert. SNS takes subjects of up to 100 ASCII characters.
func (c *Controller) tell(ctx context.Context, a decide.Alert) error {
	subject := a.Subject
	if len(subject) > 100 {
		subject = subject[:100]
	}
	_, err := call(ctx, func(ctx context.Context) (*sns.PublishOutput, error) {
		return c.api.SNS.Publish(ctx, &sns.PublishInput{
			TopicArn: aws.String(c.zone.AlertTopic), Subject: aws.String(subject), Message: aws.String(a.Text),
		})
	})
	return err
}
