package natd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"polynat/internal/nat64"
	"polynat/internal/natd/claim"
	"polynat/internal/natd/kernel"
	"polynat/internal/natd/metadata"
	"polynat/internal/natd/proof"
	"polynat/internal/natzone"
)

// Options of [Run].
type Options struct {
	Config *natzone.Agent
	// StateDir holds what a reboot must not forget.
	StateDir string
	// Interval between two comparisons of the kernel, Metadata between two looks at instance metadata, Proof between two proofs and
	// Look between two looks at the API. StartTimeout and Settle are claim.Config's.
	Interval, Metadata, Proof, Look, StartTimeout, Settle time.Duration
	Log                                                   *slog.Logger
}

// Defaults fills what is left out.
func (o Options) Defaults() Options {
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.Interval, time.Second}, {&o.Metadata, 2 * time.Second}, {&o.Proof, 5 * time.Second}, {&o.Look, 10 * time.Second}, {&o.StartTimeout, 5 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// call is how long an action may take in all; a single attempt of the SDK takes at most 2 s.
const call = 8 * time.Second

// What the agent needs of its surroundings, so that tests can stand for them.
type (
	converger interface {
		Converge(kernel.Config) (kernel.Report, error)
	}
	service interface {
		Identity(context.Context) (metadata.Identity, error)
		State(context.Context, metadata.Identity) (metadata.State, error)
		Forget()
	}
	// prover tries the path, through the zone's address or the primary one.
	prover func(ctx context.Context, throughZone bool) proof.Result
)

// agent is the observations and the loops that make them.
type agent struct {
	Options
	identity metadata.Identity
	zone     *zone
	service  service
	kernel   converger
	prove    prover
	outside  func() (string, error)
	machine  *claim.Machine
	now      func() time.Time

	// wake has the decision made anew, converging the kernel compared, proving the path proven.
	wake, converging, proving chan struct{}

	kernelLock sync.Mutex

	handover handover
	stalled  time.Duration // how long a successor may leave unread what it is told
	peers    peers

	mu         sync.Mutex
	metadata   metadata.State
	asked      bool // instance metadata has answered
	self       bool // what the instance itself sends gets the zone's address
	networks   []netip.Prefix
	forwarding string
	converged  time.Time
	path       string
	egress     bool
	identified time.Time // when an identity URL last answered
	seen       *claim.Zone
	moved      time.Time // when the address was
	told       bool      // instance metadata has shown it since
	unsure     bool      // whether seen still holds
	inherited  func()    // ends the listening to a predecessor
	telling    int       // how many successors are being told
	status     claim.Status
	kept       record
	said       map[string]string
}

func newAgent(o Options) *agent {
	a := &agent{
		Options: o, now: time.Now, said: map[string]string{}, stalled: 5 * time.Second,
		wake: make(chan struct{}, 1), converging: make(chan struct{}, 1), proving: make(chan struct{}, 1),
		forwarding: "the kernel has not been looked at yet", path: "the path has not been tried yet",
	}
	a.outside = func() (string, error) { return kernel.Outside(a.identity.MAC) }
	a.zone = &zone{config: o.Config, now: a.now, log: o.Log, inherit: a.inherit}
	return a
}

// say logs what is new of a topic: a trouble that lasts is one line, and its end another.
func (a *agent) say(topic, trouble string) {
	a.mu.Lock()
	before := a.said[topic]
	a.said[topic] = trouble
	a.mu.Unlock()
	switch trouble {
	case before:
	case "":
		a.Log.Info(topic + ": works again")
	default:
		a.Log.Warn(topic, "error", trouble)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// every calls f at once, then after each pause that it returns, or when poked.
func every(ctx context.Context, poked <-chan struct{}, f func(context.Context) time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poked:
		case <-timer.C:
		}
		timer.Reset(f(ctx))
	}
}

// clients are the networks whose traffic is translated: those of the VPC, and what the configuration adds.
func (a *agent) clients() []netip.Prefix { return slices.Concat(a.networks, a.Config.ClientCIDRs) }

// network is that of the proof.
func (a *agent) network() (netip.Prefix, error) {
	if len(a.networks) == 0 {
		return netip.Prefix{}, errors.New("instance metadata has not told the networks of the VPC yet")
	}
	return proof.Choose(slices.Concat(a.clients(), extraClients(a.Config.NAT64)))
}

// kernelConfig is how the kernel ought to be by what is known.
func (a *agent) kernelConfig() (kernel.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	network, err := a.network()
	if err != nil {
		return kernel.Config{}, err
	}
	outside, err := a.outside()
	if err != nil {
		return kernel.Config{}, err
	}
	c := kernel.Config{
		Outside: outside, Address: a.Config.Address, Primary: a.identity.Primary, Clients: a.clients(), Networks: a.networks,
		MidStream: kernel.Reset, HealthPort: uint16(a.Config.HealthPort), SSH: a.Config.SSH, IPv6: a.Config.NAT64,
		EstablishedTimeout: time.Duration(a.Config.Tuning.EstablishedTimeout), UDPTimeout: natzone.UDPTimeout, UDPStreamTimeout: natzone.UDPStreamTimeout,
		MaxConnections: a.Config.Tuning.MaxConnections,
	}
	_, _, c.Canary = proof.Addresses(network)
	c.Clients = slices.Concat(c.Clients, []netip.Prefix{network}, extraClients(a.Config.NAT64))
	if a.asked {
		held := a.has()
		c.Held, a.self = &held, held && !a.metadata.PrimaryPublic
	}
	c.Self = a.self
	return c, nil
}

// converge compares the kernel.
func (a *agent) converge(context.Context) time.Duration {
	a.kernelLock.Lock()
	defer a.kernelLock.Unlock()
	c, err := a.kernelConfig()
	var r kernel.Report
	if err == nil {
		r, err = a.kernel.Converge(c)
	}
	for _, what := range r.Changed {
		a.Log.Info("kernel: put right", "what", what)
	}
	a.say("kernel: tolerated", strings.Join(r.Tolerated, "; "))
	trouble := text(err)
	a.say("kernel", trouble)
	a.mu.Lock()
	changed := a.forwarding != trouble
	a.forwarding, a.converged = trouble, a.now()
	a.mu.Unlock()
	if changed || len(r.Changed) > 0 {
		poke(a.proving)
		poke(a.wake)
	}
	return a.Interval
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// kernelTrouble says why the kernel does not forward as it should. A comparison that hangs is a trouble too. mu is held.
func (a *agent) kernelTrouble() string {
	if since := a.now().Sub(a.converged); a.forwarding == "" && since > a.Interval+hung {
		return fmt.Sprintf("the kernel has not answered for %s", since.Round(time.Second))
	}
	return a.forwarding
}

// hung is how long a comparison of the kernel may take: a sweep of a full table of connections takes seconds.
const hung = 20 * time.Second

// ask asks instance metadata. What it said last stays true while it does not answer.
func (a *agent) ask(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, call)
	defer cancel()
	s, err := a.service.State(ctx, a.identity)
	a.say("instance metadata", text(err))
	if err != nil {
		a.ends(s)
		return jitter(2 * a.Metadata) // it may be throttled
	}
	a.mu.Lock()
	changed, had := !a.asked || !reflect.DeepEqual(s, a.metadata), a.has()
	a.metadata, a.asked, a.networks = s, true, s.Networks
	a.told = a.told || a.listed()
	a.unsure = a.unsure || had != a.has()
	a.mu.Unlock()
	if changed {
		a.Log.Info("instance metadata", "target", s.Target, "addresses", s.Addresses, "networks", s.Networks, "spot", s.Spot, "rebalance", s.Rebalance, "primaryPublic", s.PrimaryPublic)
		poke(a.converging)
		poke(a.wake)
	}
	return a.Metadata
}

// ends takes note of an end that was told, whatever else was not.
func (a *agent) ends(s metadata.State) {
	a.mu.Lock()
	before := a.metadata
	if s.Target != "" {
		a.metadata.Target = s.Target
	}
	if s.Spot != nil {
		a.metadata.Spot = s.Spot
	}
	a.metadata.Rebalance = a.metadata.Rebalance || s.Rebalance
	changed := !reflect.DeepEqual(before, a.metadata)
	a.mu.Unlock()
	if changed {
		a.Log.Info("instance metadata", "target", s.Target, "spot", s.Spot, "rebalance", s.Rebalance)
		poke(a.wake)
	}
}

// throughZone says that the path is to be proven through the zone's address: it is here.
func (a *agent) throughZone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen != nil && a.seen.Address == claim.Here && a.has()
}

