package detect

import (
	"time"

	"polynat/internal/natzone"
)

// Slot is the time in which one prober begins its rounds: from Begin to before End.
type Slot struct {
	Begin, End time.Time
	// Quiet until then: it observes and gives no verdict.
	Quiet time.Time
}

// Over says that there is nothing (left) to do in the slot.
func (s Slot) Over(now time.Time) bool { return !now.Before(s.End) }

// SlotOf is the slot of a prober that was started by tick at now.
//
// The slots of the schedule lie end to end on the clock, so that there is neither a gap between two probers nor a moment
// with two of them, whatever the delay of their start up to [natzone.SlotLead]. One that comes later takes the rest of its slot; one
// that comes after its slot, such as a retry of Lambda's, has none. Where probes are sent for a part of the minute only
// (the economy preset), nothing is handed over, and nothing is waited for.
func SlotOf(tick natzone.Tick, active time.Duration, now time.Time) Slot {
	if !tick.Until.IsZero() {
		return Slot{Begin: now, End: tick.Until, Quiet: now.Add(time.Duration(tick.Quiet))}
	}
	minute := tick.Time.Truncate(time.Minute)
	if tick.Time.IsZero() {
		minute = now.Truncate(time.Minute)
	}
	s := Slot{Begin: minute.Add(natzone.SlotLead), End: minute.Add(natzone.SlotLead + time.Minute)}
	if now.After(s.Begin) {
		s.Begin = now
	}
	if active < time.Minute {
		s = Slot{Begin: now, End: earlier(now.Add(active), s.End)}
	}
	s.Quiet = s.Begin
	return s
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
