package control

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"polynat/internal/failover/decide"
	"polynat/internal/failover/event"
	"polynat/internal/natzone"
)

const (
	// check is how often the standby's state is looked up while nothing happens.
	check = 5 * time.Minute
	// patience with the state, and with the zone's group, once everything else is known: neither must hold up a failover.
	patience = 300 * time.Millisecond
	// acquaintance is how long an instance that is not of the zone's group is taken for another's.
	acquaintance = time.Hour
	// recent is how old the agent's word may be: the reports come each minute.
	recent = 90 * time.Second
	// filterValues is how many values a filter of EC2 may have.
	filterValues = 200
)

// found is what a decision rests on.
type found struct {
	decide.Observation
	// state is what is known of it. While late is not nil it may be old, or none at all, if not known; late delivers how
	// reading it ended.
	state decide.State
	known bool
	late  <-chan error
}

// gather looks up what the decision needs: everything at once, and nothing that is not needed.
func (c *Controller) gather(ctx context.Context, m event.Message) (found, error) {
	var o decide.Observation
	if c.agent != nil && time.Since(c.heard) < recent {
		o.Agent = c.agent
	}
	state := make(chan error, 1)
	if c.needsState(m) {
		go func() { state <- c.load(ctx) }()
	} else {
		state <- nil
	}
	var wg sync.WaitGroup
	var err, routesErr error
	wg.Go(func() { o.Routes, o.Lost, routesErr = c.routes(ctx) })
	if r, ok := verdict(m); ok && r.Cause != natzone.Egress {
		wg.Go(func() { o.Control = c.crosscheck(ctx, r.Failing) })
	}
	if c.needsStandby(m) {
		wg.Go(func() { o.Standby = c.standby(ctx) })
	}
	wg.Wait()
	if routesErr != nil {
		return found{}, routesErr
	}
	f := found{}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-state:
		if err != nil {
			c.log.Error("state", "error", err)
		}
	case <-late.C:
		c.log.Warn("state", "error", "not known in time")
		f.late = state
	}
	f.state, f.known = c.snapshot()
	s := f.state
	for _, id := range s.Served {
		c.ids[id] = true
	}
	c.disown(ctx, o.Routes)
	o.Now = wall().UTC()
	if decide.Due(c.zone, s, m, o.Now) {
		if o.InService, o.Peers, err = c.peers(ctx); err != nil {
			c.log.Error("no replacement", "error", err)
		}
		o.Looked = err == nil
	}
	if _, failed := verdict(m); !failed && c.zone.Hold > 0 && isReport(m) {
		if o.Rollout, err = c.rollout(ctx, o.Routes); err != nil {
			c.log.Error("rollout", "error", err)
		}
	}
	f.Observation = o
	return f, nil
}

// disown takes instances that are not the zone's out of its routes. The usual case costs no call: the routes point at one that has
// said that it serves the zone, or all at the same one, and none is known. Where the group cannot be looked up, those that are in
// doubt count as the zone's, for this once: so the benefit is the clients'.
func (c *Controller) disown(ctx context.Context, routes []decide.Route) {
	named, unknown := map[string]bool{}, false
	for _, r := range routes {
		named[r.Instance] = r.Instance != ""
		unknown = unknown || r.Instance != "" && !c.ids[r.Instance] && time.Since(c.strange[r.Instance]) > acquaintance
	}
	delete(named, "")
	if unknown && len(c.ids)+len(named) > 1 {
		soon, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		members, err := c.members(soon)
		if err != nil {
			c.log.Error("group of the zone", "error", err)
		}
		for _, r := range routes {
			switch {
			case r.Instance == "" || c.ids[r.Instance]:
			case slices.Contains(members, r.Instance):
				c.ids[r.Instance] = true
			case err == nil && !r.Blackhole: // of the group it may have been
				c.strange[r.Instance] = wall()
			}
		}
	}
	attached := slices.ContainsFunc(routes, func(r decide.Route) bool { return r.Instance != "" })
	for i, r := range routes {
		// EC2 names the instance of an interface that is attached. Should it ever name none, all interfaces count as the zone's.
		if !c.strange[r.Instance].IsZero() && !c.ids[r.Instance] || r.Instance == "" && r.Interface != "" && attached {
			routes[i].Instance, routes[i].Interface = "", ""
		}
	}
}

