package claim

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// world is a zone of three tables with one agent in it, on a simulated clock. What the API says is as old as lag.
type world struct {
	t       testing.TB
	machine *Machine
	now     time.Time

	zone       Zone
	shown      []Zone // what the API said, by the second
	lag        int
	forwarding string
	broken     bool // no packet comes back
	egress     bool
	leaving    string
	ending     bool
	rebalance  bool
	waiting    bool // the launch hook waits
	down       bool // the API
	stubborn   map[Action]bool

	done []string
}

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func config() Config {
	return Config{Dwell: 10 * time.Minute, MaxDwell: 4 * time.Hour, Standby: true}
}

// newWorld is a zone as Pulumi declares it: all routes at the standby, an instance that waits for its agent.
func newWorld(t testing.TB) *world {
	return &world{
		t: t, machine: New(config(), State{}), now: begin, egress: true, waiting: true, stubborn: map[Action]bool{},
		zone: Zone{Address: Nowhere, Routes: []Holder{Standby, Standby, Standby}},
	}
}

// held is a world in which the agent holds the zone for long.
func held(t testing.TB) *world {
	w := newWorld(t)
	w.run(time.Minute)
	w.done = nil
	return w
}

// run lets time pass, one observation a second.
func (w *world) run(d time.Duration) Status {
	var s Status
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(time.Second) {
		s = w.step()
	}
	return s
}

func (w *world) step() Status {
	seen := w.zone
	seen.At, seen.Routes = w.now, slices.Clone(w.zone.Routes)
	if !w.down {
		w.shown = append(w.shown, seen)
	}
	for {
		action, status := w.machine.Step(w.observe())
		if action == Nothing {
			return status
		}
		err := w.act(action)
		w.machine.Done(action, err, w.now)
		if err == nil && action != Heartbeat {
			w.done = append(w.done, fmt.Sprintf("%s %s", w.now.Sub(begin), action))
			if !w.down {
				seen.CheckOff, seen.Address = w.zone.CheckOff, w.zone.Address
				w.shown[len(w.shown)-1] = seen
			}
		}
	}
}

func (w *world) observe() Observation {
	o := Observation{Now: w.now, Forwarding: w.forwarding, Leaving: w.leaving, Terminating: w.ending, Rebalance: w.rebalance}
	if w.broken {
		o.Path = "no answer"
	}
	if n := len(w.shown) - 1; n >= 0 {
		z := w.shown[n]
		z.Routes = w.shown[max(0, n-w.lag)].Routes
		o.Zone = &z
		o.Egress = z.Address == Here && w.egress && !w.broken
	}
	return o
}

func (w *world) act(a Action) error {
	if w.down || w.stubborn[a] {
		return errors.New("refused")
	}
	switch a {
	case TurnCheckOff:
		w.zone.CheckOff = true
	case TakeAddress:
		w.zone.Address = Here
	case ProveEgress:
		if !w.egress {
			return errors.New("another address")
		}
	case TakeRoutes:
		for i, h := range w.zone.Routes {
			if h != Foreign {
				w.zone.Routes[i] = Self
			}
		}
	case HandOver:
		w.point(Self, Standby)
	case Continue, Abandon, Heartbeat:
		if !w.waiting {
			return ErrNoHook
		}
		w.waiting = a == Heartbeat
	}
	return nil
}

func (w *world) point(from, to Holder) {
	for i, h := range w.zone.Routes {
		if h == from {
			w.zone.Routes[i] = to
		}
	}
}

func (w *world) want(what ...string) {
	w.t.Helper()
	if diff := cmp.Diff(what, w.done); diff != "" {
		w.t.Errorf("actions (-want +got):\n%s", diff)
	}
	w.done = nil
}

// failover is what the controller does.
func (w *world) failover() { w.point(Self, Standby) }

func TestAFreshInstanceClaimsStepByStep(t *testing.T) {
	w := newWorld(t)
	w.broken = true
	w.run(5 * time.Second)
	w.want()
	w.broken = false
	s := w.run(20 * time.Second)
	w.want("5s turn the source/destination check off", "5s take the zone's address", "5s take the routes", "5s complete the launch")
	if diff := cmp.Diff(Status{Ready: true, Holds: true, Since: begin.Add(5 * time.Second)}, s); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsClaimedBeforeItWorks(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"kernel not right":      func(w *world) { w.forwarding = "no rules" },
		"path not proven":       func(w *world) { w.broken = true },
		"another address":       func(w *world) { w.egress = false },
		"address not the zones": func(w *world) { w.zone.Address = Strange },
		"API down":              func(w *world) { w.down = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			s := w.run(4 * time.Minute)
			if w.zone.any(Self) || s.Holds || s.Reason == "" {
				t.Errorf("routes %v, status %+v", w.zone.Routes, s)
			}
		})
	}
}

