package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// contract is one thing that is relied on.
type contract struct {
	name  string
	check func(context.Context, *world) error
	// moto says what moto does instead; empty where it agrees.
	moto string
}

const everywhere = "0.0.0.0/0"

var contracts = slices.Concat(routes, addresses, interfaces, groups, others)

var routes = []contract{
	{name: "a route that exists is not created again", check: func(ctx context.Context, w *world) error {
		if err := w.createRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		return refused(w.createRoute(ctx, w.tables[0], everywhere, w.nodes[1].eni), "RouteAlreadyExists")
	}, moto: "a route to an interface is overwritten"},
	{name: "a route to a gateway that exists is not created again", check: func(ctx context.Context, w *world) error {
		create := &ec2.CreateRouteInput{RouteTableId: &w.tables[0], DestinationCidrBlock: aws.String(everywhere), NatGatewayId: &w.gateway}
		if _, err := w.ec2.CreateRoute(ctx, create); err != nil {
			return err
		}
		_, err := w.ec2.CreateRoute(ctx, create)
		return refused(err, "RouteAlreadyExists")
	}},
	{name: "a route that does not exist is not replaced", check: func(ctx context.Context, w *world) error {
		return refused(w.replaceRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni), "InvalidParameterValue")
	}},
	{name: "a route that does not exist is not deleted", check: func(ctx context.Context, w *world) error {
		_, err := w.ec2.DeleteRoute(ctx, &ec2.DeleteRouteInput{RouteTableId: &w.tables[0], DestinationCidrBlock: aws.String(everywhere)})
		return refused(err, "InvalidRoute.NotFound")
	}},
	{name: "a replaced route points at the new interface, in its table only", check: func(ctx context.Context, w *world) error {
		for _, table := range w.tables {
			if err := w.createRoute(ctx, table, everywhere, w.nodes[0].eni); err != nil {
				return err
			}
		}
		if err := w.replaceRoute(ctx, w.tables[0], everywhere, w.nodes[1].eni); err != nil {
			return err
		}
		for at, table := range w.tables {
			r, err := w.route(ctx, table, everywhere)
			if err != nil {
				return err
			}
			if want := w.nodes[1-at].eni; r == nil || aws.ToString(r.NetworkInterfaceId) != want || r.State != ec2types.RouteStateActive {
				return fmt.Errorf("table %d: %+v, want %s", at, r, want)
			}
		}
		return nil
	}},
	{name: "a route goes from the gateway to an interface and back", check: func(ctx context.Context, w *world) error {
		if _, err := w.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{
			RouteTableId: &w.tables[0], DestinationCidrBlock: aws.String(everywhere), NatGatewayId: &w.gateway,
		}); err != nil {
			return err
		}
		if err := w.replaceRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		if r, err := w.route(ctx, w.tables[0], everywhere); err != nil || aws.ToString(r.NetworkInterfaceId) != w.nodes[0].eni || r.NatGatewayId != nil {
			return unexpected(r, err)
		}
		if _, err := w.ec2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
			RouteTableId: &w.tables[0], DestinationCidrBlock: aws.String(everywhere), NatGatewayId: &w.gateway,
		}); err != nil {
			return err
		}
		if r, err := w.route(ctx, w.tables[0], everywhere); err != nil || aws.ToString(r.NatGatewayId) != w.gateway || r.NetworkInterfaceId != nil || r.InstanceId != nil {
			return unexpected(r, err)
		}
		return nil
	}},
	{name: "a route to an interface names its instance too", check: func(ctx context.Context, w *world) error {
		if err := w.createRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		r, err := w.route(ctx, w.tables[0], everywhere)
		if err != nil || aws.ToString(r.InstanceId) != w.nodes[0].instance {
			return unexpected(r, err)
		}
		return nil
	}, moto: "the instance is missing"},
	{name: "the routes of a terminated instance are black holes", check: func(ctx context.Context, w *world) error {
		if err := w.createRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		if err := w.terminate(ctx, w.nodes[0].instance); err != nil {
			return err
		}
		r, err := w.route(ctx, w.tables[0], everywhere)
		if err != nil || r.State != ec2types.RouteStateBlackhole {
			return unexpected(r, err)
		}
		return nil
	}, moto: "the route stays active"},
	{name: "a dry run changes nothing and says so", check: func(ctx context.Context, w *world) error {
		if err := w.createRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		_, err := w.ec2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
			RouteTableId: &w.tables[0], DestinationCidrBlock: aws.String(everywhere), NetworkInterfaceId: &w.nodes[1].eni, DryRun: aws.Bool(true),
		})
		return refused(err, "DryRunOperation")
	}, moto: "is carried out"},
	{name: "more specific routes stand beside the default route", check: func(ctx context.Context, w *world) error {
		for destination, n := range map[string]node{everywhere: w.nodes[0], "198.51.100.7/32": w.nodes[1]} {
			if err := w.createRoute(ctx, w.tables[0], destination, n.eni); err != nil {
				return err
			}
		}
		r, err := w.route(ctx, w.tables[0], "198.51.100.7/32")
		if err != nil || aws.ToString(r.NetworkInterfaceId) != w.nodes[1].eni {
			return unexpected(r, err)
		}
		return nil
	}},
	{name: "a table that does not exist is not described", check: func(ctx context.Context, w *world) error {
		_, err := w.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-0123456789abcdef0"}})
		return refused(err, "InvalidRouteTableID.NotFound")
	}},
	{name: "tables are found by the subnet that they are associated with", check: func(ctx context.Context, w *world) error {
		out, err := w.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []ec2types.Filter{
			{Name: aws.String("association.subnet-id"), Values: []string{w.privateSubnet}},
		}})
		if err != nil || len(out.RouteTables) != 1 || *out.RouteTables[0].RouteTableId != w.tables[0] {
			return unexpected(out, err)
		}
		return nil
	}},
	{name: "a gateway that is there is available", check: func(ctx context.Context, w *world) error {
		out, err := w.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{w.gateway}})
		if err != nil || len(out.NatGateways) != 1 || out.NatGateways[0].State != ec2types.NatGatewayStateAvailable ||
			len(out.NatGateways[0].NatGatewayAddresses) != 1 || aws.ToString(out.NatGateways[0].NatGatewayAddresses[0].PublicIp) == "" {
			return unexpected(out, err)
		}
		return nil
	}},
}

