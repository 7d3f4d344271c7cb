package nat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"polynat/internal/natzone"
	"polynat/internal/problem"
)

const (
	// shortestLifetime is what EC2 Auto Scaling takes at least.
	shortestLifetime = 24 * time.Hour
	longestLifetime  = 365 * 24 * time.Hour
	defaultLifetime  = 14 * 24 * time.Hour
	// turn is how long a zone's rotation may take: a launch, and a hand-over.
	turn = 15 * time.Minute
	// lastSlot is that of the letter z.
	lastSlot = 25
)

// standardZone is an availability zone proper: region and letter. Local zones have longer names.
var standardZone = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d([a-z])$`)

// slot of a zone: a function of the zone alone, so that zones that come and go leave the others' as they are.
func (z Zone) slot(key string) (int, bool) {
	if z.Slot != nil {
		return *z.Slot, true
	}
	if m := standardZone.FindStringSubmatch(key); m != nil {
		return int(m[2][0] - 'a'), true
	}
	return 0, false
}

// lifetime of the instances in a slot. Every slot's is shorter than the one's before by the 336th part, an hour of 14 days, and
// by at least one turn: zones whose instances were launched together part with the first rotation. With the default, the
// first two of six zones meet again after two and a half years without any other rotation.
func (r Rotation) lifetime(slot int) time.Duration {
	if r.Off || r.Window != nil {
		return 0
	}
	whole := r.Lifetime
	if whole == 0 {
		whole = defaultLifetime
	}
	return (whole - time.Duration(slot)*max(whole/336, turn)).Truncate(time.Second)
}

// hold of the zones before a changed template takes the next; 0 where the controllers have no part in that.
func (r Rotation) hold() natzone.Duration {
	if r.AtOnce || r.Window != nil {
		return 0
	}
	return natzone.DefaultHold
}

// weekdays as the cron expressions of EventBridge Scheduler spell them.
var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

// expression is when the zone of a slot has its turn.
func (w Window) expression(slot int) (string, error) {
	start, err := time.Parse("15:04", w.Start)
	if err != nil {
		return "", err
	}
	at := start.Add(time.Duration(slot) * turn)
	days := slices.Sorted(slices.Values(w.Days))
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = weekdays[d]
	}
	day := strings.Join(names, ",")
	if w.Week > 0 { // of one day, which AWS shows before # as a number only: 1 is Sunday
		day = fmt.Sprintf("%d#%d", days[0]+1, w.Week)
	}
	return fmt.Sprintf("cron(%d %d ? * %s *)", at.Minute(), at.Hour(), day), nil
}

func (w Window) timeZone() string {
	if w.TimeZone == "" {
		return "UTC"
	}
	return w.TimeZone
}

// rotation checks that every zone has a turn of its own.
func (c *checks) rotation() {
	r, slots := c.Rotation, map[int]string{}
	for _, key := range sorted(c.Zones) {
		field := "zones." + key + ".slot"
		slot, ok := c.Zones[key].slot(key)
		switch other, taken := slots[slot], ok && slots[slot] != ""; {
		case !ok:
			c.Missing(field, fmt.Sprintf("the name of the zone ends in no letter that would give one: choose 0 to %d", lastSlot))
			continue
		case slot < 0 || slot > lastSlot:
			c.Number(field, slot, fmt.Sprintf("must be 0 to %d", lastSlot), "choose another")
			continue
		case taken:
			c.Number(field, slot, "is that of "+other+" too: the two would rotate together", "choose another")
			continue
		}
		slots[slot] = key
		switch life := r.lifetime(slot); {
		case r.Off || r.Window != nil:
		case life < shortestLifetime:
			least := (shortestLifetime + time.Duration(slot)*max(shortestLifetime/336, turn)).String()
			c.Add("rotation.lifetime", r.Lifetime.String(), "leaves "+life.String()+" to "+key+", less than the day that AWS takes at least", "give at least "+least+", or set rotation.off")
		case life > longestLifetime:
			c.Add("rotation.lifetime", r.Lifetime.String(), "is longer than a year", "set rotation.off, if instances are never to be replaced for their age")
		}
		if w := r.Window; w != nil && w.Duration > 0 && time.Duration(slot+1)*turn > w.Duration {
			c.Add("rotation.window.duration", w.Duration.String(), fmt.Sprintf("has no turn for %s, whose slot is %d", key, slot), "give at least "+(time.Duration(slot+1)*turn).String())
		}
	}
	if r.Window != nil {
		if r.AtOnce {
			c.List = append(c.List, problem.Problem{Field: "rotation.atOnce", Rule: "contradicts rotation.window", WayOut: "leave one of them out"})
		}
		c.window(*r.Window)
	}
}

func (c *checks) window(w Window) {
	const field = "rotation.window"
	if c.Rotation.Off || c.Rotation.Lifetime != 0 {
		c.List = append(c.List, problem.Problem{Field: field, Rule: "contradicts rotation.lifetime and rotation.off", WayOut: "leave these out: the window says when instances are replaced"})
	}
	if len(w.Days) == 0 {
		c.Missing(field+".days", "the window never opens: name a day")
	}
	for _, d := range w.Days {
		if d < time.Sunday || d > time.Saturday {
			c.Number(field+".days", int(d), "is no day of the week", "name days")
		}
	}
	if w.Week < 0 || w.Week > 4 {
		c.Number(field+".week", w.Week, "must be 1 to 4, or 0 for every week", "choose one that every month has")
	} else if w.Week > 0 && len(w.Days) > 1 {
		c.Number(field+".week", w.Week, "goes with one day only", "name one day")
	}
	start, err := time.Parse("15:04", w.Start)
	if err != nil {
		c.Add(field+".start", w.Start, "is no time of day", `write it as "02:30"`)
	}
	if _, err := time.LoadLocation(w.timeZone()); err != nil {
		c.Add(field+".timeZone", w.TimeZone, "is not in the IANA database", "write it as Europe/Berlin, or leave it out for UTC")
	}
	switch end := start.Add(w.Duration); {
	case w.Duration <= 0:
		c.Add(field+".duration", w.Duration.String(), "leaves the window never open", "give at least 15m for each slot")
	case err == nil && (w.Duration > 24*time.Hour || end.Day() != start.Day() && !end.Equal(start.Truncate(24*time.Hour).Add(24*time.Hour))):
		c.Add(field+".duration", w.Duration.String(), "ends on another day than it begins", "let the window close by midnight")
	}
}