// proves tries the path.
func (a *agent) proves(ctx context.Context) time.Duration {
	if a.tryPath(ctx) != nil {
		return min(a.Proof, time.Second)
	}
	return a.Proof
}

func (a *agent) tryPath(ctx context.Context) error {
	zone := a.throughZone()
	r := a.prove(ctx, zone)
	err := r.Works()
	seen := slices.Contains(r.Egress, a.Config.PublicAddress)
	if err == nil && zone && len(r.Egress) > 0 && !seen {
		err = fmt.Errorf("connections leave from %s instead of %s", r.Egress[0], a.Config.PublicAddress)
	}
	trouble := text(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.say("path", trouble)
	a.mu.Lock()
	if len(r.Egress) > 0 {
		a.identified = a.now()
	}
	unchecked := len(a.Config.Identity) == 0 || a.now().Sub(a.identified) > anonymous
	egress := zone && err == nil && (seen || unchecked || a.egress) // once proven, until the address leaves or the path fails
	changed := a.path != trouble || a.egress != egress
	a.path, a.egress = trouble, egress
	a.mu.Unlock()
	if changed {
		poke(a.wake)
	}
	switch {
	case seen:
		a.say("identity", "")
	case err != nil || !zone:
	case egress:
		a.say("identity", "no URL answers: which address connections leave from is not checked")
	default:
		return errors.New("no identity URL has answered through the zone's address")
	}
	return err
}

// anonymous is how long no identity URL may have answered, by whichever address, before the path is proven without: they belong to
// others, and their outage must not keep a zone without its instance. One that has just answered through the primary address is
// waited for, less long than a successor may take to complete its claim.
const anonymous = 10 * time.Second

// look asks the API.
func (a *agent) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, call/2)
	defer cancel()
	z, err := a.zone.look(ctx)
	a.say("API", text(err))
	if err != nil {
		return
	}
	a.mu.Lock()
	if a.now().Sub(a.moved) < arrival && z.Address != claim.Strange {
		z.Address = claim.Here // describes may lag behind
	}
	changed := a.seen == nil || a.seen.Address != z.Address
	a.seen = z
	if z.Address != claim.Here {
		a.egress = false
	}
	a.mu.Unlock()
	if changed {
		poke(a.proving)
	}
}

