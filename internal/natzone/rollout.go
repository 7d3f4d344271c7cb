package natzone

import (
	"slices"
	"strings"
	"time"
)

// DefaultHold is how long the other zones have held, each on the same instance, before a changed template takes the next zone. An
// agent that fails within it takes one zone. No source has a number: it is twice what a sick instance takes to be replaced.
const DefaultHold = Duration(5 * time.Minute)

// Standing is how a zone stands while a changed template goes from zone to zone.
type Standing struct {
	Zone string
	// Instance that the zone's routes point at; empty while none serves it.
	Instance string
	// Outdated says that its group has an instance in service that it would not launch so any more.
	Outdated bool
	// Settled says that the group has one instance and no other, in service and healthy, and that it serves the zone.
	Settled bool
}

// Calm is since when the other zones are served, each by the same instance.
type Calm struct {
	// Of are these instances.
	Of    string    `json:"of"`
	Since time.Time `json:"since"`
}

// Turn says whether the zone's instance is to be replaced now by one of the changed template, and what is to be remembered until
// it is asked again, which is zero when there is nothing to wait for. A zone that no instance serves goes at once: it has nothing to
// lose, and the change may be its cure. Else the zones go by their names, and none while another one is not served, is being
// replaced, or has not held for as long as it should. The first zone has nobody to wait for.
func Turn(own Standing, peers []Standing, was Calm, now time.Time, hold time.Duration) (turn bool, next Calm, why string) {
	switch {
	case !own.Outdated:
		return false, Calm{}, ""
	case own.Instance == "":
		return true, Calm{}, "no instance serves the zone"
	case !own.Settled:
		return false, Calm{}, "a replacement is under way"
	}
	first := true
	var of []string
	for _, p := range peers {
		switch {
		case !p.Settled:
			return false, Calm{}, "zone " + p.Zone + " is not well"
		case p.Outdated && p.Zone < own.Zone:
			return false, Calm{}, "zone " + p.Zone + " is first"
		}
		first = first && p.Outdated
		of = append(of, p.Zone+" "+p.Instance)
	}
	slices.Sort(of)
	next = Calm{Of: strings.Join(of, ", "), Since: now}
	if next.Of == was.Of && !was.Since.IsZero() {
		next.Since = was.Since
	}
	if first || now.Sub(next.Since) >= hold {
		return true, Calm{}, "the other zones hold"
	}
	return false, next, "the other zones hold only since " + next.Since.UTC().Format(time.RFC3339)
}
