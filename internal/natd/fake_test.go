package natd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"polynat/internal/natd/metadata"
	"polynat/internal/natzone"
)

// cloud is as much of AWS as the agent of one zone meets: interfaces with their addresses, routes, one Elastic IP, hooks.
type cloud struct {
	mu         sync.Mutex
	interfaces map[string]*card
	routes     map[string]map[netip.Prefix]types.Route
	// bound is the private address that the Elastic IP is bound to, if it is.
	bound   netip.Addr
	waiting map[string]bool // hooks
	target  string
	refuse  map[string]string // operation, or operation and table, to code
	calls   []string
	results []string
	metrics map[string]float64
	late    bool // instance metadata does not know yet that the address was moved
	mute    bool // instance metadata tells of the end alone
}

type card struct {
	addresses []netip.Addr
	check     bool
	tagged    bool
	// unattached says that it is on no instance.
	unattached bool
}

var (
	everywhere  = netip.MustParsePrefix("0.0.0.0/0")
	zoneAddress = netip.MustParseAddr("10.0.0.250")
	own         = netip.MustParseAddr("10.0.0.10")
)

// newCloud is a zone as Pulumi declares it, with three tables, and an instance that has just been launched into it.
func newCloud() *cloud {
	c := &cloud{
		interfaces: map[string]*card{"eni-own": {addresses: []netip.Addr{own}, check: true, tagged: true}},
		routes:     map[string]map[netip.Prefix]types.Route{}, waiting: map[string]bool{natzone.LaunchHook: true}, refuse: map[string]string{},
	}
	for _, t := range []string{"rtb-1", "rtb-2", "rtb-3"} {
		c.routes[t] = map[netip.Prefix]types.Route{}
		c.point(t, types.Route{NatGatewayId: aws.String("nat-standby")})
	}
	return c
}

func (c *cloud) point(table string, r types.Route) {
	if r.State == "" {
		r.State = types.RouteStateActive
	}
	r.DestinationCidrBlock = aws.String(everywhere.String())
	c.routes[table][everywhere] = r
}

// at says what each table's default route points at.
func (c *cloud) at() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, t := range []string{"rtb-1", "rtb-2", "rtb-3"} {
		r, ok := c.routes[t][everywhere]
		switch {
		case !ok:
			out = append(out, "none")
		default:
			out = append(out, aws.ToString(r.NatGatewayId)+aws.ToString(r.NetworkInterfaceId)+aws.ToString(r.GatewayId))
		}
	}
	return out
}

func (c *cloud) call(operation, table string) error {
	c.calls = append(c.calls, operation)
	for _, key := range []string{operation, operation + " " + table} {
		if code := c.refuse[key]; code != "" {
			return &smithy.GenericAPIError{Code: code, Message: "the test says so"}
		}
	}
	return nil
}