func TestAStartWithoutSuccessIsAbandonedOnce(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"path never proven":     func(w *world) { w.broken = true },
		"address not the zones": func(w *world) { w.zone.Address = Strange },
		"routes refused":        func(w *world) { w.stubborn[TakeRoutes] = true },
		"egress wrong":          func(w *world) { w.egress = false },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			w.run(5 * time.Minute)
			w.done = nil
			w.run(time.Hour)
			w.want("5m1s abandon the launch")
		})
	}
}

func TestAnInstanceThatNobodyWaitsForGoesOnTrying(t *testing.T) {
	w := newWorld(t)
	w.broken, w.waiting = true, false // no launch hook
	w.run(10 * time.Minute)
	w.broken = false
	if s := w.run(5 * time.Second); !s.Holds {
		t.Errorf("status %+v", s)
	}
}

func TestALaunchHookThatWaitsOnlyLaterIsAnsweredNevertheless(t *testing.T) {
	w := newWorld(t)
	w.waiting = false
	w.run(30 * time.Second)
	w.waiting = true
	w.run(30 * time.Second)
	if w.waiting {
		t.Error("the launch hook still waits: it would run out, and the instance be terminated")
	}
}

func TestTheLaunchHookIsKeptWaiting(t *testing.T) {
	w := newWorld(t)
	w.broken = true
	beats := 0
	for range 60 {
		action, _ := w.machine.Step(w.observe())
		if action == Heartbeat {
			beats++
			w.machine.Done(action, nil, w.now)
		}
		w.now = w.now.Add(time.Second)
	}
	if beats != 4 {
		t.Errorf("%d heartbeats in a minute, want 4", beats)
	}
}

func TestASuccessorTakesOverFromItsPredecessor(t *testing.T) {
	w := newWorld(t)
	w.zone = Zone{Address: WithPeer, Routes: []Holder{Peer, Peer, Peer}}
	if s := w.run(20 * time.Second); !s.Holds {
		t.Errorf("status %+v", s)
	}
}

func TestThePredecessorLetsGoAndNeverClaimsBackFromItsSuccessor(t *testing.T) {
	w := held(t)
	w.zone.Address = WithPeer // the successor begins
	w.run(time.Second)
	w.point(Self, Peer)
	s := w.run(24 * time.Hour)
	w.want()
	if s.Holds || s.Reason != "another instance holds the routes" {
		t.Errorf("status %+v", s)
	}
}

// successor is a world in which the predecessor works and the own way out through the zone's address does not.
func successor(t testing.TB) *world {
	w := newWorld(t)
	w.egress = false
	w.zone = Zone{Address: WithPeer, Routes: []Holder{Peer, Peer, Peer}}
	return w
}

func TestASuccessorThatCannotUseTheAddressIsAbandoned(t *testing.T) {
	w := successor(t)
	w.run(time.Minute)
	w.want("0s "+string(TurnCheckOff), "0s "+string(TakeAddress), "16s "+string(Abandon))
	w.zone.Address = WithPeer // the predecessor has taken it back
	w.run(time.Hour)
	w.want()
}

func TestASuccessorSaysThatItClaimsUntilItHoldsOrGivesUp(t *testing.T) {
	w := successor(t)
	if s := w.run(10 * time.Second); !s.Claims || s.Holds {
		t.Errorf("without the routes: %+v", s)
	}
	w.egress = true
	if s := w.run(time.Second); s.Claims {
		t.Errorf("with the routes: %+v", s)
	}
	w = successor(t)
	if s := w.run(time.Minute); s.Claims {
		t.Errorf("given up: %+v", s)
	}
	w = successor(t)
	w.zone.Routes = []Holder{Standby, Standby, Standby}
	if s := w.run(10 * time.Second); s.Claims {
		t.Errorf("from the standby: %+v", s)
	}
}

