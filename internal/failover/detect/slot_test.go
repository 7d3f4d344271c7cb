package detect

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"polynat/internal/natzone"
)

func TestTheSlotsOfTheScheduleLieEndToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		minutes := rapid.IntRange(2, 30).Draw(t, "minutes")
		var last Slot
		for m := range minutes {
			tick := natzone.Tick{Time: begin.Add(time.Duration(m) * time.Minute)}
			delay := time.Duration(rapid.Int64Range(0, int64(natzone.SlotLead)).Draw(t, "delay"))
			s := SlotOf(tick, time.Minute, tick.Time.Add(delay))
			if m > 0 && !s.Begin.Equal(last.End) {
				t.Fatalf("minute %d: slot %v follows %v", m, s, last)
			}
			if s.End.Sub(s.Begin) != time.Minute || s.Begin.Before(tick.Time.Add(delay)) {
				t.Fatalf("minute %d, started after %v: slot %v", m, delay, s)
			}
			last = s
		}
	})
}

func TestTheSlotsOfAScheduleThatIsAlwaysLateByTheSameLieEndToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		delay := time.Duration(rapid.Int64Range(0, int64(59*time.Second)).Draw(t, "delay"))
		var last Slot
		for m := range 10 {
			tick := natzone.Tick{Time: begin.Add(time.Duration(m) * time.Minute)}
			s := SlotOf(tick, time.Minute, tick.Time.Add(delay))
			if m > 0 && !s.Begin.Equal(last.End) {
				t.Fatalf("minute %d: slot %v follows %v", m, s, last)
			}
			last = s
		}
	})
}

// Whatever the schedule does, a minute is blind for no longer than its prober is later than the one before.
func TestAGapIsNoLongerThanTheJitterOfTheSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		var last Slot
		var was time.Duration
		for m := range 10 {
			tick := natzone.Tick{Time: begin.Add(time.Duration(m) * time.Minute)}
			delay := time.Duration(rapid.Int64Range(0, int64(59*time.Second)).Draw(t, "delay"))
			s := SlotOf(tick, time.Minute, tick.Time.Add(delay))
			if gap := s.Begin.Sub(last.End); m > 0 && gap > max(0, delay-max(was, natzone.SlotLead)) {
				t.Fatalf("minute %d: %v blind, late by %v after %v", m, gap, delay, was)
			}
			last, was = s, delay
		}
	})
}

func TestTheSlotOfAProber(t *testing.T) {
	minute := time.Date(2026, 11, 22, 0, 5, 0, 0, time.UTC)
	at := func(s float64) time.Time { return minute.Add(time.Duration(s * float64(time.Second))) }
	for name, test := range map[string]struct {
		tick              natzone.Tick
		active            time.Duration
		now               time.Time
		begin, end, quiet time.Time
		over              bool
	}{
		"early, it waits":                   {natzone.Tick{Time: minute}, time.Minute, at(0.4), at(3), at(63), at(3), false},
		"late, it stays its full time":      {natzone.Tick{Time: minute}, time.Minute, at(12), at(12), at(72), at(12), false},
		"repeated after its slot, none":     {natzone.Tick{Time: minute}, time.Minute, at(70), at(70), at(70), at(70), true},
		"of a time within the minute":       {natzone.Tick{Time: at(1.5)}, time.Minute, at(2), at(3), at(63), at(3), false},
		"invoked by hand, the minute's":     {natzone.Tick{}, time.Minute, at(20), at(20), at(80), at(20), false},
		"economy begins at once":            {natzone.Tick{Time: minute}, 24 * time.Second, at(0.5), at(0.5), at(24.5), at(0.5), false},
		"economy, too late":                 {natzone.Tick{Time: minute}, 24 * time.Second, at(75), at(75), at(75), at(75), true},
		"after a verdict, until it is told": {natzone.Tick{Time: minute, Until: at(63), Quiet: natzone.Duration(5 * time.Second)}, time.Minute, at(30), at(30), at(63), at(35), false},
	} {
		s := SlotOf(test.tick, test.active, test.now)
		if !s.Begin.Equal(test.begin) || !s.End.Equal(test.end) || !s.Quiet.Equal(test.quiet) || s.Over(test.now) != test.over {
			t.Errorf("%s: %v over %v", name, s, s.Over(test.now))
		}
	}
}
