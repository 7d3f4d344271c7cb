package drill

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"polynat/internal/lab"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/aws/api"
)

// How soon new connections are back after a failure that the probes see, and by how many calls for three tables.
const (
	backWithin = 1.5 // seconds, median
	apiBackIn  = 3.0 // seconds after the API's return, in every run
	maxCalls   = 8
	// A second verdict on the same failure finds that the routes have moved.
	maxSecondCalls = 3
)

// Partial loss is decided on by a share of the attempts: twice the share within a quarter of ten seconds, or the share within
// all of them; the verdict, the move and the connections that are under way come on top. By which of the two it is, is
// chance: at 30 % of packets one run in two takes less than four seconds, and one series of ten in a thousand has a median
// above the bound.
const (
	shareMedian = 7.5             // seconds, median of ten runs or more
	shareMax    = 10 + backWithin // seconds, in every run
	shareRuns   = 10
)

// usual is the share of a second's new connections that may be lost without a failure: one of the 16 of a subnet.
const usual = 0.1

func back(within float64) bound {
	return bound{fmt.Sprintf("new connections are back within %.1f s, median", within), true, func(r Result) bool { return r.OutageSeconds.Median <= within }}
}

func backAlways(within float64) bound {
	return bound{fmt.Sprintf("new connections are back within %.1f s", within), true, func(r Result) bool { return r.OutageSeconds.Max <= within }}
}

func share() bound {
	text := fmt.Sprintf("partial loss is decided on and over within %.1f s, median, and %.1f s at most", shareMedian, shareMax)
	return bound{text, true, func(r Result) bool {
		return max(r.DecideSeconds.Max, r.impaired.Max) <= shareMax &&
			(r.Runs < shareRuns || max(r.DecideSeconds.Median, r.impaired.Median) <= shareMedian)
	}}
}

func calls() bound {
	return bound{fmt.Sprintf("at most %d API calls, and %d of a second verdict", maxCalls, maxSecondCalls), false, func(r Result) bool {
		return r.APICalls <= maxCalls && r.secondCalls <= maxSecondCalls
	}}
}

func moved(exactly int) bound {
	return bound{fmt.Sprintf("%d transitions", exactly), false, func(r Result) bool { return r.Transitions == exactly }}
}

func movedAtMost(n int) bound {
	return bound{fmt.Sprintf("at most %d transitions", n), false, func(r Result) bool { return r.Transitions <= n }}
}

func noneLost() bound {
	return bound{"no new connection lost", false, func(r Result) bool { return r.LostConnections == 0 }}
}

func noneCut() bound {
	return bound{"no established connection cut", false, func(r Result) bool { return r.CutConnections == 0 }}
}

