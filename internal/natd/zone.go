package natd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"polynat/internal/natd/claim"
	"polynat/internal/natzone"
)

// zone does to AWS what package claim decides. Each call compares before it writes, so that all may be repeated.
type zone struct {
	config   *natzone.Agent
	instance string
	eni      string
	vpc      string
	ec2      EC2
	groups   AutoScaling
	log      *slog.Logger
	now      func() time.Time
	// predecessor is the primary address of the peer that has the zone's address, if one has, and inherit takes over from it.
	predecessor netip.Addr
	inherit     func(context.Context, netip.Addr)
	// recent are the routes as they were at recentAt.
	recent   []way
	recentAt time.Time
}

// fresh is how old an observation may be on which a route is written.
const fresh = 2 * time.Second

// way is one route of the zone.
type way struct {
	table       string
	destination netip.Prefix
	// exists says that the table has the route, and the table itself exists.
	exists, table404 bool
	holder           claim.Holder
}

// look asks for the zone as it is.
func (z *zone) look(ctx context.Context) (*claim.Zone, error) {
	at := z.now()
	var ways []way
	var own *types.NetworkInterface
	var routesErr, ownErr error
	var group sync.WaitGroup
	group.Go(func() { ways, routesErr = z.ways(ctx) })
	group.Go(func() { own, ownErr = z.own(ctx) })
	group.Wait()
	if err := errors.Join(routesErr, ownErr); err != nil {
		return nil, err
	}
	seen := &claim.Zone{At: at, CheckOff: !aws.ToBool(own.SourceDestCheck)}
	for _, w := range ways {
		seen.Routes = append(seen.Routes, w.holder)
	}
	var err error
	seen.Address, err = z.place(ctx, own)
	return seen, err
}

// own is the instance's interface.
func (z *zone) own(ctx context.Context) (*types.NetworkInterface, error) {
	out, err := z.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{z.eni}})
	if err != nil {
		return nil, err
	}
	if len(out.NetworkInterfaces) != 1 {
		return nil, fmt.Errorf("DescribeNetworkInterfaces: %s: not found", z.eni)
	}
	return &out.NetworkInterfaces[0], nil
}

// place is where the zone's address is.
func (z *zone) place(ctx context.Context, own *types.NetworkInterface) (claim.Place, error) {
	z.predecessor = netip.Addr{}
	for _, a := range own.PrivateIpAddresses {
		if aws.ToString(a.PrivateIpAddress) != z.config.Address.String() {
			continue
		}
		if a.Association != nil && aws.ToString(a.Association.AllocationId) == z.config.AllocationID {
			return claim.Here, nil
		}
		return claim.Unbound, nil
	}
	out, err := z.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{
		filter("addresses.private-ip-address", z.config.Address.String()), filter("vpc-id", z.vpc)}})
	switch {
	case err != nil:
		return "", err
	case len(out.NetworkInterfaces) == 0:
		return claim.Nowhere, nil
	case slices.ContainsFunc(out.NetworkInterfaces, func(i types.NetworkInterface) bool { return !z.peer(i) }):
		return claim.Strange, nil
	}
	z.predecessor, _ = netip.ParseAddr(aws.ToString(out.NetworkInterfaces[0].PrivateIpAddress))
	return claim.WithPeer, nil
}

// peer says that an interface belongs to the zone, by its tags.
func (z *zone) peer(i types.NetworkInterface) bool {
	tags := map[string]string{}
	for _, t := range i.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags[natzone.TagName] == z.config.Name && tags[natzone.TagZone] == z.config.Zone
}

// peers are the primary addresses of the interfaces that belong to the zone.
func (z *zone) peers(ctx context.Context) (addresses []netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), call) // the answer is for others as well
	defer cancel()
	out, err := z.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{
		filter("tag:"+natzone.TagName, z.config.Name), filter("tag:"+natzone.TagZone, z.config.Zone), filter("vpc-id", z.vpc)}})
	if err != nil {
		return nil, err
	}
	for _, i := range out.NetworkInterfaces {
		if a, err := netip.ParseAddr(aws.ToString(i.PrivateIpAddress)); err == nil && z.peer(i) {
			addresses = append(addresses, a)
		}
	}
	return addresses, nil
}

