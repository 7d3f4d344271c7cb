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

// SlotOf is the slot of a prober that was started by tick at now; active is how long of a minute probes are sent.
//
// The slots of the schedule lie end to end on the clock, so that there is neither a gap between two probers nor a moment
// with two of them, whatever the delay of their start up to [natzone.SlotLead]. One that comes later begins at once and
// stays its full time: schedules are late by much the same every minute, and where the next one is late by less, two
// overlap, which costs a little, where a gap would cost an outage. One that comes more than a minute late, such as a retry
// of Lambda's, has no slot. Where probes are sent for a part of the minute only (the economy preset), nothing is handed
// over, and nothing is waited for.
func SlotOf(tick natzone.Tick, active time.Duration, now time.Time) Slot {
	if !tick.Until.IsZero() {
		return Slot{Begin: now, End: tick.Until, Quiet: now.Add(time.Duration(tick.Quiet))}
	}
	minute := tick.Time.Truncate(time.Minute)
	if tick.Time.IsZero() {
		minute = now.Truncate(time.Minute)
	}
	begin := minute.Add(natzone.SlotLead)
	if !now.Before(begin.Add(time.Minute)) {
		return Slot{Begin: now, End: now, Quiet: now}
	}
	if now.After(begin) || active < time.Minute {
		begin = now
	}
	return Slot{Begin: begin, End: begin.Add(active), Quiet: begin}
}