// drills in the order in which they are played.
func drills() []drill {
	var ds []drill
	grey := "the agent is frozen at the moment of the fault: it would mend it"
	for _, f := range []struct {
		name  string
		fault lab.Fault
		note  string
	}{
		{"silent death", lab.Dead, ""},
		{"forwarding off", lab.ForwardingOff, grey},
		{"NAT rule lost", lab.RulesLost, grey},
		{"SYN passes but data does not", lab.DataDropped, grey},
		{"reset on data", lab.DataReset, grey},
		{"slow drip", lab.Drip, grey},
	} {
		d := drill{name: f.name, runs: 10, play: failure(f.fault, true), bounds: []bound{back(backWithin), calls(), moved(1)}}
		if f.note != "" {
			d.notes = []string{f.note}
		}
		ds = append(ds, d)
	}
	return append(ds,
		drill{name: "partial loss", runs: 10, play: failure(lab.Loss30, true), impaired: true, bounds: []bound{back(backWithin), share(), calls(), moved(1)},
			notes: []string{grey + "; 30 % of packets are lost each way, so that some connections are answered at any time: that it is over is bounded " +
				"beside, by the rule that decides, which is the share of failed attempts in ten seconds: " +
				fmt.Sprintf("%.1f s in the median of ten runs, %.1f s at most", shareMedian, shareMax)}},
		drill{name: "forwarding off with agent", runs: 3, play: failure(lab.ForwardingOff, false), bounds: []bound{back(backWithin), movedAtMost(1)}},
		drill{name: "NAT rule lost with agent", runs: 3, play: failure(lab.RulesLost, false), bounds: []bound{back(backWithin), movedAtMost(1), noneCut()}},
		drill{name: "network service finds the address", runs: 10, play: addressFound, asks: true, bounds: []bound{moved(0), noneLost(), noneCut()},
			notes: []string{"systemd-networkd configures the interface anew, as a minute after every claim; then once more for another address, when the " +
				"DHCP server loses the first request"}},
		drill{name: "one lost round", runs: 3, play: oneRound, bounds: []bound{moved(0)},
			notes: []string{"nothing is forwarded for 0.2 s"}},
		drill{name: "silent for 0.9 s", runs: 12, play: silent, bounds: []bound{moved(0), noneCut()},
			notes: []string{"nothing is forwarded for 0.9 s, and the agent says that it is ready, as when a network card is reset or a host is migrated"}},
		drill{name: "DNS down", runs: 1, play: namesDown, bounds: []bound{moved(0), noneLost(), noneCut()}},
		drill{name: "targets down", runs: 1, play: targetsDown, bounds: []bound{moved(0), noneLost(), noneCut()},
			notes: []string{"clients use servers that are not among the targets; people have to be told"}},
		drill{name: "packet loss 5 %", runs: 1, play: someLoss, bounds: []bound{moved(0)},
			notes: []string{"one minute of packets; an hour of simulated time is in the tests of internal/failover"}},
		drill{name: "500 instances end", runs: 3, play: strangersEnd, bounds: []bound{back(backWithin), calls(), moved(1)},
			notes: []string{"500 instances of others in the region end at the moment at which ours dies silently; a queue of Lambda is read more slowly the longer it is"}},
		drill{name: "API down", runs: 1, play: apiDown, bounds: []bound{moved(0), noneLost(), noneCut()}},
		drill{name: "API down while dead", runs: 3, play: apiDownWhileDead, bounds: []bound{backAlways(apiBackIn), moved(1)},
			notes: []string{"measured from the API's return, 10 s after the death"}},
		drill{name: "API throttled", runs: 3, play: apiThrottled, bounds: []bound{backAlways(apiBackIn), moved(1)},
			notes: []string{"every other call is refused with RequestLimitExceeded"}},
		drill{name: "standby broken", runs: 1, play: standbyBroken, bounds: []bound{moved(0), noneLost(), noneCut()},
			notes: []string{"the gateway is called available all the time, which is all that is looked up of a standby: that it forwards nothing is known, and people are told, only " +
				"once it is used, as when both are broken"}},
		drill{name: "both broken", runs: 1, play: bothBroken, bounds: []bound{back(backWithin), moved(1)},
			notes: []string{"people have to be told that the standby does not work; measured from its repair"}},
		drill{name: "claim back", runs: 3, play: claimBack, pace: pace{dwell: 5 * time.Second}, bounds: []bound{noneLost(), moved(1)},
			notes: []string{"counted from the instance's repair on; it claims back after 5 s instead of 10 min; established connections end, for the " +
				"gateway's address was another, and what it tracked stays with it"}},
		drill{name: "claim back fails", runs: 1, play: claimBackFails, pace: pace{dwell: 2 * time.Second}, bounds: []bound{moved(0), noneLost(), noneCut()},
			notes: []string{"the instance tries for 10 s to prove its path, in which data is dropped; it would claim back after 2 s instead of 10 min"}},
		drill{name: "sick instance replaced", runs: 1, play: replaced, pace: pace{healing: 5 * time.Second}, bounds: []bound{back(backWithin), moved(2)},
			notes: []string{"the instance is marked unhealthy with the first report after 5 s on the standby instead of 5 min"}},
		drill{name: "planned rotation", runs: 3, play: rotation, bounds: []bound{back(backWithin), moved(1), noneCut()},
			notes: []string{"a moved address arrives at once; how long that takes is not known, so the next drills have it take longer"}},
		late(lag{500 * time.Millisecond, false}, 1),
		late(lag{time.Second, false}, 1),
		late(lag{3 * time.Second, false}, 3),
		late(lag{8 * time.Second, false}, 1),
		late(lag{20 * time.Second, false}, 1),
		late(lag{3 * time.Second, true}, 1),
		late(lag{8 * time.Second, true}, 1),
		late(lag{20 * time.Second, true}, 1),
		drill{name: "Spot notice", runs: 3, play: spotNotice, bounds: []bound{noneLost(), movedAtMost(2)}},
		drill{name: "reboot", runs: 3, play: reboot, pace: pace{dwell: 5 * time.Second}, bounds: []bound{back(backWithin), movedAtMost(2)},
			notes: []string{"the machine is away for 5 s, and claims back after 5 s instead of 10 min"}},
		drill{name: "flapping instance", runs: 1, play: flapping, pace: pace{dwell: 10 * time.Second}, window: 10 * time.Second, bounds: []bound{movedAtMost(2)},
			notes: []string{"an hour in a minute: the instance claims back after 10 s instead of 10 min, and dies for 3 s whenever it holds the " +
				"routes; transitions are the most in any 10 s"}},
		drill{name: "two zones at once", runs: 3, zones: 2, play: twoZones, bounds: []bound{back(backWithin), moved(2)}},
	)
}