// members are the instances of the zone's own group, in whatever state.
func (c *Controller) members(ctx context.Context) (ids []string, err error) {
	out, err := call(ctx, func(ctx context.Context) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
		return c.api.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{
			AutoScalingGroupNames: []string{c.zone.Group},
		})
	})
	if err != nil {
		return nil, err
	}
	if len(out.AutoScalingGroups) == 0 {
		return nil, fmt.Errorf("DescribeAutoScalingGroups: %s: not found", c.zone.Group)
	}
	for _, g := range out.AutoScalingGroups {
		for _, i := range g.Instances {
			ids = append(ids, aws.ToString(i.InstanceId))
		}
	}
	return ids, nil
}

func verdict(m event.Message) (natzone.Report, bool) {
	o, ok := m.(event.Observed)
	return o.Report, ok && o.Report.Cause != natzone.None
}

// needsState says whether the state is read, though this process may know it: not in a minute in which nothing happens.
// This process is the only writer as long as it lives, but an older one may have been thawed.
func (c *Controller) needsState(m event.Message) bool {
	if _, ok := verdict(m); ok {
		return true
	}
	s, known := c.snapshot()
	if _, minute := m.(event.Observed); !minute || !known {
		return true
	}
	return !s.Since.IsZero() || !s.Broken.IsZero() || s.Sick != "" || len(s.Leaving) > 0
}

func isReport(m event.Message) bool {
	_, ok := m.(event.Observed)
	return ok
}

func (c *Controller) needsStandby(m event.Message) bool {
	if c.zone.Standby == "" {
		return false
	}
	s, _ := c.snapshot()
	switch m := m.(type) {
	case event.Observed:
		if m.Report.Cause != natzone.None {
			return !s.Broken.IsZero()
		}
		return !s.Broken.IsZero() || !s.Since.IsZero() || time.Since(c.checked) >= check
	case event.Instances:
		return m.Change == event.Rebalance
	default:
		return false
	}
}

// routes looks the zone's routes up: by a filter, because a table that does not exist fails the whole call by id.
func (c *Controller) routes(ctx context.Context) (found []decide.Route, lost []string, err error) {
	tables, err := c.tables(ctx, "route-table-id", c.zone.RouteTables)
	if err != nil {
		return nil, nil, fmt.Errorf("route tables of the zone: %w", err)
	}
	for _, id := range c.zone.RouteTables {
		i := slices.IndexFunc(tables, func(t ec2types.RouteTable) bool { return aws.ToString(t.RouteTableId) == id })
		if i < 0 {
			lost = append(lost, id)
			continue
		}
		for _, destination := range c.zone.Destinations {
			found = append(found, routeOf(tables[i], destination))
		}
	}
	return found, lost, nil
}

