package nat_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polynat/components/aws/nat"
	"polynat/internal/natzone"
	"polynat/tests/recorder"
)

// rotates says that an update from one recording to the other has EC2 Auto Scaling refresh the instance: it does when the launch template
// or the policy that names it changes.
func rotates(t *testing.T, before, after *recorder.Recording) bool {
	t.Helper()
	const template, group = "egress-template-" + a1, "egress-group-" + a1
	return !cmp.Equal(inputs(t, before, templateType, template), inputs(t, after, templateType, template)) ||
		!cmp.Equal(inputs(t, before, groupType, group)["mixedInstancesPolicy"], inputs(t, after, groupType, group)["mixedInstancesPolicy"])
}

// What docs/reference/aws.md says that a change does.
func TestWhatTheInstanceIsToldRotatesItAndNothingElseDoes(t *testing.T) {
	second := natzone.Duration(time.Second)
	for name, test := range map[string]struct {
		change  func(*nat.Args)
		rotates bool
	}{
		"type":             {func(a *nat.Args) { a.Instance.Types = []string{"c7gn.medium"} }, true},
		"market":           {func(a *nat.Args) { a.Instance.Market = nat.Spot }, true},
		"image":            {func(a *nat.Args) { a.Instance.ImageID = "ami-0123456789abcdef0" }, true},
		"volume":           {func(a *nat.Args) { a.Instance.VolumeGiB = 9 }, true},
		"hook":             {func(a *nat.Args) { a.Instance.After = "true" }, true},
		"tuning":           {func(a *nat.Args) { a.Instance.Tuning = &nat.Tuning{EstablishedTimeout: 600 * second} }, true},
		"CloudWatch agent": {func(a *nat.Args) { a.Instance.CloudWatchAgent = true }, true},
		"targets":          {func(a *nat.Args) { a.Failover.Targets = []string{"http://a/", "http://b/", "http://c/"} }, true},
		"identity":         {func(a *nat.Args) { a.Failover.Identity = []string{"http://a/"} }, true},
		"restore":          {func(a *nat.Args) { a.Failover.Restore = &nat.Restore{Dwell: second, MaxDwell: second} }, true},
		"metric interval":  {func(a *nat.Args) { a.Observability.MetricInterval = 30 * time.Second }, true},
		"tags":             {func(a *nat.Args) { a.Tags = map[string]string{"team": "other"} }, true},
		"destination":      {func(a *nat.Args) { a.Destinations = []string{"198.51.100.0/24"} }, true},
		"standby":          {func(a *nat.Args) { a.Standby = nat.None }, true},
		"address":          {with(a1, func(z *nat.Zone) { z.Address = "10.0.0.99" }), true},
		"policies":         {func(a *nat.Args) { a.Instance.Policies = []string{"arn:aws:iam::123456789012:policy/audit"} }, false},
		"no SSM":           {func(a *nat.Args) { a.Instance.NoSSM = true }, false},
		"heartbeats": {func(a *nat.Args) {
			a.Instance.LaunchHeartbeat, a.Instance.TerminateHeartbeat = 3*time.Minute, time.Minute
		}, false},
		"ingress":              {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"10.0.7.0/24"}} }, false},
		"ingress from outside": {func(a *nat.Args) { a.Ingress = &nat.Ingress{CIDRs: []string{"10.0.0.0/8"}} }, true},
		"lifetime":             {func(a *nat.Args) { a.Rotation.Lifetime = 30 * 24 * time.Hour }, false},
		"window":               {func(a *nat.Args) { a.Rotation.Window = window() }, false},
		"economy":              {func(a *nat.Args) { a.Failover.Economy = true }, false},
		"detection":            {func(a *nat.Args) { d := natzone.DefaultDetection(); d.Of = 4; a.Failover.Detection = &d }, false},
		"healing":              {func(a *nat.Args) { a.Failover.Healing = &nat.Healing{} }, false},
		"functions' machine":   {func(a *nat.Args) { a.Failover.Architecture = nat.X8664 }, false},
		"endpoints":            {func(a *nat.Args) { a.Failover.Endpoints = []string{"ec2"} }, false},
		"alarms":               {func(a *nat.Args) { a.Observability.NoAlarms = true }, false},
		"log retention":        {func(a *nat.Args) { a.Observability.LogRetentionDays = 7 }, false},
		"on delete":            {func(a *nat.Args) { a.OnDelete = nat.Retain }, false},
		"another zone":         {func(a *nat.Args) { a.Zones["eu-west-1c"] = newZone("c") }, false},
	} {
		args := newArgs("ab")
		before := run(t, args)
		test.change(args)
		after := run(t, args)
		if got := rotates(t, before, after); got != test.rotates {
			t.Errorf("%s: rotates: %v, want %v", name, got, test.rotates)
		}
		if cmp.Equal(before.Objects, after.Objects) {
			t.Errorf("%s: changes nothing at all", name)
		}
	}
}