var addresses = []contract{
	{name: "an Elastic IP is bound to a secondary address", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		if err := w.associate(ctx, w.nodes[0].eni, shared, nil); err != nil {
			return err
		}
		if a, err := w.elastic(ctx); err != nil || aws.ToString(a.PrivateIpAddress) != shared || aws.ToString(a.NetworkInterfaceId) != w.nodes[0].eni {
			return unexpected(a, err)
		}
		return nil
	}, moto: "the Elastic IP is shown at the primary address"},
	{name: "an Elastic IP moves where that is allowed", check: func(ctx context.Context, w *world) error {
		return w.move(ctx, aws.Bool(true))
	}},
	{name: "an Elastic IP moves unless that is forbidden", check: func(ctx context.Context, w *world) error {
		return w.move(ctx, nil)
	}, moto: "refuses unless it is allowed"},
	{name: "an Elastic IP that is taken is not moved where that is forbidden", check: func(ctx context.Context, w *world) error {
		if err := w.associate(ctx, w.nodes[0].eni, "", nil); err != nil {
			return err
		}
		return refused(w.associate(ctx, w.nodes[1].eni, "", aws.Bool(false)), "Resource.AlreadyAssociated")
	}},
	{name: "an Elastic IP that does not exist is not bound", check: func(ctx context.Context, w *world) error {
		w.allocation = "eipalloc-0123456789abcdef0"
		return refused(w.associate(ctx, w.nodes[0].eni, "", nil), "InvalidAllocationID.NotFound")
	}},
	{name: "a secondary address moves with its Elastic IP where that is allowed", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		if err := w.associate(ctx, w.nodes[0].eni, shared, nil); err != nil {
			return err
		}
		if err := w.assign(ctx, w.nodes[1].eni, shared, true); err != nil {
			return err
		}
		before, err := w.addresses(ctx, w.nodes[0].eni)
		if err != nil {
			return err
		}
		after, err := w.addresses(ctx, w.nodes[1].eni)
		if err != nil {
			return err
		}
		if _, stayed := before[shared]; stayed || after[shared] != w.allocation {
			return fmt.Errorf("old interface: %v, new one: %v", before, after)
		}
		return nil
	}, moto: "the address stays at the old interface as well"},
	{name: "a secondary address that is taken is not moved unless that is allowed", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		return refused(w.assign(ctx, w.nodes[1].eni, shared, false), "InvalidParameterValue")
	}, moto: "both interfaces have it then"},
	{name: "a secondary address that was given back is free", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		if _, err := w.ec2.UnassignPrivateIpAddresses(ctx, &ec2.UnassignPrivateIpAddressesInput{
			NetworkInterfaceId: &w.nodes[0].eni, PrivateIpAddresses: []string{shared},
		}); err != nil {
			return err
		}
		if err := w.assign(ctx, w.nodes[1].eni, shared, false); err != nil {
			return err
		}
		for at, n := range w.nodes {
			found, err := w.addresses(ctx, n.eni)
			if _, has := found[shared]; err != nil || has != (at == 1) {
				return unexpected(found, err)
			}
		}
		return nil
	}},
	{name: "an Elastic IP can be taken away", check: func(ctx context.Context, w *world) error {
		if err := w.associate(ctx, w.nodes[0].eni, "", nil); err != nil {
			return err
		}
		bound, err := w.elastic(ctx)
		if err != nil {
			return err
		}
		if _, err := w.ec2.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: bound.AssociationId}); err != nil {
			return err
		}
		if free, err := w.elastic(ctx); err != nil || free.AssociationId != nil || aws.ToString(free.NetworkInterfaceId) != "" {
			return unexpected(free, err)
		}
		return nil
	}},
	{name: "a terminated instance leaves its Elastic IP", check: func(ctx context.Context, w *world) error {
		if err := w.associate(ctx, w.nodes[0].eni, "", nil); err != nil {
			return err
		}
		if err := w.terminate(ctx, w.nodes[0].instance); err != nil {
			return err
		}
		if free, err := w.elastic(ctx); err != nil || free.AssociationId != nil || aws.ToString(free.NetworkInterfaceId) != "" {
			return unexpected(free, err)
		}
		return nil
	}, moto: "it stays bound"},
	{name: "a reboot keeps addresses and routes", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		if err := w.createRoute(ctx, w.tables[0], everywhere, w.nodes[0].eni); err != nil {
			return err
		}
		if _, err := w.ec2.RebootInstances(ctx, &ec2.RebootInstancesInput{InstanceIds: []string{w.nodes[0].instance}}); err != nil {
			return err
		}
		w.settle()
		found, err := w.addresses(ctx, w.nodes[0].eni)
		if _, has := found[shared]; err != nil || !has {
			return unexpected(found, err)
		}
		if r, err := w.route(ctx, w.tables[0], everywhere); err != nil || r == nil || r.State != ec2types.RouteStateActive {
			return unexpected(r, err)
		}
		return nil
	}},
	{name: "a primary address is not moved", check: func(ctx context.Context, w *world) error {
		return refused(w.assign(ctx, w.nodes[1].eni, w.nodes[0].address, true), "InvalidParameterValue")
	}, moto: "both interfaces have it then"},
}

