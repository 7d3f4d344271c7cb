// Package detect decides from what was seen whether the path has failed. It is pure: it opens no connection, reads no
// clock and starts nothing.
//
// Three findings make a verdict, and a single round never does:
//
//   - streak: Failed of the last Of rounds failed, each with every target tried;
//   - partial: at least Share of all attempts within Window failed, or twice that within a quarter of it, at most of the
//     targets;
//   - egress: two looks in a row saw the same address, which is not one of the zone's.
//
// An attempt that failed because its name was not found counts for neither side (see [natzone.Class.Failure]).
package detect

import (
	"net/netip"
	"slices"
	"time"

	"polynat/internal/natzone"
)

// Attempt is the outcome of one connection to one target.
type Attempt struct {
	Target natzone.Target
	Class  natzone.Class
	// Latency of the whole attempt.
	Latency time.Duration
}

// Round is what the attempts that began together came to.
type Round struct {
	Start    time.Time
	Attempts []Attempt
}

// verdict of a round on the path.
type outcome int

const (
	passed outcome = iota
	failed
	mute // too few targets could be tried
)

func (r Round) outcome() outcome {
	tried, bad := 0, 0
	for _, a := range r.Attempts {
		if a.Class == natzone.DNS {
			continue
		}
		tried++
		if a.Class.Failure() {
			bad++
		}
	}
	switch {
	case bad < tried:
		return passed
	case 2*tried <= len(r.Attempts): // most names were not found, and one dead target is not to speak for all
		return mute
	default:
		return failed
	}
}

// Verdict is a cause with the targets that it rests on. Its zero value is no verdict.
type Verdict struct {
	Cause   natzone.Cause
	Failing []natzone.Target
	// Since is when the first of the failures began that the verdict rests on. The way may have changed after it.
	Since time.Time
}

// Detector holds the rounds of the last [natzone.Detection.Window].
type Detector struct {
	settings natzone.Detection
	egress   []netip.Addr
	begin    time.Time
	rounds   []Round // completed, by Start
	strange  netip.Addr
	seen     int       // how often in a row strange was seen
	doubted  time.Time // when it was seen first
	last     netip.Addr
	count    Count
}

// Count is what a report says of all rounds.
type Count struct {
	Rounds, FailedRounds     int
	Attempts, FailedAttempts int
	Classes                  map[natzone.Class]int
	// Latency is the sum over the answered attempts.
	Latency time.Duration
}

// New makes a detector that begins to observe at begin. Any address is right if egress is empty.
func New(settings natzone.Detection, egress []netip.Addr, begin time.Time) *Detector {
	return &Detector{settings: settings, egress: egress, begin: begin, count: Count{Classes: map[natzone.Class]int{}}}
}

// Observe takes in a round that is complete at now and says what follows. Rounds overlap, so that a later round may be
// complete before an earlier one: an answer speaks for the path as of the round's start, and the newest complete rounds
// decide. An interruption that is over before the deadline of the last of the failed rounds is therefore no verdict.
func (d *Detector) Observe(r Round, now time.Time) Verdict {
	at := len(d.rounds)
	for at > 0 && d.rounds[at-1].Start.After(r.Start) {
		at--
	}
	d.rounds = slices.Insert(d.rounds, at, r)
	d.forget(now)
	d.count.add(r)
	return d.Judge(now)
}

// Judge says what follows from the rounds that are complete by now.
func (d *Detector) Judge(now time.Time) Verdict {
	if v := d.streak(); v.Cause != natzone.None {
		return v
	}
	return d.partial(now)
}

// forget drops what is older than the window, but never what a streak needs.
func (d *Detector) forget(now time.Time) {
	oldest := now.Add(-time.Duration(d.settings.Window))
	keep := max(0, len(d.rounds)-2*d.settings.Of)
	n := 0
	for n < keep && d.rounds[n].Start.Before(oldest) {
		n++
	}
	d.rounds = slices.Delete(d.rounds, 0, n)
}

// streak looks at the last Of rounds that had a say.
func (d *Detector) streak() Verdict {
	bad, said := 0, 0
	v := Verdict{Cause: natzone.Streak}
	for i := len(d.rounds) - 1; i >= 0 && said < d.settings.Of; i-- {
		switch d.rounds[i].outcome() {
		case mute:
			continue
		case failed:
			bad++
			v.Failing, v.Since = union(v.Failing, d.rounds[i].Attempts), d.rounds[i].Start
		}
		said++
	}
	if bad < d.settings.Failed {
		return Verdict{}
	}
	return v
}