// tables whose filter has one of the values.
func (c *Controller) tables(ctx context.Context, filter string, values []string) ([]ec2types.RouteTable, error) {
	var all []ec2types.RouteTable
	for some := range slices.Chunk(values, filterValues) {
		in := &ec2.DescribeRouteTablesInput{Filters: []ec2types.Filter{{Name: aws.String(filter), Values: some}}}
		for {
			out, err := call(ctx, func(ctx context.Context) (*ec2.DescribeRouteTablesOutput, error) {
				return c.api.EC2.DescribeRouteTables(ctx, in)
			})
			if err != nil {
				return nil, err
			}
			all = append(all, out.RouteTables...)
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return all, nil
}

func routeOf(t ec2types.RouteTable, destination netip.Prefix) decide.Route {
	route := decide.Route{Table: aws.ToString(t.RouteTableId), Destination: destination, Missing: true}
	for _, r := range t.Routes {
		cidr := aws.ToString(r.DestinationCidrBlock) + aws.ToString(r.DestinationIpv6CidrBlock)
		if p, err := netip.ParsePrefix(cidr); err != nil || p != destination || r.Origin == ec2types.RouteOriginEnableVgwRoutePropagation {
			continue
		}
		route.Missing = false
		route.Instance, route.Interface = aws.ToString(r.InstanceId), aws.ToString(r.NetworkInterfaceId)
		route.Gateway = aws.ToString(r.NatGatewayId)
		route.Blackhole = r.State == ec2types.RouteStateBlackhole
		if route.Gateway != "" { // in case EC2 ever shows a gateway's own interface
			route.Instance, route.Interface = "", ""
		}
	}
	return route
}

// crosscheck tries the targets from here, which is outside of the VPC. It ends as soon as one that fails inside answers.
func (c *Controller) crosscheck(ctx context.Context, failing []natzone.Target) decide.Control {
	type outcome struct {
		target natzone.Target
		class  natzone.Class
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	targets := slices.Clone(c.zone.Targets)
	for _, t := range failing {
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	results := make(chan outcome, len(targets))
	for _, t := range targets {
		go func() { results <- outcome{t, c.twice(ctx, t)} }()
	}
	var found decide.Control
	for range targets {
		r := <-results
		switch {
		case r.class == natzone.DNS:
		case r.class.Failure():
			found.Silent = append(found.Silent, r.target)
		default:
			found.Answered = append(found.Answered, r.target)
			if slices.Contains(failing, r.target) {
				return found
			}
		}
	}
	return found
}

// twice tries a target a second time if it has to: a lost packet must not excuse a failure.
func (c *Controller) twice(ctx context.Context, t natzone.Target) natzone.Class {
	class := natzone.Other
	for range 2 {
		attempt, cancel := context.WithTimeout(ctx, c.Timeout)
		class = c.client.Try(attempt, t).Class
		cancel()
		if !class.Failure() || ctx.Err() != nil {
			break
		}
	}
	return class
}

// standby is the state of the gateway; empty if it could not be looked up.
func (c *Controller) standby(ctx context.Context) string {
	out, err := call(ctx, func(ctx context.Context) (*ec2.DescribeNatGatewaysOutput, error) {
		return c.api.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{
			Filter: []ec2types.Filter{{Name: aws.String("nat-gateway-id"), Values: []string{c.zone.Standby}}},
		})
	})
	if err != nil {
		c.log.Error("standby", "error", err)
		return ""
	}
	c.checked = wall()
	if len(out.NatGateways) == 0 {
		return "deleted"
	}
	return string(out.NatGateways[0].State)
}

// load reads the state into memory.
func (c *Controller) load(ctx context.Context) error {
	text, version, err := c.parameter(ctx, c.zone.StateParameter)
	var none *ssmtypes.ParameterNotFound
	if errors.As(err, &none) {
		c.read(decide.State{}, 0)
		return nil
	}
	if err != nil {
		return err
	}
	c.read(c.parsed(text), version)
	return nil
}

// parameter is a value of a parameter, of one version if its name says so.
func (c *Controller) parameter(ctx context.Context, name string) (string, int64, error) {
	out, err := call(ctx, func(ctx context.Context) (*ssm.GetParameterOutput, error) {
		return c.api.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
	})
	if err != nil {
		return "", 0, err
	}
	return aws.ToString(out.Parameter.Value), out.Parameter.Version, nil
}

// parsed is the state in a text; one that is not readable begins anew.
func (c *Controller) parsed(text string) decide.State {
	s, err := decide.ParseState(text)
	if err != nil {
		c.log.Error("state is not readable and begins anew", "error", err)
	}
	return s
}

// peers looks up the groups of all zones, which are found by their tag, and whether their instances hold routes.
func (c *Controller) peers(ctx context.Context) (own []string, peers []decide.Peer, err error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, nil, err
	}
	healthy := map[string][]string{} // by zone
	for _, g := range groups {
		if aws.ToString(g.AutoScalingGroupName) == c.zone.Group {
			own = inService(g)
			continue
		}
		healthy[zoneOf(g)] = append(healthy[zoneOf(g)], inService(g)...)
	}
	var ids []string
	for _, some := range healthy {
		ids = append(ids, some...)
	}
	holds, err := c.holding(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for zone, ids := range healthy {
		peers = append(peers, decide.Peer{
			Zone: zone, Healthy: len(ids) > 0,
			Holds: slices.ContainsFunc(ids, func(id string) bool { return holds[id] }),
		})
	}
	slices.SortFunc(peers, func(a, b decide.Peer) int {
		if a.Zone < b.Zone {
			return -1
		}
		return 1
	})
	return own, peers, nil
}

// groups of all zones, which are found by their tag.
func (c *Controller) groups(ctx context.Context) (all []autoscalingtypes.AutoScalingGroup, err error) {
	in := &autoscaling.DescribeAutoScalingGroupsInput{Filters: []autoscalingtypes.Filter{
		{Name: aws.String("tag:" + natzone.TagName), Values: []string{c.zone.Name}},
	}}
	for {
		out, err := call(ctx, func(ctx context.Context) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
			return c.api.AutoScaling.DescribeAutoScalingGroups(ctx, in)
		})
		if err != nil {
			return nil, fmt.Errorf("groups of the zones: %w", err)
		}
		all = append(all, out.AutoScalingGroups...)
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
}

// holding are those of the instances that routes point at.
func (c *Controller) holding(ctx context.Context, ids []string) (map[string]bool, error) {
	tables, err := c.tables(ctx, "route.instance-id", ids)
	if err != nil {
		return nil, fmt.Errorf("route tables of the other zones: %w", err)
	}
	holds := map[string]bool{}
	for _, t := range tables {
		for _, r := range t.Routes {
			holds[aws.ToString(r.InstanceId)] = true
		}
	}
	return holds, nil
}

// glance is how long a minute's report waits for what is known of templates: nothing else must wait for that.
const glance = 2 * time.Second

// rollout is how the zones stand with a changed template; nil where this zone's instance is of its group's. Then it takes one call.
func (c *Controller) rollout(ctx context.Context, routes []decide.Route) (*decide.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, err
	}
	r := &decide.Rollout{}
	holds := map[string]bool{}
	for _, route := range routes {
		holds[route.Instance] = route.Instance != "" && !route.Blackhole
	}
	var ids []string
	for _, g := range groups {
		if aws.ToString(g.AutoScalingGroupName) == c.zone.Group {
			r.Own, r.Template = standing(g, holds), template(g)
			continue
		}
		ids = append(ids, inService(g)...)
	}
	if !r.Own.Outdated {
		return nil, nil
	}
	if holds, err = c.holding(ctx, ids); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if aws.ToString(g.AutoScalingGroupName) != c.zone.Group {
			r.Peers = append(r.Peers, standing(g, holds))
		}
	}
	return r, nil
}

// standing of a group, of whose instances some hold routes.
func standing(g autoscalingtypes.AutoScalingGroup, holds map[string]bool) natzone.Standing {
	s := natzone.Standing{Zone: zoneOf(g)}
	healthy := inService(g)
	for _, i := range g.Instances {
		id := aws.ToString(i.InstanceId)
		if holds[id] {
			s.Instance = id
		}
		s.Outdated = s.Outdated || i.LifecycleState == autoscalingtypes.LifecycleStateInService && outdated(g, i)
	}
	s.Settled = len(g.Instances) == 1 && len(healthy) == 1 && s.Instance == healthy[0]
	return s
}

// launches is what a group launches.
func launches(g autoscalingtypes.AutoScalingGroup) (t autoscalingtypes.LaunchTemplateSpecification, types []string) {
	if g.MixedInstancesPolicy == nil || g.MixedInstancesPolicy.LaunchTemplate == nil || g.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification == nil {
		return t, nil
	}
	for _, o := range g.MixedInstancesPolicy.LaunchTemplate.Overrides {
		types = append(types, aws.ToString(o.InstanceType))
	}
	return *g.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification, types
}

func template(g autoscalingtypes.AutoScalingGroup) string {
	t, types := launches(g)
	return fmt.Sprintf("%s %s %v", aws.ToString(t.LaunchTemplateId), aws.ToString(t.Version), types)
}

// outdated says that an instance is not what its group launches. Where the group does not say that, nothing is.
func outdated(g autoscalingtypes.AutoScalingGroup, i autoscalingtypes.Instance) bool {
	t, types := launches(g)
	if t.Version == nil || i.LaunchTemplate == nil {
		return false
	}
	return aws.ToString(i.LaunchTemplate.LaunchTemplateId) != aws.ToString(t.LaunchTemplateId) ||
		aws.ToString(i.LaunchTemplate.Version) != aws.ToString(t.Version) || len(types) > 0 && !slices.Contains(types, aws.ToString(i.InstanceType))
}

func zoneOf(g autoscalingtypes.AutoScalingGroup) string {
	for _, t := range g.Tags {
		if aws.ToString(t.Key) == natzone.TagZone {
			return aws.ToString(t.Value)
		}
	}
	return aws.ToString(g.AutoScalingGroupName)
}

func inService(g autoscalingtypes.AutoScalingGroup) []string {
	var ids []string
	for _, i := range g.Instances {
		if i.LifecycleState == autoscalingtypes.LifecycleStateInService && aws.ToString(i.HealthStatus) == "Healthy" {
			ids = append(ids, aws.ToString(i.InstanceId))
		}
	}
	return ids
}
