package detect

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polynat/internal/natzone"
)

var (
	targets = []natzone.Target{"https://a.example/", "https://b.example/", "https://192.0.2.3/"}
	zero    = time.Date(2026, 11, 22, 0, 0, 3, 0, time.UTC)
)

// path says what becomes of an attempt that begins after some time: its class, and how long it takes.
type path func(after time.Duration, target int) (natzone.Class, time.Duration)

func works(time.Duration, int) (natzone.Class, time.Duration) {
	return natzone.Answered, 20 * time.Millisecond
}

func silent(time.Duration, int) (natzone.Class, time.Duration) { return natzone.Timeout, time.Hour }

// from makes a path that turns from working into another one, at a moment.
func from(at time.Duration, then path) path { return between(at, 1<<62, then) }

func between(begin, end time.Duration, then path) path {
	return func(after time.Duration, target int) (natzone.Class, time.Duration) {
		if after >= begin && after < end {
			return then(after, target)
		}
		return works(after, target)
	}
}

// during is an interruption: an attempt that begins in it, or is under way when it begins, is not answered.
func during(begin, length time.Duration) path {
	return between(begin-10*time.Millisecond, begin+length, silent)
}

func always(c natzone.Class, takes time.Duration) path {
	return func(time.Duration, int) (natzone.Class, time.Duration) { return c, takes }
}

// run observes a path for a while and says when the first verdict came.
func run(d natzone.Detection, length time.Duration, p path) (Verdict, time.Duration, *Detector) {
	type done struct {
		at time.Duration
		r  Round
	}
	var all []done
	interval, timeout := time.Duration(d.Interval), time.Duration(d.Timeout)
	for after := time.Duration(0); after < length; after += interval {
		x := done{at: after, r: Round{Start: zero.Add(after)}}
		for i, t := range targets {
			class, takes := p(after, i)
			if takes > timeout {
				takes = timeout
				if class == natzone.Answered {
					class = natzone.Timeout
				}
			}
			x.at = max(x.at, after+takes)
			x.r.Attempts = append(x.r.Attempts, Attempt{Target: t, Class: class, Latency: takes})
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b done) int { return int(a.at - b.at) })
	detector := New(d, nil, zero)
	for _, x := range all {
		if v := detector.Observe(x.r, zero.Add(x.at)); v.Cause != natzone.None {
			return v, x.at, detector
		}
	}
	return Verdict{}, 0, detector
}