// partial looks at the whole window for the share, and at a quarter of it for twice the share. By default the latter takes 15
// of 24 attempts, for those of the last half second may be under way: at 5 % packet loss, where 10 % of the attempts fail,
// that is one chance in a billion.
func (d *Detector) partial(now time.Time) Verdict {
	window, share := time.Duration(d.settings.Window), d.settings.Share
	if v := d.lost(now, window/4, 2*share); v.Cause != natzone.None {
		return v
	}
	return d.lost(now, window, share)
}

// lost asks for a whole window: over less, chance could reach the share. A target that fails alone is the target's own
// trouble: loss on the way is seen at most of them.
func (d *Detector) lost(now time.Time, window time.Duration, least float64) Verdict {
	if least <= 0 || least > 1 || now.Sub(d.begin) < window {
		return Verdict{}
	}
	share, targets := d.share(now, window)
	if share < least {
		return Verdict{}
	}
	v := Verdict{Cause: natzone.Partial}
	for _, t := range targets {
		if t.share() < least/2 {
			continue
		}
		v.Failing = append(v.Failing, t.target)
		if v.Since.IsZero() || t.since.Before(v.Since) {
			v.Since = t.since
		}
	}
	if 2*len(v.Failing) <= len(targets) {
		return Verdict{}
	}
	return v
}

// tally of one target.
type tally struct {
	target     natzone.Target
	tried, bad int
	since      time.Time // when the first round began in which it failed
}

func (t tally) share() float64 { return float64(t.bad) / float64(t.tried) }

// share of the attempts within the window that failed, and the tally of each target that was tried.
func (d *Detector) share(now time.Time, window time.Duration) (float64, []tally) {
	oldest := now.Add(-window)
	var all tally
	var targets []tally
	for _, r := range d.rounds {
		if r.Start.Before(oldest) {
			continue
		}
		for _, a := range r.Attempts {
			if a.Class == natzone.DNS {
				continue
			}
			i := slices.IndexFunc(targets, func(t tally) bool { return t.target == a.Target })
			if i < 0 {
				i = len(targets)
				targets = append(targets, tally{target: a.Target})
			}
			all.tried++
			targets[i].tried++
			if a.Class.Failure() {
				if targets[i].bad == 0 {
					targets[i].since = r.Start
				}
				all.bad++
				targets[i].bad++
			}
		}
	}
	if all.tried == 0 {
		return 0, nil
	}
	return all.share(), targets
}

// Identity takes in the address that a connection was seen to come from, at the time of the question.
func (d *Detector) Identity(seen netip.Addr, at time.Time) Verdict {
	d.last = seen
	switch {
	case len(d.egress) == 0 || slices.Contains(d.egress, seen):
		d.strange, d.seen = netip.Addr{}, 0
	case d.strange == seen:
		d.seen++
	default:
		d.strange, d.seen, d.doubted = seen, 1, at
	}
	if d.seen < 2 {
		return Verdict{}
	}
	return Verdict{Cause: natzone.Egress, Since: d.doubted}
}

// Doubted says that the last look at the egress address saw a wrong one, which the next look confirms or clears.
func (d *Detector) Doubted() bool { return d.seen > 0 }

// Egress is the address that was seen last; the zero Addr if none was.
func (d *Detector) Egress() netip.Addr { return d.last }

// Clean says that nothing hints at a failure: the newest round did not fail, and the failed share is below half of what a
// verdict takes. A successor begins with an empty window, so whoever is not clean stays until it is, or has a verdict.
func (d *Detector) Clean(now time.Time) bool {
	if d.Doubted() {
		return false
	}
	for i := len(d.rounds) - 1; i >= 0; i-- {
		if o := d.rounds[i].outcome(); o != mute {
			if o == failed {
				return false
			}
			break
		}
	}
	share, _ := d.share(now, time.Duration(d.settings.Window))
	return d.settings.Share <= 0 || share < d.settings.Share/2
}

// Count of all rounds so far.
func (d *Detector) Count() Count { return d.count }

func (c *Count) add(r Round) {
	c.Rounds++
	if r.outcome() == failed {
		c.FailedRounds++
	}
	for _, a := range r.Attempts {
		c.Attempts++
		if a.Class.Failure() {
			c.FailedAttempts++
		}
		if a.Class == natzone.Answered {
			c.Latency += a.Latency
		} else {
			c.Classes[a.Class]++
		}
	}
}

// union adds the targets of the failed attempts that are not in the list yet.
func union(list []natzone.Target, attempts []Attempt) []natzone.Target {
	for _, a := range attempts {
		if a.Class.Failure() && !slices.Contains(list, a.Target) {
			list = append(list, a.Target)
		}
	}
	return list
}