var interfaces = []contract{
	{name: "the source/destination check is on until it is turned off", check: func(ctx context.Context, w *world) error {
		for _, want := range []bool{true, false} {
			if !want {
				if _, err := w.ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{
					NetworkInterfaceId: &w.nodes[0].eni, SourceDestCheck: &ec2types.AttributeBooleanValue{Value: aws.Bool(false)},
				}); err != nil {
					return err
				}
			}
			found, err := w.eniOf(ctx, w.nodes[0].instance)
			if err != nil || aws.ToBool(found.SourceDestCheck) != want {
				return unexpected(aws.ToBool(found.SourceDestCheck), err)
			}
		}
		return nil
	}},
	{name: "the source/destination check is an attribute of the interface", check: func(ctx context.Context, w *world) error {
		out, err := w.ec2.DescribeNetworkInterfaceAttribute(ctx, &ec2.DescribeNetworkInterfaceAttributeInput{
			NetworkInterfaceId: &w.nodes[0].eni, Attribute: ec2types.NetworkInterfaceAttributeSourceDestCheck,
		})
		if err != nil || out.SourceDestCheck == nil || !aws.ToBool(out.SourceDestCheck.Value) || aws.ToString(out.NetworkInterfaceId) != w.nodes[0].eni {
			return unexpected(out, err)
		}
		return nil
	}},
	{name: "an interface shows its instance and its addresses", check: func(ctx context.Context, w *world) error {
		if err := w.assign(ctx, w.nodes[0].eni, shared, false); err != nil {
			return err
		}
		found, err := w.eniOf(ctx, w.nodes[0].instance)
		if err != nil {
			return err
		}
		var primary, secondary []string
		for _, p := range found.PrivateIpAddresses {
			if aws.ToBool(p.Primary) {
				primary = append(primary, *p.PrivateIpAddress)
			} else {
				secondary = append(secondary, *p.PrivateIpAddress)
			}
		}
		if !slices.Equal(primary, []string{w.nodes[0].address}) || !slices.Equal(secondary, []string{shared}) ||
			found.Attachment == nil || aws.ToString(found.SubnetId) != w.publicSubnet || aws.ToString(found.VpcId) != w.vpc || found.MacAddress == nil {
			return fmt.Errorf("%+v", found)
		}
		return nil
	}},
	{name: "an instance shows its state and its interface", check: func(ctx context.Context, w *world) error {
		out, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{w.nodes[0].instance}})
		if err != nil {
			return err
		}
		i := out.Reservations[0].Instances[0]
		if i.State.Name != ec2types.InstanceStateNameRunning || len(i.NetworkInterfaces) != 1 || aws.ToString(i.NetworkInterfaces[0].NetworkInterfaceId) != w.nodes[0].eni {
			return fmt.Errorf("%+v", i)
		}
		return nil
	}},
	{name: "an instance that does not exist is not described", check: func(ctx context.Context, w *world) error {
		_, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
		return refused(err, "InvalidInstanceID.NotFound")
	}},
	{name: "a filter that does not exist is refused", check: func(ctx context.Context, w *world) error {
		_, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
			{Name: aws.String("no-such-filter"), Values: []string{"x"}},
		}})
		return refused(err, "InvalidParameterValue")
	}, moto: "answers with an internal error"},
	{name: "an interface that does not exist is not described", check: func(ctx context.Context, w *world) error {
		_, err := w.addresses(ctx, "eni-0123456789abcdef0")
		return refused(err, "InvalidNetworkInterfaceID.NotFound")
	}},
}