func TestEveryFailureOfThePathIsFoundInTimeAndNothingElseIs(t *testing.T) {
	loss := func(share float64) path { // of attempts, each for itself
		random := rand.New(rand.NewPCG(1, 2))
		return func(time.Duration, int) (natzone.Class, time.Duration) {
			if random.Float64() < share {
				return natzone.Timeout, time.Hour
			}
			return natzone.Answered, 20 * time.Millisecond
		}
	}
	only := func(n int, bad path) path {
		return func(after time.Duration, target int) (natzone.Class, time.Duration) {
			if target < n {
				return bad(after, target)
			}
			return works(after, target)
		}
	}
	const minute = time.Minute
	at := 20 * time.Second // where the fault begins, a beat of the rounds: the worst phase is one interval later
	for name, test := range map[string]struct {
		path   path
		cause  natzone.Cause
		within time.Duration // of the fault, the phase excluded
	}{
		"nothing wrong":                                {works, natzone.None, 0},
		"silent death: link down":                      {from(at, silent), natzone.Streak, time.Second},
		"grey: forwarding off":                         {from(at, silent), natzone.Streak, time.Second},
		"grey: NAT rule lost":                          {from(at, silent), natzone.Streak, time.Second},
		"grey: TCP dropped while UDP and DNS pass":     {from(at, silent), natzone.Streak, time.Second},
		"grey: the handshake passes and data does not": {from(at, always(natzone.Timeout, time.Hour)), natzone.Streak, time.Second},
		"reset of every SYN":                           {from(at, always(natzone.Refused, time.Millisecond)), natzone.Streak, 510 * time.Millisecond},
		"reset on data":                                {from(at, always(natzone.Reset, 20*time.Millisecond)), natzone.Streak, 530 * time.Millisecond},
		"slow drip":                                    {from(at, always(natzone.Answered, 4*time.Second)), natzone.Streak, time.Second},
		"unreachable":                                  {from(at, always(natzone.Other, time.Millisecond)), natzone.Streak, 510 * time.Millisecond},
		"30 % packet loss, 55 % of the attempts":       {from(at, loss(0.557)), natzone.Partial, 6 * time.Second},
		"15 % packet loss, 30 % of the attempts":       {from(at, loss(0.31)), natzone.Partial, 30 * time.Second},
		"two interruptions of 0.4 s within two seconds": {func(after time.Duration, target int) (natzone.Class, time.Duration) {
			if after < at+time.Second {
				return during(at, 400*time.Millisecond)(after, target)
			}
			return during(at+time.Second, 400*time.Millisecond)(after, target)
		}, natzone.None, 0},
		"70 % packet loss":         {from(at, loss(0.97)), natzone.Streak, 2 * time.Second},
		"one lost round":           {during(at, 250*time.Millisecond), natzone.None, 0},
		"two lost rounds":          {during(at, 500*time.Millisecond), natzone.None, 0},
		"an interruption of 0.7 s": {during(at, 700*time.Millisecond), natzone.None, 0},
		"an interruption of 1.1 s": {during(at, 1100*time.Millisecond), natzone.Streak, time.Second},
		"1 % packet loss":          {loss(0.019), natzone.None, 0},
		"5 % packet loss":          {loss(0.103), natzone.None, 0},
		"one target dead":          {from(at, only(1, silent)), natzone.None, 0},
		"one target answers 503":   {from(at, only(1, works)), natzone.None, 0},
		"all targets dead, which only the controller tells": {from(at, silent), natzone.Streak, time.Second},
		"two targets dead, which only the controller tells": {from(at, only(2, silent)), natzone.Partial, 10 * time.Second},
		"names are not found":                               {from(at, always(natzone.DNS, time.Hour)), natzone.None, 0},
		"names are not found, and the only other target is dead, which only the controller tells": {from(at, func(_ time.Duration, target int) (natzone.Class, time.Duration) {
			if target < 2 {
				return natzone.DNS, 500 * time.Millisecond
			}
			return natzone.Timeout, time.Hour
		}), natzone.Partial, 10500 * time.Millisecond},
		"the way is dead, and two names were never found": {func(after time.Duration, target int) (natzone.Class, time.Duration) {
			if target < 2 {
				return natzone.DNS, time.Millisecond
			}
			return from(at, silent)(after, target)
		}, natzone.Partial, 5 * time.Second},
		"certificates have expired": {from(at, always(natzone.TLS, 40*time.Millisecond)), natzone.None, 0},
	} {
		v, when, _ := run(natzone.DefaultDetection(), minute, test.path)
		if v.Cause != test.cause {
			t.Errorf("%s: cause %q after %v, want %q", name, v.Cause, when-at, test.cause)
			continue
		}
		if v.Cause != natzone.None && when-at > test.within {
			t.Errorf("%s: after %v, want %v", name, when-at, test.within)
		}
	}
}

func TestASilentDeathAtAnyPhaseIsFoundWithinOneAndAQuarterSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := 15*time.Second + time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "at"))
		v, when, _ := run(natzone.DefaultDetection(), time.Minute, from(at, silent))
		if v.Cause != natzone.Streak || when-at > 1250*time.Millisecond || when-at < time.Second {
			t.Fatalf("%v after %v", v, when-at)
		}
		if len(v.Failing) != len(targets) {
			t.Fatalf("rests on %v", v.Failing)
		}
	})
}

func TestASingleFailedRoundIsNeverAVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bad := map[time.Duration]bool{}
		last := -10
		for _, n := range rapid.SliceOf(rapid.IntRange(0, 239)).Draw(t, "failed rounds") {
			if n-last >= 10 || last-n >= 10 { // far from each other, or the share would be that of real loss
				bad[time.Duration(n)*250*time.Millisecond] = true
				last = n
			}
		}
		alone := func(after time.Duration) bool {
			for other := range bad {
				if other != after && (other-after).Abs() < 2500*time.Millisecond {
					return false
				}
			}
			return true
		}
		v, when, _ := run(natzone.DefaultDetection(), time.Minute, func(after time.Duration, target int) (natzone.Class, time.Duration) {
			if bad[after] && alone(after) {
				return natzone.Timeout, time.Hour
			}
			return works(after, target)
		})
		if v.Cause != natzone.None {
			t.Fatalf("%v at %v", v, when)
		}
	})
}