func TestAClaimThatHurtsNobodyMayTakeItsTime(t *testing.T) {
	w := successor(t)
	w.zone.Routes = []Holder{Standby, Standby, Standby}
	w.run(time.Minute)
	w.egress = true
	if s := w.run(10 * time.Second); !s.Holds {
		t.Errorf("status %+v", s)
	}
}

func TestAnInstanceThatNobodyWaitsForLeavesTheZoneToThePredecessorThatWorks(t *testing.T) {
	w := successor(t)
	w.waiting = false
	w.run(time.Minute)
	w.want("0s "+string(TurnCheckOff), "0s "+string(TakeAddress)) // and it is abandoned in vain
	w.zone.Address = WithPeer
	w.egress = true
	if s := w.run(time.Hour); s.Reason != "another instance holds the routes" {
		t.Errorf("status %+v", s)
	}
	w.want()
	w.zone.Routes = []Holder{Standby, Standby, Standby}
	w.run(time.Second)
	w.want("1h1m0s "+string(TakeAddress), "1h1m0s "+string(TakeRoutes))
}

func TestARestartDoesNotBeginTheClaimTimeoutAnew(t *testing.T) {
	w := successor(t)
	w.run(10 * time.Second)
	w.machine = New(config(), w.machine.State())
	w.done = nil
	w.run(time.Minute)
	w.want("16s " + string(Abandon))
}

func TestThePredecessorTakesItsAddressBackFromASuccessorThatLeavesTheRoutes(t *testing.T) {
	w := held(t)
	w.zone.Address = WithPeer
	w.broken = true // without the address, it cannot prove anything
	w.run(20 * time.Second)
	w.want()
	w.run(2 * time.Second)
	w.want("1m21s " + string(TakeAddress))
	w.broken = false
	if s := w.run(time.Minute); !s.Holds {
		t.Errorf("status %+v", s)
	}
	w.want()
}

func TestThePredecessorTakesBackAnAddressThatHasGoneWithItsThiefAtOnce(t *testing.T) {
	w := held(t)
	w.zone.Address = WithPeer
	w.broken = true
	w.run(5 * time.Second)
	w.zone.Address = Nowhere
	w.run(2 * time.Second)
	w.want("1m5s " + string(TakeAddress))
}

func TestAClaimWhoseRoutesCannotAllBeMovedGoesOn(t *testing.T) {
	w := newWorld(t)
	w.zone = Zone{Address: Here, CheckOff: true, Routes: []Holder{Peer, Peer, Peer}}
	w.machine = New(config(), State{Attempt: begin})
	w.stubborn[TakeRoutes] = true
	w.run(time.Second)
	w.zone.Routes = []Holder{Self, Peer, Self} // one of them could not be moved
	w.run(time.Minute)
	w.want()
	w.stubborn[TakeRoutes] = false
	if s := w.run(10 * time.Second); !s.Holds {
		t.Errorf("status %+v", s)
	}
}

func TestThePredecessorTakesNoAddressOnAnOldAnswer(t *testing.T) {
	w := held(t)
	w.zone.Address = WithPeer
	w.run(15 * time.Second)
	w.down = true
	w.run(time.Minute)
	w.point(Self, Peer) // meanwhile the successor has completed its claim
	w.down = false
	w.run(time.Hour)
	w.want()
}

// A pair of agents in one zone: whatever time the successor's address takes to work, and whether it ever does, clients are without
// a way out for no longer than the predecessor waits.
func TestAPredecessorAndItsSuccessorNeverLeaveTheZoneForLong(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		works := rapid.IntRange(0, 40).Draw(r, "seconds until the successor's way out works")
		never := rapid.Bool().Draw(r, "never works")
		hook := rapid.Bool().Draw(r, "a launch hook waits")
		leaves := rapid.IntRange(1, 60).Draw(r, "seconds until one that is abandoned is gone, and its interface with it")
		old, young := held(t), newWorld(t)
		young.now, young.waiting, young.egress = old.now, hook, false
		young.zone = Zone{Address: WithPeer, Routes: []Holder{Peer, Peer, Peer}}
		without, longest := 0, 0
		for i := range 1800 {
			young.egress = !never && i >= works
			before := young.zone
			if young.machine.State().Abandoned {
				leaves--
			}
			switch {
			case leaves > 0:
				young.run(time.Second)
				other(&old.zone, young.zone, before)
			case leaves == 0 && old.zone.Address == WithPeer:
				old.zone.Address = Nowhere
			}
			before = old.zone
			old.broken = old.zone.Address != Here // it cannot prove its path without
			old.run(time.Second)
			other(&young.zone, old.zone, before)
			if without++; old.zone.Address == Here && old.zone.any(Self) || leaves > 0 && young.zone.Address == Here && young.zone.any(Self) && young.egress {
				without = 0
			}
			longest = max(longest, without)
		}
		if limit := 25; longest > limit {
			r.Errorf("without a way out for %d s, want at most %d", longest, limit)
		}
	})
}