var groups = []contract{
	{name: "groups are found by their tag", check: func(ctx context.Context, w *world) error {
		out, err := w.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []autoscalingtypes.Filter{
			{Name: aws.String("tag:" + tagName), Values: []string{tagValue}},
		}})
		if err != nil {
			return err
		}
		var names []string
		for _, g := range out.AutoScalingGroups {
			names = append(names, *g.AutoScalingGroupName)
		}
		if slices.Sort(names); !slices.Equal(names, w.groups[:]) {
			return fmt.Errorf("groups %v", names)
		}
		return nil
	}},
	{name: "an instance in service is healthy", check: func(ctx context.Context, w *world) error {
		out, err := w.autoscaling.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{w.nodes[0].instance}})
		if err != nil || len(out.AutoScalingInstances) != 1 {
			return unexpected(out, err)
		}
		// The API writes HEALTHY here, and Healthy in a group.
		if i := out.AutoScalingInstances[0]; *i.LifecycleState != "InService" || !strings.EqualFold(*i.HealthStatus, "healthy") || *i.AutoScalingGroupName != w.groups[0] {
			return fmt.Errorf("%s, %s, group %s", *i.LifecycleState, *i.HealthStatus, *i.AutoScalingGroupName)
		}
		return nil
	}},
	{name: "an instance that was marked unhealthy is replaced", check: func(ctx context.Context, w *world) error {
		if _, err := w.autoscaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{
			InstanceId: &w.nodes[0].instance, HealthStatus: aws.String("Unhealthy"), ShouldRespectGracePeriod: aws.Bool(false),
		}); err != nil {
			return err
		}
		w.settle()
		old := w.nodes[0].instance
		if err := w.find(ctx); err != nil {
			return err
		}
		if w.nodes[0].instance == old {
			return fmt.Errorf("%s is still the only one", old)
		}
		return nil
	}, moto: "it stays, and is called Unhealthy"},
	{name: "the health of an instance of no group is not set", check: func(ctx context.Context, w *world) error {
		_, err := w.autoscaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: aws.String("i-0123456789abcdef0"), HealthStatus: aws.String("Unhealthy")})
		return refused(err, "ValidationError")
	}, moto: "refuses with InvalidInstanceID.NotFound"},
	{name: "a terminated instance is replaced", check: func(ctx context.Context, w *world) error {
		old := w.nodes[0].instance
		if err := w.terminate(ctx, old); err != nil {
			return err
		}
		if err := w.find(ctx); err != nil {
			return err
		}
		if w.nodes[0].instance == old {
			return fmt.Errorf("%s is still the only one", old)
		}
		return nil
	}},
	{name: "an instance waits in its launch hook until that is completed", check: func(ctx context.Context, w *world) error {
		if err := w.putHook("launch", "autoscaling:EC2_INSTANCE_LAUNCHING"); err != nil {
			return err
		}
		if err := w.terminate(ctx, w.nodes[0].instance); err != nil {
			return err
		}
		successor, err := w.only(ctx, "Pending:Wait")
		if err != nil {
			return err
		}
		if _, err := w.autoscaling.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
			AutoScalingGroupName: &w.groups[0], LifecycleHookName: aws.String("launch"), InstanceId: &successor,
		}); err != nil {
			return err
		}
		if err := w.complete(ctx, "launch", successor, "CONTINUE"); err != nil {
			return err
		}
		_, err = w.only(ctx, "InService")
		return err
	}, moto: "hooks hold nobody"},
	{name: "an instance that abandons its launch is replaced", check: func(ctx context.Context, w *world) error {
		if err := w.putHook("launch", "autoscaling:EC2_INSTANCE_LAUNCHING"); err != nil {
			return err
		}
		if err := w.terminate(ctx, w.nodes[0].instance); err != nil {
			return err
		}
		first, err := w.only(ctx, "Pending:Wait")
		if err != nil {
			return err
		}
		if err := w.complete(ctx, "launch", first, "ABANDON"); err != nil {
			return err
		}
		second, err := w.only(ctx, "Pending:Wait")
		if err == nil && second == first {
			err = fmt.Errorf("%s waits again", first)
		}
		return err
	}, moto: "hooks hold nobody"},
	{name: "an instance waits in its termination hook until that is completed", check: func(ctx context.Context, w *world) error {
		if err := w.putHook("leave", "autoscaling:EC2_INSTANCE_TERMINATING"); err != nil {
			return err
		}
		old := w.nodes[0].instance
		if _, err := w.autoscaling.SetInstanceHealth(ctx, &autoscaling.SetInstanceHealthInput{InstanceId: &old, HealthStatus: aws.String("Unhealthy")}); err != nil {
			return err
		}
		w.settle()
		states, err := w.states(ctx)
		if err != nil || states[old] != "Terminating:Wait" {
			return unexpected(states, err)
		}
		if err := w.complete(ctx, "leave", old, "CONTINUE"); err != nil {
			return err
		}
		if states, err = w.states(ctx); err != nil || len(states) != 1 || states[old] != "" {
			return unexpected(states, err)
		}
		return nil
	}, moto: "hooks hold nobody"},
	{name: "a lifecycle action that nobody waits for is not completed", check: func(ctx context.Context, w *world) error {
		_, err := w.autoscaling.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
			AutoScalingGroupName: &w.groups[0], LifecycleHookName: aws.String("polynat-launch"), InstanceId: &w.nodes[0].instance, LifecycleActionResult: aws.String("CONTINUE"),
		})
		return refused(err, "ValidationError")
	}, moto: "CompleteLifecycleAction is not implemented"},
	{name: "a lifecycle action that nobody waits for has no heartbeat", check: func(ctx context.Context, w *world) error {
		_, err := w.autoscaling.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
			AutoScalingGroupName: &w.groups[0], LifecycleHookName: aws.String("polynat-launch"), InstanceId: &w.nodes[0].instance,
		})
		return refused(err, "ValidationError")
	}, moto: "RecordLifecycleActionHeartbeat is not implemented"},
	{name: "an instance refresh begins", check: func(ctx context.Context, w *world) error {
		out, err := w.autoscaling.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: &w.groups[0]})
		if err == nil && aws.ToString(out.InstanceRefreshId) == "" {
			err = fmt.Errorf("it has no id")
		}
		return err
	}, moto: "StartInstanceRefresh is not implemented"},
}