// doubts says, once, that the address has come or gone since the API was asked.
func (a *agent) doubts() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	unsure := a.unsure
	a.unsure = false
	return unsure
}

// observe puts together what is known.
func (a *agent) observe() claim.Observation {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := claim.Observation{
		Now: a.now(), Forwarding: a.kernelTrouble(), Path: a.path, Egress: a.egress, Zone: a.seen,
		Terminating: a.metadata.Target == "Terminated", Rebalance: a.metadata.Rebalance,
	}
	switch {
	case o.Terminating:
		o.Leaving = "Auto Scaling terminates the instance"
	case a.metadata.Spot != nil:
		o.Leaving = fmt.Sprintf("EC2 interrupts the Spot instance: %s at %s", a.metadata.Spot.Action, a.metadata.Spot.Time.Format(time.RFC3339))
	}
	return o
}

// decide asks the machine and does what it says, until there is nothing to do.
func (a *agent) decide(ctx context.Context, lookAt *time.Time) time.Duration {
	for ctx.Err() == nil {
		if !a.now().Before(*lookAt) || a.doubts() {
			a.look(ctx)
			*lookAt = a.now().Add(a.lookPause())
		}
		action, status := a.machine.Step(a.observe())
		a.publish(status)
		if action == claim.Nothing {
			break
		}
		err := a.act(ctx, action)
		a.machine.Done(action, err, a.now())
		switch {
		case errors.Is(err, claim.ErrNoHook):
			a.Log.Debug("no hook waits", "action", string(action), "error", err.Error())
		case err != nil:
			a.Log.Warn("action failed", "action", string(action), "error", err.Error())
		case action != claim.Heartbeat:
			a.Log.Info("action done", "action", string(action))
		}
		switch {
		case action == claim.Heartbeat, action == claim.ProveEgress:
		case err == nil && (action == claim.TurnCheckOff || action == claim.TakeAddress):
			a.done(ctx, action)
			*lookAt = a.now().Add(fresh) // not between the address and the routes
		default:
			*lookAt = a.now()
		}
	}
	a.keep()
	return min(a.Interval, 250*time.Millisecond)
}

// lookPause is shorter while something is to be done.
func (a *agent) lookPause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status.Holds && !a.status.Leaving {
		return a.Look
	}
	return jitter(min(a.Look, 2*time.Second))
}

func (a *agent) publish(s claim.Status) {
	a.mu.Lock()
	before := a.status
	a.status = s
	a.mu.Unlock()
	if before != s {
		a.Log.Info("status", "ready", s.Ready, "holds", s.Holds, "leaving", s.Leaving, "reason", s.Reason)
	}
}