// other has one agent see what the other one did.
func other(seen *Zone, did, before Zone) {
	if did.Address == Here && before.Address != Here {
		seen.Address = WithPeer
	}
	for i, h := range did.Routes {
		if h == Self && before.Routes[i] != Self {
			seen.Routes[i] = Peer
		}
	}
}

func TestAFailoverIsFollowedByTheDwell(t *testing.T) {
	w := held(t)
	w.failover()
	w.run(10 * time.Minute)
	w.want()
	w.run(time.Minute)
	w.want("11m0s take the routes")
}

func TestTheDwellDoublesAndADayForgets(t *testing.T) {
	w := held(t)
	var waited []time.Duration
	for range 7 {
		w.failover()
		lost := w.now
		w.run(5 * time.Hour)
		if len(w.done) != 1 {
			t.Fatalf("actions %q", w.done)
		}
		var at time.Duration
		at, err := time.ParseDuration(w.done[0][:slices.Index([]byte(w.done[0]), ' ')])
		if err != nil {
			t.Fatal(err)
		}
		waited = append(waited, begin.Add(at).Sub(lost).Round(time.Minute))
		w.done = nil
	}
	m := time.Minute
	// The fifth and later ones fall out of the day by and by.
	if diff := cmp.Diff([]time.Duration{10 * m, 20 * m, 40 * m, 80 * m, 160 * m, 160 * m, 160 * m}, waited); diff != "" {
		t.Error(diff)
	}
}

func TestTheDwellHasALimit(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{4 * time.Hour: 4 * time.Hour, 0: 640 * time.Minute} {
		c := config()
		c.MaxDwell = limit
		m := New(c, State{Failovers: make([]time.Time, 7)})
		if got := m.dwell(); got != want {
			t.Errorf("limit %s: dwell %s, want %s", limit, got, want)
		}
	}
}

func TestABreakOfTheProofBeginsTheDwellAnew(t *testing.T) {
	w := held(t)
	w.failover()
	w.run(9 * time.Minute)
	w.broken = true
	w.run(time.Second)
	w.broken = false
	w.run(10 * time.Minute)
	w.want()
	w.run(time.Minute)
	w.want("20m1s take the routes")
}

func TestAFlappingInstanceMovesTheRoutesAtMostTwiceInTenMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(nil)
		var moves []time.Time
		for range rapid.IntRange(1, 8).Draw(t, "flaps") {
			w.broken = false
			before := slices.Clone(w.zone.Routes)
			w.run(time.Duration(rapid.IntRange(1, 1500).Draw(t, "works for")) * time.Second)
			if !slices.Equal(before, w.zone.Routes) {
				moves = append(moves, w.now)
			}
			w.broken = true
			if w.zone.any(Self) {
				moves = append(moves, w.now)
				w.failover()
			}
			w.run(time.Duration(rapid.IntRange(1, 600).Draw(t, "fails for")) * time.Second)
		}
		for i := 3; i < len(moves); i++ { // the first claim is not a flap
			if moves[i].Sub(moves[i-2]) < 10*time.Minute {
				t.Fatalf("moves %v", moves)
			}
		}
	})
}

func TestRoutesThatTheAPIStillShowsAsTheyWereAreNoFailover(t *testing.T) {
	w := newWorld(t)
	w.lag = 5
	w.run(time.Hour)
	w.want("0s turn the source/destination check off", "0s take the zone's address", "0s take the routes", "0s complete the launch")
	if f := w.machine.State().Failovers; len(f) > 0 {
		t.Errorf("failovers %v", f)
	}
}