// recovery is how long a drill waits for what has to come.
const recovery = 20 * time.Second

// failure breaks the instance and waits until its zone is on the standby; or, where the agent may mend it, until the
// zone works.
func failure(f lab.Fault, frozen bool) func(*stage) error {
	return func(s *stage) error {
		z := s.zones[0]
		_, node := s.instance(z)
		if frozen {
			if err := node.Freeze(); err != nil {
				return err
			}
		}
		s.mark()
		if err := node.Break(f); err != nil {
			return err
		}
		if !frozen {
			if f == lab.ForwardingOff || f == lab.RulesLost {
				return s.until("zone works again", recovery, func() bool { return s.works(z) })
			}
		}
		return s.until("zone is on the standby", recovery, func() bool { return s.mirror.holder(z.tables) == z.standby })
	}
}

// works says that a new connection is answered in every subnet.
func (s *stage) works(z *zone) bool {
	return !slices.ContainsFunc(z.tables, func(table string) bool { return s.lab.Try(table) != nil })
}

// addressFound has the network service find the zone's address, and then another one of the instance.
func addressFound(s *stage) error {
	id, node := s.instance(s.zones[0])
	s.mark()
	if err := s.found(node); err != nil {
		return err
	}
	other := aws.AssignPrivateIPAddressesInput{NetworkInterfaceID: s.mirror.instance(id), SecondaryPrivateIPAddressCount: 1}
	if _, err := s.cloud.AssignPrivateIPAddresses(other); err != nil {
		return err
	}
	node.LoseLeases(1)
	if err := s.found(node); err != nil {
		return err
	}
	if !node.Connected() {
		return errors.New("the instance is off the network")
	}
	return nil
}

// found waits until the network service has found an address.
func (s *stage) found(node *lab.Node) error {
	var failed error
	err := s.until("the network service has found an address", recovery, func() bool {
		changed, err := node.Refresh(s.ctx)
		failed = err
		return changed || err != nil
	})
	return errors.Join(err, failed)
}

func oneRound(s *stage) error {
	_, node := s.instance(s.zones[0])
	if err := node.Freeze(); err != nil {
		return err
	}
	defer node.Thaw()
	return s.pause(node, lab.ForwardingOff, 200*time.Millisecond)
}

func silent(s *stage) error {
	_, node := s.instance(s.zones[0])
	return s.pause(node, lab.Silent, 900*time.Millisecond)
}

// pause breaks an instance for a while.
func (s *stage) pause(node *lab.Node, f lab.Fault, d time.Duration) error {
	if err := node.Break(f); err != nil {
		return err
	}
	if err := s.wait(d); err != nil {
		return err
	}
	if err := node.Mend(f); err != nil {
		return err
	}
	return s.wait(3 * time.Second)
}

func strangersEnd(s *stage) error {
	_, node := s.instance(s.zones[0])
	if err := node.Freeze(); err != nil {
		return err
	}
	s.mark()
	if err := node.Break(lab.Dead); err != nil {
		return err
	}
	if err := s.cloud.EndStrangers(500); err != nil {
		return err
	}
	return s.until("zone is on the standby", 2*time.Minute, func() bool { return s.mirror.holder(s.zones[0].tables) == s.zones[0].standby })
}

