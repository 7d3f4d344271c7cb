package migration_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	component "polynat/components/alicloud/migration"
	"polynat/internal/migration"
	"polynat/internal/sim/alicloud"
	"polynat/tests/recorder"
)

// Who may look up what the guide lists can preview every stage, and no more is asked of him.
func TestTheLookupsOfAllStagesTakeThePermissionsOfTheGuide(t *testing.T) {
	calls := map[string]int{}
	for _, stage := range migration.Stages() {
		w := newWorld(t).walk(before(stage))
		w.move(before(stage), stage, recorder.Options{})
		for action, n := range w.Calls() {
			calls[action] += n
		}
	}
	guide, err := os.ReadFile("../../../docs/migration-alicloud.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| lookups \|.*$`).Find(guide)
	var listed []string
	for _, action := range regexp.MustCompile("`(\\w+:\\w+)`").FindAllSubmatch(row, -1) {
		listed = append(listed, string(action[1]))
	}
	slices.Sort(listed)
	if diff := cmp.Diff(listed, slices.Sorted(maps.Keys(calls))); diff != "" {
		t.Errorf("permissions (-guide +lookups):\n%s", diff)
	}
}

// One call for the VPC, its vSwitches, its tables, each table, the instance, its elastic IP, the gateways, each address by its
// name, and the zones.
func TestAnUpdateAsksForNothingTwiceAndForNoDetails(t *testing.T) {
	w := newWorld(t)
	w.move("", migration.Adopt, recorder.Options{})
	want := map[string]int{
		"vpc:DescribeVpcs": 1, "vpc:DescribeVSwitches": 1, "vpc:DescribeRouteTableList": 1, "vpc:DescribeRouteTables": len(tables),
		"ecs:DescribeInstances": 1, "vpc:DescribeEipAddresses": 1 + 3, "vpc:DescribeNatGateways": 1, "vpc:ListEnhanhcedNatGatewayAvailableZones": 1,
	}
	if diff := cmp.Diff(want, w.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestALookupIsMadeAgainWhileTheAPIThrottlesIt(t *testing.T) {
	defer component.Impatient()()
	newWorldOf(t, alicloud.Options{ThrottleEvery: 3}).move("", migration.Adopt, recorder.Options{})
}

func TestALookupThatStaysThrottledIsGivenUp(t *testing.T) {
	defer component.Impatient()()
	asked := 0
	_, err := newWorld(t).runWith(newArgs(migration.Adopt), func(string, map[string]any) error {
		asked++
		return errors.New("Code: Throttling.User")
	})
	if err == nil || !strings.Contains(err.Error(), "look up the VPC of vpc-1") || !strings.Contains(err.Error(), "Throttling.User") || asked != 6 {
		t.Errorf("asked %d times, error %v: want 6 and the refusal of the lookup", asked, err)
	}
}

func TestALookupThatFailsForAnotherReasonIsNotMadeAgain(t *testing.T) {
	asked := 0
	_, err := newWorld(t).runWith(newArgs(migration.Adopt), func(string, map[string]any) error {
		asked++
		return errors.New("Code: Forbidden.RAM")
	})
	if err == nil || asked != 1 {
		t.Errorf("asked %d times, error %v: want one", asked, err)
	}
}

// A gate that a throttled lookup closed would fail an update whose work is done.
func TestALookupThatFailsDoesNotCloseTheGateBeforeItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		if err := component.Await(time.Minute, func() error {
			if looks++; looks < 4 {
				return errors.New("Code: Throttling.User")
			}
			return nil
		}); err != nil || looks != 4 {
			t.Errorf("%d looks, error %v: want four and none", looks, err)
		}
		began, looks := time.Now(), 0
		err := component.Await(time.Minute, func() error { looks++; return fmt.Errorf("look %d fails", looks) })
		if want := fmt.Sprintf("look %d fails", looks); err == nil || err.Error() != want || time.Since(began) != time.Minute {
			t.Errorf("after %s: error %v, want %s after a minute", time.Since(began), err, want)
		}
	})
}
