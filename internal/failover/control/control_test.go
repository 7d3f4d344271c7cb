package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"polynat/internal/failover/decide"
	"polynat/internal/failover/detect"
	"polynat/internal/natzone"
)

var targets = []natzone.Target{"https://a.example/", "https://b.example/", "https://192.0.2.3/"}

func zone() natzone.Controller {
	return natzone.Controller{
		Version: natzone.Version, Name: "egress", Zone: "a", Region: "eu-west-1", RouteTables: []string{"rtb-1", "rtb-2", "rtb-3"},
		Destinations: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Standby: "nat-1",
		Group: "egress-a", TerminateHook: natzone.TerminateHook, Targets: targets, ProberFunction: "prober-a",
		StateParameter: "/polynat/egress/a", AlertTopic: "arn:aws:sns:eu-west-1:1:alerts", MetricNamespace: natzone.MetricNamespace,
		Healing: natzone.DefaultHealing(),
	}
}

// outside answers for the targets as they are seen from outside of the VPC.
type outside func(natzone.Target) (natzone.Class, time.Duration)

func (o outside) Try(ctx context.Context, t natzone.Target) detect.Attempt {
	class, takes := o(t)
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		class = natzone.Timeout
	}
	return detect.Attempt{Target: t, Class: class, Latency: takes}
}

func alive(natzone.Target) (natzone.Class, time.Duration) {
	return natzone.Answered, 30 * time.Millisecond
}
func dead(natzone.Target) (natzone.Class, time.Duration) { return natzone.Timeout, time.Hour }

func controller(a *account, from outside, out io.Writer) *Controller {
	return New(zone(), a.api(), from, out, slog.New(slog.NewJSONHandler(io.Discard, nil)))
}

// record of a report that a prober gives now, as Lambda's destination delivers it.
func record(t *testing.T, cause natzone.Cause, agent *natzone.Health) []byte {
	t.Helper()
	now := time.Now().UTC()
	r := natzone.Report{
		Version: natzone.Version, Zone: "a", Cause: cause, End: now, Agent: agent,
		Tick: natzone.Tick{Time: now.Truncate(time.Minute), Until: now.Add(time.Minute)},
	}
	if cause != natzone.None {
		r.Failing, r.Since = targets, now.Add(-time.Second)
	}
	if agent != nil && agent.Holds {
		since := *agent
		since.Since = now.Add(-30 * time.Second)
		r.Holder = &since
	}
	return asRecord(t, r)
}

func asRecord(t *testing.T, r natzone.Report) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "timestamp": time.Now(), "requestContext": map[string]any{"condition": "Success"},
		"requestPayload": r.Tick, "responseContext": map[string]any{"statusCode": 200}, "responsePayload": r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// handle runs one invocation with the timeout of the function.
func handle(t *testing.T, c *Controller, payload []byte) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	if err := c.Handle(ctx, payload); err != nil {
		t.Errorf("%s: %v", payload, err)
	}
	return time.Since(begin)
}

func TestAFailoverOfThreeTablesTakesEightCallsAndAQuarterOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		a.took = 60 * time.Millisecond
		c := controller(a, alive, io.Discard)
		begin := time.Now()
		handle(t, c, record(t, natzone.Streak, nil))
		if a.hops() != "nat-1 nat-1 nat-1" {
			t.Errorf("routes: %s", a.hops())
		}
		if n := len(a.calls); n > 8 {
			t.Errorf("%d calls: %s", n, a.made())
		}
		want := "DescribeRouteTables 1, GetParameter 1, Invoke 1, Publish 1, PutParameter 1, ReplaceRoute 3"
		if a.made() != want {
			t.Errorf("calls: %s\nwant:  %s", a.made(), want)
		}
		for _, at := range a.moved {
			if at.Sub(begin) > 250*time.Millisecond {
				t.Errorf("a route moved after %v", at.Sub(begin))
			}
		}
	})
}

func TestTheSameReportTwiceMovesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		payload := record(t, natzone.Streak, nil)
		handle(t, c, payload)
		a.forget()
		handle(t, c, payload)
		if want := "DescribeRouteTables 1, GetParameter 1, Invoke 1"; a.made() != want {
			t.Errorf("calls: %s\nwant:  %s", a.made(), want)
		}
		if len(a.told) != 1 {
			t.Errorf("alerts: %v", a.told)
		}
	})
}