func namesDown(s *stage) error {
	s.lab.Names.Silence(true)
	defer s.lab.Names.Silence(false)
	return s.wait(15 * time.Second)
}

func targetsDown(s *stage) error {
	if err := s.lab.Internet.Silence(server(0), server(1), server(2)); err != nil {
		return err
	}
	if err := s.wait(15 * time.Second); err != nil {
		return err
	}
	if !s.alerted("probe targets do not answer") {
		return errors.New("nobody was told that the targets do not answer")
	}
	return s.lab.Internet.Silence()
}

func someLoss(s *stage) error {
	_, node := s.instance(s.zones[0])
	if err := node.Break(lab.Loss5); err != nil {
		return err
	}
	if err := s.wait(time.Minute); err != nil {
		return err
	}
	return node.Mend(lab.Loss5)
}

// down refuses every call as an API does that is not there.
func down(api.Call) api.Fault { return api.Fault{Drop: true} }

func apiDown(s *stage) error {
	s.failing(down)
	defer s.failing(nil)
	return s.wait(15 * time.Second)
}

func apiDownWhileDead(s *stage) error {
	z := s.zones[0]
	s.failing(down)
	_, node := s.instance(z)
	if err := node.Break(lab.Dead); err != nil {
		return err
	}
	if err := s.wait(10 * time.Second); err != nil {
		return err
	}
	s.failing(nil)
	s.mark()
	return s.until("zone is on the standby", recovery, func() bool { return s.mirror.holder(z.tables) == z.standby })
}

func apiThrottled(s *stage) error {
	served := 0 // under the world's lock
	s.failing(func(api.Call) api.Fault {
		if served++; served%2 == 0 {
			return api.Fault{Error: api.Throttled()}
		}
		return api.Fault{}
	})
	defer s.failing(nil)
	return failure(lab.Dead, true)(s)
}

func standbyBroken(s *stage) error {
	node := s.mirror.node(s.zones[0].standby)
	if err := node.Break(lab.ForwardingOff); err != nil {
		return err
	}
	return s.wait(10 * time.Second)
}

func bothBroken(s *stage) error {
	z := s.zones[0]
	standby := s.mirror.node(z.standby)
	_, node := s.instance(z)
	if err := standby.Break(lab.ForwardingOff); err != nil {
		return err
	}
	if err := node.Break(lab.Dead); err != nil {
		return err
	}
	if err := s.until("people are told that the standby does not work", recovery, func() bool { return s.alerted("standby does not work") }); err != nil {
		return err
	}
	if err := standby.Mend(lab.ForwardingOff); err != nil {
		return err
	}
	s.mark()
	return s.until("zone works again", recovery, func() bool { return s.works(z) })
}

func claimBack(s *stage) error {
	z := s.zones[0]
	id, node := s.instance(z)
	if err := failure(lab.Dead, true)(s); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	s.mark()
	if err := node.Mend(lab.Dead); err != nil {
		return err
	}
	return s.until("the instance has claimed back", 2*time.Minute, func() bool {
		now, _ := s.instance(z)
		return now == id
	})
}

func claimBackFails(s *stage) error {
	z := s.zones[0]
	_, node := s.instance(z)
	if err := node.Break(lab.DataDropped); err != nil {
		return err
	}
	if err := s.until("zone is on the standby", recovery, func() bool { return s.mirror.holder(z.tables) == z.standby }); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	s.mark()
	return s.wait(10 * time.Second)
}

func replaced(s *stage) error {
	z := s.zones[0]
	id, _ := s.instance(z)
	if err := failure(lab.Dead, true)(s); err != nil {
		return err
	}
	return s.until("a new instance holds the zone", 3*time.Minute, func() bool {
		now, _ := s.instance(z)
		return now != "" && now != id
	})
}

func rotation(s *stage) error {
	z := s.zones[0]
	old, _ := s.instance(z)
	refresh := aws.StartInstanceRefreshInput{AutoScalingGroupName: z.agent.Group, MinHealthyPercentage: -1, MaxHealthyPercentage: -1}
	if _, err := s.cloud.StartInstanceRefresh(refresh); err != nil {
		return err
	}
	return s.until("a successor holds the zone and the old instance is gone", 2*time.Minute, func() bool {
		now, _ := s.instance(z)
		if now == "" || now == old {
			return false
		}
		for _, i := range s.cloud.Instances() {
			if i.InstanceID == old && i.State != aws.StateTerminated {
				return false
			}
		}
		return true
	})
}