// ways are the zone's routes: one per table and destination. A table that does not exist is asked for by filter, which finds the others.
func (z *zone) ways(ctx context.Context) ([]way, error) {
	found := map[string]types.RouteTable{}
	in := &ec2.DescribeRouteTablesInput{Filters: []types.Filter{filter("route-table-id", z.config.RouteTables...)}}
	for {
		out, err := z.ec2.DescribeRouteTables(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range out.RouteTables {
			found[aws.ToString(t.RouteTableId)] = t
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	var ways []way
	interfaces := map[string][]int{} // others' interfaces, with the ways that point at them
	for _, id := range z.config.RouteTables {
		t, ok := found[id]
		for _, d := range z.config.Destinations {
			w := way{table: id, destination: d, holder: claim.Vacant, table404: !ok}
			if !ok {
				w.holder = claim.Foreign
			}
			r := find(t.Routes, d)
			if ok && r == nil && d.Bits() != 0 && d.Addr().Is4() {
				continue // taken away by a change that this instance does not know yet; the default route leads here as well
			}
			if r != nil {
				w.exists = true
				w.holder = z.holder(*r)
				if eni := aws.ToString(r.NetworkInterfaceId); w.holder == claim.Foreign && eni != "" {
					interfaces[eni] = append(interfaces[eni], len(ways))
				}
			}
			ways = append(ways, w)
		}
	}
	return ways, z.recognize(ctx, ways, interfaces)
}

// recognize finds the peers among interfaces.
func (z *zone) recognize(ctx context.Context, ways []way, interfaces map[string][]int) error {
	if len(interfaces) == 0 {
		return nil
	}
	var ids []string
	for id := range interfaces {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	out, err := z.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("network-interface-id", ids...)}})
	if err != nil {
		return err
	}
	for _, i := range out.NetworkInterfaces {
		if !z.peer(i) {
			continue
		}
		holder := claim.Peer
		if i.Status == types.NetworkInterfaceStatusAvailable {
			holder = claim.Vacant // nothing is attached to it: the routes of a zone without standby begin so
		}
		for _, n := range interfaces[aws.ToString(i.NetworkInterfaceId)] {
			ways[n].holder = holder
		}
	}
	return nil
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

func find(routes []types.Route, d netip.Prefix) *types.Route {
	for i, r := range routes {
		for _, text := range []*string{r.DestinationCidrBlock, r.DestinationIpv6CidrBlock} {
			if p, err := netip.ParsePrefix(aws.ToString(text)); err == nil && p == d {
				return &routes[i]
			}
		}
	}
	return nil
}

func (z *zone) holder(r types.Route) claim.Holder {
	switch {
	case r.State == types.RouteStateBlackhole:
		return claim.Vacant
	case aws.ToString(r.NetworkInterfaceId) == z.eni, aws.ToString(r.InstanceId) == z.instance:
		return claim.Self
	case z.config.Standby != "" && aws.ToString(r.NatGatewayId) == z.config.Standby:
		return claim.Standby
	}
	return claim.Foreign
}

// checkOff turns the source/destination check of the interface off.
func (z *zone) checkOff(ctx context.Context) error {
	_, err := z.ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: aws.String(z.eni), SourceDestCheck: &types.AttributeBooleanValue{Value: aws.Bool(false)}})
	return err
}

// takeAddress moves the zone's address, and with it the Elastic IP, to the own interface. The API's answer comes before the address
// has arrived. From the move until the routes follow, a predecessor's clients have no way out, so all that has to be known for both
// is asked for before.
func (z *zone) takeAddress(ctx context.Context) error {
	if z.predecessor.IsValid() && z.inherit != nil {
		z.inherit(ctx, z.predecessor)
	}
	var before claim.Place
	var moves bool
	var errs [3]error
	var group sync.WaitGroup
	group.Go(func() {
		var own *types.NetworkInterface
		if own, errs[0] = z.own(ctx); errs[0] == nil {
			before, errs[0] = z.place(ctx, own)
		}
	})
	group.Go(func() { moves, errs[1] = z.comesAlong(ctx) })
	group.Go(func() { z.recent, errs[2] = z.ways(ctx); z.recentAt = z.now() })
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil || before == claim.Here {
		return err
	}
	if before == claim.Strange {
		return fmt.Errorf("address %s: is on an interface without the tags %s=%s and %s=%s (take it away there, or tag it)",
			z.config.Address, natzone.TagName, z.config.Name, natzone.TagZone, z.config.Zone)
	}
	if before != claim.Unbound {
		if _, err := z.ec2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{
			NetworkInterfaceId: aws.String(z.eni), PrivateIpAddresses: []string{z.config.Address.String()}, AllowReassignment: aws.Bool(true),
		}); err != nil {
			return err
		}
	}
	if moves && before == claim.WithPeer {
		return nil
	}
	_, err := z.ec2.AssociateAddress(ctx, &ec2.AssociateAddressInput{
		AllocationId: aws.String(z.config.AllocationID), NetworkInterfaceId: aws.String(z.eni),
		PrivateIpAddress: aws.String(z.config.Address.String()), AllowReassociation: aws.Bool(true),
	})
	return err
}