// An attempt fails when any of its packets is lost in either direction: 10.3 % of them at 5 % both ways, as measured.
func TestAnHourOfFivePercentPacketLossGivesNoVerdict(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 5))
		v, when, d := run(natzone.DefaultDetection(), time.Hour, func(time.Duration, int) (natzone.Class, time.Duration) {
			if random.Float64() < 0.103 {
				return natzone.Timeout, time.Hour
			}
			return natzone.Answered, 20 * time.Millisecond
		})
		if v.Cause != natzone.None {
			t.Fatalf("seed %d: %v at %v", seed, v, when)
		}
		if c := d.Count(); c.Rounds != 4*3600 || c.FailedAttempts < 4000 {
			t.Fatalf("seed %d: the hour had %d rounds and %d failed attempts", seed, c.Rounds, c.FailedAttempts)
		}
	}
}

func TestAnHourWithoutDNSGivesNoVerdict(t *testing.T) {
	v, when, _ := run(natzone.DefaultDetection(), time.Hour, func(after time.Duration, target int) (natzone.Class, time.Duration) {
		if target < 2 {
			return natzone.DNS, 500 * time.Millisecond
		}
		return works(after, target)
	})
	if v.Cause != natzone.None {
		t.Fatalf("%v at %v", v, when)
	}
}

func TestAWrongEgressAddressIsAVerdictWhenItIsSeenTwice(t *testing.T) {
	right, wrong, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("198.51.100.10")
	for name, test := range map[string]struct {
		egress, seen []netip.Addr
		want         natzone.Cause
	}{
		"once":                {[]netip.Addr{right}, []netip.Addr{wrong}, natzone.None},
		"twice":               {[]netip.Addr{right}, []netip.Addr{right, wrong, wrong}, natzone.Egress},
		"with a right one":    {[]netip.Addr{right}, []netip.Addr{wrong, right, wrong}, natzone.None},
		"two different":       {[]netip.Addr{right}, []netip.Addr{wrong, other, wrong}, natzone.None},
		"any address will do": {nil, []netip.Addr{wrong, wrong, wrong}, natzone.None},
	} {
		d := New(natzone.DefaultDetection(), test.egress, zero)
		var v Verdict
		for i, a := range test.seen {
			v = d.Identity(a, zero.Add(time.Duration(i)*time.Second))
		}
		if v.Cause != test.want {
			t.Errorf("%s: %q, want %q", name, v.Cause, test.want)
		}
		if first := zero.Add(time.Second); v.Cause == natzone.Egress && !v.Since.Equal(first) {
			t.Errorf("%s: since %v, want %v, the first of the two", name, v.Since, first)
		}
		if last := test.seen[len(test.seen)-1]; d.Egress() != last {
			t.Errorf("%s: egress %v, want %v", name, d.Egress(), last)
		}
	}
}

func TestAProberWithAHintOfFailureIsNotClean(t *testing.T) {
	bad := func(n int) path { // the last n rounds of a minute
		return from(time.Minute-time.Duration(n)*250*time.Millisecond, silent)
	}
	for name, test := range map[string]struct {
		path  path
		clean bool
	}{
		"nothing failed":        {works, true},
		"the last round failed": {bad(1), false},
		"the last two":          {bad(2), false},
		"a round 20 s ago":      {during(40*time.Second, 250*time.Millisecond), true},
		"a fifth of the attempts": {func(after time.Duration, target int) (natzone.Class, time.Duration) {
			if int(after/(250*time.Millisecond))%5 == 0 && after < 59*time.Second {
				return natzone.Timeout, time.Hour
			}
			return works(after, target)
		}, false},
	} {
		_, _, d := run(natzone.DefaultDetection(), time.Minute, test.path)
		if got := d.Clean(zero.Add(time.Minute + 500*time.Millisecond)); got != test.clean {
			t.Errorf("%s: clean %v, want %v", name, got, test.clean)
		}
	}
}

func TestTheDetectorRemembersAWindowAndNoMore(t *testing.T) {
	_, _, d := run(natzone.DefaultDetection(), 10*time.Minute, works)
	if n := len(d.rounds); n > 45 {
		t.Errorf("%d rounds are kept, want those of 10 s", n)
	}
}

func TestWhatACountSays(t *testing.T) {
	_, _, d := run(natzone.DefaultDetection(), 2*time.Second, func(after time.Duration, target int) (natzone.Class, time.Duration) {
		if after < 500*time.Millisecond && target == 1 {
			return natzone.DNS, 10 * time.Millisecond
		}
		if after == time.Second {
			return natzone.Reset, 10 * time.Millisecond
		}
		return works(after, target)
	})
	got := fmt.Sprintf("%+v", d.Count())
	want := "{Rounds:8 FailedRounds:1 Attempts:24 FailedAttempts:3 Classes:map[dns:2 reset:3] Latency:380ms}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