var others = []contract{
	{name: "a parameter keeps its value and counts its versions", check: func(ctx context.Context, w *world) error {
		for version := int64(1); version <= 2; version++ {
			value := fmt.Sprintf(`{"version": %d}`, version)
			put, err := w.ssm.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/contract/state"), Value: &value, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
			if err != nil || put.Version != version {
				return unexpected(put, err)
			}
			got, err := w.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/contract/state")})
			if err != nil || aws.ToString(got.Parameter.Value) != value || got.Parameter.Version != version || got.Parameter.LastModifiedDate == nil {
				return unexpected(got, err)
			}
		}
		return nil
	}},
	{name: "a parameter is not overwritten without being told to", check: func(ctx context.Context, w *world) error {
		put := &ssm.PutParameterInput{Name: aws.String("/contract/state"), Value: aws.String("x"), Type: ssmtypes.ParameterTypeString}
		if _, err := w.ssm.PutParameter(ctx, put); err != nil {
			return err
		}
		_, err := w.ssm.PutParameter(ctx, put)
		return refused(err, "ParameterAlreadyExists")
	}},
	{name: "a parameter that does not exist is not found", check: func(ctx context.Context, w *world) error {
		_, err := w.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/contract/none")})
		return refused(err, "ParameterNotFound")
	}},
	{name: "a message to a topic has an id", check: func(ctx context.Context, w *world) error {
		out, err := w.sns.Publish(ctx, &sns.PublishInput{TopicArn: &w.topic, Subject: aws.String("subject"), Message: aws.String("message")})
		if err == nil && aws.ToString(out.MessageId) == "" {
			err = fmt.Errorf("it has no id")
		}
		return err
	}},
	{name: "a message to no topic is refused", check: func(ctx context.Context, w *world) error {
		_, err := w.sns.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(w.topic + "-none"), Message: aws.String("message")})
		return refused(err, "NotFound")
	}},
	{name: "metrics are taken", check: func(ctx context.Context, w *world) error {
		var data []cloudwatchtypes.MetricDatum
		for n := range 200 { // enough for the client to compress the request
			data = append(data, cloudwatchtypes.MetricDatum{
				MetricName: aws.String(fmt.Sprintf("Metric%d", n)), Value: aws.Float64(float64(n)), Unit: cloudwatchtypes.StandardUnitCount,
				Dimensions: []cloudwatchtypes.Dimension{{Name: aws.String("Zone"), Value: aws.String(zone)}},
			})
		}
		_, err := w.cloudwatch.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("polynat"), MetricData: data})
		return err
	}},
}

