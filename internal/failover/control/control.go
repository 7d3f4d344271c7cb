// Package control is the function outside of the VPC: it looks up what a decision needs, has it made by package decide,
// and carries it out. A failover of three tables takes eight API calls, of which the ones that move the routes are one each
// and run in parallel.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"polynat/internal/failover/decide"
	"polynat/internal/failover/detect"
	"polynat/internal/failover/emf"
	"polynat/internal/failover/event"
	"polynat/internal/natzone"
)

const (
	// Fresh is how long after its end a verdict may be acted on. While the API is out, the instance may have recovered,
	// and a path that works is never touched: what is older is asked for anew.
	Fresh = 15 * time.Second
	// calm is how long everything that may wait is tried: meanwhile, no verdict gets in. Lambda repeats an event later.
	calm = 5 * time.Second
	// margin before the function's timeout, for what is left to be said.
	margin = 3 * time.Second
)

// Client tries a target, as probe.Client does.
type Client interface {
	Try(context.Context, natzone.Target) detect.Attempt
}

// Controller keeps what outlives an invocation.
type Controller struct {
	zone   natzone.Controller
	api    API
	client Client
	out    io.Writer
	log    *slog.Logger
	// Timeout of one attempt at a target. Default 600 ms.
	Timeout time.Duration

	mu      sync.Mutex
	state   decide.State
	version int64 // of the parameter that the state was read from or saved in
	known   bool  // state is what the parameter holds, or newer
	dirty   bool  // state has not been saved

	ids     map[string]bool      // of instances that are known to have served the zone
	points  map[string]bool      // of instances that its routes pointed at when last looked up
	strange map[string]time.Time // instances that are not of the zone's group, and when that was looked up
	looked  time.Time            // when its routes were looked up
	told    map[string]time.Time
	agent   *natzone.Health
	heard   time.Time
	checked time.Time // when the standby's state was looked up
}

// New makes a controller. Metrics go to out, which is the function's standard output.
func New(zone natzone.Controller, api API, client Client, out io.Writer, log *slog.Logger) *Controller {
	return &Controller{
		zone: zone, api: api, client: client, out: out, log: log,
		Timeout: 600 * time.Millisecond, ids: map[string]bool{}, strange: map[string]time.Time{}, told: map[string]time.Time{},
	}
}

