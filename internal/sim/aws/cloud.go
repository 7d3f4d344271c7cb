package aws

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cloud is one simulated region of one account. It is safe for concurrent use.
type Cloud struct {
	// OnChange, when set, is called after every single change of state. No other change happens until it returns: it may
	// read but must not change the cloud. Set it before use.
	OnChange func()
	// OnEvent, when set, is called for every event, one after the other, with no lock held: it may call the API. Set it
	// before use.
	OnEvent func(Event)

	opts Options
	// defaultTags of the provider; guarded by mu. They are no state of the region: whoever works on a clone configures it.
	defaultTags map[string]any

	// turn is held by whoever changes the state, until OnChange has returned; mu only while the state is read or written.
	// Lock turn first.
	turn  sync.Mutex
	mu    sync.Mutex
	state state
	// changed is closed and made anew at every change; guarded by mu.
	changed chan struct{}
	// past are the states that describes still show, the oldest first; guarded by mu, empty unless there is a lag.
	past []snapshot
	// buckets of the API's throttling; guarded by mu. They are no state of the region: a clone begins with full ones.
	buckets map[string]*bucket

	outbox     sync.Mutex // guards the next two
	events     []Event
	delivering bool
}

type snapshot struct {
	until time.Time
	state *state
}

// epoch is when simulated time begins.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// New returns an empty region.
func New(opts Options) *Cloud {
	opts.Region = cmp.Or(opts.Region, "us-east-1")
	opts.Account = cmp.Or(opts.Account, "123456789012")
	opts.Agent = cmp.Or(opts.Agent, AgentSimulated)
	opts.MetadataLag = max(0, cmp.Or(opts.MetadataLag, 500*time.Millisecond))
	opts.BootTime = cmp.Or(opts.BootTime, 5*time.Second)
	opts.AgentTime = cmp.Or(opts.AgentTime, 10*time.Second)
	opts.GatewayTime = cmp.Or(opts.GatewayTime, 90*time.Second)
	opts.AddressQuota = cmp.Or(opts.AddressQuota, 5)
	opts.ConcurrencyQuota = cmp.Or(opts.ConcurrencyQuota, 1000)
	if opts.Zones == nil {
		for _, letter := range "abcdef" {
			opts.Zones = append(opts.Zones, opts.Region+string(letter))
		}
	}
	c := &Cloud{opts: opts, state: newState(), changed: make(chan struct{}), buckets: map[string]*bucket{}}
	c.state.Now = epoch
	if opts.Clock != nil {
		c.state.Now = opts.Clock()
	}
	return c
}

// partition of the region, such as "aws-cn".
func (c *Cloud) partition() string {
	switch {
	case strings.HasPrefix(c.opts.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(c.opts.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// arn of something in the region and the account.
func (c *Cloud) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", c.partition(), service, c.opts.Region, c.opts.Account, resource)
}

// Now is the cloud's time.
func (c *Cloud) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	return c.state.Now
}

// tell brings the state's time up to date with a real clock.
func (c *Cloud) tell() {
	if c.opts.Clock != nil {
		if now := c.opts.Clock(); now.After(c.state.Now) {
			c.state.Now = now
		}
	}
}

// Save returns the whole state as JSON; equal states give equal bytes.
func (c *Cloud) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(&c.state)
}

// Load replaces the state by one that Save returned.
func (c *Cloud) Load(saved []byte) error {
	s := newState()
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("load the simulated cloud: %w", err)
	}
	return c.change(func(now *state) error { *now = s; return nil })
}

// Clone returns a cloud with the same options and state, a life of its own and no callbacks.
func (c *Cloud) Clone() *Cloud {
	clone := New(c.opts)
	saved, err := c.Save()
	if err == nil {
		err = clone.Load(saved)
	}
	if err != nil {
		panic(err) // a state is made of values that JSON can hold; a test makes the round trip
	}
	return clone
}

// change makes one change of state, or none when f fails, and publishes it.
func (c *Cloud) change(f func(*state) error) error {
	c.turn.Lock()
	c.mu.Lock()
	c.tell()
	c.remember()
	next := maps.Clone(c.state.Next)
	err := f(&c.state)
	if err != nil {
		c.state.Next = next // what was refused has used no id
	}
	c.publish(err == nil)
	return err
}

