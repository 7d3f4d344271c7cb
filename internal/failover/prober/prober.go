// Package prober is the function in the zone's private subnets: it observes for its slot of the minute and returns a
// report, at once when it has a verdict. It calls no AWS API.
package prober

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"polynat/internal/failover/detect"
	"polynat/internal/failover/emf"
	"polynat/internal/failover/probe"
	"polynat/internal/natzone"
)

// Periods of what is looked at less often than the path.
const (
	// IdentityPeriod is between two looks at the egress address, and Confirm between a wrong one and the next look.
	IdentityPeriod = 10 * time.Second
	Confirm        = time.Second
	// HealthPeriod is between two questions to the agent.
	HealthPeriod = 5 * time.Second
	// aside is how long such a look may take.
	aside = 2 * time.Second
	// Witness is how long an agent may take to say that it is ready when a streak speaks against it: a host of the same zone answers
	// within a millisecond, one that is dead not at all, and that is what a failover waits for.
	Witness = 200 * time.Millisecond
	// Patience is how long the path may fail, from the beginning of the first failed round, while the agent says that it is ready: a
	// network card that is reset, a host that is migrated and a lease that is renewed are over by then.
	Patience = 2 * time.Second
	// Claim is how long it may fail while an agent says that the zone goes over to a successor: nobody has the zone's address then, and
	// AWS does not say for how long.
	Claim = 5 * time.Second
	// margin before the function's own timeout at which the prober ends in any case.
	margin = 2 * time.Second
)

// Prober keeps what outlives a minute: names, sessions.
type Prober struct {
	config natzone.Prober
	client *probe.Client
	out    io.Writer
	log    *slog.Logger
	warm   atomic.Bool
	own    atomic.Pointer[natzone.Target] // the health of the last holder at its own address
}

// New checks the configuration. Metrics go to out, which is the function's standard output.
func New(config natzone.Prober, client *probe.Client, out io.Writer, log *slog.Logger) (*Prober, error) {
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", natzone.ProberVariable, err)
	}
	return &Prober{config: config, client: client, out: out, log: log}, nil
}

// Run observes for the slot that tick gives it.
func (p *Prober) Run(ctx context.Context, tick natzone.Tick) natzone.Report {
	started := time.Now()
	slot := detect.SlotOf(tick, time.Duration(p.config.Detection.Active), started)
	w := &watch{
		Prober:   p,
		slot:     slot,
		last:     slot.End.Add(time.Duration(p.config.Detection.Window)),
		detector: detect.New(p.config.Detection, p.config.Egress, slot.Begin),
		rounds:   make(chan detect.Round),
		seen:     make(chan sighting),
		health:   make(chan *natzone.Health),
		witness:  make(chan testimony),
	}
	if deadline, ok := ctx.Deadline(); ok && w.last.After(deadline.Add(-margin)) {
		w.last = deadline.Add(-margin)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is still under way ends with the minute: a frozen environment must not wake up to it
	if w.fresh = !p.warm.Swap(true); w.fresh && slot.Begin.After(started) {
		// The first handshakes of a process take the most CPU, of which it has little: they are made while it waits.
		go p.client.Round(ctx, started, p.config.Targets, slot.Begin.Sub(started))
	}
	verdict := w.run(ctx)
	report := w.report(tick, verdict)
	w.publish(report)
	p.log.Info("report", "cause", report.Cause, "failing", report.Failing, "rounds", report.Rounds, "failedRounds", report.FailedRounds,
		"attempts", report.Attempts, "failedAttempts", report.FailedAttempts, "classes", report.Classes, "egress", report.Egress,
		"begin", slot.Begin, "scheduled", tick.Until.IsZero())
	return report
}

// watch is one run.
type watch struct {
	*Prober
	slot     detect.Slot
	last     time.Time // no round begins after it, clean or not
	detector *detect.Detector
	pending  int
	rounds   chan detect.Round
	seen     chan sighting
	health   chan *natzone.Health
	witness  chan testimony
	agent    *natzone.Health
	holder   *natzone.Health // the last that said that it holds the zone
	failing  time.Time       // when the first round of the streak began; zero if there is none
	asking   bool            // the agents are asked about the streak
	fresh    bool            // the process has not told of a round
	told     detect.Count    // what the metrics have told of
	claimed  bool            // one of them has said that the zone goes over
}

// testimony is what agents say of a failure: the one at the zone's address, and the last holder at its own.
type testimony struct {
	agent *natzone.Health
	claim bool
}

// patience is how long the path may have failed.
func (t testimony) patience() time.Duration {
	switch {
	case t.claim:
		return Claim
	case t.agent != nil && t.agent.Ready:
		return Patience
	}
	return 0
}

// sighting is the address that a connection was seen to come from, which was asked for at a moment.
type sighting struct {
	address netip.Addr
	at      time.Time
}

// run is the loop: a round each interval, whatever the others do, until there is a verdict or the slot is over and the
// successor may be left alone.
func (w *watch) run(ctx context.Context) detect.Verdict {
	if w.slot.Over(time.Now()) {
		return detect.Verdict{}
	}
	if !pause(ctx, time.Until(w.slot.Begin)) {
		return detect.Verdict{}
	}
	go w.ask(ctx)
	go w.look(ctx)
	next := time.Now()
	beat := time.NewTimer(0)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return detect.Verdict{}
		case <-beat.C:
			now := time.Now()
			if w.over(now) {
				return detect.Verdict{}
			}
			if w.due(now) {
				w.begin(ctx, now)
			}
			next = next.Add(time.Duration(w.config.Detection.Interval))
			if next.Before(now) { // the function was starved or frozen: no rush to make up for it
				next = now.Add(time.Duration(w.config.Detection.Interval))
			}
			beat.Reset(time.Until(next))
		case r := <-w.rounds:
			w.pending--
			v := w.detector.Observe(r, time.Now())
			w.first()
			if !w.doubt(ctx, v) && w.given(v) {
				return v
			}
		case a := <-w.seen:
			if v := w.detector.Identity(a.address, a.at); w.given(v) {
				return v
			}
		case h := <-w.health:
			w.hear(h)
		case t := <-w.witness:
			w.asking, w.claimed = false, t.claim
			w.hear(t.agent)
			now := time.Now()
			if v := w.detector.Judge(now); w.given(v) && (!w.doubtful(v) || now.Sub(w.failing) >= t.patience()) {
				return v
			}
		}
	}
}