func TestAMissingRouteAndABlackHoleAreRepairedAtOnce(t *testing.T) {
	w := held(t)
	w.zone.Routes[1] = Vacant
	w.run(time.Second)
	w.want("1m0s take the routes")
}

func TestWhatAPersonSetIsLeftAlone(t *testing.T) {
	w := held(t)
	w.zone.Routes[1] = Foreign
	if s := w.run(time.Hour); !s.Holds {
		t.Errorf("status %+v", s)
	}
	w.point(Self, Foreign)
	w.run(time.Hour)
	w.want()
}

func TestTheSourceDestinationCheckIsTurnedOffAgain(t *testing.T) {
	w := held(t)
	w.zone.CheckOff = false
	w.run(time.Second)
	w.want("1m0s turn the source/destination check off")
}

func TestAnElasticIPThatWasTakenAwayIsBoundAgain(t *testing.T) {
	w := held(t)
	w.zone.Address = Unbound
	w.run(time.Second)
	w.want("1m0s take the zone's address")
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	w := held(t)
	w.machine = New(config(), w.machine.State())
	if s := w.run(time.Minute); !s.Holds {
		t.Errorf("status %+v", s)
	}
	w.want()

	w.failover() // while the instance reboots
	w.machine = New(config(), w.machine.State())
	w.run(9 * time.Minute)
	w.want()
}

func TestATerminatingInstanceHandsOverToTheStandby(t *testing.T) {
	w := held(t)
	w.leaving, w.ending = "terminated", true
	s := w.run(time.Minute)
	w.want("1m0s point the routes at the standby", "1m1s complete the termination")
	if !s.Leaving || !w.zone.any(Standby) {
		t.Errorf("status %+v, routes %v", s, w.zone.Routes)
	}
}

func TestWhatASuccessorHasIsNotTouched(t *testing.T) {
	w := held(t)
	w.zone.Address = WithPeer
	w.point(Self, Peer)
	w.leaving, w.ending = "terminated", true
	w.run(time.Minute)
	w.want("1m0s complete the termination")
	if slices.Contains(w.zone.Routes, Standby) {
		t.Errorf("routes %v", w.zone.Routes)
	}
}

func TestWithoutAStandbyItForwardsToTheEnd(t *testing.T) {
	w := held(t)
	c := config()
	c.Standby = false
	w.machine = New(c, w.machine.State())
	w.leaving, w.ending = "terminated", true
	s := w.run(time.Minute)
	w.want()
	if !w.zone.any(Self) || !s.Ready {
		t.Errorf("status %+v, routes %v", s, w.zone.Routes)
	}
}

func TestASpotNoticeIsNoTerminationHook(t *testing.T) {
	w := held(t)
	w.leaving = "spot"
	w.run(2 * time.Minute)
	w.want("1m0s point the routes at the standby")
}

func TestAnInstanceThatMayBeTakenAwayKeepsWhatItHasAndClaimsNothingBack(t *testing.T) {
	w := held(t)
	w.rebalance = true
	if s := w.run(time.Hour); !s.Holds {
		t.Errorf("status %+v", s)
	}
	w.failover()
	w.run(24 * time.Hour)
	w.want()
}

func TestAnOutageOfTheAPIChangesNothingAndALeavingInstanceWaitsForItsEnd(t *testing.T) {
	w := held(t)
	w.down = true
	if s := w.run(time.Hour); !s.Holds {
		t.Errorf("status %+v", s)
	}
	w.leaving = "spot"
	w.run(time.Minute)
	w.want()
	w.down = false
	back := w.now
	for w.zone.any(Self) && w.now.Before(back.Add(time.Hour)) {
		w.run(time.Second)
	}
	if took := w.now.Sub(back); took > 3*time.Second {
		t.Errorf("handed over %s after the API was back", took)
	}
}

func TestAnActionThatFailsIsRepeatedWithGrowingPauses(t *testing.T) {
	w := held(t)
	w.stubborn[HandOver] = true
	w.leaving = "spot"
	var at []time.Duration
	for range 5000 {
		action, _ := w.machine.Step(w.observe())
		if action == HandOver {
			at = append(at, w.now.Sub(begin)-time.Minute)
			w.machine.Done(action, errors.New("throttled"), w.now)
		}
		w.now = w.now.Add(time.Millisecond)
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]time.Duration{0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms}, at); diff != "" {
		t.Error(diff)
	}
}