func TestAFailoverOfSomeRoutesWhileOthersCannotBeMoved(t *testing.T) {
	notFound := refusal("InvalidRouteTableID.NotFound", "The routeTable ID does not exist")
	for name, test := range map[string]struct {
		hops  []string
		fault func(string) error
		want  string
		told  int
	}{
		"the first table was deleted": {hops: []string{"-", "i-1", "i-1"}, want: "nat-1 nat-1", told: 1},
		"the second table refuses": {
			hops: []string{"i-1", "i-1", "i-1"}, want: "nat-1 i-1 nat-1", told: 2,
			fault: func(call string) error {
				if call == "ReplaceRoute rtb-2" {
					return notFound
				}
				return nil
			},
		},
		"one route is missing":             {hops: []string{"i-1", "", "i-1"}, want: "nat-1 nat-1 nat-1", told: 1},
		"others hold what is not the zone": {hops: []string{"i-1", "nat-other", "i-1"}, want: "nat-1 nat-other nat-1", told: 1},
		"throttled, and servers in trouble": {
			hops: []string{"i-1", "i-1", "i-1"}, want: "nat-1 nat-1 nat-1", told: 1, fault: atMost(9, trouble(503, "RequestLimitExceeded")),
		},
		"an answer that is none": {
			hops: []string{"i-1", "i-1", "i-1"}, want: "nat-1 nat-1 nat-1", told: 1, fault: atMost(9, errors.New("connection reset by peer")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(test.hops...)
				a.fault = test.fault
				if test.hops[0] == "-" {
					delete(a.tables, "rtb-1")
				}
				took := handle(t, controller(a, alive, io.Discard), record(t, natzone.Streak, nil))
				if a.hops() != test.want {
					t.Errorf("routes: %s, want %s", a.hops(), test.want)
				}
				if took > 2*time.Second {
					t.Errorf("took %v", took)
				}
				if len(a.told) != test.told {
					t.Errorf("alerts: %v", a.told)
				}
				if !slices.ContainsFunc(a.calls, func(c string) bool { return strings.HasPrefix(c, "Invoke prober-a Event") }) {
					t.Errorf("the prober was not started again: %v", a.calls)
				}
			})
		})
	}
}

// atMost fails the first n calls.
func atMost(n int, err error) func(string) error {
	var mu sync.Mutex
	return func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

func TestARouteThatComesOrGoesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1")
		c := controller(a, alive, io.Discard)
		move := decide.Move{Table: "rtb-1", Destination: netip.MustParsePrefix("0.0.0.0/0")}
		a.tables["rtb-1"] = ""
		if err := c.route(t.Context(), move); err != nil || a.hops() != "nat-1" {
			t.Errorf("gone: %v, %s", err, a.hops())
		}
		a.tables["rtb-1"] = "i-2"
		move.Create = true
		if err := c.route(t.Context(), move); err != nil || a.hops() != "i-2" {
			t.Errorf("come: %v, %s: what the agent has made stays", err, a.hops())
		}
	})
}

func TestARefusalIsToldOnceAnHourAndTriedTwelveTimesAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		a.fault = func(call string) error {
			if strings.HasPrefix(call, "ReplaceRoute") {
				return refusal("UnauthorizedOperation", "You are not authorized to perform this operation.")
			}
			return nil
		}
		c := controller(a, alive, io.Discard)
		var quiet []natzone.Duration
		a.invoke = func(payload []byte) {
			var tick natzone.Tick
			if err := json.Unmarshal(payload, &tick); err != nil {
				t.Error(err)
			}
			quiet = append(quiet, tick.Quiet)
		}
		for range 5 {
			handle(t, c, record(t, natzone.Streak, nil))
		}
		if len(a.told) != 1 || len(quiet) != 5 || slices.Min(quiet) < natzone.Duration(decide.Quiet) {
			t.Errorf("alerts %v, prober started with %v", a.told, quiet)
		}
		if s, _ := c.snapshot(); !s.Since.IsZero() {
			t.Errorf("state %+v: nothing was moved", s)
		}
	})
}

func TestDeadTargetsMoveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		took := handle(t, controller(a, dead, io.Discard), record(t, natzone.Streak, nil))
		if a.hops() != "i-1 i-1 i-1" || strings.Contains(a.made(), "ReplaceRoute") {
			t.Errorf("routes: %s, calls: %s", a.hops(), a.made())
		}
		if !strings.Contains(a.made(), "Invoke 1") || took > 2*time.Second {
			t.Errorf("calls after %v: %s", took, a.made())
		}
	})
}

// A zone whose prober gives its verdict 1.25 s after it is started, as long as the path is dead.
func chain(t *testing.T, a *account, c *Controller, broken func() bool) (start func()) {
	var mu sync.Mutex // reserved concurrency 1
	start = func() {
		go func() {
			time.Sleep(1250 * time.Millisecond) //nolint:forbidigo // simulated time
			if !broken() {
				return
			}
			payload := record(t, natzone.Streak, nil)
			mu.Lock()
			defer mu.Unlock()
			_ = c.Handle(t.Context(), payload)
		}()
	}
	a.invoke = func([]byte) { start() }
	return start
}

func TestADeadPathIsLeftWithinThreeSecondsOfTheEndOfAnOutageOfTheAPI(t *testing.T) {
	for _, hangs := range []bool{true, false} {
		for _, length := range []time.Duration{2 * time.Second, 10 * time.Second, 14900 * time.Millisecond, 16 * time.Second, 40 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount("i-1", "i-1", "i-1")
				end := time.Now().Add(length)
				out := func() bool { return time.Now().Before(end) }
				if hangs {
					a.hang = out
				} else {
					a.fault = func(string) error {
						if out() {
							return trouble(500, "InternalError")
						}
						return nil
					}
				}
				chain(t, a, controller(a, alive, io.Discard), func() bool { return strings.Contains(a.hops(), "i-1") })()
				for strings.Contains(a.hops(), "i-1") && time.Since(end) < time.Minute {
					time.Sleep(10 * time.Millisecond) //nolint:forbidigo // simulated time
				}
				if after := time.Since(end); after > 3*time.Second {
					t.Errorf("outage of %v (hangs: %v): routes are %q %v after its end", length, hangs, a.hops(), after)
				}
			})
		}
	}
}

func TestAPathThatRecoversDuringAnOutageOfTheAPIIsNotTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		begin := time.Now()
		a.hang = func() bool { return time.Since(begin) < 40*time.Second }
		chain(t, a, controller(a, alive, io.Discard), func() bool { return time.Since(begin) < 20*time.Second })()
		time.Sleep(2 * time.Minute) //nolint:forbidigo // simulated time
		if a.hops() != "i-1 i-1 i-1" {
			t.Errorf("routes: %s", a.hops())
		}
	})
}

func TestAnOutageOfTheAPIDuringAQuietMinuteIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		a.hang = func() bool { return true }
		c := controller(a, alive, io.Discard)
		if took := handle(t, c, record(t, natzone.None, nil)); took > 10*time.Second {
			t.Errorf("a verdict would have waited %v", took)
		}
	})
}

func TestAnOutageOfTheParameterStoreDelaysAFailoverByLessThanHalfASecondAndForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		a.state = `{"version":1,"replaced":"2026-11-21T23:50:00Z"}`
		kept := a.state
		a.fault = func(call string) error {
			if strings.Contains(call, "Parameter") {
				return trouble(500, "InternalServerError")
			}
			return nil
		}
		begin := time.Now()
		c := controller(a, alive, io.Discard)
		handle(t, c, record(t, natzone.Streak, nil))
		for _, at := range a.moved {
			if at.Sub(begin) > 500*time.Millisecond {
				t.Errorf("a route moved after %v", at.Sub(begin))
			}
		}
		if len(a.moved) != 3 || a.state != kept {
			t.Errorf("%d moved, state %s", len(a.moved), a.state)
		}
		a.fault = nil
		handle(t, c, record(t, natzone.None, nil))
		if s, err := decide.ParseState(a.state); err != nil || s.Since.IsZero() || s.Replaced.IsZero() {
			t.Errorf("state %s", a.state)
		}
	})
}