// doubtful says that a verdict waits for what the agents say: a streak, and what is left of one that began with a claim.
func (w *watch) doubtful(v detect.Verdict) bool {
	return v.Cause == natzone.Streak || v.Cause == natzone.Partial && w.claimed
}

// doubt says whether a verdict waits for what the agents say: a streak is no verdict before they were asked. They are asked after the
// failures, and again after each further round, for as long as one says that it is ready or that the zone goes over.
func (w *watch) doubt(ctx context.Context, v detect.Verdict) bool {
	if !w.doubtful(v) {
		w.failing, w.claimed = time.Time{}, false
		return false
	}
	if w.failing.IsZero() {
		w.failing = v.Since
	}
	if w.config.Health == "" || !w.given(v) {
		return false
	}
	if !w.asking {
		w.asking = true
		go func() { send(ctx, w.witness, w.testify(ctx)) }()
	}
	return true
}

func (w *watch) hear(h *natzone.Health) {
	w.agent = h
	if h == nil || !h.Holds {
		return
	}
	w.holder = h
	if h.Own.IsValid() {
		own := w.at(h.Own)
		w.own.Store(&own)
	}
}

// at is where the agent with an address of its own answers.
func (w *watch) at(a netip.Addr) natzone.Target {
	u, err := url.Parse(w.config.Health)
	if err != nil {
		return "" // it was checked
	}
	u.Host = net.JoinHostPort(a.String(), u.Port())
	return natzone.Target(u.String())
}

// testify asks the agents. Where the zone's address is nowhere, the holder alone answers.
func (w *watch) testify(ctx context.Context) testimony {
	holder := make(chan *natzone.Health, 1)
	if own := w.own.Load(); own != nil {
		go func() { holder <- w.question(ctx, *own, Witness) }()
	} else {
		holder <- nil
	}
	agent, former := w.question(ctx, natzone.Target(w.config.Health), Witness), <-holder
	return testimony{agent, agent != nil && agent.Claim || former != nil && former.Claim}
}

// due says whether a round begins now.
func (w *watch) due(now time.Time) bool {
	return now.Before(w.last) && (now.Before(w.slot.End) || !w.detector.Clean(now))
}

// over says that the slot is handed over: nothing is under way and nothing hints at a failure.
func (w *watch) over(now time.Time) bool {
	return w.pending == 0 && !w.due(now)
}

// given says whether a verdict ends the run.
func (w *watch) given(v detect.Verdict) bool {
	return v.Cause != natzone.None && !time.Now().Before(w.slot.Quiet)
}

func (w *watch) begin(ctx context.Context, now time.Time) {
	w.pending++
	go func() {
		r := w.client.Round(ctx, now, w.config.Targets, time.Duration(w.config.Detection.Timeout))
		send(ctx, w.rounds, r)
	}()
}