// publish ends a change: it unlocks, and tells of it.
func (c *Cloud) publish(changed bool) {
	if changed {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	c.mu.Unlock()
	if changed && c.OnChange != nil {
		c.OnChange()
	}
	c.turn.Unlock()
	c.deliver()
}

// remember keeps the state as it is before a change, for describes that lag.
func (c *Cloud) remember() {
	if c.opts.Lag <= 0 {
		return
	}
	now := c.state.Now
	c.past = slices.DeleteFunc(c.past, func(s snapshot) bool { return !s.until.After(now) })
	saved, err := json.Marshal(&c.state)
	old := newState()
	if err == nil {
		err = json.Unmarshal(saved, &old)
	}
	if err != nil {
		panic(err) // a state is made of values that JSON can hold; a test makes the round trip
	}
	c.past = append(c.past, snapshot{now.Add(c.opts.Lag), &old})
}

// describe calls f with the state that describes show now.
func (c *Cloud) describe(api string, f func(*state) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	if err := c.take(api); err != nil {
		return err
	}
	for _, s := range c.past {
		if s.until.After(c.state.Now) {
			return f(s.state)
		}
	}
	return f(&c.state)
}

// call makes the change of an API call.
func (c *Cloud) call(api string, f func(*state) error) error {
	c.mu.Lock()
	c.tell()
	err := c.take(api)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.change(f)
}

// Advance moves simulated time and does what is due on the way; with a real clock it does what is due by now.
func (c *Cloud) Advance(d time.Duration) {
	limit := c.Now().Add(d)
	if c.opts.Clock != nil {
		limit = c.Now()
	}
	for c.next(limit) {
	}
	c.mu.Lock()
	if limit.After(c.state.Now) {
		c.state.Now = limit
	}
	c.mu.Unlock()
}

// next does the first thing that is due by limit; it returns false when there is none.
func (c *Cloud) next(limit time.Time) bool {
	c.turn.Lock()
	c.mu.Lock()
	if len(c.state.Timers) == 0 || c.state.Timers[0].At.After(limit) {
		c.publish(false)
		return false
	}
	c.remember()
	t := c.state.Timers[0]
	c.state.Timers = c.state.Timers[1:]
	if t.At.After(c.state.Now) {
		c.state.Now = t.At
	}
	c.publish(c.due(t))
	return true
}

// Run does what is due by a real clock until the context ends.
func (c *Cloud) Run(ctx context.Context) {
	for ctx.Err() == nil {
		for c.next(c.Now()) {
		}
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		timer := time.NewTimer(c.untilDue(c.Now().Add(time.Hour)))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// untilDue is how long it is, by a real clock, until something is due, or until a limit.
func (c *Cloud) untilDue(limit time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell()
	if len(c.state.Timers) > 0 && c.state.Timers[0].At.Before(limit) {
		limit = c.state.Timers[0].At
	}
	return max(0, limit.Sub(c.state.Now))
}

// errWaited says that what was waited for did not come.
var errWaited = errors.New("timeout while waiting")

// patience is how long, in real time, a wait goes on when nothing in the simulated cloud is due: another call may be on its
// way that brings what is waited for.
const patience = 100 * time.Millisecond

// await waits until a condition holds or fails. Simulated time goes on meanwhile.
func (c *Cloud) await(ctx context.Context, timeout time.Duration, done func(*state) (bool, error)) error {
	deadline := c.Now().Add(timeout)
	for {
		c.mu.Lock()
		ok, err := done(&c.state)
		changed := c.changed
		c.mu.Unlock()
		if ok || err != nil {
			return err
		}
		if err := c.pass(ctx, deadline, changed); err != nil {
			return err
		}
	}
}

// pass lets time go on until something may have changed; changed is closed when it has.
func (c *Cloud) pass(ctx context.Context, deadline time.Time, changed <-chan struct{}) error {
	byClock := c.opts.Clock != nil
	wait, limit, over := patience, deadline, false
	if byClock {
		// What was due before the deadline has happened before it, however late this machine comes to do it.
		if now := c.Now(); now.Before(deadline) {
			limit = now
		} else {
			over = true
		}
		wait = c.untilDue(deadline)
	}
	if c.next(limit) {
		return ctx.Err()
	}
	if over {
		return errWaited
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return nil
	case <-timer.C:
		if byClock {
			return nil // something is due, or the time is over
		}
		return errWaited
	}
}

// emit puts an event on its way.
func (c *Cloud) emit(e Event) {
	copies := 1
	if c.opts.Copies != nil {
		copies = c.opts.Copies(e)
	}
	c.outbox.Lock()
	defer c.outbox.Unlock()
	for range copies {
		c.events = append(c.events, e)
	}
}

// deliver hands events over, in their order. A handler that changes the cloud finds the delivery going on.
func (c *Cloud) deliver() {
	c.outbox.Lock()
	defer c.outbox.Unlock()
	if c.delivering {
		return
	}
	c.delivering = true
	for len(c.events) > 0 {
		e := c.events[0]
		c.events = c.events[1:]
		if c.OnEvent != nil {
			c.outbox.Unlock()
			c.OnEvent(e)
			c.outbox.Lock()
		}
	}
	c.delivering = false
}