// act does one action.
func (a *agent) act(ctx context.Context, action claim.Action) error {
	limit := call
	if action == claim.TakeAddress {
		limit += inheritWait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch action {
	case claim.Heartbeat:
		return a.zone.heartbeat(ctx)
	case claim.Abandon:
		return a.zone.answer(ctx, a.Config.LaunchHook, "ABANDON")
	case claim.TurnCheckOff:
		return a.zone.checkOff(ctx)
	case claim.TakeAddress:
		defer a.service.Forget()
		return a.zone.takeAddress(ctx)
	case claim.ProveEgress:
		return a.egressWorks(ctx)
	case claim.TakeRoutes:
		err := a.zone.takeRoutes(ctx)
		if err == nil {
			a.routesFollowed()
		}
		return err
	case claim.Continue:
		return a.zone.answer(ctx, a.Config.LaunchHook, "CONTINUE")
	case claim.HandOver:
		return a.zone.handOver(ctx)
	case claim.Depart:
		return a.zone.answer(ctx, a.Config.TerminateHook, "CONTINUE")
	}
	return fmt.Errorf("action %q: is unknown", action)
}

// egressWorks proves the path through the zone's address now. While it is handed over, no client has a path, and nobody says when
// the address works (instance metadata may tell seconds later): so attempts overlap, and the first that succeeds counts.
func (a *agent) egressWorks(ctx context.Context) error {
	if !a.throughZone() {
		return fmt.Errorf("address %s: is not here yet", a.Config.Address)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan error)
	attempt := func() {
		select {
		case outcomes <- a.tryPath(ctx):
		case <-ctx.Done():
		}
	}
	go attempt()
	next := time.NewTicker(attemptEvery)
	defer next.Stop()
	for failed := errors.New("no answer"); ; {
		select {
		case <-next.C:
			go attempt()
		case failed = <-outcomes:
			if failed == nil {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), failed)
		}
	}
}

// attemptEvery is the pause between the beginnings of attempts at a proof that is waited for.
const attemptEvery = 150 * time.Millisecond

// has says that the address is on the interface: instance metadata says so, or has not known it since it was moved here, shortly ago or
// with a proven way out. Packets are the earlier witness: what comes back to the address, comes back to who has it. mu is held.
func (a *agent) has() bool {
	return a.listed() || a.now().Sub(a.moved) < arrival || !a.told && a.egress
}

// listed says that instance metadata shows the address. mu is held.
func (a *agent) listed() bool { return slices.Contains(a.metadata.Addresses, a.Config.Address) }

// arrival is how long an address that was moved may take without a sign of it. AWS promises nothing.
const arrival = 15 * time.Second

// done notes what an action has changed, before the API shows it.
func (a *agent) done(ctx context.Context, action claim.Action) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := *a.seen
	switch action {
	case claim.TurnCheckOff:
		seen.CheckOff = true
	case claim.TakeAddress:
		seen.Address, a.moved, a.told = claim.Here, a.now(), false
		a.mu.Unlock()
		a.converge(ctx) // the next packets need it on the interface
		a.mu.Lock()
	default:
		return
	}
	a.seen = &seen
}

// health is what the endpoint answers: as of now, also while an action is under way.
func (a *agent) health() natzone.Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready := a.kernelTrouble() == "" && a.path == ""
	return natzone.Health{
		Instance: a.identity.Instance, Ready: ready, Holds: a.status.Holds, Since: a.status.Since, Claim: a.status.Claims || a.telling > 0,
		Own: a.identity.Primary, Leaving: a.status.Leaving, Reason: a.status.Reason,
	}
}

// allowed says who may ask.
func (a *agent) allowed(from netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.clients(), func(p netip.Prefix) bool { return p.Contains(from) })
}

// keep writes what has to be remembered, when it has changed.
func (a *agent) keep() {
	a.mu.Lock()
	r := record{Identity: a.identity, Networks: a.networks, Self: a.self, Claim: a.machine.State()}
	same := reflect.DeepEqual(r, a.kept)
	a.mu.Unlock()
	if same {
		return
	}
	err := r.keep(a.StateDir)
	a.say("state directory", text(err))
	if err == nil {
		a.mu.Lock()
		a.kept = r
		a.mu.Unlock()
	}
}

// jitter spreads a pause over half of it to one and a half, so that instances which were disturbed together do not call together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d+1)
}

// extraClients are what other translators put in the place of clients.
func extraClients(nat64On bool) []netip.Prefix {
	if nat64On {
		return []netip.Prefix{nat64.DefaultPool()}
	}
	return nil
}