// late is a rotation in which the zone's address arrives late at the successor. No longer than claims are waited for, it costs new
// connections alone, and those only while the address is nowhere. Else the zone goes to the standby, and to the successor later.
func late(l lag, runs int) drill {
	const longest = 5 * time.Second // of a prober's patience with a claim
	meanwhile, without := "is nowhere", min(l.Duration, longest).Seconds()+1
	if l.stays {
		meanwhile, without = "stays", backWithin
	}
	d := drill{name: fmt.Sprintf("address %s for %g s", meanwhile, l.Seconds()), runs: runs, play: lateRotation, lag: l}
	d.bounds = []bound{backAlways(without), lost(without)}
	given := !l.stays && l.Duration > longest || l.Duration > claimTimeout
	if given {
		d.bounds = append(d.bounds, movedAtMost(2))
	} else {
		d.bounds = append(d.bounds, noneCut(), moved(1))
	}
	return d
}

// claimTimeout is how long a successor tries to use the zone's address (internal/natd/claim).
const claimTimeout = 15 * time.Second

// lost bounds the new connections of a run by the seconds in which all are lost.
func lost(seconds float64) bound {
	n := int(rate * seconds)
	return bound{fmt.Sprintf("at most %d new connections lost in a run", n), true, func(r Result) bool { return r.LostConnections <= n*r.Runs }}
}

func lateRotation(s *stage) error {
	z := s.zones[0]
	old, _ := s.instance(z)
	refresh := aws.StartInstanceRefreshInput{AutoScalingGroupName: z.agent.Group, MinHealthyPercentage: -1, MaxHealthyPercentage: -1}
	if _, err := s.cloud.StartInstanceRefresh(refresh); err != nil {
		return err
	}
	err := s.until("a successor holds the zone", 2*time.Minute, func() bool {
		now, _ := s.instance(z)
		return now != "" && now != old
	})
	if err != nil {
		return err
	}
	return s.wait(3 * time.Second) // until a verdict on the time before would have been acted on
}

func spotNotice(s *stage) error {
	z := s.zones[0]
	old, _ := s.instance(z)
	if err := s.cloud.InterruptSpot(old); err != nil {
		return err
	}
	return s.until("nothing points at the instance", recovery, func() bool {
		now, _ := s.instance(z)
		return now != old && s.mirror.holder(z.tables) != ""
	})
}

func reboot(s *stage) error {
	z := s.zones[0]
	id, node := s.instance(z)
	s.mark()
	if err := node.Stop(); err != nil {
		return err
	}
	if err := s.wait(5 * time.Second); err != nil {
		return err
	}
	if err := node.Boot(false); err != nil {
		return err
	}
	for _, i := range s.cloud.Instances() {
		if i.InstanceID == id {
			if err := s.bootAgent(i, node); err != nil {
				return err
			}
		}
	}
	return s.until("the instance has claimed back", 2*time.Minute, func() bool {
		now, _ := s.instance(z)
		return now == id
	})
}

func flapping(s *stage) error {
	z := s.zones[0]
	id, node := s.instance(z)
	end := time.Now().Add(time.Minute)
	for time.Now().Before(end) {
		if now, _ := s.instance(z); now != id {
			if err := s.wait(20 * time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if err := node.Break(lab.Dead); err != nil {
			return err
		}
		if err := s.wait(3 * time.Second); err != nil {
			return err
		}
		if err := node.Mend(lab.Dead); err != nil {
			return err
		}
	}
	return nil
}

func twoZones(s *stage) error {
	s.mark()
	for _, z := range s.zones {
		_, node := s.instance(z)
		if err := node.Break(lab.Dead); err != nil {
			return err
		}
	}
	return s.until("both zones are on their standbys", recovery, func() bool {
		for _, z := range s.zones {
			if s.mirror.holder(z.tables) != z.standby {
				return false
			}
		}
		return true
	})
}