func refused(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func wanted(filters []types.Filter, name, value string) bool {
	for _, f := range filters {
		if aws.ToString(f.Name) == name && !slices.Contains(f.Values, value) {
			return false
		}
	}
	return true
}

func (c *cloud) DescribeRouteTables(_ context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ec2.DescribeRouteTablesOutput{}
	for id, routes := range c.routes {
		if !wanted(in.Filters, "route-table-id", id) {
			continue
		}
		t := types.RouteTable{RouteTableId: aws.String(id), Routes: []types.Route{
			{DestinationCidrBlock: aws.String("10.0.0.0/16"), GatewayId: aws.String("local"), State: types.RouteStateActive}}}
		for _, r := range routes {
			t.Routes = append(t.Routes, r)
		}
		out.RouteTables = append(out.RouteTables, t)
	}
	return out, c.call("DescribeRouteTables", "")
}

func (c *cloud) DescribeNetworkInterfaces(_ context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ec2.DescribeNetworkInterfacesOutput{}
	for id, i := range c.interfaces {
		if len(in.NetworkInterfaceIds) > 0 && !slices.Contains(in.NetworkInterfaceIds, id) || !wanted(in.Filters, "network-interface-id", id) {
			continue
		}
		if !slices.ContainsFunc(i.addresses, func(a netip.Addr) bool { return wanted(in.Filters, "addresses.private-ip-address", a.String()) }) {
			continue
		}
		n := types.NetworkInterface{NetworkInterfaceId: aws.String(id), SourceDestCheck: aws.Bool(i.check), PrivateIpAddress: aws.String(i.addresses[0].String())}
		if n.Status = types.NetworkInterfaceStatusInUse; i.unattached {
			n.Status = types.NetworkInterfaceStatusAvailable
		}
		if i.tagged {
			n.TagSet = []types.Tag{{Key: aws.String(natzone.TagName), Value: aws.String("egress")}, {Key: aws.String(natzone.TagZone), Value: aws.String("eu-west-1a")}}
		}
		for _, a := range i.addresses {
			p := types.NetworkInterfacePrivateIpAddress{PrivateIpAddress: aws.String(a.String())}
			if a == c.bound {
				p.Association = &types.NetworkInterfaceAssociation{AllocationId: aws.String("eipalloc-1")}
			}
			n.PrivateIpAddresses = append(n.PrivateIpAddresses, p)
		}
		out.NetworkInterfaces = append(out.NetworkInterfaces, n)
	}
	return out, c.call("DescribeNetworkInterfaces", "")
}

func (c *cloud) DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := types.Address{AllocationId: aws.String("eipalloc-1")}
	if c.bound.IsValid() {
		a.PrivateIpAddress = aws.String(c.bound.String())
		for id, i := range c.interfaces {
			if slices.Contains(i.addresses, c.bound) {
				a.NetworkInterfaceId = aws.String(id)
			}
		}
	}
	return &ec2.DescribeAddressesOutput{Addresses: []types.Address{a}}, c.call("DescribeAddresses", "")
}

//nolint:revive // the name is the SDK's
func (c *cloud) AssignPrivateIpAddresses(_ context.Context, in *ec2.AssignPrivateIpAddressesInput, _ ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("AssignPrivateIpAddresses", ""); err != nil {
		return nil, err
	}
	a := netip.MustParseAddr(in.PrivateIpAddresses[0])
	for _, i := range c.interfaces {
		if slices.Contains(i.addresses, a) && !aws.ToBool(in.AllowReassignment) {
			return nil, refused("InvalidParameterValue", "[%s] assigned, but move is not allowed.", a)
		}
		i.addresses = slices.DeleteFunc(i.addresses, func(b netip.Addr) bool { return a == b })
	}
	to := c.interfaces[aws.ToString(in.NetworkInterfaceId)]
	to.addresses = append(to.addresses, a)
	return &ec2.AssignPrivateIpAddressesOutput{}, nil
}

func (c *cloud) AssociateAddress(_ context.Context, in *ec2.AssociateAddressInput, _ ...func(*ec2.Options)) (*ec2.AssociateAddressOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("AssociateAddress", ""); err != nil {
		return nil, err
	}
	c.bound = netip.MustParseAddr(aws.ToString(in.PrivateIpAddress))
	return &ec2.AssociateAddressOutput{}, nil
}