func TestAQuietMinuteTakesOneCallAndEveryFewMinutesTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		agent := &natzone.Health{Instance: "i-1", Ready: true, Holds: true}
		handle(t, c, record(t, natzone.None, agent)) // cold: the state, too
		a.forget()
		for range 10 {
			time.Sleep(time.Minute) //nolint:forbidigo // simulated time
			handle(t, c, record(t, natzone.None, agent))
		}
		if want := "DescribeNatGateways 2, DescribeRouteTables 10"; a.made() != want {
			t.Errorf("calls of ten minutes: %s, want %s", a.made(), want)
		}
	})
}

const state = `{"version":"0","id":"1","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"1",
	"time":"2026-11-22T00:00:00Z","region":"eu-west-1","resources":["arn:aws:ec2:eu-west-1:1:instance/INSTANCE"],
	"detail":{"instance-id":"INSTANCE","state":"stopping"}}`

func stopping(instance string) []byte { return []byte(strings.ReplaceAll(state, "INSTANCE", instance)) }

// termination is the notice of the group's hook.
func termination(instance string) []byte {
	return fmt.Appendf(nil, `{"source":"aws.autoscaling","detail-type":"EC2 Instance-terminate Lifecycle Action","detail":{
		"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","EC2InstanceId":%q,"AutoScalingGroupName":"egress-a","LifecycleHookName":"polynat-terminate"}}`, instance)
}

func TestInstancesOfOthersCostNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		handle(t, c, stopping("i-9")) // cold: it has to look
		if !strings.Contains(a.made(), "DescribeRouteTables 1") {
			t.Errorf("calls: %s", a.made())
		}
		a.forget()
		for range 1000 {
			handle(t, c, stopping("i-9"))
		}
		if a.made() != "" {
			t.Errorf("calls: %s", a.made())
		}
		onStandby := newAccount("nat-1")
		cold := controller(onStandby, alive, io.Discard)
		for range 10 {
			handle(t, cold, stopping("i-9"))
		}
		if want := "DescribeRouteTables 1, GetParameter 1"; onStandby.made() != want {
			t.Errorf("calls on the standby: %s, want %s", onStandby.made(), want)
		}
		handle(t, c, stopping("i-1"))
		if a.hops() != "nat-1 nat-1 nat-1" {
			t.Errorf("routes: %s", a.hops())
		}
	})
}