// Handle acts on what the function was invoked with. An error makes Lambda repeat the invocation.
func (c *Controller) Handle(ctx context.Context, payload []byte) error {
	var errs error
	for _, m := range event.Parse(payload) {
		if err := c.message(ctx, m); err != nil {
			c.log.Error("failed", "message", fmt.Sprintf("%T", m), "error", err)
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// message acts on one message.
func (c *Controller) message(ctx context.Context, m event.Message) error {
	kind := fmt.Sprintf("%T", m)
	switch {
	case c.foreign(m):
		c.log.Info("decision", "message", kind, "note", "of another zone or instance")
		return nil
	case !decide.Concerns(c.zone, m):
		plan := decide.Decide(c.zone, decide.State{}, m, decide.Observation{})
		c.log.Info("decision", "message", kind, "note", plan.Note)
		return nil
	}
	c.hear(m)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	within, cancel := context.WithDeadline(ctx, c.until(m))
	defer cancel()
	found, err := c.gather(within, m)
	if err != nil {
		return c.anew(ctx, m, err, 0)
	}
	var failed []error
	decided := func(s decide.State) decide.Plan {
		plan := decide.Decide(c.zone, s, m, found.Observation)
		if len(failed) > 0 {
			plan = c.withdraw(plan, s, failed)
		}
		return plan
	}
	plan := decided(found.state)
	c.see(found.Observation)
	if failed = c.move(within, plan.Moves); len(failed) > 0 {
		plan = decided(found.state)
	}
	c.perform(ctx, plan, func(ctx context.Context) error { return c.settle(ctx, plan, found, decided) })
	c.publish(plan, len(plan.Moves)-len(failed))
	c.log.Info("decision", "message", kind, "note", plan.Note, "moves", len(plan.Moves), "failed", len(failed), "replace", plan.Replace, "refresh", plan.Refresh,
		"complete", plan.Complete, "onStandby", plan.OnStandby, "standbyBroken", plan.Broken)
	if len(failed) > 0 {
		quiet := decide.Quiet // it was refused, and will be again
		if within.Err() != nil {
			quiet = 0
		}
		return c.anew(ctx, m, errors.Join(failed...), quiet)
	}
	return nil
}

// foreign says that an event is about instances that never had to do with the zone. The controller gets AWS
// Health events of the whole account; they cost it no call once it has looked at its routes. An instance that has claimed the zone since, and is gone
// already, is the prober's to find.
func (c *Controller) foreign(m event.Message) bool {
	switch m := m.(type) {
	case event.Instances:
		if time.Since(c.looked) > recent {
			return false // who serves it by now is not known
		}
		for _, id := range m.IDs {
			if c.ids[id] || c.points[id] {
				return false
			}
		}
		return true
	case event.Observed, event.Terminating, event.LaunchFailed:
		return !decide.Concerns(c.zone, m)
	default:
		return false
	}
}

// hear notes what a message says by itself.
func (c *Controller) hear(m event.Message) {
	switch m := m.(type) {
	case event.Observed:
		c.agent, c.heard = m.Report.Agent, wall()
		for _, a := range []*natzone.Health{m.Report.Agent, m.Report.Holder} {
			if a != nil {
				c.ids[a.Instance] = true
			}
		}
	case event.Terminating:
		c.ids[m.Instance] = true
	}
}

// see notes what was looked up.
func (c *Controller) see(o decide.Observation) {
	c.looked, c.points = wall(), map[string]bool{}
	for _, r := range o.Routes {
		if r.Instance != "" {
			c.points[r.Instance] = true
		}
	}
}

// until is how long looking up and moving may take.
func (c *Controller) until(m event.Message) time.Time {
	now := time.Now()
	o, ok := m.(event.Observed)
	switch {
	case !ok, o.Report.Cause == natzone.None:
		return now.Add(calm)
	default:
		return o.Report.End.Add(Fresh)
	}
}

// anew is what follows where a message could not be acted on. After a verdict that has become stale, the prober looks
// again, for which its invocation is tried until the API is back. A minute's report is followed by the next one. Any other
// message is repeated by Lambda.
func (c *Controller) anew(ctx context.Context, m event.Message, err error, quiet time.Duration) error {
	r, ok := verdict(m)
	switch {
	case ok && r.Tick.Until.After(time.Now()):
		c.log.Warn("verdict could not be acted on", "error", err)
		return c.again(ctx, natzone.Tick{Time: r.Tick.Time, Until: r.Tick.Until, Quiet: natzone.Duration(quiet)})
	case ok:
		c.log.Warn("verdict could not be acted on, and its slot is over", "error", err)
		return nil
	default:
		if _, minute := m.(event.Observed); minute {
			c.log.Warn("report could not be acted on", "error", err)
			return nil
		}
		return err
	}
}

// withdraw takes back what a plan said of moves that failed. Terminations that were to go on are left for the next report.
func (c *Controller) withdraw(plan decide.Plan, before decide.State, failed []error) decide.Plan {
	waiting := plan.Complete
	plan.Complete, plan.Probe = nil, nil
	text := fmt.Sprintf("%d of %d routes could not be moved to %s: %v", len(failed), len(plan.Moves), c.zone.Standby, errors.Join(failed...))
	if len(failed) == len(plan.Moves) {
		// Nothing has happened, and an instance is replaced where that is remembered.
		plan.State, plan.Changed, plan.OnStandby, plan.Replace = before, false, false, ""
		plan.Note = text
		plan.Alerts = nil
	}
	for _, id := range waiting {
		plan.State = plan.State.Waits(id, wall())
		plan.Changed = true
	}
	plan.Alerts = append(plan.Alerts, decide.Alert{
		Subject: c.zone.Name + " " + c.zone.Zone + ": routes could not be moved", Text: text, Recurs: true,
	})
	return plan
}

func (c *Controller) publish(plan decide.Plan, moved int) {
	flag := map[bool]float64{true: 1}
	left := 0.0
	if moved > 0 {
		left = flag[plan.LeftReady]
	}
	replaced := 0.0
	if plan.Replace != "" {
		replaced = 1
	}
	transitions := 0.0
	if moved > 0 {
		transitions = 1
	}
	err := emf.Write(c.out, c.zone.MetricNamespace, c.zone.Name, c.zone.Zone, time.Now(),
		emf.Metric{Name: natzone.MetricOnStandby, Unit: emf.None, Value: flag[plan.OnStandby]},
		emf.Metric{Name: natzone.MetricStandbyBroken, Unit: emf.None, Value: flag[plan.Broken]},
		emf.Metric{Name: natzone.MetricTransitions, Unit: emf.Count, Value: transitions},
		emf.Metric{Name: natzone.MetricReplacements, Unit: emf.Count, Value: replaced},
		emf.Metric{Name: natzone.MetricLeftReady, Unit: emf.Count, Value: left})
	if err != nil {
		c.log.Error("metrics", "error", err)
	}
}

// wall is the time without the monotonic clock, which stands still while the function is frozen: what is remembered over
// invocations ages by this one.
func wall() time.Time { return time.Now().Round(0) }

func (c *Controller) snapshot() (decide.State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.known
}

func (c *Controller) remembered() decide.State {
	s, _ := c.snapshot()
	return s
}

// remember keeps a state that has to be saved.
func (c *Controller) remember(s decide.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.known, c.dirty = s, true, true
}

// read keeps a state that a version of the parameter holds. What this process could not save is newer.
func (c *Controller) read(s decide.State, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirty && c.known {
		return
	}
	c.state, c.version, c.known, c.dirty = s, version, true, false
}
