package control

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"polynat/internal/natzone"
)

// of is a group whose template has a version, and whose instance is of another one.
func of(zone, instance, launches, is string) autoscalingtypes.AutoScalingGroup {
	g := group(zone, instance, "Healthy")
	id := aws.String("lt-" + zone)
	g.MixedInstancesPolicy = &autoscalingtypes.MixedInstancesPolicy{LaunchTemplate: &autoscalingtypes.LaunchTemplate{
		LaunchTemplateSpecification: &autoscalingtypes.LaunchTemplateSpecification{LaunchTemplateId: id, Version: aws.String(launches)},
		Overrides:                   []autoscalingtypes.LaunchTemplateOverrides{{InstanceType: aws.String("t4g.nano")}},
	}}
	g.Instances[0].InstanceType = aws.String("t4g.nano")
	g.Instances[0].LaunchTemplate = &autoscalingtypes.LaunchTemplateSpecification{LaunchTemplateId: id, Version: aws.String(is)}
	return g
}

func TestTheControllerHasAnOutdatedInstanceReplacedInItsTurn(t *testing.T) {
	for name, test := range map[string]struct {
		own, peer autoscalingtypes.AutoScalingGroup
		hop, far  string // where the zone's routes lead, and the other one's
		fault     func(string) error
		edit      func(*autoscalingtypes.AutoScalingGroup)
		after     []int // the minutes of the first 30 in which a refresh is started
	}{
		"current":             {of("a", "i-1", "2", "2"), of("0", "i-7", "2", "2"), "i-1", "i-7", nil, nil, nil},
		"all are outdated":    {of("a", "i-1", "2", "1"), of("b", "i-7", "2", "1"), "i-1", "i-7", nil, nil, []int{0, 15}},
		"another is first":    {of("a", "i-1", "2", "1"), of("0", "i-7", "2", "1"), "i-1", "i-7", nil, nil, nil},
		"the other must hold": {of("a", "i-1", "2", "1"), of("0", "i-7", "2", "2"), "i-1", "i-7", nil, nil, []int{5, 25}},
		"the other fails":     {of("a", "i-1", "2", "1"), of("0", "i-7", "2", "2"), "i-1", "nat-7", nil, nil, nil},
		"it fails itself":     {of("a", "i-1", "2", "1"), of("0", "i-7", "2", "1"), "nat-1", "nat-7", nil, nil, []int{0, 15}},
		"another type": {of("a", "i-1", "2", "2"), of("b", "i-7", "2", "1"), "i-1", "i-7", nil, func(g *autoscalingtypes.AutoScalingGroup) {
			g.Instances[0].InstanceType = aws.String("c7gn.medium")
		}, []int{0, 15}},
		"its groups are not known": {of("a", "i-1", "2", "1"), of("b", "i-7", "2", "1"), "i-1", "i-7", func(call string) error {
			if call[:12] == "DescribeAuto" {
				return refusal("AccessDenied", "no")
			}
			return nil
		}, nil, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount(test.hop, test.hop, test.hop, test.far)
			if test.edit != nil {
				test.edit(&test.own)
			}
			a.groups, a.fault = []autoscalingtypes.AutoScalingGroup{test.own, test.peer}, test.fault
			z := zone()
			z.Hold, z.Healing.Dwell = natzone.DefaultHold, 0
			c := controller(a, alive, io.Discard)
			c.zone = z
			var after []int
			for minute := range 30 {
				n := len(a.refreshed)
				start := time.Now()
				handle(t, c, record(t, natzone.None, nil))
				if len(a.refreshed) > n {
					after = append(after, minute)
				}
				time.Sleep(time.Minute - time.Since(start)) //nolint:forbidigo // simulated time
			}
			if len(after) != len(test.after) || len(after) > 0 && after[0] != test.after[0] {
				t.Errorf("%s: refreshes in minutes %v, want %v", name, after, test.after)
			}
			for _, in := range a.refreshed {
				if p := in.Preferences; aws.ToInt32(p.MinHealthyPercentage) != 100 || aws.ToInt32(p.MaxHealthyPercentage) != 200 || !aws.ToBool(p.SkipMatching) {
					t.Errorf("%s: %+v does not launch the successor first", name, p)
				}
			}
		})
	}
}