func TestWhatIsNoneOfItsBusinessCostsNoCall(t *testing.T) {
	for name, payload := range map[string]string{
		"test notice": `{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"{\"AccountId\":\"1\",\"AutoScalingGroupName\":\"egress-a\",\"Event\":\"autoscaling:TEST_NOTIFICATION\"}"}}]}`,
		"launch":      `{"source":"aws.autoscaling","detail-type":"EC2 Instance-launch Lifecycle Action","detail":{"LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING","EC2InstanceId":"i-2"}}`,
		"another's":   `{"source":"aws.autoscaling","detail-type":"EC2 Instance-terminate Lifecycle Action","detail":{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","EC2InstanceId":"i-2","AutoScalingGroupName":"web","LifecycleHookName":"x"}}`,
		"unknown":     `{"source":"aws.s3","detail-type":"Object Created","detail":{}}`,
		"no object":   `"hello"`,
		"a crash":     `{"requestContext":{"condition":"RetriesExhausted"},"responseContext":{"functionError":"Unhandled"}}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount("i-1")
			handle(t, controller(a, alive, io.Discard), []byte(payload))
			if a.made() != "" {
				t.Errorf("%s: calls: %s", name, a.made())
			}
		})
	}
}

// slowState answers for the parameter late.
type slowState struct {
	*account
	takes time.Duration
}

func (s slowState) GetParameter(ctx context.Context, in *ssm.GetParameterInput, o ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.account.GetParameter(ctx, in, o...)
}

func TestAStateThatIsReadTooLateIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		replaced := time.Now().Add(-10 * time.Minute)
		waiting := decide.Leaving{Instance: "i-0", Due: time.Now().Add(time.Minute), Hook: true}
		a.state, _ = decide.State{Replaced: replaced, Leaving: []decide.Leaving{waiting}}.JSON()
		c := controller(a, alive, io.Discard)
		c.api.SSM = slowState{a, 600 * time.Millisecond}
		begin := time.Now()
		handle(t, c, record(t, natzone.Streak, nil))
		if got := a.hops(); got != "nat-1 nat-1 nat-1" || a.moved[2].Sub(begin) > 500*time.Millisecond {
			t.Errorf("routes: %s, moved %v after the verdict", got, a.moved[2].Sub(begin))
		}
		s, err := decide.ParseState(a.state)
		if err != nil || !s.Replaced.Equal(replaced) || s.Since.IsZero() || s.Moved.IsZero() {
			t.Errorf("saved: %s, %v", a.state, err)
		}
	})
}

func TestATerminationIsCompletedThoughItsRoutesCouldNotBeMovedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		fit := &natzone.Health{Instance: "i-1", Ready: true, Holds: true}
		handle(t, c, record(t, natzone.None, fit))
		handle(t, c, termination("i-1"))
		a.fault = func(call string) error {
			if call == "ReplaceRoute rtb-2" {
				return trouble(503, "RequestLimitExceeded")
			}
			return nil
		}
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		handle(t, c, record(t, natzone.None, fit))
		if got := a.hops(); got != "nat-1 i-1 nat-1" || len(a.freed) > 0 {
			t.Fatalf("routes: %s, completed %v", got, a.freed)
		}
		a.fault = nil
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		handle(t, c, record(t, natzone.None, fit))
		if got := a.hops(); got != "nat-1 nat-1 nat-1" || !slices.Equal(a.freed, []string{"i-1"}) {
			t.Errorf("routes: %s, completed %v", got, a.freed)
		}
	})
}

func TestEventsCountThoughTheProberIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		handle(t, c, record(t, natzone.None, &natzone.Health{Instance: "i-1", Ready: true, Holds: true}))
		for table := range a.tables {
			a.tables[table] = "i-2" // which has succeeded it since
		}
		time.Sleep(24 * time.Hour) //nolint:forbidigo // simulated time
		handle(t, c, stopping("i-2"))
		if got := a.hops(); got != "nat-1 nat-1 nat-1" {
			t.Errorf("routes: %s", got)
		}
	})
}

func TestRoutesToInstancesOfOthersAreLeftAlone(t *testing.T) {
	fit := &natzone.Health{Instance: "i-1", Ready: true, Holds: true}
	for name, test := range map[string]struct {
		before, after []string
		known         bool // the instance has said that it serves the zone
		agent         *natzone.Health
	}{
		"the agent is silent":                 {[]string{"i-1", "i-1", "i-fw"}, []string{"nat-1", "nat-1", "i-fw"}, true, nil},
		"the agent answers":                   {[]string{"i-1", "i-1", "i-fw"}, []string{"nat-1", "nat-1", "i-fw"}, true, fit},
		"nothing is known yet":                {[]string{"i-fw", "i-1", "i-1"}, []string{"i-fw", "nat-1", "nat-1"}, false, nil},
		"all at once":                         {[]string{"i-fw", "i-fw", "i-fw"}, []string{"i-fw", "i-fw", "i-fw"}, true, fit},
		"an interface without an instance":    {[]string{"eni-fw", "i-1", "i-1"}, []string{"eni-fw", "nat-1", "nat-1"}, true, nil},
		"a successor nobody has heard of yet": {[]string{"i-2", "i-2", "i-2"}, []string{"nat-1", "nat-1", "nat-1"}, true, &natzone.Health{Instance: "i-2", Holds: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount("i-1", "i-1", "i-1")
				a.groups = append(a.groups, group("a", "i-1", "Healthy"), group("b", "i-fw", "Healthy"))
				c := controller(a, alive, io.Discard)
				if test.known {
					handle(t, c, record(t, natzone.None, fit))
				}
				for i, hop := range test.before {
					a.tables[fmt.Sprintf("rtb-%d", i+1)] = hop
				}
				time.Sleep(time.Minute) //nolint:forbidigo // simulated time
				handle(t, c, record(t, natzone.Streak, test.agent))
				if got := a.hops(); got != strings.Join(test.after, " ") {
					t.Errorf("routes: %s, want %v", got, test.after)
				}
				a.forget()
				handle(t, c, stopping("i-fw"))
				if got := a.hops(); got != strings.Join(test.after, " ") {
					t.Errorf("routes after an event: %s, want %v", got, test.after)
				}
			})
		})
	}
}

// A look-up that fails leaves in doubt what it was to tell, and no more.
func TestAnInstanceInDoubtIsNotTakenForTheZonesForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-fw")
		a.groups = append(a.groups, group("a", "i-1", "Healthy"))
		c := controller(a, alive, io.Discard)
		a.fault = func(call string) error {
			if strings.HasPrefix(call, "DescribeAutoScalingGroups") {
				return trouble(503, "RequestLimitExceeded")
			}
			return nil
		}
		handle(t, c, record(t, natzone.None, &natzone.Health{Instance: "i-1", Ready: true, Holds: true}))
		a.fault = nil
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		handle(t, c, record(t, natzone.Streak, nil))
		if got := a.hops(); got != "nat-1 nat-1 i-fw" {
			t.Errorf("routes: %s", got)
		}
	})
}

func TestAnInstanceIsNotReplacedWhereNothingElseCouldBeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("", "", "")
		a.groups = append(a.groups, group("a", "i-1", "Healthy"))
		a.state, _ = decide.State{Since: time.Now().Add(-time.Hour), Unready: time.Now().Add(-time.Hour), Instance: "i-1"}.JSON()
		a.fault = func(call string) error {
			if strings.HasPrefix(call, "CreateRoute") {
				return refusal("InvalidNatGatewayID.NotFound", "The NAT gateway does not exist")
			}
			return nil
		}
		c := controller(a, alive, io.Discard)
		for range 4 {
			handle(t, c, record(t, natzone.None, &natzone.Health{Instance: "i-1"}))
			time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		}
		if s, err := decide.ParseState(a.state); len(a.marked) > 1 || len(a.marked) == 1 && s.Replaced.IsZero() {
			t.Errorf("marked %v, and remembered %v, %v", a.marked, s.Replaced, err)
		}
	})
}

func TestNothingHoldsUpAVerdictForLongWhileTheAPIIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		handle(t, c, record(t, natzone.None, &natzone.Health{Instance: "i-1", Ready: true, Holds: true}))
		a.fault = func(string) error { return trouble(500, "InternalError") }
		for _, event := range [][]byte{stopping("i-1"), termination("i-1"),
			[]byte(`{"source":"aws.ec2","detail-type":"EC2 Instance Rebalance Recommendation","detail":{"instance-id":"i-1"}}`)} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			begin := time.Now()
			err := c.Handle(ctx, event)
			cancel()
			if took := time.Since(begin); err == nil || took > calm+time.Second {
				t.Errorf("%s: %v after %v", event, err, took)
			}
		}
	})
}

func TestATerminationHookIsCompletedOnceNoRoutePointsAtTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount("i-1", "i-1", "i-1")
		c := controller(a, alive, io.Discard)
		handle(t, c, record(t, natzone.None, &natzone.Health{Instance: "i-1", Ready: true, Holds: true}))
		handle(t, c, termination("i-1"))
		if len(a.freed) != 0 || a.hops() != "i-1 i-1 i-1" {
			t.Fatalf("completed %v, routes %s: the agent was to hand over", a.freed, a.hops())
		}
		for table := range a.tables {
			a.tables[table] = "i-2"
		}
		handle(t, c, record(t, natzone.None, nil))
		handle(t, c, termination("i-1")) // once more
		if len(a.freed) != 1 || a.hops() != "i-2 i-2 i-2" {
			t.Errorf("completed %v, routes %s", a.freed, a.hops())
		}
	})
}

func TestASickInstanceIsMarkedUnhealthyUnlessAnotherZoneIsInNeed(t *testing.T) {
	for name, test := range map[string]struct {
		other string // hop of the other zone's table
		mark  string
	}{
		"the other is well":              {"i-7", "i-1 Unhealthy"},
		"the other is on its standby":    {"nat-7", ""},
		"the other has none in service ": {"", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount("nat-1", "nat-1", "nat-1", test.other)
			a.groups = []autoscalingtypes.AutoScalingGroup{group("a", "i-1", "Healthy"), group("0", "i-7", "Healthy")}
			if test.other == "" {
				a.groups[1].Instances[0].LifecycleState = autoscalingtypes.LifecycleStatePending
			}
			c := controller(a, alive, io.Discard)
			for range 8 {
				handle(t, c, record(t, natzone.None, nil))
				time.Sleep(time.Minute) //nolint:forbidigo // simulated time
			}
			if got := strings.Join(a.marked, ", "); got != test.mark {
				t.Errorf("%s: marked %q, want %q", name, got, test.mark)
			}
		})
	}
}

// Nothing keeps two controllers from running at once where no concurrency is reserved.
func TestWhatAnotherControllerHasWrittenMeanwhileIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		others int
		echo   bool
		puts   string
	}{
		"nobody else":              {puts: "PutParameter 1"},
		"nobody else, twice":       {echo: true, puts: "PutParameter 1"},
		"another one":              {others: 1, puts: "PutParameter 2"},
		"another one, twice":       {others: 1, echo: true, puts: "PutParameter 2"},
		"another one, and another": {others: 2, puts: "PutParameter 3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount("i-1", "i-1", "i-1")
			a.state, a.echo = `{"version":1,"served":["i-1"]}`, test.echo
			replaced := time.Now().UTC().Truncate(time.Second)
			a.fault = func(call string) error {
				if strings.HasPrefix(call, "PutParameter") && test.others > 0 {
					test.others--
					text, err := decide.State{Served: []string{"i-1"}, Replaced: replaced}.JSON()
					if err != nil {
						t.Error(err)
					}
					a.mu.Lock()
					defer a.mu.Unlock()
					a.put(text)
				}
				return nil
			}
			written := test.puts != "PutParameter 1"
			handle(t, controller(a, alive, io.Discard), record(t, natzone.Streak, nil))
			s, err := decide.ParseState(a.state)
			if err != nil || s.Instance != "i-1" || s.Replaced.Equal(replaced) != written {
				t.Errorf("%s: state %s, %v", name, a.state, err)
			}
			if !strings.Contains(a.made(), test.puts) {
				t.Errorf("%s: %s, want %s", name, a.made(), test.puts)
			}
		})
	}
}

func TestAFailoverFromAnInstanceThatCallsItselfReadyIsCounted(t *testing.T) {
	for _, test := range []struct {
		agent   *natzone.Health
		refused bool
		want    string
	}{
		{agent: &natzone.Health{Instance: "i-1", Ready: true}, want: `"LeftReady":1`},
		{agent: &natzone.Health{Instance: "i-1"}, want: `"LeftReady":0`},
		{agent: &natzone.Health{Instance: "i-2", Ready: true}, want: `"LeftReady":0`},
		{agent: nil, want: `"LeftReady":0`},
		{agent: &natzone.Health{Instance: "i-1", Ready: true}, refused: true, want: `"LeftReady":0`},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			a := newAccount("i-1", "i-1", "i-1")
			if test.refused {
				a.fault = func(call string) error {
					if strings.HasPrefix(call, "ReplaceRoute") {
						return refusal("UnauthorizedOperation", "not you")
					}
					return nil
				}
			}
			handle(t, controller(a, alive, &out), record(t, natzone.Streak, test.agent))
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("agent %+v, refused %v: %s, want %s", test.agent, test.refused, out.String(), test.want)
			}
		})
	}
}

func TestMetricsAreLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		handle(t, controller(newAccount("i-1", "i-1", "i-1"), alive, &out), record(t, natzone.Streak, nil))
		var line struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
			Name, Zone                                                     string
			OnStandby, StandbyBroken, Transitions, Replacements, LeftReady *float64
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", out.Bytes(), err)
		}
		if line.Name != "egress" || line.Zone != "a" || *line.OnStandby != 1 || *line.Transitions != 1 || *line.StandbyBroken != 0 || *line.Replacements != 0 || *line.LeftReady != 0 {
			t.Errorf("%s", out.Bytes())
		}
		if m := line.AWS.CloudWatchMetrics; len(m) != 1 || m[0].Namespace != natzone.MetricNamespace || len(m[0].Metrics) != 5 || line.AWS.Timestamp == 0 {
			t.Errorf("%s", out.Bytes())
		}
	})
}
