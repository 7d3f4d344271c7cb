package natd

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"polynat/internal/natd/claim"
	"polynat/internal/natzone"
)

func newZone(c *cloud) *zone {
	return &zone{
		config: document(), instance: identity.Instance, eni: identity.Interface, vpc: identity.VPC, ec2: c, groups: c,
		log: slog.New(slog.DiscardHandler), now: time.Now,
	}
}

func see(t *testing.T, z *zone) claim.Zone {
	t.Helper()
	seen, err := z.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen.At = time.Time{}
	return *seen
}

func do(t *testing.T, steps ...func(context.Context) error) {
	t.Helper()
	for _, s := range steps {
		if err := s(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheZoneIsSeenAsItIs(t *testing.T) {
	c := newCloud()
	c.interfaces["eni-peer"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11"), zoneAddress}, tagged: true}
	c.interfaces["eni-other"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.12")}}
	c.point("rtb-2", types.Route{NetworkInterfaceId: aws.String("eni-peer"), InstanceId: aws.String("i-peer")})
	c.point("rtb-3", types.Route{NetworkInterfaceId: aws.String("eni-other")})
	z := newZone(c)
	want := claim.Zone{Address: claim.WithPeer, Routes: []claim.Holder{claim.Standby, claim.Peer, claim.Foreign}}
	if diff := cmp.Diff(want, see(t, z)); diff != "" {
		t.Error(diff)
	}

	c.point("rtb-1", types.Route{NetworkInterfaceId: aws.String("eni-own")})
	c.point("rtb-2", types.Route{NetworkInterfaceId: aws.String("eni-peer"), State: types.RouteStateBlackhole})
	delete(c.routes["rtb-3"], everywhere)
	c.interfaces["eni-peer"].tagged = false
	want = claim.Zone{Address: claim.Strange, Routes: []claim.Holder{claim.Self, claim.Vacant, claim.Vacant}}
	if diff := cmp.Diff(want, see(t, z)); diff != "" {
		t.Error(diff)
	}

	delete(c.routes, "rtb-3")
	if got := see(t, z).Routes[2]; got != claim.Foreign {
		t.Errorf("a table that does not exist is %s", got)
	}
}

// Whether EC2 shows such a route as a black hole is not documented.
func TestRoutesToTheZonesUnattachedInterfaceAreVacant(t *testing.T) {
	for _, state := range []types.RouteState{types.RouteStateActive, types.RouteStateBlackhole} {
		c := newCloud()
		c.interfaces["eni-holder"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11")}, tagged: true, unattached: true}
		c.interfaces["eni-other"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.12")}, unattached: true}
		c.point("rtb-1", types.Route{NetworkInterfaceId: aws.String("eni-holder"), State: state})
		c.point("rtb-2", types.Route{NetworkInterfaceId: aws.String("eni-other")})
		want := []claim.Holder{claim.Vacant, claim.Foreign, claim.Standby}
		if diff := cmp.Diff(want, see(t, newZone(c)).Routes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
}

func TestAFirstClaimBindsTheElasticIP(t *testing.T) {
	c := newCloud()
	z := newZone(c)
	do(t, z.checkOff, z.takeAddress, z.takeRoutes)
	want := claim.Zone{CheckOff: true, Address: claim.Here, Routes: []claim.Holder{claim.Self, claim.Self, claim.Self}}
	if diff := cmp.Diff(want, see(t, z)); diff != "" {
		t.Error(diff)
	}
}

func TestTheElasticIPComesAlongFromAPredecessorWithoutARemap(t *testing.T) {
	c := newCloud()
	c.interfaces["eni-peer"] = &card{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11"), zoneAddress}, tagged: true}
	c.bound = zoneAddress
	z := newZone(c)
	do(t, z.takeAddress)
	if see(t, z).Address != claim.Here || slices.Contains(c.calls, "AssociateAddress") {
		t.Errorf("calls: %q", c.calls)
	}
}

func TestAnAddressOfAStrangerIsNotTaken(t *testing.T) {
	c := newCloud()
	c.interfaces["eni-other"] = &card{addresses: []netip.Addr{zoneAddress}}
	err := newZone(c).takeAddress(t.Context())
	if err == nil || !strings.Contains(err.Error(), natzone.TagName) || slices.Contains(c.calls, "AssignPrivateIpAddresses") {
		t.Errorf("error %v, calls %q", err, c.calls)
	}
}

func TestNothingIsAskedBetweenTheAddressAndTheRoutes(t *testing.T) {
	c := newCloud()
	c.interfaces["eni-peer"] = &card{addresses: []netip.Addr{zoneAddress}, tagged: true}
	c.bound = zoneAddress
	z := newZone(c)
	do(t, z.takeAddress, z.takeRoutes)
	moved := slices.Index(c.calls, "AssignPrivateIpAddresses")
	if diff := cmp.Diff([]string{"ReplaceRoute", "ReplaceRoute", "ReplaceRoute"}, c.calls[moved+1:]); diff != "" {
		t.Error(diff)
	}
}

func TestARouteIsNotWrittenOnAnOldObservation(t *testing.T) {
	c := newCloud()
	z := newZone(c)
	do(t, z.takeAddress)
	c.point("rtb-1", types.Route{GatewayId: aws.String("igw-1")})
	z.recentAt = z.recentAt.Add(-time.Minute)
	do(t, z.takeRoutes)
	if diff := cmp.Diff([]string{"igw-1", "eni-own", "eni-own"}, c.at()); diff != "" {
		t.Error(diff)
	}
}

func TestOneTablesFailureDoesNotStopTheOthers(t *testing.T) {
	for _, table := range []string{"rtb-1", "rtb-2", "rtb-3"} {
		c := newCloud()
		c.refuse["ReplaceRoute "+table] = "RequestLimitExceeded"
		err := newZone(c).takeRoutes(t.Context())
		if err == nil || !strings.Contains(err.Error(), table) {
			t.Errorf("error %v", err)
		}
		moved := slices.DeleteFunc(c.at(), func(s string) bool { return s != "eni-own" })
		if len(moved) != 2 {
			t.Errorf("%s refused: %v", table, c.at())
		}
	}
}

func TestRoutesThatAreRightAreNotWrittenAgain(t *testing.T) {
	c := newCloud()
	z := newZone(c)
	do(t, z.takeRoutes)
	c.calls = nil
	do(t, z.takeRoutes)
	if diff := cmp.Diff([]string{"DescribeRouteTables"}, c.calls); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingRouteIsCreated(t *testing.T) {
	c := newCloud()
	delete(c.routes["rtb-2"], everywhere)
	do(t, newZone(c).takeRoutes)
	if diff := cmp.Diff([]string{"eni-own", "eni-own", "eni-own"}, c.at()); diff != "" {
		t.Error(diff)
	}
}

func TestAnotherMayMakeOrDeleteTheRouteMeanwhile(t *testing.T) {
	for _, exists := range []bool{true, false} {
		c := newCloud()
		if exists {
			delete(c.routes["rtb-1"], everywhere)
		}
		w := way{table: "rtb-1", destination: everywhere, exists: exists}
		if err := newZone(c).point(t.Context(), w, target{eni: "eni-own"}); err != nil {
			t.Errorf("seen %v: %v", exists, err)
		}
		if c.at()[0] != "eni-own" {
			t.Errorf("seen %v: %v", exists, c.at())
		}
	}
}

func TestOnlyWhatPointsHereIsHandedOver(t *testing.T) {
	c := newCloud()
	c.point("rtb-1", types.Route{NetworkInterfaceId: aws.String("eni-own")})
	c.point("rtb-2", types.Route{NetworkInterfaceId: aws.String("eni-peer")})
	c.point("rtb-3", types.Route{GatewayId: aws.String("igw-1")})
	do(t, newZone(c).handOver)
	if diff := cmp.Diff([]string{"nat-standby", "eni-peer", "igw-1"}, c.at()); diff != "" {
		t.Error(diff)
	}
}

func TestAHookThatDoesNotWaitIsNoFailure(t *testing.T) {
	c := newCloud()
	z := newZone(c)
	if err := z.answer(t.Context(), natzone.LaunchHook, "CONTINUE"); err != nil {
		t.Error(err)
	}
	if err := z.answer(t.Context(), natzone.LaunchHook, "CONTINUE"); !errors.Is(err, claim.ErrNoHook) {
		t.Errorf("got %v", err)
	}
	c.refuse["CompleteLifecycleAction"] = "Throttling"
	if err := z.answer(t.Context(), natzone.LaunchHook, "CONTINUE"); err == nil || errors.Is(err, claim.ErrNoHook) {
		t.Errorf("got %v", err)
	}
}

func TestADestinationThatAChangeTookAwayIsNotCreatedAgain(t *testing.T) {
	c := newCloud()
	z := newZone(c)
	z.config.Destinations = append(slices.Clone(z.config.Destinations), netip.MustParsePrefix("198.51.100.0/24"))
	seen := see(t, z)
	if len(seen.Routes) != len(z.config.RouteTables) {
		t.Errorf("%d routes are seen, want the default route of %d tables", len(seen.Routes), len(z.config.RouteTables))
	}
}
