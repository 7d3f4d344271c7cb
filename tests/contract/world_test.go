package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
)

const (
	region = "us-east-1"
	zone   = "us-east-1a"
)

// world is what every case finds: a VPC with a public and a private subnet, two tables of the private one (of which the first
// is associated with it, and neither has a default route), two groups of one instance each in the public subnet, a NAT
// gateway, an Elastic IP that is free, and a topic.
type world struct {
	ec2         *ec2.Client
	autoscaling *autoscaling.Client
	sns         *sns.Client
	ssm         *ssm.Client
	cloudwatch  *cloudwatch.Client

	vpc, publicSubnet, privateSubnet string
	tables                           [2]string
	groups                           [2]string
	nodes                            [2]node
	gateway, allocation, topic       string

	// settle lets time pass until what was begun is done, but not the hour that a hook waits.
	settle func()
	// putHook gives the first group a lifecycle hook.
	putHook func(name, transition string) error
}

// node is a NAT instance.
type node struct{ instance, eni, address string }

const tagName, tagValue = "polynat:nat", "contract"

// connect makes the clients of an endpoint, as the programs make theirs.
func connect(t *testing.T, endpoint string) *world {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region), config.WithBaseEndpoint(endpoint),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("contract", "secret", "")),
		config.WithRetryMaxAttempts(1))
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		ec2: ec2.NewFromConfig(cfg), autoscaling: autoscaling.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg),
		ssm: ssm.NewFromConfig(cfg), cloudwatch: cloudwatch.NewFromConfig(cfg), settle: func() {},
	}
}

// find fills in the instances of the groups.
func (w *world) find(ctx context.Context) error {
	for at, group := range w.groups {
		out, err := w.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
		if err != nil {
			return err
		}
		if len(out.AutoScalingGroups) != 1 || len(out.AutoScalingGroups[0].Instances) != 1 {
			return fmt.Errorf("group %s: %+v", group, out.AutoScalingGroups)
		}
		instance := *out.AutoScalingGroups[0].Instances[0].InstanceId
		i, err := w.eniOf(ctx, instance)
		if err != nil {
			return err
		}
		w.nodes[at] = node{instance, *i.NetworkInterfaceId, *i.PrivateIpAddress}
	}
	return nil
}

func (w *world) eniOf(ctx context.Context, instance string) (ec2types.NetworkInterface, error) {
	out, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
		{Name: aws.String("attachment.instance-id"), Values: []string{instance}},
	}})
	if err != nil {
		return ec2types.NetworkInterface{}, err
	}
	if len(out.NetworkInterfaces) != 1 {
		return ec2types.NetworkInterface{}, fmt.Errorf("%d interfaces of %s", len(out.NetworkInterfaces), instance)
	}
	return out.NetworkInterfaces[0], nil
}

// states of the first group's instances.
func (w *world) states(ctx context.Context) (map[string]string, error) {
	out, err := w.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: w.groups[:1]})
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, i := range out.AutoScalingGroups[0].Instances {
		states[*i.InstanceId] = string(i.LifecycleState)
	}
	return states, nil
}

// route is the route of a table to a destination; nil if there is none.
func (w *world) route(ctx context.Context, table, destination string) (*ec2types.Route, error) {
	out, err := w.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{table}})
	if err != nil {
		return nil, err
	}
	if len(out.RouteTables) != 1 {
		return nil, fmt.Errorf("%d tables with the id %s", len(out.RouteTables), table)
	}
	var found *ec2types.Route
	for _, r := range out.RouteTables[0].Routes {
		if aws.ToString(r.DestinationCidrBlock) == destination {
			if found != nil {
				return nil, fmt.Errorf("two routes to %s", destination)
			}
			found = &r
		}
	}
	return found, nil
}

// addresses of an interface: private to allocation id.
func (w *world) addresses(ctx context.Context, eni string) (map[string]string, error) {
	out, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{eni}})
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, p := range out.NetworkInterfaces[0].PrivateIpAddresses {
		found[*p.PrivateIpAddress] = ""
		if p.Association != nil {
			found[*p.PrivateIpAddress] = aws.ToString(p.Association.AllocationId)
		}
	}
	return found, nil
}

// unexpected is an answer that is not what was wanted, or the error that came instead.
func unexpected(got any, err error) error {
	if err != nil {
		return err
	}
	text, _ := json.Marshal(got) // for people
	return fmt.Errorf("got %s", text)
}

// refused wants an error with a code.
func refused(err error, code string) error {
	var api smithy.APIError
	switch {
	case err == nil:
		return fmt.Errorf("accepted, want %s", code)
	case !errors.As(err, &api) || api.ErrorCode() != code:
		return fmt.Errorf("want %s: %w", code, err)
	}
	return nil
}