// look asks from time to time for the address that the zone is seen with. It says nothing of a question without an answer:
// that is for the rounds to judge.
func (w *watch) look(ctx context.Context) {
	if len(w.config.Identity) == 0 {
		return
	}
	for turn := int(w.slot.Begin.Unix()); ; turn++ { // not always the same first
		wait := IdentityPeriod
		url := w.config.Identity[turn%len(w.config.Identity)]
		asked := time.Now()
		if a, ok := w.identity(ctx, natzone.Target(url)); ok {
			if !send(ctx, w.seen, sighting{a, asked}) {
				return
			}
			if !w.expected(a) {
				wait = Confirm
			}
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (w *watch) expected(a netip.Addr) bool {
	for _, e := range w.config.Egress {
		if e == a {
			return true
		}
	}
	return len(w.config.Egress) == 0
}

func (w *watch) identity(ctx context.Context, t natzone.Target) (netip.Addr, bool) {
	ctx, cancel := context.WithTimeout(ctx, aside)
	defer cancel()
	status, body, err := w.client.Get(ctx, t)
	if err != nil || status != http.StatusOK {
		return netip.Addr{}, false
	}
	return natzone.FindAddress(body)
}

// ask asks the agent for its health, over the network of the zone: not by the path that is probed.
func (w *watch) ask(ctx context.Context) {
	if w.config.Health == "" {
		return
	}
	for {
		if !send(ctx, w.health, w.question(ctx, natzone.Target(w.config.Health), aside)) || !pause(ctx, HealthPeriod) {
			return
		}
	}
}

func (w *watch) question(ctx context.Context, of natzone.Target, timeout time.Duration) *natzone.Health {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, body, err := w.client.Get(ctx, of)
	if err != nil {
		return nil
	}
	var h natzone.Health
	if json.Unmarshal(body, &h) != nil || h.Instance == "" {
		return nil
	}
	return &h
}

func (w *watch) report(tick natzone.Tick, v detect.Verdict) natzone.Report {
	c := w.detector.Count()
	tick.Until = w.slot.End // so that the controller can have the rest of the slot observed
	return natzone.Report{
		Version: natzone.Version, Zone: w.config.Zone, Tick: tick, End: time.Now().UTC(),
		Cause: v.Cause, Since: v.Since.UTC(), Failing: v.Failing,
		Rounds: c.Rounds, FailedRounds: c.FailedRounds, Attempts: c.Attempts, FailedAttempts: c.FailedAttempts, Classes: c.Classes,
		Egress: w.detector.Egress(), Agent: w.agent, Holder: w.holder,
	}
}

// first tells of the first round of a process at once: the alarm about silence is made a minute later.
func (w *watch) first() {
	if !w.fresh {
		return
	}
	w.fresh = false
	first := w.probes()
	w.told = w.detector.Count()
	w.emit(time.Now(), first...)
}

// probes are the metrics of what has not been told of yet.
func (w *watch) probes() []emf.Metric {
	c := w.detector.Count()
	return []emf.Metric{
		{Name: natzone.MetricProbes, Unit: emf.Count, Value: float64(c.Attempts - w.told.Attempts)},
		{Name: natzone.MetricFailedProbes, Unit: emf.Count, Value: float64(c.FailedAttempts - w.told.FailedAttempts)},
	}
}

func (w *watch) emit(at time.Time, metrics ...emf.Metric) {
	if err := emf.Write(w.out, w.config.MetricNamespace, w.config.Name, w.config.Zone, at, metrics...); err != nil {
		w.log.Error("metrics", "error", err)
	}
}

func (w *watch) publish(r natzone.Report) {
	metrics, d := w.probes(), w.detector
	if r.Egress.IsValid() {
		wrong := 0.0
		if d.Doubted() {
			wrong = 1
		}
		metrics = append(metrics, emf.Metric{Name: natzone.MetricEgressMismatch, Unit: emf.None, Value: wrong})
	}
	c := d.Count()
	other := 0
	for _, n := range c.Classes {
		other += n
	}
	if answered := c.Attempts - other; answered > 0 {
		mean := c.Latency / time.Duration(answered)
		metrics = append(metrics, emf.Metric{
			Name: natzone.MetricProbeLatency, Unit: emf.Milliseconds, Value: float64(mean.Microseconds()) / 1000,
		})
	}
	w.emit(r.End, metrics...)
}

// pause waits, and says whether it was let.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send delivers unless the run is over, and says whether it did.
func send[T any](ctx context.Context, to chan<- T, what T) bool {
	select {
	case to <- what:
		return true
	case <-ctx.Done():
		return false
	}
}