// shared is the secondary address that moves.
const shared = "10.0.1.100"

func (w *world) createRoute(ctx context.Context, table, destination, eni string) error {
	_, err := w.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: &destination, NetworkInterfaceId: &eni})
	return err
}

func (w *world) replaceRoute(ctx context.Context, table, destination, eni string) error {
	_, err := w.ec2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{RouteTableId: &table, DestinationCidrBlock: &destination, NetworkInterfaceId: &eni})
	return err
}

func (w *world) assign(ctx context.Context, eni, address string, move bool) error {
	_, err := w.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: &eni, PrivateIpAddresses: []string{address}, AllowReassignment: &move,
	})
	return err
}

func (w *world) associate(ctx context.Context, eni, address string, move *bool) error {
	in := &ec2.AssociateAddressInput{AllocationId: &w.allocation, NetworkInterfaceId: &eni, AllowReassociation: move}
	if address != "" {
		in.PrivateIpAddress = &address
	}
	out, err := w.ec2.AssociateAddress(ctx, in)
	if err == nil && aws.ToString(out.AssociationId) == "" {
		err = fmt.Errorf("the association has no id")
	}
	return err
}

// only is the one instance of the first group, which has to be in a state.
func (w *world) only(ctx context.Context, state string) (string, error) {
	states, err := w.states(ctx)
	if err != nil {
		return "", err
	}
	for id, got := range states {
		if len(states) == 1 && got == state {
			return id, nil
		}
	}
	return "", fmt.Errorf("want one instance that is %s, got %v", state, states)
}

func (w *world) complete(ctx context.Context, hook, instance, result string) error {
	_, err := w.autoscaling.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: &w.groups[0], LifecycleHookName: &hook, InstanceId: &instance, LifecycleActionResult: &result,
	})
	w.settle()
	return err
}

// move binds the Elastic IP to the first interface, then to the second.
func (w *world) move(ctx context.Context, allow *bool) error {
	for _, n := range w.nodes {
		if err := w.associate(ctx, n.eni, "", allow); err != nil {
			return err
		}
	}
	if a, err := w.elastic(ctx); err != nil || aws.ToString(a.NetworkInterfaceId) != w.nodes[1].eni {
		return unexpected(a, err)
	}
	return nil
}

// elastic is the Elastic IP.
func (w *world) elastic(ctx context.Context) (ec2types.Address, error) {
	out, err := w.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{w.allocation}})
	if err != nil || len(out.Addresses) != 1 {
		return ec2types.Address{}, unexpected(out, err)
	}
	return out.Addresses[0], nil
}

func (w *world) terminate(ctx context.Context, instance string) error {
	_, err := w.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instance}})
	w.settle()
	return err
}