func (c *cloud) ModifyNetworkInterfaceAttribute(_ context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("ModifyNetworkInterfaceAttribute", ""); err != nil {
		return nil, err
	}
	c.interfaces[aws.ToString(in.NetworkInterfaceId)].check = aws.ToBool(in.SourceDestCheck.Value)
	return &ec2.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (c *cloud) CreateRoute(_ context.Context, in *ec2.CreateRouteInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	table := aws.ToString(in.RouteTableId)
	if err := c.call("CreateRoute", table); err != nil {
		return nil, err
	}
	if _, ok := c.routes[table][everywhere]; ok {
		return nil, refused("RouteAlreadyExists", "The route identified by %s already exists.", everywhere)
	}
	c.point(table, types.Route{NetworkInterfaceId: in.NetworkInterfaceId, NatGatewayId: in.NatGatewayId})
	return &ec2.CreateRouteOutput{}, nil
}

func (c *cloud) ReplaceRoute(_ context.Context, in *ec2.ReplaceRouteInput, _ ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	table := aws.ToString(in.RouteTableId)
	if err := c.call("ReplaceRoute", table); err != nil {
		return nil, err
	}
	if _, ok := c.routes[table][everywhere]; !ok {
		return nil, refused("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", everywhere)
	}
	c.point(table, types.Route{NetworkInterfaceId: in.NetworkInterfaceId, NatGatewayId: in.NatGatewayId})
	return &ec2.ReplaceRouteOutput{}, nil
}

func (c *cloud) CompleteLifecycleAction(_ context.Context, in *autoscaling.CompleteLifecycleActionInput, _ ...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hook := aws.ToString(in.LifecycleHookName)
	if err := c.call("CompleteLifecycleAction", ""); err != nil {
		return nil, err
	}
	if !c.waiting[hook] {
		return nil, refused("ValidationError", "No active Lifecycle Action found with instance ID %s", aws.ToString(in.InstanceId))
	}
	c.waiting[hook] = false
	c.results = append(c.results, hook+" "+aws.ToString(in.LifecycleActionResult))
	return &autoscaling.CompleteLifecycleActionOutput{}, nil
}

func (c *cloud) RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput, ...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &autoscaling.RecordLifecycleActionHeartbeatOutput{}, c.call("RecordLifecycleActionHeartbeat", "")
}

func (c *cloud) PutMetricData(_ context.Context, in *cloudwatch.PutMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.PutMetricDataOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metrics = map[string]float64{}
	for _, d := range in.MetricData {
		c.metrics[aws.ToString(d.MetricName)] = aws.ToFloat64(d.Value)
	}
	return &cloudwatch.PutMetricDataOutput{}, nil
}

// metric is the value published last; -1 for none.
func (c *cloud) metric(name string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.metrics[name]; ok {
		return v
	}
	return -1
}

// Identity, State and Forget are instance metadata.
func (c *cloud) Identity(context.Context) (metadata.Identity, error) { return identity, nil }

func (c *cloud) State(context.Context, metadata.Identity) (metadata.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mute {
		return metadata.State{Target: c.target}, errors.New("no answer about the networks")
	}
	s := metadata.State{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Addresses: []netip.Addr{own}, PrimaryPublic: true, Target: c.target}
	if !c.late {
		s.Addresses = slices.Clone(c.interfaces["eni-own"].addresses)
	}
	return s, nil
}

func (c *cloud) Forget() {}

// document is the configuration that belongs to the cloud.
func document() *natzone.Agent {
	return &natzone.Agent{
		Version: natzone.Version, Name: "egress", Zone: "eu-west-1a", Region: "eu-west-1", AllocationID: "eipalloc-1",
		PublicAddress: netip.MustParseAddr("203.0.113.7"), Address: zoneAddress,
		RouteTables: []string{"rtb-1", "rtb-2", "rtb-3"}, Destinations: []netip.Prefix{everywhere}, Standby: "nat-standby",
		Group: "egress-a", LaunchHook: natzone.LaunchHook, TerminateHook: natzone.TerminateHook,
		Targets: []natzone.Target{"http://198.51.100.1/"}, Identity: []string{"http://198.51.100.1/identity"},
		Tuning: natzone.DefaultTuning(), Restore: natzone.DefaultRestore(), MetricNamespace: natzone.MetricNamespace, HealthPort: natzone.HealthPort,
	}
}

var identity = metadata.Identity{Instance: "i-own", MAC: "02:00:00:00:00:01", Interface: "eni-own", VPC: "vpc-1", Primary: own}

const patience = 10 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if ok() {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			t.Fatalf("never came: %s", what)
		}
	}
	return 0
}

func (c *cloud) called() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}