// comesAlong says that the Elastic IP is bound to the zone's address, wherever that is, and so moves with it. To bind it again
// may be charged as a remap.
func (z *zone) comesAlong(ctx context.Context) (bool, error) {
	out, err := z.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{z.config.AllocationID}})
	if err != nil {
		return false, err
	}
	if len(out.Addresses) != 1 {
		return false, fmt.Errorf("DescribeAddresses: %s: not found", z.config.AllocationID)
	}
	return aws.ToString(out.Addresses[0].PrivateIpAddress) == z.config.Address.String(), nil
}

// takeRoutes points every route of the zone at the own interface that is at the standby, at a peer, or missing: all at once, and one
// table's failure does not stop the others.
func (z *zone) takeRoutes(ctx context.Context) error {
	return z.move(ctx, target{eni: z.eni}, func(w way) bool {
		return w.holder == claim.Standby || w.holder == claim.Peer || w.holder == claim.Vacant
	})
}

// handOver points the routes that are at the own interface at the standby.
func (z *zone) handOver(ctx context.Context) error {
	return z.move(ctx, target{gateway: z.config.Standby}, func(w way) bool { return w.holder == claim.Self })
}

type target struct{ eni, gateway string }

func (z *zone) move(ctx context.Context, to target, which func(way) bool) error {
	ways := z.recent
	z.recent = nil
	if z.now().Sub(z.recentAt) > fresh {
		ways = nil
	}
	if ways == nil {
		var err error
		if ways, err = z.ways(ctx); err != nil {
			return err
		}
	}
	failures := make([]error, len(ways))
	var group sync.WaitGroup
	for i, w := range ways {
		if !which(w) {
			continue
		}
		group.Go(func() {
			begin := z.now()
			if failures[i] = z.point(ctx, w, to); failures[i] != nil {
				failures[i] = fmt.Errorf("route %s in %s: %w", w.destination, w.table, failures[i])
				return
			}
			z.log.Info("route moved", "table", w.table, "destination", w.destination.String(), "from", string(w.holder),
				"to", to.eni+to.gateway, "ms", z.now().Sub(begin).Milliseconds())
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// point writes one route. Between the look and the write another may have made or deleted it.
func (z *zone) point(ctx context.Context, w way, to target) error {
	if !w.exists {
		err := z.create(ctx, w, to)
		if code(err) != "RouteAlreadyExists" {
			return err
		}
	}
	err := z.replace(ctx, w, to)
	if w.exists && (code(err) == "InvalidParameterValue" || code(err) == "InvalidRoute.NotFound") { // "There is no route defined for …"
		if w.destination.Bits() != 0 && w.destination.Addr().Is4() {
			return nil
		}
		return z.create(ctx, w, to)
	}
	return err
}

func (z *zone) create(ctx context.Context, w way, to target) error {
	in := &ec2.CreateRouteInput{RouteTableId: aws.String(w.table), NetworkInterfaceId: optional(to.eni), NatGatewayId: optional(to.gateway)}
	in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = blocks(w.destination)
	_, err := z.ec2.CreateRoute(ctx, in)
	return err
}

func (z *zone) replace(ctx context.Context, w way, to target) error {
	in := &ec2.ReplaceRouteInput{RouteTableId: aws.String(w.table), NetworkInterfaceId: optional(to.eni), NatGatewayId: optional(to.gateway)}
	in.DestinationCidrBlock, in.DestinationIpv6CidrBlock = blocks(w.destination)
	_, err := z.ec2.ReplaceRoute(ctx, in)
	return err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// blocks are the two members of which a destination fills one.
func blocks(p netip.Prefix) (v4, v6 *string) {
	if p.Addr().Is4() {
		return aws.String(p.String()), nil
	}
	return nil, aws.String(p.String())
}

// code of an API's refusal; empty for anything else.
func code(err error) string {
	var refusal smithy.APIError
	if errors.As(err, &refusal) {
		return refusal.ErrorCode()
	}
	return ""
}

// answer completes a lifecycle action of the instance.
func (z *zone) answer(ctx context.Context, hook, result string) error {
	_, err := z.groups.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: aws.String(z.config.Group), LifecycleHookName: aws.String(hook),
		InstanceId: aws.String(z.instance), LifecycleActionResult: aws.String(result),
	})
	return hookError(err)
}

// heartbeat keeps the launch hook waiting.
func (z *zone) heartbeat(ctx context.Context) error {
	_, err := z.groups.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
		AutoScalingGroupName: aws.String(z.config.Group), LifecycleHookName: aws.String(z.config.LaunchHook), InstanceId: aws.String(z.instance),
	})
	return hookError(err)
}

// hookError: Auto Scaling answers "ValidationError" (No active Lifecycle Action found …) when no hook waits.
func hookError(err error) error {
	if code(err) == "ValidationError" {
		return fmt.Errorf("%w: %w", claim.ErrNoHook, err)
	}
	return err
}
